package engine_test

import (
	osexec "os/exec"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// TestWeight holds which libraries come with a package: an importer that brings
// its own connector gets none of a database, and one family never brings another's.
func TestWeight(t *testing.T) {
	t.Parallel()
	for path, allowed := range map[string][]string{
		".":           {"go.yaml.in/yaml/v3"},
		"./connector": {"go.yaml.in/yaml/v3"},
		"./digest":    {},
		"./sqlsink":   {"go.yaml.in/yaml/v3"},
		"./postgres":  {"go.yaml.in/yaml/v3", "github.com/jackc/", "golang.org/x/"},
		"./sqlite": {
			"go.yaml.in/yaml/v3", "modernc.org/", "zombiezen.com/go/sqlite", "github.com/dustin/go-humanize", "github.com/google/uuid", "github.com/mattn/go-isatty",
			"github.com/ncruces/go-strftime", "github.com/remyoudompheng/bigfft", "golang.org/x/",
		},
	} {
		out, err := osexec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", path).CombinedOutput()
		assert.NilError(t, err, "%s", out)
		for _, dep := range strings.Fields(string(out)) {
			ours := strings.HasPrefix(dep, "github.com/dpone/dpone/engine")
			known := slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(dep, prefix) })
			assert.Check(t, ours || known, "%s brings %s", path, dep)
		}
	}
}
