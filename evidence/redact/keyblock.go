package redact

import "strings"

const (
	pemBegin  = "-----BEGIN "
	pemEnd    = "-----END "
	pemDashes = "-----"

	maxLabel = 64
	// maxKey bounds a block: no private key is longer, but a log is.
	maxKey = 64 << 10
	// minWidth is the least length of a line that more lines may follow. RFC 7468
	// wants 64; a word of a log is shorter.
	minWidth = 32
	// minRun is the least length of base64 after a BEGIN on the same line.
	minRun = 16
)

// keyBlock is a private key of which the BEGIN line was seen. It tells line by
// line what belongs to the block, so that a block without an end takes no more
// with it than text that looks like its body.
type keyBlock struct {
	prefix string // what stands before BEGIN in its line: a log prefix
	width  int    // length of the first line of the body
	last   bool   // a line was short: only a checksum or END may follow
	size   int
}

type verdict int

const (
	foreign verdict = iota // the block ended before this line
	within
	ended // the block ends in this line
)

// line judges the next line, given without its line break. With ended, n is the
// length of what belongs to the block.
func (k *keyBlock) line(l string) (n int, v verdict) {
	k.size += len(l) + 1
	if k.size > maxKey {
		return 0, foreign
	}
	body, _ := strings.CutPrefix(l, k.prefix)
	before, after, isEnd := strings.Cut(body, pemEnd)
	text := strings.TrimSpace(before)
	switch {
	case isEnd:
		if !base64Text(text) {
			return 0, foreign
		}
		return len(l) - len(after) + labelEnd(after), ended
	case text == "":
		if k.width > 0 {
			return 0, foreign
		}
	case k.width == 0 && keyHeader(text):
	case len(text) == 5 && text[0] == '=' && base64Text(text[1:]): // checksum of OpenPGP armor
		k.last = true
	case k.last || !base64Text(text) || k.width > 0 && len(text) > k.width:
		return 0, foreign
	default:
		k.last = len(text) < max(k.width, minWidth)
		k.width = max(k.width, len(text))
	}
	return 0, within
}

// findKey finds a private-key block (RFC 7468, OpenPGP armor), on lines of its
// own or on one line with JSON-escaped line breaks, with or without its end.
func findKey(_ *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	label, _, ok := strings.Cut(s[at+len(pemBegin):min(len(s), at+len(pemBegin)+maxLabel)], pemDashes)
	if !ok || !strings.Contains(label, "PRIVATE KEY") || strings.ContainsAny(label, "\"<>\\\n") {
		return span{}, false
	}
	pos := at + len(pemBegin) + len(label) + len(pemDashes)
	sp := span{from: at, start: at}
	eol := pos + lineLen(s[pos:min(len(s), pos+maxKey)])
	n, complete := inlineKey(s[pos:eol])
	if complete || eol == pos+maxKey || strings.TrimSpace(s[pos+n:eol]) != "" {
		sp.end = pos + n
		return sp, true
	}
	lineStart := strings.LastIndexByte(s[max(0, at-maxLabel):at], '\n') + 1 + max(0, at-maxLabel)
	block := &keyBlock{prefix: s[lineStart:at]}
	for eol < len(s) {
		next := eol + 1
		if next == len(s) {
			break
		}
		l := s[next : next+lineLen(s[next:])]
		n, v := block.line(l)
		switch v {
		case foreign:
			sp.end = eol
			return sp, true
		case ended:
			sp.end = next + n
			return sp, true
		}
		eol = next + len(l)
	}
	sp.end = eol
	sc.open = block
	return sp, true
}

// inlineKey returns how much of the rest of a BEGIN line belongs to the block,
// and whether the block ends there.
func inlineKey(rest string) (n int, ended bool) {
	near, _, _ := strings.Cut(rest, pemBegin)
	if body, after, ok := strings.Cut(near, pemEnd); ok && inlineText(body) {
		return len(body) + len(pemEnd) + labelEnd(after), true
	}
	pos, seen := 0, false
	for {
		i := pos + separators(rest[pos:])
		end := i
		for end < len(rest) && (isBase64(rest[end]) || rest[end] == '=') {
			end++
		}
		if end == i || end-i < minRun && !seen {
			return pos, false
		}
		pos, seen = end, end-i >= minRun
	}
}

// separators returns the length of the line breaks s begins with, as JSON, XML
// and URLs escape them, and of blanks.
func separators(s string) int {
	i := 0
next:
	for {
		if n := prefixOf(s[i:], " \t"); n > 0 {
			i += n
		}
		n := prefixOf(s[i:], `\`)
		if n > 0 && i+n < len(s) && strings.IndexByte("nrt", s[i+n]) >= 0 {
			i += n + 1
			continue
		}
		for _, esc := range []string{"&#xA;", "&#xD;", "&#10;", "&#13;", "%0A", "%0D", "%0a", "%0d"} {
			if strings.HasPrefix(s[i:], esc) {
				i += len(esc)
				continue next
			}
		}
		return i
	}
}

// labelEnd returns the length of the label and the dashes of an END line.
func labelEnd(s string) int {
	label, _, ok := strings.Cut(s[:min(len(s), maxLabel)], pemDashes)
	if !ok {
		return 0
	}
	return len(label) + len(pemDashes)
}

// keyHeader says that l is a header of RFC 1421 or OpenPGP armor.
func keyHeader(l string) bool {
	name, _, ok := strings.Cut(l, ":")
	switch name {
	case "Proc-Type", "DEK-Info", "Version", "Comment", "Hash", "Charset", "MessageID":
		return ok && len(l) < 256
	}
	return false
}

// lineLen returns the length of the first line of s without its line break.
func lineLen(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

func base64Text(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '+' && s[i] != '/' {
			return false
		}
	}
	return true
}

// inlineText says that s can stand between BEGIN and END on one line.
func inlineText(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+/=\\ \t\r:,.-&#;%_()", s[i]) < 0 {
			return false
		}
	}
	return true
}
