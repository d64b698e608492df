// Package facts reads from Go source what the documents have to explain: the
// codes of checks, the measured numbers, the runbook sections that the code
// refers to, and the environment variables that it names. It sees only what
// stands in the source as a literal.
package facts

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Facts are what was found. Lines count from 1.
type Facts struct {
	// Codes, Measures and Variables are sorted by name; each name is there once,
	// with the first place in the order of paths.
	Codes     []Named
	Measures  []Measure
	Variables []Named
	// Anchors are in the order of the source.
	Anchors []Anchor
	// Files is how many files were read.
	Files int
}

// Named is a name and a place where the source has it.
type Named struct {
	Name string
	Path string
	Line int
}

// Measure is a check of a number against a limit.
type Measure struct {
	Named
	// Floor says that the number must be at least the limit; otherwise at most.
	Floor bool
	// Shown are the formats in which the number is shown, with N for it; sorted.
	Shown []string
}

// Anchor is a section of a page that the source refers to.
type Anchor struct {
	Path   string
	Line   int
	Target string // such as docs/runbooks.md#ci
}

var (
	codeForm     = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z0-9]+(_[a-z0-9]+)*)*$`)
	variableForm = regexp.MustCompile(`^DPONE_[A-Z0-9]+(_[A-Z0-9]+)*$`)
	anchorForm   = regexp.MustCompile(`^docs/[A-Za-z0-9_./-]+\.md#[a-z0-9_-]*[a-z0-9_]$`)
	// verb is a verb of package fmt for a number.
	verb = regexp.MustCompile(`%[0-9.]*[dfg]`)
)

// Read reads the Go files below the folders, without tests, fixtures and the
// packages that only tests use. A code is a literal in the place of one: the
// argument for a parameter, or the value of a field, variable or constant, whose
// name begins with "code"; and every constant of the same area.
func Read(tree fs.FS, folders ...string) (Facts, error) {
	r := reader{set: token.NewFileSet(), takes: map[string]map[string]int{}}
	var names []string
	for _, folder := range folders {
		if _, err := fs.Stat(tree, folder); err != nil {
			continue // a tree without that folder has no such source
		}
		err := fs.WalkDir(tree, folder, func(name string, entry fs.DirEntry, err error) error {
			switch base := path.Base(name); {
			case err != nil:
				return err
			case entry.IsDir() && (base == "testdata" || base == "tools" || strings.HasSuffix(base, "test") && base != "gotest"):
				return fs.SkipDir
			case entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || base == "mage_output_file.go":
				return nil
			}
			names = append(names, name)
			return nil
		})
		if err != nil {
			return Facts{}, fmt.Errorf("source below %s: %w", folder, err)
		}
	}
	if err := r.parse(tree, names); err != nil {
		return Facts{}, fmt.Errorf("source: %w", err)
	}
	for _, f := range r.files {
		r.learnFile(f)
	}
	for _, f := range r.files {
		r.walk(f)
	}
	r.Codes = append(r.Codes, r.related()...)
	byName := func(a, b Named) int { return strings.Compare(a.Name, b.Name) }
	r.Codes = once(r.Codes, byName)
	r.Variables = once(r.Variables, byName)
	slices.SortStableFunc(r.Measures, func(a, b Measure) int { return byName(a.Named, b.Named) })
	var merged []Measure
	for _, m := range r.Measures {
		if last := len(merged) - 1; last >= 0 && merged[last].Name == m.Name {
			merged[last].Shown = append(merged[last].Shown, m.Shown...)
			continue
		}
		merged = append(merged, m)
	}
	for i := range merged {
		slices.Sort(merged[i].Shown)
		merged[i].Shown = slices.Compact(merged[i].Shown)
	}
	r.Measures, r.Files = merged, len(r.files)
	return r.Facts, nil
}

// Once reads the folders of the first tree that it is called with, and knows
// them from then on: several tables of one run are made of the same source.
func Once(folders ...string) func(tree fs.FS) (Facts, error) {
	var (
		once  sync.Once
		found Facts
		err   error
	)
	return func(tree fs.FS) (Facts, error) {
		once.Do(func() { found, err = Read(tree, folders...) })
		return found, err
	}
}

func once(list []Named, compare func(a, b Named) int) []Named {
	slices.SortStableFunc(list, compare)
	return slices.CompactFunc(list, func(a, b Named) bool { return a.Name == b.Name })
}

type reader struct {
	Facts
	set   *token.FileSet
	files []file
	// takes is which argument of a function is a code, by package and by name.
	takes map[string]map[string]int
	kin   []Named // literals that could be codes
}

type file struct {
	*ast.File
	path string
}

// parse reads the files at once, and keeps their order.
func (r *reader) parse(tree fs.FS, names []string) error {
	r.files = make([]file, len(names))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		group.Go(func() error {
			raw, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			parsed, err := parser.ParseFile(r.set, name, raw, parser.SkipObjectResolution)
			r.files[i] = file{parsed, name}
			return err
		})
	}
	return group.Wait()
}

// learnFile notes which functions of a file take a code.
func (r *reader) learnFile(f file) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			r.learn(f.path, n.Name.Name, n.Type)
		case *ast.AssignStmt:
			for i, right := range n.Rhs {
				if fn, ok := right.(*ast.FuncLit); ok && i < len(n.Lhs) {
					if id, ok := n.Lhs[i].(*ast.Ident); ok {
						r.learn(f.path, id.Name, fn.Type)
					}
				}
			}
		}
		return true
	})
}

