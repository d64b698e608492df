package result

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of single texts, in bytes. What is longer loses its end and says how much.
const (
	maxValue = 512     // a value of a sample row
	maxText  = 4 << 10 // anything else that came from outside
	maxShown = 300     // a value on a page
)

// cut shortens a text to at most limit bytes, which is more than the remark takes. What
// was cut once stays as it is when it is cut again.
func cut(s string, limit int) string {
	const remark = 48
	if len(s) <= limit {
		return s
	}
	keep := limit - remark
	for keep > 0 && !utf8.RuneStart(s[keep]) {
		keep--
	}
	return fmt.Sprintf("%s [... %d bytes cut]", s[:keep], len(s)-keep)
}

// visible writes whatever does not print as an escape, so that nothing in a text from
// outside can hide, break a line or turn the direction of reading.
func visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// literal is a value as a code span of Markdown: nothing in it is markup, a mention or a
// link. It does not belong into a table, where a vertical bar would end the cell.
func literal(s string) string {
	if s == "" {
		return "nothing"
	}
	s = cut(visible(s), maxShown)
	longest, run := 0, 0
	for _, r := range s {
		if r == '`' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 || s[0] == ' ' || s[len(s)-1] == ' ' {
		s = " " + s + " " // one blank at each end belongs to the fence
	}
	return fence + s + fence
}

// plainName is what names of families, strategies and cases are made of.
var plainName = regexp.MustCompile(`^[a-z0-9_]+$`)

// named is a name, also in a table; one that no case can have is shown like any other text.
func named(s string) string {
	if plainName.MatchString(s) {
		return "`" + s + "`"
	}
	return prose(s)
}

// prose is a sentence from outside as text of Markdown, on one line, also in a table.
func prose(s string) string {
	s = cut(visible(strings.Join(strings.Fields(s), " ")), maxText/4)
	return strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "~", `\~`, "#", `\#`, "!", `\!`, "[", `\[`, "]", `\]`, "|", `\|`,
		"&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "&#64;", "://", `\://`, "www.", `www\.`,
	).Replace(s)
}
