package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// JSON returns raw, one JSON document or several (JSON lines), without secrets
// in its strings, keys included. All else stays byte for byte: white space,
// numbers, the order of members and every string without a secret. Two keys
// that hold secrets can become equal. It returns an error when raw is no JSON or
// has no document.
func (r *Redactor) JSON(raw []byte) ([]byte, error) {
	if err := validDocuments(raw); err != nil {
		return nil, fmt.Errorf("redact JSON: %w", err)
	}
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		i := bytes.IndexByte(raw, '"')
		if i < 0 {
			break
		}
		out = append(out, raw[:i]...)
		raw = raw[i:]
		n := literalLen(raw)
		lit, err := r.literal(raw[:n])
		if err != nil {
			return nil, fmt.Errorf("redact JSON: %w", err)
		}
		out = append(out, lit...)
		raw = raw[n:]
	}
	return append(out, raw...), nil
}

func validDocuments(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	for n := 0; ; n++ {
		var doc json.RawMessage
		err := d.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
}

// literal redacts a string literal. Without escapes its inside is the text
// itself, bytes that are no UTF-8 included, and a marker needs no escapes.
func (r *Redactor) literal(lit []byte) ([]byte, error) {
	inside := string(lit[1 : len(lit)-1])
	if bytes.IndexByte(lit, '\\') < 0 {
		out := r.String(inside)
		if out == inside {
			return lit, nil
		}
		return []byte(`"` + out + `"`), nil
	}
	var text string
	if err := json.Unmarshal(lit, &text); err != nil {
		return nil, err
	}
	redacted := r.String(text)
	if redacted == text {
		return lit, nil
	}
	out, err := jsonString(redacted, false)
	return []byte(out), err
}

// literalLen returns the length of the string literal a valid text begins with.
func literalLen(raw []byte) int {
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}
