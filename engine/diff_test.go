package engine_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/connector"
)

// A snapshot is compared in one join where the key has a unique index, and in two
// steps where it has none: both write what differs, and only that.
func TestSnapshotDiffComparesByKey(t *testing.T) {
	t.Parallel()
	for name, index := range map[string]string{"unique index": "CREATE UNIQUE INDEX ON items (a, b)", "no index": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.src(`CREATE TABLE items (a int, b text, v numeric, w json);
				INSERT INTO items SELECT i, 'k' || i % 3, i * 1.5, NULL FROM generate_series(1, 100) i`)
			w.dst(`CREATE TABLE items (a int, b text, v numeric, w json); ` + index)
			w.dst(`INSERT INTO items SELECT i, 'k' || i % 3, CASE WHEN i = 7 THEN 10.50 WHEN i = 9 THEN 0 ELSE i * 1.5 END, NULL FROM generate_series(1, 90) i;
				INSERT INTO items VALUES (1, 'gone', 1, NULL), (500, 'gone', 1, NULL), (NULL, 'no key', 1, NULL), (3, NULL, 1, NULL);
				CREATE TABLE before AS SELECT ctid AS place, a FROM items`)
			m := w.manifest("name: items_load\nsource:\n  SOURCE\n  table: {schema: public, name: items}\nsink:\n  SINK\n  table: {schema: public, name: items}\n  strategy: {mode: snapshot_diff, unique_key: [a, b]}\n")
			report := w.run(m)
			// 10.50 and 10.5 are not the same row.
			assert.Equal(t, report.Counters, connector.Counters{Inserted: 10, Updated: 2, Unchanged: 88, DeletedHard: 4})
			w.same("TABLE items", "SELECT a, b, v, w FROM items")
			assert.Equal(t, rows(t, w.sink, "SELECT count(*) FROM items JOIN before ON place = items.ctid AND before.a = items.a"), "(88)")
			again := w.run(m)
			assert.Equal(t, again.Counters, connector.Counters{Unchanged: 100})
		})
	}
}

// Tables that lie in the order of the key are joined along it, and those that do not by hash; the result is one.
func TestSnapshotDiffInOrderOfKey(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]string{"in order": "i", "in another order": "i * 7919 % 3001"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			const columns = "(id int PRIMARY KEY, v text)"
			w.src("CREATE TABLE items " + columns + "; INSERT INTO items SELECT i, 'v' || i FROM generate_series(1, 3000) i ORDER BY " + order)
			w.dst("CREATE TABLE items " + columns + "; INSERT INTO items SELECT i, CASE WHEN i % 1000 = 0 THEN 'old' ELSE 'v' || i END FROM generate_series(11, 3005) i ORDER BY " + order + "; ANALYZE items")
			m := w.manifest("name: items_load\nsource:\n  SOURCE\n  table: {schema: public, name: items}\nsink:\n  SINK\n  table: {schema: public, name: items}\n  strategy: {mode: snapshot_diff, unique_key: id}\n")
			report := w.run(m)
			assert.Equal(t, report.Counters, connector.Counters{Inserted: 10, Updated: 3, Unchanged: 2987, DeletedHard: 5})
			w.same("TABLE items", "TABLE items")
			assert.Equal(t, w.run(m).Counters, connector.Counters{Unchanged: 3000})
		})
	}
}
