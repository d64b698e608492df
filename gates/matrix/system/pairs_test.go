package system_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/files"
	"github.com/dpone/dpone/gates/matrix/system/postgres"
	"github.com/dpone/dpone/gates/matrix/system/sqlite"
	"github.com/dpone/dpone/gates/matrix/system/systemtest"
)

func families() []system.Family {
	return []system.Family{postgres.Family(), sqlite.Family(), files.Family()}
}

// servers starts every family that can be had.
func servers(t *testing.T) map[string]system.Server {
	t.Helper()
	up := map[string]system.Server{}
	for _, f := range families() {
		s, err := f.Start(t.Context(), system.Options{Scratch: t.TempDir(), Getenv: os.Getenv})
		if errors.Is(err, system.ErrUnavailable) && os.Getenv("DPONE_IT_PG_REQUIRED") != "1" {
			t.Log(err)
			continue
		}
		assert.NilError(t, err)
		t.Cleanup(func() { assert.NilError(t, s.Close(context.Background())) })
		up[f.Name] = s
	}
	return up
}

// text writes a manifest.
func text(from, to system.Fragment, mode string) string {
	indent := func(by string, lines []string) string {
		if len(lines) == 0 {
			return ""
		}
		return by + strings.Join(lines, "\n"+by) + "\n"
	}
	options := func(lines []string) string {
		if len(lines) == 0 {
			return ""
		}
		return "  options:\n" + indent("    ", lines)
	}
	out := "name: pair\nsource:\n" + indent("  ", from.Lines) + options(from.Options) + "sink:\n" + indent("  ", to.Lines) +
		"  strategy: {mode: " + mode + ", unique_key: id}\n" + options(to.Options)
	if to.State != "" {
		out += "state: {schema: " + to.State + "}\n"
	}
	return out
}

func run(t *testing.T, dir, text string) engine.Report {
	t.Helper()
	path := filepath.Join(dir, "manifest.yaml")
	assert.NilError(t, os.WriteFile(path, []byte(text), 0o600))
	m, err := manifest.Read(path)
	assert.NilError(t, err, text)
	report, err := engine.Run(t.Context(), m, engine.Options{Connectors: connectors.All()})
	assert.NilError(t, err)
	return report
}

// TestPairs runs the engine from every family into every family, and with SQLite all
// formats of files: what is read back is what was laid out.
func TestPairs(t *testing.T) {
	t.Parallel()
	up := servers(t)
	for from, source := range up {
		f := systemtest.Fixture(t, from, 300)
		for to, sink := range up {
			formats := []string{"full_refresh"}
			if from == "file" && to == "sqlite" || from == "sqlite" && to == "file" { // files choose their formats by it
				formats = append(formats, "incremental_append", "incremental_merge", "replace", "partition_replace", "snapshot_diff", "backfill", "cdc")
			}
			for _, strategy := range formats {
				t.Run(from+"_to_"+to+"_"+strategy, func(t *testing.T) {
					place := systemtest.Place(t, "pair_"+from+"_"+to, strategy)
					src, err := source.Source(t.Context(), f, place)
					assert.NilError(t, err)
					target, err := sink.Target(t.Context(), f, place)
					assert.NilError(t, err)
					report := run(t, place.Dir, text(src.Manifest(), target.Manifest(), "full_refresh"))
					systemtest.Same(t, f.Columns(), f.Before(), func(each func(fixture.Row) error) error { return target.Rows(t.Context(), f.Columns(), each) })
					windows, err := target.Windows(t.Context())
					assert.NilError(t, err)
					assert.Equal(t, len(windows), 1)
					assert.Equal(t, len(report.Receipts), 1)
					left, err := target.Leftovers(t.Context())
					assert.NilError(t, err)
					assert.Equal(t, len(left), 0, "%q", left)
					assert.NilError(t, errors.Join(src.Close(t.Context()), target.Close(t.Context())))
				})
			}
		}
	}
}

// TestSeedsAreLikeLoads compares a whole source with a target that was filled by the
// plain driver: the engine finds no row to write.
func TestSeedsAreLikeLoads(t *testing.T) {
	t.Parallel()
	up := servers(t)
	for from, source := range up {
		f := systemtest.Fixture(t, from, 300)
		for to, sink := range up {
			if to == "file" {
				continue
			}
			t.Run(from+"_to_"+to, func(t *testing.T) {
				place := systemtest.Place(t, "seed_"+from+"_"+to, "snapshot_diff")
				src, err := source.Source(t.Context(), f, place)
				assert.NilError(t, err)
				target, err := sink.Target(t.Context(), f, place)
				assert.NilError(t, err)
				seeded, err := target.Seed(t.Context())
				assert.Assert(t, err == nil && seeded, "%v", err)
				report := run(t, place.Dir, text(src.Manifest(), target.Manifest(), "snapshot_diff"))
				assert.Equal(t, report.Counters, connector.Counters{Unchanged: 300})
				assert.NilError(t, src.Change(t.Context()))
				c := f.Counts()
				report = run(t, place.Dir, text(src.Manifest(), target.Manifest(), "snapshot_diff"))
				assert.Equal(t, report.Counters, connector.Counters{Unchanged: c.Rows - c.Deleted - c.Updated, Inserted: c.Inserted, Updated: c.Updated, DeletedHard: c.Deleted})
				systemtest.Same(t, f.Columns(), f.After(), func(each func(fixture.Row) error) error { return target.Rows(t.Context(), f.Columns(), each) })
				assert.NilError(t, errors.Join(src.Close(t.Context()), target.Close(t.Context())))
			})
		}
	}
}

