package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlite"
)

// relaying is a full refresh from one file into another, up to its relay.
type relaying struct {
	from, to *file
	options  manifest.SourceOptions
	request  connector.Request
	kind     connector.StageKind
	at       func(context.Context, connector.Point) error
}

const relayed = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score NUMERIC(10,2), at TIMESTAMPTZ, weight REAL, photo BLOB)"

func newRelaying(t *testing.T) *relaying {
	r := &relaying{from: newFile(t, manifest.Strategy{}), to: newFile(t, manifest.Strategy{}), kind: connector.StageDirect}
	r.options.BatchRows = 100
	r.from.exec(relayed + `; INSERT INTO people VALUES (1, 'Ada', 1.5, '2026-01-01 00:00:00+00', 0.5, x'00ff'), (3, '', NULL, '2026-01-02T02:00:00+02:00', 'NaN', NULL);
		WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO people SELECT i, 'name ' || i, i, NULL, i / 3.0, zeroblob(i % 7) FROM n`)
	r.to.exec(relayed + "; INSERT INTO people VALUES (7, 'gone', NULL, NULL, NULL, NULL)")
	return r
}

// try relays. It gives the digest of what was read, and whether the rows took that way.
func (r *relaying) try(t *testing.T, commit bool) (d digest.Digest, handled bool, err error) {
	t.Helper()
	ctx := t.Context()
	env := connector.Env{Dir: t.TempDir(), At: r.at}
	from := manifest.Manifest{Source: manifest.Source{Type: "sqlite", Path: r.from.path, Table: manifest.Table{Name: "people"}, Options: r.options}}
	source, err := sqlite.OpenSource(ctx, &from, env)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, source.Close(ctx)) }()
	relation, err := source.Describe(ctx)
	assert.NilError(t, err)
	snap, err := source.Snapshot(ctx)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, snap.Close(ctx)) }()
	r.request.Columns = relation.Schema()
	rd, err := snap.Read(ctx, r.request)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, rd.Close()) }()

	sink, err := sqlite.OpenSink(ctx, &r.to.m, env)
	assert.NilError(t, err)
	defer func() { assert.NilError(t, sink.Close(ctx)) }()
	tx, err := sink.Begin(ctx, connector.Load{Pipeline: "p", Columns: r.request.Columns})
	assert.NilError(t, err)
	stage, err := tx.Stage(ctx, r.request.Columns, r.kind)
	assert.NilError(t, err)
	builder, err := digest.NewBuilder(digest.Spec{Level: digest.LevelFull, Columns: r.request.Columns})
	assert.NilError(t, err)
	relayer, ok := stage.(connector.Relayer)
	assert.Assert(t, ok)
	handled, err = relayer.Relay(ctx, rd, builder)
	if err == nil && !handled {
		// What was refused can still be read from its first row on.
		err = batch.Pipe(r.request.Columns, func(b *batch.Batch) error { return rd.Next(ctx, b) }, func(b *batch.Batch) error {
			return errors.Join(builder.AddBatch(b), stage.Write(ctx, b))
		})
	}
	wrote, cerr := stage.Close(ctx)
	assert.NilError(t, cerr)
	if err != nil || !commit {
		assert.NilError(t, tx.Rollback(ctx))
		return d, handled, err
	}
	assert.Equal(t, wrote.Rows, rd.Stats().Rows)
	_, err = tx.Commit(ctx, connector.State{}, connector.Receipt{ID: "r", Pipeline: "p", Window: fmt.Sprint(relation.Columns, handled)})
	return builder.Digest(), handled, err
}

func TestRelay(t *testing.T) {
	t.Parallel()
	r := newRelaying(t)
	relayedDigest, handled, err := r.try(t, true)
	assert.NilError(t, err)
	assert.Assert(t, handled)
	const all = "SELECT * FROM people"
	assert.Equal(t, r.to.all(all), r.from.all(all))
	r.to.same("SELECT * FROM pragma_integrity_check", "ok")

	// The same rows, one by one, have the same digest.
	r.to.exec("DROP TABLE people; " + strings.Replace(relayed, "photo BLOB", "photo BLOB, note TEXT", 1))
	single, handled, err := r.try(t, true)
	assert.NilError(t, err)
	assert.Assert(t, !handled)
	assert.Equal(t, single.String(), relayedDigest.String())
}

