package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
)

// badValue is a value that does not fit its column.
type badValue struct {
	row    int64 // counted from 1, in the order of the read
	id     int64 // SQLite's own number of the row, when hasID
	hasID  bool
	column string
	err    error
}

func (b *badValue) Error() string {
	place := fmt.Sprintf("row %d", b.row)
	if b.hasID {
		place = fmt.Sprintf("row with rowid %d", b.id)
	}
	return fmt.Sprintf("%s, column %q: %v", place, b.column, b.err)
}

func (b *badValue) Unwrap() error { return b.err }

// cursor runs a statement and gives its rows as batches.
type cursor struct {
	conn *sql.Conn
	// sql gives the columns in order, and after them the row's number when hasID.
	sql     string
	columns batch.Schema
	hasID   bool
	// bad decides about a row that cannot be read: nil leaves it out. Without it the first one ends the read.
	bad func(*badValue) error

	stmt   driver.Stmt
	rows   driver.Rows
	values []driver.Value
	at     int64
	ended  bool // one more step would begin the statement again
}

// fill adds at most n rows or about size bytes to an empty batch; io.EOF when there is none.
func (c *cursor) fill(ctx context.Context, b *batch.Batch, n, size int) error {
	// Below database/sql a value is neither copied nor converted once more.
	return c.conn.Raw(func(raw any) error {
		if err := c.open(ctx, raw); err != nil {
			return err
		}
		for b.Rows() < n {
			if c.ended {
				if b.Rows() > 0 {
					return nil
				}
				return io.EOF
			}
			if b.Rows()%64 == 0 && b.Size() >= size {
				return nil
			}
			err := c.rows.Next(c.values)
			if errors.Is(err, io.EOF) {
				c.ended = true
				continue
			}
			if err != nil {
				return err
			}
			c.at++
			if c.at%1024 == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := c.row(b); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *cursor) open(ctx context.Context, raw any) error {
	if c.rows != nil {
		return nil
	}
	preparer, ok := raw.(driver.ConnPrepareContext)
	if !ok {
		return errors.New("sqlite: the driver cannot prepare statements")
	}
	stmt, err := preparer.PrepareContext(ctx, c.sql)
	if err != nil {
		return err
	}
	c.stmt = stmt
	querier, ok := stmt.(driver.StmtQueryContext)
	if !ok {
		return errors.New("sqlite: the driver cannot run prepared statements")
	}
	if c.rows, err = querier.QueryContext(ctx, nil); err != nil {
		return err
	}
	c.values = make([]driver.Value, len(c.rows.Columns()))
	return nil
}

func (c *cursor) row(b *batch.Batch) error {
	for i := range c.columns {
		v := &b.Columns[i]
		value := c.values[i]
		if value == nil {
			v.AppendNull()
			continue
		}
		if v.Data == nil {
			v.Data = []byte{} // an empty value must not look like a NULL
		}
		data, err := decode(v.Data, c.columns[i].Type, value)
		if err != nil {
			b.CancelRow()
			return c.refuse(&badValue{row: c.at, column: c.columns[i].Name, err: err})
		}
		v.Data = data
		v.Close()
	}
	b.EndRow()
	return nil
}

func (c *cursor) refuse(bad *badValue) error {
	if c.hasID {
		bad.id, bad.hasID = c.values[len(c.values)-1].(int64)
	}
	if c.bad != nil {
		return c.bad(bad)
	}
	return &connector.Error{
		Code: "row.value", Msg: bad.Error(),
		Fix: "correct the value, give the column another type in source.options.types, or set source.options.on_bad_row to quarantine",
	}
}

func (c *cursor) close() error {
	if c.stmt == nil {
		return nil
	}
	err := c.conn.Raw(func(any) error {
		var err error
		if c.rows != nil {
			err = c.rows.Close()
		}
		return errors.Join(err, c.stmt.Close())
	})
	c.stmt, c.rows = nil, nil
	return err
}
