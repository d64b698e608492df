package sign

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// TrustedKey is a key that a reader believes, and when. Exactly one of
// PublicPEM and MAC is set.
type TrustedKey struct {
	// Name is what the reader calls the key.
	Name string
	// PublicPEM is an Ed25519 or ECDSA P-256 key, as PEM "PUBLIC KEY".
	PublicPEM []byte
	// MAC is a MAC key of at least 32 bytes. It is secret.
	MAC []byte
	// The key counts from NotBefore on and before NotAfter, and not from
	// RevokedAt on; zero for no such bound. The time that they are compared
	// with is that of the reader ([Options.At]): without a trusted timestamp
	// nothing tells when a signature was made, so an old one by a key that has
	// expired since is refused.
	NotBefore, NotAfter, RevokedAt time.Time
}

// Trust is the keys that a reader believes. The zero value believes none. It
// is never changed once made.
type Trust struct {
	keys map[string]trusted
}

type trusted struct {
	TrustedKey
	kind     string
	verifier signature.Verifier
	// prehashed verifies Ed25519ph, where the key is of Ed25519.
	prehashed signature.Verifier
}

// NewTrust refuses keys that cannot be used, a key that is there twice, and
// bounds that leave no time.
func NewTrust(keys ...TrustedKey) (Trust, error) {
	t := Trust{keys: make(map[string]trusted, len(keys))}
	for i, key := range keys {
		place := fmt.Sprintf("keys[%d]", i)
		entry, id, err := load(key)
		if err != nil {
			return Trust{}, fmt.Errorf("trust: %s: %w", place, err)
		}
		if _, ok := t.keys[id]; ok {
			return Trust{}, fmt.Errorf("trust: %w", strict.Refuse(Schema, place, "the key %s is there twice", id))
		}
		if !key.NotAfter.IsZero() && !key.NotBefore.Before(key.NotAfter) {
			return Trust{}, fmt.Errorf("trust: %w", strict.Refuse(Schema, place, "the key counts at no time"))
		}
		t.keys[id] = entry
	}
	return t, nil
}

func load(key TrustedKey) (trusted, string, error) {
	switch {
	case (len(key.PublicPEM) > 0) == (len(key.MAC) > 0):
		return trusted{}, "", strict.Refuse(KeyUnusable, "", "exactly one of a public key and a MAC key is wanted")
	case len(key.MAC) > 0:
		m, id, err := newMAC(key.MAC)
		if err != nil {
			return trusted{}, "", err
		}
		key.MAC = nil
		return trusted{TrustedKey: key, kind: KindHMAC, verifier: m}, id, nil
	}
	public, err := parsePublic(key.PublicPEM)
	if err != nil {
		return trusted{}, "", err
	}
	id, err := keyID(public)
	if err != nil {
		return trusted{}, "", err
	}
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return trusted{}, "", strict.Refuse(KeyUnusable, "", "it is not a public key")
	}
	entry := trusted{TrustedKey: key, kind: KindKey, verifier: verifier}
	if ed, ok := public.(ed25519.PublicKey); ok {
		if entry.prehashed, err = signature.LoadED25519phVerifier(ed); err != nil {
			return trusted{}, "", strict.Refuse(KeyUnusable, "", "it is not a public key")
		}
	}
	return entry, id, nil
}

// counts says whether the key counts at a time.
func (k *trusted) counts(at time.Time) error {
	switch {
	case !k.RevokedAt.IsZero() && !at.Before(k.RevokedAt):
		return strict.Refuse(KeyExpired, "", "the key %s was revoked at %s", strict.Quote(k.Name), k.RevokedAt.UTC().Format(time.RFC3339))
	case !k.NotAfter.IsZero() && !at.Before(k.NotAfter):
		return strict.Refuse(KeyExpired, "", "the key %s expired at %s", strict.Quote(k.Name), k.NotAfter.UTC().Format(time.RFC3339))
	case !k.NotBefore.IsZero() && at.Before(k.NotBefore):
		return strict.Refuse(KeyNotYetValid, "", "the key %s counts from %s", strict.Quote(k.Name), k.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
