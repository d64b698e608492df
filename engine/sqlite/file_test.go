package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlite"
)

// A second writer waits for the first; when that takes too long it says so.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	f.exec(peopleTable)
	held, err := f.sink().Begin(ctx, connector.Load{Pipeline: "p", Now: now})
	assert.NilError(t, err)
	l := f.people(manifest.IncrementalMerge, "4|Dan|-|-")
	l.apply.Key = []string{"id"}
	_, err = f.run(l)
	fails(t, err, "target.busy")
	assert.ErrorContains(t, err, "lock_timeout")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = f.sink().Begin(cancelled, connector.Load{Pipeline: "p", Now: now})
	assert.ErrorIs(t, err, context.Canceled)

	f.m.Sink.Options.LockTimeout = 30
	var group sync.WaitGroup
	var late error
	group.Add(1)
	go func() {
		defer group.Done()
		_, late = f.run(l)
	}()
	_, err = held.Commit(ctx, connector.State{}, connector.Receipt{ID: "held", Pipeline: "p", Window: "held"})
	assert.NilError(t, err)
	group.Wait()
	assert.NilError(t, late)
	f.same("SELECT count(*) FROM people", "4")
	f.same("SELECT load_window FROM dpone_receipt", "held", now)
	f.same("SELECT * FROM pragma_integrity_check", "ok")
}

// A reader of a file without a write-ahead log keeps a writer from committing.
func TestReaderInTheWay(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	f.exec(peopleTable)
	_ = snapshotOf(t, f.path, "people", manifest.SourceOptions{})
	l := f.people(manifest.IncrementalMerge, "4|Dan|-|-")
	l.apply.Key = []string{"id"}
	_, err := f.run(l)
	fails(t, err, "target.busy")
	assert.ErrorContains(t, err, "readers")
	f.same("SELECT count(*) FROM people", "3")
}

func TestSourceAndSinkInOneFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFile(t, manifest.Strategy{Mode: manifest.FullRefresh})
	f.exec("CREATE TABLE other (id INT64); INSERT INTO other VALUES (1), (2)")
	f.m.Source = manifest.Source{Type: "sqlite", Path: f.path, Table: manifest.Table{Name: "other"}}
	_, err := f.sink().Begin(ctx, connector.Load{Pipeline: "p", Create: true, Now: now})
	fails(t, err, "target.journal_mode")
	f.exec("PRAGMA journal_mode = wal")
	snap := snapshotOf(t, f.path, "other", manifest.SourceOptions{})
	s := schema(t, "id int64")
	tx, err := f.sink().Begin(ctx, connector.Load{Pipeline: "p", Columns: s, Create: true, Now: now})
	assert.NilError(t, err)
	assert.NilError(t, tx.Alter(ctx, []connector.Change{{Kind: "create", Columns: s}}))
	stage, err := tx.Stage(ctx, s, connector.StageDirect)
	assert.NilError(t, err)
	reader, err := snap.Read(ctx, connector.Request{Columns: s})
	assert.NilError(t, err)
	b := batch.New(s)
	assert.NilError(t, reader.Next(ctx, b))
	assert.NilError(t, stage.Write(ctx, b))
	_, err = stage.Close(ctx)
	assert.NilError(t, err)
	assert.NilError(t, reader.Close())
	_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{ID: "w", Pipeline: "p", Window: "w"})
	assert.NilError(t, err)
	f.same("SELECT id FROM people", "1", "2")
}

func TestWiden(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge, UniqueKey: []string{"id"}})
	f.exec(`CREATE TABLE people ( -- the "people", and a comment
		"id" int32 NOT NULL PRIMARY KEY, /* , n INT16 ( */ [s] varchar(3) DEFAULT 'a,b' COLLATE NOCASE CHECK (length(s) < 9),
		f FLOAT32_BLOB, n NUMERIC_TEXT(5, 2), d DECIMAL(5,2), "check" INT16, UNIQUE (s, n));
		INSERT INTO people VALUES (1, 'abc', 1.5, '1.00', 2.5, 7); CREATE INDEX by_f ON people (f);
		CREATE VIEW v AS SELECT * FROM people; CREATE TABLE child (id REFERENCES people); INSERT INTO child VALUES (1);
		CREATE TRIGGER watch AFTER INSERT ON people BEGIN UPDATE people SET f = 2.5 WHERE id = new.id; END`)
	s := schema(t, `id int64; s text(20); f float64; n numeric(18,2); d numeric(9,2); check int32; extra text`)
	b := rows(t, s, "99999999999|longer|-|1234567.00|12345.50|70000|x")
	l := load{batch: b, apply: connector.Apply{Mode: manifest.IncrementalMerge, Columns: s, Key: []string{"id"}}}
	l.changes = []connector.Change{{Kind: "add", Columns: s[6:]}, {Kind: "widen", Columns: s[:6]}}
	_, err := f.run(l)
	assert.NilError(t, err)
	rel, err := f.sink().Describe(context.Background())
	assert.NilError(t, err)
	for i, c := range rel.Columns {
		assert.Equal(t, c.Type, s[i].Type, c.Name)
	}
	f.same("SELECT * FROM people", "1|abc|1.5|1.00|2.5|7|-", "99999999999|longer|2.5|1234567.00|12345.5|70000|x")
	f.same("SELECT * FROM pragma_integrity_check", "ok")
	f.same("SELECT count(*) FROM sqlite_schema WHERE name IN ('by_f', 'v', 'watch')", "3")
	f.same(`SELECT dflt_value FROM pragma_table_info('people') WHERE name = 's'`, "'a,b'")

	// A rolled back change leaves the schema as it was.
	before := f.all("SELECT sql FROM sqlite_schema WHERE name = 'people'")
	l = load{batch: rows(t, s[:1], "-"), window: "2", apply: connector.Apply{Mode: manifest.IncrementalMerge, Columns: s[:1], Key: []string{"id"}}}
	l.changes = []connector.Change{{Kind: "widen", Columns: schema(t, "s text")}}
	_, err = f.run(l)
	fails(t, err, "key.null")
	assert.Equal(t, f.all("SELECT sql FROM sqlite_schema WHERE name = 'people'"), before)
	f.same("SELECT * FROM pragma_integrity_check", "ok")

	l.changes = []connector.Change{{Kind: "widen", Columns: schema(t, "d numeric")}}
	_, err = f.run(l)
	fails(t, err, "target.widen")
}

