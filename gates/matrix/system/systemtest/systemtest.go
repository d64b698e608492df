// Package systemtest holds what a family of systems gives back against the fixture.
package systemtest

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// Fixture gives one of few rows with every boundary value in it.
func Fixture(t testing.TB, family string, rows int64) *fixture.Fixture {
	t.Helper()
	f, err := fixture.New(fixture.Spec{Seed: 7, Rows: rows, Changed: 0.4, Deleted: 0.1, Family: family})
	assert.NilError(t, err)
	return f
}

// Place gives a case a folder of its own.
func Place(t testing.TB, name, strategy string) system.Place {
	t.Helper()
	return system.Place{Case: name, Strategy: strategy, Dir: t.TempDir(), Events: strategy == "incremental_append"}
}

// Read visits rows, such as [system.Target.Rows] of some columns.
type Read func(each func(fixture.Row) error) error

// Differences holds the rows that are read against those that are wanted, whatever
// their order, and tells at most ten differences.
func Differences(columns []fixture.Column, want iter.Seq[fixture.Row], read Read) ([]string, error) {
	expected := map[string][]fixture.Row{}
	for row := range want {
		id := row[0].Text
		expected[id] = append(expected[id], slices.Clone(row))
	}
	var out []string
	tell := func(format string, args ...any) {
		if len(out) < 10 {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	err := read(func(row fixture.Row) error {
		if len(row) != len(columns) {
			return fmt.Errorf("a row of %d values, there are %d columns", len(row), len(columns))
		}
		id := row[0].Text
		if len(expected[id]) == 0 {
			tell("id %s: extra", id)
			return nil
		}
		if i := slices.IndexFunc(expected[id], func(r fixture.Row) bool { return slices.Equal(r, row) }); i >= 0 {
			expected[id] = slices.Delete(expected[id], i, i+1)
			return nil
		}
		for i, v := range expected[id][0] {
			if row[i] != v {
				tell("id %s: %s is %s, not %s", id, columns[i].Name, show(row[i]), show(v))
			}
		}
		expected[id] = expected[id][1:]
		return nil
	})
	for _, id := range slices.Sorted(maps.Keys(expected)) {
		if len(expected[id]) > 0 {
			tell("id %s: missing", id)
		}
	}
	return out, err
}

func show(v fixture.Value) string {
	if v.Null {
		return "NULL"
	}
	if len(v.Text) > 60 {
		return fmt.Sprintf("%q... (%d bytes)", v.Text[:60], len(v.Text))
	}
	return fmt.Sprintf("%q", v.Text)
}

// Same fails the test when there is a difference.
func Same(t testing.TB, columns []fixture.Column, want iter.Seq[fixture.Row], read Read) {
	t.Helper()
	out, err := Differences(columns, want, read)
	assert.NilError(t, err)
	assert.Equal(t, strings.Join(out, "\n"), "")
}

// Differs fails the test unless exactly this is told.
func Differs(t testing.TB, columns []fixture.Column, want iter.Seq[fixture.Row], read Read, differences ...string) {
	t.Helper()
	out, err := Differences(columns, want, read)
	assert.NilError(t, err)
	assert.DeepEqual(t, out, differences)
}
