// Package fault says what is wrong with a row of a file, and where.
package fault

import (
	"fmt"
	"unicode/utf8"
)

// Code names a defect; it does not change from version to version.
type Code string

// The defects of one row: it can be put aside, and the rows after it can be read.
const (
	Quote     Code = "row.quote"     // a quote where none may stand
	Fields    Code = "row.fields"    // more or fewer fields than columns
	Value     Code = "row.value"     // a value that is not of its column's type
	NotNull   Code = "row.null"      // NULL in a column that has none
	JSON      Code = "row.json"      // not a JSON object
	Duplicate Code = "row.duplicate" // a key given twice
	UTF8      Code = "row.utf8"      // not UTF-8
)

// The defects of a file: what follows cannot be trusted, so they are never put aside.
const (
	Unclosed Code = "file.unclosed" // a quoted field without an end
	Limit    Code = "file.limit"    // a field or row above the limit
	Encoding Code = "file.encoding" // UTF-16 or UTF-32
	Header   Code = "file.header"   // no header, or one with an empty or repeated name
	Drift    Code = "file.drift"    // other columns than the first file
	Corrupt  Code = "file.corrupt"  // cut short or damaged
	Changed  Code = "file.changed"  // not the file that the snapshot fixed
	Type     Code = "file.type"     // a type that cannot be read without loss
	Trailing Code = "file.trailing" // more bytes after the end
)

// Error is a defect with its place.
type Error struct {
	Code Code
	// File is empty until the reader of the file set fills it.
	File string
	// Line counts from 1 and is 0 for files without lines; Offset is the byte, from 0,
	// at which the row begins in the uncompressed content.
	Line, Offset int64
	// RowNumber counts the rows of a file without lines, from 1; 0 for the others.
	RowNumber int64
	// Column names the column, empty when the row as a whole is wrong.
	Column string
	Msg    string
	// Raw is the row as it stands in the file; valid until the next row is read.
	Raw []byte
	// Err is the cause, if there is one.
	Err error
}

// Row says whether one row is wrong, and not the file.
func (e *Error) Row() bool { return len(e.Code) > 4 && e.Code[:4] == "row." }

func (e *Error) Error() string {
	s := e.File
	if s != "" {
		s += ": "
	}
	if e.Line > 0 {
		s += fmt.Sprintf("line %d (byte %d): ", e.Line, e.Offset)
	}
	if e.RowNumber > 0 {
		s += fmt.Sprintf("row %d: ", e.RowNumber)
	}
	if e.Column != "" {
		s += fmt.Sprintf("column %q: ", e.Column)
	}
	s += e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Short quotes at most 80 bytes of a value for a message.
func Short(v []byte) string {
	const limit = 80
	if len(v) <= limit {
		return fmt.Sprintf("%q", v)
	}
	n := limit
	for n > limit-utf8.UTFMax && !utf8.RuneStart(v[n]) {
		n--
	}
	return fmt.Sprintf("%q (the first %d of %d bytes)", v[:n], n, len(v))
}
