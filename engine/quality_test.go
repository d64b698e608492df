package engine_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
)

// TestGates shows each gate green and red, over the load and over the target, and
// for the red ones that nothing is left behind.
func TestGates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int PRIMARY KEY, kind text, at timestamptz, day date, doc json); INSERT INTO orders VALUES (1, 'a', now() - interval '1 hour', current_date, '{}'), (2, 'a', now() - interval '3 days', NULL, NULL)")
	w.dst("CREATE TABLE orders (id int PRIMARY KEY, kind text, at timestamptz, day date, doc json); INSERT INTO orders VALUES (7, NULL, NULL, NULL, NULL)")
	for _, c := range []struct{ gate, green, red, message string }{
		{"type: row_count_reconciliation", "", "side: target", "2 rows were read and 3 are there"},
		{"type: row_count_reconciliation, side: target", "tolerance: {mode: pct, value: 50}", "tolerance: {mode: pct, value: 49}", "they may differ"},
		{"type: min_rows", "threshold: 2", "threshold: 3", "2 rows, at least 3"},
		{"type: min_rows, side: target", "threshold: 3", "threshold: 4", "3 rows, at least 4"},
		{"type: not_null", "columns: kind", "columns: [kind, day]", "1 rows have NULL in kind or day"},
		{"type: not_null, columns: kind", "", "side: target", "1 rows"},
		{"type: unique", "columns: id", "columns: kind", "1 values of (kind) come more than once"},
		{"type: unique, side: target", "columns: [id, kind]", "columns: kind", "1 values"},
		{"type: accepted_values, columns: kind", "values: [a, b]", "values: [\"it's\"]", "2 rows have another value in kind"},
		{"type: accepted_values, columns: id", "values: [1, 2]", "values: [1]", "1 rows"},
		{"type: freshness, columns: at", "max_age: 2h", "max_age: 30m", "the newest \"at\" is"},
		{"type: freshness, side: target, columns: day", "max_age: 2d", "max_age: 1s", "older than 1s"},
		{"type: custom_sql, id: c", "sql: 'SELECT count(*) - 2 FROM {load} -- rows'", "sql: 'SELECT count(*) FROM {target}'", "the statement gave 3, not 0"},
		{"type: custom_sql, id: c, sql: 'SELECT max(id) FROM {target};'", "threshold: 7", "threshold: 6", "gave 7, not 6"},
		{"type: typed_hash_reconciliation", "", "", ""},
	} {
		manifest := func(more string) string {
			if more != "" && c.gate != "" {
				more = ", " + more
			}
			return process("mode: incremental_merge\nunique_key: id") + "quality:\n  gates:\n    - {" + c.gate + more + "}\n"
		}
		w.dst("BEGIN")
		w.dst("ROLLBACK")
		if c.message != "" {
			w.untouched("orders", func() {
				report := w.fails(w.manifest(manifest(c.red)), "DPONE_QUALITY_GATES_FAILED")
				assert.Assert(t, is.Contains(report.Result.Errors[0], c.message))
				assert.Equal(t, report.Gates[0].Status, "failed")
				assert.Equal(t, report.Result.QualityGates.Passed, false)
				assert.Equal(t, report.Counters, connector.Counters{})
			})
			warning := w.run(w.manifest(manifest(c.red + map[bool]string{true: ", "}[c.red != ""] + "severity: warning")))
			assert.Equal(t, warning.Gates[0].Status, "failed")
			assert.Equal(t, warning.Result.QualityGates.Passed, true)
			assert.Assert(t, is.Contains(strings.Join(warning.Warnings, "\n"), c.message))
			w.dst("DELETE FROM orders WHERE id < 7; DELETE FROM dpone.dpone_receipt")
		}
		report := w.run(w.manifest(manifest(c.green)))
		assert.Equal(t, report.Gates[0].Status, "passed", c.gate)
		w.dst("DELETE FROM orders WHERE id < 7; DELETE FROM dpone.dpone_receipt")
	}

	for gate, code := range map[string]string{
		"{type: not_null, columns: gone}":                               "gate.column",
		"{type: accepted_values, columns: id, values: [x]}":             "gate.value",
		"{type: custom_sql, id: c, sql: SELECT nothing}":                "gate.sql",
		"{type: custom_sql, id: c, sql: SELECT NULL}":                   "DPONE_QUALITY_GATES_FAILED",
		"{type: freshness, columns: kind, max_age: 1d}":                 "gate.column",
		"{type: typed_hash_reconciliation, side: target}":               "gate.side",
		"{type: unique, columns: doc}":                                  "gate.column",
		"{type: custom_sql, id: c, sql: 'SELECT 1); DROP TABLE x; --'}": "gate.sql",
	} {
		w.untouched("orders", func() {
			w.fails(w.manifest(process("mode: incremental_merge\nunique_key: id")+"quality:\n  gates:\n    - "+gate+"\n"), code)
		})
	}
}

