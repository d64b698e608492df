package sbom

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// Errors that [Read] wraps, beside [ErrGraph] and [ErrModCache].
var (
	// ErrNoBuildInfo says that the file is not a Go binary that was built from
	// modules and says so.
	ErrNoBuildInfo = errors.New("no usable build information")
	// ErrVersion says that the binary was built as another version.
	ErrVersion = errors.New("version does not fit the binary")
	// ErrCommit says that the binary was built from another commit, or from a
	// modified work tree.
	ErrCommit = errors.New("commit does not fit the binary")
)

// Options say what the binary cannot say of itself.
type Options struct {
	// Version is the release version of the main module, for example "v1.4.0".
	// Where the binary names a version, it has to be this one.
	Version string
	// Commit is the full object name, 40 or 64 lower-case hex digits. Where the
	// binary names a commit, it has to be this one, and unmodified.
	Commit string
	// Repository is the https URL of the source, without credentials.
	Repository string
	// Created is the time that the documents bear, to the second: that of the
	// commit, or SOURCE_DATE_EPOCH. The zero value takes the time of the commit
	// from the binary, and is an error where the binary has none. The clock is
	// never asked.
	Created time.Time
	// GoModGraph returns the output of "go mod graph", run in the source of the
	// binary. Nil leaves the edges between modules unknown.
	GoModGraph func(ctx context.Context) ([]byte, error)

	// The directories below are read for licences only; an empty one leaves
	// the licences in question at [NoAssertion].

	// ModCache is the module cache (go env GOMODCACHE). A module is believed
	// only if the whole of it has the h1 sum that the binary names.
	ModCache string
	// GoRoot is the tree of the Go toolchain (go env GOROOT); it is believed
	// if its VERSION is that of the binary.
	GoRoot string
	// MainDir is the root of the source of the main module.
	MainDir string
}

// Bill is what a Go binary is made of.
type Bill struct {
	Created    time.Time
	Commit     string
	Repository string
	Binary     Binary
	// Main is the main module; its Version is the release version.
	Main Module
	// Go is the toolchain that built the binary, and so its standard library.
	Go Toolchain
	// Modules are the other modules of which code is linked, sorted by path.
	Modules []Module
	// Graph says that the edges (Module.Needs) are known.
	Graph bool
	// VersionInBinary and CommitInBinary say that the binary itself confirms
	// the version and the commit; else they are the word of the caller.
	VersionInBinary, CommitInBinary bool
}

// Binary is the file that was read.
type Binary struct {
	// Name is the last element of its path.
	Name string
	// Size is in bytes; SHA256 is in lower-case hex.
	Size   int64
	SHA256 string
	// Package is the import path of the main package.
	Package string
	// Settings are those of the build that say what was built, sorted by key.
	// Flags of compiler and linker are left out: they can hold paths of the
	// host and secrets.
	Settings []Setting
}

// Setting is a setting of the build, for example GOOS=linux or -trimpath=true.
type Setting struct{ Key, Value string }

// Toolchain is a Go toolchain.
type Toolchain struct {
	// Version is what the toolchain calls itself, for example "go1.26.8".
	Version string
	Licence Licence
}

// Module is a linked module.
type Module struct {
	// Path and Version are those of the build list. Version is empty for
	// another main module of a workspace.
	Path, Version string
	// Sum is "h1:" and the base64 of the SHA-256 over the names and contents of
	// the files of the module (golang.org/x/mod/sumdb/dirhash), or empty. It is
	// that of the replacement where there is one.
	Sum string
	// Replace is what is linked in place of the module, if anything.
	Replace *Replacement
	Licence Licence
	// Needs are the paths of the linked modules that this one requires, sorted.
	Needs []string
}

// Replacement stands in for a module by a replace directive. An empty Path is
// a directory; where it was is not told.
type Replacement struct{ Path, Version string }

// origin is the module whose code is linked; the path is empty for a directory.
func (m Module) origin() (path, version string) {
	if m.Replace != nil {
		return m.Replace.Path, m.Replace.Version
	}
	return m.Path, m.Version
}

// key identifies a module of the build list.
func key(path, version string) string {
	if version == "" {
		return path
	}
	return path + "@" + version
}

// maxModules bounds the modules of one binary.
const maxModules = 20_000

