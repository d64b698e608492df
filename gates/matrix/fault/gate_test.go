package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

// twenty are faults of which one may survive.
func twenty() []Fault {
	var all []Fault
	for i := range 20 {
		all = append(all, Fault{ID: fmt.Sprintf("a-%d", i+1), Area: "source", Doc: "Something is wrong.", File: "engine/x.go", Old: "a", New: "b", Cases: []string{"one", "two"}})
	}
	return all
}

// lab is a campaign whose workers are made up: a case is red when the fault is planted,
// unless said otherwise.
type lab struct {
	broken  map[string]string             // trials that do not build, by name
	dies    map[string]bool               // trials whose worker says something and dies
	verdict map[string][]evidence.Verdict // of the cases, by trial
	cut     map[string]int                // answers that are given
	stop    context.CancelCauseFunc       // ends the run at the third trial
	fails   bool                          // the worker cannot even be asked
	order   []string
}

func (l *lab) campaign(faults []Fault) *campaign {
	return &campaign{
		opts: Options{}.defaults(), faults: faults,
		build: func(_ context.Context, _ *gates.Pass, t trial) error {
			if why := l.broken[t.name]; why != "" {
				return broken("%s", why)
			}
			return nil
		},
		carry: func(ctx context.Context, _ *gates.Pass, t trial, _ Options) ([]answer, error) {
			l.order = append(l.order, t.name)
			if l.stop != nil && len(l.order) == 3 {
				l.stop(errors.New("somebody stopped it"))
				return nil, context.Cause(ctx)
			}
			if l.fails {
				return nil, errors.New("the disk is full")
			}
			verdicts := l.verdict[t.name]
			if verdicts == nil {
				verdicts = []evidence.Verdict{evidence.Fail, evidence.Pass}
				if t.fault == nil {
					verdicts = []evidence.Verdict{evidence.Pass, evidence.Pass}
				}
			}
			var answers []answer
			for i, id := range t.cases {
				a := answer{Case: id, Verdict: verdicts[i], Failed: []string{}}
				switch verdicts[i] {
				case evidence.Fail:
					a.Failed = []string{"row_count_matches", "delete_keys_absent"}
				case evidence.Unverified:
					a.Problem = "no server"
				}
				answers = append(answers, a)
			}
			if n, ok := l.cut[t.name]; ok {
				answers = answers[:n]
			}
			if l.dies[t.name] {
				return answers, broken("the worker died")
			}
			return answers, nil
		},
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	pass, fail, unverified := evidence.Pass, evidence.Fail, evidence.Unverified
	green := []evidence.Verdict{pass, pass}
	for name, c := range map[string]struct {
		lab     lab
		faults  []Fault
		want    evidence.Verdict
		cause   evidence.Cause
		fact    string
		trials  int                         // that were carried out
		checks  map[string]evidence.Verdict // by code and subject
		reasons []string                    // in the texts of the checks
		warns   int
	}{
		"green": {
			faults: twenty(), want: pass, fact: "20 of 20 faults caught", trials: 21,
			checks:  map[string]evidence.Verdict{"matrix.fault_caught a-7": pass, "matrix.faults_caught_share matrix:faults": pass, "matrix.fault_control control": pass},
			reasons: []string{"one (row_count_matches, delete_keys_absent)", "100.0 %"},
		},
		"one survivor of twenty": {
			faults: twenty(), lab: lab{verdict: map[string][]evidence.Verdict{"a-3": green}}, want: pass, fact: "19 of 20 faults caught", trials: 21,
			checks:  map[string]evidence.Verdict{"matrix.fault_caught a-4": pass, "matrix.faults_caught_share matrix:faults": pass},
			reasons: []string{"95.0 %; survived: a-3"}, warns: 1,
		},
		"two survivors of twenty": {
			faults: twenty(), lab: lab{verdict: map[string][]evidence.Verdict{"a-3": green, "a-20": green}}, want: fail, fact: "18 of 20 faults caught", trials: 21,
			checks:  map[string]evidence.Verdict{"matrix.fault_caught a-3": fail, "matrix.fault_caught a-20": fail, "matrix.fault_caught a-4": pass, "matrix.faults_caught_share matrix:faults": fail},
			reasons: []string{"survived: a-3, a-20", "mage matrix:faults -only=a-3"},
		},
		"a survivor alone": {
			faults: twenty()[:1], lab: lab{verdict: map[string][]evidence.Verdict{"a-1": green}}, want: fail, fact: "0 of 1 faults caught", trials: 2,
			checks: map[string]evidence.Verdict{"matrix.fault_caught a-1": fail, "matrix.faults_caught_share matrix:faults": fail},
		},
		"control red": {
			faults: twenty(), lab: lab{verdict: map[string][]evidence.Verdict{control: {fail, pass}}}, want: unverified, trials: 1,
			fact:   "the engine without a fault is not green in 1 of 2 cases",
			checks: map[string]evidence.Verdict{"matrix.fault_control one": unverified}, reasons: []string{"FAIL without a fault: row_count_matches"},
		},
		"control without a server": {
			faults: twenty(), lab: lab{verdict: map[string][]evidence.Verdict{control: {pass, unverified}}}, want: unverified, trials: 1,
			fact:   "the engine without a fault is not green in 1 of 2 cases",
			checks: map[string]evidence.Verdict{"matrix.fault_control two": unverified}, reasons: []string{"no server"},
		},
		"control silent about a case": {
			faults: twenty(), lab: lab{cut: map[string]int{control: 1}}, want: unverified, trials: 1,
			fact:   "the engine without a fault is not green in 1 of 2 cases",
			checks: map[string]evidence.Verdict{"matrix.fault_control control": unverified}, reasons: []string{"says nothing of two"},
		},
		"control does not build": {
			faults: twenty(), lab: lab{broken: map[string]string{control: "no such package"}}, want: unverified,
			fact:   "the engine without a fault is not green in 2 of 2 cases",
			checks: map[string]evidence.Verdict{"matrix.fault_control control": unverified}, reasons: []string{"no such package"},
		},
		"a worker does not build": {
			faults: twenty(), lab: lab{broken: map[string]string{"a-2": "declared and not used"}}, want: unverified, fact: "19 of 20 faults caught, 1 unclear", trials: 20,
			checks:  map[string]evidence.Verdict{"matrix.fault_caught a-2": unverified, "matrix.faults_caught_share matrix:faults": pass},
			reasons: []string{"declared and not used"},
		},
		"a worker dies": {
			faults: twenty(), lab: lab{dies: map[string]bool{"a-2": true, "a-5": true}, verdict: map[string][]evidence.Verdict{"a-2": green}, cut: map[string]int{"a-2": 1}},
			want: unverified, fact: "19 of 20 faults caught, 1 unclear", trials: 21,
			checks: map[string]evidence.Verdict{"matrix.fault_caught a-2": unverified, "matrix.fault_caught a-5": pass},
		},
		"too many cannot be told": {
			faults: twenty(), lab: lab{cut: map[string]int{"a-2": 0, "a-5": 0}, verdict: map[string][]evidence.Verdict{"a-9": {unverified, pass}}},
			want: unverified, fact: "17 of 20 faults caught, 3 unclear", trials: 21,
			checks: map[string]evidence.Verdict{
				"matrix.fault_caught a-2": unverified, "matrix.fault_caught a-9": unverified, "matrix.faults_caught_share matrix:faults": unverified,
			},
			reasons: []string{"one is UNVERIFIED: no server", "says nothing of one"},
		},
		"red beside what cannot be told": {
			faults: twenty(), lab: lab{verdict: map[string][]evidence.Verdict{"a-2": green, "a-3": green, "a-4": {pass, unverified}, "a-5": {unverified, fail}}},
			want: fail, fact: "17 of 20 faults caught, 1 unclear", trials: 21,
			checks: map[string]evidence.Verdict{"matrix.fault_caught a-2": fail, "matrix.fault_caught a-4": unverified, "matrix.fault_caught a-5": pass, "matrix.faults_caught_share matrix:faults": fail},
		},
		"nothing selected": {
			want: unverified, cause: evidence.CauseNothingRan,
			checks: map[string]evidence.Verdict{"matrix.faults_selected matrix:faults": unverified},
		},
		"the worker cannot be asked": {
			faults: twenty(), lab: lab{fails: true}, want: unverified, cause: evidence.CauseBroken, trials: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := gatetest.Repository(t, "-- x.txt --\nx\n")
			outcome := gatetest.Run(t, c.lab.campaign(c.faults).gate(), gates.Options{Root: tree, Artifacts: t.TempDir()})
			step := gatetest.Step(t, outcome, ID)
			assert.Equal(t, step.Verdict, c.want, "%+v", step)
			assert.Equal(t, step.Cause, c.cause, step.Reason)
			assert.Equal(t, len(c.lab.order), c.trials)
			found := map[string]evidence.Verdict{}
			texts := ""
			for _, check := range step.Checks {
				found[check.Code+" "+check.Subject] = check.Verdict
				texts += check.Observed + " " + check.Expected + " " + check.Reason + " " + check.Fix + "\n"
			}
			for subject, want := range c.checks {
				got, ok := found[subject]
				assert.Assert(t, ok && got == want, "%s: %v in %v", subject, got, found)
			}
			for _, reason := range c.reasons {
				assert.Assert(t, strings.Contains(texts, reason), "%s is not in %s", reason, texts)
			}
			for _, run := range outcome.Record.Volatile.Steps {
				if run.ID == ID {
					assert.Equal(t, run.Fact, c.fact)
				}
			}
			warned := 0
			for _, warning := range outcome.Record.Stable.Warnings {
				if strings.Contains(warning, "survived") {
					warned++
				}
			}
			assert.Equal(t, warned, c.warns, "%v", outcome.Record.Stable.Warnings)
			if c.trials > 0 && c.cause == evidence.CauseNone {
				artifacts(t, outcome.Folder, step, c.faults)
			}
		})
	}
}

