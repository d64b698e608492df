package files

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// field is a wanted column.
type field struct {
	name  string
	kind  fixture.Kind // that the manifest tells
	index int          // among the file's columns, -1 when the file is older than the column
	// other is the manifest's type where it is not the wanted column's.
	other string
}

// rowReader reads one file row by row.
type rowReader interface {
	next() error // io.EOF after the last
	// value adds the current row's value of wanted column i.
	value(dst []byte, i int) (out []byte, null bool, err error)
	close() error
}

func decompress(r io.Reader, how string) (io.Reader, func(), error) {
	switch how {
	case "none":
		return r, func() {}, nil
	case gzipped:
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case zstandard:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return nil, nil, fmt.Errorf("there is no compression %q", how)
}

// lines reads text that ends in line ends.
type lines struct {
	r    *bufio.Reader
	line []byte
	n    int
}

// more adds the text up to the next line end, without it. Text behind the last one is an error.
func (l *lines) more() error {
	for {
		part, err := l.r.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case err == nil:
			l.n++
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.line) > 0:
			return errors.New("the last line has no end")
		default:
			return err
		}
	}
}

// csvReader reads RFC 4180 strictly, and tells a field with quotes from one without.
type csvReader struct {
	lines
	free   func()
	delim  byte
	null   string
	width  int
	wanted []field
	fields []csvField
}

type csvField struct {
	text   []byte
	quoted bool
}

func newCSVReader(r io.Reader, free func(), of format, names []string, wanted []field) (*csvReader, error) {
	c := &csvReader{lines: lines{r: bufio.NewReaderSize(r, 256<<10)}, free: free, delim: of.separator(), null: of.null, width: len(names), wanted: wanted}
	if err := c.next(); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	for i, f := range c.fields {
		if string(f.text) != names[i] {
			return nil, fmt.Errorf("the header has %q where the manifest tells %q", f.text, names[i])
		}
	}
	return c, nil
}

func (c *csvReader) next() error {
	c.line = c.line[:0]
	for quotes := 0; ; {
		from := len(c.line)
		if err := c.more(); err != nil {
			return err
		}
		if quotes += bytes.Count(c.line[from:], []byte{'"'}); quotes%2 == 0 {
			break // no quoted field goes on in the next line
		}
	}
	if err := c.split(c.line[:len(c.line)-1]); err != nil {
		return fmt.Errorf("line %d: %w", c.n, err)
	}
	if len(c.fields) != c.width {
		return fmt.Errorf("line %d: %d fields, the file has %d columns", c.n, len(c.fields), c.width)
	}
	return nil
}

func (c *csvReader) split(rest []byte) error {
	c.fields = c.fields[:0]
	for {
		var f csvField
		if len(rest) > 0 && rest[0] == '"' {
			f.quoted = true
			var err error
			if f.text, rest, err = unquote(rest[1:]); err != nil {
				return err
			}
			if len(rest) > 0 && rest[0] != c.delim {
				return errors.New("text after a closing quote")
			}
		} else {
			end := bytes.IndexByte(rest, c.delim)
			if end < 0 {
				end = len(rest)
			}
			f.text, rest = rest[:end], rest[end:]
			if bytes.ContainsAny(f.text, "\"\r") {
				return errors.New("a quote or a line end in a field without quotes")
			}
		}
		c.fields = append(c.fields, f)
		if len(rest) == 0 {
			return nil
		}
		rest = rest[1:]
	}
}

// unquote gives the text up to the closing quote, with its doubled quotes taken together.
func unquote(in []byte) (text, rest []byte, err error) {
	for at := 0; ; {
		i := bytes.IndexByte(in[at:], '"')
		if i < 0 {
			return nil, nil, errors.New("a quote is not closed")
		}
		at += i
		if at+1 == len(in) || in[at+1] != '"' {
			if text == nil {
				return in[:at], in[at+1:], nil
			}
			return append(text, in[:at]...), in[at+1:], nil
		}
		text = append(text, in[:at+1]...)
		in, at = in[at+2:], 0
	}
}

func (c *csvReader) value(dst []byte, i int) ([]byte, bool, error) {
	w := &c.wanted[i]
	if w.index < 0 {
		return dst, true, nil
	}
	f := &c.fields[w.index]
	if !f.quoted && string(f.text) == c.null {
		return dst, true, nil
	}
	if !utf8.Valid(f.text) {
		return dst, false, fmt.Errorf("line %d: column %q is not UTF-8", c.n, w.name)
	}
	return canon.FromPlain(dst, w.kind, f.text), false, nil
}

func (c *csvReader) close() error {
	c.free()
	return nil
}

// jsonlReader reads one object a line.
type jsonlReader struct {
	lines
	free   func()
	names  []string
	known  map[string]int
	raw    [][]byte // by the file's columns; nil for a key that is not there
	text   []byte   // memory for one
	wanted []field
}

