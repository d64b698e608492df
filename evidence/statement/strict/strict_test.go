package strict_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement/strict"
)

type leaf struct {
	Name  string            `json:"name"`
	Next  *leaf             `json:"next,omitempty"`
	Tags  map[string]string `json:"tags,omitempty" limit:"3"`
	Times []time.Time       `json:"times,omitempty" limit:"2"`
}

type document struct {
	ID     string          `json:"id"`
	Size   int64           `json:"size"`
	Ratio  float64         `json:"ratio"`
	Done   bool            `json:"done"`
	Leaf   leaf            `json:"leaf"`
	Free   json.RawMessage `json:"free,omitempty"`
	Hidden string          `json:"-"`
	Plain  string
}

var limits = strict.Limits{Bytes: 4096, Depth: 8, Values: 200}

func TestDecode(t *testing.T) {
	t.Parallel()
	decoder := strict.NewDecoder[document](limits)
	for name, c := range map[string]struct {
		raw    string
		reason strict.Reason
		field  string
	}{
		"whole": {raw: ` {"id":"a\u00e9\ud83d\ude00","size":-9007199254740992,"ratio":1.5e3,"done":true,"Plain":"x",
			"leaf":{"name":"n","next":{"name":"m"},"tags":{"A":"1","a":"2"},"times":["2026-01-02T03:04:05Z"]},"free":[null,{"x":{}},[]]} `},
		"escaped key":        {raw: `{"\u0069d":"a"}`},
		"empty object":       {raw: `{}`},
		"nothing":            {raw: ``, reason: strict.EmptyEvidence},
		"white space":        {raw: " \n\t\r", reason: strict.EmptyEvidence},
		"duplicate":          {raw: `{"id":"a","size":1,"id":"b"}`, reason: strict.DuplicateKey, field: "id"},
		"duplicate, escaped": {raw: `{"id":"a","\u0069d":"b"}`, reason: strict.DuplicateKey, field: "id"},
		"duplicate inside":   {raw: `{"leaf":{"next":{"name":"a","name":"b"}}}`, reason: strict.DuplicateKey, field: "leaf.next.name"},
		"duplicate in map":   {raw: `{"leaf":{"tags":{"a":"1","a":"1"}}}`, reason: strict.DuplicateKey, field: "leaf.tags.a"},
		"duplicate in free":  {raw: `{"free":[0,{"a b":1,"c":2,"a b":1}]}`, reason: strict.DuplicateKey, field: `free[1]."a b"`},
		"unknown":            {raw: `{"idd":"a"}`, reason: strict.UnknownKey, field: "idd"},
		"other case":         {raw: `{"ID":"a"}`, reason: strict.UnknownKey, field: "ID"},
		"folded":             {raw: `{"\u017fize":1}`, reason: strict.UnknownKey, field: `"\u017fize"`},
		"hidden":             {raw: `{"-":"a"}`, reason: strict.UnknownKey, field: "-"},
		"null":               {raw: `{"id":null}`, reason: strict.Schema, field: "id"},
		"null whole":         {raw: `null`, reason: strict.Schema},
		"number for text":    {raw: `{"id":1}`, reason: strict.Schema, field: "id"},
		"text for number":    {raw: `{"size":"1"}`, reason: strict.Schema, field: "size"},
		"list for object":    {raw: `[]`, reason: strict.Schema},
		"object for list":    {raw: `{"leaf":{"times":{}}}`, reason: strict.Schema, field: "leaf.times"},
		"fraction for whole": {raw: `{"size":1.5}`, reason: strict.Schema, field: "size"},
		"no time":            {raw: `{"leaf":{"times":["yesterday"]}}`, reason: strict.Schema},
		"beyond 2^53":        {raw: `{"size":9007199254740993}`, reason: strict.Schema, field: "size"},
		"beyond 2^53, free":  {raw: `{"free":-9007199254740993}`, reason: strict.Schema, field: "free"},
		"beyond int64":       {raw: `{"free":99999999999999999999}`, reason: strict.Schema, field: "free"},
		"not finite":         {raw: `{"ratio":1e999}`, reason: strict.Schema, field: "ratio"},
		"long number":        {raw: `{"ratio":0.` + strings.Repeat("1", 500) + `}`, reason: strict.Schema, field: "ratio"},
		"trailing":           {raw: `{} {}`, reason: strict.Malformed},
		"trailing comma":     {raw: `{"id":"a",}`, reason: strict.Malformed},
		"truncated":          {raw: `{"id":"a"`, reason: strict.Malformed},
		"truncated word":     {raw: `{"done":tru`, reason: strict.Malformed, field: "done"},
		"truncated string":   {raw: `{"id":"a`, reason: strict.Malformed, field: "id"},
		"truncated escape":   {raw: `{"id":"a\`, reason: strict.Malformed, field: "id"},
		"no colon":           {raw: `{"id" "a"}`, reason: strict.Malformed, field: "id"},
		"no value":           {raw: `{"id":}`, reason: strict.Malformed, field: "id"},
		"no quotes":          {raw: `{id:1}`, reason: strict.Malformed},
		"control character":  {raw: "{\"id\":\"a\nb\"}", reason: strict.Malformed, field: "id"},
		"unknown escape":     {raw: `{"id":"\x41"}`, reason: strict.Malformed, field: "id"},
		"short escape":       {raw: `{"id":"\u12"}`, reason: strict.Malformed, field: "id"},
		"lone surrogate":     {raw: `{"id":"\ud800"}`, reason: strict.Malformed, field: "id"},
		"low surrogate":      {raw: `{"id":"\udc00\ud800"}`, reason: strict.Malformed, field: "id"},
		"not UTF-8":          {raw: "{\"id\":\"\xff\"}", reason: strict.Malformed},
		"leading zero":       {raw: `{"size":01}`, reason: strict.Malformed, field: "size"},
		"plus":               {raw: `{"size":+1}`, reason: strict.Malformed, field: "size"},
		"bare minus":         {raw: `{"size":-}`, reason: strict.Malformed, field: "size"},
		"no fraction":        {raw: `{"ratio":1.}`, reason: strict.Malformed, field: "ratio"},
		"no exponent":        {raw: `{"ratio":1e+}`, reason: strict.Malformed, field: "ratio"},
		"byte order mark":    {raw: "\ufeff{}", reason: strict.Malformed},
		"too large":          {raw: `{"id":"` + strings.Repeat("x", 4096) + `"}`, reason: strict.LimitExceeded},
		"deepest":            {raw: `{"free":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}`},
		"too deep":           {raw: `{"free":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`, reason: strict.LimitExceeded, field: "free" + strings.Repeat("[0]", 7)},
		"far too deep":       {raw: strings.Repeat("[", 4000), reason: strict.Schema},
		"too many values":    {raw: `{"free":[` + strings.Repeat("0,", 300) + `0]}`, reason: strict.LimitExceeded, field: "free[197]"},
		"too many members":   {raw: `{"leaf":{"tags":{"a":"","b":"","c":"","d":""}}}`, reason: strict.LimitExceeded, field: "leaf.tags"},
		"too many elements":  {raw: `{"leaf":{"times":["2026-01-02T03:04:05Z","2026-01-02T03:04:05Z","2026-01-02T03:04:05Z"]}}`, reason: strict.LimitExceeded, field: "leaf.times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decoder.Decode([]byte(c.raw))
			assert.Equal(t, strict.ReasonOf(err), c.reason, "%v", err)
			if c.reason == "" {
				assert.NilError(t, err)
				return
			}
			if c.field != "" {
				var refusal *strict.Error
				assert.Assert(t, errors.As(err, &refusal))
				assert.Equal(t, refusal.Field, c.field)
			}
		})
	}
}

func TestDecodedValue(t *testing.T) {
	t.Parallel()
	got, err := strict.NewDecoder[document](limits).Decode([]byte(`{"id":"\u0061","size":7,"leaf":{"name":"n","tags":{"A":"1","a":"2"}},"free": [1, 2]}`))
	assert.NilError(t, err)
	assert.DeepEqual(t, got, document{
		ID: "a", Size: 7, Leaf: leaf{Name: "n", Tags: map[string]string{"A": "1", "a": "2"}}, Free: json.RawMessage("[1, 2]"),
	})
}

func TestWhatIsQuotedIsShortAndSafe(t *testing.T) {
	t.Parallel()
	_, err := strict.NewDecoder[document](limits).Decode([]byte(`{"\u001b[31m` + strings.Repeat("é", 500) + `":1}`))
	assert.Assert(t, len(err.Error()) < 1000)
	assert.Assert(t, !strings.ContainsRune(err.Error(), '\x1b'))
	assert.Equal(t, strict.ReasonOf(fmt.Errorf("outer: %w", err)), strict.UnknownKey)
	assert.Equal(t, strict.ReasonOf(nil), strict.Reason(""))
}

// A document of many equal keys takes time and memory of its size, no more.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range 100_000 {
		fmt.Fprintf(&b, `"k%d":0,`, i)
	}
	wide := strict.Limits{Bytes: 1 << 22, Depth: 4, Values: 1 << 20}
	decoder := strict.NewDecoder[map[string]int](wide)
	_, err := decoder.Decode([]byte(b.String() + `"k":0}`))
	assert.NilError(t, err)
	_, err = decoder.Decode([]byte(b.String() + `"k77777":0}`))
	assert.Equal(t, strict.ReasonOf(err), strict.DuplicateKey)
}

// What is accepted is JSON of which the standard library reads the same; what
// is refused as malformed the standard library refuses too, but for text.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","size":1,"leaf":{"name":"n","next":{"name":"m"},"tags":{"a":"b"},"times":["2026-01-02T03:04:05Z"]}}`,
		`{"free":[null,true,-1.5e-3,"\ud83d\ude00",{"a":{"b":[]}}]}`, `{"id":"a","id":"b"}`, `{"\ud800":0}`, `[[[[`, `{"free":1e999}`, `0`, ``,
	} {
		f.Add([]byte(seed))
	}
	free := strict.NewDecoder[any](limits)
	typed := strict.NewDecoder[document](limits)
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, err := free.Decode(raw)
		var want any
		plain := json.Unmarshal(raw, &want)
		switch {
		case err == nil:
			assert.NilError(t, plain)
			assert.Assert(t, reflect.DeepEqual(value, want))
		case strict.ReasonOf(err) == strict.Malformed && utf8.Valid(raw) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ud`)):
			assert.Assert(t, plain != nil, "%s: %v", raw, err)
		default:
			assert.Assert(t, strict.ReasonOf(err) != "")
		}
		doc, err := typed.Decode(raw)
		if err != nil {
			assert.Assert(t, strict.ReasonOf(err) != "")
			return
		}
		again, err := json.Marshal(doc)
		assert.NilError(t, err)
		_, err = strict.NewDecoder[document](strict.Limits{Bytes: 1 << 20, Depth: 8, Values: 1000}).Decode(again)
		assert.NilError(t, err)
	})
}
