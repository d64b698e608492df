package sbom

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gotest.tools/v3/assert"
)

// The official schemas of CycloneDX 1.6 and SPDX 2.3 are of draft-07, which
// jsonschema-go knows by their "$schema". It does not look at "format", so the
// tests check the forms of times and identifiers themselves, and what no schema
// can say: that every reference leads somewhere.

var cycloneDXSchema = sync.OnceValues(func() (*jsonschema.Resolved, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		return nil, err
	}
	read := func(name string) (*jsonschema.Schema, error) {
		// The module has this one under a name that its own references miss.
		name = strings.Replace(name, "jsf-0.82.schema.json", "jsf-0.82.schemax.json", 1)
		return readSchema(filepath.Join(strings.TrimSpace(string(dir)), "schema", name))
	}
	schema, err := read("bom-1.6.schema.json")
	if err != nil {
		return nil, err
	}
	return schema.Resolve(&jsonschema.ResolveOptions{Loader: func(uri *url.URL) (*jsonschema.Schema, error) {
		return read(path.Base(uri.Path))
	}})
})

// spdxSchemaSum is the SHA-256 of the official schema; where it is from, and
// under which licence, is in the NOTICE beside it.
const spdxSchemaSum = "c2e139546ef93597d3b1214d1d452369d0b536af6c6d6500dbd25c582034aa7c"

var spdxSchema = sync.OnceValues(func() (*jsonschema.Resolved, error) {
	raw, err := os.ReadFile("testdata/spdx-2.3/spdx-schema.json")
	if err != nil {
		return nil, err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(raw)); sum != spdxSchemaSum {
		return nil, fmt.Errorf("the schema was changed: its SHA-256 is %s", sum)
	}
	schema := new(jsonschema.Schema)
	if err := json.Unmarshal(raw, schema); err != nil {
		return nil, err
	}
	return schema.Resolve(nil)
})

func readSchema(name string) (*jsonschema.Schema, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	schema := new(jsonschema.Schema)
	return schema, json.Unmarshal(raw, schema)
}

func follows(t *testing.T, schema func() (*jsonschema.Resolved, error), raw []byte) error {
	t.Helper()
	resolved, err := schema()
	assert.NilError(t, err)
	var v any
	assert.NilError(t, json.Unmarshal(raw, &v))
	return resolved.Validate(v)
}

// What the tests read of a CycloneDX document.
type cycloneDXView struct {
	SerialNumber string
	Metadata     struct {
		Timestamp string
		Component componentView
	}
	Components   []componentView
	Dependencies []struct {
		Ref       string
		DependsOn []string
	}
}

type componentView struct {
	Ref      string `json:"bom-ref"`
	Name     string
	Version  string
	PURL     string
	Hashes   []struct{ Alg, Content string }
	Licenses []struct{ License struct{ ID string } }
	Props    []struct{ Name, Value string } `json:"properties"`
}

