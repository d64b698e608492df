package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/logical"
)

// primary gives the primary result code of an error of SQLite
// (sqlite.org/rescode.html), ResultOK for other errors and for none.
func primary(err error) sqlite.ResultCode {
	code := sqlite.ErrCode(err).ToPrimary()
	if code == sqlite.ResultError {
		return sqlite.ResultOK // also what is no error of SQLite has this code
	}
	return code
}

// session is one connection to a file. Its methods may be called from several
// goroutines, which take turns: the connection itself has no lock.
type session struct {
	path string
	mu   sync.Mutex
	conn *sqlite.Conn
	// open are the statements that were prepared and not finalized yet: the
	// connection cannot be closed before them.
	open map[*sqlite.Stmt]bool
	// mapped says that pages of the file are read where the system has mapped them;
	// broken, that one of them was not there any more. Nobody knows then in what state
	// the connection is, so that it is not used again, and not closed either.
	mapped, broken bool
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

// The modes in which a file is opened (sqlite.org/uri.html).
const (
	readOnly  = "ro"
	readWrite = "rw"
	orCreate  = "rwc" // when it is not there
)

// The caches of pages, in KiB. Pages that are used once, one after the other, need few,
// and memory that is new costs time; those that are changed in any order need many.
const (
	smallCache = "cache_size = -2000"
	largeCache = "cache_size = -16384"
)

// mapping lets SQLite read the first 256 MiB of a file where the system has mapped them
// into memory, which saves copying each page (sqlite.org/mmap.html).
const mapping = "mmap_size = 268435456"

// uri names a file in one of the modes.
func uri(path, mode string) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: "mode=" + mode}).String()
}

// open connects. A file that a writer holds is waited for.
func open(ctx context.Context, path, mode string, wait time.Duration, pragmas ...string) (*session, error) {
	flags := map[string]sqlite.OpenFlags{readOnly: sqlite.OpenReadOnly, readWrite: sqlite.OpenReadWrite, orCreate: sqlite.OpenReadWrite | sqlite.OpenCreate}
	s := &session{path: path, open: map[*sqlite.Stmt]bool{}}
	var err error
	if s.conn, err = sqlite.OpenConn(uri(path, mode), flags[mode], sqlite.OpenURI); err != nil {
		return nil, s.unopened(err)
	}
	s.conn.SetBusyTimeout(0) // patiently waits
	if err := extend(s.conn); err != nil {
		return nil, errors.Join(err, s.close())
	}
	// The last one is the first look at the file, which finds what a crash left behind.
	for _, p := range append(pragmas, "main.schema_version") {
		if err := s.patiently(ctx, "PRAGMA "+p, wait); err != nil {
			return nil, errors.Join(s.unopened(err), s.close())
		}
	}
	return s, nil
}

func (s *session) unopened(err error) error {
	e := connector.Fail("sqlite.open", err, "open %s", s.path)
	switch primary(err) {
	case sqlite.ResultBusy:
		e.Code, e.Fix = "sqlite.busy", "wait for the writer that holds it, and run again"
	case sqlite.ResultReadOnly:
		e.Code, e.Fix = "sqlite.journal", "a writer ended in the middle of a transaction, which has to be rolled back: open the file once for writing, for example with the sqlite3 shell, and read a table"
	case sqlite.ResultNotADB:
		e.Fix = "the file is not a SQLite database"
	case sqlite.ResultCantOpen:
		e.Fix = "look at the path and its permissions; a database with a write-ahead log needs a folder in which files may be made"
	}
	return e
}

func (s *session) close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil
	}
	for stmt := range s.open {
		_ = stmt.Finalize() // it tells again of the error that was told already
	}
	s.open = nil
	return s.conn.Close()
}

// use lends the connection. What runs on it ends when ctx does, with its cause.
func (s *session) use(ctx context.Context, f func(*sqlite.Conn) error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errVanished
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.mapped {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if r := recover(); r != nil {
				err = s.fault(r)
			}
		}()
	}
	if done := ctx.Done(); done != nil {
		s.conn.SetInterrupt(done)
		defer s.conn.SetInterrupt(nil)
	}
	err = f(s.conn)
	if primary(err) == sqlite.ResultInterrupt && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errVanished is what a read from mapped memory ends with that the system could not serve.
var errVanished = errors.New("a part of the file cannot be read: it was cut off, or the disk has an error")

// fault makes an error of a read from mapped memory that failed; other panics go on.
func (s *session) fault(r any) error {
	if at, ok := r.(interface{ Addr() uintptr }); !ok || at.Addr() == 0 {
		panic(r) //nolint:forbidigo // another's panic goes on
	}
	s.broken = true
	return errVanished
}

// prepare makes a statement, within use.
func (s *session) prepare(statement string) (*sqlite.Stmt, error) {
	stmt, rest, err := s.conn.PrepareTransient(statement)
	if err != nil {
		return nil, err
	}
	if tail := statement[len(statement)-rest:]; strings.Trim(tail, "; \t\r\n") != "" {
		return nil, errors.Join(fmt.Errorf("only one statement is run, and after it comes %.40q", strings.TrimSpace(tail)), stmt.Finalize())
	}
	s.open[stmt] = true
	return stmt, nil
}

