//go:build unix

package pgserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
)

// begin starts a server in a folder of the test and gives both. It skips
// without PostgreSQL, and fails instead with DPONE_IT_PG_REQUIRED=1.
func begin(t *testing.T, opts Options) (*Server, string) {
	t.Helper()
	need(t)
	if opts.Dir == "" {
		opts.Dir = reachable(t)
	}
	opts.Log = func(line string) { t.Log(line) }
	s, err := Start(t.Context(), opts)
	assert.NilError(t, err)
	t.Cleanup(func() { assert.Check(t, s.Stop(context.Background())) })
	return s, opts.Dir
}

func need(t *testing.T) {
	t.Helper()
	_, _, err := local(t.Context(), Options{})
	if errors.Is(err, ErrNoServer) && os.Getenv("DPONE_IT_PG_REQUIRED") != "1" {
		t.Skip(err)
	}
	assert.NilError(t, err)
}

// reachable is a folder that the account of the server can reach, unlike
// t.TempDir of a root caller.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dpone-test-")
	assert.NilError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	assert.NilError(t, os.Chmod(dir, 0o711))
	return dir
}

func isEmpty(dir string) cmp.Comparison {
	return func() cmp.Result {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return cmp.ResultFromError(err)
		}
		return cmp.Len(entries, 0)()
	}
}

func ask[T any](t *testing.T, dsn, query string, args ...any) T {
	t.Helper()
	var answer T
	assert.NilError(t, withConn(t.Context(), dsn, func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(), query, args...).Scan(&answer)
	}))
	return answer
}

func run(t *testing.T, dsn, statement string) {
	t.Helper()
	assert.NilError(t, withConn(t.Context(), dsn, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), statement)
		return err
	}))
}

func TestStartAnswersAndStopLeavesNothing(t *testing.T) {
	t.Parallel()
	s, dir := begin(t, Options{TCP: true, Settings: map[string]string{"work_mem": "5MB", "wal_level": "replica", "dpone.note": `it's a \ note`}})

	version, err := s.Version(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, version >= 130000)
	for _, dsn := range []string{s.DSN(), s.TCPDSN()} {
		for setting, want := range map[string]string{
			"work_mem": "5MB", "wal_level": "replica", "dpone.note": `it's a \ note`,
			"fsync": "off", "shared_buffers": "128MB", "timezone": "UTC", "server_encoding": "UTF8",
		} {
			assert.Equal(t, ask[string](t, dsn, "select current_setting($1)", setting), want, setting)
		}
	}
	assert.Assert(t, ask[bool](t, s.DSN(), "select inet_server_addr() is null"))
	assert.Assert(t, ask[bool](t, s.TCPDSN(), "select inet_server_addr() is not null"))

	wrong := strings.Replace(s.TCPDSN(), s.password, "wrong", 1)
	assert.ErrorContains(t, withConn(t.Context(), wrong, func(*pgx.Conn) error { return nil }), "password authentication failed")

	name := `a "name" with / and ü`
	assert.NilError(t, s.CreateDatabase(t.Context(), name))
	assert.Equal(t, ask[string](t, s.DSNFor(name), "select current_database()"), name)
	assert.NilError(t, s.DropDatabase(t.Context(), name))
	assert.ErrorContains(t, withConn(t.Context(), s.DSNFor(name), func(*pgx.Conn) error { return nil }), "does not exist")

	pid := s.process.pid
	assert.Assert(t, exists(pid))
	assert.NilError(t, s.Stop(t.Context()))
	assert.Assert(t, !exists(pid))
	assert.Assert(t, isEmpty(dir))
	assert.NilError(t, s.Stop(t.Context()), "a second stop does nothing")
	assert.ErrorContains(t, s.StartAgain(t.Context()), "stopped for good")
}

