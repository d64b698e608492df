package keyless_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/keyless"
)

// TestARunIsSignedByItsIdentity goes the whole way: a gate runs, the identity
// of its workflow signs it, and the reader compares who signed with the policy.
func TestARunIsSignedByItsIdentity(t *testing.T) {
	t.Parallel()
	built(t, keyless.Tool)
	v, _ := start(t)
	command := &keyless.Command{Root: root, Cache: cache()}
	artifacts := t.TempDir()
	keeper, err := archive.NewKeeper(archive.Options{
		Getenv: func(name string) string { return map[string]string{archive.EnvSigner: archive.SignerKeyless}[name] },
		Keyless: func() (sign.Signer, error) {
			return keyless.NewSigner(command, keyless.Access{
				SigningConfig: v.Configs["v2"], TrustedRoot: v.TrustedRoot, TokenURL: v.TokenURL, TokenRequest: v.TokenRequest,
			})
		},
	})
	assert.NilError(t, err)
	outcome := gatetest.Run(t, gates.Gate{
		ID: "x:y", Doc: "All is so.", Runbook: "docs/runbooks.md#x", Area: "x", Steps: []gates.Step{{
			ID: "x:y", Doc: "It is so.", Runbook: "docs/runbooks.md#x",
			Run: func(_ context.Context, p *gates.Pass) error {
				p.Check(evidence.Expect("x.ok", "it", true, "so", "so", ""))
				return nil
			},
		}},
	}, gates.Options{Root: gatetest.Repository(t, "-- a.txt --\na\n"), Artifacts: artifacts, Keep: keeper.Keep})
	contents, err := attest.Read(outcome.Folder)
	assert.NilError(t, err)
	assert.Equal(t, len(contents.Bundles), 2)
	for _, b := range contents.Bundles {
		payload, _, err := keyless.Verifier{Command: command}.VerifyCertificate(t.Context(), b.Raw, v.TrustedRoot)
		assert.NilError(t, err)
		assert.Equal(t, attest.Digest(payload), b.Digest)
	}

	policy := func(issuer string) string {
		dir := t.TempDir()
		sum := sha256.Sum256(v.TrustedRoot)
		assert.NilError(t, os.WriteFile(filepath.Join(dir, "trusted_root.json"), v.TrustedRoot, 0o644))
		file := filepath.Join(dir, "policy.json")
		assert.NilError(t, os.WriteFile(file, fmt.Appendf(nil, `{
  "schema": "https://github.com/dpone/dpone/evidence/policy/v1",
  "name": "test",
  "use": "local",
  "subject": {"repository": "https://github.com/dpone/dpone", "ref": "any", "commit": "caller", "run": "any"},
  "max_age": "1h", "required_gates": [],
  "signers": [{"name": "workflow", "kind": "identity", "gates": ["x:*"], "identity": {"issuer": %q, "workflow": ".github/workflows/release.yml", "runner": "github-hosted", "san_pattern": "^https://github\\.com/dpone/dpone/.+$"}}],
  "trusted_root": {"path": "trusted_root.json", "sha256": %q}
}`, issuer, hex.EncodeToString(sum[:])), 0o644))
		return file
	}
	codes := func(file string, certificates sign.CertificateVerifier) (list []string) {
		var out bytes.Buffer
		err := archive.Verify(t.Context(), archive.Options{
			Root: outcome.Folder, Artifacts: artifacts, Format: "json", Stdout: &out, Getenv: func(string) string { return "" },
			Trust: archive.Trust{Policy: file, Certificates: certificates, Commit: outcome.Record.Stable.Source.Commit},
		})
		assert.Assert(t, err != nil)
		var report struct {
			Problems, Unverified []struct{ Code, Detail string }
		}
		assert.NilError(t, json.Unmarshal(out.Bytes(), &report), "%s", out.String())
		for _, p := range slices.Concat(report.Problems, report.Unverified) {
			list = append(list, p.Code)
		}
		t.Log(out.String())
		return list
	}
	verifier := keyless.Verifier{Command: command}
	// The virtual identity is of another commit than the repository of this test.
	found := codes(policy("https://token.actions.githubusercontent.com"), verifier)
	assert.Assert(t, slices.Contains(found, "wrong_commit"), "%q", found)
	assert.Assert(t, !slices.Contains(found, "wrong_identity") && !slices.Contains(found, "keyless_unavailable"), "%q", found)
	found = codes(policy("https://accounts.example.com"), verifier)
	assert.Assert(t, slices.Contains(found, "wrong_identity"), "%q", found)
	found = codes(policy("https://token.actions.githubusercontent.com"), nil)
	assert.Assert(t, slices.Contains(found, "keyless_unavailable"), "%q", found)
}
