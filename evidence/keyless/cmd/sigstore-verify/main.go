// Command sigstore-verify verifies a bundle as a plain user of sigstore-go
// does, without any code of ours: it is the independent opinion of the
// conformance gate, and part of no product. It reads one request as JSON from
// standard input; bytes are in base64:
//
//	{"bundle": "...", "digest": "<sha256 of the artifact, in hex>", "public_key": "<PEM>"}
//	{"bundle": "...", "digest": "...", "trusted_root": "...", "san": "https://...", "issuer": "https://..."}
//
// and prints the type of the predicate. Exit codes: 0 verified, 1 refused,
// with the reason on standard error, 2 misuse.
package main

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

type request struct {
	Bundle      []byte `json:"bundle"`
	Digest      string `json:"digest"`
	PublicKey   []byte `json:"public_key"`
	TrustedRoot []byte `json:"trusted_root"`
	SAN         string `json:"san"`
	Issuer      string `json:"issuer"`
}

// errMisuse says that the request is none.
var errMisuse = errors.New("misuse")

func main() {
	predicate, err := run(os.Stdin)
	switch {
	case errors.Is(err, errMisuse):
		fmt.Fprintln(os.Stderr, "sigstore-verify:", err)
		os.Exit(2) //nolint:forbidigo // a command says how it ended by its code
	case err != nil:
		fmt.Fprintln(os.Stderr, "sigstore-verify:", err)
		os.Exit(1) //nolint:forbidigo // a command says how it ended by its code
	}
	fmt.Fprintln(os.Stdout, predicate)
}

func run(in io.Reader) (string, error) {
	var r request
	decoder := json.NewDecoder(io.LimitReader(in, 32<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return "", fmt.Errorf("%w: %w", errMisuse, err)
	}
	digest, err := hex.DecodeString(r.Digest)
	if err != nil || len(digest) != 32 || (len(r.PublicKey) == 0) == (len(r.TrustedRoot) == 0) {
		return "", fmt.Errorf("%w: a digest and either a key or a trusted root are wanted", errMisuse)
	}
	var entity bundle.Bundle
	if err := entity.UnmarshalJSON(r.Bundle); err != nil {
		return "", err
	}
	trusted, options, policy, err := r.demands()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errMisuse, err)
	}
	verifier, err := verify.NewVerifier(trusted, options...)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errMisuse, err)
	}
	result, err := verifier.Verify(&entity, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), policy))
	if err != nil {
		return "", err
	}
	return result.Statement.GetPredicateType(), nil
}

// demands is what a verification wants: with a key no log, with a certificate
// everything that there is.
func (r *request) demands() (root.TrustedMaterial, []verify.VerifierOption, verify.PolicyOption, error) {
	if len(r.PublicKey) == 0 {
		trusted, err := root.NewTrustedRootFromJSON(r.TrustedRoot)
		if err != nil {
			return nil, nil, nil, err
		}
		identity, err := verify.NewShortCertificateIdentity(r.Issuer, "", r.SAN, "")
		if err != nil {
			return nil, nil, nil, err
		}
		return trusted, []verify.VerifierOption{verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1)},
			verify.WithCertificateIdentity(identity), nil
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(r.PublicKey)
	if err != nil {
		return nil, nil, nil, err
	}
	loaded, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, nil, nil, err
	}
	key := root.NewExpiringKey(loaded, time.Time{}, time.Time{})
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return key, nil })
	return trusted, []verify.VerifierOption{verify.WithNoObserverTimestamps()}, verify.WithKey(), nil
}
