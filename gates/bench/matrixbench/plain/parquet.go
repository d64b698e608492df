package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// chunk is how many rows are read of a column at once.
const chunk = 1024

// readParquet reads the files of the source one after the other.
func (j job) readParquet(ctx context.Context, each func(row) error) error {
	paths, err := filepath.Glob(filepath.Join(j.from.Path, "*.parquet"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := readParquetFile(ctx, path, each); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

func readParquetFile(ctx context.Context, path string, each func(row) error) (err error) {
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var t texts
	for g := range r.NumRowGroups() {
		group := r.RowGroup(g)
		columns := make([]parquetColumn, group.NumColumns())
		for i := range columns {
			c, err := group.Column(i)
			if err != nil {
				return err
			}
			if columns[i], err = newColumn(c); err != nil {
				return fmt.Errorf("column %q: %w", c.Descriptor().Name(), err)
			}
		}
		for left := group.NumRows(); left > 0; left -= chunk {
			n := int(min(left, chunk))
			for i := range columns {
				if err := columns[i].load(n); err != nil {
					return err
				}
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			for range n {
				t.reset()
				for i := range columns {
					columns[i].next(&t)
				}
				if err := each(t.row()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// parquetColumn reads values ahead and hands them out row by row.
type parquetColumn struct {
	load func(rows int) error
	next func(*texts)
}

type batchReader[T any] interface {
	ReadBatch(batchSize int64, values []T, defLvls, repLvls []int16) (int64, int, error)
}

func reads[T any](r file.ColumnChunkReader, add func(dst []byte, v T) []byte) (parquetColumn, error) {
	typed, ok := r.(batchReader[T])
	if !ok {
		return parquetColumn{}, fmt.Errorf("a %T gives another type than its schema tells", r)
	}
	values, defs := make([]T, chunk), make([]int16, chunk)
	optional := r.Descriptor().MaxDefinitionLevel() > 0
	row, at := 0, 0
	return parquetColumn{
		load: func(rows int) error {
			n, _, err := typed.ReadBatch(int64(rows), values, defs, nil)
			if err == nil && int(n) != rows {
				err = fmt.Errorf("column %q: %d values, %d rows", r.Descriptor().Name(), n, rows)
			}
			row, at = 0, 0
			return err
		},
		next: func(t *texts) {
			row++
			if optional && defs[row-1] == 0 {
				t.null()
				return
			}
			t.buf = add(t.buf, values[at])
			at++
			t.end()
		},
	}, nil
}

func newColumn(r file.ColumnChunkReader) (parquetColumn, error) {
	d := r.Descriptor()
	number := func(add func([]byte, int64) []byte) (parquetColumn, error) {
		if d.PhysicalType() == pq.Types.Int32 {
			return reads(r, func(dst []byte, v int32) []byte { return add(dst, int64(v)) })
		}
		return reads(r, add)
	}
	switch l := d.LogicalType().(type) {
	case schema.StringLogicalType, schema.JSONLogicalType:
		return reads(r, func(dst []byte, v pq.ByteArray) []byte { return append(dst, v...) })
	case schema.UUIDLogicalType:
		return reads(r, func(dst []byte, v pq.FixedLenByteArray) []byte {
			dst, _ = canon.AppendUUID(dst, v) // the schema holds that it has 16 bytes
			return dst
		})
	case schema.DateLogicalType:
		return number(canon.AppendDate)
	case schema.TimeLogicalType:
		return number(canon.AppendTime)
	case schema.TimestampLogicalType:
		return number(func(dst []byte, v int64) []byte { return canon.AppendTimestamp(dst, v, l.IsAdjustedToUTC()) })
	case schema.DecimalLogicalType:
		scale := int(l.Scale())
		if d.PhysicalType() == pq.Types.FixedLenByteArray {
			return reads(r, func(dst []byte, v pq.FixedLenByteArray) []byte { return canon.AppendUnscaledBytes(dst, v, scale) })
		}
		return number(func(dst []byte, v int64) []byte { return canon.AppendUnscaled(dst, v, scale) })
	}
	switch d.PhysicalType() {
	case pq.Types.Boolean:
		return reads(r, strconv.AppendBool)
	case pq.Types.Float:
		return reads(r, func(dst []byte, v float32) []byte { return canon.AppendFloat(dst, float64(v), 32) })
	case pq.Types.Double:
		return reads(r, func(dst []byte, v float64) []byte { return canon.AppendFloat(dst, v, 64) })
	case pq.Types.ByteArray:
		return reads(r, func(dst []byte, v pq.ByteArray) []byte { return hex.AppendEncode(append(dst, `\x`...), v) })
	case pq.Types.Int32, pq.Types.Int64:
		return number(func(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) })
	}
	return parquetColumn{}, fmt.Errorf("a column of the type %s is none of the fixture's", d.PhysicalType())
}
