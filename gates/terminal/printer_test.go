package terminal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

func TestForms(t *testing.T) {
	forms := []struct {
		name    string
		options Options
	}{
		{"tty", Options{Mode: TTY, Width: 76}},
		{"tty-colour", Options{Mode: TTY, Colour: true, Width: 76}},
		{"plain", Options{Mode: Plain}},
		{"github", Options{Mode: GitHub, Colour: true, StopToken: "0123456789abcdef"}},
		{"json", Options{Mode: JSON}},
	}
	runs := []struct {
		name   string
		events []gates.Event
	}{{"green", greenRun(t)}, {"red", redRun(t)}, {"unverified", unverifiedRun(t)}, {"interrupted", interruptedRun(t)}}
	for _, run := range runs {
		for _, form := range forms {
			t.Run(run.name+"/"+form.name, func(t *testing.T) {
				out := show(t, form.options, run.events)
				// What is drawn over is not text: the golden file has it a line each, visibly.
				out = strings.NewReplacer("\r", "\n^M", "\x1b", "^[").Replace(out)
				golden.Assert(t, out, run.name+"."+form.name+".txt")
			})
		}
		t.Run(run.name+"/summary", func(t *testing.T) {
			var summary bytes.Buffer
			show(t, Options{Mode: GitHub, Summary: &summary}, run.events)
			golden.Assert(t, summary.String(), run.name+".summary.md")
		})
	}
}

func TestPlainIsASCII(t *testing.T) {
	for _, events := range [][]gates.Event{greenRun(t), redRun(t), unverifiedRun(t), interruptedRun(t)} {
		for _, r := range show(t, Options{Mode: Plain, Colour: true}, events) {
			assert.Assert(t, r == '\n' || r == '\t' || r >= ' ' && r <= '~', "%q", r)
		}
	}
}

func TestReplayShowsTheSame(t *testing.T) {
	for _, events := range [][]gates.Event{greenRun(t), redRun(t), unverifiedRun(t), interruptedRun(t)} {
		recorded := show(t, Options{Mode: JSON}, events)
		for _, o := range []Options{{Mode: Plain}, {Mode: GitHub, Colour: true, StopToken: "0123456789abcdef"}, {Mode: JSON}} {
			var again []gates.Event
			assert.NilError(t, Replay(strings.NewReader(recorded), func(e gates.Event) { again = append(again, e) }))
			assert.Equal(t, show(t, o, again), show(t, o, events))
		}
	}
}

func TestRecordedTextIsNotObeyed(t *testing.T) {
	hostile := "\x1b[2J \u009b2J \u202e \u2028 \x7f \xff \ufffd <&> é 漢 \U0001f600 \U000e0001 \x00 \t\r\n"
	events := single(t, hostile, evidence.Finding("a.b", "a.go", 1, hostile, hostile))
	recorded := show(t, Options{Mode: JSON}, events)
	for _, r := range recorded {
		assert.Assert(t, r == '\n' || r >= ' ' && r != '\x7f' && (r < '\x80' || r > '\x9f') && r != '\u202e' && r != '\u2028', "%q", r)
	}
	var again []gates.Event
	assert.NilError(t, Replay(strings.NewReader(recorded), func(e gates.Event) { again = append(again, e) }))
	assert.Equal(t, show(t, Options{Mode: JSON}, again), recorded)
	assert.Equal(t, again[2].Finish.Output, strings.ToValidUTF8(hostile, "\ufffd"))
}

