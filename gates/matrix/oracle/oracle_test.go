package oracle_test

import (
	"fmt"
	"slices"
	"sort"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
)

func made(t testing.TB, rows int64, changed, deleted float64) *fixture.Fixture {
	t.Helper()
	f, err := fixture.New(fixture.Spec{Seed: 3, Rows: rows, Changed: changed, Deleted: deleted, Family: "sqlite"})
	assert.NilError(t, err)
	return f
}

func TestTotals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows                    int64
		changed, deleted        float64
		all, appended, versions int64
	}{
		{10_000, 0.2, 0.05, 10_000, 12_000, 11_500},
		{128, 0.2, 0.05, 128, 153, 147},
		{25_000, 0.2, 0.05, 25_000, 30_000, 28_750},
		{100_000, 0.2, 0.05, 100_000, 120_000, 115_000},
		{100, 0.3, 0.1, 100, 130, 120},
		{10_000, 0.06, 0.05, 9600, 10_600, 10_100},
		{100, 0, 0, 100, 100, 100},
		{1, 0.2, 0.05, 0, 2, 1},
	} {
		f := made(t, c.rows, c.changed, c.deleted)
		for _, strategy := range oracle.Strategies() {
			e, err := oracle.For(strategy, f)
			assert.NilError(t, err)
			want := c.all
			switch strategy {
			case "incremental_append":
				want = c.appended
			case "scd2":
				want = c.versions
			}
			assert.Check(t, is.Equal(e.Rows(), want), "%s of %+v", strategy, c)
		}
		assert.Equal(t, oracle.Before(f).Rows(), c.rows)
		assert.Equal(t, oracle.Before(f).SourceRows(), c.rows)
	}
}

func TestSourceRows(t *testing.T) {
	t.Parallel()
	f := made(t, 10_000, 0.2, 0.05)
	for strategy, want := range map[string]int64{
		"full_refresh": 10_000, "snapshot_diff": 10_000, "scd2": 10_000, "incremental_append": 2000,
		"replace": 1500, "partition_replace": 1500, "backfill": 1500, "incremental_merge": 1500, "xmin": 1500, "cdc": 2000,
	} {
		e, err := oracle.For(strategy, f)
		assert.NilError(t, err)
		assert.Check(t, is.Equal(e.SourceRows(), want), strategy)
	}
	e, err := oracle.For("replace", made(t, 128, 0.2, 0.05))
	assert.NilError(t, err)
	assert.Equal(t, e.SourceRows(), int64(19))
}

func TestUnknownStrategy(t *testing.T) {
	t.Parallel()
	e, err := oracle.For("merge", made(t, 1, 0, 0))
	assert.Assert(t, e == nil)
	assert.ErrorContains(t, err, `strategy "merge" is not one of full_refresh, incremental_append, incremental_merge, replace, partition_replace, snapshot_diff, scd2, backfill, xmin, cdc`)
}

// table is a target that is really loaded: rows as they came, each with its key, version and date.
type table []record

type record struct {
	id              string
	version         string
	date            string
	current, closed bool
}

func read(rows func(func(fixture.Row) bool)) table {
	var t table
	for row := range rows {
		t = append(t, record{id: row[0].Text, date: row[1].Text, version: row[5].Text})
	}
	return t
}

func (t table) without(drop func(record) bool) table { return slices.DeleteFunc(slices.Clone(t), drop) }

func (t table) keys() map[string]record {
	keys := map[string]record{}
	for _, r := range t {
		keys[r.id] = r
	}
	return keys
}

