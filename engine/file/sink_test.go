package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// formats are the ways to write.
func formats() map[string]manifest.SinkOptions {
	no := false
	return map[string]manifest.SinkOptions{
		"csv":            {Format: "csv"},
		"csv gzip":       {Format: "csv", Compression: "gzip"},
		"csv zstd":       {Format: "csv", Compression: "zstd"},
		"csv dialect":    {Format: "csv", CSV: manifest.CSV{Delimiter: `\t`, Null: `\N`, Header: &no}},
		"jsonl":          {Format: "jsonl"},
		"jsonl gzip":     {Format: "jsonl", Compression: "gzip"},
		"parquet":        {},
		"parquet zstd":   {Format: "parquet", Compression: "zstd"},
		"parquet plain":  {Format: "parquet", Compression: "none"},
		"one row a file": {Format: "csv", FileRows: 1},
	}
}

// everything is every logical type with values that are hard to keep.
func everything() map[string][]string {
	return map[string][]string{
		"bool":          {"true", "false"},
		"int16":         {"-32768", "32767"},
		"int32":         {"-2147483648", "2147483647"},
		"int64":         {"-9223372036854775808", "9223372036854775807"},
		"float32":       {"NaN", "-0", "0", "Infinity", "-Infinity", "3.4028235e+38", "1e-45", "0.1"},
		"float64":       {"NaN", "-0", "0", "Infinity", "-Infinity", "1.7976931348623157e+308", "5e-324", "0.1"},
		"numeric":       {"NaN", "1", "1.0", "1.00", "-0.000001", "Infinity", "-Infinity", "123456789012345678901234567890.123456789"},
		"numeric(18,2)": {"1.00", "-9999999999999999.99", "0.00"},
		"numeric(38,5)": {"123456789012345678901234567890123.12345"},
		"text":          {"", "a", " ", "NULL", `\N`, "null", `"`, "\n", "\r\n", ",", "\t", "ä€😀", "\ufeff", "{}", "\u2028", "\x01\x7f"},
		"text(3)":       {"äöü", ""},
		"bytes":         {`\x`, `\x00ff0a0d22`},
		"date":          {"0001-01-01", "4714-11-24 BC", "2024-02-29", "9999-12-31"},
		"time":          {"00:00:00", "23:59:59.999999", "24:00:00"},
		"timestamp":     {"0001-01-01 00:00:00", "2024-02-29 23:59:59.000001"},
		"timestamptz":   {"1970-01-01 00:00:00+00", "2024-02-29 23:59:59.000001+00"},
		"interval":      {"00:00:00", "1 day", "24:00:00", "-3 mons +2 days -00:00:00.000001"},
		"uuid":          {"00112233-4455-6677-8899-aabbccddeeff"},
		"json":          {"null", `{"a": 1, "a": 2}`, "[1,\n 2]", ` "x" `, `"\ud800"`, "1.50"},
		"jsonb":         {"null", `{"a": [1, null]}`, `"x"`},
	}
}

