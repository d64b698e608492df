//go:build unix

package proc

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// ownGroup makes the child the leader of a new process group, so that one
// signal reaches it and everything it starts.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }

// lowerPriority is nice(1) for the group. It ignores the error: the program
// then only runs as any other does.
func lowerPriority(cmd *exec.Cmd) {
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 10)
}

func terminateGroup(cmd *exec.Cmd) {
	signalGroup(cmd, syscall.SIGTERM)
}

func killGroup(cmd *exec.Cmd) {
	signalGroup(cmd, syscall.SIGKILL)
}

// signalGroup ignores the error: the only one to be had is that nobody is left.
func signalGroup(cmd *exec.Cmd, signal syscall.Signal) {
	_ = syscall.Kill(-cmd.Process.Pid, signal)
}

// maxRSS is the memory of a program that ended, in bytes (getrusage(2)).
func maxRSS(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss) //nolint:unconvert // 32 bits on some systems
	}
	return int64(usage.Maxrss) * 1024 //nolint:unconvert // kilobytes everywhere else, and 32 bits on some systems
}
