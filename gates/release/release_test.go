package release_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/release"
)

func report(t *testing.T, o gates.Outcome) release.Report {
	t.Helper()
	var r release.Report
	dec := json.NewDecoder(bytes.NewReader(read(t, o, "supply_chain_attestation.json")))
	dec.DisallowUnknownFields()
	assert.NilError(t, dec.Decode(&r))
	assert.Equal(t, r.Passed, r.Verdict == evidence.Pass)
	assert.Equal(t, r.Verdict, o.Record.Verdict)
	assert.Assert(t, r.Passed == (len(r.Blockers) == 0))
	for _, a := range r.Artifacts {
		assert.Equal(t, sum(read(t, o, a.Path)), a.SHA256)
	}
	return r
}

func TestGreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass, "%+v", o.Record.Stable.Blockers)
	assert.Equal(t, o.ExitCode(), 0)
	assert.DeepEqual(t, files(t, o), []string{
		"SHA256SUMS", "provenance.intoto.json", "provenance.sigstore.json", "release.intoto.json", "release.sigstore.json",
		"sbom.cyclonedx.json", "sbom.intoto.json", "sbom.sigstore.json", "sbom.spdx.json", "supply_chain_attestation.json", "supply_chain_attestation.md",
	})
	assert.Equal(t, filepath.Base(filepath.Dir(o.Folder)), "supply-chain")
	for _, code := range []string{
		"attest.subject", "attest.subject.name", "attest.commit", "attest.commit.head", "attest.tree", "attest.tag", "attest.repository",
		"attest.binary", "attest.binary.module", "attest.binary.commit", "attest.binary.version", "attest.sbom", "attest.builder", "attest.target",
		"attest.toolchain", "attest.provenance", "attest.leak", "attest.checksums", "attest.bundle", "attest.signed",
	} {
		checks := find(o, code)
		assert.Check(t, len(checks) > 0, code)
		for _, c := range checks {
			assert.Check(t, c.Verdict == evidence.Pass, "%+v", c)
		}
	}
	r := report(t, o)
	assert.Equal(t, r.SLSALevel, "SLSA Build L1")
	assert.Equal(t, r.BuilderID, statement.BuilderLocal)
	assert.Equal(t, r.Ref, "refs/tags/"+version)
	assert.Equal(t, len(r.Artifacts), 9)
	assert.Equal(t, len(r.Signatures), 3)
	for _, s := range r.Signatures {
		assert.Equal(t, s.State, "signed")
		assert.Equal(t, s.Class, sign.ClassSigned)
		assert.Equal(t, sum(read(t, o, s.Statement)), s.StatementSHA256)
	}
	roles := map[seal.Role]int{}
	for _, f := range seal.Verify(t.Context(), o.Folder, seal.Options{}).Index.Files {
		roles[f.Role]++
	}
	assert.Equal(t, roles[seal.RoleBundle], 3)
	assert.Equal(t, roles[seal.RoleStatement], 3)
	assert.Equal(t, roles[seal.RoleSBOM], 2)
	assert.Equal(t, roles[seal.RoleChecksums], 1)
}

