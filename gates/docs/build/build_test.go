package build_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/gatetest"
)

const green = `
-- go.mod --
module example.com/x
-- docs/README.md --
# Documentation

[guide](guide.md), [module](../go.mod)
-- docs/guide.md --
# Guide
`

var options = build.Options{Site: site.Options{Repository: "https://example.com/r"}}

func TestGreen(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, green)
	o := options
	o.Out = "public"
	outcome := gatetest.Run(t, build.Gate(o), gates.Options{Root: root})
	step := gatetest.Step(t, outcome, build.ID)
	assert.Equal(t, step.Verdict, evidence.Pass, "%+v", step)
	assert.Equal(t, len(step.Checks), len(site.Codes()))
	for _, dir := range []string{filepath.Join(outcome.Folder, "site"), filepath.Join(root, "public")} {
		page, err := os.ReadFile(filepath.Join(dir, "index.html"))
		assert.NilError(t, err)
		assert.Assert(t, is.Contains(string(page), "https://example.com/r/blob/"+outcome.Record.Stable.Source.Commit+"/go.mod"))
	}
	// The record names the list, and the list names every file.
	assert.Equal(t, len(outcome.Record.Stable.Outputs), 1)
	assert.Equal(t, outcome.Record.Stable.Outputs[0].Path, "site/"+build.List)
	list, err := os.ReadFile(filepath.Join(outcome.Folder, "site", build.List))
	assert.NilError(t, err)
	assert.Assert(t, is.Contains(string(list), "  guide.html\n"))

	// The same source gives the same bytes.
	again := gatetest.Run(t, build.Gate(o), gates.Options{Root: root})
	assert.DeepEqual(t, again.Record.Stable.Outputs, outcome.Record.Stable.Outputs)
}

func TestRed(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, green+"-- docs/alone.md --\n# A\n\n[x](../gone.go)\n")
	o := options
	o.Out = "public"
	outcome := gatetest.Run(t, build.Gate(o), gates.Options{Root: root})
	step := gatetest.Step(t, outcome, build.ID)
	assert.Equal(t, step.Verdict, evidence.Fail)
	var said []string
	for _, c := range step.Checks {
		if c.Verdict == evidence.Fail {
			said = append(said, c.Code+" "+c.Subject)
		}
	}
	assert.DeepEqual(t, said, []string{"docs.orphan docs/alone.md", "docs.link docs/alone.md:3"})
	// It can be looked at, and is not for publishing.
	_, err := os.Stat(filepath.Join(outcome.Folder, "site", "alone.html"))
	assert.NilError(t, err)
	_, err = os.Stat(filepath.Join(root, "public"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestNoPagesIsNotGreen(t *testing.T) {
	t.Parallel()
	outcome := gatetest.Run(t, build.Gate(options), gates.Options{Root: gatetest.Repository(t, "-- a.txt --\na\n")})
	step := gatetest.Step(t, outcome, build.ID)
	assert.Equal(t, step.Verdict, evidence.Unverified)
	assert.Equal(t, step.Cause, evidence.CauseNothingRan)
}

func TestWithoutGitIsNotGreen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	gatetest.Write(t, root, green)
	outcome := gatetest.Run(t, build.Gate(options), gates.Options{Root: root})
	assert.Equal(t, gatetest.Step(t, outcome, build.ID).Verdict, evidence.Unverified)
}

// TestAsAStep holds that the site of a larger gate goes below its folder.
func TestAsAStep(t *testing.T) {
	t.Parallel()
	g := build.Gate(options)
	g.Steps = []gates.Step{build.Step(options, "docs")}
	outcome := gatetest.Run(t, g, gates.Options{Root: gatetest.Repository(t, green)})
	assert.Equal(t, outcome.ExitCode(), 0)
	_, err := os.Stat(filepath.Join(outcome.Folder, "docs", "site", "guide.html"))
	assert.NilError(t, err)
}

func TestOutIsAFolderOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{".", "docs", "docs/site", "..", "../x", "docs/../docs"} {
		o := options
		o.Out = bad
		var usage *gates.UsageError
		assert.Assert(t, errors.As(o.Validate(), &usage), bad)
	}
	for _, good := range []string{"", "public", "test_artifacts/x"} {
		o := options
		o.Out = good
		assert.NilError(t, o.Validate())
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	s := func(name string) *site.Site {
		return &site.Site{Files: []site.File{{Path: name, Content: []byte("x")}}}
	}
	dir := filepath.Join(t.TempDir(), "public")
	assert.NilError(t, build.Replace(dir, s("old/a.html")))
	assert.NilError(t, build.Replace(dir, s("b.html")))
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.DeepEqual(t, names, []string{"b.html", build.List})

	// What somebody else wrote stays.
	other := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o600))
	err = build.Replace(other, s("b.html"))
	assert.ErrorContains(t, err, "no site of ours")
	_, err = os.Stat(filepath.Join(other, "thesis.txt"))
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(other, "next"))
}
