//go:build mage

package main

import (
	"context"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/target"
	"github.com/dpone/dpone/gates/workflows"
)

// Workflows holds the workflows of GitHub Actions to their rules.
type Workflows mg.Namespace

func workflowOptions() workflows.Options { return workflows.Options{Inventory: workflows.Dpone()} }

// Check holds that every workflow calls targets and nothing else, with the least rights, as documented.
func (Workflows) Check(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, workflows.Gate(workflowOptions()), plan, timeout, v)
}

// Current holds that the commit which is checked out is the newest of the default branch.
func (Workflows) Current(
	ctx context.Context,
	remote *string, // where to ask; origin if not given
	branch *string, // which branch; master if not given
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	o := workflows.CurrentOptions{Remote: value(remote), Branch: value(branch)}
	return target.Run(ctx, workflows.CurrentGate(o), target.Flags{Timeout: timeout, Plan: plan, V: v})
}
