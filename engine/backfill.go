package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// chunkLimit bounds a backfill; more chunks mean that chunk_size is wrong.
const chunkLimit = 1_000_000

// grid cuts the values of one column, as whole numbers, into chunks.
type grid struct {
	column          batch.Column
	from, to, width int64 // [from, to) in steps of width
}

// number gives a value as a whole number: integers as they are, dates in days, times in microseconds.
func number(t logical.Type, v []byte) (int64, error) {
	switch t.Kind {
	case logical.Int16, logical.Int32, logical.Int64:
		return logical.ReadInt64(t, v)
	case logical.Date, logical.Timestamp, logical.TimestampTZ:
		if logical.Infinite(t, v) != 0 {
			return 0, &connector.Error{
				Code: "backfill.infinite", Msg: "the column has an infinite value, which no chunk ends with",
				Fix: "give sink.strategy.backfill.from and .to",
			}
		}
		whole := logical.Type{Kind: logical.Int64}
		if t.Kind == logical.Date {
			whole.Kind = logical.Int32
		}
		return logical.ReadInt64(whole, v)
	}
	return 0, &connector.Error{
		Code: "backfill.type", Msg: fmt.Sprintf("sink.strategy.backfill.column is %s; only integers, dates and timestamps can be cut", t),
	}
}

// value turns a whole number back.
func value(t logical.Type, n int64) []byte {
	switch t.Kind {
	case logical.Int16:
		return logical.AppendInt16(nil, int16(n)) //nolint:gosec // within the bounds that were read
	case logical.Int32, logical.Date:
		return logical.AppendInt32(nil, int32(n)) //nolint:gosec // within the bounds that were read
	}
	return logical.AppendInt64(nil, n)
}

// step is the width of a chunk as a whole number of the column's units.
func step(t logical.Type, text string) (int64, error) {
	w, err := manifest.ParseWidth(text)
	if err != nil {
		return 0, fmt.Errorf("sink.strategy.backfill.chunk_size: %w", err)
	}
	wrong := func(fix string) error {
		return &connector.Error{Code: "backfill.chunk_size", Msg: fmt.Sprintf("sink.strategy.backfill.chunk_size %q does not fit a column of type %s", text, t), Fix: fix}
	}
	switch t.Kind {
	case logical.Date:
		const day = 24 * time.Hour
		if w.Unit == 0 || w.Duration()%day != 0 {
			return 0, wrong("write whole days, such as 7d")
		}
		return int64(w.Duration() / day), nil
	case logical.Timestamp, logical.TimestampTZ:
		if w.Unit == 0 {
			return 0, wrong("write a time, such as 1d or 6h")
		}
		return w.Duration().Microseconds(), nil
	}
	if w.Unit != 0 {
		return 0, wrong("write a number, such as 10000")
	}
	return w.Count, nil
}

// cut lays out the chunks. They depend on the manifest alone, or on a grid that
// begins at zero, so that a run that goes on later cuts at the same places.
func (r *run) cut(ctx context.Context, snap connector.Snapshot) (*grid, error) {
	o := r.m.Sink.Strategy.Backfill
	g := &grid{column: r.columns[r.columns.Index(o.Column)]}
	var err error
	if g.width, err = step(g.column.Type, o.ChunkSize); err != nil {
		return nil, err
	}
	var least, greatest []byte
	if o.From == "" || o.To == "" {
		if least, greatest, err = snap.Bounds(ctx, g.column); err != nil {
			return nil, err
		}
		if least == nil {
			return nil, nil // no row has a value
		}
	}
	end := func(field, text string, found []byte) (int64, error) {
		if text == "" {
			return number(g.column.Type, found)
		}
		v, err := logical.ParseText([]byte{}, g.column.Type, []byte(text))
		if err != nil {
			return 0, &connector.Error{Code: "backfill.bound", Msg: fmt.Sprintf("sink.strategy.backfill.%s: %q is no %s", field, text, g.column.Type), Err: err}
		}
		return number(g.column.Type, v)
	}
	if g.from, err = end("from", o.From, least); err != nil {
		return nil, err
	}
	if g.to, err = end("to", o.To, greatest); err != nil {
		return nil, err
	}
	if o.From == "" {
		g.from = floor(g.from, g.width)
	}
	if o.To == "" {
		// The last chunk is a whole one, so that it keeps its name when rows are added.
		origin := g.from
		g.to = origin + (floor(g.to-origin, g.width) + g.width)
	}
	if n := (g.to - g.from) / g.width; n > chunkLimit {
		return nil, &connector.Error{
			Code: "backfill.too_many", Msg: fmt.Sprintf("the range has %d chunks, at most %d may be", n, chunkLimit),
			Fix: "raise sink.strategy.backfill.chunk_size",
		}
	}
	return g, nil
}

