package sqlite_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlite"
)

// process is a manifest over two files.
type process struct {
	t        *testing.T
	from, to *file
}

func newProcess(t *testing.T) *process {
	p := &process{t: t, from: newFile(t, manifest.Strategy{}), to: newFile(t, manifest.Strategy{})}
	p.from.exec(`CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, score NUMERIC_TEXT(10,2), day DATE, at TIMESTAMPTZ);
		INSERT INTO people VALUES (1, 'Ada', '1.00', '2026-01-01', '2026-01-01 00:00:00Z'), (2, 'Bob', NULL, '2026-01-02', '2026-01-02 00:00:00Z'), (3, '', '3.50', NULL, '2026-01-02T02:00:00+02:00')`)
	return p
}

const everything = "SELECT id, name, score, day FROM people"

func (p *process) run(strategy string, more ...string) (engine.Report, error) {
	p.t.Helper()
	options, rest := "", ""
	for _, m := range more {
		if strings.HasPrefix(m, "quality") || strings.HasPrefix(m, "state") || strings.HasPrefix(m, "reconciliation") {
			rest += m + "\n"
		} else {
			options += "\n    " + m
		}
	}
	if options != "" {
		options = "\n  options:" + options
	}
	text := "name: people_load\nsource:\n  type: sqlite\n  path: '" + p.from.path + "'\n  table: {name: people}" + options +
		"\nsink:\n  type: sqlite\n  path: '" + p.to.path + "'\n  table: {name: people}\n  strategy: " + strategy + "\n" + rest
	m, err := manifest.Parse("test.yaml", []byte(text))
	assert.NilError(p.t, err, text)
	return engine.Run(context.Background(), m, engine.Options{Connectors: []connector.Connector{sqlite.Connector()}})
}

func (p *process) runs(strategy string, more ...string) engine.Report {
	p.t.Helper()
	report, err := p.run(strategy, more...)
	assert.NilError(p.t, err)
	assert.Assert(p.t, report.Passed)
	return report
}

func (p *process) equal() {
	p.t.Helper()
	assert.Equal(p.t, p.to.all(everything), p.from.all(everything))
}

const gates = "quality: {gates: [{type: row_count_reconciliation}, {type: typed_hash_reconciliation}, {type: unique, columns: id}, {type: min_rows, threshold: 1}]}"

func TestRuns(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{
		"{mode: full_refresh}",
		"{mode: full_refresh, unique_key: id}",
		"{mode: incremental_append, unique_key: id, only_new_rows: true}",
		"{mode: incremental_merge, unique_key: id}",
		"{mode: replace, custom_predicate: id > 0}",
		"{mode: partition_replace, partition: {column: day}}",
		"{mode: snapshot_diff, unique_key: id}",
		"{mode: backfill, backfill: {column: id, chunk_size: 2}}",
	} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t)
			first := p.runs(strategy, gates)
			assert.Equal(t, first.Counters.Inserted, int64(3))
			p.equal()
			p.from.exec("INSERT INTO people VALUES (4, 'Dan', '0.10', '2026-01-01', NULL)")
			p.runs(strategy, gates)
			p.equal()
			p.to.same("SELECT * FROM pragma_integrity_check", "ok")
		})
	}
}

func TestRunHistory(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.runs("{mode: scd2, unique_key: id}", gates)
	p.from.exec("UPDATE people SET name = 'Bea' WHERE id = 2; DELETE FROM people WHERE id = 3")
	report := p.runs("{mode: scd2, unique_key: id}")
	assert.Equal(t, report.Counters, connector.Counters{Updated: 1, DeletedSoft: 1, Unchanged: 1})
	assert.Equal(t, p.to.all(everything+" WHERE __dpone__is_current"), p.from.all(everything))
}

func TestRunByCursor(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	const strategy = "{mode: incremental_merge, unique_key: id}"
	p.runs(strategy, "incremental_column: at")
	p.equal()
	// A row at the very time of the last one, and a later one.
	p.from.exec("INSERT INTO people VALUES (4, 'Dan', NULL, NULL, '2026-01-02T00:00:00Z'), (5, 'Eve', NULL, NULL, '2026-01-03T00:00:00Z')")
	report := p.runs(strategy, "incremental_column: at")
	assert.Equal(t, report.Counters.Inserted, int64(2))
	p.equal()
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.runs("{mode: full_refresh}")
	before := p.to.all("SELECT * FROM people")
	p.from.exec("UPDATE people SET day = 'never' WHERE id = 2")
	report, err := p.run("{mode: full_refresh}")
	assert.Equal(t, report.Result.ErrorCode, "row.value", "%v", err)
	assert.ErrorContains(t, err, "rowid 2")
	assert.Equal(t, p.to.all("SELECT * FROM people"), before)

	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	report = p.runs("{mode: full_refresh}", "on_bad_row: quarantine", "quarantine: {path: '"+bad+"'}")
	assert.Equal(t, report.Counters.Quarantined, int64(1))
	p.to.same("SELECT id FROM people", "1", "3")

	report, err = p.run("{mode: full_refresh}", "types: [{column: day, type: text}]", gates)
	assert.Equal(t, report.Result.ErrorCode, "schema.breaking", "%v", err)
	p.from.exec("DELETE FROM people WHERE id < 3")
	report, err = p.run("{mode: full_refresh}", "quality: {gates: [{type: min_rows, threshold: 2}]}")
	assert.Assert(t, err != nil)
	assert.Assert(t, !report.Passed)
	p.to.same("SELECT id FROM people", "1", "3")
}

func TestRunOnce(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.runs("{mode: incremental_append}", "state: {window: monday}")
	report := p.runs("{mode: incremental_append}", "state: {window: monday}")
	assert.Equal(t, report.Result.CommitOutcome, "already_committed")
	p.equal()
}
