package policy

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// Defaults and bounds.
const (
	defaultSkew = 5 * time.Minute
	maxSkew     = time.Hour
	maxAge      = 10 * 365 * 24 * time.Hour

	// RunnerHosted and RunnerSelf are the runner environments of GitHub.
	RunnerHosted = "github-hosted"
	RunnerSelf   = "self-hosted"
)

func schema(field, format string, args ...any) error {
	return strict.Refuse(strict.Schema, field, format, args...)
}

func tooLarge(err error) error {
	if errors.Is(err, folder.ErrTooLarge) {
		return strict.Refuse(strict.LimitExceeded, "", "%v", err)
	}
	return err
}

// prepare judges the policy and fills in what it leaves to the defaults.
func (p *Policy) prepare() error {
	if p.Schema != Schema {
		return schema("schema", "%s is not %s", strict.Quote(p.Schema), Schema)
	}
	if err := text("name", p.Name); err != nil {
		return err
	}
	if p.Use != Release && p.Use != Local {
		return schema("use", "%s is neither %q nor %q", strict.Quote(string(p.Use)), Release, Local)
	}
	// An empty list is a decision, none at all may be an oversight.
	if p.Signers == nil {
		return schema("signers", "it is mandatory: write [] where a signed log alone vouches")
	}
	if p.RequiredGates == nil {
		return schema("required_gates", "it is mandatory: write [] for none")
	}
	if p.MaxAge <= 0 || time.Duration(p.MaxAge) > maxAge {
		return schema("max_age", "it is mandatory, such as \"168h\", and at most ten years")
	}
	if p.Skew == 0 {
		p.Skew = Duration(defaultSkew)
	}
	if p.Skew < 0 || time.Duration(p.Skew) > maxSkew {
		return schema("skew", "it is not between 0 and 1h")
	}
	if len(p.Triggers) == 0 {
		p.Triggers = []string{"push"}
	}
	for i, trigger := range p.Triggers {
		if err := text(fmt.Sprintf("triggers[%d]", i), trigger); err != nil {
			return err
		}
	}
	for _, check := range []func() error{p.Subject.prepare, p.prepareLog, p.prepareGates, p.prepareSigners, p.prepareLimits, p.prepareWaivers, p.prepareRelease} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Policy) prepareRelease() error {
	if p.Use != Release {
		return nil
	}
	for _, refused := range []struct {
		field string
		is    bool
	}{
		{"accept_dirty", p.AcceptDirty}, {"accept_partial", p.AcceptPartial}, {"accept_mac", p.AcceptMAC},
	} {
		if refused.is {
			return schema(refused.field, "a release policy does not accept that")
		}
	}
	switch {
	case p.Subject.Commit == Any:
		return schema("subject.commit", "a release is of one commit: write it here, or %q", Caller)
	case p.Subject.Repository == Any:
		return schema("subject.repository", "a release is of one repository")
	case len(p.RequiredGates) == 0:
		return schema("required_gates", "a release requires at least one gate")
	case len(p.Signers) == 0:
		return schema("signers", "a release has at least one signer")
	case p.Log == nil:
		return schema("log", "a release has a log: its verifier key is mandatory")
	}
	return nil
}

func (s *Subject) prepare() error {
	if s.Commit == "" {
		s.Commit = Caller
	}
	if s.Run == "" {
		s.Run = Caller
	}
	switch {
	case s.Repository != Any && !address(s.Repository):
		return schema("subject.repository", "%s is not an address such as https://github.com/owner/name, nor %q", strict.Quote(s.Repository), Any)
	case s.Ref != Any && !refPattern(s.Ref):
		return schema("subject.ref", "%s is not refs/..., nor %q", strict.Quote(s.Ref), Any)
	case s.Commit != Any && s.Commit != Caller && !isCommit(s.Commit):
		return schema("subject.commit", "%s is not 40 or 64 lower-case hex digits, %q or %q", strict.Quote(s.Commit), Caller, Any)
	case s.Run != Any && s.Run != Caller && !isRun(s.Run):
		return schema("subject.run", "%s is not the ID of a run, with or without /attempt, nor %q or %q", strict.Quote(s.Run), Caller, Any)
	case s.Version != "" && text("", s.Version) != nil:
		return schema("subject.version", "%s is not a version", strict.Quote(s.Version))
	}
	s.Repository = Repository(s.Repository)
	return nil
}

func (p *Policy) prepareLog() error {
	if p.Log == nil {
		return nil
	}
	if strings.HasPrefix(p.Log.Verifier, "PRIVATE+") {
		// Not repeated: it is a secret.
		return schema("log.verifier", "it is a signer key, which is secret: write the verifier key, and make a new pair")
	}
	v, err := note.NewVerifier(p.Log.Verifier)
	if err != nil {
		return schema("log.verifier", "it is not a verifier key")
	}
	p.verifier = v
	return nil
}

