package compare_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
)

// TestAnyDamageIsRed damages one value in any place in any way.
func TestAnyDamageIsRed(t *testing.T) {
	t.Parallel()
	f := made(t, 60, 0.5, 0.2)
	random := rand.New(rand.NewPCG(1, 2))
	damages := []func(fixture.Value) fixture.Value{
		func(v fixture.Value) fixture.Value { return fixture.Value{Null: !v.Null} },
		func(v fixture.Value) fixture.Value { return fixture.Value{Text: v.Text + " "} },
		func(v fixture.Value) fixture.Value { return fixture.Value{Text: v.Text + "0"} },
		func(v fixture.Value) fixture.Value { return fixture.Value{Text: "x" + strings.TrimPrefix(v.Text, "x")} },
	}
	for range 300 {
		strategy := oracle.Strategies()[random.IntN(10)]
		rows := target(f, strategy)
		i := random.IntN(len(rows))
		at := random.IntN(126)
		was := rows[i][at]
		now := damages[random.IntN(len(damages))](was)
		if was == now {
			continue
		}
		rows[i][at] = now
		o := outcome(t, f, strategy, rows)
		codes := red(t, o.Checks(strategy))
		what := fmt.Sprintf("%s: %+v for %+v in column %d", strategy, now, was, at)
		assert.Assert(t, slices.Contains(codes, rowsCheck) && slices.Contains(codes, wideCheck), what)
		assert.Equal(t, slices.Contains(codes, nullCheck), was.Null != now.Null, what)
		assert.Assert(t, len(o.Differences) > 0 && len(o.Differences) <= 2, what)
		if at > 0 {
			assert.Equal(t, o.Differences[0].Column, f.Columns()[at].Name, what)
			assert.Equal(t, o.Changed+o.Missing+o.Extra, int64(1), what)
		}
	}
}

// TestExchangesAreRed exchanges the values of one column between any two rows of a
// keyed target: the numbers of rows, of NULL and of each value stay.
func TestExchangesAreRed(t *testing.T) {
	t.Parallel()
	f := made(t, 60, 0.5, 0.2)
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		rows := target(f, "full_refresh")
		i, j, at := random.IntN(len(rows)), random.IntN(len(rows)), 1+random.IntN(125)
		if rows[i][at] == rows[j][at] {
			continue
		}
		rows[i][at], rows[j][at] = rows[j][at], rows[i][at]
		o := outcome(t, f, "full_refresh", rows)
		assert.DeepEqual(t, red(t, o.Checks("full_refresh")), []string{rowsCheck, wideCheck, fullSum})
		assert.Equal(t, o.Changed, int64(2))
	}
}

