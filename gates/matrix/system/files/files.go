// Package files lays out and changes folders of CSV, JSON Lines and Parquet files,
// and reads published data sets back by their manifest.json, all with readers and
// writers of its own on the standard library and apache/arrow-go.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

const family = "file"

// Family is files.
func Family() system.Family {
	f := system.Family{Name: family, Start: start}
	f.Declared.Source = system.Fragment{Lines: []string{"type: " + family, "path: incoming"}, Options: []string{"format: jsonl"}}
	f.Declared.Sink = system.Fragment{Lines: []string{"type: " + family, "path: published"}, Options: []string{"format: parquet"}}
	return f
}

// The formats and compressions, as manifests name them.
const (
	csvFormat     = "csv"
	jsonlFormat   = "jsonl"
	parquetFormat = "parquet"

	gzipped   = "gzip"
	zstandard = "zstd"
)

// format says how files are written.
type format struct {
	name        string
	compression string // as a manifest has it; empty for the format's own
	// Of CSV: what separates fields, a comma when empty, and what stands for NULL without quotes.
	delimiter, null string
}

func (f format) separator() byte {
	if f.delimiter == "" {
		return ','
	}
	return f.delimiter[0]
}

// ext ends the names of files, by which their compression is known.
func (f format) ext() string {
	if f.name != parquetFormat {
		switch f.compression {
		case gzipped:
			return f.name + ".gz"
		case zstandard:
			return f.name + ".zst"
		}
	}
	return f.name
}

// options are the lines of a manifest. A source's compression is told by the names of its files.
func (f format) options(sink bool) []string {
	lines := []string{"format: " + f.name}
	if sink && f.compression != "" {
		lines = append(lines, "compression: "+f.compression)
	}
	if f.delimiter != "" || f.null != "" {
		lines = append(lines, fmt.Sprintf("csv: {delimiter: %q, null: %q}", f.delimiter, f.null))
	}
	return lines
}

// formats chooses source and sink by strategy, so that all formats and compressions occur on both sides.
func formats(strategy string) (source, sink format) {
	switch strategy {
	case "full_refresh":
		return format{name: parquetFormat}, format{name: csvFormat, compression: zstandard}
	case "incremental_append":
		return format{name: csvFormat}, format{name: parquetFormat}
	case "incremental_merge":
		return format{name: jsonlFormat, compression: zstandard}, format{name: csvFormat}
	case "replace":
		return format{name: csvFormat, compression: gzipped, delimiter: ";", null: `\N`}, format{name: jsonlFormat, compression: gzipped}
	case "partition_replace":
		return format{name: parquetFormat, compression: zstandard}, format{name: csvFormat, delimiter: ";", null: `\N`}
	case "snapshot_diff":
		return format{name: jsonlFormat}, format{name: parquetFormat}
	case "scd2":
		return format{name: csvFormat, compression: zstandard}, format{name: jsonlFormat}
	case "backfill":
		return format{name: jsonlFormat, compression: gzipped}, format{name: parquetFormat, compression: zstandard}
	}
	return format{name: csvFormat}, format{name: jsonlFormat, compression: zstandard}
}

type server struct {
	dir string

	mu        sync.Mutex
	templates map[templateKey]*template
}

// templateKey names a folder of files that is written once and copied for each case.
type templateKey struct {
	spec   fixture.Spec
	format format
	role   role
}

// role says which rows a template holds.
type role string

const (
	before role = "before"
	after  role = "after"
	delta  role = "delta"
)

type template struct {
	sync.Mutex
	dir string // empty until it is filled
}

func start(_ context.Context, o system.Options) (system.Server, error) {
	return &server{dir: o.Scratch, templates: map[templateKey]*template{}}, nil
}

// Alive is always so: there is no server.
func (s *server) Alive(context.Context) error { return nil }

func (s *server) Facts() system.Facts {
	return system.Facts{Family: family, System: "files", Version: "CSV (RFC 4180), JSON Lines, Parquet 2; gzip, zstd"}
}

func (s *server) Close(context.Context) error {
	var err error
	for _, t := range s.templates {
		if t.dir != "" {
			err = errors.Join(err, os.RemoveAll(t.dir))
		}
	}
	return err
}

