package engine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/manifest"
)

const docs = "../docs"

func docText(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	assert.NilError(t, err)
	return string(raw)
}

// TestEveryStrategyHasAPage holds one page and one example for each strategy.
func TestEveryStrategyHasAPage(t *testing.T) {
	t.Parallel()
	index := docText(t, filepath.Join(docs, "strategies", "README.md"))
	for _, mode := range manifest.Modes() {
		name := string(mode) + ".md"
		assert.Assert(t, strings.Contains(index, "]("+name+")"), "docs/strategies/README.md has no link to %s", name)
		page := docText(t, filepath.Join(docs, "strategies", name))
		first := examples(page)
		assert.Assert(t, len(first) > 0, "%s has no example", name)
		m, err := manifest.Parse(name, []byte(first[0]))
		assert.NilError(t, err)
		assert.Equal(t, m.Sink.Strategy.Mode, mode, name)
	}
	files, err := filepath.Glob(filepath.Join(docs, "strategies", "*.md"))
	assert.NilError(t, err)
	assert.Equal(t, len(files), len(manifest.Modes())+1)
}

func examples(page string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestReasonsOfARebaselineAreExplained holds the page of xmin against the reasons in the source.
func TestReasonsOfARebaselineAreExplained(t *testing.T) {
	t.Parallel()
	reasons := func(pattern string, texts ...string) []string {
		var found []string
		for _, text := range texts {
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
				found = append(found, m[1])
			}
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	var source []string
	for _, pattern := range []string{"xmin*.go", "postgres/xmin*.go"} {
		files, err := filepath.Glob(pattern)
		assert.NilError(t, err)
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				source = append(source, docText(t, f))
			}
		}
	}
	in := reasons(`"([a-z]+(?:_[a-z]+)+): `, source...)
	told := reasons("(?m)^\\| `([a-z]+(?:_[a-z]+)+)` \\|", docText(t, filepath.Join(docs, "strategies", "xmin.md")))
	assert.Assert(t, len(in) > 5, in)
	assert.DeepEqual(t, told, in)
}

// TestTheDigestOfTheDocsIsThatOfThePackage holds the worked example against the one that the package computes.
func TestTheDigestOfTheDocsIsThatOfThePackage(t *testing.T) {
	t.Parallel()
	lines := regexp.MustCompile(`dpone-digest-1:full:3:[0-9a-f]{64}`)
	computed := lines.FindString(docText(t, "digest/example_test.go"))
	assert.Assert(t, computed != "")
	assert.Equal(t, lines.FindString(docText(t, filepath.Join(docs, "engine.md"))), computed)
}

// TestEveryCodeIsExplained holds the list of codes against the source, in both directions.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	used := codesIn(t, ".")
	for _, c := range manifest.Codes() {
		used[c.Code] = "manifest.Codes"
	}
	known := map[string]bool{}
	form := regexp.MustCompile(`^([a-z0-9]+(_[a-z0-9]+)*\.([a-z0-9_]+|<SQLSTATE>)|DPONE_QUALITY_GATES_FAILED)$`)
	for _, c := range engine.Codes() {
		assert.Assert(t, !known[c.Code], "%s is explained twice", c.Code)
		known[c.Code] = true
		assert.Assert(t, form.MatchString(c.Code), c.Code)
		assert.Assert(t, used[c.Code] != "", "%s: nothing gives this code; take it out of codes.go", c.Code)
		for _, sentence := range []string{c.Meaning, c.Fix} {
			assert.Assert(t, strings.HasSuffix(sentence, "."), "%s: %q is no sentence", c.Code, sentence)
		}
	}
	var missing []string
	for code, at := range used {
		if !known[code] {
			missing = append(missing, code+" ("+at+")")
		}
	}
	slices.Sort(missing)
	assert.Equal(t, strings.Join(missing, "\n"), "", "explain these codes in codes.go")
}

// TestCodesAreFound shows that the search finds a code in each way in which one is given.
func TestCodesAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.go": "package a\nconst CodeOne = \"a.one\"\nvar x = E{Code: \"a.two\", Msg: \"b.c\"}\n" +
			"func fail(code string, msg string) { _ = E{Code: code} }\nfunc f() { fail(\"a.three\", \"b.d\"); code := \"a.four\"; _ = code }\n" +
			"type Code string\nconst (\n\tQuote Code = \"a.five\"\n)\nfunc (t T) within(n int, code, field string) {}\nfunc g(t T) { t.within(1, \"a.six\", \"b.e\") }\n" +
			"func Code(err error) string { return \"a.seven\" }",
		"b_test.go": "package a\nvar y = E{Code: \"b.test\"}\n",
	} {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	var found []string
	for code := range codesIn(t, dir) {
		found = append(found, code)
	}
	slices.Sort(found)
	assert.DeepEqual(t, found, []string{"a.five", "a.four", "a.one", "a.seven", "a.six", "a.three", "a.two"})
}

// codesIn finds the codes that the source under a folder gives: the value of a
// field or variable or constant that is called code, the argument of a parameter
// of that name, and what a function Code returns.
func codesIn(t *testing.T, root string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "codes.go" {
			return err
		}
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		files = append(files, f)
		return err
	})
	assert.NilError(t, err)
	// Where the functions that take a code have it among their arguments.
	takes := map[string]int{}
	for _, f := range files {
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			at := 0
			for _, p := range fn.Type.Params.List {
				for _, name := range p.Names {
					if name.Name == "code" {
						takes[fn.Name.Name] = at
					}
					at++
				}
			}
		}
	}
	found := map[string]string{}
	add := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		text, err := strconv.Unquote(lit.Value)
		assert.NilError(t, err)
		if strings.HasSuffix(text, ".") {
			text += "<SQLSTATE>"
		}
		if strings.Contains(text, ".") || strings.HasPrefix(text, "DPONE_") {
			found[text] = set.Position(lit.Pos()).String()
		}
	}
	isCode := func(e ast.Expr) bool {
		id, ok := e.(*ast.Ident)
		return ok && strings.EqualFold(id.Name, "code")
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if isCode(n.Key) {
					add(n.Value)
				}
			case *ast.AssignStmt:
				for i := range n.Lhs {
					if isCode(n.Lhs[i]) && len(n.Rhs) == len(n.Lhs) {
						add(n.Rhs[i])
					}
				}
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) && (strings.HasPrefix(name.Name, "Code") || n.Type != nil && isCode(n.Type)) {
						add(n.Values[i])
					}
				}
			case *ast.CallExpr:
				name := ""
				switch fun := n.Fun.(type) {
				case *ast.Ident:
					name = fun.Name
				case *ast.SelectorExpr:
					name = fun.Sel.Name
				}
				if at, ok := takes[name]; ok && at < len(n.Args) {
					add(n.Args[at])
				}
			case *ast.FuncDecl:
				if n.Name.Name != "Code" || n.Body == nil {
					return true
				}
				ast.Inspect(n.Body, func(n ast.Node) bool {
					if e, ok := n.(ast.Expr); ok {
						add(e)
					}
					return true
				})
			}
			return true
		})
	}
	return found
}
