package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
)

// windows gives the chunks that have a receipt, without the campaign's name.
func (w *world) windows() string {
	w.t.Helper()
	return rows(w.t, w.sink, "SELECT regexp_replace(load_window, '^backfill:[^:]*:', '') FROM dpone.dpone_receipt")
}

func backfill(fields string) string { return process("mode: backfill\nbackfill: {" + fields + "}") }

func TestBackfillChunks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct{ typ, values, fields, chunks, left string }{
		"integers": {"int", "(1), (9), (10), (25), (-1)", "column: c, chunk_size: 10", "(-10..0)\n(0..10)\n(10..20)\n(20..30)", ""},
		"with from": {
			"int", "(1), (9), (10), (25), (-1)", "column: c, chunk_size: 10, from: 5",
			"(15..25)\n(25..35)\n(5..15)", "c < 5",
		},
		"with to":             {"int", "(1), (9), (10), (25), (-1)", "column: c, chunk_size: 10, to: 9", "(-10..0)\n(0..9)", "c >= 9"},
		"with both":           {"smallint", "(1), (9), (10), (25), (-1)", "column: c, chunk_size: 7, from: 0, to: 25", "(0..7)\n(14..21)\n(21..25)\n(7..14)", "c < 0 OR c >= 25"},
		"from beyond all":     {"int", "(1)", "column: c, chunk_size: 10, from: 5", "", "true"},
		"one wide chunk":      {"smallint", "(1), (-32768), (32767)", "column: c, chunk_size: 70000", "(-32768..0)\n(0..end)", ""},
		"extremes of int64":   {"bigint", "(0), (-9223372036854775808), (9223372036854775807)", "column: c, chunk_size: 9223372036854775807", "(-9223372036854775807..0)\n(-9223372036854775808..-9223372036854775807)\n(0..9223372036854775807)\n(9223372036854775807..end)", ""},
		"top of int64":        {"bigint", "(9223372036854775807), (9223372036854775799)", "column: c, chunk_size: 1000, from: 9223372036854775000", "(9223372036854775000..end)", ""},
		"below the top":       {"bigint", "(9223372036854775807), (9223372036854775799)", "column: c, chunk_size: 1000, from: 9223372036854775000, to: 9223372036854775800", "(9223372036854775000..9223372036854775800)", "c > 9223372036854775800"},
		"dates":               {"date", "('2026-01-01'), ('2026-01-31'), ('1999-12-31')", "column: c, chunk_size: 30d, from: '1999-12-15', to: '2000-02-01'", "(1999-12-15..2000-01-14)\n(2000-01-14..2000-02-01)", "c > '2020-01-01'"},
		"dates by the source": {"date", "('2026-01-01'), ('2026-01-09')", "column: c, chunk_size: 1w", "(2025-12-27..2026-01-03)\n(2026-01-03..2026-01-10)", ""},
		"timestamps":          {"timestamp", "('2026-01-01 01:00'), ('2026-01-01 13:00')", "column: c, chunk_size: 6h", "(\"2026-01-01 00:00:00..2026-01-01 06:00:00\")\n(\"2026-01-01 06:00:00..2026-01-01 12:00:00\")\n(\"2026-01-01 12:00:00..2026-01-01 18:00:00\")", ""},
		"nothing":             {"int", "(NULL)", "column: c, chunk_size: 10", "(null)", ""},
		"last of days":        {"date", "('5874897-12-31'), ('5874897-12-30')", "column: c, chunk_size: 10d", "(5874897-12-23..end)", ""},
		"first of days":       {"date", "('4714-11-24 BC')", "column: c, chunk_size: 10d", "(\"4714-11-24 BC..4714-11-29 BC\")", ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer w.clear()
			w.src("CREATE TABLE orders (c " + c.typ + ", note text DEFAULT 'n'); INSERT INTO orders VALUES " + c.values)
			if !strings.Contains(c.values, "NULL") {
				w.src("ALTER TABLE orders ALTER c SET NOT NULL")
			}
			m := w.manifest(backfill(c.fields))
			w.run(m)
			if c.chunks == "" {
				assert.Equal(t, one(t, w.sink, "SELECT to_regclass('orders')::text"), "NULL")
				return
			}
			assert.Equal(t, w.windows(), c.chunks)
			left := c.left
			if left == "" {
				left = "false"
			}
			w.same("SELECT * FROM orders WHERE ("+left+") IS NOT TRUE", "TABLE orders")
			again := w.run(m)
			assert.Equal(t, again.Counters, connector.Counters{})
			assert.Equal(t, again.Skipped, int64(strings.Count(c.chunks, "\n")+1))
		})
	}
}

func TestBackfillRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (c int, d date, n text); INSERT INTO orders VALUES (1, 'infinity', 'x'), (1000000000, '2026-01-01', 'y')")
	for fields, code := range map[string]string{
		"column: n, chunk_size: 10":                          "backfill.type",
		"column: d, chunk_size: 10":                          "backfill.chunk_size",
		"column: d, chunk_size: 6h":                          "backfill.chunk_size",
		"column: c, chunk_size: 1d":                          "backfill.chunk_size",
		"column: d, chunk_size: 1d":                          "backfill.infinite",
		"column: c, chunk_size: 1":                           "backfill.too_many",
		"column: c, chunk_size: 10, from: 99999999999":       "backfill.bound",
		"column: gone, chunk_size: 10":                       "column.missing",
		"column: d, chunk_size: 1d, from: 2026-01-01T00:00Z": "",
	} {
		if code != "" {
			report := w.fails(w.manifest(backfill(fields)), code)
			assert.Equal(t, len(report.Receipts), 0)
		}
	}
	assert.Equal(t, one(t, w.sink, "SELECT to_regclass('orders')::text"), "NULL")
}

// TestBackfillGoesOn fails in the middle, adds rows on both ends, and goes on.
func TestBackfillGoesOn(t *testing.T) {
	t.Parallel()
	for _, inner := range []string{"replace", "incremental_merge"} {
		t.Run(inner, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.src("CREATE TABLE orders (id int PRIMARY KEY, c int, note text); INSERT INTO orders SELECT i, i, 'a' FROM generate_series(101, 199) i; INSERT INTO orders VALUES (0, NULL, 'null')")
			m := w.manifest(process("mode: backfill\nunique_key: id\nbackfill: {column: c, chunk_size: 20, run_key: campaign, inner_mode: " + inner + "}"))
			opts := w.options()
			commits := 0
			opts.At = func(_ context.Context, p connector.Point) error {
				if p == connector.BeforeCommit {
					if commits++; commits == 3 {
						return errors.New("broken off")
					}
				}
				return nil
			}
			report, err := engine.Run(context.Background(), m, opts)
			assert.ErrorContains(t, err, "broken off")
			assert.Equal(t, len(report.Receipts), 2)
			assert.Equal(t, report.Counters.Inserted, int64(39))
			assert.Equal(t, w.windows(), "(100..120)\n(120..140)")
			assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM orders"), "39")

			w.src("INSERT INTO orders VALUES (90, 90, 'before'), (205, 205, 'after'); UPDATE orders SET note = 'late' WHERE c = 101")
			report = w.run(m)
			assert.Equal(t, report.Skipped, int64(2))
			assert.Equal(t, w.windows(), "(100..120)\n(120..140)\n(140..160)\n(160..180)\n(180..200)\n(200..220)\n(80..100)\n(null)")
			w.same("SELECT id, c, CASE WHEN c = 101 THEN 'a' ELSE note END FROM orders", "TABLE orders")
			assert.Equal(t, len(report.Receipts), 6)

			// A chunk that is loaded again under another campaign takes what is new.
			w.src("DELETE FROM orders WHERE c = 102")
			again := w.manifest(process("mode: backfill\nunique_key: id\nbackfill: {column: c, chunk_size: 20, from: 100, to: 140, run_key: other, inner_mode: " + inner + "}"))
			want := connector.Counters{Updated: 1, Unchanged: 37}
			if inner == "replace" {
				want = connector.Counters{Inserted: 38, DeletedHard: 39}
			}
			assert.Equal(t, w.run(again).Counters, want)
			other := w.manifest(process("mode: backfill\nunique_key: id\nbackfill: {column: c, chunk_size: 20, from: 100, to: 140, run_key: other, inner_mode: "+inner+"}\n") + "quality: {gates: [{type: min_rows, threshold: 1}]}\n")
			w.fails(other, "receipt.other_plan")
		})
	}
}

func TestBackfillGates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (c int NOT NULL, note text); INSERT INTO orders VALUES (1, 'a'), (11, NULL), (21, 'c')")
	m := w.manifest(backfill("column: c, chunk_size: 10") + "quality: {gates: [{type: not_null, columns: note}, {type: typed_hash_reconciliation}]}\n")
	report := w.fails(m, "DPONE_QUALITY_GATES_FAILED")
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), "(1,a)")
	assert.Assert(t, is.Contains(report.Result.Errors[0], "10..20"))
	w.src("UPDATE orders SET note = 'b' WHERE c = 11")
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
}
