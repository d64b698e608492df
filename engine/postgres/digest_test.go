package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// digested is a table whose values print alike and are not the same, in every type that has a canonical form.
const digested = `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN age AS int;
CREATE TABLE %[1]s (i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(10,2), f4 real, f8 double precision, t text, v varchar(5), c char(3), b bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, j json, jb jsonb, bo boolean,
	ar int[], r int4range, inet inet, m mood, ms mood[], a age, bits varbit, pt point, x xml, q tsquery, rc regclass);
INSERT INTO %[1]s SELECT i %% 7, i, -i, i * 0.10, i, i / 3.0, -i / 7.0, 'text ' || i, 'v' || i %% 9, 'c', decode(md5(i::text), 'hex'), date '2026-01-01' + i, time '00:00' + i * interval '1s', timestamp '2026-01-01' + i * interval '1us', timestamptz '2026-01-01 00:00+00' - i * interval '1h', i * interval '1 day', md5(i::text)::uuid, json_build_object('a', i), jsonb_build_object('b', i), i %% 2 = 0,
	ARRAY[i, NULL], int4range(i, i + 5), ('10.0.0.' || i %% 250)::inet, 'ok', '{sad}', i, B'101', point(i, 0), '<a/>', 'a & b', 'pg_class' FROM generate_series(1, 700) i;
INSERT INTO %[1]s (i4, t) VALUES (NULL, ''), (NULL, NULL), (0, '0'), (1001, 'twin'), (1001, 'twin');
INSERT INTO %[1]s (i4, n, f4, f8, d, ts) VALUES (2001, 'NaN', 'NaN', 'NaN', 'infinity', '-infinity'), (2002, 1.0, '-0', '-0', NULL, NULL), (2003, 1.00, '0', '0', NULL, NULL), (2004, 'Infinity', 'Infinity', float8 'Infinity' - float8 'Infinity', NULL, NULL)`

// opened gives a snapshot of a table, and its columns as they travel.
func opened(t *testing.T, dsn, name string) (*snapshot, batch.Schema) {
	t.Helper()
	m := &manifest.Manifest{Source: manifest.Source{Type: "postgres", Connection: manifest.Connection{DSN: "env:DSN"}, Table: manifest.Table{Name: name}}}
	source, err := OpenSource(context.Background(), m, connector.Env{Secret: func(manifest.Secret) (string, error) { return dsn, nil }})
	assert.NilError(t, err)
	t.Cleanup(func() { _ = source.Close(context.Background()) })
	snap, err := source.Snapshot(context.Background())
	assert.NilError(t, err)
	s, ok := snap.(*snapshot)
	assert.Assert(t, ok)
	return s, s.table.Schema()
}

