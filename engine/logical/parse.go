package logical

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// ParseText reads the text form of a value, see [AppendText], and adds its
// canonical bytes. It is strict: no spaces around, nothing rounded, cut or filled
// in. What it takes besides:
//
//   - bool: t, f, 1 and 0
//   - whole numbers: a plus sign and leading zeros
//   - float32, float64: every decimal text that PostgreSQL takes; it is rounded to
//     the nearest value, as there, and what would become infinite or zero is an error
//   - numeric: an exponent; in a bounded type the number gets the type's display
//     scale, so that 1.5 is 1.50 in numeric(18,2), and 1.555 is an error
//   - timestamp, timestamptz: T between date and time (RFC 3339)
//   - timestamptz: every zone offset, Z, +hh, +hh:mm, +hhmm or +hh:mm:ss; one must be there
//   - date, timestamp, timestamptz: any case of infinity; a fraction may have more
//     than six digits when those are zeros
//   - bytes, uuid: hexadecimal digits of either case
//   - json, jsonb: JSON (RFC 8259), taken as it is. PostgreSQL's jsonb has its own
//     order of keys, white space and numbers; to give that text is the writer's part.
func ParseText(dst []byte, t Type, text []byte) ([]byte, error) {
	switch t.Kind {
	case Bool:
		switch string(text) {
		case "t", "true", "1":
			return append(dst, 1), nil
		case "f", "false", "0":
			return append(dst, 0), nil
		}
		return dst, fmt.Errorf("bool: %s is not one of true, false, t, f, 1, 0", quote(text))
	case Int16, Int32, Int64:
		return parseInteger(dst, t, text)
	case Float32, Float64:
		return parseFloat(dst, t, text)
	case Numeric:
		return appendNumeric(dst, t, text)
	case Text:
		if err := validateText(t, text); err != nil {
			return dst, err
		}
		return append(dst, text...), nil
	case JSON, JSONB:
		if err := validateJSON(t, text); err != nil {
			return dst, err
		}
		if t.Kind == JSONB {
			dst = append(dst, 1)
		}
		return append(dst, text...), nil
	case Bytes:
		if len(text) < 2 || text[0] != '\\' || text[1] != 'x' {
			return dst, fmt.Errorf(`bytes: %s does not begin with \x`, quote(text))
		}
		start := len(dst)
		dst, err := hex.AppendDecode(dst, text[2:])
		if err != nil {
			return dst[:start], fmt.Errorf("bytes: %w", err)
		}
		return dst, nil
	case Date, Timestamp, TimestampTZ:
		return parseClock(dst, t, text)
	case Time:
		c := cursor{text: text}
		micros, ok := c.timeOfDay()
		if !ok || c.rest() != 0 || micros > microsPerDay {
			return dst, fmt.Errorf("time: %s is not of the form 23:59:59.999999", quote(text))
		}
		return AppendInt64(dst, micros), nil
	case Interval:
		return parseInterval(dst, text)
	case UUID:
		if len(text) != 36 {
			return dst, fmt.Errorf("uuid: %s has not the form 00000000-0000-0000-0000-000000000000", quote(text))
		}
		return appendUUID(dst, text)
	case Native, Invalid:
	}
	return dst, fmt.Errorf("%s: values of this type have no text form here", t)
}

func parseInteger(dst []byte, t Type, text []byte) ([]byte, error) {
	size := 8 * t.Width()
	c := cursor{text: text}
	negative := c.take('-')
	if !negative {
		c.take('+')
	}
	limit := uint64(1)<<(size-1) - 1
	if negative {
		limit++
	}
	if c.rest() == 0 {
		return dst, fmt.Errorf("%s: %s is not a whole number", t, quote(text))
	}
	var n uint64
	for ; c.rest() > 0; c.at++ {
		digit := uint64(c.peek() - '0')
		if digit > 9 {
			return dst, fmt.Errorf("%s: %s is not a whole number", t, quote(text))
		}
		if n > (limit-digit)/10 {
			return dst, fmt.Errorf("%s: %s is out of range", t, quote(text))
		}
		n = n*10 + digit
	}
	v := int64(n)
	if negative {
		v = -v
	}
	switch t.Kind {
	case Int16:
		return AppendInt16(dst, int16(v)), nil
	case Int32:
		return AppendInt32(dst, int32(v)), nil
	default:
		return AppendInt64(dst, v), nil
	}
}

