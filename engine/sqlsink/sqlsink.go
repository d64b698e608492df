// Package sqlsink applies the load strategies in SQL: the rows of a load stand
// in a staging table, and statements change the target by them. Everything a load
// does (columns, rows, gates, state, receipt) is one transaction of the sink.
//
// The package knows no database. A connector brings a [Backend]: the
// transaction, how its SQL differs, and the fast way to fill a staging table.
package sqlsink

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
)

// Session runs statements in the load's transaction.
type Session interface {
	// Exec runs one statement and gives the number of rows it changed.
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
	// Query runs one statement and calls row for each row of the result.
	Query(ctx context.Context, sql string, args []any, row func(scan func(dest ...any) error) error) error
}

// Dialect is how the SQL of a system differs.
type Dialect struct {
	// Quote quotes an identifier.
	Quote func(string) string
	// Param is the n-th parameter, from 1.
	Param func(n int) string
	// Literal writes a canonical value as an expression of the column's type, nil as NULL.
	Literal func(column batch.Column, value []byte) (string, error)
	// Differs is true when two rows differ in one of the columns, NULL being a value
	// and values that print differently being different.
	Differs func(a, b string, columns batch.Schema) string
	// RowHash is the SHA-256 in hex of the staged row's columns.
	RowHash func(alias string, columns batch.Schema) string
	// Staged reads a staged column as the target's type.
	Staged func(alias string, column batch.Column) string
	// RowID names the pseudo column that tells rows of one table apart.
	RowID string
	// True and False are the booleans.
	True, False string
	// Overriding stands before SELECT in an INSERT that gives identity columns a value.
	Overriding string
	// Analyze is the statement that brings the statistics of a staging table's columns, quoted, up to date.
	Analyze func(table string, columns []string) string
	// Upsert is true when INSERT ... ON CONFLICT may be used where a unique index matches the key.
	Upsert bool
	// Lock keeps other writers off the target where no unique index protects it; empty when the system has one writer.
	Lock string
	// Compared is the expression by which a column is compared with literals of its type,
	// for equality alone or for order; nil when the operators do right by every type.
	Compared func(expr string, t logical.Type, equality bool) string
	// Text is the expression that gives a column's text form.
	Text func(expr string, t logical.Type) string
	// Alter gives the statements of a change.
	Alter func(target string, change connector.Change) ([]string, error)
}

// Backend is one transaction of a system, and the ways it is fast at.
type Backend interface {
	Session
	Dialect() *Dialect
	// Names of the target, of the state and of the receipt table, quoted.
	Target() string
	StateTable() string
	ReceiptTable() string
	// Columns of the target as they are now; nil when it does not exist.
	Describe(ctx context.Context) (*connector.Relation, error)
	// UniqueIndex says whether a unique index of the target has exactly these columns.
	UniqueIndex(ctx context.Context, key []string) (bool, error)
	// OpenStage makes the staging table (not for StageDirect) and opens the way into it.
	// With hash, RowHash will be asked for the rows.
	OpenStage(ctx context.Context, table string, columns batch.Schema, kind connector.StageKind, hash bool) (connector.Stage, error)
	// StageTable is the quoted name for the n-th staging table.
	StageTable(n int) string
	// Direct says whether rows of these columns can go into the target as they are, without a staging table.
	Direct(columns batch.Schema) bool
	// Empty empties the target, or prepares the sibling that will take its place.
	Empty(ctx context.Context) error
	// OpenEmptied opens the way into the target without its rows, or into the sibling
	// that will take its place. The rows go at the latest when the first new one comes,
	// or the stage is closed.
	OpenEmptied(ctx context.Context, columns batch.Schema) (connector.Stage, error)
	// DirectTable is where rows go after Empty or OpenEmptied: the target or its sibling.
	DirectTable() string
	// Publish makes a directly loaded target the visible one (a swap); most have nothing to do.
	Publish(ctx context.Context) error
	Digest(ctx context.Context, table string, spec digest.Spec) (digest.Digest, error)
	Commit(ctx context.Context) (connector.Committed, error)
	Rollback(ctx context.Context) error
}

