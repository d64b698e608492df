package postgres

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/connector"
)

// shadow is a sibling of the target that is loaded and then takes its place. What
// hangs on the target and cannot be carried over is found before anything is read.
type shadow struct {
	tx        *tx
	schema    string // quoted, with a point
	plain     string // quoted
	name      string // both
	oid       uint32 // of the target
	committed bool   // made outside the transaction, so that several connections can load it
	carried
}

// carried is what the sibling takes over, as statements but for the indexes.
type carried struct {
	indexes []shadowIndex
	shape   []string // the columns, only to be compared
	loaded  []string // on the loaded sibling, while others still read the target
	locked  []string // on both, once nobody uses the target
	swapped []string // on the sibling under the target's name
}

type shadowIndex struct {
	name, body   string
	unique       bool
	constraint   string // name of the constraint it backs, empty when none
	kind, timing string
}

// openShadow checks that a swap loses nothing, and makes the sibling.
func (t *tx) openShadow(ctx context.Context) error {
	s := &shadow{tx: t, oid: t.table.oid, schema: "public", plain: quote("dpone_shadow_" + sha(t.table.Identity)[:16])}
	if schema := t.sink.m.Sink.Table.Schema; schema != "" {
		s.schema = schema
	}
	s.schema = quote(s.schema) + "."
	s.name = s.schema + s.plain
	if err := s.refuse(ctx); err != nil {
		return err
	}
	var err error
	if s.carried, err = s.collect(ctx); err != nil {
		return err
	}
	// Another connection could not copy the columns of a table that this transaction has changed.
	var changed bool
	err = t.conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND relation = $1 AND mode = 'AccessExclusiveLock')", s.oid).Scan(&changed)
	if err != nil {
		return connector.Fail("target.swap_preflight", err, "read the locks on %s", t.target)
	}
	s.committed = t.sink.m.Source.Options.Workers > 1 && !changed
	create := "DROP TABLE IF EXISTS " + s.name + "; CREATE TABLE " + s.name + " (LIKE " + t.target + " INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS)"
	conn := t.conn
	if s.committed {
		own, err := Dial(ctx, t.sink.cfg)
		if err != nil {
			return err
		}
		defer func() { _ = own.Close(context.WithoutCancel(ctx)) }()
		conn, create = own, "SET lock_timeout = "+t.sink.lockTimeout()+"; "+create
	}
	if err := simple(ctx, conn, create); err != nil {
		return connector.Fail("target.shadow", err, "make the sibling of %s", t.target)
	}
	t.shadow = s
	return nil
}

// obstacle is what a swap would lose; sql gives the names of what it found.
type obstacle struct{ what, sql string }

