//go:build mage

package main

import (
	"context"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/contract"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/security/secrets"
	"github.com/dpone/dpone/gates/target"
	"github.com/dpone/dpone/gates/workflows"
)

// Ci holds the steps of the default gate as targets of their own.
type Ci mg.Namespace

// Aliases are short names for what is typed most.
var Aliases = map[string]interface{}{"test": Ci.Test}

func ciOptions() ci.Options {
	return ci.Options{
		OtherTools:  []string{"browser", "cosign", "gosec", "govulncheck", "scorecard", "staticcheck"},
		MinCoverage: 85, MinPackageCoverage: 70, Binary: "dpone-gates", StepTargets: true,
		Integration: []ci.Integration{{
			ID: "ci:postgresXmin", Doc: "The xmin strategy is right on a real PostgreSQL.",
			Packages: "./engine", Run: "^TestXMin", Fix: "apt-get install postgresql, or set DPONE_IT_PG_DSN",
		}},
	}
}

// defaultGate is what has to be green before anything is merged.
func defaultGate() gates.Gate {
	o := ciOptions()
	o.Further = []gates.Step{
		matrix.Step(matrix.Options{Mode: cases.MockContract, Volume: cases.DefaultVolume()}, "matrix"),
		workflows.Step(workflowOptions()),
		build.Step(build.Options{Site: siteOptions()}, "docs"),
		contract.Step(contractOptions()),
		secrets.Step(secrets.Options{}),
	}
	return ci.Gate(o)
}

// CI runs the default gate: the source is tidy, formatted, free of findings, tested and builds reproducibly.
func CI(
	ctx context.Context,
	j *int, // how many steps at once; one a processor if not given
	timeout *time.Duration, // end the run after this time, for example 15m
	failFast *bool, // stop the other steps when one fails
	only *string, // run only these steps, for example ci:lint,ci:vet
	skip *string, // leave these steps out
	plan *bool, // print the steps and their commands, run nothing
	v *bool, // show the output of green steps, too
) error {
	return target.Run(ctx, defaultGate(), target.Flags{
		J: j, Timeout: timeout, FailFast: failFast, Only: only, Skip: skip, Plan: plan, V: v,
	})
}

// Modules holds that every module file is tidy and every module has its checksum.
func (Ci) Modules(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.ModulesGate(ciOptions()), plan, timeout, v)
}

// Format holds that every Go file is formatted by the rules of gofumpt.
func (Ci) Format(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.FormatGate(ciOptions()), plan, timeout, v)
}

// Lint holds that the linters of .golangci.yml find nothing.
func (Ci) Lint(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.LintGate(ciOptions()), plan, timeout, v)
}

// Vet holds that every package type-checks and go vet finds nothing.
func (Ci) Vet(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.VetGate(ciOptions()), plan, timeout, v)
}

// Test holds that the tests pass, shuffled and under the race detector, and cover every package.
func (Ci) Test(
	ctx context.Context,
	run *string, // only tests that match this pattern
	pkg *string, // only these packages, for example ./evidence/...
	seed *int, // shuffle as that run did
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of green tests, too
) error {
	options := ciOptions()
	options.Run, options.Packages, options.Seed = value(run), value(pkg), int64(value(seed))
	return one(ctx, ci.TestGate(options), plan, timeout, v)
}

// Build holds that all packages build and that the gate binary is reproducible.
func (Ci) Build(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.BuildGate(ciOptions()), plan, timeout, v)
}

// Tree holds that the working tree is as committed.
func (Ci) Tree(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.TreeGate(ciOptions()), plan, timeout, v)
}

// Cross builds all packages and the gate binary for every platform of a release.
func (Ci) Cross(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.CrossGate(ciOptions()), plan, timeout, v)
}

// PostgresXmin holds that the xmin strategy is right on a real PostgreSQL.
func (Ci) PostgresXmin(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, ci.IntegrationGate(ciOptions(), "ci:postgresXmin"), plan, timeout, v)
}
