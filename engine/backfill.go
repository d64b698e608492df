package engine

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// chunkLimit bounds a backfill; more chunks mean that chunk_size is wrong.
const chunkLimit = 1_000_000

// grid cuts the values of one column, as whole numbers, into chunks. Both ends are
// inclusive, so that the greatest number there is has a chunk, too.
type grid struct {
	column      batch.Column
	first, last int64
	width       int64
	// zero is true when the cuts are multiples of the width, whatever first is.
	zero bool
}

// next gives where the chunk that begins at from ends, exclusive; ok is false when
// that is beyond the greatest value of the type.
func (g *grid) next(from int64) (to int64, ok bool) {
	width := g.width
	if g.zero {
		width -= above(from, g.width)
	}
	_, greatest := ends(g.column.Type)
	if from > greatest-width {
		return 0, false
	}
	return from + width, true
}

// chunks is about how many there are.
func (g *grid) chunks() uint64 { return (uint64(g.last)-uint64(g.first))/uint64(g.width) + 1 } //nolint:gosec // the difference fits when it has no sign

// ends gives the least and the greatest finite value of a type as whole numbers
// (dates and times: src/include/datatype/timestamp.h of PostgreSQL).
func ends(t logical.Type) (least, greatest int64) {
	switch t.Kind {
	case logical.Int16:
		return math.MinInt16, math.MaxInt16
	case logical.Int32:
		return math.MinInt32, math.MaxInt32
	case logical.Date:
		return -2451545, 2145031948
	case logical.Timestamp, logical.TimestampTZ:
		return -211813488000000000, 9223371331199999999
	}
	return math.MinInt64, math.MaxInt64
}

// room is how far b is above a, which is not greater.
func room(a, b int64) int64 {
	return int64(min(uint64(b)-uint64(a), math.MaxInt64)) //nolint:gosec // the difference fits when it has no sign
}

// above is how far n is above the last multiple of width.
func above(n, width int64) int64 {
	if m := n % width; m < 0 {
		return m + width
	}
	return n % width
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
	if g.first, err = end("from", o.From, least); err != nil {
		return nil, err
	}
	if g.last, err = end("to", o.To, greatest); err != nil {
		return nil, err
	}
	lowest, highest := ends(g.column.Type)
	if g.zero = o.From == ""; g.zero {
		g.first -= min(above(g.first, g.width), room(lowest, g.first))
	}
	if o.To != "" {
		if g.last == lowest {
			return nil, nil
		}
		g.last--
	}
	if g.last < g.first {
		return nil, nil
	}
	if o.To == "" {
		// The last chunk is a whole one, so that it keeps its name when rows are added.
		into := uint64(g.last) - uint64(g.first) //nolint:gosec // the difference fits when it has no sign
		if g.zero {
			into = uint64(above(g.last, g.width)) //nolint:gosec // not negative
		}
		rest := g.width - 1 - int64(into%uint64(g.width)) //nolint:gosec // below width
		g.last += min(rest, room(g.last, highest))
	}
	if n := g.chunks(); n > chunkLimit {
		return nil, &connector.Error{
			Code: "backfill.too_many", Msg: fmt.Sprintf("the range has %d chunks, at most %d may be", n, chunkLimit),
			Fix: "raise sink.strategy.backfill.chunk_size",
		}
	}
	return g, nil
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
		if err := r.grid(ctx, g); err != nil {
			return err
		}
	}
	o := r.m.Sink.Strategy.Backfill
	column := r.columns[r.columns.Index(o.Column)]
	if o.From == "" && o.To == "" && !column.NotNull {
		return r.chunk(ctx, r.chunkName("null", ""), nil, &connector.In{Column: column, Values: [][]byte{nil}})
	}
	return nil
}

func (r *run) grid(ctx context.Context, g *grid) error {
	t := g.column.Type
	for from := g.first; ; {
		bounds := &connector.Range{Column: g.column, From: value(t, from)}
		name := "end"
		to, ok := g.next(from)
		if _, greatest := ends(t); g.last < greatest && (!ok || to > g.last) {
			to, ok = g.last+1, true // the manifest's range ends inside of a chunk
		}
		if ok {
			bounds.To, name = value(t, to), text(t, to)
		}
		if err := r.chunk(ctx, r.chunkName(text(t, from), name), bounds, nil); err != nil {
			return err
		}
		if !ok || to > g.last {
			return nil
		}
		from = to
	}
}

func text(t logical.Type, n int64) string {
	b, err := logical.AppendText(nil, t, value(t, n))
	if err != nil {
		return fmt.Sprint(n)
	}
	return string(b)
}

func (r *run) chunkName(from, to string) string {
	name := "backfill:" + r.m.RunKey() + ":" + from
	if to != "" {
		name += ".." + to
	}
	return name
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
