package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// MinMACKey is the least length of a MAC key, that of the output of SHA-256.
// crypto/hmac itself takes a key of no bytes at all.
const MinMACKey = 32

// macPrefix begins the key ID of a MAC, which no ID of a public key does: a
// reader without the key still sees what it is.
const macPrefix = "hmac-sha256:"

// MAC makes HMAC-SHA256 over statements: local integrity only
// ([ClassLocalMAC]). Whoever can verify can forge.
type MAC struct {
	signer signature.Signer
	id     string
}

// NewMAC takes a key of at least 32 bytes.
func NewMAC(key []byte) (*MAC, error) {
	m, id, err := newMAC(key)
	if err != nil {
		return nil, fmt.Errorf("local attestation key: %w", err)
	}
	return &MAC{signer: dsse.WrapSigner(m, PayloadType), id: id}, nil
}

func newMAC(key []byte) (*mac, string, error) {
	if len(key) < MinMACKey {
		return nil, "", strict.Refuse(WeakKey, "", "%d bytes, at least %d", len(key), MinMACKey)
	}
	m := &mac{key: bytes.Clone(key)}
	// A MAC of a fixed text tells keys apart and says no more of the key than
	// any bundle does. The text is no DSSE pre-authentication encoding.
	return m, macPrefix + hintOf(m.sum([]byte("dpone evidence key id v1"))), nil
}

// Sign returns a bundle over the statement.
func (m *MAC) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	if err := signable(ctx, statement); err != nil {
		return nil, err
	}
	envelope, err := m.signer.SignMessage(bytes.NewReader(statement))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return seal(envelope, m.id)
}

// Kind returns [KindHMAC].
func (*MAC) Kind() string { return KindHMAC }

// KeyID is the hint in the bundles.
func (m *MAC) KeyID() string { return m.id }

// mac is HMAC-SHA256 as a signer and verifier of the sigstore library.
type mac struct{ key []byte }

func (m *mac) sum(message []byte) []byte {
	h := hmac.New(sha256.New, m.key)
	h.Write(message)
	return h.Sum(nil)
}

// PublicKey returns nil: there is none, and the library asks.
func (*mac) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) { return nil, nil }

func (m *mac) SignMessage(message io.Reader, _ ...signature.SignOption) ([]byte, error) {
	raw, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	return m.sum(raw), nil
}

func (m *mac) VerifySignature(sig, message io.Reader, _ ...signature.VerifyOption) error {
	raw, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	if !hmac.Equal(got, m.sum(raw)) {
		return errors.New("the MAC differs")
	}
	return nil
}
