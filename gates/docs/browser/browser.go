// Package browser holds the gates that need a browser: docs:browser looks at
// the site in a headless Chromium, docs:diagrams draws Mermaid blocks in one.
//
// Both use a Chromium of this machine, files of npm packages that are pinned
// by digest, and a driver of their own in magefiles/tools/browser. The pages
// are opened as files: whatever works then, works without a server.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/proc"
)

// ID is the target that looks at the site.
const ID = "docs:browser"

// Codes of what is seen in a browser, besides those of package site.
const (
	codeBrowser  = "docs.browser"       // no browser, or no answer
	codeConsole  = "docs.console"       // an error or a warning in the console
	codeRequest  = "docs.request"       // a file that did not load, a picture that cannot be drawn
	codeContrast = "docs.contrast"      // text that is hard to read
	codeAccess   = "docs.accessibility" // another rule of axe
	codeKeyboard = "docs.keyboard"      // something that needs a mouse
	codeSearch   = "docs.search"        // the search does not find, or not by keyboard
	codePhone    = "docs.phone"         // a page that is wider than a phone
	codeScheme   = "docs.scheme"        // light and dark are not what they say
)

// Screenshots is the folder of the pictures in the run.
const Screenshots = "screenshots"

// Options of both gates.
type Options struct {
	Site site.Options `json:"site"`
	// Dir is a built site, relative to the root, to look at; the site of the
	// pages is built if it is empty.
	Dir string `json:"dir,omitempty"`
	// Pages are files of the site to look at; all of them if empty.
	Pages []string `json:"pages,omitempty"`
	// Assets are the files that are loaded into the browser.
	Assets []Asset `json:"assets"`
	// Again draws diagrams that have a picture, too.
	Again bool `json:"again,omitempty"`
	// Browser is a Chromium; one is looked for if it is empty.
	Browser string `json:"-"`
	// Cache is where npm packages are kept, in npm/; the user's cache directory
	// if empty.
	Cache string `json:"-"`
}

// Gate is docs:browser.
func Gate(o Options) gates.Gate {
	o.Assets = []Asset{Axe}
	step := gates.Step{
		ID: ID, Doc: "In a browser the site has no error, asks nobody, and is readable and usable by keyboard, on a phone, light and dark.",
		Runbook: "docs/runbooks.md#docs-browser", Tools: tools,
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{Axe.command(), driverCommand()}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error { return look(ctx, p, o) },
	}
	return gates.Gate{
		ID: step.ID, Doc: step.Doc, Runbook: step.Runbook, Area: build.Area, Options: o,
		Partial: len(o.Pages) > 0, Steps: []gates.Step{step},
	}
}

// noBrowser reports that nothing could be looked at.
func noBrowser(p *gates.Pass, err error) {
	p.Check(evidence.CouldNotTell(codeBrowser, "chromium", "a browser looks at the pages", err.Error(), "apt-get install chromium; mage doctor shows what is there"))
	p.Fact("no browser")
}

func look(ctx context.Context, p *gates.Pass, o Options) error {
	program, err := findBrowser(o)
	if errors.Is(err, errNoBrowser) {
		noBrowser(p, err)
		return nil
	}
	dir, pages, err := prepare(ctx, p, o)
	if err != nil {
		return err
	}
	axe, err := Axe.get(ctx, p, o.Cache)
	if err != nil {
		p.Check(evidence.CouldNotTell(codeBrowser, Axe.Package, "the rules of axe are there", err.Error(), "apt-get install npm, and a network for the first run"))
		return nil
	}
	shots := p.Folder().Path(Screenshots)
	if err := os.MkdirAll(shots, 0o755); err != nil {
		return err
	}
	const word = "Runbook"
	p.Progress(0, len(pages), "looking at the pages, light and dark")
	seen, err := ask(ctx, p, request{Browser: program, Audit: &audit{Site: dir, Pages: pages, Axe: axe, Screenshots: shots, Search: word}})
	if err != nil {
		return err
	}
	if len(seen.Pages) != 2*len(pages) || seen.Keyboard == nil {
		return fmt.Errorf("the browser looked at %d pages, want %d: %w", len(seen.Pages), 2*len(pages), gates.ErrNothingRan)
	}
	report(p, seen, word)
	p.Logf("%s", seen.Browser)
	p.Fact("%d pages, light and dark, %d stops by keyboard, %s", len(pages), seen.Keyboard.Stops, seen.Browser)
	return nil
}

// prepare is the folder of the site and its pages, the first page first.
func prepare(ctx context.Context, p *gates.Pass, o Options) (string, []string, error) {
	dir := filepath.Join(p.Scratch, "site")
	if o.Dir != "" {
		dir = filepath.Join(p.Root, filepath.FromSlash(o.Dir))
	} else {
		s, err := build.Make(ctx, p, o.Site)
		if err != nil {
			return "", nil, err
		}
		if len(s.Findings) > 0 {
			p.Warn("the pages have %d findings of their own: mage docs:build", len(s.Findings))
		}
		if err := build.Write(dir, s); err != nil {
			return "", nil, err
		}
	}
	var pages []string
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".html" {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if rel = filepath.ToSlash(rel); len(o.Pages) == 0 || slices.Contains(o.Pages, rel) {
			pages = append(pages, rel)
		}
		return err
	})
	if err != nil {
		return "", nil, err
	}
	if len(pages) == 0 {
		return "", nil, fmt.Errorf("%w: the site has none of these pages", gates.ErrNothingRan)
	}
	slices.SortFunc(pages, func(a, b string) int {
		if first := "index.html"; a == first || b == first {
			return map[bool]int{true: -1, false: 1}[a == first]
		}
		return strings.Compare(a, b)
	})
	return dir, pages, nil
}

