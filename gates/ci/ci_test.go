package ci_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/proc"
)

// module is a small project that is green. Its tool named mage is its own: it
// writes the gate binary, so that a test decides what the binary depends on.
const module = `
-- go.mod --
module example.com/x

go 1.26

tool example.com/x/cmd/mage
-- .golangci.yml --
version: "2"
linters:
  default: none
  enable: [ineffassign]
-- x.go --
// Package x doubles.
package x

// Double is twice n.
func Double(n int) int {
	if n == 0 {
		return 0
	}
	return n * 2
}
-- x_test.go --
package x

import "testing"

func TestDouble(t *testing.T) {
	if Double(2) != 4 || Double(0) != 0 {
		t.Error("no")
	}
}
-- cmd/mage/main.go --
// Command mage writes what stands for the gate binary.
package main

import "os"

func main() {
	if err := os.WriteFile(os.Args[2], content(), 0o600); err != nil {
		os.Exit(1)
	}
}
-- cmd/mage/content.go --
package main

func content() []byte { return []byte("always the same") }
`

var options = ci.Options{MinCoverage: 20, MinPackageCoverage: 0}

// defect is a change to the module and what the step has to say about it.
type defect struct {
	name    string
	files   string
	remove  []string
	verdict evidence.Verdict
	code    string // of a check that is not PASS
	where   string // its subject
	text    string // in what it observed, or in the reason
}

func plant(t *testing.T, d defect) string {
	t.Helper()
	root := gatetest.Repository(t, module+d.files)
	for _, name := range d.remove {
		assert.NilError(t, os.RemoveAll(filepath.Join(root, name)))
	}
	gatetest.Commit(t, root)
	return root
}

// hold runs a gate over each defect and holds that the step says exactly that.
func hold(t *testing.T, gate gates.Gate, defects []defect) {
	t.Helper()
	for _, d := range append([]defect{{name: "green", verdict: evidence.Pass}}, defects...) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			outcome := gatetest.Run(t, gate, gates.Options{Root: plant(t, d)})
			step := gatetest.Step(t, outcome, gate.Steps[0].ID)
			assert.Equal(t, step.Verdict, d.verdict, "%+v", step)
			assert.Equal(t, outcome.ExitCode(), d.verdict.ExitCode())
			if d.verdict == evidence.Pass {
				return
			}
			said := fmt.Sprintf("%s: %s", step.Cause, step.Reason)
			for _, c := range step.Checks {
				if c.Verdict == evidence.Fail || c.Verdict == evidence.Unverified {
					said += fmt.Sprintf("\n%s|%s|%s%s|fix: %s", c.Code, c.Subject, c.Observed, c.Reason, c.Fix)
					assert.Check(t, c.Fix != "", "a finding without a fix: %+v", c)
				}
			}
			for _, want := range []string{d.code + "|" + d.where, d.text} {
				if d.code != "" || want == d.text {
					assert.Check(t, is.Contains(said, want))
				}
			}
		})
	}
}

func TestModules(t *testing.T) {
	hold(t, ci.ModulesGate(options), []defect{
		{"untidy", "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n\nrequire golang.org/x/mod v0.41.0\n\ntool example.com/x/cmd/mage\n", nil, evidence.Fail, "ci.modules.tidy", "go.mod", "not tidy"},
		{"cannot be read", "-- go.mod --\nmodule example.com/x\n\nnonsense here\n", nil, evidence.Fail, "ci.modules.tidy", "go.mod:3", "unknown directive"},
		{"a second module", "-- sub/go.mod --\nmodule example.com/sub\n\nbad\n-- sub/a.go --\npackage sub\n", nil, evidence.Fail, "ci.modules.tidy", "sub/go.mod:3", "unknown directive"},
		{"hidden by a workspace", "-- go.work --\ngo 1.26\n\nuse ./sub\n-- sub/go.mod --\nmodule example.com/sub\n\ngo 1.26\n\nrequire golang.org/x/mod v0.41.0\n-- sub/a.go --\npackage sub\n", nil, evidence.Fail, "ci.modules.tidy", "sub/go.mod", "not tidy"},
		{"no module", "", []string{"go.mod"}, evidence.Unverified, "", "", "there is no go.mod"},
	})
}

