// Package order compares values in their canonical encoding
// ([github.com/dpone/dpone/engine/logical]) as their type orders them, so that a
// reader without a database can evaluate a range.
//
// The order is PostgreSQL's: NaN equals NaN and is greater than every other
// number, -0 equals 0, 1.0 equals 1.00, an interval counts 30 days a month and
// 24 hours a day. Texts and bytes are ordered by their bytes.
package order

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/dpone/dpone/engine/logical"
)

// Compare gives -1, 0 or 1. Both values are canonical values of the kind and not
// NULL; a value that is not canonical is compared by its bytes.
func Compare(k logical.Kind, a, b []byte) int {
	switch k {
	case logical.Int16, logical.Int32, logical.Int64, logical.Date, logical.Time, logical.Timestamp, logical.TimestampTZ:
		return signed(a, b)
	case logical.Float32, logical.Float64:
		return floats(float(a), float(b))
	case logical.Numeric:
		if len(a) < 8 || len(b) < 8 {
			return bytes.Compare(a, b)
		}
		return numerics(a, b)
	case logical.Interval:
		if len(a) != 16 || len(b) != 16 {
			return bytes.Compare(a, b)
		}
		ad, am := interval(a)
		bd, bm := interval(b)
		return cmp.Or(cmp.Compare(ad, bd), cmp.Compare(am, bm))
	default:
		return bytes.Compare(a, b)
	}
}

// AppendKey appends bytes that are equal for two values exactly when Compare
// finds them equal. They have no order.
func AppendKey(dst []byte, k logical.Kind, v []byte) []byte {
	switch k {
	case logical.Float32, logical.Float64:
		f := float(v)
		if f == 0 {
			f = 0 // -0
		}
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(f))
	case logical.Numeric:
		if len(v) < 8 {
			return append(dst, v...)
		}
		dst = append(dst, v[:6]...)
		return append(dst, v[8:]...) // without the display scale
	case logical.Interval:
		if len(v) != 16 {
			return append(dst, v...)
		}
		days, micros := interval(v)
		dst = binary.BigEndian.AppendUint64(dst, uint64(days))
		return binary.BigEndian.AppendUint64(dst, uint64(micros))
	default:
		return append(dst, v...)
	}
}

func signed(a, b []byte) int {
	if len(a) != len(b) || len(a) == 0 {
		return bytes.Compare(a, b)
	}
	if c := cmp.Compare(a[0]^0x80, b[0]^0x80); c != 0 {
		return c
	}
	return bytes.Compare(a[1:], b[1:])
}

func float(v []byte) float64 {
	switch len(v) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(v)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(v))
	default:
		return math.NaN()
	}
}

func floats(a, b float64) int {
	aNaN, bNaN := math.IsNaN(a), math.IsNaN(b)
	switch {
	case aNaN && bNaN:
		return 0
	case aNaN:
		return 1
	case bNaN:
		return -1
	}
	return cmp.Compare(a, b)
}

// Sign words of PostgreSQL's binary numeric.
const (
	negative = 0x4000
	nan      = 0xC000
	plusInf  = 0xD000
	minusInf = 0xF000
)

// rank orders the classes of numerics: -infinity, negative, zero, positive, infinity, NaN.
func rank(v []byte) int {
	switch binary.BigEndian.Uint16(v[4:]) {
	case nan:
		return 3
	case plusInf:
		return 2
	case minusInf:
		return -2
	case negative:
		return -1
	}
	if binary.BigEndian.Uint16(v) == 0 {
		return 0
	}
	return 1
}

func numerics(a, b []byte) int {
	ra, rb := rank(a), rank(b)
	if ra != rb || ra == 0 || ra > 1 || ra < -1 {
		return cmp.Compare(ra, rb)
	}
	c := cmp.Compare(int16(binary.BigEndian.Uint16(a[2:])), int16(binary.BigEndian.Uint16(b[2:])))
	if c == 0 {
		c = bytes.Compare(a[8:], b[8:]) // big-endian digits without trailing zeros: the shorter is the smaller
	}
	return c * ra
}

// interval gives days and microseconds below a day, the months as 30 days each.
func interval(v []byte) (days, micros int64) {
	const day = 24 * 60 * 60 * 1_000_000
	micros = int64(binary.BigEndian.Uint64(v))
	days = int64(int32(binary.BigEndian.Uint32(v[8:]))) + 30*int64(int32(binary.BigEndian.Uint32(v[12:])))
	days += micros / day
	micros %= day
	if micros < 0 {
		micros += day
		days--
	}
	return days, micros
}
