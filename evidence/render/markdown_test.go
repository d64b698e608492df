package render_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/render"
)

func record(t *testing.T, steps ...evidence.Step) *evidence.Record {
	t.Helper()
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	r := &evidence.Record{
		Stable: evidence.Stable{
			Gate:        evidence.Gate{ID: "ci", Doc: "All is well.", Runbook: "docs/runbooks.md#ci"},
			Invocation:  evidence.Invocation{Target: "ci", Command: "mage ci", Options: json.RawMessage("{}")},
			Source:      evidence.Source{Commit: strings.Repeat("a", 40)},
			Environment: evidence.Environment{OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{{Name: "gofumpt", Version: "v0.12.0", SHA256: "cc"}}},
			Steps:       steps,
		},
		Volatile: evidence.Volatile{Run: "r", Origin: evidence.Origin{Ref: "refs/heads/master"}, Started: at, Finished: at.Add(time.Minute), DurationMS: 60000, CI: evidence.CI{Provider: "local"}},
	}
	assert.NilError(t, r.Seal())
	return r
}

func step(id string, checks ...evidence.Check) evidence.Step {
	return evidence.Step{ID: id, Doc: "So.", Runbook: "docs/runbooks.md#x", Reproduce: "mage " + id, Checks: checks}
}

func TestGolden(t *testing.T) {
	pass := evidence.Expect("x.ok", "it", true, "so", "so", "")
	green := record(t, step("a", pass))
	green.Volatile.Steps = []evidence.StepRun{{ID: "a", DurationMS: 1500, Fact: "3 files"}}

	red := record(t, step("a", pass, evidence.Finding("x.find", "a/b.go", 3, "bad | <b>thing</b> `x` @someone\n# not a heading", "mend *it*"),
		evidence.Expect("x.limit", "all", false, "below 80.0%", "at least 80.0%", "test more")), step("b", evidence.Skipped("x.skip", "s", "e", "no compiler", "install gcc")))
	red.Volatile.Measurements = []evidence.Measurement{{Step: "a", Code: "x.limit", Subject: "all", Value: "57.3%"}}
	red.Stable.Skips = []evidence.Skipping{{Subject: "x.skip s", Reason: "no compiler"}}
	red.Stable.Warnings = []string{"dirty"}
	red.Stable.Partial = true

	blocked := step("b")
	blocked.Cause, blocked.Reason = evidence.CauseBlocked, "a is FAIL"
	unverified := record(t, step("a", pass), blocked)

	for name, r := range map[string]*evidence.Record{"green": green, "red": red, "unverified": unverified} {
		golden.Assert(t, render.Markdown(r), name+".md")
	}
}

func TestManyFindingsAreCounted(t *testing.T) {
	var checks []evidence.Check
	for i := range 60 {
		checks = append(checks, evidence.Finding("x.find", fmt.Sprintf("f%d.go", i), 1, "bad", ""))
	}
	s := step("a", checks...)
	s.Omitted = 7
	page := render.Markdown(record(t, s))
	assert.Equal(t, strings.Count(page, "x.find"), 50)
	assert.Assert(t, strings.Contains(page, "and 17 more"), page)
}

func TestDuration(t *testing.T) {
	for ms, want := range map[int64]string{0: "", 49: "", 50: "50ms", 94: "90ms", 996: "1000ms", 1000: "1.0s", 41240: "41.2s", 60000: "1m00s", 192000: "3m12s"} {
		assert.Equal(t, render.Duration(ms), want)
	}
}
