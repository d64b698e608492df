//go:build unix

package seal_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/seal"
)

// Nothing waits for the other end of a pipe, and a device is never opened.
func TestPipesDevicesAndSockets(t *testing.T) {
	t.Parallel()
	root, _ := sealed(t, small)
	remove(t, root, "record.json")
	assert.NilError(t, syscall.Mkfifo(filepath.Join(root, "record.json"), 0o644))
	want := []string{"record.json not_regular_file"}
	if syscall.Mknod(filepath.Join(root, "null"), syscall.S_IFCHR|0o644, 1<<8|3) == nil {
		want = append([]string{"null not_regular_file"}, want...)
	}
	socket, err := net.Listen("unix", filepath.Join(root, "s"))
	if err == nil { // the path may be too long for one
		defer socket.Close()
		want = append(want, "s not_regular_file")
	}
	assert.DeepEqual(t, told(seal.Verify(t.Context(), root, seal.Options{}).Problems), want)
	_, err = seal.Seal(t.Context(), root, seal.Options{})
	assert.DeepEqual(t, problemsOf(t, err), want)

	remove(t, root, seal.IndexJSON)
	assert.NilError(t, syscall.Mkfifo(filepath.Join(root, seal.IndexJSON), 0o644))
	assert.Assert(t, seal.Verify(t.Context(), root, seal.Options{}).Has(seal.CodeNotRegular))
}
