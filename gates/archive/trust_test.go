package archive_test

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/verify"
	"github.com/dpone/dpone/gates/archive"
)

// signingKey is a key in the clear, as a store for secrets would give it.
func signingKey(t *testing.T) (private string, key *sign.Key) {
	t.Helper()
	seed := sha256.Sum256([]byte(t.Name()))
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	assert.NilError(t, err)
	raw := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	key, err = sign.LoadKey(raw, nil)
	assert.NilError(t, err)
	return string(raw), key
}

// trusted is a signed log with a signed run, and the policy that trusts them.
func trusted(t *testing.T) (w *world, p policy.Policy, name string) {
	t.Helper()
	w = logged(t)
	private, key := signingKey(t)
	w.env[sign.EnvKey] = private
	w.expect(t, archive.Sign, nil, evidence.Pass)
	delete(w.env, sign.EnvKey)
	delete(w.env, archive.EnvLogKey)
	p = policy.Policy{
		Schema: policy.Schema, Name: "mine", Use: policy.Local,
		Subject: policy.Subject{Repository: policy.Any, Ref: policy.Any, Run: policy.Any, Commit: policy.Any},
		MaxAge:  policy.Duration(time.Hour),
		Signers: []policy.Signer{{Name: "me", Kind: policy.KindKey, PublicKey: string(key.PublicPEM()), Gates: []string{"x:*"}}},
		Log:     &policy.Log{Verifier: w.vkey}, RequiredGates: []string{"x:y"},
	}
	return w, p, filepath.Join(t.TempDir(), "policy.json")
}

func save(t *testing.T, p policy.Policy, name string) string {
	t.Helper()
	raw, err := json.MarshalIndent(p, "", "  ")
	assert.NilError(t, err)
	write(t, name, string(raw))
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func TestVerifyWithAPolicy(t *testing.T) {
	t.Parallel()
	w, p, name := trusted(t)
	pin := save(t, p, name)
	all := func(o *archive.Options) { o.Root, o.Trust.Policy, o.Trust.PolicySHA256 = w.artifacts, name, pin }
	// Of the two runs the newer counts, which nobody signed.
	r := w.expect(t, archive.Verify, all, evidence.Unverified, "unsigned")
	assert.Equal(t, len(r.Verification.Gates), 1)
	assert.Equal(t, r.Verification.Gates[0].Codes[0], verify.Code("unsigned"))
	assert.Equal(t, len(r.Verification.Notes), 1, "the older is set aside")

	// One folder with the policy, and the log that lies elsewhere.
	one := func(o *archive.Options) { o.Trust.Policy = name }
	r, shown, err := w.call(t, archive.Verify, one)
	want(t, r, err, evidence.Pass)
	assert.Equal(t, r.Verification.Gates[0].Signer, "me")
	assert.Assert(t, r.Verification.Gates[0].Logged)
	for _, text := range []string{"  ok   x:y   PASS", " me ", "mine, for local", "signed  ", "PASS  mage evidence:verify"} {
		assert.Assert(t, strings.Contains(shown, text), "%q is not in\n%s", text, shown)
	}
	t.Log("\n" + shown)

	// Elsewhere, with nothing but the folder, its proof and the policy.
	moved := filepath.Join(t.TempDir(), "a b")
	assert.NilError(t, os.CopyFS(moved, os.DirFS(w.run)))
	w.expect(t, archive.Verify, func(o *archive.Options) {
		o.Root, o.Artifacts, o.Trust.Policy = moved, filepath.Dir(moved), name
	}, evidence.Pass)

	for title, c := range map[string]struct {
		change  func(t *testing.T, o *archive.Options, w *world)
		verdict evidence.Verdict
		codes   []string
	}{
		"another commit": {func(_ *testing.T, o *archive.Options, _ *world) { o.Trust.Commit = strings.Repeat("a", 40) }, evidence.Fail, []string{"wrong_commit"}},
		"another run":    {func(_ *testing.T, o *archive.Options, _ *world) { o.Trust.Run = "77/1" }, evidence.Fail, []string{"wrong_run"}},
		"one more gate":  {func(_ *testing.T, o *archive.Options, _ *world) { o.Trust.Require = []string{"x:z"} }, evidence.Fail, []string{"missing", "incomplete_set"}},
		"too old":        {func(_ *testing.T, o *archive.Options, _ *world) { o.Trust.Now = time.Now().Add(2 * time.Hour) }, evidence.Fail, []string{"stale"}},
		"another policy": {func(_ *testing.T, o *archive.Options, _ *world) { o.Trust.PolicySHA256 = strings.Repeat("0", 64) }, evidence.Fail, []string{"policy_digest"}},
		"a flipped byte": {func(t *testing.T, _ *archive.Options, w *world) { flip(t, filepath.Join(w.run, "record.md")) }, evidence.Fail, []string{"digest_mismatch"}},
		"a policy that lies": {func(t *testing.T, o *archive.Options, _ *world) {
			o.Trust.Policy = filepath.Join(t.TempDir(), "p")
			write(t, o.Trust.Policy, "{}")
		}, evidence.Fail, []string{"schema"}},
		"no policy":       {func(_ *testing.T, o *archive.Options, w *world) { o.Trust.Policy, o.Root = "", w.artifacts }, evidence.Unverified, []string{"no_policy"}},
		"an unknown gate": {func(t *testing.T, o *archive.Options, _ *world) { o.Trust.Policy = known(t, p) }, evidence.Fail, []string{"missing", "incomplete_set", "unknown_gate"}},
		"a log that is wrong": {func(t *testing.T, _ *archive.Options, w *world) {
			flip(t, filepath.Join(w.log, "tile", "0", "000.p", "2"))
		}, evidence.Fail, []string{"log_corrupt"}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			c2 := w.copy(t)
			c2.env = map[string]string{archive.EnvLogVerifier: w.vkey}
			w := c2
			w.expect(t, archive.Verify, func(o *archive.Options) {
				o.Trust.Policy = name
				c.change(t, o, w)
			}, c.verdict, c.codes...)
		})
	}
}

