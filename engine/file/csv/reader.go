// Package csv reads and writes comma separated values as RFC 4180 has them, a
// row at a time and without a copy of a value.
//
// It exists beside encoding/csv because that one does not tell a quoted field
// from one without quotes, and so cannot tell an empty text from NULL; it also gives the
// exact bytes and the position of each row, which a quarantine needs.
//
// Beyond the RFC: a row ends with \n, \r\n or a lone \r, also mixed; a UTF-8 byte
// order mark at the start is skipped; a quoted field may hold line ends. What the
// RFC forbids is an error: a quote inside a field without quotes, text after a
// closing quote, a quoted field without an end. An empty line is a row with one
// empty field.
package csv

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/dpone/dpone/engine/file/fault"
)

// Limits of what is read, in bytes.
const (
	MaxField = 16 << 20
	MaxRow   = 64 << 20

	firstBuffer = 256 << 10
)

// Dialect is how a file is written.
type Dialect struct {
	// Delimiter is one ASCII byte, a comma when 0.
	Delimiter byte
	// Null is the text without quotes that stands for NULL.
	Null string
}

// Check refuses a dialect that cannot be read back.
func (d Dialect) Check() error {
	switch c := d.delimiter(); {
	case c == '"' || c == '\n' || c == '\r' || c >= 0x80:
		return fmt.Errorf("the delimiter %q cannot separate fields; give one ASCII character that is not a quote or line end", c)
	}
	for i := range len(d.Null) {
		if c := d.Null[i]; c == '"' || c == '\n' || c == '\r' || c == d.delimiter() {
			return fmt.Errorf("the text for NULL, %q, holds a quote, delimiter or line end", d.Null)
		}
	}
	return nil
}

func (d Dialect) delimiter() byte {
	if d.Delimiter == 0 {
		return ','
	}
	return d.Delimiter
}

// ParseDelimiter gives the byte of a delimiter that was written as text, 0 for an empty one.
func ParseDelimiter(s string) (byte, error) {
	switch {
	case s == "":
		return 0, nil
	case s == `\t`:
		return '\t', nil
	case len(s) != 1:
		return 0, fmt.Errorf("the delimiter %q is not one ASCII character", s)
	}
	return s[0], Dialect{Delimiter: s[0]}.Check()
}

// The kinds of fields.
const (
	plain uint8 = iota
	quoted
	doubled // quoted, with at least one doubled quote inside
)

// field is where a field stands in its row, without its quotes.
type field struct {
	start, end int
	kind       uint8
}

// Reader splits a stream into rows and fields.
type Reader struct {
	src     io.Reader
	delim   byte
	special [256]bool

	buf        []byte
	start, end int   // buf[start:end] is the current row and what was read beyond it
	base       int64 // where buf[0] is in the stream
	failed     error // what the stream ended with

	begun            bool
	size             int   // bytes of the current row with its line end
	line             int64 // in which the current row begins
	lines            int64 // that it has
	fields           []field
	maxField, maxRow int
	unquoted         []byte // memory for fields with doubled quotes
}

// NewReader reads from src. The dialect must have passed Check.
func NewReader(src io.Reader, d Dialect) *Reader {
	r := &Reader{src: src, delim: d.delimiter(), line: 1, maxField: MaxField, maxRow: MaxRow}
	r.special[r.delim], r.special['"'], r.special['\n'], r.special['\r'] = true, true, true, true
	return r
}

// Next goes to the next row. It ends with io.EOF. A [fault.Error] whose Row is
// true leaves the reader at the next line; every other error is final.
func (r *Reader) Next() error {
	r.start += r.size
	r.line += r.lines
	r.size, r.lines = 0, 0
	r.fields = r.fields[:0]
	r.unquoted = r.unquoted[:0]
	if !r.begun {
		r.begun = true
		if err := r.mark(); err != nil {
			return err
		}
	}
	if r.start == r.end {
		if ok, err := r.more(); !ok {
			return final(err)
		}
	}
	return r.row()
}