// report makes checks of what was seen, and one of each rule that nothing breaks.
func report(p *gates.Pass, seen *response, word string) {
	j := judge{Pass: p, found: map[string]int{}}
	for _, page := range seen.Pages {
		j.page(page)
	}
	j.schemes(seen)
	j.keys(seen.Keyboard, word)
	for _, code := range []string{codeConsole, codeRequest, site.CodeExternal, codeContrast, codeAccess, codeKeyboard, codeSearch, codePhone, codeScheme} {
		if j.found[code] == 0 {
			p.Check(evidence.Expect(code, "site", true, "no finding", "no finding", ""))
		}
	}
}

// judge makes checks of what was seen.
type judge struct {
	*gates.Pass
	found map[string]int
}

func (j judge) fail(code, subject, observed, expected, fix string) {
	j.found[code]++
	j.Check(evidence.Expect(code, subject, false, observed, expected, fix))
}

func (j judge) page(p page) {
	subject := p.Path + " (" + p.Scheme + ")"
	for _, line := range p.Console {
		j.fail(codeConsole, subject, line, "an empty console", "mend the page or its script")
	}
	for _, url := range p.External {
		j.fail(site.CodeExternal, subject, url+" is fetched", "no request leaves the site", "put the file into the site, or take the reference away")
	}
	for _, line := range p.Failed {
		j.fail(codeRequest, subject, line, "every file loads", "mend the reference")
	}
	for _, name := range p.Undrawn {
		j.fail(codeRequest, subject, name+" cannot be drawn", "every picture is drawn", "put a picture there that a browser can draw")
	}
	if p.Rules == 0 {
		j.Check(evidence.CouldNotTell(codeAccess, subject, "the rules of axe are looked at", "axe looked at no rule", "mage docs:browser -v"))
	}
	for _, v := range p.Violations {
		code, fix := codeAccess, "https://dequeuniversity.com/rules/axe/4.14/"+v.Rule
		if strings.HasPrefix(v.Rule, "color-contrast") {
			code, fix = codeContrast, "take a colour with more contrast in gates/docs/site/assets/site.css"
		}
		j.fail(code, subject, fmt.Sprintf("%s at %s: %s", v.Rule, v.Element, v.Detail), v.Help, fix)
	}
	if len(p.Wide) > 0 {
		j.fail(codePhone, subject, strings.Join(p.Wide, ", "), "a page of 360 pixels does not scroll sideways", "let the element scroll on its own, or wrap")
	}
}

// schemes holds that the same page is of another colour when it is dark, and
// that the switch does what the system's setting does.
func (j judge) schemes(seen *response) {
	const fix = "see the colours in gates/docs/site/assets/site.css"
	grounds := map[string]map[string]string{}
	for _, p := range seen.Pages {
		if grounds[p.Path] == nil {
			grounds[p.Path] = map[string]string{}
		}
		grounds[p.Path][p.Scheme] = p.Ground
	}
	for _, p := range seen.Pages {
		g := grounds[p.Path]
		if p.Scheme == "dark" && g["light"] == g["dark"] {
			j.fail(codeScheme, p.Path, "the ground is "+p.Ground+", light and dark", "two colours", fix)
		}
	}
	if t := seen.Keyboard.Toggled; len(t) != 2 || t[0] == t[1] {
		j.fail(codeScheme, "the switch", "it changes nothing", "light becomes dark", fix)
	}
}

func (j judge) keys(k *keyboard, word string) {
	const fix = "use a link, a button or an input, and leave its outline"
	if !strings.HasPrefix(k.First, "Skip") {
		j.fail(codeKeyboard, "Tab", fmt.Sprintf("the first stop is %q", k.First), "the link to the content", fix)
	}
	if !k.Navigation {
		j.fail(codeKeyboard, "Tab", "it never reaches the list of pages", "the list of pages is reached", fix)
	}
	for _, e := range k.Unreached {
		j.fail(codeKeyboard, e, "Tab never reaches it", "every control is reached", fix)
	}
	for _, e := range k.Unseen {
		j.fail(codeKeyboard, e, "it does not show that it has the focus", "an outline", fix)
	}
	switch {
	case !k.SearchOpened:
		j.fail(codeSearch, "the key /", "it does not lead to the search", "the search has the focus", "see gates/docs/site/assets/site.js")
	case k.Results == 0:
		j.fail(codeSearch, word, "nothing is found", "at least one result", "see gates/docs/site/assets/site.js")
	case k.Landed == "" || k.Landed == "index.html" || !k.Shows:
		j.fail(codeSearch, word, fmt.Sprintf("Enter leads to %q", k.Landed), "a page with the word", "see gates/docs/site/assets/site.js")
	}
}
