package file

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver of the key sets

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/file/predicate"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

func newFilter() *predicate.Filter { return new(predicate.Filter) }

// Gate measures a gate on the files of the load, or of the target as it would be.
// The counts and digests of row_count_reconciliation and typed_hash_reconciliation
// are compared by the engine, see [tx.Count] and [tx.Digest].
func (t *tx) Gate(ctx context.Context, g manifest.Gate) (connector.Measure, error) {
	target := g.Side == "target"
	m := connector.Measure{Metrics: make(map[string]string)}
	rows, err := t.Count(ctx, target)
	if err != nil {
		return m, err
	}
	m.Metrics["rows"] = strconv.FormatInt(rows, 10)
	if g.Type == "min_rows" {
		if g.Threshold == nil {
			return m, connector.Fail("gate.config", nil, "the gate min_rows needs a threshold")
		}
		m.Passed = float64(rows) >= *g.Threshold
		m.Message = fmt.Sprintf("%d rows, at least %v are asked for", rows, *g.Threshold)
		return m, nil
	}
	columns, ok := t.columns.Pick(g.Columns)
	if !ok || len(columns) == 0 {
		return m, connector.Fail("gate.config", nil, "the gate %s names the columns %q; the target has %q", g.Type, g.Columns, t.columns.Names())
	}
	for i := range columns {
		columns[i].NotNull = false
	}
	files := t.side(target)
	switch g.Type {
	case "not_null":
		err = t.notNull(ctx, files, columns, &m)
	case "unique":
		err = t.unique(ctx, files, columns, &m)
	case "accepted_values":
		err = t.accepted(ctx, files, columns, g.Values, &m)
	case "freshness":
		err = t.freshness(ctx, files, columns, g.MaxAge, &m)
	default:
		return m, connector.Fail("gate.type", nil, "files cannot measure the gate %q", g.Type)
	}
	return m, err
}

func (t *tx) notNull(ctx context.Context, files []dataset.File, columns batch.Schema, m *connector.Measure) error {
	var total int64
	nulls := make([]int64, len(columns))
	err := t.each(ctx, files, columns, nil, func(b *batch.Batch) error {
		for i := range b.Columns {
			for row := range b.Rows() {
				if b.Columns[i].Null(row) {
					nulls[i]++
					total++
				}
			}
		}
		return nil
	})
	for i := range columns {
		m.Metrics["nulls."+columns[i].Name] = strconv.FormatInt(nulls[i], 10)
	}
	m.Passed = total == 0
	m.Message = fmt.Sprintf("%d values are NULL", total)
	return err
}

// unique counts rows whose key another row has; a key with NULL in it equals no other.
func (t *tx) unique(ctx context.Context, files []dataset.File, columns batch.Schema, m *connector.Measure) error {
	set, err := t.newKeySet(ctx)
	if err != nil {
		return err
	}
	defer set.close()
	keys := tupler{columns: columns}
	var duplicates int64
	err = t.each(ctx, files, columns, nil, func(b *batch.Batch) error {
		for row := range b.Rows() {
			k, null := keys.tuple(b, row, nil)
			if null {
				continue
			}
			added, err := set.add(k)
			if err != nil {
				return err
			}
			if !added {
				duplicates++
			}
		}
		return nil
	})
	m.Metrics["duplicates"] = strconv.FormatInt(duplicates, 10)
	m.Passed = duplicates == 0
	m.Message = fmt.Sprintf("%d rows have a key that an earlier row has", duplicates)
	return err
}

// accepted counts values that are none of the accepted ones; NULL is accepted, as in SQL.
func (t *tx) accepted(ctx context.Context, files []dataset.File, columns batch.Schema, texts []string, m *connector.Measure) error {
	filters := make([]*predicate.Filter, len(columns))
	for i, c := range columns {
		values := [][]byte{nil}
		for _, text := range texts {
			v, err := logical.ParseText([]byte{}, c.Type, []byte(text))
			if err != nil {
				return connector.Fail("gate.config", err, "the value %.80q of accepted_values for the column %q", text, c.Name)
			}
			values = append(values, v)
		}
		filters[i] = newFilter()
		filters[i].In(i, c.Type.Kind, values)
	}
	var others int64
	sample := ""
	err := t.each(ctx, files, columns, nil, func(b *batch.Batch) error {
		for row := range b.Rows() {
			for i := range filters {
				if filters[i].Match(b, row) {
					continue
				}
				if others++; others == 1 {
					sample = fmt.Sprintf(", the first is %s in the column %q", shortValue(columns[i].Type, b.Columns[i].Value(row)), columns[i].Name)
				}
			}
		}
		return nil
	})
	m.Metrics["unexpected"] = strconv.FormatInt(others, 10)
	m.Passed = others == 0
	m.Message = fmt.Sprintf("%d values are none of the accepted ones%s", others, sample)
	return err
}

