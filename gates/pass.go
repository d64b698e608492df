package gates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/junit"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/tool"
)

// maxChecks is how many checks of one verdict a step's record holds; findings
// beyond that are counted. Per verdict, so that a flood of one kind cannot push the
// other out.
const maxChecks = 1000

// maxLog bounds the log of a step, in bytes.
const maxLog = 16 << 20

// ErrNothingRan is returned, wrapped with the reason, by a step that found no
// work: no files, no tests. It is UNVERIFIED, for zero work is not success.
var ErrNothingRan = errors.New("nothing ran")

// Pass is a step's handle on its run: the only way to report. Its methods may
// be called from several goroutines.
type Pass struct {
	// Root is the root of the source tree. A step does not write there.
	Root string
	// Scratch is a directory of the step's own, outside the source tree; it is
	// removed when the step ends.
	Scratch string
	// Commands are the planned commands, as the step's Commands returned them.
	Commands []proc.Command
	// Tree is the working tree and Before what differed from HEAD in it when
	// the run began; BeforeErr says why that, or what the source is, cannot be told.
	Tree      source.Tree
	Before    []source.Change
	BeforeErr error
	// Source is what the source was then, as far as that can be told.
	Source source.State

	background bool

	folder   *folder.Folder
	vars     *strings.Replacer
	planned  map[string]bool
	binaries map[string]tool.Binary
	emit     func(Progress)
	log      io.Writer

	mu      sync.Mutex
	closed  bool
	result  stepResult
	tail    proc.Tail
	perKind map[evidence.Verdict]int
}

// stepResult is what a step reported.
type stepResult struct {
	checks       []evidence.Check
	omitted      int
	fact         string
	warnings     []string
	skips        []evidence.Skipping
	measurements []evidence.Measurement
	suites       []junit.Suite
	outputs      []evidence.File
	tools        []evidence.Tool
}

// maxText bounds each text of a check, in bytes: a check is a fact, what a
// program printed belongs in the log.
const maxText = 2 << 10

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + " (cut)"
}

// Check reports a check.
func (p *Pass) Check(c evidence.Check) {
	for _, text := range []*string{&c.Subject, &c.Observed, &c.Expected, &c.Fix, &c.Reason} {
		*text = clip(*text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return // the step was given up on; its verdict stands
	}
	if err := c.Validate(); err != nil {
		// A check that hides something is itself a finding of the gate's code.
		c = evidence.CouldNotTell("gate.check", c.Code+" "+c.Subject, "a complete check", err.Error(), "mend the code of the step")
	}
	if p.perKind[c.Verdict]++; p.perKind[c.Verdict] > maxChecks {
		if c.Verdict == evidence.Fail || c.Verdict == evidence.Unverified {
			p.result.omitted++
		}
		return
	}
	p.result.checks = append(p.result.checks, c)
	if c.Verdict == evidence.Skip {
		p.result.skips = append(p.result.skips, evidence.Skipping{Subject: c.Code + " " + c.Subject, Reason: c.Reason})
	}
}

// Measure reports a check together with the exact number behind it, which may
// differ from run to run while the check does not.
func (p *Pass) Measure(c evidence.Check, value string) {
	p.Check(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.result.measurements = append(p.result.measurements, evidence.Measurement{Code: c.Code, Subject: c.Subject, Value: value})
	}
}

// Fact sets what the step's result line says: numbers, such as "412 files".
func (p *Pass) Fact(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.fact = fmt.Sprintf(format, args...)
}

// Warn reports something a reviewer should know that is no finding.
func (p *Pass) Warn(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.result.warnings) < maxChecks {
		p.result.warnings = append(p.result.warnings, clip(fmt.Sprintf(format, args...)))
	}
}

// warnOnce is Warn for what several commands of a step would repeat.
func (p *Pass) warnOnce(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.result.warnings, text) {
		p.result.warnings = append(p.result.warnings, text)
	}
}

