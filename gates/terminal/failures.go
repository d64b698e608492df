package terminal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

const (
	maxFindings = 10 // of one step
	maxRemarks  = 10 // of one kind
	maxSlowest  = 3
)

// failures are the steps that are FAIL or UNVERIFIED: those in which something
// is wrong, then a line for each that was only held up.
func (p *Printer) failures(b *strings.Builder, steps []evidence.Step, where string) {
	var heldUp []evidence.Step
	for _, step := range steps {
		switch {
		case !bad(step.Verdict):
		case follows(step.Cause) && len(problems(step)) == 0 && p.run.output(step.ID) == "":
			heldUp = append(heldUp, step)
		default:
			p.failure(b, step, where)
		}
	}
	if len(heldUp) > 0 {
		p.line(b, "")
	}
	for _, step := range heldUp {
		p.line(b, p.heading(step)+"  "+p.cause(step))
	}
}

func (p *Printer) heading(step evidence.Step) string {
	return p.paint(colourOf(step.Verdict), step.Verdict.String()) + " " + p.paint(bold, p.oneLine(step.ID))
}

func (p *Printer) cause(step evidence.Step) string {
	return p.oneLine(string(step.Cause) + ": " + step.Reason)
}

// failure is what a person needs to go on from a step: the findings, what its
// programs said, and what to do next.
func (p *Printer) failure(b *strings.Builder, step evidence.Step, where string) {
	found := problems(step)
	p.line(b, "")
	p.line(b, p.heading(step))
	if step.Cause != evidence.CauseNone {
		p.line(b, "  "+p.cause(step))
	}
	for _, c := range found[:min(len(found), maxFindings)] {
		p.line(b, "  "+p.finding(c))
		if c.Fix != "" {
			p.line(b, "      "+p.style.arrow+p.oneLine(c.Fix))
		}
	}
	if more := max(0, len(found)-maxFindings) + step.Omitted; more > 0 {
		p.line(b, "  "+p.more(more, where))
	}
	if output := p.run.output(step.ID); output != "" {
		p.output(b, step.ID, output)
	}
	p.line(b, "  reproduce  "+p.oneLine(step.Reproduce))
	p.line(b, "  runbook    "+p.oneLine(step.Runbook))
}

// follows says that a cause is the consequence of something else: there is
// nothing to reproduce in the step itself, and a line says it all.
func follows(c evidence.Cause) bool {
	switch c {
	case evidence.CauseBlocked, evidence.CauseInterrupted, evidence.CauseCancelled:
		return true
	}
	return false
}

// more says how many were not shown, and where they are.
func (p *Printer) more(n int, where string) string {
	if where == "" {
		return fmt.Sprintf("and %d more", n)
	}
	return fmt.Sprintf("and %d more in %s/%s", n, p.oneLine(where), folder.RecordJSON)
}

// output is the end of what the programs of a step printed.
func (p *Printer) output(b *strings.Builder, id, output string) {
	var tail proc.Tail
	_, _ = tail.Write([]byte(output)) // a Tail takes everything
	text := tail.String()
	if p.opts.Mode == GitHub {
		p.group(b, p.oneLine(id)+" output", text)
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimRight(line, " \t"); line != "" {
			line = "    " + p.paint(dim, line)
		}
		p.line(b, line)
	}
}

// remarks are what a reviewer should know besides the verdicts.
func (p *Printer) remarks(b *strings.Builder, end *gates.RunEnd) {
	record := end.Record
	if record == nil {
		return
	}
	leftOut := map[string]bool{}
	for _, step := range record.Stable.Steps {
		leftOut[step.ID] = step.Verdict == evidence.Skip
	}
	var skips []string
	for _, s := range record.Stable.Skips {
		if !leftOut[s.Subject] { // those have a line of their own
			skips = append(skips, s.Subject+": "+s.Reason)
		}
	}
	notes := slices.Clone(record.Volatile.Notes)
	if end.Note != "" {
		notes = append(notes, end.Note)
	}
	kinds := []struct {
		word, colour string
		texts        []string
	}{
		{"warn", yellow, record.Stable.Warnings},
		{"skip", dim, skips},
		{"note", dim, notes},
	}
	if len(slices.Concat(kinds[0].texts, kinds[1].texts, kinds[2].texts)) > 0 {
		p.line(b, "")
	}
	for _, kind := range kinds {
		for _, text := range kind.texts[:min(len(kind.texts), maxRemarks)] {
			p.line(b, "  "+p.paint(kind.colour, kind.word)+"  "+p.oneLine(text))
		}
		if more := len(kind.texts) - maxRemarks; more > 0 {
			p.line(b, "  "+p.paint(kind.colour, kind.word)+"  "+p.more(more, ""))
		}
	}
}

// slowest says where the time went.
func (p *Printer) slowest(b *strings.Builder, runs []evidence.StepRun) {
	runs = slices.Clone(runs)
	slices.SortStableFunc(runs, func(a, b evidence.StepRun) int { return cmp.Compare(b.DurationMS, a.DurationMS) })
	var parts []string
	for _, run := range runs[:min(len(runs), maxSlowest)] {
		if took := render.Duration(run.DurationMS); took != "" {
			parts = append(parts, p.oneLine(run.ID)+" "+took)
		}
	}
	if len(parts) > 0 {
		p.line(b, "      slowest  "+strings.Join(parts, p.style.separator))
	}
}
