package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/postgres/wire"
)

// OpenStage opens the way into a table: a temporary one, which writes no log and
// disappears with the transaction, or the emptied target itself.
func (t *tx) OpenStage(ctx context.Context, name string, columns batch.Schema, kind connector.StageKind, _ bool) (connector.Stage, error) {
	if kind != connector.StageDirect {
		parts := make([]string, len(columns))
		for i, c := range columns {
			native, err := declare(c.Type)
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", c.Name, err)
			}
			parts[i] = quote(c.Name) + " " + native
		}
		if err := simple(ctx, t.conn, "CREATE TEMPORARY TABLE "+name[len("pg_temp."):]+" ("+strings.Join(parts, ", ")+") ON COMMIT DROP"); err != nil {
			return nil, connector.Fail("stage.create", err, "make the staging table")
		}
	}
	return &stage{tx: t, columns: columns, kind: kind, sql: "COPY " + name + " (" + quoteAll(columns.Names()) + ") FROM STDIN (FORMAT binary)"}, nil
}

// OpenEmptied empties the target, or makes its sibling, and opens the way into it.
func (t *tx) OpenEmptied(ctx context.Context, columns batch.Schema) (connector.Stage, error) {
	if err := t.Empty(ctx); err != nil {
		return nil, err
	}
	return t.OpenStage(ctx, t.DirectTable(), columns, connector.StageDirect, false)
}

type stage struct {
	tx      *tx
	columns batch.Schema
	kind    connector.StageKind
	sql     string
	in      *wire.In
	stats   connector.WriteStats
	mid     sync.Once
	midErr  error
	closed  bool
}

func (s *stage) open(ctx context.Context) error {
	if s.in != nil {
		return nil
	}
	in, err := wire.NewIn(ctx, s.tx.conn.PgConn(), s.sql, wireBuffer)
	if err != nil {
		return connector.Fail("stage.write", err, "open the way into the sink")
	}
	s.in = in
	return nil
}

// reached tells that some rows are on the sink's side, once.
func (s *stage) reached(ctx context.Context) error {
	if s.kind == connector.StageKeys {
		return nil
	}
	s.mid.Do(func() { s.midErr = s.tx.sink.env.Reach(ctx, connector.MidCopy) })
	return s.midErr
}

// Write adds the rows of a batch.
func (s *stage) Write(ctx context.Context, b *batch.Batch) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	buf := s.in.Room()
	for row := range b.Rows() {
		buf = encode(buf, b, row)
		if len(buf) >= wireBuffer*3/4 {
			if err := s.in.Put(buf); err != nil {
				return s.broken(err)
			}
			buf = s.in.Room()
		}
	}
	if err := s.in.Put(buf); err != nil {
		return s.broken(err)
	}
	return s.reached(ctx)
}

func (s *stage) broken(err error) error {
	_ = s.in.Abort("the load ended early")
	s.closed = true
	return connector.Fail("stage.write", err, "write to %s", s.tx.target)
}

// Relay passes the bytes of a PostgreSQL source on as they are.
func (s *stage) Relay(ctx context.Context, from connector.Reader, builder *digest.Builder) (bool, error) {
	r, ok := from.(*reader)
	if !ok || !sameColumns(r.columns, s.columns) {
		return false, nil
	}
	if r.workers > 1 && s.tx.shadow != nil && s.tx.shadow.committed {
		return true, s.parallel(ctx, r, builder)
	}
	if err := s.open(ctx); err != nil {
		return true, err
	}
	first := true
	each := func(tuple []byte) error {
		if first {
			first = false
			if err := r.snapshot.source.env.Reach(ctx, connector.AfterExtract); err != nil {
				return err
			}
		}
		r.stats.Rows++
		if r.stats.Rows == midRow {
			if err := s.reached(ctx); err != nil {
				return err
			}
		}
		if r.stats.Rows%progressRows == 0 {
			s.tx.sink.env.Moved(r.stats.Rows)
		}
		if builder == nil {
			return nil
		}
		return builder.AddTuple(tuple)
	}
	for i := range r.parts {
		began := time.Now()
		out, err := wire.NewOut(ctx, r.snapshot.conn.PgConn(), r.parts[i].sql, wireBuffer)
		if err != nil {
			return true, errors.Join(connector.Fail("source.read", err, "read %s", r.snapshot.table.Name), s.abort())
		}
		if err := wire.Relay(ctx, out, s.in, wireBuffer, each); err != nil {
			return true, errors.Join(s.moving(err, r, out), out.Close(), s.abort())
		}
		r.chunk(r.parts[i].name, out, time.Since(began))
		if out.Rows() >= 0 && sum(r.stats.Chunks) != r.stats.Rows {
			return true, errors.Join(&connector.Error{Code: "source.rows", Msg: fmt.Sprintf("the source says it sent %d rows, %d came", sum(r.stats.Chunks), r.stats.Rows)}, s.abort())
		}
	}
	return true, s.reached(ctx)
}

