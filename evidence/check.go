package evidence

import (
	"errors"
	"fmt"
)

// Check is one fact that was looked at: what was observed against what was
// expected. Checks are made by [Expect], [Finding], [CouldNotTell] and
// [Skipped], which derive the verdict; nothing else sets it.
type Check struct {
	// Code is the stable name of the rule, for example "ci.format".
	Code string `json:"code"`
	// Subject is what was looked at: a file, a package, a test, a module.
	Subject string `json:"subject"`
	// Path and Line locate a finding, relative to the root of the source, so
	// that a terminal or a code host can link to it. Line counts from 1; 0
	// means the whole file.
	Path string `json:"path,omitempty"`
	Line int    `json:"line,omitempty"`
	// Observed and Expected are short facts for a reader, never a log.
	Observed string `json:"observed"`
	Expected string `json:"expected"`
	// Verdict is derived by the constructor.
	Verdict Verdict `json:"verdict"`
	// Fix says what to do when the check is not PASS.
	Fix string `json:"fix,omitempty"`
	// Reason is mandatory for SKIP and UNVERIFIED.
	Reason string `json:"reason,omitempty"`
}

// Expect compares: the check is PASS when ok and FAIL otherwise.
func Expect(code, subject string, ok bool, observed, expected, fix string) Check {
	c := Check{Code: code, Subject: subject, Observed: observed, Expected: expected, Verdict: Fail, Fix: fix}
	if ok {
		c.Verdict, c.Fix = Pass, ""
	}
	return c
}

// Finding is a defect a tool found at a place: always FAIL. Nothing is expected there.
func Finding(code, path string, line int, observed, fix string) Check {
	subject := path
	if line > 0 {
		subject = fmt.Sprintf("%s:%d", path, line)
	}
	return Check{
		Code: code, Subject: subject, Path: path, Line: line,
		Observed: observed, Expected: "no finding", Verdict: Fail, Fix: fix,
	}
}

// CouldNotTell is a check that had no answer: UNVERIFIED, with the reason and
// what would make an answer possible.
func CouldNotTell(code, subject, expected, reason, fix string) Check {
	return Check{Code: code, Subject: subject, Observed: "unknown", Expected: expected, Verdict: Unverified, Reason: reason, Fix: fix}
}

// Skipped is a check that was left out on purpose, for a stated reason.
func Skipped(code, subject, expected, reason, fix string) Check {
	return Check{Code: code, Subject: subject, Observed: "not run", Expected: expected, Verdict: Skip, Reason: reason, Fix: fix}
}

// Validate refuses a check that hides something: no code, no subject, or a
// SKIP or UNVERIFIED without a reason.
func (c Check) Validate() error {
	switch {
	case c.Code == "":
		return errors.New("check: code is empty")
	case c.Subject == "":
		return fmt.Errorf("check %s: subject is empty", c.Code)
	case (c.Verdict == Skip || c.Verdict == Unverified) && c.Reason == "":
		return fmt.Errorf("check %s of %s: %s without a reason", c.Code, c.Subject, c.Verdict)
	case c.Line < 0:
		return fmt.Errorf("check %s of %s: line %d is negative", c.Code, c.Subject, c.Line)
	}
	return nil
}

// Judge derives the verdict of a set of checks. FAIL wins over UNVERIFIED,
// UNVERIFIED over PASS, PASS over SKIP; no checks at all are UNVERIFIED.
func Judge(checks []Check) Verdict {
	verdicts := make([]Verdict, len(checks))
	for i, c := range checks {
		verdicts[i] = c.Verdict
	}
	return judge(verdicts)
}
