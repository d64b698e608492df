package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/manifest"
)

// cdc loads the table once, at the place where the stream of its changes begins,
// and then applies the stream up to where the source was when it was opened. Each
// group of source transactions is one transaction of the target together with the
// position after it, and the source hears of a position only when it is committed.
func (r *run) cdc(ctx context.Context) (err error) {
	source, ok := r.source.(connector.ChangeSource)
	if !ok {
		return &connector.Error{Code: "strategy.source", Msg: "the source cannot tell what changed"}
	}
	state, err := r.position(ctx)
	if err != nil {
		return err
	}
	request := connector.ChangeRequest{
		Previous: state.Position, Columns: r.columns, Key: r.key, Truncate: r.m.Sink.Strategy.CDC.Truncate,
	}
	claim, err := source.Claim(ctx, request)
	if err != nil {
		return err
	}
	if claim != nil {
		if state, err = r.keepPosition(ctx, state, claim); err != nil {
			return err
		}
		request.Previous = claim
	}
	r.enter("snapshot")
	stream, err := source.Changes(ctx, request)
	if err != nil {
		return err
	}
	defer func() {
		maps.Copy(r.report.Source.Facts, stream.Facts())
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if cerr := stream.Close(ctx); cerr != nil {
			r.env.Warn("close the stream: " + cerr.Error())
		}
	}()
	c := &follower{run: r, stream: stream, state: state}
	if stream.Initial() != nil {
		if err := c.initial(ctx); err != nil {
			return err
		}
	} else if slices.ContainsFunc(r.changes, func(change connector.Change) bool {
		return slices.ContainsFunc(change.Columns, func(column batch.Column) bool { return r.technical().Index(column.Name) < 0 })
	}) {
		return &connector.Error{
			Code: "cdc.schema_changed", Msg: "the target no longer has the columns that the stream fills",
			Fix: "give it back its columns, or delete the pipeline's row from the state table and drop the slot to load the table again",
		}
	}
	if stream.Initial() == nil {
		r.report.Digest = DigestResult{Level: string(digest.LevelNone)} // changes are no set of rows
	}
	return c.follow(ctx)
}

// position reads the state in a transaction of its own.
func (r *run) position(ctx context.Context) (connector.State, error) {
	tx, _, err := r.begin(ctx)
	if err != nil {
		return connector.State{}, err
	}
	defer r.rollback(ctx, tx)
	return r.readState(ctx, tx)
}

// keepPosition commits a position that no rows belong to.
func (r *run) keepPosition(ctx context.Context, state connector.State, position json.RawMessage) (connector.State, error) {
	tx, _, err := r.begin(ctx)
	if err != nil {
		return state, err
	}
	if _, err := tx.Commit(ctx, connector.State{Revision: state.Revision, Position: position}, connector.Receipt{}); err != nil {
		if !isUnknown(err) {
			r.rollback(ctx, tx)
		}
		return state, err
	}
	r.report.State.Revision, r.report.State.After = state.Revision+1, position
	return connector.State{Revision: state.Revision + 1, Position: position}, nil
}

// follower applies a stream.
type follower struct {
	*run
	stream connector.ChangeStream
	state  connector.State
	warned bool
}

// initial replaces the target's rows by the table as it was where the stream begins.
func (c *follower) initial(ctx context.Context) (err error) {
	snap := c.stream.Initial()
	defer c.release(ctx, snap)
	maps.Copy(c.report.Source.Facts, snap.Facts())
	tx, l, err := c.begin(ctx)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			c.rollback(ctx, tx)
		}
	}()
	position := c.stream.Position()
	work := load{
		window:  connector.Window{Kind: "initial", ID: "cdc:initial:" + c.opts.RunID},
		request: connector.Request{Columns: c.columns},
		apply:   connector.Apply{Mode: manifest.FullRefresh, Columns: c.columns},
		kind:    connector.StageDirect,
		state:   connector.State{Revision: c.state.Revision, Position: position},
	}
	if err := c.commitLoad(ctx, tx, l, snap, work, &committed); err != nil {
		return err
	}
	if err := c.moved(ctx, position); err != nil {
		return err
	}
	if c.target, err = c.sink.Describe(ctx); err != nil {
		return err
	}
	c.changes = nil
	return nil
}

