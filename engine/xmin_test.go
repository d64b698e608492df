package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// scratch is a server of the test's own, which it may stop, restore and break. Nobody
// else has transactions on it, so that counts are exact.
func scratch(t *testing.T) *pgserver.Server {
	t.Helper()
	opts := pgtest.Options()
	opts.DSN = ""
	opts.Settings = map[string]string{"autovacuum": "off", "shared_buffers": "16MB"}
	opts.Log = func(string) {}
	return pgtest.Server(t, opts)
}

// newScratchWorld has its source on the server, and its sink where all tests have theirs.
func newScratchWorld(t *testing.T, server *pgserver.Server) *world {
	t.Helper()
	assert.NilError(t, server.CreateDatabase(t.Context(), "shop"))
	w := &world{t: t, sourceDSN: server.DSNFor("shop"), sinkDSN: pgtest.Database(t)}
	w.source, w.sink = connect(t, w.sourceDSN), connect(t, w.sinkDSN)
	return w
}

// again connects to a source that was stopped in between.
func (w *world) again() {
	w.t.Helper()
	_ = w.source.Close(context.Background())
	w.source = connect(w.t, w.sourceDSN)
}

const (
	items = "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 100) i"
	keys  = "reconciliation: {enabled: true}\n"
)

// xmin is a manifest of the strategy with further fields of it, and of the manifest.
func (w *world) xmin(strategy, more string) *manifest.Manifest {
	w.t.Helper()
	if strategy != "" {
		strategy = "\n" + strategy
	}
	return w.manifest(process("mode: xmin\nunique_key: id"+strategy) + more)
}

const allowed = "xmin: {rebaseline: allow}"

// refused runs and expects that a new baseline is asked for, for the reason, and that
// the target stays as it is.
func (w *world) refused(m *manifest.Manifest, reason string) {
	w.t.Helper()
	before := rows(w.t, w.sink, "TABLE orders")
	report := w.fails(m, "xmin.rebaseline_required")
	assert.Assert(w.t, strings.HasPrefix(report.Window.Reason, reason+":"), report.Window.Reason)
	assert.Assert(w.t, cmp.Contains(report.Result.Errors[0], reason))
	assert.Equal(w.t, report.Window.Kind, "rebaseline")
	assert.Equal(w.t, rows(w.t, w.sink, "TABLE orders"), before)
}

// rebased runs and expects a new baseline, for the reason, after which both sides are equal.
func (w *world) rebased(m *manifest.Manifest, reason string) engine.Report {
	w.t.Helper()
	report := w.run(m)
	assert.Equal(w.t, report.Window.Kind, "rebaseline")
	assert.Assert(w.t, strings.HasPrefix(report.Window.Reason, reason+":"), report.Window.Reason)
	w.same("TABLE orders", "TABLE orders")
	return report
}

// delta runs and expects a window that can be trusted.
func (w *world) delta(m *manifest.Manifest) engine.Report {
	w.t.Helper()
	report := w.run(m)
	assert.Equal(w.t, report.Window.Kind, "delta")
	assert.Equal(w.t, report.Window.Reason, "")
	return report
}

// wrote holds the counters against what is wanted. Other tests' transactions on the
// server may make rows come again, which are unchanged.
func wrote(t *testing.T, report engine.Report, want connector.Counters) {
	t.Helper()
	got := report.Counters
	got.Unchanged = 0
	assert.Equal(t, got, want)
}

func (w *world) state() (state map[string]any) {
	w.t.Helper()
	var text string
	assert.NilError(w.t, w.sink.QueryRow(context.Background(), "SELECT position FROM dpone.dpone_state").Scan(&text))
	assert.NilError(w.t, json.Unmarshal([]byte(text), &state))
	return state
}

func TestXMin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.xmin("", "")
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 1000})
	assert.Equal(t, report.Window.Kind, "initial")
	assert.Equal(t, report.State.Revision, int64(1))
	w.same("TABLE orders", "TABLE orders")

	w.src("INSERT INTO orders SELECT i, NULL, 'new' FROM generate_series(2001, 2020) i; UPDATE orders SET note = NULL WHERE id <= 5; UPDATE orders SET note = note WHERE id = 6")
	report = w.delta(m)
	wrote(t, report, connector.Counters{Inserted: 20, Updated: 5})
	assert.Assert(t, report.Counters.Unchanged >= 1, "the row that was written and did not change")
	w.same("TABLE orders", "TABLE orders")

	written := rows(t, w.sink, "SELECT xmin, ctid, id FROM orders")
	wrote(t, w.delta(m), connector.Counters{})
	assert.Equal(t, rows(t, w.sink, "SELECT xmin, ctid, id FROM orders"), written, "nothing changed, and something was written")
	report = w.delta(m)
	assert.Equal(t, report.State.Revision, int64(4))
	assert.Equal(t, report.Result.CommitOutcome, "committed")
	assert.Equal(t, rows(t, w.sink, "SELECT count(*) FROM dpone.dpone_receipt"), "(4)")
}

