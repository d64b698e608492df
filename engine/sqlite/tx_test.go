package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strconv"
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

func typ(t testing.TB, name string) logical.Type {
	t.Helper()
	k, err := logical.Parse(name)
	assert.NilError(t, err)
	return k
}

// schema reads "id int64, note text".
func schema(t testing.TB, text string) batch.Schema {
	t.Helper()
	var s batch.Schema
	for _, part := range strings.Split(text, "; ") {
		name, kind, _ := strings.Cut(part, " ")
		s = append(s, batch.Column{Name: name, Type: typ(t, kind)})
	}
	return s
}

// rows makes a batch of text forms; "-" is NULL.
func rows(t testing.TB, s batch.Schema, lines ...string) *batch.Batch {
	t.Helper()
	b := batch.New(s)
	for _, line := range lines {
		fields := strings.Split(line, "|")
		assert.Equal(t, len(fields), len(s), line)
		for i, f := range fields {
			if f == "-" {
				b.Columns[i].AppendNull()
				continue
			}
			v, err := logical.ParseText([]byte{}, s[i].Type, []byte(f))
			assert.NilError(t, err)
			b.Columns[i].Append(v)
		}
		b.EndRow()
	}
	return b
}

// file is a database file and its sink's manifest.
type file struct {
	t    testing.TB
	path string
	m    manifest.Manifest
}

func newFile(t testing.TB, s manifest.Strategy) *file {
	t.Helper()
	f := &file{t: t, path: filepath.Join(t.TempDir(), "target one.db")}
	f.m.Sink = manifest.Sink{Type: "sqlite", Path: f.path, Table: manifest.Table{Name: "people"}, Strategy: s}
	f.m.Sink.Options.LockTimeout = 1
	return f
}

// db is a connection that knows nothing of the connector.
func (f *file) db() *sql.DB {
	f.t.Helper()
	db, err := sql.Open("sqlite", f.path)
	assert.NilError(f.t, err)
	f.t.Cleanup(func() { _ = db.Close() })
	return db
}

func (f *file) exec(text string) {
	f.t.Helper()
	db := f.db()
	_, err := db.Exec(text)
	assert.NilError(f.t, err, text)
	assert.NilError(f.t, db.Close())
}

// all gives the rows of a query, sorted, values as SQLite quotes them.
func (f *file) all(query string) string {
	f.t.Helper()
	db := f.db()
	result, err := db.Query(query)
	assert.NilError(f.t, err, query)
	names, err := result.Columns()
	assert.NilError(f.t, err)
	assert.NilError(f.t, result.Close())
	for i, n := range names {
		names[i] = `+"` + n + `" AS c` + strconv.Itoa(i) // the driver makes times of columns with some declared types
	}
	result, err = db.Query("SELECT " + strings.Join(names, ", ") + " FROM (" + query + ")")
	assert.NilError(f.t, err, query)
	defer result.Close()
	var lines []string
	for result.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		assert.NilError(f.t, result.Scan(into...))
		var parts []string
		for _, v := range values {
			if v.Valid {
				parts = append(parts, v.String)
			} else {
				parts = append(parts, "-")
			}
		}
		lines = append(lines, strings.Join(parts, "|"))
	}
	assert.NilError(f.t, result.Err())
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func (f *file) same(query string, want ...string) {
	f.t.Helper()
	sort.Strings(want)
	assert.Equal(f.t, f.all(query), strings.Join(want, "\n"))
}

