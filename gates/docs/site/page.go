package site

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// page is one Markdown file.
type page struct {
	path string // relative to the root
	out  string // in the site

	source   []byte
	gone     bool
	doc      ast.Node
	title    string
	headings []heading
	anchors  map[string]bool
	links    []link
	diagrams []Diagram
	drawn    []drawn // their pictures
	findings []Finding
	// leadsTo are the pages that it links to, in the order of the links.
	leadsTo []string
	body    []byte
	index   []byte // its sections, as a part of the search index
	prev    *page
	next    *page
}

type heading struct {
	Level int
	Text  string
	ID    string
}

// link is a link or a picture of a page.
type link struct {
	dest  string
	line  int
	image bool
	set   func(string) // gives the link another destination
}

// parse is the parser, which several pages may use at once.
var parse = sync.OnceValue(func() parser.Parser {
	return goldmark.New(goldmark.WithExtensions(dialect()...)).Parser()
})

// maxPage bounds a page, in bytes.
const maxPage = 8 << 20

// dialect is that of code hosts.
func dialect() []goldmark.Extender { return []goldmark.Extender{extension.GFM} }

func (p *page) find(code string, line int, fix, format string, args ...any) {
	p.findings = append(p.findings, Finding{code, p.path, line, fmt.Sprintf(format, args...), fix})
}

// load reads the page. One that went away meanwhile is gone, which is no error.
func (p *page) load(fsys fs.FS) error {
	var err error
	if p.source, err = fs.ReadFile(fsys, p.path); errors.Is(err, fs.ErrNotExist) {
		p.gone = true
		return nil
	}
	if err == nil && len(p.source) > maxPage {
		err = fmt.Errorf("%s: %d bytes, at most %d are read", p.path, len(p.source), maxPage)
	}
	if err != nil {
		return err
	}
	if bytes.IndexByte(p.source, '\r') >= 0 {
		p.source = bytes.ReplaceAll(p.source, []byte("\r\n"), []byte("\n"))
	}
	if !utf8.Valid(p.source) {
		p.source = bytes.ToValidUTF8(p.source, []byte("\uFFFD"))
	}
	return nil
}

// parse looks at what can be told of a page without the others.
func (p *page) parse() {
	p.anchors = map[string]bool{}
	p.doc = parse().Parse(text.NewReader(p.source), parser.WithContext(parser.NewContext()))
	_ = ast.Walk(p.doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			p.visit(n)
		}
		return ast.WalkContinue, nil
	}) // the visitor returns no error
	p.named()
}

func (p *page) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		name := plain(n, p.source)
		p.titled(n, name)
		p.anchor(n, name)
	case *ast.Link:
		p.links = append(p.links, link{string(n.Destination), p.line(n), false, func(s string) { n.Destination = []byte(s) }})
	case *ast.Image:
		line := p.line(n)
		if strings.TrimSpace(plain(n, p.source)) == "" {
			p.find(CodeAlt, line, "say between the brackets what the picture shows", "the picture %s has no text", n.Destination)
		}
		p.links = append(p.links, link{string(n.Destination), line, true, func(s string) { n.Destination = []byte(s) }})
	case *ast.FencedCodeBlock:
		p.code(n)
	case *ast.RawHTML:
		p.html(n, segments(n.Segments, p.source))
	case *ast.HTMLBlock:
		raw := segments(n.Lines(), p.source)
		if n.HasClosure() {
			raw += string(n.ClosureLine.Value(p.source))
		}
		p.html(n, raw)
	}
}

func segments(lines *text.Segments, source []byte) string {
	var b strings.Builder
	for i := range lines.Len() {
		at := lines.At(i)
		b.Write(at.Value(source))
	}
	return b.String()
}

// line is where a node begins. A node that does not know asks what is around it.
func (p *page) line(n ast.Node) int {
	for ; n != nil; n = n.Parent() {
		if n.Pos() >= 0 {
			return lineOf(p.source, n.Pos())
		}
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			return lineOf(p.source, n.Lines().At(0).Start)
		}
	}
	return 0
}

// titled holds that the page begins with its only title and leaves out no
// level. It is asked about one heading after the other.
func (p *page) titled(h *ast.Heading, name string) {
	line, previous := p.line(h), 0
	if n := len(p.headings); n > 0 {
		previous = p.headings[n-1].Level
	}
	switch {
	case strings.TrimSpace(name) == "":
		p.find(CodeHeading, line, "write the heading, or take it away", "the heading is empty")
	case h.Level == 1 && p.title != "":
		p.find(CodeHeading, line, "one \"# \" a page; make this one \"## \"", "a second title, %q", name)
	case h.Level == 1:
		p.title = name
	case previous == 0:
		p.find(CodeHeading, line, "begin the page with a line \"# Title\"", "%q comes before the title of the page", name)
	case h.Level > previous+1:
		p.find(CodeHeading, line, "make it "+strings.Repeat("#", previous+1), "%q is of level %d below one of level %d", name, h.Level, previous)
	}
}

// named gives a page without a title the name of its file.
func (p *page) named() {
	if p.title == "" {
		p.find(CodeHeading, 1, "begin the page with a line \"# Title\"", "the page has no title")
		p.title = strings.TrimSuffix(p.path[strings.LastIndexByte(p.path, '/')+1:], ".md")
	}
}

// anchor gives a heading the anchor that a code host gives it.
func (p *page) anchor(h *ast.Heading, name string) {
	id := Slug(name)
	if id == "" {
		id = "section"
	}
	if p.anchors[id] {
		p.find(CodeDuplicate, p.line(h), "give one of the two another name", "the anchor #%s is there already", id)
		for i := 1; ; i++ {
			if other := fmt.Sprintf("%s-%d", id, i); !p.anchors[other] {
				id = other
				break
			}
		}
	}
	p.anchors[id] = true
	h.SetAttributeString("id", []byte(id))
	p.headings = append(p.headings, heading{h.Level, name, id})
}

// Slug is the anchor that GitHub gives a heading with that text: letters in
// lower case, digits, '-' and '_' stay, a blank becomes '-', the rest is left out.
func Slug(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.M, r), unicode.Is(unicode.Pc, r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(name))
}

// plain is the text of a node as a reader sees it.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(unescaped(n, source))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(source))
		}
		return ast.WalkContinue, nil
	}) // the visitor returns no error
	return b.String()
}

// unescaped is the text of a node without backslashes and entities.
func unescaped(n *ast.Text, source []byte) []byte {
	raw := n.Value(source)
	if n.IsRaw() {
		return raw
	}
	return util.UnescapePunctuations(util.ResolveEntityNames(util.ResolveNumericReferences(raw)))
}
