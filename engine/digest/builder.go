package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

// Builder digests a stream of rows. It is not safe for concurrent use; the digests
// of several builders are put together with [Digest.Add].
type Builder struct {
	spec    Spec
	columns []column
	key     []int // positions of the key in columns
	shift   int
	rows    uint64
	buckets []Bucket
	hasher
	positions []int // of columns in the batches' schema
	// pairs says that two rows are hashed at once: held is the one that waits for
	// the next, when waiting is true.
	pairs, waiting bool
	held           []byte
}

// column is what the walk over a row needs of a column.
type column struct {
	tag   uint64 // the type's tag in the upper half
	width int    // of every value, -1 when it varies
	float bool
}

// nullLength stands for NULL, -1.
const nullLength = 0xffffffff

// hasher makes the bytes of rows and hashes them.
type hasher struct {
	scratch []byte
	// ends[i] is where column i-1 ends in scratch and column i begins.
	ends []int
	// own is the bytes of the key.
	own []byte
}

// NewBuilder gives an empty builder.
func NewBuilder(spec Spec) (*Builder, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	b := &Builder{spec: spec, shift: spec.Shift()}
	b.columns = make([]column, len(spec.Columns))
	for i, c := range spec.Columns {
		b.columns[i] = column{
			tag:   uint64(c.Type.DigestTag()) << 32,
			width: c.Type.Width(),
			float: c.Type.Kind == logical.Float32 || c.Type.Kind == logical.Float64,
		}
		if b.columns[i].width == 0 {
			b.columns[i].width = -1
		}
	}
	for _, name := range spec.Key {
		b.key = append(b.key, spec.Columns.Index(name))
	}
	b.ends = make([]int, len(b.columns)+1)
	b.ends[0] = 4
	if spec.Level == LevelKey || spec.Level == LevelFull {
		b.buckets = make([]Bucket, spec.buckets())
	}
	b.pairs = paired && spec.Level == LevelFull && len(b.key) == 0
	return b, nil
}

// Rows is the number of rows so far; 0 for the level none.
func (b *Builder) Rows() uint64 { return b.rows }

// Digest gives the digest of the rows so far.
func (b *Builder) Digest() Digest {
	b.settle()
	return Digest{Spec: b.spec.Hash(), Level: b.spec.Level, Rows: b.rows, Buckets: append([]Bucket(nil), b.buckets...)}
}

// AddTuple adds one row as PostgreSQL's COPY BINARY sends it: int16 number of
// fields, then for each of them int32 length, -1 for NULL, and the bytes. The
// fields are the specification's columns in order. Nothing is kept of the tuple.
// After an error the builder is as it was before.
func (b *Builder) AddTuple(tuple []byte) error {
	switch b.spec.Level {
	case LevelNone:
		return nil
	case LevelCount:
		b.rows++
		return nil
	}
	if err := b.tuple(tuple); err != nil {
		return err
	}
	b.add()
	return nil
}

