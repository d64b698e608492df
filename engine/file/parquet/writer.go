package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

// Options say how a file is written.
type Options struct {
	// Compression is none, snappy or zstd; snappy when empty.
	Compression string
	// GroupBytes is the size at which a row group ends, in bytes of canonical
	// values; 8 MiB when 0. A row group is in memory until it ends.
	GroupBytes int
}

const defaultGroupBytes = 8 << 20

// Writer writes rows into row groups.
type Writer struct {
	w       *file.Writer
	columns []column
	limit   int

	group file.BufferedRowGroupWriter
	size  int

	defs  []int16
	bools []bool
	i32   []int32
	i64   []int64
	f32   []float32
	f64   []float64
	bytes []pq.ByteArray
	fixed []pq.FixedLenByteArray
	text  []byte
}

// sink keeps the library from closing what it writes to.
type sink struct{ io.Writer }

// NewWriter writes a file of the schema to w, which the caller closes after Close.
func NewWriter(w io.Writer, columns batch.Schema, o Options) (out *Writer, err error) {
	defer guard(&err)
	out = &Writer{limit: o.GroupBytes}
	if out.limit <= 0 {
		out.limit = defaultGroupBytes
	}
	var fields schema.FieldList
	for _, c := range columns {
		col, node, err := write(c)
		if err != nil {
			return nil, err
		}
		out.columns = append(out.columns, col)
		fields = append(fields, node)
	}
	root, err := schema.NewGroupNode("schema", pq.Repetitions.Required, fields, -1)
	if err != nil {
		return nil, err
	}
	codec := compress.Codecs.Snappy
	switch o.Compression {
	case "", "snappy":
	case "none":
		codec = compress.Codecs.Uncompressed
	case "zstd":
		codec = compress.Codecs.Zstd
	default:
		return nil, fmt.Errorf("the compression %q is none of none, snappy and zstd", o.Compression)
	}
	out.w, err = file.NewParquetWriterWithError(sink{w}, root, file.WithWriterProps(pq.NewWriterProperties(
		pq.WithCompression(codec),
		pq.WithDictionaryDefault(false),
		pq.WithDataPageSize(256<<10),
		pq.WithCreatedBy("dpone"),
	)))
	return out, err
}

