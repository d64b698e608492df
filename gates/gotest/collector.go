package gotest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits bounds what a Collector keeps. A field that is not positive takes its
// default. Names of packages and tests come on top.
type Limits struct {
	// LineBytes is the longest line read as an event (default 8 MiB); the go
	// command writes lines of a few KiB. A longer line counts as stray.
	LineBytes int
	// OutputBytes and OutputLines bound each Output (64 KiB, 1000 lines).
	OutputBytes, OutputLines int
	// TotalBytes bounds all outputs together (64 MiB).
	TotalBytes int
	// Tests is the number of tests kept (500 000); test code decides how many
	// subtests there are. Further ones are only counted.
	Tests int
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		value *int
		def   int
	}{
		{&l.LineBytes, 8 << 20},
		{&l.OutputBytes, 64 << 10},
		{&l.OutputLines, 1000},
		{&l.TotalBytes, 64 << 20},
		{&l.Tests, 500_000},
	} {
		if *f.value <= 0 {
			*f.value = f.def
		}
	}
	return l
}

// Collector is an io.Writer for the stream, such as the Stdout of an exec.Cmd.
// It is not safe for concurrent use; a Cmd that has it as Stdout and as Stderr
// writes from one goroutine.
type Collector struct {
	limits  Limits
	handle  func(Event)
	line    []byte
	lineCut bool // line is the beginning of a longer one
	closed  bool

	packages []*packageState
	current  map[string]*packageState // the latest of each import path
	builds   []*buildState
	byID     map[string]*buildState
	stray    tail
	held     int // bytes in all tails
	tests    int
	result   Result
}

type buildState struct {
	Build
	tail tail
}

type packageState struct {
	Package
	source
	started, ended bool
	closing        bool // package testing printed its closing PASS or FAIL
	failLine       bool // the go command printed [build failed] or [setup failed]
	coverLine      bool // the go command printed coverage in place of "no test files"
	running        map[string]*testState
}

type testState struct {
	source
	index int // in Package.Tests
}

// source is something that prints.
type source struct {
	tail  tail
	lines lines
	notes notes
}

// NewCollector returns a Collector that calls handle, if there is one, after
// each event.
func NewCollector(limits Limits, handle func(Event)) *Collector {
	return &Collector{
		limits:  limits.withDefaults(),
		handle:  handle,
		current: map[string]*packageState{},
		byID:    map[string]*buildState{},
	}
}

// Scan reads the stream from r to its end. When reading fails it returns the
// error together with the result so far; nothing in the stream itself is an
// error.
func Scan(r io.Reader, limits Limits, handle func(Event)) (Result, error) {
	c := NewCollector(limits, handle)
	if _, err := io.Copy(c, r); err != nil {
		return c.Result(), fmt.Errorf("reading the go test stream: %w", err)
	}
	return c.Result(), nil
}

// Write takes the next piece of the stream. It fails only after Result.
func (c *Collector) Write(p []byte) (int, error) {
	if c.closed {
		return 0, errors.New("go test stream: written to after its result was taken")
	}
	for rest := p; ; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		c.extend(line)
		if !whole {
			return len(p), nil
		}
		c.endLine()
		rest = after
	}
}

// Result ends the stream and returns what was in it. Further calls return the
// same result, further writes fail.
func (c *Collector) Result() Result {
	if c.closed {
		return c.result
	}
	c.closed = true
	if len(c.line) > 0 {
		c.result.Truncated = true
		c.endLine()
	}
	for _, p := range c.packages {
		c.result.Packages = append(c.result.Packages, c.finishPackage(p))
	}
	for _, b := range c.builds {
		b.Output = c.output(&b.tail)
		c.result.Builds = append(c.result.Builds, b.Build)
	}
	c.result.Stray = c.output(&c.stray)
	u := &c.result.Untracked
	u.Unfinished = max(0, u.Total-u.Passed-u.Failed-u.Skipped)
	u.Total = u.Passed + u.Failed + u.Skipped + u.Unfinished
	return c.result
}

func (c *Collector) extend(chunk []byte) {
	if room := c.limits.LineBytes - len(c.line); len(chunk) > room {
		chunk, c.lineCut = chunk[:room], true
	}
	c.line = append(c.line, chunk...)
}

func (c *Collector) endLine() {
	line, cut := c.line, c.lineCut
	c.line, c.lineCut = c.line[:0], false
	if cut {
		c.result.Oversized++
		c.keepStray(string(line[:min(len(line), messageBytes)]) + " [line cut]")
		return
	}
	e, junk, ok := parseLine(line)
	c.keepStray(string(junk))
	if !ok {
		return
	}
	c.result.Events++
	c.apply(e)
	if c.handle != nil {
		c.handle(e)
	}
}

