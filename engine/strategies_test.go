package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
)

func TestInPlaceKeepsTheTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	w.dst(`CREATE TABLE kinds (kind text PRIMARY KEY); INSERT INTO kinds VALUES ('a');
		CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text, amount numeric(12,2), flag boolean, at timestamptz, kind text DEFAULT 'a' REFERENCES kinds);
		CREATE INDEX by_day ON orders (day); GRANT SELECT ON orders TO PUBLIC; CREATE VIEW seen AS SELECT id FROM orders;
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();
		INSERT INTO orders (id) VALUES (-1)`)
	shape := func() string {
		return one(t, w.sink, "SELECT concat(oid, relacl, relowner) FROM pg_class WHERE relname = 'orders'") +
			rows(t, w.sink, "SELECT indexrelid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'orders'::regclass") +
			rows(t, w.sink, "SELECT oid, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'orders'::regclass") +
			rows(t, w.sink, "SELECT oid FROM pg_trigger WHERE tgrelid = 'orders'::regclass")
	}
	before := shape()
	report := w.run(w.manifest(process("mode: full_refresh")))
	assert.Equal(t, report.Counters.Inserted, int64(1000))
	w.same("TABLE orders", "SELECT id, day, note, amount, flag, at FROM orders")
	assert.Equal(t, shape(), before)
	assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders WHERE kind = 'a'"), "1000")

	// A table that others point to cannot be emptied.
	w.dst("CREATE TABLE lines (id bigint REFERENCES orders)")
	w.untouched("orders", func() { w.fails(w.manifest(process("mode: full_refresh")), "target.referenced") })
}

func TestFullRefreshOfAnEmptyTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id bigint, note text)")
	m := w.manifest(process("mode: full_refresh"))
	w.run(m)
	w.dst("INSERT INTO orders VALUES (1, 'x')")
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{})
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), "")
}

// TestCastIntoTheTarget loads a target whose types are wider than the source's.
func TestCastIntoTheTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, mode := range []string{"mode: full_refresh", "mode: full_refresh\noverwrite_type: shadow_swap", "mode: snapshot_diff\nunique_key: id"} {
		w.clear()
		w.src("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE orders (id int PRIMARY KEY, f real, m mood, v varchar(5)); INSERT INTO orders VALUES (1, 0.1, 'ok', 'x'), (2, 'NaN', NULL, '')")
		w.dst("CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE orders (id bigint PRIMARY KEY, f double precision, m mood, v varchar(9))")
		m := w.manifest(process(mode) + "quality:\n  gates:\n    - {type: typed_hash_reconciliation, side: target}\n    - {type: accepted_values, columns: m, values: [ok, sad]}\n    - {id: n, type: custom_sql, sql: 'SELECT count(*) FROM {target}', threshold: 2}\n")
		w.run(m)
		assert.Equal(t, rows(t, w.sink, "TABLE orders"), "(1,0.10000000149011612,ok,x)\n(2,NaN,,\"\")", mode)
		w.src("UPDATE orders SET m = 'sad' WHERE id = 1")
		w.run(m)
		assert.Equal(t, one(t, w.sink, "SELECT m::text FROM orders WHERE id = 1"), "sad")
	}
}

func TestAppendByCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz, note text); INSERT INTO orders VALUES (1, '2026-01-01', 'a'), (2, '2026-01-02', 'b')")
	m := w.manifest(options(process("mode: incremental_append\nunique_key: id"), "incremental_column: at"))
	report := w.run(m)
	assert.Equal(t, report.Counters.Inserted, int64(2))
	assert.Equal(t, report.State.Revision, int64(1))
	// An equal value comes late, and a row that was loaded changes, which an append does not see.
	w.src("INSERT INTO orders VALUES (3, '2026-01-02', 'c'), (4, '2026-01-03', 'd'); UPDATE orders SET note = 'x' WHERE id = 2")
	report = w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 2, Unchanged: 1})
	assert.Equal(t, rows(t, w.sink, "SELECT id, note FROM orders"), "(1,a)\n(2,b)\n(3,c)\n(4,d)")
	report = w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Unchanged: 1})
	assert.Equal(t, report.State.Revision, int64(3))

	w.src("INSERT INTO orders VALUES (5, NULL, 'e')")
	w.untouched("orders", func() { w.fails(m, "cursor.null") })
	w.src("UPDATE orders SET at = 'infinity' WHERE id = 5")
	w.untouched("orders", func() { w.fails(m, "cursor.infinite") })
	w.src("DELETE FROM orders")
	report = w.run(m) // nothing behind the cursor, which stays
	assert.Equal(t, report.Counters, connector.Counters{})
	assert.Assert(t, is.Contains(string(report.State.After), "2026-01-03"))

	changed := w.manifest(options(process("mode: incremental_append\nunique_key: id"), "incremental_column: id"))
	w.untouched("orders", func() { w.fails(changed, "cursor.changed") })
}

func TestAppendByCursorOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz)")
	m := w.manifest(options(process("mode: incremental_append\nunique_key: id"), "incremental_column: at"))
	w.run(m)
	w.src("INSERT INTO orders VALUES (1, now())")
	assert.Equal(t, w.run(m).Counters.Inserted, int64(1))
}

func TestAppendOnlyNewRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.manifest(process("mode: incremental_append\nunique_key: id\nonly_new_rows: true"))
	w.run(m)
	w.src("INSERT INTO orders (id) VALUES (5000); UPDATE orders SET note = 'changed' WHERE id = 1")
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 1, Unchanged: 1000})
	assert.Equal(t, one(t, w.sink, "SELECT note FROM orders WHERE id = 1"), "")
}

func TestWindowIsLoadedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.manifest(process("mode: incremental_append") + "state:\n  window: day-1\n")
	first := w.run(m)
	second := w.run(m)
	assert.Equal(t, second.Result.CommitOutcome, "already_committed")
	assert.Equal(t, second.Result.ReceiptID, first.Result.ReceiptID)
	assert.Equal(t, second.Skipped, int64(1))
	w.same("TABLE orders", "TABLE orders")
	m.Description = "asks for nothing else"
	w.run(m)
	m.Sink.Options.Digest = "count"
	w.untouched("orders", func() { w.fails(m, "receipt.other_plan") })

	// A named window is one window, whatever the cursor says.
	cursor := w.manifest(options(process("mode: incremental_append\nunique_key: id"), "incremental_column: id") + "state:\n  window: day-2\n")
	w.run(cursor)
	w.src("INSERT INTO orders (id) VALUES (9000)")
	assert.Equal(t, w.run(cursor).Result.CommitOutcome, "already_committed")
}

func TestMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, create := range map[string]string{
		"unique index":       "id bigint PRIMARY KEY",
		"no unique index":    "id bigint",
		"another index, too": "other serial UNIQUE, id bigint NOT NULL UNIQUE",
		"index on more":      "id bigint, b int DEFAULT 1, UNIQUE (id, b)",
	} {
		t.Run(name, func(t *testing.T) {
			defer w.clear()
			w.src(orders)
			w.dst("CREATE TABLE orders (" + create + ", day date, note text, amount numeric(12,2), flag boolean, at timestamptz)")
			m := w.manifest(process("mode: incremental_merge\nunique_key: id"))
			assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 1000})
			before := strings.Split(w.versions("orders"), "\n")
			assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 1000})
			assert.DeepEqual(t, strings.Split(w.versions("orders"), "\n"), before)
			w.src("UPDATE orders SET note = NULL WHERE id = 1; UPDATE orders SET amount = NULL WHERE id = 2; INSERT INTO orders (id) VALUES (2000); DELETE FROM orders WHERE id = 3")
			assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 1, Updated: 2, Unchanged: 997})
			after := map[string]bool{}
			for _, v := range strings.Split(w.versions("orders"), "\n") {
				after[v] = true
			}
			kept := 0
			for _, v := range before {
				if after[v] {
					kept++
				}
			}
			assert.Equal(t, kept, 998) // all but the two that changed; the deleted one stays
			w.same("TABLE orders", "SELECT id, day, note, amount, flag, at FROM orders WHERE id <> 3")
		})
	}
}

func TestMergeRefusesBadKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (a int, b text, at date); INSERT INTO orders VALUES (1, 'x', '2026-01-01')")
	m := w.manifest(process("mode: incremental_merge\nunique_key: [a, b]"))
	w.run(m)
	w.src("INSERT INTO orders VALUES (2, NULL, NULL)")
	w.untouched("orders", func() {
		report := w.fails(m, "key.null")
		assert.Assert(t, is.Contains(report.Result.Errors[0], "1 rows"))
	})
	w.src("DELETE FROM orders WHERE b IS NULL; INSERT INTO orders VALUES (7, 'it''s', '2026-01-02'), (7, 'it''s', '2026-01-03'), (7, 'it''s', NULL)")
	w.untouched("orders", func() {
		report := w.fails(m, "key.duplicate")
		assert.Assert(t, is.Contains(report.Result.Errors[0], "7, it's"))
	})
	last := w.manifest(process("mode: incremental_merge\nunique_key: [a, b]\nduplicate_policy: last_by:at"))
	w.run(last)
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), "(1,x,2026-01-01)\n(7,it's,2026-01-03)")
	w.fails(w.manifest(process("mode: incremental_merge\nunique_key: [a, nothing]")), "column.missing")

	// A target that has a key twice has no row that could be meant.
	w.dst("ALTER TABLE orders DROP CONSTRAINT orders_pkey; INSERT INTO orders SELECT * FROM orders")
	w.untouched("orders", func() { w.fails(last, "target.duplicate_key") })
}

// TestMergeSeesEveryDifference changes one value at a time to one that compares as equal or has no comparison.
func TestMergeSeesEveryDifference(t *testing.T) {
	t.Parallel()
	cases := []struct{ column, before, after string }{
		{"numeric", "'1.0'", "'1.00'"},
		{"double precision", "'0'", "'-0'"},
		{"double precision", "'NaN'", "'1'"},
		{"real", "'-0'", "'0'"},
		{"json", `'{"a": 1}'`, `'{"a":1}'`},
		{"jsonb", `'{"a": 1.0}'`, `'{"a": 1.00}'`},
		{"xml", "'<a/>'", "'<b/>'"},
		{"point", "'(1,2)'", "'(1,3)'"},
		{"text", "''", "NULL"},
		{"interval", "'1 day'", "'24 hours'"},
		{"int[]", "'{1}'", "'[0:0]={1}'"},
		{"char(3)", "'a'", "'b'"},
		{"timetz", "'01:00+00'", "'02:00+01'"},
	}
	var columns, before []string
	for i, c := range cases {
		columns = append(columns, fmt.Sprintf("c%d %s", i, c.column))
		before = append(before, c.before)
	}
	for _, mode := range []string{"incremental_merge", "snapshot_diff", "scd2"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			values := strings.Join(before, ", ")
			w.src("CREATE TABLE orders (id int PRIMARY KEY, " + strings.Join(columns, ", ") + "); INSERT INTO orders VALUES (1, " + values + "); INSERT INTO orders VALUES (2, " + values + ")")
			m := w.manifest(process("mode: " + mode + "\nunique_key: id"))
			w.run(m)
			assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 2})
			for i, c := range cases {
				w.src(fmt.Sprintf("UPDATE orders SET c%d = %s WHERE id = 2", i, c.after))
				assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 1, Updated: 1}, "%s %s", c.column, c.after)
			}
			target := "SELECT to_jsonb(o) - '__dpone__valid_from_at' - '__dpone__valid_to_at' - '__dpone__is_current' - '__dpone__row_hash' AS o FROM orders o"
			if mode == "scd2" {
				target += " WHERE __dpone__is_current"
			}
			assert.Equal(t, rows(t, w.sink, target), rows(t, w.source, "SELECT to_jsonb(o) AS o FROM orders o"))
		})
	}
}

