//go:build unix

package matrixbench

import (
	"encoding/json"
	"errors"
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
	"github.com/dpone/dpone/gates/proc"
)

func TestJudgement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value   float64
		atLeast bool
		want    bool
	}{
		"above a floor": {1.9, true, true}, "on a floor": {1.8, true, true}, "below a floor": {1.7, true, false},
		"below a limit": {1.7, false, true}, "on a limit": {1.8, false, true}, "above a limit": {1.9, false, false},
		"no number": {math.NaN(), true, false}, "divided by zero": {math.Inf(1), true, false},
	} {
		j := judge.Judgement{Code: "bench.matrix.x", Subject: "s", Value: c.value, Limit: 1.8, AtLeast: c.atLeast, Format: "%.2fx"}
		check := j.Check()
		assert.NilError(t, check.Validate(), name)
		assert.Equal(t, j.Holds(), c.want, name)
		assert.Equal(t, check.Verdict == evidence.Pass, c.want, name)
	}
	assert.Assert(t, math.IsNaN(judge.Median(nil)))
	assert.Equal(t, judge.Median([]float64{4, 1, 2, 3}), 2.5)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	assert.NilError(t, Options{}.Validate())
	assert.NilError(t, Options{Only: []string{"linear", "shards"}, Scale: 0.1, Rounds: 2, Cases: few()}.Validate())
	for _, bad := range []Options{{Only: []string{"wide"}}, {Rounds: -1}, {Scale: -1}, {Scale: math.NaN()}, {Scale: 1000}, {Cases: []string{"a_to_b__c"}}} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(bad.Validate(), &usage), "%+v", bad)
	}
	// A gate that was made of such options all the same says so when it is planned.
	_, err := Gate(Options{Only: []string{"wide"}}).Steps[0].Commands("")
	assert.ErrorContains(t, err, "no part")
	assert.NilError(t, Gate(Options{}).Validate())
	assert.Assert(t, !Gate(Options{}).Partial)
	for _, some := range []Options{{Only: []string{"local"}}, {Rounds: 2}, {Scale: 0.5}, {Cases: few()}, {Limits: map[string]float64{"x": 1}}} {
		assert.Assert(t, Gate(some).Partial, "%+v", some)
	}
}

// few are cases of which each part has something to do.
func few() []string {
	return []string{
		"sqlite_to_sqlite__full_refresh", "sqlite_to_sqlite__incremental_append", "postgres_to_postgres__full_refresh",
		"postgres_to_postgres__incremental_append", "file_to_sqlite__full_refresh",
	}
}

// passes is a worker that finds every case green, and answers of plain tools beside it.
const passes = `#!/bin/sh
skip='^$'
seconds='{"fixture":1,"engine":4,"check":1,"total":7}'
for id in $(grep -o '[a-z]*_to_[a-z]*__[a-z_0-9]*' "$2" | grep -v "$skip"); do
  echo '{"case_id":"'$id'","verdict":"PASS","failed":[],"seconds":'$seconds',"runs":{"load":1.2,"again":1.4}}'
done
`

// tools is a program of plain tools, the second of which is faster than the first.
const tools = `#!/bin/sh
for pair in sqlite_to_sqlite postgres_to_postgres file_to_sqlite; do
  echo '{"pair":"'$pair'","tool":"slow","seconds":[3,3]}'
  echo '{"pair":"'$pair'","tool":"fast","seconds":[1,1]}'
done
`

// gateOf is the gate with other programs.
func gateOf(t *testing.T, o Options, worker, plain string) (*bench, gates.Gate) {
	t.Helper()
	b, err := newBench(o.defaults())
	assert.NilError(t, err)
	b.processors = 2
	dir := t.TempDir()
	b.builds = nil
	for name, script := range map[string]string{"worker": worker, "plain": plain} {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.WriteFile(path, []byte(script), 0o700))
		b.builds = append(b.builds, proc.Command{Name: "cp", Args: []string{path, "$SCRATCH/" + name}})
	}
	return b, b.gate()
}

