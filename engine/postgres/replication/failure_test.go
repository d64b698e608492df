package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

func (r *rig) one(sql string) string {
	r.t.Helper()
	var s *string
	assert.NilError(r.t, r.conn.QueryRow(r.t.Context(), sql).Scan(&s))
	if s == nil {
		return ""
	}
	return *s
}

func (r *rig) slots() string {
	return r.one("SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = '" + r.o.Slot + "'")
}

func TestTruncateStops(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create)
	assert.NilError(t, r.run())
	r.exec("INSERT INTO t (id) VALUES (1), (2)")
	before := r.source(r.conn)
	r.exec("BEGIN; INSERT INTO t (id) VALUES (3); UPDATE t SET a = 'x'; TRUNCATE t; INSERT INTO t (id) VALUES (4); COMMIT")
	code(t, r.run(), "cdc.truncate")
	assert.DeepEqual(t, r.rows, before) // what came before is there, and nothing of the transaction
	code(t, r.run(), "cdc.truncate")
	assert.DeepEqual(t, r.rows, before)
	r.o.Truncate = "apply"
	assert.NilError(t, r.run())
	r.same()
	assert.Equal(t, r.counts.Truncates, int64(1))
}

func TestOtherTablesAreNotOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create+`; CREATE TABLE other (x int PRIMARY KEY); CREATE PUBLICATION "Pub of t" FOR ALL TABLES`)
	assert.NilError(t, r.run())
	r.exec("INSERT INTO other VALUES (1); INSERT INTO t (id) VALUES (1); TRUNCATE other; UPDATE t SET a = 'x'; INSERT INTO other VALUES (2)")
	assert.NilError(t, r.run())
	r.same()
	assert.Equal(t, r.counts.Inserts, int64(1))
}

func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	for name, ddl := range map[string]string{
		"column added":   "ALTER TABLE t ADD COLUMN more int",
		"column dropped": "ALTER TABLE t DROP COLUMN j",
		"type changed":   "ALTER TABLE t ALTER a TYPE varchar(10)",
		"renamed":        "ALTER TABLE t RENAME j TO k",
		"identity":       "ALTER TABLE t DROP CONSTRAINT t_pkey",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pgtest.Database(t), create)
			assert.NilError(t, r.run())
			r.exec("INSERT INTO t (id) VALUES (1)")
			before := r.source(r.conn)
			// The change comes while the stream is open: after it was checked, before it is read.
			s, err := r.open()
			assert.NilError(t, err)
			r.exec(ddl)
			r.exec("INSERT INTO t (id) VALUES (2)")
			code(t, r.drain(s), "cdc.schema_changed")
			assert.NilError(t, s.Close(t.Context()))
			assert.DeepEqual(t, r.rows, before)
			saved := string(r.saved)
			assert.ErrorContains(t, r.run(), "[cdc.") // and the next run sees it at once
			assert.Equal(t, string(r.saved), saved)
		})
	}
}

func TestTableIsAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create+`; CREATE PUBLICATION "Pub of t" FOR ALL TABLES`)
	assert.NilError(t, r.run())
	r.exec("INSERT INTO t (id) VALUES (1)")
	s, err := r.open()
	assert.NilError(t, err)
	r.exec("DROP TABLE t; " + create + "; INSERT INTO t (id) VALUES (2)")
	code(t, r.drain(s), "cdc.identity_changed")
	assert.NilError(t, s.Close(t.Context()))
	assert.Equal(t, len(r.rows), 1)
	code(t, r.run(), "cdc.identity_changed")
}

func TestCopyAndLargeTransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create)
	r.o.MaxRows, r.o.MaxBytes = 5000, 1<<20
	assert.NilError(t, r.run())
	var copied strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&copied, "%d\tcopied\n", -i-1)
	}
	_, err := r.conn.PgConn().CopyFrom(t.Context(), strings.NewReader(copied.String()), "COPY t (id, a) FROM STDIN")
	assert.NilError(t, err)
	r.exec("INSERT INTO t (id, a) SELECT i, repeat('a', 20) FROM generate_series(1, 50000) i")
	r.exec("BEGIN; UPDATE t SET a = 'b' WHERE id > 0; DELETE FROM t WHERE id > 49990; COMMIT; UPDATE t SET a = 'c' WHERE id < 10")
	var most runtime.MemStats
	r.applied = func(*connector.ChangeSet) error {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		most.HeapAlloc = max(most.HeapAlloc, now.HeapAlloc)
		return nil
	}
	assert.NilError(t, r.run())
	r.same()
	assert.Equal(t, r.counts, connector.ChangeCounts{Inserts: 51000, Updates: 50000 + 1009 - 0, Deletes: 10, Transactions: 4})
	open, transactions := 0, int64(0)
	for _, s := range r.sets {
		rows, err := strconv.Atoi(s.Window)
		assert.NilError(t, err)
		assert.Assert(t, rows <= 5000, "a set of %d rows", rows)
		if !s.Commit {
			open++
		}
		transactions += s.Source.Transactions
	}
	assert.Equal(t, transactions, int64(4))
	assert.Assert(t, open >= 18, "%d of %d sets end inside a transaction", open, len(r.sets))
}

func TestKeepaliveDuringLongApply(t *testing.T) {
	t.Parallel()
	o := pgtest.Options()
	o.DSN = "" // settings of the server are changed
	o.Settings = map[string]string{"wal_sender_timeout": "1s"}
	server := pgtest.Server(t, o)
	r := newRig(t, server.DSN(), create)
	r.o.MaxRows = 500
	assert.NilError(t, r.run())
	// Far more than fits into the buffers of the connection, so that the server waits for us in the midst of it.
	r.exec("INSERT INTO t (id, big) SELECT i, repeat('x', 2000) FROM generate_series(1, 8000) i")
	flushed := r.one("SELECT confirmed_flush_lsn::text FROM pg_replication_slots")
	slow := false
	r.applied = func(*connector.ChangeSet) error {
		if slow {
			return nil
		}
		slow = true
		// The server's own clock says when more than twice the timeout has passed.
		_, err := r.conn.Exec(t.Context(), "SELECT pg_sleep(2.5)")
		assert.Equal(t, r.one("SELECT confirmed_flush_lsn::text FROM pg_replication_slots"), flushed)
		assert.Equal(t, r.one("SELECT count(*)::text FROM pg_stat_replication WHERE flush_lsn <= '"+flushed+"'"), "1")
		return err
	}
	assert.NilError(t, r.run())
	r.same()
	assert.Assert(t, r.one("SELECT confirmed_flush_lsn::text FROM pg_replication_slots") != flushed)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create)
	assert.NilError(t, r.run())
	r.o.MaxRows = 10
	stop := errors.New("killed")
	// Each run dies after a number of sets, some of them before the position is saved.
	for i := range 10 {
		r.exec(fmt.Sprintf("INSERT INTO t (id) SELECT i FROM generate_series(%d, %d) i; UPDATE t SET a = 'r%d' WHERE id %% 3 = %d", i*30, i*30+29, i, i%3))
		left := i % 4
		r.applied = func(*connector.ChangeSet) error {
			if left--; left < 0 {
				return stop
			}
			return nil
		}
		if err := r.run(); err != nil {
			assert.ErrorIs(t, err, stop)
		}
	}
	r.applied = nil
	assert.NilError(t, r.run())
	r.same()
	assert.Equal(t, r.counts.Inserts, int64(300)) // none lost, none twice
	saved := string(r.saved)

	// The server may come again with what is saved: it has heard less than the target has.
	r.exec("INSERT INTO t (id) VALUES (1000)")
	s, err := r.open()
	assert.NilError(t, err)
	var set connector.ChangeSet
	assert.NilError(t, s.Next(t.Context(), &set))
	r.saved = set.Position
	apply(r, r.rows, &set)
	assert.NilError(t, s.Close(t.Context())) // without Confirm
	assert.Assert(t, string(r.saved) != saved)
	r.exec("INSERT INTO t (id) VALUES (1001)")
	r.counts = connector.ChangeCounts{}
	assert.NilError(t, r.run())
	r.same()
	assert.Equal(t, r.counts.Inserts, int64(1))
}

func TestSlotMovesOnWithoutChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create+"; CREATE TABLE other (x int)")
	assert.NilError(t, r.run())
	before := r.one("SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = '" + r.o.Slot + "'")
	r.exec("INSERT INTO other SELECT generate_series(1, 100)")
	assert.NilError(t, r.run())
	assert.Equal(t, r.one("SELECT (confirmed_flush_lsn > '"+before+"')::text FROM pg_replication_slots WHERE slot_name = '"+r.o.Slot+"'"), "true")
}

func TestFirstRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create+"; INSERT INTO t (id) SELECT generate_series(1, 10)")
	s, err := r.open()
	assert.NilError(t, err)
	assert.Equal(t, r.slots(), "1")
	// What comes after the slot is not in the snapshot, and is in the stream.
	r.exec("INSERT INTO t (id) VALUES (11); DELETE FROM t WHERE id = 1")
	conn := s.Initial().(*testSnapshot).conn
	assert.Equal(t, len(r.source(conn)), 10)
	assert.NilError(t, r.drain(s))
	assert.NilError(t, s.Close(t.Context()))
	r.same()
	assert.Equal(t, r.counts.Inserts, int64(1))

	t.Run("dropped when nothing was loaded", func(t *testing.T) {
		r := newRig(t, pgtest.Database(t), create)
		s, err := r.open()
		assert.NilError(t, err)
		_ = s.Initial().(*testSnapshot).conn.Close(t.Context())
		assert.NilError(t, s.Close(t.Context()))
		assert.NilError(t, s.Close(t.Context()))
		assert.Equal(t, r.slots(), "0")
		r.o.Snapshot = func(context.Context, string) (connector.Snapshot, error) { return nil, errors.New("no more") }
		assert.ErrorContains(t, r.run(), "no more")
		assert.Equal(t, r.slots(), "0")
	})
	t.Run("left behind by a crash", func(t *testing.T) {
		r := newRig(t, pgtest.Database(t), create)
		s, err := r.open()
		assert.NilError(t, err)
		_ = s.Initial().(*testSnapshot).conn.Close(t.Context())
		_ = s.conn.Conn().Close() // as if killed
		assert.NilError(t, r.run())
		r.same()
		assert.Equal(t, r.slots(), "1")
	})
	t.Run("somebody else's slot", func(t *testing.T) {
		r := newRig(t, pgtest.Database(t), create)
		r.exec("SELECT pg_create_logical_replication_slot('" + r.o.Slot + "', 'pgoutput')")
		code(t, r.run(), "cdc.slot_exists")
		assert.Equal(t, r.slots(), "1")
		_, err := Open(t.Context(), r.o)
		assert.ErrorContains(t, err, "not claimed")
	})
}

func TestSlotIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, code string }{
		"dropped":      {"SELECT pg_drop_replication_slot('SLOT')", "cdc.slot_lost"},
		"made again":   {"SELECT pg_drop_replication_slot('SLOT'); INSERT INTO t (id) VALUES (7); SELECT pg_create_logical_replication_slot('SLOT', 'pgoutput')", "cdc.slot_lost"},
		"moved on":     {"INSERT INTO t (id) VALUES (7); SELECT pg_replication_slot_advance('SLOT', pg_current_wal_lsn())", "cdc.slot_lost"},
		"other kind":   {"SELECT pg_drop_replication_slot('SLOT'); SELECT pg_create_physical_replication_slot('SLOT')", "cdc.slot_mismatch"},
		"publication":  {`DROP PUBLICATION "Pub of t"`, "cdc.publication_lost"},
		"some rows":    {`ALTER PUBLICATION "Pub of t" SET TABLE t WHERE (id > 5)`, "cdc.publication"},
		"some columns": {`ALTER PUBLICATION "Pub of t" SET TABLE t (id, a)`, "cdc.publication"},
		"some kinds":   {`ALTER PUBLICATION "Pub of t" SET (publish = 'insert')`, "cdc.publication"},
		"no table":     {`ALTER PUBLICATION "Pub of t" DROP TABLE t`, "cdc.publication"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pgtest.Database(t), create)
			assert.NilError(t, r.run())
			saved := string(r.saved)
			for _, sql := range strings.Split(c.sql, "; ") {
				r.exec(strings.ReplaceAll(sql, "SLOT", r.o.Slot))
			}
			code(t, r.run(), c.code)
			assert.Equal(t, string(r.saved), saved)
		})
	}
	t.Run("log removed", func(t *testing.T) {
		t.Parallel()
		o := pgtest.Options()
		o.DSN = ""
		o.Settings = map[string]string{"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
		server := pgtest.Server(t, o)
		r := newRig(t, server.DSN(), create)
		assert.NilError(t, r.run())
		for range 4 {
			r.exec("INSERT INTO t (id) SELECT coalesce(max(id), 0) + 1 FROM t; SELECT pg_switch_wal(); CHECKPOINT")
		}
		code(t, r.run(), "cdc.slot_lost")
	})
}

func TestSlotInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create)
	assert.NilError(t, r.run())
	s, err := r.open()
	assert.NilError(t, err)
	var set connector.ChangeSet
	r.exec("INSERT INTO t (id) VALUES (1)")
	assert.NilError(t, s.Next(t.Context(), &set))
	r.o.SlotWait = 1
	code(t, r.run(), "cdc.slot_in_use")
	assert.NilError(t, s.Close(t.Context()))
	r.o.SlotWait = 0
	assert.NilError(t, r.run())
	r.same()
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create)
	assert.NilError(t, r.run())
	good, err := parsePosition(r.saved)
	assert.NilError(t, err)
	for name, change := range map[string]func(*position){
		"system":      func(p *position) { p.SystemID = "7" },
		"timeline":    func(p *position) { p.Timeline++ },
		"database":    func(p *position) { p.Database = "x" },
		"slot":        func(p *position) { p.Slot = "x" },
		"publication": func(p *position) { p.Publication = "x" },
		"relation":    func(p *position) { p.Relation++ },
		"older copy":  func(p *position) { p.lsn += 1 << 40 },
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			change(&p)
			r.t = t
			r.saved, err = p.at(p.lsn)
			assert.NilError(t, err)
			code(t, r.run(), "cdc.identity_changed")
		})
	}
	for name, raw := range map[string]string{"no JSON": "{", "other": `{"a": 1}`, "phase": `{"phase": "x"}`, "lsn": `{"phase": "stream", "lsn": "x"}`, "zero": `{"phase": "stream", "lsn": "0/0"}`} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.saved = []byte(raw)
			code(t, r.run(), "cdc.position")
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), "")
	for name, c := range map[string]struct {
		ddl, code string
		key       []string
	}{
		"no table":          {"", "cdc.table", nil},
		"view":              {"CREATE VIEW t AS SELECT 1 AS id", "cdc.table", nil},
		"unlogged":          {"CREATE UNLOGGED TABLE t (id bigint PRIMARY KEY)", "cdc.table", nil},
		"no key":            {"CREATE TABLE t (id bigint NOT NULL)", "cdc.replica_identity", nil},
		"nothing":           {"CREATE TABLE t (id bigint PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING", "cdc.replica_identity", nil},
		"another key":       {"CREATE TABLE t (id bigint NOT NULL UNIQUE, k int PRIMARY KEY)", "cdc.replica_identity", nil},
		"nullable":          {"CREATE TABLE t (id bigint UNIQUE); ALTER TABLE t REPLICA IDENTITY FULL", "cdc.key_null", nil},
		"full, not unique":  {"CREATE TABLE t (id bigint NOT NULL); ALTER TABLE t REPLICA IDENTITY FULL", "cdc.key_not_unique", nil},
		"full, deferrable":  {"CREATE TABLE t (id bigint PRIMARY KEY DEFERRABLE); ALTER TABLE t REPLICA IDENTITY FULL", "cdc.key_not_unique", nil},
		"full, partial":     {"CREATE TABLE t (id bigint NOT NULL); CREATE UNIQUE INDEX ON t (id) WHERE id > 0; ALTER TABLE t REPLICA IDENTITY FULL", "cdc.key_not_unique", nil},
		"full, part of key": {"CREATE TABLE t (id bigint NOT NULL, k int NOT NULL, UNIQUE (id, k)); ALTER TABLE t REPLICA IDENTITY FULL", "cdc.key_not_unique", nil},
		"generated":         {"CREATE TABLE t (k bigint PRIMARY KEY, id bigint GENERATED ALWAYS AS (k) STORED NOT NULL)", "cdc.column", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.exec(c.ddl)
			o := r.o
			o.Columns = schema[:1]
			_, err := Claim(t.Context(), o)
			code(t, err, c.code)
			if name == "view" {
				r.exec("DROP VIEW t")
			}
			r.exec("DROP TABLE IF EXISTS t")
		})
	}
	t.Run("index", func(t *testing.T) {
		r.t = t
		r.exec("CREATE TABLE t (id bigint NOT NULL UNIQUE, k int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_key")
		r.o.Columns = schema[:1]
		assert.NilError(t, r.run())
		r.exec("INSERT INTO t VALUES (1, 1), (2, 2); UPDATE t SET id = 3 WHERE k = 1; DELETE FROM t WHERE k = 2")
		assert.NilError(t, r.run())
		r.same()
	})
	t.Run("wal_level", func(t *testing.T) {
		o := pgtest.Options()
		o.DSN = ""
		o.Settings = map[string]string{"wal_level": "replica"}
		r := newRig(t, pgtest.Server(t, o).DSN(), create)
		code(t, r.run(), "cdc.wal_level")
	})
	t.Run("role", func(t *testing.T) {
		r := newRig(t, pgtest.Database(t), create)
		role := "modest_" + r.o.Slot
		r.exec("CREATE ROLE " + role + " LOGIN")
		t.Cleanup(func() { _, _ = r.conn.Exec(context.WithoutCancel(t.Context()), "DROP ROLE "+role) })
		r.o.Config = r.o.Config.Copy()
		r.o.Config.User = role
		err := r.run()
		code(t, err, "cdc.connect")
		assert.ErrorContains(t, err, "REPLICATION")
	})
}