func TestReplayRefuses(t *testing.T) {
	const good = `{"event":"step_started","time":"2026-01-02T03:04:05Z","step":"ci:test"}`
	for name, test := range map[string]struct{ in, want string }{
		"no JSON":     {good + "\nx", "line 2: invalid character"},
		"empty line":  {good + "\n\n" + good, "line 2: it is empty"},
		"cut off":     {good[:20], "line 1: unexpected EOF"},
		"unknown key": {strings.Replace(good, "{", `{"x":1,`, 1), `unknown field "x"`},
		"other case":  {strings.Replace(good, "event", "Event", 1), "not what an event writer writes"},
		"doubled key": {strings.Replace(good, "{", `{"event":"tick",`, 1), "not what an event writer writes"},
		"trailing":    {good + good, "not what an event writer writes"},
		"kind":        {strings.Replace(good, "step_started", "tick", 1), `event "tick" is not one`},
		"long line":   {good + "\n" + strings.Repeat(" ", maxEvent+1), "line 2: longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, Replay(strings.NewReader(test.in), func(gates.Event) {}), test.want)
		})
	}
	// A verdict that does not follow from the checks is not shown again.
	recorded := show(t, Options{Mode: JSON}, redRun(t))
	forged := strings.ReplaceAll(recorded, `"verdict":"FAIL"`, `"verdict":"PASS"`)
	assert.Assert(t, forged != recorded)
	assert.ErrorContains(t, Replay(strings.NewReader(forged), func(gates.Event) {}), "does not follow from")
	broken := errors.New("broken pipe")
	assert.ErrorIs(t, Replay(failing{broken}, func(gates.Event) {}), broken)
	assert.NilError(t, Replay(strings.NewReader(good), func(gates.Event) {}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestErrRemembersTheFirst(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, mode := range []Mode{TTY, Plain, GitHub, JSON} {
		p := New(Options{Out: failing{broken}, Mode: mode})
		for _, e := range greenRun(t) {
			p.Handle(e)
		}
		assert.ErrorIs(t, p.Err(), broken)
		assert.Error(t, p.Err(), "output: broken pipe")
	}
}

// An event that could not be cleaned of secrets has no content.
func TestEventsWithoutContent(t *testing.T) {
	for _, mode := range []Mode{TTY, Plain, GitHub, JSON} {
		var summary bytes.Buffer
		out := show(t, Options{Mode: mode, Summary: &summary}, []gates.Event{
			{Kind: gates.EventTick, Time: began},
			{Kind: gates.EventStepProgress, Step: "nobody"},
			{Kind: gates.EventRunStarted, Time: began},
			{Kind: gates.EventStepStarted, Time: began, Step: "ci:test"},
			{Kind: gates.EventStepProgress, Time: began, Step: "ci:test"},
			{Kind: gates.EventStepFinished, Time: began, Step: "ci:test"},
			{Kind: gates.EventRunFinished, Time: began},
		})
		assert.Assert(t, cmp.Contains(summary.String(), "# UNVERIFIED: trouble with the evidence\n\n    how the run ended could not be shown\n"))
		if mode != JSON {
			assert.Assert(t, cmp.Contains(out, "how the step ended could not be shown"))
			assert.Assert(t, cmp.Contains(out, "no evidence was written"))
		}
	}
}

func TestTroubleIsNeverPass(t *testing.T) {
	events := greenRun(t)
	events[len(events)-1].End.Trouble = "no space left on device"
	out := show(t, Options{Mode: Plain}, events)
	assert.Assert(t, cmp.Contains(out, "\nUNVERIFIED  mage ci  3 passed in 1m01s\n"))
	assert.Assert(t, cmp.Contains(out, "TROUBLE with the evidence: no space left on device\n"))
}

func TestHugeOutputIsCut(t *testing.T) {
	for _, output := range []string{strings.Join(numbered("line %d", 20_000), "\n"), strings.Repeat("x", 1<<18)} {
		for _, mode := range []Mode{TTY, Plain, GitHub} {
			out := show(t, Options{Mode: mode, StopToken: "0123456789abcdef"}, single(t, output, evidence.Finding("a.b", "a.go", 1, strings.Repeat("y", 1<<16), strings.Repeat("z\n", 1<<16))))
			assert.Assert(t, len(out) < 32<<10, "%s: %d bytes", mode, len(out))
			assert.Assert(t, len(lines(out)) < 40+20)
		}
	}
}

func TestTextFromOutsideStaysText(t *testing.T) {
	const hostile = "a\n::error::x\r\x1b]0;title\x07\x1b[31mred\x1b[0m\u009b2J%0A::add-mask::y ##[error]z"
	step := func(s *evidence.Step) {
		s.Checks = []evidence.Check{
			{Code: hostile, Subject: hostile, Path: hostile, Line: 1, Observed: hostile, Expected: hostile, Verdict: evidence.Fail, Fix: hostile},
			evidence.CouldNotTell("::error::", "::error::x", "##[error]", "::error::x", "::error::x"),
		}
		s.Reproduce, s.Runbook = hostile, hostile
	}
	s := newStream(hostile, hostile)
	s.events[0].Start.Go, s.events[0].Start.Source.Commit = hostile, hostile
	s.record.Stable.Warnings, s.record.Volatile.Notes = []string{hostile}, []string{hostile}
	s.record.Stable.Skips = []evidence.Skipping{{Subject: hostile, Reason: hostile}}
	s.start(hostile)
	s.progress(hostile, 1, 0, hostile)
	s.pass(11 * time.Second)
	s.finish(hostile, time.Second, hostile, hostile, step)
	s.finish("::error::b", 0, "", hostile, cause(evidence.CauseBroken, hostile))
	events := s.end(t, func(end *gates.RunEnd) {
		end.Folder, end.IndexDigest, end.Trouble, end.Kept = hostile, hostile, hostile, []string{hostile}
	})
	for _, mode := range []Mode{TTY, Plain, GitHub} {
		for _, token := range []string{"", "0123456789abcdef"} {
			var summary bytes.Buffer
			out := show(t, Options{Mode: mode, StopToken: token, Width: 100, Summary: &summary}, events)
			if mode == TTY {
				out = strings.ReplaceAll(out, clearLine, "\n")
			}
			for _, text := range []string{out, summary.String()} {
				assert.Assert(t, !strings.ContainsAny(text, "\r\x1b\a\u009b"), "%q", text)
			}
			if mode != GitHub {
				continue
			}
			for _, command := range commands(out) {
				assert.Assert(t, ours.MatchString(command), command)
			}
		}
	}
}

// A program cannot know the token; if it does, its output is escaped as well.
func TestStopTokenInOutput(t *testing.T) {
	out := show(t, Options{Mode: GitHub, StopToken: "abcdef"}, single(t, "::ABCDEF::\n::error::x", evidence.Finding("a.b", "a.go", 1, "x", "")))
	assert.Assert(t, cmp.Contains(out, "\n    \\::ABCDEF::\n    \\::error::x\n"))
	for _, command := range commands(out) {
		assert.Assert(t, ours.MatchString(command), command)
	}
}

var ours = regexp.MustCompile(`^\s*::(group::|endgroup::|stop-commands::|0123456789abcdef::|error (file=|title=)|warning (file=|title=))`)

// commands reads a log as the runner does: "::" after white space, "##["
// anywhere, nothing while commands are stopped.
func commands(log string) []string {
	var found []string
	stopped := ""
	for _, line := range lines(log) {
		trimmed := strings.TrimSpace(line)
		if stopped != "" {
			if strings.HasPrefix(strings.ToLower(trimmed), strings.ToLower("::"+stopped+"::")) {
				stopped = ""
			}
			continue
		}
		command := strings.HasPrefix(trimmed, "::")
		if command || strings.Contains(line, "##[") {
			found = append(found, line)
		}
		if token, ok := strings.CutPrefix(trimmed, "::stop-commands::"); ok {
			stopped = token
		}
	}
	return found
}

func TestAnnotationBudget(t *testing.T) {
	s := newStream("ci", "ci:lint", "ci:docs", "ci:test", "ci:tool")
	s.finish("ci:lint", time.Second, "", "", findings(300))
	s.finish("ci:docs", time.Second, "", "", checks(evidence.Finding("docs.link", "docs/a,b:c.md", 0, "100%", "")))
	s.finish("ci:test", time.Second, "", "", checks(evidence.Finding("test.case", "../outside.go", 3, "x", ""), evidence.Expect("test.count", "tests", false, "0", "some", "")))
	s.finish("ci:tool", time.Second, "", "", cause(evidence.CauseBroken, "gone"))
	events := s.end(t, nil)
	// Two runs in one process share the budget.
	out := show(t, Options{Mode: GitHub, StopToken: "0123456789abcdef"}, append(events, events...))
	var errs, warnings []string
	for _, command := range commands(out) {
		switch {
		case strings.HasPrefix(command, "::error "):
			errs = append(errs, command)
		case strings.HasPrefix(command, "::warning "):
			warnings = append(warnings, command)
		}
	}
	assert.Equal(t, len(errs), 10)
	assert.Equal(t, errs[0], "::error file=gates/run.go,line=1,title=ci%3Alint lint.errcheck::gates/run.go:1  error is dropped  [lint.errcheck]%0A→ return it")
	assert.Equal(t, errs[1], "::error file=docs/a%2Cb%3Ac.md,title=ci%3Adocs docs.link::docs/a,b:c.md  100%25  [docs.link]")
	assert.Equal(t, errs[2], "::error title=ci%3Atest test.case::../outside.go:3  x  [test.case]")
	assert.Equal(t, errs[4], "::error title=ci%3Atest test.count::tests  0, expected some  [test.count]")
	assert.DeepEqual(t, warnings, []string{
		"::warning title=UNVERIFIED ci%3Atool::broken: gone", "::warning title=UNVERIFIED ci%3Atool::broken: gone",
	})
}

func TestSummaryIsCutBelowTheLimit(t *testing.T) {
	s := newStream("ci", "ci:lint")
	for i := range 110 {
		s.finish("ci:lint"+strings.Repeat("x", i), time.Second, "", "", checks(evidence.Finding("a.b", "a.go", 1, strings.Repeat("long ", 2000), "")))
	}
	events := s.end(t, nil)
	end := events[len(events)-1:] // only the end writes the page
	for _, used := range []int64{0, 900_000, maxSummary - 10, maxSummary + 10} {
		var summary bytes.Buffer
		show(t, Options{Mode: GitHub, Summary: &summary, SummaryUsed: used}, append(end, end...))
		assert.Assert(t, int64(summary.Len()) <= max(0, maxSummary-used), "%d", summary.Len())
		if used < maxSummary-10 {
			assert.Assert(t, strings.HasSuffix(summary.String(), "The page was cut here: GitHub takes no more. All of it is in `"+testFolder+"/record.md`.\n"))
			assert.Assert(t, int64(summary.Len())+used > maxSummary-20_000)
		}
	}
	assert.Equal(t, fit("ab\ncd\nef", 6, "!"), "ab\n!")
	assert.Equal(t, fit("ab\ncd\n", 6, "!"), "ab\ncd\n")
}

var sequences = regexp.MustCompile("\x1b\\[[0-9;]*[mK]")

func TestLiveLineFits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "a", "ci:test", "漢字漢字漢字", "\x1b[2J\n\r\t", "😀😀😀", strings.Repeat("long ", 50), "⌚✨é\u0301"}
	pick := func() string { return texts[random.IntN(len(texts))] }
	for range 300 {
		width := 1 + random.IntN(120)
		var out bytes.Buffer
		p := New(Options{Out: &out, Mode: TTY, Colour: random.IntN(2) == 0, Width: width})
		now, drawn := began, []time.Time{}
		p.Handle(gates.Event{Kind: gates.EventRunStarted, Time: now, Start: &gates.RunStart{Target: "ci", Steps: []string{"ci:test"}}})
		for range 60 {
			now = now.Add(time.Duration(random.IntN(250)) * time.Millisecond)
			e := gates.Event{Kind: gates.EventTick, Time: now, Step: pick()}
			switch random.IntN(6) {
			case 0:
				e.Kind = gates.EventStepStarted
			case 1:
				e.Kind = gates.EventStepFinished
			case 2:
				e.Kind = gates.EventStepProgress
				e.Progress = &gates.Progress{Done: random.IntN(99) - 9, Total: random.IntN(50) - 9, Text: pick()}
			}
			out.Reset()
			p.Handle(e)
			if e.Kind != gates.EventTick || out.Len() == 0 {
				continue
			}
			live, ok := strings.CutPrefix(out.String(), clearLine)
			assert.Assert(t, ok, "%q", out.String())
			live = sequences.ReplaceAllString(live, "")
			assert.Assert(t, columns(live) < max(2, width), "%d columns, width %d: %q", columns(live), width, live)
			assert.Assert(t, !strings.ContainsAny(live, "\x1b\r\n\t"), "%q", live)
			drawn = append(drawn, now)
		}
		for i := 10; i < len(drawn); i++ {
			assert.Assert(t, drawn[i].Sub(drawn[i-10]) > 900*time.Millisecond, "more than 10 Hz")
		}
	}
}

