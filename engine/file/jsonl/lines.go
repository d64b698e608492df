// Package jsonl reads and writes JSON Lines: one JSON object (RFC 8259) a line.
//
// It exists beside encoding/json because a mover must see a key that is given
// twice, a number as it was written, and the place of a row that cannot be read.
//
// Reading is strict: UTF-8 (a byte order mark at the start is skipped), one object
// a line, no key twice, nothing after the object. A line ends with \n, \r\n or a
// lone \r; a line with nothing but space is no row.
package jsonl

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/fault"
)

// MaxLine is the longest line that is read, in bytes.
const MaxLine = 64 << 20

const firstBuffer = 256 << 10

// Lines splits a stream into lines.
type Lines struct {
	src        io.Reader
	buf        []byte
	start, end int
	size       int // of the current line with its end
	base, line int64
	failed     error
	begun      bool
}

// NewLines reads from src.
func NewLines(src io.Reader) *Lines { return &Lines{src: src} }

// Next gives the next line that is not blank, without its end, valid until the next call. It ends with io.EOF.
func (l *Lines) Next() ([]byte, error) {
	if !l.begun {
		l.begun = true
		if err := l.mark(); err != nil {
			return nil, err
		}
	}
	for {
		line, err := l.next()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimLeft(line, " \t")) > 0 {
			return line, nil
		}
	}
}

func (l *Lines) next() ([]byte, error) {
	l.start += l.size
	l.size = 0
	l.line++
	i := 0
	for {
		rest := l.buf[l.start:l.end]
		j := end(rest[i:])
		if j < 0 {
			i = len(rest)
			ok, err := l.more()
			if err != nil {
				return nil, err
			}
			if ok {
				continue
			}
			if i == 0 {
				return nil, io.EOF
			}
			l.size = i
			return rest, nil
		}
		i += j
		if rest[i] == '\r' && i+1 == len(rest) {
			if _, err := l.more(); err != nil {
				return nil, err
			}
			rest = l.buf[l.start:l.end]
		}
		l.size = i + 1
		if rest[i] == '\r' && l.size < len(rest) && rest[l.size] == '\n' {
			l.size++
		}
		return rest[:i], nil
	}
}

// end gives the first line end, or -1.
func end(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	if n >= 0 {
		b = b[:n]
	}
	if r := bytes.IndexByte(b, '\r'); r >= 0 {
		return r
	}
	return n
}

func (l *Lines) more() (bool, error) {
	if l.failed != nil {
		if errors.Is(l.failed, io.EOF) {
			return false, nil
		}
		return false, l.failed
	}
	if l.end-l.start > MaxLine {
		return false, &fault.Error{Code: fault.Limit, Line: l.line, Offset: l.Offset(), Msg: fmt.Sprintf("the line is longer than %d bytes", MaxLine)}
	}
	if l.end == len(l.buf) {
		if l.start > 0 {
			l.base += int64(l.start)
			l.end = copy(l.buf, l.buf[l.start:l.end])
			l.start = 0
		} else {
			grown := make([]byte, max(firstBuffer, 2*len(l.buf)))
			l.end = copy(grown, l.buf[:l.end])
			l.buf = grown
		}
	}
	for range 100 {
		n, err := l.src.Read(l.buf[l.end:])
		l.end += n
		if err != nil {
			l.failed = err
		}
		if n > 0 {
			return true, nil
		}
		if err != nil {
			return l.more()
		}
	}
	l.failed = io.ErrNoProgress
	return false, l.failed
}

func (l *Lines) mark() error {
	for l.end < 4 {
		if ok, err := l.more(); err != nil {
			return err
		} else if !ok {
			break
		}
	}
	n, err := csv.Mark(l.buf[:l.end])
	l.start += n
	return err
}

// Line is the number of the current line, from 1.
func (l *Lines) Line() int64 { return l.line }

// Offset is the byte of the stream at which the current line begins, from 0.
func (l *Lines) Offset() int64 { return l.base + int64(l.start) }

// Raw is the current line with its end, valid until the next call of Next.
func (l *Lines) Raw() []byte { return l.buf[l.start : l.start+l.size] }
