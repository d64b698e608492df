//go:build unix

package target_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/poll"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/gatetest"
)

// module is a source tree whose magefiles are testdata/runner.
func module(t *testing.T) string {
	t.Helper()
	ours, err := filepath.Abs("../..")
	assert.NilError(t, err)
	magefile, err := os.ReadFile("testdata/runner/magefile.go")
	assert.NilError(t, err)
	sum, err := os.ReadFile(filepath.Join(ours, "go.sum"))
	assert.NilError(t, err)
	root := gatetest.Repository(t, "-- .gitignore --\n/test_artifacts/\n/started\n/ran\n-- go.mod --\nmodule example.com/runner\n\ngo 1.26\n\ntool github.com/magefile/mage\n\n"+
		"require github.com/dpone/dpone v0.0.0\n\nreplace github.com/dpone/dpone => "+ours+"\n-- go.sum --\n"+string(sum)+"-- magefiles/magefile.go --\n"+string(magefile))
	command(t, root, "go", "mod", "tidy")
	gatetest.Commit(t, root)
	return root
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

// clean is the environment without what a workflow or a terminal adds to it.
func clean(extra ...string) []string {
	environ := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "CI" || name == "NO_COLOR" || strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "DPONE_") || strings.HasPrefix(name, "MAGEFILE_")
	})
	return append(environ, extra...)
}

// TestScripts runs the compiled runner as a user does; see testdata/script.
func TestScripts(t *testing.T) {
	root := module(t)
	bin := t.TempDir()
	command(t, root, "go", "tool", "mage", "-compile", filepath.Join(bin, "runner"))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			// The scripts run in a source tree of their own.
			gatetest.Git(t, env.WorkDir, "init", "-q", "-b", "master")
			gatetest.Git(t, env.WorkDir, "commit", "-q", "--allow-empty", "-m", "first")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// status CODE PROGRAM ARGS... holds the exit code of a program.
			"status": func(ts *testscript.TestScript, neg bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				got := 0
				if err != nil {
					got = -1
					if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // testscript returns it as it is
						got = exit.ExitCode()
					}
				}
				if want, convErr := strconv.Atoi(args[0]); convErr != nil || got != want {
					ts.Fatalf("exit code %d, want %s: %v", got, args[0], err)
				}
			},
		},
	})
}

// record is the newest record of a run that has ended, and holds that the run is
// in the log, which is the last that is written of it.
func record(t *testing.T, root string) *evidence.Record {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "test_artifacts", "ci", folder.Latest, folder.RecordJSON))
	assert.NilError(t, err)
	found, err := evidence.Decode(raw)
	assert.NilError(t, err)
	_, err = os.Stat(filepath.Join(root, "test_artifacts", archive.LogDir+".checkpoint"))
	assert.NilError(t, err)
	return found
}

// A reader that goes away does not cost the record.
func TestClosedPipe(t *testing.T) {
	root := module(t)
	program := filepath.Join(t.TempDir(), "runner")
	command(t, root, "go", "tool", "mage", "-compile", program)
	cmd := exec.Command("sh", "-c", program+" red | true")
	cmd.Dir, cmd.Env = root, clean("DPONE_OUTPUT=plain")
	assert.NilError(t, cmd.Run())
	assert.Equal(t, record(t, root).Verdict, evidence.Fail)
}

// TestSignalsThroughMage stops mage as a person, a workflow and a supervisor
// do. mage itself does not pass SIGTERM on, so its end is watched.
func TestSignalsThroughMage(t *testing.T) {
	root := module(t)
	mage := filepath.Join(t.TempDir(), "mage")
	command(t, root, "go", "build", "-o", mage, "github.com/magefile/mage")
	for name, c := range map[string]struct {
		signal syscall.Signal
		group  bool // to the whole group, as a terminal does
		code   int
	}{
		"Ctrl-C":            {syscall.SIGINT, true, 130},
		"SIGTERM to mage":   {syscall.SIGTERM, false, -1},
		"SIGTERM to group":  {syscall.SIGTERM, true, -1},
		"SIGKILL to mage":   {syscall.SIGKILL, false, -1},
		"compiled, SIGHUP":  {syscall.SIGHUP, false, 129},
		"compiled, SIGTERM": {syscall.SIGTERM, false, 143},
		"compiled, SIGINT":  {syscall.SIGINT, false, 130},
	} {
		t.Run(name, func(t *testing.T) {
			assert.NilError(t, os.RemoveAll(filepath.Join(root, "test_artifacts")))
			assert.NilError(t, os.RemoveAll(filepath.Join(root, "started")))
			program := mage
			if strings.HasPrefix(name, "compiled") {
				program = filepath.Join(t.TempDir(), "runner")
				command(t, root, mage, "-compile", program)
			}
			cmd := exec.Command(program, "slow")
			cmd.Dir, cmd.Env = root, clean("DPONE_OUTPUT=plain")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			// The runner outlives a mage that was killed. It has the same output, and
			// Wait does not return before everybody has closed that.
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 60*time.Second
			assert.NilError(t, cmd.Start())
			poll.WaitOn(t, func(poll.LogT) poll.Result {
				if _, err := os.Stat(filepath.Join(root, "started")); err != nil {
					return poll.Continue("the step has not started")
				}
				return poll.Success()
			}, poll.WithTimeout(60*time.Second), poll.WithDelay(50*time.Millisecond))
			pid := cmd.Process.Pid
			if c.group {
				pid = -pid
			}
			assert.NilError(t, syscall.Kill(pid, c.signal))
			err := cmd.Wait() // its exit code is looked at below
			assert.Check(t, !errors.Is(err, exec.ErrWaitDelay), "somebody is still there: %s", &out)
			if c.code >= 0 {
				assert.Equal(t, cmd.ProcessState.ExitCode(), c.code)
			}
			r := record(t, root)
			assert.Equal(t, r.Verdict, evidence.Unverified)
			step := r.Stable.Steps[1]
			assert.Equal(t, step.Cause, evidence.CauseInterrupted, step.Reason)
			poll.WaitOn(t, func(poll.LogT) poll.Result {
				out, _ := exec.Command("pgrep", "-f", "sleep 600").Output() // none found is exit code 1
				if len(out) > 0 {
					return poll.Continue("still there: %s", out)
				}
				return poll.Success()
			}, poll.WithTimeout(30*time.Second))
			assert.Check(t, is.Len(r.Stable.Blockers, 1))
		})
	}
}
