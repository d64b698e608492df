//go:build linux || darwin || freebsd || netbsd

package archive

import "syscall"

// inherited says whether the process may have been started with a descriptor:
// what it opened itself since is closed when another program is started.
func inherited(fd int) bool {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
	return errno == 0 && flags&syscall.FD_CLOEXEC == 0
}
