package digest_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
)

// table is rows that can be read again and again.
type table struct {
	columns batch.Schema
	rows    [][][]byte
	scans   int
	open    int
	fail    error // after all rows
}

func (s *table) prober() *digest.Scan {
	return digest.NewScan(s.columns, func(context.Context) (digest.Reader, error) {
		s.scans++
		s.open++
		return &reader{table: s}, nil
	})
}

type reader struct {
	table *table
	at    int
}

func (r *reader) Next(_ context.Context, b *batch.Batch) error {
	b.Reset()
	if r.at == len(r.table.rows) {
		if r.table.fail != nil {
			return r.table.fail
		}
		return io.EOF
	}
	for ; b.Rows() < 64 && r.at < len(r.table.rows); r.at++ {
		for i, v := range r.table.rows[r.at] {
			if v == nil {
				b.Columns[i].AppendNull()
				continue
			}
			b.Columns[i].Append(v)
		}
		b.EndRow()
	}
	return nil
}

func (r *reader) Close() error { r.table.open--; return nil }

// ids gives the first column of samples, in order.
func ids(rows []digest.Row) []int64 {
	var all []int64
	for _, row := range rows {
		all = append(all, int64(binary.BigEndian.Uint64(row.Key[0])))
	}
	slices.Sort(all)
	return all
}

// two gives two equal tables, one of them in another order.
func two(t *testing.T, n int) (left, right *table) {
	r := rand.New(rand.NewPCG(21, 22))
	rows := people(r, n)
	left = &table{columns: schema(t, peopleColumns), rows: rows}
	right = &table{columns: left.columns, rows: slices.Clone(rows)}
	r.Shuffle(n, func(i, j int) { right.rows[i], right.rows[j] = right.rows[j], right.rows[i] })
	return left, right
}

// find gives the position of the row with the id.
func (s *table) find(id int) int {
	return slices.IndexFunc(s.rows, func(row [][]byte) bool {
		return int(binary.BigEndian.Uint64(row[0])) == id
	})
}

func (s *table) change(id int, name string) {
	i := s.find(id)
	s.rows[i] = [][]byte{s.rows[i][0], []byte(name), s.rows[i][2]}
}

func (s *table) remove(id int) { i := s.find(id); s.rows = slices.Delete(s.rows, i, i+1) }

func bisect(t *testing.T, spec digest.Spec, left, right *table, opts digest.BisectOptions) digest.Difference {
	t.Helper()
	d, err := digest.Bisect(t.Context(), spec, left.prober(), right.prober(), opts)
	assert.NilError(t, err)
	assert.Equal(t, left.open+right.open, 0, "every reader is closed")
	return d
}

func TestBisectEqual(t *testing.T) {
	t.Parallel()
	left, right := two(t, 1000)
	for _, spec := range specs(t) {
		if spec.Level != digest.LevelKey && spec.Level != digest.LevelFull {
			_, err := digest.Bisect(t.Context(), spec, left.prober(), right.prober(), digest.BisectOptions{})
			assert.ErrorContains(t, err, "use key or full")
			continue
		}
		left.scans = 0
		d := bisect(t, spec, left, right, digest.BisectOptions{})
		assert.DeepEqual(t, d, digest.Difference{Equal: true, Complete: true, LeftRows: 1000, RightRows: 1000})
		assert.Equal(t, left.scans, 1, "one pass is enough for equal tables")
	}
	empty := &table{columns: left.columns}
	spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}}
	assert.Assert(t, bisect(t, spec, empty, empty, digest.BisectOptions{}).Equal)
}

