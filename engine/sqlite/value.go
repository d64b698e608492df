package sqlite

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dpone/dpone/engine/logical"
)

// storage names the class in which SQLite keeps a value.
func storage(v driver.Value) string {
	switch v.(type) {
	case nil:
		return "NULL"
	case int64:
		return "an integer"
	case float64:
		return "a real number"
	case string:
		return "a text"
	case []byte:
		return "a blob"
	}
	return fmt.Sprintf("a %T", v)
}

func unfit(t logical.Type, v driver.Value) error {
	shown := ""
	switch x := v.(type) {
	case int64, float64:
		shown = fmt.Sprintf(" %v", x)
	case string:
		shown = " " + strconv.Quote(x[:min(len(x), 64)])
	}
	return fmt.Errorf("%s%s is no %s", storage(v), shown, t)
}

// decode adds the canonical bytes of a value that SQLite keeps in a column of the
// type. What is no value of the type is an error; nothing is rounded or cut.
func decode(dst []byte, t logical.Type, v driver.Value) ([]byte, error) {
	switch t.Kind {
	case logical.Bool:
		if n, ok := v.(int64); ok && (n == 0 || n == 1) {
			return logical.AppendBool(dst, n == 1), nil
		}
	case logical.Int16:
		if n, ok := v.(int64); ok && n >= math.MinInt16 && n <= math.MaxInt16 {
			return logical.AppendInt16(dst, int16(n)), nil
		}
	case logical.Int32:
		if n, ok := v.(int64); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			return logical.AppendInt32(dst, int32(n)), nil
		}
	case logical.Int64:
		if n, ok := v.(int64); ok {
			return logical.AppendInt64(dst, n), nil
		}
	case logical.Float32, logical.Float64:
		return decodeFloat(dst, t, v)
	case logical.Numeric:
		return decodeNumeric(dst, t, v)
	case logical.Text:
		if s, ok := v.(string); ok {
			return decodeText(dst, t, s)
		}
	case logical.Bytes:
		if b, ok := v.([]byte); ok {
			return append(dst, b...), nil
		}
	case logical.UUID:
		if b, ok := v.([]byte); ok && len(b) == 16 {
			return append(dst, b...), nil
		}
		fallthrough
	default:
		if s, ok := v.(string); ok {
			return logical.ParseText(dst, t, []byte(s))
		}
	}
	return dst, unfit(t, v)
}

func decodeText(dst []byte, t logical.Type, s string) ([]byte, error) {
	switch {
	case !utf8.ValidString(s):
		return dst, errors.New("the text is not UTF-8")
	case strings.IndexByte(s, 0) >= 0:
		return dst, errors.New("the text has a NUL character")
	case t.Length > 0 && len(s) > t.Length && utf8.RuneCountInString(s) > t.Length:
		return dst, fmt.Errorf("the text has %d characters and %s has at most %d", utf8.RuneCountInString(s), t, t.Length)
	}
	return append(dst, s...), nil
}

func decodeFloat(dst []byte, t logical.Type, v driver.Value) ([]byte, error) {
	var f float64
	switch x := v.(type) {
	case float64:
		f = x
	case int64:
		f = float64(x)
		if x > 1<<53 || x < -1<<53 {
			return dst, unfit(t, v)
		}
	case string:
		if x != "NaN" {
			return dst, unfit(t, v)
		}
		f = math.NaN()
	default:
		return dst, unfit(t, v)
	}
	if t.Kind == logical.Float64 {
		return logical.AppendFloat64(dst, f), nil
	}
	if g := float32(f); float64(g) == f || f != f {
		return logical.AppendFloat32(dst, g), nil
	}
	return dst, unfit(t, v)
}

// certainDigits is the number of decimal digits that survive a double (DBL_DIG).
const certainDigits = 15

