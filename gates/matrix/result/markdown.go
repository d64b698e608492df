package result

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/gates/matrix/cases"
)

// Limits of a page; the rest is in the JSON.
const (
	maxRed  = 50 // cases in full
	maxKeys = 5  // differing keys of a case
	maxList = 50 // lines of a list
)

// The ratios of a run that gives none.
const (
	usualChanged = 0.2
	usualDeleted = 0.05
)

// targets are the mage targets by mode.
var targets = map[cases.Mode]string{
	cases.MockContract: "matrix:mockContract", cases.MockLocal: "matrix:mockLocal", cases.RealLocal: "matrix:realLocal", cases.VendorLive: "matrix:vendorLive",
}

// Reproduce is the command that carries out one case with the rows of a run. A case that
// never got to its rows has none to name.
func Reproduce(id string, run Identity) string {
	command := "mage " + target(run.Mode) + " -caseID=" + id
	if run.Rows == 0 {
		return command
	}
	command += fmt.Sprintf(" -rows=%d -seed=%d", run.Rows, run.Seed)
	if run.Changed != usualChanged || run.Deleted != usualDeleted {
		command += " -changed=" + number(run.Changed) + " -deleted=" + number(run.Deleted)
	}
	return command
}

func target(mode cases.Mode) string { return cmp.Or(targets[mode], "matrix:list") }

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Markdown is the report as a page: what keeps it from PASS first, durations last. It is a
// function of the report alone.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: mage %s\n\n", r.Verdict, target(r.Profile))
	fmt.Fprintf(&b, "%d of %d selected cases passed, %d failed, %d skipped, %d could not be carried out, %d without a result.\n",
		r.Totals.Passed, r.Selected, r.Failed, r.Skipped, r.Unverified, r.Missing)
	if r.Partial {
		fmt.Fprintf(&b, "\n**Partial**: of %d cases in the registry %d were selected and %d executed. See [coverage](#coverage).\n", r.Registered, r.Selected, r.Executed)
	}
	r.others(&b)
	r.grid(&b)
	r.strategies(&b)
	r.cases(&b, evidence.Fail, "Failed")
	r.cases(&b, evidence.Unverified, "Could not be told")
	r.skipped(&b)
	r.systems(&b)
	r.coverage(&b)
	r.about(&b)
	r.durations(&b)
	return b.String()
}

// others are the blockers that are not about the outcome of a case.
func (r *Report) others(b *strings.Builder) {
	var lines []string
	for _, k := range r.Blockers {
		if slices.Contains([]string{CaseFailed, CaseUnverified, CaseMissing}, k.Code) {
			continue
		}
		line := "`" + k.Code + "` "
		if k.Subject != wholeSelection {
			line += literal(k.Subject) + ": "
		}
		lines = append(lines, line+prose(k.Message)+". "+runbookLink(k.Runbook))
	}
	list(b, "Blockers", lines)
}

// list is a section of lines, left out when there are none.
func list(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	bullets(b, lines)
}

func bullets(b *strings.Builder, lines []string) {
	for i, line := range lines {
		if i == maxList {
			fmt.Fprintf(b, "- and %d more in %s\n", len(lines)-i, ReportJSON)
			return
		}
		fmt.Fprintf(b, "- %s\n", line)
	}
}

// grid is source by sink.
func (r *Report) grid(b *strings.Builder) {
	var sources, sinks []string
	cells := map[[2]string]*Tally{}
	for i := range r.Results {
		e := &r.Results[i]
		if e.PairID == "" {
			continue
		}
		if !slices.Contains(sources, e.Source) {
			sources = append(sources, e.Source)
		}
		if !slices.Contains(sinks, e.Sink) {
			sinks = append(sinks, e.Sink)
		}
		at := [2]string{e.Source, e.Sink}
		if cells[at] == nil {
			cells[at] = &Tally{}
		}
		cells[at].count(e)
	}
	if len(sources) == 0 {
		return
	}
	b.WriteString("\n## Sources and sinks\n\n| from \\ to |")
	for _, sink := range sinks {
		fmt.Fprintf(b, " %s |", named(sink))
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(sinks)) + "\n")
	for _, source := range sources {
		fmt.Fprintf(b, "| %s |", named(source))
		for _, sink := range sinks {
			fmt.Fprintf(b, " %s |", cells[[2]string{source, sink}].words())
		}
		b.WriteString("\n")
	}
}