func (f *file) sink() *sqlite.Sink {
	f.t.Helper()
	s, err := sqlite.OpenSink(context.Background(), &f.m, connector.Env{})
	assert.NilError(f.t, err)
	f.t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

const now = "2026-01-02T03:04:05.000006Z"

// load is what one transaction does.
type load struct {
	changes []connector.Change
	batch   *batch.Batch
	kind    connector.StageKind
	apply   connector.Apply
	keys    *batch.Batch
	gates   []manifest.Gate
	now     string
	window  string
	state   *connector.State
}

// run does it; nothing is committed after an error.
func (f *file) run(l load) (connector.Counters, error) {
	f.t.Helper()
	ctx := context.Background()
	s := f.sink()
	defer s.Close(ctx)
	target, err := s.Describe(ctx)
	assert.NilError(f.t, err)
	if l.now == "" {
		l.now = now
	}
	if l.window == "" {
		l.window = l.now
	}
	columns := l.apply.Columns
	tx, err := s.Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Columns: columns, Create: target == nil, Now: l.now})
	if err != nil {
		return connector.Counters{}, err
	}
	counters, err := l.do(ctx, tx)
	if err != nil {
		assert.NilError(f.t, tx.Rollback(ctx))
		return counters, err
	}
	state := connector.State{}
	if l.state != nil {
		state = *l.state
	}
	_, err = tx.Commit(ctx, state, connector.Receipt{ID: "r" + l.window, Pipeline: "p", Window: l.window, At: l.now, Counters: counters})
	if err != nil {
		assert.NilError(f.t, tx.Rollback(ctx))
	}
	return counters, err
}

func put(ctx context.Context, tx connector.Tx, b *batch.Batch, kind connector.StageKind) error {
	stage, err := tx.Stage(ctx, b.Schema, kind)
	if err != nil {
		return err
	}
	if err := stage.Write(ctx, b); err != nil {
		return err
	}
	_, err = stage.Close(ctx)
	return err
}

func (l load) do(ctx context.Context, tx connector.Tx) (connector.Counters, error) {
	var c connector.Counters
	if err := tx.Alter(ctx, l.changes); err != nil {
		return c, err
	}
	if l.kind == "" {
		l.kind = connector.StageRows
	}
	if err := put(ctx, tx, l.batch, l.kind); err != nil {
		return c, err
	}
	c, err := tx.Apply(ctx, l.apply)
	if err != nil {
		return c, err
	}
	if l.keys != nil {
		if err := put(ctx, tx, l.keys, connector.StageKeys); err != nil {
			return c, err
		}
		a := l.apply
		a.Columns = l.keys.Schema
		a.Reconcile = &manifest.Reconciliation{Enabled: true, DeletePolicy: "hard_delete", EmptySource: "fail"}
		if l.apply.Reconcile != nil {
			a.Reconcile = l.apply.Reconcile
		}
		more, err := tx.Apply(ctx, a)
		if err != nil {
			return c, err
		}
		c.Add(more)
	}
	for _, g := range l.gates {
		m, err := tx.Gate(ctx, g)
		if err != nil {
			return c, err
		}
		if !m.Passed {
			return c, fmt.Errorf("gate %s: %s", g.Type, m.Message)
		}
	}
	return c, nil
}

