package page_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/docs/page"
)

const sample = "# The `gate` model\n" + // 1
	"\n" +
	"A [link](other.md#x \"title\") and `mage ci\n" + // 3
	"-v` in the text.\n" +
	"\n" +
	"## Twice\n" + // 6
	"## Twice\n" + // 7
	"\n" +
	"<!-- generated: codes key.* apply -->\n" + // 9
	"\n" +
	"| a |\n| --- |\n| `b` |\n" + // 11
	"\n" +
	"```sql\nSELECT 1\n```\n" + // 15
	"\n" +
	"<!-- /generated -->\n" + // 19
	"\n" +
	"<!-- not run: needs\n     a server -->\n" + // 21
	"```sh\nmage ci\n```\n" + // 23
	"\n" +
	"- in a list\n" + // 27
	"\n" +
	"  ```go title=x\n  package x\n  ```\n" + // 29
	"\n" +
	"<!-- output -->\n" + // 33
	"```\nout\n```\n" +
	"\n" +
	"    <!-- generated: code -->\n" +
	"\n" +
	"![alt](picture.svg)\n"

func TestParse(t *testing.T) {
	t.Parallel()
	p := page.Parse("docs/a.md", sample)
	assert.Equal(t, len(p.Broken), 0, "%v", p.Broken)
	assert.DeepEqual(t, p.Headings, []page.Heading{
		{1, 1, "The gate model", "the-gate-model"}, {6, 2, "Twice", "twice"}, {7, 2, "Twice", "twice-1"},
	})
	assert.Equal(t, p.Links[0], page.Link{3, "other.md#x"})
	assert.Equal(t, p.Links[1].To, "picture.svg")
	assert.DeepEqual(t, p.Spans, []page.Span{{1, "gate"}, {3, "mage ci -v"}, {13, "b"}})
	assert.DeepEqual(t, p.Blocks, []page.Block{
		{Line: 16, Lang: "sql", Text: "SELECT 1\n", Generated: true},
		{Line: 24, Lang: "sh", Text: "mage ci\n", Marked: true, NotRun: "needs a server"},
		{Line: 30, Lang: "go", Text: "package x\n"},
		{Line: 35, Text: "out\n", Output: true},
	})
	assert.Equal(t, len(p.Sections), 1)
	s := p.Sections[0]
	assert.Equal(t, s.Mark(), "codes key.* apply")
	assert.Equal(t, s.Line, 9)
	assert.Equal(t, sample[s.Start:s.End], "\n| a |\n| --- |\n| `b` |\n\n```sql\nSELECT 1\n```\n\n")
	for i, line := range strings.Split(sample, "\n") {
		if line == "SELECT 1" {
			assert.Equal(t, i+1, p.Blocks[0].Line)
		}
	}
}

func TestBrokenMarks(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"<!-- generated: a -->\n":                      "has no end",
		"<!-- /generated -->\n":                        "has no beginning",
		"<!-- generated: -->\n\n<!-- /generated -->\n": "names no table",

		"<!-- generated: a -->\n\n<!-- generated: b -->\n\n<!-- /generated -->\n": "begins inside of a",
	} {
		p := page.Parse("a.md", source)
		assert.Assert(t, len(p.Broken) > 0, source)
		assert.Assert(t, strings.Contains(p.Broken[0].Why, want), p.Broken[0].Why)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"README.md": {}, "docs/b.md": {Data: []byte("# B\n")}, "docs/deep/er/c.md": {}, "docs/d.txt": {}, "x/e.md": {},
	}
	pages, err := page.Read(tree, "*.md", "docs/**", "docs/*.md", "nowhere/**")
	assert.NilError(t, err)
	var names []string
	for _, p := range pages {
		names = append(names, p.Path)
	}
	assert.DeepEqual(t, names, []string{"README.md", "docs/b.md", "docs/deep/er/c.md"})
	_, err = page.Read(tree, "[")
	assert.ErrorContains(t, err, "syntax error")
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("<!-- generated: a --> text\n\n<!-- /generated -->")
	f.Add("```")
	f.Add("> <!-- output -->\n> ```sh\n> x\n")
	f.Fuzz(func(t *testing.T, source string) {
		p := page.Parse("a.md", source)
		lines := strings.Count(source, "\n") + 1
		for _, b := range p.Blocks {
			if b.Line < 0 || b.Line > lines+1 {
				t.Errorf("a block in line %d of %d", b.Line, lines)
			}
		}
		for _, s := range p.Sections {
			if s.Start > s.End || s.End > len(source) || s.Name == "" {
				t.Errorf("%+v of %d bytes", s, len(source))
			}
		}
	})
}
