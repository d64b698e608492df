package verify_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/evidence/verify"
)

const (
	logName    = "example.com/evidence"
	repository = "https://github.com/dpone/dpone"
	ref        = "refs/heads/main"
	version    = "v1.2.3"
)

var (
	commit = strings.Repeat("a1", 20)
	now    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// world is a directory of evidence of a release, all of which is good, and the
// keys of those who made it.
type world struct {
	root   string
	policy policy.Policy
	opts   verify.Options
	// key signs statements, other is a key that nobody trusts.
	key, other *sign.Key
	logKey     note.Signer
	vkey       string
	// file says that the policy lies in the root and is read from there.
	file bool
}

func keyOf(t testing.TB, name string) *sign.Key {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	assert.NilError(t, err)
	key, err := sign.LoadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	assert.NilError(t, err)
	return key
}

// made is what is special about a run.
type made struct {
	gate, area, run string
	change          func(r *evidence.Record)
	files           map[string]string
	signer          sign.Signer
	// unlogged and unsigned leave that out.
	unlogged, unsigned bool
}

// newRecord is the record of a green run.
func newRecord(gate, run string) *evidence.Record {
	return &evidence.Record{
		Stable: evidence.Stable{
			Gate:        evidence.Gate{ID: gate, Doc: "It is so.", Runbook: "docs/runbooks.md#x"},
			Invocation:  evidence.Invocation{Target: gate, Command: "mage " + gate, Options: []byte("{}")},
			Source:      evidence.Source{Commit: commit},
			Environment: evidence.Environment{OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{}},
			Inputs:      []evidence.File{}, Outputs: []evidence.File{}, Warnings: []string{}, Skips: []evidence.Skipping{}, Blockers: []evidence.Blocker{},
			Steps: []evidence.Step{{
				ID: gate, Doc: "It is so.", Runbook: "docs/runbooks.md#x", Needs: []string{}, Commands: []string{}, Reproduce: "mage " + gate,
				Checks: []evidence.Check{evidence.Expect("x.ok", "it", true, "so", "so", "")},
			}},
		},
		Volatile: evidence.Volatile{
			Run: run, Started: now.Add(-time.Hour), Finished: now.Add(-time.Hour + time.Minute), DurationMS: 60_000,
			Origin: evidence.Origin{Repository: repository, Ref: ref},
			Host:   evidence.Host{Name: "runner", CPUs: 2},
			CI: evidence.CI{
				Provider: "github", Workflow: "ci", Event: "push", RunID: "77", Attempt: "2", URL: repository + "/actions/runs/77",
			},
			SecretNames: []string{}, Circumstances: []evidence.NameValue{}, Measurements: []evidence.Measurement{}, Notes: []string{},
			Steps: []evidence.StepRun{{ID: gate, Started: now.Add(-time.Hour), DurationMS: 1, Log: "logs/a.log"}},
		},
	}
}

// failing, skipping and broken change what a run came to.
func failing(r *evidence.Record) {
	r.Stable.Steps[0].Checks = []evidence.Check{evidence.Expect("x.ok", "it", false, "not so", "so", "mend it")}
	r.Stable.Blockers = []evidence.Blocker{{ID: "x.ok", Reason: "it: not so", Runbook: "docs/runbooks.md#x"}}
}

func skipping(r *evidence.Record) {
	r.Stable.Steps[0].Checks = []evidence.Check{evidence.Skipped("x.ok", "it", "so", "no time", "")}
}

func broken(r *evidence.Record) {
	r.Stable.Steps[0].Cause, r.Stable.Steps[0].Reason = evidence.CauseBroken, "the tool broke"
	r.Stable.Steps[0].Checks = []evidence.Check{}
}

func put(t testing.TB, name, content string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(content), 0o644))
}

func get(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	assert.NilError(t, err)
	return string(raw)
}

func (w *world) path(parts ...string) string {
	return filepath.Join(append([]string{w.root}, parts...)...)
}

