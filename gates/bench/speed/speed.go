// Package speed holds the engine against the programs of PostgreSQL itself: psql
// with COPY between two databases, and the statements that one would write by
// hand. Targets are ratios against that peer in the same run, never times.
//
// Both sides do the same work on the same throwaway server: the same rows, the
// same transport, one transaction. The sides of a row of the table take turns,
// after one turn that warms up, is not counted, and shows that they leave the same
// rows behind. Before each turn the server writes a checkpoint, and the target is
// put back.
package speed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/proc"
)

// ID is the name of the gate.
const ID = "bench:engine"

// Area is the folder below the artifacts that the runs go to.
const Area = "benchmarks"

// The floors and the sizes of the table hold for this many rounds, and at this scale.
const (
	wholeRounds = 5
	wholeScale  = 1
)

// Options of the comparison.
type Options struct {
	// Rounds is how often each side is measured; 5 if 0. The median counts.
	Rounds int `json:"rounds"`
	// Scale multiplies the numbers of rows; 1 if 0.
	Scale float64 `json:"scale"`
	// Only names rows of the table; all of them when empty.
	Only []string `json:"only,omitempty"`
	// Floors replaces limits by the name of the check and of the row, for
	// example "bench.engine.speed wide"; for tests.
	Floors map[string]float64 `json:"floors,omitempty"`
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

// Validate refuses options that name no row of the table or no number. The error is a *[gates.UsageError].
func (o Options) Validate() error {
	o = o.defaults()
	var names []string
	for _, e := range entries(o) {
		names = append(names, e.id)
	}
	for _, name := range o.Only {
		if !slices.Contains(names, name) {
			return &gates.UsageError{Problem: fmt.Sprintf("%s: %q is no row of the table; they are %s", ID, name, strings.Join(names, ", "))}
		}
	}
	if o.Rounds < 0 || o.Scale < 0 || o.Scale > 100 {
		return &gates.UsageError{Problem: fmt.Sprintf("%s: %d rounds at scale %g; rounds are at least 1, and the scale is above 0 and at most 100", ID, o.Rounds, o.Scale)}
	}
	return nil
}

// Gate compares the engine with its peers.
func Gate(o Options) gates.Gate {
	o = o.defaults()
	return gate(o, entries(o))
}

func gate(o Options, all []*entry) gates.Gate {
	b := &comparison{opts: o}
	for _, e := range all {
		if len(o.Only) == 0 || slices.Contains(o.Only, e.id) {
			b.entries = append(b.entries, e)
		}
	}
	step := gates.Step{
		ID: ID, Doc: "The engine keeps its speed, processor time and memory, measured against the programs of PostgreSQL.",
		Runbook: "docs/runbooks.md#bench-engine", Commands: b.commands, Run: b.run,
	}
	return gates.Gate{
		ID: ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step},
		Partial: len(o.Only) > 0 || o.Scale != wholeScale || o.Rounds < wholeRounds || len(o.Floors) > 0,
	}
}

type comparison struct {
	opts    Options
	entries []*entry
}

func buildRunner() proc.Command {
	return proc.Command{Name: "go", Args: []string{"build", "-trimpath", "-o", "$SCRATCH/runner", "./gates/bench/speed/runner"}, Env: []string{"CGO_ENABLED=0"}}
}

func (b *comparison) commands(string) ([]proc.Command, error) {
	all := []proc.Command{buildRunner()}
	for _, e := range b.entries {
		for _, s := range e.sides {
			all = append(all, s.command)
		}
	}
	return all, nil
}

// settings of the server: those of a server that is there to load data, with
// everything that makes a commit safe left on.
func settings() map[string]string {
	return map[string]string{
		"shared_buffers":     "2GB",
		"max_wal_size":       "8GB",
		"min_wal_size":       "2GB",
		"checkpoint_timeout": "1h",  // checkpoints come between the turns, not within
		"autovacuum":         "off", // it would come at any time; what it does is done between the turns
	}
}

func (b *comparison) run(ctx context.Context, p *gates.Pass) (err error) {
	p.Progress(0, 0, "building the runner")
	if _, err := p.Exec(ctx, buildRunner(), proc.Options{}); err != nil {
		return err
	}
	p.Progress(0, 0, "starting a server")
	opts := pgserver.FromEnvironment()
	opts.DSN = "" // a server that others use has other work to do, and other settings
	opts.TCP, opts.Durable, opts.Settings = true, true, settings()
	opts.Log = func(line string) { p.Logf("%s", line) }
	server, err := pgserver.Start(ctx, opts)
	if errors.Is(err, pgserver.ErrNoServer) {
		return fmt.Errorf("%w: %w", gates.ErrNothingRan, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(context.WithoutCancel(ctx))) }()
	l, err := open(ctx, p, server)
	if err != nil {
		return err
	}
	defer l.close(ctx)
	l.run = func(ctx context.Context, s side) error {
		_, err := b.turn(ctx, p, l, s)
		return err
	}
	f := Figures{Options: b.opts}
	if f.Machine, err = l.machine(ctx); err != nil {
		return err
	}
	for i, e := range b.entries {
		row, err := b.row(ctx, p, l, e, func(round int) {
			p.Progress(i*(b.opts.Rounds+1)+round, len(b.entries)*(b.opts.Rounds+1), e.id)
		})
		if ctx.Err() != nil {
			return err
		}
		if err != nil { // the other rows can still be told
			p.Logf("%s: %v", e.id, err)
			row.Broken, row.Sides, row.Judged = err.Error(), nil, nil
		}
		f.Rows = append(f.Rows, row)
		if err := judge.Write(p, f, f.table()); err != nil { // what is measured is kept, whatever happens later
			return err
		}
	}
	return b.report(p, f)
}