// run gives the checks of a run by code and subject.
func run(t *testing.T, g gates.Gate) (map[string]evidence.Check, Figures) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	assert.NilError(t, err)
	outcome := gatetest.Run(t, g, gates.Options{Root: root, Artifacts: t.TempDir()})
	step := gatetest.Step(t, outcome, ID)
	assert.Equal(t, step.Cause, evidence.CauseNone, step.Reason)
	checks := map[string]evidence.Check{}
	for _, c := range step.Checks {
		checks[strings.TrimPrefix(c.Code, "bench.matrix.")+" "+c.Subject] = c
	}
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.json"))
	assert.NilError(t, err)
	var f Figures
	assert.NilError(t, json.Unmarshal(raw, &f))
	table, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.md"))
	assert.NilError(t, err)
	for _, c := range step.Checks {
		assert.Assert(t, strings.Contains(string(table), c.Subject), "%s", table)
	}
	return checks, f
}

// all are the checks of a run in which everything could be measured.
func all() []string {
	return []string{
		"linear cases", "linear rows", "memory contract", "memory local", "overhead local", "shards contract",
		"speed file_to_sqlite", "speed postgres_to_postgres", "speed sqlite_to_sqlite", "wall contract",
	}
}

// loose are limits that everything keeps, tight those that nothing keeps.
func loose() map[string]float64 {
	return map[string]float64{
		"bench.matrix.wall": 1e6, "bench.matrix.memory": 1e6, "bench.matrix.speed": 1e6, "bench.matrix.overhead": 1e6, "bench.matrix.linear": 1e6, "bench.matrix.shards": 0,
	}
}

func tight() map[string]float64 {
	return map[string]float64{
		"bench.matrix.wall": 0, "bench.matrix.memory": 0, "bench.matrix.speed": 0, "bench.matrix.overhead": 0, "bench.matrix.linear": 0, "bench.matrix.shards": 1e6,
	}
}

func keys(checks map[string]evidence.Check) []string {
	var names []string
	for name := range checks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestJudged holds that each limit is green when it is kept and red when it is not.
func TestJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits map[string]float64
		want   evidence.Verdict
	}{"kept": {loose(), evidence.Pass}, "broken": {tight(), evidence.Fail}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, g := gateOf(t, Options{Rounds: 2, Cases: few(), Limits: c.limits}, passes, tools)
			checks, f := run(t, g)
			assert.DeepEqual(t, keys(checks), all())
			for name, check := range checks {
				assert.Equal(t, check.Verdict, c.want, "%s: %+v", name, check)
			}
			values := map[string]float64{}
			for _, p := range f.Parts {
				for _, j := range p.Judged {
					values[strings.TrimPrefix(j.Code, "bench.matrix.")+" "+j.Subject] = j.Value
				}
			}
			near := func(name string, want float64) {
				assert.Assert(t, math.Abs(values[name]-want) < 1e-9, "%s is %v", name, values[name])
			}
			near("speed sqlite_to_sqlite", 1.3) // the median of load and again by the faster tool
			near("overhead local", 0.5)         // five cases, each 2 by 4
			near("linear rows", 0.25)           // four times the rows in the same time
		})
	}
}

