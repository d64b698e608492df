// Package parquet reads and writes Apache Parquet files through the column
// readers and writers of apache/arrow-go, without its record layer: values go
// straight between a page and the canonical encoding of a batch.
//
// Only flat schemas are known; the format's groups, lists and maps are refused.
package parquet

import (
	"fmt"

	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

// form says how the values of a column stand in a file.
type form uint8

const (
	asBool     form = iota
	asInt16         // 32 bits
	asInt32         // 32 bits
	asInt64         // 64 bits
	asUint8         // 32 bits, to int16
	asUint16        // 32 bits, to int32
	asUint32        // 32 bits, to int64
	asUint64        // 64 bits, to numeric(20,0)
	asFloat         // 32 bits
	asDouble        // 64 bits
	asDecimal       // 32 or 64 bits or big-endian bytes
	asText          // UTF-8
	asBytes         // as they are
	asJSON          // UTF-8
	asUUID          // 16 bytes
	asDate          // days since 1970
	asMillis        // time of the day, 32 bits
	asMicros        // time of the day
	asNanos         // time of the day
	asTSMillis      // since 1970
	asTSMicros      // since 1970
	asTSNanos       // since 1970
	asRendered      // UTF-8, the text form of a type that Parquet does not have
)

// column is one column of a file.
type column struct {
	batch.Column
	form   form
	native string
}

// The distance of the canonical epoch, 2000-01-01, from 1970-01-01.
const (
	epochDays   = 10957
	epochMicros = epochDays * 24 * 60 * 60 * 1_000_000
	dayMicros   = 24 * 60 * 60 * 1_000_000
)

// maxDecimal is the greatest precision of a decimal that is written, the one
// every reader knows (Parquet format, LogicalTypes.md, DECIMAL).
const maxDecimal = 38

// read gives what a node of a file's schema is.
func read(node schema.Node) (column, error) {
	name := node.Name()
	refuse := func(why string) (column, error) {
		return column{}, fmt.Errorf("column %q: %s", name, why)
	}
	p, ok := node.(*schema.PrimitiveNode)
	if !ok || node.RepetitionType() == pq.Repetitions.Repeated {
		return refuse("groups, lists and maps have no columns of their own; write a flat table, or the value as JSON")
	}
	physical, l := p.PhysicalType(), p.LogicalType()
	c := column{native: physical.String()}
	if l != nil && !l.IsNone() {
		c.native += " (" + l.String() + ")"
	}
	c.Name, c.NotNull = name, node.RepetitionType() == pq.Repetitions.Required
	set := func(f form, t logical.Type) (column, error) {
		c.form, c.Type = f, t
		return c, nil
	}
	kind := func(f form, k logical.Kind) (column, error) { return set(f, logical.Type{Kind: k}) }

	switch l := l.(type) {
	case schema.StringLogicalType, schema.EnumLogicalType:
		return kind(asText, logical.Text)
	case schema.JSONLogicalType:
		return kind(asJSON, logical.JSON)
	case schema.UUIDLogicalType:
		return kind(asUUID, logical.UUID)
	case schema.DateLogicalType:
		return kind(asDate, logical.Date)
	case schema.DecimalLogicalType:
		if l.Precision() < 1 || l.Scale() < 0 || l.Scale() > l.Precision() || l.Precision() > 1000 {
			return refuse(fmt.Sprintf("a decimal of precision %d and scale %d is not valid", l.Precision(), l.Scale()))
		}
		return set(asDecimal, logical.Type{Kind: logical.Numeric, Precision: int(l.Precision()), Scale: int(l.Scale())})
	case schema.TimeLogicalType:
		switch l.TimeUnit() {
		case schema.TimeUnitMillis:
			return kind(asMillis, logical.Time)
		case schema.TimeUnitMicros:
			return kind(asMicros, logical.Time)
		case schema.TimeUnitNanos:
			return kind(asNanos, logical.Time)
		}
	case schema.TimestampLogicalType:
		k := logical.Timestamp
		if l.IsAdjustedToUTC() {
			k = logical.TimestampTZ
		}
		switch l.TimeUnit() {
		case schema.TimeUnitMillis:
			return kind(asTSMillis, k)
		case schema.TimeUnitMicros:
			return kind(asTSMicros, k)
		case schema.TimeUnitNanos:
			return kind(asTSNanos, k)
		}
	case schema.IntLogicalType:
		switch w := l.BitWidth(); {
		case l.IsSigned() && w <= 16:
			return kind(asInt16, logical.Int16)
		case l.IsSigned() && w == 32:
			return kind(asInt32, logical.Int32)
		case l.IsSigned():
			return kind(asInt64, logical.Int64)
		case w == 8:
			return kind(asUint8, logical.Int16)
		case w == 16:
			return kind(asUint16, logical.Int32)
		case w == 32:
			return kind(asUint32, logical.Int64)
		default:
			return set(asUint64, logical.Type{Kind: logical.Numeric, Precision: 20})
		}
	case schema.NoLogicalType, nil:
		switch physical {
		case pq.Types.Boolean:
			return kind(asBool, logical.Bool)
		case pq.Types.Int32:
			return kind(asInt32, logical.Int32)
		case pq.Types.Int64:
			return kind(asInt64, logical.Int64)
		case pq.Types.Float:
			return kind(asFloat, logical.Float32)
		case pq.Types.Double:
			return kind(asDouble, logical.Float64)
		case pq.Types.ByteArray, pq.Types.FixedLenByteArray:
			return kind(asBytes, logical.Bytes)
		case pq.Types.Int96:
			return refuse("INT96 does not say whether it is a clock or an instant; write timestamps as TIMESTAMP")
		}
	}
	return refuse(fmt.Sprintf("the type %s has no logical type without loss", c.native))
}

// write gives how a column is written.
func write(c batch.Column) (column, schema.Node, error) {
	out := column{Column: c}
	repetition := pq.Repetitions.Optional
	if c.NotNull {
		repetition = pq.Repetitions.Required
	}
	var (
		physical pq.Type
		l        schema.LogicalType = schema.NoLogicalType{}
		length                      = -1
	)
	switch c.Type.Kind {
	case logical.Bool:
		out.form, physical = asBool, pq.Types.Boolean
	case logical.Int16:
		out.form, physical, l = asInt16, pq.Types.Int32, schema.NewIntLogicalType(16, true)
	case logical.Int32:
		out.form, physical = asInt32, pq.Types.Int32
	case logical.Int64:
		out.form, physical = asInt64, pq.Types.Int64
	case logical.Float32:
		out.form, physical = asFloat, pq.Types.Float
	case logical.Float64:
		out.form, physical = asDouble, pq.Types.Double
	case logical.Text:
		out.form, physical, l = asText, pq.Types.ByteArray, schema.StringLogicalType{}
	case logical.Bytes:
		out.form, physical = asBytes, pq.Types.ByteArray
	case logical.JSON, logical.JSONB:
		out.form, physical, l = asJSON, pq.Types.ByteArray, schema.JSONLogicalType{}
	case logical.UUID:
		out.form, physical, l, length = asUUID, pq.Types.FixedLenByteArray, schema.UUIDLogicalType{}, 16
	case logical.Date:
		out.form, physical, l = asDate, pq.Types.Int32, schema.DateLogicalType{}
	case logical.Time:
		out.form, physical, l = asMicros, pq.Types.Int64, schema.NewTimeLogicalType(false, schema.TimeUnitMicros)
	case logical.Timestamp, logical.TimestampTZ:
		out.form, physical = asTSMicros, pq.Types.Int64
		l = schema.NewTimestampLogicalType(c.Type.Kind == logical.TimestampTZ, schema.TimeUnitMicros)
	case logical.Numeric:
		if !Decimal(c.Type) {
			out.form, physical, l = asRendered, pq.Types.ByteArray, schema.StringLogicalType{}
			break
		}
		out.form = asDecimal
		l = schema.NewDecimalLogicalType(int32(c.Type.Precision), int32(c.Type.Scale))
		switch {
		case c.Type.Precision <= 9:
			physical = pq.Types.Int32
		case c.Type.Precision <= 18:
			physical = pq.Types.Int64
		default:
			physical, length = pq.Types.FixedLenByteArray, decimalBytes(c.Type.Precision)
		}
	case logical.Interval:
		out.form, physical, l = asRendered, pq.Types.ByteArray, schema.StringLogicalType{}
	default:
		return out, nil, fmt.Errorf("column %q: Parquet does not keep the type %s", c.Name, c.Type)
	}
	node, err := schema.NewPrimitiveNodeLogical(c.Name, repetition, l, physical, length, -1)
	if err != nil {
		return out, nil, fmt.Errorf("column %q: %w", c.Name, err)
	}
	out.native = physical.String()
	if !l.IsNone() {
		out.native += " (" + l.String() + ")"
	}
	return out, node, nil
}

// Decimal says whether a numeric is kept as a decimal, and not as its text.
func Decimal(t logical.Type) bool {
	return t.Kind == logical.Numeric && t.Precision > 0 && t.Precision <= maxDecimal && t.Scale >= 0 && t.Scale <= t.Precision
}

// Native names the type in which the package writes a column.
func Native(t logical.Type) (native string, rendered bool, err error) {
	c, _, err := write(batch.Column{Name: "x", Type: t})
	return c.native, c.form == asRendered, err
}