// obstacles are looked for before anything is read. $1 is the target.
func obstacles() []obstacle {
	return []obstacle{
		{"views or rules that read it", `SELECT string_agg(DISTINCT r.ev_class::regclass::text, ', ') FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
			WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1`},
		{"functions or types that use it", `SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') FROM pg_class c JOIN pg_type t ON t.oid = c.reltype
			JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
			WHERE c.oid = $1 AND d.deptype = 'n' AND d.classid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_cast'::regclass, 'pg_operator'::regclass)`},
		{"other objects that use its identity", `SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') FROM pg_depend own
			JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = own.objid AND d.deptype = 'n'
			WHERE own.classid = 'pg_class'::regclass AND own.refclassid = 'pg_class'::regclass AND own.refobjid = $1 AND own.deptype = 'i'`},
		{"foreign keys that point to it", `SELECT string_agg(conrelid::regclass::text || '.' || conname, ', ') FROM pg_constraint WHERE contype = 'f' AND confrelid = $1`},
		{"row security policies", `SELECT string_agg(polname, ', ') FROM pg_policy WHERE polrelid = $1`},
		{"row security that is switched on", `SELECT relname FROM pg_class WHERE oid = $1 AND (relrowsecurity OR relforcerowsecurity)`},
		{"exclusion constraints", `SELECT string_agg(conname, ', ') FROM pg_constraint WHERE contype = 'x' AND conrelid = $1`},
		{"publications that hold it", `SELECT string_agg(p.pubname, ', ') FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1`},
		{"a subscription that fills it", `SELECT srrelid::regclass::text FROM pg_subscription_rel WHERE srrelid = $1 LIMIT 1`},
		{"partitions or inheritance", `SELECT string_agg(i.inhrelid::regclass::text || ' of ' || i.inhparent::regclass::text, ', ') FROM pg_inherits i WHERE i.inhrelid = $1 OR i.inhparent = $1`},
		{"no ordinary, permanent table behind it", `SELECT relname FROM pg_class WHERE oid = $1 AND (relkind <> 'r' OR relpersistence <> 'p' OR reloftype <> 0)`},
		{"a tablespace or an access method of its own", `SELECT string_agg(c.relname, ', ') FROM pg_class c JOIN pg_am m ON m.oid = c.relam
			WHERE (c.oid = $1 AND (m.amname <> 'heap' OR c.reltablespace <> 0)) OR (c.reltablespace <> 0 AND c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1))`},
		{"columns of other tables of its row type", `SELECT string_agg(DISTINCT a.attrelid::regclass::text, ', ') FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
			JOIN pg_class c ON c.reltype IN (t.oid, t.typelem) WHERE c.oid = $1 AND a.attrelid <> c.oid AND NOT a.attisdropped`},
	}
}

func (s *shadow) refuse(ctx context.Context) error {
	var found []string
	for _, o := range obstacles() {
		var names *string
		if err := s.tx.conn.QueryRow(ctx, o.sql, s.oid).Scan(&names); err != nil && err != pgx.ErrNoRows { //nolint:errorlint // pgx gives it unwrapped
			return connector.Fail("target.swap_preflight", err, "look for %s", o.what)
		}
		if names != nil {
			found = append(found, o.what+": "+*names)
		}
	}
	if len(found) > 0 {
		return &connector.Error{
			Code: "target.swap_blocked", Msg: fmt.Sprintf("%s cannot be swapped, it has %s", s.tx.target, strings.Join(found, "; ")),
			Fix: "set sink.strategy.overwrite_type to in_place, which keeps the table",
		}
	}
	return nil
}

// grants gives the statements that give a relation the privileges of $1, which has
// the kind r (table) or s (sequence), and no other ones: default privileges may
// have added some, and the owner may have lost some.
func grants(kind, relation, name string) string {
	grantee := "CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END"
	of := "FROM pg_class c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('" + kind + "', c.relowner))) a WHERE c.oid = "
	on := " ON " + relation + " " + name
	revoke := "DECLARE g text; BEGIN FOR g IN SELECT DISTINCT " + grantee + " " + of + literal(name) + "::regclass LOOP EXECUTE " + literal("REVOKE ALL"+on+" FROM ") + " || g; END LOOP; END"
	return "SELECT " + literal("DO "+literal(revoke)) + " UNION ALL SELECT 'GRANT ' || a.privilege_type || " + literal(on+" TO ") + " || " + grantee +
		" || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END " + of + "$1"
}

