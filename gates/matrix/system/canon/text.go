package canon

import (
	"bytes"
	"strconv"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// FromPlain adds the canonical text of a value in PostgreSQL's text form (DateStyle
// ISO, TimeZone UTC, bytea_output hex), in which SQLite and text files keep values
// too. What is not of the form is added as it is.
func FromPlain(dst []byte, k fixture.Kind, text []byte) []byte {
	switch k {
	case fixture.Float32, fixture.Float64:
		if v, err := strconv.ParseFloat(string(text), Bits(k)); err == nil {
			return AppendFloat(dst, v, Bits(k))
		}
	case fixture.Time:
		return fraction(dst, text)
	case fixture.Timestamp, fixture.TimestampTZ:
		rest, zoned := bytes.CutSuffix(text, []byte("+00"))
		if i := bytes.IndexByte(rest, ' '); i >= 0 && zoned == (k == fixture.TimestampTZ) {
			dst = fraction(append(append(dst, rest[:i]...), 'T'), rest[i+1:])
			if zoned {
				dst = append(dst, 'Z')
			}
			return dst
		}
	case fixture.Bytes:
		if hexadecimal, ok := bytes.CutPrefix(text, []byte(`\x`)); ok {
			return append(dst, hexadecimal...)
		}
		return Other(append(dst, text...), "text")
	}
	return append(dst, text...)
}

// fraction fills the digits of a second up to six.
func fraction(dst, text []byte) []byte {
	dst = append(dst, text...)
	digits := len(text) - 1 - bytes.IndexByte(text, '.')
	if digits == len(text) {
		dst, digits = append(dst, '.'), 0
	}
	for ; digits < 6; digits++ {
		dst = append(dst, '0')
	}
	return dst
}

// AppendPlain adds the text form of a canonical text; [FromPlain] reads it back.
func AppendPlain(dst []byte, k fixture.Kind, text string) []byte {
	switch k {
	case fixture.Bytes:
		return append(append(dst, `\x`...), text...)
	case fixture.Time:
		return trimmed(append(dst, text...))
	case fixture.Timestamp, fixture.TimestampTZ:
		at := len(dst) + len("2006-01-02")
		if k == fixture.TimestampTZ {
			text = text[:len(text)-1]
		}
		dst = trimmed(append(dst, text...))
		dst[at] = ' '
		if k == fixture.TimestampTZ {
			dst = append(dst, "+00"...)
		}
		return dst
	}
	return append(dst, text...)
}

func trimmed(dst []byte) []byte {
	dst = bytes.TrimRight(dst, "0")
	return bytes.TrimSuffix(dst, []byte("."))
}
