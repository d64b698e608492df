package gotest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"
)

// streams are the recorded runs: file name in testdata and arguments after
// "go test -json -trimpath -p=1 -count=1". One package at a time keeps a
// recording readable; the go command interlaces them otherwise.
func streams() map[string]string {
	return map[string]string{
		"pass":       "./pass",
		"fail":       "./fail",
		"skip":       "./skip",
		"panic":      "./panics ./gopanic ./initpanic ./deadlock",
		"exit":       "./mainexit ./osexit",
		"build":      "./builderr ./builddep ./setuperr ./veterr ./pass",
		"timeout":    "-timeout=1s ./timeout",
		"race":       "-race ./racy",
		"nofiles":    "./nofiles",
		"nocover":    "-cover ./nofiles ./pass",
		"norun":      "-run=NoSuch ./pass",
		"count":      "-count=2 -run=TestPlain ./pass",
		"cached":     "./pass",
		"fuzzseed":   "./fuzzseed",
		"fuzzfind":   "-run=- -fuzz=. ./fuzzfind",
		"bench":      "-run=- -bench=. -benchtime=1x ./bench ./benchok",
		"noisy":      "./noisy",
		"verbose":    "-v -run=NoNewline ./noisy",
		"nopackage":  "./nosuch",
		"race-count": "-race -count=2 -run=TestGood ./racy",
	}
}

// render writes a result in a form in which a difference can be read.
func render(r Result) string {
	var b strings.Builder
	output := func(o Output) {
		if o.Dropped > 0 {
			fmt.Fprintf(&b, "    (%d bytes dropped)\n", o.Dropped)
		}
		for line := range strings.Lines(o.Text) {
			quoted := strconv.QuoteToGraphic(line)
			fmt.Fprintf(&b, "    | %s\n", strings.TrimSuffix(quoted[1:len(quoted)-1], `\n`))
		}
	}
	fmt.Fprintf(&b, "events %d, unknown %d, stray %d, oversized %d, truncated %t\n",
		r.Events, r.UnknownEvents, r.StrayLines, r.Oversized, r.Truncated)
	fmt.Fprintf(&b, "all    %+v\nleaves %+v\n", r.Counts(), r.Leaves())
	output(r.Stray)
	for _, p := range r.Packages {
		fmt.Fprintf(&b, "\n%s %s %v", p.Verdict, p.ImportPath, p.Elapsed)
		flags(&b, "cached", p.Cached, "setup", p.SetupFailed, "race", p.Race, "panic", p.Panicked, "timeout", p.TimedOut)
		if p.FailedBuild != "" {
			fmt.Fprintf(&b, " build=%q", p.FailedBuild)
		}
		b.WriteByte('\n')
		output(p.Output)
		for _, t := range p.Tests {
			fmt.Fprintf(&b, "  %s %s %v", t.Outcome, t.Name, t.Elapsed)
			flags(&b, "parent", t.HasSubtests, "race", t.Race, "panic", t.Panicked, "timeout", t.TimedOut)
			for _, kv := range [][2]string{{"message", t.Message}, {"reason", t.SkipReason}, {"input", t.FuzzInput}} {
				if kv[1] != "" {
					fmt.Fprintf(&b, " %s=%q", kv[0], kv[1])
				}
			}
			if t.File != "" {
				fmt.Fprintf(&b, " at %s:%d", t.File, t.Line)
			}
			b.WriteByte('\n')
			output(t.Output)
		}
	}
	for _, build := range r.Builds {
		fmt.Fprintf(&b, "\nbuild of %s, failed %t\n", build.ImportPath, build.Failed)
		output(build.Output)
	}
	return b.String()
}

func flags(b *strings.Builder, pairs ...any) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] == true {
			fmt.Fprintf(b, " [%s]", pair[0])
		}
	}
}

func scan(t *testing.T, stream string, limits Limits) Result {
	t.Helper()
	r, err := Scan(strings.NewReader(stream), limits, nil)
	assert.NilError(t, err)
	return r
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	return string(golden.Get(t, name+".jsonl"))
}

func TestRecordedStreams(t *testing.T) {
	for name := range streams() {
		t.Run(name, func(t *testing.T) {
			golden.Assert(t, render(scan(t, recorded(t, name), Limits{})), name+".golden")
		})
	}
}

