package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/file/jsonl"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/file/parquet"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// sampleRows is how many rows of the first file tell the keys of JSON Lines.
const sampleRows = 1000

type source struct {
	m      *manifest.Manifest
	env    connector.Env
	path   string
	layout *layout
}

func openSource(_ context.Context, m *manifest.Manifest, env connector.Env) (connector.Source, error) {
	path, err := resolve(env.Dir, m.Source.Path)
	if err != nil {
		return nil, err
	}
	o := m.Source.Options
	if o.Query != (manifest.Query{}) {
		return nil, connector.Fail("manifest.query", nil, "files know no queries; remove source.options.query")
	}
	if o.OnBadRow == "quarantine" && o.Quarantine.Path == "" {
		return nil, connector.Fail("manifest.quarantine", nil, "on_bad_row is quarantine, but source.options.quarantine.path does not say where the rows go")
	}
	return &source{m: m, env: env, path: path}, nil
}

func (s *source) find() (*set, error) {
	return find(s.path, s.m.Source.Options, s.env.Warn)
}

// Describe reads the columns from the first file, or from the manifest of a data set.
func (s *source) Describe(context.Context) (connector.Relation, error) {
	set, err := s.find()
	if err != nil {
		return connector.Relation{}, err
	}
	defer set.close()
	if s.layout, err = s.describe(set); err != nil {
		return connector.Relation{}, coded(err)
	}
	rel := connector.Relation{Name: s.m.Source.Path, Facts: facts(set)}
	if rel.Identity, err = identity(s.path); err != nil {
		return rel, err
	}
	if set.dataset != nil {
		rel.Key = set.dataset.Key
	}
	names := s.m.Source.Options.Columns
	if len(names) == 0 {
		names = s.layout.columns.Names()
	}
	for _, n := range names {
		i := s.layout.columns.Index(n)
		if i < 0 {
			return rel, connector.Fail("source.column", nil, "source.options.columns names %q; %s has %q", n, s.layout.first, s.layout.columns.Names())
		}
		c := s.layout.columns[i]
		rel.Columns = append(rel.Columns, connector.Column{Column: c, Native: s.layout.native[i], Portable: c.Type})
	}
	return rel, nil
}

// describe finds what all files have in common.
func (s *source) describe(set *set) (*layout, error) {
	if set.dataset != nil {
		columns, err := dataset.Schema(set.dataset.Columns)
		return &layout{columns: columns, native: names(columns, "data set "), known: true, first: s.path}, err
	}
	declared, err := s.declared()
	if err != nil {
		return nil, err
	}
	first := &set.files[0]
	l := &layout{first: first.name}
	r, err := openRaw(set.root, first)
	if err != nil {
		return nil, err
	}
	defer r.f.Close()
	if first.format == formatParquet {
		f, err := parquet.Open(r.f)
		if err != nil {
			return nil, located(first, err)
		}
		l.columns = f.Schema()
		for i := range l.columns {
			l.native = append(l.native, f.Native(i))
		}
		for _, c := range declared {
			if i := l.columns.Index(c.Name); i < 0 || l.columns[i].Type != c.Type {
				return nil, connector.Fail("source.types", nil, "source.options.types gives the column %q the type %s; %s types its columns itself: %s", c.Name, c.Type, first.name, f.Schema().Names())
			}
		}
		return l, nil
	}
	content, free, err := decompress(r, first.compression)
	if err != nil {
		return nil, located(first, err)
	}
	defer free()
	if first.format == formatJSONL {
		l.columns, err = jsonl.Discover(jsonl.NewLines(content), declared, sampleRows)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, located(first, err)
		}
		if len(l.columns) == 0 {
			return nil, connector.Fail("source.empty", nil, "%s holds no object, so its keys are not known; name them in source.options.types", first.name)
		}
		l.native = names(l.columns, "JSON ")
		return l, nil
	}
	if l.columns, err = csvColumns(csv.NewReader(content, first.dialect), first, declared); err != nil {
		return nil, located(first, err)
	}
	l.native = names(l.columns, "CSV field as ")
	return l, nil
}

func names(columns batch.Schema, prefix string) []string {
	out := make([]string, len(columns))
	for i := range columns {
		out[i] = prefix + columns[i].Type.String()
	}
	return out
}

// csvColumns gives the columns of a CSV file: those of its header, or without one
// the declared ones if there are as many as fields, or c1, c2 and so on. What is
// not declared is text.
func csvColumns(r *csv.Reader, in *input, declared batch.Schema) (batch.Schema, error) {
	var found []string
	if in.header {
		var err error
		if found, err = csv.Header(r); err != nil {
			return nil, err
		}
	} else {
		err := r.Next()
		var f *fault.Error
		switch {
		case errors.Is(err, io.EOF) && len(declared) > 0:
			return declared, nil
		case errors.Is(err, io.EOF):
			return nil, connector.Fail("source.empty", nil, "%s is empty and has no header; name its columns in source.options.types", in.name)
		case errors.As(err, &f) && f.Row():
			f.Code = fault.Header // the number of columns cannot be told
			return nil, err
		case err != nil:
			return nil, err
		}
		if r.Len() == len(declared) {
			return declared, nil
		}
		for i := range r.Len() {
			found = append(found, "c"+strconv.Itoa(i+1))
		}
	}
	columns := make(batch.Schema, len(found))
	for i, n := range found {
		columns[i] = batch.Column{Name: n, Type: plainText}
		if d := declared.Index(n); d >= 0 {
			columns[i] = declared[d]
		}
	}
	for _, d := range declared {
		if columns.Index(d.Name) < 0 {
			return nil, connector.Fail("source.types", nil, "source.options.types names the column %q; %s has %q", d.Name, in.name, found)
		}
	}
	return columns, nil
}

