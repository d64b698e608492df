package keyless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/keyless/internal/virtual"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
)

// served is the response to a request, and whether it is a refusal.
func served(t *testing.T, request any, environment map[string]string) (wire.Response, error) {
	t.Helper()
	var in, out bytes.Buffer
	if r, ok := request.(wire.Request); ok {
		assert.NilError(t, wire.Write(&in, r))
	} else {
		in.WriteString(request.(string))
	}
	refused, err := Serve(t.Context(), &in, &out, func(name string) string { return environment[name] }, nil)
	assert.NilError(t, err)
	assert.Assert(t, bytes.HasSuffix(out.Bytes(), []byte("}\n")))
	response, err := wire.DecodeResponse(out.Bytes())
	assert.Equal(t, refused, err != nil)
	return response, err
}

func TestServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config, err := w.SigningConfig(w.url, withV2)
	assert.NilError(t, err)
	token, err := w.claims.Token()
	assert.NilError(t, err)
	request := wire.Request{Op: wire.OpSign, Statement: claim(t), SigningConfig: config, TrustedRoot: w.root, Seconds: 60}
	withToken, asking := request, request
	withToken.Token = token
	asking.TokenURL, asking.TokenRequest = w.url+virtual.TokenPath, virtual.TokenRequest
	for name, c := range map[string]struct {
		request     wire.Request
		environment map[string]string
	}{
		"a token in the request":     {withToken, nil},
		"a place to get one":         {asking, map[string]string{EnvToken: "not this one"}},
		"a token in the environment": {request, map[string]string{EnvToken: token}},
		"a job of GitHub":            {request, map[string]string{EnvTokenURL: w.url + virtual.TokenPath, EnvTokenRequest: virtual.TokenRequest}},
	} {
		response, err := served(t, c.request, c.environment)
		assert.NilError(t, err, name)
		verified, err := served(t, wire.Request{Op: wire.OpVerify, Bundle: response.Bundle, TrustedRoot: w.root}, nil)
		assert.NilError(t, err)
		assert.Equal(t, string(verified.Payload), string(claim(t)))
		assert.Equal(t, verified.Identity.Trigger, "push")
		assert.Assert(t, !verified.Identity.SignedAt.IsZero())
	}
	for name, c := range map[string]struct {
		request any
		want    sign.Reason
	}{
		"no token anywhere":    {request, sign.Unsigned},
		"nothing":              {"", sign.EmptyEvidence},
		"not JSON":             {"sign", sign.Malformed},
		"unknown operation":    {`{"op":"forge"}`, sign.Schema},
		"unknown member":       {`{"op":"verify","x":1}`, sign.UnknownKey},
		"a member twice":       {`{"op":"verify","op":"sign"}`, sign.DuplicateKey},
		"two requests":         {`{"op":"verify"}{"op":"verify"}`, sign.Malformed},
		"no bundle":            {wire.Request{Op: wire.OpVerify, TrustedRoot: w.root}, sign.EmptyEvidence},
		"no statement":         {wire.Request{Op: wire.OpSign, Token: token}, sign.EmptyEvidence},
		"bad configuration":    {wire.Request{Op: wire.OpSign, Token: token, Statement: claim(t), SigningConfig: []byte("{}")}, sign.Schema},
		"a bundle that is old": {wire.Request{Op: wire.OpVerify, Bundle: w.sign(t, withV1), TrustedRoot: newWorld(t).root}, sign.UntrustedSigner},
	} {
		_, err := served(t, c.request, nil)
		assert.Equal(t, sign.ReasonOf(err), c.want, "%s: %v", name, err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody listens") }
func (broken) Read([]byte) (int, error)  { return 0, errors.New("nobody speaks") }

func TestServeWithoutAnyone(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	_, err := Serve(t.Context(), strings.NewReader(`{}`), broken{}, none, nil)
	assert.ErrorContains(t, err, "nobody listens")
	var out bytes.Buffer
	refused, err := Serve(t.Context(), broken{}, &out, none, nil)
	assert.NilError(t, err)
	assert.Assert(t, refused)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out.Reset()
	refused, err = Serve(ctx, strings.NewReader(`{"op":"verify","bundle":"e30=","trusted_root":"e30="}`), &out, none, nil)
	assert.NilError(t, err)
	assert.Assert(t, refused)
	var response wire.Response
	assert.NilError(t, json.Unmarshal(out.Bytes(), &response))
	assert.Equal(t, response.Error.Detail, "interrupted")
}
