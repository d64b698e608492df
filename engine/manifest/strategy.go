package manifest

import (
	"slices"
	"strings"
)

// StrategyDoc is what a load strategy means. The validation and the documents both
// read it; a field of another strategy is refused, so that nothing is ignored.
type StrategyDoc struct {
	Mode    Mode
	Summary string // what it does to the target
	// Required and Optional are the paths of the fields that have a meaning with this
	// strategy and not with every other one. A path stands for all that is under it.
	Required, Optional []string
	Deletes            string // what happens to rows that are gone from the source
	Idempotence        string // what happens when it runs again
	Locks              string // what others wait for
}

// The paths of the fields that belong to strategies.
const (
	fieldKey        = "sink.strategy.unique_key"
	fieldDuplicates = "sink.strategy.duplicate_policy"
	fieldOnlyNew    = "sink.strategy.only_new_rows"
	fieldOverwrite  = "sink.strategy.overwrite_type"
	fieldReplace    = "sink.strategy.custom_predicate"
	fieldPartition  = "sink.strategy.partition"
	fieldDiff       = "sink.strategy.diff"
	fieldSCD2       = "sink.strategy.scd2"
	fieldBackfill   = "sink.strategy.backfill"
	fieldXMin       = "sink.strategy.xmin"
	fieldCDC        = "sink.strategy.cdc"
	fieldSoft       = "sink.strategy.soft_delete_column"
	fieldCursor     = "source.options.incremental_column"
	fieldQuery      = "source.options.query"
	fieldFilter     = "source.options.custom_predicate"
	fieldStream     = "source.options.cdc"
	fieldWindow     = "state.window"
	fieldReconcile  = "reconciliation"
)

// Strategies describes every strategy in the order of [Modes].
func Strategies() []StrategyDoc {
	return []StrategyDoc{
		{
			Mode:        FullRefresh,
			Summary:     "Makes the target hold exactly the rows of the source.",
			Optional:    []string{fieldKey, fieldOverwrite, fieldQuery, fieldFilter, fieldWindow},
			Deletes:     "Rows that are gone from the source are gone from the target.",
			Idempotence: "The same source gives the same target, however often it runs.",
			Locks:       "in_place: readers of the target wait from the start of the load to its commit. shadow_swap: they wait for the swap only.",
		},
		{
			Mode:        IncrementalAppend,
			Summary:     "Adds rows and never changes one; needs incremental_column with unique_key, only_new_rows with unique_key, or state.window, so that no row is added twice.",
			Optional:    []string{fieldKey, fieldDuplicates, fieldOnlyNew, fieldCursor, fieldQuery, fieldFilter, fieldWindow},
			Deletes:     "None.",
			Idempotence: "The next run starts behind the last row, by cursor and key; a window that has a receipt is not loaded again; only_new_rows leaves out keys that are there.",
			Locks:       "Readers do not wait; other loads of the target do.",
		},
		{
			Mode:        IncrementalMerge,
			Summary:     "Inserts rows whose key is new, updates rows whose values differ, and leaves equal rows unwritten; keys are compared by type, not by text.",
			Required:    []string{fieldKey},
			Optional:    []string{fieldDuplicates, fieldCursor, fieldQuery, fieldFilter, fieldWindow, fieldReconcile, fieldSoft},
			Deletes:     "None from the rows that were read; reconciliation compares the keys of both sides in the same snapshot.",
			Idempotence: "Rows that come again are equal and are not written.",
			Locks:       "Writers of the same rows wait until the commit; readers do not.",
		},
		{
			Mode:        Replace,
			Summary:     "Deletes the target's rows that meet custom_predicate and inserts the source's rows that meet it.",
			Required:    []string{fieldReplace},
			Optional:    []string{fieldKey, fieldQuery, fieldFilter, fieldWindow},
			Deletes:     "Rows that meet the predicate and are gone from the source are gone from the target; no other row is touched.",
			Idempotence: "The same source gives the same target.",
			Locks:       "Writers of the rows that meet the predicate wait until the commit; readers do not.",
		},
		{
			Mode:        PartitionReplace,
			Summary:     "Replaces all rows of each partition in scope; the scope is the listed values, or every value that source or target has.",
			Required:    []string{fieldPartition + ".column"},
			Optional:    []string{fieldPartition, fieldKey, fieldQuery, fieldFilter, fieldWindow},
			Deletes:     "A partition in scope that the source has no rows for is emptied; partitions out of scope are not touched.",
			Idempotence: "The same source gives the same target.",
			Locks:       "Writers of the partitions in scope wait until the commit; readers do not.",
		},
		{
			Mode:        SnapshotDiff,
			Summary:     "Compares the whole source with the target by key and writes only what differs.",
			Required:    []string{fieldKey},
			Optional:    []string{fieldDuplicates, fieldDiff, fieldSoft, fieldQuery, fieldFilter, fieldWindow},
			Deletes:     "Keys that are gone from the source are deleted, marked with the time at which that was first seen, or left, as diff.delete_policy says.",
			Idempotence: "A second run finds nothing that differs and writes nothing.",
			Locks:       "Writers of the rows that differ wait until the commit; readers do not.",
		},
		{
			Mode:        SCD2,
			Summary:     "Keeps a history: closes the current version of a row that changed and opens the next at the same instant, so that versions leave no gap and do not overlap.",
			Required:    []string{fieldKey},
			Optional:    []string{fieldDuplicates, fieldSCD2, fieldQuery, fieldFilter, fieldWindow},
			Deletes:     "The current version of a key that is gone from the source is closed, or left, as scd2.delete_policy says.",
			Idempotence: "A row that did not change gets no new version.",
			Locks:       "Writers of the versions that close wait until the commit; readers do not.",
		},
		{
			Mode:        Backfill,
			Summary:     "Cuts a range of one column into chunks that do not depend on the data and loads each in a transaction of its own.",
			Required:    []string{fieldBackfill + ".column", fieldBackfill + ".chunk_size"},
			Optional:    []string{fieldBackfill, fieldKey, fieldDuplicates, fieldQuery, fieldFilter},
			Deletes:     "inner_mode replace: rows of the chunk that are gone from the source are gone from the target. incremental_merge: none.",
			Idempotence: "Each chunk has its own receipt; a run that stopped goes on with the chunks that have none.",
			Locks:       "Writers of the rows of one chunk wait until its commit; readers do not.",
		},
		{
			Mode:        XMin,
			Summary:     "Reads the rows that were written since the oldest transaction that was open at the last run, and merges them by key.",
			Required:    []string{fieldKey},
			Optional:    []string{fieldDuplicates, fieldXMin, fieldFilter, fieldReconcile, fieldSoft},
			Deletes:     "None from the window; reconciliation compares the keys of both sides in the same snapshot.",
			Idempotence: "Rows that come again are equal and are not written; they are counted as unchanged.",
			Locks:       "Writers of the same rows wait until the commit; readers do not.",
		},
		{
			Mode:        CDC,
			Summary:     "Loads the table under the snapshot of a new replication slot, then applies each committed transaction of the source in its order.",
			Required:    []string{fieldKey, fieldStream + ".slot", fieldStream + ".publication"},
			Optional:    []string{fieldStream, fieldCDC, fieldSoft},
			Deletes:     "Deletes of the source are applied, marked or left out, as cdc.delete_policy says; TRUNCATE stops the run or is applied, as cdc.truncate says.",
			Idempotence: "The position commits with the rows, and a transaction up to it is not applied again.",
			Locks:       "Writers of the same rows wait until the commit; readers do not.",
		},
	}
}

