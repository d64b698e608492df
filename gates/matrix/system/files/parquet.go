package files

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"strconv"

	pq "github.com/apache/arrow-go/v18/parquet"
	pqcompress "github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// groupRows is the number of rows in a row group, which is in memory until it is written.
const groupRows = 2000

// parquetWriter writes rows in groups.
type parquetWriter struct {
	w       *file.Writer
	columns []parquetColumn
	rows    int
}

// parquetColumn takes values, and writes those it took.
type parquetColumn struct {
	name string
	node schema.Node
	add  func(fixture.Value) error
	put  func(file.ColumnChunkWriter) error
}

// onlyWriter keeps the library from closing what it writes to.
type onlyWriter struct{ io.Writer }

func newParquetWriter(w io.Writer, of format, columns []fixture.Column) (*parquetWriter, error) {
	out := &parquetWriter{}
	var nodes schema.FieldList
	for _, c := range columns {
		column, err := newParquetColumn(c)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		out.columns = append(out.columns, column)
		nodes = append(nodes, column.node)
	}
	root, err := schema.NewGroupNode("orders", pq.Repetitions.Required, nodes, -1)
	if err != nil {
		return nil, err
	}
	codec := pqcompress.Codecs.Snappy
	if of.compression == zstandard {
		codec = pqcompress.Codecs.Zstd
	}
	out.w, err = file.NewParquetWriterWithError(onlyWriter{w}, root, file.WithWriterProps(pq.NewWriterProperties(pq.WithCompression(codec))))
	return out, err
}

func (w *parquetWriter) row(row fixture.Row) error {
	for i, v := range row {
		if err := w.columns[i].add(v); err != nil {
			return fmt.Errorf("column %q: %w", w.columns[i].name, err)
		}
	}
	if w.rows++; w.rows%groupRows == 0 {
		return w.group()
	}
	return nil
}

func (w *parquetWriter) group() error {
	g, err := w.w.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	for i := range w.columns {
		c, err := g.NextColumn()
		if err == nil {
			err = errors.Join(w.columns[i].put(c), c.Close())
		}
		if err != nil {
			return fmt.Errorf("column %q: %w", w.columns[i].name, err)
		}
	}
	return g.Close()
}

func (w *parquetWriter) close() error {
	var err error
	if w.rows%groupRows != 0 {
		err = w.group()
	}
	return errors.Join(err, w.w.Close())
}

// batchWriter is a column of a row group.
type batchWriter[T any] interface {
	WriteBatch(values []T, defLevels, repLevels []int16) (int64, error)
}

// writes gives a column that collects values of one physical type.
func writes[T any](c fixture.Column, physical pq.Type, l schema.LogicalType, width int, parse func(string) (T, error)) (parquetColumn, error) {
	repetition := pq.Repetitions.Optional
	if c.NotNull {
		repetition = pq.Repetitions.Required
	}
	node, err := schema.NewPrimitiveNodeLogical(c.Name, repetition, l, physical, width, -1)
	var values []T
	var levels []int16
	return parquetColumn{
		name: c.Name, node: node,
		add: func(v fixture.Value) error {
			if v.Null {
				levels = append(levels, 0)
				return nil
			}
			levels = append(levels, 1)
			x, err := parse(v.Text)
			values = append(values, x)
			return err
		},
		put: func(w file.ColumnChunkWriter) error {
			typed, ok := w.(batchWriter[T])
			if !ok {
				return fmt.Errorf("a %T takes no %T", w, values)
			}
			defs := levels
			if c.NotNull {
				defs = nil
			}
			_, err := typed.WriteBatch(values, defs, nil)
			values, levels = values[:0], levels[:0]
			return err
		},
	}, err
}

// none is a column without a logical type.
var none schema.LogicalType = schema.NoLogicalType{}