func code(err error) string {
	var e *connector.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func fails(t testing.TB, err error, want string) {
	t.Helper()
	assert.Equal(t, code(err), want, "%v", err)
}

const peopleColumns = "id int64; name text; score numeric(10,2); day date"

const peopleTable = `CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, score NUMERIC_TEXT(10,2), day DATE);
INSERT INTO people VALUES (1, 'Ada', '1.00', '2026-01-01'), (2, 'Bob', NULL, '2026-01-02'), (3, 'Cyd', '3.50', NULL);`

func (f *file) people(mode manifest.Mode, lines ...string) load {
	s := schema(f.t, peopleColumns)
	return load{batch: rows(f.t, s, lines...), apply: connector.Apply{Mode: mode, Columns: s}}
}

func TestFullRefresh(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.FullRefresh})
	l := f.people(manifest.FullRefresh, "1|Ada|1.00|2026-01-01", "2|-|-|-")
	l.kind = connector.StageDirect
	l.changes = []connector.Change{{Kind: "create", Columns: l.batch.Schema, Key: []string{"id"}}}
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 2})
	f.same("SELECT * FROM people", "1|Ada|1.00|2026-01-01", "2|-|-|-")
	f.same("SELECT sql FROM sqlite_schema WHERE name = 'people'",
		`CREATE TABLE "people" ("id" INTEGER NOT NULL, "name" TEXT, "score" NUMERIC_TEXT(10,2), "day" DATE, PRIMARY KEY ("id"))`)
	f.exec("CREATE INDEX by_day ON people (day)")
	l = f.people(manifest.FullRefresh, "7|Eve|0.10|-")
	l.kind, l.now = connector.StageDirect, "2026-01-03T00:00:00Z"
	_, err = f.run(l)
	assert.NilError(t, err)
	f.same("SELECT * FROM people", "7|Eve|0.10|-")
	f.same("SELECT count(*) FROM sqlite_schema WHERE name = 'by_day'", "1")
	f.same("SELECT count(*) FROM dpone_receipt", "2")

	// A row without a number would get one.
	l = f.people(manifest.FullRefresh, "-|Eve|0.10|-")
	l.kind, l.window = connector.StageDirect, "null"
	_, err = f.run(l)
	fails(t, err, "row.target")
	f.same("SELECT * FROM people", "7|Eve|0.10|-")

	// Rows of another table would go with those that are emptied.
	f.exec("CREATE TABLE child (id INTEGER REFERENCES people ON DELETE CASCADE)")
	l.batch = rows(t, l.batch.Schema, "8|Eve|0.10|-")
	_, err = f.run(l)
	fails(t, err, "target.referenced")
	f.exec("DROP TABLE child; CREATE TABLE child (id INTEGER REFERENCES people); INSERT INTO child VALUES (7)")
	l.batch = rows(t, l.batch.Schema, "7|Eva|0.10|-")
	_, err = f.run(l)
	assert.NilError(t, err)
	l.batch, l.window = rows(t, l.batch.Schema, "8|Eva|0.10|-"), "gone"
	_, err = f.run(l)
	assert.ErrorContains(t, err, "FOREIGN KEY")
	f.same("SELECT * FROM people", "7|Eva|0.10|-")

	f.m.Sink.Strategy.OverwriteType = "shadow_swap"
	_, err = sqlite.OpenSink(context.Background(), &f.m, connector.Env{})
	fails(t, err, "strategy.shadow_swap")
}

func TestAppendOnlyNew(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalAppend, OnlyNewRows: true})
	f.exec(peopleTable)
	l := f.people(manifest.IncrementalAppend, "1|changed|9.00|-", "4|Dan|-|-")
	l.apply.Key = []string{"id"}
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, Unchanged: 1})
	f.same("SELECT id, name FROM people", "1|Ada", "2|Bob", "3|Cyd", "4|Dan")
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]string{
		"with a unique index": peopleTable,
		"without":             strings.Replace(peopleTable, "INTEGER PRIMARY KEY", "INT64", 1),
		"without rowid":       strings.Replace(strings.Replace(peopleTable, "INTEGER PRIMARY KEY", "INT64 PRIMARY KEY", 1), "day DATE)", "day DATE) WITHOUT ROWID", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
			f.exec(table + `CREATE TABLE touched (id INT64); CREATE TRIGGER watch AFTER UPDATE ON people BEGIN INSERT INTO touched VALUES (new.id); END`)
			l := f.people(manifest.IncrementalMerge, "1|Ada|1.00|2026-01-01", "2|Bob|0.00|2026-01-02", "4|Dan|-|-")
			l.apply.Key = []string{"id"}
			c, err := f.run(l)
			assert.NilError(t, err)
			assert.Equal(t, c, connector.Counters{Inserted: 1, Updated: 1, Unchanged: 1})
			f.same("SELECT * FROM people", "1|Ada|1.00|2026-01-01", "2|Bob|0.00|2026-01-02", "3|Cyd|3.50|-", "4|Dan|-|-")
			f.same("SELECT id FROM touched", "2")

			for defect, lines := range map[string][]string{"key.null": {"-|x|-|-"}, "key.duplicate": {"9|x|-|-", "9|y|-|-"}} {
				l := f.people(manifest.IncrementalMerge, lines...)
				l.apply.Key, l.window = []string{"id"}, defect
				_, err := f.run(l)
				if defect == "key.null" && name == "with a unique index" {
					defect = "row.target" // found earlier
				}
				fails(t, err, defect)
			}
			f.same("SELECT count(*) FROM people", "4")
		})
	}
}

