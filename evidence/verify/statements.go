package verify

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
)

// opened is a bundle that was looked at.
type opened struct {
	// payload is nil when the bundle is refused for its form or its signature.
	payload   []byte
	statement *statement.Statement
	// by is who signed; nil when nobody was shown to. signer is their entry in
	// the policy; nil for the local MAC, which may sign everything.
	by     *vouched
	signer *policy.Signer
	// ok says that there is nothing against it.
	ok bool
}

// openBundle verifies a bundle with the policy's trust. Without a policy its
// form alone is judged.
func (p *pass) openBundle(name, gate string, raw []byte, claim policy.Claim) opened {
	b, err := sign.DecodeBundle(raw)
	if err != nil {
		p.refuse(name, gate, err)
		return opened{}
	}
	switch {
	case p.policy == nil:
		return p.openUnverified(name, gate, b, true)
	case b.VerificationMaterial.Certificate != nil:
		return p.openCertificate(name, gate, raw, b, claim)
	}
	v, err := sign.VerifyBundle(raw, p.trust, sign.Options{At: p.now, AllowMAC: p.policy.AcceptMAC})
	if err != nil {
		p.refuse(name, gate, err)
		return opened{}
	}
	return opened{
		payload: v.Payload, statement: v.Statement, ok: true,
		by: &vouched{v.Name, v.Class()}, signer: p.policy.Signer(v.Name),
	}
}

// openUnverified reads a bundle that nobody vouches for here.
func (p *pass) openUnverified(name, gate string, b *sign.Bundle, ok bool) opened {
	payload, err := b.Payload()
	if err != nil {
		p.refuse(name, gate, err)
		return opened{}
	}
	s, err := statement.Decode(payload)
	if err != nil {
		p.refuse(name, gate, err)
		return opened{}
	}
	return opened{payload: payload, statement: s, ok: ok}
}

// openCertificate verifies a bundle that was signed with a certificate.
func (p *pass) openCertificate(name, gate string, raw []byte, b *sign.Bundle, claim policy.Claim) opened {
	switch {
	case p.opts.Certificates == nil:
		p.unverified(Code(sign.KeylessUnavailable), name, gate, "signed with a certificate, and there is nothing here to check that with")
		return p.openUnverified(name, gate, b, true)
	case p.policy.TrustedRootJSON() == nil:
		p.fail(Code(sign.TrustRootMissing), name, gate, "signed with a certificate, and the policy has no trusted root")
		return opened{}
	}
	payload, who, err := p.opts.Certificates.VerifyCertificate(p.ctx, raw, p.policy.TrustedRootJSON())
	if sign.ReasonOf(err) == sign.KeylessUnavailable {
		p.refuse(name, gate, err)
		return p.openUnverified(name, gate, b, true)
	}
	if err != nil {
		p.refuse(name, gate, err)
		return opened{}
	}
	s, err := statement.Decode(payload)
	if err != nil {
		p.refuse(name, gate, err)
		return opened{}
	}
	if claim == (policy.Claim{}) {
		claim = claimOfStatement(s)
	}
	signer, differs := p.policy.Identify(who, p.target, claim, p.now)
	for _, d := range differs {
		p.refuse(name, gate, d)
	}
	if signer == nil || len(differs) > 0 {
		return opened{payload: payload, statement: s}
	}
	return opened{payload: payload, statement: s, ok: true, by: &vouched{signer.Name, sign.ClassSigned}, signer: signer}
}

// claimOf is what a record says that a certificate has to agree with.
func claimOf(record *evidence.Record) policy.Claim {
	if record == nil {
		return policy.Claim{}
	}
	ci := record.Volatile.CI
	return policy.Claim{Commit: record.Stable.Source.Commit, RunID: ci.RunID, Attempt: ci.Attempt}
}

// claimOfStatement is what a statement says that a certificate has to agree with.
func claimOfStatement(s *statement.Statement) policy.Claim {
	var claim policy.Claim
	for _, subject := range s.Subject {
		if commit := subject.Digest["gitCommit"]; commit != "" {
			claim.Commit = commit
		}
	}
	switch s.PredicateType {
	case statement.GateType:
		if g, err := statement.As[statement.Gate](s); err == nil {
			claim = policy.Claim{Commit: g.Source.Commit, RunID: g.Run.RunID, Attempt: g.Run.Attempt}
		}
	case statement.ProvenanceType:
		if v, err := statement.As[statement.Provenance](s); err == nil {
			for _, d := range v.BuildDefinition.ResolvedDependencies {
				if commit := d.Digest["gitCommit"]; commit != "" {
					claim.Commit = commit
				}
			}
			if _, internal, err := v.Mage(); err == nil {
				claim.RunID, claim.Attempt = internal.RunID, internal.Attempt
			}
		}
	}
	return claim
}

