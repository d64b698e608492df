package jsonl

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/logical"
)

// Wrapped is the key of the object that stands for a JSON value which a line
// cannot hold as it was written: {"__dpone__json": "text"}. Only data sets that
// this package wrote are read so.
const Wrapped = "__dpone__json"

// Decoder reads rows into batches.
type Decoder struct {
	lines   *Lines
	scan    Scanner
	columns batch.Schema
	known   map[string]int
	target  []int // column of the batch for each known column, -1 for none
	seen    []int64
	row     int64
	guess   int
	wrapped bool
	batch   *batch.Batch // that the current object goes to
	each    func(key []byte, v Value, raw []byte) error
	inner   Scanner
}

// NewDecoder reads lines whose objects have the columns as keys. index[i] is the
// column of the batch's column i. A key that is missing is NULL; a key that is not
// a column is drift. wrapped says that the lines come from [Writer].
func NewDecoder(lines *Lines, columns batch.Schema, index []int, wrapped bool) *Decoder {
	d := &Decoder{lines: lines, columns: columns, known: make(map[string]int, len(columns)), target: make([]int, len(columns)), seen: make([]int64, len(columns)), wrapped: wrapped}
	d.each = d.member // once, not for every row
	for i := range columns {
		d.known[columns[i].Name] = i
		d.target[i] = -1
	}
	for i, column := range index {
		d.target[column] = i
	}
	return d
}

// Decode appends rows to b until it holds limit of them, and gives io.EOF when
// there are no more. Every row that cannot be read goes to bad, whose error ends the reading.
func (d *Decoder) Decode(b *batch.Batch, limit int, bad func(*fault.Error) error) error {
	for b.Rows() < limit {
		line, err := d.lines.Next()
		if err == nil {
			err = d.object(b, line)
		}
		if err == nil {
			b.EndRow()
			continue
		}
		b.CancelRow()
		var f *fault.Error
		if !errors.As(err, &f) || !f.Row() {
			return err
		}
		if err := bad(f); err != nil {
			return err
		}
	}
	return nil
}

// member takes one member of the current object.
func (d *Decoder) member(key []byte, v Value, raw []byte) error {
	i := d.guess
	if i >= len(d.columns) || d.columns[i].Name != string(key) {
		var ok bool
		if i, ok = d.known[string(key)]; !ok {
			return d.fault(fault.Drift, "", "the key %s is not a column of the file set; declare its type in options.types", fault.Short(key))
		}
	}
	d.guess = i + 1
	if d.seen[i] == d.row {
		return d.fault(fault.Duplicate, d.columns[i].Name, "the key is given twice")
	}
	d.seen[i] = d.row
	if c := d.target[i]; c >= 0 {
		return d.value(&d.batch.Schema[c], &d.batch.Columns[c], v, raw)
	}
	return nil
}

func (d *Decoder) object(b *batch.Batch, line []byte) error {
	d.row++
	d.guess = 0
	d.batch = b
	err := d.scan.Object(line, d.each)
	if err != nil {
		var f *fault.Error
		if !errors.As(err, &f) {
			return d.fault(fault.JSON, "", "%v", err)
		}
		return err
	}
	for i, c := range d.target {
		if c < 0 || d.seen[i] == d.row {
			continue
		}
		if b.Schema[c].NotNull {
			return d.fault(fault.NotNull, d.columns[i].Name, "the key is missing, and the column has no NULL")
		}
		b.Columns[c].AppendNull()
	}
	return nil
}

func (d *Decoder) value(column *batch.Column, vector *batch.Vector, v Value, raw []byte) error {
	if v.Kind == Null {
		if column.NotNull {
			return d.fault(fault.NotNull, column.Name, "NULL in a column that has none")
		}
		vector.AppendNull()
		return nil
	}
	text := v.Text
	ok := false
	switch column.Type.Kind {
	case logical.JSON, logical.JSONB:
		ok, text = true, raw
		if d.wrapped && bytes.HasPrefix(raw, []byte(`{"`+Wrapped+`":`)) {
			text = d.unwrap(raw)
		}
	case logical.Bool:
		ok = v.Kind == True || v.Kind == False
	case logical.Int16, logical.Int32, logical.Int64, logical.Float32, logical.Float64, logical.Numeric:
		ok = v.Kind == Number || v.Kind == String
	default:
		ok = v.Kind == String
	}
	if !ok {
		return d.fault(fault.Value, column.Name, "%s, %s, where the column is %s; declare another type in options.types if that is not right", v.Kind, fault.Short(v.Text), column.Type)
	}
	data, err := logical.ParseText(vector.Data, column.Type, text)
	if err != nil {
		f := d.fault(fault.Value, column.Name, "%s is not %s", fault.Short(text), column.Type)
		f.Err = err
		return f
	}
	vector.Data = data
	vector.Close()
	return nil
}

// unwrap gives the text of a wrapped value, and raw itself when it is not one.
func (d *Decoder) unwrap(raw []byte) []byte {
	text, members := raw, 0
	err := d.inner.Object(raw, func(key []byte, v Value, _ []byte) error {
		if members++; members == 1 && string(key) == Wrapped && v.Kind == String {
			text = v.Text
		}
		return nil
	})
	if err != nil || members != 1 {
		return raw
	}
	return text
}

func (d *Decoder) fault(code fault.Code, column, format string, args ...any) *fault.Error {
	return &fault.Error{
		Code: code, Line: d.lines.Line(), Offset: d.lines.Offset(), Column: column,
		Msg: fmt.Sprintf(format, args...), Raw: d.lines.Raw(),
	}
}

// Discover finds the columns of at most limit rows and a type for each that
// declared does not name: text for strings, int64 for whole numbers that fit,
// numeric for other numbers, bool, and json for objects and arrays. A key that was
// only ever null is text. The first kind that a key shows decides, but numbers of both
// kinds are numeric. Rows that cannot be read are left to the reading.
// Declared columns come first, the others in the order in which they are met.
func Discover(lines *Lines, declared batch.Schema, limit int) (batch.Schema, error) {
	columns := append(batch.Schema(nil), declared...)
	known := make(map[string]int, len(declared))
	for i := range columns {
		known[columns[i].Name] = i
	}
	var s Scanner
	var found batch.Schema
	for range limit {
		line, err := lines.Next()
		if err != nil {
			return finish(columns), err
		}
		found = found[:0]
		if s.Object(line, func(key []byte, v Value, _ []byte) error {
			found = append(found, batch.Column{Name: string(key), Type: natural(v)})
			return nil
		}) != nil {
			continue
		}
		for _, c := range found {
			i, ok := known[c.Name]
			if !ok {
				known[c.Name] = len(columns)
				columns = append(columns, c)
				continue
			}
			if i < len(declared) {
				continue
			}
			have := &columns[i].Type
			if have.Kind == logical.Invalid || have.Kind == logical.Int64 && c.Type.Kind == logical.Numeric {
				*have = c.Type
			}
		}
	}
	return finish(columns), nil
}

func finish(columns batch.Schema) batch.Schema {
	for i := range columns {
		if columns[i].Type.Kind == logical.Invalid {
			columns[i].Type.Kind = logical.Text
		}
	}
	return columns
}

func natural(v Value) logical.Type {
	k := logical.Invalid
	switch v.Kind {
	case String:
		k = logical.Text
	case True, False:
		k = logical.Bool
	case Object, Array:
		k = logical.JSON
	case Number:
		k = logical.Numeric
		if _, err := strconv.ParseInt(string(v.Text), 10, 64); err == nil {
			k = logical.Int64
		}
	}
	return logical.Type{Kind: k}
}
