// Package figures holds what a benchmark measured, part by part and side by
// side, and shows it: as checks of a record and as tables. The sides of a part
// take turns, round by round; what keeps a limit is for package judge.
package figures

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/judge"
)

// Machine is what the figures hold for.
type Machine struct {
	Processors int    `json:"processors"`
	System     string `json:"system"`
	Go         string `json:"go"`
	Load       string `json:"load_at_start,omitempty"` // averages of 1, 5 and 15 minutes
}

// ThisMachine is the machine that runs, with the processors that a run may use.
func ThisMachine(processors int) Machine {
	m := Machine{Processors: processors, System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return m
}

func (m Machine) String() string {
	return fmt.Sprintf("%d processors, %s, %s, load %s at the start", m.Processors, m.System, m.Go, m.Load)
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
	CPU     float64  `json:"cpu_seconds,omitempty"` // of the processes and the children that they waited for
	Peak    int64    `json:"peak_memory,omitempty"` // the greatest of all rounds, of the largest process
	Samples []Sample `json:"samples"`
}

// Sample is one turn.
type Sample struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"`
	Peak    int64   `json:"peak_memory,omitempty"`
	// Phases are the seconds of what the work consists of, by name, where that is known.
	Phases map[string]float64 `json:"phase_seconds,omitempty"`
}

// Seconds, CPU and Peak are what [Part.Ratio] can compare.
func Seconds(s Sample) float64 { return s.Seconds }

// CPU is the processor time of a sample in seconds.
func CPU(s Sample) float64 { return s.CPU }

// Peak is the memory of a sample in bytes.
func Peak(s Sample) float64 { return float64(s.Peak) }

// Untold is a check without a value.
type Untold struct {
	Code     string `json:"code"`
	Subject  string `json:"subject"`
	Expected string `json:"expected"`
	Reason   string `json:"reason"`
}

// Add keeps a sample of a side.
func (p *Part) Add(side string, sample Sample) {
	i := slices.IndexFunc(p.Sides, func(have Side) bool { return have.Name == side })
	if i < 0 {
		i = len(p.Sides)
		p.Sides = append(p.Sides, Side{Name: side})
	}
	s := &p.Sides[i]
	s.Samples = append(s.Samples, sample)
	var seconds, cpu []float64
	for _, x := range s.Samples {
		seconds, cpu = append(seconds, x.Seconds), append(cpu, x.CPU)
		s.Peak = max(s.Peak, x.Peak)
	}
	s.Seconds, s.CPU, s.Least, s.Most = judge.Median(seconds), judge.Median(cpu), slices.Min(seconds), slices.Max(seconds)
}

// Side finds a side; one that is not there has no samples, and its time is no number.
func (p *Part) Side(name string) Side {
	for _, s := range p.Sides {
		if s.Name == name {
			return s
		}
	}
	return Side{Name: name, Seconds: math.NaN()}
}

// Ratio is the median of the ratios within the rounds, of what is measured of
// two sides; no number when a side has none.
func (p *Part) Ratio(of func(Sample) float64, above, below string) float64 {
	a, b := p.Side(above).Samples, p.Side(below).Samples
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, of(a[i])/of(b[i]))
	}
	return judge.Median(ratios)
}

// AtMost and AtLeast hold a value against a limit; see package judge.
func (p *Part) AtMost(code, subject string, value, limit float64, format string) {
	p.Judged = append(p.Judged, judge.AtMost(code, subject, value, limit, format))
}

// AtLeast holds a value against a floor.
func (p *Part) AtLeast(code, subject string, value, limit float64, format string) {
	p.Judged = append(p.Judged, judge.AtLeast(code, subject, value, limit, format))
}

// CannotTell says that something could not be measured.
func (p *Part) CannotTell(code, subject, expected, reason string) {
	p.Untold = append(p.Untold, Untold{Code: code, Subject: subject, Expected: expected, Reason: reason})
}

