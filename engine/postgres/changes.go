package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/postgres/replication"
)

// changeOptions says how the table's changes are followed.
func (s *Source) changeOptions(ctx context.Context, req connector.ChangeRequest) (replication.Options, error) {
	o := replication.Options{ChangeRequest: req, Slot: s.options.CDC.Slot, Publication: s.options.CDC.Publication, Warn: s.env.Warn}
	if s.query != "" || s.options.CustomPredicate != "" {
		return o, &connector.Error{Code: "cdc.table", Msg: "changes are those of a whole table, not of a query or a part", Fix: "take source.options.query and custom_predicate out"}
	}
	if s.table == nil {
		if _, err := s.Describe(ctx); err != nil {
			return o, err
		}
	}
	o.Config = s.cfg.Config.Copy()
	o.Schema, o.Table = s.name.Schema, s.name.Name
	if o.Schema == "" {
		o.Schema = "public"
	}
	var err error
	o.Columns, o.Binary, err = s.streamed(req.Columns)
	o.Snapshot = s.SnapshotOf
	return o, err
}

// streamed gives the columns as the stream carries them. Its binary form is the
// encoding of the rows; when a column has to travel as text all of them are sent
// so, and what only this family's binary form can hold goes on as text, too.
func (s *Source) streamed(wanted batch.Schema) (batch.Schema, bool, error) {
	columns := make(batch.Schema, len(wanted))
	binary := true
	for i, w := range wanted {
		c := s.table.column(w.Name)
		if c == nil {
			return nil, false, &connector.Error{Code: "column.missing", Msg: fmt.Sprintf("%s has no column %q", s.table.Name, w.Name)}
		}
		columns[i] = w
		switch {
		case w.Type == c.Type:
			binary = binary && !c.asText
		case w.Type.Kind == logical.Text:
			binary = false
		default:
			return nil, false, &connector.Error{Code: "type.refused", Msg: fmt.Sprintf("column %q is %s and cannot be read as %s", w.Name, c.Native, w.Type)}
		}
	}
	for i := range columns {
		if !binary && columns[i].Type.Kind == logical.Native {
			columns[i].Type = logical.Type{Kind: logical.Text}
		}
	}
	return columns, binary, nil
}

// Claim implements [connector.ChangeSource].
func (s *Source) Claim(ctx context.Context, req connector.ChangeRequest) (json.RawMessage, error) {
	o, err := s.changeOptions(ctx, req)
	if err != nil {
		return nil, err
	}
	return replication.Claim(ctx, o)
}

// Changes implements [connector.ChangeSource].
func (s *Source) Changes(ctx context.Context, req connector.ChangeRequest) (connector.ChangeStream, error) {
	o, err := s.changeOptions(ctx, req)
	if err != nil {
		return nil, err
	}
	stream, err := replication.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// ReopenStage opens the way into a staging table that this transaction has made before.
func (t *tx) ReopenStage(_ context.Context, name string, columns batch.Schema) (connector.Stage, error) {
	return &stage{tx: t, columns: columns, kind: connector.StageRows, sql: "COPY " + name + " (" + quoteAll(columns.Names()) + ") FROM STDIN (FORMAT binary)"}, nil
}
