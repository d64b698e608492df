package logical

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// AppendText adds the text form of a value: what PostgreSQL prints with DateStyle
// ISO, TimeZone UTC, IntervalStyle postgres, bytea_output hex and
// extra_float_digits 1, but for a bool, which is true or false. [ParseText] reads
// it back to the same bytes.
//
// The text form of jsonb has no version byte. An interval all of whose fields are
// the greatest or the least is infinity or -infinity, as from PostgreSQL 17 on;
// older versions cannot tell. A native value has no text form here.
//
// Bytes that are no value of the type are an error where they cannot be printed;
// [Validate] is the full check.
func AppendText(dst []byte, t Type, value []byte) ([]byte, error) {
	if w := t.Width(); w > 0 && len(value) != w {
		return dst, width(t, value)
	}
	switch t.Kind {
	case Bool:
		v, err := ReadBool(value)
		if err != nil {
			return dst, err
		}
		return strconv.AppendBool(dst, v), nil
	case Int16, Int32, Int64:
		return strconv.AppendInt(dst, integer(value), 10), nil
	case Float32:
		return appendFloat(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(value))), 32), nil
	case Float64:
		return appendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(value)), 64), nil
	case Numeric:
		return NumericText(dst, value)
	case Text, JSON:
		return append(dst, value...), nil
	case JSONB:
		if len(value) == 0 || value[0] != 1 {
			return dst, errors.New("jsonb: the first byte is not the version 1")
		}
		return append(dst, value[1:]...), nil
	case Bytes:
		return hex.AppendEncode(append(dst, `\x`...), value), nil
	case Date, Time, Timestamp, TimestampTZ:
		if err := validateClock(t, value); err != nil {
			return dst, err
		}
		return appendClock(dst, t, value), nil
	case Interval:
		return appendInterval(dst, value), nil
	case UUID:
		dst = append(hex.AppendEncode(dst, value[:4]), '-')
		dst = append(hex.AppendEncode(dst, value[4:6]), '-')
		dst = append(hex.AppendEncode(dst, value[6:8]), '-')
		dst = append(hex.AppendEncode(dst, value[8:10]), '-')
		return hex.AppendEncode(dst, value[10:]), nil
	case Native, Invalid:
	}
	return dst, fmt.Errorf("%s: values of this type have no text form here", t)
}

func infinityText(sign int) string {
	if sign < 0 {
		return "-infinity"
	}
	return "infinity"
}

func appendClock(dst []byte, t Type, value []byte) []byte {
	if sign := Infinite(t, value); sign != 0 {
		return append(dst, infinityText(sign)...)
	}
	n := integer(value)
	if t.Kind == Time {
		return appendMicros(dst, n)
	}
	days := n
	if t.Kind != Date {
		days = floorDiv(n, microsPerDay)
	}
	year, month, day := dateOf(days)
	bc := year <= 0
	if bc {
		year = 1 - year
	}
	dst = appendPadded(dst, year, 4)
	dst = appendPadded(append(dst, '-'), month, 2)
	dst = appendPadded(append(dst, '-'), day, 2)
	if t.Kind != Date {
		dst = appendMicros(append(dst, ' '), n-days*microsPerDay)
	}
	if t.Kind == TimestampTZ {
		dst = append(dst, "+00"...)
	}
	if bc {
		dst = append(dst, " BC"...)
	}
	return dst
}

// appendMicros prints hours, minutes, seconds and the parts of a second that are not 0.
func appendMicros(dst []byte, n int64) []byte {
	seconds, micros := n/1e6, n%1e6
	dst = appendPadded(dst, seconds/3600, 2)
	dst = appendPadded(append(dst, ':'), seconds/60%60, 2)
	dst = appendPadded(append(dst, ':'), seconds%60, 2)
	if micros == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), micros, 6)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendPadded prints n >= 0 with at least so many digits.
func appendPadded(dst []byte, n int64, digits int) []byte {
	if digits == 2 && n < 100 {
		return append(dst, byte('0'+n/10), byte('0'+n%10))
	}
	for limit := int64(10); digits > 1; digits-- {
		if n < limit {
			dst = append(dst, '0')
		}
		limit *= 10
	}
	// The loop wrote one zero for each digit that n lacks.
	return strconv.AppendInt(dst, n, 10)
}