func parseFloat(dst []byte, t Type, text []byte) ([]byte, error) {
	v, mantissa := 0.0, false // whether there is a digit that is not 0
	switch {
	case equalFold(text, "nan"):
		v = math.NaN()
	case equalFold(text, "infinity"), equalFold(text, "inf"), equalFold(text, "+infinity"), equalFold(text, "+inf"):
		v = math.Inf(1)
	case equalFold(text, "-infinity"), equalFold(text, "-inf"):
		v = math.Inf(-1)
	default:
		inMantissa := true
		for _, c := range text { // strconv also reads hexadecimal digits and words
			switch {
			case c == 'e' || c == 'E':
				inMantissa = false
			case c >= '1' && c <= '9':
				mantissa = mantissa || inMantissa
			case c == '0' || c == '.' || c == '-' || c == '+':
			default:
				return dst, fmt.Errorf("%s: %s is not a number", t, quote(text))
			}
		}
		var err error
		v, err = strconv.ParseFloat(string(text), 8*t.Width())
		switch {
		case err != nil && errors.Is(err, strconv.ErrRange), err == nil && v == 0 && mantissa:
			return dst, fmt.Errorf("%s: %s is out of range", t, quote(text))
		case err != nil:
			return dst, fmt.Errorf("%s: %s is not a number", t, quote(text))
		}
	}
	if t.Kind == Float32 {
		return AppendFloat32(dst, float32(v)), nil
	}
	return AppendFloat64(dst, v), nil
}

// cursor walks over a text.
type cursor struct {
	text []byte
	at   int
}

func (c *cursor) rest() int { return len(c.text) - c.at }

// peek gives the next byte, 0 at the end.
func (c *cursor) peek() byte {
	if c.rest() == 0 {
		return 0
	}
	return c.text[c.at]
}

func (c *cursor) take(b byte) bool {
	if c.peek() != b || c.rest() == 0 {
		return false
	}
	c.at++
	return true
}

func (c *cursor) takeWord(word string) bool {
	if c.rest() < len(word) || string(c.text[c.at:c.at+len(word)]) != word {
		return false
	}
	c.at += len(word)
	return true
}

// digits reads from least to greatest digits, and no more may follow.
func (c *cursor) digits(least, greatest int) (n int64, ok bool) {
	count := 0
	for ; c.rest() > 0 && c.peek() >= '0' && c.peek() <= '9'; c.at++ {
		if count++; count > greatest {
			return 0, false
		}
		n = n*10 + int64(c.peek()-'0')
	}
	return n, count >= least
}

// fraction reads what may follow the seconds, as microseconds.
func (c *cursor) fraction() (micros int64, ok bool) {
	if !c.take('.') {
		return 0, true
	}
	unit, count := int64(100000), 0
	for ; c.rest() > 0 && c.peek() >= '0' && c.peek() <= '9'; c.at++ {
		digit := int64(c.peek() - '0')
		if unit == 0 && digit != 0 {
			return 0, false
		}
		micros += digit * unit
		unit /= 10
		count++
	}
	return micros, count > 0
}

// timeOfDay reads hh:mm:ss and a fraction; hours up to 24.
func (c *cursor) timeOfDay() (micros int64, ok bool) {
	start := c.at
	hour, ok1 := c.digits(2, 2)
	ok1 = ok1 && c.take(':')
	minute, ok2 := c.digits(2, 2)
	ok2 = ok2 && c.take(':')
	second, ok3 := c.digits(2, 2)
	if !ok1 || !ok2 || !ok3 || hour > 24 || minute > 59 || second > 59 {
		c.at = start
		return 0, false
	}
	part, ok := c.fraction()
	return (hour*3600+minute*60+second)*1e6 + part, ok
}

// offset reads a zone as seconds east of UTC.
func (c *cursor) offset() (seconds int64, ok bool) {
	if c.take('Z') || c.take('z') {
		return 0, true
	}
	sign := int64(1)
	switch {
	case c.take('-'):
		sign = -1
	case c.take('+'):
	default:
		return 0, false
	}
	n, ok := c.digits(2, 4)
	hour, minute, second := n, int64(0), int64(0)
	switch width := c.zoneDigits(); {
	case width == 4:
		hour, minute = n/100, n%100
	case width == 3:
		return 0, false
	case c.take(':'):
		var ok2 bool
		if minute, ok2 = c.digits(2, 2); !ok2 {
			return 0, false
		}
		if c.take(':') {
			if second, ok2 = c.digits(2, 2); !ok2 {
				return 0, false
			}
		}
	}
	if hour > 15 || minute > 59 || second > 59 {
		return 0, false
	}
	return sign * (hour*3600 + minute*60 + second), ok
}

