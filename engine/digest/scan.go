package digest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/dpone/dpone/engine/batch"
)

// Reader gives batches of rows. It ends with io.EOF, which never comes together with rows.
type Reader interface {
	Next(context.Context, *batch.Batch) error
	Close() error
}

// Scan is a [Prober] over rows that can be read again and again. Each call reads
// all of them once, batch by batch.
type Scan struct {
	schema batch.Schema
	open   func(context.Context) (Reader, error)
}

// NewScan gives a prober over batches of the schema. Each call of open begins to
// read the same rows.
func NewScan(schema batch.Schema, open func(context.Context) (Reader, error)) *Scan {
	return &Scan{schema: schema, open: open}
}

var _ Prober = (*Scan)(nil)

// Probe implements [Prober].
func (s *Scan) Probe(ctx context.Context, spec Spec, refine Refine) (map[uint64]Bucket, error) {
	if err := checkPrefixes(refine.Within, refine.Bits); err != nil {
		return nil, err
	}
	found := make(map[uint64]Bucket)
	err := s.each(ctx, spec, refine.Within, func(value uint64, row Row, _ *Builder) {
		lanes := row.RowHash
		if spec.Level == LevelKey {
			lanes = row.KeyHash
		}
		part := value >> (64 - refine.Bits) // 0 when Bits is 0
		bucket := found[part]
		bucket.Add(Bucket{1, binary.BigEndian.Uint64(lanes[:]), binary.BigEndian.Uint64(lanes[8:])})
		found[part] = bucket
	})
	return found, err
}

// Keys implements [Prober]. It keeps at most twice limit rows.
func (s *Scan) Keys(ctx context.Context, spec Spec, within []Prefix, limit int) ([]Row, error) {
	if err := checkPrefixes(within, 64); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("digest: the limit of %d rows is less than one", limit)
	}
	var rows []Row
	full := false // rows begins with limit rows in order
	tidy := func() {
		slices.SortFunc(rows, compareRows)
		n := 0
		for _, row := range rows {
			if n > 0 && compareRows(rows[n-1], row) == 0 {
				rows[n-1].Times += row.Times
				continue
			}
			rows[n] = row
			n++
		}
		full = n >= limit
		clear(rows[min(n, limit):])
		rows = rows[:min(n, limit)]
	}
	err := s.each(ctx, spec, within, func(_ uint64, row Row, b *Builder) {
		if full && compareRows(row, rows[limit-1]) > 0 {
			return
		}
		row.Key, row.Times = b.keyValues(), 1
		if rows = append(rows, row); len(rows) >= 2*limit {
			tidy()
		}
	})
	tidy()
	return rows, err
}

// each calls f for every row within the parts, with the first eight bytes of its key hash.
func (s *Scan) each(ctx context.Context, spec Spec, within []Prefix, f func(uint64, Row, *Builder)) (err error) {
	builder, err := NewBuilder(spec)
	if err != nil {
		return err
	}
	reader, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	rows := batch.New(s.schema)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch err := reader.Next(ctx, rows); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := builder.prepare(rows); err != nil {
			return err
		}
		for r := range rows.Rows() {
			builder.row(rows, r)
			var row Row
			row.RowHash, row.KeyHash = builder.hashes(spec.Level == LevelFull, builder.key)
			if value := binary.BigEndian.Uint64(row.KeyHash[:]); has(within, value) {
				f(value, row, builder)
			}
		}
	}
}

// has says whether a hash lies in one of the prefixes, which are in order and have the same number of bits.
func has(within []Prefix, lane uint64) bool {
	if len(within) == 0 {
		return false
	}
	shift := 64 - within[0].Bits
	_, found := slices.BinarySearchFunc(within, lane>>shift, func(p Prefix, value uint64) int {
		switch {
		case p.Value < value:
			return -1
		case p.Value > value:
			return 1
		}
		return 0
	})
	return found
}

func checkPrefixes(within []Prefix, bits int) error {
	if bits < 0 || bits > 64 {
		return fmt.Errorf("digest: %d bits; a prefix has 0 to 64", bits)
	}
	for i, p := range within {
		switch {
		case p.Bits < 0 || p.Bits > bits:
			return fmt.Errorf("digest: a part of %d bits cannot be divided into parts of %d", p.Bits, bits)
		case p.Bits != within[0].Bits || i > 0 && p.Value <= within[i-1].Value:
			return errors.New("digest: the parts must be in order and have the same number of bits")
		case p.Bits < 64 && p.Value>>p.Bits != 0:
			return fmt.Errorf("digest: %d has more than %d bits", p.Value, p.Bits)
		}
	}
	return nil
}

// keyValues copies the key's values, of all columns when there is no key, out of the row in scratch.
func (b *Builder) keyValues() [][]byte {
	columns := b.key
	if len(columns) == 0 {
		columns = make([]int, len(b.columns))
		for i := range columns {
			columns[i] = i
		}
	}
	values := make([][]byte, len(columns))
	for i, c := range columns {
		start := b.ends[c] + 8
		if binary.BigEndian.Uint32(b.scratch[start-4:]) != nullLength {
			values[i] = append([]byte{}, b.scratch[start:b.ends[c+1]]...)
		}
	}
	return values
}
