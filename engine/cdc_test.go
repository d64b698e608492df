package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
)

// newStream is a world whose source may have slots, which go when the test ends.
func newStream(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	t.Cleanup(func() {
		// A slot's session may still be ending.
		_, _ = w.source.Exec(context.Background(), `SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE database = current_database() AND active`)
		_, err := w.source.Exec(context.Background(), `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`)
		assert.Check(t, err)
	})
	return w
}

// follow is a manifest whose slot, which a server knows by its name alone, is the world's own.
func (w *world) follow(strategy string) string {
	var slot string
	assert.NilError(w.t, w.source.QueryRow(context.Background(), "SELECT 'dpone_' || oid FROM pg_database WHERE datname = current_database()").Scan(&slot))
	return strings.Replace(process(strategy), "sink:", "  options: {workers: 2, cdc: {slot: "+slot+", publication: orders_pub}}\nsink:", 1)
}

const streamed = `CREATE TABLE orders (id bigint PRIMARY KEY, note text, big text, big2 bytea, amount numeric, at timestamptz DEFAULT now(), j jsonb, days daterange);
ALTER TABLE orders ALTER big SET STORAGE EXTERNAL, ALTER big2 SET STORAGE EXTERNAL;
INSERT INTO orders SELECT i, 'note ' || i, repeat(md5(i::text), 100), decode(repeat('ab', 3000), 'hex'), i / 3.0, '2026-01-01', '{"a": 1}', '[2026-01-01,2026-02-01)' FROM generate_series(1, 100) i;`

func TestCDC(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(streamed)
	m := w.manifest(w.follow("mode: cdc\nunique_key: id"))
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 100})
	assert.Equal(t, report.Window.Kind, "initial")
	w.same("TABLE orders", "TABLE orders")

	report = w.run(m) // nothing to do
	assert.Equal(t, report.Counters, connector.Counters{})

	w.src(`INSERT INTO orders (id, note) VALUES (201, 'new'), (202, 'gone at once'); DELETE FROM orders WHERE id = 202;
		UPDATE orders SET note = 'toast stays' WHERE id = 1;
		UPDATE orders SET note = 'whole', big = 'short', big2 = '' WHERE id = 2;
		UPDATE orders SET id = 303, note = 'moved' WHERE id = 3;
		UPDATE orders SET id = 304, big = NULL, big2 = NULL WHERE id = 4;
		DELETE FROM orders WHERE id = 5`)
	report = w.run(m)
	w.same("TABLE orders", "TABLE orders")
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 3, Updated: 2, DeletedHard: 3})
	assert.Equal(t, report.Result.ExtractedRows, int64(8))
	assert.Equal(t, report.Window.Kind, "changes")
	assert.Equal(t, rows(t, w.sink, "SELECT count(*) FROM dpone.dpone_receipt"), "(2)")
}

func TestCDCLargeTransaction(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(streamed)
	m := w.manifest(w.follow("mode: cdc\nunique_key: id"))
	w.run(m)
	// Rows of one part must not meet those of another in the staging tables.
	w.src(`DELETE FROM orders WHERE id = 60; INSERT INTO orders (id, note) SELECT i, 'n' FROM generate_series(1001, 51000) i; INSERT INTO orders (id) VALUES (60);
		UPDATE orders SET note = note || '!' WHERE id > 1000; DELETE FROM orders WHERE id = 61; UPDATE orders SET note = 't' WHERE id <= 100; UPDATE orders SET id = -id WHERE id <= 50`)
	report := w.run(m)
	w.same("TABLE orders", "TABLE orders")
	assert.Equal(t, len(report.Receipts), 1) // one transaction of the source, one of the target
	assert.Equal(t, report.Counters.Inserted, int64(50051))
}

