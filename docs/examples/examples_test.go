//go:build unix

// Package examples_test does what the tutorials of other modules tell a reader to do. Each is a
// session of a shell on a copy of the module that lies here, beside a clone of dpone:
//
//   - in a block of text that begins with a prompt, "$ " is a command, "> " goes on with it, and the
//     rest is what it prints; a line "..." stands for any number of lines
//   - a block of Go or YAML is a part of a file of the module
package examples_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/docs/page"
)

func TestUseTheGates(t *testing.T) {
	tutorial(t, "use-the-gates", "0", "1", "0", "1")
}

func TestCertifyYourConnector(t *testing.T) {
	tutorial(t, "certify-your-connector", "0", "1", "1", "0")
}

// tutorial runs the page of a module. The codes are what its "echo $?" print: how often it has to be red is not for the
// page to say.
func tutorial(t *testing.T, name string, codes ...string) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	assert.NilError(t, err)
	pages, err := page.Read(os.DirFS(root), "docs/tutorials/"+name+".md")
	assert.NilError(t, err)
	assert.Equal(t, len(pages), 1)
	var steps []step
	for _, b := range pages[0].Blocks {
		switch {
		case b.Lang == "go" || b.Lang == "yaml":
			inFile(t, pages[0].Path, name, b)
		case b.Lang == "text" && strings.HasPrefix(b.Text, "$ "):
			steps = append(steps, transcript(b)...)
		}
	}
	printed := session(t, root, steps)
	var seen []string
	for i, s := range steps {
		t.Logf("$ %s\n%s", s.command, printed[i])
		assert.Check(t, same(printed[i], s.output), "%s:%d: %s prints\n%s\nand the page shows\n%s", pages[0].Path, s.line, s.command, printed[i], s.output)
		if s.command == "echo $?" {
			seen = append(seen, strings.TrimSpace(printed[i]))
		}
	}
	assert.DeepEqual(t, seen, codes)
}

// inFile holds that a block stands in a file of the module.
func inFile(t *testing.T, at, module string, b page.Block) {
	t.Helper()
	found := false
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".go", ".yml"}, filepath.Ext(path)) {
			return err
		}
		raw, err := os.ReadFile(path)
		found = found || strings.Contains(string(raw), b.Text)
		return err
	})
	assert.NilError(t, err)
	assert.Check(t, found, "%s:%d: no file of docs/examples/%s has these lines:\n%s", at, b.Line, module, b.Text)
}

// step is a command of a page, and what the page says that it prints.
type step struct {
	line            int
	command, output string
}

func transcript(b page.Block) []step {
	var steps []step
	for i, line := range strings.SplitAfter(b.Text, "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{line: b.Line + i, command: strings.TrimSuffix(command, "\n")})
			continue
		}
		last := &steps[len(steps)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok || line == ">\n" {
			last.command += "\n" + strings.TrimSuffix(strings.TrimPrefix(more, ">"), "\n")
			continue
		}
		last.output += line
	}
	return steps
}

// session runs the commands in one shell, in a folder beside a clone of the tree, and returns what each of them prints.
func session(t *testing.T, root string, steps []step) []string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	const end = "\x1e"
	var script strings.Builder
	for _, s := range steps {
		// The exit code has to outlive the mark, for the next command may ask for it.
		fmt.Fprintf(&script, "%s\n{ code=$?; printf '\\036'; (exit $code); }\n", s.command)
	}
	for _, sub := range []string{"bin", "home", "mage", "work"} {
		assert.NilError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	mage := "#!/bin/sh\nexec go tool mage \"$@\"\n" // what "go install tool" would install
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "bin", "mage"), []byte(mage), 0o755))
	assert.NilError(t, os.Symlink(root, filepath.Join(dir, "work", "dpone")))

	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir, cmd.Env = filepath.Join(dir, "work"), environment(t, dir)
	out, err := cmd.CombinedOutput()
	printed := strings.Split(string(out), end)
	assert.Equal(t, len(printed), len(steps)+1, "%v\n%s", err, out)
	return printed
}

