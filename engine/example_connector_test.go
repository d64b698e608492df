package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// memory is a whole connector, the smallest there is: tables in the memory of this
// process. It stands on both sides, loads by full_refresh and incremental_append,
// and keeps state and receipts beside the rows, so that they commit together.
type memory struct {
	mu       sync.Mutex // held by the one load that is open
	tables   map[string]memoryTable
	states   map[string]connector.State
	receipts map[string]connector.Receipt
}

type memoryTable struct {
	columns batch.Schema
	rows    [][][]byte // canonical values, nil for NULL
}

func newMemory() *memory {
	return &memory{tables: map[string]memoryTable{}, states: map[string]connector.State{}, receipts: map[string]connector.Receipt{}}
}

// connector declares the family. This value is all that the engine has to be given.
func (m *memory) connector() connector.Connector {
	modes := []manifest.Mode{manifest.FullRefresh, manifest.IncrementalAppend}
	var read []connector.ReadRule
	var write []connector.WriteRule
	for k := logical.Bool; k < logical.Native; k++ {
		read = append(read, connector.ReadRule{Native: k.String(), Logical: k.String(), Rule: connector.Exact})
		write = append(write, connector.WriteRule{Logical: k.String(), Native: k.String(), Rule: connector.Exact})
	}
	return connector.Connector{
		Name: "memory", Doc: "Tables in the memory of this process.",
		Source: &connector.SourceCapabilities{Modes: modes, Types: read},
		Sink: &connector.SinkCapabilities{
			Modes: modes, Gates: []string{"row_count_reconciliation", "min_rows", "typed_hash_reconciliation"},
			Commit: "transaction", Bulk: "copy", Types: write,
		},
		OpenSource: func(_ context.Context, man *manifest.Manifest, env connector.Env) (connector.Source, error) {
			return &memorySource{memory: m, name: man.Source.Table.Name, env: env}, nil
		},
		OpenSink: func(_ context.Context, man *manifest.Manifest, env connector.Env) (connector.Sink, error) {
			return &memorySink{memory: m, name: man.Sink.Table.Name, env: env}, nil
		},
	}
}

func (m *memory) describe(name string) connector.Relation {
	rel := connector.Relation{Name: name, Identity: "memory/" + name}
	for _, c := range m.tables[name].columns {
		rel.Columns = append(rel.Columns, connector.Column{Column: c, Native: c.Type.String(), Portable: c.Type})
	}
	return rel
}

// memorySource is also its own snapshot: the rows of a table are replaced as a whole.
type memorySource struct {
	*memory
	name string
	env  connector.Env
	rows [][][]byte
}

func (s *memorySource) Describe(context.Context) (connector.Relation, error) {
	if _, ok := s.tables[s.name]; !ok {
		return connector.Relation{}, &connector.Error{Code: "source.missing", Msg: fmt.Sprintf("there is no table %q", s.name)}
	}
	return s.describe(s.name), nil
}

func (s *memorySource) Snapshot(context.Context) (connector.Snapshot, error) {
	s.rows = s.tables[s.name].rows
	return s, nil
}

func (s *memorySource) Facts() map[string]string    { return nil }
func (s *memorySource) Close(context.Context) error { return nil }

func (s *memorySource) Read(_ context.Context, r connector.Request) (connector.Reader, error) {
	if r.Where != "" || r.Range != nil || r.In != nil {
		return nil, errors.New("no strategy of this family asks for a part")
	}
	return &memoryReader{env: s.env, rows: s.rows, columns: s.tables[s.name].columns}, nil
}

func (*memorySource) Bounds(context.Context, batch.Column) (least, greatest []byte, err error) {
	return nil, nil, errors.New("no strategy of this family needs bounds")
}

func (*memorySource) Values(context.Context, batch.Column, int) ([][]byte, error) {
	return nil, errors.New("no strategy of this family needs values")
}

type memoryReader struct {
	env     connector.Env
	rows    [][][]byte
	columns batch.Schema
	stats   connector.ReadStats
}

