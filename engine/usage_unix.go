//go:build unix

package engine

import (
	"runtime"
	"syscall"
)

// usage gives the processor time and the greatest memory of this process.
func usage() (cpu *float64, rss *int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return nil, nil
	}
	seconds := float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	bytes := int64(u.Maxrss) //nolint:unconvert // 32 bits on some systems
	if runtime.GOOS != "darwin" {
		bytes *= 1024 // kilobytes everywhere else
	}
	return &seconds, &bytes
}
