// Package static holds that static analysis finds no security defect: gosec,
// staticcheck's rules of correctness, and CodeQL where it is installed.
//
// gosec is the local counterpart of CodeQL: both follow input to where it does
// harm. The linters of ci:lint are not run again; of staticcheck, which is one of
// them, only the SA rules are, so that a code host gets them as SARIF.
package static

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/security/modules"
	"github.com/dpone/dpone/gates/security/sarif"
	"github.com/dpone/dpone/gates/tool"
)

const (
	// ID is the name of the gate and of the mage target.
	ID = "security:static"
	// Area is the folder below the artifacts that the runs go to.
	Area = "security"
	// AllowFile is where a project names findings that it lives with.
	AllowFile = ".ci/static-allow.yaml"

	runbook = "docs/runbooks.md#security-static"
)

// The steps.
const (
	stepGosec       = ID + ":gosec"
	stepStaticcheck = ID + ":staticcheck"
	stepCodeQL      = ID + ":codeql"
)

// StepIDs are the names of the steps, for -only and -skip.
func StepIDs() []string { return []string{stepGosec, stepStaticcheck, stepCodeQL} }

// Options are what can be chosen; the zero value suits a module with magefiles.
type Options struct {
	// Tags are build tags; "mage" if empty, so that magefiles are looked at, too.
	Tags string `json:"tags"`
	// Today decides which exceptions have expired; now if zero.
	Today time.Time `json:"-"`
}

func (o Options) withDefaults() Options {
	if o.Tags == "" {
		o.Tags = "mage"
	}
	if o.Today.IsZero() {
		o.Today = time.Now()
	}
	return o
}

// Gate is the gate security:static, with a step for each tool.
func Gate(o Options) gates.Gate {
	o = o.withDefaults()
	g := gates.Gate{
		ID: ID, Doc: "Static analysis finds no security defect.", Runbook: runbook, Area: Area, Options: o,
		Steps:  []gates.Step{o.gosec(), o.staticcheck(), o.codeql()},
		Inputs: []string{AllowFile},
	}
	for _, name := range []string{"gosec", "staticcheck"} {
		g.Inputs = append(g.Inputs, "magefiles/tools/"+name+"/go.mod", "magefiles/tools/"+name+"/go.sum")
	}
	for i := range g.Steps {
		g.Steps[i].Reproduce = "mage " + ID + " -only=" + g.Steps[i].ID
	}
	return g
}

func pinned(name string) func(root string) []tool.Tool {
	return func(root string) []tool.Tool { return []tool.Tool{pins.Find(root, name)} }
}

// finding is what a tool says, in the words that all of them share.
type finding struct {
	tool, rule, message string
	level               sarif.Level
	path                string
	line                int
}

// code is the check's code, by how grave the tool finds it; "" for a level that is none.
func (f finding) code() string {
	switch f.level {
	case sarif.Error:
		return "security.static.high"
	case sarif.Warning:
		return "security.static.medium"
	case sarif.Note:
		return "security.static.low"
	}
	return ""
}

// report turns findings into checks and into a SARIF file of the tool. It
// returns how many different ones there are, and how many of them are allowed.
func report(p *gates.Pass, o Options, run sarif.Run, findings []finding) (found, allowed int) {
	list, err := readAllowList(p.Root, run.Tool)
	if err != nil {
		p.Check(evidence.Finding("security.static.allow", AllowFile, 0, err.Error(), "mend the file; docs/security.md says what it holds"))
	}
	slices.SortFunc(findings, compare)
	findings = slices.Compact(findings)
	seen := map[string]bool{}
	for _, f := range findings {
		if list.take(f, o.Today) {
			allowed++
			continue
		}
		p.Check(evidence.Finding(f.code(), f.path, f.line, f.tool+" "+f.rule+": "+f.message, f.fix()))
		if !seen[f.rule] {
			seen[f.rule] = true
			run.Rules = append(run.Rules, sarif.Rule{ID: f.rule, Doc: f.message})
		}
		run.Findings = append(run.Findings, sarif.Finding{Rule: f.rule, Level: f.level, Message: f.message, Path: f.path, Line: f.line})
	}
	if len(findings) == allowed {
		p.Check(evidence.Expect("security.static.none", run.Tool, true, "no findings", "no findings", ""))
	}
	list.check(p, o.Today)
	run.Category = ID + "/" + run.Tool
	raw, err := sarif.Marshal(run)
	if err == nil {
		err = p.Folder().WriteFile(run.Tool+".sarif", raw)
	}
	if err != nil {
		p.Check(evidence.CouldNotTell("security.static.report", run.Tool+".sarif", "written", err.Error(), "see the step's log"))
	}
	return len(findings), allowed
}

func (f finding) fix() string {
	switch f.tool {
	case "gosec":
		return "mend it, or say why not: // #nosec " + f.rule + " -- reason"
	case "staticcheck":
		return "mend it, or say why not: //lint:ignore " + f.rule + " reason"
	}
	return "mend it"
}

func compare(a, b finding) int {
	if c := strings.Compare(a.path, b.path); c != 0 {
		return c
	}
	if a.line != b.line {
		return a.line - b.line
	}
	return strings.Compare(a.rule+a.message, b.rule+b.message)
}

// relative is a path that a tool printed, relative to the root where it is below it.
func relative(root, dir, name string) string {
	if !filepath.IsAbs(name) {
		name = filepath.Join(root, filepath.FromSlash(dir), name)
	}
	rel, err := filepath.Rel(root, name)
	if err != nil || !filepath.IsLocal(rel) {
		return path.Base(filepath.ToSlash(name)) // in a build's own directory
	}
	return filepath.ToSlash(rel)
}

// codeModules are the directories of modules that have Go files.
func codeModules(root string) ([]string, []string, error) {
	all, err := modules.Find(root)
	if err != nil {
		return nil, nil, err
	}
	var code, every []string
	for _, m := range all {
		if m.Code {
			code = append(code, m.Dir)
		}
		every = append(every, m.Dir)
	}
	return code, every, nil
}

func broken(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%s broke: %w", name, err)
}
