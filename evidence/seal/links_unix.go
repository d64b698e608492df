//go:build unix

package seal

import (
	"io/fs"
	"syscall"
)

// noWait keeps an open from waiting for the other end of a pipe that took the
// place of a file.
const noWait = syscall.O_NONBLOCK

func hardLinks(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink) //nolint:unconvert // its width differs from system to system
	}
	return 1
}