// freshness compares the newest value with the time of the load. A clock without a zone counts as UTC.
func (t *tx) freshness(ctx context.Context, files []dataset.File, columns batch.Schema, maxAge string, m *connector.Measure) error {
	width, err := manifest.ParseWidth(maxAge)
	if err != nil {
		return connector.Fail("gate.config", err, "freshness: max_age")
	}
	limit := width.Duration()
	now, err := time.Parse(time.RFC3339Nano, t.load.Now)
	if err != nil {
		return connector.Fail("gate.config", err, "freshness: the time of the load")
	}
	c := columns[0]
	if k := c.Type.Kind; len(columns) != 1 || k != logical.Date && k != logical.Timestamp && k != logical.TimestampTZ {
		return connector.Fail("gate.config", nil, "freshness needs one column of type date, timestamp or timestamptz")
	}
	var newest []byte
	if err := t.each(ctx, files, columns, nil, func(b *batch.Batch) error {
		for row := range b.Rows() {
			v := b.Columns[0].Value(row)
			if v != nil && logical.Infinite(c.Type, v) == 0 && (newest == nil || order.Compare(c.Type.Kind, v, newest) > 0) {
				newest = append(newest[:0], v...)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if newest == nil {
		m.Message = "there is no value"
		return nil
	}
	at, err := logical.ReadTime(c.Type, newest)
	if err != nil {
		return err
	}
	old := now.Sub(at)
	m.Metrics["newest"] = at.Format(time.RFC3339Nano)
	m.Metrics["age_seconds"] = strconv.FormatInt(int64(old/time.Second), 10)
	m.Passed = old <= limit
	m.Message = fmt.Sprintf("the newest value is %s old, at most %s is asked for", old.Round(time.Second), limit)
	return nil
}

// tupler makes one key of several values.
type tupler struct {
	columns batch.Schema
	key     []byte
	part    []byte
}

// tuple gives the key of a row, whose columns are at the given places, or in order
// when at is nil; null is true when one of them is NULL. The key is valid until the next call.
func (k *tupler) tuple(b *batch.Batch, row int, at []int) (key []byte, null bool) {
	k.key = k.key[:0]
	for i := range k.columns {
		c := i
		if at != nil {
			c = at[i]
		}
		v := b.Columns[c].Value(row)
		if v == nil {
			return nil, true
		}
		k.part = order.AppendKey(k.part[:0], k.columns[i].Type.Kind, v)
		k.key = binary.AppendUvarint(k.key, uint64(len(k.part)))
		k.key = append(k.key, k.part...)
	}
	return k.key, false
}

// keySet is a set of keys on disk, in a SQLite database of the load's own folder.
type keySet struct {
	ctx      context.Context //nolint:containedctx // a set lives as long as the call that made it
	db       *sql.DB
	tx       *sql.Tx
	put, get *sql.Stmt
}

func (t *tx) newKeySet(ctx context.Context) (_ *keySet, err error) {
	t.files++
	name := filepath.Join(t.s.dir, dataset.Staging, t.id, "keys-"+strconv.Itoa(t.files))
	s := &keySet{ctx: ctx}
	defer func() {
		if err != nil {
			s.close()
			err = connector.Fail("sink.keys", err, "the temporary set of keys cannot be made")
		}
	}()
	dsn := url.URL{Scheme: "file", Path: name, RawQuery: "_pragma=journal_mode(off)&_pragma=synchronous(off)&_pragma=cache_size(-16384)"}
	if s.db, err = sql.Open("sqlite", dsn.String()); err != nil {
		return nil, err
	}
	s.db.SetMaxOpenConns(1)
	if s.tx, err = s.db.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	if _, err = s.tx.ExecContext(ctx, "CREATE TABLE k (k BLOB PRIMARY KEY) WITHOUT ROWID"); err != nil {
		return nil, err
	}
	if s.put, err = s.tx.PrepareContext(ctx, "INSERT OR IGNORE INTO k VALUES (?)"); err != nil {
		return nil, err
	}
	s.get, err = s.tx.PrepareContext(ctx, "SELECT 1 FROM k WHERE k = ?")
	return s, err
}

// add says whether the key is new.
func (s *keySet) add(k []byte) (bool, error) {
	r, err := s.put.ExecContext(s.ctx, k)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n == 1, err
}

func (s *keySet) has(k []byte) (bool, error) {
	var one int
	err := s.get.QueryRowContext(s.ctx, k).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *keySet) close() {
	if s.tx != nil {
		_ = s.tx.Rollback() // the file goes with the load's folder
	}
	if s.db != nil {
		_ = s.db.Close()
	}
}
