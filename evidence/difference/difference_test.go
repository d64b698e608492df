package difference_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
)

// record is sealed and has something in every part.
func record(t testing.TB, changes ...func(*evidence.Record)) *evidence.Record {
	t.Helper()
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	r := &evidence.Record{
		Stable: evidence.Stable{
			Gate:       evidence.Gate{ID: "ci", Doc: "All is well.", Runbook: "docs/runbooks.md#ci"},
			Invocation: evidence.Invocation{Target: "ci", Command: "mage ci -j=2", Options: json.RawMessage(`{"tags":"mage","list":[{"a":1},2]}`)},
			Source:     evidence.Source{Commit: strings.Repeat("a", 40)},
			Environment: evidence.Environment{OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{
				{Name: "gofumpt", Version: "v0.12.0"}, {Name: "golangci-lint", Version: "v2.15.0"},
			}},
			Inputs: []evidence.File{{Path: "a/go.mod", Size: 1, SHA256: "1"}, {Path: "go.mod", Size: 12, SHA256: "2"}},
			Steps: []evidence.Step{
				{ID: "ci:format", Commands: []string{"gofumpt -l ."}, Checks: []evidence.Check{
					evidence.Finding("ci.format", "a/b.go", 3, "not formatted", "gofumpt -w a/b.go"),
					evidence.Expect("ci.files", "./...", true, "412", "412", ""),
				}},
				{ID: "ci:vet", Checks: []evidence.Check{evidence.Expect("ci.vet", "./...", true, "0 findings", "0 findings", "")}},
			},
			Outputs:  []evidence.File{{Path: "bin", Size: 9, SHA256: "3"}},
			Warnings: []string{"one", "two"}, Skips: []evidence.Skipping{{Subject: "x", Reason: "y"}},
			Blockers: []evidence.Blocker{{ID: "ci.format", Reason: "not formatted"}},
		},
		Volatile: evidence.Volatile{
			Run: "r", Started: at, Finished: at.Add(time.Second), DurationMS: 1000, Host: evidence.Host{Name: "h", CPUs: 2}, CI: evidence.CI{Provider: "local"},
			Circumstances: []evidence.NameValue{{Name: "SEED", Value: "1"}},
			Steps:         []evidence.StepRun{{ID: "ci:format", DurationMS: 10}, {ID: "ci:vet", DurationMS: 10}},
			Measurements:  []evidence.Measurement{{Step: "ci:vet", Code: "c", Subject: "s", Value: "87.3%"}},
		},
	}
	for _, change := range changes {
		change(r)
	}
	assert.NilError(t, r.Seal())
	return r
}

func between(t testing.TB, a, b *evidence.Record) difference.Report {
	t.Helper()
	r, err := difference.Between(a, b)
	assert.NilError(t, err)
	// Whatever differs is found, and nothing is found where nothing differs.
	assert.Equal(t, r.Same, r.Count() == 0)
	back, err := difference.Between(b, a)
	assert.NilError(t, err)
	assert.Equal(t, back.Count(), r.Count(), "it is the same from the other side")
	return r
}

