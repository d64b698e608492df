// Package render turns a record into what people read. It is a function of
// the record alone: no clock, no files, no colour.
package render

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
)

// maxShown bounds the findings of one step that a page shows; the record has them all.
const maxShown = 50

// Markdown is the record as a page: verdict, steps, findings with fix,
// reproduce command and runbook, skips, warnings, and what it is about.
func Markdown(r *evidence.Record) string {
	var b strings.Builder
	s := &r.Stable
	fmt.Fprintf(&b, "# %s: mage %s\n\n%s\n\n", r.Verdict, inline(s.Gate.ID), inline(s.Gate.Doc))
	if s.Partial {
		b.WriteString("**Partial run**: steps were left out by request.\n\n")
	}
	durations := map[string]evidence.StepRun{}
	for _, run := range r.Volatile.Steps {
		durations[run.ID] = run
	}
	b.WriteString("| Verdict | Step | Fact | Time |\n| --- | --- | --- | ---: |\n")
	for _, step := range s.Steps {
		run := durations[step.ID]
		fact := run.Fact
		if step.Cause != evidence.CauseNone {
			fact = fmt.Sprintf("%s: %s", step.Cause, step.Reason)
		} else if fact == "" {
			fact = firstReason(step)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", step.Verdict, inline(step.ID), inline(fact), Duration(run.DurationMS))
	}
	for _, step := range s.Steps {
		if step.Verdict != evidence.Fail && step.Verdict != evidence.Unverified {
			continue
		}
		fmt.Fprintf(&b, "\n## %s: %s\n\n", step.Verdict, inline(step.ID))
		if step.Cause != evidence.CauseNone {
			fmt.Fprintf(&b, "- %s: %s\n", step.Cause, inline(step.Reason))
		}
		shown := 0
		for _, c := range step.Checks {
			if c.Verdict != evidence.Fail && c.Verdict != evidence.Unverified {
				continue
			}
			if shown++; shown > maxShown {
				continue
			}
			fmt.Fprintf(&b, "- %s\n", inline(Finding(Measured(c, step.ID, r.Volatile.Measurements))))
			if c.Fix != "" {
				fmt.Fprintf(&b, "  - fix: %s\n", inline(c.Fix))
			}
		}
		if more := shown - maxShown + step.Omitted; more > 0 && shown > maxShown || step.Omitted > 0 {
			fmt.Fprintf(&b, "- and %d more in record.json and the step's log\n", max(more, step.Omitted))
		}
		fmt.Fprintf(&b, "\nReproduce: `%s`  \nRunbook: [%s](%s)\n", code(step.Reproduce), step.Runbook, step.Runbook)
	}
	list(&b, "Skipped", s.Skips, func(x evidence.Skipping) string { return x.Subject + ": " + x.Reason })
	list(&b, "Warnings", s.Warnings, func(x string) string { return x })
	list(&b, "Notes", r.Volatile.Notes, func(x string) string { return x })
	b.WriteString("\n## About\n\n| | |\n| --- | --- |\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, inline(value))
		}
	}
	row("Command", s.Invocation.Command)
	row("Commit", s.Source.Commit)
	row("Ref", r.Volatile.Origin.Ref)
	if s.Source.Dirty {
		row("Working tree", "differs from the commit, "+s.Source.DirtyDigest)
	}
	row("Repository", r.Volatile.Origin.Repository)
	row("Platform", s.Environment.OS+"/"+s.Environment.Arch+", "+s.Environment.Go)
	for _, t := range s.Environment.Tools {
		row("Tool", t.Name+" "+t.Version+", sha256:"+t.SHA256)
	}
	for _, f := range s.Outputs {
		row("Output", f.Path+", sha256:"+f.SHA256)
	}
	for _, c := range r.Volatile.Circumstances {
		row(c.Name, c.Value)
	}
	row("CI", strings.TrimSpace(r.Volatile.CI.Provider+" "+r.Volatile.CI.URL))
	row("Run", r.Volatile.Run)
	row("Stable digest", r.StableDigest)
	return b.String()
}

// firstReason is why a step without a fact is not PASS.
func firstReason(step evidence.Step) string {
	for _, c := range step.Checks {
		if c.Verdict == step.Verdict && c.Verdict != evidence.Pass {
			return cmp.Or(c.Reason, c.Observed)
		}
	}
	return ""
}

// Findings is what a step's checks say, as plain text, a line or two each.
func Findings(step evidence.Step) string {
	var b strings.Builder
	if step.Cause != evidence.CauseNone {
		fmt.Fprintf(&b, "%s: %s\n", step.Cause, step.Reason)
	}
	for _, c := range step.Checks {
		if c.Verdict == evidence.Fail || c.Verdict == evidence.Unverified {
			fmt.Fprintf(&b, "%s\n", Finding(c))
			if c.Fix != "" {
				fmt.Fprintf(&b, "    fix: %s\n", c.Fix)
			}
		}
	}
	return b.String()
}

// Finding is one check as one line: where, what, and the code of the rule.
func Finding(c evidence.Check) string {
	what := c.Observed
	if c.Expected != "no finding" {
		what = c.Observed + ", expected " + c.Expected
	}
	if c.Reason != "" {
		what = c.Reason
	}
	return fmt.Sprintf("%s  %s  [%s]", c.Subject, what, c.Code)
}

// Measured is a check with the number behind it put before what was observed,
// when it is one of the step's measurements.
func Measured(c evidence.Check, step string, measurements []evidence.Measurement) evidence.Check {
	for _, m := range measurements {
		if m.Step == step && m.Code == c.Code && m.Subject == c.Subject && c.Verdict == evidence.Fail {
			c.Observed = m.Value + " (" + c.Observed + ")"
			break
		}
	}
	return c
}

// Duration formats milliseconds for a result line: nothing below 50 ms,
// then 90ms, 2.0s, 3m12s.
func Duration(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	switch {
	case d < 50*time.Millisecond:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%dms", (ms+5)/10*10)
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

func list[T any](b *strings.Builder, title string, items []T, line func(T) string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for i, item := range items {
		if i == maxShown {
			fmt.Fprintf(b, "- and %d more in record.json\n", len(items)-i)
			return
		}
		fmt.Fprintf(b, "- %s\n", inline(line(item)))
	}
}

// inline keeps text from being taken for Markdown or HTML: findings quote
// source code and the output of programs.
func inline(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "|", `\|`, "@", "&#64;",
	).Replace(s)
}

func code(s string) string { return strings.ReplaceAll(s, "`", "'") }
