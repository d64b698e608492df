package contract_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/contract"
	"github.com/dpone/dpone/gates/docs/facts"
	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/gatetest"
)

// good is a project whose documents are as they should be. Backquotes are written as ^.
const good = `
-- magefiles/magefile.go --
//go:build mage

package main

import "github.com/magefile/mage/mg"

type Ci mg.Namespace

// Test tests.
func (Ci) Test(run, only *string, seed *int, v *bool) error { return nil }

// List lists.
func List(format *string) error { return nil }
-- gates/ci/ci.go --
package ci

const codeTest = "ci.test"

var runbook = "docs/runbooks.md#ci-test"
-- gates/ci/ci_test.go --
package ci

func TestSomething(t *testing.T) {}
-- engine/engine.go --
package engine

const codeOdd = "engine.odd"
-- .github/workflows/ci.yml --
# Runbook: docs/runbooks.md#ci-test
name: CI
on:
  push:
    branches: [master]
  pull_request:
    branches:
      - master
jobs:
  test:
    steps:
      - run: mage ci:test
-- .github/PULL_REQUEST_TEMPLATE.md --
## CI/CD change

- Workflow(s):
- [ ] Docs updated:
-- docs/runbooks.md --
# Runbooks

## source

**Symptom.** a **Reproduce.** b **Fix.** c **Never do.** d

## ci test

**Symptom.** ^ci.test^ is red in ci.yml.

### More

**Reproduce.** b **Fix.** c **Never do.** d

## last
-- docs/guide.md --
# Guide

The branch is ^master^. See [workflows](../.github/workflows/ci.yml), and ^.github/workflows/release.yml^, which is planned.
-- docs/page.md --
# Page

[Guide](guide.md#guide). Run ^mage ci:test -seed=<seed>^, ^mage ci:...^, ^mage -compile=DIR^ or ^mage list [-format=json]^.
^mage -h ci:test^ and mage ci:nothing in prose, ^mage ci:test -run=TestName^, ^mage ci:test -only=<step>^.

<!-- generated: words -->

one

<!-- /generated -->

^^^sh
# a comment: mage nothing
exec mage ci:test -v \
  -seed="$SEED" > out.txt 2>&1 && mage list -format=json | cat
if mage ci:test -only=ci:test; then go tool mage list; fi
cat <<EOF
mage in a text
EOF
go test ./gates/... -run 'TestSome/thing'
^^^

<!-- output -->
^^^text
mage nothing at all
^^^

<!-- not run: takes long -->
^^^sh
mage ci:test
^^^

^^^console
$ mage list
nothing
^^^

^^^go
package x
^^^

^^^json
{"a": 1}
^^^

^^^yaml
jobs:
  test:
    steps:
      - run: mage ci:test
^^^

^^^mermaid
flowchart LR
^^^
`

func tree(t *testing.T, archive string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte(strings.ReplaceAll(archive, "^", "`"))).Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return files
}

func options() contract.Options {
	return contract.Options{
		Pages: []string{"docs/**"}, Magefiles: "magefiles", Workflows: ".github/workflows", Planned: []string{"release.yml"},
		Branch: "master", Repository: "us/ours", Runbooks: []string{"docs/runbooks.md", "docs/none.md"},
		Guide: "docs/guide.md", GuideReaders: []string{"docs/page.md"},
		Template: ".github/PULL_REQUEST_TEMPLATE.md", Fields: []string{"Workflow(s)", "Docs updated"},
		Commands: []string{"list"},
		Values: func() []contract.Value {
			return []contract.Value{{"ci:*", "only", []string{"ci:test"}}, {"*", "format", []string{"text", "json"}}}
		},
		Gates: func() []gates.Gate {
			return []gates.Gate{{ID: "ci:test", Runbook: "docs/runbooks.md#ci-test", Steps: []gates.Step{{ID: "ci:test", Runbook: "docs/runbooks.md#ci-test"}}}}
		},
		Tables: []generate.Table{{Name: "words", Pages: []string{"docs/page.md"}, Make: func(fs.FS, []string) (string, error) { return "one", nil }}},
		Source: func(tree fs.FS) (facts.Facts, error) { return facts.Read(tree, "gates", "engine", "magefiles") },
		Explained: func(f facts.Facts) []facts.Named {
			return slices.DeleteFunc(slices.Clone(f.Codes), func(c facts.Named) bool { return strings.HasPrefix(c.Path, "engine/") })
		},
	}
}

