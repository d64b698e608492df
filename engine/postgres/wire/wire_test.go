package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// stream is a connection that has only something to read.
type stream struct {
	net.Conn
	r io.Reader
}

func (s stream) Read(p []byte) (int, error) { return s.r.Read(p) }

// dribble gives one byte at a time, so that every message is cut everywhere.
type dribble struct{ r io.Reader }

func (d dribble) Read(p []byte) (int, error) { return d.r.Read(p[:min(1, len(p))]) }

func message(kind byte, body string) string {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return string(head) + body
}

func TestMessagesCutAnywhere(t *testing.T) {
	t.Parallel()
	all := message('d', "one") + message('N', "") + message('d', strings.Repeat("x", 10000)) + message('Z', "I")
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(all), "dribble": dribble{strings.NewReader(all)}} {
		m := &messages{conn: stream{r: r}, buf: make([]byte, 64)}
		var got []string
		for {
			kind, body, err := m.next()
			if err != nil {
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
				break
			}
			got = append(got, fmt.Sprintf("%c%d", kind, len(body)))
		}
		assert.DeepEqual(t, got, []string{"d3", "N0", "d10000", "Z1"})
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte(message('d', "one") + message('Z', "I")))
	f.Add([]byte{'d', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{'d', 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4 && binary.BigEndian.Uint32(data[1:]) > 1<<20 {
			return // such a message would only cost memory here
		}
		m := &messages{conn: stream{r: bytes.NewReader(data)}, buf: make([]byte, 16)}
		o := &Out{}
		total := 0
		for {
			kind, body, err := m.next()
			if err != nil {
				return
			}
			total += len(body) + frame
			assert.Assert(t, total <= len(data))
			if kind == 'd' {
				tuple, err := o.tuple(body)
				assert.Assert(t, err == nil || tuple == nil)
			}
		}
	})
}

func open(t *testing.T, dsn string) *pgconn.PgConn {
	t.Helper()
	pg, err := pgconn.Connect(context.Background(), dsn)
	assert.NilError(t, err)
	t.Cleanup(func() { _ = pg.Close(context.Background()) })
	return pg
}

func must(t *testing.T, pg *pgconn.PgConn, sql string) string {
	t.Helper()
	results, err := pg.Exec(context.Background(), sql).ReadAll()
	assert.NilError(t, err)
	if n := len(results); n > 0 && len(results[n-1].Rows) > 0 {
		return string(results[n-1].Rows[0][0])
	}
	return ""
}

func TestRelay(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	from, to := open(t, dsn), open(t, dsn)
	must(t, from, "CREATE TABLE a AS SELECT i, repeat('x', i % 300) AS t, CASE WHEN i % 3 = 0 THEN NULL ELSE i * 1.5 END AS n FROM generate_series(1, 50000) i; INSERT INTO a VALUES (0, repeat('y', 3000000), 0); CREATE TABLE b (LIKE a)")
	for _, size := range []int{4096, 256 << 10} {
		must(t, to, "BEGIN; TRUNCATE b")
		out, err := NewOut(ctx, from, "COPY a TO STDOUT (FORMAT binary)", size)
		assert.NilError(t, err)
		in, err := NewIn(ctx, to, "COPY b FROM STDIN (FORMAT binary)", size)
		assert.NilError(t, err)
		seen := 0
		assert.NilError(t, Relay(ctx, out, in, size, func([]byte) error { seen++; return nil }))
		rows, err := in.Close()
		assert.NilError(t, err)
		assert.Equal(t, rows, int64(50001))
		assert.Equal(t, out.Rows(), int64(50001))
		assert.Equal(t, seen, 50001)
		must(t, to, "COMMIT")
		assert.Equal(t, must(t, to, "SELECT count(*) FROM (TABLE a EXCEPT TABLE b) x"), "0")
		assert.Equal(t, must(t, from, "SELECT 1"), "1") // the connection is handed back
	}
}

