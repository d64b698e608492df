package sign

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// claim is a statement to sign, that of the package comment.
func claim(t testing.TB) []byte {
	t.Helper()
	s, err := statement.New(
		[]statement.ResourceDescriptor{{Name: "a", Digest: statement.DigestSet{"sha256": strings.Repeat("1", 64)}}},
		&statement.Release{PURL: "pkg:golang/github.com/dpone/dpone@v1.2.3"},
	)
	assert.NilError(t, err)
	raw, err := s.Encode()
	assert.NilError(t, err)
	return raw
}

// exampleKey is the key of the package comment.
func exampleKey(t testing.TB) *Key {
	t.Helper()
	seed := sha256.Sum256([]byte("dpone example key"))
	k, err := newKey(ed25519.NewKeyFromSeed(seed[:]))
	assert.NilError(t, err)
	return k
}

func ecdsaKey(t testing.TB) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(t, err)
	k, err := newKey(private)
	assert.NilError(t, err)
	return k
}

func macKey(t testing.TB) (*MAC, []byte) {
	t.Helper()
	key := bytes.Repeat([]byte("k"), MinMACKey)
	m, err := NewMAC(key)
	assert.NilError(t, err)
	return m, key
}

func trustIn(t testing.TB, keys ...*Key) Trust {
	t.Helper()
	var list []TrustedKey
	for _, k := range keys {
		list = append(list, TrustedKey{Name: "release", PublicPEM: k.PublicPEM()})
	}
	trust, err := NewTrust(list...)
	assert.NilError(t, err)
	return trust
}

func signed(t testing.TB, s Signer, raw []byte) []byte {
	t.Helper()
	bundle, err := s.Sign(context.Background(), raw)
	assert.NilError(t, err)
	return bundle
}

// The example of the package comment is what the package writes and verifies.
func TestExample(t *testing.T) {
	t.Parallel()
	k := exampleKey(t)
	bundle := signed(t, k, claim(t))
	source, err := os.ReadFile("doc.go")
	assert.NilError(t, err)
	var block strings.Builder
	for line := range strings.Lines(string(source)) {
		text, indented := strings.CutPrefix(line, "//\t")
		if indented && (block.Len() > 0 || strings.HasPrefix(text, "{")) {
			block.WriteString(text)
		} else if block.Len() > 0 {
			break
		}
	}
	var compact bytes.Buffer
	assert.NilError(t, json.Compact(&compact, []byte(block.String())))
	assert.Equal(t, strings.TrimSuffix(string(bundle), "\n"), compact.String())
	_, err = VerifyBundle([]byte(block.String()), trustIn(t, k), Options{At: now})
	assert.NilError(t, err)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	m, secret := macKey(t)
	local, err := NewTrust(TrustedKey{Name: "local", MAC: secret})
	assert.NilError(t, err)
	ed, ec := exampleKey(t), ecdsaKey(t)
	for name, c := range map[string]struct {
		signer Signer
		trust  Trust
		opts   Options
		kind   string
		class  string
	}{
		"ed25519":         {ed, trustIn(t, ec, ed), Options{At: now}, KindKey, ClassSigned},
		"ecdsa-p256":      {ec, trustIn(t, ed, ec), Options{At: now}, KindKey, ClassSigned},
		"predicate asked": {ed, trustIn(t, ed), Options{At: now, PredicateType: statement.ReleaseType}, KindKey, ClassSigned},
		"hmac":            {m, local, Options{At: now, AllowMAC: true}, KindHMAC, ClassLocalMAC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := claim(t)
			v, err := VerifyBundle(signed(t, c.signer, raw), c.trust, c.opts)
			assert.NilError(t, err)
			assert.Equal(t, string(v.Payload), string(raw))
			assert.Equal(t, v.Statement.PredicateType, statement.ReleaseType)
			assert.Equal(t, v.KeyID, c.signer.KeyID())
			assert.Equal(t, v.Kind, c.kind)
			assert.Equal(t, c.signer.Kind(), c.kind)
			assert.Equal(t, v.Class(), c.class)
			assert.Assert(t, v.Name != "")
		})
	}
}

