package csv_test

import (
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/logical"
)

// rows reads everything; a field in quotes is shown in brackets, a bad row as its code.
func rows(t testing.TB, src io.Reader, d csv.Dialect) ([]string, error) {
	t.Helper()
	r := csv.NewReader(src, d)
	var out []string
	for {
		err := r.Next()
		var f *fault.Error
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.As(err, &f) && f.Row():
			out = append(out, fmt.Sprintf("%d@%d!%s %q", f.Line, f.Offset, f.Code, f.Raw))
			continue
		case err != nil:
			return out, err
		}
		fields := make([]string, r.Len())
		for i := range fields {
			v, quoted := r.Field(i)
			fields[i] = string(v)
			if quoted {
				fields[i] = "[" + fields[i] + "]"
			}
		}
		out = append(out, fmt.Sprintf("%d@%d %s", r.Line(), r.Offset(), strings.Join(fields, "|")))
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want []string
		code fault.Code // of the final error
	}{
		"nothing":                 {"", nil, ""},
		"mark alone":              {"\xEF\xBB\xBF", nil, ""},
		"one row":                 {"a,b", []string{"1@0 a|b"}, ""},
		"line end at the end":     {"a,b\n", []string{"1@0 a|b"}, ""},
		"empty fields":            {",\n,", []string{"1@0 |", "2@2 |"}, ""},
		"quoted empty":            {`"",` + "\n", []string{"1@0 []|"}, ""},
		"empty line is a row":     {"a\n\nb\n", []string{"1@0 a", "2@2 ", "3@3 b"}, ""},
		"mixed line ends":         {"a\nb\r\nc\rd\r\n\r\ne\r", []string{"1@0 a", "2@2 b", "3@5 c", "4@7 d", "5@10 ", "6@12 e"}, ""},
		"mark":                    {"\xEF\xBB\xBFa\n", []string{"1@3 a"}, ""},
		"mark before quotes":      {"\xEF\xBB\xBF\"a\"\n", []string{"1@3 [a]"}, ""},
		"quotes":                  {`"a,b","c""d","""",""` + "\n", []string{`1@0 [a,b]|[c"d]|["]|[]`}, ""},
		"line ends in quotes":     {"\"a\nb\r\nc\rd\"\ne\n", []string{"1@0 [a\nb\r\nc\rd]", "5@11 e"}, ""},
		"quotes at the end":       {`a,"b"`, []string{"1@0 a|[b]"}, ""},
		"spaces are kept":         {" a , b \n", []string{"1@0  a | b "}, ""},
		"quote inside":            {"a\"b,c\nd\n", []string{`1@0!row.quote "a\"b,c\n"`, "2@6 d"}, ""},
		"text after quotes":       {"\"a\"b,c\r\nd\n", []string{`1@0!row.quote "\"a\"b,c\r\n"`, "2@8 d"}, ""},
		"space before quotes":     {`a, "b"` + "\n", []string{`1@0!row.quote "a, \"b\"\n"`}, ""},
		"bad last row":            {`a"`, []string{`1@0!row.quote "a\""`}, ""},
		"bad row before lone cr":  {"a\"b\rc", []string{`1@0!row.quote "a\"b\r"`, "2@4 c"}, ""},
		"unclosed":                {"a\n\"b\nc", []string{"1@0 a"}, fault.Unclosed},
		"unclosed after doubled":  {`"a""`, nil, fault.Unclosed},
		"utf-16 little":           {"\xFF\xFEa\x00", nil, fault.Encoding},
		"utf-16 big":              {"\xFE\xFF\x00a", nil, fault.Encoding},
		"utf-32":                  {"\xFF\xFE\x00\x00a\x00\x00\x00", nil, fault.Encoding},
		"nul is left to the type": {"a\x00b\n", []string{"1@0 a\x00b"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := map[string]io.Reader{
				"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in)), "data with error": iotest.DataErrReader(strings.NewReader(tt.in)),
			}
			for how, src := range sources {
				got, err := rows(t, src, csv.Dialect{})
				assert.DeepEqual(t, got, tt.want)
				var f *fault.Error
				if tt.code == "" {
					assert.NilError(t, err, how)
				} else {
					assert.Assert(t, errors.As(err, &f), "%s: %v", how, err)
					assert.Equal(t, f.Code, tt.code)
				}
			}
		})
	}
}

func TestReaderDialect(t *testing.T) {
	t.Parallel()
	got, err := rows(t, strings.NewReader("a\t\"b\tc\"\td,e\n"), csv.Dialect{Delimiter: '\t'})
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []string{"1@0 a|[b\tc]|d,e"})
	for _, bad := range []csv.Dialect{{Delimiter: '"'}, {Delimiter: '\n'}, {Delimiter: '\r'}, {Delimiter: 0xE4}, {Null: "a,b"}, {Null: `"`}} {
		assert.Assert(t, bad.Check() != nil, "%+v", bad)
	}
	for s, ok := range map[string]bool{"": true, ",": true, `\t`: true, "\t": true, ";;": false, "ä": false, "\"": false} {
		_, err := csv.ParseDelimiter(s)
		assert.Equal(t, err == nil, ok, "%q: %v", s, err)
	}
}

