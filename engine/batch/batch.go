// Package batch holds rows on their way between unlike systems: a fixed schema
// and one vector a column, each value in its canonical encoding
// ([github.com/dpone/dpone/engine/logical]). A batch is filled, handed on and
// filled again, so that a run of any size lives in the memory of one batch.
package batch

import (
	"github.com/dpone/dpone/engine/logical"
)

// Column is one column of a schema.
type Column struct {
	Name string
	Type logical.Type
	// NotNull says that no value may be NULL.
	NotNull bool
}

// Schema is the columns of a batch, in order.
type Schema []Column

// Index gives the position of the named column, or -1.
func (s Schema) Index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}

// Names gives the columns' names in order.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

// Pick gives the named columns in the order of the names; ok is false when one is missing.
func (s Schema) Pick(names []string) (picked Schema, ok bool) {
	picked = make(Schema, 0, len(names))
	for _, name := range names {
		i := s.Index(name)
		if i < 0 {
			return nil, false
		}
		picked = append(picked, s[i])
	}
	return picked, true
}

// Vector is the values of one column: Ends[i] is where value i ends in Data, and
// a NULL has its bit set in nulls and no bytes.
type Vector struct {
	Data  []byte
	Ends  []int
	nulls []uint64
}

// Len is the number of values.
func (v *Vector) Len() int { return len(v.Ends) }

// Reset empties the vector and keeps its memory.
func (v *Vector) Reset() {
	v.Data = v.Data[:0]
	v.Ends = v.Ends[:0]
	clear(v.nulls)
	v.nulls = v.nulls[:0]
}

// Append adds a value that is not NULL.
func (v *Vector) Append(value []byte) {
	v.Data = append(v.Data, value...)
	v.Close()
}

// Close ends the value whose bytes the caller appended to Data.
func (v *Vector) Close() {
	v.grow()
	v.Ends = append(v.Ends, len(v.Data))
}

// AppendNull adds a NULL.
func (v *Vector) AppendNull() {
	v.grow()
	i := len(v.Ends)
	v.nulls[i/64] |= 1 << (i % 64)
	v.Ends = append(v.Ends, len(v.Data))
}

func (v *Vector) grow() {
	if v.Data == nil {
		v.Data = []byte{} // an empty value must not look like a NULL
	}
	if len(v.Ends)/64 >= len(v.nulls) {
		v.nulls = append(v.nulls, 0)
	}
}

// Null says whether value i is NULL.
func (v *Vector) Null(i int) bool { return v.nulls[i/64]&(1<<(i%64)) != 0 }

// Value gives the bytes of value i, which stay valid until the vector is reset,
// and nil for a NULL. An empty value is not nil.
func (v *Vector) Value(i int) []byte {
	if v.Null(i) {
		return nil
	}
	start := 0
	if i > 0 {
		start = v.Ends[i-1]
	}
	return v.Data[start:v.Ends[i]:v.Ends[i]]
}

// truncate drops all values from n on.
func (v *Vector) truncate(n int) {
	for i := n; i < len(v.Ends); i++ {
		v.nulls[i/64] &^= 1 << (i % 64)
	}
	v.Ends = v.Ends[:n]
	v.nulls = v.nulls[:(n+63)/64]
	if n == 0 {
		v.Data = v.Data[:0]
		return
	}
	v.Data = v.Data[:v.Ends[n-1]]
}

// Batch is a number of rows.
type Batch struct {
	Schema  Schema
	Columns []Vector
	rows    int
}

// New gives an empty batch of the schema.
func New(schema Schema) *Batch {
	return &Batch{Schema: schema, Columns: make([]Vector, len(schema))}
}

// Rows is the number of whole rows.
func (b *Batch) Rows() int { return b.rows }

// EndRow counts a row after one value was added to every column.
func (b *Batch) EndRow() { b.rows++ }

// CancelRow drops the values of a row that was begun and not ended.
func (b *Batch) CancelRow() {
	for i := range b.Columns {
		b.Columns[i].truncate(b.rows)
	}
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	for i := range b.Columns {
		b.Columns[i].Reset()
	}
	b.rows = 0
}

// Size is the bytes of all values.
func (b *Batch) Size() int {
	n := 0
	for i := range b.Columns {
		n += len(b.Columns[i].Data)
	}
	return n
}
