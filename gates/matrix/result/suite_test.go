package result_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence/junit"
	"github.com/dpone/dpone/gates/matrix/result"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	list := registry()[:5]
	invalid := green(list[4])
	invalid.Actual.Rows = 3
	results := []result.Case{skipped(list[3]), invalid, unverified(list[2]), red(list[1]), green(list[0])}
	before := slices.Clone(results)
	suite := result.Suite(results)
	assert.Equal(t, results[0].ID, before[0].ID, "the caller's list was sorted")
	var b bytes.Buffer
	assert.NilError(t, junit.Write(&b, junit.Suites{Name: "matrix", Suites: []junit.Suite{suite}}))
	golden.Assert(t, b.String(), "suite.xml")

	kinds := map[string]string{}
	for _, c := range suite.Cases {
		switch {
		case c.Failure != nil:
			kinds[c.Name] = "failure " + c.Failure.Type
		case c.Error != nil:
			kinds[c.Name] = "error " + c.Error.Type
		case c.Skipped != nil:
			kinds[c.Name] = "skipped"
		default:
			kinds[c.Name] = "passed"
		}
	}
	assert.DeepEqual(t, kinds, map[string]string{
		list[0].ID: "passed", list[1].ID: "failure row_count_matches_source_snapshot", list[2].ID: "error matrix.case_unverified",
		list[3].ID: "skipped", list[4].ID: "error matrix.case_invalid",
	})
	assert.Equal(t, suite.Timestamp, began)
	assert.Equal(t, suite.Cases[0].Time.Round(time.Millisecond), time.Duration(0))
}

func TestSuiteOfNothing(t *testing.T) {
	t.Parallel()
	suite := result.Suite(nil)
	assert.Equal(t, len(suite.Cases), 0)
	broken := red(registry()[0])
	broken.Durations.Total = math.NaN()
	suite = result.Suite([]result.Case{broken})
	assert.Equal(t, suite.Time, time.Duration(0))
	assert.Assert(t, strings.Contains(suite.Cases[0].Failure.Body, "runbook    docs/runbooks.md#matrix-row-count-matches-source-snapshot"))
}
