package evidence

import "fmt"

// Verdict is what a check, a step or a whole run came to. The zero value is
// Unverified on purpose: whatever nobody decided is "could not tell".
type Verdict uint8

const (
	// Unverified means "could not tell": nothing ran, a tool broke, a service
	// was missing, time ran out, an earlier step blocked this one.
	Unverified Verdict = iota
	// Pass means the thing was looked at and is as expected.
	Pass
	// Fail means the thing was looked at and is not as expected.
	Fail
	// Skip means the thing was left out on purpose; a reason is mandatory.
	Skip
)

var verdictNames = [...]string{Unverified: "UNVERIFIED", Pass: "PASS", Fail: "FAIL", Skip: "SKIP"}

// String returns PASS, FAIL, SKIP or UNVERIFIED. A value outside the
// enumeration reads as UNVERIFIED: unknown is never PASS.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return verdictNames[Unverified]
}

// MarshalText writes the name of the verdict.
func (v Verdict) MarshalText() ([]byte, error) {
	return []byte(v.String()), nil
}

// UnmarshalText reads one of the four names, in upper case. Anything else is
// an error, so that a reader never takes a word it does not know for a verdict.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, name := range verdictNames {
		if name == string(text) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q is not one of PASS, FAIL, SKIP, UNVERIFIED", text)
}

// ExitCode is the process exit code that says the verdict: 0 PASS, 1 FAIL,
// 3 everything else. A run that skipped all of its work proved nothing, so
// SKIP is 3 as well.
func (v Verdict) ExitCode() int {
	switch v {
	case Pass:
		return 0
	case Fail:
		return 1
	default:
		return 3
	}
}

// judge folds verdicts: a single FAIL is red, then a single UNVERIFIED is
// "could not tell", then a PASS stands, and SKIP remains when all is SKIP.
// Nothing at all is UNVERIFIED: zero work is not success.
func judge(verdicts []Verdict) Verdict {
	var seen [len(verdictNames)]bool
	for _, v := range verdicts {
		if int(v) >= len(verdictNames) {
			v = Unverified
		}
		seen[v] = true
	}
	for _, v := range []Verdict{Fail, Unverified, Pass, Skip} {
		if seen[v] {
			return v
		}
	}
	return Unverified
}
