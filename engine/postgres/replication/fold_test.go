package replication

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/postgres/pgoutput"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// TestFold folds random changes without a server and holds the sets against a
// model that applies one change after the other. Sets end anywhere.
func TestFold(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		fold(t, func(n int) int { return random.IntN(n) })
	}
}

func FuzzFold(f *testing.F) {
	f.Add([]byte("any bytes choose the changes"))
	f.Fuzz(func(t *testing.T, choices []byte) {
		fold(t, func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := int(choices[0])
			choices = choices[1:]
			return c % n
		})
	})
}

// fold makes up to 40 changes of a table with a key and two large columns.
func fold(t *testing.T, pick func(int) int) {
	t.Helper()
	rel := &pgoutput.Relation{Name: "t", Columns: []pgoutput.Column{{Name: "id", Key: true}, {Name: "a"}, {Name: "b"}, {Name: "unwanted"}}}
	r := &rig{t: t, rows: map[string][][]byte{}}
	text := logical.Type{Kind: logical.Text}
	r.o.Columns = batch.Schema{{Name: "id", Type: text}, {Name: "a", Type: text}, {Name: "b", Type: text}}
	r.o.Key = []string{"id"}
	f := &folder{seed: maphash.MakeSeed(), key: []int{0}, wanted: []bool{true, true, true, false}, cur: newFolded()}
	l := &filler{schema: r.o.Columns, from: []int{0, 1, 2}, key: []int{0}}
	source := map[string][]string{} // what the table holds
	full := pick(2) == 0            // replica identity
	serial := 0
	fresh := func() string { serial++; return fmt.Sprint("v", serial) }
	value := func(s string) pgoutput.Value { return pgoutput.Value{Kind: pgoutput.Text, Data: []byte(s)} }
	null := pgoutput.Value{Kind: pgoutput.Null}
	unchanged := pgoutput.Value{Kind: pgoutput.Unchanged}
	flush := func() {
		var set connector.ChangeSet
		f.cur.commit = true
		assert.NilError(t, l.fill(f.cur, &set))
		apply(r, r.rows, &set)
		f.cur.reset()
	}
	for range 1 + pick(40) {
		key := string(rune('A' + pick(4)))
		row, there := source[key]
		m := &pgoutput.Message{Relation: rel}
		old := func() {
			if m.OldKind = pgoutput.OldKey; full {
				m.OldKind = pgoutput.OldFull
				m.Old = []pgoutput.Value{value(key), value(row[0]), value(row[1]), null}
				return
			}
			m.Old = []pgoutput.Value{value(key), null, null, null}
		}
		raw := func() {
			for _, v := range m.New {
				m.RawNew = pgoutput.AppendValue(m.RawNew, v)
			}
		}
		switch what := pick(12); {
		case what == 0:
			flush()
		case what == 1:
			f.truncate()
			clear(source)
		case !there:
			source[key] = []string{fresh(), fresh()}
			m.New = []pgoutput.Value{value(key), value(source[key][0]), value(source[key][1]), null}
			raw()
			assert.NilError(t, f.insert(m))
		case what == 2 || what == 3:
			delete(source, key)
			old()
			assert.NilError(t, f.delete(m))
		default:
			to := key
			if next := string(rune('A' + pick(6))); source[next] == nil && what < 8 {
				to = next
			}
			if to != key || full {
				old()
			}
			changed := []string{row[0], row[1]}
			m.New = []pgoutput.Value{value(to), unchanged, unchanged, unchanged}
			for i := range changed {
				if pick(2) == 0 {
					changed[i] = fresh()
					m.New[i+1] = value(changed[i])
				}
			}
			delete(source, key)
			source[to] = changed
			raw()
			assert.NilError(t, f.update(m))
		}
	}
	flush()
	assert.Equal(t, len(r.rows), len(source))
	for key, want := range source {
		got := r.rows[r.keyOf([][]byte{[]byte(key), nil, nil})]
		assert.Assert(t, got != nil, key)
		assert.Equal(t, string(got[1])+string(got[2]), want[0]+want[1])
	}
}

