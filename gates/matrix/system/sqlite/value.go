package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// insert writes rows in one transaction.
func insert(ctx context.Context, conn *sql.Conn, columns []fixture.Column, plain bool, rows iter.Seq[fixture.Row]) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	err = func() error {
		stmt, err := tx.PrepareContext(ctx, "INSERT INTO "+table+" VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }() // the transaction's end tells
		args := make([]any, len(columns))
		var text []byte
		for row := range rows {
			for i, v := range row {
				if args[i], err = kept(columns[i].Kind, v, plain, &text); err != nil {
					return fmt.Errorf("column %q: %w", columns[i].Name, err)
				}
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// kept is what SQLite keeps of a value; text is memory for its text.
func kept(k fixture.Kind, v fixture.Value, plain bool, text *[]byte) (any, error) {
	if v.Null {
		return nil, nil
	}
	switch k {
	case fixture.Bool:
		if v.Text == "true" {
			return int64(1), nil
		}
		return int64(0), nil
	case fixture.Int16, fixture.Int32, fixture.Int64:
		return strconv.ParseInt(v.Text, 10, 64)
	case fixture.Float32, fixture.Float64:
		if v.Text == "NaN" {
			return v.Text, nil // bound as a number it would become NULL
		}
		return strconv.ParseFloat(v.Text, canon.Bits(k))
	case fixture.Bytes:
		return hex.DecodeString(v.Text)
	case fixture.Time, fixture.Timestamp, fixture.TimestampTZ:
		if plain {
			*text = canon.AppendPlain((*text)[:0], k, v.Text)
			return string(*text), nil
		}
	}
	return v.Text, nil
}

// read visits the rows of the table. Below database/sql a value is not converted once more.
func read(ctx context.Context, conn *sql.Conn, columns []fixture.Column, each func(fixture.Row) error) error {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = "+" + quote(c.Name) // an expression has no declared type by which the driver would make times of texts
	}
	query := "SELECT " + strings.Join(parts, ", ") + " FROM " + table
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
		values := make([]driver.Value, len(columns))
		var row canon.Row
		var into fixture.Row
		for {
			if err := rows.Next(values); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			row.Reset()
			for i, v := range values {
				if v == nil {
					row.Null()
					continue
				}
				row.Buf = appendValue(row.Buf, columns[i].Kind, v)
				row.End()
			}
			into = row.Values(into)
			if err := each(into); err != nil {
				return err
			}
		}
	})
}

// appendValue adds the canonical text of a value, or what there is instead with its storage class.
func appendValue(dst []byte, k fixture.Kind, v driver.Value) []byte {
	switch v := v.(type) {
	case int64:
		switch {
		case k == fixture.Bool && (v == 0 || v == 1):
			return strconv.AppendBool(dst, v == 1)
		case k == fixture.Int16 && v == int64(int16(v)), k == fixture.Int32 && v == int64(int32(v)), k == fixture.Int64:
			return strconv.AppendInt(dst, v, 10)
		}
		return canon.Other(strconv.AppendInt(dst, v, 10), "integer")
	case float64:
		switch {
		case k == fixture.Float32 && (float64(float32(v)) == v || math.IsNaN(v)):
			return canon.AppendFloat(dst, v, 32)
		case k == fixture.Float64:
			return canon.AppendFloat(dst, v, 64)
		}
		return canon.Other(canon.AppendFloat(dst, v, 64), "real")
	case string:
		switch k {
		case fixture.Text, fixture.JSON:
			return append(dst, v...)
		case fixture.Decimal, fixture.Date, fixture.Time, fixture.Timestamp, fixture.TimestampTZ, fixture.UUID:
			return canon.FromPlain(dst, k, []byte(v))
		case fixture.Float32, fixture.Float64:
			if v == "NaN" {
				return append(dst, v...)
			}
		}
		return canon.Other(append(dst, v...), "text")
	case []byte:
		dst = hex.AppendEncode(dst, v)
		if k == fixture.Bytes {
			return dst
		}
		return canon.Other(dst, "blob")
	}
	return canon.Other(fmt.Append(dst, v), fmt.Sprintf("%T", v))
}