func TestMergeKeysThatLookDifferent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (k numeric, f double precision, v int); INSERT INTO orders VALUES (1.0, 0, 1), ('NaN', 'NaN', 2)")
	m := w.manifest(process("mode: incremental_merge\nunique_key: [k, f]"))
	w.run(m)
	w.src("UPDATE orders SET k = 1.00, f = '-0' WHERE v = 1")
	assert.Equal(t, w.run(m).Counters, connector.Counters{Updated: 1, Unchanged: 1})
	w.same("TABLE orders", "TABLE orders")
}

func TestMergeOfKeysAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (a int, b int); INSERT INTO orders VALUES (1, 1), (1, 2)")
	for _, mode := range []string{"incremental_merge", "snapshot_diff"} {
		m := w.manifest(process("mode: " + mode + "\nunique_key: [a, b]"))
		w.run(m)
		w.src("INSERT INTO orders SELECT max(a) + 1, 1 FROM orders")
		assert.Equal(t, w.run(m).Counters.Inserted, int64(1))
		w.same("TABLE orders", "TABLE orders")
		w.dst("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
		w.src("INSERT INTO orders SELECT max(a) + 1, 1 FROM orders")
		assert.Equal(t, w.run(m).Counters.Inserted, int64(1))
		w.same("TABLE orders", "TABLE orders")
		w.dst("ALTER TABLE orders ADD PRIMARY KEY (a, b)")
	}
}

func TestMergeIntoPartitionedTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	w.dst(`CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text, amount numeric(12,2), flag boolean, at timestamptz) PARTITION BY RANGE (id);
		CREATE TABLE o1 PARTITION OF orders FOR VALUES FROM (0) TO (500); CREATE TABLE o2 PARTITION OF orders DEFAULT`)
	for _, mode := range []string{"incremental_merge", "snapshot_diff"} {
		m := w.manifest(process("mode: " + mode + "\nunique_key: id"))
		w.run(m)
		w.same("TABLE orders", "TABLE orders")
		w.src("UPDATE orders SET note = note || '!' WHERE id IN (2, 999)")
		assert.Equal(t, w.run(m).Counters.Updated, int64(2), mode)
		w.same("TABLE orders", "TABLE orders")
	}
}

// TestMergePlanUsesTheIndex lets the server tell its plans: a small load must not read all of a big target.
func TestMergePlanUsesTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id bigint PRIMARY KEY, v int, note text); INSERT INTO orders SELECT i, i, 'n' FROM generate_series(1, 300) i")
	// A session tells its figures when it ends: those of the making must be told before, and
	// those of the run before they are looked at.
	maker := connect(t, w.sinkDSN)
	exec(t, maker, "CREATE TABLE orders (id bigint PRIMARY KEY, v int, note text); INSERT INTO orders SELECT i * 100, i, 'n' FROM generate_series(1, 100000) i; ANALYZE orders")
	w.dst(fmt.Sprintf("SELECT pg_terminate_backend(%d, 10000)", maker.PgConn().PID()))
	before := one(t, w.sink, "SELECT seq_scan::text FROM pg_stat_user_tables WHERE relname = 'orders'")
	w.run(w.manifest(process("mode: incremental_merge\nunique_key: id")))
	w.dst("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpone'")
	assert.Equal(t, one(t, w.sink, "SELECT seq_scan::text FROM pg_stat_user_tables WHERE relname = 'orders'"), before)
	assert.Assert(t, one(t, w.sink, "SELECT (idx_scan > 0)::text FROM pg_stat_user_tables WHERE relname = 'orders'") == "true")
	assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders"), "100297")
}

