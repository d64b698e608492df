package digest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
)

// schema reads "name type, name type".
func schema(t testing.TB, text string) batch.Schema {
	t.Helper()
	var s batch.Schema
	for _, c := range strings.Split(text, ", ") {
		name, kind, _ := strings.Cut(c, " ")
		typ, err := logical.Parse(kind)
		assert.NilError(t, err)
		s = append(s, batch.Column{Name: name, Type: typ})
	}
	return s
}

func build(t testing.TB, spec digest.Spec) *digest.Builder {
	t.Helper()
	b, err := digest.NewBuilder(spec)
	assert.NilError(t, err)
	return b
}

// fill gives a batch; a nil is NULL.
func fill(s batch.Schema, rows ...[][]byte) *batch.Batch {
	b := batch.New(s)
	for _, row := range rows {
		for i, v := range row {
			if v == nil {
				b.Columns[i].AppendNull()
			} else {
				b.Columns[i].Append(v)
			}
		}
		b.EndRow()
	}
	return b
}

func tuple(row [][]byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, uint16(len(row)))
	for _, v := range row {
		if v == nil {
			out = binary.BigEndian.AppendUint32(out, math.MaxUint32)
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(v)))
		out = append(out, v...)
	}
	return out
}

func digestOf(t testing.TB, spec digest.Spec, rows ...[][]byte) digest.Digest {
	t.Helper()
	b := build(t, spec)
	for _, row := range rows {
		assert.NilError(t, b.AddTuple(tuple(row)))
	}
	return b.Digest()
}

// rows gives rows of (id int64, name text, price float64).
func people(r *rand.Rand, n int) [][][]byte {
	rows := make([][][]byte, n)
	for i := range rows {
		name := []byte(strings.Repeat("x", r.IntN(5)))
		if r.IntN(4) == 0 {
			name = nil
		}
		rows[i] = [][]byte{logical.AppendInt64(nil, int64(i)), name, logical.AppendFloat64(nil, r.Float64())}
	}
	return rows
}

const peopleColumns = "id int64, name text, price float64"

func specs(t testing.TB) []digest.Spec {
	var all []digest.Spec
	for _, level := range []digest.Level{digest.LevelNone, digest.LevelCount, digest.LevelKey, digest.LevelFull} {
		for _, key := range [][]string{{"id"}, {"name", "id"}, nil} {
			for _, buckets := range []int{0, 1, 8} {
				if level != digest.LevelKey || key != nil {
					all = append(all, digest.Spec{Level: level, Columns: schema(t, peopleColumns), Key: key, Buckets: buckets})
				}
			}
		}
	}
	return append(all, digest.Spec{Level: digest.LevelFull, Columns: schema(t, peopleColumns), Key: []string{"id"}, Buckets: digest.MaxBuckets})
}

// What a server computed in SQL over 41 rows of 17 types, two of them equal, is
// what the builder computes from the server's COPY stream, see testdata/postgres.sql.
func TestPostgres(t *testing.T) {
	t.Parallel()
	stream, err := os.ReadFile("testdata/postgres.copy")
	assert.NilError(t, err)
	sums, err := os.ReadFile("testdata/postgres.sums")
	assert.NilError(t, err)
	columns := schema(t, "id int32, b bool, s int16, l int64, r float32, d float64, n numeric, t text, y bytes, dt date, "+
		"tm time, ts timestamp, tz timestamptz, iv interval, u uuid, j json, jb jsonb")
	want := map[digest.Level][]digest.Bucket{}
	for _, line := range strings.Split(strings.TrimSpace(string(sums)), "\n") {
		var level digest.Level
		var bucket int
		var k digest.Bucket
		_, err := fmt.Sscan(line, &level, &bucket, &k.Rows, &k.A, &k.B)
		assert.NilError(t, err)
		assert.Equal(t, len(want[level]), bucket)
		want[level] = append(want[level], k)
	}
	for _, level := range []digest.Level{digest.LevelKey, digest.LevelFull} {
		spec := digest.Spec{Level: level, Columns: columns, Key: []string{"t", "id"}, Buckets: 8}
		b, fromBatch := build(t, spec), build(t, spec)
		rows := batch.New(columns)
		rest := stream[19:]
		for binary.BigEndian.Uint16(rest) != math.MaxUint16 {
			at := 2
			for i := range columns {
				n := int(int32(binary.BigEndian.Uint32(rest[at:])))
				at += 4
				if n < 0 {
					rows.Columns[i].AppendNull()
					continue
				}
				rows.Columns[i].Append(rest[at : at+n])
				at += n
			}
			rows.EndRow()
			assert.NilError(t, b.AddTuple(rest[:at]))
			rest = rest[at:]
		}
		assert.Equal(t, b.Rows(), uint64(41))
		assert.DeepEqual(t, b.Digest().Buckets, want[level])
		assert.NilError(t, fromBatch.AddBatch(rows))
		assert.Assert(t, b.Digest().Equal(fromBatch.Digest()))
	}
}

