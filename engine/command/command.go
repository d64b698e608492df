// Package command is the engine at a command line: it reads a manifest, runs or
// checks it, and shows what happened, for people or as one JSON object.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
)

// Options are what the user typed.
type Options struct {
	// Manifest is the path of the manifest.
	Manifest string
	// Format is "text", the default, or "json": one object on Out, and nothing else there.
	Format string
	// Window names the run's window in place of the manifest's.
	Window string
	// Report, when set, is a file that takes the report as JSON, written whole or not at all.
	Report string
	// Out takes the result, Err progress and errors; os.Stdout and os.Stderr when nil.
	Out, Err io.Writer
	// Interval is the time between two lines of progress where Err is no terminal; 10 s when 0.
	Interval time.Duration
	// Engine is handed to the engine; all connectors when it names none.
	Engine engine.Options
}

// Exit codes of a run.
const (
	statusFailed      = 1
	statusMisuse      = 2
	statusInterrupted = 130
	statusTerminated  = 143
)

// Error is an error with the status that the process should end with.
type Error struct {
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// ExitStatus is the method that mage looks for on an error.
func (e *Error) ExitStatus() int { return e.Status }

func misuse(format string, args ...any) error {
	return &Error{Status: statusMisuse, Err: fmt.Errorf(format, args...)}
}

func (o Options) complete() (Options, error) {
	if o.Engine.Connectors == nil {
		o.Engine.Connectors = connectors.All()
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	if o.Format == "" {
		o.Format = "text"
	}
	if o.Format != "text" && o.Format != "json" {
		return o, misuse("-format=%s: write text or json", o.Format)
	}
	if o.Manifest == "" {
		return o, misuse("-manifest is missing: give the path of a manifest, such as -manifest=docs/examples/csv-to-sqlite/manifest.yaml")
	}
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	return o, nil
}

// families are the names of the connectors that the manifest may choose.
func (o Options) families() []string {
	names := make([]string, len(o.Engine.Connectors))
	for i, c := range o.Engine.Connectors {
		names[i] = c.Name
	}
	return names
}

// validation is the result of Validate as JSON.
type validation struct {
	Manifest string             `json:"manifest"`
	Valid    bool               `json:"valid"`
	Process  string             `json:"process,omitempty"`
	PlanHash string             `json:"plan_sha256,omitempty"`
	Problems []manifest.Problem `json:"problems"`
}

// Validate reads a manifest and tells every problem it has.
func Validate(o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	m, err := manifest.Read(o.Manifest, o.families()...)
	v := validation{Manifest: o.Manifest, Valid: err == nil, Problems: []manifest.Problem{}}
	var problems *manifest.Problems
	switch {
	case errors.As(err, &problems):
		v.Problems = problems.List
	case err != nil:
		return &Error{Status: statusMisuse, Err: err}
	default:
		v.Process, v.PlanHash = m.Name, m.PlanHash()
	}
	if o.Format == "json" {
		if werr := writeJSON(o.Out, v); werr != nil {
			return werr
		}
	} else if err == nil {
		fmt.Fprintf(o.Out, "PASS  %s: %s, %s from %s to %s\n", o.Manifest, m.Name, m.Sink.Strategy.Mode, m.Source.Type, m.Sink.Type)
	}
	if err != nil {
		return &Error{Status: statusMisuse, Err: err}
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// softMemory is where the garbage collector begins to work harder, in bytes: what a
// run holds at a time is far less, and the process should not grow to a multiple of it.
const softMemory = 40 << 20

// frugal sets the limit for a run, unless GOMEMLIMIT has set one, and gives what ends it.
func frugal() (restore func()) {
	before := debug.SetMemoryLimit(-1)
	if before != math.MaxInt64 {
		return func() {}
	}
	debug.SetMemoryLimit(softMemory)
	return func() { debug.SetMemoryLimit(before) }
}

// Run runs a manifest. It returns nil only when the run passed.
func Run(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	m, err := manifest.Read(o.Manifest, o.families()...)
	if err != nil {
		return &Error{Status: statusMisuse, Err: err}
	}
	ctx, stop := untilSignal(ctx)
	defer stop()
	defer frugal()()
	o.Engine.Window = o.Window
	watch := newProgress(o.Err, isTerminal(o.Err), o.Interval)
	o.Engine.Progress = watch.show
	report, runErr := engine.Run(ctx, m, o.Engine)
	watch.end()
	if o.Report != "" {
		if err := writeFile(o.Report, report); err != nil {
			runErr = errors.Join(runErr, err)
		}
	}
	if o.Format == "json" {
		err = writeJSON(o.Out, report)
	} else {
		err = writeText(o.Out, report)
	}
	if runErr != nil {
		return &Error{Status: status(ctx), Err: runErr}
	}
	return err
}

func status(ctx context.Context) int {
	var s signalError
	if errors.As(context.Cause(ctx), &s) {
		if s.Signal == syscall.SIGTERM {
			return statusTerminated
		}
		return statusInterrupted
	}
	return statusFailed
}

type signalError struct{ os.Signal }

func (s signalError) Error() string { return "ended by signal " + s.String() }

// untilSignal ends the context on SIGINT and SIGTERM, so that the run rolls back and still reports.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			cancel(signalError{s})
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// writeFile writes the report beside its place and moves it there.
func writeFile(path string, report engine.Report) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of reports is for everybody
		return fmt.Errorf("write the report: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb"
}

func sentence(s string) string { return strings.ReplaceAll(s, "\n", " ") }
