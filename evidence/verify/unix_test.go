//go:build unix

package verify_test

import (
	"syscall"
	"testing"

	"gotest.tools/v3/assert"
)

func pipe(t *testing.T, name string) {
	t.Helper()
	assert.NilError(t, syscall.Mkfifo(name, 0o600))
}
