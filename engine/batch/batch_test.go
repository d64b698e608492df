package batch_test

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

func schema() batch.Schema {
	text := logical.Type{Kind: logical.Text}
	return batch.Schema{{Name: "a", Type: text}, {Name: "b", Type: text, NotNull: true}}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	s := schema()
	assert.Equal(t, s.Index("b"), 1)
	assert.Equal(t, s.Index("c"), -1)
	assert.DeepEqual(t, s.Names(), []string{"a", "b"})
	picked, ok := s.Pick([]string{"b", "a"})
	assert.Assert(t, ok)
	assert.DeepEqual(t, picked.Names(), []string{"b", "a"})
	_, ok = s.Pick([]string{"c"})
	assert.Assert(t, !ok)
}

// TestValues holds that NULL and empty stay apart, over more values than a word of bits.
func TestValues(t *testing.T) {
	t.Parallel()
	b := batch.New(schema())
	for round := range 3 {
		for i := range 200 {
			switch i % 3 {
			case 0:
				b.Columns[0].AppendNull()
			case 1:
				b.Columns[0].Append(nil)
			default:
				b.Columns[0].Append([]byte(fmt.Sprint(round, i)))
			}
			b.Columns[1].Data = append(b.Columns[1].Data, "xy"...)
			b.Columns[1].Close()
			b.EndRow()
		}
		assert.Equal(t, b.Rows(), 200)
		for i := range 200 {
			v := b.Columns[0].Value(i)
			assert.Equal(t, b.Columns[0].Null(i), i%3 == 0)
			assert.Equal(t, v == nil, i%3 == 0)
			if i%3 == 2 {
				assert.Equal(t, string(v), fmt.Sprint(round, i))
			}
			assert.Equal(t, string(b.Columns[1].Value(i)), "xy")
		}
		assert.Assert(t, b.Size() >= 400)
		b.Reset()
		assert.Equal(t, b.Rows(), 0)
		assert.Equal(t, b.Size(), 0)
	}
}

// TestCancelRow leaves nothing of a row that was begun, wherever it stopped.
func TestCancelRow(t *testing.T) {
	t.Parallel()
	for _, whole := range []int{0, 1, 63, 64, 65} {
		b := batch.New(schema())
		for range whole {
			b.Columns[0].AppendNull()
			b.Columns[1].Append([]byte("v"))
			b.EndRow()
		}
		b.Columns[0].AppendNull()
		b.Columns[1].Data = append(b.Columns[1].Data, "half"...)
		b.CancelRow()
		b.Columns[0].Append([]byte("next"))
		b.Columns[1].Append([]byte("row"))
		b.EndRow()
		assert.Equal(t, b.Rows(), whole+1)
		assert.Equal(t, string(b.Columns[0].Value(whole)), "next")
		assert.Equal(t, string(b.Columns[1].Value(whole)), "row")
		assert.Equal(t, b.Columns[1].Len(), whole+1)
	}
}