func TestBisectFindsRows(t *testing.T) {
	t.Parallel()
	for _, buckets := range []int{0, 1, 2, 1024} {
		left, right := two(t, 3000)
		left.remove(5)
		left.remove(2000)
		right.remove(77)
		right.change(1234, "changed")
		spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}, Buckets: buckets}
		d := bisect(t, spec, left, right, digest.BisectOptions{})
		assert.Assert(t, !d.Equal && d.Complete, "%+v", d)
		assert.Equal(t, d.Least, uint64(4))
		assert.Equal(t, [2]uint64{d.LeftRows, d.RightRows}, [2]uint64{2998, 2999})
		assert.DeepEqual(t, ids(d.OnlyRight), []int64{5, 2000})
		assert.DeepEqual(t, ids(d.OnlyLeft), []int64{77})
		assert.DeepEqual(t, ids(d.Differing), []int64{1234})
		assert.Equal(t, len(d.Differing[0].Key), 1)

		// By the key alone a changed value is no difference.
		spec.Level = digest.LevelKey
		d = bisect(t, spec, left, right, digest.BisectOptions{})
		assert.Equal(t, d.Least, uint64(3))
		assert.Equal(t, len(d.Differing), 0)
		assert.DeepEqual(t, ids(d.OnlyRight), []int64{5, 2000})
	}
}

func TestBisectWithoutKey(t *testing.T) {
	t.Parallel()
	left, right := two(t, 500)
	left.change(9, "left")
	left.rows = append(left.rows, left.rows[100], left.rows[100])
	spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns}
	d := bisect(t, spec, left, right, digest.BisectOptions{})
	assert.Assert(t, d.Complete)
	assert.Equal(t, d.Least, uint64(4))
	assert.DeepEqual(t, ids(d.OnlyLeft), []int64{9, 100})
	assert.DeepEqual(t, ids(d.OnlyRight), []int64{9})
	for _, row := range d.OnlyLeft {
		assert.Equal(t, len(row.Key), 3, "the whole row stands for the key")
		if ids([]digest.Row{row})[0] == 100 {
			assert.Equal(t, row.Times, uint64(2))
		}
	}
}

// Rows of one key cannot be divided; they are counted and not copied.
func TestBisectManyOfOneKey(t *testing.T) {
	t.Parallel()
	left, right := two(t, 100)
	row := [][]byte{logical.AppendInt64(nil, 1000), nil, logical.AppendFloat64(nil, 1)}
	for i := range 500 {
		left.rows = append(left.rows, row)
		if i > 0 {
			right.rows = append(right.rows, row)
		}
	}
	spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}}
	d := bisect(t, spec, left, right, digest.BisectOptions{})
	assert.Assert(t, d.Complete)
	assert.DeepEqual(t, ids(d.OnlyLeft), []int64{1000})
	assert.Equal(t, d.OnlyLeft[0].Times, uint64(1))
	assert.Assert(t, left.scans <= 6, "%d scans", left.scans)

	// Many different rows of one key: the first of them are compared.
	for i := range 500 {
		value := logical.AppendFloat64(nil, float64(i))
		left.rows = append(left.rows, [][]byte{row[0], nil, value})
		right.rows = append(right.rows, [][]byte{row[0], []byte("x"), value})
	}
	d = bisect(t, spec, left, right, digest.BisectOptions{})
	assert.Assert(t, !d.Complete)
	assert.Assert(t, d.Least > 10 && d.Least <= 501, "%d", d.Least)
	assert.Assert(t, len(d.Differing) > 0)
}

func TestBisectIsBounded(t *testing.T) {
	t.Parallel()
	left, right := two(t, 2000)
	right.rows = nil
	spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}}
	d := bisect(t, spec, left, right, digest.BisectOptions{Samples: 3})
	assert.Assert(t, !d.Complete)
	assert.Equal(t, d.Least, uint64(2000))
	assert.Equal(t, len(d.OnlyLeft), 3)
	assert.Equal(t, len(d.OnlyRight)+len(d.Differing), 0)

	left, right = two(t, 2000)
	for id := range 2000 {
		right.change(id, "changed")
	}
	d = bisect(t, spec, left, right, digest.BisectOptions{PartRows: 2, Parts: 4})
	assert.Assert(t, !d.Complete)
	assert.Assert(t, len(d.Differing) > 0)
	assert.Assert(t, d.Least >= 200 && d.Least <= 2000, "%d", d.Least)
}

