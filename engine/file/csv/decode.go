package csv

import (
	"errors"
	"fmt"
	"io"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/logical"
)

// Decoder reads rows into batches.
type Decoder struct {
	r     *Reader
	null  string
	width int
	index []int
}

// NewDecoder reads rows of width fields with r, whose header was read. index[i]
// is the field of the batch's column i.
func NewDecoder(r *Reader, d Dialect, width int, index []int) *Decoder {
	return &Decoder{r: r, null: d.Null, width: width, index: index}
}

// Decode appends rows to b until it holds limit of them, and gives io.EOF when
// there are no more. Every row that cannot be read goes to bad, whose error ends the reading.
func (d *Decoder) Decode(b *batch.Batch, limit int, bad func(*fault.Error) error) error {
	for b.Rows() < limit {
		err := d.r.Next()
		if err == nil {
			err = d.row(b)
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

func (d *Decoder) row(b *batch.Batch) error {
	r := d.r
	if r.Len() != d.width {
		return d.fault(fault.Fields, "", nil, "the row has %d fields, the file has %d columns", r.Len(), d.width)
	}
	for c, i := range d.index {
		v, inQuotes := r.Field(i)
		column, vector := &b.Schema[c], &b.Columns[c]
		if !inQuotes && string(v) == d.null {
			if column.NotNull {
				return d.fault(fault.NotNull, column.Name, nil, "NULL in a column that has none")
			}
			vector.AppendNull()
			continue
		}
		data, err := logical.ParseText(vector.Data, column.Type, v)
		if err != nil {
			return d.fault(fault.Value, column.Name, err, "%s is not %s", fault.Short(v), column.Type)
		}
		vector.Data = data
		vector.Close()
	}
	return nil
}

func (d *Decoder) fault(code fault.Code, column string, err error, format string, args ...any) error {
	return &fault.Error{
		Code: code, Line: d.r.Line(), Offset: d.r.Offset(), Column: column,
		Msg: fmt.Sprintf(format, args...), Raw: d.r.Raw(), Err: err,
	}
}

// Header reads the first row as the names of the columns. Each must be UTF-8, not
// empty and not given twice.
func Header(r *Reader) ([]string, error) {
	err := r.Next()
	if errors.Is(err, io.EOF) {
		return nil, &fault.Error{Code: fault.Header, Line: 1, Msg: "the file is empty and has no header; set csv.header to false when it has none"}
	}
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) && f.Row() {
			f.Code = fault.Header
		}
		return nil, err
	}
	names := make([]string, r.Len())
	seen := make(map[string]bool, r.Len())
	for i := range names {
		v, _ := r.Field(i)
		if _, err := logical.ParseText(nil, logical.Type{Kind: logical.Text}, v); err != nil || len(v) == 0 || seen[string(v)] {
			why := "is empty"
			switch {
			case err != nil:
				why = err.Error()
			case seen[string(v)]:
				why = "was given before"
			}
			return nil, &fault.Error{
				Code: fault.Header, Line: r.Line(), Offset: r.Offset(),
				Msg: fmt.Sprintf("the name of column %d, %s, %s", i+1, fault.Short(v), why),
			}
		}
		names[i] = string(v)
		seen[names[i]] = true
	}
	return names, nil
}
