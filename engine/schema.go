package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// reserved begins the names of the columns that the engine adds.
const reserved = "__dpone__"

// contract holds the source to the columns and types that the manifest promises.
func (r *run) contract() error {
	c := r.m.Sink.Options.SchemaContract
	if len(c.Columns) == 0 {
		return nil
	}
	var broken []string
	named := map[string]bool{}
	for _, want := range c.Columns {
		named[want.Name] = true
		i := r.columns.Index(want.Name)
		if i < 0 {
			broken = append(broken, fmt.Sprintf("column %q is missing", want.Name))
			continue
		}
		t, err := logical.Parse(want.Type)
		if err != nil {
			return fmt.Errorf("sink.options.schema_contract: column %q: %w", want.Name, err)
		}
		if got := r.columns[i].Type; got != t {
			broken = append(broken, fmt.Sprintf("column %q is %s, not %s", want.Name, got, t))
		}
	}
	if c.Extra == "fail" {
		for _, column := range r.columns {
			if !named[column.Name] {
				broken = append(broken, fmt.Sprintf("column %q is not in the contract", column.Name))
			}
		}
	}
	if len(broken) > 0 {
		return &connector.Error{
			Code: "contract.broken", Msg: "the source breaks the contract: " + strings.Join(broken, "; "),
			Fix: "correct the source, or change sink.options.schema_contract",
		}
	}
	return nil
}

// contractGates refuse NULL where the contract does.
func (r *run) contractGates() []manifest.Gate {
	var gates []manifest.Gate
	for _, c := range r.m.Sink.Options.SchemaContract.Columns {
		if c.Nullable != nil && !*c.Nullable {
			gates = append(gates, manifest.Gate{ID: "contract.not_null." + c.Name, Type: "not_null", Severity: "error", Side: "load", Columns: []string{c.Name}})
		}
	}
	return gates
}

// technical are the columns that the strategy keeps beside the source's.
func (r *run) technical() batch.Schema {
	s := r.m.Sink.Strategy
	at := logical.Type{Kind: logical.TimestampTZ}
	var columns batch.Schema
	if s.Mode == manifest.SCD2 {
		columns = append(columns,
			batch.Column{Name: s.SCD2.ValidFrom, Type: at, NotNull: true},
			batch.Column{Name: s.SCD2.ValidTo, Type: at},
			batch.Column{Name: s.SCD2.Current, Type: logical.Type{Kind: logical.Bool}, NotNull: true},
			batch.Column{Name: s.SCD2.RowHash, Type: logical.Type{Kind: logical.Text}, NotNull: true},
		)
	}
	if s.SoftDelete != "" {
		columns = append(columns, batch.Column{Name: s.SoftDelete, Type: at})
	}
	return columns
}

