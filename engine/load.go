package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// load is one window on its way into one transaction.
type load struct {
	window  connector.Window
	request connector.Request
	apply   connector.Apply
	kind    connector.StageKind
	state   connector.State // what the run started from; its Position is what it leaves
	keys    bool            // reconcile the keys afterwards
	snap    connector.Snapshot
}

// begin opens the target's transaction for the load's columns.
func (r *run) begin(ctx context.Context) (connector.Tx, connector.Load, error) {
	l := connector.Load{
		Pipeline: r.pipeline, Strategy: r.m.Sink.Strategy, Columns: r.columns,
		Create: r.target == nil, Now: stamp(r.opts.Now()),
	}
	tx, err := r.sink.Begin(ctx, l)
	return tx, l, err
}

// rollback undoes what was not committed, also when the run was interrupted.
func (r *run) rollback(ctx context.Context, tx connector.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := tx.Rollback(ctx); err != nil {
		r.env.Warn("roll back: " + err.Error())
	}
}

// one runs the strategies that load one window.
func (r *run) one(ctx context.Context) (err error) {
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
	r.enter("snapshot")
	snap, err := r.source.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer r.release(ctx, snap)
	maps.Copy(r.report.Source.Facts, snap.Facts())
	work, err := r.window(ctx, tx, snap)
	if err != nil {
		return err
	}
	return r.commitLoad(ctx, tx, l, snap, work, &committed)
}

func (r *run) release(ctx context.Context, snap connector.Snapshot) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := snap.Close(ctx); err != nil {
		r.env.Warn("close the snapshot: " + err.Error())
	}
}

// commitLoad carries one load from its window to its commit.
func (r *run) commitLoad(ctx context.Context, tx connector.Tx, l connector.Load, snap connector.Snapshot, work load, committed *bool) error {
	r.report.Window = Window{Kind: work.window.Kind, ID: work.window.ID, Reason: work.window.Reason, Facts: work.window.Facts}
	done, err := r.already(ctx, tx, work.window.ID)
	if err != nil || done {
		return err
	}
	if err := tx.Alter(ctx, r.changes); err != nil {
		return err
	}
	r.enter("load")
	builder, err := digest.NewBuilder(r.digestSpec())
	if err != nil {
		return err
	}
	read, err := r.move(ctx, tx, snap, work.request, work.kind, builder)
	if err != nil {
		return err
	}
	work.snap = snap
	r.report.Result.ExtractedRows += read.Rows
	r.keepChunks(read.Chunks)
	r.enter("apply")
	counters, err := tx.Apply(ctx, work.apply)
	if err != nil {
		return err
	}
	counters.Quarantined += read.Quarantined
	if work.kind == connector.StageDirect {
		r.report.Result.FinalRows = &counters.Inserted // the target was emptied for them
	}
	if work.keys {
		more, err := r.reconcile(ctx, tx, snap)
		if err != nil {
			return err
		}
		counters.Add(more)
	}
	return r.settle(ctx, tx, l, work, builder, read, counters, committed)
}

// settle evaluates the gates and commits.
func (r *run) settle(ctx context.Context, tx connector.Tx, l connector.Load, work load, builder *digest.Builder, read connector.ReadStats, counters connector.Counters, committed *bool) error {
	d := builder.Digest()
	r.report.Digest = DigestResult{Level: string(d.Level), Rows: d.Rows, Value: d.String(), Spec: d.Spec}
	r.enter("gates")
	if err := r.gates(ctx, tx, read, builder, work); err != nil {
		return err
	}
	r.enter("commit")
	receipt := connector.Receipt{
		ID: newID(), Pipeline: r.pipeline, Window: work.window.ID, PlanHash: r.report.PlanHash, Digest: d.String(),
		Rows: read.Rows, Counters: counters, At: l.Now,
	}
	return r.commit(ctx, tx, work.state, receipt, committed)
}