// A stream cut off anywhere must not report more passes than the whole one,
// and whatever it does not finish is unfinished.
func TestTruncated(t *testing.T) {
	for name := range streams() {
		whole := recorded(t, name)
		passed := scan(t, whole, Limits{}).Counts().Passed
		for cut := 0; cut < len(whole); cut += 97 {
			r := scan(t, whole[:cut], Limits{})
			assert.Assert(t, r.Counts().Passed <= passed)
			assert.Equal(t, r.Truncated, cut > 0 && whole[cut-1] != '\n')
		}
	}
	cut, _, _ := strings.Cut(recorded(t, "timeout"), `"Output":"panic: `)
	golden.Assert(t, render(scan(t, cut, Limits{})), "truncated.golden")
}

func TestStray(t *testing.T) {
	event := `{"Action":"run","Package":"p","Test":"TestA"}`
	stream := "go: downloading example.com/x v1.0.0\r\n" +
		"\n" +
		"partial line " + event + "\n" +
		`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.5}` + "\r\n" +
		`{"level":"info","msg":"json, but no event"}` + "\n" +
		`{"Action":"start"` + "\n" +
		`{"Action":"pass","Package":"p","Elapsed":"long"}` + "\n" +
		`{"Action":"dance","Package":"p"}` + "\n" +
		`{"Action":"run","Package":"p"}` + "\n" +
		"bad \xff utf8\n" +
		"last words"
	golden.Assert(t, render(scan(t, stream, Limits{})), "stray.golden")
}

func TestEmptyStream(t *testing.T) {
	r := scan(t, "", Limits{})
	assert.Equal(t, r.Events, 0)
	assert.Equal(t, r.Counts(), Counts{})
}

func TestHugeLines(t *testing.T) {
	big := strings.Repeat("x", 2<<20)
	stream := `{"Action":"start","Package":"p"}` + "\n" +
		`{"Action":"output","Package":"p","Output":"` + big + `\n"}` + "\n" +
		big + "\n" +
		`{"Action":"fail","Package":"p"}` + "\n"

	r := scan(t, stream, Limits{})
	assert.Equal(t, r.Oversized, 0)
	assert.Equal(t, r.StrayLines, 1)
	assert.Equal(t, r.Packages[0].Verdict, Fail)
	assert.Equal(t, len(r.Packages[0].Output.Text), 64<<10)
	assert.Equal(t, r.Packages[0].Output.Dropped, int64(2<<20+1-64<<10))

	r = scan(t, stream, Limits{LineBytes: 1 << 20})
	assert.Equal(t, r.Oversized, 2)
	assert.Equal(t, r.StrayLines, 2)
	assert.Equal(t, r.Packages[0].Verdict, Fail)
	assert.Assert(t, cmp.Contains(r.Stray.Text, " [line cut]\n"))
}

func output(test, text string) string {
	return fmt.Sprintf(`{"Action":"output","Package":"p","Test":%q,"Output":%q}`+"\n", test, text)
}

func action(action, test string) string {
	return fmt.Sprintf(`{"Action":%q,"Package":"p","Test":%q}`+"\n", action, test)
}

func TestLimits(t *testing.T) {
	var b strings.Builder
	for _, test := range []string{"TestA", "TestB", "TestC"} {
		b.WriteString(action("run", test))
		for i := range 100 {
			b.WriteString(output(test, fmt.Sprintf("line %d\n", i)))
		}
		b.WriteString(action("fail", test))
	}

	r := scan(t, b.String(), Limits{OutputLines: 2})
	assert.Equal(t, r.Packages[0].Tests[0].Output.Text, "line 98\nline 99\n")
	assert.Equal(t, r.Packages[0].Tests[0].Output.Dropped, int64(10*7+88*8))

	r = scan(t, b.String(), Limits{OutputBytes: 20})
	assert.Equal(t, r.Packages[0].Tests[0].Output.Text, "line 98\nline 99\n")

	// The total goes to the first tests; the others keep their names and say
	// that their output is missing.
	r = scan(t, b.String(), Limits{OutputBytes: 20, TotalBytes: 20})
	assert.Equal(t, r.Packages[0].Tests[0].Output.Text, "line 98\nline 99\n")
	assert.Equal(t, r.Packages[0].Tests[2].Output.Text, "")
	assert.Equal(t, r.Packages[0].Tests[2].Output.Dropped, int64(10*7+90*8))

	r = scan(t, b.String(), Limits{Tests: 1})
	assert.Equal(t, len(r.Packages[0].Tests), 1)
	assert.Equal(t, r.Untracked, Counts{Total: 2, Failed: 2})
	assert.Equal(t, r.Counts(), Counts{Total: 3, Failed: 3})

	r = scan(t, b.String()+action("run", "TestD"), Limits{Tests: 1})
	assert.Equal(t, r.Untracked, Counts{Total: 3, Failed: 2, Unfinished: 1})
}

