package speed

import (
	"fmt"
	"strings"
)

// column has a name, a type of PostgreSQL, the logical type that a file declares
// for it, and an expression over the row's number i.
type column struct{ name, native, logical, value string }

// table is made of numbers alone, so that every run has the same rows.
type table struct {
	name    string
	columns []column
	rows    int64
}

func (t table) as(name string) table {
	t.name = name
	return t
}

func (t table) create(constraint string) string {
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		parts[i] = c.name + " " + c.native
	}
	if constraint != "" {
		parts = append(parts, constraint)
	}
	return "CREATE TABLE " + t.name + " (" + strings.Join(parts, ", ") + ")"
}

// values are the expressions of the columns.
func (t table) values() string {
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		parts[i] = "(" + c.value + ")::" + c.native
	}
	return strings.Join(parts, ", ")
}

// fill inserts the rows of a range of numbers.
func (t table) fill(from, to string) string {
	return fmt.Sprintf("INSERT INTO %s SELECT %s FROM generate_series(%s::bigint, %s::bigint) AS i", t.name, t.values(), from, to)
}

// orders20 has 20 columns of mixed types.
func orders20(rows int64) table {
	pick := func(words ...string) string {
		return fmt.Sprintf("(array['%s'])[1 + i %% %d]", strings.Join(words, "','"), len(words))
	}
	return table{name: "orders20", rows: rows, columns: []column{
		{"id", "bigint", "int64", "i"},
		{"customer_id", "integer", "int32", "i * 7919 % 100000"},
		{"store_id", "smallint", "int16", "i % 300"},
		{"product_id", "integer", "int32", "i * 31 % 5000"},
		{"quantity", "integer", "int32", "1 + i % 9"},
		{"price", "numeric(12,2)", "numeric(12,2)", "i * 37 % 1000000 / 100.0"},
		{"discount", "numeric(6,4)", "numeric(6,4)", "i * 13 % 10000 / 10000.0"},
		{"total", "double precision", "float64", "i * 1.25e0"},
		{"tax", "real", "float32", "i % 1000 / 8.0"},
		{"paid", "boolean", "bool", "i % 3 = 0"},
		{"status", "text", "text", pick("new", "paid", "packed", "sent", "returned")},
		{"channel", "character varying(16)", "text(16)", pick("web", "store", "phone")},
		{"note", "text", "text", "CASE WHEN i % 4 > 0 THEN 'note ' || md5(i::text) END"},
		{"email", "text", "text", "'user' || i % 100000 || '@example.com'"},
		{"country", "text", "text", pick("DE", "FR", "IT", "ES", "PT", "NL")},
		{"city", "text", "text", "'city ' || i % 977"},
		{"created_at", "timestamp with time zone", "timestamptz", "timestamptz '2024-01-01 00:00+00' + i * interval '7 seconds'"},
		{"updated_at", "timestamp without time zone", "timestamp", "timestamp '2024-01-01 00:00' + i * interval '11 seconds'"},
		{"day", "date", "date", "date '2024-01-01' + (i % 900)::int"},
		{"ref", "uuid", "uuid", "md5(i::text)::uuid"},
	}}
}

// orders5 has 5 narrow columns.
func orders5(name string, rows int64) table {
	return table{name: name, rows: rows, columns: []column{
		{"id", "bigint", "int64", "i"},
		{"customer_id", "integer", "int32", "i * 7919 % 100000"},
		{"amount", "numeric(12,2)", "numeric(12,2)", "i * 37 % 1000000 / 100.0"},
		{"status", "text", "text", "(array['new','paid','packed','sent','returned'])[1 + i % 5]"},
		{"created_at", "timestamp with time zone", "timestamptz", "timestamptz '2024-01-01 00:00+00' + i * interval '1 second'"},
	}}
}

// wide has 120 columns, of which one in five holds a value.
func wide(rows int64) table {
	t := table{name: "wide", rows: rows, columns: []column{{"id", "bigint", "int64", "i"}}}
	kinds := []column{
		{"", "integer", "int32", "i * %d %% 1000003"},
		{"", "text", "text", "'value ' || i * %d %% 10007"},
		{"", "numeric(18,4)", "numeric(18,4)", "i * %d %% 100000007 / 10000.0"},
		{"", "timestamp with time zone", "timestamptz", "timestamptz '2024-01-01 00:00+00' + i * %d %% 50000000 * interval '1 second'"},
		{"", "bigint", "int64", "i * %d"},
		{"", "double precision", "float64", "i * %d / 7e0"},
		{"", "boolean", "bool", "i * %d %% 2 = 0"},
		{"", "date", "date", "date '2020-01-01' + (i * %d %% 2000)::int"},
	}
	for n := 1; n < 120; n++ {
		k := kinds[n%len(kinds)]
		t.columns = append(t.columns, column{
			name: fmt.Sprintf("c%03d", n), native: k.native, logical: k.logical,
			value: fmt.Sprintf("CASE WHEN (i * 31 + %d * 17) %% 5 = 0 THEN "+k.value+" END", n, n),
		})
	}
	return t
}
