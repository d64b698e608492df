// Package bench compares gates with what one would do without them. Targets
// are ratios against a peer in the same run, never times.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/tool"
)

// Area is the folder below the artifacts that the runs go to.
const Area = "benchmarks"

// The limits that the default gate has to keep.
const (
	maxWarmRatio = 1.1 // of the slowest chain of commands, typed by hand
	maxColdRatio = 1.0 // of the sum of all commands
	maxOverhead  = 500 * time.Millisecond
	maxStartup   = 20 * time.Millisecond
)

// Options of the comparison.
type Options struct {
	// Rounds is how often each side runs warm; 3 if 0. The median counts.
	Rounds int `json:"rounds"`
	// Cold also compares with empty caches, once: it builds every tool and
	// every package twice.
	Cold bool `json:"cold"`
	// Binary is the name of the compiled gate binary.
	Binary string `json:"binary"`
}

// Figures are the result, in seconds, written to bench.json.
type Figures struct {
	Hand     map[string]float64 `json:"hand_seconds"` // by step, warm, median
	Chain    string             `json:"slowest_chain"`
	Gate     []float64          `json:"gate_seconds"` // warm, each round
	Warm     float64            `json:"warm_ratio"`   // gate / slowest chain
	HandCold map[string]float64 `json:"hand_cold_seconds,omitempty"`
	GateCold float64            `json:"gate_cold_seconds,omitempty"`
	Cold     float64            `json:"cold_ratio,omitempty"` // gate / sum
	Overhead float64            `json:"overhead_seconds"`     // of a run that does nothing
	Startup  float64            `json:"startup_seconds"`
}

// CI compares the gate, as "mage ci" runs it, with the commands of its plan
// typed one after another.
func CI(gate gates.Gate, o Options) gates.Gate {
	if o.Rounds == 0 {
		o.Rounds = 3
	}
	b := &comparison{gate: gate, opts: o}
	step := gates.Step{
		ID: "bench:ci", Doc: "mage ci takes hardly longer than its slowest chain of commands typed by hand.",
		Runbook: "docs/runbooks.md#bench-ci", Tools: b.tools, Commands: b.commands, Run: b.run,
	}
	return gates.Gate{
		ID: step.ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o,
		Steps: []gates.Step{step}, Circumstances: gate.Circumstances,
	}
}

// comparison holds what the parts of the step share.
type comparison struct {
	gate gates.Gate
	opts Options
}

func (b *comparison) tools(root string) []tool.Tool {
	var all []tool.Tool
	for _, step := range b.gate.Steps {
		all = append(all, toolsOf(root, step)...)
	}
	return all
}

// caches are the variables that lead to caches, and so make a run cold.
var caches = []string{"GOCACHE", "GOLANGCI_LINT_CACHE", "DPONE_TOOL_CACHE", "MAGEFILE_CACHE"}

func cold(side string) []string {
	var env []string
	for _, name := range caches {
		env = append(env, name+"=$SCRATCH/"+side+"/"+strings.ToLower(name))
	}
	return env
}

func (b *comparison) mage(env ...string) proc.Command {
	return proc.Command{Name: "go", Args: []string{"tool", "mage", b.gate.ID}, Env: append([]string{"DPONE_OUTPUT=json"}, env...)}
}

func (b *comparison) compile() proc.Command {
	return proc.Command{Name: "go", Args: []string{"tool", "mage", "-compile", "$SCRATCH/" + b.opts.Binary}, Env: []string{"GOFLAGS=-trimpath"}}
}

func (b *comparison) compiled(args ...string) proc.Command {
	return proc.Command{Name: "$SCRATCH/" + b.opts.Binary, Args: args}
}

// byHand are the commands of one step as one would type them: in the tree, and
// not in copies of it.
func byHand(root string, step gates.Step, env ...string) ([]proc.Command, error) {
	if step.Commands == nil {
		return nil, nil
	}
	commands, err := step.Commands(root)
	for i := range commands {
		c := &commands[i]
		c.Args, c.Env = slices.Clone(c.Args), append(slices.Clone(c.Env), env...)
		if strings.HasPrefix(c.Dir, "$SCRATCH") {
			c.Dir = ""
		}
	}
	return commands, err
}

