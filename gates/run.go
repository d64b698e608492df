package gates

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/tool"
)

// patience is how long a step may take to return once its context has ended.
// It covers the grace that processes get; after it the step is given up on.
const patience = proc.Grace + time.Second

// Options say how to run a gate. The zero value runs all of it, in the
// current directory, with as many steps at once as there are processors.
type Options struct {
	// Root is the source tree, Artifacts where run folders go; Root/test_artifacts if empty.
	Root, Artifacts string
	// Jobs bounds how many steps work at once; 0 means one a processor.
	Jobs int
	// Timeout ends the run; 0 means no limit.
	Timeout time.Duration
	// FailFast stops the other steps when one is FAIL.
	FailFast bool
	// Only runs these steps and what they need; Skip leaves these out. The
	// record says that the run is partial.
	Only, Skip []string
	// Command is what was typed, for the record; "mage <ID>" if empty.
	Command string
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// SecretNames are environment variables that bear secrets although their
	// names do not show it.
	SecretNames []string
	// ToolCache is where built tools are kept; the user's cache if empty.
	ToolCache string
	// ShowOutput sends the output of green steps to the sink, too.
	ShowOutput bool
	// Sink is told what happens, from one goroutine. It may be nil.
	Sink func(Event)
	// Keep is given the run folder once it is whole and sealed, to put it into a
	// log and to sign it, and the folder of all artifacts that it lies in. It
	// returns what to tell about that, a line each. An error makes a green run
	// UNVERIFIED. It may be nil.
	Keep func(ctx context.Context, artifacts, folder string) ([]string, error)
}

// SignalError is the cause of a context that a signal ended.
type SignalError struct{ Name string }

func (e *SignalError) Error() string { return "stopped by " + e.Name }

// exitCode is 128 and the number of the signal, as shells have it.
func (e *SignalError) exitCode() int {
	switch e.Name {
	case "SIGHUP":
		return 129
	case "SIGQUIT":
		return 131
	case "SIGTERM":
		return 143
	}
	return 130
}

var (
	errRunTimeout = errors.New("the run's time is over")
	errFailFast   = errors.New("another step failed and fail-fast was asked for")
)

// Outcome is what a run came to.
type Outcome struct {
	Record *evidence.Record
	// Folder is the run folder, or empty when no evidence could be written;
	// then Trouble says why, and the verdict cannot count as PASS.
	Folder  string
	Trouble error
	// Interrupted is the signal that stopped the run, or nil.
	Interrupted *SignalError
}

// ExitCode is 0 for PASS, 1 for FAIL, 3 for anything that could not be told or
// could not be recorded, 130 after SIGINT and 143 after SIGTERM.
func (o Outcome) ExitCode() int {
	switch {
	case o.Interrupted != nil:
		return o.Interrupted.exitCode()
	case o.Record == nil:
		return evidence.Unverified.ExitCode()
	case o.Trouble != nil && o.Record.Verdict == evidence.Pass:
		return evidence.Unverified.ExitCode()
	}
	return o.Record.Verdict.ExitCode()
}

// Run takes a gate from options to evidence. The error is a *[UsageError] when
// the gate or the options are wrong, and then nothing has run; whatever goes
// wrong later is in the outcome.
func Run(ctx context.Context, g Gate, o Options) (Outcome, error) {
	r, err := prepare(g, o)
	if err != nil {
		return Outcome{}, err
	}
	return r.run(ctx), nil
}

// runner is the state of one run. Only the goroutine of run touches it, except
// for the channels.
type runner struct {
	gate     Gate
	opts     Options
	selected map[string]bool
	redactor *redact.Redactor
	folder   *folder.Folder
	where    string // folder.Dir, or empty
	notes    []string
	trouble  []error
	late     error // what went wrong after the record was written
	started  time.Time
	nodes    []*node
	tree     source.Tree
	src      source.State
	moved    error // why the commit is not what it was when the run began
	before   []source.Change
	srcErr   error
	goVer    string
	events   chan Event
	results  chan nodeResult
}

type node struct {
	step     Step
	commands []proc.Command
	planErr  error
	state    nodeState
	settled  bool // so is every step before it
	cause    evidence.Cause
	reason   string
	result   stepResult
	run      evidence.StepRun
	started  time.Time
	output   string
}

type nodeState uint8

const (
	waiting nodeState = iota
	running
	ended
)

type nodeResult struct {
	node     *node
	cause    evidence.Cause
	reason   string
	result   stepResult
	output   string
	duration time.Duration
}

