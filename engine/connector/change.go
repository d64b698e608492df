package connector

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/manifest"
)

// ChangeSource is a source that can tell what changed since a position (cdc).
type ChangeSource interface {
	Source
	// Claim gives what the sink must have committed as the pipeline's position before
	// [ChangeSource.Changes] may make a slot of its own, and nil when nothing need be:
	// a slot that a crash left behind is then known to be this pipeline's.
	Claim(context.Context, ChangeRequest) (json.RawMessage, error)
	// Changes opens the stream of changes after the request's position, and makes
	// slot and publication when that position is a claim.
	Changes(context.Context, ChangeRequest) (ChangeStream, error)
}

// ChangeRequest says which changes are wanted.
type ChangeRequest struct {
	// Previous is the position that the sink committed last, nil when there is none.
	Previous json.RawMessage
	// Columns are the columns and types in which rows are wanted, Key those of them that identify a row.
	Columns batch.Schema
	Key     []string
	// Truncate is manifest.CDCOptions.Truncate: "apply", or stop.
	Truncate string
	// Follow goes on after the end of the log was reached, until the context ends.
	Follow bool
	// MaxRows and MaxBytes bound one [ChangeSet]; 0 is the source's own bound.
	MaxRows, MaxBytes int
}

// ChangeStream is an open stream of changes. It keeps its connection alive by
// itself, however long a set takes to apply.
type ChangeStream interface {
	// Initial is the state of the table at which the stream begins, nil when an earlier
	// run has loaded it. It must be read before the first Next.
	Initial() Snapshot
	// Schema is the columns of the sets' rows: those of the request, of which some may travel as text.
	Schema() batch.Schema
	// Position is where the stream stands before the first Next: what a sink commits
	// together with the initial rows.
	Position() json.RawMessage
	// Next empties the set and fills it with the next changes. It ends with io.EOF
	// when the stream has reached what the source had written by the time of the first Next.
	Next(context.Context, *ChangeSet) error
	// Confirm tells the source that everything up to a position is safe, so that it
	// need not keep it. Only to be called after the sink has committed that position.
	Confirm(ctx context.Context, position json.RawMessage) error
	// Facts are what the report tells of the stream.
	Facts() map[string]string
	// Close ends the stream. A slot that was made and whose first position nobody
	// confirmed is dropped again.
	Close(context.Context) error
}

// ChangeSet is the net effect of a number of changes, at most one for each key.
// It is applied in this order: Truncate; the rows of Moves are completed from the
// target as it was before the set; Deletes; Upserts and the moved rows; Partial; Inserts.
type ChangeSet struct {
	// Truncate is true when all rows from before the set are gone.
	Truncate bool
	// Inserts are whole rows, in the stream's schema, whose key the source did not have before the set.
	Inserts *batch.Batch
	// Upserts are whole rows whose key it had.
	Upserts *batch.Batch
	// Partial are rows of which the source did not send every column, because the
	// update left large values alone, one batch for each choice of columns. The target has the rows.
	Partial []*batch.Batch
	// Deletes are keys, in the order of the request's key.
	Deletes *batch.Batch
	// Moves are rows that took another key and of which the source did not send every
	// column; the others are those of the target's row with the old key, which follows
	// the columns under the names that [MovedFrom] gives. The old keys are among
	// Deletes, or were taken by another row.
	Moves []*batch.Batch
	// Source counts what the set was made of.
	Source ChangeCounts
	// Commit is true when the set ends where a transaction of the source ends. A sink
	// commits only then.
	Commit bool
	// Position is where the stream stands after the set, nil without Commit. Window names it.
	Position json.RawMessage
	Window   string
}

// MovedFrom names the column that holds the i-th part of the old key in ChangeSet.Moves.
func MovedFrom(i int) string { return "__dpone__from_" + strconv.Itoa(i+1) }

// ChangeCounts counts changes in the source.
type ChangeCounts struct {
	Inserts      int64 `json:"inserts"`
	Updates      int64 `json:"updates"`
	Deletes      int64 `json:"deletes"`
	Truncates    int64 `json:"truncates"`
	Transactions int64 `json:"transactions"`
}

// Add adds other to c.
func (c *ChangeCounts) Add(other ChangeCounts) {
	c.Inserts += other.Inserts
	c.Updates += other.Updates
	c.Deletes += other.Deletes
	c.Truncates += other.Truncates
	c.Transactions += other.Transactions
}

// Rows is the number of keys that the set changes.
func (s *ChangeSet) Rows() int {
	n := 0
	for _, b := range []*batch.Batch{s.Inserts, s.Upserts, s.Deletes} {
		if b != nil {
			n += b.Rows()
		}
	}
	for _, p := range s.Partial {
		n += p.Rows()
	}
	for _, p := range s.Moves {
		n += p.Rows()
	}
	return n
}

// ChangeTx is a transaction of a sink that can apply changes.
type ChangeTx interface {
	Tx
	// ApplyChanges changes the target by one set; a transaction takes any number of them.
	ApplyChanges(ctx context.Context, set *ChangeSet, key []string, cdc manifest.CDCOptions) (Counters, error)
}