// TestModulesOfOtherTools leaves the module file of a tool alone that the gate
// does not start, and says so; one that is not there cannot be left alone.
func TestModulesOfOtherTools(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, module+"-- magefiles/tools/big/go.mod --\nmodule example.com/big\n\nbad\n-- magefiles/tools/own/go.mod --\nmodule example.com/own\n\ngo 1.26\n")
	o := options
	assert.Equal(t, gatetest.Run(t, ci.ModulesGate(o), gates.Options{Root: root}).Record.Verdict, evidence.Fail)
	o.OtherTools = []string{"big"}
	outcome := gatetest.Run(t, ci.ModulesGate(o), gates.Options{Root: root})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	assert.Equal(t, len(outcome.Record.Stable.Skips), 1)
	assert.Equal(t, outcome.Record.Stable.Skips[0].Subject, "magefiles/tools/big/go.mod")
	o.OtherTools = []string{"gone"}
	_, err := gates.Run(t.Context(), ci.ModulesGate(o), gates.Options{Root: root})
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
	assert.ErrorContains(t, err, "there is no magefiles/tools/gone/go.mod")
}

// A changed module in the cache, and a proxy that cannot be reached.
func TestModulesBehindTheModuleFile(t *testing.T) {
	const uses = "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n\nrequire golang.org/x/sync v0.23.0\n\ntool example.com/x/cmd/mage\n" +
		"-- uses.go --\npackage x\n\nimport _ \"golang.org/x/sync/semaphore\"\n"
	sum, err := os.ReadFile("../../go.sum")
	assert.NilError(t, err)
	var lines strings.Builder
	for line := range strings.Lines(string(sum)) {
		if strings.HasPrefix(line, "golang.org/x/sync v0.23.0") {
			lines.WriteString(line)
		}
	}
	root := gatetest.Repository(t, module+uses+"-- go.sum --\n"+lines.String())

	t.Run("cannot be downloaded", func(t *testing.T) {
		t.Setenv("GOMODCACHE", t.TempDir())
		t.Setenv("GOPROXY", "off")
		outcome := gatetest.Run(t, ci.ModulesGate(options), gates.Options{Root: root})
		step := gatetest.Step(t, outcome, ci.Modules)
		assert.Equal(t, step.Verdict, evidence.Unverified, "%+v", step)
		assert.Equal(t, outcome.ExitCode(), 3)
	})
	t.Run("changed in the cache", func(t *testing.T) {
		cache := t.TempDir()
		t.Cleanup(func() {
			_, _ = proc.Run(t.Context(), root, proc.Command{Name: "chmod", Args: []string{"-R", "u+w", cache}}, proc.Options{})
		})
		t.Setenv("GOFLAGS", "-modcacherw")
		t.Setenv("GOMODCACHE", cache)
		_, err := proc.Run(t.Context(), root, proc.Command{Name: "go", Args: []string{"mod", "download"}}, proc.Options{})
		assert.NilError(t, err)
		file := filepath.Join(cache, "golang.org/x/sync@v0.23.0/semaphore/semaphore.go")
		assert.NilError(t, os.WriteFile(file, []byte("package semaphore\n"), 0o644))
		outcome := gatetest.Run(t, ci.ModulesGate(options), gates.Options{Root: root})
		step := gatetest.Step(t, outcome, ci.Modules)
		assert.Equal(t, step.Verdict, evidence.Fail, "%+v", step)
		assert.Check(t, is.Contains(step.Checks[len(step.Checks)-1].Observed, "modified"))
	})
}

func TestFormat(t *testing.T) {
	hold(t, ci.FormatGate(options), []defect{
		{"not formatted", "-- y.go --\npackage x\nfunc  y( ) { }\n", nil, evidence.Fail, "ci.format", "y.go", "not formatted"},
		{"gofmt is not enough", "-- y.go --\npackage x\n\nfunc y() {\n\n\tprintln()\n}\n", nil, evidence.Fail, "ci.format", "y.go", "not formatted"},
		{"syntax", "-- y.go --\npackage x\n\nfunc y( {\n", nil, evidence.Fail, "ci.format.syntax", "y.go:3", "expected"},
		{"no files", "", []string{"x.go", "x_test.go", "cmd"}, evidence.Unverified, "", "", "no Go file"},
	})
}

