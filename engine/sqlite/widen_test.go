package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func TestRedeclare(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{`CREATE TABLE t (a)`, "a", `CREATE TABLE t (a NEW)`},
		{`CREATE TABLE t(a INT,b INT)`, "B", `CREATE TABLE t(a INT,b NEW)`},
		{`CREATE TABLE "a" ("a" VARCHAR ( 10 ) NOT NULL, b)`, "a", `CREATE TABLE "a" ("a" NEW NOT NULL, b)`},
		{"CREATE TABLE t (`a``b` DECIMAL(10,2) DEFAULT (1), [c d] X Y Z)", "c d", "CREATE TABLE t (`a``b` DECIMAL(10,2) DEFAULT (1), [c d] NEW)"},
		{"CREATE TABLE t (`a``b` DECIMAL(10,2) DEFAULT (1), [c d] X Y Z)", "a`b", "CREATE TABLE t (`a``b` NEW DEFAULT (1), [c d] X Y Z)"},
		{`CREATE TABLE t (x INT /* , a TEXT */, a INT -- )` + "\n" + `CHECK (a > 0), CHECK (x IN (1, 2)))`, "a", `CREATE TABLE t (x INT /* , a TEXT */, a NEW -- )` + "\n" + `CHECK (a > 0), CHECK (x IN (1, 2)))`},
		{`CREATE TABLE t ("check" INT16, CHECK ("check" > 1))`, "check", `CREATE TABLE t ("check" NEW, CHECK ("check" > 1))`},
		{`CREATE TABLE t (x TEXT DEFAULT 'a INT, (', a INT)`, "a", `CREATE TABLE t (x TEXT DEFAULT 'a INT, (', a NEW)`},
	} {
		got, err := redeclare(c[0], c[1], "NEW")
		assert.NilError(t, err, c[0])
		assert.Equal(t, got, c[2])
	}
	for _, wrong := range []string{"", "CREATE TABLE t (b INT)", `CREATE TABLE t ("a INT)`, "CREATE TABLE a AS SELECT 1"} {
		_, err := redeclare(wrong, "a", "NEW")
		assert.Assert(t, err != nil, wrong)
	}
}

// Whatever table SQLite takes, a change of one column's type changes nothing else.
func FuzzRedeclare(f *testing.F) {
	for _, seed := range []string{
		"a INT, b TEXT", `"x y" VARCHAR(3) NOT NULL PRIMARY KEY, a b c DEFAULT (1, 2)`, "a /* , */ INT CHECK (a > 1), UNIQUE (a)", "[a] -- x\n,b REFERENCES t (a)",
		"a INT COLLATE NOCASE, b AS (a + 1)", "a UNIQUE, CONSTRAINT b CHECK (a)", "a 'INT', b",
	} {
		f.Add(seed)
	}
	ctx := context.Background()
	s, err := open(ctx, filepath.Join(f.TempDir(), "fuzz.db"), "rwc", time.Second)
	assert.NilError(f, err)
	f.Cleanup(func() { _ = s.close() })
	f.Fuzz(func(t *testing.T, definition string) {
		_, err := s.Exec(ctx, "BEGIN; CREATE TABLE main.t ("+definition+"\n)")
		defer func() { _, _ = s.Exec(ctx, "ROLLBACK") }()
		if err != nil {
			return
		}
		before, err := describeTable(ctx, s, "t")
		if err != nil || before == nil || before.kind != "table" {
			return
		}
		var sql string
		assert.NilError(t, s.one(ctx, &sql, "SELECT sql FROM main.sqlite_schema WHERE name = 't'"))
		for i, c := range before.Columns {
			changed, err := redeclare(sql, c.Name, "NEW_TYPE(1,2)")
			if err != nil || c.Generated {
				continue // refused
			}
			_, err = s.Exec(ctx, "DROP TABLE main.t; "+changed)
			assert.NilError(t, err, "%s\n%s", sql, changed)
			after, err := describeTable(ctx, s, "t")
			assert.NilError(t, err)
			assert.Equal(t, len(after.Columns), len(before.Columns), changed)
			for j := range after.Columns {
				want := before.Columns[j].Native
				if i == j {
					want = "NEW_TYPE(1,2)"
				}
				assert.Equal(t, after.Columns[j].Native, want, changed)
			}
			_, err = s.Exec(ctx, "DROP TABLE main.t; "+sql)
			assert.NilError(t, err)
		}
	})
}
