package site

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/yuin/goldmark/ast"
)

// entryOfIndex is a section of a page, as the search sees it.
type entryOfIndex struct {
	Href    string `json:"u"`
	Page    string `json:"p"`
	Heading string `json:"h"`
	Text    string `json:"t"`
}

// searchIndex is a script that holds the text of every section. It is a script
// and no data file, because a page that was opened from a disk may load one.
func (b *builder) searchIndex() []byte {
	parts := make([][]byte, len(b.pages))
	for i, p := range b.pages {
		parts[i] = p.index
	}
	return slices.Concat([]byte("window.searchIndex = [\n"), bytes.Join(parts, []byte(",\n")), []byte("\n]\n"))
}

// searchIndex is the part of a page: its sections as JSON, with commas between them.
func (p *page) searchIndex() ([]byte, error) {
	raw, err := json.Marshal(p.sections())
	if err != nil {
		return nil, err
	}
	return raw[1 : len(raw)-1], nil
}

// sections cuts a page at its headings. The first one is the page itself.
func (p *page) sections() []entryOfIndex {
	at := entryOfIndex{Href: p.out, Page: p.title, Heading: p.title}
	all := make([]entryOfIndex, 0, len(p.headings)+1)
	text := prose{b: make([]byte, 0, len(p.source))}
	next := 0
	for n := p.doc.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			heading := p.headings[next]
			next++
			if h.Level > 1 {
				at.Text = text.take()
				all = append(all, at)
				at = entryOfIndex{Href: p.out + "#" + heading.ID, Page: p.title, Heading: heading.Text}
			}
			continue
		}
		p.words(&text, n)
	}
	at.Text = text.take()
	return append(all, at)
}

// prose is text with single blanks between its words.
type prose struct {
	b    []byte
	from int // where the text begins that was not taken yet
	gap  bool
}

func (t *prose) write(text []byte) {
	from := 0
	for i, c := range text {
		if c > ' ' {
			continue
		}
		t.word(text[from:i])
		t.gap, from = true, i+1
	}
	t.word(text[from:])
}

func (t *prose) word(word []byte) {
	if len(word) == 0 {
		return
	}
	if t.gap && len(t.b) > t.from {
		t.b = append(t.b, ' ')
	}
	t.b = append(t.b, word...)
	t.gap = false
}

func (t *prose) take() string {
	text := string(t.b[t.from:])
	t.from, t.gap = len(t.b), false
	return text
}

// words adds the text of a block.
func (p *page) words(text *prose, n ast.Node) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				text.write(unescaped(n, p.source))
				text.gap = text.gap || n.SoftLineBreak() || n.HardLineBreak()
			}
		case *ast.AutoLink:
			if entering {
				text.write(n.Label(p.source))
			}
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			if entering {
				for i := range n.Lines().Len() {
					line := n.Lines().At(i)
					text.write(line.Value(p.source))
				}
			}
		default:
			text.gap = text.gap || !entering && n.Type() == ast.TypeBlock
		}
		return ast.WalkContinue, nil
	}) // the visitor returns no error
}