// unsupportedError says that the engine does not do this work, or not yet.
type unsupportedError struct{ reason string }

func (e *unsupportedError) Error() string { return e.reason }

// unsupported are the codes of such runs.
func unsupported(code string) bool {
	return slices.Contains([]string{"strategy.source", "strategy.sink", "connector.unknown"}, code)
}

// row measures one row of the table, or says why it cannot.
func (b *comparison) row(ctx context.Context, p *gates.Pass, l *lab, e *entry, progress func(round int)) (Row, error) {
	row := Row{ID: e.id, Work: e.work, Against: e.against}
	if e.missing != nil {
		if row.Skipped = e.missing(); row.Skipped != "" {
			return row, nil
		}
	}
	progress(0)
	err := b.compare(ctx, p, l, e, &row, progress)
	var not *unsupportedError
	if errors.As(err, &not) {
		row.Skipped, row.Sides = not.reason, nil
		return row, nil
	}
	return row, err
}

// compare measures the sides of one row in turns.
func (b *comparison) compare(ctx context.Context, p *gates.Pass, l *lab, e *entry, row *Row, progress func(round int)) error {
	for _, s := range e.sides {
		row.Sides = append(row.Sides, Side{Name: s.name, Engine: s.engine})
		if s.manifest == "" {
			continue
		}
		text := p.Expand(s.manifest)
		if err := os.WriteFile(filepath.Join(p.Scratch, s.file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if e.prepare != nil {
		if err := e.prepare(ctx, l); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	if e.cleanup != nil {
		defer func() { e.cleanup(context.WithoutCancel(ctx), l) }()
	}
	contents := map[string]string{}
	for round := range b.opts.Rounds + 1 {
		progress(round)
		if e.before != nil {
			if err := e.before(ctx, l); err != nil {
				return fmt.Errorf("before round %d: %w", round, err)
			}
		}
		for turn := range e.sides {
			i := (turn + round) % len(e.sides) // so that no side always follows the same one
			s := e.sides[i]
			sample, err := b.turn(ctx, p, l, s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 {
				row.Sides[i].Samples = append(row.Sides[i].Samples, sample)
				continue
			}
			if err := same(ctx, l, s, contents); err != nil {
				return err
			}
		}
	}
	for i := range row.Sides {
		row.Sides[i].sum()
	}
	row.Judged = e.judge(row)
	return nil
}

// turn runs one side once.
func (b *comparison) turn(ctx context.Context, p *gates.Pass, l *lab, s side) (Sample, error) {
	// The checkpoint comes first: the pages that the target is put back in are then
	// those that have been written since, as on a server that is at work.
	if err := l.target(ctx, "CHECKPOINT"); err != nil {
		return Sample{}, err
	}
	if s.reset != nil {
		if err := s.reset(ctx, l); err != nil {
			return Sample{}, fmt.Errorf("put the target back: %w", err)
		}
	}
	before, err := l.position(ctx)
	if err != nil {
		return Sample{}, err
	}
	options := proc.Options{}
	if s.engine {
		options.Capture = 16 << 20
	}
	result, err := p.Exec(ctx, s.command, options)
	if err != nil {
		return Sample{}, err
	}
	after, err := l.position(ctx)
	if err != nil {
		return Sample{}, err
	}
	sample := Sample{Seconds: result.Duration.Seconds(), CPU: result.CPU.Seconds(), RSS: result.MaxRSS, WAL: after - before}
	if s.engine {
		var report struct {
			Passed    bool
			Phases    json.RawMessage
			Resources struct {
				MaxRSS int64 `json:"max_rss"`
			}
			Result struct {
				Code   string `json:"error_code"`
				Errors []string
			}
		}
		if err := json.Unmarshal(result.Stdout, &report); err != nil {
			return sample, fmt.Errorf("the report of the run: %w", err)
		}
		if unsupported(report.Result.Code) {
			return sample, &unsupportedError{"the engine does not do this: " + strings.Join(report.Result.Errors, "; ")}
		}
		if !report.Passed {
			return sample, fmt.Errorf("the run failed: %s", strings.Join(report.Result.Errors, "; "))
		}
		sample.Phases = report.Phases
		if report.Resources.MaxRSS > 0 {
			// What the system tells of a child holds the memory of this process, too.
			sample.RSS = report.Resources.MaxRSS
		}
	}
	if s.table != "" {
		n, err := l.count(ctx, s.table)
		if err != nil {
			return sample, err
		}
		if n != s.rows {
			return sample, fmt.Errorf("it left %d rows in %s, and not %d", n, s.table, s.rows)
		}
	}
	return sample, nil
}

// same holds that all sides of a group leave the same rows.
func same(ctx context.Context, l *lab, s side, contents map[string]string) error {
	if s.group == "" {
		return nil
	}
	content, err := l.content(ctx, s.table)
	if err != nil {
		return err
	}
	if first, ok := contents[s.group]; ok && first != content {
		return fmt.Errorf("%s left other rows in %s than the side before it", s.name, s.table)
	}
	contents[s.group] = content
	return nil
}
