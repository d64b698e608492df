package tables

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/facts"
	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/docs/page"
	"github.com/dpone/dpone/gates/target"
)

// Source reads the code that says what the documents have to explain.
type Source = func(tree fs.FS) (facts.Facts, error)

// Folders are those of the code, for a [Source].
func Folders() []string { return []string{"engine", "evidence", "gates", "magefiles"} }

// ForRunbooks are the codes that a runbook explains. Those of the engine have a page of their own.
func ForRunbooks(f facts.Facts) []facts.Named {
	return slices.DeleteFunc(slices.Clone(f.Codes), func(c facts.Named) bool { return strings.HasPrefix(c.Path, "engine/") })
}

// Targets is the table of all targets with their first sentence. list is called when the table is made.
func Targets(list func() ([]target.Target, error), pages ...string) generate.Table {
	return generate.Table{Name: "targets", Pages: pages, Make: func(fs.FS, []string) (string, error) {
		targets, err := list()
		if err != nil {
			return "", err
		}
		var rows [][]string
		for _, t := range targets {
			rows = append(rows, []string{"`mage " + t.Name + "`", t.Synopsis})
		}
		return table([]string{"Target", "What it is for"}, rows), nil
	}}
}

// Artifacts is the table of the folders that runs go to, with the gates whose runs they are.
func Artifacts(list func() []gates.Gate, pages ...string) generate.Table {
	return generate.Table{Name: "artifacts", Pages: pages, Make: func(fs.FS, []string) (string, error) {
		areas := map[string][]string{}
		for _, g := range list() {
			areas[g.Area] = append(areas[g.Area], "mage "+g.ID)
		}
		var rows [][]string
		for _, area := range slices.Sorted(maps.Keys(areas)) {
			slices.Sort(areas[area])
			rows = append(rows, []string{"`test_artifacts/" + area + "/`", mono(slices.Compact(areas[area]))})
		}
		return table([]string{"Folder", "Runs of"}, rows), nil
	}}
}

// Secret is an environment variable whose value must not be seen.
type Secret struct {
	Name string
	// For says what it is, Targets which need it; none means that no target takes it yet.
	For     string
	Targets []string
}

// Secrets is the table of secrets. It cannot be made while the source names a
// variable that redaction takes for a secret and the list does not have.
func Secrets(read Source, list []Secret, pages ...string) generate.Table {
	return generate.Table{Name: "secrets", Pages: pages, Make: func(tree fs.FS, _ []string) (string, error) {
		found, err := read(tree)
		if err != nil {
			return "", err
		}
		for _, v := range found.Variables {
			secret := len(redact.New([]string{v.Name + "=a value that is long enough"}).Names()) > 0
			if secret && !slices.ContainsFunc(list, func(s Secret) bool { return s.Name == v.Name }) {
				return "", fmt.Errorf("%s:%d names %s, which bears a secret: add it to the list of secrets in magefiles", v.Path, v.Line, v.Name)
			}
		}
		var rows [][]string
		for _, s := range slices.SortedFunc(slices.Values(list), func(a, b Secret) int { return strings.Compare(a.Name, b.Name) }) {
			if !slices.ContainsFunc(found.Variables, func(v facts.Named) bool { return v.Name == s.Name }) {
				return "", fmt.Errorf("nothing reads %s: drop it from the list of secrets in magefiles", s.Name)
			}
			var targets []string
			for _, t := range s.Targets {
				targets = append(targets, "mage "+t)
			}
			rows = append(rows, []string{"`" + s.Name + "`", s.For, cmp.Or(mono(targets), "no target yet")})
		}
		return table([]string{"Variable", "What it is", "Taken by"}, rows), nil
	}}
}

// Metrics is the table of numbers that gates measure and hold against a limit.
func Metrics(read Source, pages ...string) generate.Table {
	return generate.Table{Name: "metrics", Pages: pages, Make: func(tree fs.FS, _ []string) (string, error) {
		found, err := read(tree)
		if err != nil {
			return "", err
		}
		var rows [][]string
		for _, m := range found.Measures {
			limit := "at most"
			if m.Floor {
				limit = "at least"
			}
			rows = append(rows, []string{"`" + m.Name + "`", cmp.Or(strings.Join(m.Shown, "; "), "N %"), limit})
		}
		return table([]string{"Measured by the check", "Shown as", "Limit"}, rows), nil
	}}
}

// CheckCodes is the table of everything that a check of a gate, or a verification of evidence, can say, with the
// section of the runbooks that names it. further are codes that the source does not have as literals.
func CheckCodes(read Source, runbooks string, further []string, pages ...string) generate.Table {
	return generate.Table{Name: "check-codes", Pages: pages, Make: func(tree fs.FS, _ []string) (string, error) {
		found, err := read(tree)
		if err != nil {
			return "", err
		}
		raw, err := fs.ReadFile(tree, runbooks)
		if err != nil {
			return "", err
		}
		names := slices.Clone(further)
		for _, c := range ForRunbooks(found) {
			names = append(names, c.Name)
		}
		slices.Sort(names)
		sections := sectionsOf(page.Parse(runbooks, string(raw)))
		var rows [][]string
		for _, name := range slices.Compact(names) {
			section := "none"
			if at, ok := sections[name]; ok {
				section = fmt.Sprintf("[%s](%s#%s)", at.Text, strings.TrimPrefix(runbooks, "docs/"), at.Anchor)
			}
			rows = append(rows, []string{"`" + name + "`", section})
		}
		return table([]string{"Code", "Runbook"}, rows), nil
	}}
}

// sectionsOf is the heading under which a page first names a code, by the code.
func sectionsOf(p *page.Page) map[string]page.Heading {
	sections := map[string]page.Heading{}
	next := 0
	for _, s := range p.Spans {
		for next < len(p.Headings) && p.Headings[next].Line <= s.Line {
			next++
		}
		if _, there := sections[s.Text]; !there && next > 0 {
			sections[s.Text] = p.Headings[next-1]
		}
	}
	return sections
}
