package generate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/gatetest"
)

const tree = `
-- numbers.txt --
one two
-- docs/a.md --
# A

<!-- generated: numbers -->

| one |
| two |

<!-- /generated -->

Text.

<!-- generated: args x y -->

x+y

<!-- /generated -->
-- docs/b.md --
<!-- generated: args z -->

z

<!-- /generated -->
`

func tables() []generate.Table {
	return []generate.Table{
		{Name: "numbers", Pages: []string{"docs/a.md"}, Make: func(tree fs.FS, _ []string) (string, error) {
			raw, err := fs.ReadFile(tree, "numbers.txt")
			return "| " + strings.Join(strings.Fields(string(raw)), " |\n| ") + " |\n", err
		}},
		{Name: "args", Pages: []string{"docs/a.md", "docs/b.md"}, Make: func(_ fs.FS, args []string) (string, error) {
			if len(args) == 0 {
				return "", errors.New("no argument")
			}
			return strings.Join(args, "+"), nil
		}},
	}
}

func setUp(t *testing.T) (generate.Options, *bytes.Buffer) {
	t.Helper()
	dir, out := t.TempDir(), &bytes.Buffer{}
	gatetest.Write(t, dir, tree)
	return generate.Options{Root: dir, Pages: []string{"docs/**"}, Tables: tables(), Stdout: out}, out
}

func text(t *testing.T, o generate.Options, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.Root, name))
	assert.NilError(t, err)
	return string(raw)
}

func edit(t *testing.T, o generate.Options, name, from, to string) {
	t.Helper()
	before := text(t, o, name)
	assert.Assert(t, strings.Contains(before, from), "%s has no %q", name, from)
	assert.NilError(t, os.WriteFile(filepath.Join(o.Root, name), []byte(strings.Replace(before, from, to, 1)), 0o644))
}

func TestPagesInStep(t *testing.T) {
	t.Parallel()
	o, out := setUp(t)
	o.Check = true
	assert.NilError(t, generate.Run(t.Context(), o), out)
	assert.Equal(t, out.String(), "PASS  mage docs:generate  3 tables in 2 pages, 0 written\n")
}

// Each defect is red with -check and nothing is written; what can be mended is mended without.
func TestDrift(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, from, to string
		want           string
		mended         bool
	}{
		"the source changed":   {"numbers.txt", "two", "two three", `docs/a.md:3  generated: numbers: line 7 has nothing, the source gives "| three |"`, true},
		"the page changed":     {"docs/a.md", "| two |", "| deux |", `line 6 has "| deux |", the source gives "| two |"`, true},
		"the arguments":        {"docs/b.md", "args z", "args z z", `docs/b.md:1  generated: args z z`, true},
		"a row too many":       {"docs/b.md", "z\n\n<!-- /", "z\nz\n\n<!-- /", "the source gives nothing", true},
		"an unknown name":      {"docs/b.md", "args z", "nope z", `docs/b.md:1  no table "nope" is made for this page`, false},
		"on another page":      {"docs/b.md", "args z", "numbers", `no table "numbers" is made for this page`, false},
		"no end":               {"docs/b.md", "<!-- /generated -->", "", "docs/b.md:1  the generated part args z has no end", false},
		"a mark that is gone":  {"docs/a.md", "<!-- generated: numbers -->", "", "docs/a.md  the page does not show the table numbers", false},
		"a table that failed":  {"docs/b.md", "args z", "args", "docs/b.md:1  args cannot be made: no argument", false},
		"source that is gone":  {"docs/a.md", "generated: numbers -->", "generated: -->", "the mark names no table", false},
		"a mark inside a part": {"docs/a.md", "| one |", "<!-- generated: numbers -->", "begins inside of numbers", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, out := setUp(t)
			edit(t, o, c.file, c.from, c.to)
			before := text(t, o, "docs/a.md") + text(t, o, "docs/b.md")
			o.Check = true
			err := generate.Run(t.Context(), o)
			var red *generate.NotGreenError
			assert.Assert(t, errors.As(err, &red), "%v", err)
			assert.Equal(t, red.ExitStatus(), 1)
			assert.Assert(t, strings.Contains(out.String(), c.want), out)
			assert.Assert(t, strings.Contains(out.String(), "mage docs:generate"), out)
			assert.Equal(t, text(t, o, "docs/a.md")+text(t, o, "docs/b.md"), before)

			o.Check = false
			err = generate.Run(t.Context(), o)
			if !c.mended {
				assert.Assert(t, errors.As(err, &red), "%v", err)
				assert.Equal(t, text(t, o, "docs/a.md")+text(t, o, "docs/b.md"), before)
				return
			}
			assert.NilError(t, err)
			assert.Assert(t, strings.Contains(out.String(), "1 written"), out)
			o.Check = true
			assert.NilError(t, generate.Run(t.Context(), o), out)
		})
	}
}

// All or nothing: the page that cannot be written keeps the other one as it was.
func TestNothingIsWrittenByHalves(t *testing.T) {
	t.Parallel()
	o, _ := setUp(t)
	edit(t, o, "docs/a.md", "| two |", "| deux |")
	edit(t, o, "docs/b.md", "args z", "args y")
	target := filepath.Join(o.Root, "elsewhere.md")
	assert.NilError(t, os.Rename(filepath.Join(o.Root, "docs/b.md"), target))
	assert.NilError(t, os.Symlink(target, filepath.Join(o.Root, "docs/b.md")))
	o.Pages = []string{"docs/*.md"} // a pattern follows links
	err := generate.Run(t.Context(), o)
	assert.ErrorContains(t, err, "docs/b.md: not a regular file")
	assert.Assert(t, strings.Contains(text(t, o, "docs/a.md"), "deux"))
	left, err := filepath.Glob(filepath.Join(o.Root, "docs", ".*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
}

// A page that a test makes is named, and has to say how it is made.
func TestPagesOfTests(t *testing.T) {
	t.Parallel()
	o, out := setUp(t)
	o.Held = []generate.Held{{Page: "docs/c.md", Command: "go test ./x -update"}}
	assert.ErrorContains(t, generate.Run(t.Context(), o), "1 problem")
	assert.Assert(t, strings.Contains(out.String(), "docs/c.md  the page does not say"), out)
	gatetest.Write(t, o.Root, "-- docs/c.md --\n# C\n\nMade by `go test\n./x -update`.\n")
	out.Reset()
	assert.NilError(t, generate.Run(t.Context(), o))
	assert.Assert(t, strings.Contains(out.String(), "skip docs/c.md  made by its test: go test ./x -update"), out)
}

func TestModeIsKept(t *testing.T) {
	t.Parallel()
	o, _ := setUp(t)
	edit(t, o, "docs/a.md", "| two |", "| deux |")
	path := filepath.Join(o.Root, "docs/a.md")
	assert.NilError(t, os.Chmod(path, 0o640))
	assert.NilError(t, generate.Run(t.Context(), o))
	info, err := os.Stat(path)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), fs.FileMode(0o640))
}

func TestNoPagesIsNotGreen(t *testing.T) {
	t.Parallel()
	o, out := setUp(t)
	o.Pages = []string{"nowhere/**"}
	var red *generate.NotGreenError
	assert.Assert(t, errors.As(generate.Run(t.Context(), o), &red))
	assert.Equal(t, red.Verdict, evidence.Unverified)
	assert.Equal(t, red.ExitStatus(), 3)
	assert.Equal(t, out.Len(), 0)

	o, _ = setUp(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("stopped"))
	assert.ErrorContains(t, generate.Run(ctx, o), "stopped")
}
