package tables_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/facts"
	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/docs/tables"
	"github.com/dpone/dpone/gates/target"
)

func root() fs.FS { return os.DirFS("../../..") }

func find(t *testing.T, list []generate.Table, name string) generate.Table {
	t.Helper()
	for _, table := range list {
		if table.Name == name {
			return table
		}
	}
	t.Fatalf("no table %s", name)
	return generate.Table{}
}

// Every table can be made from this tree, and is a table whose rows have as many cells as its head.
func TestTablesOfTheEngine(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, table := range slices.Concat(tables.Engine(), tables.Manifest("docs/manifest.md"), tables.Evidence("docs/runbooks.md", "docs/trust-policy.md")) {
		assert.Assert(t, !seen[table.Name], "%s is there twice", table.Name)
		seen[table.Name] = true
		assert.Assert(t, len(table.Pages) > 0, table.Name)
		var args []string
		if table.Name == "strategy-fields" {
			args = []string{string(manifest.XMin)}
		}
		text, err := table.Make(root(), args)
		assert.NilError(t, err, table.Name)
		cells, rows := 0, 0
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "|") {
				cells = 0
				continue
			}
			n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
			assert.Assert(t, cells == 0 || n == cells, "%s: %s", table.Name, line)
			cells = n
			rows++
		}
		assert.Assert(t, rows > 3 || strings.HasPrefix(text, "```"), "%s has %d rows", table.Name, rows)
	}
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	table := find(t, tables.Engine(), "error-codes")
	all, err := table.Make(root(), nil)
	assert.NilError(t, err)
	assert.Equal(t, strings.Count(all, "\n"), len(engine.Codes())+2)
	some, err := table.Make(root(), []string{"cursor.*", "apply.merge"})
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(some, "`cursor.") && strings.Contains(some, "`apply.merge`") && !strings.Contains(some, "`xmin."))
	_, err = table.Make(root(), []string{"nope.*"})
	assert.ErrorContains(t, err, `there is no code "nope.*"`)
}

// A table whose source is not as it was says so, and gives no half of itself.
func TestTablesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	empty := fstest.MapFS{
		"engine/logical/type.go":         {Data: []byte("// Package logical.\npackage logical\n")},
		"engine/connector/connector.go":  {Data: []byte("package connector\n")},
		"engine/postgres/shadow.go":      {Data: []byte("package postgres\n")},
		"engine/connector/not-change.go": {Data: []byte("package connector\n")},
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"encoding":        {nil, "does not tell how a"},
		"points":          {nil, "has no comment"},
		"shadow-swap":     {nil, "no longer written so"},
		"interfaces":      {nil, "engine/connector/change.go"},
		"strategy-fields": {nil, "one argument"},
		"strategies":      {[]string{"x"}, "takes no arguments"},
	} {
		_, err := find(t, tables.Engine(), name).Make(empty, c.args)
		assert.ErrorContains(t, err, c.want, name)
		if c.args == nil && name != "strategy-fields" {
			_, err = find(t, tables.Engine(), name).Make(fstest.MapFS{}, nil)
			assert.ErrorContains(t, err, "file does not exist", name)
		}
	}
	_, err := find(t, tables.Engine(), "strategy-fields").Make(empty, []string{"nope"})
	assert.ErrorContains(t, err, `no strategy "nope"`)
}

func TestPolicyFields(t *testing.T) {
	t.Parallel()
	policy := find(t, tables.Evidence("docs/runbooks.md", "docs/trust-policy.md"), "policy-fields")
	for source, want := range map[string]string{
		"package policy\n": "no struct Policy",
		"package policy\ntype Policy struct{ F func() `json:\"f\"` }\n": "Policy: f: no words for the type *ast.FuncType",
		"not Go": "expected 'package'",
		"package policy\ntype Policy struct{ A []int `json:\"a\"`; B string; C int `json:\"-\"` }": "no struct Subject",
	} {
		_, err := policy.Make(fstest.MapFS{"evidence/policy/policy.go": {Data: []byte(source)}, "evidence/policy/waiver.go": {Data: []byte("package policy\n")}}, nil)
		assert.ErrorContains(t, err, want)
	}
	text, err := policy.Make(root(), nil)
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(text, "| `max_age` | duration, mandatory |"))
}

