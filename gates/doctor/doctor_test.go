//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

func diagnose(t *testing.T, things ...thing) *evidence.Record {
	t.Helper()
	root := gatetest.Repository(t, "-- a.txt --\na\n")
	return gatetest.Run(t, gate(things), gates.Options{Root: root}).Record
}

// program writes a program that answers, or does not.
func program(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "thing"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return dir
}

func TestVerdicts(t *testing.T) {
	answers, fails, silent := program(t, "echo thing 1.2; echo more"), program(t, "echo no engine >&2; exit 1"), program(t, "exit 0")
	there := thing{id: "there", name: "there", programs: []string{"thing"}, places: []string{answers}, disables: "x", get: "install it"}
	for name, c := range map[string]struct {
		thing   thing
		want    evidence.Verdict // of the step
		verdict evidence.Verdict // of the run, beside a thing that is there
	}{
		"there":                {there, evidence.Pass, evidence.Pass},
		"optional and missing": {thing{id: "x", name: "x", programs: []string{"no-such-program"}, disables: "x", get: "y"}, evidence.Skip, evidence.Pass},
		"needed and missing":   {thing{id: "x", name: "x", programs: []string{"no-such-program"}, disables: "x", get: "y", needed: true}, evidence.Unverified, evidence.Unverified},
		"does not work":        {thing{id: "x", name: "x", programs: []string{"thing"}, places: []string{fails}, disables: "x", get: "y"}, evidence.Skip, evidence.Pass},
		"says nothing":         {thing{id: "x", name: "x", programs: []string{"thing"}, places: []string{silent}, disables: "x", get: "y"}, evidence.Skip, evidence.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			if c.thing.id == "there" {
				c.thing.id = "x"
			}
			record := diagnose(t, there, c.thing)
			step := record.Stable.Steps[2]
			assert.Equal(t, step.Verdict, c.want)
			assert.Equal(t, record.Verdict, c.verdict)
			if c.want != evidence.Pass {
				assert.Assert(t, step.Checks[0].Reason != "" && step.Checks[0].Fix == "y")
				return
			}
			assert.Equal(t, step.Checks[0].Observed, "thing 1.2")
		})
	}
}

func TestTheRealThings(t *testing.T) {
	record := diagnose(t, things...)
	assert.Equal(t, len(record.Stable.Steps), len(things)+1)
	assert.Equal(t, record.Stable.Steps[1].Verdict, evidence.Pass, "Go runs this test")
}
