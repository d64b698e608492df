package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// KeyType is an algorithm of a key.
type KeyType string

// The supported keys.
const (
	Ed25519   KeyType = "ed25519"
	ECDSAP256 KeyType = "ecdsa-p256"
)

// maxPEM is more than any key takes.
const maxPEM = 64 << 10

// GenerateKey makes a key pair. The private key is encrypted with the
// passphrase: PKCS#8 in DER under scrypt (N 2^16, r 8, p 1) and NaCl secretbox,
// in a PEM block "ENCRYPTED SIGSTORE PRIVATE KEY" that cosign reads too. The
// public key is a PEM block "PUBLIC KEY". A passphrase of less than 8 bytes is refused.
func GenerateKey(kind KeyType, passphrase []byte) (privatePEM, publicPEM []byte, err error) {
	const least = 8
	if len(passphrase) < least {
		return nil, nil, fmt.Errorf("generate key: %w", strict.Refuse(WeakKey, "passphrase", "%d bytes, at least %d: keys are never stored in the clear", len(passphrase), least))
	}
	var private crypto.Signer
	switch kind {
	case Ed25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case ECDSAP256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return nil, nil, fmt.Errorf("generate key: %w", strict.Refuse(KeyUnusable, "", "%s is not %s or %s", strict.Quote(string(kind)), Ed25519, ECDSAP256))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	sealed, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(private, cryptoutils.StaticPasswordFunc(passphrase))
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	publicPEM, err = cryptoutils.MarshalPublicKeyToPEM(private.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("generate key: %w", err)
	}
	return cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, sealed), publicPEM, nil
}

// Key signs with a private key.
type Key struct {
	signer signature.Signer
	public []byte // PEM
	id     string
}

// LoadKey reads a private key: one encrypted as [GenerateKey] does, or PKCS#8
// in the clear ("PRIVATE KEY", from a store that keeps it secret), for which
// the passphrase must be empty. No error repeats any of the key or passphrase.
func LoadKey(privatePEM, passphrase []byte) (*Key, error) {
	unusable := func(format string, args ...any) error {
		return fmt.Errorf("load key: %w", strict.Refuse(KeyUnusable, "", format, args...))
	}
	if len(privatePEM) > maxPEM {
		return nil, fmt.Errorf("load key: %w", strict.Refuse(LimitExceeded, "", "%d bytes, at most %d", len(privatePEM), maxPEM))
	}
	block, rest := pem.Decode(privatePEM)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || len(block.Headers) > 0 {
		return nil, unusable("it is not one block of PEM without headers")
	}
	var password cryptoutils.PassFunc
	switch block.Type {
	case string(cryptoutils.EncryptedSigstorePrivateKeyPEMType):
		// The library takes no passphrase for "not encrypted".
		if len(passphrase) == 0 {
			return nil, unusable("it is encrypted and no passphrase is set: set %s", EnvPassword)
		}
		password = cryptoutils.StaticPasswordFunc(passphrase)
	case string(cryptoutils.PrivateKeyPEMType):
		if len(passphrase) > 0 {
			return nil, unusable("a passphrase is set and the key is not encrypted")
		}
	default:
		return nil, unusable("the PEM block is not %q or %q", cryptoutils.EncryptedSigstorePrivateKeyPEMType, cryptoutils.PrivateKeyPEMType)
	}
	// The library's own words are dropped: they may quote what they read.
	private, err := cryptoutils.UnmarshalPEMToPrivateKey(privatePEM, password)
	if err != nil {
		return nil, unusable("it cannot be read: wrong passphrase, or not PKCS#8")
	}
	return newKey(private)
}

func newKey(private crypto.PrivateKey) (*Key, error) {
	loaded, err := signature.LoadSigner(private, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", strict.Refuse(KeyUnusable, "", "not a key of a supported kind"))
	}
	public, err := loaded.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("load key: %w", strict.Refuse(KeyUnusable, "", "it has no public key"))
	}
	id, err := keyID(public)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	encoded, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", strict.Refuse(KeyUnusable, "", "its public key cannot be written"))
	}
	return &Key{signer: dsse.WrapSigner(loaded, PayloadType), public: encoded, id: id}, nil
}

// keyID is the hint of a public key of a supported kind.
func keyID(public crypto.PublicKey) (string, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", strict.Refuse(KeyUnusable, "", "the curve is %s, not P-256", k.Curve.Params().Name)
		}
	default:
		return "", strict.Refuse(KeyUnusable, "", "%T is not Ed25519 or ECDSA P-256", public)
	}
	der, err := cryptoutils.MarshalPublicKeyToDER(public)
	if err != nil {
		return "", strict.Refuse(KeyUnusable, "", "it is not a public key")
	}
	return hintOf(der), nil
}

// KeyID is the ID of a public key in PEM: base64 of the SHA-256 of its
// SubjectPublicKeyInfo in DER, the same that cosign and sigstore-go use.
func KeyID(publicPEM []byte) (string, error) {
	public, err := parsePublic(publicPEM)
	if err != nil {
		return "", err
	}
	return keyID(public)
}

func parsePublic(publicPEM []byte) (crypto.PublicKey, error) {
	if len(publicPEM) > maxPEM {
		return nil, strict.Refuse(LimitExceeded, "", "%d bytes, at most %d", len(publicPEM), maxPEM)
	}
	block, rest := pem.Decode(publicPEM)
	if block == nil || block.Type != string(cryptoutils.PublicKeyPEMType) || len(bytes.TrimSpace(rest)) > 0 {
		return nil, strict.Refuse(KeyUnusable, "", "it is not one PEM block %q", cryptoutils.PublicKeyPEMType)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	if err != nil {
		return nil, strict.Refuse(KeyUnusable, "", "it is not a public key")
	}
	return public, nil
}

// Sign returns a bundle over the statement.
func (k *Key) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	if err := signable(ctx, statement); err != nil {
		return nil, err
	}
	envelope, err := k.signer.SignMessage(bytes.NewReader(statement))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return seal(envelope, k.id)
}

// Kind returns [KindKey].
func (*Key) Kind() string { return KindKey }

// KeyID is the hint in the bundles.
func (k *Key) KeyID() string { return k.id }

// PublicPEM is the public key, for those who are to trust it.
func (k *Key) PublicPEM() []byte { return bytes.Clone(k.public) }