// reference follows the package comment word for word.
func reference(spec digest.Spec, rows [][][]byte) string {
	text := func(b *bytes.Buffer, s string) {
		binary.Write(b, binary.BigEndian, int32(len(s)))
		b.WriteString(s)
	}
	record := func(values [][]byte, tags []uint32) []byte {
		var b bytes.Buffer
		binary.Write(&b, binary.BigEndian, int32(len(values)))
		for i, v := range values {
			binary.Write(&b, binary.BigEndian, tags[i])
			if v == nil {
				binary.Write(&b, binary.BigEndian, int32(-1))
				continue
			}
			binary.Write(&b, binary.BigEndian, int32(len(v)))
			b.Write(v)
		}
		return b.Bytes()
	}
	count := spec.Buckets
	if count == 0 {
		count = 256
	}
	var s bytes.Buffer
	text(&s, "dpone-digest-spec-1")
	text(&s, string(spec.Level))
	binary.Write(&s, binary.BigEndian, int32(len(spec.Columns)))
	tags := []uint32{}
	for _, c := range spec.Columns {
		text(&s, c.Name)
		binary.Write(&s, binary.BigEndian, c.Type.DigestTag())
		tags = append(tags, c.Type.DigestTag())
	}
	binary.Write(&s, binary.BigEndian, int32(len(spec.Key)))
	for _, k := range spec.Key {
		text(&s, k)
	}
	binary.Write(&s, binary.BigEndian, int32(count))
	hash := sha256.Sum256(s.Bytes())

	n := uint64(len(rows))
	var buckets []digest.Bucket
	if spec.Level == digest.LevelNone {
		n = 0
	}
	if spec.Level == digest.LevelKey || spec.Level == digest.LevelFull {
		buckets = make([]digest.Bucket, count)
		for _, row := range rows {
			full := sha256.Sum256(record(row, tags))
			key := full
			if len(spec.Key) > 0 {
				var values [][]byte
				var keyTags []uint32
				for _, name := range spec.Key {
					i := spec.Columns.Index(name)
					values, keyTags = append(values, row[i]), append(keyTags, tags[i])
				}
				key = sha256.Sum256(record(values, keyTags))
			}
			bucket := int(uint64(binary.BigEndian.Uint16(key[:])) * uint64(count) / 65536)
			lanes := full
			if spec.Level == digest.LevelKey {
				lanes = key
			}
			buckets[bucket].Rows++
			buckets[bucket].A += binary.BigEndian.Uint64(lanes[0:8])
			buckets[bucket].B += binary.BigEndian.Uint64(lanes[8:16])
		}
	}
	var d bytes.Buffer
	text(&d, "dpone-digest-1")
	text(&d, hex.EncodeToString(hash[:]))
	text(&d, string(spec.Level))
	binary.Write(&d, binary.BigEndian, n)
	binary.Write(&d, binary.BigEndian, int32(len(buckets)))
	binary.Write(&d, binary.BigEndian, buckets)
	return fmt.Sprintf("dpone-digest-1:%s:%d:%x", spec.Level, n, sha256.Sum256(d.Bytes()))
}

