package files

import (
	"bytes"
	"context"
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

var strategies = []string{"full_refresh", "incremental_append", "incremental_merge", "replace", "partition_replace", "snapshot_diff", "scd2", "backfill", "another"}

func begin(t testing.TB) *server {
	t.Helper()
	s, err := Family().Start(t.Context(), system.Options{Scratch: t.TempDir()})
	assert.NilError(t, err)
	t.Cleanup(func() {
		dir := s.(*server).dir
		assert.NilError(t, s.Close(context.Background()))
		left, err := os.ReadDir(dir)
		assert.NilError(t, err)
		assert.Equal(t, len(left), 0)
	})
	return s.(*server)
}

// as reads files of a folder as if a manifest told of them.
func as(of format) published {
	p := published{Format: of.name, Compression: of.compression}
	if p.Compression == "" {
		p.Compression = "none"
	}
	p.CSV.Delimiter, p.CSV.Null = of.delimiter, of.null
	return p
}

func everything(columns []fixture.Column) (names []string, wanted []field) {
	for i, c := range columns {
		names = append(names, c.Name)
		wanted = append(wanted, field{name: c.Name, kind: c.Kind, index: i})
	}
	return names, wanted
}

// rowsOf reads a source. A key that its lines leave out is NULL there, and JSON has one null for both kinds.
func rowsOf(t testing.TB, src *source, columns []fixture.Column) systemtest.Read {
	names, wanted := everything(columns)
	return func(each func(fixture.Row) error) error {
		entries, err := os.ReadDir(src.dir)
		if err != nil {
			return err
		}
		assert.Equal(t, len(entries), parts)
		for _, e := range entries {
			f, err := os.Open(filepath.Join(src.dir, e.Name()))
			if err != nil {
				return err
			}
			_, err = visit(t.Context(), f, as(src.form), names, wanted, func(row fixture.Row) error {
				for i, v := range row {
					if v.Text == "::no key" {
						row[i] = fixture.Value{Null: true}
					}
				}
				return each(row)
			})
			if err := errors.Join(err, f.Close()); err != nil {
				return fmt.Errorf("%s: %w", e.Name(), err)
			}
		}
		return nil
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 300)
	for _, strategy := range strategies {
		t.Run(strategy, func(t *testing.T) {
			place := systemtest.Place(t, "source", strategy)
			src, err := s.Source(t.Context(), f, place)
			assert.NilError(t, err)
			read := rowsOf(t, src.(*source), f.Columns())
			systemtest.Same(t, f.Columns(), f.Before(), read)
			assert.NilError(t, src.Change(t.Context()))
			changed := f.After()
			if place.Events {
				changed = f.Delta()
			}
			systemtest.Same(t, f.Columns(), changed, read)
			assert.NilError(t, src.Close(t.Context()))
			entries, err := os.ReadDir(place.Dir)
			assert.NilError(t, err)
			assert.Equal(t, len(entries), 0)
		})
	}
}

func TestEveryFormat(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, strategy := range strategies {
		from, to := formats(strategy)
		assert.Assert(t, from.name != to.name, strategy)
		seen["source "+from.ext()]++
		seen["sink "+to.ext()]++
	}
	for _, want := range []string{"source csv", "source csv.gz", "source csv.zst", "source jsonl", "source jsonl.gz", "source jsonl.zst", "source parquet", "sink csv", "sink csv.zst", "sink jsonl", "sink jsonl.gz", "sink parquet"} {
		assert.Assert(t, seen[want] > 0, want)
	}
}

// One row, of which the change leaves none, is still a folder of files.
func TestNoRows(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f, err := fixture.New(fixture.Spec{Rows: 1, Changed: 1, Deleted: 1, Family: "file"})
	assert.NilError(t, err)
	for _, strategy := range strategies {
		src, err := s.Source(t.Context(), f, systemtest.Place(t, "none", strategy))
		assert.NilError(t, err)
		read := rowsOf(t, src.(*source), f.Columns())
		systemtest.Same(t, f.Columns(), f.Before(), read)
		assert.NilError(t, src.Change(t.Context()))
		if strategy != "incremental_append" {
			systemtest.Same(t, f.Columns(), f.After(), read)
		}
	}
}

func TestConcurrentCases(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 100)
	var all sync.WaitGroup
	for i := range 4 {
		place := systemtest.Place(t, fmt.Sprintf("concurrent_%d", i), strategies[i%2])
		place.Events = false
		all.Go(func() {
			src, err := s.Source(t.Context(), f, place)
			if err == nil {
				err = src.Change(t.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
			out, err := systemtest.Differences(f.Columns(), f.After(), rowsOf(t, src.(*source), f.Columns()))
			if err := errors.Join(err, src.Close(t.Context())); err != nil || len(out) > 0 {
				t.Error(out, err)
			}
		})
	}
	all.Wait()
}

// publish writes a data set by hand.
func publish(t *testing.T, s *server, f *fixture.Fixture, strategy string) *destination {
	t.Helper()
	made, err := s.Target(t.Context(), f, systemtest.Place(t, "target", strategy))
	assert.NilError(t, err)
	target := made.(*destination)
	assert.NilError(t, os.MkdirAll(filepath.Join(target.dir, "data"), 0o700))
	name := "data/orders." + target.form.ext()
	path := filepath.Join(target.dir, name)
	assert.NilError(t, writeFile(path, target.form, f.Columns(), f.Before()))
	if target.form.name == jsonlFormat { // as the engine publishes it, with every key
		assert.NilError(t, os.Remove(path))
		assert.NilError(t, writeFile(path, target.form, f.Columns(), f.Before()))
	}
	var types []string
	for _, c := range f.Columns() {
		types = append(types, fmt.Sprintf(`{"name":%q,"type":%q}`, c.Name, logical(c)))
	}
	columns := "[" + strings.Join(types, ",") + "]"
	of := as(target.form)
	if target.form.name == parquetFormat && target.form.compression == "" {
		of.Compression = "snappy"
	}
	text := fmt.Sprintf(`{"version":1,"columns":%s,"schemas":[%s],"files":[{"path":%q,"format":%q,"compression":%q,"csv":{"delimiter":%q,"null":%q},"schema":0,"rows":%d}],
		"receipts":[{"receipt":{"window":"w2"}},{"receipt":{"window":"W1"}},{"receipt":{"window":"w2"}}]}`,
		columns, columns, name, of.Format, of.Compression, of.CSV.Delimiter, of.CSV.Null, f.Counts().Rows)
	assert.NilError(t, os.WriteFile(filepath.Join(target.dir, manifestName), []byte(text), 0o600))
	return target
}

func TestWindows(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 5)
	made, err := s.Target(t.Context(), f, systemtest.Place(t, "target", "backfill"))
	assert.NilError(t, err)
	windows, err := made.Windows(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(windows), 0)
	left, err := made.Leftovers(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
	seeded, err := made.Seed(t.Context())
	assert.Assert(t, err == nil && !seeded)
	assert.ErrorContains(t, made.Rows(t.Context(), f.Columns(), nil), "has no manifest.json")

	windows, err = publish(t, s, f, "backfill").Windows(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, windows, []string{"W1", "w2", "w2"})
}

// What a manifest does not tell, or tells otherwise, is a leftover.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 5)
	target := publish(t, s, f, "incremental_merge")
	for _, name := range []string{".lock", "manifest.json.tmp", "intent.json", "data/other.csv"} {
		assert.NilError(t, os.WriteFile(filepath.Join(target.dir, name), nil, 0o600))
	}
	assert.NilError(t, os.MkdirAll(filepath.Join(target.dir, ".staging", "load"), 0o700))
	left, err := target.Leftovers(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, left, []string{".staging/", ".staging/load/", "data/orders.csv is not what manifest.json tells", "data/other.csv", "intent.json", "manifest.json.tmp"})
	assert.NilError(t, os.Remove(filepath.Join(target.dir, "data/orders.csv")))
	left, err = target.Leftovers(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(strings.Join(left, "\n"), "data/orders.csv is missing"))
}

// edit changes a file of text as somebody would by hand.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.Equal(t, bytes.Count(raw, []byte(from)), 1, "%q is not there once", from)
	assert.NilError(t, os.WriteFile(path, bytes.Replace(raw, []byte(from), []byte(to), 1), 0o600))
}

