// Package release attests what is shipped: which files, made of which commit by
// whom, with what in them; signed, and read back before anything is green.
//
// The gate [Attest] leaves in test_artifacts/supply-chain/<run>/, besides what
// every run leaves:
//
//	SHA256SUMS                      the subjects, as sha256sum -c reads it
//	sbom.cyclonedx.json             what the binary is made of, CycloneDX 1.6
//	sbom.spdx.json                  the same, SPDX 2.3
//	provenance.intoto.json          SLSA provenance v1 (docs/buildtypes/mage-v1.md)
//	sbom.intoto.json                that the bill is of this binary
//	release.intoto.json             that these are all the files of the release
//	*.sigstore.json                 each of the three, signed
//	supply_chain_attestation.json   the report, and .md for a reader
//
// With several binaries there is a bill for each: sbom.<subject>.cyclonedx.json
// and so on. A subject is hashed while it is copied, and everything that is said
// of it is said of the copy; before the signing the originals are hashed again.
//
// What is stated is held against git and against the binaries. A statement that
// something contradicts is not written; one that something cannot confirm is
// written and not signed. Nothing is signed either when a secret is found.
//
// It refuses to read links, devices and anything outside the source tree, and
// does not look into archives.
package release

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// Area is the folder below the artifacts that the runs go to.
const Area = "supply-chain"

// Options say what is released. Everything that has no default is mandatory.
type Options struct {
	// Release is the version, for example v1.2.3.
	Release string `json:"release"`
	// Subjects are files and globs below the root, with forward slashes.
	Subjects []string `json:"subjects"`
	// Repository is the https URL of the source, Commit its full object name.
	Repository string `json:"repository"`
	Commit     string `json:"commit"`
	// BuilderID is the URI of who built; from the surroundings if empty.
	BuilderID string `json:"builder_id"`
	// Targets are the mage targets that made the subjects, and Args their flags.
	Targets []string `json:"targets"`
	Args    []string `json:"args"`
	// Untagged allows that no tag names the release. It must be a pre-release.
	Untagged bool `json:"untagged"`
	// RequireSBOM wants a Go binary among the subjects.
	RequireSBOM bool `json:"require_sbom"`
	// Signing says who signs. The zero value is nobody, which is not enough for
	// a release.
	Signing Signing `json:"signing"`
	// Getenv looks up what a workflow says of itself, as os.Getenv; nothing is
	// known of the surroundings without it.
	Getenv func(string) string `json:"-"`
	// Environ is the environment as os.Environ gives it, whose secrets must not
	// be in anything that is signed; SecretNames are as in [gates.Options].
	Environ     []string `json:"-"`
	SecretNames []string `json:"-"`
	// Runbook is the page with a section for each step; docs/runbooks.md if empty.
	Runbook string `json:"runbook"`
}

// Signing is who signs statements, and who reads bundles back.
type Signing struct {
	// Kind is that of the signer; from the signer if empty.
	Kind string `json:"kind"`
	// Signer signs; nil for nobody. One of the kind pending signs nothing now.
	Signer sign.Signer `json:"-"`
	// Open verifies a bundle from its bytes and returns the statement that is
	// signed, byte for byte. Nil suits a [*sign.Key]; for any other signer a
	// bundle cannot be verified without it.
	Open func(ctx context.Context, bundle []byte) (payload []byte, err error) `json:"-"`
}

// SigningBy is a signer with its reader: of a key without further ado, of a MAC
// with the key that it was made with. Nobody signs when the signer is nil.
func SigningBy(signer sign.Signer, macKey []byte) (Signing, error) {
	s := Signing{Signer: signer}
	if signer == nil {
		return s, nil
	}
	s.Kind = signer.Kind()
	var err error
	if s.Kind == sign.KindHMAC {
		s.Open, err = opener(sign.TrustedKey{Name: "local", MAC: macKey})
	}
	return s, err
}

// opener reads bundles by one key.
func opener(key sign.TrustedKey) (func(context.Context, []byte) ([]byte, error), error) {
	trust, err := sign.NewTrust(key)
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, bundle []byte) ([]byte, error) {
		verified, err := sign.VerifyBundle(bundle, trust, sign.Options{At: time.Now(), AllowMAC: len(key.MAC) > 0})
		return verified.Payload, err
	}, nil
}

func (o Options) withDefaults() Options {
	if o.Runbook == "" {
		o.Runbook = "docs/runbooks.md"
	}
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	s := &o.Signing
	if s.Signer != nil {
		if s.Kind == "" {
			s.Kind = s.Signer.Kind()
		}
		if key, ok := s.Signer.(*sign.Key); ok && s.Open == nil {
			// Without a reader no bundle is verified, and none is green.
			s.Open, _ = opener(sign.TrustedKey{Name: "signer", PublicPEM: key.PublicPEM()})
		}
	}
	o.Args = append([]string{}, o.Args...)
	return o
}

