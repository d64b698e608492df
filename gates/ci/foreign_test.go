package ci_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/gatetest"
)

// foreignMagefile is the example of the README: all that another project needs.
func foreignMagefile(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../README.md")
	assert.NilError(t, err)
	_, rest, ok := strings.Cut(string(raw), "```go\n")
	assert.Assert(t, ok)
	code, _, ok := strings.Cut(rest, "```")
	assert.Assert(t, ok)
	assert.Assert(t, strings.Count(code, "\n") <= 20, "the magefile has %d lines", strings.Count(code, "\n"))
	return code
}

const foreign = `
-- .gitignore --
/test_artifacts/
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
	sum := 0
	sum += n
	sum += n
	if sum != 2*n {
		sum--
	}
	a := sum
	b := a
	c := b
	d := c
	e := d
	f := e
	return f
}
-- x_test.go --
package x

import "testing"

func TestDouble(t *testing.T) {
	if Double(2) != 4 {
		t.Error("no")
	}
}
`

// foreignModule makes a module of somebody else that imports our gates.
func foreignModule(t *testing.T) string {
	t.Helper()
	ours, err := filepath.Abs("../..")
	assert.NilError(t, err)
	sum, err := os.ReadFile(filepath.Join(ours, "go.sum"))
	assert.NilError(t, err)
	mod := "module example.com/foreign\n\ngo 1.26\n\ntool github.com/magefile/mage\n\nrequire github.com/dpone/dpone v0.0.0\n\nreplace github.com/dpone/dpone => " + ours + "\n"
	root := gatetest.Repository(t, foreign+"-- magefiles/magefile.go --\n"+foreignMagefile(t)+"-- go.mod --\n"+mod+"-- go.sum --\n"+string(sum))
	tidy := exec.Command("go", "mod", "tidy")
	tidy.Dir = root
	out, err := tidy.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	gatetest.Commit(t, root)
	return root
}

// start runs a program as a user would and returns its exit code and output.
func start(t *testing.T, dir, name string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	// What surrounds this test must not show in what it starts.
	cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=", "GITHUB_STEP_SUMMARY=", "DPONE_OUTPUT=plain", "DPONE_ARTIFACTS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		_, exited := err.(*exec.ExitError) //nolint:errorlint // exec documents the type
		assert.Assert(t, exited, "%s: %v\n%s", name, err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// latest is the record of the newest run.
func latest(t *testing.T, root string) *evidence.Record {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "test_artifacts", "ci", folder.Latest, folder.RecordJSON))
	assert.NilError(t, err)
	record, err := evidence.Decode(raw)
	assert.NilError(t, err)
	return record
}

// Another project runs our gate with its own options: green as it is, and with
// a defect planted for each step exactly that step is red.
func TestForeignModule(t *testing.T) {
	root := foreignModule(t)

	code, out := start(t, root, "go", "tool", "mage", "ci")
	assert.Equal(t, code, 0, out)
	record := latest(t, root)
	assert.Equal(t, record.Verdict, evidence.Pass)
	var options ci.Options
	assert.NilError(t, json.Unmarshal(record.Stable.Invocation.Options, &options))
	assert.Equal(t, options.MinCoverage, 70.0)
	green := record.StableDigest

	// The compiled binary from here on: mage itself is not what is tested.
	runner := filepath.Join(t.TempDir(), "gates")
	code, out = start(t, root, "go", "tool", "mage", "-compile", runner)
	assert.Equal(t, code, 0, out)

	t.Run("two runs of one commit agree", func(t *testing.T) {
		code, out := start(t, root, runner, "ci")
		assert.Equal(t, code, 0, out)
		assert.Equal(t, latest(t, root).StableDigest, green)
	})
	for step, files := range map[string]string{
		ci.Modules: "-- sub/go.mod --\nmodule example.com/sub\n\ngo 1.26\n\nrequire golang.org/x/mod v0.41.0\n-- sub/sub.go --\npackage sub\n",
		ci.Format:  "-- y.go --\npackage x\n\nfunc  y() int { return 1 }\n\nvar _ = y()\n",
		ci.Lint:    "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) {\n\tn := 1\n\tn = 2\n\tif n == 3 {\n\t\tt.Error(n)\n\t}\n}\n",
		ci.Vet:     "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) {\n\tif false {\n\t\tt.Errorf(\"%d\", \"text\")\n\t}\n}\n",
		ci.Test:    "-- y_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestY(t *testing.T) { t.Error(\"planted\") }\n",
		ci.Build:   "-- cmd/z/main.go --\npackage main\n\nfunc missing()\n\nfunc main() { missing() }\n-- cmd/z/empty.s --\n",
		ci.Tree:    "-- y_test.go --\npackage x\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestY(t *testing.T) {\n\tif err := os.WriteFile(\"left-behind\", nil, 0o600); err != nil {\n\t\tt.Error(err)\n\t}\n}\n",
	} {
		t.Run(step, func(t *testing.T) {
			gatetest.Write(t, root, files)
			gatetest.Commit(t, root)
			defer func() {
				gatetest.Git(t, root, "reset", "-q", "--hard", "HEAD~1")
				gatetest.Git(t, root, "clean", "-qfd")
			}()
			code, out := start(t, root, runner, "ci")
			assert.Equal(t, code, 1, out)
			for _, s := range latest(t, root).Stable.Steps {
				want := evidence.Pass
				if s.ID == step {
					want = evidence.Fail
				}
				assert.Equal(t, s.Verdict, want, "%s\n%s", s.ID, out)
			}
			assert.Assert(t, strings.Contains(out, "reproduce  mage "), out)
			assert.Assert(t, strings.Contains(out, "runbook    docs/runbooks.md#"+strings.ReplaceAll(step, ":", "-")), out)
		})
	}
}
