package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/worker/protocol"
)

// TestMain is the worker itself when it is asked to be.
func TestMain(m *testing.M) {
	if os.Getenv("DPONE_TEST_WORKER") != "" {
		if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestCases carries out a case that needs no server, from the root of the repository, where the pages are.
func TestCases(t *testing.T) {
	t.Chdir("../../..")
	dir := t.TempDir()
	path := filepath.Join(dir, "request.json")
	raw, err := json.Marshal(protocol.Request{Mode: "mock_local", Rows: 40, Changed: 0.3, Deleted: 0.1, Seed: 1, Cases: []string{"sqlite_to_file__replace"}, Jobs: 1, Scratch: dir})
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, raw, 0o600))
	var out bytes.Buffer
	assert.NilError(t, run(t.Context(), []string{"cases", path}, &out))
	var a protocol.Answer
	assert.NilError(t, json.Unmarshal(out.Bytes(), &a))
	assert.Equal(t, a.Verdict, evidence.Pass, "%s", out.Bytes())
	assert.Equal(t, a.Case, "sqlite_to_file__replace")

	assert.NilError(t, os.WriteFile(path, []byte(`{"cases":["none"]}`), 0o600))
	assert.ErrorContains(t, run(t.Context(), []string{"cases", path}, &out), "none")
	assert.NilError(t, os.WriteFile(path, []byte(`{`), 0o600))
	assert.ErrorContains(t, run(t.Context(), []string{"cases", path}, &out), "request.json")
	assert.ErrorContains(t, run(t.Context(), []string{"cases", filepath.Join(dir, "gone")}, &out), "gone")
	assert.ErrorContains(t, run(t.Context(), []string{"crash"}, &out), "usage")
}

// TestCrash kills the process at a point that the run passes, and says at which one.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	assert.NilError(t, os.CopyFS(dir, os.DirFS("../../../docs/examples/csv-to-sqlite")))
	manifest := filepath.Join(dir, "manifest.yaml")
	for _, point := range connector.Points()[:3] {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "crash", manifest, string(point))
		cmd.Env = append(os.Environ(), "DPONE_TEST_WORKER=1")
		said, err := cmd.Output()
		var ended *exec.ExitError
		assert.Assert(t, errors.As(err, &ended) && !ended.Exited(), "%s: %v", point, err)
		assert.Assert(t, slices.Contains(connector.Points(), connector.Point(strings.TrimSpace(string(said)))), "%s: %q", point, said)
	}
	var out bytes.Buffer
	killed := 0
	assert.NilError(t, crash(t.Context(), manifest, connector.BeforeCommit, &out, func() { killed++ }))
	assert.Assert(t, killed > 0 && strings.HasPrefix(out.String(), "before_commit\nafter_commit\n"), "%d: %s", killed, out.String())
	assert.NilError(t, os.Remove(filepath.Join(dir, "people.csv")))
	out.Reset()
	assert.NilError(t, crash(t.Context(), manifest, connector.AfterExtract, &out, func() {}), "that a run fails is not its affair")
	assert.Equal(t, out.String(), "")
	assert.ErrorContains(t, run(t.Context(), []string{"crash", manifest, "nowhere"}, nil), "there is no point")
	assert.Assert(t, run(t.Context(), []string{"crash", filepath.Join(dir, "none.yaml"), "mid_copy"}, nil) != nil)
}
