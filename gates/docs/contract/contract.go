// Package contract holds the documents to what the project is: each workflow,
// check code and runbook section is explained, each command that is shown
// exists, each generated table is in step, and each block of code is run or
// says why it is not.
//
// What the pages say in prose it does not understand: it looks at names,
// links, commands and code.
package contract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/facts"
	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/docs/page"
	"github.com/dpone/dpone/gates/target"
)

const (
	// ID is that of the gate and of its step.
	ID = "docs:contract"
	// Area is the folder below the artifacts that the runs go to.
	Area = "docs"
)

// The check codes.
const (
	CodeWorkflow        = "docs.contract.workflow"
	CodeBranch          = "docs.contract.branch"
	CodeRunbookWorkflow = "docs.contract.runbook_workflow"
	CodeRunbookCode     = "docs.contract.runbook_code"
	CodeAnchor          = "docs.contract.anchor"
	CodeSection         = "docs.contract.section"
	CodeGate            = "docs.contract.gate"
	CodeGuide           = "docs.contract.guide"
	CodeCommand         = "docs.contract.command"
	CodeTable           = "docs.contract.table"
	CodeTemplate        = "docs.contract.template"
	CodeBlock           = "docs.contract.block"
)

// Options say where things are and what is asked of them. Paths are relative to
// the root, with forward slashes.
type Options struct {
	// Pages are the patterns of the pages, as [page.Read] takes them.
	Pages []string `json:"pages"`
	// Magefiles is the folder of the targets.
	Magefiles string `json:"magefiles"`
	// Workflows is the folder of the workflows, Planned are files that pages may name although they are not there yet.
	Workflows string   `json:"workflows"`
	Planned   []string `json:"planned,omitempty"`
	// Branch is the default branch; Repository is the one at GitHub, as owner/name.
	Branch     string `json:"branch"`
	Repository string `json:"repository"`
	// Runbooks are the pages that tell what to do when something is red.
	Runbooks []string `json:"runbooks"`
	// Guide is the page about changes of CI/CD; each of GuideReaders must link to it.
	Guide        string   `json:"guide"`
	GuideReaders []string `json:"guide_readers"`
	// Template is that of pull requests; Fields are those it must have.
	Template string   `json:"template"`
	Fields   []string `json:"fields"`
	// Commands are the targets that are no gates, because they leave no record.
	Commands []string `json:"commands"`
	// Codes are check codes beside those that stand in the source as literals.
	Codes []string `json:"codes,omitempty"`

	// Gates are all gates of the project; a function, for this gate is one of them.
	Gates func() []gates.Gate `json:"-"`
	// Values are the words that flags take; nil for none.
	Values func() []Value `json:"-"`
	// Tables are the generated parts of the pages.
	Tables []generate.Table `json:"-"`
	// Held are the pages that tests make.
	Held []generate.Held `json:"held,omitempty"`
	// Source reads the code; every code but those below engine/ must be in a runbook.
	Source func(tree fs.FS) (facts.Facts, error) `json:"-"`
	// Explained says which codes of the source a runbook has to explain; all if nil.
	Explained func(f facts.Facts) []facts.Named `json:"-"`
}

// Value says which words a flag takes, alone or in a list with commas.
type Value struct {
	// Target is a pattern of [path.Match] for the names of targets.
	Target string
	Flag   string
	Words  []string
}

// Gate is the gate of the one step.
func Gate(o Options) gates.Gate {
	step := Step(o)
	return gates.Gate{ID: ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step}}
}

// Step holds the documents of the tree.
func Step(o Options) gates.Step {
	return gates.Step{
		ID: ID, Doc: "The documents name what there is, and every command, table and block of code in them holds.",
		Runbook: "docs/runbooks.md#docs-contract",
		Run: func(ctx context.Context, p *gates.Pass) error {
			report, err := Examine(ctx, os.DirFS(p.Root), o)
			if err != nil {
				return err
			}
			for _, check := range report.Checks {
				p.Check(check)
			}
			p.Fact("%d pages, %d commands, %d tables, %d blocks of code", report.Pages, report.Looked[CodeCommand], report.Looked[CodeTable], report.Looked[CodeBlock])
			return nil
		},
	}
}

