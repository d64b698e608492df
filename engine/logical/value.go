package logical

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// The bounds of PostgreSQL's date and time types, in their own units
// (src/include/datatype/timestamp.h): 4714-11-24 BC is the first day, and the ends
// are the first value that is not one.
const (
	leastDate      = -2451545             // days
	endDate        = 2145031949           // days
	leastTimestamp = -211813488000000000  // microseconds
	endTimestamp   = 9223371331200000000  // microseconds
	microsPerDay   = 24 * 60 * 60 * 1e6   // microseconds
	epochSeconds   = 946684800            // 2000-01-01 in Unix seconds
	epochDays      = epochSeconds / 86400 // 2000-01-01 in Unix days

	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

// AppendBool adds a bool.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendInt16 adds an int16.
func AppendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }

// AppendInt32 adds an int32.
func AppendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }

// AppendInt64 adds an int64.
func AppendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// AppendFloat32 adds a float32; every NaN becomes the one canonical NaN.
func AppendFloat32(dst []byte, v float32) []byte {
	bits := math.Float32bits(v)
	if v != v {
		bits = nan32
	}
	return binary.BigEndian.AppendUint32(dst, bits)
}

// AppendFloat64 adds a float64; every NaN becomes the one canonical NaN.
func AppendFloat64(dst []byte, v float64) []byte {
	bits := math.Float64bits(v)
	if v != v {
		bits = nan64
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

// AppendDate adds the day that t shows in its own location.
func AppendDate(dst []byte, t time.Time) ([]byte, error) {
	year, month, day := t.Date()
	if year < -5000 || year > 5900000 {
		return dst, fmt.Errorf("date: the year %d is outside of 4714-11-24 BC to 5874897-12-31", year)
	}
	days := daysOf(int64(year), int64(month), int64(day))
	if days < leastDate || days >= endDate {
		return dst, fmt.Errorf("date: %d days since 2000-01-01 is outside of 4714-11-24 BC to 5874897-12-31", days)
	}
	return AppendInt32(dst, int32(days)), nil
}

// AppendTimestamp adds the instant t, in UTC, as a timestamp or a timestamptz. For
// a timestamp, whose clock has no zone, the caller gives a time in UTC. What
// microseconds cannot hold is an error.
func AppendTimestamp(dst []byte, t time.Time) ([]byte, error) {
	if t.Nanosecond()%1000 != 0 {
		return dst, fmt.Errorf("timestamp: %s has a part below the microsecond, which would be lost", t.Format(time.RFC3339Nano))
	}
	seconds := t.Unix()
	if seconds < -1e15 || seconds > 1e15 { // so that the product below cannot overflow
		return dst, fmt.Errorf("timestamp: the year %d is outside of 4714-11-24 BC to 294276-12-31", t.Year())
	}
	seconds -= epochSeconds
	if seconds < leastTimestamp/1e6 || seconds >= endTimestamp/1e6 {
		return dst, fmt.Errorf("timestamp: the year %d is outside of 4714-11-24 BC to 294276-12-31", t.Year())
	}
	return AppendInt64(dst, seconds*1e6+int64(t.Nanosecond()/1000)), nil
}

// AppendTimeOfDay adds a time of the day, given as the duration since midnight, 0 to 24 hours.
func AppendTimeOfDay(dst []byte, d time.Duration) ([]byte, error) {
	if d < 0 || d > 24*time.Hour {
		return dst, fmt.Errorf("time: %s is outside of 0 to 24 hours", d)
	}
	if d%time.Microsecond != 0 {
		return dst, fmt.Errorf("time: %s has a part below the microsecond, which would be lost", d)
	}
	return AppendInt64(dst, d.Microseconds()), nil
}

// AppendInterval adds an interval.
func AppendInterval(dst []byte, months, days int32, micros int64) []byte {
	dst = AppendInt64(dst, micros)
	dst = AppendInt32(dst, days)
	return AppendInt32(dst, months)
}

// AppendUUID adds the UUID whose text form is given: 32 hexadecimal digits of
// either case, with hyphens after digits 8, 12, 16 and 20 or without any (RFC 9562, 4).
func AppendUUID(dst []byte, text string) ([]byte, error) { return appendUUID(dst, text) }

func appendUUID[T string | []byte](dst []byte, text T) ([]byte, error) {
	hyphens := len(text) == 36
	if !hyphens && len(text) != 32 {
		return dst, fmt.Errorf("uuid: %s has not the form 00000000-0000-0000-0000-000000000000", quote(text))
	}
	start := len(dst)
	for i := 0; i < len(text); {
		if hyphens && (i == 8 || i == 13 || i == 18 || i == 23) {
			if text[i] != '-' {
				return dst[:start], fmt.Errorf("uuid: %s has no hyphen at character %d", quote(text), i+1)
			}
			i++
			continue
		}
		high, low := unhex(text[i]), unhex(text[i+1])
		if high > 15 || low > 15 {
			return dst[:start], fmt.Errorf("uuid: %s has a character that is no hexadecimal digit near %d", quote(text), i+1)
		}
		dst = append(dst, high<<4|low)
		i += 2
	}
	return dst, nil
}

// unhex gives the value of a hexadecimal digit, and 255 for another byte.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// ReadBool reads a bool.
func ReadBool(b []byte) (bool, error) {
	if len(b) != 1 || b[0] > 1 {
		return false, fmt.Errorf("bool: %x is not one byte 00 or 01", clip(b))
	}
	return b[0] == 1, nil
}

// ReadInt64 reads an int16, int32 or int64.
func ReadInt64(t Type, b []byte) (int64, error) {
	switch t.Kind {
	case Int16, Int32, Int64:
		if len(b) != t.Width() {
			return 0, width(t, b)
		}
		return integer(b), nil
	default:
		return 0, fmt.Errorf("%s: not a whole number type", t)
	}
}

// integer reads two's complement of 2, 4 or 8 bytes.
func integer(b []byte) int64 {
	switch len(b) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b)))
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	default:
		return int64(binary.BigEndian.Uint64(b))
	}
}

