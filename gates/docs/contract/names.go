package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/docs/page"
)

// workflowFile is one workflow of GitHub Actions.
type workflowFile struct {
	path, text string
}

func (f workflowFile) name() string { return path.Base(f.path) }

func readWorkflows(tree fs.FS, folder string) ([]workflowFile, error) {
	var files []workflowFile
	for _, pattern := range []string{"*.yml", "*.yaml"} {
		names, err := fs.Glob(tree, path.Join(folder, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			raw, err := fs.ReadFile(tree, name)
			if err != nil {
				return nil, fmt.Errorf("workflow: %w", err)
			}
			files = append(files, workflowFile{name, string(raw)})
		}
	}
	return files, nil
}

// workflows holds that each workflow is named on a page, and that pages name no other.
func (l *looker) workflows() (int, error) {
	mention := regexp.MustCompile(regexp.QuoteMeta(l.Workflows) + `/([A-Za-z0-9_.-]+\.ya?ml)`)
	named := map[string]bool{}
	looked := len(l.files)
	for _, p := range l.pages {
		for _, m := range mention.FindAllStringSubmatchIndex(p.Text, -1) {
			looked++
			name := p.Text[m[2]:m[3]]
			named[name] = true
			there := slices.ContainsFunc(l.files, func(f workflowFile) bool { return f.name() == name })
			if there || slices.Contains(l.Planned, name) {
				continue
			}
			l.find(CodeWorkflow, p.Path, lineOf(p.Text, m[0]), "there is no workflow "+name+", and none is planned", "correct the name; those that are planned stand in the inventory of workflows")
		}
	}
	for _, f := range l.files {
		if !named[f.name()] {
			l.find(CodeWorkflow, f.path, 0, "no page names this workflow", "describe it on the page about workflows, by its path "+f.path)
		}
	}
	if len(l.files) == 0 {
		return 0, nil
	}
	return looked, nil
}

// lineOf is the line of an offset, from 1.
func lineOf(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }

// other are the names that default branches have elsewhere.
const other = `(main|trunk|develop|development)`

// branchMentions are the ways in which a text takes a branch for the default one.
func branchMentions(repository string) []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile("[`\"']" + other + "[`\"']\\s+branch"),
		regexp.MustCompile("(?i)\\bbranch(?:es)?[:\\s]+(?:is\\s+|named\\s+|called\\s+)?\\[?[`\"']" + other + "[`\"']"),
		regexp.MustCompile(`(?i)\bbranches:\s*\[?\s*["']?` + other + `\b`),
		regexp.MustCompile(`(?i)\bdefault\s+branch\s+is\s+` + other + `\b`),
		regexp.MustCompile(`\b(?:origin|upstream)/` + other + `\b`),
		regexp.MustCompile(`\brefs/heads/` + other + `\b`),
		regexp.MustCompile(`\bgit\s+(?:checkout|switch|rebase|merge|push\s+\S+|pull\s+\S+|fetch\s+\S+)\s+(?:-\S+\s+)*` + other + `\b`),
		regexp.MustCompile(`\b` + regexp.QuoteMeta(repository) + `/(?:blob|tree|raw|edit)/` + other + `/`),
	}
}

// branch holds that no page and no workflow takes another branch for the default one.
func (l *looker) branch() (int, error) {
	if l.Branch == "" {
		return 0, errNoOption
	}
	mentions := branchMentions(l.Repository)
	for _, p := range l.pages {
		before := ""
		for i, line := range strings.Split(p.Text, "\n") {
			if strings.Contains(line, "main") || strings.Contains(line, "trunk") || strings.Contains(line, "develop") {
				l.branchesIn(p.Path, i+1, before, line, mentions)
			}
			before = line
		}
	}
	for _, f := range l.files {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(f.text), &document); err != nil {
			return 0, fmt.Errorf("%s: %w", f.path, err)
		}
		l.branchFilters(f, &document, false)
	}
	return len(l.pages) + len(l.files), nil
}

// branchesIn looks at one line, with the one before it: a phrase may begin there.
func (l *looker) branchesIn(path string, number int, before, line string, mentions []*regexp.Regexp) {
	seen := map[int]bool{}
	for _, pattern := range mentions {
		for _, m := range pattern.FindAllStringSubmatchIndex(before+"\n"+line, -1) {
			if at := m[2] - len(before) - 1; at >= 0 && !seen[at] {
				seen[at] = true
				l.wrongBranch(path, number, line[at:m[3]-len(before)-1])
			}
		}
	}
}

func (l *looker) wrongBranch(path string, line int, name string) {
	if name != l.Branch {
		l.find(CodeBranch, path, line, "the branch "+name, "the default branch is "+l.Branch)
	}
}