func TestMergeReconciles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, policy := range []string{"hard_delete", "soft_delete"} {
		w.clear()
		w.src(orders)
		m := w.manifest(process("mode: incremental_merge\nunique_key: id") + "reconciliation: {enabled: true, delete_policy: " + policy + ", guards: {max_delete_rows: 10, max_delete_ratio: 0.5}}\n")
		w.run(m)
		w.src("DELETE FROM orders WHERE id <= 5")
		report := w.run(m)
		assert.Equal(t, report.Counters.DeletedHard+report.Counters.DeletedSoft, int64(5))
		assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 995})
		w.src("INSERT INTO orders (id) VALUES (1)")
		report = w.run(m)
		if policy == "soft_delete" {
			assert.Equal(t, report.Counters, connector.Counters{Unchanged: 995, Reactivated: 1})
			assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders WHERE __dpone__deleted_at IS NOT NULL"), "4")
		}
		w.src("DELETE FROM orders WHERE id < 100")
		w.untouched("orders", func() { w.fails(m, "reconciliation.max_delete_rows") })
		w.src("DELETE FROM orders")
		w.untouched("orders", func() { w.fails(m, "reconciliation.empty_source") })
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	w.run(w.manifest(process("mode: full_refresh")))
	m := w.manifest(process("mode: replace\ncustom_predicate: \"day = date '2026-01-02' -- one day\""))
	w.src("DELETE FROM orders WHERE id < 10; INSERT INTO orders (id, day) VALUES (7001, '2026-01-02'), (7002, '2026-01-03')")
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 199, DeletedHard: 200})
	w.same("SELECT * FROM orders WHERE day = '2026-01-02'", "SELECT * FROM orders WHERE day = '2026-01-02'")
	assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders WHERE day <> '2026-01-02'"), "800")

	// The target sees another value than the source: the next run would not find the row again.
	w.dst("ALTER TABLE orders ALTER COLUMN note TYPE varchar(100); ALTER TABLE orders ADD COLUMN place text DEFAULT 'here'")
	w.fails(w.manifest(process("mode: replace\ncustom_predicate: \"place = 'here'\"")), "source.read")
	w.src("CREATE VIEW shifting AS SELECT id, CASE WHEN pg_backend_pid() = 0 THEN 1 ELSE 2 END AS v FROM orders")
	w.dst("CREATE TABLE shifting (id bigint, v int)")
	odd := strings.ReplaceAll(process("mode: replace\ncustom_predicate: \"v + (SELECT count(*) FROM pg_tables WHERE tablename = 'only_here') > 2\""), "name: orders}", "name: shifting}")
	w.src("CREATE TABLE only_here ()")
	w.untouched("shifting", func() { w.fails(w.manifest(odd), "replace.row_outside_predicate") })
}

func TestPartitionReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders + "UPDATE orders SET day = NULL WHERE id % 100 = 0")
	m := w.manifest(process("mode: partition_replace\npartition: {column: day}"))
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
	w.src("DELETE FROM orders WHERE day = '2026-01-03'; UPDATE orders SET note = 'n' WHERE day IS NULL")
	w.run(m)
	w.same("TABLE orders", "TABLE orders")

	w.src("UPDATE orders SET note = 'listed'")
	listed := w.manifest(process("mode: partition_replace\npartition: {column: day, values: ['2026-01-02', '2026-01-03', '2030-01-01']}"))
	report := w.run(listed)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 200, DeletedHard: 200})
	assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders WHERE note = 'listed'"), "200")

	few := w.manifest(process("mode: partition_replace\npartition: {column: day, max_partitions_per_run: 2}"))
	w.untouched("orders", func() { w.fails(few, "partition.too_many") })
	wrong := w.manifest(process("mode: partition_replace\npartition: {column: day, values: [yesterday]}"))
	w.untouched("orders", func() { w.fails(wrong, "partition.value") })

	// The source empties; every partition does.
	w.src("DELETE FROM orders")
	w.run(m)
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), "")

	// The partition column can be an enum, and new in the target.
	w.src("CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE TABLE moods (id int, m mood); INSERT INTO moods VALUES (1, 'sad'), (2, 'o''k')")
	w.dst("CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE TABLE moods (id int); INSERT INTO moods VALUES (3)")
	moods := strings.ReplaceAll(process("mode: partition_replace\npartition: {column: m}"), "name: orders}", "name: moods}")
	w.run(w.manifest(moods))
	assert.Equal(t, rows(t, w.sink, "TABLE moods"), "(1,sad)\n(2,o'k)")
	w.dst("ALTER TABLE moods ALTER COLUMN m TYPE mood USING m::mood")
	w.src("DELETE FROM moods WHERE id = 1; INSERT INTO moods VALUES (4, 'o''k')")
	w.run(w.manifest(moods))
	w.same("TABLE moods", "TABLE moods")
}

