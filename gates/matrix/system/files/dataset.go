package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// manifestName is the file of a folder that says what is published in it.
const manifestName = "manifest.json"

// manifest is what is looked at of it.
type manifest struct {
	Version  int          `json:"version"`
	Columns  []typed      `json:"columns"`
	Schemas  [][]typed    `json:"schemas"`
	Files    []published  `json:"files"`
	Receipts []receiptRow `json:"receipts"`
}

type typed struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type published struct {
	Path        string `json:"path"`
	Format      string `json:"format"`
	Compression string `json:"compression"`
	CSV         struct {
		Delimiter string `json:"delimiter"`
		Null      string `json:"null"`
		NoHeader  bool   `json:"no_header"`
	} `json:"csv"`
	Schema int    `json:"schema"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

type receiptRow struct {
	Receipt struct {
		Window string `json:"window"`
	} `json:"receipt"`
}

type destination struct {
	f    *fixture.Fixture
	dir  string
	form format
	p    system.Place
	// miscounted are the files that had another number of rows than the manifest tells when they were last read.
	miscounted map[string]string
}

func (s *server) Target(_ context.Context, f *fixture.Fixture, p system.Place) (system.Target, error) {
	dir, err := filepath.Abs(filepath.Join(p.Dir, "published"))
	_, form := formats(p.Strategy)
	return &destination{f: f, dir: dir, form: form, p: p}, err
}

func (t *destination) Manifest() system.Fragment {
	f := fragment(t.dir)
	f.Options = t.form.options(true)
	if t.p.Strategy == "full_refresh" {
		// More than one file is published.
		f.Options = append(f.Options, fmt.Sprintf("file_rows: %d", max(1, t.f.Counts().Rows/3)))
	}
	return f
}

// Seed is false: a data set is published by a load.
func (t *destination) Seed(context.Context) (bool, error) { return false, nil }

func (t *destination) Close(context.Context) error { return os.RemoveAll(t.dir) }

// manifest reads what is published; nil when nothing is.
func (t *destination) manifest() (*manifest, error) {
	raw, err := os.ReadFile(filepath.Join(t.dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // nothing is published
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Version != 1 {
		return nil, fmt.Errorf("%s: version %d is not known", manifestName, m.Version)
	}
	for _, f := range m.Files {
		if f.Schema < 0 || f.Schema >= len(m.Schemas) {
			return nil, fmt.Errorf("%s: %s has the schema %d of %d", manifestName, f.Path, f.Schema, len(m.Schemas))
		}
	}
	return &m, nil
}

func (t *destination) Rows(ctx context.Context, columns []fixture.Column, each func(fixture.Row) error) error {
	m, err := t.manifest()
	if err != nil {
		return err
	}
	if m == nil {
		return fmt.Errorf("the folder %s has no %s", t.dir, manifestName)
	}
	t.miscounted = map[string]string{}
	for _, f := range m.Files {
		n, err := t.file(ctx, m, f, columns, each)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if n != f.Rows {
			t.miscounted[f.Path] = fmt.Sprintf("has %d rows and %s tells %d", n, manifestName, f.Rows)
		}
	}
	return nil
}

// fields finds the wanted columns in a file and in the data set.
func fields(m *manifest, f published, columns []fixture.Column) (names []string, wanted []field, err error) {
	schema := m.Schemas[f.Schema]
	for _, c := range schema {
		names = append(names, c.Name)
	}
	find := func(in []typed, name string) int {
		return slices.IndexFunc(in, func(c typed) bool { return c.Name == name })
	}
	for _, c := range columns {
		w := field{name: c.Name, kind: c.Kind, index: find(schema, c.Name)}
		now := find(m.Columns, c.Name)
		if now < 0 {
			return nil, nil, fmt.Errorf("the data set has no column %q", c.Name)
		}
		if kind := kindOf(m.Columns[now].Type); kind != c.Kind {
			w.other = m.Columns[now].Type
		}
		if w.index >= 0 {
			if w.kind = kindOf(schema[w.index].Type); w.kind != c.Kind {
				w.other = schema[w.index].Type
			}
		}
		wanted = append(wanted, w)
	}
	return names, wanted, nil
}

// kindOf gives the kind of a type as manifests name it.
func kindOf(name string) fixture.Kind {
	name, _, _ = strings.Cut(name, "(")
	if name == "numeric" {
		return fixture.Decimal
	}
	return fixture.Kind(name)
}

// file visits the rows of one file and counts them.
func (t *destination) file(ctx context.Context, m *manifest, of published, columns []fixture.Column, each func(fixture.Row) error) (n int64, err error) {
	names, wanted, err := fields(m, of, columns)
	if err != nil {
		return 0, err
	}
	f, err := os.Open(filepath.Join(t.dir, filepath.FromSlash(of.Path)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return visit(ctx, f, of, names, wanted, each)
}

func visit(ctx context.Context, f *os.File, of published, names []string, wanted []field, each func(fixture.Row) error) (n int64, err error) {
	defer func() {
		if r := recover(); r != nil { // of the Parquet library, which a damaged file can cause
			err = fmt.Errorf("the file cannot be read: %v", r)
		}
	}()
	r, err := open(f, of, names, wanted)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	var row canon.Row
	var values fixture.Row
	for ; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		if err := r.next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		row.Reset()
		for i := range wanted {
			out, null, err := r.value(row.Buf, i)
			if err != nil {
				return n, fmt.Errorf("column %q: %w", wanted[i].name, err)
			}
			if null {
				row.Null()
				continue
			}
			if row.Buf = out; wanted[i].other != "" {
				row.Buf = canon.Other(row.Buf, wanted[i].other)
			}
			row.End()
		}
		values = row.Values(values)
		if err := each(values); err != nil {
			return n, err
		}
	}
}

func open(f *os.File, of published, names []string, wanted []field) (rowReader, error) {
	if of.Format == parquetFormat {
		return newParquetReader(f, names, wanted)
	}
	content, free, err := decompress(f, of.Compression)
	if err != nil {
		return nil, err
	}
	switch {
	case of.Format == jsonlFormat:
		return newJSONLReader(content, free, names, wanted), nil
	case of.Format == csvFormat && !of.CSV.NoHeader:
		return newCSVReader(content, free, format{delimiter: of.CSV.Delimiter, null: of.CSV.Null}, names, wanted)
	}
	return nil, fmt.Errorf("a file of the format %q with the CSV dialect %+v is none that a case asks for", of.Format, of.CSV)
}

func (t *destination) Windows(context.Context) ([]string, error) {
	m, err := t.manifest()
	if m == nil || err != nil {
		return nil, err
	}
	var windows []string
	for _, r := range m.Receipts {
		windows = append(windows, r.Receipt.Window)
	}
	slices.Sort(windows)
	return windows, nil
}

// Leftovers are files that the manifest does not name, and files that it names and
// that have other contents than it tells. The lock stays, which is one file for ever.
func (t *destination) Leftovers(ctx context.Context) ([]string, error) {
	m, err := t.manifest()
	if err != nil {
		return nil, err
	}
	expected := map[string]*published{manifestName: nil, ".lock": nil}
	if m != nil {
		for i := range m.Files {
			expected[m.Files[i].Path] = &m.Files[i]
		}
	}
	var left []string
	err = filepath.WalkDir(t.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == t.dir:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(t.dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			if rel != "." && rel != "data" {
				left = append(left, rel+"/")
			}
			return nil
		}
		f, ok := expected[rel]
		if !ok {
			left = append(left, rel)
			return nil
		}
		delete(expected, rel)
		if f == nil {
			return nil
		}
		why, err := f.differs(path)
		if why == "" {
			why = t.miscounted[rel]
		}
		if why != "" {
			left = append(left, rel+" "+why)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for path, f := range expected {
		if f != nil {
			left = append(left, path+" is missing")
		}
	}
	slices.Sort(left)
	return left, nil
}

// differs holds a file against what the manifest tells of it.
func (f *published) differs(path string) (string, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := sha256.New()
	n, err := io.Copy(h, in)
	if err != nil {
		return "", err
	}
	sum, err := hex.DecodeString(f.SHA256)
	if err != nil || n != f.Bytes || !bytes.Equal(sum, h.Sum(nil)) {
		return "is not what " + manifestName + " tells", nil
	}
	return "", nil
}