func TestGoodDocuments(t *testing.T) {
	t.Parallel()
	report, err := contract.Examine(t.Context(), tree(t, good), options())
	assert.NilError(t, err)
	for _, c := range report.Checks {
		assert.Check(t, c.Verdict == evidence.Pass, "%+v", c)
	}
	assert.Equal(t, len(report.Checks), 12, "each rule has something to look at")
	assert.Equal(t, report.Pages, 4)
	assert.Equal(t, report.Looked[contract.CodeCommand], 15)
	assert.Equal(t, report.Looked[contract.CodeBlock], 8)
}

// Each rule is red, at the right place, when what it holds is broken, and says what to do; no other rule is.
func TestPlantedViolations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, from, to string
		code, at, says string
	}{
		"a workflow that no page names":        {".github/workflows/new.yml", "", "name: New # new\n", contract.CodeWorkflow, ".github/workflows/new.yml", "no page names this workflow"},
		"a page that names no workflow":        {"docs/guide.md", "release.yml", "relaese.yml", contract.CodeWorkflow, "docs/guide.md:3", "there is no workflow relaese.yml"},
		"another branch in a page":             {"docs/guide.md", "^master^", "^main^", contract.CodeBranch, "docs/guide.md:3", "the branch main"},
		"another branch in a command":          {"docs/page.md", "# a comment", "git push origin main #", contract.CodeBranch, "docs/page.md:13", "the branch main"},
		"another branch in a link":             {"docs/page.md", "(guide.md#guide)", "(guide.md#guide), [x](https://github.com/us/ours/blob/main/x.md)", contract.CodeBranch, "docs/page.md:3", "the branch main"},
		"another branch in a workflow":         {".github/workflows/ci.yml", "- master", "- release", contract.CodeBranch, ".github/workflows/ci.yml:8", "the branch release"},
		"a workflow without a runbook":         {"docs/runbooks.md", "ci.yml", "my-ci.yml", contract.CodeRunbookWorkflow, ".github/workflows/ci.yml", "no runbook names this workflow"},
		"a code without a runbook":             {"gates/ci/ci.go", "\"ci.test\"", "\"ci.fresh\"", contract.CodeRunbookCode, "gates/ci/ci.go:3", "no runbook explains `ci.fresh`"},
		"a code in prose alone":                {"docs/runbooks.md", "^ci.test^", "ci.test", contract.CodeRunbookCode, "gates/ci/ci.go:3", "no runbook explains `ci.test`"},
		"a section that is gone":               {"docs/runbooks.md", "## ci test", "## ci tests", contract.CodeAnchor, "docs/runbooks.md", "gate ci:test refers to docs/runbooks.md#ci-test"},
		"an anchor in the source":              {"gates/ci/ci.go", "md#ci-test", "md#ci-tset", contract.CodeAnchor, "gates/ci/ci.go:5", "no section #ci-tset"},
		"an anchor in a workflow":              {".github/workflows/ci.yml", "md#ci-test", "md#nope", contract.CodeAnchor, ".github/workflows/ci.yml:1", "no section #nope"},
		"an anchor on no page":                 {".github/workflows/ci.yml", "runbooks.md#ci", "books.md#ci", contract.CodeAnchor, ".github/workflows/ci.yml:1", "there is no page docs/books.md"},
		"a section without a part":             {"docs/runbooks.md", "**Fix.** c **Never do.** d\n\n## last", "**Fix.** c\n\n## last\n\n**Never do.** d", contract.CodeSection, "docs/runbooks.md:7", "has no **Never do.**"},
		"a target that nobody listed":          {"magefiles/magefile.go", "// List", "// Fresh is new.\nfunc Fresh() error { return nil }\n\n// List", contract.CodeGate, "magefiles/magefile.go", "fresh is neither"},
		"a page without a link to the guide":   {"docs/page.md", "(guide.md#guide)", "(page.md)", contract.CodeGuide, "docs/page.md", "no link to docs/guide.md"},
		"an unknown target":                    {"docs/page.md", "mage -h ci:test", "mage ci:tset", contract.CodeCommand, "docs/page.md:4", "the nearest is ci:test"},
		"an unknown flag":                      {"docs/page.md", "-seed=<seed>", "-sead=<seed>", contract.CodeCommand, "docs/page.md:3", "the nearest is -seed"},
		"a value of the wrong type":            {"docs/page.md", "-seed=<seed>", "-seed=one", contract.CodeCommand, "docs/page.md:3", "of type int"},
		"a value that is none":                 {"docs/page.md", "-format=json |", "-format=jsno |", contract.CodeCommand, "docs/page.md:15", "the nearest is json"},
		"a step that is none":                  {"docs/page.md", "-only=ci:test", "-only=ci:lint", contract.CodeCommand, "docs/page.md:16", "takes no \"ci:lint\""},
		"an unknown target in a block":         {"docs/page.md", "go tool mage list", "go tool mage lits", contract.CodeCommand, "docs/page.md:16", "the nearest is list"},
		"an unknown target in a console":       {"docs/page.md", "$ mage list", "$ mage lits", contract.CodeCommand, "docs/page.md:34", "the nearest is list"},
		"an unknown target in a workflow step": {"docs/page.md", "      - run: mage ci:test", "      - run: mage ci:tset", contract.CodeCommand, "docs/page.md:50", "the nearest is ci:test"},
		"a namespace that is none":             {"docs/page.md", "mage ci:...", "mage cc:...", contract.CodeCommand, "docs/page.md:3", "no such target"},
		"a package that is none":               {"docs/page.md", "./gates/...", "./gate/...", contract.CodeCommand, "docs/page.md:20", "there is no folder gate"},
		"a test that is none":                  {"docs/page.md", "TestSome/", "TestSame/", contract.CodeCommand, "docs/page.md:20", "no test there has a name like TestSame"},
		"a table that drifted":                 {"docs/page.md", "\none\n", "\nwon\n", contract.CodeTable, "docs/page.md:6", `has "won", the source gives "one"`},
		"a table that is gone":                 {"docs/page.md", "<!-- generated: words -->\n\none\n\n<!-- /generated -->", "", contract.CodeTable, "docs/page.md", "does not show the table words"},
		"a field that is gone":                 {".github/PULL_REQUEST_TEMPLATE.md", "- Workflow(s):", "- Workflows:", contract.CodeTemplate, ".github/PULL_REQUEST_TEMPLATE.md", "no field Workflow(s)"},
		"a block without a language":           {"docs/page.md", "^^^console", "^^^", contract.CodeBlock, "docs/page.md:34", "names no language"},
		"a language that is meant otherwise":   {"docs/page.md", "^^^console", "^^^txt", contract.CodeBlock, "docs/page.md:34", "the language txt"},
		"an unknown language":                  {"docs/page.md", "^^^mermaid", "^^^mermiad", contract.CodeBlock, "docs/page.md:54", "mermiad is not known"},
		"a mark without a reason":              {"docs/page.md", "not run: takes long", "not run:", contract.CodeBlock, "docs/page.md:30", "gives no reason"},
		"a mark on what is never run":          {"docs/page.md", "^^^console", "<!-- not run: x -->\n^^^console", contract.CodeBlock, "docs/page.md:35", "needs no mark"},
		"an output of nothing":                 {"docs/page.md", "^^^mermaid", "<!-- output -->\n^^^mermaid", contract.CodeBlock, "docs/page.md:55", "the block before it is not run"},
		"an output that is run":                {"docs/page.md", "^^^text", "^^^json", contract.CodeBlock, "docs/page.md:25", "its language is run"},
		"half a file of Go":                    {"docs/page.md", "package x", "x := 1", contract.CodeBlock, "docs/page.md:39", "not a whole file of Go"},
		"broken JSON":                          {"docs/page.md", "{\"a\": 1}", "{\"a\": }", contract.CodeBlock, "docs/page.md:43", "not JSON"},
		"broken YAML":                          {"docs/page.md", "jobs:\n", "jobs: [\n", contract.CodeBlock, "docs/page.md:47", "not YAML"},
		"a manifest that is none":              {"docs/page.md", "jobs:\n", "job:\n", contract.CodeBlock, "docs/page.md:47", "job"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t, good)
			plain := func(s string) string { return strings.ReplaceAll(s, "^", "`") }
			if c.from == "" {
				files[c.file] = &fstest.MapFile{Data: []byte(c.to)}
			} else {
				before := string(files[c.file].Data)
				assert.Assert(t, strings.Contains(before, plain(c.from)), "%s has no %q", c.file, c.from)
				files[c.file] = &fstest.MapFile{Data: []byte(strings.Replace(before, plain(c.from), plain(c.to), 1))}
			}
			report, err := contract.Examine(t.Context(), files, options())
			assert.NilError(t, err)
			var found []string
			for _, check := range report.Checks {
				if check.Verdict == evidence.Pass {
					continue
				}
				found = append(found, check.Code+" "+check.Subject+" "+check.Observed)
				if check.Code != c.code {
					continue
				}
				assert.Check(t, check.Verdict == evidence.Fail, "%+v", check)
				assert.Check(t, check.Fix != "", "%+v", check)
			}
			want := c.code + " " + c.at + " "
			assert.Assert(t, slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) && strings.Contains(f, c.says) }), "want %s%s\nfound %s", want, c.says, strings.Join(found, "\n"))
			for _, f := range found {
				// A missing section is missing for whoever refers to it, and a wrong code has no runbook either.
				if !strings.HasPrefix(f, c.code+" ") && c.code != contract.CodeBlock && c.code != contract.CodeWorkflow {
					t.Errorf("also red: %s", f)
				}
			}
		})
	}
}