// load applies a strategy to stored rows, step by step, as an engine would: the
// independent second opinion on the oracle.
func load(strategy string, f *fixture.Fixture) table {
	before, after, delta := read(f.Before()), read(f.After()), read(f.Delta())
	merge := func(target table, rows table) table {
		keys := rows.keys()
		return append(target.without(func(r record) bool { _, ok := keys[r.id]; return ok }), rows...)
	}
	refill := func(in func(record) bool) table {
		return append(before.without(in), after.without(func(r record) bool { return !in(r) })...)
	}
	switch strategy {
	case "full_refresh":
		return after
	case "incremental_append":
		return append(before, delta...)
	case "incremental_merge", "xmin": // rows later than the last load, then the keys of the source
		later := after.without(func(r record) bool { return r.version == "0" })
		source := after.keys()
		return merge(before, later).without(func(r record) bool { _, ok := source[r.id]; return !ok })
	case "replace":
		return refill(func(r record) bool { return r.date >= "2026-06-03" })
	case "partition_replace":
		return refill(func(r record) bool { return r.date == "2026-06-03" || r.date == "2026-06-04" })
	case "backfill":
		target := before
		for _, day := range []string{"2026-06-03", "2026-06-04", "2026-06-05"} {
			target = append(target.without(func(r record) bool { return r.date == day }), after.without(func(r record) bool { return r.date != day })...)
		}
		return target
	case "snapshot_diff":
		target, source := before, after.keys()
		target = target.without(func(r record) bool { _, ok := source[r.id]; return !ok })
		had := target.keys()
		return merge(target, after.without(func(r record) bool { return had[r.id] == r }))
	case "cdc":
		target := before
		for _, event := range delta {
			target = target.without(func(r record) bool { return r.id == event.id })
			if event.version != "2" {
				target = append(target, event)
			}
		}
		return target
	case "scd2":
		var target table
		source := after.keys()
		had := map[string]bool{}
		for _, r := range before {
			same := source[r.id] == r
			r.current, r.closed = same, !same
			target = append(target, r)
			had[r.id] = same
		}
		for _, r := range after {
			if !had[r.id] {
				r.current = true
				target = append(target, r)
			}
		}
		return target
	}
	return nil
}

func (t table) lines() []string {
	var all []string
	for _, r := range t {
		all = append(all, fmt.Sprintf("%s/%s current=%t closed=%t", r.id, r.version, r.current, r.closed))
	}
	sort.Strings(all)
	return all
}

func wants(e *oracle.Expected) []string {
	var all []string
	first, last := e.IDs()
	for id := first - 2; id <= last+2; id++ {
		for _, w := range e.Of(id) {
			all = append(all, fmt.Sprintf("%d/%d current=%t closed=%t", id, w.Version, w.Current, w.Closed))
		}
	}
	sort.Strings(all)
	return all
}

// TestAgainstLoads compares every strategy, size and ratio with rows that were really loaded.
func TestAgainstLoads(t *testing.T) {
	t.Parallel()
	ratios := []float64{0, 0.05, 0.2, 0.5, 1}
	for _, rows := range []int64{1, 2, 5, 20, 33} {
		for _, changed := range ratios {
			for _, deleted := range ratios {
				if deleted > changed {
					continue
				}
				f := made(t, rows, changed, deleted)
				what := fmt.Sprintf("%+v", f.Counts())
				for _, strategy := range oracle.Strategies() {
					e, err := oracle.For(strategy, f)
					assert.NilError(t, err)
					loaded := load(strategy, f).lines()
					got := wants(e)
					assert.DeepEqual(t, got, loaded)
					assert.Equal(t, e.Rows(), int64(len(loaded)), "%s %s", strategy, what)
					assert.Equal(t, e.Keyed(), strategy != "scd2" && strategy != "incremental_append")
				}
				before := read(f.Before())
				assert.DeepEqual(t, wants(oracle.Before(f)), before.lines())
				assert.Assert(t, oracle.Before(f).Keyed())
			}
		}
	}
}

func TestHistoryColumns(t *testing.T) {
	t.Parallel()
	assert.DeepEqual(t, oracle.HistoryColumns(), []fixture.Column{
		{Name: "__dpone__valid_from_at", Kind: fixture.TimestampTZ, NotNull: true},
		{Name: "__dpone__valid_to_at", Kind: fixture.TimestampTZ},
		{Name: "__dpone__is_current", Kind: fixture.Bool, NotNull: true},
		{Name: "__dpone__row_hash", Kind: fixture.Text, NotNull: true},
	})
}