// TestStatements reads what was stated as somebody with the public key does.
func TestStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Args = []string{"-v"}
	w.env["GOFLAGS"], w.env["CGO_ENABLED"] = "-trimpath", "0"
	o := w.attest(t)
	assert.Equal(t, o.ExitCode(), 0)
	trust, err := sign.NewTrust(sign.TrustedKey{Name: "release", PublicPEM: theKey(t).PublicPEM()})
	assert.NilError(t, err)
	open := func(name, predicate string) *statement.Statement {
		v, err := sign.VerifyBundle(read(t, o, name), trust, sign.Options{At: time.Now(), PredicateType: predicate})
		assert.NilError(t, err, name)
		assert.Equal(t, string(v.Payload), string(read(t, o, strings.Replace(name, "sigstore", "intoto", 1))))
		return v.Statement
	}
	app, err := os.ReadFile(filepath.Join(w.root, "dist/app"))
	assert.NilError(t, err)

	s := open("provenance.sigstore.json", statement.ProvenanceType)
	assert.Equal(t, len(s.Subject), 2)
	assert.Equal(t, s.Subject[0].Name, "app")
	assert.Equal(t, s.Subject[0].Digest["sha256"], sum(app))
	p, err := statement.As[statement.Provenance](s)
	assert.NilError(t, err)
	external, internal, err := p.Mage()
	assert.NilError(t, err)
	assert.DeepEqual(t, external, statement.External{
		Source:  statement.ExternalSource{Repository: repository, Ref: "refs/tags/" + version},
		Mage:    statement.ExternalMage{Dir: ".", Targets: []string{"build"}, Args: []string{"-v"}},
		GoFlags: "-trimpath", Env: []string{"CGO_ENABLED", "GOFLAGS"},
	})
	assert.Equal(t, internal.Provider, "local")
	byproducts := map[string]string{}
	for _, d := range p.RunDetails.Byproducts {
		byproducts[d.Name] = d.Digest["sha256"]
	}
	for _, name := range []string{"sbom.cyclonedx.json", "sbom.spdx.json", "SHA256SUMS"} {
		assert.Equal(t, byproducts[name], sum(read(t, o, name)), name)
	}
	// The digests of the source, by tools that are not ours.
	digests := map[string]statement.DigestSet{}
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		digests[d.Name] = d.Digest
	}
	assert.Equal(t, digests["source"]["gitCommit"], fixture.commit)
	out := shell(t, w.root, "git ls-files magefiles | LC_ALL=C sort | xargs sha256sum | sha256sum")
	assert.Equal(t, digests["magefiles"]["dirHash1"], strings.Fields(out)[0])
	assert.Equal(t, digests["go.mod"]["sha256"], strings.Fields(shell(t, w.root, "sha256sum go.mod"))[0])

	s = open("sbom.sigstore.json", statement.CycloneDXType)
	assert.Equal(t, len(s.Subject), 1)
	assert.Equal(t, s.Subject[0].Digest["sha256"], sum(app))
	bom, err := statement.As[statement.CycloneDX](s)
	assert.NilError(t, err)
	var compact bytes.Buffer
	assert.NilError(t, json.Compact(&compact, read(t, o, "sbom.cyclonedx.json")))
	assert.Equal(t, string(bom.Document()), compact.String())

	s = open("release.sigstore.json", statement.ReleaseType)
	assert.Equal(t, len(s.Subject), 2)
	rel, err := statement.As[statement.Release](s)
	assert.NilError(t, err)
	assert.Equal(t, rel.PURL, "pkg:golang/github.com/example/app@"+version)
	assert.Equal(t, rel.PackageID, "pkg:golang/github.com/example/app")
}

func shell(t *testing.T, dir, line string) string {
	t.Helper()
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Skip("there is no sha256sum here")
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	return string(out)
}

// TestChecksumsAreForSha256sum has the real tool check what was downloaded.
func TestChecksumsAreForSha256sum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(t, "dist/deep/er/~a+b@c-1_2.tar.gz", "not really")
	w.options.Subjects = []string{"dist/app", "dist/notes.txt", "dist/deep/*/*"}
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Fail, "a name that begins with ~")
	assert.NilError(t, os.Rename(filepath.Join(w.root, "dist/deep/er/~a+b@c-1_2.tar.gz"), filepath.Join(w.root, "dist/deep/er/a~+b@c-1_2.tar.gz")))
	o = w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass)
	shell(t, w.root, "cp dist/deep/er/* dist/ && cp "+o.Folder+"/SHA256SUMS dist/")
	assert.Equal(t, shell(t, filepath.Join(w.root, "dist"), "sha256sum --strict -c SHA256SUMS"), "app: OK\na~+b@c-1_2.tar.gz: OK\nnotes.txt: OK\n")
	w.text(t, "dist/notes.txt", "What is new: nothing.\n")
	out := shell(t, filepath.Join(w.root, "dist"), "sha256sum --strict -c SHA256SUMS || true")
	assert.Assert(t, strings.Contains(out, "notes.txt: FAILED"), out)
}

// TestRepeated holds that two attestations of one release differ in times alone.
func TestRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ship(t, good)
	first, second := w.attest(t), w.attest(t)
	assert.Equal(t, first.Record.StableDigest, second.Record.StableDigest)
	clock := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	for _, name := range files(t, first) {
		a, b := read(t, first, name), read(t, second, name)
		switch name {
		case "provenance.sigstore.json":
			continue // its statement is compared
		case "provenance.intoto.json":
			a, b = clock.ReplaceAll(a, []byte("TIME")), clock.ReplaceAll(b, []byte("TIME"))
		case "supply_chain_attestation.json", "supply_chain_attestation.md":
			// What they say of the provenance, whose times differ.
			hexes := regexp.MustCompile(`[0-9a-f]{64}`)
			for _, raw := range []*[]byte{&a, &b} {
				*raw = clock.ReplaceAll(*raw, []byte("TIME"))
				lines := strings.Split(string(*raw), "\n")
				for i, l := range lines {
					if strings.Contains(strings.Join(lines[max(0, i-3):i+1], ""), "provenance") {
						lines[i] = hexes.ReplaceAllString(l, "HEX")
					}
				}
				*raw = []byte(strings.Join(lines, "\n"))
			}
		}
		assert.Equal(t, string(a), string(b), name)
	}
}

