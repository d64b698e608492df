package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/systemtest"
)

func begin(t testing.TB) *server {
	t.Helper()
	s, err := Family().Start(t.Context(), system.Options{Scratch: t.TempDir()})
	assert.NilError(t, err)
	t.Cleanup(func() {
		dir := s.(*server).dir
		assert.NilError(t, s.Close(t.Context()))
		left, err := os.ReadDir(dir)
		assert.NilError(t, err)
		assert.Equal(t, len(left), 0)
	})
	return s.(*server)
}

// rowsOf reads a source.
func rowsOf(t testing.TB, s *server, src system.Source, columns []fixture.Column) systemtest.Read {
	return func(each func(fixture.Row) error) error {
		return s.with(t.Context(), src.(*source).path, "ro", func(conn *sql.Conn) error { return read(t.Context(), conn, columns, each) })
	}
}

func (s *server) change(t testing.TB, path, statement string) {
	t.Helper()
	assert.NilError(t, s.with(t.Context(), path, "rw", func(conn *sql.Conn) error { return exec(t.Context(), conn, statement) }))
}

func TestFacts(t *testing.T) {
	t.Parallel()
	facts := begin(t).Facts()
	assert.Equal(t, facts.System, "SQLite")
	assert.Assert(t, strings.HasPrefix(facts.Version, "3."), facts.Version)
}

func TestSource(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "sqlite", 300)
	place := systemtest.Place(t, "source", "full_refresh")
	src, err := s.Source(t.Context(), f, place)
	assert.NilError(t, err)
	read := rowsOf(t, s, src, f.Columns())
	systemtest.Same(t, f.Columns(), f.Before(), read)
	assert.NilError(t, src.Change(t.Context()))
	systemtest.Same(t, f.Columns(), f.After(), read)
	entries, err := os.ReadDir(place.Dir)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 1) // no journal and no log is left beside it
	var mode string
	assert.NilError(t, s.with(t.Context(), src.(*source).path, "ro", func(conn *sql.Conn) error {
		return conn.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode)
	}))
	assert.Equal(t, mode, "delete")
	assert.NilError(t, src.Close(t.Context()))
	entries, err = os.ReadDir(place.Dir)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 0)
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "sqlite", 300)
	src, err := s.Source(t.Context(), f, systemtest.Place(t, "events", "incremental_append"))
	assert.NilError(t, err)
	read := rowsOf(t, s, src, f.Columns())
	systemtest.Same(t, f.Columns(), f.Before(), read)
	assert.NilError(t, src.Change(t.Context()))
	systemtest.Same(t, f.Columns(), f.Delta(), read)
}

func TestSeed(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "sqlite", 300)
	c := f.Columns()
	for _, defect := range []struct{ change, told string }{
		{"", ""},
		{"UPDATE orders SET source_family = ''", `id 150: source_family is "", not "sqlite"`},
		{"UPDATE orders SET mock_variant = 2", `id 150: mock_variant is "2", not "0"`},
		{"UPDATE orders SET mock_variant = 'zero'", `id 150: mock_variant is "zero::text", not "0"`},
		{"UPDATE orders SET mock_variant = 3000000000", `id 150: mock_variant is "3000000000::integer", not "0"`},
		{"UPDATE orders SET source_family = x'73'", `id 150: source_family is "73::blob", not "sqlite"`},
		{"UPDATE orders SET updated_at = '2026-06-01 00:00:00.00015'", `id 150: updated_at is "2026-06-01 00:00:00.00015", not "2026-06-01T00:00:00.000150Z"`},
		{"UPDATE orders SET updated_at = '2026-06-01 01:00:00.00015+01'", `id 150: updated_at is "2026-06-01 01:00:00.00015+01", not "2026-06-01T00:00:00.000150Z"`},
		{"UPDATE orders SET business_date = '2026-06-04'", `id 150: business_date is "2026-06-04", not "2026-06-02"`},
		{"UPDATE orders SET value = 1.5, mock_variant = 0.5", "id 150: value is %s\nid 150: mock_variant is \"0.5::real\", not \"0\""},
		{"DELETE FROM orders", "id 150: missing"},
	} {
		place := systemtest.Place(t, "seed", "full_refresh")
		target, err := s.Target(t.Context(), f, place)
		assert.NilError(t, err)
		seeded, err := target.Seed(t.Context())
		assert.NilError(t, err)
		assert.Assert(t, seeded)
		read := func(each func(fixture.Row) error) error { return target.Rows(t.Context(), c, each) }
		if defect.change == "" {
			systemtest.Same(t, c, f.Before(), read)
			continue
		}
		s.change(t, target.(*destination).path, defect.change+" WHERE id = 150")
		out, err := systemtest.Differences(c, f.Before(), read)
		assert.NilError(t, err)
		for i, told := range strings.Split(defect.told, "\n") {
			told, _, cut := strings.Cut(told, "%s")
			assert.Assert(t, out[i] == told || cut && strings.HasPrefix(out[i], told), "%s: %s", defect.change, out)
		}
		assert.NilError(t, target.Close(t.Context()))
		entries, err := os.ReadDir(place.Dir)
		assert.NilError(t, err)
		assert.Equal(t, len(entries), 0)
	}
}

