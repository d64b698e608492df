//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/magefile/mage/mg"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/docs/contract"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/target"
	"github.com/dpone/dpone/gates/workflows"
)

func targets(t *testing.T) []target.Target {
	t.Helper()
	list, err := target.Targets(sources)
	assert.NilError(t, err)
	assert.Assert(t, len(list) > 5)
	return list
}

func TestReadmeNamesTheFloorsOfCoverage(t *testing.T) {
	raw, err := os.ReadFile("../README.md")
	assert.NilError(t, err)
	o := ciOptions()
	want := fmt.Sprintf("at least %g %% of all statements are covered, and %g %% of each package", o.MinCoverage, o.MinPackageCoverage)
	assert.Assert(t, strings.Contains(string(raw), want), want)
}

// TestListIsWhatMageSays holds our reading of the magefiles against mage's own.
func TestListIsWhatMageSays(t *testing.T) {
	cmd := exec.Command("go", "tool", "mage", "-l")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "  ") {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	var want []string
	for _, tg := range targets(t) {
		want = append(want, strings.Join(strings.Fields(tg.Name+" "+tg.Synopsis), " "))
	}
	assert.DeepEqual(t, lines, want)
}

// TestEveryTargetPlans calls each target with -plan, which reaches its gate
// and runs nothing.
func TestEveryTargetPlans(t *testing.T) {
	t.Chdir("..")
	t.Setenv("DPONE_OUTPUT", "plain")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	assert.NilError(t, err)
	defer null.Close()
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	plan := true
	ctx := context.Background()
	calls := map[string]any{
		"ci": CI, "ci:modules": Ci.Modules, "ci:format": Ci.Format, "ci:lint": Ci.Lint, "ci:vet": Ci.Vet, "ci:test": Ci.Test,
		"ci:build": Ci.Build, "ci:tree": Ci.Tree, "ci:cross": Ci.Cross, "ci:postgresXmin": Ci.PostgresXmin, "doctor": Doctor, "docs:contract": Docs.Contract, "docs:build": Docs.Build, "docs:browser": Docs.Browser, "docs:diagrams": Docs.Diagrams, "bench:docs": Bench.Docs, "bench:ci": Bench.CI, "bench:engine": Bench.Engine, "bench:matrix": Bench.Matrix, "bench:evidence": Bench.Evidence, "evidence:conformance": Evidence.Conformance,
		"matrix:mockContract": Matrix.MockContract, "matrix:mockLocal": Matrix.MockLocal, "matrix:realLocal": Matrix.RealLocal, "matrix:vendorLive": Matrix.VendorLive,
		"matrix:faults": Matrix.Faults, "workflows:check": Workflows.Check, "workflows:current": Workflows.Current,
		"security:secrets": Security.Secrets, "security:static": Security.Static, "security:vulns": Security.Vulns, "security:scorecard": Security.Scorecard, "security:licenses": Security.Licenses,
	}
	elsewhere := []string{
		"run", "run:validate", "matrix:list", "matrix:plan", "matrix:shard", "matrix:merge",
		"docs:generate", "docs:serve", "release:attest",
		"evidence:index", "evidence:chain", "evidence:log", "evidence:prove", "evidence:verify", "evidence:sign", "evidence:keygen", "evidence:reproduce", "evidence:diff",
	}
	for _, tg := range targets(t) {
		if slices.Contains(elsewhere, tg.Name) {
			continue // see TestReleaseTargets, TestDocsServe, TestDocsGenerate, TestRunTargets, TestMatrixTargets and TestEvidenceTargets
		}
		fn := reflect.ValueOf(calls[tg.Name])
		assert.Assert(t, fn.IsValid(), "%s is not called here", tg.Name)
		var args []reflect.Value
		flags := tg.Flags
		for i := range fn.Type().NumIn() {
			switch in := fn.Type().In(i); {
			case in.Kind() == reflect.Interface:
				args = append(args, reflect.ValueOf(ctx))
			case in.Kind() == reflect.Struct || in.NumMethod() > 0 && in.Kind() != reflect.Pointer:
				args = append(args, reflect.Zero(in))
			default:
				arg := reflect.Zero(in)
				if flags[0].Name == "plan" {
					arg = reflect.ValueOf(&plan)
				}
				args, flags = append(args, arg), flags[1:]
			}
		}
		err, _ := fn.Call(args)[0].Interface().(error)
		assert.NilError(t, err, tg.Name)
	}
}

