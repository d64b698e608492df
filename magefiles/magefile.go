//go:build mage

// Command magefiles is the front door: each target builds typed options and
// calls one gate. It is the only place that reads flags.
package main

import (
	"context"
	"embed"
	"time"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/target"
)

//go:embed *.go
var sources embed.FS

// A wrong command line is refused before mage looks at it.
func init() { target.Guard(sources) }

// one runs a gate of a single step.
func one(ctx context.Context, g gates.Gate, plan *bool, timeout *time.Duration, v *bool) error {
	return target.Run(ctx, g, target.Flags{Plan: plan, Timeout: timeout, V: v})
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