// run makes the folder of a run, seals, logs and signs it.
func (w *world) run(t testing.TB, m made) string {
	t.Helper()
	if m.run == "" {
		m.run = "20261122T110000Z-0000000" + fmt.Sprint(len(m.gate)%10)
	}
	dir := w.path(m.area, m.run)
	record := newRecord(m.gate, m.run)
	if m.change != nil {
		m.change(record)
	}
	assert.NilError(t, record.Seal())
	raw, err := record.Encode()
	assert.NilError(t, err)
	put(t, filepath.Join(dir, folder.RecordJSON), string(raw))
	put(t, filepath.Join(dir, folder.RecordMD), render.Markdown(record))
	put(t, filepath.Join(dir, folder.JUnitXML), "<testsuites name=\"x\"></testsuites>\n")
	put(t, filepath.Join(dir, "logs", "a.log"), "all is well\n")
	for name, content := range m.files {
		put(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	w.seal(t, dir, record, raw, m)
	return dir
}

// seal seals, logs and signs a folder.
func (w *world) seal(t testing.TB, dir string, record *evidence.Record, raw []byte, m made) {
	t.Helper()
	index, err := seal.Seal(t.Context(), dir, seal.Options{Outside: attest.Outside()})
	assert.NilError(t, err)
	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])
	if !m.unlogged {
		entry, err := tlog.Entry{
			Run: m.area + "/" + m.run, IndexSHA256: index.SHA256, RecordSHA256: digest,
			Verdict: record.Verdict, Commit: record.Stable.Source.Commit, Time: record.Volatile.Finished,
		}.Encode()
		assert.NilError(t, err)
		proof := w.append(t, entry)
		put(t, filepath.Join(dir, attest.Dir, attest.ProofName), string(proof))
		put(t, filepath.Join(dir, attest.Dir, attest.EntryName), string(entry))
	}
	if m.unsigned {
		return
	}
	signer := m.signer
	if signer == nil {
		signer = w.key
	}
	_, err = attest.Sign(t.Context(), dir, record, digest, index, signer)
	assert.NilError(t, err)
}

func (w *world) append(t testing.TB, entry []byte) []byte {
	t.Helper()
	verifier, err := note.NewVerifier(w.vkey)
	assert.NilError(t, err)
	l, err := tlog.Open(w.path("evidence_log"), tlog.Options{
		Origin: logName, Signer: w.logKey, Verifier: verifier, Create: true, Remember: w.path("evidence_log.checkpoint"),
	})
	assert.NilError(t, err)
	defer l.Close()
	n, err := l.Append(context.Background(), [][]byte{entry})
	assert.NilError(t, err)
	proof, err := l.WriteProof(n)
	assert.NilError(t, err)
	return proof
}

// noteKey is a key pair for logs that is the same each time.
func noteKey(t testing.TB, seed string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(bytes.NewReader(append([]byte(seed), make([]byte, 64)...)), logName)
	assert.NilError(t, err)
	signer, err := note.NewSigner(skey)
	assert.NilError(t, err)
	return signer, vkey
}

// emptyWorld has keys and a policy, and no evidence.
func emptyWorld(t testing.TB) *world {
	t.Helper()
	w := &world{root: t.TempDir(), key: keyOf(t, "trusted"), other: keyOf(t, "other")}
	w.logKey, w.vkey = noteKey(t, "log")
	w.policy = policy.Policy{
		Schema: policy.Schema, Name: "release", Use: policy.Release,
		Subject: policy.Subject{Repository: repository, Ref: ref},
		MaxAge:  policy.Duration(24 * time.Hour),
		Signers: []policy.Signer{{
			Name: "ci", Kind: policy.KindKey, PublicKey: string(w.key.PublicPEM()), Gates: []string{"ci:*", "release:attest"},
			PredicateTypes: []string{statement.ProvenanceType, statement.CycloneDXType, statement.DecisionType, statement.ReleaseType, statement.VSAType},
			Builders:       []string{statement.BuilderGitHubHosted},
		}},
		Log:           &policy.Log{Verifier: w.vkey},
		RequiredGates: []string{"ci:lint", "ci:test"},
		KnownGates:    []string{"release:*"},
	}
	w.opts = verify.Options{Now: now, Ask: policy.Ask{Commit: commit, Run: "77/2"}}
	return w
}

