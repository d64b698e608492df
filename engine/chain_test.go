package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/manifest"
)

const everyKind = `CREATE TABLE kinds (id int PRIMARY KEY, b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
	n numeric, n2 numeric(12,2), t text, v varchar(20), y bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, j json, jb jsonb);
INSERT INTO kinds VALUES
 (1, true, -32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'NaN', 0.00, '', '', '', '0044-03-15 BC', '00:00', '-infinity', '-infinity', '-1 mons +2 days -03:04:05.678', '00000000-0000-0000-0000-000000000000', '{"a": 1, "a": 2}', '{"b": [1, 2.50, null]}'),
 (2, false, 32767, 2147483647, 9223372036854775807, '-0', '-0', 1.00, -1.25, E'a"b,c\nd\te\\', 'ünïcode ž', '\x00ff0a', '9999-12-31', '23:59:59.999999', '2026-11-22 10:00:00.000001', '2026-11-22 10:00:00+05', '24:00:00', 'ffffffff-ffff-ffff-ffff-ffffffffffff', ' [1] ', '"x"'),
 (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (4, true, 0, 0, 0, 'infinity', '-infinity', 12345678901234567890.123456789012345678901234567890, 9999999999.99, 'null', 'NULL', 'null', '2026-02-28', '12:00', '1999-12-31 23:59:59.5', '2000-01-01', '1 day', '12345678-1234-1234-1234-123456789abc', 'null', 'null');
INSERT INTO kinds SELECT i, i % 2 = 0, i, i * 1000, i::bigint * 10000000000, i / 3.0, i / 7.0, i / 1000.0, i / 100.0, 'text ' || i, 'v' || i, decode(lpad(to_hex(i), 8, '0'), 'hex'),
 date '2026-01-01' + i, time '00:00' + i * interval '1 second', timestamp '2026-01-01' + i * interval '1 hour', timestamptz '2026-01-01' + i * interval '1 hour', i * interval '1 minute',
 md5(i::text)::uuid, json_build_object('i', i), jsonb_build_object('i', i) FROM generate_series(5, 3000) i;`

// TestChain moves every kind of value through all families and back. Each hop must
// read and leave rows of the same digest, and the end must equal the beginning.
func TestChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(everyKind)
	dir := t.TempDir()
	pg := func(side string) string {
		return "type: postgres\n  connection: {dsn: \"env:" + side + "_DSN\"}\n  table: {name: kinds}"
	}
	lite := "type: sqlite\n  path: " + filepath.Join(dir, "kinds.db") + "\n  table: {name: kinds}"
	folder := func(name string) string { return "type: file\n  path: " + filepath.Join(dir, name) }
	sink := func(base, format string) string { return base + "\n  options: {format: " + format + "}" }
	hops := []struct{ name, source, sink string }{
		{"postgres to sqlite", pg("SOURCE"), lite},
		{"sqlite to csv", lite, sink(folder("csv"), "csv, compression: zstd")},
		{"csv to jsonl", folder("csv"), sink(folder("jsonl"), "jsonl, compression: gzip")},
		{"jsonl to sqlite", folder("jsonl"), strings.Replace(lite, "name: kinds", "name: again", 1)},
		{"sqlite to postgres", strings.Replace(lite, "name: kinds", "name: again", 1), pg("SINK")},
	}
	digest := ""
	for i, hop := range hops {
		text := fmt.Sprintf("name: hop_%02d\nsource:\n  %s\nsink:\n  %s\n  strategy: {mode: full_refresh, unique_key: id}\nquality: {gates: [{type: typed_hash_reconciliation}, {type: row_count_reconciliation, side: target}]}\n", i, hop.source, hop.sink)
		m, err := manifest.Parse(hop.name, []byte(text))
		assert.NilError(t, err)
		report, err := engine.Run(context.Background(), m, w.options())
		assert.NilError(t, err, hop.name)
		if digest == "" {
			digest = report.Digest.Value
		}
		assert.Equal(t, report.Digest.Value, digest, hop.name)
	}
	w.same("TABLE kinds", "TABLE kinds")
}