// tuple lays the row out in scratch.
func (b *Builder) tuple(tuple []byte) error {
	n := len(b.columns)
	if len(tuple) < 2 {
		return fmt.Errorf("digest: a tuple of %d bytes has no number of fields", len(tuple))
	}
	if fields := int(int16(binary.BigEndian.Uint16(tuple))); fields != n {
		return fmt.Errorf("digest: a tuple has %d fields, and there are %d columns", fields, n)
	}
	tuple = tuple[2:]
	// Each field becomes longer by its tag, and never more than that.
	out := b.room(4 + 4*n + len(tuple) + spare)
	binary.BigEndian.PutUint32(out, uint32(n))
	at := 4
	ends := b.ends[:n+1]
	for i := range b.columns {
		c := &b.columns[i]
		if len(tuple) < 4 {
			return b.truncated(i)
		}
		length := int(int32(binary.BigEndian.Uint32(tuple)))
		tuple = tuple[4:]
		binary.BigEndian.PutUint64(out[at:], c.tag|uint64(uint32(length)))
		at += 8
		if length < 0 {
			if length != -1 {
				return fmt.Errorf("digest: column %q has the length %d", b.spec.Columns[i].Name, length)
			}
			ends[i+1] = at
			continue
		}
		if length > len(tuple) {
			return b.truncated(i)
		}
		if c.width >= 0 && length != c.width {
			return b.wrongWidth(i, length)
		}
		switch length {
		case 8:
			binary.BigEndian.PutUint64(out[at:], binary.BigEndian.Uint64(tuple))
		case 4:
			binary.BigEndian.PutUint32(out[at:], binary.BigEndian.Uint32(tuple))
		default:
			if length <= 16 && len(tuple) >= 16 && len(out)-at >= 16 {
				// Two words, of which the next field overwrites what is too much.
				*(*[16]byte)(out[at:]) = [16]byte(tuple)
			} else {
				copy(out[at:], tuple[:length])
			}
		}
		tuple = tuple[length:]
		if c.float {
			canonicalNaN(out[at : at+length])
		}
		at += length
		ends[i+1] = at
	}
	if len(tuple) != 0 {
		return fmt.Errorf("digest: a tuple has %d bytes after its last field", len(tuple))
	}
	b.scratch = out[:at]
	return nil
}

func (b *Builder) truncated(i int) error {
	return fmt.Errorf("digest: a tuple ends within column %q", b.spec.Columns[i].Name)
}

func (b *Builder) wrongWidth(i, length int) error {
	return fmt.Errorf("digest: column %q has %d bytes, and its type %s has %d",
		b.spec.Columns[i].Name, length, b.spec.Columns[i].Type, b.columns[i].width)
}

// room gives the scratch buffer with at least n bytes.
func (h *hasher) room(n int) []byte {
	if cap(h.scratch) < n {
		h.scratch = make([]byte, n+n/4)
	}
	return h.scratch[:cap(h.scratch)]
}

// canonicalNaN replaces every NaN by the one that stands for all.
func canonicalNaN(v []byte) {
	if len(v) == 8 {
		if n := binary.BigEndian.Uint64(v); n&0x7ff0000000000000 == 0x7ff0000000000000 && n&0x000fffffffffffff != 0 {
			binary.BigEndian.PutUint64(v, 0x7ff8000000000000)
		}
		return
	}
	if n := binary.BigEndian.Uint32(v); n&0x7f800000 == 0x7f800000 && n&0x007fffff != 0 {
		binary.BigEndian.PutUint32(v, 0x7fc00000)
	}
}

// add counts the row in scratch.
func (b *Builder) add() {
	switch {
	case !b.pairs:
		b.addOne()
	case b.waiting:
		b.waiting = false
		x, y := sumPair(b.held, b.scratch)
		b.addLanes(x)
		b.addLanes(y)
	default:
		b.waiting = true
		b.rows++
		b.held, b.scratch = b.scratch, b.held
		return
	}
	b.rows++
}

// addLanes adds a row hash of which only the first half is used.
func (b *Builder) addLanes(l lanes) {
	k := &b.buckets[int(l.a>>48)>>b.shift]
	k.Rows++
	k.A += l.a
	k.B += l.b
}

// settle hashes a row that waits for another one.
func (b *Builder) settle() {
	if !b.waiting {
		return
	}
	b.waiting = false
	b.held, b.scratch = b.scratch, b.held
	b.addOne()
}

// addOne adds the hash of the row in scratch to its bucket.
func (b *Builder) addOne() {
	var row, key [sha256.Size]byte
	row, key = b.hashes(b.spec.Level == LevelFull, b.key)
	lanes := &row
	if b.spec.Level == LevelKey {
		lanes = &key
	}
	k := &b.buckets[int(binary.BigEndian.Uint16(key[:]))>>b.shift]
	k.Rows++
	k.A += binary.BigEndian.Uint64(lanes[:])
	k.B += binary.BigEndian.Uint64(lanes[8:])
}

