package sqlsink

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// Apply changes the target by what is staged.
func (t *Tx) Apply(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	if a.Reconcile != nil {
		return t.reconcile(ctx, a)
	}
	if t.direct {
		return connector.Counters{Inserted: t.loaded.stats.Rows}, nil
	}
	if t.refill {
		return t.fill(ctx, a)
	}
	if len(a.Key) > 0 {
		if err := t.checkKey(ctx, t.rows, a.Key); err != nil {
			return connector.Counters{}, err
		}
	}
	if err := t.remember(a); err != nil {
		return connector.Counters{}, err
	}
	switch a.Mode {
	case manifest.IncrementalAppend:
		return t.appendNew(ctx, a)
	case manifest.IncrementalMerge:
		return t.merge(ctx, a)
	case manifest.Replace:
		return t.replace(ctx, a)
	case manifest.PartitionReplace:
		return t.replaceScope(ctx, a)
	case manifest.SnapshotDiff:
		return t.snapshotDiff(ctx, a)
	case manifest.SCD2:
		return t.history(ctx, a)
	case manifest.Backfill:
		return t.replaceRange(ctx, a)
	}
	return connector.Counters{}, fmt.Errorf("strategy %q has no form in SQL", a.Mode)
}

// remember notes where the rows of the load stand in the target once they are applied.
func (t *Tx) remember(a connector.Apply) (err error) {
	merged := "EXISTS (SELECT 1 FROM " + t.rows + " AS s WHERE " + t.match("t", "s", a.Columns, a.Key) + ")"
	condition := ""
	switch a.Mode {
	case manifest.IncrementalMerge, manifest.SnapshotDiff:
		condition = merged
	case manifest.SCD2:
		condition = "t." + t.d.Quote(t.load.Strategy.SCD2.Current) + " AND " + merged
	case manifest.Replace:
		condition = t.load.Strategy.CustomPredicate
	case manifest.PartitionReplace:
		condition, err = InCondition(t.d, *a.Scope)
	case manifest.Backfill:
		if t.load.Strategy.Backfill.InnerMode == manifest.IncrementalMerge {
			condition = merged
			break
		}
		condition, err = RangeCondition(t.d, *a.Range)
	}
	if condition != "" {
		t.applied = "(SELECT t.* FROM " + t.b.Target() + " AS t WHERE (" + condition + "\n)) AS applied"
	}
	return err
}

// fill empties the target and inserts the staged rows, which have other types than it.
func (t *Tx) fill(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	if err := t.b.Empty(ctx); err != nil {
		return connector.Counters{}, err
	}
	t.applied = t.b.DirectTable()
	n, err := t.insertInto(ctx, t.applied, a.Columns, "")
	return connector.Counters{Inserted: n}, err
}

func (t *Tx) columns(alias string, s batch.Schema) string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = alias + t.d.Quote(s[i].Name)
	}
	return strings.Join(names, ", ")
}

// values reads the staged columns as the target's types.
func (t *Tx) values(alias string, s batch.Schema) string {
	values := make([]string, len(s))
	for i := range s {
		values[i] = t.d.Staged(alias, s[i])
	}
	return strings.Join(values, ", ")
}

// match joins two rows on the key. Both sides have the target's type, so that an index serves.
func (t *Tx) match(target, staged string, s batch.Schema, key []string) string {
	parts := make([]string, len(key))
	for i, k := range key {
		parts[i] = target + "." + t.d.Quote(k) + " = " + t.d.Staged(staged, s[s.Index(k)])
	}
	return strings.Join(parts, " AND ")
}

