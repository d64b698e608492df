package postgres

import (
	"context"
	"fmt"
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
	name      string // qualified and quoted
	plain     string // quoted, without its schema
	oid       uint32 // of the target
	committed bool   // made outside the transaction, so that several connections can load it
	indexes   []shadowIndex
	after     []string // statements after the swap
	before    []string // statements on the sibling before the swap
}

type shadowIndex struct {
	name, body   string
	unique       bool
	constraint   string // name of the constraint it backs, empty when none
	kind, timing string
}

// openShadow checks that a swap loses nothing, and makes the sibling.
func (t *tx) openShadow(ctx context.Context) error {
	s := &shadow{tx: t, oid: t.table.oid}
	schema, _, _ := strings.Cut(t.target, `".`)
	if !strings.HasSuffix(schema, `"`) {
		schema += `"`
	}
	s.plain = quote("dpone_shadow_" + sha(t.table.Identity)[:16])
	s.name = schema + "." + s.plain
	if err := s.refuse(ctx); err != nil {
		return err
	}
	if err := s.collect(ctx); err != nil {
		return err
	}
	s.committed = t.sink.m.Source.Options.Workers > 1
	create := "DROP TABLE IF EXISTS " + s.name + "; CREATE TABLE " + s.name + " (LIKE " + t.target + " INCLUDING ALL EXCLUDING INDEXES)"
	conn := t.conn
	if s.committed {
		own, err := Dial(ctx, t.sink.cfg)
		if err != nil {
			return err
		}
		defer func() { _ = own.Close(context.WithoutCancel(ctx)) }()
		conn = own
	}
	if err := simple(ctx, conn, create); err != nil {
		return connector.Fail("target.shadow", err, "make the sibling of %s", t.target)
	}
	t.shadow = s
	return nil
}

// obstacles are what a swap would lose. Each gives the names of what it found.
func obstacles() map[string]string {
	return map[string]string{
		"views or rules that read it": `SELECT string_agg(DISTINCT r.ev_class::regclass::text, ', ') FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
			WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1`,
		"foreign keys that point to it":          `SELECT string_agg(conrelid::regclass::text, ', ') FROM pg_constraint WHERE contype = 'f' AND confrelid = $1`,
		"row security policies":                  `SELECT string_agg(polname, ', ') FROM pg_policy WHERE polrelid = $1`,
		"row security that is switched on":       `SELECT relname FROM pg_class WHERE oid = $1 AND relrowsecurity`,
		"exclusion constraints":                  `SELECT string_agg(conname, ', ') FROM pg_constraint WHERE contype = 'x' AND conrelid = $1`,
		"publications that hold it":              `SELECT string_agg(p.pubname, ', ') FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1`,
		"partitions or inheritance":              `SELECT string_agg(i.inhrelid::regclass::text || ' of ' || i.inhparent::regclass::text, ', ') FROM pg_inherits i WHERE i.inhrelid = $1 OR i.inhparent = $1`,
		"no ordinary, permanent table behind it": `SELECT relname FROM pg_class WHERE oid = $1 AND (relkind <> 'r' OR relpersistence <> 'p')`,
		"columns of other tables of its row type": `SELECT string_agg(DISTINCT a.attrelid::regclass::text, ', ') FROM pg_attribute a JOIN pg_class c ON c.reltype = a.atttypid
			WHERE c.oid = $1 AND a.attrelid <> c.oid AND NOT a.attisdropped`,
	}
}

