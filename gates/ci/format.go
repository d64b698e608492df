package ci

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// format holds that gofumpt would change nothing. Its -l exits with 0 even
// when it lists files: what it prints decides, not the exit code.
func (o Options) format() gates.Step {
	return gates.Step{
		ID: Format, Doc: "Every Go file is formatted by the rules of gofumpt.", Runbook: o.anchor(Format), Reproduce: o.reproduce(Format),
		Tools: pinned("gofumpt"),
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{{Name: "gofumpt", Args: []string{"-l", "."}}}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			files := 0
			if err := walkSource(p.Root, func(path string) {
				if filepath.Ext(path) == ".go" {
					files++
				}
			}); err != nil {
				return err
			}
			if files == 0 {
				return fmt.Errorf("%w: there is no Go file", gates.ErrNothingRan)
			}
			const code = "ci.format"
			both := &proc.Buffer{Max: maxOutput}
			result, err := p.Exec(ctx, p.Commands[0], proc.Options{Output: both, Capture: maxOutput})
			if _, exited := proc.ExitCode(err); err != nil && !exited {
				return err
			}
			findings := 0
			for path := range strings.Lines(string(result.Stdout)) {
				path = filepath.ToSlash(strings.TrimSpace(path))
				if path == "" {
					continue
				}
				findings++
				p.Check(evidence.Finding(code, path, 0, "not formatted", "go run mvdan.cc/gofumpt@"+p.Version("gofumpt")+" -w "+path))
			}
			for _, at := range positions(p.Root, both.String()) {
				findings++
				p.Check(evidence.Finding("ci.format.syntax", at.path, at.line, at.message, "mend the syntax"))
			}
			if err != nil && findings == 0 {
				return fmt.Errorf("gofumpt broke: %w", err)
			}
			if findings == 0 {
				p.Check(evidence.Expect(code, "./...", true, "all formatted", "all formatted", ""))
			}
			p.Fact("%s", count(files, "file"))
			if findings > 0 {
				p.Fact("%d of %s", findings, count(files, "file"))
			}
			return nil
		},
	}
}
