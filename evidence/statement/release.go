package statement

import (
	"strings"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// The release predicates of in-toto. v0.2 is written; v0.1, which calls the
// package ID "releaseId", is read too.
const (
	ReleaseType    = "https://in-toto.io/attestation/release/v0.2"
	ReleaseV01Type = "https://in-toto.io/attestation/release/v0.1"
)

// Release says that the subjects are all the artifacts of a release.
type Release struct {
	// PURL names package and version, for example pkg:golang/github.com/dpone/dpone@v1.2.3.
	PURL string `json:"purl"`
	// PackageID stays the same from version to version, or is empty.
	PackageID string `json:"packageId,omitempty"`
}

// ReleaseV01 is a release as written in v0.1.
type ReleaseV01 struct {
	PURL      string `json:"purl"`
	ReleaseID string `json:"releaseId,omitempty"`
}

// PredicateType returns [ReleaseType].
func (*Release) PredicateType() string { return ReleaseType }

// Validate refuses a package URL without a version.
func (r *Release) Validate() error {
	if err := purl(r.PURL); err != nil {
		return err
	}
	return word("packageId", r.PackageID, false)
}

// PredicateType returns [ReleaseV01Type].
func (*ReleaseV01) PredicateType() string { return ReleaseV01Type }

// Validate refuses a package URL without a version.
func (r *ReleaseV01) Validate() error {
	if err := purl(r.PURL); err != nil {
		return err
	}
	return word("releaseId", r.ReleaseID, false)
}

// purl looks at the parts that a release needs: scheme, type, name, version.
func purl(text string) error {
	if err := word("purl", text, true); err != nil {
		return err
	}
	rest, ok := strings.CutPrefix(text, "pkg:")
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	kind, name, slash := strings.Cut(rest, "/")
	at := strings.LastIndexByte(name, '@')
	if !ok || !slash || kind == "" || at <= 0 || at < strings.LastIndexByte(name, '/') || at == len(name)-1 {
		return strict.Refuse(strict.Schema, "purl", "%s is not pkg:type/name@version", strict.Quote(text))
	}
	return nil
}
