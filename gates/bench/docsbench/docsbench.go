// Package docsbench compares the build of the documentation with MkDocs on the same pages.
package docsbench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/proc"
)

// ID is the target.
const ID = "bench:docs"

// The limits.
const (
	minRatio = 20.0 // of MkDocs' time to that of the build
	maxGate  = 1.0  // seconds of the whole gate, as a process, warm
)

// Options of the comparison.
type Options struct {
	Site site.Options `json:"site"`
	// Rounds is how often each side runs, in turn; 15 if 0. The median counts: one turn of the build takes 0.03 to 0.07 s.
	Rounds int `json:"rounds"`
	// Binary is the name of the compiled gate binary.
	Binary string `json:"binary"`
}

// Figures are the result, in seconds, written to bench.json.
type Figures struct {
	Pages  int       `json:"pages"`
	MkDocs string    `json:"mkdocs"` // version
	Peer   []float64 `json:"mkdocs_seconds"`
	// Build is reading, checking, rendering and writing; which files are part of
	// the source the run knows already, and MkDocs does not ask.
	Build []float64 `json:"build_seconds"`
	// Gate is the whole process of docs:build, with its evidence.
	Gate   []float64         `json:"gate_seconds"`
	Judged []judge.Judgement `json:"judged"`
}

// Gate is bench:docs.
func Gate(o Options) gates.Gate {
	if o.Rounds <= 0 {
		o.Rounds = 15
	}
	if o.Binary == "" {
		o.Binary = "gates"
	}
	step := gates.Step{
		ID: ID, Doc: "The documentation is built at least 20 times faster than by mkdocs build --strict.",
		Runbook:  "docs/runbooks.md#bench-docs",
		Commands: func(string) ([]proc.Command, error) { return o.commands(), nil },
		Run:      func(ctx context.Context, p *gates.Pass) error { return o.run(ctx, p) },
	}
	return gates.Gate{ID: ID, Doc: step.Doc, Runbook: step.Runbook, Area: bench.Area, Options: o, Steps: []gates.Step{step}}
}

var (
	version = proc.Command{Name: "mkdocs", Args: []string{"--version"}}
	peer    = proc.Command{Name: "mkdocs", Args: []string{"build", "--strict", "--quiet", "--config-file", "$SCRATCH/mkdocs.yml"}}
)

func (o Options) compile() proc.Command {
	return proc.Command{Name: "go", Args: []string{"tool", "mage", "-compile", "$SCRATCH/" + o.Binary}, Env: []string{"GOFLAGS=-trimpath"}}
}

func (o Options) gate() proc.Command {
	return proc.Command{Name: "$SCRATCH/" + o.Binary, Args: []string{build.ID}, Env: []string{"DPONE_ARTIFACTS=$SCRATCH/artifacts", "DPONE_OUTPUT=plain"}}
}

func (o Options) commands() []proc.Command {
	return []proc.Command{version, peer, o.compile(), o.gate()}
}

func (o Options) run(ctx context.Context, p *gates.Pass) error {
	if _, err := exec.LookPath(peer.Name); err != nil {
		p.Check(evidence.CouldNotTell("bench.docs.peer", "mkdocs", "the peer is installed", err.Error(), "apt-get install mkdocs"))
		p.Fact("no mkdocs")
		return nil
	}
	said, err := p.Exec(ctx, version, proc.Options{Capture: 1 << 10})
	if err != nil {
		return err
	}
	f := Figures{MkDocs: strings.TrimSpace(string(said.Stdout))}
	p.Progress(0, o.Rounds, "compiling the gate binary")
	if _, err := p.Exec(ctx, o.compile(), proc.Options{}); err != nil {
		return err
	}
	s, err := build.Make(ctx, p, o.Site)
	if err != nil {
		return err
	}
	if f.Pages = len(s.Pages); len(s.Findings) > 0 {
		return fmt.Errorf("compare on pages that are right: %d findings, mage %s tells them", len(s.Findings), build.ID)
	}
	out, err := inMemory(p.Scratch)
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	if err := forPeer(p.Root, p.Scratch, out, s.Pages); err != nil {
		return err
	}
	for round := range o.Rounds {
		p.Progress(round, o.Rounds, "each side in turn")
		if err := o.round(ctx, p, &f, filepath.Join(out, fmt.Sprintf("site-%d", round))); err != nil {
			return err
		}
	}
	return f.judge(p)
}