func appendInterval(dst, value []byte) []byte {
	micros := int64(binary.BigEndian.Uint64(value))
	days := int64(int32(binary.BigEndian.Uint32(value[8:])))
	months := int64(int32(binary.BigEndian.Uint32(value[12:])))
	switch {
	case micros == math.MaxInt64 && days == math.MaxInt32 && months == math.MaxInt32:
		return append(dst, "infinity"...)
	case micros == math.MinInt64 && days == math.MinInt32 && months == math.MinInt32:
		return append(dst, "-infinity"...)
	}
	empty, negative := true, false // nothing printed yet; the field before was negative
	for _, part := range [...]struct {
		n    int64
		unit string
	}{{months / 12, "year"}, {months % 12, "mon"}, {days, "day"}} {
		if part.n == 0 {
			continue
		}
		if !empty {
			dst = append(dst, ' ')
		}
		if negative && part.n > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, part.n, 10)
		dst = append(append(dst, ' '), part.unit...)
		if part.n != 1 {
			dst = append(dst, 's')
		}
		empty, negative = false, part.n < 0
	}
	if !empty && micros == 0 {
		return dst
	}
	if !empty {
		dst = append(dst, ' ')
	}
	switch {
	case micros < 0:
		dst = append(dst, '-')
	case negative:
		dst = append(dst, '+')
	}
	if micros == math.MinInt64 { // has no positive counterpart
		return append(dst, "2562047788:00:54.775808"...)
	}
	return appendMicros(dst, max(micros, -micros))
}

// appendFloat prints a number in the shortest form that reads back as the same,
// with an exponent below 1e-4 and from 1e15 (float32: 1e6) on.
func appendFloat(dst []byte, v float64, size int) []byte {
	switch {
	case v != v:
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	case v == 0:
		if math.Signbit(v) {
			dst = append(dst, '-')
		}
		return append(dst, '0')
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'e', -1, size)
	digits, exponent := scientific(dst[start:])
	precision := -1
	count, highest, many := decimalDigits(digits), 15, 15
	if size == 32 {
		highest, many = 6, 7
	}
	// PostgreSQL's shortest form differs in two cases. It lies strictly inside of the
	// interval that reads back as v, so that a reader need not round half to even.
	// And of two forms that are equally near to v, it is the one with an even last
	// digit; only forms with many digits can be equally near.
	if onEdge := halfway(v, size, digits, exponent); onEdge || count >= many && fewDigits(v, size) {
		var other [32]byte
		for p := count - 1; p < 17; p++ {
			text := strconv.AppendFloat(other[:0], v, 'e', p, size)
			d, e := scientific(text)
			back, err := strconv.ParseFloat(string(text), size)
			if err == nil && back == v && !halfway(v, size, d, e) {
				dst, digits, exponent, precision = append(dst[:start], text...), d, e, p
				break
			}
			if !onEdge {
				break
			}
		}
	}
	magnitude := exponent + decimalDigits(digits) - 1
	if magnitude < -4 || magnitude >= highest {
		return dst
	}
	if precision >= 0 {
		precision = max(0, precision-magnitude)
	}
	return strconv.AppendFloat(dst[:start], v, 'f', precision, size)
}

// scientific reads text of the form -d.ddde±dd as digits times 10^exponent.
func scientific(text []byte) (digits uint64, exponent int) {
	i, fraction, seen := 0, 0, false
	for ; i < len(text) && text[i] != 'e'; i++ {
		switch c := text[i]; {
		case c == '.':
			seen = true
		case c != '-':
			digits = digits*10 + uint64(c-'0')
			if seen {
				fraction++
			}
		}
	}
	exponent, _ = parseExponent(text, i)
	return digits, exponent - fraction
}

func decimalDigits(n uint64) int {
	count := 1
	for ; n >= 10; n /= 10 {
		count++
	}
	return count
}

// fewDigits is true when v, written in full, may have no more than one digit more
// than the longest shortest form, 17 or 9 digits, not counting zeros at the end.
// The odd part of a mantissa times 2^-k has the digits of its product with 5^k; times
// 2^k it ends in at most 22 (float32: 10) zeros, as 5^23 (5^11) is no factor of it.
func fewDigits(v float64, size int) bool {
	b := math.Float64bits(v)
	power := int(b>>52&0x7ff) - 1075 + bits.TrailingZeros64(b|1<<52)
	if size == 32 {
		return power >= -14 && power < 44 // 5^15 has 11 digits, 2^34 too
	}
	return power >= -25 && power < 82 // 5^26 has 19 digits, 2^60 too
}

// halfway says whether digits times 10^exponent lies exactly in the middle between
// v and a neighbour. Such a number has an odd part of one bit more than a mantissa,
// so that its power of five is small and its exponent not negative.
func halfway(v float64, size int, digits uint64, exponent int) bool {
	if exponent < 0 || exponent > 23 {
		return false
	}
	odd := digits >> bits.TrailingZeros64(digits)
	for range exponent {
		high, low := bits.Mul64(odd, 5)
		if high != 0 {
			return false
		}
		odd = low
	}
	mantissa, least := math.Float64bits(v)&(1<<52-1)|1<<52, uint64(1)<<52
	if size == 32 {
		mantissa, least = mantissa>>29, least>>29
	}
	return odd == 2*mantissa+1 || odd == 2*mantissa-1 || mantissa == least && odd == 4*mantissa-1
}