// TestFoldRefuses shows changes that no sound stream has.
func TestFoldRefuses(t *testing.T) {
	t.Parallel()
	rel := &pgoutput.Relation{Name: "t", Columns: []pgoutput.Column{{Name: "id", Key: true}, {Name: "a"}}}
	row := func(values ...string) []pgoutput.Value {
		out := make([]pgoutput.Value, len(values))
		for i, v := range values {
			switch out[i].Kind = pgoutput.Text; v {
			case "null":
				out[i].Kind = pgoutput.Null
			case "same":
				out[i].Kind = pgoutput.Unchanged
			default:
				out[i].Data = []byte(v)
			}
		}
		return out
	}
	insert := func(f *folder, id string) error {
		return f.insert(&pgoutput.Message{Relation: rel, New: row(id, "x"), RawNew: []byte{'n'}})
	}
	remove := func(f *folder, id string) error {
		return f.delete(&pgoutput.Message{Relation: rel, OldKind: pgoutput.OldKey, Old: row(id, "null")})
	}
	update := func(f *folder, from, to string) error {
		m := &pgoutput.Message{Relation: rel, New: row(to, "y")}
		if from != "" {
			m.OldKind, m.Old = pgoutput.OldKey, row(from, "null")
		}
		return f.update(m)
	}
	for name, c := range map[string]struct {
		do   func(*folder) error
		want string
	}{
		"inserted twice":        {func(f *folder) error { _ = insert(f, "1"); return insert(f, "1") }, "cdc.key_not_unique"},
		"deleted twice":         {func(f *folder) error { _ = remove(f, "1"); return remove(f, "1") }, "has deleted"},
		"update of a deleted":   {func(f *folder) error { _ = remove(f, "1"); return update(f, "", "1") }, "has deleted"},
		"move of a deleted":     {func(f *folder) error { _ = remove(f, "1"); return update(f, "1", "2") }, "has deleted"},
		"move onto another row": {func(f *folder) error { _ = insert(f, "2"); return update(f, "1", "2") }, "cdc.key_not_unique"},
		"key is NULL":           {func(f *folder) error { return insert(f, "null") }, "cdc.key_missing"},
		"old key is NULL":       {func(f *folder) error { return remove(f, "null") }, "cdc.key_missing"},
		"key was not sent":      {func(f *folder) error { return update(f, "", "same") }, "cdc.key_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &folder{seed: maphash.MakeSeed(), key: []int{0}, wanted: []bool{true, true}, cur: newFolded()}
			assert.ErrorContains(t, c.do(f), c.want)
		})
	}
}

// TestTransactionsBeforeThePosition are read and left out.
func TestTransactionsBeforeThePosition(t *testing.T) {
	t.Parallel()
	rel := &pgoutput.Relation{ID: 7, Schema: "public", Name: "t", Columns: []pgoutput.Column{{Name: "id", Key: true}}}
	s := &Stream{table: &table{oid: 7, columns: []shapeColumn{{Name: "id"}}}, from: 1000, ready: make(chan *folded, 1), stop: make(chan struct{})}
	s.o.Schema, s.o.Table = "public", "t"
	s.o.defaults()
	s.bound = 5000
	s.folder = folder{seed: maphash.MakeSeed(), key: []int{0}, wanted: []bool{true}, cur: newFolded()}
	row := []pgoutput.Value{{Kind: pgoutput.Text, Data: []byte("1")}}
	transaction := func(at pgoutput.LSN) error {
		for _, m := range []*pgoutput.Message{
			{Kind: pgoutput.Begin, LSN: at},
			{Kind: pgoutput.Insert, Relation: rel, New: row, RawNew: pgoutput.AppendValue(nil, row[0])},
			{Kind: pgoutput.Truncate, Relations: []*pgoutput.Relation{rel}},
			{Kind: pgoutput.Commit, LSN: at, End: at + 40},
		} {
			if err := s.fold(m); err != nil {
				return err
			}
		}
		return nil
	}
	assert.NilError(t, transaction(960)) // ends where the position is
	assert.Assert(t, s.folder.cur.empty())
	assert.Equal(t, s.folder.cur.counts, connector.ChangeCounts{})
	code(t, transaction(1000), "cdc.truncate")
	s.o.Truncate, s.folder.cur = "apply", newFolded()
	assert.ErrorIs(t, transaction(5000), io.EOF)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create+"; CREATE TABLE other (x text)")
	assert.NilError(t, r.run())
	r.o.Follow = true
	s, err := r.open()
	assert.NilError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var set connector.ChangeSet
	for i := range 3 { // each change comes by itself, the stream does not end
		r.exec(fmt.Sprintf("INSERT INTO t (id) VALUES (%d)", i))
		assert.NilError(t, s.Next(ctx, &set))
		assert.Assert(t, set.Commit)
		apply(r, r.rows, &set)
		r.saved = set.Position
		assert.NilError(t, s.Confirm(ctx, r.saved))
	}
	r.same()
	// Much log of others moves the position on.
	r.exec("INSERT INTO other SELECT repeat(md5(i::text), 30) FROM generate_series(1, 30000) i")
	assert.NilError(t, s.Next(ctx, &set))
	assert.Equal(t, set.Rows(), 0)
	assert.Assert(t, set.Commit)
	cancel()
	assert.ErrorIs(t, s.Next(ctx, &set), context.Canceled)
	assert.NilError(t, s.Close(ctx))
}

// TestConnectionBreaks has the server end the stream's session in the midst of it.
func TestConnectionBreaks(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Database(t), create)
	assert.NilError(t, r.run())
	r.o.MaxRows = 100
	r.exec("INSERT INTO t (id, a) SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) i")
	before := string(r.saved)
	r.applied = func(*connector.ChangeSet) error {
		r.one("SELECT pg_terminate_backend(active_pid)::text FROM pg_replication_slots WHERE slot_name = '" + r.o.Slot + "'")
		return nil
	}
	err := r.run()
	code(t, err, "cdc.stream")
	assert.Assert(t, strings.Contains(err.Error(), r.o.Slot))
	assert.Equal(t, string(r.saved), before)
	r.applied = nil
	assert.NilError(t, r.run())
	r.same()
	assert.Assert(t, !errors.Is(err, io.EOF))
}