func TestDefectsInCSV(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 20)
	c := f.Columns()[:6]
	for _, defect := range []struct{ from, to, told string }{
		{",2026-06-01T00:00:00.000007Z,file,", ",2026-06-01T00:00:00.000007Z,file,", ""},
		{",2026-06-01T00:00:00.000007Z,file,", ",2026-06-01 00:00:00.000007+00,file,", ""},
		{",2026-06-01T00:00:00.000007Z,file,", ",2026-06-01 02:00:00.000007+02,file,", `id 7: updated_at is "2026-06-01 02:00:00.000007+02", not "2026-06-01T00:00:00.000007Z"`},
		{",2026-06-01T00:00:00.000007Z,file,", ",2026-06-01 00:00:00.000007,file,", `id 7: updated_at is "2026-06-01 00:00:00.000007", not "2026-06-01T00:00:00.000007Z"`},
		{",2026-06-01T00:00:00.000007Z,file,", `,2026-06-01T00:00:00.000007Z,"",`, `id 7: source_family is "", not "file"`},
		{",2026-06-01T00:00:00.000007Z,file,", `,2026-06-01T00:00:00.000007Z,,`, `id 7: source_family is NULL, not "file"`},
		{",2026-06-01T00:00:00.000007Z,file,0,", ",2026-06-01T00:00:00.000007Z,file,1,", `id 7: mock_variant is "1", not "0"`},
	} {
		target := publish(t, s, f, "incremental_merge")
		edit(t, filepath.Join(target.dir, "data/orders.csv"), defect.from, defect.to)
		var want []string
		if defect.told != "" {
			want = append(want, defect.told)
		}
		systemtest.Differs(t, c, head(f, 6), func(each func(fixture.Row) error) error { return target.Rows(t.Context(), c, each) }, want...)
	}
}

