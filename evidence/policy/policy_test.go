package policy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

const (
	repository = "https://github.com/dpone/dpone"
	workflow   = ".github/workflows/release.yml"
	ref        = "refs/heads/main"
	publicKey  = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"
	logKey     = "example.com/evidence+c2c1eb36+AQtTnF8/eb7CaFju3nSVCbpU0ytloQM8OmYNtjCzS+un"
)

var (
	commit = strings.Repeat("a1", 20)
	now    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// whole is a release policy that uses every field.
func whole() policy.Policy {
	return policy.Policy{
		Schema: policy.Schema, Name: "release", Use: policy.Release,
		Subject:  policy.Subject{Repository: repository, Ref: ref, Commit: policy.Caller, Run: "77"},
		MaxAge:   policy.Duration(24 * time.Hour),
		Skew:     policy.Duration(time.Minute),
		Triggers: []string{"push"},
		Signers: []policy.Signer{
			{Name: "key", Kind: policy.KindKey, PublicKey: publicKey, Gates: []string{"ci:*"}},
			{
				Name: "workflow", Kind: policy.KindIdentity, Gates: []string{"release:attest"},
				PredicateTypes: []string{statement.ProvenanceType}, Builders: []string{statement.BuilderGitHubHosted},
				Identity: &policy.Identity{
					Issuer: "https://token.actions.githubusercontent.com", SAN: repository + "/" + workflow + "@" + ref, Workflow: workflow, RepositoryID: "1",
				},
			},
		},
		Log:           &policy.Log{Verifier: logKey},
		TrustedRoot:   &policy.TrustedRoot{Path: "trusted_root.json", SHA256: strings.Repeat("0", 64)},
		RequiredGates: []string{"ci:test", "release:attest"},
		KnownGates:    []string{"matrix:*"},
		HardGates:     []string{"security:*"},
		Waivers: []policy.Waiver{{
			Gate: "ci:test", Code: "stale", Commit: commit, Owner: "ann", GrantedBy: "bob", Reason: "a long week", Expires: now.Add(time.Hour),
		}},
	}
}

func decode(t testing.TB, change func(p *policy.Policy)) (*policy.Policy, error) {
	t.Helper()
	p := whole()
	if change != nil {
		change(&p)
	}
	raw, err := json.Marshal(p)
	assert.NilError(t, err)
	return policy.Decode(raw)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	p, err := decode(t, nil)
	assert.NilError(t, err)
	assert.Equal(t, len(p.SHA256), 64)
	assert.Equal(t, p.LogVerifier().Name(), "example.com/evidence")
	// What is not said is the strict.
	id := p.Signers[1].Identity
	assert.Equal(t, id.Repository, repository)
	assert.Equal(t, id.RepositoryOwner, "https://github.com/dpone")
	assert.Equal(t, id.Ref, ref)
	assert.Equal(t, id.Runner, policy.RunnerHosted)
	assert.DeepEqual(t, id.Triggers, []string{"push"})

	p, err = policy.Decode([]byte(laptop(t)))
	assert.NilError(t, err)
	assert.Equal(t, p.Subject.Commit, policy.Caller)
	assert.Equal(t, time.Duration(p.Skew), 5*time.Minute)
	assert.DeepEqual(t, p.Triggers, []string{"push"})
}

// laptop is the example of the package comment.
func laptop(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("doc.go")
	assert.NilError(t, err)
	_, example, ok := strings.Cut(string(raw), "//\t{\n")
	assert.Assert(t, ok)
	example, _, ok = strings.Cut(example, "//\t}\n")
	assert.Assert(t, ok)
	return "{" + strings.ReplaceAll(example, "//\t", "") + "}"
}

func TestRefused(t *testing.T) {
	t.Parallel()
	signer := func(change func(s *policy.Signer)) func(*policy.Policy) {
		return func(p *policy.Policy) { change(&p.Signers[0]) }
	}
	identity := func(change func(id *policy.Identity)) func(*policy.Policy) {
		return func(p *policy.Policy) { change(p.Signers[1].Identity) }
	}
	waiver := func(change func(w *policy.Waiver)) func(*policy.Policy) {
		return func(p *policy.Policy) { change(&p.Waivers[0]) }
	}
	for name, change := range map[string]func(p *policy.Policy){
		"schema":                       func(p *policy.Policy) { p.Schema = "x" },
		"no name":                      func(p *policy.Policy) { p.Name = "" },
		"a name that is obeyed":        func(p *policy.Policy) { p.Name = "a\x1b[2J" },
		"use":                          func(p *policy.Policy) { p.Use = "prod" },
		"no age":                       func(p *policy.Policy) { p.MaxAge = 0 },
		"eternal":                      func(p *policy.Policy) { p.MaxAge = policy.Duration(200_000 * time.Hour) },
		"a skew of a day":              func(p *policy.Policy) { p.Skew = policy.Duration(24 * time.Hour) },
		"a negative skew":              func(p *policy.Policy) { p.Skew = -1 },
		"repository":                   func(p *policy.Policy) { p.Subject.Repository = "dpone" },
		"credentials":                  func(p *policy.Policy) { p.Subject.Repository = "https://a:b@github.com/dpone/dpone" },
		"any repository":               func(p *policy.Policy) { p.Subject.Repository = policy.Any },
		"ref":                          func(p *policy.Policy) { p.Subject.Ref = "main" },
		"any ref but the beginning":    func(p *policy.Policy) { p.Subject.Ref = "refs/*" },
		"commit":                       func(p *policy.Policy) { p.Subject.Commit = "abc" },
		"any commit":                   func(p *policy.Policy) { p.Subject.Commit = policy.Any },
		"run":                          func(p *policy.Policy) { p.Subject.Run = "7/8/9" },
		"dirty":                        func(p *policy.Policy) { p.AcceptDirty = true },
		"partial":                      func(p *policy.Policy) { p.AcceptPartial = true },
		"MAC":                          func(p *policy.Policy) { p.AcceptMAC = true },
		"nothing required":             func(p *policy.Policy) { p.RequiredGates = []string{} },
		"a pattern that is required":   func(p *policy.Policy) { p.RequiredGates = []string{"ci:*"} },
		"required twice":               func(p *policy.Policy) { p.RequiredGates = []string{"ci:test", "ci:test"} },
		"everything is known":          func(p *policy.Policy) { p.KnownGates = []string{"*"} },
		"no signers":                   func(p *policy.Policy) { p.Signers = []policy.Signer{} },
		"no log":                       func(p *policy.Policy) { p.Log = nil },
		"a log key that is none":       func(p *policy.Policy) { p.Log.Verifier = "x" },
		"a secret log key":             func(p *policy.Policy) { p.Log.Verifier = "PRIVATE+KEY+x+00000000+AAAA" },
		"no trusted root":              func(p *policy.Policy) { p.TrustedRoot = nil },
		"a trusted root elsewhere":     func(p *policy.Policy) { p.TrustedRoot.Path = "../root.json" },
		"a trusted root anywhere":      func(p *policy.Policy) { p.TrustedRoot.Path = "/root.json" },
		"a trusted root without a pin": func(p *policy.Policy) { p.TrustedRoot.SHA256 = "" },
		"a negative limit":             func(p *policy.Policy) { p.Limits.Files = -1 },
		"two of one name":              func(p *policy.Policy) { p.Signers[0].Name = "workflow" },
		"one key twice": func(p *policy.Policy) {
			again := p.Signers[0]
			again.Name = "again"
			p.Signers = append(p.Signers, again)
		},
		"the name of the local key":    signer(func(s *policy.Signer) { s.Name = policy.LocalMAC }),
		"signers that nobody wrote":    func(p *policy.Policy) { p.Use, p.Signers = policy.Local, nil },
		"kind":                         signer(func(s *policy.Signer) { s.Kind = "hmac" }),
		"no key":                       signer(func(s *policy.Signer) { s.PublicKey = "" }),
		"a key that is none":           signer(func(s *policy.Signer) { s.PublicKey = "x" }),
		"a key that counts at no time": signer(func(s *policy.Signer) { s.NotBefore, s.NotAfter = now, now }),
		"may sign nothing":             signer(func(s *policy.Signer) { s.Gates = nil }),
		"may sign everything":          signer(func(s *policy.Signer) { s.Gates = []string{"*"} }),
		"unknown predicate type":       signer(func(s *policy.Signer) { s.PredicateTypes = []string{"https://example.com/x"} }),
		"provenance of any builder":    signer(func(s *policy.Signer) { s.PredicateTypes = []string{statement.ProvenanceType} }),
		"builders without provenance":  signer(func(s *policy.Signer) { s.Builders = []string{"x"} }),
		"an identity with a key":       func(p *policy.Policy) { p.Signers[1].PublicKey = publicKey },
		"an identity that expires":     func(p *policy.Policy) { p.Signers[1].NotAfter = now },
		"issuer":                       identity(func(id *policy.Identity) { id.Issuer = "http://example.com" }),
		"no SAN":                       identity(func(id *policy.Identity) { id.SAN = "" }),
		"two SANs":                     identity(func(id *policy.Identity) { id.SANPattern = `^https://github\.com/a/b/x$` }),
		"no workflow":                  identity(func(id *policy.Identity) { id.Workflow = "" }),
		"a person with a repository":   identity(func(id *policy.Identity) { id.SAN, id.Workflow, id.Repository = "a@example.com", "", repository }),
		"a workflow elsewhere":         identity(func(id *policy.Identity) { id.Workflow = "../x.yml" }),
		"the ref of an identity":       identity(func(id *policy.Identity) { id.Ref = "main" }),
		"runner":                       identity(func(id *policy.Identity) { id.Runner = "mine" }),
		"build signer SHA":             identity(func(id *policy.Identity) { id.BuildSignerSHA = "x" }),
		"a waiver of nothing":          waiver(func(w *policy.Waiver) { w.Gate = "" }),
		"a waiver of two things":       waiver(func(w *policy.Waiver) { w.Blocker = "x" }),
		"a waiver for ever":            waiver(func(w *policy.Waiver) { w.Expires = time.Time{} }),
		"a waiver for all releases":    waiver(func(w *policy.Waiver) { w.Commit = "" }),
		"a waiver of a bad signature":  waiver(func(w *policy.Waiver) { w.Code = "bad_signature" }),
		"a waiver by nobody":           waiver(func(w *policy.Waiver) { w.GrantedBy = "" }),
		"a waiver for no reason":       waiver(func(w *policy.Waiver) { w.Reason = "" }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(t, change)
			reason := strict.ReasonOf(err)
			assert.Assert(t, reason == strict.Schema || reason == sign.KeyUnusable, "%v", err)
			assert.Assert(t, !strings.Contains(err.Error(), "PRIVATE"), "a secret is repeated")
		})
	}
}

