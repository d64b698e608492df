package result_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/system"
)

var began = time.Date(2026, 11, 22, 6, 0, 0, 123456789, time.UTC)

var build = result.Build{
	Commit: strings.Repeat("a1", 20), Engine: "v1.4.0", Connectors: "file, postgres, sqlite", Go: "go1.26.8",
}

var meta = result.Meta{
	Identity: result.Identity{Build: build, Mode: cases.MockContract, Seed: 7, Rows: 100, Changed: 0.2, Deleted: 0.05},
	Run:      "20261122T060000Z-0a0b0c0d", Started: began, Finished: began.Add(95 * time.Second), Jobs: 2,
}

// registry has two sources, two sinks and three strategies.
func registry() []cases.Case {
	var all []cases.Case
	for _, source := range []string{"postgres", "sqlite"} {
		for _, sink := range []string{"sqlite", "file"} {
			for _, mode := range []manifest.Mode{manifest.FullRefresh, manifest.IncrementalMerge, manifest.SCD2} {
				all = append(all, one(source, sink, mode))
			}
		}
	}
	return all
}

func one(source, sink string, mode manifest.Mode) cases.Case {
	pair := source + "_to_" + sink
	c := cases.Case{
		ID: pair + "__" + string(mode), Pair: pair, Source: source, Sink: sink, Strategy: mode, Guide: "docs/strategies/" + string(mode) + ".md",
		Services: []string{}, Profiles: []string{source + "_local"}, LiveProfiles: []string{source + "_live"},
	}
	if source == "postgres" {
		c.Services = []string{"postgres"}
	}
	return c
}

func ids(list []cases.Case) []string {
	all := make([]string, len(list))
	for i := range list {
		all[i] = list[i].ID
	}
	return all
}

// green is a case that passed.
func green(c cases.Case) result.Case {
	contents := compare.Contents{Rows: 100, Digest: "sha256:" + strings.Repeat("0f", 32), Columns: []compare.ColumnContents{
		{Name: "id", Digest: "sha256:" + strings.Repeat("11", 32)}, {Name: "value", Digest: "sha256:" + strings.Repeat("22", 32), Nulls: 25},
	}}
	columns := []fixture.Column{{Name: "id", Kind: fixture.Int64}, {Name: "value", Kind: fixture.Decimal}}
	rows := []result.Row{
		result.NewRow(columns, fixture.Row{{Text: "6"}, {Text: "1.5000"}}),
		result.NewRow(columns, fixture.Row{{Text: "105"}, {Null: true}}),
	}
	r := result.Case{
		Case: c, Mode: meta.Mode, Fixture: fixture.Spec{Seed: meta.Seed, Rows: meta.Rows, Changed: meta.Changed, Deleted: meta.Deleted, Family: c.Source},
		Counts:  fixture.Counts{Rows: 100, Changed: 20, Deleted: 5, Inserted: 5, Updated: 10},
		Columns: 126, Manifest: "name: " + c.ID + "\n",
		Runs: []result.Run{
			{Name: "load", RunID: "r1", Passed: true, Counters: map[string]int64{"inserted": 5, "updated": 10}, Rows: 100, Receipts: []string{"w1"}, Seconds: 0.5},
			{Name: "again", RunID: "r2", Passed: true, Counters: map[string]int64{}, Rows: 100, Receipts: []string{}, Seconds: 0.25},
		},
		Checks: []compare.Check{
			{Code: "row_count_matches_source_snapshot", Verdict: evidence.Pass, Observed: "100", Expected: "100"},
			{Code: "checksum_matches_source_snapshot", Verdict: evidence.Pass, Observed: contents.Digest, Expected: contents.Digest},
		},
		Notes: []string{}, TargetBefore: 100, SourceRows: 100, Expected: contents, Actual: contents, Differences: []compare.Difference{},
		Samples:   result.Samples{TargetBefore: rows, SourceRows: rows, Expected: rows, Actual: rows},
		Durations: result.Durations{Fixture: 0.1, Engine: 0.75, Check: 0.2, Total: 1.0625}, StartedAt: began,
	}
	r.Systems.Source = system.Facts{Family: c.Source, System: "SQLite", Version: "3.53.1"}
	r.Systems.Sink = system.Facts{Family: c.Sink, System: "SQLite", Version: "3.53.1"}
	if c.Source == "postgres" {
		r.Systems.Source = system.Facts{Family: "sqlite", System: "SQLite", Version: "3.53.1", StandIn: "postgres"}
	}
	if c.Sink == "file" {
		r.Systems.Sink = system.Facts{Family: "file", System: "files", Version: "of this machine"}
	}
	return r
}

// red is a case with a check that failed.
func red(c cases.Case) result.Case {
	r := green(c)
	r.Checks[0] = compare.Check{Code: "row_count_matches_source_snapshot", Verdict: evidence.Fail, Observed: "99", Expected: "100", Why: "key 42 is missing"}
	r.Checks[1].Verdict, r.Checks[1].Observed = evidence.Fail, "sha256:"+strings.Repeat("e0", 32)
	r.Actual.Rows, r.Actual.Digest = 99, r.Checks[1].Observed
	r.Differences = []compare.Difference{
		{Key: "42", Kind: "missing", Expected: "mock_variant=0"}, {Key: "43", Kind: "changed", Column: "value", Expected: "1.5000", Actual: "NULL"},
	}
	for i := range 5 {
		r.Differences = append(r.Differences, compare.Difference{Key: fmt.Sprint(200 + i), Kind: "extra"})
	}
	r.Durations.Total = 9.1
	return r
}

// unverified is a case that could not be carried out: it never got to its fixture.
func unverified(c cases.Case) result.Case {
	return result.Case{Case: c, Mode: meta.Mode, Problem: "postgres: no server can be had", StartedAt: began}
}

func skipped(c cases.Case) result.Case {
	return result.Case{Case: c, Mode: meta.Mode, SkipReason: "needs credentials that mock_contract has no use for", StartedAt: began}
}

func all(list []cases.Case, of func(cases.Case) result.Case) []result.Case {
	var results []result.Case
	for _, c := range list {
		results = append(results, of(c))
	}
	return results
}

// folder is a run folder in memory.
type folder map[string][]byte

func (f folder) WriteFile(name string, content []byte) error {
	f[name] = content
	return nil
}
