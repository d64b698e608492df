package terminal

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

const (
	testFolder = "test_artifacts/ci/20260102T030405Z-1a2b"
	testDigest = "sha256:9b1f00000000000000000000000000000000000000000000000000000000e27c"
	testCommit = "3f9c2ab000000000000000000000000000000000"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// stream builds the events of a run with times of its own.
type stream struct {
	now    time.Time
	events []gates.Event
	record evidence.Record
}

func newStream(target string, steps ...string) *stream {
	s := &stream{now: began}
	s.record.Stable = evidence.Stable{
		Gate:       evidence.Gate{ID: target, Doc: "The tree is sound.", Runbook: "docs/runbooks.md#" + target},
		Invocation: evidence.Invocation{Target: target, Command: "mage " + target, Options: json.RawMessage("{}")},
		Source:     evidence.Source{Commit: testCommit},
		Environment: evidence.Environment{
			OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{},
		},
		Inputs: []evidence.File{}, Outputs: []evidence.File{}, Warnings: []string{}, Skips: []evidence.Skipping{}, Blockers: []evidence.Blocker{},
		Steps: []evidence.Step{{
			ID: "source", Doc: "It can be told what the evidence is about.", Runbook: "docs/runbooks.md#source",
			Needs: []string{}, Commands: []string{}, Reproduce: "git status",
			Checks: []evidence.Check{evidence.Expect("source.commit", "HEAD", true, testCommit, "a commit", "")},
		}},
	}
	s.record.Volatile = evidence.Volatile{Run: "20260102T030405Z-1a2b", Started: began, CI: evidence.CI{Provider: "local"}}
	s.add(gates.Event{Kind: gates.EventRunStarted, Start: &gates.RunStart{
		Target: target, Command: "mage " + target, Steps: steps, Go: "go1.26.8", Source: s.record.Stable.Source, Jobs: 2,
	}})
	return s
}

func (s *stream) add(e gates.Event) {
	e.Time = s.now
	s.events = append(s.events, e)
}

func (s *stream) start(id string) { s.add(gates.Event{Kind: gates.EventStepStarted, Step: id}) }

func (s *stream) progress(id string, done, total int, text string) {
	s.add(gates.Event{Kind: gates.EventStepProgress, Step: id, Progress: &gates.Progress{Done: done, Total: total, Text: text}})
}

// pass lets time pass, with ticks: sparse ones in a long time, which would
// only make golden files longer.
func (s *stream) pass(d time.Duration) {
	tick := 100 * time.Millisecond
	if d > time.Second {
		tick = time.Second
	}
	for ; d > 0; d -= tick {
		s.now = s.now.Add(tick)
		s.add(gates.Event{Kind: gates.EventTick})
	}
}

func (s *stream) finish(id string, took time.Duration, fact, output string, change func(*evidence.Step)) {
	step := evidence.Step{
		ID: id, Doc: "It is sound.", Runbook: "docs/runbooks.md#" + strings.ReplaceAll(id, ":", "-"),
		Needs: []string{}, Commands: []string{}, Reproduce: "mage " + id,
		Checks: []evidence.Check{evidence.Expect("test.it", id, true, "sound", "sound", "")},
	}
	if change != nil {
		change(&step)
	}
	step.Verdict = step.Derive()
	run := evidence.StepRun{ID: id, DurationMS: took.Milliseconds(), Fact: fact}
	s.record.Stable.Steps = append(s.record.Stable.Steps, step)
	s.record.Volatile.Steps = append(s.record.Volatile.Steps, run)
	s.add(gates.Event{Kind: gates.EventStepFinished, Step: id, Finish: &gates.StepFinish{Step: step, Run: run, Output: output}})
}

func (s *stream) end(t testing.TB, change func(*gates.RunEnd)) []gates.Event {
	t.Helper()
	s.record.Volatile.Finished = s.now
	s.record.Volatile.DurationMS = s.now.Sub(began).Milliseconds()
	// As the runner does, whose redactor leaves no broken text in a record.
	raw, err := json.Marshal(s.record)
	assert.NilError(t, err)
	s.record = evidence.Record{}
	assert.NilError(t, json.Unmarshal(raw, &s.record))
	assert.NilError(t, s.record.Seal())
	end := &gates.RunEnd{Record: &s.record, Folder: testFolder, IndexDigest: testDigest}
	if change != nil {
		change(end)
	}
	s.add(gates.Event{Kind: gates.EventRunFinished, End: end})
	return s.events
}

func checks(list ...evidence.Check) func(*evidence.Step) {
	return func(step *evidence.Step) { step.Checks = list }
}

func cause(c evidence.Cause, reason string) func(*evidence.Step) {
	return func(step *evidence.Step) { step.Checks, step.Cause, step.Reason = []evidence.Check{}, c, reason }
}

func findings(n int) func(*evidence.Step) {
	return func(step *evidence.Step) {
		step.Checks = nil
		for i := range n {
			step.Checks = append(step.Checks, evidence.Finding("lint.errcheck", "gates/run.go", i+1, "error is dropped", "return it"))
		}
	}
}

func greenRun(t testing.TB) []gates.Event {
	s := newStream("ci", "ci:format", "ci:test", "ci:docs")
	s.start("ci:format")
	s.start("ci:test")
	s.pass(100 * time.Millisecond)
	s.finish("ci:format", 90*time.Millisecond, "412 files", "", nil)
	s.pass(300 * time.Millisecond)
	s.progress("ci:test", 59, 240, "0 failed")
	s.pass(24 * time.Second)
	s.progress("ci:test", 239, 240, "0 failed")
	s.pass(37 * time.Second)
	s.finish("ci:test", 61200*time.Millisecond, "1204 tests, coverage 87.3% (min 85.0)", "ok  \texample.org/a\t0.1s\nok  \texample.org/b\t0.2s", nil)
	s.start("ci:docs")
	s.finish("ci:docs", 10*time.Millisecond, "38 pages, 412 links", "", nil)
	return s.end(t, nil)
}

func redRun(t testing.TB) []gates.Event {
	s := newStream("ci", "ci:format", "ci:docs", "ci:lint", "ci:build")
	s.record.Stable.Source.Dirty = true
	s.events[0].Start.Source.Dirty = true
	s.record.Stable.Warnings = []string{"the working tree differs from the commit; the evidence is about both"}
	s.record.Stable.Skips = []evidence.Skipping{{Subject: "docs.link https://example.org", Reason: "there is no network"}}
	s.start("ci:format")
	s.finish("ci:format", 90*time.Millisecond, "412 files", "", nil)
	s.start("ci:docs")
	s.start("ci:lint")
	s.pass(time.Second)
	s.finish("ci:docs", time.Second, "2 broken links in 38 pages", "", checks(
		evidence.Finding("docs.link", "docs/workflows.md", 42, `anchor "#relase" is not in docs/release.md`, `did you mean "#release"?`),
		evidence.Finding("docs.link", "docs/runbooks.md", 7, `file "cert.md" does not exist`, ""),
	))
	s.finish("ci:lint", time.Second, "", "gates/run.go:1:2: error is dropped\nexit status 1", findings(12))
	s.finish("ci:build", 0, "", "", cause(evidence.CauseBlocked, "ci:lint is FAIL"))
	return s.end(t, nil)
}

func unverifiedRun(t testing.TB) []gates.Event {
	s := newStream("ci", "ci:lint", "ci:secrets")
	s.record.Stable.Source = evidence.Source{}
	s.events[0].Start.Source = evidence.Source{}
	s.record.Stable.Steps[0].Checks = []evidence.Check{
		evidence.CouldNotTell("source.commit", "HEAD", "a commit", "this is not a git repository", "run the gate in a git repository with a commit"),
	}
	s.start("ci:lint")
	s.pass(500 * time.Millisecond)
	s.finish("ci:lint", 500*time.Millisecond, "", "no space left", cause(evidence.CauseBroken, "golangci-lint could not be built: the disk took no more, so that there is nothing to run"))
	s.finish("ci:secrets", 0, "", "", checks(evidence.CouldNotTell("secret.scan", "history", "whole history", "the clone is shallow", "git fetch --unshallow")))
	return s.end(t, func(end *gates.RunEnd) {
		end.Trouble = "write record.json: no space left on device\nnor elsewhere: permission denied"
		end.Folder, end.IndexDigest = "", ""
	})
}

func interruptedRun(t testing.TB) []gates.Event {
	s := newStream("ci", "ci:format", "ci:test", "ci:build", "ci:docs")
	s.record.Stable.Partial = true
	s.record.Stable.Skips = []evidence.Skipping{{Subject: "ci:docs", Reason: "left out by request"}}
	s.record.Volatile.Notes = []string{"the evidence is in /var/tmp/dpone instead"}
	s.finish("ci:docs", 0, "", "", cause(evidence.CauseLeftOut, "left out by request"))
	s.start("ci:format")
	s.finish("ci:format", 90*time.Millisecond, "412 files", "", nil)
	s.start("ci:test")
	s.pass(12 * time.Second)
	s.finish("ci:build", 0, "", "", cause(evidence.CauseInterrupted, "stopped by SIGINT"))
	s.finish("ci:test", 12*time.Second, "", "=== RUN TestSlow", cause(evidence.CauseInterrupted, "stopped by SIGINT"))
	return s.end(t, nil)
}

// show runs events through a printer.
func show(t testing.TB, o Options, events []gates.Event) string {
	t.Helper()
	var out strings.Builder
	o.Out = &out
	p := New(o)
	for _, e := range events {
		p.Handle(e)
	}
	assert.NilError(t, p.Err())
	return out.String()
}

// single is a run with one red step with these checks.
func single(t testing.TB, output string, list ...evidence.Check) []gates.Event {
	t.Helper()
	s := newStream("ci", "ci:lint")
	s.start("ci:lint")
	s.finish("ci:lint", time.Second, "", output, checks(list...))
	return s.end(t, nil)
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }

func numbered(format string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i+1)
	}
	return list
}