// checkKey refuses NULL and duplicate keys, and leaves a unique index and statistics behind that the joins use.
func (t *Tx) checkKey(ctx context.Context, table string, key []string) error {
	quoted := t.quoteAll(key)
	if column, ok := t.load.Strategy.DuplicateColumn(); ok && table == t.rows {
		if err := t.keepLast(ctx, quoted, column); err != nil {
			return err
		}
	}
	if err := t.uniqueKey(ctx, table, key, quoted); err != nil {
		return err
	}
	if _, err := t.b.Exec(ctx, t.d.Analyze(table, quoted)); err != nil {
		return fmt.Errorf("analyze the staged key: %w", err)
	}
	n, err := t.number(ctx, "SELECT count(*) FROM "+table+" WHERE "+strings.Join(quoted, " IS NULL OR ")+" IS NULL") // the index knows
	if err != nil {
		return fmt.Errorf("look for NULL in the key: %w", err)
	}
	if n > 0 {
		return &connector.Error{
			Code: "key.null",
			Msg:  fmt.Sprintf("%d rows of the load have NULL in the key (%s)", n, strings.Join(key, ", ")),
			Fix:  "leave these rows out in the source, or choose another strategy.unique_key",
		}
	}
	return nil
}

func (t *Tx) quoteAll(names []string) []string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = t.d.Quote(n)
	}
	return quoted
}

// uniqueKey makes a unique index, for which NULL is no duplicate of NULL.
func (t *Tx) uniqueKey(ctx context.Context, table string, key, quoted []string) error {
	if _, err := t.b.Exec(ctx, "SAVEPOINT dpone_key"); err != nil {
		return fmt.Errorf("begin the key check: %w", err)
	}
	list := strings.Join(quoted, ", ")
	_, err := t.b.Exec(ctx, "CREATE UNIQUE INDEX "+t.d.Quote("dpone_key_"+fmt.Sprint(t.stages))+" ON "+t.indexable(table)+" ("+list+")")
	if err == nil {
		if _, err := t.b.Exec(ctx, "RELEASE SAVEPOINT dpone_key"); err != nil {
			return fmt.Errorf("end the key check: %w", err)
		}
		return nil
	}
	if _, rerr := t.b.Exec(ctx, "ROLLBACK TO SAVEPOINT dpone_key"); rerr != nil {
		return fmt.Errorf("index the staged key: %w", err)
	}
	var samples []string
	total := int64(0)
	qerr := t.b.Query(ctx, "SELECT count(*) OVER (), "+t.sample(quoted)+" FROM "+table+" WHERE "+strings.Join(quoted, " IS NOT NULL AND ")+" IS NOT NULL GROUP BY "+list+" HAVING count(*) > 1 ORDER BY "+list+" LIMIT 3", nil,
		func(scan func(...any) error) error {
			var s *string
			if err := scan(&total, &s); err != nil {
				return err
			}
			if s != nil {
				samples = append(samples, *s)
			}
			return nil
		})
	if qerr != nil {
		return fmt.Errorf("look for duplicate keys: %w", qerr)
	}
	if total == 0 {
		return fmt.Errorf("index the staged key: %w", err)
	}
	return &connector.Error{
		Code: "key.duplicate",
		Msg:  fmt.Sprintf("%d keys (%s) come more than once in the load, for example %s", total, strings.Join(key, ", "), strings.Join(samples, "; ")),
		Fix:  "choose another strategy.unique_key, or set strategy.duplicate_policy to last_by:<column>",
	}
}

// indexable is the name that CREATE INDEX takes.
func (t *Tx) indexable(table string) string {
	if named, ok := t.b.(interface{ IndexTarget(string) string }); ok {
		return named.IndexTarget(table)
	}
	return table
}

func (t *Tx) sample(quoted []string) string {
	parts := make([]string, len(quoted))
	for i, q := range quoted {
		parts[i] = "CAST(" + q + " AS text)"
	}
	return strings.Join(parts, " || ', ' || ")
}

func (t *Tx) keepLast(ctx context.Context, quoted []string, column string) error {
	at := t.rowSchema.Index(column)
	if at < 0 {
		return fmt.Errorf("strategy.duplicate_policy names %q, which the load does not have", column)
	}
	id := t.d.RowID
	n, err := t.b.Exec(ctx, "DELETE FROM "+t.rows+" WHERE "+id+" IN (SELECT dpone_id FROM (SELECT "+id+" AS dpone_id, row_number() OVER (PARTITION BY "+
		strings.Join(quoted, ", ")+" ORDER BY "+compared(t.d, t.rowSchema[at], false)+" DESC NULLS LAST, "+id+" DESC) AS dpone_n FROM "+t.rows+
		" WHERE "+strings.Join(quoted, " IS NOT NULL AND ")+" IS NOT NULL) AS ranked WHERE dpone_n > 1)")
	if err != nil {
		return connector.Fail("key.duplicate_policy", err, "keep the last row of each key by %q", column)
	}
	t.dropped = n
	return nil
}

