package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
)

const reportSchemaFile = "report.schema.json"

// reportSchema is generated from the Go types.
func reportSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.For[engine.Report](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[json.RawMessage](): {}}})
	assert.NilError(t, err)
	s.ID, s.Schema, s.Title = "https://github.com/dpone/dpone/engine/run_report/v1", "https://json-schema.org/draft/2020-12/schema", "Report of a run"
	fixed := func(in *jsonschema.Schema, field string, values ...any) {
		p := in.Properties[field]
		assert.Assert(t, p != nil, field)
		if p.Enum = values; len(values) == 1 {
			p.Enum, p.Const = nil, &values[0]
		}
	}
	result := s.Properties["result"]
	fixed(s, "schema_version", engine.ReportVersion)
	fixed(result, "status", "success", "error")
	fixed(result, "commit_outcome", "committed", "already_committed", "not_committed", "unknown")
	return s
}

// TestReportSchemaIsCurrent holds the checked-in schema against the Go types; run it
// with -update after a change of the types.
func TestReportSchemaIsCurrent(t *testing.T) {
	raw, err := json.MarshalIndent(reportSchema(t), "", "  ")
	assert.NilError(t, err)
	raw = append(raw, '\n')
	if golden.FlagUpdate() {
		assert.NilError(t, os.WriteFile(reportSchemaFile, raw, 0o644))
	}
	have, err := os.ReadFile(reportSchemaFile)
	assert.NilError(t, err)
	assert.Equal(t, string(have), string(raw), "run go test ./engine -update")
}

var checkedIn = sync.OnceValues(func() (*jsonschema.Resolved, error) {
	raw, err := os.ReadFile(reportSchemaFile)
	if err != nil {
		return nil, err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	return s.Resolve(nil)
})

// follows holds a report against the schema that is checked in.
func follows(t *testing.T, report any) error {
	t.Helper()
	resolved, err := checkedIn()
	assert.NilError(t, err)
	raw, err := json.Marshal(report)
	if err != nil {
		return err
	}
	var v any
	assert.NilError(t, json.Unmarshal(raw, &v))
	return resolved.Validate(v)
}

// TestReportsFollowTheSchema covers each way out of a run. Every other test's runs are held against the schema, too.
func TestReportsFollowTheSchema(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(orders)
	gates := "quality: {gates: [{type: min_rows, threshold: 1}, {type: custom_sql, id: c, sql: SELECT 1, severity: warning}]}\n"
	reports := map[string]engine.Report{
		"green":   w.run(w.manifest(process("mode: incremental_merge\nunique_key: id") + gates)),
		"cursor":  w.run(w.manifest(options(process("mode: incremental_append\nunique_key: id"), "incremental_column: id"))),
		"chunks":  w.run(w.manifest(backfill("column: id, chunk_size: 300"))),
		"swap":    w.run(w.manifest(options(process(swap), "workers: 2"))),
		"skipped": w.run(w.manifest(backfill("column: id, chunk_size: 300"))),
		"red":     w.fails(w.manifest(process("mode: full_refresh")+"quality: {gates: [{type: min_rows, threshold: 9999}]}\n"), "DPONE_QUALITY_GATES_FAILED"),
		"no plan": w.fails(w.manifest(process("mode: snapshot_diff\nunique_key: gone")), "column.missing"),
	}
	var err error
	reports["no manifest"], err = engine.Run(context.Background(), nil, engine.Options{})
	assert.ErrorContains(t, err, "manifest")
	reports["empty manifest"], err = engine.Run(context.Background(), &manifest.Manifest{}, engine.Options{})
	assert.ErrorContains(t, err, "manifest")
	opts := w.options()
	opts.At = func(_ context.Context, p connector.Point) error {
		if p == connector.AfterCommit {
			return errors.New("broken off")
		}
		return nil
	}
	reports["after commit"], err = engine.Run(context.Background(), w.manifest(process("mode: full_refresh")), opts)
	assert.ErrorContains(t, err, "broken off")
	for name, report := range reports {
		assert.NilError(t, follows(t, report), name)
		assert.Equal(t, report.SchemaVersion, engine.ReportVersion)
		assert.Equal(t, report.Passed, report.Result.Status == "success", name)
	}
	assert.Equal(t, reports["after commit"].Result.CommitOutcome, "committed")

	for name, change := range map[string]func(map[string]any){
		"missing":       func(m map[string]any) { delete(m, "passed") },
		"other version": func(m map[string]any) { m["schema_version"] = "dpone.run_report.v0" },
		"unknown":       func(m map[string]any) { m["more"] = 1 },
		"wrong type":    func(m map[string]any) { m["chunks"] = 1 },
		"status":        func(m map[string]any) { m["result"].(map[string]any)["status"] = "maybe" }, //nolint:forcetypeassert // an object, see above
	} {
		raw, err := json.Marshal(reports["green"])
		assert.NilError(t, err)
		var m map[string]any
		assert.NilError(t, json.Unmarshal(raw, &m))
		change(m)
		assert.Assert(t, follows(t, m) != nil, name)
	}
}
