package parquet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/file/parquet"
	"github.com/dpone/dpone/engine/logical"
)

func column(t testing.TB, name, typ string) batch.Column {
	t.Helper()
	lt, err := logical.Parse(strings.TrimSuffix(typ, "!"))
	assert.NilError(t, err)
	return batch.Column{Name: name, Type: lt, NotNull: strings.HasSuffix(typ, "!")}
}

// values of each type that Parquet keeps, and the type in which they come back.
func kept() []struct {
	typ, back string
	values    []string
} {
	return []struct {
		typ, back string
		values    []string
	}{
		{"bool", "bool", []string{"true", "false"}},
		{"int16", "int16", []string{"-32768", "0", "32767"}},
		{"int32", "int32", []string{"-2147483648", "2147483647"}},
		{"int64", "int64", []string{"-9223372036854775808", "9223372036854775807"}},
		{"float32", "float32", []string{"-0", "0", "1.5", "NaN", "Infinity", "-Infinity", "1e-45"}},
		{"float64", "float64", []string{"-0", "0", "0.1", "NaN", "Infinity", "-Infinity", "5e-324"}},
		{"numeric(4,2)", "numeric(4,2)", []string{"0.00", "-99.99", "12.30", "0.01"}},
		{"numeric(9,0)", "numeric(9,0)", []string{"999999999", "-1"}},
		{"numeric(15,15)", "numeric(15,15)", []string{"0.000000000000001", "-0.999999999999999"}},
		{"numeric(18,4)", "numeric(18,4)", []string{"99999999999999.9999", "-0.0001", "10000.0000"}},
		{"numeric(38,0)", "numeric(38,0)", []string{"99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "0"}},
		{"numeric(38,20)", "numeric(38,20)", []string{"999999999999999999.99999999999999999999", "-0.00000000000000000001"}},
		{"numeric", "text", []string{"NaN", "1.0", "1.00", "1e30", "-Infinity"}},
		{"numeric(50,3)", "text", []string{"1.000", "NaN"}},
		{"text", "text", []string{"", "a", "ä\n\r\""}},
		{"text(3)", "text", []string{"äöü"}},
		{"bytes", "bytes", []string{`\x`, `\x00ff`}},
		{"date", "date", []string{"0001-01-01", "1969-12-31", "2024-02-29", "9999-12-31"}},
		{"time", "time", []string{"00:00:00", "23:59:59.999999", "24:00:00"}},
		{"timestamp", "timestamp", []string{"0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2262-04-12 00:00:00"}},
		{"timestamptz", "timestamptz", []string{"2024-02-29 01:02:03.000004+00"}},
		{"interval", "text", []string{"1 mon -2 days +00:00:03.000004", "00:00:00"}},
		{"uuid", "uuid", []string{"00112233-4455-6677-8899-aabbccddeeff"}},
		{"json", "json", []string{"null", ` {"a": 1}`}},
		{"jsonb", "json", []string{`{"a": 1}`}},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for compression, rows := range map[string]int{"": 4200, "none": 60, "zstd": 60} { // 4200 is more than one chunk
		for _, k := range kept() {
			for _, suffix := range []string{"", "!"} {
				c := column(t, "a.b c", k.typ+suffix)
				b := batch.New(batch.Schema{c})
				for i := range rows {
					if suffix == "" && i%3 == 0 {
						b.Columns[0].AppendNull()
					} else {
						data, err := logical.ParseText(b.Columns[0].Data, c.Type, []byte(k.values[i%len(k.values)]))
						assert.NilError(t, err, k.typ)
						b.Columns[0].Data = data
						b.Columns[0].Close()
					}
					b.EndRow()
				}
				var out bytes.Buffer
				w, err := parquet.NewWriter(&out, b.Schema, parquet.Options{Compression: compression, GroupBytes: 20000})
				assert.NilError(t, err)
				assert.NilError(t, w.Write(b, 0, rows/2))
				assert.NilError(t, w.Write(b, rows/2, rows))
				assert.NilError(t, w.Close())
				f, err := parquet.Open(bytes.NewReader(out.Bytes()))
				assert.NilError(t, err)
				assert.Equal(t, f.Rows(), int64(rows))
				assert.Equal(t, f.Schema()[0], column(t, "a.b c", k.back+suffix))
				got := readAll(t, f)
				assert.Equal(t, got.Rows(), rows)
				for i := range rows {
					have, want := got.Columns[0].Value(i), b.Columns[0].Value(i)
					if have == nil || want == nil {
						assert.Assert(t, have == nil && want == nil)
						continue
					}
					// As text both are the same, and for a type that Parquet has also as bytes.
					haveText, err := logical.AppendText(nil, f.Schema()[0].Type, have)
					wantText, err2 := logical.AppendText(nil, c.Type, want)
					if err != nil || err2 != nil || string(haveText) != string(wantText) || k.typ == k.back && string(have) != string(want) {
						t.Fatalf("%s: %q, not %q (%v, %v)", k.typ, haveText, wantText, err, err2)
					}
				}
			}
		}
	}
}

func readAll(t testing.TB, f *parquet.File) *batch.Batch {
	t.Helper()
	b := batch.New(f.Schema())
	index := make([]int, len(b.Schema))
	for i := range index {
		index[i] = i
	}
	err := f.NewDecoder(index).Decode(b, 1<<30, func(f *fault.Error) error { return f })
	assert.ErrorIs(t, err, io.EOF)
	return b
}

func TestRefusedValues(t *testing.T) {
	t.Parallel()
	for _, v := range [][2]string{
		{"date", "infinity"},
		{"date", "-infinity"},
		{"timestamp", "infinity"},
		{"timestamptz", "-infinity"},
		{"numeric(4,2)", "NaN"},
		{"numeric(30,2)", "NaN"},
	} {
		c := column(t, "x", v[0])
		b := batch.New(batch.Schema{c})
		data, err := logical.ParseText(nil, c.Type, []byte(v[1]))
		assert.NilError(t, err, v[1])
		b.Columns[0].Append(data)
		b.EndRow()
		w, err := parquet.NewWriter(io.Discard, b.Schema, parquet.Options{})
		assert.NilError(t, err)
		assert.ErrorContains(t, w.Write(b, 0, 1), `column "x"`, "%s", v)
	}
	_, err := parquet.NewWriter(io.Discard, batch.Schema{column(t, "x", "native(postgres:int4range)")}, parquet.Options{})
	assert.ErrorContains(t, err, "native")
	_, err = parquet.NewWriter(io.Discard, batch.Schema{column(t, "x", "int32")}, parquet.Options{Compression: "lz4"})
	assert.ErrorContains(t, err, "lz4")
}

// foreign writes one column of a type that the writer does not make.
func foreign(t testing.TB, node schema.Node, write func(file.ColumnChunkWriter) error) []byte {
	t.Helper()
	var out bytes.Buffer
	root, err := schema.NewGroupNode("root", pq.Repetitions.Required, schema.FieldList{node}, -1)
	assert.NilError(t, err)
	w := file.NewParquetWriter(&out, root, file.WithWriterProps(pq.NewWriterProperties(pq.WithCompression(compress.Codecs.Gzip))))
	g, err := w.AppendRowGroupChecked()
	assert.NilError(t, err)
	c, err := g.NextColumn()
	assert.NilError(t, err)
	assert.NilError(t, write(c))
	assert.NilError(t, errors.Join(c.Close(), g.Close(), w.Close()))
	return out.Bytes()
}

func TestForeignTypes(t *testing.T) {
	t.Parallel()
	i32 := func(values ...int32) func(file.ColumnChunkWriter) error {
		return func(c file.ColumnChunkWriter) error {
			_, err := c.(*file.Int32ColumnChunkWriter).WriteBatch(values, nil, nil)
			return err
		}
	}
	i64 := func(values ...int64) func(file.ColumnChunkWriter) error {
		return func(c file.ColumnChunkWriter) error {
			_, err := c.(*file.Int64ColumnChunkWriter).WriteBatch(values, nil, nil)
			return err
		}
	}
	text := func(values ...string) func(file.ColumnChunkWriter) error {
		return func(c file.ColumnChunkWriter) error {
			list := make([]pq.ByteArray, len(values))
			for i := range values {
				list[i] = pq.ByteArray(values[i])
			}
			_, err := c.(*file.ByteArrayColumnChunkWriter).WriteBatch(list, nil, nil)
			return err
		}
	}
	ts := schema.NewTimestampLogicalType
	for _, tt := range []struct {
		name     string
		l        schema.LogicalType
		physical pq.Type
		write    func(file.ColumnChunkWriter) error
		typ      string
		want     []string // a value, or ! for a bad row
	}{
		{"int8", schema.NewIntLogicalType(8, true), pq.Types.Int32, i32(-128, 127), "int16", []string{"-128", "127"}},
		{"int16 with more", schema.NewIntLogicalType(16, true), pq.Types.Int32, i32(1, 40000), "int16", []string{"1", "!"}},
		{"uint8", schema.NewIntLogicalType(8, false), pq.Types.Int32, i32(255), "int16", []string{"255"}},
		{"uint16", schema.NewIntLogicalType(16, false), pq.Types.Int32, i32(65535), "int32", []string{"65535"}},
		{"uint32", schema.NewIntLogicalType(32, false), pq.Types.Int32, i32(-1), "int64", []string{"4294967295"}},
		{"uint64", schema.NewIntLogicalType(64, false), pq.Types.Int64, i64(-1, 0), "numeric(20,0)", []string{"18446744073709551615", "0"}},
		{"time ms", schema.NewTimeLogicalType(true, schema.TimeUnitMillis), pq.Types.Int32, i32(1, -1, 86400001), "time", []string{"00:00:00.001", "!", "!"}},
		{"time ns", schema.NewTimeLogicalType(false, schema.TimeUnitNanos), pq.Types.Int64, i64(1000, 1001), "time", []string{"00:00:00.000001", "!"}},
		{"ms", ts(true, schema.TimeUnitMillis), pq.Types.Int64, i64(-1, 1<<62), "timestamptz", []string{"1969-12-31 23:59:59.999+00", "!"}},
		{"us", ts(false, schema.TimeUnitMicros), pq.Types.Int64, i64(0, -1<<63), "timestamp", []string{"1970-01-01 00:00:00", "!"}},
		{"ns", ts(false, schema.TimeUnitNanos), pq.Types.Int64, i64(1000, 1, -1000), "timestamp", []string{"1970-01-01 00:00:00.000001", "!", "1969-12-31 23:59:59.999999"}},
		{"date out of range", schema.DateLogicalType{}, pq.Types.Int32, i32(0, -1<<31), "date", []string{"1970-01-01", "!"}},
		{"decimal as bytes", schema.NewDecimalLogicalType(5, 2), pq.Types.ByteArray, text("\x00\x7b", "\xff\x85", "\xff", "", "\x7f\xff\xff"), "numeric(5,2)", []string{"1.23", "-1.23", "-0.01", "!", "!"}},
		{"decimal as int", schema.NewDecimalLogicalType(3, 3), pq.Types.Int32, i32(7, -999, 1000), "numeric(3,3)", []string{"0.007", "-0.999", "!"}},
		{"enum", schema.EnumLogicalType{}, pq.Types.ByteArray, text("a"), "text", []string{"a"}},
		{"text", schema.StringLogicalType{}, pq.Types.ByteArray, text("a", "\xff", "a\x00"), "text", []string{"a", "!", "!"}},
		{"json", schema.JSONLogicalType{}, pq.Types.ByteArray, text("{}", "{"), "json", []string{"{}", "!"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			node, err := schema.NewPrimitiveNodeLogical("x", pq.Repetitions.Required, tt.l, tt.physical, -1, -1)
			assert.NilError(t, err)
			f, err := parquet.Open(bytes.NewReader(foreign(t, node, tt.write)))
			assert.NilError(t, err)
			assert.Equal(t, f.Schema()[0].Type.String(), tt.typ)
			b := batch.New(f.Schema())
			bad := map[int64]bool{}
			err = f.NewDecoder([]int{0}).Decode(b, 100, func(f *fault.Error) error {
				bad[f.RowNumber] = true
				return nil
			})
			assert.ErrorIs(t, err, io.EOF)
			row := 0
			for i, want := range tt.want {
				assert.Equal(t, bad[int64(i+1)], want == "!", "row %d", i+1)
				if want == "!" {
					continue
				}
				text, err := logical.AppendText(nil, f.Schema()[0].Type, b.Columns[0].Value(row))
				assert.NilError(t, err)
				assert.Equal(t, string(text), want)
				row++
			}
			assert.Equal(t, b.Rows(), row)
		})
	}
}

func TestRefusedTypes(t *testing.T) {
	t.Parallel()
	group, err := schema.NewGroupNode("x", pq.Repetitions.Optional, schema.FieldList{schema.NewInt32Node("y", pq.Repetitions.Required, -1)}, -1)
	assert.NilError(t, err)
	list, err := schema.ListOf(schema.NewInt32Node("element", pq.Repetitions.Optional, -1), pq.Repetitions.Optional, -1)
	assert.NilError(t, err)
	half, err := schema.NewPrimitiveNodeLogical("x", pq.Repetitions.Required, schema.Float16LogicalType{}, pq.Types.FixedLenByteArray, 2, -1)
	assert.NilError(t, err)
	for name, node := range map[string]schema.Node{
		"group": group, "list": list, "float16": half,
		"repeated": schema.NewInt32Node("x", pq.Repetitions.Repeated, -1),
		"int96":    schema.NewInt96Node("x", pq.Repetitions.Required, -1),
	} {
		var out bytes.Buffer
		root, err := schema.NewGroupNode("root", pq.Repetitions.Required, schema.FieldList{node}, -1)
		assert.NilError(t, err)
		assert.NilError(t, file.NewParquetWriter(&out, root).Close())
		_, err = parquet.Open(bytes.NewReader(out.Bytes()))
		var f *fault.Error
		assert.Assert(t, errors.As(err, &f) && f.Code == fault.Type, "%s: %v", name, err)
	}
}

func whole(t testing.TB) []byte {
	t.Helper()
	b := batch.New(batch.Schema{column(t, "id", "int64"), column(t, "name", "text"), column(t, "n", "numeric(20,2)"), column(t, "ok", "bool")})
	for i := range 500 {
		b.Columns[0].Append(binary.BigEndian.AppendUint64(nil, uint64(i)))
		b.Columns[1].Append(fmt.Appendf(nil, "name %d", i))
		data, err := logical.ParseText(nil, b.Schema[2].Type, fmt.Appendf(nil, "%d.50", i))
		assert.NilError(t, err)
		b.Columns[2].Append(data)
		b.Columns[3].AppendNull()
		b.EndRow()
	}
	var out bytes.Buffer
	w, err := parquet.NewWriter(&out, b.Schema, parquet.Options{})
	assert.NilError(t, err)
	assert.NilError(t, errors.Join(w.Write(b, 0, 500), w.Close()))
	return out.Bytes()
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	good := whole(t)
	for name, in := range map[string][]byte{
		"empty": {}, "magic alone": []byte("PAR1"), "cut short": good[:len(good)/2], "last byte gone": good[:len(good)-1],
		"garbage behind": append(bytes.Clone(good), "garbage"...), "no parquet": []byte("id,name\n1,a\nxxxxxxxxxxxxx"),
	} {
		_, err := parquet.Open(bytes.NewReader(in))
		var f *fault.Error
		assert.Assert(t, errors.As(err, &f) && f.Code == fault.Corrupt, "%s: %v", name, err)
	}
	// A damaged page, with a whole footer.
	in := bytes.Clone(good)
	for i := 4; i < 200; i++ {
		in[i] ^= 0x5a
	}
	f, err := parquet.Open(bytes.NewReader(in))
	assert.NilError(t, err)
	err = f.NewDecoder([]int{0, 1, 2, 3}).Decode(batch.New(f.Schema()), 1000, func(f *fault.Error) error { return f })
	assert.Assert(t, err != nil && !errors.Is(err, io.EOF), "%v", err)
}

func FuzzOpen(f *testing.F) {
	good := whole(f)
	f.Add(good)
	f.Add(good[:len(good)-10])
	f.Fuzz(func(_ *testing.T, in []byte) {
		p, err := parquet.Open(bytes.NewReader(in))
		if err != nil {
			return
		}
		b := batch.New(p.Schema())
		index := make([]int, len(b.Schema))
		for i := range index {
			index[i] = i
		}
		d := p.NewDecoder(index)
		for range 10 {
			b.Reset()
			if d.Decode(b, 1000, func(*fault.Error) error { return nil }) != nil {
				return
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	s := batch.Schema{}
	var texts []string
	for i, c := range [][2]string{{"int64", "123456789"}, {"int32", "77"}, {"text", "some text of a row"}, {"numeric(18,2)", "12345.67"}, {"timestamptz", "2024-02-03 04:05:06.123456+00"}, {"float64", "1.2345"}, {"bool", "true"}, {"date", "2024-01-02"}, {"text", "abc"}, {"int64", "5"}} {
		s = append(s, column(b, fmt.Sprint("c", i), c[0]))
		texts = append(texts, c[1])
	}
	rows := batch.New(s)
	for range 8192 {
		for i := range s {
			data, err := logical.ParseText(rows.Columns[i].Data, s[i].Type, []byte(texts[i]))
			assert.NilError(b, err)
			rows.Columns[i].Data = data
			rows.Columns[i].Close()
		}
		rows.EndRow()
	}
	w, err := parquet.NewWriter(io.Discard, s, parquet.Options{})
	assert.NilError(b, err)
	b.SetBytes(int64(rows.Size()))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		assert.NilError(b, w.Write(rows, 0, 8192))
		n += 8192
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

// A changed byte anywhere gives rows or an error, and no panic.
func TestChangedBytes(t *testing.T) {
	t.Parallel()
	good := whole(t)
	for i := 0; i < len(good); i += 11 {
		in := bytes.Clone(good)
		in[i] ^= 0xff
		f, err := parquet.Open(bytes.NewReader(in))
		if err != nil {
			continue
		}
		b := batch.New(f.Schema())
		index := make([]int, len(b.Schema))
		for c := range index {
			index[c] = c
		}
		d := f.NewDecoder(index)
		for range 3 {
			b.Reset()
			if d.Decode(b, 1000, func(*fault.Error) error { return nil }) != nil {
				break
			}
		}
	}
}
