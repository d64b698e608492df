package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/command"
)

// TestExampleTwice runs the example of the documents twice: the second run leaves the rows as they are.
// What the first one prints is held where the README shows it.
func TestExampleTwice(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	assert.NilError(t, os.CopyFS(work, os.DirFS("../../docs/examples/csv-to-sqlite")))
	assert.NilError(t, os.RemoveAll(filepath.Join(work, "people.db")))
	for _, want := range []string{"4 read: 4 inserted", "4 read: 0 inserted, 0 updated, 4 unchanged"} {
		var out bytes.Buffer
		assert.NilError(t, command.Run(t.Context(), command.Options{Manifest: filepath.Join(work, "manifest.yaml"), Out: &out}))
		assert.Assert(t, strings.Contains(out.String(), want), out.String())
	}
}
