package fault

import (
	"bytes"
	"encoding/json"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/engine/connectors"
)

const root = "../../.."

var idPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)

// TestCatalogue holds each fault against the source that it changes.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	known := caseIDs()
	seen := map[string]bool{}
	areas := map[string]int{}
	all := Catalogue()
	assert.Assert(t, len(all) >= 48, "%d faults", len(all))
	for _, f := range all {
		assert.Assert(t, idPattern.MatchString(f.ID), "%q", f.ID)
		assert.Assert(t, !seen[f.ID], "%s is there twice", f.ID)
		seen[f.ID] = true
		assert.Assert(t, slices.Contains(Areas(), f.Area), "%s: area %q", f.ID, f.Area)
		areas[f.Area]++
		assert.Assert(t, strings.HasSuffix(f.Doc, ".") && !strings.ContainsAny(f.Doc, "\n|"), "%s: %q is no sentence", f.ID, f.Doc)
		assert.Assert(t, strings.HasPrefix(f.File, "engine/") && path.Clean(f.File) == f.File && !strings.HasSuffix(f.File, "_test.go"), "%s: %s", f.ID, f.File)
		assert.Assert(t, f.Old != f.New, f.ID)
		assert.Assert(t, len(f.Cases) >= 1 && len(f.Cases) <= 4, "%s: %d cases", f.ID, len(f.Cases))
		for i, id := range f.Cases {
			assert.Assert(t, known[id], "%s: there is no case %s", f.ID, id)
			assert.Assert(t, !slices.Contains(f.Cases[:i], id), "%s: %s is there twice", f.ID, id)
		}
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.File)))
		assert.NilError(t, err, f.ID)
		changed, err := f.mutate(source)
		assert.NilError(t, err)
		_, err = parser.ParseFile(token.NewFileSet(), f.File, changed, parser.AllErrors)
		assert.NilError(t, err, f.ID)
		formatted, err := format.Source(changed)
		assert.NilError(t, err, f.ID)
		assert.Assert(t, bytes.Equal(formatted, changed), "%s: the changed file is not formatted:\n%s", f.ID, f.New)
	}
	for _, area := range Areas() {
		assert.Assert(t, areas[area] > 0, "no fault in %s", area)
	}
}

// caseIDs are those that the connectors declare.
func caseIDs() map[string]bool {
	ids := map[string]bool{}
	for _, from := range connectors.All() {
		for _, to := range connectors.All() {
			if from.Source == nil || to.Sink == nil {
				continue
			}
			for _, mode := range from.Source.Modes {
				if slices.Contains(to.Sink.Modes, mode) {
					ids[from.Name+"_to_"+to.Name+"__"+string(mode)] = true
				}
			}
		}
	}
	return ids
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	tree, scratch := t.TempDir(), t.TempDir()
	write := func(content string) {
		assert.NilError(t, os.MkdirAll(filepath.Join(tree, "engine"), 0o700))
		assert.NilError(t, os.WriteFile(filepath.Join(tree, "engine", "x.go"), []byte(content), 0o600))
	}
	f := Fault{ID: "a-b", File: "engine/x.go", Old: "+ 1", New: "- 1"}
	write("package engine\n\nvar x = 2 + 1\n")
	name, err := Overlay(tree, scratch, f)
	assert.NilError(t, err)
	assert.Equal(t, name, filepath.Join(scratch, "a-b", "overlay.json"))
	raw, err := os.ReadFile(name)
	assert.NilError(t, err)
	var overlay struct{ Replace map[string]string }
	assert.NilError(t, json.Unmarshal(raw, &overlay))
	assert.Equal(t, len(overlay.Replace), 1)
	changed, err := os.ReadFile(overlay.Replace[filepath.Join(tree, "engine", "x.go")])
	assert.NilError(t, err)
	assert.Equal(t, string(changed), "package engine\n\nvar x = 2 - 1\n")

	for content, want := range map[string]string{"package engine\n": "occurs 0 times", "var x = 1 + 1 + 1\n": "occurs 2 times"} {
		write(content)
		_, err = Overlay(tree, scratch, f)
		assert.ErrorContains(t, err, want)
	}
	f.File = "engine/none.go"
	_, err = Overlay(tree, scratch, f)
	assert.ErrorContains(t, err, "none.go")
	f.File = "engine/x.go"
	write("var x = 2 + 1\n")
	_, err = Overlay(tree, filepath.Join(tree, "engine", "x.go"), f)
	assert.ErrorContains(t, err, "a-b")
}

// TestOverlaysCompile compiles one fault of each area, in the package that it changes; the
// gate itself builds all of them.
func TestOverlaysCompile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compiles packages of the engine")
	}
	abs, err := filepath.Abs(root)
	assert.NilError(t, err)
	all := Catalogue()
	if os.Getenv("DPONE_TEST_ALL_FAULTS") != "1" {
		var some []Fault
		for _, f := range all {
			if !slices.ContainsFunc(some, func(o Fault) bool { return o.Area == f.Area || o.File == f.File }) {
				some = append(some, f)
			}
		}
		all = some
	}
	assert.Assert(t, len(all) >= 5, "%d faults", len(all))
	for _, f := range all {
		overlay, err := Overlay(abs, t.TempDir(), f)
		assert.NilError(t, err)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay="+overlay, "./"+path.Dir(f.File))
		cmd.Dir = abs
		out, err := cmd.CombinedOutput()
		assert.NilError(t, err, "%s: %s", f.ID, out)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	page := Page()
	golden.Assert(t, page, "page.md")
	for _, f := range Catalogue() {
		assert.Equal(t, strings.Count(page, "| `"+f.ID+"` |"), 1, f.ID)
	}
}