// TestRed plants one defect each, and holds which check sees it, and that
// nothing is signed.
func TestRed(t *testing.T) {
	t.Parallel()
	const fail, unclear = evidence.Fail, evidence.Unverified
	for name, c := range map[string]struct {
		change  func(t *testing.T, w *world)
		code    string
		verdict evidence.Verdict
		says    string // in what was observed, or the reason
	}{
		"no such subject": {func(_ *testing.T, w *world) { w.options.Subjects = []string{"dist/none"} }, "attest.subject", fail, "it is not there"},
		"no match":        {func(_ *testing.T, w *world) { w.options.Subjects = append(w.options.Subjects, "dist/*.whl") }, "attest.subject", fail, "no file has such a name"},
		"no such commit":  {func(_ *testing.T, w *world) { w.options.Commit = strings.Repeat("1", 40) }, "attest.commit", fail, "no such commit here"},
		"the name of a tag": {func(t *testing.T, w *world) {
			w.options.Commit = strings.TrimSpace(shell(t, w.root, "git rev-parse "+version))
		}, "attest.commit", fail, ""},
		"not HEAD":       {func(_ *testing.T, w *world) { w.options.Commit = fixture.older }, "attest.commit.head", fail, "HEAD is "},
		"a changed file": {func(t *testing.T, w *world) { w.text(t, "app.go", "package main\n") }, "attest.tree", fail, "app.go differs"},
		"a new file":     {func(t *testing.T, w *world) { w.text(t, "new.txt", "x") }, "attest.tree", fail, "new.txt differs"},
		"a hidden change": {func(t *testing.T, w *world) {
			shell(t, w.root, "git update-index --skip-worktree app.go && echo // >> app.go")
		}, "attest.tree", fail, "app.go differs"},
		"dist not ignored": {func(t *testing.T, w *world) {
			w.text(t, "out/x.txt", "x")
			w.options.Subjects = append(w.options.Subjects, "out/x.txt")
		}, "attest.tree", fail, "out/x.txt differs"},
		"no tag":             {func(t *testing.T, w *world) { shell(t, w.root, "git tag -d "+version) }, "attest.tag", unclear, "there is no such tag here"},
		"a tag of another":   {func(t *testing.T, w *world) { shell(t, w.root, "git tag -f "+version+" "+fixture.older) }, "attest.tag", fail, "tag of "},
		"another repository": {func(_ *testing.T, w *world) { w.options.Repository = "https://github.com/example/fork" }, "attest.repository", fail, "github.com/example/app"},
		"no remote":          {func(t *testing.T, w *world) { shell(t, w.root, "git remote remove origin") }, "attest.repository", unclear, "no remote"},
		"replaced by git": {func(t *testing.T, w *world) {
			shell(t, w.root, "git tag -f "+version+" "+fixture.older+" && git replace -f "+fixture.older+" "+fixture.commit)
		}, "attest.tag", fail, "tag of " + fixture.older},

		"a program of another commit": {program(older), "attest.binary.commit", fail, fixture.older},
		"a program of changes":        {program(dirty), "attest.binary.commit", fail, "with changes"},
		"a program of another tag":    {program(mistagged), "attest.binary.version", fail, "v1.2.2"},
		"a program of another module": {program(foreign), "attest.binary.module", fail, "example.org/other"},
		"an unstamped program":        {program(unstamped), "attest.binary.commit", unclear, "does not say of which commit"},
		"a program from files":        {program(fileListed), "attest.binary.commit", unclear, "does not say of which commit"},
		"a program that is not Go's":  {func(t *testing.T, w *world) { w.text(t, "dist/app", "\x7fELF and so on") }, "attest.binary", unclear, "without readable build information"},

		"no program, and one wanted": {func(_ *testing.T, w *world) {
			w.options.Subjects, w.options.RequireSBOM = []string{"dist/notes.txt"}, true
		}, "attest.sbom", fail, "no Go binary"},
		"no such target": {func(_ *testing.T, w *world) { w.options.Targets = []string{"build", "nope"} }, "attest.target", fail, "no such target"},
		"no magefiles": {func(t *testing.T, w *world) {
			shell(t, w.root, "git rm -q -r magefiles && git -c user.name=t -c user.email=t@example.com commit -q -m gone && git tag -f "+version)
			w.options.Commit, w.options.Subjects = strings.TrimSpace(shell(t, w.root, "git rev-parse HEAD")), []string{"dist/notes.txt"}
		}, "attest.target", unclear, "no folder magefiles"},
		"GitHub from a laptop":     {func(_ *testing.T, w *world) { w.options.BuilderID = statement.BuilderGitHubHosted }, "attest.builder", fail, "this is not GitHub Actions"},
		"a machine without a name": {func(_ *testing.T, w *world) { w.env["CI"] = "true" }, "attest.builder", unclear, "no name of its own"},
		"a secret in the flags":    {secret("GOFLAGS", "-tags=hunter2hunter2"), "attest.leak", fail, "secret_leak: DEPLOY_TOKEN"},
		"a secret in a program":    {func(t *testing.T, w *world) { secret("", "")(t, w); enlarge(t, w, "hunter2hunter2") }, "attest.leak", fail, "secret_leak: DEPLOY_TOKEN"},
		"a secret in base64": {func(t *testing.T, w *world) {
			secret("", "")(t, w)
			w.text(t, "dist/notes.txt", "aHVudGVyMmh1bnRlcjI=")
		}, "attest.leak", fail, "secret_leak: DEPLOY_TOKEN"},
		"a private key as a subject":  {func(t *testing.T, w *world) { w.text(t, "dist/signing.txt", keyPEM) }, "attest.leak", fail, "secret_leak: private-key"},
		"a subject written meanwhile": {func(t *testing.T, w *world) { w.meanwhile(t, func() { w.text(t, "dist/notes.txt", "other") }) }, "attest.subject.unchanged", fail, "sha256:" + sum([]byte("other"))},
		"a subject removed meanwhile": {func(t *testing.T, w *world) {
			w.meanwhile(t, func() { assert.NilError(t, os.Remove(filepath.Join(w.root, "dist/notes.txt"))) })
		}, "attest.subject.unchanged", fail, "it is not there"},
		"nobody to sign":     {func(_ *testing.T, w *world) { w.options.Signing = release.Signing{} }, "attest.signed", unclear, "unsigned: no signer"},
		"a signer for later": {func(t *testing.T, w *world) { w.options.Signing.Signer = sign.NewPending("") }, "attest.signed", unclear, "pending_signature: "},
		"a service that is down": {func(_ *testing.T, w *world) {
			w.options.Signing = release.Signing{Signer: faulty{err: errors.New("dial tcp: no route")}}
		}, "attest.signed", unclear, "pending_signature: dial tcp"},
		"a service that says no": {func(_ *testing.T, w *world) {
			w.options.Signing = release.Signing{Signer: faulty{err: &sign.Error{Reason: sign.SigningRefused, Detail: "not you"}}}
		}, "attest.signed", unclear, "signing_refused: "},
		"nothing to verify with": {func(t *testing.T, w *world) { w.options.Signing = release.Signing{Signer: faulty{Signer: theKey(t)}} }, "attest.bundle", unclear, "nothing to verify"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(t, w)
			o := w.attest(t)
			assert.Equal(t, o.Record.Verdict, c.verdict, "%+v", o.Record.Stable.Blockers)
			seen := slices.ContainsFunc(find(o, c.code), func(check evidence.Check) bool {
				return check.Verdict == c.verdict && strings.Contains(check.Observed+" "+check.Reason, c.says)
			})
			assert.Assert(t, seen, "%s: %+v", c.code, find(o, c.code))
			for _, check := range find(o, "attest.signed") {
				assert.Assert(t, check.Verdict != evidence.Pass, "%+v", check)
			}
			if version, ok := wrongVersions[name]; ok {
				checks := find(o, "attest.binary.version")
				assert.Equal(t, checks[0].Verdict, c.verdict)
				assert.Assert(t, strings.Contains(checks[0].Observed+checks[0].Reason, version), "%+v", checks[0])
			}
			r := report(t, o)
			assert.Equal(t, r.SLSALevel, "none")
			assert.Assert(t, len(r.Blockers) > 0)
			if c.verdict == fail && c.code != "attest.subject.unchanged" {
				assert.DeepEqual(t, files(t, o), []string{"supply_chain_attestation.json", "supply_chain_attestation.md"})
			}
			if c.code != "attest.bundle" {
				left, err := filepath.Glob(filepath.Join(o.Folder, "*.sigstore.json"))
				assert.NilError(t, err)
				assert.Equal(t, len(left), 0)
			}
		})
	}
}