func newJSONLReader(r io.Reader, free func(), names []string, wanted []field) *jsonlReader {
	j := &jsonlReader{lines: lines{r: bufio.NewReaderSize(r, 256<<10)}, free: free, names: names, known: map[string]int{}, raw: make([][]byte, len(names)), wanted: wanted}
	for i, n := range names {
		j.known[n] = i
	}
	return j
}

func (j *jsonlReader) next() error {
	j.line = j.line[:0]
	if err := j.more(); err != nil {
		return err
	}
	clear(j.raw)
	if !json.Valid(j.line) || !utf8.Valid(j.line) || j.line[0] != '{' {
		return fmt.Errorf("line %d is no JSON object", j.n)
	}
	if err := j.object(j.line); err != nil {
		return fmt.Errorf("line %d: %w", j.n, err)
	}
	return nil
}

// object finds the members of a valid object that has no white space between them.
func (j *jsonlReader) object(line []byte) error {
	guess := 0
	for at := 1; line[at] != '}'; {
		if line[at] == ',' {
			at++
		}
		end, err := skip(line, at)
		if err != nil {
			return err
		}
		i := guess
		if key := line[at+1 : end-1]; i >= len(j.names) || j.names[i] != string(key) {
			name, err := appendText(nil, line[at:end])
			if err != nil {
				return err
			}
			var ok bool
			if i, ok = j.known[string(name)]; !ok {
				return fmt.Errorf("the key %q is none of the manifest's columns", name)
			}
		}
		if j.raw[i] != nil {
			return fmt.Errorf("the key %q is given twice", j.names[i])
		}
		if line[end] != ':' {
			return errors.New("white space between the members of a row")
		}
		at = end + 1
		if end, err = skip(line, at); err != nil {
			return err
		}
		j.raw[i] = line[at:end]
		at, guess = end, i+1
	}
	return nil
}

// skip gives the end of the value at a place in valid JSON.
func skip(line []byte, at int) (int, error) {
	depth := 0
	for i := at; i < len(line); i++ {
		switch line[i] {
		case '"':
			for i++; line[i] != '"'; i++ {
				if line[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i, nil
			}
			depth--
		case ',', ':':
			if depth == 0 {
				return i, nil
			}
			continue
		case ' ', '\t', '\r':
			if depth == 0 {
				return 0, errors.New("white space between the members of a row")
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1, nil
		}
	}
	return 0, errors.New("a value has no end")
}

// appendText adds the text of a JSON string.
func appendText(dst, raw []byte) ([]byte, error) {
	inner, start := raw[1:len(raw)-1], len(dst)
	for {
		i := bytes.IndexByte(inner, '\\')
		if i < 0 {
			return append(dst, inner...), nil
		}
		dst = append(dst, inner[:i]...)
		at := strings.IndexByte(`"\/bfnrt`, inner[i+1])
		if at < 0 { // a code point in hexadecimal, or two halves of one
			var s string
			err := json.Unmarshal(raw, &s)
			return append(dst[:start], s...), err
		}
		dst = append(dst, "\"\\/\b\f\n\r\t"[at])
		inner = inner[i+2:]
	}
}

// wrapped begins the object that stands for a JSON text which a line cannot hold as it was written.
const wrapped = `{"__dpone__json":`

func (j *jsonlReader) value(dst []byte, i int) ([]byte, bool, error) {
	w := &j.wanted[i]
	if w.index < 0 {
		return dst, true, nil
	}
	raw := j.raw[w.index]
	switch {
	case raw == nil:
		return canon.Other(dst, "no key"), false, nil
	case string(raw) == "null":
		return dst, true, nil
	case w.kind == fixture.JSON:
		if inner, ok := bytes.CutPrefix(raw, []byte(wrapped)); ok && inner[0] == '"' {
			if end, err := skip(inner, 0); err == nil && end == len(inner)-1 {
				dst, err := appendText(dst, inner[:end])
				return dst, false, err
			}
		}
		return append(dst, raw...), false, nil
	}
	number := slices.Contains([]fixture.Kind{fixture.Int16, fixture.Int32, fixture.Int64, fixture.Decimal, fixture.Float32, fixture.Float64}, w.kind)
	switch c := raw[0]; {
	case c == '"':
		if w.kind == fixture.Text {
			dst, err := appendText(dst, raw)
			return dst, false, err
		}
		s, err := appendText(j.text[:0], raw)
		if err != nil {
			return dst, false, err
		}
		j.text = s
		if w.kind == fixture.Bool || number && string(s) != "NaN" && string(s) != "Infinity" && string(s) != "-Infinity" {
			return canon.Other(append(dst, s...), "string"), false, nil
		}
		return canon.FromPlain(dst, w.kind, s), false, nil
	case c == 't' || c == 'f':
		dst = append(dst, raw...)
		if w.kind != fixture.Bool {
			dst = canon.Other(dst, "boolean")
		}
	case number:
		dst = canon.FromPlain(dst, w.kind, raw)
	default:
		dst = canon.Other(append(dst, raw...), "JSON")
	}
	return dst, false, nil
}

func (j *jsonlReader) close() error {
	j.free()
	return nil
}
