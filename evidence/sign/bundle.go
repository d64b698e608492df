package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// The formats of a bundle, and the largest one that is read.
const (
	MediaType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	PayloadType = "application/vnd.in-toto+json"
	MaxBundle   = 16 << 20

	maxDepth  = 64
	maxValues = 1 << 16
)

// Bundle is a Sigstore bundle v0.3 with a DSSE envelope. Bytes are base64 of
// RFC 4648 section 4, with padding, as protobuf JSON writes them.
type Bundle struct {
	MediaType            string               `json:"mediaType"`
	VerificationMaterial VerificationMaterial `json:"verificationMaterial"`
	Envelope             Envelope             `json:"dsseEnvelope"`
}

// VerificationMaterial says what to verify with: the hint of a key, or a
// certificate. A log entry or a time may stand beside it; they are kept as
// they are for readers that can check them, which [VerifyBundle] cannot.
type VerificationMaterial struct {
	PublicKey                 *PublicKey      `json:"publicKey,omitempty"`
	Certificate               *Certificate    `json:"certificate,omitempty"`
	TlogEntries               json.RawMessage `json:"tlogEntries,omitempty"`
	TimestampVerificationData json.RawMessage `json:"timestampVerificationData,omitempty"`
}

// PublicKey points at a key that the reader has. The hint is base64 of the
// SHA-256 of the key as SubjectPublicKeyInfo in DER ([KeyID]).
type PublicKey struct {
	Hint string `json:"hint"`
}

// Certificate is a certificate in DER, in base64.
type Certificate struct {
	RawBytes string `json:"rawBytes"`
}

// Envelope is a DSSE envelope.
type Envelope struct {
	Payload     string      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []Signature `json:"signatures" limit:"16"`
}

// Signature is a signature over the payload and its type. The key ID is not
// signed; where it is set it must be the hint.
type Signature struct {
	Sig   string `json:"sig"`
	KeyID string `json:"keyid,omitempty"`
}

// bundles holds no state and is never changed.
var bundles = strict.NewDecoder[Bundle](strict.Limits{Bytes: MaxBundle, Depth: maxDepth, Values: maxValues})

// DecodeBundle reads a bundle as if its writer were hostile, and judges its
// form alone: whether the signature holds is for [VerifyBundle]. Every error
// holds an *[Error].
func DecodeBundle(raw []byte) (*Bundle, error) {
	b, err := bundles.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if err := b.validate(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return &b, nil
}

func (b *Bundle) validate() error {
	if b.MediaType != MediaType {
		return strict.Refuse(Schema, "mediaType", "%s is not %s", strict.Quote(b.MediaType), MediaType)
	}
	m := &b.VerificationMaterial
	switch {
	case m.PublicKey == nil && m.Certificate == nil:
		return strict.Refuse(Schema, "verificationMaterial", "neither publicKey nor certificate")
	case m.PublicKey != nil && m.Certificate != nil:
		return strict.Refuse(Schema, "verificationMaterial", "both publicKey and certificate")
	case m.PublicKey != nil && (m.PublicKey.Hint == "" || len(m.PublicKey.Hint) > 256):
		return strict.Refuse(Schema, "verificationMaterial.publicKey.hint", "it is empty or longer than 256 bytes")
	case m.Certificate != nil:
		if _, err := decodeBase64("verificationMaterial.certificate.rawBytes", m.Certificate.RawBytes); err != nil {
			return err
		}
	}
	e := &b.Envelope
	if len(e.Signatures) != 1 {
		return strict.Refuse(SignatureCount, "dsseEnvelope.signatures", "%d signatures, exactly one is allowed: several signers write several bundles", len(e.Signatures))
	}
	if e.PayloadType != PayloadType {
		return strict.Refuse(WrongPayloadType, "dsseEnvelope.payloadType", "%s is not %s", strict.Quote(e.PayloadType), PayloadType)
	}
	if e.Payload == "" {
		return strict.Refuse(EmptyEvidence, "dsseEnvelope.payload", "there is no statement")
	}
	if _, err := decodeBase64("dsseEnvelope.payload", e.Payload); err != nil {
		return err
	}
	if _, err := decodeBase64("dsseEnvelope.signatures[0].sig", e.Signatures[0].Sig); err != nil {
		return err
	}
	if id := e.Signatures[0].KeyID; id != "" && (m.PublicKey == nil || id != m.PublicKey.Hint) {
		return strict.Refuse(Schema, "dsseEnvelope.signatures[0].keyid", "it is not the hint of the key")
	}
	return nil
}

// Payload is the statement as signed.
func (b *Bundle) Payload() ([]byte, error) {
	return decodeBase64("dsseEnvelope.payload", b.Envelope.Payload)
}

// decodeBase64 reads the one spelling that an encoder writes: with padding,
// without line breaks, without stray bits. Otherwise a bundle could be changed
// and still verify.
func decodeBase64(field, text string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || text == "" || strings.ContainsAny(text, "\r\n") {
		return nil, strict.Refuse(Schema, field, "not base64, or empty")
	}
	return raw, nil
}

// Encode writes a bundle as [DecodeBundle] reads it: compact JSON with a
// newline at the end. It refuses a bundle that DecodeBundle would refuse.
func (b *Bundle) Encode() ([]byte, error) {
	if err := b.validate(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	raw, err := b.encode()
	if err != nil {
		return nil, err
	}
	if _, err := DecodeBundle(raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// encode writes a bundle as compact JSON with a newline at the end.
func (b *Bundle) encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if out.Len() > MaxBundle {
		return nil, fmt.Errorf("bundle: %w", strict.Refuse(LimitExceeded, "", "%d bytes, at most %d", out.Len(), MaxBundle))
	}
	return out.Bytes(), nil
}

// seal puts an envelope of the sigstore library into a bundle.
func seal(envelope []byte, hint string) ([]byte, error) {
	b := Bundle{
		MediaType:            MediaType,
		VerificationMaterial: VerificationMaterial{PublicKey: &PublicKey{Hint: hint}},
	}
	var e struct {
		Payload     string `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			Sig string `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("bundle: envelope: %w", err)
	}
	b.Envelope.Payload, b.Envelope.PayloadType = e.Payload, e.PayloadType
	for _, s := range e.Signatures {
		b.Envelope.Signatures = append(b.Envelope.Signatures, Signature{Sig: s.Sig})
	}
	if err := b.validate(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return b.encode()
}

// hintOf is base64 of SHA-256.
func hintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:])
}