// state lists a statement in the report.
func (p *pass) state(name string, o opened, ok bool) {
	s := Statement{
		Path: name, SHA256: attest.Digest(o.payload), PredicateType: o.statement.PredicateType, Subjects: len(o.statement.Subject),
	}
	if ok && o.by != nil {
		s.Signer, s.Class = o.by.name, o.by.class
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Statements = append(p.report.Statements, s)
}

// spoken is a file that speaks about others: a bundle, a statement or a list
// of checksums.
type spoken struct {
	path string
	role seal.Role
	raw  []byte
	// in is the sealed folder that has the file; nil for a loose one.
	in *sealed
}

// take keeps a file for the time when all digests are known.
func (p *pass) take(s spoken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoken = append(p.spoken, s)
}

// judgeStatements verifies what speaks about artifacts. Bundles go first: they
// say which statements are signed.
func (p *pass) judgeStatements() {
	slices.SortFunc(p.spoken, func(a, b spoken) int { return strings.Compare(a.path, b.path) })
	for _, s := range p.spoken {
		switch s.role {
		case seal.RoleBundle:
			p.judgeBundle(s)
		case seal.RoleChecksums:
			p.judgeSums(s)
		}
	}
	for _, s := range p.spoken {
		if s.role != seal.RoleStatement {
			continue
		}
		if len(s.raw) == 0 {
			p.fail(Code(seal.CodeEmpty), s.path, "", "a statement without bytes")
			continue
		}
		decoded, err := statement.Decode(s.raw)
		if err != nil {
			p.refuse(s.path, "", err)
			continue
		}
		digest := attest.Digest(s.raw)
		if !p.signed[digest] {
			p.unverified(Code(sign.Unsigned), s.path, "", "no bundle here has this statement")
			p.state(s.path, opened{payload: s.raw, statement: decoded}, false)
			p.claim(s, decoded, false)
		}
	}
	p.judgeDecisions()
}

// judgeBundle verifies a bundle that is about artifacts.
func (p *pass) judgeBundle(s spoken) {
	o := p.openBundle(s.path, "", s.raw, policy.Claim{})
	if o.payload == nil {
		return
	}
	digest := attest.Digest(o.payload)
	p.signed[digest] = true
	p.known[digest] = append(p.known[digest], s.path)
	ok := o.ok && p.allowed(s.path, o)
	p.judgePredicate(s.path, o.statement)
	p.state(s.path, o, ok)
	p.claim(s, o.statement, ok && o.by != nil)
}

// allowed says whether the signer may sign a statement of that type.
func (p *pass) allowed(name string, o opened) bool {
	if o.signer == nil {
		return true // no policy, or the local MAC
	}
	kind := o.statement.PredicateType
	if slices.Contains(policy.GateTypes(), kind) {
		gate := gateOf(o.statement)
		if o.signer.MayVouch(gate) {
			return true
		}
		p.fail(CodeNotAllowed, name, gate, "the signer %q may not vouch for the gate", o.by.name)
		return false
	}
	if !o.signer.MaySign(kind) {
		p.fail(CodeNotAllowed, name, "", "the signer %q may not sign %s", o.by.name, kind)
		return false
	}
	if v, err := statement.As[statement.Provenance](o.statement); err == nil && !o.signer.MayBuild(v.RunDetails.Builder.ID) {
		p.fail(CodeWrongBuilder, name, "", "the signer %q may not speak for the builder %s", o.by.name, v.RunDetails.Builder.ID)
		return false
	}
	return true
}

func gateOf(s *statement.Statement) string {
	if g, err := statement.As[statement.Gate](s); err == nil {
		return g.Gate
	}
	if t, err := statement.As[statement.TestResult](s); err == nil {
		return t.Configuration[0].Name
	}
	return ""
}

// judgePredicate holds what a statement says of itself against the target and
// the clock.
func (p *pass) judgePredicate(name string, s *statement.Statement) {
	for _, subject := range s.Subject {
		if commit := subject.Digest["gitCommit"]; commit != "" {
			p.judgeCommit(name, "", commit)
		}
	}
	switch s.PredicateType {
	case statement.GateType, statement.TestResultType:
		p.note(name, gateOf(s), "a statement about a gate counts in the attestations of its run folder alone")
	case statement.ProvenanceType:
		if v, err := statement.As[statement.Provenance](s); err == nil {
			p.judgeProvenance(name, v)
		}
	case statement.VSAType:
		if v, err := statement.As[statement.VSA](s); err == nil {
			p.judgeAge(name, "", "the summary", v.TimeVerified)
			if v.VerificationResult != statement.Passed {
				p.fail(CodeNoGo, name, "", "the summary says %s", v.VerificationResult)
			}
			p.judgeVersion(name, v.ResourceURI)
		}
	case statement.DecisionType:
		if d, err := statement.As[statement.Decision](s); err == nil {
			p.judgeAge(name, "", "the decision", d.EvaluatedAt)
			if d.Verdict != statement.Go && d.Verdict != statement.GoWithWaivers {
				p.fail(CodeNoGo, name, "", "the decision says %s: %s", d.Verdict, d.Blockers[0].ID)
			}
		}
	case statement.ReleaseType:
		if r, err := statement.As[statement.Release](s); err == nil {
			p.judgeVersion(name, r.PURL)
		}
	}
}

func (p *pass) judgeProvenance(name string, v *statement.Provenance) {
	found := false
	for _, d := range v.BuildDefinition.ResolvedDependencies {
		if commit := d.Digest["gitCommit"]; commit != "" {
			found = true
			p.judgeCommit(name, "", commit)
		}
	}
	if !found && p.target.Commit != "" {
		p.fail(Code(policy.WrongCommit), name, "", "the provenance names no commit, wanted %s", p.target.Commit)
	}
	if m := v.RunDetails.Metadata; m != nil && !m.FinishedOn.IsZero() {
		p.judgeAge(name, "", "the build", m.FinishedOn)
	} else if p.policy != nil {
		p.fail(Code(policy.Stale), name, "", "the provenance does not say when the build ended")
	}
	external, internal, err := v.Mage()
	if err != nil {
		return // another build type: its parameters are its own
	}
	p.judgePlace(name, "", place{
		repository: external.Source.Repository, ref: external.Source.Ref,
		provider: internal.Provider, event: internal.Event, run: internal.RunID, attempt: internal.Attempt,
	})
	if v.RunDetails.Builder.ID == statement.BuilderGitHubHosted && internal.RunnerEnvironment != policy.RunnerHosted && p.policy != nil {
		p.fail(Code(policy.WrongRunner), name, "", "the builder is %s, the runner says %q", v.RunDetails.Builder.ID, internal.RunnerEnvironment)
	}
}

// place is where a run says it was made.
type place struct{ repository, ref, provider, event, run, attempt string }

// local is the provider of a run outside of any CI.
const local = "local"

func (p *pass) judgePlace(name, gate string, at place) {
	if !p.target.HasRepository(at.repository) {
		p.fail(Code(policy.WrongRepository), name, gate, "made in %q, wanted %s", at.repository, p.target.Repository)
	}
	if !p.target.HasRef(at.ref) {
		p.fail(Code(policy.WrongRef), name, gate, "made on %q, wanted %s", at.ref, p.target.Ref)
	}
	if !p.target.HasRun(at.run, at.attempt) {
		p.fail(Code(policy.WrongRun), name, gate, "made by the run %q, wanted %s", strings.TrimSuffix(at.run+"/"+at.attempt, "/"), strings.TrimSuffix(p.target.RunID+"/"+p.target.Attempt, "/"))
	}
	if p.policy != nil && at.provider != local && !slices.Contains(p.policy.Triggers, at.event) {
		p.fail(Code(policy.UntrustedTrigger), name, gate, "started by %q, wanted %s", at.event, strings.Join(p.policy.Triggers, " or "))
	}
}

func (p *pass) judgeCommit(name, gate, commit string) bool {
	if p.target.Commit == "" || p.target.Commit == commit {
		return true
	}
	p.fail(Code(policy.WrongCommit), name, gate, "about the commit %q, wanted %s", commit, p.target.Commit)
	return false
}

func (p *pass) judgeVersion(name, purl string) {
	if p.target.Version == "" {
		return
	}
	rest, _, _ := strings.Cut(purl, "?")
	rest, _, _ = strings.Cut(rest, "#")
	if _, version, _ := strings.Cut(path.Base(rest), "@"); version != p.target.Version {
		p.fail(Code(policy.WrongVersion), name, "", "about %s, wanted the version %s", purl, p.target.Version)
	}
}

// judgeAge refuses what is to come, with or without a policy, and what is too
// old for the policy. It says whether it did neither.
func (p *pass) judgeAge(name, gate, what string, at time.Time) bool {
	if p.policy != nil {
		if refusal := p.policy.Aged(what, at, p.now); refusal != nil {
			p.refuse(name, gate, refusal)
			return false
		}
		return true
	}
	const skew = 5 * time.Minute
	if at.After(p.now.Add(skew)) {
		p.fail(Code(policy.FutureTime), name, gate, "%s is of %s, which is to come", what, at.UTC().Format(time.RFC3339))
		return false
	}
	return true
}