func TestNamesThatDifferByCase(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.IncrementalMerge})
	s := schema(t, "id int64; ID int64")
	_, err := f.run(load{changes: []connector.Change{{Kind: "create", Columns: s}}, batch: rows(t, s), apply: connector.Apply{Columns: s}})
	fails(t, err, "column.case")
	f.same("SELECT count(*) FROM sqlite_schema", "0")
}

func TestUniqueIndex(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.SCD2})
	f.exec("CREATE TABLE people (id INT64, v TEXT, cur BOOLEAN)")
	s := schema(t, "id int64; v text; cur bool")
	change := []connector.Change{{Kind: "index", Key: []string{"id"}, Flag: "cur"}}
	_, err := f.run(load{changes: change, batch: rows(t, s), apply: connector.Apply{Mode: manifest.IncrementalAppend, Columns: s}})
	assert.NilError(t, err)
	f.exec("INSERT INTO people VALUES (1, 'a', 0), (1, 'b', 0), (1, 'c', 1)")
	_, err = f.db().Exec("INSERT INTO people VALUES (1, 'd', 1)")
	assert.ErrorContains(t, err, "UNIQUE")
}

// killFile tells the child process which file to load.
const killFile = "DPONE_SQLITE_KILL_FILE"

// TestChild is not a test: it loads a file and stops in the middle, to be killed there.
func TestChild(t *testing.T) {
	path := os.Getenv(killFile)
	if path == "" {
		t.Skip("runs as the child of TestKill")
	}
	ctx := context.Background()
	m := manifest.Manifest{Sink: manifest.Sink{Type: "sqlite", Path: path, Table: manifest.Table{Name: "people"}, Strategy: manifest.Strategy{Mode: manifest.FullRefresh}}}
	sink, err := sqlite.OpenSink(ctx, &m, connector.Env{})
	assert.NilError(t, err)
	s := schema(t, "id int64; note text")
	tx, err := sink.Begin(ctx, connector.Load{Pipeline: "p", Strategy: m.Sink.Strategy, Columns: s, Now: now})
	assert.NilError(t, err)
	assert.NilError(t, put(ctx, tx, many(s, 6000), connector.StageDirect))
	_, _ = fmt.Fprintln(os.Stdout, "ready")
	<-ctx.Done() // never
}

// many gives rows that are more than the page cache holds.
func many(s batch.Schema, n int64) *batch.Batch {
	b := batch.New(s)
	note := []byte(strings.Repeat("n", 4000))
	for i := range n {
		b.Columns[0].Append(logical.AppendInt64(nil, i))
		b.Columns[1].Append(note)
		b.EndRow()
	}
	return b
}

// TestKill ends a process in the middle of its transaction, after pages of it have
// been written into the file.
func TestKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a process")
	}
	for _, mode := range []string{"delete", "wal"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, manifest.Strategy{Mode: manifest.FullRefresh})
			f.exec("PRAGMA journal_mode = " + mode + "; CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, note TEXT); INSERT INTO people VALUES (1, 'before'), (2, 'before')")
			self, err := os.Executable()
			assert.NilError(t, err)
			child := exec.Command(self, "-test.run=^TestChild$", "-test.timeout=60s")
			child.Env = append(os.Environ(), killFile+"="+f.path)
			out, err := child.StdoutPipe()
			assert.NilError(t, err)
			assert.NilError(t, child.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			assert.NilError(t, err)
			assert.Equal(t, line, "ready\n")
			assert.NilError(t, child.Process.Kill())
			_ = child.Wait()

			if mode == "delete" {
				_, _, err = read(t, f.path, manifest.SourceOptions{}, "people", connector.Request{})
				fails(t, err, "sqlite.journal")
			}
			// The receipt is not there, and looking for it may repair the file.
			receipt, err := f.sink().Receipt(context.Background(), "p", "w")
			assert.NilError(t, err)
			assert.Assert(t, receipt == nil)
			f.same("SELECT * FROM pragma_integrity_check", "ok")
			f.same("SELECT * FROM people", "1|before", "2|before")
			f.same("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dpone%'", "0")

			s := schema(t, "id int64; note text")
			c, err := f.run(load{batch: many(s, 1000), kind: connector.StageDirect, apply: connector.Apply{Mode: manifest.FullRefresh, Columns: s}})
			assert.NilError(t, err)
			assert.Equal(t, c.Inserted, int64(1000))
			f.same("SELECT count(*), max(id) FROM people", "1000|999")
			f.same("SELECT * FROM pragma_integrity_check", "ok")
		})
	}
}

