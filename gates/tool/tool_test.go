package tool_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/gates/tool"
)

// pinned is a small real tool, so that a real build is what is tested. Its
// checksums are those of the project.
func pinned(t *testing.T) tool.Tool {
	t.Helper()
	sum, err := os.ReadFile("../../go.sum")
	assert.NilError(t, err)
	return tool.Tool{Name: "mage", Pin: fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/tools\n\ngo 1.26\n\ntool github.com/magefile/mage\n\nrequire github.com/magefile/mage v1.17.2\n")},
		"go.sum": {Data: sum},
	}}
}

func TestBuiltOnceByManyAtOnce(t *testing.T) {
	cache := tool.Cache{Dir: t.TempDir(), Go: "go1"}
	var wait sync.WaitGroup
	var mu sync.Mutex
	builds := 0
	binaries := make([]tool.Binary, 6)
	for i := range binaries {
		wait.Go(func() {
			var err error
			binaries[i], err = cache.Resolve(t.Context(), pinned(t), &bytes.Buffer{}, func(s tool.Spec) {
				mu.Lock()
				defer mu.Unlock()
				builds++
				assert.Check(t, is.Equal(s.Version, "v1.17.2"))
			})
			assert.Check(t, err)
		})
	}
	wait.Wait()
	assert.Equal(t, builds, 1)
	for _, b := range binaries {
		assert.Equal(t, b, binaries[0])
	}
	assert.Equal(t, binaries[0].Version, "v1.17.2")
	assert.Equal(t, len(binaries[0].SHA256), 64)
	// A binary that is not what was built is not used.
	assert.NilError(t, os.WriteFile(binaries[0].Path, []byte("#!/bin/sh\nexit 0\n"), 0o755))
	again, err := cache.Resolve(t.Context(), pinned(t), &bytes.Buffer{}, func(tool.Spec) { builds++ })
	assert.NilError(t, err)
	assert.Equal(t, builds, 2)
	assert.Equal(t, again, binaries[0])
	out, err := exec.Command(binaries[0].Path, "-version").CombinedOutput()
	assert.NilError(t, err, "%s", out)
}

func TestWhatDecidesTheBinaryDecidesItsPlace(t *testing.T) {
	dir := t.TempDir()
	paths := map[string]bool{}
	resolve := func(goVersion, comment string) {
		tl := pinned(t)
		pin := tl.Pin.(fstest.MapFS)
		pin["go.mod"].Data = append(pin["go.mod"].Data, comment...)
		b, err := tool.Cache{Dir: dir, Go: goVersion}.Resolve(t.Context(), tl, &bytes.Buffer{}, func(tool.Spec) {})
		assert.NilError(t, err)
		paths[b.Path] = true
	}
	resolve("go1", "")
	resolve("go2", "")
	resolve("go1", "// changed\n")
	resolve("go1", "")
	assert.Equal(t, len(paths), 3)
}

func TestPinsThatSayTooLittle(t *testing.T) {
	for name, c := range map[string]struct{ mod, want string }{
		"no module file": {"", "go.mod"},
		"no tool":        {"module x\n", "0 tool lines"},
		"two tools":      {"module x\n\ntool a/b\ntool c/d\n", "2 tool lines"},
		"not required":   {"module x\n\ntool example.com/a\n", "requires no module that holds example.com/a"},
		"broken":         {"nonsense here\n", "unknown directive"},
	} {
		pin := fstest.MapFS{"go.sum": {}}
		if c.mod != "" {
			pin["go.mod"] = &fstest.MapFile{Data: []byte(c.mod)}
		}
		_, err := tool.Tool{Name: "x", Pin: pin}.Read()
		assert.Check(t, is.ErrorContains(err, c.want), name)
		assert.Check(t, is.ErrorContains(err, "pin of x"), name)
	}
}

func TestToolThatCannotBeHad(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	dir := t.TempDir()
	var output bytes.Buffer
	_, err := tool.Cache{Dir: dir, Go: "go1"}.Resolve(t.Context(), pinned(t), &output, func(tool.Spec) {})
	assert.Assert(t, errors.Is(err, tool.ErrBuild), "%v", err)
	assert.Check(t, is.Contains(err.Error(), "mage v1.17.2"))
	assert.Check(t, is.Contains(output.String(), "GOPROXY=off"))
	left, err := filepath.Glob(filepath.Join(dir, "*", "mage*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "half a tool was left behind")
}

// TestOwnTool builds a tool whose code lies beside its pin, again when the code changes.
func TestOwnTool(t *testing.T) {
	own := func(code string) tool.Tool {
		return tool.Tool{Name: "own", Pin: fstest.MapFS{
			"go.mod":       {Data: []byte("module example.com/own\n\ngo 1.26\n\ntool example.com/own\n")},
			"go.sum":       {},
			"main.go":      {Data: []byte(code)},
			"main_test.go": {Data: []byte("package nothing that compiles")},
			"sub/sub.go":   {Data: []byte("// Package sub has a word.\npackage sub\n\nconst Word = `sub`\n")},
		}}
	}
	program := func(word string) string {
		return "package main\n\nimport \"example.com/own/sub\"\n\nfunc main() { print(sub.Word + `" + word + "`) }\n"
	}
	cache := tool.Cache{Dir: t.TempDir(), Go: "go1"}
	versions := map[string]bool{}
	for _, word := range []string{"one", "two", "one"} {
		binary, err := cache.Resolve(t.Context(), own(program(word)), &bytes.Buffer{}, func(s tool.Spec) {
			assert.Check(t, s.Own())
			assert.Check(t, !versions[s.Version], "built twice")
		})
		assert.NilError(t, err)
		versions[binary.Version] = true
		out, err := exec.Command(binary.Path).CombinedOutput()
		assert.NilError(t, err)
		assert.Equal(t, string(out), "sub"+word)
	}
	assert.Equal(t, len(versions), 2)
	_, err := tool.Tool{Name: "own", Pin: fstest.MapFS{
		"go.mod": {Data: []byte("module example.com/own\n\ngo 1.26\n\ntool example.com/own\n")}, "go.sum": {},
	}}.Read()
	assert.ErrorContains(t, err, "there is no code")
}
