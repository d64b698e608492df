package verify_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/junit"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/evidence/verify"
)

// attack is something that somebody may do to evidence, and what comes of it.
// The table below drives the test and the page docs/attacks.md.
type attack struct {
	// id is the number of the catalogue; a letter behind it is for a sibling.
	id, title string
	verdict   evidence.Verdict
	// code must be among those that are found.
	code string
	// by is the package that refuses it; verify if empty.
	by string
	// change is done to a release that is all good. What it returns takes the
	// place of a verification, where that is another package's.
	change func(t *testing.T, w *world)
	other  func(t *testing.T) []string
}

const (
	fail       = evidence.Fail
	unverified = evidence.Unverified
	pass       = evidence.Pass
)

const (
	testRun   = "ci/20261122T110000Z-00000007"
	lintRun   = "ci/20261122T110500Z-00000002"
	attestRun = "supply-chain/20261122T110000Z-00000004"
)

// edit changes a file.
func edit(name string, change func(raw string) string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		before := get(t, w.path(name))
		after := change(before)
		assert.Assert(t, before != after, "%s: nothing was changed", name)
		put(t, w.path(name), after)
	}
}

func remove(name string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		assert.NilError(t, os.RemoveAll(w.path(name)))
	}
}

// again makes the run of ci:test anew.
func again(change func(r *evidence.Record)) func(*testing.T, *world) {
	return with(made{gate: "ci:test", area: "ci", run: "20261122T111000Z-00000009", change: change})
}

// with takes the run of ci:test away and makes another.
func with(m made) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		remove(testRun)(t, w)
		w.run(t, m)
	}
}

// bundle is the bundle of the gate statement of a run.
func (w *world) bundle(t testing.TB, run string) string {
	t.Helper()
	kept, err := attest.Read(w.path(run))
	assert.NilError(t, err)
	for _, k := range kept.Bundles {
		b, err := sign.DecodeBundle(k.Raw)
		assert.NilError(t, err)
		payload, err := b.Payload()
		assert.NilError(t, err)
		if bytes.Contains(payload, []byte(statement.GateType)) {
			return w.path(run, attest.Dir, k.Name)
		}
	}
	t.Fatalf("%s has no bundle of a gate", run)
	return ""
}

// rebundle edits the bundle of the gate statement of ci:test.
func rebundle(change func(t *testing.T, b *sign.Bundle)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		name := w.bundle(t, testRun)
		b, err := sign.DecodeBundle([]byte(get(t, name)))
		assert.NilError(t, err)
		change(t, b)
		raw, err := json.Marshal(b)
		assert.NilError(t, err)
		put(t, name, string(raw))
	}
}

func rawBundle(from, to string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		name := w.bundle(t, testRun)
		before := get(t, name)
		assert.Assert(t, strings.Contains(before, from))
		put(t, name, strings.Replace(before, from, to, 1))
	}
}

// sealOver signs any bytes under any type, as the holder of a trusted key could.
func sealOver(t testing.TB, key, payloadType string, payload []byte) string {
	t.Helper()
	seed := sha256.Sum256([]byte(key))
	private := ed25519.NewKeyFromSeed(seed[:])
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	b := sign.Bundle{
		MediaType:            sign.MediaType,
		VerificationMaterial: sign.VerificationMaterial{PublicKey: &sign.PublicKey{Hint: keyOf(t, key).KeyID()}},
		Envelope: sign.Envelope{
			Payload: base64.StdEncoding.EncodeToString(payload), PayloadType: payloadType,
			Signatures: []sign.Signature{{Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(pae)))}},
		},
	}
	raw, err := json.Marshal(b)
	assert.NilError(t, err)
	return string(raw)
}

// stated puts a signed statement beside the artifacts.
func stated(payload string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		put(t, w.path("dist", "x.sigstore.json"), sealOver(t, "trusted", sign.PayloadType, []byte(payload)))
	}
}

// result is a test result statement about the binary.
func result(predicate string) string {
	return `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"source","digest":{"gitCommit":"` + commit +
		`"}}],"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":` + predicate + `}`
}

// fulcio stands for the verifier of certificates: this package compares what it
// says with the policy. It verifies nothing.
type fulcio struct {
	who sign.Identity
	err error
}

func (f fulcio) VerifyCertificate(_ context.Context, bundle, _ []byte) ([]byte, sign.Identity, error) {
	if f.err != nil {
		return nil, sign.Identity{}, f.err
	}
	b, err := sign.DecodeBundle(bundle)
	if err != nil {
		return nil, sign.Identity{}, err
	}
	payload, err := b.Payload()
	return payload, f.who, err
}

const workflow = ".github/workflows/ci.yml"

// machine is the identity of the workflow that made the release.
func machine() sign.Identity {
	return sign.Identity{
		SAN: repository + "/" + workflow + "@" + ref, Issuer: "https://token.actions.githubusercontent.com",
		BuildSigner: repository + "/" + workflow + "@" + ref, BuildSignerSHA: commit, Runner: "github-hosted",
		Repository: repository, Commit: commit, Ref: ref, RepositoryID: "1", RepositoryOwner: "https://github.com/dpone",
		BuildConfig: repository + "/" + workflow + "@" + ref, Trigger: "push",
		RunInvocationURI: repository + "/actions/runs/77/attempts/2", SignedAt: now.Add(-30 * time.Minute),
	}
}

// keyless makes all bundles of a run those of a certificate.
func keyless(change func(who *sign.Identity), err error) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		who := machine()
		if change != nil {
			change(&who)
		}
		w.opts.Certificates = fulcio{who, err}
		w.trustMachine(t)
		w.certify(t, testRun)
	}
}