// collect reads what has to be carried over.
func (s *shadow) collect(ctx context.Context) (c carried, err error) {
	if c.indexes, err = s.readIndexes(ctx); err != nil {
		return c, err
	}
	at, target := literal(s.name), literal(s.tx.target)
	for _, q := range []struct {
		to        *[]string
		what, sql string
	}{
		{&c.shape, "columns", `SELECT format('%s %s %s %s', quote_ident(attname), format_type(atttypid, atttypmod), attnotnull, attidentity) FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum`},
		{&c.loaded, "owner", `SELECT 'ALTER TABLE ' || ` + at + ` || ' OWNER TO ' || quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = $1`},
		{&c.loaded, "storage options", `SELECT 'ALTER TABLE ' || ` + at + ` || ' SET (' || string_agg(o, ', ') || ')' FROM (SELECT unnest(reloptions) AS o FROM pg_class WHERE oid = $1
			UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = $1) x HAVING count(*) > 0`},
		{&c.loaded, "statistics targets", `SELECT 'ALTER TABLE ' || ` + at + ` || ' ALTER COLUMN ' || quote_ident(attname) || ' SET STATISTICS ' || attstattarget FROM pg_attribute
			WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND coalesce(attstattarget, -1) >= 0 ORDER BY attnum`},
		{&c.loaded, "column options", `SELECT 'ALTER TABLE ' || ` + at + ` || ' ALTER COLUMN ' || quote_ident(attname) || ' SET (' || array_to_string(attoptions, ', ') || ')' FROM pg_attribute
			WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attoptions IS NOT NULL ORDER BY attnum`},
		{&c.loaded, "foreign keys", `SELECT 'ALTER TABLE ' || ` + at + ` || ' ADD CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = $1 ORDER BY conname`},
		{&c.loaded, "comment", `SELECT 'COMMENT ON TABLE ' || ` + at + ` || ' IS ' || quote_literal(d) FROM obj_description($1, 'pg_class') d WHERE d IS NOT NULL`},
		{&c.loaded, "replica identity", `SELECT 'ALTER TABLE ' || ` + at + ` || ' REPLICA IDENTITY ' || CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END FROM pg_class WHERE oid = $1 AND relreplident IN ('f', 'n')`},
		{&c.loaded, "grants", grants("r", "TABLE", s.name)},
		{&c.loaded, "grants on columns", `SELECT 'GRANT ' || a.privilege_type || ' (' || quote_ident(t.attname) || ') ON ' || ` + at + ` || ' TO ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
			FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE t.attrelid = $1 AND NOT t.attisdropped ORDER BY t.attnum`},
		{&c.locked, "sequences", `SELECT 'ALTER SEQUENCE ' || d.objid::regclass || ' OWNED BY ' || ` + at + ` || '.' || quote_ident(a.attname) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
			JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'a' ORDER BY a.attnum`},
		{&c.locked, "identity columns", `SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), last_value, is_called) FROM %s', ` + at + `, a.attname, pg_get_serial_sequence(` + target + `, a.attname))
			FROM pg_attribute a WHERE a.attrelid = $1 AND a.attidentity <> '' AND NOT a.attisdropped ORDER BY a.attnum`},
		{&c.swapped, "replica identity", `SELECT 'ALTER TABLE ' || ` + target + ` || ' REPLICA IDENTITY USING INDEX ' || quote_ident(c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
			WHERE i.indrelid = $1 AND i.indisreplident AND t.relreplident = 'i'`},
		{&c.swapped, "clustering", `SELECT 'ALTER TABLE ' || ` + target + ` || ' CLUSTER ON ' || quote_ident(c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 AND i.indisclustered`},
		{&c.swapped, "statistics", `SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = $1 ORDER BY stxname`},
		{&c.swapped, "triggers", `SELECT pg_get_triggerdef(oid) || CASE WHEN tgenabled = 'O' THEN '' ELSE '; ALTER TABLE ' || ` + target + ` || CASE tgenabled WHEN 'D' THEN ' DISABLE' WHEN 'R' THEN ' ENABLE REPLICA' ELSE ' ENABLE ALWAYS' END || ' TRIGGER ' || quote_ident(tgname) END
			FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname`},
		{&c.swapped, "comments on indexes", `SELECT format('COMMENT ON INDEX %s IS %L', i.indexrelid::regclass, d) FROM pg_index i CROSS JOIN LATERAL obj_description(i.indexrelid, 'pg_class') d WHERE i.indrelid = $1 AND d IS NOT NULL ORDER BY 1`},
		{&c.swapped, "comments on constraints", `SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, ` + target + `, d) FROM pg_constraint CROSS JOIN LATERAL obj_description(oid, 'pg_constraint') d WHERE conrelid = $1 AND d IS NOT NULL ORDER BY 1`},
		{&c.swapped, "comments on triggers", `SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, ` + target + `, d) FROM pg_trigger CROSS JOIN LATERAL obj_description(oid, 'pg_trigger') d WHERE tgrelid = $1 AND d IS NOT NULL ORDER BY 1`},
		{&c.swapped, "comments on statistics", `SELECT format('COMMENT ON STATISTICS %I.%I IS %L', stxnamespace::regnamespace, stxname, d) FROM pg_statistic_ext CROSS JOIN LATERAL obj_description(oid, 'pg_statistic_ext') d WHERE stxrelid = $1 AND d IS NOT NULL ORDER BY 1`},
	} {
		if err := s.read(ctx, q.to, q.what, q.sql, s.oid); err != nil {
			return c, err
		}
	}
	return c, s.identities(ctx, &c)
}

