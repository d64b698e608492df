package jsonl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/file/jsonl"
	"github.com/dpone/dpone/engine/logical"
)

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

func TestLines(t *testing.T) {
	t.Parallel()
	in := "\xEF\xBB\xBFa\n\n \t\nb\r\nc\rd"
	for how, src := range map[string]io.Reader{"whole": strings.NewReader(in), "bytes": iotest.OneByteReader(strings.NewReader(in))} {
		l := jsonl.NewLines(src)
		var got []string
		for {
			line, err := l.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			assert.NilError(t, err, how)
			got = append(got, fmt.Sprintf("%d@%d %s %q", l.Line(), l.Offset(), line, l.Raw()))
		}
		assert.DeepEqual(t, got, []string{`1@3 a "a\n"`, `4@9 b "b\r\n"`, `5@12 c "c\r"`, `6@14 d "d"`})
	}
	for _, in := range []string{"\xFF\xFEa\x00", "\xFE\xFF\x00a"} {
		_, err := jsonl.NewLines(strings.NewReader(in)).Next()
		var f *fault.Error
		assert.Assert(t, errors.As(err, &f) && f.Code == fault.Encoding, "%v", err)
	}
}

// decode reads lines of the columns a to d and gives the first value of each row, or the fault.
func decode(t testing.TB, in string, typ string, wrapped bool) (string, error) {
	t.Helper()
	s := schema(t, "x", typ, "y", "text")
	b := batch.New(s[:1])
	var bad string
	err := jsonl.NewDecoder(jsonl.NewLines(strings.NewReader(in)), s, []int{0}, wrapped).Decode(b, 10, func(f *fault.Error) error {
		bad = string(f.Code)
		return nil
	})
	if bad != "" || b.Rows() == 0 {
		return bad, err
	}
	v := b.Columns[0].Value(0)
	if v == nil {
		return "NULL", err
	}
	text, terr := logical.AppendText(nil, s[0].Type, v)
	assert.NilError(t, terr)
	return "=" + string(text), err
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, typ, want string }{
		{`{"x":"a"}`, "text", "=a"},
		{` { "x" : "a" , "y" : null } `, "text", "=a"},
		{`{"x":"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00"}`, "text", "=\"\\/\b\f\n\r\tä😀"},
		{`{"y":"a"}`, "text", "NULL"},
		{`{}`, "text", "NULL"},
		{`{"x":null}`, "text", "NULL"},
		{`{"x":null}`, "text!", "row.null"},
		{`{}`, "text!", "row.null"},
		{`{"x":""}`, "text", "="},
		{`{"x":1}`, "text", "row.value"},
		{`{"x":true}`, "text", "row.value"},
		{`{"x":{}}`, "text", "row.value"},
		{`{"x":"a\u0000"}`, "text", "row.value"},
		{`{"x":true}`, "bool", "=true"},
		{`{"x":false}`, "bool", "=false"},
		{`{"x":"true"}`, "bool", "row.value"},
		{`{"x":1}`, "bool", "row.value"},
		{`{"x":1}`, "int16", "=1"},
		{`{"x":"-7"}`, "int64", "=-7"},
		{`{"x":40000}`, "int16", "row.value"},
		{`{"x":1.5}`, "int64", "row.value"},
		{`{"x":1.50}`, "numeric", "=1.50"},
		{`{"x":12345678901234567890123}`, "numeric", "=12345678901234567890123"},
		{`{"x":0.1}`, "float64", "=0.1"},
		{`{"x":-0.0}`, "float64", "=-0"},
		{`{"x":"NaN"}`, "float64", "=NaN"},
		{`{"x":"-Infinity"}`, "float32", "=-Infinity"},
		{`{"x":"2024-02-30"}`, "date", "row.value"},
		{`{"x":"2024-02-29"}`, "date", "=2024-02-29"},
		{`{"x":20240229}`, "date", "row.value"},
		{`{"x":{"b":1, "a":[1,{}]}}`, "json", `={"b":1, "a":[1,{}]}`},
		{`{"x":"s"}`, "json", `="s"`},
		{`{"x":1.0}`, "json", "=1.0"},
		{`{"x":{"a":}}`, "json", "row.json"},
		{`{"x":"\ud800"}`, "text", "row.json"},
		{`{"x":"\ud800\u0041"}`, "text", "row.json"},
		{`{"x":"\u12"}`, "text", "row.json"},
		{`{"x":"\q"}`, "text", "row.json"},
		{"{\"x\":\"a\tb\"}", "text", "row.json"},
		{"{\"x\":\"\xff\"}", "text", "row.json"},
		{"{\"x\":\"\\n\xff\"}", "text", "row.json"},
		{"{\"x\":[\"\xff\"]}", "json", "row.json"},
		{`{"x":"a","x":"a"}`, "text", "row.duplicate"},
		{`{"x":"a","\u0078":"b"}`, "text", "row.duplicate"},
		{`{"x":01}`, "int64", "row.json"},
		{`{"x":1.}`, "float64", "row.json"},
		{`{"x":.5}`, "float64", "row.json"},
		{`{"x":1e}`, "float64", "row.json"},
		{`{"x":+1}`, "float64", "row.json"},
		{`{"x":NaN}`, "float64", "row.json"},
		{`{"x":nul}`, "text", "row.json"},
		{`{"x":"a",}`, "text", "row.json"},
		{`{"x":"a"`, "text", "row.json"},
		{`{"x":"a`, "text", "row.json"},
		{`{"x"`, "text", "row.json"},
		{`{x:1}`, "text", "row.json"},
		{`{"x" 1}`, "text", "row.json"},
		{`{"x":"a"}}`, "text", "row.json"},
		{`{"x":"a"}{"x":"b"}`, "text", "row.json"},
		{`["a"]`, "text", "row.json"},
		{`"a"`, "text", "row.json"},
		{`{"__dpone__json":1}`, "text", ""}, // drift, below
	} {
		got, err := decode(t, tt.in, tt.typ, false)
		if tt.want == "" {
			var f *fault.Error
			assert.Assert(t, errors.As(err, &f) && f.Code == fault.Drift, "%s: %v", tt.in, err)
			continue
		}
		assert.ErrorIs(t, err, io.EOF, tt.in)
		assert.Equal(t, got, tt.want, "%s as %s", tt.in, tt.typ)
	}
}

