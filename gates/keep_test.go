package gates_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

func TestKeep(t *testing.T) {
	artifacts := t.TempDir()
	var said []string
	keep := func(err error) gates.Options {
		return gates.Options{
			Artifacts: artifacts,
			Environ:   []string{"DPONE_API_TOKEN=s3cr3t-of-the-service"},
			Keep: func(_ context.Context, root, folder string) ([]string, error) {
				assert.Equal(t, root, artifacts)
				assert.Equal(t, filepath.Dir(folder), filepath.Join(artifacts, "ci"))
				return []string{"kept by s3cr3t-of-the-service"}, err
			},
			Sink: func(e gates.Event) {
				if e.End != nil {
					said = e.End.Kept
				}
			},
		}
	}
	outcome := run(t, t.Context(), gate(step("a", green)), keep(nil))
	assert.Equal(t, outcome.ExitCode(), 0)
	assert.Equal(t, len(said), 1)
	assert.Assert(t, said[0] != "kept by s3cr3t-of-the-service", "%q", said)

	// What could not be kept takes PASS away, and nothing else.
	outcome = run(t, t.Context(), gate(step("a", green)), keep(errors.New("the log is cut")))
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	assert.ErrorContains(t, outcome.Trouble, "the log is cut")
	assert.Equal(t, outcome.ExitCode(), 3)
	outcome = run(t, t.Context(), gate(step("a", red)), keep(errors.New("the log is cut")))
	assert.Equal(t, outcome.ExitCode(), 1)
}
