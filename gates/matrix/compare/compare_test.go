package compare_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
)

func made(t testing.TB, rows int64, changed, deleted float64) *fixture.Fixture {
	t.Helper()
	f, err := fixture.New(fixture.Spec{Seed: 5, Rows: rows, Changed: changed, Deleted: deleted, Family: "sqlite"})
	assert.NilError(t, err)
	return f
}

func clone(rows iter.Seq[fixture.Row]) []fixture.Row {
	var all []fixture.Row
	for row := range rows {
		all = append(all, slices.Clone(row))
	}
	return all
}

// Times of the first and of the second load of a history.
const (
	seeded  = "2026-07-01T08:00:00.000001Z"
	changed = "2026-07-02T08:00:00.000002Z"
)

func version(row fixture.Row, from, to string) fixture.Row {
	end, flag := fixture.Value{Null: true}, "true"
	if to != "" {
		end, flag = fixture.Value{Text: to}, "false"
	}
	return append(slices.Clip(row), fixture.Value{Text: from}, end, fixture.Value{Text: flag}, fixture.Value{Text: "hash of " + row[3].Text})
}

// target is what a faultless load leaves, made of the fixture's iterators and not by the oracle.
func target(f *fixture.Fixture, strategy string) []fixture.Row {
	switch strategy {
	case "before":
		return clone(f.Before())
	case "incremental_append":
		return append(clone(f.Before()), clone(f.Delta())...)
	case "scd2":
		after := map[string]fixture.Row{}
		for _, row := range clone(f.After()) {
			after[row[0].Text] = row
		}
		var all []fixture.Row
		for _, row := range clone(f.Before()) {
			now, there := after[row[0].Text]
			if there && slices.Equal(now, row) {
				all = append(all, version(row, seeded, ""))
				delete(after, row[0].Text)
			} else {
				all = append(all, version(row, seeded, changed))
			}
		}
		for _, row := range after {
			all = append(all, version(row, changed, ""))
		}
		slices.SortStableFunc(all, func(a, b fixture.Row) int { return int(number(a) - number(b)) })
		return all
	}
	return clone(f.After())
}

func number(row fixture.Row) int64 {
	n, _ := strconv.ParseInt(row[0].Text, 10, 64)
	return n
}

// outcome compares rows, in an order of its own, with what is expected.
func outcome(t testing.TB, f *fixture.Fixture, strategy string, rows []fixture.Row) compare.Outcome {
	t.Helper()
	e, err := oracle.For(strategy, f)
	assert.NilError(t, err)
	c := compare.New(f, e, strategy == "scd2")
	for _, i := range rand.New(rand.NewPCG(1, uint64(len(rows)))).Perm(len(rows)) {
		c.Row(rows[i])
	}
	return c.End()
}

// red lists the checks that are not PASS, and holds that each check is complete.
func red(t testing.TB, checks []compare.Check) []string {
	t.Helper()
	var codes []string
	seen := map[string]bool{}
	for _, c := range checks {
		assert.Assert(t, !seen[c.Code] && c.Observed != "" && c.Expected != "", "%+v", c)
		seen[c.Code] = true
		switch c.Verdict {
		case evidence.Pass:
			assert.Equal(t, c.Observed, c.Expected, c.Code)
		case evidence.Fail:
			assert.Assert(t, c.Observed != c.Expected, "%+v", c)
			codes = append(codes, c.Code)
		default:
			t.Errorf("%s is %s", c.Code, c.Verdict)
		}
	}
	return codes
}

var codes = map[string][]string{
	"full_refresh":       {"row_count_matches_full_source", "checksum_matches_full_source"},
	"incremental_append": {"append_count_matches_delta", "existing_rows_preserved"},
	"incremental_merge":  snapshot,
	"replace":            snapshot,
	"partition_replace":  snapshot,
	"backfill":           snapshot,
	"xmin":               snapshot,
	"cdc":                snapshot,
	"snapshot_diff":      append(slices.Clip(snapshot), "snapshot_diff_row_hash_matches"),
	"scd2":               {"scd2_current_rows_match_source", "scd2_history_closed", "row_hash_changes_create_new_versions"},
}