// A load that is interrupted leaves nothing, and its sink can be used again.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	f := newFile(t, manifest.Strategy{Mode: manifest.FullRefresh})
	f.exec("CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, note TEXT); INSERT INTO people VALUES (1, 'before')")
	s := schema(t, "id int64; note text")
	sink := f.sink()
	ctx, cancel := context.WithCancel(context.Background())
	tx, err := sink.Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Columns: s, Now: now})
	assert.NilError(t, err)
	stage, err := tx.Stage(ctx, s, connector.StageDirect)
	assert.NilError(t, err)
	cancel()
	assert.ErrorIs(t, stage.Write(ctx, many(s, 10)), context.Canceled)
	assert.NilError(t, tx.Rollback(context.Background()))
	tx, err = sink.Begin(context.Background(), connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Columns: s, Now: now})
	assert.NilError(t, err)
	assert.NilError(t, tx.Rollback(context.Background()))
	f.same("SELECT * FROM people", "1|before")
}

// BenchmarkStage stages rows of 20 columns; the metric is rows a second.
func BenchmarkStage(b *testing.B) {
	ctx := context.Background()
	var s batch.Schema
	kinds := []string{"int64", "int32", "text", "float64", "bool", "timestamptz", "numeric(18,2)", "date", "uuid", "text"}
	values := []string{"123456789", "1234", "a text of some length", "1234.5678", "true", "2026-01-02 03:04:05.678901+00", "123456.78", "2026-01-02", "12345678-1234-1234-1234-123456789012", "x"}
	rowsPerBatch := 8192
	for i := range 20 {
		s = append(s, batch.Column{Name: fmt.Sprintf("c%d", i), Type: typ(b, kinds[i%10])})
	}
	line := strings.Join(append(append([]string{}, values...), values...), "|")
	lines := make([]string, rowsPerBatch)
	for i := range lines {
		lines[i] = line
	}
	data := rows(b, s, lines...)
	const total = 200 * 1000
	for _, kind := range []connector.StageKind{connector.StageDirect, connector.StageRows} {
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				f := newFile(b, manifest.Strategy{Mode: manifest.FullRefresh})
				tx, err := f.sink().Begin(ctx, connector.Load{Pipeline: "p", Strategy: f.m.Sink.Strategy, Columns: s, Create: true, Now: now})
				assert.NilError(b, err)
				assert.NilError(b, tx.Alter(ctx, []connector.Change{{Kind: "create", Columns: s}}))
				began := time.Now()
				stage, err := tx.Stage(ctx, s, kind)
				assert.NilError(b, err)
				n := 0
				for ; n < total; n += rowsPerBatch {
					assert.NilError(b, stage.Write(ctx, data))
				}
				_, err = stage.Close(ctx)
				assert.NilError(b, err)
				staged := time.Since(began)
				_, err = tx.Apply(ctx, connector.Apply{Mode: manifest.IncrementalAppend, Columns: s})
				assert.NilError(b, err)
				_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{ID: "w", Pipeline: "p", Window: "w"})
				assert.NilError(b, err)
				committed := time.Since(began)
				lines, _, err := countRead(f.path, s)
				assert.NilError(b, err)
				read := time.Since(began) - committed
				b.ReportMetric(float64(n)/staged.Seconds(), "staged-rows/s")
				b.ReportMetric(float64(n)/committed.Seconds(), "committed-rows/s")
				b.ReportMetric(float64(lines)/read.Seconds(), "read-rows/s")
			}
		})
	}
}

func countRead(path string, s batch.Schema) (int64, *sql.DB, error) {
	ctx := context.Background()
	src, err := sqlite.OpenSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: path, Table: manifest.Table{Name: "people"}}}, connector.Env{})
	if err != nil {
		return 0, nil, err
	}
	defer src.Close(ctx)
	snap, err := src.Snapshot(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer snap.Close(ctx)
	reader, err := snap.Read(ctx, connector.Request{Columns: s})
	if err != nil {
		return 0, nil, err
	}
	defer reader.Close()
	b := batch.New(s)
	for reader.Next(ctx, b) == nil {
	}
	return reader.Stats().Rows, nil, nil
}