func (r *memoryReader) Next(ctx context.Context, b *batch.Batch) error {
	b.Reset()
	if len(r.rows) == 0 {
		return io.EOF
	}
	for ; len(r.rows) > 0 && b.Rows() < 1000; r.rows = r.rows[1:] {
		for i, c := range b.Schema {
			if v := r.rows[0][r.columns.Index(c.Name)]; v == nil {
				b.Columns[i].AppendNull()
			} else {
				b.Columns[i].Append(v)
			}
		}
		b.EndRow()
	}
	first := r.stats.Rows == 0
	r.stats.Rows += int64(b.Rows())
	if first {
		return r.env.Reach(ctx, connector.AfterExtract)
	}
	return nil
}

func (r *memoryReader) Stats() connector.ReadStats { return r.stats }
func (r *memoryReader) Close() error               { return nil }

type memorySink struct {
	*memory
	name string
	env  connector.Env
}

func (s *memorySink) Describe(context.Context) (*connector.Relation, error) {
	if _, ok := s.tables[s.name]; !ok {
		return nil, nil //nolint:nilnil // a target that does not exist is no error
	}
	rel := s.describe(s.name)
	return &rel, nil
}

func (s *memorySink) Identity(context.Context) (string, error) { return "memory/" + s.name, nil }
func (s *memorySink) Close(context.Context) error              { return nil }

func (s *memorySink) Native(t logical.Type) (connector.WriteRule, error) {
	if t.Kind == logical.Native {
		return connector.WriteRule{}, &connector.Error{Code: "type.refused", Msg: fmt.Sprintf("memory has no type for %s", t)}
	}
	return connector.WriteRule{Logical: t.String(), Native: t.String(), Rule: connector.Exact}, nil
}

func (s *memorySink) Begin(_ context.Context, load connector.Load) (connector.Tx, error) {
	s.mu.Lock()
	return &memoryTx{memorySink: s, load: load, next: s.tables[s.name]}, nil
}

func (s *memorySink) Receipt(_ context.Context, pipeline, window string) (*connector.Receipt, error) {
	if r, ok := s.receipts[pipeline+"\x00"+window]; ok {
		return &r, nil
	}
	return nil, nil //nolint:nilnil // a window without a receipt is no error
}

// memoryTx is one load: what nobody sees before Commit.
type memoryTx struct {
	*memorySink
	load   connector.Load
	next   memoryTable // the target as it will be
	staged *batch.Batch
	rows   [][][]byte // of the load
	wrote  connector.WriteStats
	ended  bool
}

func (t *memoryTx) State(context.Context) (connector.State, error) {
	return t.states[t.load.Pipeline], nil
}

func (t *memoryTx) Receipt(ctx context.Context, window string) (*connector.Receipt, error) {
	return t.memorySink.Receipt(ctx, t.load.Pipeline, window)
}

func (t *memoryTx) Alter(_ context.Context, changes []connector.Change) error {
	for _, c := range changes {
		if c.Kind != "create" {
			return &connector.Error{Code: "target.change", Msg: fmt.Sprintf("memory does not know the change %q", c.Kind)}
		}
		t.next.columns = slices.Clone(c.Columns)
	}
	return nil
}

func (*memoryTx) Values(context.Context, batch.Column, int) ([][]byte, error) {
	return nil, errors.New("no strategy of this family needs values")
}

func (t *memoryTx) Stage(_ context.Context, columns batch.Schema, _ connector.StageKind) (connector.Stage, error) {
	t.staged = batch.New(columns)
	return &memoryStage{t}, nil
}

// memoryStage takes the rows of the load, in the order of the target's columns.
type memoryStage struct{ tx *memoryTx }

func (s *memoryStage) Write(ctx context.Context, b *batch.Batch) error {
	for row := range b.Rows() {
		values := make([][]byte, len(s.tx.next.columns))
		for i, c := range s.tx.next.columns {
			if at := b.Schema.Index(c.Name); at >= 0 {
				values[i] = slices.Clone(b.Columns[at].Value(row)) // the batch is filled again
			}
		}
		s.tx.rows = append(s.tx.rows, values)
	}
	s.tx.wrote.Rows += int64(b.Rows())
	return s.tx.env.Reach(ctx, connector.MidCopy)
}