func decodeNumeric(dst []byte, t logical.Type, v driver.Value) ([]byte, error) {
	switch x := v.(type) {
	case int64:
		return logical.ParseText(dst, t, strconv.AppendInt(nil, x, 10))
	case string:
		return logical.ParseText(dst, t, []byte(x))
	case float64:
		text, ok := decimal(x)
		if !ok {
			return dst, fmt.Errorf("%s %v has more digits than SQLite keeps of it; declare the column NUMERIC_TEXT, or read it as float64", storage(v), x)
		}
		return logical.ParseText(dst, t, text)
	}
	return dst, unfit(t, v)
}

// decimal gives the decimal that was written, when the double cannot stand for another one.
func decimal(x float64) (text []byte, ok bool) {
	if math.Abs(x) >= 1e15 || x != x {
		return nil, false
	}
	text = strconv.AppendFloat(nil, x, 'e', -1, 64)
	digits := 0
	for _, c := range text {
		if c == 'e' {
			break
		}
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return strconv.AppendFloat(text[:0], x, 'f', -1, 64), digits <= certainDigits
}

// encode gives what SQLite is to keep of a canonical value in a column with the
// affinity. A value that the column would change is an error.
func encode(t logical.Type, a affinity, value []byte) (driver.Value, error) {
	switch t.Kind {
	case logical.Bool:
		if len(value) == 1 && value[0] == 1 {
			return int64(1), nil
		}
		return int64(0), nil
	case logical.Int16, logical.Int32, logical.Int64:
		return logical.ReadInt64(t, value)
	case logical.Float32, logical.Float64:
		return encodeFloat(t, a, value)
	case logical.Bytes:
		return value, nil
	case logical.Text:
		return string(value), nil
	}
	text, err := logical.AppendText(nil, t, value)
	if err != nil {
		return nil, err
	}
	if a == affinityText || a == affinityBlob {
		return string(text), nil
	}
	switch t.Kind {
	case logical.Numeric:
		return encodeNumeric(t, text, value)
	case logical.JSON, logical.JSONB:
		if first := strings.TrimLeft(string(text), " \t\r\n"); first != "" && (first[0] == '-' || first[0] >= '0' && first[0] <= '9') {
			return nil, fmt.Errorf("the column would turn the JSON text %s into a number; declare it JSON_TEXT", text[:min(len(text), 64)])
		}
	}
	return string(text), nil
}

func encodeFloat(t logical.Type, a affinity, value []byte) (driver.Value, error) {
	f, err := logical.ReadFloat64(t, value)
	switch {
	case err != nil:
		return nil, err
	case f != f:
		return "NaN", nil // a bound NaN becomes NULL
	case f == 0 && math.Signbit(f) && a != affinityBlob:
		return nil, errors.New("the column would turn -0 into 0; declare it FLOAT64_BLOB")
	}
	return f, nil
}

// encodeNumeric refuses numbers that come back changed from a column that keeps integers and doubles.
func encodeNumeric(t logical.Type, text, value []byte) (driver.Value, error) {
	kept := driver.Value(string(text))
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		kept = n
	} else if f, err := strconv.ParseFloat(string(text), 64); err == nil {
		kept = f
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			kept = int64(f)
		}
	}
	back, err := decode(nil, t, kept)
	if err != nil || string(back) != string(value) {
		return nil, fmt.Errorf("the column would not keep %s as it is; declare it NUMERIC_TEXT", text[:min(len(text), 64)])
	}
	return string(text), nil
}

// fixNaN gives a floating-point value the one NaN that stands for all.
func fixNaN(t logical.Type, value []byte) []byte {
	switch {
	case t.Kind == logical.Float64 && len(value) == 8, t.Kind == logical.Float32 && len(value) == 4:
		if f, err := logical.ReadFloat64(t, value); err == nil && f != f {
			if t.Kind == logical.Float32 {
				return logical.AppendFloat32(nil, float32(math.NaN()))
			}
			return logical.AppendFloat64(nil, f)
		}
	}
	return value
}
