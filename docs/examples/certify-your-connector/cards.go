// Package cards is a connector of card boxes. A box is a folder in which every row
// is a file of its own, a card:
//
//	columns.json  [{"name": "id", "type": "int64", "not_null": true}, ...]
//	1.json        {"id": "1", "name": "Ada", "note": null}
//
// A value is the text form of its type, and null is NULL. An empty text is a value.
package cards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// Name is what manifests call the family.
const Name = "cards"

// ColumnsFile describes the cards of a box.
const ColumnsFile = "columns.json"

// Column is one entry of the description.
type Column struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // as logical.Parse reads it
	NotNull bool   `json:"not_null,omitempty"`
}

// Connector declares the family. What is not declared here the engine refuses, and the matrix makes no case of it.
func Connector() connector.Connector {
	var types []connector.ReadRule
	for kind := logical.Bool; kind < logical.Native; kind++ {
		types = append(types, connector.ReadRule{Native: kind.String(), Logical: kind.String(), Rule: connector.Exact})
	}
	return connector.Connector{
		Name: Name, Doc: "Folders in which every row is a file.",
		Source: &connector.SourceCapabilities{
			// The strategies that read all there is. The others ask for a part of the rows.
			Modes: []manifest.Mode{manifest.FullRefresh, manifest.IncrementalAppend, manifest.SnapshotDiff, manifest.SCD2},
			Types: types,
		},
		OpenSource: open,
	}
}

func open(_ context.Context, m *manifest.Manifest, env connector.Env) (connector.Source, error) {
	dir := m.Source.Path
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(env.Dir, dir)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ColumnsFile))
	if err != nil {
		return nil, connector.Fail("source.missing", err, "%s is no card box", dir)
	}
	var described []Column
	if err := json.Unmarshal(raw, &described); err != nil {
		return nil, connector.Fail("source.columns", err, "%s in %s", ColumnsFile, dir)
	}
	b := &box{dir: dir, env: env}
	for _, c := range described {
		kind, err := logical.Parse(c.Type)
		if err != nil {
			return nil, connector.Fail("source.columns", err, "column %q in %s", c.Name, dir)
		}
		b.columns = append(b.columns, batch.Column{Name: c.Name, Type: kind, NotNull: c.NotNull})
	}
	return b, nil
}

// box is an open source.
type box struct {
	dir     string
	env     connector.Env
	columns batch.Schema
}

func (b *box) Describe(context.Context) (connector.Relation, error) {
	r := connector.Relation{Name: filepath.Base(b.dir), Identity: Name + ":" + b.dir}
	for _, c := range b.columns {
		r.Columns = append(r.Columns, connector.Column{Column: c, Native: c.Type.String(), Portable: c.Type})
	}
	return r, nil
}

// Snapshot notes which cards there are, with size and time: a card that is another one later ends the run.
func (b *box) Snapshot(context.Context) (connector.Snapshot, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, connector.Fail("source.missing", err, "%s is no card box", b.dir)
	}
	s := &snapshot{box: b}
	for _, e := range entries {
		if e.Name() == ColumnsFile || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, connector.Fail("source.changed", err, "%s was changed while it was read", b.dir)
		}
		s.cards = append(s.cards, info)
	}
	return s, nil
}

func (b *box) Close(context.Context) error { return nil }

type snapshot struct {
	*box
	cards []fs.FileInfo
}

func (s *snapshot) Facts() map[string]string { return nil }

func (s *snapshot) Read(_ context.Context, r connector.Request) (connector.Reader, error) {
	if r.Where != "" || r.Range != nil || r.In != nil {
		return nil, errors.New("none of the declared strategies asks for a part of the rows")
	}
	return &reader{box: s.box, cards: s.cards}, nil
}

func (s *snapshot) Bounds(context.Context, batch.Column) (least, greatest []byte, err error) {
	return nil, nil, errors.New("none of the declared strategies asks for bounds")
}

func (s *snapshot) Values(context.Context, batch.Column, int) ([][]byte, error) {
	return nil, errors.New("none of the declared strategies asks for values")
}

// perBatch is how many cards are in memory at once.
const perBatch = 100

type reader struct {
	*box
	cards []fs.FileInfo // those that are left
	stats connector.ReadStats
}

func (r *reader) Next(ctx context.Context, b *batch.Batch) error {
	b.Reset()
	for len(r.cards) > 0 && b.Rows() < perBatch {
		if err := r.read(r.cards[0], b); err != nil {
			return err
		}
		r.cards = r.cards[1:]
	}
	if b.Rows() == 0 {
		return io.EOF
	}
	first := r.stats.Rows == 0
	r.stats.Rows += int64(b.Rows())
	r.env.Moved(r.stats.Rows)
	if first {
		return r.env.Reach(ctx, connector.AfterExtract)
	}
	return ctx.Err()
}

// read adds the row of one card.
func (r *reader) read(card fs.FileInfo, b *batch.Batch) error {
	path := filepath.Join(r.dir, card.Name())
	now, err := os.Lstat(path)
	if err == nil && (now.Size() != card.Size() || !now.ModTime().Equal(card.ModTime())) {
		err = errors.New("it is another one now")
	}
	if err != nil {
		return connector.Fail("source.changed", err, "card %s", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return connector.Fail("source.card", err, "card %s", path)
	}
	var values map[string]*string
	if err := json.Unmarshal(raw, &values); err != nil {
		return connector.Fail("source.card", err, "card %s", path)
	}
	for i, c := range b.Schema {
		text, ok := values[c.Name]
		if !ok {
			return connector.Fail("source.card", nil, "card %s says nothing of column %q", path, c.Name)
		}
		column := &b.Columns[i]
		if text == nil {
			column.AppendNull()
			continue
		}
		if column.Data, err = logical.ParseText(column.Data, c.Type, []byte(*text)); err != nil {
			return connector.Fail("source.card", fmt.Errorf("column %q: %w", c.Name, err), "card %s", path)
		}
		column.Close()
	}
	b.EndRow()
	return nil
}

func (r *reader) Stats() connector.ReadStats { return r.stats }
func (r *reader) Close() error               { return nil }