// TestHistory reads the columns that scd2 adds.
func TestHistory(t *testing.T) {
	t.Parallel()
	up := servers(t)
	for to, sink := range up {
		if to == "file" {
			continue
		}
		t.Run(to, func(t *testing.T) {
			f := systemtest.Fixture(t, "sqlite", 20)
			place := systemtest.Place(t, "history_"+to, "scd2")
			src, err := up["sqlite"].Source(t.Context(), f, place)
			assert.NilError(t, err)
			target, err := sink.Target(t.Context(), f, place)
			assert.NilError(t, err)
			manifest := text(src.Manifest(), target.Manifest(), "scd2")
			run(t, place.Dir, manifest)
			assert.NilError(t, src.Change(t.Context()))
			run(t, place.Dir, manifest)
			columns := []fixture.Column{
				{Name: "id", Kind: fixture.Int64},
				{Name: "__dpone__valid_from_at", Kind: fixture.TimestampTZ},
				{Name: "__dpone__valid_to_at", Kind: fixture.TimestampTZ},
				{Name: "__dpone__is_current", Kind: fixture.Bool},
				{Name: "__dpone__row_hash", Kind: fixture.Text},
			}
			current, closed := 0, 0
			assert.NilError(t, target.Rows(t.Context(), columns, func(row fixture.Row) error {
				if len(row[1].Text) != len("2026-06-01T00:00:00.000000Z") || len(row[4].Text) != 64 || row[2].Null != (row[3].Text == "true") || !row[2].Null && len(row[2].Text) != len(row[1].Text) {
					return fmt.Errorf("%v", row)
				}
				if row[3].Text == "true" {
					current++
				} else {
					closed++
				}
				return nil
			}))
			c := f.Counts()
			assert.Equal(t, int64(current), c.Rows-c.Deleted+c.Inserted)
			assert.Equal(t, int64(closed), c.Deleted+c.Updated)
			assert.NilError(t, errors.Join(src.Close(t.Context()), target.Close(t.Context())))
		})
	}
}

// TestFollow lets the engine follow a PostgreSQL table by its log and by its
// transaction numbers, with long values that an update leaves as they are.
func TestFollow(t *testing.T) {
	t.Parallel()
	up := servers(t)
	if up["postgres"] == nil {
		t.Skip("PostgreSQL alone has cdc and xmin")
	}
	f := systemtest.Fixture(t, "postgres", 300)
	for mode, source := range map[string]string{"cdc": "cdc: {slot: dpone_follow_cdc, publication: dpone_follow_cdc}", "xmin": ""} {
		place := systemtest.Place(t, "follow_"+mode, mode)
		src, err := up["postgres"].Source(t.Context(), f, place)
		assert.NilError(t, err)
		target, err := up["postgres"].Target(t.Context(), f, place)
		assert.NilError(t, err)
		from := src.Manifest()
		if source != "" {
			from.Options = append(from.Options, source)
		}
		manifest := text(from, target.Manifest(), mode)
		if mode == "xmin" {
			manifest += "reconciliation: {enabled: true}\n"
		}
		read := func(each func(fixture.Row) error) error { return target.Rows(t.Context(), f.Columns(), each) }
		run(t, place.Dir, manifest)
		systemtest.Same(t, f.Columns(), f.Before(), read)
		assert.NilError(t, src.Change(t.Context()))
		run(t, place.Dir, manifest)
		systemtest.Same(t, f.Columns(), f.After(), read)
		left, err := target.Leftovers(t.Context())
		assert.NilError(t, err)
		assert.Equal(t, len(left), 0, "%q", left)
		assert.NilError(t, errors.Join(src.Close(t.Context()), target.Close(t.Context())))
	}
}

// TestDeclared reads the manifests that the families declare.
func TestDeclared(t *testing.T) {
	t.Parallel()
	for _, from := range families() {
		for _, to := range families() {
			_, err := manifest.Parse("manifest.yaml", []byte(text(from.Declared.Source, to.Declared.Sink, "full_refresh")))
			assert.NilError(t, err)
		}
	}
}
