package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlite"
)

func TestBadValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ declared, value, want string }{
		{"INT64", "'x'", `a text "x" is no int64`},
		{"INT16", "32768", "an integer 32768 is no int16"},
		{"INT32", "1.5", "a real number 1.5 is no int32"},
		{"INTEGER", "9.3e18", "is no int64"},
		{"BOOLEAN", "2", "an integer 2 is no bool"},
		{"REAL", "'x'", "is no float64"},
		{"REAL", "x'00'", "a blob is no float64"},
		{"FLOAT32", "0.1", "is no float32"},
		{"NUMERIC", "0.1 + 0.2", "more digits than SQLite keeps"},
		{"NUMERIC(3,1)", "12.34", ""},
		{"TEXT", "x'00'", "a blob is no text"},
		{"TEXT", "cast(x'ff' AS TEXT)", "not UTF-8"},
		{"TEXT", "char(97, 0)", "NUL"},
		{"VARCHAR(2)", "'abc'", "3 characters"},
		{"BLOB", "'x'", `a text "x" is no bytes`},
		{"BLOB", "1", "an integer 1 is no bytes"},
		{"DATE", "'2026-02-30'", ""},
		{"DATE", "20260101", "an integer 20260101 is no date"},
		{"DATETIME", "'2026-01-01'", ""},
		{"DATETIME", "'2026-01-01T00:00:00Z'", ""},
		{"TIMESTAMPTZ", "'2026-01-01 00:00:00'", ""},
		{"UUID", "'x'", ""},
		{"UUID", "x'0011'", "a blob is no uuid"},
		{"JSON", "'{'", ""},
		{"JSON", "'1'", "an integer 1 is no json"},
		{"JSONB", "jsonb('[1]')", "a blob is no json"},
		{"INTERVAL", "'soon'", ""},
	} {
		t.Run(c.declared+" "+c.value, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, manifest.Strategy{})
			f.exec("CREATE TABLE t (v " + c.declared + "); INSERT INTO t VALUES (NULL), (" + c.value + "), (NULL)")
			_, _, err := read(t, f.path, manifest.SourceOptions{}, "t", connector.Request{})
			fails(t, err, "row.value")
			assert.ErrorContains(t, err, `row with rowid 2, column "v"`)
			assert.ErrorContains(t, err, c.want)

			o := manifest.SourceOptions{OnBadRow: "quarantine", Quarantine: manifest.Quarantine{Path: filepath.Join(t.TempDir(), "sub", "bad.jsonl")}}
			lines, _, err := read(t, f.path, o, "t", connector.Request{})
			assert.NilError(t, err)
			assert.DeepEqual(t, lines, []string{"-", "-"})
			bad, err := os.ReadFile(o.Quarantine.Path)
			assert.NilError(t, err)
			assert.Equal(t, strings.Count(string(bad), "\n"), 1)
			assert.Assert(t, strings.Contains(string(bad), `"table":"main.t","rowid":2,"row":2,"column":"v","code":"row.value"`), string(bad))

			f.exec("INSERT INTO t SELECT v FROM t")
			o.Quarantine.MaxRows = 1
			_, _, err = read(t, f.path, o, "t", connector.Request{})
			fails(t, err, "quarantine.limit")
		})
	}
}

