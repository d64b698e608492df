package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/systemtest"
)

// shared is the one server of the tests.
var shared struct {
	sync.Once
	server system.Server
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Close(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func theServer(t testing.TB) *server {
	t.Helper()
	shared.Do(func() {
		shared.server, shared.err = Family().Start(context.Background(), system.Options{Getenv: os.Getenv})
	})
	if errors.Is(shared.err, system.ErrUnavailable) && os.Getenv("DPONE_IT_PG_REQUIRED") != "1" {
		t.Skip(shared.err)
	}
	assert.NilError(t, shared.err)
	return shared.server.(*server)
}

func rowsOf(t testing.TB, e *endpoint, schema string, columns []fixture.Column) systemtest.Read {
	return func(each func(fixture.Row) error) error {
		return e.read(t.Context(), quote(schema, table), columns, each)
	}
}

func TestFacts(t *testing.T) {
	facts := theServer(t).Facts()
	assert.Equal(t, facts.System, "PostgreSQL")
	assert.Assert(t, facts.Version != "" && facts.Family == "postgres" && facts.StandIn == "")
}

func TestSource(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 300)
	for _, strategy := range []string{"full_refresh", "cdc"} {
		src, err := s.Source(t.Context(), f, systemtest.Place(t, "source_"+strategy, strategy))
		assert.NilError(t, err)
		read := rowsOf(t, s.source, "matrix_src_source_"+strategy, f.Columns())
		systemtest.Same(t, f.Columns(), f.Before(), read)
		assert.NilError(t, src.Change(t.Context()))
		systemtest.Same(t, f.Columns(), f.After(), read)
		assert.NilError(t, src.Close(t.Context()))
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 300)
	src, err := s.Source(t.Context(), f, systemtest.Place(t, "events", "incremental_append"))
	assert.NilError(t, err)
	read := rowsOf(t, s.source, "matrix_src_events", f.Columns())
	systemtest.Same(t, f.Columns(), f.Before(), read)
	assert.NilError(t, src.Change(t.Context()))
	systemtest.Same(t, f.Columns(), f.Delta(), read)
	assert.NilError(t, src.Close(t.Context()))
}

func TestSeed(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 300)
	target, err := s.Target(t.Context(), f, systemtest.Place(t, "seed", "full_refresh"))
	assert.NilError(t, err)
	seeded, err := target.Seed(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, seeded)
	read := func(each func(fixture.Row) error) error { return target.Rows(t.Context(), f.Columns(), each) }
	systemtest.Same(t, f.Columns(), f.Before(), read)

	// One defect at a time turns the reading red.
	c := f.Columns()
	for _, defect := range []struct{ sql, told string }{
		{"UPDATE o SET source_family = ''", `id 150: source_family is "", not "postgres"`},
		{"UPDATE o SET source_family = 'Postgres'", `id 150: source_family is "Postgres", not "postgres"`},
		{"UPDATE o SET mock_variant = 2", `id 150: mock_variant is "2", not "0"`},
		{"UPDATE o SET updated_at = updated_at + interval '1 microsecond'", `id 150: updated_at is "2026-06-01T00:00:00.000151Z", not "2026-06-01T00:00:00.000150Z"`},
		{"UPDATE o SET business_date = business_date + 1", `id 150: business_date is "2026-06-03", not "2026-06-02"`},
		{"UPDATE o SET id = 10150", "id 10150: extra\nid 150: missing"},
		{"DELETE FROM o", "id 150: missing"},
	} {
		t.Run(defect.sql, func(t *testing.T) {
			o := quote("matrix_dst_seed", table)
			sql := strings.Replace(strings.Replace(defect.sql, "UPDATE o", "UPDATE "+o, 1), "FROM o", "FROM "+o, 1)
			assert.NilError(t, s.sink.exec(t.Context(), "CREATE TABLE matrix_dst_seed.kept AS SELECT * FROM "+o, sql+" WHERE id = 150"))
			systemtest.Differs(t, c, f.Before(), read, strings.Split(defect.told, "\n")...)
			left, err := target.Leftovers(t.Context())
			assert.NilError(t, err)
			assert.DeepEqual(t, left, []string{"matrix_dst_seed.kept"})
			assert.NilError(t, s.sink.exec(t.Context(), "TRUNCATE "+o, "INSERT INTO "+o+" SELECT * FROM matrix_dst_seed.kept", "DROP TABLE matrix_dst_seed.kept"))
		})
	}
	// So does a column of another type, even one that holds the same numbers.
	assert.NilError(t, s.sink.exec(t.Context(), "ALTER TABLE matrix_dst_seed.orders ALTER mock_variant TYPE bigint", "DELETE FROM matrix_dst_seed.orders WHERE id <> 150"))
	out, err := systemtest.Differences(c, f.Before(), read)
	assert.NilError(t, err)
	assert.Equal(t, out[0], `id 150: mock_variant is "0::bigint", not "0"`)
	assert.NilError(t, target.Close(t.Context()))
}

