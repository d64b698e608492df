package redact

import (
	"cmp"
	"slices"
	"strings"
)

const (
	markerOpen  = "[redacted:"
	markerClose = "]"

	// keyBits is the size of an index key: three characters of six bits.
	keyBits = 18
	keyLen  = 3
	keyMask = 1<<keyBits - 1
)

// class folds a byte to six bits: letters without case, digits, and the
// punctuation that triggers contain; all other bytes share what is left.
var class = func() (t [256]uint8) {
	const own = "_-.:/=+%@\\&#[\" $!"
	for b := range t {
		c := byte(b)
		switch {
		case isDigit(c):
			t[b] = c - '0'
		case isAlnum(c):
			t[b] = 10 + lower(c) - 'a'
		default:
			t[b] = 53 + c%11
			if i := strings.IndexByte(own, c); i >= 0 {
				t[b] = 36 + uint8(i)
			}
		}
	}
	return t
}()

// index finds, in one run over a text, the places where a literal stands or a
// shape may start. Per byte it costs one look into a bitmap that fits the
// first-level cache; only a hit there costs more. That is why programs may have
// any number of secrets, and why New compiles nothing.
type index struct {
	seen    [1 << keyBits / 64]uint64 // keys (first three characters) in at
	at      map[uint32][]entry
	known   map[string]bool // literals in at
	longest int             // length of the longest literal
}

// entry is a literal or, with a shape, the trigger of one.
type entry struct {
	text  string
	label string
	tail  bool // base64 without its end: the next character still holds bits
	shape *shape
}

func newIndex() *index {
	return &index{at: make(map[uint32][]entry), known: make(map[string]bool)}
}

func (x *index) add(e entry) {
	var key uint32
	for i := range keyLen {
		key = key<<6 | uint32(class[e.text[i]])
	}
	x.seen[key/64] |= 1 << (key % 64)
	x.at[key] = append(x.at[key], e)
}

func (x *index) addShape(s *shape) {
	x.add(entry{text: s.trigger, label: s.kind, shape: s})
}

func (x *index) addLiteral(v variant, label string) {
	if len(v.text) < minExplicit || x.known[v.text] {
		return
	}
	x.known[v.text] = true
	x.longest = max(x.longest, len(v.text))
	x.add(entry{text: v.text, label: label, tail: v.tail})
}

// span is a secret at [start,end) of a text. What tells that it is one, such as
// the key of key=value, begins at from.
type span struct {
	from, start, end int
	label            string
	literal          bool
}

// scan is one run over a text. It keeps the ends of the last unquoted value and
// of the last token, for a text of nothing but triggers must not be run through
// from each of them.
type scan struct {
	s         string
	spans     []span
	open      *keyBlock // private key that has not ended at the end of s
	runEnd    int
	tokenEnd  int
	tokenMore string
}

// search returns the spans in s in the order of their triggers, not yet merged.
func (x *index) search(s string, skip func(s string, start, end int) bool) *scan {
	sc := &scan{s: s}
	var key uint32
	for i := range len(s) {
		key = (key<<6 | uint32(class[s[i]])) & keyMask
		if x.seen[key/64]&(1<<(key%64)) == 0 || i < keyLen-1 {
			continue
		}
		at := i - (keyLen - 1)
		for _, e := range x.at[key] {
			sp, ok := e.match(sc, at)
			if ok && sp.start < sp.end && (skip == nil || !skip(s, sp.start, sp.end)) {
				sc.add(sp)
			}
		}
	}
	return sc
}

// match says whether the literal or shape of e stands at s[at:].
func (e *entry) match(sc *scan, at int) (span, bool) {
	s := sc.s
	if e.shape != nil {
		if len(s)-at < len(e.text) || !e.shape.triggered(s[at:at+len(e.text)]) {
			return span{}, false
		}
		sp, ok := e.shape.find(e.shape, sc, at)
		sp.label = e.label
		return sp, ok
	}
	if !strings.HasPrefix(s[at:], e.text) {
		return span{}, false
	}
	sp := span{from: at, start: at, end: at + len(e.text), label: e.label, literal: true}
	if e.tail {
		if sp.end < len(s) && isBase64(s[sp.end]) {
			sp.end++
		}
		for n := 0; n < 2 && sp.end < len(s) && s[sp.end] == '='; n++ {
			sp.end++
		}
	}
	// A literal can begin with the letter of an escape sequence (\n); to leave
	// the backslash alone would make JSON invalid.
	if at > 0 && s[at-1] == '\\' && strings.IndexByte(`"\/bfnrtu`, s[at]) >= 0 && oddBackslashes(s[:at]) {
		sp.start--
		sp.from--
	}
	return sp, true
}

// add appends sp or merges it into the last span: a literal of repeated
// characters would otherwise give a span per byte.
func (sc *scan) add(sp span) {
	if n := len(sc.spans); n > 0 {
		if last := &sc.spans[n-1]; last.start <= sp.start && sp.start < last.end {
			last.merge(sp)
			return
		}
	}
	sc.spans = append(sc.spans, sp)
}

// merge extends a by b. The label of a variable says more than that of a shape,
// and the longer secret more than the shorter.
func (a *span) merge(b span) {
	switch {
	case a.literal != b.literal:
		if b.literal {
			a.label, a.literal = b.label, true
		}
	case b.end-b.start > a.end-a.start:
		a.label = b.label
	}
	a.from, a.start, a.end = min(a.from, b.from), min(a.start, b.start), max(a.end, b.end)
}

// find returns the secrets of s, sorted and disjoint, and the private-key block
// that is still open at its end.
func (r *Redactor) find(s string) ([]span, *keyBlock) {
	sc := r.index.search(s, r.inMarker)
	if len(sc.spans) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(sc.spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	out := sc.spans[:1]
	for _, sp := range sc.spans[1:] {
		if last := &out[len(out)-1]; sp.start < last.end {
			last.merge(sp)
			continue
		}
		out = append(out, sp)
	}
	return out, sc.open
}

// inMarker says that [start,end) lies within a marker this redactor writes, as
// when a value is a part of its variable's name.
func (r *Redactor) inMarker(s string, start, end int) bool {
	const maxLabel = 256
	low := max(0, start-maxLabel)
	open := strings.LastIndex(s[low:min(len(s), start+len(markerOpen))], markerOpen)
	if open < 0 {
		return false
	}
	label, _, ok := strings.Cut(s[low+open+len(markerOpen):min(len(s), low+open+len(markerOpen)+maxLabel)], markerClose)
	return ok && r.labels[label] && end <= low+open+len(markerOpen)+len(label)+len(markerClose)
}

// replace puts markers in the place of spans.
func replace(s string, spans []span) string {
	var b strings.Builder
	b.Grow(len(s))
	at := 0
	for _, sp := range spans {
		b.WriteString(s[at:sp.start])
		b.WriteString(markerOpen)
		b.WriteString(sp.label)
		b.WriteString(markerClose)
		at = sp.end
	}
	b.WriteString(s[at:])
	return b.String()
}

func oddBackslashes(s string) bool {
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= lower(c) && lower(c) <= 'z' }

func isBase64(c byte) bool { return isAlnum(c) || strings.IndexByte("+/-_", c) >= 0 }

// lower folds ASCII letters only: no trigger has others.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
