// Package tool gives gates the developer tools they start: each pinned in a
// module file of its own, built once, kept in a cache, started by path.
//
// One module file a tool, because two tools in one file force their
// dependencies on each other and some pairs then no longer compile. The cache
// is keyed by what decides the binary: module file, checksums, Go version and
// platform. A tool of our own, whose code needs modules that nobody else should
// download, lies beside its module file and is built in the same way; its code
// is part of the key. Nothing is ever written into the source tree.
package tool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/mod/modfile"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates/proc"
)

// Tool is a developer tool by its pin.
type Tool struct {
	// Name is how commands call it, for example "gofumpt".
	Name string
	// Pin holds the tool's go.mod and go.sum. The module file has exactly one
	// tool line: the package to build. When that is the module itself, Pin also
	// holds its code.
	Pin fs.FS
	// Tree is set instead of Pin for a tool that is built where it lies in a
	// source tree.
	Tree *Tree
}

// Binary is a built tool.
type Binary struct {
	Path string
	evidence.Tool
}

// ErrBuild is wrapped when a tool could not be had: the modules could not be
// downloaded or did not compile. It says nothing about the source under test.
var ErrBuild = errors.New("the tool could not be built")

// Cache is a directory of built tools.
type Cache struct {
	// Dir is where the binaries are kept; the user's cache directory if empty.
	Dir string
	// Go is the version that builds, as "go env GOVERSION" says it.
	Go string
}

// Spec is what a pin says.
type Spec struct {
	// Package is the import path to build, Module and Version where it comes from.
	Package, Module, Version string
	mod, sum                 []byte
	code                     []source // of a tool of our own
	tree                     *Tree
}

// source is a file of a tool of our own.
type source struct {
	name    string
	content []byte
}

// Own says whether the tool's code lies beside its pin.
func (s Spec) Own() bool { return len(s.code) > 0 }

// readCode reads the code of a tool of our own. Its version is the digest of the code.
func (t Tool) readCode(s *Spec) error {
	hash := sha256.New()
	err := fs.WalkDir(t.Pin, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "go.mod" || name == "go.sum" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := fs.ReadFile(t.Pin, name)
		if err != nil {
			return err
		}
		s.code = append(s.code, source{name, content})
		fmt.Fprintf(hash, "%s %d\n", name, len(content))
		_, _ = hash.Write(content) // a hash takes everything
		return nil
	})
	if err == nil && len(s.code) == 0 {
		err = errors.New("go.mod names its own module as the tool, and there is no code")
	}
	if err != nil {
		return fmt.Errorf("pin of %s: %w", t.Name, err)
	}
	s.Module, s.Version = s.Package, "own-"+hex.EncodeToString(hash.Sum(nil))[:12]
	return nil
}

// Read reads the pin of a tool. Errors name the file and what is wrong with it.
func (t Tool) Read() (Spec, error) {
	if t.Tree != nil {
		return t.readTree()
	}
	var s Spec
	var err error
	if s.mod, err = fs.ReadFile(t.Pin, "go.mod"); err != nil {
		return s, fmt.Errorf("pin of %s: %w", t.Name, err)
	}
	if s.sum, err = fs.ReadFile(t.Pin, "go.sum"); err != nil {
		return s, fmt.Errorf("pin of %s: %w", t.Name, err)
	}
	file, err := modfile.Parse("go.mod", s.mod, nil)
	if err != nil {
		return s, fmt.Errorf("pin of %s: %w", t.Name, err)
	}
	if len(file.Tool) != 1 {
		return s, fmt.Errorf("pin of %s: go.mod has %d tool lines, want one", t.Name, len(file.Tool))
	}
	s.Package = file.Tool[0].Path
	if file.Module != nil && s.Package == file.Module.Mod.Path {
		return s, t.readCode(&s)
	}
	for _, require := range file.Require {
		if within(s.Package, require.Mod.Path) && len(require.Mod.Path) > len(s.Module) {
			s.Module, s.Version = require.Mod.Path, require.Mod.Version
		}
	}
	if s.Module == "" {
		return s, fmt.Errorf("pin of %s: go.mod requires no module that holds %s", t.Name, s.Package)
	}
	return s, nil
}

func within(pkg, module string) bool {
	return pkg == module || strings.HasPrefix(pkg, module+"/")
}

