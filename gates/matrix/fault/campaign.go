package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/worker/protocol"
	"github.com/dpone/dpone/gates/proc"
)

// Shares of the rows that change and that are deleted.
const (
	changed = 0.2
	deleted = 0.05
)

// patience is how long the cases of one trial may take; a fault can make the engine wait for ever.
const patience = 5 * time.Minute

// maxAnswers bounds what a worker may print, in bytes.
const maxAnswers = 4 << 20

// answer is what a report keeps of the worker's answer about one case.
type answer struct {
	Case    string           `json:"case_id"`
	Verdict evidence.Verdict `json:"verdict"`
	Failed  []string         `json:"failed"`
	Problem string           `json:"problem,omitempty"`
}

// build writes the overlay and builds the worker with it.
func build(ctx context.Context, p *gates.Pass, t trial) error {
	if t.fault != nil {
		if _, err := Overlay(p.Root, p.Scratch, *t.fault); err != nil {
			return broken("%w", err)
		}
	}
	if _, err := p.Exec(ctx, t.buildCommand(), proc.Options{}); err != nil {
		return broken("the worker does not build: %w", err)
	}
	return nil
}

// carry has the worker carry out the cases. Its files are removed again, since there are many of them.
func carry(ctx context.Context, p *gates.Pass, t trial, o Options) (answers []answer, err error) {
	defer func() {
		err = errors.Join(err, os.RemoveAll(p.Expand(t.dir())), os.RemoveAll(p.Expand(t.worker())))
	}()
	scratch := p.Expand(t.dir() + "/scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, err
	}
	request, err := json.Marshal(protocol.Request{
		Mode: cases.MockLocal, Rows: o.Rows, Changed: changed, Deleted: deleted, Seed: o.Seed,
		Cases: t.cases, Jobs: o.Jobs, Scratch: scratch,
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.Expand(t.request()), request, 0o600); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not end within %s", patience))
	defer cancel()
	result, failed := p.Exec(limited, t.carryCommand(), proc.Options{Capture: maxAnswers})
	answers, err = read(result.Stdout, t.cases)
	if failed != nil {
		return answers, broken("the worker died: %w", failed)
	}
	return answers, err
}

// read reads the lines of a worker. Answers about other cases, and second ones, are an error.
func read(out []byte, asked []string) (answers []answer, err error) {
	said, unread := proc.Answers[protocol.Answer](out)
	for _, a := range said {
		if !slices.Contains(asked, a.Case) || slices.ContainsFunc(answers, func(b answer) bool { return a.Case == b.Case }) {
			return answers, broken("the worker answers for the case %q, which was not asked for, or twice", a.Case)
		}
		answers = append(answers, answer{Case: a.Case, Verdict: a.Verdict, Failed: a.Failed, Problem: a.Problem})
	}
	if unread != nil {
		return answers, broken("the worker's answers: %w", unread)
	}
	slices.SortFunc(answers, func(a, b answer) int { return slices.Index(asked, a.Case) - slices.Index(asked, b.Case) })
	return answers, nil
}

// built is a trial whose worker was built, or could not be.
type built struct {
	trial
	err     error
	seconds float64
}

func (c *campaign) run(ctx context.Context, p *gates.Pass) error {
	if len(c.faults) == 0 {
		p.Check(evidence.CouldNotTell("matrix.faults_selected", ID, "at least one fault", "the selection has no fault", "leave -only out"))
		return fmt.Errorf("%w: the selection has no fault", gates.ErrNothingRan)
	}
	r := newReport(c.opts)
	trials := c.trials()
	began := time.Now()
	p.Progress(0, len(trials), "building the engine without a fault")
	for b := range c.builds(ctx, p, trials) {
		o, err := c.observe(ctx, p, b)
		if err != nil {
			return errors.Join(err, r.write(p))
		}
		r.add(o)
		if err := r.write(p); err != nil { // what is known is kept, whatever happens later
			return err
		}
		if b.fault == nil && o.Outcome != survived {
			r.controlChecks(p)
			p.Fact("the engine without a fault is not green in %d of %d cases", o.wrong(), len(b.cases))
			return nil
		}
		done := len(r.Faults) + 1
		text := r.fact()
		if done < len(trials) {
			left := time.Since(began) / time.Duration(done) * time.Duration(len(trials)-done)
			text += ", eta " + left.Round(time.Second).String()
		}
		p.Progress(done, len(trials), text+", "+b.name)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.checks(p)
	return nil
}

// builds builds the workers one after the other, always one ahead of the trial that is
// carried out, until the caller breaks the loop or the context ends.
func (c *campaign) builds(ctx context.Context, p *gates.Pass, trials []trial) func(yield func(built) bool) {
	return func(yield func(built) bool) {
		ctx, cancel := context.WithCancel(ctx)
		ready := make(chan built)
		go func() {
			defer close(ready)
			for _, t := range trials {
				began := time.Now()
				b := built{trial: t, err: c.build(ctx, p, t)}
				b.seconds = time.Since(began).Seconds()
				select {
				case ready <- b:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range ready { // until the builder has let go of its files
			}
		}()
		for b := range ready {
			if !yield(b) {
				return
			}
		}
	}
}

// observe carries out a trial and says what came of it. The error is not of the trial.
func (c *campaign) observe(ctx context.Context, p *gates.Pass, b built) (observation, error) {
	o := observation{Name: b.name, BuildSeconds: b.seconds}
	if b.fault != nil {
		o.Area, o.Doc, o.File, o.Cases = b.fault.Area, b.fault.Doc, b.fault.File, b.fault.Cases
	} else {
		o.Cases = b.cases
	}
	err := b.err
	if err == nil {
		began := time.Now()
		o.Answers, err = c.carry(ctx, p, b.trial, c.opts)
		o.CarrySeconds = time.Since(began).Seconds()
	}
	switch {
	case ctx.Err() != nil:
		return o, context.Cause(ctx)
	case err != nil && !errors.Is(err, errBroken):
		return o, err
	}
	o.judge(err)
	return o, nil
}
