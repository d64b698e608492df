package site_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/docs/site"
)

// BenchmarkBuild builds the site of this repository.
func BenchmarkBuild(b *testing.B) {
	const root = "../../.."
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	assert.NilError(b, err)
	tree, err := os.OpenRoot(root)
	assert.NilError(b, err)
	defer tree.Close()
	o := site.Options{Source: known(site.Source{Files: strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")})}
	for b.Loop() {
		_, err := site.Build(b.Context(), tree.FS(), o)
		assert.NilError(b, err)
	}
}
