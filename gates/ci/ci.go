// Package ci is the default gate: modules, format, lint, vet, tests, build and
// an unchanged working tree, each a step and a target of its own.
package ci

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/tool"
)

// Area is the folder below the artifacts that the runs of this family go to.
const Area = "ci"

// Options say what the gate asks of a project. The zero value suits a module
// with magefiles; what it leaves open is filled in by [Gate].
type Options struct {
	// Tags are build tags for vet, lint and tests; "mage" if empty, so that
	// the magefiles are looked at, too.
	Tags string `json:"tags"`
	// MinCoverage is the least share of statements, in percent, that the tests
	// of all packages together must cover; MinPackageCoverage what each single
	// package must. No package is excluded; one without tests has 0.
	MinCoverage        float64 `json:"min_coverage"`
	MinPackageCoverage float64 `json:"min_package_coverage"`
	// Run and Packages narrow the tests, as for go test; such a run says that
	// it is partial and asks for no coverage.
	Run      string `json:"run,omitempty"`
	Packages string `json:"packages"`
	// Seed shuffles the tests; 0 chooses one.
	Seed int64 `json:"seed,omitempty"`
	// TestTimeout is the limit for the tests of one package; 10m if 0.
	TestTimeout time.Duration `json:"test_timeout"`
	// Binary is the name of the compiled gate binary; "gates" if empty.
	Binary string `json:"binary"`
	// StepTargets says that each step is a target of its own (mage ci:test),
	// so that a red step can name it; otherwise the whole gate is named.
	StepTargets bool `json:"step_targets"`
	// Integration are further steps, each for tests that need a service.
	Integration []Integration `json:"integration,omitempty"`
	// OtherTools name pins, magefiles/tools/<name>, of tools that no step of the
	// default gate starts. Their module files are left to the gates that build
	// them: to look at one is to download all that the tool is made of.
	OtherTools []string `json:"other_tools,omitempty"`
	// Further are steps of other families that belong to the default gate.
	Further []gates.Step `json:"-"`
	// Runbook is the page with a section for each step; docs/runbooks.md if empty.
	Runbook string `json:"runbook"`
}

func (o Options) withDefaults() Options {
	if o.Tags == "" {
		o.Tags = "mage"
	}
	if o.Packages == "" {
		o.Packages = "./..."
	}
	if o.TestTimeout == 0 {
		o.TestTimeout = 10 * time.Minute
	}
	if o.Binary == "" {
		o.Binary = "gates"
	}
	if o.Runbook == "" {
		o.Runbook = "docs/runbooks.md"
	}
	return o
}

// anchor is the runbook section of a step.
func (o Options) anchor(id string) string {
	return o.Runbook + "#" + strings.ToLower(strings.ReplaceAll(id, ":", "-"))
}

// reproduce is the command that runs the step again.
func (o Options) reproduce(id string) string {
	if o.StepTargets {
		return "mage " + id
	}
	return "mage ci"
}

// The IDs of the steps, which are the targets that run them alone.
const (
	Modules = "ci:modules"
	Format  = "ci:format"
	Lint    = "ci:lint"
	Vet     = "ci:vet"
	Test    = "ci:test"
	Build   = "ci:build"
	Tree    = "ci:tree"
	Cross   = "ci:cross"
)

// Gate is the default gate. The longest step comes first and the others give
// way to it, so that with few processors they fill the gaps beside it.
func Gate(o Options) gates.Gate {
	o = o.withDefaults()
	steps := []gates.Step{o.test(), o.lint(), o.build(), o.vet(), o.modules(), o.format()}
	for _, i := range o.Integration {
		steps = append(steps, o.integration(i))
	}
	steps = append(steps, o.Further...)
	tree := o.tree(sinceStart)
	for i, step := range steps {
		tree.After = append(tree.After, step.ID)
		steps[i].Background = i > 0
	}
	g := o.gate("ci", "The source is tidy, formatted, free of findings, tested and builds reproducibly, and looking changed nothing.")
	g.Steps = append(steps, tree)
	g.Circumstances = o.seed()
	return g
}