func TestStopWithAnEndedContextLeavesNothing(t *testing.T) {
	t.Parallel()
	s, dir := begin(t, Options{})
	pid := s.process.pid
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NilError(t, s.Stop(ctx))
	assert.Assert(t, !exists(pid))
	assert.Assert(t, isEmpty(dir))
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	type result struct {
		server *Server
		err    error
	}
	need(t)
	results := make(chan result, 2)
	for range 2 {
		go func() {
			s, err := Start(t.Context(), Options{TCP: true, Durable: true})
			results <- result{s, err}
		}()
	}
	identifiers, ports := map[int64]bool{}, map[int]bool{}
	for range 2 {
		r := <-results
		assert.NilError(t, r.err)
		defer r.server.Stop(context.Background())
		identifiers[ask[int64](t, r.server.TCPDSN(), "select system_identifier from pg_control_system()")] = true
		ports[r.server.port] = true
		assert.Equal(t, ask[string](t, r.server.DSN(), "show fsync"), "on")
	}
	assert.Equal(t, len(identifiers), 2)
	assert.Equal(t, len(ports), 2)
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	need(t)
	for _, test := range []struct {
		name, setting, value string
		keep                 bool
		want                 string
	}{
		{"value", "shared_buffers", "banana", false, `invalid value for parameter "shared_buffers": "banana"`},
		{"unknown", "no_such_setting", "1", false, `unrecognized configuration parameter "no_such_setting"`},
		{"kept", "shared_buffers", "banana", true, "banana"},
		{"name", "a b", "1", false, `setting "a b": not a name`},
		{"line end", "work_mem", "1MB\nfsync = off", false, "setting work_mem: its value has a line end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := reachable(t)
			s, err := Start(t.Context(), Options{Dir: dir, KeepOnError: test.keep, Settings: map[string]string{test.setting: test.value}})
			assert.ErrorContains(t, err, test.want)
			assert.Assert(t, s == nil)
			entries, err := os.ReadDir(dir)
			assert.NilError(t, err)
			assert.Equal(t, len(entries) == 1, test.keep)
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{BinDir: t.TempDir()})
	assert.ErrorIs(t, err, ErrNoServer)
	assert.ErrorContains(t, err, "no postgres and initdb")

	_, err = firstWithServer([]string{t.TempDir(), "/no/such/folder"})
	assert.ErrorIs(t, err, ErrNoServer)
	assert.ErrorContains(t, err, "pg_config")
	assert.ErrorContains(t, err, "apt-get install postgresql")
	assert.ErrorContains(t, err, "DPONE_IT_PG_DSN")

	asked := errors.New("asked")
	fallback := func(context.Context, Options) (*Server, error) { return nil, asked }
	_, err = Start(t.Context(), Options{BinDir: t.TempDir(), Fallback: fallback})
	assert.ErrorIs(t, err, ErrNoServer)
	_, err = Start(t.Context(), Options{BinDir: t.TempDir(), Fallback: fallback, AllowDownload: true})
	assert.ErrorIs(t, err, asked)
}

func TestExternalThatDoesNotAnswerIsNotSkipped(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{DSN: "postgres://user:secret@/db?host=" + t.TempDir()})
	assert.ErrorContains(t, err, "DPONE_IT_PG_DSN")
	assert.Assert(t, !errors.Is(err, ErrNoServer))
	assert.Assert(t, !strings.Contains(err.Error(), "secret"))
}

func TestFromEnvironment(t *testing.T) {
	for _, name := range []string{"DPONE_IT_PG_DSN", "DPONE_IT_PG_BINDIR", "DPONE_IT_PG_DOWNLOAD"} {
		t.Setenv(name, "")
	}
	assert.DeepEqual(t, FromEnvironment(), Options{})
	t.Setenv("DPONE_IT_PG_DSN", "postgres://x")
	t.Setenv("DPONE_IT_PG_BINDIR", "/bin")
	t.Setenv("DPONE_IT_PG_DOWNLOAD", "1")
	assert.DeepEqual(t, FromEnvironment(), Options{DSN: "postgres://x", BinDir: "/bin", AllowDownload: true})
}

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"9.6", "15", "18", "latest"} {
		assert.NilError(t, os.MkdirAll(filepath.Join(dir, version, "bin"), 0o755))
	}
	var got []string
	for _, found := range newestFirst(dir + "/*/bin") {
		got = append(got, filepath.Base(filepath.Dir(found)))
	}
	assert.DeepEqual(t, got, []string{"18", "15", "9.6", "latest"})
}