func TestPartitioned(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), "CREATE TABLE t (id bigint PRIMARY KEY, a text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200)")
	r.o.Columns = schema[:2]
	warned := ""
	r.o.Warn = func(s string) { warned = s }
	assert.NilError(t, r.run())
	assert.Assert(t, strings.Contains(warned, "partition"))
	r.exec("INSERT INTO t VALUES (1, 'a'), (101, 'b'), (2, 'c'); UPDATE t SET id = 150 WHERE id = 1; DELETE FROM t2 WHERE id = 101")
	assert.NilError(t, r.run())
	r.same()
	r.exec(`ALTER PUBLICATION "Pub of t" SET (publish_via_partition_root = false)`)
	code(t, r.run(), "cdc.publication")
}

func TestText(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), "CREATE TYPE mood AS ENUM ('so', 'la'); CREATE DOMAIN pos AS int CHECK (VALUE > 0); CREATE TABLE t (id bigint PRIMARY KEY, m mood, p pos)")
	r.o.Columns = batch.Schema{schema[0], {Name: "m", Type: logical.Type{Kind: logical.Text}}, {Name: "p", Type: logical.Type{Kind: logical.Int32}}}
	for _, binary := range []bool{true, false} {
		r.o.Binary = binary
		assert.NilError(t, r.run())
		r.exec("DELETE FROM t; INSERT INTO t VALUES (1, 'so', 3), (2, NULL, NULL)")
		assert.NilError(t, r.run())
		r.same()
	}
	r.o.Columns[2].Type = logical.Type{Kind: logical.Int64}
	r.o.Binary = true
	r.exec("INSERT INTO t VALUES (3, 'so', 3)")
	assert.ErrorContains(t, r.run(), "column p: a value of int64 has 4 bytes, not 8")
}