// TestNotRelayed: rows that a copy of the records would not give go one by one, and arrive.
func TestNotRelayed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(r *relaying){
		"another affinity": func(r *relaying) {
			r.to.exec("DROP TABLE people; " + strings.Replace(relayed, "weight REAL", "weight FLOAT64_BLOB", 1))
		},
		"another order of columns": func(r *relaying) {
			r.to.exec("DROP TABLE people; CREATE TABLE people (name TEXT NOT NULL, id INTEGER PRIMARY KEY, score NUMERIC(10,2), at TIMESTAMPTZ, weight REAL, photo BLOB)")
		},
		"one column more": func(r *relaying) { r.to.exec("ALTER TABLE people ADD COLUMN note TEXT") },
		"no number of the row": func(r *relaying) {
			r.to.exec("DROP TABLE people; " + strings.Replace(relayed, "INTEGER PRIMARY KEY", "INTEGER", 1))
		},
		"takes fewer NULLs": func(r *relaying) {
			r.from.exec("ALTER TABLE people RENAME TO old; " + strings.Replace(relayed, " NOT NULL", "", 1) + "; INSERT INTO people SELECT * FROM old")
		},
		"rows without a number": func(r *relaying) {
			r.from.exec("DROP TABLE people; " + strings.Replace(relayed, "INTEGER PRIMARY KEY", "INT PRIMARY KEY NOT NULL", 1) + " WITHOUT ROWID; INSERT INTO people (id, name) VALUES (1, 'x')")
			r.to.exec("DROP TABLE people; " + strings.Replace(relayed, "INTEGER PRIMARY KEY", "INT PRIMARY KEY NOT NULL", 1) + " WITHOUT ROWID")
		},
		"a generated column": func(r *relaying) {
			r.from.exec("DROP TABLE people; " + strings.Replace(relayed, "photo BLOB", "photo BLOB AS (x'00')", 1) + "; INSERT INTO people (id, name) VALUES (1, 'x')")
		},
		"a view": func(r *relaying) {
			r.from.exec("ALTER TABLE people RENAME TO old; CREATE VIEW people AS SELECT * FROM old")
		},
		"another encoding": func(r *relaying) {
			r.from = newFile(t, manifest.Strategy{})
			r.from.exec("PRAGMA encoding = 'UTF-16le'; " + relayed + "; INSERT INTO people (id, name) VALUES (1, 'Zoë'), (2, '')")
		},
		"a write-ahead log":     func(r *relaying) { r.from.exec("PRAGMA journal_mode = wal") },
		"a condition":           func(r *relaying) { r.options.CustomPredicate = "id > 3" },
		"a query":               func(r *relaying) { r.options.Query.SQL = "SELECT * FROM people" },
		"some columns":          func(r *relaying) { r.options.Columns = []string{"id", "name"} },
		"a quarantine":          func(r *relaying) { r.options.OnBadRow, r.options.Quarantine.Path = "quarantine", "bad.jsonl" },
		"rows to be kept aside": func(r *relaying) { r.kind = connector.StageRows },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelaying(t)
			c(r)
			_, handled, err := r.try(t, r.kind == connector.StageDirect)
			assert.NilError(t, err)
			assert.Assert(t, !handled)
			if r.kind == connector.StageDirect && r.options.CustomPredicate == "" {
				const all = "SELECT id, name FROM people"
				assert.Equal(t, r.to.all(all), r.from.all(all))
			}
		})
	}
}

