package browser_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/browser"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/gatetest"
)

const pages = `
-- go.mod --
module example.com/x
-- docs/README.md --
# Documentation

[runbooks](runbooks.md)

| A | B |
| --- | ---: |
| 1 | 2 |
-- docs/runbooks.md --
# Runbooks

## What a runbook is

` + "```go\nfunc f() {} // done\n```\n"

// run runs a gate in a real browser. Without one, or without npm's packages,
// there is nothing to test here.
func run(t *testing.T, g gates.Gate, root string) (gates.Outcome, evidence.Step, []string) {
	t.Helper()
	outcome := gatetest.Run(t, g, gates.Options{Root: root})
	step := gatetest.Step(t, outcome, g.Steps[0].ID)
	var said []string
	for _, c := range step.Checks {
		if c.Code == "docs.browser" && c.Verdict == evidence.Unverified {
			t.Skipf("%s: %s", c.Subject, c.Reason)
		}
		if c.Verdict != evidence.Pass {
			said = append(said, fmt.Sprintf("%s %s: %s%s -> %s", c.Code, c.Subject, c.Observed, c.Reason, c.Fix))
		}
	}
	return outcome, step, said
}

func options() browser.Options {
	return browser.Options{Site: site.Options{Title: "Test", Repository: "https://example.com/r"}, Cache: os.Getenv("DPONE_TOOL_CACHE")}
}

func TestGreen(t *testing.T) {
	outcome, step, said := run(t, browser.Gate(options()), gatetest.Repository(t, pages))
	assert.Equal(t, step.Verdict, evidence.Pass, "%s %s", step.Reason, strings.Join(said, "\n"))
	for _, name := range []string{"desktop-light.png", "desktop-dark.png", "phone-light.png", "phone-dark.png"} {
		raw, err := os.ReadFile(filepath.Join(outcome.Folder, browser.Screenshots, name))
		assert.NilError(t, err)
		assert.Assert(t, strings.HasPrefix(string(raw), "\x89PNG"), name)
	}
}

// bad is a site with one of every defect.
const bad = `
-- go.mod --
module example.com/x
-- public/index.html --
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Bad</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:focus { outline: none } body { background: #ffffff } .pale { color: #dddddd } .wide { width: 900px }
</style></head>
<body>
<main><h1>Bad</h1>
<a href="index.html">here</a>
<p class="pale">hard to read</p>
<div class="wide">wide</div>
<div role="button" onclick="f()">a control without a keyboard</div>
<img src="https://pixel.invalid/x.png" alt="from elsewhere">
<img src="gone.png" alt="gone">
<img src="index.html" alt="not a picture">
<img src="gone.png">
</main>
<script>console.error('planted error'); undefinedFunction();</script>
</body></html>
`

func TestEachDefectIsSeen(t *testing.T) {
	o := options()
	o.Dir = "public"
	_, step, said := run(t, browser.Gate(o), gatetest.Repository(t, bad))
	assert.Equal(t, step.Verdict, evidence.Fail, "%+v", step)
	for _, want := range [][]string{
		{"docs.console index.html (light)", "planted error"},
		{"docs.console index.html (dark)", "undefinedFunction is not defined"},
		{"docs.external index.html (light)", "https://pixel.invalid/x.png is fetched"},
		{"docs.request index.html (light)", "gone.png", "ERR_FILE_NOT_FOUND"},
		{"docs.request index.html (light)", "index.html cannot be drawn"},
		{"docs.contrast index.html (dark)", "color-contrast at p:", "#dddddd"},
		{"docs.accessibility index.html (light)", "image-alt"},
		{"docs.keyboard Tab", `the first stop is "here"`},
		{"docs.keyboard Tab", "never reaches the list of pages"},
		{"docs.keyboard", "main > div", "Tab never reaches it"},
		{"docs.keyboard", "main > a", "does not show that it has the focus"},
		{"docs.phone index.html (light)", "div.wide"},
		{"docs.scheme index.html", "rgb(255, 255, 255), light and dark"},
		{"docs.scheme the switch", "it changes nothing"},
		{"docs.search the key /", "does not lead to the search"},
	} {
		found := slices.ContainsFunc(said, func(line string) bool {
			return strings.HasPrefix(line, want[0]) && !slices.ContainsFunc(want[1:], func(part string) bool { return !strings.Contains(line, part) })
		})
		assert.Check(t, found, "%v is not in:\n%s", want, strings.Join(said, "\n"))
	}
}

