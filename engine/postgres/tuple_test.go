package postgres

import (
	"encoding/binary"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

func pair() *batch.Batch {
	return batch.New(batch.Schema{{Name: "a", Type: logical.Type{Kind: logical.Int32}}, {Name: "b", Type: logical.Type{Kind: logical.Text}}})
}

func TestTupleRoundTrip(t *testing.T) {
	t.Parallel()
	b := pair()
	for _, tuple := range []string{
		"\x00\x02\x00\x00\x00\x04\x00\x00\x00\x07\x00\x00\x00\x02hi",
		"\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00",
		"\x00\x02\x00\x00\x00\x04\x00\x00\x00\x07\xff\xff\xff\xff",
	} {
		assert.NilError(t, decode([]byte(tuple), b))
		assert.Equal(t, string(encode(nil, b, b.Rows()-1)), tuple)
	}
	assert.Equal(t, b.Rows(), 3)
	assert.Assert(t, b.Columns[0].Null(1) && !b.Columns[1].Null(1) && b.Columns[1].Value(1) != nil)
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x00\x02\x00\x00\x00\x04\x00\x00\x00\x07\x00\x00\x00\x02hi"))
	f.Add([]byte("\x00\x02\xff\xff\xff\xfe"))
	f.Add([]byte("\x00\x02\x7f\xff\xff\xff"))
	f.Add(binary.BigEndian.AppendUint16(nil, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := pair()
		if err := decode(data, b); err != nil {
			assert.Equal(t, b.Rows(), 0)
			b.CancelRow()
			assert.Equal(t, b.Columns[0].Len(), 0)
			return
		}
		assert.Equal(t, string(encode(nil, b, 0)), string(data))
	})
}
