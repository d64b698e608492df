package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// world is a source database and a target database.
type world struct {
	t                  *testing.T
	sourceDSN, sinkDSN string
	source, sink       *pgx.Conn
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sourceDSN: pgtest.Database(t), sinkDSN: pgtest.Database(t)}
	w.source, w.sink = connect(t, w.sourceDSN), connect(t, w.sinkDSN)
	return w
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	assert.NilError(t, err)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
	assert.NilError(t, err, sql)
}

func (w *world) src(sql string) { w.t.Helper(); exec(w.t, w.source, sql) }
func (w *world) dst(sql string) { w.t.Helper(); exec(w.t, w.sink, sql) }

// rows gives a table as text, one line a row, sorted.
func rows(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	result, err := conn.Query(context.Background(), "SELECT x::text FROM ("+sql+") x ORDER BY 1")
	assert.NilError(t, err, sql)
	lines, err := pgx.CollectRows(result, pgx.RowTo[string])
	assert.NilError(t, err, sql)
	return strings.Join(lines, "\n")
}

func (w *world) same(table, target string) {
	w.t.Helper()
	assert.Equal(w.t, rows(w.t, w.sink, target), rows(w.t, w.source, table))
}

// manifest reads a manifest whose connections are the world's.
func (w *world) manifest(text string) *manifest.Manifest {
	w.t.Helper()
	text = w.text(text)
	m, err := manifest.Parse("test.yaml", []byte(text))
	assert.NilError(w.t, err, text)
	return m
}

// text is the manifest with the world's connections.
func (w *world) text(text string) string {
	return strings.NewReplacer(
		"SOURCE", "type: postgres\n  connection: {dsn: \"env:SOURCE_DSN\"}",
		"SINK", "type: postgres\n  connection: {dsn: \"env:SINK_DSN\"}",
	).Replace(text)
}

func (w *world) options() engine.Options {
	return engine.Options{Connectors: connectors.All(), Secret: func(ref manifest.Secret) (string, error) {
		switch ref {
		case "env:SOURCE_DSN":
			return w.sourceDSN, nil
		case "env:SINK_DSN":
			return w.sinkDSN, nil
		}
		return "", fmt.Errorf("no %s", ref)
	}}
}

func (w *world) run(m *manifest.Manifest) engine.Report {
	w.t.Helper()
	report, err := engine.Run(context.Background(), m, w.options())
	assert.NilError(w.t, err)
	assert.Assert(w.t, report.Passed)
	assert.NilError(w.t, follows(w.t, report))
	return report
}

// fails runs and expects the code.
func (w *world) fails(m *manifest.Manifest, code string) engine.Report {
	w.t.Helper()
	report, err := engine.Run(context.Background(), m, w.options())
	assert.Assert(w.t, err != nil, "the run passed, %s was expected", code)
	assert.Equal(w.t, report.Result.ErrorCode, code, err.Error())
	assert.Assert(w.t, !report.Passed)
	assert.NilError(w.t, follows(w.t, report))
	return report
}

const tables = "\n  table: {schema: public, name: orders}\n"

func process(strategy string) string {
	return "name: orders_load\nsource:\n  SOURCE" + tables + "sink:\n  SINK" + tables + "  strategy:\n    " + strings.ReplaceAll(strategy, "\n", "\n    ") + "\n"
}

const orders = `CREATE TABLE orders (id bigint PRIMARY KEY, day date, note text, amount numeric(12,2), flag boolean, at timestamptz);
INSERT INTO orders SELECT i, date '2026-01-01' + (i % 5)::int, CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'note ' || i END, i * 1.25, i % 2 = 0, timestamptz '2026-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 1000) i;`

func TestFullRefreshInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	m := w.manifest(process("mode: full_refresh\nunique_key: id"))
	report := w.run(m)
	assert.Equal(t, report.Counters, connector.Counters{Inserted: 1000})
	w.same("TABLE orders", "TABLE orders")
	w.src("DELETE FROM orders WHERE id < 10; UPDATE orders SET note = 'x' WHERE id = 20")
	w.run(m)
	w.same("TABLE orders", "TABLE orders")
}