// Random changes are found, all of them and no other.
func TestBisectProperty(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(31, 32))
	for range 10 {
		left, right := two(t, 200+r.IntN(600))
		var want [3][]int64
		for _, id := range r.Perm(200)[:1+r.IntN(12)] {
			switch kind := r.IntN(3); kind {
			case 0:
				right.remove(id)
				want[0] = append(want[0], int64(id))
			case 1:
				left.remove(id)
				want[1] = append(want[1], int64(id))
			default:
				right.change(id, "changed")
				want[2] = append(want[2], int64(id))
			}
		}
		for i := range want {
			slices.Sort(want[i])
		}
		spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}, Buckets: 1 << r.IntN(12)}
		d := bisect(t, spec, left, right, digest.BisectOptions{PartRows: 1 + r.IntN(64)})
		assert.Assert(t, d.Complete)
		assert.DeepEqual(t, [3][]int64{ids(d.OnlyLeft), ids(d.OnlyRight), ids(d.Differing)}, want)
	}
}

func TestBisectErrors(t *testing.T) {
	t.Parallel()
	left, right := two(t, 100)
	right.fail = errors.New("the line broke")
	spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}}
	_, err := digest.Bisect(t.Context(), spec, left.prober(), right.prober(), digest.BisectOptions{})
	assert.ErrorContains(t, err, "digest the right side: the line broke")
	assert.Equal(t, right.open, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = digest.Bisect(ctx, spec, left.prober(), right.prober(), digest.BisectOptions{})
	assert.ErrorIs(t, err, context.Canceled)
	spec.Key = []string{"no"}
	_, err = digest.Bisect(t.Context(), spec, left.prober(), right.prober(), digest.BisectOptions{})
	assert.ErrorContains(t, err, `key column "no"`)

	spec.Key = []string{"id"}
	for want, refine := range map[string]digest.Refine{
		"a prefix has 0 to 64": {Bits: 65},
		"cannot be divided":    {Within: []digest.Prefix{{Bits: 9}}, Bits: 8},
		"in order":             {Within: []digest.Prefix{{Bits: 8, Value: 2}, {Bits: 8, Value: 1}}, Bits: 8},
		"more than 2 bits":     {Within: []digest.Prefix{{Bits: 2, Value: 4}}, Bits: 8},
	} {
		_, err := left.prober().Probe(t.Context(), spec, refine)
		assert.ErrorContains(t, err, want)
	}
	_, err = left.prober().Keys(t.Context(), spec, nil, 0)
	assert.ErrorContains(t, err, "less than one")
}

// Keys gives the same first rows whatever the order and the limit.
func TestKeysLimit(t *testing.T) {
	t.Parallel()
	left, right := two(t, 300)
	left.rows = append(left.rows, left.rows[:100]...)
	right.rows = append(slices.Clone(left.rows[:100]), right.rows...)
	spec := digest.Spec{Level: digest.LevelFull, Columns: left.columns, Key: []string{"id"}}
	within := []digest.Prefix{{Bits: 1, Value: 1}}
	all, err := left.prober().Keys(t.Context(), spec, within, 1000)
	assert.NilError(t, err)
	assert.Assert(t, len(all) > 100 && len(all) < 200)
	var times uint64
	for _, row := range all {
		assert.Assert(t, within[0].Has(binary.BigEndian.Uint64(row.KeyHash[:])))
		times += row.Times
	}
	assert.Assert(t, times > uint64(len(all)))
	for _, limit := range []int{1, 2, 7, len(all) - 1, len(all)} {
		some, err := right.prober().Keys(t.Context(), spec, within, limit)
		assert.NilError(t, err)
		assert.DeepEqual(t, some, all[:limit])
	}
	none, err := left.prober().Keys(t.Context(), spec, nil, 10)
	assert.NilError(t, err)
	assert.Equal(t, len(none), 0)
}

// A part of Probe is what the builder gives for the bucket of the same bits.
func TestProbeIsTheDigest(t *testing.T) {
	t.Parallel()
	left, _ := two(t, 700)
	for _, spec := range specs(t) {
		if spec.Level != digest.LevelKey && spec.Level != digest.LevelFull || spec.Buckets == 0 {
			continue
		}
		bits := 0
		for 1<<bits < spec.Buckets {
			bits++
		}
		parts, err := left.prober().Probe(t.Context(), spec, digest.Refine{Within: []digest.Prefix{{}}, Bits: bits})
		assert.NilError(t, err)
		for i, want := range digestOf(t, spec, left.rows...).Buckets {
			assert.Equal(t, parts[uint64(i)], want)
		}
	}
}