// wrongVersions are what some programs of TestRed say of their version.
var wrongVersions = map[string]string{
	"a program of another commit": "v0.0.0-",
	"a program of changes":        "+dirty",
	"an unstamped program":        "does not say which version",
	"a program from files":        "does not say which version",
}

func link(t *testing.T, w *world, to, name string) {
	t.Helper()
	assert.NilError(t, os.Symlink(to, filepath.Join(w.root, name)))
}

// program ships another program under the name of the good one.
func program(name string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.ship(t, name)
		assert.NilError(t, os.Rename(filepath.Join(w.root, "dist", name), filepath.Join(w.root, "dist", good)))
	}
}

// secret sets a secret, and another variable.
func secret(name, value string) func(*testing.T, *world) {
	return func(_ *testing.T, w *world) {
		w.options.Environ = []string{"DEPLOY_TOKEN=hunter2hunter2"}
		w.env[name] = value
	}
}

// enlarge puts text behind a program, across the edge of a window.
func enlarge(t *testing.T, w *world, text string) {
	t.Helper()
	path := filepath.Join(w.root, "dist", good)
	raw, err := os.ReadFile(path)
	assert.NilError(t, err)
	raw = append(raw, make([]byte, 4<<20+64<<10-5-len(raw))...)
	assert.NilError(t, os.WriteFile(path, append(raw, text...), 0o755))
}

