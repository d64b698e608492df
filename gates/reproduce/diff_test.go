//go:build unix

package reproduce

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/gatetest"
)

// diff calls the command in all forms, which agree.
func diff(t *testing.T, o DiffOptions) (Result, error) {
	t.Helper()
	var r Result
	var first error
	for i, format := range []string{"json", "text", "md"} {
		var out bytes.Buffer
		o.Format, o.Stdout = format, &out
		err := Diff(t.Context(), o)
		if i == 0 {
			first = err
			assert.NilError(t, json.Unmarshal(out.Bytes(), &r), "%v", err)
			continue
		}
		assert.Equal(t, err == nil, first == nil)
		assert.Assert(t, strings.Contains(out.String(), r.Outcome), out.String())
		assert.Assert(t, strings.Contains(out.String(), r.Verdict.String()), out.String())
	}
	return r, first
}

func TestDiff(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	a := c.run(t, nil, "facts")
	r, err := diff(t, DiffOptions{A: a, B: filepath.Join(a, "record.json")})
	want(t, r, err, Same, 0)
	b := c.run(t, nil, "facts")
	r, err = diff(t, DiffOptions{A: a, B: b})
	want(t, r, err, Same, 0)
	assert.Assert(t, r.Report.A.Run != r.Report.B.Run)

	c.write(t, "ignored.txt", "no\n")
	b = c.run(t, nil, "facts", "-n=1")
	r, err = diff(t, DiffOptions{A: a, B: b})
	want(t, r, err, Differs, 1, CodeDiffers)
	assert.Equal(t, r.Report.Groups[0].Name, "invocation", "what explains the rest comes first")

	other := changed(t, a, func(r *evidence.Record) { r.Stable.Gate.ID = "other" })
	r, err = diff(t, DiffOptions{A: a, B: other})
	want(t, r, err, CouldNotTell, 3, CodeWrongGate)
	assert.Assert(t, r.Report == nil)
	r, err = diff(t, DiffOptions{A: a, B: other, Force: true})
	want(t, r, err, Differs, 1, CodeDiffers)
	assert.Equal(t, len(r.Notes), 1, "b is not sealed")

	r, err = diff(t, DiffOptions{A: filepath.Join(t.TempDir(), "no-such"), B: filepath.Join(a, "record.md")})
	want(t, r, err, CouldNotTell, 3, CodeUnreadable, CodeBadRecord)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = Diff(ctx, DiffOptions{A: a, B: b, Stdout: io.Discard})
	assert.ErrorContains(t, err, CodeInterrupted)
	assert.NilError(t, os.WriteFile(filepath.Join(b, "record.json"), []byte("{}"), 0o644))
	r, err = diff(t, DiffOptions{A: a, B: b})
	want(t, r, err, CouldNotTell, 3, CodeBadRecord)
}

// fixed is a record that is the same on every machine.
func fixed(t *testing.T, change func(*evidence.Record)) string {
	t.Helper()
	r := &evidence.Record{
		Stable: evidence.Stable{
			Gate:        evidence.Gate{ID: "ci", Doc: "All is well.", Runbook: "docs/runbooks.md#ci"},
			Invocation:  evidence.Invocation{Target: "ci", Command: "mage ci", Options: json.RawMessage(`{}`)},
			Source:      evidence.Source{Commit: strings.Repeat("a", 40)},
			Environment: evidence.Environment{OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{{Name: "golangci-lint", Version: "v2.15.0"}}},
			Steps: []evidence.Step{
				{ID: "ci:lint", Checks: []evidence.Check{evidence.Expect("ci.lint", "./...", true, "0 findings", "0 findings", "")}},
				{ID: "ci:vet", Checks: []evidence.Check{evidence.Expect("ci.vet", "./...", true, "0 findings", "0 findings", "")}},
			},
		},
		Volatile: evidence.Volatile{Run: "laptop", DurationMS: 12, Host: evidence.Host{Name: "here", CPUs: 2}},
	}
	change(r)
	assert.NilError(t, r.Seal())
	raw, err := r.Encode()
	assert.NilError(t, err)
	path := filepath.Join(t.TempDir(), "record.json")
	assert.NilError(t, os.WriteFile(path, raw, 0o644))
	return path
}

// What comes from a record is shown and not obeyed, and long lists are cut.
func TestDiffShows(t *testing.T) {
	t.Parallel()
	a := fixed(t, func(*evidence.Record) {})
	b := fixed(t, func(r *evidence.Record) {
		r.Stable.Environment.Tools[0].Version = "v2.16.0"
		r.Stable.Steps[0].Checks = nil
		for i := range maxShown + 2 {
			r.Stable.Steps[0].Checks = append(r.Stable.Steps[0].Checks, evidence.Finding("ci.lint", "a|b`.go", i+1, "<b>\x1b[31m](x) **\n\u202e", ""))
		}
		r.Stable.Steps[1].ID = "::error::x"
		r.Stable.Warnings = []string{strings.Repeat("long ", 100)}
		r.Volatile.Run, r.Volatile.Host.Name, r.Volatile.DurationMS = "ci | run", "there", 7
	})
	for _, format := range []string{"text", "md"} {
		var out bytes.Buffer
		assert.Assert(t, Diff(t.Context(), DiffOptions{A: a, B: b, Format: format, Stdout: &out}) != nil)
		golden.Assert(t, out.String(), "diff."+format)
		for line := range strings.Lines(out.String()) {
			assert.Assert(t, !strings.HasPrefix(strings.TrimSpace(line), "::"), line)
		}
	}
}

// TestScripts runs the compiled targets as a user does, with mage itself below; see testdata/script.
func TestScripts(t *testing.T) {
	m, err := built()
	assert.NilError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			gatetest.Git(t, env.WorkDir, "clone", "-q", m.root, "clone")
			env.Setenv("PATH", filepath.Dir(m.runner)+string(os.PathListSeparator)+env.Getenv("PATH"))
			for _, name := range []string{"HOME", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "XDG_CACHE_HOME"} {
				if value, ok := os.LookupEnv(name); ok {
					env.Setenv(name, value)
				}
			}
			env.Setenv("DPONE_OUTPUT", "plain")
			env.Cd = filepath.Join(env.WorkDir, "clone")
			return os.WriteFile(filepath.Join(env.Cd, "ignored.txt"), []byte("yes\n"), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// status CODE PROGRAM ARGS... holds the exit code of a program.
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				got := 0
				if err := ts.Exec(args[1], args[2:]...); err != nil {
					got = -1
					if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // testscript returns it as it is
						got = exit.ExitCode()
					}
				}
				if want, err := strconv.Atoi(args[0]); err != nil || got != want {
					ts.Fatalf("exit code %d, want %s", got, args[0])
				}
			},
		},
	})
}
