package proc_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/gates/proc"
)

func sh(line string) proc.Command { return proc.Command{Name: "sh", Args: []string{"-c", line}} }

func TestRun(t *testing.T) {
	var both bytes.Buffer
	result, err := proc.Run(t.Context(), t.TempDir(), proc.Command{
		Name: "sh", Args: []string{"-c", `echo out; echo err >&2; echo "$X $1"`, "sh", "$HOME *"}, Env: []string{"X=set"},
	}, proc.Options{Output: &both, Capture: 100})
	assert.NilError(t, err)
	assert.Equal(t, string(result.Stdout), "out\nset $HOME *\n", "nothing is expanded")
	assert.Check(t, is.Contains(both.String(), "err\n"))
	assert.Assert(t, result.Duration > 0)
}

func TestStdoutApart(t *testing.T) {
	var out, rest bytes.Buffer
	result, err := proc.Run(t.Context(), ".", sh("echo out; echo err >&2"), proc.Options{Stdout: &out, Output: &rest})
	assert.NilError(t, err)
	assert.Equal(t, out.String(), "out\n")
	assert.Equal(t, rest.String(), "err\n")
	assert.Equal(t, result.Tail, "err")
}

func TestErrorsSayWhetherTheProgramCouldBeAsked(t *testing.T) {
	var exit *proc.ExitError
	var broken *proc.BrokenError
	_, err := proc.Run(t.Context(), ".", sh("echo why >&2; exit 7"), proc.Options{})
	assert.Assert(t, errors.As(err, &exit) && !errors.As(err, &broken))
	assert.Equal(t, exit.Code, 7)
	assert.Check(t, is.Contains(err.Error(), "why"))
	code, ok := proc.ExitCode(err)
	assert.Assert(t, ok && code == 7)

	for name, c := range map[string]struct {
		command proc.Command
		options proc.Options
		want    string
	}{
		"not installed":    {proc.Command{Name: "no-such-program"}, proc.Options{}, "not installed"},
		"no directory":     {proc.Command{Name: "sh", Dir: "no/such"}, proc.Options{}, "working directory"},
		"killed":           {sh("kill -9 $$"), proc.Options{}, "killed"},
		"too much output":  {sh("echo 12345"), proc.Options{Capture: 3}, "more than 3 bytes"},
		"output not taken": {sh("echo 12345"), proc.Options{Output: full{}}, "could not be kept"},
	} {
		_, err := proc.Run(t.Context(), ".", c.command, c.options)
		assert.Assert(t, errors.As(err, &broken), "%s: %v", name, err)
		assert.Check(t, is.Contains(err.Error(), c.want), name)
		_, ok := proc.ExitCode(err)
		assert.Assert(t, !ok, name)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestBackground(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no nice(1)")
	}
	niceness := func(background bool) int {
		// The shell waits until the priority is set, which is after it started.
		result, err := proc.Run(t.Context(), ".", sh("sleep 0.3; nice"), proc.Options{Capture: 10, Background: background})
		assert.NilError(t, err)
		n, err := strconv.Atoi(strings.TrimSpace(string(result.Stdout)))
		assert.NilError(t, err)
		return n
	}
	assert.Assert(t, niceness(true) > niceness(false) || niceness(false) >= 10)
}

func TestCancelled(t *testing.T) {
	cause := errors.New("because")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	begin := time.Now()
	_, err := proc.Run(ctx, ".", sh("sleep 60"), proc.Options{})
	assert.ErrorIs(t, err, cause)
	assert.Assert(t, time.Since(begin) < 30*time.Second)
	_, err = proc.Run(ctx, ".", sh("touch /never"), proc.Options{})
	assert.ErrorIs(t, err, cause)
}

// A grandchild that keeps the pipes open does not keep Run waiting.
func TestPipesHeldOpen(t *testing.T) {
	begin := time.Now()
	_, err := proc.Run(t.Context(), ".", sh("sleep 60 & exit 0"), proc.Options{Output: &bytes.Buffer{}})
	assert.NilError(t, err)
	assert.Assert(t, time.Since(begin) < 30*time.Second)
}

func TestCommandLine(t *testing.T) {
	for want, c := range map[string]proc.Command{
		"go vet ./...":                          {Name: "go", Args: []string{"vet", "./..."}},
		"(cd a/b && GOWORK=off go mod tidy)":    {Name: "go", Args: []string{"mod", "tidy"}, Dir: "a/b", Env: []string{"GOWORK=off"}},
		"go test -shuffle=$SEED":                {Name: "go", Args: []string{"test", "-shuffle=$SEED"}},
		`go list -f '{{.Dir}} it'\''s' '' '&&'`: {Name: "go", Args: []string{"list", "-f", "{{.Dir}} it's", "", "&&"}},
	} {
		assert.Equal(t, c.String(), want)
	}
}

func TestTail(t *testing.T) {
	var tail proc.Tail
	assert.Equal(t, tail.String(), "")
	for i := range 100000 {
		_, _ = tail.Write([]byte(strings.Repeat("x", i%50) + "\n"))
	}
	lines := strings.Split(tail.String(), "\n")
	assert.Equal(t, len(lines), proc.TailLines)
	_, _ = tail.Write([]byte(strings.Repeat("y", 1<<20) + "\nlast\n"))
	assert.Assert(t, strings.HasSuffix(tail.String(), "last"))
	assert.Assert(t, len(tail.String()) <= 16<<10)
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":           "plain\ttext\n",
		"\x1b[31mred\x1b[0m":      "red",
		"\x1b[2Jcleared":          `\u001b[2Jcleared`,
		"over\rwrite":             `over\u000dwrite`,
		"dos\r\n":                 "dos\n",
		"\xff\xfe":                `\xff\xfe`,
		"bell\a\x00":              `bell\u0007\u0000`,
		"right\u202eto left":      `right\u202eto left`,
		"ünï, 漢字 and \u00a0space": "ünï, 漢字 and \u00a0space",
	} {
		assert.Equal(t, proc.Printable(in), want)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[31m\xff\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		out := proc.Printable(in)
		for _, r := range out {
			assert.Assert(t, r == '\n' || r == '\t' || r >= ' ' && r != 0x7f, "%q", out)
		}
	})
}

