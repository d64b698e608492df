package logical_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/logical"
)

var names = []string{
	"bool", "int16", "int32", "int64", "float32", "float64", "numeric", "numeric(18,2)", "numeric(3,-2)",
	"numeric(3,5)", "text", "text(50)", "bytes", "date", "time", "timestamp", "timestamptz", "interval",
	"uuid", "json", "jsonb", "native(postgres:inet)", "native(postgres:geometry(Point,4326))",
}

// scalars are the types whose values have a text form.
func scalars(t testing.TB) []logical.Type {
	var types []logical.Type
	for _, name := range names {
		if typ := parse(t, name); typ.Kind != logical.Native {
			types = append(types, typ)
		}
	}
	return types
}

func parse(t testing.TB, name string) logical.Type {
	t.Helper()
	typ, err := logical.Parse(name)
	assert.NilError(t, err)
	return typ
}

func TestNamesRoundTrip(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		assert.Equal(t, parse(t, name).String(), name)
	}
	assert.Equal(t, parse(t, "numeric(18)"), logical.Type{Kind: logical.Numeric, Precision: 18})
	assert.Equal(t, logical.Type{}.String(), "invalid")
}

func TestWrongNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"integer32":         `the nearest name is "int32"`,
		"":                  "there is no type",
		"Timestamptz":       `the nearest name is "timestamptz"`,
		"boolean":           `the nearest name is "bool"`,
		"invalid":           "there is no type",
		"numeric(":          "closing parenthesis",
		"numeric(18,2":      "closing parenthesis",
		"numeric(0,0)":      "precision",
		"numeric(1001,0)":   "precision",
		"numeric(10,2,3)":   "scale",
		"numeric(10,)":      "scale",
		"numeric()":         "precision",
		"text(0)":           "length",
		"text(x)":           "length",
		"int32(4)":          `write "int32"`,
		"native":            "names its system",
		"native(inet)":      "names its system",
		"native(postgres:)": "names its system",
	} {
		_, err := logical.Parse(name)
		assert.ErrorContains(t, err, want, name)
	}
}

func TestDigestTags(t *testing.T) {
	t.Parallel()
	seen := map[uint32]string{}
	for _, typ := range scalars(t) {
		tag := typ.DigestTag()
		assert.Assert(t, tag != 0, typ.String())
		if other, twice := seen[tag]; twice {
			assert.Equal(t, strings.Split(other, "(")[0], strings.Split(typ.String(), "(")[0])
		}
		seen[tag] = typ.String()
	}
	assert.Equal(t, len(seen), 17)
	assert.Equal(t, logical.Type{Kind: logical.Native, Name: "postgres:inet", Tag: 869}.DigestTag(), uint32(869))
	assert.Equal(t, logical.Type{}.DigestTag(), uint32(0))
}

// The file is what PostgreSQL 15.18 gave, see its first line.
func TestPostgresValues(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/postgres.tsv")
	assert.NilError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")[1:]
	assert.Assert(t, len(lines) > 400)
	for _, line := range lines {
		fields := strings.Split(line, "\t")
		assert.Equal(t, len(fields), 3, line)
		typ := parse(t, fields[0])
		value, err := hex.DecodeString(fields[1])
		assert.NilError(t, err)
		assert.NilError(t, logical.Validate(typ, value), line)
		text, err := logical.AppendText(nil, typ, value)
		assert.NilError(t, err, line)
		assert.Equal(t, string(text), fields[2], line)
		back, err := logical.ParseText(nil, typ, text)
		assert.NilError(t, err, line)
		assert.Equal(t, hex.EncodeToString(back), fields[1], line)
	}
}

