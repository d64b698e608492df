package result

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
)

// maxSummary bounds the cases that a screen tells of; the page and the JSON have them all.
const maxSummary = 10

// Fact is the report in a few words, for a result line.
func (r *Report) Fact() string {
	parts := []string{fmt.Sprintf("%d passed", r.Totals.Passed)}
	for _, p := range []struct {
		n    int
		word string
	}{{r.Failed, "failed"}, {r.Skipped, "skipped"}, {r.Unverified, "not carried out"}, {r.Missing, "missing"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	fact := strings.Join(parts, ", ")
	if r.Partial {
		fact += fmt.Sprintf(" (partial: %d executed of %d)", r.Executed, r.Registered)
	}
	return fact
}

// Summary is the report as plain text for a screen: what is not green with its commands, and
// the slowest cases. Nothing in it can be taken for an instruction to a terminal.
func (r *Report) Summary() string {
	var b strings.Builder
	shown := 0
	for i := range r.Results {
		e := &r.Results[i]
		if e.Verdict != evidence.Fail && e.Verdict != evidence.Unverified {
			continue
		}
		if shown++; shown > maxSummary {
			continue
		}
		code, what := e.plain()
		fmt.Fprintf(&b, "case %s  %s  [%s]\n  reproduce  %s\n  runbook    %s\n", visible(e.CaseID), visible(cut(what, maxShown)), visible(code), visible(e.Reproduce), Runbook(code))
	}
	if shown > maxSummary {
		fmt.Fprintf(&b, "and %d more in %s\n", shown-maxSummary, ReportMD)
	}
	for _, k := range r.Blockers {
		if !slices.Contains([]string{CaseFailed, CaseUnverified, CaseMissing}, k.Code) {
			fmt.Fprintf(&b, "%s  %s  [%s]\n  runbook    %s\n", visible(k.Subject), visible(cut(k.Message, maxShown)), k.Code, k.Runbook)
		}
	}
	if len(r.Volatile.Slowest) > 0 {
		var parts []string
		for _, c := range r.Volatile.Slowest[:min(3, len(r.Volatile.Slowest))] {
			parts = append(parts, visible(c.CaseID)+" "+span(c.Total))
		}
		fmt.Fprintf(&b, "slowest    %s\n", strings.Join(parts, ", "))
	}
	return b.String()
}

// plain is what is wrong with a case, and the code to look up.
func (e *Result) plain() (code, what string) {
	switch {
	case e.Missing:
		return CaseMissing, e.Reason
	case e.Verdict == evidence.Unverified:
		return CaseUnverified, e.Reason
	}
	if e.ExpectedRowCount != e.ActualRowCount {
		what = fmt.Sprintf("rows %d, want %d; ", e.ActualRowCount, e.ExpectedRowCount)
	}
	code = e.first()
	for _, k := range e.Failing {
		if k.Code == code && k.Verdict == evidence.Fail {
			what += fmt.Sprintf("observed %s, expected %s", cmp.Or(cut(k.Observed, maxShown/3), "nothing"), cmp.Or(cut(k.Expected, maxShown/3), "nothing"))
			break
		}
	}
	return code, what
}