func TestLint(t *testing.T) {
	hold(t, ci.LintGate(options), []defect{
		{"finding", "-- y.go --\npackage x\n\nfunc y() int {\n\tn := 1\n\tn = 2\n\treturn n\n}\n", nil, evidence.Fail, "ci.lint.ineffassign", "y.go:4", "ineffectual"},
		{"in a magefile", "-- y.go --\n//go:build mage\n\npackage x\n\nfunc y() int {\n\tn := 1\n\tn = 2\n\treturn n\n}\n", nil, evidence.Fail, "ci.lint.ineffassign", "y.go:6", "ineffectual"},
		{"broken configuration", "-- .golangci.yml --\nversion: \"2\"\nlinters:\n  default: nonsense\n", nil, evidence.Unverified, "", "", "golangci-lint"},
		{"no linter", "-- .golangci.yml --\nversion: \"2\"\nlinters:\n  default: none\n", nil, evidence.Unverified, "", "", ""},
		{"no files", "", []string{"x.go", "x_test.go", "cmd"}, evidence.Unverified, "", "", ""},
	})
}

func TestVet(t *testing.T) {
	hold(t, ci.VetGate(options), []defect{
		{"finding", "-- y.go --\npackage x\n\nimport \"fmt\"\n\nfunc y() { fmt.Printf(\"%d\\n\", \"text\") }\n", nil, evidence.Fail, "ci.vet", "y.go:5", "wrong type"},
		{"type error", "-- y.go --\npackage x\n\nfunc y() { undefined() }\n", nil, evidence.Fail, "ci.vet", "y.go:3", "undefined"},
		{"in a test", "-- y_test.go --\npackage x\n\nvar _ int = \"text\"\n", nil, evidence.Fail, "ci.vet", "y_test.go:3", "cannot use"},
		{"in a magefile", "-- magefiles/y.go --\n//go:build mage\n\npackage main\n\nfunc Y() { undefined() }\n", nil, evidence.Fail, "ci.vet", "magefiles/y.go:5", "undefined"},
		{"no packages", "", []string{"x.go", "x_test.go", "cmd"}, evidence.Unverified, "", "", "no package"},
		{"module file cannot be read", "-- go.mod --\nmodule example.com/x\n\nnonsense here\n", nil, evidence.Unverified, "", "", "list the packages"},
	})
}

func TestTest(t *testing.T) {
	hold(t, ci.TestGate(options), []defect{
		{"failing test", "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) { t.Error(\"two is three\") }\n", nil, evidence.Fail, "ci.test", "example.com/x.TestY", "two is three"},
		{"failing subtest", "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) { t.Run(\"a\", func(t *testing.T) { t.Fatal(\"sub\") }) }\n", nil, evidence.Fail, "ci.test", "example.com/x.TestY/a", "sub"},
		{"data race", "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) {\n\tn, done := 0, make(chan bool)\n\tgo func() { n++; close(done) }()\n\tn++\n\t<-done\n}\n", nil, evidence.Fail, "ci.test", "example.com/x.TestY", "data race"},
		{"panic", "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) { panic(\"boo\") }\n", nil, evidence.Fail, "ci.test", "example.com/x", "boo"},
		{"does not compile", "-- y_test.go --\npackage x\n\nvar _ int = \"text\"\n", nil, evidence.Fail, "ci.test.build", "y_test.go:3", "cannot use"},
		{"exit 1 outside of any test", "-- y_test.go --\npackage x\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { m.Run(); os.Exit(1) }\n", nil, evidence.Fail, "ci.test.package", "example.com/x", ""},
		{"exit 0 before any test", "-- y/y.go --\npackage y\n-- y/y_test.go --\npackage y\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(*testing.M) { os.Exit(0) }\n\nfunc TestY(t *testing.T) { t.Error(\"never seen\") }\n", nil, evidence.Unverified, "ci.test.package", "example.com/x/y", "no test of it ran"},
		{"too little covered", "-- y.go --\npackage x\n\nfunc y(n int) int {\n" + strings.Repeat("\tn++\n", 200) + "\treturn n\n}\n", nil, evidence.Fail, "ci.test.coverage", "all packages", "below 20.0%"},
		{"no tests", "", []string{"x_test.go"}, evidence.Unverified, "", "", "no test matched"},
		{"no packages", "", []string{"x.go", "x_test.go", "cmd"}, evidence.Unverified, "", "", "no package"},
	})
}