func TestSeedWithoutKey(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 5)
	for strategy, keys := range map[string]string{"incremental_append": "0", "snapshot_diff": "1"} {
		target, err := s.Target(t.Context(), f, systemtest.Place(t, "key_"+strategy, strategy))
		assert.NilError(t, err)
		_, err = target.Seed(t.Context())
		assert.NilError(t, err)
		n, err := s.sink.value(t.Context(), "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid = to_regclass($1)", quote("matrix_dst_key_"+strategy, table))
		assert.NilError(t, err)
		assert.Equal(t, n, keys)
		assert.NilError(t, target.Close(t.Context()))
	}
}

func TestConcurrentCases(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f, err := fixture.New(fixture.Spec{Seed: 8, Rows: 100, Changed: 0.2, Deleted: 0.05, Family: "postgres"})
	assert.NilError(t, err)
	var all sync.WaitGroup
	for i := range 4 {
		place := systemtest.Place(t, fmt.Sprintf("concurrent_%d", i), "full_refresh")
		all.Go(func() {
			src, err := s.Source(t.Context(), f, place)
			if err != nil {
				t.Error(err)
				return
			}
			out, err := systemtest.Differences(f.Columns(), f.Before(), rowsOf(t, s.source, "matrix_src_"+place.Case, f.Columns()))
			if err := errors.Join(err, src.Close(t.Context())); err != nil || len(out) > 0 {
				t.Error(out, err)
			}
		})
	}
	all.Wait()
}

func TestWindows(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 5)
	target, err := s.Target(t.Context(), f, systemtest.Place(t, "windows", "backfill"))
	assert.NilError(t, err)
	windows, err := target.Windows(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(windows), 0)
	state := target.Manifest().State
	assert.NilError(t, s.sink.exec(t.Context(), "CREATE SCHEMA "+state, "CREATE TABLE "+state+".dpone_receipt (pipeline text, load_window text)", "INSERT INTO "+state+".dpone_receipt VALUES ('a', 'w2'), ('a', 'W1'), ('b', 'w2')"))
	windows, err = target.Windows(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, windows, []string{"W1", "w2", "w2"})
	assert.NilError(t, target.Close(t.Context()))
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 5)
	place := systemtest.Place(t, "leftovers", "full_refresh")
	target, err := s.Target(t.Context(), f, place)
	assert.NilError(t, err)
	_, err = target.Seed(t.Context())
	assert.NilError(t, err)
	left, err := target.Leftovers(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
	state := target.Manifest().State
	assert.NilError(t, s.sink.exec(t.Context(), "CREATE SCHEMA "+state, "CREATE TABLE "+state+".dpone_state ()", "CREATE TABLE "+state+".more ()", "CREATE TABLE matrix_dst_leftovers.dpone_shadow_0 ()"))
	left, err = target.Leftovers(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, left, []string{"matrix_dst_leftovers.dpone_shadow_0", "matrix_state_leftovers.more"})

	// A session that the engine would have left, which came by the manifest's address.
	address, err := os.ReadFile(target.(*destination).secret)
	assert.NilError(t, err)
	conn, err := pgconn.Connect(t.Context(), strings.TrimSpace(string(address)))
	assert.NilError(t, err)
	left, err = target.Leftovers(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(left), 3)
	assert.Assert(t, strings.HasPrefix(left[2], "session ") && strings.HasSuffix(left[2], "(idle)"), left[2])
	assert.NilError(t, conn.Close(t.Context()))
	assert.NilError(t, target.Close(t.Context()))
}