// moved notes a position that is committed, and tells the source.
func (c *follower) moved(ctx context.Context, position json.RawMessage) error {
	c.state = connector.State{Revision: c.state.Revision + 1, Position: position}
	return c.stream.Confirm(ctx, position)
}

// follow applies the stream to its end.
func (c *follower) follow(ctx context.Context) error {
	c.enter("changes")
	var set connector.ChangeSet
	for {
		err := c.stream.Next(ctx, &set)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.group(ctx, &set); err != nil {
			return err
		}
	}
}

// group applies sets up to a commit of the source, in one transaction.
func (c *follower) group(ctx context.Context, set *connector.ChangeSet) (err error) {
	if set.Commit && !set.Truncate && set.Rows() == 0 {
		// Nothing of ours, but the source need not keep its log up to here.
		if c.state, err = c.keepPosition(ctx, c.state, set.Position); err != nil {
			return err
		}
		c.progress(c.run.moved)
		return c.stream.Confirm(ctx, set.Position)
	}
	began, l, err := c.begin(ctx)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			c.rollback(ctx, began)
		}
	}()
	tx, ok := began.(connector.ChangeTx)
	if !ok {
		return &connector.Error{Code: "strategy.sink", Msg: "the sink cannot apply changes"}
	}
	if err := c.env.Reach(ctx, connector.AfterExtract); err != nil {
		return err
	}
	if err := tx.Alter(ctx, c.changes); err != nil {
		return err
	}
	var counters connector.Counters
	var source connector.ChangeCounts
	for {
		more, err := tx.ApplyChanges(ctx, set, c.key, c.m.Sink.Strategy.CDC)
		if err != nil {
			return err
		}
		counters.Add(more)
		source.Add(set.Source)
		c.progress(c.run.moved + set.Source.Inserts + set.Source.Updates + set.Source.Deletes)
		if set.Commit {
			break
		}
		if err := c.stream.Next(ctx, set); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("in the midst of a transaction of the source: %w", err)
		}
	}
	rows := source.Inserts + source.Updates + source.Deletes
	c.report.Result.ExtractedRows += rows
	work := load{
		window: connector.Window{Kind: "changes", ID: set.Window},
		state:  connector.State{Revision: c.state.Revision, Position: set.Position},
	}
	c.report.Window = Window{Kind: work.window.Kind, ID: work.window.ID}
	if err := c.checks(ctx, tx, rows, work); err != nil {
		return err
	}
	receipt := connector.Receipt{
		ID: newID(), Pipeline: c.pipeline, Window: set.Window, PlanHash: c.report.PlanHash, Rows: rows, Counters: counters, At: l.Now,
	}
	if err := c.commit(ctx, tx, work.state, receipt, &committed); err != nil {
		return err
	}
	c.changes = nil
	return c.moved(ctx, set.Position)
}

// checks evaluates the gates on the target. A stream has no snapshot that a
// whole target could be compared with, so the gates that compare are those of the first load.
func (c *follower) checks(ctx context.Context, tx connector.Tx, rows int64, work load) error {
	all := c.m.Quality.Gates
	defer func() { c.m.Quality.Gates = all }()
	c.m.Quality.Gates = slices.DeleteFunc(slices.Clone(all), func(g manifest.Gate) bool {
		return g.Type == "row_count_reconciliation" || g.Type == "typed_hash_reconciliation"
	})
	if len(c.m.Quality.Gates) < len(all) && !c.warned {
		c.warned = true
		c.env.Warn("gates that compare the load with the source are evaluated on the first load only")
	}
	return c.gates(ctx, tx, connector.ReadStats{Rows: rows}, nil, work)
}