// newWorld is a small release, all good: two gates, release evidence with a
// binary beside it, a log.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := emptyWorld(t)
	w.run(t, made{gate: "ci:test", area: "ci"})
	w.run(t, made{gate: "ci:lint", area: "ci", run: "20261122T110500Z-00000002"})
	w.release(t)
	return w
}

// release adds a binary, its provenance in a run folder, and a list of checksums.
func (w *world) release(t testing.TB) {
	t.Helper()
	const binary = "\x7fELF: not really\n"
	put(t, w.path("dist", "dpone"), binary)
	sum := sha256.Sum256([]byte(binary))
	digest := hex.EncodeToString(sum[:])
	put(t, w.path("dist", "SHA256SUMS"), digest+"  dpone\n")
	raw := w.provenance(t, digest, nil)
	bundle, err := w.key.Sign(t.Context(), raw)
	assert.NilError(t, err)
	w.run(t, made{gate: "release:attest", area: "supply-chain", files: map[string]string{
		"provenance.intoto.json": string(raw), "provenance.sigstore.json": string(bundle),
	}})
}

// provenance is a statement of how a file was built.
func (w *world) provenance(t testing.TB, digest string, change func(*statement.MageBuild)) []byte {
	t.Helper()
	b := statement.MageBuild{
		External: statement.External{
			Source: statement.ExternalSource{Repository: repository, Ref: ref}, Mage: statement.ExternalMage{Dir: ".", Targets: []string{"build"}},
		},
		Internal: statement.Internal{
			Provider: "github", Event: "push", RunID: "77", Attempt: "2", RunnerEnvironment: "github-hosted", GOOS: "linux", GOARCH: "amd64", GoVersion: "go1.26.8",
		},
		Dependencies: []statement.ResourceDescriptor{{URI: "git+" + repository + "@" + ref, Digest: statement.DigestSet{"gitCommit": commit}}},
		BuilderID:    statement.BuilderGitHubHosted,
		InvocationID: repository + "/actions/runs/77/attempts/2",
		Started:      now.Add(-time.Hour), Finished: now.Add(-30 * time.Minute),
	}
	if change != nil {
		change(&b)
	}
	predicate, err := statement.NewProvenance(b)
	assert.NilError(t, err)
	s, err := statement.New([]statement.ResourceDescriptor{{Name: "dpone", Digest: statement.DigestSet{"sha256": digest}}}, predicate)
	assert.NilError(t, err)
	raw, err := s.Encode()
	assert.NilError(t, err)
	return raw
}

// decoded is the policy as a reader has it.
func (w *world) decoded(t testing.TB) *policy.Policy {
	t.Helper()
	p, err := policy.Decode(w.encoded(t))
	assert.NilError(t, err)
	return p
}

func (w *world) encoded(t testing.TB) []byte {
	t.Helper()
	raw, err := json.MarshalIndent(w.policy, "", "  ")
	assert.NilError(t, err)
	return raw
}

func (w *world) verify(t testing.TB) verify.Report {
	t.Helper()
	opts := w.opts
	if w.file {
		// With the trusted root, which only a file names.
		put(t, w.path("policy.json"), string(w.encoded(t)))
		loaded, err := policy.Load(w.path("policy.json"), "")
		assert.NilError(t, err)
		opts.Policy = loaded
	} else {
		opts.Policy = w.decoded(t)
	}
	return verify.Verify(context.Background(), w.root, opts)
}

// copied is the same world in another place.
func (w *world) copied(t testing.TB) *world {
	t.Helper()
	c := *w
	c.root = t.TempDir()
	assert.NilError(t, os.CopyFS(c.root, os.DirFS(w.root)))
	// What is changed in one world does not change another.
	c.policy.Signers = append([]policy.Signer{}, w.policy.Signers...)
	c.policy.RequiredGates = append([]string{}, w.policy.RequiredGates...)
	return &c
}

func shown(r verify.Report) string {
	raw, err := r.Encode()
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