func (s *memoryStage) Close(ctx context.Context) (connector.WriteStats, error) {
	return s.tx.wrote, s.tx.env.Reach(ctx, connector.AfterStage)
}

func (t *memoryTx) Apply(_ context.Context, a connector.Apply) (connector.Counters, error) {
	c := connector.Counters{Inserted: int64(len(t.rows))}
	if a.Mode == manifest.FullRefresh {
		t.next.rows = nil
	}
	t.next.rows = append(slices.Clip(t.next.rows), t.rows...)
	return c, nil
}

func (*memoryTx) Gate(_ context.Context, g manifest.Gate) (connector.Measure, error) {
	return connector.Measure{}, &connector.Error{Code: "gate.unsupported", Msg: "memory does not measure " + g.Type}
}

func (t *memoryTx) side(target bool) [][][]byte {
	if target {
		return t.next.rows
	}
	return t.rows
}

func (t *memoryTx) Count(_ context.Context, target bool) (int64, error) {
	return int64(len(t.side(target))), nil
}

func (t *memoryTx) Digest(ctx context.Context, spec digest.Spec, target bool) (digest.Digest, error) {
	builder, err := digest.NewBuilder(spec)
	if err != nil {
		return digest.Digest{}, err
	}
	reader := &memoryReader{rows: t.side(target), columns: t.next.columns}
	for b := batch.New(spec.Columns); ; {
		switch err := reader.Next(ctx, b); {
		case errors.Is(err, io.EOF):
			return builder.Digest(), nil
		case err != nil:
			return digest.Digest{}, err
		}
		if err := builder.AddBatch(b); err != nil {
			return digest.Digest{}, err
		}
	}
}

func (t *memoryTx) Commit(_ context.Context, state connector.State, receipt connector.Receipt) (connector.Committed, error) {
	if state.Position != nil {
		if t.states[t.load.Pipeline].Revision != state.Revision {
			return connector.Committed{}, &connector.Error{Code: connector.CodeStateMoved, Msg: "another run has committed in between"}
		}
		t.states[t.load.Pipeline] = connector.State{Revision: state.Revision + 1, Position: state.Position}
	}
	t.tables[t.name] = t.next
	t.receipts[receipt.Pipeline+"\x00"+receipt.Window] = receipt
	return connector.Committed{}, t.end()
}

func (t *memoryTx) Rollback(context.Context) error { return t.end() }

func (t *memoryTx) end() error {
	if !t.ended {
		t.ended = true
		t.mu.Unlock()
	}
	return nil
}

// people is a table with a NULL and an empty text, which are different.
func (m *memory) people() {
	id, name := logical.Type{Kind: logical.Int32}, logical.Type{Kind: logical.Text}
	m.tables["people"] = memoryTable{
		columns: batch.Schema{{Name: "id", Type: id, NotNull: true}, {Name: "name", Type: name}},
		rows:    [][][]byte{{logical.AppendInt32(nil, 1), []byte("Ada")}, {logical.AppendInt32(nil, 2), nil}, {logical.AppendInt32(nil, 3), {}}},
	}
}

const memoryToMemory = `name: people_copy
source:
  type: memory
  table: {name: people}
sink:
  type: memory
  table: {name: copy}
  strategy: {mode: incremental_append}
state: {window: "2026-11-22"}
quality:
  gates:
    - {type: typed_hash_reconciliation}
`

// A family of another module needs nothing but its place in Options.Connectors.
func ExampleRun_foreignFamily() {
	m := newMemory()
	m.people()
	process, err := manifest.Parse("people.yaml", []byte(memoryToMemory), "memory")
	if err != nil {
		fmt.Println(err)
		return
	}
	options := engine.Options{Connectors: append(connectors.All(), m.connector())}
	for range 2 { // the second run finds the receipt of the window
		report, err := engine.Run(context.Background(), process, options)
		fmt.Println(report.Result.CommitOutcome, report.Counters.Inserted, len(m.tables["copy"].rows), err)
	}
	// Output:
	// committed 3 3 <nil>
	// already_committed 0 3 <nil>
}

