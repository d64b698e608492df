package pgserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// process is a running postmaster.
type process struct {
	pid  int
	self *os.Process
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read it after done
}

// startProcess starts the command and waits for it in the background. Both
// happen on one thread that lives as long as the command: the parent death
// signal is sent when that thread ends, and the runtime ends idle threads as it
// likes. ended is called before done is closed.
func startProcess(cmd *exec.Cmd, ended func()) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid, p.self = cmd.Process.Pid, cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		ended()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Phases of ending a server, each with what PostgreSQL calls it
// (https://www.postgresql.org/docs/current/server-shutdown.html) and the time
// that it gets before the next.
var phases = []struct {
	signal syscall.Signal
	name   string
	wait   time.Duration
}{
	{syscall.SIGINT, "fast", 20 * time.Second},      // end sessions, write a checkpoint
	{syscall.SIGQUIT, "immediate", 8 * time.Second}, // end at once; the server itself kills what is left after 5 s
	{syscall.SIGKILL, "kill", 5 * time.Second},
}

// end ends the process, beginning with the phase of that number. A context that
// ends hurries: it shortens a phase, but never leaves the process running.
func (p *process) end(ctx context.Context, first int) error {
	for _, phase := range phases[first:] {
		// An error means that it has ended, which is seen below.
		_ = p.self.Signal(phase.signal)
		hurry := ctx.Done()
		if phase.name != "fast" {
			hurry = nil
		}
		timer := time.NewTimer(phase.wait)
		select {
		case <-p.done:
			timer.Stop()
			return nil
		case <-hurry:
			timer.Stop()
		case <-timer.C:
		}
	}
	return fmt.Errorf("process %d of the server does not end", p.pid)
}

// guardScript waits for its standard input to close, which happens when the
// process that holds the other end ends for whatever reason, and then cleans
// up. Before that it is told by lines: "run PID", "gone", "done". On Linux it
// looks at the name of the process, since its number may have a new owner, and
// takes one that nobody has collected yet as ended.
const guardScript = `
pid=
while read -r verb value; do
  case $verb in
  run) pid=$value ;;
  gone) pid= ;;
  done) exit 0 ;;
  esac
done
alive() {
  kill -0 "$pid" 2>/dev/null || return 1
  [ -r "/proc/$pid/stat" ] || return 0
  read -r _ name state _ 2>/dev/null <"/proc/$pid/stat" && [ "$name" = "(postgres)" ] && [ "$state" != Z ]
}
if [ -n "$pid" ] && alive; then
  kill -QUIT "$pid" 2>/dev/null
  n=0
  while [ $n -lt 100 ] && alive; do sleep 0.1; n=$((n+1)); done
  alive && kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$@" 2>/dev/null || { sleep 1; rm -rf -- "$@"; }
`

// guard is a small shell process that cleans up when this one cannot.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func newGuard(folders ...string) (*guard, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", guardScript, "dpone-pg-guard"}, folders...)...)
	cmd.Dir = "/"
	(*account)(nil).attributes(cmd, 0)
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard of the server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard of the server: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

// running tells the guard which process to end.
func (g *guard) running(pid int) error {
	if _, err := io.WriteString(g.pipe, "run "+strconv.Itoa(pid)+"\n"); err != nil {
		return fmt.Errorf("guard of the server: %w", err)
	}
	return nil
}

// gone tells the guard that the process has ended. A guard that does not listen
// looks at the name of the process before it acts.
func (g *guard) gone() { _, _ = io.WriteString(g.pipe, "gone\n") }

// dismiss ends the guard without any cleaning.
func (g *guard) dismiss() {
	if g == nil {
		return
	}
	_, _ = io.WriteString(g.pipe, "done\n")
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}
