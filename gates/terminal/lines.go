package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/gates"
)

// maxTimeColumn is where times end at most: on a wide terminal they would be
// too far from the step they belong to.
const maxTimeColumn = 80

func (p *Printer) startRun(b *strings.Builder, e gates.Event) {
	p.run = runState{start: e.Start, began: e.Time}
	if !e.Time.IsZero() {
		p.run.due = e.Time.Add(counterEvery)
	}
	if e.Start == nil {
		return
	}
	for _, id := range e.Start.Steps {
		p.run.pad = max(p.run.pad, columns(p.oneLine(id)))
	}
	parts := []string{p.paint(bold, "mage "+p.oneLine(e.Start.Target)), count(len(e.Start.Steps), "step")}
	if e.Start.Go != "" {
		parts = append(parts, p.oneLine(e.Start.Go))
	}
	parts = append(parts, p.oneLine(state(e.Start.Source)))
	p.line(b, strings.Join(parts, p.style.separator))
}

// state is a source tree in a few words.
func state(s evidence.Source) string {
	switch {
	case s.Commit == "":
		return "no commit"
	case s.Dirty:
		return s.Commit[:min(7, len(s.Commit))] + " (dirty)"
	}
	return s.Commit[:min(7, len(s.Commit))] + " (clean)"
}

func (p *Printer) finishStep(b *strings.Builder, e gates.Event) {
	f := e.Finish
	if f == nil {
		// The runner leaves out what it could not clean of secrets.
		f = &gates.StepFinish{
			Step: evidence.Step{ID: e.Step, Cause: evidence.CauseBroken, Reason: "how the step ended could not be shown"},
			Run:  evidence.StepRun{ID: e.Step},
		}
	}
	p.run.finished = append(p.run.finished, f)
	p.stepLine(b, f)
	if !bad(f.Step.Verdict) && f.Output != "" {
		p.output(b, f.Step.ID, f.Output)
	}
}

// bad says whether a verdict keeps the run from PASS.
func bad(v evidence.Verdict) bool { return v != evidence.Pass && v != evidence.Skip }

func (p *Printer) stepLine(b *strings.Builder, f *gates.StepFinish) {
	mark := padded(p.style.mark(f.Step.Verdict), p.style.markWidth)
	took := render.Duration(f.Run.DurationMS)
	right := min(p.opts.Width, maxTimeColumn)
	text := " " + padded(p.oneLine(f.Step.ID), p.run.pad) + "  "
	used := 2 + columns(mark+text)
	fact := p.fact(f)
	if f.Step.Cause != evidence.CauseNone {
		// The whole reason comes with the failures, or is that of a skip.
		room := right - used
		if took != "" {
			room -= 2 + columns(took)
		}
		fact = cut(fact, max(20, room), p.style.ellipsis)
	}
	text += fact
	if took != "" {
		text = padded(text, max(right-columns(took)-2-columns(mark), columns(text)+2)) + p.paint(dim, took)
	}
	p.line(b, "  "+p.paint(colourOf(f.Step.Verdict), mark)+text)
}

// fact is what a step's line says.
func (p *Printer) fact(f *gates.StepFinish) string {
	if f.Step.Cause != evidence.CauseNone && f.Step.Verdict != evidence.Fail {
		if f.Step.Verdict == evidence.Skip {
			return p.oneLine(f.Step.Reason)
		}
		return p.cause(f.Step)
	}
	if f.Run.Fact != "" {
		return p.oneLine(f.Run.Fact)
	}
	found := problems(f.Step)
	switch {
	case f.Step.Verdict == evidence.Fail:
		return count(len(found)+f.Step.Omitted, "finding")
	case f.Step.Verdict == evidence.Unverified && len(found) > 0:
		return p.oneLine(found[0].Reason)
	case f.Step.Verdict == evidence.Skip && len(f.Step.Checks) > 0:
		return p.oneLine(f.Step.Checks[0].Reason)
	}
	return ""
}