func memoryProcess(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse("test.yaml", []byte(text), append(manifest.Families(), "memory")...)
	assert.NilError(t, err)
	return m
}

// TestForeignFamilyRollsBack ends a run at each named point, and the one after it
// must come to the same end as if nothing had been.
func TestForeignFamilyRollsBack(t *testing.T) {
	t.Parallel()
	for _, point := range connector.Points() {
		m := newMemory()
		m.people()
		ended := errors.New("ended")
		options := engine.Options{Connectors: []connector.Connector{m.connector()}}
		options.At = func(_ context.Context, p connector.Point) error {
			if p == point {
				return ended
			}
			return nil
		}
		process := memoryProcess(t, memoryToMemory)
		report, err := engine.Run(context.Background(), process, options)
		assert.ErrorIs(t, err, ended, string(point))
		_, there := m.tables["copy"]
		committed := point == connector.AfterCommit || point == connector.AfterAcknowledge
		assert.Equal(t, there, committed, string(point))
		assert.Equal(t, report.Result.CommitOutcome == "committed", committed, string(point))
		options.At = nil
		_, err = engine.Run(context.Background(), process, options)
		assert.NilError(t, err)
		assert.Equal(t, len(m.tables["copy"].rows), 3, string(point))
	}
}

// TestForeignFamilyIsHeldToWhatItDeclares asks it for what it does not declare.
func TestForeignFamilyIsHeldToWhatItDeclares(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.people()
	options := engine.Options{Connectors: []connector.Connector{m.connector()}}
	full := strings.Replace(memoryToMemory, "incremental_append", "full_refresh", 1)
	for _, c := range []struct{ name, from, to, code string }{
		{"a strategy", "mode: full_refresh", "mode: snapshot_diff, unique_key: id", "strategy.source"},
		{"a gate", "type: typed_hash_reconciliation", "type: not_null, columns: id", "gate.unsupported"},
		{"a table", "name: people}", "name: nobody}", "source.missing"},
		{"a family", "type: memory\n  table: {name: copy}", "type: file\n  path: out\n  options: {format: csv}", "manifest.invalid"},
	} {
		report, err := engine.Run(context.Background(), memoryProcess(t, strings.Replace(full, c.from, c.to, 1)), options)
		assert.ErrorContains(t, err, c.code, c.name)
		assert.Equal(t, report.Result.ErrorCode, c.code, c.name)
	}
	_, there := m.tables["copy"]
	assert.Assert(t, !there)
}

// TestForeignFamilyMeetsPostgres moves rows to PostgreSQL and back; neither family knows the other.
func TestForeignFamilyMeetsPostgres(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := newMemory()
	m.people()
	options := w.options()
	options.Connectors = append(connectors.All(), m.connector())
	there := w.text("name: to_postgres\nsource:\n  type: memory\n  table: {name: people}\nsink:\n  SINK\n  table: {name: people}\n  strategy: {mode: full_refresh}\nquality: {gates: [{type: typed_hash_reconciliation}]}\n")
	back := w.text("name: from_postgres\nsource:\n  SINK\n  table: {name: people}\nsink:\n  type: memory\n  table: {name: back}\n  strategy: {mode: full_refresh}\nquality: {gates: [{type: typed_hash_reconciliation}]}\n")
	first, err := engine.Run(context.Background(), memoryProcess(t, there), options)
	assert.NilError(t, err)
	assert.Equal(t, rows(t, w.sink, "TABLE people"), "(1,Ada)\n(2,)\n(3,\"\")")
	second, err := engine.Run(context.Background(), memoryProcess(t, back), options)
	assert.NilError(t, err)
	assert.Equal(t, first.Digest.Value, second.Digest.Value)
	assert.DeepEqual(t, m.tables["back"].rows, m.tables["people"].rows)
}
