package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/verify"
)

func gate(t testing.TB, r verify.Report, name string) verify.Gate {
	t.Helper()
	for _, g := range r.Gates {
		if g.Gate == name {
			return g
		}
	}
	t.Fatalf("%s is not among %v", name, r.Gates)
	return verify.Gate{}
}

func noted(r verify.Report, text string) bool {
	return slices.ContainsFunc(r.Notes, func(n verify.Note) bool { return strings.Contains(n.Detail, text) })
}

func TestWhatIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.verify(t)
	g := gate(t, r, "ci:test")
	assert.DeepEqual(t, g, verify.Gate{
		Gate: "ci:test", Required: true, Verdict: pass, Result: pass, Path: testRun, Run: filepath.Base(testRun), CI: "77/2", Commit: commit,
		Finished: now.Add(-59 * time.Minute), AgeSeconds: 59 * 60, Signer: "ci", Class: sign.ClassSigned, Logged: true, Codes: []verify.Code{},
	})
	assert.Equal(t, len(r.Statements), 7)
	assert.Equal(t, r.Logs[0].Trust, "signed")
	assert.Equal(t, r.Artifacts[1].Path, "dist/dpone")
	assert.Assert(t, r.Artifacts[1].Claimed)
	assert.Equal(t, len(r.Notes), 0, "%v", r.Notes)
}

// TestAllProblemsInOnePass does many things at once, and each is found.
func TestAllProblemsInOnePass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := []string{"waiver_invalid"}
	waived(func(w *policy.Waiver) { w.Expires = now })(t, w)
	w.run(t, made{gate: "ci:docs", area: "ci", run: "20261122T111500Z-0000000a", change: func(r *evidence.Record) { r.Volatile.Origin.Ref = "refs/heads/mine" }})
	want = append(want, "wrong_ref")
	for _, id := range []string{"1", "1c", "3", "3a", "31", "34a", "39a", "52a"} {
		i := slices.IndexFunc(attacks, func(a attack) bool { return a.id == id })
		attacks[i].change(t, w)
		want = append(want, attacks[i].code)
	}
	r := w.verify(t)
	for _, code := range want {
		assert.Check(t, r.Has(verify.Code(code)), "%s: %v", code, r.Codes())
	}
}

func TestTheNewestCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Another attempt was red before, and one is of the commit before: both are set aside.
	w.policy.Subject.Run, w.opts.Ask.Run = policy.Any, ""
	w.run(t, made{gate: "ci:test", area: "ci", run: "20261122T100000Z-0000000a", change: func(r *evidence.Record) {
		failing(r)
		r.Volatile.CI.Attempt = "1"
		r.Volatile.Finished = now.Add(-2 * time.Hour)
		r.Volatile.Started = r.Volatile.Finished
	}})
	w.run(t, made{gate: "ci:test", area: "ci", run: "20261122T113000Z-0000000b", change: func(r *evidence.Record) {
		r.Stable.Source.Commit = strings.Repeat("b2", 20)
		r.Volatile.Finished = now
	}})
	w.run(t, made{gate: "ci:test", area: "ci", run: "20261122T113500Z-0000000c", change: func(r *evidence.Record) {
		r.Stable.Partial = true
		r.Volatile.CI.Attempt = "3"
		r.Volatile.Finished = now
	}})
	assert.NilError(t, os.CopyFS(w.path("copy"), os.DirFS(w.path(testRun))))
	assert.NilError(t, os.Symlink(filepath.Base(testRun), w.path("ci", "latest")))
	r := w.verify(t)
	assert.Equal(t, r.Verdict, pass, shown(r))
	g := gate(t, r, "ci:test")
	assert.Equal(t, g.Run, filepath.Base(testRun))
	for _, text := range []string{"a newer run of the gate counts: 20261122T100000Z-0000000a said FAIL", "about another commit", "of a part of the gate", "a second copy"} {
		assert.Assert(t, noted(r, text), "%s: %v", text, r.Notes)
	}
	// And when the red one is the newest, it counts.
	w.run(t, made{gate: "ci:test", area: "ci", run: "20261122T115500Z-0000000d", change: func(r *evidence.Record) {
		failing(r)
		r.Volatile.CI.Attempt = "4"
		r.Volatile.Finished = now
	}})
	r = w.verify(t)
	assert.Assert(t, r.Has(verify.CodeGateFailed), shown(r))
	// Taken away again, its entry in the log remains.
	assert.NilError(t, os.RemoveAll(w.path("ci", "20261122T115500Z-0000000d")))
	r = w.verify(t)
	assert.Assert(t, noted(r, "1 more runs of the commit, which are not here: ci/20261122T115500Z-0000000d (FAIL)"), "%v", r.Notes)
}

func TestWaived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	waived(func(*policy.Waiver) {})(t, w)
	r := w.verify(t)
	assert.Equal(t, r.Verdict, pass, shown(r))
	assert.Equal(t, len(r.Waived), 1)
	assert.Equal(t, r.Waived[0].WaivedBy, "bob")
	assert.Equal(t, gate(t, r, "ci:docs").Verdict, pass)

	// A red gate, by its blockers: all of them have to be waived.
	red := newWorld(t)
	again(func(r *evidence.Record) {
		failing(r)
		r.Stable.Blockers = append(r.Stable.Blockers, evidence.Blocker{ID: "x.more", Reason: "and more", Runbook: "r#x"})
	})(t, red)
	grant := func(blocker string) policy.Waiver {
		return policy.Waiver{Blocker: blocker, Code: "gate_failed", Commit: commit, Owner: "ann", GrantedBy: "bob", Reason: "known", Expires: now.Add(time.Hour)}
	}
	red.policy.Waivers = []policy.Waiver{grant("x.ok")}
	r = red.verify(t)
	assert.Assert(t, r.Has(verify.CodeGateFailed))
	red.policy.Waivers = append(red.policy.Waivers, grant("x.more"))
	r = red.verify(t)
	assert.Equal(t, r.Verdict, pass, shown(r))
	red.policy.HardGates = []string{"ci:*"}
	r = red.verify(t)
	assert.Assert(t, r.Has(verify.CodeGateFailed), "a hard gate is not waived by its blockers either")
}