// strategyOf gives the description of a mode; ok is false for one that there is not.
func strategyOf(mode Mode) (StrategyDoc, bool) {
	all := Strategies()
	i := slices.IndexFunc(all, func(s StrategyDoc) bool { return s.Mode == mode })
	if i < 0 {
		return StrategyDoc{}, false
	}
	return all[i], true
}

// takes reports whether a field, or one around it, has a meaning with the strategy.
func (s StrategyDoc) takes(field string) bool {
	under := func(known string) bool { return field == known || strings.HasPrefix(field, known+".") }
	return slices.ContainsFunc(s.Required, under) || slices.ContainsFunc(s.Optional, under)
}

// strategyFields are the paths that belong to some strategies, the widest of each.
func strategyFields() []string {
	return []string{
		fieldKey, fieldDuplicates, fieldOnlyNew, fieldOverwrite, fieldReplace, fieldPartition, fieldDiff, fieldSCD2,
		fieldBackfill, fieldXMin, fieldCDC, fieldSoft, fieldCursor, fieldQuery, fieldFilter, fieldStream, fieldWindow,
		fieldReconcile,
	}
}

// modesWith lists the modes that take the field.
func modesWith(field string) string {
	var modes []string
	for _, s := range Strategies() {
		if s.takes(field) {
			modes = append(modes, string(s.Mode))
		}
	}
	return strings.Join(modes, ", ")
}

// DuplicateColumn gives the column of the policy last_by:<column>; ok is false when
// duplicates fail the run.
func (s Strategy) DuplicateColumn() (column string, ok bool) {
	if column, ok = strings.CutPrefix(s.DuplicatePolicy, "last_by:"); !ok {
		return "", false
	}
	return column, column != ""
}
