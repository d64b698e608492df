package sqlsink

import (
	"context"
	"fmt"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
)

// Reopener is a backend that can write to a staging table of the transaction a
// second time, after it was emptied.
type Reopener interface {
	ReopenStage(ctx context.Context, table string, columns batch.Schema) (connector.Stage, error)
}

// changing is what one change set leaves for the next one of the same transaction.
type changing struct {
	tables map[string]string // staging tables by what they hold
	unique *bool             // whether a unique index of the target has exactly the key
}

// ApplyChanges changes the target by the net effect of a change set. The gates of
// such a transaction look at the target.
func (t *Tx) ApplyChanges(ctx context.Context, set *connector.ChangeSet, key []string, cdc manifest.CDCOptions) (connector.Counters, error) {
	rows := t.rows
	defer func() { t.rows = rows }()
	a := changes{Tx: t, set: set, key: key, policy: cdc.DeletePolicy, columns: set.Upserts.Schema}
	for _, step := range []func(context.Context) error{a.choose, a.truncate, a.stage, a.delete, a.upsert, a.complete, a.insert} {
		if err := step(ctx); err != nil {
			return a.counters, err
		}
	}
	return a.counters, nil
}

// changes is one change set on its way into the target.
type changes struct {
	*Tx
	set      *connector.ChangeSet
	key      []string
	policy   string
	columns  batch.Schema // of a whole row
	unique   bool         // the target has a unique index of the key
	counters connector.Counters
}

const (
	softDelete   = "soft_delete"
	ignoreDelete = "ignore"
)

// choose finds out what the target allows.
func (a *changes) choose(ctx context.Context) error {
	if a.changing.unique == nil {
		unique := false
		if a.d.Upsert {
			var err error
			if unique, err = a.b.UniqueIndex(ctx, a.key); err != nil {
				return fmt.Errorf("look for a unique index on the key: %w", err)
			}
		}
		a.changing.unique = &unique
	}
	a.unique = *a.changing.unique
	return nil
}

// truncate treats a TRUNCATE as the delete of every row.
func (a *changes) truncate(ctx context.Context) (err error) {
	if !a.set.Truncate {
		return nil
	}
	var n int64
	switch a.policy {
	case ignoreDelete:
		return nil
	case softDelete:
		if n, err = a.softDelete(ctx, " WHERE true"); err != nil {
			return connector.Fail("apply.truncate", err, "mark all rows as deleted")
		}
		a.counters.DeletedSoft += n
	default:
		if n, err = a.Count(ctx, true); err != nil {
			return fmt.Errorf("count the rows that a TRUNCATE takes: %w", err)
		}
		if err := a.b.Empty(ctx); err != nil {
			return err
		}
		a.counters.DeletedHard += n
	}
	return nil
}

// put brings batches of one schema into a staging table, which is used again by the next set.
func (a *changes) put(ctx context.Context, what string, batches ...*batch.Batch) (string, error) {
	schema := batches[0].Schema
	id := what + ":" + strings.Join(schema.Names(), "\x00")
	if a.changing.tables == nil {
		a.changing.tables = map[string]string{}
	}
	table, made := a.changing.tables[id]
	var stage connector.Stage
	var err error
	if again, ok := a.b.(Reopener); ok && made {
		if _, err = a.b.Exec(ctx, "TRUNCATE "+table); err == nil {
			stage, err = again.ReopenStage(ctx, table, schema)
		}
	} else {
		a.stages++
		table = a.b.StageTable(a.stages)
		stage, err = a.b.OpenStage(ctx, table, schema, connector.StageRows, false)
		a.changing.tables[id] = table
	}
	if err != nil {
		return "", fmt.Errorf("open the way into %s: %w", table, err)
	}
	return table, write(ctx, stage, batches...)
}

func write(ctx context.Context, stage connector.Stage, batches ...*batch.Batch) error {
	rows := int64(0)
	for _, b := range batches {
		if b.Rows() == 0 {
			continue
		}
		if err := stage.Write(ctx, b); err != nil {
			return err
		}
		rows += int64(b.Rows())
	}
	stats, err := stage.Close(ctx)
	if err == nil && stats.Rows != rows {
		err = &connector.Error{Code: "load.rows", Msg: fmt.Sprintf("%d changed rows were sent and the sink took %d", rows, stats.Rows)}
	}
	return err
}

