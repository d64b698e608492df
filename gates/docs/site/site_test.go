package site_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/gates/docs/site"
)

const block = "flowchart LR\n  accTitle: From a to b\n  a --> b\n"

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50" style="background-color: white;">` +
	`<style>#d .x{fill:#eee;stroke:url(#g);color:black}</style><rect class="x" fill="#fff" width="9" height="9"></rect><text>a #fff black</text></svg>`

// green is a small set of pages in which nothing is wrong.
var green = `
-- README.md --
# Project

## Environment
-- main.go --
package main
-- docs/README.md --
# Documentation

See [guide](guide.md), [its end](guide.md#the-end-of-it), [deep](deep/README.md), [the folder](deep/),
[project](../README.md#environment), [code](../main.go#L1), [the web](https://example.com/a?b=c#d), [mail](mailto:a@example.com),
[above](#see), ![a box](box.svg) and https://example.com.

## See

Text &amp; <kbd>Ctrl</kbd>.
-- docs/guide.md --
# Guide

<a id="own"></a>

## The "end", of it

` + "```mermaid\n" + block + "```\n\n```go\nfunc f() string { return \"x\" } // done\n```\n\n```sh\nmage ci\n```\n\n```\nplain <text>\n```\n" + `
| A | B | |
| --- | ---: | --- |
| 1 | 2 | 3 |
-- docs/deep/README.md --
# Deep

[up](../guide.md#own) [one](one.md)
-- docs/deep/one.md --
# One
-- docs/box.svg --
` + svg + `
-- docs/diagrams/` + site.Name(block) + `.svg --
` + svg + `
`

var options = site.Options{Title: "Test", Repository: "https://example.com/r"}

// known is a source that nobody has to be asked about.
func known(s site.Source) func(context.Context) (site.Source, error) {
	return func(context.Context) (site.Source, error) { return s, nil }
}