func TestMergeTellsValuesApart(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	s := schema(t, "id int32; f float64; n numeric; b bytes; t text")
	l := load{
		batch: rows(t, s, `1|0|1.0|\x|a`, `2|NaN|NaN|\x4e614e|NaN`, `3|-|-|-|-`, `4|-0|1|-|`, `5|1|1|\x00|A`),
		apply: connector.Apply{Mode: manifest.IncrementalMerge, Columns: s, Key: []string{"id"}},
	}
	l.changes = []connector.Change{{Kind: "create", Columns: s, Key: []string{"id"}}}
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 5})
	l.changes, l.window = nil, "again"
	c, err = f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Unchanged: 5})
	l.window = "changed"
	l.batch = rows(t, s, `1|-0|1.0|\x|a`, `2|-|NaN|\x4e614e|NaN`, `3|-|NaN|-|-`, `4|0|1|-|`, `5|1|1.0|\x00|A`)
	c, err = f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Updated: 5})
	c, err = f.run(load{batch: l.batch, apply: l.apply, window: "last"})
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Unchanged: 5})
}

func TestKeepLast(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}, DuplicatePolicy: "last_by:score"})
	f.exec(peopleTable)
	l := f.people(manifest.IncrementalMerge, "1|ten|10.00|-", "1|nine|9.00|-", "1|none|-|-")
	l.apply.Key = []string{"id"}
	_, err := f.run(l)
	assert.NilError(t, err)
	f.same("SELECT name FROM people WHERE id = 1", "ten")
}

func TestReplace(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.Replace, CustomPredicate: "id >= 2"})
	f.exec(peopleTable)
	_, err := f.run(f.people(manifest.Replace, "2|new|-|-", "1|outside|-|-"))
	fails(t, err, "replace.row_outside_predicate")
	c, err := f.run(f.people(manifest.Replace, "2|new|-|-"))
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, DeletedHard: 2})
	f.same("SELECT id, name FROM people", "1|Ada", "2|new")
}

func TestPartitionReplace(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.PartitionReplace})
	f.exec(peopleTable + "INSERT INTO people VALUES (4, 'Dan', NULL, '2026-01-01')")
	l := f.people(manifest.PartitionReplace, "9|new|-|-")
	day := l.batch.Schema[3]
	first, err := logical.ParseText(nil, day.Type, []byte("2026-01-01"))
	assert.NilError(t, err)
	l.apply.Scope = &connector.In{Column: day, Values: [][]byte{first}}
	_, err = f.run(l)
	fails(t, err, "partition.row_outside_scope")
	l.apply.Scope.Values = [][]byte{first, nil} // the first one is emptied
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, DeletedHard: 3})
	f.same("SELECT id, day FROM people", "2|2026-01-02", "9|-")

	ctx := context.Background()
	s := f.sink()
	tx, err := s.Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Now: now})
	assert.NilError(t, err)
	values, err := tx.Values(ctx, day, 2)
	assert.NilError(t, err)
	assert.Equal(t, len(values), 2)
	_, err = tx.Values(ctx, day, 1)
	fails(t, err, "partition.too_many")
	assert.NilError(t, tx.Rollback(ctx))
}