// head gives the first columns of the rows.
func head(f *fixture.Fixture, n int) func(func(fixture.Row) bool) {
	return func(yield func(fixture.Row) bool) {
		for row := range f.Before() {
			if !yield(row[:n]) {
				return
			}
		}
	}
}

func TestDefectsInJSONL(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 20)
	c := f.Columns()[:6]
	const at = `"updated_at":"2026-06-01T00:00:00.000007Z","source_family":"file","mock_variant":0,`
	for _, defect := range []struct{ to, told string }{
		{at, ""},
		{strings.Replace(at, `T00:00:00.000007Z`, ` 00:00:00.000007+00`, 1), ""},
		{strings.Replace(at, `T00:00:00.000007Z`, ` 00:00:00.000007`, 1), `id 7: updated_at is "2026-06-01 00:00:00.000007", not "2026-06-01T00:00:00.000007Z"`},
		{strings.Replace(at, `"file"`, `null`, 1), `id 7: source_family is NULL, not "file"`},
		{strings.Replace(at, `"file"`, `""`, 1), `id 7: source_family is "", not "file"`},
		{strings.Replace(at, `"file"`, `"\u0066ile"`, 1), ""},
		{strings.Replace(at, `"file"`, `7`, 1), `id 7: source_family is "7::JSON", not "file"`},
		{strings.Replace(at, `"source_family":"file",`, ``, 1), `id 7: source_family is "::no key", not "file"`},
		{strings.Replace(at, `:0,`, `:"0",`, 1), `id 7: mock_variant is "0::string", not "0"`},
		{strings.Replace(at, `:0,`, `:0.0,`, 1), `id 7: mock_variant is "0.0", not "0"`},
		{strings.Replace(at, `:0,`, `:true,`, 1), `id 7: mock_variant is "true::boolean", not "0"`},
	} {
		target := publish(t, s, f, "scd2")
		edit(t, filepath.Join(target.dir, "data/orders.jsonl"), at, defect.to)
		var want []string
		if defect.told != "" {
			want = append(want, defect.told)
		}
		systemtest.Differs(t, c, head(f, 6), func(each func(fixture.Row) error) error { return target.Rows(t.Context(), c, each) }, want...)
	}
}

// A manifest that gives a column another type, or tells another number of rows, is told of.
func TestDefectsInManifest(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 1)
	c := f.Columns()[:6]
	for _, strategy := range []string{"incremental_merge", "scd2", "snapshot_diff"} {
		for _, defect := range []struct{ from, to, told string }{
			{`{"name":"mock_variant","type":"int32"}`, `{"name":"mock_variant","type":"int64"}`, `id 1: mock_variant is "0%s::int64", not "0"`},
			{`"rows":1`, `"rows":2`, ""},
		} {
			target := publish(t, s, f, strategy)
			path := filepath.Join(target.dir, manifestName)
			raw, err := os.ReadFile(path)
			assert.NilError(t, err)
			assert.NilError(t, os.WriteFile(path, bytes.ReplaceAll(raw, []byte(defect.from), []byte(defect.to)), 0o600))
			var want []string
			if defect.told != "" {
				file := ""
				if target.form.name == parquetFormat {
					file = "::int32" // of which the file itself tells
				}
				want = append(want, fmt.Sprintf(defect.told, file))
			}
			systemtest.Differs(t, c, head(f, 6), func(each func(fixture.Row) error) error { return target.Rows(t.Context(), c, each) }, want...)
			if defect.told == "" {
				assert.Equal(t, target.miscounted["data/orders."+target.form.ext()], "has 1 rows and manifest.json tells 2")
			}
		}
	}
}

