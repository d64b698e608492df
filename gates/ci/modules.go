package ci

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// maxOutput bounds what a step reads of a program's output, in bytes.
const maxOutput = 8 << 20

// modules holds that every module file is tidy and every downloaded module is
// what its checksum says.
func (o Options) modules() gates.Step {
	return gates.Step{
		ID: Modules, Doc: "Every module file is tidy and every module has its checksum.", Runbook: o.anchor(Modules), Reproduce: o.reproduce(Modules),
		Commands: func(root string) ([]proc.Command, error) {
			dirs, err := moduleDirs(root)
			if err != nil {
				return nil, err
			}
			for _, name := range o.OtherTools {
				if !slices.Contains(dirs, toolDir(name)) {
					return nil, &gates.UsageError{Problem: fmt.Sprintf("%s: there is no %s/go.mod, which is left out", Modules, filepath.ToSlash(toolDir(name)))}
				}
			}
			var commands []proc.Command
			for _, dir := range dirs {
				if filepath.Dir(dir) == toolsDir && slices.Contains(o.OtherTools, filepath.Base(dir)) {
					continue
				}
				// Alone: a go.work would hide what one module lacks behind another.
				env := []string{"GOWORK=off"}
				commands = append(commands,
					proc.Command{Name: "go", Args: []string{"mod", "tidy", "-diff"}, Dir: dir, Env: env},
					proc.Command{Name: "go", Args: []string{"mod", "verify"}, Dir: dir, Env: env})
			}
			return commands, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			if len(p.Commands) == 0 {
				return fmt.Errorf("%w: there is no go.mod", gates.ErrNothingRan)
			}
			for i, c := range p.Commands {
				file := filepath.ToSlash(filepath.Join(c.Dir, "go.mod"))
				p.Progress(i, len(p.Commands), file)
				both := &proc.Buffer{Max: maxOutput}
				result, err := p.Exec(ctx, c, proc.Options{Output: both, Capture: maxOutput})
				if _, exited := proc.ExitCode(err); err != nil && !exited {
					return err
				}
				if c.Args[1] == "tidy" {
					checkTidy(p, c, file, string(result.Stdout), both.String(), err)
				} else {
					checkVerified(p, c, file, string(result.Stdout), both.String(), err)
				}
			}
			for _, name := range o.OtherTools {
				p.Skip(filepath.ToSlash(toolDir(name))+"/go.mod", "no step of this gate starts the tool; the gate that does builds it from this file and its checksums")
			}
			p.Fact("%s", count(len(p.Commands)/2, "module file"))
			return nil
		},
	}
}

// toolsDir has a folder with the module file of each developer tool.
var toolsDir = filepath.Join("magefiles", "tools")

func toolDir(name string) string { return filepath.Join(toolsDir, name) }

func checkTidy(p *gates.Pass, c proc.Command, file, diff, output string, err error) {
	const code = "ci.modules.tidy"
	fix := "go -C " + filepath.ToSlash(orDot(c.Dir)) + " mod tidy"
	switch {
	case err == nil:
		p.Check(evidence.Expect(code, file, true, "tidy", "tidy", ""))
	case strings.HasPrefix(diff, "diff "):
		added, removed := 0, 0
		for line := range strings.SplitSeq(diff, "\n") {
			switch {
			case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			case strings.HasPrefix(line, "+"):
				added++
			case strings.HasPrefix(line, "-"):
				removed++
			}
		}
		check := evidence.Finding(code, file, 0, fmt.Sprintf("not tidy: %d lines to add, %d to remove", added, removed), fix)
		p.Check(check)
	default:
		checkModuleFile(p, c, code, file, output, err)
	}
}

func checkVerified(p *gates.Pass, c proc.Command, file, stdout, output string, err error) {
	const code = "ci.modules.verify"
	if err == nil && strings.Contains(stdout, "all modules verified") {
		p.Check(evidence.Expect(code, file, true, "all modules verified", "all modules verified", ""))
		return
	}
	changed := 0
	for line := range strings.SplitSeq(output, "\n") {
		// "golang.org/x/mod v0.1.0: dir has been modified (/...)"
		if module, problem, ok := strings.Cut(line, ": "); ok && strings.Contains(problem, "has been modified") {
			changed++
			problem, _, _ = strings.Cut(problem, " (")
			p.Check(evidence.Finding(code, file, 0, module+": "+problem, "go clean -modcache"))
		}
	}
	if changed == 0 {
		if err == nil {
			err = fmt.Errorf("go mod verify did not say that all modules are verified")
		}
		checkModuleFile(p, c, code, file, output, err)
	}
}

// checkModuleFile tells a module file that Go cannot read, which is a finding,
// from a proxy that cannot be reached, which is not.
func checkModuleFile(p *gates.Pass, c proc.Command, code, file, output string, err error) {
	found := false
	for _, at := range positions(p.Root, output) {
		if filepath.Base(at.path) == "go.mod" {
			found = true
			p.Check(evidence.Finding(code, file, at.line, at.message, "mend the line; go mod edit -json shows whether it can be read"))
		}
	}
	if !found {
		p.Check(evidence.CouldNotTell(code, file, "an answer of "+c.String(), err.Error(), "see the step's log; is the module proxy reachable?"))
	}
}

func orDot(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}
