package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// columns makes a schema of names and types; "!" behind a type says NOT NULL.
func columns(t testing.TB, pairs ...string) batch.Schema {
	t.Helper()
	var s batch.Schema
	for i := 0; i < len(pairs); i += 2 {
		lt, err := logical.Parse(strings.TrimSuffix(pairs[i+1], "!"))
		assert.NilError(t, err)
		s = append(s, batch.Column{Name: pairs[i], Type: lt, NotNull: strings.HasSuffix(pairs[i+1], "!")})
	}
	return s
}

const null = "<null>"

// rowsOf makes a batch of rows whose values are texts with "|" between them.
func rowsOf(t testing.TB, s batch.Schema, rows ...string) *batch.Batch {
	t.Helper()
	b := batch.New(s)
	for _, row := range rows {
		for i, text := range strings.Split(row, "|") {
			if text == null {
				b.Columns[i].AppendNull()
				continue
			}
			data, err := logical.ParseText(b.Columns[i].Data, s[i].Type, []byte(text))
			assert.NilError(t, err)
			b.Columns[i].Data = data
			b.Columns[i].Close()
		}
		b.EndRow()
	}
	return b
}

// textsOf is the inverse of rowsOf.
func textsOf(t testing.TB, b *batch.Batch) []string {
	t.Helper()
	var out []string
	for row := range b.Rows() {
		fields := make([]string, len(b.Columns))
		for i := range b.Columns {
			fields[i] = null
			if v := b.Columns[i].Value(row); v != nil {
				text, err := logical.AppendText(nil, b.Schema[i].Type, v)
				assert.NilError(t, err)
				fields[i] = string(text)
			}
		}
		out = append(out, strings.Join(fields, "|"))
	}
	return out
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// readAll reads a path as a source and gives the rows.
func readAll(t testing.TB, dir string, src manifest.Source) ([]string, connector.ReadStats, error) {
	t.Helper()
	return readSome(t, dir, src, connector.Request{})
}

func readSome(t testing.TB, dir string, src manifest.Source, req connector.Request) ([]string, connector.ReadStats, error) {
	t.Helper()
	ctx := context.Background()
	s, err := Connector().OpenSource(ctx, &manifest.Manifest{Source: src}, connector.Env{Dir: dir})
	if err != nil {
		return nil, connector.ReadStats{}, err
	}
	defer s.Close(ctx)
	rel, err := s.Describe(ctx)
	if err != nil {
		return nil, connector.ReadStats{}, err
	}
	if req.Columns == nil {
		req.Columns = rel.Schema()
	}
	snap, err := s.Snapshot(ctx)
	if err != nil {
		return nil, connector.ReadStats{}, err
	}
	defer func() { assert.NilError(t, snap.Close(ctx)) }()
	r, err := snap.Read(ctx, req)
	if err != nil {
		return nil, connector.ReadStats{}, err
	}
	defer r.Close()
	var out []string
	b := batch.New(req.Columns)
	for {
		err := r.Next(ctx, b)
		if errors.Is(err, io.EOF) {
			return out, r.Stats(), nil
		}
		if err != nil {
			return out, r.Stats(), err
		}
		assert.Assert(t, b.Rows() > 0)
		out = append(out, textsOf(t, b)...)
	}
}

func code(err error) string {
	var c *connector.Error
	if errors.As(err, &c) {
		return c.Code
	}
	return fmt.Sprintf("no code: %v", err)
}

// job is a sink with what a load needs.
type job struct {
	t        testing.TB
	s        *sink
	strategy manifest.Strategy
	columns  batch.Schema
	key      []string
	apply    connector.Apply
	gates    []manifest.Gate
	window   int
	position string
	counters connector.Counters
}

func newJob(t testing.TB, dir string, o manifest.SinkOptions, s batch.Schema, st manifest.Strategy) *job {
	t.Helper()
	m := &manifest.Manifest{Name: "rows", Sink: manifest.Sink{Path: dir, Strategy: st, Options: o}}
	m.Sink.Options.LockTimeout = 1
	sink, err := newSink(m, connector.Env{})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, sink.Close(context.Background())) })
	return &job{t: t, s: sink, strategy: st, columns: s, apply: connector.Apply{Mode: st.Mode, Columns: s}}
}

// load carries rows to the commit, as the engine does.
func (j *job) load(rows ...string) error {
	ctx := context.Background()
	j.window++
	target, err := j.s.Describe(ctx)
	if err != nil {
		return err
	}
	tx, err := j.s.Begin(ctx, connector.Load{
		Pipeline: "p", Strategy: j.strategy, Columns: j.columns, Create: target == nil, Now: "2026-01-02T03:04:05.000006Z",
	})
	if err != nil {
		return err
	}
	err = j.carry(ctx, tx, target == nil, rows)
	if err != nil && j.s.step == nil { // a crash rolls nothing back
		return errors.Join(err, tx.Rollback(ctx))
	}
	return err
}

func (j *job) carry(ctx context.Context, tx connector.Tx, create bool, rows []string) error {
	window := fmt.Sprint("w", j.window)
	state, err := tx.State(ctx)
	if err != nil {
		return err
	}
	if r, err := tx.Receipt(ctx, window); err != nil || r != nil {
		return errors.Join(err, errors.New("the window was loaded"))
	}
	if create {
		if err := tx.Alter(ctx, []connector.Change{{Kind: "create", Columns: j.columns, Key: j.key}}); err != nil {
			return err
		}
	}
	st, err := tx.Stage(ctx, j.columns, connector.StageRows)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		if err := st.Write(ctx, rowsOf(j.t, j.columns, rows...)); err != nil {
			return err
		}
	}
	stats, err := st.Close(ctx)
	if err != nil {
		return err
	}
	assert.Equal(j.t, stats.Rows, int64(len(rows)))
	if j.counters, err = tx.Apply(ctx, j.apply); err != nil {
		return err
	}
	for _, g := range j.gates {
		m, err := tx.Gate(ctx, g)
		if err != nil {
			return err
		}
		if !m.Passed {
			return errors.New("gate: " + m.Message)
		}
	}
	next := connector.State{Revision: state.Revision}
	if j.position != "" {
		next.Position = json.RawMessage(j.position)
	}
	_, err = tx.Commit(ctx, next, connector.Receipt{ID: window, Window: window, Rows: stats.Rows})
	return err
}

// target reads what is published.
func (j *job) target() []string {
	j.t.Helper()
	rows, _, err := readAll(j.t, "", manifest.Source{Path: j.s.dir})
	assert.NilError(j.t, err)
	return rows
}