// artifacts holds that the files of a run say what its checks say.
func artifacts(t *testing.T, folder string, step evidence.Step, faults []Fault) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(folder, "faults.json"))
	assert.NilError(t, err)
	var r report
	assert.NilError(t, json.Unmarshal(raw, &r))
	assert.Equal(t, r.Schema, "dpone.matrix.faults.v1")
	text, err := os.ReadFile(filepath.Join(folder, "faults.md"))
	assert.NilError(t, err)
	assert.Equal(t, string(text), r.text())
	if r.Control.Outcome != survived {
		assert.Equal(t, len(r.Faults), 0)
		return
	}
	assert.Equal(t, len(r.Faults), len(faults))
	assert.Equal(t, r.Caught+len(r.Survived)+len(r.Unclear), len(faults))
	for _, check := range step.Checks {
		if check.Code != "matrix.fault_caught" {
			continue
		}
		switch check.Verdict {
		case evidence.Fail:
			assert.Assert(t, slices.Contains(r.Survived, check.Subject), check.Subject)
		case evidence.Unverified:
			assert.Assert(t, slices.Contains(r.Unclear, check.Subject), check.Subject)
		}
	}
	for _, id := range slices.Concat(r.Survived, r.Unclear) {
		assert.Assert(t, strings.Contains(string(text), "| "+id+" |"), id)
	}
}