// memory is where Linux has files that are on no disk.
const memory = "/dev/shm"

// inMemory is a folder for what both sides write. What a disk takes for a new
// file depends on what was deleted before, by anyone: on ext4 it was seen to
// take from 0.05 to 1 ms, which would be what is compared.
func inMemory(scratch string) (string, error) {
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp(memory, "dpone-docs-"); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp(scratch, "docs-")
}

func (o Options) round(ctx context.Context, p *gates.Pass, f *Figures, out string) error {
	result, err := p.Exec(ctx, peer, proc.Options{})
	if err != nil {
		return fmt.Errorf("mkdocs: %w", err)
	}
	f.Peer = append(f.Peer, result.Duration.Seconds())
	began := time.Now()
	s, err := build.Make(ctx, p, o.Site)
	if err == nil {
		err = build.Write(out, s)
	}
	if err != nil {
		return err
	}
	f.Build = append(f.Build, time.Since(began).Seconds())
	if result, err = p.Exec(ctx, o.gate(), proc.Options{}); err != nil {
		return fmt.Errorf("%s: %w", build.ID, err)
	}
	f.Gate = append(f.Gate, result.Duration.Seconds())
	return nil
}

func (f *Figures) judge(p *gates.Pass) error {
	mkdocs, made, gate := judge.Median(f.Peer), judge.Median(f.Build), judge.Median(f.Gate)
	f.Judged = []judge.Judgement{
		judge.AtLeast("bench.docs.ratio", "mkdocs / build", mkdocs/made, minRatio, "%.1fx"),
		judge.AtMost("bench.docs.warm", "the whole gate", gate, maxGate, "%.2fs"),
	}
	for _, j := range f.Judged {
		p.Measure(j.Check(), fmt.Sprintf(j.Format, j.Value))
	}
	page := fmt.Sprintf("# Documentation: %d pages, median of %d rounds\n\n| What | Seconds | mkdocs / it |\n| --- | ---: | ---: |\n"+
		"| %s | %.3f | 1.0 |\n| the build: read, check, render, write | %.3f | %.1f |\n| the whole gate, as a process, with its evidence | %.3f | %.1f |\n",
		f.Pages, len(f.Peer), f.MkDocs, mkdocs, made, mkdocs/made, gate, mkdocs/gate)
	p.Show(page)
	p.Fact("%d pages: mkdocs %.2fs, build %.3fs (%.1fx), whole gate %.2fs (%.1fx)", f.Pages, mkdocs, made, mkdocs/made, gate, mkdocs/gate)
	return judge.Write(p, f, page)
}

// config is the least that MkDocs asks for; its search index is part of the work, as ours is.
const config = "site_name: pages\ndocs_dir: pages\nsite_dir: %q\nplugins: [search]\n"

// target is where a link in Markdown leads, without its anchor.
var target = regexp.MustCompile(`\]\(([^)#\s]+)`)

// forPeer copies the pages for MkDocs. Links to the source become addresses,
// for to MkDocs there is nothing but pages, and a strict build would end red.
func forPeer(root, scratch, out string, pages []string) error {
	own := map[string]bool{}
	for _, page := range pages {
		own[page] = true
	}
	for _, page := range pages {
		raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
		if err != nil {
			return err
		}
		text := target.ReplaceAllStringFunc(string(raw), func(link string) string {
			to := path.Join(path.Dir(page), link[2:])
			switch {
			case own[to], strings.Contains(link, "://"):
				return link
			case own[path.Join(to, "README.md")]:
				return "](" + strings.TrimSuffix(link[2:], "/") + "/README.md"
			}
			return "](https://example.com/" + to
		})
		_, below, _ := strings.Cut(page, "/")
		to := filepath.Join(scratch, "pages", filepath.FromSlash(below))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(scratch, "mkdocs.yml"), fmt.Appendf(nil, config, filepath.Join(out, "mkdocs")), 0o644)
}
