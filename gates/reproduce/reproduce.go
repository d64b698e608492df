// Package reproduce answers two questions about records: does the recorded
// invocation come to the same facts when it is run again here ([Reproduce]), and
// in what do two records differ ([Diff]).
//
// The commands write no record of their own. Each prints a [Result], as text or
// as one object of JSON, and returns nil for PASS, a [*NotGreenError] otherwise,
// and a [*gates.UsageError] when it was asked for something that it cannot do.
//
// # What is run
//
// A record is input from outside. Of its command line only this is ever run: one
// target of this checkout's magefiles that can be planned, which is what gates can,
// with flags that the target has, whose values have no word that begins with a dash.
// It is run as words, by "go tool mage" in the root of the checkout, never through a
// shell; and first with -plan, which runs nothing, to see that it is the gate of the
// record. Its environment is a list of its own: what programs need to find each
// other and their caches, what the caller adds ([Options].Pass), and the secrets
// that the record names. Keys that evidence is signed with are never passed on.
package reproduce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/target"
)

// Options are what [Reproduce] is asked.
type Options struct {
	// Record is a record.json, or the folder of its run.
	Record string
	// Keep is a folder, not there yet, that takes the evidence of the new run;
	// without it, that is removed.
	Keep string
	// Without are secrets that the record names and that may be missing.
	Without []string
	// Timeout ends it all; 0 means no limit.
	Timeout time.Duration
	// Format is "text", which is also meant by "", or "json".
	Format string
	// Root is the checkout; the one around the working directory if empty.
	Root string
	// Sources are the magefiles of the checkout, as for [target.Guard].
	Sources fs.FS
	// Outside are targets that act on systems which nobody can put back as they
	// were, and why each is never run from a record.
	Outside map[string]string
	// Pass are variables that the run gets besides those that all programs need.
	Pass []string
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Stdout takes the result, Stderr the progress.
	Stdout, Stderr io.Writer

	// mage starts mage; for tests.
	mage []string
}

const reproduceCommand = "evidence:reproduce"

func usage(command, format string, args ...any) error {
	return &gates.UsageError{Problem: command + ": " + fmt.Sprintf(format, args...)}
}

func (o Options) prepare() (Options, error) {
	switch o.Format {
	case "", "text", "json":
	default:
		return o, usage(reproduceCommand, "-format=%s: write text or json", o.Format)
	}
	if o.Record == "" {
		return o, usage(reproduceCommand, "-record is missing")
	}
	if o.Timeout < 0 {
		return o, usage(reproduceCommand, "-timeout=%s: give a positive duration such as 30m", o.Timeout)
	}
	if o.Keep != "" {
		if _, err := os.Lstat(o.Keep); err == nil {
			return o, usage(reproduceCommand, "-keep=%s is there already and is not written over", o.Keep)
		}
		keep, err := filepath.Abs(o.Keep)
		if err != nil {
			return o, fmt.Errorf("%s: %w", reproduceCommand, err)
		}
		if info, err := os.Stat(filepath.Dir(keep)); err != nil || !info.IsDir() {
			return o, usage(reproduceCommand, "-keep=%s: there is no folder %s to make it in", o.Keep, filepath.Dir(o.Keep))
		}
		o.Keep = keep
	}
	if o.Root == "" {
		wd, err := os.Getwd()
		if err != nil {
			return o, fmt.Errorf("working directory: %w", err)
		}
		o.Root = source.Root(wd)
	}
	if len(o.mage) == 0 {
		o.mage = []string{"go", "tool", "mage"}
	}
	return o, nil
}

// errTimeout is the cause of a context whose time is over.
var errTimeout = errors.New("its time is over")

// Reproduce runs again what a record says was run and compares the stable parts:
// reproduced, diverged, or not reproducible with all reasons that could be found
// without running anything. What it writes on the way is in a folder that is
// gone when it returns, unless Keep names another.
func Reproduce(ctx context.Context, o Options) error {
	o, err := o.prepare()
	if err != nil {
		return err
	}
	ctx, stop := target.UntilSignal(ctx)
	defer stop()
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.Timeout, errTimeout)
		defer cancel()
	}
	a := &attempt{opts: o, result: newResult(reproduceCommand)}
	a.reproduce(ctx)
	r := a.result
	if len(r.Reasons) == 0 {
		r.Verdict, r.Outcome = evidence.Pass, Reproduced
	} else if r.Outcome == "" {
		r.Verdict, r.Outcome = evidence.Unverified, NotReproducible
	}
	return r.finish(o.Format, o.Stdout)
}

// attempt is one call of Reproduce. What stands in the way is in its result's reasons.
type attempt struct {
	opts   Options
	result *Result
	record *evidence.Record
	// args is the recorded line without the word mage, and target what it calls.
	args   []string
	target target.Target
	// secrets are those of the record that are passed on, as NAME=value.
	secrets []string
}

func (a *attempt) say(format string, args ...any) {
	// Progress that cannot be shown changes nothing.
	_, _ = fmt.Fprintf(a.opts.Stderr, format+"\n", args...)
}

func (a *attempt) reproduce(ctx context.Context) {
	r := a.result
	record, sealed, err := readRecord(ctx, a.opts.Record)
	if a.stopped(ctx) {
		return
	}
	if err != nil {
		code := CodeBadRecord
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			code = CodeUnreadable
		}
		r.reason(code, "%v", err)
		return
	}
	a.record = record
	side := difference.SideOf(record)
	r.Recorded, r.Line = &side, record.Stable.Invocation.Command
	if !sealed {
		r.note("the record does not lie in a sealed folder: only its own digest holds it together")
	}
	a.say("recorded  %s is %s, run %s, about commit %s", printable(side.Gate), side.Verdict, printable(side.Run), printable(short(side.Commit)))
	a.invocation()
	a.source(ctx)
	a.platform(ctx)
	a.tools()
	a.inputs()
	a.environment()
	if a.stopped(ctx) || len(r.Reasons) > 0 {
		return
	}
	a.say("planning  %s", printable(r.Line))
	if a.plan(ctx); a.stopped(ctx) || len(r.Reasons) > 0 {
		return
	}
	a.again(ctx)
}

// stopped says whether the context has ended, and notes why; what was found
// because of that is no reason of its own.
func (a *attempt) stopped(ctx context.Context) bool {
	r := a.result
	cause := context.Cause(ctx)
	var signal *gates.SignalError
	switch {
	case cause == nil:
		return false
	case errors.Is(cause, errTimeout):
		r.Reasons = []Reason{{CodeTimeout, fmt.Sprintf("not done after %s; give a longer -timeout", a.opts.Timeout)}}
	case errors.As(cause, &signal):
		r.Reasons = []Reason{{CodeInterrupted, cause.Error()}}
		r.interrupted = gates.Outcome{Interrupted: signal}.ExitCode()
	default:
		r.Reasons = []Reason{{CodeInterrupted, cause.Error()}}
	}
	r.Verdict, r.Outcome, r.Report = evidence.Unverified, NotReproducible, nil
	return true
}

func short(digest string) string {
	if digest == "" {
		return "none"
	}
	return digest[:min(12, len(digest))]
}

// oneLine is the text of an error in one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
