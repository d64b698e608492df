package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/proc"
)

// DiagramsID is the target that draws.
const DiagramsID = "docs:diagrams"

// DiagramsGate is docs:diagrams. It is the one gate of the family that writes
// into the source: the pictures of new blocks, and away with those of old ones.
func DiagramsGate(o Options) gates.Gate {
	o.Assets = []Asset{Mermaid}
	step := gates.Step{
		ID: DiagramsID, Doc: "Every Mermaid block parses, and has a picture.",
		Runbook: "docs/runbooks.md#docs-diagrams", Tools: tools,
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{Mermaid.command(), driverCommand()}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error { return drawAll(ctx, p, o) },
	}
	return gates.Gate{
		ID: step.ID, Doc: step.Doc, Runbook: step.Runbook, Area: build.Area, Options: o, Steps: []gates.Step{step},
	}
}

func drawAll(ctx context.Context, p *gates.Pass, o Options) error {
	s, err := build.Make(ctx, p, o.Site)
	if err != nil {
		return err
	}
	wanted := map[string]site.Diagram{}
	var blocks []block
	for _, d := range s.Diagrams {
		name := site.Name(d.Source)
		if _, twice := wanted[name]; twice || !d.Missing && !o.Again {
			continue
		}
		wanted[name] = d
		blocks = append(blocks, block{name, d.Source})
	}
	drawn, broken := 0, 0
	if len(blocks) > 0 {
		drawings, ok, err := draw(ctx, p, o, blocks)
		if err != nil || !ok {
			return err
		}
		for _, d := range drawings {
			if problem := keep(p.Root, wanted[d.ID], d); problem != nil {
				broken++
				p.Check(*problem)
				continue
			}
			drawn++
		}
	}
	for _, name := range s.Unused {
		if err := os.Remove(filepath.Join(p.Root, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	if broken == 0 {
		p.Check(evidence.Expect(site.CodeMermaid, "docs", true, "every block has a picture", "every block has a picture", ""))
	}
	p.Fact("%d diagrams: %d drawn, %d broken, %d pictures removed", len(s.Diagrams), drawn, broken, len(s.Unused))
	return nil
}

// draw asks the browser. It is not ok when there is none, which is reported.
func draw(ctx context.Context, p *gates.Pass, o Options, blocks []block) ([]drawing, bool, error) {
	program, err := findBrowser(o)
	if errors.Is(err, errNoBrowser) {
		noBrowser(p, err)
		return nil, false, nil
	}
	script, err := Mermaid.get(ctx, p, o.Cache)
	if err != nil {
		p.Check(evidence.CouldNotTell(codeBrowser, Mermaid.Package, "Mermaid is there", err.Error(), "apt-get install npm, and a network for the first run"))
		return nil, false, nil
	}
	answer, err := ask(ctx, p, request{Browser: program, Diagrams: &diagramRequest{Mermaid: script, Blocks: blocks}})
	if err != nil {
		return nil, false, err
	}
	if len(answer.Drawings) != len(blocks) {
		return nil, false, fmt.Errorf("the browser drew %d of %d diagrams: %w", len(answer.Drawings), len(blocks), gates.ErrNothingRan)
	}
	return answer.Drawings, true, nil
}

// lineOf is where Mermaid's messages say the line of the block.
var lineOf = regexp.MustCompile(`(?i)\bline:? (\d+)`)

// keep writes a picture into the source, or says why there is none.
func keep(root string, d site.Diagram, made drawing) *evidence.Check {
	var problem evidence.Check
	if made.Error != "" {
		line := d.Line
		if m := lineOf.FindStringSubmatch(made.Error); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n <= strings.Count(d.Source, "\n")+1 {
				line += n
			}
		}
		problem = evidence.Finding(site.CodeMermaid, d.Path, line, strings.Join(strings.Fields(made.Error), " "), "mend the block; https://mermaid.js.org/intro/syntax-reference.html")
		return &problem
	}
	if err := site.CheckPicture([]byte(made.SVG)); err != nil {
		problem = evidence.Finding(site.CodeDiagram, d.Path, d.Line, err.Error(), "write the block without what the message names")
		return &problem
	}
	to := filepath.Join(root, filepath.FromSlash(d.Picture))
	err := os.MkdirAll(filepath.Dir(to), 0o755)
	if err == nil {
		err = os.WriteFile(to, []byte(made.SVG+"\n"), 0o644)
	}
	if err != nil {
		problem = evidence.CouldNotTell(site.CodeMermaid, path.Base(d.Picture), "the picture is written", err.Error(), "make the folder writable")
		return &problem
	}
	return nil
}
