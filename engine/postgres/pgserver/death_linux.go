package pgserver

import "syscall"

// setParentDeathSignal asks the kernel to signal the child when its parent dies.
// The parent is the thread that started the child, not the process (prctl(2),
// PR_SET_PDEATHSIG): see startProcess, which keeps that thread.
func setParentDeathSignal(attr *syscall.SysProcAttr, signal syscall.Signal) {
	attr.Pdeathsig = signal
}
