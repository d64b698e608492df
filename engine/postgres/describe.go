package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// column is a column and what only this package needs of it.
type column struct {
	connector.Column
	asText bool // read as its text form
}

// table is a relation and what only this package needs of it.
type table struct {
	connector.Relation
	columns []column
	oid     uint32
	kind    byte // relkind; 0 for a query
}

func (t *table) column(name string) *column {
	for i := range t.columns {
		if t.columns[i].Name == name {
			return &t.columns[i]
		}
	}
	return nil
}

const columnsSQL = `
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '', a.attidentity <> '' OR a.atthasdef,
       b.oid, b.mod, b.typtype::text, coalesce(b.typelem, 0), b.depth > 0
FROM pg_attribute a
CROSS JOIN LATERAL (
  WITH RECURSIVE d AS (
    SELECT t.oid, t.typtype, t.typbasetype, a.atttypmod AS mod, t.typtypmod, t.typelem, t.typcategory, 0 AS depth FROM pg_type t WHERE t.oid = a.atttypid
    UNION ALL
    SELECT t.oid, t.typtype, t.typbasetype, CASE WHEN d.mod >= 0 THEN d.mod ELSE d.typtypmod END, t.typtypmod, t.typelem, t.typcategory, d.depth + 1
    FROM d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
  SELECT d.oid, d.mod, d.typtype, CASE WHEN d.typcategory = 'A' THEN d.typelem END AS typelem, d.depth FROM d WHERE d.typtype <> 'd') b
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`

// describeTable reads the catalog; nil when there is no such table.
func describeTable(ctx context.Context, conn *pgx.Conn, t manifest.Table) (*table, error) {
	if t.Schema == "" {
		t.Schema = "public"
	}
	out := &table{Relation: connector.Relation{Name: t.Schema + "." + t.Name}}
	var kind string
	err := conn.QueryRow(ctx, "SELECT c.oid, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
		t.Schema, t.Name).Scan(&out.oid, &kind)
	if err == pgx.ErrNoRows { //nolint:errorlint // pgx gives it unwrapped
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", out.Name, err)
	}
	out.kind = kind[0]
	switch out.kind {
	case 'r', 'p', 'v', 'm', 'f':
	default:
		return nil, &connector.Error{Code: "relation.kind", Msg: fmt.Sprintf("%s is neither a table nor a view", out.Name)}
	}
	if err := out.read(ctx, conn); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `SELECT a.attname FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, n)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = $1 AND i.indisprimary ORDER BY k.n`, out.oid)
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", out.Name, err)
	}
	if out.Key, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", out.Name, err)
	}
	return out, out.identify(ctx, conn)
}

func (t *table) read(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, columnsSQL, t.oid)
	if err != nil {
		return fmt.Errorf("read the columns of %s: %w", t.Name, err)
	}
	defer rows.Close()
	for rows.Next() {
		var c column
		var p pgType
		var kind string
		if err := rows.Scan(&c.Name, &c.Native, &c.NotNull, &c.Generated, &c.Default, &p.OID, &p.Mod, &kind, &p.Element, &p.Domain); err != nil {
			return fmt.Errorf("read the columns of %s: %w", t.Name, err)
		}
		p.Kind = kind[0]
		p.Name = c.Native
		t.add(c, p)
	}
	return rows.Err()
}

func (t *table) add(c column, p pgType) {
	if p.Domain && scalar(p.OID) == logical.Invalid && p.Kind != 'e' {
		// The domain's name would stand in the type; its text form is read back by any type.
		c.Type, c.Portable, c.asText = logical.Type{Kind: logical.Text}, logical.Type{Kind: logical.Text}, true
	} else {
		c.Type, c.Portable, c.asText = classify(p)
	}
	c.Rounds = rounds(p)
	t.columns = append(t.columns, c)
	t.Columns = append(t.Columns, c.Column)
}

// identify makes the identity out of what tells servers apart.
func (t *table) identify(ctx context.Context, conn *pgx.Conn) error {
	server, err := serverIdentity(ctx, conn)
	if err != nil {
		return err
	}
	t.Identity = server + "/" + t.Name
	return nil
}

