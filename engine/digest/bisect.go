package digest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
)

// Prefix names the rows whose key hash (row hash, when there is no key) begins
// with the given bits.
type Prefix struct {
	// Bits is the number of bits, 0 for all rows, at most 64.
	Bits int
	// Value is these bits as a number: the first eight bytes of the hash, big-endian, shifted right by 64-Bits.
	Value uint64
}

// Has says whether a hash whose first eight bytes are lane begins with the prefix.
func (p Prefix) Has(lane uint64) bool { return p.Bits == 0 || lane>>(64-p.Bits) == p.Value }

// Refine asks for the digests of small parts of a table.
type Refine struct {
	// Within are the parts that are divided, in ascending order and all of the same number of bits.
	Within []Prefix
	// Bits is the number of bits of the prefixes into which they are divided.
	Bits int
}

// Row is a row as a prober tells of it.
type Row struct {
	KeyHash, RowHash [sha256.Size]byte
	// Times is the number of rows with these hashes.
	Times uint64
	// Key are the canonical values of the key's columns, nil for NULL; of all columns when there is no key.
	Key [][]byte
}

func compareRows(a, b Row) int {
	if c := bytes.Compare(a.KeyHash[:], b.KeyHash[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.RowHash[:], b.RowHash[:])
}

// Prober answers for one side of a comparison. Its rows must stay the same from
// call to call, as in a snapshot.
type Prober interface {
	// Probe digests the parts; the key of the map is the value of a prefix of
	// Refine.Bits bits. A part without rows may be missing. Sums are over the hashes
	// that spec.Level names.
	Probe(ctx context.Context, spec Spec, refine Refine) (map[uint64]Bucket, error)
	// Keys gives the first limit different rows of the parts by key hash and row
	// hash, in this order; all of them when there are no more. With the level key,
	// the row hash of every row is zero.
	Keys(ctx context.Context, spec Spec, within []Prefix, limit int) ([]Row, error)
}

// BisectOptions bound the work of [Bisect]. A zero field has its default.
type BisectOptions struct {
	// Samples is the number of rows that are told for each kind of difference; 20.
	Samples int
	// PartRows is the number of rows, on either side, from which on a part is not divided further; 64.
	PartRows int
	// Parts is the number of unequal parts that are followed, which bounds memory; 32.
	Parts int
}

// maxBits is where dividing ends: a part that is still large has its rows from
// few keys, which no further bit divides.
const maxBits = 40

// stepBits is the number of bits by which parts are divided at once.
const stepBits = 8

// Difference is what two sides do not have in common.
type Difference struct {
	// Equal is true when the digests are.
	Equal bool
	// LeftRows and RightRows count the rows of both sides.
	LeftRows, RightRows uint64
	// Least is a lower bound of the number of rows that are only on one side or differ.
	Least uint64
	// Complete is true when the samples are all differences.
	Complete bool
	// OnlyLeft and OnlyRight are rows that the other side has not, or has fewer
	// times; Times is by how many. Differing are those of the left side whose keys
	// both have, with other values.
	OnlyLeft, OnlyRight, Differing []Row
}

// part is an unequal part with both digests.
type part struct {
	prefix      Prefix
	left, right Bucket
}

// Bisect finds rows in which two sides differ. It compares the buckets of spec,
// divides the unequal ones by the next bits of the key hash until a part has few
// rows, and compares these row by row. Each step is one pass over each side. The
// level is key or full; with key, rows of equal keys are equal.
func Bisect(ctx context.Context, spec Spec, left, right Prober, opts BisectOptions) (Difference, error) {
	if err := spec.Validate(); err != nil {
		return Difference{}, err
	}
	if spec.Level != LevelKey && spec.Level != LevelFull {
		return Difference{}, fmt.Errorf("digest: rows cannot be compared at the level %s; use key or full", spec.Level)
	}
	opts.Samples = cmp.Or(max(0, opts.Samples), 20)
	opts.PartRows = cmp.Or(max(0, opts.PartRows), 64)
	opts.Parts = cmp.Or(max(0, opts.Parts), 32)

	b := bisection{spec: spec, left: left, right: right, opts: opts}
	first := 16 - spec.Shift()
	parts, err := b.divide(ctx, Refine{Within: []Prefix{{}}, Bits: first}, &b.found)
	if err != nil {
		return Difference{}, err
	}
	if len(parts) == 0 {
		b.found.Equal, b.found.Complete = true, true
		return b.found, nil
	}
	b.found.Complete = true
	small := b.settle(parts)
	for bits := first; len(b.open) > 0; {
		bits += stepBits
		within := make([]Prefix, len(b.open))
		for i := range b.open {
			within[i] = b.open[i].prefix
		}
		b.open = nil
		if parts, err = b.divide(ctx, Refine{Within: within, Bits: bits}, nil); err != nil {
			return Difference{}, err
		}
		small = append(small, b.settle(parts)...)
	}
	return b.found, b.compare(ctx, small)
}

type bisection struct {
	spec        Spec
	left, right Prober
	opts        BisectOptions
	open        []part // to be divided
	followed    int    // parts that were settled as small enough
	found       Difference
}

// divide gives the unequal parts, in order, and counts all rows into total.
func (b *bisection) divide(ctx context.Context, refine Refine, total *Difference) ([]part, error) {
	left, err := b.left.Probe(ctx, b.spec, refine)
	if err != nil {
		return nil, fmt.Errorf("digest the left side: %w", err)
	}
	right, err := b.right.Probe(ctx, b.spec, refine)
	if err != nil {
		return nil, fmt.Errorf("digest the right side: %w", err)
	}
	var parts []part
	for value, l := range left {
		if r := right[value]; l != r {
			parts = append(parts, part{Prefix{refine.Bits, value}, l, r})
		}
		if total != nil {
			total.LeftRows += l.Rows
		}
	}
	for value, r := range right {
		if _, both := left[value]; !both && r != (Bucket{}) {
			parts = append(parts, part{Prefix{refine.Bits, value}, Bucket{}, r})
		}
		if total != nil {
			total.RightRows += r.Rows
		}
	}
	slices.SortFunc(parts, func(x, y part) int { return cmp.Compare(x.prefix.Value, y.prefix.Value) })
	if total != nil {
		for _, p := range parts {
			total.Least += leastOf(p)
		}
	}
	return parts, nil
}

// leastOf is the least number of differences in an unequal part.
func leastOf(p part) uint64 {
	return max(1, p.left.Rows-min(p.left.Rows, p.right.Rows), p.right.Rows-min(p.left.Rows, p.right.Rows))
}

// settle gives the parts that are small enough to be compared row by row, and
// leaves in open those that are to be divided, of both so many as may be followed.
func (b *bisection) settle(parts []part) (small []part) {
	for _, p := range parts {
		if b.followed+len(b.open) == b.opts.Parts {
			b.found.Complete = false
			return small
		}
		if max(p.left.Rows, p.right.Rows) <= uint64(b.opts.PartRows) || p.prefix.Bits+stepBits > maxBits {
			b.followed++
			small = append(small, p)
			continue
		}
		b.open = append(b.open, p)
	}
	return small
}

// compare compares the rows of small parts.
func (b *bisection) compare(ctx context.Context, small []part) error {
	// Parts of one call have the same number of bits.
	slices.SortStableFunc(small, func(x, y part) int { return cmp.Compare(x.prefix.Bits, y.prefix.Bits) })
	var differences uint64
	for len(small) > 0 {
		n := 1
		for n < len(small) && small[n].prefix.Bits == small[0].prefix.Bits {
			n++
		}
		within := make([]Prefix, n)
		for i := range within {
			within[i] = small[i].prefix
		}
		small = small[n:]
		limit := n*b.opts.PartRows + 1
		left, err := b.left.Keys(ctx, b.spec, within, limit)
		if err != nil {
			return fmt.Errorf("read rows of the left side: %w", err)
		}
		right, err := b.right.Keys(ctx, b.spec, within, limit)
		if err != nil {
			return fmt.Errorf("read rows of the right side: %w", err)
		}
		// Where one side had to stop, nothing is known of what comes after it.
		for _, side := range [][]Row{left, right} {
			if len(side) < limit {
				continue
			}
			b.found.Complete = false
			last := side[len(side)-1]
			left, right = before(left, last), before(right, last)
		}
		differences += b.match(left, right)
	}
	b.found.Least = max(b.found.Least, differences)
	return nil
}

// before cuts rows after the last one; rows are in order.
func before(rows []Row, last Row) []Row {
	n, _ := slices.BinarySearchFunc(rows, last, func(r, last Row) int {
		if compareRows(r, last) <= 0 {
			return -1
		}
		return 1
	})
	return rows[:n]
}

// match compares rows in order of key hash and row hash, and counts the differences.
func (b *bisection) match(left, right []Row) (differences uint64) {
	for len(left) > 0 || len(right) > 0 {
		key := least(left, right)
		l, r := leading(left, key), leading(right, key)
		left, right = left[len(l):], right[len(r):]
		onlyLeft, onlyRight := unmatched(l, r)
		for len(onlyLeft) > 0 && len(onlyRight) > 0 {
			times := min(onlyLeft[0].Times, onlyRight[0].Times)
			differences += times
			b.sample(&b.found.Differing, onlyLeft[0], times)
			onlyLeft, onlyRight = less(onlyLeft, times), less(onlyRight, times)
		}
		for _, row := range onlyLeft {
			differences += row.Times
			b.sample(&b.found.OnlyLeft, row, row.Times)
		}
		for _, row := range onlyRight {
			differences += row.Times
			b.sample(&b.found.OnlyRight, row, row.Times)
		}
	}
	return differences
}

func (b *bisection) sample(to *[]Row, row Row, times uint64) {
	if len(*to) == b.opts.Samples {
		b.found.Complete = false
		return
	}
	row.Times = times
	*to = append(*to, row)
}

// less takes the first row away so many times.
func less(rows []Row, times uint64) []Row {
	if rows[0].Times -= times; rows[0].Times == 0 {
		return rows[1:]
	}
	return rows
}

func least(left, right []Row) [sha256.Size]byte {
	switch {
	case len(left) == 0:
		return right[0].KeyHash
	case len(right) == 0 || bytes.Compare(left[0].KeyHash[:], right[0].KeyHash[:]) < 0:
		return left[0].KeyHash
	}
	return right[0].KeyHash
}

// leading gives the first rows that have the key.
func leading(rows []Row, key [sha256.Size]byte) []Row {
	n := 0
	for n < len(rows) && rows[n].KeyHash == key {
		n++
	}
	return rows[:n]
}

// unmatched gives the rows of one key that have no counterpart on the other side,
// each row as often as it has none.
func unmatched(left, right []Row) (onlyLeft, onlyRight []Row) {
	for len(left) > 0 && len(right) > 0 {
		switch c := bytes.Compare(left[0].RowHash[:], right[0].RowHash[:]); {
		case c == 0:
			times := min(left[0].Times, right[0].Times)
			left, right = less(left, times), less(right, times)
		case c < 0:
			onlyLeft, left = append(onlyLeft, left[0]), left[1:]
		default:
			onlyRight, right = append(onlyRight, right[0]), right[1:]
		}
	}
	return append(onlyLeft, left...), append(onlyRight, right...)
}
