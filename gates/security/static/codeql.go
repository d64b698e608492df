package static

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/sarif"
)

// codeql holds that CodeQL finds nothing, where it is installed: it is no Go
// program, so nobody can pin it in a module file.
func (o Options) codeql() gates.Step {
	return gates.Step{
		ID: stepCodeQL, Doc: "CodeQL finds nothing, where it is installed.", Runbook: runbook,
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{
				{Name: "codeql", Args: []string{"database", "create", "$SCRATCH/codeql", "--language=go", "--source-root=.", "--command=go build -tags=" + o.Tags + " ./...", "--quiet"}},
				{Name: "codeql", Args: []string{"database", "analyze", "$SCRATCH/codeql", "--format=sarif-latest", "--output=$SCRATCH/codeql.sarif", "--quiet", "codeql/go-queries:codeql-suites/go-security-and-quality.qls"}},
			}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			if _, err := exec.LookPath("codeql"); err != nil {
				p.Check(evidence.Skipped("security.static.codeql", "codeql", "no findings", "codeql is not installed; the workflow runs it, and gosec here looks for much of the same", "https://github.com/github/codeql-cli-binaries/releases"))
				p.Fact("codeql is not installed")
				return nil //nolint:nilerr // that it is not there is a check of its own, SKIP
			}
			for _, c := range p.Commands {
				if _, err := p.Exec(ctx, c, proc.Options{}); err != nil {
					return broken(ctx, "codeql", err)
				}
			}
			raw, err := folder.ReadIn(p.Scratch, "codeql.sarif", maxReport)
			if err != nil {
				return fmt.Errorf("codeql's report: %w", err)
			}
			findings, err := decodeCodeQL(raw)
			if err != nil {
				return err
			}
			found, allowed := report(p, o, sarif.Run{Tool: "codeql", URL: "https://codeql.github.com"}, findings)
			p.Fact("%d findings, %d of them allowed", found, allowed)
			return nil
		},
	}
}

// decodeCodeQL reads what is needed of CodeQL's SARIF.
func decodeCodeQL(raw []byte) ([]finding, error) {
	var doc struct {
		Version string
		Runs    []struct {
			Results []struct {
				RuleID  string
				Level   sarif.Level
				Message struct{ Text string }

				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("codeql's report: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("codeql's report goes on behind its end")
	}
	if doc.Version != "2.1.0" || len(doc.Runs) == 0 {
		return nil, fmt.Errorf("codeql's report: version %q with %d runs", doc.Version, len(doc.Runs))
	}
	var findings []finding
	for _, run := range doc.Runs {
		for _, r := range run.Results {
			f := finding{tool: "codeql", rule: r.RuleID, message: strings.Join(strings.Fields(r.Message.Text), " "), level: r.Level}
			if f.level == "" || f.level == "none" {
				f.level = sarif.Warning // what SARIF says it is when it is left out
			}
			if len(r.Locations) > 0 {
				at := r.Locations[0].PhysicalLocation
				f.path, f.line = at.ArtifactLocation.URI, at.Region.StartLine
			}
			if f.rule == "" || f.message == "" || f.path == "" || f.code() == "" {
				return nil, fmt.Errorf("codeql's report: a result of %q at %q", r.RuleID, f.path)
			}
			findings = append(findings, f)
		}
	}
	return findings, nil
}
