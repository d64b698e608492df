package pins_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/gates/pins"
)

// TestCopiesAreTheSame holds the copies against the module files; run it with
// -update after a change of a pin.
func TestCopiesAreTheSame(t *testing.T) {
	tools, err := filepath.Glob("../../magefiles/tools/*")
	assert.NilError(t, err)
	assert.Assert(t, len(tools) > 0)
	for _, dir := range tools {
		name := filepath.Base(dir)
		files, err := os.ReadDir(dir)
		assert.NilError(t, err)
		copies, err := os.ReadDir(name)
		if !golden.FlagUpdate() {
			assert.NilError(t, err)
			assert.Equal(t, len(copies), len(files), "%s: run go test ./gates/pins -update", name)
		}
		for _, entry := range files {
			file := entry.Name()
			want, err := os.ReadFile(filepath.Join(dir, file))
			assert.NilError(t, err)
			copied := filepath.Join(name, file+".txt")
			if golden.FlagUpdate() {
				assert.NilError(t, os.MkdirAll(name, 0o755))
				assert.NilError(t, os.WriteFile(copied, want, 0o644))
			}
			got, err := os.ReadFile(copied)
			assert.NilError(t, err)
			assert.Equal(t, string(got), string(want), "%s: run go test ./gates/pins -update", copied)
		}
		// What a project without pins gets is what we have.
		copied, err := pins.Find(t.TempDir(), name).Read()
		assert.NilError(t, err)
		own, err := pins.Find("../..", name).Read()
		assert.NilError(t, err)
		assert.DeepEqual(t, copied.Version, own.Version)
		assert.DeepEqual(t, copied.Package, own.Package)
	}
}

func TestUnknownTool(t *testing.T) {
	_, err := pins.Find(t.TempDir(), "nope").Read()
	assert.ErrorIs(t, err, fs.ErrNotExist)
}
