package ci

import (
	"context"
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// listCommand lists the packages that a step is about, with their directories.
func (o Options) listCommand() proc.Command {
	const format = "{{.ImportPath}} {{len .TestGoFiles}}+{{len .XTestGoFiles}} {{.Dir}}"
	return proc.Command{Name: "go", Args: []string{"list", "-tags=" + o.Tags, "-f", format, o.Packages}}
}

// packages are those that a step is about.
type packages struct {
	dirs   map[string]string // by import path, relative to the root
	tested map[string]bool   // has test files
}

// listPackages runs listCommand. No package at all is [gates.ErrNothingRan].
func listPackages(ctx context.Context, p *gates.Pass, c proc.Command) (packages, error) {
	// Not shown when the step fails: the list is no part of what went wrong.
	list := &proc.Buffer{Max: maxOutput}
	if _, err := p.Exec(ctx, c, proc.Options{Stdout: list}); err != nil {
		return packages{}, fmt.Errorf("list the packages: %w", err)
	}
	if list.Over {
		return packages{}, fmt.Errorf("list the packages: more than %d bytes: %w", maxOutput, proc.ErrOutput)
	}
	found := packages{dirs: map[string]string{}, tested: map[string]bool{}}
	for line := range strings.Lines(list.String()) {
		if fields := strings.SplitN(strings.TrimSpace(line), " ", 3); len(fields) == 3 {
			found.dirs[fields[0]] = relative(p.Root, fields[2])
			found.tested[fields[0]] = fields[1] != "0+0"
		}
	}
	if len(found.dirs) == 0 {
		return packages{}, fmt.Errorf("%w: there is no package in %s", gates.ErrNothingRan, c.Args[len(c.Args)-1])
	}
	return found, nil
}

// vet holds that the source type-checks and go vet finds nothing. Its -json
// exits with 0 whatever it finds, so the plain output is read.
func (o Options) vet() gates.Step {
	return gates.Step{
		ID: Vet, Doc: "Every package type-checks and go vet finds nothing in it.", Runbook: o.anchor(Vet), Reproduce: o.reproduce(Vet),
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{
				o.listCommand(),
				{Name: "go", Args: []string{"vet", "-tags=" + o.Tags, o.Packages}},
			}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			found, err := listPackages(ctx, p, p.Commands[0])
			if err != nil {
				return err
			}
			if err := tellOtherModules(p); err != nil {
				return err
			}
			findings, err := runGo(ctx, p, p.Commands[1], "ci.vet", "mend the code; go doc cmd/vet explains the checks")
			if err != nil {
				return err
			}
			if findings == 0 {
				p.Check(evidence.Expect("ci.vet", o.Packages, true, "no findings", "no findings", ""))
			}
			p.Fact("%s", count(len(found.dirs), "package"))
			if findings > 0 {
				p.Fact("%s in %s", count(findings, "finding"), count(len(found.dirs), "package"))
			}
			return nil
		},
	}
}

// runGo runs a Go command that prints places and exits with 1 when it
// complains. It reports each place and returns how many there were. An exit
// code other than 0 without a place is an error: Go itself broke.
func runGo(ctx context.Context, p *gates.Pass, c proc.Command, code, fix string) (int, error) {
	output := &proc.Buffer{Max: maxOutput}
	_, err := p.Exec(ctx, c, proc.Options{Output: output})
	if err == nil {
		if strings.Contains(output.String(), "matched no packages") {
			return 0, fmt.Errorf("%w: %s matched no packages", gates.ErrNothingRan, c)
		}
		return 0, nil
	}
	if _, exited := proc.ExitCode(err); !exited {
		return 0, err
	}
	found := positions(p.Root, output.String())
	if len(found) == 0 {
		// A linker names no place: "# example.com/x" and then what is missing.
		pkg, message := linkError(output.String())
		if message == "" {
			return 0, err
		}
		p.Check(evidence.Expect(code+".link", pkg, false, message, "the package links", fix))
		return 1, nil
	}
	for _, at := range found {
		p.Check(evidence.Finding(code, at.path, at.line, at.message, fix))
	}
	return len(found), nil
}

// linkError finds what the linker, or the compiler of a whole package, said.
func linkError(output string) (pkg, message string) {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		switch name, ok := strings.CutPrefix(line, "# "); {
		case ok:
			pkg = name
		case pkg != "" && line != "" && message == "":
			message = line
		}
	}
	return pkg, message
}
