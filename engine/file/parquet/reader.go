package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/logical"
)

// File is an open file.
type File struct {
	r       *file.Reader
	columns []column
}

// source keeps the library from closing what it reads.
type source struct {
	io.ReaderAt
	io.Seeker
}

// chunkRows is the number of rows that are decoded at a time.
const chunkRows = 4096

// Open reads the footer. The caller closes r, after the last use of the file.
func Open(r pq.ReaderAtSeeker) (f *File, err error) {
	defer guard(&err)
	props := pq.NewReaderProperties(nil)
	props.BufferedStreamEnabled = true
	props.BufferSize = 64 << 10
	reader, err := file.NewParquetReader(source{r, r}, file.WithReadProps(props))
	if err != nil {
		return nil, corrupt(err)
	}
	root := reader.MetaData().Schema.Root()
	f = &File{r: reader}
	seen := make(map[string]bool, root.NumFields())
	for i := range root.NumFields() {
		c, err := read(root.Field(i))
		if err != nil {
			return nil, &fault.Error{Code: fault.Type, Msg: err.Error()}
		}
		if c.Name == "" || seen[c.Name] {
			return nil, &fault.Error{Code: fault.Header, Msg: fmt.Sprintf("the column name %q is empty or given twice", c.Name)}
		}
		seen[c.Name] = true
		f.columns = append(f.columns, c)
	}
	return f, nil
}

// guard makes an error of a panic of the library, which a damaged file can cause.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = corrupt(fmt.Errorf("%v", r))
	}
}

func corrupt(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return &fault.Error{Code: fault.Corrupt, Msg: "the file is not a whole and valid Parquet file", Err: err}
}

// Schema gives the columns in the types in which they are read.
func (f *File) Schema() batch.Schema {
	s := make(batch.Schema, len(f.columns))
	for i := range f.columns {
		s[i] = f.columns[i].Column
	}
	return s
}

// Native names the type of column i in the format's words.
func (f *File) Native(i int) string { return f.columns[i].native }

// Rows is the number of rows that the footer tells.
func (f *File) Rows() int64 { return f.r.NumRows() }

// Decoder reads rows into batches.
type Decoder struct {
	f      *File
	chunks []chunk
	group  int   // the next row group
	left   int64 // rows of the current one that are still to come
	row    int64 // rows read
	bad    map[int]*fault.Error
}

// chunk is a column of the current row group.
type chunk struct {
	column *column
	index  int
	r      file.ColumnChunkReader
	defs   []int16
	bools  []bool
	i32    []int32
	i64    []int64
	f32    []float32
	f64    []float64
	bytes  []pq.ByteArray
	fixed  []pq.FixedLenByteArray
	text   []byte
}

// NewDecoder reads the columns; index[i] is the file's column that the batch's column i takes.
func (f *File) NewDecoder(index []int) *Decoder {
	d := &Decoder{f: f, chunks: make([]chunk, len(index))}
	for i, c := range index {
		d.chunks[i] = chunk{column: &f.columns[c], index: c, defs: make([]int16, chunkRows)}
	}
	return d
}

// Decode appends rows to b until it holds limit of them, and gives io.EOF when
// there are no more. Every row with a value that has no canonical form goes to
// bad, whose error ends the reading.
func (d *Decoder) Decode(b *batch.Batch, limit int, bad func(*fault.Error) error) (err error) {
	defer guard(&err)
	for b.Rows() < limit {
		if d.left == 0 {
			if err := d.open(); err != nil {
				return err
			}
			continue
		}
		n := int(min(int64(limit-b.Rows()), d.left, chunkRows))
		first := b.Rows()
		for i := range d.chunks {
			if err := d.chunks[i].decode(&b.Columns[i], n, &d.bad, first); err != nil {
				return corrupt(fmt.Errorf("column %q: %w", d.chunks[i].column.Name, err))
			}
			for row := first; b.Schema[i].NotNull && row < first+n; row++ {
				if b.Columns[i].Null(row) {
					d.note(row, &fault.Error{Code: fault.NotNull, Column: b.Schema[i].Name, Msg: "NULL in a column that has none"})
				}
			}
		}
		for range n {
			b.EndRow()
		}
		if len(d.bad) > 0 {
			if err := d.drop(b, first, bad); err != nil {
				return err
			}
		}
		d.left -= int64(n)
		d.row += int64(n)
	}
	return nil
}

func (d *Decoder) note(row int, f *fault.Error) {
	if d.bad == nil {
		d.bad = make(map[int]*fault.Error)
	}
	if d.bad[row] == nil {
		d.bad[row] = f
	}
}