// branchFilters looks at the values below "branches" in the triggers of a workflow.
func (l *looker) branchFilters(f workflowFile, n *yaml.Node, filter bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			l.branchFilters(f, n.Content[i+1], n.Content[i].Value == "branches")
		}
	case yaml.ScalarNode:
		if filter {
			l.wrongBranch(f.path, n.Line, n.Value)
		}
	default:
		for _, child := range n.Content {
			l.branchFilters(f, child, filter)
		}
	}
}

// runbookPages are the pages with runbooks; one that is not there is a problem of the options.
func (l *looker) runbookPages() ([]*page.Page, error) {
	var pages []*page.Page
	for _, name := range l.Runbooks {
		if p := l.page(name); p != nil {
			pages = append(pages, p)
		}
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("none of the runbooks is there: %s", strings.Join(l.Runbooks, ", "))
	}
	return pages, nil
}

func (l *looker) runbookWorkflows() (int, error) {
	pages, err := l.runbookPages()
	if err != nil {
		return 0, err
	}
	for _, f := range l.files {
		if !slices.ContainsFunc(pages, func(p *page.Page) bool { return hasWord(p.Text, f.name()) }) {
			l.find(CodeRunbookWorkflow, f.path, 0, "no runbook names this workflow", "say in "+pages[len(pages)-1].Path+" what to do when "+f.name()+" is red")
		}
	}
	return len(l.files), nil
}

// hasWord says whether a text has a word that is not part of a longer name.
func hasWord(text, word string) bool {
	inName := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(word)
		if (at == 0 || !inName(text[at-1])) && (end == len(text) || !inName(text[end])) {
			return true
		}
		at = end
	}
}

var codeWord = regexp.MustCompile(`[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*`)

// runbookCodes holds that each code stands in a runbook as code.
func (l *looker) runbookCodes() (int, error) {
	pages, err := l.runbookPages()
	if err != nil {
		return 0, err
	}
	explained := map[string]bool{}
	for _, p := range pages {
		for _, s := range p.Spans {
			for _, word := range codeWord.FindAllString(s.Text, -1) {
				explained[word] = true
			}
		}
	}
	codes := l.facts.Codes
	if l.Explained != nil {
		codes = l.Explained(l.facts)
	}
	for _, c := range codes {
		if !explained[c.Name] {
			l.find(CodeRunbookCode, c.Path, c.Line, "no runbook explains `"+c.Name+"`", "name it in the section of its gate in "+l.Runbooks[0])
		}
	}
	for _, name := range l.Codes {
		if !explained[name] {
			l.find(CodeRunbookCode, l.Runbooks[0], 0, "no runbook explains `"+name+"`", "name it in the section of its gate in "+l.Runbooks[0])
		}
	}
	return len(codes) + len(l.Codes), nil
}

// reference is a section that something refers to.
type reference struct {
	path   string
	line   int
	target string
}

// ownReferences are the runbooks of gates and steps. For them the page itself is the place: a gate has none.
func (l *looker) ownReferences() []reference {
	list := []reference{{"gates/finish.go", 0, l.Runbooks[0] + "#source"}}
	for _, g := range l.all {
		list = append(list, reference{"gate " + g.ID, 0, g.Runbook})
		for _, s := range g.Steps {
			list = append(list, reference{"step " + s.ID + " of " + g.ID, 0, s.Runbook})
		}
	}
	return list
}

var referenceInText = regexp.MustCompile(`docs/[A-Za-z0-9_./-]+\.md#[a-z0-9_-]+`)

// heading finds the section that a target such as docs/runbooks.md#ci names. It returns the index of the heading.
func (l *looker) heading(target string) (*page.Page, int, error) {
	name, anchor, _ := strings.Cut(target, "#")
	p := l.page(name)
	if p == nil {
		return nil, 0, errors.New("there is no page " + name)
	}
	i := slices.IndexFunc(p.Headings, func(h page.Heading) bool { return h.Anchor == anchor })
	if i < 0 {
		return nil, 0, fmt.Errorf("%s has no section #%s", name, anchor)
	}
	return p, i, nil
}

// anchors holds that each section that the code or a workflow refers to is there.
func (l *looker) anchors() (int, error) {
	if len(l.Runbooks) == 0 {
		return 0, errNoOption
	}
	list := l.ownReferences()
	for _, a := range l.facts.Anchors {
		list = append(list, reference{a.Path, a.Line, a.Target})
	}
	for _, f := range l.files {
		for _, m := range referenceInText.FindAllStringIndex(f.text, -1) {
			list = append(list, reference{f.path, lineOf(f.text, m[0]), f.text[m[0]:m[1]]})
		}
	}
	seen := map[reference]bool{}
	for _, r := range list {
		_, _, err := l.heading(r.target)
		if err == nil || seen[r] {
			continue
		}
		seen[r] = true
		observed, at := err.Error(), r.path
		if r.line == 0 {
			observed, at = r.path+" refers to "+r.target+": "+observed, strings.SplitN(r.target, "#", 2)[0]
		}
		l.find(CodeAnchor, at, r.line, observed, "write the section, or correct the reference")
	}
	return len(list), nil
}