// Output of tests that pass must not use up the total.
func TestPassingTestsGiveOutputBack(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		name := fmt.Sprintf("Test%d", i)
		b.WriteString(action("run", name) + output(name, "some text\n") + action("pass", name))
	}
	b.WriteString(action("run", "TestLast") + output("TestLast", "why\n") + action("fail", "TestLast"))
	r := scan(t, b.String(), Limits{TotalBytes: 100})
	assert.Equal(t, r.Packages[0].Tests[0].Output, Output{})
	assert.Equal(t, r.Packages[0].Tests[1000].Output.Text, "why\n")
}

func TestFailureIsNeverHidden(t *testing.T) {
	start, pass, fail := `{"Action":"start","Package":"p"}`+"\n", action("pass", ""), action("fail", "")
	for stream, want := range map[string][]Outcome{
		start + fail + pass:         {Fail},
		start + pass + fail:         {Fail},
		start + fail + start + pass: {Fail, Pass},
		start + start + pass:        {Unfinished, Pass},
		fail:                        {Fail},
	} {
		var got []Outcome
		for _, p := range scan(t, stream, Limits{}).Packages {
			got = append(got, p.Verdict)
		}
		assert.DeepEqual(t, got, want)
	}

	r := scan(t, action("run", "TestA")+action("run", "TestA")+action("pass", "TestA")+action("fail", "TestA"), Limits{})
	assert.Equal(t, r.Counts(), Counts{Total: 3, Passed: 1, Failed: 1, Unfinished: 1})
}

func TestRecognisedLines(t *testing.T) {
	for _, tc := range []struct {
		name string
		text []string
		want notes
	}{
		{"race outside of tests", []string{"testing: race detected outside of test execution\n"}, notes{race: true}},
		{"race with other output on the line before", []string{"x\n", "WARNING: DATA RACE\n"}, notes{race: true}},
		{"killed", []string{"*** Test killed with quit: ran too long (1m0s).\n"}, notes{
			timedOut: true, crash: "*** Test killed with quit: ran too long (1m0s).",
		}},
		{"fatal error", []string{"fatal error: concurrent map writes\n"}, notes{
			panicked: true, crash: "fatal error: concurrent map writes",
		}},
		{"prose", []string{"    see main.go:12: it is wrong\n"}, notes{}},
		{"no number", []string{"    main.go:x: it is wrong\n"}, notes{}},
		{"not indented", []string{"main.go:12: it is wrong\n"}, notes{}},
		{"trace", []string{"\tm/p_test.go:12 +0x25\n", "      m/p_test.go:12 +0x25\n"}, notes{}},
		{"message in pieces", []string{"    a.go:1: one ", "two\n", "        thr", "ee\n"}, notes{
			first: &message{"a.go", 1, "one two\nthree"}, last: &message{"a.go", 1, "one two\nthree"},
		}},
		{"unfinished line before the verdict", []string{"    a.go:1: one", "--- FAIL: TestA (0.00s)\n"}, notes{
			first: &message{"a.go", 1, "one"}, last: &message{"a.go", 1, "one"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s source
			for _, text := range tc.text {
				s.lines.feed(text, s.notes.read)
			}
			s.lines.flush(s.notes.read)
			s.notes.margin = 0
			assert.Equal(t, fmt.Sprintf("%+v", deref(s.notes)), fmt.Sprintf("%+v", deref(tc.want)))
		})
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	stream := action("run", "TestA") + output("TestA", "    a_test.go:1: first\n")
	for range 1000 {
		stream += output("TestA", "        äöü more\n")
	}
	r := scan(t, stream+action("fail", "TestA"), Limits{})
	message := r.Packages[0].Tests[0].Message
	assert.Assert(t, len(message) <= messageBytes && len(message) > messageBytes-3, len(message))
	assert.Equal(t, message, strings.ToValidUTF8(message, ""))
}

func deref(n notes) any {
	show := func(m *message) message {
		if m == nil {
			return message{}
		}
		return *m
	}
	first, last := show(n.first), show(n.last)
	n.first, n.last = nil, nil
	return []any{n, first, last}
}

func TestElapsed(t *testing.T) {
	for seconds, want := range map[string]time.Duration{
		"0.003":  3 * time.Millisecond,
		"-1":     0,
		"1e300":  1<<63 - 1,
		"1e-300": 0,
	} {
		r := scan(t, `{"Action":"pass","Package":"p","Elapsed":`+seconds+"}\n", Limits{})
		assert.Equal(t, r.Packages[0].Elapsed, want, seconds)
	}
}

func TestWriteInPieces(t *testing.T) {
	stream := recorded(t, "fail")
	c := NewCollector(Limits{}, nil)
	for _, b := range []byte(stream) {
		n, err := c.Write([]byte{b})
		assert.NilError(t, err)
		assert.Equal(t, n, 1)
	}
	assert.Equal(t, render(c.Result()), render(scan(t, stream, Limits{})))
	assert.Equal(t, render(c.Result()), render(c.Result()))
	_, err := c.Write([]byte("more"))
	assert.ErrorContains(t, err, "after its result was taken")
}

func TestScanReportsReadErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	r, err := Scan(io.MultiReader(strings.NewReader(recorded(t, "pass")), iotest.ErrReader(broken)), Limits{}, nil)
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, r.Packages[0].Verdict, Pass)
}

