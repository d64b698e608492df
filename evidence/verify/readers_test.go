package verify_test

import (
	"fmt"
	"go/ast"
	"go/types"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
	"gotest.tools/v3/assert"
)

const module = "github.com/dpone/dpone"

// readers are the packages that may make a record of bytes.
var readers = []string{module + "/evidence", module + "/evidence/verify/reader"}

// exceptions are functions outside of them, each with the reason.
var exceptions = map[string]string{
	module + "/gates.redacted": "the record of this very run, in memory, before it is sealed",
}

// decoders are the packages whose functions fill what they are pointed to.
var decoders = []string{"encoding/json", "encoding/gob", "encoding/xml", "go.yaml.in/yaml/v3", module + "/evidence/statement/strict"}

// recordsMade lists the places outside of the readers at which a record is made of bytes:
// where evidence.Decode is used, where a decoder is pointed to a value with a record in
// it, and where a generic function of ours is made for one.
func recordsMade(t *testing.T, overlay map[string][]byte, patterns ...string) []string {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes |
			packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule,
		Dir: "../..", BuildFlags: []string{"-tags=mage"}, Overlay: overlay, Context: t.Context(),
	}, patterns...)
	assert.NilError(t, err)
	var places []string
	for _, pkg := range loaded {
		assert.Equal(t, len(pkg.Errors), 0, "%s: %v", pkg.PkgPath, pkg.Errors)
		if slices.Contains(readers, pkg.PkgPath) {
			continue
		}
		for _, file := range pkg.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				if why := makesRecord(pkg, n); why != "" {
					at := pkg.Fset.Position(n.Pos())
					places = append(places, fmt.Sprintf("%s:%d: %s", filepath.Base(at.Filename), at.Line, why))
				}
				return true
			})
		}
	}
	return places
}

func makesRecord(pkg *packages.Package, n ast.Node) string {
	switch n := n.(type) {
	case *ast.Ident:
		object := pkg.TypesInfo.Uses[n]
		if object == nil || object.Pkg() == nil {
			return ""
		}
		name := object.Pkg().Path() + "." + object.Name()
		if name == module+"/evidence.Decode" {
			return "evidence.Decode"
		}
		instance, ok := pkg.TypesInfo.Instances[n]
		if !ok || !strings.HasPrefix(object.Pkg().Path(), module) || exceptions[name] != "" {
			return ""
		}
		if _, function := object.(*types.Func); !function {
			return ""
		}
		for i := range instance.TypeArgs.Len() {
			if holdsRecord(instance.TypeArgs.At(i), nil) {
				return name + " for a record"
			}
		}
	case *ast.CallExpr:
		var callee *ast.Ident
		switch f := ast.Unparen(n.Fun).(type) {
		case *ast.Ident:
			callee = f
		case *ast.SelectorExpr:
			callee = f.Sel
		default:
			return ""
		}
		object := pkg.TypesInfo.Uses[callee]
		if object == nil || object.Pkg() == nil || !slices.Contains(decoders, object.Pkg().Path()) {
			return ""
		}
		if !strings.Contains(object.Name(), "Unmarshal") && !strings.HasPrefix(object.Name(), "Decode") {
			return ""
		}
		for _, arg := range n.Args {
			if pointer, ok := pkg.TypesInfo.TypeOf(arg).Underlying().(*types.Pointer); ok && holdsRecord(pointer.Elem(), nil) {
				return object.Pkg().Name() + "." + object.Name() + " into " + pointer.Elem().String()
			}
		}
	}
	return ""
}

// holdsRecord says whether a decoder that fills a type would fill a record in
// it. A field that another of the same name hides is not filled.
func holdsRecord(t types.Type, seen []types.Type) bool {
	if slices.ContainsFunc(seen, func(before types.Type) bool { return types.Identical(before, t) }) {
		return false
	}
	seen = append(seen, t)
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if o := named.Obj(); o.Pkg() != nil && o.Pkg().Path() == module+"/evidence" && (o.Name() == "Record" || o.Name() == "Stable") {
			return true
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		return holdsRecord(u.Elem(), seen)
	case *types.Slice:
		return holdsRecord(u.Elem(), seen)
	case *types.Array:
		return holdsRecord(u.Elem(), seen)
	case *types.Map:
		return holdsRecord(u.Elem(), seen)
	case *types.Struct:
		return slices.ContainsFunc(fields(u), func(f types.Type) bool { return holdsRecord(f, seen) })
	}
	return false
}

// fields are the types of the fields that encoding/json sees: those nearer to the top
// hide those of the same name further down.
func fields(s *types.Struct) []types.Type {
	type entry struct {
		typ   types.Type
		depth int
	}
	byName := map[string]entry{}
	var walk func(s *types.Struct, depth int)
	walk = func(s *types.Struct, depth int) {
		for i := range s.NumFields() {
			f := s.Field(i)
			name, _, _ := strings.Cut(reflect.StructTag(s.Tag(i)).Get("json"), ",")
			if name == "-" {
				continue
			}
			inner, embedded := f.Type().Underlying().(*types.Struct)
			if f.Embedded() && embedded && name == "" {
				walk(inner, depth+1)
				continue
			}
			if name == "" {
				name = f.Name()
			}
			if before, ok := byName[name]; !ok || depth < before.depth {
				byName[name] = entry{f.Type(), depth}
			}
		}
	}
	walk(s, 0)
	var list []types.Type
	for _, e := range byName {
		list = append(list, e.typ)
	}
	return list
}

// Whoever reads a record from a disk, or from anywhere, gets it from the one
// reader that derives it again.
func TestOneReaderOfRecords(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it loads the whole module")
	}
	assert.DeepEqual(t, recordsMade(t, nil, "./..."), []string(nil))
}

func TestOneReaderOfRecordsSeesOthers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it loads a package and all below it")
	}
	planted, err := filepath.Abs("../../gates/planted.go")
	assert.NilError(t, err)
	const source = `package gates

import (
	"bytes"
	"encoding/json"

	"github.com/dpone/dpone/evidence"
)

func plantedCall(raw []byte) (*evidence.Record, error) { return evidence.Decode(raw) }

var plantedValue = evidence.Decode

func plantedUnmarshal(raw []byte) (r evidence.Record, err error) {
	return r, json.Unmarshal(raw, &r)
}

func plantedDecoder(raw []byte) (e Event, err error) {
	return e, json.NewDecoder(bytes.NewReader(raw)).Decode(&e)
}

func plantedList(raw []byte) (list map[string][]struct{ X *evidence.Record }, err error) {
	return list, json.Unmarshal(raw, &list)
}

func plantedAny[T any](raw []byte) (v T, err error) { return v, json.Unmarshal(raw, &v) }

func plantedGeneric(raw []byte) (evidence.Record, error) { return plantedAny[evidence.Record](raw) }

func plantedGood(raw []byte) (s evidence.Check, err error) { return s, json.Unmarshal(raw, &s) }
`
	found := recordsMade(t, map[string][]byte{planted: []byte(source)}, "./gates")
	assert.DeepEqual(t, found, []string{
		"planted.go:10: evidence.Decode",
		"planted.go:12: evidence.Decode",
		"planted.go:15: json.Unmarshal into github.com/dpone/dpone/evidence.Record",
		"planted.go:19: json.Decode into github.com/dpone/dpone/gates.Event",
		"planted.go:23: json.Unmarshal into map[string][]struct{X *github.com/dpone/dpone/evidence.Record}",
		"planted.go:28: github.com/dpone/dpone/gates.plantedAny for a record",
	})
}
