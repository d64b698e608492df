package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/manifest"
)

// TestFewRights runs as roles that may do no more than they need: read some columns
// of the source, and write one table and the receipts of the target.
func TestFewRights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := one(t, w.sink, "SELECT current_database()::text") + "_few"
	quoted := pgx.Identifier{role}.Sanitize()
	w.t.Cleanup(func() {
		exec(t, connect(t, w.sourceDSN), "DROP OWNED BY "+quoted+"; DROP ROLE "+quoted)
	})
	w.t.Cleanup(func() { exec(t, connect(t, w.sinkDSN), "DROP OWNED BY "+quoted) })
	w.src("CREATE ROLE " + quoted + " LOGIN; CREATE TABLE orders AS SELECT i AS id, 'n' || i AS note, 'secret' AS hidden FROM generate_series(1, 100) i; GRANT SELECT (id, note) ON orders TO " + quoted + "; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
	w.dst("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE TABLE orders (id int PRIMARY KEY, note text)")
	as := func(conn *pgx.Conn) string {
		c := conn.Config()
		return "host=" + c.Host + " port=" + strings.TrimPrefix(one(t, conn, "SHOW port"), ":") + " dbname=" + c.Database + " user=" + role
	}
	opts := w.options()
	opts.Secret = func(ref manifest.Secret) (string, error) {
		if ref == "env:SOURCE_DSN" {
			return as(w.source), nil
		}
		return as(w.sink), nil
	}
	run := func(text string) (engine.Report, error) {
		return engine.Run(context.Background(), w.manifest(text), opts)
	}
	merge := options(process("mode: incremental_merge\nunique_key: id"), "columns: [id, note]")
	report, err := run(merge)
	if err != nil && strings.Contains(err.Error(), "authentication") {
		t.Skip("the server does not let this role in: ", err)
	}
	assert.Equal(t, report.Result.ErrorCode, "state.create", "%v", err)
	w.run(w.manifest(merge)) // somebody with more rights makes the tables once
	w.dst("GRANT USAGE ON SCHEMA dpone TO " + quoted + "; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA dpone TO " + quoted + "; GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO " + quoted)
	w.src("UPDATE orders SET note = 'changed' WHERE id = 1")
	for _, strategy := range []string{"mode: incremental_merge\nunique_key: id", "mode: snapshot_diff\nunique_key: id", "mode: replace\ncustom_predicate: id > 0", "mode: incremental_append\nunique_key: id\nonly_new_rows: true"} {
		_, err := run(options(process(strategy), "columns: [id, note]") + "quality: {gates: [{type: typed_hash_reconciliation, side: load}]}\n")
		assert.NilError(t, err, strategy)
		w.same("SELECT id, note FROM orders", "TABLE orders")
	}
	for strategy, code := range map[string]string{"mode: full_refresh": "target.truncate", swap: "target.shadow"} {
		w.untouched("orders", func() {
			report, err := run(options(process(strategy), "columns: [id, note]"))
			assert.Equal(t, report.Result.ErrorCode, code, "%v", err)
		})
	}
	w.dst("ALTER TABLE orders ADD hidden text")
	report, err = run(process("mode: incremental_merge\nunique_key: id"))
	assert.ErrorContains(t, err, "permission denied")
	assert.Equal(t, report.Result.ErrorCode, "source.read")
}
