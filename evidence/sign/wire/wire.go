// Package wire is what the command dpone-keyless reads and writes: one request
// as JSON on standard input, one response as JSON on standard output.
//
// The command is a process of its own because what it needs is heavy. A
// request to verify looks like this; bytes are base64 of RFC 4648 section 4:
//
//	{"op": "verify", "bundle": "eyJ...", "trusted_root": "eyJ..."}
//
// and is answered by the statement and who signed it,
//
//	{"payload": "eyJ...", "identity": {"san": "https://github.com/...", ...}}
//
// or by a refusal:
//
//	{"error": {"reason": "time_invalid", "field": "", "detail": "..."}}
//
// A request to sign has the statement, and says where the services are and how
// to get an identity token. Secrets stand in the request and nowhere else:
// never in an argument, never in a response.
//
//	{"op": "sign", "statement": "eyJ...", "signing_config": "eyJ...", "token": "..."}
//	{"bundle": "eyJ..."}
package wire

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// The operations.
const (
	OpSign   = "sign"
	OpVerify = "verify"
)

// MaxMessage is the largest request or response, in bytes: a bundle of the
// largest size and a trusted root, in base64.
const MaxMessage = 32 << 20

// MaxTrustedRoot is the largest trusted root or signing configuration, in bytes.
const MaxTrustedRoot = 4 << 20

// Request asks for one operation.
type Request struct {
	Op string `json:"op"`
	// Bundle is verified.
	Bundle []byte `json:"bundle,omitempty"`
	// TrustedRoot is a trusted_root.json. A request to verify has one; with a
	// request to sign, the new bundle is verified before it is returned.
	TrustedRoot []byte `json:"trusted_root,omitempty"`
	// Statement is signed, byte for byte.
	Statement []byte `json:"statement,omitempty"`
	// SigningConfig is a signing_config.json; without one, the services are
	// those of the public instance of Sigstore.
	SigningConfig []byte `json:"signing_config,omitempty"`
	// Token is an identity token (a JWT). Secret.
	Token string `json:"token,omitempty"`
	// TokenURL and TokenRequest are where GitHub Actions gives out identity
	// tokens, and the secret that it wants for them.
	TokenURL     string `json:"token_url,omitempty"`
	TokenRequest string `json:"token_request,omitempty"`
	// Seconds bound the whole of a request to sign; 0 for the default.
	Seconds int `json:"seconds,omitempty"`
}

// String says what is asked for and no secret.
func (r Request) String() string {
	return fmt.Sprintf("request(%s, bundle: %d bytes, statement: %d bytes, token: %t)", strict.Quote(r.Op), len(r.Bundle), len(r.Statement), r.Token != "" || r.TokenRequest != "")
}

// Format is String for every verb, so that %v, %#v and %x say no more.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// Response has either an error or what was asked for.
type Response struct {
	Bundle   []byte         `json:"bundle,omitempty"`
	Payload  []byte         `json:"payload,omitempty"`
	Identity *sign.Identity `json:"identity,omitempty"`
	Error    *Problem       `json:"error,omitempty"`
}

// Problem is a refusal (strict.Error).
type Problem struct {
	Reason sign.Reason `json:"reason"`
	Field  string      `json:"field,omitempty"`
	Detail string      `json:"detail"`
}

// The decoders hold no state and are never changed.
var (
	requests  = strict.NewDecoder[Request](limits())
	responses = strict.NewDecoder[Response](limits())
)

func limits() strict.Limits { return strict.Limits{Bytes: MaxMessage, Depth: 4, Values: 128} }

// ReadRequest reads the one request that r has. Every error holds an *[sign.Error].
func ReadRequest(r io.Reader) (Request, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	if err != nil {
		return Request{}, fmt.Errorf("request: %w", strict.Refuse(sign.Malformed, "", "it cannot be read"))
	}
	request, err := requests.Decode(raw)
	if err == nil {
		err = request.validate()
	}
	if err != nil {
		return Request{}, fmt.Errorf("request: %w", err)
	}
	return request, nil
}

func (r *Request) validate() error {
	misplaced := func(op string, fields ...string) error {
		for i := 0; i < len(fields); i += 2 {
			if fields[i+1] != "" {
				return strict.Refuse(sign.Schema, fields[i], "it means nothing to %s", op)
			}
		}
		return nil
	}
	if len(r.TrustedRoot) > MaxTrustedRoot || len(r.SigningConfig) > MaxTrustedRoot {
		return strict.Refuse(sign.LimitExceeded, "trusted_root", "it or signing_config is larger than %d bytes", MaxTrustedRoot)
	}
	switch r.Op {
	case OpVerify:
		if r.Seconds != 0 {
			return strict.Refuse(sign.Schema, "seconds", "it means nothing to %s", OpVerify)
		}
		return misplaced(OpVerify, "statement", string(r.Statement), "signing_config", string(r.SigningConfig),
			"token", r.Token, "token_url", r.TokenURL, "token_request", r.TokenRequest)
	case OpSign:
		if r.Seconds < 0 || r.Seconds > 3600 {
			return strict.Refuse(sign.Schema, "seconds", "%d is not between 0 and 3600", r.Seconds)
		}
		if r.Token != "" && (r.TokenURL != "" || r.TokenRequest != "") {
			return strict.Refuse(sign.Schema, "token", "there is a token and a place to get one from")
		}
		return misplaced(OpSign, "bundle", string(r.Bundle))
	}
	return strict.Refuse(sign.Schema, "op", "%s is not %q or %q", strict.Quote(r.Op), OpSign, OpVerify)
}

// DecodeResponse reads a response. An error in it is the error; every error
// holds an *[sign.Error].
func DecodeResponse(raw []byte) (Response, error) {
	response, err := responses.Decode(raw)
	if err != nil {
		return Response{}, fmt.Errorf("response: %w", err)
	}
	if p := response.Error; p != nil {
		if p.Reason == "" {
			return Response{}, fmt.Errorf("response: %w", strict.Refuse(sign.Schema, "error.reason", "it is empty"))
		}
		return Response{}, &strict.Error{Reason: p.Reason, Field: p.Field, Detail: p.Detail}
	}
	return response, nil
}

// Write writes a request or a response, with a newline at the end.
func Write[T Request | Response](w io.Writer, message T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(message)
}