func prepare(g Gate, o Options) (*runner, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if o.Jobs < 0 {
		return nil, misuse("jobs is %d; give 1 or more", o.Jobs)
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Timeout < 0 {
		return nil, misuse("timeout is %s; give a positive duration such as 10m", o.Timeout)
	}
	if o.Command == "" {
		o.Command = "mage " + g.ID
	}
	root, err := filepath.Abs(o.Root)
	if err == nil {
		// Resolved, so that paths that programs print can be compared with it.
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return nil, misuse("root %q: %v", o.Root, err)
	}
	o.Root = root
	if o.Artifacts == "" {
		o.Artifacts = filepath.Join(root, "test_artifacts")
	}
	for _, dir := range []*string{&o.Artifacts, &o.ToolCache} {
		if *dir != "" && !filepath.IsAbs(*dir) {
			*dir = filepath.Join(root, *dir)
		}
	}
	selected, err := choose(g, o.Only, o.Skip)
	if err != nil {
		return nil, err
	}
	r := &runner{
		gate: g, opts: o, selected: selected,
		redactor: redact.New(o.Environ, o.SecretNames...),
		started:  time.Now(),
		events:   make(chan Event, 64),
		results:  make(chan nodeResult),
	}
	var exclude []string
	if rel, err := filepath.Rel(root, o.Artifacts); err == nil && filepath.IsLocal(rel) && rel != "." {
		exclude = append(exclude, rel)
	}
	r.tree = source.Open(root, exclude...)
	for _, step := range g.Steps {
		n := &node{step: step, run: evidence.StepRun{ID: step.ID}}
		n.commands, n.planErr = step.commands(root)
		var usage *UsageError
		if errors.As(n.planErr, &usage) {
			return nil, n.planErr
		}
		r.nodes = append(r.nodes, n)
	}
	return r, nil
}

// choose applies Only and Skip. A name that is no step is misuse, with the
// names that there are.
func choose(g Gate, only, skip []string) (map[string]bool, error) {
	steps := make(map[string]Step, len(g.Steps))
	var ids []string
	for _, step := range g.Steps {
		steps[step.ID] = step
		ids = append(ids, step.ID)
	}
	for _, id := range slices.Concat(only, skip) {
		if _, ok := steps[id]; !ok {
			return nil, misuse("%q is not a step of %s; the steps are %s", id, g.ID, strings.Join(ids, ", "))
		}
	}
	selected := make(map[string]bool, len(ids))
	var take func(id string)
	take = func(id string) {
		if !selected[id] {
			selected[id] = true
			for _, need := range steps[id].Needs {
				take(need)
			}
		}
	}
	if len(only) == 0 {
		only = ids
	}
	for _, id := range only {
		take(id)
	}
	for _, id := range skip {
		delete(selected, id)
	}
	if len(selected) == 0 {
		return nil, misuse("nothing is left of %s to run", g.ID)
	}
	return selected, nil
}

func (r *runner) run(parent context.Context) Outcome {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	if r.opts.Timeout > 0 {
		timer := time.AfterFunc(r.opts.Timeout, func() { cancel(errRunTimeout) })
		defer timer.Stop()
	}
	r.open(ctx)
	r.emit(Event{Kind: EventRunStarted, Start: &RunStart{
		Target: r.gate.ID, Command: r.opts.Command, Steps: r.stepIDs(), Go: r.goVer, Source: r.src.Source, Jobs: r.opts.Jobs,
	}})
	for _, n := range r.nodes {
		if !r.selected[n.step.ID] {
			r.end(n, evidence.CauseLeftOut, "left out by request")
		}
	}
	r.schedule(ctx, cancel)
	return r.finish(ctx)
}

func (r *runner) stepIDs() []string {
	ids := make([]string, 0, len(r.nodes))
	for _, n := range r.nodes {
		ids = append(ids, n.step.ID)
	}
	return ids
}

// open makes the run folder and finds out what the run is about, all at once:
// none of it depends on the other, and each asks another program.
func (r *runner) open(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.goVer = goVersion(ctx, r.opts.Root)
	}()
	r.src, r.before, r.srcErr = r.tree.State(ctx)
	<-done
	f, err := folder.Create(r.opts.Artifacts, r.gate.Area, r.started)
	if err != nil {
		// Evidence in an unusual place is better than none: a read-only tree
		// or a full disk must not be the reason that nothing is recorded.
		var fallbackErr error
		f, fallbackErr = folder.Create(folder.Fallback(), r.gate.Area, r.started)
		if fallbackErr != nil {
			r.trouble = append(r.trouble, err, fallbackErr)
			return
		}
		r.notes = append(r.notes, fmt.Sprintf("%v; the evidence is in %s instead (set DPONE_ARTIFACTS to choose)", err, f.Dir()))
	}
	r.folder, r.where = f, f.Dir()
	// From here on even a power cut leaves a record, which says UNVERIFIED.
	for _, n := range r.nodes {
		n.cause, n.reason = evidence.CauseUnfinished, "the run had not ended when this was written"
	}
	if err := r.writeRecord(); err != nil {
		r.trouble = append(r.trouble, err)
	}
	for _, n := range r.nodes {
		n.cause, n.reason = evidence.CauseNone, ""
	}
}

