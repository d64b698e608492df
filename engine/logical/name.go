package logical

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dpone/dpone/engine/spelling"
)

var kindNames = [...]string{
	Invalid:     "invalid",
	Bool:        "bool",
	Int16:       "int16",
	Int32:       "int32",
	Int64:       "int64",
	Float32:     "float32",
	Float64:     "float64",
	Numeric:     "numeric",
	Text:        "text",
	Bytes:       "bytes",
	Date:        "date",
	Time:        "time",
	Timestamp:   "timestamp",
	TimestampTZ: "timestamptz",
	Interval:    "interval",
	UUID:        "uuid",
	JSON:        "json",
	JSONB:       "jsonb",
	Native:      "native",
}

// The limits of numeric(p,s) and text(n), those of PostgreSQL 15.
const (
	maxPrecision  = 1000
	maxScale      = 1000
	maxTextLength = 10485760
)

// String gives the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// String gives the type's name, which [Parse] reads: "int32", "numeric(18,2)",
// "text(50)", "native(postgres:inet)". The Tag of a native type is not part of the
// name, since it may differ from server to server.
func (t Type) String() string {
	name := t.Kind.String()
	switch {
	case t.Kind == Numeric && t.Precision > 0:
		return name + "(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")"
	case t.Kind == Text && t.Length > 0:
		return name + "(" + strconv.Itoa(t.Length) + ")"
	case t.Kind == Native:
		return name + "(" + t.Name + ")"
	}
	return name
}

// Parse reads the name of a type. "numeric(18)" is numeric(18,0).
func Parse(s string) (Type, error) {
	name, args, hasArgs := strings.Cut(s, "(")
	if hasArgs {
		var closed bool
		if args, closed = strings.CutSuffix(args, ")"); !closed {
			return Type{}, fmt.Errorf("type %q: the last character must be the closing parenthesis", s)
		}
	}
	kind := Invalid
	for k := Bool; int(k) < len(kindNames); k++ {
		if kindNames[k] == name {
			kind = k
		}
	}
	t := Type{Kind: kind}
	switch {
	case kind == Invalid:
		return Type{}, fmt.Errorf("type %q: there is no type %q; the nearest name is %q", s, name, spelling.Nearest(name, kindNames[1:], math.MaxInt))
	case kind == Native:
		system, own, ok := strings.Cut(args, ":")
		if !ok || system == "" || own == "" {
			return Type{}, fmt.Errorf("type %q: a native type names its system, such as native(postgres:inet)", s)
		}
		t.Name = args
	case !hasArgs:
	case kind == Numeric:
		precision, scale, _ := strings.Cut(args, ",")
		if !strings.Contains(args, ",") {
			scale = "0"
		}
		var err error
		if t.Precision, err = number(precision, 1, maxPrecision); err != nil {
			return Type{}, fmt.Errorf("type %q: precision: %w", s, err)
		}
		if t.Scale, err = number(scale, -maxScale, maxScale); err != nil {
			return Type{}, fmt.Errorf("type %q: scale: %w", s, err)
		}
	case kind == Text:
		var err error
		if t.Length, err = number(args, 1, maxTextLength); err != nil {
			return Type{}, fmt.Errorf("type %q: length: %w", s, err)
		}
	default:
		return Type{}, fmt.Errorf("type %q: %s takes nothing in parentheses; write %q", s, name, name)
	}
	return t, nil
}

func number(s string, least, greatest int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < least || n > greatest {
		return 0, fmt.Errorf("%q is not a whole number from %d to %d", s, least, greatest)
	}
	return n, nil
}

// DigestTag is the number that stands for the type in a digest: the object
// identifier that PostgreSQL's catalogue pg_type gives the built-in type with the
// same canonical encoding, and Tag for a native type. Precision, scale and length
// are not part of it. 0 is no type.
func (t Type) DigestTag() uint32 {
	switch t.Kind {
	case Bool:
		return 16
	case Bytes:
		return 17
	case Int64:
		return 20
	case Int16:
		return 21
	case Int32:
		return 23
	case Text:
		return 25
	case JSON:
		return 114
	case Float32:
		return 700
	case Float64:
		return 701
	case Date:
		return 1082
	case Time:
		return 1083
	case Timestamp:
		return 1114
	case TimestampTZ:
		return 1184
	case Interval:
		return 1186
	case Numeric:
		return 1700
	case UUID:
		return 2950
	case JSONB:
		return 3802
	case Native:
		return t.Tag
	case Invalid:
	}
	return 0
}

// Width is the length of every value of the type in bytes, 0 when it varies.
func (t Type) Width() int {
	switch t.Kind {
	case Bool:
		return 1
	case Int16:
		return 2
	case Int32, Float32, Date:
		return 4
	case Int64, Float64, Time, Timestamp, TimestampTZ:
		return 8
	case Interval, UUID:
		return 16
	case Invalid, Numeric, Text, Bytes, JSON, JSONB, Native:
	}
	return 0
}
