package jsonl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is one value of an object. Text is the decoded text of a string and the
// text as it stands of everything else.
type Value struct {
	Kind Kind
	Text []byte
}

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of JSON values (RFC 8259).
const (
	Null Kind = iota
	True
	False
	Number
	String
	Object
	Array
)

func (k Kind) String() string {
	switch k {
	case True, False:
		return "a boolean"
	case Number:
		return "a number"
	case String:
		return "a string"
	case Object:
		return "an object"
	case Array:
		return "an array"
	default:
		return "null"
	}
}

// Scanner walks over the members of one object. Keys and texts it gives stay
// valid until the next object.
type Scanner struct {
	in   []byte
	i    int
	text []byte // decoded strings
}

var errEnd = errors.New("the object ends in the middle")

// Object calls member for each member of the object that in holds, in order.
// raw is the member's value as it stands.
func (s *Scanner) Object(in []byte, member func(key []byte, v Value, raw []byte) error) error {
	s.in, s.i, s.text = in, 0, s.text[:0]
	s.space()
	if !s.take('{') {
		return s.at("the line is not a JSON object")
	}
	s.space()
	if !s.take('}') {
		for {
			s.space()
			if s.i >= len(in) {
				return errEnd
			}
			if in[s.i] != '"' {
				return s.at("a key in double quotes is expected")
			}
			key, err := s.string()
			if err != nil {
				return err
			}
			s.space()
			if !s.take(':') {
				return s.at("a colon is expected after the key")
			}
			s.space()
			from := s.i
			v, err := s.value()
			if err != nil {
				return err
			}
			if err := member(key, v, in[from:s.i]); err != nil {
				return err
			}
			s.space()
			if s.take(',') {
				continue
			}
			if s.take('}') {
				break
			}
			if s.i >= len(in) {
				return errEnd
			}
			return s.at("a comma or the end of the object is expected")
		}
	}
	s.space()
	if s.i < len(in) {
		return s.at("more text after the object")
	}
	return nil
}

func (s *Scanner) at(msg string) error {
	return fmt.Errorf("%s at byte %d of the line", msg, s.i)
}

func (s *Scanner) space() {
	for s.i < len(s.in) {
		switch s.in[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *Scanner) take(c byte) bool {
	if s.i < len(s.in) && s.in[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *Scanner) value() (Value, error) {
	if s.i >= len(s.in) {
		return Value{}, errEnd
	}
	switch c := s.in[s.i]; {
	case c == '"':
		text, err := s.string()
		return Value{String, text}, err
	case c == '{' || c == '[':
		return s.nested()
	case c == 't':
		return s.word("true", True)
	case c == 'f':
		return s.word("false", False)
	case c == 'n':
		return s.word("null", Null)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	default:
		return Value{}, s.at("a value is expected")
	}
}

func (s *Scanner) word(w string, k Kind) (Value, error) {
	if !bytes.HasPrefix(s.in[s.i:], []byte(w)) {
		return Value{}, s.at("a value is expected")
	}
	from := s.i
	s.i += len(w)
	return Value{k, s.in[from:s.i]}, nil
}

func (s *Scanner) number() (Value, error) {
	from := s.i
	s.take('-')
	switch {
	case s.take('0'):
	case s.digits() > 0:
	default:
		return Value{}, s.at("a digit is expected")
	}
	if s.take('.') && s.digits() == 0 {
		return Value{}, s.at("a digit is expected after the point")
	}
	if s.i < len(s.in) && s.in[s.i]|0x20 == 'e' {
		s.i++
		if !s.take('+') {
			s.take('-')
		}
		if s.digits() == 0 {
			return Value{}, s.at("a digit is expected in the exponent")
		}
	}
	return Value{Number, s.in[from:s.i]}, nil
}

func (s *Scanner) digits() int {
	from := s.i
	for s.i < len(s.in) && s.in[s.i] >= '0' && s.in[s.i] <= '9' {
		s.i++
	}
	return s.i - from
}

// nested finds the end of an object or array and leaves the check of what is in it to encoding/json.
func (s *Scanner) nested() (Value, error) {
	from, depth, kind := s.i, 0, Object
	if s.in[s.i] == '[' {
		kind = Array
	}
	for s.i < len(s.in) {
		switch s.in[s.i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.i++
				raw := s.in[from:s.i]
				if !json.Valid(raw) || !utf8.Valid(raw) {
					s.i = from
					return Value{}, s.at("an object or array that is not valid JSON in UTF-8 begins")
				}
				return Value{kind, raw}, nil
			}
		case '"':
			for s.i++; s.i < len(s.in) && s.in[s.i] != '"'; s.i++ {
				if s.in[s.i] == '\\' {
					s.i++
				}
			}
		}
		s.i++
	}
	return Value{}, errEnd
}

// string decodes the string that begins at i.
func (s *Scanner) string() ([]byte, error) {
	from := s.i + 1
	for i := from; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			s.i = i + 1
			v := s.in[from:i]
			if !utf8.Valid(v) {
				s.i = from - 1
				return nil, s.at("the string is not UTF-8")
			}
			return v, nil
		case c == '\\':
			s.i = from
			return s.escaped(i)
		case c < 0x20:
			s.i = i
			return nil, s.at("a control character stands in a string")
		}
	}
	return nil, errEnd
}

// escaped decodes the string whose text begins at s.i and whose first backslash is at i.
func (s *Scanner) escaped(i int) ([]byte, error) {
	begin, from := len(s.text), s.i
	for i < len(s.in) {
		c := s.in[i]
		switch {
		case c == '"':
			s.text = append(s.text, s.in[from:i]...)
			v := s.text[begin:len(s.text):len(s.text)]
			s.i = i + 1
			if !utf8.Valid(v) {
				return nil, s.at("the string before is not UTF-8")
			}
			return v, nil
		case c < 0x20:
			s.i = i
			return nil, s.at("a control character stands in a string")
		case c != '\\':
			i++
			continue
		}
		s.text = append(s.text, s.in[from:i]...)
		if i+1 >= len(s.in) {
			return nil, errEnd
		}
		switch e := s.in[i+1]; e {
		case '"', '\\', '/':
			s.text = append(s.text, e)
		case 'b':
			s.text = append(s.text, '\b')
		case 'f':
			s.text = append(s.text, '\f')
		case 'n':
			s.text = append(s.text, '\n')
		case 'r':
			s.text = append(s.text, '\r')
		case 't':
			s.text = append(s.text, '\t')
		case 'u':
			r, ok := s.hex(i)
			if ok && utf16.IsSurrogate(r) {
				low, _ := s.hex(i + 6)
				r = utf16.DecodeRune(r, low)
				ok = r != utf8.RuneError
				i += 6
			}
			if !ok {
				s.i = i
				return nil, s.at("an escape is not a character")
			}
			s.text = utf8.AppendRune(s.text, r)
			i += 4
		default:
			s.i = i
			return nil, s.at("an escape is unknown")
		}
		i += 2
		from = i
	}
	return nil, errEnd
}

// hex reads the escape \uXXXX at i.
func (s *Scanner) hex(i int) (rune, bool) {
	if i+6 > len(s.in) || s.in[i] != '\\' || s.in[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.in[i+2 : i+6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
