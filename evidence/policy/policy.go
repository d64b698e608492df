package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// Schema identifies the format of a policy.
const Schema = "https://github.com/dpone/dpone/evidence/policy/v1"

// MaxBytes is the largest policy that is read.
const MaxBytes = 1 << 20

// The words that stand for a value in a [Subject].
const (
	// Caller: the caller gives the value, and nothing is shown without it.
	Caller = "caller"
	// Any: every value is taken.
	Any = "any"
)

// Use is what a policy is for.
type Use string

// The uses.
const (
	// Release: what people elsewhere rely on. No accept_ field may be set.
	Release Use = "release"
	// Local: for oneself.
	Local Use = "local"
)

// The kinds of signers.
const (
	KindKey      = "key"
	KindIdentity = "identity"
)

// Policy says whose word counts for what. It is never changed once read.
type Policy struct {
	// Schema is https://github.com/dpone/dpone/evidence/policy/v1.
	Schema string `json:"schema"`
	// Name is shown in reports.
	Name string `json:"name"`
	// Use is "release" or "local". In a release policy no accept_ field may be
	// set, and commit, repository and required gates have to be said.
	Use Use `json:"use"`
	// Subject is what the evidence must be about.
	Subject Subject `json:"subject"`
	// MaxAge is how old evidence may be, such as "168h".
	MaxAge Duration `json:"max_age"`
	// Skew is how far a clock may be ahead: "5m" if not given, at most "1h".
	Skew Duration `json:"skew,omitzero"`
	// Triggers are the events of CI that count: ["push"] if not given.
	Triggers []string `json:"triggers,omitempty" limit:"16"`
	// AcceptDirty takes runs of a changed working tree; only in a local policy.
	AcceptDirty bool `json:"accept_dirty,omitempty"`
	// AcceptPartial takes runs of which parts were left out; only in a local policy.
	AcceptPartial bool `json:"accept_partial,omitempty"`
	// AcceptMAC takes the MAC of the caller's local key; only in a local policy.
	AcceptMAC bool `json:"accept_mac,omitempty"`
	// RefuseEmptyArtifacts refuses an artifact without bytes.
	RefuseEmptyArtifacts bool `json:"refuse_empty_artifacts,omitempty"`
	// Signers are those whose signatures count. Nobody else may sign.
	Signers []Signer `json:"signers" limit:"64"`
	// Log is the log that the evidence must be in; a release policy has one.
	Log *Log `json:"log,omitempty"`
	// TrustedRoot is what certificates are checked with; signers of the kind
	// "identity" need it.
	TrustedRoot *TrustedRoot `json:"trusted_root,omitempty"`
	// RequiredGates must be shown, each by its exact name. A caller can add to
	// them and never take any away.
	RequiredGates []string `json:"required_gates" limit:"1024"`
	// KnownGates may be there besides, by name or as "area:*".
	KnownGates []string `json:"known_gates,omitempty" limit:"1024"`
	// HardGates are those that no waiver may speak of, by name or as "area:*".
	HardGates []string `json:"hard_gates,omitempty" limit:"1024"`
	// Limits lower what is read at most.
	Limits Limits `json:"limits,omitzero"`
	// Waivers are gaps that somebody answers for, until a time.
	Waivers []Waiver `json:"waivers,omitempty" limit:"256"`

	// SHA256 is the digest of the file, in lower-case hex.
	SHA256 string `json:"-"`

	root     []byte        // the trusted root, once loaded
	verifier note.Verifier // of the log; nil when there is none
}

// Subject is what evidence must be about. A value is exact, or "any", or
// "caller", which asks the caller for it and fails without.
type Subject struct {
	// Repository is the address without credentials, as https://host/owner/name.
	Repository string `json:"repository"`
	// Ref is refs/heads/... or refs/tags/...; a "*" at the end stands for the rest.
	Ref string `json:"ref"`
	// Commit is 40 or 64 hex digits; "caller" if not given.
	Commit string `json:"commit,omitempty"`
	// Run is the ID of a run of CI, with "/" and the attempt for one attempt
	// only; "caller" if not given.
	Run string `json:"run,omitempty"`
	// Version is that of the release, for waivers and release statements.
	Version string `json:"version,omitempty"`
}

// Signer is somebody who may sign, and what.
type Signer struct {
	// Name is shown in reports.
	Name string `json:"name"`
	// Kind is "key" or "identity".
	Kind string `json:"kind"`
	// PublicKey is an Ed25519 or ECDSA P-256 key, as PEM.
	PublicKey string `json:"public_key,omitempty"`
	// NotBefore, NotAfter and RevokedAt bound the time of verification in which
	// the key counts.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	// Identity is who the certificate must name.
	Identity *Identity `json:"identity,omitempty"`
	// Gates are the gates that the signer may vouch for, by name or as "area:*".
	Gates []string `json:"gates,omitempty" limit:"1024"`
	// PredicateTypes are the other statements it may sign, by URI.
	PredicateTypes []string `json:"predicate_types,omitempty" limit:"64"`
	// Builders are the builders whose provenance it may sign, by exact ID.
	Builders []string `json:"builders,omitempty" limit:"64"`
}