func TestPackageCoverageLeavesNoneOut(t *testing.T) {
	strict := options
	strict.MinPackageCoverage = 50
	root := gatetest.Repository(t, module)
	outcome := gatetest.Run(t, ci.TestGate(strict), gates.Options{Root: root})
	var red []string
	for _, c := range gatetest.Step(t, outcome, ci.Test).Checks {
		if c.Verdict == evidence.Fail {
			red = append(red, c.Code+" "+c.Subject)
		}
	}
	assert.DeepEqual(t, red, []string{"ci.test.coverage.package example.com/x/cmd/mage"})
}

func TestWhatTheTestsLeave(t *testing.T) {
	const tests = "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestSkipped(t *testing.T) { t.Skip(\"not on Sundays\") }\n"
	const nested = "-- sub/go.mod --\nmodule example.com/sub\n-- sub/deep/x.go --\npackage deep\n-- empty/go.mod --\nmodule example.com/empty\n"
	root := gatetest.Repository(t, module+tests+nested)
	o := options
	o.Seed = 42
	outcome := gatetest.Run(t, ci.TestGate(o), gates.Options{Root: root})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	assert.DeepEqual(t, outcome.Record.Volatile.Circumstances, []evidence.NameValue{{Name: "SEED", Value: "42"}})
	assert.DeepEqual(t, outcome.Record.Stable.Skips, []evidence.Skipping{
		{Subject: "test example.com/x.TestSkipped", Reason: "not on Sundays"},
		{Subject: "module sub", Reason: "a module of its own is no part of ./...; run the gate in it"},
	})
	for name, want := range map[string]string{
		folder.CoverageXML: `filename="x.go"`,
		folder.JUnitXML:    `name="TestDouble"`,
		"logs/ci-test.log": "-shuffle=$SEED",
		folder.RecordMD:    "not on Sundays",
		folder.RecordJSON:  `"observed": "at least 20.0%"`,
	} {
		raw, err := os.ReadFile(filepath.Join(outcome.Folder, name))
		assert.NilError(t, err)
		assert.Check(t, is.Contains(string(raw), want), name)
	}
	again := gatetest.Run(t, ci.TestGate(options), gates.Options{Root: root})
	other := ci.Options{MinCoverage: 21}
	assert.Assert(t, again.Record.StableDigest != gatetest.Run(t, ci.TestGate(other), gates.Options{Root: root}).Record.StableDigest)
}

func TestNarrowedTestsArePartial(t *testing.T) {
	root := gatetest.Repository(t, module)
	o := options
	o.Run = "TestDouble"
	outcome := gatetest.Run(t, ci.TestGate(o), gates.Options{Root: root})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	assert.Assert(t, outcome.Record.Stable.Partial)
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, folder.CoverageXML))
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(raw), "<!--"), "it says that nothing was measured")

	o.Run = "TestNope"
	outcome = gatetest.Run(t, ci.TestGate(o), gates.Options{Root: root})
	assert.Equal(t, gatetest.Step(t, outcome, ci.Test).Cause, evidence.CauseNothingRan)
	assert.Equal(t, outcome.ExitCode(), 3)
}

// Flags in the environment cannot leave tests out.
func TestGoFlagsOfTheUserDoNotReachTheSteps(t *testing.T) {
	t.Setenv("GOFLAGS", "-skip=TestY -json -mod=mod")
	t.Setenv("GOOS", "windows")
	root := plant(t, defect{files: "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) { t.Error(\"red\") }\n"})
	outcome := gatetest.Run(t, ci.TestGate(options), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 1)
	assert.Check(t, is.Contains(strings.Join(outcome.Record.Stable.Warnings, "\n"), "GOFLAGS has -skip=TestY"))
	assert.Assert(t, strings.HasPrefix(outcome.Record.Stable.Environment.Go, "go1."))
}

func TestBadPatternIsMisuse(t *testing.T) {
	o := options
	o.Run = "Test("
	_, err := gates.Run(t.Context(), ci.TestGate(o), gates.Options{Root: gatetest.Repository(t, module)})
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
}

