// Package terminal turns the events of a run into what a person or a workflow
// sees: a terminal with a live line, plain text, a GitHub Actions log with
// annotations and a step summary, or JSON.
//
// The output is a function of the events and the options alone: no clock, no
// environment. So a stream that was recorded as JSON can be shown again in any
// form with [Replay], and shows the same.
//
// Text from outside (facts, findings, reasons, the output of programs) cannot
// move the cursor, add lines to those of ours, or issue workflow commands.
package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/gates"
)

// Options say where and how to print.
type Options struct {
	Out  io.Writer
	Mode Mode
	// Colour may be set for TTY and GitHub; see [Colour].
	Colour bool
	// Width is the number of columns of the terminal, 80 if not positive.
	Width int
	// StopToken keeps the output of programs from issuing workflow commands in
	// GitHub's log: random, made for this process, and not shown to those
	// programs. Without it what looks like a command is escaped.
	StopToken string
	// Summary takes the step summary (the file that GITHUB_STEP_SUMMARY
	// names, opened for appending); nil for none. SummaryUsed is what it
	// holds already, in bytes.
	Summary     io.Writer
	SummaryUsed int64
}

// Printer shows runs. Its methods must be called from one goroutine.
type Printer struct {
	opts  Options
	style style
	err   error
	run   runState
	// live says that the live line is on the screen, slot when it was drawn.
	live bool
	slot int64
	// left is how many annotations of each kind there may still be.
	left        map[string]int
	summaryUsed int64
}

// runState is what is known of the run that is shown.
type runState struct {
	start    *gates.RunStart
	began    time.Time
	due      time.Time // when the next counters are due
	pad      int       // columns of the longest step ID
	running  []*running
	finished []*gates.StepFinish
}

type running struct {
	id       string
	since    time.Time
	progress *gates.Progress
}

// New returns a printer; its Handle is the sink of a run.
func New(o Options) *Printer {
	if o.Width <= 0 {
		o.Width = 80
	}
	p := &Printer{opts: o, style: glyphs, summaryUsed: o.SummaryUsed, left: map[string]int{kindError: maxAnnotations, kindWarning: maxAnnotations}}
	if o.Mode != TTY && o.Mode != GitHub {
		p.style = words
		p.opts.Colour = false
	}
	return p
}

// Handle shows one event.
func (p *Printer) Handle(e gates.Event) {
	if p.opts.Mode == JSON {
		p.writeJSON(e)
	} else {
		p.write(p.opts.Out, p.text(e))
	}
	if e.Kind == gates.EventRunFinished && p.opts.Summary != nil {
		p.writeSummary(e)
	}
}

// Err is the first error of writing; nothing is written after it.
func (p *Printer) Err() error { return p.err }

// write writes the text of one event at once: a process that is killed leaves
// no group open and no commands stopped.
func (p *Printer) write(w io.Writer, text string) {
	if p.err != nil || text == "" {
		return
	}
	if _, err := io.WriteString(w, text); err != nil {
		p.err = fmt.Errorf("output: %w", err)
	}
}

// text is what an event adds to the output.
func (p *Printer) text(e gates.Event) string {
	if e.Kind == gates.EventTick && p.opts.Mode == TTY {
		return p.liveText(e.Time)
	}
	var b strings.Builder
	if p.opts.Mode != TTY {
		p.counters(&b, e.Time)
	}
	switch e.Kind {
	case gates.EventRunStarted:
		p.startRun(&b, e)
	case gates.EventStepStarted:
		p.run.running = append(p.run.running, &running{id: e.Step, since: e.Time})
	case gates.EventStepProgress:
		if r := p.run.find(e.Step); r != nil && e.Progress != nil {
			r.progress = e.Progress
		}
	case gates.EventStepFinished:
		p.run.running = slices.DeleteFunc(p.run.running, func(r *running) bool { return r.id == e.Step })
		p.finishStep(&b, e)
	case gates.EventRunFinished:
		p.finishRun(&b, e)
	}
	if p.live && b.Len() > 0 {
		p.live = false
		return clearLine + b.String()
	}
	return b.String()
}

func (s *runState) find(id string) *running {
	for _, r := range s.running {
		if r.id == id {
			return r
		}
	}
	return nil
}

// output is what the programs of a step printed, as far as it is to be shown.
func (s *runState) output(id string) string {
	for _, f := range s.finished {
		if f.Step.ID == id {
			return f.Output
		}
	}
	return ""
}

// line adds a line of ours.
func (p *Printer) line(b *strings.Builder, text string) {
	if p.opts.Mode == GitHub {
		text = inert(text)
	}
	b.WriteString(strings.TrimRight(text, " "))
	b.WriteByte('\n')
}
