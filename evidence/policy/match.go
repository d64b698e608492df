package policy

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// The reasons for which evidence is about something else than it has to be.
const (
	WrongCommit      strict.Reason = "wrong_commit"
	WrongRun         strict.Reason = "wrong_run"
	WrongRef         strict.Reason = "wrong_ref"
	WrongRepository  strict.Reason = "wrong_repository"
	WrongRunner      strict.Reason = "wrong_runner"
	UntrustedTrigger strict.Reason = "untrusted_trigger"
	FutureTime       strict.Reason = "future_time"
	Stale            strict.Reason = "stale"
	SubjectMissing   strict.Reason = "subject_missing" // the policy asks the caller for it
)

// Ask is what the caller says the evidence must be about; empty for what it leaves open.
type Ask struct {
	Commit string
	// Run is the ID of a run of CI, with "/" and the attempt or without.
	Run     string
	Version string
}

// Check refuses what is no commit and no run.
func (a Ask) Check() error {
	if a.Commit != "" && !isCommit(a.Commit) {
		return schema("commit", "%s is not 40 or 64 lower-case hex digits", strict.Quote(a.Commit))
	}
	if a.Run != "" && !isRun(a.Run) {
		return schema("run", "%s is not the ID of a run, with or without /attempt", strict.Quote(a.Run))
	}
	return nil
}

// Target is what evidence must be about. An empty field takes everything.
type Target struct {
	Repository string `json:"repository,omitempty"`
	// Ref may end with "*".
	Ref     string `json:"ref,omitempty"`
	Commit  string `json:"commit,omitempty"`
	RunID   string `json:"run_id,omitempty"`
	Attempt string `json:"attempt,omitempty"`
	Version string `json:"version,omitempty"`
}

// Resolve joins what the policy says and what the caller does. A caller may
// narrow and never widen. What is asked for and not given is a refusal
// ([SubjectMissing]), and so is what contradicts the policy. A nil policy
// leaves all to the caller.
func (p *Policy) Resolve(ask Ask) (Target, []*strict.Error) {
	if p == nil {
		t := Target{Commit: ask.Commit, Version: ask.Version}
		t.RunID, t.Attempt, _ = strings.Cut(ask.Run, "/")
		return t, nil
	}
	var refused []*strict.Error
	pick := func(field string, wrong strict.Reason, said, asked string) string {
		switch {
		case said == Caller && asked == "":
			refused = append(refused, strict.Refuse(SubjectMissing, "subject."+field, "the policy asks the caller for the %s: give -%s", field, field))
			return ""
		case said == Caller || said == Any || said == "":
			return asked
		case asked != "" && asked != said && (field != "run" || !strings.HasPrefix(asked, said+"/")):
			refused = append(refused, strict.Refuse(wrong, "subject."+field, "the policy is for %s, the caller asks for %s", said, strict.Quote(asked)))
			return said
		case asked != "":
			return asked
		}
		return said
	}
	t := Target{Repository: open(p.Subject.Repository), Ref: open(p.Subject.Ref)}
	t.Commit = pick("commit", WrongCommit, p.Subject.Commit, ask.Commit)
	t.RunID, t.Attempt, _ = strings.Cut(pick("run", WrongRun, p.Subject.Run, ask.Run), "/")
	t.Version = pick("version", WrongVersion, p.Subject.Version, ask.Version)
	return t, refused
}

func open(value string) string {
	if value == Any {
		return ""
	}
	return value
}

// HasRun says whether a run of CI is the one asked for.
func (t Target) HasRun(id, attempt string) bool {
	return t.RunID == "" || t.RunID == id && (t.Attempt == "" || t.Attempt == attempt)
}

// HasRef says whether a ref is the one asked for.
func (t Target) HasRef(ref string) bool { return t.Ref == "" || matchRef(t.Ref, ref) }

// HasRepository says whether an address is that of the repository asked for, in
// whatever form git has it.
func (t Target) HasRepository(repository string) bool {
	return t.Repository == "" || t.Repository == Repository(repository)
}

func matchRef(pattern, ref string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(ref, prefix) && len(ref) > len(prefix)
	}
	return pattern == ref
}

// Repository is the address of a repository in one form: https, without
// credentials, ".git" and a final slash. What is no such address stays as it is.
func Repository(address string) string {
	s := address
	if rest, ok := strings.CutPrefix(s, "git@"); ok && !strings.Contains(rest, "://") {
		if host, path, ok := strings.Cut(rest, ":"); ok {
			s = "https://" + host + "/" + path
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "ssh" {
		return address
	}
	return "https://" + strings.ToLower(u.Hostname()) + strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), ".git")
}