// FullJoiner is a Backend in which a whole snapshot is compared with the target in one
// FULL JOIN. It runs the statement that joins the staging table with the target on the key.
type FullJoiner interface {
	FullJoin(ctx context.Context, stage string, key []string, sql string) error
}

// Tx implements connector.Tx over a Backend.
type Tx struct {
	b    Backend
	d    *Dialect
	load connector.Load
	// rows and keys are the staging tables; rows is the target after a direct load.
	rows, keys string
	loaded     *countedStage // the stage of the rows
	dropped    int64         // rows of it whose key came again
	rowSchema  batch.Schema
	direct     bool   // rows go into the emptied target itself
	refill     bool   // rows are staged, and the target is emptied for them
	applied    string // the rows of the load in the target, empty when they cannot be told from other ones
	stages     int
	changing   changing
}

// New gives the load's transaction over the backend's.
func New(b Backend, load connector.Load) *Tx {
	return &Tx{b: b, d: b.Dialect(), load: load}
}

// State reads the pipeline's state.
func (t *Tx) State(ctx context.Context) (connector.State, error) {
	var s connector.State
	err := t.b.Query(ctx, "SELECT revision, position FROM "+t.b.StateTable()+" WHERE pipeline = "+t.d.Param(1),
		[]any{t.load.Pipeline}, func(scan func(...any) error) error {
			var position string
			if err := scan(&s.Revision, &position); err != nil {
				return err
			}
			s.Position = json.RawMessage(position)
			return nil
		})
	if err != nil {
		return s, fmt.Errorf("read the state of %s: %w", t.load.Pipeline, err)
	}
	return s, nil
}

// Receipt reads the receipt of a window.
func (t *Tx) Receipt(ctx context.Context, window string) (*connector.Receipt, error) {
	return ReadReceipt(ctx, t.b, t.d, t.b.ReceiptTable(), t.load.Pipeline, window)
}

// ReadReceipt reads a receipt in any session; nil when there is none.
func ReadReceipt(ctx context.Context, s Session, d *Dialect, table, pipeline, window string) (*connector.Receipt, error) {
	var found *connector.Receipt
	err := s.Query(ctx, "SELECT receipt FROM "+table+" WHERE pipeline = "+d.Param(1)+" AND load_window = "+d.Param(2),
		[]any{pipeline, window}, func(scan func(...any) error) error {
			var text string
			if err := scan(&text); err != nil {
				return err
			}
			var r connector.Receipt
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return fmt.Errorf("receipt of window %q: %w", window, err)
			}
			found = &r
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read the receipt of window %q: %w", window, err)
	}
	return found, nil
}

// StateDDL gives the statements that make the two tables. Types are those of every SQL system.
func StateDDL(state, receipt string) []string {
	return []string{
		"CREATE TABLE IF NOT EXISTS " + state + " (pipeline text PRIMARY KEY, revision bigint NOT NULL, position text NOT NULL, updated_at text NOT NULL)",
		"CREATE TABLE IF NOT EXISTS " + receipt + " (pipeline text NOT NULL, load_window text NOT NULL, id text NOT NULL, plan_sha256 text NOT NULL," +
			" receipt text NOT NULL, committed_at text NOT NULL, PRIMARY KEY (pipeline, load_window))",
	}
}

