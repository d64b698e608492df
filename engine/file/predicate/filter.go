package predicate

import (
	"fmt"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/logical"
)

// Filter says which rows of a batch satisfy all of its conditions.
type Filter struct {
	tests []test
	key   []byte
}

type test struct {
	column int
	kind   logical.Kind
	op     op
	value  []byte
	set    map[string]bool
	null   bool // in: whether NULL is one of the values
}

// Bind gives the literals the types of their columns. The filter is for batches of the schema.
func (p *Predicate) Bind(schema batch.Schema) (*Filter, error) {
	f := new(Filter)
	for _, c := range p.conditions {
		i := schema.Index(c.column)
		if i < 0 {
			return nil, fmt.Errorf("the condition names the column %q, which is none of %q; a name with upper-case letters needs double quotes", c.column, schema.Names())
		}
		t := test{column: i, kind: schema[i].Type.Kind, op: c.op}
		var values [][]byte
		for _, l := range c.literals {
			v, err := logical.ParseText(nil, schema[i].Type, []byte(l))
			if err != nil {
				return nil, fmt.Errorf("the condition compares the column %q with %.80q: %w", c.column, l, err)
			}
			if v == nil {
				v = []byte{}
			}
			values = append(values, v)
		}
		switch c.op {
		case in, notIn:
			t.set = set(t.kind, values)
		case isNull, isNotNull:
		default:
			t.value = values[0]
		}
		f.tests = append(f.tests, t)
	}
	return f, nil
}

// Range adds from <= value, and value < to or, inclusive, value <= to. A nil end is open.
func (f *Filter) Range(column int, k logical.Kind, from, to []byte, inclusive bool) {
	f.tests = append(f.tests, test{column: column, kind: k, op: isNotNull})
	if from != nil {
		f.tests = append(f.tests, test{column: column, kind: k, op: ge, value: from})
	}
	if to != nil {
		o := lt
		if inclusive {
			o = le
		}
		f.tests = append(f.tests, test{column: column, kind: k, op: o, value: to})
	}
}

// In adds that the value is one of values, of which nil is NULL.
func (f *Filter) In(column int, k logical.Kind, values [][]byte) {
	t := test{column: column, kind: k, op: in}
	var others [][]byte
	for _, v := range values {
		if v == nil {
			t.null = true
			continue
		}
		others = append(others, v)
	}
	t.set = set(k, others)
	f.tests = append(f.tests, t)
}

func set(k logical.Kind, values [][]byte) map[string]bool {
	m := make(map[string]bool, len(values))
	for _, v := range values {
		m[string(order.AppendKey(nil, k, v))] = true
	}
	return m
}

// Empty says that every row matches.
func (f *Filter) Empty() bool { return f == nil || len(f.tests) == 0 }

// Match says whether a row of the batch satisfies every condition.
func (f *Filter) Match(b *batch.Batch, row int) bool {
	if f == nil {
		return true
	}
	for i := range f.tests {
		t := &f.tests[i]
		if !f.holds(t, b.Columns[t.column].Value(row)) {
			return false
		}
	}
	return true
}

func (f *Filter) holds(t *test, v []byte) bool {
	if v == nil {
		return t.op == isNull || t.op == in && t.null
	}
	switch t.op {
	case isNull:
		return false
	case isNotNull:
		return true
	case in, notIn:
		f.key = order.AppendKey(f.key[:0], t.kind, v)
		return t.set[string(f.key)] == (t.op == in)
	}
	c := order.Compare(t.kind, v, t.value)
	switch t.op {
	case eq:
		return c == 0
	case ne:
		return c != 0
	case lt:
		return c < 0
	case le:
		return c <= 0
	case gt:
		return c > 0
	default:
		return c >= 0
	}
}