func TestExternal(t *testing.T) {
	t.Parallel()
	host, _ := begin(t, Options{TCP: true})
	abandoned := scratchPrefix + strings.Repeat("x", 12) + "_left"
	assert.NilError(t, host.CreateDatabase(t.Context(), abandoned))
	assert.NilError(t, host.CreateDatabase(t.Context(), "dpone_scratch_mine"), "not a name of ours: too short")
	databases := func() []string {
		return ask[[]string](t, host.DSN(), "select array_agg(datname::text order by datname) from pg_database where datname like 'dpone%'")
	}

	keywords := "host=" + host.sockets + " port=" + strings.TrimPrefix(filepath.Base(socketFile(t, host)), ".s.PGSQL.") + " user=postgres dbname=postgres"
	byURL, err := Start(t.Context(), Options{DSN: host.TCPDSN()})
	assert.NilError(t, err)
	defer byURL.Stop(context.Background())
	byKeywords, err := Start(t.Context(), Options{DSN: keywords})
	assert.NilError(t, err)
	defer byKeywords.Stop(context.Background())

	assert.DeepEqual(t, len(databases()), 3) // two scratch databases and the one that is not ours
	assert.Assert(t, !strings.Contains(strings.Join(databases(), " "), abandoned))
	for _, s := range []*Server{byURL, byKeywords} {
		assert.Assert(t, s.External())
		assert.Equal(t, ask[string](t, s.DSN(), "select current_database()"), s.external.scratch)
		assert.NilError(t, s.CreateDatabase(t.Context(), "same"))
		assert.Equal(t, ask[string](t, s.DSNFor("same"), "select current_database()"), s.external.scratch+"_same")
		assert.Equal(t, ask[string](t, s.DSNFor("postgres"), "select current_database()"), "postgres")
		assert.ErrorContains(t, s.CreateDatabase(t.Context(), strings.Repeat("long", 10)), "40 bytes")
		assert.ErrorContains(t, s.DropDatabase(t.Context(), "postgres"), "not made here")
		assert.NilError(t, s.CreateDatabase(t.Context(), "second"))
		assert.NilError(t, s.DropDatabase(t.Context(), "second"))
		assert.ErrorIs(t, s.Restart(t.Context()), ErrExternal)
		assert.ErrorIs(t, s.Kill(), ErrExternal)
		assert.ErrorIs(t, s.Backup(t.Context(), "x"), ErrExternal)
		_, err := s.Do(t.Context(), "psql")
		assert.ErrorIs(t, err, ErrExternal)
		version, err := s.Version(t.Context())
		assert.NilError(t, err)
		assert.Assert(t, version >= 130000)
	}
	assert.Assert(t, strings.HasPrefix(byURL.TCPDSN(), "postgres://"))
	assert.Equal(t, byKeywords.TCPDSN(), "")
	assert.Equal(t, len(databases()), 5)

	assert.NilError(t, byURL.Stop(t.Context()))
	assert.Equal(t, len(databases()), 3)
	// The session of the other one is lost; it still cleans up.
	assert.NilError(t, byKeywords.external.keeper.Close(t.Context()))
	assert.NilError(t, byKeywords.Stop(t.Context()))
	assert.DeepEqual(t, databases(), []string{"dpone_scratch_mine"})
}

func socketFile(t *testing.T, s *Server) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.sockets, ".s.PGSQL.*"))
	assert.NilError(t, err)
	for _, path := range found {
		if !strings.HasSuffix(path, ".lock") {
			return path
		}
	}
	t.Fatal("the server has no socket")
	return ""
}

func TestAddressWithAnotherDatabase(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ address, want string }{
		{"postgres://u:p@h:1/old?sslmode=require&dbname=x", "postgres://u:p@h:1/a%20%27b?sslmode=require"},
		{"postgresql://h", "postgresql://h/a%20%27b"},
		{"host=h dbname=old", `host=h dbname=old dbname='a \'b'`},
	} {
		e := &external{address: test.address}
		got := e.dsn("a 'b")
		assert.Equal(t, got, test.want)
		config, err := pgx.ParseConfig(got)
		assert.NilError(t, err)
		assert.Equal(t, config.Database, "a 'b")
	}
}

func TestDropEndsReplication(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, Options{})
	assert.NilError(t, s.CreateDatabase(t.Context(), "sent"))
	run(t, s.DSNFor("sent"), "select pg_create_logical_replication_slot('slot', 'pgoutput')")
	run(t, s.DSNFor("sent"), "create publication everything")
	conn, err := pgx.Connect(t.Context(), s.DSNFor("sent")+"&replication=database")
	assert.NilError(t, err)
	defer conn.Close(context.Background())
	err = pglogrepl.StartReplication(t.Context(), conn.PgConn(), "slot", 0, pglogrepl.StartReplicationOptions{
		PluginArgs: []string{"proto_version '1'", "publication_names 'everything'"},
	})
	assert.NilError(t, err)
	assert.Assert(t, ask[bool](t, s.DSN(), "select active from pg_replication_slots"))
	assert.NilError(t, s.DropDatabase(t.Context(), "sent"))
}