// ReadFloat64 reads a float32 or float64.
func ReadFloat64(t Type, b []byte) (float64, error) {
	switch {
	case t.Kind != Float32 && t.Kind != Float64:
		return 0, fmt.Errorf("%s: not a floating-point type", t)
	case len(b) != t.Width():
		return 0, width(t, b)
	case t.Kind == Float32:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b))), nil
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

// ReadTime reads a date, timestamp or timestamptz; the result is in UTC. Infinity
// is an error, see [Infinite].
func ReadTime(t Type, b []byte) (time.Time, error) {
	if t.Kind != Date && t.Kind != Timestamp && t.Kind != TimestampTZ {
		return time.Time{}, fmt.Errorf("%s: not a date or timestamp type", t)
	}
	if err := Validate(t, b); err != nil {
		return time.Time{}, err
	}
	if sign := Infinite(t, b); sign != 0 {
		return time.Time{}, fmt.Errorf("%s: %s is no point in time", t, infinityText(sign))
	}
	n := integer(b)
	if t.Kind == Date {
		return time.Unix((n+epochDays)*86400, 0).UTC(), nil
	}
	seconds := floorDiv(n, 1e6)
	return time.Unix(seconds+epochSeconds, (n-seconds*1e6)*1000).UTC(), nil
}

// Infinite gives 1 for the infinity and -1 for the -infinity of a date, timestamp
// or timestamptz, and 0 for every other value.
func Infinite(t Type, b []byte) int {
	switch {
	case t.Kind == Date && len(b) == 4:
		switch int32(binary.BigEndian.Uint32(b)) {
		case math.MaxInt32:
			return 1
		case math.MinInt32:
			return -1
		}
	case (t.Kind == Timestamp || t.Kind == TimestampTZ) && len(b) == 8:
		switch int64(binary.BigEndian.Uint64(b)) {
		case math.MaxInt64:
			return 1
		case math.MinInt64:
			return -1
		}
	}
	return 0
}

// ReadTimeOfDay reads a time as the duration since midnight.
func ReadTimeOfDay(b []byte) (time.Duration, error) {
	if err := Validate(Type{Kind: Time}, b); err != nil {
		return 0, err
	}
	return time.Duration(integer(b)) * time.Microsecond, nil
}

// ReadInterval reads an interval.
func ReadInterval(b []byte) (months, days int32, micros int64, err error) {
	if len(b) != 16 {
		return 0, 0, 0, width(Type{Kind: Interval}, b)
	}
	micros = int64(binary.BigEndian.Uint64(b))
	days = int32(binary.BigEndian.Uint32(b[8:]))
	months = int32(binary.BigEndian.Uint32(b[12:]))
	return months, days, micros, nil
}

func width(t Type, b []byte) error {
	return fmt.Errorf("%s: a value has %d bytes, not %d", t, t.Width(), len(b))
}

// clip bounds what an error shows of a value.
func clip(b []byte) []byte { return b[:min(len(b), 64)] }

// quote quotes what an error shows of a value, at most 64 bytes of it.
func quote[T string | []byte](text T) string {
	if len(text) > 64 {
		return fmt.Sprintf("%q...", string(text[:64]))
	}
	return fmt.Sprintf("%q", string(text))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// daysOf gives the days from 2000-01-01 to a day of the proleptic Gregorian
// calendar, whose year 0 is 1 BC. Years begin in March, so that the leap day is
// their last; an era is 400 years or 146097 days.
func daysOf(year, month, day int64) int64 {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468 - epochDays
}

// dateOf is the inverse of daysOf.
func dateOf(days int64) (year, month, day int64) {
	days += 719468 + epochDays
	era := floorDiv(days, 146097)
	dayOfEra := days - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	month = shifted + 3
	year = yearOfEra + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}