func (t *Tx) insertAll(ctx context.Context, s batch.Schema, where string) (int64, error) {
	return t.insertInto(ctx, t.b.Target(), s, where)
}

func (t *Tx) insertInto(ctx context.Context, table string, s batch.Schema, where string) (int64, error) {
	n, err := t.b.Exec(ctx, "INSERT INTO "+table+" ("+t.columns("", s)+") "+t.d.Overriding+" SELECT "+t.values("s", s)+" FROM "+t.rows+" AS s"+where)
	if err != nil {
		return 0, connector.Fail("apply.insert", err, "insert the staged rows")
	}
	return n, nil
}

// replaceWhere deletes the target's rows that match and inserts all that are staged.
func (t *Tx) replaceWhere(ctx context.Context, a connector.Apply, where string) (connector.Counters, error) {
	var c connector.Counters
	var err error
	if c.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()+where); err != nil {
		return c, connector.Fail("apply.delete", err, "delete the rows that the load replaces")
	}
	c.Inserted, err = t.insertAll(ctx, a.Columns, "")
	return c, err
}

func (t *Tx) replace(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	predicate := t.load.Strategy.CustomPredicate
	if err := t.within(ctx, a.Columns, predicate, "replace.row_outside_predicate", "strategy.custom_predicate"); err != nil {
		return connector.Counters{}, err
	}
	return t.replaceWhere(ctx, a, " WHERE ("+predicate+"\n)")
}

// within refuses staged rows outside the part of the target that is replaced: the next run would not find them and add them again.
func (t *Tx) within(ctx context.Context, s batch.Schema, condition, code, field string) error {
	n, err := t.number(ctx, "SELECT count(*) FROM (SELECT "+t.aliased("s", s)+" FROM "+t.rows+" AS s) AS staged WHERE ("+condition+"\n) IS NOT TRUE")
	if err != nil {
		return connector.Fail("apply.scope", err, "hold the staged rows against %s", field)
	}
	if n > 0 {
		return &connector.Error{
			Code: code,
			Msg:  fmt.Sprintf("%d rows of the load lie outside %s", n, field),
			Fix:  "give the source the same condition in source.options.custom_predicate",
		}
	}
	return nil
}

func (t *Tx) aliased(alias string, s batch.Schema) string {
	values := make([]string, len(s))
	for i := range s {
		values[i] = t.d.Staged(alias, s[i]) + " AS " + t.d.Quote(s[i].Name)
	}
	return strings.Join(values, ", ")
}

func (t *Tx) replaceScope(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	condition, err := InCondition(t.d, *a.Scope)
	if err != nil {
		return connector.Counters{}, err
	}
	if err := t.within(ctx, a.Columns, condition, "partition.row_outside_scope", "strategy.partition.values"); err != nil {
		return connector.Counters{}, err
	}
	return t.replaceWhere(ctx, a, " WHERE "+condition)
}

func (t *Tx) replaceRange(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	if t.load.Strategy.Backfill.InnerMode == manifest.IncrementalMerge {
		return t.merge(ctx, a)
	}
	condition, err := RangeCondition(t.d, *a.Range)
	if err != nil {
		return connector.Counters{}, err
	}
	return t.replaceWhere(ctx, a, " WHERE "+condition)
}

