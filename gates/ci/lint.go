package ci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

const lintReport = "golangci-lint.json"

// maxReport bounds the report that is read, in bytes: some 200,000 findings.
const maxReport = 64 << 20

// lintConfigs are the names that golangci-lint knows, in its order.
var lintConfigs = []string{".golangci.yml", ".golangci.yaml", ".golangci.toml", ".golangci.json"}

// lintConfig names the configuration of the source. Left to itself the linter
// would also take one from above the root, which no record speaks of.
func lintConfig(root string) string {
	for _, name := range lintConfigs {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			return "--config=" + name
		}
	}
	return "--no-config"
}

// lintIssues is what the step reads of golangci-lint's JSON report (version 2).
type lintIssues struct {
	Issues []struct {
		FromLinter string
		Text       string
		Pos        struct {
			Filename string
			Line     int
		}
	}
	Report struct {
		Error   string
		Linters []struct{ Enabled bool }
	}
}

// lint holds that golangci-lint finds nothing. Its exit code alone does not
// tell findings from a crash, so the report has to agree with it.
func (o Options) lint() gates.Step {
	return gates.Step{
		ID: Lint, Doc: "The linters of .golangci.yml find nothing.", Runbook: o.anchor(Lint), Reproduce: o.reproduce(Lint),
		Tools: pinned("golangci-lint"),
		Commands: func(root string) ([]proc.Command, error) {
			return []proc.Command{{Name: "golangci-lint", Args: []string{
				"run", lintConfig(root), "--build-tags=" + o.Tags, "--allow-parallel-runners",
				"--issues-exit-code=1", "--max-issues-per-linter=0", "--max-same-issues=0", "--show-stats=false",
				"--output.text.path=stdout", "--output.text.colors=false", "--output.json.path=$RUN/" + lintReport, o.Packages,
			}}}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			_, err := p.Exec(ctx, p.Commands[0], proc.Options{})
			code, exited := proc.ExitCode(err)
			if err != nil && !exited {
				return err
			}
			// 5 is golangci-lint's code for "no go files to analyze".
			if code == 5 {
				return fmt.Errorf("%w: golangci-lint found no Go files", gates.ErrNothingRan)
			}
			if code > 1 {
				return fmt.Errorf("golangci-lint broke: %w", err)
			}
			raw, err := p.Folder().ReadFile(lintReport, maxReport)
			if code == 1 && errors.Is(err, folder.ErrTooLarge) {
				p.Check(evidence.Expect("ci.lint", o.Packages, false, "more findings than can be read", "0 findings", "see the step's log"))
				return nil
			}
			if err != nil {
				return fmt.Errorf("golangci-lint's report: %w", err)
			}
			var report lintIssues
			if err := json.Unmarshal(raw, &report); err != nil {
				return fmt.Errorf("golangci-lint's report: %w", err)
			}
			linters := 0
			for _, l := range report.Report.Linters {
				if l.Enabled {
					linters++
				}
			}
			switch {
			case report.Report.Error != "":
				return fmt.Errorf("golangci-lint broke: %s", report.Report.Error)
			case linters == 0:
				return fmt.Errorf("%w: no linter is enabled in .golangci.yml", gates.ErrNothingRan)
			case (len(report.Issues) > 0) != (code == 1):
				return fmt.Errorf("golangci-lint contradicts itself: exit code %d with %d findings", code, len(report.Issues))
			}
			for _, issue := range report.Issues {
				check := evidence.Finding("ci.lint."+issue.FromLinter, relative(p.Root, issue.Pos.Filename), issue.Pos.Line, issue.Text, "mend it, or say why not: //nolint:"+issue.FromLinter+" // reason")
				p.Check(check)
			}
			if len(report.Issues) == 0 {
				p.Check(evidence.Expect("ci.lint", o.Packages, true, "0 findings", "0 findings", ""))
			}
			p.Fact("%s by %s", count(len(report.Issues), "finding"), count(linters, "linter"))
			return nil
		},
	}
}
