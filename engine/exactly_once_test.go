package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
)

// TestStateIsCompared lets another run's state appear between the read of the state and the commit.
func TestStateIsCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.manifest(options(process("mode: incremental_append\nunique_key: id"), "incremental_column: id"))
	w.run(m)
	w.src("INSERT INTO orders (id) VALUES (5000)")
	opts := w.options()
	opts.At = func(_ context.Context, p connector.Point) error {
		if p == connector.BeforeCommit {
			w.dst("UPDATE dpone.dpone_state SET revision = revision + 1")
		}
		return nil
	}
	report, err := engine.Run(context.Background(), m, opts)
	assert.Equal(t, report.Result.ErrorCode, "state.moved", "%v", err)
	assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders"), "1000")
	assert.Equal(t, w.run(m).State.Revision, int64(3))
	w.same("TABLE orders", "TABLE orders")
}

// TestTwoRuns starts a second run while the first one loads.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]bool{"target missing": false, "target there": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.src(orders)
			if create {
				w.dst("CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text, amount numeric(12,2), flag boolean, at timestamptz)")
			}
			m := w.manifest(process("mode: incremental_append\nunique_key: id\nonly_new_rows: true"))
			impatient := w.manifest(strings.Replace(process("mode: incremental_append\nunique_key: id\nonly_new_rows: true"), "  strategy:", "  options: {lock_timeout: 1}\n  strategy:", 1))
			var group sync.WaitGroup
			var second engine.Report
			var secondErr error
			opts := w.options()
			opts.At = func(_ context.Context, p connector.Point) error {
				if p != connector.AfterStage {
					return nil
				}
				report, err := engine.Run(context.Background(), impatient, w.options())
				assert.Equal(t, report.Result.ErrorCode, "target.busy", "%v", err)
				group.Go(func() { second, secondErr = engine.Run(context.Background(), m, w.options()) })
				return nil
			}
			first, err := engine.Run(context.Background(), m, opts)
			assert.NilError(t, err)
			group.Wait()
			assert.NilError(t, secondErr)
			assert.Equal(t, first.Counters.Inserted, int64(1000))
			assert.Equal(t, second.Counters, connector.Counters{Unchanged: 1000})
			w.same("TABLE orders", "TABLE orders")
		})
	}
}

// TestSinkSessionEnds ends the sink's session at every named point; the next run gets there.
func TestSinkSessionEnds(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"mode: full_refresh", "mode: incremental_merge\nunique_key: id", "mode: scd2\nunique_key: id"} {
		t.Run(strings.ReplaceAll(strategy, "\n", " "), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.src(orders)
			m := w.manifest(process(strategy) + "state: {window: first}\nquality: {gates: [{type: typed_hash_reconciliation}]}\n")
			for i, point := range connector.Points() {
				m.State.Window = fmt.Sprintf("w%d", i)
				w.src(fmt.Sprintf("UPDATE orders SET note = '%d' WHERE id %% 10 = %d; DELETE FROM orders WHERE id = %d; INSERT INTO orders (id) VALUES (%d)", i, i, i+20, i+2000))
				opts := w.options()
				opts.At = func(_ context.Context, p connector.Point) error {
					if p != point {
						return nil
					}
					w.dst("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpone'")
					return nil
				}
				report, err := engine.Run(context.Background(), m, opts)
				committed := point == connector.AfterCommit || point == connector.AfterAcknowledge
				assert.Equal(t, err == nil, committed, "%s: %v", point, err)
				if !committed {
					assert.Equal(t, report.Result.CommitOutcome, "not_committed", string(point))
				}
				again := w.run(m)
				assert.Equal(t, again.Result.CommitOutcome == "already_committed", committed)
				current := ""
				if strings.Contains(strategy, "scd2") {
					current = " WHERE __dpone__is_current"
				}
				target := "SELECT id, day, note, amount, flag, at FROM orders" + current
				if strings.Contains(strategy, "merge") {
					target += " WHERE id NOT BETWEEN 20 AND 25"
					w.same("SELECT * FROM orders WHERE id NOT BETWEEN 20 AND 25", target)
				} else {
					w.same("TABLE orders", target)
				}
				assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM dpone.dpone_receipt"), fmt.Sprint(i+1))
			}
			if strings.Contains(strategy, "scd2") {
				assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM (SELECT id FROM orders GROUP BY id, __dpone__valid_from_at HAVING count(*) > 1) x"), "0")
			}
		})
	}
}

