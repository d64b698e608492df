package manifest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

const schemaFile = "manifest.schema.json"

// schema is generated from the Go types, the rules of their fields and the tables
// of strategies, families and gates.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.For[Manifest](nil)
	assert.NilError(t, err)
	refine(s, reflect.TypeFor[Manifest]())
	s.ID, s.Schema, s.Title = "https://github.com/dpone/dpone/engine/manifest/v1", "https://json-schema.org/draft/2020-12/schema", "Manifest of a run"

	for _, side := range []string{"source", "sink"} {
		s.Properties[side].Properties["type"].Enum = list(Families())
		for _, f := range families {
			var then []*jsonschema.Schema
			for key, used := range map[string]bool{"connection": f.connection, "table": f.table, "path": f.path} {
				switch at := side + "." + key; {
				case !used:
					then = append(then, without(at))
				case at == "source.table":
					then = append(then, &jsonschema.Schema{AnyOf: []*jsonschema.Schema{with(at), with(fieldQuery)}})
				default:
					then = append(then, with(at))
				}
			}
			for _, at := range f.unused {
				if strings.HasPrefix(at, side+".") || side == "sink" && at == "state.schema" {
					then = append(then, without(at))
				}
			}
			s.AllOf = append(s.AllOf, when(side+".type", f.name, then))
		}
	}
	for _, doc := range Strategies() {
		var then []*jsonschema.Schema
		for _, at := range doc.Required {
			then = append(then, with(at))
		}
		for _, at := range strategyFields() {
			if !doc.takes(at) {
				then = append(then, without(at))
			}
		}
		if doc.Mode == IncrementalAppend {
			then = append(then, &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
				{AllOf: []*jsonschema.Schema{with(fieldCursor), with(fieldKey)}},
				{AllOf: []*jsonschema.Schema{with(fieldOnlyNew), with(fieldKey)}},
				with(fieldWindow),
			}})
		}
		s.AllOf = append(s.AllOf, when("sink.strategy.mode", string(doc.Mode), then))
	}
	gate := s.Properties["quality"].Properties["gates"].Items
	for _, r := range gateRules {
		var then []*jsonschema.Schema
		for _, key := range r.required {
			then = append(then, with(key))
		}
		for _, f := range fieldsOf(reflect.TypeFor[Gate]()) {
			if !slices.Contains(slices.Concat([]string{"id", "type", "severity"}, r.required, r.allowed), f.key) {
				then = append(then, without(f.key))
			}
		}
		gate.AllOf = append(gate.AllOf, when("type", r.name, then))
	}
	for _, side := range []string{"source", "sink"} {
		c := s.Properties[side].Properties["connection"]
		var alone []*jsonschema.Schema
		for _, f := range fieldsOf(reflect.TypeFor[Connection]()) {
			if f.key != "dsn" {
				alone = append(alone, without(f.key))
			}
		}
		c.If, c.Then = with("dsn"), &jsonschema.Schema{AllOf: alone}
		c.Else = &jsonschema.Schema{Required: []string{"host", "database", "user"}}
	}
	return s
}

// with requires a field, and what is around it.
func with(at string) *jsonschema.Schema {
	key, rest, more := strings.Cut(at, ".")
	s := &jsonschema.Schema{Required: []string{key}}
	if more {
		s.Properties = map[string]*jsonschema.Schema{key: with(rest)}
	}
	return s
}

// without refuses a field.
func without(at string) *jsonschema.Schema {
	key, rest, more := strings.Cut(at, ".")
	if !more {
		return &jsonschema.Schema{Not: &jsonschema.Schema{Required: []string{key}}}
	}
	return &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{key: without(rest)}}
}

// when asks for then where a field has a value.
func when(at, value string, then []*jsonschema.Schema) *jsonschema.Schema {
	s := with(at)
	last := s
	keys := strings.Split(at, ".")
	for _, key := range keys[:len(keys)-1] {
		last = last.Properties[key]
	}
	var v any = value
	last.Properties = map[string]*jsonschema.Schema{keys[len(keys)-1]: {Const: &v}}
	slices.SortFunc(then, func(a, b *jsonschema.Schema) int {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return strings.Compare(string(x), string(y))
	})
	return &jsonschema.Schema{If: s, Then: &jsonschema.Schema{AllOf: then}}
}

func list(words []string) []any {
	var l []any
	for _, w := range words {
		l = append(l, w)
	}
	return l
}

// refine adds to a struct's schema what the rules say.
func refine(s *jsonschema.Schema, t reflect.Type) {
	for _, f := range fieldsOf(t) {
		p, ft := s.Properties[f.key], t.Field(f.index).Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		// There is no null: a key is left out, or has a value.
		if len(p.Types) == 2 {
			p.Type, p.Types = p.Types[1], nil
		}
		r, most := f.rule, maxItems
		switch ft.Kind() {
		case reflect.Struct:
			refine(p, ft)
		case reflect.Slice:
			p.MaxItems = &most
			if ft.Elem().Kind() == reflect.Struct {
				refine(p.Items, ft.Elem())
				continue
			}
			item := text(&jsonschema.Schema{Type: "string"}, r)
			*p = jsonschema.Schema{Description: p.Description, AnyOf: []*jsonschema.Schema{
				item, {Type: "array", Items: text(&jsonschema.Schema{Type: "string"}, r), MaxItems: &most, UniqueItems: true},
			}}
		case reflect.String:
			text(p, r)
			if ft == reflect.TypeFor[Secret]() {
				p.Pattern = secretPattern.String()
			}
			if f.key == "chunk_size" || f.key == "max_age" {
				p.Pattern = widthForm.String()
			}
		case reflect.Int, reflect.Int64, reflect.Float64:
			if r.hi > 0 {
				p.Minimum, p.Maximum = &r.lo, &r.hi
			}
		}
	}
}

