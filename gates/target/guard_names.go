package target

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// namespace is a type that mage, or only a reader, takes for a namespace.
type namespace struct {
	spec     *ast.TypeSpec
	why, fix string // set where mage does not
	reported bool
}

const mgPath = "github.com/magefile/mage/mg"

// findNamespaces follows parse.isNamespace, which knows a namespace by the text mg.Namespace, and finds the types that
// differ from one only in this text.
func (m *magefiles) findNamespaces() map[string]*namespace {
	found := map[string]*namespace{}
	// A type can be declared before the one it is made from.
	for more := true; more; {
		more = false
		for _, file := range m.files {
			for _, s := range declarations(file, token.TYPE) {
				spec := s.(*ast.TypeSpec)
				name := spec.Name.Name
				if found[name] != nil || !file.readsAsNamespace(spec.Type, found) {
					continue
				}
				more = true
				ns := &namespace{spec: spec}
				switch {
				case !isSelector(spec.Type, "mg", "Namespace"):
					ns.why = fmt.Sprintf("mage knows a namespace by the text type %s mg.Namespace only", name)
					ns.fix = fmt.Sprintf("type %s mg.Namespace, with import %q", name, mgPath)
				case !spec.Name.IsExported():
					ns.why = "the type is not exported"
					ns.fix = "rename it to " + strings.ToUpper(name[:1]) + name[1:]
				}
				found[name] = ns
			}
		}
	}
	return found
}

func (f *sourceFile) readsAsNamespace(expr ast.Expr, known map[string]*namespace) bool {
	switch typ := expr.(type) {
	case *ast.ParenExpr:
		return f.readsAsNamespace(typ.X, known)
	case *ast.StarExpr:
		return f.readsAsNamespace(typ.X, known)
	case *ast.Ident:
		return known[typ.Name] != nil || typ.Name == "Namespace" && f.mgName() == "."
	case *ast.SelectorExpr:
		return isSelector(typ, "mg", "Namespace") || isSelector(typ, f.mgName(), "Namespace")
	case *ast.StructType:
		return slices.ContainsFunc(typ.Fields.List, func(field *ast.Field) bool {
			return len(field.Names) == 0 && f.readsAsNamespace(field.Type, known)
		})
	}
	return false
}

// mgName is the name under which a file imports mg, "." for a dot import, "" for none.
func (f *sourceFile) mgName() string {
	for _, spec := range f.Imports {
		if importPath, err := strconv.Unquote(spec.Path.Value); err != nil || importPath != mgPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(mgPath)
	}
	return ""
}

// findImport follows parse.getImportPath: the last comment before or behind an import is mage:import or
// mage:import alias.
func (m *magefiles) findImport(gen *ast.GenDecl, spec *ast.ImportSpec) {
	before := spec.Doc
	if before == nil && !gen.Lparen.IsValid() {
		before = gen.Doc
	}
	for _, group := range []*ast.CommentGroup{before, spec.Comment} {
		if group == nil {
			continue
		}
		words := strings.Fields(strings.ToLower(group.List[len(group.List)-1].Text[2:]))
		if len(words) == 0 || words[0] != "mage:import" {
			continue
		}
		switch len(words) {
		case 1:
			m.imports = append(m.imports, "")
		case 2:
			m.imports = append(m.imports, words[1]+":")
		default:
			m.problem(spec, "mage ignores a mage:import with more than one word behind it", "//mage:import "+words[1])
		}
		return
	}
}

// findAliases follows parse.setAliases and parse.setDefault. Whatever those skip with a warning while they compile
// is a problem.
func (m *magefiles) findAliases() {
	for _, file := range m.files {
		for _, s := range declarations(file, token.VAR) {
			spec := s.(*ast.ValueSpec)
			switch {
			case !slices.ContainsFunc(spec.Names, func(n *ast.Ident) bool { return n.Name == "Aliases" || n.Name == "Default" }):
			case len(spec.Names) != 1 || len(spec.Values) != 1:
				m.problem(spec, "mage reads Aliases and Default from a declaration with one name and one value", "declare it on its own")
			case spec.Names[0].Name == "Aliases":
				m.readAliases(spec)
			default:
				if _, ok := m.resolve(spec.Values[0]); ok {
					m.hasDefault = true
				} else {
					m.problem(spec, "Default is no target, so mage ignores it", "name an exported function of the magefiles, or drop it")
				}
			}
		}
	}
}

func (m *magefiles) readAliases(spec *ast.ValueSpec) {
	table, ok := spec.Values[0].(*ast.CompositeLit)
	// With a named type the variable belongs to that type for go/doc, and mage asks go/doc for the others.
	if _, named := spec.Type.(*ast.Ident); !ok || named {
		m.problem(spec, "mage reads Aliases from a map literal only", "var Aliases = map[string]any{...}")
		return
	}
	for _, element := range table.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue // does not compile in a map
		}
		key, ok := pair.Key.(*ast.BasicLit)
		if !ok || !strings.HasPrefix(key.Value, `"`) {
			m.problem(pair, "mage reads an alias from a literal in double quotes only", "write the alias as a literal")
			continue
		}
		alias := strings.Trim(key.Value, `"`)
		target, ok := m.resolve(pair.Value)
		if !ok {
			m.problem(pair, fmt.Sprintf("the alias %q is for no target, so mage ignores it", alias),
				"name an exported function of the magefiles, or drop the alias")
			continue
		}
		if hidden := m.targets[strings.ToLower(alias)]; hidden != nil && hidden != target {
			m.problem(pair, fmt.Sprintf("the alias %q hides the target %s", alias, hidden.Name), "choose another alias")
		}
		m.aliases[strings.ToLower(alias)] = target
		if target != nil {
			target.Aliases = append(target.Aliases, alias)
			slices.Sort(target.Aliases)
		}
	}
}

// resolve follows parse.getFunction. A target that may come from a mage:import is nil.
func (m *magefiles) resolve(expr ast.Expr) (target *Target, ok bool) {
	switch fn := expr.(type) {
	case *ast.Ident:
		target = m.functions[fn.Name]
	case *ast.SelectorExpr:
		if receiver, ok := fn.X.(*ast.Ident); ok {
			target = m.functions[receiver.Name+"."+fn.Sel.Name]
		}
		if target == nil && len(m.imports) > 0 {
			return nil, true
		}
	}
	return target, target != nil
}

// lookup finds what mage would run for a name: an alias comes before a target.
func (m *magefiles) lookup(name string) (target *Target, imported bool) {
	lower := strings.ToLower(name)
	if target, ok := m.aliases[lower]; ok {
		return target, target == nil
	}
	if target := m.targets[lower]; target != nil {
		return target, false
	}
	return nil, !strings.HasPrefix(name, "-") && slices.ContainsFunc(m.imports, func(prefix string) bool {
		return strings.HasPrefix(lower, prefix)
	})
}

// names are those of all targets and aliases, sorted.
func (m *magefiles) names() []string {
	names := slices.Collect(maps.Keys(m.aliases))
	for _, target := range m.targets {
		names = append(names, target.Name)
	}
	slices.Sort(names)
	return names
}