// Skip says that something was left out on purpose.
func (p *Part) Skip(code, subject, expected, reason string) {
	p.Skipped = append(p.Skipped, Untold{Code: code, Subject: subject, Expected: expected, Reason: reason})
}

// Note is a line for the reader.
func (p *Part) Note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// Settle ends a part: what is no number, which JSON cannot hold, was not
// measured; limits, by the code of a check with its subject or alone, take the
// place of the part's own.
func (p *Part) Settle(limits map[string]float64) {
	p.Judged = slices.DeleteFunc(p.Judged, func(j judge.Judgement) bool {
		none := math.IsNaN(j.Value) || math.IsInf(j.Value, 0)
		if none {
			p.CannotTell(j.Code, j.Subject, "a number", "nothing was measured, or it took no time")
		}
		return none
	})
	for i := range p.Judged {
		j := &p.Judged[i]
		for _, name := range []string{j.Code, j.Code + " " + j.Subject} {
			if limit, ok := limits[name]; ok {
				j.Limit = limit
			}
		}
	}
}

// Report makes the checks of a step. runbook is where a check that was left out
// is explained. It returns the fact of the step.
func Report(p *gates.Pass, runbook string, parts []*Part) string {
	kept, all, untold, skipped := 0, 0, 0, 0
	for _, part := range parts {
		for _, u := range part.Untold {
			untold++
			p.Check(evidence.CouldNotTell(u.Code, u.Subject, u.Expected, u.Reason, "the step's log has what the programs said"))
		}
		for _, u := range part.Skipped {
			skipped++
			p.Check(evidence.Skipped(u.Code, u.Subject, u.Expected, u.Reason, "see "+runbook))
		}
		for _, j := range part.Judged {
			all++
			if j.Holds() {
				kept++
			}
			p.Measure(j.Check(), fmt.Sprintf(j.Format, j.Value))
		}
	}
	fact := fmt.Sprintf("%d of %d limits kept, %d not measured", kept, all, untold)
	if skipped > 0 {
		fact += fmt.Sprintf(", %d left out", skipped)
	}
	return fact
}

// Tables shows the sides and the limits. prefix is what the codes of the
// benchmark begin with.
func Tables(w io.Writer, prefix string, parts []*Part) {
	fmt.Fprint(w, "| Part | Side | s | least to most | CPU s | memory MiB |\n| --- | --- | ---: | ---: | ---: | ---: |\n")
	for _, p := range parts {
		for _, s := range p.Sides {
			cpu, peak := "", ""
			if s.CPU > 0 {
				cpu = number(s.CPU)
			}
			if s.Peak > 0 {
				peak = fmt.Sprintf("%.1f", float64(s.Peak)/(1<<20))
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s to %s | %s | %s |\n", p.ID, s.Name, number(s.Seconds), number(s.Least), number(s.Most), cpu, peak)
		}
	}
	fmt.Fprint(w, "\n| Limit | Subject | Value | Limit | Verdict |\n| --- | --- | --- | ---: | --- |\n")
	row := func(code, subject, value, limit string, verdict evidence.Verdict) {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", strings.TrimPrefix(code, prefix), subject, strings.ReplaceAll(value, "\n", " "), limit, verdict)
	}
	for _, p := range parts {
		for _, u := range p.Untold {
			row(u.Code, u.Subject, u.Reason, "", evidence.Unverified)
		}
		for _, u := range p.Skipped {
			row(u.Code, u.Subject, u.Reason, "", evidence.Skip)
		}
		for _, j := range p.Judged {
			row(j.Code, j.Subject, fmt.Sprintf(j.Format, j.Value), fmt.Sprintf("%g", j.Limit), j.Check().Verdict)
		}
	}
	for _, p := range parts {
		for _, n := range p.Notes {
			fmt.Fprintf(w, "\n%s: %s\n", p.ID, n)
		}
	}
}

// number shows seconds with the digits that say something.
func number(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3f", seconds)
	}
	return fmt.Sprintf("%.2f", seconds)
}
