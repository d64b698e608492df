// Package matrixbench measures the matrix of source, sink and load strategy: that all of
// its cases fit the time of "mage ci", that the engine moves rows about as fast as the
// fastest plain tool of each pair, that laying out and checking take less than what is
// checked, that time grows with rows and cases and no faster, and that shards help.
//
// Everything is measured in one run and in processes of their own. The sides of a
// comparison take turns. Only the time of all mock_contract cases is held against the clock,
// since it is the promise of "mage ci"; all else are ratios.
package matrixbench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/proc"
)

// ID is the name of the gate.
const ID = "bench:matrix"

// Area is the folder below the artifacts that the runs go to.
const Area = "benchmarks"

// The limits hold for this many rounds, and at this scale.
const (
	wholeRounds = 3
	wholeScale  = 1
)

// Options of the measurement.
type Options struct {
	// Rounds is how often everything is measured; 3 if 0. The median counts.
	Rounds int `json:"rounds"`
	// Scale multiplies the 10,000 rows of a case; 1 if 0.
	Scale float64 `json:"scale"`
	// Only names parts: contract, local, linear, shards; all of them when empty.
	Only []string `json:"only,omitempty"`
	// Cases are the only cases to carry out; all of them when empty.
	Cases []string `json:"cases,omitempty"`
	// Limits replaces limits by the name of the check and its subject, for example
	// "bench.matrix.wall contract", or by the name of the check alone; for tests.
	Limits map[string]float64 `json:"limits,omitempty"`
}

func (o Options) defaults() Options {
	if o.Rounds == 0 {
		o.Rounds = wholeRounds
	}
	if o.Scale == 0 {
		o.Scale = wholeScale
	}
	return o
}

// rows of a case before the change.
func (o Options) rows() int64 { return max(int64(cases.DefaultRows*o.Scale), 1) }

// Validate refuses options that name no part, no case or no number. The error is a *[gates.UsageError].
func (o Options) Validate() error {
	_, err := newBench(o.defaults())
	return err
}

// Gate measures the matrix.
func Gate(o Options) gates.Gate {
	b, err := newBench(o.defaults())
	if err != nil {
		b = &bench{opts: o.defaults(), wrong: err}
	}
	return b.gate()
}

func (b *bench) gate() gates.Gate {
	step := gates.Step{
		ID: ID, Doc: "The matrix fits the time of mage ci, and the engine moves its rows about as fast as plain tools do.",
		Runbook: "docs/runbooks.md#bench-matrix", Commands: b.commands, Run: b.run,
	}
	o := b.opts
	return gates.Gate{
		ID: ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step},
		Partial: len(o.Only)+len(o.Cases)+len(o.Limits) > 0 || o.Scale != wholeScale || o.Rounds < wholeRounds,
	}
}

// bench is one run of the gate.
type bench struct {
	opts  Options
	parts []part
	cases []cases.Case // that may be carried out
	// processors of this machine that the run may use.
	processors int
	// builds make the two programs, and env are additions to the programs' environment; tests have others.
	builds []proc.Command
	env    []string
	// wrong is why the options cannot be used.
	wrong error
}

func newBench(o Options) (*bench, error) {
	b := &bench{opts: o, processors: runtime.GOMAXPROCS(0), builds: builds()}
	usage := func(format string, args ...any) error {
		return &gates.UsageError{Problem: ID + ": " + fmt.Sprintf(format, args...)}
	}
	var names []string
	for _, p := range parts() {
		names = append(names, p.id)
		if len(o.Only) == 0 || slices.Contains(o.Only, p.id) {
			b.parts = append(b.parts, p)
		}
	}
	for _, name := range o.Only {
		if !slices.Contains(names, name) {
			return nil, usage("%q is no part; they are %s", name, strings.Join(names, ", "))
		}
	}
	if o.Rounds < 1 || !(o.Scale > 0 && o.Scale <= 100) {
		return nil, usage("%d rounds at scale %g; rounds are at least 1, and the scale is above 0 and at most 100", o.Rounds, o.Scale)
	}
	registry, err := cases.Registry(connectors.All())
	if err != nil {
		return nil, usage("%v", err)
	}
	if b.cases, err = cases.Select(registry, cases.Selection{CaseIDs: o.Cases}); err != nil {
		return nil, usage("%v", err)
	}
	return b, nil
}

// The programs that do the work.
const (
	worker = "$SCRATCH/worker"
	plain  = "$SCRATCH/plain"
)

// builds are the commands that make them.
func builds() []proc.Command {
	build := func(to, from string) proc.Command {
		return proc.Command{Name: "go", Args: []string{"build", "-trimpath", "-o", to, from}, Env: []string{"CGO_ENABLED=0"}}
	}
	return []proc.Command{build(worker, "./gates/matrix/worker"), build(plain, "./gates/bench/matrixbench/plain")}
}

// carryCommand carries out the cases of a request, plainCommand moves their rows by plain tools.
func (b *bench) carryCommand(name string) proc.Command {
	env := b.env
	if name == single || strings.HasPrefix(name, shardRun) {
		env = append(slices.Clone(env), "GOMAXPROCS=1")
	}
	return proc.Command{Name: worker, Args: []string{"cases", "$SCRATCH/" + name + ".json"}, Env: env}
}

func (b *bench) plainCommand(name string) proc.Command {
	return proc.Command{Name: plain, Args: []string{"$SCRATCH/" + name + ".json"}, Env: b.env}
}

func (b *bench) commands(string) ([]proc.Command, error) {
	if b.wrong != nil {
		return nil, b.wrong
	}
	all := slices.Clone(b.builds)
	for _, p := range b.parts {
		for _, name := range p.requests {
			all = append(all, b.carryCommand(name))
		}
		for _, name := range p.plain {
			all = append(all, b.plainCommand(name))
		}
	}
	return all, nil
}

func (b *bench) run(ctx context.Context, p *gates.Pass) error {
	if b.wrong != nil {
		return b.wrong
	}
	p.Progress(0, 0, "building the programs")
	for _, c := range b.builds {
		if _, err := p.Exec(ctx, c, proc.Options{}); err != nil {
			return err
		}
	}
	f := Figures{Options: b.opts, Machine: figures.ThisMachine(b.processors)}
	for i, t := range b.parts {
		part := &Part{Part: figures.Part{ID: t.id, Work: t.work}}
		l := &lab{bench: b, p: p, part: part, progress: func(round int, text string) {
			p.Progress(i*b.opts.Rounds+round, len(b.parts)*b.opts.Rounds, t.id+": "+text)
		}}
		err := t.measure(ctx, l)
		if ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if err != nil { // the other parts can still be told
			p.Logf("%s: %v", t.id, err)
			part.CannotTell("bench.matrix.part", t.id, t.work, err.Error())
		}
		part.Settle(b.opts.Limits)
		f.Parts = append(f.Parts, part)
		if err := judge.Write(p, f, f.table()); err != nil { // what is measured is kept, whatever happens later
			return err
		}
	}
	table := f.table()
	p.Logf("%s", table)
	p.Show(table)
	p.Fact("%s, %d rounds of %d rows on %d processors", figures.Report(p, "docs/runbooks.md#bench-matrix", f.parts()), b.opts.Rounds, b.opts.rows(), b.processors)
	return nil
}
