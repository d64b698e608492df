//go:build unix

package pgserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"
)

// exists says whether a process is there; one that ended and that its new
// parent has not collected yet is not.
func exists(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func ended(pid int) poll.Check {
	return func(poll.LogT) poll.Result {
		if exists(pid) {
			return poll.Continue("process %d is there", pid)
		}
		return poll.Success()
	}
}

var patience = poll.WithTimeout(30 * time.Second)

func TestRootDropsPrivileges(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	s, _ := begin(t, Options{})
	owner := func(path string) uint32 {
		info, err := os.Stat(path)
		assert.NilError(t, err)
		return info.Sys().(*syscall.Stat_t).Uid
	}
	assert.Assert(t, s.account.uid != 0)
	assert.Equal(t, owner(s.DataDir()), s.account.uid)
	if runtime.GOOS == "linux" {
		assert.Equal(t, owner("/proc/"+strconv.Itoa(s.process.pid)), s.account.uid)
	}
	closed := t.TempDir()
	assert.NilError(t, os.Chmod(closed, 0o700))
	_, err := Start(t.Context(), Options{Dir: closed})
	assert.ErrorContains(t, err, "cannot enter")
	assert.ErrorContains(t, err, "fix: give Options.Dir")
	assert.Assert(t, isEmpty(closed))
}

const childVariable = "DPONE_PGSERVER_TEST_CHILD"

// TestChild is not a test but the process that TestDeathOfTheCaller kills.
func TestChild(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("only as a child of another test")
	}
	s, err := Start(context.Background(), Options{Dir: os.Getenv(childVariable)})
	if err != nil {
		fmt.Println("FAILED", err)
		return
	}
	fmt.Println("READY", s.process.pid, s.guard.cmd.Process.Pid)
	select {}
}

func TestDeathOfTheCaller(t *testing.T) {
	t.Parallel()
	need(t)
	for _, test := range []struct {
		name      string
		killGuard bool
	}{{"with guard", false}, {"parent death signal alone", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.killGuard && runtime.GOOS != "linux" {
				t.Skip("only Linux has a parent death signal")
			}
			dir := reachable(t)
			child := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.timeout=2m")
			child.Env = append(os.Environ(), childVariable+"="+dir)
			stdout, err := child.StdoutPipe()
			assert.NilError(t, err)
			assert.NilError(t, child.Start())
			defer child.Process.Kill()
			var server, guard int
			lines := bufio.NewScanner(stdout)
			for guard == 0 && lines.Scan() {
				if n, _ := fmt.Sscanf(lines.Text(), "READY %d %d", &server, &guard); n != 2 {
					t.Log(lines.Text())
				}
			}
			assert.Assert(t, exists(server))
			if test.killGuard {
				assert.NilError(t, syscall.Kill(guard, syscall.SIGKILL))
			}
			assert.NilError(t, child.Process.Kill())
			assert.ErrorContains(t, child.Wait(), "killed")

			poll.WaitOn(t, ended(server), patience)
			poll.WaitOn(t, ended(guard), patience)
			if !test.killGuard {
				assert.Assert(t, isEmpty(dir))
			}
		})
	}
}

// TestGuard shows that the guard alone ends the server and removes the folders,
// as it must where there is no parent death signal.
func TestGuard(t *testing.T) {
	t.Parallel()
	sleep, err := exec.LookPath("sleep")
	assert.NilError(t, err)
	for _, test := range []struct {
		name   string
		tell   func(*guard, int)
		ends   bool // the process
		leaves bool // the folder
	}{
		{"running", func(g *guard, pid int) { assert.NilError(t, g.running(pid)); g.pipe.Close(); _ = g.cmd.Wait() }, true, false},
		{"gone", func(g *guard, pid int) {
			assert.NilError(t, g.running(pid))
			g.gone()
			g.pipe.Close()
			_ = g.cmd.Wait()
		}, false, false},
		{"dismissed", func(g *guard, pid int) { assert.NilError(t, g.running(pid)); g.dismiss() }, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "it's $HOME; a folder")
			assert.NilError(t, os.Mkdir(folder, 0o700))
			program := filepath.Join(t.TempDir(), "postgres") // the guard looks at the name
			text, err := os.ReadFile(sleep)
			assert.NilError(t, err)
			assert.NilError(t, os.WriteFile(program, text, 0o700))
			cmd := exec.Command(program, "1000")
			p, err := startProcess(cmd, func() {})
			assert.NilError(t, err)
			defer func() { _ = p.end(t.Context(), 2) }()
			g, err := newGuard(folder)
			assert.NilError(t, err)

			test.tell(g, p.pid)
			if test.ends {
				<-p.done
			} else {
				assert.Assert(t, exists(p.pid))
			}
			_, err = os.Stat(folder)
			assert.Equal(t, err == nil, test.leaves)
		})
	}
}

func TestCancelDuringStart(t *testing.T) {
	t.Parallel()
	need(t)
	real, _, err := local(t.Context(), Options{})
	assert.NilError(t, err)
	const hangs = "#!/bin/sh\necho began\necho $$ >\"$PGDATA.pid\"\nexec sleep 1000\n"
	for _, program := range []string{"initdb", "postgres"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			binDir, dir := reachable(t), reachable(t)
			assert.NilError(t, os.Chmod(binDir, 0o755))
			assert.NilError(t, os.WriteFile(filepath.Join(binDir, program), []byte(hangs), 0o700))
			assert.NilError(t, os.Chmod(filepath.Join(binDir, program), 0o755))
			for _, other := range []string{"initdb", "postgres"} {
				if other != program {
					assert.NilError(t, os.Symlink(filepath.Join(real, other), filepath.Join(binDir, other)))
				}
			}
			stop := errors.New("the caller changed its mind")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			failed := make(chan error, 1)
			go func() {
				_, err := Start(ctx, Options{BinDir: binDir, Dir: dir, NoCache: true})
				failed <- err
			}()
			var pid int
			poll.WaitOn(t, func(poll.LogT) poll.Result {
				found, _ := filepath.Glob(filepath.Join(dir, "*", "data.pid"))
				if len(found) == 1 {
					text, _ := os.ReadFile(found[0])
					pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
				}
				if pid == 0 {
					return poll.Continue("it has not begun")
				}
				return poll.Success()
			}, patience)
			cancel(stop)
			assert.ErrorIs(t, <-failed, stop)
			poll.WaitOn(t, ended(pid), patience)
			assert.Assert(t, isEmpty(dir))
		})
	}
}
