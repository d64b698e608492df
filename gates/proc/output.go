package proc

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// shared takes both streams of a process. It never refuses a write: a process
// whose output cannot be kept must not hang or see a broken pipe, it is told
// on afterwards.
type shared struct {
	mu   sync.Mutex
	tail *Tail
	w    io.Writer
	err  error
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil {
		_, _ = s.tail.Write(p) // a Tail takes everything
	}
	if s.w != nil && s.err == nil {
		_, s.err = s.w.Write(p)
	}
	return len(p), nil
}

// The limits of a Tail.
const (
	TailLines = 40
	tailBytes = 16 << 10
)

// Tail keeps the last lines of what is written to it: at most [TailLines]
// lines and 16 KiB. The zero value is ready.
type Tail struct {
	buf     []byte
	dropped bool
}

// Write keeps the end of p; it never fails.
func (t *Tail) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > tailBytes {
		t.dropped = true
		p = p[len(p)-tailBytes:]
	}
	// Twice the limit before moving, so that each byte is moved once on average.
	if len(t.buf)+len(p) > 2*tailBytes {
		keep := tailBytes - len(p)
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-min(keep, len(t.buf)):]...)
		t.dropped = true
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

// String is the kept text, safe to show: control characters and bytes that
// are not UTF-8 are escaped, so that a child cannot move the cursor or start a
// workflow command in the middle of a line.
func (t *Tail) String() string {
	buf, dropped := t.buf, t.dropped
	if len(buf) > tailBytes {
		buf, dropped = buf[len(buf)-tailBytes:], true
	}
	text := Printable(string(buf))
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if dropped && len(lines) > 1 {
		lines = lines[1:] // its beginning is gone
	}
	if len(lines) > TailLines {
		lines = lines[len(lines)-TailLines:]
	}
	return strings.Join(lines, "\n")
}

// Printable escapes what a terminal would obey: control characters but line
// feed and tab, and bytes that are not UTF-8. A carriage return before a line
// feed is dropped. Colours (SGR sequences) are dropped too.
func Printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if n := sgr(s[i:]); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case r == '\n', r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r) || !unicode.IsPrint(r) && !unicode.IsSpace(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// sgr is the length of the colour sequence (ECMA-48 SGR) that s begins with, or 0.
func sgr(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	n := 2
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == ';') {
		n++
	}
	if n < len(s) && s[n] == 'm' {
		return n + 1
	}
	return 0
}

// CappedWriter passes on at most max bytes and counts the rest, so that a
// runaway child cannot fill the disk. [CappedWriter.Close] says what is missing.
type CappedWriter struct {
	W       io.Writer
	Max     int64
	written int64
	Dropped int64
	tail    Tail
}

// Write passes p on, or what still fits.
func (c *CappedWriter) Write(p []byte) (int, error) {
	keep := p
	if room := c.Max - c.written; int64(len(keep)) > room {
		keep = keep[:max(room, 0)]
	}
	c.written += int64(len(keep))
	if _, err := c.W.Write(keep); err != nil {
		return 0, err
	}
	if rest := p[len(keep):]; len(rest) > 0 {
		c.Dropped += int64(len(rest))
		_, _ = c.tail.Write(rest) // a Tail takes everything
	}
	return len(p), nil
}

// Close writes how much was left out, and the end of it. It does not close W.
func (c *CappedWriter) Close() error {
	if c.Dropped == 0 {
		return nil
	}
	_, err := fmt.Fprintf(c.W, "\n[%d bytes left out here; the end of them follows]\n%s\n", c.Dropped, c.tail.String())
	return err
}