func TestParseTextTakes(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"bool", "t", "true"},
		{"bool", "1", "true"},
		{"bool", "f", "false"},
		{"bool", "0", "false"},
		{"int16", "+007", "7"},
		{"float64", "1E3", "1000"},
		{"float64", "inf", "Infinity"},
		{"float64", ".5", "0.5"},
		{"float32", "16777217", "1.6777216e+07"},
		{"numeric", "1e3", "1000"},
		{"numeric", "1.5E-3", "0.0015"},
		{"numeric", ".5", "0.5"},
		{"numeric", "5.", "5"},
		{"numeric", "+00012.50", "12.50"},
		{"numeric", "-0.00", "0.00"},
		{"numeric", "inf", "Infinity"},
		{"numeric(18,2)", "1.5", "1.50"},
		{"numeric(18,2)", "1.5000", "1.50"},
		{"numeric(3,-2)", "1e4", "10000"},
		{"date", "INFINITY", "infinity"},
		{"timestamp", "2024-02-29T01:02:03", "2024-02-29 01:02:03"},
		{"timestamp", "2024-02-29 01:02:03.123456000", "2024-02-29 01:02:03.123456"},
		{"timestamptz", "2024-02-29T01:02:03Z", "2024-02-29 01:02:03+00"},
		{"timestamptz", "2024-02-29T01:02:03.5+05:30", "2024-02-28 19:32:03.5+00"},
		{"timestamptz", "2024-02-29T23:02:03-0130", "2024-03-01 00:32:03+00"},
		{"timestamptz", "1883-11-18 12:03:57-04:56:02", "1883-11-18 16:59:59+00"},
		{"timestamptz", "0001-01-01 00:00:00+01", "0001-12-31 23:00:00+00 BC"},
		{"bytes", `\xDEad`, `\xdead`},
		{"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"json", " [1, 2] ", " [1, 2] "},
		{"interval", "infinity", "infinity"},
		{"interval", "1 days", "1 day"},
	} {
		typ := parse(t, c[0])
		value, err := logical.ParseText([]byte("before"), typ, []byte(c[1]))
		assert.NilError(t, err, c[1])
		value, ok := bytes.CutPrefix(value, []byte("before"))
		assert.Assert(t, ok)
		assert.NilError(t, logical.Validate(typ, value), c[1])
		text, err := logical.AppendText(nil, typ, value)
		assert.NilError(t, err)
		assert.Equal(t, string(text), c[2])
	}
}

