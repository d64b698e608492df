package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

type destination struct {
	e             *endpoint
	f             *fixture.Fixture
	p             system.Place
	schema, state string
	secret        string
}

func newTarget(ctx context.Context, e *endpoint, f *fixture.Fixture, p system.Place) (system.Target, error) {
	t := &destination{e: e, f: f, p: p, schema: name("matrix_dst_", p.Case), state: name("matrix_state_", p.Case)}
	var err error
	if t.secret, err = e.secretFile(p.Dir, "target.dsn", application(p)); err != nil {
		return nil, err
	}
	if err := e.clear(ctx, t.schema); err != nil {
		return nil, err
	}
	// The engine makes the state's schema itself.
	return t, e.exec(ctx, "DROP SCHEMA IF EXISTS "+quote(t.state)+" CASCADE")
}

func (t *destination) Manifest() system.Fragment {
	f := fragment("file:"+t.secret, t.schema)
	f.State = t.state
	return f
}

// Seed fills the target. One to which versions of a row are appended has no key.
func (t *destination) Seed(ctx context.Context) (bool, error) {
	from, err := t.e.template(ctx, t.f, before)
	if err != nil {
		return false, err
	}
	key := t.p.Strategy != "incremental_append" && t.p.Strategy != "scd2"
	return true, t.e.exec(ctx, layOut("CREATE TABLE ", t.schema, from, key)...)
}

func (t *destination) Rows(ctx context.Context, columns []fixture.Column, each func(fixture.Row) error) error {
	return t.e.read(ctx, quote(t.schema, table), columns, each)
}

func (t *destination) Windows(ctx context.Context) ([]string, error) {
	receipts := quote(t.state, "dpone_receipt")
	there, err := t.e.value(ctx, "SELECT to_regclass($1) IS NOT NULL", receipts)
	if err != nil || there != "t" {
		return nil, err
	}
	windows, err := t.e.texts(ctx, "SELECT load_window FROM "+receipts)
	slices.Sort(windows)
	return windows, err
}

// Leftovers are relations in the case's schemas that are neither its target nor its
// state, and sessions of the case, which hold temporary tables.
func (t *destination) Leftovers(ctx context.Context) ([]string, error) {
	left, err := t.e.texts(ctx, `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND (n.nspname = $1 AND c.relname <> $3
		OR n.nspname = $2 AND c.relname NOT IN ('dpone_state', 'dpone_receipt')) ORDER BY 1`, t.schema, t.state, table)
	if err != nil {
		return nil, err
	}
	sessions, err := t.sessions(ctx)
	return append(left, sessions...), err
}

// sessions waits a little for those that are just ending.
func (t *destination) sessions(ctx context.Context) ([]string, error) {
	for try := 0; ; try++ {
		left, err := t.e.texts(ctx, `SELECT 'session ' || pid || ' (' || coalesce(state, backend_type) || ')' FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid`, application(t.p))
		if err != nil || len(left) == 0 || try == 100 {
			return left, err
		}
		if _, err := t.e.texts(ctx, "SELECT pg_sleep(0.02)"); err != nil {
			return nil, err
		}
	}
}

func (t *destination) Close(ctx context.Context) error {
	var err error
	for _, schema := range []string{t.schema, t.state} {
		if e := t.e.exec(ctx, "DROP SCHEMA IF EXISTS "+quote(schema)+" CASCADE"); e != nil {
			err = errors.Join(err, fmt.Errorf("drop the schema %s: %w", schema, e))
		}
	}
	return err
}