// TestRedGateUndoesTheColumns shows that changes of the target belong to the load.
func TestRedGateUndoesTheColumns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, strategy := range []string{"mode: full_refresh", swap, "mode: incremental_merge\nunique_key: id", "mode: scd2\nunique_key: id"} {
		w.clear()
		w.src("CREATE TABLE orders (id int PRIMARY KEY, added text); INSERT INTO orders VALUES (1, 'x')")
		m := w.manifest(process(strategy) + "quality:\n  gates:\n    - {type: min_rows, threshold: 2}\n")
		w.fails(m, "DPONE_QUALITY_GATES_FAILED")
		assert.Equal(t, one(t, w.sink, "SELECT to_regclass('orders')::text"), "NULL")
		w.dst("CREATE TABLE orders (id smallint PRIMARY KEY); INSERT INTO orders VALUES (5)")
		w.untouched("orders", func() { w.fails(m, "DPONE_QUALITY_GATES_FAILED") })
	}
}

func TestSchemaEvolution(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	evolve := func(mode, strategy string) string {
		return strings.Replace(process(strategy), "  strategy:", "  options: {schema_evolution: {mode: "+mode+"}}\n  strategy:", 1)
	}
	strategies := []string{"mode: incremental_merge\nunique_key: id", "mode: full_refresh", swap}
	turn := 0 // each case meets each strategy in one of its modes
	for name, c := range map[string]struct {
		source, target string
		needs          string // the least mode that takes it, empty when none does
		told           string
	}{
		"same":               {"v int", "v int", "strict", ""},
		"fits":               {"v int", "v bigint", "strict", ""},
		"new column":         {"v int, n text", "v int", "additive", `column "n" is new`},
		"wider integer":      {"v bigint", "v smallint", "widening", `column "v" is int64 in the source and only int16`},
		"wider text":         {"v text", "v varchar(3)", "widening", "only text"},
		"wider numeric":      {"v numeric(12,2)", "v numeric(10,2)", "widening", "only numeric(10,2)"},
		"more digits":        {"v timestamptz", "v timestamptz(0)", "widening", "would round"},
		"a name":             {"v text", "v name", "widening", "would round"},
		"other scale":        {"v numeric(12,4)", "v numeric(12,2)", "", `column "v" is numeric(12,4) in the source and numeric(12,2)`},
		"other type":         {"v text", "v int", "", `column "v" is text in the source and int32 in the target`},
		"text to characters": {"v text", "v char(5)", "", "character(5)"},
		"gone":               {"w int", "w int, v int", "", `column "v" of the target is gone`},
		"needs a value":      {"w int", "w int, v int NOT NULL", "", `column "v" of the target needs a value`},
		"has a default":      {"w int", "w int, v int NOT NULL DEFAULT 3", "strict", ""},
		"computed":           {"w int", "w int, v int GENERATED ALWAYS AS (w + 1) STORED", "strict", ""},
		"computed on both":   {"w int, v int GENERATED ALWAYS AS (w + 1) STORED", "w int, v int GENERATED ALWAYS AS (w + 2) STORED", "strict", ""},
		"generated source":   {"w int, v int GENERATED ALWAYS AS (w + 1) STORED", "w int, v int", "strict", ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.clear()
			w.src("CREATE TABLE orders (id int PRIMARY KEY, " + c.source + "); INSERT INTO orders (id) VALUES (1), (2)")
			ranks := map[string]int{"strict": 0, "additive": 1, "widening": 2, "": 3}
			for mode, rank := range ranks {
				if mode == "" {
					continue
				}
				strategy := strategies[turn%3]
				turn++
				w.dst("DROP TABLE IF EXISTS orders; CREATE TABLE orders (id int PRIMARY KEY, " + c.target + ")")
				m := w.manifest(evolve(mode, strategy))
				if rank < ranks[c.needs] {
					w.untouched("orders", func() {
						report := w.fails(m, "schema.breaking")
						assert.Assert(t, is.Contains(report.Result.Errors[0], c.told))
					})
					continue
				}
				report := w.run(m)
				assert.Equal(t, report.Counters.Inserted, int64(2))
				assert.Equal(t, len(report.Schema) > 0, ranks[c.needs] > 0)
				assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders"), "2")
			}
		})
	}
}

