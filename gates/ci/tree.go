package ci

import (
	"context"
	"fmt"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/source"
)

// baseline is what the working tree is compared with.
type baseline uint8

const (
	sinceStart  baseline = iota // its state when the run began
	sinceCommit                 // HEAD
)

// tree holds that the working tree is as it was: a gate looks, it does not
// touch, and neither may the tests it runs.
func (o Options) tree(base baseline) gates.Step {
	step := gates.Step{
		ID: Tree, Doc: "The working tree is as it was when the run began.", Runbook: o.anchor(Tree), Reproduce: "mage ci",
	}
	expected := "as it was when the run began"
	if base == sinceCommit {
		step.Doc, step.Reproduce, expected = "The working tree is as committed.", "mage "+Tree, "as committed"
	}
	step.Run = func(ctx context.Context, p *gates.Pass) error {
		before := p.Before
		if base == sinceCommit {
			before = nil
		} else if p.BeforeErr != nil {
			return fmt.Errorf("the state before the run is not known: %w", p.BeforeErr)
		}
		after, err := p.Tree.Changes(ctx)
		if err != nil {
			return fmt.Errorf("the state of the working tree: %w", err)
		}
		changed := source.Differences(before, after)
		for _, path := range changed {
			p.Check(evidence.Expect("ci.tree", path, false, "changed", expected, "git diff -- "+path+"; let no test or tool write into the source tree"))
		}
		if len(changed) == 0 {
			p.Check(evidence.Expect("ci.tree", "working tree", true, expected, expected, ""))
		}
		p.Fact("%s changed", count(len(changed), "path"))
		return nil
	}
	return step
}