func TestReaderLimits(t *testing.T) {
	t.Parallel()
	const field, row = 1000, 4000
	long := strings.Repeat("x", field)
	for name, tt := range map[string]struct {
		in string
		ok bool
	}{
		"field":                {"a," + long + "\n", true},
		"quoted field":         {`"` + long + `"`, true},
		"too long":             {"a," + long + "x\n", false},
		"too long, quoted":     {`"` + long + `x"` + "\n", false},
		"unclosed, too long":   {`"` + long + long + long, false},
		"row of fields":        {long + "," + long + "," + long + "\n", true},
		"row that is too long": {strings.Repeat(long+",", 5) + "\n", false},
		"bad row, too long":    {`a"` + strings.Repeat(long+",", 5) + "\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := csv.NewReader(strings.NewReader(tt.in), csv.Dialect{})
			r.SetLimits(field, row)
			err := r.Next()
			if tt.ok {
				assert.NilError(t, err)
				return
			}
			var f *fault.Error
			assert.Assert(t, errors.As(err, &f), "%v", err)
			assert.Equal(t, f.Code, fault.Limit)
			assert.Equal(t, f.Line, int64(1))
		})
	}
}

func TestReaderFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := rows(t, io.MultiReader(strings.NewReader("a\n\"b"), iotest.ErrReader(broken)), csv.Dialect{})
	assert.ErrorIs(t, err, broken)
}

func TestHeader(t *testing.T) {
	t.Parallel()
	names, err := csv.Header(csv.NewReader(strings.NewReader("\xEF\xBB\xBFa,\"b c\",ä\n"), csv.Dialect{}))
	assert.NilError(t, err)
	assert.DeepEqual(t, names, []string{"a", "b c", "ä"})
	for name, in := range map[string]string{
		"empty file": "", "empty name": "a,,b\n", "twice": "a,b,a\n", "not utf-8": "a,\xff\n", "nul": "a,\x00\n", "quote": "a\"b,c\n",
	} {
		_, err := csv.Header(csv.NewReader(strings.NewReader(in), csv.Dialect{}))
		var f *fault.Error
		assert.Assert(t, errors.As(err, &f), "%s: %v", name, err)
		assert.Equal(t, f.Code, fault.Header, name)
	}
}

func schema(t testing.TB, pairs ...string) batch.Schema {
	t.Helper()
	var s batch.Schema
	for i := 0; i < len(pairs); i += 2 {
		lt, err := logical.Parse(strings.TrimSuffix(pairs[i+1], "!"))
		assert.NilError(t, err)
		s = append(s, batch.Column{Name: pairs[i], Type: lt, NotNull: strings.HasSuffix(pairs[i+1], "!")})
	}
	return s
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	in := "1,x,\n" + // fine: NULL at the end
		"2,\"\",\"\"\n" + // bytes may not be an empty text
		"3\n" + // ragged
		"4,b,\\x00,5\n" + // ragged
		"five,b,\n" + // no number
		"6,\xff,\n" + // not UTF-8
		"7,a\x00b,\n" + // NUL
		",b,\n" + // NULL in a column without
		"9,\"\",\\xff\n"
	s := schema(t, "id", "int32!", "name", "text", "data", "bytes")
	r := csv.NewReader(strings.NewReader(in), csv.Dialect{})
	d := csv.NewDecoder(r, csv.Dialect{}, 3, []int{0, 1, 2})
	b := batch.New(s)
	var bad []string
	err := d.Decode(b, 100, func(f *fault.Error) error {
		bad = append(bad, fmt.Sprintf("%d %s %s", f.Line, f.Code, f.Column))
		return nil
	})
	assert.ErrorIs(t, err, io.EOF)
	assert.DeepEqual(t, bad, []string{
		"2 row.value data", "3 row.fields ", "4 row.fields ", "5 row.value id", "6 row.value name", "7 row.value name", "8 row.null id",
	})
	assert.Equal(t, b.Rows(), 2)
	assert.Assert(t, b.Columns[2].Null(0))
	assert.Assert(t, !b.Columns[1].Null(1) && len(b.Columns[1].Value(1)) == 0)
	assert.DeepEqual(t, b.Columns[2].Value(1), []byte{0xff})
}

