// Package workflows holds the workflows of GitHub Actions to the rules that make them worth what they say: a step is a
// target that a laptop runs in the same way, permissions are the least, secrets stay where they belong, actions are
// pinned, evidence is kept, and what is documented is what is there.
//
// It parses every file with actionlint, and the magefiles as the guard of package target does, and looks at all of it
// in one pass. An [Inventory] says what a project means to have; it is the source of the tables in the documents, too.
// It asks no network: that a commit is the version beside it, and what is set up at GitHub itself (rules of the branch,
// environments, secrets) is not looked at.
package workflows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

// Area is the folder below the artifacts that the runs go to.
const Area = "workflows"

// Check and Current are the targets.
const (
	Check   = "workflows:check"
	Current = "workflows:current"
)

// Options say what the workflows are held against.
type Options struct {
	Inventory Inventory `json:"inventory"`
}

// Gate is the gate of the one step.
func Gate(o Options) gates.Gate {
	step := Step(o)
	return gates.Gate{ID: step.ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step}}
}

// Step holds the workflows of a source tree against the rules. Its check codes are those of [Rules], and
// workflows.folder when there is nothing to look at.
func Step(o Options) gates.Step {
	return gates.Step{
		ID: Check, Doc: "Every workflow calls targets and nothing else, with the least rights, and is what the inventory says.",
		Runbook: "docs/runbooks.md#workflows-check",
		Run: func(_ context.Context, p *gates.Pass) error {
			l, err := look(p.Root, os.DirFS(filepath.Join(p.Root, "magefiles")), o)
			if errors.Is(err, fs.ErrNotExist) {
				p.Check(evidence.CouldNotTell(codeFolder, dir, "a folder with workflows", "there is none", "run it in the root of the checkout; workflows belong into "+dir))
				return nil
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", dir, err)
			}
			if len(l.files) == 0 {
				p.Check(evidence.CouldNotTell(codeFolder, dir, "a folder with workflows", "no file there ends in .yml or .yaml", "workflows belong into "+dir))
				return nil
			}
			for _, check := range l.checks() {
				p.Check(check)
			}
			p.Fact("%d workflows, %d steps", len(l.files), l.steps)
			if n := len(l.findings); n > 0 {
				p.Fact("%d findings in %d workflows", n, len(l.files))
			}
			return nil
		},
	}
}
