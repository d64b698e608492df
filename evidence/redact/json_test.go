package redact

import (
	"encoding/json"
	"testing"

	"gotest.tools/v3/assert"
)

func TestJSON(t *testing.T) {
	r := New([]string{"A_TOKEN=" + secretValue, "B_TOKEN=abcd1234"})
	value, err := json.Marshal(secretValue)
	assert.NilError(t, err)
	tests := []struct{ name, in, want string }{
		{"value", `{"a": "x abcd1234"}`, `{"a": "x [redacted:B_TOKEN]"}`},
		{"key", `{"abcd1234":1e2}`, `{"[redacted:B_TOKEN]":1e2}`},
		{"escaped", `[` + string(value) + `]`, `["[redacted:A_TOKEN]"]`},
		{"unusual escapes", `["\u0061bcd\u0031234"]`, `["[redacted:B_TOKEN]"]`},
		{"other escapes stay", `["abcd1234\n\u003c\"\u2028é"]`, `["[redacted:B_TOKEN]\n<\"\u2028é"]`},
		{"without secret all stays", `["\u0061\/\u003c",  1.50, -0, null]` + "\n", `["\u0061\/\u003c",  1.50, -0, null]` + "\n"},
		{"lines", "{\"a\":\"abcd1234\"}\n\n{}\n", "{\"a\":\"[redacted:B_TOKEN]\"}\n\n{}\n"},
		{"invalid UTF-8", "[\"\xff abcd1234\"]", "[\"\xff [redacted:B_TOKEN]\"]"},
		{"scalar", ` "abcd1234" `, ` "[redacted:B_TOKEN]" `},
		{"number", `[1234]`, `[1234]`},
		{"key in string", `["-----BEGIN PRIVATE ` + `KEY-----\nMIIE\n-----END PRIVATE ` + `KEY-----\n"]`, `["[redacted:private-key]\n"]`},
		{"JSON in string", `["{\"password\":\"abcd1234\"}"]`, `["{\"password\":\"[redacted:B_TOKEN]\"}"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.JSON([]byte(tt.in))
			assert.NilError(t, err)
			assert.Equal(t, string(got), tt.want)
			again, err := r.JSON(got)
			assert.NilError(t, err)
			assert.Equal(t, string(again), tt.want)
		})
	}
	for _, in := range []string{"", " ", "{", `{"a":}`, `["a]`, "[1] x", `"a` + "\n" + `"`} {
		_, err := r.JSON([]byte(in))
		assert.ErrorContains(t, err, "redact JSON: ", in)
	}
}

func FuzzJSON(f *testing.F) {
	r := New([]string{"A_TOKEN=abcd1234"})
	f.Add([]byte(`{"abcd1234":["\u0061bcd1234\n", 1.0, "https://a:b@c", "\"password=x\""]}`))
	f.Add([]byte("{}\n\"-----BEGIN PRIVATE " + "KEY-----\\nMIIE\"\n"))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		valid := validDocuments(raw) == nil
		out, err := r.JSON(raw)
		if (err == nil) != valid {
			t.Fatalf("valid %t, error %v", valid, err)
		}
		if err == nil && validDocuments(out) != nil {
			t.Fatalf("%q became %q", raw, out)
		}
		if json.Valid(raw) && !json.Valid(out) {
			t.Fatalf("%q became %q", raw, out)
		}
	})
}