// TestRelayOfAnyNumbers: rows are found whatever their numbers are, by both of those who read them.
func TestRelayOfAnyNumbers(t *testing.T) {
	t.Parallel()
	const rows = " SELECT i * 1000003 - 900000000000, 'name ' || i, NULL, NULL, NULL, zeroblob(3000) FROM n"
	for name, filling := range map[string]string{
		"none":          "",
		"one":           "INSERT INTO people (id, name) VALUES (5, 'x')",
		"the utmost":    "INSERT INTO people (id, name) VALUES (-9223372036854775808, 'x'), (0, 'y'), (9223372036854775807, 'z')",
		"far apart":     "INSERT INTO people (id, name) VALUES (-9223372036854775808, 'x'); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO people" + rows,
		"as they come":  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO people" + rows,
		"with overflow": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO people SELECT i, 'name', NULL, NULL, NULL, zeroblob(100000) FROM n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelaying(t)
			r.from.exec("DELETE FROM people; " + filling)
			relayedDigest, handled, err := r.try(t, true)
			assert.NilError(t, err)
			assert.Assert(t, handled)
			const all = "SELECT * FROM people"
			assert.Equal(t, r.to.all(all), r.from.all(all))
			r.to.exec("DROP TABLE people; " + strings.Replace(relayed, "photo BLOB", "photo BLOB, note TEXT", 1) + "; INSERT INTO people (id, name) VALUES (7, 'gone')")
			single, handled, err := r.try(t, true)
			assert.NilError(t, err)
			assert.Assert(t, !handled)
			assert.Equal(t, single.String(), relayedDigest.String())
			const some = "SELECT id, name, photo FROM people"
			assert.Equal(t, r.to.all(some), r.from.all(some))
		})
	}
}

// TestRelayRefused: what SQLite does not copy is tried row by row, so that the error names the row.
func TestRelayRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ rule, want string }{
		"a check":       {"CHECK (id <> 15)", "row 8: "},
		"a unique name": {"UNIQUE (name)", "row 994: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelaying(t)
			r.from.exec("INSERT INTO people (id, name) VALUES (30000, 'Ada')")
			r.to.exec("DROP TABLE people; " + strings.TrimSuffix(relayed, ")") + ", " + c.rule + "); INSERT INTO people (id, name) VALUES (7, 'stays')")
			_, handled, err := r.try(t, true)
			assert.Assert(t, !handled)
			fails(t, err, "stage.write")
			assert.ErrorContains(t, err, c.want)
			r.to.same("SELECT id, name FROM people", "7|stays")
		})
	}
}

// TestRelayStopped: a bad value, a point that ends the run, and the end of the caller
// leave the target as it was.
func TestRelayStopped(t *testing.T) {
	t.Parallel()
	broke := errors.New("broke")
	for name, c := range map[string]struct {
		change func(r *relaying)
		code   string
		err    error
	}{
		"a value of another type": {change: func(r *relaying) { r.from.exec("UPDATE people SET weight = 'heavy' WHERE id = 999") }, code: "row.value"},
		"after the first row":     {change: func(r *relaying) { r.at = stopAt(connector.AfterExtract, broke) }, err: broke},
		"in the middle":           {change: func(r *relaying) { r.at = stopAt(connector.MidCopy, broke) }, err: broke},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRelaying(t)
			c.change(r)
			_, handled, err := r.try(t, true)
			assert.Assert(t, handled)
			if c.err != nil {
				assert.ErrorIs(t, err, c.err)
			} else {
				fails(t, err, c.code)
			}
			r.to.same("SELECT id, name FROM people", "7|gone")
		})
	}
}

func stopAt(point connector.Point, err error) func(context.Context, connector.Point) error {
	return func(_ context.Context, p connector.Point) error {
		if p == point {
			return err
		}
		return nil
	}
}

// TestRelayBesideAWriter: a writer cannot commit to the source while its rows are
// relayed, so that what is digested is what is copied.
func TestRelayBesideAWriter(t *testing.T) {
	t.Parallel()
	r := newRelaying(t)
	tried := 0
	r.at = func(_ context.Context, p connector.Point) error {
		if p != connector.MidCopy {
			return nil
		}
		tried++
		_, err := r.from.db().Exec("PRAGMA busy_timeout = 0; UPDATE people SET name = 'changed'")
		if err == nil || !strings.Contains(err.Error(), "locked") {
			return fmt.Errorf("the writer was let in: %w", err)
		}
		return nil
	}
	_, handled, err := r.try(t, true)
	assert.NilError(t, err)
	assert.Assert(t, handled)
	assert.Equal(t, tried, 1)
	const all = "SELECT * FROM people"
	assert.Equal(t, r.to.all(all), r.from.all(all))
}

// TestRelayInARun: the gates of a load see relayed rows as any others, run after run.
func TestRelayInARun(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	for range 2 {
		report := p.runs("{mode: full_refresh, unique_key: id}", gates)
		assert.Equal(t, report.Counters.Inserted, int64(3))
		assert.Equal(t, report.Digest.Rows, uint64(3))
		p.equal()
	}
	p.to.same("SELECT count(*) FROM dpone_receipt", "2")
}
