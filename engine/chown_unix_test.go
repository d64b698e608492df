//go:build unix

package engine_test

import (
	"io/fs"
	"os"
	"syscall"
)

// chown gives a file to the owner of another one.
func chown(path string, owner fs.FileInfo) error {
	if s, ok := owner.Sys().(*syscall.Stat_t); ok {
		return os.Chown(path, int(s.Uid), int(s.Gid))
	}
	return nil
}