// InCondition writes a condition in SQL.
func InCondition(d *Dialect, in connector.In) (string, error) {
	column := d.Quote(in.Column.Name)
	var list []string
	null := false
	for _, v := range in.Values {
		if v == nil {
			null = true
			continue
		}
		l, err := d.Literal(in.Column, v)
		if err != nil {
			return "", err
		}
		list = append(list, l)
	}
	var parts []string
	if len(list) > 0 {
		parts = append(parts, compared(d, in.Column, true)+" IN ("+strings.Join(list, ", ")+")")
	}
	if null {
		parts = append(parts, column+" IS NULL")
	}
	if len(parts) == 0 {
		return "(1 = 0)", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", nil
}

// RangeCondition writes a condition in SQL.
func RangeCondition(d *Dialect, r connector.Range) (string, error) {
	column := compared(d, r.Column, false)
	var parts []string
	if r.From != nil {
		l, err := d.Literal(r.Column, r.From)
		if err != nil {
			return "", err
		}
		parts = append(parts, column+" >= "+l)
	}
	if r.To != nil {
		l, err := d.Literal(r.Column, r.To)
		if err != nil {
			return "", err
		}
		op := " < "
		if r.ToInclusive {
			op = " <= "
		}
		parts = append(parts, column+op+l)
	}
	if len(parts) == 0 {
		return "(1 = 1)", nil
	}
	return "(" + strings.Join(parts, " AND ") + ")", nil
}

// compared is a column in a comparison with literals.
func compared(d *Dialect, c batch.Column, equality bool) string {
	if d.Compared == nil {
		return d.Quote(c.Name)
	}
	return d.Compared(d.Quote(c.Name), c.Type, equality)
}

// appendNew inserts the staged rows, without those whose key the target has when a key is given.
func (t *Tx) appendNew(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	var c connector.Counters
	where := ""
	if len(a.Key) > 0 {
		where = " WHERE NOT EXISTS (SELECT 1 FROM " + t.b.Target() + " AS t WHERE " + t.match("t", "s", a.Columns, a.Key) + ")"
	}
	if where != "" {
		if err := t.lock(ctx); err != nil {
			return c, err
		}
	}
	n, err := t.insertAll(ctx, a.Columns, where)
	if err != nil {
		return c, err
	}
	staged, err := t.staged(ctx)
	c.Inserted, c.Unchanged = n, staged-n
	return c, err
}

// merge inserts new keys, updates keys whose row differs and leaves all others untouched. A
// key that an earlier run deleted softly is alive again.
func (t *Tx) merge(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	return t.mergeReviving(ctx, a, t.load.Strategy.SoftDelete)
}

// mergeReviving does the same and clears the time of a soft delete of each key that came back.
func (t *Tx) mergeReviving(ctx context.Context, a connector.Apply, deletedAt string) (connector.Counters, error) {
	var c connector.Counters
	var err error
	target, s := t.b.Target(), a.Columns
	if deletedAt != "" {
		c.Reactivated, err = t.number(ctx, "SELECT count(*) FROM "+t.rows+" AS s JOIN "+target+" AS t ON "+t.match("t", "s", s, a.Key)+
			" WHERE t."+t.d.Quote(deletedAt)+" IS NOT NULL")
		if err != nil {
			return c, fmt.Errorf("count rows that came back: %w", err)
		}
	}
	unique := false
	if t.d.Upsert {
		if unique, err = t.b.UniqueIndex(ctx, a.Key); err != nil {
			return c, fmt.Errorf("look for a unique index on the key: %w", err)
		}
	}
	rest := written(s, a.Key)
	differs := t.d.Differs("t", "s", rest)
	if deletedAt != "" {
		differs = "(" + differs + " OR t." + t.d.Quote(deletedAt) + " IS NOT NULL)"
	}
	if unique {
		err = t.upsert(ctx, a, rest, differs, deletedAt, &c)
	} else {
		err = t.updateInsert(ctx, a, rest, differs, deletedAt, &c)
	}
	if err != nil {
		return c, err
	}
	staged, err := t.staged(ctx)
	c.Unchanged = staged - c.Inserted - c.Updated
	c.Updated -= c.Reactivated
	return c, err
}

// upsert is safe beside other writers, because the unique index decides. Rows that
// are there and the same are left out before, so that they are not even locked.
func (t *Tx) upsert(ctx context.Context, a connector.Apply, rest batch.Schema, differs, deletedAt string, c *connector.Counters) error {
	first := t.d.Quote(a.Key[0])
	quoted := t.quoteAll(a.Key)
	action := "DO NOTHING"
	if len(rest) > 0 || deletedAt != "" {
		action = "DO UPDATE SET " + t.assign(rest, func(c batch.Column) string { return "excluded." + t.d.Quote(c.Name) }, deletedAt)
	}
	// A row is inserted when its transaction id of deletion is still unset.
	sql := "WITH applied AS (INSERT INTO " + t.b.Target() + " AS target (" + t.columns("", a.Columns) + ") " + t.d.Overriding +
		" SELECT " + t.values("s", a.Columns) + " FROM " + t.rows + " AS s LEFT JOIN " + t.b.Target() + " AS t ON " + t.match("t", "s", a.Columns, a.Key) +
		" WHERE t." + first + " IS NULL OR " + differs +
		" ON CONFLICT (" + strings.Join(quoted, ", ") + ") " + action + " RETURNING (target.xmax = 0) AS inserted)" +
		" SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM applied"
	err := t.b.Query(ctx, sql, nil, func(scan func(...any) error) error { return scan(&c.Inserted, &c.Updated) })
	if err != nil {
		return connector.Fail("apply.merge", err, "merge the staged rows")
	}
	return nil
}

func (t *Tx) assign(rest batch.Schema, value func(batch.Column) string, deletedAt string) string {
	parts := make([]string, 0, len(rest)+1)
	for i := range rest {
		parts = append(parts, t.d.Quote(rest[i].Name)+" = "+value(rest[i]))
	}
	if deletedAt != "" {
		parts = append(parts, t.d.Quote(deletedAt)+" = NULL")
	}
	return strings.Join(parts, ", ")
}

func (t *Tx) lock(ctx context.Context) error {
	if t.d.Lock == "" {
		return nil
	}
	if _, err := t.b.Exec(ctx, fmt.Sprintf(t.d.Lock, t.b.Target())); err != nil {
		return connector.Fail("target.lock", err, "keep other writers off %s, whose key has no unique index", t.b.Target())
	}
	return nil
}

func (t *Tx) updateInsert(ctx context.Context, a connector.Apply, rest batch.Schema, differs, deletedAt string, c *connector.Counters) error {
	if err := t.lock(ctx); err != nil {
		return err
	}
	match := t.match("t", "s", a.Columns, a.Key)
	if err := t.oneRowEach(ctx, a, match); err != nil {
		return err
	}
	if len(rest) > 0 || deletedAt != "" {
		n, err := t.b.Exec(ctx, "UPDATE "+t.b.Target()+" AS t SET "+
			t.assign(rest, func(c batch.Column) string { return t.d.Staged("s", c) }, deletedAt)+
			" FROM "+t.rows+" AS s WHERE "+match+" AND "+differs)
		if err != nil {
			return connector.Fail("apply.merge", err, "update the rows that differ")
		}
		c.Updated = n
	}
	var err error
	c.Inserted, err = t.insertAll(ctx, a.Columns, " WHERE NOT EXISTS (SELECT 1 FROM "+t.b.Target()+" AS t WHERE "+match+")")
	return err
}

// oneRowEach refuses a target that has several rows of one key, of which nobody can tell which one is meant.
func (t *Tx) oneRowEach(ctx context.Context, a connector.Apply, match string) error {
	keys, _ := a.Columns.Pick(a.Key)
	n, err := t.number(ctx, "SELECT count(*) FROM (SELECT 1 AS one FROM "+t.rows+" AS s JOIN "+t.b.Target()+" AS t ON "+match+
		" GROUP BY "+t.columns("s.", keys)+" HAVING count(*) > 1) AS doubled")
	if err != nil {
		return connector.Fail("apply.merge", err, "look for keys that the target has twice")
	}
	if n > 0 {
		return &connector.Error{
			Code: "target.duplicate_key", Msg: fmt.Sprintf("%d keys (%s) of the load have several rows in the target", n, strings.Join(a.Key, ", ")),
			Fix: "remove the duplicates and give the target a unique index on the key",
		}
	}
	return nil
}

// written are the columns that an update may have to write: those outside of the key, and
// those of the key in which equal values can look different, as 1.0 and 1.00 do.
func written(s batch.Schema, key []string) batch.Schema {
	rest := make(batch.Schema, 0, len(s))
	for i := range s {
		if !slices.Contains(key, s[i].Name) || !exact(s[i].Type.Kind) {
			rest = append(rest, s[i])
		}
	}
	return rest
}

// exact is true for types whose equal values are the same to the last byte.
func exact(k logical.Kind) bool {
	switch k {
	case logical.Bool, logical.Int16, logical.Int32, logical.Int64, logical.Bytes, logical.Date, logical.Time,
		logical.Timestamp, logical.TimestampTZ, logical.UUID:
		return true
	}
	return false
}

func without(s batch.Schema, names []string) batch.Schema {
	return slices.DeleteFunc(slices.Clone(s), func(c batch.Column) bool { return slices.Contains(names, c.Name) })
}

// snapshotDiff makes the target equal to the staged snapshot and writes only what differs.
func (t *Tx) snapshotDiff(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	var gone connector.Counters
	var err error
	deletedAt := ""
	missing := " WHERE NOT EXISTS (SELECT 1 FROM " + t.rows + " AS s WHERE " + t.match("t", "s", a.Columns, a.Key) + ")"
	policy := t.load.Strategy.Diff.DeletePolicy
	if policy == "" && t.load.Strategy.SoftDelete != "" {
		policy = "soft_delete" // another strategy that compares a whole snapshot
	}
	switch policy {
	case "ignore":
	case "soft_delete":
		deletedAt = t.load.Strategy.SoftDelete
		gone.DeletedSoft, err = t.softDelete(ctx, missing)
	default:
		if once, err := t.onceCompared(ctx, a); err != nil {
			return gone, err
		} else if once {
			return t.diffOnce(ctx, a)
		}
		gone.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()+" AS t"+missing)
	}
	if err != nil {
		return gone, connector.Fail("apply.delete", err, "delete the keys that are gone")
	}
	c, err := t.mergeReviving(ctx, a, deletedAt)
	c.Add(gone)
	return c, err
}