// All values come back as they were, with the same types and the same digest.
func TestRoundTripOfAllTypes(t *testing.T) {
	t.Parallel()
	values := everything()
	var s batch.Schema
	most := 0
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range values {
			if !yield(n) {
				return
			}
		}
	}) {
		s = append(s, columns(t, "c "+name, name)...)
		most = max(most, len(values[name]))
	}
	// One column more that is never NULL, so that no row is empty.
	s = append(s, columns(t, "n", "int32!")...)
	b := batch.New(s)
	for row := range most + 1 {
		for i, c := range s[:len(s)-1] {
			list := values[c.Type.String()]
			if row == most {
				b.Columns[i].AppendNull()
				continue
			}
			data, err := logical.ParseText(b.Columns[i].Data, c.Type, []byte(list[row%len(list)]))
			assert.NilError(t, err, c.Name)
			b.Columns[i].Data = data
			b.Columns[i].Close()
		}
		b.Columns[len(s)-1].Append(logical.AppendInt32(nil, int32(row)))
		b.EndRow()
	}
	spec := digest.Spec{Level: digest.LevelFull, Columns: s}
	builder, err := digest.NewBuilder(spec)
	assert.NilError(t, err)
	assert.NilError(t, builder.AddBatch(b))
	for name, o := range formats() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			j := newJob(t, filepath.Join(t.TempDir(), "out"), o, s, manifest.Strategy{Mode: manifest.FullRefresh})
			tx, err := j.s.Begin(ctx, connector.Load{Pipeline: "p", Strategy: j.strategy, Columns: s, Create: true})
			assert.NilError(t, err)
			assert.NilError(t, tx.Alter(ctx, []connector.Change{{Kind: "create", Columns: s}}))
			st, err := tx.Stage(ctx, s, connector.StageDirect)
			assert.NilError(t, err)
			assert.NilError(t, st.Write(ctx, b))
			_, err = st.Close(ctx)
			assert.NilError(t, err)
			_, err = tx.Apply(ctx, j.apply)
			assert.NilError(t, err)
			for _, target := range []bool{true, false} {
				got, err := tx.Digest(ctx, spec, target)
				assert.NilError(t, err)
				assert.Assert(t, got.Equal(builder.Digest()))
			}
			_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{Window: "w"})
			assert.NilError(t, err)
			got, _, err := readAll(t, "", manifest.Source{Path: j.s.dir})
			assert.NilError(t, err)
			slices.Sort(got)
			want := textsOf(t, b)
			slices.Sort(want)
			assert.DeepEqual(t, got, want)
			rel, err := j.s.Describe(ctx)
			assert.NilError(t, err)
			assert.DeepEqual(t, rel.Schema(), s)
		})
	}
}

func keyed(t testing.TB) batch.Schema {
	return columns(t, "id", "int64!", "part", "text", "v", "numeric(8,2)")
}

func TestModes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"csv dialect", "jsonl gzip", "parquet", "one row a file"} {
		o := formats()[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "a", "b")
			s := keyed(t)
			id, part := s[0], s[1]
			rows := func(want ...string) {
				t.Helper()
				// A new sink sees what the old one published.
				got := newJob(t, dir, o, s, manifest.Strategy{}).target()
				slices.Sort(got)
				slices.Sort(want)
				assert.DeepEqual(t, got, want)
			}
			num := func(n int64) []byte { return logical.AppendInt64(nil, n) }
			open := func(st manifest.Strategy) *job {
				return newJob(t, dir, o, s, st)
			}
			closed := func(j *job, err error) {
				t.Helper()
				assert.NilError(t, err)
				assert.NilError(t, j.s.Close(context.Background()))
			}
			j := open(manifest.Strategy{Mode: manifest.FullRefresh})
			j.window = 100
			closed(j, j.load("1|a|1.00", "2|a|2.00", "3|b|3.00"))
			rows("1|a|1.00", "2|a|2.00", "3|b|3.00")

			j = open(manifest.Strategy{Mode: manifest.IncrementalAppend})
			j.window = 200
			closed(j, j.load("4|b|4.00", "1|a|9.00"))
			rows("1|a|1.00", "2|a|2.00", "3|b|3.00", "4|b|4.00", "1|a|9.00")

			j = open(manifest.Strategy{Mode: manifest.IncrementalAppend, OnlyNewRows: true, UniqueKey: []string{"id"}})
			j.window, j.apply.Key = 300, []string{"id"}
			closed(j, j.load("4|b|5.00", "5|<null>|5.00", "5|x|6.00"))
			assert.DeepEqual(t, j.counters, connector.Counters{Inserted: 2, Unchanged: 1})
			rows("1|a|1.00", "2|a|2.00", "3|b|3.00", "4|b|4.00", "1|a|9.00", "5|<null>|5.00", "5|x|6.00")

			j = open(manifest.Strategy{Mode: manifest.Replace, CustomPredicate: "part = 'a' and v < 5"})
			j.window = 400
			closed(j, j.load("7|a|0.50"))
			assert.DeepEqual(t, j.counters, connector.Counters{Inserted: 1, DeletedHard: 2})
			rows("3|b|3.00", "4|b|4.00", "1|a|9.00", "5|<null>|5.00", "5|x|6.00", "7|a|0.50")

			j = open(manifest.Strategy{Mode: manifest.PartitionReplace, Partition: manifest.Partition{Column: "part"}})
			j.window = 500
			j.apply.Scope = &connector.In{Column: part, Values: [][]byte{[]byte("a"), []byte("b"), nil}}
			closed(j, j.load("8|a|8.00", "9|<null>|9.00", "10|a|8.00", "11|<null>|9.00"))
			assert.DeepEqual(t, j.counters, connector.Counters{Inserted: 4, DeletedHard: 5})
			rows("5|x|6.00", "8|a|8.00", "9|<null>|9.00", "10|a|8.00", "11|<null>|9.00")
			m, err := j.s.manifest()
			assert.NilError(t, err)
			for _, f := range m.Files {
				assert.Assert(t, f.Window != "w501" || f.Partition != nil && f.Partition.Column == "part", "%+v", f)
			}
			j.apply.Scope.Values = [][]byte{[]byte("a")} // emptied
			closed(j, j.load())
			rows("5|x|6.00", "9|<null>|9.00", "11|<null>|9.00")
			err = j.load("1|z|1.00")
			assert.Equal(t, code(err), "sink.scope")
			assert.NilError(t, j.s.Close(context.Background()))

			j = open(manifest.Strategy{Mode: manifest.Backfill, Backfill: manifest.BackfillOptions{Column: "id"}})
			j.window = 600
			for i, chunk := range [][]string{{"6|q|1.00", "8|q|1.00"}, {"9|r|1.00"}} {
				j.apply.Range = &connector.Range{Column: id, From: num(int64(i * 9)), To: num(int64(i*9 + 9))}
				assert.NilError(t, j.load(chunk...))
			}
			closed(j, nil)
			rows("6|q|1.00", "8|q|1.00", "9|r|1.00")
			assert.DeepEqual(t, j.counters, connector.Counters{Inserted: 1, DeletedHard: 2})

			j = open(manifest.Strategy{Mode: manifest.FullRefresh})
			j.window = 700
			closed(j, j.load())
			rows()
			entries, err := os.ReadDir(filepath.Join(dir, "data"))
			assert.NilError(t, err)
			assert.Equal(t, len(entries), 0)
		})
	}
}

