package sbom

import (
	"bytes"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

const (
	zeroSum    = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	testCommit = "0123456789abcdef0123456789abcdef01234567"
)

// small is a bill with one module of each kind.
func small() Bill {
	return Bill{
		Created:    time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		Commit:     testCommit,
		Repository: "https://example.org/acme/app",
		Binary: Binary{
			Name: "app", Size: 4096, SHA256: strings.Repeat("ab", 32), Package: "example.org/app/cmd",
			Settings: []Setting{{"-tags", "one,two"}, {"-trimpath", "true"}, {"CGO_ENABLED", "0"}, {"GOARCH", "amd64"}, {"GOOS", "linux"}},
		},
		Main:  Module{Path: "example.org/app", Version: "v1.4.0", Licence: Licence{ID: "Apache-2.0"}, Needs: []string{"example.org/Lib/v2", "example.org/fork", "example.org/local"}},
		Go:    Toolchain{Version: "go1.26.8", Licence: Licence{ID: "BSD-3-Clause"}},
		Graph: true,
		Modules: []Module{
			{Path: "example.org/Lib/v2", Version: "v2.0.1", Sum: zeroSum, Licence: Licence{ID: "MIT"}, Needs: []string{"example.org/fork"}},
			{Path: "example.org/fork", Version: "v1.0.0", Sum: zeroSum, Replace: &Replacement{"example.net/fork", "v1.0.1-0.20260101000000-abcdefabcdef"}, Licence: Licence{ID: NoAssertion}},
			{Path: "example.org/local", Version: "v0.1.0", Replace: &Replacement{}},
			{Path: "example.org/old", Version: "v3.0.0+incompatible", Sum: zeroSum},
			{Path: "example.org/workspace"},
		},
	}
}

func TestDocumentsOfASmallBill(t *testing.T) {
	t.Parallel()
	var cyclone, spdx bytes.Buffer
	assert.NilError(t, small().CycloneDX(&cyclone))
	assert.NilError(t, small().SPDX(&spdx))
	golden.Assert(t, cyclone.String(), "small.cyclonedx.json")
	golden.Assert(t, spdx.String(), "small.spdx.json")

	c, s := validCycloneDX(t, cyclone.Bytes()), validSPDX(t, spdx.Bytes())
	assert.Equal(t, len(c.Components), 6)
	assert.Equal(t, len(s.Packages), 7)
	assert.Equal(t, c.Metadata.Component.Hashes[0].Content, small().Binary.SHA256)
	assert.Equal(t, s.Packages[0].Checksums[0].Value, small().Binary.SHA256)
	for _, m := range c.Components {
		assert.Equal(t, len(m.Hashes), 0, m.Ref)
	}
}

// TestCommentShowsTheFormat holds the example of the package comment against
// the documents.
func TestCommentShowsTheFormat(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	assert.NilError(t, err)
	cyclone, err := small().cycloneDX()
	assert.NilError(t, err)
	spdx, err := small().spdx()
	assert.NilError(t, err)
	documents := strings.ReplaceAll(string(cyclone)+string(spdx), "\n    ", "\n")
	var example []string
	examples := 0
	for _, line := range strings.Split(file.Doc.Text()+"\n", "\n") {
		if code, ok := strings.CutPrefix(line, "\t"); ok {
			example = append(example, code)
			continue
		}
		if len(example) > 0 {
			examples++
			assert.Assert(t, strings.Contains(documents, strings.Join(example, "\n")), strings.Join(example, "\n"))
			example = nil
		}
	}
	assert.Equal(t, examples, 2)
}

// TestIdentityIsOfTheContent changes one fact at a time: each gives another
// serial number and another namespace, and the same fact the same.
func TestIdentityIsOfTheContent(t *testing.T) {
	t.Parallel()
	identity := func(b Bill) [2]string {
		cyclone, err := b.cycloneDX()
		assert.NilError(t, err)
		spdx, err := b.spdx()
		assert.NilError(t, err)
		return [2]string{validCycloneDX(t, cyclone).SerialNumber, validSPDX(t, spdx).Namespace}
	}
	before := identity(small())
	assert.Equal(t, identity(small()), before)
	for name, change := range map[string]func(b *Bill){
		"time":    func(b *Bill) { b.Created = b.Created.Add(time.Second) },
		"commit":  func(b *Bill) { b.Commit = strings.Repeat("0", 40) },
		"digest":  func(b *Bill) { b.Binary.SHA256 = strings.Repeat("00", 32) },
		"version": func(b *Bill) { b.Main.Version = "v1.4.1" },
		"module":  func(b *Bill) { b.Modules = b.Modules[1:]; b.Main.Needs = nil },
		"licence": func(b *Bill) { b.Modules[0].Licence.ID = "ISC" },
		"go":      func(b *Bill) { b.Go.Version = "go1.26.9" },
	} {
		b := small()
		change(&b)
		after := identity(b)
		assert.Assert(t, after[0] != before[0] && after[1] != before[1], name)
	}
}

func TestDocumentsWithoutAGraph(t *testing.T) {
	t.Parallel()
	b := small()
	b.Graph, b.Main.Needs, b.Modules[0].Needs = false, nil, nil
	cyclone, err := b.cycloneDX()
	assert.NilError(t, err)
	assert.Equal(t, len(validCycloneDX(t, cyclone).Dependencies), 0)
	spdx, err := b.spdx()
	assert.NilError(t, err)
	for _, r := range validSPDX(t, spdx).Relationships {
		assert.Assert(t, r.Type != "DEPENDS_ON")
	}
}

func TestDocumentsRefuseABadBill(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *Bill){
		"no time":      func(b *Bill) { b.Created = time.Time{} },
		"twice":        func(b *Bill) { b.Modules = append(b.Modules, b.Modules[4]) },
		"out of order": func(b *Bill) { b.Modules[0], b.Modules[1] = b.Modules[1], b.Modules[0] },
		"main again":   func(b *Bill) { b.Modules = append(b.Modules[:1:1], Module{Path: b.Main.Path}) },
		"dangling":     func(b *Bill) { b.Modules[0].Needs = []string{"example.org/none"} },
		"path":         func(b *Bill) { b.Modules[0].Path = "/home/me/lib" },
		"replacement":  func(b *Bill) { b.Modules[1].Replace.Path = "/home/me/fork" },
		"version":      func(b *Bill) { b.Modules[0].Version = "latest" },
		"sum":          func(b *Bill) { b.Modules[0].Sum = "h1:x" },
	} {
		b := small()
		change(&b)
		assert.Assert(t, b.CycloneDX(&bytes.Buffer{}) != nil, name)
		assert.Assert(t, b.SPDX(&bytes.Buffer{}) != nil, name)
	}
}

func TestPURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, version, want string }{
		{"github.com/jackc/pgx/v5", "v5.12.0", "pkg:golang/github.com/jackc/pgx/v5@v5.12.0"},
		{"github.com/CycloneDX/cyclonedx-go", "v0.12.0", "pkg:golang/github.com/cyclonedx/cyclonedx-go@v0.12.0"},
		{"github.com/google/flatbuffers", "v25.12.19+incompatible", "pkg:golang/github.com/google/flatbuffers@v25.12.19%2Bincompatible"},
		{"gopkg.in/yaml.v3", "v3.0.1", "pkg:golang/gopkg.in/yaml.v3@v3.0.1"},
		{"git.sr.ht/~user/c++", "v1.0.0", "pkg:golang/git.sr.ht/~user/c%2B%2B@v1.0.0"},
		{"example.org/a b@c", "", "pkg:golang/example.org/a%20b%40c"},
		{"stdlib", "1.26.8", "pkg:golang/stdlib@1.26.8"},
	} {
		assert.Equal(t, purl(c.path, c.version), c.want)
	}
}

func TestStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ go_, version, url string }{
		{"go1.26.8", "1.26.8", "pkg:golang/stdlib@1.26.8"},
		{"go1.27rc1", "1.27rc1", "pkg:golang/stdlib@1.27rc1"},
		{"go1.26.8 X:jsonv2", "1.26.8", "pkg:golang/stdlib@1.26.8"},
		{"go1.26.8-X:jsonv2", "1.26.8", "pkg:golang/stdlib@1.26.8"},
		{"devel go1.27-abcdef", "devel go1.27-abcdef", ""},
		{"go1.26.8-vendor", "go1.26.8-vendor", ""},
	} {
		version, url := Toolchain{Version: c.go_}.stdlib()
		assert.Equal(t, version, c.version)
		assert.Equal(t, url, c.url)
	}
}
