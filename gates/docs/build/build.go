// Package build is the gate docs:build: the pages make a site in which nothing
// is broken. The site goes into the run folder and, when it is whole and asked
// for, to a folder that a workflow publishes.
package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/site"
)

const (
	// Area is the folder below the artifacts that the runs go to.
	Area = "docs"
	// ID is the target.
	ID = "docs:build"
	// List is the file of a site that names every other one with its SHA-256,
	// in the format of sha256sum.
	List = "site.sha256"

	doc     = "The pages make a site in which every link, anchor, heading, picture and diagram is right."
	runbook = "docs/runbooks.md#docs-build"
)

// Options of the gate.
type Options struct {
	Site site.Options `json:"site"`
	// Out is a folder, relative to the root, that takes the site when the gate
	// is green. One that holds an earlier site is replaced; one that holds
	// anything else is refused. Nothing is written if it is empty.
	Out string `json:"out,omitempty"`
}

// Validate refuses a folder that may not be replaced. The error is a *[gates.UsageError].
func (o Options) Validate() error {
	if o.Out == "" {
		return nil
	}
	docs := o.Site.Docs
	if docs == "" {
		docs = "docs"
	}
	out := path.Clean(filepath.ToSlash(o.Out))
	if out == "." || out == docs || strings.HasPrefix(out, docs+"/") || strings.HasPrefix(docs, out+"/") || out == ".." || strings.HasPrefix(out, "../") {
		return &gates.UsageError{Problem: fmt.Sprintf("-out=%s: give a folder of its own below the root, such as site", o.Out)}
	}
	return nil
}

// Gate is docs:build.
func Gate(o Options) gates.Gate {
	return gates.Gate{
		ID: ID, Doc: doc, Runbook: runbook, Area: Area, Options: o,
		Steps: []gates.Step{Step(o, "")},
	}
}

// Step is docs:build as a step of another gate. The site goes below folder in that gate's run.
func Step(o Options, folder string) gates.Step {
	return gates.Step{
		ID: ID, Doc: doc, Runbook: runbook, Reproduce: "mage " + ID,
		Run: func(ctx context.Context, p *gates.Pass) error { return run(ctx, p, o, folder) },
	}
}

// Make builds the site of the source that a step looks at.
func Make(ctx context.Context, p *gates.Pass, o site.Options) (*site.Site, error) {
	if p.BeforeErr != nil {
		return nil, fmt.Errorf("which files and which commit the pages are of: %w", p.BeforeErr)
	}
	o.Source = func(context.Context) (site.Source, error) {
		return site.Source{Files: p.Source.Files, Commit: p.Source.Commit}, nil
	}
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s, err := site.Build(ctx, root.FS(), o)
	if errors.Is(err, site.ErrNoPages) {
		return nil, fmt.Errorf("%w: %w", gates.ErrNothingRan, err)
	}
	return s, err
}

func run(ctx context.Context, p *gates.Pass, o Options, folder string) error {
	s, err := Make(ctx, p, o.Site)
	if err != nil {
		return err
	}
	Report(p, s)
	name := path.Join(folder, "site")
	if err := Write(p.Folder().Path(name), s); err != nil {
		return err
	}
	if _, err := p.Output(path.Join(name, List), p.Folder().Path(path.Join(name, List))); err != nil {
		return err
	}
	facts := fmt.Sprintf("%s, %s, %s", count(len(s.Pages), "page"), count(s.Links, "link"), count(len(s.Diagrams), "diagram"))
	if len(s.Findings) > 0 {
		p.Fact("%s in %s", count(len(s.Findings), "finding"), facts)
		return nil
	}
	p.Fact("%s", facts)
	if o.Out == "" {
		return nil
	}
	return Replace(filepath.Join(p.Root, filepath.FromSlash(o.Out)), s)
}

// Report makes a check of each finding, and one of each rule that nothing breaks.
func Report(p *gates.Pass, s *site.Site) {
	found := map[string]bool{}
	for _, f := range s.Findings {
		found[f.Code] = true
		p.Check(evidence.Finding(f.Code, f.Path, f.Line, f.Message, f.Fix))
	}
	for _, code := range site.Codes() {
		if !found[code] {
			p.Check(evidence.Expect(code, "docs", true, "no finding", "no finding", ""))
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// writers is how many files are written at once.
const writers = 4

// Write writes a site, and the list of its files, to a folder that is not there
// yet. The folder appears whole or not at all.
func Write(dir string, s *site.Site) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("write the site: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".site-")
	if err != nil {
		return fmt.Errorf("write the site: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
			err = fmt.Errorf("write the site: %w", err)
		}
	}()
	made := map[string]bool{}
	lines := make([]string, len(s.Files))
	var group errgroup.Group
	group.SetLimit(writers)
	for i, f := range s.Files {
		to := filepath.Join(tmp, filepath.FromSlash(f.Path))
		if parent := filepath.Dir(to); !made[parent] {
			if err := os.MkdirAll(parent, 0o755); err != nil {
				return errors.Join(err, group.Wait())
			}
			made[parent] = true
		}
		group.Go(func() error {
			lines[i] = fmt.Sprintf("%x  %s\n", sha256.Sum256(f.Content), f.Path)
			return os.WriteFile(to, f.Content, 0o644)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, List), []byte(strings.Join(lines, "")), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

// Replace writes a site to a folder that may hold an earlier one. It refuses a
// folder that holds anything else.
func Replace(dir string, s *site.Site) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Write(dir, s)
	case err != nil:
		return fmt.Errorf("replace the site: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Lstat(filepath.Join(dir, List)); err != nil {
			return fmt.Errorf("replace the site: %s is not empty and has no %s, so it is no site of ours; remove it, or name another folder", dir, List)
		}
	}
	next := dir + ".next"
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("replace the site: %w", err)
	}
	if err := Write(next, s); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replace the site: %w", err)
	}
	return os.Rename(next, dir)
}
