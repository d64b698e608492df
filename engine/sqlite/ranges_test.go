package sqlite

import (
	"math"
	"math/rand/v2"
	"testing"

	"gotest.tools/v3/assert"
)

// TestRangesCoverTheRows: one after the other, from the first to the last row, none twice.
func TestRangesCoverTheRows(t *testing.T) {
	t.Parallel()
	bounds := [][2]int64{
		{0, 0},
		{1, shares - 1},
		{1, shares},
		{-3, shares},
		{math.MinInt64, math.MinInt64},
		{math.MaxInt64, math.MaxInt64},
		{math.MinInt64, math.MaxInt64},
		{math.MaxInt64 - 100, math.MaxInt64},
	}
	random := rand.New(rand.NewPCG(7, 7))
	for range 1000 {
		a, b := random.Int64(), random.Int64()>>random.IntN(64)
		if random.IntN(2) == 0 {
			a = -a
		}
		bounds = append(bounds, [2]int64{min(a, b), max(a, b)})
	}
	for _, b := range bounds {
		r := &ranges{least: b[0], span: uint64(b[1]) - uint64(b[0]), some: true}
		next, n := b[0], 0
		for {
			least, greatest, ok := r.take()
			if !ok {
				break
			}
			assert.Equal(t, least, next)
			assert.Assert(t, least <= greatest && greatest <= b[1], "%d to %d of %d to %d", least, greatest, b[0], b[1])
			next = greatest + 1 // of the greatest number of all it is the least, and then nothing comes
			n++
		}
		assert.Equal(t, next, b[1]+1)
		assert.Assert(t, n >= 1 && n <= shares, "%d ranges", n)
		_, _, ok := r.take()
		assert.Assert(t, !ok)
	}
	_, _, ok := (&ranges{}).take()
	assert.Assert(t, !ok, "no row")
	stopped := &ranges{span: math.MaxUint64, some: true}
	stopped.stop()
	_, _, ok = stopped.take()
	assert.Assert(t, !ok, "stopped")
}