func (p *Policy) prepareGates() error {
	seen := map[string]bool{}
	for i, gate := range p.RequiredGates {
		field := fmt.Sprintf("required_gates[%d]", i)
		switch {
		case !IsGate(gate):
			return schema(field, "%s is not the name of a gate such as ci:test", strict.Quote(gate))
		case seen[gate]:
			return schema(field, "%s is there twice", gate)
		}
		seen[gate] = true
	}
	for _, list := range []struct {
		field    string
		patterns []string
	}{{"known_gates", p.KnownGates}, {"hard_gates", p.HardGates}} {
		for i, pattern := range list.patterns {
			if err := gatePattern(fmt.Sprintf("%s[%d]", list.field, i), pattern); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Policy) prepareSigners() error {
	names := map[string]bool{}
	for i := range p.Signers {
		s := &p.Signers[i]
		field := fmt.Sprintf("signers[%d]", i)
		if err := p.prepareSigner(s, field); err != nil {
			return err
		}
		if names[s.Name] {
			return schema(field+".name", "%s is there twice", strict.Quote(s.Name))
		}
		names[s.Name] = true
	}
	if _, err := p.Trust(nil); err != nil {
		return err
	}
	if t := p.TrustedRoot; t != nil {
		if !localPath(t.Path) {
			return schema("trusted_root.path", "%s does not lie below the folder of the policy", strict.Quote(t.Path))
		}
		if !isHex(t.SHA256, 64) {
			return schema("trusted_root.sha256", "%s is not 64 lower-case hex digits", strict.Quote(t.SHA256))
		}
	}
	return nil
}

func (p *Policy) prepareSigner(s *Signer, field string) error {
	if err := text(field+".name", s.Name); err != nil {
		return err
	}
	if s.Name == LocalMAC {
		return schema(field+".name", "%s is the name of the caller's own key", strict.Quote(s.Name))
	}
	switch s.Kind {
	case KindKey:
		if s.PublicKey == "" || s.Identity != nil {
			return schema(field, "a signer of the kind %q has a public_key and no identity", KindKey)
		}
	case KindIdentity:
		if s.PublicKey != "" || s.Identity == nil || !s.NotBefore.IsZero() || !s.NotAfter.IsZero() || !s.RevokedAt.IsZero() {
			return schema(field, "a signer of the kind %q has an identity, no public_key, and no times", KindIdentity)
		}
		if p.TrustedRoot == nil {
			return schema("trusted_root", "the signer %s needs it", strict.Quote(s.Name))
		}
		if err := p.prepareIdentity(s.Identity, field+".identity"); err != nil {
			return err
		}
	default:
		return schema(field+".kind", "%s is neither %q nor %q", strict.Quote(s.Kind), KindKey, KindIdentity)
	}
	if len(s.Gates) == 0 && len(s.PredicateTypes) == 0 {
		return schema(field, "it may sign nothing: write gates or predicate_types")
	}
	for i, pattern := range s.Gates {
		if err := gatePattern(fmt.Sprintf("%s.gates[%d]", field, i), pattern); err != nil {
			return err
		}
	}
	known := statement.PredicateTypes()
	for i, uri := range s.PredicateTypes {
		if !slices.Contains(known, uri) {
			return schema(fmt.Sprintf("%s.predicate_types[%d]", field, i), "%s is not a predicate type that is read here", strict.Quote(uri))
		}
	}
	for i, builder := range s.Builders {
		if err := text(fmt.Sprintf("%s.builders[%d]", field, i), builder); err != nil {
			return err
		}
	}
	// Who signs provenance, and for which builder, is one decision.
	if slices.Contains(s.PredicateTypes, statement.ProvenanceType) != (len(s.Builders) > 0) {
		return schema(field+".builders", "builders and the predicate type %s go together", statement.ProvenanceType)
	}
	return nil
}

func (p *Policy) prepareIdentity(id *Identity, field string) error {
	if !strings.HasPrefix(id.Issuer, "https://") || text("", id.Issuer) != nil {
		return schema(field+".issuer", "%s is not the https address of an OIDC provider", strict.Quote(id.Issuer))
	}
	if (id.SAN == "") == (id.SANPattern == "") {
		return schema(field, "exactly one of san and san_pattern is wanted")
	}
	if id.SANPattern != "" {
		pattern, err := anchored(field+".san_pattern", id.SANPattern)
		if err != nil {
			return err
		}
		id.pattern = pattern
	} else if err := text(field+".san", id.SAN); err != nil {
		return err
	}
	for _, part := range []struct {
		field, value string
	}{
		{"repository_id", id.RepositoryID}, {"repository_owner", id.RepositoryOwner}, {"build_signer", id.BuildSigner},
	} {
		if part.value != "" {
			if err := text(field+"."+part.field, part.value); err != nil {
				return err
			}
		}
	}
	if id.Workflow == "" {
		if id.Repository+id.RepositoryID+id.RepositoryOwner+id.Ref+id.BuildSigner+id.BuildSignerSHA+id.Runner != "" || len(id.Triggers) > 0 {
			return schema(field+".workflow", "it is mandatory: without it the identity is that of a person")
		}
		if id.SAN == "" || !strings.Contains(id.SAN, "@") || strings.Contains(id.SAN, "://") {
			return schema(field+".workflow", "it is mandatory, unless san is an e-mail address")
		}
		return nil
	}
	if !localPath(id.Workflow) {
		return schema(field+".workflow", "%s is not a path such as .github/workflows/release.yml", strict.Quote(id.Workflow))
	}
	if id.Repository == "" {
		id.Repository = p.Subject.Repository
	}
	if !address(id.Repository) {
		return schema(field+".repository", "%s is not an address such as https://github.com/owner/name", strict.Quote(id.Repository))
	}
	id.Repository = Repository(id.Repository)
	if id.RepositoryOwner == "" {
		id.RepositoryOwner = path.Dir(id.Repository)
		// path.Dir makes one slash of two.
		id.RepositoryOwner = strings.Replace(id.RepositoryOwner, ":/", "://", 1)
	}
	if id.Ref == "" {
		id.Ref = p.Subject.Ref
	}
	if id.Ref != Any && !refPattern(id.Ref) {
		return schema(field+".ref", "%s is not refs/..., nor %q", strict.Quote(id.Ref), Any)
	}
	if id.BuildSignerSHA != "" && !isCommit(id.BuildSignerSHA) {
		return schema(field+".build_signer_sha", "%s is not a commit", strict.Quote(id.BuildSignerSHA))
	}
	if len(id.Triggers) == 0 {
		id.Triggers = p.Triggers
	}
	if id.Runner == "" {
		id.Runner = RunnerHosted
	}
	if id.Runner != RunnerHosted && id.Runner != RunnerSelf {
		return schema(field+".runner", "%s is neither %q nor %q", strict.Quote(id.Runner), RunnerHosted, RunnerSelf)
	}
	return nil
}

func (p *Policy) prepareLimits() error {
	if p.Limits.Files < 0 || p.Limits.Bytes < 0 || p.Limits.Folders < 0 || p.Limits.Loose < 0 {
		return schema("limits", "a limit is negative")
	}
	return nil
}

// Trust are the signers that are keys, under their names. mac is the caller's
// local key, or empty; it counts in a policy that accepts it alone.
func (p *Policy) Trust(mac []byte) (sign.Trust, error) {
	var keys []sign.TrustedKey
	for _, s := range p.Signers {
		if s.Kind == KindKey {
			keys = append(keys, sign.TrustedKey{
				Name: s.Name, PublicPEM: []byte(s.PublicKey),
				NotBefore: s.NotBefore, NotAfter: s.NotAfter, RevokedAt: s.RevokedAt,
			})
		}
	}
	if len(mac) > 0 && p.AcceptMAC {
		keys = append(keys, sign.TrustedKey{Name: LocalMAC, MAC: mac})
	}
	return sign.NewTrust(keys...)
}

// LocalMAC is the name of the caller's local key among the signers.
const LocalMAC = "local MAC"

// text refuses what is no name: empty, long, or with control characters.
func text(field, value string) error {
	if value == "" || len(value) > 1024 || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return schema(field, "%s is empty, longer than 1024 bytes, or has a control character", strict.Quote(value))
	}
	return nil
}

func isHex(s string, digits int) bool {
	if len(s) != digits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isCommit(s string) bool { return isHex(s, 40) || isHex(s, 64) }

// isRun says that s is a run ID of CI, with or without an attempt.
func isRun(s string) bool {
	id, attempt, more := strings.Cut(s, "/")
	return isWord(id) && (!more || isWord(attempt))
}

func isWord(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// IsGate says that s is the name of a gate, as "area:name" or a word.
func IsGate(s string) bool {
	area, name, more := strings.Cut(s, ":")
	return isWord(area) && (!more || isWord(strings.ReplaceAll(name, ":", "-")))
}

func gatePattern(field, pattern string) error {
	prefix, all := strings.CutSuffix(pattern, ":*")
	if all && IsGate(prefix) || !all && IsGate(pattern) {
		return nil
	}
	return schema(field, "%s is neither the name of a gate nor a prefix such as matrix:*", strict.Quote(pattern))
}

func refPattern(s string) bool {
	exact := strings.TrimSuffix(s, "*")
	return strings.HasPrefix(exact, "refs/") && len(exact) > len("refs/") && text("", s) == nil && !strings.ContainsAny(exact, "* \\^~:?[")
}

func address(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		len(strings.Split(strings.Trim(u.Path, "/"), "/")) >= 2 && text("", s) == nil
}

func localPath(s string) bool {
	return s != "" && s != "." && path.Clean(s) == s && !path.IsAbs(s) && s != ".." && !strings.HasPrefix(s, "../") &&
		!strings.ContainsAny(s, "\\:") && text("", s) == nil
}
