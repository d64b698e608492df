package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// The types of a statement. Type is the only one that is written; TypeV01 is
// what `cosign attest-blob --predicate` still writes.
const (
	Type    = "https://in-toto.io/Statement/v1"
	TypeV01 = "https://in-toto.io/Statement/v0.1"
)

// The limits of a statement. Subjects and digests are the hard limits of
// sigstore-go; above them, let one index file be the only subject.
const (
	MaxBytes    = 8 << 20
	MaxDepth    = 64
	MaxSubjects = 1024
	MaxDigests  = 32

	maxValues = 1 << 20
)

// Statement says that a predicate holds of subjects. It is the in-toto
// Statement v1 and has no other members: readers refuse them.
type Statement struct {
	Type          string               `json:"_type"`
	Subject       []ResourceDescriptor `json:"subject" limit:"1024"`
	PredicateType string               `json:"predicateType"`
	// Predicate is the predicate as written; [As] reads it by type.
	Predicate json.RawMessage `json:"predicate"`
}

// Predicate is one of the predicates of this package.
type Predicate interface {
	// PredicateType is the URI that names the format.
	PredicateType() string
	// Validate refuses content that the format does not allow.
	Validate() error
}

// New makes a statement that p holds of the subjects.
func New(subjects []ResourceDescriptor, p Predicate) (*Statement, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("statement: predicate %s: %w", p.PredicateType(), err)
	}
	raw, err := marshal(p)
	if err != nil {
		return nil, fmt.Errorf("statement: predicate %s: %w", p.PredicateType(), err)
	}
	s := &Statement{Type: Type, Subject: subjects, PredicateType: p.PredicateType(), Predicate: raw}
	if err := s.validate(options{}); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return s, nil
}

// Option widens what [Decode] and [Statement.Encode] take.
type Option func(*options)

type options struct {
	v01   bool
	types []string
	any   bool
}

// AllowV01 reads statements of v0.1 too. They differ from v1 in their _type only.
func AllowV01() Option { return func(o *options) { o.v01 = true } }

// AllowPredicateTypes takes further predicate types, whose predicates may be
// any JSON object.
func AllowPredicateTypes(uris ...string) Option {
	return func(o *options) { o.types = append(o.types, uris...) }
}

// AnyPredicateType takes every predicate type. The predicates that this
// package knows are still read strictly.
func AnyPredicateType() Option { return func(o *options) { o.any = true } }

// Encode returns the bytes that are signed: compact JSON, keys in the order of
// the Go structs (of maps: sorted), no HTML escapes, no newline at the end.
// The same statement gives the same bytes. What Encode writes, [Decode] reads
// with the same options; anything else is an error.
func (s *Statement) Encode(opts ...Option) ([]byte, error) {
	if s.Type != Type {
		return nil, fmt.Errorf("statement: %w", strict.Refuse(strict.Schema, "_type", "only %s is written", Type))
	}
	raw, err := marshal(s)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if _, err := Decode(raw, opts...); err != nil {
		return nil, err
	}
	return raw, nil
}

// Decode reads a statement as if its writer were hostile. Every error holds a
// *[strict.Error] with the reason.
func Decode(raw []byte, opts ...Option) (*Statement, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s, err := statements.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if err := s.validate(o); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return &s, nil
}

func limits() strict.Limits {
	return strict.Limits{Bytes: MaxBytes, Depth: MaxDepth, Values: maxValues}
}

