package sbom

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	assert.NilError(t, err, "%s %s: %s", name, strings.Join(args, " "), stderr.String())
	return strings.TrimSpace(string(out))
}

// The program that most tests read is built once.
var (
	scratch  string
	builtApp = sync.OnceValues(func() (string, error) {
		app := filepath.Join(scratch, "app")
		out, err := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", app, "./testdata/app").CombinedOutput()
		if err != nil {
			return "", errors.New(string(out))
		}
		return app, nil
	})
)

func TestMain(m *testing.M) {
	code := 1
	if dir, err := os.MkdirTemp("", "sbom-test-"); err == nil {
		scratch = dir
		code = m.Run()
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func app(t testing.TB) string {
	t.Helper()
	path, err := builtApp()
	assert.NilError(t, err)
	return path
}

func options(t testing.TB) Options {
	t.Helper()
	env := strings.Split(run(t, "", "go", "env", "GOMODCACHE", "GOROOT"), "\n")
	return Options{
		Version: "v1.4.0", Commit: testCommit, Repository: "https://github.com/dpone/dpone",
		Created:  time.Date(2026, 11, 22, 13, 0, 0, 123, time.FixedZone("", 3600)),
		ModCache: env[0], GoRoot: env[1], MainDir: "../..",
		GoModGraph: func(ctx context.Context) ([]byte, error) {
			return exec.CommandContext(ctx, "go", "mod", "graph").Output()
		},
	}
}

func documents(t testing.TB, b Bill) (cyclone, spdx []byte) {
	t.Helper()
	var c, s bytes.Buffer
	assert.NilError(t, b.CycloneDX(&c))
	assert.NilError(t, b.SPDX(&s))
	return c.Bytes(), s.Bytes()
}

// TestReadSaysWhatGoVersionSays compares with the word of the go command.
func TestReadSaysWhatGoVersionSays(t *testing.T) {
	t.Parallel()
	b, err := Read(t.Context(), app(t), options(t))
	assert.NilError(t, err)

	var want []string // path version sum
	for line := range strings.Lines(run(t, "", "go", "version", "-m", app(t))) {
		if fields := strings.Fields(line); fields[0] == "dep" {
			want = append(want, strings.Join(fields[1:], " "))
		}
	}
	assert.Assert(t, len(want) >= 3)
	var have []string
	for _, m := range b.Modules {
		have = append(have, m.Path+" "+m.Version+" "+m.Sum)
	}
	assert.DeepEqual(t, have, want)
	assert.Equal(t, b.Main.Path, "github.com/dpone/dpone")
	assert.Equal(t, b.Main.Version, "v1.4.0")
	assert.Equal(t, b.Binary.Package, "github.com/dpone/dpone/evidence/sbom/testdata/app")
	assert.Equal(t, b.Go.Version, run(t, "", "go", "env", "GOVERSION"))
	assert.Equal(t, b.Created, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	assert.Assert(t, b.Graph && !b.VersionInBinary && !b.CommitInBinary)
	assert.Assert(t, slices.Contains(b.Binary.Settings, Setting{"-trimpath", "true"}))
	info, err := os.Stat(app(t))
	assert.NilError(t, err)
	assert.Equal(t, b.Binary.Size, info.Size())

	licences := map[string]string{}
	for _, m := range b.Modules {
		licences[m.Path] = m.Licence.ID
	}
	assert.DeepEqual(t, licences, map[string]string{
		"github.com/cespare/xxhash/v2": "MIT",
		"golang.org/x/mod":             "BSD-3-Clause",
		"go.yaml.in/yaml/v3":           NoAssertion, // two licences in one file
	})
	assert.Equal(t, b.Main.Licence, Licence{ID: "Apache-2.0", File: "LICENSE"})
	assert.Equal(t, b.Go.Licence, Licence{ID: "BSD-3-Clause", File: "LICENSE"})

	// Both documents hold the linked modules, and nothing else.
	cyclone, spdx := documents(t, b)
	linked := []string{"stdlib@" + strings.TrimPrefix(b.Go.Version, "go")}
	for _, m := range b.Modules {
		linked = append(linked, m.Path+"@"+m.Version)
	}
	c, s := validCycloneDX(t, cyclone), validSPDX(t, spdx)
	var components, packages []string
	for i, m := range c.Components {
		components = append(components, m.Name+"@"+m.Version)
		if i > 0 {
			assert.Equal(t, m.property(propSum), b.Modules[i-1].Sum)
		}
	}
	for _, p := range s.Packages[1:] {
		packages = append(packages, p.Name+"@"+p.VersionInfo)
	}
	assert.DeepEqual(t, components, linked)
	assert.DeepEqual(t, packages, linked)
	assert.Equal(t, c.Metadata.Component.Name, b.Main.Path)
	assert.Equal(t, s.Packages[0].Name, b.Main.Path)
	assert.Equal(t, c.Metadata.Timestamp, "2026-11-22T12:00:00Z")

	// The main module needs all that its go.mod names; yaml needs none of them.
	assert.Equal(t, len(b.Main.Needs), 3)
	assert.Equal(t, len(c.Dependencies), 5)
}

// TestDocumentsAreOfTheBytesAlone reads a copy elsewhere, again and again.
func TestDocumentsAreOfTheBytesAlone(t *testing.T) {
	t.Parallel()
	opts := options(t)
	first, err := Read(t.Context(), app(t), opts)
	assert.NilError(t, err)
	cyclone, spdx := documents(t, first)

	raw, err := os.ReadFile(app(t))
	assert.NilError(t, err)
	elsewhere := filepath.Join(t.TempDir(), "app")
	assert.NilError(t, os.WriteFile(elsewhere, raw, 0o600))
	second, err := Read(t.Context(), elsewhere, opts)
	assert.NilError(t, err)
	cycloneAgain, spdxAgain := documents(t, second)
	assert.Equal(t, string(cyclone), string(cycloneAgain))
	assert.Equal(t, string(spdx), string(spdxAgain))

	here, err := os.Getwd()
	assert.NilError(t, err)
	home, err := os.UserHomeDir()
	assert.NilError(t, err)
	for _, path := range []string{here, home, opts.ModCache, opts.GoRoot, scratch, filepath.Dir(elsewhere)} {
		for _, doc := range [][]byte{cyclone, spdx} {
			assert.Assert(t, !bytes.Contains(doc, []byte(path+"/")) && !bytes.Contains(doc, []byte(path+`"`)), path)
		}
	}
}

func TestReadAStrippedBinary(t *testing.T) {
	t.Parallel()
	stripped := filepath.Join(t.TempDir(), "app")
	run(t, "", "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w -X main.secret=hunter2hunter2", "-o", stripped, "./testdata/app")
	opts := options(t)
	opts.ModCache, opts.GoRoot, opts.MainDir = "", "", ""
	b, err := Read(t.Context(), stripped, opts)
	assert.NilError(t, err)
	assert.Equal(t, len(b.Modules), 3)
	for _, m := range b.Modules {
		assert.Equal(t, m.Licence.ID, NoAssertion)
	}
	cyclone, spdx := documents(t, b)
	validCycloneDX(t, cyclone)
	validSPDX(t, spdx)
	assert.Assert(t, !bytes.Contains(append(cyclone, spdx...), []byte("hunter2")), "flags of the linker are told")
}

func TestReadRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(app(t))
	assert.NilError(t, err)
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("#!/bin/sh\necho app\n"), "cut": raw[:4096], "head": raw[:64],
		"zeroed": append(slices.Clone(raw[:len(raw)/8]), make([]byte, len(raw)-len(raw)/8)...),
		// The marks of the build information are gone, the program still runs.
		"scrubbed": bytes.ReplaceAll(raw, []byte("\xff Go buildinf:"), []byte("\xff No buildinf:")),
	} {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.WriteFile(path, content, 0o600))
		_, err := Read(t.Context(), path, options(t))
		assert.Assert(t, errors.Is(err, ErrNoBuildInfo), "%s: %v", name, err)
		assert.ErrorContains(t, err, name)
	}
	_, err = Read(t.Context(), filepath.Join(dir, "missing"), options(t))
	assert.Assert(t, errors.Is(err, os.ErrNotExist))
	_, err = Read(t.Context(), dir, options(t))
	assert.ErrorContains(t, err, "not a regular file")
	link := filepath.Join(dir, "link")
	assert.NilError(t, os.Symlink(app(t), link))
	_, err = Read(t.Context(), link, options(t))
	assert.ErrorContains(t, err, "not a regular file")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	opts := options(t)
	opts.GoModGraph = nil
	_, err = Read(ended, app(t), opts)
	assert.Assert(t, errors.Is(err, context.Canceled))
}

