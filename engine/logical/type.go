// Package logical holds the types in which rows travel and the one encoding of
// their values.
//
// A value has exactly one canonical encoding, the bytes PostgreSQL's binary wire
// format gives it (PostgreSQL manual, 55 "Frontend/Backend Protocol", and the
// send functions of each type). Every connector reads into and writes from these
// bytes, digests are computed over them, and two values are the same exactly when
// type and bytes are the same. All integers are big-endian:
//
//	bool         1 byte, 0 or 1
//	int16/32/64  2, 4, 8 bytes, two's complement
//	float32/64   4, 8 bytes, IEEE 754; every NaN is 7fc00000 or 7ff8000000000000; -0 is not 0
//	numeric      int16 ndigits, weight, sign, dscale, then ndigits base-10000 digits,
//	             without leading or trailing zero digits; the display scale is part of the value (1.0 is not 1.00)
//	             and in a bounded type is the type's scale; NaN and infinities have no digits, infinities the scale 32
//	text         UTF-8 bytes, no NUL
//	bytes        the bytes
//	date         int32 days since 2000-01-01; -infinity is the least, infinity the greatest int32
//	time         int64 microseconds since midnight
//	timestamp    int64 microseconds since 2000-01-01 00:00:00, of a clock without a zone; infinities as int64
//	timestamptz  the same of an instant, in UTC
//	interval     int64 microseconds, int32 days, int32 months (24 hours are not 1 day)
//	uuid         16 bytes
//	json         UTF-8 text as it was written
//	jsonb        0x01, then PostgreSQL's text of the value
//	native       what the named system's own binary format gives; not read by anyone else
package logical

// Kind is the family of a type.
type Kind uint8

// The kinds. The zero value is no type.
const (
	Invalid Kind = iota
	Bool
	Int16
	Int32
	Int64
	Float32
	Float64
	Numeric
	Text
	Bytes
	Date
	Time
	Timestamp
	TimestampTZ
	Interval
	UUID
	JSON
	JSONB
	Native
)

// Type is the logical type of a column. Types are compared with ==.
type Type struct {
	Kind Kind
	// Precision and Scale bound a numeric: Precision digits in all, Scale of them
	// after the point. Precision 0 is unbounded.
	Precision, Scale int
	// Length bounds a text, in characters. 0 is unbounded.
	Length int
	// Name names a Native type with its system, for example "postgres:int4range".
	Name string
	// Tag is the number that stands for a Native type in a digest; 0 for other kinds, see [Type.DigestTag].
	Tag uint32
}
