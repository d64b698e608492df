package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"zombiezen.com/go/sqlite"

	"github.com/dpone/dpone/engine/logical"
)

// datum is what SQLite keeps of a value; the zero value is none that it keeps.
type datum struct {
	class sqlite.ColumnType
	n     int64   // of an integer
	f     float64 // of a real number
	bytes []byte  // of a text or a blob
}

var (
	null  = datum{class: sqlite.TypeNull}
	notAN = text([]byte("NaN")) // a bound NaN becomes NULL
)

func integer(n int64) datum { return datum{class: sqlite.TypeInteger, n: n} }
func real(f float64) datum  { return datum{class: sqlite.TypeFloat, f: f} }
func text(b []byte) datum   { return datum{class: sqlite.TypeText, bytes: b} }
func blob(b []byte) datum   { return datum{class: sqlite.TypeBlob, bytes: b} }

// read gives a value of the row at which the statement is. Its bytes are valid
// until the buffer is used again; the buffer is returned, for it may have grown.
func read(stmt *sqlite.Stmt, i int, buffer []byte) (datum, []byte) {
	v := datum{class: stmt.ColumnType(i)}
	switch v.class {
	case sqlite.TypeInteger:
		v.n = stmt.ColumnInt64(i)
	case sqlite.TypeFloat:
		v.f = stmt.ColumnFloat(i)
	case sqlite.TypeText, sqlite.TypeBlob:
		n := stmt.ColumnLen(i)
		buffer = slices.Grow(buffer[:0], n)[:n]
		v.bytes = buffer[:stmt.ColumnBytes(i, buffer)]
	}
	return v, buffer
}

// argument is the value of a function's argument.
func argument(a sqlite.Value) datum {
	switch a.Type() {
	case sqlite.TypeInteger:
		return integer(a.Int64())
	case sqlite.TypeFloat:
		return real(a.Float())
	case sqlite.TypeText:
		return text([]byte(a.Text()))
	case sqlite.TypeBlob:
		return blob(a.Blob())
	}
	return null
}

// bind gives a parameter its value.
func (v datum) bind(stmt *sqlite.Stmt, param int) {
	switch v.class {
	case sqlite.TypeInteger:
		stmt.BindInt64(param, v.n)
	case sqlite.TypeFloat:
		stmt.BindFloat(param, v.f)
	case sqlite.TypeText:
		stmt.BindText(param, unsafe.String(unsafe.SliceData(v.bytes), len(v.bytes))) // #nosec G103 -- the library copies the text before it returns
	case sqlite.TypeBlob:
		stmt.BindBytes(param, v.bytes)
	default:
		stmt.BindNull(param)
	}
}

// className names the class in which SQLite keeps a value.
var className = map[sqlite.ColumnType]string{
	sqlite.TypeNull: "NULL", sqlite.TypeInteger: "an integer", sqlite.TypeFloat: "a real number", sqlite.TypeText: "a text", sqlite.TypeBlob: "a blob",
}

func unfit(t logical.Type, v datum) error {
	shown := ""
	switch v.class {
	case sqlite.TypeInteger:
		shown = fmt.Sprintf(" %v", v.n)
	case sqlite.TypeFloat:
		shown = fmt.Sprintf(" %v", v.f)
	case sqlite.TypeText:
		shown = " " + strconv.Quote(string(v.bytes[:min(len(v.bytes), 64)]))
	}
	return fmt.Errorf("%s%s is no %s", className[v.class], shown, t)
}

// decode adds the canonical bytes of a value that SQLite keeps in a column of the
// type. What is no value of the type is an error; nothing is rounded or cut.
func decode(dst []byte, t logical.Type, v datum) ([]byte, error) {
	switch t.Kind {
	case logical.Bool:
		if v.class == sqlite.TypeInteger && (v.n == 0 || v.n == 1) {
			return logical.AppendBool(dst, v.n == 1), nil
		}
	case logical.Int16:
		if v.class == sqlite.TypeInteger && v.n >= math.MinInt16 && v.n <= math.MaxInt16 {
			return logical.AppendInt16(dst, int16(v.n)), nil
		}
	case logical.Int32:
		if v.class == sqlite.TypeInteger && v.n >= math.MinInt32 && v.n <= math.MaxInt32 {
			return logical.AppendInt32(dst, int32(v.n)), nil
		}
	case logical.Int64:
		if v.class == sqlite.TypeInteger {
			return logical.AppendInt64(dst, v.n), nil
		}
	case logical.Float32, logical.Float64:
		return decodeFloat(dst, t, v)
	case logical.Numeric:
		return decodeNumeric(dst, t, v)
	case logical.Text:
		if v.class == sqlite.TypeText {
			return decodeText(dst, t, v.bytes)
		}
	case logical.Bytes:
		if v.class == sqlite.TypeBlob {
			return append(dst, v.bytes...), nil
		}
	case logical.UUID:
		if v.class == sqlite.TypeBlob && len(v.bytes) == 16 {
			return append(dst, v.bytes...), nil
		}
		fallthrough
	default:
		if v.class == sqlite.TypeText {
			return logical.ParseText(dst, t, v.bytes)
		}
	}
	return dst, unfit(t, v)
}