var snapshot = []string{"row_count_matches_source_snapshot", "checksum_matches_source_snapshot", "delete_keys_absent"}

func TestFaultlessLoadsAreGreen(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		rows             int64
		changed, deleted float64
	}{{128, 0.2, 0.05}, {40, 0.5, 0.5}, {30, 0, 0}, {30, 0.2, 0}, {1, 0.2, 0.05}, {2, 1, 0.5}} {
		f := made(t, size.rows, size.changed, size.deleted)
		for _, strategy := range oracle.Strategies() {
			o := outcome(t, f, strategy, target(f, strategy))
			checks := o.Checks(strategy)
			assert.DeepEqual(t, red(t, checks), []string(nil))
			assert.Equal(t, len(o.Differences), 0)
			assert.DeepEqual(t, o.Actual, o.Expected)
			var names []string
			for _, c := range checks {
				names = append(names, c.Code)
			}
			assert.DeepEqual(t, names, append([]string{"rows_match_expected", "wide_columns_preserved", "no_unexpected_null_density"}, codes[strategy]...))
			assert.Equal(t, o.History != "", strategy == "scd2")
		}
		c := compare.New(f, oracle.Before(f), false)
		for row := range f.Before() {
			c.Row(row)
		}
		o := c.End()
		seed := o.Seed()
		assert.Equal(t, seed.Verdict, evidence.Pass)
		assert.Equal(t, seed.Code, "seed_matches_before")
	}
}

// column returns the place of the first wide column of a kind that is never NULL.
func column(f *fixture.Fixture, kind fixture.Kind) int {
	return slices.IndexFunc(f.Columns(), func(c fixture.Column) bool {
		return strings.HasPrefix(c.Name, "wide_") && c.Kind == kind && c.NullPercent == 0
	})
}

// find returns the place of the first row that has the id, the version and, in a history, the flag.
func find(rows []fixture.Row, id int64, variant, flag string) int {
	return slices.IndexFunc(rows, func(r fixture.Row) bool {
		return number(r) == id && (variant == "" || r[5].Text == variant) && (flag == "" || r[len(r)-2].Text == flag)
	})
}

const (
	rowsCheck = "rows_match_expected"
	wideCheck = "wide_columns_preserved"
	nullCheck = "no_unexpected_null_density"
	count     = "row_count_matches_source_snapshot"
	checksum  = "checksum_matches_source_snapshot"
	absent    = "delete_keys_absent"
	hashes    = "snapshot_diff_row_hash_matches"
	grown     = "append_count_matches_delta"
	preserved = "existing_rows_preserved"
	fullCount = "row_count_matches_full_source"
	fullSum   = "checksum_matches_full_source"
	current   = "scd2_current_rows_match_source"
	closed    = "scd2_history_closed"
	versions  = "row_hash_changes_create_new_versions"
)

