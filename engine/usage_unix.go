//go:build unix

package engine

import (
	"os"
	"regexp"
	"runtime"
	"strconv"
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
	if own, ok := highWater(); ok {
		bytes = own
	}
	return &seconds, &bytes
}

var vmHWM = regexp.MustCompile(`(?m)^VmHWM:\s+([0-9]+) kB$`)

// highWater is the greatest memory of this program alone. On Linux the number that
// getrusage(2) gives holds that of the program that started it as well, because it outlives exec.
func highWater() (bytes int64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	m := vmHWM.FindSubmatch(status)
	if m == nil {
		return 0, false
	}
	kilobytes, err := strconv.ParseInt(string(m[1]), 10, 64)
	return kilobytes * 1024, err == nil
}
