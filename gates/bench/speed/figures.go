package speed

import (
	"bytes"
	"encoding/json"
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
	Rows    []Row   `json:"rows"`
}

// Row is one row of the table.
type Row struct {
	ID      string `json:"id"`
	Work    string `json:"work"`
	Against string `json:"against"`
	// Skipped is the reason why it was not measured.
	Skipped string `json:"skipped,omitempty"`
	// Broken is why it could not be measured to its end.
	Broken string            `json:"broken,omitempty"`
	Sides  []Side            `json:"sides,omitempty"`
	Judged []judge.Judgement `json:"judged,omitempty"`
}

// Side is one way to do the work. Times are in seconds, sizes in bytes; without Samples the values are medians.
type Side struct {
	Name    string   `json:"name"`
	Engine  bool     `json:"engine"`
	Seconds float64  `json:"seconds"`
	Least   float64  `json:"least_seconds"`
	Most    float64  `json:"most_seconds"`
	CPU     float64  `json:"cpu_seconds"` // of the client's processes
	WAL     float64  `json:"wal_bytes"`   // that the server wrote
	RSS     int64    `json:"max_rss"`     // the greatest of all rounds, of the largest process
	Samples []Sample `json:"samples"`
}

// Sample is one turn.
type Sample struct {
	Seconds float64         `json:"seconds"`
	CPU     float64         `json:"cpu_seconds"`
	RSS     int64           `json:"max_rss"`
	WAL     int64           `json:"wal_bytes"`
	Phases  json.RawMessage `json:"phases,omitempty"` // of the engine's own report
}

func (s *Side) sum() {
	var seconds, cpu, wal []float64
	for _, x := range s.Samples {
		seconds, cpu, wal = append(seconds, x.Seconds), append(cpu, x.CPU), append(wal, float64(x.WAL))
		s.RSS = max(s.RSS, x.RSS)
	}
	s.Seconds, s.CPU, s.WAL = judge.Median(seconds), judge.Median(cpu), judge.Median(wal)
	if len(seconds) > 0 {
		s.Least, s.Most = slices.Min(seconds), slices.Max(seconds)
	}
}

func (r *Row) side(name string) Side {
	for _, s := range r.Sides {
		if s.Name == name {
			return s
		}
	}
	return Side{Seconds: math.NaN(), CPU: math.NaN(), WAL: math.NaN()}
}

func (r *Row) seconds(name string) float64 { return r.side(name).Seconds }
func (r *Row) cpu(name string) float64     { return r.side(name).CPU }
func (r *Row) wal(name string) float64     { return r.side(name).WAL }

// speed is how many times as fast a side is as its peer.
func speed(r *Row, peer, side string, floor float64) judge.Judgement {
	j := judge.AtLeast("bench.engine.speed", r.ID, r.seconds(peer)/r.seconds(side), floor, "%.2fx the speed of "+peer)
	a, b := r.side(peer).Samples, r.side(side).Samples
	var ratios []float64
	for i := range min(len(a), len(b)) {
		ratios = append(ratios, a[i].Seconds/b[i].Seconds)
	}
	if len(ratios) > 0 {
		j.Paired = judge.Median(ratios)
	}
	return j
}

// memory is the most that the engine held in any round.
func memory(r *Row) judge.Judgement {
	most := int64(0)
	for _, s := range r.Sides {
		if s.Engine {
			most = max(most, s.RSS)
		}
	}
	return judge.AtMost("bench.engine.memory", r.ID, float64(most)/(1<<20), float64(limitMemory)/(1<<20), "%.1f MiB")
}

func (b *comparison) report(p *gates.Pass, f Figures) error {
	p.Logf("%s", f.table())
	p.Show(f.table())
	kept, all, skipped := 0, 0, 0
	for _, row := range f.Rows {
		if row.Skipped != "" {
			skipped++
			p.Check(evidence.Skipped("bench.engine.row", row.ID, row.Work+" against "+row.Against, row.Skipped, "nothing to do; the row is measured as soon as the engine does the work"))
			continue
		}
		if row.Broken != "" {
			skipped++
			p.Check(evidence.CouldNotTell("bench.engine.row", row.ID, row.Work+" against "+row.Against, row.Broken, "the step's log has what the programs said"))
			continue
		}
		for _, j := range row.Judged {
			all++
			if j.Holds() {
				kept++
			}
			p.Measure(j.Check(), fmt.Sprintf(j.Format, j.Value))
		}
	}
	p.Fact("%d of %d limits kept, %d rows not measured, %d rounds at scale %g", kept, all, skipped, b.opts.Rounds, b.opts.Scale)
	if all == 0 && skipped == len(f.Rows) && !slices.ContainsFunc(f.Rows, func(r Row) bool { return r.Broken != "" }) {
		return fmt.Errorf("%w: no row of the table could be measured", gates.ErrNothingRan)
	}
	return nil
}

func (f Figures) table() string {
	var b bytes.Buffer
	m := f.Machine
	fmt.Fprintf(&b, "%d rounds at scale %g on %d processors (%s), %s, %s\n\n", f.Options.Rounds, f.Options.Scale, m.Processors, m.Model, m.Go, m.Server)
	b.WriteString("| Row | Side | s | least to most | client CPU s | memory MiB | log MB |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range f.Rows {
		for _, s := range r.Sides {
			fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f to %.2f | %.2f | %.0f | %.1f |\n", r.ID, s.Name, s.Seconds, s.Least, s.Most, s.CPU, float64(s.RSS)/(1<<20), s.WAL/1e6)
		}
	}
	b.WriteString("\n| Limit | Row | Value | In pairs | Limit | Verdict |\n| --- | --- | --- | ---: | ---: | --- |\n")
	for _, r := range f.Rows {
		if r.Skipped != "" {
			fmt.Fprintf(&b, "| | %s | %s | | | SKIP |\n", r.ID, r.Skipped)
		}
		if r.Broken != "" {
			fmt.Fprintf(&b, "| | %s | %s | | | UNVERIFIED |\n", r.ID, strings.ReplaceAll(r.Broken, "\n", " "))
		}
		for _, j := range r.Judged {
			paired := ""
			if j.Paired > 0 {
				paired = fmt.Sprintf("%.2f", j.Paired)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %g | %s |\n", strings.TrimPrefix(j.Code, "bench.engine."), j.Subject, fmt.Sprintf(j.Format, j.Value), paired, j.Limit, j.Check().Verdict)
		}
	}
	return b.String()
}