// stage brings the whole rows to the sink's side, and completes those that moved
// to another key from the target's row with the old one.
func (a *changes) stage(ctx context.Context) (err error) {
	a.rows = ""
	batches := []*batch.Batch{a.set.Upserts}
	rows := a.set.Upserts.Rows()
	if !a.unique {
		batches = append(batches, a.set.Inserts)
		rows += a.set.Inserts.Rows()
	}
	if rows == 0 && len(a.set.Moves) == 0 {
		return nil
	}
	if a.rows, err = a.put(ctx, "rows", batches...); err != nil {
		return err
	}
	for _, m := range a.set.Moves {
		table, err := a.put(ctx, "moves", m)
		if err != nil {
			return err
		}
		values := make([]string, len(a.columns))
		for i, c := range a.columns {
			alias := "t."
			if m.Schema.Index(c.Name) >= 0 {
				alias = "s."
			}
			values[i] = alias + a.d.Quote(c.Name)
		}
		old := make([]string, len(a.key))
		for i, k := range a.key {
			old[i] = "s." + a.d.Quote(connector.MovedFrom(i)) + " AS " + a.d.Quote(k)
		}
		n, err := a.b.Exec(ctx, "INSERT INTO "+a.rows+" ("+a.Tx.columns("", a.columns)+") SELECT "+strings.Join(values, ", ")+
			" FROM "+table+" AS s CROSS JOIN LATERAL (SELECT "+strings.Join(old, ", ")+") AS old JOIN "+a.b.Target()+" AS t ON "+a.match("t", "old", a.columns, a.key))
		if err != nil {
			return connector.Fail("apply.move", err, "complete the rows whose key changed")
		}
		if n != int64(m.Rows()) {
			return a.missing(int64(m.Rows())-n, "got another key")
		}
	}
	return nil
}

// missing is the answer to a change that needs a row which the target does not have.
func (a *changes) missing(n int64, what string) error {
	return &connector.Error{
		Code: "cdc.row_missing", Msg: fmt.Sprintf("%d rows that %s in the source are not in the target, so that their unchanged large values cannot be told", n, what),
		Fix: "somebody else has changed the target; load the table again, or set REPLICA IDENTITY FULL on the source's table",
	}
}

func (a *changes) delete(ctx context.Context) error {
	if a.set.Deletes.Rows() == 0 || a.policy == ignoreDelete {
		return nil
	}
	table, err := a.put(ctx, "keys", a.set.Deletes)
	if err != nil {
		return err
	}
	where := " WHERE EXISTS (SELECT 1 FROM " + table + " AS s WHERE " + a.match("t", "s", a.columns, a.key) + ")"
	var n int64
	if a.policy == softDelete {
		n, err = a.softDelete(ctx, where)
		a.counters.DeletedSoft += n
	} else {
		n, err = a.b.Exec(ctx, "DELETE FROM "+a.b.Target()+" AS t"+where)
		a.counters.DeletedHard += n
	}
	if err != nil {
		return connector.Fail("apply.delete", err, "delete the rows that are gone")
	}
	return nil
}

// insert puts the new rows in, for which nobody need look at the target. They come
// last, because they may have what others gave up in a second unique column. Should one
// of their keys be there all the same, as a row that was deleted softly or that
// somebody else wrote, they are treated like the others.
func (a *changes) insert(ctx context.Context) error {
	if !a.unique || a.set.Inserts.Rows() == 0 {
		return nil
	}
	direct, table := a.b.Direct(a.columns), ""
	var err error
	if !direct {
		if table, err = a.put(ctx, "new rows", a.set.Inserts); err != nil {
			return err
		}
	}
	if _, err := a.b.Exec(ctx, "SAVEPOINT dpone_insert"); err != nil {
		return fmt.Errorf("begin to insert the new rows: %w", err)
	}
	first := a.insertNew(ctx, table)
	if first == nil {
		a.counters.Inserted += int64(a.set.Inserts.Rows())
		_, err = a.b.Exec(ctx, "RELEASE SAVEPOINT dpone_insert")
		return err
	}
	if ctx.Err() != nil {
		return first
	}
	if _, err := a.b.Exec(ctx, "ROLLBACK TO SAVEPOINT dpone_insert"); err != nil {
		return first
	}
	if direct {
		if table, err = a.put(ctx, "new rows", a.set.Inserts); err != nil {
			return err
		}
	}
	rows := a.rows
	defer func() { a.rows = rows }()
	a.rows = table
	return a.upsert(ctx)
}

