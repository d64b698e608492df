package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// The reasons around waivers and versions.
const (
	WaiverInvalid strict.Reason = "waiver_invalid"
	WrongVersion  strict.Reason = "wrong_version"
)

// Waivable are the reasons that a waiver can be about: gaps, never a
// contradiction, a broken seal or an unknown signer.
var waivable = []string{"gate_failed", "gate_unverified", "missing", "partial", "skipped_required", "stale"}

// Waiver is a gap that somebody answers for, until a time.
type Waiver struct {
	// Gate is the gate whose gap is waived, by its exact name.
	Gate string `json:"gate,omitempty"`
	// Blocker stands in place of Gate: the ID of a blocker in a record. A red
	// gate is waived when each of its blockers is.
	Blocker string `json:"blocker,omitempty"`
	// Code is the reason that is waived: gate_failed, gate_unverified, missing,
	// partial, skipped_required or stale.
	Code string `json:"code"`
	// Version is the release that the waiver is for.
	Version string `json:"version,omitempty"`
	// Commit stands in place of Version.
	Commit string `json:"commit,omitempty"`
	// Owner is who asks for it and mends the gap.
	Owner string `json:"owner"`
	// GrantedBy is who granted it, and is not the owner.
	GrantedBy string `json:"granted_by"`
	// Reason says why, for a reader.
	Reason string `json:"reason"`
	// Expires is when it ends.
	Expires time.Time `json:"expires"`
}

// Name is what the waiver is about.
func (w Waiver) Name() string {
	if w.Gate != "" {
		return w.Gate
	}
	return w.Blocker
}

func (p *Policy) prepareWaivers() error {
	for i, w := range p.Waivers {
		field := fmt.Sprintf("waivers[%d]", i)
		for _, part := range []struct{ name, value string }{
			{"owner", w.Owner}, {"granted_by", w.GrantedBy}, {"reason", w.Reason}, {"gate or blocker", w.Name()},
		} {
			if err := text(field+"."+part.name, part.value); err != nil {
				return err
			}
		}
		switch {
		case (w.Gate == "") == (w.Blocker == ""):
			return schema(field, "exactly one of gate and blocker is wanted")
		case w.Gate != "" && !IsGate(w.Gate):
			return schema(field+".gate", "%s is not the name of a gate", strict.Quote(w.Gate))
		case (w.Version == "") == (w.Commit == ""):
			return schema(field, "exactly one of version and commit is wanted: a waiver is for one release")
		case w.Commit != "" && !isCommit(w.Commit):
			return schema(field+".commit", "%s is not a commit", strict.Quote(w.Commit))
		case !slices.Contains(waivable, w.Code):
			return schema(field+".code", "%s cannot be waived; %s can", strict.Quote(w.Code), strings.Join(waivable, ", "))
		case w.Expires.IsZero():
			return schema(field+".expires", "it is mandatory")
		}
	}
	return nil
}

// JudgeWaiver says whether a waiver counts: not expired, for this version or
// commit, for a gate that the policy knows and that is not a hard one, and
// granted by somebody else than who asks. The error has the reason [WaiverInvalid].
func (p *Policy) JudgeWaiver(w Waiver, target Target, now time.Time) error {
	refuse := func(format string, args ...any) error {
		return strict.Refuse(WaiverInvalid, "", "the waiver of %s for %s: %s", w.Code, strict.Quote(w.Name()), fmt.Sprintf(format, args...))
	}
	same := func(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
	switch {
	case !w.Expires.After(now):
		return refuse("expired at %s", w.Expires.UTC().Format(time.RFC3339))
	case same(w.Owner, w.GrantedBy):
		return refuse("granted by its owner, %s", strict.Quote(w.Owner))
	case w.Version != "" && w.Version != target.Version:
		return refuse("it is for the version %s, not for %s", strict.Quote(w.Version), strict.Quote(target.Version))
	case w.Commit != "" && w.Commit != target.Commit:
		return refuse("it is for the commit %s, not for %s", w.Commit, strict.Quote(target.Commit))
	case w.Gate != "" && !p.Known(w.Gate):
		return refuse("the policy does not know the gate")
	case w.Gate != "" && p.Hard(w.Gate):
		return refuse("the gate is a hard one")
	}
	return nil
}
