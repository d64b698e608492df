package target

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Target is a function of the magefiles that mage offers as a target.
type Target struct {
	Name        string   // as mage -l prints it, like lint or ci:lint; mage accepts it in any case
	Synopsis    string   // as mage -l prints it
	Aliases     []string // sorted
	Positionals []Param  // in the order of the command line
	Flags       []Param  // in the order of the declaration
	Source      string   // where it is declared, as file.go:line
}

// Param is a parameter of a target, other than its context.
type Param struct {
	Name string // mage accepts a flag in any case
	Type string // string, int, float64, bool or time.Duration
	Doc  string // the comment on the line of the parameter, as mage -h prints it for flags
}

func (t *Target) flag(name string) (Param, bool) {
	lower := strings.ToLower(name) // as mage does; strings.EqualFold takes more letters for the same
	i := slices.IndexFunc(t.Flags, func(p Param) bool { return strings.ToLower(p.Name) == lower })
	if i < 0 {
		return Param{}, false
	}
	return t.Flags[i], true
}

// Targets lists the targets of the magefiles in the root of sources, sorted by name; those of packages imported with
// mage:import are not among them. It follows parse.PrimaryPackage of mage v1.17.2 and leaves out what mage leaves out:
// tests, mage_output_file.go, files with import "C" and files that are not built with the tag mage on this system.
//
// The error is a [*UsageError] when something looks like a target and is none, or would be one that nobody can call:
// an exported function with a parameter or result that mage does not know (mage drops it without a word), an exported
// method of a namespace with a pointer receiver, a type that a reader takes for a namespace but mage does not, an
// alias of no target, an alias that hides a target. Other errors say that the sources cannot be read.
func Targets(sources fs.FS) ([]Target, error) {
	m, err := readMagefiles(sources, true)
	if err != nil {
		return nil, err
	}
	targets := make([]Target, 0, len(m.targets))
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		targets = append(targets, *m.targets[name])
	}
	return targets, refuse(m.problems...)
}

// magefiles is what the sources say about the command line.
type magefiles struct {
	targets    map[string]*Target // by the name in lower case
	aliases    map[string]*Target // by the alias in lower case; nil for a target that is imported
	imports    []string           // the prefix of each mage:import in lower case, "" for targets without one
	functions  map[string]*Target // by the name in Go, like Lint or Ci.Lint
	hasDefault bool
	problems   []Problem

	fset  *token.FileSet
	files []*sourceFile
}

type sourceFile struct {
	*ast.File
	source   []byte
	comments ast.CommentMap // nil unless there is documentation to read
}

// readMagefiles reads the names and types, and the documentation only when asked: that doubles the time, which every
// start of mage has to wait for.
func readMagefiles(sources fs.FS, documented bool) (*magefiles, error) {
	names, err := fs.Glob(sources, "*.go")
	if err != nil {
		return nil, fmt.Errorf("list magefiles: %w", err)
	}
	m := &magefiles{
		targets:   map[string]*Target{},
		aliases:   map[string]*Target{},
		functions: map[string]*Target{},
		fset:      token.NewFileSet(),
	}
	for _, name := range names {
		if err := m.readFile(sources, name, documented); err != nil {
			return nil, fmt.Errorf("read magefile %s: %w", name, err)
		}
	}
	if len(m.files) == 0 {
		return nil, fmt.Errorf("read magefiles: no file of package main built with the tag mage among %d", len(names))
	}
	m.findTargets()
	m.findAliases()
	return m, nil
}

func (m *magefiles) readFile(sources fs.FS, name string, documented bool) error {
	if strings.HasSuffix(name, "_test.go") || name == "mage_output_file.go" {
		return nil
	}
	source, err := fs.ReadFile(sources, name)
	if err != nil {
		return err
	}
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.BuildTags = runtime.GOOS, runtime.GOARCH, []string{"mage"}
	ctx.JoinPath = path.Join
	ctx.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(source)), nil }
	if match, err := ctx.MatchFile(".", name); err != nil || !match {
		return err
	}
	// Resolving identifiers is half of the time of the parser, and nothing here asks for objects.
	file, err := parser.ParseFile(m.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if file.Name.Name != "main" {
		return nil
	}
	for _, spec := range file.Imports {
		if spec.Path.Value == `"C"` {
			m.problem(spec, `a file with import "C" is not a magefile, mage leaves it out`, "move the C code into a package")
			return nil
		}
	}
	read := &sourceFile{File: file, source: source}
	if documented {
		read.comments = ast.NewCommentMap(m.fset, file, file.Comments)
	}
	m.files = append(m.files, read)
	return nil
}

func (m *magefiles) problem(at ast.Node, why, fix string) {
	m.problems = append(m.problems, Problem{Subject: m.position(at), Why: why, Fix: fix})
}