func project() fstest.MapFS {
	return fstest.MapFS{
		"gates/a/a.go": {Data: []byte(`package a
const codeTest = "a.test"
const codeOdd = "a.odd"
func look() { os.Getenv("DPONE_A_TOKEN"); os.Getenv("DPONE_PLAIN"); atMost("a.wall", 3, "%.2f s"); atLeast("a.share", 3, x) }
func atMost(code string, n float64, format string) {}
func atLeast(code string, n float64, format string) {}
`)},
		"engine/e.go":      {Data: []byte("package e\nconst codeE = \"e.x\"\n")},
		"docs/runbooks.md": {Data: []byte("# Runbooks\n\n## A b\n\n`a.test` and `a.share`.\n\n## C\n\n`a.test`, `a.wall`\n")},
	}
}

func TestTablesOfTheProject(t *testing.T) {
	t.Parallel()
	read := facts.Once(tables.Folders()...)
	secrets := []tables.Secret{{Name: "DPONE_A_TOKEN", For: "a token", Targets: []string{"a:b", "c"}}}
	for _, c := range []struct {
		table generate.Table
		want  string
	}{
		{
			tables.Targets(func() ([]target.Target, error) { return []target.Target{{Name: "a:b", Synopsis: "does a|b."}}, nil }, "x.md"),
			"| Target | What it is for |\n| --- | --- |\n| `mage a:b` | does a\\|b. |\n",
		},
		{
			tables.Artifacts(func() []gates.Gate {
				return []gates.Gate{{ID: "b", Area: "y"}, {ID: "a", Area: "y"}, {ID: "c", Area: "x"}}
			}, "x.md"),
			"| Folder | Runs of |\n| --- | --- |\n| `test_artifacts/x/` | `mage c` |\n| `test_artifacts/y/` | `mage a`, `mage b` |\n",
		},
		{tables.Secrets(read, secrets, "x.md"), "| Variable | What it is | Taken by |\n| --- | --- | --- |\n| `DPONE_A_TOKEN` | a token | `mage a:b`, `mage c` |\n"},
		{tables.Metrics(read, "x.md"), "| Measured by the check | Shown as | Limit |\n| --- | --- | --- |\n| `a.share` | N % | at least |\n| `a.wall` | N s | at most |\n"},
		{
			tables.CheckCodes(read, "docs/runbooks.md", []string{"a.more"}, "x.md"),
			"| Code | Runbook |\n| --- | --- |\n| `a.more` | none |\n| `a.odd` | none |\n| `a.share` | [A b](runbooks.md#a-b) |\n| `a.test` | [A b](runbooks.md#a-b) |\n| `a.wall` | [C](runbooks.md#c) |\n",
		},
	} {
		text, err := c.table.Make(project(), nil)
		assert.NilError(t, err)
		assert.Equal(t, text, c.want)
	}
}

// The list of secrets and the source cannot drift apart.
func TestSecretsAreAll(t *testing.T) {
	t.Parallel()
	_, err := tables.Secrets(facts.Once("gates"), nil, "x.md").Make(project(), nil)
	assert.ErrorContains(t, err, "gates/a/a.go:4 names DPONE_A_TOKEN, which bears a secret")
	more := []tables.Secret{{Name: "DPONE_A_TOKEN"}, {Name: "DPONE_OLD_TOKEN"}}
	_, err = tables.Secrets(facts.Once("gates"), more, "x.md").Make(project(), nil)
	assert.ErrorContains(t, err, "nothing reads DPONE_OLD_TOKEN")
}
