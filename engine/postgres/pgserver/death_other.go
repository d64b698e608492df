//go:build unix && !linux

package pgserver

import "syscall"

// setParentDeathSignal does nothing: only Linux has such a signal. The guard
// ends the server here.
func setParentDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
