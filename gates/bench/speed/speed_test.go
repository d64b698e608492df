//go:build unix

package speed

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/gatetest"
)

func TestJudgement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		j    judge.Judgement
		want bool
	}{
		"above a floor":   {judge.AtLeast("c", "s", 1.06, 1.05, "%.2f"), true},
		"on a floor":      {judge.AtLeast("c", "s", 1.05, 1.05, "%.2f"), true},
		"below a floor":   {judge.AtLeast("c", "s", 1.04, 1.05, "%.2f"), false},
		"below a limit":   {judge.AtMost("c", "s", 63, 64, "%.2f"), true},
		"above a limit":   {judge.AtMost("c", "s", 65, 64, "%.2f"), false},
		"no number":       {judge.AtLeast("c", "s", math.NaN(), 1, "%.2f"), false},
		"divided by zero": {judge.AtMost("c", "s", math.Inf(1), 1, "%.2f"), false},
	} {
		check := c.j.Check()
		assert.NilError(t, check.Validate(), name)
		assert.Equal(t, c.j.Holds(), c.want, name)
		assert.Equal(t, check.Verdict == evidence.Pass, c.want, name)
		assert.Equal(t, check.Observed == check.Expected, c.want, name)
	}
}

// row makes a row whose sides took the given times.
func row(times map[string][]float64) *Row {
	r := &Row{ID: "x"}
	for name, all := range times {
		s := Side{Name: name, Engine: strings.HasPrefix(name, ours)}
		for _, seconds := range all {
			s.Samples = append(s.Samples, Sample{Seconds: seconds, CPU: seconds / 2, RSS: 20 << 20, WAL: 100})
		}
		s.sum()
		r.Sides = append(r.Sides, s)
	}
	return r
}

func TestSpeed(t *testing.T) {
	t.Parallel()
	r := row(map[string][]float64{binaryPipe: {2, 9, 2.2, 2.1, 1}, ours: {1, 1.1, 4, 1.05, 1}})
	j := speed(r, binaryPipe, ours, 1.5)
	assert.Assert(t, math.Abs(j.Value-2) < 1e-9, "medians of 2.1 and 1.05: %v", j.Value)
	assert.Assert(t, math.Abs(j.Paired-2) < 1e-9, "%v", j.Paired)
	assert.Assert(t, j.Holds())
	slow := row(map[string][]float64{binaryPipe: {1, 1, 1}, ours: {2, 2, 2}})
	assert.Assert(t, !speed(slow, binaryPipe, ours, 0.95).Holds())
	assert.Assert(t, !speed(slow, "nobody", ours, 0.95).Holds())
	assert.Assert(t, memory(r).Holds())
	slow.Sides[0].Engine, slow.Sides[0].RSS = true, 65<<20
	assert.Assert(t, !memory(slow).Holds())
	assert.Assert(t, math.IsNaN(judge.Median(nil)))
	assert.Equal(t, judge.Median([]float64{4, 1, 2, 3}), 2.5)
}

// TestEveryRowIsJudged holds that each row has limits, and that they are red for an engine that is slow and hungry.
func TestEveryRowIsJudged(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range entries(Options{}.defaults()) {
		assert.Assert(t, !seen[e.id], e.id)
		seen[e.id] = true
		good, bad := &Row{ID: e.id}, &Row{ID: e.id}
		for i, s := range e.sides {
			assert.Assert(t, s.name != "" && s.command.Name != "", "%s", e.id)
			assert.Equal(t, s.engine, s.manifest != "", "%s %s", e.id, s.name)
			side := Side{Name: s.name, Engine: s.engine, Seconds: 100, CPU: 100, WAL: 100}
			better, worse := side, side
			if s.engine {
				better.Seconds, better.CPU, better.WAL, better.RSS = 1, 1, 1, 1
				// A longer table takes more than its share.
				worse.Seconds, worse.CPU, worse.WAL, worse.RSS = 1000*math.Pow(100, float64(i)), 1000, 1000, 1<<30
				if e.id == "growth" {
					better.Seconds = []float64{1, 5, 20}[i]
				}
			}
			good.Sides, bad.Sides = append(good.Sides, better), append(bad.Sides, worse)
		}
		judged := e.judge(good)
		assert.Assert(t, len(judged) >= 2, e.id)
		for _, j := range judged {
			assert.Assert(t, j.Holds(), "%s: %+v", e.id, j)
		}
		for _, j := range e.judge(bad) {
			assert.Assert(t, !j.Holds(), "%s: %+v", e.id, j)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	assert.NilError(t, Options{}.Validate())
	assert.NilError(t, Options{Only: []string{"wide", "merge"}, Scale: 0.1, Rounds: 2}.Validate())
	for _, bad := range []Options{{Only: []string{"broad"}}, {Rounds: -1}, {Scale: -1}, {Scale: 1000}} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(bad.Validate(), &usage), "%+v", bad)
	}
	assert.NilError(t, Gate(Options{}).Validate())
	assert.Assert(t, !Gate(Options{}).Partial)
	for _, part := range []Options{{Only: []string{"wide"}}, {Rounds: 3}, {Scale: 0.5}, {Floors: map[string]float64{"x": 1}}} {
		assert.Assert(t, Gate(part).Partial, "%+v", part)
	}
}