func newParquetColumn(c fixture.Column) (parquetColumn, error) {
	integer := func(bits int) func(string) (int64, error) {
		return func(s string) (int64, error) { return strconv.ParseInt(s, 10, bits) }
	}
	bytes := func(s string) (pq.ByteArray, error) { return pq.ByteArray(s), nil }
	switch c.Kind {
	case fixture.Bool:
		return writes(c, pq.Types.Boolean, none, -1, strconv.ParseBool)
	case fixture.Int16:
		return writes(c, pq.Types.Int32, schema.NewIntLogicalType(16, true), -1, narrow(integer(16)))
	case fixture.Int32:
		return writes(c, pq.Types.Int32, none, -1, narrow(integer(32)))
	case fixture.Int64:
		return writes(c, pq.Types.Int64, none, -1, integer(64))
	case fixture.Float32:
		return writes(c, pq.Types.Float, none, -1, func(s string) (float32, error) {
			v, err := strconv.ParseFloat(s, 32)
			return float32(v), err
		})
	case fixture.Float64:
		return writes(c, pq.Types.Double, none, -1, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	case fixture.Decimal:
		return newParquetDecimal(c)
	case fixture.Date:
		return writes(c, pq.Types.Int32, schema.DateLogicalType{}, -1, narrow(canon.Days))
	case fixture.Time:
		return writes(c, pq.Types.Int64, schema.NewTimeLogicalType(false, schema.TimeUnitMicros), -1, canon.DayTime)
	case fixture.Timestamp, fixture.TimestampTZ:
		instant := c.Kind == fixture.TimestampTZ
		return writes(c, pq.Types.Int64, schema.NewTimestampLogicalType(instant, schema.TimeUnitMicros), -1, func(s string) (int64, error) { return canon.Micros(s, instant) })
	case fixture.UUID:
		return writes(c, pq.Types.FixedLenByteArray, schema.UUIDLogicalType{}, 16, func(s string) (pq.FixedLenByteArray, error) { return canon.UUID(s) })
	case fixture.Text:
		return writes(c, pq.Types.ByteArray, schema.StringLogicalType{}, -1, bytes)
	case fixture.JSON:
		return writes(c, pq.Types.ByteArray, schema.JSONLogicalType{}, -1, bytes)
	case fixture.Bytes:
		return writes(c, pq.Types.ByteArray, none, -1, func(s string) (pq.ByteArray, error) { return hex.DecodeString(s) })
	}
	return parquetColumn{}, fmt.Errorf("Parquet has no type for the kind %q", c.Kind) //nolint:staticcheck // a name
}

func narrow(parse func(string) (int64, error)) func(string) (int32, error) {
	return func(s string) (int32, error) {
		n, err := parse(s)
		return int32(n), err
	}
}

// newParquetDecimal writes 32 bits up to 9 digits, 64 up to 18, and beyond that the
// least number of bytes that holds them (Parquet format, LogicalTypes.md, DECIMAL).
func newParquetDecimal(c fixture.Column) (parquetColumn, error) {
	l := schema.NewDecimalLogicalType(int32(c.Precision), int32(c.Scale))
	small := func(s string) (int64, error) {
		n, err := canon.Unscaled(s, c.Scale)
		if err != nil {
			return 0, err
		}
		return n.Int64(), nil
	}
	switch {
	case c.Precision <= 9:
		return writes(c, pq.Types.Int32, l, -1, narrow(small))
	case c.Precision <= 18:
		return writes(c, pq.Types.Int64, l, -1, small)
	}
	width := (new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.Precision)), nil).BitLen() + 8) / 8
	return writes(c, pq.Types.FixedLenByteArray, l, width, func(s string) (pq.FixedLenByteArray, error) {
		n, err := canon.Unscaled(s, c.Scale)
		if err != nil {
			return nil, err
		}
		return canon.TwosComplement(n, width)
	})
}

// parquetReader reads the wanted columns, some rows at a time.
type parquetReader struct {
	r      *file.Reader
	wanted []field
	cells  []cells
	others []string // the kind that a column has, where it is not the wanted one
	group  int
	left   int64 // rows of the current group
	loaded int   // rows that are loaded and not yet given
}