// goVersion is the version of the Go toolchain on the PATH, or "none".
func goVersion(ctx context.Context, root string) string {
	result, err := proc.Run(ctx, root, proc.Command{Name: "go", Args: []string{"env", "GOVERSION"}, Env: []string{"GOWORK=off", goFlags(nil)}}, proc.Options{Capture: 1 << 10})
	if version := strings.TrimSpace(string(result.Stdout)); err == nil && version != "" {
		return version
	}
	return "none"
}

// schedule runs the steps. A step starts when what it waits for has ended and
// a place is free, in the order of the gate.
func (r *runner) schedule(ctx context.Context, cancel context.CancelCauseFunc) {
	limit := nested(ctx)
	if limit != nil {
		// The step that we run in works through us: it lends us its place.
		limit.places.Release(1)
		defer func() {
			// Without its place back it must not go on; it is about to end anyway.
			_ = limit.places.Acquire(context.WithoutCancel(ctx), 1)
		}()
	} else {
		limit = &limiter{places: semaphore.NewWeighted(int64(r.opts.Jobs))}
	}
	stepCtx := limit.in(ctx)
	place := make(chan error)
	asking := false
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var giveUp <-chan time.Time
	stopped := ctx.Done()
	for {
		ready := r.ready()
		if r.all(ended) {
			break
		}
		if ready != nil && !asking && ctx.Err() == nil {
			asking = true
			go func() { place <- limit.places.Acquire(ctx, 1) }()
		}
		select {
		case err := <-place:
			asking = false
			if ready = r.ready(); err != nil || ready == nil || ctx.Err() != nil {
				if err == nil {
					limit.places.Release(1)
				}
				continue
			}
			r.start(stepCtx, ready, limit)
		case result := <-r.results:
			r.finished(result)
			if r.opts.FailFast && result.node.verdict() == evidence.Fail {
				cancel(errFailFast)
			}
		case event := <-r.events:
			r.emit(event)
		case now := <-ticker.C:
			r.emit(Event{Kind: EventTick, Time: now})
		case <-stopped:
			stopped = nil
			cause, reason := causeOf(ctx, context.Cause(ctx))
			for _, n := range r.nodes {
				if n.state == waiting {
					r.end(n, cause, reason)
				}
			}
			// A little later than the step itself is given up on, so that it is cleared away.
			giveUp = time.After(patience + 500*time.Millisecond)
		case <-giveUp:
			cause, reason := causeOf(ctx, context.Cause(ctx))
			for _, n := range r.nodes {
				if n.state == running {
					n.run.DurationMS = time.Since(n.started).Milliseconds()
					r.end(n, cause, reason+"; the step did not stop and was given up on")
				}
			}
		}
	}
	if asking {
		// A place asked for and not needed goes back.
		go func() {
			if <-place == nil {
				limit.places.Release(1)
			}
		}()
	}
}

func (r *runner) all(state nodeState) bool {
	return !slices.ContainsFunc(r.nodes, func(n *node) bool { return n.state != state })
}

// ready is the first step that can start. Steps whose needs did not pass are
// ended as blocked on the way, for every one of their parents.
func (r *runner) ready() *node {
	for again := true; again; {
		again = false
		for _, n := range r.nodes {
			if n.state != waiting {
				continue
			}
			if culprit := r.failedNeed(n); culprit != nil {
				r.end(n, evidence.CauseBlocked, fmt.Sprintf("%s is %s", culprit.step.ID, culprit.verdict()))
				again = true
				continue
			}
			if r.mayStart(n) {
				return n
			}
		}
	}
	return nil
}

func (r *runner) find(id string) *node {
	return r.nodes[slices.IndexFunc(r.nodes, func(n *node) bool { return n.step.ID == id })]
}

