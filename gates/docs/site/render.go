package site

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	gmhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

//go:embed assets
var assets embed.FS

var layout = template.Must(template.ParseFS(assets, "assets/page.html.tmpl"))

// Policy is the Content-Security-Policy of every page: nothing but the site's own files.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"

// previewPolicy also lets the script of the local server ask that server.
const previewPolicy = Policy + "; connect-src 'self'"

// view is what the layout shows of a page.
type view struct {
	Site, Title, Policy      string
	Root                     string // way from the page to the root of the site
	Home                     string
	Nav, Contents            template.HTML
	Prev, Next               *entry
	Source, Commit, Revision string
	Preview                  bool
}

type entry struct{ Name, Href string }

// render writes every page, the search index and the assets.
func (b *builder) render(ctx context.Context) error {
	pages := make(map[ast.Node]*page, len(b.pages))
	for _, p := range b.pages {
		pages[p.doc] = p
	}
	md := goldmark.New(goldmark.WithExtensions(dialect()...), goldmark.WithRendererOptions(
		gmhtml.WithUnsafe(), // whatever is not on the list is a finding
		renderer.WithNodeRenderers(util.Prioritized(&pageRenderer{b, pages}, 1)),
	)).Renderer()
	ways := b.ways()
	err := b.each(ctx, func(p *page) error {
		var out bytes.Buffer
		out.Grow(2*len(p.source) + 16<<10)
		v := b.view(p, ways[path.Dir(p.out)])
		err := errors.Join(
			layout.ExecuteTemplate(&out, "above", v),
			md.Render(&out, p.source, p.doc),
			layout.ExecuteTemplate(&out, "below", v),
		)
		if err == nil {
			p.body = out.Bytes()
			p.index, err = p.searchIndex()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	for _, p := range b.pages {
		b.add(p.out, p.body)
	}
	b.add("assets/search-index.js", b.searchIndex())
	names, err := fs.Glob(assets, "assets/*")
	if err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".tmpl") {
			continue
		}
		raw, err := assets.ReadFile(name)
		if err != nil {
			return fmt.Errorf("docs: %w", err)
		}
		b.add(name, raw)
	}
	return nil
}

func (b *builder) view(p *page, ways map[*page]string) view {
	v := view{
		Site: b.Title, Title: p.title, Policy: Policy, Root: strings.Repeat("../", strings.Count(p.out, "/")),
		Home: relative(p.out, "index.html"), Preview: b.Preview,
		Source: b.hosted("blob", p.path, ""), Commit: b.Repository + "/tree/" + b.commit, Revision: b.commit[:min(7, len(b.commit))],
	}
	if b.Preview {
		v.Policy = previewPolicy
	}
	v.Nav, v.Contents = b.sidebar(p, ways), p.contents()
	neighbour := func(q *page) *entry {
		if q == nil {
			return nil
		}
		return &entry{q.title, relative(p.out, q.out)}
	}
	v.Prev, v.Next = neighbour(p.prev), neighbour(p.next)
	return v
}

// ways are the ways to each page from the pages of each folder of the site, in HTML.
func (b *builder) ways() map[string]map[*page]string {
	all := map[string]map[*page]string{}
	for _, p := range b.pages {
		dir := path.Dir(p.out)
		if all[dir] != nil {
			continue
		}
		all[dir] = make(map[*page]string, len(b.pages))
		for _, q := range b.pages {
			all[dir][q] = html.EscapeString(relative(p.out, q.out))
		}
	}
	return all
}

// sidebar is the list of all pages. Every page has it, with itself marked, so it
// is not left to the template, which would take most of the time.
func (b *builder) sidebar(p *page, ways map[*page]string) template.HTML {
	var out strings.Builder
	item := func(q *page, name string) {
		switch q {
		case nil:
			fmt.Fprintf(&out, "<span>%s</span>", html.EscapeString(name))
		case p:
			fmt.Fprintf(&out, `<a href="%s" aria-current="page">%s</a>`, ways[q], html.EscapeString(q.title))
		default:
			fmt.Fprintf(&out, `<a href="%s">%s</a>`, ways[q], html.EscapeString(q.title))
		}
	}
	for _, s := range b.nav {
		out.WriteString("<li>")
		item(s.Page, s.Name)
		if len(s.Pages) > 0 {
			out.WriteString("\n<ul>\n")
			for _, q := range s.Pages {
				out.WriteString("<li>")
				item(q, "")
				out.WriteString("</li>\n")
			}
			out.WriteString("</ul>")
		}
		out.WriteString("</li>\n")
	}
	return template.HTML(out.String())
}

// contents is the list of the sections of a page.
func (p *page) contents() template.HTML {
	var out strings.Builder
	for _, h := range p.headings {
		if h.Level == 2 || h.Level == 3 {
			fmt.Fprintf(&out, "<li class=\"level%d\"><a href=\"#%s\">%s</a></li>\n", h.Level, html.EscapeString(h.ID), html.EscapeString(h.Text))
		}
	}
	return template.HTML(out.String())
}

// pageRenderer renders what a site shows in another way than plain HTML.
type pageRenderer struct {
	b     *builder
	pages map[ast.Node]*page // by their documents
}

// RegisterFuncs tells goldmark which nodes are rendered here.
func (r *pageRenderer) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindHeading, r.heading)
	reg.Register(ast.KindFencedCodeBlock, r.code)
	reg.Register(ast.KindCodeBlock, r.code)
	reg.Register(east.KindTable, r.table)
	reg.Register(east.KindTableCell, r.cell)
}

