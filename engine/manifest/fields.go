package manifest

import (
	"fmt"
	"reflect"
	"strings"
)

// FieldDoc is what a field of a manifest takes and means.
type FieldDoc struct {
	// Path is written with dots; [] behind a list of fields.
	Path, Type string
	Required   bool
	// Limits is what a value must be beyond its type, in Markdown; "" for nothing.
	Limits string
	// Doc is one sentence; SameAs is the path of the field whose fields this one repeats, or "".
	Doc, SameAs string
}

// Fields lists the fields of a manifest in the order of the Go types.
func Fields() []FieldDoc {
	var all []FieldDoc
	first := map[reflect.Type]string{}
	var walk func(t reflect.Type, at string)
	walk = func(t reflect.Type, at string) {
		for _, f := range fieldsOf(t) {
			here, ft := join(at, f.key), t.Field(f.index).Type
			inner := ft
			if ft.Kind() == reflect.Slice {
				inner = ft.Elem()
			}
			fields := inner.Kind() == reflect.Struct
			d := FieldDoc{Path: here, Type: typeName(ft, f.rule), Required: f.required, Limits: limits(f.rule), Doc: f.doc}
			if fields {
				d.SameAs = first[inner]
			}
			all = append(all, d)
			if fields && first[inner] == "" {
				first[inner] = here
				if ft.Kind() == reflect.Slice {
					here += "[]"
				}
				walk(inner, here)
			}
		}
	}
	walk(reflect.TypeFor[Manifest](), "")
	return all
}

func typeName(t reflect.Type, r rule) string {
	word := "text"
	if r.text {
		word = "text or number"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem(), r)
	case reflect.Struct:
		return "fields"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "list of fields"
		}
		return "list of " + word
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	switch {
	case t == reflect.TypeFor[Secret]():
		return "reference"
	case len(r.enum) > 0:
		return "word"
	}
	return word
}

func limits(r rule) string {
	switch {
	case len(r.enum) > 0:
		return "`" + strings.Join(r.enum, "`, `") + "`"
	case r.pattern != nil:
		return "`" + r.pattern.String() + "`"
	case r.maxLen > 0:
		return fmt.Sprintf("%d characters", r.maxLen)
	case r.hi == maxInt && r.lo < 0:
		return "-2^53 to 2^53"
	case r.hi == maxInt:
		return fmt.Sprintf("%.0f to 2^53", r.lo)
	case r.hi > 0:
		return fmt.Sprintf("%.0f to %.0f", r.lo, r.hi)
	}
	return ""
}

// GateDoc is which fields a type of quality gate takes, besides id, type and severity.
type GateDoc struct {
	Type              string
	Required, Allowed []string
}

// Gates lists the types of quality gates.
func Gates() []GateDoc {
	all := make([]GateDoc, len(gateRules))
	for i, g := range gateRules {
		all[i] = GateDoc{g.name, g.required, g.allowed}
	}
	return all
}

// FamilyDoc is what a family of connectors needs in a manifest, and which fields it refuses.
type FamilyDoc struct {
	Type           string
	Needs, Refuses []string
}

// FamilyDocs lists the families, in the order of [Families].
func FamilyDocs() []FamilyDoc {
	all := make([]FamilyDoc, len(families))
	for i, f := range families {
		d := FamilyDoc{Type: f.name}
		for _, n := range []struct {
			key  string
			used bool
		}{{"connection", f.connection}, {"table", f.table}, {"path", f.path}} {
			if n.used {
				d.Needs = append(d.Needs, n.key)
			} else {
				d.Refuses = append(d.Refuses, n.key)
			}
		}
		d.Refuses = append(d.Refuses, f.unused...)
		all[i] = d
	}
	return all
}
