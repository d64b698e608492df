//go:build mage

package main

import (
	"context"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/bench"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/target"
)

// Bench compares gates with what one would do without them.
type Bench mg.Namespace

// CI compares mage ci with the same commands typed by hand, warm and cold.
func (Bench) CI(
	ctx context.Context,
	rounds *int, // how often each side runs warm; 3 if not given
	warm *bool, // leave out the run with empty caches, which takes minutes
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
) error {
	options := bench.Options{Rounds: value(rounds), Cold: !value(warm), Binary: ciOptions().Binary}
	return target.Run(ctx, bench.CI(ci.Gate(ciOptions()), options), target.Flags{Plan: plan, Timeout: timeout})
}