// trustMachine lets the policy trust the workflow for ci:test.
func (w *world) trustMachine(t testing.TB) {
	t.Helper()
	root := []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`)
	sum := sha256.Sum256(root)
	put(t, w.path("trusted_root.json"), string(root))
	w.policy.TrustedRoot = &policy.TrustedRoot{Path: "trusted_root.json", SHA256: hex.EncodeToString(sum[:])}
	w.policy.Signers = append(w.policy.Signers, policy.Signer{
		Name: "workflow", Kind: policy.KindIdentity, Gates: []string{"ci:*"},
		Identity: &policy.Identity{
			Issuer: "https://token.actions.githubusercontent.com", SAN: repository + "/" + workflow + "@" + ref, Workflow: workflow,
		},
	})
	w.file = true
}

// certify puts a certificate in place of the key in the bundles of a run.
func (w *world) certify(t testing.TB, run string) {
	t.Helper()
	kept, err := attest.Read(w.path(run))
	assert.NilError(t, err)
	for _, k := range kept.Bundles {
		b, err := sign.DecodeBundle(k.Raw)
		assert.NilError(t, err)
		b.VerificationMaterial = sign.VerificationMaterial{Certificate: &sign.Certificate{RawBytes: "AAAA"}}
		raw, err := json.Marshal(b)
		assert.NilError(t, err)
		put(t, w.path(run, attest.Dir, k.Name), string(raw))
	}
}

// relog writes the log anew, with another key or none, or with other entries.
func relog(key string, memory bool, entries ...string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		seen := get(t, w.path("evidence_log.checkpoint"))
		var lines [][]byte
		l, err := tlog.Open(w.path("evidence_log"), tlog.Options{Origin: logName})
		assert.NilError(t, err)
		for record, err := range l.Entries(0, l.Checkpoint().Size) {
			assert.NilError(t, err)
			lines = append(lines, bytes.Clone(record.Data))
		}
		l.Close()
		if entries != nil {
			lines = nil
			for _, e := range entries {
				lines = append(lines, []byte(e))
			}
		}
		remove("evidence_log")(t, w)
		opts := tlog.Options{Origin: logName, Create: true}
		if key != "" {
			signer, vkey := noteKey(t, key)
			verifier, err := note.NewVerifier(vkey)
			assert.NilError(t, err)
			opts.Signer, opts.Verifier = signer, verifier
		}
		l, err = tlog.Open(w.path("evidence_log"), opts)
		assert.NilError(t, err)
		defer l.Close()
		_, err = l.Append(t.Context(), lines)
		assert.NilError(t, err)
		if memory {
			put(t, w.path("evidence_log.checkpoint"), seen)
		} else {
			assert.NilError(t, os.Remove(w.path("evidence_log.checkpoint")))
		}
	}
}

// resealed changes a file of the run of ci:test and its index together.
func resealed(name, from, to string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		edit(testRun+"/"+name, func(raw string) string { return strings.Replace(raw, from, to, 1) })(t, w)
		_, err := seal.Seal(t.Context(), w.path(testRun), seal.Options{Outside: attest.Outside()})
		assert.NilError(t, err)
	}
}

// inside adds a file to a run before it is sealed.
func inside(name, content string) func(*testing.T, *world) {
	return with(made{gate: "ci:test", area: "ci", run: "20261122T111000Z-00000009", files: map[string]string{name: content}})
}

// linked replaces a file of the run of ci:test.
func linked(place func(t *testing.T, dir string)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) { place(t, w.path(testRun)) }
}

func symlink(from, to string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		assert.NilError(t, os.RemoveAll(filepath.Join(dir, from)))
		assert.NilError(t, os.Symlink(to, filepath.Join(dir, from)))
	}
}

// archived judges an archive.
func archived(make func(t *testing.T) []byte) func(*testing.T) []string {
	return func(t *testing.T) []string {
		name := filepath.Join(t.TempDir(), "archive")
		assert.NilError(t, os.WriteFile(name, make(t), 0o644))
		err := verify.Archive(t.Context(), name)
		if verify.IsUnsafe(err) {
			return []string{string(verify.CodeArchive)}
		}
		assert.NilError(t, err)
		return nil
	}
}

type member struct {
	name, content string
	mode          os.FileMode
}

func zipped(members ...member) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for _, m := range members {
			header := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
			header.SetMode(m.mode | 0o644)
			f, err := z.CreateHeader(header)
			assert.NilError(t, err)
			_, err = f.Write([]byte(m.content))
			assert.NilError(t, err)
		}
		assert.NilError(t, z.Close())
		return out.Bytes()
	}
}

func tarred(packed bool, headers ...tar.Header) func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		var out bytes.Buffer
		packer := gzip.NewWriter(&out)
		w := tar.NewWriter(packer)
		if !packed {
			w = tar.NewWriter(&out)
		}
		for _, h := range headers {
			assert.NilError(t, w.WriteHeader(&h))
			if h.Typeflag == tar.TypeReg {
				_, err := w.Write(make([]byte, h.Size))
				assert.NilError(t, err)
			}
		}
		assert.NilError(t, w.Close())
		if packed {
			assert.NilError(t, packer.Close())
		}
		return out.Bytes()
	}
}

// sparse is a tar of a few blocks with a member of 1 TiB that is one hole (the
// form that GNU tar calls PAX 1.0), which no writer of Go makes.
func sparse() func(t *testing.T) []byte {
	return func(*testing.T) []byte {
		const block, size = 512, "1099511627776"
		header := func(name string, kind byte, length int) []byte {
			b := make([]byte, block)
			copy(b, name)
			for at, text := range map[int]string{100: "0000644\x00", 108: "0000000\x00", 116: "0000000\x00", 124: fmt.Sprintf("%011o\x00", length), 136: "00000000000\x00", 148: "        ", 257: "ustar\x0000"} {
				copy(b[at:], text)
			}
			b[156] = kind
			sum := 0
			for _, c := range b {
				sum += int(c)
			}
			copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
			return b
		}
		padded := func(text string) []byte { return append([]byte(text), make([]byte, block-len(text))...) }
		extended := "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n21 GNU.sparse.name=x\n37 GNU.sparse.realsize=" + size + "\n"
		return slices.Concat(header("x.pax", 'x', len(extended)), padded(extended), header("x.0", '0', block), padded("1\n"+size+"\n0\n"), make([]byte, 2*block))
	}
}

// crowded is a zip whose directory is all comments.
func crowded() func(t *testing.T) []byte {
	return func(t *testing.T) []byte {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for i := range 300 {
			_, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i), Comment: strings.Repeat("x", 60_000)})
			assert.NilError(t, err)
		}
		assert.NilError(t, z.Close())
		return out.Bytes()
	}
}

func many(n int) []member {
	members := make([]member, n)
	for i := range members {
		members[i] = member{name: fmt.Sprintf("%d", i)}
	}
	return members
}

// refused decodes a policy that was changed.
func refused(change func(p *policy.Policy)) func(*testing.T) []string {
	return func(t *testing.T) []string {
		w := emptyWorld(t)
		w.trustMachine(t)
		change(&w.policy)
		_, err := policy.Decode(w.encoded(t))
		return []string{string(strict.ReasonOf(err))}
	}
}

func pattern(san string) func(p *policy.Policy) {
	return func(p *policy.Policy) {
		id := p.Signers[1].Identity
		id.SAN, id.SANPattern = "", san
	}
}

// waived asks for the gate ci:docs, which is not there, and waives that.
func waived(change func(w *policy.Waiver)) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		w.policy.RequiredGates = append(w.policy.RequiredGates, "ci:docs")
		waiver := policy.Waiver{
			Gate: "ci:docs", Code: "missing", Commit: commit, Owner: "ann", GrantedBy: "bob", Reason: "the site is down", Expires: now.Add(time.Hour),
		}
		change(&waiver)
		w.policy.Waivers = []policy.Waiver{waiver}
	}
}

// decided adds a decision over the runs.
func decided(verdict statement.DecisionVerdict, digest string, runs ...string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		if digest == "" {
			digest = w.decoded(t).SHA256
		}
		d := &statement.Decision{
			Verdict: verdict, Evaluator: statement.Evaluator{ID: "https://example.com/evaluator", Version: "v1"}, EvaluatedAt: now.Add(-time.Minute),
			Policy: statement.ResourceDescriptor{Name: "policy", Digest: statement.DigestSet{"sha256": digest}},
		}
		for _, run := range runs {
			index, err := seal.Read(w.path(run), seal.Options{})
			assert.NilError(t, err)
			d.Inputs = append(d.Inputs, statement.ResourceDescriptor{Name: run, Digest: statement.DigestSet{"sha256": index.SHA256}})
		}
		sum := sha256.Sum256([]byte(get(t, w.path("dist", "dpone"))))
		s, err := statement.New([]statement.ResourceDescriptor{{Name: "dpone", Digest: statement.DigestSet{"sha256": hex.EncodeToString(sum[:])}}}, d)
		assert.NilError(t, err)
		raw, err := s.Encode()
		assert.NilError(t, err)
		put(t, w.path("dist", "decision.sigstore.json"), sealOver(t, "trusted", sign.PayloadType, raw))
	}
}

// noGo adds a decision against the release, or a summary of it.
func noGo(summary bool) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		d := &statement.Decision{
			Verdict: statement.NoGo, Evaluator: statement.Evaluator{ID: "https://example.com/evaluator", Version: "v1"}, EvaluatedAt: now.Add(-time.Minute),
			Policy:   statement.ResourceDescriptor{URI: "policy.json", Digest: statement.DigestSet{"sha256": w.decoded(t).SHA256}},
			Blockers: []statement.DecisionBlocker{{ID: "performance.missing", Reason: "missing"}},
		}
		var predicate statement.Predicate = d
		if summary {
			vsa, err := statement.NewVSA(d, "pkg:golang/github.com/dpone/dpone@"+version)
			assert.NilError(t, err)
			predicate = vsa
		}
		sum := sha256.Sum256([]byte(get(t, w.path("dist", "dpone"))))
		s, err := statement.New([]statement.ResourceDescriptor{{Name: "dpone", Digest: statement.DigestSet{"sha256": hex.EncodeToString(sum[:])}}}, predicate)
		assert.NilError(t, err)
		raw, err := s.Encode()
		assert.NilError(t, err)
		put(t, w.path("dist", "decision.sigstore.json"), sealOver(t, "trusted", sign.PayloadType, raw))
	}
}

// listed adds a file and a line about it to a list of checksums.
func listed(dir, name string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		put(t, w.path(dir, name), "evil")
		sum := sha256.Sum256([]byte("evil"))
		list := ""
		if before, err := os.ReadFile(w.path(dir, "SHA256SUMS")); err == nil {
			list = string(before)
		}
		put(t, w.path(dir, "SHA256SUMS"), list+hex.EncodeToString(sum[:])+"  "+name+"\n")
	}
}

// rebuilt signs other provenance of the binary.
func rebuilt(change func(b *statement.MageBuild)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		sum := sha256.Sum256([]byte(get(t, w.path("dist", "dpone"))))
		raw := w.provenance(t, hex.EncodeToString(sum[:]), change)
		put(t, w.path("dist", "dpone.sigstore.json"), sealOver(t, "trusted", sign.PayloadType, raw))
	}
}

// hidden says what is left of a secret after the redactor.
func hidden(text string) func(*testing.T) []string {
	return func(*testing.T) []string {
		r := redact.New([]string{"DB_PASSWORD=" + secret})
		if r.String(text) != text {
			return []string{string(verify.CodeSecretLeak)}
		}
		return nil
	}
}

// secret is in no file but those of the tests, and is a secret of nothing.
const secret = "c0rrect/horse+battery&staple"

func privateKey() string {
	block := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("not a key "), 12))
	return "-----BEGIN " + "PRIVATE KEY-----\n" + block[:64] + "\n" + block[64:128] + "\n-----END " + "PRIVATE KEY-----\n"
}

var attacks = []attack{
	{id: "0", title: "nothing: the release as it was made", verdict: pass, change: func(*testing.T, *world) {}},
	{id: "0a", title: "nothing, signed with a certificate", verdict: pass, change: keyless(nil, nil)},
	{id: "0b", title: "nothing, with a decision over all of it", verdict: pass, change: decided(statement.Go, "", testRun, lintRun)},
	{id: "0c", title: "nothing, and a gap that is waived", verdict: pass, change: waived(func(*policy.Waiver) {})},

	{id: "0d", title: "no policy says whose word counts", verdict: unverified, code: "no_policy", other: func(t *testing.T) []string {
		w := newWorld(t)
		return codes(verify.Verify(t.Context(), w.root, w.opts))
	}},
	{id: "0e", title: "a signed log, and no key to check it with", verdict: unverified, code: "no_verifier", other: func(t *testing.T) []string {
		w := newWorld(t)
		return codes(verify.Verify(t.Context(), w.root, w.opts))
	}},
	{id: "0f", title: "the check is stopped before its end", verdict: unverified, code: "interrupted", other: func(t *testing.T) []string {
		w := newWorld(t)
		w.opts.Policy = w.decoded(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return codes(verify.Verify(ctx, w.root, w.opts))
	}},

	{id: "1", title: "one byte of a file changed after the index was made", verdict: fail, code: "digest_mismatch", change: edit(testRun+"/logs/a.log", func(s string) string { return "A" + s[1:] })},
	{id: "1a", title: "one byte of an artifact changed after it was attested", verdict: fail, code: "digest_mismatch", change: edit("dist/dpone", func(s string) string { return s[:5] + "x" + s[6:] })},
	{id: "1b", title: "a file and its index changed together", verdict: fail, code: "digest_mismatch", change: resealed("record.md", "PASS", "FAIL")},
	{id: "1c", title: "a digest in a list of checksums changed", verdict: fail, code: "digest_mismatch", change: edit("dist/SHA256SUMS", func(s string) string { return strings.Repeat("0", 64) + s[64:] })},
	{id: "1d", title: "the verdict in a record changed, and everything sealed again", verdict: fail, code: "bad_record", change: resealed("record.json", `"observed": "so"`, `"observed": "no"`)},
	{id: "2", title: "a file removed that the index lists", verdict: fail, code: "missing_artifact", change: remove(testRun + "/junit.xml")},
	{id: "2a", title: "an artifact removed that a statement is about", verdict: fail, code: "missing_artifact", change: remove("dist/dpone")},
	{id: "2b", title: "the index removed", verdict: fail, code: "missing_artifact", change: remove(testRun + "/index.json")},
	{id: "3", title: "a file added that the index does not list", verdict: fail, code: "unlisted_artifact", change: func(t *testing.T, w *world) { put(t, w.path(testRun, "extra"), "x") }},
	{id: "3a", title: "a file added that nothing speaks of", verdict: unverified, code: "unclaimed_artifact", change: func(t *testing.T, w *world) { put(t, w.path("dist", "extra"), "x") }},
	{id: "3b", title: "a file added among the attestations", verdict: fail, code: "unexpected", change: func(t *testing.T, w *world) { put(t, w.path(testRun, "attestations", "notes.txt"), "x") }},
	{id: "3c", title: "names that differ only in case", verdict: fail, code: "name_collision", change: func(t *testing.T, w *world) { put(t, w.path(testRun, "Record.json"), "x") }},
	{id: "3d", title: "a name that a terminal would obey", verdict: fail, code: "unsafe_name", change: func(t *testing.T, w *world) { put(t, w.path(testRun, "a\x1b[2Jb"), "x") }},
	{id: "3e", title: "a byte added to a file", verdict: fail, code: "size_mismatch", change: edit(testRun+"/record.md", func(s string) string { return s + "\n" })},
	{id: "3m", title: "a file added, with a list of checksums that nobody signed", verdict: unverified, code: "unclaimed_artifact", change: listed("extra", "dpone-next")},
	{id: "3n", title: "a file added, and to the list of checksums, which nobody signed", verdict: unverified, code: "unclaimed_artifact", change: listed("dist", "dpone-next")},
	{id: "3o", title: "a file added in a folder that was sealed for it, without a record", verdict: unverified, code: "unclaimed_artifact", change: func(t *testing.T, w *world) {
		put(t, w.path("extra", "dpone-next"), "evil")
		_, err := seal.Seal(t.Context(), w.path("extra"), seal.Options{})
		assert.NilError(t, err)
	}},
	{id: "3p", title: "a file added under the name of a lock, beside a folder that is no log", verdict: unverified, code: "unclaimed_artifact", change: func(t *testing.T, w *world) { put(t, w.path("dist.lock"), "evil") }},
	{id: "3q", title: "an artifact under the name of another, in the list of checksums, too", verdict: unverified, code: "unclaimed_artifact", change: func(t *testing.T, w *world) {
		assert.NilError(t, os.Rename(w.path("dist", "dpone"), w.path("dist", "dpone-arm64")))
		edit("dist/SHA256SUMS", func(s string) string { return strings.Replace(s, "  dpone", "  dpone-arm64", 1) })(t, w)
	}},
	{id: "4", title: "same size and modification time, other content", verdict: fail, code: "digest_mismatch", change: func(t *testing.T, w *world) {
		name := w.path(testRun, "logs", "a.log")
		info, err := os.Stat(name)
		assert.NilError(t, err)
		put(t, name, strings.Repeat("x", int(info.Size())))
		assert.NilError(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
	}},

	{id: "5", title: "payload edited, signature kept", verdict: fail, code: "bad_signature", change: rebundle(func(t *testing.T, b *sign.Bundle) {
		payload, err := b.Payload()
		assert.NilError(t, err)
		b.Envelope.Payload = base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte(`"PASS"`), []byte(`"FAIL"`), 1))
	})},
	{id: "5a", title: "the signature of another statement of the same signer", verdict: fail, code: "bad_signature", change: func(t *testing.T, w *world) {
		other, err := sign.DecodeBundle([]byte(get(t, w.bundle(t, lintRun))))
		assert.NilError(t, err)
		rebundle(func(_ *testing.T, b *sign.Bundle) { b.Envelope.Signatures = other.Envelope.Signatures })(t, w)
	}},
	{id: "5b", title: "the whole bundle of another run", verdict: fail, code: "digest_mismatch", change: func(t *testing.T, w *world) {
		put(t, w.bundle(t, testRun), get(t, w.bundle(t, lintRun)))
	}},
	{id: "5c", title: "a genuine statement about the index that says something else than the record", verdict: fail, code: "wrong_statement", change: func(t *testing.T, w *world) {
		name := w.bundle(t, testRun)
		b, err := sign.DecodeBundle([]byte(get(t, name)))
		assert.NilError(t, err)
		payload, err := b.Payload()
		assert.NilError(t, err)
		payload = bytes.Replace(payload, []byte(`"command":"mage ci:test"`), []byte(`"command":"mage ci:less"`), 1)
		assert.NilError(t, os.Remove(name))
		put(t, w.path(testRun, "attestations", attest.Digest(payload)+sign.BundleSuffix), sealOver(t, "trusted", sign.PayloadType, payload))
	}},
	{id: "6", title: "signed with a key that nobody trusts", verdict: fail, code: "untrusted_signer", change: func(t *testing.T, w *world) {
		with(made{gate: "ci:test", area: "ci", signer: w.other})(t, w)
	}},
	{id: "6a", title: "signed by a trusted key that may not vouch for the gate", verdict: fail, code: "signer_not_allowed", change: func(_ *testing.T, w *world) {
		w.policy.Signers[0].Gates = []string{"ci:lint", "release:attest"}
	}},
	{id: "6b", title: "a predicate type that the signer may not sign", verdict: fail, code: "signer_not_allowed", change: func(t *testing.T, w *world) {
		w.policy.Signers[0].PredicateTypes = []string{statement.ProvenanceType}
		decided(statement.Go, "", testRun)(t, w)
	}},
	{id: "6c", title: "provenance of a builder that its signer may not speak for", verdict: fail, code: "wrong_builder", change: rebuilt(func(b *statement.MageBuild) { b.BuilderID = statement.BuilderLocal })},
	{id: "7", title: "type of the payload changed", verdict: fail, code: "payload_type", change: rebundle(func(_ *testing.T, b *sign.Bundle) { b.Envelope.PayloadType = "text/plain" })},
	{id: "7a", title: "another type of payload, signed by a trusted key", verdict: fail, code: "payload_type", change: func(t *testing.T, w *world) {
		put(t, w.path("dist", "x.sigstore.json"), sealOver(t, "trusted", "application/vnd.example+json", []byte("{}")))
	}},
	{id: "8", title: "a key twice in the envelope", verdict: fail, code: "json_duplicate_key", change: rawBundle(`"payload":`, `"payload":"e30=","payload":`)},
	{id: "9", title: "a key in other case in the envelope", verdict: fail, code: "json_unknown_key", change: rawBundle(`"payload":`, `"PAYLOAD":`)},
	{id: "11", title: "an unknown member in a signed statement", verdict: fail, code: "json_unknown_key", change: stated(strings.Replace(result(`{"result":"PASSED","configuration":[{"name":"ci:test","uri":"x"}]}`), `{"_type"`, `{"x":1,"_type"`, 1))},
	{id: "10", title: "a bundle cut off", verdict: fail, code: "json_malformed", change: func(t *testing.T, w *world) {
		name := w.bundle(t, testRun)
		put(t, name, get(t, name)[:100])
	}},
	{id: "12", title: "a bundle relabelled as an older version", verdict: fail, code: "schema", change: rebundle(func(_ *testing.T, b *sign.Bundle) { b.MediaType = strings.Replace(b.MediaType, "v0.3", "v0.1", 1) })},
	{id: "13", title: "two signatures in one bundle, one of them valid", verdict: fail, code: "signature_count", change: rebundle(func(_ *testing.T, b *sign.Bundle) {
		b.Envelope.Signatures = append(b.Envelope.Signatures, sign.Signature{Sig: "AAAA"})
	})},
	{id: "14", title: "an expired key", verdict: fail, code: "key_expired", change: func(_ *testing.T, w *world) { w.policy.Signers[0].NotAfter = now.Add(-time.Minute) }},
	{id: "14a", title: "a revoked key", verdict: fail, code: "key_expired", change: func(_ *testing.T, w *world) { w.policy.Signers[0].RevokedAt = now.Add(-time.Minute) }},
	{id: "14b", title: "a key whose time has not come", verdict: fail, code: "key_not_yet_valid", change: func(_ *testing.T, w *world) { w.policy.Signers[0].NotBefore = now.Add(time.Minute) }},

	{id: "16", title: "old but genuine evidence for a new commit", verdict: fail, code: "wrong_commit", change: func(_ *testing.T, w *world) { w.opts.Ask.Commit = strings.Repeat("b2", 20) }},
	{id: "16a", title: "genuine provenance of another commit", verdict: fail, code: "wrong_commit", change: rebuilt(func(b *statement.MageBuild) {
		b.Dependencies = []statement.ResourceDescriptor{{URI: "git+x", Digest: statement.DigestSet{"gitCommit": strings.Repeat("b2", 20)}}}
	})},
	{id: "16b", title: "nobody says which commit", verdict: fail, code: "subject_missing", change: func(_ *testing.T, w *world) { w.opts.Ask.Commit = "" }},
	{id: "16c", title: "genuine evidence of another release", verdict: fail, code: "wrong_version", change: func(t *testing.T, w *world) {
		w.policy.Subject.Version = version
		stated(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"source","digest":{"gitCommit":"`+commit+
			`"}}],"predicateType":"`+statement.ReleaseType+`","predicate":{"purl":"pkg:golang/github.com/dpone/dpone@v1.2.2"}}`)(t, w)
	}},
	{id: "17", title: "genuine evidence of the right commit, older than it may be", verdict: fail, code: "stale", change: func(_ *testing.T, w *world) { w.opts.Now = now.Add(24 * time.Hour) }},
	{id: "18", title: "evidence dated in the future", verdict: fail, code: "future_time", change: func(_ *testing.T, w *world) { w.opts.Now = now.Add(-2 * time.Hour) }},
	{id: "19", title: "evidence of another attempt than the one that was selected", verdict: fail, code: "wrong_run", change: func(_ *testing.T, w *world) { w.opts.Ask.Run = "77/3" }},
	{id: "19a", title: "the statement says one run, the certificate another", verdict: fail, code: "wrong_run", change: func(t *testing.T, w *world) {
		w.opts.Ask.Run, w.policy.Subject.Run = "", policy.Any
		keyless(func(who *sign.Identity) { who.RunInvocationURI = repository + "/actions/runs/78/attempts/2" }, nil)(t, w)
	}},
	{id: "19b", title: "nobody says which run", verdict: fail, code: "subject_missing", change: func(_ *testing.T, w *world) { w.opts.Ask.Run = "" }},
	{id: "19w", title: "the record of a laptop, signed with the certificate of a workflow", verdict: fail, code: "wrong_run", change: func(t *testing.T, w *world) {
		w.policy.Subject.Run, w.opts.Ask.Run = policy.Any, ""
		again(func(r *evidence.Record) { r.Volatile.CI = evidence.CI{Provider: "local"} })(t, w)
		w.opts.Certificates = fulcio{machine(), nil}
		w.trustMachine(t)
		w.certify(t, "ci/20261122T111000Z-00000009")
	}},
	{id: "20", title: "a working tree with changes", verdict: fail, code: "dirty_tree", change: again(func(r *evidence.Record) {
		r.Stable.Source.Dirty, r.Stable.Source.DirtyDigest = true, "sha256:"+strings.Repeat("c", 64)
	})},
	{id: "21", title: "a certificate of a run that a pull request started", verdict: fail, code: "untrusted_trigger", change: keyless(func(who *sign.Identity) { who.Trigger = "pull_request" }, nil)},
	{id: "21a", title: "a run that a pull request started, signed with a key", verdict: fail, code: "untrusted_trigger", change: again(func(r *evidence.Record) { r.Volatile.CI.Event = "pull_request" })},
	{id: "22", title: "a fork with the same workflow", verdict: fail, code: "wrong_identity", change: keyless(func(who *sign.Identity) {
		for _, field := range []*string{&who.SAN, &who.BuildSigner, &who.BuildConfig, &who.Repository, &who.RunInvocationURI, &who.RepositoryOwner} {
			*field = strings.Replace(*field, "github.com/dpone", "github.com/fork", 1)
		}
	}, nil)},
	{id: "22a", title: "a run in a fork, signed with a key", verdict: fail, code: "wrong_repository", change: again(func(r *evidence.Record) { r.Volatile.Origin.Repository = "git@github.com:fork/dpone.git" })},
	{id: "22b", title: "a run on another branch", verdict: fail, code: "wrong_ref", change: again(func(r *evidence.Record) { r.Volatile.Origin.Ref = "refs/heads/mine" })},
	{id: "22c", title: "another workflow of the repository, which may sign too", verdict: fail, code: "wrong_identity", change: keyless(func(who *sign.Identity) {
		who.BuildConfig = strings.Replace(who.BuildConfig, "ci.yml", "mine.yml", 1)
	}, nil)},
	{id: "22d", title: "another issuer of identities", verdict: fail, code: "wrong_identity", change: keyless(func(who *sign.Identity) { who.Issuer = "https://accounts.example.com" }, nil)},
	{id: "23", title: "a pattern without anchors, which takes acme/app-evil too", verdict: fail, code: "unanchored_pattern", by: "policy", other: refused(pattern(`https://github\.com/acme/app/`))},
	{id: "23a", title: "an alternation with an anchor in one branch only", verdict: fail, code: "unanchored_pattern", by: "policy", other: refused(pattern(`^https://github\.com/acme/app/x|https://github\.com/evil/app/x$`))},
	{id: "23b", title: "a pattern with an open host", verdict: fail, code: "unanchored_pattern", by: "policy", other: refused(pattern(`^https://.*/acme/app/x$`))},
	{id: "23c", title: "anchors of lines instead of the text", verdict: fail, code: "unanchored_pattern", by: "policy", other: refused(pattern(`(?m)^https://github\.com/acme/app/x$`))},
	{id: "24", title: "a self-hosted runner where a hosted one is required", verdict: fail, code: "wrong_runner", change: keyless(func(who *sign.Identity) { who.Runner = "self-hosted" }, nil)},
	{id: "24a", title: "provenance of the hosted builder from a self-hosted runner", verdict: fail, code: "wrong_runner", change: rebuilt(func(b *statement.MageBuild) { b.Internal.RunnerEnvironment = "self-hosted" })},
	{id: "25", title: "the log entry of a bundle stripped", verdict: fail, code: "log_missing", by: "keyless", change: keyless(nil, strict.Refuse(sign.LogMissing, "", "no entry"))},
	{id: "25a", title: "the log entry of a bundle taken from another", verdict: fail, code: "log_mismatch", by: "keyless", change: keyless(nil, strict.Refuse(sign.LogMismatch, "", "of another bundle"))},
	{id: "25b", title: "a log entry in a bundle of a key, which nobody checks", verdict: fail, code: "unsupported_material", change: rebundle(func(_ *testing.T, b *sign.Bundle) {
		b.VerificationMaterial.TlogEntries = json.RawMessage(`[{"logIndex":"1"}]`)
	})},
	{id: "26", title: "no time within the life of the certificate", verdict: fail, code: "time_invalid", by: "keyless", change: keyless(nil, strict.Refuse(sign.TimeInvalid, "", "too late"))},
	{id: "26a", title: "a certificate, and nothing to check it with", verdict: unverified, code: "keyless_unavailable", change: func(t *testing.T, w *world) {
		keyless(nil, nil)(t, w)
		w.opts.Certificates = nil
	}},
	{id: "26b", title: "a certificate, and a policy without a trusted root", verdict: fail, code: "trusted_root_missing", change: func(t *testing.T, w *world) {
		w.opts.Certificates = fulcio{who: machine()}
		w.certify(t, testRun)
	}},

	{id: "27", title: "the evidence of a required gate deleted", verdict: fail, code: "incomplete_set", change: remove(testRun)},
	{id: "27a", title: "the same, by the gate", verdict: fail, code: "missing", change: remove(testRun)},
	{id: "27b", title: "the bundles of a required gate deleted", verdict: unverified, code: "unsigned", change: func(t *testing.T, w *world) {
		kept, err := attest.Read(w.path(testRun))
		assert.NilError(t, err)
		for _, k := range kept.Bundles {
			assert.NilError(t, os.Remove(w.path(testRun, attest.Dir, k.Name)))
		}
	}},
	{id: "27c", title: "a gate that only the caller requires", verdict: fail, code: "missing", change: func(_ *testing.T, w *world) { w.opts.Require = []string{"release:sbom"} }},
	{id: "27d", title: "a part of the gate offered for the whole", verdict: fail, code: "partial", change: again(func(r *evidence.Record) { r.Stable.Partial = true })},
	{id: "27e", title: "an empty directory", verdict: fail, code: "empty_evidence", change: func(t *testing.T, w *world) { w.root = t.TempDir() }},
	{id: "28", title: "a red gate", verdict: fail, code: "gate_failed", change: again(failing)},
	{id: "28a", title: "a gate that could not tell", verdict: unverified, code: "gate_unverified", change: again(broken)},
	{id: "29", title: "two contradicting results of one gate in one run", verdict: fail, code: "conflicting_evidence", change: func(t *testing.T, w *world) {
		w.run(t, made{gate: "ci:test", area: "ci", run: "20261122T105000Z-00000001", change: failing})
	}},
	{id: "29a", title: "two folders with the name of one run", verdict: fail, code: "conflicting_evidence", change: func(t *testing.T, w *world) {
		w.run(t, made{gate: "ci:test", area: "elsewhere", files: map[string]string{"more.txt": "x"}})
	}},
	{id: "30", title: "a gate that skipped all of its work", verdict: fail, code: "skipped_required", change: again(skipping)},
	{id: "31", title: "an unknown gate, to pad the score", verdict: fail, code: "unknown_gate", change: func(t *testing.T, w *world) {
		w.policy.Signers[0].Gates = append([]string{"pad:*"}, w.policy.Signers[0].Gates...)
		w.run(t, made{gate: "pad:ding", area: "pad"})
	}},

	{id: "33", title: "the log written anew, without a signature", verdict: fail, code: "untrusted_checkpoint", change: relog("", false)},
	{id: "33a", title: "the log written anew and signed by another key of the same name", verdict: fail, code: "untrusted_checkpoint", change: relog("another", false)},
	{id: "33b", title: "the log written anew by who holds the key", verdict: fail, code: "log_forked", change: relog("log", true, "one", "two", "three", "four")},
	{id: "33c", title: "the log made shorter by who holds the key", verdict: fail, code: "log_rollback", change: relog("log", true, "one")},
	{id: "33d", title: "the log deleted, but not what was seen of it", verdict: fail, code: "log_truncated", change: remove("evidence_log")},
	{id: "33e", title: "evidence that never was in the log", verdict: unverified, code: "unlogged", change: with(made{gate: "ci:test", area: "ci", run: "20261122T111000Z-00000009", unlogged: true})},
	{id: "33f", title: "a log in place of the one that has the run with other files", verdict: fail, code: "digest_mismatch", change: func(t *testing.T, w *world) {
		remove(testRun+"/attestations")(t, w)
		resealed("record.md", "PASS", "FAIL")(t, w)
	}},
	{id: "33g", title: "a log of another name, signed by the same key", verdict: fail, code: "log_origin", change: func(t *testing.T, w *world) {
		body, _, _ := strings.Cut(get(t, w.path("evidence_log", "checkpoint")), "\n\n")
		raw, err := note.Sign(&note.Note{Text: strings.Replace(body, logName, "example.com/other", 1) + "\n"}, w.logKey)
		assert.NilError(t, err)
		put(t, w.path("evidence_log", "checkpoint"), string(raw))
	}},
	{id: "33h", title: "an entry that is none, signed by who holds the key", verdict: fail, code: "bad_entry", change: relog("log", false, "one")},
	{id: "33i", title: "an entry that says something else than the record, signed by who holds the key", verdict: fail, code: "wrong_entry", change: func(t *testing.T, w *world) {
		entry := strings.Replace(get(t, w.path(testRun, attest.Dir, attest.EntryName)), `"PASS"`, `"FAIL"`, 1)
		relog("log", false, entry)(t, w)
	}},
	{id: "33j", title: "a checkpoint that is none", verdict: fail, code: "log_malformed", change: edit("evidence_log/checkpoint", func(string) string { return "hello\n" })},
	{id: "34", title: "text of the checkpoint edited", verdict: fail, code: "bad_signature", change: edit("evidence_log/checkpoint", func(s string) string { return strings.Replace(s, "\n3\n", "\n2\n", 1) })},
	{id: "34a", title: "a hash of the log edited", verdict: fail, code: "log_corrupt", change: edit("evidence_log/tile/0/000.p/3", func(s string) string { return "x" + s[1:] })},
	{id: "34b", title: "a file added to the log", verdict: fail, code: "log_unexpected_file", change: func(t *testing.T, w *world) { put(t, w.path("evidence_log", "x"), "x") }},
	{id: "35", title: "the proof of another run for a valid index", verdict: fail, code: "inclusion", change: func(t *testing.T, w *world) {
		for _, name := range []string{attest.ProofName, attest.EntryName} {
			put(t, w.path(testRun, attest.Dir, name), get(t, w.path(lintRun, attest.Dir, name)))
		}
	}},
	{id: "35a", title: "the entry of another run for a valid proof", verdict: fail, code: "inclusion", change: func(t *testing.T, w *world) {
		put(t, w.path(testRun, attest.Dir, attest.EntryName), get(t, w.path(lintRun, attest.Dir, attest.EntryName)))
	}},
	{id: "35b", title: "a proof without its entry", verdict: fail, code: "inclusion", change: remove(testRun + "/attestations/run.tlog-proof.entry")},

	{id: "37", title: "a link to outside", verdict: fail, code: "not_regular_file", change: linked(symlink("junit.xml", "/etc/passwd"))},
	{id: "37a", title: "a link to inside", verdict: fail, code: "not_regular_file", change: linked(symlink("junit.xml", "record.md"))},
	{id: "37b", title: "a folder that is a link", verdict: fail, code: "not_regular_file", change: linked(func(t *testing.T, dir string) {
		assert.NilError(t, os.Rename(filepath.Join(dir, "logs"), filepath.Join(dir, "real")))
		symlink("logs", "real")(t, dir)
	})},
	{id: "37c", title: "a hard link", verdict: fail, code: "not_regular_file", change: linked(func(t *testing.T, dir string) {
		assert.NilError(t, os.Link(filepath.Join(dir, "junit.xml"), filepath.Join(t.TempDir(), "also")))
	})},
	{id: "37d", title: "a pipe", verdict: fail, code: "not_regular_file", change: linked(func(t *testing.T, dir string) {
		assert.NilError(t, os.Remove(filepath.Join(dir, "junit.xml")))
		pipe(t, filepath.Join(dir, "junit.xml"))
	})},
	{id: "37e", title: "a link among the artifacts", verdict: fail, code: "not_regular_file", change: func(t *testing.T, w *world) { symlink("dpone", "SHA256SUMS")(t, w.path("dist")) }},
	{id: "37f", title: "a link in place of the attestations", verdict: fail, code: "not_regular_file", change: linked(func(t *testing.T, dir string) {
		assert.NilError(t, os.Rename(filepath.Join(dir, "attestations"), filepath.Join(t.TempDir(), "a")))
		symlink("attestations", "logs")(t, dir)
	})},

	{id: "38", title: "a zip with a name that leads out", verdict: fail, code: "unsafe_archive", other: archived(zipped(member{name: "../x"}))},
	{id: "38a", title: "a zip with one name twice", verdict: fail, code: "unsafe_archive", other: archived(zipped(member{name: "x"}, member{name: "X"}))},
	{id: "38b", title: "a zip with a link", verdict: fail, code: "unsafe_archive", other: archived(zipped(member{name: "x", mode: os.ModeSymlink, content: "/etc/passwd"}))},
	{id: "38c", title: "a zip with too many members", verdict: fail, code: "unsafe_archive", other: archived(func(t *testing.T) []byte { return zipped(many(20_001)...)(t) })},
	{id: "38d", title: "a zip of 1000 times its size", verdict: fail, code: "unsafe_archive", other: archived(zipped(member{name: "x", content: strings.Repeat("\x00", 4<<20)}))},
	{id: "38e", title: "a tar with an absolute name", verdict: fail, code: "unsafe_archive", other: archived(tarred(false, tar.Header{Name: "/x", Typeflag: tar.TypeReg, Mode: 0o644}))},
	{id: "38f", title: "a tar with a hard link", verdict: fail, code: "unsafe_archive", other: archived(tarred(false, tar.Header{Name: "x", Linkname: "y", Typeflag: tar.TypeLink}))},
	{id: "38g", title: "a tar.gz of 1000 times its size", verdict: fail, code: "unsafe_archive", other: archived(tarred(true, tar.Header{Name: "x", Typeflag: tar.TypeReg, Mode: 0o644, Size: 8 << 20}))},
	{id: "38h", title: "a tar with a device", verdict: fail, code: "unsafe_archive", other: archived(tarred(false, tar.Header{Name: "x", Typeflag: tar.TypeBlock}))},
	{id: "38s", title: "a tar with a member of 1 TiB, all of it holes", verdict: fail, code: "unsafe_archive", other: archived(sparse())},
	{id: "38t", title: "a zip with a directory of many megabytes", verdict: fail, code: "unsafe_archive", other: archived(crowded())},
	{id: "39", title: "a list of checksums that leads out", verdict: fail, code: "path_escape", change: edit("dist/SHA256SUMS", func(s string) string { return s[:66] + "../dpone\n" })},
	{id: "39a", title: "a list of checksums with a file twice", verdict: fail, code: "duplicate_entry", change: edit("dist/SHA256SUMS", func(s string) string { return s + s })},
	{id: "40", title: "a file swapped between hashing and upload", verdict: fail, code: "digest_mismatch", by: "seal", other: func(t *testing.T) []string {
		dir, err := t.TempDir(), error(nil)
		put(t, filepath.Join(dir, "a.txt"), "good")
		_, err = seal.Seal(t.Context(), dir, seal.Options{})
		assert.NilError(t, err)
		put(t, filepath.Join(dir, "a.txt"), "evil")
		_, err = seal.Copy(t.Context(), dir, t.TempDir(), seal.Options{})
		return sealCodes(err)
	}},
	{id: "42", title: "a report without bytes", verdict: fail, code: "empty_evidence", change: inside("summary.md", "")},
	{id: "42a", title: "a bundle without bytes", verdict: fail, code: "empty_evidence", change: func(t *testing.T, w *world) { put(t, w.bundle(t, testRun), "") }},
	{id: "42b", title: "an artifact without bytes, where the policy forbids that", verdict: fail, code: "empty_evidence", change: func(t *testing.T, w *world) {
		w.policy.RefuseEmptyArtifacts = true
		inside("data.bin", "")(t, w)
	}},
	{id: "43", title: "an index of 16 MiB and more", verdict: fail, code: "limit_exceeded", change: edit(testRun+"/index.json", func(s string) string { return s + strings.Repeat(" ", 17<<20) })},
	{id: "43a", title: "a bundle with a million levels", verdict: fail, code: "limit_exceeded", change: rawBundle(`"publicKey":`, `"tlogEntries":`+strings.Repeat("[", 1_000_000)+`,"publicKey":`)},
	{id: "43b", title: "a signed statement with too many subjects", verdict: fail, code: "limit_exceeded", change: func(t *testing.T, w *world) {
		subject := `{"name":"source","digest":{"gitCommit":"` + commit + `"}}`
		stated(strings.Replace(result(`{}`), subject, strings.TrimSuffix(strings.Repeat(`{"uri":"x"},`, 1025), ","), 1))(t, w)
	}},
	{id: "43c", title: "a bundle of more than 16 MiB", verdict: fail, code: "limit_exceeded", change: func(t *testing.T, w *world) { put(t, w.bundle(t, testRun), strings.Repeat(" ", 17<<20)) }},
	{id: "43d", title: "more sealed folders than the policy reads", verdict: fail, code: "limit_exceeded", change: func(_ *testing.T, w *world) { w.policy.Limits.Folders = 2 }},
	{id: "45", title: "JUnit with entities", verdict: fail, code: "xml_unsafe", change: inside("more.xml", `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa">]><x>&a;</x>`)},
	{id: "45a", title: "JUnit with an entity of another file", verdict: fail, code: "xml_unsafe", change: inside("more.xml", `<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>`)},
	{id: "45b", title: "JUnit with control characters", verdict: fail, code: "xml_unsafe", change: inside("more.xml", "<x name=\"\x01\"/>")},
	{id: "45c", title: "a style sheet that a browser would obey", verdict: fail, code: "xml_unsafe", change: inside("more.xml", `<?xml-stylesheet href="//evil"?><x/>`)},
	{id: "45d", title: "control characters and markup in the name of a test, written by us", verdict: pass, by: "junit", other: func(t *testing.T) []string {
		var out bytes.Buffer
		assert.NilError(t, junit.Write(&out, junit.Suites{Name: "x", Suites: []junit.Suite{{Name: "s", Cases: []junit.Case{{Name: "a\x01\x1b[2J<!DOCTYPE>]]>&b;", Classname: "c"}}}}}))
		w := newWorld(t)
		inside("more.xml", out.String())(t, w)
		return codes(w.verify(t))
	}},
	{id: "47", title: "a secret in a log", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) {
		w.opts.Redactor = redact.New([]string{"DB_PASSWORD=" + secret})
		inside("logs/b.log", "connecting with "+secret+"\n")(t, w)
	}},
	{id: "47a", title: "a password in the address of a database", verdict: fail, code: "secret_leak", change: inside("logs/b.log", "postgres://app:hunter2hunter2@db/x\n")},
	{id: "47b", title: "a secret in the output of a JUnit case", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) {
		w.opts.Redactor = redact.New([]string{"DB_PASSWORD=" + secret})
		inside("more.xml", "<x>c0rrect/horse+battery&amp;staple</x>")(t, w)
	}},
	{id: "47c", title: "a secret in an SBOM", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) {
		w.opts.Redactor = redact.New([]string{"DB_PASSWORD=" + secret})
		inside("sbom.cyclonedx.json", `{"properties":[{"value":"`+secret+`"}]}`)(t, w)
	}},
	{id: "47d", title: "a secret in a signed statement", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) {
		w.opts.Redactor = redact.New([]string{"DB_PASSWORD=" + secret})
		stated(result(`{"result":"PASSED","configuration":[{"name":"ci:test","uri":"https://x/`+secret+`"}]}`))(t, w)
	}},
	{id: "48", title: "a secret in base64", verdict: fail, code: "secret_leak", by: "redact", other: hidden(base64.StdEncoding.EncodeToString([]byte("x" + secret + "y")))},
	{id: "48a", title: "a secret escaped for a URL", verdict: fail, code: "secret_leak", by: "redact", other: hidden("c0rrect%2Fhorse%2Bbattery%26staple")},
	{id: "48b", title: "a secret escaped for JSON", verdict: fail, code: "secret_leak", by: "redact", other: hidden(`c0rrect\/horse+battery\u0026staple`)},
	{id: "48c", title: "a secret split by a line break: not covered, and documented as such", verdict: pass, by: "redact", other: hidden("c0rrect/horse+\nbattery&staple")},
	{id: "50", title: "a MAC of the local key, where a signature is required", verdict: fail, code: "mac_only", change: func(t *testing.T, w *world) {
		mac, err := sign.NewMAC([]byte(strings.Repeat("k", 32)))
		assert.NilError(t, err)
		w.opts.MAC = []byte(strings.Repeat("k", 32))
		with(made{gate: "ci:test", area: "ci", signer: mac})(t, w)
	}},
	{id: "50a", title: "the same in a local policy that takes it: LOCAL_MAC", verdict: pass, change: func(t *testing.T, w *world) {
		mac, err := sign.NewMAC([]byte(strings.Repeat("k", 32)))
		assert.NilError(t, err)
		w.opts.MAC = []byte(strings.Repeat("k", 32))
		w.policy.Use, w.policy.AcceptMAC = policy.Local, true
		with(made{gate: "ci:test", area: "ci", signer: mac})(t, w)
	}},
	{id: "50b", title: "a release policy that takes a MAC", verdict: fail, code: "schema", by: "policy", other: refused(func(p *policy.Policy) { p.AcceptMAC = true })},
	{id: "52", title: "a private key among the evidence", verdict: fail, code: "secret_leak", change: inside("cosign.key", privateKey())},
	{id: "52a", title: "a private key among the artifacts", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) { put(t, w.path("dist", "cosign.key"), privateKey()) }},
	{id: "52b", title: "the signer key of the log among the artifacts", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) {
		put(t, w.path("dist", "log.key"), "PRIVATE+KEY+"+logName+"+00000000+AAAA\n")
	}},
	{id: "52c", title: "the local key among the evidence", verdict: fail, code: "secret_leak", change: func(t *testing.T, w *world) {
		w.opts.Redactor = redact.New([]string{sign.EnvMACKey + "=" + strings.Repeat("k1", 16)}, sign.EnvMACKey)
		inside("key.txt", strings.Repeat("k1", 16))(t, w)
	}},
	{id: "53", title: "a pull request of a fork, which has no signer", verdict: unverified, code: "unsigned", change: with(made{gate: "ci:test", area: "ci", unsigned: true})},
	{id: "54", title: "the signing service is down", verdict: unverified, code: "pending_signature", change: with(made{gate: "ci:test", area: "ci", signer: sign.NewPending("")})},
	{id: "54a", title: "a pending statement edited before it is signed", verdict: fail, code: "digest_mismatch", change: func(t *testing.T, w *world) {
		with(made{gate: "ci:test", area: "ci", signer: sign.NewPending("")})(t, w)
		names, err := filepath.Glob(w.path(testRun, attest.Dir, "*"+sign.StatementSuffix))
		assert.NilError(t, err)
		put(t, names[0], strings.Replace(get(t, names[0]), "linux", "minix", 1)+" ")
	}},
	{id: "56", title: "a signed test result without a configuration", verdict: fail, code: "schema", change: stated(result(`{"result":"PASSED","configuration":[]}`))},
	{id: "56a", title: "a signed test result that is no result", verdict: fail, code: "schema", change: stated(result(`{"result":"PERFECT","configuration":[{"name":"ci:test","uri":"x"}]}`))},
	{id: "56b", title: "a signed decision that contradicts itself", verdict: fail, code: "schema", change: stated(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"source","digest":{"gitCommit":"` + commit + `"}}],"predicateType":"https://github.com/dpone/dpone/evidence/decision/v1","predicate":{"verdict":"GO","evaluator":{"id":"x","version":"1"},"evaluatedAt":"2026-11-22T11:00:00Z","policy":{"digest":{"sha256":"` + strings.Repeat("0", 64) + `"}},"blockers":[{"id":"a","reason":"b"}],"waivers":[],"inputs":[]}}`)},
	{id: "57", title: "a decision that says GO over a red gate", verdict: fail, code: "decision_refuted", change: func(t *testing.T, w *world) {
		again(failing)(t, w)
		decided(statement.Go, "", "ci/20261122T111000Z-00000009")(t, w)
	}},
	{id: "57a", title: "a signed decision that says NO_GO", verdict: fail, code: "no_go", change: noGo(false)},
	{id: "57b", title: "a signed summary that says FAILED", verdict: fail, code: "no_go", change: noGo(true)},
	{id: "57c", title: "a caller who requires a gate without a name", verdict: fail, code: "schema", change: func(_ *testing.T, w *world) { w.opts.Require = []string{""} }},
	{id: "58", title: "the policy swapped after it was pinned", verdict: fail, code: "policy_digest", by: "policy", other: func(t *testing.T) []string {
		w := emptyWorld(t)
		pin := w.decoded(t).SHA256
		w.policy.RequiredGates = w.policy.RequiredGates[:1]
		put(t, w.path("policy.json"), string(w.encoded(t)))
		_, err := policy.Load(w.path("policy.json"), pin)
		return []string{string(strict.ReasonOf(err))}
	}},
	{id: "58a", title: "a decision under another policy", verdict: fail, code: "policy_digest", change: decided(statement.Go, strings.Repeat("0", 64), testRun)},
	{id: "58b", title: "the trusted root swapped", verdict: fail, code: "policy_digest", by: "policy", other: func(t *testing.T) []string {
		w := emptyWorld(t)
		w.trustMachine(t)
		put(t, w.path("policy.json"), string(w.encoded(t)))
		put(t, w.path("trusted_root.json"), "{}")
		_, err := policy.Load(w.path("policy.json"), "")
		return []string{string(strict.ReasonOf(err))}
	}},
	{id: "59", title: "an expired waiver", verdict: fail, code: "waiver_invalid", change: waived(func(w *policy.Waiver) { w.Expires = now })},
	{id: "59a", title: "a waiver for another commit", verdict: fail, code: "waiver_invalid", change: waived(func(w *policy.Waiver) { w.Commit = strings.Repeat("b2", 20) })},
	{id: "59b", title: "a waiver for another version", verdict: fail, code: "waiver_invalid", change: waived(func(w *policy.Waiver) { w.Commit, w.Version = "", version })},
	{id: "59c", title: "a waiver for a gate that the policy does not know", verdict: fail, code: "waiver_invalid", change: waived(func(w *policy.Waiver) { w.Gate = "zz:docs" })},
	{id: "59d", title: "a waiver that its owner granted", verdict: fail, code: "waiver_invalid", change: waived(func(w *policy.Waiver) { w.GrantedBy = " Ann" })},
	{id: "59e", title: "a waiver for another gate than the one that is missing", verdict: fail, code: "missing", change: waived(func(w *policy.Waiver) { w.Gate = "ci:lint" })},
	{id: "59f", title: "a waiver for a hard gate", verdict: fail, code: "waiver_invalid", change: func(t *testing.T, w *world) {
		waived(func(*policy.Waiver) {})(t, w)
		w.policy.HardGates = []string{"ci:*"}
	}},
	{id: "59g", title: "a waiver of a broken seal", verdict: fail, code: "schema", by: "policy", other: refused(func(p *policy.Policy) {
		p.Waivers = []policy.Waiver{{Gate: "ci:test", Code: "digest_mismatch", Commit: commit, Owner: "ann", GrantedBy: "bob", Reason: "x", Expires: now}}
	})},
	{id: "60", title: "the same evidence judged again, elsewhere, gives other bytes", verdict: pass, other: func(t *testing.T) []string {
		w := newWorld(t)
		first, second := shown(w.verify(t)), shown(w.copied(t).verify(t))
		if first != second {
			return []string{"differs"}
		}
		return codes(w.verify(t))
	}},
}

// notShown are the codes that no attack of the table leads to, each with the reason.
var notShown = map[verify.Code]string{
	verify.CodeLogUnread:             "the system refused, which it never does for the super-user that tests may run as",
	verify.Code(seal.CodeUnreadable): "the same",
	verify.Code(seal.CodeChanged):    "a race; its test is in package seal",
}

func TestEveryCodeIsShown(t *testing.T) {
	t.Parallel()
	shown := map[verify.Code]bool{}
	for _, a := range attacks {
		shown[verify.Code(a.code)] = true
	}
	for _, r := range verify.Reasons() {
		assert.Check(t, shown[r.Code] != (notShown[r.Code] != ""), "%s", r.Code)
	}
}

// TestAttackPage holds that the page lists what the table has:
// go test ./evidence/verify -run AttackPage -update
func TestAttackPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# What is done to evidence, and what comes of it

Each row is a test: it does to a release that is all good what the row says, and holds that the verification comes to
the verdict with the code. The numbers are those of the catalogue that the tests began with; a letter behind one is a
sibling of it. What a code means and what to do: [runbook](runbooks.md#evidence-policy).

This page is made from the table in ` + "`evidence/verify/attacks_test.go`" + ` by
` + "`go test ./evidence/verify -run AttackPage -update`" + `.

| # | Attack | Verdict | Code | Refused by |
| --- | --- | --- | --- | --- |
`)
	n := 0
	for _, a := range attacks {
		by, code := a.by, "`"+a.code+"`"
		if by == "" {
			by = "verify"
		}
		if a.code == "" {
			code, by = "", ""
		} else {
			n++
			by = "`evidence/" + by + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", a.id, strings.ReplaceAll(a.title, "|", "\\|"), a.verdict, code, by)
	}
	fmt.Fprintf(&b, "\n%d attacks, and %d rows that show what is not refused.\n", n, len(attacks)-n)
	generated(t, "../../docs/attacks.md", b.String())
}

