package sbom

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"gotest.tools/v3/assert"
)

func TestParseGraph(t *testing.T) {
	t.Parallel()
	edges, err := parseGraph([]byte("example.org/app go@1.26.0\nexample.org/app example.org/a@v1.0.0\nexample.org/a@v1.0.0 toolchain@go1.26.8\nexample.org/a@v1.0.0 example.org/b@v2.0.0+incompatible"))
	assert.NilError(t, err)
	assert.Assert(t, slices.Equal(edges, [][2]node{
		{{"example.org/app", ""}, {"example.org/a", "v1.0.0"}},
		{{"example.org/a", "v1.0.0"}, {"example.org/b", "v2.0.0+incompatible"}},
	}), edges)
	edges, err = parseGraph(nil)
	assert.NilError(t, err)
	assert.Equal(t, len(edges), 0)
}

func TestParseGraphRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"one module":    "example.org/app\n",
		"three modules": "a.b/c a.b/d@v1.0.0 a.b/e@v1.0.0\n",
		"empty line":    "a.b/c a.b/d@v1.0.0\n\n",
		"carriage":      "a.b/c a.b/d@v1.0.0\r\n",
		"two spaces":    "a.b/c  a.b/d@v1.0.0\n",
		"no path":       "a.b/c @v1.0.0\n",
		"no version":    "a.b/c a.b/d@\n",
		"version":       "a.b/c a.b/d@latest\n",
		"host path":     "/home/me/app a.b/d@v1.0.0\n",
		"parent":        "a.b/c ../d@v1.0.0\n",
		"zero byte":     "a.b/c a.b/d@v1.0.0\x00\n",
		"long line":     "a.b/c a.b/" + strings.Repeat("d", maxLine) + "@v1.0.0\n",
		"long":          strings.Repeat("\n", maxGraph+1),
		"a message":     "go: downloading example.org/a v1.0.0\n",
	} {
		_, err := parseGraph([]byte(text))
		assert.Assert(t, errors.Is(err, ErrGraph), "%s: %v", name, err)
	}
}

func graphBill() Bill {
	return Bill{
		Main: Module{Path: "m.org/app", Version: "v1.0.0"},
		Modules: []Module{
			{Path: "m.org/a", Version: "v1.2.0"},
			{Path: "m.org/b", Version: "v1.5.0", Replace: &Replacement{"m.org/fork", "v9.0.0"}},
			{Path: "m.org/w"},
		},
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	edges, err := parseGraph([]byte(`m.org/app m.org/a@v1.1.0
m.org/app m.org/a@v1.2.0
m.org/app m.org/test@v1.0.0
m.org/app m.org/app@v0.9.0
m.org/a@v1.1.0 m.org/w
m.org/a@v1.2.0 m.org/b@v1.4.0
m.org/a@v1.2.0 m.org/app@v0.9.0
m.org/app@v0.9.0 m.org/b@v1.5.0
m.org/test@v1.0.0 m.org/b@v1.5.0
m.org/b@v1.4.0 m.org/a@v1.0.0
m.org/w m.org/a@v1.1.0
m.org/w m.org/b@v1.5.0
`))
	assert.NilError(t, err)
	b := graphBill()
	assert.NilError(t, b.connect(edges))
	assert.Assert(t, b.Graph)
	// Of a only the linked version counts; test is not linked; an old version
	// of the main module and of b ask for nothing here.
	assert.DeepEqual(t, b.Main.Needs, []string{"m.org/a"})
	assert.DeepEqual(t, b.Modules[0].Needs, []string{"m.org/app", "m.org/b"})
	assert.Equal(t, len(b.Modules[1].Needs), 0)
	assert.DeepEqual(t, b.Modules[2].Needs, []string{"m.org/a", "m.org/b"})
}

func TestConnectRefusesAnotherGraph(t *testing.T) {
	t.Parallel()
	const rest = "m.org/a@v1.2.0 m.org/b@v1.5.0\nm.org/a@v1.2.0 m.org/w\n"
	for name, c := range map[string]struct{ text, want string }{
		"other main":     {"m.org/other m.org/a@v1.2.0\n" + rest, "no main module m.org/app"},
		"versioned main": {"m.org/app@v1.0.0 m.org/a@v1.2.0\n" + rest, "no main module m.org/app"},
		"empty":          {"", "no main module m.org/app"},
		"other version":  {"m.org/app m.org/a@v1.3.0\nm.org/app m.org/b@v1.5.0\nm.org/app m.org/w\n", "links m.org/a@v1.2.0,"},
		"modules miss":   {"m.org/app m.org/a@v1.2.0\n", "links m.org/b@v1.5.0, m.org/w,"},
	} {
		edges, err := parseGraph([]byte(c.text))
		assert.NilError(t, err)
		b := graphBill()
		err = b.connect(edges)
		assert.Assert(t, errors.Is(err, ErrGraph), name)
		assert.ErrorContains(t, err, c.want, name)
		assert.Assert(t, !b.Graph)
	}
	// A program that links no other module has no graph to speak of.
	b := Bill{Main: Module{Path: "m.org/app"}}
	assert.NilError(t, b.connect(nil))
}

func FuzzGraph(f *testing.F) {
	f.Add("m.org/app m.org/a@v1.2.0\nm.org/a@v1.2.0 m.org/b@v1.5.0\nm.org/app m.org/w\nm.org/app go@1.26.0\n")
	f.Add("a.b/c a.b/d@v1.0.0+incompatible")
	f.Add("go: downloading x v1\n")
	f.Fuzz(func(t *testing.T, text string) {
		edges, err := parseGraph([]byte(text))
		if err != nil {
			assert.Assert(t, errors.Is(err, ErrGraph))
			return
		}
		for _, edge := range edges {
			for _, n := range edge {
				assert.NilError(t, module.CheckImportPath(n.path))
			}
		}
		b := graphBill()
		if b.connect(edges) == nil {
			b.Created = small().Created
			assert.NilError(t, b.check())
		}
	})
}

func BenchmarkParseGraph(b *testing.B) {
	var text strings.Builder
	text.WriteString("m.org/app m.org/a@v1.2.0\n")
	for range 10_000 {
		text.WriteString("m.org/some/module/path@v1.2.3 m.org/other/module/path@v0.0.0-20260101000000-abcdefabcdef\n")
	}
	raw := []byte(text.String())
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := parseGraph(raw); err != nil {
			b.Fatal(err)
		}
	}
}