func (r *pageRenderer) heading(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	h := n.(*ast.Heading)
	value, _ := h.AttributeString("id")
	id, _ := value.([]byte)
	if entering {
		fmt.Fprintf(w, `<h%d id="%s">`, h.Level, html.EscapeString(string(id)))
		return ast.WalkContinue, nil
	}
	if h.Level > 1 {
		fmt.Fprintf(w, ` <a class="anchor" href="#%s" aria-label="Link to %s"></a>`, html.EscapeString(string(id)), html.EscapeString(plain(h, source)))
	}
	fmt.Fprintf(w, "</h%d>\n", h.Level)
	return ast.WalkContinue, nil
}

func (r *pageRenderer) code(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	code, language := segments(n.Lines(), source), ""
	if fenced, ok := n.(*ast.FencedCodeBlock); ok {
		language = string(fenced.Language(source))
	}
	if language == langMermaid {
		_, err := w.WriteString(r.b.figure(r.pages[n.OwnerDocument()], code))
		return ast.WalkSkipChildren, err
	}
	// What may scroll must be reachable by keyboard.
	_, err := fmt.Fprintf(w, `<pre class="chroma" tabindex="0"><code>%s</code></pre>`+"\n", highlight(language, code))
	return ast.WalkSkipChildren, err
}

func (r *pageRenderer) table(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	text := "</table></div>\n"
	if entering {
		text = `<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>` + "\n"
	}
	_, err := w.WriteString(text)
	return ast.WalkContinue, err
}

// cell is a cell of a table. Its alignment is an attribute, for a style of its
// own would break the policy of the page; a head without a text is no head.
func (r *pageRenderer) cell(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	cell := n.(*east.TableCell)
	tag := "td"
	if cell.Parent().Kind() == east.KindTableHeader && cell.HasChildren() {
		tag = "th"
	}
	switch {
	case !entering:
		fmt.Fprintf(w, "</%s>\n", tag)
	case cell.Alignment == east.AlignNone:
		fmt.Fprintf(w, "<%s>", tag)
	default:
		fmt.Fprintf(w, `<%s align="%s">`, tag, cell.Alignment)
	}
	return ast.WalkContinue, nil
}