// A silence without ticks, such as a machine that slept, ends in few lines.
func TestCountersAfterLongSilence(t *testing.T) {
	s := newStream("ci", "ci:test")
	s.start("ci:test")
	s.now = s.now.Add(10_000 * time.Hour)
	s.finish("ci:test", time.Second, "1 test", "", nil)
	out := show(t, Options{Mode: Plain}, s.events)
	assert.Equal(t, strings.Count(out, "     ci:test"), maxOverdue)
	assert.Assert(t, cmp.Contains(out, "     ci:test  10s\n     ci:test  20s\n"))
}

func TestOutputOfGreenSteps(t *testing.T) {
	s := newStream("ci", "ci:test")
	s.finish("ci:test", time.Second, "1 test", "ok  \texample.org", nil)
	assert.Assert(t, cmp.Contains(show(t, Options{Mode: Plain}, s.events), "1.0s\n    ok  \texample.org\n"))
	assert.Assert(t, cmp.Contains(show(t, Options{Mode: TTY, Colour: true}, s.events), "\n    \x1b[2mok  \texample.org\x1b[0m\n"))
	assert.Assert(t, cmp.Contains(show(t, Options{Mode: GitHub, StopToken: "t0ken"}, s.events),
		"\n::group::ci:test output\n::stop-commands::t0ken\n    ok  \texample.org\n::t0ken::\n::endgroup::\n"))
}