// TestUntold holds that what was not measured is never green, and that the rest is told all the same.
func TestUntold(t *testing.T) {
	t.Parallel()
	missing := strings.ReplaceAll(passes, "skip='^$'\n", `skip='^$'
if grep -q mock_local "$2"; then
  skip='^postgres_to'
  for id in $(grep -o 'postgres_to_[a-z]*__[a-z_0-9]*' "$2"); do
    echo '{"case_id":"'$id'","verdict":"UNVERIFIED","failed":[],"problem":"no server here","runs":{}}'
  done
fi
`)
	for name, c := range map[string]struct {
		worker, plain string
		processors    int
		// untold are the checks that are UNVERIFIED, with a part of their reason. They replace those of the parts in lost.
		untold map[string]string
		lost   []string
	}{
		"no server": {missing, tools, 2, map[string]string{
			"overhead local": "2 of 5 cases could not be carried out", "memory local": "no server here", "speed postgres_to_postgres": "no server here",
		}, nil},
		"one processor": {passes, tools, 1, map[string]string{"shards contract": "this machine has 1"}, nil},
		"a tool that moved other rows": {passes, strings.ReplaceAll(tools, `echo '{"pair":"'$pair'","tool":"slow","seconds":[3,3]}'`, `echo '{"pair":"'$pair'","tool":"slow","problem":"it left 3 rows"}'`), 2, map[string]string{
			"speed sqlite_to_sqlite": "slow: it left 3 rows", "speed postgres_to_postgres": "slow", "speed file_to_sqlite": "slow",
		}, nil},
		"no tool": {passes, "#!/bin/sh\n", 2, map[string]string{
			"speed sqlite_to_sqlite": "no plain tool gave a time", "speed postgres_to_postgres": "no plain tool", "speed file_to_sqlite": "no plain tool",
		}, nil},
		"a foreign tool":      {passes, tools + `echo '{"pair":"a_to_b","tool":"x","seconds":[1]}'`, 2, map[string]string{"part local": "was not asked for"}, []string{"speed"}},
		"a case that fails":   {strings.ReplaceAll(passes, `"PASS","failed":[]`, `"FAIL","failed":["no_leftovers"]`), tools, 2, everyPart("is FAIL (no_leftovers)"), []string{"wall", "memory", "overhead", "speed", "linear", "shards"}},
		"a missing answer":    {strings.ReplaceAll(passes, "skip='^$'", "skip=sqlite_to_sqlite__full_refresh"), tools, 2, everyPart("and not for the"), []string{"wall", "memory", "overhead", "speed", "linear", "shards"}},
		"a program that dies": {"#!/bin/sh\nexit 3\n", tools, 2, everyPart("exit code 3"), []string{"wall", "memory", "overhead", "speed", "linear", "shards"}},
		"no JSON":             {"#!/bin/sh\necho hello\n", tools, 2, everyPart("the answer of the program"), []string{"wall", "memory", "overhead", "speed", "linear", "shards"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, g := gateOf(t, Options{Rounds: 1, Cases: few(), Limits: loose()}, c.worker, c.plain)
			b.processors = c.processors
			checks, _ := run(t, g)
			for _, name := range all() {
				code, _, _ := strings.Cut(name, " ")
				if slices.Contains(c.lost, code) && c.untold[name] == "" {
					check, ok := checks[name]
					assert.Assert(t, !ok || code == "memory" || code == "overhead", "%+v", check)
					continue
				}
				if c.untold[name] == "" {
					assert.Equal(t, checks[name].Verdict, evidence.Pass, "%s: %+v", name, checks[name])
				}
			}
			for name, reason := range c.untold {
				assert.Equal(t, checks[name].Verdict, evidence.Unverified, "%s: %+v", name, checks)
				assert.Assert(t, strings.Contains(checks[name].Reason, reason), "%+v", checks[name])
			}
		})
	}
}

func everyPart(reason string) map[string]string {
	return map[string]string{"part contract": reason, "part local": reason, "part linear": reason, "part shards": reason}
}

// TestSmall measures the real programs with a few rows of a few cases, once with PostgreSQL and once without.
func TestSmall(t *testing.T) {
	t.Parallel()
	limits := loose()
	limits["bench.matrix.wall contract"] = 0 // nobody is that fast
	limits["bench.matrix.speed sqlite_to_sqlite"] = 0
	red := []string{"wall contract", "speed sqlite_to_sqlite"}
	for name, c := range map[string]struct {
		only, env []string
		// told are the checks that need no server.
		told []string
	}{
		"server":    {told: all()},
		"no server": {only: []string{"local"}, env: []string{"DPONE_IT_PG_DSN=", "DPONE_IT_PG_DOWNLOAD=", "DPONE_IT_PG_BINDIR=" + t.TempDir()}, told: []string{"speed sqlite_to_sqlite", "speed file_to_sqlite"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := newBench(Options{Rounds: 1, Scale: 0.006, Cases: few(), Only: c.only, Limits: limits}.defaults())
			assert.NilError(t, err)
			b.env, b.processors = c.env, 2
			checks, f := run(t, b.gate())
			if c.env == nil {
				assert.DeepEqual(t, keys(checks), all())
			}
			for name, check := range checks {
				ofServer := strings.Contains(check.Reason, "system not available")
				want := evidence.Pass
				switch {
				case slices.Contains(red, name):
					want = evidence.Fail
				case !slices.Contains(c.told, name), ofServer && os.Getenv("DPONE_IT_PG_REQUIRED") != "1":
					want = evidence.Unverified
					assert.Assert(t, ofServer, "%+v", check)
				}
				assert.Equal(t, check.Verdict, want, "%+v", check)
			}
			for _, p := range f.Parts {
				assert.Assert(t, len(p.Sides) > 0, p.ID)
				for _, s := range p.Sides {
					assert.Assert(t, s.Seconds > 0 && len(s.Samples) > 0, "%s %+v", p.ID, s)
				}
			}
		})
	}
}