func TestCDCDeletes(t *testing.T) {
	t.Parallel()
	t.Run("soft", func(t *testing.T) {
		t.Parallel()
		w := newStream(t)
		w.src(streamed)
		m := w.manifest(w.follow("mode: cdc\nunique_key: id\ncdc: {delete_policy: soft_delete, truncate: apply}"))
		w.run(m)
		w.src(`DELETE FROM orders WHERE id <= 10; UPDATE orders SET id = 200 WHERE id = 11`)
		report := w.run(m)
		assert.Equal(t, report.Counters, connector.Counters{Inserted: 1, DeletedSoft: 11})
		live := "SELECT id, note, big, big2, amount, at, j, days FROM orders WHERE __dpone__deleted_at IS NULL"
		w.same("TABLE orders", live)
		w.src(`INSERT INTO orders (id, note) VALUES (1, 'back')`)
		report = w.run(m)
		assert.Equal(t, report.Counters, connector.Counters{Reactivated: 1})
		w.same("TABLE orders", live)
		w.src(`TRUNCATE orders; INSERT INTO orders (id) VALUES (2)`)
		report = w.run(m)
		assert.Equal(t, report.Counters, connector.Counters{Reactivated: 1, DeletedSoft: 91})
		w.same("TABLE orders", live)
		assert.Equal(t, rows(t, w.sink, "SELECT count(*) FROM orders"), "(101)")
	})
	t.Run("ignored", func(t *testing.T) {
		t.Parallel()
		w := newStream(t)
		w.src(streamed)
		m := w.manifest(w.follow("mode: cdc\nunique_key: id\ncdc: {delete_policy: ignore, truncate: apply}"))
		w.run(m)
		w.src(`DELETE FROM orders WHERE id <= 10; INSERT INTO orders (id, note) VALUES (1, 'back'); TRUNCATE orders`)
		assert.Equal(t, w.run(m).Counters, connector.Counters{})
		assert.Equal(t, rows(t, w.sink, "SELECT count(*) FROM orders"), "(100)")
	})
	t.Run("truncate", func(t *testing.T) {
		t.Parallel()
		w := newStream(t)
		w.src(streamed)
		stop := w.manifest(w.follow("mode: cdc\nunique_key: id"))
		w.run(stop)
		w.src(`DELETE FROM orders WHERE id = 1`)
		w.src(`TRUNCATE orders; INSERT INTO orders (id) VALUES (7)`)
		report := w.fails(stop, "cdc.truncate")
		assert.Equal(t, report.Counters.DeletedHard, int64(1)) // what came before is committed
		w.fails(stop, "cdc.truncate")
		report = w.run(w.manifest(w.follow("mode: cdc\nunique_key: id\ncdc: {truncate: apply}")))
		assert.Equal(t, report.Counters, connector.Counters{Inserted: 1, DeletedHard: 99})
		w.same("TABLE orders", "TABLE orders")
	})
}

func TestCDCTextAndNoIndex(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(`CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('so', 'la'); CREATE DOMAIN pos AS int CHECK (VALUE > 0);
		CREATE TABLE orders (id int, "Second key" text, p pair, m mood, ms mood[], d pos, r int4range, a int[], n numeric(10,2), f float4, i interval, u uuid, b bytea, c char(5), ts timestamp, PRIMARY KEY (id, "Second key"));
		INSERT INTO orders SELECT i, 'k', ROW(i, 'x')::pair, 'so', '{so,la}', 1, '[1,4)', '{1,NULL}', 1.50, 'NaN', '1 mon 2 days 03:00:00', gen_random_uuid(), '\x00ff', 'ab', now() FROM generate_series(1, 10) i`)
	// The target is there before, with other types and without an index.
	w.dst(`CREATE TABLE orders (id bigint, "Second key" text, p text, m text, ms text, d int, r int4range, a int[], n numeric(10,2), f float4, i interval, u uuid, b bytea, c char(5), ts timestamp)`)
	m := w.manifest(w.follow("mode: cdc\nunique_key: [id, Second key]"))
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
	w.src(`UPDATE orders SET "Second key" = 'q' || id, p = ROW(1, NULL)::pair WHERE id < 4; DELETE FROM orders WHERE id = 5; UPDATE orders SET r = 'empty', ms = NULL, f = '-0' WHERE id > 7; INSERT INTO orders (id, "Second key", a, m) VALUES (1, '', '{}', 'la')`)
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 4, Updated: 3, DeletedHard: 4})
	w.same("TABLE orders", "TABLE orders")
}

func TestCDCSecondUniqueColumn(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(streamed)
	m := w.manifest(w.follow("mode: cdc\nunique_key: id"))
	w.run(m)
	w.dst(`CREATE UNIQUE INDEX ON orders (note)`)
	w.src(`UPDATE orders SET note = 'given up', big = '', big2 = '' WHERE id = 1; UPDATE orders SET note = 'given up, too' WHERE id = 2; DELETE FROM orders WHERE id = 3;
		INSERT INTO orders (id, note) VALUES (501, 'note 1'), (502, 'note 2'), (503, 'note 3')`)
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
}

func TestCDCGates(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(streamed)
	m := w.manifest(w.follow("mode: cdc\nunique_key: id") + "quality:\n  gates:\n    - {type: not_null, columns: note}\n    - {type: row_count_reconciliation}\n    - {type: typed_hash_reconciliation}\n")
	w.run(m)
	before := rows(t, w.sink, "TABLE dpone.dpone_state")
	w.src(`INSERT INTO orders (id) VALUES (1000)`)
	w.fails(m, "DPONE_QUALITY_GATES_FAILED")
	assert.Equal(t, rows(t, w.sink, "TABLE dpone.dpone_state"), before)
	w.src(`UPDATE orders SET note = 'mended' WHERE id = 1000`)
	report := w.run(m)
	w.same("TABLE orders", "TABLE orders")
	assert.Equal(t, len(report.Warnings), 1)
}

