// Package gatetest makes the test of a gate short: a source tree from a txtar
// archive, a run, and the evidence held against what a reader demands.
package gatetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/verify/reader"
	"github.com/dpone/dpone/gates"
)

// Repository writes the files of a txtar archive to a new directory and
// commits them on the branch master.
func Repository(t testing.TB, archive string) string {
	t.Helper()
	// Resolved, so that paths in the output of programs can be compared with it.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	Write(t, dir, archive)
	Git(t, dir, "init", "-q", "-b", "master")
	Commit(t, dir)
	return dir
}

// Write adds the files of a txtar archive to a directory.
func Write(t testing.TB, dir, archive string) {
	t.Helper()
	for _, file := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, file.Data, 0o644))
	}
}

// Commit commits all there is.
func Commit(t testing.TB, dir string) {
	t.Helper()
	Git(t, dir, "add", "-A")
	Git(t, dir, "commit", "-q", "--allow-empty", "-m", "state")
}

// Git runs git with an identity of its own.
func Git(t testing.TB, dir string, args ...string) {
	t.Helper()
	identity := []string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"}
	cmd := exec.Command("git", append(identity, args...)...)
	// In a git hook these lead to the repository of the hook, not to dir.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "GIT_") })
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "git %v: %s", args, out)
}

// Run runs a gate and holds that the evidence on disk is whole and says what
// the outcome says.
func Run(t testing.TB, g gates.Gate, o gates.Options) gates.Outcome {
	t.Helper()
	if o.ToolCache == "" {
		o.ToolCache = os.Getenv("DPONE_TOOL_CACHE")
	}
	outcome, err := gates.Run(t.Context(), g, o)
	assert.NilError(t, err)
	assert.NilError(t, outcome.Trouble)
	OnDisk(t, outcome)
	return outcome
}

// OnDisk holds that what is on disk is the record that was returned, and that
// the index names every other file with its digest.
func OnDisk(t testing.TB, outcome gates.Outcome) {
	t.Helper()
	run, err := reader.Open(t.Context(), outcome.Folder, reader.Options{})
	assert.NilError(t, err)
	defer func() { assert.NilError(t, run.Close()) }()
	assert.Equal(t, run.Record.StableDigest, outcome.Record.StableDigest)
	for _, name := range []string{folder.RecordMD, folder.JUnitXML} {
		_, ok := run.Index.Find(name)
		assert.Assert(t, ok, "%s is not in the index", name)
	}
}

// Step is the step of a record with that ID.
func Step(t testing.TB, outcome gates.Outcome, id string) evidence.Step {
	t.Helper()
	for _, step := range outcome.Record.Stable.Steps {
		if step.ID == id {
			return step
		}
	}
	t.Fatalf("no step %s in the record", id)
	return evidence.Step{}
}
