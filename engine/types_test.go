package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"
)

// samples are text forms of values, by the name of the type; boundaries first.
func samples() map[string][]string {
	stamps := []string{"-infinity", "infinity", "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "2026-01-01 12:34:56.000001"}
	return map[string][]string{
		"bool":          {"t", "f"},
		"bytea":         {`\x`, `\x00ff`, `\x5c27`},
		"char":          {"a", ""},
		"name":          {"", "a name", strings.Repeat("x", 63)},
		"int2":          {"-32768", "32767", "0"},
		"int4":          {"-2147483648", "2147483647", "0"},
		"int8":          {"-9223372036854775808", "9223372036854775807", "0"},
		"text":          {"", "it's \\ \"q\"\t\n\r", "\u00e9\U0001F600", "NULL"},
		"varchar":       {"", "v"},
		"bpchar":        {"", "a b  "},
		"oid":           {"0", "4294967295"},
		"tid":           {"(0,1)", "(4294967295,65535)"},
		"xid":           {"4294967295"},
		"xid8":          {"18446744073709551615"},
		"cid":           {"4294967295"},
		"json":          {`{"a": 1, "a": 2}`, `"\u0000"`, ` [1 ,2]`, "null"},
		"jsonb":         {`{"a": 1.00}`, "null", `"\u00e9"`},
		"xml":           {"<a>x</a>", "text"},
		"point":         {"(1.5,-0)", "(NaN,Infinity)"},
		"lseg":          {"[(0,0),(1,1)]"},
		"path":          {"((0,0),(1,1))", "[(0,0),(1,1)]"},
		"box":           {"(1,1),(0,0)"},
		"polygon":       {"((0,0),(1,1),(1,0))"},
		"line":          {"{1,-1,0}"},
		"circle":        {"<(0,0),1>"},
		"float4":        {"NaN", "-Infinity", "-0", "3.4028235e+38", "1e-45"},
		"float8":        {"NaN", "Infinity", "-0", "1.7976931348623157e+308", "5e-324", "0.1"},
		"money":         {"$92,233,720,368,547,758.07", "-$1.00"},
		"macaddr":       {"08:00:2b:01:02:03"},
		"macaddr8":      {"08:00:2b:01:02:03:04:05"},
		"inet":          {"192.168.0.1/24", "::1", "0.0.0.0/0"},
		"cidr":          {"10.0.0.0/8", "2001:db8::/32"},
		"date":          {"-infinity", "infinity", "4714-11-24 BC", "5874897-12-31", "2026-02-28"},
		"time":          {"00:00:00", "24:00:00", "23:59:59.999999"},
		"timestamp":     stamps,
		"timestamptz":   {"-infinity", "infinity", "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00"},
		"timetz":        {"00:00:00+15:59:59", "24:00:00-15:59"},
		"interval":      {"-178000000 years", "178000000 years", "1 mon -1 days +00:00:00.000001", "00:00:00"},
		"bit":           {"1", "0"},
		"varbit":        {"", "101010101"},
		"numeric":       {"NaN", "Infinity", "-Infinity", "0", "0.00", "1.10", "-" + strings.Repeat("9", 200) + "." + strings.Repeat("1", 100), "1e-1000"},
		"uuid":          {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		"pg_lsn":        {"0/0", "FFFFFFFF/FFFFFFFF"},
		"tsvector":      {"", "'a':1A,2 'b':3"},
		"tsquery":       {"", "'a' & !'b' <2> 'c':*"},
		"txid_snapshot": {"10:20:10,14"},
		"pg_snapshot":   {"10:20:10,14"},
		"jsonpath":      {"$.\"a\"[*]?(@ > 1)"},
		"refcursor":     {"c"},
		"int2vector":    {"1 2 3", ""},
		"oidvector":     {"1 4294967295"},
		"regclass":      {"pg_class"},
		"regproc":       {"now"},
		"regprocedure":  {"now()"},
		"regoper":       {"||/"},
		"regoperator":   {"+(integer,integer)"},
		"regtype":       {"integer"},
		"regrole":       {"pg_monitor"},
		"regnamespace":  {"pg_catalog"},
		"regconfig":     {"english"},
		"regdictionary": {"simple"},
		"regcollation":  {`"C"`},
		"aclitem":       {"pg_monitor=r/pg_monitor"},
	}
}

// sampled gives values of the types of a server that users can have in tables, and the names of those without one.
func sampled(t *testing.T, conn *pgx.Conn) (values map[string][]string, without []string) {
	t.Helper()
	known := samples()
	if strings.Contains(one(t, conn, "SHOW server_version"), "13.") {
		known["numeric"] = slices.DeleteFunc(known["numeric"], func(s string) bool { return strings.HasSuffix(s, "Infinity") })
	}
	result, err := conn.Query(context.Background(), `SELECT t.typname, format_type(t.oid, -1), t.typtype::text, coalesce(e.typname, ''), coalesce(s.typname, m.typname, '')
		FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_type s ON s.oid = r.rngsubtype
		LEFT JOIN pg_range mr ON mr.rngmultitypid = t.oid LEFT JOIN pg_type m ON m.oid = mr.rngtypid
		WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.oid < 10000 AND coalesce(e.typtype, 'b') <> 'p' AND coalesce(e.typtype, 'b') <> 'c'
		ORDER BY t.typcategory = 'A', t.typtype = 'm', t.typtype = 'r', t.oid`)
	assert.NilError(t, err)
	type typ struct{ Name, Native, Kind, Element, Of string }
	types, err := pgx.CollectRows(result, pgx.RowToStructByPos[typ])
	assert.NilError(t, err)
	values = map[string][]string{}
	quoted := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	for _, typ := range types {
		list := known[typ.Name]
		if inner := known[typ.Element]; list == nil && typ.Kind == "b" && len(inner) > 0 {
			separator := ","
			if typ.Element == "box" {
				separator = ";"
			}
			list = []string{"{}", "{NULL}", "{" + quoted(inner[0]) + "}", "[5:6]={NULL" + separator + quoted(inner[len(inner)-1]) + "}", "{{" + quoted(inner[0]) + "}" + separator + "{" + quoted(inner[0]) + "}}"}
		}
		if inner := known[typ.Of]; list == nil && len(inner) > 0 {
			switch typ.Kind {
			case "r":
				last := quoted(inner[len(inner)-1])
				list = []string{"empty", "(,)", "[" + last + "," + last + "]", "(," + last + "]"}
			case "m":
				list = []string{"{}", "{" + inner[1] + "}", "{" + inner[2] + "}"}
			}
		}
		if len(list) == 0 {
			without = append(without, typ.Name)
			continue
		}
		known[typ.Name] = list
		values[typ.Native] = list
	}
	return values, without
}

// TestEveryType moves values of every type of the server. What has no input of its own is listed here.
func TestEveryType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values, without := sampled(t, w.source)
	for _, name := range without { // written by the server itself only
		assert.Assert(t, slices.Contains([]string{
			"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "gtsvector", "_gtsvector", "pg_ddl_command", "pg_proc",
		}, name), name)
	}
	var natives []string
	for native := range values {
		natives = append(natives, native)
	}
	slices.Sort(natives)
	var columns, names []string
	rowsNeeded := 0
	for i, native := range natives {
		columns = append(columns, fmt.Sprintf("c%d %s", i, native))
		names = append(names, fmt.Sprintf("c%d", i))
		rowsNeeded = max(rowsNeeded, len(values[native]))
	}
	w.src("CREATE TABLE orders (id int PRIMARY KEY, " + strings.Join(columns, ", ") + ")")
	for r := range rowsNeeded {
		var given []string
		for _, native := range natives {
			v := "NULL"
			if r < len(values[native]) {
				v = "'" + strings.ReplaceAll(values[native][r], "'", "''") + "'"
			}
			given = append(given, v)
		}
		w.src(fmt.Sprintf("INSERT INTO orders (id, %s) VALUES (%d, %s)", strings.Join(names, ", "), r, strings.Join(given, ", ")))
	}
	w.src("INSERT INTO orders (id) VALUES (1000)")
	text := func(conn *pgx.Conn) string {
		return rows(t, conn, "SELECT id, "+strings.Join(names, "::text, ")+"::text FROM orders")
	}
	gates := "quality: {gates: [{type: typed_hash_reconciliation}, {id: whole, type: typed_hash_reconciliation, side: target}]}\n"
	for _, strategy := range []string{"mode: full_refresh", swap, "mode: snapshot_diff\nunique_key: id"} {
		report := w.run(w.manifest(process(strategy) + gates))
		assert.Equal(t, text(w.sink), text(w.source), strategy)
		assert.Equal(t, report.Digest.Rows, uint64(rowsNeeded)+1)
	}
	assert.Equal(t, w.run(w.manifest(process("mode: snapshot_diff\nunique_key: id")+gates)).Counters.Unchanged, int64(rowsNeeded)+1)
	w.run(w.manifest(strings.Replace(process("mode: scd2\nunique_key: id")+gates, "side: target", "severity: warning", 1)))
	// A target of the very same types takes the rows as they are.
	definition := "CREATE TABLE orders (id int PRIMARY KEY, " + strings.Join(columns, ", ") + ")"
	w.dst("DROP TABLE orders; " + definition)
	for _, strategy := range []string{"mode: full_refresh", "mode: snapshot_diff\nunique_key: id", "mode: incremental_merge\nunique_key: id"} {
		w.run(w.manifest(process(strategy) + strings.Replace(gates, "side: target", "side: load", 1)))
		assert.Equal(t, text(w.sink), text(w.source), strategy)
	}
	assert.Equal(t, w.run(w.manifest(process("mode: snapshot_diff\nunique_key: id"))).Counters.Unchanged, int64(rowsNeeded)+1)
}

// TestTypesThatUsersMake moves enums, domains, composites and arrays of them.
func TestTypesThatUsersMake(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	types := `CREATE TYPE "Mood x" AS ENUM ('sad', 'o''k', 'ä'); CREATE TYPE pair AS (a int, "b c" text[], m "Mood x"); CREATE DOMAIN age AS int CHECK (VALUE > 0); CREATE DOMAIN older AS age CHECK (VALUE > 1);
		CREATE DOMAIN felt AS "Mood x"; CREATE DOMAIN codes AS varchar(4)[]; CREATE DOMAIN money2 AS numeric(10,2); CREATE DOMAIN box2 AS box; CREATE DOMAIN pairs AS pair; CREATE TYPE spans AS RANGE (subtype = time);`
	columns := `(id int PRIMARY KEY, m "Mood x", ms "Mood x"[], p pair, ps pair[], a age, o older, os older[], f felt, c codes, n money2, b box2, pp pairs, s spans, v varchar(7), ch char(7), bits bit(3), nn numeric(4,-2), tm time(3), iv interval hour to minute, ar numeric(5,1)[])`
	w.src(types + "CREATE TABLE orders " + columns + `; INSERT INTO orders VALUES
		(1, 'sad', '{sad,o''k,NULL}', ROW(1, '{"x,y",NULL}', 'ä'), ARRAY[ROW(1, NULL, NULL)::pair, NULL], 1, 2, '{2,3}', 'o''k', '{ab,""}', 1.5, '(1,1),(0,0)', ROW(2, '{}', 'sad'), '[01:00,02:00)', 'äöü', 'ab', '101', 12345, '01:02:03.5', '05:06', '{1.25}'); INSERT INTO orders VALUES (2)`)
	gates := "quality: {gates: [{type: typed_hash_reconciliation}]}\n"
	for _, existing := range []bool{false, true} {
		if existing {
			w.dst("DROP TABLE orders; " + types + "CREATE TABLE orders " + columns)
		}
		for _, strategy := range []string{"mode: full_refresh", swap, "mode: snapshot_diff\nunique_key: id", "mode: incremental_merge\nunique_key: id", "mode: partition_replace\npartition: {column: m}"} {
			w.run(w.manifest(process(strategy) + gates))
			w.same("TABLE orders", "TABLE orders")
		}
		w.run(w.manifest(options(process("mode: incremental_merge\nunique_key: [m, o]\nduplicate_policy: last_by:m"), "custom_predicate: m IS NOT NULL")))
		w.same("TABLE orders", "TABLE orders")
		assert.Equal(t, w.run(w.manifest(process("mode: snapshot_diff\nunique_key: id"))).Counters.Unchanged, int64(2))
	}
	w.src("ALTER TYPE \"Mood x\" ADD VALUE 'new'")
	w.src("UPDATE orders SET m = 'new' WHERE id = 2")
	w.fails(w.manifest(process("mode: incremental_merge\nunique_key: id")), "apply.merge") // the target's type does not have it
}

// TestExtensionTypes moves types of extensions, where the server has them.
func TestExtensionTypes(t *testing.T) {
	t.Parallel()
	for extension, value := range map[string]string{"citext": "Ab", "hstore": `"a"=>"1", "b"=>NULL`, "ltree": "a.b", "cube": "(1, 2)", "isn:isbn": "978-0-393-04002-9"} {
		name, typ, ok := strings.Cut(extension, ":")
		if !ok {
			typ = name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if one(t, w.source, "SELECT count(*)::text FROM pg_available_extensions WHERE name = '"+name+"'") == "0" {
				t.Skipf("the server does not have the extension %s", name)
			}
			create := "CREATE EXTENSION " + name + "; CREATE TABLE orders (id int PRIMARY KEY, v " + typ + ", l " + typ + "[])"
			w.src(create + "; INSERT INTO orders VALUES (1, '" + value + "', ARRAY['" + value + "']::" + typ + "[]); INSERT INTO orders VALUES (2)")
			for _, existing := range []bool{false, true} {
				if existing {
					w.dst("DROP TABLE orders; " + create)
				}
				for _, strategy := range []string{"mode: full_refresh", "mode: snapshot_diff\nunique_key: id"} {
					w.run(w.manifest(process(strategy) + "quality: {gates: [{type: typed_hash_reconciliation}]}\n"))
					w.same("TABLE orders", "TABLE orders")
				}
			}
		})
	}
}

// TestNULInJSON refuses what the target's type does not take, and takes it where it does.
func TestNULInJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.src(`CREATE TABLE orders (id int PRIMARY KEY, doc json); INSERT INTO orders VALUES (1, '{"a": "\u0000"}')`)
	w.run(w.manifest(process("mode: full_refresh")))
	w.same("TABLE orders", "TABLE orders")
	w.dst("DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, doc jsonb)")
	w.fails(w.manifest(process("mode: full_refresh")), "schema.breaking")
}