func newParquetReader(f *os.File, names []string, wanted []field) (*parquetReader, error) {
	props := pq.NewReaderProperties(nil)
	props.BufferedStreamEnabled = true
	r, err := file.NewParquetReader(onlyReader{f, f}, file.WithReadProps(props))
	if err != nil {
		return nil, err
	}
	root := r.MetaData().Schema.Root()
	var found []string
	for i := range root.NumFields() {
		found = append(found, root.Field(i).Name())
	}
	if !slices.Equal(found, names) {
		return nil, fmt.Errorf("the file has the columns %q, and the manifest tells %q", found, names)
	}
	return &parquetReader{r: r, wanted: wanted, cells: make([]cells, len(wanted)), others: make([]string, len(wanted))}, nil
}

func (p *parquetReader) next() error {
	if p.loaded > 0 {
		p.loaded--
		return nil
	}
	for p.left == 0 {
		if p.group == p.r.NumRowGroups() {
			return io.EOF
		}
		if err := p.open(p.r.RowGroup(p.group)); err != nil {
			return err
		}
		p.group++
	}
	n := int(min(p.left, chunkRows))
	for i := range p.cells {
		if p.cells[i].load == nil {
			continue
		}
		if err := p.cells[i].load(n); err != nil {
			return fmt.Errorf("column %q: %w", p.wanted[i].name, err)
		}
	}
	p.left -= int64(n)
	p.loaded = n - 1
	return nil
}

func (p *parquetReader) open(g *file.RowGroupReader) error {
	p.left = g.NumRows()
	for i, w := range p.wanted {
		if w.index < 0 {
			continue
		}
		c, err := g.Column(w.index)
		if err != nil {
			return err
		}
		var kind fixture.Kind
		if p.cells[i], kind, err = column(c); err != nil {
			return fmt.Errorf("column %q: %w", w.name, err)
		}
		p.others[i] = ""
		if kind != w.kind {
			p.others[i] = string(kind)
		}
	}
	return nil
}

func (p *parquetReader) value(dst []byte, i int) ([]byte, bool, error) {
	if p.cells[i].next == nil {
		return dst, true, nil
	}
	dst, null, err := p.cells[i].next(dst)
	if !null && p.others[i] != "" {
		dst = canon.Other(dst, p.others[i])
	}
	return dst, null, err
}

func (p *parquetReader) close() error { return p.r.Close() }

// onlyReader keeps the library from closing what it reads.
type onlyReader struct {
	io.ReaderAt
	io.Seeker
}

// cells are the values of one column of some rows.
type cells struct {
	// load reads the next values of so many rows.
	load func(rows int) error
	// next adds the next row's value.
	next func(dst []byte) (out []byte, null bool, err error)
}

// batchReader is a column of a row group.
type batchReader[T any] interface {
	ReadBatch(batchSize int64, values []T, defLvls, repLvls []int16) (int64, int, error)
}

const chunkRows = 512

func reads[T any](r file.ColumnChunkReader, value func(dst []byte, v T) ([]byte, error)) (cells, error) {
	typed, ok := r.(batchReader[T])
	if !ok {
		return cells{}, fmt.Errorf("a %T gives another type than its schema tells", r)
	}
	values, defs := make([]T, chunkRows), make([]int16, chunkRows)
	optional := r.Descriptor().MaxDefinitionLevel() > 0
	row, at := 0, 0
	return cells{
		load: func(rows int) error {
			n, _, err := typed.ReadBatch(int64(rows), values, defs, nil)
			if err == nil && int(n) != rows {
				err = fmt.Errorf("%d values, %d rows", n, rows)
			}
			row, at = 0, 0
			return err
		},
		next: func(dst []byte) ([]byte, bool, error) {
			row++
			if optional && defs[row-1] == 0 {
				return dst, true, nil
			}
			at++
			dst, err := value(dst, values[at-1])
			return dst, false, err
		},
	}, nil
}

