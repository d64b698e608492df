//go:build mage

package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/fault"
	"github.com/dpone/dpone/gates/target"
)

// Matrix carries out the cases of source, sink and load strategy.
type Matrix mg.Namespace

// matrixFlags are what the targets that carry out cases share; nil means not given.
type matrixFlags struct {
	source, sink, strategy, caseID *string
	rows                           *int
	changed, deleted               *float64
	seed, jobs                     *int
	resume                         *bool
	mode                           *string
}

func (f matrixFlags) options(mode cases.Mode) (matrix.Options, error) {
	return matrix.FromEnvironment(os.Getenv, mode, matrix.Flags{
		Mode:   f.mode,
		Source: f.source, Sink: f.sink, Strategy: f.strategy, CaseID: f.caseID,
		Rows: f.rows, Changed: f.changed, Deleted: f.deleted, Seed: f.seed, Jobs: value(f.jobs), Resume: value(f.resume),
	})
}

func (f matrixFlags) run(ctx context.Context, mode cases.Mode, timeout *time.Duration, plan, v *bool) error {
	options, err := f.options(mode)
	if err != nil {
		return err
	}
	return target.Run(ctx, matrix.Gate(options), target.Flags{Timeout: timeout, Plan: plan, V: v})
}

// List shows the cases, derived from what the connectors declare.
func (Matrix) List(
	source *string, // only these sources, for example postgres,file
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	format *string, // text, or json
) error {
	options, err := matrixFlags{source: source, sink: sink, strategy: strategy, caseID: caseID}.options("")
	if err != nil {
		return err
	}
	return matrix.List(os.Stdout, options, value(format))
}

// MockContract carries out every case with no service at all: servers are stood in for by embedded stores.
func (Matrix) MockContract(
	ctx context.Context,
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; 10000 if not given
	changed *float64, // share of the rows that change; 0.2 if not given
	deleted *float64, // share of the rows that are deleted; 0.05 if not given
	seed *int, // chooses the values; 1 if not given
	jobs *int, // cases at once; one a processor and one more if not given
	resume *bool, // take over what passed in the newest run of the same commit and rows
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the report of a green run, too
) error {
	f := matrixFlags{source, sink, strategy, caseID, rows, changed, deleted, seed, jobs, resume, nil}
	return f.run(ctx, cases.MockContract, timeout, plan, v)
}

// MockLocal carries out every case on throwaway servers of this machine, embedded stores and files.
func (Matrix) MockLocal(
	ctx context.Context,
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; 10000 if not given
	changed *float64, // share of the rows that change; 0.2 if not given
	deleted *float64, // share of the rows that are deleted; 0.05 if not given
	seed *int, // chooses the values; 1 if not given
	jobs *int, // cases at once; one a processor and one more if not given
	resume *bool, // take over what passed in the newest run of the same commit and rows
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the report of a green run, too
) error {
	f := matrixFlags{source, sink, strategy, caseID, rows, changed, deleted, seed, jobs, resume, nil}
	return f.run(ctx, cases.MockLocal, timeout, plan, v)
}

// RealLocal carries out every case as for a release candidate: durable servers, the engine killed in each case.
func (Matrix) RealLocal(
	ctx context.Context,
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; 25000 if not given
	changed *float64, // share of the rows that change; 0.2 if not given
	deleted *float64, // share of the rows that are deleted; 0.05 if not given
	seed *int, // chooses the values; 1 if not given
	jobs *int, // cases at once; one a processor and one more if not given
	resume *bool, // take over what passed in the newest run of the same commit and rows
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the report of a green run, too
) error {
	f := matrixFlags{source, sink, strategy, caseID, rows, changed, deleted, seed, jobs, resume, nil}
	return f.run(ctx, cases.RealLocal, timeout, plan, v)
}

// VendorLive carries out the cases on the caller's own systems, whose addresses are in the environment.
func (Matrix) VendorLive(
	ctx context.Context,
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; 10000 if not given
	changed *float64, // share of the rows that change; 0.2 if not given
	deleted *float64, // share of the rows that are deleted; 0.05 if not given
	seed *int, // chooses the values; 1 if not given
	jobs *int, // cases at once; one a processor and one more if not given
	resume *bool, // take over what passed in the newest run of the same commit and rows
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the report of a green run, too
) error {
	f := matrixFlags{source, sink, strategy, caseID, rows, changed, deleted, seed, jobs, resume, nil}
	return f.run(ctx, cases.VendorLive, timeout, plan, v)
}

// Plan cuts the cases into shards of about the same duration and prints the JSON for a job matrix.
func (Matrix) Plan(
	shards *int, // how many shards; 1 if not given
	mode *string, // mock_contract, mock_local or real_local; mock_local if not given
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; the mode's own number if not given
	changed *float64, // share of the rows that change; 0.2 if not given
	deleted *float64, // share of the rows that are deleted; 0.05 if not given
	seed *int, // chooses the values; 1 if not given
) error {
	options, err := matrixFlags{source, sink, strategy, caseID, rows, changed, deleted, seed, nil, nil, mode}.options("")
	if err != nil {
		return err
	}
	return matrix.PrintPlan(os.Stdout, ".", options, value(shards))
}

// Shard carries out one part of the cases, as matrix:plan cuts them.
func (Matrix) Shard(
	ctx context.Context,
	index *int, // which shard, from 0
	total *int, // of how many
	mode *string, // mock_contract, mock_local or real_local; mock_local if not given
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; the mode's own number if not given
	changed *float64, // share of the rows that change; 0.2 if not given
	deleted *float64, // share of the rows that are deleted; 0.05 if not given
	seed *int, // chooses the values; 1 if not given
	jobs *int, // cases at once; one a processor and one more if not given
	resume *bool, // take over what passed in the newest run of the same commit and rows
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the report of a green run, too
) error {
	options, err := matrixFlags{source, sink, strategy, caseID, rows, changed, deleted, seed, jobs, resume, mode}.options("")
	if err != nil {
		return err
	}
	if options, err = options.Sharded(value(index), value(total)); err != nil {
		return err
	}
	return target.Run(ctx, matrix.Gate(options), target.Flags{Timeout: timeout, Plan: plan, V: v})
}

// Merge joins the folders of all shards of one plan into one report; red when one is missing, doubled or foreign.
func (Matrix) Merge(
	ctx context.Context,
	from *string, // folder that holds the shards' run folders, at any depth
	plan *bool, // print the commands, run nothing
	v *bool, // show the report of a green run, too
) error {
	options := matrix.MergeOptions{From: value(from)}
	if err := options.Validate(); err != nil {
		return err
	}
	return target.Run(ctx, matrix.MergeGate(options), target.Flags{Plan: plan, V: v})
}

// Faults plants faults in the engine, one after the other, and holds that the matrix sees them.
func (Matrix) Faults(
	ctx context.Context,
	only *string, // only these faults, comma-separated
	rows *int, // rows before the change; 400 if not given
	seed *int, // chooses the values; 1 if not given
	jobs *int, // cases at once; one a processor and one more if not given
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the table of a green run, too
) error {
	options := fault.Options{Rows: int64(value(rows)), Seed: uint64(value(seed)), Jobs: value(jobs)}
	if names := value(only); names != "" {
		options.Only = strings.Split(names, ",")
	}
	if err := options.Validate(); err != nil {
		return err
	}
	return target.Run(ctx, fault.Gate(options), target.Flags{Timeout: timeout, Plan: plan, V: v})
}
