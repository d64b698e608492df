package files

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// rowWriter writes one file.
type rowWriter interface {
	row(fixture.Row) error
	close() error
}

func writeFile(path string, of format, columns []fixture.Column, rows iter.Seq[fixture.Row]) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 128<<10)
	packed, end, err := compress(out, of)
	if err != nil {
		return err
	}
	w, err := newWriter(packed, of, columns)
	if err != nil {
		return err
	}
	for row := range rows {
		if err := w.row(row); err != nil {
			return err
		}
	}
	if err := errors.Join(w.close(), end()); err != nil {
		return err
	}
	return out.Flush()
}

func compress(w io.Writer, of format) (io.Writer, func() error, error) {
	if of.name != parquetFormat {
		switch of.compression {
		case gzipped:
			z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
			return z, z.Close, err
		case zstandard:
			z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
			return z, z.Close, err
		}
	}
	return w, func() error { return nil }, nil
}

func newWriter(w io.Writer, of format, columns []fixture.Column) (rowWriter, error) {
	switch of.name {
	case csvFormat:
		return newCSVWriter(w, of, columns)
	case jsonlFormat:
		return &jsonlWriter{w: w, columns: columns}, nil
	case parquetFormat:
		return newParquetWriter(w, of, columns)
	}
	return nil, fmt.Errorf("there is no format %q", of.name)
}

// csvWriter writes RFC 4180 with one line end, and quotes where they are needed: NULL
// has none, and an empty text has some.
type csvWriter struct {
	w       io.Writer
	columns []fixture.Column
	delim   byte
	null    string
	buf     []byte
}

func newCSVWriter(w io.Writer, of format, columns []fixture.Column) (*csvWriter, error) {
	c := &csvWriter{w: w, columns: columns, delim: of.separator(), null: of.null}
	for i := range columns {
		c.separate(i)
		c.field([]byte(columns[i].Name))
	}
	return c, c.end()
}

func (c *csvWriter) separate(i int) {
	if i > 0 {
		c.buf = append(c.buf, c.delim)
	}
}

func (c *csvWriter) end() error {
	c.buf = append(c.buf, '\n')
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *csvWriter) field(v []byte) {
	if len(v) > 0 && string(v) != c.null && bytes.IndexByte(v, c.delim) < 0 && !bytes.ContainsAny(v, "\"\r\n") {
		c.buf = append(c.buf, v...)
		return
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, bytes.ReplaceAll(v, []byte{'"'}, []byte{'"', '"'})...)
	c.buf = append(c.buf, '"')
}

func (c *csvWriter) row(row fixture.Row) error {
	var value []byte
	for i, v := range row {
		c.separate(i)
		switch {
		case v.Null:
			c.buf = append(c.buf, c.null...)
		case c.columns[i].Kind == fixture.Bytes:
			value = append(append(value[:0], `\x`...), v.Text...)
			c.field(value)
		default:
			value = append(value[:0], v.Text...)
			c.field(value)
		}
	}
	return c.end()
}

func (c *csvWriter) close() error { return nil }

// jsonlWriter writes one object a line. A NULL is null in one row, and a key that is left out in the next.
type jsonlWriter struct {
	w       io.Writer
	columns []fixture.Column
	rows    int
	buf     []byte
}

func (j *jsonlWriter) row(row fixture.Row) error {
	j.rows++
	j.buf = append(j.buf[:0], '{')
	for i, v := range row {
		if v.Null && j.rows%2 == 0 {
			continue
		}
		if len(j.buf) > 1 {
			j.buf = append(j.buf, ',')
		}
		j.buf = append(appendJSONString(j.buf, j.columns[i].Name), ':')
		j.value(j.columns[i].Kind, v)
	}
	j.buf = append(j.buf, '}', '\n')
	_, err := j.w.Write(j.buf)
	return err
}

func (j *jsonlWriter) value(k fixture.Kind, v fixture.Value) {
	switch {
	case v.Null:
		j.buf = append(j.buf, "null"...)
		return
	case k == fixture.Bytes:
		j.buf = appendJSONString(j.buf, `\x`+v.Text)
		return
	}
	switch k {
	case fixture.Bool, fixture.Int16, fixture.Int32, fixture.Int64, fixture.Decimal, fixture.JSON:
		j.buf = append(j.buf, v.Text...)
	case fixture.Float32, fixture.Float64:
		if last := v.Text[len(v.Text)-1]; last >= '0' && last <= '9' {
			j.buf = append(j.buf, v.Text...)
			return
		}
		j.buf = appendJSONString(j.buf, v.Text) // JSON has no number for it
	default:
		j.buf = appendJSONString(j.buf, v.Text)
	}
}

func (j *jsonlWriter) close() error { return nil }

// appendJSONString writes a string as RFC 8259 has it, with the escapes that must be.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