func (c componentView) property(name string) string {
	for _, p := range c.Props {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

var (
	isSerial    = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	isSPDXID    = regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)
	isNamespace = regexp.MustCompile(`^https://spdx\.org/spdxdocs/[A-Za-z0-9._~%-]+$`)
)

// validCycloneDX checks a document against the schema and itself.
func validCycloneDX(t *testing.T, raw []byte) cycloneDXView {
	t.Helper()
	assert.NilError(t, follows(t, cycloneDXSchema, raw))
	var doc cycloneDXView
	assert.NilError(t, json.Unmarshal(raw, &doc))
	assert.Assert(t, isSerial.MatchString(doc.SerialNumber), doc.SerialNumber)
	_, err := time.Parse(time.RFC3339, doc.Metadata.Timestamp)
	assert.NilError(t, err)
	refs := map[string]bool{doc.Metadata.Component.Ref: true}
	for _, c := range doc.Components {
		assert.Assert(t, !refs[c.Ref], "%s is there twice", c.Ref)
		refs[c.Ref] = true
	}
	rows := map[string]bool{}
	for _, row := range doc.Dependencies {
		assert.Assert(t, refs[row.Ref] && !rows[row.Ref], row.Ref)
		rows[row.Ref] = true
		for _, on := range row.DependsOn {
			assert.Assert(t, refs[on], "%s depends on %s", row.Ref, on)
		}
	}
	assert.Assert(t, len(rows) == 0 || len(rows) == len(refs))
	return doc
}

// validSPDX checks a document against the schema and itself.
func validSPDX(t *testing.T, raw []byte) spdxDocument {
	t.Helper()
	assert.NilError(t, follows(t, spdxSchema, raw))
	var doc spdxDocument
	assert.NilError(t, json.Unmarshal(raw, &doc))
	assert.Assert(t, isNamespace.MatchString(doc.Namespace), doc.Namespace)
	_, err := time.Parse("2006-01-02T15:04:05Z", doc.CreationInfo.Created)
	assert.NilError(t, err)
	ids := map[string]bool{doc.ID: true}
	for _, p := range doc.Packages {
		assert.Assert(t, isSPDXID.MatchString(p.ID) && !ids[p.ID], p.ID)
		ids[p.ID] = true
	}
	seen := map[spdxRelationship]bool{}
	for _, r := range doc.Relationships {
		assert.Assert(t, ids[r.Element] && ids[r.Related] && !seen[r], "%v", r)
		seen[r] = true
	}
	return doc
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	b := small()
	cyclone, err := b.cycloneDX()
	assert.NilError(t, err)
	assert.NilError(t, follows(t, cycloneDXSchema, cyclone))
	spdx, err := b.spdx()
	assert.NilError(t, err)
	assert.NilError(t, follows(t, spdxSchema, spdx))

	first := func(m map[string]any, list string) map[string]any {
		return m[list].([]any)[0].(map[string]any)
	}
	for _, c := range []struct {
		name   string
		change func(m map[string]any)
	}{
		{"SPDX without version", func(m map[string]any) { delete(m, "spdxVersion") }},
		{"SPDX without namespace", func(m map[string]any) { delete(m, "documentNamespace") }},
		{"SPDX with an unknown key", func(m map[string]any) { m["x"] = 1 }},
		{"SPDX with no creator", func(m map[string]any) { m["creationInfo"].(map[string]any)["creators"] = []any{} }},
		{"SPDX package without name", func(m map[string]any) { delete(first(m, "packages"), "name") }},
		{"SPDX package without a place", func(m map[string]any) { delete(first(m, "packages"), "downloadLocation") }},
		{"SPDX package of unknown purpose", func(m map[string]any) { first(m, "packages")["primaryPackagePurpose"] = "x" }},
		{"SPDX package with an unknown key", func(m map[string]any) { first(m, "packages")["x"] = 1 }},
		{"SPDX checksum of an unknown kind", func(m map[string]any) { first(first(m, "packages"), "checksums")["algorithm"] = "H1" }},
		{"SPDX relationship of unknown type", func(m map[string]any) { first(m, "relationships")["relationshipType"] = "NEEDS" }},
		{"CycloneDX without format", func(m map[string]any) { delete(m, "bomFormat") }},
		{"CycloneDX with a serial number of another form", func(m map[string]any) { m["serialNumber"] = "1" }},
		{"CycloneDX with an unknown key", func(m map[string]any) { m["x"] = 1 }},
		{"CycloneDX component without name", func(m map[string]any) { delete(first(m, "components"), "name") }},
		{"CycloneDX component of unknown type", func(m map[string]any) { first(m, "components")["type"] = "x" }},
		{"CycloneDX with a licence that SPDX does not know", func(m map[string]any) {
			first(m, "components")["licenses"] = []any{map[string]any{"license": map[string]any{"id": "Mine"}}}
		}},
		{"CycloneDX with an h1 sum for a hash", func(m map[string]any) {
			first(m, "components")["hashes"] = []any{map[string]any{"alg": "SHA-256", "content": zeroSum}}
		}},
	} {
		good, schema := cyclone, cycloneDXSchema
		if strings.HasPrefix(c.name, "SPDX") {
			good, schema = spdx, spdxSchema
		}
		var m map[string]any
		assert.NilError(t, json.Unmarshal(good, &m))
		c.change(m)
		bad, err := json.Marshal(m)
		assert.NilError(t, err)
		assert.Assert(t, follows(t, schema, bad) != nil, c.name)
	}
}
