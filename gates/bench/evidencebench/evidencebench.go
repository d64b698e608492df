// Package evidencebench measures what evidence costs: sealing and verifying
// against openssl and against plain hashing, the log by the record, bundles
// against a cosign process each, and the memory that all of that takes.
//
// Each piece of the work is done in a process of its own, the program in
// worker. The sides of a comparison take turns, and the median of the ratios
// within the rounds counts, so that a machine that slows down moves it little.
// All limits are ratios but two: the processor time of a record in the log, and
// the memory for a file more.
package evidencebench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/proc"
)

// ID is the name of the gate.
const ID = "bench:evidence"

// Area is the folder below the artifacts that the runs go to.
const Area = "benchmarks"

// The limits hold for this many rounds, and at this scale.
const (
	wholeRounds = 3
	wholeScale  = 1
)

// Options of the measurement.
type Options struct {
	// Rounds is how often everything is measured; 3 if 0.
	Rounds int `json:"rounds"`
	// Scale multiplies sizes and counts; 1 if 0.
	Scale float64 `json:"scale"`
	// Only names parts: file, cores, small, log, bundles, memory; all of them when empty.
	Only []string `json:"only,omitempty"`
	// Cosign is the program that the part bundles is held against; without it,
	// the part is left out. Where it lies is no part of the record.
	Cosign string `json:"-"`
	// Limits replaces limits by the name of the check and its subject, for
	// example "bench.evidence.throughput seal"; for tests.
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

// scaled is a number at the scale of the run, at least 1.
func (o Options) scaled(n int) int { return max(int(float64(n)*o.Scale), 1) }

// Validate refuses options that name no part or no number. The error is a *[gates.UsageError].
func (o Options) Validate() error {
	_, err := newBench(o.defaults())
	return err
}

// Gate measures evidence.
func Gate(o Options) gates.Gate {
	b, err := newBench(o.defaults())
	if err != nil {
		b = &bench{opts: o.defaults(), wrong: err}
	}
	return b.gate()
}

func (b *bench) gate() gates.Gate {
	step := gates.Step{
		ID: ID, Doc: "Evidence costs little more than the hashing in it, and verifying it far less than other tools ask for.",
		Runbook: "docs/runbooks.md#bench-evidence", Commands: b.commands, Run: b.run,
	}
	o := b.opts
	return gates.Gate{
		ID: ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step},
		Partial: len(o.Only)+len(o.Limits) > 0 || o.Scale != wholeScale || o.Rounds < wholeRounds,
	}
}

// bench is one run of the gate.
type bench struct {
	opts  Options
	parts []part
	// processors of this machine that the run may use.
	processors int
	// builds make the worker; tests have another. openssl is the peer of the part file.
	builds  []proc.Command
	openssl string
	// wrong is why the options cannot be used.
	wrong error
}

func newBench(o Options) (*bench, error) {
	b := &bench{opts: o, processors: runtime.GOMAXPROCS(0), openssl: "openssl", builds: []proc.Command{{
		Name: "go", Args: []string{"build", "-trimpath", "-o", workerPath, "./gates/bench/evidencebench/worker"}, Env: []string{"CGO_ENABLED=0"},
	}}}
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
	return b, nil
}

// The programs, under names that are the same on every machine.
const (
	workerPath = "$SCRATCH/worker"
	cosignPath = "$SCRATCH/cosign"
)

func (b *bench) commands(string) ([]proc.Command, error) {
	if b.wrong != nil {
		return nil, b.wrong
	}
	all := slices.Clone(b.builds)
	for _, p := range b.parts {
		all = append(all, p.commands(b)...)
	}
	return all, nil
}

func (b *bench) run(ctx context.Context, p *gates.Pass) error {
	if b.wrong != nil {
		return b.wrong
	}
	p.Progress(0, 0, "building the worker")
	for _, c := range b.builds {
		if _, err := p.Exec(ctx, c, proc.Options{}); err != nil {
			return err
		}
	}
	f := Figures{Options: b.opts, Machine: figures.ThisMachine(b.processors)}
	made := map[string]bool{}
	for i, t := range b.parts {
		part := &figures.Part{ID: t.id, Work: t.work}
		l := &lab{bench: b, p: p, part: part, made: made, progress: func(round int, text string) {
			p.Progress(i*b.opts.Rounds+round, len(b.parts)*b.opts.Rounds, t.id+": "+text)
		}}
		err := t.measure(ctx, l)
		if ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if err != nil { // the other parts can still be told
			p.Logf("%s: %v", t.id, err)
			part.CannotTell("bench.evidence.part", t.id, t.work, err.Error())
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
	p.Fact("%s, %d rounds at scale %g on %d processors", figures.Report(p, "docs/runbooks.md#bench-evidence", f.Parts), b.opts.Rounds, b.opts.Scale, b.processors)
	return nil
}

// link gives a program a name in the step's own directory.
func link(p *gates.Pass, program, name string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	return os.Symlink(program, p.Expand(name))
}
