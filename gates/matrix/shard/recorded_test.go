package shard_test

import (
	"math"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/shard"
)

func TestRecordedTakesWhatWasCarriedOut(t *testing.T) {
	t.Parallel()
	var results []result.Case
	for _, c := range []struct {
		id      string
		verdict evidence.Verdict
		seconds float64
	}{
		{"passed", evidence.Pass, 1.5},
		{"failed", evidence.Fail, 2},
		{"broke_off", evidence.Unverified, 3},
		{"not_measured", evidence.Pass, 0},
		{"no_number", evidence.Pass, math.NaN()},
		{"no/id", evidence.Pass, 4},
	} {
		results = append(results, result.Case{
			Case: cases.Case{ID: c.id}, Checks: []compare.Check{{Code: "one", Verdict: c.verdict}}, Durations: result.Durations{Total: c.seconds},
		})
	}
	results = append(results, result.Case{Case: cases.Case{ID: "left_out"}, SkipReason: "not today", Durations: result.Durations{Total: 1}})
	d := shard.Recorded(results)
	assert.DeepEqual(t, d, shard.Durations{"passed": 1.5, "failed": 2})
	_, err := d.Encode()
	assert.NilError(t, err)
}