func TestSnapshotDiff(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"hard_delete", "soft_delete", "ignore"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.src(orders)
			m := w.manifest(process("mode: snapshot_diff\nunique_key: id\ndiff: {delete_policy: " + policy + "}"))
			assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 1000})
			before := w.versions("orders")
			assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 1000})
			assert.Equal(t, w.versions("orders"), before)
			w.src("DELETE FROM orders WHERE id IN (1, 2); UPDATE orders SET flag = NOT flag WHERE id = 10; INSERT INTO orders (id) VALUES (0)")
			want := connector.Counters{Inserted: 1, Updated: 1, Unchanged: 997}
			live := ""
			switch policy {
			case "hard_delete":
				want.DeletedHard = 2
			case "soft_delete":
				want.DeletedSoft, live = 2, " WHERE __dpone__deleted_at IS NULL"
			case "ignore":
				live = " WHERE id NOT IN (1, 2)"
			}
			assert.Equal(t, w.run(m).Counters, want)
			w.same("TABLE orders", "SELECT id, day, note, amount, flag, at FROM orders"+live)
			if policy != "soft_delete" {
				return
			}
			// The time is that of the first run that found the row gone.
			first := rows(t, w.sink, "SELECT id, __dpone__deleted_at FROM orders WHERE __dpone__deleted_at IS NOT NULL")
			assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 999})
			assert.Equal(t, rows(t, w.sink, "SELECT id, __dpone__deleted_at FROM orders WHERE __dpone__deleted_at IS NOT NULL"), first)
			// One comes back as it was, the other one changed.
			w.src("INSERT INTO orders SELECT 1, date '2026-01-02', '', 1.25, false, '2026-01-01 00:01+00'; INSERT INTO orders (id) VALUES (2)")
			assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 999, Reactivated: 2})
			w.same("TABLE orders", "SELECT id, day, note, amount, flag, at FROM orders"+live)
		})
	}
}

func TestSnapshotDiffOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.manifest(process("mode: snapshot_diff\nunique_key: id"))
	w.run(m)
	w.src("DELETE FROM orders")
	assert.Equal(t, w.run(m).Counters, connector.Counters{DeletedHard: 1000})
}