// TestWidenedValues loads values that only the widened column holds, in the same transaction.
func TestWidenedValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int PRIMARY KEY, n bigint, v text, at timestamp); INSERT INTO orders VALUES (1, 9000000000, repeat('x', 100), '2026-01-01 00:00:00.123456')")
	for _, strategy := range []string{"mode: incremental_merge\nunique_key: id", "mode: full_refresh", swap, "mode: snapshot_diff\nunique_key: id", "mode: replace\ncustom_predicate: id > 0"} {
		w.dst("DROP TABLE IF EXISTS orders; CREATE TABLE orders (id int PRIMARY KEY, n int, v varchar(9), at timestamp(0)); INSERT INTO orders VALUES (1, 2, 'y', NULL)")
		w.run(w.manifest(process(strategy) + "quality: {gates: [{type: typed_hash_reconciliation}]}\n"))
		w.same("TABLE orders", "TABLE orders")
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int NOT NULL, v numeric(10,2), n text); INSERT INTO orders VALUES (1, 1, 'x'), (2, NULL, 'y')")
	contract := func(text string) string {
		return strings.Replace(process("mode: full_refresh"), "  strategy:", "  options: {schema_contract: {"+text+"}}\n  strategy:", 1)
	}
	w.run(w.manifest(contract("columns: [{name: id, type: int32, nullable: false}, {name: v, type: \"numeric(10,2)\"}]")))
	for text, want := range map[string][2]string{
		"columns: [{name: gone, type: text}]":                                    {"contract.broken", `column "gone" is missing`},
		"columns: [{name: id, type: int64}]":                                     {"contract.broken", `column "id" is int32, not int64`},
		"extra: fail, columns: [{name: id, type: int32}, {name: n, type: text}]": {"contract.broken", `column "v" is not in the contract`},
		"columns: [{name: v, type: \"numeric(10,2)\", nullable: false}]":         {"DPONE_QUALITY_GATES_FAILED", "contract.not_null.v"},
	} {
		w.untouched("orders", func() {
			report := w.fails(w.manifest(contract(text)), want[0])
			assert.Assert(t, is.Contains(report.Result.Errors[0], want[1]))
		})
	}
}

// TestCorruptionIsLocated lets a trigger of the target spoil rows of the load.
func TestCorruptionIsLocated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		strategy, spoil string
		metrics         map[string]string
	}{
		"value": {"mode: full_refresh\nunique_key: id", "NEW.note := CASE WHEN NEW.id IN (77, 500) THEN 'spoilt' ELSE NEW.note END; RETURN NEW", map[string]string{"differing": "id=77; id=500", "differences_at_least": "2", "samples_complete": "true"}},
		"key":   {"mode: full_refresh\nunique_key: id", "NEW.id := CASE WHEN NEW.id = 77 THEN 7700 ELSE NEW.id END; RETURN NEW", map[string]string{"only_read": "id=77", "only_there": "id=7700"}},
		"no key": {"mode: full_refresh", "NEW.flag := CASE WHEN NEW.id = 9 THEN NULL ELSE NEW.flag END; RETURN NEW", map[string]string{
			"only_read":  "id=9, day=2026-01-05, note=note 9, amount=11.25, flag=false, at=2026-01-01 00:09:00+00",
			"only_there": "id=9, day=2026-01-05, note=note 9, amount=11.25, flag=NULL, at=2026-01-01 00:09:00+00",
		}},
		"many":  {"mode: full_refresh\nunique_key: id", "NEW.amount := 0; RETURN NEW", map[string]string{"samples_complete": "false", "unequal_buckets": "250"}},
		"merge": {"mode: incremental_merge\nunique_key: id", "NEW.note := CASE WHEN NEW.id IN (77, 500) THEN 'spoilt' ELSE NEW.note END; RETURN NEW", map[string]string{"differing": "id=77; id=500"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.clear()
			w.src(orders)
			w.dst("CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text, amount numeric(12,2), flag boolean, at timestamptz); INSERT INTO orders (id) VALUES (-1);" +
				"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + c.spoil + "; END $$; CREATE TRIGGER spoil BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION spoil()")
			m := w.manifest(options(process(c.strategy), "custom_predicate: id > 0") + "quality: {gates: [{type: typed_hash_reconciliation}]}\n")
			w.untouched("orders", func() {
				report := w.fails(m, "DPONE_QUALITY_GATES_FAILED")
				for k, v := range c.metrics {
					got := report.Gates[0].Metrics[k]
					if k == "unequal_buckets" {
						n, err := strconv.Atoi(got)
						assert.NilError(t, err)
						assert.Assert(t, n > 200)
						continue
					}
					assert.DeepEqual(t, sortedList(strings.Split(got, "; ")), sortedList(strings.Split(v, "; ")))
				}
				assert.Equal(t, len(report.Warnings), 0, "%v", report.Warnings)
			})
			w.dst("DROP TRIGGER spoil ON orders")
			w.run(m)
		})
	}
}

// TestReadersSeeTheLoadAtOnce looks at the target while gates are evaluated.
func TestReadersSeeTheLoadAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.manifest(process("mode: incremental_merge\nunique_key: id"))
	w.dst("CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text, amount numeric(12,2), flag boolean, at timestamptz)")
	opts := w.options()
	opts.At = func(_ context.Context, p connector.Point) error {
		if p == connector.BeforeCommit {
			assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders"), "0")
		}
		return nil
	}
	opts.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC) }
	report, err := engine.Run(context.Background(), m, opts)
	assert.NilError(t, err)
	assert.Equal(t, report.StartedAt, "2026-01-02T03:04:05.000006Z")
	assert.Equal(t, one(t, w.sink, "SELECT committed_at FROM dpone.dpone_receipt"), "2026-01-02T03:04:05.000006Z")
}
