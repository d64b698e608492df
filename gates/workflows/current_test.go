package workflows

import (
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

func TestCurrent(t *testing.T) {
	t.Parallel()
	upstream := gatetest.Repository(t, "-- a.txt --\na\n")
	clone := filepath.Join(t.TempDir(), "clone")
	gatetest.Git(t, upstream, "clone", "-q", upstream, clone)
	run := func(o CurrentOptions) (code int, verdict string) {
		outcome := gatetest.Run(t, CurrentGate(o), gates.Options{Root: clone})
		step := gatetest.Step(t, outcome, Current)
		assert.Equal(t, len(step.Checks), 1)
		assert.Equal(t, step.Checks[0].Code, codeCurrent)
		return outcome.ExitCode(), step.Checks[0].Observed
	}
	code, _ := run(CurrentOptions{})
	assert.Equal(t, code, 0)

	code, observed := run(CurrentOptions{Branch: "main"})
	assert.Equal(t, code, 1)
	assert.Equal(t, observed, "no such branch")

	gatetest.Write(t, upstream, "-- a.txt --\nb\n")
	gatetest.Commit(t, upstream)
	code, observed = run(CurrentOptions{})
	assert.Equal(t, code, 1)
	assert.Equal(t, len(strings.TrimSpace(observed)), 40)

	code, _ = run(CurrentOptions{Remote: filepath.Join(t.TempDir(), "nowhere")})
	assert.Equal(t, code, 3)
}