// Read reads the bill of a binary: the modules that are really linked, from
// the build information in the file, with what the options add to it. Whatever
// binary and options disagree about is an error.
func Read(ctx context.Context, binaryPath string, opts Options) (Bill, error) {
	bill, err := read(ctx, binaryPath, opts)
	if err != nil {
		return Bill{}, fmt.Errorf("bill of materials of %s: %w", filepath.Base(binaryPath), err)
	}
	return bill, nil
}

func read(ctx context.Context, binaryPath string, opts Options) (Bill, error) {
	if err := opts.check(); err != nil {
		return Bill{}, err
	}
	root, err := os.OpenRoot(filepath.Dir(binaryPath))
	if err != nil {
		return Bill{}, err
	}
	defer root.Close()
	name := filepath.Base(binaryPath)
	file, size, err := openRegular(root, name)
	if err != nil {
		return Bill{}, err
	}
	defer file.Close()

	info, err := buildinfo.Read(file)
	if err != nil {
		return Bill{}, fmt.Errorf("%w: %w", ErrNoBuildInfo, err)
	}
	bill, err := assemble(info, opts)
	if err != nil {
		return Bill{}, err
	}
	bill.Binary.Name = name
	if err := checkText("file name", name, 255); err != nil {
		return Bill{}, err
	}
	if opts.GoModGraph != nil {
		raw, err := opts.GoModGraph(ctx)
		if err != nil {
			return Bill{}, fmt.Errorf("%w: %w", ErrGraph, err)
		}
		edges, err := parseGraph(raw)
		if err != nil {
			return Bill{}, err
		}
		if err := bill.connect(edges); err != nil {
			return Bill{}, err
		}
	}
	if bill.Binary.Size, bill.Binary.SHA256, err = digest(ctx, file); err != nil {
		return Bill{}, err
	}
	if bill.Binary.Size != size {
		return Bill{}, fmt.Errorf("the file had %d bytes and now has %d: it is being written", size, bill.Binary.Size)
	}
	if err := bill.findLicences(ctx, opts); err != nil {
		return Bill{}, err
	}
	return bill, nil
}

// openRegular opens a file that is a regular one by its own name: no link, no
// device, no pipe.
func openRegular(root *os.Root, name string) (*os.File, int64, error) {
	named, err := root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !named.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	opened, err := file.Stat()
	if err == nil && !os.SameFile(named, opened) {
		err = fmt.Errorf("%s was exchanged while it was opened", name)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, opened.Size(), nil
}

// digest reads the whole file once, in constant memory.
func digest(ctx context.Context, file *os.File) (int64, string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, "", err
	}
	hash := sha256.New()
	buffer := make([]byte, 256<<10)
	// A reader that is nothing else: a file would offer to copy itself, and
	// then neither the buffer nor the context would be looked at.
	size, err := io.CopyBuffer(hash, &reader{ctx, file}, buffer)
	if err != nil {
		return 0, "", err
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}

// reader stops when the context ends.
type reader struct {
	ctx  context.Context
	from io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

var commitName = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

func (o Options) check() error {
	if !semver.IsValid(o.Version) || semver.Canonical(o.Version) != o.Version {
		return fmt.Errorf("version %.80q is not a whole version like v1.2.3 or v1.2.3-rc.1", o.Version)
	}
	if !commitName.MatchString(o.Commit) {
		return fmt.Errorf("commit %.80q is not a full object name of 40 or 64 lower-case hex digits", o.Commit)
	}
	return checkRepository(o.Repository)
}

// checkRepository does not show the value: it may hold a password.
func checkRepository(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("repository is not a URL")
	}
	if u.User != nil {
		return errors.New("repository holds a user or a password; pass the URL without")
	}
	if u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.String() != text {
		return errors.New("repository is not a URL like https://example.com/owner/name")
	}
	return checkText("repository", text, 1024)
}

// checkText accepts what may stand in a document and on a terminal.
func checkText(what, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("%s has %d bytes, at most %d", what, len(text), limit)
	}
	for _, r := range text {
		if r < ' ' || r > '~' {
			return fmt.Errorf("%s %.80q holds more than printable ASCII", what, text)
		}
	}
	return nil
}