func (s *shadow) read(ctx context.Context, to *[]string, what, sql string, of uint32) error {
	rows, err := s.tx.conn.Query(ctx, sql, of)
	if err == nil {
		var found []string
		if found, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			*to = append(*to, found...)
			return nil
		}
	}
	return connector.Fail("target.swap_preflight", err, "read the %s of %s", what, s.tx.target)
}

// identities carries over names and privileges of the sequences behind identity columns.
func (s *shadow) identities(ctx context.Context, c *carried) error {
	type sequence struct {
		OID    uint32
		Column string
		Name   string // unqualified
	}
	rows, err := s.tx.conn.Query(ctx, `SELECT q.oid, a.attname, q.relname FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'i' ORDER BY a.attnum`, s.oid)
	if err != nil {
		return connector.Fail("target.swap_preflight", err, "read the identity columns of %s", s.tx.target)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sequence])
	if err != nil {
		return connector.Fail("target.swap_preflight", err, "read the identity columns of %s", s.tx.target)
	}
	for _, q := range found {
		rename := "DECLARE q text := pg_get_serial_sequence(" + literal(s.tx.target) + ", " + literal(q.Column) + "); BEGIN IF q <> " + literal(s.schema+quote(q.Name)) +
			" THEN EXECUTE 'ALTER SEQUENCE ' || q || ' RENAME TO ' || " + literal(quote(q.Name)) + "; END IF; END"
		c.swapped = append(c.swapped, "DO "+literal(rename))
		if err := s.read(ctx, &c.swapped, "grants", grants("s", "SEQUENCE", s.schema+quote(q.Name)), q.OID); err != nil {
			return err
		}
	}
	return nil
}

func (s *shadow) readIndexes(ctx context.Context) ([]shadowIndex, error) {
	fail := func(err error) error {
		return connector.Fail("target.swap_preflight", err, "read the indexes of %s", s.tx.target)
	}
	rows, err := s.tx.conn.Query(ctx, `SELECT ic.relname, pg_get_indexdef(i.indexrelid), 'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(ic.relname)
		|| ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' USING ', i.indisunique, coalesce(k.conname, ''), coalesce(k.contype::text, ''),
		CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END
		FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u') WHERE i.indrelid = $1 ORDER BY ic.relname`, s.oid)
	if err != nil {
		return nil, fail(err)
	}
	defer rows.Close()
	var indexes []shadowIndex
	for rows.Next() {
		var x shadowIndex
		var definition, prefix string
		if err := rows.Scan(&x.name, &definition, &prefix, &x.unique, &x.constraint, &x.kind, &x.timing); err != nil {
			return nil, fail(err)
		}
		body, ok := strings.CutPrefix(definition, prefix)
		if !ok {
			return nil, &connector.Error{Code: "target.swap_blocked", Msg: fmt.Sprintf("index %q has a definition that cannot be carried over: %s", x.name, definition)}
		}
		x.body = body
		indexes = append(indexes, x)
	}
	if err := rows.Err(); err != nil {
		return nil, fail(err)
	}
	return indexes, nil
}

