//go:build linux

package proc_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/proc"
)

// A program does not inherit the descriptor that a key comes from, not even
// when nobody here has read the key and closed it.
func TestDescriptorsOfKeys(t *testing.T) {
	r, w, err := os.Pipe()
	assert.NilError(t, err)
	defer r.Close()
	defer w.Close()
	list := func() string {
		result, err := proc.Run(t.Context(), t.TempDir(), proc.Command{Name: "ls", Args: []string{"-l", "/proc/self/fd"}}, proc.Options{Capture: 1 << 20})
		assert.NilError(t, err)
		return string(result.Stdout)
	}
	for _, variable := range []string{"DPONE_SIGNING_KEY_FD", "DPONE_SIGNING_KEY_PASSWORD_FD"} {
		fd, err := syscall.Dup(int(r.Fd())) // as a shell hands it over
		assert.NilError(t, err)
		pipe, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		assert.NilError(t, err)
		assert.Assert(t, strings.Contains(list(), pipe))
		t.Setenv(variable, strconv.Itoa(fd))
		assert.Assert(t, !strings.Contains(list(), pipe))
		assert.NilError(t, syscall.Close(fd))
		t.Setenv(variable, "")
	}
}
