package tool

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

// Tree says where in a source tree a tool of our own lies whose module uses
// other modules of that tree by replace directives: a copy of it would not
// build, so it is built where it lies. All files are read when the tool is.
type Tree struct {
	// Module is the folder of the module, and Package the main package in it,
	// for example "./cmd/x".
	Module, Package string
	// Code are the folders whose Go files go into the tool, with all below when
	// they end in "/...". Tests are left out.
	Code []string
}

// readTree reads a tool of a source tree. Its version is the digest of the code.
func (t Tool) readTree() (Spec, error) {
	var s Spec
	var err error
	fail := func(err error) (Spec, error) { return Spec{}, fmt.Errorf("source of %s: %w", t.Name, err) }
	if s.mod, err = os.ReadFile(filepath.Join(t.Tree.Module, "go.mod")); err != nil {
		return fail(err)
	}
	if s.sum, err = os.ReadFile(filepath.Join(t.Tree.Module, "go.sum")); err != nil {
		return fail(err)
	}
	s.Module = modfile.ModulePath(s.mod)
	if s.Module == "" {
		return fail(fmt.Errorf("go.mod names no module"))
	}
	s.Package = s.Module + "/" + strings.TrimPrefix(filepath.ToSlash(t.Tree.Package), "./")
	hash, files := sha256.New(), 0
	for _, pattern := range t.Tree.Code {
		dir, deep := strings.CutSuffix(filepath.ToSlash(pattern), "/...")
		dir = filepath.FromSlash(dir)
		// In the order of the names, so that the digest is always the same.
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "testdata" || !deep && path != dir):
				return fs.SkipDir
			case !entry.Type().IsRegular() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			files++
			fmt.Fprintf(hash, "%s %d\n", filepath.ToSlash(name), len(content))
			_, _ = hash.Write(content) // a hash takes everything
			return nil
		})
		if err != nil {
			return fail(err)
		}
	}
	if files == 0 {
		return fail(fmt.Errorf("there is no code"))
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	s.tree, s.code = t.Tree, []source{{name: "tree", content: []byte(t.Tree.Package + " " + digest)}}
	s.Version = "own-" + digest[:12]
	return s, nil
}

// kept is how many states of its code a tool of a source tree is kept for.
const kept = 4

// forget removes the oldest of a tool's builds. Others may remove them at the
// same time, and what cannot be removed stays.
func forget(cache, name string) {
	homes, err := filepath.Glob(filepath.Join(cache, name+"-own-*"))
	if err != nil {
		return
	}
	age := func(home string) time.Time {
		info, err := os.Stat(home)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(homes, func(a, b string) int { return age(b).Compare(age(a)) })
	for _, home := range homes[min(kept, len(homes)):] {
		_ = os.RemoveAll(home)
	}
}

// marker is the file that says that the modules of a tool were compiled on
// this machine before, whatever has become of its own code since.
func (c Cache) marker(t Tool, s Spec) (string, error) {
	dir, err := c.dir()
	if err != nil {
		return "", err
	}
	s.code = nil
	return filepath.Join(dir, t.Name+"-modules-"+c.key(s)), nil
}

// Warm says whether a tool can be had in seconds: it was built on this machine
// before or, for a tool of a source tree, the modules that it needs were
// downloaded and compiled.
func (c Cache) Warm(t Tool) bool {
	spec, err := t.Read()
	if err != nil {
		return false
	}
	place := ""
	if spec.tree != nil {
		place, err = c.marker(t, spec)
	} else {
		_, place, err = c.place(t, spec)
	}
	if err != nil {
		return false
	}
	_, err = os.Stat(place)
	return err == nil
}