func TestRelations(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{})
	f.exec(`CREATE TABLE "say ""hi"" ü" ("from" INT64, "a b" TEXT, "日本" DATE); INSERT INTO "say ""hi"" ü" VALUES (1, 'x', '2026-01-01');
		CREATE TABLE w (a TEXT, b INT64, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO w VALUES ('x', 1);
		CREATE TABLE g (a INT64, rowid INT64, d INT64 GENERATED ALWAYS AS (a * 2) STORED, e INT64 AS (a * 3)); INSERT INTO g VALUES (1, 2);
		CREATE VIEW v AS SELECT "from" AS a, "a b" || '!' AS c FROM "say ""hi"" ü";
		CREATE VIEW plain AS SELECT b, a FROM w;
		CREATE TABLE m (x MONEY);`)
	for _, c := range []struct {
		table string
		o     manifest.SourceOptions
		want  string
		code  string
	}{
		{table: `say "hi" ü`, want: "1|x|2026-01-01"},
		{table: `say "hi" ü`, o: manifest.SourceOptions{Columns: []string{"日本", "from"}, CustomPredicate: `"a b" = 'x'`}, want: "2026-01-01|1"},
		{table: `say "hi" ü`, o: manifest.SourceOptions{Columns: []string{"nope"}}, code: "column.missing"},
		{table: "w", want: "x|1"},
		{table: "g", want: "1|2|2|3"},
		{table: "plain", want: "1|x"},
		{table: "v", code: "type.unknown"},
		{table: "v", o: manifest.SourceOptions{Types: []manifest.Typed{{Column: "c", Type: "text"}}}, want: "1|x!"},
		{table: "v", o: manifest.SourceOptions{Types: []manifest.Typed{{Column: "z", Type: "text"}}}, code: "column.missing"},
		{table: "v", o: manifest.SourceOptions{Columns: []string{"a"}}, want: "1"},
		{table: "m", code: "type.unknown"},
		{table: "missing", code: "source.missing"},
		{o: manifest.SourceOptions{Query: manifest.Query{SQL: `SELECT "日本" AS day, count(*) AS n FROM "say ""hi"" ü" GROUP BY 1; `}, Types: []manifest.Typed{{Column: "n", Type: "int64"}}}, want: "2026-01-01|1"},
		{o: manifest.SourceOptions{Query: manifest.Query{SQL: `SELECT count(*) AS n FROM w`}}, code: "type.unknown"},
		{o: manifest.SourceOptions{Query: manifest.Query{SQL: `SELECT b, b FROM w`}}, code: "query.invalid"},
		{o: manifest.SourceOptions{Query: manifest.Query{SQL: `DELETE FROM w`}}, code: "query.invalid"},
	} {
		lines, _, err := read(t, f.path, c.o, c.table, connector.Request{})
		if c.code != "" {
			fails(t, err, c.code)
			continue
		}
		assert.NilError(t, err, c.table)
		assert.Equal(t, strings.Join(lines, "\n"), c.want, c.table)
	}
	ctx := context.Background()
	describe := func(table string) connector.Relation {
		src, err := sqlite.OpenSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: f.path, Table: manifest.Table{Name: table}}}, connector.Env{})
		assert.NilError(t, err)
		defer src.Close(ctx)
		rel, err := src.Describe(ctx)
		assert.NilError(t, err)
		return rel
	}
	assert.DeepEqual(t, describe("W").Key, []string{"b", "a"})
	assert.Equal(t, describe("W").Identity, describe("w").Identity)
	assert.Assert(t, describe("w").Columns[0].NotNull)
	g := describe("g")
	assert.Assert(t, !g.Columns[0].Generated && g.Columns[2].Generated && g.Columns[3].Generated)
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	assert.NilError(t, os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600))
	for path, want := range map[string]string{filepath.Join(dir, "none.db"): "source.missing", dir: "sqlite.file", text: "sqlite"} {
		_, _, err := read(t, path, manifest.SourceOptions{}, "t", connector.Request{})
		assert.Assert(t, err != nil)
		assert.ErrorContains(t, err, want)
	}
	_, err := os.Stat(filepath.Join(dir, "none.db"))
	assert.Assert(t, os.IsNotExist(err))
	_, err = sqlite.OpenSource(context.Background(), &manifest.Manifest{Source: manifest.Source{Path: text, Table: manifest.Table{Schema: "other", Name: "t"}}}, connector.Env{})
	fails(t, err, "sqlite.schema")
}

// snapshotOf opens a snapshot for a test.
func snapshotOf(t *testing.T, path, table string, o manifest.SourceOptions) connector.Snapshot {
	t.Helper()
	ctx := context.Background()
	src, err := sqlite.OpenSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: path, Table: manifest.Table{Name: table}, Options: o}}, connector.Env{})
	assert.NilError(t, err)
	snap, err := src.Snapshot(ctx)
	assert.NilError(t, err)
	t.Cleanup(func() {
		assert.NilError(t, snap.Close(ctx))
		assert.NilError(t, src.Close(ctx))
	})
	return snap
}

