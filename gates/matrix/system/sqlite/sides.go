package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

type source struct {
	s    *server
	f    *fixture.Fixture
	p    system.Place
	path string
}

func (s *server) Source(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Source, error) {
	path, err := filepath.Abs(filepath.Join(p.Dir, "source.db"))
	if err != nil {
		return nil, err
	}
	from, err := s.template(ctx, f, form{key: true})
	if err != nil {
		return nil, err
	}
	return &source{s: s, f: f, p: p, path: path}, copyFile(from, path)
}

func (s *source) Manifest() system.Fragment { return fragment(s.path) }

func (s *source) Change(ctx context.Context) error {
	from, err := s.s.template(ctx, s.f, form{delta: true, key: true})
	if err != nil {
		return err
	}
	return s.s.with(ctx, s.path, "rw", func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "ATTACH ? AS delta", from); err != nil {
			return err
		}
		statements := change(s.f.Columns())
		if s.p.Events {
			statements = []string{"DELETE FROM main." + table, "INSERT INTO main." + table + " SELECT * FROM delta." + table}
		}
		return exec(ctx, conn, statements...)
	})
}

// change gives the statements that bring the table from Before to After; delta has the tombstones beside the rows of After.
func change(columns []fixture.Column) []string {
	id, t := quote(fixture.ID), "main."+table
	set := make([]string, 0, len(columns))
	for _, c := range columns {
		if c.Name != fixture.ID {
			set = append(set, quote(c.Name)+" = d."+quote(c.Name))
		}
	}
	of := func(v fixture.Version) string {
		return "(SELECT * FROM delta." + table + " WHERE " + quote(fixture.Variant) + " = " + strconv.Itoa(int(v)) + ")"
	}
	return []string{
		"DELETE FROM " + t + " WHERE " + id + " IN (SELECT " + id + " FROM " + of(fixture.Tombstone) + ")",
		"UPDATE " + t + " AS o SET " + strings.Join(set, ", ") + " FROM " + of(fixture.After) + " AS d WHERE o." + id + " = d." + id,
		"INSERT INTO " + t + " SELECT * FROM " + of(fixture.After) + " WHERE " + id + " NOT IN (SELECT " + id + " FROM " + t + ")",
	}
}

func (s *source) Close(context.Context) error { return remove(s.path) }

type destination struct {
	s    *server
	f    *fixture.Fixture
	p    system.Place
	path string
}

func (s *server) Target(_ context.Context, f *fixture.Fixture, p system.Place) (system.Target, error) {
	path, err := filepath.Abs(filepath.Join(p.Dir, "target.db"))
	return &destination{s: s, f: f, p: p, path: path}, err
}

func (t *destination) Manifest() system.Fragment { return fragment(t.path) }

// Seed fills the target. One to which versions of a row are appended has no key.
func (t *destination) Seed(ctx context.Context) (bool, error) {
	key := t.p.Strategy != "incremental_append" && t.p.Strategy != "scd2"
	from, err := t.s.template(ctx, t.f, form{plain: true, key: key})
	if err != nil {
		return false, err
	}
	return true, copyFile(from, t.path)
}

func (t *destination) Rows(ctx context.Context, columns []fixture.Column, each func(fixture.Row) error) error {
	return t.s.with(ctx, t.path, "ro", func(conn *sql.Conn) error { return read(ctx, conn, columns, each) })
}

// texts gives the first column of a query.
func (t *destination) texts(ctx context.Context, query string) (out []string, err error) {
	err = t.s.with(ctx, t.path, "ro", func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err tells
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			out = append(out, text)
		}
		return rows.Err()
	})
	return out, err
}

func (t *destination) Windows(ctx context.Context) ([]string, error) {
	if _, err := os.Stat(t.path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	there, err := t.texts(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'dpone_receipt'")
	if err != nil || len(there) == 0 {
		return nil, err
	}
	windows, err := t.texts(ctx, "SELECT load_window FROM dpone_receipt")
	slices.Sort(windows)
	return windows, err
}

// Leftovers are tables and views that are neither the target nor its state, and files beside the database.
func (t *destination) Leftovers(ctx context.Context) ([]string, error) {
	beside, err := filepath.Glob(t.path + "?*")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, path := range beside {
		left = append(left, filepath.Base(path))
	}
	if _, err := os.Stat(t.path); errors.Is(err, os.ErrNotExist) {
		return left, nil
	}
	tables, err := t.texts(ctx, fmt.Sprintf(`SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
		AND name NOT IN ('%s', 'dpone_state', 'dpone_receipt') AND name NOT LIKE 'sqlite\_%%' ESCAPE '\' ORDER BY name`, table))
	return append(left, tables...), err
}

func (t *destination) Close(context.Context) error { return remove(t.path) }

// remove deletes a database and what SQLite keeps beside it.
func remove(path string) error {
	var err error
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if e := os.Remove(path + suffix); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