// TestDefectsAreRed plants one defect at a time into a faultless target. N is 200: deletes
// 1..10, of which 1..5 have the date that becomes empty; updates 11..30; stable 31..200; inserts 201..210.
func TestDefectsAreRed(t *testing.T) {
	t.Parallel()
	f := made(t, 200, 0.2, 0.05)
	lost := func(id int64) func([]fixture.Row) []fixture.Row {
		return func(rows []fixture.Row) []fixture.Row {
			i := find(rows, id, "", "")
			return slices.Delete(rows, i, i+1)
		}
	}
	doubled := func(id int64) func([]fixture.Row) []fixture.Row {
		return func(rows []fixture.Row) []fixture.Row { return append(rows, rows[find(rows, id, "", "")]) }
	}
	// set replaces the first value of the kind for which change says so.
	set := func(kind fixture.Kind, change func(fixture.Value) (fixture.Value, bool)) func([]fixture.Row) []fixture.Row {
		return func(rows []fixture.Row) []fixture.Row {
			for i, row := range rows {
				for at, c := range f.Columns()[6:] {
					if v, ok := change(row[6+at]); ok && c.Kind == kind {
						rows[i][6+at] = v
						return rows
					}
				}
			}
			t.Errorf("no %s to damage", kind)
			return rows
		}
	}
	text := func(from, to string) func(fixture.Value) (fixture.Value, bool) {
		return func(v fixture.Value) (fixture.Value, bool) {
			return fixture.Value{Text: to}, !v.Null && v.Text == from
		}
	}
	put := func(id int64, variant, flag string, change func(fixture.Row)) func([]fixture.Row) []fixture.Row {
		return func(rows []fixture.Row) []fixture.Row {
			i := find(rows, id, variant, flag)
			rows[i] = slices.Clone(rows[i])
			change(rows[i])
			return rows
		}
	}
	nullable := slices.IndexFunc(f.Columns(), func(c fixture.Column) bool {
		return c.Kind == fixture.Text && c.Length == 0 && c.NullPercent == 50
	})
	assert.Assert(t, nullable > 0)
	const from, to, flag, hash = 126, 127, 128, 129
	const hour = "2026-07-02T07:00:00.000002Z"

	for _, d := range []struct {
		what, strategy string
		plant          func([]fixture.Row) []fixture.Row
		red            []string
		difference     compare.Difference // the first, as far as it is given
	}{
		{
			"lost row", "incremental_merge", lost(100),
			[]string{rowsCheck, wideCheck, nullCheck, count, checksum},
			compare.Difference{Key: "100", Kind: "missing", Expected: "mock_variant=0"},
		},
		{
			"doubled row", "full_refresh", doubled(207),
			[]string{rowsCheck, wideCheck, nullCheck, fullCount, fullSum},
			compare.Difference{Key: "207", Kind: "extra", Actual: "mock_variant=1"},
		},
		{
			"one row lost, another doubled", "cdc", func(rows []fixture.Row) []fixture.Row { return doubled(50)(lost(60)(rows)) },
			[]string{rowsCheck, wideCheck, nullCheck, checksum},
			compare.Difference{Key: "50", Kind: "extra"},
		},
		{
			"changed value", "snapshot_diff", put(77, "", "", func(r fixture.Row) { r[column(f, fixture.Int32)].Text += "0" }),
			[]string{rowsCheck, wideCheck, checksum, hashes},
			compare.Difference{Key: "77", Kind: "changed", Column: f.Columns()[column(f, fixture.Int32)].Name},
		},
		{
			"NULL instead of ''", "backfill", set(fixture.Text, func(v fixture.Value) (fixture.Value, bool) { return fixture.Value{Null: true}, !v.Null && v.Text == "" }),
			[]string{rowsCheck, wideCheck, nullCheck, checksum},
			compare.Difference{Kind: "changed", Expected: `""`, Actual: "NULL"},
		},
		{
			"'' instead of NULL", "replace", set(fixture.Text, func(v fixture.Value) (fixture.Value, bool) { return fixture.Value{}, v.Null }),
			[]string{rowsCheck, wideCheck, nullCheck, checksum},
			compare.Difference{Kind: "changed", Expected: "NULL", Actual: `""`},
		},
		{
			"the text NULL instead of NULL", "replace", set(fixture.Text, func(v fixture.Value) (fixture.Value, bool) { return fixture.Value{Text: "NULL"}, v.Null }),
			[]string{rowsCheck, wideCheck, nullCheck, checksum},
			compare.Difference{Kind: "changed", Expected: "NULL", Actual: `"NULL"`},
		},
		{
			"NULL for '' and '' for NULL", "replace", func(rows []fixture.Row) []fixture.Row {
				at := nullable // the number of NULL stays
				empty := slices.IndexFunc(rows, func(r fixture.Row) bool { return r[at] == fixture.Value{} })
				null := slices.IndexFunc(rows, func(r fixture.Row) bool { return r[at].Null })
				rows[empty][at], rows[null][at] = rows[null][at], rows[empty][at]
				return rows
			},
			[]string{rowsCheck, wideCheck, checksum},
			compare.Difference{Kind: "changed"},
		},
		{
			"hour shifted", "xmin", put(20, "", "", func(r fixture.Row) { r[3].Text = strings.Replace(r[3].Text, "T00", "T01", 1) }),
			[]string{rowsCheck, wideCheck, checksum},
			compare.Difference{Key: "20", Column: "updated_at", Expected: "2026-06-10T00:00:00.000020Z", Actual: "2026-06-10T01:00:00.000020Z"},
		},
		{
			"float for decimal", "full_refresh", set(fixture.Decimal, func(v fixture.Value) (fixture.Value, bool) {
				last := len(v.Text) - 1
				if v.Null || last < 18 { // more digits than a float64 has
					return v, false
				}
				return fixture.Value{Text: v.Text[:last] + string('0'+(v.Text[last]-'0'+1)%10)}, true
			}),
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Kind: "changed"},
		},
		{
			"0 for -0", "full_refresh", set(fixture.Float64, text("-0", "0")),
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Kind: "changed", Expected: "-0", Actual: "0"},
		},
		{
			"composed for combining", "full_refresh", set(fixture.Text, text("e\u0301", "\u00e9")),
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Kind: "changed", Expected: `"e\u0301"`, Actual: `"\u00e9"`},
		},
		{
			"line end changed", "full_refresh", set(fixture.Text, text("line\r\nend", "line\nend")),
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Kind: "changed"},
		},
		{
			"deleted key present", "incremental_merge", func(rows []fixture.Row) []fixture.Row { return append(rows, f.Row(7, fixture.Before, nil)) },
			[]string{rowsCheck, wideCheck, nullCheck, count, checksum, absent},
			compare.Difference{Key: "7", Kind: "extra", Actual: "mock_variant=0"},
		},
		{
			"stale update", "cdc", put(15, "1", "", func(r fixture.Row) { f.Row(15, fixture.Before, r) }),
			[]string{rowsCheck, wideCheck, nullCheck, checksum},
			compare.Difference{Key: "15", Kind: "changed", Column: "value"},
		},
		{
			"emptied partition left", "partition_replace", func(rows []fixture.Row) []fixture.Row {
				for id := int64(1); id <= 5; id++ {
					rows = append(rows, f.Row(id, fixture.Before, nil))
				}
				return rows
			},
			[]string{rowsCheck, wideCheck, nullCheck, count, checksum, absent},
			compare.Difference{Key: "1", Kind: "extra"},
		},
		{
			"another partition emptied", "replace", func(rows []fixture.Row) []fixture.Row {
				return slices.DeleteFunc(rows, func(r fixture.Row) bool { return r[1].Text == fixture.SecondStable })
			},
			[]string{rowsCheck, wideCheck, nullCheck, count, checksum},
			compare.Difference{Key: "32", Kind: "missing"},
		},
		{
			"two rows exchanged values", "full_refresh", func(rows []fixture.Row) []fixture.Row {
				i, j, at := find(rows, 50, "", ""), find(rows, 150, "", ""), column(f, fixture.UUID)
				rows[i][at], rows[j][at] = rows[j][at], rows[i][at]
				return rows
			},
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Key: "50", Kind: "changed", Column: f.Columns()[column(f, fixture.UUID)].Name},
		},
		{
			"two columns exchanged values", "full_refresh", put(50, "", "", func(r fixture.Row) { r[1], r[4] = r[4], r[1] }),
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Key: "50", Kind: "changed", Column: "business_date", Actual: "sqlite"},
		},
		{
			"key of nothing", "full_refresh", put(50, "", "", func(r fixture.Row) { r[0].Text = "-50" }),
			[]string{rowsCheck, wideCheck, fullSum},
			compare.Difference{Key: "-50", Kind: "extra"},
		},
		{
			"nothing loaded", "full_refresh", func([]fixture.Row) []fixture.Row { return nil },
			[]string{rowsCheck, wideCheck, nullCheck, fullCount, fullSum},
			compare.Difference{Key: "11", Kind: "missing"},
		},
		{
			"nothing done", "incremental_merge", func([]fixture.Row) []fixture.Row { return clone(f.Before()) },
			[]string{rowsCheck, wideCheck, nullCheck, checksum, absent},
			compare.Difference{Key: "1", Kind: "extra"},
		},
		{
			"event lost", "incremental_append", lost(205),
			[]string{rowsCheck, wideCheck, nullCheck, grown},
			compare.Difference{Key: "205", Kind: "missing"},
		},
		{
			"event twice", "incremental_append", func(rows []fixture.Row) []fixture.Row { return append(rows, rows[find(rows, 12, "1", "")]) },
			[]string{rowsCheck, wideCheck, nullCheck, grown},
			compare.Difference{Key: "12", Kind: "extra", Actual: "mock_variant=1"},
		},
		{
			"append that merges", "incremental_append", func(rows []fixture.Row) []fixture.Row {
				return slices.DeleteFunc(rows, func(r fixture.Row) bool { return r[5].Text == "0" && f.Updated(number(r)) })
			},
			[]string{rowsCheck, wideCheck, nullCheck, grown, preserved},
			compare.Difference{Key: "11", Kind: "missing", Expected: "mock_variant=0"},
		},
		{
			"versions of a key exchanged a value", "incremental_append", func(rows []fixture.Row) []fixture.Row {
				i, j := find(rows, 12, "0", ""), find(rows, 12, "1", "")
				rows[i][2], rows[j][2] = rows[j][2], rows[i][2]
				return rows
			},
			[]string{rowsCheck, preserved},
			compare.Difference{Key: "12", Kind: "changed", Column: "value"},
		},
		{
			"tombstone for delete", "incremental_append", put(3, "2", "", func(r fixture.Row) { r[5].Text = "1" }),
			[]string{rowsCheck, wideCheck},
			compare.Difference{Key: "3", Kind: "changed", Column: "mock_variant", Expected: "2", Actual: "1"},
		},
		{
			"overlap", "scd2", put(12, "", "false", func(r fixture.Row) { r[to].Text = "2026-07-02T09:00:00.000000Z" }),
			[]string{closed},
			compare.Difference{},
		},
		{
			"gap", "scd2", put(12, "", "false", func(r fixture.Row) { r[to].Text = hour }),
			[]string{closed},
			compare.Difference{},
		},
		{
			"late begin", "scd2", put(12, "", "true", func(r fixture.Row) { r[from].Text = "2026-07-02T09:00:00.000000Z" }),
			[]string{closed},
			compare.Difference{},
		},
		{
			"deleted key ends at another time", "scd2", put(2, "", "", func(r fixture.Row) { r[to].Text = hour }),
			[]string{closed},
			compare.Difference{},
		},
		{
			"stable row begins anew", "scd2", put(99, "", "", func(r fixture.Row) { r[from].Text = changed }),
			[]string{closed},
			compare.Difference{},
		},
		{
			"ends before it begins", "scd2", put(2, "", "", func(r fixture.Row) { r[from].Text = "2027-01-01T00:00:00.000000Z" }),
			[]string{closed},
			compare.Difference{},
		},
		{
			"two current rows", "scd2", put(12, "", "false", func(r fixture.Row) { r[to], r[flag].Text = fixture.Value{Null: true}, "true" }),
			[]string{rowsCheck, current, closed},
			compare.Difference{Key: "12", Kind: "changed", Column: "__dpone__is_current", Expected: "false", Actual: "true"},
		},
		{
			"closed version lost", "scd2", func(rows []fixture.Row) []fixture.Row {
				i := find(rows, 12, "", "false")
				return slices.Delete(rows, i, i+1)
			},
			[]string{rowsCheck, wideCheck, nullCheck, closed, versions},
			compare.Difference{Key: "12", Kind: "missing"},
		},
		{
			"update in place", "scd2", func(rows []fixture.Row) []fixture.Row {
				i := find(rows, 12, "", "false")
				return put(12, "", "true", func(r fixture.Row) { r[from].Text = seeded })(slices.Delete(rows, i, i+1))
			},
			[]string{rowsCheck, wideCheck, nullCheck, closed, versions},
			compare.Difference{Key: "12", Kind: "missing"},
		},
		{
			"deleted key stays current", "scd2", put(2, "", "", func(r fixture.Row) { r[to], r[flag].Text = fixture.Value{Null: true}, "true" }),
			[]string{rowsCheck, current, closed},
			compare.Difference{Key: "2", Kind: "changed", Column: "__dpone__is_current"},
		},
		{
			"deleted key is gone", "scd2", lost(2),
			[]string{rowsCheck, wideCheck, nullCheck, closed},
			compare.Difference{Key: "2", Kind: "missing"},
		},
		{
			"deleted key is gone, another twice", "scd2", func(rows []fixture.Row) []fixture.Row { return doubled(3)(lost(2)(rows)) },
			[]string{rowsCheck, wideCheck, nullCheck, closed, versions},
			compare.Difference{Key: "2", Kind: "missing"},
		},
		{
			"closed version of nothing", "scd2", func(rows []fixture.Row) []fixture.Row {
				row := slices.Clone(rows[find(rows, 2, "", "")])
				row[0].Text = "999"
				return append(rows, row)
			},
			[]string{rowsCheck, wideCheck, nullCheck, closed},
			compare.Difference{Key: "999", Kind: "extra"},
		},
		{
			"current with an end", "scd2", put(99, "", "", func(r fixture.Row) { r[to] = fixture.Value{Text: "9999-12-31T00:00:00.000000Z"} }),
			[]string{rowsCheck, closed},
			compare.Difference{Key: "99", Kind: "changed", Column: "__dpone__valid_to_at", Expected: "NULL"},
		},
		{
			"closed without an end", "scd2", put(2, "", "", func(r fixture.Row) { r[to] = fixture.Value{Null: true} }),
			[]string{rowsCheck, closed},
			compare.Difference{Key: "2", Kind: "changed", Column: "__dpone__valid_to_at", Expected: "a time", Actual: "NULL"},
		},
		{
			"unchanged row with a second version", "scd2", func(rows []fixture.Row) []fixture.Row {
				i := find(rows, 99, "", "")
				row := rows[i][:126]
				rows[i] = version(row, seeded, changed)
				return append(rows, version(row, changed, ""))
			},
			[]string{rowsCheck, wideCheck, nullCheck, closed, versions},
			compare.Difference{Key: "99", Kind: "extra"},
		},
		{
			"stale value in the current version", "scd2", put(12, "", "true", func(r fixture.Row) { r[2] = f.Row(12, fixture.Before, nil)[2] }),
			[]string{rowsCheck, wideCheck, current},
			compare.Difference{Key: "12", Kind: "changed", Column: "value"},
		},
		{
			"same row hash", "scd2", put(12, "", "true", func(r fixture.Row) { r[hash].Text = "hash of " + f.Row(12, fixture.Before, nil)[3].Text }),
			[]string{versions},
			compare.Difference{},
		},
		{"no row hash", "scd2", put(99, "", "", func(r fixture.Row) { r[hash] = fixture.Value{Null: true} }), []string{versions}, compare.Difference{}},
		{"empty row hash", "scd2", put(99, "", "", func(r fixture.Row) { r[hash].Text = "" }), []string{versions}, compare.Difference{}},
		{
			"unreadable flag", "scd2", put(99, "", "", func(r fixture.Row) { r[flag].Text = "t" }),
			[]string{rowsCheck, current, closed},
			compare.Difference{Key: "99", Kind: "changed", Column: "__dpone__is_current", Expected: "true", Actual: "t"},
		},
		{"unreadable begin", "scd2", put(99, "", "", func(r fixture.Row) { r[from] = fixture.Value{Null: true} }), []string{closed}, compare.Difference{}},
		{"unreadable end", "scd2", put(2, "", "", func(r fixture.Row) { r[to].Text = "soon" }), []string{closed}, compare.Difference{}},
	} {
		t.Run(d.what, func(t *testing.T) {
			t.Parallel()
			o := outcome(t, f, d.strategy, d.plant(target(f, d.strategy)))
			got := red(t, o.Checks(d.strategy))
			assert.DeepEqual(t, got, d.red)
			if d.difference == (compare.Difference{}) {
				assert.Equal(t, len(o.Differences), 0)
				return
			}
			assert.Assert(t, len(o.Differences) > 0)
			first := o.Differences[0]
			for _, pair := range [][2]string{
				{first.Key, d.difference.Key},
				{first.Kind, d.difference.Kind},
				{first.Column, d.difference.Column},
				{first.Expected, d.difference.Expected},
				{first.Actual, d.difference.Actual},
			} {
				if pair[1] != "" {
					assert.Equal(t, pair[0], pair[1], "%+v", first)
				}
			}
		})
	}
}
