package figures_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/gatetest"
)

// measured is a part with two sides of three rounds.
func measured() *figures.Part {
	p := &figures.Part{ID: "speed", Work: "as fast as the peer"}
	for round, seconds := range [][2]float64{{2, 1}, {6, 2}, {8, 8}} {
		p.Add("ours", figures.Sample{Seconds: seconds[0], CPU: seconds[0] / 2, Peak: int64(round) << 20})
		p.Add("peer", figures.Sample{Seconds: seconds[1]})
	}
	return p
}

func TestSides(t *testing.T) {
	t.Parallel()
	p := measured()
	ours := p.Side("ours")
	assert.Equal(t, ours.Seconds, 6.0)
	assert.Equal(t, ours.Least, 2.0)
	assert.Equal(t, ours.Most, 8.0)
	assert.Equal(t, ours.CPU, 3.0)
	assert.Equal(t, ours.Peak, int64(2<<20))
	assert.Equal(t, p.Ratio(figures.Seconds, "ours", "peer"), 2.0, "the median of the rounds' ratios")
	for what, ratio := range map[string]float64{
		"a side that is not there": p.Ratio(figures.Seconds, "ours", "none"),
		"nothing over nothing":     p.Ratio(figures.Peak, "peer", "peer"),
		"more than nothing":        p.Ratio(figures.CPU, "ours", "peer"),
	} {
		assert.Assert(t, math.IsNaN(ratio) || math.IsInf(ratio, 0), "%s: %v", what, ratio)
	}
	assert.Assert(t, math.IsNaN(p.Side("none").Seconds))
}

// What is no number was not measured, and never keeps a limit.
func TestSettle(t *testing.T) {
	t.Parallel()
	p := measured()
	p.AtMost("bench.x.ratio", "none", math.NaN(), 1, "%.1fx")
	p.AtMost("bench.x.ratio", "endless", math.Inf(1), 1, "%.1fx")
	p.AtMost("bench.x.ratio", "it", 2, 3, "%.1fx")
	p.AtLeast("bench.x.floor", "it", 2, 1, "%.1fx")
	p.Settle(map[string]float64{"bench.x.ratio it": 1, "bench.x.floor": 4})
	assert.Equal(t, len(p.Untold), 2)
	assert.Equal(t, len(p.Judged), 2)
	assert.Equal(t, p.Judged[0].Limit, 1.0)
	assert.Equal(t, p.Judged[1].Limit, 4.0)
	raw, err := json.Marshal(p)
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(raw), `"peak_memory":2097152`))
}

func TestReport(t *testing.T) {
	t.Parallel()
	p := measured()
	p.AtMost("bench.x.ratio", "kept", 2, 3, "%.1fx")
	p.AtMost("bench.x.ratio", "missed", 4, 3, "%.1fx")
	p.CannotTell("bench.x.part", "other", "a number", "it\ndied")
	p.Skip("bench.x.peer", "cosign", "a peer", "it is not there")
	p.Note("%d rounds", 3)
	fact := ""
	outcome := gatetest.Run(t, gates.Gate{ID: "x", Doc: "All is so.", Runbook: "docs/runbooks.md#x", Area: "x", Steps: []gates.Step{{
		ID: "x", Doc: "It is so.", Runbook: "docs/runbooks.md#x",
		Run: func(_ context.Context, pass *gates.Pass) error {
			fact = figures.Report(pass, "docs/runbooks.md#x", []*figures.Part{p})
			return nil
		},
	}}}, gates.Options{Root: gatetest.Repository(t, "-- a.txt --\na\n"), Artifacts: t.TempDir()})
	assert.Equal(t, fact, "1 of 2 limits kept, 1 not measured, 1 left out")
	verdicts := map[string]evidence.Verdict{}
	for _, c := range gatetest.Step(t, outcome, "x").Checks {
		verdicts[c.Subject] = c.Verdict
	}
	assert.DeepEqual(t, verdicts, map[string]evidence.Verdict{
		"kept": evidence.Pass, "missed": evidence.Fail, "other": evidence.Unverified, "cosign": evidence.Skip,
	})

	var b bytes.Buffer
	figures.Tables(&b, "bench.x.", []*figures.Part{p})
	for _, want := range []string{
		"| speed | ours | 6.00 | 2.00 to 8.00 | 3.00 | 2.0 |", "| speed | peer | 2.00 | 1.00 to 8.00 |  |  |",
		"| ratio | kept | 2.0x | 3 | PASS |", "| ratio | missed | 4.0x | 3 | FAIL |", "| part | other | it died |  | UNVERIFIED |",
		"| peer | cosign | it is not there |  | SKIP |", "speed: 3 rounds",
	} {
		assert.Assert(t, strings.Contains(b.String(), want), "%s in\n%s", want, b.String())
	}
	assert.Assert(t, figures.ThisMachine(2).Go != "")
}