// Times that others wrote in another form of ISO 8601 are the same partition.
func TestPartitionOfForeignTimes(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.PartitionReplace})
	f.exec(`CREATE TABLE people (id INT64, at TIMESTAMPTZ, n NUMERIC(5,2)); INSERT INTO people VALUES (1, '2026-01-01T02:00:00+02:00', 1.5), (2, '2026-01-01 00:00:01Z', 2.5)`)
	s := schema(t, "id int64; at timestamptz; n numeric(5,2)")
	at, err := logical.ParseText(nil, s[1].Type, []byte("2026-01-01 00:00:00Z"))
	assert.NilError(t, err)
	c, err := f.run(load{
		batch: rows(t, s, "3|2026-01-01 00:00:00Z|1.50"),
		apply: connector.Apply{Mode: manifest.PartitionReplace, Columns: s, Scope: &connector.In{Column: s[1], Values: [][]byte{at}}},
	})
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, DeletedHard: 1})
	f.same("SELECT id, typeof(n) FROM people", "2|real", "3|real")
}

func TestSnapshotDiff(t *testing.T) {
	t.Parallel()
	const table = peopleTable + `ALTER TABLE people ADD COLUMN gone TIMESTAMPTZ; UPDATE people SET gone = '2020-01-01 00:00:00+00' WHERE id = 2;
		CREATE TABLE touched (id INT64); CREATE TRIGGER watch AFTER UPDATE ON people BEGIN INSERT INTO touched VALUES (new.id); END`
	for policy, want := range map[string]struct {
		counters connector.Counters
		rows     []string
		touched  []string
	}{
		"hard_delete": {connector.Counters{Inserted: 1, Unchanged: 2, DeletedHard: 1}, []string{"1|-", "2|2020-01-01 00:00:00+00", "4|-"}, []string{""}},
		"soft_delete": {connector.Counters{Inserted: 1, Unchanged: 1, DeletedSoft: 1, Reactivated: 1}, []string{"1|-", "2|-", "3|2026-01-02 03:04:05.000006+00", "4|-"}, []string{"2", "3"}},
		"ignore":      {connector.Counters{Inserted: 1, Unchanged: 2}, []string{"1|-", "2|2020-01-01 00:00:00+00", "3|-", "4|-"}, []string{""}},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, manifest.Strategy{Mode: manifest.SnapshotDiff, UniqueKey: []string{"id"}, Diff: manifest.Diff{DeletePolicy: policy}, SoftDelete: "gone"})
			f.exec(table)
			l := f.people(manifest.SnapshotDiff, "1|Ada|1.00|2026-01-01", "2|Bob|-|2026-01-02", "4|Dan|-|-")
			l.apply.Key = []string{"id"}
			c, err := f.run(l)
			assert.NilError(t, err)
			assert.Equal(t, c, want.counters)
			f.same("SELECT id, gone FROM people", want.rows...)
			f.same("SELECT id FROM touched", want.touched...)
			// Once more: nothing is touched, and the time of the first detection stays.
			f.exec("DELETE FROM touched")
			l.now = "2026-02-02T00:00:00Z"
			c, err = f.run(l)
			assert.NilError(t, err)
			assert.Equal(t, c, connector.Counters{Unchanged: 3})
			f.same("SELECT id, gone FROM people", want.rows...)
			f.same("SELECT count(*) FROM touched", "0")
		})
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	o := manifest.SCD2Options{ValidFrom: "from", ValidTo: "to", Current: "cur", RowHash: "hash", DeletePolicy: "expire"}
	f := newFile(t, manifest.Strategy{Mode: manifest.SCD2, UniqueKey: []string{"id"}, SCD2: o})
	l := f.people(manifest.SCD2, "1|Ada|1.00|-", "2|Bob|-|-")
	l.apply.Key, l.now = []string{"id"}, "2026-01-01T00:00:00Z"
	at, boolean, text := typ(t, "timestamptz"), typ(t, "bool"), typ(t, "text")
	l.changes = []connector.Change{
		{Kind: "create", Columns: append(append(batch.Schema{}, l.batch.Schema...), batch.Column{Name: "from", Type: at, NotNull: true}, batch.Column{Name: "to", Type: at},
			batch.Column{Name: "cur", Type: boolean, NotNull: true}, batch.Column{Name: "hash", Type: text, NotNull: true})},
		{Kind: "index", Key: []string{"id"}, Flag: "cur"},
	}
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 2})

	l.changes, l.now = nil, "2026-01-02T00:00:00Z"
	l.batch = rows(t, l.batch.Schema, "1|Ada|1.50|-", "3|Cyd|-|-")
	c, err = f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, Updated: 1, DeletedSoft: 1})
	f.same(`SELECT id, score, "from", "to", cur FROM people`,
		"1|1.00|2026-01-01 00:00:00+00|2026-01-02 00:00:00+00|0", "1|1.50|2026-01-02 00:00:00+00|-|1",
		"2|-|2026-01-01 00:00:00+00|2026-01-02 00:00:00+00|0", "3|-|2026-01-02 00:00:00+00|-|1")
	l.now = "2026-01-03T00:00:00Z"
	c, err = f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Unchanged: 2})

	l.batch = rows(t, l.batch.Schema, "2|Bob|-|-", "3|Cyd|0.00|-", "1|Ada|1.50|-")
	l.now = "2026-01-04T00:00:00Z"
	_, err = f.run(l)
	assert.NilError(t, err)
	f.same(`SELECT id FROM people GROUP BY id HAVING sum(cur) <> 1`, "")
	f.same(`SELECT count(*) FROM people a JOIN people b ON a.id = b.id AND a.rowid < b.rowid AND a."from" < coalesce(b."to", 'z') AND b."from" < coalesce(a."to", 'z')`, "0")
	l.now, l.window = "2026-01-01T12:00:00Z", "early"
	_, err = f.run(l)
	fails(t, err, "scd2.clock")

	// The hash is the one of the digest's row bytes.
	b, err := digest.NewBuilder(digest.Spec{Level: digest.LevelFull, Columns: l.batch.Schema, Buckets: 1})
	assert.NilError(t, err)
	assert.NilError(t, b.AddBatch(rows(t, l.batch.Schema, "2|Bob|-|-")))
	lane := fmt.Sprintf("%016x%016x", b.Digest().Buckets[0].A, b.Digest().Buckets[0].B)
	f.same("SELECT DISTINCT substr(hash, 1, 32) FROM people WHERE id = 2", lane)
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.Backfill})
	f.exec(peopleTable)
	l := f.people(manifest.Backfill, "9|new|-|2026-01-01")
	day := l.batch.Schema[3]
	end, err := logical.ParseText(nil, day.Type, []byte("2026-01-02"))
	assert.NilError(t, err)
	l.apply.Range = &connector.Range{Column: day, To: end}
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, DeletedHard: 1})
	f.same("SELECT id FROM people", "2", "3", "9")
	f.m.Sink.Strategy.Backfill.InnerMode = manifest.IncrementalMerge
	l.apply.Key, l.window = []string{"id"}, "merge"
	c, err = f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Unchanged: 1})
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	f.exec(peopleTable)
	l := f.people(manifest.IncrementalMerge, "4|Dan|-|-")
	l.apply.Key = []string{"id"}
	keys := schema(t, "id int64")
	l.keys = rows(t, keys)
	_, err := f.run(l)
	fails(t, err, "reconciliation.empty_source")
	l.keys = rows(t, keys, "1", "4")
	one, half := int64(1), 0.4
	l.apply.Reconcile = nil
	guarded := func(g manifest.Guards) error {
		guard := l
		r := manifest.Reconciliation{Enabled: true, DeletePolicy: "hard_delete", EmptySource: "fail", Guards: g}
		ctx := context.Background()
		s := f.sink()
		defer s.Close(ctx)
		tx, err := s.Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Now: now})
		assert.NilError(t, err)
		defer func() { assert.NilError(t, tx.Rollback(ctx)) }()
		if err := put(ctx, tx, guard.keys, connector.StageKeys); err != nil {
			return err
		}
		_, err = tx.Apply(ctx, connector.Apply{Columns: keys, Key: []string{"id"}, Reconcile: &r})
		return err
	}
	fails(t, guarded(manifest.Guards{MaxDeleteRows: &one}), "reconciliation.max_delete_rows")
	fails(t, guarded(manifest.Guards{MaxDeleteRatio: &half}), "reconciliation.max_delete_ratio")
	assert.NilError(t, guarded(manifest.Guards{}))
	c, err := f.run(l)
	assert.NilError(t, err)
	assert.Equal(t, c, connector.Counters{Inserted: 1, DeletedHard: 2})
	f.same("SELECT id FROM people", "1", "4")
}