func TestCDCRefuses(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(streamed)
	m := w.manifest(w.follow("mode: cdc\nunique_key: id"))
	w.run(m)
	w.dst(`DELETE FROM orders WHERE id < 3`)
	w.src(`UPDATE orders SET note = 'large values are not sent' WHERE id = 1`)
	w.fails(m, "cdc.row_missing")
	w.dst(`INSERT INTO orders (id) VALUES (1)`)
	w.run(m)
	w.src(`UPDATE orders SET id = 1000 WHERE id = 2`)
	w.fails(m, "cdc.row_missing")
	w.dst(`INSERT INTO orders (id, note) VALUES (1000, 'not ours'), (1001, 'same')`)
	w.src(`UPDATE orders SET big = '', big2 = '' WHERE id = 1000; INSERT INTO orders (id, note, at) VALUES (1001, 'mended', NULL)`)
	w.dst(`INSERT INTO orders SELECT 2, note FROM orders WHERE id = 1`)
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Updated: 2, DeletedHard: 1})
	w.dst(`DROP TABLE orders`)
	w.fails(m, "cdc.schema_changed")
	w.src(`ALTER TABLE orders ADD more int`)
	w.fails(m, "cdc.schema_changed")
	// What the message says helps.
	w.src(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`)
	w.dst(`DELETE FROM dpone.dpone_state`)
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
}

// TestCDCCrashes ends the first and a later run at every point, by a signal to the
// process and by the end of the sink's session.
func TestCDCCrashes(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, string, connector.Point){"killed": (*world).killAt, "disconnected": (*world).disconnectAt} {
		for _, point := range connector.Points() {
			t.Run(name+" "+string(point), func(t *testing.T) {
				t.Parallel()
				w := newStream(t)
				w.src(streamed)
				text := w.follow("mode: cdc\nunique_key: id")
				end(w, text, point)
				w.src(`INSERT INTO orders (id) VALUES (1000); DELETE FROM orders WHERE id = 1`)
				m := w.manifest(text)
				w.run(m)
				w.same("TABLE orders", "TABLE orders")
				w.src(`INSERT INTO orders (id) SELECT generate_series(2000, 2500); UPDATE orders SET note = 'x' WHERE id < 20; UPDATE orders SET id = -id WHERE id = 30; DELETE FROM orders WHERE id = 31`)
				end(w, text, point)
				w.src(`UPDATE orders SET note = 'y' WHERE id < 10`)
				w.run(m)
				w.same("TABLE orders", "TABLE orders")
				assert.Equal(t, rows(t, w.sink, "SELECT load_window FROM dpone.dpone_receipt GROUP BY 1 HAVING count(*) > 1"), "")
				assert.Equal(t, rows(t, w.source, "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"), "(1)")
			})
		}
	}
}

// TestCDCRandom lets several sessions change the source while runs follow one another, some of which fail.
func TestCDCRandom(t *testing.T) {
	t.Parallel()
	w := newStream(t)
	w.src(streamed)
	m := w.manifest(w.follow("mode: cdc\nunique_key: id\ncdc: {truncate: apply}"))
	w.run(m)
	var writers sync.WaitGroup
	for n := range 3 {
		writers.Go(func() {
			conn, err := pgx.Connect(context.Background(), w.sourceDSN)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(context.Background())
			random := rand.New(rand.NewPCG(uint64(n), 7))
			for range 120 {
				var sql strings.Builder
				sql.WriteString("BEGIN;")
				for range 1 + random.IntN(6) {
					sql.WriteString(randomChange(random))
				}
				sql.WriteString([]string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[random.IntN(4)])
				if _, err := conn.PgConn().Exec(context.Background(), sql.String()).ReadAll(); err != nil {
					_, _ = conn.Exec(context.Background(), "ROLLBACK") // a deadlock, or a key that is taken
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	stop := errors.New("stopped")
	for i := 0; ; i++ {
		select {
		case <-done:
			w.run(m)
			w.same("TABLE orders", "TABLE orders")
			return
		default:
		}
		options := w.options()
		options.At = func(_ context.Context, p connector.Point) error {
			if points := connector.Points(); i%2 == 0 && p == points[i/2%len(points)] {
				return stop
			}
			return nil
		}
		if _, err := engine.Run(context.Background(), m, options); err != nil {
			assert.ErrorIs(t, err, stop)
		}
	}
}

func randomChange(random *rand.Rand) string {
	id := func() int { return random.IntN(120) }
	const large = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 100))"
	switch random.IntN(40) {
	case 0:
		return "TRUNCATE orders;"
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
		return fmt.Sprintf("INSERT INTO orders (id, note, big, big2, amount) VALUES (%d, 'i', %s, decode(repeat('cd', 3000), 'hex'), random()) ON CONFLICT DO NOTHING;", id(), large)
	case 13, 14, 15:
		return fmt.Sprintf("DELETE FROM orders WHERE id = %d;", id())
	case 16, 17, 18, 19, 20, 21, 22:
		return fmt.Sprintf("UPDATE orders SET id = %d WHERE id = %d AND NOT EXISTS (SELECT FROM orders WHERE id = %[1]d);", id(), id())
	case 23, 24, 25:
		return fmt.Sprintf("UPDATE orders SET big = %s WHERE id = %d;", large, id())
	case 26, 27:
		return fmt.Sprintf("UPDATE orders SET id = %d, big2 = NULL WHERE id = %d AND NOT EXISTS (SELECT FROM orders WHERE id = %[1]d);", id(), id())
	}
	return fmt.Sprintf("UPDATE orders SET note = note || 'u', amount = amount + 1 WHERE id BETWEEN %d AND %d;", id(), id()+2)
}