// onceColumns bounds the rows of diffOnce, which hold the key twice and still have
// to fit into a page.
const onceColumns = 100

// onceCompared says whether both tables can be compared in one join. Without a
// unique index the target is locked first, and compared under the lock.
func (t *Tx) onceCompared(ctx context.Context, a connector.Apply) (bool, error) {
	if _, ok := t.b.(FullJoiner); !ok || !t.d.Upsert || len(a.Columns) > onceColumns {
		return false, nil
	}
	unique, err := t.b.UniqueIndex(ctx, a.Key)
	if err != nil {
		return false, fmt.Errorf("look for a unique index on the key: %w", err)
	}
	return unique, nil
}

// diffOnce compares both tables in one join, which costs more than all the rest,
// and keeps only what differs for the statements that write.
func (t *Tx) diffOnce(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	var c connector.Counters
	t.stages++
	rows, diff, target := t.rows, t.b.StageTable(t.stages), t.b.Target()
	var old, is, null []string
	for i, k := range a.Key {
		name := fmt.Sprintf("dpone_key_%d", i)
		old = append(old, "t."+t.d.Quote(k)+" AS "+name)
		is = append(is, "t."+t.d.Quote(k)+" = s."+name)
		null = append(null, t.d.Quote(k)+" IS NULL")
	}
	first := t.d.Quote(a.Key[0])
	if err := t.b.(FullJoiner).FullJoin(ctx, rows, a.Key, "CREATE TEMPORARY TABLE "+diff+" ON COMMIT DROP AS SELECT "+t.columns("s.", a.Columns)+", "+strings.Join(old, ", ")+
		" FROM "+rows+" AS s FULL JOIN "+target+" AS t ON "+t.match("t", "s", a.Columns, a.Key)+
		" WHERE s."+first+" IS NULL OR t."+first+" IS NULL OR "+t.d.Differs("t", "s", written(a.Columns, a.Key))); err != nil {
		return c, connector.Fail("apply.diff", err, "compare the staged rows with the target")
	}
	for _, sql := range []string{
		"DELETE FROM " + target + " AS t USING " + diff + " AS s WHERE s." + first + " IS NULL AND " + strings.Join(is, " AND "),
		"DELETE FROM " + target + " WHERE " + strings.Join(null, " OR "), // no key of the source is NULL
	} {
		n, err := t.b.Exec(ctx, sql)
		if err != nil {
			return c, connector.Fail("apply.delete", err, "delete the keys that are gone")
		}
		c.DeletedHard += n
	}
	for _, sql := range []string{"DELETE FROM " + diff + " WHERE " + first + " IS NULL", t.d.Analyze(diff, t.quoteAll(a.Key))} {
		if _, err := t.b.Exec(ctx, sql); err != nil {
			return c, connector.Fail("apply.diff", err, "look at the rows that differ")
		}
	}
	t.rows = diff
	merged, err := t.merge(ctx, a)
	t.rows = rows // what is evaluated afterwards is the whole load
	c.Add(merged)
	if err != nil {
		return c, err
	}
	staged, err := t.staged(ctx)
	c.Unchanged = staged - c.Inserted - c.Updated
	return c, err
}

