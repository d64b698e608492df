package docsbench_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/docsbench"
	"github.com/dpone/dpone/gates/gatetest"
)

// project has a tool named mage that writes the gate binary: one that does nothing.
const project = `
-- go.mod --
module example.com/x

go 1.26

tool example.com/x/cmd/mage
-- cmd/mage/main.go --
// Command mage writes what stands for the gate binary.
package main

import "os"

func main() {
	if err := os.WriteFile(os.Args[2], []byte("#!/bin/sh\n"), 0o700); err != nil {
		os.Exit(1)
	}
}
-- docs/README.md --
# A

[b](deep/) [code](../go.mod) [folder](../cmd) [web](https://example.com)
-- docs/deep/README.md --
# B

[a](../README.md#a)
`

// peer puts a stand-in on the PATH where there is no MkDocs: how the two sides are
// run and counted is the same.
func peer(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("mkdocs"); err == nil {
		return
	}
	dir := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "mkdocs"), []byte("#!/bin/sh\necho stand-in\n"), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestCompare(t *testing.T) {
	peer(t)
	outcome := gatetest.Run(t, docsbench.Gate(docsbench.Options{Rounds: 1}), gates.Options{Root: gatetest.Repository(t, project)})
	step := gatetest.Step(t, outcome, docsbench.ID)
	// How fast it was is no matter here: both sides ran, and were judged.
	assert.Equal(t, step.Cause, evidence.CauseNone, step.Reason)
	assert.Equal(t, len(step.Checks), 2)
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.json"))
	assert.NilError(t, err)
	assert.Assert(t, is.Contains(string(raw), `"pages": 2`))
}

func TestOnPagesThatAreRight(t *testing.T) {
	peer(t)
	root := gatetest.Repository(t, project+"-- docs/alone.md --\n# Alone\n")
	outcome := gatetest.Run(t, docsbench.Gate(docsbench.Options{Rounds: 1}), gates.Options{Root: root})
	step := gatetest.Step(t, outcome, docsbench.ID)
	assert.Equal(t, step.Verdict, evidence.Unverified)
	assert.Assert(t, is.Contains(step.Reason, "1 findings"))
}

func TestWithoutThePeerItCannotTell(t *testing.T) {
	root := gatetest.Repository(t, project)
	git, err := exec.LookPath("git")
	assert.NilError(t, err)
	t.Setenv("PATH", filepath.Dir(git))
	if _, err := exec.LookPath("mkdocs"); err == nil {
		t.Setenv("PATH", t.TempDir())
	}
	outcome := gatetest.Run(t, docsbench.Gate(docsbench.Options{}), gates.Options{Root: root})
	step := gatetest.Step(t, outcome, docsbench.ID)
	assert.Equal(t, step.Verdict, evidence.Unverified)
	assert.Assert(t, is.Contains(step.Checks[0].Fix, "apt-get install mkdocs"))
}
