package replication

import (
	"fmt"
	"hash/maphash"
	"math"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/postgres/pgoutput"
)

// The states of a key within a set.
const (
	untouched = iota // nothing, or nothing any more
	deleted          // the key is gone
	whole            // the row is known
	partial          // the row is known but for unchanged columns, which the target has under this key
	moved            // the same, and the target has them under another key
)

// span is a part of the arena. No arena reaches 4 GiB: it is handed on when it is
// full, and PostgreSQL's longest message has 1 GiB.
type span struct{ from, to uint32 }

// entry is the net effect on one key.
type entry struct {
	key, row, old span
	next          int32 // the next entry with the same hash, -1 for none
	state         uint8
	born          bool // the key had no row before the set
}

// undo is what an entry was before the open transaction touched it.
type undo struct {
	index  int32
	before entry
}

// folded is the net effect of a number of changes. It keeps the bytes of the
// messages as they came; they are read a second time when the set is filled.
type folded struct {
	arena   []byte
	entries []entry
	heads   map[uint64]int32
	// undone lets the open transaction be taken back, so that what came before
	// it can still be delivered when the stream must stop inside of it.
	undone         []undo
	counts, before connector.ChangeCounts
	truncate       bool
	commit         bool         // the set ends where a transaction ends
	end            pgoutput.LSN // with commit: where the stream goes on
	last           error        // what ends the stream after this set
}

func newFolded() *folded { return &folded{heads: map[uint64]int32{}} }

func (f *folded) reset() {
	clear(f.heads)
	*f = folded{arena: f.arena[:0], entries: f.entries[:0], heads: f.heads, undone: f.undone[:0]}
}

func (f *folded) empty() bool { return len(f.entries) == 0 && !f.truncate }

func (f *folded) bytes(s span) []byte { return f.arena[s.from:s.to] }

func (f *folded) put(b []byte) (span, error) {
	from := len(f.arena)
	if uint64(from)+uint64(len(b)) > math.MaxUint32 {
		return span{}, fmt.Errorf("the changes of one set take more than %d bytes", uint32(math.MaxUint32))
	}
	f.arena = append(f.arena, b...)
	return span{uint32(from), uint32(len(f.arena))}, nil //nolint:gosec // checked above
}

// boundary notes that a transaction has committed: it is no longer taken back.
func (f *folded) boundary() {
	f.undone, f.before = f.undone[:0], f.counts
}

// rollback takes the open transaction back. It gives false when that cannot be
// done, because the transaction emptied the table.
func (f *folded) rollback() bool {
	if f.counts.Truncates != f.before.Truncates {
		return false
	}
	for i := len(f.undone) - 1; i >= 0; i-- {
		e := &f.entries[f.undone[i].index]
		next := e.next
		*e = f.undone[i].before
		e.next = next
	}
	f.undone, f.counts = f.undone[:0], f.before
	return true
}

// folder folds messages of one relation.
type folder struct {
	seed maphash.Seed
	// key are the positions of the key's columns in the relation; wanted says which columns anybody wants.
	key    []int
	wanted []bool
	cur    *folded
	buf    []byte // a key
	was    []byte // the key before it
	row    []byte // a row that is put together
	vals   []pgoutput.Value
}

// touch gives the entry of a key, and notes what it was. It is valid until the next call.
func (f *folder) touch(key []byte) (*entry, error) {
	hash := maphash.Bytes(f.seed, key)
	c := f.cur
	head, ok := c.heads[hash]
	if !ok {
		head = -1
	}
	for i := head; i >= 0; i = c.entries[i].next {
		if string(c.bytes(c.entries[i].key)) == string(key) {
			c.undone = append(c.undone, undo{i, c.entries[i]})
			return &c.entries[i], nil
		}
	}
	s, err := c.put(key)
	if err != nil {
		return nil, err
	}
	index := int32(len(c.entries)) //nolint:gosec // bounded by the set's size
	c.entries = append(c.entries, entry{key: s, next: head})
	c.heads[hash] = index
	c.undone = append(c.undone, undo{index, c.entries[index]})
	return &c.entries[index], nil
}