// declared gives the columns of options.types.
func (s *source) declared() (batch.Schema, error) {
	var out batch.Schema
	for i, t := range s.m.Source.Options.Types {
		lt, err := logical.Parse(t.Type)
		if err != nil || lt.Kind == logical.Native || out.Index(t.Column) >= 0 {
			if err == nil {
				err = errors.New("a native type, or a column that was named before")
			}
			return nil, connector.Fail("manifest.types", err, "source.options.types[%d], column %q", i, t.Column)
		}
		out = append(out, batch.Column{Name: t.Column, Type: lt})
	}
	return out, nil
}

func facts(set *set) map[string]string {
	var size int64
	h := sha256.New()
	for i := range set.files {
		n := set.files[i].info.Size()
		size += n
		fmt.Fprintf(h, "%s\x00%d\n", set.files[i].rel, n)
	}
	f := map[string]string{
		"files":        strconv.Itoa(len(set.files)),
		"bytes":        strconv.FormatInt(size, 10),
		"files_sha256": hex.EncodeToString(h.Sum(nil)),
	}
	if set.dataset != nil {
		f["dataset_revision"] = strconv.FormatInt(set.dataset.Revision, 10)
		f["dataset_load"] = set.dataset.Load
	}
	return f
}

// Snapshot fixes the list of files with their sizes, times and inodes.
func (s *source) Snapshot(context.Context) (connector.Snapshot, error) {
	set, err := s.find()
	if err != nil {
		return nil, err
	}
	l := s.layout
	if l == nil || l.known != (set.dataset != nil) || l.known {
		if l, err = s.describe(set); err != nil {
			set.close()
			return nil, coded(err)
		}
	}
	snap := &snapshot{set: set, layout: l, facts: facts(set), env: s.env, batchRows: s.m.Source.Options.BatchRows, sums: make(map[string]string)}
	if o := s.m.Source.Options; o.OnBadRow == "quarantine" {
		path, err := resolve(s.env.Dir, o.Quarantine.Path)
		if err != nil {
			set.close()
			return nil, err
		}
		snap.quarantine = newQuarantine(path, o.Quarantine.MaxRows)
	}
	return snap, nil
}

func (s *source) Close(context.Context) error { return nil }

// snapshot is a fixed set of files. It is what sources and the sink's own files are read through.
type snapshot struct {
	set        *set
	layout     *layout
	facts      map[string]string
	env        connector.Env
	batchRows  int
	quarantine *quarantine
	sums       map[string]string // content digests by file, of those that were read whole
}

func (s *snapshot) Facts() map[string]string {
	if len(s.sums) == len(s.set.files) && len(s.sums) > 0 {
		h := sha256.New()
		for i := range s.set.files {
			fmt.Fprintf(h, "%s\x00%s\n", s.set.files[i].rel, s.sums[s.set.files[i].rel])
		}
		s.facts["content_sha256"] = hex.EncodeToString(h.Sum(nil))
	}
	return s.facts
}

func (s *snapshot) Read(_ context.Context, req connector.Request) (connector.Reader, error) {
	c, err := conditions(s.layout.columns, req)
	if err != nil {
		return nil, err
	}
	return newReader(s, req.Columns, c, s.quarantine)
}

// Bounds reads the column of every file.
func (s *snapshot) Bounds(ctx context.Context, column batch.Column) (least, greatest []byte, err error) {
	k := column.Type.Kind
	err = s.column(ctx, column, func(v []byte) error {
		if v == nil {
			return nil
		}
		if least == nil || order.Compare(k, v, least) < 0 {
			least = append([]byte{}, v...)
		}
		if greatest == nil || order.Compare(k, v, greatest) > 0 {
			greatest = append([]byte{}, v...)
		}
		return nil
	})
	return least, greatest, err
}

// Values reads the column of every file. NULL comes last.
func (s *snapshot) Values(ctx context.Context, column batch.Column, limit int) ([][]byte, error) {
	k := column.Type.Kind
	seen := make(map[string]bool)
	var values [][]byte
	null := false
	var key []byte
	err := s.column(ctx, column, func(v []byte) error {
		if v == nil {
			null = true
		} else if key = order.AppendKey(key[:0], k, v); !seen[string(key)] {
			seen[string(key)] = true
			values = append(values, append([]byte{}, v...))
		}
		n := len(values)
		if null {
			n++
		}
		if n > limit {
			return connector.Fail("source.values", nil, "the column %q has more than %d values", column.Name, limit)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(values, func(a, b []byte) int { return order.Compare(k, a, b) })
	if null {
		values = append(values, nil)
	}
	return values, nil
}

// column calls each for every value of a column. Rows that a quarantine takes are
// left out here, and put aside when the rows are read.
func (s *snapshot) column(ctx context.Context, column batch.Column, each func([]byte) error) (err error) {
	var q *quarantine
	if s.quarantine != nil {
		q = &quarantine{silent: true}
	}
	column.NotNull = false
	r, err := newReader(s, batch.Schema{column}, nil, q)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	r.reached = true // these are not the rows of the run
	b := batch.New(batch.Schema{column})
	for {
		if err := r.Next(ctx, b); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		for i := range b.Rows() {
			if err := each(b.Columns[0].Value(i)); err != nil {
				return err
			}
		}
	}
}

func (s *snapshot) Close(context.Context) error {
	s.set.close()
	if s.quarantine == nil || s.quarantine.tmp == nil {
		return nil
	}
	return s.quarantine.publish() // of a run that failed
}