// words are the numbers of a cell; what is zero is left out.
func (t *Tally) words() string {
	if t == nil {
		return "not selected"
	}
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{t.Passed, "%d ok"}, {t.Failed, "**%d FAIL**"}, {t.Skipped, "%d skip"}, {t.Unverified, "**%d ERR**"}, {t.Missing, "**%d missing**"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf(p.word, p.n))
		}
	}
	return strings.Join(parts, ", ")
}

func (r *Report) strategies(b *strings.Builder) {
	if len(r.Strategies) == 0 {
		return
	}
	b.WriteString("\n## Strategies\n\n| Strategy | Cases | ok | FAIL | skip | ERR | missing |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, t := range r.Strategies {
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d |\n", named(t.Name), t.Cases, t.Passed, t.Failed, t.Skipped, t.Unverified, t.Missing)
	}
}

// cases tells of the cases of one verdict in full.
func (r *Report) cases(b *strings.Builder, v evidence.Verdict, title string) {
	shown := 0
	for i := range r.Results {
		e := &r.Results[i]
		if e.Verdict != v {
			continue
		}
		if shown++; shown > maxRed {
			continue
		}
		if shown == 1 {
			fmt.Fprintf(b, "\n## %s\n", title)
		}
		e.full(b)
	}
	if shown > maxRed {
		fmt.Fprintf(b, "\nAnd %d more in %s.\n", shown-maxRed, ReportJSON)
	}
}

func (e *Result) full(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n", literal(e.CaseID))
	var lines []string
	if e.Reason != "" {
		lines = append(lines, prose(e.Reason))
	}
	for _, k := range e.Failing {
		line := fmt.Sprintf("%s %s: observed %s, expected %s", literal(k.Code), k.Verdict, literal(k.Observed), literal(k.Expected))
		if k.Why != "" {
			line += "; " + prose(k.Why)
		}
		lines = append(lines, line)
	}
	for i, d := range e.Differences {
		if i == maxKeys {
			lines = append(lines, fmt.Sprintf("and %d more keys in %s", len(e.Differences)-i, literal(e.Path)))
			break
		}
		line := fmt.Sprintf("key %s is %s", literal(d.Key), prose(d.Kind))
		switch {
		case d.Column != "":
			line += fmt.Sprintf(": column %s is %s, expected %s", literal(d.Column), literal(d.Actual), literal(d.Expected))
		case d.Expected+d.Actual != "": // which version of the key
			line += fmt.Sprintf(" (%s)", literal(d.Expected+d.Actual))
		}
		lines = append(lines, line)
	}
	bullets(b, lines)
	anchor := CaseUnverified
	switch {
	case e.Missing:
		anchor = CaseMissing
	case e.Verdict == evidence.Fail:
		anchor = e.first()
	}
	fmt.Fprintf(b, "\nReproduce: %s  \n%s\n", literal(e.Reproduce), runbookLink(Runbook(anchor)))
}

func runbookLink(anchor string) string { return "Runbook: [" + anchor + "](" + anchor + ")" }

func (r *Report) skipped(b *strings.Builder) {
	var lines []string
	for i := range r.Results {
		if e := &r.Results[i]; e.Verdict == evidence.Skip {
			lines = append(lines, literal(e.CaseID)+": "+prose(e.Reason))
		}
	}
	list(b, "Skipped", lines)
}

func (r *Report) systems(b *strings.Builder) {
	var lines []string
	for _, u := range r.Systems {
		line := fmt.Sprintf("%s (%s), cases: %d as source, %d as sink", prose(cmp.Or(strings.TrimSpace(u.System+" "+u.Version), "a system that did not say what it is")), named(u.Family), u.AsSource, u.AsSink)
		if u.StandIn != "" {
			line = "**stand-in for** " + named(u.StandIn) + ": " + line
		}
		lines = append(lines, line)
	}
	list(b, "Systems that the cases talked to", lines)
}

