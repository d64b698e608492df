// Package pgtest gives tests a PostgreSQL database.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		dsn := pgtest.Database(t) // empty, and gone when the test ends
//	}
//
// A test that cannot have a server is skipped with the reason and the fix. With
// DPONE_IT_PG_REQUIRED=1 in the environment it fails instead. The other
// variables are those of pgserver.FromEnvironment.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/engine/postgres/pgserver/embedded"
)

// shared is the one server of the test process: the tests of a package have
// nothing else in common that could hold it.
var shared struct {
	sync.Mutex
	server *pgserver.Server
	err    error    // of the only try to start it
	count  int      // databases made so far
	idle   []string // databases that an earlier test left empty
}

// Main runs the tests and stops the server that they shared. The package
// testing itself ends the process with the code that Main gives, so that
// TestMain need not. Without Main the server ends with the process too, just a
// moment later.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		return code
	}
	if err := shared.server.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
	}
	shared.server = nil
	return code
}

// Options are what the surroundings ask for, with the download of
// pgserver/embedded as fallback.
func Options() pgserver.Options {
	opts := pgserver.FromEnvironment()
	opts.Fallback = embedded.Start
	return opts
}

// Database gives the address of an empty database on a server that all tests of
// the process share, for this test alone. Making one takes longer than most
// tests, so one that can be emptied again is handed on to a later test. Use
// Server for a test that changes what the databases of a server have in common,
// such as roles and settings, or that ends the server.
func Database(t testing.TB) string {
	t.Helper()
	server := start(t)
	name, isNew := take(t.Name())
	if isNew {
		if err := server.CreateDatabase(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if empty(ctx, server.DSNFor(name)) == nil {
			shared.Lock()
			defer shared.Unlock()
			shared.idle = append(shared.idle, name)
			return
		}
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return server.DSNFor(name)
}

// start gives the shared server.
func start(t testing.TB) *pgserver.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		// The server outlives the test that happens to be the first.
		shared.server, shared.err = pgserver.Start(context.WithoutCancel(t.Context()), Options())
	}
	if shared.err != nil {
		give(t, shared.err)
	}
	return shared.server
}

// take gives the name of a database that is idle, or of one that has to be made.
func take(test string) (name string, isNew bool) {
	shared.Lock()
	defer shared.Unlock()
	if n := len(shared.idle); n > 0 {
		name, shared.idle = shared.idle[n-1], shared.idle[:n-1]
		return name, false
	}
	shared.count++
	return databaseName(shared.count, test), true
}

// emptySQL removes what tests make in a database, and fails when there is more:
// such a database is dropped.
const emptySQL = `DO $$
DECLARE s text;
BEGIN
	PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
	FOR s IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', s);
	END LOOP;
	CREATE SCHEMA public;
	GRANT USAGE ON SCHEMA public TO PUBLIC;
	FOR s IN SELECT pubname FROM pg_publication LOOP
		EXECUTE format('DROP PUBLICATION %I', s);
	END LOOP;
	IF EXISTS (SELECT FROM pg_replication_slots WHERE database = current_database())
		OR EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())
		OR EXISTS (SELECT FROM pg_largeobject_metadata)
		OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
		OR EXISTS (SELECT FROM pg_extension WHERE extname <> 'plpgsql')
		OR EXISTS (SELECT FROM pg_foreign_data_wrapper) OR EXISTS (SELECT FROM pg_event_trigger) OR EXISTS (SELECT FROM pg_default_acl) THEN
		RAISE 'more than tables is left';
	END IF;
END $$`

// empty brings a database back to how it was made.
func empty(ctx context.Context, dsn string) error {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, emptySQL).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// Server gives a server of its own that is stopped when the test ends. Start
// from Options to follow the surroundings; options without DSN always give a
// local server.
func Server(t testing.TB, opts pgserver.Options) *pgserver.Server {
	t.Helper()
	if opts.Log == nil {
		opts.Log = func(line string) { t.Log(line) }
	}
	server, err := pgserver.Start(t.Context(), opts)
	if err != nil {
		give(t, err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return server
}

// give ends the test: skipped when there is no server and none is required.
func give(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, pgserver.ErrNoServer) && os.Getenv("DPONE_IT_PG_REQUIRED") != "1" {
		t.Skip(err)
	}
	t.Fatal(err)
}

// databaseName tells a reader of the server's log which test it belongs to.
func databaseName(number int, test string) string {
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	name := fmt.Sprintf("t%d_%s", number, letters)
	return name[:min(len(name), 32)]
}