// environment is that of a new user, who has the modules and what was compiled before.
func environment(t *testing.T, dir string) []string {
	t.Helper()
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		of := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if !of("GITHUB_") && !of("GIT_") && !of("DPONE_") && !of("MAGEFILE_") && name != "CI" {
			env = append(env, entry)
		}
	}
	goenv := func(name string) string {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		assert.NilError(t, err)
		return name + "=" + strings.TrimSpace(string(out))
	}
	cache, err := os.UserCacheDir()
	assert.NilError(t, err)
	return append(
		env, goenv("GOCACHE"), goenv("GOMODCACHE"), goenv("GOPATH"), "GOWORK=off", "XDG_CACHE_HOME="+cache,
		"DPONE_OUTPUT=plain", "DPONE_TOOL_CACHE="+os.Getenv("DPONE_TOOL_CACHE"), "MAGEFILE_CACHE="+filepath.Join(dir, "mage"),
		"HOME="+filepath.Join(dir, "home"), "PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
	)
}

// What differs from run to run, or from machine to machine.
var changing = []struct {
	is   *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\b[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\b`), "RUN"},
	{regexp.MustCompile(`\bsha256:[0-9a-f]{4}\.\.\.[0-9a-f]{4}\b`), "SHA256"},
	{regexp.MustCompile(`\b(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{7})\b`), "COMMIT"},
	{regexp.MustCompile(`\bgo1\.[0-9]+(?:\.[0-9]+)?\b`), "GO"},
	// A short time is not shown at all.
	{regexp.MustCompile(` +\b(?:in )?(?:[0-9]+m)?[0-9.]+ ?m?s\b`), ""},
}

// lines are those of a text, without what changes.
func lines(text string) []string {
	for _, c := range changing {
		text = c.is.ReplaceAllString(text, c.name)
	}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], " ")
	}
	return all
}

// same says whether an output is what the page shows.
func same(printed, shown string) bool {
	rest, anywhere := lines(printed), false
	var part []string
	for _, line := range append(lines(shown), "...") {
		if line != "..." {
			part = append(part, line)
			continue
		}
		at := 0
		for ; at+len(part) <= len(rest) && !slices.Equal(rest[at:at+len(part)], part); at++ {
			if !anywhere {
				return false
			}
		}
		if at+len(part) > len(rest) {
			return false
		}
		rest, part, anywhere = rest[at+len(part):], nil, true
	}
	// The mark that was added stands for nothing, unlike one that the page ends with.
	all := lines(shown)
	return len(rest) == 0 || all[len(all)-1] == "..."
}

// TestSame shows what the comparison takes and what it refuses.
func TestSame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		printed, shown string
		want           bool
	}{
		{"a\nb\n", "a\nb\n", true},
		{"a\nb\n", "a\n", false},
		{"a\n", "a\nb\n", false},
		{"", "", true},
		{"a\n", "", false},
		{"", "a\n", false},
		{"a\nb\nc\n", "a\n...\n", true},
		{"a\nb\nc\n", "...\nc\n", true},
		{"a\nb\nc\n", "...\nb\n", false},
		{"a\nb\nc\nd\n", "...\nb\n...\n", true},
		{"a\nb\nc\nd\n", "a\n...\nc\n...\nd\n", true},
		{"a\nb\nc\nd\n", "a\n...\nx\n...\nd\n", false},
		{"ab\nc\n", "...\nb\n...\n", false},
		{"ok  ci  4 files   90ms\n", "ok  ci  4 files  1m20.5s\n", true},
		{"ok  ci  4 files   90ms\n", "ok  ci  5 files   90ms\n", false},
		{"PASS  ci  1 passed\n", "PASS  ci  1 passed in 50ms\n", true},
		{"about 0123456 (dirty)\n", "about 89abcde (dirty)\n", true},
	} {
		assert.Check(t, same(c.printed, c.shown) == c.want, "%q as %q", c.printed, c.shown)
	}
}
