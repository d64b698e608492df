package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// named is a manifest of a table and columns with any name.
func (w *world) named(schema, table string, s manifest.Strategy) *manifest.Manifest {
	return &manifest.Manifest{
		Name:   "any_name",
		Source: manifest.Source{Type: "postgres", Connection: manifest.Connection{DSN: "env:SOURCE_DSN"}, Table: manifest.Table{Schema: schema, Name: table}},
		Sink:   manifest.Sink{Type: "postgres", Connection: manifest.Connection{DSN: "env:SINK_DSN"}, Table: manifest.Table{Schema: schema, Name: table}, Strategy: s},
		State:  manifest.State{Schema: "State \"of\" it"},
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, name := range []string{
		`"`, `a"b`, `a'b`, `a b`, ` `, `a\b`, `select`, `User`, `ÄÖ ü`, strings.Repeat("x", 63), strings.Repeat("ü", 31) + "x", "a.b", `a".b`, "$1", "%s", "-- x", "/* */", "{target}", "xmin2", "a;b", "s", "t", "target", "excluded", "applied", "x\ny",
	} {
		q := pgx.Identifier{name}.Sanitize()
		w.src(fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %[1]s; CREATE TABLE %[1]s.%[1]s (%[1]s int PRIMARY KEY, v int); INSERT INTO %[1]s.%[1]s VALUES (1, 1), (2, 2)", q))
		w.dst("CREATE SCHEMA IF NOT EXISTS " + q)
		key := []string{name}
		gate := manifest.Quality{Gates: []manifest.Gate{{Type: "unique", Columns: key}, {Type: "typed_hash_reconciliation"}}}
		for j, s := range []manifest.Strategy{
			{Mode: manifest.FullRefresh, UniqueKey: key},
			{Mode: manifest.FullRefresh, OverwriteType: "shadow_swap"},
			{Mode: manifest.IncrementalMerge, UniqueKey: key},
			{Mode: manifest.SnapshotDiff, UniqueKey: key},
			{Mode: manifest.PartitionReplace, Partition: manifest.Partition{Column: name}},
			{Mode: manifest.Backfill, UniqueKey: key, Backfill: manifest.BackfillOptions{Column: name, ChunkSize: "10", InnerMode: manifest.IncrementalMerge}},
			{Mode: manifest.SCD2, UniqueKey: key},
		} {
			if (i+j)%3 != 0 && j > 0 {
				continue // each strategy meets each kind of name somewhere
			}
			if s.Mode == manifest.SCD2 { // rows of before would be no versions
				w.dst("DROP TABLE " + q + "." + q)
			}
			m := w.named(name, name, s)
			m.Quality = gate
			_, err := engine.Run(context.Background(), m, w.options())
			assert.NilError(t, err, "%q %s", name, s.Mode)
			if s.Mode == manifest.SCD2 {
				assert.Equal(t, one(t, w.sink, "SELECT count(*)::text FROM "+q+"."+q), "2")
				continue
			}
			assert.Equal(t, rows(t, w.sink, "TABLE "+q+"."+q), rows(t, w.source, "TABLE "+q+"."+q))
		}
	}
	long := w.named("public", strings.Repeat("x", 64), manifest.Strategy{Mode: manifest.FullRefresh})
	w.fails(long, "manifest.invalid")
	missing := w.named("public", "Missing", manifest.Strategy{Mode: manifest.FullRefresh})
	w.fails(missing, "source.missing")
	missing.Source.Table = manifest.Table{Schema: "public", Name: "Orders"}
	w.src("CREATE TABLE \"Orders\" (id int)")
	missing.Sink.Table = manifest.Table{Schema: "no such schema", Name: "x"}
	w.fails(missing, "target.alter")
	w.src("CREATE SEQUENCE counting")
	w.fails(w.named("public", "counting", manifest.Strategy{Mode: manifest.FullRefresh}), "relation.kind")
}

func TestKindsOfSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders + `CREATE VIEW seen AS SELECT * FROM orders WHERE id < 100; CREATE MATERIALIZED VIEW kept AS SELECT * FROM orders WHERE id < 50;
		CREATE TABLE parts (LIKE orders) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (300); CREATE TABLE p2 PARTITION OF parts DEFAULT; INSERT INTO parts SELECT * FROM orders;
		CREATE TABLE parent (LIKE orders); CREATE TABLE child (more int) INHERITS (parent); INSERT INTO parent SELECT * FROM orders WHERE id < 10; INSERT INTO child SELECT *, 1 FROM orders WHERE id > 900;
		CREATE UNLOGGED TABLE unlogged AS TABLE orders; CREATE TABLE "columns" (a int, b int); ALTER TABLE "columns" DROP COLUMN a; INSERT INTO "columns" VALUES (1)`)
	sources := []string{"seen", "kept", "parts", "parent", "unlogged", "columns"}
	if one(t, w.source, "SELECT count(*)::text FROM pg_available_extensions WHERE name = 'postgres_fdw'") == "1" {
		w.src("CREATE EXTENSION postgres_fdw; CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '" + w.source.Config().Host + "', port '" + fmt.Sprint(w.source.Config().Port) + "', dbname '" + w.source.Config().Database + "');" +
			"CREATE USER MAPPING FOR current_user SERVER itself OPTIONS (user '" + w.source.Config().User + "'); CREATE FOREIGN TABLE abroad (id bigint, note text) SERVER itself OPTIONS (schema_name 'public', table_name 'orders')")
		sources = append(sources, "abroad")
	}
	for _, name := range sources {
		for _, more := range []string{"workers: 1", "workers: 2"} {
			text := strings.Replace(options(process("mode: full_refresh"), more), "name: orders}", "name: "+name+"}", 1)
			w.dst("DROP TABLE IF EXISTS orders")
			w.run(w.manifest(text + "quality: {gates: [{type: typed_hash_reconciliation}]}\n"))
			w.same("TABLE "+name, "TABLE orders")
		}
	}
	// A query, of which the text may end in any way.
	w.dst("DROP TABLE orders")
	query := strings.Replace(options(process("mode: full_refresh"), `query: {sql: "SELECT id, upper(note) AS note, 1.5 AS n, NULL AS nothing, ARRAY[id] AS \"l i\" FROM orders WHERE id < 10; -- all"}`), "  table: {schema: public, name: orders}\n", "", 1)
	w.fails(w.manifest(query), "query.invalid")
	query = strings.Replace(query, "; -- all", " -- all", 1)
	w.run(w.manifest(query))
	w.same(`SELECT id, upper(note) AS note, 1.5 AS n, NULL::text AS nothing, ARRAY[id] AS "l i" FROM orders WHERE id < 10`, "TABLE orders")
	w.dst("DROP TABLE orders")
	for sql, code := range map[string]string{"SELECT 1 AS a, 2 AS a": "query.invalid", "SELECT": "source.no_columns", "DELETE FROM orders": "query.invalid", "nothing": "query.invalid", "SELECT 1/0 AS a": "source.read"} {
		bad := strings.Replace(options(process("mode: full_refresh"), `query: {sql: "`+sql+`"}`), "  table: {schema: public, name: orders}\n", "", 1)
		w.fails(w.manifest(bad), code)
	}
	w.src("CREATE TABLE none ()")
	w.fails(w.manifest(strings.Replace(process("mode: full_refresh"), "name: orders}", "name: none}", 1)), "source.no_columns")
	w.fails(w.manifest(options(process("mode: full_refresh"), "columns: [id, gone]")), "column.missing")

	// Targets that are none.
	w.dst("CREATE VIEW looking AS SELECT 1 AS id")
	text := process("mode: full_refresh")
	at := strings.LastIndex(text, "name: orders}")
	w.fails(w.manifest(text[:at]+"name: looking}"+text[at+len("name: orders}"):]), "target.kind")
}

