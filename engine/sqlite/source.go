package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlsink"
)

const (
	batchRows = 8192
	// batchBytes ends a batch before its number of rows when its rows are long.
	batchBytes = 2 << 20
	// snapshotWait is how long a writer that is just committing is waited for.
	snapshotWait = time.Minute
)

// Source is an open SQLite source.
type Source struct {
	*session
	env     connector.Env
	options manifest.SourceOptions
	name    manifest.Table
	query   string
}

// OpenSource opens the file for reading only.
func OpenSource(ctx context.Context, m *manifest.Manifest, env connector.Env) (*Source, error) {
	s := &Source{env: env, options: m.Source.Options, name: m.Source.Table}
	if err := checkSchema("source", s.name); err != nil {
		return nil, err
	}
	path, err := resolve(env.Dir, m.Source.Path)
	if err != nil {
		return nil, fmt.Errorf("source.path: %w", err)
	}
	there, err := exists(path)
	if err != nil {
		return nil, fmt.Errorf("source.path: %w", err)
	}
	if !there {
		return nil, &connector.Error{Code: "source.missing", Msg: fmt.Sprintf("source.path: there is no file %s", path)}
	}
	if s.query, err = statement(s.options.Query, env.Dir); err != nil {
		return nil, err
	}
	if s.session, err = open(ctx, path, readOnly, snapshotWait, "query_only = on", smallCache, mapping); err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	s.mapped = true
	return s, nil
}

// statement gives the text of a query.
func statement(q manifest.Query, dir string) (string, error) {
	text := q.SQL
	if q.SQLFile != "" {
		path := q.SQLFile
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", connector.Fail("query.file", err, "source.options.query.sql_file")
		}
		text = string(b)
	}
	return strings.TrimRight(strings.TrimSpace(text), "; \t\r\n"), nil
}

// Describe tells what the manifest selects.
func (s *Source) Describe(ctx context.Context) (connector.Relation, error) {
	var t *table
	err := patiently(ctx, snapshotWait, func() error {
		var err error
		t, err = s.describe(ctx)
		return err
	})
	if err != nil {
		return connector.Relation{}, err
	}
	return t.Relation, nil
}

func (s *Source) describe(ctx context.Context) (*table, error) {
	var t *table
	var err error
	if s.query != "" {
		t, err = describeQuery(ctx, s.session, s.query)
	} else {
		t, err = describeTable(ctx, s.session, s.name.Name)
		if err == nil && t == nil {
			return nil, &connector.Error{Code: "source.missing", Msg: fmt.Sprintf("source.table: there is no table or view %q in %s", s.name.Name, s.path)}
		}
	}
	if err != nil {
		return nil, err
	}
	if err := errors.Join(t.retype(s.options.Types), t.restrict(s.options.Columns)); err != nil {
		return nil, err
	}
	if len(t.Columns) == 0 {
		return nil, &connector.Error{Code: "source.no_columns", Msg: t.Name + " has no column"}
	}
	if err := t.typed(); err != nil {
		return nil, err
	}
	t.Facts, err = facts(ctx, s.session)
	return t, err
}

// Close ends the connection.
func (s *Source) Close(context.Context) error { return s.close() }

// Snapshot opens a read transaction, whose view of the data does not change.
func (s *Source) Snapshot(ctx context.Context) (connector.Snapshot, error) {
	if _, err := s.Exec(ctx, "BEGIN"); err != nil {
		return nil, connector.Fail("source.snapshot", err, "open a snapshot of the source")
	}
	snap := &snapshot{source: s}
	err := s.patiently(ctx, "SELECT count(*) FROM sqlite_schema", snapshotWait) // the first read fixes the state
	if primary(err) == sqlite.ResultBusy {
		err = &connector.Error{Code: "source.busy", Msg: s.path + " is locked by a writer", Fix: "wait for it and run again", Err: err}
	} else if err != nil {
		err = connector.Fail("source.snapshot", err, "open a snapshot of the source")
	}
	if err == nil {
		// The columns may have changed between the first look and the snapshot.
		snap.table, err = s.describe(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, snap.Close(ctx))
	}
	snap.facts = snap.table.Facts
	if o := s.options; o.OnBadRow == "quarantine" {
		path := o.Quarantine.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.env.Dir, path)
		}
		snap.quarantine = &quarantine{path: path, max: o.Quarantine.MaxRows, file: s.path, table: snap.table.Name}
	}
	return snap, nil
}

type snapshot struct {
	source     *Source
	table      *table
	facts      map[string]string
	quarantine *quarantine
}

func (s *snapshot) Facts() map[string]string { return s.facts }

// Close ends the read transaction.
func (s *snapshot) Close(ctx context.Context) error {
	_, err := s.source.Exec(ctx, "ROLLBACK")
	return errors.Join(err, s.quarantine.publish())
}

func (s *snapshot) from() string {
	if s.source.query != "" {
		return "(" + s.source.query + "\n) AS query"
	}
	return "main." + quote(s.table.name)
}

// where joins the manifest's condition and the request's.
func (s *snapshot) where(r connector.Request, more ...string) (string, error) {
	parts := more
	for _, p := range []string{s.source.options.CustomPredicate, r.Where} {
		if p != "" {
			parts = append(parts, "("+p+")")
		}
	}
	d := dialect(nil)
	if r.Range != nil {
		c, err := sqlsink.RangeCondition(d, *r.Range)
		if err != nil {
			return "", err
		}
		parts = append(parts, c)
	}
	if r.In != nil {
		c, err := sqlsink.InCondition(d, *r.In)
		if err != nil {
			return "", err
		}
		parts = append(parts, c)
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), nil
}