// Known says whether the policy knows a gate, as required or otherwise.
func (p *Policy) Known(gate string) bool {
	return slices.Contains(p.RequiredGates, gate) || matchesGate(p.KnownGates, gate)
}

// Hard says whether no waiver may speak of a gate.
func (p *Policy) Hard(gate string) bool { return matchesGate(p.HardGates, gate) }

func matchesGate(patterns []string, gate string) bool {
	for _, pattern := range patterns {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(gate, prefix) && len(gate) > len(prefix) || pattern == gate {
			return true
		}
	}
	return false
}

// Signer is the signer of a name; nil when there is none.
func (p *Policy) Signer(name string) *Signer {
	for i := range p.Signers {
		if p.Signers[i].Name == name {
			return &p.Signers[i]
		}
	}
	return nil
}

// MayVouch says whether the signer may sign statements about a gate.
func (s *Signer) MayVouch(gate string) bool { return matchesGate(s.Gates, gate) }

// MaySign says whether the signer may sign statements of a type that are about
// no gate.
func (s *Signer) MaySign(predicateType string) bool {
	return slices.Contains(s.PredicateTypes, predicateType)
}

// MayBuild says whether the signer may sign provenance of a builder.
func (s *Signer) MayBuild(builder string) bool { return slices.Contains(s.Builders, builder) }

// Claim is what a statement says of itself and a certificate has to agree
// with; empty for what the statement does not say.
type Claim struct {
	Commit         string
	RunID, Attempt string
}

// Identify finds the signer that a certificate is of. It compares every field
// of the identity with the policy, with what is asked for, and with what the
// statement says. When no signer has that identity, it returns what differs
// from the one that comes nearest.
func (p *Policy) Identify(id sign.Identity, target Target, claim Claim, now time.Time) (*Signer, []*strict.Error) {
	var nearest []*strict.Error
	for i := range p.Signers {
		s := &p.Signers[i]
		if s.Kind != KindIdentity {
			continue
		}
		differs := s.Identity.compare(id, target, claim)
		if len(differs) == 0 {
			return s, p.signedAt(id.SignedAt, now)
		}
		if nearest == nil || len(differs) < len(nearest) {
			nearest = differs
		}
	}
	if nearest == nil {
		nearest = []*strict.Error{strict.Refuse(sign.UntrustedSigner, "", "the policy has no signer with an identity")}
	}
	return nil, nearest
}

func (p *Policy) signedAt(at, now time.Time) []*strict.Error {
	switch {
	case at.IsZero():
		return []*strict.Error{strict.Refuse(sign.TimeInvalid, "signed_at", "no trusted time says when it was signed")}
	case at.After(now.Add(time.Duration(p.Skew))):
		return []*strict.Error{strict.Refuse(FutureTime, "signed_at", "signed at %s, which is to come", at.UTC().Format(time.RFC3339))}
	case now.Sub(at) > time.Duration(p.MaxAge):
		return []*strict.Error{strict.Refuse(Stale, "signed_at", "signed at %s, more than %s ago", at.UTC().Format(time.RFC3339), time.Duration(p.MaxAge))}
	}
	return nil
}