// moving says on which side a relay broke.
func (s *stage) moving(err error, r *reader, out *wire.Out) error {
	if broke := out.Err(); broke != nil && errors.Is(err, broke) {
		return connector.Fail("source.read", err, "read %s", r.snapshot.table.Name)
	}
	return connector.Fail("stage.write", err, "write to %s", s.tx.target)
}

// progressRows is after how many rows progress is told.
const progressRows = 1 << 16

// midRow is the row at which a relay counts as being in the middle.
const midRow = 100

func sum(chunks []connector.Chunk) int64 {
	var n int64
	for _, c := range chunks {
		n += c.Rows
	}
	return n
}

func (s *stage) abort() error {
	s.closed = true
	if s.in == nil {
		return nil
	}
	return s.in.Abort("the load ended early")
}

func sameColumns(a, b batch.Schema) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Type != b[i].Type {
			return false
		}
	}
	return true
}

// parallel loads the parts of a source over several pairs of connections. It
// serves a table that nobody else sees yet, because each pair commits its own part.
func (s *stage) parallel(ctx context.Context, r *reader, builder *digest.Builder) error {
	type pair struct{ from, to *pgx.Conn }
	var pairs []pair
	defer func() {
		for _, p := range pairs {
			_ = p.to.Close(context.WithoutCancel(ctx))
		}
	}()
	for range r.workers {
		from, err := r.snapshot.worker(ctx)
		if err != nil {
			return err
		}
		to, err := Dial(ctx, s.tx.sink.cfg)
		if err != nil {
			return err
		}
		pairs = append(pairs, pair{from, to})
	}
	if err := r.snapshot.source.env.Reach(ctx, connector.AfterExtract); err != nil {
		return err
	}
	queue := make(chan part, len(r.parts))
	for _, p := range r.parts {
		queue <- p
	}
	close(queue)
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range pairs {
		group.Go(func() error {
			var own *digest.Builder
			if builder != nil {
				var err error
				if own, err = digest.NewBuilder(builder.Spec()); err != nil {
					return err
				}
			}
			in, err := wire.NewIn(ctx, p.to.PgConn(), s.sql, wireBuffer)
			if err != nil {
				return connector.Fail("stage.write", err, "open the way into the sink")
			}
			for work := range queue {
				if err := s.onePart(ctx, r, work, p.from, in, own, &mu); err != nil {
					return errors.Join(err, in.Abort("the load ended early"))
				}
			}
			rows, err := in.Close()
			if err != nil {
				return connector.Fail("stage.write", err, "write to %s", s.tx.target)
			}
			mu.Lock()
			defer mu.Unlock()
			s.stats.Rows += rows
			s.stats.Bytes += in.Bytes
			if builder != nil {
				return builder.Merge(own.Digest())
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *stage) onePart(ctx context.Context, r *reader, work part, from *pgx.Conn, in *wire.In, own *digest.Builder, mu *sync.Mutex) error {
	began := time.Now()
	out, err := wire.NewOut(ctx, from.PgConn(), work.sql, wireBuffer)
	if err != nil {
		return connector.Fail("source.read", err, "read %s", r.snapshot.table.Name)
	}
	var rows int64
	err = wire.Relay(ctx, out, in, wireBuffer, func(tuple []byte) error {
		rows++
		if rows == midRow {
			if err := s.reached(ctx); err != nil {
				return err
			}
		}
		if own == nil {
			return nil
		}
		return own.AddTuple(tuple)
	})
	if err != nil {
		return errors.Join(s.moving(err, r, out), out.Close())
	}
	mu.Lock()
	defer mu.Unlock()
	r.stats.Rows += rows
	r.chunk(work.name, out, time.Since(began))
	return nil
}

// Close ends the writing.
func (s *stage) Close(ctx context.Context) (connector.WriteStats, error) {
	if s.closed {
		return s.stats, nil
	}
	s.closed = true
	if s.in != nil {
		rows, err := s.in.Close()
		if err != nil {
			return s.stats, connector.Fail("stage.write", err, "write to %s", s.tx.target)
		}
		s.stats.Rows += rows
		s.stats.Bytes += s.in.Bytes
	}
	if s.kind != connector.StageKeys {
		return s.stats, s.tx.sink.env.Reach(ctx, connector.AfterStage)
	}
	return s.stats, nil
}

// Direct says whether rows may go into the target without a staging table: every column is there in the very same type.
func (t *tx) Direct(columns batch.Schema) bool {
	if t.table == nil {
		return false
	}
	for _, c := range columns {
		native, err := declare(c.Type)
		target := t.table.column(c.Name)
		if err != nil || target == nil || target.Native != native {
			return false
		}
	}
	return true
}