// planChanges decides how the target's columns must change.
func (r *run) planChanges() ([]connector.Change, error) {
	for _, c := range r.technical() {
		if r.columns.Index(c.Name) >= 0 {
			return nil, &connector.Error{
				Code: "column.reserved", Msg: fmt.Sprintf("the strategy keeps a column %q of its own, and the source has one, too", c.Name),
				Fix: "give the strategy's column another name in sink.strategy",
			}
		}
	}
	if r.target == nil {
		return r.create(), nil
	}
	mode := r.m.Sink.Options.SchemaEvolution.Mode
	var add, widen batch.Schema
	var breaking []string
	for _, c := range slices.Concat(r.columns, r.technical()) {
		i := r.target.Index(c.Name)
		if i < 0 {
			if mode == "strict" {
				breaking = append(breaking, fmt.Sprintf("column %q is new", c.Name))
			}
			c.NotNull = false // the rows that are there have no value for it
			add = append(add, c)
			continue
		}
		have := r.target.Columns[i].Type
		switch {
		case r.rounds(r.target.Columns[i]) && mode == "widening":
			widen = append(widen, c)
		case r.rounds(r.target.Columns[i]):
			breaking = append(breaking, fmt.Sprintf("column %q is %s in the target, which would round values of the source", c.Name, r.target.Columns[i].Native))
		case have == c.Type || fits(c.Type, have):
		case fits(have, c.Type) && mode == "widening":
			widen = append(widen, c)
		case fits(have, c.Type):
			breaking = append(breaking, fmt.Sprintf("column %q is %s in the source and only %s in the target", c.Name, c.Type, have))
		default:
			breaking = append(breaking, fmt.Sprintf("column %q is %s in the source and %s in the target", c.Name, c.Type, have))
		}
	}
	for _, c := range r.target.Columns {
		ours := strings.HasPrefix(c.Name, reserved) || r.technical().Index(c.Name) >= 0
		if ours || c.Generated || r.columns.Index(c.Name) >= 0 {
			continue
		}
		switch {
		case c.NotNull && !c.Default:
			breaking = append(breaking, fmt.Sprintf("column %q of the target needs a value and the source has none", c.Name))
		case len(r.m.Source.Options.Columns) == 0 && !c.Default:
			breaking = append(breaking, fmt.Sprintf("column %q of the target is gone from the source", c.Name))
		}
	}
	if len(breaking) > 0 {
		return nil, &connector.Error{
			Code: "schema.breaking", Msg: "the target cannot take the source's columns: " + strings.Join(breaking, "; "),
			Fix: "change the target, or name the columns to load in source.options.columns",
		}
	}
	var changes []connector.Change
	if len(add) > 0 {
		changes = append(changes, connector.Change{Kind: "add", Columns: add})
	}
	if len(widen) > 0 {
		changes = append(changes, connector.Change{Kind: "widen", Columns: widen})
	}
	if s := r.m.Sink.Strategy; s.Mode == manifest.SCD2 && add.Index(s.SCD2.Current) >= 0 {
		changes = append(changes, connector.Change{Kind: "index", Key: r.key, Flag: s.SCD2.Current})
	}
	return changes, nil
}

// rounds is true when a column of the target would cut values that the source can have.
func (r *run) rounds(target connector.Column) bool {
	i := r.relation.Index(target.Name)
	return target.Rounds && i >= 0 && (r.relation.Columns[i].Native != target.Native || r.m.Source.Type != r.m.Sink.Type)
}

func (r *run) create() []connector.Change {
	columns := slices.Clone(r.columns)
	for i := range columns {
		columns[i].NotNull = slices.Contains(r.key, columns[i].Name)
	}
	c := connector.Change{Kind: "create", Columns: append(columns, r.technical()...), Key: r.key}
	s := r.m.Sink.Strategy
	if s.Mode != manifest.SCD2 {
		return []connector.Change{c}
	}
	c.Key = nil // a key has many versions, and one current one
	return []connector.Change{c, {Kind: "index", Key: r.key, Flag: s.SCD2.Current}}
}

// fits says whether every value of from is a value of to, the same to the last byte
// of its text. A numeric of another scale is not: 1.0 would become 1.00.
func fits(from, to logical.Type) bool {
	rank := map[logical.Kind]int{logical.Int16: 1, logical.Int32: 2, logical.Int64: 3}
	switch {
	case rank[from.Kind] > 0 && rank[to.Kind] > 0:
		return rank[from.Kind] <= rank[to.Kind]
	case from.Kind == logical.Float32 && to.Kind == logical.Float64:
		return true
	case from.Kind == logical.Text && to.Kind == logical.Text:
		return to.Length == 0 || (from.Length > 0 && from.Length <= to.Length)
	case from.Kind == logical.Numeric && to.Kind == logical.Numeric:
		return to.Precision == 0 || (from.Precision > 0 && from.Scale == to.Scale && from.Precision <= to.Precision)
	}
	return from == to
}

// noteChanges puts what committed into the report.
func (r *run) noteChanges() {
	for _, change := range r.changes {
		if change.Kind == "index" {
			continue
		}
		for _, c := range change.Columns {
			r.report.Schema = append(r.report.Schema, SchemaChange{Kind: change.Kind, Column: c.Name, Type: c.Type.String()})
		}
	}
}
