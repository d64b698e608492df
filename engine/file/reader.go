package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/file/predicate"
	"github.com/dpone/dpone/engine/logical"
)

const (
	defaultBatchRows = 8192
	// batchBytes is the size at which a batch is handed on before it is full.
	batchBytes = 2 << 20
)

// condition keeps rows by the values of its columns.
type condition struct {
	columns batch.Schema // in the types in which they are compared
	filter  *predicate.Filter
	// invert keeps the rows that the filter does not match.
	invert bool
}

// conditions gives what a request asks of rows; nil when it asks nothing. The
// request's own condition is read as a predicate of this family.
func conditions(columns batch.Schema, req connector.Request) (*condition, error) {
	c := &condition{filter: new(predicate.Filter)}
	if req.Where != "" {
		var err error
		if c, err = where(columns, req.Where); err != nil {
			return nil, err
		}
	}
	if r := req.Range; r != nil && (r.From != nil || r.To != nil) {
		c.filter.Range(c.add(r.Column), r.Column.Type.Kind, r.From, r.To, r.ToInclusive)
	}
	if in := req.In; in != nil {
		c.filter.In(c.add(in.Column), in.Column.Type.Kind, in.Values)
	}
	if c.filter.Empty() {
		return nil, nil //nolint:nilnil // no condition is no error
	}
	return c, nil
}

// where reads a condition on the given columns.
func where(columns batch.Schema, text string) (*condition, error) {
	p, err := predicate.Parse(text)
	if err != nil {
		return nil, connector.Fail("predicate.syntax", err, "the condition %.200q is not one that files can evaluate", text)
	}
	c := new(condition)
	for _, n := range p.Columns() {
		if i := columns.Index(n); i >= 0 {
			c.add(columns[i])
		}
	}
	if c.filter, err = p.Bind(c.columns); err != nil {
		return nil, connector.Fail("predicate.type", err, "the condition %.200q does not fit the columns", text)
	}
	return c, nil
}

func (c *condition) add(column batch.Column) int {
	column.NotNull = false
	for i := range c.columns {
		if c.columns[i] == column {
			return i
		}
	}
	c.columns = append(c.columns, column)
	return len(c.columns) - 1
}

// keeps says whether the row of a batch of the condition's columns is kept.
func (c *condition) keeps(b *batch.Batch, row int) bool {
	return c.filter.Match(b, row) != c.invert
}

// reader gives the rows of a set of files.
type reader struct {
	s         *snapshot
	wanted    batch.Schema
	condition *condition
	// all are the wanted columns and those that only the condition needs; tested
	// are the places of the condition's columns in it.
	all        batch.Schema
	tested     []int
	quarantine *quarantine

	next  int
	file  *input
	open  *opened
	begun time.Time
	// direct says that the open file's rows need neither conversion nor condition.
	direct bool
	decode *batch.Batch // rows as the file has them
	whole  *batch.Batch // rows of all columns, in the types that are wanted
	view   batch.Batch  // the condition's columns of whole
	text   []byte

	stats    connector.ReadStats
	fileRows int64 // rows of the open file so far
	reached  bool  // AfterExtract
	step     int   // rows that are decoded at a time
}

func newReader(s *snapshot, wanted batch.Schema, c *condition, q *quarantine) (*reader, error) {
	r := &reader{s: s, wanted: wanted, condition: c, quarantine: q, step: 64, all: append(batch.Schema(nil), wanted...)}
	if c != nil {
		for _, column := range c.columns {
			at := -1
			for i := range r.all {
				if r.all[i].Name == column.Name && r.all[i].Type == column.Type {
					at = i
				}
			}
			if at < 0 {
				at = len(r.all)
				r.all = append(r.all, column)
			}
			r.tested = append(r.tested, at)
		}
		r.view = batch.Batch{Schema: c.columns, Columns: make([]batch.Vector, len(c.columns))}
	}
	for _, w := range r.all {
		if s.layout.columns.Index(w.Name) < 0 {
			return nil, connector.Fail("source.column", nil, "there is no column %q; %s has %q", w.Name, s.layout.first, s.layout.columns.Names())
		}
	}
	r.whole = batch.New(r.all)
	return r, nil
}

// Next fills b with at most the batch's rows and a few MiB.
func (r *reader) Next(ctx context.Context, b *batch.Batch) error {
	err := r.rows(ctx, b)
	if !r.reached && (err == nil || errors.Is(err, io.EOF)) {
		r.reached = true
		if err := r.s.env.Reach(ctx, connector.AfterExtract); err != nil {
			return err
		}
	}
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	b.Reset()
	return coded(err)
}

// coded gives a defect of a file its code.
func coded(err error) error {
	var f *fault.Error
	var c *connector.Error
	if errors.As(err, &c) || !errors.As(err, &f) {
		return err
	}
	return connector.Fail(string(f.Code), f, "the source cannot be read")
}