func (r *Report) coverage(b *strings.Builder) {
	fmt.Fprintf(b, "\n## Coverage\n\n%d in the registry, %d selected, %d executed. ", r.Registered, r.Selected, r.Executed)
	if !r.Partial {
		b.WriteString("The three sets are the same.\n")
		return
	}
	fmt.Fprintf(b, "They differ, so that this report is about a part of the matrix; the sets are in %s.\n\n", CoverageJSON)
	for _, s := range []struct {
		title string
		ids   []string
	}{
		{"Not selected", r.Coverage.NotSelected},
		{"Selected and not executed", r.Coverage.NotExecuted},
		{"Result without being asked for", r.Coverage.Orphans},
		{"More than one result", r.Coverage.Doubled},
	} {
		if len(s.ids) == 0 {
			continue
		}
		shown := make([]string, 0, maxKeys)
		for _, id := range s.ids[:min(len(s.ids), maxKeys)] {
			shown = append(shown, literal(id))
		}
		more := ""
		if n := len(s.ids) - len(shown); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(b, "- %s: %d (%s%s)\n", s.title, len(s.ids), strings.Join(shown, ", "), more)
	}
}

func (r *Report) about(b *strings.Builder) {
	b.WriteString("\n## About\n\n| | |\n| --- | --- |\n")
	commit := cmp.Or(r.Build.Commit, "not told")
	if r.Build.Dirty {
		commit += ", with changes that are not committed"
	}
	for _, row := range [][2]string{
		{"Commit", commit},
		{"Engine", cmp.Or(r.Build.Engine, "not told")},
		{"Connectors", cmp.Or(r.Build.Connectors, "not told")},
		{"Go", cmp.Or(r.Build.Go, "not told")},
		{"Rows of a case", fmt.Sprintf("%d, of which %s changed and %s deleted", r.Rows, number(r.Changed), number(r.Deleted))},
		{"Seed", strconv.FormatUint(r.Seed, 10)},
	} {
		fmt.Fprintf(b, "| %s | %s |\n", row[0], prose(row[1]))
	}
	fmt.Fprintf(b, "| Mode | %s |\n", named(string(r.Profile)))
}

// durations are all that differs between two runs of the same.
func (r *Report) durations(b *strings.Builder) {
	v := &r.Volatile
	b.WriteString("\n## This run\n\n| | |\n| --- | --- |\n")
	fmt.Fprintf(b, "| Run | %s |\n| Wall time, cases at once | %s, %d |\n", prose(cmp.Or(v.Run, "without a folder")), span(v.Finished.Sub(v.Started).Seconds()), v.Jobs)
	fmt.Fprintf(b, "| Sum over the cases | %s |\n| Engine | %s |\n| Fixtures | %s |\n| Reading back and comparing | %s |\n",
		span(v.Seconds.Total), span(v.Seconds.Engine), span(v.Seconds.Fixture), span(v.Seconds.Check))
	if len(v.Slowest) > 0 {
		b.WriteString("\n### Slowest\n\n| Case | Time | Engine | Fixtures | Comparing |\n| --- | ---: | ---: | ---: | ---: |\n")
		for _, c := range v.Slowest {
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", named(c.CaseID), span(c.Total), span(c.Engine), span(c.Fixture), span(c.Check))
		}
	}
	if len(v.Reused) > 0 {
		b.WriteString("\n### Taken over from earlier runs\n\n")
		var lines []string
		for _, u := range v.Reused {
			lines = append(lines, literal(u.CaseID)+" from "+literal(u.Run))
		}
		bullets(b, lines)
	}
}

// span is a duration as on a result line; what is shorter than that shows is told as such.
func span(seconds float64) string {
	return cmp.Or(render.Duration(int64(seconds*float64(time.Second/time.Millisecond))), "below 50ms")
}
