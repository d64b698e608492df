package tool_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/tool"
)

// tree is a source tree with a module in a folder that uses the one around it.
func tree(t *testing.T) (dir string, tl tool.Tool) {
	t.Helper()
	dir = t.TempDir()
	for _, file := range txtar.Parse([]byte(`
-- go.mod --
module example.com/outer

go 1.26
-- said/said.go --
package said

const Word = "one"
-- inner/go.mod --
module example.com/outer/inner

go 1.26

replace example.com/outer => ..

require example.com/outer v0.0.0-00010101000000-000000000000
-- inner/go.sum --
-- inner/cmd/speak/main.go --
package main

import "example.com/outer/said"

func main() { println(said.Word) }
`)).Files {
		path := filepath.Join(dir, file.Name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, file.Data, 0o644))
	}
	return dir, tool.Tool{Name: "speak", Tree: &tool.Tree{
		Module: filepath.Join(dir, "inner"), Package: "./cmd/speak", Code: []string{filepath.Join(dir, "inner", "..."), filepath.Join(dir, "said")},
	}}
}

func TestBuiltWhereItLies(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	dir, tl := tree(t)
	cache := tool.Cache{Dir: t.TempDir(), Go: "go1"}
	builds := 0
	say := func() (string, string) {
		t.Helper()
		var output bytes.Buffer
		binary, err := cache.Resolve(t.Context(), tl, &output, func(s tool.Spec) {
			builds++
			assert.Equal(t, s.Package, "example.com/outer/inner/cmd/speak")
			assert.Equal(t, s.Module, "example.com/outer/inner")
		})
		assert.NilError(t, err, "%s", output.String())
		out, err := exec.Command(binary.Path).CombinedOutput()
		assert.NilError(t, err)
		return string(out), binary.Version
	}
	write := func(name, content string) {
		assert.NilError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	assert.Assert(t, !cache.Warm(tl))
	said, first := say()
	assert.Equal(t, said, "one\n")
	assert.Assert(t, cache.Warm(tl))
	// Tests, and what is no code, go into nothing.
	write("said/said_test.go", "package said\n")
	write("said/README.md", "one\n")
	write("said/below/below.go", "package below\n")
	_, again := say()
	assert.Equal(t, again, first)
	assert.Equal(t, builds, 1)
	// The code of the other module does, and its modules stay compiled.
	write("said/said.go", "package said\n\nconst Word = \"two\"\n")
	assert.Assert(t, cache.Warm(tl))
	said, second := say()
	assert.Equal(t, said, "two\n")
	assert.Assert(t, second != first)
	assert.Equal(t, builds, 2)
	// Old builds are not kept for ever.
	for _, word := range []string{"three", "four", "five", "six"} {
		write("said/said.go", "package said\n\nconst Word = \""+word+"\"\n")
		say()
	}
	left, err := filepath.Glob(filepath.Join(cache.Dir, "speak-own-*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 4)
	// Other modules are another matter.
	write("inner/go.sum", "\n")
	assert.Assert(t, !cache.Warm(tl))
	inTree, err := filepath.Glob(filepath.Join(dir, "inner", "*"))
	assert.NilError(t, err)
	assert.Equal(t, len(inTree), 3, "the tree is as it was: %v", inTree)
}

func TestTreesThatSayTooLittle(t *testing.T) {
	for name, c := range map[string]struct {
		remove []string
		want   string
	}{
		"no module file": {[]string{"inner/go.mod"}, "go.mod"},
		"no checksums":   {[]string{"inner/go.sum"}, "go.sum"},
		"no folder":      {[]string{"said"}, "said"},
		"no code":        {[]string{"inner/cmd/speak/main.go", "said/said.go"}, "no code"},
	} {
		dir, tl := tree(t)
		for _, path := range c.remove {
			assert.NilError(t, os.RemoveAll(filepath.Join(dir, path)))
		}
		_, err := tl.Read()
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, "source of speak", name)
		assert.Assert(t, !tool.Cache{Dir: t.TempDir(), Go: "go1"}.Warm(tl), name)
	}
	dir, tl := tree(t)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "inner/go.mod"), []byte("go 1.26\n"), 0o644))
	_, err := tl.Read()
	assert.ErrorContains(t, err, "names no module")
	_, tl = tree(t)
	tl.Tree.Package = "./cmd/nothing"
	_, err = tool.Cache{Dir: t.TempDir(), Go: "go1"}.Resolve(t.Context(), tl, &bytes.Buffer{}, func(tool.Spec) {})
	assert.ErrorIs(t, err, tool.ErrBuild)
}