// appendKey adds the values of the key's columns.
func (f *folder) appendKey(dst []byte, rel *pgoutput.Relation, values []pgoutput.Value) ([]byte, error) {
	for _, i := range f.key {
		if values[i].Kind == pgoutput.Null || values[i].Kind == pgoutput.Unchanged {
			return dst, &connector.Error{
				Code: "cdc.key_missing",
				Msg:  fmt.Sprintf("relation %s: a change tells no value for the key column %s", rel.Name, rel.Columns[i].Name),
				Fix:  "choose a strategy.unique_key that is never NULL, or set REPLICA IDENTITY FULL on the table",
			}
		}
		dst = pgoutput.AppendValue(dst, values[i])
	}
	return dst, nil
}

func (f *folder) insert(m *pgoutput.Message) (err error) {
	if f.buf, err = f.appendKey(f.buf[:0], m.Relation, m.New); err != nil {
		return err
	}
	e, err := f.touch(f.buf)
	if err != nil {
		return err
	}
	if e.state > deleted {
		return twice(m.Relation)
	}
	f.cur.counts.Inserts++
	e.born = e.born || e.state == untouched
	e.state, e.old = whole, span{}
	e.row, err = f.cur.put(m.RawNew)
	return err
}

func twice(rel *pgoutput.Relation) error {
	return &connector.Error{
		Code: "cdc.key_not_unique",
		Msg:  fmt.Sprintf("relation %s has two rows with one key", rel.Name),
		Fix:  "choose a strategy.unique_key that a unique index of the source covers",
	}
}

func again(rel *pgoutput.Relation) error {
	return fmt.Errorf("relation %s: a change of a row that the stream has deleted", rel.Name)
}

func (f *folder) delete(m *pgoutput.Message) (err error) {
	if f.buf, err = f.appendKey(f.buf[:0], m.Relation, m.Old); err != nil {
		return err
	}
	e, err := f.touch(f.buf)
	if err != nil {
		return err
	}
	if e.state == deleted {
		return again(m.Relation)
	}
	f.cur.counts.Deletes++
	e.state, e.row, e.old = deleted, span{}, span{}
	return nil
}

func (f *folder) update(m *pgoutput.Message) (err error) {
	gaps := f.complete(m)
	if f.buf, err = f.appendKey(f.buf[:0], m.Relation, m.New); err != nil {
		return err
	}
	f.cur.counts.Updates++
	if m.OldKind != pgoutput.NoOld {
		if f.was, err = f.appendKey(f.was[:0], m.Relation, m.Old); err != nil {
			return err
		}
		if string(f.was) != string(f.buf) {
			return f.move(m, gaps)
		}
	}
	e, err := f.touch(f.buf)
	if err != nil {
		return err
	}
	switch {
	case e.state == deleted:
		return again(m.Relation)
	case !gaps:
		e.state, e.old = whole, span{}
	case e.state == untouched:
		e.state = partial
	default:
		e.row, err = f.merge(e, m)
		return err
	}
	e.row, err = f.store(m)
	return err
}

// complete gives the new row what it left out and the old one has, and says
// whether a column that is wanted is still missing.
func (f *folder) complete(m *pgoutput.Message) (gaps bool) {
	for i := range m.New {
		if m.New[i].Kind != pgoutput.Unchanged {
			continue
		}
		// A column outside the replica identity is NULL in an old row that is only a key.
		told := m.OldKind == pgoutput.OldFull || m.OldKind == pgoutput.OldKey && m.Relation.Columns[i].Key
		if told && m.Old[i].Kind != pgoutput.Unchanged {
			m.New[i], m.RawNew = m.Old[i], nil
			continue
		}
		gaps = gaps || f.wanted[i]
	}
	return gaps
}