// streamed digests the rows as they come over the wire, tuple by tuple and as batches.
func streamed(t *testing.T, s *snapshot, spec digest.Spec) digest.Digest {
	t.Helper()
	tuples, err := digest.NewBuilder(spec)
	assert.NilError(t, err)
	batches, err := digest.NewBuilder(spec)
	assert.NilError(t, err)
	read, err := s.Read(context.Background(), connector.Request{Columns: spec.Columns})
	assert.NilError(t, err)
	r, ok := read.(*reader)
	assert.Assert(t, ok)
	for b := batch.New(spec.Columns); ; {
		tuple, err := r.tuple(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		assert.NilError(t, err)
		assert.NilError(t, tuples.AddTuple(tuple))
		b.Reset()
		assert.NilError(t, decode(tuple, b))
		assert.NilError(t, batches.AddBatch(b))
	}
	assert.Assert(t, tuples.Digest().Equal(batches.Digest()))
	return tuples.Digest()
}

func specs(columns batch.Schema) map[string]digest.Spec {
	return map[string]digest.Spec{
		"count":                 {Level: digest.LevelCount, Columns: columns},
		"full":                  {Level: digest.LevelFull, Columns: columns},
		"full with key":         {Level: digest.LevelFull, Columns: columns, Key: []string{"i4"}},
		"full with long key":    {Level: digest.LevelFull, Columns: columns, Key: []string{"t", "i4", "f8", "n"}, Buckets: 16},
		"full, one bucket":      {Level: digest.LevelFull, Columns: columns, Buckets: 1},
		"full, many buckets":    {Level: digest.LevelFull, Columns: columns, Buckets: 65536},
		"key":                   {Level: digest.LevelKey, Columns: columns, Key: []string{"i4"}},
		"key of several":        {Level: digest.LevelKey, Columns: columns, Key: []string{"u", "f4", "m"}},
		"none":                  {Level: digest.LevelNone, Columns: columns},
		"full over one column":  {Level: digest.LevelFull, Columns: columns[1:2]},
		"full in another order": {Level: digest.LevelFull, Columns: batch.Schema{columns[3], columns[1]}},
	}
}

func TestDigestInTheServerIsThatOfTheStream(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	conn := control(t, dsn)
	_, err := conn.PgConn().Exec(context.Background(), fmt.Sprintf(digested, "digested")).ReadAll()
	assert.NilError(t, err)
	s, columns := opened(t, dsn, "digested")
	for name, spec := range specs(columns) {
		want := streamed(t, s, spec)
		got, err := digestTable(context.Background(), conn, "digested", "", spec)
		assert.NilError(t, err, name)
		assert.Equal(t, got.String(), want.String(), name)
	}
	// Each of these is seen.
	spec := digest.Spec{Level: digest.LevelFull, Columns: columns}
	before := streamed(t, s, spec)
	for _, change := range []string{
		"n = 1.000 WHERE i4 = 2002", "f8 = 0 WHERE i4 = 2002", "t = NULL WHERE t = ''", "tz = tz + interval '1us' WHERE i4 = 1", "iv = '24 hours' WHERE i4 = 1", "m = 'sad' WHERE i4 = 1", "ar = NULL WHERE i4 = 1", "j = '{\"a\": 1}' WHERE i4 = 1",
	} {
		_, err := conn.PgConn().Exec(context.Background(), "BEGIN; UPDATE digested SET "+change).ReadAll()
		assert.NilError(t, err)
		after, err := digestTable(context.Background(), conn, "digested", "", spec)
		assert.NilError(t, err)
		assert.Assert(t, !after.Equal(before), change)
		_, err = conn.PgConn().Exec(context.Background(), "ROLLBACK").ReadAll()
		assert.NilError(t, err)
	}
	_, err = digestTable(context.Background(), conn, "missing", "", spec)
	assert.ErrorContains(t, err, "digest.failed")
}

func control(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	assert.NilError(t, err)
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := Dial(context.Background(), cfg)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestProberIsThatOfTheStream holds the server's answers against those of a scan of the same rows.
func TestProberIsThatOfTheStream(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	conn := control(t, dsn)
	_, err := conn.PgConn().Exec(context.Background(), fmt.Sprintf(digested, "digested")).ReadAll()
	assert.NilError(t, err)
	s, columns := opened(t, dsn, "digested")
	inServer, err := s.Prober(connector.Request{Columns: columns})
	assert.NilError(t, err)
	scan := digest.NewScan(columns, func(ctx context.Context) (digest.Reader, error) {
		return s.Read(ctx, connector.Request{Columns: columns})
	})
	for name, spec := range specs(columns) {
		if spec.Level != digest.LevelFull && spec.Level != digest.LevelKey {
			continue
		}
		for _, refine := range []digest.Refine{
			{Within: []digest.Prefix{{}}, Bits: 0},
			{Within: []digest.Prefix{{}}, Bits: 8},
			{Within: []digest.Prefix{{Bits: 2, Value: 1}, {Bits: 2, Value: 3}}, Bits: 5},
			{Within: []digest.Prefix{{Bits: 3, Value: 7}}, Bits: 64},
			{Bits: 8},
		} {
			want, err := scan.Probe(context.Background(), spec, refine)
			assert.NilError(t, err)
			got, err := inServer.Probe(context.Background(), spec, refine)
			assert.NilError(t, err)
			assert.DeepEqual(t, got, want)
		}
		for _, limit := range []int{1, 10, 5000} {
			for _, within := range [][]digest.Prefix{{{}}, {{Bits: 2, Value: 1}, {Bits: 2, Value: 3}}, nil} {
				want, err := scan.Keys(context.Background(), spec, within, limit)
				assert.NilError(t, err)
				got, err := inServer.Keys(context.Background(), spec, within, limit)
				assert.NilError(t, err)
				assert.Equal(t, len(got), len(want), name)
				for i := range want {
					assert.DeepEqual(t, got[i], want[i])
				}
			}
		}
	}
	_, err = inServer.Keys(context.Background(), digest.Spec{Level: digest.LevelFull, Columns: columns}, nil, 0)
	assert.ErrorContains(t, err, "less than one")
	_, err = s.Prober(connector.Request{Columns: batch.Schema{{Name: "gone"}}})
	assert.ErrorContains(t, err, "column.missing")
}

func FuzzFields(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x17\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x19\xff\xff\xff\xff"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, record []byte) {
		values, err := fields(record)
		total := 0
		for _, v := range values {
			total += len(v) + 8
		}
		if err == nil && total > len(record) {
			t.Errorf("%x gave more than it holds", record)
		}
	})
}

// TestBisectFindsTheRows narrows down differences of two tables in the server.
func TestBisectFindsTheRows(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	conn := control(t, dsn)
	_, err := conn.PgConn().Exec(context.Background(), "CREATE TABLE a AS SELECT i AS id, 'n' || i AS note FROM generate_series(1, 20000) i; CREATE TABLE b AS TABLE a; UPDATE b SET note = 'x' WHERE id IN (77, 19000); DELETE FROM b WHERE id = 5; INSERT INTO b VALUES (30000, NULL), (6, 'n6')").ReadAll()
	assert.NilError(t, err)
	s, columns := opened(t, dsn, "a")
	left, err := s.Prober(connector.Request{Columns: columns})
	assert.NilError(t, err)
	spec := digest.Spec{Level: digest.LevelFull, Columns: columns, Key: []string{"id"}}
	found, err := digest.Bisect(context.Background(), spec, left, &prober{conn: conn, from: "b"}, digest.BisectOptions{})
	assert.NilError(t, err)
	assert.Assert(t, found.Complete && !found.Equal)
	assert.Equal(t, found.Least, uint64(5))
	assert.Equal(t, len(found.OnlyLeft), 1)
	assert.DeepEqual(t, found.OnlyLeft[0].Key, [][]byte{{0, 0, 0, 5}})
	assert.Equal(t, len(found.OnlyRight), 2)
	assert.Equal(t, len(found.Differing), 2)
}
