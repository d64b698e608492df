package site

import (
	"go/scanner"
	"go/token"
	"html"
	"strings"
)

// The scanners below cover the languages of nearly all blocks. Chroma would
// take a third of the time of a build for them: its lexers have to suit every program,
// these only have to tell a comment, a string and a name apart.

// highlightGo uses Go's own scanner, under the classes of chroma.
func highlightGo(code string) string {
	var b strings.Builder
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(code))
	// Code in a page may be a part: what the scanner cannot read stays as it is.
	s.Init(file, []byte(code), func(token.Position, string) {}, scanner.ScanComments)
	done := 0
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			break
		}
		at := file.Offset(pos)
		// A semicolon that is not there, and a byte that is none of Go's, stay as they are.
		if tok == token.SEMICOLON && literal == "\n" || tok == token.ILLEGAL || at < done {
			continue
		}
		if literal == "" {
			literal = tok.String()
		}
		end := min(at+len(literal), len(code))
		b.WriteString(html.EscapeString(code[done:at]))
		span(&b, goClass(tok), code[at:end])
		done = end
	}
	b.WriteString(html.EscapeString(code[done:]))
	return b.String()
}

func goClass(tok token.Token) string {
	switch {
	case tok == token.COMMENT:
		return "c"
	case tok == token.STRING || tok == token.CHAR:
		return "s"
	case tok.IsLiteral() && tok != token.IDENT:
		return "m"
	case tok.IsKeyword():
		return "k"
	}
	return ""
}

// highlightShell marks comments, strings, options and variables.
func highlightShell(code string) string {
	return highlightLines(code, func(b *strings.Builder, line string, at int) int {
		start := at == 0 || line[at-1] == ' ' || line[at-1] == '\t'
		switch c := line[at]; {
		case c == '#' && start:
			return mark(b, "c", line, at, len(line))
		case c == '"' || c == '\'':
			return mark(b, "s", line, at, quoted(line, at))
		case c == '-' && start:
			return mark(b, "na", line, at, run(line, at, "= \t"))
		case c == '$' && at+1 < len(line) && line[at+1] != '(':
			end := at + 1 + len(line[at+1:]) - len(strings.TrimLeft(line[at+1:], "{}_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
			return mark(b, "nv", line, at, end)
		}
		return at
	})
}

// constants of YAML and JSON.
var constants = map[string]bool{"true": true, "false": true, "null": true, "~": true}

// highlightYAML marks comments, strings, keys, numbers and words that are no text.
func highlightYAML(code string) string {
	return highlightLines(code, func(b *strings.Builder, line string, at int) int {
		if at > 0 && !strings.ContainsRune(" \t[{,", rune(line[at-1])) {
			return at
		}
		switch line[at] {
		case '#':
			return mark(b, "c", line, at, len(line))
		case '"', '\'':
			end := quoted(line, at)
			class := "s"
			if strings.HasPrefix(line[end:], ":") {
				class = "nt"
			}
			return mark(b, class, line, at, end)
		case ' ', '\t', '{', '[', ',':
			return at
		}
		end := run(line, at, " \t,]}")
		word := line[at:end]
		switch {
		case len(word) > 1 && word[len(word)-1] == ':':
			return mark(b, "nt", line, at, end-1)
		case constants[word]:
			return mark(b, "kc", line, at, end)
		case strings.Trim(word, "0123456789.") == "" && word != ".":
			return mark(b, "m", line, at, end)
		}
		return at
	})
}

// highlightLines asks mark at each byte of each line. It answers with the end
// of what it wrote, or with the place where it was asked.
func highlightLines(code string, mark func(b *strings.Builder, line string, at int) int) string {
	var b strings.Builder
	b.Grow(2 * len(code))
	for line := range strings.Lines(code) {
		line, newline := strings.CutSuffix(line, "\n")
		plain := 0
		for at := 0; at < len(line); {
			var piece strings.Builder
			end := mark(&piece, line, at)
			if end == at {
				at++
				continue
			}
			b.WriteString(html.EscapeString(line[plain:at]))
			b.WriteString(piece.String())
			at, plain = end, end
		}
		b.WriteString(html.EscapeString(line[plain:]))
		if newline {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func mark(b *strings.Builder, class, line string, from, to int) int {
	span(b, class, line[from:to])
	return to
}

// run is where the word at a place ends.
func run(line string, at int, stop string) int {
	if n := strings.IndexAny(line[at:], stop); n >= 0 {
		return at + n
	}
	return len(line)
}

// quoted is the end of the string that begins at a place; one that goes on in
// the next line ends with this one.
func quoted(line string, at int) int {
	for i := at + 1; i < len(line); i++ {
		switch {
		case line[i] == '\\' && line[at] == '"':
			i++
		case line[i] == line[at]:
			return i + 1
		}
	}
	return len(line)
}
