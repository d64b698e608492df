package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/spelling"
)

// maxProblems is how many problems of one file are told.
const maxProblems = 1000

// mark is a place in the file, line and column from 1, in characters.
type mark struct{ line, column int }

// Problem is one thing that is wrong with a manifest.
type Problem struct {
	Path    string `json:"path,omitempty"`   // the file, empty when there is none
	Line    int    `json:"line,omitempty"`   // from 1; 0 when the manifest was not parsed
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Field   string `json:"field,omitempty"`  // "source.options.columns", "quality.gates[0].type"; empty for the document itself
	Code    string `json:"code"`             // <area>.<problem>, the same from version to version; see [Codes]
	Message string `json:"message"`          // never holds the value of a secret
	Fix     string `json:"fix,omitempty"`    // what to do about it, empty when the message tells it
}

// String gives the one line "orders.yaml:12:5: field: message; fix".
func (p Problem) String() string {
	path := p.Path
	if path == "" {
		path = "manifest"
	}
	var b strings.Builder
	b.WriteString(path)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Problems is everything that is wrong with a manifest, in the order of the lines.
type Problems struct {
	List []Problem
}

// Error gives one line a problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i := range p.List {
		lines[i] = p.List[i].String()
	}
	return strings.Join(lines, "\n")
}

// collector gathers problems.
type collector struct {
	path  string
	marks map[string]mark
	found []Problem
	// broken are the fields whose value could not be read. What else is said about
	// them, or about what they are part of, would only repeat it.
	broken map[string]bool
	// settled is true once the structure is read and broken counts.
	settled bool
}

// at gives the mark of the field or of the nearest thing around it.
func (c *collector) at(field string) mark {
	for {
		if m, ok := c.marks[field]; ok {
			return m
		}
		if field == "" {
			return mark{}
		}
		field = parent(field)
	}
}

// parent cuts the last element of a path.
func parent(field string) string {
	if i := strings.LastIndexAny(field, ".["); i >= 0 {
		return field[:i]
	}
	return ""
}

func (c *collector) add(what code, field, fix, format string, args ...any) {
	if c.settled && c.isBroken(field) {
		return
	}
	c.addAt(c.at(field), what, field, fix, format, args...)
}

func (c *collector) addAt(m mark, what code, field, fix, format string, args ...any) {
	switch {
	case len(c.found) > maxProblems:
		return
	case len(c.found) == maxProblems:
		what, field, fix = codeTooMany, "", "mend these first"
		format, args = "more than %d problems", []any{maxProblems}
	}
	c.found = append(c.found, Problem{
		Path: c.path, Line: m.line, Column: m.column, Field: field,
		Code: codes[what].Code, Message: fmt.Sprintf(format, args...), Fix: fix,
	})
}

// isBroken reports whether the field, a part of it, or what it is part of could not be read.
func (c *collector) isBroken(field string) bool {
	if len(c.broken) == 0 {
		return false
	}
	for up := field; up != ""; up = parent(up) {
		if c.broken[up] {
			return true
		}
	}
	for b := range c.broken {
		if rest, ok := strings.CutPrefix(b, field); ok && field != "" && (rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// problems gives the error, nil when there is none.
func (c *collector) problems() error {
	if len(c.found) == 0 {
		return nil
	}
	slices.SortStableFunc(c.found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Field, b.Field))
	})
	return &Problems{List: c.found}
}

// nearest gives the fix `did you mean "x"?` for the candidate that is closest to
// the word, or nothing when none is close.
func nearest(word string, candidates []string) string {
	best := spelling.Nearest(word, candidates, min(3, max(1, len(word)/3))+1)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}
