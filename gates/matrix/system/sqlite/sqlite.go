// Package sqlite lays out, changes and reads back SQLite database files. It changes and
// reads through the driver of database/sql, by which the engine moves no row. A table declares its columns as docs/types.md has them, so
// that a source needs no options.types.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

const (
	family = "sqlite"
	// table is the name of the table on both sides.
	table = "orders"
)

// Family is SQLite.
func Family() system.Family {
	f := system.Family{Name: family, Start: start}
	f.Declared.Source = fragment("shop.db")
	f.Declared.Sink = fragment("warehouse.db")
	return f
}

func fragment(path string) system.Fragment {
	return system.Fragment{Lines: []string{"type: " + family, fmt.Sprintf("path: %q", path), "table: {name: " + table + "}"}}
}

type server struct {
	dir     string
	durable bool
	version string

	mu        sync.Mutex
	templates map[templateKey]*template
}

// templateKey names a database file that is made once and copied for each case.
type templateKey struct {
	spec fixture.Spec
	form form
}

// form says what a template holds and how.
type form struct {
	delta bool
	// plain keeps times as the engine's documents have them for a sink; otherwise they are as RFC 3339 has them.
	plain bool
	key   bool
}

type template struct {
	sync.Mutex
	path string // empty until it is filled
}

func start(ctx context.Context, o system.Options) (system.Server, error) {
	s := &server{dir: o.Scratch, durable: o.Durable, templates: map[templateKey]*template{}}
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	err = db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&s.version)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", system.ErrUnavailable, err)
	}
	return s, nil
}

// Alive is always so: there is no server.
func (s *server) Alive(context.Context) error { return nil }

func (s *server) Facts() system.Facts {
	return system.Facts{Family: family, System: "SQLite", Version: s.version}
}

func (s *server) Close(context.Context) error {
	var err error
	for _, t := range s.templates {
		if t.path != "" {
			err = errors.Join(err, os.Remove(t.path))
		}
	}
	return err
}

// open gives the one connection of a database that is written, or read and left as it is.
func (s *server) open(ctx context.Context, path, mode string) (*sql.DB, *sql.Conn, error) {
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "mode=" + mode}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	pragmas := []string{"busy_timeout = 10000"}
	if mode != "ro" && !s.durable {
		pragmas = append(pragmas, "synchronous = off") // of this connection alone
	}
	for _, p := range pragmas {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+p); err != nil {
			return nil, nil, errors.Join(err, conn.Close(), db.Close())
		}
	}
	return db, conn, nil
}

// with lends a connection of its own.
func (s *server) with(ctx context.Context, path, mode string, do func(*sql.Conn) error) error {
	db, conn, err := s.open(ctx, path, mode)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return errors.Join(do(conn), conn.Close(), db.Close())
}

// exec runs statements in one transaction.
func exec(ctx context.Context, conn *sql.Conn, statements ...string) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return errors.Join(fmt.Errorf("%.80s: %w", statement, err), tx.Rollback())
		}
	}
	return tx.Commit()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// template gives the database with the rows of a form.
func (s *server) template(ctx context.Context, f *fixture.Fixture, form form) (string, error) {
	s.mu.Lock()
	key := templateKey{f.Spec(), form}
	t := s.templates[key]
	if t == nil {
		t = &template{}
		s.templates[key] = t
	}
	path := filepath.Join(s.dir, "template_"+strconv.Itoa(len(s.templates))+".db")
	s.mu.Unlock()
	t.Lock()
	defer t.Unlock()
	if t.path != "" {
		return t.path, nil
	}
	if err := s.fill(ctx, path, f, form); err != nil {
		return "", errors.Join(fmt.Errorf("fill a template: %w", err), os.Remove(path))
	}
	t.path = path
	return path, nil
}

// fill makes a database with the journal that SQLite begins with, which is none beside the file once it is closed.
func (s *server) fill(ctx context.Context, path string, f *fixture.Fixture, form form) error {
	columns := f.Columns()
	create, err := createTable(columns, form.key)
	if err != nil {
		return err
	}
	rows := f.Before()
	if form.delta {
		rows = f.Delta()
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		return err
	}
	conn.SetInterrupt(ctx.Done())
	if !s.durable {
		err = sqlitex.ExecuteTransient(conn, "PRAGMA synchronous = off", nil)
	}
	if err == nil {
		err = sqlitex.ExecuteTransient(conn, create, nil)
	}
	if err == nil {
		err = insert(conn, columns, form.plain, rows)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return errors.Join(err, conn.Close())
}

// copyFile copies a database that nobody has open.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// createTable declares the columns.
func createTable(columns []fixture.Column, key bool) (string, error) {
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
		if key && c.Name == fixture.ID {
			parts[i] += " PRIMARY KEY"
		}
	}
	return "CREATE TABLE " + table + " (" + strings.Join(parts, ", ") + ")", nil
}

// declare gives the type by which docs/types.md tells a column's kind, with an affinity that keeps every value.
func declare(c fixture.Column) (string, error) {
	switch c.Kind {
	case fixture.Bool:
		return "BOOLEAN", nil
	case fixture.Int16:
		return "SMALLINT", nil
	case fixture.Int32:
		return "INT4", nil
	case fixture.Int64:
		return "BIGINT", nil
	case fixture.Decimal:
		return fmt.Sprintf("NUMERIC_TEXT(%d,%d)", c.Precision, c.Scale), nil
	case fixture.Float32:
		return "FLOAT32_BLOB", nil
	case fixture.Float64:
		return "FLOAT64_BLOB", nil
	case fixture.Date:
		return "DATE", nil
	case fixture.Time:
		return "TIME", nil
	case fixture.Timestamp:
		return "TIMESTAMP", nil
	case fixture.TimestampTZ:
		return "TIMESTAMPTZ", nil
	case fixture.UUID:
		return "UUID", nil
	case fixture.Text:
		if c.Length > 0 {
			return fmt.Sprintf("VARCHAR(%d)", c.Length), nil
		}
		return "TEXT", nil
	case fixture.Bytes:
		return "BLOB", nil
	case fixture.JSON:
		return "JSON_TEXT", nil
	}
	return "", fmt.Errorf("column %q: SQLite has no type for the kind %q", c.Name, c.Kind)
}
