package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/gates"
)

const (
	// clearLine goes to the first column and erases to the end (ECMA-48 EL).
	clearLine = "\r\x1b[K"
	// redraw is how often the live line may change.
	redraw = 100 * time.Millisecond
	// patience is how long a step works before the live line shows.
	patience = 300 * time.Millisecond
	// counterEvery is how often there are counters where there is no live line.
	counterEvery = 10 * time.Second
	// maxOverdue bounds how many of them one event can bring after a long
	// silence, such as a machine that slept: an hour's.
	maxOverdue = 360
)

var spinner = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// liveText redraws the live line. Time is cut into slots, and a slot has one
// drawing at most.
func (p *Printer) liveText(now time.Time) string {
	slot := now.UnixMilli() / redraw.Milliseconds()
	if slot == p.slot {
		return ""
	}
	p.slot = slot
	line := p.liveLine(now, slot)
	if line == "" && !p.live {
		return ""
	}
	p.live = line != ""
	return clearLine + line
}

func (p *Printer) liveLine(now time.Time, slot int64) string {
	var parts []string
	long := false
	bar, gap := 24, "  "
	if len(p.run.running) > 1 {
		bar, gap = 8, " "
	}
	for _, r := range p.run.running {
		elapsed := now.Sub(r.since)
		long = long || elapsed >= patience
		part := p.oneLine(r.id)
		if what := p.progress(r.progress, bar); what != "" {
			part += gap + what
		} else if elapsed >= time.Second {
			part += gap + seconds(elapsed)
		}
		parts = append(parts, part)
	}
	if !long {
		return ""
	}
	frame := spinner[(slot%int64(len(spinner))+int64(len(spinner)))%int64(len(spinner))]
	// One column stays free: some terminals wrap when the last one is written.
	line := cut("  "+frame+" "+strings.Join(parts, p.style.separator), p.opts.Width-1, p.style.ellipsis)
	return strings.Replace(line, frame, p.paint(cyan, frame), 1)
}

// progress is how far a step is, with a bar of so many columns when the total
// is known.
func (p *Printer) progress(at *gates.Progress, bar int) string {
	if at == nil {
		return ""
	}
	var parts []string
	switch {
	case at.Total > 0:
		count := fmt.Sprintf("%d/%d", at.Done, at.Total)
		if bar > 0 {
			full := int(float64(bar) * min(1, max(0, float64(at.Done)/float64(at.Total))))
			count = strings.Repeat("━", full) + strings.Repeat("─", bar-full) + "  " + count
		}
		parts = append(parts, count)
	case at.Done > 0:
		parts = append(parts, fmt.Sprint(at.Done))
	}
	if at.Text != "" {
		parts = append(parts, p.oneLine(at.Text))
	}
	return strings.Join(parts, ", ")
}

// counters adds a line for each step that runs, at fixed times after the
// start. An event shows what was due before it happened, so that a stream
// without ticks, as a record has it, gives the same lines.
func (p *Printer) counters(b *strings.Builder, now time.Time) {
	if p.run.due.IsZero() {
		return
	}
	for n := 0; !now.Before(p.run.due); n++ {
		due := p.run.due
		if n == maxOverdue {
			p.run.due = now.Add(counterEvery)
			return
		}
		p.run.due = due.Add(counterEvery)
		for _, r := range p.run.running {
			what := p.progress(r.progress, 0)
			if elapsed := due.Sub(r.since); what == "" && elapsed >= counterEvery {
				what = seconds(elapsed)
			}
			if what != "" {
				p.line(b, "     "+padded(p.oneLine(r.id), p.run.pad)+"  "+what)
			}
		}
	}
}

// seconds is a time that goes on: whole seconds are exact enough for it.
func seconds(d time.Duration) string {
	d = max(0, d.Truncate(time.Second))
	if d < time.Minute {
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