// build is how one would get a tool by hand.
func build(t tool.Tool, env []string) (proc.Command, error) {
	spec, err := t.Read()
	return proc.Command{
		Name: "go", Args: []string{"build", "-trimpath", "-o", "$SCRATCH/by-hand/" + t.Name, spec.Package},
		Dir: filepath.Join("magefiles", "tools", t.Name), Env: append([]string{"CGO_ENABLED=0"}, env...),
	}, err
}

func (b *comparison) commands(root string) ([]proc.Command, error) {
	all := []proc.Command{b.mage(), b.compile(), b.compiled("-l"), b.compiled("ci:tree"), b.mage(cold("gate")...)}
	for _, env := range [][]string{nil, cold("hand")} {
		for _, step := range b.gate.Steps {
			commands, err := byHand(root, step, env...)
			if err != nil {
				return nil, err
			}
			all = append(all, commands...)
			for _, t := range toolsOf(root, step) {
				c, err := build(t, env)
				if err != nil {
					return nil, err
				}
				all = append(all, c)
			}
		}
	}
	return all, nil
}

func toolsOf(root string, step gates.Step) []tool.Tool {
	if step.Tools == nil {
		return nil
	}
	return step.Tools(root)
}

// timed runs a command and returns how long it took, in seconds. A command
// that is not green stopped early, so its time says nothing.
func timed(ctx context.Context, p *gates.Pass, c proc.Command) (float64, error) {
	result, err := p.Exec(ctx, c, proc.Options{Stdout: &proc.Buffer{}})
	if err != nil {
		return 0, fmt.Errorf("compare on a green tree: %w", err)
	}
	return result.Duration.Seconds(), nil
}

// hand runs every chain and returns its time by step.
func (b *comparison) hand(ctx context.Context, p *gates.Pass, coldRun bool) (map[string]float64, error) {
	var env []string
	if coldRun {
		env = cold("hand")
	}
	times := map[string]float64{}
	for _, step := range b.gate.Steps {
		commands, err := byHand(p.Root, step, env...)
		if err != nil {
			return nil, err
		}
		if coldRun {
			for _, t := range toolsOf(p.Root, step) {
				c, err := build(t, env)
				if err != nil {
					return nil, err
				}
				commands = append([]proc.Command{c}, commands...)
			}
		}
		for _, c := range commands {
			seconds, err := timed(ctx, p, c)
			if err != nil {
				return nil, err
			}
			times[step.ID] += seconds
		}
	}
	return times, nil
}

func (b *comparison) run(ctx context.Context, p *gates.Pass) error {
	for _, dir := range []string{"out/1", "out/2", "by-hand"} {
		if err := os.MkdirAll(filepath.Join(p.Scratch, dir), 0o755); err != nil {
			return err
		}
	}
	rounds := b.opts.Rounds
	total := rounds + 2
	p.Progress(0, total, "warming up")
	// The first run of each side fills the caches and is not counted.
	if _, err := b.hand(ctx, p, false); err != nil {
		return err
	}
	if _, err := timed(ctx, p, b.mage()); err != nil {
		return err
	}
	f := Figures{Hand: map[string]float64{}}
	hands := map[string][]float64{}
	for round := range rounds {
		p.Progress(round+1, total, "warm")
		times, err := b.hand(ctx, p, false)
		if err != nil {
			return err
		}
		for id, seconds := range times {
			hands[id] = append(hands[id], seconds)
		}
		seconds, err := timed(ctx, p, b.mage())
		if err != nil {
			return err
		}
		f.Gate = append(f.Gate, seconds)
	}
	for id, times := range hands {
		f.Hand[id] = median(times)
		if f.Hand[id] > f.Hand[f.Chain] || f.Chain == "" {
			f.Chain = id
		}
	}
	f.Warm = median(f.Gate) / f.Hand[f.Chain]
	p.Progress(rounds+1, total, "runner alone")
	if err := b.alone(ctx, p, &f); err != nil {
		return err
	}
	if b.opts.Cold {
		p.Progress(rounds+1, total, "cold")
		if err := b.cold(ctx, p, &f); err != nil {
			return err
		}
	}
	return b.report(p, f)
}