// row finds the fields of the row at start.
func (r *Reader) row() error {
	i := 0 // relative to start, because more moves the row
	rec := r.buf[r.start:r.end]
	for {
		if i == len(rec) { // nothing after a delimiter
			ok, err := r.more()
			if err != nil {
				return err
			}
			if !ok {
				r.fields = append(r.fields, field{i, i, plain})
				return r.finish(i)
			}
			rec = r.buf[r.start:r.end]
		}
		from, kind := i, plain
		var to int
		if rec[i] == '"' {
			kind = quoted
			from++
			var err error
			if to, err = r.closing(from, &kind); err != nil {
				return err
			}
			rec = r.buf[r.start:r.end]
			i = to + 1
			if i == len(rec) {
				ok, err := r.more()
				if err != nil {
					return err
				}
				rec = r.buf[r.start:r.end]
				if !ok {
					r.fields = append(r.fields, field{from, to, kind})
					return r.finish(i)
				}
			}
		} else {
			for {
				for i < len(rec) && !r.special[rec[i]] {
					i++
				}
				if i < len(rec) {
					break
				}
				ok, err := r.more()
				if err != nil {
					return err
				}
				rec = r.buf[r.start:r.end]
				if !ok {
					break
				}
			}
			to = i
		}
		if to-from > r.maxField {
			return r.limit("field %d is longer than %d bytes", len(r.fields)+1, r.maxField)
		}
		r.fields = append(r.fields, field{from, to, kind})
		if i == len(rec) {
			return r.finish(i)
		}
		switch rec[i] {
		case r.delim:
			i++
		case '\n':
			r.lines++
			return r.finish(i + 1)
		case '\r':
			if i+1 == len(rec) {
				ok, err := r.more()
				if err != nil {
					return err
				}
				rec = r.buf[r.start:r.end]
				if !ok {
					r.lines++
					return r.finish(i + 1)
				}
			}
			r.lines++
			if rec[i+1] == '\n' {
				i++
			}
			return r.finish(i + 1)
		default:
			return r.misplaced(i, kind)
		}
	}
}

// closing gives where the quote stands that closes the field at from.
func (r *Reader) closing(from int, kind *uint8) (int, error) {
	i := from
	for {
		rec := r.buf[r.start:r.end]
		n := bytes.IndexByte(rec[i:], '"')
		if n < 0 {
			i = len(rec)
			if i-from > r.maxField+1 {
				return 0, r.limit("field %d is longer than %d bytes, or its quote is never closed", len(r.fields)+1, r.maxField)
			}
			ok, err := r.more()
			if err != nil {
				return 0, err
			}
			if !ok {
				return 0, &fault.Error{
					Code: fault.Unclosed, Line: r.line + r.lines, Offset: r.Offset(), Raw: rec,
					Msg: fmt.Sprintf("the quote that opens field %d is not closed before the end of the file", len(r.fields)+1),
				}
			}
			continue
		}
		i += n
		if i+1 == len(rec) {
			ok, err := r.more()
			if err != nil {
				return 0, err
			}
			rec = r.buf[r.start:r.end]
			if !ok {
				r.lines += breaks(rec[from:i])
				return i, nil
			}
		}
		if rec[i+1] != '"' {
			r.lines += breaks(rec[from:i])
			return i, nil
		}
		*kind = doubled
		i += 2
	}
}

// breaks counts the line ends in the text of a quoted field.
func breaks(text []byte) int64 {
	if bytes.IndexByte(text, '\r') < 0 {
		return int64(bytes.Count(text, []byte{'\n'}))
	}
	var n int64
	for i, c := range text {
		if c == '\n' || c == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			n++
		}
	}
	return n
}