// assemble reads the build information and checks it against the options.
func assemble(info *debug.BuildInfo, opts Options) (Bill, error) {
	if len(info.Deps) > maxModules {
		return Bill{}, fmt.Errorf("%w: %d modules, at most %d", ErrNoBuildInfo, len(info.Deps), maxModules)
	}
	main, deps, err := mainModule(info)
	if err != nil {
		return Bill{}, err
	}
	settings := make(map[string]string, len(info.Settings))
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	bill := Bill{
		Commit: opts.Commit, Repository: opts.Repository,
		Main: Module{Path: main.Path, Version: opts.Version},
		Go:   Toolchain{Version: info.GoVersion},
	}
	if err := checkText("Go version", info.GoVersion, 128); err != nil {
		return Bill{}, fmt.Errorf("%w: %w", ErrNoBuildInfo, err)
	}
	if info.GoVersion == "" {
		return Bill{}, fmt.Errorf("%w: it names no Go version", ErrNoBuildInfo)
	}
	if err := checkPath(main.Path); err != nil {
		return Bill{}, err
	}
	if bill.VersionInBinary, err = checkVersion(main, opts.Version); err != nil {
		return Bill{}, err
	}
	if bill.CommitInBinary, err = checkCommit(settings, opts.Commit); err != nil {
		return Bill{}, err
	}
	if bill.Created, err = created(settings, opts.Created); err != nil {
		return Bill{}, err
	}
	if bill.Binary.Package = info.Path; info.Path != "" {
		if err := checkPath(info.Path); err != nil {
			return Bill{}, err
		}
		// The form that the go command gives to a directory of no module.
		if strings.HasPrefix(info.Path, "_/") {
			return Bill{}, fmt.Errorf("%w: package path %.80q is a directory of the host", ErrNoBuildInfo, info.Path)
		}
	}
	if bill.Binary.Settings, err = told(settings); err != nil {
		return Bill{}, err
	}
	for _, dep := range deps {
		bill.Modules = append(bill.Modules, linked(dep))
	}
	slices.SortFunc(bill.Modules, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return bill, bill.check()
}

// mainModule is the main module and the modules beside it. A binary that was
// built from a list of files, as mage -compile does, names no main module: the
// module of the source then stands among the others, as the one that was built
// from the work tree.
func mainModule(info *debug.BuildInfo) (debug.Module, []*debug.Module, error) {
	if slices.Contains(info.Deps, nil) {
		return debug.Module{}, nil, fmt.Errorf("%w: a dependency is empty", ErrNoBuildInfo)
	}
	if info.Main.Path != "" {
		return info.Main, info.Deps, nil
	}
	isMain := func(m *debug.Module) bool { return m.Version == devel && m.Replace == nil }
	at := slices.IndexFunc(info.Deps, isMain)
	if at < 0 {
		return debug.Module{}, nil, fmt.Errorf("%w: it names no main module; build it inside a module", ErrNoBuildInfo)
	}
	others := slices.Delete(slices.Clone(info.Deps), at, at+1)
	if slices.ContainsFunc(others, isMain) {
		return debug.Module{}, nil, fmt.Errorf("%w: it names no main module and has several from work trees; build the package, not its files", ErrNoBuildInfo)
	}
	return *info.Deps[at], others, nil
}

func checkPath(path string) error {
	if err := module.CheckImportPath(path); err != nil {
		return fmt.Errorf("%w: path %.80q: %w", ErrNoBuildInfo, path, err)
	}
	return nil
}

// devel is the version of what was built from a directory.
const devel = "(devel)"

// checkVersion compares the version that the binary bears, if any, and says
// whether it bears one.
func checkVersion(main debug.Module, want string) (bool, error) {
	_, major, ok := module.SplitPathVersion(main.Path)
	if !ok {
		return false, fmt.Errorf("%w: path %q ends like no module does", ErrNoBuildInfo, main.Path)
	}
	if err := module.CheckPathMajor(want, major); err != nil {
		return false, fmt.Errorf("%w: module %s: %w", ErrVersion, main.Path, err)
	}
	switch have := main.Version; {
	case have == "" || have == devel:
		return false, nil
	case have == want:
		return true, nil
	case strings.HasSuffix(have, "+dirty"):
		return false, fmt.Errorf("%w: it was built as %.80q, from a modified work tree; build it from a clean checkout of %s", ErrVersion, have, want)
	default:
		return false, fmt.Errorf("%w: it was built as %.80q, not as %s", ErrVersion, have, want)
	}
}

// checkCommit compares the commit that the binary bears, if any, and says
// whether it bears one.
func checkCommit(settings map[string]string, want string) (bool, error) {
	have, ok := settings["vcs.revision"]
	if !ok {
		return false, nil
	}
	if have != want {
		return false, fmt.Errorf("%w: it was built from %.80q, not from %s", ErrCommit, have, want)
	}
	if modified := settings["vcs.modified"]; modified != "false" {
		return false, fmt.Errorf("%w: it was built from a modified work tree of %s (vcs.modified=%.8q); build it from a clean checkout", ErrCommit, want, modified)
	}
	return true, nil
}

// created is the time of the documents, in UTC, to the second.
func created(settings map[string]string, given time.Time) (time.Time, error) {
	if given.IsZero() {
		text, ok := settings["vcs.time"]
		if !ok {
			return time.Time{}, errors.New("no time of creation: the binary has no vcs.time; pass the time of the commit or SOURCE_DATE_EPOCH")
		}
		var err error
		if given, err = time.Parse(time.RFC3339, text); err != nil {
			return time.Time{}, fmt.Errorf("%w: vcs.time %.80q is not a time", ErrNoBuildInfo, text)
		}
	}
	given = given.UTC().Truncate(time.Second)
	if given.Year() < 1970 || given.Year() > 9999 {
		return time.Time{}, fmt.Errorf("time of creation is in the year %d", given.Year())
	}
	return given, nil
}

// kept are the settings that say what was built.
var kept = []string{
	"-buildmode", "-compiler", "-tags", "-trimpath",
	"CGO_ENABLED", "GO386", "GOAMD64", "GOARCH", "GOARM", "GOARM64", "GOFIPS140", "GOMIPS", "GOMIPS64", "GOOS", "GOPPC64", "GORISCV64", "GOWASM",
}

func told(settings map[string]string) ([]Setting, error) {
	var all []Setting
	for _, name := range kept {
		value, ok := settings[name]
		if !ok || value == "" {
			continue
		}
		if err := checkText("setting "+name, value, 1024); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoBuildInfo, err)
		}
		all = append(all, Setting{name, value})
	}
	return all, nil
}