func (m *magefiles) position(at ast.Node) string {
	p := m.fset.Position(at.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// declarations yields the specs of the var, type or import declarations of a file.
func declarations(file *sourceFile, tok token.Token) func(yield func(*ast.GenDecl, ast.Spec) bool) {
	return func(yield func(*ast.GenDecl, ast.Spec) bool) {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != tok {
				continue
			}
			for _, spec := range gen.Specs {
				if !yield(gen, spec) {
					return
				}
			}
		}
	}
}

func (m *magefiles) findTargets() {
	namespaces := m.findNamespaces()
	for _, file := range m.files {
		for gen, spec := range declarations(file, token.IMPORT) {
			m.findImport(gen, spec.(*ast.ImportSpec))
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			receiver, pointer := receiverOf(fn)
			if fn.Recv == nil {
				m.addTarget(file, fn, "")
				continue
			}
			ns, ok := namespaces[receiver]
			switch {
			case !ok: // a method of an ordinary type
			case ns.why != "":
				if !ns.reported {
					m.problem(ns.spec, fmt.Sprintf("the methods of %s are no targets: %s", receiver, ns.why), ns.fix)
					ns.reported = true
				}
			case pointer:
				m.problem(fn, fmt.Sprintf("%s.%s has a pointer receiver, and mage calls it on a value", receiver, fn.Name.Name),
					fmt.Sprintf("func (%s) %s", receiver, fn.Name.Name))
			default:
				m.addTarget(file, fn, receiver)
			}
		}
	}
}

func receiverOf(fn *ast.FuncDecl) (name string, pointer bool) {
	if fn.Recv == nil || len(fn.Recv.List) != 1 {
		return "", false
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ, pointer = star.X, true
	}
	if ident, ok := typ.(*ast.Ident); ok {
		name = ident.Name
	}
	return name, pointer
}

// addTarget registers a function as mage does, or says why mage does not.
func (m *magefiles) addTarget(file *sourceFile, fn *ast.FuncDecl, receiver string) {
	full, name := fn.Name.Name, displayName(fn.Name.Name)
	if receiver != "" {
		full, name = receiver+"."+full, displayName(receiver)+":"+name
	}
	target := &Target{Name: name, Source: m.position(fn.Name)}
	if file.comments != nil {
		target.Synopsis = synopsis(fn)
	}
	if why := m.readSignature(file, fn.Type, target); why != "" {
		m.problem(fn.Name, fmt.Sprintf("%s is exported but no target: %s", full, why),
			fmt.Sprintf("rename it to %s if it is not a target, or change the signature", unexported(fn.Name.Name)))
		return
	}
	m.targets[strings.ToLower(name)] = target
	m.functions[full] = target
}

// readSignature follows parse.funcType; it returns why mage drops the function.
func (m *magefiles) readSignature(file *sourceFile, sig *ast.FuncType, target *Target) string {
	text := func(node ast.Node) string {
		from, to := m.fset.Position(node.Pos()).Offset, m.fset.Position(node.End()).Offset
		return strings.Join(strings.Fields(string(file.source[from:to])), " ")
	}
	if sig.TypeParams != nil {
		return "it has type parameters, and mage calls it without"
	}
	if n := sig.Results.NumFields(); n > 1 || n == 1 && !isIdent(sig.Results.List[0].Type, "error") {
		return fmt.Sprintf("its result is %s; a target returns nothing or error", text(sig.Results))
	}
	for i, field := range sig.Params.List {
		if isSelector(field.Type, "context", "Context") && i == 0 && len(field.Names) <= 1 {
			continue
		}
		typ, optional := field.Type, false
		if star, ok := typ.(*ast.StarExpr); ok {
			typ, optional = star.X, true
		}
		known := paramType(typ)
		if known == "" {
			return fmt.Sprintf("mage does not know the parameter type %s; it goes by the text string, int, float64, bool, "+
				"time.Duration, pointers to these for flags, and context.Context once in front", text(field.Type))
		}
		if len(field.Names) == 0 {
			return fmt.Sprintf("its parameter of type %s has no name, and mage would pass nothing for it", text(field.Type))
		}
		comment := ""
		if groups := file.comments[field]; len(groups) > 0 {
			comment = strings.TrimSpace(groups[0].Text())
		}
		for _, name := range field.Names {
			params := &target.Positionals
			if optional {
				params = &target.Flags
			}
			*params = append(*params, Param{Name: name.Name, Type: known, Doc: comment})
		}
	}
	return ""
}

// paramType names the type of a parameter as mage knows it, or is "". Only the text counts, not what it refers to.
func paramType(expr ast.Expr) string {
	for _, name := range []string{"string", "int", "float64", "bool"} {
		if isIdent(expr, name) {
			return name
		}
	}
	if isSelector(expr, "time", "Duration") {
		return "time.Duration"
	}
	return ""
}

func isIdent(expr ast.Expr, name string) bool {
	ident, ok := expr.(*ast.Ident)
	return ok && ident.Name == name
}

func isSelector(expr ast.Expr, x, name string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	return ok && isIdent(selector.X, x) && selector.Sel.Name == name
}

// synopsis follows parse.sanitizeSynopsis.
func synopsis(fn *ast.FuncDecl) string {
	text := strings.ReplaceAll(new(doc.Package).Synopsis(fn.Doc.Text()), "`", "'")
	if first, rest, found := strings.Cut(text, " "); found && strings.EqualFold(first, fn.Name.Name) {
		return rest
	}
	return text
}

// displayName follows lowerFirstWord of mage: HTTPServer is httpServer, MockLocal is mockLocal, CI is ci.
func displayName(name string) string {
	isUpper := func(r rune) bool { return r >= 'A' && r <= 'Z' } // mage does not look beyond ASCII
	capitals := strings.IndexFunc(name+"a", func(r rune) bool { return !isUpper(r) })
	end := len(name)
	switch {
	case capitals == 1:
		if next := strings.IndexFunc(name[1:], isUpper); next > 0 {
			end = 1 + next
		}
	case capitals > 1 && capitals < len(name):
		end = capitals - 1
	}
	return strings.ToLower(name[:end]) + name[end:]
}

// unexported suggests a name for a function that should not be exported.
func unexported(name string) string {
	if lower := displayName(name); !token.IsKeyword(lower) {
		return lower
	}
	return "do" + name
}
