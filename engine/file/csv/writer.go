package csv

import (
	"bytes"
	"io"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

// Writer writes rows. A NULL is the dialect's text without quotes; an empty text
// always has quotes, as has every value that would read as something else.
type Writer struct {
	dst   io.Writer
	delim byte
	null  string
	hard  [256]bool // bytes that need quotes
	buf   []byte
	text  []byte
	begun bool
}

// flushAt is the size at which the buffer is handed on, in bytes.
const flushAt = 64 << 10

// NewWriter writes to dst. The dialect must have passed Check.
func NewWriter(dst io.Writer, d Dialect) *Writer {
	w := &Writer{dst: dst, delim: d.delimiter(), null: d.Null}
	w.hard[w.delim], w.hard['"'], w.hard['\n'], w.hard['\r'] = true, true, true, true
	return w
}

// Header writes the names of the columns.
func (w *Writer) Header(names []string) error {
	for i, name := range names {
		if i > 0 {
			w.buf = append(w.buf, w.delim)
		}
		w.value([]byte(name))
	}
	w.buf = append(w.buf, '\n')
	return w.flush(flushAt)
}

// Write writes rows from..to of the batch.
func (w *Writer) Write(b *batch.Batch, from, to int) error {
	for row := from; row < to; row++ {
		for c := range b.Columns {
			if c > 0 {
				w.buf = append(w.buf, w.delim)
			}
			v := b.Columns[c].Value(row)
			if v == nil {
				w.buf = append(w.buf, w.null...)
				w.begun = true
				continue
			}
			var err error
			if t := b.Schema[c].Type; t.Kind != logical.Text {
				if w.text, err = logical.AppendText(w.text[:0], t, v); err != nil {
					return err
				}
				v = w.text
			}
			w.value(v)
		}
		w.buf = append(w.buf, '\n')
		if err := w.flush(flushAt); err != nil {
			return err
		}
	}
	return nil
}

// value adds one value, in quotes where it needs some.
func (w *Writer) value(v []byte) {
	need := len(v) == 0 || string(v) == w.null
	if !w.begun {
		// The first bytes of the file must not look like a byte order mark.
		need = need || v[0] >= 0x80
		w.begun = true
	}
	for i := 0; i < len(v) && !need; i++ {
		need = w.hard[v[i]]
	}
	if !need {
		w.buf = append(w.buf, v...)
		return
	}
	w.buf = append(w.buf, '"')
	for {
		i := bytes.IndexByte(v, '"')
		if i < 0 {
			break
		}
		w.buf = append(w.buf, v[:i+1]...)
		w.buf = append(w.buf, '"')
		v = v[i+1:]
	}
	w.buf = append(w.buf, v...)
	w.buf = append(w.buf, '"')
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