// Read prepares the statement; it starts with the first row that is asked for.
func (s *snapshot) Read(_ context.Context, r connector.Request) (connector.Reader, error) {
	for _, w := range r.Columns {
		if s.table.column(w.Name) == nil {
			return nil, &connector.Error{Code: "column.missing", Msg: fmt.Sprintf("%s has no column %q", s.table.Name, w.Name)}
		}
	}
	where, err := s.where(r)
	if err != nil {
		return nil, err
	}
	rd := &reader{snapshot: s, rows: s.source.options.BatchRows, whole: where == "" && s.source.query == ""}
	if rd.rows <= 0 {
		rd.rows = batchRows
	}
	rd.cursor = cursor{
		session: s.source.session, columns: r.Columns, hasID: s.table.rowID != "",
		sql: s.selects(r.Columns) + " FROM " + s.from() + where,
	}
	if s.quarantine != nil {
		rd.bad = func(b *badValue) error {
			rd.stats.Quarantined++
			return s.quarantine.add(b)
		}
	}
	return rd, nil
}

// selects begins a statement that gives the columns, and after them the number of the row where there is one.
func (s *snapshot) selects(columns batch.Schema) string {
	names := "SELECT " + quoteAll(columns.Names())
	if s.table.rowID != "" {
		names += ", " + s.table.rowID
	}
	return names
}

// Bounds gives the least and the greatest value. A value that does not fit the type is an error.
func (s *snapshot) Bounds(ctx context.Context, c batch.Column) (least, greatest []byte, err error) {
	q := quote(c.Name)
	where, err := s.where(connector.Request{}, q+" IS NOT NULL")
	if err != nil {
		return nil, nil, err
	}
	sql := "SELECT " + quote(c.Name) + " FROM " + s.from() + where
	switch c.Type.Kind {
	case logical.Int16, logical.Int32, logical.Int64, logical.Text, logical.Bytes:
		// SQLite orders numbers before texts before blobs, so that what is of another kind is one of the two.
		if s.quarantine == nil {
			sql = "SELECT min(" + q + " COLLATE BINARY) FROM " + s.from() + where + " UNION ALL SELECT max(" + q + " COLLATE BINARY) FROM " + s.from() + where
		}
	}
	err = s.each(ctx, sql, c, func(v []byte) error {
		if v == nil {
			return nil
		}
		if least == nil || order.Compare(c.Type.Kind, v, least) < 0 {
			least = append([]byte{}, v...)
		}
		if greatest == nil || order.Compare(c.Type.Kind, v, greatest) > 0 {
			greatest = append([]byte{}, v...)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("bounds of %q: %w", c.Name, err)
	}
	return least, greatest, nil
}

// each visits the values of a statement with one column.
func (s *snapshot) each(ctx context.Context, sql string, c batch.Column, f func([]byte) error) (err error) {
	cur := cursor{session: s.source.session, sql: sql, columns: batch.Schema{c}}
	if s.quarantine != nil {
		cur.bad = func(*badValue) error { return nil } // the read that takes the row puts it aside
	}
	defer func() { err = errors.Join(err, cur.close()) }()
	for b := batch.New(cur.columns); ; {
		b.Reset()
		err := cur.fill(ctx, b, batchRows, batchBytes)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range b.Rows() {
			if err := f(b.Columns[0].Value(i)); err != nil {
				return err
			}
		}
	}
}

// Values gives the distinct values in the type's own order, NULL last.
func (s *snapshot) Values(ctx context.Context, c batch.Column, limit int) ([][]byte, error) {
	where, err := s.where(connector.Request{})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	null := false
	var values [][]byte
	err = s.each(ctx, "SELECT DISTINCT "+quote(c.Name)+" COLLATE BINARY FROM "+s.from()+where, c, func(v []byte) error {
		switch {
		case v == nil:
			null = true
		case !seen[string(v)]:
			seen[string(v)] = true
			values = append(values, append([]byte{}, v...))
		}
		if n := len(values); n > limit || null && n == limit {
			return sqlsink.TooMany(c.Name, limit)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(values, func(a, b []byte) int { return order.Compare(c.Type.Kind, a, b) })
	if null {
		values = append(values, nil)
	}
	return values, nil
}

// reader reads one statement.
type reader struct {
	cursor
	snapshot *snapshot
	rows     int
	stats    connector.ReadStats
	whole    bool // all rows of a table are wanted
	begun    bool // the first row was read
}

// Next fills the batch with the next rows.
func (r *reader) Next(ctx context.Context, b *batch.Batch) error {
	b.Reset()
	err := r.fill(ctx, b, r.rows, batchBytes)
	var coded *connector.Error
	switch {
	case errors.Is(err, io.EOF):
		return errors.Join(r.snapshot.quarantine.publish(), io.EOF)
	case errors.As(err, &coded), err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		return connector.Fail("source.read", err, "read %s", r.snapshot.table.Name)
	}
	first := !r.begun
	r.begun = true
	r.stats.Rows += int64(b.Rows())
	r.stats.Bytes += int64(b.Size())
	if first {
		return r.snapshot.source.env.Reach(ctx, connector.AfterExtract)
	}
	return nil
}

// share reads some of the rows of a whole table, over any session that sees them.
func (r *reader) share(s *session, schema string, shared *ranges) *reader {
	id := r.snapshot.table.rowID
	part := &reader{snapshot: r.snapshot, rows: r.rows, begun: true} // whoever reads first says so
	part.cursor = cursor{
		session: s, columns: r.columns, hasID: true, shared: shared,
		sql: r.snapshot.selects(r.columns) + " FROM " + schema + "." + quote(r.snapshot.table.name) + " WHERE " + id + " BETWEEN ? AND ?",
	}
	return part
}

// Stats is what was read.
func (r *reader) Stats() connector.ReadStats { return r.stats }

// Close ends the read.
func (r *reader) Close() error { return r.close() }