func TestDiagrams(t *testing.T) {
	const diagram = "flowchart LR\n  accTitle: From a to b\n  a[\"Text\"] --> b\n"
	root := gatetest.Repository(t, "-- docs/README.md --\n# A\n\n```mermaid\n"+diagram+"```\n-- docs/diagrams/0123.svg --\n<svg/>\n")
	_, step, said := run(t, browser.DiagramsGate(options()), root)
	assert.Equal(t, step.Verdict, evidence.Pass, "%s %s", step.Reason, strings.Join(said, "\n"))
	picture := filepath.Join(root, "docs", "diagrams", site.Name(diagram)+".svg")
	raw, err := os.ReadFile(picture)
	assert.NilError(t, err)
	assert.NilError(t, site.CheckPicture(raw))
	assert.Assert(t, is.Contains(string(raw), ">From a to b</title>"))
	assert.Assert(t, is.Contains(string(raw), "Text"))
	_, err = os.Stat(filepath.Join(root, "docs", "diagrams", "0123.svg"))
	assert.ErrorIs(t, err, os.ErrNotExist)

	// What Mermaid cannot read has no picture, and its line is told.
	gatetest.Write(t, root, "-- docs/README.md --\n# A\n\n```mermaid\nflowchart LR\n  accTitle: x\n  a -->\n  --> b[\n```\n")
	_, step, said = run(t, browser.DiagramsGate(options()), root)
	assert.Equal(t, step.Verdict, evidence.Fail)
	assert.Equal(t, len(said), 1)
	assert.Assert(t, is.Contains(said[0], "docs.mermaid docs/README.md:"))
	assert.Assert(t, is.Contains(said[0], "Parse error"))
	t.Log(said[0])
}

func TestWithoutABrowserItCannotTell(t *testing.T) {
	for _, gate := range []func(browser.Options) gates.Gate{browser.Gate, browser.DiagramsGate} {
		o := options()
		o.Browser = filepath.Join(t.TempDir(), "chromium")
		g := gate(o)
		root := gatetest.Repository(t, "-- docs/README.md --\n# A\n\n```mermaid\npie\n  accTitle: x\n```\n")
		outcome := gatetest.Run(t, g, gates.Options{Root: root})
		step := gatetest.Step(t, outcome, g.Steps[0].ID)
		assert.Equal(t, step.Verdict, evidence.Unverified, "%+v", step)
		assert.Assert(t, is.Contains(step.Checks[0].Reason, "there is no Chromium"))
		assert.Assert(t, is.Contains(step.Checks[0].Fix, "apt-get install chromium"))
	}
}

func TestABrowserThatDoesNotAnswer(t *testing.T) {
	program, err := exec.LookPath("false")
	if err != nil {
		t.Skip(err)
	}
	for _, gate := range []func(browser.Options) gates.Gate{browser.Gate, browser.DiagramsGate} {
		o := options()
		o.Browser = program
		g := gate(o)
		outcome := gatetest.Run(t, g, gates.Options{Root: gatetest.Repository(t, pages+"-- docs/runbooks.md --\n# A\n\n```mermaid\npie\n  accTitle: x\n```\n")})
		assert.Equal(t, outcome.ExitCode(), 3)
		assert.Equal(t, gatetest.Step(t, outcome, g.Steps[0].ID).Verdict, evidence.Unverified)
	}
}