func TestMalformedRowsAreRed(t *testing.T) {
	t.Parallel()
	f := made(t, 20, 0.2, 0.05)
	wide := slices.Repeat([]fixture.Value{{Text: "1"}}, 126)
	id := func(v fixture.Value) fixture.Row {
		row := slices.Clone(wide)
		row[0] = v
		return row
	}
	for what, c := range map[string]struct {
		row  fixture.Row
		want compare.Difference
	}{
		"no values":       {nil, compare.Difference{Key: "NULL", Kind: "extra", Expected: "126 values", Actual: "0 values"}},
		"one value short": {wide[:125], compare.Difference{Key: "1", Kind: "extra", Expected: "126 values", Actual: "125 values"}},
		"too many":        {append(wide, fixture.Value{}), compare.Difference{Key: "1", Kind: "extra", Expected: "126 values", Actual: "127 values"}},
		"NULL id":         {id(fixture.Value{Null: true}), compare.Difference{Key: "NULL", Kind: "extra", Column: "id", Expected: "a whole number", Actual: "NULL"}},
		"NULL id of text": {id(fixture.Value{Null: true, Text: "1"}), compare.Difference{Key: "NULL", Kind: "extra", Column: "id", Expected: "a whole number", Actual: "NULL"}},
		"empty id":        {id(fixture.Value{}), compare.Difference{Key: `""`, Kind: "extra", Column: "id", Expected: "a whole number", Actual: `""`}},
		"text id":         {id(fixture.Value{Text: "NULL"}), compare.Difference{Key: `"NULL"`, Kind: "extra", Column: "id", Expected: "a whole number", Actual: `"NULL"`}},
		"float id":        {id(fixture.Value{Text: "1.0"}), compare.Difference{Key: "1.0", Kind: "extra", Column: "id", Expected: "a whole number", Actual: "1.0"}},
		"padded id":       {id(fixture.Value{Text: "001"}), compare.Difference{Key: "001", Kind: "extra", Column: "id", Expected: "a whole number", Actual: "001"}},
		"great id":        {id(fixture.Value{Text: "9223372036854775808"}), compare.Difference{Key: "9223372036854775808", Kind: "extra", Column: "id", Expected: "a whole number", Actual: "9223372036854775808"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := outcome(t, f, "full_refresh", append(target(f, "full_refresh"), c.row))
			assert.Equal(t, o.Malformed, int64(1))
			assert.DeepEqual(t, o.Differences, []compare.Difference{c.want})
			codes := red(t, o.Checks("full_refresh"))
			for _, code := range []string{rowsCheck, fullCount, fullSum} {
				assert.Assert(t, slices.Contains(codes, code), codes)
			}
			// In place of a row it is red, too, though the number of rows is right.
			o = outcome(t, f, "full_refresh", append(target(f, "full_refresh")[1:], c.row))
			assert.Equal(t, o.Missing, int64(1))
			codes = red(t, o.Checks("full_refresh"))
			for _, code := range []string{rowsCheck, wideCheck, fullSum} {
				assert.Assert(t, slices.Contains(codes, code), codes)
			}
		})
	}
	history := outcome(t, f, "scd2", append(target(f, "scd2"), wide))
	assert.Equal(t, history.Differences[0].Expected, "130 values")
	none := outcome(t, f, "scd2", nil)
	assert.Equal(t, len(red(t, none.Checks("scd2"))), 6)
}

// TestDifferences: the least keys, at most 20, the same in whatever order the rows come.
func TestDifferences(t *testing.T) {
	t.Parallel()
	f := made(t, 300, 0.2, 0.05)
	rows := target(f, "incremental_append")
	for i := range rows {
		if id := number(rows[i]); id%3 == 0 {
			rows[i][2].Text += "1"
		}
	}
	rows = slices.DeleteFunc(rows, func(r fixture.Row) bool { return number(r)%7 == 1 })
	foreign := slices.Clone(rows[0])
	foreign[0].Text = "-4"
	rows = append(rows, foreign, rows[3], rows[3], rows[3], rows[3], rows[3], rows[3], fixture.Row{}, foreign[:7])
	e, err := oracle.For("incremental_append", f)
	assert.NilError(t, err)
	random := rand.New(rand.NewPCG(5, 6))
	var first compare.Outcome
	for round := range 5 {
		c := compare.New(f, e, false)
		for _, i := range random.Perm(len(rows)) {
			c.Row(rows[i])
		}
		o := c.End()
		if round == 0 {
			first = o
			continue
		}
		assert.DeepEqual(t, o.Differences, first.Differences)
		assert.DeepEqual(t, o.Actual, first.Actual)
		assert.Equal(t, fmt.Sprint(o.Checks("incremental_append")), fmt.Sprint(first.Checks("incremental_append")))
	}
	assert.Equal(t, len(first.Differences), 20)
	var keys []string
	for _, d := range first.Differences {
		keys = append(keys, d.Kind+" "+d.Key)
	}
	assert.DeepEqual(t, keys[:9], []string{
		"extra -4", "extra NULL", // malformed
		"extra -4", "missing 1", "missing 1", "changed 3", "changed 3", "extra 5", "extra 5",
	})
	// Every row that is too many is counted, though few are named.
	want := int64(1 + 6) // the foreign one, and the doubled ones
	assert.Equal(t, first.Extra, want)
	assert.Equal(t, first.Malformed, int64(2))
}