// misplaced ends the row at the next line end, because of what stands at i.
func (r *Reader) misplaced(i int, kind uint8) error {
	at := i
	n := len(r.fields)
	for {
		rec := r.buf[r.start:r.end]
		if j := bytes.IndexAny(rec[i:], "\r\n"); j >= 0 {
			i += j
			if rec[i] == '\r' && i+1 == len(rec) {
				if _, err := r.more(); err != nil {
					return err
				}
				rec = r.buf[r.start:r.end]
			}
			if rec[i] == '\r' && i+1 < len(rec) && rec[i+1] == '\n' {
				i++
			}
			r.lines++
			i++
			break
		}
		i = len(rec)
		ok, err := r.more()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
	}
	r.fields = r.fields[:0]
	if err := r.finish(i); err != nil {
		return err
	}
	msg := fmt.Sprintf("field %d has a quote inside that is not around the whole field, at byte %d of the row", n, at)
	if kind != plain {
		msg = fmt.Sprintf("field %d goes on after its closing quote, at byte %d of the row", n, at)
	}
	return &fault.Error{Code: fault.Quote, Line: r.line, Offset: r.Offset(), Msg: msg, Raw: r.Raw()}
}

func (r *Reader) finish(size int) error {
	r.size = size
	if size > r.maxRow {
		return r.limit("the row is longer than %d bytes", r.maxRow)
	}
	return nil
}

func (r *Reader) limit(format string, args ...any) error {
	return &fault.Error{Code: fault.Limit, Line: r.line, Offset: r.Offset(), Msg: fmt.Sprintf(format, args...)}
}

// more reads further bytes behind the row; ok is false at the end of the stream.
func (r *Reader) more() (ok bool, err error) {
	if r.failed != nil {
		if errors.Is(r.failed, io.EOF) {
			return false, nil
		}
		return false, r.failed
	}
	if r.end-r.start > r.maxRow {
		return false, r.limit("the row is longer than %d bytes", r.maxRow)
	}
	if r.end == len(r.buf) {
		if r.start > 0 {
			r.base += int64(r.start)
			r.end = copy(r.buf, r.buf[r.start:r.end])
			r.start = 0
		} else {
			grown := make([]byte, max(firstBuffer, 2*len(r.buf)))
			r.end = copy(grown, r.buf[:r.end])
			r.buf = grown
		}
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		if err != nil {
			r.failed = err
		}
		if n > 0 {
			return true, nil
		}
		if err != nil {
			return r.more()
		}
	}
	r.failed = io.ErrNoProgress
	return false, r.failed
}

// final is what Next gives when there is no further row.
func final(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// mark skips a UTF-8 byte order mark and refuses the others.
func (r *Reader) mark() error {
	for r.end-r.start < 4 {
		if ok, err := r.more(); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	n, err := Mark(r.buf[r.start:r.end])
	r.start += n
	return err
}

// Mark gives the length of a UTF-8 byte order mark at the start of a file, and an
// error for the mark of another encoding.
func Mark(head []byte) (int, error) {
	other := ""
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		return 3, nil
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE, 0, 0}), bytes.HasPrefix(head, []byte{0, 0, 0xFE, 0xFF}):
		other = "UTF-32"
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		other = "UTF-16"
	default:
		return 0, nil
	}
	return 0, &fault.Error{Code: fault.Encoding, Line: 1, Msg: "the file is " + other + "; convert it to UTF-8 first, for example with iconv -t UTF-8"}
}

// Len is the number of fields of the row.
func (r *Reader) Len() int { return len(r.fields) }

// Field gives field i without its quotes, and whether it had some. The bytes are
// valid until the next call of Next.
func (r *Reader) Field(i int) (value []byte, inQuotes bool) {
	f := &r.fields[i]
	v := r.buf[r.start+f.start : r.start+f.end]
	if f.kind != doubled {
		return v, f.kind == quoted
	}
	from := len(r.unquoted)
	for {
		j := bytes.IndexByte(v, '"')
		if j < 0 {
			break
		}
		r.unquoted = append(r.unquoted, v[:j+1]...)
		v = v[j+2:]
	}
	r.unquoted = append(r.unquoted, v...)
	return r.unquoted[from:], true
}

// Line is the line in which the row begins, from 1.
func (r *Reader) Line() int64 { return r.line }

// Offset is the byte of the stream at which the row begins, from 0.
func (r *Reader) Offset() int64 { return r.base + int64(r.start) }

// Raw is the row as it was read, with its line end; valid until the next call of Next.
func (r *Reader) Raw() []byte { return r.buf[r.start : r.start+r.size] }