// Files that cannot hold a row of the range are not opened: this one is damaged.
func TestBackfillSkipsFiles(t *testing.T) {
	t.Parallel()
	s := keyed(t)
	j := newJob(t, t.TempDir(), manifest.SinkOptions{Format: "csv"}, s, manifest.Strategy{Mode: manifest.Backfill, Backfill: manifest.BackfillOptions{Column: "id"}})
	chunk := func(from, to int64) {
		j.apply.Range = &connector.Range{Column: s[0], From: logical.AppendInt64(nil, from), To: logical.AppendInt64(nil, to)}
	}
	chunk(0, 10)
	assert.NilError(t, j.load("1|a|1.00", "9|a|1.00"))
	m, err := j.s.manifest()
	assert.NilError(t, err)
	assert.DeepEqual(t, *m.Files[0].Bounds, dataset.Bounds{Column: "id", Least: "1", Greatest: "9"})
	path := filepath.Join(j.s.dir, m.Files[0].Path)
	assert.NilError(t, os.WriteFile(path, []byte("damaged"), 0o600))
	chunk(10, 20)
	assert.NilError(t, j.load("10|a|1.00"))
	chunk(9, 10)
	assert.Assert(t, j.load("10|a|1.00") != nil)
}

func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"csv", "jsonl", "parquet"} {
		o := formats()[name]
		ctx := context.Background()
		j := newJob(t, t.TempDir(), o, columns(t, "id", "int32!", "f", "float32"), manifest.Strategy{Mode: manifest.IncrementalAppend})
		assert.NilError(t, j.load("1|0.1"), name)
		tx, err := j.s.Begin(ctx, connector.Load{Pipeline: "p", Strategy: j.strategy})
		assert.NilError(t, err)
		assert.Assert(t, tx.Alter(ctx, []connector.Change{{Kind: "add", Columns: columns(t, "x", "text!")}}) != nil)
		assert.Assert(t, tx.Alter(ctx, []connector.Change{{Kind: "widen", Columns: columns(t, "id", "date")}}) != nil)
		assert.Assert(t, tx.Alter(ctx, []connector.Change{{Kind: "add", Columns: columns(t, "x", "native(a:b)")}}) != nil)
		assert.Assert(t, tx.Alter(ctx, []connector.Change{{Kind: "drop"}}) != nil)
		assert.NilError(t, tx.Alter(ctx, []connector.Change{
			{Kind: "widen", Columns: columns(t, "id", "int64!", "f", "float64")}, {Kind: "add", Columns: columns(t, "new", "text")},
		}))
		s := columns(t, "new", "text", "f", "float64", "id", "int64")
		st, err := tx.Stage(ctx, s, connector.StageRows)
		assert.NilError(t, err)
		assert.NilError(t, st.Write(ctx, rowsOf(t, s, "x|0.1|5000000000")))
		_, err = st.Close(ctx)
		assert.NilError(t, err)
		_, err = tx.Apply(ctx, connector.Apply{Mode: manifest.IncrementalAppend})
		assert.NilError(t, err)
		values, err := tx.Values(ctx, s[2], 10)
		assert.NilError(t, err)
		assert.Equal(t, len(values), 2)
		_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{Window: "x"})
		assert.NilError(t, err)
		// A float32 that is widened keeps its value, which is not the one of its shortest text.
		assert.DeepEqual(t, j.target(), []string{"1|0.10000000149011612|<null>", "5000000000|0.1|x"})
	}
}