// insertNew inserts the new rows out of a staging table, or right away when none is named.
func (a *changes) insertNew(ctx context.Context, table string) error {
	if table == "" {
		stage, err := a.b.OpenStage(ctx, a.b.Target(), a.columns, connector.StageDirect, false)
		if err != nil {
			return err
		}
		return write(ctx, stage, a.set.Inserts)
	}
	_, err := a.b.Exec(ctx, "INSERT INTO "+a.b.Target()+" ("+a.Tx.columns("", a.columns)+") "+a.d.Overriding+" SELECT "+a.values("s", a.columns)+" FROM "+table+" AS s")
	return err
}

// upsert brings the staged rows into the target.
func (a *changes) upsert(ctx context.Context) error {
	if a.rows == "" {
		return nil
	}
	apply := connector.Apply{Mode: manifest.IncrementalMerge, Columns: a.columns, Key: a.key}
	var c connector.Counters
	var err error
	switch {
	case a.policy == softDelete:
		c, err = a.mergeReviving(ctx, apply, a.load.Strategy.SoftDelete)
	case !a.unique:
		c, err = a.merge(ctx, apply)
	default:
		c, err = a.conflict(ctx)
	}
	a.counters.Add(c)
	return err
}

// conflict puts every staged row in, and writes those that are there only when they
// differ. Unlike a merge it does not look for the row before: most changes are real.
func (a *changes) conflict(ctx context.Context) (c connector.Counters, err error) {
	rest := without(a.columns, a.key)
	quoted := make([]string, len(a.key))
	for i, k := range a.key {
		quoted[i] = a.d.Quote(k)
	}
	action := "DO NOTHING"
	if len(rest) > 0 {
		action = "DO UPDATE SET " + a.assign(rest, func(c batch.Column) string { return "excluded." + a.d.Quote(c.Name) }, "") +
			" WHERE " + a.d.Differs("target", "excluded", rest)
	}
	var staged int64
	// A row is inserted when its transaction id of deletion is still unset.
	err = a.b.Query(ctx, "WITH applied AS (INSERT INTO "+a.b.Target()+" AS target ("+a.Tx.columns("", a.columns)+") "+a.d.Overriding+
		" SELECT "+a.values("s", a.columns)+" FROM "+a.rows+" AS s ON CONFLICT ("+strings.Join(quoted, ", ")+") "+action+
		" RETURNING (target.xmax = 0) AS inserted)"+
		" SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted), (SELECT count(*) FROM "+a.rows+") FROM applied", nil,
		func(scan func(...any) error) error { return scan(&c.Inserted, &c.Updated, &staged) })
	if err != nil {
		return c, connector.Fail("apply.merge", err, "insert and update the changed rows")
	}
	c.Unchanged = staged - c.Inserted - c.Updated
	return c, nil
}

// complete updates the columns that the source sent and leaves the others as they are.
func (a *changes) complete(ctx context.Context) error {
	for _, p := range a.set.Partial {
		rest := without(p.Schema, a.key)
		if len(rest) == 0 {
			a.counters.Unchanged += int64(p.Rows())
			continue
		}
		table, err := a.put(ctx, "partial", p)
		if err != nil {
			return err
		}
		n, err := a.b.Exec(ctx, "UPDATE "+a.b.Target()+" AS t SET "+a.assign(rest, func(c batch.Column) string { return a.d.Staged("s", c) }, "")+
			" FROM "+table+" AS s WHERE "+a.match("t", "s", p.Schema, a.key))
		if err != nil {
			return connector.Fail("apply.merge", err, "update the columns that changed")
		}
		if n != int64(p.Rows()) {
			return a.missing(int64(p.Rows())-n, "changed")
		}
		a.counters.Updated += n
	}
	return nil
}