// A rule that has nothing to look at is not green, and neither is one that cannot look.
func TestCouldNotTell(t *testing.T) {
	t.Parallel()
	verdicts := func(files fstest.MapFS, o contract.Options) map[string]evidence.Verdict {
		report, err := contract.Examine(t.Context(), files, o)
		assert.NilError(t, err)
		found := map[string]evidence.Verdict{}
		for _, c := range report.Checks {
			found[c.Code] = c.Verdict
		}
		return found
	}
	files := tree(t, good)
	delete(files, ".github/workflows/ci.yml")
	found := verdicts(files, options())
	assert.Equal(t, found[contract.CodeRunbookWorkflow], evidence.Unverified)
	assert.Equal(t, found[contract.CodeWorkflow], evidence.Fail, "a page names a workflow that is not there")
	files["docs/guide.md"] = &fstest.MapFile{Data: []byte("# Guide\n")}
	assert.Equal(t, verdicts(files, options())[contract.CodeWorkflow], evidence.Unverified)

	o := options()
	o.Held = []generate.Held{{Page: "docs/guide.md", Command: "go test ./x -update"}}
	assert.Equal(t, verdicts(tree(t, good), o)[contract.CodeTable], evidence.Fail, "the page does not say how it is made")
	o.Branch, o.Guide, o.Fields, o.Runbooks, o.Tables, o.Gates = "", "", nil, nil, nil, nil
	found = verdicts(tree(t, good), o)
	for _, code := range []string{
		contract.CodeBranch, contract.CodeGuide, contract.CodeTemplate, contract.CodeRunbookCode, contract.CodeRunbookWorkflow, contract.CodeAnchor, contract.CodeSection,
	} {
		assert.Equal(t, found[code], evidence.Unverified, code)
	}
	assert.Equal(t, found[contract.CodeTable], evidence.Fail, "a mark without a table is an error")

	files = tree(t, good)
	files[".github/workflows/ci.yml"] = &fstest.MapFile{Data: []byte("on: [\n")}
	assert.Equal(t, verdicts(files, options())[contract.CodeBranch], evidence.Unverified)
	delete(files, "docs/guide.md")
	delete(files, ".github/PULL_REQUEST_TEMPLATE.md")
	found = verdicts(files, options())
	assert.Equal(t, found[contract.CodeGuide], evidence.Fail)
	assert.Equal(t, found[contract.CodeTemplate], evidence.Fail)

	_, err := contract.Examine(t.Context(), fstest.MapFS{}, options())
	assert.Assert(t, errors.Is(err, gates.ErrNothingRan))
	files = tree(t, good)
	delete(files, "magefiles/magefile.go")
	_, err = contract.Examine(t.Context(), files, options())
	assert.ErrorContains(t, err, "read magefiles")
	files = tree(t, good)
	files["gates/bad.go"] = &fstest.MapFile{Data: []byte("not Go")}
	_, err = contract.Examine(t.Context(), files, options())
	assert.ErrorContains(t, err, "gates/bad.go")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = contract.Examine(ctx, tree(t, good), options())
	assert.Assert(t, errors.Is(err, context.Canceled))
}

// The gate leaves a record that says what Examine found, green and red.
func TestGate(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, strings.ReplaceAll(good, "^", "`"))
	g := contract.Gate(options())
	assert.NilError(t, g.Validate())
	outcome := gatetest.Run(t, g, gates.Options{Root: root, Artifacts: t.TempDir()})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	path := filepath.Join(root, "docs", "page.md")
	raw, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, []byte(strings.Replace(string(raw), "mage -h ci:test", "mage -h ci:tset", 1)), 0o644))
	outcome = gatetest.Run(t, g, gates.Options{Root: root, Artifacts: t.TempDir()})
	assert.Equal(t, outcome.Record.Verdict, evidence.Fail)
	var red []evidence.Check
	for _, c := range gatetest.Step(t, outcome, contract.ID).Checks {
		if c.Verdict != evidence.Pass {
			red = append(red, c)
		}
	}
	assert.Equal(t, len(red), 1)
	assert.Equal(t, red[0].Code, contract.CodeCommand)
	assert.Equal(t, red[0].Line, 4)
}
