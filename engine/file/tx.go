package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// tx is one load. Nothing that readers see changes before Commit.
type tx struct {
	s    *sink
	root *os.Root
	load connector.Load
	id   string
	old  *dataset.Manifest // as published; its schemas grow by those of the load

	columns batch.Schema
	key     []string

	writer     *writer
	pending    map[string]bool // paths of files that are still in the load's own folder
	files      int             // that the load has begun
	staging    []dataset.File  // the rows of the load as they came
	stagedRows int64
	stagedDone bool
	next       []dataset.File // the target after the load

	committed, ended bool
}

func (t *tx) State(context.Context) (connector.State, error) {
	s := t.old.State(t.load.Pipeline)
	return connector.State{Revision: s.Revision, Position: s.Position}, nil
}

func (t *tx) Receipt(_ context.Context, window string) (*connector.Receipt, error) {
	return t.old.Receipt(t.load.Pipeline, window), nil
}

// Alter changes the columns that the manifest will have. Files are read in the
// columns in which they were written.
func (t *tx) Alter(_ context.Context, changes []connector.Change) error {
	for _, c := range changes {
		for _, column := range c.Columns {
			if _, err := native(t.s.format, column.Type); err != nil {
				return fmt.Errorf("column %q: %w", column.Name, err)
			}
		}
		switch c.Kind {
		case "create":
			if t.old.Revision > 0 && len(t.old.Files) > 0 && t.load.Strategy.Mode != manifest.FullRefresh {
				return connector.Fail("target.exists", nil, "the data set %q exists", t.s.dir)
			}
			t.columns, t.key = append(batch.Schema(nil), c.Columns...), c.Key
		case "add":
			for _, column := range c.Columns {
				if t.columns.Index(column.Name) >= 0 {
					return connector.Fail("target.column", nil, "the column %q exists", column.Name)
				}
				if column.NotNull && t.old.Rows() > 0 {
					return connector.Fail("target.column", nil, "the column %q cannot be NOT NULL, because rows exist", column.Name)
				}
				t.columns = append(append(batch.Schema(nil), t.columns...), column)
			}
		case "widen":
			for _, column := range c.Columns {
				i := t.columns.Index(column.Name)
				if i < 0 {
					return connector.Fail("target.column", nil, "there is no column %q to widen", column.Name)
				}
				if err := convertible(t.columns[i].Type, column.Type); err != nil {
					return connector.Fail("target.column", err, "column %q", column.Name)
				}
				t.columns = append(batch.Schema(nil), t.columns...)
				t.columns[i].Type = column.Type
				t.columns[i].NotNull = t.columns[i].NotNull && column.NotNull
			}
		default:
			return connector.Fail("target.change", nil, "files do not know the change %q", c.Kind)
		}
	}
	return nil
}

// Values reads the column of every file of the target. NULL comes last.
func (t *tx) Values(ctx context.Context, column batch.Column, limit int) ([][]byte, error) {
	s, err := t.snapshot(t.next)
	if err != nil {
		return nil, err
	}
	return s.Values(ctx, column, limit)
}

func (t *tx) Stage(_ context.Context, columns batch.Schema, kind connector.StageKind) (connector.Stage, error) {
	if kind == connector.StageKeys {
		return nil, connector.Fail("sink.mode", nil, "files do not reconcile deletes; remove reconciliation, or use a sink with keys")
	}
	if t.writer != nil {
		return nil, connector.Fail("sink.stage", nil, "the load has a stage already")
	}
	schema := append(batch.Schema(nil), columns...)
	for i := range schema {
		at := t.columns.Index(schema[i].Name)
		if at < 0 {
			return nil, connector.Fail("target.column", nil, "the target has no column %q", schema[i].Name)
		}
		if err := convertible(schema[i].Type, t.columns[at].Type); err != nil {
			return nil, connector.Fail("target.column", err, "column %q", schema[i].Name)
		}
		schema[i].NotNull = t.columns[at].NotNull
	}
	for _, c := range t.columns {
		if c.NotNull && schema.Index(c.Name) < 0 {
			return nil, connector.Fail("target.column", nil, "the column %q has no NULL, and the load does not fill it", c.Name)
		}
	}
	st := t.load.Strategy
	if st.Mode == manifest.PartitionReplace && schema.Index(st.Partition.Column) < 0 {
		return nil, connector.Fail("target.column", nil, "strategy.partition.column %q is none of the columns %q", st.Partition.Column, schema.Names())
	}
	t.writer = t.newWriter(schema)
	return &stage{w: t.writer}, nil
}