// commit ends the transaction; it is the one place where a load becomes true.
func (r *run) commit(ctx context.Context, tx connector.Tx, state connector.State, receipt connector.Receipt, committed *bool) error {
	before := r.report.State.Before
	if err := r.env.Reach(ctx, connector.BeforeCommit); err != nil {
		return err
	}
	done, err := tx.Commit(ctx, state, receipt)
	if err != nil {
		if !isUnknown(err) {
			return err
		}
		if err = r.lookForReceipt(ctx, receipt, err); err != nil {
			return err
		}
	}
	*committed = true
	maps.Copy(r.report.Target.Facts, done.Facts)
	r.report.Result.CommitOutcome, r.report.Result.ReceiptID = "committed", receipt.ID
	if len(r.report.Receipts) < reportLimit {
		r.report.Receipts = append(r.report.Receipts, receipt.ID)
	}
	r.report.Counters.Add(receipt.Counters)
	if state.Position != nil {
		r.report.State = StateChange{Revision: state.Revision + 1, Before: before, After: state.Position}
	}
	r.noteChanges()
	if err := r.env.Reach(ctx, connector.AfterCommit); err != nil {
		return err
	}
	return r.env.Reach(ctx, connector.AfterAcknowledge)
}

func isUnknown(err error) bool {
	var coded *connector.Error
	return errors.As(err, &coded) && coded.Code == connector.CodeCommitUnknown
}

// lookForReceipt finds out in a new session whether a commit whose answer was lost took place.
func (r *run) lookForReceipt(ctx context.Context, receipt connector.Receipt, lost error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	found, err := r.sink.Receipt(ctx, receipt.Pipeline, receipt.Window)
	switch {
	case err != nil:
		r.report.Result.CommitOutcome = "unknown"
		return errors.Join(lost, err)
	case found == nil || found.ID != receipt.ID:
		r.report.Result.CommitOutcome = "unknown"
		return lost
	}
	return nil
}

// already ends a run whose window has a receipt.
func (r *run) already(ctx context.Context, tx connector.Tx, window string) (bool, error) {
	receipt, err := tx.Receipt(ctx, window)
	if err != nil || receipt == nil {
		return false, err
	}
	if receipt.PlanHash != r.report.PlanHash {
		return false, &connector.Error{
			Code: "receipt.other_plan", Msg: fmt.Sprintf("window %q was loaded by another version of this manifest", window),
			Fix: "give the window another name, or undo the change of the manifest",
		}
	}
	r.report.Skipped++
	r.report.Result.CommitOutcome, r.report.Result.ReceiptID = "already_committed", receipt.ID
	return true, nil
}

func (r *run) keepChunks(chunks []connector.Chunk) {
	room := reportLimit - len(r.report.Chunks)
	r.report.Chunks = append(r.report.Chunks, chunks[:min(room, len(chunks))]...)
}