// compare returns all that differs.
func (want *Identity) compare(id sign.Identity, target Target, claim Claim) []*strict.Error {
	var differs []*strict.Error
	differ := func(reason strict.Reason, field, have, expected string) {
		differs = append(differs, strict.Refuse(reason, field, "the certificate says %s, wanted %s", strict.Quote(have), strict.Quote(expected)))
	}
	equal := func(reason strict.Reason, field, have, expected string) {
		if have != expected {
			differ(reason, field, have, expected)
		}
	}
	equal(sign.WrongIdentity, "issuer", id.Issuer, want.Issuer)
	if want.pattern == nil {
		equal(sign.WrongIdentity, "san", id.SAN, want.SAN)
	} else if !want.pattern.MatchString(id.SAN) {
		differ(sign.WrongIdentity, "san", id.SAN, want.SANPattern)
	}
	if want.Workflow == "" {
		// A person has no workflow. A certificate that names one is of a machine
		// that somebody else may control.
		for _, part := range []struct{ field, have string }{
			{"build_signer", id.BuildSigner},
			{"build_signer_sha", id.BuildSignerSHA},
			{"runner", id.Runner},
			{"repository", id.Repository},
			{"commit", id.Commit},
			{"ref", id.Ref},
			{"repository_id", id.RepositoryID},
			{"repository_owner", id.RepositoryOwner},
			{"build_config", id.BuildConfig},
			{"trigger", id.Trigger},
			{"run_invocation", id.RunInvocationURI},
		} {
			equal(sign.WrongIdentity, part.field, part.have, "")
		}
		return differs
	}
	equal(sign.WrongIdentity, "repository", id.Repository, want.Repository)
	equal(sign.WrongIdentity, "repository_owner", id.RepositoryOwner, want.RepositoryOwner)
	if want.RepositoryID != "" {
		equal(sign.WrongIdentity, "repository_id", id.RepositoryID, want.RepositoryID)
	}
	if want.Ref != Any && !matchRef(want.Ref, id.Ref) || id.Ref == "" {
		differ(WrongRef, "ref", id.Ref, want.Ref)
	}
	equal(sign.WrongIdentity, "build_config", id.BuildConfig, want.Repository+"/"+want.Workflow+"@"+id.Ref)
	signer := want.BuildSigner
	if signer == "" {
		signer = id.SAN
	}
	equal(sign.WrongIdentity, "build_signer", id.BuildSigner, signer)
	switch own := strings.HasPrefix(id.BuildSigner, want.Repository+"/"); {
	case want.BuildSignerSHA != "":
		equal(sign.WrongIdentity, "build_signer_sha", id.BuildSignerSHA, want.BuildSignerSHA)
	case own:
		equal(sign.WrongIdentity, "build_signer_sha", id.BuildSignerSHA, id.Commit)
	default:
		differ(sign.WrongIdentity, "build_signer_sha", id.BuildSignerSHA, "a commit in the policy, since the workflow is of another repository")
	}
	if !slices.Contains(want.Triggers, id.Trigger) {
		differ(UntrustedTrigger, "trigger", id.Trigger, strings.Join(want.Triggers, " or "))
	}
	equal(WrongRunner, "runner", id.Runner, want.Runner)
	if id.Commit == "" {
		differ(WrongCommit, "commit", id.Commit, "a commit")
	}
	for _, commit := range []string{target.Commit, claim.Commit} {
		if commit != "" {
			equal(WrongCommit, "commit", id.Commit, commit)
		}
	}
	run, attempt := RunOf(id.RunInvocationURI)
	if run == "" || !strings.HasPrefix(id.RunInvocationURI, want.Repository+"/actions/runs/") {
		differ(WrongRun, "run_invocation", id.RunInvocationURI, want.Repository+"/actions/runs/<id>/attempts/<n>")
	} else {
		if !target.HasRun(run, attempt) {
			differ(WrongRun, "run_invocation", id.RunInvocationURI, strings.TrimSuffix(target.RunID+"/"+target.Attempt, "/"))
		}
		if claim.RunID != "" && (claim.RunID != run || claim.Attempt != attempt) {
			differ(WrongRun, "run_invocation", id.RunInvocationURI, claim.RunID+"/"+claim.Attempt)
		}
	}
	return slices.CompactFunc(differs, func(a, b *strict.Error) bool { return *a == *b })
}

// RunOf is the run and the attempt in the address of a run,
// https://host/owner/name/actions/runs/<id>/attempts/<n>; empty for any other.
func RunOf(address string) (run, attempt string) {
	_, rest, ok := strings.Cut(address, "/actions/runs/")
	run, attempt, more := strings.Cut(rest, "/attempts/")
	if !ok || !isWord(run) || more && !isWord(attempt) {
		return "", ""
	}
	return run, attempt
}

// Aged judges the time of something that was made, against the clock of the
// reader: nil, [Stale] or [FutureTime].
func (p *Policy) Aged(what string, at, now time.Time) *strict.Error {
	switch {
	case at.After(now.Add(time.Duration(p.Skew))):
		return strict.Refuse(FutureTime, "", "%s is of %s, which is to come", what, at.UTC().Format(time.RFC3339))
	case now.Sub(at) > time.Duration(p.MaxAge):
		return strict.Refuse(Stale, "", "%s is of %s, more than %s ago", what, at.UTC().Format(time.RFC3339), time.Duration(p.MaxAge))
	}
	return nil
}

// GateTypes are the statements that a signer may sign for the gates it vouches for.
func GateTypes() []string { return []string{statement.GateType, statement.TestResultType} }