// A source in which nothing happens gives the same snapshot again, and other manifests may load it.
func TestXMinQuietSource(t *testing.T) {
	t.Parallel()
	server := scratch(t)
	w := newScratchWorld(t, server)
	w.src(items)
	m := w.xmin("", "")
	w.run(m)
	first := w.state()["snapshot"]
	for range 2 {
		report := w.delta(m)
		assert.Equal(t, report.Counters, connector.Counters{})
		assert.Equal(t, report.Result.CommitOutcome, "committed")
	}
	assert.Equal(t, w.state()["snapshot"], first, "the snapshot moved, and the test shows nothing")
	assert.Equal(t, w.delta(w.xmin("", keys)).Counters, connector.Counters{})

	t.Log("long writer in another database")
	assert.NilError(t, server.CreateDatabase(t.Context(), "elsewhere"))
	other := connect(t, server.DSNFor("elsewhere"))
	exec(t, other, "CREATE TABLE long (i int); BEGIN; INSERT INTO long VALUES (1)")
	for i := range 3 {
		w.src(fmt.Sprintf("INSERT INTO orders SELECT i, 'while it writes' FROM generate_series(%d, %d) i; UPDATE orders SET note = '%d' WHERE id = 1", 1000+i*100, 1009+i*100, i))
		report := w.delta(m)
		// Rows of the earlier rounds come again, and are not written again.
		assert.Equal(t, report.Counters, connector.Counters{Inserted: 10, Updated: 1, Unchanged: int64(i * 10)})
		assert.Equal(t, report.Window.Facts["replay_xids"], fmt.Sprint(i+2))
		w.same("TABLE orders", "TABLE orders")
	}
	// A new file with rows that are all in the window, and not one that is new.
	w.src("DELETE FROM orders WHERE id < 1000")
	w.src("VACUUM FULL orders")
	assert.Equal(t, w.delta(w.xmin("", keys)).Counters, connector.Counters{Unchanged: 30, DeletedHard: 100})
	w.src("INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 100) i")
	w.delta(m)
	limited := w.xmin("xmin: {max_replay_amplification_xids: 3}", "")
	report := w.fails(limited, "xmin.replay")
	assert.Equal(t, report.Window.Facts["replay_xids"], "7")
	exec(t, other, "COMMIT")
	assert.Equal(t, w.delta(limited).Counters, connector.Counters{Unchanged: 130})
	assert.Equal(t, w.delta(limited).Counters, connector.Counters{})

	t.Log("prepared transaction")
	w.src("BEGIN; INSERT INTO orders VALUES (5000, 'prepared'); PREPARE TRANSACTION 'one'")
	w.src("INSERT INTO orders VALUES (5001, 'after it')")
	assert.Equal(t, w.delta(m).Counters, connector.Counters{Inserted: 1})
	assert.Equal(t, w.delta(m).Counters, connector.Counters{Unchanged: 1})
	w.src("COMMIT PREPARED 'one'")
	assert.Equal(t, w.delta(m).Counters, connector.Counters{Inserted: 1, Unchanged: 1})
	w.same("TABLE orders", "TABLE orders")
	w.delta(m)

	t.Log("rows that something else deleted from the target")
	w.dst("DELETE FROM orders WHERE id = 1")
	w.fails(w.xmin("", keys), "reconciliation.missing_keys")

	t.Log("restart")
	w.src("UPDATE orders SET note = 'before the restart' WHERE id = 2")
	assert.NilError(t, server.Restart(t.Context()))
	w.again()
	report = w.run(m)
	assert.Equal(t, report.Window.Kind, "delta")
	assert.Assert(t, strings.HasPrefix(report.Window.Reason, "server_restarted:"), report.Window.Reason)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 1, Updated: 1, Unchanged: 130})
	w.same("TABLE orders", "TABLE orders")
	assert.Equal(t, w.delta(m).Counters, connector.Counters{})

	t.Log("a session that is killed makes the server recover without ending")
	started := rows(t, w.source, "SELECT pg_postmaster_start_time()")
	w.killSession()
	assert.Equal(t, rows(t, w.source, "SELECT pg_postmaster_start_time()"), started)
	w.src("UPDATE orders SET note = 'after the crash' WHERE id = 3")
	report = w.run(m)
	assert.Assert(t, strings.HasPrefix(report.Window.Reason, "server_restarted:"), report.Window.Reason)
	w.same("TABLE orders", "TABLE orders")

	t.Log("another server with a table of the same name")
	w.sourceDSN = pgtest.Database(t)
	w.again()
	w.src("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'of the other server')")
	w.refused(m, "state_missing")
	w.rebased(w.xmin(allowed, ""), "state_missing")
}

// killSession ends the process of the world's session as the kernel does when memory runs
// out, and waits until the server has recovered.
func (w *world) killSession() {
	w.t.Helper()
	incarnation := func() (text string, err error) {
		conn, err := pgx.ConnectConfig(w.t.Context(), w.source.Config())
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close(context.Background()) }()
		return text, conn.QueryRow(w.t.Context(), "SELECT stats_reset::text FROM pg_stat_bgwriter").Scan(&text)
	}
	before, err := incarnation()
	assert.NilError(w.t, err)
	process, err := os.FindProcess(int(w.source.PgConn().PID()))
	assert.NilError(w.t, err)
	assert.NilError(w.t, process.Kill())
	for now := before; now == before || now == ""; {
		assert.NilError(w.t, w.t.Context().Err())
		now, _ = incarnation() // refused while the server recovers
	}
	w.again()
}

func TestXMinFirstLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	w.dst("CREATE TABLE orders (id int, note text); INSERT INTO orders VALUES (1, 'other'), (7, 'note 7'), (999, 'only here')")
	w.refused(w.xmin("", ""), "state_missing")
	report := w.rebased(w.xmin(allowed, ""), "state_missing")
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 98, Updated: 1, Unchanged: 1, DeletedHard: 1})
	wrote(t, w.delta(w.xmin("", "")), connector.Counters{})

	// A target that somebody emptied or dropped is loaded again, whatever the state says.
	w.dst("TRUNCATE orders")
	report = w.run(w.xmin("", ""))
	assert.Equal(t, report.Window.Kind, "initial")
	assert.Assert(t, cmp.Contains(report.Window.Reason, "target_empty"))
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 100})
	w.dst("DROP TABLE orders")
	report = w.run(w.xmin("", ""))
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 100})
	assert.Equal(t, report.State.Revision, int64(4))
	w.same("TABLE orders", "TABLE orders")

	// Keys that do not identify a row are found at once, also without an index.
	w.dst("DROP TABLE orders; CREATE TABLE orders (id int, note text)")
	w.src("ALTER TABLE orders DROP CONSTRAINT orders_pkey; INSERT INTO orders VALUES (1, 'twice')")
	w.fails(w.xmin("", ""), "key.duplicate")
	w.fails(w.xmin("duplicate_policy: last_by:note", ""), "xmin.duplicate_policy")
}

func TestXMinProcessesAndTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", "")
	w.run(m)
	named := *m
	named.Name = "another_process"
	w.refused(&named, "state_missing")
	other := *m
	other.Sink.Table.Name = "copy"
	assert.Equal(t, w.run(&other).Window.Kind, "initial")
	w.src("UPDATE orders SET note = 'x' WHERE id = 1")
	wrote(t, w.delta(m), connector.Counters{Updated: 1})
	w.src("UPDATE orders SET note = 'y' WHERE id = 2")
	wrote(t, w.delta(&other), connector.Counters{Updated: 2})
	wrote(t, w.delta(m), connector.Counters{Updated: 1})
	w.same("TABLE orders", "TABLE orders")
	w.same("TABLE orders", "TABLE copy")
	assert.Equal(t, rows(t, w.sink, "SELECT revision FROM dpone.dpone_state"), "(2)\n(3)")
}

func TestXMinStateIsCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", "")
	move := func(sql string) engine.Options {
		opts := w.options()
		opts.At = func(_ context.Context, p connector.Point) error {
			if p == connector.BeforeCommit {
				w.dst(sql)
			}
			return nil
		}
		return opts
	}
	run := func(opts engine.Options) {
		report, err := engine.Run(context.Background(), m, opts)
		assert.ErrorContains(t, err, "no longer at revision")
		assert.Equal(t, report.Result.ErrorCode, connector.CodeStateMoved)
	}
	w.run(m)
	w.src("UPDATE orders SET note = 'x'")
	before := rows(t, w.sink, "TABLE orders")
	run(move("UPDATE dpone.dpone_state SET revision = revision + 1"))
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), before)
	run(move("DELETE FROM dpone.dpone_state"))
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), before)
	w.rebased(w.xmin(allowed, ""), "state_missing")
	w.dst(`UPDATE dpone.dpone_state SET position = '{"column":"id","type":"int4","value":"1"}'`)
	w.refused(m, "state_foreign")
	w.dst(`UPDATE dpone.dpone_state SET position = '["nonsense"]'`)
	w.fails(m, "xmin.state")
	w.dst(`UPDATE dpone.dpone_state SET position = 'nonsense'`)
	w.fails(m, "state.invalid")
}

func TestXMinState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	report := w.run(w.xmin("", ""))
	state := w.state()
	one := func(sql string) string { return strings.Trim(rows(t, w.source, sql), "()") }
	assert.Equal(t, state["system_identifier"], one("SELECT system_identifier FROM pg_control_system()"))
	assert.Equal(t, fmt.Sprint(state["timeline"]), one("SELECT timeline_id FROM pg_control_checkpoint()"))
	assert.Equal(t, fmt.Sprintf("%.0f", state["relation_oid"]), one("SELECT 'orders'::regclass::oid"))
	assert.Equal(t, fmt.Sprintf("%.0f", state["database_oid"]), one("SELECT oid FROM pg_database WHERE datname = current_database()"))
	files, ok := state["relfilenodes"].(map[string]any)
	assert.Assert(t, ok)
	assert.Equal(t, fmt.Sprintf("%.0f", files[one("SELECT 'orders'::regclass::oid")]), one("SELECT pg_relation_filenode('orders')"))
	assert.Equal(t, state["snapshot"], report.Window.Facts["snapshot"])
	assert.Assert(t, strings.HasPrefix(fmt.Sprint(state["snapshot"]), fmt.Sprintf("%.0f:%.0f:", state["lower_xid"], state["upper_xid"])))
	for _, name := range []string{"lsn", "incarnation", "schema_sha256", "predicate_sha256"} {
		assert.Assert(t, state[name] != "" && state[name] != nil, name)
	}
	key := strings.Trim(rows(t, w.sink, "SELECT pipeline FROM dpone.dpone_state"), "()")
	assert.Assert(t, strings.HasPrefix(key, "orders_load:"), key)
	assert.Equal(t, rows(t, w.sink, "SELECT revision FROM dpone.dpone_state"), "(1)")
}

// Rows written under a savepoint have numbers of their own, which no list of running
// transactions holds and which may lie above the snapshot's end.
func TestXMinSavepoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", keys)
	w.run(m)
	writer, other := connect(t, w.sourceDSN), connect(t, w.sourceDSN)
	exec(t, writer, "BEGIN; INSERT INTO orders VALUES (201, 'top'); SAVEPOINT a; INSERT INTO orders VALUES (202, 'released'); UPDATE orders SET note = 'under a' WHERE id = 1; RELEASE a;"+
		"SAVEPOINT b; INSERT INTO orders VALUES (203, 'rolled back'); DELETE FROM orders WHERE id = 2; ROLLBACK TO b; SAVEPOINT c; INSERT INTO orders VALUES (204, 'open')")
	exec(t, other, "INSERT INTO orders VALUES (301, 'committed at once')")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1})
	exec(t, writer, "SAVEPOINT d; INSERT INTO orders VALUES (205, 'after the snapshot'); RELEASE d; INSERT INTO orders VALUES (206, 'under c')")
	exec(t, other, "INSERT INTO orders VALUES (302, 'newer than all of them')")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1})
	exec(t, writer, "COMMIT")
	wrote(t, w.delta(m), connector.Counters{Inserted: 5, Updated: 1})
	w.same("TABLE orders", "TABLE orders")

	// A transaction that wrote nothing but under a savepoint, whose number is beyond the snapshot's end.
	exec(t, writer, "BEGIN; SELECT pg_current_xact_id()")
	wrote(t, w.delta(m), connector.Counters{})
	exec(t, writer, "SAVEPOINT e; INSERT INTO orders VALUES (207, 'e'); SAVEPOINT f; DELETE FROM orders WHERE id = 3; RELEASE f; COMMIT")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1, DeletedHard: 1})
	w.same("TABLE orders", "TABLE orders")
}

