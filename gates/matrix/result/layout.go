package result

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// encode writes v as JSON that people can read and compare line by line: the members of
// the document and the elements of its lists stand on a line each, and what is deeper
// stays on the line of its element. The same values give the same bytes.
func encode(v any) ([]byte, error) {
	var compact bytes.Buffer
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false) // no reader needs these escapes, and other tools would not write them
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return layout(compact.Bytes()), nil
}

// decode reads one document into v, which must be what encode(v) writes again: that one
// rule refuses unknown, doubled, reordered and wrongly-cased keys, data behind the
// document, invalid UTF-8, and derived members that do not follow from the others. The
// caller derives them in between.
func decode(raw []byte, limit int, v any) error {
	if len(raw) > limit {
		return fmt.Errorf("%d bytes, more than the limit of %d", len(raw), limit)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// sameBytes holds that raw is what its writer writes.
func sameBytes(raw, again []byte) error {
	if bytes.Equal(raw, again) {
		return nil
	}
	n := 0
	for n < len(raw) && n < len(again) && raw[n] == again[n] {
		n++
	}
	return fmt.Errorf("line %d is not what its writer writes (an unknown, doubled or wrongly-cased key, a figure that does not follow from the others, or data behind the document)",
		1+bytes.Count(raw[:n], []byte("\n")))
}

// layout breaks compact JSON into lines; see encode.
func layout(compact []byte) []byte {
	const deepest = 2
	compact = bytes.TrimSpace(compact)
	out := make([]byte, 0, len(compact)+len(compact)/8)
	depth, quoted := 0, false
	line := func() {
		if depth <= deepest {
			out = append(out, '\n')
			out = append(out, "    "[:2*depth]...)
		}
	}
	for i := 0; i < len(compact); i++ {
		c := compact[i]
		if quoted {
			out = append(out, c)
			switch c {
			case '\\':
				i++
				out = append(out, compact[i])
			case '"':
				quoted = false
			}
			continue
		}
		switch c {
		case '"':
			quoted = true
			out = append(out, c)
		case '{', '[':
			out = append(out, c)
			if compact[i+1] == c+2 { // in ASCII both closing brackets stand two behind
				i++
				out = append(out, compact[i])
				continue
			}
			depth++
			line()
		case '}', ']':
			if depth <= deepest {
				depth--
				line()
			} else {
				depth--
			}
			out = append(out, c)
		case ',':
			out = append(out, c)
			if depth <= deepest {
				line()
			} else {
				out = append(out, ' ')
			}
		case ':':
			out = append(out, c, ' ')
		default:
			out = append(out, c)
		}
	}
	return append(out, '\n')
}