// TestHistory runs scd2 many times over a source that changes at random, beside a model of it.
func TestHistory(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"expire", "ignore"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.src("CREATE TABLE orders (k int, part text, v numeric, note text, PRIMARY KEY (k, part))")
			m := w.manifest(process("mode: scd2\nunique_key: [k, part]\nscd2: {delete_policy: " + policy + ", valid_from_column: since, valid_to_column: until, current_flag_column: \"is current\"}"))
			random := rand.New(rand.NewPCG(1, uint64(len(policy)))) //nolint:gosec // a test's
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			opts := w.options()
			opts.Now = func() time.Time { return now }
			type version struct{ value, from, to string }
			model, live := map[string][]version{}, map[string]string{}
			stamp := func() string { return now.Format("2006-01-02 15:04:05.000000+00") }
			for range 15 {
				for range 6 {
					key, part := random.IntN(6), []string{"a", ""}[random.IntN(2)]
					values := []string{"1,x", "1.0,x", "2,", ",", "NaN,y"}
					value := values[random.IntN(len(values))]
					id := fmt.Sprintf("%d,%s", key, part)
					w.src(fmt.Sprintf("DELETE FROM orders WHERE k = %d AND part = '%s'", key, part))
					delete(live, id)
					if random.IntN(3) > 0 {
						v, note, _ := strings.Cut(value, ",")
						w.src(fmt.Sprintf("INSERT INTO orders VALUES (%d, '%s', nullif('%s', '')::numeric, nullif('%s', ''))", key, part, v, note))
						live[id] = value
					}
				}
				now = now.Add(time.Duration(1+random.IntN(3)) * time.Millisecond)
				for id, versions := range model {
					last := &versions[len(versions)-1]
					value, there := live[id]
					if last.to == "" && (there && value != last.value || !there && policy == "expire") {
						last.to = stamp()
					}
				}
				for id, value := range live {
					versions := model[id]
					if len(versions) == 0 || versions[len(versions)-1].to != "" {
						model[id] = append(versions, version{value: value, from: stamp()})
					}
				}
				report, err := engine.Run(context.Background(), m, opts)
				assert.NilError(t, err)
				again, err := engine.Run(context.Background(), m, opts)
				if report.Counters.Inserted+report.Counters.Updated == 0 {
					assert.NilError(t, err) // nothing begins at this instant
					assert.Equal(t, again.Counters.Inserted+again.Counters.Updated+again.Counters.DeletedSoft, int64(0))
				}
				var want []string
				for id, versions := range model {
					for _, v := range versions {
						to := v.to
						if to == "" {
							to = "open"
						}
						want = append(want, fmt.Sprintf("%s|%s|%s|%s|%t", id, v.value, v.from, to, v.to == ""))
					}
				}
				got := rows(t, w.sink, `SELECT concat(k, ',', part, '|', v, ',', note, '|', to_char(since, 'YYYY-MM-DD HH24:MI:SS.US+00'), '|', coalesce(to_char(until, 'YYYY-MM-DD HH24:MI:SS.US+00'), 'open'), '|', CASE WHEN "is current" THEN 'true' ELSE 'false' END) FROM orders`)
				assert.DeepEqual(t, sorted(got), sortedList(want))
			}
			assert.Equal(t, one(t, w.sink, `SELECT count(*)::text FROM orders a JOIN orders b ON a.k = b.k AND a.part = b.part AND a.ctid < b.ctid
				AND tstzrange(a.since, a.until) && tstzrange(b.since, b.until)`), "0")
			assert.Equal(t, one(t, w.sink, `SELECT coalesce(max(n), 0)::text FROM (SELECT count(*) AS n FROM orders WHERE "is current" GROUP BY k, part) x`), "1")

			// A clock that goes back would make versions overlap.
			now = now.Add(-time.Hour)
			w.src("DELETE FROM orders; INSERT INTO orders VALUES (99, 'z', 1, NULL)")
			w.untouched("orders", func() {
				report, err := engine.Run(context.Background(), m, opts)
				assert.Equal(t, report.Result.ErrorCode, "scd2.clock", "%v", err)
			})
		})
	}
}

func TestHistoryNeedsItsOwnColumns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (k int PRIMARY KEY, since date)")
	w.fails(w.manifest(process("mode: scd2\nunique_key: k\nscd2: {valid_from_column: since}")), "column.reserved")
	w.src("ALTER TABLE orders RENAME COLUMN since TO __dpone__x")
	w.fails(w.manifest(process("mode: scd2\nunique_key: k")), "column.reserved")
}

// TestHistoryOfANewColumn adds a column: a row whose value in it is NULL has not changed.
func TestHistoryOfANewColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (k int PRIMARY KEY, v int); INSERT INTO orders VALUES (1, 1), (2, 2)")
	m := w.manifest(process("mode: scd2\nunique_key: k"))
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 2})
	w.src("ALTER TABLE orders ADD more text; UPDATE orders SET more = 'x' WHERE k = 2; ALTER TABLE orders ALTER v TYPE bigint")
	assert.Equal(t, w.run(m).Counters, connector.Counters{Updated: 1, Unchanged: 1})
	assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 2})
	assert.Equal(t, rows(t, w.sink, "SELECT k, v, more, __dpone__is_current FROM orders"), "(1,1,,t)\n(2,2,,f)\n(2,2,x,t)")

	// A table that somebody else made gets the history's columns and the index on what is current.
	w.dst("DROP TABLE orders; CREATE TABLE orders (k int, v bigint, more text)")
	assert.Equal(t, w.run(m).Counters, connector.Counters{Inserted: 2})
	_, err := w.sink.Exec(context.Background(), "INSERT INTO orders SELECT * FROM orders WHERE k = 1")
	assert.ErrorContains(t, err, "duplicate key")
}