// softDelete keeps the time at which a row was first found to be gone.
func (t *Tx) softDelete(ctx context.Context, where string) (int64, error) {
	column := t.d.Quote(t.load.Strategy.SoftDelete)
	now, err := t.now()
	if err != nil {
		return 0, err
	}
	return t.b.Exec(ctx, "UPDATE "+t.b.Target()+" AS t SET "+column+" = "+now+where+" AND t."+column+" IS NULL")
}

// now is the one time of the load, as the target keeps it.
func (t *Tx) now() (string, error) {
	at := batch.Column{Type: logical.Type{Kind: logical.TimestampTZ}}
	value, err := logical.ParseText(nil, at.Type, []byte(t.load.Now))
	if err != nil {
		return "", fmt.Errorf("time of the load: %w", err)
	}
	return t.d.Literal(at, value)
}

// history keeps every version of a row. One time closes the old version and opens
// the new one, so that versions neither overlap nor leave a gap.
func (t *Tx) history(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	var c connector.Counters
	o := t.load.Strategy.SCD2
	q := t.d.Quote
	target := t.b.Target()
	now, err := t.now()
	if err != nil {
		return c, err
	}
	if err := t.lock(ctx); err != nil {
		return c, err
	}
	n, err := t.number(ctx, "SELECT count(*) FROM "+target+" AS t WHERE (t."+q(o.Current)+" AND t."+q(o.ValidFrom)+" >= "+now+") OR t."+q(o.ValidTo)+" > "+now)
	if err != nil {
		return c, connector.Fail("apply.scd2", err, "look for versions from the future")
	}
	if n > 0 {
		return c, &connector.Error{
			Code: "scd2.clock", Msg: fmt.Sprintf("%d versions begin or end after the time of this run, %s", n, t.load.Now),
			Fix: "the clock of this machine or of an earlier run is wrong; correct it and run again",
		}
	}
	match := t.match("t", "s", a.Columns, a.Key)
	hash := t.d.RowHash("s", a.Columns)
	closing := "UPDATE " + target + " AS t SET " + q(o.ValidTo) + " = " + now + ", " + q(o.Current) + " = " + t.d.False
	if c.Updated, err = t.b.Exec(ctx, closing+" FROM "+t.rows+" AS s WHERE t."+q(o.Current)+" AND "+match+
		" AND "+t.d.Differs("t", "s", a.Columns)); err != nil {
		return c, connector.Fail("apply.scd2", err, "close the versions that changed")
	}
	if o.DeletePolicy != "ignore" {
		if c.DeletedSoft, err = t.b.Exec(ctx, closing+" WHERE t."+q(o.Current)+" AND NOT EXISTS (SELECT 1 FROM "+t.rows+" AS s WHERE "+match+")"); err != nil {
			return c, connector.Fail("apply.scd2", err, "close the versions of keys that are gone")
		}
	}
	opened, err := t.b.Exec(ctx, "INSERT INTO "+target+" ("+t.columns("", a.Columns)+", "+q(o.ValidFrom)+", "+q(o.ValidTo)+", "+q(o.Current)+", "+q(o.RowHash)+") "+
		t.d.Overriding+" SELECT "+t.values("s", a.Columns)+", "+now+", NULL, "+t.d.True+", "+hash+" FROM "+t.rows+
		" AS s WHERE NOT EXISTS (SELECT 1 FROM "+target+" AS t WHERE t."+q(o.Current)+" AND "+match+")")
	if err != nil {
		return c, connector.Fail("apply.scd2", err, "open the new versions")
	}
	staged, err := t.staged(ctx)
	c.Inserted, c.Unchanged = opened-c.Updated, staged-opened
	return c, err
}