// errCrash stops a load as if the process had ended.
var errCrash = errors.New("crash")

func tree(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	assert.NilError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, strings.TrimPrefix(p, dir+"/"))
		}
		return err
	}))
	return out
}

// After a crash at any step the folder reads as before or after the load, never in
// between; state and receipt tell the same; and the next load leaves nothing behind.
func TestCrashes(t *testing.T) {
	t.Parallel()
	before := []string{"1|a|1.00", "2|b|2.00"}
	after := []string{"3|a|3.00", "2|b|2.00", "4|c|4.00"}
	for _, format := range []string{"csv", "parquet"} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			s := keyed(t)
			o := manifest.SinkOptions{Format: format}
			j := newJob(t, dir, o, s, manifest.Strategy{Mode: manifest.Replace, CustomPredicate: "part = 'a'"})
			j.position = `{"at":1}`
			assert.NilError(t, j.load(before...))
			var last string
			steps := 0
			j.s.step = func(step string) error {
				if steps++; steps == n {
					last = step
					return errCrash
				}
				return nil
			}
			j.position = `{"at":2}`
			err := j.load("3|a|3.00", "4|c|4.00")
			assert.NilError(t, j.s.Close(context.Background())) // the system drops the lock
			if last == "" {
				assert.NilError(t, err)
				assert.Assert(t, n > 8, "only %d steps", n)
				break
			}
			got := j.target()
			slices.Sort(got)
			committed := slices.Equal(got, slices.Sorted(slices.Values(after)))
			assert.Assert(t, committed || slices.Equal(got, before), "%s: %q", last, got)
			if slices.Contains([]string{"manifest", "remove", "clean"}, last) != committed {
				t.Fatalf("after %s: %v", last, committed)
			}
			assert.Equal(t, err == nil, last == "remove" || last == "clean", "%s: %v", last, err)
			if last == "manifest" {
				assert.Equal(t, code(err), connector.CodeCommitUnknown)
			}
			// State and receipt are on the same side.
			r, rerr := j.s.Receipt(context.Background(), "p", "w2")
			assert.NilError(t, rerr)
			assert.Equal(t, r != nil, committed)
			j2 := newJob(t, dir, o, s, j.strategy)
			j2.window = 5
			tx, err := j2.s.Begin(context.Background(), connector.Load{Pipeline: "p"})
			assert.NilError(t, err)
			state, err := tx.State(context.Background())
			assert.NilError(t, err)
			assert.Equal(t, string(state.Position), map[bool]string{false: `{"at":1}`, true: `{"at":2}`}[committed])
			assert.NilError(t, tx.Rollback(context.Background()))
			again := j2.target()
			slices.Sort(again)
			assert.DeepEqual(t, again, got)
			m, err := j2.s.manifest()
			assert.NilError(t, err)
			want := []string{".lock", "manifest.json"}
			for _, f := range m.Files {
				want = append(want, f.Path)
			}
			slices.Sort(want)
			assert.DeepEqual(t, tree(t, dir), want)
			assert.NilError(t, j2.s.Close(context.Background()))
		}
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	s := keyed(t)
	j := newJob(t, t.TempDir(), manifest.SinkOptions{Format: "csv"}, s, manifest.Strategy{Mode: manifest.FullRefresh})
	assert.NilError(t, j.load("1|a|1.00"))
	want := tree(t, j.s.dir)
	j.gates = []manifest.Gate{{Type: "not_null", Columns: []string{"part"}}}
	assert.ErrorContains(t, j.load("2|<null>|1.00"), "gate")
	assert.DeepEqual(t, tree(t, j.s.dir), want)
	assert.Assert(t, j.load("<null>|a|1.00") != nil) // NULL where there is none
	assert.DeepEqual(t, tree(t, j.s.dir), want)
	assert.DeepEqual(t, j.target(), []string{"1|a|1.00"})
}

