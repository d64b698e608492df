// SPDX-License-Identifier: MIT

package licence_test

import (
	"testing"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"

	"example.com/slug/licence"
)

const good = "-- a.go --\n// MIT\n\npackage a\n"

// TestGate shows the gate each verdict once: what is green, what is red, and what it could not tell.
func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		files string
		want  evidence.Verdict
	}{
		"green":   {good, evidence.Pass},
		"red":     {good + "-- b/b.go --\npackage b\n", evidence.Fail},
		"nothing": {"-- a.txt --\nno code\n", evidence.Unverified},
	} {
		root := gatetest.Repository(t, "-- .gitignore --\n/test_artifacts/\n"+c.files)
		outcome := gatetest.Run(t, licence.Gate(licence.Options{Line: "// MIT"}), gates.Options{Root: root})
		if outcome.Record.Verdict != c.want {
			t.Errorf("%s: got %s, want %s", name, outcome.Record.Verdict, c.want)
		}
	}
}