// reconcile deletes the target's rows whose key the source no longer has, within the guards.
func (t *Tx) reconcile(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	var c connector.Counters
	r := *a.Reconcile
	if err := t.checkKey(ctx, t.keys, a.Key); err != nil {
		return c, err
	}
	keys, err := t.number(ctx, "SELECT count(*) FROM "+t.keys)
	if err != nil {
		return c, err
	}
	live := ""
	if r.DeletePolicy == "soft_delete" {
		live = " AND t." + t.d.Quote(t.load.Strategy.SoftDelete) + " IS NULL"
	}
	missing := " WHERE NOT EXISTS (SELECT 1 FROM " + t.keys + " AS s WHERE " + t.match("t", "s", a.Columns, a.Key) + ")"
	var total, gone int64
	if total, err = t.number(ctx, "SELECT count(*) FROM "+t.b.Target()+" AS t WHERE true"+live); err != nil {
		return c, err
	}
	if gone, err = t.number(ctx, "SELECT count(*) FROM "+t.b.Target()+" AS t"+missing+live); err != nil {
		return c, err
	}
	if err := guard(r, keys, total, gone); err != nil {
		return c, err
	}
	if there := total - gone; t.load.Strategy.Mode == manifest.XMin && there < keys {
		return c, &connector.Error{
			Code: "reconciliation.missing_keys", Msg: fmt.Sprintf("%d keys of the source are not in %s, which the earlier runs had loaded", keys-there, t.b.Target()),
			Fix: "something else deleted them from the target; empty it, and the next run loads the whole table",
		}
	}
	if gone == 0 {
		return c, nil
	}
	if r.DeletePolicy == "soft_delete" {
		c.DeletedSoft, err = t.softDelete(ctx, missing)
	} else {
		c.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()+" AS t"+missing)
	}
	if err != nil {
		return c, connector.Fail("apply.delete", err, "delete the keys that are gone")
	}
	return c, nil
}