// zoneDigits counts the digits that were just read.
func (c *cursor) zoneDigits() int {
	n := 0
	for i := c.at - 1; i >= 0 && c.text[i] >= '0' && c.text[i] <= '9'; i-- {
		n++
	}
	return n
}

func parseClock(dst []byte, t Type, text []byte) ([]byte, error) {
	least, greatest := int64(math.MinInt64), int64(math.MaxInt64)
	if t.Kind == Date {
		least, greatest = math.MinInt32, math.MaxInt32
	}
	switch {
	case equalFold(text, "infinity"):
		return appendClockValue(dst, t, greatest), nil
	case equalFold(text, "-infinity"):
		return appendClockValue(dst, t, least), nil
	}
	c := cursor{text: text}
	year, ok1 := c.digits(4, 7)
	ok1 = ok1 && c.take('-')
	month, ok2 := c.digits(2, 2)
	ok2 = ok2 && c.take('-')
	day, ok3 := c.digits(2, 2)
	if !ok1 || !ok2 || !ok3 {
		return dst, malformed(t, text)
	}
	var micros, zone int64
	if t.Kind != Date {
		if !c.take(' ') && !c.take('T') {
			return dst, malformed(t, text)
		}
		var ok bool
		if micros, ok = c.timeOfDay(); !ok || micros >= microsPerDay {
			return dst, malformed(t, text)
		}
	}
	if t.Kind == TimestampTZ {
		var ok bool
		if zone, ok = c.offset(); !ok {
			return dst, malformed(t, text)
		}
	}
	if year == 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month, c.rest() > 0) {
		return dst, fmt.Errorf("%s: %s: there is no such day", t, quote(text))
	}
	if c.takeWord(" BC") {
		year = 1 - year
	}
	if c.rest() > 0 {
		return dst, malformed(t, text)
	}
	n := daysOf(year, month, day)
	if t.Kind != Date {
		if n < 2*leastTimestamp/microsPerDay || n > endTimestamp/microsPerDay { // so that the product cannot overflow
			return dst, fmt.Errorf("%s: %s is out of range", t, quote(text))
		}
		n = n*microsPerDay + micros - zone*1e6
		if n < leastTimestamp || n >= endTimestamp {
			return dst, fmt.Errorf("%s: %s is out of range", t, quote(text))
		}
	} else if n < leastDate || n >= endDate {
		return dst, fmt.Errorf("%s: %s is out of range", t, quote(text))
	}
	return appendClockValue(dst, t, n), nil
}

func appendClockValue(dst []byte, t Type, n int64) []byte {
	if t.Kind == Date {
		return AppendInt32(dst, int32(n))
	}
	return AppendInt64(dst, n)
}

func malformed(t Type, text []byte) error {
	form := "2006-01-02, with BC for years before the year 1"
	switch t.Kind {
	case Timestamp:
		form = "2006-01-02 15:04:05.999999, without a zone"
	case TimestampTZ:
		form = "2006-01-02 15:04:05.999999+00, with a zone"
	}
	return fmt.Errorf("%s: %s is not of the form %s", t, quote(text), form)
}