func TestOneWriter(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	s := keyed(t)
	a := newJob(t, dir, manifest.SinkOptions{}, s, manifest.Strategy{Mode: manifest.FullRefresh})
	tx, err := a.s.Begin(ctx, connector.Load{Pipeline: "p"})
	assert.NilError(t, err)
	b := newJob(t, dir, manifest.SinkOptions{}, s, manifest.Strategy{Mode: manifest.FullRefresh})
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	_, err = b.s.Begin(stopped, connector.Load{Pipeline: "p"})
	assert.Equal(t, code(err), "target.lock")
	assert.NilError(t, tx.Rollback(ctx))
	assert.NilError(t, a.s.Close(ctx))
	tx, err = b.s.Begin(ctx, connector.Load{Pipeline: "p"})
	assert.NilError(t, err)
	assert.NilError(t, tx.Rollback(ctx))
	assert.NilError(t, b.s.Close(ctx))
}

func TestStateAndReceipts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := keyed(t)
	j := newJob(t, t.TempDir(), manifest.SinkOptions{Format: "csv"}, s, manifest.Strategy{Mode: manifest.IncrementalAppend})
	j.position = `{"a": 1}`
	assert.NilError(t, j.load("1|a|1.00"))
	assert.NilError(t, j.load("2|a|1.00"))
	// The window is loaded once.
	j.window--
	assert.ErrorContains(t, j.load("3|a|1.00"), "loaded")
	commit := func(pipeline, window string, st connector.State) error {
		tx, err := j.s.Begin(ctx, connector.Load{Pipeline: pipeline, Strategy: j.strategy})
		assert.NilError(t, err)
		_, err = tx.Commit(ctx, st, connector.Receipt{ID: "x", Pipeline: pipeline, Window: window})
		if err != nil {
			return errors.Join(err, tx.Rollback(ctx))
		}
		return nil
	}
	assert.Equal(t, code(commit("p", "new", connector.State{Revision: 1, Position: []byte("1")})), connector.CodeStateMoved)
	assert.Equal(t, code(commit("p", "w1", connector.State{Revision: 2, Position: []byte("1")})), "receipt.exists")
	assert.NilError(t, commit("p", "new", connector.State{Revision: 2, Position: []byte("1")}))
	assert.NilError(t, commit("q", "new", connector.State{Position: []byte("1")}))
	assert.NilError(t, commit("p", "without position", connector.State{}))
	m, err := j.s.manifest()
	assert.NilError(t, err)
	assert.Equal(t, fmt.Sprint(m.State("p").Revision, m.State("q").Revision, m.State("r").Revision, len(m.Receipts), m.Revision), "3 1 0 5 5")
	assert.DeepEqual(t, j.target(), []string{"1|a|1.00", "2|a|1.00"})
}