func (s *shadow) refuse(ctx context.Context) error {
	var found []string
	for what, sql := range obstacles() {
		var names *string
		if err := s.tx.conn.QueryRow(ctx, sql, s.oid).Scan(&names); err != nil && err != pgx.ErrNoRows { //nolint:errorlint // pgx gives it unwrapped
			return connector.Fail("target.swap_preflight", err, "look for %s", what)
		}
		if names != nil {
			found = append(found, what+": "+*names)
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

// collect reads what has to be carried over.
func (s *shadow) collect(ctx context.Context) error {
	conn, target := s.tx.conn, s.tx.target
	rows, err := conn.Query(ctx, `SELECT ic.relname, pg_get_indexdef(i.indexrelid), 'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(ic.relname)
		|| ' ON ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' USING ', i.indisunique, coalesce(k.conname, ''), coalesce(k.contype::text, ''),
		CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END
		FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u') WHERE i.indrelid = $1 ORDER BY ic.relname`, s.oid)
	if err != nil {
		return connector.Fail("target.swap_preflight", err, "read the indexes of %s", target)
	}
	defer rows.Close()
	for rows.Next() {
		var x shadowIndex
		var definition, prefix string
		if err := rows.Scan(&x.name, &definition, &prefix, &x.unique, &x.constraint, &x.kind, &x.timing); err != nil {
			return connector.Fail("target.swap_preflight", err, "read the indexes of %s", target)
		}
		body, ok := strings.CutPrefix(definition, prefix)
		if !ok {
			return &connector.Error{Code: "target.swap_blocked", Msg: fmt.Sprintf("index %q has a definition that cannot be carried over: %s", x.name, definition)}
		}
		x.body = body
		s.indexes = append(s.indexes, x)
	}
	if err := rows.Err(); err != nil {
		return connector.Fail("target.swap_preflight", err, "read the indexes of %s", target)
	}
	read := func(to *[]string, what, sql string) error {
		rows, err := conn.Query(ctx, sql, s.oid)
		if err == nil {
			var found []string
			if found, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
				*to = append(*to, found...)
				return nil
			}
		}
		return connector.Fail("target.swap_preflight", err, "read the %s of %s", what, target)
	}
	shadowName := literal(s.name)
	// On the sibling, before the swap: names of foreign keys belong to their table and may be the same.
	for _, q := range []struct{ what, sql string }{
		{"storage options", `SELECT 'ALTER TABLE ' || ` + shadowName + ` || ' SET (' || array_to_string(reloptions, ', ') || ')' FROM pg_class WHERE oid = $1 AND reloptions IS NOT NULL`},
		{"foreign keys", `SELECT 'ALTER TABLE ' || ` + shadowName + ` || ' ADD CONSTRAINT ' || quote_ident(conname) || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = $1`},
		{"comment", `SELECT 'COMMENT ON TABLE ' || ` + shadowName + ` || ' IS ' || quote_literal(d) FROM obj_description($1, 'pg_class') d WHERE d IS NOT NULL`},
		{"replica identity", `SELECT 'ALTER TABLE ' || ` + shadowName + ` || ' REPLICA IDENTITY ' || CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END FROM pg_class WHERE oid = $1 AND relreplident IN ('f', 'n')`},
		{"grants", `SELECT 'GRANT ' || a.privilege_type || ' ON ' || ` + shadowName + ` || ' TO ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
			FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE c.oid = $1`},
		{"grants on columns", `SELECT 'GRANT ' || a.privilege_type || ' (' || quote_ident(t.attname) || ') ON ' || ` + shadowName + ` || ' TO ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
			FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE t.attrelid = $1 AND NOT t.attisdropped`},
		{"owner", `SELECT 'ALTER TABLE ' || ` + shadowName + ` || ' OWNER TO ' || quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = $1`},
		{"sequences", `SELECT 'ALTER SEQUENCE ' || d.objid::regclass || ' OWNED BY ' || ` + shadowName + ` || '.' || quote_ident(a.attname) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
			JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype = 'a'`},
		{"identity columns", `SELECT format('SELECT setval(pg_get_serial_sequence(%L, %L), last_value, is_called) FROM %s', ` + shadowName + `, a.attname, pg_get_serial_sequence($1::regclass::text, a.attname))
			FROM pg_attribute a WHERE a.attrelid = $1 AND a.attidentity <> '' AND NOT a.attisdropped`},
	} {
		if err := read(&s.before, q.what, q.sql); err != nil {
			return err
		}
	}
	return read(&s.after, "triggers", `SELECT pg_get_triggerdef(oid) || CASE tgenabled WHEN 'D' THEN '; ALTER TABLE ' || tgrelid::regclass || ' DISABLE TRIGGER ' || quote_ident(tgname) ELSE '' END
		FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname`)
}

// Publish puts the loaded sibling in the target's place. Indexes are built while
// readers still use the old table; only the swap itself locks them out.
func (t *tx) Publish(ctx context.Context) error {
	s := t.shadow
	if s == nil {
		return nil
	}
	fail := func(err error, doing string) error { return connector.Fail("target.swap", err, "%s", doing) }
	var rename []string
	for i, x := range s.indexes {
		temp := quote("dpone_index_" + sha(t.table.Identity)[:12] + "_" + strconv.Itoa(i))
		unique := ""
		if x.unique {
			unique = "UNIQUE "
		}
		if err := simple(ctx, t.conn, "CREATE "+unique+"INDEX "+temp+" ON "+s.name+" USING "+x.body); err != nil {
			return fail(err, "build index "+x.name+" on the new rows")
		}
		if x.constraint == "" {
			rename = append(rename, "ALTER INDEX "+s.name[:len(s.name)-len(s.plain)]+temp+" RENAME TO "+quote(x.name))
			continue
		}
		kind := "UNIQUE"
		if x.kind == "p" {
			kind = "PRIMARY KEY"
		}
		if err := simple(ctx, t.conn, "ALTER TABLE "+s.name+" ADD CONSTRAINT "+temp+" "+kind+" USING INDEX "+temp+x.timing); err != nil {
			return fail(err, "make constraint "+x.constraint+" on the new rows")
		}
		rename = append(rename, "ALTER TABLE "+t.target+" RENAME CONSTRAINT "+temp+" TO "+quote(x.constraint))
	}
	for _, sql := range s.before {
		if err := simple(ctx, t.conn, sql); err != nil {
			return fail(err, "carry over: "+sql)
		}
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	_, plain, _ := strings.Cut(t.target, `".`)
	if plain == "" {
		plain = t.target
	}
	steps := append([]string{"DROP TABLE " + t.target, "ALTER TABLE " + s.name + " RENAME TO " + plain}, rename...)
	for _, sql := range append(steps, s.after...) {
		if err := simple(ctx, t.conn, sql); err != nil {
			return fail(err, "swap: "+sql)
		}
	}
	return nil
}

// lock tries for short times, so that readers that come while it waits are not held up for long.
func (s *shadow) lock(ctx context.Context) error {
	wait := s.tx.sink.m.Sink.Options.LockTimeout
	if wait <= 0 {
		wait = 60
	}
	deadline := time.Now().Add(time.Duration(wait) * time.Second)
	for {
		err := simple(ctx, s.tx.conn, "SAVEPOINT dpone_swap; SET LOCAL lock_timeout = '1s'; LOCK TABLE "+s.tx.target+" IN ACCESS EXCLUSIVE MODE; RELEASE SAVEPOINT dpone_swap")
		if err == nil {
			return nil
		}
		if !isCode(err, "55P03") || time.Now().After(deadline) {
			return connector.Fail("target.lock", err, "lock %s for the swap", s.tx.target)
		}
		if err := simple(ctx, s.tx.conn, "ROLLBACK TO SAVEPOINT dpone_swap"); err != nil {
			return connector.Fail("target.lock", err, "lock %s for the swap", s.tx.target)
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