// TestKeptRowsAreCopies: a reader may use its buffer again for the next row.
func TestKeptRowsAreCopies(t *testing.T) {
	t.Parallel()
	f := made(t, 5, 0, 0)
	e, err := oracle.For("full_refresh", f)
	assert.NilError(t, err)
	c := compare.New(f, e, false)
	buffer := []byte("1234.0001")
	for i, row := range target(f, "full_refresh") {
		if i == 2 {
			row[2] = fixture.Value{Text: unsafe.String(&buffer[0], len(buffer))}
		}
		c.Row(row)
	}
	copy(buffer, "----------")
	o := c.End()
	assert.Equal(t, o.Differences[0].Actual, "1234.0001")
}

func TestSeed(t *testing.T) {
	t.Parallel()
	f := made(t, 50, 0.2, 0.1)
	seed := func(history bool, rows []fixture.Row) compare.Check {
		c := compare.New(f, oracle.Before(f), history)
		for _, row := range rows {
			c.Row(row)
		}
		o := c.End()
		check := o.Seed()
		assert.Equal(t, check.Code, "seed_matches_before")
		return check
	}
	before := target(f, "before")
	assert.Equal(t, seed(false, before).Verdict, evidence.Pass)
	assert.Equal(t, seed(false, before[1:]).Verdict, evidence.Fail)
	assert.Equal(t, seed(false, target(f, "full_refresh")).Verdict, evidence.Fail)
	assert.Equal(t, seed(false, nil).Verdict, evidence.Fail)

	var versions []fixture.Row
	for _, row := range before {
		versions = append(versions, version(row, seeded, ""))
	}
	assert.Equal(t, seed(true, versions).Verdict, evidence.Pass)
	assert.Equal(t, seed(true, before).Verdict, evidence.Fail)
	versions[3] = version(before[3], seeded, changed)
	assert.Equal(t, seed(true, versions).Verdict, evidence.Fail)
	versions[3] = version(before[3], "", "")
	broken := seed(true, versions)
	assert.Equal(t, broken.Verdict, evidence.Fail)
	assert.Assert(t, strings.Contains(broken.Observed, "key 4: __dpone__valid_from_at is"), broken.Observed)
}

// TestHistoryFaultsAreNamed: the least keys, each with what is wrong with it.
func TestHistoryFaultsAreNamed(t *testing.T) {
	t.Parallel()
	f := made(t, 200, 0.2, 0.05)
	rows := target(f, "scd2")
	rows[find(rows, 2, "", "")][126].Text = changed // ends when it begins
	rows[find(rows, 12, "", "false")][127].Text = "2026-07-02T07:00:00.000002Z"
	rows[find(rows, 90, "", "")][127].Text = changed
	rows[find(rows, 90, "", "")][127].Null = false
	rows = append(rows, rows[find(rows, 100, "", "")])
	o := outcome(t, f, "scd2", rows)
	for _, c := range o.Checks("scd2") {
		if c.Code == closed {
			assert.Equal(t, c.Observed, "30 closed versions, 5 faults: "+
				"a version from before the change begins at "+changed+", and the change is at "+changed+"; "+
				"key 2: a version from "+changed+" ends at "+changed+"; "+
				"key 12: a version ends at 2026-07-02T07:00:00.000002Z and the next begins at "+changed)
		}
	}
}

func TestChecksOfUnknownStrategiesAreRed(t *testing.T) {
	t.Parallel()
	f := made(t, 5, 0, 0)
	o := outcome(t, f, "full_refresh", target(f, "full_refresh"))
	assert.DeepEqual(t, red(t, o.Checks("merge")), []string{"strategy_has_checks"})
	assert.DeepEqual(t, red(t, o.Checks("scd2")), []string{closed}) // no history was read
}