func TestRefusedText(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(whole())
	assert.NilError(t, err)
	good := string(raw)
	for name, c := range map[string]struct {
		text   string
		reason strict.Reason
	}{
		"empty":         {"", strict.EmptyEvidence},
		"cut":           {good[:40], strict.Malformed},
		"trailing":      {good + "{}", strict.Malformed},
		"unknown key":   {strings.Replace(good, "{", `{"x":1,`, 1), strict.UnknownKey},
		"other case":    {strings.Replace(good, `"use"`, `"Use"`, 1), strict.UnknownKey},
		"key twice":     {strings.Replace(good, "{", `{"use":"local",`, 1), strict.DuplicateKey},
		"null":          {strings.Replace(good, `"push"`, "null", 1), strict.Schema},
		"no duration":   {strings.Replace(good, `"24h0m0s"`, `"a day"`, 1), strict.Schema},
		"too large":     {good + strings.Repeat(" ", policy.MaxBytes), strict.LimitExceeded},
		"many triggers": {strings.Replace(good, `"push"`, strings.Repeat(`"push",`, 20)+`"push"`, 1), strict.LimitExceeded},
	} {
		_, err := policy.Decode([]byte(c.text))
		assert.Equal(t, strict.ReasonOf(err), c.reason, "%s: %v", name, err)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, good := range map[string]bool{
		`^https://github\.com/acme/app/\.github/workflows/[a-z]+\.yml@refs/tags/v[0-9.]+$`: true,
		`^https://github\.com/acme/(app|lib)/x$`:                                           true,
		`https://github\.com/acme/app/`:                                                    false,
		`^https://github\.com/acme/app/`:                                                   false,
		`https://github\.com/acme/app/x$`:                                                  false,
		`^https://github\.com/acme/app/x|.*$`:                                              false,
		`(^https://github\.com/acme/app/x$)`:                                               false,
		`(?m)^https://github\.com/acme/app/x$`:                                             false,
		`(?i)^https://github\.com/acme/app/x$`:                                             false,
		`^https://github.com/acme/app/x$`:                                                  false,
		`^https://[^/]+/acme/app/x$`:                                                       false,
		`^https://github\.com/[^/]+/app/x$`:                                                false,
		`^http://github\.com/acme/app/x$`:                                                  false,
		`^.*$`:                                                                             false,
		`^$`:                                                                               false,
		``:                                                                                 false,
		`(`:                                                                                false,
	} {
		_, err := decode(t, func(p *policy.Policy) { p.Signers[1].Identity.SAN, p.Signers[1].Identity.SANPattern = "", pattern })
		assert.Equal(t, err == nil, good, "%s: %v", pattern, err)
		if !good && pattern != "" && pattern != "(" {
			assert.Equal(t, strict.ReasonOf(err), policy.UnanchoredPattern, pattern)
		}
	}
}

// machine is a certificate that the policy takes.
func machine() sign.Identity {
	return sign.Identity{
		SAN: repository + "/" + workflow + "@" + ref, Issuer: "https://token.actions.githubusercontent.com",
		BuildSigner: repository + "/" + workflow + "@" + ref, BuildSignerSHA: commit, Runner: "github-hosted",
		Repository: repository, Commit: commit, Ref: ref, RepositoryID: "1", RepositoryOwner: "https://github.com/dpone",
		BuildConfig: repository + "/" + workflow + "@" + ref, Trigger: "push",
		RunInvocationURI: repository + "/actions/runs/77/attempts/2", SignedAt: now.Add(-time.Minute),
	}
}

// Every field of a certificate counts: another value of any of them, and none
// at all, is refused.
func TestEveryFieldOfAnIdentityCounts(t *testing.T) {
	t.Parallel()
	p, err := decode(t, nil)
	assert.NilError(t, err)
	target, refused := p.Resolve(policy.Ask{Commit: commit, Run: "77/2"})
	assert.Equal(t, len(refused), 0)
	claim := policy.Claim{Commit: commit, RunID: "77", Attempt: "2"}
	signer, differs := p.Identify(machine(), target, claim, now)
	assert.Equal(t, len(differs), 0, "%v", differs)
	assert.Equal(t, signer.Name, "workflow")

	for name, c := range map[string]struct {
		field  func(id *sign.Identity) *string
		reason strict.Reason
	}{
		"san":              {func(id *sign.Identity) *string { return &id.SAN }, sign.WrongIdentity},
		"issuer":           {func(id *sign.Identity) *string { return &id.Issuer }, sign.WrongIdentity},
		"build signer":     {func(id *sign.Identity) *string { return &id.BuildSigner }, sign.WrongIdentity},
		"build signer SHA": {func(id *sign.Identity) *string { return &id.BuildSignerSHA }, sign.WrongIdentity},
		"runner":           {func(id *sign.Identity) *string { return &id.Runner }, policy.WrongRunner},
		"repository":       {func(id *sign.Identity) *string { return &id.Repository }, sign.WrongIdentity},
		"commit":           {func(id *sign.Identity) *string { return &id.Commit }, policy.WrongCommit},
		"ref":              {func(id *sign.Identity) *string { return &id.Ref }, policy.WrongRef},
		"repository ID":    {func(id *sign.Identity) *string { return &id.RepositoryID }, sign.WrongIdentity},
		"repository owner": {func(id *sign.Identity) *string { return &id.RepositoryOwner }, sign.WrongIdentity},
		"build config":     {func(id *sign.Identity) *string { return &id.BuildConfig }, sign.WrongIdentity},
		"trigger":          {func(id *sign.Identity) *string { return &id.Trigger }, policy.UntrustedTrigger},
		"run":              {func(id *sign.Identity) *string { return &id.RunInvocationURI }, policy.WrongRun},
	} {
		for _, value := range []string{"", "other", *c.field(ptr(machine())) + "x"} {
			id := machine()
			*c.field(&id) = value
			who, differs := p.Identify(id, target, claim, now)
			assert.Assert(t, who == nil, "%s: %q", name, value)
			found := false
			for _, d := range differs {
				found = found || d.Reason == c.reason
			}
			assert.Assert(t, found, "%s: %q: %v", name, value, differs)
		}
	}
	for name, c := range map[string]struct {
		at     time.Time
		reason strict.Reason
	}{
		"no time": {time.Time{}, sign.TimeInvalid}, "to come": {now.Add(2 * time.Minute), policy.FutureTime}, "old": {now.Add(-25 * time.Hour), policy.Stale},
	} {
		id := machine()
		id.SignedAt = c.at
		_, differs := p.Identify(id, target, claim, now)
		assert.Equal(t, len(differs), 1, name)
		assert.Equal(t, differs[0].Reason, c.reason, name)
	}
	// What the statement says counts as well.
	for _, claim := range []policy.Claim{{Commit: strings.Repeat("b", 40)}, {RunID: "78", Attempt: "2"}, {RunID: "77", Attempt: "3"}} {
		who, _ := p.Identify(machine(), target, claim, now)
		assert.Assert(t, who == nil, "%+v", claim)
	}
}

func ptr[T any](v T) *T { return &v }

func TestPeopleAndOtherWorkflows(t *testing.T) {
	t.Parallel()
	p, err := decode(t, func(p *policy.Policy) {
		p.Signers[1].Identity = &policy.Identity{Issuer: "https://accounts.example.com", SAN: "ann@example.com"}
	})
	assert.NilError(t, err)
	person := sign.Identity{SAN: "ann@example.com", Issuer: "https://accounts.example.com", SignedAt: now}
	who, differs := p.Identify(person, policy.Target{}, policy.Claim{}, now)
	assert.Assert(t, who != nil && len(differs) == 0, "%v", differs)
	person.BuildConfig = repository + "/x"
	who, _ = p.Identify(person, policy.Target{}, policy.Claim{}, now)
	assert.Assert(t, who == nil, "a machine is no person")

	// A workflow of others signs: its commit has to be pinned.
	const builder = "https://github.com/builders/go/.github/workflows/build.yml@refs/tags/v1"
	for sha, good := range map[string]bool{"": false, strings.Repeat("b", 40): true, strings.Repeat("c", 40): false} {
		p, err := decode(t, func(p *policy.Policy) {
			p.Signers[1].Identity.SAN, p.Signers[1].Identity.BuildSignerSHA = builder, sha
		})
		assert.NilError(t, err)
		id := machine()
		id.SAN, id.BuildSigner, id.BuildSignerSHA = builder, builder, strings.Repeat("b", 40)
		who, differs := p.Identify(id, policy.Target{}, policy.Claim{}, now)
		assert.Equal(t, who != nil, good, "%q: %v", sha, differs)
	}
	p, err = decode(t, func(p *policy.Policy) { p.Signers = p.Signers[:1] })
	assert.NilError(t, err)
	_, differs = p.Identify(machine(), policy.Target{}, policy.Claim{}, now)
	assert.Equal(t, differs[0].Reason, sign.UntrustedSigner)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subject policy.Subject
		ask     policy.Ask
		want    policy.Target
		refused []strict.Reason
	}{
		"asked and given":     {policy.Subject{}, policy.Ask{Commit: commit, Run: "7/1"}, policy.Target{Commit: commit, RunID: "7", Attempt: "1"}, nil},
		"asked and not given": {policy.Subject{}, policy.Ask{}, policy.Target{}, []strict.Reason{policy.SubjectMissing, policy.SubjectMissing}},
		"any":                 {policy.Subject{Commit: policy.Any, Run: policy.Any}, policy.Ask{}, policy.Target{}, nil},
		"any, narrowed":       {policy.Subject{Commit: policy.Any, Run: policy.Any}, policy.Ask{Run: "7"}, policy.Target{RunID: "7"}, nil},
		"exact":               {policy.Subject{Commit: commit, Run: "7"}, policy.Ask{}, policy.Target{Commit: commit, RunID: "7"}, nil},
		"exact, narrowed":     {policy.Subject{Commit: commit, Run: "7"}, policy.Ask{Run: "7/2"}, policy.Target{Commit: commit, RunID: "7", Attempt: "2"}, nil},
		"contradicted": {
			policy.Subject{Commit: commit, Run: "7"},
			policy.Ask{Commit: strings.Repeat("b", 40), Run: "8"},
			policy.Target{Commit: commit, RunID: "7"},
			[]strict.Reason{policy.WrongCommit, policy.WrongRun},
		},
	} {
		p, err := decode(t, func(p *policy.Policy) {
			p.Use, p.Subject.Commit, p.Subject.Run = policy.Local, c.subject.Commit, c.subject.Run
		})
		assert.NilError(t, err, name)
		got, refused := p.Resolve(c.ask)
		c.want.Repository, c.want.Ref = repository, ref
		assert.DeepEqual(t, got, c.want)
		var reasons []strict.Reason
		for _, r := range refused {
			reasons = append(reasons, r.Reason)
		}
		assert.DeepEqual(t, reasons, c.refused)
	}
	assert.Assert(t, policy.Ask{Commit: "x"}.Check() != nil && policy.Ask{Run: "/"}.Check() != nil)
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"https://github.com/dpone/dpone":          repository,
		"https://github.com/dpone/dpone.git":      repository,
		"https://GitHub.com/dpone/dpone/":         repository,
		"git@github.com:dpone/dpone.git":          repository,
		"ssh://git@github.com:22/dpone/dpone.git": repository,
		"/srv/dpone": "/srv/dpone",
		"":           "",
	} {
		assert.Equal(t, policy.Repository(from), want, from)
	}
	target := policy.Target{Ref: "refs/tags/v*", Repository: repository}
	assert.Assert(t, target.HasRef("refs/tags/v1") && !target.HasRef("refs/tags/v") && !target.HasRef("refs/heads/v1") && !target.HasRef(""))
	assert.Assert(t, !target.HasRepository("https://github.com/fork/dpone") && !target.HasRepository(""))
}

