package statement

import (
	"fmt"
	"slices"
	"time"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// VSAType names the verification summary of SLSA, v1.
const VSAType = "https://slsa.dev/verification_summary/v1"

// The levels that a go gives in a summary. They are ours, so they do not begin
// with SLSA_, and a go with waivers never has the plain one.
const (
	LevelGo            = "DPONE_PRODUCTION_MATURITY_GO"
	LevelGoWithWaivers = "DPONE_PRODUCTION_MATURITY_GO_WITH_WAIVERS"
	LevelFailed        = "FAILED"
)

// VSA is a decision in the words of SLSA and nothing more; [Decision] has the reasons.
type VSA struct {
	Verifier     Verifier           `json:"verifier"`
	TimeVerified time.Time          `json:"timeVerified,omitzero"`
	ResourceURI  string             `json:"resourceUri"`
	Policy       ResourceDescriptor `json:"policy"`
	// InputAttestations, when there are any, are all of them.
	InputAttestations  []ResourceDescriptor `json:"inputAttestations,omitempty" limit:"65536"`
	VerificationResult Result               `json:"verificationResult"`
	VerifiedLevels     []string             `json:"verifiedLevels" limit:"64"`
	DependencyLevels   map[string]uint32    `json:"dependencyLevels,omitempty" limit:"64"`
	SLSAVersion        string               `json:"slsaVersion,omitempty"`
}

// Verifier is who verified.
type Verifier struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty" limit:"64"`
}

// NewVSA states a decision about a release as a summary. resource is the purl
// of the release. GO and GO_WITH_WAIVERS are PASSED with levels of their own;
// NO_GO and UNVERIFIED are FAILED.
func NewVSA(d *Decision, resource string) (*VSA, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("summary: decision: %w", err)
	}
	v := &VSA{
		Verifier:           Verifier{ID: d.Evaluator.ID, Version: map[string]string{"evaluator": d.Evaluator.Version}},
		TimeVerified:       second(d.EvaluatedAt),
		ResourceURI:        resource,
		Policy:             d.Policy,
		InputAttestations:  d.Inputs,
		VerificationResult: Failed,
		VerifiedLevels:     []string{LevelFailed},
	}
	switch d.Verdict {
	case Go:
		v.VerificationResult, v.VerifiedLevels = Passed, []string{LevelGo}
	case GoWithWaivers:
		v.VerificationResult, v.VerifiedLevels = Passed, []string{LevelGoWithWaivers}
	case NoGo, DecisionUnverified:
	}
	if err := v.Validate(); err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	return v, nil
}

// PredicateType returns [VSAType].
func (*VSA) PredicateType() string { return VSAType }

// Validate refuses a summary without what the specification demands, and one
// whose levels contradict its result.
func (v *VSA) Validate() error {
	for _, part := range []struct{ field, text string }{
		{"verifier.id", v.Verifier.ID}, {"resourceUri", v.ResourceURI}, {"policy.uri", v.Policy.URI},
	} {
		if err := word(part.field, part.text, true); err != nil {
			return err
		}
	}
	if err := words("verifier.version", v.Verifier.Version); err != nil {
		return err
	}
	if err := v.Policy.validate("policy"); err != nil {
		return err
	}
	if err := validateAll("inputAttestations", v.InputAttestations, true); err != nil {
		return err
	}
	if len(v.VerifiedLevels) == 0 {
		return strict.Refuse(strict.Schema, "verifiedLevels", "it is empty")
	}
	for i, level := range v.VerifiedLevels {
		if err := word(fmt.Sprintf("verifiedLevels[%d]", i), level, true); err != nil {
			return err
		}
	}
	failed := slices.Contains(v.VerifiedLevels, LevelFailed)
	switch {
	case v.VerificationResult == Passed && !failed:
	case v.VerificationResult == Failed && failed && len(v.VerifiedLevels) == 1:
	case v.VerificationResult == Passed || v.VerificationResult == Failed:
		return strict.Refuse(strict.Schema, "verifiedLevels", "they contradict the result %s", v.VerificationResult)
	default:
		return strict.Refuse(strict.Schema, "verificationResult", "%s is not PASSED or FAILED", strict.Quote(string(v.VerificationResult)))
	}
	return nil
}