// tree is the archive with changes: a file of the second replaces or adds, an
// empty one takes away.
func tree(archives ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for _, archive := range archives {
		for _, f := range txtar.Parse([]byte(archive)).Files {
			if len(f.Data) == 0 {
				delete(files, f.Name)
				continue
			}
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return files
}

func build(t testing.TB, fsys fs.FS, o site.Options) *site.Site {
	t.Helper()
	s, err := site.Build(t.Context(), fsys, o)
	assert.NilError(t, err)
	return s
}

func file(t testing.TB, s *site.Site, name string) string {
	t.Helper()
	for _, f := range s.Files {
		if f.Path == name {
			return string(f.Content)
		}
	}
	t.Fatalf("the site has no %s", name)
	return ""
}

func TestGreen(t *testing.T) {
	t.Parallel()
	o, source := options, site.Source{Commit: "0123456789abcdef"}
	for name := range tree(green) {
		source.Files = append(source.Files, name)
	}
	o.Source = known(source)
	s := build(t, tree(green), o)
	assert.DeepEqual(t, s.Findings, []site.Finding(nil))
	assert.DeepEqual(t, s.Pages, []string{"docs/README.md", "docs/guide.md", "docs/deep/README.md", "docs/deep/one.md"})
	index := file(t, s, "index.html")
	for _, want := range []string{
		`href="guide.html"`, `href="guide.html#the-end-of-it"`, `href="deep/index.html"`,
		`href="https://example.com/r/blob/0123456789abcdef/README.md#environment"`, `href="https://example.com/r/blob/0123456789abcdef/main.go#L1"`,
		`<h2 id="see">`, `<img src="box.svg" alt="a box"`, `<kbd>Ctrl</kbd>`, `aria-current="page">Documentation<`, `rel="next" href="guide.html"`,
	} {
		assert.Check(t, is.Contains(index, want))
	}
	deep := file(t, s, "deep/index.html")
	for _, want := range []string{`href="../guide.html#own"`, `href="one.html"`, `href="../assets/site.css"`, `data-root="../"`} {
		assert.Check(t, is.Contains(deep, want))
	}
	guide := file(t, s, "guide.html")
	for _, want := range []string{
		`<img src="diagrams/` + site.Name(block) + `.svg" alt="From a to b" width="100" height="50"`,
		`<span class="k">func</span>`, `<span class="s">&#34;x&#34;</span>`, `<span class="c">// done</span>`,
		`plain &lt;text&gt;`, `<th>A</th>`, `<th align="right">B</th>`, "<td></td>", `<td align="right">2</td>`, `<li class="level2"><a href="#the-end-of-it">`,
	} {
		assert.Check(t, is.Contains(guide, want))
	}
	picture := file(t, s, "diagrams/"+site.Name(block)+".svg")
	for _, want := range []string{`fill:light-dark(#eee,hsl(0 0% 15%))`, `stroke:url(#g)`, `color:light-dark(black,hsl(0 0% 93%))`, `<text>a #fff black</text>`, `color-scheme:light dark`} {
		assert.Check(t, is.Contains(picture, want))
	}
	assert.Check(t, is.Contains(file(t, s, "assets/search-index.js"), `{"u":"guide.html#the-end-of-it","p":"Guide","h":"The \"end\", of it","t":"`))
}

// TestEachDefectIsFound plants every defect. All of them are told with file and line.
func TestEachDefectIsFound(t *testing.T) {
	t.Parallel()
	readme := func(text string) string {
		return "-- docs/README.md --\n# Documentation\n\n[guide](guide.md) [deep](deep/)\n\n" + text + "\n"
	}
	for name, c := range map[string]struct{ plant, code, where, text string }{
		"broken link":                 {readme("[x](../man.go)"), "docs.link", "docs/README.md:5", `"../man.go" does not exist|did you mean main.go?`},
		"link out of the repository":  {readme("[x](../../etc/passwd)"), "docs.link", "docs/README.md:5", "leads out of the repository"},
		"link from the root":          {readme("[x](/docs/guide.md)"), "docs.link", "docs/README.md:5", "not relative"},
		"link to another host":        {readme("[x](//example.com)"), "docs.link", "docs/README.md:5", "not relative"},
		"script as a link":            {readme("[x](javascript:alert(1))"), "docs.link", "docs/README.md:5", `scheme "javascript"`},
		"empty link":                  {readme("[x]()"), "docs.link", "docs/README.md:5", "the link is empty"},
		"link that is no address":     {readme("[x](a%zz)"), "docs.link", "docs/README.md:5", "is no address"},
		"broken anchor":               {readme("text\n\n[x](guide.md#the-end)"), "docs.anchor", "docs/README.md:7", `"#the-end" is not in docs/guide.md`},
		"broken anchor of this page":  {readme("[x](#relase)\n\n## Release"), "docs.anchor", "docs/README.md:5", `"#relase"|did you mean release?`},
		"broken anchor outside":       {readme("[x](../README.md#no)"), "docs.anchor", "docs/README.md:5", `"#no" is not in README.md`},
		"anchor of code":              {readme("[x](../main.go#main)"), "docs.anchor", "docs/README.md:5", "has no sections"},
		"missing page":                {readme("[x](gide.md)"), "docs.page", "docs/README.md:5", `"gide.md" does not exist|did you mean docs/guide.md?`},
		"missing page in a reference": {readme("[x][y]\n\n[y]: gone.md"), "docs.page", "docs/README.md:5", `"gone.md"`},
		"no first page":               {"-- docs/README.md --\n", "docs.page", "docs/README.md", "the first page is missing"},
		"no title":                    {"-- docs/deep/one.md --\ntext\n", "docs.heading", "docs/deep/one.md:1", "no title"},
		"second title":                {"-- docs/deep/one.md --\n# A\n\n# B\n", "docs.heading", "docs/deep/one.md:3", `a second title, "B"`},
		"title too late":              {"-- docs/deep/one.md --\n## B\n\n# A\n", "docs.heading", "docs/deep/one.md:1", `"B" comes before the title`},
		"level left out":              {"-- docs/deep/one.md --\n# A\n\n### B\n", "docs.heading", "docs/deep/one.md:3", `"B" is of level 3 below one of level 1`},
		"empty heading":               {"-- docs/deep/one.md --\n# A\n\n##\n", "docs.heading", "docs/deep/one.md:3", "empty"},
		"orphan":                      {"-- docs/alone.md --\n# Alone\n\n[guide](guide.md)\n", "docs.orphan", "docs/alone.md", "no link leads to the page"},
		"no text":                     {readme("![](box.svg)"), "docs.alt", "docs/README.md:5", "box.svg has no text"},
		"picture from elsewhere":      {readme("![x](https://example.com/x.png)"), "docs.external", "docs/README.md:5", "fetched from elsewhere"},
		"missing picture":             {readme("![x](x.png)"), "docs.link", "docs/README.md:5", "picture"},
		"unknown language":            {readme("```golangg\nx\n```"), "docs.language", "docs/README.md:5", `"golangg"`},
		"diagram without a picture":   {readme("```mermaid\npie\naccTitle: x\n```"), "docs.mermaid", "docs/README.md:5", "has no picture docs/diagrams/"},
		"diagram without a text":      {readme("```mermaid\npie\n```"), "docs.alt", "docs/README.md:5", "no text for those who cannot see"},
		"unused picture":              {"-- docs/diagrams/0000.svg --\n" + svg + "\n", "docs.diagram", "docs/diagrams/0000.svg", "no diagram of a page"},
		"active picture":              {"-- docs/box.svg --\n<svg viewBox=\"0 0 1 1\"><script>alert(1)</script></svg>\n" + readme("![x](box.svg)"), "docs.diagram", "docs/box.svg", "<script>"},
		"damaged picture":             {"-- docs/diagrams/" + site.Name(block) + ".svg --\n<svg\n", "docs.diagram", "docs/diagrams/" + site.Name(block) + ".svg", "no SVG"},
		"HTML":                        {readme("text <script src=x></script>"), "docs.html", "docs/README.md:5", "script"},
		"HTML block":                  {readme("text\n\n<div>\n<img src=\"x\">\n</div>"), "docs.html", "docs/README.md:8", "<img>"},
		"placeholder":                 {readme("`ok <x>` and <version>"), "docs.html", "docs/README.md:5", "<version> is not allowed"},
		"handler":                     {readme("text <a id=\"x\" onclick=\"f()\">x</a>"), "docs.html", "docs/README.md:5", `"onclick"`},
		"open comment":                {readme("<!-- never closed"), "docs.html", "docs/README.md:5", "<!--"},
		"duplicate anchor":            {readme("## A b\n\n## a B"), "docs.duplicate", "docs/README.md:7", "#a-b is there already"},
		"duplicate own anchor":        {readme("## A\n\n<a id=\"a\"></a>"), "docs.duplicate", "docs/README.md:7", "#a is there already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := build(t, tree(green, c.plant), options)
			var all []string
			for _, f := range s.Findings {
				where := f.Path
				if f.Line > 0 {
					where += fmt.Sprintf(":%d", f.Line)
				}
				all = append(all, f.Code+" "+where+" "+f.Message+" "+f.Fix)
				assert.Check(t, f.Fix != "", "%+v", f)
				assert.Check(t, slices.Contains(site.Codes(), f.Code), "%+v", f)
			}
			found := slices.ContainsFunc(all, func(line string) bool {
				ok := strings.HasPrefix(line, c.code+" "+c.where+" ")
				for part := range strings.SplitSeq(c.text, "|") {
					ok = ok && strings.Contains(line, part)
				}
				return ok
			})
			assert.Assert(t, found, "%s %s %s is not in:\n%s", c.code, c.where, c.text, strings.Join(all, "\n"))
		})
	}
}

func TestEveryFindingInOnePass(t *testing.T) {
	t.Parallel()
	s := build(t, tree(green, "-- docs/deep/one.md --\ntext [a](no.md) [b](#no) ![](no.png)\n\n### x\n\n```nope\n```\n"), options)
	codes := map[string]bool{}
	for _, f := range s.Findings {
		codes[f.Code] = true
	}
	for _, code := range []string{"docs.page", "docs.anchor", "docs.link", "docs.alt", "docs.heading", "docs.language"} {
		assert.Check(t, codes[code], code)
	}
}

// A file that git does not know is not part of what others get.
func TestOnlyFilesOfTheSource(t *testing.T) {
	t.Parallel()
	fsys := tree(green, "-- docs/ignored.md --\n[x](no.md)\n")
	// Files that git knows and that are gone are no pages and no targets either.
	source := site.Source{Files: []string{"docs/gone.md", "gone.go"}, Commit: "0123456789abcdef"}
	for name := range fsys {
		if name != "main.go" && name != "docs/ignored.md" {
			source.Files = append(source.Files, name)
		}
	}
	o := options
	o.Source = known(source)
	s := build(t, fsys, o)
	assert.Equal(t, len(s.Findings), 1, "%v", s.Findings)
	assert.Equal(t, s.Findings[0].Code, "docs.link")
	assert.Assert(t, is.Contains(s.Findings[0].Message, "../main.go"))
}

func TestSameBytes(t *testing.T) {
	t.Parallel()
	first, second := build(t, tree(green), options), build(t, tree(green), options)
	assert.DeepEqual(t, first.Files, second.Files)
	assert.Assert(t, len(first.Files) > 8)
}

func TestNoPages(t *testing.T) {
	t.Parallel()
	_, err := site.Build(t.Context(), fstest.MapFS{"a.md": {Data: []byte("# A")}}, options)
	assert.ErrorIs(t, err, site.ErrNoPages)
	o := options
	o.Source = func(context.Context) (site.Source, error) { return site.Source{}, errors.New("no git") }
	_, err = site.Build(t.Context(), tree(green), o)
	assert.ErrorContains(t, err, "no git")
	_, err = site.Build(t.Context(), fstest.MapFS{}, site.Options{Docs: "../x"})
	assert.ErrorContains(t, err, "not a path below the root")
}

// repository is the tree of this repository.
func repository(t testing.TB) (fs.FS, site.Options) {
	t.Helper()
	const root = "../../.."
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	out, err := list.Output()
	assert.NilError(t, err)
	o := options
	o.Source = known(site.Source{Files: strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")})
	return os.DirFS(root), o
}

var (
	inline   = regexp.MustCompile(`<script(?:[^>]*)>[^<]|<style|\son[a-z]+="|\sstyle="|javascript:`)
	fetched  = regexp.MustCompile(`<(?:script|img|link|iframe|source|object|embed)\b[^>]*\b(?:src|href)="([^"]*)"`)
	pagesOf  = regexp.MustCompile(`<a\b[^>]*\bhref="([^"]*)"`)
	identity = regexp.MustCompile(`\bid="([^"]*)"`)
)

// TestThePagesAskNobody holds, over all pages of this repository, that they
// carry the policy and nothing that it forbids, and that every link among them
// leads to a file of the site and a place in it.
func TestThePagesAskNobody(t *testing.T) {
	t.Parallel()
	s := build(t, func() fs.FS { f, _ := repository(t); return f }(), func() site.Options { _, o := repository(t); return o }())
	files := map[string]string{}
	for _, f := range s.Files {
		files[f.Path] = string(f.Content)
	}
	for name, content := range files {
		if filepath.Ext(name) != ".html" {
			continue
		}
		assert.Check(t, is.Contains(content, `<meta http-equiv="Content-Security-Policy" content="`+strings.ReplaceAll(site.Policy, "'", "&#39;")+`">`), name)
		assert.Check(t, is.Equal(inline.FindString(content), ""), name)
		for _, m := range fetched.FindAllStringSubmatch(content, -1) {
			_, ok := files[filepath.ToSlash(filepath.Join(filepath.Dir(name), m[1]))]
			assert.Check(t, ok, "%s fetches %s", name, m[1])
		}
		for _, m := range pagesOf.FindAllStringSubmatch(content, -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			to, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if to != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), to))
			}
			there, ok := files[target]
			if len(s.Findings) == 0 {
				assert.Check(t, ok, "%s leads to %s", name, m[1])
			}
			if ok && anchor != "" && len(s.Findings) == 0 {
				assert.Check(t, strings.Contains(there, `id="`+anchor+`"`), "%s leads to %s", name, m[1])
			}
		}
		seen := map[string]bool{}
		for _, m := range identity.FindAllStringSubmatch(content, -1) {
			assert.Check(t, !seen[m[1]], "%s has two elements with the id %q", name, m[1])
			seen[m[1]] = true
		}
	}
}