// meanwhile does something after the subjects were copied: when the gate first asks for GOFLAGS.
func (w *world) meanwhile(t *testing.T, do func()) {
	t.Helper()
	done := false
	w.options.Getenv = func(name string) string {
		if name == "GOFLAGS" && !done {
			done = true
			do()
		}
		return w.env[name]
	}
}

// faulty is a signer that fails, or one of another kind than its own.
type faulty struct {
	sign.Signer
	err error
}

func (f faulty) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Signer.Sign(ctx, statement)
}
func (faulty) Kind() string  { return "other" }
func (faulty) KeyID() string { return "k" }

// TestSubjects plants what cannot be a subject, all at once: each is told.
func TestSubjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.text(t, "dist/empty.txt", "")
	w.text(t, "dist/folder.txt/x", "x")
	w.text(t, "dist/x/notes.txt", "x")
	w.text(t, "dist/NOTES.txt", "x")
	w.text(t, "dist/provenance.intoto.json", "{}")
	w.text(t, "dist/a b.txt", "x")
	w.text(t, "dist/a\nb.txt", "x")
	link(t, w, "app", "dist/link.txt")
	link(t, w, "/etc/passwd", "dist/out.txt")
	link(t, w, ".", "dist/linked")
	w.options.Subjects = []string{"dist/app", "dist/*.txt", "dist/x/*", "dist/*.json", "dist/linked/app", "dist/none", "dist/*.whl", "dist/app/x"}
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Fail)
	told := map[string]string{}
	for _, c := range slices.Concat(find(o, "attest.subject"), find(o, "attest.subject.name")) {
		if c.Verdict == evidence.Fail {
			told[c.Subject] = c.Code + ": " + c.Observed
		}
	}
	assert.DeepEqual(t, told, map[string]string{
		"dist/none":                   "attest.subject: it is not there",
		"dist/*.whl":                  "attest.subject: no file has such a name",
		"dist/empty.txt":              "attest.subject: an empty file",
		"dist/folder.txt":             "attest.subject: dist/folder.txt is not a regular file (d---------)",
		"dist/app/x":                  "attest.subject: dist/app is not a regular file (----------)",
		"dist/link.txt":               "attest.subject: dist/link.txt is a link",
		"dist/out.txt":                "attest.subject: dist/out.txt is a link",
		"dist/linked/app":             "attest.subject: dist/linked is a link",
		"dist/notes.txt":              "attest.subject.name: the name of dist/NOTES.txt",
		"dist/x/notes.txt":            "attest.subject.name: the name of dist/notes.txt",
		"dist/provenance.intoto.json": "attest.subject.name: a name that this gate writes itself",
		"dist/a b.txt":                `attest.subject.name: "a b.txt"`,
		"dist/a\nb.txt":               `attest.subject.name: "a\nb.txt"`,
		"all subjects":                "attest.subject.name: 5 names",
	})
	assert.DeepEqual(t, files(t, o), []string{"supply_chain_attestation.json", "supply_chain_attestation.md"})
}

// TestPendingKeepsTheStatements holds that nothing is lost while the signing
// service is down: what was to be signed is there, and can be signed as it is.
func TestPendingKeepsTheStatements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Signing = release.Signing{Signer: faulty{err: errors.New("connection refused")}}
	o := w.attest(t)
	assert.Equal(t, o.ExitCode(), 3)
	r := report(t, o)
	assert.Equal(t, len(r.Signatures), 3)
	for _, s := range r.Signatures {
		assert.Equal(t, s.State, "pending_signature")
		assert.Equal(t, s.Bundle, "")
		raw := read(t, o, s.Statement)
		assert.Equal(t, sum(raw), s.StatementSHA256)
		_, err := theKey(t).Sign(t.Context(), raw)
		assert.NilError(t, err)
	}
	signed := newWorld(t)
	o2 := signed.attest(t)
	for _, name := range []string{"sbom.intoto.json", "release.intoto.json"} {
		assert.Equal(t, string(read(t, o, name)), string(read(t, o2, name)), name)
	}
}

// TestSomePending: one bundle is there, the others are still to be made.
func TestSomePending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := theKey(t)
	n := 0
	w.options.Signing = release.Signing{Signer: counting{key, &n}, Open: w.reader(t, key)}
	o := w.attest(t)
	assert.Equal(t, o.ExitCode(), 3)
	states := map[string]string{}
	for _, s := range report(t, o).Signatures {
		states[s.Statement] = s.State
	}
	assert.DeepEqual(t, states, map[string]string{"provenance.intoto.json": "signed", "sbom.intoto.json": "pending_signature", "release.intoto.json": "pending_signature"})
	assert.Assert(t, slices.Contains(files(t, o), "provenance.sigstore.json"))
}