func floor(n, width int64) int64 {
	m := n % width
	if m < 0 {
		m += width
	}
	return n - m
}

// backfill loads the chunks one after the other, each in a transaction of its own.
func (r *run) backfill(ctx context.Context) error {
	snap, err := r.source.Snapshot(ctx)
	if err != nil {
		return err
	}
	g, err := r.cut(ctx, snap)
	r.release(ctx, snap)
	if err != nil {
		return err
	}
	if g != nil {
		for from := g.from; from < g.to; from += g.width {
			to := min(from+g.width, g.to)
			bounds := &connector.Range{Column: g.column, From: value(g.column.Type, from)}
			if to <= top(g.column.Type) {
				bounds.To = value(g.column.Type, to)
			}
			if err := r.chunk(ctx, r.chunkName(g.column, from, to), bounds, nil); err != nil {
				return err
			}
			if to < from { // the range ends at the greatest number there is
				break
			}
		}
	}
	o := r.m.Sink.Strategy.Backfill
	column := r.columns[r.columns.Index(o.Column)]
	if o.From == "" && o.To == "" && !column.NotNull {
		return r.chunk(ctx, "backfill:"+r.m.RunKey()+":null", nil, &connector.In{Column: column, Values: [][]byte{nil}})
	}
	return nil
}

// top is the greatest number that the column's type holds.
func top(t logical.Type) int64 {
	switch t.Kind {
	case logical.Int16:
		return 1<<15 - 1
	case logical.Int32, logical.Date:
		return 1<<31 - 1
	}
	return 1<<63 - 1
}

func (r *run) chunkName(c batch.Column, from, to int64) string {
	text := func(n int64) string {
		if n > top(c.Type) {
			return "end"
		}
		b, err := logical.AppendText(nil, c.Type, value(c.Type, n))
		if err != nil {
			return fmt.Sprint(n)
		}
		return string(b)
	}
	return "backfill:" + r.m.RunKey() + ":" + text(from) + ".." + text(to)
}

// chunk loads one chunk, unless it has a receipt.
func (r *run) chunk(ctx context.Context, name string, bounds *connector.Range, null *connector.In) error {
	tx, l, err := r.begin(ctx)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			r.rollback(ctx, tx)
		}
	}()
	snap, err := r.source.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer r.release(ctx, snap)
	work := load{
		window:  connector.Window{Kind: "chunk", ID: name},
		request: connector.Request{Columns: r.columns, Range: bounds, In: null},
		apply:   connector.Apply{Mode: manifest.Backfill, Columns: r.columns, Key: r.key, Range: bounds},
		kind:    connector.StageRows,
	}
	if r.m.Sink.Strategy.Backfill.InnerMode != manifest.IncrementalMerge {
		work.apply.Key = nil
		if null != nil {
			work.apply.Mode, work.apply.Scope = manifest.PartitionReplace, null
		}
	}
	if err := r.commitLoad(ctx, tx, l, snap, work, &committed); err != nil {
		return fmt.Errorf("chunk %s: %w", name, err)
	}
	if committed && r.target == nil {
		if r.target, err = r.sink.Describe(ctx); err != nil {
			return err
		}
	}
	if committed {
		r.changes = nil
	}
	return nil
}