func TestPreviewMayAskItsServer(t *testing.T) {
	t.Parallel()
	o := options
	o.Preview = true
	index := file(t, build(t, tree(green), o), "index.html")
	assert.Assert(t, is.Contains(index, "connect-src &#39;self&#39;"))
	assert.Assert(t, is.Contains(index, `src="/-/preview.js"`))
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Exit codes": "exit-codes", "`ci:test` -- red?": "citest----red", "Ä_ö 2": "ä_ö-2", " a  b ": "a--b", "…": "",
	} {
		assert.Equal(t, site.Slug(name), want)
	}
}

// TestCopiesAreTheSame holds the copies of chroma's lexers against the version
// in go.mod; run it with -update after a change of that.
func TestCopiesAreTheSame(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/alecthomas/chroma/v2").Output()
	assert.NilError(t, err)
	from := strings.TrimSpace(string(out))
	copies, err := filepath.Glob("lexers/*")
	assert.NilError(t, err)
	assert.Assert(t, len(copies) > 10)
	for _, name := range copies {
		original := filepath.Join(from, "lexers", "embedded", filepath.Base(name))
		if filepath.Base(name) == "COPYING" {
			original = filepath.Join(from, "COPYING")
		}
		want, err := os.ReadFile(original)
		assert.NilError(t, err)
		if golden.FlagUpdate() {
			assert.NilError(t, os.WriteFile(name, want, 0o644))
		}
		got, err := os.ReadFile(name)
		assert.NilError(t, err)
		assert.Equal(t, string(got), string(want), name)
	}
}

