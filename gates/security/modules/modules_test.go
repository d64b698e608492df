package modules_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/security/modules"
)

func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	gatetest.Write(t, root, `
-- go.mod --
module example.com/x

go 1.26
-- a/b/x.go --
package b
-- tools/lint/go.mod --
module example.com/x/tools/lint

go 1.26

tool example.com/lint
-- own/go.mod --
module example.com/x/own
-- own/x/x.go --
package x
-- testdata/go.mod --
module example.com/no
-- .hidden/go.mod --
module example.com/no
`)
	found, err := modules.Find(root)
	assert.NilError(t, err)
	assert.DeepEqual(t, found, []modules.Module{{Dir: ".", Code: true}, {Dir: "own", Code: true}, {Dir: "tools/lint", Tools: true}})
	gatetest.Write(t, root, "-- bad/go.mod --\nmodule (\n")
	_, err = modules.Find(root)
	assert.ErrorContains(t, err, "bad/go.mod")
	_, err = modules.Find(root + "/none")
	assert.ErrorContains(t, err, "none")
}
