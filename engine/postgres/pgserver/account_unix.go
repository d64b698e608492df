//go:build unix

package pgserver

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is whom the server programs run as when the caller is root. The nil
// account is the caller.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged gives the account for the server programs: the caller, or for
// root "postgres", or else "nobody".
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(found.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(found.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("%w: PostgreSQL does not run as root, and there is no account postgres or nobody to run it as; fix: add one (useradd --system postgres), or run as another user, or set DPONE_IT_PG_DSN", ErrNoServer)
}

func (a *account) String() string {
	if a == nil {
		return "the caller"
	}
	return a.name
}

// own gives a file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Lchown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to the account %s: %w", path, a.name, err)
	}
	return nil
}

// reaches says which folder on the way to dir the account cannot enter.
func (a *account) reaches(dir string) error {
	if a == nil {
		return nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(real)
		if err != nil {
			return err
		}
		if !a.enters(info) {
			return fmt.Errorf("the account %s, as which the server runs because PostgreSQL does not run as root, cannot enter %s (mode %s)", a.name, real, info.Mode())
		}
		parent := filepath.Dir(real)
		if parent == real {
			return nil
		}
		real = parent
	}
}

// enters reads the permission bits. Access lists are not looked at: the error
// of the program that fails on one names the folder itself.
func (a *account) enters(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	bit := fs.FileMode(0o001)
	switch {
	case owner.Uid == a.uid:
		bit = 0o100
	case owner.Gid == a.gid:
		bit = 0o010
	}
	return info.Mode()&bit != 0
}

// attributes prepares a command to run as the account, in a session of its own,
// so that a signal to the caller's process group, such as the one of Ctrl-C,
// leaves it to the caller to end it in good order. onParentDeath is the signal
// that the command gets when the thread that started it ends (Linux only).
func (a *account) attributes(cmd *exec.Cmd, onParentDeath syscall.Signal) {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	setParentDeathSignal(attr, onParentDeath)
	cmd.SysProcAttr = attr
}

// killGroup ends a command that has a session of its own and all that it started.
func killGroup(cmd *exec.Cmd) error {
	return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
