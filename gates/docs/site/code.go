package site

import (
	"embed"
	"fmt"
	"html"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/chroma/v2"
	"github.com/yuin/goldmark/ast"
)

// lexers are copies of those of chroma. Its package with all of them would
// cost each start of mage more than the rest of a start takes.
//
//go:embed lexers/*.xml
var lexers embed.FS

// languages are the lexers by the names of their languages, read when the
// first code block asks.
var languages = sync.OnceValues(func() (map[string]chroma.Lexer, error) {
	registry, byName := chroma.NewLexerRegistry(), map[string]chroma.Lexer{}
	names, err := fs.Glob(lexers, "lexers/*.xml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		lexer, err := chroma.NewXMLLexer(lexers, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		registry.Register(lexer) // one may use another
		for _, alias := range lexer.Config().Aliases {
			byName[alias] = chroma.Coalesce(lexer)
		}
	}
	return byName, nil
})

// Languages of code blocks that do without a lexer of chroma.
const (
	langGo       = "go"
	langMarkdown = "markdown"
	langMermaid  = "mermaid"
)

// own are the languages with a scanner in scan.go, and those that are shown as
// they are: most blocks are in them.
var own = map[string]func(string) string{
	langGo: highlightGo, "sh": highlightShell, "bash": highlightShell, "shell": highlightShell,
	"yaml": highlightYAML, "yml": highlightYAML, "json": highlightYAML, // which is a part of YAML
	langMarkdown: html.EscapeString, "text": html.EscapeString, "": html.EscapeString,
}

// knownLanguages is what a message offers.
const knownLanguages = "sh, console, go, yaml, json, sql, toml, ini, diff, docker, make, python, xml, markdown, text, mermaid"

func lexerOf(language string) (chroma.Lexer, bool) {
	byName, err := languages()
	if err != nil {
		return nil, false
	}
	lexer, ok := byName[language]
	return lexer, ok
}

// code looks at a code block.
func (p *page) code(n *ast.FencedCodeBlock) {
	line := p.line(n)
	switch language := string(n.Language(p.source)); language {
	case langMermaid:
		p.diagram(n, line)
	default:
		if own[language] != nil {
			return
		}
		if _, ok := lexerOf(language); !ok {
			p.find(CodeLanguage, line, "take one of "+knownLanguages, "the language %q of the code block is not known", language)
		}
	}
}

// highlight is code as HTML, with a class for each kind of token.
func highlight(language, code string) string {
	if scan := own[language]; scan != nil {
		return scan(code)
	}
	lexer, ok := lexerOf(language)
	if !ok {
		return html.EscapeString(code)
	}
	tokens, err := lexer.Tokenise(nil, code)
	if err != nil {
		return html.EscapeString(code)
	}
	var b strings.Builder
	for t := tokens(); t != chroma.EOF; t = tokens() {
		span(&b, chroma.StandardTypes[t.Type], t.Value)
	}
	return strings.TrimSuffix(b.String(), "\n") + "\n"
}

func span(b *strings.Builder, class, value string) {
	if class == "" || strings.TrimSpace(value) == "" {
		b.WriteString(html.EscapeString(value))
		return
	}
	fmt.Fprintf(b, `<span class="%s">%s</span>`, class, html.EscapeString(value))
}

// allowed are the elements of HTML that a page may use, with their attributes.
var allowed = map[string][]string{
	"a": {"id"}, "br": nil, "details": {"open"}, "summary": nil, "kbd": nil, "sub": nil, "sup": nil,
}

var (
	comments   = regexp.MustCompile(`(?s)<!--.*?-->`)
	element    = regexp.MustCompile(`^<(/?)([A-Za-z][A-Za-z0-9-]*)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)\s*/?>`)
	attributes = regexp.MustCompile(`([a-z-]+)(?:="([^"]*)")?`)
)

// html holds that HTML in a page is on the list, and notes its anchors.
func (p *page) html(n ast.Node, raw string) {
	const fix = "write it in Markdown; a \"<\" that is meant as such is \"\\<\", or goes between backticks"
	line := p.line(n)
	raw = comments.ReplaceAllStringFunc(raw, func(c string) string { return strings.Repeat("\n", strings.Count(c, "\n")) })
	for {
		before, rest, found := strings.Cut(raw, "<")
		if !found {
			return
		}
		line += strings.Count(before, "\n")
		raw = "<" + rest
		m := element.FindStringSubmatch(raw)
		if m == nil {
			shown, _, _ := strings.Cut(raw, "\n")
			p.find(CodeHTML, line, fix, "%q is HTML that is not allowed", shown[:min(len(shown), 40)])
			raw = rest
			continue
		}
		names, ok := allowed[strings.ToLower(m[2])]
		if !ok {
			p.find(CodeHTML, line, fix, "the element <%s> is not allowed", m[2])
		}
		for _, a := range attributes.FindAllStringSubmatch(m[3], -1) {
			if ok && !slices.Contains(names, a[1]) {
				p.find(CodeHTML, line, fix, "the attribute %q of <%s> is not allowed", a[1], m[2])
			}
			if a[1] == "id" {
				if p.anchors[a[2]] {
					p.find(CodeDuplicate, line, "give one of the two another name", "the anchor #%s is there already", a[2])
				}
				p.anchors[a[2]] = true
			}
		}
		line += strings.Count(m[0], "\n")
		raw = raw[len(m[0]):]
	}
}
