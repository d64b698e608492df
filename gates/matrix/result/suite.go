package result

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/junit"
)

// Suite is the results as a suite of tests, sorted by case: FAIL is a failure, UNVERIFIED an
// error, SKIP is skipped. A result that [Case.Validate] refuses is an error as well, unless
// it is a failure already.
func Suite(results []Case) junit.Suite {
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, func(a, b Case) int { return strings.Compare(a.ID, b.ID) })
	suite := junit.Suite{Name: "matrix", Package: "matrix"}
	for i := range sorted {
		c := &sorted[i]
		took := time.Duration(thousandths(c.Durations.Total) * float64(time.Second))
		suite.Time += took
		if suite.Timestamp.IsZero() || !c.StartedAt.IsZero() && c.StartedAt.Before(suite.Timestamp) {
			suite.Timestamp = c.StartedAt
		}
		suite.Cases = append(suite.Cases, testcase(c, took))
	}
	suite.Properties = properties(sorted)
	return suite
}

// properties are what all results have in common; where they differ, all values are named.
func properties(results []Case) []junit.Property {
	names := []string{"mode", "seed", "rows", "commit", "engine"}
	values := map[string][]string{}
	for i := range results {
		c := &results[i]
		told := []string{string(c.Mode), "", "", c.Build.Commit, c.Build.Engine}
		if c.Fixture.Rows > 0 {
			told[1], told[2] = strconv.FormatUint(c.Fixture.Seed, 10), strconv.FormatInt(c.Fixture.Rows, 10)
		}
		for j, v := range told {
			if v != "" && !slices.Contains(values[names[j]], v) {
				values[names[j]] = append(values[names[j]], v)
			}
		}
	}
	all := make([]junit.Property, 0, len(names))
	for _, name := range names {
		if len(values[name]) > 0 {
			slices.Sort(values[name])
			all = append(all, junit.Property{Name: name, Value: strings.Join(values[name], ", ")})
		}
	}
	return all
}

func testcase(c *Case, took time.Duration) junit.Case {
	t := junit.Case{Name: c.ID, Classname: "matrix." + c.Pair, Time: took}
	v := c.Verdict()
	if err := c.Validate(); err != nil && v != evidence.Fail {
		t.Error = &junit.Detail{Message: err.Error(), Type: CaseInvalid, Body: err.Error() + "\n" + pointers(c, CaseInvalid)}
		return t
	}
	switch v {
	case evidence.Fail:
		e := Result{Failing: c.Checks}
		t.Failure = &junit.Detail{Message: e.failed(), Type: e.first(), Body: account(c) + pointers(c, e.first())}
	case evidence.Skip:
		t.Skipped = &junit.Detail{Message: c.SkipReason}
	case evidence.Pass:
	default:
		why := cmp.Or(c.Problem, c.SkipReason, "a check could not be evaluated, or there was none")
		t.Error = &junit.Detail{Message: why, Type: CaseUnverified, Body: why + "\n" + account(c) + pointers(c, CaseUnverified)}
	}
	return t
}

// account tells of the checks that are not PASS, and of the first keys that differ.
func account(c *Case) string {
	var b strings.Builder
	for _, k := range c.Checks {
		if k.Verdict == evidence.Pass {
			continue
		}
		fmt.Fprintf(&b, "%s %s: observed %s, expected %s\n", k.Verdict, k.Code, cut(k.Observed, maxText), cut(k.Expected, maxText))
		if k.Why != "" {
			fmt.Fprintf(&b, "    %s\n", cut(k.Why, maxText))
		}
	}
	for i, d := range c.Differences {
		if i == maxDifferences {
			break
		}
		fmt.Fprintf(&b, "key %s is %s", cut(d.Key, maxText), d.Kind)
		switch {
		case d.Column != "":
			fmt.Fprintf(&b, ": column %s is %s, expected %s", d.Column, cut(d.Actual, maxText), cut(d.Expected, maxText))
		case d.Expected+d.Actual != "": // which version of the key
			fmt.Fprintf(&b, " (%s)", cut(d.Expected+d.Actual, maxText))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func pointers(c *Case, code string) string {
	return "reproduce  " + Reproduce(c.ID, c.Identity()) + "\nrunbook    " + Runbook(code) + "\n"
}
