package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement/strict"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	for _, want := range []wire.Request{
		{Op: wire.OpVerify, Bundle: []byte("b"), TrustedRoot: []byte("t")},
		{Op: wire.OpSign, Statement: []byte("s<>"), SigningConfig: []byte("c"), TrustedRoot: []byte("t"), Token: "a.b.c", Seconds: 5},
		{Op: wire.OpSign, Statement: []byte("s"), TokenURL: "https://example.com/?a=b&c=d", TokenRequest: "secret"},
	} {
		var out bytes.Buffer
		assert.NilError(t, wire.Write(&out, want))
		got, err := wire.ReadRequest(&out)
		assert.NilError(t, err)
		assert.DeepEqual(t, got, want)
	}
	for text, want := range map[string]sign.Reason{
		"":                                          sign.EmptyEvidence,
		"[]":                                        sign.Schema,
		`{}`:                                        sign.Schema,
		`{"op":"SIGN"}`:                             sign.Schema,
		`{"OP":"sign"}`:                             sign.UnknownKey,
		`{"op":"sign","op":"sign"}`:                 sign.DuplicateKey,
		`{"op":"sign","bundle":"eA=="}`:             sign.Schema,
		`{"op":"sign","seconds":-1}`:                sign.Schema,
		`{"op":"sign","seconds":3601}`:              sign.Schema,
		`{"op":"sign","seconds":1.5}`:               sign.Schema,
		`{"op":"sign","statement":"!"}`:             sign.Schema,
		`{"op":"verify","statement":"eA=="}`:        sign.Schema,
		`{"op":"verify","token":"x"}`:               sign.Schema,
		`{"op":"verify","token_url":"x"}`:           sign.Schema,
		`{"op":"verify","seconds":1}`:               sign.Schema,
		`{"op":"verify"} {"op":"verify"}`:           sign.Malformed,
		`{"op":"verify","bundle":null}`:             sign.Schema,
		`{"op":"verify","bundle":{"a":[[[0]]]}}`:    sign.Schema,
		`{"op":"sign","token":"x","token_url":"y"}`: sign.Schema,
		`{"op":"verify","trusted_root":"` + strings.Repeat("AAAA", wire.MaxTrustedRoot/3+1) + `"}`: sign.LimitExceeded,
		`{"op":"verify","bundle":"` + strings.Repeat("AAAA", wire.MaxMessage/4) + `"}`:             sign.LimitExceeded,
	} {
		_, err := wire.ReadRequest(strings.NewReader(text))
		assert.Equal(t, sign.ReasonOf(err), want, "%.80s: %v", text, err)
	}
	_, err := wire.ReadRequest(io.MultiReader(strings.NewReader("{"), failing{}))
	assert.Equal(t, sign.ReasonOf(err), sign.Malformed)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("secret") }

func TestResponses(t *testing.T) {
	t.Parallel()
	who := sign.Identity{SAN: "https://example.com/a", Trigger: "push", SignedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var out bytes.Buffer
	assert.NilError(t, wire.Write(&out, wire.Response{Payload: []byte("p"), Identity: &who}))
	got, err := wire.DecodeResponse(out.Bytes())
	assert.NilError(t, err)
	assert.Equal(t, string(got.Payload), "p")
	assert.DeepEqual(t, *got.Identity, who)

	out.Reset()
	assert.NilError(t, wire.Write(&out, wire.Response{Error: &wire.Problem{Reason: sign.TimeInvalid, Field: "a", Detail: "b"}}))
	_, err = wire.DecodeResponse(out.Bytes())
	assert.Error(t, err, "time_invalid: a: b")
	assert.Equal(t, sign.ReasonOf(err), sign.TimeInvalid)

	for text, want := range map[string]sign.Reason{
		``: sign.EmptyEvidence, `{"x":1}`: sign.UnknownKey, `{"error":{"reason":"","detail":""}}`: sign.Schema,
		`{"identity":{"signed_at":"yesterday"}}`: sign.Schema, `{}{}`: sign.Malformed,
	} {
		_, err := wire.DecodeResponse([]byte(text))
		assert.Equal(t, sign.ReasonOf(err), want, text)
	}
}

// No way to print a request shows a secret of it.
func TestRequestsDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	r := wire.Request{Op: wire.OpSign, Token: "hunter2", TokenURL: "hunter2", TokenRequest: "hunter2"}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %v", r, r, r, r, r, r, &r)
	assert.Assert(t, !strings.Contains(shown, "hunter2") && !strings.Contains(shown, fmt.Sprintf("%x", "hunter2")), shown)
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"op":"sign","statement":"eA==","token":"a.b.c"}`))
	f.Add([]byte(`{"op":"verify","bundle":"eA=="}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := wire.ReadRequest(bytes.NewReader(raw))
		if err != nil {
			var refusal *strict.Error
			assert.Assert(t, errors.As(err, &refusal), "%v", err)
			return
		}
		var out bytes.Buffer
		assert.NilError(t, wire.Write(&out, r))
		again, err := wire.ReadRequest(&out)
		assert.NilError(t, err)
		assert.Equal(t, again.Op, r.Op)
	})
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"payload":"eA==","identity":{"san":"x","signed_at":"2026-01-02T03:04:05Z"}}`))
	f.Add([]byte(`{"error":{"reason":"schema","detail":""}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := wire.DecodeResponse(raw); err != nil {
			assert.Assert(t, sign.ReasonOf(err) != "", "%v", err)
		}
	})
}