// TestMiniSearchIsTheReleased holds the vendored script against the digest of
// dist/umd/index.js of minisearch 7.2.0, whose package npm calls
// sha512-dqT2XBYUOZOiC5t2HRnwADjhNS2cecp9u+TJRiJ1Qp/f5qjkeT5APcGPjHw+bz89Ms8Jp+cG4AlE+QZ/QnDglg==.
func TestMiniSearchIsTheReleased(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("assets/minisearch.js")
	assert.NilError(t, err)
	assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256(raw)), "03c27931eb603af1d3358579e9885eafdb6a2f5fa9929557b3e77d7e99d06d03")
}

// FuzzPage holds that no page breaks the builder, whatever is in it, and that
// what is left of it in the site is inert.
func FuzzPage(f *testing.F) {
	for _, file := range txtar.Parse([]byte(green)).Files {
		f.Add(string(file.Data))
	}
	f.Add("# A\n\n```sh\na -b \"c $D #\n```\n\n```yaml\na: 'b\n```\n")
	f.Add("# A\n\n<!-- <script> --> [x](  <y> )\n\n<p onclick=x>\n\n```go\n\"\n```\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := site.Build(t.Context(), fstest.MapFS{"docs/README.md": {Data: []byte(text)}}, options)
		assert.NilError(t, err)
		for _, finding := range s.Findings {
			assert.Assert(t, finding.Line >= 0 && finding.Line <= strings.Count(text, "\n")+1, "%+v", finding)
			assert.Assert(t, finding.Message != "" && finding.Fix != "" && finding.Path != "")
		}
		if len(s.Findings) == 0 {
			page := strings.ToLower(file(t, s, "index.html"))
			_, body, _ := strings.Cut(page, "<main")
			assert.Assert(t, !strings.Contains(body, "<script") && !strings.Contains(body, "<iframe") && !strings.Contains(body, "<style"), "%s", body)
		}
	})
}