func TestIdentityColumns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint GENERATED BY DEFAULT AS IDENTITY, twice bigint GENERATED ALWAYS AS (id * 2) STORED, note text); INSERT INTO orders (note) SELECT 'n' || i FROM generate_series(1, 10) i")
	for _, target := range []string{
		"CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint GENERATED BY DEFAULT AS IDENTITY, twice bigint GENERATED ALWAYS AS (id * 2) STORED, note text)",
		"CREATE TABLE orders (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n bigserial, twice bigint, note text)",
		"CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint, twice bigint, note text DEFAULT 'x', more int GENERATED ALWAYS AS IDENTITY)",
	} {
		for _, strategy := range []string{"mode: full_refresh", swap, "mode: incremental_merge\nunique_key: id", "mode: snapshot_diff\nunique_key: id", "mode: replace\ncustom_predicate: id > 0", "mode: incremental_append\nunique_key: id\nonly_new_rows: true"} {
			w.dst("DROP TABLE IF EXISTS orders; " + target)
			m := w.manifest(process(strategy))
			w.run(m)
			w.same("TABLE orders", "SELECT id, n, twice, note FROM orders")
			w.dst("UPDATE orders SET note = 'other' WHERE id = 3")
			w.run(m)
			if !strings.Contains(strategy, "append") {
				w.same("TABLE orders", "SELECT id, n, twice, note FROM orders")
			}
		}
	}
	// What the target always computes itself cannot be updated.
	w.dst("DROP TABLE orders; CREATE TABLE orders (id bigint PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, twice bigint, note text); INSERT INTO orders VALUES (1)")
	w.untouched("orders", func() {
		report := w.fails(w.manifest(process("mode: incremental_merge\nunique_key: id")), "apply.merge")
		assert.Assert(t, is.Contains(report.Result.Errors[0], `"n"`))
	})
	// A key that the target computes does not travel.
	w.dst("DROP TABLE orders; CREATE TABLE orders (n bigint, id bigint GENERATED ALWAYS AS (n) STORED, twice bigint, note text)")
	w.fails(w.manifest(process("mode: incremental_merge\nunique_key: id")), "column.missing")
}

