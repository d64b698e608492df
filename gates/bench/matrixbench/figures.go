package matrixbench

import (
	"bytes"
	"fmt"

	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/matrix/result"
	workerprotocol "github.com/dpone/dpone/gates/matrix/worker/protocol"
)

// Figures are the result, written to bench.json.
type Figures struct {
	Options Options         `json:"options"`
	Machine figures.Machine `json:"machine"`
	Parts   []*Part         `json:"parts"`
}

// Part is one comparison.
type Part struct {
	figures.Part
	// Cases are the seconds of each case in the last round, where all are carried out.
	Cases map[string]result.Durations `json:"case_seconds,omitempty"`
}

// The phases of a turn in which all cases are carried out: the sums over the cases.
const (
	fixturePhase = "fixture"
	enginePhase  = "engine"
	checkPhase   = "check"
	totalPhase   = "total"
)

// keep adds what all cases of a turn took.
func (p *Part) keep(answers []workerprotocol.Answer, s *figures.Sample) {
	p.Cases = map[string]result.Durations{}
	s.Phases = map[string]float64{}
	for _, a := range answers {
		p.Cases[a.Case] = a.Seconds
		s.Phases[fixturePhase] += a.Seconds.Fixture
		s.Phases[enginePhase] += a.Seconds.Engine
		s.Phases[checkPhase] += a.Seconds.Check
		s.Phases[totalPhase] += a.Seconds.Total
	}
}

func (f Figures) parts() []*figures.Part {
	list := make([]*figures.Part, len(f.Parts))
	for i, p := range f.Parts {
		list[i] = &p.Part
	}
	return list
}

func (f Figures) table() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d rounds of %d rows on %s\n\n", f.Options.Rounds, f.Options.rows(), f.Machine)
	figures.Tables(&b, "bench.matrix.", f.parts())
	return b.String()
}