// A configuration above the root is not the project's.
func TestLintTakesNoConfigurationFromAbove(t *testing.T) {
	parent := gatetest.Repository(t, "-- .golangci.yml --\nversion: \"2\"\nlinters:\n  default: none\n  enable: [misspell]\n")
	root := filepath.Join(parent, "sub")
	gatetest.Write(t, root, "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n-- x.go --\npackage x\n\nfunc F() int {\n\tn := 1\n\tn = 2\n\treturn n\n}\n")
	gatetest.Commit(t, parent)
	outcome := gatetest.Run(t, ci.LintGate(options), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 1)
}

func TestNoCompilerSkipsOnlyTheRaceDetector(t *testing.T) {
	t.Setenv("CC", "no-such-compiler")
	t.Setenv("CGO_ENABLED", "0")
	outcome := gatetest.Run(t, ci.TestGate(options), gates.Options{Root: gatetest.Repository(t, module)})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	found := false
	for _, c := range gatetest.Step(t, outcome, ci.Test).Checks {
		if c.Code == "ci.test.race" {
			found = true
			assert.Equal(t, c.Verdict, evidence.Skip)
			assert.Assert(t, c.Reason != "")
		}
	}
	assert.Assert(t, found)
}

func TestBuild(t *testing.T) {
	hold(t, ci.BuildGate(options), []defect{
		{"does not compile", "-- y.go --\npackage x\n\nfunc y() { undefined() }\n", nil, evidence.Fail, "ci.build", "y.go:3", "undefined"},
		{"does not link", "-- cmd/z/main.go --\npackage main\n\nfunc missing()\n\nfunc main() { missing() }\n-- cmd/z/empty.s --\n", nil, evidence.Fail, "ci.build.link", "example.com/x/cmd/z", "missing"},
		{"depends on the directory", "-- cmd/mage/content.go --\npackage main\n\nimport \"os\"\n\nfunc content() []byte {\n\tdir, _ := os.Getwd()\n\treturn []byte(dir)\n}\n", nil, evidence.Fail, "ci.build.reproducible", "gates", "sha256"},
		{"needs an ignored file", "-- .gitignore --\n/gen.go\n-- gen.go --\npackage x\n\nconst gen = 1\n-- y.go --\npackage x\n\nvar _ = gen\n", nil, evidence.Fail, "ci.build", "y.go:3", "undefined: gen"},
		{"gate binary breaks", "-- cmd/mage/content.go --\npackage main\n\nfunc content() []byte { panic(\"no\") }\n", nil, evidence.Unverified, "", "", "exit code"},
		{"no packages", "", []string{"x.go", "x_test.go", "cmd"}, evidence.Unverified, "", "", "no packages"},
	})
}

func TestCross(t *testing.T) {
	hold(t, ci.CrossGate(options), []defect{
		{"one platform", "-- y_windows.go --\npackage x\n\nfunc y() { undefined() }\n", nil, evidence.Fail, "ci.cross", "y_windows.go:3", "undefined"},
	})
	outcome := gatetest.Run(t, ci.CrossGate(options), gates.Options{Root: gatetest.Repository(t, module)})
	assert.Equal(t, len(outcome.Record.Stable.Outputs), 6)
}

func TestTree(t *testing.T) {
	root := gatetest.Repository(t, module)
	outcome := gatetest.Run(t, ci.TreeGate(options), gates.Options{Root: root})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	gatetest.Write(t, root, "-- new.txt --\nx\n")
	outcome = gatetest.Run(t, ci.TreeGate(options), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 1)
	assert.Equal(t, gatetest.Step(t, outcome, ci.Tree).Checks[0].Subject, "new.txt")
}

// The steps of the whole gate leave no trace of their order or of the run.
func TestGateIsValid(t *testing.T) {
	g := ci.Gate(options)
	assert.NilError(t, g.Validate())
	plan, err := gates.MakePlan(g, gates.Options{Root: gatetest.Repository(t, module)})
	assert.NilError(t, err)
	for _, step := range plan.Steps {
		assert.Equal(t, step.Problem, "")
		assert.Assert(t, len(step.Commands) > 0 || step.ID == ci.Tree)
	}
	for _, single := range []gates.Gate{
		ci.ModulesGate(options), ci.FormatGate(options), ci.LintGate(options), ci.VetGate(options),
		ci.TestGate(options), ci.BuildGate(options), ci.TreeGate(options), ci.CrossGate(options),
	} {
		assert.NilError(t, single.Validate())
		assert.Equal(t, len(single.Steps), 1)
	}
}
