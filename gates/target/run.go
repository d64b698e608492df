// Package target is what stands between mage and a gate: it refuses a wrong
// command line before anything runs ([Guard]), and takes a gate from the flags
// of its target to the exit code ([Run]).
package target

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/terminal"
)

// Flags are the flags that the targets of gates share. nil means not given.
type Flags struct {
	J        *int           // how many steps at once
	Timeout  *time.Duration // ends the run
	FailFast *bool          // stops the other steps when one is FAIL
	Plan     *bool          // prints the graph and runs nothing
	V        *bool          // shows the output of green steps
	Only     *string        // comma-separated steps to run
	Skip     *string        // comma-separated steps to leave out
	// Keeper logs and signs the run; [NewKeeper] if nil. A key that comes from a
	// descriptor can be read once, so a target that signs itself shares its own.
	Keeper *archive.Keeper
}

// NewKeeper is who logs and signs runs, as the environment says. The error is a
// *[gates.UsageError] when a key cannot be used.
func NewKeeper() (*archive.Keeper, error) {
	return archive.NewKeeper(archive.Options{Getenv: os.Getenv, Keyless: Keyless})
}

// Keyless is the signer for the identity that the environment holds; see package
// keyless.
func Keyless() (sign.Signer, error) {
	signer, err := keyless.SignerFromEnvironment(KeylessCommand(), os.Getenv)
	if err != nil {
		return nil, err
	}
	return signer, nil
}

// KeylessCommand is what signs and verifies with identities; it is built when it
// is first needed.
func KeylessCommand() *keyless.Command {
	root := "."
	if wd, err := os.Getwd(); err == nil {
		root = source.Root(wd)
	}
	return keyless.FromEnvironment(root, os.Getenv(EnvToolCache), os.Getenv)
}

// Environment variables that [Run] reads.
const (
	EnvArtifacts   = "DPONE_ARTIFACTS"    // where run folders go
	EnvToolCache   = "DPONE_TOOL_CACHE"   // where built tools are kept
	EnvSecretNames = "DPONE_SECRET_NAMES" // comma-separated variables that bear secrets
	EnvOutput      = "DPONE_OUTPUT"       // tty, plain, github or json
)

// NotGreenError is what a target returns when its gate is not green. mage ends
// with its exit status.
type NotGreenError struct {
	Target string
	// Status is 1 for FAIL, 3 for UNVERIFIED, 130 and 143 after a signal.
	Status int
	// Verdict is the word for it.
	Verdict string
}

func (e *NotGreenError) Error() string { return e.Target + " is " + e.Verdict }

// ExitStatus is the method that mage looks for on an error.
func (e *NotGreenError) ExitStatus() int { return e.Status }