func TestCloseCleans(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 20)
	place := systemtest.Place(t, "cleans", "cdc")
	src, err := s.Source(t.Context(), f, place)
	assert.NilError(t, err)
	target, err := s.Target(t.Context(), f, place)
	assert.NilError(t, err)
	info, err := os.Stat(src.(*source).secret)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
	for _, line := range append(src.Manifest().Lines, target.Manifest().Lines...) {
		assert.Assert(t, !strings.Contains(line, "postgres://"), line)
	}
	assert.NilError(t, s.source.exec(t.Context(), `CREATE PUBLICATION dpone_cleans FOR TABLE matrix_src_cleans.orders`))
	_, err = s.source.texts(t.Context(), "SELECT pg_create_logical_replication_slot('dpone_cleans', 'pgoutput')")
	assert.NilError(t, err)
	assert.NilError(t, src.Change(t.Context()))
	assert.NilError(t, src.Close(t.Context()))
	assert.NilError(t, target.Close(t.Context()))
	left, err := s.source.texts(t.Context(), `SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE '%cleans' UNION ALL SELECT pubname FROM pg_publication WHERE pubname LIKE '%cleans'
		UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE 'matrix%cleans'`)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, left)
}

// A reader that still follows the slot does not keep it.
func TestCloseEndsReaders(t *testing.T) {
	t.Parallel()
	s := theServer(t)
	f := systemtest.Fixture(t, "postgres", 5)
	src, err := s.Source(t.Context(), f, systemtest.Place(t, "reader", "cdc"))
	assert.NilError(t, err)
	assert.NilError(t, s.source.exec(t.Context(), `CREATE PUBLICATION dpone_reader FOR TABLE matrix_src_reader.orders`))
	_, err = s.source.texts(t.Context(), "SELECT pg_create_logical_replication_slot('dpone_reader', 'pgoutput')")
	assert.NilError(t, err)
	config, err := pgconn.ParseConfig(s.source.dsn)
	assert.NilError(t, err)
	config.RuntimeParams["replication"] = "database"
	reader, err := pgconn.ConnectConfig(t.Context(), config)
	assert.NilError(t, err)
	reader.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION SLOT dpone_reader LOGICAL 0/0 (proto_version '1', publication_names 'dpone_reader')"})
	assert.NilError(t, reader.Frontend().Flush())
	answer, err := reader.ReceiveMessage(t.Context())
	assert.NilError(t, err)
	_, following := answer.(*pgproto3.CopyBothResponse)
	assert.Assert(t, following, "%T", answer)
	assert.NilError(t, src.Close(t.Context()))
	left, err := s.source.texts(t.Context(), "SELECT slot_name FROM pg_replication_slots WHERE slot_name = 'dpone_reader'")
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
	_ = reader.Close(t.Context())
}

func TestUnavailable(t *testing.T) {
	t.Setenv("DPONE_IT_PG_DSN", "")
	t.Setenv("DPONE_IT_PG_DOWNLOAD", "")
	t.Setenv("DPONE_IT_PG_BINDIR", t.TempDir())
	_, err := Family().Start(t.Context(), system.Options{Getenv: os.Getenv})
	assert.ErrorIs(t, err, system.ErrUnavailable)
	assert.ErrorContains(t, err, "no PostgreSQL server can be had")
}