func TestGates(t *testing.T) {
	t.Parallel()
	s := columns(t, "id", "int64", "name", "text", "at", "timestamptz")
	rows := []string{"1|a|2026-01-01 03:04:05+00", "2|b|2026-01-02 00:00:00+00", "2|<null>|infinity", "<null>|a|<null>", "<null>|a|<null>"}
	n := func(f float64) *float64 { return &f }
	for name, tt := range map[string]struct {
		gate manifest.Gate
		says string // "" when it passes
	}{
		"enough":                  {manifest.Gate{Type: "min_rows", Threshold: n(5)}, ""},
		"too few":                 {manifest.Gate{Type: "min_rows", Threshold: n(6)}, "gate: 5 rows"},
		"the target has more":     {manifest.Gate{Type: "min_rows", Threshold: n(6), Side: "target"}, ""},
		"NULL":                    {manifest.Gate{Type: "not_null", Columns: []string{"id", "name"}}, "gate: 3 values"},
		"twice":                   {manifest.Gate{Type: "unique", Columns: []string{"id"}}, "gate: 1 rows"},
		"unique pairs":            {manifest.Gate{Type: "unique", Columns: []string{"id", "name"}}, ""},
		"twice in the target":     {manifest.Gate{Type: "unique", Columns: []string{"id", "name"}, Side: "target"}, "gate: 1 rows"},
		"accepted":                {manifest.Gate{Type: "accepted_values", Columns: []string{"name"}, Values: []string{"a", "b"}}, ""},
		"not accepted":            {manifest.Gate{Type: "accepted_values", Columns: []string{"name"}, Values: []string{"a"}}, `the first is "b"`},
		"accepted numbers":        {manifest.Gate{Type: "accepted_values", Columns: []string{"id"}, Values: []string{"1", "2"}}, ""},
		"values of another type":  {manifest.Gate{Type: "accepted_values", Columns: []string{"id"}, Values: []string{"x"}}, "gate.config"},
		"fresh":                   {manifest.Gate{Type: "freshness", Columns: []string{"at"}, MaxAge: "4h"}, ""},
		"fresh, in days":          {manifest.Gate{Type: "freshness", Columns: []string{"at"}, MaxAge: "1d"}, ""},
		"fresh, in weeks":         {manifest.Gate{Type: "freshness", Columns: []string{"at"}, MaxAge: "1w"}, ""},
		"old":                     {manifest.Gate{Type: "freshness", Columns: []string{"at"}, MaxAge: "3h"}, "3h4m5s old"},
		"freshness of no time":    {manifest.Gate{Type: "freshness", Columns: []string{"id"}, MaxAge: "3h"}, "gate.config"},
		"freshness without limit": {manifest.Gate{Type: "freshness", Columns: []string{"at"}}, "gate.config"},
		"no column":               {manifest.Gate{Type: "not_null", Columns: []string{"nothing"}}, "gate.config"},
		"sql":                     {manifest.Gate{Type: "custom_sql", Columns: []string{"id"}}, "gate.type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, t.TempDir(), manifest.SinkOptions{Format: "csv"}, s, manifest.Strategy{Mode: manifest.IncrementalAppend})
			assert.NilError(t, j.load("1|a|<null>"))
			j.gates = []manifest.Gate{tt.gate}
			err := j.load(rows...)
			if tt.says == "" {
				assert.NilError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.says)
			}
		})
	}
}

func TestRefusedSinks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	write(t, dir, "foreign/important.doc", "x")
	for _, o := range []manifest.SinkOptions{
		{Format: "xml"},
		{Format: "csv", Compression: "snappy"},
		{Format: "parquet", Compression: "gzip"},
		{Format: "csv", CSV: manifest.CSV{Delimiter: `"`}},
		{Format: "csv", CSV: manifest.CSV{Null: ","}},
	} {
		_, err := openSink(ctx, &manifest.Manifest{Sink: manifest.Sink{Path: dir, Options: o}}, connector.Env{})
		assert.Assert(t, err != nil, "%+v", o)
	}
	j := newJob(t, filepath.Join(dir, "foreign"), manifest.SinkOptions{}, keyed(t), manifest.Strategy{Mode: manifest.FullRefresh})
	assert.Equal(t, code(j.load("1|a|1.00")), "target.foreign")
	assert.DeepEqual(t, tree(t, j.s.dir), []string{"important.doc"})
	j = newJob(t, filepath.Join(dir, "b"), manifest.SinkOptions{}, keyed(t), manifest.Strategy{Mode: manifest.Backfill, Backfill: manifest.BackfillOptions{InnerMode: manifest.IncrementalMerge}})
	assert.Equal(t, code(j.load()), "sink.mode")
	j = newJob(t, filepath.Join(dir, "c"), manifest.SinkOptions{}, keyed(t), manifest.Strategy{Mode: manifest.SCD2})
	assert.Equal(t, code(j.load()), "sink.mode")
	j = newJob(t, filepath.Join(dir, "d"), manifest.SinkOptions{}, keyed(t), manifest.Strategy{Mode: manifest.Replace, CustomPredicate: "a or b"})
	assert.Equal(t, code(j.load()), "predicate.syntax")
	j = newJob(t, filepath.Join(dir, "e"), manifest.SinkOptions{}, columns(t, "d", "date"), manifest.Strategy{Mode: manifest.FullRefresh})
	err := j.load("infinity") // Parquet has none
	assert.Equal(t, code(err), "sink.write")
	assert.ErrorContains(t, err, `column "d"`)
	_, err = j.s.Native(logical.Type{Kind: logical.Native, Name: "a:b"})
	assert.Equal(t, code(err), "sink.type")
}