func TestGeneratedKeys(t *testing.T) {
	t.Parallel()
	passphrase := []byte("correct horse battery")
	for _, kind := range []KeyType{Ed25519, ECDSAP256} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			private, public, err := GenerateKey(kind, passphrase)
			assert.NilError(t, err)
			assert.Assert(t, bytes.HasPrefix(private, []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")))
			k, err := LoadKey(private, passphrase)
			assert.NilError(t, err)
			assert.Equal(t, string(k.PublicPEM()), string(public))
			id, err := KeyID(public)
			assert.NilError(t, err)
			assert.Equal(t, k.KeyID(), id)
			trust, err := NewTrust(TrustedKey{Name: "k", PublicPEM: public})
			assert.NilError(t, err)
			_, err = VerifyBundle(signed(t, k, claim(t)), trust, Options{At: now})
			assert.NilError(t, err)

			_, err = LoadKey(private, nil)
			assert.Equal(t, ReasonOf(err), KeyUnusable)
		})
	}
	for _, weak := range [][]byte{nil, {}, []byte("seven!!")} {
		_, _, err := GenerateKey(Ed25519, weak)
		assert.Equal(t, ReasonOf(err), WeakKey)
	}
	_, _, err := GenerateKey("rsa", passphrase)
	assert.Equal(t, ReasonOf(err), KeyUnusable)
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	assert.NilError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestLoadKeyRefuses(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	assert.NilError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	assert.NilError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	assert.NilError(t, err)
	clear := pkcs8(t, ed)
	_, err = LoadKey(clear, nil)
	assert.NilError(t, err)
	for name, c := range map[string]struct {
		pem, passphrase []byte
		reason          Reason
	}{
		"nothing":             {nil, nil, KeyUnusable},
		"no PEM":              {[]byte("secret-secret"), nil, KeyUnusable},
		"two blocks":          {append(bytes.Clone(clear), clear...), nil, KeyUnusable},
		"trailing text":       {append(bytes.Clone(clear), "secret-secret"...), nil, KeyUnusable},
		"headers":             {bytes.Replace(clear, []byte("KEY-----\n"), []byte("KEY-----\nA: b\n\n"), 1), nil, KeyUnusable},
		"clear, passphrase":   {clear, []byte("secret-secret"), KeyUnusable},
		"another block":       {bytes.ReplaceAll(clear, []byte("PRIVATE"), []byte("PUBLIC")), nil, KeyUnusable},
		"P-384":               {pkcs8(t, p384), nil, KeyUnusable},
		"RSA":                 {pkcs8(t, rsaKey), nil, KeyUnusable},
		"not PKCS#8":          {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret-secret")}), nil, KeyUnusable},
		"not encrypted so":    {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte("secret-secret")}), []byte("secret-secret"), KeyUnusable},
		"costly":              {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte(`{"kdf":{"name":"scrypt","params":{"N":1073741824,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}`)}), []byte("secret-secret"), KeyUnusable},
		"clear but encrypted": {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: mustDER(t, ed)}), nil, KeyUnusable},
		"huge":                {bytes.Repeat([]byte("x"), 1<<20), nil, LimitExceeded},
	} {
		_, err := LoadKey(c.pem, c.passphrase)
		assert.Equal(t, ReasonOf(err), c.reason, "%s: %v", name, err)
		assert.Assert(t, !strings.Contains(err.Error(), "secret-secret"), "%s: %v", name, err)
	}
}

func mustDER(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	assert.NilError(t, err)
	return der
}

func TestMACKeys(t *testing.T) {
	t.Parallel()
	for _, key := range [][]byte{nil, {}, bytes.Repeat([]byte("k"), MinMACKey-1)} {
		_, err := NewMAC(key)
		assert.Equal(t, ReasonOf(err), WeakKey)
		_, err = NewTrust(TrustedKey{Name: "m", MAC: append(bytes.Clone(key), 'k')[:len(key)], PublicPEM: nil})
		assert.Assert(t, err != nil)
	}
	m, key := macKey(t)
	assert.Assert(t, !strings.Contains(m.KeyID(), string(key)))
	again, err := NewMAC(key)
	assert.NilError(t, err)
	assert.Equal(t, m.KeyID(), again.KeyID())
	other, err := NewMAC(append(key, 'k'))
	assert.NilError(t, err)
	assert.Assert(t, m.KeyID() != other.KeyID())
	// What was given is not shared: to wipe it later does not change the signer.
	bundle := signed(t, m, claim(t))
	clear(key)
	assert.Equal(t, string(signed(t, m, claim(t))), string(bundle))
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	m, _ := macKey(t)
	for name, raw := range map[string][]byte{
		"nothing": nil, "no statement": []byte(`{}`), "newline and more": append(claim(t), "\n{}"...),
	} {
		for _, s := range []Signer{exampleKey(t), m, NewPending(t.TempDir())} {
			bundle, err := s.Sign(context.Background(), raw)
			assert.Assert(t, ReasonOf(err) != "" && ReasonOf(err) != PendingSignature, "%s: %v", name, err)
			assert.Assert(t, bundle == nil)
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := exampleKey(t).Sign(cancelled, claim(t))
	assert.ErrorIs(t, err, context.Canceled)
}

func TestNewTrust(t *testing.T) {
	t.Parallel()
	public := exampleKey(t).PublicPEM()
	_, secret := macKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	assert.NilError(t, err)
	der, err := x509.MarshalPKIXPublicKey(p384.Public())
	assert.NilError(t, err)
	for name, c := range map[string]struct {
		keys   []TrustedKey
		reason Reason
	}{
		"twice":       {[]TrustedKey{{PublicPEM: public}, {PublicPEM: public}}, Schema},
		"neither":     {[]TrustedKey{{Name: "x"}}, KeyUnusable},
		"both":        {[]TrustedKey{{PublicPEM: public, MAC: secret}}, KeyUnusable},
		"weak":        {[]TrustedKey{{MAC: secret[:31]}}, WeakKey},
		"no PEM":      {[]TrustedKey{{PublicPEM: []byte("x")}}, KeyUnusable},
		"two":         {[]TrustedKey{{PublicPEM: append(bytes.Clone(public), public...)}}, KeyUnusable},
		"other curve": {[]TrustedKey{{PublicPEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}}, KeyUnusable},
		"not a key":   {[]TrustedKey{{PublicPEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})}}, KeyUnusable},
		"huge":        {[]TrustedKey{{PublicPEM: bytes.Repeat([]byte("x"), 1<<20)}}, LimitExceeded},
		"no time":     {[]TrustedKey{{PublicPEM: public, NotBefore: now, NotAfter: now}}, Schema},
	} {
		_, err := NewTrust(c.keys...)
		assert.Equal(t, ReasonOf(err), c.reason, "%s: %v", name, err)
	}
	_, err = KeyID([]byte("x"))
	assert.Equal(t, ReasonOf(err), KeyUnusable)
}

// edited is a bundle in its own structs, to be changed and written again.
func edited(t testing.TB, bundle []byte, change func(*Bundle)) []byte {
	t.Helper()
	var b Bundle
	assert.NilError(t, json.Unmarshal(bundle, &b))
	change(&b)
	raw, err := json.Marshal(b)
	assert.NilError(t, err)
	return raw
}

func encoded(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
