package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the driver for [describeQuery]

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// table is a relation and what only this package needs of it.
type table struct {
	connector.Relation
	kind  string // table, view or virtual; empty for a query
	name  string // as the schema spells it
	rowID string // the name under which the row's number can be read, empty for none
	alias string // the column that is the row's number, empty for none
}

// column gives the column that SQLite finds under the name, whatever its case.
func (t *table) column(name string) *connector.Column {
	for i := range t.Columns {
		if strings.EqualFold(t.Columns[i].Name, name) {
			return &t.Columns[i]
		}
	}
	return nil
}

// checkSchema refuses what the connector does not reach: other attached files.
func checkSchema(side string, t manifest.Table) error {
	if t.Schema != "" && t.Schema != "main" {
		return &connector.Error{
			Code: "sqlite.schema", Msg: fmt.Sprintf("%s.table.schema: there is no %q", side, t.Schema),
			Fix: "a SQLite file has the schema main; leave the field out",
		}
	}
	return nil
}

// identityOf tells a relation from every other one. Names differ by more than their case.
func identityOf(path, name string) string {
	return "sqlite:" + path + "/main." + strings.ToLower(name)
}

// describeTable reads the schema; nil when there is no such table.
func describeTable(ctx context.Context, s *session, name string) (*table, error) {
	t := &table{}
	var without, strict bool
	err := s.Query(ctx, "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE", []any{name},
		func(scan func(...any) error) error { return scan(&t.name, &t.kind, &without, &strict) })
	if err != nil {
		return nil, connector.Fail("sqlite.read", err, "look up %q in %s", name, s.path)
	}
	if t.name == "" {
		return nil, nil
	}
	t.Name, t.Identity = "main."+t.name, identityOf(s.path, t.name)
	keys := map[int64]string{}
	aliased := ""
	err = s.Query(ctx, "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?, 'main') ORDER BY cid", []any{t.name},
		func(scan func(...any) error) error {
			var c connector.Column
			var dflt *string
			var pk, hidden int64
			if err := scan(&c.Name, &c.Native, &c.NotNull, &dflt, &pk, &hidden); err != nil {
				return err
			}
			if hidden == 1 {
				return nil // of a virtual table, not part of its rows
			}
			c.Generated, c.Default = hidden > 1, dflt != nil
			if pk > 0 {
				keys[pk] = c.Name
				if without {
					c.NotNull = true
				}
				if strings.EqualFold(c.Native, "INTEGER") && !without {
					aliased = c.Name
				}
			}
			if kind, ok := typeOf(c.Native); ok && (c.Native != "" || t.kind != "view") {
				c.Type, c.Portable = kind, kind
			}
			t.Columns = append(t.Columns, c)
			return nil
		})
	if err != nil {
		return nil, connector.Fail("sqlite.read", err, "read the columns of %s", t.Name)
	}
	for i := range int64(len(keys)) {
		t.Key = append(t.Key, keys[i+1])
	}
	if err := t.rows(ctx, s, without, aliased); err != nil {
		return nil, err
	}
	return t, nil
}

// rows finds out how rows are numbered.
func (t *table) rows(ctx context.Context, s *session, without bool, aliased string) error {
	if t.kind != "table" || without {
		return nil
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if t.column(name) == nil {
			t.rowID = name
			break
		}
	}
	if aliased == "" || len(t.Key) != 1 {
		return nil
	}
	// A key that has an index of its own is not the row's number (INTEGER PRIMARY KEY DESC).
	indexed := 0
	err := s.one(ctx, &indexed, "SELECT count(*) FROM pragma_index_list(?, 'main') WHERE origin = 'pk'", t.name)
	if err != nil {
		return connector.Fail("sqlite.read", err, "read the key of %s", t.Name)
	}
	if indexed == 0 {
		t.alias = aliased
		c := t.column(aliased)
		c.NotNull, c.Default = true, true
	}
	return nil
}

