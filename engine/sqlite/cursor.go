package sqlite

import (
	"context"
	"fmt"
	"io"

	"zombiezen.com/go/sqlite"

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
	session *session
	// sql gives the columns in order, and after them the row's number when hasID.
	sql     string
	columns batch.Schema
	hasID   bool
	// shared are the ranges of rows that sql is run for, one after the other, its two
	// parameters being the bounds. Without it sql has no parameter.
	shared *ranges
	// bad decides about a row that cannot be read: nil leaves it out. Without it the first one ends the read.
	bad func(*badValue) error

	stmt   *sqlite.Stmt
	buffer []byte
	at     int64
	ended  bool // one more step would begin the statement again
}

// fill adds at most n rows or about size bytes to an empty batch; io.EOF when there is none.
func (c *cursor) fill(ctx context.Context, b *batch.Batch, n, size int) error {
	return c.session.use(ctx, func(*sqlite.Conn) (err error) {
		if c.stmt == nil {
			if c.stmt, err = c.session.prepare(c.sql); err != nil {
				return err
			}
			c.ended = !c.takeRange()
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
			more, err := c.stmt.Step()
			if err != nil {
				return err
			}
			if !more {
				if c.ended = c.shared == nil; c.ended {
					continue
				}
				if err := c.stmt.Reset(); err != nil {
					return err
				}
				c.ended = !c.takeRange()
				continue
			}
			c.at++
			if err := c.row(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeRange binds the next range that nobody reads; false when there is none left.
func (c *cursor) takeRange() bool {
	if c.shared == nil {
		return true
	}
	least, greatest, ok := c.shared.take()
	if ok {
		c.stmt.BindInt64(1, least)
		c.stmt.BindInt64(2, greatest)
	}
	return ok
}

func (c *cursor) row(b *batch.Batch) error {
	for i := range c.columns {
		v := &b.Columns[i]
		var kept datum
		if kept, c.buffer = read(c.stmt, i, c.buffer); kept.class == sqlite.TypeNull {
			v.AppendNull()
			continue
		}
		if v.Data == nil {
			v.Data = []byte{} // an empty value must not look like a NULL
		}
		data, err := decode(v.Data, c.columns[i].Type, kept)
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
		id, _ := read(c.stmt, len(c.columns), nil)
		bad.id, bad.hasID = id.n, id.class == sqlite.TypeInteger
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
	stmt := c.stmt
	c.stmt = nil
	return c.session.use(context.Background(), func(*sqlite.Conn) error { return c.session.finalize(stmt) })
}
