// Package certify tells the matrix how to lay out card boxes. It writes them by
// itself: what tests the connector must not use the connector.
package certify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/canon"
)

// Family is what the matrix has to know.
func Family() system.Family {
	f := system.Family{Name: "cards", Start: func(context.Context, system.Options) (system.Server, error) { return server{}, nil }}
	f.Declared.Source = fragment("box")
	return f
}

// fragment is the source's side of a manifest.
func fragment(dir string) system.Fragment {
	return system.Fragment{Lines: []string{"type: cards", fmt.Sprintf("path: %q", dir)}}
}

type server struct{}

func (server) Facts() system.Facts {
	return system.Facts{Family: "cards", System: "card boxes", Version: "1"}
}

func (server) Alive(context.Context) error { return nil }
func (server) Close(context.Context) error { return nil }

func (server) Target(context.Context, *fixture.Fixture, system.Place) (system.Target, error) {
	return nil, errors.New("cards are no sink")
}

// Source lays out a box that holds the rows before the change.
func (server) Source(_ context.Context, f *fixture.Fixture, p system.Place) (system.Source, error) {
	s := &source{dir: filepath.Join(p.Dir, "box"), f: f, events: p.Events}
	return s, s.fill(f.Before())
}

type source struct {
	dir    string
	f      *fixture.Fixture
	events bool
}

func (s *source) Manifest() system.Fragment { return fragment(s.dir) }

func (s *source) Close(context.Context) error { return os.RemoveAll(s.dir) }

// Change brings the box to the rows after the change; a box of events holds what happened, and nothing else.
func (s *source) Change(context.Context) error {
	if s.events {
		return errors.Join(os.RemoveAll(s.dir), s.fill(s.f.Delta()))
	}
	for row := range s.f.Delta() {
		id, err := strconv.ParseInt(row[0].Text, 10, 64)
		if err == nil && s.f.Deleted(id) {
			err = os.Remove(s.card(row))
		} else if err == nil {
			err = s.write(row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill makes a box.
func (s *source) fill(rows iter.Seq[fixture.Row]) error {
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return err
	}
	var described []map[string]any
	for _, c := range s.f.Columns() {
		described = append(described, map[string]any{"name": c.Name, "type": typeOf(c), "not_null": c.NotNull})
	}
	raw, err := json.Marshal(described)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "columns.json"), raw, 0o600); err != nil {
		return err
	}
	for row := range rows {
		if err := s.write(row); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) card(row fixture.Row) string { return filepath.Join(s.dir, row[0].Text+".json") }

func (s *source) write(row fixture.Row) error {
	values := map[string]any{}
	for i, c := range s.f.Columns() {
		values[c.Name] = nil
		if !row[i].Null {
			values[c.Name] = string(canon.AppendPlain(nil, c.Kind, row[i].Text))
		}
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return os.WriteFile(s.card(row), raw, 0o600)
}

// typeOf names the type of a column as the box has it.
func typeOf(c fixture.Column) string {
	switch {
	case c.Kind == fixture.Decimal:
		return fmt.Sprintf("numeric(%d,%d)", c.Precision, c.Scale)
	case c.Length > 0:
		return fmt.Sprintf("text(%d)", c.Length)
	}
	return string(c.Kind)
}