// A published file that was changed, cut or lost is found, and so is a manifest that is not one.
func TestDamagedDataSets(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"csv", "parquet"} {
		for name, damage := range map[string]func(dir, file string) error{
			"longer": func(_, file string) error { return appendTo(file, "1,a,1.00\n") },
			"other bytes": func(_, file string) error {
				data, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				data[len(data)/2] ^= 1
				return os.WriteFile(file, data, 0o600)
			},
			"gone":          func(_, file string) error { return os.Remove(file) },
			"manifest":      func(dir, _ string) error { return appendTo(filepath.Join(dir, "manifest.json"), "x") },
			"manifest gone": func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "manifest.json"), nil, 0o600) },
		} {
			j := newJob(t, t.TempDir(), manifest.SinkOptions{Format: format}, keyed(t), manifest.Strategy{Mode: manifest.FullRefresh})
			assert.NilError(t, j.load("1|abcdef|1.00", "2|abcdef|2.00"))
			m, err := j.s.manifest()
			assert.NilError(t, err)
			assert.NilError(t, damage(j.s.dir, filepath.Join(j.s.dir, m.Files[0].Path)))
			_, _, err = readAll(t, "", manifest.Source{Path: j.s.dir})
			assert.Assert(t, slices.Contains([]string{"dataset.damaged", "dataset.manifest", "source.file"}, code(err)), "%s: %v", name, err)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// More partitions than open files.
func TestManyPartitions(t *testing.T) {
	t.Parallel()
	s := keyed(t)
	for _, format := range []string{"csv", "parquet"} {
		j := newJob(t, t.TempDir(), manifest.SinkOptions{Format: format}, s, manifest.Strategy{Mode: manifest.PartitionReplace, Partition: manifest.Partition{Column: "v"}})
		j.apply.Scope = &connector.In{Column: s[2]}
		var rows []string
		for i := range 300 {
			v := fmt.Sprintf("%d.00", i%150)
			rows = append(rows, fmt.Sprintf("%d|a|%s", i, v))
			data, err := logical.ParseText(nil, s[2].Type, []byte(v))
			assert.NilError(t, err)
			j.apply.Scope.Values = append(j.apply.Scope.Values, data)
		}
		assert.NilError(t, j.load(rows...))
		got := j.target()
		slices.Sort(got)
		slices.Sort(rows)
		assert.DeepEqual(t, got, rows)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	c := Connector()
	assert.Equal(t, c.Sink.Commit, "publication")
	seen := map[string]bool{}
	for _, r := range c.Sink.Types {
		assert.Assert(t, r.Logical != "" && r.Native != "" && r.Rule != "", "%+v", r)
		assert.Equal(t, r.Rule == connector.Refused, strings.HasPrefix(r.Logical, "native"))
		assert.Assert(t, !seen[r.Native+r.Logical])
		seen[r.Native+r.Logical] = true
	}
	for _, r := range c.Source.Types {
		assert.Assert(t, r.Native != "" && (r.Logical != "") == (r.Rule != connector.Refused), "%+v", r)
	}
}

// Both sides pass the named points, and an error there ends the load.
func TestPoints(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	var passed []string
	env := connector.Env{Dir: dir, At: func(_ context.Context, p connector.Point) error {
		passed = append(passed, string(p))
		return nil
	}}
	j := newJob(t, filepath.Join(dir, "out"), manifest.SinkOptions{Format: "csv"}, keyed(t), manifest.Strategy{Mode: manifest.FullRefresh})
	j.s.env = env
	assert.NilError(t, j.load("1|a|1.00", "2|a|1.00"))
	src, err := openSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: "out"}}, env)
	assert.NilError(t, err)
	rel, err := src.Describe(ctx)
	assert.NilError(t, err)
	snap, err := src.Snapshot(ctx)
	assert.NilError(t, err)
	_, _, err = snap.Bounds(ctx, rel.Columns[0].Column)
	assert.NilError(t, err)
	r, err := snap.Read(ctx, connector.Request{Columns: rel.Schema()})
	assert.NilError(t, err)
	assert.NilError(t, r.Next(ctx, batch.New(rel.Schema())))
	assert.NilError(t, r.Close())
	assert.NilError(t, snap.Close(ctx))
	assert.DeepEqual(t, passed, []string{"mid_copy", "after_stage", "after_extract"})
	j.s.env.At = func(context.Context, connector.Point) error { return errCrash }
	assert.ErrorIs(t, j.load("3|a|1.00"), errCrash)
	assert.Equal(t, len(j.target()), 2)
}