// Files that cannot be read are errors, not rows.
func TestBroken(t *testing.T) {
	t.Parallel()
	s := begin(t)
	f := systemtest.Fixture(t, "file", 20)
	for _, strategy := range []string{"incremental_merge", "scd2", "snapshot_diff", "full_refresh", "replace"} {
		target := publish(t, s, f, strategy)
		path := filepath.Join(target.dir, "data/orders."+target.form.ext())
		raw, err := os.ReadFile(path)
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(path, raw[:len(raw)-20], 0o600))
		err = target.Rows(t.Context(), f.Columns(), func(fixture.Row) error { return nil })
		assert.Assert(t, err != nil, strategy)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,b\n1,\"x\"\"y\"\n"))
	f.Add([]byte("a,b\n,\"\n\"\n"))
	names, wanted := everything([]fixture.Column{{Name: "a", Kind: fixture.Int32}, {Name: "b", Kind: fixture.Text}})
	f.Fuzz(func(_ *testing.T, data []byte) {
		r, err := newCSVReader(bytes.NewReader(data), func() {}, format{}, names, wanted)
		for err == nil {
			if err = r.next(); err == nil {
				_, _, err = r.value(nil, 1)
			}
		}
	})
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte("{\"a\":1,\"b\":\"x\"}\n"))
	f.Add([]byte("{\"b\":{\"__dpone__json\":\"null\"},\"a\":[1]}\n"))
	names, wanted := everything([]fixture.Column{{Name: "a", Kind: fixture.Int32}, {Name: "b", Kind: fixture.JSON}})
	f.Fuzz(func(_ *testing.T, data []byte) {
		r := newJSONLReader(bytes.NewReader(data), func() {}, names, wanted)
		for err := r.next(); err == nil; err = r.next() {
			for i := range wanted {
				_, _, _ = r.value(nil, i)
			}
		}
	})
}

func BenchmarkLayOut(b *testing.B) {
	s := begin(b)
	f := systemtest.Fixture(b, "file", 10_000)
	for _, strategy := range []string{"full_refresh", "incremental_append", "snapshot_diff"} {
		form, _ := formats(strategy)
		_, err := s.template(b.Context(), f, form, before)
		assert.NilError(b, err)
		b.Run(form.ext(), func(b *testing.B) {
			for b.Loop() {
				src, err := s.Source(b.Context(), f, systemtest.Place(b, "layout", strategy))
				assert.NilError(b, err)
				assert.NilError(b, src.Close(b.Context()))
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	f := systemtest.Fixture(b, "file", 10_000)
	for _, strategy := range strategies {
		form, _ := formats(strategy)
		b.Run(form.ext()+" "+strategy, func(b *testing.B) {
			for b.Loop() {
				s := begin(b)
				_, err := s.template(b.Context(), f, form, before)
				assert.NilError(b, err)
			}
		})
	}
}

func BenchmarkRows(b *testing.B) {
	s := begin(b)
	f := systemtest.Fixture(b, "file", 10_000)
	names, wanted := everything(f.Columns())
	for _, strategy := range strategies {
		form, _ := formats(strategy)
		dir, err := s.template(b.Context(), f, form, before)
		assert.NilError(b, err)
		b.Run(form.ext()+" "+strategy, func(b *testing.B) {
			for b.Loop() {
				n := int64(0)
				for i := range parts {
					in, err := os.Open(filepath.Join(dir, partName(i, form)))
					assert.NilError(b, err)
					m, err := visit(b.Context(), in, as(form), names, wanted, func(fixture.Row) error { return nil })
					assert.NilError(b, errors.Join(err, in.Close()))
					n += m
				}
				assert.Equal(b, n, int64(10_000))
			}
		})
	}
}