func TestStateAndReceipt(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	s := f.sink()
	found, err := s.Receipt(ctx, "p", "w")
	assert.NilError(t, err)
	assert.Assert(t, found == nil)
	l := f.people(manifest.IncrementalMerge, "1|Ada|-|-")
	l.apply.Key, l.window = []string{"id"}, "w"
	l.changes = []connector.Change{{Kind: "create", Columns: l.batch.Schema, Key: []string{"id"}}}
	l.state = &connector.State{Position: json.RawMessage(`{"at":1}`)}
	_, err = f.run(l)
	assert.NilError(t, err)
	found, err = s.Receipt(ctx, "p", "w")
	assert.NilError(t, err)
	assert.Equal(t, found.ID, "rw")

	begin := func() connector.Tx {
		t.Helper()
		own := f.sink()
		tx, err := own.Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Now: now})
		assert.NilError(t, err)
		return tx
	}
	tx := begin()
	before, err := tx.State(ctx)
	assert.NilError(t, err)
	assert.Equal(t, before.Revision, int64(1))
	assert.Equal(t, string(before.Position), `{"at":1}`)
	receipt, err := tx.Receipt(ctx, "w")
	assert.NilError(t, err)
	assert.Equal(t, receipt.ID, "rw")
	before.Position = json.RawMessage(`{"at":2}`)
	_, err = tx.Commit(ctx, before, connector.Receipt{ID: "2", Pipeline: "p", Window: "w2"})
	assert.NilError(t, err)

	tx = begin() // with what was read before the other one committed
	_, err = tx.Commit(ctx, before, connector.Receipt{ID: "3", Pipeline: "p", Window: "w3"})
	fails(t, err, connector.CodeStateMoved)
	assert.NilError(t, tx.Rollback(ctx))
	tx = begin()
	_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{ID: "4", Pipeline: "p", Window: "w2"})
	fails(t, err, "receipt.write")
	assert.NilError(t, tx.Rollback(ctx))
	f.same("SELECT revision, position FROM dpone_state", `2|{"at":2}`)
	f.same("SELECT id FROM dpone_receipt", "2", "rw")
}