// Publish puts the loaded sibling in the target's place. Indexes are built while
// readers still use the old table; only the swap itself locks them out.
func (t *tx) Publish(ctx context.Context) error {
	s := t.shadow
	if s == nil {
		return nil
	}
	rename, err := s.buildIndexes(ctx)
	if err != nil {
		return err
	}
	if err := s.each(ctx, "carry over", s.loaded); err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	now, err := s.collect(ctx)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(now, s.carried) {
		return &connector.Error{
			Code: "target.changed", Msg: fmt.Sprintf("indexes, columns or privileges of %s were changed while its sibling was loaded", t.target),
			Fix: "run again",
		}
	}
	name := t.sink.m.Sink.Table.Name
	swap := append([]string{"DROP TABLE " + t.target, "ALTER TABLE " + s.name + " RENAME TO " + quote(name)}, rename...)
	return s.each(ctx, "swap", slices.Concat(s.locked, swap, s.swapped))
}

func (s *shadow) each(ctx context.Context, doing string, statements []string) error {
	for _, sql := range statements {
		if err := simple(ctx, s.tx.conn, sql); err != nil {
			return connector.Fail("target.swap", err, "%s: %s", doing, sql)
		}
	}
	return nil
}

// buildIndexes builds them under names of their own and gives the statements that rename them.
func (s *shadow) buildIndexes(ctx context.Context) (rename []string, err error) {
	var build []string
	for i, x := range s.indexes {
		temp := quote("dpone_index_" + sha(s.tx.table.Identity)[:12] + "_" + strconv.Itoa(i))
		unique := ""
		if x.unique {
			unique = "UNIQUE "
		}
		build = append(build, "CREATE "+unique+"INDEX "+temp+" ON "+s.name+" USING "+x.body)
		if x.constraint == "" {
			rename = append(rename, "ALTER INDEX "+s.schema+temp+" RENAME TO "+quote(x.name))
			continue
		}
		kind := "UNIQUE"
		if x.kind == "p" {
			kind = "PRIMARY KEY"
		}
		build = append(build, "ALTER TABLE "+s.name+" ADD CONSTRAINT "+temp+" "+kind+" USING INDEX "+temp+x.timing)
		rename = append(rename, "ALTER TABLE "+s.tx.target+" RENAME CONSTRAINT "+temp+" TO "+quote(x.constraint))
	}
	return rename, s.each(ctx, "build the indexes on the new rows", build)
}

// lock tries for short times, so that readers that come while it waits are not held up for long.
func (s *shadow) lock(ctx context.Context) error {
	deadline := time.Now().Add(s.tx.sink.wait())
	fail := func(err error) error {
		return connector.Fail("target.lock", err, "lock %s for the swap", s.tx.target)
	}
	for {
		err := simple(ctx, s.tx.conn, "SAVEPOINT dpone_swap; SET LOCAL lock_timeout = '1s'; LOCK TABLE "+s.tx.target+" IN ACCESS EXCLUSIVE MODE; RELEASE SAVEPOINT dpone_swap; SET LOCAL lock_timeout = "+s.tx.sink.lockTimeout())
		if err == nil {
			return nil
		}
		if !isCode(err, "55P03") || time.Now().After(deadline) {
			return fail(err)
		}
		if err := simple(ctx, s.tx.conn, "ROLLBACK TO SAVEPOINT dpone_swap"); err != nil {
			return fail(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// drop removes a sibling that was made outside the transaction.
func (s *shadow) drop(ctx context.Context) error {
	s.tx.shadow = nil
	if !s.committed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	conn, err := Dial(ctx, s.tx.sink.cfg)
	if err != nil {
		return fmt.Errorf("remove %s, which the next run will do: %w", s.name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := simple(ctx, conn, "DROP TABLE IF EXISTS "+s.name); err != nil {
		return fmt.Errorf("remove %s, which the next run will do: %w", s.name, err)
	}
	return nil
}
