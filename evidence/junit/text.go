package junit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// escape makes s the content of an element, or of an attribute in double
// quotes. It does what encoding/xml.EscapeText does except for two things: line
// breaks in elements stay line breaks, so that reports can be read, and what
// XML cannot carry becomes visible text and not just U+FFFD, so that a report
// of "\x00" does not look like one of "\x01".
func escape(s string, attribute bool) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !allowed(r) && r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case !allowed(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(reference(r, attribute))
		}
		i += size
	}
	return b.String()
}

// reference returns r, or the reference that stands for it where r itself
// would be markup or would not survive a parser.
func reference(r rune, attribute bool) string {
	switch {
	case r == '&':
		return "&amp;"
	case r == '<':
		return "&lt;"
	case r == '>':
		return "&gt;" // "]]>" must not appear in content
	case r == '"' && attribute:
		return "&quot;"
	case r == '\r', r == '\n' && attribute, r == '\t' && attribute:
		// A parser makes these line feeds and spaces.
		return fmt.Sprintf("&#x%X;", r)
	default:
		return string(r)
	}
}

// allowed says whether XML 1.0 has the character, even escaped
// (https://www.w3.org/TR/xml/#NT-Char).
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r <= 0xD7FF ||
		r >= 0xE000 && r <= 0xFFFD ||
		r >= 0x10000 && r <= 0x10FFFF
}

// cut takes the middle out of a text of more than limit bytes: a failure
// usually tells its reason at one of the ends.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	head, tail := limit/2, len(s)-limit/2
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return fmt.Sprintf("%s\n[... %d bytes cut ...]\n%s", s[:head], tail-head, s[tail:])
}
