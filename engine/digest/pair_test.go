package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

func wantLanes(message []byte) lanes {
	sum := sha256.Sum256(message)
	return lanes{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}

// Both sums are those of the standard library, for every pair of lengths around the ends of blocks.
func TestSumPair(t *testing.T) {
	t.Parallel()
	if !paired {
		t.Skip("this processor has no SHA extensions")
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same bytes on each run
	bytes := make([]byte, 1000)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	for n := range 200 {
		for _, m := range []int{0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 127, 128, n, 900} {
			x, y := bytes[:n:n], append(make([]byte, 0, m+spare), bytes[1:1+m]...)
			a, b := sumPair(x, y)
			assert.Equal(t, a, wantLanes(x), "%d beside %d", n, m)
			assert.Equal(t, b, wantLanes(bytes[1:1+m]), "%d beside %d", m, n)
		}
	}
}

func FuzzSumPair(f *testing.F) {
	f.Add([]byte(""), []byte("abc"))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		if !paired {
			return
		}
		wantX, wantY := wantLanes(x), wantLanes(y)
		a, b := sumPair(x, y)
		assert.Equal(t, a, wantX)
		assert.Equal(t, b, wantY)
	})
}

func BenchmarkSumPair(b *testing.B) {
	x, y := make([]byte, 320, 500), make([]byte, 320, 500)
	b.SetBytes(640)
	for b.Loop() {
		sumPair(x, y)
	}
}

// Rows that are hashed in pairs, and one that is left over, give the sums of rows that are hashed alone.
func TestPairsOfRows(t *testing.T) {
	t.Parallel()
	spec := Spec{Level: LevelFull, Columns: batch.Schema{{Name: "a", Type: logical.Type{Kind: logical.Text}}, {Name: "b", Type: logical.Type{Kind: logical.Text}}}}
	row := func(i int) []byte {
		tuple := []byte{0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, byte(i * 7)}
		return append(tuple, make([]byte, i*7)...)
	}
	for n := range 30 {
		together, err := NewBuilder(spec)
		assert.NilError(t, err)
		alone, err := NewBuilder(spec)
		assert.NilError(t, err)
		for i := range n {
			assert.NilError(t, together.AddTuple(row(i)))
			one, err := NewBuilder(spec)
			assert.NilError(t, err)
			assert.NilError(t, one.AddTuple(row(i)))
			assert.NilError(t, alone.Merge(one.Digest()))
			if i%5 == 4 { // a digest on the way changes nothing
				assert.Equal(t, together.Digest().Rows, uint64(i+1))
			}
			assert.ErrorContains(t, together.AddTuple([]byte{0, 2}), "ends within")
		}
		assert.Equal(t, together.Rows(), uint64(n))
		assert.DeepEqual(t, together.Digest(), alone.Digest())
	}
}
