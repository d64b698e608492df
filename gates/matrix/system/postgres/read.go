package postgres

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// native is a type with its number in the catalogue (src/include/catalog/pg_type.dat).
type native struct {
	kind fixture.Kind
	name string
	oid  uint32
}

func natives() []native {
	return []native{
		{fixture.Bool, "boolean", 16},
		{fixture.Int16, "smallint", 21},
		{fixture.Int32, "integer", 23},
		{fixture.Int64, "bigint", 20},
		{fixture.Decimal, "numeric", 1700},
		{fixture.Float32, "real", 700},
		{fixture.Float64, "double precision", 701},
		{fixture.Date, "date", 1082},
		{fixture.Time, "time", 1083},
		{fixture.Timestamp, "timestamp", 1114},
		{fixture.TimestampTZ, "timestamptz", 1184},
		{fixture.UUID, "uuid", 2950},
		{fixture.Text, "text", 25},
		{fixture.Text, "varchar", 1043},
		{fixture.Bytes, "bytea", 17},
		{fixture.JSON, "json", 114},
	}
}

// field reads one column: the decoder of the type that the table has, and that
// type's name where it is not one of the column's kind.
type field struct {
	name   string
	decode func(dst, v []byte) ([]byte, error)
	other  string
}

// read visits the rows of a table in PostgreSQL's binary format.
func (e *endpoint) read(ctx context.Context, full string, columns []fixture.Column, each func(fixture.Row) error) error {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = quote(c.Name)
	}
	return e.with(ctx, func(conn *pgconn.PgConn) error {
		r := conn.ExecParams(ctx, "SELECT "+strings.Join(parts, ", ")+" FROM "+full, nil, nil, nil, []int16{1})
		err := visit(r, columns, each)
		_, closed := r.Close()
		return errors.Join(err, closed)
	})
}

func visit(r *pgconn.ResultReader, columns []fixture.Column, each func(fixture.Row) error) error {
	var fields []field
	var row canon.Row
	var values fixture.Row
	for r.NextRow() {
		if fields == nil {
			for i, d := range r.FieldDescriptions() {
				fields = append(fields, newField(columns[i], d.DataTypeOID))
			}
		}
		row.Reset()
		for i, v := range r.Values() {
			if v == nil {
				row.Null()
				continue
			}
			f := &fields[i]
			var err error
			if row.Buf, err = f.decode(row.Buf, v); err != nil {
				return fmt.Errorf("column %q: %w", f.name, err)
			}
			if f.other != "" {
				row.Buf = canon.Other(row.Buf, f.other)
			}
			row.End()
		}
		values = row.Values(values)
		if err := each(values); err != nil {
			return err
		}
	}
	return nil
}

func newField(c fixture.Column, oid uint32) field {
	for _, n := range natives() {
		if n.oid != oid {
			continue
		}
		f := field{name: c.Name, decode: decoder(n.kind)}
		if n.kind != c.Kind {
			f.other = n.name
		}
		return f
	}
	return field{name: c.Name, decode: hexadecimal, other: "type " + strconv.FormatUint(uint64(oid), 10)}
}

func hexadecimal(dst, v []byte) ([]byte, error) { return hex.AppendEncode(dst, v), nil }

// fixed holds a value to its width.
func fixed(width int, append func(dst, v []byte) []byte) func(dst, v []byte) ([]byte, error) {
	return func(dst, v []byte) ([]byte, error) {
		if len(v) != width {
			return dst, fmt.Errorf("a value of %d bytes where the type has %d", len(v), width)
		}
		return append(dst, v), nil
	}
}

// decoder reads the binary format of a kind's type.
func decoder(k fixture.Kind) func(dst, v []byte) ([]byte, error) {
	micros := func(v []byte) int64 {
		n := int64(binary.BigEndian.Uint64(v))
		if n == math.MaxInt64 || n == math.MinInt64 { // the infinities
			return n
		}
		return n + canon.EpochMicros
	}
	switch k {
	case fixture.Bool:
		return fixed(1, func(dst, v []byte) []byte { return strconv.AppendBool(dst, v[0] != 0) })
	case fixture.Int16:
		return fixed(2, func(dst, v []byte) []byte {
			return strconv.AppendInt(dst, int64(int16(binary.BigEndian.Uint16(v))), 10)
		})
	case fixture.Int32:
		return fixed(4, func(dst, v []byte) []byte {
			return strconv.AppendInt(dst, int64(int32(binary.BigEndian.Uint32(v))), 10)
		})
	case fixture.Int64:
		return fixed(8, func(dst, v []byte) []byte {
			return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(v)), 10)
		})
	case fixture.Decimal:
		return canon.AppendNumeric
	case fixture.Float32:
		return fixed(4, func(dst, v []byte) []byte {
			return canon.AppendFloat(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(v))), 32)
		})
	case fixture.Float64:
		return fixed(8, func(dst, v []byte) []byte {
			return canon.AppendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(v)), 64)
		})
	case fixture.Date:
		return fixed(4, func(dst, v []byte) []byte {
			switch n := int32(binary.BigEndian.Uint32(v)); n {
			case math.MaxInt32:
				return append(dst, "infinity"...)
			case math.MinInt32:
				return append(dst, "-infinity"...)
			default:
				return canon.AppendDate(dst, int64(n)+canon.EpochDays)
			}
		})
	case fixture.Time:
		return fixed(8, func(dst, v []byte) []byte { return canon.AppendTime(dst, int64(binary.BigEndian.Uint64(v))) })
	case fixture.Timestamp:
		return fixed(8, func(dst, v []byte) []byte { return canon.AppendTimestamp(dst, micros(v), false) })
	case fixture.TimestampTZ:
		return fixed(8, func(dst, v []byte) []byte { return canon.AppendTimestamp(dst, micros(v), true) })
	case fixture.UUID:
		return canon.AppendUUID
	case fixture.Bytes:
		return hexadecimal
	}
	return func(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }
}