func TestManyColumns(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"text", "bigint"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var columns, values []string
			for i := range 1600 {
				columns = append(columns, fmt.Sprintf("c%d %s", i, typ))
				switch {
				case i == 0:
					values = append(values, "i")
				case i%3 == 0:
					values = append(values, "'x'")
				default:
					values = append(values, "NULL")
				}
			}
			if typ == "bigint" {
				values = strings.Split(strings.ReplaceAll(strings.Join(values, ","), "'x'", "7"), ",")
			}
			w.src("CREATE TABLE orders (" + strings.Join(columns, ", ") + "); INSERT INTO orders SELECT " + strings.Join(values, ", ") + " FROM generate_series(1, 50) i")
			gates := "quality: {gates: [{type: typed_hash_reconciliation}]}\n"
			for _, strategy := range []string{"mode: full_refresh\nunique_key: c0", swap, "mode: snapshot_diff\nunique_key: c0", "mode: incremental_merge\nunique_key: c0"} {
				w.run(w.manifest(process(strategy) + gates))
			}
			w.src("UPDATE orders SET c1599 = '5' WHERE c0 = '9'")
			assert.Equal(t, w.run(w.manifest(process("mode: snapshot_diff\nunique_key: c0")+gates)).Counters, connector.Counters{Updated: 1, Unchanged: 49})
			assert.Assert(t, rows(t, w.sink, "SELECT to_jsonb(orders) FROM orders") == rows(t, w.source, "SELECT to_jsonb(orders) FROM orders"))
			w.fails(w.manifest(process("mode: scd2\nunique_key: c0")), "target.alter") // no room for its columns
		})
	}
}

func TestHugeValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, repeat('0123456789abcdef', 4 * 1024 * 1024)), (2, 'small')")
	w.run(w.manifest(process("mode: incremental_merge\nunique_key: id")))
	assert.Equal(t, one(t, w.sink, "SELECT md5(note) FROM orders WHERE id = 1"), one(t, w.source, "SELECT md5(note) FROM orders WHERE id = 1"))
}

// TestErrorsOfTheTarget breaks the load late, by a constraint, and by a full disk's likes.
func TestErrorsOfTheTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders AS SELECT i AS id, CASE WHEN i = 95000 THEN NULL ELSE 'x' END AS note FROM generate_series(1, 100000) i")
	w.dst("CREATE TABLE orders (id int, note text NOT NULL CHECK (note <> 'y')); INSERT INTO orders VALUES (0, 'old')")
	for _, strategy := range []string{"mode: full_refresh", swap, "mode: snapshot_diff\nunique_key: id"} {
		w.untouched("orders", func() {
			report, err := engine.Run(context.Background(), w.manifest(process(strategy)), w.options())
			assert.ErrorContains(t, err, `null value in column "note"`)
			assert.Assert(t, is.Contains([]string{"stage.write", "apply.insert"}, report.Result.ErrorCode))
			assert.Equal(t, report.Result.CommitOutcome, "not_committed")
		})
	}
	w.src("UPDATE orders SET note = 'y' WHERE note IS NULL")
	w.untouched("orders", func() {
		report := w.fails(w.manifest(options(process("mode: full_refresh"), "workers: 2")), "stage.write")
		assert.Assert(t, is.Contains(report.Result.Errors[0], "violates check constraint"))
	})
	w.untouched("orders", func() {
		report := w.fails(w.manifest(options(process(swap), "workers: 2")), "stage.write")
		assert.Assert(t, is.Contains(report.Result.Errors[0], "violates check constraint"))
	})
	// A trigger that drops rows, and a deferred constraint that fails in the commit.
	w.src("DELETE FROM orders WHERE id > 500")
	w.dst("CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 5 THEN RETURN NULL; END IF; RETURN NEW; END'; CREATE TRIGGER d BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION leave_out()")
	w.untouched("orders", func() { w.fails(w.manifest(process("mode: full_refresh")), "load.rows") })
	w.dst("DROP TRIGGER d ON orders; ALTER TABLE orders ADD CONSTRAINT k UNIQUE (note) DEFERRABLE INITIALLY DEFERRED")
	w.untouched("orders", func() {
		w.fails(w.manifest(process("mode: incremental_append\nunique_key: id\nonly_new_rows: true")), "commit.failed")
	})
	// The disk of the server is full in the middle.
	w.dst(`ALTER TABLE orders DROP CONSTRAINT k; CREATE FUNCTION fill_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 400 THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER f BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fill_up()`)
	for strategy, code := range map[string]string{"mode: full_refresh": "stage.write", "mode: snapshot_diff\nunique_key: id": "apply.insert"} {
		w.untouched("orders", func() {
			report := w.fails(w.manifest(process(strategy)), code)
			assert.Assert(t, is.Contains(report.Result.Errors[0], "could not extend file"))
		})
	}
}

