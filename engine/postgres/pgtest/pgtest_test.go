package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "Two: ünïcode / and a name that is much too long for a database"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
			assert.NilError(t, err)
			_, err = conn.Exec(t.Context(), "create table same_name (a int)")
			assert.NilError(t, err)
			// Left open: a test that forgets to close must not hinder the drop.
		})
	}
}

func TestServerOfItsOwn(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{Settings: map[string]string{"application_name": `it's a \ name`}})
	conn, err := pgx.Connect(t.Context(), server.DSN())
	assert.NilError(t, err)
	defer conn.Close(t.Context())
	var name string
	assert.NilError(t, conn.QueryRow(t.Context(), "select current_setting('application_name')").Scan(&name))
	assert.Equal(t, name, `it's a \ name`)
}