var (
	objectName = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	targetName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(:[A-Za-z][A-Za-z0-9]*)*$`)
)

func misuse(format string, args ...any) error {
	return &gates.UsageError{Problem: "release:attest: " + fmt.Sprintf(format, args...)}
}

// Validate refuses options that state nothing that could be checked. All errors
// are *[gates.UsageError]; none repeats a repository that holds a password.
func (o Options) Validate() error {
	for _, part := range []struct{ flag, value, example string }{
		{"release", o.Release, "v1.2.3"},
		{"subject", strings.Join(o.Subjects, ","), "dist/dpone,dist/*.tar.gz"},
		{"repository", o.Repository, "https://github.com/dpone/dpone"},
		{"commit", o.Commit, "$(git rev-parse HEAD)"},
		{"targets", strings.Join(o.Targets, ","), "ci:build, the targets that made the subjects"},
	} {
		if part.value == "" {
			return misuse("-%s is missing; for example -%s=%s", part.flag, part.flag, part.example)
		}
	}
	if !semver.IsValid(o.Release) || semver.Canonical(o.Release) != o.Release {
		return misuse("-release=%.80q is not a whole version like v1.2.3 or v1.2.3-rc.1", o.Release)
	}
	if o.Untagged && semver.Prerelease(o.Release) == "" {
		return misuse("-untagged is for pre-releases, and %s is none: git tag %s", o.Release, o.Release)
	}
	if !objectName.MatchString(o.Commit) {
		return misuse("-commit=%.80q is not a full object name; give the output of git rev-parse HEAD", o.Commit)
	}
	if err := checkAddress("repository", o.Repository); err != nil {
		return err
	}
	if o.BuilderID != "" {
		if err := checkAddress("builderId", o.BuilderID); err != nil {
			return err
		}
	}
	for _, target := range o.Targets {
		if !targetName.MatchString(target) {
			return misuse("-targets: %.80q is not the name of a target such as ci:build", target)
		}
	}
	for _, pattern := range o.Subjects {
		switch _, err := path.Match(pattern, ""); {
		case pattern == "" || !filepath.IsLocal(filepath.FromSlash(pattern)) || strings.Contains(pattern, `\`) || path.Clean(pattern) != pattern:
			return misuse("-subject: %.200q is not a path below the source tree; copy the file to dist/ and write dist/NAME", pattern)
		case err != nil:
			return misuse("-subject: %.200q is not a pattern: a bracket is not closed", pattern)
		}
	}
	return nil
}

// checkAddress takes an https URL without credentials, and does not show what may hold some.
func checkAddress(flag, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.User != nil:
		return misuse("-%s is not a URL without user and password", flag)
	case u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.String() != text || strings.Trim(u.Path, "/") == "" || len(text) > 1024:
		return misuse("-%s=%.200q is not a URL like https://example.com/owner/name", flag, text)
	}
	return nil
}

// The IDs of the steps.
const (
	stepSubjects   = "attest:subjects"
	stepSource     = "attest:source"
	stepBinaries   = "attest:binaries"
	stepSBOM       = "attest:sbom"
	stepProvenance = "attest:provenance"
	stepSign       = "attest:sign"
)

// Attest is the gate release:attest. Its steps hand on what they found, so a
// gate that Attest made runs once.
func Attest(o Options) gates.Gate {
	o = o.withDefaults()
	a := newAttestation(o)
	list := []gates.Step{
		{ID: stepSubjects, Doc: "The subjects are plain files with content and names of their own.", Commands: a.plan, Run: a.takeSubjects},
		{ID: stepSource, Doc: "The commit, the version and the repository are what git says.", Commands: a.askGit, Run: a.checkSource},
		{ID: stepBinaries, Doc: "Each Go binary bears the commit and the version that are stated.", Run: a.checkBinaries},
		{ID: stepSBOM, Doc: "Each Go binary has a bill of materials of what is linked in it.", Commands: a.askGo, Run: a.writeSBOM},
		{ID: stepProvenance, Doc: "It is stated how the subjects were made, and nothing contradicts it.", Commands: a.askSource, Run: a.state},
		{ID: stepSign, Doc: "The statements hold no secret, are signed, and verify from their bytes.", Run: a.seal},
	}
	for i := range list {
		s := &list[i]
		s.Runbook, s.Reproduce, s.Run = o.anchor(s.ID), o.reproduce(), a.tracked(s.ID, s.Run)
		// One after the other, whatever came of the one before: each says itself
		// what it does not do for want of what.
		if i > 0 {
			s.After = []string{list[i-1].ID}
		}
	}
	return gates.Gate{
		ID: "release:attest", Doc: "What is shipped is stated, held against git and the binaries, signed, and verified.",
		Runbook: o.anchor("release:attest"), Area: Area, Options: o, Steps: list, Finally: a.report,
		Inputs: []string{"go.mod", "go.sum"},
	}
}

func (o Options) anchor(id string) string {
	return o.Runbook + "#" + strings.ReplaceAll(id, ":", "-")
}

// reproduce is what to type to do all of it again.
func (o Options) reproduce() string {
	words := []string{"mage", "release:attest"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "-"+flag+"="+value)
		}
	}
	add("release", o.Release)
	add("subject", strings.Join(o.Subjects, ","))
	add("repository", o.Repository)
	add("commit", o.Commit)
	add("builderId", o.BuilderID)
	add("targets", strings.Join(o.Targets, ","))
	add("targetArgs", strings.Join(o.Args, ","))
	if o.Untagged {
		words = append(words, "-untagged")
	}
	if o.RequireSBOM {
		words = append(words, "-requireSBOM")
	}
	for i := range words {
		words[i] = proc.Quote(words[i])
	}
	return strings.Join(words, " ")
}
