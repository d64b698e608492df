package proc

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// ownGroup keeps a Ctrl-C of the console away from the child: the runner
// decides when it ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// closeOnExec does nothing: a program gets no handles but those it is given.
func closeOnExec(int) {}

// lowerPriority does nothing: the program runs as any other does.
func lowerPriority(*exec.Cmd) {}

// terminateGroup ends the tree at once: Windows has no signal that asks.
func terminateGroup(cmd *exec.Cmd) {
	// taskkill follows parent links, which a plain kill does not.
	kill := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid))
	if err := kill.Run(); err != nil {
		_ = cmd.Process.Kill()
	}
}

func killGroup(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		terminateGroup(cmd)
	}
}

// maxRSS is not told.
func maxRSS(*os.ProcessState) int64 { return 0 }
