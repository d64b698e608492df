package replication

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var schema = batch.Schema{
	{Name: "id", Type: logical.Type{Kind: logical.Int64}, NotNull: true},
	{Name: "a", Type: logical.Type{Kind: logical.Text}},
	{Name: "big", Type: logical.Type{Kind: logical.Text}},
	{Name: "big2", Type: logical.Type{Kind: logical.Bytes}},
	{Name: "n", Type: logical.Type{Kind: logical.Numeric}},
	{Name: "f", Type: logical.Type{Kind: logical.Float64}},
	{Name: "at", Type: logical.Type{Kind: logical.TimestampTZ}},
	{Name: "j", Type: logical.Type{Kind: logical.JSONB}},
}

const create = `CREATE TABLE t (id bigint PRIMARY KEY, a text, big text, big2 bytea, n numeric, f float8, at timestamptz, j jsonb);
	ALTER TABLE t ALTER big SET STORAGE EXTERNAL, ALTER big2 SET STORAGE EXTERNAL`

// rig is a source and a model of a target: a map from key to row.
type rig struct {
	t      testing.TB
	conn   *pgx.Conn
	o      Options
	rows   map[string][][]byte
	saved  json.RawMessage
	sets   []connector.ChangeSet // without their rows
	counts connector.ChangeCounts
	// applied is called after each set, before its position is saved.
	applied func(*connector.ChangeSet) error
}

func newRig(t testing.TB, dsn, ddl string) *rig {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	r := &rig{t: t, conn: conn, rows: map[string][][]byte{}}
	var slot string
	assert.NilError(t, conn.QueryRow(t.Context(), "SELECT 'slot_' || oid FROM pg_database WHERE datname = current_database()").Scan(&slot))
	r.o = Options{
		Config: &conn.Config().Config, Schema: "public", Table: "t", Slot: slot, Publication: "Pub of t", Binary: true,
		ChangeRequest: connector.ChangeRequest{Columns: schema, Key: []string{"id"}},
		Snapshot: func(ctx context.Context, name string) (connector.Snapshot, error) {
			conn, err := pgx.Connect(ctx, dsn)
			if err == nil {
				_, err = conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '"+name+"'").ReadAll()
			}
			return &testSnapshot{conn: conn}, err
		},
	}
	r.exec("SET synchronous_commit = on; SET client_min_messages = warning; " + ddl)
	t.Cleanup(func() {
		_, _ = conn.Exec(context.WithoutCancel(t.Context()), "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", slot)
	})
	return r
}

type testSnapshot struct {
	connector.Snapshot
	conn *pgx.Conn
}

func (r *rig) exec(sql string) {
	r.t.Helper()
	_, err := r.conn.PgConn().Exec(r.t.Context(), sql).ReadAll()
	assert.NilError(r.t, err)
}

// source reads the table in canonical encoding.
func (r *rig) source(conn *pgx.Conn) map[string][][]byte {
	r.t.Helper()
	list := ""
	for i, c := range r.o.Columns {
		if i > 0 {
			list += ", "
		}
		list += quote(c.Name)
	}
	rows, err := conn.Query(r.t.Context(), "SELECT "+list+" FROM t", pgx.QueryResultFormats{1})
	assert.NilError(r.t, err)
	defer rows.Close()
	all := map[string][][]byte{}
	for rows.Next() {
		row := make([][]byte, len(r.o.Columns))
		for i, v := range rows.RawValues() {
			if v != nil {
				row[i] = append([]byte{}, v...)
			}
		}
		all[r.keyOf(row)] = row
	}
	assert.NilError(r.t, rows.Err())
	return all
}

func (r *rig) keyOf(row [][]byte) string {
	key := ""
	for _, k := range r.o.Key {
		key += fmt.Sprintf("%x|", row[r.o.Columns.Index(k)])
	}
	return key
}

func (r *rig) open() (*Stream, error) {
	claim, err := Claim(r.t.Context(), r.options())
	if err != nil {
		return nil, err
	}
	if claim != nil {
		r.saved = claim
	}
	return Open(r.t.Context(), r.options())
}

func (r *rig) options() Options {
	o := r.o
	o.Previous = r.saved
	return o
}