// snapshot makes files of the manifest readable, those of the load from its own folder.
func (t *tx) snapshot(files []dataset.File) (*snapshot, error) {
	s := &snapshot{
		set:    &set{root: t.root},
		layout: &layout{columns: t.columns, native: names(t.columns, ""), known: true, first: t.s.dir},
		sums:   make(map[string]string),
	}
	for i := range files {
		in, err := datasetInput(t.old, &files[i])
		if err != nil {
			return nil, err
		}
		if t.pending[files[i].Path] {
			in.rel = t.staged(files[i].Path)
			in.sha256 = "" // written a moment ago
		}
		if in.info, err = regular(t.root, in.rel); err != nil {
			return nil, err
		}
		s.set.files = append(s.set.files, in)
	}
	return s, nil
}

// each reads files in the given columns and hands on the batches.
func (t *tx) each(ctx context.Context, files []dataset.File, columns batch.Schema, c *condition, do func(*batch.Batch) error) (err error) {
	s, err := t.snapshot(files)
	if err != nil {
		return err
	}
	r, err := newReader(s, columns, c, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b := batch.New(columns)
	for {
		switch err := r.Next(ctx, b); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := do(b); err != nil {
			return err
		}
	}
}

// Apply works out the files of the target after the load.
func (t *tx) Apply(ctx context.Context, a connector.Apply) (connector.Counters, error) {
	var counters connector.Counters
	if t.writer != nil && !t.stagedDone {
		return counters, connector.Fail("sink.stage", nil, "the stage is not closed")
	}
	if a.Reconcile != nil {
		return counters, connector.Fail("sink.mode", nil, "files do not reconcile deletes; use a sink with keys")
	}
	added := t.staging
	counters.Inserted = t.stagedRows
	kept := t.old.Files
	var gone int64
	var err error
	switch {
	case a.Mode == manifest.FullRefresh:
		kept, gone = nil, t.old.Rows()
	case a.Mode == manifest.IncrementalAppend:
		if len(a.Key) > 0 || t.load.Strategy.OnlyNewRows {
			added, counters.Unchanged, err = t.onlyNew(ctx, a.Key)
			counters.Inserted -= counters.Unchanged
		}
	case a.Mode == manifest.PartitionReplace:
		if a.Scope == nil {
			return counters, connector.Fail("sink.scope", nil, "partition_replace needs the values that are replaced")
		}
		c := &condition{filter: newFilter()}
		c.filter.In(c.add(a.Scope.Column), a.Scope.Column.Type.Kind, a.Scope.Values)
		// The chunk of a backfill for NULL comes this way, too; its files are not cut by the column.
		if t.load.Strategy.Mode == manifest.PartitionReplace {
			if err := t.within(a.Scope); err != nil {
				return counters, err
			}
		}
		kept, gone, err = t.without(ctx, c, a.Scope, nil)
	case a.Mode == manifest.Backfill, a.Mode == manifest.Replace && a.Range != nil:
		if a.Range == nil {
			return counters, connector.Fail("sink.range", nil, "backfill needs the range that is replaced")
		}
		c, cerr := conditions(t.columns, connector.Request{Range: a.Range})
		if cerr != nil {
			return counters, cerr
		}
		if c == nil { // both ends are open
			kept, gone = nil, t.old.Rows()
			break
		}
		kept, gone, err = t.without(ctx, c, nil, a.Range)
	case a.Mode == manifest.Replace:
		c, cerr := where(t.columns, t.load.Strategy.CustomPredicate)
		if cerr != nil {
			return counters, cerr
		}
		kept, gone, err = t.without(ctx, c, nil, nil)
	default:
		return counters, connector.Fail("sink.mode", nil, "files do not know the strategy %q", a.Mode)
	}
	if err != nil {
		return counters, err
	}
	counters.DeletedHard = gone
	t.next = append(append([]dataset.File(nil), kept...), added...)
	return counters, nil
}

// within refuses staged rows of partitions that are not replaced.
func (t *tx) within(scope *connector.In) error {
	k := scope.Column.Type.Kind
	allowed := make(map[string]bool)
	for _, v := range scope.Values {
		if v != nil {
			allowed[string(order.AppendKey([]byte{'v'}, k, v))] = true
		} else {
			allowed[""] = true
		}
	}
	for i := range t.staging {
		key, known, err := partitionKey(&t.staging[i], scope.Column)
		if err != nil {
			return err
		}
		if !known || !allowed[key] {
			value := "NULL"
			if p := t.staging[i].Partition; p != nil && p.Value != nil {
				value = *p.Value
			}
			return connector.Fail("sink.scope", nil, "the load has rows with %s = %.80q, which is not one of the partitions that it replaces", scope.Column.Name, value)
		}
	}
	return nil
}

// partitionKey gives the key of the one value that the column has in a file.
func partitionKey(f *dataset.File, column batch.Column) (key string, known bool, err error) {
	if f.Partition == nil || f.Partition.Column != column.Name {
		return "", false, nil
	}
	if f.Partition.Value == nil {
		return "", true, nil
	}
	v, err := logical.ParseText(nil, column.Type, []byte(*f.Partition.Value))
	if err != nil {
		return "", false, connector.Fail("dataset.manifest", err, "the partition of %s", f.Path)
	}
	return string(order.AppendKey([]byte{'v'}, column.Type.Kind, v)), true, nil
}

// outside says that the file cannot hold a row of the range.
func outside(f *dataset.File, r *connector.Range) bool {
	b := f.Bounds
	if r == nil || b == nil || b.Column != r.Column.Name {
		return false
	}
	if b.Least == "" && b.Greatest == "" {
		return r.Column.Type.Kind != logical.Text && r.Column.Type.Kind != logical.Bytes
	}
	least, err := logical.ParseText(nil, r.Column.Type, []byte(b.Least))
	greatest, err2 := logical.ParseText(nil, r.Column.Type, []byte(b.Greatest))
	if err != nil || err2 != nil {
		return false
	}
	k := r.Column.Type.Kind
	if r.From != nil && order.Compare(k, greatest, r.From) < 0 {
		return true
	}
	if r.To == nil {
		return false
	}
	c := order.Compare(k, least, r.To)
	return c > 0 || c == 0 && !r.ToInclusive
}

// without gives the target's files without the rows that the condition matches.
// Files without such a row stay, files with nothing else go, the others are written anew.
func (t *tx) without(ctx context.Context, c *condition, scope *connector.In, r *connector.Range) (kept []dataset.File, gone int64, err error) {
	var values map[string]bool
	if scope != nil {
		values = make(map[string]bool)
		for _, v := range scope.Values {
			if v == nil {
				values[""] = true
			} else {
				values[string(order.AppendKey([]byte{'v'}, scope.Column.Type.Kind, v))] = true
			}
		}
	}
	for i := range t.old.Files {
		f := t.old.Files[i : i+1]
		if scope != nil {
			key, known, err := partitionKey(&f[0], scope.Column)
			if err != nil {
				return nil, 0, err
			}
			if known {
				if values[key] {
					gone += f[0].Rows
				} else {
					kept = append(kept, f[0])
				}
				continue
			}
		}
		if outside(&f[0], r) {
			kept = append(kept, f[0])
			continue
		}
		var matched int64
		if err := t.each(ctx, f, c.columns, c, func(b *batch.Batch) error {
			matched += int64(b.Rows())
			return nil
		}); err != nil {
			return nil, 0, err
		}
		gone += matched
		switch matched {
		case 0:
			kept = append(kept, f[0])
		case f[0].Rows:
		default:
			rest := *c
			rest.invert = true
			w := t.newWriter(t.columns)
			if err := t.each(ctx, f, t.columns, &rest, func(b *batch.Batch) error { return w.write(b, 0, b.Rows()) }); err != nil {
				w.abort()
				return nil, 0, err
			}
			if err := w.close(ctx); err != nil {
				w.abort()
				return nil, 0, err
			}
			if w.rows != f[0].Rows-matched {
				return nil, 0, connector.Fail("dataset.damaged", nil, "%s has not the %d rows that the manifest tells", f[0].Path, f[0].Rows)
			}
			kept = append(kept, w.files...)
		}
	}
	return kept, gone, nil
}

// onlyNew writes the staged files anew without the rows whose key the target has.
func (t *tx) onlyNew(ctx context.Context, key []string) (added []dataset.File, left int64, err error) {
	if len(key) == 0 {
		key = t.load.Strategy.UniqueKey
	}
	columns, ok := t.columns.Pick(key)
	if !ok || len(key) == 0 {
		return nil, 0, connector.Fail("sink.key", nil, "only_new_rows needs strategy.unique_key with columns of the target; it is %q", key)
	}
	for i := range columns {
		columns[i].NotNull = false
	}
	set, err := t.newKeySet(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer set.close()
	keys := tupler{columns: columns}
	if err := t.each(ctx, t.old.Files, columns, nil, func(b *batch.Batch) error {
		for row := range b.Rows() {
			if k, null := keys.tuple(b, row, nil); !null {
				if _, err := set.add(k); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		return nil, 0, err
	}
	w := t.newWriter(t.writer.schema)
	at := make([]int, len(key))
	for i := range key {
		if at[i] = w.schema.Index(key[i]); at[i] < 0 {
			return nil, 0, connector.Fail("sink.key", nil, "the load has no column %q", key[i])
		}
		// Keys are compared in the target's types.
		if w.schema[at[i]].Type != columns[i].Type {
			return nil, 0, connector.Fail("sink.key", nil, "the key column %q is %s in the load and %s in the target", key[i], w.schema[at[i]].Type, columns[i].Type)
		}
	}
	err = t.each(ctx, t.staging, t.writer.schema, nil, func(b *batch.Batch) error {
		for row := range b.Rows() {
			k, null := keys.tuple(b, row, at)
			if null {
				return connector.Fail("key.null", nil, "a row of the load has NULL in its key %q", key)
			}
			has, err := set.has(k)
			if err != nil {
				return err
			}
			if has {
				left++
				continue
			}
			if err := w.write(b, row, row+1); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = w.close(ctx)
	}
	if err != nil {
		w.abort()
		return nil, 0, err
	}
	return w.files, left, nil
}

func (t *tx) Count(_ context.Context, target bool) (int64, error) {
	if !target {
		return t.stagedRows, nil
	}
	var n int64
	for i := range t.next {
		n += t.next[i].Rows
	}
	return n, nil
}

func (t *tx) side(target bool) []dataset.File {
	if target {
		return t.next
	}
	return t.staging
}

// Digest reads the files again, so that it speaks of what is on disk.
func (t *tx) Digest(ctx context.Context, spec digest.Spec, target bool) (digest.Digest, error) {
	b, err := digest.NewBuilder(spec)
	if err != nil {
		return digest.Digest{}, err
	}
	if err := t.each(ctx, t.side(target), spec.Columns, nil, b.AddBatch); err != nil {
		return digest.Digest{}, err
	}
	return b.Digest(), nil
}

// Commit publishes. The manifest's new name is the commit.
func (t *tx) Commit(_ context.Context, state connector.State, receipt connector.Receipt) (connector.Committed, error) {
	if t.ended {
		return connector.Committed{}, connector.Fail("sink.tx", nil, "the load has ended")
	}
	now, err := readManifest(t.root)
	if err != nil {
		return connector.Committed{}, err
	}
	var revision int64
	if now != nil {
		revision = now.Revision
	}
	have := t.old.State(t.load.Pipeline)
	// Strategies without a position leave the state alone.
	if revision != t.old.Revision || state.Position != nil && have.Revision != state.Revision {
		return connector.Committed{}, connector.Fail(connector.CodeStateMoved, nil, "the state of %q has revision %d, the load began at %d", t.load.Pipeline, have.Revision, state.Revision)
	}
	if receipt.Pipeline == "" {
		receipt.Pipeline = t.load.Pipeline
	}
	if t.old.Receipt(receipt.Pipeline, receipt.Window) != nil {
		return connector.Committed{}, connector.Fail("receipt.exists", nil, "window %q of %q was loaded before", receipt.Window, receipt.Pipeline)
	}
	next := t.manifest(state, receipt)
	var add, remove []string
	used := make(map[string]bool)
	for i := range next.Files {
		p := next.Files[i].Path
		used[p] = true
		if t.pending[p] {
			add = append(add, p)
		}
	}
	for i := range t.old.Files {
		if p := t.old.Files[i].Path; !used[p] {
			remove = append(remove, p)
		}
	}
	committed, err := t.publish(next, receipt.Window, add, remove)
	t.committed = committed
	if err != nil {
		if committed {
			t.end()
			return connector.Committed{}, connector.Fail(connector.CodeCommitUnknown, err, "the manifest has its new name, which may not be on disk yet")
		}
		return connector.Committed{}, err
	}
	if err := t.clean(remove); err != nil {
		t.s.warn(fmt.Sprintf("the load is published; what it replaced is removed by the next load: %v", err))
	}
	t.end()
	data, err := next.Encode()
	if err != nil {
		return connector.Committed{}, err
	}
	sum := sha256.Sum256(data)
	return connector.Committed{Facts: map[string]string{
		"load": next.Load, "dataset_revision": strconv.FormatInt(next.Revision, 10), "manifest_sha256": hex.EncodeToString(sum[:]),
	}}, nil
}

// manifest makes the manifest that Commit publishes.
func (t *tx) manifest(state connector.State, receipt connector.Receipt) *dataset.Manifest {
	next := &dataset.Manifest{
		Version: dataset.Version, Revision: t.old.Revision + 1, Load: t.id, PublishedAt: t.load.Now,
		Columns: dataset.Columns(t.columns), Key: t.key,
		States:   append([]dataset.State(nil), t.old.States...),
		Receipts: append(append([]dataset.Receipt(nil), t.old.Receipts...), dataset.Receipt{Load: t.id, Receipt: receipt}),
	}
	for _, f := range t.next {
		f.Schema = next.AddSchema(t.old.Schemas[f.Schema])
		if t.pending[f.Path] {
			f.Window = receipt.Window
		}
		next.Files = append(next.Files, f)
	}
	if state.Position == nil {
		return next
	}
	s := dataset.State{Pipeline: t.load.Pipeline, Revision: state.Revision + 1, Position: state.Position}
	for i := range next.States {
		if next.States[i].Pipeline == s.Pipeline {
			next.States[i] = s
			return next
		}
	}
	next.States = append(next.States, s)
	return next
}

// Rollback removes what the load wrote. After a commit it does nothing.
func (t *tx) Rollback(context.Context) error {
	if t.ended {
		return nil
	}
	defer t.end()
	if t.writer != nil {
		t.writer.abort()
	}
	if t.committed {
		return nil // what it replaced is removed by the next load
	}
	m, err := readManifest(t.root)
	if err != nil {
		return err
	}
	return t.recover(m)
}

func (t *tx) end() {
	t.ended = true
	_ = t.root.Close()
}
