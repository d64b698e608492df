package verify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/sign"
)

// judgeGates looks whether everything that is required was shown, by the
// evidence that counts for each gate.
func (p *pass) judgeGates() {
	byGate := map[string][]*sealed{}
	broken := map[string]bool{}
	for _, f := range p.folders {
		switch {
		case f.record != nil:
			byGate[f.gate] = append(byGate[f.gate], f)
		case f.gate != "":
			broken[f.gate] = true
		}
	}
	required := p.required()
	names := slices.Clone(required)
	for gate := range byGate {
		names = append(names, gate)
	}
	slices.Sort(names)
	waivers := p.waivers()
	missing := 0
	for _, gate := range slices.Compact(names) {
		g := Gate{Gate: gate, Required: slices.Contains(required, gate)}
		if p.policy != nil && !p.policy.Known(gate) && !slices.Contains(p.opts.Require, gate) {
			for _, f := range byGate[gate] {
				p.fail(CodeUnknownGate, clean(f.dir), gate, "the policy does not know the gate")
			}
		}
		p.conflicts(gate, byGate[gate])
		f := p.choose(gate, byGate[gate])
		switch {
		case f != nil:
			p.judgeGate(&g, f)
		case len(byGate[gate]) == 0 && g.Required && !broken[gate]:
			missing++
			p.fail(CodeMissing, "", gate, "the gate is required, and there is no evidence of it")
		}
		p.waive(&g, f, waivers)
		p.report.Gates = append(p.report.Gates, g)
	}
	if open := p.open(CodeMissing); missing > 0 && open > 0 {
		p.fail(CodeIncomplete, "", "", "%d of %d required gates have no evidence", open, len(required))
	}
	p.judgeEmpty()
}

// open counts the problems of a code that are not waived.
func (p *pass) open(code Code) int {
	n := 0
	for _, problem := range p.report.Problems {
		if problem.Code == code {
			n++
		}
	}
	return n
}

// judgeEmpty keeps PASS from a directory in which nothing was shown.
func (p *pass) judgeEmpty() {
	if len(p.report.Problems)+len(p.report.Unverified) > 0 {
		return
	}
	// A statement about a gate counts with its run folder alone.
	if !slices.ContainsFunc(p.report.Statements, func(s Statement) bool {
		return s.Signer != "" && !slices.Contains(policy.GateTypes(), s.PredicateType)
	}) && !slices.ContainsFunc(p.report.Gates, func(g Gate) bool { return g.Signer != "" }) {
		p.unverified(Code(sign.Unsigned), "", "", "nobody whom the policy names signed anything here")
	}
}

// matches says whether a run is about the commit and of the run of CI that are
// asked for.
func (p *pass) matches(f *sealed) (commit, run bool) {
	ci := f.record.Volatile.CI
	return p.target.Commit == "" || p.target.Commit == f.record.Stable.Source.Commit, p.target.HasRun(ci.RunID, ci.Attempt)
}

// newest is the run that ended last; of two at once the one with the greater
// name.
func newest(runs []*sealed) *sealed {
	return slices.MaxFunc(runs, func(a, b *sealed) int {
		return cmp.Or(
			a.record.Volatile.Finished.Compare(b.record.Volatile.Finished),
			strings.Compare(a.record.Volatile.Run, b.record.Volatile.Run),
			strings.Compare(a.dir, b.dir),
		)
	})
}

// choose finds the run that counts for a gate: the newest whole one that is
// about the commit and the run that are asked for. What is set aside is noted.
func (p *pass) choose(gate string, runs []*sealed) *sealed {
	if len(runs) == 0 {
		return nil
	}
	var fitting, whole []*sealed
	for _, f := range runs {
		if commit, run := p.matches(f); commit && run {
			fitting = append(fitting, f)
			if !f.record.Stable.Partial || p.policy != nil && p.policy.AcceptPartial {
				whole = append(whole, f)
			}
		}
	}
	if len(fitting) == 0 {
		f := newest(runs)
		commit, _ := p.matches(f)
		ci := f.record.Volatile.CI
		if !commit {
			p.fail(Code(policy.WrongCommit), clean(f.dir), gate, "about the commit %q, wanted %s", f.record.Stable.Source.Commit, p.target.Commit)
		} else {
			p.fail(Code(policy.WrongRun), clean(f.dir), gate, "made by the run %q, wanted %s", runName(ci), strings.TrimSuffix(p.target.RunID+"/"+p.target.Attempt, "/"))
		}
		return nil
	}
	if len(whole) == 0 {
		if f := newest(fitting); p.policy != nil || slices.Contains(p.opts.Require, gate) {
			p.fail(CodePartial, clean(f.dir), gate, "parts of the gate were left out by request, and there is no whole run of it")
			return nil
		}
		whole = fitting
	}
	chosen := newest(whole)
	for _, f := range runs {
		if f == chosen {
			continue
		}
		why := "a newer run of the gate counts"
		switch commit, run := p.matches(f); {
		case !commit:
			why = "about another commit"
		case !run:
			why = "of another run of CI"
		case f.record.Stable.Partial:
			why = "of a part of the gate"
		case f.index.SHA256 == chosen.index.SHA256:
			why = "a second copy"
		}
		p.note(clean(f.dir), gate, "set aside, %s: %s said %s", why, f.record.Volatile.Run, f.record.Verdict)
	}
	return chosen
}

func runName(ci evidence.CI) string {
	return strings.TrimSuffix(ci.RunID+"/"+ci.Attempt, "/")
}