// TestDocsServe calls the target that ends when it is stopped, which is no failure.
func TestDocsServe(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	port, wrong := 0, -1
	assert.Equal(t, mg.ExitStatus(Docs{}.Serve(ctx, &wrong)), 2)
	assert.NilError(t, Docs{}.Serve(ctx, &port))
}

// TestRunTargets calls the targets that are no gates: without a manifest they are misuse.
func TestRunTargets(t *testing.T) {
	for name, err := range map[string]error{
		"run":          Run(context.Background(), nil, nil, nil, nil),
		"run:validate": RUN{}.Validate(context.Background(), nil, nil),
	} {
		var status interface{ ExitStatus() int }
		assert.Assert(t, errors.As(err, &status), name)
		assert.Equal(t, status.ExitStatus(), 2, name)
		assert.ErrorContains(t, err, "-manifest is missing", name)
	}
}

// TestMatrixTargets calls the targets of the matrix that need more than -plan.
func TestMatrixTargets(t *testing.T) {
	t.Chdir("..")
	t.Setenv("DPONE_OUTPUT", "plain")
	t.Setenv("GITHUB_OUTPUT", "")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	assert.NilError(t, err)
	defer null.Close()
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	ctx, plan, two, zero, three := context.Background(), true, 2, 0, 3
	from, none, id := t.TempDir(), "", "sqlite_to_sqlite__nothing"
	m := Matrix{}
	assert.NilError(t, m.List(nil, nil, nil, nil, nil))
	assert.NilError(t, m.Plan(&two, nil, nil, nil, nil, nil, nil, nil, nil, nil))
	assert.NilError(t, m.Shard(ctx, &zero, &two, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, &plan, nil))
	assert.NilError(t, m.Merge(ctx, &from, &plan, nil))
	for name, err := range map[string]error{
		"list":   m.List(nil, nil, nil, &id, nil),
		"plan":   m.Plan(&two, nil, nil, nil, nil, &id, nil, nil, nil, nil),
		"shard":  m.Shard(ctx, &three, &two, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, &plan, nil),
		"merge":  m.Merge(ctx, &none, &plan, nil),
		"faults": m.Faults(ctx, &id, nil, nil, nil, nil, &plan, nil),
	} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(err, &usage), "%s: %v", name, err)
	}
}

// TestReleaseTargets plans the attestation of a release, which asks for more than -plan.
func TestReleaseTargets(t *testing.T) {
	t.Chdir("..")
	t.Setenv("DPONE_OUTPUT", "plain")
	t.Setenv(archive.EnvSigner, archive.SignerNone)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	assert.NilError(t, err)
	defer null.Close()
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	ctx, plan := context.Background(), true
	version, subject, repository, commit, made := "v1.2.3", "dist/dpone, dist/*.txt", "https://github.com/dpone/dpone", strings.Repeat("1", 40), "ci:build"
	assert.NilError(t, Release{}.Attest(ctx, &version, &subject, &repository, &commit, &made, nil, nil, nil, nil, nil, &plan, nil))
	err = Release{}.Attest(ctx, &version, &subject, &repository, nil, &made, nil, nil, nil, nil, nil, &plan, nil)
	assert.Equal(t, mg.ExitStatus(err), 2)
	assert.ErrorContains(t, err, "-commit is missing")
	t.Setenv(archive.EnvSigner, "nobody")
	err = Release{}.Attest(ctx, &version, &subject, &repository, &commit, &made, nil, nil, nil, nil, nil, &plan, nil)
	assert.Equal(t, mg.ExitStatus(err), 2)
}

