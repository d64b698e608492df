package static

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/sarif"
)

// directive is the rule that a comment which silences a rule has to give a reason.
const directive = "directive"

// staticcheck holds that the rules about correctness find nothing.
func (o Options) staticcheck() gates.Step {
	return gates.Step{
		ID: stepStaticcheck, Doc: "staticcheck finds nothing that is wrong.", Runbook: runbook, Tools: pinned("staticcheck"),
		Commands: func(root string) ([]proc.Command, error) {
			code, _, err := codeModules(root)
			if err != nil {
				return nil, err
			}
			var commands []proc.Command
			for _, dir := range code {
				commands = append(commands, proc.Command{
					Name: "staticcheck", Dir: dir, Args: []string{"-f=json", "-checks=SA*", "-tags=" + o.Tags, "./..."}, Env: []string{"GOWORK=off"},
				})
			}
			return commands, nil
		},
		Run: o.runStaticcheck,
	}
}

func (o Options) runStaticcheck(ctx context.Context, p *gates.Pass) error {
	if len(p.Commands) == 0 {
		return fmt.Errorf("%w: there is no Go module with code", gates.ErrNothingRan)
	}
	var findings []finding
	for i, c := range p.Commands {
		p.Progress(i, len(p.Commands), c.Dir)
		result, err := p.Exec(ctx, c, proc.Options{Capture: maxReport})
		code, exited := proc.ExitCode(err)
		if err != nil && (!exited || code != 1) {
			return broken(ctx, "staticcheck", err)
		}
		if strings.Contains(result.Tail, "matched no packages") {
			return fmt.Errorf("%w: no packages in %s", gates.ErrNothingRan, c.Dir)
		}
		found, err := decodeStaticcheck(result.Stdout, p.Root, c.Dir)
		if err != nil {
			return err
		}
		if (len(found) > 0) != (code == 1) {
			return fmt.Errorf("staticcheck contradicts itself: exit code %d with %d findings", code, len(found))
		}
		findings = append(findings, found...)
	}
	found, allowed := report(p, o, sarif.Run{Tool: "staticcheck", Version: p.Version("staticcheck"), URL: "https://staticcheck.dev"}, findings)
	p.Fact("%d findings, %d of them allowed; %d modules", found, allowed, len(p.Commands))
	return nil
}

// decodeStaticcheck reads "staticcheck -f json": an object for each problem.
func decodeStaticcheck(raw []byte, root, dir string) ([]finding, error) {
	var findings []finding
	dec := json.NewDecoder(bytes.NewReader(raw))
	for {
		var problem struct {
			Code, Severity, Message string
			Location                struct {
				File string
				Line int
			}
		}
		err := dec.Decode(&problem)
		switch {
		case errors.Is(err, io.EOF):
			return findings, nil
		case err != nil:
			return nil, fmt.Errorf("staticcheck's report: %w", err)
		case problem.Code == "compile" && strings.HasPrefix(problem.Message, "malformed linter directive"):
			// Our own mistake, and not of the compiler: the comment has no reason.
			problem.Code, problem.Severity = directive, "error"
		case problem.Code == "compile" || problem.Code == "config":
			return nil, fmt.Errorf("staticcheck could not read the code: %s", strings.Join(strings.Fields(problem.Message), " "))
		case problem.Severity == "ignored":
			continue
		}
		level, ok := map[string]sarif.Level{"error": sarif.Error, "warning": sarif.Warning}[problem.Severity]
		if !ok || problem.Code == "" || problem.Message == "" || problem.Location.File == "" || problem.Location.Line < 1 {
			return nil, fmt.Errorf("staticcheck's report: a problem %q with the severity %q at %q, line %d", problem.Code, problem.Severity, problem.Location.File, problem.Location.Line)
		}
		message, _, _ := strings.Cut(problem.Message, "\n")
		findings = append(findings, finding{
			tool: "staticcheck", rule: problem.Code, message: message, level: level,
			path: relative(root, dir, problem.Location.File), line: problem.Location.Line,
		})
	}
}
