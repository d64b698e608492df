package redact

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

const (
	// maxLine is the length of a line up to which it is held back as a whole.
	maxLine = 64 << 10
	// minOverlap is the least length of what is held back of a longer line: no
	// shape but a private key is longer.
	minOverlap = 16 << 10
)

// Writer redacts a stream. It is safe for concurrent use; what one call of Write
// gives stays together only if it ends in a line break.
type Writer struct {
	mu      sync.Mutex
	r       *Redactor
	w       io.Writer
	overlap int

	buf     []byte    // the begin of a line
	key     *keyBlock // private key that began in an earlier line
	newline string    // line break that is due if the key had no end
	skip    bool      // the rest of a secret longer than a line follows
	err     error
	closed  bool
}

// Writer returns a stream that writes what it is given to w, without secrets, no
// matter how the calls of Write split them.
//
// It holds back the last line until it is complete. Of a line longer than 64 KiB
// it writes the begin, but holds back as much as the longest value needs, and 16
// KiB at least; a shape that is longer than that can stay in a line that long.
// Of a private key that began in an earlier line it keeps no text. A value of
// several lines is found line by line: lines of less than 8 bytes can stay.
//
// Write returns len(p), or the error of w, which all later calls return as well.
// Close writes what is held back; it does not close w.
func (r *Redactor) Writer(w io.Writer) *Writer {
	return &Writer{r: r, w: w, overlap: max(minOverlap, r.index.longest+8)}
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.closed {
		return 0, fmt.Errorf("redact: %w", os.ErrClosed)
	}
	n := len(p)
	for len(p) > 0 && w.err == nil {
		piece := p[:min(len(p), maxLine)]
		if i := bytes.LastIndexByte(piece, '\n'); i >= 0 {
			w.buf = append(w.buf, piece[:i+1]...)
			w.lines(string(w.buf))
			w.buf = w.buf[:0]
			p = p[i+1:]
			continue
		}
		w.buf = append(w.buf, piece...)
		p = p[len(piece):]
		if len(w.buf) > maxLine+w.overlap {
			w.shorten()
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return n, nil
}

// Close writes what is held back and returns the first error of the underlying
// writer. Further calls do nothing more.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	w.closed = true
	w.lines(string(w.buf))
	w.put(w.newline)
	w.buf, w.newline = nil, ""
	return w.err
}

// lines writes text, which ends at the end of a line or of the stream.
func (w *Writer) lines(text string) {
	text = w.resume(text)
	if text == "" {
		return
	}
	spans, open := w.r.find(text)
	if len(spans) == 0 {
		w.put(text)
		return
	}
	if open != nil {
		w.key = open
		w.newline = text[spans[len(spans)-1].end:]
		text = strings.TrimSuffix(text, w.newline)
	}
	w.put(w.r.String(replace(text, spans)))
}

// resume drops from text what belongs to a secret that began earlier.
func (w *Writer) resume(text string) string {
	if w.skip {
		i := valueEnd(text, 0)
		w.skip = i == len(text)
		text = text[i:]
	}
	for w.key != nil && text != "" {
		n := lineLen(text)
		cut, v := w.key.line(text[:n])
		switch v {
		case within:
			w.newline = text[n:min(len(text), n+1)]
			text = text[n+len(w.newline):]
		case ended:
			w.key, w.newline = nil, ""
			return text[cut:]
		case foreign:
			w.key = nil
			w.put(w.newline)
			w.newline = ""
		}
	}
	return text
}

// shorten writes the begin of a line that is too long to be held back. It cuts
// where no secret is cut; only one longer than half a line is written at once,
// and what follows it up to the next delimiter is dropped.
func (w *Writer) shorten() {
	if w.key != nil { // no line of a key is that long
		w.key = nil
		w.put(w.newline)
		w.newline = ""
	}
	text := w.resume(string(w.buf))
	spans, _ := w.r.find(text)
	cut := max(0, len(text)-w.overlap)
	for i := len(spans) - 1; i >= 0; i-- {
		sp := spans[i]
		if sp.from >= cut || cut >= sp.end {
			continue
		}
		cut = sp.from
		if cut < maxLine/2 {
			cut = sp.end
			w.skip = cut == len(text)
			break
		}
	}
	w.put(w.r.String(text[:cut]))
	w.buf = append(w.buf[:0], text[cut:]...)
}

func (w *Writer) put(s string) {
	if w.err != nil || s == "" {
		return
	}
	n, err := io.WriteString(w.w, s)
	if err == nil && n < len(s) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("redact: %w", err)
	}
}