func (c *Collector) keepStray(line string) {
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return
	}
	c.result.StrayLines++
	c.keep(&c.stray, strings.ToValidUTF8(line, "\uFFFD")+"\n")
}

func (c *Collector) apply(e Event) {
	switch e.Action {
	case "build-output":
		c.keep(&c.build(e.ImportPath).tail, e.Output)
	case "build-fail":
		c.build(e.ImportPath).Failed = true
	case "start":
		if p := c.pkg(e.Package); p.started || p.ended {
			c.newPackage(e.Package)
		}
		c.pkg(e.Package).started = true
	case "run":
		if e.Test == "" {
			c.result.UnknownEvents++
			return
		}
		c.startTest(c.pkg(e.Package), e.Test)
	case "output":
		c.print(c.pkg(e.Package), e)
	case "pass", "fail", "skip", "bench":
		c.end(c.pkg(e.Package), e)
	case "pause", "cont", "attr", "artifacts":
	default:
		c.result.UnknownEvents++
	}
}

func (c *Collector) build(id string) *buildState {
	b := c.byID[id]
	if b == nil {
		b = &buildState{Build: Build{ImportPath: id}}
		c.byID[id] = b
		c.builds = append(c.builds, b)
	}
	return b
}

func (c *Collector) pkg(path string) *packageState {
	if p := c.current[path]; p != nil {
		return p
	}
	return c.newPackage(path)
}

func (c *Collector) newPackage(path string) *packageState {
	p := &packageState{Package: Package{ImportPath: path}, running: map[string]*testState{}}
	c.current[path] = p
	c.packages = append(c.packages, p)
	return p
}

// startTest records a run of a test. A test of that name that is still running
// stays behind as unfinished. It returns nil when the limit is reached.
func (c *Collector) startTest(p *packageState, name string) *testState {
	if c.tests >= c.limits.Tests {
		c.result.Untracked.Total++
		return nil
	}
	c.tests++
	if old := p.running[name]; old != nil {
		c.finishTest(p, old, Unfinished)
	}
	parent := -1
	// The name of a subtest may contain slashes, so its parent is the nearest
	// that exists.
	for i := strings.LastIndexByte(name, '/'); i >= 0; i = strings.LastIndexByte(name[:i], '/') {
		if t := p.running[name[:i]]; t != nil {
			parent = t.index
			p.Tests[parent].HasSubtests = true
			break
		}
	}
	t := &testState{index: len(p.Tests)}
	p.Tests = append(p.Tests, Test{Package: p.ImportPath, Name: name, parent: parent})
	p.running[name] = t
	return t
}

func (c *Collector) print(p *packageState, e Event) {
	if t := p.running[e.Test]; t != nil && e.Test != "" {
		t.lines.feed(e.Output, t.notes.read)
		if !progress(e.Output, e.Test) {
			c.keep(&t.tail, e.Output)
		}
		return
	}
	// Output of a test that has ended is late, and the package is the only
	// place left for it.
	p.lines.feed(e.Output, p.readLine)
	c.keep(&p.tail, e.Output)
}

// readLine recognises the lines that the go command and package testing print
// for the package as a whole.
func (p *packageState) readLine(line string) {
	p.notes.read(line)
	switch {
	case line == "PASS" || line == "FAIL":
		p.closing = true
	case line == "FAIL\t"+p.ImportPath+" [build failed]":
		p.failLine = true
	case line == "FAIL\t"+p.ImportPath+" [setup failed]":
		p.failLine, p.SetupFailed = true, true
	case strings.HasPrefix(line, "ok  \t"+p.ImportPath+"\t(cached)"):
		p.Cached = true
	case strings.HasPrefix(line, "\t"+p.ImportPath+"\t\tcoverage: "):
		p.coverLine = true
	}
}

func (c *Collector) end(p *packageState, e Event) {
	outcome := Pass
	switch e.Action {
	case "fail":
		outcome = Fail
	case "skip":
		outcome = Skip
	}
	if e.Test == "" {
		c.endPackage(p, e, outcome)
		return
	}
	t := p.running[e.Test]
	if t == nil {
		if c.tests >= c.limits.Tests {
			// Its run was counted, if there was one; see Result.
			total := c.result.Untracked.Total
			c.result.Untracked.add(outcome)
			c.result.Untracked.Total = total
			return
		}
		t = c.startTest(p, e.Test)
	}
	p.Tests[t.index].Elapsed = duration(e.Elapsed)
	c.finishTest(p, t, outcome)
}