// Run runs a gate in the source tree around the working directory, shows what
// happens on standard output, and returns nil only for PASS. SIGINT and
// SIGTERM end the run with its record written, and so does the end of the mage
// process that started this one: mage does not pass SIGTERM on.
func Run(ctx context.Context, g gates.Gate, f Flags) error {
	environ := os.Environ()
	wd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	opts := gates.Options{
		Root:        source.Root(wd),
		Artifacts:   os.Getenv(EnvArtifacts),
		ToolCache:   os.Getenv(EnvToolCache),
		Jobs:        value(f.J),
		Timeout:     value(f.Timeout),
		FailFast:    value(f.FailFast),
		Only:        names(value(f.Only)),
		Skip:        names(value(f.Skip)),
		ShowOutput:  value(f.V),
		Command:     commandLine(os.Args, g.ID),
		Environ:     environ,
		SecretNames: names(os.Getenv(EnvSecretNames)),
	}
	if f.J != nil && *f.J < 1 {
		return usage("-j=%d: give at least 1", *f.J)
	}
	if f.Timeout != nil && *f.Timeout <= 0 {
		return usage("-timeout=%s: give a positive duration such as 10m", *f.Timeout)
	}
	mode, err := terminal.Detect(environ, term.IsTerminal(int(os.Stdout.Fd())))
	if err != nil {
		return err
	}
	if f.Keeper == nil {
		if f.Keeper, err = NewKeeper(); err != nil {
			return err
		}
	}
	opts.Keep = f.Keeper.Keep
	if value(f.Plan) {
		plan, err := gates.MakePlan(g, opts)
		if err != nil {
			return err
		}
		return terminal.WritePlan(os.Stdout, plan, mode)
	}
	page, err := summary()
	if err != nil {
		// The page is for readers; the verdict does not hang on it.
		fmt.Fprintf(os.Stderr, "the step summary is not written: GITHUB_STEP_SUMMARY: %v\n", err)
		page = discard{}
	}
	defer page.Close()
	screen := terminal.New(terminal.Options{
		Out: os.Stdout, Mode: mode, Colour: terminal.Colour(environ, mode), Width: width(),
		StopToken: rand.Text(), Summary: page,
	})
	opts.Sink = screen.Handle
	ctx, stop := UntilSignal(ctx)
	defer stop()
	outcome, err := gates.Run(ctx, g, opts)
	if err != nil {
		return err
	}
	if code := outcome.ExitCode(); code != 0 {
		verdict := "UNVERIFIED"
		if outcome.Record != nil && outcome.Trouble == nil {
			verdict = outcome.Record.Verdict.String()
		}
		return &NotGreenError{Target: g.ID, Status: code, Verdict: verdict}
	}
	if err := screen.Err(); err != nil && !errors.Is(err, syscall.EPIPE) {
		// Whoever closed the pipe knows; any other reader was shown less than there is.
		fmt.Fprintf(os.Stderr, "show the run: %v\n", err)
		return &NotGreenError{Target: g.ID, Status: evidence.Unverified.ExitCode(), Verdict: evidence.Unverified.String()}
	}
	return nil
}

func usage(format string, args ...any) error {
	return &gates.UsageError{Problem: fmt.Sprintf(format, args...)}
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func names(list string) []string {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, name)
		}
	}
	return out
}

func width() int {
	columns, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0 // no terminal, or one that does not know
	}
	return columns
}

// summary opens the page that GitHub shows for the workflow step, or nothing.
func summary() (io.WriteCloser, error) {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return discard{}, nil
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
}

// discard stands for the page outside GitHub.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// commandLine is what was typed for one target: its name and its flags. A
// target that was called by an alias is not there by name; then it is the
// whole line.
func commandLine(argv []string, id string) string {
	words := []string{"mage"}
	at := slices.IndexFunc(argv[1:], func(arg string) bool { return strings.EqualFold(arg, id) })
	if at < 0 {
		words = append(words, argv[1:]...)
	} else {
		words = append(words, id)
		for _, arg := range argv[at+2:] {
			if !strings.HasPrefix(arg, "-") {
				break
			}
			words = append(words, arg)
		}
	}
	for i := range words {
		words[i] = proc.Quote(words[i])
	}
	return strings.Join(words, " ")
}

// parentPoll is how often the runner looks whether mage is still there.
const parentPoll = 200 * time.Millisecond

// UntilSignal returns a context that a signal ends, with a *[gates.SignalError]
// as cause, and so does the end of the mage process that started this one. The
// function that comes with it gives the signals back.
func UntilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	// A reader that goes away (| head) must not end the run before its record:
	// with a channel for it, SIGPIPE becomes an error of the write.
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	done := make(chan struct{})
	// Only mage is watched: a compiled binary may outlive the shell that started it.
	var tick <-chan time.Time
	mage := os.Getppid()
	if os.Getenv("MAGEFILE_GOCMD") != "" {
		tick = time.Tick(parentPoll)
	}
	go func() {
		for {
			select {
			case got := <-signals:
				names := map[os.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "SIGHUP", syscall.SIGQUIT: "SIGQUIT"}
				cancel(&gates.SignalError{Name: cmp.Or(names[got], "SIGINT")})
				return
			case <-tick:
				if os.Getppid() != mage {
					cancel(&gates.SignalError{Name: "SIGTERM"})
					return
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(pipes)
		close(done)
		cancel(nil)
	}
}
