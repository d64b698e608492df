package result

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
)

// maxDifferences is the number of keys that a case tells of.
const maxDifferences = 20

var (
	family  = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
	anyCode = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
)

// Validate refuses a result that contradicts itself or that no case can have: an id that is
// not made of source, sink and strategy (it becomes the name of a file), a word outside of a
// closed list, a figure that is negative or not finite, and a PASS that its own contents deny.
func (c *Case) Validate() error {
	if err := checkCase(c.Case); err != nil {
		return err
	}
	for _, check := range []func() error{c.words, c.figures, c.deny} {
		if err := check(); err != nil {
			return fmt.Errorf("case %s: %w", c.ID, err)
		}
	}
	return nil
}

// checkCase looks at what the registry says of a case.
func checkCase(c cases.Case) error {
	for name, value := range map[string]string{"source": c.Source, "sink": c.Sink} {
		if !family.MatchString(value) {
			return fmt.Errorf("case %q: %s %q is not a name of a family (%s)", c.ID, name, value, family)
		}
	}
	if !slices.Contains(manifest.Modes(), c.Strategy) {
		return fmt.Errorf("case %q: strategy %q is not one of %v", c.ID, c.Strategy, manifest.Modes())
	}
	if want := c.Source + "_to_" + c.Sink; c.Pair != want {
		return fmt.Errorf("case %q: pair_id %q is not that of its source and sink, %s", c.ID, c.Pair, want)
	}
	if want := c.Pair + "__" + string(c.Strategy); c.ID != want {
		return fmt.Errorf("case %q: case_id is not that of its source, sink and strategy, %s", c.ID, want)
	}
	return nil
}

// words holds the closed lists.
func (c *Case) words() error {
	if !slices.Contains(cases.Modes(), c.Mode) {
		return fmt.Errorf("run_mode %q is not one of %v", c.Mode, cases.Modes())
	}
	for _, k := range c.Checks {
		if !anyCode.MatchString(k.Code) {
			return fmt.Errorf("quality check %q: the code is not of the form %s", k.Code, anyCode)
		}
		if k.Verdict > evidence.Skip {
			return fmt.Errorf("quality check %s: verdict %d is not one", k.Code, k.Verdict)
		}
	}
	for _, d := range c.Differences {
		if !slices.Contains([]string{"missing", "extra", "changed"}, d.Kind) {
			return fmt.Errorf("difference at key %q: kind %q is not missing, extra or changed", d.Key, d.Kind)
		}
	}
	if n := len(c.Differences); n > maxDifferences {
		return fmt.Errorf("%d differences, at most %d are told", n, maxDifferences)
	}
	for _, s := range [][]Row{c.Samples.TargetBefore, c.Samples.SourceRows, c.Samples.Expected, c.Samples.Actual} {
		if len(s) > maxSamples {
			return fmt.Errorf("%d sample rows, at most %d are told", len(s), maxSamples)
		}
	}
	return nil
}

type figure struct {
	name  string
	value float64
}

// figures holds that numbers are finite and not negative.
func (c *Case) figures() error {
	all := []figure{
		{"configured_row_count", float64(c.Fixture.Rows)},
		{"change_ratio", c.Fixture.Changed},
		{"delete_ratio", c.Fixture.Deleted},
		{"counts.rows", float64(c.Counts.Rows)},
		{"counts.changed", float64(c.Counts.Changed)},
		{"counts.deleted", float64(c.Counts.Deleted)},
		{"counts.inserted", float64(c.Counts.Inserted)},
		{"counts.updated", float64(c.Counts.Updated)},
		{"columns", float64(c.Columns)},
		{"target_before_count", float64(c.TargetBefore)},
		{"source_row_count", float64(c.SourceRows)},
		{"expected_row_count", float64(c.Expected.Rows)},
		{"actual_row_count", float64(c.Actual.Rows)},
		{"durations.fixture", c.Durations.Fixture},
		{"durations.engine", c.Durations.Engine},
		{"durations.check", c.Durations.Check},
		{"durations.total", c.Durations.Total},
	}
	for _, contents := range [][]compare.ColumnContents{c.Expected.Columns, c.Actual.Columns} {
		for _, column := range contents {
			all = append(all, figure{"NULLs of " + column.Name, float64(column.Nulls)})
		}
	}
	for _, r := range c.Runs {
		all = append(all, figure{"rows_read of run " + r.Name, float64(r.Rows)}, figure{"seconds of run " + r.Name, r.Seconds})
		for name, n := range r.Counters {
			all = append(all, figure{name + " of run " + r.Name, float64(n)})
		}
	}
	for _, f := range all {
		if math.IsNaN(f.value) || math.IsInf(f.value, 0) || f.value < 0 {
			return fmt.Errorf("%s is %v, which is negative or not a number", f.name, f.value)
		}
	}
	if c.Fixture.Changed > 1 || c.Fixture.Deleted > 1 {
		return errors.New("change_ratio and delete_ratio are at most 1")
	}
	return nil
}

// deny looks for what a case that passed cannot have. The checks decide; but checks that
// passed beside contents that differ mean that a check was left out or is wrong.
func (c *Case) deny() error {
	if c.Verdict() != evidence.Pass {
		return nil
	}
	passed := func(name string) bool {
		return slices.ContainsFunc(c.Runs, func(r Run) bool { return r.Name == name && r.Passed })
	}
	failed := slices.IndexFunc(c.Runs, func(r Run) bool { return !r.Passed && r.Name != "crash" })
	switch {
	case c.Expected.Digest == "" || c.Actual.Digest == "":
		return errors.New("its checks passed and no rows were compared: a digest is missing")
	case c.Expected.Digest != c.Actual.Digest || c.Expected.Rows != c.Actual.Rows:
		return fmt.Errorf("its checks passed although %d rows, %s, are not the expected %d rows, %s",
			c.Actual.Rows, c.Actual.Digest, c.Expected.Rows, c.Expected.Digest)
	case len(c.Differences) > 0:
		return fmt.Errorf("its checks passed although key %q is %s", c.Differences[0].Key, c.Differences[0].Kind)
	case !passed("load") || !passed("again"):
		return errors.New(`its checks passed without a run "load" and a run "again" of the engine that passed`)
	case failed >= 0:
		return fmt.Errorf("its checks passed although run %q of the engine failed", c.Runs[failed].Name)
	case c.Fixture.Rows < 1 || c.Counts.Rows != c.Fixture.Rows:
		return fmt.Errorf("its checks passed with %d rows of the %d that were configured", c.Counts.Rows, c.Fixture.Rows)
	}
	return nil
}
