// Package strict reads JSON that somebody else wrote, so that every reader of
// the same bytes sees the same document or none.
//
// encoding/json takes the last of two equal keys, matches keys without regard
// to case, skips keys it does not know, and turns broken text into U+FFFD.
// Each of these lets a signed document say one thing to one reader and
// another thing to the next. A [Decoder] refuses them all, together with
// anything larger, deeper or longer than its limits, and says why in an
// [Error] with a stable [Reason]:
//
//	var points = strict.NewDecoder[Point](strict.Limits{Bytes: 1 << 10, Depth: 4, Values: 100})
//
//	p, err := points.Decode([]byte(`{"x":1,"x":2}`))
//	// json_duplicate_key: x: the key is there twice
//
// What a document may hold follows from the Go type: a struct has exactly the
// keys of its tags, a map has any, json.RawMessage and any hold whatever JSON
// there is (still without duplicate keys). null stands for no typed value. A
// field tag such as `limit:"32"` bounds the length of a slice or a map before
// anything is built from it. Numbers that other readers would round (integers
// beyond 2^53, RFC 8259 section 6) or could not hold are refused everywhere.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Reason is the stable code of a refusal. Reasons are part of the format of
// reports: they are added, never changed.
type Reason string

// The reasons for which a document is refused before its meaning is looked at.
const (
	EmptyEvidence Reason = "empty_evidence"     // nothing there, or white space only
	LimitExceeded Reason = "limit_exceeded"     // larger, deeper or longer than allowed
	Malformed     Reason = "json_malformed"     // not JSON of RFC 8259 in UTF-8
	DuplicateKey  Reason = "json_duplicate_key" // a key twice in one object
	UnknownKey    Reason = "json_unknown_key"   // a key that the format does not have, or in other case
	Schema        Reason = "schema"             // a value that the format does not allow there
)

// Error is a refusal: why, where, and what to know about it.
type Error struct {
	Reason Reason
	// Field is the place, for example "subject[3].digest", or empty for the whole.
	Field string
	// Detail is one line for a reader. What it quotes of the document is
	// short and escaped.
	Detail string
}

// Error returns "reason: field: detail".
func (e *Error) Error() string {
	if e.Field == "" {
		return string(e.Reason) + ": " + e.Detail
	}
	return string(e.Reason) + ": " + e.Field + ": " + e.Detail
}

// Refuse makes an [Error]; the detail is formatted as by fmt.Sprintf.
func Refuse(reason Reason, field, format string, args ...any) *Error {
	return &Error{Reason: reason, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// ReasonOf is the reason of a refusal anywhere in the chain of err, or empty
// when err is not a refusal.
func ReasonOf(err error) Reason {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

// Limits bound a document before anything is built from it.
type Limits struct {
	Bytes  int // size of the whole document
	Depth  int // arrays and objects inside one another
	Values int // values and keys altogether
}

// Decoder reads documents of one type. It holds no state between documents
// and may be used by many goroutines at once.
type Decoder[T any] struct {
	limits Limits
	plan   *plan
}

// NewDecoder makes a reader for T within limits.
func NewDecoder[T any](limits Limits) *Decoder[T] {
	return &Decoder[T]{limits: limits, plan: planFor[T]()}
}

// Decode reads one document. Every error is an *[Error].
func (d *Decoder[T]) Decode(raw []byte) (T, error) {
	var value, none T
	if err := check(raw, d.limits, d.plan); err != nil {
		return none, err
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		// Only the values themselves are left to be wrong: an enumeration, a
		// time, a number that does not fit.
		field := ""
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) {
			field = typeErr.Field
		}
		return none, Refuse(Schema, field, "%s", Quote(err.Error()))
	}
	return value, nil
}

// Quote returns text from a document as a Go string literal of at most 120
// bytes of the original, safe for a terminal.
func Quote(text string) string {
	const most = 120
	if len(text) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		return fmt.Sprintf("%+q...", text[:cut])
	}
	return fmt.Sprintf("%+q", text)
}

func check(raw []byte, limits Limits, p *plan) error {
	switch {
	case len(raw) > limits.Bytes:
		return Refuse(LimitExceeded, "", "%d bytes, at most %d", len(raw), limits.Bytes)
	case len(bytes.TrimLeft(raw, " \t\r\n")) == 0:
		return Refuse(EmptyEvidence, "", "there is nothing to read")
	case !utf8.Valid(raw):
		return Refuse(Malformed, "", "not UTF-8")
	}
	s := scanner{raw: raw, limits: limits}
	if err := s.value(p, 0, 0); err != nil {
		return err
	}
	s.space()
	if s.pos < len(raw) {
		return s.refuse(Malformed, "more data after the end of the document, at byte %d", s.pos)
	}
	return nil
}