// move folds an update that gave the row another key; f.was holds the old one and f.buf the new one.
func (f *folder) move(m *pgoutput.Message, gaps bool) error {
	from, err := f.touch(f.was)
	if err != nil {
		return err
	}
	was := *from
	if was.state == deleted {
		return again(m.Relation)
	}
	from.state, from.row, from.old = deleted, span{}, span{}
	to, err := f.touch(f.buf)
	if err != nil {
		return err
	}
	if to.state > deleted {
		return twice(m.Relation)
	}
	to.born = to.born || to.state == untouched
	switch {
	case !gaps:
		to.state, to.old = whole, span{}
	case was.state == untouched:
		to.state, to.old = moved, was.key
	default:
		to.state, to.row, to.old = was.state, was.row, was.old
		if was.state == partial {
			to.state, to.old = moved, was.key
		}
		to.row, err = f.merge(to, m)
		return err
	}
	to.row, err = f.store(m)
	return err
}

// store keeps the new row, as it was sent where nothing was added to it.
func (f *folder) store(m *pgoutput.Message) (span, error) {
	if m.RawNew != nil {
		return f.cur.put(m.RawNew)
	}
	return f.assemble(m.New)
}

func (f *folder) assemble(values []pgoutput.Value) (span, error) {
	f.row = f.row[:0]
	for _, v := range values {
		f.row = pgoutput.AppendValue(f.row, v)
	}
	return f.cur.put(f.row)
}

// merge puts a row together from what the entry knows and what changed.
func (f *folder) merge(e *entry, m *pgoutput.Message) (s span, err error) {
	if f.vals, err = pgoutput.ReadTuple(f.vals[:0], f.cur.bytes(e.row)); err != nil {
		return span{}, err
	}
	gaps := false
	for i := range f.vals {
		if m.New[i].Kind != pgoutput.Unchanged {
			f.vals[i] = m.New[i]
		}
		gaps = gaps || f.wanted[i] && f.vals[i].Kind == pgoutput.Unchanged
	}
	if !gaps {
		e.state, e.old = whole, span{}
	}
	return f.assemble(f.vals)
}

// truncate forgets everything that the set held.
func (f *folder) truncate() {
	c := f.cur
	clear(c.heads)
	c.arena, c.entries, c.undone = c.arena[:0], c.entries[:0], c.undone[:0]
	c.truncate = true
	c.counts.Truncates++
}

// filler fills change sets from what was folded.
type filler struct {
	schema batch.Schema
	// from are the positions of the schema's columns in the relation, key those of the key in the schema.
	from []int
	key  []int
	vals []pgoutput.Value
	// sets of columns that were seen, so that their batches' memory is used again
	partials, moves map[string]*batch.Batch
}

func (l *filler) fill(f *folded, set *connector.ChangeSet) error {
	l.begin(set)
	set.Truncate = f.truncate
	set.Source = f.counts
	set.Commit = f.commit
	for i := range f.entries {
		e := &f.entries[i]
		var err error
		switch e.state {
		case deleted:
			if !e.born {
				err = l.deletion(set.Deletes, f.bytes(e.key))
			}
		case whole:
			b := set.Upserts
			if e.born {
				b = set.Inserts
			}
			err = l.row(b, f.bytes(e.row), nil)
		case partial:
			err = l.row(nil, f.bytes(e.row), nil)
		case moved:
			err = l.row(nil, f.bytes(e.row), f.bytes(e.old))
		}
		if err != nil {
			return err
		}
	}
	for _, b := range l.partials {
		if b.Rows() > 0 {
			set.Partial = append(set.Partial, b)
		}
	}
	for _, b := range l.moves {
		if b.Rows() > 0 {
			set.Moves = append(set.Moves, b)
		}
	}
	return nil
}

// maxMasks bounds the batches that are kept for another set.
const maxMasks = 16