// A policy without signers leaves it to the log.
func TestTheLogAlone(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.policy.Use, w.policy.Signers, w.policy.RequiredGates = policy.Local, []policy.Signer{}, []string{"ci:test"}
	w.run(t, made{gate: "ci:test", area: "ci", unsigned: true})
	r := w.verify(t)
	assert.Equal(t, r.Verdict, pass, shown(r))
	assert.Equal(t, gate(t, r, "ci:test").Class, "LOGGED")
	// The proof is enough.
	for _, name := range []string{"evidence_log", "evidence_log.checkpoint", "evidence_log.checkpoint.lock"} {
		assert.NilError(t, os.RemoveAll(w.path(name)))
	}
	r = w.verify(t)
	assert.Equal(t, r.Verdict, pass, shown(r))
	assert.NilError(t, os.RemoveAll(w.path(testRun, attest.Dir)))
	r = w.verify(t)
	assert.DeepEqual(t, codes(r), []string{"unlogged", "unsigned"})
}

// A sealed folder with run folders in it, as a download may be.
func TestFoldersInAFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := seal.Seal(t.Context(), w.root, seal.Options{})
	assert.NilError(t, err)
	r := w.verify(t)
	assert.Equal(t, len(r.Folders), 4)
	assert.Equal(t, r.Folders[0].Path, ".")
	assert.Equal(t, gate(t, r, "ci:test").Signer, "ci", shown(r))
	put(t, w.path(testRun, "attestations", "x"), "x")
	r = w.verify(t)
	assert.Assert(t, r.Has("unlisted_artifact"))

	// One that two indexes list is looked at once.
	w = newWorld(t)
	for _, dir := range []string{w.path("ci"), w.root} {
		_, err := seal.Seal(t.Context(), dir, seal.Options{})
		assert.NilError(t, err)
	}
	r = w.verify(t)
	assert.Equal(t, len(r.Folders), 5, shown(r))
	assert.Assert(t, r.Has(verify.CodeUnclaimed), "nobody signed the outer index")
}

// A signed statement about a gate counts for nothing without its run folder.
func TestAGateStatementAlone(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t)
	w.policy.Use, w.policy.RequiredGates, w.policy.Log = policy.Local, []string{}, nil
	w.run(t, made{gate: "ci:test", area: "ci", change: failing})
	put(t, w.path("x", "a.sigstore.json"), get(t, w.bundle(t, testRun)))
	put(t, w.path("x", "b", "index.json"), get(t, w.path(testRun, "index.json")))
	// The subject, under a name that makes no folder a sealed one.
	for _, name := range []string{"ci", "evidence_log", "evidence_log.checkpoint", "evidence_log.checkpoint.lock"} {
		assert.NilError(t, os.RemoveAll(w.path(name)))
	}
	assert.NilError(t, os.Rename(w.path("x", "b", "index.json"), w.path("x", "b", "index")))
	r := w.verify(t)
	assert.Equal(t, r.Verdict, unverified, shown(r))
	assert.Assert(t, noted(r, "of its run folder alone"))
}

func TestWithoutAPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := verify.Verify(t.Context(), w.root, w.opts)
	assert.Equal(t, r.Verdict, unverified)
	assert.Equal(t, gate(t, r, "ci:test").Verdict, unverified)
	edit(testRun+"/record.md", func(s string) string { return "x" + s[1:] })(t, w)
	r = verify.Verify(t.Context(), w.root, w.opts)
	assert.Equal(t, r.Verdict, fail)
	// No time, no verdict.
	r = verify.Verify(t.Context(), w.root, verify.Options{})
	assert.Equal(t, r.Verdict, fail)
	r = verify.Verify(t.Context(), w.path("no-such"), w.opts)
	assert.Assert(t, r.Has("missing_artifact"))
	r = verify.Verify(t.Context(), w.path("dist", "dpone"), w.opts)
	assert.Assert(t, r.Has("not_regular_file"))
}

// The report says nothing of where the evidence lies, not even when the name of
// the place is like a part of it.
func TestPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	again(failing)(t, w)
	edit("evidence_log/checkpoint", func(s string) string { return "x" + s })(t, w)
	opts := w.opts
	opts.Policy = w.decoded(t)
	var first string
	for _, dir := range []string{"ci", "a b/evidence_log", "x/ci:test/77"} {
		root := filepath.Join(t.TempDir(), filepath.FromSlash(dir))
		assert.NilError(t, os.MkdirAll(filepath.Dir(root), 0o755))
		assert.NilError(t, os.CopyFS(root, os.DirFS(w.root)))
		got := shown(verify.Verify(context.Background(), root, opts))
		assert.Assert(t, !strings.Contains(got, root))
		if first == "" {
			first = got
		}
		assert.Equal(t, got, first)
	}
}
