package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/wire"
	"github.com/dpone/dpone/engine/sqlsink"
)

// wireBuffer is the bytes that are read and sent at once: large enough that the
// cost of a call disappears, small enough to stay in the cache.
const wireBuffer = 256 << 10

// Source is an open PostgreSQL source.
type Source struct {
	conn    *pgx.Conn
	cfg     *pgx.ConnConfig
	env     connector.Env
	options manifest.SourceOptions
	name    manifest.Table
	query   string
	table   *table
}

// OpenSource connects and looks up what the manifest selects.
func OpenSource(ctx context.Context, m *manifest.Manifest, env connector.Env) (*Source, error) {
	cfg, err := config(m.Source.Connection, env.Secret)
	if err != nil {
		return nil, fmt.Errorf("source.%w", err)
	}
	s := &Source{cfg: cfg, env: env, options: m.Source.Options, name: m.Source.Table}
	if s.query, err = statement(m.Source.Options.Query, env.Dir); err != nil {
		return nil, err
	}
	if s.conn, err = Dial(ctx, cfg); err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	return s, nil
}

// Describe tells what the manifest selects.
func (s *Source) Describe(ctx context.Context) (connector.Relation, error) {
	t, err := s.describe(ctx, s.conn)
	if err != nil {
		return connector.Relation{}, err
	}
	s.table = t
	return t.Relation, nil
}