// TestSourceChangesItsShape drops and changes columns between the plan and the read.
func TestSourceChangesItsShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int PRIMARY KEY, v int, note text); INSERT INTO orders VALUES (1, 2, 'x')")
	m := w.manifest(process("mode: incremental_merge\nunique_key: id"))
	w.run(m)
	at := func(change string) engine.Options {
		opts := w.options()
		opts.Progress = func(p engine.Progress) {
			if p.Phase == "snapshot" && change != "" {
				w.src(change)
				change = ""
			}
		}
		return opts
	}
	for change, code := range map[string]string{"ALTER TABLE orders DROP COLUMN note": "column.missing", "ALTER TABLE orders ALTER v TYPE text": "type.refused", "ALTER TABLE orders RENAME TO away": "source.snapshot"} {
		w.src("DROP TABLE IF EXISTS orders, away; CREATE TABLE orders (id int PRIMARY KEY, v int, note text); INSERT INTO orders VALUES (1, 2, 'y')")
		w.untouched("orders", func() {
			report, err := engine.Run(context.Background(), m, at(change))
			assert.Equal(t, report.Result.ErrorCode, code, "%v", err)
		})
	}
	w.src("DROP TABLE IF EXISTS orders, away; CREATE TABLE orders (id int PRIMARY KEY, v int, note text); INSERT INTO orders VALUES (1, 2, 'y')")
	_, err := engine.Run(context.Background(), m, at("ALTER TABLE orders ADD more int DEFAULT 5"))
	assert.NilError(t, err) // the next plan has it
	assert.Equal(t, rows(t, w.sink, "TABLE orders"), "(1,2,y)")
}

func TestConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src("CREATE TABLE orders (id int)")
	const secret = "hidden p@ss'word"
	host, port := w.sink.Config().Host, w.sink.Config().Port
	server := pgtest.Server(t, pgserver.Options{TCP: true})
	plain, err := pgx.ParseConfig(server.TCPDSN())
	assert.NilError(t, err)
	dsn := func(host string, port any, more string) string {
		return fmt.Sprintf("host='%s' port=%v dbname='%s' user='nobody here' password='%s' %s", host, port, w.sink.Config().Database, strings.ReplaceAll(secret, "'", `\'`), more)
	}
	for name, c := range map[string]struct{ dsn, told string }{
		"unknown role":        {dsn(host, port, ""), "nobody here"},
		"nothing listens":     {dsn("127.0.0.1", 1, "sslmode=disable"), "connect"},
		"no such host":        {dsn("host.invalid", 5432, "connect_timeout=5"), "host.invalid"},
		"no TLS":              {dsn("127.0.0.1", plain.Port, "sslmode=verify-full"), "server refused TLS connection"},
		"wrong password":      {dsn("127.0.0.1", plain.Port, "sslmode=disable"), "password authentication failed"},
		"no database":         {strings.Replace(w.sinkDSN, w.sink.Config().Database, "no_such_database", 1), "no_such_database"},
		"no string":           {"postgres://user:" + "hidden%20p%40ss@host:port/db", "no connection string"},
		"unknown ssl mode":    {dsn("127.0.0.1", port, "sslmode=perhaps"), "no connection string"},
		"root cert is absent": {dsn("127.0.0.1", port, "sslmode=verify-full sslrootcert=/nowhere.pem"), "no connection string"},
	} {
		for _, side := range []string{"source", "sink"} {
			opts := w.options()
			inner := opts.Secret
			opts.Secret = func(ref manifest.Secret) (string, error) {
				if strings.Contains(string(ref), strings.ToUpper(side)) {
					return c.dsn, nil
				}
				return inner(ref)
			}
			report, err := engine.Run(context.Background(), w.manifest(process("mode: full_refresh")), opts)
			assert.ErrorContains(t, err, c.told, "%s of the %s", name, side)
			assert.Assert(t, strings.HasPrefix(report.Result.ErrorCode, "connection."), report.Result.ErrorCode)
			for _, text := range []string{err.Error(), strings.Join(report.Result.Errors, "\n")} {
				assert.Assert(t, !strings.Contains(text, "hidden"), text)
			}
		}
	}
}