func TestGates(t *testing.T) {
	t.Parallel()
	zero, two := 0.0, 2.0
	for name, c := range map[string]struct {
		gate manifest.Gate
		want string // part of the message, empty when it passes
	}{
		"not null":        {manifest.Gate{Type: "not_null", Columns: []string{"name"}}, ""},
		"null":            {manifest.Gate{Type: "not_null", Columns: []string{"score"}}, "1 rows have NULL"},
		"unique":          {manifest.Gate{Type: "unique", Columns: []string{"id"}}, ""},
		"not unique":      {manifest.Gate{Type: "unique", Columns: []string{"day"}}, "come more than once"},
		"accepted":        {manifest.Gate{Type: "accepted_values", Columns: []string{"name"}, Values: []string{"Ada", "Bob"}}, ""},
		"accepted number": {manifest.Gate{Type: "accepted_values", Columns: []string{"score"}, Values: []string{"1.00"}}, ""},
		"not accepted":    {manifest.Gate{Type: "accepted_values", Columns: []string{"name"}, Values: []string{"Ada"}}, "1 rows have another value"},
		"fresh":           {manifest.Gate{Type: "freshness", Columns: []string{"day"}, MaxAge: "2d"}, ""},
		"stale":           {manifest.Gate{Type: "freshness", Columns: []string{"day"}, MaxAge: "1h"}, "older than"},
		"sql":             {manifest.Gate{Type: "custom_sql", SQL: "SELECT count(*) FROM {load} WHERE id > 2", Threshold: &zero}, ""},
		"sql on target":   {manifest.Gate{Type: "custom_sql", SQL: "SELECT count(*) FROM {target}", Threshold: &two}, "gave 3"},
		"target":          {manifest.Gate{Type: "not_null", Side: "target", Columns: []string{"day"}}, "1 rows have NULL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
			f.exec(peopleTable)
			before := f.all("SELECT * FROM people")
			l := f.people(manifest.IncrementalMerge, "1|Ada|1.00|2026-01-01", "2|Bob|-|2026-01-01")
			l.apply.Key, l.gates = []string{"id"}, []manifest.Gate{c.gate}
			_, err := f.run(l)
			if c.want == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, f.all("SELECT * FROM people"), before)
			f.same("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dpone%'", "0") // rollback leaves nothing
		})
	}
}

