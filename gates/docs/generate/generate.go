// Package generate holds the parts of pages that are made from the source, so
// that no table is typed twice. Such a part lies between two marks:
//
//	<!-- generated: NAME ARGUMENTS -->
//	<!-- /generated -->
//
// A [Table] makes what belongs between them. One list of tables is all there
// is: [Compare] says where pages differ from it, [Run] mends them or, when
// asked to look only, is red.
package generate

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/dpone/dpone/gates/docs/page"
)

// Command mends every drift.
const Command = "mage docs:generate"

// Table makes one kind of generated part.
type Table struct {
	// Name is the first word of the mark, unique in the list.
	Name string
	// Pages are those that show the table, relative to the root. Each must have
	// the mark at least once, and no other page may have it.
	Pages []string
	// Make returns Markdown out of the source and the words behind the name in
	// the mark. It must not depend on anything else.
	Make func(tree fs.FS, args []string) (string, error)
}

// Held is a page that a test makes, because what it is made of is in the test.
type Held struct {
	Page string
	// Command writes the page; the page says so.
	Command string
}

// Part is one generated part of a page.
type Part struct {
	Page string
	Line int // of the opening mark
	Mark string
	// Drift says how the page differs from what the source gives; "" when it does not.
	Drift string
}

// Problem is what makes it impossible to tell, or to mend, what belongs into a page.
type Problem struct {
	Page string
	Line int // 0 when the mark is missing
	Why  string
	Fix  string
}

// Result says what belongs into the pages.
type Result struct {
	// Parts are in the order of the pages and of their lines.
	Parts []Part
	// Problems keep every page from being written.
	Problems []Problem
	// Changed are the new texts of the pages that differ, by path.
	Changed map[string]string
}

// Drifted are the parts that differ from the source.
func (r Result) Drifted() []Part {
	return slices.DeleteFunc(slices.Clone(r.Parts), func(p Part) bool { return p.Drift == "" })
}

// Unsaid are the pages of tests that do not say how they are made, or are not there.
func Unsaid(pages []*page.Page, held []Held) []Problem {
	var problems []Problem
	for _, h := range held {
		i := slices.IndexFunc(pages, func(p *page.Page) bool { return p.Path == h.Page })
		if i < 0 || !strings.Contains(strings.Join(strings.Fields(pages[i].Text), " "), "`"+h.Command+"`") {
			problems = append(problems, Problem{h.Page, 0, "the page does not say that it is made by " + h.Command, "say so near its beginning"})
		}
	}
	return problems
}

// Compare makes all tables and compares them with the pages. A table that
// cannot be made is a problem of its page, not an error.
func Compare(tree fs.FS, pages []*page.Page, tables []Table) Result {
	r := Result{Changed: map[string]string{}}
	byName := map[string]Table{}
	for _, t := range tables {
		byName[t.Name] = t
	}
	shown := map[[2]string]bool{}
	for _, p := range pages {
		for _, b := range p.Broken {
			r.Problems = append(r.Problems, Problem{p.Path, b.Line, b.Why, "put the marks in pairs, each on a line of its own"})
		}
		var text strings.Builder
		end := 0
		for _, s := range p.Sections {
			t, known := byName[s.Name]
			if !known || !slices.Contains(t.Pages, p.Path) {
				r.Problems = append(r.Problems, Problem{
					p.Path, s.Line, fmt.Sprintf("no table %q is made for this page", s.Name),
					"correct the name in the mark, or add the page to the list of tables in magefiles",
				})
				continue
			}
			shown[[2]string{p.Path, s.Name}] = true
			made, err := t.Make(tree, s.Args)
			if err != nil {
				r.Problems = append(r.Problems, Problem{p.Path, s.Line, fmt.Sprintf("%s cannot be made: %v", s.Mark(), err), "mend the arguments of the mark, or what makes the table"})
				continue
			}
			want, have := "\n"+strings.TrimSpace(made)+"\n\n", p.Text[s.Start:s.End]
			r.Parts = append(r.Parts, Part{p.Path, s.Line, s.Mark(), difference(have, want, s.Line)})
			text.WriteString(p.Text[end:s.Start] + want)
			end = s.End
		}
		text.WriteString(p.Text[end:])
		if text.String() != p.Text {
			r.Changed[p.Path] = text.String()
		}
	}
	for _, t := range tables {
		for _, path := range t.Pages {
			if shown[[2]string{path, t.Name}] {
				continue
			}
			r.Problems = append(r.Problems, Problem{
				path, 0, fmt.Sprintf("the page does not show the table %s", t.Name),
				fmt.Sprintf("add <!-- generated: %s --> and <!-- /generated -->, then %s", t.Name, Command),
			})
		}
	}
	return r
}

// difference tells the first line that differs; at is the line of the opening mark.
func difference(have, want string, at int) string {
	if have == want {
		return ""
	}
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	n := 0
	for n < len(h) && n < len(w) && h[n] == w[n] {
		n++
	}
	line := func(lines []string) string {
		if n >= len(lines) || lines[n] == "" {
			return "nothing"
		}
		return short(lines[n])
	}
	return fmt.Sprintf("line %d has %s, the source gives %s", at+1+n, line(h), line(w))
}

// short keeps a line of a table readable in a finding.
func short(line string) string {
	const most = 100
	if runes := []rune(line); len(runes) > most {
		line = string(runes[:most]) + "..."
	}
	return fmt.Sprintf("%q", line)
}