// conflicts finds results of one gate in one run that contradict each other:
// two folders that bear the name of one run, or whole runs in one attempt of CI
// with different verdicts.
func (p *pass) conflicts(gate string, runs []*sealed) {
	type key struct{ provider, id string }
	first := map[key]*sealed{}
	for _, f := range runs {
		v := &f.record.Volatile
		keys := []key{{"", v.Run}}
		if v.CI.RunID != "" && !f.record.Stable.Partial {
			keys = append(keys, key{v.CI.Provider, runName(v.CI) + " " + f.record.Stable.Source.Commit})
		}
		for i, k := range keys {
			before := first[k]
			if before == nil {
				first[k] = f
				continue
			}
			same := before.record.Verdict == f.record.Verdict
			if i == 0 {
				same = before.index.SHA256 == f.index.SHA256
			}
			if !same {
				p.fail(CodeConflicting, clean(f.dir), gate, "%s here and %s in %s, for one run", f.record.Verdict, before.record.Verdict, before.dir)
			}
		}
	}
}

// judgeGate holds the run that counts for a gate against the policy.
func (p *pass) judgeGate(g *Gate, f *sealed) {
	s, v := &f.record.Stable, &f.record.Volatile
	dir := clean(f.dir)
	g.Result, g.Path, g.Run, g.Commit = f.record.Verdict, f.dir, v.Run, s.Source.Commit
	g.CI, g.Finished, g.Logged = runName(v.CI), v.Finished, f.logged
	if age := p.now.Sub(v.Finished); age > 0 {
		g.AgeSeconds = int64(age.Seconds())
	}
	p.judgeAge(dir, g.Gate, "the run", v.Finished)
	p.judgePlace(dir, g.Gate, place{
		repository: v.Origin.Repository, ref: v.Origin.Ref, provider: v.CI.Provider, event: v.CI.Event, run: v.CI.RunID, attempt: v.CI.Attempt,
	})
	p.judgeLogged(f)
	p.judgeSigned(f)
	if f.signer != nil {
		g.Signer, g.Class = f.signer.name, f.signer.class
	}
	if p.policy == nil && !g.Required {
		return // the evidence of a red run is evidence
	}
	if s.Source.Dirty && (p.policy == nil || !p.policy.AcceptDirty) {
		p.fail(CodeDirty, dir, g.Gate, "made in a working tree that differs from the commit")
	}
	switch verdict := f.record.Verdict; {
	case verdict == evidence.Fail:
		p.fail(CodeGateFailed, dir, g.Gate, "the record says FAIL%s", blockers(f.record))
	case !g.Required || verdict == evidence.Pass:
	case skipped(f.record):
		p.fail(CodeSkipped, dir, g.Gate, "the gate is required, and all of its work was skipped")
	default:
		p.unverified(CodeGateUnverified, dir, g.Gate, "the record says UNVERIFIED%s", blockers(f.record))
	}
}

// skipped says whether a run skipped all of its work, which the record calls UNVERIFIED.
func skipped(record *evidence.Record) bool {
	n := 0
	for _, step := range record.Stable.Steps {
		switch {
		case step.ID == evidence.SourceStep && step.Verdict == evidence.Pass:
		case step.Verdict != evidence.Skip:
			return false
		default:
			n++
		}
	}
	return n > 0
}

func blockers(record *evidence.Record) string {
	var ids []string
	for _, b := range record.Stable.Blockers {
		ids = append(ids, b.ID)
	}
	if len(ids) == 0 {
		return ""
	}
	const most = 5
	if len(ids) > most {
		ids = append(ids[:most], "...")
	}
	return ": " + strings.Join(ids, ", ")
}

// waivers are those of the policy that count; the others are problems.
func (p *pass) waivers() []policy.Waiver {
	if p.policy == nil {
		return nil
	}
	var good []policy.Waiver
	for _, w := range p.policy.Waivers {
		if err := p.policy.JudgeWaiver(w, p.target, p.now); err != nil {
			gate := w.Gate
			p.refuse("", gate, err)
			continue
		}
		good = append(good, w)
	}
	return good
}

// waive takes the problems of a gate that somebody answers for out of the way.
func (p *pass) waive(g *Gate, f *sealed, waivers []policy.Waiver) {
	if p.policy == nil || p.policy.Hard(g.Gate) {
		return
	}
	by := func(code Code) string {
		for _, w := range waivers {
			if w.Gate != "" && w.Gate == g.Gate && w.Code == string(code) {
				return w.GrantedBy
			}
		}
		if f == nil || len(f.record.Stable.Blockers) == 0 {
			return ""
		}
		var granted []string
		for _, b := range f.record.Stable.Blockers {
			i := slices.IndexFunc(waivers, func(w policy.Waiver) bool { return w.Blocker == b.ID && w.Code == string(code) })
			if i < 0 {
				return ""
			}
			granted = append(granted, waivers[i].GrantedBy)
		}
		slices.Sort(granted)
		return strings.Join(slices.Compact(granted), ", ")
	}
	for _, list := range []*[]Problem{&p.report.Problems, &p.report.Unverified} {
		*list = slices.DeleteFunc(*list, func(problem Problem) bool {
			if problem.Gate != g.Gate {
				return false
			}
			who := by(problem.Code)
			if who == "" {
				return false
			}
			problem.WaivedBy = who
			p.report.Waived = append(p.report.Waived, problem)
			return true
		})
	}
}
