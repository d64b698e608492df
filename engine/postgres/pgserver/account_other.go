//go:build !unix

package pgserver

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// account exists so that the package builds; only external servers work here.
type account struct{}

func unprivileged() (*account, error) {
	return nil, fmt.Errorf("%w: running one on %s is not supported; fix: set DPONE_IT_PG_DSN to the address of a server", ErrNoServer, runtime.GOOS)
}

func (a *account) String() string { return "the caller" }

func (a *account) own(string) error { return nil }

func (a *account) reaches(string) error { return nil }

func (a *account) attributes(*exec.Cmd, syscall.Signal) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
