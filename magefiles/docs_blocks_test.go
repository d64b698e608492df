//go:build mage && unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/docs/contract"
	"github.com/dpone/dpone/gates/docs/page"
	"github.com/dpone/dpone/gates/gatetest"
)

// TestBlocksOfTheDocs runs every block of code of the pages that has no mark <!-- not run: reason -->: those of a shell
// in a clone of this tree with the compiled gate binary as mage, all of one page in one shell, as a reader would; those
// of Go through the type checker.
func TestBlocksOfTheDocs(t *testing.T) {
	root, err := filepath.Abs("..")
	assert.NilError(t, err)
	t.Parallel()
	pages, err := page.Read(os.DirFS(root), docsPages()...)
	assert.NilError(t, err)
	shell := map[*page.Page][]page.Block{}
	var source []goBlock
	for _, p := range pages {
		for i, b := range p.Blocks {
			if !contract.Run(b) {
				continue
			}
			if contract.KindOf(b) == contract.GoCode {
				source = append(source, goBlock{fmt.Sprintf("%s:%d", p.Path, b.Line), b.Text, followed(p, i)})
				continue
			}
			shell[p] = append(shell[p], b)
		}
	}
	assert.Assert(t, len(shell) > 3 && len(source) > 1, "%d pages and %d blocks of Go", len(shell), len(source))
	w := newWorkshop(t, root)
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		w.compile(t, source)
	})
	for _, p := range pages {
		if len(shell[p]) > 0 {
			t.Run(p.Path, func(t *testing.T) {
				t.Parallel()
				w.run(t, p, shell[p])
			})
		}
	}
}

// followed is the output that a page shows for its block i, or "".
func followed(p *page.Page, i int) string {
	if i+1 < len(p.Blocks) && p.Blocks[i+1].Output {
		return p.Blocks[i+1].Text
	}
	return ""
}

type goBlock struct{ at, text, output string }

// compile holds the blocks of Go as packages of this module, in a clone of it.
func (w *workshop) compile(t *testing.T, blocks []goBlock) {
	dir := t.TempDir()
	clone := filepath.Join(dir, "dpone")
	gatetest.Git(t, dir, "clone", "-q", w.base, clone)
	command := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = clone, append(append([]string{}, w.env...), asBuilt...)
		out, err := cmd.CombinedOutput()
		assert.NilError(t, err, "go %s\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	args := []string{"vet", "-tags=mage"}
	for i, b := range blocks {
		name := "block.go"
		if strings.Contains(b.text, `"testing"`) {
			name = "block_test.go"
		}
		folder := fmt.Sprintf("docs_block_%d", i)
		assert.NilError(t, os.Mkdir(filepath.Join(clone, folder), 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(clone, folder, name), []byte(b.text), 0o644))
		args = append(args, "./"+folder)
		t.Logf("%s is %s/%s", b.at, folder, name)
	}
	command(args...)
	for i, b := range blocks {
		if b.output != "" {
			assert.Equal(t, scrub(command("run", fmt.Sprintf("./docs_block_%d", i))), scrub(b.output), b.at)
		}
	}
}

// asBuilt is how ci:build compiles, so that what it compiled is used again in any folder.
var asBuilt = []string{"GOFLAGS=-trimpath", "CGO_ENABLED=0", "GOWORK=off"}

// workshop is where the blocks of shells run.
type workshop struct {
	base string // a repository with the files of this tree
	env  []string
}

func newWorkshop(t *testing.T, root string) *workshop {
	t.Helper()
	dir := t.TempDir()
	w := &workshop{base: filepath.Join(dir, "base")}
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	assert.NilError(t, err)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // deleted, not yet committed
		}
		assert.NilError(t, err)
		to := filepath.Join(w.base, name)
		assert.NilError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		assert.NilError(t, os.WriteFile(to, raw, 0o644))
	}
	gatetest.Git(t, w.base, "init", "-q", "-b", "master")
	gatetest.Commit(t, w.base)

	binary := filepath.Join(dir, "dpone-gates")
	compile := exec.CommandContext(t.Context(), "go", "tool", "mage", "-compile", binary)
	compile.Dir = w.base
	compile.Env = append(append(os.Environ(), asBuilt...), "MAGEFILE_CACHE="+filepath.Join(dir, "mage"))
	out, err := compile.CombinedOutput()
	assert.NilError(t, err, "%s", out)

	goProgram, err := exec.LookPath("go")
	assert.NilError(t, err)
	bin := filepath.Join(dir, "bin")
	assert.NilError(t, os.Mkdir(bin, 0o755))
	for name, script := range map[string]string{
		"mage": "#!/bin/sh\nexec '" + binary + "' \"$@\"\n",
		// go tool mage would compile the magefiles once more for each page.
		"go": "#!/bin/sh\nif [ \"$1 $2\" = 'tool mage' ]; then shift 2; exec '" + binary + "' \"$@\"; fi\nexec '" + goProgram + "' \"$@\"\n",
	} {
		assert.NilError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755))
	}
	var known map[string]string
	raw, err := exec.CommandContext(t.Context(), "go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	assert.NilError(t, err)
	assert.NilError(t, json.Unmarshal(raw, &known))
	cache, err := os.UserCacheDir()
	assert.NilError(t, err)
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "GITHUB_") && !strings.HasPrefix(name, "GIT_") && !strings.HasPrefix(name, "DPONE_") && !strings.HasPrefix(name, "MAGEFILE_") {
			w.env = append(w.env, entry)
		}
	}
	w.env = append(w.env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "DPONE_OUTPUT=plain", "CI=", "XDG_CACHE_HOME="+cache,
		"GOCACHE="+known["GOCACHE"], "GOMODCACHE="+known["GOMODCACHE"], "GOPATH="+known["GOPATH"], "DPONE_TOOL_CACHE="+os.Getenv("DPONE_TOOL_CACHE"))
	return w
}

