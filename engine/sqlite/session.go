package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/logical"
)

// The primary result codes that are looked at (sqlite.org/rescode.html).
const (
	codeBusy     = 5
	codeReadOnly = 8
	codeCantOpen = 14
	codeNotADB   = 26
)

// primary gives the primary result code of an error of SQLite, 0 for other errors.
func primary(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// session is one connection to a file.
type session struct {
	path string
	db   *sql.DB
	conn *sql.Conn
}

// resolve gives the absolute path of a manifest's path, without symbolic links, so
// that two names of one file are the same. The file itself need not exist.
func resolve(dir, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(real, filepath.Base(path)), nil
	}
	return path, nil
}

func exists(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, &connector.Error{Code: "sqlite.file", Msg: fmt.Sprintf("%s is not a regular file", path), Fix: "name a SQLite database file"}
	}
	return true, nil
}

// opener makes connections that know the package's functions and collations. They
// belong to these connections alone: nothing is registered for the process.
type opener struct {
	driver *sqlite.Driver
	dsn    string
}

func (o *opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open(o.dsn) }
func (o *opener) Driver() driver.Driver                        { return o.driver }

// open connects; mode is ro, rw or rwc (sqlite.org/uri.html). A file that a writer
// holds is waited for.
func open(ctx context.Context, path, mode string, wait time.Duration, pragmas ...string) (*session, error) {
	d, err := newDriver()
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	dsn := (&url.URL{Scheme: "file", Path: slashed, RawQuery: "mode=" + mode}).String()
	s := &session{path: path, db: sql.OpenDB(&opener{driver: d, dsn: dsn})}
	s.db.SetMaxOpenConns(1)
	if s.conn, err = s.db.Conn(ctx); err != nil {
		_ = s.db.Close()
		return nil, s.unopened(err)
	}
	for _, p := range pragmas {
		if err := s.patiently(ctx, "PRAGMA "+p, wait); err != nil {
			_ = s.close()
			return nil, s.unopened(err)
		}
	}
	return s, nil
}

func (s *session) unopened(err error) error {
	e := connector.Fail("sqlite.open", err, "open %s", s.path)
	switch primary(err) {
	case codeBusy:
		e.Code, e.Fix = "sqlite.busy", "wait for the writer that holds it, and run again"
	case codeReadOnly:
		e.Code, e.Fix = "sqlite.journal", "a writer ended in the middle of a transaction, which has to be rolled back: open the file once for writing, for example with the sqlite3 shell, and read a table"
	case codeNotADB:
		e.Fix = "the file is not a SQLite database"
	case codeCantOpen:
		e.Fix = "look at the path and its permissions; a database with a write-ahead log needs a folder in which files may be made"
	}
	return e
}

func (s *session) close() error { return errors.Join(s.conn.Close(), s.db.Close()) }

// Exec runs one statement and gives the number of rows it changed.
func (s *session) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := s.conn.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Query runs one statement and visits its rows.
func (s *session) Query(ctx context.Context, statement string, args []any, row func(scan func(dest ...any) error) error) error {
	rows, err := s.conn.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads one value; it stays as it is when there is no row.
func (s *session) one(ctx context.Context, dest any, statement string, args ...any) error {
	return s.Query(ctx, statement, args, func(scan func(...any) error) error { return scan(dest) })
}

// patiently does what may find the file busy, until it does not or the time is over.
// SQLite's own waiting cannot be interrupted.
func patiently(ctx context.Context, wait time.Duration, do func() error) error {
	deadline := time.Now().Add(wait)
	for {
		err := do()
		if primary(err) != codeBusy || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// patiently runs a statement that may find the file busy.
func (s *session) patiently(ctx context.Context, statement string, wait time.Duration) error {
	return patiently(ctx, wait, func() error {
		_, err := s.conn.ExecContext(ctx, statement)
		return err
	})
}

// The names of what the connections know beside SQLite's own.
const (
	negativeFunction = "dpone_negative" // dpone_negative(x): 1 for a negative number, -0 among them, 0 for others
	textFunction     = "dpone_text"     // dpone_text(value, type): the text form of a value
)

// collationOf names the collation in which texts of the kind have its order.
func collationOf(k logical.Kind) string { return "dpone_" + k.String() }

// newDriver gives a driver with functions and collations of its own.
func newDriver() (*sqlite.Driver, error) {
	d := &sqlite.Driver{}
	err := d.RegisterDeterministicScalarFunction(negativeFunction, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if v, ok := args[0].(float64); ok && math.Signbit(v) {
			return int64(1), nil
		}
		return int64(0), nil
	})
	if err != nil {
		return nil, err
	}
	err = d.RegisterDeterministicScalarFunction(textFunction, 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if args[0] == nil {
			return nil, nil
		}
		name, _ := args[1].(string)
		t, err := logical.Parse(name)
		if err != nil {
			return nil, err
		}
		value, err := decode(nil, t, args[0])
		if err != nil {
			return nil, err
		}
		text, err := logical.AppendText(nil, t, value)
		return string(text), err
	})
	if err != nil {
		return nil, err
	}
	for k := logical.Bool; k < logical.Native; k++ {
		if natural(k) {
			continue
		}
		if err := d.RegisterCollationUtf8(collationOf(k), collate(k)); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// natural says whether SQLite's own operators give the kind's order.
func natural(k logical.Kind) bool {
	switch k {
	case logical.Bool, logical.Int16, logical.Int32, logical.Int64, logical.Float32, logical.Float64, logical.Text, logical.Bytes:
		return true
	}
	return false
}

// unique says whether two texts of one value of the kind are the same text.
func unique(k logical.Kind) bool { return natural(k) || k == logical.Date }

// collate compares texts as the values of the kind that they are. What is none comes last.
func collate(k logical.Kind) func(a, b string) int {
	t := logical.Type{Kind: k}
	return func(a, b string) int {
		left, lerr := logical.ParseText(nil, t, []byte(a))
		right, rerr := logical.ParseText(nil, t, []byte(b))
		switch {
		case lerr != nil && rerr != nil:
			return strings.Compare(a, b)
		case lerr != nil:
			return 1
		case rerr != nil:
			return -1
		}
		return order.Compare(k, left, right)
	}
}

// quote quotes an identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

// literal quotes a text.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
