package sqlite_test

import (
	"context"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlite"
)

// boundary has values of every kind, among them those that SQLite would change.
var boundary = map[string][]string{
	"bool":          {"true", "false"},
	"int16":         {"-32768", "32767", "0"},
	"int32":         {"-2147483648", "2147483647"},
	"int64":         {"-9223372036854775808", "9223372036854775807", "0"},
	"float32":       {"0", "-0", "NaN", "Infinity", "-Infinity", "3.4028235e+38", "1e-45", "0.1", "16777216"},
	"float64":       {"0", "-0", "NaN", "Infinity", "-Infinity", "1.7976931348623157e+308", "5e-324", "0.1", "9007199254740993", "1"},
	"numeric":       {"0", "0.00", "1", "1.0", "1.00", "NaN", "Infinity", "-Infinity", "12345678901234567890.12345678901234567890", "1e3", "-0.5"},
	"numeric(18,2)": {"0.00", "1.00", "0.10", "9999999999999999.99", "-9999999999999999.99", "NaN"},
	"numeric(3,-2)": {"0", "1200"},
	"text":          {"", "a", "1", "1.0", "NaN", "NULL", "it's \"é\" 日本\n\t", " x ", "x'00'"},
	"text(5)":       {"", "日本語ab"},
	"bytes":         {`\x`, `\x00`, `\xff00`, `\x4e614e`},
	"date":          {"2026-01-31", "0001-01-01", "4714-11-24 BC", "5874897-12-31", "infinity", "-infinity", "10000-01-01"},
	"time":          {"00:00:00", "24:00:00", "23:59:59.999999"},
	"timestamp":     {"2026-01-31 01:02:03", "2026-01-31 01:02:03.000001", "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity"},
	"timestamptz":   {"2026-01-31 01:02:03+00", "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "infinity", "-infinity"},
	"interval":      {"00:00:00", "1 year 2 mons 3 days 04:05:06.789", "-1 days +02:03:00", "infinity", "-infinity"},
	"uuid":          {"00000000-0000-0000-0000-000000000000", "12345678-1234-1234-1234-123456789012", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
	"json":          {"1", "1.0", "-0", "1e400", "null", `"x"`, ` {"a" : 1, "a": 2} `, "[]"},
	"jsonb":         {"1", "1.00", `{"a": 1}`, "null"},
}

// TestRoundTrip loads all values, reads them back, and loads them into another
// table from there. Types, values and digests stay the same.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var s batch.Schema
	longest := 0
	s = append(s, batch.Column{Name: "id", Type: typ(t, "int64")})
	for _, name := range []string{
		"bool", "int16", "int32", "int64", "float32", "float64", "numeric", "numeric(18,2)", "numeric(3,-2)", "text", "text(5)", "bytes",
		"date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb",
	} {
		s = append(s, batch.Column{Name: `the "` + name + `" column`, Type: typ(t, name)})
		longest = max(longest, len(boundary[name]))
	}
	b := batch.New(s)
	for row := range longest + 1 {
		b.Columns[0].Append(logical.AppendInt64(nil, int64(row)))
		for i := 1; i < len(s); i++ {
			values := boundary[strings.Split(s[i].Name, `"`)[1]]
			if row >= len(values) {
				b.Columns[i].AppendNull()
				continue
			}
			v, err := logical.ParseText([]byte{}, s[i].Type, []byte(values[row]))
			assert.NilError(t, err)
			b.Columns[i].Append(v)
		}
		b.EndRow()
	}
	spec := digest.Spec{Level: digest.LevelFull, Columns: s}
	want, err := digest.NewBuilder(spec)
	assert.NilError(t, err)
	assert.NilError(t, want.AddBatch(b))

	f := newFile(t, manifest.Strategy{Mode: manifest.FullRefresh})
	for _, kind := range []connector.StageKind{connector.StageDirect, connector.StageRows} {
		f.m.Sink.Table.Name = "t " + string(kind)
		sink := f.sink()
		mode := manifest.IncrementalMerge // through a staging table
		if kind == connector.StageDirect {
			mode = manifest.FullRefresh
		}
		tx, err := sink.Begin(ctx, connector.Load{Pipeline: "p", Strategy: manifest.Strategy{Mode: mode}, Columns: s, Create: true, Now: now})
		assert.NilError(t, err)
		l := load{
			batch: b, kind: kind, apply: connector.Apply{Mode: mode, Columns: s, Key: []string{"id"}},
			changes: []connector.Change{{Kind: "create", Columns: s, Key: []string{"id"}}},
		}
		_, err = l.do(ctx, tx)
		assert.NilError(t, err)
		for _, target := range []bool{false, true} {
			got, err := tx.Digest(ctx, spec, target)
			assert.NilError(t, err)
			assert.Equal(t, got.String(), want.Digest().String())
		}
		for i, c := range s { // distinct values come back as they are
			if i == 0 {
				continue
			}
			values, err := tx.Values(ctx, c, 100)
			assert.NilError(t, err, c.Name)
			assert.Assert(t, len(values) >= len(boundary[strings.Split(c.Name, `"`)[1]])-1, c.Name)
		}
		_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{ID: "r", Pipeline: "p", Window: string(kind)})
		assert.NilError(t, err)
		// Nothing differs from what is there.
		tx, err = sink.Begin(ctx, connector.Load{Pipeline: "p", Strategy: manifest.Strategy{Mode: manifest.IncrementalMerge}, Columns: s, Now: now})
		assert.NilError(t, err)
		again := load{batch: b, apply: connector.Apply{Mode: manifest.IncrementalMerge, Columns: s, Key: []string{"id"}}}
		counters, err := again.do(ctx, tx)
		assert.NilError(t, err)
		assert.Equal(t, counters, connector.Counters{Unchanged: int64(b.Rows())})
		assert.NilError(t, tx.Rollback(ctx))

		lines, back, err := read(t, f.path, manifest.SourceOptions{BatchRows: 3}, f.m.Sink.Table.Name, connector.Request{})
		assert.NilError(t, err)
		for i := range s {
			assert.Equal(t, back[i].Name, s[i].Name)
			assert.Equal(t, back[i].Type, s[i].Type, s[i].Name)
		}
		assert.DeepEqual(t, lines, texts(t, b))
	}
}

