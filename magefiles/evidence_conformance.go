//go:build mage

package main

import (
	"context"
	"time"

	"github.com/dpone/dpone/gates/conformance"
	"github.com/dpone/dpone/gates/target"
)

// Conformance asks cosign and sigstore-go whether they agree with us about signed evidence; the first run builds cosign, which takes minutes.
func (Evidence) Conformance(
	ctx context.Context,
	only *string, // run only these steps, for example conformance:key
	skip *string, // leave these steps out
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the steps and their commands, run nothing
	v *bool, // show the output of green steps, too
) error {
	return target.Run(ctx, conformance.Gate(conformance.Options{}), target.Flags{Timeout: timeout, Only: only, Skip: skip, Plan: plan, V: v})
}
