package sqlite

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
)

// attached is the name of the source in the sink's session while rows are relayed.
const attached = "dpone_source"

// Relay lets SQLite copy the rows of another file itself, where both tables have the
// same columns: between such tables it moves whole records. Meanwhile the rows are read
// over the source's own session, checked and digested as in any other load.
//
// Both sessions see the same rows: without a write-ahead log nobody commits to a file
// while somebody reads it (sqlite.org/lockingv3.html), and the source's session has read
// since before this one looked. A value keeps the spelling that it has: whatever can be
// read there can be read here. What SQLite refuses to copy goes the usual way, row by row.
func (s *stage) Relay(ctx context.Context, from connector.Reader, builder *digest.Builder) (bool, error) {
	rd, ok := from.(*reader)
	if !ok || builder == nil || s.kind != connector.StageDirect || !s.alike(rd) {
		return false, nil
	}
	if _, err := s.tx.Exec(ctx, "ATTACH "+literal(uri(rd.snapshot.source.path, readOnly))+" AS "+attached); err != nil {
		return false, ctx.Err() // too many databases, say; the rows can still be read
	}
	s.tx.attached = true
	// Records that come one after the other need no pages kept, and memory that is new costs time.
	for _, statement := range []string{"SAVEPOINT dpone_relay", "PRAGMA main." + smallCache} {
		if _, err := s.tx.Exec(ctx, statement); err != nil {
			return false, connector.Fail("stage.write", err, "write to %s", s.tx.target)
		}
	}
	full := s.full
	rows, refused, err := s.relay(ctx, rd, builder)
	end := []string{"RELEASE dpone_relay"}
	switch {
	case err != nil:
		return true, err
	case refused != nil && s.tx.ended():
		return true, connector.Fail("stage.write", refused, "write to %s", s.tx.target)
	case refused != nil:
		s.full = full
		end = []string{"ROLLBACK TO dpone_relay", "RELEASE dpone_relay", "PRAGMA main." + largeCache}
	default:
		s.stats.Rows, s.stats.Bytes = rows, rd.stats.Bytes
	}
	for _, statement := range end {
		if _, err := s.tx.Exec(ctx, statement); err != nil {
			return true, connector.Fail("stage.write", err, "write to %s", s.tx.target)
		}
	}
	return refused == nil, nil
}

// alike says whether a copy of the source's records is what a load of its rows would write.
func (s *stage) alike(rd *reader) bool {
	source, target := rd.snapshot.table, s.tx.table
	switch rd.snapshot.facts["journal_mode"] {
	case "delete", "truncate", "persist":
	default:
		return false
	}
	if !rd.whole || rd.bad != nil || source.rowID == "" || source.kind != "table" || target == nil || target.kind != "table" ||
		len(source.Columns) != len(s.columns) || len(target.Columns) != len(s.columns) || !strings.EqualFold(source.alias, target.alias) {
		return false
	}
	for i, c := range s.columns {
		from, to := source.Columns[i], target.Columns[i]
		if from.Name != c.Name || to.Name != c.Name || from.Generated || to.Generated || rd.columns[i] != c ||
			affinityOf(from.Native) != affinityOf(to.Native) || s.into[i].notNull && !from.NotNull {
			return false
		}
	}
	return true
}

// relay copies the rows and digests them at the same time. Once they are copied, this
// session helps to read: it sees the same rows. refused says why the rows have to go
// another way; an error ends the load.
func (s *stage) relay(ctx context.Context, rd *reader, builder *digest.Builder) (rows int64, refused, err error) {
	source := rd.snapshot.source.session
	shared, err := rangesOf(ctx, source, rd.snapshot.from(), rd.snapshot.table.rowID)
	if err != nil {
		return 0, nil, connector.Fail("source.read", err, "read %s", rd.snapshot.table.Name)
	}
	var moved atomic.Int64
	first := &relayed{reader: rd.share(source, "main", shared), moved: &moved}
	second := &relayed{reader: rd.share(s.tx.session, attached, shared), moved: &moved}
	first.begun = rd.begun
	for _, part := range []*relayed{first, second} {
		if part.builder, err = digest.NewBuilder(builder.Spec()); err != nil {
			return 0, nil, err
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	begun := make(chan struct{})
	letIn := sync.OnceFunc(func() { close(begun) })
	var working sync.WaitGroup
	working.Go(func() {
		if refused = s.empty(ctx); refused == nil {
			// Without names of columns, and with the asterisk: it is how SQLite knows that it may move whole records.
			rows, refused = s.tx.Exec(ctx, "INSERT INTO "+s.name+" SELECT * FROM "+attached+"."+quote(rd.snapshot.table.name))
		}
		if refused != nil {
			shared.stop() // all of it is read again
			return
		}
		<-begun // the points of a load are reached by the first
		if err := second.digest(ctx, func() error { return nil }); err != nil {
			stop(err)
		}
	})
	err = first.digest(ctx, func() error {
		defer letIn()
		s.tx.sink.env.Moved(moved.Load())
		return s.reached(ctx)
	})
	if err != nil {
		stop(err) // which ends the transaction, too
	}
	letIn()
	working.Wait()
	if ctx.Err() != nil {
		return 0, refused, context.Cause(ctx)
	}
	rd.begun = first.begun
	if refused != nil {
		return 0, refused, nil
	}
	for _, part := range []*relayed{first, second} {
		rd.stats.Rows += part.stats.Rows
		rd.stats.Bytes += part.stats.Bytes
		if err := builder.Merge(part.builder.Digest()); err != nil {
			return 0, nil, err
		}
	}
	return rows, nil, nil
}

// relayed are the rows that one of the two sessions reads.
type relayed struct {
	*reader
	builder *digest.Builder
	moved   *atomic.Int64 // by both
}

// digest reads and digests rows; a value that is none of its type is an error. told is
// called after each batch. It is one goroutine's work: the other one is copying.
func (r *relayed) digest(ctx context.Context, told func() error) error {
	for b := batch.New(r.columns); ; {
		err := r.Next(ctx, b)
		if errors.Is(err, io.EOF) {
			return r.close()
		}
		if err == nil {
			err = r.builder.AddBatch(b)
		}
		if err == nil {
			r.moved.Add(int64(b.Rows()))
			err = told()
		}
		if err != nil {
			return errors.Join(err, r.close())
		}
	}
}
