package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	_ "modernc.org/sqlite" // the driver

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// row holds the values of one row as PostgreSQL writes them in text, nil for NULL.
type row [][]byte

// reader visits the rows of a source. A row is the callback's until it returns.
type reader func(ctx context.Context, each func(row) error) error

// texts collects the values of a row in one piece of memory.
type texts struct {
	buf  []byte
	ends []int // the length of buf behind each value, less than 0 for NULL
	out  row
}

func (t *texts) reset() { t.buf, t.ends = t.buf[:0], t.ends[:0] }
func (t *texts) end()   { t.ends = append(t.ends, len(t.buf)) }
func (t *texts) null()  { t.ends = append(t.ends, -1) }

func (t *texts) row() row {
	t.out = t.out[:0]
	from := 0
	for _, end := range t.ends {
		if end < 0 {
			t.out = append(t.out, nil)
			continue
		}
		t.out = append(t.out, t.buf[from:end:end])
		from = end
	}
	return t.out
}

func (j job) readPostgres(ctx context.Context, each func(row) error) error {
	conn, err := pgconn.Connect(ctx, j.from.Connection.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing was written
	r := conn.ExecParams(ctx, "SELECT * FROM "+j.from.table(), nil, nil, nil, nil)
	for err == nil && r.NextRow() {
		err = each(r.Values())
	}
	_, end := r.Close()
	return errors.Join(err, end)
}

// writePostgres empties and fills the table in one transaction.
func (j job) writePostgres(ctx context.Context, read reader) error {
	conn, err := pgconn.Connect(ctx, j.to.Connection.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // the commit tells
	if _, err := conn.Exec(ctx, "BEGIN; TRUNCATE "+j.to.table()).ReadAll(); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 64<<10)
		var line []byte
		err := read(ctx, func(values row) error {
			line = appendCopy(line[:0], values)
			_, err := out.Write(line)
			return err
		})
		w.CloseWithError(errors.Join(err, out.Flush()))
	}()
	_, err = conn.CopyFrom(ctx, r, "COPY "+j.to.table()+" FROM STDIN")
	r.CloseWithError(err)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "COMMIT").ReadAll()
	return err
}

// appendCopy adds a line in the text format of COPY.
func appendCopy(dst []byte, values row) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, '\t')
		}
		if v == nil {
			dst = append(dst, `\N`...)
			continue
		}
		for len(v) > 0 {
			n := bytes.IndexAny(v, "\\\t\n\r")
			if n < 0 {
				dst = append(dst, v...)
				break
			}
			escape := v[n]
			if at := strings.IndexByte("\t\n\r", escape); at >= 0 {
				escape = "tnr"[at]
			}
			dst, v = append(append(dst, v[:n]...), '\\', escape), v[n+1:]
		}
	}
	return append(dst, '\n')
}

// withSQLite lends the one connection of a database with the settings that SQLite begins with.
func withSQLite(ctx context.Context, path string, do func(*sql.Conn) error) error {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(do(conn), conn.Close(), db.Close())
}

func (j job) readSQLite(ctx context.Context, each func(row) error) error {
	names := make([]string, len(j.columns))
	for i, c := range j.columns {
		names[i] = `+"` + c.Name + `"` // an expression has no declared type by which the driver would make times of texts
	}
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + j.from.Table.Name
	return withSQLite(ctx, j.from.Path, func(conn *sql.Conn) error {
		return conn.Raw(func(raw any) (err error) {
			querier, ok := raw.(driver.QueryerContext)
			if !ok {
				return errors.New("the driver takes no queries")
			}
			rows, err := querier.QueryContext(ctx, query, nil)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, rows.Close()) }()
			values := make([]driver.Value, len(j.columns))
			var t texts
			for {
				if err := rows.Next(values); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				t.reset()
				for _, v := range values {
					t.add(v)
				}
				if err := each(t.row()); err != nil {
					return err
				}
			}
		})
	})
}

// add appends what the driver of SQLite gives.
func (t *texts) add(v driver.Value) {
	switch v := v.(type) {
	case nil:
		t.null()
		return
	case int64:
		t.buf = strconv.AppendInt(t.buf, v, 10)
	case float64:
		t.buf = canon.AppendFloat(t.buf, v, 64)
	case string:
		t.buf = append(t.buf, v...)
	case []byte:
		t.buf = hex.AppendEncode(append(t.buf, `\x`...), v)
	default:
		t.buf = fmt.Append(t.buf, v)
	}
	t.end()
}

// writeSQLite empties and fills the table in one transaction.
func (j job) writeSQLite(ctx context.Context, read reader) error {
	return withSQLite(ctx, j.to.Path, func(conn *sql.Conn) error {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		err = func() error {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+j.to.Table.Name); err != nil {
				return err
			}
			stmt, err := tx.PrepareContext(ctx, "INSERT INTO "+j.to.Table.Name+" VALUES (?"+strings.Repeat(", ?", len(j.columns)-1)+")")
			if err != nil {
				return err
			}
			defer func() { _ = stmt.Close() }() // the transaction's end tells
			args := make([]any, len(j.columns))
			return read(ctx, func(values row) error {
				for i, v := range values {
					if args[i], err = kept(j.columns[i].Kind, v); err != nil {
						return fmt.Errorf("column %q: %w", j.columns[i].Name, err)
					}
				}
				_, err := stmt.ExecContext(ctx, args...)
				return err
			})
		}()
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
}

// kept is what SQLite keeps of a value.
func kept(k fixture.Kind, v []byte) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch k {
	case fixture.Bool:
		return v[0] == 't' || v[0] == '1', nil
	case fixture.Int16, fixture.Int32, fixture.Int64:
		return strconv.ParseInt(string(v), 10, 64)
	case fixture.Float32, fixture.Float64:
		if string(v) == "NaN" {
			return "NaN", nil // bound as a number it would become NULL
		}
		return strconv.ParseFloat(string(v), canon.Bits(k))
	case fixture.Bytes:
		return hex.AppendDecode([]byte{}, bytes.TrimPrefix(v, []byte(`\x`)))
	}
	return string(v), nil
}

// writeCSV writes one file with a header.
func (j job) writeCSV(ctx context.Context, read reader, path string) error {
	return compressed(path, func(w io.Writer) error {
		header := make(row, len(j.columns))
		for i, c := range j.columns {
			header[i] = []byte(c.Name)
		}
		out := bufio.NewWriterSize(w, 64<<10)
		line := appendCSV(nil, header)
		if _, err := out.Write(line); err != nil {
			return err
		}
		err := read(ctx, func(values row) error {
			line = appendCSV(line[:0], values)
			_, err := out.Write(line)
			return err
		})
		return errors.Join(err, out.Flush())
	})
}

// appendCSV adds a record as COPY writes it: NULL is nothing, and an empty text has quotes.
func appendCSV(dst []byte, values row) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case v == nil:
		case len(v) > 0 && !bytes.ContainsAny(v, ",\"\r\n"):
			dst = append(dst, v...)
		default:
			dst = append(dst, '"')
			dst = append(append(dst, bytes.ReplaceAll(v, []byte{'"'}, []byte{'"', '"'})...), '"')
		}
	}
	return append(dst, '\n')
}
