package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/proc"
)

// inStep runs code as a step of a gate and returns what it reported.
func inStep(t *testing.T, commands []proc.Command, do func(ctx context.Context, p *gates.Pass) error) evidence.Step {
	t.Helper()
	g := gates.Gate{ID: "docs:x", Doc: "It is so.", Runbook: "docs/runbooks.md#docs-browser", Area: "docs", Steps: []gates.Step{{
		ID: "docs:x", Doc: "It is so.", Runbook: "docs/runbooks.md#docs-browser", Run: do,
		Commands: func(string) ([]proc.Command, error) { return commands, nil },
	}}}
	outcome := gatetest.Run(t, g, gates.Options{Root: gatetest.Repository(t, "-- a.txt --\na\n")})
	return gatetest.Step(t, outcome, "docs:x")
}

// TestJudge holds what is made of what a browser saw, one sight at a time.
func TestJudge(t *testing.T) {
	t.Parallel()
	const word = "Runbook"
	good := func() *response {
		in := func(scheme, ground string) page {
			return page{Path: "index.html", Scheme: scheme, Rules: 9, Ground: ground}
		}
		return &response{
			Pages: []page{in("light", "white"), in("dark", "black")},
			Keyboard: &keyboard{
				First: "Skip to content", Stops: 9, Navigation: true, SearchOpened: true, Results: 3, Landed: "runbooks.html", Shows: true,
				Toggled: []string{"white", "black"},
			},
		}
	}
	for name, c := range map[string]struct {
		change func(*response)
		want   string // code and subject
	}{
		"green":            {func(*response) {}, ""},
		"console":          {func(r *response) { r.Pages[0].Console = []string{"x"} }, "docs.console index.html (light)"},
		"external":         {func(r *response) { r.Pages[1].External = []string{"https://x"} }, "docs.external index.html (dark)"},
		"failed":           {func(r *response) { r.Pages[0].Failed = []string{"x"} }, "docs.request index.html (light)"},
		"undrawn":          {func(r *response) { r.Pages[0].Undrawn = []string{"x.svg"} }, "docs.request index.html (light)"},
		"contrast":         {func(r *response) { r.Pages[0].Violations = []violation{{Rule: "color-contrast"}} }, "docs.contrast index.html (light)"},
		"axe":              {func(r *response) { r.Pages[0].Violations = []violation{{Rule: "image-alt"}} }, "docs.accessibility index.html (light)"},
		"axe did nothing":  {func(r *response) { r.Pages[0].Rules = 0 }, "docs.accessibility index.html (light)"},
		"phone":            {func(r *response) { r.Pages[0].Wide = []string{"400 pixels"} }, "docs.phone index.html (light)"},
		"one colour":       {func(r *response) { r.Pages[1].Ground = "white" }, "docs.scheme index.html"},
		"dead switch":      {func(r *response) { r.Keyboard.Toggled[1] = "white" }, "docs.scheme the switch"},
		"no skip link":     {func(r *response) { r.Keyboard.First = "Home" }, "docs.keyboard Tab"},
		"no navigation":    {func(r *response) { r.Keyboard.Navigation = false }, "docs.keyboard Tab"},
		"unreached":        {func(r *response) { r.Keyboard.Unreached = []string{"main > div"} }, "docs.keyboard main > div"},
		"unseen":           {func(r *response) { r.Keyboard.Unseen = []string{"main > a"} }, "docs.keyboard main > a"},
		"no search":        {func(r *response) { r.Keyboard.SearchOpened = false }, "docs.search the key /"},
		"nothing found":    {func(r *response) { r.Keyboard.Results = 0 }, "docs.search Runbook"},
		"Enter is dead":    {func(r *response) { r.Keyboard.Landed = "index.html" }, "docs.search Runbook"},
		"the wrong result": {func(r *response) { r.Keyboard.Shows = false }, "docs.search Runbook"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			step := inStep(t, nil, func(_ context.Context, p *gates.Pass) error {
				r := good()
				c.change(r)
				report(p, r, word)
				return nil
			})
			var said []string
			for _, check := range step.Checks {
				if check.Verdict != evidence.Pass {
					said = append(said, check.Code+" "+check.Subject)
					assert.Check(t, check.Fix != "", "%+v", check)
				}
			}
			if c.want == "" {
				assert.Equal(t, step.Verdict, evidence.Pass)
				assert.Equal(t, len(step.Checks), 9)
				return
			}
			assert.DeepEqual(t, said, []string{c.want})
			assert.Assert(t, step.Verdict != evidence.Pass)
		})
	}
}