func TestReadRefusesOptions(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(o *Options){
		"no version":    func(o *Options) { o.Version = "" },
		"bare version":  func(o *Options) { o.Version = "1.4.0" },
		"short version": func(o *Options) { o.Version = "v1.4" },
		"dirty version": func(o *Options) { o.Version = "v1.4.0+dirty" },
		"no commit":     func(o *Options) { o.Commit = "" },
		"short commit":  func(o *Options) { o.Commit = testCommit[:12] },
		"upper commit":  func(o *Options) { o.Commit = strings.ToUpper(testCommit) },
		"no repository": func(o *Options) { o.Repository = "" },
		"ssh":           func(o *Options) { o.Repository = "ssh://example.org/a/b" },
		"http":          func(o *Options) { o.Repository = "http://example.org/a/b" },
		"password":      func(o *Options) { o.Repository = "https://user:hunter2hunter2@example.org/a/b" },
		"query":         func(o *Options) { o.Repository = "https://example.org/a/b?token=hunter2hunter2" },
		"fragment":      func(o *Options) { o.Repository = "https://example.org/a/b#x" },
		"only a host":   func(o *Options) { o.Repository = "https://example.org/" },
		"host path":     func(o *Options) { o.Repository = "/srv/git/app" },
		"no time":       func(o *Options) { o.Created = time.Time{} },
		"ancient":       func(o *Options) { o.Created = time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC) },
		"major":         func(o *Options) { o.Version = "v2.0.0" },
		"graph fails": func(o *Options) {
			o.GoModGraph = func(context.Context) ([]byte, error) { return nil, errors.New("no go") }
		},
		"graph of other": func(o *Options) {
			o.GoModGraph = func(context.Context) ([]byte, error) { return []byte("a.b/c a.b/d@v1.0.0\n"), nil }
		},
		"no cache": func(o *Options) { o.ModCache = filepath.Join(scratch, "none") },
	} {
		opts := options(t)
		change(&opts)
		_, err := Read(t.Context(), app(t), opts)
		assert.Assert(t, err != nil, name)
		assert.Assert(t, !strings.Contains(err.Error(), "hunter2"), name)
	}
}