func TestCappedWriter(t *testing.T) {
	var out bytes.Buffer
	w := &proc.CappedWriter{W: &out, Max: 10}
	for range 10 {
		n, err := w.Write([]byte("12345\n"))
		assert.NilError(t, err)
		assert.Equal(t, n, 6)
	}
	assert.NilError(t, w.Close())
	assert.Equal(t, w.Dropped, int64(50))
	assert.Assert(t, strings.HasPrefix(out.String(), "12345\n1234\n[50 bytes left out"), out.String())

	out.Reset()
	w = &proc.CappedWriter{W: &out, Max: 10}
	_, err := w.Write([]byte("1234567890"))
	assert.NilError(t, err)
	assert.NilError(t, w.Close())
	assert.Equal(t, out.String(), "1234567890")
	_, err = (&proc.CappedWriter{W: full{}, Max: 10}).Write([]byte("x"))
	assert.ErrorContains(t, err, "no space")
}

// TestChildrenGetNoKeys holds that no child can sign evidence.
func TestChildrenGetNoKeys(t *testing.T) {
	for _, name := range []string{
		"DPONE_SIGNING_KEY", "DPONE_SIGNING_KEY_FD", "DPONE_SIGNING_KEY_PASSWORD", "DPONE_SIGNING_KEY_PASSWORD_FD",
		"DPONE_LOCAL_ATTESTATION_KEY", "DPONE_LOG_KEY", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	} {
		t.Setenv(name, "a-secret-of-the-runner")
	}
	t.Setenv("DPONE_OTHER", "passed on")
	result, err := proc.Run(t.Context(), ".", sh("env"), proc.Options{Capture: 1 << 20})
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(result.Stdout), "a-secret-of-the-runner"), "%s", result.Stdout)
	assert.Assert(t, strings.Contains(string(result.Stdout), "DPONE_OTHER=passed on"), "%s", result.Stdout)
}