// counting signs once.
type counting struct {
	*sign.Key
	n *int
}

func (c counting) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	if *c.n++; *c.n > 1 {
		return nil, errors.New("busy")
	}
	return c.Key.Sign(ctx, statement)
}

func (*world) reader(t *testing.T, key *sign.Key) func(context.Context, []byte) ([]byte, error) {
	t.Helper()
	trust, err := sign.NewTrust(sign.TrustedKey{Name: "k", PublicPEM: key.PublicPEM()})
	assert.NilError(t, err)
	return func(_ context.Context, bundle []byte) ([]byte, error) {
		v, err := sign.VerifyBundle(bundle, trust, sign.Options{At: time.Now()})
		return v.Payload, err
	}
}

// TestBundlesAreReadBack: a signer is not believed.
func TestBundlesAreReadBack(t *testing.T) {
	t.Parallel()
	other, err := sign.LoadKey([]byte(strings.Replace(keyPEM, "MC4CAQAwBQYDK2VwBCIEIJ1h", "MC4CAQAwBQYDK2VwBCIEIJ1i", 1)), nil)
	assert.NilError(t, err)
	key := theKey(t)
	for name, c := range map[string]struct {
		signer sign.Signer
		says   string
	}{
		"another key":       {other, "untrusted_signer"},
		"another statement": {swapping{key}, "another statement"},
		"no bundle":         {garbage{key}, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.options.Signing = release.Signing{Signer: c.signer, Open: w.reader(t, key)}
			o := w.attest(t)
			assert.Equal(t, o.ExitCode(), 1)
			checks := find(o, "attest.bundle")
			assert.Equal(t, len(checks), 3)
			for _, check := range checks {
				assert.Equal(t, check.Verdict, evidence.Fail)
				assert.Assert(t, strings.Contains(check.Observed, c.says), check.Observed)
			}
			for _, s := range report(t, o).Signatures {
				assert.Equal(t, s.State, "unsigned")
				assert.Equal(t, s.Class, "")
			}
		})
	}
}

// swapping signs a statement that is not the one it was given.
type swapping struct{ *sign.Key }

func (s swapping) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	return s.Key.Sign(ctx, bytes.Replace(statement, []byte("app"), []byte("axx"), 1))
}

// garbage signs nothing.
type garbage struct{ *sign.Key }

func (garbage) Sign(context.Context, []byte) ([]byte, error) { return []byte("not a bundle"), nil }

// TestMAC: a MAC is written, verified, and not enough.
func TestMAC(t *testing.T) {
	t.Parallel()
	s, err := release.SigningBy(nil, nil)
	assert.NilError(t, err)
	assert.Assert(t, s.Signer == nil)
	key := []byte(strings.Repeat("k9", 20))
	mac, err := sign.NewMAC(key)
	assert.NilError(t, err)
	_, err = release.SigningBy(mac, []byte("short"))
	assert.Equal(t, sign.ReasonOf(err), sign.WeakKey)
	w := newWorld(t)
	w.options.Environ = []string{sign.EnvMACKey + "=" + string(key)}
	w.options.Signing, err = release.SigningBy(mac, key)
	assert.NilError(t, err)
	o := w.attest(t)
	assert.Equal(t, o.ExitCode(), 3)
	checks := find(o, "attest.signed")
	assert.Equal(t, len(checks), 1)
	assert.Assert(t, strings.HasPrefix(checks[0].Reason, "mac_only"), checks[0].Reason)
	for _, s := range report(t, o).Signatures {
		assert.Equal(t, s.State, "mac_only")
		assert.Equal(t, s.Class, sign.ClassLocalMAC)
	}
	_, err = sign.VerifyBundle(read(t, o, "provenance.sigstore.json"), sign.Trust{}, sign.Options{At: time.Now()})
	assert.Equal(t, sign.ReasonOf(err), sign.MACOnly)
}

// TestPreRelease: what no tag names can be attested as a pre-release, when asked for.
func TestPreRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shell(t, w.root, "git tag -d "+version)
	w.options.Release, w.options.Untagged, w.options.Subjects = "v1.2.3-rc.1", true, []string{"dist/notes.txt"}
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass, "%+v", o.Record.Stable.Blockers)
	checks := find(o, "attest.tag")
	assert.Equal(t, checks[0].Verdict, evidence.Skip)
	assert.Equal(t, report(t, o).Ref, "refs/heads/master")
	// Detached, there is no ref but the commit.
	shell(t, w.root, "git switch -q --detach")
	assert.Equal(t, report(t, w.attest(t)).Ref, fixture.commit)
	// The program bears the version of the tag that it was built with.
	w.options.Subjects = []string{"dist/app"}
	o = w.attest(t)
	assert.Equal(t, find(o, "attest.binary.version")[0].Verdict, evidence.Fail)
}