// ModulesGate, and those that follow, hold one step each.
func ModulesGate(o Options) gates.Gate { return o.single(Options.modules) }

// FormatGate holds the step ci:format.
func FormatGate(o Options) gates.Gate { return o.single(Options.format) }

// LintGate holds the step ci:lint.
func LintGate(o Options) gates.Gate { return o.single(Options.lint) }

// VetGate holds the step ci:vet.
func VetGate(o Options) gates.Gate { return o.single(Options.vet) }

// TestGate holds the step ci:test.
func TestGate(o Options) gates.Gate {
	g := o.single(Options.test)
	g.Partial = o.withDefaults().partial()
	g.Circumstances = o.seed()
	return g
}

// BuildGate holds the step ci:build.
func BuildGate(o Options) gates.Gate { return o.single(Options.build) }

// TreeGate holds the step ci:tree. Alone it has no run to compare with, so it
// compares the working tree with the commit.
func TreeGate(o Options) gates.Gate {
	return o.single(func(o Options) gates.Step { return o.tree(sinceCommit) })
}

// CrossGate builds for every platform of a release.
func CrossGate(o Options) gates.Gate { return o.single(Options.cross) }

func (o Options) gate(id, doc string) gates.Gate {
	return gates.Gate{
		ID: id, Doc: doc, Runbook: o.anchor(id), Area: Area, Options: o, Finally: ensureCoverage,
		Inputs: []string{
			"go.mod", "go.sum", ".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json",
			"magefiles/tools/gofumpt/go.mod", "magefiles/tools/gofumpt/go.sum",
			"magefiles/tools/golangci-lint/go.mod", "magefiles/tools/golangci-lint/go.sum",
		},
	}
}

func (o Options) single(make func(Options) gates.Step) gates.Gate {
	o = o.withDefaults()
	step := make(o)
	g := o.gate(step.ID, step.Doc)
	g.Steps = []gates.Step{step}
	return g
}

// seed chooses the order of the tests: a new one each run, so that tests that
// lean on each other are found, and a recorded one, so that they can be met again.
func (o Options) seed() []evidence.NameValue {
	seed := o.Seed
	if seed == 0 {
		var raw [8]byte
		_, _ = rand.Read(raw[:]) // never fails, see crypto/rand
		seed = int64(binary.LittleEndian.Uint64(raw[:]) >> 32)
	}
	return []evidence.NameValue{{Name: "SEED", Value: strconv.FormatInt(seed, 10)}}
}

// pinned are the tools of a step by name.
func pinned(names ...string) func(root string) []tool.Tool {
	return func(root string) []tool.Tool {
		tools := make([]tool.Tool, len(names))
		for i, name := range names {
			tools[i] = pins.Find(root, name)
		}
		return tools
	}
}

// moduleDirs lists the directories with a module file, relative to root, the
// root first. What Go itself leaves out of ./... is left out.
func moduleDirs(root string) ([]string, error) {
	var dirs []string
	err := walkSource(root, func(path string) {
		if filepath.Base(path) == "go.mod" {
			dirs = append(dirs, filepath.Dir(path))
		}
	})
	return dirs, err
}

// walkSource calls visit with every file of the source, relative to root. It
// leaves out what is no source: hidden directories, vendored and fixture code,
// artifacts.
func walkSource(root string, visit func(path string)) error {
	return filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the source tree: %w", err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch name := entry.Name(); {
			case rel == ".":
			case strings.HasPrefix(name, "."), strings.HasPrefix(name, "_"),
				name == "testdata", name == "vendor", name == "node_modules", name == "test_artifacts":
				return filepath.SkipDir
			}
			return nil
		}
		visit(rel)
		return nil
	})
}

// ensureCoverage completes a run folder in which no tests left their coverage:
// the file is always there, and says that nothing was measured.
func ensureCoverage(f *folder.Folder) error {
	if _, err := os.Stat(f.Path(folder.CoverageXML)); err == nil {
		return nil
	}
	return writeNoCoverage(f, "this run measured no coverage; record.md says why")
}