// finalize takes a statement away, within use.
func (s *session) finalize(stmt *sqlite.Stmt) error {
	delete(s.open, stmt)
	return stmt.Finalize()
}

// Exec runs one statement and gives the number of rows it changed.
func (s *session) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return s.each(ctx, statement, args, func(*sqlite.Stmt) error { return nil })
}

// Query runs one statement and visits its rows.
func (s *session) Query(ctx context.Context, statement string, args []any, row func(scan func(dest ...any) error) error) error {
	_, err := s.each(ctx, statement, args, func(stmt *sqlite.Stmt) error {
		return row(func(dest ...any) error { return scan(stmt, dest) })
	})
	return err
}

// each runs one statement, visits its rows and gives the number of rows it changed.
func (s *session) each(ctx context.Context, statement string, args []any, row func(*sqlite.Stmt) error) (changed int64, err error) {
	err = s.use(ctx, func(conn *sqlite.Conn) (err error) {
		stmt, err := s.prepare(statement)
		if err != nil {
			return err
		}
		defer func() {
			// After an error it tells the same error once more.
			if ferr := s.finalize(stmt); err == nil {
				err = ferr
			}
		}()
		if err := bindAll(stmt, args); err != nil {
			return err
		}
		for {
			more, err := stmt.Step()
			if !more {
				changed = int64(conn.Changes())
				return err
			}
			if err := row(stmt); err != nil {
				return err
			}
		}
	})
	return changed, err
}

func bindAll(stmt *sqlite.Stmt, args []any) error {
	if n := stmt.BindParamCount(); n != len(args) {
		return fmt.Errorf("the statement has %d parameters, and there are %d values", n, len(args))
	}
	for i, arg := range args {
		at := i + 1
		switch v := arg.(type) {
		case nil:
			stmt.BindNull(at)
		case string:
			stmt.BindText(at, v)
		case []byte:
			stmt.BindBytes(at, v)
		case int64:
			stmt.BindInt64(at, v)
		case int:
			stmt.BindInt64(at, int64(v))
		case bool:
			stmt.BindBool(at, v)
		case float64:
			stmt.BindFloat(at, v)
		default:
			return fmt.Errorf("parameter %d: SQLite keeps no %T", at, arg)
		}
	}
	return nil
}

// scan reads the columns of a row. A number is a text where a text is asked for, and
// NULL is a nil pointer; whatever else is not of the kind is an error.
func scan(stmt *sqlite.Stmt, dest []any) error {
	if n := stmt.ColumnCount(); n != len(dest) {
		return fmt.Errorf("the row has %d columns, and %d are asked for", n, len(dest))
	}
	for i, d := range dest {
		class := stmt.ColumnType(i)
		null, number := class == sqlite.TypeNull, class == sqlite.TypeInteger || class == sqlite.TypeFloat
		fits := !null
		switch d := d.(type) {
		case *string:
			*d = stmt.ColumnText(i)
		case **string:
			fits = true
			if *d = nil; !null {
				text := stmt.ColumnText(i)
				*d = &text
			}
		case **int64:
			fits = null || class == sqlite.TypeInteger
			if *d = nil; !null {
				n := stmt.ColumnInt64(i)
				*d = &n
			}
		case *int64:
			*d, fits = stmt.ColumnInt64(i), class == sqlite.TypeInteger
		case *int:
			*d, fits = stmt.ColumnInt(i), class == sqlite.TypeInteger
		case *bool:
			*d, fits = stmt.ColumnBool(i), class == sqlite.TypeInteger
		case **float64:
			fits = null || number
			if *d = nil; number {
				f := stmt.ColumnFloat(i)
				*d = &f
			}
		default:
			fits = false
		}
		if !fits {
			return fmt.Errorf("column %d (%s) is %s and no %T", i+1, stmt.ColumnName(i), className[class], d)
		}
	}
	return nil
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
		if primary(err) != sqlite.ResultBusy || time.Now().After(deadline) {
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
		_, err := s.Exec(ctx, statement)
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

// extend gives a connection functions and collations of its own.
func extend(conn *sqlite.Conn) error {
	err := conn.CreateFunction(negativeFunction, &sqlite.FunctionImpl{
		NArgs: 1, Deterministic: true, AllowIndirect: true,
		Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			if args[0].Type() == sqlite.TypeFloat && math.Signbit(args[0].Float()) {
				return sqlite.IntegerValue(1), nil
			}
			return sqlite.IntegerValue(0), nil
		},
	})
	if err != nil {
		return err
	}
	err = conn.CreateFunction(textFunction, &sqlite.FunctionImpl{
		NArgs: 2, Deterministic: true, AllowIndirect: true,
		Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			if args[0].Type() == sqlite.TypeNull {
				return sqlite.Value{}, nil
			}
			t, err := logical.Parse(args[1].Text())
			if err != nil {
				return sqlite.Value{}, err
			}
			canonical, err := decode(nil, t, argument(args[0]))
			if err != nil {
				return sqlite.Value{}, err
			}
			text, err := logical.AppendText(nil, t, canonical)
			return sqlite.TextValue(string(text)), err
		},
	})
	if err != nil {
		return err
	}
	for k := logical.Bool; k < logical.Native; k++ {
		if natural(k) {
			continue
		}
		if err := conn.SetCollation(collationOf(k), collate(k)); err != nil {
			return err
		}
	}
	return nil
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
