package proc_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/proc"
)

// With an environment of its own, a program gets nothing else.
func TestEnviron(t *testing.T) {
	t.Setenv("STRAY", "x")
	command := proc.Command{Name: "env", Env: []string{"ADDED=1"}}
	result, err := proc.Run(t.Context(), t.TempDir(), command, proc.Options{Capture: 1 << 20, Environ: []string{"ONLY=this"}})
	assert.NilError(t, err)
	lines := strings.Fields(string(result.Stdout))
	assert.Assert(t, strings.Contains(string(result.Stdout), "ONLY=this\n"), lines)
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		assert.Assert(t, name == "ONLY" || name == "ADDED" || name == "PWD", line)
	}
	result, err = proc.Run(t.Context(), t.TempDir(), command, proc.Options{Capture: 1 << 20})
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(result.Stdout), "STRAY=x\n"))
	assert.Assert(t, proc.IsKey("DPONE_LOG_KEY") && !proc.IsKey("PATH"))
}