func (r *runner) failedNeed(n *node) *node {
	for _, id := range n.step.Needs {
		if need := r.find(id); need.state == ended && need.verdict() != evidence.Pass {
			return need
		}
	}
	return nil
}

func (r *runner) mayStart(n *node) bool {
	return !slices.ContainsFunc(n.step.waitsFor(), func(id string) bool {
		return !r.settled(r.find(id))
	})
}

// settled says that a step has ended and so have those that it waited for: one
// that was left out ends before them, and does not break the order of a chain.
func (r *runner) settled(n *node) bool {
	if !n.settled {
		n.settled = n.state == ended && r.mayStart(n)
	}
	return n.settled
}

// end ends a step without its own result.
func (r *runner) end(n *node, cause evidence.Cause, reason string) {
	n.state, n.cause, n.reason = ended, cause, reason
	r.report(n)
}

func (r *runner) finished(result nodeResult) {
	n := result.node
	if n.state == ended {
		return // given up on before
	}
	n.state, n.cause, n.reason = ended, result.cause, result.reason
	n.result, n.output = result.result, result.output
	n.run.DurationMS = result.duration.Milliseconds()
	n.run.Fact = result.result.fact
	r.report(n)
}

func (r *runner) report(n *node) {
	step := n.record()
	finish := &StepFinish{Step: step, Run: n.run, Measurements: n.measurements()}
	if v := step.Verdict; v == evidence.Fail || v == evidence.Unverified || r.opts.ShowOutput {
		finish.Output = n.output
	}
	r.emit(Event{Kind: EventStepFinished, Step: n.step.ID, Finish: finish})
}

// emit redacts an event and hands it to the sink.
func (r *runner) emit(e Event) {
	if r.opts.Sink == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Kind == EventTick {
		r.opts.Sink(e)
		return
	}
	clean, err := redacted(r.redactor, e)
	if err != nil {
		// An event that cannot be cleaned is not shown.
		clean = Event{Kind: e.Kind, Time: e.Time, Step: e.Step}
	}
	r.opts.Sink(clean)
}

// redacted returns v with every string in it redacted.
func redacted[T any](redactor *redact.Redactor, v T) (T, error) {
	var clean T
	raw, err := json.Marshal(v)
	if err != nil {
		return clean, err
	}
	if raw, err = redactor.JSON(raw); err != nil {
		return clean, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	return clean, dec.Decode(&clean)
}

func (n *node) verdict() evidence.Verdict { return n.record().Verdict }

func (n *node) measurements() []evidence.Measurement {
	measurements := slices.Clone(n.result.measurements)
	for i := range measurements {
		measurements[i].Step = n.step.ID
	}
	return measurements
}

// record is the step as it stands in the record.
func (n *node) record() evidence.Step {
	step := evidence.Step{
		ID: n.step.ID, Doc: n.step.Doc, Runbook: n.step.Runbook,
		Needs: []string{}, Commands: []string{}, Checks: []evidence.Check{},
		Cause: n.cause, Reason: n.reason, Omitted: n.result.omitted, Reproduce: n.step.reproduce(),
	}
	step.Needs = append(step.Needs, n.step.Needs...)
	for _, c := range n.commands {
		step.Commands = append(step.Commands, c.String())
	}
	step.Checks = append(step.Checks, n.result.checks...)
	step.Verdict = step.Derive()
	return step
}

// causeOf classifies an error of a step, however deep it is wrapped.
func causeOf(ctx context.Context, err error) (evidence.Cause, string) {
	var signal *SignalError
	var panicked *panicError
	switch {
	case err == nil:
		return evidence.CauseNone, ""
	case errors.As(err, &signal):
		return evidence.CauseInterrupted, signal.Error()
	case errors.Is(err, errFailFast):
		return evidence.CauseCancelled, errFailFast.Error()
	case errors.Is(err, errRunTimeout), errors.Is(err, errStepTimeout), errors.Is(err, context.DeadlineExceeded):
		return evidence.CauseTimeout, err.Error()
	case errors.As(err, &panicked):
		return evidence.CausePanic, err.Error()
	case errors.Is(err, ErrNothingRan):
		return evidence.CauseNothingRan, err.Error()
	case errors.Is(err, tool.ErrBuild):
		return evidence.CauseBroken, err.Error()
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		// mage cancels the context of a target when it gets an interrupt.
		return evidence.CauseInterrupted, "the context of the target was cancelled"
	}
	return evidence.CauseBroken, err.Error()
}
