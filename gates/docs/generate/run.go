package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/docs/page"
)

// Options say what to generate.
type Options struct {
	// Root is the root of the source tree.
	Root string
	// Pages are the patterns of all pages that may have a generated part, as [page.Read] takes them.
	Pages  []string
	Tables []Table
	// Held are the pages that tests make; they are named, and left alone.
	Held []Held
	// Check looks only: nothing is written, and a difference is red.
	Check  bool
	Stdout io.Writer
}

// NotGreenError is what [Run] returns when pages differ, or cannot be made.
type NotGreenError struct {
	Verdict evidence.Verdict
	Reason  string
}

func (e *NotGreenError) Error() string { return "docs:generate: " + e.Reason }

// ExitStatus is 1 for FAIL and 3 for UNVERIFIED; mage looks for the method on errors.
func (e *NotGreenError) ExitStatus() int { return e.Verdict.ExitCode() }

// Run compares the pages with the source and writes those that differ, all of
// them or none. It is no gate: it changes the tree, and leaves no record.
//
// The error is a [*NotGreenError]: FAIL when a mark is wrong or, with Check, when a page differs;
// UNVERIFIED when pages could not be read or written.
func Run(ctx context.Context, o Options) error {
	broke := func(err error) error {
		return &NotGreenError{evidence.Unverified, err.Error()}
	}
	tree := os.DirFS(o.Root)
	pages, err := page.Read(tree, o.Pages...)
	if err != nil {
		return broke(err)
	}
	if len(pages) == 0 {
		return broke(errors.New("there is no page at " + o.Root))
	}
	r := Compare(tree, pages, o.Tables)
	r.Problems = append(r.Problems, Unsaid(pages, o.Held)...)
	if err := ctx.Err(); err != nil {
		return broke(context.Cause(ctx))
	}
	drifted := r.Drifted()
	for _, p := range r.Problems {
		fmt.Fprintf(o.Stdout, "  FAIL %s  %s\n       -> %s\n", place(p.Page, p.Line), p.Why, p.Fix)
	}
	for _, p := range drifted {
		if o.Check || len(r.Problems) > 0 {
			fmt.Fprintf(o.Stdout, "  FAIL %s  generated: %s: %s\n", place(p.Page, p.Line), p.Mark, p.Drift)
		}
	}
	total := fmt.Sprintf("%s in %s", count(len(r.Parts), "table"), count(len(pages), "page"))
	switch {
	case len(r.Problems) > 0:
		fmt.Fprintf(o.Stdout, "\nFAIL  %s  %s, nothing was written\n", Command, count(len(r.Problems), "problem"))
		return &NotGreenError{evidence.Fail, count(len(r.Problems), "problem") + ", nothing was written"}
	case o.Check && len(drifted) > 0:
		fmt.Fprintf(o.Stdout, "       -> %s\n\nFAIL  %s -check=true  %d of %s differ from the source\n", Command, Command, len(drifted), total)
		return &NotGreenError{evidence.Fail, fmt.Sprintf("%d of %s differ from the source; %s mends them", len(drifted), total, Command)}
	}
	if err := write(o.Root, r.Changed); err != nil {
		return broke(err)
	}
	for _, p := range drifted {
		fmt.Fprintf(o.Stdout, "  ok   %s  generated: %s, written\n", place(p.Page, p.Line), p.Mark)
	}
	for _, h := range o.Held {
		fmt.Fprintf(o.Stdout, "  skip %s  made by its test: %s\n", h.Page, h.Command)
	}
	fmt.Fprintf(o.Stdout, "PASS  %s  %s, %d written\n", Command, total, len(drifted))
	return nil
}

func place(path string, line int) string {
	if line == 0 {
		return path
	}
	return fmt.Sprintf("%s:%d", path, line)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// write replaces files, each whole and all or none: first every new text lies on
// disk beside its page, then they are renamed, and a failure puts back what was.
func write(root string, texts map[string]string) (err error) {
	type file struct{ path, tmp, old string }
	var files []file
	defer func() {
		for _, f := range files {
			_ = os.Remove(f.tmp) // gone already where it was renamed
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if !fs.ValidPath(name) {
			return fmt.Errorf("write %s: the path leaves the tree", name)
		}
		f := file{path: filepath.Join(root, filepath.FromSlash(name))}
		info, err := os.Lstat(f.path)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("write %s: not a regular file", name)
		}
		f.tmp, err = beside(f.path, texts[name], info.Mode().Perm())
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		files = append(files, f)
		old, err := os.ReadFile(f.path)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		files[len(files)-1].old = string(old)
	}
	for i, f := range files {
		if err := os.Rename(f.tmp, f.path); err != nil {
			for _, done := range files[:i] {
				if back := os.WriteFile(done.path, []byte(done.old), 0o644); back != nil {
					err = errors.Join(err, fmt.Errorf("and it could not be put back: %w", back))
				}
			}
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// beside writes a text to a new file in the folder of path.
func beside(path, text string, mode os.FileMode) (string, error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(tmp, strings.NewReader(text))
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err != nil {
		_ = os.Remove(tmp.Name())
		return "", err
	}
	return tmp.Name(), nil
}