// run runs the blocks of one page. The script has each line of a block at the line that it has in the page, so that the
// shell names the right one.
func (w *workshop) run(t *testing.T, p *page.Page, blocks []page.Block) {
	dir := t.TempDir()
	lines := make([]string, strings.Count(p.Text, "\n")+2)
	outputs := map[int]string{}
	for _, b := range blocks {
		for _, name := range contract.Programs(b) {
			if name != "mage" && exec.CommandContext(t.Context(), "bash", "-c", `command -v -- "$0"`, name).Run() != nil {
				t.Skipf("line %d needs %s, which is not installed", b.Line, name)
			}
		}
		code := strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n")
		copy(lines[b.Line-1:], code)
		for i, other := range p.Blocks {
			if other.Line == b.Line && followed(p, i) != "" {
				file := filepath.Join(dir, fmt.Sprintf("output-%d", b.Line))
				outputs[b.Line] = followed(p, i)
				lines[b.Line-2] = "{"
				lines[b.Line-1+len(code)] = "} > '" + file + "'"
			}
		}
	}
	script := filepath.Join(dir, "page.sh")
	assert.NilError(t, os.WriteFile(script, []byte(strings.Join(lines, "\n")), 0o644))
	clone := filepath.Join(dir, "dpone")
	gatetest.Git(t, dir, "clone", "-q", w.base, clone)
	home := filepath.Join(dir, "home")
	assert.NilError(t, os.Mkdir(home, 0o755))

	cmd := exec.CommandContext(t.Context(), "bash", "-c", `set -euE -o pipefail; trap 'echo "line $LINENO ended with $?: $BASH_COMMAND"' ERR; . "$0"`, script)
	cmd.Dir, cmd.Env = clone, append(append([]string{}, w.env...), "HOME="+home)
	out, err := cmd.CombinedOutput()
	for line, want := range outputs {
		raw, readErr := os.ReadFile(filepath.Join(dir, fmt.Sprintf("output-%d", line)))
		if err != nil {
			out = append(out, raw...)
			continue
		}
		assert.NilError(t, readErr)
		assert.Check(t, scrub(string(raw)) == scrub(want), "%s:%d prints\n%s\nand the page shows\n%s", p.Path, line, raw, want)
	}
	assert.NilError(t, err, "%s: %s", p.Path, bytes.TrimSpace(out))
	t.Logf("%s", out)
}

var (
	someID   = regexp.MustCompile(`\b(?:[0-9a-f]{7}|[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{40})\b`)
	someRun  = regexp.MustCompile(`\b[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\b`)
	someTime = regexp.MustCompile(` +\b[0-9.]+ ?m?s\b`)
)

// scrub takes out what differs from run to run: names of runs, commits, IDs and times.
func scrub(s string) string {
	s = someRun.ReplaceAllString(s, "RUN")
	s = someID.ReplaceAllString(s, "ID")
	return someTime.ReplaceAllString(s, "  TIME")
}
