package gates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/tool"
)

var errStepTimeout = errors.New("the step's time is over")

// errDeaf is the result of a step that takes no notice of its context.
var errDeaf = errors.New("the step did not stop and was given up on")

func deafness(err error) string {
	if errors.Is(err, errDeaf) {
		return "; " + errDeaf.Error()
	}
	return ""
}

// panicError is a crash of a step's own code.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the step's code crashed: %v", e.value) }

// start runs a step in a goroutine; its result comes back over r.results.
func (r *runner) start(ctx context.Context, n *node, limit *limiter) {
	n.state = running
	n.started = time.Now()
	n.run.Started = n.started.UTC()
	if r.folder != nil {
		n.run.Log = folder.LogName(n.step.ID)
	}
	r.emit(Event{Kind: EventStepStarted, Step: n.step.ID})
	go func() {
		result := r.work(ctx, n)
		limit.places.Release(1)
		r.results <- result
	}()
}

// work runs one step to its end, whatever that is. It reads of r and n only
// what does not change while steps run.
func (r *runner) work(ctx context.Context, n *node) nodeResult {
	begin := time.Now()
	out := nodeResult{node: n}
	if n.step.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, n.step.Timeout, fmt.Errorf("%w (%s)", errStepTimeout, n.step.Timeout))
		defer cancel()
	}
	log, closeLog, err := r.openLog(n)
	if err != nil {
		out.cause, out.reason = evidence.CauseBroken, err.Error()
		return out
	}
	scratch, err := newScratch()
	if err != nil {
		out.cause, out.reason = evidence.CauseBroken, err.Error()
		return out
	}
	defer os.RemoveAll(scratch)
	pass := &Pass{
		Root: r.opts.Root, Scratch: scratch, Commands: n.commands,
		Tree: r.tree, Before: r.before, BeforeErr: r.srcErr, Source: r.src,
		folder: r.folder, log: log, background: n.step.Background,
		planned: map[string]bool{}, binaries: map[string]tool.Binary{}, perKind: map[evidence.Verdict]int{},
		emit: func(p Progress) {
			// A full queue drops a progress line, never holds up the work.
			select {
			case r.events <- Event{Kind: EventStepProgress, Time: time.Now(), Step: n.step.ID, Progress: &p}:
			default:
			}
		},
	}
	pairs := []string{"$SCRATCH", scratch}
	if r.folder != nil {
		pairs = append(pairs, "$RUN", r.folder.Dir())
	}
	for _, c := range r.gate.Circumstances {
		pairs = append(pairs, "$"+c.Name, c.Value)
	}
	pass.vars = strings.NewReplacer(pairs...)
	for _, c := range n.commands {
		pass.planned[c.String()] = true
	}
	finished := make(chan error, 1)
	go func() { finished <- runStep(ctx, n, pass, r.opts.ToolCache, r.goVer) }()
	var stepErr error
	select {
	case stepErr = <-finished:
	case <-ctx.Done():
		select {
		case stepErr = <-finished:
		case <-time.After(patience):
			stepErr = errDeaf

		}
	}
	if ctx.Err() != nil {
		// Whatever a stopped step says, it was stopped.
		stepErr = fmt.Errorf("%w%s", context.Cause(ctx), deafness(stepErr))
	}
	out.result, out.output = pass.close()
	out.cause, out.reason = causeOf(ctx, stepErr)
	var panicked *panicError
	if errors.As(stepErr, &panicked) {
		pass.Logf("%v\n%s", panicked.value, panicked.stack)
	}
	if stepErr == nil && len(out.result.checks) == 0 {
		out.cause, out.reason = evidence.CauseNothingRan, "the step looked at nothing"
	}
	if err := closeLog(); err != nil && out.cause == evidence.CauseNone {
		out.cause, out.reason = evidence.CauseBroken, fmt.Sprintf("the step's log could not be kept: %v", err)
	}
	out.duration = time.Since(begin)
	return out
}

// runStep gets the tools and calls the step; a panic becomes an error.
func runStep(ctx context.Context, n *node, pass *Pass, cacheDir, goVer string) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	if n.planErr != nil {
		return n.planErr
	}
	// The output of a tool's build goes where that of a command goes.
	output := io.MultiWriter(&lockedTail{p: pass}, pass.log)
	cache := tool.Cache{Dir: cacheDir, Go: goVer}
	for _, t := range n.step.tools(pass.Root) {
		binary, err := cache.Resolve(ctx, t, output, func(s tool.Spec) {
			pass.Progress(0, 0, fmt.Sprintf("building %s %s, once", t.Name, s.Version))
			pass.Logf("building %s %s from %s", t.Name, s.Version, s.Package)
		})
		if err != nil {
			return err
		}
		pass.binaries[t.Name] = binary
		pass.used(binary.Tool)
	}
	return n.step.Run(ctx, pass)
}

// openLog opens the log of a step: redacted, then bounded, then on disk.
func (r *runner) openLog(n *node) (*stepLog, func() error, error) {
	if r.folder == nil {
		return nil, nil, errors.New("there is no run folder to write the step's log to")
	}
	file, err := os.OpenFile(r.folder.Path(n.run.Log), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("the step's log: %w", err)
	}
	capped := &proc.CappedWriter{W: file, Max: maxLog}
	writer := r.redactor.Writer(capped)
	log := &stepLog{w: writer}
	return log, func() error {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.closed = true
		return errors.Join(log.err, writer.Close(), capped.Close(), file.Close())
	}, nil
}