// move brings rows from a snapshot to the sink's side.
func (r *run) move(ctx context.Context, tx connector.Tx, snap connector.Snapshot, request connector.Request, kind connector.StageKind, builder *digest.Builder) (stats connector.ReadStats, err error) {
	stage, err := tx.Stage(ctx, request.Columns, kind)
	if err != nil {
		return stats, err
	}
	reader, err := snap.Read(ctx, request)
	if err != nil {
		return stats, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	if relay, ok := stage.(connector.Relayer); ok && r.m.Source.Type == r.m.Sink.Type {
		handled, err := relay.Relay(ctx, reader, builder)
		if err != nil {
			return stats, err
		}
		if handled {
			return r.closeStage(ctx, stage, reader)
		}
	}
	if err := r.batches(ctx, stage, reader, request.Columns, builder); err != nil {
		return stats, err
	}
	return r.closeStage(ctx, stage, reader)
}

// batches moves rows in batches: while one is written, the next is digested, and the one after that is read.
func (r *run) batches(ctx context.Context, stage connector.Stage, reader connector.Reader, columns batch.Schema, builder *digest.Builder) error {
	rows := int64(0)
	read := func(b *batch.Batch) error { return reader.Next(ctx, b) }
	write := func(b *batch.Batch) error {
		if err := stage.Write(ctx, b); err != nil {
			return err
		}
		rows += int64(b.Rows())
		r.progress(rows)
		return nil
	}
	if builder == nil {
		return batch.Pipe(columns, read, write)
	}
	return batch.Pipe(columns, read, builder.AddBatch, write)
}

// closeStage ends the writing and holds both counts against each other.
func (r *run) closeStage(ctx context.Context, stage connector.Stage, reader connector.Reader) (connector.ReadStats, error) {
	wrote, err := stage.Close(ctx)
	read := reader.Stats()
	if err != nil {
		return read, err
	}
	if wrote.Rows != read.Rows {
		return read, &connector.Error{
			Code: "load.rows", Msg: fmt.Sprintf("%d rows were read and the sink took %d", read.Rows, wrote.Rows),
			Fix: "look for triggers or rules on the target that drop rows",
		}
	}
	return read, nil
}

// reconcile stages all keys of the run's snapshot and deletes what they do not have.
func (r *run) reconcile(ctx context.Context, tx connector.Tx, snap connector.Snapshot) (connector.Counters, error) {
	r.enter("reconcile")
	keys, ok := r.columns.Pick(r.key)
	if !ok {
		return connector.Counters{}, errors.New("the key is not among the columns")
	}
	if _, err := r.move(ctx, tx, snap, connector.Request{Columns: keys}, connector.StageKeys, nil); err != nil {
		return connector.Counters{}, err
	}
	return tx.Apply(ctx, connector.Apply{Mode: r.m.Sink.Strategy.Mode, Columns: keys, Key: r.key, Reconcile: r.reconciliation()})
}

// window decides what the run reads and how it is applied.
func (r *run) window(ctx context.Context, tx connector.Tx, snap connector.Snapshot) (load, error) {
	s := r.m.Sink.Strategy
	work := load{
		window:  connector.Window{Kind: "snapshot", ID: r.windowID()},
		request: connector.Request{Columns: r.columns},
		apply:   connector.Apply{Mode: s.Mode, Columns: r.columns, Key: r.key},
		kind:    connector.StageRows,
	}
	switch s.Mode {
	case manifest.FullRefresh:
		work.kind = connector.StageDirect
	case manifest.Replace:
		work.request.Where = s.CustomPredicate
	case manifest.PartitionReplace:
		return work, r.scope(ctx, tx, snap, &work)
	case manifest.IncrementalAppend, manifest.IncrementalMerge:
		if s.Mode == manifest.IncrementalAppend && !s.OnlyNewRows && r.m.Source.Options.IncrementalColumn == "" {
			work.apply.Key = nil // the window alone says what is new
		}
		work.keys = r.m.Reconciliation.Enabled
		if r.m.Source.Options.IncrementalColumn != "" {
			return work, r.cursor(ctx, tx, snap, &work)
		}
	case manifest.XMin:
		return work, r.xmin(ctx, tx, snap, &work)
	}
	return work, nil
}

func (r *run) windowID() string {
	if r.opts.Window != "" {
		return "named:" + r.opts.Window
	}
	if r.m.State.Window != "" {
		return "named:" + r.m.State.Window
	}
	return "run:" + r.opts.RunID
}

// scope finds the partitions that are replaced. It comes from the plan, or from both
// sides, and never from the staged rows alone: a partition that the source has no
// row for any more has to be emptied.
func (r *run) scope(ctx context.Context, tx connector.Tx, snap connector.Snapshot, work *load) error {
	p := r.m.Sink.Strategy.Partition
	column := r.columns[r.columns.Index(p.Column)]
	in := &connector.In{Column: column}
	if len(p.Values) > 0 {
		for _, text := range p.Values {
			v, err := logical.ParseText([]byte{}, column.Type, []byte(text))
			if err != nil {
				return &connector.Error{Code: "partition.value", Msg: fmt.Sprintf("sink.strategy.partition.values: %q is no %s", text, column.Type), Err: err}
			}
			in.Values = append(in.Values, v)
		}
		work.request.In = in
	} else {
		values, err := snap.Values(ctx, column, p.Max)
		if err != nil {
			return err
		}
		switch {
		case r.target == nil:
		case r.target.Index(column.Name) < 0:
			values = union(values, [][]byte{nil}) // what the rows that are there will have in the new column
		default:
			more, err := tx.Values(ctx, column, p.Max)
			if err != nil {
				return err
			}
			values = union(values, more)
		}
		in.Values = values
	}
	if p.Max > 0 && len(in.Values) > p.Max {
		return &connector.Error{
			Code: "partition.too_many", Msg: fmt.Sprintf("%d partitions would be replaced, at most %d may", len(in.Values), p.Max),
			Fix: "raise sink.strategy.partition.max_partitions_per_run, or name the partitions in sink.strategy.partition.values",
		}
	}
	work.apply.Scope = in
	return nil
}

func union(a, b [][]byte) [][]byte {
	name := func(v []byte) string {
		if v == nil {
			return "null"
		}
		return "=" + string(v)
	}
	seen := map[string]bool{}
	var all [][]byte
	for _, v := range append(append([][]byte{}, a...), b...) {
		if !seen[name(v)] {
			seen[name(v)] = true
			all = append(all, v)
		}
	}
	return all
}

// cursorState is what a run by cursor leaves for the next one.
type cursorState struct {
	Column string `json:"column"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

// cursor reads from the last value on, that value included: rows with the same
// value that came later are found, and those that were there already are told apart by their key.
func (r *run) cursor(ctx context.Context, tx connector.Tx, snap connector.Snapshot, work *load) error {
	column := r.columns[r.columns.Index(r.m.Source.Options.IncrementalColumn)]
	state, err := r.readState(ctx, tx)
	if err != nil {
		return err
	}
	work.state = connector.State{Revision: state.Revision}
	if err := r.cursorNulls(ctx, snap, column); err != nil {
		return err
	}
	_, greatest, err := snap.Bounds(ctx, column)
	if err != nil {
		return err
	}
	var before cursorState
	bounds := &connector.Range{Column: column, To: greatest, ToInclusive: true}
	if len(state.Position) > 0 {
		if err := json.Unmarshal(state.Position, &before); err != nil {
			return connector.Fail("cursor.state", err, "the state of the last run cannot be read")
		}
		if before.Column != column.Name || before.Type != column.Type.String() {
			return &connector.Error{
				Code: "cursor.changed", Msg: fmt.Sprintf("the last run's cursor was %s %s, this one's is %s %s", before.Column, before.Type, column.Name, column.Type),
				Fix: "give the process another name, or load with full_refresh first",
			}
		}
		if bounds.From, err = logical.ParseText([]byte{}, column.Type, []byte(before.Value)); err != nil {
			return connector.Fail("cursor.state", err, "the state of the last run cannot be read")
		}
	}
	work.window.Kind = "cursor"
	if named, ok := strings.CutPrefix(work.window.ID, "run:"); ok {
		work.window.ID = fmt.Sprintf("cursor:%d:%s", state.Revision, named)
	}
	work.window.Facts = map[string]string{"from": before.Value}
	if greatest == nil {
		bounds.To = nil // no row has a value, and the range below holds none
		if bounds.From == nil {
			work.request.In = &connector.In{Column: column, Values: [][]byte{}}
			return nil
		}
	}
	next := before
	if greatest != nil {
		text, err := logical.AppendText(nil, column.Type, greatest)
		if err != nil {
			return fmt.Errorf("cursor: %w", err)
		}
		if endless(column.Type, string(text)) {
			return &connector.Error{
				Code: "cursor.infinite", Msg: fmt.Sprintf("the greatest value of the cursor %q is %s, behind which no run would find a row", column.Name, text),
				Fix: "leave these rows out with source.options.custom_predicate",
			}
		}
		next = cursorState{Column: column.Name, Type: column.Type.String(), Value: string(text)}
	}
	if work.state.Position, err = json.Marshal(next); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	work.window.Facts["to"] = next.Value
	work.request.Range = bounds
	return nil
}

// cursorNulls refuses rows without a cursor's value, because no window would ever hold them.
func (r *run) cursorNulls(ctx context.Context, snap connector.Snapshot, column batch.Column) (err error) {
	if column.NotNull {
		return nil
	}
	only := batch.Schema{column}
	reader, err := snap.Read(ctx, connector.Request{Columns: only, In: &connector.In{Column: column, Values: [][]byte{nil}}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	switch err := reader.Next(ctx, batch.New(only)); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return &connector.Error{
		Code: "cursor.null", Msg: fmt.Sprintf("rows of the source have NULL in the cursor %q, and no run would read them", column.Name),
		Fix: "leave these rows out with source.options.custom_predicate, or choose another incremental_column",
	}
}

// endless is true for the values that no other one is greater than.
func endless(t logical.Type, text string) bool {
	switch t.Kind {
	case logical.Date, logical.Timestamp, logical.TimestampTZ, logical.Float32, logical.Float64, logical.Numeric:
		return strings.EqualFold(text, "infinity") || text == "NaN"
	}
	return false
}

func (r *run) readState(ctx context.Context, tx connector.Tx) (connector.State, error) {
	state, err := tx.State(ctx)
	if err != nil {
		return state, err
	}
	if len(state.Position) > 0 && !json.Valid(state.Position) {
		// The report, which is JSON, could not hold it either.
		return state, &connector.Error{
			Code: "state.invalid", Msg: fmt.Sprintf("the state of %s is no JSON, revision %d", r.pipeline, state.Revision),
			Fix: "something else wrote it; put it right, or delete it to begin anew",
		}
	}
	r.report.State = StateChange{Revision: state.Revision, Before: state.Position, After: state.Position}
	return state, nil
}
