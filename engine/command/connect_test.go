package command_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"gotest.tools/v3/assert"
)

func connect(t *testing.T, dsn string) *pgconn.PgConn {
	t.Helper()
	pg, err := pgconn.Connect(context.Background(), dsn)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = pg.Close(context.Background()) })
	return pg
}
