package evidencebench

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/judge"
)

// Figures are the result, written to bench.json.
type Figures struct {
	Options Options `json:"options"`
	Machine Machine `json:"machine"`
	Parts   []Part  `json:"parts"`
}

// Machine is what the figures hold for.
type Machine struct {
	Processors int    `json:"processors"`
	System     string `json:"system"`
	Go         string `json:"go"`
	Load       string `json:"load_at_start,omitempty"` // averages of 1, 5 and 15 minutes
}

// Part is one comparison.
type Part struct {
	ID     string            `json:"id"`
	Work   string            `json:"work"`
	Sides  []Side            `json:"sides,omitempty"`
	Judged []judge.Judgement `json:"judged,omitempty"`
	// Untold is what could not be measured, Skipped what was left out.
	Untold  []Untold `json:"untold,omitempty"`
	Skipped []Untold `json:"skipped,omitempty"`
	// Notes are for the reader; no verdict comes from them.
	Notes []string `json:"notes,omitempty"`
}

// Side is one way to do the work. Times are in seconds and medians, memory in bytes.
type Side struct {
	Name    string   `json:"name"`
	Seconds float64  `json:"seconds"`
	Least   float64  `json:"least_seconds"`
	Most    float64  `json:"most_seconds"`
	CPU     float64  `json:"cpu_seconds,omitempty"`
	Peak    int64    `json:"peak_memory,omitempty"` // the greatest of all rounds
	Samples []Sample `json:"samples"`
}

// Sample is one turn.
type Sample struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"`
	Peak    int64   `json:"peak_memory,omitempty"`
}

// Untold is a check without a value.
type Untold struct {
	Code     string `json:"code"`
	Subject  string `json:"subject"`
	Expected string `json:"expected"`
	Reason   string `json:"reason"`
}

func (s *Side) sum() {
	var seconds, cpu []float64
	for _, x := range s.Samples {
		seconds, cpu = append(seconds, x.Seconds), append(cpu, x.CPU)
		s.Peak = max(s.Peak, x.Peak)
	}
	s.Seconds, s.CPU, s.Least, s.Most = judge.Median(seconds), judge.Median(cpu), slices.Min(seconds), slices.Max(seconds)
}

// side finds a side; one that is not there has no samples.
func (p *Part) side(name string) Side {
	for _, s := range p.Sides {
		if s.Name == name {
			return s
		}
	}
	return Side{Name: name}
}

func seconds(s Sample) float64 { return s.Seconds }
func cpu(s Sample) float64     { return s.CPU }
func peak(s Sample) float64    { return float64(s.Peak) }

// ratio is the median of the ratios within the rounds, of what is measured of
// two sides; no number when a side has none.
func (p *Part) ratio(of func(Sample) float64, above, below string) float64 {
	a, b := p.side(above).Samples, p.side(below).Samples
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, of(a[i])/of(b[i]))
	}
	return judge.Median(ratios)
}

// sum drops what is no number, which JSON cannot hold.
func (p *Part) sum() {
	p.Judged = slices.DeleteFunc(p.Judged, func(j judge.Judgement) bool {
		none := math.IsNaN(j.Value) || math.IsInf(j.Value, 0)
		if none {
			p.Untold = append(p.Untold, Untold{Code: j.Code, Subject: j.Subject, Expected: "a number", Reason: "nothing was measured, or it took no time"})
		}
		return none
	})
}

func (f Figures) report(p *gates.Pass) {
	table := f.table()
	p.Logf("%s", table)
	p.Show(table)
	kept, all, untold, skipped := 0, 0, 0, 0
	for _, part := range f.Parts {
		for _, u := range part.Untold {
			untold++
			p.Check(evidence.CouldNotTell(u.Code, u.Subject, u.Expected, u.Reason, "the step's log has what the programs said"))
		}
		for _, u := range part.Skipped {
			skipped++
			p.Check(evidence.Skipped(u.Code, u.Subject, u.Expected, u.Reason, "see docs/runbooks.md#bench-evidence"))
		}
		for _, j := range part.Judged {
			all++
			if j.Holds() {
				kept++
			}
			p.Measure(j.Check(), fmt.Sprintf(j.Format, j.Value))
		}
	}
	p.Fact("%d of %d limits kept, %d not measured, %d left out, %d rounds at scale %g on %d processors", kept, all, untold, skipped, f.Options.Rounds, f.Options.Scale, f.Machine.Processors)
}

func (f Figures) table() string {
	var b bytes.Buffer
	m := f.Machine
	fmt.Fprintf(&b, "%d rounds at scale %g on %d processors, %s, %s, load %s at the start\n\n", f.Options.Rounds, f.Options.Scale, m.Processors, m.System, m.Go, m.Load)
	b.WriteString("| Part | Side | s | least to most | CPU s | memory MiB |\n| --- | --- | ---: | ---: | ---: | ---: |\n")
	for _, p := range f.Parts {
		for _, s := range p.Sides {
			cpu, peak := "", ""
			if s.CPU > 0 {
				cpu = fmt.Sprintf("%.3f", s.CPU)
			}
			if s.Peak > 0 {
				peak = fmt.Sprintf("%.1f", float64(s.Peak)/(1<<20))
			}
			fmt.Fprintf(&b, "| %s | %s | %.3f | %.3f to %.3f | %s | %s |\n", p.ID, s.Name, s.Seconds, s.Least, s.Most, cpu, peak)
		}
	}
	b.WriteString("\n| Limit | Subject | Value | Limit | Verdict |\n| --- | --- | --- | ---: | --- |\n")
	for _, p := range f.Parts {
		for i, u := range slices.Concat(p.Untold, p.Skipped) {
			verdict := evidence.Unverified
			if i >= len(p.Untold) {
				verdict = evidence.Skip
			}
			fmt.Fprintf(&b, "| %s | %s | %s | | %s |\n", strings.TrimPrefix(u.Code, "bench.evidence."), u.Subject, strings.ReplaceAll(u.Reason, "\n", " "), verdict)
		}
		for _, j := range p.Judged {
			fmt.Fprintf(&b, "| %s | %s | %s | %g | %s |\n", strings.TrimPrefix(j.Code, "bench.evidence."), j.Subject, fmt.Sprintf(j.Format, j.Value), j.Limit, j.Check().Verdict)
		}
	}
	for _, p := range f.Parts {
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "\n%s: %s\n", p.ID, n)
		}
	}
	return b.String()
}