// Identity is what a certificate of Fulcio must say. All of it is compared,
// with what the evidence says and with this.
type Identity struct {
	// Issuer is the address of the OIDC provider, exactly.
	Issuer string `json:"issuer"`
	// SAN is the subject alternative name, exactly: the address of a workflow
	// with its ref, or an e-mail address.
	SAN string `json:"san,omitempty"`
	// SANPattern stands in place of SAN: a regular expression (RE2) from "^" to
	// "$" that spells out host and owner.
	SANPattern string `json:"san_pattern,omitempty"`
	// Workflow is the path of the workflow that was started, such as
	// .github/workflows/release.yml. Without it the certificate must be of a
	// person, and say nothing of a workflow.
	Workflow string `json:"workflow,omitempty"`
	// Repository is that of the workflow; that of the subject if not given.
	Repository string `json:"repository,omitempty"`
	// RepositoryID is the number of the repository, which no fork and no later owner of the name has.
	RepositoryID string `json:"repository_id,omitempty"`
	// RepositoryOwner is the address of the owner; that in the repository's address if not given.
	RepositoryOwner string `json:"repository_owner,omitempty"`
	// Ref is that of the source; that of the subject if not given.
	Ref string `json:"ref,omitempty"`
	// BuildSigner is the workflow that signed; the SAN if not given.
	BuildSigner string `json:"build_signer,omitempty"`
	// BuildSignerSHA is the commit of that workflow. A workflow of the
	// repository itself has that of the source; for any other it is mandatory.
	BuildSignerSHA string `json:"build_signer_sha,omitempty"`
	// Triggers are the events that count; those of the policy if not given.
	Triggers []string `json:"triggers,omitempty" limit:"16"`
	// Runner is "github-hosted" if not given, or "self-hosted".
	Runner string `json:"runner,omitempty"`

	pattern *regexp.Regexp
}

// Log is the log that evidence must be in.
type Log struct {
	// Verifier is the verifier key of the log, as evidence:keygen writes it.
	Verifier string `json:"verifier"`
	// Optional takes evidence that the log does not have.
	Optional bool `json:"optional,omitempty"`
}

// TrustedRoot is a trusted_root.json of Sigstore.
type TrustedRoot struct {
	// Path is relative to the policy file, in its folder or below.
	Path string `json:"path"`
	// SHA256 is the digest that the file must have, in lower-case hex.
	SHA256 string `json:"sha256"`
}

// Limits bound what is read. They can only be lowered.
type Limits struct {
	// Files bounds the files and directories of a sealed folder.
	Files int `json:"files,omitempty"`
	// Bytes bounds the sum of their sizes.
	Bytes int64 `json:"bytes,omitempty"`
	// Folders bounds the sealed folders.
	Folders int `json:"folders,omitempty"`
	// Loose bounds the files outside of them.
	Loose int `json:"loose,omitempty"`
}

// Duration is a length of time, written as "168h", "90m" or "30s".
type Duration time.Duration

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return strict.Refuse(strict.Schema, "", "%s is not a duration such as 168h", strict.Quote(string(text)))
	}
	*d = Duration(v)
	return nil
}

// PolicyDigest is the reason when the policy or its trusted root is not the
// one that was pinned.
const PolicyDigest strict.Reason = "policy_digest"

// policies holds no state and is never changed.
var policies = strict.NewDecoder[Policy](strict.Limits{Bytes: MaxBytes, Depth: 8, Values: 1 << 16})

// Decode reads a policy as if its writer were hostile. The trusted root is not
// read; see [Load]. Every error holds a *[strict.Error] with the reason.
func Decode(raw []byte) (*Policy, error) {
	p, err := policies.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if err := p.prepare(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	p.SHA256 = digestOf(raw)
	return &p, nil
}

// Load reads a policy file and the trusted root that it names. When sha256 is
// not empty, the file must have that digest (reason [PolicyDigest]). An error
// without a reason is that of the system: the file could not be read.
func Load(path, sha256 string) (*Policy, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer root.Close()
	raw, err := folder.ReadRegular(root, filepath.Base(path), MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", tooLarge(err))
	}
	if sum := digestOf(raw); sha256 != "" && sum != sha256 {
		return nil, fmt.Errorf("policy: %w", strict.Refuse(PolicyDigest, "", "the file has sha256 %s, %s was asked for", sum, sha256))
	}
	p, err := Decode(raw)
	if err != nil || p.TrustedRoot == nil {
		return p, err
	}
	const field = "trusted_root"
	content, err := folder.ReadRegular(root, filepath.FromSlash(p.TrustedRoot.Path), maxRoot)
	if err != nil {
		return nil, fmt.Errorf("policy: %s: %w", field, tooLarge(err))
	}
	if sum := digestOf(content); sum != p.TrustedRoot.SHA256 {
		return nil, fmt.Errorf("policy: %w", strict.Refuse(PolicyDigest, field+".sha256", "the file has %s, the policy says %s", sum, p.TrustedRoot.SHA256))
	}
	p.root = content
	return p, nil
}

// maxRoot is more than any trusted root has, in bytes.
const maxRoot = 4 << 20

// TrustedRootJSON is the trusted root; nil when the policy has none or was not read by [Load].
func (p *Policy) TrustedRootJSON() []byte { return p.root }

// LogVerifier is the key of the log; nil when the policy asks for no log.
func (p *Policy) LogVerifier() note.Verifier { return p.verifier }

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