func TestAsSpecified(t *testing.T) {
	t.Parallel()
	rows := people(rand.New(rand.NewPCG(1, 2)), 300)
	for _, spec := range specs(t) {
		assert.Equal(t, digestOf(t, spec, rows...).String(), reference(spec, rows))
	}
}

// The order of rows, builders, and the way in make no difference.
func TestOrderSplitAndBatches(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	rows := people(r, 500)
	rows = append(rows, rows[:50]...)
	for _, spec := range specs(t) {
		want := digestOf(t, spec, rows...)
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		assert.Assert(t, want.Equal(digestOf(t, spec, rows...)))

		parts := []*digest.Builder{build(t, spec), build(t, spec), build(t, spec)}
		for _, row := range rows {
			assert.NilError(t, parts[r.IntN(3)].AddTuple(tuple(row)))
		}
		sum := parts[0].Digest()
		assert.NilError(t, sum.Add(parts[1].Digest()))
		assert.NilError(t, sum.Add(parts[2].Digest()))
		assert.Equal(t, sum.String(), want.String())

		// Batches have their columns in another order, and one more.
		other := schema(t, "more bool, price float64, id int64, name text")
		b := build(t, spec)
		for at := 0; at < len(rows); at += 100 {
			chunk := batch.New(other)
			for _, row := range rows[at:min(at+100, len(rows))] {
				for i, v := range [][]byte{{1}, row[2], row[0], row[1]} {
					if v == nil {
						chunk.Columns[i].AppendNull()
						continue
					}
					chunk.Columns[i].Append(v)
				}
				chunk.EndRow()
			}
			assert.NilError(t, b.AddBatch(chunk))
		}
		assert.Equal(t, b.Digest().String(), want.String())
	}
}

// Every single bit of a row is in the full digest.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	columns := schema(t, "id int64, name text, raw bytes, n numeric")
	spec := digest.Spec{Level: digest.LevelFull, Columns: columns, Key: []string{"id"}}
	row := [][]byte{logical.AppendInt64(nil, 7), []byte("name"), {1, 2, 3}, {0, 1, 0, 0, 0, 0, 0, 0, 0, 1}}
	want := digestOf(t, spec, row)
	for _, value := range row {
		for bit := range 8 * len(value) {
			value[bit/8] ^= 1 << (bit % 8)
			assert.Assert(t, !want.Equal(digestOf(t, spec, row)))
			value[bit/8] ^= 1 << (bit % 8)
		}
	}
	assert.Assert(t, want.Equal(digestOf(t, spec, row)))
	// At the level key the same holds for the key, and the rest is not looked at.
	spec.Level = digest.LevelKey
	want = digestOf(t, spec, row)
	row[1] = []byte("other")
	assert.Assert(t, want.Equal(digestOf(t, spec, row)))
	row[0][3] ^= 1
	assert.Assert(t, !want.Equal(digestOf(t, spec, row)))
}

