package keyless

import (
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/sign"
)

// What the real services signed, for a release of sigstore-js in 2023: the
// bundle of sigstore-go's own tests, put into the form of v0.3, and the trusted
// root of the public instance.
func TestRealServices(t *testing.T) {
	t.Parallel()
	trusted, err := data.TrustedRoot(t, "public-good.json").MarshalJSON()
	assert.NilError(t, err)
	real := data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json").Bundle
	real.MediaType = sign.MediaType
	leaf := real.VerificationMaterial.GetX509CertificateChain().Certificates[0]
	real.VerificationMaterial.Content = &protobundle.VerificationMaterial_Certificate{Certificate: leaf}
	bundle, err := encode(real)
	assert.NilError(t, err)

	payload, who, err := Verifier{}.VerifyCertificate(t.Context(), bundle, trusted)
	assert.NilError(t, err)
	assert.Equal(t, string(payload), string(real.GetDsseEnvelope().Payload))
	const commit = "f0b49a04e5a62250e0f60fb128004a73110fe311"
	const workflow = "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"
	assert.DeepEqual(t, who, sign.Identity{
		SAN: workflow, Issuer: "https://token.actions.githubusercontent.com", BuildSigner: workflow, BuildSignerSHA: commit,
		Runner: "github-hosted", Repository: "https://github.com/sigstore/sigstore-js", Commit: commit, Ref: "refs/heads/main",
		RepositoryID: "495574555", RepositoryOwner: "https://github.com/sigstore", BuildConfig: workflow, Trigger: "push",
		RunInvocationURI: "https://github.com/sigstore/sigstore-js/actions/runs/5904696764/attempts/1",
		SignedAt:         time.Date(2023, 8, 18, 16, 5, 35, 0, time.UTC),
	})

	for name, c := range map[string]struct {
		change func(tree)
		want   sign.Reason
	}{
		"time":  {func(doc tree) { entry(doc)["integratedTime"] = "1692374736" }, sign.LogMismatch},
		"index": {func(doc tree) { entry(doc)["logIndex"] = "33351528" }, sign.LogMismatch},
		"proof": {func(doc tree) { delete(entry(doc), "inclusionProof") }, sign.LogMissing},
	} {
		assert.Equal(t, verifyReason(t, edited(t, bundle, c.change), trusted), c.want, name)
	}
	assert.Equal(t, verifyReason(t, bundle, newWorld(t).root), sign.UntrustedSigner)
}
