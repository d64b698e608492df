package engine

import (
	"context"
	"fmt"
	"strconv"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
)

// xmin reads what was written since the last run, or everything when that cannot be told.
func (r *run) xmin(ctx context.Context, tx connector.Tx, snap connector.Snapshot, work *load) error {
	windows, ok := snap.(connector.Windower)
	if !ok {
		return &connector.Error{Code: "strategy.source", Msg: "the source cannot tell what was written since the last run"}
	}
	if _, last := r.m.Sink.Strategy.DuplicateColumn(); last {
		return &connector.Error{
			Code: "xmin.duplicate_policy", Msg: "sink.strategy.duplicate_policy: last_by has to see all rows of a key, and the window holds those that were written",
			Fix: "take it out, or choose snapshot_diff",
		}
	}
	state, err := r.readState(ctx, tx)
	if err != nil {
		return err
	}
	empty, err := r.targetEmpty(ctx, tx)
	if err != nil {
		return err
	}
	before := state.Position
	if empty {
		before = nil // whatever the last run has seen, its rows are not there
	}
	w, err := windows.Window(ctx, before)
	if err != nil {
		return err
	}
	switch {
	case w.Kind == "initial" && !empty:
		w.Kind = "rebaseline"
		w.Reason = "state_missing: the target has rows, and there is no state of this process for them and this server, database and table"
	case w.Kind == "initial" && len(state.Position) > 0:
		w.Reason = "target_empty: the last run left rows or nothing, and now there are none"
	}
	// The state tells what is to be loaded, and moves in the transaction of the load. A
	// receipt is of one run: two snapshots may have the same text and see other rows,
	// on a standby or after a restore.
	w.ID = fmt.Sprintf("%s:%d:%s", w.ID, state.Revision, r.opts.RunID)
	r.report.Window = Window{Kind: w.Kind, ID: w.ID, Reason: w.Reason, Facts: w.Facts}
	if err := r.xminAllowed(w); err != nil {
		return err
	}
	work.window = w
	work.request.Where = w.Where
	work.state = connector.State{Revision: state.Revision, Position: w.Next}
	work.apply.Mode = manifest.IncrementalMerge
	switch {
	case w.Kind == "rebaseline":
		work.keys = true // rows that only the target has are no part of the new baseline
	case w.Kind == "delta":
		work.keys = r.m.Reconciliation.Enabled
	case r.target == nil:
		work.kind = connector.StageDirect
	}
	return nil
}

// xminAllowed holds the window against what the manifest allows.
func (r *run) xminAllowed(w connector.Window) error {
	o := r.m.Sink.Strategy.XMin
	if w.Kind == "rebaseline" && o.Rebaseline != "allow" {
		return &connector.Error{
			Code: "xmin.rebaseline_required", Msg: "the window since the last run cannot be trusted: " + w.Reason,
			Fix: "set sink.strategy.xmin.rebaseline to allow for one run, which compares the whole table",
		}
	}
	if o.MaxReplayXIDs <= 0 {
		return nil
	}
	replay, err := strconv.ParseInt(w.Facts["replay_xids"], 10, 64)
	if err != nil {
		return fmt.Errorf("the number of transactions that would be replayed: %w", err)
	}
	if replay > o.MaxReplayXIDs {
		return &connector.Error{
			Code: "xmin.replay", Msg: fmt.Sprintf("the source has transactions open since %d transactions, at most %d may be replayed", replay, o.MaxReplayXIDs),
			Fix: "end the long transaction, or raise sink.strategy.xmin.max_replay_amplification_xids",
		}
	}
	return nil
}

// targetEmpty says whether the target has no row, or is not there.
func (r *run) targetEmpty(ctx context.Context, tx connector.Tx) (bool, error) {
	if r.target == nil {
		return true, nil
	}
	if t, ok := tx.(interface {
		Empty(context.Context) (bool, error)
	}); ok {
		return t.Empty(ctx)
	}
	n, err := tx.Count(ctx, true)
	return n == 0, err
}

// reconciliation is how keys that only the target has are deleted. A new baseline
// deletes them also where the manifest does not ask for it, but not because of an empty source.
func (r *run) reconciliation() *manifest.Reconciliation {
	if r.m.Reconciliation.Enabled {
		return &r.m.Reconciliation
	}
	return &manifest.Reconciliation{Enabled: true, DeletePolicy: "hard_delete", EmptySource: "fail"}
}