// lines are the differences as "group path a b".
func lines(r difference.Report) []string {
	out := []string{}
	show := func(raw json.RawMessage) string {
		if raw == nil {
			return "nothing"
		}
		return string(raw)
	}
	for _, g := range r.Groups {
		for _, d := range g.Differences {
			out = append(out, strings.Join([]string{g.Name, d.Path, show(d.A), show(d.B)}, " | "))
		}
	}
	return out
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	s := func(change func(*evidence.Stable)) func(*evidence.Record) {
		return func(r *evidence.Record) { change(&r.Stable) }
	}
	for name, c := range map[string]struct {
		change func(*evidence.Record)
		want   []string
	}{
		"nothing":    {func(*evidence.Record) {}, []string{}},
		"the commit": {s(func(x *evidence.Stable) { x.Source.Commit = "b" }), []string{`source | /source/commit | "` + strings.Repeat("a", 40) + `" | "b"`}},
		"a dirty tree": {s(func(x *evidence.Stable) { x.Source.Dirty, x.Source.DirtyDigest = true, "d" }), []string{
			`source | /source/dirty | false | true`, `source | /source/dirty_digest | nothing | "d"`,
		}},
		"Go":          {s(func(x *evidence.Stable) { x.Environment.Go = "go1.27.0" }), []string{`environment | /environment/go | "go1.26.8" | "go1.27.0"`}},
		"a tool":      {s(func(x *evidence.Stable) { x.Environment.Tools[1].Version = "v3" }), []string{`tools | /environment/tools/golangci-lint/version | "v2.15.0" | "v3"`}},
		"a tool gone": {s(func(x *evidence.Stable) { x.Environment.Tools = x.Environment.Tools[1:] }), []string{`tools | /environment/tools/gofumpt | {"name":"gofumpt","sha256":"","version":"v0.12.0"} | nothing`}},
		"tools in turn": {s(func(x *evidence.Stable) {
			x.Environment.Tools[0], x.Environment.Tools[1] = x.Environment.Tools[1], x.Environment.Tools[0]
		}), []string{`tools | /environment/tools | ["gofumpt","golangci-lint"] | ["golangci-lint","gofumpt"]`}},
		"an input":    {s(func(x *evidence.Stable) { x.Inputs[0].Size = 2 }), []string{`inputs | /inputs/a~1go.mod/size | 1 | 2`}},
		"an output":   {s(func(x *evidence.Stable) { x.Outputs[0].SHA256 = "4" }), []string{`outputs | /outputs/bin/sha256 | "3" | "4"`}},
		"no outputs":  {s(func(x *evidence.Stable) { x.Outputs = nil }), []string{`outputs | /outputs | [{"path":"bin","sha256":"3","size":9}] | null`}},
		"the command": {s(func(x *evidence.Stable) { x.Invocation.Command = "mage ci" }), []string{`invocation | /invocation/command | "mage ci -j=2" | "mage ci"`}},
		"partial":     {s(func(x *evidence.Stable) { x.Partial = true }), []string{`invocation | /partial | false | true`}},
		"an option": {s(func(x *evidence.Stable) {
			x.Invocation.Options = json.RawMessage(`{"tags":"mage","list":[{"a":1.0},2],"b":{}}`)
		}), []string{`invocation | /invocation/options/list/0/a | 1 | 1.0`, `invocation | /invocation/options/b | nothing | {}`}},
		"options' order": {s(func(x *evidence.Stable) { x.Invocation.Options = json.RawMessage(`{"list":[{"a":1},2],"tags":"mage"}`) }), []string{`invocation | /invocation/options | {"tags":"mage","list":[{"a":1},2]} | {"list":[{"a":1},2],"tags":"mage"}`}},
		"the gate's doc": {s(func(x *evidence.Stable) { x.Gate.Doc = "So." }), []string{`gate | /gate/doc | "All is well." | "So."`}},
		"what was observed": {s(func(x *evidence.Stable) { x.Steps[1].Checks[0].Observed = "1 <finding>" }), []string{
			`checks | /steps/ci:vet/checks/ci.vet .~1.../observed | "0 findings" | "1 <finding>"`,
		}},
		"a check that fails": {s(func(x *evidence.Stable) {
			x.Steps[1].Checks[0] = evidence.Expect("ci.vet", "./...", false, "1 finding", "0 findings", "")
		}), []string{
			`checks | /steps/ci:vet/checks/ci.vet .~1.../observed | "0 findings" | "1 finding"`,
			`checks | /steps/ci:vet/checks/ci.vet .~1.../verdict | "PASS" | "FAIL"`,
			`consequences | /steps/ci:vet/verdict | "PASS" | "FAIL"`,
		}},
		"one more finding of the same": {s(func(x *evidence.Stable) { x.Steps[0].Checks = append(x.Steps[0].Checks, x.Steps[0].Checks[0]) }), []string{
			`checks only in one | /steps/ci:format/checks/ci.format a~1b.go:3#2 | nothing | {"code":"ci.format","expected":"no finding","fix":"gofumpt -w a/b.go","line":3,"observed":"not formatted","path":"a/b.go","subject":"a/b.go:3","verdict":"FAIL"}`,
		}},
		"a check before": {s(func(x *evidence.Stable) { x.Steps[0].Checks = x.Steps[0].Checks[1:] }), []string{
			`checks only in one | /steps/ci:format/checks/ci.format a~1b.go:3 | {"code":"ci.format","expected":"no finding","fix":"gofumpt -w a/b.go","line":3,"observed":"not formatted","path":"a/b.go","subject":"a/b.go:3","verdict":"FAIL"} | nothing`,
			`consequences | /steps/ci:format/verdict | "FAIL" | "PASS"`,
			`consequences | /verdict | "FAIL" | "PASS"`,
		}},
		"a step's command": {s(func(x *evidence.Stable) { x.Steps[0].Commands = []string{"true", "gofumpt -l ."} }), []string{`steps | /steps/ci:format/commands/0 | nothing | "true"`}},
		"a step's cause": {s(func(x *evidence.Stable) { x.Steps[1].Cause, x.Steps[1].Reason = evidence.CauseTimeout, "late" }), []string{
			`steps | /steps/ci:vet/cause | nothing | "timeout"`, `steps | /steps/ci:vet/reason | nothing | "late"`,
			`consequences | /steps/ci:vet/verdict | "PASS" | "UNVERIFIED"`,
		}},
		"steps in turn": {s(func(x *evidence.Stable) { x.Steps[0], x.Steps[1] = x.Steps[1], x.Steps[0] }), []string{`steps | /steps | ["ci:format","ci:vet"] | ["ci:vet","ci:format"]`}},
		"warnings":      {s(func(x *evidence.Stable) { x.Warnings = []string{"two", "two"} }), []string{`remarks | /warnings/0 | "one" | nothing`, `remarks | /warnings/1 | nothing | "two"`}},
		"a skip":        {s(func(x *evidence.Stable) { x.Skips[0].Reason = "z" }), []string{`remarks | /skips/x/reason | "y" | "z"`}},
		"a blocker":     {s(func(x *evidence.Stable) { x.Blockers[0].Reason = "z" }), []string{`consequences | /blockers/ci.format/reason | "not formatted" | "z"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.DeepEqual(t, lines(between(t, record(t), record(t, c.change))), c.want)
		})
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	r := between(t, record(t), record(t, func(r *evidence.Record) {
		r.Stable.Steps = append(r.Stable.Steps[1:], evidence.Step{ID: "ci:build"})
	}))
	text := ""
	for _, p := range r.Steps {
		for _, v := range []*evidence.Verdict{p.A, p.B} {
			if v == nil {
				text += p.ID + " - "
			} else {
				text += p.ID + " " + v.String() + " "
			}
		}
	}
	assert.Equal(t, text, "ci:format FAIL ci:format - ci:vet PASS ci:vet PASS ci:build - ci:build UNVERIFIED ")
	assert.Equal(t, len(r.Group(difference.Steps)), 2)
	assert.Assert(t, r.Group("no such") == nil)
}

// Circumstances are told apart, also when the records are the same.
func TestCircumstances(t *testing.T) {
	t.Parallel()
	r := between(t, record(t), record(t, func(r *evidence.Record) {
		r.Volatile.DurationMS, r.Volatile.Host.Name = 5, "elsewhere"
		r.Volatile.Steps[1].DurationMS = 11
		r.Volatile.Measurements[0].Value = "90.0%"
	}))
	assert.Assert(t, r.Same)
	var paths []string
	for _, d := range r.Circumstances {
		paths = append(paths, d.Path)
	}
	assert.DeepEqual(t, paths, []string{
		"/volatile/duration_ms", "/volatile/host/name", "/volatile/measurements/ci:vet c s/value", "/volatile/steps/ci:vet/duration_ms",
	})
	assert.Equal(t, r.A.Run, "r")
	assert.Equal(t, r.B.StableDigest, r.A.StableDigest)
}

// FuzzBetween holds that any change of the stable part is told.
func FuzzBetween(f *testing.F) {
	f.Add("ci.vet", "./...", "x", `{"a":[1,{"b":null}]}`, 3)
	f.Add("", "", "#2", `[]`, -1)
	f.Fuzz(func(t *testing.T, code, subject, text, options string, n int) {
		other := record(t)
		s := &other.Stable
		s.Steps[0].Checks = append(s.Steps[0].Checks, evidence.Expect(code, subject, n > 0, text, options, text))
		s.Inputs[0].Path, s.Inputs[1].Path = text, subject
		s.Warnings = append(s.Warnings, text, subject, code)
		s.Outputs = s.Outputs[:n&1]
		if json.Valid([]byte(options)) {
			s.Invocation.Options = json.RawMessage(options)
		}
		if other.Seal() != nil {
			return
		}
		between(t, record(t), other)
		between(t, other, other)
	})
}