func TestPagesToLookAt(t *testing.T) {
	t.Parallel()
	step := inStep(t, nil, func(ctx context.Context, p *gates.Pass) error {
		gatetest.Write(t, p.Root, "-- s/b.html --\n-- s/index.html --\n-- s/a/index.html --\n-- s/x.css --\n")
		_, pages, err := prepare(ctx, p, Options{Dir: "s"})
		assert.Check(t, err)
		assert.Check(t, is.DeepEqual(pages, []string{"index.html", "a/index.html", "b.html"}))
		_, pages, err = prepare(ctx, p, Options{Dir: "s", Pages: []string{"b.html"}})
		assert.Check(t, err)
		assert.Check(t, is.DeepEqual(pages, []string{"b.html"}))
		_, _, err = prepare(ctx, p, Options{Dir: "s", Pages: []string{"no.html"}})
		assert.Check(t, is.ErrorIs(err, gates.ErrNothingRan))
		return nil
	})
	assert.Equal(t, step.Cause, evidence.CauseNothingRan) // the step itself reported nothing
}

// packed is an npm package with one file, and its asset.
func packed(t *testing.T, content string) (Asset, []byte) {
	t.Helper()
	var raw bytes.Buffer
	zipped := gzip.NewWriter(&raw)
	files := tar.NewWriter(zipped)
	assert.NilError(t, files.WriteHeader(&tar.Header{Name: "package/x.js", Mode: 0o644, Size: int64(len(content))}))
	_, err := files.Write([]byte(content))
	assert.NilError(t, err)
	assert.NilError(t, files.Close())
	assert.NilError(t, zipped.Close())
	sum := sha512.Sum512(raw.Bytes())
	return Asset{Package: "no-such-package-anywhere", Version: "1.0.0", File: "x.js", Integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}, raw.Bytes()
}

func TestAsset(t *testing.T) {
	t.Parallel()
	asset, raw := packed(t, "content")
	cache := t.TempDir()
	kept := filepath.Join(cache, "npm", asset.archive())
	assert.NilError(t, os.MkdirAll(filepath.Dir(kept), 0o755))
	assert.NilError(t, os.WriteFile(kept, raw, 0o644))
	inStep(t, nil, func(ctx context.Context, p *gates.Pass) error {
		path, err := asset.get(ctx, p, cache)
		assert.Check(t, err)
		got, err := os.ReadFile(path)
		assert.Check(t, err)
		assert.Check(t, is.Equal(string(got), "content"))

		// One that is not what was pinned is not used; here there is no other.
		assert.Check(t, os.WriteFile(kept, append(raw, 0), 0o644))
		_, err = asset.get(ctx, p, cache)
		assert.Check(t, is.ErrorIs(err, errAsset))
		_, err = asset.read(kept)
		assert.Check(t, is.ErrorContains(err, "is not what was pinned"))
		return nil
	})
	asset.File = "other.js"
	_, err := asset.extract(raw)
	assert.ErrorContains(t, err, "package/other.js")
	_, err = asset.extract([]byte("no package"))
	assert.Assert(t, err != nil)
}

func TestKeep(t *testing.T) {
	t.Parallel()
	d := site.Diagram{Path: "docs/a.md", Line: 10, Source: "pie\nx\n", Picture: "docs/diagrams/x.svg"}
	for _, c := range []struct {
		made  drawing
		code  string
		line  int
		there bool
	}{
		{drawing{SVG: `<svg viewBox="0 0 1 1"></svg>`}, "", 0, true},
		{drawing{Error: "Parse error on line 2:\n..."}, "docs.mermaid", 12, false},
		{drawing{Error: "Parse error on line 2000:\n..."}, "docs.mermaid", 10, false},
		{drawing{Error: "no diagram type"}, "docs.mermaid", 10, false},
		{drawing{SVG: `<svg viewBox="0 0 1 1"><script/></svg>`}, "docs.diagram", 10, false},
	} {
		root := t.TempDir()
		problem := keep(root, d, c.made)
		_, err := os.Stat(filepath.Join(root, d.Picture))
		assert.Equal(t, err == nil, c.there)
		if c.code == "" {
			assert.Assert(t, problem == nil)
			continue
		}
		assert.Equal(t, problem.Code, c.code)
		assert.Equal(t, problem.Line, c.line)
		assert.Equal(t, problem.Verdict, evidence.Fail)
	}
}

func TestFindBrowser(t *testing.T) {
	t.Parallel()
	_, err := findBrowser(Options{Browser: filepath.Join(t.TempDir(), "none")})
	assert.Assert(t, errors.Is(err, errNoBrowser))
	assert.Assert(t, strings.Contains(err.Error(), "none"))
}