// known is the policy with another required gate.
func known(t *testing.T, p policy.Policy) string {
	t.Helper()
	p.RequiredGates = []string{"x:z"}
	name := filepath.Join(t.TempDir(), "policy.json")
	save(t, p, name)
	return name
}

func TestVerifyWithAPolicyMisuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change   func(o *archive.Options)
		contains string
	}{
		"no such policy":      {func(o *archive.Options) { o.Trust.Policy = "no-such.json" }, "-policy=no-such.json"},
		"a pin alone":         {func(o *archive.Options) { o.Trust.PolicySHA256 = strings.Repeat("0", 64) }, "-policySha256 without -policy"},
		"a commit that is no": {func(o *archive.Options) { o.Trust.Commit = "main" }, "not 40 or 64"},
		"a run that is no":    {func(o *archive.Options) { o.Trust.Run = "a b" }, "not the ID of a run"},
		"a file":              {func(o *archive.Options) { o.Root, o.Trust.Commit = tarball(t), strings.Repeat("a", 40) }, "unpacked"},
	} {
		_, _, err := w.call(t, archive.Verify, c.change)
		t.Log(name)
		misuse(t, err, c.contains)
	}
	bad := filepath.Join(t.TempDir(), "x.zip")
	write(t, bad, "PK no")
	w.expect(t, archive.Verify, func(o *archive.Options) { o.Root, o.Trust.Commit = bad, strings.Repeat("a", 40) }, evidence.Fail, "unsafe_archive")
}

// tarball is an archive with one file.
func tarball(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.zip")
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	_, err := z.Create("a")
	assert.NilError(t, err)
	assert.NilError(t, z.Close())
	write(t, name, out.String())
	return name
}

// The attestations of a folder are held against it, without a policy, too.
func TestVerifyLooksAtAttestations(t *testing.T) {
	t.Parallel()
	w, _, _ := trusted(t)
	w.expect(t, archive.Verify, nil, evidence.Pass)
	write(t, filepath.Join(w.run, "attestations", "x.txt"), "x")
	w.expect(t, archive.Verify, nil, evidence.Fail, "unexpected")
}

// TestForeignLog holds that the log of this checkout is not held against a
// policy for evidence that was brought from elsewhere.
func TestForeignLog(t *testing.T) {
	t.Parallel()
	w, p, name := trusted(t)
	away := t.TempDir()
	assert.NilError(t, os.CopyFS(filepath.Join(away, "x", filepath.Base(w.run)), os.DirFS(w.run)))
	assert.NilError(t, os.CopyFS(filepath.Join(away, archive.LogDir), os.DirFS(filepath.Join(w.artifacts, archive.LogDir))))
	other := newWorld(t) // with a log of its own, unsigned
	other.expect(t, archive.Chain, nil, evidence.Pass)
	save(t, p, name)
	other.expect(t, archive.Verify, func(o *archive.Options) { o.Root, o.Trust.Policy = away, name }, evidence.Pass)
	// Asked for, it is.
	_, _, err := other.call(t, archive.Verify, func(o *archive.Options) {
		o.Root, o.Trust.Policy, o.Log = away, name, filepath.Join(other.artifacts, archive.LogDir)
	})
	assert.Assert(t, err != nil)
}

func TestRequiredNames(t *testing.T) {
	t.Parallel()
	w, p, name := trusted(t)
	save(t, p, name)
	_, _, err := w.call(t, archive.Verify, func(o *archive.Options) {
		o.Root, o.Trust.Policy, o.Trust.Require = w.artifacts, name, []string{""}
	})
	misuse(t, err, "-require")
}