// linked reads one dependency of the build information.
func linked(dep *debug.Module) Module {
	m := Module{Path: dep.Path, Version: dep.Version, Sum: dep.Sum}
	if m.Version == devel {
		m.Version = ""
	}
	if r := dep.Replace; r != nil {
		m.Replace, m.Sum = &Replacement{Path: r.Path, Version: r.Version}, r.Sum
		// A directory has no version; its path is one of the host.
		if r.Version == "" || r.Version == devel {
			*m.Replace = Replacement{}
		}
	}
	return m
}

var treeSum = regexp.MustCompile(`^h1:[A-Za-z0-9+/]{43}=$`)

// check holds what both documents rely on: well-formed names, each module once
// and in order, edges between modules that are there.
func (b Bill) check() error {
	if b.Created.IsZero() {
		return errors.New("bill of materials: no time of creation")
	}
	if err := b.Main.check(); err != nil {
		return err
	}
	known := map[string]bool{b.Main.Path: true}
	last := ""
	for _, m := range b.Modules {
		if err := m.check(); err != nil {
			return err
		}
		if known[m.Path] || m.Path <= last {
			return fmt.Errorf("%w: module %s is listed twice or out of order", ErrNoBuildInfo, m.Path)
		}
		known[m.Path], last = true, m.Path
	}
	for _, m := range append([]Module{b.Main}, b.Modules...) {
		for _, need := range m.Needs {
			if !known[need] {
				return fmt.Errorf("bill of materials: %s needs %.80q, which is not linked", m.Path, need)
			}
		}
	}
	return nil
}

func (m Module) check() error {
	if err := checkPath(m.Path); err != nil {
		return err
	}
	if m.Version != "" && !semver.IsValid(m.Version) {
		return fmt.Errorf("%w: module %s: %.80q is not a version", ErrNoBuildInfo, m.Path, m.Version)
	}
	if m.Sum != "" && !treeSum.MatchString(m.Sum) {
		return fmt.Errorf("%w: module %s: %.80q is not an h1 sum", ErrNoBuildInfo, m.Path, m.Sum)
	}
	if r := m.Replace; r != nil && *r != (Replacement{}) {
		if err := checkPath(r.Path); err != nil {
			return err
		}
		if !semver.IsValid(r.Version) {
			return fmt.Errorf("%w: module %s: replaced by %s in %.80q, which is not a version", ErrNoBuildInfo, m.Path, r.Path, r.Version)
		}
	}
	return nil
}