func (l *filler) begin(set *connector.ChangeSet) {
	if set.Upserts == nil {
		keys := make(batch.Schema, len(l.key))
		for i, k := range l.key {
			keys[i] = l.schema[k]
		}
		set.Inserts, set.Upserts, set.Deletes = batch.New(l.schema), batch.New(l.schema), batch.New(keys)
	}
	set.Inserts.Reset()
	set.Upserts.Reset()
	set.Deletes.Reset()
	set.Partial, set.Moves = set.Partial[:0], set.Moves[:0]
	set.Position, set.Window = nil, ""
	for _, known := range []*map[string]*batch.Batch{&l.partials, &l.moves} {
		if *known == nil || len(*known) > maxMasks {
			*known = map[string]*batch.Batch{}
		}
		for _, b := range *known {
			b.Reset()
		}
	}
}

func (l *filler) deletion(b *batch.Batch, key []byte) error {
	var err error
	if l.vals, err = pgoutput.ReadTuple(l.vals[:0], key); err != nil {
		return err
	}
	for i, v := range l.vals {
		if err := appendValue(&b.Columns[i], b.Schema[i], v); err != nil {
			return err
		}
	}
	b.EndRow()
	return nil
}

// row adds a row to b, or to the batch of its choice of columns when b is nil.
func (l *filler) row(b *batch.Batch, raw, old []byte) error {
	var err error
	if l.vals, err = pgoutput.ReadTuple(l.vals[:0], raw); err != nil {
		return err
	}
	if b == nil {
		b = l.chosen(old != nil)
	}
	at := 0
	for i, from := range l.from {
		v := l.vals[from]
		if v.Kind == pgoutput.Unchanged {
			continue
		}
		if err := appendValue(&b.Columns[at], l.schema[i], v); err != nil {
			return err
		}
		at++
	}
	if old != nil {
		if l.vals, err = pgoutput.ReadTuple(l.vals[:0], old); err != nil {
			return err
		}
		for _, v := range l.vals {
			if err := appendValue(&b.Columns[at], b.Schema[at], v); err != nil {
				return err
			}
			at++
		}
	}
	b.EndRow()
	return nil
}

// chosen gives the batch for the columns that l.vals has.
func (l *filler) chosen(move bool) *batch.Batch {
	mask := make([]byte, len(l.from))
	for i, from := range l.from {
		if l.vals[from].Kind != pgoutput.Unchanged {
			mask[i] = 1
		}
	}
	known := l.partials
	if move {
		known = l.moves
	}
	if b := known[string(mask)]; b != nil {
		return b
	}
	var schema batch.Schema
	for i := range mask {
		if mask[i] == 1 {
			schema = append(schema, l.schema[i])
		}
	}
	if move {
		for i, k := range l.key {
			c := l.schema[k]
			c.Name = connector.MovedFrom(i)
			schema = append(schema, c)
		}
	}
	b := batch.New(schema)
	known[string(mask)] = b
	return b
}

// appendValue adds a value in its canonical encoding.
func appendValue(v *batch.Vector, c batch.Column, value pgoutput.Value) error {
	switch value.Kind {
	case pgoutput.Null:
		v.AppendNull()
		return nil
	case pgoutput.Text:
		data, err := logical.ParseText(v.Data, c.Type, value.Data)
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		v.Data = data
		v.Close()
		return nil
	case pgoutput.Binary:
		if w := c.Type.Width(); w > 0 && w != len(value.Data) {
			return fmt.Errorf("column %s: a value of %s has %d bytes, not %d", c.Name, c.Type, len(value.Data), w)
		}
		switch c.Type.Kind {
		case logical.Float32, logical.Float64:
			f, err := logical.ReadFloat64(c.Type, value.Data)
			if err == nil && math.IsNaN(f) {
				if c.Type.Kind == logical.Float32 {
					v.Data = logical.AppendFloat32(v.Data, float32(f))
				} else {
					v.Data = logical.AppendFloat64(v.Data, f)
				}
				v.Close()
				return nil
			}
		}
		v.Append(value.Data)
		return nil
	}
	return fmt.Errorf("column %s: %q is not a value", c.Name, byte(value.Kind))
}
