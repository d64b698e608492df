package reproduce

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
)

// judge compares the records. What a step could not tell this time is no
// divergence: the facts are not known.
func (a *attempt) judge(now *evidence.Record) error {
	r := a.result
	report, err := difference.Between(a.record, now)
	if err != nil {
		return err
	}
	r.Report = &report
	if report.Same {
		return nil
	}
	silent := untold(a.record, now)
	if len(silent) == 0 || told(report, a.record, now, silent) {
		r.reason(CodeDiverged, "%s", summary(report))
		r.Verdict, r.Outcome = evidence.Fail, Diverged
	}
	for _, step := range now.Stable.Steps {
		if silent[step.ID] {
			r.reason(CodeCouldNotRun, "%s: %s", step.ID, whyUnverified(step))
		}
	}
	return nil
}

// untold are the steps that could not tell this time and could then.
func untold(was, now *evidence.Record) map[string]bool {
	could := map[string]bool{}
	for _, step := range was.Stable.Steps {
		could[step.ID] = step.Verdict != evidence.Unverified
	}
	ids := map[string]bool{}
	for _, step := range now.Stable.Steps {
		if step.Verdict == evidence.Unverified && could[step.ID] {
			ids[step.ID] = true
		}
	}
	return ids
}

// told says whether the records differ in something that was told both times.
// What follows from a step that could not tell does not count: its checks,
// outputs and tools, and the verdict of the whole.
func told(report difference.Report, was, now *evidence.Record, silent map[string]bool) bool {
	for _, name := range []string{difference.Source, difference.Environment, difference.Inputs, difference.Invocation, difference.Gate} {
		if len(report.Group(name)) > 0 {
			return true
		}
	}
	for _, name := range []string{difference.Tools, difference.Outputs} {
		if slices.ContainsFunc(report.Group(name), func(d difference.Difference) bool { return d.A != nil && d.B != nil }) {
			return true
		}
	}
	steps := map[string]evidence.Step{}
	for _, step := range was.Stable.Steps {
		steps[step.ID] = step
	}
	return slices.ContainsFunc(now.Stable.Steps, func(step evidence.Step) bool {
		return !silent[step.ID] && !reflect.DeepEqual(step, steps[step.ID])
	})
}

// whyUnverified is the reason that a step gives.
func whyUnverified(step evidence.Step) string {
	for _, c := range step.Checks {
		if c.Verdict == evidence.Unverified && step.Cause == evidence.CauseNone {
			return c.Subject + ": " + c.Reason
		}
	}
	return cmp.Or(step.Reason, "it made no check")
}

// summary is how many differences there are, and where the first one is.
func summary(report difference.Report) string {
	n := report.Count()
	if n == 1 {
		return "1 difference, at " + report.Groups[0].Differences[0].Path
	}
	return fmt.Sprintf("%d differences, the first at %s", n, report.Groups[0].Differences[0].Path)
}