// FuzzPicture holds that what is taken for a picture is inert, and stays a picture.
func FuzzPicture(f *testing.F) {
	f.Add(svg)
	f.Add(`<svg viewBox="0 0 1 1"><a href="#x"/></svg>`)
	f.Add(`<svg viewBox="0 0 1 1"><style>@import "x";</style></svg>`)
	f.Fuzz(func(t *testing.T, text string) {
		fsys := fstest.MapFS{"docs/README.md": {Data: []byte("# A\n\n![b](b.svg)\n")}, "docs/b.svg": {Data: []byte(text)}}
		s, err := site.Build(t.Context(), fsys, options)
		assert.NilError(t, err)
		err = site.CheckPicture([]byte(text))
		assert.Equal(t, err == nil, len(s.Findings) == 0)
		if err == nil {
			assert.Assert(t, !strings.Contains(strings.ToLower(file(t, s, "b.svg")), "<script"))
		}
	})
}

func TestHighlight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ language, code, want string }{
		{"sh", "mage ci -only=ci:lint # fast\n", `mage ci <span class="na">-only</span>=ci:lint <span class="c"># fast</span>` + "\n"},
		{"sh", `A="x \" $Y" jq '.a#b' $HOME/${X} a-b`, `A=<span class="s">&#34;x \&#34; $Y&#34;</span> jq <span class="s">&#39;.a#b&#39;</span> <span class="nv">$HOME</span>/<span class="nv">${X}</span> a-b`},
		{"bash", "echo \"open <b>", `echo <span class="s">&#34;open &lt;b&gt;</span>`},
		{"yaml", "key: [1, true, 'x', a b] # c\n- b: http://x:1\n", `<span class="nt">key</span>: [<span class="m">1</span>, <span class="kc">true</span>, <span class="s">&#39;x&#39;</span>, a b] <span class="c"># c</span>` + "\n" + `- <span class="nt">b</span>: http://x:1` + "\n"},
		{"go", "x := 1 // <", `x := <span class="m">1</span> <span class="c">// &lt;</span>`},
		{"json", "{\"a\": 1, \"b\": [true, \"c\"]}\n", `{<span class="nt">&#34;a&#34;</span>: <span class="m">1</span>, <span class="nt">&#34;b&#34;</span>: [<span class="kc">true</span>, <span class="s">&#34;c&#34;</span>]}` + "\n"},
		{"markdown", "# <b>\n", "# &lt;b&gt;\n"},
	} {
		s := build(t, fstest.MapFS{"docs/README.md": {Data: []byte("# A\n\n```" + c.language + "\n" + c.code + "\n```\n")}}, options)
		assert.Equal(t, len(s.Findings), 0, "%v", s.Findings)
		_, rest, _ := strings.Cut(file(t, s, "index.html"), `<pre class="chroma" tabindex="0"><code>`)
		got, _, _ := strings.Cut(rest, "</code></pre>")
		assert.Check(t, is.Equal(strings.TrimSpace(got), strings.TrimSpace(c.want)), c.language)
	}
}