// hashes gives the row hash, where full asks for it, and the key hash, which is
// the row hash when there is no key.
func (h *hasher) hashes(full bool, key []int) (row, own [sha256.Size]byte) {
	if full || len(key) == 0 {
		row = sha256.Sum256(h.scratch)
	}
	if len(key) == 0 {
		return row, row
	}
	h.own = binary.BigEndian.AppendUint32(h.own[:0], uint32(len(key)))
	for _, i := range key {
		h.own = append(h.own, h.scratch[h.ends[i]:h.ends[i+1]]...)
	}
	return row, sha256.Sum256(h.own)
}

// AddBatch adds the rows of a batch, whose schema has the specification's columns,
// in any order and among others. After an error no row of the batch counts.
func (b *Builder) AddBatch(rows *batch.Batch) error {
	switch b.spec.Level {
	case LevelNone:
		return nil
	case LevelCount:
		b.rows += uint64(rows.Rows())
		return nil
	}
	if err := b.prepare(rows); err != nil {
		return err
	}
	for r := range rows.Rows() {
		b.row(rows, r)
		b.add()
	}
	return nil
}

// prepare makes row safe for every row of the batch.
func (b *Builder) prepare(rows *batch.Batch) error {
	if err := b.resolve(rows); err != nil {
		return err
	}
	for i, position := range b.positions {
		if err := b.check(i, &rows.Columns[position], rows.Rows()); err != nil {
			return err
		}
	}
	return nil
}

// row lays row r out in scratch.
func (b *Builder) row(rows *batch.Batch, r int) {
	out := binary.BigEndian.AppendUint32(b.scratch[:0], uint32(len(b.columns)))
	for i, position := range b.positions {
		value := rows.Columns[position].Value(r)
		length := uint32(len(value))
		if value == nil {
			length = nullLength
		}
		out = binary.BigEndian.AppendUint64(out, b.columns[i].tag|uint64(length))
		at := len(out)
		out = append(out, value...)
		if b.columns[i].float && value != nil {
			canonicalNaN(out[at:])
		}
		b.ends[i+1] = len(out)
	}
	b.scratch = out
}

// resolve finds the columns in the batch's schema, or sees that they are where
// they were in the batch before.
func (b *Builder) resolve(rows *batch.Batch) error {
	if len(rows.Columns) != len(rows.Schema) {
		return errors.New("digest: a batch without a vector for each column of its schema")
	}
	same := len(b.positions) == len(b.columns)
	for i := 0; same && i < len(b.positions); i++ {
		p := b.positions[i]
		same = p < len(rows.Schema) && rows.Schema[p].Name == b.spec.Columns[i].Name &&
			rows.Schema[p].Type == b.spec.Columns[i].Type
	}
	if same {
		return nil
	}
	at := make(map[string]int, len(rows.Schema))
	for i := range rows.Schema {
		if _, twice := at[rows.Schema[i].Name]; !twice {
			at[rows.Schema[i].Name] = i
		}
	}
	positions := make([]int, len(b.columns))
	for i, c := range b.spec.Columns {
		p, ok := at[c.Name]
		if !ok {
			return fmt.Errorf("digest: the batch has no column %q", c.Name)
		}
		if has := rows.Schema[p].Type; has.DigestTag() != c.Type.DigestTag() {
			return fmt.Errorf("digest: column %q has the type %s in the batch, and is digested as %s", c.Name, has, c.Type)
		}
		positions[i] = p
	}
	b.positions = positions
	return nil
}

// check finds values whose length is not their type's, before any row counts.
func (b *Builder) check(i int, v *batch.Vector, rows int) error {
	if v.Len() < rows {
		return fmt.Errorf("digest: column %q has %d values for %d rows", b.spec.Columns[i].Name, v.Len(), rows)
	}
	w := b.columns[i].width
	if w < 0 {
		return nil
	}
	start := 0
	for r := range rows {
		end := v.Ends[r]
		if n := end - start; n != w && !v.Null(r) {
			return b.wrongWidth(i, n)
		}
		start = end
	}
	return nil
}
