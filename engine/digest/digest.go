package digest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/dpone/dpone/engine/batch"
)

// Level says how much of a row is digested.
type Level string

// The levels.
const (
	LevelNone  Level = "none"  // nothing
	LevelCount Level = "count" // the number of rows
	LevelKey   Level = "key"   // sums over the key hashes
	LevelFull  Level = "full"  // sums over the row hashes
)

// The bounds of Spec.Buckets, which is a power of two.
const (
	DefaultBuckets = 256
	MaxBuckets     = 1 << 16
)

// Spec says what is digested.
type Spec struct {
	Level   Level
	Columns batch.Schema
	// Key names the columns that identify a row, in the order in which they are
	// hashed. LevelKey needs one. With LevelFull it only chooses a row's bucket, and
	// without one the row hash chooses it.
	Key []string
	// Buckets is a power of two from 1 to 65536; 0 is 256.
	Buckets int
}

// Validate says what is wrong with the specification.
func (s Spec) Validate() error {
	switch s.Level {
	case LevelNone, LevelCount:
	case LevelKey, LevelFull:
		if len(s.Columns) == 0 {
			return fmt.Errorf("digest: level %s needs columns, and there are none", s.Level)
		}
		if s.Level == LevelKey && len(s.Key) == 0 {
			return errors.New("digest: level key needs a key, and there is none; name one, or use the level full")
		}
	default:
		return fmt.Errorf("digest: there is no level %q; the levels are none, count, key and full", s.Level)
	}
	if n := s.buckets(); n < 1 || n > MaxBuckets || n&(n-1) != 0 {
		return fmt.Errorf("digest: %d buckets; the number must be a power of two from 1 to %d", n, MaxBuckets)
	}
	names := make(map[string]bool, len(s.Columns))
	for _, c := range s.Columns {
		if names[c.Name] {
			return fmt.Errorf("digest: two columns have the name %q", c.Name)
		}
		names[c.Name] = true
		if c.Type.DigestTag() == 0 {
			return fmt.Errorf("digest: column %q: the type %s has no tag", c.Name, c.Type)
		}
	}
	keys := make(map[string]bool, len(s.Key))
	for _, name := range s.Key {
		switch {
		case !names[name]:
			return fmt.Errorf("digest: the key column %q is not one of the columns", name)
		case keys[name]:
			return fmt.Errorf("digest: the key has the column %q twice", name)
		}
		keys[name] = true
	}
	return nil
}

func (s Spec) buckets() int {
	if s.Buckets == 0 {
		return DefaultBuckets
	}
	return s.Buckets
}

// Shift is the number of bits by which the first two bytes of a hash, as a number, are
// shifted right to give the row's bucket.
func (s Spec) Shift() int { return 16 - bits.Len(uint(s.buckets())) + 1 }

// Hash names the specification: the hexadecimal SHA-256 over level, columns, key
// and buckets, as the package comment gives it. Two digests can be compared when
// their specifications have the same hash.
func (s Spec) Hash() string {
	b := appendString(nil, "dpone-digest-spec-1")
	b = appendString(b, string(s.Level))
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Columns)))
	for _, c := range s.Columns {
		b = appendString(b, c.Name)
		b = binary.BigEndian.AppendUint32(b, c.Type.DigestTag())
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Key)))
	for _, name := range s.Key {
		b = appendString(b, name)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(s.buckets()))
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// appendString adds the length of s, four bytes, and s.
func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// Bucket is the digest of the rows whose hashes begin alike. The zero value is the
// digest of no row.
type Bucket struct {
	// Rows counts them, A and B are the sums of their lanes, all modulo 2^64.
	Rows, A, B uint64
}

// Add adds the rows of other.
func (b *Bucket) Add(other Bucket) {
	b.Rows += other.Rows
	b.A += other.A
	b.B += other.B
}

const bucketBytes = 24

// Digest of rows. The zero value is the digest of nothing at all.
type Digest struct {
	// Spec is the hash of the specification.
	Spec  string
	Level Level
	Rows  uint64
	// Buckets in order, empty for the levels none and count.
	Buckets []Bucket
}

// binary gives the digest's canonical bytes, see the package comment.
func (d Digest) binary() []byte {
	b := appendString(nil, "dpone-digest-1")
	b = appendString(b, d.Spec)
	b = appendString(b, string(d.Level))
	b = binary.BigEndian.AppendUint64(b, d.Rows)
	b = binary.BigEndian.AppendUint32(b, uint32(len(d.Buckets)))
	return appendBuckets(b, d.Buckets)
}