// TestXMinManyTransactions: a window of more transactions than are listed finds the same rows.
func TestXMinManyTransactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", keys)
	w.run(m)
	for _, n := range []int{5, 1100} {
		// Each block is a transaction of its own within the one of the statement.
		w.src(fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%[1]d LOOP BEGIN INSERT INTO orders VALUES (%[1]d * 1000 + i, 'many'); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$`, n))
		wrote(t, w.delta(m), connector.Counters{Inserted: int64(n)})
		w.same("TABLE orders", "TABLE orders")
		wrote(t, w.delta(m), connector.Counters{})
	}
}

func TestXMinCommitOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", "")
	w.run(m)
	older, newer := connect(t, w.sourceDSN), connect(t, w.sourceDSN)
	exec(t, older, "BEGIN; UPDATE orders SET note = 'older' WHERE id = 1; INSERT INTO orders VALUES (201, 'older')")
	exec(t, newer, "BEGIN; UPDATE orders SET note = 'newer' WHERE id = 2; INSERT INTO orders VALUES (202, 'newer'); COMMIT")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1, Updated: 1})
	wrote(t, w.delta(m), connector.Counters{})
	exec(t, older, "COMMIT")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1, Updated: 1})
	w.same("TABLE orders", "TABLE orders")
	exec(t, older, "BEGIN; UPDATE orders SET note = 'never'; SAVEPOINT s; DELETE FROM orders")
	exec(t, newer, "INSERT INTO orders VALUES (203, 'x')")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1})
	exec(t, older, "ROLLBACK")
	wrote(t, w.delta(m), connector.Counters{})
	w.same("TABLE orders", "TABLE orders")
}

// A column that comes while the run begins would be in the state and not in the rows.
func TestXMinColumnsChangeWhileItBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin(allowed, "")
	w.run(m)
	opts := w.options()
	opts.Progress = func(p engine.Progress) {
		if p.Phase == "snapshot" {
			w.src("ALTER TABLE orders ADD extra int DEFAULT 7")
		}
	}
	report, err := engine.Run(context.Background(), m, opts)
	assert.ErrorContains(t, err, "run again")
	assert.Equal(t, report.Result.ErrorCode, "source.changed")
	w.rebased(m, "schema_changed")
}

// A table that is written anew after the snapshot would look empty in it.
func TestXMinTableIsLockedBeforeTheSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", "reconciliation: {enabled: true, empty_snapshot: allow}\n")
	w.run(m)
	w.src("UPDATE orders SET note = 'x' WHERE id = 1; SET lock_timeout = '50ms'")
	opts := w.options()
	tried := false
	opts.Progress = func(p engine.Progress) {
		if p.Phase != "load" || tried {
			return
		}
		tried = true
		_, err := w.source.Exec(context.Background(), "TRUNCATE orders")
		var refused *pgconn.PgError
		assert.Check(t, errors.As(err, &refused) && refused.Code == "55P03", "TRUNCATE did not wait: %v", err)
	}
	_, err := engine.Run(context.Background(), m, opts)
	assert.NilError(t, err)
	assert.Assert(t, tried)
	w.same("TABLE orders", "TABLE orders")
}

func TestXMinTableChanges(t *testing.T) {
	t.Parallel()
	all := newWorld(t)
	for _, test := range []struct {
		name, change string
		reason       string // empty when the window stays good
		want         connector.Counters
	}{
		{"vacuum full", "UPDATE orders SET note = 'x' WHERE id = 1; VACUUM FULL orders", "", connector.Counters{Updated: 1}},
		{"vacuum freeze", "UPDATE orders SET note = 'x' WHERE id = 1; VACUUM FREEZE orders", "", connector.Counters{Updated: 1}},
		{"cluster", "INSERT INTO orders VALUES (201, 'x'); CLUSTER orders USING orders_pkey", "", connector.Counters{Inserted: 1}},
		{"renamed column is another one", "ALTER TABLE orders RENAME note TO text; ALTER TABLE orders ADD note text DEFAULT 'x'; ALTER TABLE orders DROP text", "schema_changed", connector.Counters{}},
		{"truncate", "TRUNCATE orders", "", connector.Counters{}}, // deletes, which the window does not show
		{"truncate and reload", "TRUNCATE orders; INSERT INTO orders VALUES (1, 'note 1'), (2, 'x'), (201, 'new')", "table_rewritten", connector.Counters{}},
		{"dropped and made again", "DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'x')", "relation_changed", connector.Counters{}},
		{"swapped by its name", "CREATE TABLE young (LIKE orders INCLUDING ALL); INSERT INTO young SELECT id, 'young' FROM orders; DROP TABLE orders; ALTER TABLE young RENAME TO orders", "relation_changed", connector.Counters{}},
		{"rewritten without another type", "ALTER TABLE orders ALTER note TYPE text USING upper(note)", "table_rewritten", connector.Counters{}},
		{"rewritten with another type", "ALTER TABLE orders ALTER id TYPE bigint USING id * 2", "schema_changed", connector.Counters{}},
		{"another type without rewriting", "ALTER TABLE orders ALTER note TYPE varchar", "schema_changed", connector.Counters{}},
		{"column with a default", "ALTER TABLE orders ADD extra int DEFAULT 7", "schema_changed", connector.Counters{}},
		{"column without a default", "ALTER TABLE orders ADD extra int", "schema_changed", connector.Counters{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Databases take longer to make than the cases to run.
			one := *all
			w := &one
			w.t = t
			w.src("DROP TABLE IF EXISTS orders; " + items)
			w.dst("DROP SCHEMA IF EXISTS dpone CASCADE; DROP TABLE IF EXISTS orders")
			m := w.xmin("", "")
			w.run(m)
			for _, sql := range strings.Split(test.change, "; ") {
				w.src(sql)
			}
			if test.reason == "" {
				wrote(t, w.delta(m), test.want)
				if test.name != "truncate" {
					w.same("TABLE orders", "TABLE orders")
				}
				return
			}
			w.refused(m, test.reason)
			w.rebased(w.xmin(allowed, ""), test.reason)
			w.src("UPDATE orders SET note = 'y' WHERE id = (SELECT min(id) FROM orders)")
			wrote(t, w.delta(m), connector.Counters{Updated: 1})
			w.same("TABLE orders", "TABLE orders")
		})
	}
}

func TestXMinPredicate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	with := func(predicate, strategy, more string) *manifest.Manifest {
		m := w.xmin(strategy, more)
		m.Source.Options.CustomPredicate = predicate
		return m
	}
	w.run(with("id <= 50", "", ""))
	w.src("UPDATE orders SET note = 'x' WHERE id IN (50, 51)")
	wrote(t, w.delta(with("id <= 50", "", "")), connector.Counters{Updated: 1})
	w.same("SELECT * FROM orders WHERE id <= 50", "TABLE orders")
	w.refused(with("id <= 60", "", ""), "predicate_changed")
	report := w.run(with("id <= 60 OR false", allowed, ""))
	wrote(t, report, connector.Counters{Inserted: 10})
	assert.Equal(t, report.Counters.Unchanged, int64(50))
	w.same("SELECT * FROM orders WHERE id <= 60", "TABLE orders")
	// A row that leaves the predicate is gone from the source.
	w.src("UPDATE orders SET id = 1001 WHERE id = 1; UPDATE orders SET id = 1 WHERE id = 100")
	wrote(t, w.delta(with("id <= 60 OR false", "", keys)), connector.Counters{Updated: 1})
	w.src("UPDATE orders SET id = 1002 WHERE id = 2")
	wrote(t, w.delta(with("id <= 60 OR false", "", keys)), connector.Counters{DeletedHard: 1})
	w.same("SELECT * FROM orders WHERE id <= 60", "TABLE orders")
}

func TestXMinDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	w.run(w.xmin("", keys))
	w.src("DELETE FROM orders WHERE id <= 10; UPDATE orders SET id = 500 WHERE id = 100; INSERT INTO orders VALUES (1, 'again')")
	wrote(t, w.delta(w.xmin("", "")), connector.Counters{Inserted: 1, Updated: 1})
	before := rows(t, w.sink, "TABLE orders")
	state := w.state()["snapshot"]
	for code, guards := range map[string]string{
		"reconciliation.max_delete_rows":  "{max_delete_rows: 9}",
		"reconciliation.max_delete_ratio": "{max_delete_ratio: 0.099}", // 10 of 101 rows
	} {
		w.fails(w.xmin("", "reconciliation: {enabled: true, guards: "+guards+"}\n"), code)
		assert.Equal(t, rows(t, w.sink, "TABLE orders"), before)
	}
	assert.Equal(t, w.state()["snapshot"], state, "a run that failed moved the state")
	wrote(t, w.delta(w.xmin("", "reconciliation: {enabled: true, guards: {max_delete_rows: 10, max_delete_ratio: 0.1}}\n")), connector.Counters{DeletedHard: 10})
	w.same("TABLE orders", "TABLE orders")

	w.src("DELETE FROM orders")
	before = rows(t, w.sink, "TABLE orders")
	w.fails(w.xmin("", keys), "reconciliation.empty_source")
	w.fails(w.xmin("", "reconciliation: {enabled: true, empty_snapshot: allow, guards: {max_delete_ratio: 0.5}}\n"), "reconciliation.max_delete_ratio")
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), before)
	wrote(t, w.delta(w.xmin("", "reconciliation: {enabled: true, empty_snapshot: allow}\n")), connector.Counters{DeletedHard: 91})
	w.same("TABLE orders", "TABLE orders")
	w.src("INSERT INTO orders VALUES (1, 'first again')")
	wrote(t, w.run(w.xmin("", keys)), connector.Counters{Inserted: 1})
}

// A new baseline deletes within the same guards.
func TestXMinBaselineDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	w.dst("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i FROM generate_series(1, 120) i")
	w.fails(w.xmin(allowed, "reconciliation: {enabled: true, guards: {max_delete_rows: 19}}\n"), "reconciliation.max_delete_rows")
	report := w.run(w.xmin(allowed, "reconciliation: {enabled: true, delete_policy: soft_delete}\n"))
	assert.Equal(t, report.Counters, connector.Counters{Updated: 100, DeletedSoft: 20})
	w.same("TABLE orders", "SELECT id, note FROM orders WHERE __dpone__deleted_at IS NULL")
	w.dst("DELETE FROM dpone.dpone_state")
	w.src("DELETE FROM orders")
	w.fails(w.xmin(allowed, ""), "reconciliation.empty_source")
}

func TestXMinSoftDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items)
	m := w.xmin("", "reconciliation: {enabled: true, delete_policy: soft_delete}\n")
	w.run(m)
	w.src("DELETE FROM orders WHERE id IN (1, 2, 3)")
	wrote(t, w.delta(m), connector.Counters{DeletedSoft: 3})
	marked := rows(t, w.sink, "SELECT id, __dpone__deleted_at FROM orders WHERE __dpone__deleted_at IS NOT NULL")
	assert.Equal(t, strings.Count(marked, "\n"), 2)
	wrote(t, w.delta(m), connector.Counters{})
	assert.Equal(t, rows(t, w.sink, "SELECT id, __dpone__deleted_at FROM orders WHERE __dpone__deleted_at IS NOT NULL"), marked, "the first time stays")
	w.src("INSERT INTO orders VALUES (1, 'note 1'), (2, 'back and other')")
	wrote(t, w.delta(m), connector.Counters{Reactivated: 2})
	w.same("TABLE orders", "SELECT id, note FROM orders WHERE __dpone__deleted_at IS NULL")
	assert.Equal(t, rows(t, w.sink, "SELECT id FROM orders WHERE __dpone__deleted_at IS NOT NULL"), "(3)")
}

func TestXMinPartitionedSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(`CREATE TABLE orders (id int, day int, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
		CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (1) TO (2); CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (2) TO (3);
		INSERT INTO orders SELECT i, 1 + i % 2, 'x' FROM generate_series(1, 100) i;
		CREATE TABLE old (note text, id int NOT NULL, day int NOT NULL, PRIMARY KEY (id, day)); INSERT INTO old SELECT 'old', i, 3 FROM generate_series(1, 20) i`)
	m := w.manifest(process("mode: xmin\nunique_key: [id, day]") + keys)
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 100})
	w.src("UPDATE orders SET note = 'y' WHERE id = 1; UPDATE orders SET day = 2 WHERE id = 2; DELETE FROM orders WHERE id = 3; CREATE TABLE orders_4 PARTITION OF orders FOR VALUES FROM (4) TO (5); INSERT INTO orders VALUES (200, 4, 'new')")
	wrote(t, w.delta(m), connector.Counters{Inserted: 2, Updated: 1, DeletedHard: 2})
	w.same("TABLE orders", "TABLE orders")
	// Rows of a table that is attached were written long before.
	w.src("ALTER TABLE orders ATTACH PARTITION old FOR VALUES FROM (3) TO (4)")
	wrote(t, w.delta(m), connector.Counters{Inserted: 20})
	w.same("TABLE orders", "TABLE orders")
	w.src("ALTER TABLE orders DETACH PARTITION orders_1")
	w.src("VACUUM FULL orders_2")
	report := w.delta(m)
	assert.Assert(t, report.Counters.DeletedHard > 40)
	w.same("TABLE orders", "TABLE orders")
	w.src("ALTER TABLE orders ATTACH PARTITION orders_1 FOR VALUES FROM (1) TO (2)")
	assert.Assert(t, w.delta(m).Counters.Inserted > 40)
	w.same("TABLE orders", "TABLE orders")
	w.src("TRUNCATE orders_2; INSERT INTO orders_2 VALUES (1000, 2, 'z')")
	assert.Assert(t, w.delta(m).Counters.DeletedHard > 40)
	w.same("TABLE orders", "TABLE orders")
}

func TestXMinInheritance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(items + "; CREATE TABLE child (extra int) INHERITS (orders); INSERT INTO child VALUES (201, 'c', 1); CREATE TABLE late (LIKE child); INSERT INTO late VALUES (301, 'late', 1)")
	m := w.xmin("", "")
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 101})
	w.src("UPDATE child SET note = 'd'; ALTER TABLE late INHERIT orders")
	wrote(t, w.delta(m), connector.Counters{Inserted: 1, Updated: 1})
	w.same("SELECT id, note FROM orders", "TABLE orders")
}

func TestXMinNeedsATable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE base (id int PRIMARY KEY, note text); CREATE VIEW orders AS TABLE base")
	w.fails(w.xmin("", ""), "xmin.not_a_table")
	w.src("DROP VIEW orders; CREATE MATERIALIZED VIEW orders AS TABLE base")
	w.fails(w.xmin("", ""), "xmin.not_a_table")
	w.src("DROP MATERIALIZED VIEW orders; CREATE TABLE orders (id int, note text) PARTITION BY LIST (id);" +
		"CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far; CREATE FOREIGN TABLE orders_9 PARTITION OF orders FOR VALUES IN (9) SERVER far")
	w.fails(w.xmin("", ""), "xmin.not_a_table")
	w.src("DROP TABLE orders")
	w.fails(w.xmin("", ""), "source.missing")
}

// A role that may read the table and nothing else.
func TestXMinPlainRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Rights on functions belong to the database, roles to the server.
	var role string
	assert.NilError(t, w.source.QueryRow(t.Context(), "SELECT 'dpone_reader_' || oid FROM pg_database WHERE datname = current_database()").Scan(&role))
	w.src(items + "; CREATE ROLE " + role + "; GRANT SELECT ON orders TO " + role +
		"; REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_control_recovery() FROM PUBLIC")
	t.Cleanup(func() { w.src("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	plain := *w
	switch {
	case !strings.Contains(w.sourceDSN, "://"):
		plain.sourceDSN += " options='-c role=" + role + "'"
	case strings.Contains(w.sourceDSN, "?"):
		plain.sourceDSN += "&options=-crole%3D" + role
	default:
		plain.sourceDSN += "?options=-crole%3D" + role
	}
	m := w.xmin("", keys)
	plain.run(m)
	w.src("UPDATE orders SET note = 'x' WHERE id = 1; DELETE FROM orders WHERE id = 2")
	wrote(t, plain.delta(m), connector.Counters{Updated: 1, DeletedHard: 1})
	w.same("TABLE orders", "TABLE orders")

	// Rights to some columns are no right to lock the table.
	w.src("REVOKE SELECT ON orders FROM " + role + "; GRANT SELECT (id, note, xmin) ON orders TO " + role)
	w.src("UPDATE orders SET note = 'y' WHERE id = 1")
	wrote(t, plain.delta(m), connector.Counters{Updated: 1})
}

// jump moves the next transaction number of a server that is stopped, as if that many
// transactions had been.
func jump(t *testing.T, server *pgserver.Server, epoch, segment uint64) {
	t.Helper()
	const perSegment = 32 * 8192 * 4 // pages of 8192 bytes, two bits a transaction
	assert.NilError(t, server.StopKeep(t.Context()))
	path := filepath.Join(server.DataDir(), "pg_xact", fmt.Sprintf("%04X", segment))
	if _, err := os.Stat(path); err != nil {
		forServer(t, path, make([]byte, perSegment/4))
	}
	next := segment*perSegment + 5000 // above the numbers that were used at the beginning
	_, err := server.Do(t.Context(), "pg_resetwal", "--next-transaction-id="+fmt.Sprint(next), "--epoch="+fmt.Sprint(epoch), "--pgdata="+server.DataDir())
	assert.NilError(t, err)
	assert.NilError(t, server.StartAgain(t.Context()))
}

// forServer writes a file into the folder of a server, which may run as another account.
func forServer(t *testing.T, path string, content []byte) {
	t.Helper()
	assert.NilError(t, os.WriteFile(path, content, 0o600))
	assert.NilError(t, os.Chmod(path, 0o666)) //nolint:gosec // the folder is closed to everybody else
}

func freeze(t *testing.T, server *pgserver.Server) {
	t.Helper()
	_, err := server.Do(t.Context(), "psql", "-qc", "ALTER DATABASE template0 ALLOW_CONNECTIONS true")
	assert.NilError(t, err)
	_, err = server.Do(t.Context(), "vacuumdb", "--all", "--freeze", "--quiet", "--jobs=2")
	assert.NilError(t, err)
}

// trusting makes the state forget that the server was restarted, which the counter's
// jump needs and a server that counts on by itself does not.
func (w *world) trusting() {
	w.t.Helper()
	var now string
	assert.NilError(w.t, w.source.QueryRow(context.Background(), "SELECT pg_postmaster_start_time()::text || coalesce('/' || (SELECT stats_reset::text FROM pg_stat_bgwriter), '')").Scan(&now))
	w.dst("UPDATE dpone.dpone_state SET position = jsonb_set(position::jsonb, '{incarnation}', to_jsonb('" + now + "'::text))::text")
}

func TestXMinWraparound(t *testing.T) {
	t.Parallel()
	server := scratch(t)
	w := newScratchWorld(t, server)
	w.src(items)
	freeze(t, server)
	jump(t, server, 0, 1430) // 1.5 billion
	w.again()
	w.src("INSERT INTO orders SELECT i, 'second' FROM generate_series(1001, 1050) i")
	freeze(t, server)
	jump(t, server, 0, 2861) // 3 billion
	w.again()
	m := w.xmin("", "")
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 150})
	assert.Assert(t, w.state()["lower_xid"].(float64) > 2.9e9)
	w.src("INSERT INTO orders SELECT i, 'third' FROM generate_series(2001, 2010) i")
	// The number of the first 100 is more than 2^31 ago, which looks like the future; a
	// window of a few transactions, which are listed, does not hold them.
	assert.Equal(t, w.delta(m).Counters, connector.Counters{Inserted: 10})
	freeze(t, server)
	w.src("UPDATE orders SET note = 'at the end of the epoch' WHERE id = 1")

	jump(t, server, 1, 0) // 1.3 billion on, in the next epoch
	w.again()
	w.trusting()
	w.src("INSERT INTO orders SELECT i, 'fourth' FROM generate_series(3001, 3020) i; UPDATE orders SET note = 'y' WHERE id = 2")
	report := w.delta(m)
	assert.Equal(t, report.Counters.Inserted, int64(20))
	assert.Equal(t, report.Counters.Updated, int64(2))
	// The frozen rows of the first epoch have numbers just below the new ones, and come again.
	assert.Assert(t, report.Counters.Unchanged >= 98, report.Counters.Unchanged)
	assert.Assert(t, report.Counters.Unchanged < 150, "the window is the whole table, and the test shows nothing")
	w.same("TABLE orders", "TABLE orders")
	assert.Assert(t, w.state()["lower_xid"].(float64) > 1<<32)
	w.src("UPDATE orders SET note = 'z' WHERE id = 3")
	assert.Equal(t, w.delta(m).Counters.Updated, int64(1))

	freeze(t, server)
	jump(t, server, 1, 1430)
	w.again()
	freeze(t, server)
	jump(t, server, 1, 2861) // 3 billion on since the last run
	w.again()
	w.trusting()
	w.src("UPDATE orders SET note = 'lost otherwise' WHERE id = 4; DELETE FROM orders WHERE id = 5")
	w.refused(m, "wraparound_distance")
	w.rebased(w.xmin(allowed, ""), "wraparound_distance")
	w.src("UPDATE orders SET note = 'and on' WHERE id = 6")
	assert.Equal(t, w.delta(m).Counters.Updated, int64(1))
}

func TestXMinOlderCopy(t *testing.T) {
	t.Parallel()
	server := scratch(t)
	w := newScratchWorld(t, server)
	w.src(items)
	m := w.xmin("", keys)
	w.run(m)
	assert.NilError(t, server.StopKeep(t.Context()))
	dir := filepath.Join(t.TempDir(), "backup")
	assert.NilError(t, server.Backup(t.Context(), dir)) // a copy of the files, as a snapshot of a disk
	assert.NilError(t, server.StartAgain(t.Context()))
	w.again()
	burn := func(n int) string {
		return fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$", n)
	}
	w.src("UPDATE orders SET note = 'lost' WHERE id = 1")
	w.src("INSERT INTO orders VALUES (201, 'lost')")
	w.src("DELETE FROM orders WHERE id = 2")
	w.src(burn(50))
	w.run(m)
	w.same("TABLE orders", "TABLE orders")

	// Not as far as the last run saw.
	assert.NilError(t, server.Restore(t.Context(), dir))
	assert.NilError(t, server.StartAgain(t.Context()))
	w.again()
	w.src("UPDATE orders SET note = 'other history' WHERE id = 3")
	w.src("INSERT INTO orders VALUES (202, 'other history')")
	w.refused(m, "state_ahead_of_source")

	// Beyond what the last run saw by both transactions and log: the rows of the other
	// history have numbers that were seen, and only the restart tells that they are worth a look.
	w.src(burn(2000))
	w.src("CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 8000)")
	report := w.run(m)
	assert.Equal(t, report.Window.Kind, "delta")
	assert.Assert(t, strings.HasPrefix(report.Window.Reason, "server_restarted:"), report.Window.Reason)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 2, Updated: 2, Unchanged: 97, DeletedHard: 1})
	w.same("TABLE orders", "TABLE orders")

	// As far by its transactions, and not by its log.
	w.dst(`UPDATE dpone.dpone_state SET position = jsonb_set(position::jsonb, '{lsn}', '"FFFF/0"')::text`)
	w.src("UPDATE orders SET note = 'x' WHERE id = 4")
	w.refused(m, "log_position_behind")
	w.rebased(w.xmin(allowed, keys), "log_position_behind")
}

// standby makes a server that follows the other one.
func standby(t *testing.T, primary *pgserver.Server) *pgserver.Server {
	t.Helper()
	server := scratch(t)
	assert.NilError(t, server.StopKeep(t.Context()))
	assert.NilError(t, os.RemoveAll(server.DataDir()))
	_, err := primary.Do(t.Context(), "pg_basebackup", "--pgdata="+server.DataDir(), "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--no-manifest")
	assert.NilError(t, err)
	assert.NilError(t, server.StartAgain(t.Context()))
	return server
}

func TestXMinStandby(t *testing.T) {
	t.Parallel()
	primary := scratch(t)
	w := newScratchWorld(t, primary)
	w.src(items)
	follower := standby(t, primary)
	replica := connect(t, follower.DSNFor("shop"))
	caughtUp := func() {
		t.Helper()
		var lsn string
		// What runs is written to the log, as the server does by itself now and then.
		w.src("CHECKPOINT")
		assert.NilError(t, w.source.QueryRow(t.Context(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&lsn))
		for there := false; !there; {
			assert.NilError(t, replica.QueryRow(t.Context(), "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn FROM pg_sleep(0.01)", lsn).Scan(&there))
		}
	}
	m := w.xmin("", keys)
	m.Source.Options.Workers = 2
	w.sourceDSN = follower.DSNFor("shop")
	caughtUp()
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 100})

	writer := connect(t, primary.DSNFor("shop"))
	exec(t, writer, "BEGIN; INSERT INTO orders VALUES (201, 'open'); SAVEPOINT a; INSERT INTO orders VALUES (202, 'open')")
	w.src("UPDATE orders SET note = 'x' WHERE id = 1; DELETE FROM orders WHERE id = 2")
	caughtUp()
	assert.Equal(t, w.delta(m).Counters, connector.Counters{Updated: 1, DeletedHard: 1})
	w.src("INSERT INTO orders VALUES (203, 'newer')")
	exec(t, writer, "INSERT INTO orders VALUES (204, 'still under a'); COMMIT")
	caughtUp()
	assert.Equal(t, w.delta(m).Counters, connector.Counters{Inserted: 4, Unchanged: 1})
	w.same("TABLE orders", "TABLE orders")

	// All readers of a snapshot of a standby see the same.
	shadow := w.manifest(process("mode: full_refresh\nunique_key: id\noverwrite_type: shadow_swap"))
	shadow.Source.Options.Workers, shadow.Sink.Table.Name = 2, "shadow"
	w.src("CREATE TABLE many AS SELECT i AS id, repeat('x', 500) AS note FROM generate_series(1, 5000) i")
	caughtUp()
	shadow.Source.Table.Name = "many"
	assert.Equal(t, w.run(shadow).Counters, connector.Counters{Inserted: 5000})
	w.same("TABLE many", "TABLE shadow")

	// The standby takes over before it has all that the primary has.
	w.sourceDSN = primary.DSNFor("shop")
	w.run(m)
	_, err := replica.Exec(t.Context(), "SELECT pg_wal_replay_pause()")
	assert.NilError(t, err)
	w.src("INSERT INTO orders VALUES (301, 'lost with the primary')")
	w.run(m)
	w.sourceDSN = follower.DSNFor("shop")
	w.refused(m, "state_ahead_of_source")
	// Promoting applies what arrived; the primary is gone before the last rows are sent.
	_, err = replica.Exec(t.Context(), "SELECT pg_wal_replay_resume()")
	assert.NilError(t, err)
	assert.NilError(t, primary.Kill())
	_, err = replica.Exec(t.Context(), "SELECT pg_promote()")
	assert.NilError(t, err)
	w.source = connect(t, w.sourceDSN)
	w.src("UPDATE orders SET note = 'on the new timeline' WHERE id = 3")
	w.refused(m, "timeline_changed")
	w.rebased(w.xmin(allowed, keys), "timeline_changed")
	w.src("UPDATE orders SET note = 'y' WHERE id = 4")
	wrote(t, w.delta(m), connector.Counters{Updated: 1})
}

// Several sessions write without pause while the engine runs, in every way that gives
// rows numbers; when they end, one more run makes both sides equal.
func TestXMinConcurrentWriters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'first' FROM generate_series(1, 300) i")
	m := w.xmin("", keys)
	w.run(m)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for n := range 4 {
		conn := connect(t, w.sourceDSN)
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 7)) //nolint:gosec // repeatable
			for ctx.Err() == nil {
				assert.Check(t, transaction(conn, random))
			}
		})
	}
	const runs = 12
	var total connector.Counters
	for range runs {
		total.Add(w.delta(m).Counters)
		// What the target holds is one state of the source, and so has each pair complete.
		assert.Equal(t, rows(t, w.sink, "SELECT id / 2 FROM orders WHERE id >= 10000 GROUP BY 1 HAVING count(*) <> 2"), "")
	}
	stop()
	writers.Wait()
	w.delta(m)
	w.same("TABLE orders", "TABLE orders")
	assert.Assert(t, total.Inserted > 0 && total.Updated > 0 && total.DeletedHard > 0, "%+v", total)
}

// transaction runs one transaction of random shape. Deadlocks and conflicts roll it back.
func transaction(conn *pgx.Conn, random *rand.Rand) error {
	var b strings.Builder
	b.WriteString("BEGIN; SET LOCAL lock_timeout = '200ms'")
	step := func() {
		switch id := 1 + random.IntN(600); random.IntN(5) {
		case 0, 1:
			fmt.Fprintf(&b, "; INSERT INTO orders VALUES (%d, '%d') ON CONFLICT (id) DO UPDATE SET note = excluded.note || 'u'", id, random.IntN(1000))
		case 2:
			fmt.Fprintf(&b, "; UPDATE orders SET note = '%d' WHERE id = %d", random.IntN(1000), id)
		case 3:
			fmt.Fprintf(&b, "; DELETE FROM orders WHERE id = %d", id)
		case 4: // two rows that come and go together
			pair := 10000 + 2*random.IntN(100)
			fmt.Fprintf(&b, "; SELECT pg_advisory_xact_lock(%[1]d); DELETE FROM orders WHERE id IN (%[1]d, %[2]d)", pair, pair+1)
			if random.IntN(3) > 0 {
				fmt.Fprintf(&b, "; INSERT INTO orders VALUES (%d, 'a'), (%d, 'b') ON CONFLICT (id) DO NOTHING", pair, pair+1)
			}
		}
	}
	for range 1 + random.IntN(4) {
		step()
		if random.IntN(3) == 0 {
			b.WriteString("; SAVEPOINT s")
			step()
			b.WriteString([]string{"; RELEASE s", "; ROLLBACK TO s", ""}[random.IntN(3)])
			step()
		}
		if random.IntN(10) == 0 {
			fmt.Fprintf(&b, "; SELECT pg_sleep(%.3f)", random.Float64()/10)
		}
	}
	b.WriteString([]string{"; COMMIT", "; COMMIT", "; COMMIT", "; ROLLBACK"}[random.IntN(4)])
	ctx := context.Background()
	_, err := conn.PgConn().Exec(ctx, b.String()).ReadAll()
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "40P01" || refused.Code == "55P03") {
		_, err = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
	}
	return err
}
