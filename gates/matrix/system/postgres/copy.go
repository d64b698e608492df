package postgres

import (
	"io"
	"iter"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// copyReader gives rows in the text format of COPY (postgresql.org/docs, COPY, file formats).
type copyReader struct {
	columns []fixture.Column
	next    func() (fixture.Row, bool)
	stop    func()
	buf     []byte
	from    int
}

func newCopyReader(columns []fixture.Column, rows iter.Seq[fixture.Row]) *copyReader {
	r := &copyReader{columns: columns}
	r.next, r.stop = iter.Pull(rows)
	return r
}

func (r *copyReader) close() { r.stop() }

func (r *copyReader) Read(p []byte) (int, error) {
	if r.from == len(r.buf) {
		r.buf, r.from = r.buf[:0], 0
		for len(r.buf) < 32<<10 {
			row, ok := r.next()
			if !ok {
				break
			}
			r.row(row)
		}
		if len(r.buf) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.buf[r.from:])
	r.from += n
	return n, nil
}

func (r *copyReader) row(row fixture.Row) {
	for i, v := range row {
		if i > 0 {
			r.buf = append(r.buf, '\t')
		}
		switch {
		case v.Null:
			r.buf = append(r.buf, `\N`...)
		case r.columns[i].Kind == fixture.Bytes:
			r.buf = append(append(r.buf, `\\x`...), v.Text...)
		default:
			r.text(v.Text)
		}
	}
	r.buf = append(r.buf, '\n')
}

func (r *copyReader) text(s string) {
	from := 0
	for i := range len(s) {
		var escape byte
		switch s[i] {
		case '\\':
			escape = '\\'
		case '\t':
			escape = 't'
		case '\n':
			escape = 'n'
		case '\r':
			escape = 'r'
		default:
			continue
		}
		r.buf = append(append(r.buf, s[from:i]...), '\\', escape)
		from = i + 1
	}
	r.buf = append(r.buf, s[from:]...)
}
