// Package result is what the matrix says of its cases: the artifacts of each case,
// the report over all of them, and the reading of both.
package result

import (
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// Case is what happened to one case. Its verdict is computed from its checks, never set.
type Case struct {
	cases.Case
	Mode cases.Mode `json:"run_mode"`
	// Fixture and Counts say which rows were moved.
	Fixture fixture.Spec   `json:"fixture"`
	Counts  fixture.Counts `json:"counts"`
	Columns int            `json:"columns"`
	// Systems are the source's and the sink's, as they said themselves.
	Systems struct {
		Source system.Facts `json:"source"`
		Sink   system.Facts `json:"sink"`
	} `json:"systems"`
	// Manifest is the manifest of the strategy's run.
	Manifest string `json:"manifest"`
	// Runs are the engine's runs in order: seed (where the engine had to fill the target), load, again; and crash before load in real_local.
	Runs []Run `json:"runs"`
	// Checks are the case's findings; Notes what a reader should know.
	Checks []compare.Check `json:"quality_checks"`
	Notes  []string        `json:"notes"`
	// Expected and Actual compare the target after the load with the oracle's.
	TargetBefore int64            `json:"target_before_count"`
	SourceRows   int64            `json:"source_row_count"`
	Expected     compare.Contents `json:"expected"`
	Actual       compare.Contents `json:"actual"`
	// Differences are up to 20 keys that are not as expected.
	Differences []compare.Difference `json:"differences"`
	// Samples are a few of the rows, for a reader; no verdict comes from them.
	Samples Samples `json:"samples"`
	// Problem says why the case could not be carried out, empty when it was. SkipReason says why it was not to be.
	Problem    string `json:"problem,omitempty"`
	SkipReason string `json:"skip_reason,omitempty"`
	// Durations in seconds: engine time and everything else apart.
	Durations Durations `json:"durations"`
	StartedAt time.Time `json:"started_at"`
	// Build says which code was looked at.
	Build Build `json:"build"`
	// ReusedFrom names the run folder that the result was taken over from, empty when the case was carried out in this run.
	ReusedFrom string `json:"reused_from,omitempty"`
}

// Run is one run of the engine in a case.
type Run struct {
	Name     string           `json:"name"`
	RunID    string           `json:"run_id"`
	Passed   bool             `json:"passed"`
	Code     string           `json:"error_code,omitempty"`
	Error    string           `json:"error,omitempty"`
	Counters map[string]int64 `json:"counters"`
	Rows     int64            `json:"rows_read"`
	Receipts []string         `json:"receipts"`
	Seconds  float64          `json:"seconds"`
}

// Durations in seconds.
type Durations struct {
	Fixture float64 `json:"fixture"`
	Engine  float64 `json:"engine"`
	Check   float64 `json:"check"`
	Total   float64 `json:"total"`
}

// Verdict is FAIL when a check failed, UNVERIFIED when the case could not be carried
// out or has no check, SKIP when it was left out with a reason, and otherwise PASS.
func (c *Case) Verdict() evidence.Verdict {
	for i := range c.Checks {
		if c.Checks[i].Verdict == evidence.Fail {
			return evidence.Fail
		}
	}
	if c.SkipReason != "" && len(c.Checks) == 0 && c.Problem == "" {
		return evidence.Skip
	}
	if c.Problem != "" || c.SkipReason != "" || len(c.Checks) == 0 {
		return evidence.Unverified
	}
	for i := range c.Checks {
		if c.Checks[i].Verdict != evidence.Pass {
			return evidence.Unverified
		}
	}
	return evidence.Pass
}