// generated holds that a file is what it is made from, or makes it.
func generated(t *testing.T, name, want string) {
	t.Helper()
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(name, []byte(want), 0o644))
	}
	assert.Equal(t, get(t, name), want, "%s is not up to date: run the test with -update", name)
}

func codes(r verify.Report) []string {
	var list []string
	for _, c := range r.Codes() {
		list = append(list, string(c))
	}
	return list
}

func sealCodes(err error) []string {
	var refused *seal.Error
	var list []string
	if errors.As(err, &refused) {
		for _, p := range refused.Problems {
			list = append(list, string(p.Code))
		}
	}
	return list
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	good := newWorld(t)
	for _, a := range attacks {
		t.Run(a.id+" "+a.title, func(t *testing.T) {
			t.Parallel()
			if a.other != nil {
				found := a.other(t)
				assert.Equal(t, len(found) > 0, a.verdict != pass, "%v", found)
				assert.Assert(t, a.code == "" || slices.Contains(found, a.code), "wanted %s, found %v", a.code, found)
				return
			}
			w := good.copied(t)
			a.change(t, w)
			r := w.verify(t)
			assert.Equal(t, r.Verdict, a.verdict, "%s", shown(r))
			assert.Assert(t, a.code == "" || r.Has(verify.Code(a.code)), "wanted %s: %s", a.code, shown(r))
			for _, code := range r.Codes() {
				assert.Assert(t, verify.ReasonOf(code).Means != "", "%s is not explained", code)
			}
		})
	}
}

// TestEveryCodeIsExplained holds that each code says what it means and what to do. The runbook is made of it.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	for _, r := range verify.Reasons() {
		assert.Check(t, r.Means != "" && r.Fix != "" && (r.Verdict == fail || r.Verdict == unverified), "%s", r.Code)
	}
}