func TestWaivers(t *testing.T) {
	t.Parallel()
	p, err := decode(t, nil)
	assert.NilError(t, err)
	target := policy.Target{Commit: commit, Version: "v1.2.3"}
	assert.NilError(t, p.JudgeWaiver(p.Waivers[0], target, now))
	for name, change := range map[string]func(w *policy.Waiver){
		"expired now":     func(w *policy.Waiver) { w.Expires = now },
		"own":             func(w *policy.Waiver) { w.Owner = "BOB " },
		"another commit":  func(w *policy.Waiver) { w.Commit = strings.Repeat("b", 40) },
		"another version": func(w *policy.Waiver) { w.Commit, w.Version = "", "v1.2.2" },
		"an unknown gate": func(w *policy.Waiver) { w.Gate = "zz:x" },
		"a hard gate":     func(w *policy.Waiver) { w.Gate = "security:secrets" },
	} {
		w := p.Waivers[0]
		change(&w)
		assert.Equal(t, strict.ReasonOf(p.JudgeWaiver(w, target, now)), policy.WaiverInvalid, name)
	}
	w := p.Waivers[0]
	w.Commit, w.Version = "", "v1.2.3"
	assert.NilError(t, p.JudgeWaiver(w, target, now))
}

func TestSigners(t *testing.T) {
	t.Parallel()
	p, err := decode(t, nil)
	assert.NilError(t, err)
	key := p.Signer("key")
	assert.Assert(t, p.Signer("nobody") == nil)
	assert.Assert(t, key.MayVouch("ci:test") && !key.MayVouch("ci:") && !key.MayVouch("cix") && !key.MayVouch("release:attest"))
	assert.Assert(t, !key.MaySign(statement.ProvenanceType) && !key.MayBuild(statement.BuilderGitHubHosted))
	flow := p.Signer("workflow")
	assert.Assert(t, flow.MaySign(statement.ProvenanceType) && flow.MayBuild(statement.BuilderGitHubHosted) && !flow.MayBuild(statement.BuilderLocal))
	assert.Assert(t, p.Known("ci:test") && p.Known("matrix:run") && !p.Known("matrix:") && !p.Known("pad:ding"))
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := []byte("{}")
	const rootSHA256 = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
	p := whole()
	p.TrustedRoot.SHA256 = rootSHA256
	raw, err := json.Marshal(p)
	assert.NilError(t, err)
	name := filepath.Join(dir, "policy.json")
	assert.NilError(t, os.WriteFile(name, raw, 0o644))
	_, err = policy.Load(name, "")
	assert.Equal(t, strict.ReasonOf(err), strict.Reason(""), "the system says that the root is not there: %v", err)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "trusted_root.json"), root, 0o644))
	loaded, err := policy.Load(name, "")
	assert.NilError(t, err)
	assert.Equal(t, string(loaded.TrustedRootJSON()), "{}")
	_, err = policy.Load(name, loaded.SHA256)
	assert.NilError(t, err)
	_, err = policy.Load(name, strings.Repeat("0", 64))
	assert.Equal(t, strict.ReasonOf(err), policy.PolicyDigest)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "trusted_root.json"), []byte("{ }"), 0o644))
	_, err = policy.Load(name, "")
	assert.Equal(t, strict.ReasonOf(err), policy.PolicyDigest)
	// A link is not followed, and what is too large is not read.
	link := filepath.Join(dir, "link.json")
	assert.NilError(t, os.Symlink("policy.json", link))
	_, err = policy.Load(link, "")
	assert.ErrorContains(t, err, "not a regular file")
	assert.NilError(t, os.WriteFile(name, append(raw, make([]byte, policy.MaxBytes)...), 0o644))
	_, err = policy.Load(name, "")
	assert.Equal(t, strict.ReasonOf(err), strict.LimitExceeded)
}