func appendBuckets(dst []byte, buckets []Bucket) []byte {
	for _, k := range buckets {
		dst = binary.BigEndian.AppendUint64(dst, k.Rows)
		dst = binary.BigEndian.AppendUint64(dst, k.A)
		dst = binary.BigEndian.AppendUint64(dst, k.B)
	}
	return dst
}

// String gives the digest in one line: dpone-digest-1:<level>:<rows>:<hexadecimal
// SHA-256 of the canonical bytes>. Digests are equal when their lines are.
func (d Digest) String() string {
	sum := sha256.Sum256(d.binary())
	return "dpone-digest-1:" + string(d.Level) + ":" + strconv.FormatUint(d.Rows, 10) + ":" + hex.EncodeToString(sum[:])
}

// Equal says whether both are the same digest of the same specification.
func (d Digest) Equal(other Digest) bool {
	unequal, err := Compare(d, other)
	return err == nil && len(unequal) == 0 && d.Rows == other.Rows
}

// Compare gives the buckets that differ, in order. Digests of different
// specifications are an error. For the level count, which has no buckets, an
// unequal number of rows gives bucket 0.
func Compare(a, b Digest) (unequal []int, err error) {
	if err := comparable(a, b); err != nil {
		return nil, err
	}
	for i := range a.Buckets {
		if a.Buckets[i] != b.Buckets[i] {
			unequal = append(unequal, i)
		}
	}
	if len(unequal) == 0 && a.Rows != b.Rows {
		unequal = []int{0}
	}
	return unequal, nil
}

func comparable(a, b Digest) error {
	switch {
	case a.Level != b.Level:
		return fmt.Errorf("digest: the levels %q and %q cannot be compared", a.Level, b.Level)
	case a.Spec != b.Spec:
		return errors.New("digest: the specifications differ, in columns, their order, types, key or buckets, so that the digests cannot be compared")
	case len(a.Buckets) != len(b.Buckets):
		return fmt.Errorf("digest: %d and %d buckets cannot be compared", len(a.Buckets), len(b.Buckets))
	}
	return nil
}

// Add adds the rows of other, which has the same specification.
func (d *Digest) Add(other Digest) error {
	if err := comparable(*d, other); err != nil {
		return err
	}
	d.Rows += other.Rows
	for i := range d.Buckets {
		d.Buckets[i].Add(other.Buckets[i])
	}
	return nil
}

// wire is the JSON form. The counts and sums do not fit into the numbers that
// other readers of JSON have, so the buckets are the base64 of their canonical bytes.
type wire struct {
	Spec    string `json:"spec_sha256"`
	Level   Level  `json:"level"`
	Rows    uint64 `json:"rows"`
	Buckets string `json:"buckets,omitempty"`
}

// MarshalJSON gives {"spec_sha256", "level", "rows", "buckets"}, where buckets is
// the base64 (RFC 4648, 4) of 24 bytes a bucket: rows, A and B.
func (d Digest) MarshalJSON() ([]byte, error) {
	return json.Marshal(wire{
		Spec: d.Spec, Level: d.Level, Rows: d.Rows,
		Buckets: base64.StdEncoding.EncodeToString(appendBuckets(nil, d.Buckets)),
	})
}

// UnmarshalJSON reads what MarshalJSON gives.
func (d *Digest) UnmarshalJSON(data []byte) error {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	b, err := base64.StdEncoding.DecodeString(w.Buckets)
	if err != nil {
		return fmt.Errorf("digest: buckets: %w", err)
	}
	if len(b)%bucketBytes != 0 || len(b) > MaxBuckets*bucketBytes {
		return fmt.Errorf("digest: buckets: %d bytes are not a whole number of buckets, %d bytes each", len(b), bucketBytes)
	}
	read := Digest{Spec: w.Spec, Level: w.Level, Rows: w.Rows}
	var rows uint64
	for ; len(b) > 0; b = b[bucketBytes:] {
		k := Bucket{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
		rows += k.Rows
		read.Buckets = append(read.Buckets, k)
	}
	if len(read.Buckets) > 0 && rows != w.Rows {
		return fmt.Errorf("digest: the buckets have %d rows, and the digest says %d", rows, w.Rows)
	}
	*d = read
	return nil
}