// run does what an engine does: everything that is there is applied and confirmed.
func (r *rig) run() error {
	s, err := r.open()
	if err != nil {
		return err
	}
	err = r.drain(s)
	if cerr := s.Close(r.t.Context()); err == nil {
		err = cerr
	}
	return err
}

func (r *rig) drain(s *Stream) error {
	ctx := r.t.Context()
	if s.Initial() != nil {
		conn := s.Initial().(*testSnapshot).conn
		r.rows = r.source(conn)
		_ = conn.Close(ctx)
		r.saved = s.Position()
		if err := s.Confirm(ctx, r.saved); err != nil {
			return err
		}
	}
	var set connector.ChangeSet
	// What a transaction of the target would hold.
	rows, counts := maps.Clone(r.rows), connector.ChangeCounts{}
	for {
		err := s.Next(ctx, &set)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.sets = append(r.sets, connector.ChangeSet{Source: set.Source, Commit: set.Commit, Window: fmt.Sprint(set.Rows())})
		apply(r, rows, &set)
		counts.Add(set.Source)
		if r.applied != nil {
			if err := r.applied(&set); err != nil {
				return err
			}
		}
		if !set.Commit {
			assert.Assert(r.t, set.Position == nil)
			continue
		}
		r.rows, r.saved = maps.Clone(rows), set.Position
		r.counts.Add(counts)
		counts = connector.ChangeCounts{}
		if err := s.Confirm(ctx, r.saved); err != nil {
			return err
		}
	}
}

// apply is the model of ApplyChanges.
func apply(r *rig, rows map[string][][]byte, set *connector.ChangeSet) {
	r.t.Helper()
	if set.Truncate {
		clear(rows)
	}
	read := func(b *batch.Batch, row int, into [][]byte) [][]byte {
		for i, c := range b.Schema {
			if at := r.o.Columns.Index(c.Name); at >= 0 {
				into[at] = nil
				if v := b.Columns[i].Value(row); v != nil {
					into[at] = append([]byte{}, v...)
				}
			}
		}
		return into
	}
	empty := func() [][]byte { return make([][]byte, len(r.o.Columns)) }
	var whole [][][]byte
	for _, b := range set.Moves {
		for i := range b.Rows() {
			from := empty()
			for k, name := range r.o.Key {
				from[r.o.Columns.Index(name)] = b.Columns[b.Schema.Index(connector.MovedFrom(k))].Value(i)
			}
			old, ok := rows[r.keyOf(from)]
			assert.Assert(r.t, ok, "a row that moved is not there")
			whole = append(whole, read(b, i, append([][]byte{}, old...)))
		}
	}
	for i := range set.Deletes.Rows() {
		key := r.keyOf(read(set.Deletes, i, empty()))
		delete(rows, key)
	}
	for i := range set.Inserts.Rows() {
		row := read(set.Inserts, i, empty())
		_, there := rows[r.keyOf(row)]
		assert.Assert(r.t, !there, "a new row is there already")
		whole = append(whole, row)
	}
	for i := range set.Upserts.Rows() {
		whole = append(whole, read(set.Upserts, i, empty()))
	}
	for _, row := range whole {
		rows[r.keyOf(row)] = row
	}
	for _, b := range set.Partial {
		for i := range b.Rows() {
			key := r.keyOf(read(b, i, empty()))
			old, ok := rows[key]
			assert.Assert(r.t, ok, "a row to be completed is not there")
			rows[key] = read(b, i, append([][]byte{}, old...))
		}
	}
}

func (r *rig) same() {
	r.t.Helper()
	source := r.source(r.conn)
	assert.Equal(r.t, len(r.rows), len(source))
	for key, row := range source {
		if !slices.EqualFunc(r.rows[key], row, func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }) {
			assert.DeepEqual(r.t, r.rows[key], row)
			r.t.Fatalf("row %s differs", key)
		}
	}
}

// code asserts the code of an error.
func code(t testing.TB, err error, want string) {
	t.Helper()
	var e *connector.Error
	assert.Assert(t, errors.As(err, &e), "%v", err)
	assert.Equal(t, e.Code, want, "%v", err)
}