// TestInterrupted keeps what is known when the run is stopped.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	l := lab{stop: stop}
	tree := gatetest.Repository(t, "-- x.txt --\nx\n")
	outcome, err := gates.Run(ctx, l.campaign(twenty()).gate(), gates.Options{Root: tree, Artifacts: t.TempDir()})
	assert.NilError(t, err)
	assert.Equal(t, outcome.Record.Verdict, evidence.Unverified)
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "faults.json"))
	assert.NilError(t, err)
	var r report
	assert.NilError(t, json.Unmarshal(raw, &r))
	assert.Equal(t, len(r.Faults), 1)
	assert.Equal(t, r.Caught, 1)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	first := Catalogue()[0].ID
	assert.NilError(t, Options{}.Validate())
	assert.NilError(t, Options{Only: []string{first}, Rows: 10, Jobs: 3, Seed: 7}.Validate())
	for _, bad := range []Options{{Only: []string{"source-every-64th-row-skippd"}}, {Only: []string{"x"}}, {Rows: -1}, {Jobs: -1}} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(bad.Validate(), &usage), "%+v", bad)
	}
	assert.ErrorContains(t, Options{Only: []string{"source-every-64th-row-skippd"}}.Validate(), `did you mean "source-every-64th-row-skipped"?`)
	assert.NilError(t, Gate(Options{}).Validate())
	assert.Assert(t, !Gate(Options{}).Partial)
	assert.Assert(t, !Gate(Options{Rows: 400, Seed: 9, Jobs: 1}).Partial)
	assert.Assert(t, Gate(Options{Only: []string{first}}).Partial)
	assert.Assert(t, Gate(Options{Rows: 401}).Partial)
}

// TestPlan holds that each program that is run is in the plan, once.
func TestPlan(t *testing.T) {
	t.Parallel()
	plan, err := gates.MakePlan(Gate(Options{}), gates.Options{Root: root})
	assert.NilError(t, err)
	commands := plan.Steps[0].Commands
	assert.Equal(t, len(commands), 2*(len(Catalogue())+1))
	assert.Equal(t, commands[0], "CGO_ENABLED=0 go build -trimpath -o $SCRATCH/worker-control ./gates/matrix/worker")
	assert.Equal(t, commands[1], "$SCRATCH/worker-control cases $SCRATCH/control/request.json")
	first := Catalogue()[0].ID
	assert.Equal(t, commands[2], "CGO_ENABLED=0 go build -trimpath -overlay=$SCRATCH/"+first+"/overlay.json -o $SCRATCH/worker-"+first+" ./gates/matrix/worker")
	slices.Sort(commands)
	assert.Equal(t, len(slices.Compact(commands)), 2*(len(Catalogue())+1))
}

