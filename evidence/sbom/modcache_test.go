package sbom

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"
	"gotest.tools/v3/assert"
)

// cached makes a module cache with one module of the given files and returns
// the cache, the directory of the module, and the module.
func cached(t *testing.T, files map[string]string) (string, string, Module) {
	t.Helper()
	cache := t.TempDir()
	dir := filepath.Join(cache, "example.org", "!lib@v1.0.0")
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	sum, err := dirhash.HashDir(dir, "example.org/Lib@v1.0.0", dirhash.Hash1)
	assert.NilError(t, err)
	return cache, dir, Module{Path: "example.org/Lib", Version: "v1.0.0", Sum: sum}
}

func licenceOf(t *testing.T, cache string, m Module) (Licence, error) {
	t.Helper()
	b := Bill{Modules: []Module{m}}
	err := b.findLicences(t.Context(), Options{ModCache: cache})
	return b.Modules[0].Licence, err
}

func TestLicenceOfAModule(t *testing.T) {
	t.Parallel()
	mit, apache := text(t, "MIT"), text(t, "Apache-2.0")
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Licence
	}{
		{"one", map[string]string{"LICENSE": mit, "a.go": "package a", "sub/b.go": "package b"}, Licence{ID: "MIT", File: "LICENSE"}},
		{"two that agree", map[string]string{"COPYING": mit, "LICENSE.md": mit}, Licence{ID: "MIT", File: "COPYING"}},
		{"spelling", map[string]string{"Licence.txt": apache}, Licence{ID: "Apache-2.0", File: "Licence.txt"}},
		{"source of that name", map[string]string{"LICENSE": mit, "license.go": "package a", "license_test.go": "package a"}, Licence{ID: "MIT", File: "LICENSE"}},
		{"below the root", map[string]string{"sub/LICENSE": mit}, Licence{ID: NoAssertion, Why: "it has no licence file"}},
		{"none", map[string]string{"a.go": "package a"}, Licence{ID: NoAssertion, Why: "it has no licence file"}},
		{"two that differ", map[string]string{"LICENSE-APACHE": apache, "LICENSE-MIT": mit}, Licence{ID: NoAssertion, Why: "LICENSE-APACHE is Apache-2.0 and LICENSE-MIT is MIT"}},
		{"third parties", map[string]string{"LICENSE": mit, "LICENSE-3RD-PARTY.md": "others"}, Licence{ID: NoAssertion, Why: "LICENSE-3RD-PARTY.md is not word for word one of the known licences"}},
		{"empty", map[string]string{"LICENSE": ""}, Licence{ID: NoAssertion, Why: "LICENSE is not word for word one of the known licences"}},
		{"huge", map[string]string{"LICENSE": string(make([]byte, maxLicence+1))}, Licence{ID: NoAssertion, Why: "LICENSE has more than 262144 bytes"}},
	} {
		cache, _, m := cached(t, c.files)
		have, err := licenceOf(t, cache, m)
		assert.NilError(t, err, c.name)
		assert.Equal(t, have, c.want, c.name)
	}
}

func TestLicenceOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	cache, _, m := cached(t, map[string]string{"LICENSE": text(t, "MIT")})
	for want, change := range map[string]func(m *Module){
		"not in the module cache":        func(m *Module) { m.Version = "v1.0.1" },
		"the binary has no sum for it":   func(m *Module) { m.Sum = "" },
		"replaced by a directory":        func(m *Module) { m.Replace = &Replacement{} },
		"a module of the workspace":      func(m *Module) { m.Version = "" },
		"it is what stands in its place": func(m *Module) { m.Path, m.Replace = "example.org/other", &Replacement{m.Path, m.Version} },
	} {
		changed := m
		change(&changed)
		have, err := licenceOf(t, cache, changed)
		assert.NilError(t, err)
		if changed.Path != m.Path {
			assert.Equal(t, have.ID, "MIT")
			continue
		}
		assert.Equal(t, have, Licence{ID: NoAssertion, Why: want})
	}
}

func TestAlteredModuleCache(t *testing.T) {
	t.Parallel()
	files := map[string]string{"LICENSE": text(t, "MIT"), "a.go": "package a"}
	for name, alter := range map[string]func(dir string) error{
		"other licence": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(text(t, "ISC")), 0o600)
		},
		"other code":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.go"), []byte("package b"), 0o600) },
		"a file more": func(dir string) error { return os.WriteFile(filepath.Join(dir, "b.go"), nil, 0o600) },
		"a file less": func(dir string) error { return os.Remove(filepath.Join(dir, "a.go")) },
		"a link":      func(dir string) error { return os.Symlink("a.go", filepath.Join(dir, "b.go")) },
		"a linked licence": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "LICENSE"), filepath.Join(dir, "x")), os.Symlink("x", filepath.Join(dir, "LICENSE")))
		},
		"a link out of the cache": func(dir string) error {
			moved := filepath.Join(t.TempDir(), "moved")
			return errors.Join(os.Rename(dir, moved), os.Symlink(moved, dir))
		},
		"a file in its place": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
	} {
		cache, dir, m := cached(t, files)
		assert.NilError(t, alter(dir), name)
		_, err := licenceOf(t, cache, m)
		assert.Assert(t, errors.Is(err, ErrModCache), "%s: %v", name, err)
	}
}

func TestLicenceOfTheToolchain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := goLicence(dir, "go1.26.8")
	assert.Assert(t, errors.Is(err, os.ErrNotExist))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte("go1.26.8\ntime 2026-08-28T16:20:06Z\n"), 0o600))
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(text(t, "BSD-3-Clause")), 0o600))
	for version, want := range map[string]string{
		"go1.26.8": "BSD-3-Clause", "go1.26.8 X:jsonv2": "BSD-3-Clause", "go1.26.8-X:jsonv2": "BSD-3-Clause",
		"go1.26.9": NoAssertion, "go1.26": NoAssertion, "devel go1.27-abcdef": NoAssertion,
	} {
		have, err := goLicence(dir, version)
		assert.NilError(t, err)
		assert.Equal(t, have.ID, want, version)
	}
}
