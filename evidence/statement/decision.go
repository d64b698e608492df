package statement

import (
	"fmt"
	"regexp"
	"time"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// DecisionType names our own predicate for go or no-go, with all its reasons.
const DecisionType = "https://github.com/dpone/dpone/evidence/decision/v1"

// Decision is what came of looking at all the evidence. It holds everything
// that is needed to come to it again.
type Decision struct {
	Verdict DecisionVerdict `json:"verdict"`
	// Score is a decimal number such as "97.5", or empty when there is none.
	Score     string    `json:"score,omitempty"`
	Evaluator Evaluator `json:"evaluator"`
	// EvaluatedAt is the time that ages and expiries were compared with.
	EvaluatedAt time.Time `json:"evaluatedAt"`
	// Policy is the policy file, by digest.
	Policy   ResourceDescriptor `json:"policy"`
	Blockers []DecisionBlocker  `json:"blockers" limit:"65536"`
	Waivers  []Waiver           `json:"waivers" limit:"1024"`
	// Inputs are all that was looked at, each by digest.
	Inputs []ResourceDescriptor `json:"inputs" limit:"65536"`
}

// DecisionVerdict is GO, NO_GO, GO_WITH_WAIVERS or UNVERIFIED.
type DecisionVerdict string

// The verdicts of a decision.
const (
	Go                 DecisionVerdict = "GO"
	NoGo               DecisionVerdict = "NO_GO"
	GoWithWaivers      DecisionVerdict = "GO_WITH_WAIVERS"
	DecisionUnverified DecisionVerdict = "UNVERIFIED"
)

// Evaluator is the program that decided.
type Evaluator struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// DecisionBlocker is something that stands against GO.
type DecisionBlocker struct {
	// ID is "<subject>.<problem>", for example "performance.missing".
	ID string `json:"id"`
	// Reason is the stable code, for example "missing" or "wrong_commit".
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// Waiver is a blocker that somebody answers for, until a time.
type Waiver struct {
	// Blocker is the ID of what is waived.
	Blocker string `json:"blocker"`
	// Release is the version it holds for.
	Release    string    `json:"release"`
	Owner      string    `json:"owner"`
	ApprovedBy string    `json:"approvedBy"`
	Expires    time.Time `json:"expires"`
	Reason     string    `json:"reason"`
}

// MarshalJSON writes lists that are empty as such, never as null.
func (d Decision) MarshalJSON() ([]byte, error) {
	type plain Decision
	p := plain(d)
	p.Blockers = append([]DecisionBlocker{}, p.Blockers...)
	p.Waivers = append([]Waiver{}, p.Waivers...)
	p.Inputs = append([]ResourceDescriptor{}, p.Inputs...)
	return marshal(p)
}

var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$`)

// PredicateType returns [DecisionType].
func (*Decision) PredicateType() string { return DecisionType }

// Validate refuses a verdict that its own blockers and waivers contradict, a
// decision without a policy digest, and GO over no evidence at all.
func (d *Decision) Validate() error {
	if d.Score != "" && !decimal.MatchString(d.Score) {
		return strict.Refuse(strict.Schema, "score", "%s is not a decimal number", strict.Quote(d.Score))
	}
	for _, part := range []struct{ field, text string }{
		{"evaluator.id", d.Evaluator.ID}, {"evaluator.version", d.Evaluator.Version},
	} {
		if err := word(part.field, part.text, true); err != nil {
			return err
		}
	}
	if d.EvaluatedAt.IsZero() {
		return strict.Refuse(strict.Schema, "evaluatedAt", "it is missing")
	}
	if err := validateAll("policy", []ResourceDescriptor{d.Policy}, true); err != nil {
		return err
	}
	if err := validateAll("inputs", d.Inputs, true); err != nil {
		return err
	}
	for i, b := range d.Blockers {
		place := fmt.Sprintf("blockers[%d]", i)
		for _, part := range []struct{ field, text string }{{".id", b.ID}, {".reason", b.Reason}} {
			if err := word(place+part.field, part.text, true); err != nil {
				return err
			}
		}
	}
	for i, w := range d.Waivers {
		place := fmt.Sprintf("waivers[%d]", i)
		for _, part := range []struct{ field, text string }{
			{".blocker", w.Blocker}, {".release", w.Release}, {".owner", w.Owner}, {".approvedBy", w.ApprovedBy}, {".reason", w.Reason},
		} {
			if err := word(place+part.field, part.text, true); err != nil {
				return err
			}
		}
		switch {
		case !w.Expires.After(d.EvaluatedAt):
			return strict.Refuse(strict.Schema, place+".expires", "the waiver had expired when it was used")
		case w.Owner == w.ApprovedBy:
			return strict.Refuse(strict.Schema, place+".approvedBy", "the owner approved the waiver")
		}
	}
	return d.follows()
}

func (d *Decision) follows() error {
	blockers, waivers := len(d.Blockers), len(d.Waivers)
	ok := false
	switch d.Verdict {
	case Go:
		ok = blockers == 0 && waivers == 0 && len(d.Inputs) > 0
	case GoWithWaivers:
		ok = blockers == 0 && waivers > 0 && len(d.Inputs) > 0
	case NoGo, DecisionUnverified:
		ok = blockers > 0
	default:
		return strict.Refuse(strict.Schema, "verdict", "%s is not GO, NO_GO, GO_WITH_WAIVERS or UNVERIFIED", strict.Quote(string(d.Verdict)))
	}
	if !ok {
		return strict.Refuse(strict.Schema, "verdict", "%s does not follow from %d blockers, %d waivers and %d inputs", d.Verdict, blockers, waivers, len(d.Inputs))
	}
	return nil
}