// TestVersionAndCommitOfARepository builds from a repository, so that the
// binary itself knows what it is.
func TestVersionAndCommitOfARepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":     "module example.org/tagged\n\ngo 1.26\n",
		"main.go":    "package main\n\nfunc main() {}\n",
		".gitignore": "/tagged\n",
	} {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	git := func(args ...string) string {
		return run(t, dir, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "first")
	git("tag", "v1.4.0")
	opts := Options{Version: "v1.4.0", Commit: git("rev-parse", "HEAD"), Repository: "https://example.org/acme/tagged"}
	built := func() string {
		out := filepath.Join(dir, "tagged")
		run(t, dir, "go", "build", "-buildvcs=true", "-o", out)
		return out
	}
	path := built()
	b, err := Read(t.Context(), path, opts)
	assert.NilError(t, err)
	assert.Assert(t, b.VersionInBinary && b.CommitInBinary)
	assert.Equal(t, b.Created.Unix(), unix(t, git("log", "-1", "--format=%cI")))
	assert.Equal(t, len(b.Modules), 0)
	cyclone, spdx := documents(t, b)
	validCycloneDX(t, cyclone)
	validSPDX(t, spdx)

	wrong := opts
	wrong.Version = "v1.4.1"
	_, err = Read(t.Context(), path, wrong)
	assert.Assert(t, errors.Is(err, ErrVersion))
	assert.ErrorContains(t, err, `built as "v1.4.0", not as v1.4.1`)
	wrong = opts
	wrong.Commit = testCommit
	_, err = Read(t.Context(), path, wrong)
	assert.Assert(t, errors.Is(err, ErrCommit))

	assert.NilError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o600))
	_, err = Read(t.Context(), built(), opts)
	assert.Assert(t, errors.Is(err, ErrVersion))
	assert.ErrorContains(t, err, "modified work tree")
}

