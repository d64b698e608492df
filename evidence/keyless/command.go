package keyless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// The variables that a job of GitHub Actions has when it may ask for identity
// tokens, and one with a token.
const (
	EnvTokenURL     = "ACTIONS_ID_TOKEN_REQUEST_URL"
	EnvTokenRequest = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	EnvToken        = "SIGSTORE_ID_TOKEN"
)

// Serve reads one request of package wire, does what it asks for, and writes
// the response. A request to sign without a way to get a token takes it from
// the environment (getenv, as os.Getenv). transport sends the requests to the
// services; that of net/http if nil. The error is that of the writing alone:
// a refusal is a response, and refused says that there was one.
func Serve(ctx context.Context, in io.Reader, out io.Writer, getenv func(string) string, transport http.RoundTripper) (refused bool, err error) {
	response, err := answer(ctx, in, getenv, transport)
	if err != nil {
		problem := &wire.Problem{Reason: sign.SigningUnavailable, Detail: "interrupted"}
		var refusal *strict.Error
		if errors.As(err, &refusal) {
			problem = &wire.Problem{Reason: refusal.Reason, Field: refusal.Field, Detail: refusal.Detail}
		}
		response, refused = wire.Response{Error: problem}, true
	}
	if err := wire.Write(out, response); err != nil {
		return refused, fmt.Errorf("response: %w", err)
	}
	return refused, nil
}

func answer(ctx context.Context, in io.Reader, getenv func(string) string, transport http.RoundTripper) (wire.Response, error) {
	request, err := wire.ReadRequest(in)
	if err != nil {
		return wire.Response{}, err
	}
	if request.Op == wire.OpVerify {
		payload, who, err := Verifier{}.VerifyCertificate(ctx, request.Bundle, request.TrustedRoot)
		return wire.Response{Payload: payload, Identity: &who}, err
	}
	if request.Token == "" && request.TokenURL == "" && request.TokenRequest == "" {
		request.Token = getenv(EnvToken)
		request.TokenURL, request.TokenRequest = getenv(EnvTokenURL), getenv(EnvTokenRequest)
	}
	source := GitHubActions(request.TokenURL, request.TokenRequest)
	if request.Token != "" {
		source = GivenToken(request.Token)
	}
	signer, err := NewSigner(Options{
		SigningConfig: request.SigningConfig, TrustedRoot: request.TrustedRoot, Token: source,
		Total: time.Duration(request.Seconds) * time.Second, Transport: transport,
	})
	if err != nil {
		return wire.Response{}, err
	}
	bundle, err := signer.Sign(ctx, request.Statement)
	return wire.Response{Bundle: bundle}, err
}