func decodeText(dst []byte, t logical.Type, s []byte) ([]byte, error) {
	switch {
	case !utf8.Valid(s):
		return dst, errors.New("the text is not UTF-8")
	case bytes.IndexByte(s, 0) >= 0:
		return dst, errors.New("the text has a NUL character")
	case t.Length > 0 && len(s) > t.Length && utf8.RuneCount(s) > t.Length:
		return dst, fmt.Errorf("the text has %d characters and %s has at most %d", utf8.RuneCount(s), t, t.Length)
	}
	return append(dst, s...), nil
}

func decodeFloat(dst []byte, t logical.Type, v datum) ([]byte, error) {
	var f float64
	switch {
	case v.class == sqlite.TypeFloat:
		f = v.f
	case v.class == sqlite.TypeInteger && v.n <= 1<<53 && v.n >= -1<<53:
		f = float64(v.n)
	case v.class == sqlite.TypeText && string(v.bytes) == "NaN":
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

func decodeNumeric(dst []byte, t logical.Type, v datum) ([]byte, error) {
	switch v.class {
	case sqlite.TypeInteger:
		return logical.ParseText(dst, t, strconv.AppendInt(nil, v.n, 10))
	case sqlite.TypeText:
		return logical.ParseText(dst, t, v.bytes)
	case sqlite.TypeFloat:
		text, ok := decimal(v.f)
		if !ok {
			return dst, fmt.Errorf("%s %v has more digits than SQLite keeps of it; declare the column NUMERIC_TEXT, or read it as float64", className[v.class], v.f)
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
func encode(t logical.Type, a affinity, canonical []byte) (datum, error) {
	switch t.Kind {
	case logical.Bool:
		if len(canonical) == 1 && canonical[0] == 1 {
			return integer(1), nil
		}
		return integer(0), nil
	case logical.Int16, logical.Int32, logical.Int64:
		n, err := logical.ReadInt64(t, canonical)
		return integer(n), err
	case logical.Float32, logical.Float64:
		return encodeFloat(t, a, canonical)
	case logical.Bytes:
		return blob(canonical), nil
	case logical.Text:
		return text(canonical), nil
	}
	form, err := logical.AppendText(nil, t, canonical)
	if err != nil {
		return null, err
	}
	if a == affinityText || a == affinityBlob {
		return text(form), nil
	}
	switch t.Kind {
	case logical.Numeric:
		return encodeNumeric(t, form, canonical)
	case logical.JSON, logical.JSONB:
		if first := bytes.TrimLeft(form, " \t\r\n"); len(first) > 0 && (first[0] == '-' || first[0] >= '0' && first[0] <= '9') {
			return null, fmt.Errorf("the column would turn the JSON text %s into a number; declare it JSON_TEXT", form[:min(len(form), 64)])
		}
	}
	return text(form), nil
}

func encodeFloat(t logical.Type, a affinity, canonical []byte) (datum, error) {
	f, err := logical.ReadFloat64(t, canonical)
	switch {
	case err != nil:
		return null, err
	case f != f:
		return notAN, nil
	case f == 0 && math.Signbit(f) && a != affinityBlob:
		return null, errors.New("the column would turn -0 into 0; declare it FLOAT64_BLOB")
	}
	return real(f), nil
}

// encodeNumeric refuses numbers that come back changed from a column that keeps integers and doubles.
func encodeNumeric(t logical.Type, form, canonical []byte) (datum, error) {
	kept := numberOf(form)
	back, err := decode(nil, t, kept)
	if err != nil || !bytes.Equal(back, canonical) {
		return null, fmt.Errorf("the column would not keep %s as it is; declare it NUMERIC_TEXT", form[:min(len(form), 64)])
	}
	return text(form), nil
}

// numberOf is what a column that keeps integers and doubles keeps of a number's text.
func numberOf(form []byte) datum {
	if n, err := strconv.ParseInt(string(form), 10, 64); err == nil {
		return integer(n)
	}
	f, err := strconv.ParseFloat(string(form), 64)
	switch {
	case err != nil:
		return text(form)
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return integer(int64(f))
	}
	return real(f)
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