// TestWithoutPrograms: no bill, said and not wrong.
func TestWithoutPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Subjects = []string{"dist/notes.txt"}
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass)
	for _, code := range []string{"attest.binary", "attest.sbom"} {
		checks := find(o, code)
		assert.Equal(t, len(checks), 1)
		assert.Equal(t, checks[0].Verdict, evidence.Skip)
		assert.Assert(t, checks[0].Reason != "")
	}
	assert.Assert(t, !slices.Contains(files(t, o), "sbom.sigstore.json"))
	assert.Equal(t, len(report(t, o).Signatures), 2)
}

// TestSeveralPrograms have a bill each.
func TestSeveralPrograms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw, err := os.ReadFile(filepath.Join(w.root, "dist/app"))
	assert.NilError(t, err)
	w.text(t, "dist/app2.exe", string(raw))
	w.options.Subjects = []string{"dist/app*"}
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass)
	have := files(t, o)
	for _, name := range []string{"sbom.app.cyclonedx.json", "sbom.app.spdx.json", "sbom.app.sigstore.json", "sbom.app2.exe.cyclonedx.json", "sbom.app2.exe.intoto.json"} {
		assert.Assert(t, slices.Contains(have, name), name)
	}
}

// TestManySubjects: readers take 1,024; above that the list of all is the subject.
func TestManySubjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range statement.MaxSubjects {
		w.text(t, fmt.Sprintf("dist/many/%04d", i), fmt.Sprint(i))
	}
	w.options.Subjects = []string{"dist/many/*", "dist/notes.txt"}
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass)
	for _, name := range []string{"release.intoto.json", "provenance.intoto.json"} {
		s, err := statement.Decode(read(t, o, name))
		assert.NilError(t, err)
		assert.Equal(t, len(s.Subject), 1)
		assert.Equal(t, s.Subject[0].Name, "SHA256SUMS")
		assert.Equal(t, s.Subject[0].Digest["sha256"], sum(read(t, o, "SHA256SUMS")))
	}
	assert.Equal(t, bytes.Count(read(t, o, "SHA256SUMS"), []byte("\n")), statement.MaxSubjects+1)
	assert.Equal(t, len(report(t, o).Subjects), statement.MaxSubjects+1)
}

// TestInGitHub: the surroundings bear out what may be claimed.
func TestInGitHub(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env = github()
	w.options.BuilderID = statement.BuilderGitHubHosted
	o := w.attest(t)
	assert.Equal(t, o.Record.Verdict, evidence.Pass, "%+v", o.Record.Stable.Blockers)
	s, err := statement.Decode(read(t, o, "provenance.intoto.json"))
	assert.NilError(t, err)
	p, err := statement.As[statement.Provenance](s)
	assert.NilError(t, err)
	assert.Equal(t, p.RunDetails.Builder.ID, statement.BuilderGitHubHosted)
	assert.Equal(t, p.RunDetails.Metadata.InvocationID, "https://github.com/example/app/actions/runs/7/attempts/2")
	assert.DeepEqual(t, p.RunDetails.Builder.Version, map[string]string{"ImageOS": "ubuntu24"})
	_, internal, err := p.Mage()
	assert.NilError(t, err)
	assert.Equal(t, internal.RunnerEnvironment, "github-hosted")
	assert.Equal(t, internal.RunID, "7")
	// A key is not the identity of the platform.
	assert.Equal(t, report(t, o).SLSALevel, "SLSA Build L1")
	w.options.Signing = release.Signing{Signer: theKey(t), Kind: sign.KindKeyless, Open: w.reader(t, theKey(t))}
	assert.Equal(t, report(t, w.attest(t)).SLSALevel, "SLSA Build L2")
}

