// Package proc runs child processes for gates: in a process group of their
// own that is gone when Run returns, with bounded output, and with an error
// whose type says whether the program said no or could not be asked.
//
// It has no shell, expands nothing and inherits the environment; a process
// that makes itself a session of its own (setsid) is out of its reach.
package proc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Grace is how long a process group may take to end on its own after it was
// asked to (SIGTERM), before it is killed. The main function that mage
// generates waits five seconds in all after an interrupt; the record has to be
// written in what remains.
const Grace = 2 * time.Second

// Command is a program with its arguments, as a value: what a plan prints is
// what runs.
type Command struct {
	// Name is a program on the PATH, or the path of one.
	Name string
	Args []string
	// Dir is the working directory; relative to the root of the run, "" for the root.
	Dir string
	// Env are additions to the environment, as NAME=value.
	Env []string
}

// String is the command line as one would type it in a POSIX shell.
func (c Command) String() string {
	words := make([]string, 0, len(c.Env)+1+len(c.Args))
	for _, word := range c.Env {
		words = append(words, Quote(word))
	}
	words = append(words, Quote(c.Name))
	for _, word := range c.Args {
		words = append(words, Quote(word))
	}
	line := strings.Join(words, " ")
	if c.Dir != "" && c.Dir != "." {
		line = "(cd " + Quote(filepath.ToSlash(c.Dir)) + " && " + line + ")"
	}
	return line
}

// Quote is a word as a POSIX shell takes it. It leaves $NAME readable: the placeholders of a plan are to be seen.
func Quote(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^$") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Result is what a finished process left.
type Result struct {
	// Stdout is the standard output, when Options asked for it.
	Stdout []byte
	// Tail is the end of what the process printed on both streams.
	Tail string
	// Duration is wall time.
	Duration time.Duration
	// CPU is the processor time, in user and in system mode, of the program and
	// of the children that it waited for.
	CPU time.Duration
	// MaxRSS is the greatest memory that the program, or one of these children,
	// held at once, in bytes; 0 where the system does not tell.
	MaxRSS int64
}

// Options say where the output goes.
type Options struct {
	// Output takes both streams, interleaved as they came; nil drops them.
	Output io.Writer
	// Stdout, when set, takes the standard output instead of Output; the
	// standard error still goes to Output.
	Stdout io.Writer
	// Capture keeps up to that many bytes of the standard output in
	// Result.Stdout, besides what Stdout or Output get. More than that is an error.
	Capture int
	// Background lets the program give way to others when processors are short.
	Background bool
	// Stdin is the standard input; none if nil.
	Stdin io.Reader
	// Line is how errors call the command; the command itself if empty.
	Line string
	// Environ is the whole environment of the program but for [Command].Env; that
	// of this process, without keys, if nil.
	Environ []string
}

// ExitError says that the program ran and ended with a code other than 0.
type ExitError struct {
	Command string
	Code    int
	Tail    string
}

func (e *ExitError) Error() string {
	return withTail(fmt.Sprintf("%s ended with exit code %d", e.Command, e.Code), e.Tail)
}

// BrokenError says that the program could not be asked: it is not there, was
// killed by a signal, or its output could not be kept.
type BrokenError struct {
	Command string
	Reason  string
	Err     error
	Tail    string
}

func (e *BrokenError) Error() string {
	return withTail(fmt.Sprintf("%s: %s", e.Command, e.Reason), e.Tail)
}

func (e *BrokenError) Unwrap() error { return e.Err }

// withTail adds the last line that says something: enough to go on, the rest is in the log.
func withTail(message, tail string) string {
	lines := strings.Split(strings.TrimSpace(tail), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return message + ": " + last
	}
	return message
}

// Run starts the command and waits for it. When ctx ends, the whole process
// group gets SIGTERM, then SIGKILL after [Grace], and the error wraps
// context.Cause(ctx). Whatever the program left running in its group is killed
// when it ends. A non-zero exit code is an *[ExitError], all else that went
// wrong a *[BrokenError].
func Run(ctx context.Context, root string, c Command, o Options) (Result, error) {
	line := cmp.Or(o.Line, c.String())
	if err := context.Cause(ctx); err != nil {
		return Result{}, fmt.Errorf("%s: not started: %w", line, err)
	}
	dir := c.Dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	cmd := exec.Command(c.Name, c.Args...)
	cmd.Dir = dir
	if cmd.Env = slices.Clone(o.Environ); o.Environ == nil {
		cmd.Env = surroundings()
	}
	cmd.Env = append(cmd.Env, c.Env...)
	// Children that outlive the program would keep the pipes open for ever.
	cmd.WaitDelay = Grace

	tail := &Tail{}
	sink := &shared{tail: tail, w: o.Output}
	var capture *Buffer
	var stdout io.Writer = sink
	if o.Stdout != nil {
		stdout = &shared{tail: nil, w: o.Stdout}
	}
	if o.Capture > 0 {
		capture = &Buffer{Max: o.Capture}
		stdout = io.MultiWriter(stdout, capture)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = o.Stdin, stdout, sink
	ownGroup(cmd)
	hideKeys()

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return Result{}, &BrokenError{Command: line, Reason: startReason(c.Name, dir, err), Err: err}
	}
	if o.Background {
		lowerPriority(cmd)
	}
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		terminateGroup(cmd)
		select {
		case <-done:
		case <-time.After(Grace):
			killGroup(cmd)
		}
	}()
	err := cmd.Wait()
	close(done)
	<-stopped
	killGroup(cmd)

	result := Result{Duration: time.Since(start), Tail: tail.String()}
	if state := cmd.ProcessState; state != nil {
		result.CPU, result.MaxRSS = state.UserTime()+state.SystemTime(), maxRSS(state)
	}
	if capture != nil {
		result.Stdout = capture.Bytes()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil && err != nil:
		return result, fmt.Errorf("%s: stopped: %w", line, context.Cause(ctx))
	case sink.err != nil:
		return result, &BrokenError{Command: line, Reason: "its output could not be kept: " + sink.err.Error(), Err: sink.err, Tail: result.Tail}
	case capture != nil && capture.Over:
		return result, &BrokenError{Command: line, Reason: fmt.Sprintf("more than %d bytes of standard output", o.Capture), Err: ErrOutput, Tail: ""}
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		// ErrWaitDelay: the program itself ended with 0, a child held the pipe.
		return result, nil
	case errors.As(err, &exit) && exit.Exited():
		return result, &ExitError{Command: line, Code: exit.ExitCode(), Tail: result.Tail}
	case errors.As(err, &exit):
		return result, &BrokenError{Command: line, Reason: "killed: " + exit.String(), Err: err, Tail: result.Tail}
	}
	return result, &BrokenError{Command: line, Reason: err.Error(), Err: err, Tail: result.Tail}
}