// alone measures the runner without work: starting, and a run that only looks
// at the working tree.
func (b *comparison) alone(ctx context.Context, p *gates.Pass, f *Figures) error {
	if _, err := timed(ctx, p, b.compile()); err != nil {
		return err
	}
	var starts, runs []float64
	for range 11 {
		start, err := timed(ctx, p, b.compiled("-l"))
		if err != nil {
			return err
		}
		run, err := timed(ctx, p, b.compiled("ci:tree"))
		if err != nil {
			return err
		}
		starts, runs = append(starts, start), append(runs, run)
	}
	f.Startup, f.Overhead = median(starts), median(runs)
	return nil
}

func (b *comparison) cold(ctx context.Context, p *gates.Pass, f *Figures) (err error) {
	if f.GateCold, err = timed(ctx, p, b.mage(cold("gate")...)); err != nil {
		return err
	}
	if f.HandCold, err = b.hand(ctx, p, true); err != nil {
		return err
	}
	sum := 0.0
	for _, seconds := range f.HandCold {
		sum += seconds
	}
	f.Cold = f.GateCold / sum
	return nil
}

func (b *comparison) report(p *gates.Pass, f Figures) error {
	raw, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := p.Folder().WriteFile("bench.json", append(raw, '\n')); err != nil {
		return err
	}
	if err := p.Folder().WriteFile("bench.md", []byte(f.table())); err != nil {
		return err
	}
	p.Logf("%s", f.table())
	const fix = "see bench.md; run again on a quiet machine before looking for the cause"
	atMost := func(code string, value, limit float64, format string) {
		want := "at most " + fmt.Sprintf(format, limit)
		observed := want
		if value > limit {
			observed = "more than " + fmt.Sprintf(format, limit)
		}
		p.Measure(evidence.Expect(code, b.gate.ID, value <= limit, observed, want, fix), fmt.Sprintf(format, value))
	}
	atMost("bench.ci.warm", f.Warm, maxWarmRatio, "%.2fx the slowest chain")
	atMost("bench.ci.overhead", f.Overhead, maxOverhead.Seconds(), "%.3f s")
	atMost("bench.ci.startup", f.Startup, maxStartup.Seconds(), "%.4f s")
	fact := fmt.Sprintf("warm %.2fx of %s, overhead %.0f ms, start %.1f ms", f.Warm, f.Chain, f.Overhead*1e3, f.Startup*1e3)
	if b.opts.Cold {
		atMost("bench.ci.cold", f.Cold, maxColdRatio, "%.2fx the sum")
		fact += fmt.Sprintf(", cold %.2fx of the sum", f.Cold)
	}
	p.Fact("%s", fact)
	return nil
}

func (f Figures) table() string {
	var b bytes.Buffer
	b.WriteString("| Step | By hand, warm s | By hand, cold s |\n| --- | ---: | ---: |\n")
	warm, coldSum := 0.0, 0.0
	ids := make([]string, 0, len(f.Hand))
	for id := range f.Hand {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f |\n", id, f.Hand[id], f.HandCold[id])
		warm += f.Hand[id]
		coldSum += f.HandCold[id]
	}
	fmt.Fprintf(&b, "| sum | %.2f | %.2f |\n", warm, coldSum)
	fmt.Fprintf(&b, "| mage ci | %.2f | %.2f |\n", median(f.Gate), f.GateCold)
	fmt.Fprintf(&b, "\nWarm: %.2f of the slowest chain (%s), rounds %.2f. Runner alone %.3f s, start %.4f s.\n", f.Warm, f.Chain, f.Gate, f.Overhead, f.Startup)
	return b.String()
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