// house is a source tree with an engine and a worker that tells whether the engine adds up.
const house = `-- go.mod --
module example.com/house

go 1.26
-- engine/add.go --
package engine

// Add adds.
func Add(a, b int) int { return a + b }
-- gates/matrix/worker/main.go --
package main

import (
	"encoding/json"
	"os"

	"example.com/house/engine"
)

func main() {
	raw, err := os.ReadFile(os.Args[2])
	if err != nil {
		os.Exit(1)
	}
	var request struct {
		Mode, Scratch string
		Rows          int
		Changed       float64
		Deleted       float64
		Seed          int
		Jobs          int
		Cases         []string
	}
	info, err := os.Stat(".")
	if json.Unmarshal(raw, &request) != nil || err != nil || !info.IsDir() || request.Mode != "mock_local" || request.Rows != 400 ||
		request.Changed != 0.2 || request.Deleted != 0.05 || request.Seed != 1 || request.Jobs < 1 || os.Args[1] != "cases" {
		os.Exit(2)
	}
	if info, err := os.Stat(request.Scratch); err != nil || !info.IsDir() {
		os.Exit(3)
	}
	for _, id := range request.Cases {
		if engine.Add(1, 1) == 0 {
			os.Stdout.WriteString("{\n")
			continue
		}
		if engine.Add(2, 2) < 0 {
			os.Exit(4)
		}
		verdict, failed := "PASS", []string{}
		if engine.Add(2, 3) != 5 {
			verdict, failed = "FAIL", []string{"sum"}
		}
		json.NewEncoder(os.Stdout).Encode(map[string]any{"case_id": id, "verdict": verdict, "failed": failed})
	}
}
`

// TestForReal builds real workers with overlays, and carries out their cases.
func TestForReal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds programs")
	}
	plant := func(id, by string) Fault {
		return Fault{ID: id, Area: "source", Doc: "It is wrong.", File: "engine/add.go", Old: "a + b", New: by, Cases: []string{"one", "two"}}
	}
	c := &campaign{opts: Options{}.defaults(), build: build, carry: carry, faults: []Fault{
		plant("a-caught", "a*b"), plant("a-survivor", "b + a"), plant("a-no-program", "a + c"), plant("a-dead", "a - 2*b"),
		plant("a-babbling", "a - b"), plant("a-gone", "a + b"),
	}}
	c.faults[5].Old = "a / b"
	tree := gatetest.Repository(t, house)
	outcome := gatetest.Run(t, c.gate(), gates.Options{Root: tree, Artifacts: t.TempDir()})
	step := gatetest.Step(t, outcome, ID)
	assert.Equal(t, step.Cause, evidence.CauseNone, step.Reason)
	assert.Equal(t, outcome.Record.Verdict, evidence.Fail)
	for subject, want := range map[string]struct {
		verdict evidence.Verdict
		text    string
	}{
		control:        {evidence.Pass, "PASS in 2 cases"},
		"a-caught":     {evidence.Pass, "one (sum); two (sum)"},
		"a-survivor":   {evidence.Fail, "every case is green although: It is wrong."},
		"a-no-program": {evidence.Unverified, "the worker does not build"},
		"a-dead":       {evidence.Unverified, "the worker died"},
		"a-babbling":   {evidence.Unverified, "the worker's answer"},
		"a-gone":       {evidence.Unverified, "adapt the catalogue"},
		ID:             {evidence.Fail, "1 of 6 faults caught, 4 unclear, 16.7 %; survived: a-survivor"},
	} {
		i := slices.IndexFunc(step.Checks, func(c evidence.Check) bool { return c.Subject == subject })
		assert.Assert(t, i >= 0, "%s is not in %+v", subject, step.Checks)
		check := step.Checks[i]
		assert.Equal(t, check.Verdict, want.verdict, "%+v", check)
		assert.Assert(t, strings.Contains(check.Observed+check.Reason, want.text), "%+v", check)
	}
	artifacts(t, outcome.Folder, step, c.faults)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	cases := []string{"b", "a"}
	answers, err := read([]byte(`{"case_id":"a","verdict":"PASS","failed":[]}`+"\n"+`{"case_id":"b","verdict":"FAIL","failed":["x"]}`+"\n"), cases)
	assert.NilError(t, err)
	assert.Equal(t, len(answers), 2)
	assert.Equal(t, answers[0].Case, "b") // in the order that was asked for
	for _, bad := range []string{
		"nothing\n", `{"case_id":"a","verdict":"GREEN"}`, `{"case_id":"c","verdict":"PASS"}`,
		`{"case_id":"a","verdict":"PASS"}` + "\n" + `{"case_id":"a","verdict":"PASS"}`,
	} {
		_, err := read([]byte(bad), cases)
		assert.Assert(t, errors.Is(err, errBroken), "%s: %v", bad, err)
	}
}