func TestLive(t *testing.T) {
	s := theServer(t)
	environment := map[string]string{}
	options := system.Options{Live: true, Getenv: func(name string) string { return environment[name] }}
	_, err := Family().Start(t.Context(), options)
	assert.ErrorIs(t, err, system.ErrUnavailable)
	assert.ErrorContains(t, err, "DPONE_MATRIX_POSTGRES_DSN")

	environment[sourceDSN] = s.local.DSN()
	_, err = Family().Start(t.Context(), options)
	assert.ErrorIs(t, err, system.ErrUnavailable)

	environment[bothDSN] = s.local.DSNFor("template1")
	started, err := Family().Start(t.Context(), options)
	assert.NilError(t, err)
	live := started.(*server)
	assert.Assert(t, live.source != live.sink && live.local == nil)
	assert.Equal(t, live.Facts().System, "PostgreSQL")
	f := systemtest.Fixture(t, "postgres", 20)
	src, err := live.Source(t.Context(), f, systemtest.Place(t, "live", "full_refresh"))
	assert.NilError(t, err)
	systemtest.Same(t, f.Columns(), f.Before(), rowsOf(t, live.source, "matrix_src_live", f.Columns()))
	assert.NilError(t, src.Close(t.Context()))
	assert.NilError(t, live.Close(t.Context()))
	n, err := s.source.value(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname = $1", live.source.schema)
	assert.NilError(t, err)
	assert.Equal(t, n, "0")
}

func TestName(t *testing.T) {
	t.Parallel()
	a, b := name("matrix_src_", strings.Repeat("x", 80)+"a"), name("matrix_src_", strings.Repeat("x", 80)+"b")
	assert.Assert(t, len(a) == 63 && len(b) == 63 && a != b)
	assert.Equal(t, name("matrix_src_", "a"), "matrix_src_a")
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"postgres://u:p@h/d?sslmode=disable": "postgres://u:p@h/d?application_name=x&sslmode=disable",
		"postgresql://h/d":                   "postgresql://h/d?application_name=x",
		"host=h dbname=d":                    "host=h dbname=d application_name=x",
	} {
		got, err := named(in, "x")
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	_, err := named("postgres://u:secret@h:port/%zz", "x")
	assert.Assert(t, err != nil && !strings.Contains(err.Error(), "secret"))
}

func BenchmarkLayOut(b *testing.B) {
	s := theServer(b)
	f := systemtest.Fixture(b, "postgres", 10_000)
	_, err := s.source.template(b.Context(), f, before)
	assert.NilError(b, err)
	for b.Loop() {
		src, err := s.Source(b.Context(), f, systemtest.Place(b, "layout", "full_refresh"))
		assert.NilError(b, err)
		assert.NilError(b, src.Close(b.Context()))
	}
}

func BenchmarkTemplate(b *testing.B) {
	s := theServer(b)
	f := systemtest.Fixture(b, "postgres", 10_000)
	for b.Loop() {
		e := newEndpoint(s.source.dsn, false)
		_, err := e.template(b.Context(), f, before)
		assert.NilError(b, err)
		assert.NilError(b, e.close(b.Context()))
	}
}

func BenchmarkRows(b *testing.B) {
	s := theServer(b)
	f := systemtest.Fixture(b, "postgres", 10_000)
	src, err := s.Source(b.Context(), f, systemtest.Place(b, "rows", "full_refresh"))
	assert.NilError(b, err)
	for b.Loop() {
		n := 0
		assert.NilError(b, s.source.read(b.Context(), "matrix_src_rows.orders", f.Columns(), func(fixture.Row) error { n++; return nil }))
		assert.Equal(b, n, 10_000)
	}
	assert.NilError(b, src.Close(b.Context()))
}

func TestOtherTypes(t *testing.T) {
	t.Parallel()
	f := newField(fixture.Column{Name: "a", Kind: fixture.Text}, 869)
	assert.Equal(t, f.other, "type 869")
	f = newField(fixture.Column{Name: "a", Kind: fixture.Text}, 114)
	assert.Equal(t, f.other, "json")
	f = newField(fixture.Column{Name: "a", Kind: fixture.Text}, 1043)
	assert.Equal(t, f.other, "")
	for _, k := range []fixture.Kind{fixture.Bool, fixture.Int16, fixture.Int32, fixture.Int64, fixture.Float32, fixture.Float64, fixture.Decimal, fixture.Date, fixture.Time, fixture.Timestamp, fixture.TimestampTZ, fixture.UUID} {
		_, err := decoder(k)(nil, []byte{1, 2, 3})
		assert.Assert(t, err != nil, string(k))
	}
	out, err := decoder(fixture.Date)(nil, []byte{0x7f, 0xff, 0xff, 0xff})
	assert.NilError(t, err)
	assert.Equal(t, string(out), "infinity")
}
