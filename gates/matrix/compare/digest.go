package compare

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"math/bits"
	"strconv"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// sum is the digest of rows: the sums of the four parts of their SHA-256.
type sum [4]uint64

func (s *sum) add(row [sha256.Size]byte) {
	for i := range s {
		s[i] += binary.BigEndian.Uint64(row[8*i:])
	}
}

func (s *sum) join(other sum) {
	for i := range s {
		s[i] += other[i]
	}
}

func (s sum) String() string {
	var raw [sha256.Size]byte
	for i, part := range s {
		binary.BigEndian.PutUint64(raw[8*i:], part)
	}
	return hex.EncodeToString(raw[:])
}

// Digest returns the digest of rows, whatever their number of columns and their order.
func Digest(rows iter.Seq[fixture.Row]) string {
	var s sum
	var h hasher
	for row := range rows {
		s.add(h.row(row))
	}
	return s.String()
}

// columnSum is the digest of a column and its number of NULL.
type columnSum struct {
	sum   uint64
	nulls int64
}

func (c columnSum) digest() string {
	text := strconv.FormatUint(c.sum, 16)
	return "0000000000000000"[len(text):] + text
}

// tally describes rows.
type tally struct {
	rows    int64
	all     sum
	columns []columnSum
}

func (t *tally) join(other *tally) {
	t.rows += other.rows
	t.all.join(other.all)
	for i := range t.columns {
		t.columns[i].sum += other.columns[i].sum
		t.columns[i].nulls += other.columns[i].nulls
	}
}

func (t *tally) contents(columns []fixture.Column) Contents {
	c := Contents{Rows: t.rows, Digest: t.all.String(), Columns: make([]ColumnContents, len(columns))}
	for i := range columns {
		c.Columns[i] = ColumnContents{Name: columns[i].Name, Digest: t.columns[i].digest(), Nulls: t.columns[i].nulls}
	}
	return c
}

// hasher computes the digests of one row at a time.
type hasher struct{ buf []byte }

// row returns the SHA-256 of a row of any number of columns.
func (h *hasher) row(row fixture.Row) [sha256.Size]byte {
	b := h.buf[:0]
	for i := range row {
		b = appendValue(b, &row[i])
	}
	h.buf = b
	return sha256.Sum256(b)
}

func appendValue(b []byte, v *fixture.Value) []byte {
	if v.Null {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(v.Text)))
	return append(b, v.Text...)
}

// add returns the SHA-256 of a row and adds the row to the tally, whose columns are the row's.
func (h *hasher) add(t *tally, row fixture.Row) [sha256.Size]byte {
	b := h.buf[:0]
	var id uint64
	for i := range row {
		start := len(b)
		b = appendValue(b, &row[i])
		x := hash(b[start:])
		if i == 0 {
			id = x
		}
		t.columns[i].sum += fold(x^(uint64(i)+1)*root5, id^root3)
		if row[i].Null {
			t.columns[i].nulls++
		}
	}
	h.buf = b
	digest := sha256.Sum256(b)
	t.all.add(digest)
	t.rows++
	return digest
}

// Odd numbers with about as many bits set as not: parts of the fractions of the square roots of 2, 3 and 5.
const (
	root2 = 0x6a09e667f3bcc909
	root3 = 0xbb67ae8584caa73b
	root5 = 0x3c6ef372fe94f82b
)

// hash multiplies 8 bytes at a time into 64 bits.
func hash(b []byte) uint64 {
	h := uint64(len(b)) * root2
	for ; len(b) >= 8; b = b[8:] {
		h = fold(h^binary.LittleEndian.Uint64(b), root3)
	}
	var rest uint64
	for i, c := range b {
		rest |= uint64(c) << (8 * i)
	}
	return fold(h^rest, root5)
}

// fold returns both halves of a product in one. A factor of 0 would swallow the other.
func fold(a, b uint64) uint64 {
	if a == 0 {
		a = root2
	}
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
