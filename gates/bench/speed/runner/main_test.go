package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
)

// TestRun prints the report of a run, green and red, of a manifest that needs no server.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	assert.NilError(t, os.CopyFS(dir, os.DirFS("../../../../docs/examples/csv-to-sqlite")))
	for _, passes := range []bool{true, false} {
		var out bytes.Buffer
		assert.NilError(t, run([]string{filepath.Join(dir, "manifest.yaml")}, &out))
		var report engine.Report
		assert.NilError(t, json.Unmarshal(out.Bytes(), &report))
		assert.Equal(t, report.Passed, passes, "%s", out.Bytes())
		assert.NilError(t, os.WriteFile(filepath.Join(dir, "people.csv"), []byte("id\nx\n"), 0o600))
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, run(nil, nil), "usage")
	assert.ErrorContains(t, run([]string{filepath.Join(t.TempDir(), "none.yaml")}, nil), "none.yaml")
}