// TestExampleInTheDocumentation holds that the complete example is one.
func TestExampleInTheDocumentation(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/evidence.md")
	assert.NilError(t, err)
	block := regexp.MustCompile("(?s)```json\n(\\{\n  \"schema\": \"" + regexp.QuoteMeta(policy.Schema) + "\".*?)```").FindSubmatch(raw)
	assert.Assert(t, block != nil, "docs/evidence.md has no complete policy")
	p, err := policy.Decode(block[1])
	assert.NilError(t, err)
	assert.Equal(t, p.Use, policy.Release)
	assert.Equal(t, len(p.Signers), 2)
}

// FuzzDecode holds that nothing panics, and that what is read is read the same
// when it is written again.
func FuzzDecode(f *testing.F) {
	raw, err := json.Marshal(whole())
	assert.NilError(f, err)
	f.Add(raw)
	f.Add([]byte(laptop(f)))
	f.Add([]byte(`{"schema":"https://github.com/dpone/dpone/evidence/policy/v1"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := policy.Decode(raw)
		if err != nil {
			assert.Assert(t, strict.ReasonOf(err) != "", "%v", err)
			return
		}
		written, err := json.Marshal(p)
		assert.NilError(t, err)
		again, err := policy.Decode(written)
		assert.NilError(t, err, "%s", written)
		twice, err := json.Marshal(again)
		assert.NilError(t, err)
		assert.Equal(t, string(twice), string(written))
	})
}