// Parquet files of one source have the same columns and types.
func TestParquetDrift(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name string, s batch.Schema, row string) {
		j := newJob(t, t.TempDir(), manifest.SinkOptions{}, s, manifest.Strategy{Mode: manifest.FullRefresh})
		assert.NilError(t, j.load(row))
		m, err := j.s.manifest()
		assert.NilError(t, err)
		data, err := os.ReadFile(filepath.Join(j.s.dir, m.Files[0].Path))
		assert.NilError(t, err)
		write(t, dir, name, string(data))
	}
	put("a.parquet", columns(t, "id", "int32", "v", "text"), "1|x")
	put("b.parquet", columns(t, "v", "text", "id", "int32"), "y|2")
	got, _, err := readAll(t, dir, manifest.Source{Path: "."})
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []string{"1|x", "2|y"})
	for _, s := range []batch.Schema{columns(t, "id", "int64", "v", "text"), columns(t, "id", "int32"), columns(t, "id", "int32", "v", "text", "w", "text")} {
		put("c.parquet", s, strings.TrimSuffix(strings.Repeat("1|", len(s)), "|"))
		_, _, err = readAll(t, dir, manifest.Source{Path: "."})
		assert.Equal(t, code(err), "file.drift")
		assert.ErrorContains(t, err, "a.parquet")
	}
}

func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	var text strings.Builder
	text.WriteString("id,name,price,at,ok,f,day,small,note,n\n")
	for i := range 100000 {
		fmt.Fprintf(&text, "%d,name %d,%d.50,2024-01-02 03:04:05,true,%d.25,2024-02-03,%d,\"a, b\",\n", i, i%1000, i, i, i%100)
	}
	write(b, dir, "a.csv", text.String())
	src := manifest.Source{Path: "a.csv", Options: manifest.SourceOptions{Types: typed("id", "int64", "price", "numeric(18,2)", "at", "timestamp", "ok", "bool", "f", "float64", "day", "date", "small", "int16", "n", "int32")}}
	ctx := context.Background()
	s, err := openSource(ctx, &manifest.Manifest{Source: src}, connector.Env{Dir: dir})
	assert.NilError(b, err)
	rel, err := s.Describe(ctx)
	assert.NilError(b, err)
	rows := batch.New(rel.Schema())
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		snap, err := s.Snapshot(ctx)
		assert.NilError(b, err)
		r, err := snap.Read(ctx, connector.Request{Columns: rel.Schema()})
		assert.NilError(b, err)
		for err == nil {
			err = r.Next(ctx, rows)
		}
		assert.NilError(b, errors.Join(r.Close(), snap.Close(ctx)))
		assert.Equal(b, r.Stats().Rows, int64(100000))
	}
}
