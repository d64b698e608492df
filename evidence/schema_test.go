package evidence_test

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence"
)

const schemaFile = "record.schema.json"

// schema is generated from the Go types.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	verdicts := &jsonschema.Schema{Type: "string", Enum: []any{"PASS", "FAIL", "SKIP", "UNVERIFIED"}}
	s, err := jsonschema.For[evidence.Record](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[evidence.Verdict](): verdicts,
		reflect.TypeFor[json.RawMessage]():  {},
		reflect.TypeFor[time.Time]():        {Type: "string", Format: "date-time"},
		reflect.TypeFor[evidence.Cause]():   {Type: "string"},
	}})
	assert.NilError(t, err)
	s.ID, s.Schema, s.Title = evidence.Schema, "https://json-schema.org/draft/2020-12/schema", "Record of a gate run"
	return s
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
	assert.Equal(t, string(have), string(raw), "run go test ./evidence -update")
}

func TestRecordsFollowTheSchema(t *testing.T) {
	resolved, err := schema(t).Resolve(nil)
	assert.NilError(t, err)
	validate := func(raw []byte) error {
		var v any
		assert.NilError(t, json.Unmarshal(raw, &v))
		return resolved.Validate(v)
	}
	raw, err := example(t).Encode()
	assert.NilError(t, err)
	assert.NilError(t, validate(raw))

	for name, change := range map[string]func(m map[string]any){
		"missing verdict": func(m map[string]any) { delete(m, "verdict") },
		"unknown verdict": func(m map[string]any) { m["verdict"] = "GREEN" },
		"unknown key":     func(m map[string]any) { m["x"] = 1 },
		"wrong type":      func(m map[string]any) { m["stable"] = "x" },
	} {
		var m map[string]any
		assert.NilError(t, json.Unmarshal(raw, &m))
		change(m)
		bad, err := json.Marshal(m)
		assert.NilError(t, err)
		assert.Assert(t, validate(bad) != nil, name)
	}
}