// Alter makes or changes the target's columns.
func (t *Tx) Alter(ctx context.Context, changes []connector.Change) error {
	for _, change := range changes {
		statements, err := t.d.Alter(t.b.Target(), change)
		if err != nil {
			return err
		}
		for _, s := range statements {
			if _, err := t.b.Exec(ctx, s); err != nil {
				return connector.Fail("target.alter", err, "%s the columns of %s", change.Kind, t.b.Target())
			}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if _, err := t.b.Describe(ctx); err != nil { // the backend knows the new types from here on
		return fmt.Errorf("look at the changed columns: %w", err)
	}
	return nil
}

// Values gives the distinct values of a column of the target.
func (t *Tx) Values(ctx context.Context, column batch.Column, limit int) ([][]byte, error) {
	c := t.d.Quote(column.Name)
	return DistinctValues(ctx, t.b, "SELECT DISTINCT "+t.d.Text(c, column.Type)+" FROM "+t.b.Target()+fmt.Sprintf(" LIMIT %d", limit+1), column, limit)
}

// DistinctValues runs a statement that gives text forms of a column and parses them.
func DistinctValues(ctx context.Context, s Session, sql string, column batch.Column, limit int) ([][]byte, error) {
	var values [][]byte
	err := s.Query(ctx, sql, nil, func(scan func(...any) error) error {
		var text *string
		if err := scan(&text); err != nil {
			return err
		}
		if text == nil {
			values = append(values, nil)
			return nil
		}
		value, err := logical.ParseText([]byte{}, column.Type, []byte(*text))
		if err != nil {
			return fmt.Errorf("column %q: %w", column.Name, err)
		}
		values = append(values, value)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(values) > limit {
		return nil, TooMany(column.Name, limit)
	}
	return values, nil
}

// TooMany says that a column has more distinct values than a run may touch.
func TooMany(column string, limit int) error {
	return &connector.Error{
		Code: "partition.too_many",
		Msg:  fmt.Sprintf("column %q has more than %d different values", column, limit),
		Fix:  "raise strategy.partition.max_partitions_per_run, or name the partitions in strategy.partition.values",
	}
}

// Stage opens the way for rows.
func (t *Tx) Stage(ctx context.Context, columns batch.Schema, kind connector.StageKind) (connector.Stage, error) {
	t.stages++
	table := t.b.StageTable(t.stages)
	t.refill = t.refill || kind == connector.StageDirect
	if kind == connector.StageDirect && !t.b.Direct(columns) {
		kind = connector.StageRows
	}
	if kind == connector.StageDirect {
		stage, err := t.b.OpenEmptied(ctx, columns)
		if err != nil {
			return nil, err
		}
		return t.take(stage, t.b.DirectTable(), columns, true), nil
	}
	stage, err := t.b.OpenStage(ctx, table, columns, kind, kind == connector.StageRows && t.load.Strategy.Mode == "scd2")
	if err != nil {
		return nil, fmt.Errorf("open the way into %s: %w", table, err)
	}
	if kind == connector.StageKeys {
		t.keys = table
		return stage, nil
	}
	return t.take(stage, table, columns, false), nil
}

// take is where the rows of the load go, from now on.
func (t *Tx) take(stage connector.Stage, table string, columns batch.Schema, direct bool) connector.Stage {
	t.rows, t.rowSchema, t.direct = table, columns, direct
	t.loaded = &countedStage{Stage: stage, table: table}
	return t.loaded
}

// countedStage remembers how many rows the sink took, so that they need not be counted again.
type countedStage struct {
	connector.Stage
	table string
	stats connector.WriteStats
}

// Relay hands the reader to a stage that can take its bytes as they are.
func (s *countedStage) Relay(ctx context.Context, from connector.Reader, builder *digest.Builder) (bool, error) {
	if r, ok := s.Stage.(connector.Relayer); ok {
		return r.Relay(ctx, from, builder)
	}
	return false, nil
}

// Close ends the writing.
func (s *countedStage) Close(ctx context.Context) (connector.WriteStats, error) {
	var err error
	s.stats, err = s.Stage.Close(ctx)
	return s.stats, err
}

// staged is the number of rows in the staging table, which is known when a load has filled it.
func (t *Tx) staged(ctx context.Context) (int64, error) {
	if t.loaded != nil && t.loaded.table == t.rows {
		return t.loaded.stats.Rows - t.dropped, nil
	}
	return t.Count(ctx, false)
}

// Count counts the rows of the load or of the target.
func (t *Tx) Count(ctx context.Context, target bool) (int64, error) {
	return t.number(ctx, "SELECT count(*) FROM "+t.side(target))
}

// Empty says whether the target, which is there, has no row. It does not read the whole table.
func (t *Tx) Empty(ctx context.Context) (bool, error) {
	n, err := t.number(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+t.side(true)+" LIMIT 1) AS first")
	if err != nil {
		return false, fmt.Errorf("look whether %s is empty: %w", t.b.Target(), err)
	}
	return n == 0, nil
}

// Digest digests the rows of the load, as the target has them once they are applied, or those of the target.
func (t *Tx) Digest(ctx context.Context, spec digest.Spec, target bool) (digest.Digest, error) {
	return t.b.Digest(ctx, t.digested(target), spec)
}

// digested is where the rows of a digest stand. The rows of a load are looked for in
// the target where the strategy tells which ones they are: what a trigger made of them counts.
func (t *Tx) digested(target bool) string {
	if target || t.applied == "" {
		return t.side(target)
	}
	return t.applied
}

// Prober digests rows of the load or of the target where they are; nil when the backend cannot.
func (t *Tx) Prober(target bool) digest.Prober {
	if p, ok := t.b.(interface {
		Prober(table string) digest.Prober
	}); ok {
		return p.Prober(t.digested(target))
	}
	return nil
}

func (t *Tx) side(target bool) string {
	switch {
	case t.direct:
		return t.rows // what will be the target
	case target && t.refill:
		return t.b.DirectTable()
	case target || t.rows == "":
		return t.b.Target()
	}
	return t.rows
}

func (t *Tx) number(ctx context.Context, sql string, args ...any) (int64, error) {
	var n int64
	err := t.b.Query(ctx, sql, args, func(scan func(...any) error) error { return scan(&n) })
	return n, err
}

// Commit writes state and receipt and commits.
func (t *Tx) Commit(ctx context.Context, state connector.State, receipt connector.Receipt) (connector.Committed, error) {
	if err := t.b.Publish(ctx); err != nil {
		return connector.Committed{}, err
	}
	if state.Position != nil {
		if err := t.writeState(ctx, state); err != nil {
			return connector.Committed{}, err
		}
	}
	if receipt.ID == "" { // a state that moved on without rows
		return t.b.Commit(ctx)
	}
	text, err := json.Marshal(receipt)
	if err != nil {
		return connector.Committed{}, fmt.Errorf("write the receipt: %w", err)
	}
	p := t.d.Param
	_, err = t.b.Exec(ctx, "INSERT INTO "+t.b.ReceiptTable()+" (pipeline, load_window, id, plan_sha256, receipt, committed_at) VALUES ("+
		strings.Join([]string{p(1), p(2), p(3), p(4), p(5), p(6)}, ", ")+")",
		receipt.Pipeline, receipt.Window, receipt.ID, receipt.PlanHash, string(text), receipt.At)
	if err != nil {
		return connector.Committed{}, connector.Fail("receipt.write", err, "write the receipt of window %q", receipt.Window)
	}
	return t.b.Commit(ctx)
}

func (t *Tx) writeState(ctx context.Context, state connector.State) error {
	var n int64
	var err error
	p := t.d.Param
	if state.Revision == 0 {
		n, err = t.b.Exec(ctx, "INSERT INTO "+t.b.StateTable()+" (pipeline, revision, position, updated_at) VALUES ("+
			p(1)+", 1, "+p(2)+", "+p(3)+") ON CONFLICT DO NOTHING", t.load.Pipeline, string(state.Position), t.load.Now)
	} else {
		n, err = t.b.Exec(ctx, "UPDATE "+t.b.StateTable()+" SET revision = revision + 1, position = "+p(1)+", updated_at = "+p(2)+
			" WHERE pipeline = "+p(3)+" AND revision = "+p(4), string(state.Position), t.load.Now, t.load.Pipeline, state.Revision)
	}
	if err != nil {
		return connector.Fail("state.write", err, "write the state of %s", t.load.Pipeline)
	}
	if n != 1 {
		return &connector.Error{
			Code: connector.CodeStateMoved,
			Msg:  fmt.Sprintf("the state of %s is no longer at revision %d", t.load.Pipeline, state.Revision),
			Fix:  "another run of this process has committed in between; run again",
		}
	}
	return nil
}

// Rollback undoes everything.
func (t *Tx) Rollback(ctx context.Context) error { return t.b.Rollback(ctx) }
