package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
)

// hashColumn is the column of a staging table that has the row's hash. No column of
// a source has such a name.
const hashColumn = "__dpone__stage_hash"

// OpenStage opens the way into a table: a temporary one, which others do not see, or the emptied target itself.
func (t *tx) OpenStage(ctx context.Context, name string, columns batch.Schema, kind connector.StageKind, hash bool) (connector.Stage, error) {
	return t.openStage(ctx, name, columns, kind, hash)
}

func (t *tx) openStage(ctx context.Context, name string, columns batch.Schema, kind connector.StageKind, hash bool) (*stage, error) {
	if _, err := t.Describe(ctx); err != nil { // the columns may just have been changed
		return nil, err
	}
	s := &stage{tx: t, name: name, columns: columns, kind: kind, hash: hash}
	declared := make([]string, len(columns))
	for i, c := range columns {
		native, err := declare(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		into := column{affinity: affinityOf(native)}
		if t.table != nil {
			if has := t.table.column(c.Name); has != nil {
				native = has.Native
				into.affinity = affinityOf(native)
				// SQLite would make up a number for a row whose own is NULL.
				into.notNull = strings.EqualFold(t.table.alias, has.Name) || kind == connector.StageDirect && has.NotNull
			}
		}
		declared[i] = quote(c.Name) + " " + native
		s.into = append(s.into, into)
	}
	names := quoteAll(columns.Names())
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	if hash {
		declared = append(declared, quote(hashColumn)+" TEXT")
		names += ", " + quote(hashColumn)
		marks += ", ?"
	}
	if kind != connector.StageDirect {
		t.stages = append(t.stages, name)
		if _, err := t.Exec(ctx, "CREATE TABLE "+name+" ("+strings.Join(declared, ", ")+")"); err != nil {
			return nil, connector.Fail("stage.create", err, "make the staging table")
		}
	}
	for _, schema := range []string{"main.", "temp."} {
		if _, err := t.Exec(ctx, "PRAGMA "+schema+largeCache); err != nil {
			return nil, connector.Fail("stage.create", err, "open the way into %s", name)
		}
	}
	s.sql = "INSERT INTO " + name + " (" + names + ") VALUES (" + marks + ")"
	return s, nil
}

// OpenEmptied opens the way into the target, whose rows go with the first new one.
func (t *tx) OpenEmptied(ctx context.Context, columns batch.Schema) (connector.Stage, error) {
	if !t.load.Create {
		if err := t.mayEmpty(ctx); err != nil {
			return nil, err
		}
	}
	opened, err := t.openStage(ctx, t.DirectTable(), columns, connector.StageDirect, false)
	if err != nil {
		return nil, err
	}
	opened.full = !t.load.Create
	return opened, nil
}

// column is what a stage knows of the column that takes values.
type column struct {
	affinity affinity
	notNull  bool
}

type stage struct {
	tx      *tx
	name    string
	columns batch.Schema
	into    []column
	kind    connector.StageKind
	hash    bool
	full    bool // the target has its rows still, which are to go
	sql     string
	stmt    *sqlite.Stmt
	scratch []byte
	stats   connector.WriteStats
}

// Write adds the rows of a batch.
func (s *stage) Write(ctx context.Context, b *batch.Batch) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	err := s.tx.use(ctx, func(*sqlite.Conn) (err error) {
		if s.stmt == nil {
			if s.stmt, err = s.tx.prepare(s.sql); err != nil {
				return err
			}
		}
		for row := range b.Rows() {
			if err := s.row(b, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		var coded *connector.Error
		if errors.As(err, &coded) {
			return err
		}
		return connector.Fail("stage.write", err, "write to %s", s.tx.target)
	}
	s.stats.Bytes += int64(b.Size())
	return s.reached(ctx)
}

// empty takes the rows away that the target has from before.
func (s *stage) empty(ctx context.Context) error {
	if !s.full {
		return nil
	}
	err := s.tx.empty(ctx)
	s.full = err != nil
	return err
}

// reached is called when some rows are there, and more may come.
func (s *stage) reached(ctx context.Context) error {
	if s.kind == connector.StageKeys || s.tx.mid {
		return nil
	}
	s.tx.mid = true
	return s.tx.sink.env.Reach(ctx, connector.MidCopy)
}

func (s *stage) row(b *batch.Batch, row int) error {
	for i := range s.columns {
		v := b.Columns[i].Value(row)
		if v == nil {
			if s.into[i].notNull {
				return s.refuse(i, errors.New("NULL, and the target's column takes none"))
			}
			s.stmt.BindNull(i + 1)
			continue
		}
		kept, err := encode(s.columns[i].Type, s.into[i].affinity, v)
		if err != nil {
			return s.refuse(i, err)
		}
		kept.bind(s.stmt, i+1)
	}
	if s.hash {
		s.stmt.BindText(len(s.columns)+1, s.rowHash(b, row))
	}
	if _, err := s.stmt.Step(); err != nil {
		return fmt.Errorf("row %d: %w", s.stats.Rows+1, err)
	}
	if err := s.stmt.Reset(); err != nil {
		return fmt.Errorf("row %d: %w", s.stats.Rows+1, err)
	}
	s.stats.Rows++
	return nil
}

func (s *stage) refuse(i int, err error) error {
	return connector.Fail("row.target", err, "row %d, column %q of %s", s.stats.Rows+1, s.columns[i].Name, s.tx.target)
}

// rowHash is the SHA-256 in hex of the row's bytes, as package digest defines them.
func (s *stage) rowHash(b *batch.Batch, row int) string {
	out := binary.BigEndian.AppendUint32(s.scratch[:0], uint32(len(s.columns))) //nolint:gosec // a few thousand at most
	for i := range s.columns {
		out = binary.BigEndian.AppendUint32(out, s.columns[i].Type.DigestTag())
		v := b.Columns[i].Value(row)
		if v == nil {
			out = append(out, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		v = fixNaN(s.columns[i].Type, v)
		out = binary.BigEndian.AppendUint32(out, uint32(len(v))) //nolint:gosec // SQLite keeps less than 2 GiB
		out = append(out, v...)
	}
	s.scratch = out
	sum := sha256.Sum256(out)
	return hex.EncodeToString(sum[:])
}

// Close ends the writing.
func (s *stage) Close(ctx context.Context) (connector.WriteStats, error) {
	if s.stmt == nil {
		return s.stats, s.empty(ctx) // no row came
	}
	stmt := s.stmt
	s.stmt = nil
	return s.stats, s.tx.use(context.WithoutCancel(ctx), func(*sqlite.Conn) error { return s.tx.finalize(stmt) })
}