func TestValuesThatLookAlike(t *testing.T) {
	t.Parallel()
	number := func(text string) []byte {
		b, err := logical.AppendNumeric(nil, text)
		assert.NilError(t, err)
		return b
	}
	for kind, values := range map[string][][]byte{
		"text":    {nil, {}, []byte("0"), []byte(" "), []byte("NULL")},
		"float64": {nil, logical.AppendFloat64(nil, 0), logical.AppendFloat64(nil, math.Copysign(0, -1)), logical.AppendFloat64(nil, math.NaN())},
		"numeric": {nil, number("1"), number("1.0"), number("1.00"), number("0"), number("0.0"), number("NaN")},
	} {
		spec := digest.Spec{Level: digest.LevelFull, Columns: schema(t, "v "+kind)}
		seen := map[string]bool{}
		for _, v := range values {
			seen[digestOf(t, spec, [][]byte{v}).String()] = true
		}
		assert.Equal(t, len(seen), len(values), kind)
	}
	// Bytes must not move from column to column.
	spec := digest.Spec{Level: digest.LevelFull, Columns: schema(t, "a text, b text")}
	seen := map[string]bool{}
	for _, row := range [][][]byte{{[]byte("ab"), {}}, {[]byte("a"), []byte("b")}, {{}, []byte("ab")}, {nil, []byte("ab")}} {
		seen[digestOf(t, spec, row).String()] = true
	}
	assert.Equal(t, len(seen), 4)
	// The same bytes of another type.
	when := logical.AppendInt64(nil, 0)
	a := digestOf(t, digest.Spec{Level: digest.LevelFull, Columns: schema(t, "at timestamp"), Buckets: 1}, [][]byte{when})
	b := digestOf(t, digest.Spec{Level: digest.LevelFull, Columns: schema(t, "at timestamptz"), Buckets: 1}, [][]byte{when})
	assert.Assert(t, a.Buckets[0].A != b.Buckets[0].A)
}

func TestEveryNaNIsOne(t *testing.T) {
	t.Parallel()
	for kind, values := range map[string][]string{
		"float32": {"7fc00000", "ffc00000", "7f800001", "ffffffff"},
		"float64": {"7ff8000000000000", "fff8000000000000", "7ff0000000000001"},
	} {
		spec := digest.Spec{Level: digest.LevelFull, Columns: schema(t, "v "+kind), Key: []string{"v"}}
		lines := map[string]bool{}
		for _, text := range values {
			v, err := hex.DecodeString(text)
			assert.NilError(t, err)
			lines[digestOf(t, spec, [][]byte{v}).String()] = true
			b := build(t, spec)
			assert.NilError(t, b.AddBatch(fill(spec.Columns, [][]byte{v})))
			lines[b.Digest().String()] = true
			assert.Equal(t, hex.EncodeToString(v), text, "the caller's bytes stay as they are")
		}
		assert.Equal(t, len(lines), 1, kind)
	}
}

func TestDuplicatesCount(t *testing.T) {
	t.Parallel()
	for _, spec := range specs(t) {
		if spec.Level == digest.LevelNone {
			continue
		}
		row := people(rand.New(rand.NewPCG(5, 6)), 1)[0]
		seen := map[string]bool{}
		var rows [][][]byte
		for range 5 {
			seen[digestOf(t, spec, rows...).String()] = true
			rows = append(rows, row)
		}
		assert.Equal(t, len(seen), 5)
	}
}

func TestNotComparable(t *testing.T) {
	t.Parallel()
	base := digest.Spec{Level: digest.LevelFull, Columns: schema(t, peopleColumns), Key: []string{"id", "name"}}
	assert.Equal(t, base.Hash(), func() string { s := base; s.Buckets = 256; return s.Hash() }(), "256 is the default")
	for what, change := range map[string]func(*digest.Spec){
		"level":        func(s *digest.Spec) { s.Level = digest.LevelKey },
		"order":        func(s *digest.Spec) { s.Columns = schema(t, "name text, id int64, price float64") },
		"name":         func(s *digest.Spec) { s.Columns = schema(t, "id int64, name text, prize float64") },
		"type":         func(s *digest.Spec) { s.Columns = schema(t, "id int64, name text, price float32") },
		"fewer":        func(s *digest.Spec) { s.Columns = schema(t, "id int64, name text") },
		"key":          func(s *digest.Spec) { s.Key = []string{"id"} },
		"order of key": func(s *digest.Spec) { s.Key = []string{"name", "id"} },
		"no key":       func(s *digest.Spec) { s.Key = nil },
		"buckets":      func(s *digest.Spec) { s.Buckets = 512 },
	} {
		spec := base
		change(&spec)
		a, b := build(t, base).Digest(), build(t, spec).Digest()
		assert.Assert(t, base.Hash() != spec.Hash(), what)
		assert.Assert(t, a.String() != b.String(), what)
		assert.Assert(t, !a.Equal(b), what)
		_, err := digest.Compare(a, b)
		assert.ErrorContains(t, err, "cannot be compared", what)
		assert.ErrorContains(t, a.Add(b), "cannot be compared", what)
	}
	// Bounds of a type are no part of it.
	bounded := base
	bounded.Columns = schema(t, "id int64, name text(50), price float64")
	assert.Equal(t, base.Hash(), bounded.Hash())
}