// TestHistoryDigest: the same exactly when no version was touched.
func TestHistoryDigest(t *testing.T) {
	t.Parallel()
	f := made(t, 40, 0.2, 0.1)
	rows := target(f, "scd2")
	digest := func() string { o := outcome(t, f, "scd2", rows); return o.History }
	first := digest()
	slices.Reverse(rows)
	assert.Equal(t, digest(), first)
	for at := 126; at < 130; at++ {
		old := rows[7][at]
		rows[7][at] = fixture.Value{Text: "2026-08-01T00:00:00.000000Z"}
		assert.Assert(t, digest() != first)
		rows[7][at] = old
	}
}

// TestLongValuesAreShownWhereTheyDiffer: both excerpts differ, whatever the length of what is the same.
func TestLongValuesAreShownWhereTheyDiffer(t *testing.T) {
	t.Parallel()
	f := made(t, 200, 0, 0)
	e, err := oracle.For("full_refresh", f)
	assert.NilError(t, err)
	shown := 0
	for i, row := range target(f, "full_refresh") {
		for at, v := range row {
			if len(v.Text) < 3000 {
				continue
			}
			shown++
			c := compare.New(f, e, false)
			for j, r := range target(f, "full_refresh") {
				if j == i {
					r[at].Text = v.Text[:len(v.Text)-4] + "!"
				}
				c.Row(r)
			}
			o := c.End()
			d := o.Differences[0]
			assert.Assert(t, d.Expected != d.Actual && len(d.Expected) < 800 && strings.Contains(d.Actual, fmt.Sprintf(".. of %d)", len(v.Text)-3)), "%+v", d)
			if shown == 6 {
				return
			}
		}
	}
	t.Error("no long value")
}

// TestImports holds that what is expected shares no code with what loads.
func TestImports(t *testing.T) {
	t.Parallel()
	for path, own := range map[string][]string{
		"fixture": {"gates/matrix/fixture"},
		"oracle":  {"gates/matrix/fixture", "gates/matrix/oracle"},
		"compare": {"evidence", "gates/matrix/compare", "gates/matrix/fixture", "gates/matrix/oracle"},
	} {
		const module = "github.com/dpone/dpone/"
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+"gates/matrix/"+path)
		out, err := list.Output()
		assert.NilError(t, err)
		var got []string
		for line := range strings.Lines(string(out)) {
			got = append(got, strings.TrimPrefix(strings.TrimSpace(line), module))
		}
		got = slices.DeleteFunc(got, func(s string) bool { return s == "" })
		slices.Sort(got)
		assert.DeepEqual(t, got, own)
	}
}

// BenchmarkFirst compares 10,000 rows for a fixture of which nothing is known yet.
func BenchmarkFirst(b *testing.B) {
	rows := target(made(b, 10_000, 0.2, 0.05), "full_refresh")
	b.ReportAllocs()
	for b.Loop() {
		compareAll(b, made(b, 10_000, 0.2, 0.05), "full_refresh", rows)
	}
}

// BenchmarkAgain compares 10,000 rows for a fixture that another case has used.
func BenchmarkAgain(b *testing.B) {
	f := made(b, 10_000, 0.2, 0.05)
	for _, strategy := range []string{"full_refresh", "scd2"} {
		rows := target(f, strategy)
		b.Run(strategy, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compareAll(b, f, strategy, rows)
			}
		})
	}
}

// BenchmarkAllWrong compares 10,000 rows that all differ.
func BenchmarkAllWrong(b *testing.B) {
	f := made(b, 10_000, 0.2, 0.05)
	rows := target(f, "full_refresh")
	for i := range rows {
		rows[i][7] = fixture.Value{Text: "damaged"}
	}
	for b.Loop() {
		compareAll(b, f, "full_refresh", rows)
	}
}

func compareAll(b *testing.B, f *fixture.Fixture, strategy string, rows []fixture.Row) {
	e, err := oracle.For(strategy, f)
	assert.NilError(b, err)
	c := compare.New(f, e, strategy == "scd2")
	for _, row := range rows {
		c.Row(row)
	}
	c.End()
}