// Skip reports that a part of the work was left out, which changes no verdict.
func (p *Pass) Skip(subject, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.result.skips) < maxChecks {
		p.result.skips = append(p.result.skips, evidence.Skipping{Subject: clip(subject), Reason: clip(reason)})
	}
}

// Suite adds test cases to the run's junit.xml.
func (p *Pass) Suite(s junit.Suite) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.suites = append(p.result.suites, s)
}

// Output records an artifact whose bytes are the same on every run of one
// source: it is named and digested in the stable part of the record.
func (p *Pass) Output(name, path string) (evidence.File, error) {
	file, err := folder.Digest(path)
	if err != nil {
		return file, fmt.Errorf("output %s: %w", name, err)
	}
	file.Path = name
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.outputs = append(p.result.outputs, file)
	return file, nil
}

// Progress says how far the step is; total is 0 when it is not known.
func (p *Pass) Progress(done, total int, text string) {
	p.emit(Progress{Done: done, Total: total, Text: text})
}

// Folder is the run folder, for files that the run is to keep.
func (p *Pass) Folder() *folder.Folder { return p.folder }

// used records a tool.
func (p *Pass) used(t evidence.Tool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.tools = append(p.result.tools, t)
}

// Version is the version of a tool of the step.
func (p *Pass) Version(name string) string { return p.binaries[name].Version }

// Show puts text where the end of the step's output is shown, for a step that
// knows better than the last lines of its programs what matters.
func (p *Pass) Show(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.tail.Write([]byte(text)) // a Tail takes everything
}

// Expand replaces $RUN, $SCRATCH and the names of the circumstances.
func (p *Pass) Expand(s string) string { return p.vars.Replace(s) }

// Logf writes a line to the step's log.
func (p *Pass) Logf(format string, args ...any) {
	// A log that cannot be written shows when the step ends.
	_, _ = fmt.Fprintf(p.log, format+"\n", args...)
}

// Exec runs a planned command. Its output goes to the step's log, its end to
// the screen when the step does not pass. The error is an *[proc.ExitError]
// when the program ended with a code other than 0, so that the step can tell
// "found something" from "broke".
func (p *Pass) Exec(ctx context.Context, c proc.Command, o proc.Options) (proc.Result, error) {
	line := c.String()
	if !p.planned[line] {
		return proc.Result{}, fmt.Errorf("%s: not in the step's plan", line)
	}
	// The log shows the plan's words: they are the same on every machine.
	p.Logf("$ %s", line)
	run := c
	run.Name = p.Expand(c.Name)
	if binary, ok := p.binaries[c.Name]; ok {
		run.Name = binary.Path
	}
	run.Dir = p.Expand(c.Dir)
	run.Args = make([]string, len(c.Args))
	for i, arg := range c.Args {
		run.Args[i] = p.Expand(arg)
	}
	run.Env = p.goEnvironment()
	for _, variable := range c.Env {
		run.Env = append(run.Env, p.Expand(variable))
	}
	keep := io.Writer(&lockedTail{p: p})
	if o.Output != nil {
		keep = io.MultiWriter(keep, o.Output)
	}
	o.Output, o.Line, o.Background = io.MultiWriter(keep, p.log), line, p.background
	result, err := proc.Run(ctx, p.Root, run, o)
	if code, ok := proc.ExitCode(err); ok {
		p.Logf("exit code %d after %s", code, result.Duration.Round(1e6))
	} else if err != nil {
		p.Logf("%v", err)
	}
	return result, err
}

// lockedTail feeds the tail that is shown when the step does not pass.
type lockedTail struct{ p *Pass }

func (l *lockedTail) Write(b []byte) (int, error) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.p.tail.Write(b)
}

// close ends the reporting and returns what there is.
func (p *Pass) close() (stepResult, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.result, p.tail.String()
}

// newScratch makes the step's own directory. It is resolved, so that paths in
// a tool's output can be compared with it.
func newScratch() (string, error) {
	dir, err := os.MkdirTemp("", "dpone-step-")
	if err != nil {
		return "", fmt.Errorf("scratch directory: %w", err)
	}
	return filepath.EvalSymlinks(dir)
}