// TestRandom lets several sessions change the table while runs follow one another.
func TestRandom(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	r := newRig(t, dsn, create)
	r.o.Truncate, r.o.MaxRows = "apply", 40
	assert.NilError(t, r.run())
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			conn, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(t.Context())
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range 80 {
				sql := "BEGIN;"
				for range 1 + random.IntN(6) {
					sql += change(random)
				}
				_, err := conn.PgConn().Exec(t.Context(), sql+[]string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[random.IntN(4)]).ReadAll()
				if err != nil { // a deadlock or a key that is taken
					_, _ = conn.Exec(t.Context(), "ROLLBACK")
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for i := 0; ; i++ {
		select {
		case <-done:
			r.applied = nil
			assert.NilError(t, r.run())
			r.same()
			assert.Assert(t, r.counts.Updates > 0 && r.counts.Deletes > 0 && r.counts.Truncates > 0, "%+v", r.counts)
			return
		default:
		}
		left := i % 5
		r.applied = func(*connector.ChangeSet) error {
			if left--; left == 0 {
				return io.ErrClosedPipe
			}
			return nil
		}
		if err := r.run(); err != nil {
			assert.ErrorIs(t, err, io.ErrClosedPipe)
		}
	}
}

// change is a statement that a random writer might send.
func change(random *rand.Rand) string {
	id := func() int { return random.IntN(60) }
	switch random.IntN(40) {
	case 0:
		return "TRUNCATE t;"
	case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
		return fmt.Sprintf("INSERT INTO t (id, a, big, big2, n) VALUES (%d, 'i', %s, decode(repeat('cd', 3000), 'hex'), random()) ON CONFLICT DO NOTHING;", id(), large)
	case 11, 12, 13, 14:
		return fmt.Sprintf("DELETE FROM t WHERE id = %d;", id())
	case 15, 16, 17, 18, 19, 20, 21, 22:
		return fmt.Sprintf("UPDATE t SET id = %d WHERE id = %d AND NOT EXISTS (SELECT FROM t WHERE id = %[1]d);", id(), id())
	case 23, 24, 25:
		return fmt.Sprintf("UPDATE t SET big = %s WHERE id = %d;", large, id())
	case 26, 27:
		return fmt.Sprintf("UPDATE t SET id = %d, big2 = NULL WHERE id = %d AND NOT EXISTS (SELECT FROM t WHERE id = %[1]d);", id(), id())
	}
	return fmt.Sprintf("UPDATE t SET a = a || 'u', n = n + 1 WHERE id BETWEEN %d AND %d;", id(), id()+2)
}

func TestBeforeHeader(t *testing.T) {
	const page, segment = 8192, 16 << 20
	for at, want := range map[pglogrepl.LSN]pglogrepl.LSN{
		5*segment + 40:            5 * segment,
		5*segment + 48:            5*segment + 48,
		5*segment + 24:            5*segment + 24,
		5*segment + 3*page + 24:   5*segment + 3*page,
		5*segment + 3*page + 40:   5*segment + 3*page + 40,
		5*segment + 3*page + 1000: 5*segment + 3*page + 1000,
	} {
		assert.Equal(t, beforeHeader(at, page, segment), want, "%v", at)
	}
}

// TestNoDestructiveFunctions greps the sources of the PostgreSQL connector: the
// SQL functions that read a slot consume it although the reader may roll back.
func TestNoDestructiveFunctions(t *testing.T) {
	destructive := regexp.MustCompile(`(?i)pg_logical_slot_(get|peek)_`)
	assert.Assert(t, destructive.MatchString("SELECT pg_logical_slot_get"+"_changes('s')"))
	var files int
	assert.NilError(t, filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		assert.Check(t, !destructive.Match(b), path)
		return err
	}))
	assert.Assert(t, files > 5)
}
