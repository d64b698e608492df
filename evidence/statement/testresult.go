package statement

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// TestResultType names the test result predicate of in-toto, v0.1.
const TestResultType = "https://in-toto.io/attestation/test-result/v0.1"

// TestResult says how a gate ended, in the words of in-toto and nothing more;
// [Gate] has the detail.
type TestResult struct {
	Result Result `json:"result"`
	// Configuration[0].Name is the ID of the gate. Readers take it for the
	// name of the test, so it is never missing.
	Configuration []ResourceDescriptor `json:"configuration" limit:"1024"`
	// URL is the address of the run, with its attempt.
	URL string `json:"url,omitempty"`
	// The names of what passed, passed with warnings, and did not pass: steps
	// of a gate, checks of a step. What was skipped is in no list.
	PassedTests []string `json:"passedTests,omitempty"`
	WarnedTests []string `json:"warnedTests,omitempty"`
	FailedTests []string `json:"failedTests,omitempty"`
}

// Result is PASSED, WARNED or FAILED. There is no word for "skipped": what was
// not run has no statement.
type Result string

// The results of a test.
const (
	Passed Result = "PASSED"
	Warned Result = "WARNED"
	Failed Result = "FAILED"
)

// PredicateType returns [TestResultType].
func (*TestResult) PredicateType() string { return TestResultType }