func TestSeedWithoutKey(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "sqlite", 5)
	for strategy, fails := range map[string]bool{"incremental_append": false, "snapshot_diff": true} {
		target, err := s.Target(t.Context(), f, systemtest.Place(t, "key", strategy))
		assert.NilError(t, err)
		_, err = target.Seed(t.Context())
		assert.NilError(t, err)
		err = s.with(t.Context(), target.(*destination).path, "rw", func(conn *sql.Conn) error {
			return exec(t.Context(), conn, "INSERT INTO orders SELECT * FROM orders")
		})
		assert.Equal(t, err != nil, fails, "%v", err)
	}
}

func TestConcurrentCases(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "sqlite", 100)
	var all sync.WaitGroup
	for i := range 4 {
		place := systemtest.Place(t, fmt.Sprintf("concurrent_%d", i), "full_refresh")
		all.Go(func() {
			src, err := s.Source(t.Context(), f, place)
			if err == nil {
				err = src.Change(t.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
			out, err := systemtest.Differences(f.Columns(), f.After(), rowsOf(t, s, src, f.Columns()))
			if err := errors.Join(err, src.Close(t.Context())); err != nil || len(out) > 0 {
				t.Error(out, err)
			}
		})
	}
	all.Wait()
}

func TestWindowsAndLeftovers(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "sqlite", 5)
	target, err := s.Target(t.Context(), f, systemtest.Place(t, "windows", "backfill"))
	assert.NilError(t, err)
	look := func() (windows, left []string) {
		windows, err := target.Windows(t.Context())
		assert.NilError(t, err)
		left, err = target.Leftovers(t.Context())
		assert.NilError(t, err)
		return windows, left
	}
	windows, left := look() // there is no file
	assert.Equal(t, len(windows)+len(left), 0)
	_, err = target.Seed(t.Context())
	assert.NilError(t, err)
	windows, left = look()
	assert.Equal(t, len(windows)+len(left), 0)
	path := target.(*destination).path
	s.change(t, path, "CREATE TABLE dpone_receipt (pipeline text, load_window text)")
	s.change(t, path, "INSERT INTO dpone_receipt VALUES ('a', 'w2'), ('a', 'W1'), ('b', 'w2')")
	windows, left = look()
	assert.DeepEqual(t, windows, []string{"W1", "w2", "w2"})
	assert.Equal(t, len(left), 0)
	s.change(t, path, "CREATE TABLE dpone_stage_1 (x)")
	assert.NilError(t, os.WriteFile(path+".part", nil, 0o600))
	_, left = look()
	assert.DeepEqual(t, left, []string{filepath.Base(path) + ".part", "dpone_stage_1"})
}

func BenchmarkLayOut(b *testing.B) {
	s := begin(b)
	f := systemtest.Fixture(b, "sqlite", 10_000)
	_, err := s.template(b.Context(), f, form{key: true})
	assert.NilError(b, err)
	for b.Loop() {
		src, err := s.Source(b.Context(), f, systemtest.Place(b, "layout", "full_refresh"))
		assert.NilError(b, err)
		assert.NilError(b, src.Close(b.Context()))
	}
}

func BenchmarkTemplate(b *testing.B) {
	f := systemtest.Fixture(b, "sqlite", 10_000)
	for b.Loop() {
		s := begin(b)
		_, err := s.template(b.Context(), f, form{key: true})
		assert.NilError(b, err)
	}
}

func BenchmarkRows(b *testing.B) {
	s := begin(b)
	f := systemtest.Fixture(b, "sqlite", 10_000)
	target, err := s.Target(b.Context(), f, systemtest.Place(b, "rows", "full_refresh"))
	assert.NilError(b, err)
	_, err = target.Seed(b.Context())
	assert.NilError(b, err)
	for b.Loop() {
		n := 0
		assert.NilError(b, target.Rows(b.Context(), f.Columns(), func(fixture.Row) error { n++; return nil }))
		assert.Equal(b, n, 10_000)
	}
}
