package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// endpoint is a database with the templates that were made in it.
type endpoint struct {
	dsn string
	// permanent makes every table of a case one that survives a crash of the server.
	permanent bool
	schema    string // of the templates

	mu        sync.Mutex
	templates map[templateKey]*template
}

type templateKey struct {
	spec fixture.Spec
	role role
}

// role says which rows a template holds.
type role string

const (
	before role = "before"
	delta  role = "delta"
)

type template struct {
	sync.Mutex
	table string // quoted; empty until it is filled
}

func newEndpoint(dsn string, permanent bool) *endpoint {
	return &endpoint{dsn: dsn, permanent: permanent, schema: "matrix_templates_" + token(), templates: map[templateKey]*template{}}
}

func (e *endpoint) connect(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig(e.dsn)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "dpone_matrix"
	return pgconn.ConnectConfig(ctx, config)
}

// with lends a connection of its own.
func (e *endpoint) with(ctx context.Context, do func(*pgconn.PgConn) error) error {
	conn, err := e.connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// exec runs statements in one transaction, unless they begin one themselves.
func (e *endpoint) exec(ctx context.Context, statements ...string) error {
	return e.with(ctx, func(conn *pgconn.PgConn) error { return run(ctx, conn, statements...) })
}

func run(ctx context.Context, conn *pgconn.PgConn, statements ...string) error {
	_, err := conn.Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	return err
}

// texts gives the first column of a query.
func (e *endpoint) texts(ctx context.Context, sql string, args ...string) (out []string, err error) {
	err = e.with(ctx, func(conn *pgconn.PgConn) error {
		params := make([][]byte, len(args))
		for i, a := range args {
			params[i] = []byte(a)
		}
		r := conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
		for _, row := range r.Rows {
			out = append(out, string(row[0]))
		}
		return r.Err
	})
	return out, err
}

func (e *endpoint) value(ctx context.Context, sql string, args ...string) (string, error) {
	out, err := e.texts(ctx, sql, args...)
	if err != nil || len(out) == 0 {
		return "", err
	}
	return out[0], nil
}

// template gives the table with the rows of a role. It is filled by COPY once.
func (e *endpoint) template(ctx context.Context, f *fixture.Fixture, r role) (string, error) {
	e.mu.Lock()
	key := templateKey{f.Spec(), r}
	t := e.templates[key]
	if t == nil {
		t = &template{}
		e.templates[key] = t
	}
	name := string(r) + "_" + strconv.Itoa(len(e.templates))
	e.mu.Unlock()
	t.Lock()
	defer t.Unlock()
	if t.table != "" {
		return t.table, nil
	}
	rows := f.Before()
	if r == delta {
		rows = f.Delta()
	}
	full := quote(e.schema, name)
	if err := e.fill(ctx, full, f.Columns(), rows); err != nil {
		return "", fmt.Errorf("fill a template with the rows of %s: %w", r, err)
	}
	t.table = full
	return full, nil
}

func (e *endpoint) fill(ctx context.Context, full string, columns []fixture.Column, rows iter.Seq[fixture.Row]) error {
	create, err := createTable("CREATE UNLOGGED TABLE "+full, columns)
	if err != nil {
		return err
	}
	return e.with(ctx, func(conn *pgconn.PgConn) error {
		// Two that make the schema at once can meet in the catalogue, which IF NOT EXISTS does not see.
		e.mu.Lock()
		err := run(ctx, conn, "CREATE SCHEMA IF NOT EXISTS "+quote(e.schema))
		e.mu.Unlock()
		if err != nil {
			return err
		}
		if err := run(ctx, conn, create); err != nil {
			return err
		}
		in := newCopyReader(columns, rows)
		defer in.close()
		if _, err := conn.CopyFrom(ctx, in, "COPY "+full+" FROM STDIN"); err != nil {
			return errors.Join(err, run(context.WithoutCancel(ctx), conn, "DROP TABLE "+full))
		}
		return run(ctx, conn, "ANALYZE "+full+" ("+quote(fixture.ID)+")")
	})
}

func (e *endpoint) close(ctx context.Context) error {
	return e.exec(ctx, "DROP SCHEMA IF EXISTS "+quote(e.schema)+" CASCADE")
}

// secretFile writes the address into a file that only its owner reads. Sessions that
// come by it can be told from others by their name.
func (e *endpoint) secretFile(dir, name, application string) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	dsn, err := named(e.dsn, application)
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(dsn+"\n"), 0o600)
}

// named adds the name of the sessions to an address.
func named(dsn, application string) (string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " application_name=" + application, nil
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("the address of the server is no URL") // the cause would show the password
	}
	q := u.Query()
	q.Set("application_name", application)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// name gives a name for a case's own thing, within the 63 bytes that PostgreSQL keeps.
func name(prefix, of string) string {
	full := prefix + of
	if len(full) <= 63 {
		return full
	}
	sum := sha256.Sum256([]byte(of))
	return full[:54] + "_" + hex.EncodeToString(sum[:4])
}

// createTable declares the columns in the types that a user would choose.
func createTable(head string, columns []fixture.Column) (string, error) {
	parts := make([]string, len(columns))
	for i, c := range columns {
		native, err := declare(c)
		if err != nil {
			return "", err
		}
		parts[i] = quote(c.Name) + " " + native
		if c.NotNull {
			parts[i] += " NOT NULL"
		}
	}
	return head + " (" + strings.Join(parts, ", ") + ")", nil
}

func declare(c fixture.Column) (string, error) {
	switch c.Kind {
	case fixture.Decimal:
		return fmt.Sprintf("numeric(%d,%d)", c.Precision, c.Scale), nil
	case fixture.Text:
		if c.Length > 0 {
			return fmt.Sprintf("varchar(%d)", c.Length), nil
		}
	}
	for _, n := range natives() {
		if n.kind == c.Kind {
			return n.name, nil
		}
	}
	return "", fmt.Errorf("column %q: PostgreSQL has no type for the kind %q", c.Name, c.Kind)
}

// wantsLogical refuses what the server cannot do.
func (e *endpoint) wantsLogical(ctx context.Context) error {
	level, err := e.value(ctx, "SELECT current_setting('wal_level')")
	if err == nil && level != "logical" {
		err = fmt.Errorf("%w: the server has wal_level = %s, and changes need logical", system.ErrUnavailable, level)
	}
	return err
}