// smallOptions measure some rows with few of everything. The limits that do not hold at this size are replaced.
func smallOptions() Options {
	o := Options{Rounds: 1, Scale: 0.001, Only: []string{"refresh_20_tcp", "merge", "snapshot_diff", "xmin"}, Floors: map[string]float64{
		"bench.engine.speed refresh_20_tcp":           1000, // nobody is that fast
		"bench.engine.cpu refresh_20_tcp digest none": 0,    // nobody takes that little
		"bench.engine.cpu refresh_20_tcp digest full": 1000,
		"bench.engine.wal snapshot_diff":              0.0001,
		"bench.engine.flat merge":                     1000,
	}}
	for _, name := range o.Only[1:] {
		o.Floors["bench.engine.speed "+name] = 0.0001
	}
	return o
}

// strange are rows whose sides do not do the same work, or do not do it: they say nothing about speed.
func strange() map[string]*entry {
	all := map[string]*entry{}
	for id, s := range map[string]side{
		"other":  {command: shell(psql(targetDB, socket, `-c "UPDATE tiny SET status = 'other'"`))},
		"fewer":  {command: shell(psql(targetDB, socket, `-c "DELETE FROM tiny WHERE id = 7"`))},
		"wrong":  {command: shell(psql(targetDB, socket, `-c "SELECT nonsense"`))},
		"failed": engineSide(ours, "failed", process("failed_load", socket, "nowhere", "tiny", "", "mode: full_refresh", "")),
		"unable": {engine: true, command: shell(`echo '{"result": {"error_code": "strategy.source", "errors": ["not yet"]}}'`)},
		"silent": {engine: true, command: shell("true")},
	} {
		tiny := orders5("tiny", 50)
		s.name = "strange"
		all[id] = &entry{
			id: id, work: "work", against: "peer", prepare: both(tiny), cleanup: dropTarget("tiny"),
			sides: []side{side{name: binaryPipe, command: pipe(socket, "tiny", "binary")}.leaves(tiny), s.leaves(tiny)},
			judge: func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, binaryPipe, "strange", 0)} },
		}
	}
	all["missing"] = &entry{id: "missing", work: "work", against: "peer", missing: family("oracle")}
	return all
}

// TestSmall runs the gate: green where limits are kept, red where not, and neither where nothing can be told.
func TestSmall(t *testing.T) {
	t.Parallel()
	o := smallOptions().defaults()
	var all []*entry
	for _, e := range entries(o) {
		if slices.Contains(o.Only, e.id) {
			all = append(all, e)
		}
	}
	odd := strange()
	for _, id := range slices.Sorted(maps.Keys(odd)) {
		all, o.Only = append(all, odd[id]), append(o.Only, id)
	}
	root, err := filepath.Abs("../../..")
	assert.NilError(t, err)
	outcome := gatetest.Run(t, gate(o, all), gates.Options{Root: root, Artifacts: t.TempDir()})
	step := gatetest.Step(t, outcome, ID)
	if step.Cause == evidence.CauseNothingRan && os.Getenv("DPONE_IT_PG_REQUIRED") != "1" {
		t.Skip(step.Reason)
	}
	assert.Equal(t, step.Cause, evidence.CauseNone, step.Reason)
	reasons := map[string]string{
		"other": "left other rows", "fewer": "left 49 rows in tiny, and not 50", "wrong": "exit code", "failed": "the run failed: ",
		"silent": "the report of the run", "unable": "the engine does not do this: not yet", "missing": "no connector oracle",
	}
	for _, check := range step.Checks {
		want := evidence.Pass
		switch {
		case check.Subject == "refresh_20_tcp" && check.Code == "bench.engine.speed", check.Subject == "refresh_20_tcp digest none":
			want = evidence.Fail
		case check.Subject == "unable", check.Subject == "missing":
			want = evidence.Skip
		case reasons[check.Subject] != "":
			want = evidence.Unverified
		}
		assert.Equal(t, check.Verdict, want, "%+v", check)
		assert.Assert(t, strings.Contains(check.Reason, reasons[check.Subject]), "%+v", check)
	}
	assert.Assert(t, len(step.Checks) >= 12+len(odd), "%d", len(step.Checks))
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.json"))
	assert.NilError(t, err)
	var f Figures
	assert.NilError(t, json.Unmarshal(raw, &f))
	assert.Equal(t, len(f.Rows), len(all))
	assert.Equal(t, f.Machine.Settings["fsync"], "on")
	for _, r := range f.Rows {
		for _, s := range r.Sides {
			assert.Equal(t, len(s.Samples), 1, "%s %s", r.ID, s.Name)
			assert.Assert(t, s.Seconds > 0 && s.CPU > 0 && s.WAL > 0, "%s %+v", r.ID, s)
		}
	}
	table, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.md"))
	assert.NilError(t, err)
	for _, part := range []string{"| speed | refresh_20_tcp |", "FAIL", "SKIP", "UNVERIFIED", "PASS"} {
		assert.Assert(t, strings.Contains(string(table), part), "%s", table)
	}
}