func TestWrongSpecs(t *testing.T) {
	t.Parallel()
	columns := schema(t, peopleColumns)
	for want, spec := range map[string]digest.Spec{
		`no level ""`:                      {Columns: columns},
		"needs a key":                      {Level: digest.LevelKey, Columns: columns},
		"needs columns":                    {Level: digest.LevelFull},
		"power of two":                     {Level: digest.LevelFull, Columns: columns, Buckets: 3},
		"from 1 to 65536":                  {Level: digest.LevelFull, Columns: columns, Buckets: 1 << 17},
		"-4 buckets":                       {Level: digest.LevelFull, Columns: columns, Buckets: -4},
		`key column "Id"`:                  {Level: digest.LevelFull, Columns: columns, Key: []string{"Id"}},
		`the column "id" twice`:            {Level: digest.LevelFull, Columns: columns, Key: []string{"id", "id"}},
		`two columns have the name "id"`:   {Level: digest.LevelFull, Columns: schema(t, "id int64, id text")},
		"native(postgres:inet) has no tag": {Level: digest.LevelFull, Columns: schema(t, "ip native(postgres:inet)")},
	} {
		_, err := digest.NewBuilder(spec)
		assert.ErrorContains(t, err, want)
	}
}

func TestBadTuples(t *testing.T) {
	t.Parallel()
	spec := digest.Spec{Level: digest.LevelFull, Columns: schema(t, "id int32, name text")}
	good := tuple([][]byte{{0, 0, 0, 1}, []byte("ab")})
	b := build(t, spec)
	assert.NilError(t, b.AddTuple(good))
	before := b.Digest()
	for n := range good {
		assert.Assert(t, b.AddTuple(good[:n:n]) != nil, "%d bytes", n)
	}
	for want, text := range map[string]string{
		"after its last field":          hex.EncodeToString(good) + "00",
		"-1 fields":                     "ffff",
		"has 1 fields":                  "0001" + "0000000400000001",
		`"id" has the length -2`:        "0002" + "fffffffe" + "ffffffff",
		`"id" has 2 bytes`:              "0002" + "000000020001" + "ffffffff",
		`ends within column "name"`:     "0002" + "ffffffff" + "7fffffff" + "00",
		`"name" has the length -214748`: "0002" + "ffffffff" + "80000000",
	} {
		raw, err := hex.DecodeString(text)
		assert.NilError(t, err)
		assert.ErrorContains(t, b.AddTuple(raw), want)
	}
	assert.Assert(t, before.Equal(b.Digest()), "a refused tuple leaves no trace")
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	columns := schema(t, "id int32, name text")
	b := build(t, digest.Spec{Level: digest.LevelFull, Columns: columns})
	row := [][]byte{{0, 0, 0, 1}, {}}
	assert.NilError(t, b.AddBatch(fill(columns, row)))
	before := b.Digest()
	assert.ErrorContains(t, b.AddBatch(fill(schema(t, "id int32, nam text"), row)), `no column "name"`)
	assert.ErrorContains(t, b.AddBatch(fill(schema(t, "id int64, name text"), row)), `"id" has the type int64 in the batch`)
	assert.ErrorContains(t, b.AddBatch(fill(columns, row, [][]byte{{1}, {}})), `"id" has 1 bytes`)
	assert.ErrorContains(t, b.AddBatch(&batch.Batch{Schema: columns}), "without a vector")
	ragged := fill(columns, row)
	ragged.EndRow()
	assert.ErrorContains(t, b.AddBatch(ragged), "has 1 values for 2 rows")
	assert.Assert(t, before.Equal(b.Digest()), "a refused batch leaves no trace")
	assert.NilError(t, b.AddBatch(fill(columns, [][]byte{nil, nil})))
}