// column opens a column of a row group and tells the kind that it has.
func column(r file.ColumnChunkReader) (cells, fixture.Kind, error) {
	d := r.Descriptor()
	number := func(k fixture.Kind, add func([]byte, int64) []byte) (cells, fixture.Kind, error) {
		if d.PhysicalType() == pq.Types.Int32 {
			c, err := reads(r, func(dst []byte, v int32) ([]byte, error) { return add(dst, int64(v)), nil })
			return c, k, err
		}
		c, err := reads(r, func(dst []byte, v int64) ([]byte, error) { return add(dst, v), nil })
		return c, k, err
	}
	text := func(k fixture.Kind) (cells, fixture.Kind, error) {
		c, err := reads(r, func(dst []byte, v pq.ByteArray) ([]byte, error) { return append(dst, v...), nil })
		return c, k, err
	}
	whole := func(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }
	switch l := d.LogicalType().(type) {
	case schema.StringLogicalType:
		return text(fixture.Text)
	case schema.JSONLogicalType:
		return text(fixture.JSON)
	case schema.UUIDLogicalType:
		c, err := reads(r, func(dst []byte, v pq.FixedLenByteArray) ([]byte, error) { return canon.AppendUUID(dst, v) })
		return c, fixture.UUID, err
	case schema.DateLogicalType:
		return number(fixture.Date, canon.AppendDate)
	case schema.TimeLogicalType:
		if l.TimeUnit() == schema.TimeUnitMicros && !l.IsAdjustedToUTC() {
			return number(fixture.Time, canon.AppendTime)
		}
	case schema.TimestampLogicalType:
		k := fixture.Timestamp
		if l.IsAdjustedToUTC() {
			k = fixture.TimestampTZ
		}
		if l.TimeUnit() == schema.TimeUnitMicros {
			return number(k, func(dst []byte, n int64) []byte { return canon.AppendTimestamp(dst, n, k == fixture.TimestampTZ) })
		}
	case schema.IntLogicalType:
		if l.IsSigned() && l.BitWidth() == 16 {
			return number(fixture.Int16, whole)
		}
	case schema.DecimalLogicalType:
		scale := int(l.Scale())
		if d.PhysicalType() == pq.Types.FixedLenByteArray {
			c, err := reads(r, func(dst []byte, v pq.FixedLenByteArray) ([]byte, error) {
				return canon.AppendUnscaledBytes(dst, v, scale), nil
			})
			return c, fixture.Decimal, err
		}
		return number(fixture.Decimal, func(dst []byte, n int64) []byte { return canon.AppendUnscaled(dst, n, scale) })
	case schema.NoLogicalType, nil:
		switch d.PhysicalType() {
		case pq.Types.Boolean:
			c, err := reads(r, func(dst []byte, v bool) ([]byte, error) { return strconv.AppendBool(dst, v), nil })
			return c, fixture.Bool, err
		case pq.Types.Int32:
			return number(fixture.Int32, whole)
		case pq.Types.Int64:
			return number(fixture.Int64, whole)
		case pq.Types.Float:
			c, err := reads(r, func(dst []byte, v float32) ([]byte, error) { return canon.AppendFloat(dst, float64(v), 32), nil })
			return c, fixture.Float32, err
		case pq.Types.Double:
			c, err := reads(r, func(dst []byte, v float64) ([]byte, error) { return canon.AppendFloat(dst, v, 64), nil })
			return c, fixture.Float64, err
		case pq.Types.ByteArray:
			c, err := reads(r, func(dst []byte, v pq.ByteArray) ([]byte, error) { return hex.AppendEncode(dst, v), nil })
			return c, fixture.Bytes, err
		}
	}
	return cells{}, "", fmt.Errorf("the type %s %s is none that a fixture has", d.PhysicalType(), d.LogicalType())
}
