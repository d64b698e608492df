package sign

import (
	"os"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement"
)

// The files cosign-* were written by cosign v3.1.3 with keys of GenerateKey:
//
//	cosign signing-config create --out none.json
//	cosign attest-blob --key k.key --signing-config none.json --bundle B --predicate P --type https://in-toto.io/attestation/release/v0.2 artifact
//	cosign attest-blob --key k.key --signing-config none.json --bundle B --statement S
func TestWhatCosignWrites(t *testing.T) {
	t.Parallel()
	for _, kind := range []KeyType{Ed25519, ECDSAP256} {
		public, err := os.ReadFile("testdata/cosign-" + string(kind) + ".pub")
		assert.NilError(t, err)
		trust, err := NewTrust(TrustedKey{Name: "cosign", PublicPEM: public})
		assert.NilError(t, err)
		id, err := KeyID(public)
		assert.NilError(t, err)
		for _, how := range []string{"predicate", "statement"} {
			bundle, err := os.ReadFile("testdata/cosign-" + how + "-" + string(kind) + ".sigstore.json")
			assert.NilError(t, err)
			all := Options{At: now, AllowStatementV01: true, AllowEd25519ph: true, PredicateType: statement.ReleaseType}
			v, err := VerifyBundle(bundle, trust, all)
			assert.NilError(t, err)
			assert.Equal(t, v.KeyID, id)
			r, err := statement.As[statement.Release](v.Statement)
			assert.NilError(t, err)
			assert.Equal(t, r.PURL, "pkg:golang/github.com/dpone/dpone@v1.2.3")

			// With --predicate cosign writes a statement of v0.1.
			v1 := all
			v1.AllowStatementV01 = false
			_, err = VerifyBundle(bundle, trust, v1)
			assert.Equal(t, ReasonOf(err), map[string]Reason{"predicate": Schema}[how], "%v", err)
			// With an Ed25519 key it signs by Ed25519ph.
			plain := all
			plain.AllowEd25519ph = false
			_, err = VerifyBundle(bundle, trust, plain)
			assert.Equal(t, ReasonOf(err), map[KeyType]Reason{Ed25519: BadSignature}[kind], "%v", err)

			_, err = VerifyBundle(edited(t, bundle, func(b *Bundle) { b.Envelope.Payload = encoded(claim(t)) }), trust, all)
			assert.Equal(t, ReasonOf(err), BadSignature)
			_, err = VerifyBundle(bundle, trustIn(t, exampleKey(t)), all)
			assert.Equal(t, ReasonOf(err), UntrustedSigner)
		}
	}
}