func github() map[string]string {
	return map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "github-hosted", "GITHUB_SERVER_URL": "https://github.com",
		"GITHUB_REPOSITORY": "example/app", "GITHUB_SHA": fixture.commit, "GITHUB_REF": "refs/tags/" + version, "GITHUB_RUN_ID": "7",
		"GITHUB_RUN_ATTEMPT": "2", "GITHUB_EVENT_NAME": "push", "GITHUB_WORKFLOW_REF": "example/app/.github/workflows/release.yml@refs/tags/v1.2.3",
		"ImageOS": "ubuntu24",
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(o *release.Options)
		says   string
	}{
		"no release":               {func(o *release.Options) { o.Release = "" }, "-release is missing"},
		"no subject":               {func(o *release.Options) { o.Subjects = nil }, "-subject is missing"},
		"no repository":            {func(o *release.Options) { o.Repository = "" }, "-repository is missing"},
		"no commit":                {func(o *release.Options) { o.Commit = "" }, "-commit is missing"},
		"no targets":               {func(o *release.Options) { o.Targets = nil }, "-targets is missing"},
		"no version":               {func(o *release.Options) { o.Release = "1.2.3" }, "not a whole version"},
		"half a version":           {func(o *release.Options) { o.Release = "v1.2" }, "not a whole version"},
		"a version with a build":   {func(o *release.Options) { o.Release = "v1.2.3+x" }, "not a whole version"},
		"a ref for a version":      {func(o *release.Options) { o.Release = "v1.2.3^{commit}" }, "not a whole version"},
		"a release without a tag":  {func(o *release.Options) { o.Untagged = true }, "is for pre-releases"},
		"a short commit":           {func(o *release.Options) { o.Commit = "79f88ea" }, "full object name"},
		"a branch":                 {func(o *release.Options) { o.Commit = "master" }, "full object name"},
		"an option for a commit":   {func(o *release.Options) { o.Commit = "--exec=x" }, "full object name"},
		"a password":               {func(o *release.Options) { o.Repository = "https://u:sesame@example.com/a/b" }, "not a URL without user"},
		"ssh":                      {func(o *release.Options) { o.Repository = "ssh://example.com/a/b" }, "is not a URL like"},
		"a builder that is no URI": {func(o *release.Options) { o.BuilderID = "github-actions:7" }, "is not a URL like"},
		"an absolute subject":      {func(o *release.Options) { o.Subjects = []string{"/etc/passwd"} }, "not a path below"},
		"a subject above":          {func(o *release.Options) { o.Subjects = []string{"../x"} }, "not a path below"},
		"a subject by a detour":    {func(o *release.Options) { o.Subjects = []string{"dist/../x"} }, "not a path below"},
		"half a pattern":           {func(o *release.Options) { o.Subjects = []string{"dist/[a"} }, "bracket"},
		"a target with a flag":     {func(o *release.Options) { o.Targets = []string{"ci:build -v"} }, "not the name of a target"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := release.Options{Release: version, Subjects: []string{"dist/x"}, Repository: repository, Commit: strings.Repeat("1", 40), Targets: []string{"build"}}
			assert.NilError(t, o.Validate())
			c.change(&o)
			_, err := gates.Run(t.Context(), release.Attest(o), gates.Options{Root: t.TempDir()})
			var usage *gates.UsageError
			assert.Assert(t, errors.As(err, &usage), "%v", err)
			assert.ErrorContains(t, err, c.says)
			assert.Assert(t, !strings.Contains(err.Error(), "sesame"))
		})
	}
}

// TestOnce: the steps of a gate hand things on, so it cannot run again.
func TestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := release.Attest(w.options)
	assert.Equal(t, gatetest.Run(t, g, gates.Options{Root: w.root}).ExitCode(), 0)
	o, err := gates.Run(t.Context(), g, gates.Options{Root: w.root})
	assert.NilError(t, err)
	assert.Equal(t, o.Record.Verdict, evidence.Unverified)
	assert.Assert(t, strings.Contains(gatetest.Step(t, o, "attest:subjects").Reason, "runs once"))
}

// TestInParts: a step that is left out leaves nothing signed.
func TestInParts(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"attest:subjects", "attest:source", "attest:binaries", "attest:sbom", "attest:provenance"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o, err := gates.Run(t.Context(), release.Attest(w.options), gates.Options{Root: w.root, Skip: []string{id}})
			assert.NilError(t, err)
			assert.Equal(t, o.Record.Verdict, evidence.Unverified)
			left, err := filepath.Glob(filepath.Join(o.Folder, "*.sigstore.json"))
			assert.NilError(t, err)
			assert.Equal(t, len(left), 0)
			report(t, o)
		})
	}
}

// TestStopped: a run that is stopped still leaves its report, and no copies.
func TestStopped(t *testing.T) {
	w := newWorld(t)
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancelCause(t.Context())
	w.meanwhile(t, func() { cancel(&gates.SignalError{Name: "SIGTERM"}) })
	o, err := gates.Run(ctx, release.Attest(w.options), gates.Options{Root: w.root})
	assert.NilError(t, err)
	assert.Equal(t, o.ExitCode(), 143)
	assert.Assert(t, len(report(t, o).Blockers) > 0)
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "dpone-*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
}

// TestReproduce: what to type to do it again is whole, and quoted.
func TestReproduce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Subjects = []string{"dist/app", "dist/no such file"}
	o := w.attest(t)
	step := gatetest.Step(t, o, "attest:subjects")
	assert.Equal(t, step.Reproduce, "mage release:attest -release=v1.2.3 '-subject=dist/app,dist/no such file' -repository="+repository+" -commit="+fixture.commit+" -targets=build")
}