func (s *Source) describe(ctx context.Context, conn *pgx.Conn) (*table, error) {
	var t *table
	var err error
	if s.query != "" {
		t, err = describeQuery(ctx, conn, s.query)
	} else {
		t, err = describeTable(ctx, conn, s.name)
		if err == nil && t == nil {
			return nil, &connector.Error{
				Code: "source.missing", Msg: fmt.Sprintf("source.table: there is no %s", qualified(s.name)),
				Fix: "names are taken as they are written, upper and lower case are different",
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if err := t.restrict(s.options.Columns); err != nil {
		return nil, err
	}
	if len(t.columns) == 0 {
		return nil, &connector.Error{Code: "source.no_columns", Msg: t.Name + " has no column"}
	}
	t.Facts = facts(conn)
	return t, nil
}

// Close ends the connection.
func (s *Source) Close(ctx context.Context) error { return s.conn.Close(ctx) }

// Snapshot opens a transaction whose view of the data does not change.
func (s *Source) Snapshot(ctx context.Context) (connector.Snapshot, error) {
	return s.snapshot(ctx, s.conn, "")
}

// SnapshotOf opens a transaction on a connection of its own with the view that another session exported.
func (s *Source) SnapshotOf(ctx context.Context, exported string) (connector.Snapshot, error) {
	conn, err := Dial(ctx, s.cfg)
	if err != nil {
		return nil, err
	}
	snap, err := s.snapshot(ctx, conn, exported)
	if err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	snap.owned = true
	return snap, nil
}

func (s *Source) snapshot(ctx context.Context, conn *pgx.Conn, exported string) (*snapshot, error) {
	if s.table == nil {
		if _, err := s.Describe(ctx); err != nil {
			return nil, err
		}
	}
	begin := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	if exported != "" {
		begin += "; SET TRANSACTION SNAPSHOT " + literal(exported)
	}
	if s.query == "" && (s.table.kind == 'r' || s.table.kind == 'p' || s.table.kind == 'v') {
		// A TRUNCATE or a rewrite after the snapshot would look like an empty table to
		// it. The lock itself takes no snapshot yet. It needs the right to read every
		// column; a role that may read some of them goes without.
		var all bool
		if err := conn.QueryRow(ctx, "SELECT coalesce(has_table_privilege($1::oid, 'SELECT'), false)", s.table.oid).Scan(&all); err != nil {
			return nil, connector.Fail("source.snapshot", err, "look up the right to read %s", s.table.Name)
		}
		if all {
			begin += "; LOCK TABLE " + qualified(s.name) + " IN ACCESS SHARE MODE"
		}
	}
	if err := simple(ctx, conn, begin); err != nil {
		return nil, connector.Fail("source.snapshot", err, "open a snapshot of the source")
	}
	snap := &snapshot{source: s, conn: conn, exported: exported}
	var system, lsn string
	err := conn.QueryRow(ctx, `SELECT pg_current_snapshot()::text, (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text`).Scan(&snap.text, &lsn)
	if err != nil {
		return nil, connector.Fail("source.snapshot", err, "read the snapshot of the source")
	}
	if system, err = serverIdentity(ctx, conn); err != nil {
		return nil, err
	}
	snap.facts = map[string]string{"snapshot": snap.text, "lsn": lsn, "server": system}
	// The columns may have changed between the first look and the snapshot.
	if snap.table, err = s.describe(ctx, conn); err != nil {
		return nil, err
	}
	return snap, nil
}

type snapshot struct {
	source   *Source
	conn     *pgx.Conn
	owned    bool
	table    *table
	text     string
	exported string
	facts    map[string]string
	workers  []*pgx.Conn
}

func (s *snapshot) Facts() map[string]string { return s.facts }

func (s *snapshot) Close(ctx context.Context) error {
	for _, w := range s.workers {
		_ = w.Close(ctx)
	}
	s.workers = nil
	if s.owned {
		return s.conn.Close(ctx)
	}
	if s.conn.IsClosed() {
		return nil
	}
	return simple(ctx, s.conn, "ROLLBACK")
}

// from is what is read, with the manifest's own condition.
func (s *snapshot) from() string {
	if s.source.query != "" {
		return "(" + s.source.query + "\n) AS query"
	}
	return qualified(s.source.name)
}

// conditions joins the manifest's condition and the request's.
func (s *snapshot) conditions(r connector.Request) ([]string, error) {
	var parts []string
	if p := s.source.options.CustomPredicate; p != "" {
		parts = append(parts, "("+p+"\n)")
	}
	if r.Where != "" {
		parts = append(parts, "("+r.Where+"\n)")
	}
	d := dialect(nil)
	if r.Range != nil {
		c, err := sqlsink.RangeCondition(d, *r.Range)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	if r.In != nil {
		c, err := sqlsink.InCondition(d, *r.In)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	return parts, nil
}

func where(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(parts, " AND ")
}

// part is one statement of a read.
type part struct {
	name string
	sql  string
}

// Read prepares the statements; the first one starts with the first row that is asked for.
func (s *snapshot) Read(ctx context.Context, r connector.Request) (connector.Reader, error) {
	list, err := s.table.selectList(r.Columns)
	if err != nil {
		return nil, err
	}
	conditions, err := s.conditions(r)
	if err != nil {
		return nil, err
	}
	copySQL := func(extra ...string) string {
		return "COPY (SELECT " + list + " FROM " + s.from() + where(append(conditions[:len(conditions):len(conditions)], extra...)) + ") TO STDOUT (FORMAT binary)"
	}
	rd := &reader{snapshot: s, columns: r.Columns, rows: s.source.options.BatchRows, parts: []part{{name: "all", sql: copySQL()}}}
	if rd.rows <= 0 {
		rd.rows = 8192
	}
	if n := s.source.options.Workers; n > 1 && s.source.query == "" && s.table.kind == 'r' {
		chunks, err := s.pages(ctx, n)
		if err != nil {
			return nil, err
		}
		if len(chunks) > 1 {
			rd.parts = rd.parts[:0]
			for _, c := range chunks {
				rd.parts = append(rd.parts, part{name: c, sql: copySQL(c)})
			}
			rd.workers = n
		}
	}
	return rd, nil
}

// pages cuts a table into ranges of its pages. The last one is open: pages that
// are added meanwhile hold no row that the snapshot sees.
func (s *snapshot) pages(ctx context.Context, workers int) ([]string, error) {
	var pages int64
	err := s.conn.QueryRow(ctx, "SELECT pg_relation_size($1::oid) / current_setting('block_size')::bigint", s.table.oid).Scan(&pages)
	if err != nil {
		return nil, fmt.Errorf("read the size of %s: %w", s.table.Name, err)
	}
	n := int64(workers * 4)
	if pages < n*16 {
		n = max(1, pages/16)
	}
	var chunks []string
	for i := range n {
		from, to := pages*i/n, pages*(i+1)/n
		c := fmt.Sprintf("ctid >= '(%d,0)'", from)
		if i < n-1 {
			c += fmt.Sprintf(" AND ctid < '(%d,0)'", to)
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// share exports the snapshot, so that other connections see the same.
func (s *snapshot) share(ctx context.Context) (string, error) {
	if s.exported == "" {
		if err := s.conn.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&s.exported); err != nil {
			return "", connector.Fail("source.snapshot", err, "share the snapshot with the other readers")
		}
	}
	return s.exported, nil
}

// worker opens another connection on the same snapshot.
func (s *snapshot) worker(ctx context.Context) (*pgx.Conn, error) {
	name, err := s.share(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := Dial(ctx, s.source.cfg)
	if err != nil {
		return nil, err
	}
	if err := simple(ctx, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT "+literal(name)); err != nil {
		_ = conn.Close(ctx)
		return nil, connector.Fail("source.snapshot", err, "take the snapshot in another reader")
	}
	s.workers = append(s.workers, conn)
	return conn, nil
}

// Bounds gives the least and the greatest value.
func (s *snapshot) Bounds(ctx context.Context, c batch.Column) (least, greatest []byte, err error) {
	q := quote(c.Name)
	conditions, err := s.conditions(connector.Request{})
	if err != nil {
		return nil, nil, err
	}
	var a, b *string
	err = s.conn.QueryRow(ctx, "SELECT min("+q+")::text, max("+q+")::text FROM "+s.from()+where(conditions)).Scan(&a, &b)
	if err != nil {
		return nil, nil, connector.Fail("source.bounds", err, "read the bounds of %q", c.Name)
	}
	parse := func(text *string) ([]byte, error) {
		if text == nil {
			return nil, nil
		}
		return logical.ParseText([]byte{}, c.Type, []byte(*text))
	}
	if least, err = parse(a); err != nil {
		return nil, nil, fmt.Errorf("bounds of %q: %w", c.Name, err)
	}
	if greatest, err = parse(b); err != nil {
		return nil, nil, fmt.Errorf("bounds of %q: %w", c.Name, err)
	}
	return least, greatest, nil
}

// Values gives the distinct values.
func (s *snapshot) Values(ctx context.Context, c batch.Column, limit int) ([][]byte, error) {
	conditions, err := s.conditions(connector.Request{})
	if err != nil {
		return nil, err
	}
	q := quote(c.Name)
	return sqlsink.DistinctValues(ctx, &queries{conn: s.conn}, "SELECT "+q+"::text FROM "+s.from()+where(conditions)+
		" GROUP BY "+q+" ORDER BY "+q+fmt.Sprintf(" LIMIT %d", limit+1), c, limit)
}

// reader reads the parts of a request one after the other.
type reader struct {
	snapshot *snapshot
	columns  batch.Schema
	rows     int
	parts    []part
	workers  int
	out      *wire.Out
	next     int
	began    time.Time
	stats    connector.ReadStats
}

// batchBytes ends a batch before its number of rows when its rows are long.
const batchBytes = 2 << 20

func (r *reader) Next(ctx context.Context, b *batch.Batch) error {
	b.Reset()
	for b.Rows() < r.rows && b.Size() < batchBytes {
		tuple, err := r.tuple(ctx)
		if errors.Is(err, io.EOF) {
			if b.Rows() == 0 {
				return io.EOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := decode(tuple, b); err != nil {
			return fmt.Errorf("row %d: %w", r.stats.Rows+1, err)
		}
		r.stats.Rows++
		if r.stats.Rows == 1 {
			if err := r.snapshot.source.env.Reach(ctx, connector.AfterExtract); err != nil {
				return err
			}
		}
	}
	return nil
}

// tuple gives the next tuple of all parts.
func (r *reader) tuple(ctx context.Context) ([]byte, error) {
	for {
		if r.out == nil {
			if r.next == len(r.parts) {
				return nil, io.EOF
			}
			out, err := wire.NewOut(ctx, r.snapshot.conn.PgConn(), r.parts[r.next].sql, wireBuffer)
			if err != nil {
				return nil, connector.Fail("source.read", err, "read %s", r.snapshot.table.Name)
			}
			r.out, r.began = out, time.Now()
		}
		tuple, err := r.out.Next()
		if err == nil {
			return tuple, nil
		}
		if !errors.Is(err, io.EOF) {
			return nil, connector.Fail("source.read", err, "read %s", r.snapshot.table.Name)
		}
		r.chunk(r.parts[r.next].name, r.out, time.Since(r.began))
		r.out = nil
		r.next++
	}
}

func (r *reader) chunk(name string, out *wire.Out, took time.Duration) {
	r.stats.Bytes += out.Bytes
	r.stats.Chunks = append(r.stats.Chunks, connector.Chunk{Range: name, Rows: out.Rows(), Bytes: out.Bytes, Seconds: took.Seconds()})
}

func (r *reader) Stats() connector.ReadStats { return r.stats }

func (r *reader) Close() error {
	if r.out != nil {
		return r.out.Close()
	}
	return nil
}

// decode adds the fields of a COPY BINARY tuple to a batch.
func decode(tuple []byte, b *batch.Batch) error {
	if len(tuple) < 2 {
		return errors.New("the tuple is cut")
	}
	n := int(binary.BigEndian.Uint16(tuple))
	if n != len(b.Columns) {
		return fmt.Errorf("the tuple has %d fields, not %d", n, len(b.Columns))
	}
	p := 2
	for i := range b.Columns {
		if len(tuple)-p < 4 {
			return errors.New("the tuple is cut")
		}
		size := int(int32(binary.BigEndian.Uint32(tuple[p:]))) //nolint:gosec // -1 is meant
		p += 4
		if size == -1 {
			b.Columns[i].AppendNull()
			continue
		}
		if size < 0 || size > len(tuple)-p {
			return fmt.Errorf("field %d says it has %d bytes", i+1, size)
		}
		b.Columns[i].Append(tuple[p : p+size])
		p += size
	}
	if p != len(tuple) {
		return fmt.Errorf("the tuple has %d bytes after its last field", len(tuple)-p)
	}
	b.EndRow()
	return nil
}

// encode appends the rows of a batch as COPY BINARY tuples.
func encode(dst []byte, b *batch.Batch, row int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b.Columns))) //nolint:gosec // at most 1600
	for i := range b.Columns {
		v := b.Columns[i].Value(row)
		if v == nil {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(v))) //nolint:gosec // below 1 GiB
		dst = append(dst, v...)
	}
	return dst
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