// parts is the number of files of a source.
const parts = 3

func partName(i int, f format) string { return "orders-" + strconv.Itoa(i+1) + "." + f.ext() }

// template gives the folder with the files of a role.
func (s *server) template(ctx context.Context, f *fixture.Fixture, of format, r role) (string, error) {
	s.mu.Lock()
	key := templateKey{f.Spec(), of, r}
	t := s.templates[key]
	if t == nil {
		t = &template{}
		s.templates[key] = t
	}
	dir := filepath.Join(s.dir, "template_"+strconv.Itoa(len(s.templates)))
	s.mu.Unlock()
	t.Lock()
	defer t.Unlock()
	if t.dir != "" {
		return t.dir, nil
	}
	c := f.Counts()
	rows, total := f.Before(), c.Rows
	switch r {
	case before:
	case after:
		rows, total = f.After(), c.Rows-c.Deleted+c.Inserted
	case delta:
		rows, total = f.Delta(), c.Changed
	}
	if err := fill(ctx, dir, of, f.Columns(), rows, total); err != nil {
		return "", errors.Join(fmt.Errorf("write %s files: %w", of.name, err), os.RemoveAll(dir))
	}
	t.dir = dir
	return dir, nil
}

// fill writes the rows into the files of a folder, each a part of them in their order. A file may stay without rows.
func fill(ctx context.Context, dir string, of format, columns []fixture.Column, rows iter.Seq[fixture.Row], total int64) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next, stop := iter.Pull(rows)
	defer stop()
	for i := range parts {
		n := total*int64(i+1)/parts - total*int64(i)/parts
		err := writeFile(filepath.Join(dir, partName(i, of)), of, columns, func(yield func(fixture.Row) bool) {
			for ; n > 0; n-- {
				row, ok := next()
				if !ok || !yield(row) {
					return
				}
			}
		})
		switch {
		case err != nil:
			return err
		case n > 0:
			return fmt.Errorf("%d rows are missing", n)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
	if _, more := next(); more {
		return errors.New("there are more rows than the counts tell")
	}
	return nil
}

type source struct {
	s    *server
	f    *fixture.Fixture
	p    system.Place
	dir  string
	form format
}

func (s *server) Source(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Source, error) {
	dir, err := filepath.Abs(filepath.Join(p.Dir, "incoming"))
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	form, _ := formats(p.Strategy)
	src := &source{s: s, f: f, p: p, dir: dir, form: form}
	return src, src.put(ctx, before)
}

// put replaces each file by the one of a role; every file is whole at any time.
func (s *source) put(ctx context.Context, r role) error {
	from, err := s.s.template(ctx, s.f, s.form, r)
	if err != nil {
		return err
	}
	for i := range parts {
		name := partName(i, s.form)
		made := filepath.Join(s.dir, "."+name+".new")
		if err := copyFile(filepath.Join(from, name), made); err != nil {
			return err
		}
		if err := os.Rename(made, filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (s *source) Manifest() system.Fragment {
	f := fragment(s.dir)
	f.Options = s.form.options(false)
	if s.form.name == parquetFormat {
		return f // which types its columns itself
	}
	f.Options = append(f.Options, "types:")
	for _, c := range s.f.Columns() {
		f.Options = append(f.Options, fmt.Sprintf("  - {column: %q, type: %q}", c.Name, logical(c)))
	}
	return f
}

func fragment(path string) system.Fragment {
	return system.Fragment{Lines: []string{"type: " + family, fmt.Sprintf("path: %q", path)}}
}

// logical names a column's type as manifests do.
func logical(c fixture.Column) string {
	switch {
	case c.Kind == fixture.Decimal:
		return fmt.Sprintf("numeric(%d,%d)", c.Precision, c.Scale)
	case c.Kind == fixture.Text && c.Length > 0:
		return fmt.Sprintf("text(%d)", c.Length)
	}
	return string(c.Kind)
}

func (s *source) Change(ctx context.Context) error {
	if s.p.Events {
		return s.put(ctx, delta)
	}
	return s.put(ctx, after)
}

func (s *source) Close(context.Context) error { return os.RemoveAll(s.dir) }