// A writer's file reads as the same values, also when every value is difficult.
func TestWriterRoundTrip(t *testing.T) {
	t.Parallel()
	values := []string{"", "a", " ", ",", "\"", "\n", "\r", "\r\n", "a\"b", "\\N", "\ufeff", "x\ty", ";", "NULL", "''"}
	for _, d := range []csv.Dialect{{}, {Delimiter: ';'}, {Delimiter: '\t', Null: `\N`}, {Null: "NULL"}} {
		for columns := 1; columns <= 2; columns++ {
			s := schema(t, "\ufeffname", "text", "b", "text")[:columns]
			b := batch.New(s)
			for _, first := range append(values, "null") {
				for c := range b.Columns {
					if first == "null" {
						b.Columns[c].AppendNull()
					} else {
						b.Columns[c].Append([]byte(first))
					}
				}
				b.EndRow()
			}
			for _, header := range []bool{true, false} {
				var out bytes.Buffer
				w := csv.NewWriter(&out, d)
				if header {
					assert.NilError(t, w.Header(s.Names()))
				}
				for from := range b.Rows() {
					// Each value comes to stand at the start of a file, too.
					assert.NilError(t, w.Write(b, from, from+1))
				}
				assert.NilError(t, w.Flush())
				r := csv.NewReader(&out, d)
				if header {
					names, err := csv.Header(r)
					assert.NilError(t, err)
					assert.DeepEqual(t, names, s.Names())
				}
				got := batch.New(s)
				index := []int{0, 1}[:columns]
				err := csv.NewDecoder(r, d, columns, index).Decode(got, 1000, func(f *fault.Error) error { return f })
				assert.ErrorIs(t, err, io.EOF)
				same(t, got, b)
			}
		}
	}
	// A text that looks like a byte order mark as the first value of a file.
	s := schema(t, "a", "text")
	b := batch.New(s)
	b.Columns[0].Append([]byte("\ufeffx"))
	b.EndRow()
	var out bytes.Buffer
	w := csv.NewWriter(&out, csv.Dialect{})
	assert.NilError(t, errors.Join(w.Write(b, 0, 1), w.Flush()))
	got := batch.New(s)
	assert.ErrorIs(t, csv.NewDecoder(csv.NewReader(&out, csv.Dialect{}), csv.Dialect{}, 1, []int{0}).Decode(got, 9, nil), io.EOF)
	same(t, got, b)
}

func same(t testing.TB, got, want *batch.Batch) {
	t.Helper()
	assert.Equal(t, got.Rows(), want.Rows())
	for c := range want.Columns {
		for row := range want.Rows() {
			g, w := got.Columns[c].Value(row), want.Columns[c].Value(row)
			assert.Assert(t, (g == nil) == (w == nil) && bytes.Equal(g, w), "column %d, row %d: %q, not %q", c, row, g, w)
		}
	}
}

// What the reader takes, encoding/csv takes as well, with the same fields; and a
// stream in single bytes gives the same as a whole one.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"a\"\"b\",\r\n", "\"a\nb\"\r\"c\"", "\xEF\xBB\xBFa", "a\"b\nc", "\"", "\r\r\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := rows(t, bytes.NewReader(in), csv.Dialect{})
		again, err2 := rows(t, iotest.OneByteReader(bytes.NewReader(in)), csv.Dialect{})
		assert.DeepEqual(t, got, again)
		assert.Equal(t, err == nil, err2 == nil)
		if err != nil || bytes.ContainsRune(in, '\r') {
			return
		}
		std := stdcsv.NewReader(bytes.NewReader(bytes.TrimPrefix(in, []byte("\xEF\xBB\xBF"))))
		std.FieldsPerRecord = -1
		want, err := std.ReadAll()
		if err != nil {
			return
		}
		r := csv.NewReader(bytes.NewReader(in), csv.Dialect{})
		for _, record := range want {
			err := r.Next()
			for err == nil && r.Len() == 1 { // encoding/csv leaves empty lines out
				if v, quoted := r.Field(0); len(v) > 0 || quoted {
					break
				}
				err = r.Next()
			}
			assert.NilError(t, err)
			assert.Equal(t, r.Len(), len(record))
			for i := range record {
				v, _ := r.Field(i)
				assert.Equal(t, string(v), record[i])
			}
		}
	})
}

func benchData(rows int) []byte {
	var b bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&b, "%d,%d,%d,name %d,%d.%02d,2024-01-%02d,2024-01-%02d 10:11:12.%06d,%t,%g,\"quoted, text %d\",,abc,%d,%d,%d,some longer text for the row number %d,%d.5,x,y,%d\n",
			i, i%100, i*7919, i, i, i%100, i%28+1, i%28+1, i%1000000, i%2 == 0, float64(i)/7, i, i%7, i%11, i%13, i, i, i)
	}
	return b.Bytes()
}

func BenchmarkReader(b *testing.B) {
	data := benchData(20000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(data), csv.Dialect{})
		for r.Next() == nil {
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	const n = 20000
	data := benchData(n)
	s := schema(b, "a", "int64", "b", "int16", "c", "int64", "d", "text", "e", "numeric(18,2)", "f", "date", "g", "timestamp", "h", "bool", "i", "float64", "j", "text",
		"k", "text", "l", "text", "m", "int32", "n", "int32", "o", "int32", "p", "text", "q", "float64", "r", "text", "s", "text", "t", "int64")
	index := make([]int, len(s))
	for i := range index {
		index[i] = i
	}
	rows := batch.New(s)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	total := 0
	for b.Loop() {
		d := csv.NewDecoder(csv.NewReader(bytes.NewReader(data), csv.Dialect{}), csv.Dialect{}, len(s), index)
		for {
			rows.Reset()
			err := d.Decode(rows, 4096, func(f *fault.Error) error { return f })
			total += rows.Rows()
			if errors.Is(err, io.EOF) {
				break
			}
			assert.NilError(b, err)
		}
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "rows/s")
}