func unix(t *testing.T, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	assert.NilError(t, err)
	return at.Unix()
}

// given is the build information of a binary that knows its commit.
func given() *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Path:      "example.org/app/cmd",
		Main:      debug.Module{Path: "example.org/app", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.org/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.net/fork", Version: "v1.0.1", Sum: zeroSum}},
			{Path: "example.org/c", Version: "v1.0.0", Replace: &debug.Module{Path: "/home/me/c", Version: "(devel)"}},
			{Path: "example.org/a", Version: "v1.2.3", Sum: zeroSum},
			{Path: "example.org/d", Version: "(devel)"},
		},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: testCommit},
			{Key: "vcs.time", Value: "2026-11-22T12:00:00Z"},
			{Key: "vcs.modified", Value: "false"},
			{Key: "-ldflags", Value: "-X main.token=hunter2hunter2"},
			{Key: "CGO_CFLAGS", Value: "-I/home/me/include"},
			{Key: "GOOS", Value: "linux"},
		},
	}
}

func TestAssemble(t *testing.T) {
	t.Parallel()
	opts := Options{Version: "v1.4.0", Commit: testCommit, Repository: "https://example.org/acme/app"}
	b, err := assemble(given(), opts)
	assert.NilError(t, err)
	assert.Assert(t, b.CommitInBinary && !b.VersionInBinary)
	assert.DeepEqual(t, b.Modules, []Module{
		{Path: "example.org/a", Version: "v1.2.3", Sum: zeroSum},
		{Path: "example.org/b", Version: "v1.0.0", Sum: zeroSum, Replace: &Replacement{"example.net/fork", "v1.0.1"}},
		{Path: "example.org/c", Version: "v1.0.0", Replace: &Replacement{}},
		{Path: "example.org/d"},
	})
	assert.DeepEqual(t, b.Binary.Settings, []Setting{{"GOOS", "linux"}})
	b.Binary.Name, b.Binary.SHA256 = "app", strings.Repeat("0", 64)
	cyclone, spdx := documents(t, b)
	for _, doc := range [][]byte{cyclone, spdx} {
		assert.Assert(t, !bytes.Contains(doc, []byte("/home/me")) && !bytes.Contains(doc, []byte("hunter2")))
	}
	c, s := validCycloneDX(t, cyclone), validSPDX(t, spdx)
	assert.Equal(t, c.Components[2].PURL, "pkg:golang/example.net/fork@v1.0.1")
	assert.Equal(t, c.Components[2].property(propReplaces), "example.org/b@v1.0.0")
	assert.Equal(t, c.Components[3].PURL, "")
	assert.Equal(t, c.Components[3].property(propReplaced), "directory")
	assert.Equal(t, s.Packages[3].SourceInfo, "go.sum "+zeroSum+"; replaces example.org/b@v1.0.0")
	assert.Equal(t, s.Packages[4].SourceInfo, "replaces example.org/c@v1.0.0; by a directory")

	// A binary that was built from files names its module among the others.
	files := given()
	files.Main, files.Path = debug.Module{}, "command-line-arguments"
	files.Deps[3].Path = "example.org/app"
	b, err = assemble(files, opts)
	assert.NilError(t, err)
	assert.Equal(t, b.Main.Path, "example.org/app")
	assert.Equal(t, len(b.Modules), 3)
}

func TestAssembleRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		want   error
		change func(i *debug.BuildInfo)
	}{
		{"other version", ErrVersion, func(i *debug.BuildInfo) { i.Main.Version = "v1.3.9" }},
		{"pseudo-version", ErrVersion, func(i *debug.BuildInfo) { i.Main.Version = "v1.4.1-0.20261122120000-0123456789ab" }},
		{"dirty version", ErrVersion, func(i *debug.BuildInfo) { i.Main.Version = "v1.4.0+dirty" }},
		{"other major", ErrVersion, func(i *debug.BuildInfo) { i.Main.Path = "example.org/app/v2" }},
		{"other commit", ErrCommit, func(i *debug.BuildInfo) { i.Settings[0].Value = strings.Repeat("0", 40) }},
		{"empty commit", ErrCommit, func(i *debug.BuildInfo) { i.Settings[0].Value = "" }},
		{"modified", ErrCommit, func(i *debug.BuildInfo) { i.Settings[2].Value = "true" }},
		{"modified unknown", ErrCommit, func(i *debug.BuildInfo) { i.Settings[2].Key = "x" }},
		{"no main module", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Main, i.Deps = debug.Module{}, i.Deps[:3] }},
		{"two main modules", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Main, i.Deps[2].Version = debug.Module{}, "(devel)" }},
		{"empty dependency", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[0] = nil }},
		{"dependency twice", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[0] = i.Deps[1] }},
		{"main among them", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[2].Path = "example.org/app" }},
		{"main path", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Main.Path = "/home/me/app" }},
		{"package path", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Path = "_/home/me/app" }},
		{"dependency path", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[2].Path = "exa\nmple.org/a" }},
		{"dependency version", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[2].Version = "master" }},
		{"dependency sum", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[2].Sum = "h2:x" }},
		{"replacement path", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps[0].Replace.Path = "../fork" }},
		{"no Go version", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.GoVersion = "" }},
		{"long Go version", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.GoVersion = strings.Repeat("x", 129) }},
		{"setting", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Settings[5].Value = "linux\x1b[2J" }},
		{"time", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Settings[1].Value = "yesterday" }},
		{"many", ErrNoBuildInfo, func(i *debug.BuildInfo) { i.Deps = make([]*debug.Module, maxModules+1) }},
	} {
		info := given()
		c.change(info)
		_, err := assemble(info, Options{Version: "v1.4.0", Commit: testCommit, Repository: "https://example.org/acme/app"})
		assert.Assert(t, errors.Is(err, c.want), "%s: %v", c.name, err)
	}
}

func FuzzBuildInfo(f *testing.F) {
	f.Add(given().String())
	files := given()
	files.Main = debug.Module{}
	f.Add(files.String())
	opts := Options{Version: "v1.4.0", Commit: testCommit, Repository: "https://example.org/acme/app", Created: small().Created}
	f.Fuzz(func(t *testing.T, text string) {
		info, err := debug.ParseBuildInfo(text)
		if err != nil {
			return
		}
		b, err := assemble(info, opts)
		if err != nil {
			return
		}
		b.Binary.Name, b.Binary.SHA256 = "app", strings.Repeat("0", 64)
		cyclone, spdx := documents(t, b)
		validCycloneDX(t, cyclone)
		validSPDX(t, spdx)
	})
}

func BenchmarkRead(b *testing.B) {
	opts := options(b)
	raw, err := opts.GoModGraph(b.Context())
	assert.NilError(b, err)
	opts.GoModGraph = func(context.Context) ([]byte, error) { return raw, nil }
	path := app(b)
	for _, c := range []struct{ name, cache string }{{"binary", ""}, {"licences", opts.ModCache}} {
		b.Run(c.name, func(b *testing.B) {
			opts.ModCache = c.cache
			info, err := os.Stat(path)
			assert.NilError(b, err)
			b.SetBytes(info.Size())
			for b.Loop() {
				if _, err := Read(b.Context(), path, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	bill := small()
	bill.Main.Needs = nil
	bill.Modules = nil
	for i := range 100 {
		path := "example.org/module/number-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		bill.Modules = append(bill.Modules, Module{Path: path, Version: "v1.2.3", Sum: zeroSum, Licence: Licence{ID: "MIT"}})
		bill.Main.Needs = append(bill.Main.Needs, path)
	}
	b.Run("CycloneDX", func(b *testing.B) {
		for b.Loop() {
			if _, err := bill.cycloneDX(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("SPDX", func(b *testing.B) {
		for b.Loop() {
			if _, err := bill.spdx(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