// Report is what an examination found.
type Report struct {
	Checks []evidence.Check
	Pages  int
	// Looked is how many things each rule looked at, by its code.
	Looked map[string]int
}

// rule looks at one thing; the number says at how many it looked.
type rule struct {
	code string
	// good is what is so when nothing was found, with the number for %d.
	good string
	look func(*looker) (int, error)
}

func rules() []rule {
	return []rule{
		{CodeWorkflow, "%d workflows and mentions of one agree", (*looker).workflows},
		{CodeBranch, "%d pages and workflows name no other default branch", (*looker).branch},
		{CodeRunbookWorkflow, "%d workflows are in the runbooks", (*looker).runbookWorkflows},
		{CodeRunbookCode, "%d codes are in the runbooks", (*looker).runbookCodes},
		{CodeAnchor, "%d references lead to a section", (*looker).anchors},
		{CodeSection, "%d sections have all parts", (*looker).sections},
		{CodeGate, "%d targets are gates or commands", (*looker).gates},
		{CodeGuide, "%d pages link to the guide", (*looker).guide},
		{CodeCommand, "%d commands exist", (*looker).commands},
		{CodeTable, "%d generated tables are in step", (*looker).tables},
		{CodeTemplate, "%d fields are there", (*looker).template},
		{CodeBlock, "%d blocks of code are run or say why not", (*looker).blocks},
	}
}

// looker is one examination.
type looker struct {
	Options
	tree     fs.FS
	pages    []*page.Page
	files    []workflowFile
	checker  *target.Checker
	facts    facts.Facts
	all      []gates.Gate
	values   []Value
	findings []evidence.Check
}

func (l *looker) find(code, path string, line int, observed, fix string) {
	l.findings = append(l.findings, evidence.Finding(code, path, line, observed, fix))
}

// page is the page of a path, or nil.
func (l *looker) page(path string) *page.Page {
	for _, p := range l.pages {
		if p.Path == path {
			return p
		}
	}
	return nil
}

// Examine holds the documents of a tree. The error says that it cannot be told:
// there are no pages, or the source cannot be read.
func Examine(ctx context.Context, tree fs.FS, o Options) (Report, error) {
	report := Report{Looked: map[string]int{}}
	l := &looker{Options: o, tree: tree}
	var err error
	if l.pages, err = page.Read(tree, append(slices.Clone(o.Pages), o.Template)...); err != nil {
		return report, err
	}
	if len(l.pages) == 0 {
		return report, fmt.Errorf("%w: there is no page", gates.ErrNothingRan)
	}
	report.Pages = len(l.pages)
	if l.files, err = readWorkflows(tree, o.Workflows); err != nil {
		return report, err
	}
	magefiles, err := fs.Sub(tree, o.Magefiles)
	if err != nil {
		return report, err
	}
	if l.checker, err = target.NewChecker(magefiles); err != nil {
		return report, err
	}
	if l.facts, err = o.Source(tree); err != nil {
		return report, err
	}
	if o.Gates != nil {
		l.all = o.Gates()
	}
	if o.Values != nil {
		l.values = o.Values()
	}
	for _, r := range rules() {
		if ctx.Err() != nil {
			return report, context.Cause(ctx)
		}
		l.findings = nil
		looked, err := r.look(l)
		if err != nil {
			report.Checks = append(report.Checks, evidence.CouldNotTell(r.code, "documents", "an answer", err.Error(), "mend what cannot be read"))
			continue
		}
		report.Looked[r.code] = looked
		switch {
		case len(l.findings) > 0:
			report.Checks = append(report.Checks, l.findings...)
		case looked == 0:
			// To have looked at nothing is no success.
			report.Checks = append(report.Checks, evidence.CouldNotTell(r.code, "documents", "something to look at", "there is nothing to look at", "see the options in "+o.Magefiles))
		default:
			good := fmt.Sprintf(r.good, looked)
			report.Checks = append(report.Checks, evidence.Expect(r.code, "documents", true, good, good, ""))
		}
	}
	return report, nil
}

// errNoOption says that a rule was given nothing to hold.
var errNoOption = errors.New("the options name nothing for this rule")
