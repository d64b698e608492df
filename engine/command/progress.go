package command

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dpone/dpone/engine"
)

// progress shows where a run is: one line that changes on a terminal, a line now and then elsewhere.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	live     bool
	interval time.Duration
	began    time.Time
	last     time.Time
	shown    bool
}

// liveInterval is the time between two changes of a live line.
const liveInterval = 100 * time.Millisecond

func newProgress(w io.Writer, live bool, interval time.Duration) *progress {
	now := time.Now()
	return &progress{w: w, live: live, interval: interval, began: now, last: now}
}

func (p *progress) show(at engine.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	wait := p.interval
	if p.live {
		wait = liveInterval
	}
	if now.Sub(p.last) < wait || at.Phase == "" {
		return
	}
	p.last = now
	line := fmt.Sprintf("%-10s %12d rows  %s", at.Phase, at.Rows, now.Sub(p.began).Round(100*time.Millisecond))
	if at.Window != "" {
		line += "  " + clip(at.Window)
	}
	if p.live {
		fmt.Fprintf(p.w, "\r\033[2K  %s", line)
		p.shown = true
		return
	}
	fmt.Fprintf(p.w, "  %s\n", line)
}

// end takes the live line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\033[2K")
	}
}

func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most-3] + "..."
	}
	return s
}