func TestHandlerSeesEveryEvent(t *testing.T) {
	var attr Event
	n := 0
	r, err := Scan(strings.NewReader(recorded(t, "pass")), Limits{}, func(e Event) {
		n++
		if e.Action == "attr" {
			attr = e
		}
	})
	assert.NilError(t, err)
	assert.Equal(t, n, r.Events)
	assert.DeepEqual(t, attr, Event{
		Action: "attr", Package: "example.com/m/pass", Test: "TestAttr", Key: "requirement", Value: "R-1",
	})
}

func TestFailedBuildIsFound(t *testing.T) {
	r := scan(t, recorded(t, "build"), Limits{})
	for _, p := range r.Packages {
		if p.Verdict != BuildFailed {
			continue
		}
		b, ok := r.Build(p.FailedBuild)
		assert.Assert(t, ok && b.Failed, p.ImportPath)
	}
	_, ok := r.Build("no such build")
	assert.Assert(t, !ok)
}

func TestOutcomeText(t *testing.T) {
	for o := Unfinished; o <= BuildFailed; o++ {
		text, err := o.MarshalText()
		assert.NilError(t, err)
		var back Outcome
		assert.NilError(t, back.UnmarshalText(text))
		assert.Equal(t, back, o)
	}
	var o Outcome
	assert.ErrorContains(t, o.UnmarshalText([]byte("PASS")), `outcome "PASS" is not one of`)
	assert.Equal(t, Outcome(99).String(), "unfinished")
}

func FuzzScan(f *testing.F) {
	for name := range streams() {
		stream, err := os.ReadFile("testdata/" + name + ".jsonl")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stream, uint16(7))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint16) {
		limits := Limits{LineBytes: 1 << 12, OutputBytes: 100, OutputLines: 5, TotalBytes: 1000, Tests: 20}
		r, err := Scan(bytes.NewReader(stream), limits, nil)
		assert.NilError(t, err)
		checkInvariants(t, r, stream, limits)

		c := NewCollector(limits, nil)
		for chunk := range slices.Chunk(stream, int(piece)+1) {
			_, err := c.Write(chunk)
			assert.NilError(t, err)
		}
		assert.Equal(t, render(c.Result()), render(r))
	})
}

func checkInvariants(t *testing.T, r Result, stream []byte, limits Limits) {
	t.Helper()
	all, leaves := r.Counts(), r.Leaves()
	for _, c := range []Counts{all, leaves, r.Untracked} {
		assert.Equal(t, c.Total, c.Passed+c.Failed+c.Skipped+c.Unfinished)
	}
	kept := all.Failed + all.Unfinished - r.Untracked.Failed - r.Untracked.Unfinished
	assert.Equal(t, kept > 0, leaves.Failed+leaves.Unfinished > 0)

	blank := 0
	for line := range bytes.Lines(stream) {
		if len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))) == 0 {
			blank++
		}
	}
	lines := len(slices.Collect(bytes.Lines(stream)))
	assert.Assert(t, r.Events+r.StrayLines >= lines-blank, "a line was lost")

	total, tests := 0, 0
	check := func(o Output) {
		total += len(o.Text)
		assert.Assert(t, len(o.Text) <= limits.OutputBytes)
		assert.Assert(t, strings.Count(o.Text, "\n") <= limits.OutputLines)
		assert.Equal(t, o.Text, strings.ToValidUTF8(o.Text, ""))
	}
	check(r.Stray)
	for _, b := range r.Builds {
		check(b.Output)
	}
	for _, p := range r.Packages {
		check(p.Output)
		tests += len(p.Tests)
		for _, test := range p.Tests {
			check(test.Output)
			for _, s := range []string{test.Message, test.SkipReason, test.File, test.FuzzInput} {
				assert.Equal(t, s, strings.ToValidUTF8(s, ""))
			}
			if test.Outcome == Pass {
				assert.Equal(t, test.Output, Output{})
			}
		}
	}
	assert.Assert(t, total <= limits.TotalBytes)
	assert.Assert(t, tests <= limits.Tests)
}