// Validate refuses an unknown result, a missing configuration, and a result
// that its own lists contradict.
func (t *TestResult) Validate() error {
	switch t.Result {
	case Passed, Warned, Failed:
	default:
		return strict.Refuse(strict.Schema, "result", "%s is not PASSED, WARNED or FAILED", strict.Quote(string(t.Result)))
	}
	if len(t.Configuration) == 0 {
		return strict.Refuse(strict.Schema, "configuration", "it is empty: its first element names the gate")
	}
	if err := word("configuration[0].name", t.Configuration[0].Name, true); err != nil {
		return err
	}
	if err := validateAll("configuration", t.Configuration, false); err != nil {
		return err
	}
	if err := word("url", t.URL, false); err != nil {
		return err
	}
	if t.Result != Failed && len(t.FailedTests) > 0 {
		return strict.Refuse(strict.Schema, "failedTests", "%s with %d failed tests", t.Result, len(t.FailedTests))
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"passedTests", t.PassedTests}, {"warnedTests", t.WarnedTests}, {"failedTests", t.FailedTests}} {
		for i, name := range list.names {
			if err := word(fmt.Sprintf("%s[%d]", list.field, i), name, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// ErrNothingToState is wrapped when a record supports no test result: the
// gate or step was skipped, or a part of it was left out and the rest passed.
// It is not a defect; there is no statement then, and a reader finds none.
var ErrNothingToState = errors.New("nothing to state")

// About is what a test result says besides the record.
type About struct {
	// Artifacts are subjects next to the source.
	Artifacts []ResourceDescriptor
	// Configuration is what decided how the gate runs, as a rule the package of
	// magefiles: a URI such as git+https://host/repo@refs/heads/main#magefiles
	// ([ConfigurationURI]) or its digest, better both. The name is set here.
	Configuration ResourceDescriptor
}

// ConfigurationURI is the address of the magefiles at the place where the
// commit was found, or empty when that is not known.
func ConfigurationURI(origin evidence.Origin, dir string) string {
	if origin.Repository == "" {
		return ""
	}
	uri := "git+" + origin.Repository
	if origin.Ref != "" {
		uri += "@" + origin.Ref
	}
	if dir != "" {
		uri += "#" + dir
	}
	return uri
}

// RunURL is the address of the run with its attempt, or empty outside of CI.
func RunURL(ci evidence.CI) string {
	if ci.URL == "" || ci.Attempt == "" || strings.Contains(ci.URL, "/attempts/") {
		return ci.URL
	}
	return strings.TrimSuffix(ci.URL, "/") + "/attempts/" + ci.Attempt
}

// GateResult states how the gate of a record ended. PASS is PASSED, PASS with
// warnings WARNED, FAIL and UNVERIFIED are FAILED. The test names are the steps.
//
// A record that does not hold ([evidence.Record.Validate]) is refused.
// [ErrNothingToState] is wrapped for a gate that was skipped, and for one that
// passed in part: this format cannot say "in part".
func GateResult(rec *evidence.Record, about About) (*Statement, error) {
	t := &TestResult{}
	skipped := 0
	for _, step := range rec.Stable.Steps {
		if step.ID != evidence.SourceStep || step.Verdict != evidence.Pass {
			t.add(step.Verdict, warns(rec, step.ID, false), step.ID)
		}
		if step.Verdict == evidence.Skip {
			skipped++
		}
	}
	verdict := rec.Stable.Verdict
	// A record calls a run that skipped all of its work UNVERIFIED. Here it is
	// what it is: not run, which is not FAILED.
	if skipped > 0 && len(t.PassedTests)+len(t.WarnedTests)+len(t.FailedTests) == 0 {
		verdict = evidence.Skip
	}
	return t.finish(rec, about, rec.Stable.Gate.ID, verdict, len(rec.Stable.Warnings) > 0)
}

// StepResult states how one step of a record ended, as [GateResult] does for
// the whole. The gate that it names is the step, and the test names are the
// checks, as code and subject. Warnings of no step in particular count for every step.
func StepResult(rec *evidence.Record, step string, about About) (*Statement, error) {
	if step == evidence.SourceStep {
		return nil, fmt.Errorf("statement: step %s: it says what the evidence is about and proves nothing on its own", step)
	}
	for _, s := range rec.Stable.Steps {
		if s.ID != step {
			continue
		}
		t := &TestResult{}
		worst := map[string]evidence.Verdict{}
		var names []string
		for _, check := range s.Checks {
			name := printable(check.Code + " " + check.Subject)
			verdict, seen := worst[name]
			if !seen {
				names = append(names, name)
				verdict = check.Verdict
			}
			worst[name] = evidence.Judge([]evidence.Check{{Verdict: verdict}, {Verdict: check.Verdict}})
		}
		for _, name := range names {
			t.add(worst[name], false, name)
		}
		return t.finish(rec, about, s.ID, s.Verdict, warns(rec, step, true))
	}
	return nil, fmt.Errorf("statement: the record of %s has no step %q", rec.Stable.Gate.ID, step)
}

func (t *TestResult) add(verdict evidence.Verdict, warned bool, name string) {
	name = printable(name)
	switch {
	case verdict == evidence.Skip:
	case verdict != evidence.Pass:
		t.FailedTests = append(t.FailedTests, name)
	case warned:
		t.WarnedTests = append(t.WarnedTests, name)
	default:
		t.PassedTests = append(t.PassedTests, name)
	}
}

func (t *TestResult) finish(rec *evidence.Record, about About, name string, verdict evidence.Verdict, warned bool) (*Statement, error) {
	// A field that says PASS counts for nothing: the record is derived again.
	if err := rec.Validate(); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	switch verdict {
	case evidence.Skip:
		return nil, fmt.Errorf("statement: %s was skipped: %w", name, ErrNothingToState)
	case evidence.Pass:
		if rec.Stable.Partial {
			return nil, fmt.Errorf("statement: %s passed in part, which a test result cannot say: %w", name, ErrNothingToState)
		}
		t.Result = Passed
		if warned {
			t.Result = Warned
		}
	default:
		t.Result = Failed
	}
	configuration := about.Configuration
	configuration.Name = name
	t.Configuration = []ResourceDescriptor{configuration}
	for _, input := range rec.Stable.Inputs {
		t.Configuration = append(t.Configuration, Artifact(input))
	}
	t.URL = RunURL(rec.Volatile.CI)
	list, err := subjects(rec, about.Artifacts)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return New(list, t)
}

// warns says whether a step has a warning of its own, or, when shared counts,
// whether there is one that belongs to no step: such a warning is about all.
func warns(rec *evidence.Record, step string, shared bool) bool {
	for _, warning := range rec.Stable.Warnings {
		owner := ""
		for _, s := range rec.Stable.Steps {
			if strings.HasPrefix(warning, s.ID+": ") {
				owner = s.ID
			}
		}
		if owner == step || owner == "" && shared {
			return true
		}
	}
	return false
}

// printable makes a name of what a test is called: control characters, which
// it may well have, are escaped, and a text beyond 1,000 bytes is cut.
func printable(name string) string {
	const most = 1000
	var b strings.Builder
	for _, r := range name {
		switch {
		case b.Len() > most:
			return b.String() + "..."
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
