package sbom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"
)

// ErrModCache is wrapped when a module in the module cache is not the one that
// was linked.
var ErrModCache = errors.New("module cache")

// Licence is what the licence file of a module says.
type Licence struct {
	// ID is an SPDX identifier, or [NoAssertion].
	ID string
	// File is the name of the licence file in the root of the module; of
	// several that agree, the first.
	File string
	// Why tells people why ID is [NoAssertion]; it stands in no document.
	Why string
}

func unknown(format string, args ...any) Licence {
	return Licence{ID: NoAssertion, Why: fmt.Sprintf(format, args...)}
}

const (
	maxLicence = 256 << 10
	maxFiles   = 200_000 // of one module
)

// findLicences fills in the licences of the modules, the main module and the
// standard library.
func (b *Bill) findLicences(ctx context.Context, opts Options) error {
	b.Main.Licence = unknown("no source of the main module was given")
	if opts.MainDir != "" {
		l, err := licenceIn(opts.MainDir)
		if err != nil {
			return fmt.Errorf("licence of the main module: %w", err)
		}
		b.Main.Licence = l
	}
	b.Go.Licence = unknown("no Go toolchain was given")
	if opts.GoRoot != "" {
		l, err := goLicence(opts.GoRoot, b.Go.Version)
		if err != nil {
			return fmt.Errorf("licence of the Go toolchain: %w", err)
		}
		b.Go.Licence = l
	}
	if opts.ModCache == "" {
		for i := range b.Modules {
			b.Modules[i].Licence = unknown("no module cache was given")
		}
		return nil
	}
	cache, err := os.OpenRoot(opts.ModCache)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrModCache, err)
	}
	defer cache.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range b.Modules {
		m := &b.Modules[i]
		group.Go(func() (err error) {
			m.Licence, err = cachedLicence(ctx, cache, *m)
			return err
		})
	}
	return group.Wait()
}

// cachedLicence is the licence of a module in the module cache. A licence is
// believed only after the module has proved to be the linked one, by the sum
// over all its files; the licence file enters the sum with the very bytes that
// were looked at.
func cachedLicence(ctx context.Context, cache *os.Root, m Module) (Licence, error) {
	origin, version := m.origin()
	switch {
	case origin == "":
		return unknown("replaced by a directory"), nil
	case version == "":
		return unknown("a module of the workspace"), nil
	case m.Sum == "":
		return unknown("the binary has no sum for it"), nil
	}
	prefix := key(origin, version)
	dir, err := cacheDir(origin, version)
	if err != nil {
		return Licence{}, fmt.Errorf("%w: %s: %w", ErrModCache, prefix, err)
	}
	root, err := cache.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return unknown("not in the module cache"), nil
	}
	if err != nil {
		return Licence{}, fmt.Errorf("%w: %s: %w", ErrModCache, prefix, err)
	}
	defer root.Close()
	found, texts, err := lookFor(root)
	if err != nil {
		return Licence{}, fmt.Errorf("%w: %s: %w", ErrModCache, prefix, err)
	}
	if found.ID == NoAssertion {
		return found, nil
	}
	sum, err := treeHash(ctx, root, prefix, texts)
	if err != nil {
		return Licence{}, fmt.Errorf("%w: %s: %w", ErrModCache, prefix, err)
	}
	if sum != m.Sum {
		return Licence{}, fmt.Errorf("%w: %s has the sum %s, the binary links %s; run go clean -modcache, then go mod download", ErrModCache, prefix, sum, m.Sum)
	}
	return found, nil
}

// cacheDir is where the go command unpacks a module, relative to the cache.
func cacheDir(origin, version string) (string, error) {
	escaped, err := module.EscapePath(origin)
	if err != nil {
		return "", err
	}
	escapedVersion, err := module.EscapeVersion(version)
	if err != nil {
		return "", err
	}
	return escaped + "@" + escapedVersion, nil
}

// treeHash is the h1 sum of a directory. The texts stand for the files of
// their names, so that what was judged is what is hashed.
func treeHash(ctx context.Context, root *os.Root, prefix string, texts map[string][]byte) (string, error) {
	var files []string
	err := fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return ctx.Err()
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file", name)
		case len(files) == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		}
		files = append(files, path.Join(prefix, name))
		return nil
	})
	if err != nil {
		return "", err
	}
	return dirhash.Hash1(files, func(name string) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name = strings.TrimPrefix(name, prefix+"/")
		if text, ok := texts[name]; ok {
			return io.NopCloser(bytes.NewReader(text)), nil
		}
		file, _, err := openRegular(root, name)
		return file, err
	})
}

// licenceName knows the names of licence files: LICENSE, LICENCE.md, COPYING,
// UNLICENSE, LICENSE-MIT, LICENSE.code.
var licenceName = regexp.MustCompile(`^(?i:licen[cs]e|copying|unlicense)(?:[-._].*)?$`)

// sourceName knows files of program code that are called alike.
var sourceName = regexp.MustCompile(`(?i)\.(?:go|c|h|s|py|js|ts|json|ya?ml|html?|tmpl|sh)$`)

// lookFor reads the licence files in the root of a module. All of them have to
// say the same: which of several holds, or for what, is not ours to guess.
// The texts that were read are returned by name.
func lookFor(root *os.Root) (Licence, map[string][]byte, error) {
	names, err := licenceNames(root)
	if err != nil {
		return Licence{}, nil, err
	}
	if len(names) == 0 {
		return unknown("it has no licence file"), nil, nil
	}
	var found Licence
	texts := make(map[string][]byte, len(names))
	for _, name := range names {
		text, err := readLicence(root, name)
		if errors.Is(err, errTooLarge) {
			return unknown("%s has more than %d bytes", name, maxLicence), nil, nil
		}
		if err != nil {
			return Licence{}, nil, err
		}
		texts[name] = text
		id, err := identify(string(text))
		if err != nil {
			return Licence{}, nil, err
		}
		switch {
		case id == NoAssertion:
			return unknown("%s is not word for word one of the known licences", name), nil, nil
		case found.ID == "":
			found = Licence{ID: id, File: name}
		case found.ID != id:
			return unknown("%s is %s and %s is %s", found.File, found.ID, name, id), nil, nil
		}
	}
	return found, texts, nil
}

// licenceNames are the names of the licence files in the root of a module, sorted.
func licenceNames(root *os.Root) ([]string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && licenceName.MatchString(e.Name()) && !sourceName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

var errTooLarge = errors.New("too large")

func readLicence(root *os.Root, name string) ([]byte, error) {
	file, size, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size > maxLicence {
		return nil, errTooLarge
	}
	text, err := io.ReadAll(io.LimitReader(file, maxLicence+1))
	if err == nil && len(text) > maxLicence {
		err = errTooLarge
	}
	return text, err
}

// licenceIn is the licence of the module in a directory.
func licenceIn(dir string) (Licence, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Licence{}, err
	}
	defer root.Close()
	l, _, err := lookFor(root)
	return l, err
}

// goLicence is the licence of the standard library, from the tree of a
// toolchain of the same version.
func goLicence(dir, version string) (Licence, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Licence{}, err
	}
	defer root.Close()
	text, err := readLicence(root, "VERSION")
	if err != nil {
		return Licence{}, err
	}
	have, _, _ := strings.Cut(string(text), "\n")
	// The binary adds the experiments it was built with.
	want, _, _ := strings.Cut(version, " ")
	want, _, _ = strings.Cut(want, "-X:")
	if strings.TrimSpace(have) != want {
		return unknown("the toolchain at hand is %.80q", have), nil
	}
	l, _, err := lookFor(root)
	return l, err
}