// Resolve returns the binary of a tool, building it if the cache has none.
// building is called before a build starts, because that takes a while. output
// takes what the build prints. Several processes may resolve one tool at once:
// one of them builds.
func (c Cache) Resolve(ctx context.Context, t Tool, output io.Writer, building func(Spec)) (Binary, error) {
	spec, err := t.Read()
	if err != nil {
		return Binary{}, err
	}
	home, binary, err := c.place(t, spec)
	if err != nil {
		return Binary{}, err
	}
	file, err := intact(binary)
	if err != nil {
		if err := c.build(ctx, t, spec, home, binary, output, building); err != nil {
			return Binary{}, err
		}
		if file, err = intact(binary); err != nil {
			return Binary{}, fmt.Errorf("tool %s: %w", t.Name, err)
		}
	}
	return Binary{Path: binary, Tool: evidence.Tool{Name: t.Name, Version: spec.Version, SHA256: file.SHA256}}, nil
}

// place is the folder of a tool in the cache, and its binary there.
func (c Cache) place(t Tool, spec Spec) (home, binary string, err error) {
	dir, err := c.dir()
	if err != nil {
		return "", "", err
	}
	home = filepath.Join(dir, t.Name+"-"+spec.Version+"-"+c.key(spec))
	binary = filepath.Join(home, path.Base(t.Name))
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	return home, binary, nil
}

// dir is the directory of the cache, as an absolute path.
func (c Cache) dir() (string, error) {
	if c.Dir != "" {
		return filepath.Abs(c.Dir)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("tool cache: %w (set DPONE_TOOL_CACHE)", err)
	}
	return filepath.Join(user, "dpone", "tools"), nil
}

// intact digests a binary of the cache and compares with the digest that was
// written when it was built: a damaged or exchanged one is built again.
func intact(binary string) (evidence.File, error) {
	want, err := os.ReadFile(binary + digestSuffix)
	if err != nil {
		return evidence.File{}, err
	}
	file, err := folder.Digest(binary)
	if err == nil && file.SHA256 != string(want) {
		err = fmt.Errorf("%s is not what was built", binary)
	}
	return file, err
}

const digestSuffix = ".sha256"

// key is the digest of all that decides the binary.
func (c Cache) key(s Spec) string {
	hash := sha256.New()
	parts := [][]byte{s.mod, s.sum, []byte(c.Go), []byte(runtime.GOOS), []byte(runtime.GOARCH)}
	for _, file := range s.code {
		parts = append(parts, []byte(file.name), file.content)
	}
	for _, part := range parts {
		fmt.Fprintf(hash, "%d\n", len(part))
		_, _ = hash.Write(part) // a hash takes everything
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}

func (c Cache) build(ctx context.Context, t Tool, spec Spec, home, binary string, output io.Writer, building func(Spec)) (err error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return fmt.Errorf("tool cache: %w", err)
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(home, "lock")).Lock()
	if err != nil {
		return fmt.Errorf("tool cache: %w", err)
	}
	defer unlock()
	if _, err := intact(binary); err == nil {
		return nil // another process built it while we waited
	}
	building(spec)
	where, pkg := home, spec.Package
	if spec.tree != nil {
		where, pkg = spec.tree.Module, spec.tree.Package
	} else if err := spec.copyTo(home); err != nil {
		return fmt.Errorf("tool cache: %w", err)
	}
	tmp := binary + ".building"
	_, err = proc.Run(ctx, where, proc.Command{
		Name: "go",
		Args: []string{"build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", tmp, pkg},
		// A workspace or flags of the project must not reach into the tool's build.
		Env: []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH},
	}, proc.Options{Output: output})
	if err != nil {
		if context.Cause(ctx) != nil {
			return err
		}
		return fmt.Errorf("%w: %s %s: %w", ErrBuild, t.Name, spec.Version, err)
	}
	file, err := folder.Digest(tmp)
	if err == nil {
		err = os.WriteFile(binary+digestSuffix, []byte(file.SHA256), 0o644)
	}
	if err == nil {
		err = os.Rename(tmp, binary)
	}
	if err == nil && spec.tree != nil {
		var marker string
		if marker, err = c.marker(t, spec); err == nil {
			err = os.WriteFile(marker, nil, 0o644)
		}
		forget(filepath.Dir(home), t.Name)
	}
	if err != nil {
		return fmt.Errorf("tool cache: %w", err)
	}
	return nil
}

// copyTo copies the pin: the build may not write beside the original, which may
// be embedded or on a read-only disk.
func (s Spec) copyTo(home string) error {
	for _, file := range append([]source{{"go.mod", s.mod}, {"go.sum", s.sum}}, s.code...) {
		to := filepath.Join(home, filepath.FromSlash(file.name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, file.content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
