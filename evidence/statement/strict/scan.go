package strict

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// scanner walks a document once, without building it. Its memory is the keys
// of the objects that are open, as slices of the document where no escape
// stands in them.
type scanner struct {
	raw    []byte
	pos    int
	values int
	limits Limits
	path   []step
	keys   []string
}

// step is one part of the path to a value: a key, or an index.
type step struct {
	key   string
	index int // of an element, or -1 for a key
}

func (s *scanner) refuse(reason Reason, format string, args ...any) *Error {
	return Refuse(reason, s.place(), format, args...)
}

// place is the path so far, with hostile keys escaped and the whole kept short.
func (s *scanner) place() string {
	var b strings.Builder
	for i, part := range s.path {
		if b.Len() > 200 {
			b.WriteString("...")
			break
		}
		switch {
		case part.index >= 0:
			fmt.Fprintf(&b, "[%d]", part.index)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(plain(part.key))
		}
	}
	return b.String()
}

// plain is a key as it stands when it is a short word, and quoted otherwise.
func plain(key string) string {
	if key == "" || len(key) > 64 {
		return Quote(key)
	}
	for _, r := range key {
		if r < '!' || r > '~' || r == '"' || r == '\\' {
			return Quote(key)
		}
	}
	return key
}

func (s *scanner) space() {
	for s.pos < len(s.raw) {
		switch s.raw[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// count takes one value or key from the allowance.
func (s *scanner) count() error {
	if s.values++; s.values > s.limits.Values {
		return s.refuse(LimitExceeded, "more than %d values", s.limits.Values)
	}
	return nil
}

func (s *scanner) syntax(want string) *Error {
	if s.pos >= len(s.raw) {
		return s.refuse(Malformed, "the document ends where %s should be", want)
	}
	return s.refuse(Malformed, "byte %d is not %s", s.pos, want)
}

// value reads one value that p allows, depth containers deep; limit is the
// most elements or members it may have, 0 for no limit of its own.
func (s *scanner) value(p *plan, limit, depth int) error {
	s.space()
	if err := s.count(); err != nil {
		return err
	}
	if s.pos >= len(s.raw) {
		return s.syntax("a value")
	}
	switch c := s.raw[s.pos]; {
	case c == '{':
		if err := s.wants(p, object, dict); err != nil {
			return err
		}
		return s.object(p, limit, depth+1)
	case c == '[':
		if err := s.wants(p, list); err != nil {
			return err
		}
		return s.array(p, limit, depth+1)
	case c == '"':
		if err := s.wants(p, text); err != nil {
			return err
		}
		_, _, err := s.string()
		return err
	case c == '-' || c >= '0' && c <= '9':
		if err := s.wants(p, number); err != nil {
			return err
		}
		return s.number()
	case c == 't':
		return s.word("true", p, boolean)
	case c == 'f':
		return s.word("false", p, boolean)
	case c == 'n':
		return s.word("null", p)
	}
	return s.syntax("a value")
}

func (s *scanner) wants(p *plan, found ...shape) error {
	if p.shape == anything || slices.Contains(found, p.shape) {
		return nil
	}
	return s.refuse(Schema, "the value is not %s", shapeNames[p.shape])
}

func (s *scanner) word(word string, p *plan, found ...shape) error {
	if !strings.HasPrefix(string(s.raw[s.pos:min(s.pos+len(word), len(s.raw))]), word) {
		return s.syntax("a value")
	}
	s.pos += len(word)
	return s.wants(p, found...)
}

func (s *scanner) open(depth int) error {
	if depth > s.limits.Depth {
		return s.refuse(LimitExceeded, "nested deeper than %d", s.limits.Depth)
	}
	s.pos++
	s.space()
	return nil
}

// next moves past a comma, or past the closing byte and says that it is over.
func (s *scanner) next(end byte) (over bool, err error) {
	s.space()
	if s.pos < len(s.raw) {
		switch s.raw[s.pos] {
		case ',':
			s.pos++
			return false, nil
		case end:
			s.pos++
			return true, nil
		}
	}
	return false, s.syntax("a comma or " + strconv.Quote(string(end)))
}

func (s *scanner) array(p *plan, limit, depth int) error {
	if err := s.open(depth); err != nil {
		return err
	}
	if s.pos < len(s.raw) && s.raw[s.pos] == ']' {
		s.pos++
		return nil
	}
	elem := p.elem
	if elem == nil {
		elem = &free
	}
	for n := 0; ; n++ {
		if limit > 0 && n >= limit {
			return s.refuse(LimitExceeded, "more than %d elements", limit)
		}
		s.path = append(s.path, step{index: n})
		if err := s.value(elem, 0, depth); err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
		if over, err := s.next(']'); over || err != nil {
			return err
		}
	}
}

func (s *scanner) object(p *plan, limit, depth int) error {
	if err := s.open(depth); err != nil {
		return err
	}
	if s.pos < len(s.raw) && s.raw[s.pos] == '}' {
		s.pos++
		return nil
	}
	first := len(s.keys)
	for n := 0; ; n++ {
		if limit > 0 && n >= limit {
			return s.refuse(LimitExceeded, "more than %d members", limit)
		}
		member, err := s.key(p)
		if err != nil {
			return err
		}
		if err := s.value(member.plan, member.limit, depth); err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
		over, err := s.next('}')
		if err != nil {
			return err
		}
		if over {
			break
		}
	}
	// Sorting finds equal keys without a table the size of the object.
	keys := s.keys[first:]
	slices.Sort(keys)
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			s.path = append(s.path, step{key: keys[i], index: -1})
			return s.refuse(DuplicateKey, "the key is there twice")
		}
	}
	s.keys = s.keys[:first]
	return nil
}

// key reads a key and its colon, and returns what its value must be.
func (s *scanner) key(p *plan) (member, error) {
	s.space()
	if s.pos >= len(s.raw) || s.raw[s.pos] != '"' {
		return member{}, s.syntax("a key")
	}
	if err := s.count(); err != nil {
		return member{}, err
	}
	start := s.pos
	between, escaped, err := s.string()
	if err != nil {
		return member{}, err
	}
	key := string(between)
	if escaped {
		if err := json.Unmarshal(s.raw[start:s.pos], &key); err != nil {
			return member{}, s.refuse(Malformed, "a key that is not JSON before byte %d", s.pos)
		}
	}
	s.keys = append(s.keys, key)
	s.path = append(s.path, step{key: key, index: -1})
	s.space()
	if s.pos >= len(s.raw) || s.raw[s.pos] != ':' {
		return member{}, s.syntax("a colon")
	}
	s.pos++
	switch p.shape {
	case object:
		if m, ok := p.fields[key]; ok {
			return m, nil
		}
		for name := range p.fields {
			if strings.EqualFold(name, key) {
				return member{}, s.refuse(UnknownKey, "the key is written %s", name)
			}
		}
		return member{}, s.refuse(UnknownKey, "the format has no such key")
	case dict:
		return member{plan: p.elem}, nil
	}
	return member{plan: &free}, nil
}

// string reads a string, with its opening quote next, and returns the bytes
// between its quotes and whether an escape stands among them.
func (s *scanner) string() (between []byte, escaped bool, err error) {
	start := s.pos + 1
	for s.pos++; s.pos < len(s.raw); s.pos++ {
		switch c := s.raw[s.pos]; {
		case c == '"':
			s.pos++
			return s.raw[start : s.pos-1], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < 0x20:
			return nil, false, s.syntax("allowed in a string: control characters are escaped")
		}
	}
	return nil, false, s.syntax("the end of a string")
}

// escape reads the rest of an escape and stops at its last byte. Half of a
// surrogate pair is refused: readers make different things of it.
func (s *scanner) escape() error {
	s.pos++
	if s.pos >= len(s.raw) {
		return s.syntax("an escape")
	}
	switch s.raw[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return s.syntax("an escape")
	}
	high, ok := s.hex(s.pos + 1)
	if !ok {
		return s.syntax("an escape with four hex digits")
	}
	s.pos += 4
	if !utf16.IsSurrogate(high) {
		return nil
	}
	if s.pos+2 < len(s.raw) && s.raw[s.pos+1] == '\\' && s.raw[s.pos+2] == 'u' {
		if low, ok := s.hex(s.pos + 3); ok && utf16.DecodeRune(high, low) != '\uFFFD' {
			s.pos += 6
			return nil
		}
	}
	return s.syntax("the end of a whole surrogate pair")
}

func (s *scanner) hex(from int) (rune, bool) {
	if from+4 > len(s.raw) {
		return 0, false
	}
	var r rune
	for _, c := range s.raw[from : from+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *scanner) digits() int {
	from := s.pos
	for s.pos < len(s.raw) && s.raw[s.pos] >= '0' && s.raw[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - from
}

// number reads a number of RFC 8259 and refuses one that a reader with
// 64-bit floating point numbers would round or could not hold.
func (s *scanner) number() error {
	const exact = 1 << 53
	start := s.pos
	if s.raw[s.pos] == '-' {
		s.pos++
	}
	zero := s.pos < len(s.raw) && s.raw[s.pos] == '0'
	if n := s.digits(); n == 0 || zero && n > 1 {
		return s.syntax("part of a number")
	}
	whole := true
	if s.pos < len(s.raw) && s.raw[s.pos] == '.' {
		whole = false
		s.pos++
		if s.digits() == 0 {
			return s.syntax("a digit")
		}
	}
	if s.pos < len(s.raw) && (s.raw[s.pos] == 'e' || s.raw[s.pos] == 'E') {
		whole = false
		s.pos++
		if s.pos < len(s.raw) && (s.raw[s.pos] == '+' || s.raw[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return s.syntax("a digit")
		}
	}
	// 400 digits are past every number that can be held; parsing more is work for nothing.
	literal := s.raw[start:s.pos]
	if len(literal) > 400 {
		return s.refuse(Schema, "a number of %d digits", len(literal))
	}
	value, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || math.IsInf(value, 0) {
		return s.refuse(Schema, "the number %s is too large", Quote(string(literal)))
	}
	if whole {
		if n, err := strconv.ParseInt(string(literal), 10, 64); err != nil || n > exact || n < -exact {
			return s.refuse(Schema, "the number %s is beyond 2^53, where readers round: write it as a string", Quote(string(literal)))
		}
	}
	return nil
}