func TestDecoderUnwraps(t *testing.T) {
	t.Parallel()
	in := `{"x":{"__dpone__json":"[1,\n2]"}}`
	got, _ := decode(t, in, "json", true)
	assert.Equal(t, got, "=[1,\n2]")
	got, _ = decode(t, in, "json", false)
	assert.Equal(t, got, `={"__dpone__json":"[1,\n2]"}`)
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	in := `{"a":1,"b":"x","c":true,"d":[1],"e":null,"f":1.5,"g":99999999999999999999}` + "\n" +
		`broken` + "\n" +
		`{"a":2.5,"h":{"x":1},"e":null,"f":2,"z":1}` + "\n" +
		`{"late":1}`
	got, err := jsonl.Discover(jsonl.NewLines(strings.NewReader(in)), schema(t, "z", "text"), 3)
	assert.NilError(t, err)
	var names []string
	for _, c := range got {
		names = append(names, c.Name+" "+c.Type.String())
	}
	assert.DeepEqual(t, names, []string{"z text", "a numeric", "b text", "c bool", "d json", "e text", "f numeric", "g numeric", "h json"})
	// A key that the sample did not show is drift, and names itself.
	b := batch.New(got)
	index := make([]int, len(got))
	for i := range index {
		index[i] = i
	}
	err = jsonl.NewDecoder(jsonl.NewLines(strings.NewReader(`{"late":1}`)), got, index, false).Decode(b, 9, nil)
	assert.ErrorContains(t, err, `"late"`)
}

// Every JSON value comes back as it was, also those that a line cannot hold.
func TestWriterJSON(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"json", "jsonb"} {
		s := schema(t, "x", kind)
		b := batch.New(s)
		for _, v := range []string{`null`, ` null`, `{"a":1}`, "{\n}", "[1,\r2]", ` {}`, `"\ud800"`, `"a"`, `1.50`, `true`, `{"__dpone__json":"x"}`, `{"\u005f_dpone__json":"x"}`, `[]`} {
			data, err := logical.ParseText(nil, s[0].Type, []byte(v))
			assert.NilError(t, err, v)
			b.Columns[0].Append(data)
			b.EndRow()
		}
		var out bytes.Buffer
		w := jsonl.NewWriter(&out, s)
		assert.NilError(t, errors.Join(w.Write(b, 0, b.Rows()), w.Flush()))
		assert.Equal(t, strings.Count(out.String(), "\n"), b.Rows())
		for line := range strings.Lines(out.String()) {
			assert.Assert(t, json.Valid([]byte(line)), line)
		}
		got := batch.New(s)
		err := jsonl.NewDecoder(jsonl.NewLines(&out), s, []int{0}, true).Decode(got, 99, func(f *fault.Error) error { return f })
		assert.ErrorIs(t, err, io.EOF)
		for i := range b.Rows() {
			assert.Equal(t, string(got.Columns[0].Value(i)), string(b.Columns[0].Value(i)))
		}
	}
}

// What the decoder takes, encoding/json takes with the same keys and texts.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":"x\n","c":[1,{"d":null}]}`, `{"\ud83d\ude00":-1.5e+3}`, `{}`, `{"a":"\`, "{\"a\":\"\x80\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var s jsonl.Scanner
		got := make(map[string]string)
		err := s.Object(in, func(key []byte, v jsonl.Value, raw []byte) error {
			if v.Kind == jsonl.String {
				got[string(key)] = string(v.Text)
			} else {
				got[string(key)] = string(raw)
			}
			return nil
		})
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		assert.NilError(t, json.Unmarshal(in, &want))
		assert.Equal(t, len(got), len(want))
		for k, raw := range want {
			w := string(raw)
			var text string
			if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
				w = text
			}
			assert.Equal(t, got[k], w)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var data bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&data, `{"id":%d,"name":"name %d","price":%d.50,"ok":true,"at":"2024-01-02 03:04:05","note":null}`+"\n", i, i, i)
	}
	s := schema(b, "id", "int64", "name", "text", "price", "numeric(18,2)", "ok", "bool", "at", "timestamp", "note", "text")
	rows := batch.New(s)
	b.SetBytes(int64(data.Len()))
	b.ReportAllocs()
	for b.Loop() {
		d := jsonl.NewDecoder(jsonl.NewLines(bytes.NewReader(data.Bytes())), s, []int{0, 1, 2, 3, 4, 5}, false)
		for {
			rows.Reset()
			err := d.Decode(rows, 4096, func(f *fault.Error) error { return f })
			if errors.Is(err, io.EOF) {
				break
			}
			assert.NilError(b, err)
		}
	}
}
