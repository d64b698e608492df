//go:build mage

package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/bench"
	"github.com/dpone/dpone/gates/bench/docsbench"
	"github.com/dpone/dpone/gates/bench/evidencebench"
	"github.com/dpone/dpone/gates/bench/matrixbench"
	"github.com/dpone/dpone/gates/bench/speed"
	"github.com/dpone/dpone/gates/target"
)

// Bench compares with what one would do without.
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
	return target.Run(ctx, bench.CI(defaultGate(), options), target.Flags{Plan: plan, Timeout: timeout})
}

// Engine compares the engine with the programs of PostgreSQL: speed, processor time and memory.
func (Bench) Engine(
	ctx context.Context,
	rounds *int, // how often each side runs; 5 if not given, and at least that for a verdict on the whole
	scale *float64, // times the numbers of rows; 1 if not given
	only *string, // only these rows of the table, for example wide,merge
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the table of a green run, too
) error {
	options := speed.Options{Rounds: value(rounds), Scale: value(scale)}
	if names := value(only); names != "" {
		options.Only = strings.Split(names, ",")
	}
	if err := options.Validate(); err != nil {
		return err
	}
	return target.Run(ctx, speed.Gate(options), target.Flags{Plan: plan, Timeout: timeout, V: v})
}

// Matrix measures the matrix: its time and memory, the engine against plain tools, growth, and shards.
func (Bench) Matrix(
	ctx context.Context,
	rounds *int, // how often everything is measured; 3 if not given, and at least that for a verdict on the whole
	scale *float64, // times the 10000 rows of a case; 1 if not given
	only *string, // only these parts: contract, local, linear, shards
	caseID *string, // only these cases
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the table of a green run, too
) error {
	options := matrixbench.Options{Rounds: value(rounds), Scale: value(scale)}
	if names := value(only); names != "" {
		options.Only = strings.Split(names, ",")
	}
	if names := value(caseID); names != "" {
		options.Cases = strings.Split(names, ",")
	}
	if err := options.Validate(); err != nil {
		return err
	}
	return target.Run(ctx, matrixbench.Gate(options), target.Flags{Plan: plan, Timeout: timeout, V: v})
}

// Docs compares the build of the documentation with MkDocs on the same pages.
func (Bench) Docs(
	ctx context.Context,
	rounds *int, // how often each side builds; 15 if not given
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the table of a green run, too
) error {
	options := docsbench.Options{Site: siteOptions(), Rounds: value(rounds), Binary: ciOptions().Binary}
	return one(ctx, docsbench.Gate(options), plan, timeout, v)
}

// Evidence measures what evidence costs: against openssl, plain hashing and cosign, the log, and memory.
func (Bench) Evidence(
	ctx context.Context,
	rounds *int, // how often everything is measured; 3 if not given, and at least that for a verdict on the whole
	scale *float64, // times the sizes and counts; 1 if not given
	only *string, // only these parts: file, cores, small, log, bundles, memory
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the table of a green run, too
) error {
	options := evidencebench.Options{
		Rounds: value(rounds), Scale: value(scale), Cosign: evidencebench.FindCosign(os.Getenv("DPONE_COSIGN"), os.Getenv(target.EnvToolCache)),
	}
	if names := value(only); names != "" {
		options.Only = strings.Split(names, ",")
	}
	if err := options.Validate(); err != nil {
		return err
	}
	return target.Run(ctx, evidencebench.Gate(options), target.Flags{Plan: plan, Timeout: timeout, V: v})
}