func (r *reader) rows(ctx context.Context, b *batch.Batch) error {
	b.Reset()
	rows := r.s.batchRows
	if rows <= 0 {
		rows = defaultBatchRows
	}
	for b.Rows() < rows && b.Size() < batchBytes {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if r.open == nil {
			more, err := r.openNext()
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
		err := r.fill(b, min(b.Rows()+r.step, rows))
		if errors.Is(err, io.EOF) {
			err = r.closeFile()
		}
		if err != nil {
			return err
		}
	}
	if b.Rows() > 0 {
		r.stats.Rows += int64(b.Rows())
		return nil
	}
	if err := r.quarantine.publish(); err != nil {
		return err
	}
	return io.EOF
}

func (r *reader) openNext() (bool, error) {
	if r.next == len(r.s.set.files) {
		return false, nil
	}
	r.file = &r.s.set.files[r.next]
	r.next++
	var err error
	if r.open, err = openInput(r.s.set.root, r.file, r.s.layout, r.all); err != nil {
		return false, err
	}
	r.begun = time.Now()
	r.fileRows = 0
	r.direct = r.condition == nil && len(r.open.at) == len(r.all)
	for i, at := range r.open.at {
		from, to := r.open.columns[i].Type, r.all[at].Type
		if from == to {
			continue
		}
		r.direct = false
		if err := convertible(from, to); err != nil {
			return false, connector.Fail("source.convert", err, "%s, column %q", r.file.name, r.all[at].Name)
		}
	}
	r.decode = batch.New(r.open.columns)
	return true, nil
}

// closeFile checks the file that ended and counts it.
func (r *reader) closeFile() error {
	o := r.open
	sum, err := o.finish()
	if err != nil {
		return located(r.file, err)
	}
	o.close()
	r.open = nil
	size := o.raw.n
	if r.file.info != nil {
		size = r.file.info.Size()
	}
	r.stats.Bytes += size
	if sum != "" {
		r.s.sums[r.file.rel] = sum
	}
	r.stats.Chunks = append(r.stats.Chunks, connector.Chunk{
		Range: r.file.rel, Rows: r.fileRows, Bytes: size, SHA256: sum, Seconds: time.Since(r.begun).Seconds(),
	})
	return nil
}

// fill appends rows to b until it holds limit of them.
func (r *reader) fill(b *batch.Batch, limit int) error {
	have := b.Rows()
	defer func() { r.fileRows += int64(b.Rows() - have) }()
	if r.direct {
		err := r.open.Decode(b, limit, r.bad)
		r.pace(b)
		return r.place(err)
	}
	r.decode.Reset()
	err := r.place(r.open.Decode(r.decode, limit-have, r.bad))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	r.pace(r.decode)
	if err := r.convert(); err != nil {
		return err
	}
	for i, at := range r.tested {
		r.view.Columns[i] = r.whole.Columns[at]
	}
	for row := range r.whole.Rows() {
		if r.condition != nil && !r.condition.keeps(&r.view, row) {
			continue
		}
		for i := range b.Columns {
			if v := r.whole.Columns[i].Value(row); v == nil {
				b.Columns[i].AppendNull()
			} else {
				b.Columns[i].Append(v)
			}
		}
		b.EndRow()
	}
	return err
}

// pace sets how many rows are decoded at a time, so that wide rows do not fill the memory.
func (r *reader) pace(b *batch.Batch) {
	if n := b.Rows(); n > 0 {
		r.step = max(1, min(4096, batchBytes/(b.Size()/n+1)))
	}
}

func (r *reader) place(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return located(r.file, err)
}

// convert moves the decoded rows into whole, in the types that are wanted. A column
// that the file lacks is NULL.
func (r *reader) convert() error {
	r.whole.Reset()
	rows := r.decode.Rows()
	filled := make([]bool, len(r.all))
	for i, at := range r.open.at {
		filled[at] = true
		from, to := r.open.columns[i].Type, r.all[at].Type
		src, dst := &r.decode.Columns[i], &r.whole.Columns[at]
		if from == to {
			*src, *dst = *dst, *src
			continue
		}
		for row := range rows {
			v := src.Value(row)
			if v == nil {
				dst.AppendNull()
				continue
			}
			data, err := convert(dst.Data, from, to, v, &r.text)
			if err != nil {
				return &fault.Error{Code: fault.Value, File: r.file.name, Column: r.all[at].Name, Msg: fmt.Sprintf("%s is not %s", shortValue(from, v), to), Err: err}
			}
			dst.Data = data
			dst.Close()
		}
	}
	for at := range r.all {
		for range rows {
			if filled[at] {
				break
			}
			r.whole.Columns[at].AppendNull()
		}
	}
	for range rows {
		r.whole.EndRow()
	}
	return nil
}

func shortValue(t logical.Type, v []byte) string {
	if text, err := logical.AppendText(nil, t, v); err == nil {
		v = text
	}
	return fault.Short(v)
}

// bad takes a row that cannot be read.
func (r *reader) bad(f *fault.Error) error {
	f.File = r.file.name
	if r.quarantine == nil {
		return f
	}
	r.stats.Quarantined++
	return r.quarantine.add(f)
}

func (r *reader) Stats() connector.ReadStats { return r.stats }

func (r *reader) Close() error {
	if r.open != nil {
		r.open.close()
		r.open = nil
	}
	return nil
}
