package keyless

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/keyless/internal/virtual"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
)

// claim is a statement, with characters that a careless encoder would change.
func claim(t testing.TB) []byte {
	t.Helper()
	s, err := statement.New(
		[]statement.ResourceDescriptor{{Name: "a<b>&c.txt", Digest: map[string]string{"sha256": "1111111111111111111111111111111111111111111111111111111111111111"}}},
		&statement.Release{PURL: "pkg:golang/github.com/dpone/dpone@v1.2.3"},
	)
	assert.NilError(t, err)
	raw, err := s.Encode()
	assert.NilError(t, err)
	return raw
}

// world is a virtual Sigstore that listens.
type world struct {
	*virtual.Sigstore
	root   []byte
	claims virtual.Claims
	url    string
	// before may answer a request instead of the services.
	before func(w http.ResponseWriter, r *http.Request) bool
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := virtual.New()
	assert.NilError(t, err)
	w := &world{Sigstore: s, claims: virtual.ExampleClaims()}
	w.root, err = s.TrustedRoot()
	assert.NilError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.before == nil || !w.before(rw, r) {
			s.Handler(w.claims).ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// signer signs with the services of the world, and waits for nothing.
func (w *world) signer(t testing.TB, with virtual.Services, change ...func(*Options)) *Signer {
	t.Helper()
	config, err := w.SigningConfig(w.url, with)
	assert.NilError(t, err)
	o := Options{SigningConfig: config, Token: GitHubActions(w.url+virtual.TokenPath, virtual.TokenRequest)}
	for _, f := range change {
		f(&o)
	}
	s, err := NewSigner(o)
	assert.NilError(t, err)
	s.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return s
}

// sign returns a bundle over the claim.
func (w *world) sign(t testing.TB, with virtual.Services) []byte {
	t.Helper()
	bundle, err := w.signer(t, with).Sign(t.Context(), claim(t))
	assert.NilError(t, err)
	return bundle
}

var (
	withV1      = virtual.Services{Rekor: 1}
	withV1Stamp = virtual.Services{Rekor: 1, Timestamp: true}
	withV2      = virtual.Services{Rekor: 2, Timestamp: true}
)

func TestSignedAndVerified(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]virtual.Services{"log of version 1": withV1, "and a timestamp": withV1Stamp, "log of version 2": withV2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			start := time.Now().Add(-2 * time.Second)
			signer := w.signer(t, with, func(o *Options) { o.TrustedRoot = w.root })
			assert.Equal(t, signer.Kind(), sign.KindKeyless)
			assert.Equal(t, signer.KeyID(), "")
			bundle, err := signer.Sign(t.Context(), claim(t))
			assert.NilError(t, err)
			again, err := sign.DecodeBundle(bundle)
			assert.NilError(t, err)
			encoded, err := again.Encode()
			assert.NilError(t, err)
			assert.Equal(t, string(encoded), string(bundle), "one form")

			payload, who, err := Verifier{}.VerifyCertificate(t.Context(), bundle, w.root)
			assert.NilError(t, err)
			assert.Equal(t, string(payload), string(claim(t)))
			assert.Assert(t, who.SignedAt.After(start) && who.SignedAt.Before(time.Now().Add(2*time.Second)), "%s", who.SignedAt)
			assert.Equal(t, who.SignedAt.Location(), time.UTC)
			who.SignedAt = time.Time{}
			const commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			assert.DeepEqual(t, who, sign.Identity{
				SAN:              "https://github.com/dpone/dpone/.github/workflows/release.yml@refs/heads/main",
				Issuer:           "https://token.actions.githubusercontent.com",
				BuildSigner:      "https://github.com/dpone/dpone/.github/workflows/release.yml@refs/heads/main",
				BuildSignerSHA:   commit,
				Runner:           "github-hosted",
				Repository:       "https://github.com/dpone/dpone",
				Commit:           commit,
				Ref:              "refs/heads/main",
				RepositoryID:     "1",
				RepositoryOwner:  "https://github.com/dpone",
				BuildConfig:      "https://github.com/dpone/dpone/.github/workflows/release.yml@refs/heads/main",
				Trigger:          "push",
				RunInvocationURI: "https://github.com/dpone/dpone/actions/runs/7/attempts/2",
			})
		})
	}
}

// A key signer's bundle is not for this verifier, and one of this signer is not
// for that of keys.
func TestKeyAndCertificateAreToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	private, public, err := sign.GenerateKey(sign.Ed25519, []byte("passphrase"))
	assert.NilError(t, err)
	key, err := sign.LoadKey(private, []byte("passphrase"))
	assert.NilError(t, err)
	bundle, err := key.Sign(t.Context(), claim(t))
	assert.NilError(t, err)
	_, _, err = Verifier{}.VerifyCertificate(t.Context(), bundle, w.root)
	assert.Equal(t, sign.ReasonOf(err), sign.UnsupportedMaterial)
	trust, err := sign.NewTrust(sign.TrustedKey{Name: "k", PublicPEM: public})
	assert.NilError(t, err)
	_, err = sign.VerifyBundle(w.sign(t, withV1), trust, sign.Options{At: time.Now()})
	assert.Equal(t, sign.ReasonOf(err), sign.UnsupportedMaterial)
}

// The interfaces of the root module.
var (
	_ sign.Signer              = (*Signer)(nil)
	_ sign.CertificateVerifier = Verifier{}
)

// tree is a JSON document that can be changed.
type tree = map[string]any

func edited(t testing.TB, bundle []byte, change func(tree)) []byte {
	t.Helper()
	var doc tree
	assert.NilError(t, json.Unmarshal(bundle, &doc))
	change(doc)
	raw, err := json.Marshal(doc)
	assert.NilError(t, err)
	return raw
}

func material(doc tree) tree { return doc["verificationMaterial"].(tree) }

func entry(doc tree) tree { return material(doc)["tlogEntries"].([]any)[0].(tree) }