// TestErrorsOfTheServer leave both connections in working order.
func TestErrorsOfTheServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Database(t)
	from, to := open(t, dsn), open(t, dsn)
	must(t, from, "CREATE TABLE a AS SELECT i FROM generate_series(1, 200000) i; CREATE TABLE b (i int CHECK (i < 100))")
	_, err := NewOut(ctx, from, "COPY nowhere TO STDOUT (FORMAT binary)", 0)
	assert.ErrorContains(t, err, "42P01")
	_, err = NewOut(ctx, from, "COPY a TO STDOUT", 0)
	assert.ErrorContains(t, err, "not binary")
	from = open(t, dsn)
	out, err := NewOut(ctx, from, "COPY (SELECT 1 / (150000 - i) FROM a) TO STDOUT (FORMAT binary)", 0)
	assert.NilError(t, err)
	rows := 0
	for {
		if _, err = out.Next(); err != nil {
			break
		}
		rows++
	}
	assert.ErrorContains(t, err, "division by zero")
	assert.Assert(t, rows > 1000)
	assert.Equal(t, must(t, from, "SELECT 1"), "1")

	must(t, to, "BEGIN")
	out, err = NewOut(ctx, from, "COPY a TO STDOUT (FORMAT binary)", 0)
	assert.NilError(t, err)
	in, err := NewIn(ctx, to, "COPY b FROM STDIN (FORMAT binary)", 0)
	assert.NilError(t, err)
	err = Relay(ctx, out, in, 4096, nil)
	if err == nil {
		_, err = in.Close()
	} else {
		assert.NilError(t, in.Abort("no"))
	}
	assert.ErrorContains(t, err, "23514")
	must(t, to, "ROLLBACK")
	assert.Equal(t, must(t, to, "SELECT count(*) FROM b"), "0")
}

func TestAbortAndCancel(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	to := open(t, dsn)
	must(t, to, "CREATE TABLE b (i int); BEGIN")
	in, err := NewIn(context.Background(), to, "COPY b FROM STDIN (FORMAT binary)", 0)
	assert.NilError(t, err)
	assert.NilError(t, in.Abort("given up"))
	must(t, to, "ROLLBACK")

	ctx, cancel := context.WithCancel(context.Background())
	from, other := open(t, dsn), open(t, dsn)
	pid := from.PID()
	go func() {
		defer cancel()
		for range 2000 { // until the statement runs
			results, err := other.Exec(ctx, fmt.Sprintf("SELECT 1 FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'", pid)).ReadAll()
			if err != nil || len(results[0].Rows) > 0 {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	// The server tells that it opens the COPY only together with the first row.
	_, err = NewOut(ctx, from, "COPY (SELECT pg_sleep(60)) TO STDOUT (FORMAT binary)", 0)
	assert.Assert(t, errors.Is(err, context.Canceled), "%v", err)
	assert.Assert(t, from.IsClosed())
}

func TestHeaderOfTheStream(t *testing.T) {
	t.Parallel()
	good := string(Header())
	for _, c := range []struct{ body, err string }{
		{good + "\x00\x01\x00\x00\x00\x00", ""},
		{"PGCOPX" + good[6:], "PGCOPY"},
		{good[:11] + "\x00\x01\x00\x00\x00\x00\x00\x00", "flags"},
		{good[:15] + "\x00\x00\x00\x09", "header is cut"},
		{good + "\x00", "tuple is cut"},
	} {
		_, err := (&Out{}).tuple([]byte(c.body))
		if c.err == "" {
			assert.NilError(t, err)
		} else {
			assert.ErrorContains(t, err, c.err)
		}
	}
	o := &Out{begun: true}
	_, err := o.tuple([]byte{0xff, 0xff})
	assert.NilError(t, err)
	_, err = o.tuple([]byte{0, 0})
	assert.ErrorContains(t, err, "after its trailer")
}