// guard refuses a reconciliation that would delete more than it may.
func guard(r manifest.Reconciliation, keys, total, gone int64) error {
	switch {
	case keys == 0 && total > 0 && r.EmptySource != "allow":
		return &connector.Error{
			Code: "reconciliation.empty_source", Msg: fmt.Sprintf("the source has no row at all, the target has %d", total),
			Fix: "if that is right, set reconciliation.empty_snapshot to allow",
		}
	case r.Guards.MaxDeleteRows != nil && gone > *r.Guards.MaxDeleteRows:
		return &connector.Error{
			Code: "reconciliation.max_delete_rows", Msg: fmt.Sprintf("%d rows would be deleted, at most %d may", gone, *r.Guards.MaxDeleteRows),
			Fix: "if that is right, raise reconciliation.guards.max_delete_rows",
		}
	case r.Guards.MaxDeleteRatio != nil && total > 0 && float64(gone)/float64(total) > *r.Guards.MaxDeleteRatio:
		return &connector.Error{
			Code: "reconciliation.max_delete_ratio",
			Msg:  fmt.Sprintf("%d of %d rows would be deleted, which is more than the share of %v", gone, total, *r.Guards.MaxDeleteRatio),
			Fix:  "if that is right, raise reconciliation.guards.max_delete_ratio",
		}
	}
	return nil
}
