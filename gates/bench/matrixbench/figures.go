package matrixbench

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/matrix/result"
	workerprotocol "github.com/dpone/dpone/gates/matrix/worker/protocol"
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
	// Untold is what could not be measured.
	Untold []Untold `json:"untold,omitempty"`
	// Notes are for the reader; no verdict comes from them.
	Notes []string `json:"notes,omitempty"`
	// Cases are the seconds of each case in the last round, where all are carried out.
	Cases map[string]result.Durations `json:"case_seconds,omitempty"`
}

// Side is one way to do the work. Times are in seconds and medians, sizes in bytes.
type Side struct {
	Name    string   `json:"name"`
	Seconds float64  `json:"seconds"`
	Least   float64  `json:"least_seconds"`
	Most    float64  `json:"most_seconds"`
	CPU     float64  `json:"cpu_seconds,omitempty"` // of the processes and the children that they waited for
	RSS     int64    `json:"max_rss,omitempty"`     // the greatest of all rounds, of the largest process
	Samples []Sample `json:"samples"`
}

// Sample is one turn.
type Sample struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"`
	RSS     int64   `json:"max_rss,omitempty"`
	// The sums over the cases, where all are carried out.
	Fixture float64 `json:"fixture_seconds,omitempty"`
	Engine  float64 `json:"engine_seconds,omitempty"`
	Check   float64 `json:"check_seconds,omitempty"`
	Total   float64 `json:"total_seconds,omitempty"`
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
		s.RSS = max(s.RSS, x.RSS)
	}
	s.Seconds, s.CPU, s.Least, s.Most = judge.Median(seconds), judge.Median(cpu), slices.Min(seconds), slices.Max(seconds)
}

// side finds a side; one that is not there has no time.
func (p *Part) side(name string) Side {
	for _, s := range p.Sides {
		if s.Name == name {
			return s
		}
	}
	return Side{Seconds: math.NaN()}
}

// keep adds what all cases of a turn took.
func (p *Part) keep(answers []workerprotocol.Answer, s *Sample) {
	p.Cases = map[string]result.Durations{}
	for _, a := range answers {
		p.Cases[a.Case] = a.Seconds
		s.Fixture, s.Engine, s.Check, s.Total = s.Fixture+a.Seconds.Fixture, s.Engine+a.Seconds.Engine, s.Check+a.Seconds.Check, s.Total+a.Seconds.Total
	}
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
	kept, all, untold := 0, 0, 0
	for _, part := range f.Parts {
		for _, u := range part.Untold {
			untold++
			p.Check(evidence.CouldNotTell(u.Code, u.Subject, u.Expected, u.Reason, "the step's log has what the programs said"))
		}
		for _, j := range part.Judged {
			all++
			if j.Holds() {
				kept++
			}
			p.Measure(j.Check(), fmt.Sprintf(j.Format, j.Value))
		}
	}
	p.Fact("%d of %d limits kept, %d not measured, %d rounds of %d rows on %d processors", kept, all, untold, f.Options.Rounds, f.Options.rows(), f.Machine.Processors)
}

func (f Figures) table() string {
	var b bytes.Buffer
	m := f.Machine
	fmt.Fprintf(&b, "%d rounds of %d rows on %d processors, %s, %s, load %s at the start\n\n", f.Options.Rounds, f.Options.rows(), m.Processors, m.System, m.Go, m.Load)
	b.WriteString("| Part | Side | s | least to most | CPU s | memory MiB |\n| --- | --- | ---: | ---: | ---: | ---: |\n")
	for _, p := range f.Parts {
		for _, s := range p.Sides {
			cpu, rss := "", ""
			if s.CPU > 0 {
				cpu = fmt.Sprintf("%.1f", s.CPU)
			}
			if s.RSS > 0 {
				rss = fmt.Sprintf("%.0f", float64(s.RSS)/(1<<20))
			}
			fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f to %.2f | %s | %s |\n", p.ID, s.Name, s.Seconds, s.Least, s.Most, cpu, rss)
		}
	}
	b.WriteString("\n| Limit | Subject | Value | Limit | Verdict |\n| --- | --- | --- | ---: | --- |\n")
	for _, p := range f.Parts {
		for _, u := range p.Untold {
			fmt.Fprintf(&b, "| %s | %s | %s | | UNVERIFIED |\n", strings.TrimPrefix(u.Code, "bench.matrix."), u.Subject, strings.ReplaceAll(u.Reason, "\n", " "))
		}
		for _, j := range p.Judged {
			fmt.Fprintf(&b, "| %s | %s | %s | %g | %s |\n", strings.TrimPrefix(j.Code, "bench.matrix."), j.Subject, fmt.Sprintf(j.Format, j.Value), j.Limit, j.Check().Verdict)
		}
	}
	for _, p := range f.Parts {
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "\n%s: %s\n", p.ID, n)
		}
	}
	return b.String()
}
