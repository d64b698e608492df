// Package modules finds the Go modules of a source tree, for gates that have a
// tool look at each.
package modules

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// Module is a directory with a module file.
type Module struct {
	// Dir is relative to the root, with forward slashes; "." for the root.
	Dir string
	// Code says that it has Go files of its own. Without, it pins a tool.
	Code bool
	// Tools says that its module file names tools.
	Tools bool
}

// Find lists the modules below root, sorted by directory, the root first. What
// Go itself leaves out of ./... is left out: hidden folders, testdata, vendor.
func Find(root string) ([]Module, error) {
	var found []Module
	code := map[string]bool{} // directories with Go files
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the source tree: %w", err)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			switch base := entry.Name(); {
			case rel == ".":
			case strings.HasPrefix(base, "."), strings.HasPrefix(base, "_"),
				base == "testdata", base == "vendor", base == "node_modules", base == "test_artifacts":
				return filepath.SkipDir
			}
			return nil
		}
		switch {
		case path.Base(rel) == "go.mod":
			m, err := read(name, path.Dir(rel))
			if err != nil {
				return err
			}
			found = append(found, m)
		case strings.HasSuffix(rel, ".go"):
			code[path.Dir(rel)] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for dir := range code {
		if i := owner(found, dir); i >= 0 {
			found[i].Code = true
		}
	}
	return found, nil
}

func read(name, dir string) (Module, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return Module{}, fmt.Errorf("module file: %w", err)
	}
	file, err := modfile.ParseLax(path.Join(dir, "go.mod"), raw, nil)
	if err != nil {
		return Module{}, fmt.Errorf("module file: %w", err)
	}
	// A lax reading leaves out the tools.
	if strict, err := modfile.Parse(path.Join(dir, "go.mod"), raw, nil); err == nil {
		file = strict
	}
	return Module{Dir: dir, Tools: len(file.Tool) > 0}, nil
}

// owner is the innermost module that holds a directory, or -1.
func owner(all []Module, dir string) int {
	best := -1
	for i, m := range all {
		if m.Dir == "." || dir == m.Dir || strings.HasPrefix(dir, m.Dir+"/") {
			if best < 0 || all[best].Dir == "." || len(m.Dir) > len(all[best].Dir) {
				best = i
			}
		}
	}
	return best
}
