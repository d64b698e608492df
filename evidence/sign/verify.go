package sign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// Options say what a reader takes. The zero value takes nothing: At is mandatory.
type Options struct {
	// At is the time that the keys must count at, as a rule now.
	At time.Time
	// PredicateType is the only predicate type that is taken, or empty for
	// every type that package statement knows.
	PredicateType string
	// AllowMAC takes a MAC for local use. No release policy may set it.
	AllowMAC bool
	// AllowStatementV01 takes what cosign attest-blob --predicate writes.
	AllowStatementV01 bool
	// AllowEd25519ph takes signatures of Ed25519ph (RFC 8032) by Ed25519 keys
	// too, which is what cosign attest-blob makes with them. cosign itself, as
	// of v3.1.3, does not verify those.
	AllowEd25519ph bool
	// PredicateTypes are further predicate types that are taken.
	PredicateTypes []string
}

// Verified is a statement that somebody trusted stands for.
type Verified struct {
	Statement *statement.Statement
	// Payload is the statement as signed, byte for byte.
	Payload []byte
	KeyID   string
	// Name is what the reader's trust calls the key.
	Name string
	// Kind is [KindKey] or [KindHMAC], by the reader's trust and not by the bundle.
	Kind string
}

// Class says what the signature proves: [ClassSigned] or [ClassLocalMAC].
func (v *Verified) Class() string {
	if v.Kind == KindKey {
		return ClassSigned
	}
	return ClassLocalMAC
}

// VerifyBundle reads a bundle and returns its statement when one key of trust
// signed exactly that. Every error holds an *[Error] with the reason; a
// statement never comes with an error.
//
// It looks at the form of the bundle first, then at the signature, then at the
// time of the key, then at the statement, and stops at the first defect.
func VerifyBundle(raw []byte, trust Trust, opts Options) (Verified, error) {
	v, err := verify(raw, trust, opts)
	if err != nil {
		return Verified{}, fmt.Errorf("verify: %w", err)
	}
	return v, nil
}

func verify(raw []byte, trust Trust, opts Options) (Verified, error) {
	if opts.At.IsZero() {
		return Verified{}, strict.Refuse(NoTime, "", "no time is set to compare the keys with")
	}
	b, err := DecodeBundle(raw)
	if err != nil {
		return Verified{}, err
	}
	m := &b.VerificationMaterial
	switch {
	case m.Certificate != nil:
		return Verified{}, strict.Refuse(UnsupportedMaterial, "verificationMaterial.certificate", "a keyless bundle, which is not verified with a key")
	case len(m.TlogEntries) > 0 || len(m.TimestampVerificationData) > 0:
		// What is not checked must not be there: a reader might believe it.
		return Verified{}, strict.Refuse(UnsupportedMaterial, "verificationMaterial", "a log entry or timestamp, which is not checked here")
	}
	id := m.PublicKey.Hint
	if strings.HasPrefix(id, macPrefix) && !opts.AllowMAC {
		return Verified{}, strict.Refuse(MACOnly, "verificationMaterial.publicKey.hint", "a MAC of a local key is no signature")
	}
	key, ok := trust.keys[id]
	if !ok {
		return Verified{}, strict.Refuse(UntrustedSigner, "verificationMaterial.publicKey.hint", "no trusted key has the ID %s", strict.Quote(id))
	}
	if key.kind == KindHMAC && !opts.AllowMAC {
		return Verified{}, strict.Refuse(MACOnly, "", "the key %s is a local key", strict.Quote(key.Name))
	}
	payload, err := key.open(&b.Envelope, opts.AllowEd25519ph)
	if err != nil {
		return Verified{}, err
	}
	if err := key.counts(opts.At); err != nil {
		return Verified{}, err
	}
	read := []statement.Option{statement.AllowPredicateTypes(opts.PredicateTypes...)}
	if opts.PredicateType != "" {
		read = append(read, statement.AllowPredicateTypes(opts.PredicateType))
	}
	if opts.AllowStatementV01 {
		read = append(read, statement.AllowV01())
	}
	s, err := statement.Decode(payload, read...)
	if err != nil {
		return Verified{}, err
	}
	if opts.PredicateType != "" && s.PredicateType != opts.PredicateType {
		return Verified{}, strict.Refuse(WrongPredicateType, "predicateType", "%s is not %s", strict.Quote(s.PredicateType), strict.Quote(opts.PredicateType))
	}
	return Verified{Statement: s, Payload: payload, KeyID: id, Name: key.Name, Kind: key.kind}, nil
}

// open verifies the signature of an envelope and returns what it signs. The
// library gets an envelope that is written anew: its own reader takes the last
// of two keys, and any case, and any payload type unless told.
func (k *trusted) open(e *Envelope, prehashed bool) ([]byte, error) {
	clean := Envelope{Payload: e.Payload, PayloadType: e.PayloadType, Signatures: []Signature{{Sig: e.Signatures[0].Sig}}}
	raw, err := json.Marshal(clean)
	if err != nil {
		return nil, err
	}
	payload, err := open(raw, k.verifier)
	if err != nil && prehashed && k.prehashed != nil {
		payload, err = open(raw, k.prehashed)
	}
	if err != nil {
		return nil, strict.Refuse(BadSignature, "dsseEnvelope.signatures[0].sig", "it is not a signature of this statement by the key %s", strict.Quote(k.Name))
	}
	// A verifier that says yes and gives nothing has verified nothing.
	if len(payload) == 0 {
		return nil, strict.Refuse(EmptyEvidence, "dsseEnvelope.payload", "there is no statement")
	}
	return payload, nil
}

func open(envelope []byte, by signature.Verifier) (payload []byte, err error) {
	verifier := dsse.WrapVerifier(by, dsse.WithExpectedPayloadType(PayloadType), dsse.WithDecodedPayload(&payload))
	if err := verifier.VerifySignature(bytes.NewReader(envelope), nil); err != nil {
		return nil, err
	}
	return payload, nil
}