// repositoryVariables lead git to the repository of whoever started us, a hook
// for example, instead of the one of the working directory
// (git rev-parse --local-env-vars).
var repositoryVariables = []string{
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
	"GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE",
	"GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE",
	"GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX",
}

// keyVariables hold the keys that evidence is signed with. No child needs them:
// one that had them could sign what it likes.
var keyVariables = []string{
	"DPONE_SIGNING_KEY", "DPONE_SIGNING_KEY_FD", "DPONE_SIGNING_KEY_PASSWORD", "DPONE_SIGNING_KEY_PASSWORD_FD",
	"DPONE_LOCAL_ATTESTATION_KEY", "DPONE_LOG_KEY", "DPONE_SIGNER",
	"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "SIGSTORE_ID_TOKEN",
}

// IsKey says whether a variable holds a key that evidence is signed with, or what
// leads to one. Children do not get it.
func IsKey(variable string) bool { return slices.Contains(keyVariables, variable) }

// keyDescriptors are variables with the number of a descriptor that a key comes from.
var keyDescriptors = []string{"DPONE_SIGNING_KEY_FD", "DPONE_SIGNING_KEY_PASSWORD_FD"}

// hideKeys keeps the descriptors that keys come from to ourselves, also those
// that nobody has read and closed.
func hideKeys() {
	for _, variable := range keyDescriptors {
		const standard = 3 // the first that is none of the standard ones
		if fd, err := strconv.Atoi(os.Getenv(variable)); err == nil && fd >= standard {
			closeOnExec(fd)
		}
	}
}

// surroundings is the environment that children get.
func surroundings() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(repositoryVariables, name) || slices.Contains(keyVariables, name)
	})
}

// ErrOutput is wrapped when a program printed more than can be taken.
var ErrOutput = errors.New("too much output")

func startReason(name, dir string, err error) string {
	if _, statErr := os.Stat(dir); statErr != nil {
		return "working directory: " + statErr.Error()
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return name + " is not installed, or not on the PATH"
	}
	return err.Error()
}

// ExitCode is the exit code in err, wrapped or not, and whether there is one.
func ExitCode(err error) (int, bool) {
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code, true
	}
	return 0, false
}

// Buffer keeps the first Max bytes that are written to it and drops the rest.
type Buffer struct {
	Max  int
	Over bool // something was dropped
	buf  bytes.Buffer
}

// Write never fails, so that the writer is not disturbed by the limit.
func (b *Buffer) Write(p []byte) (int, error) {
	room := b.Max - b.buf.Len()
	if len(p) > room {
		b.Over = true
		b.buf.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return b.buf.Write(p)
}

// Bytes is what was kept.
func (b *Buffer) Bytes() []byte { return b.buf.Bytes() }

// String is what was kept, as text.
func (b *Buffer) String() string { return b.buf.String() }
