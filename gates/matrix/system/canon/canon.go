// Package canon turns what plain drivers give into the canonical texts of the
// fixture, and those into what the drivers take. It shares nothing with the engine.
//
// A value that a system keeps in another type than the column's kind never becomes
// canonical: it is shown with its type behind it, such as 5::bigint, and so differs
// from every expected value.
package canon

import (
	"github.com/dpone/dpone/gates/matrix/fixture"
)

// Row collects the texts of one row in one piece of memory. Append a value's text to
// Buf and call End, or call Null.
type Row struct {
	Buf   []byte
	ends  []int
	nulls []bool
}

// Reset begins the next row.
func (r *Row) Reset() { r.Buf, r.ends, r.nulls = r.Buf[:0], r.ends[:0], r.nulls[:0] }

// End closes a value.
func (r *Row) End() {
	r.ends = append(r.ends, len(r.Buf))
	r.nulls = append(r.nulls, false)
}

// Null adds a NULL.
func (r *Row) Null() {
	r.ends = append(r.ends, len(r.Buf))
	r.nulls = append(r.nulls, true)
}

// Len is the number of values.
func (r *Row) Len() int { return len(r.ends) }

// Values gives the row in the memory of into; the texts are the row's own for ever.
func (r *Row) Values(into fixture.Row) fixture.Row {
	all, from := string(r.Buf), 0
	into = into[:0]
	for i, end := range r.ends {
		into = append(into, fixture.Value{Null: r.nulls[i], Text: all[from:end]})
		from = end
	}
	return into
}

// Other marks what was appended since from as a value of another type.
func Other(dst []byte, native string) []byte { return append(append(dst, "::"...), native...) }

// Bits is the width of a float kind.
func Bits(k fixture.Kind) int {
	if k == fixture.Float32 {
		return 32
	}
	return 64
}
