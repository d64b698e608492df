// Package page reads what a page of Markdown has that a machine can hold:
// headings, links, code, and the marks that comments make. It knows nothing of
// what the page says, and writes nothing.
//
// Two kinds of comments are marks. Both stand on lines of their own:
//
//	<!-- generated: NAME ARGUMENTS --> ... <!-- /generated -->
//	<!-- not run: REASON -->  or  <!-- output -->  right above a block of code
package page

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// Page is one file of Markdown. Lines count from 1.
type Page struct {
	// Path is relative to the root of the tree, with forward slashes.
	Path     string
	Text     string
	Headings []Heading
	Links    []Link
	// Spans are code in running text.
	Spans    []Span
	Blocks   []Block
	Sections []Section
	// Broken are marks that are not in pairs.
	Broken []Broken
}

// Heading is a heading with the anchor that GitHub gives it.
type Heading struct {
	Line, Level  int
	Text, Anchor string
}

// Link is where a link or an image leads, as written.
type Link struct {
	Line int
	To   string
}

// Span is code in running text.
type Span struct {
	Line int
	Text string
}

// Block is a fenced block of code.
type Block struct {
	// Line is that of the first line of the code; the fence is the one above.
	Line int
	// Lang is the first word behind the fence.
	Lang, Text string
	// NotRun is the reason that the mark above the block gives; Marked says that there is one.
	NotRun string
	Marked bool
	// Output says that the block is what the one before it prints.
	Output bool
	// Generated says that the block is in a generated section.
	Generated bool
}

// Section is what lies between the marks of a generated part.
type Section struct {
	// Line is that of the opening mark.
	Line int
	// Name is the first word of the mark, Args the others.
	Name string
	Args []string
	// Start and End are the offsets of what is between the marks' lines.
	Start, End int
}

// Mark is what the opening mark says: the name and the arguments.
func (s Section) Mark() string { return strings.Join(append([]string{s.Name}, s.Args...), " ") }

// Broken is a mark that cannot be read.
type Broken struct {
	Line int
	Why  string
}

// Read reads the pages of a tree that the patterns name, sorted by path. A
// pattern is that of [path.Match]; one that ends in /** stands for every file
// *.md below that folder.
func Read(tree fs.FS, patterns ...string) ([]*Page, error) {
	var names []string
	for _, pattern := range patterns {
		folder, deep := strings.CutSuffix(pattern, "/**")
		if !deep {
			found, err := fs.Glob(tree, pattern)
			if err != nil {
				return nil, fmt.Errorf("pages %q: %w", pattern, err)
			}
			names = append(names, found...)
			continue
		}
		if _, err := fs.Stat(tree, folder); err != nil {
			continue // a tree without that folder has no pages there
		}
		err := fs.WalkDir(tree, folder, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && path.Ext(name) == ".md" {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("pages below %s: %w", folder, err)
		}
	}
	slices.Sort(names)
	var pages []*Page
	for _, name := range slices.Compact(names) {
		raw, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
		pages = append(pages, Parse(name, string(raw)))
	}
	return pages, nil
}

// Parse reads one page.
func Parse(name, source string) *Page {
	p := &Page{Path: name, Text: source}
	raw := []byte(source)
	r := reader{page: p, source: raw, anchors: map[string]int{}}
	for i, b := range raw {
		if b == '\n' {
			r.breaks = append(r.breaks, i)
		}
	}
	document := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(raw))
	// The walk cannot fail: visit returns no error.
	_ = ast.Walk(document, r.visit)
	if r.open != nil {
		p.Broken = append(p.Broken, Broken{r.open.Line, "the generated part " + r.open.Mark() + " has no end: <!-- /generated -->"})
	}
	return p
}

type reader struct {
	page    *Page
	source  []byte
	breaks  []int // offsets of the newlines
	anchors map[string]int
	open    *Section
	above   string // the comment right above, which is about the next block
}

// line is the number of the line that an offset lies in.
func (r *reader) line(offset int) int {
	n, _ := slices.BinarySearch(r.breaks, offset)
	return n + 1
}