// parts are what a reader of a runbook needs.
var parts = []string{"**Symptom.**", "**Reproduce.**", "**Fix.**", "**Never do.**"}

// sections holds that the runbook of each gate and step has all parts.
func (l *looker) sections() (int, error) {
	if len(l.Runbooks) == 0 {
		return 0, errNoOption
	}
	seen := map[string]bool{}
	for _, r := range l.ownReferences() {
		p, i, err := l.heading(r.target)
		if err != nil || seen[r.target] {
			continue // the rule about anchors says so
		}
		seen[r.target] = true
		h, end := p.Headings[i], 0
		for _, next := range p.Headings[i+1:] {
			if next.Level <= h.Level {
				end = next.Line
				break
			}
		}
		lines := strings.Split(p.Text, "\n")
		if end == 0 {
			end = len(lines) + 1
		}
		body := strings.Join(lines[h.Line:end-1], "\n")
		for _, part := range parts {
			if !strings.Contains(body, part) {
				l.find(CodeSection, p.Path, h.Line, fmt.Sprintf("the section %q has no %s", h.Text, part), "write "+strings.Join(parts, ", "))
			}
		}
	}
	return len(seen), nil
}

// gates holds that each target is known as a gate or as a command, so that no gate escapes the rules about runbooks.
func (l *looker) gates() (int, error) {
	ids := map[string]bool{}
	for _, g := range l.all {
		ids[g.ID] = true
	}
	for _, name := range l.Commands {
		ids[name] = true
	}
	for _, t := range l.checker.Targets() {
		if !ids[t.Name] {
			l.find(CodeGate, l.Magefiles+"/"+strings.SplitN(t.Source, ":", 2)[0], 0, t.Name+" is neither a known gate nor a command without a record",
				"add its gate to allGates, or its name to the commands, in "+l.Magefiles+"/docs_contract.go")
		}
	}
	return len(l.checker.Targets()), nil
}

// guide holds that each page for developers links to the guide.
func (l *looker) guide() (int, error) {
	if l.Guide == "" {
		return 0, errNoOption
	}
	if l.page(l.Guide) == nil {
		l.find(CodeGuide, l.Guide, 0, "the guide is not there", "write it")
	}
	for _, name := range l.GuideReaders {
		p := l.page(name)
		if p == nil {
			l.find(CodeGuide, name, 0, "the page is not there", "write it, or take it off the list in "+l.Magefiles)
			continue
		}
		if !slices.ContainsFunc(p.Links, func(k page.Link) bool {
			to, _, _ := strings.Cut(k.To, "#")
			return path.Join(path.Dir(name), to) == l.Guide
		}) {
			l.find(CodeGuide, name, 0, "no link to "+l.Guide, "link to it where the page speaks of changes of workflows, targets or gates")
		}
	}
	return 1 + len(l.GuideReaders), nil
}

// tables holds that the generated parts are what the source gives.
func (l *looker) tables() (int, error) {
	r := generate.Compare(l.tree, l.pages, l.Tables)
	for _, p := range append(r.Problems, generate.Unsaid(l.pages, l.Held)...) {
		l.find(CodeTable, p.Page, p.Line, p.Why, p.Fix)
	}
	for _, p := range r.Drifted() {
		l.find(CodeTable, p.Page, p.Line, "generated: "+p.Mark+": "+p.Drift, generate.Command)
	}
	return len(r.Parts), nil
}

// template holds that the template of pull requests asks for what a change of CI/CD has to tell.
func (l *looker) template() (int, error) {
	if l.Template == "" || len(l.Fields) == 0 {
		return 0, errNoOption
	}
	p := l.page(l.Template)
	if p == nil {
		l.find(CodeTemplate, l.Template, 0, "the template is not there", "write it with the fields "+strings.Join(l.Fields, ", "))
		return len(l.Fields), nil
	}
	for _, field := range l.Fields {
		if !regexp.MustCompile(`(?m)^[-*] (?:\[ \] )?` + regexp.QuoteMeta(field) + `:`).MatchString(p.Text) {
			l.find(CodeTemplate, l.Template, 0, "no field "+field, "add the line - "+field+":")
		}
	}
	return len(l.Fields), nil
}
