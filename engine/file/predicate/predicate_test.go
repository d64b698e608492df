package predicate_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/predicate"
	"github.com/dpone/dpone/engine/logical"
)

func table(t testing.TB) *batch.Batch {
	t.Helper()
	var s batch.Schema
	for _, c := range [][2]string{{"id", "int64"}, {"name", "text"}, {"Day", "date"}, {"price", "numeric"}, {"f", "float64"}, {"ok", "bool"}} {
		lt, err := logical.Parse(c[1])
		assert.NilError(t, err)
		s = append(s, batch.Column{Name: c[0], Type: lt})
	}
	b := batch.New(s)
	for _, row := range [][]string{
		{"-1", "a", "2024-01-01", "1.0", "-0", "t"},
		{"2", "b'c", "2024-01-31", "1.00", "NaN", "f"},
		{"30", "", "infinity", "-10", "Infinity", "t"},
		{"", "NULL", "", "", "", ""},
	} {
		for i, v := range row {
			if v == "NULL" || v == "" && i != 1 {
				b.Columns[i].AppendNull()
				continue
			}
			data, err := logical.ParseText([]byte{}, s[i].Type, []byte(v))
			assert.NilError(t, err)
			b.Columns[i].Append(data)
		}
		b.EndRow()
	}
	return b
}

func TestMatch(t *testing.T) {
	t.Parallel()
	b := table(t)
	for text, want := range map[string]string{
		"id = 2":                        "1",
		"ID = 2":                        "1",
		`"id" >= -1 and id < 30`:        "01",
		"id <> 2":                       "02",
		"id != '2'":                     "02",
		"(id > 0 AND (id <= 30))":       "12",
		"id in (2, 30)":                 "12",
		"id not in (2)":                 "02",
		"id between -1 and 2":           "01",
		"id is null":                    "3",
		"id is not null":                "012",
		"name = 'b''c'":                 "1",
		"name = ''":                     "2",
		"name > 'a'":                    "1",
		`"Day" = '2024-01-31'`:          "1",
		`"Day" > DATE '2024-01-15'`:     "12",
		"price = 1":                     "01",
		"price in (1.000)":              "01",
		"price < 0":                     "2",
		"f = 0":                         "0",
		"f > 1e300":                     "12",
		"f = 'NaN'":                     "1",
		"ok = true":                     "02",
		"ok = FALSE":                    "1",
		"id = 2 and ok = false":         "1",
		"id = 2 and ok = true":          "",
		"id is not null and id is null": "",
	} {
		p, err := predicate.Parse(text)
		assert.NilError(t, err, text)
		f, err := p.Bind(b.Schema)
		assert.NilError(t, err, text)
		var got strings.Builder
		for row := range b.Rows() {
			if f.Match(b, row) {
				got.WriteByte('0' + byte(row))
			}
		}
		assert.Equal(t, got.String(), want, text)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "id", "id =", "id = ", "= 1", "id = id", "id = 1 or id = 2", "id = 1 and", "(id = 1", "id = 1)", "not id = 1", "id like 'a'",
		"id in ()", "id in (1", "id in 1", "id between 1", "id between 1 and", "id is", "id is 1", "id = 'a", `"id = 1`, "id = 1; drop table x",
		"lower(name) = 'a'", "id = 1 + 1", "id = -'1'", "id == 1", "date = ", "id not 1", `"" = 1`, "and = 1", "id = date", "id = date 1",
		strings.Repeat("(", 1000) + "id = 1",
	} {
		_, err := predicate.Parse(text)
		assert.Assert(t, err != nil, text)
	}
	for _, text := range []string{"nothing = 1", "Day = '2024-01-01'", "id = 1.5", "id = 'x'", "ok = 3", `"Day" = '2024-13-01'`, "price = 1.2.3", "id = 1e2e3"} {
		p, err := predicate.Parse(text)
		assert.NilError(t, err, text)
		_, err = p.Bind(table(t).Schema)
		assert.Assert(t, err != nil, text)
	}
}

func TestRangeAndIn(t *testing.T) {
	t.Parallel()
	b := table(t)
	number := func(n int64) []byte { return logical.AppendInt64(nil, n) }
	match := func(f *predicate.Filter) string {
		out := ""
		for row := range b.Rows() {
			if f.Match(b, row) {
				out += string('0' + byte(row))
			}
		}
		return out
	}
	var half, whole, null, nothing predicate.Filter
	half.Range(0, logical.Int64, number(-1), number(30), false)
	assert.Equal(t, match(&half), "01")
	whole.Range(0, logical.Int64, nil, number(30), true)
	assert.Equal(t, match(&whole), "012")
	null.In(0, logical.Int64, [][]byte{nil, number(2)})
	assert.Equal(t, match(&null), "13")
	nothing.In(0, logical.Int64, [][]byte{})
	assert.Equal(t, match(&nothing), "")
}

// No text makes it panic, and what it takes can be bound or refused.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"id = 1", `"Day" between '2024-01-01' and date '2024-02-01'`, "name in ('a', 'b''c') and (ok = true)", "id is not null"} {
		f.Add(s)
	}
	b := table(f)
	f.Fuzz(func(_ *testing.T, text string) {
		p, err := predicate.Parse(text)
		if err != nil {
			return
		}
		filter, err := p.Bind(b.Schema)
		if err != nil {
			return
		}
		for row := range b.Rows() {
			filter.Match(b, row)
		}
	})
}