func (c *Collector) endPackage(p *packageState, e Event, outcome Outcome) {
	if p.ended && outcome != Fail {
		return // a failure is final, and nothing else ends twice
	}
	p.ended = true
	p.Verdict, p.Elapsed, p.FailedBuild = outcome, duration(e.Elapsed), e.FailedBuild
	if outcome != Fail {
		c.release(&p.tail)
	}
}

func (c *Collector) finishTest(p *packageState, s *testState, outcome Outcome) {
	s.lines.flush(s.notes.read)
	t, n := &p.Tests[s.index], &s.notes
	delete(p.running, t.Name)
	t.Outcome, t.Race = outcome, n.race
	p.Race = p.Race || n.race
	if outcome == Pass {
		c.release(&s.tail)
		return
	}
	t.Panicked, t.TimedOut = n.panicked, n.timedOut
	p.Panicked, p.TimedOut = p.Panicked || n.panicked, p.TimedOut || n.timedOut
	t.Output = c.output(&s.tail)
	m := n.first
	if outcome == Skip {
		m = n.last
	}
	if m == nil {
		m = &message{}
	}
	text := strings.ToValidUTF8(strings.TrimSpace(m.text), "\uFFFD")
	switch {
	case outcome == Skip:
		t.SkipReason, t.File, t.Line = text, m.file, m.line
	case n.crash != "":
		t.Message = strings.ToValidUTF8(n.crash, "\uFFFD")
	default:
		t.Message, t.File, t.Line = text, m.file, m.line
	}
	t.FuzzInput = fuzzInput(t, n)
}

// fuzzInput names the input from the report of the fuzzer or, when an entry of
// the corpus fails, from the name of the subtest it runs as.
func fuzzInput(t *Test, n *notes) string {
	target, entry, isEntry := strings.Cut(t.Name, "/")
	switch {
	case !strings.HasPrefix(target, "Fuzz") || !t.bad():
		return ""
	case n.fuzzInput != "":
		return strings.ToValidUTF8(n.fuzzInput, "\uFFFD")
	case !isEntry:
		return ""
	case strings.HasPrefix(entry, "seed#"):
		return entry
	default:
		return "testdata/fuzz/" + t.Name
	}
}

func (c *Collector) finishPackage(p *packageState) Package {
	p.lines.flush(p.readLine)
	for name, t := range p.running {
		outcome := Unfinished
		if strings.HasPrefix(name, "Benchmark") && p.closing {
			outcome = Pass
		}
		c.finishTest(p, t, outcome)
	}
	p.Race = p.Race || p.notes.race
	p.Verdict = p.verdict()
	p.SetupFailed = p.SetupFailed && p.Verdict == BuildFailed
	if p.Verdict == Pass || p.Verdict == Skip {
		p.Panicked, p.TimedOut = false, false
		return p.Package
	}
	p.Panicked = p.Panicked || p.notes.panicked
	p.TimedOut = p.TimedOut || p.notes.timedOut
	p.Output = c.output(&p.tail)
	return p.Package
}

// verdict refines what the terminal event said.
func (p *packageState) verdict() Outcome {
	idle := len(p.Tests) == 0
	switch {
	case p.Verdict == Fail && (p.FailedBuild != "" || p.failLine && idle):
		return BuildFailed
	case p.Verdict == Pass && p.coverLine && idle:
		// With -cover the go command reports a package without test files as
		// passed, at 0 % coverage.
		return Skip
	default:
		return p.Verdict
	}
}

// keep adds text to a tail within the limits. When the total is used up the
// tail gives up its own beginning, so that it still holds the end of the text.
func (c *Collector) keep(t *tail, text string) {
	limit, slack := c.limits.OutputBytes, c.limits.OutputBytes
	if free := c.limits.TotalBytes - c.held; free < len(text) {
		limit, slack = min(limit, len(t.buf)+max(0, free)), 0
	}
	c.held += t.add(text, limit, slack)
}

// release gives up the text of something that passed.
func (c *Collector) release(t *tail) {
	c.held -= len(t.buf)
	t.dropped += int64(len(t.buf))
	t.buf = nil
}

// output closes a tail and gives back what it held beyond its output.
func (c *Collector) output(t *tail) Output {
	out := t.output(c.limits.OutputBytes, c.limits.OutputLines)
	c.held += len(out.Text) - len(t.buf)
	t.buf = nil
	return out
}