// daysIn is the length of a month; in BC, the year 1 is the year 0 of the calendar's arithmetic.
func daysIn(year, month int64, bc bool) int64 {
	if bc {
		year = 1 - year
	}
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func parseInterval(dst, text []byte) ([]byte, error) {
	switch {
	case equalFold(text, "infinity"):
		return AppendInterval(dst, math.MaxInt32, math.MaxInt32, math.MaxInt64), nil
	case equalFold(text, "-infinity"):
		return AppendInterval(dst, math.MinInt32, math.MinInt32, math.MinInt64), nil
	}
	bad := func() ([]byte, error) {
		return dst, fmt.Errorf("interval: %s is not of the form 1 year 2 mons -3 days +04:05:06.789", quote(text))
	}
	c := cursor{text: text}
	var months, days, micros int64
	units := [...]string{" year", " mon", " day"}
	next := 0 // the first of units that may still come
	for first := true; first || c.rest() > 0; first = false {
		if !first && !c.take(' ') {
			return bad()
		}
		negative := c.take('-')
		if !negative {
			c.take('+')
		}
		start := c.at
		n, ok := c.digits(1, 10)
		if !ok {
			return bad()
		}
		if c.peek() == ':' {
			c.at = start
			if micros, ok = c.longTime(negative); !ok || c.rest() > 0 {
				return bad()
			}
			break
		}
		if negative {
			n = -n
		}
		for next < len(units) && !c.takeWord(units[next]) {
			next++
		}
		if next == len(units) {
			return bad()
		}
		c.take('s')
		switch next {
		case 0:
			months = 12 * n
		case 1:
			months += n
		case 2:
			days = n
		}
		next++
	}
	if months != int64(int32(months)) || days != int64(int32(days)) {
		return dst, fmt.Errorf("interval: %s is out of range", quote(text))
	}
	return AppendInterval(dst, int32(months), int32(days), micros), nil
}

// longTime reads hours of any number, minutes, seconds and a fraction.
func (c *cursor) longTime(negative bool) (micros int64, ok bool) {
	hour, ok1 := c.digits(2, 10)
	ok1 = ok1 && c.take(':')
	minute, ok2 := c.digits(2, 2)
	ok2 = ok2 && c.take(':')
	second, ok3 := c.digits(2, 2)
	part, ok4 := c.fraction()
	if !ok1 || !ok2 || !ok3 || !ok4 || minute > 59 || second > 59 || hour > 2562047788 {
		return 0, false
	}
	// At most 2562047788:59:59.999999, which is below 2^64.
	n := uint64(hour*3600+minute*60+second)*1e6 + uint64(part)
	switch {
	case negative && n <= 1<<63:
		return int64(-n), true
	case n <= math.MaxInt64:
		return int64(n), !negative
	}
	return 0, false
}

// Validate says whether b is a canonical value of the type t, which it is exactly
// when the type's bytes in the package comment can be b: the length, UTF-8, the
// one encoding of NaN and of numbers, JSON, and the ranges of dates and times,
// which are PostgreSQL's. Every value of a native type is taken as it is.
func Validate(t Type, b []byte) error {
	if w := t.Width(); w > 0 && len(b) != w {
		return width(t, b)
	}
	switch t.Kind {
	case Bool:
		_, err := ReadBool(b)
		return err
	case Float32:
		bits := uint32(integer(b))
		if bits&0x7f800000 == 0x7f800000 && bits&0x007fffff != 0 && bits != nan32 {
			return fmt.Errorf("float32: %08x is not the one encoding of NaN, %08x", bits, uint32(nan32))
		}
	case Float64:
		bits := uint64(integer(b))
		if bits&0x7ff0000000000000 == 0x7ff0000000000000 && bits&0x000fffffffffffff != 0 && bits != nan64 {
			return fmt.Errorf("float64: %016x is not the one encoding of NaN, %016x", bits, uint64(nan64))
		}
	case Numeric:
		return validateNumeric(t, b)
	case Text:
		return validateText(t, b)
	case JSON:
		return validateJSON(t, b)
	case JSONB:
		if len(b) == 0 || b[0] != 1 {
			return errors.New("jsonb: the first byte is not the version 1")
		}
		return validateJSON(t, b[1:])
	case Date, Time, Timestamp, TimestampTZ:
		return validateClock(t, b)
	case Int16, Int32, Int64, Bytes, Interval, UUID, Native:
	default:
		return errors.New("a column without a type")
	}
	return nil
}

func validateText(t Type, b []byte) error {
	ascii := true
	for i, c := range b {
		if c == 0 {
			return fmt.Errorf("%s: byte %d is NUL", t, i)
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(b) {
		return fmt.Errorf("%s: %s is not UTF-8", t, quote(b))
	}
	if t.Kind == Text && t.Length > 0 && len(b) > t.Length {
		if n := utf8.RuneCount(b); n > t.Length {
			return fmt.Errorf("%s: the value has %d characters", t, n)
		}
	}
	return nil
}

func validateJSON(t Type, b []byte) error {
	if err := validateText(t, b); err != nil {
		return err
	}
	if !json.Valid(b) {
		return fmt.Errorf("%s: %s is not JSON", t, quote(b))
	}
	return nil
}

func validateClock(t Type, b []byte) error {
	if Infinite(t, b) != 0 {
		return nil
	}
	n := integer(b)
	least, end := int64(leastTimestamp), int64(endTimestamp)
	switch t.Kind {
	case Date:
		least, end = leastDate, endDate
	case Time:
		least, end = 0, microsPerDay+1
	}
	if n < least || n >= end {
		return fmt.Errorf("%s: %d is outside of %d to %d", t, n, least, end-1)
	}
	return nil
}
