package main

import (
	"bytes"
	"os"
	"strconv"
)

// peakMemory is the greatest memory that the process held at once, in bytes, or
// 0 when the system does not tell. What the parent reads of its child
// (getrusage(2)) would not do: the kernel begins that with what the parent itself held.
func peakMemory() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	text, _, _ := bytes.Cut(rest, []byte("kB"))
	kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}