func (s *Statement) validate(o options) error {
	if s.Type != Type && (s.Type != TypeV01 || !o.v01) {
		return strict.Refuse(strict.Schema, "_type", "%s is not %s", strict.Quote(s.Type), Type)
	}
	if len(s.Subject) == 0 {
		return strict.Refuse(strict.Schema, "subject", "a statement is about one subject or more")
	}
	if len(s.Subject) > MaxSubjects {
		return strict.Refuse(strict.LimitExceeded, "subject", "%d subjects, at most %d: let one index file be the subject", len(s.Subject), MaxSubjects)
	}
	names := make(map[string]bool, len(s.Subject))
	for i, subject := range s.Subject {
		place := fmt.Sprintf("subject[%d]", i)
		if err := subject.validate(place); err != nil {
			return err
		}
		if len(subject.Digest) == 0 {
			return strict.Refuse(strict.Schema, place+".digest", "a subject has a digest")
		}
		if subject.Name == "" {
			continue
		}
		if names[subject.Name] {
			return strict.Refuse(strict.Schema, place+".name", "%s names an earlier subject", strict.Quote(subject.Name))
		}
		names[subject.Name] = true
	}
	if err := word("predicateType", s.PredicateType, true); err != nil {
		return err
	}
	if len(s.Predicate) == 0 || s.Predicate[0] != '{' {
		return strict.Refuse(strict.Schema, "predicate", "the predicate is not an object")
	}
	p, err := decodePredicate(s.PredicateType, s.Predicate)
	if err != nil {
		return err
	}
	if p == nil && !o.any && !slices.Contains(o.types, s.PredicateType) {
		return strict.Refuse(strict.Schema, "predicateType", "%s is not a predicate type that is read here", strict.Quote(s.PredicateType))
	}
	return nil
}

// As returns the predicate of a statement by its Go type, for example
// As[TestResult](s). It is an error when the statement has another predicate.
func As[T any, P interface {
	*T
	Predicate
}](s *Statement) (*T, error) {
	p, err := decodePredicate(s.PredicateType, s.Predicate)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	want, ok := p.(P)
	if !ok {
		return nil, fmt.Errorf("statement: %w", strict.Refuse(strict.Schema, "predicateType", "%s, wanted %T", strict.Quote(s.PredicateType), *new(T)))
	}
	return want, nil
}

// The decoders hold no state and are never changed.
var (
	statements = strict.NewDecoder[Statement](limits())

	predicates = map[string]func(raw []byte) (Predicate, error){
		TestResultType: reader[TestResult](),
		ProvenanceType: reader[Provenance](),
		VSAType:        reader[VSA](),
		ReleaseType:    reader[Release](),
		ReleaseV01Type: reader[ReleaseV01](),
		CycloneDXType:  reader[CycloneDX](),
		GateType:       reader[Gate](),
		DecisionType:   reader[Decision](),
	}
)

// PredicateTypes are the types whose predicates are read strictly, sorted.
func PredicateTypes() []string {
	return slices.Sorted(maps.Keys(predicates))
}

// decodePredicate reads a predicate of a type that this package knows, and
// returns nil for any other type.
func decodePredicate(uri string, raw []byte) (Predicate, error) {
	if read, ok := predicates[uri]; ok {
		return read(raw)
	}
	return nil, nil
}

func reader[T any, P interface {
	*T
	Predicate
}]() func(raw []byte) (Predicate, error) {
	decoder := strict.NewDecoder[T](limits())
	return func(raw []byte) (Predicate, error) {
		value, err := decoder.Decode(raw)
		if err == nil {
			err = P(&value).Validate()
		}
		if err != nil {
			return nil, within("predicate", err)
		}
		return P(&value), nil
	}
}

// within puts the place of a refusal inside another.
func within(field string, err error) error {
	var refusal *strict.Error
	if !errors.As(err, &refusal) {
		return err
	}
	inner := *refusal
	switch {
	case inner.Field == "":
		inner.Field = field
	case strings.HasPrefix(inner.Field, "["):
		inner.Field = field + inner.Field
	default:
		inner.Field = field + "." + inner.Field
	}
	return &inner
}

// marshal is json.Marshal without HTML escapes and without a newline. Text
// that is not UTF-8 is refused: encoding/json would replace it silently.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	raw := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if at := replacement(raw); at >= 0 {
		return nil, strict.Refuse(strict.Schema, "", "text that is not UTF-8, at byte %d of the JSON", at)
	}
	return raw, nil
}

// replacement is where encoding/json put U+FFFD in place of a broken byte:
// it writes that one escaped, and one that was there as it is. -1 for nowhere.
func replacement(raw []byte) int {
	const escaped = `\ufffd`
	for from := 0; ; {
		at := bytes.Index(raw[from:], []byte(escaped))
		if at < 0 {
			return -1
		}
		at += from
		slashes := 0
		for at-slashes > 0 && raw[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
		from = at + len(escaped)
	}
}
