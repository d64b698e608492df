//go:build mage

// Targets to try a runner with.
package main

import (
	"context"
	"embed"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/target"
)

//go:embed *.go
var sources embed.FS

func init() { target.Guard(sources) }

func gate(id, line string) gates.Gate {
	step := gates.Step{
		ID: id, Doc: "The shell says so.", Runbook: "docs/runbooks.md#" + id,
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{{Name: "sh", Args: []string{"-c", line}}}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			_, err := p.Exec(ctx, p.Commands[0], proc.Options{})
			code, exited := proc.ExitCode(err)
			if err != nil && !exited || code > 1 {
				return err
			}
			check := evidence.Expect("shell.said", "a/b.go", code == 0, "no", "yes", "say yes")
			check.Path = "a/b.go"
			p.Check(check)
			return nil
		},
	}
	return gates.Gate{ID: id, Doc: "The shell agrees.", Runbook: "docs/runbooks.md#" + id, Area: "ci", Steps: []gates.Step{step}}
}

// Green passes.
func Green(ctx context.Context, j *int, timeout *time.Duration, plan, v *bool, only, skip *string) error {
	return target.Run(ctx, gate("green", "echo fine; touch ran"), target.Flags{J: j, Timeout: timeout, Plan: plan, V: v, Only: only, Skip: skip})
}

// Red fails.
func Red(ctx context.Context) error {
	return target.Run(ctx, gate("red", "echo bad; exit 1"), target.Flags{})
}

// Broken could not tell.
func Broken(ctx context.Context) error {
	return target.Run(ctx, gate("broken", "exit 7"), target.Flags{})
}

// Slow takes its time and ignores being asked to end.
func Slow(ctx context.Context, timeout *time.Duration) error {
	return target.Run(ctx, gate("slow", "trap '' TERM; touch started; sleep 600 & wait; sleep 600"), target.Flags{Timeout: timeout})
}
