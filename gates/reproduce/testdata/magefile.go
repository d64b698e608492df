//go:build mage

// Targets to run again.
package main

import (
	"context"
	"embed"
	"os"
	"strings"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/reproduce"
	"github.com/dpone/dpone/gates/target"
)

//go:embed *.go
var sources embed.FS

func init() { target.Guard(sources) }

func gate(id string, options any, steps ...gates.Step) gates.Gate {
	for i := range steps {
		steps[i].Doc, steps[i].Runbook = "It is so.", "docs/runbooks.md#facts"
	}
	return gates.Gate{ID: id, Doc: "All is so.", Runbook: "docs/runbooks.md#facts", Area: "x/y", Options: options, Inputs: []string{"go.mod", "ignored.input"}, Steps: steps}
}

// file is a step that holds that a file says yes. Without the file it cannot tell.
func file(id, name string) gates.Step {
	return gates.Step{ID: id, Run: func(_ context.Context, p *gates.Pass) error {
		raw, err := os.ReadFile(name)
		text := strings.TrimSpace(string(raw))
		if err != nil {
			p.Check(evidence.CouldNotTell("facts.file", name, "yes", "there is no such file", "write it"))
		} else {
			p.Check(evidence.Expect("facts.file", name, text == "yes", text, "yes", "write yes"))
		}
		return nil
	}}
}

// variable is a step that tells whether a variable is set.
func variable(id, name string) gates.Step {
	return gates.Step{ID: id, Run: func(_ context.Context, p *gates.Pass) error {
		observed := "not set"
		if os.Getenv(name) != "" {
			observed = "set"
		}
		p.Check(evidence.Expect("facts.variable", name, true, observed, "anything", ""))
		return nil
	}}
}

// Facts looks at files and variables.
func Facts(ctx context.Context, words *string, n *int, plan *bool, timeout *time.Duration) error {
	options := map[string]any{"words": words, "n": n}
	return target.Run(ctx, gate("facts", options, file("facts:tracked", "tracked.txt"), file("facts:ignored", "ignored.txt"),
		variable("facts:stray", "STRAY"), variable("facts:secret", "X_TOKEN"), variable("facts:key", "DPONE_LOG_KEY")), target.Flags{Plan: plan, Timeout: timeout})
}

// Aliases are short names.
var Aliases = map[string]interface{}{"f": Facts}

// Slow waits until it is stopped.
func Slow(ctx context.Context, plan *bool) error {
	step := gates.Step{ID: "slow", Run: func(ctx context.Context, p *gates.Pass) error {
		if _, err := os.Stat("fast"); err == nil {
			p.Check(evidence.Expect("facts.slow", "it", true, "so", "so", ""))
			return nil
		}
		if err := os.WriteFile("started", nil, 0o644); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	return target.Run(ctx, gate("slow", nil, step), target.Flags{Plan: plan})
}

// Live changes what nobody can put back.
func Live(ctx context.Context, plan *bool) error {
	return target.Run(ctx, gate("live", nil, variable("live", "X")), target.Flags{Plan: plan})
}

// Renamed is a gate of another name than the target's.
func Renamed(ctx context.Context, plan *bool) error {
	return target.Run(ctx, gate("facts", nil, variable("facts", "X")), target.Flags{Plan: plan})
}

// Ruin is no gate.
func Ruin(out *string) error { return os.WriteFile("ruined", []byte(*out), 0o644) }

// Evidence looks after evidence.
type Evidence mg.Namespace

// Reproduce runs a record again.
func (Evidence) Reproduce(ctx context.Context, record, format, keep *string) error {
	value := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	return reproduce.Reproduce(ctx, reproduce.Options{
		Record: value(record), Format: value(format), Keep: value(keep), Sources: sources, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr,
		Outside: map[string]string{"live": "it changes what nobody can put back"},
	})
}

// Diff compares records.
func (Evidence) Diff(ctx context.Context, a, b, format *string, force *bool) error {
	o := reproduce.DiffOptions{A: *a, B: *b, Stdout: os.Stdout, Force: force != nil && *force}
	if format != nil {
		o.Format = *format
	}
	return reproduce.Diff(ctx, o)
}
