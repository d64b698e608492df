package replication

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/postgres/pgtest"
)

const large = "repeat('x', 5000) || md5(random()::text)"

func TestChanges(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"insert":                    `INSERT INTO t VALUES (10, 'a', ` + large + `, '\x00', 'NaN', '-0', 'infinity', '{"a": 1}'), (11, '', NULL, NULL, 1.00, 'NaN', '-infinity', '[]')`,
		"update":                    `UPDATE t SET a = 'new' WHERE id = 1; UPDATE t SET n = 1.10 WHERE id = 2`,
		"delete":                    `DELETE FROM t WHERE id = 1`,
		"delete and insert":         `DELETE FROM t WHERE id = 1; INSERT INTO t (id, a) VALUES (1, 'again')`,
		"insert and delete":         `INSERT INTO t (id) VALUES (12); DELETE FROM t WHERE id = 12`,
		"unchanged":                 `UPDATE t SET a = 'z' WHERE id = 1`,
		"unchanged, another mask":   `UPDATE t SET a = 'z', big = 'small' WHERE id = 1; UPDATE t SET a = 'z' WHERE id = 2; UPDATE t SET big2 = NULL WHERE id = 3`,
		"unchanged after changed":   `UPDATE t SET big = ` + large + ` WHERE id = 1; UPDATE t SET a = 'z' WHERE id = 1`,
		"unchanged, then both":      `UPDATE t SET a = 'z' WHERE id = 1; UPDATE t SET big = ` + large + `, big2 = '\x01' WHERE id = 1`,
		"unchanged after insert":    `INSERT INTO t (id, big) VALUES (13, ` + large + `); UPDATE t SET a = 'z' WHERE id = 13`,
		"unchanged, then deleted":   `UPDATE t SET a = 'z' WHERE id = 1; DELETE FROM t WHERE id = 1`,
		"key":                       `UPDATE t SET id = 20 WHERE id = 4`,
		"key, unchanged":            `UPDATE t SET id = 20, a = 'k' WHERE id = 1`,
		"key, there and back":       `UPDATE t SET id = 20 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 20`,
		"key, chain":                `UPDATE t SET id = 20 WHERE id = 1; UPDATE t SET id = 21 WHERE id = 20; UPDATE t SET a = 'c' WHERE id = 21`,
		"key, taken":                `UPDATE t SET id = 20 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2`,
		"key, swapped":              `BEGIN; UPDATE t SET id = 20 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 20; COMMIT`,
		"key, inserted again":       `UPDATE t SET id = 20 WHERE id = 1; INSERT INTO t (id, a) VALUES (1, 'n')`,
		"key after partial":         `UPDATE t SET a = 'p' WHERE id = 1; UPDATE t SET id = 20 WHERE id = 1`,
		"key after change of large": `UPDATE t SET big = 'p', big2 = '\x02' WHERE id = 1; UPDATE t SET id = 20 WHERE id = 1`,
		"key, then complete":        `UPDATE t SET id = 20 WHERE id = 1; UPDATE t SET big = 'p', big2 = '\x02' WHERE id = 20`,
		"key, then deleted":         `UPDATE t SET id = 20 WHERE id = 1; DELETE FROM t WHERE id = 20`,
		"shift":                     `UPDATE t SET id = 5 WHERE id = 4; UPDATE t SET id = 4 WHERE id = 3; UPDATE t SET id = 3 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 1`,
		"rolled back":               `BEGIN; DELETE FROM t; ROLLBACK`,
		"savepoint":                 `BEGIN; INSERT INTO t (id) VALUES (30); SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; INSERT INTO t (id) VALUES (31); COMMIT`,
		"truncate":                  `UPDATE t SET a = 'before'; TRUNCATE t; INSERT INTO t (id, a) VALUES (1, 'after')`,
		"truncate alone":            `TRUNCATE t`,
	}
	const fill = "DELETE FROM t; INSERT INTO t SELECT i, 'a' || i, " + large + ", sha256('x') || decode(repeat('ab', 4000), 'hex'), i / 3.0, 'NaN', now(), '{\"k\": [1, null]}' FROM generate_series(1, 4) i"
	for identity, binary := range map[string]bool{"DEFAULT": true, "FULL": false} {
		t.Run(fmt.Sprintf("identity %s, binary %v", identity, binary), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, pgtest.Database(t), create+";ALTER TABLE t REPLICA IDENTITY "+identity+";"+fill)
			r.o.Binary, r.o.Truncate = binary, "apply"
			assert.NilError(t, r.run())
			r.same()
			for name, statements := range cases {
				t.Run(name, func(t *testing.T) {
					r.t = t
					r.exec(fill)
					assert.NilError(t, r.run())
					r.exec(statements)
					assert.NilError(t, r.run())
					r.same()
				})
			}
			r.t = t
		})
	}
}
