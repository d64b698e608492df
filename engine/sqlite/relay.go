package sqlite

import (
	"context"
	"strings"

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
	rows, refused, err := s.relay(ctx, rd, builder)
	end := []string{"RELEASE dpone_relay"}
	switch {
	case err != nil:
		return true, err
	case refused != nil && s.tx.ended():
		return true, connector.Fail("stage.write", refused, "write to %s", s.tx.target)
	case refused != nil:
		end = []string{"ROLLBACK TO dpone_relay", "RELEASE dpone_relay", "PRAGMA main." + largeCache}
		if err := rd.restart(); err != nil {
			return true, connector.Fail("source.read", err, "read %s", rd.snapshot.table.Name)
		}
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
	if !rd.whole || rd.bad != nil || source.kind != "table" || target == nil || target.kind != "table" ||
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

// relay copies the rows and digests them at the same time. refused says why the rows
// have to go another way; an error ends the load.
func (s *stage) relay(ctx context.Context, rd *reader, builder *digest.Builder) (rows int64, refused, err error) {
	own, err := digest.NewBuilder(builder.Spec())
	if err != nil {
		return 0, nil, err
	}
	copying, stop := context.WithCancel(ctx)
	defer stop()
	type copied struct {
		rows int64
		err  error
	}
	done := make(chan copied, 1)
	go func() {
		// Without names of columns, and with the asterisk: it is how SQLite knows that it may move whole records.
		n, err := s.tx.Exec(copying, "INSERT INTO "+s.name+" SELECT * FROM "+attached+"."+quote(rd.snapshot.table.name))
		done <- copied{n, err}
	}()
	err = s.digest(ctx, rd, own)
	if err != nil {
		stop() // which ends the transaction, too
	}
	c := <-done
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil || c.err != nil {
		return 0, c.err, err
	}
	return c.rows, nil, builder.Merge(own.Digest())
}

// digest reads and digests the rows; a value that is none of its type is an error.
func (s *stage) digest(ctx context.Context, rd *reader, builder *digest.Builder) error {
	rows := int64(0)
	return batch.Pipe(rd.columns, func(b *batch.Batch) error { return rd.Next(ctx, b) }, func(b *batch.Batch) error {
		if err := builder.AddBatch(b); err != nil {
			return err
		}
		rows += int64(b.Rows())
		s.tx.sink.env.Moved(rows)
		return s.reached(ctx)
	})
}