func TestConditionsBoundsValues(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{})
	f.exec(`PRAGMA journal_mode = wal; CREATE TABLE t (i INT64, n NUMERIC_TEXT, d DECIMAL(9,1), at TIMESTAMPTZ, day DATE, s TEXT COLLATE NOCASE, f FLOAT64_BLOB);
		INSERT INTO t VALUES (9, '9', 9, '2026-01-01T02:00:00+02:00', '9999-01-01', 'a', 9.0), (10, '10', 10, '2026-01-01 00:00:00.5Z', '10000-01-01', 'A', 10.0),
		(-1, '-1.50', -1.5, '0044-03-15 00:00:00Z BC', '0044-03-15 BC', 'b', 'NaN'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)`)
	f.exec(`UPDATE t SET at = '0044-03-15 00:00:00+00 BC' WHERE i = -1`)
	for _, c := range []struct{ column, least, greatest, from string }{
		{"i int64", "-1", "10", "10"},
		{"n numeric", "-1.50", "10", "10"},
		{"d numeric(9,1)", "-1.5", "10.0", "10.0"},
		{"at timestamptz", "0044-03-15 00:00:00+00 BC", "2026-01-01 00:00:00.5+00", "2026-01-01 00:00:00.1+00"},
		{"day date", "0044-03-15 BC", "10000-01-01", "9999-06-01"},
		{"s text", "A", "b", "b"},
		{"f float64", "9", "NaN", "10"},
	} {
		column := schema(t, c.column)[0]
		snap := snapshotOf(t, f.path, "t", manifest.SourceOptions{})
		least, greatest, err := snap.Bounds(ctx, column)
		assert.NilError(t, err)
		for text, v := range map[string][]byte{c.least: least, c.greatest: greatest} {
			got, err := logical.AppendText(nil, column.Type, v)
			assert.NilError(t, err)
			assert.Equal(t, string(got), text)
		}
		from, err := logical.ParseText(nil, column.Type, []byte(c.from))
		assert.NilError(t, err)
		count := func(r connector.Request) int {
			r.Columns = schema(t, "i int64")
			lines, _, err := read(t, f.path, manifest.SourceOptions{}, "t", r)
			assert.NilError(t, err)
			return len(lines)
		}
		above := count(connector.Request{Range: &connector.Range{Column: column, From: from}})
		below := count(connector.Request{Range: &connector.Range{Column: column, To: from}})
		assert.Equal(t, above+below, 3, c.column)
		if c.column != "f float64" {
			assert.Equal(t, above, 1, c.column)
		}
		assert.Equal(t, count(connector.Request{Range: &connector.Range{Column: column, To: greatest, ToInclusive: true}}), 3, c.column)
		values, err := snap.Values(ctx, column, 4)
		assert.NilError(t, err)
		assert.Equal(t, len(values), 4, c.column)
		assert.Assert(t, values[3] == nil)
		for _, v := range values {
			n := 1
			assert.Equal(t, count(connector.Request{In: &connector.In{Column: column, Values: [][]byte{v}}}), n, "%s %s", c.column, v)
		}
		assert.Equal(t, count(connector.Request{In: &connector.In{Column: column}}), 0)
		_, err = snap.Values(ctx, column, 3)
		fails(t, err, "partition.too_many")
	}
	f.exec("UPDATE t SET i = 'x' WHERE i = 9; UPDATE t SET at = 5 WHERE i = 10")
	snap := snapshotOf(t, f.path, "t", manifest.SourceOptions{})
	for _, name := range []string{"i int64", "at timestamptz"} {
		_, _, err := snap.Bounds(ctx, schema(t, name)[0])
		fails(t, err, "row.value")
	}
}

// Rows that others add while a snapshot is open are not seen.
func TestSnapshotStays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{})
	f.exec("PRAGMA journal_mode = wal; CREATE TABLE t (i INT64); INSERT INTO t VALUES (1)")
	snap := snapshotOf(t, f.path, "t", manifest.SourceOptions{})
	f.exec("INSERT INTO t VALUES (2)")
	for range 2 {
		reader, err := snap.Read(ctx, connector.Request{Columns: schema(t, "i int64")})
		assert.NilError(t, err)
		b := batch.New(schema(t, "i int64"))
		assert.NilError(t, reader.Next(ctx, b))
		assert.DeepEqual(t, texts(t, b), []string{"1"})
		assert.Assert(t, reader.Next(ctx, b) != nil)
		assert.Equal(t, reader.Stats().Rows, int64(1))
		assert.NilError(t, reader.Close())
	}
}

// TestFileCutOff: who cuts a file off that is read breaks the read, and not the program.
func TestFileCutOff(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	f := newFile(t, manifest.Strategy{})
	f.exec("CREATE TABLE t (v BLOB); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT randomblob(3000) FROM n")
	m := manifest.Manifest{Source: manifest.Source{Type: "sqlite", Path: f.path, Table: manifest.Table{Name: "t"}, Options: manifest.SourceOptions{BatchRows: 10}}}
	source, err := sqlite.OpenSource(ctx, &m, connector.Env{Dir: t.TempDir()})
	assert.NilError(t, err)
	snap, err := source.Snapshot(ctx)
	assert.NilError(t, err)
	relation, err := source.Describe(ctx)
	assert.NilError(t, err)
	rd, err := snap.Read(ctx, connector.Request{Columns: relation.Schema()})
	assert.NilError(t, err)
	b := batch.New(relation.Schema())
	assert.NilError(t, rd.Next(ctx, b))
	assert.NilError(t, os.Truncate(f.path, 8192))
	for err == nil {
		err = rd.Next(ctx, b)
	}
	fails(t, err, "source.read")
	assert.ErrorContains(t, err, "cut off")
	// What is left of the session ends without waiting for anything.
	assert.ErrorContains(t, errors.Join(rd.Close(), snap.Close(ctx)), "cut off")
	assert.NilError(t, source.Close(ctx))
}