// Write writes rows from..to of the batch. A value that Parquet cannot hold is an
// error that names the column.
func (w *Writer) Write(b *batch.Batch, from, to int) (err error) {
	defer guard(&err)
	for from < to {
		n := min(to-from, chunkRows)
		if w.group == nil {
			if w.group, err = w.w.AppendBufferedRowGroupChecked(); err != nil {
				return err
			}
		}
		for i := range w.columns {
			cw, err := w.group.Column(i)
			if err != nil {
				return err
			}
			if err := w.column(cw, &w.columns[i], &b.Columns[i], from, from+n); err != nil {
				return fmt.Errorf("column %q: %w", w.columns[i].Name, err)
			}
			w.size += span(&b.Columns[i], from, from+n) + 2*n
		}
		from += n
		if w.size >= w.limit {
			if err := w.endGroup(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Writer) endGroup() error {
	if w.group == nil {
		return nil
	}
	err := w.group.Close()
	w.group, w.size = nil, 0
	return err
}

// Close writes the footer.
func (w *Writer) Close() (err error) {
	defer guard(&err)
	return errors.Join(w.endGroup(), w.w.Close())
}

// span is the bytes of values from..to.
func span(v *batch.Vector, from, to int) int {
	if from == 0 {
		return v.Ends[to-1]
	}
	return v.Ends[to-1] - v.Ends[from-1]
}

// gather collects the values that are not NULL.
func gather[T any](w *Writer, c *column, v *batch.Vector, from, to int, into []T, value func([]byte) (T, error)) ([]T, []int16, error) {
	into = into[:0]
	w.defs = resize(w.defs, to-from)
	for row := from; row < to; row++ {
		b := v.Value(row)
		if b == nil {
			if c.NotNull {
				return into, nil, errors.New("NULL in a column that has none")
			}
			w.defs[row-from] = 0
			continue
		}
		x, err := value(b)
		if err != nil {
			return into, nil, err
		}
		into = append(into, x)
		w.defs[row-from] = 1
	}
	if c.NotNull {
		return into, nil, nil
	}
	return into, w.defs, nil
}

var (
	errWidth    = errors.New("the value is not canonical")
	errInfinity = errors.New("infinity has no value in Parquet")
)

func fixedWidth(b []byte, n int) error {
	if len(b) != n {
		return errWidth
	}
	return nil
}

func (w *Writer) column(cw file.ColumnChunkWriter, c *column, v *batch.Vector, from, to int) error {
	var defs []int16
	var err error
	switch cw := cw.(type) {
	case *file.BooleanColumnChunkWriter:
		w.bools, defs, err = gather(w, c, v, from, to, w.bools, func(b []byte) (bool, error) { return logical.ReadBool(b) })
		if err == nil {
			_, err = cw.WriteBatch(w.bools, defs, nil)
		}
	case *file.Int32ColumnChunkWriter:
		w.i32, defs, err = gather(w, c, v, from, to, w.i32, c.int32)
		if err == nil {
			_, err = cw.WriteBatch(w.i32, defs, nil)
		}
	case *file.Int64ColumnChunkWriter:
		w.i64, defs, err = gather(w, c, v, from, to, w.i64, c.int64)
		if err == nil {
			_, err = cw.WriteBatch(w.i64, defs, nil)
		}
	case *file.Float32ColumnChunkWriter:
		w.f32, defs, err = gather(w, c, v, from, to, w.f32, func(b []byte) (float32, error) {
			if err := fixedWidth(b, 4); err != nil {
				return 0, err
			}
			return math.Float32frombits(binary.BigEndian.Uint32(b)), nil
		})
		if err == nil {
			_, err = cw.WriteBatch(w.f32, defs, nil)
		}
	case *file.Float64ColumnChunkWriter:
		w.f64, defs, err = gather(w, c, v, from, to, w.f64, func(b []byte) (float64, error) {
			if err := fixedWidth(b, 8); err != nil {
				return 0, err
			}
			return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
		})
		if err == nil {
			_, err = cw.WriteBatch(w.f64, defs, nil)
		}
	case *file.ByteArrayColumnChunkWriter:
		w.text = w.text[:0]
		w.bytes, defs, err = gather(w, c, v, from, to, w.bytes, func(b []byte) (pq.ByteArray, error) { return w.rendered(c, b) })
		if err == nil {
			_, err = cw.WriteBatch(w.bytes, defs, nil)
		}
	case *file.FixedLenByteArrayColumnChunkWriter:
		w.text = w.text[:0]
		w.fixed, defs, err = gather(w, c, v, from, to, w.fixed, func(b []byte) (pq.FixedLenByteArray, error) {
			if c.form == asUUID {
				return b, fixedWidth(b, 16)
			}
			at, n := len(w.text), decimalBytes(c.Type.Precision)
			w.text = append(w.text, make([]byte, n)...)
			dst := w.text[at : at+n : at+n]
			return dst, unscaledBig(dst, b, c.Type.Precision, c.Type.Scale)
		})
		if err == nil {
			_, err = cw.WriteBatch(w.fixed, defs, nil)
		}
	default:
		err = fmt.Errorf("no writer for %s", c.native)
	}
	return err
}

func (w *Writer) rendered(c *column, b []byte) (pq.ByteArray, error) {
	switch {
	case c.form == asRendered, c.Type.Kind == logical.JSONB:
		at := len(w.text)
		var err error
		w.text, err = logical.AppendText(w.text, c.Type, b)
		return w.text[at:len(w.text):len(w.text)], err
	default:
		return b, nil
	}
}

func (c *column) int32(b []byte) (int32, error) {
	switch c.form {
	case asInt16:
		if err := fixedWidth(b, 2); err != nil {
			return 0, err
		}
		return int32(int16(binary.BigEndian.Uint16(b))), nil
	case asDecimal:
		n, err := unscaled(b, c.Type.Precision, c.Type.Scale)
		return int32(n), err
	}
	if err := fixedWidth(b, 4); err != nil {
		return 0, err
	}
	n := int32(binary.BigEndian.Uint32(b))
	if c.form != asDate {
		return n, nil
	}
	if n == math.MinInt32 || n == math.MaxInt32 {
		return 0, errInfinity
	}
	if n > math.MaxInt32-epochDays {
		return 0, errors.New("the date is out of Parquet's range")
	}
	return n + epochDays, nil
}

func (c *column) int64(b []byte) (int64, error) {
	if c.form == asDecimal {
		var wide [16]byte
		err := unscaledBig(wide[:], b, c.Type.Precision, c.Type.Scale)
		return int64(binary.BigEndian.Uint64(wide[8:])), err
	}
	if err := fixedWidth(b, 8); err != nil {
		return 0, err
	}
	n := int64(binary.BigEndian.Uint64(b))
	if c.form != asTSMicros {
		return n, nil
	}
	if n == math.MinInt64 || n == math.MaxInt64 {
		return 0, errInfinity
	}
	if n > math.MaxInt64-epochMicros {
		return 0, errors.New("the timestamp is out of Parquet's range")
	}
	return n + epochMicros, nil
}
