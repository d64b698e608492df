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

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// insert writes rows in one transaction. It goes below database/sql, where a row takes
// half the time, and by another library than the one that reads.
func insert(conn *sqlite.Conn, columns []fixture.Column, plain bool, rows iter.Seq[fixture.Row]) (err error) {
	end, err := sqlitex.ImmediateTransaction(conn)
	if err != nil {
		return err
	}
	defer end(&err)
	stmt, _, err := conn.PrepareTransient("INSERT INTO " + table + " VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")")
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Finalize() }() // it tells again of the error that was told already
	var text []byte
	for row := range rows {
		for i, v := range row {
			if err := bind(stmt, i+1, columns[i].Kind, v, plain, &text); err != nil {
				return fmt.Errorf("column %q: %w", columns[i].Name, err)
			}
		}
		if _, err := stmt.Step(); err != nil {
			return err
		}
		if err := stmt.Reset(); err != nil {
			return err
		}
	}
	return nil
}

// bind gives a parameter what SQLite keeps of a value; text is memory for its text.
func bind(stmt *sqlite.Stmt, param int, k fixture.Kind, v fixture.Value, plain bool, text *[]byte) error {
	if v.Null {
		stmt.BindNull(param)
		return nil
	}
	switch k {
	case fixture.Bool:
		stmt.BindBool(param, v.Text == "true")
		return nil
	case fixture.Int16, fixture.Int32, fixture.Int64:
		n, err := strconv.ParseInt(v.Text, 10, 64)
		stmt.BindInt64(param, n)
		return err
	case fixture.Float32, fixture.Float64:
		if v.Text == "NaN" {
			break // bound as a number it would become NULL
		}
		f, err := strconv.ParseFloat(v.Text, canon.Bits(k))
		stmt.BindFloat(param, f)
		return err
	case fixture.Bytes:
		raw, err := hex.DecodeString(v.Text)
		stmt.BindBytes(param, raw)
		return err
	case fixture.Time, fixture.Timestamp, fixture.TimestampTZ:
		if plain {
			*text = canon.AppendPlain((*text)[:0], k, v.Text)
			stmt.BindText(param, string(*text))
			return nil
		}
	}
	stmt.BindText(param, v.Text)
	return nil
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