// open goes to the next row group.
func (d *Decoder) open() error {
	if d.group == d.f.r.NumRowGroups() {
		if d.row != d.f.r.NumRows() {
			return corrupt(fmt.Errorf("the footer tells %d rows, the row groups hold %d", d.f.r.NumRows(), d.row))
		}
		return io.EOF
	}
	g := d.f.r.RowGroup(d.group)
	d.group++
	if d.left = g.NumRows(); d.left < 0 {
		return corrupt(fmt.Errorf("row group %d has %d rows", d.group, d.left))
	}
	for i := range d.chunks {
		c := &d.chunks[i]
		if c.r != nil {
			_ = c.r.Close() // what it holds is memory
		}
		var err error
		if c.r, err = g.Column(c.index); err != nil {
			return corrupt(fmt.Errorf("column %q: %w", c.column.Name, err))
		}
	}
	return nil
}

// drop takes the bad rows out of the batch and hands them on.
func (d *Decoder) drop(b *batch.Batch, first int, bad func(*fault.Error) error) error {
	kept := batch.New(b.Schema)
	for row := range b.Rows() {
		if f := d.bad[row]; f != nil {
			f.RowNumber = d.row + int64(row-first) + 1
			if err := bad(f); err != nil {
				return err
			}
			continue
		}
		for i := range b.Columns {
			if v := b.Columns[i].Value(row); v == nil {
				kept.Columns[i].AppendNull()
			} else {
				kept.Columns[i].Append(v)
			}
		}
		kept.EndRow()
	}
	*b = *kept
	d.bad = nil
	return nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// decode appends n values to v.
func (c *chunk) decode(v *batch.Vector, n int, bad *map[int]*fault.Error, first int) error {
	row := first
	fail := func(i int, err error) {
		v.AppendNull()
		if *bad == nil {
			*bad = make(map[int]*fault.Error)
		}
		if (*bad)[row+i] == nil {
			(*bad)[row+i] = &fault.Error{Code: fault.Value, Column: c.column.Name, Msg: err.Error()}
		}
	}
	for n > 0 {
		rows, values, err := c.page(n)
		if err != nil {
			return err
		}
		if rows <= 0 || rows > n {
			return errors.New("the column ends before its row group does")
		}
		defs := c.defs[:rows]
		if c.column.NotNull {
			defs = nil
			if values != rows {
				return errors.New("a column without NULL has fewer values than rows")
			}
		}
		c.append(v, defs, rows, fail)
		row += rows
		n -= rows
	}
	return nil
}

// page reads values of at most n rows, which stay valid until the next call.
func (c *chunk) page(n int) (rows, values int, err error) {
	defs := c.defs[:n]
	var total int64
	switch r := c.r.(type) {
	case *file.BooleanColumnChunkReader:
		c.bools = resize(c.bools, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.bools, defs, nil)
	case *file.Int32ColumnChunkReader:
		c.i32 = resize(c.i32, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.i32, defs, nil)
	case *file.Int64ColumnChunkReader:
		c.i64 = resize(c.i64, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.i64, defs, nil)
	case *file.Float32ColumnChunkReader:
		c.f32 = resize(c.f32, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.f32, defs, nil)
	case *file.Float64ColumnChunkReader:
		c.f64 = resize(c.f64, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.f64, defs, nil)
	case *file.ByteArrayColumnChunkReader:
		c.bytes = resize(c.bytes, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.bytes, defs, nil)
	case *file.FixedLenByteArrayColumnChunkReader:
		c.fixed = resize(c.fixed, n)
		total, values, err = r.ReadBatchInPage(int64(n), c.fixed, defs, nil)
	default:
		return 0, 0, fmt.Errorf("no reader for %s", c.column.native)
	}
	return int(total), values, err
}

// each calls add for each value that is not NULL, with its row and its place among the values.
func each(v *batch.Vector, defs []int16, rows int, add func(row, i int)) {
	if defs == nil {
		for i := range rows {
			add(i, i)
		}
		return
	}
	i := 0
	for row, def := range defs {
		if def == 0 {
			v.AppendNull()
			continue
		}
		add(row, i)
		i++
	}
}

func (c *chunk) append(v *batch.Vector, defs []int16, rows int, fail func(int, error)) {
	number := func(row int, n int64) {
		var err error
		if v.Data, err = c.number(v.Data, n); err != nil {
			fail(row, err)
			return
		}
		v.Close()
	}
	switch c.r.(type) {
	case *file.BooleanColumnChunkReader:
		each(v, defs, rows, func(_, i int) {
			v.Data = logical.AppendBool(v.Data, c.bools[i])
			v.Close()
		})
	case *file.Int32ColumnChunkReader:
		if c.column.form == asInt32 {
			each(v, defs, rows, func(_, i int) {
				v.Data = binary.BigEndian.AppendUint32(v.Data, uint32(c.i32[i]))
				v.Close()
			})
			return
		}
		each(v, defs, rows, func(row, i int) { number(row, int64(c.i32[i])) })
	case *file.Int64ColumnChunkReader:
		if c.column.form == asInt64 {
			each(v, defs, rows, func(_, i int) {
				v.Data = binary.BigEndian.AppendUint64(v.Data, uint64(c.i64[i]))
				v.Close()
			})
			return
		}
		each(v, defs, rows, func(row, i int) { number(row, c.i64[i]) })
	case *file.Float32ColumnChunkReader:
		each(v, defs, rows, func(_, i int) {
			v.Data = logical.AppendFloat32(v.Data, c.f32[i])
			v.Close()
		})
	case *file.Float64ColumnChunkReader:
		each(v, defs, rows, func(_, i int) {
			v.Data = logical.AppendFloat64(v.Data, c.f64[i])
			v.Close()
		})
	case *file.ByteArrayColumnChunkReader:
		each(v, defs, rows, func(row, i int) { c.bytesValue(v, row, c.bytes[i], fail) })
	case *file.FixedLenByteArrayColumnChunkReader:
		each(v, defs, rows, func(row, i int) { c.bytesValue(v, row, c.fixed[i], fail) })
	}
}

func (c *chunk) bytesValue(v *batch.Vector, row int, value []byte, fail func(int, error)) {
	data, err := v.Data, error(nil)
	switch c.column.form {
	case asDecimal:
		data, err = c.appendDecimalBytes(data, value)
	case asText, asJSON:
		data, err = logical.ParseText(data, c.column.Type, value)
	default:
		data = append(data, value...)
	}
	if err != nil {
		fail(row, err)
		return
	}
	v.Data = data
	v.Close()
}

// number adds the canonical value of an integer of the column's form.
func (c *chunk) number(dst []byte, n int64) ([]byte, error) {
	micros := func(least int64) ([]byte, error) {
		if n < least || n > dayMicros {
			return dst, fmt.Errorf("%d is no time of a day", n)
		}
		return logical.AppendInt64(dst, n), nil
	}
	switch c.column.form {
	case asInt16:
		if n < math.MinInt16 || n > math.MaxInt16 {
			return dst, fmt.Errorf("%d is out of the range of INT(16)", n)
		}
		return logical.AppendInt16(dst, int16(n)), nil
	case asUint8:
		return logical.AppendInt16(dst, int16(uint8(n))), nil
	case asUint16:
		return logical.AppendInt32(dst, int32(uint16(n))), nil
	case asUint32:
		return logical.AppendInt64(dst, int64(uint32(n))), nil
	case asUint64:
		return logical.ParseText(dst, c.column.Type, strconv.AppendUint(c.text[:0], uint64(n), 10))
	case asDecimal:
		return c.appendDecimal(dst, n)
	case asDate:
		if n -= epochDays; n <= math.MinInt32 {
			return dst, errors.New("the date is out of range")
		}
		return checked(dst, c.column.Type, logical.AppendInt32(dst, int32(n)))
	case asMillis:
		n *= 1000
		return micros(0)
	case asMicros:
		return micros(0)
	case asNanos:
		if n%1000 != 0 {
			return dst, fmt.Errorf("the time %d ns has digits below a microsecond", n)
		}
		n /= 1000
		return micros(0)
	case asTSMillis:
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return dst, errors.New("the timestamp is out of range")
		}
		n *= 1000
	case asTSNanos:
		if n%1000 != 0 {
			return dst, fmt.Errorf("the timestamp %d ns has digits below a microsecond", n)
		}
		n /= 1000
	}
	if n < math.MinInt64+epochMicros+1 {
		return dst, errors.New("the timestamp is out of range")
	}
	return checked(dst, c.column.Type, logical.AppendInt64(dst, n-epochMicros))
}

// checked gives the longer slice when the value in it is one of the type.
func checked(dst []byte, t logical.Type, longer []byte) ([]byte, error) {
	if err := logical.Validate(t, longer[len(dst):]); err != nil {
		return dst, err
	}
	return longer, nil
}