func TestDeclaredTypes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{})
	f.exec(`CREATE TABLE people (a INTEGER, b INT, c BIGINT UNSIGNED, d SMALLINT, e BOOL, f REAL, g DOUBLE PRECISION, h DECIMAL(10, 2), i "NUMERIC(5)", j VARCHAR(20),
		k CLOB, l NATIVE CHARACTER(70), m BLOB, n, o DATE, p DATETIME, q TIMESTAMP WITH TIME ZONE, r UUID, s JSON, t INTERVAL, u TIME, v NUMERIC, w FLOAT32, x MONEY, y DATETIME(6))`)
	rel, err := f.sink().Describe(ctx)
	assert.NilError(t, err)
	want := "int64 int64 int64 int16 bool float64 float64 numeric(10,2) numeric(5,0) text(20) text text(70) bytes bytes date timestamp timestamptz uuid json interval time numeric float32 invalid timestamp"
	var got []string
	for _, c := range rel.Columns {
		got = append(got, c.Type.String())
	}
	assert.Equal(t, strings.Join(got, " "), want)
	for _, rule := range sqlite.Connector().Sink.Types {
		if rule.Rule == connector.Refused {
			continue
		}
		f.exec(`DROP TABLE IF EXISTS people; CREATE TABLE people (a ` + rule.Native + `)`)
		rel, err := f.sink().Describe(ctx)
		assert.NilError(t, err)
		assert.Equal(t, rel.Columns[0].Type.String(), rule.Logical)
	}
	_, err = f.sink().Native(logical.Type{Kind: logical.Native, Name: "postgres:inet"})
	fails(t, err, "type.refused")
}

// A column of another maker keeps a value as it is, or the load stops.
func TestColumnsThatWouldChangeValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		declared, kind, value string
		ok                    bool
	}{
		{"REAL", "float64", "-0", false},
		{"REAL", "float64", "NaN", true},
		{"DOUBLE", "float64", "1", true},
		{"DECIMAL(18,2)", "numeric(18,2)", "1.00", true},
		{"DECIMAL(18,2)", "numeric(18,2)", "0.10", true},
		{"DECIMAL(18,2)", "numeric(18,2)", "1234567890123.45", true},
		{"DECIMAL(18,2)", "numeric(18,2)", "1234567890123456.78", false},
		{"DECIMAL(18,2)", "numeric(18,2)", "9007199254740993.00", false},
		{"DECIMAL(18,2)", "numeric(18,2)", "NaN", false},
		{"NUMERIC", "numeric", "1.0", false},
		{"NUMERIC", "numeric", "1", true},
		{"JSON", "json", "1.0", false},
		{"JSON", "json", `{"a": 1.0}`, true},
	} {
		t.Run(c.declared+" "+c.value, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
			f.exec("CREATE TABLE people (id INTEGER PRIMARY KEY, v " + c.declared + ")")
			s := schema(t, "id int64; v "+c.kind)
			b := rows(t, s, "1|"+c.value)
			_, err := f.run(load{batch: b, apply: connector.Apply{Mode: manifest.IncrementalMerge, Columns: s, Key: []string{"id"}}})
			if !c.ok {
				fails(t, err, "row.target")
				assert.ErrorContains(t, err, `row 1, column "v"`)
				return
			}
			assert.NilError(t, err)
			lines, _, err := read(t, f.path, manifest.SourceOptions{}, "people", connector.Request{})
			assert.NilError(t, err)
			assert.DeepEqual(t, lines, texts(t, b))
			counters, err := f.run(load{batch: b, window: "2", apply: connector.Apply{Mode: manifest.IncrementalMerge, Columns: s, Key: []string{"id"}}})
			assert.NilError(t, err)
			assert.Equal(t, counters, connector.Counters{Unchanged: 1})
		})
	}
}
