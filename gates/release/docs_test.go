package release_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement"
)

const buildTypePage = "../../docs/buildtypes/mage-v1.md"

func page(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	assert.NilError(t, err)
	return string(raw)
}

// example is the statement of the page, as it is written to a file.
func example(t *testing.T) *statement.Statement {
	t.Helper()
	_, block, ok := strings.Cut(page(t, buildTypePage), "```json\n")
	assert.Assert(t, ok)
	block, _, ok = strings.Cut(block, "```")
	assert.Assert(t, ok)
	var compact bytes.Buffer
	assert.NilError(t, json.Compact(&compact, []byte(block)))
	s, err := statement.Decode(compact.Bytes())
	assert.NilError(t, err)
	again, err := s.Encode()
	assert.NilError(t, err)
	assert.Equal(t, string(again), compact.String())
	return s
}

// TestExampleOfTheBuildType holds that the example is what the gate writes: the
// same members everywhere, but for those that differ from run to run.
func TestExampleOfTheBuildType(t *testing.T) {
	t.Parallel()
	s := example(t)
	p, err := statement.As[statement.Provenance](s)
	assert.NilError(t, err)
	_, _, err = p.Mage()
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(page(t, buildTypePage), statement.BuildType))
	assert.Assert(t, strings.Contains(page(t, buildTypePage), statement.BuilderLocal))

	w := newWorld(t)
	w.env = github()
	w.env["ImageVersion"], w.env["CGO_ENABLED"] = "1", "0"
	// As the example has them: modules with a sum, and mage among them.
	const sum = "github.com/magefile/mage v1.17.2 h1:ROR4aq5+/dE5Dq3pMhIIrT86ll7GQxS2gDIuhhqBvSg=\n"
	w.text(t, "go.mod", sources["go.mod"]+"\nrequire github.com/magefile/mage v1.17.2\n")
	w.text(t, "go.sum", sum)
	shell(t, w.root, "git add -A && git -c user.name=t -c user.email=t@example.com commit -q -m mage && git tag -f "+version)
	w.options.Commit = strings.TrimSpace(shell(t, w.root, "git rev-parse HEAD"))
	w.env["GITHUB_SHA"] = w.options.Commit
	w.options.Subjects = []string{"dist/notes.txt"}
	o := w.attest(t)
	assert.Equal(t, o.ExitCode(), 0, "%+v", o.Record.Stable.Blockers)
	real, err := statement.Decode(read(t, o, "provenance.intoto.json"))
	assert.NilError(t, err)
	have, want := shape(t, real.Predicate), shape(t, s.Predicate)
	platform := regexp.MustCompile(`tool/[a-z0-9]+_[a-z0-9]+/|\.exe`)
	for _, set := range []map[string]bool{have, want} {
		for name := range maps.Clone(set) {
			delete(set, name)
			if !strings.Contains(name, ".byproducts[sbom.") { // nothing is linked in a text
				set[platform.ReplaceAllString(name, "")] = true
			}
		}
	}
	assert.DeepEqual(t, slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(want)))
}

// shape is the set of members of a document; an element of a list is known by its name.
func shape(t *testing.T, raw []byte) map[string]bool {
	t.Helper()
	var document any
	assert.NilError(t, json.Unmarshal(raw, &document))
	set := map[string]bool{}
	var walk func(place string, v any)
	walk = func(place string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(place+"."+key, value)
			}
		case []any:
			for _, value := range v {
				if element, ok := value.(map[string]any); ok {
					name, _ := element["name"].(string)
					walk(place+"["+name+"]", value)
				}
			}
			set[place] = true
		default:
			set[place] = true
		}
	}
	walk("", document)
	return set
}

// TestSchemaOfTheBuildType holds that the tables of the page have the members of
// the types, and no others.
func TestSchemaOfTheBuildType(t *testing.T) {
	t.Parallel()
	text := page(t, buildTypePage)
	for heading, members := range map[string][]string{
		"## External parameters": membersOf(reflect.TypeFor[statement.External](), ""),
		"## Internal parameters": membersOf(reflect.TypeFor[statement.Internal](), ""),
	} {
		_, section, ok := strings.Cut(text, "\n"+heading+"\n")
		assert.Assert(t, ok, heading)
		section, _, _ = strings.Cut(section, "\n## ")
		var rows []string
		for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
			rows = append(rows, m[1])
		}
		assert.DeepEqual(t, rows, members)
	}
}

func membersOf(t reflect.Type, prefix string) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type.Kind() == reflect.Struct {
			all = append(all, membersOf(f.Type, prefix+name+".")...)
			continue
		}
		all = append(all, prefix+name)
	}
	return all
}

// TestCodesAreInTheRunbook holds that each code is explained, in the section of a step.
func TestCodesAreInTheRunbook(t *testing.T) {
	t.Parallel()
	_, section, ok := strings.Cut(page(t, "../../docs/runbooks.md"), "\n## release attest\n")
	assert.Assert(t, ok)
	entries, err := os.ReadDir(".")
	assert.NilError(t, err)
	codes := map[string]bool{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`"(attest\.[a-z._]+)"`).FindAllStringSubmatch(page(t, e.Name()), -1) {
			codes[m[1]] = true
		}
	}
	assert.Assert(t, len(codes) > 15, codes)
	for code := range codes {
		assert.Check(t, strings.Contains(section, "`"+code+"`"), code)
	}
}