func TestDigestsOfBothSides(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	f.exec(peopleTable)
	l := f.people(manifest.IncrementalMerge, "1|Ada|1.00|2026-01-01", "2|Bob|-|2026-01-02", "3|Cyd|3.50|-")
	l.apply.Key = []string{"id"}
	s := f.sink()
	tx, err := s.Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Columns: l.batch.Schema, Now: now})
	assert.NilError(t, err)
	_, err = l.do(ctx, tx)
	assert.NilError(t, err)
	for _, level := range []digest.Level{digest.LevelNone, digest.LevelCount, digest.LevelKey, digest.LevelFull} {
		spec := digest.Spec{Level: level, Columns: l.batch.Schema, Key: []string{"id"}}
		want, err := digest.NewBuilder(spec)
		assert.NilError(t, err)
		assert.NilError(t, want.AddBatch(l.batch))
		for _, target := range []bool{false, true} {
			got, err := tx.Digest(ctx, spec, target)
			assert.NilError(t, err)
			if level != digest.LevelNone {
				assert.Equal(t, got.String(), want.Digest().String())
			}
			n, err := tx.Count(ctx, target)
			assert.NilError(t, err)
			assert.Equal(t, n, int64(3))
		}
	}
	assert.NilError(t, tx.Rollback(ctx))
}

// read gives all rows of a source as text, one line a row.
func read(t testing.TB, path string, o manifest.SourceOptions, table string, r connector.Request) ([]string, batch.Schema, error) {
	t.Helper()
	ctx := context.Background()
	m := &manifest.Manifest{Source: manifest.Source{Type: "sqlite", Path: path, Table: manifest.Table{Name: table}, Options: o}}
	src, err := sqlite.OpenSource(ctx, m, connector.Env{})
	if err != nil {
		return nil, nil, err
	}
	defer src.Close(ctx)
	rel, err := src.Describe(ctx)
	if err != nil {
		return nil, nil, err
	}
	snap, err := src.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { assert.NilError(t, snap.Close(ctx)) }()
	if r.Columns == nil {
		r.Columns = rel.Schema()
	}
	reader, err := snap.Read(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	var lines []string
	for b := batch.New(r.Columns); ; {
		err := reader.Next(ctx, b)
		if errors.Is(err, io.EOF) {
			return lines, r.Columns, nil
		}
		if err != nil {
			return lines, r.Columns, err
		}
		lines = append(lines, texts(t, b)...)
	}
}

func texts(t testing.TB, b *batch.Batch) []string {
	t.Helper()
	var lines []string
	for row := range b.Rows() {
		var parts []string
		for i := range b.Columns {
			v := b.Columns[i].Value(row)
			if v == nil {
				parts = append(parts, "-")
				continue
			}
			text, err := logical.AppendText(nil, b.Schema[i].Type, v)
			assert.NilError(t, err)
			parts = append(parts, string(text))
		}
		lines = append(lines, strings.Join(parts, "|"))
	}
	return lines
}
