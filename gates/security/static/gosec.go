package static

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/sarif"
)

const maxReport = 256 << 20

// gosec holds that gosec finds nothing, in each module with Go files. Comments
// that silence it have to name the rule and a reason.
func (o Options) gosec() gates.Step {
	return gates.Step{
		ID: stepGosec, Doc: "gosec finds no security defect.", Runbook: runbook, Tools: pinned("gosec"),
		Commands: func(root string) ([]proc.Command, error) {
			code, every, err := codeModules(root)
			if err != nil {
				return nil, err
			}
			var commands []proc.Command
			for i, dir := range code {
				args := []string{
					"-fmt=json", fmt.Sprintf("-out=$SCRATCH/gosec-%d.json", i), fmt.Sprintf("-log=$SCRATCH/gosec-%d.log", i), "-tags=" + o.Tags,
					"-track-suppressions", "-nosec-require-rules", "-nosec-require-justification",
				}
				// It walks the folders itself and does not stop at a module's end.
				for _, name := range []string{"testdata", "test_artifacts", "node_modules"} {
					args = append(args, "-exclude-dir="+name)
				}
				for _, other := range every {
					if rel, err := filepath.Rel(dir, other); err == nil && rel != "." && filepath.IsLocal(rel) {
						args = append(args, "-exclude-dir="+regexp.QuoteMeta(filepath.ToSlash(rel)))
					}
				}
				commands = append(commands, proc.Command{Name: "gosec", Dir: dir, Args: append(args, "./..."), Env: []string{"GOWORK=off"}})
			}
			return commands, nil
		},
		Run: o.runGosec,
	}
}

func (o Options) runGosec(ctx context.Context, p *gates.Pass) error {
	if len(p.Commands) == 0 {
		return fmt.Errorf("%w: there is no Go module with code", gates.ErrNothingRan)
	}
	tree, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer tree.Close()
	var findings []finding
	files, notes, silenced := 0, map[string]bool{}, 0
	for i, c := range p.Commands {
		p.Progress(i, len(p.Commands), c.Dir)
		_, err := p.Exec(ctx, c, proc.Options{})
		if code, exited := proc.ExitCode(err); err != nil && (!exited || code != 1) {
			return broken(ctx, "gosec", err)
		}
		raw, readErr := folder.ReadIn(p.Scratch, fmt.Sprintf("gosec-%d.json", i), maxReport)
		if readErr != nil {
			said, logErr := folder.ReadIn(p.Scratch, fmt.Sprintf("gosec-%d.log", i), maxReport)
			p.Logf("%s", said)
			return broken(ctx, "gosec", errors.Join(readErr, err, logErr))
		}
		r, err := decodeGosec(raw)
		if err != nil {
			return err
		}
		files += r.Stats.Files
		for _, note := range r.problems() {
			notes[note] = true
		}
		for _, issue := range r.open() {
			f, err := issue.finding(p.Root, c.Dir)
			if err != nil {
				return err
			}
			if excused(tree, f) {
				silenced++
				continue
			}
			findings = append(findings, f)
		}
	}
	judgeErrors(p, slices.Sorted(maps.Keys(notes)))
	if files == 0 {
		return fmt.Errorf("%w: gosec read no files", gates.ErrNothingRan)
	}
	found, allowed := report(p, o, sarif.Run{Tool: "gosec", Version: p.Version("gosec"), URL: "https://github.com/securego/gosec"}, findings)
	p.Fact("%d findings, %d of them allowed; %d more excused at their line; %d files", found, allowed, silenced, files)
	return nil
}

// excuse is the comment by which golangci-lint takes an exception from gosec, with
// a reason: one form is enough for both.
var excuse = regexp.MustCompile(`//nolint:gosec // ?\S.{6,}$`)

// excused says whether the line of a finding has such a comment.
func excused(tree *os.Root, f finding) bool {
	raw, err := folder.ReadRegular(tree, filepath.FromSlash(f.path), maxReport)
	if err != nil {
		return false // then the finding stands
	}
	lines := strings.Split(string(raw), "\n")
	return f.line <= len(lines) && excuse.MatchString(strings.TrimRight(lines[f.line-1], "\r"))
}

// assembly is how gosec, which loads Go files without those beside them, says
// that a function is written in assembly.
const assembly = "missing function body"

// judgeErrors holds that gosec could read everything but assembly.
func judgeErrors(p *gates.Pass, problems []string) {
	for _, problem := range problems {
		if strings.Contains(problem, assembly) {
			p.Check(evidence.Skipped("security.static.assembly", problem, "it is read", "gosec does not read assembly, nor follow data into it", "look at these functions by hand"))
			continue
		}
		p.Check(evidence.CouldNotTell("security.static.load", "gosec", "all packages are read", problem, "go build ./... shows the same, most often"))
	}
}

// gosecReport is gosec's JSON report.
type gosecReport struct {
	Errors map[string][]struct {
		Line, Column int
		Error        string
	} `json:"Golang errors"`
	Issues []gosecIssue
	Stats  struct {
		Files, Lines, NoSec, Found int
	}
	GosecVersion string
}

type gosecIssue struct {
	Severity     string            `json:"severity"`
	Rule         string            `json:"rule_id"`
	Details      string            `json:"details"`
	File         string            `json:"file"`
	Line         string            `json:"line"`
	NoSec        bool              `json:"nosec"`
	Suppressions []json.RawMessage `json:"suppressions"`
}

func decodeGosec(raw []byte) (gosecReport, error) {
	var r gosecReport
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("gosec's report: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("gosec's report goes on behind its end")
	}
	if r.GosecVersion == "" || r.Issues == nil || r.Stats.Found != len(r.open()) {
		return r, fmt.Errorf("gosec's report: it says %d findings and lists %d", r.Stats.Found, len(r.open()))
	}
	return r, nil
}

// open are the issues that no comment silences.
func (r gosecReport) open() []gosecIssue {
	var open []gosecIssue
	for _, i := range r.Issues {
		if !i.NoSec && len(i.Suppressions) == 0 {
			open = append(open, i)
		}
	}
	return open
}

// problems are what gosec could not read.
func (r gosecReport) problems() []string {
	var all []string
	for _, errs := range r.Errors {
		for _, e := range errs {
			text := strings.Join(strings.Fields(strings.TrimPrefix(e.Error, "# command-line-arguments")), " ")
			if strings.Contains(text, assembly) && strings.Count(text, assembly) != strings.Count(text, ".go:") {
				text = strings.ReplaceAll(text, assembly, "no body") // something else is wrong as well
			}
			all = append(all, text)
		}
	}
	return all
}

func (i gosecIssue) finding(root, dir string) (finding, error) {
	level, ok := map[string]sarif.Level{"HIGH": sarif.Error, "MEDIUM": sarif.Warning, "LOW": sarif.Note}[i.Severity]
	first, _, _ := strings.Cut(i.Line, "-")
	line, err := strconv.Atoi(first)
	if !ok || err != nil || line < 1 || i.Rule == "" || i.File == "" || i.Details == "" {
		return finding{}, fmt.Errorf("gosec's report: a finding of %q with the severity %q at %q, line %q", i.Rule, i.Severity, i.File, i.Line)
	}
	return finding{tool: "gosec", rule: i.Rule, message: i.Details, level: level, path: relative(root, dir, i.File), line: line}, nil
}