func TestParseTextRefuses(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string][]string{
		"bool":          {"", "TRUE", "yes", "2", " t"},
		"int16":         {"", "-", "+", "32768", "-32769", "1.0", " 1", "1 ", "0x1", "1_0", "-+1"},
		"int32":         {"2147483648", "-2147483649", "99999999999999999999999"},
		"int64":         {"9223372036854775808", "-9223372036854775809"},
		"float32":       {"1e39", "1e-50", "0x1p3", "1_0"},
		"float64":       {"", "1e400", "-1e400", "1e-400", "0x1p3", "1_000", "nanx", "1.2.3", "e5", "infinity0", "1 "},
		"numeric":       {"", "-", ".", "1.2.3", "1e", "1e+", "e5", "1e5x", "--1", "-NaN", "1 ", "1e999999999999", "1e200000", "1e-20000", "0x1", strings.Repeat("9", 131073), "0." + strings.Repeat("0", 16383) + "1"},
		"numeric(18,2)": {"1.555", "10000000000000000", "Infinity", "1e16"},
		"numeric(3,-2)": {"110", "100000"},
		"numeric(3,5)":  {"0.01", "0.000001"},
		"text":          {"\x00", "a\xff"},
		"text(50)":      {strings.Repeat("é", 51)},
		"bytes":         {"", "ab", `\xa`, `\xzz`, `\\x00`},
		"date":          {"", "2024-1-1", "2023-02-29", "2024-13-01", "2024-00-01", "2024-01-00", "0000-01-01", "24-01-01", "5874898-01-01", "4714-11-23 BC", "4714-11-23BC", "2024-01-01 ", "0001-02-29", "0001-02-30 BC", "2024-01-01 00:00:00", "20240101"},
		"time":          {"", "24:00:00.000001", "25:00:00", "12:60:00", "12:00:60", "12:00", "12:00:00.", "12:00:00.1234567", "12:00:00Z"},
		"timestamp":     {"2024-01-01", "2024-01-01 00:00", "2024-01-01 24:00:00", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00+00", "2024-01-01t00:00:00", "294277-01-01 00:00:00", "4714-11-23 23:59:59 BC", "2024-01-01 00:00:00.0000001", "9999999-01-01 00:00:00"},
		"timestamptz":   {"2024-01-01 00:00:00", "2024-01-01 00:00:00+1", "2024-01-01 00:00:00+123", "2024-01-01 00:00:00+16", "2024-01-01 00:00:00+00:60", "2024-01-01 00:00:00 +00", "294276-12-31 23:59:59-01", "4714-11-24 00:00:00+01 BC", "2024-01-01 00:00:00+00:"},
		"interval":      {"", "1", "1 week", "1 year ", "1 day 1 day", "1 day 1 year", "1 year  1 day", "-", "1:00:00", "00:60:00", "2562047788:00:54.775808", "-2562047788:00:54.775809", "2147483648 days", "178956970 years 8 mons", "00:00:00 1 day", "99999999999 days"},
		"uuid":          {"", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d6-bb9bd380a11"},
		"json":          {"", "{", "\x00", "nope", "\"\xff\""},
		"jsonb":         {"", "\x01{}"},
	} {
		typ := parse(t, name)
		for _, text := range texts {
			value, err := logical.ParseText([]byte{7}, typ, []byte(text))
			assert.Assert(t, err != nil, "%s took %q as %x", name, text, value)
			assert.DeepEqual(t, value, []byte{7})
		}
	}
	_, err := logical.ParseText(nil, parse(t, "native(postgres:inet)"), []byte("::1"))
	assert.ErrorContains(t, err, "no text form")
	_, err = logical.AppendText(nil, logical.Type{}, nil)
	assert.ErrorContains(t, err, "no text form")
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"bool":    {"", "02", "0001"},
		"int16":   {"", "00", "000000"},
		"int32":   {"0000"},
		"int64":   {"00000000"},
		"float32": {"", "ffc00000", "7fc00001", "7f800001"},
		"float64": {"00000000", "fff8000000000000", "7ff0000000000001"},
		"numeric": {
			"", "00000000000000", // too short
			"0001000000000000",              // a digit is missing
			"0000000000000000" + "00",       // a byte is left over
			"0001000000000000" + "0000",     // leading zero digit
			"0002000000000000" + "00010000", // trailing zero digit
			"0001000000000000" + "2710",     // 10000
			"0000000100000000",              // zero with a weight
			"0000000040000000",              // minus zero
			"0000000080000000",              // no sign
			"0000000000004000",              // scale too large
			"00000000c0000001",              // NaN with a scale
			"00000000d0000000",              // infinity without its trace
			"0001ffff00000003" + "0001",     // digits beyond the display scale
		},
		"numeric(18,2)": {"0000000000000000", "0001000000000001" + "0001", "00000000d0000020", "0005000400000002" + "00010000000000000001"},
		"numeric(3,-2)": {"0001000000000000" + "0001"},
		"text":          {"00", "ff", "6100"},
		"text(50)":      {strings.Repeat("61", 51)},
		"date":          {"", "7fffffff00", "7ffffffe", "80000001"},
		"time":          {"ffffffffffffffff", "000000141dd76001"},
		"timestamp":     {"7ffffffffffffffe", "8000000000000001"},
		"timestamptz":   {"7ffffffffffffffe", ""},
		"interval":      {"", strings.Repeat("00", 15)},
		"uuid":          {strings.Repeat("00", 17)},
		"json":          {"", "7b"},
		"jsonb":         {"", "7b7d", "027b7d", "01"},
	} {
		typ := parse(t, name)
		for _, value := range values {
			b, err := hex.DecodeString(value)
			assert.NilError(t, err)
			assert.Assert(t, logical.Validate(typ, b) != nil, "%s: %s", name, value)
		}
	}
	assert.ErrorContains(t, logical.Validate(logical.Type{}, nil), "without a type")
	assert.NilError(t, logical.Validate(parse(t, "native(postgres:inet)"), []byte{0xff, 0}))
	assert.NilError(t, logical.Validate(parse(t, "text(50)"), []byte(strings.Repeat("é", 50))))
}

