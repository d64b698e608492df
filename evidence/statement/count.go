package statement

import (
	"strconv"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// Count is a whole number from 0 that is written as a string of decimal
// digits: readers of JSON round numbers beyond 2^53, and a row count may be one.
type Count uint64

// MarshalText writes the decimal digits.
func (c Count) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(c), 10), nil
}

// UnmarshalText reads what MarshalText writes, and no other spelling of it.
func (c *Count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != string(text) {
		return strict.Refuse(strict.Schema, "", "%s is not a count in decimal digits", strict.Quote(string(text)))
	}
	*c = Count(n)
	return nil
}

// countOf is a number that is never negative in what gates write; one that is
// counts as none.
func countOf[N int | int64](n N) Count {
	return Count(max(n, 0))
}