func TestCompare(t *testing.T) {
	t.Parallel()
	rows := people(rand.New(rand.NewPCG(7, 8)), 200)
	spec := digest.Spec{Level: digest.LevelFull, Columns: schema(t, peopleColumns), Key: []string{"id"}}
	a := digestOf(t, spec, rows...)
	rows[17] = [][]byte{rows[17][0], []byte("changed"), rows[17][2]}
	b := digestOf(t, spec, rows...)
	unequal, err := digest.Compare(a, b)
	assert.NilError(t, err)
	id := sha256.Sum256(append([]byte{0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 8}, rows[17][0]...))
	assert.DeepEqual(t, unequal, []int{int(id[0])})
	// The key did not change.
	spec.Level = digest.LevelCount
	unequal, err = digest.Compare(digestOf(t, spec, rows...), digestOf(t, spec, rows[1:]...))
	assert.NilError(t, err)
	assert.DeepEqual(t, unequal, []int{0})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	rows := people(rand.New(rand.NewPCG(9, 10)), 100)
	for _, spec := range specs(t) {
		d := digestOf(t, spec, rows...)
		data, err := json.Marshal(d)
		assert.NilError(t, err)
		var back digest.Digest
		assert.NilError(t, json.Unmarshal(data, &back))
		assert.Equal(t, back.String(), d.String())
		assert.Assert(t, back.Equal(d))
		assert.Assert(t, len(data) < 200+33*len(d.Buckets))
	}
	for want, text := range map[string]string{
		"illegal base64":   `{"buckets":"?"}`,
		"whole number":     `{"buckets":"AAAA"}`,
		"the digest says":  `{"rows":1,"buckets":"` + strings.Repeat("A", 32) + `"}`,
		"cannot unmarshal": `{"rows":-1}`,
	} {
		var d digest.Digest
		assert.ErrorContains(t, json.Unmarshal([]byte(text), &d), want)
	}
}

func TestNoAllocationPerRow(t *testing.T) {
	columns, row := mixed(t)
	raw := tuple(row)
	rows := fill(columns, row, row, row)
	b := build(t, digest.Spec{Level: digest.LevelFull, Columns: columns, Key: []string{"c0", "c2"}})
	assert.NilError(t, b.AddTuple(raw))
	assert.NilError(t, b.AddBatch(rows))
	assert.Equal(t, testing.AllocsPerRun(100, func() { _ = b.AddTuple(raw) }), 0.0)
	assert.Equal(t, testing.AllocsPerRun(100, func() { _ = b.AddBatch(rows) }), 0.0)
}

// FuzzAddTuple compares the walk over a tuple with a slow one that cannot read beyond it.
func FuzzAddTuple(f *testing.F) {
	columns := schema(f, "id int32, name text, ratio float64, at timestamp")
	spec := digest.Spec{Level: digest.LevelFull, Columns: columns, Key: []string{"name"}}
	f.Add(tuple([][]byte{{0, 0, 0, 1}, []byte("ab"), logical.AppendFloat64(nil, 1), nil}))
	f.Add(tuple([][]byte{nil, nil, {0x7f, 0xf0, 0, 0, 0, 0, 0, 1}, logical.AppendInt64(nil, 5)}))
	f.Add([]byte{0, 4, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		exact := append(make([]byte, 0, len(raw)), raw...)
		b := build(t, spec)
		got := b.AddTuple(exact[:len(exact):len(exact)])
		assert.DeepEqual(t, exact, kept)
		row, ok := walk(raw, columns)
		assert.Equal(t, got == nil, ok, "%x: %v", raw, got)
		if !ok {
			assert.Equal(t, b.Rows(), uint64(0))
			return
		}
		other := build(t, spec)
		assert.NilError(t, other.AddBatch(fill(columns, row)))
		assert.Equal(t, b.Digest().String(), other.Digest().String())
	})
}