func serverIdentity(ctx context.Context, conn *pgx.Conn) (string, error) {
	var system, database string
	var permitted bool
	// To be refused would end the transaction that the caller may be in.
	err := conn.QueryRow(ctx, "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')").Scan(&permitted)
	if err != nil {
		return "", fmt.Errorf("read the identity of the server: %w", err)
	}
	query := "SELECT (SELECT system_identifier::text FROM pg_control_system()), oid::text FROM pg_database WHERE datname = current_database()"
	if !permitted {
		// Without the privilege the address and the name have to do.
		query = "SELECT coalesce(host(inet_server_addr()), 'local') || ':' || current_setting('port'), oid::text FROM pg_database WHERE datname = current_database()"
	}
	if err := conn.QueryRow(ctx, query).Scan(&system, &database); err != nil {
		return "", fmt.Errorf("read the identity of the server: %w", err)
	}
	return "postgres:" + system + "/" + database, nil
}

const typesSQL = `
WITH RECURSIVE d AS (
  SELECT t.oid AS asked, t.oid, t.typtype, t.typbasetype, -1 AS mod, t.typtypmod, t.typelem, t.typcategory, 0 AS depth FROM pg_type t WHERE t.oid = ANY($1::oid[])
  UNION ALL
  SELECT d.asked, t.oid, t.typtype, t.typbasetype, CASE WHEN d.mod >= 0 THEN d.mod ELSE d.typtypmod END, t.typtypmod, t.typelem, t.typcategory, d.depth + 1
  FROM d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')
SELECT asked, oid, mod, typtype::text, CASE WHEN typcategory = 'A' THEN typelem ELSE 0 END, depth > 0 FROM d WHERE typtype <> 'd'`

// describeQuery asks the server which columns a statement gives.
func describeQuery(ctx context.Context, conn *pgx.Conn, sql string) (*table, error) {
	d, err := conn.PgConn().Prepare(ctx, "", "SELECT * FROM ("+sql+"\n) AS query", nil)
	if err != nil {
		return nil, connector.Fail("query.invalid", err, "source.options.query")
	}
	out := &table{Relation: connector.Relation{Name: "query"}}
	var oids []uint32
	for _, f := range d.Fields {
		oids = append(oids, f.DataTypeOID)
	}
	types := map[uint32]pgType{}
	rows, err := conn.Query(ctx, typesSQL, oids)
	if err != nil {
		return nil, fmt.Errorf("read the types of the query: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var asked uint32
		var p pgType
		var kind string
		if err := rows.Scan(&asked, &p.OID, &p.Mod, &kind, &p.Element, &p.Domain); err != nil {
			return nil, fmt.Errorf("read the types of the query: %w", err)
		}
		p.Kind = kind[0]
		types[asked] = p
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the types of the query: %w", err)
	}
	rows.Close()
	seen := map[string]bool{}
	for _, f := range d.Fields {
		if seen[f.Name] {
			return nil, &connector.Error{Code: "query.invalid", Msg: fmt.Sprintf("the query gives two columns the name %q", f.Name), Fix: "give each column its own name"}
		}
		seen[f.Name] = true
		p := types[f.DataTypeOID]
		if p.Mod < 0 {
			p.Mod = f.TypeModifier
		}
		var c column
		c.Name = f.Name
		if err := conn.QueryRow(ctx, "SELECT format_type($1, $2)", f.DataTypeOID, f.TypeModifier).Scan(&c.Native); err != nil {
			return nil, fmt.Errorf("read the type of %q: %w", f.Name, err)
		}
		p.Name = c.Native
		out.add(c, p)
	}
	return out, out.identify(ctx, conn)
}

// restrict keeps the named columns in the order of the names, without generated ones when none are named.
func (t *table) restrict(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var kept []column
	var all []connector.Column
	for _, n := range names {
		c := t.column(n)
		if c == nil {
			return &connector.Error{
				Code: "column.missing", Msg: fmt.Sprintf("source.options.columns names %q, which %s does not have", n, t.Name),
				Fix: "its columns are " + strings.Join(t.Schema().Names(), ", "),
			}
		}
		kept = append(kept, *c)
		all = append(all, c.Column)
	}
	t.columns, t.Columns = kept, all
	return nil
}

// selectList reads the columns in the wanted types.
func (t *table) selectList(wanted batch.Schema) (string, error) {
	parts := make([]string, len(wanted))
	for i, w := range wanted {
		c := t.column(w.Name)
		if c == nil {
			return "", &connector.Error{Code: "column.missing", Msg: fmt.Sprintf("%s has no column %q", t.Name, w.Name)}
		}
		switch {
		case w.Type == c.Type && !c.asText:
			parts[i] = quote(w.Name)
		case w.Type.Kind == logical.Text:
			parts[i] = quote(w.Name) + "::text"
		default:
			return "", &connector.Error{Code: "type.refused", Msg: fmt.Sprintf("column %q is %s and cannot be read as %s", w.Name, c.Native, w.Type)}
		}
	}
	return strings.Join(parts, ", "), nil
}
