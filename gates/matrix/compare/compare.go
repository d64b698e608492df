// Package compare holds what a target has against what the oracle says it should
// have: every row, every column, and the named checks of each strategy. It imports
// nothing of the engine.
//
// # Digests
//
// A digest describes a set of rows whatever their order, and tells how often each of
// them occurs. A row is encoded value by value: NULL is the byte 0; any other value
// is the byte 1, the number of its bytes as an unsigned varint (encoding/binary), and
// its bytes. The SHA-256 of that is read as four 64-bit big-endian numbers. Each of
// the four is summed over all rows modulo 2^64, and the digest is the four sums in
// hexadecimal. The digest of no row at all is 64 zeros.
//
// So the row (1, ”), of two columns, is the bytes 01 01 31 01 00, and the row (1, NULL) the
// bytes 01 01 31 00; the example of [Digest] prints the digests of both and of the two together.
//
// The digest of a column is a sum modulo 2^64, too, of one 64-bit number for each
// row, made of the value and of the row's first value, its id. Values that two rows
// have exchanged therefore change it. It is quick to compute and no match for
// somebody who looks for a collision; the digest of the rows is.
package compare

import "github.com/dpone/dpone/evidence"

// Check is one named check of a case.
type Check struct {
	Code     string           `json:"code"` // for example row_count_matches_source_snapshot
	Verdict  evidence.Verdict `json:"verdict"`
	Observed string           `json:"observed"`
	Expected string           `json:"expected"`
	Why      string           `json:"why,omitempty"`
}

// Contents describe all rows of a target, whatever their order.
type Contents struct {
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"` // of all columns of all rows
	// Columns are the digests and the numbers of NULL by column, in the order of the fixture.
	Columns []ColumnContents `json:"columns"`
}

// ColumnContents describe one column.
type ColumnContents struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Nulls  int64  `json:"nulls"`
}

// Difference is a key that is not as expected.
type Difference struct {
	Key string `json:"key"`
	// Kind is missing, extra, or changed.
	Kind string `json:"kind"`
	// Column, Expected and Actual tell the first value that differs, as text; NULL for none.
	Column   string `json:"column,omitempty"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
}