func walk(raw []byte, columns batch.Schema) (row [][]byte, ok bool) {
	r := bytes.NewReader(raw)
	var fields int16
	if binary.Read(r, binary.BigEndian, &fields) != nil || int(fields) != len(columns) {
		return nil, false
	}
	for _, c := range columns {
		var n int32
		if binary.Read(r, binary.BigEndian, &n) != nil || n < -1 || int(n) > r.Len() {
			return nil, false
		}
		if n == -1 {
			row = append(row, nil)
			continue
		}
		if w := c.Type.Width(); w != 0 && w != int(n) {
			return nil, false
		}
		v := make([]byte, n)
		_, _ = r.Read(v)
		row = append(row, v)
	}
	return row, r.Len() == 0
}

// mixed gives a row of 20 columns and about 150 bytes.
func mixed(t testing.TB) (batch.Schema, [][]byte) {
	kinds := []string{
		"int64", "text", "int32", "timestamptz", "float64", "numeric", "text", "bool", "date", "int64",
		"text", "int32", "timestamp", "float32", "numeric", "uuid", "text", "int16", "bool", "text",
	}
	r := rand.New(rand.NewPCG(11, 12))
	var columns batch.Schema
	var row [][]byte
	for i, kind := range kinds {
		typ, err := logical.Parse(kind)
		assert.NilError(t, err)
		columns = append(columns, batch.Column{Name: fmt.Sprintf("c%d", i), Type: typ})
		v := make([]byte, typ.Width())
		for j := range v {
			v[j] = byte(r.IntN(100))
		}
		switch kind {
		case "text":
			v = []byte("some text of"[:3+2*(i%5)])
		case "numeric":
			v, err = logical.AppendNumeric(nil, "12345.67")
			assert.NilError(t, err)
		}
		row = append(row, v)
	}
	row[16] = nil
	return columns, row
}

func BenchmarkAddTuple(b *testing.B) {
	columns, row := mixed(b)
	raw := tuple(row)
	for _, spec := range []digest.Spec{
		{Level: digest.LevelFull, Columns: columns},
		{Level: digest.LevelFull, Columns: columns, Key: []string{"c0"}},
		{Level: digest.LevelKey, Columns: columns, Key: []string{"c0"}},
		{Level: digest.LevelCount, Columns: columns},
	} {
		b.Run(fmt.Sprintf("%s-key%d", spec.Level, len(spec.Key)), func(b *testing.B) {
			builder := build(b, spec)
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				_ = builder.AddTuple(raw)
			}
		})
	}
}

func BenchmarkAddBatch(b *testing.B) {
	columns, row := mixed(b)
	rows := batch.New(columns)
	for range 1000 {
		for i, v := range row {
			if v == nil {
				rows.Columns[i].AppendNull()
				continue
			}
			rows.Columns[i].Append(v)
		}
		rows.EndRow()
	}
	builder := build(b, digest.Spec{Level: digest.LevelFull, Columns: columns, Key: []string{"c0"}})
	b.ReportAllocs()
	b.SetBytes(int64(len(tuple(row)) * 1000))
	for b.Loop() {
		_ = builder.AddBatch(rows)
	}
}

// The comparison with the reference can fail.
func TestReferenceIsSharp(t *testing.T) {
	t.Parallel()
	spec := digest.Spec{Level: digest.LevelFull, Columns: schema(t, peopleColumns), Key: []string{"id"}}
	rows := people(rand.New(rand.NewPCG(13, 14)), 10)
	want := digestOf(t, spec, rows...).String()
	rows[3][1] = []byte("other")
	assert.Assert(t, want != reference(spec, rows))
}