// count is a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// problems are the checks of a step that are FAIL or UNVERIFIED.
func problems(step evidence.Step) []evidence.Check {
	var found []evidence.Check
	for _, c := range step.Checks {
		if bad(c.Verdict) {
			found = append(found, c)
		}
	}
	return found
}

// steps are the steps of the run as the record has them, without those that
// the runner added itself (no way of running is recorded for them) if they
// passed; without a record, the steps that ended.
func (p *Printer) steps(record *evidence.Record) []evidence.Step {
	var steps []evidence.Step
	if record == nil {
		for _, f := range p.run.finished {
			steps = append(steps, f.Step)
		}
		return steps
	}
	ran := map[string]bool{}
	for _, run := range record.Volatile.Steps {
		ran[run.ID] = true
	}
	for _, step := range record.Stable.Steps {
		if ran[step.ID] || step.Verdict != evidence.Pass {
			steps = append(steps, step)
		}
	}
	return steps
}

func (p *Printer) finishRun(b *strings.Builder, e gates.Event) {
	end := e.End
	if end == nil {
		end = &gates.RunEnd{Trouble: "how the run ended could not be shown"}
	}
	steps := p.steps(end.Record)
	p.failures(b, steps, end.Folder)
	p.remarks(b, end)
	if p.opts.Mode == GitHub {
		p.annotate(b, steps)
	}
	p.closing(b, e.Time, end, steps)
	p.run.running = nil
	p.run.due = time.Time{}
}

// closing is the last lines: the verdict, the counts, where the evidence is.
func (p *Printer) closing(b *strings.Builder, now time.Time, end *gates.RunEnd, steps []evidence.Step) {
	target, took := "", now.Sub(p.run.began).Milliseconds()
	if p.run.start != nil {
		target = p.run.start.Target
	}
	counts := map[evidence.Verdict]int{}
	for _, step := range steps {
		counts[step.Verdict]++
	}
	text := ""
	if r := end.Record; r != nil {
		target, took = r.Stable.Gate.ID, r.Volatile.DurationMS
		if r.Stable.Partial {
			text = "partial, "
		}
	}
	text += fmt.Sprintf("%d passed", counts[evidence.Pass])
	for _, c := range []struct {
		verdict evidence.Verdict
		word    string
	}{{evidence.Fail, "failed"}, {evidence.Unverified, "unverified"}, {evidence.Skip, "skipped"}} {
		if n := counts[c.verdict]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, c.word)
		}
	}
	if d := render.Duration(took); d != "" {
		text += " in " + d
	}
	v := verdict(end)
	p.line(b, "")
	p.line(b, p.paint(bold+";"+colourOf(v), v.String())+"  mage "+p.oneLine(target)+"  "+text)
	if end.Folder == "" {
		p.line(b, "      no evidence was written")
	} else {
		p.line(b, "      evidence "+p.oneLine(end.Folder)+p.digest(end.IndexDigest))
		for _, said := range end.Kept {
			p.line(b, "      kept     "+p.oneLine(said))
		}
	}
	for line := range strings.SplitSeq(end.Trouble, "\n") {
		if line = p.oneLine(line); line != "" {
			p.line(b, "      "+p.paint(red, "TROUBLE with the evidence:")+" "+line)
		}
	}
	if end.Record != nil && took > time.Minute.Milliseconds() {
		p.slowest(b, end.Record.Volatile.Steps)
	}
}

// verdict is that of the record, as far as it counts: what could not be
// recorded is not PASS (see [gates.Outcome.ExitCode]).
func verdict(end *gates.RunEnd) evidence.Verdict {
	if end.Record == nil || end.Trouble != "" && end.Record.Verdict == evidence.Pass {
		return evidence.Unverified
	}
	return end.Record.Verdict
}

// digest is the beginning and the end of a digest, enough to compare by eye.
func (p *Printer) digest(digest string) string {
	if digest == "" {
		return ""
	}
	digest = p.oneLine(digest)
	if name, hex, ok := strings.Cut(digest, ":"); ok && len(hex) == 64 {
		digest = name + ":" + hex[:4] + p.style.ellipsis + hex[60:]
	}
	return "  (" + digest + ")"
}
