package fault

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/spelling"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// ID is the name of the gate.
const ID = "matrix:faults"

// Area is the folder below the artifacts that the runs go to.
const Area = "integration_matrix"

// wholeRows is the number of rows for which the catalogue holds.
const wholeRows = 400

// Options of the gate.
type Options struct {
	// Only names faults; all of them when empty.
	Only []string `json:"only,omitempty"`
	// Rows are the rows before the change in each case; 400 if 0.
	Rows int64 `json:"rows"`
	// Jobs is how many cases of one fault are carried out at once; one a processor if 0.
	Jobs int `json:"jobs"`
	// Seed chooses the values; 1 if 0.
	Seed uint64 `json:"seed"`
}

func (o Options) defaults() Options {
	if o.Rows == 0 {
		o.Rows = wholeRows
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	return o
}

// Validate refuses options that name no fault of the catalogue, or no number. The error is a *[gates.UsageError].
func (o Options) Validate() error {
	o = o.defaults()
	ids := names(Catalogue())
	for _, id := range o.Only {
		if slices.Contains(ids, id) {
			continue
		}
		hint := "the catalogue has " + strings.Join(ids, ", ")
		if near := spelling.Nearest(id, ids, max(3, len(id)/3)); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return &gates.UsageError{Problem: fmt.Sprintf("%s: there is no fault %q; %s", ID, id, hint)}
	}
	if o.Rows < 0 || o.Jobs < 0 {
		return &gates.UsageError{Problem: fmt.Sprintf("%s: %d rows and %d jobs; both are at least 1", ID, o.Rows, o.Jobs)}
	}
	return nil
}

func names(faults []Fault) []string {
	ids := make([]string, len(faults))
	for i := range faults {
		ids[i] = faults[i].ID
	}
	return ids
}

// Gate plants each fault of the catalogue in the engine and holds that at least 95 % of
// them make a case of the matrix red.
func Gate(o Options) gates.Gate {
	o = o.defaults()
	c := &campaign{opts: o, faults: Catalogue(), build: build, carry: carry}
	if len(o.Only) > 0 {
		c.faults = slices.DeleteFunc(c.faults, func(f Fault) bool { return !slices.Contains(o.Only, f.ID) })
	}
	return c.gate()
}

// campaign is one run of the gate.
type campaign struct {
	opts   Options
	faults []Fault
	// build makes the worker of a trial, and carry carries its cases out with it. Tests put others in their place.
	build func(ctx context.Context, p *gates.Pass, t trial) error
	carry func(ctx context.Context, p *gates.Pass, t trial, o Options) ([]answer, error)
}

func (c *campaign) gate() gates.Gate {
	step := gates.Step{
		ID: ID, Doc: "The matrix can fail: of the faults that are planted in the engine, at least 95 % make a case red.",
		Runbook: "docs/runbooks.md#matrix-faults", Commands: c.commands, Run: c.run,
	}
	return gates.Gate{
		ID: ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: c.opts, Steps: []gates.Step{step},
		Partial: len(c.opts.Only) > 0 || c.opts.Rows != wholeRows,
	}
}

// trial is the engine with one fault, or without any.
type trial struct {
	name  string
	fault *Fault // nil for the control
	cases []string
}

const control = "control"

// trials are the control, with every case that any fault names, and the faults.
func (c *campaign) trials() []trial {
	all := []trial{{name: control}}
	for i := range c.faults {
		f := &c.faults[i]
		all = append(all, trial{name: f.ID, fault: f, cases: f.Cases})
		for _, id := range f.Cases {
			if !slices.Contains(all[0].cases, id) {
				all[0].cases = append(all[0].cases, id)
			}
		}
	}
	slices.Sort(all[0].cases)
	return all
}

// Where the things of a trial are.
func (t trial) worker() string  { return "$SCRATCH/worker-" + t.name }
func (t trial) dir() string     { return "$SCRATCH/" + t.name }
func (t trial) request() string { return t.dir() + "/request.json" }

func (t trial) buildCommand() proc.Command {
	args := []string{"build", "-trimpath"}
	if t.fault != nil {
		args = append(args, "-overlay="+t.dir()+"/"+overlayJSON)
	}
	return proc.Command{Name: "go", Args: append(args, "-o", t.worker(), "./gates/matrix/worker"), Env: []string{"CGO_ENABLED=0"}}
}

func (t trial) carryCommand() proc.Command {
	return proc.Command{Name: t.worker(), Args: []string{"cases", t.request()}}
}

func (c *campaign) commands(string) ([]proc.Command, error) {
	var all []proc.Command
	if len(c.faults) == 0 {
		return nil, nil
	}
	for _, t := range c.trials() {
		all = append(all, t.buildCommand(), t.carryCommand())
	}
	return all, nil
}

// errBroken says that a trial could not be carried out, which tells nothing of the matrix.
var errBroken = errors.New("the trial is broken")

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errBroken, fmt.Errorf(format, args...))
}
