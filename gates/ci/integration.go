package ci

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gotest"
	"github.com/dpone/dpone/gates/proc"
)

// Integration is a step for the tests that need a service, such as a database.
// They are part of ci:test as well, where one that cannot run is skipped. Here it
// is not: what was not executed was not shown to work.
type Integration struct {
	// ID is the step's, and the target that runs it alone; ci:postgresXmin for example.
	ID string `json:"id"`
	// Doc says what the tests hold, in one sentence.
	Doc string `json:"doc"`
	// Packages and Run choose the tests, as for go test.
	Packages string `json:"packages"`
	Run      string `json:"run"`
	// Fix says what to do when the service is missing.
	Fix string `json:"fix"`
}

// IntegrationGate holds one step of Options.Integration; the gate has no step when there is none of this ID.
func IntegrationGate(o Options, id string) gates.Gate {
	o = o.withDefaults()
	for _, i := range o.Integration {
		if i.ID == id {
			return o.single(func(o Options) gates.Step { return o.integration(i) })
		}
	}
	return o.gate(id, "There is no such step.")
}

func (o Options) integration(i Integration) gates.Step {
	return gates.Step{
		ID: i.ID, Doc: i.Doc, Runbook: o.anchor(i.ID), Reproduce: o.reproduce(i.ID),
		Commands: func(string) ([]proc.Command, error) {
			list := o
			list.Packages = i.Packages
			return []proc.Command{list.listCommand(), {
				// -count=1: the tests depend on a service, which the cache of results does not know.
				Name: "go", Args: []string{"test", "-tags=" + o.Tags, "-json", "-vet=off", "-count=1", "-timeout=" + o.TestTimeout.String(), "-run=" + i.Run, i.Packages},
			}}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error { return o.runIntegration(ctx, p, i) },
	}
}

func (o Options) runIntegration(ctx context.Context, p *gates.Pass, i Integration) error {
	listed, err := listPackages(ctx, p, p.Commands[0])
	if err != nil {
		return err
	}
	tests := 0
	collector := gotest.NewCollector(gotest.Limits{}, func(e gotest.Event) {
		switch {
		case e.Action == "output" || e.Action == "build-output":
			p.Logf("%s", strings.TrimSuffix(e.Output, "\n"))
		case e.Test != "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			tests++
			p.Progress(tests, 0, count(tests, "test"))
		}
	})
	stderr := &proc.Buffer{Max: maxOutput}
	_, runErr := p.Exec(ctx, p.Commands[1], proc.Options{Stdout: collector, Output: stderr})
	result := collector.Result()
	addSuites(p, result, listed.dirs)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, exited := proc.ExitCode(runErr); runErr != nil && !exited {
		return runErr
	}
	skipped := 0
	for at := range result.Packages {
		pkg := &result.Packages[at]
		kept := pkg.Tests[:0:0]
		for _, test := range pkg.Tests {
			if test.Outcome != gotest.Skip {
				kept = append(kept, test)
				continue
			}
			skipped++
			p.Check(evidence.CouldNotTell("ci.integration.skipped", pkg.ImportPath+"."+test.Name, "the test runs",
				cmp.Or(test.SkipReason, "the test gives no reason"), i.Fix))
		}
		pkg.Tests = kept
	}
	failures := o.checkTests(p, result, listed.dirs)
	counts := result.Counts()
	if runErr != nil && failures == 0 {
		return fmt.Errorf("the tests ended badly and no test says why: %w", runErr)
	}
	if counts.Total == 0 && failures == 0 && skipped == 0 {
		return fmt.Errorf("%w: no test matched -run=%s in %s", gates.ErrNothingRan, i.Run, i.Packages)
	}
	if failures == 0 && counts.Passed > 0 {
		p.Check(evidence.Expect("ci.integration", i.Packages, true, fmt.Sprintf("%d passed", counts.Passed), "all pass", ""))
	}
	fact := count(counts.Passed+counts.Failed+counts.Unfinished, "test")
	if failures > 0 {
		fact += fmt.Sprintf(", %d failed", failures)
	}
	if skipped > 0 {
		fact += fmt.Sprintf(", %d could not run", skipped)
	}
	p.Fact("%s", fact)
	return nil
}
