package jsonl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

// Writer writes one object a row, with every column as a key and NULL as null.
// Integers, floats and numerics are JSON numbers with their own text; those that
// JSON has no number for (NaN, infinities) are strings. JSON is a part of the line as it
// was written, or wrapped when that would not read back the same (see [Wrapped]).
// Every other type is a string with the type's text form.
type Writer struct {
	dst    io.Writer
	schema batch.Schema
	keys   [][]byte // with quotes, colon and what stands before
	buf    []byte
	text   []byte
}

const flushAt = 64 << 10

// NewWriter writes rows of the schema to dst.
func NewWriter(dst io.Writer, schema batch.Schema) *Writer {
	w := &Writer{dst: dst, schema: schema}
	for i := range schema {
		key := []byte{','}
		if i == 0 {
			key[0] = '{'
		}
		w.keys = append(w.keys, append(appendString(key, []byte(schema[i].Name)), ':'))
	}
	return w
}

// Write writes rows from..to of the batch.
func (w *Writer) Write(b *batch.Batch, from, to int) error {
	for row := from; row < to; row++ {
		for c := range b.Columns {
			w.buf = append(w.buf, w.keys[c]...)
			v := b.Columns[c].Value(row)
			if v == nil {
				w.buf = append(w.buf, "null"...)
				continue
			}
			if err := w.value(w.schema[c].Type, v); err != nil {
				return fmt.Errorf("column %q: %w", w.schema[c].Name, err)
			}
		}
		w.buf = append(w.buf, '}', '\n')
		if err := w.flush(flushAt); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) value(t logical.Type, v []byte) error {
	if t.Kind == logical.Text {
		w.buf = appendString(w.buf, v)
		return nil
	}
	text, err := logical.AppendText(w.text[:0], t, v)
	if err != nil {
		return err
	}
	w.text = text
	switch t.Kind {
	case logical.Int16, logical.Int32, logical.Int64:
		w.buf = append(w.buf, text...)
	case logical.Float32, logical.Float64, logical.Numeric:
		if c := text[len(text)-1]; c >= '0' && c <= '9' {
			w.buf = append(w.buf, text...)
		} else {
			w.buf = appendString(w.buf, text)
		}
	case logical.Bool:
		if v[0] != 0 {
			w.buf = append(w.buf, "true"...)
		} else {
			w.buf = append(w.buf, "false"...)
		}
	case logical.JSON, logical.JSONB:
		if !plain(text) {
			w.buf = append(w.buf, `{"`+Wrapped+`":`...)
			w.buf = appendString(w.buf, text)
			w.buf = append(w.buf, '}')
		} else {
			w.buf = append(w.buf, text...)
		}
	default:
		w.buf = appendString(w.buf, text)
	}
	return nil
}

// plain says whether JSON text reads back as it is when it stands in a line.
func plain(text []byte) bool {
	switch {
	case !json.Valid(text), string(text) == "null", bytes.ContainsAny(text, "\r\n"):
		return false
	case len(bytes.Trim(text, " \t")) != len(text):
		return false
	case text[0] == '"':
		return !bytes.Contains(text, []byte(`\u`))
	case text[0] == '{':
		return !bytes.Contains(text, []byte(Wrapped))
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendString adds a JSON string; v is UTF-8.
func appendString(dst, v []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range v {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, v[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, v[from:]...)
	return append(dst, '"')
}

// Flush hands everything to the stream under the writer.
func (w *Writer) Flush() error { return w.flush(1) }

func (w *Writer) flush(at int) error {
	if len(w.buf) < at {
		return nil
	}
	_, err := w.dst.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}