// TestSourceSessionEnds ends the source's session in the middle of the read.
func TestSourceSessionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders AS SELECT i AS id, repeat('x', 1000) AS note FROM generate_series(1, 20000) i")
	m := w.manifest(process("mode: full_refresh"))
	opts := w.options()
	opts.At = func(_ context.Context, p connector.Point) error {
		if p == connector.MidCopy {
			w.src("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpone'")
		}
		return nil
	}
	report, err := engine.Run(context.Background(), m, opts)
	assert.Equal(t, report.Result.ErrorCode, "source.read", "%v", err)
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
}

// TestRunIsEnded cancels a run at every point.
func TestRunIsEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	for _, workers := range []string{"workers: 1", "workers: 3"} {
		m := w.manifest(options(process(swap), workers))
		for _, point := range connector.Points()[:4] {
			ctx, cancel := context.WithCancel(context.Background())
			opts := w.options()
			opts.At = func(_ context.Context, p connector.Point) error {
				if p == point {
					cancel()
				}
				return nil
			}
			report, err := engine.Run(ctx, m, opts)
			cancel()
			if err == nil {
				t.Fatalf("%s: the run went on", point)
			}
			assert.Equal(t, report.Result.ErrorCode, "run.interrupted", "%s: %v", point, err)
			assert.Assert(t, errors.Is(err, context.Canceled), "%s: %v", point, err)
			assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM pg_class WHERE relname LIKE 'dpone_shadow%'"), "0", string(point))
		}
		w.run(m)
		w.same("TABLE orders", "TABLE orders")
	}
}

// TestSnapshotHolds changes the source while it is read, over one and over several connections.
func TestSnapshotHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders AS SELECT i AS id, repeat('x', 100) AS note FROM generate_series(1, 30000) i; ALTER TABLE orders ADD PRIMARY KEY (id)")
	w.dst("CREATE TABLE orders (id int PRIMARY KEY, note text)")
	for _, m := range []string{process("mode: full_refresh"), options(process(swap), "workers: 3"), options(process("mode: full_refresh"), "workers: 2"), process("mode: snapshot_diff\nunique_key: id")} {
		want := rows(t, w.source, "TABLE orders")
		opts := w.options()
		opts.At = func(_ context.Context, p connector.Point) error {
			if p == connector.AfterExtract {
				w.src("INSERT INTO orders SELECT max(id) + 1, 'new' FROM orders; UPDATE orders SET note = note || '!' WHERE id % 3 = 0; DELETE FROM orders WHERE id IN (SELECT min(id) FROM orders)")
				// A rewrite would empty the table for the snapshot, so it has to wait.
				_, err := w.source.Exec(context.Background(), "SET lock_timeout = '50ms'; TRUNCATE orders", pgx.QueryExecModeSimpleProtocol)
				assert.ErrorContains(t, err, "lock timeout")
			}
			return nil
		}
		_, err := engine.Run(context.Background(), w.manifest(m), opts)
		assert.NilError(t, err)
		assert.Assert(t, rows(t, w.sink, "TABLE orders") == want)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 70000) i")
	opts := w.options()
	var seen []string
	opts.Progress = func(p engine.Progress) { seen = append(seen, fmt.Sprintf("%s %d", p.Phase, p.Rows)) }
	_, err := engine.Run(context.Background(), w.manifest(process("mode: full_refresh")), opts)
	assert.NilError(t, err)
	for _, want := range []string{"plan 0", "snapshot 0", "load 0", "load 65536", "gates", "commit"} {
		assert.Assert(t, is.Contains(strings.Join(seen, "\n"), want))
	}
}