func (r *reader) visit(node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	if node.Type() == ast.TypeBlock {
		above := r.above
		if _, comment := node.(*ast.HTMLBlock); !comment {
			r.above = ""
		}
		switch n := node.(type) {
		case *ast.Heading:
			r.heading(n)
		case *ast.HTMLBlock:
			r.comment(n)
		case *ast.FencedCodeBlock:
			r.block(n, above)
		}
		return ast.WalkContinue, nil
	}
	switch n := node.(type) {
	case *ast.Link:
		r.page.Links = append(r.page.Links, Link{r.lineOf(n), string(n.Destination)})
	case *ast.Image:
		r.page.Links = append(r.page.Links, Link{r.lineOf(n), string(n.Destination)})
	case *ast.CodeSpan:
		r.page.Spans = append(r.page.Spans, Span{r.lineOf(n), strings.ReplaceAll(r.plain(n), "\n", " ")})
	}
	return ast.WalkContinue, nil
}

// lineOf is the line of an inline node: that of its first text, or of the block around it.
func (r *reader) lineOf(node ast.Node) int {
	for child := node.FirstChild(); child != nil; child = child.FirstChild() {
		if t, ok := child.(*ast.Text); ok {
			return r.line(t.Segment.Start)
		}
	}
	for n := node; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			return r.line(n.Lines().At(0).Start)
		}
	}
	return 1
}

// plain is the text of a node without its marks.
func (r *reader) plain(node ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(node, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(r.source))
			if n.SoftLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

func (r *reader) heading(n *ast.Heading) {
	if n.Lines().Len() == 0 {
		return
	}
	text := r.plain(n)
	anchor := Anchor(text)
	count := r.anchors[anchor]
	r.anchors[anchor]++
	if count > 0 {
		anchor = fmt.Sprintf("%s-%d", anchor, count)
	}
	r.page.Headings = append(r.page.Headings, Heading{r.line(n.Lines().At(0).Start), n.Level, text, anchor})
}

// Anchor is what GitHub makes of a heading: lower case, blanks to dashes, and
// of the rest only letters, digits, dashes and underscores.
func Anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c):
			return unicode.ToLower(c)
		}
		return -1
	}, strings.TrimSpace(heading))
}

func (r *reader) comment(n *ast.HTMLBlock) {
	first := n.Lines().At(0)
	whole := first.Value(r.source)
	for i := 1; i < n.Lines().Len(); i++ {
		line := n.Lines().At(i)
		whole = append(slices.Clone(whole), line.Value(r.source)...)
	}
	stop := n.Lines().At(n.Lines().Len() - 1).Stop
	if n.HasClosure() {
		whole = append(slices.Clone(whole), n.ClosureLine.Value(r.source)...)
		stop = n.ClosureLine.Stop
	}
	inner, ok := bytes.CutPrefix(bytes.TrimSpace(whole), []byte("<!--"))
	inner, closed := bytes.CutSuffix(inner, []byte("-->"))
	if !ok || !closed {
		return
	}
	said := strings.Join(strings.Fields(string(inner)), " ")
	r.above = said
	line := r.line(first.Start)
	if name, ok := strings.CutPrefix(said, "generated:"); ok {
		words := strings.Fields(name)
		switch {
		case r.open != nil:
			r.page.Broken = append(r.page.Broken, Broken{line, "a generated part begins inside of " + r.open.Mark()})
		case len(words) == 0:
			r.page.Broken = append(r.page.Broken, Broken{line, "the mark names no table: <!-- generated: NAME -->"})
		default:
			r.open = &Section{Line: line, Name: words[0], Args: words[1:], Start: stop}
		}
		return
	}
	if said != "/generated" {
		return
	}
	if r.open == nil {
		r.page.Broken = append(r.page.Broken, Broken{line, "a generated part ends that has no beginning"})
		return
	}
	r.open.End = first.Start
	r.page.Sections = append(r.page.Sections, *r.open)
	r.open = nil
}

func (r *reader) block(n *ast.FencedCodeBlock, above string) {
	b := Block{Generated: r.open != nil}
	if n.Info != nil {
		b.Lang, _, _ = strings.Cut(strings.TrimSpace(string(n.Info.Segment.Value(r.source))), " ")
		b.Line = r.line(n.Info.Segment.Start) + 1
	}
	var code strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		if i == 0 {
			b.Line = r.line(line.Start)
		}
		code.Write(line.Value(r.source))
	}
	b.Text = code.String()
	if reason, ok := strings.CutPrefix(above, "not run:"); ok {
		b.Marked, b.NotRun = true, strings.TrimSpace(reason)
	}
	b.Output = above == "output"
	r.page.Blocks = append(r.page.Blocks, b)
}