// learn notes which argument of a function is a code.
func (r *reader) learn(name, fn string, typ *ast.FuncType) {
	at := 0
	for _, field := range typ.Params.List {
		for _, param := range field.Names {
			if isCode(param.Name) {
				pkg := path.Dir(name)
				if r.takes[pkg] == nil {
					r.takes[pkg] = map[string]int{}
				}
				r.takes[pkg][fn] = at
			}
			at++
		}
	}
}

// isCode says whether something of that name holds a code.
func isCode(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(name[:min(4, len(name))])+name[min(4, len(name)):], "code")
	return ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z')
}

func (r *reader) walk(f file) {
	pkg := path.Dir(f.path)
	imports := importNames(f)
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			r.literal(f, n)
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && isCode(id.Name) {
				r.code(f, n.Value)
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if id, ok := left.(*ast.Ident); ok && isCode(id.Name) && len(n.Lhs) == len(n.Rhs) {
					r.code(f, n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			typ, _ := n.Type.(*ast.Ident)
			for i, name := range n.Names {
				switch {
				case i >= len(n.Values):
				case isCode(name.Name) || typ != nil && typ.Name == "Code":
					r.code(f, n.Values[i])
				default:
					r.kin = append(r.kin, r.named(f, n.Values[i])...)
				}
			}
		case *ast.CallExpr:
			r.call(f, pkg, imports, n)
		}
		return true
	})
}

// importNames are the packages of this module that a file imports, by name, as folders that end so.
func importNames(f file) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			names[path.Base(p)] = p
		}
	}
	return names
}

func (r *reader) call(f file, pkg string, imports map[string]string, n *ast.CallExpr) {
	name, home := "", pkg
	switch fun := n.Fun.(type) {
	case *ast.Ident:
		name = fun.Name
	case *ast.SelectorExpr:
		name = fun.Sel.Name
		if id, ok := fun.X.(*ast.Ident); ok && imports[id.Name] != "" {
			home = imports[id.Name]
		}
	}
	at, ok := r.argument(home, name)
	if !ok || at >= len(n.Args) {
		return
	}
	code := r.code(f, n.Args[at])
	floor, limited := strings.EqualFold(name, "atLeast"), strings.EqualFold(name, "atMost")
	if code == nil || !floor && !limited {
		return
	}
	m := Measure{Named: *code, Floor: floor}
	ast.Inspect(n.Args[len(n.Args)-1], func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil && verb.MatchString(strings.ReplaceAll(text, "%%", "%")) {
				shown := verb.ReplaceAllString(strings.ReplaceAll(text, "%%", "%"), "N")
				m.Shown = append(m.Shown, strings.TrimSpace(shown))
			}
		}
		return true
	})
	r.Measures = append(r.Measures, m)
}

// argument is which argument of a function is a code. home is a folder of the
// tree, or an import path that ends with one.
func (r *reader) argument(home, name string) (int, bool) {
	if at, ok := r.takes[home][name]; ok {
		return at, true
	}
	for pkg, functions := range r.takes {
		if strings.HasSuffix(home, "/"+pkg) {
			at, ok := functions[name]
			return at, ok
		}
	}
	return 0, false
}

// code notes a literal in the place of a code.
func (r *reader) code(f file, e ast.Expr) *Named {
	if sum, ok := e.(*ast.BinaryExpr); ok {
		r.kin = append(r.kin, r.named(f, sum.X)...) // a code that others begin with
	}
	found := r.named(f, e)
	r.Codes = append(r.Codes, found...)
	if len(found) == 0 {
		return nil
	}
	return &found[0]
}

// named is the literal, if it has the form of a code.
func (r *reader) named(f file, e ast.Expr) []Named {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return nil
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil || !codeForm.MatchString(text) {
		return nil
	}
	return []Named{{text, f.path, r.set.Position(lit.Pos()).Line}}
}

// related are the constants that read like the codes that were found in the same folder at the root: of the same
// area, and no names of files.
func (r *reader) related() []Named {
	areas := map[[2]string]bool{}
	areaOf := func(n Named) ([2]string, bool) {
		area, _, dotted := strings.Cut(n.Name, ".")
		folder, _, _ := strings.Cut(n.Path, "/")
		return [2]string{folder, area}, dotted
	}
	for _, c := range r.Codes {
		if area, dotted := areaOf(c); dotted {
			areas[area] = true
		}
	}
	return slices.DeleteFunc(r.kin, func(n Named) bool {
		area, dotted := areaOf(n)
		return !dotted || !areas[area] || slices.Contains(extensions, path.Ext(n.Name))
	})
}

// extensions end names of files, not codes.
var extensions = []string{
	".csv", ".db", ".go", ".html", ".ini", ".js", ".json", ".jsonl", ".log", ".md", ".mod", ".prom", ".sarif", ".sum", ".svg", ".toml", ".txt", ".xml", ".yaml", ".yml",
}

// literal notes what is told by its form alone.
func (r *reader) literal(f file, lit *ast.BasicLit) {
	if lit.Kind != token.STRING {
		return
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return
	}
	line := r.set.Position(lit.Pos()).Line
	switch {
	case variableForm.MatchString(text):
		r.Variables = append(r.Variables, Named{text, f.path, line})
	case anchorForm.MatchString(text):
		r.Anchors = append(r.Anchors, Anchor{f.path, line, text})
	}
}