func TestCanonicalNaN(t *testing.T) {
	t.Parallel()
	other32 := math.Float32frombits(0xffc00001)
	other64 := math.Float64frombits(0xfff0000000000001)
	assert.DeepEqual(t, logical.AppendFloat32(nil, other32), []byte{0x7f, 0xc0, 0, 0})
	assert.DeepEqual(t, logical.AppendFloat64(nil, other64), []byte{0x7f, 0xf8, 0, 0, 0, 0, 0, 0})
	minus := logical.AppendFloat64(nil, math.Copysign(0, -1))
	assert.Assert(t, !bytes.Equal(minus, logical.AppendFloat64(nil, 0)))
}

func TestReadBack(t *testing.T) {
	t.Parallel()
	typ := func(k logical.Kind) logical.Type { return logical.Type{Kind: k} }

	b, err := logical.ReadBool(logical.AppendBool(nil, true))
	assert.NilError(t, err)
	assert.Assert(t, b)
	for _, v := range []int16{0, -1, math.MinInt16, math.MaxInt16} {
		n, err := logical.ReadInt64(typ(logical.Int16), logical.AppendInt16(nil, v))
		assert.NilError(t, err)
		assert.Equal(t, n, int64(v))
	}
	n, err := logical.ReadInt64(typ(logical.Int32), logical.AppendInt32(nil, math.MinInt32))
	assert.NilError(t, err)
	assert.Equal(t, n, int64(math.MinInt32))
	_, err = logical.ReadInt64(typ(logical.Int32), logical.AppendInt64(nil, 1))
	assert.ErrorContains(t, err, "int32: a value has 4 bytes, not 8")
	_, err = logical.ReadInt64(typ(logical.Text), nil)
	assert.ErrorContains(t, err, "not a whole number type")
	f, err := logical.ReadFloat64(typ(logical.Float32), logical.AppendFloat32(nil, 1.5))
	assert.NilError(t, err)
	assert.Equal(t, f, 1.5)
	_, err = logical.ReadFloat64(typ(logical.Date), nil)
	assert.ErrorContains(t, err, "not a floating-point type")

	for _, want := range []time.Time{
		time.Date(2024, 2, 29, 12, 34, 56, 789000000, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC),
		time.Date(294276, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC),
	} {
		value, err := logical.AppendTimestamp(nil, want)
		assert.NilError(t, err)
		assert.NilError(t, logical.Validate(typ(logical.TimestampTZ), value))
		got, err := logical.ReadTime(typ(logical.TimestampTZ), value)
		assert.NilError(t, err)
		assert.Assert(t, got.Equal(want), "%s is not %s", got, want)

		value, err = logical.AppendDate(nil, want)
		assert.NilError(t, err)
		got, err = logical.ReadTime(typ(logical.Date), value)
		assert.NilError(t, err)
		year, month, day := want.Date()
		assert.Assert(t, got.Equal(time.Date(year, month, day, 0, 0, 0, 0, time.UTC)), "%s is not the day of %s", got, want)
	}
	for _, wrong := range []time.Time{
		time.Date(2024, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(294277, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(-4713, 11, 23, 23, 59, 59, 0, time.UTC),
		time.Date(1<<40, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		_, err := logical.AppendTimestamp(nil, wrong)
		assert.ErrorContains(t, err, "timestamp: ")
	}
	_, err = logical.AppendDate(nil, time.Date(-4713, 11, 23, 0, 0, 0, 0, time.UTC))
	assert.ErrorContains(t, err, "outside of 4714-11-24 BC")
	_, err = logical.AppendDate(nil, time.Date(5874897, 12, 31, 0, 0, 0, 0, time.UTC))
	assert.NilError(t, err)
	_, err = logical.AppendDate(nil, time.Date(5874898, 1, 1, 0, 0, 0, 0, time.UTC))
	assert.ErrorContains(t, err, "outside")
	_, err = logical.ReadTime(typ(logical.Date), []byte{0x7f, 0xff, 0xff, 0xff})
	assert.ErrorContains(t, err, "date: infinity is no point in time")
	assert.Equal(t, logical.Infinite(typ(logical.Timestamp), logical.AppendInt64(nil, math.MinInt64)), -1)

	day, err := logical.AppendTimeOfDay(nil, 24*time.Hour)
	assert.NilError(t, err)
	d, err := logical.ReadTimeOfDay(day)
	assert.NilError(t, err)
	assert.Equal(t, d, 24*time.Hour)
	_, err = logical.AppendTimeOfDay(nil, time.Nanosecond)
	assert.ErrorContains(t, err, "below the microsecond")
	_, err = logical.AppendTimeOfDay(nil, -time.Second)
	assert.ErrorContains(t, err, "outside")

	months, days, micros, err := logical.ReadInterval(logical.AppendInterval(nil, -1, 2, -3))
	assert.NilError(t, err)
	assert.Equal(t, [3]int64{int64(months), int64(days), micros}, [3]int64{-1, 2, -3})

	hyphens, err := logical.AppendUUID(nil, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
	assert.NilError(t, err)
	plain, err := logical.AppendUUID(nil, "A0EEBC999C0B4EF8BB6D6BB9BD380A11")
	assert.NilError(t, err)
	assert.DeepEqual(t, hyphens, plain)
}

// Every 41st day from 4714 BC to 2100 is 41 days after the one before, as Go's calendar has it.
func TestCalendar(t *testing.T) {
	t.Parallel()
	typ := logical.Type{Kind: logical.Date}
	at := time.Date(-4713, 11, 24, 0, 0, 0, 0, time.UTC)
	var last int64 = math.MinInt32
	var text []byte
	for at.Year() < 2100 {
		value, err := logical.AppendDate(nil, at)
		assert.NilError(t, err)
		n := int64(int32(binary.BigEndian.Uint32(value)))
		if last != math.MinInt32 {
			assert.Equal(t, n, last+41)
		}
		last = n
		text, err = logical.AppendText(text[:0], typ, value)
		assert.NilError(t, err)
		if at.Year() > 0 {
			assert.Equal(t, string(text), at.Format(time.DateOnly))
		}
		at = at.AddDate(0, 0, 41)
	}
}

// random gives a valid value of the type.
func random(r *rand.Rand, typ logical.Type) []byte {
	for {
		b := make([]byte, typ.Width())
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		switch typ.Kind {
		case logical.Bool:
			b[0] &= 1
		case logical.Numeric:
			digits := 40
			if typ.Precision > 0 {
				digits = 3 // most longer ones do not fit
			}
			text := make([]byte, 1+r.IntN(digits))
			for i := range text {
				text[i] = '0' + byte(r.IntN(10))
			}
			if r.IntN(2) == 0 {
				text[r.IntN(len(text))] = '.'
			}
			if r.IntN(2) == 0 {
				text = append([]byte{'-'}, text...)
			}
			if typ.Scale > 0 {
				text = append(text, "e-"...)
				text = append(text, '0'+byte(typ.Scale))
			} else if typ.Scale < 0 {
				text = append(text, "e2"...)
			}
			b, _ = logical.ParseText(nil, typ, text)
		case logical.Date:
			binary.BigEndian.PutUint32(b, uint32(r.Int32N(4000000)-2000000))
		case logical.Time:
			binary.BigEndian.PutUint64(b, uint64(r.Int64N(86400e6)))
		case logical.Timestamp, logical.TimestampTZ:
			binary.BigEndian.PutUint64(b, uint64(r.Int64N(4e17)-2e17))
		case logical.Text:
			b = []byte(strings.Repeat("añ日", r.IntN(10)))
		case logical.Bytes:
			b = []byte{byte(r.Uint32()), byte(r.Uint32())}[:r.IntN(3)]
		case logical.JSON:
			b = []byte(`{"a": 1}`)
		case logical.JSONB:
			b = []byte("\x01[1, 2]")
		}
		if len(b) > 0 || typ.Width() == 0 {
			if logical.Validate(typ, b) == nil {
				return b
			}
		}
	}
}

func TestTextRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range scalars(t) {
		for range 500 {
			value := random(r, typ)
			text, err := logical.AppendText(nil, typ, value)
			assert.NilError(t, err, "%s %x", typ, value)
			back, err := logical.ParseText(nil, typ, text)
			assert.NilError(t, err, "%s %x %s", typ, value, text)
			assert.Assert(t, bytes.Equal(back, value), "%s %x %s %x", typ, value, text, back)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, typ := range scalars(t) {
		if typ.Kind == logical.JSON || typ.Kind == logical.JSONB {
			continue // the standard library's check keeps a stack
		}
		value := random(r, typ)
		text, err := logical.AppendText(nil, typ, value)
		assert.NilError(t, err)
		dst := make([]byte, 0, 1024)
		n := testing.AllocsPerRun(100, func() {
			_, err1 := logical.AppendText(dst, typ, value)
			_, err2 := logical.ParseText(dst, typ, text)
			if err1 != nil || err2 != nil || logical.Validate(typ, value) != nil {
				t.Error(typ, err1, err2)
			}
		})
		assert.Equal(t, n, 0.0, typ.String())
	}
}

// FuzzParseText checks that what is taken is valid and comes back as the same bytes.
func FuzzParseText(f *testing.F) {
	types := scalars(f)
	file, err := os.ReadFile("testdata/postgres.tsv")
	assert.NilError(f, err)
	for _, line := range strings.Split(string(file), "\n") {
		if fields := strings.Split(line, "\t"); len(fields) == 3 {
			for i := range types {
				if types[i].String() == fields[0] {
					f.Add(byte(i), []byte(fields[2]))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		typ := types[int(which)%len(types)]
		value, err := logical.ParseText(nil, typ, text)
		if err != nil {
			return
		}
		roundTrip(t, typ, value)
	})
}

// FuzzValue checks that every valid value survives its text form, and that no bytes make the readers panic.
func FuzzValue(f *testing.F) {
	types := scalars(f)
	file, err := os.ReadFile("testdata/postgres.tsv")
	assert.NilError(f, err)
	for _, line := range strings.Split(string(file), "\n") {
		if fields := strings.Split(line, "\t"); len(fields) == 3 {
			value, err := hex.DecodeString(fields[1])
			assert.NilError(f, err)
			for i := range types {
				if types[i].String() == fields[0] {
					f.Add(byte(i), value)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which byte, value []byte) {
		typ := types[int(which)%len(types)]
		if logical.Validate(typ, value) != nil {
			_, _ = logical.AppendText(nil, typ, value)
			_, _ = logical.ReadTime(typ, value)
			return
		}
		roundTrip(t, typ, value)
	})
}

func roundTrip(t *testing.T, typ logical.Type, value []byte) {
	t.Helper()
	assert.NilError(t, logical.Validate(typ, value), "%s %x", typ, value)
	text, err := logical.AppendText(nil, typ, value)
	assert.NilError(t, err, "%s %x", typ, value)
	back, err := logical.ParseText(nil, typ, text)
	assert.NilError(t, err, "%s %x %s", typ, value, text)
	assert.Assert(t, bytes.Equal(back, value), "%s %x %s %x", typ, value, text, back)
}

func FuzzParse(f *testing.F) {
	for _, name := range names {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		typ, err := logical.Parse(name)
		if err != nil {
			return
		}
		again, err := logical.Parse(typ.String())
		assert.NilError(t, err)
		assert.Equal(t, again, typ)
	})
}

func BenchmarkAppendText(b *testing.B) { benchmark(b, false) }
func BenchmarkParseText(b *testing.B)  { benchmark(b, true) }

func benchmark(b *testing.B, read bool) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, typ := range scalars(b) {
		value := random(r, typ)
		text, err := logical.AppendText(nil, typ, value)
		assert.NilError(b, err)
		b.Run(typ.String(), func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				if read {
					_, err = logical.ParseText(dst, typ, text)
				} else {
					_, err = logical.AppendText(dst, typ, value)
				}
			}
			assert.NilError(b, err)
		})
	}
}