// describeQuery asks SQLite which columns a statement gives. An expression has no type.
func describeQuery(ctx context.Context, s *session, statement string) (*table, error) {
	t := &table{Relation: connector.Relation{Name: "query", Identity: identityOf(s.path, "query")}}
	// Of a statement's columns only the driver of database/sql tells the declared types.
	db, err := sql.Open("sqlite", uri(s.path, readOnly))
	if err != nil {
		return nil, connector.Fail("sqlite.open", err, "open %s", s.path)
	}
	defer func() { _ = db.Close() }() // nothing was written
	rows, err := db.QueryContext(ctx, "SELECT * FROM ("+statement+"\n) AS query LIMIT 0")
	if err != nil {
		return nil, connector.Fail("query.invalid", err, "source.options.query")
	}
	defer func() { _ = rows.Close() }() // Err tells
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, connector.Fail("query.invalid", err, "source.options.query")
	}
	for _, found := range types {
		// SQLite numbers the second column of a name: b, b:1.
		base, _, _ := strings.Cut(found.Name(), ":")
		if t.column(found.Name()) != nil || t.column(base) != nil {
			return nil, &connector.Error{
				Code: "query.invalid", Msg: fmt.Sprintf("the query gives two columns the name %q", base), Fix: "give each column its own name",
			}
		}
		c := connector.Column{Column: batch.Column{Name: found.Name()}, Native: found.DatabaseTypeName()}
		if kind, ok := typeOf(c.Native); ok && c.Native != "" {
			c.Type, c.Portable = kind, kind
		}
		t.Columns = append(t.Columns, c)
	}
	return t, rows.Err()
}

// retype gives columns the types that the manifest says.
func (t *table) retype(types []manifest.Typed) error {
	for _, typed := range types {
		kind, err := logical.Parse(typed.Type)
		if err != nil {
			return fmt.Errorf("source.options.types: column %q: %w", typed.Column, err)
		}
		c := t.column(typed.Column)
		if c == nil {
			return t.missing("source.options.types", typed.Column)
		}
		if _, err := declare(kind); err != nil {
			return fmt.Errorf("source.options.types: column %q: %w", typed.Column, err)
		}
		c.Type, c.Portable = kind, kind
	}
	return nil
}

func (t *table) missing(field, name string) error {
	return &connector.Error{
		Code: "column.missing", Msg: fmt.Sprintf("%s names %q, which %s does not have", field, name, t.Name),
		Fix: "its columns are " + strings.Join(t.Schema().Names(), ", "),
	}
}

// restrict keeps the named columns in the order of the names; all when none are named.
func (t *table) restrict(names []string) error {
	if len(names) == 0 {
		return nil
	}
	kept := make([]connector.Column, len(names))
	for i, n := range names {
		c := t.column(n)
		if c == nil {
			return t.missing("source.options.columns", n)
		}
		kept[i] = *c
	}
	t.Columns = kept
	return nil
}

// typed refuses columns whose type nobody told.
func (t *table) typed() error {
	for _, c := range t.Columns {
		if c.Type.Kind != logical.Invalid {
			continue
		}
		msg := fmt.Sprintf("column %q of %s is declared %s, which tells no type", c.Name, t.Name, c.Native)
		if c.Native == "" {
			msg = fmt.Sprintf("column %q of %s is an expression and has no declared type", c.Name, t.Name)
		}
		return &connector.Error{Code: "type.unknown", Msg: msg, Fix: "give it one in source.options.types"}
	}
	return nil
}

// facts are what the report tells of a file.
func facts(ctx context.Context, s *session) (map[string]string, error) {
	f := map[string]string{"family": "sqlite", "file": s.path}
	for name, statement := range map[string]string{
		"sqlite_version": "SELECT sqlite_version()", "journal_mode": "PRAGMA journal_mode",
		"page_count": "PRAGMA page_count", "page_size": "PRAGMA page_size", "schema_version": "PRAGMA schema_version",
	} {
		var value string
		if err := s.one(ctx, &value, statement); err != nil {
			return nil, connector.Fail("sqlite.read", err, "read %s of %s", name, s.path)
		}
		f[name] = value
	}
	return f, nil
}
