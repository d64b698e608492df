package canon

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
)

// PostgreSQL counts from 2000-01-01; these are its distances from 1970-01-01.
const (
	EpochDays   = 10957
	EpochMicros = EpochDays * DayMicros
	DayMicros   = 24 * 60 * 60 * 1_000_000
)

// AppendDate adds the date of a number of days since 1970-01-01.
func AppendDate(dst []byte, days int64) []byte {
	// Days from a civil calendar that begins on 1 March of the year 0, in eras of 400 years.
	z := days + 719468
	era := floor(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day := doy - (153*mp+2)/5 + 1
	month := mp + 3
	year := yoe + era*400
	if month > 12 {
		month -= 12
		year++
	}
	dst = padded(dst, year, 4)
	dst = padded(append(dst, '-'), month, 2)
	return padded(append(dst, '-'), day, 2)
}

// AppendTime adds the time of the day, with six digits of a second.
func AppendTime(dst []byte, micros int64) []byte {
	seconds := micros / 1_000_000
	dst = padded(dst, seconds/3600, 2)
	dst = padded(append(dst, ':'), seconds/60%60, 2)
	dst = padded(append(dst, ':'), seconds%60, 2)
	return padded(append(dst, '.'), micros%1_000_000, 6)
}

// AppendTimestamp adds the time that is so many microseconds after 1970-01-01 00:00:00, of an instant with a Z.
func AppendTimestamp(dst []byte, micros int64, instant bool) []byte {
	switch micros {
	case math.MaxInt64:
		return append(dst, "infinity"...)
	case math.MinInt64:
		return append(dst, "-infinity"...)
	}
	days := floor(micros, DayMicros)
	dst = AppendTime(append(AppendDate(dst, days), 'T'), micros-days*DayMicros)
	if instant {
		dst = append(dst, 'Z')
	}
	return dst
}

func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

func padded(dst []byte, n int64, digits int) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	var b [20]byte
	text := strconv.AppendInt(b[:0], n, 10)
	for range digits - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// The layouts of the canonical texts.
const (
	dateLayout      = "2006-01-02"
	timeLayout      = "15:04:05.000000"
	timestampLayout = "2006-01-02T15:04:05.000000"
	instantLayout   = "2006-01-02T15:04:05.000000Z"
)

// Days reads a date as days since 1970-01-01.
func Days(text string) (int64, error) {
	t, err := time.Parse(dateLayout, text)
	return floor(t.Unix(), 24*60*60), err
}

// DayTime reads a time of the day as microseconds.
func DayTime(text string) (int64, error) {
	t, err := time.Parse(timeLayout, text)
	return t.UnixMicro() - time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), err
}

// Micros reads a timestamp as microseconds since 1970-01-01 00:00:00.
func Micros(text string, instant bool) (int64, error) {
	layout := timestampLayout
	if instant {
		layout = instantLayout
	}
	t, err := time.Parse(layout, text)
	return t.UnixMicro(), err
}

// AppendUUID adds 16 bytes in lower case with hyphens.
func AppendUUID(dst, v []byte) ([]byte, error) {
	if len(v) != 16 {
		return dst, fmt.Errorf("a uuid of %d bytes", len(v))
	}
	for i, part := range [...][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, v[part[0]:part[1]])
	}
	return dst, nil
}

// UUID reads it.
func UUID(text string) ([]byte, error) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return nil, fmt.Errorf("%q is no uuid", text)
	}
	return hex.DecodeString(text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:])
}