// TestEvidenceTargets calls the targets that look after evidence, which are no gates.
func TestEvidenceTargets(t *testing.T) {
	t.Setenv("DPONE_ARTIFACTS", t.TempDir())
	t.Setenv(archive.EnvLogKey, "")
	t.Setenv(archive.EnvLogVerifier, "")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	assert.NilError(t, err)
	defer null.Close()
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	ctx, root, name, run := context.Background(), t.TempDir(), "example.com/log", "ci/none"
	assert.NilError(t, os.WriteFile(filepath.Join(root, "a.txt"), []byte("a"), 0o644))
	key, proof, adopt, format := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "proof"), true, "yaml"
	none := filepath.Join(t.TempDir(), "none")
	e := Evidence{}
	assert.NilError(t, e.Index(ctx, &root, nil))
	assert.NilError(t, e.Keygen(ctx, nil, &name, &key, nil))
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"chain":                 {e.Chain(ctx, &root, nil, &adopt, nil), 1}, // it has no record
		"verify":                {e.Verify(ctx, &root, nil, nil, nil, nil, nil, nil, nil, nil), 1},
		"log":                   {e.Log(ctx, nil, nil), 3},
		"prove":                 {e.Prove(ctx, &run, nil, &proof, nil), 3},
		"reproduce":             {e.Reproduce(ctx, &none, nil, nil, nil, nil), 3}, // there is no such record
		"diff":                  {e.Diff(ctx, &none, &none, nil, nil), 3},
		"reproduce nothing":     {e.Reproduce(ctx, nil, nil, nil, nil, nil), 2},
		"diff without a":        {e.Diff(ctx, nil, &none, nil, nil), 2},
		"index without root":    {e.Index(ctx, nil, nil), 2},
		"chain without root":    {e.Chain(ctx, nil, nil, nil, nil), 2},
		"log in a wrong format": {e.Log(ctx, nil, &format), 2},
		"prove without a run":   {e.Prove(ctx, nil, nil, &proof, nil), 2},
		"verify without root":   {e.Verify(ctx, nil, nil, nil, nil, nil, nil, nil, nil, nil), 2},
		"sign without a signer": {e.Sign(ctx, &root, nil), 2},
		"keygen without a name": {e.Keygen(ctx, nil, nil, &key, nil), 2},
	} {
		// As mage does: the error itself, not one in its chain.
		assert.Equal(t, mg.ExitStatus(c.err), c.status, "%s: %v", name, c.err)
	}
}

// TestDocsContract holds the documents of this tree, as docs:contract does: the runbooks, the tables, the commands.
func TestDocsContract(t *testing.T) {
	report, err := contract.Examine(t.Context(), os.DirFS(".."), contractOptions())
	assert.NilError(t, err)
	for _, c := range report.Checks {
		assert.Check(t, c.Verdict == evidence.Pass, "%s  %s  [%s]\n-> %s", c.Subject, c.Observed, c.Code, c.Fix)
	}
}

// TestAllGatesAreGates holds that the gates whose runbooks are looked at are whole, each there once.
func TestAllGatesAreGates(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range allGates() {
		assert.NilError(t, g.Validate())
		assert.Assert(t, !seen[g.ID], "%s is there twice", g.ID)
		seen[g.ID] = true
	}
}

// TestDocsGenerate looks at the pages through the target, which writes nothing when they are in step.
func TestDocsGenerate(t *testing.T) {
	t.Chdir("..")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	assert.NilError(t, err)
	defer null.Close()
	stdout := os.Stdout
	os.Stdout = null
	defer func() { os.Stdout = stdout }()
	check := true
	assert.NilError(t, Docs{}.Generate(context.Background(), &check), "run mage docs:generate")
}

// TestInventoryOfWorkflows holds the inventory against what only the doors know together: the steps of the default gate,
// and the secrets of the matrix.
func TestInventoryOfWorkflows(t *testing.T) {
	var steps, secrets []string
	for _, step := range defaultGate().Steps {
		steps = append(steps, step.ID)
	}
	for name := range matrix.Secrets() {
		secrets = append(secrets, name)
	}
	for _, w := range workflows.Dpone().Workflows {
		for _, job := range w.Jobs {
			if slices.Contains(job.Gates, "ci") {
				slices.Sort(steps)
				slices.Sort(job.Parts)
				assert.DeepEqual(t, job.Parts, steps)
			}
			if slices.Contains(job.Gates, "matrix:vendorLive") {
				slices.Sort(secrets)
				var names []string
				for _, s := range job.Secrets {
					names = append(names, s.Name)
				}
				slices.Sort(names)
				assert.DeepEqual(t, names, secrets)
			}
		}
	}
}

// The guard refuses what mage would let through, also for these magefiles.
func TestGuardHoldsForTheseMagefiles(t *testing.T) {
	environ := []string{"MAGEFILE_GOCMD=go"}
	for _, good := range [][]string{{"ci"}, {"CI", "-j=2"}, {"test", "-run=X"}, {"ci:test", "-seed=7"}, {"ci:format", "ci:vet"}} {
		assert.NilError(t, target.CheckCommandLine(sources, append([]string{"mage"}, good...), environ))
	}
	for _, bad := range [][]string{{"ci", "-jobs=2"}, {"ci", "nope"}, {"ci", "-j", "2"}, {"ci", "-j=two"}, {""}, {"ci", "--plan"}} {
		err := target.CheckCommandLine(sources, append([]string{"mage"}, bad...), environ)
		var usage *target.UsageError
		assert.Assert(t, errors.As(err, &usage), "%v: %v", bad, err)
	}
	assert.Assert(t, target.CheckCommandLine(sources, []string{"mage"}, append(environ, "CI=true")) != nil)
}
