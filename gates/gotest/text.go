package gotest

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// messageBytes bounds a message and the part of a line that is looked at.
	messageBytes = 4 << 10
	// indent is what package testing puts before log lines, and again before
	// the second and further lines of one message.
	indent = "    "
)

// tail keeps the end of a text.
type tail struct {
	buf     []byte
	dropped int64
}

// add appends text; once more than limit+slack bytes are there it cuts back to
// the last limit bytes, so that a slack makes cutting rare. It returns by how
// many bytes the kept text changed.
func (t *tail) add(text string, limit, slack int) int {
	before := len(t.buf)
	if cut := len(text) - limit; cut > 0 {
		t.dropped += int64(before + cut)
		t.buf = append(t.buf[:0], text[cut:]...)
		return len(t.buf) - before
	}
	t.buf = append(t.buf, text...)
	if len(t.buf) > limit+slack {
		cut := len(t.buf) - limit
		t.dropped += int64(cut)
		t.buf = append(t.buf[:0], t.buf[cut:]...)
	}
	return len(t.buf) - before
}

// output is the last maxLines lines within maxBytes bytes, beginning at the
// beginning of a line wherever a whole line fits.
func (t *tail) output(maxBytes, maxLines int) Output {
	b := t.buf
	if cut := len(b) - maxBytes; cut > 0 {
		b = b[cut:]
	}
	if len(b) < len(t.buf) || t.dropped > 0 {
		b = b[lineStart(b):]
	}
	for i, lines := len(b)-1, 0; i >= 0; i-- {
		// The newline at the very end closes the last line and opens none.
		if b[i] == '\n' && i < len(b)-1 {
			if lines++; lines == maxLines {
				b = b[i+1:]
				break
			}
		}
	}
	return Output{Text: string(b), Dropped: t.dropped + int64(len(t.buf)-len(b))}
}

// lineStart is the index after the first newline, or, in the middle of a line
// that has no other end, the first beginning of a character.
func lineStart(b []byte) int {
	for i, c := range b {
		if c == '\n' && i < len(b)-1 {
			return i + 1
		}
	}
	for i, c := range b {
		if utf8.RuneStart(c) {
			return i
		}
	}
	return len(b)
}

// lines puts the pieces of an output together to lines: test2json splits long
// ones. Of a long line only the first messageBytes are kept.
type lines struct {
	part []byte
}

func (l *lines) feed(text string, each func(line string)) {
	if framing(text) {
		l.flush(each)
	}
	for {
		line, rest, whole := strings.Cut(text, "\n")
		if !whole {
			if room := messageBytes - len(l.part); room > 0 {
				l.part = append(l.part, line[:min(room, len(line))]...)
			}
			return
		}
		if len(l.part) == 0 {
			each(line)
		} else {
			l.part = append(l.part, line[:min(max(0, messageBytes-len(l.part)), len(line))]...)
			l.flush(each)
		}
		text = rest
	}
}

func (l *lines) flush(each func(line string)) {
	if len(l.part) > 0 {
		each(string(l.part))
		l.part = l.part[:0]
	}
}

// framing says that text is a line of package testing, which begins a line
// even when the test before it did not end one.
func framing(text string) bool {
	return strings.HasPrefix(text, "--- ") || strings.HasPrefix(text, "=== ")
}

// progress says that text is the announcement of a test and nothing else.
func progress(text, test string) bool {
	rest, ok := strings.CutPrefix(text, "=== ")
	if !ok {
		return false
	}
	word, rest, _ := strings.Cut(rest, " ")
	switch word {
	case "RUN", "PAUSE", "CONT":
		return strings.TrimSpace(rest) == test
	default:
		return false
	}
}

// message is one message of t.Log, t.Error, t.Skip and the like.
type message struct {
	file string
	line int
	text string
}

// notes are the facts recognised in the output of a test or a package.
type notes struct {
	race, panicked, timedOut bool
	crash                    string // first line of the first panic
	fuzzInput                string
	first, last              *message
	// margin is the indentation of the message being read, -1 between messages.
	margin int
}

func (n *notes) read(line string) {
	line = strings.TrimSuffix(line, "\r")
	switch {
	case strings.TrimSpace(line) == "WARNING: DATA RACE",
		line == "testing: race detected outside of test execution":
		n.race, n.margin = true, -1
		return
	case strings.HasPrefix(line, "panic: test timed out after "),
		strings.HasPrefix(line, "*** Test killed"):
		n.timedOut, n.margin = true, -1
		n.crashed(line)
		return
	case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
		n.panicked, n.margin = true, -1
		n.crashed(line)
		return
	}
	if m, margin, ok := parseMessage(line); ok {
		if m.text == "race detected during execution of test" {
			// The place is inside package testing and explains nothing.
			n.race, m.file, m.line = true, "", 0
		}
		n.last, n.margin = &m, margin
		if n.first == nil {
			n.first = n.last
		}
		return
	}
	if n.margin >= 0 && n.last != nil {
		if more, ok := strings.CutPrefix(line, strings.Repeat(" ", n.margin)+indent); ok {
			if len(n.last.text) < messageBytes {
				n.last.text = clip(n.last.text + "\n" + more)
			}
			return
		}
	}
	n.margin = -1
	if path, ok := strings.CutPrefix(strings.TrimSpace(line), "Failing input written to "); ok {
		n.fuzzInput = clip(path)
	}
}

func (n *notes) crashed(line string) {
	if n.crash == "" {
		n.crash = clip(line)
	}
}

// parseMessage reads "    file.go:12: text" and returns the indentation too.
func parseMessage(line string) (m message, margin int, ok bool) {
	rest := strings.TrimLeft(line, " ")
	margin = len(line) - len(rest)
	if margin < len(indent) {
		return message{}, 0, false
	}
	head, text, ok := strings.Cut(rest, ": ")
	if !ok {
		if head, ok = strings.CutSuffix(rest, ":"); !ok {
			return message{}, 0, false
		}
	}
	colon := strings.LastIndexByte(head, ':')
	// With a space in it the line is prose that mentions a place.
	if colon < 0 || !strings.HasSuffix(head[:colon], ".go") || strings.ContainsAny(head, " \t") {
		return message{}, 0, false
	}
	number, err := strconv.ParseUint(head[colon+1:], 10, 31)
	if err != nil {
		return message{}, 0, false
	}
	return message{file: head[:colon], line: int(number), text: clip(text)}, margin, true
}

// clip cuts s to messageBytes at the beginning of a character.
func clip(s string) string {
	if len(s) <= messageBytes {
		return s
	}
	cut := messageBytes
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