func text(p *jsonschema.Schema, r rule) *jsonschema.Schema {
	one := 1
	if !r.empty {
		p.MinLength = &one
	}
	if r.maxLen > 0 {
		p.MaxLength = &r.maxLen
	}
	if r.pattern != nil {
		p.Pattern = r.pattern.String()
	}
	if len(r.enum) > 0 {
		p.Enum = list(r.enum)
	}
	if r.text {
		p.Type, p.Types = "", []string{"string", "number"}
	}
	return p
}

// TestSchemaIsCurrent holds the checked-in schema against the Go types; run it
// with -update after a change of the types.
func TestSchemaIsCurrent(t *testing.T) {
	raw, err := json.MarshalIndent(schema(t), "", "  ")
	assert.NilError(t, err)
	raw = append(raw, '\n')
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(schemaFile, raw, 0o644))
	}
	have, err := os.ReadFile(schemaFile)
	assert.NilError(t, err)
	assert.Equal(t, string(have), string(raw), "run go test ./engine/manifest -update")
}

// inSchema are the codes that the schema can tell, too.
var inSchema = []string{
	"manifest.unknown_key", "manifest.wrong_type", "manifest.required", "manifest.unknown_value", "manifest.out_of_range",
	"manifest.empty_value", "manifest.pattern", "manifest.key_type", "family.unknown", "family.field_required",
	"family.field_not_for_family", "connection.secret_literal", "connection.dsn_with_fields", "connection.incomplete",
	"strategy.option_required", "strategy.append_needs_window", "strategy.xmin_with_incremental_column",
	"strategy.query_not_for_mode", "reconciliation.not_for_mode", "gate.field_not_for_type",
}

// TestSchemaAgrees runs the corpus through both: the schema takes what the parser
// takes, and refuses what the parser refuses for a reason that a schema can tell.
func TestSchemaAgrees(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(schemaFile)
	assert.NilError(t, err)
	var s jsonschema.Schema
	assert.NilError(t, json.Unmarshal(raw, &s))
	resolved, err := s.Resolve(nil)
	assert.NilError(t, err)
	paths, err := filepath.Glob("testdata/*/*.yaml")
	assert.NilError(t, err)
	told := map[string]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		assert.NilError(t, err)
		m, parseErr := Parse(path, data)
		var tree any
		if err := yaml.Unmarshal(data, &tree); err != nil {
			assert.Assert(t, parseErr != nil, path)
			continue
		}
		schemaErr := resolved.Validate(instance(tree))
		if parseErr == nil {
			assert.NilError(t, schemaErr, path)
			full, err := json.Marshal(m.WithDefaults())
			assert.NilError(t, err)
			var tree any
			assert.NilError(t, json.Unmarshal(full, &tree))
			assert.NilError(t, resolved.Validate(tree), path)
			continue
		}
		var problems *Problems
		assert.Assert(t, errors.As(parseErr, &problems))
		for _, p := range problems.List {
			if slices.Contains(inSchema, p.Code) {
				told[p.Code] = true
				assert.Assert(t, schemaErr != nil, "%s: the schema accepts %s", path, p)
			}
		}
	}
	for _, c := range inSchema {
		assert.Assert(t, told[c], c)
	}
}

// TestSchemaTellsEachChange breaks one thing at a time in a manifest that both accept.
func TestSchemaTellsEachChange(t *testing.T) {
	t.Parallel()
	resolved, err := schema(t).Resolve(nil)
	assert.NilError(t, err)
	data, err := os.ReadFile("testdata/ok/merge.yaml")
	assert.NilError(t, err)
	fields := regexp.MustCompile(`(?m)^( *)([a-z_]+):`)
	for _, at := range fields.FindAllSubmatchIndex(data, -1) {
		for what, changed := range map[string]string{
			"unknown key": string(data[:at[4]]) + "zz_" + string(data[at[4]:]),
			"null":        string(data[:at[1]]) + " ~\n" + string(data[at[2]:at[3]]) + "zz:" + string(data[at[1]:]),
		} {
			_, parseErr := Parse("", []byte(changed))
			assert.Assert(t, parseErr != nil, "%s: %s", what, changed)
			var tree any
			if yaml.Unmarshal([]byte(changed), &tree) != nil {
				continue
			}
			assert.Assert(t, resolved.Validate(instance(tree)) != nil, "%s: %s", what, changed)
		}
	}
}

// instance gives the JSON form of a YAML tree.
func instance(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = instance(v[k])
		}
		return v
	case map[any]any:
		out := map[string]any{}
		for k, item := range v {
			if k == nil {
				k = "null"
			}
			word, _ := k.(string)
			out[word] = instance(item)
		}
		return out
	case []any:
		for i := range v {
			v[i] = instance(v[i])
		}
		return v
	case time.Time:
		return v.Format(time.DateOnly)
	case int:
		return float64(v)
	}
	return v
}
