package canon

import (
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

func TestRow(t *testing.T) {
	t.Parallel()
	var r Row
	for range 2 {
		r.Reset()
		r.Buf = append(r.Buf, "a"...)
		r.End()
		r.Null()
		r.End()
		r.Buf = append(r.Buf, "bc"...)
		r.End()
	}
	row := r.Values(nil)
	r.Reset()
	r.Buf = append(r.Buf, "xxxxxx"...) // what was handed over stays
	assert.DeepEqual(t, row, fixture.Row{{Text: "a"}, {Null: true}, {}, {Text: "bc"}})
}

// The binary forms are those of PostgreSQL 15's numeric_send.
func TestNumeric(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0000000000000000":                  "0",
		"0000000000000002":                  "0.00",
		"00010000000000000001":              "1",
		"00020000000000020001" + "1388":     "1.50",
		"00020000400000020001" + "04d2":     "-1.12",
		"00010001000000000001":              "10000",
		"00020001000000000001" + "0002":     "10002",
		"0001ffff000000040001":              "0.0001",
		"0001fffe00000008" + "0001":         "0.00000001",
		"0001ffff000000020064":              "0.01",
		"0003000100000004" + "04d2162e2694": "12345678.9876",
		"00000000c0000000":                  "NaN",
		"00000000d0000020":                  "Infinity",
		"00000000f0000020":                  "-Infinity",
	} {
		raw, err := hex.DecodeString(in)
		assert.NilError(t, err)
		out, err := AppendNumeric([]byte("x"), raw)
		assert.NilError(t, err)
		assert.Equal(t, string(out), "x"+want, in)
	}
	for _, in := range []string{"", "00", "0001000000000000", "00000000000000000000", "0000000012340000"} {
		raw, err := hex.DecodeString(in)
		assert.NilError(t, err)
		_, err = AppendNumeric(nil, raw)
		assert.Assert(t, err != nil, in)
	}
}

func TestUnscaled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		scale int
	}{{"0", 0}, {"0.00", 2}, {"-0.01", 2}, {"1.50", 2}, {"-123456789.123456789", 9}, {"99999999999999999999999999.9999999999", 10}, {"-99999999999999999999999999.9999999999", 10}, {"0.0000000001", 10}} {
		n, err := Unscaled(c.text, c.scale)
		assert.NilError(t, err)
		if n.IsInt64() {
			assert.Equal(t, string(AppendUnscaled(nil, n.Int64(), c.scale)), c.text)
		}
		wide, err := TwosComplement(n, 16)
		assert.NilError(t, err)
		assert.Equal(t, string(AppendUnscaledBytes(nil, wide, c.scale)), c.text)
	}
	assert.Equal(t, string(AppendUnscaled(nil, math.MinInt64, 0)), "-9223372036854775808")
	for _, bad := range []string{"1", "1.5", "1.555", "x.00", ""} {
		_, err := Unscaled(bad, 2)
		assert.Assert(t, err != nil, bad)
	}
	_, err := TwosComplement(big.NewInt(128), 1)
	assert.Assert(t, err != nil)
	least, err := TwosComplement(big.NewInt(-128), 1)
	assert.NilError(t, err)
	assert.DeepEqual(t, least, []byte{0x80})
}

func TestDates(t *testing.T) {
	t.Parallel()
	for day := time.Date(-2, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 10002; day = day.AddDate(0, 0, 31) {
		n := floor(day.Unix(), 86400)
		if day.Year() >= 0 && day.Year() < 10000 {
			assert.Equal(t, string(AppendDate(nil, n)), day.Format(dateLayout))
		}
		if day.Year() > 0 && day.Year() < 10000 {
			back, err := Days(day.Format(dateLayout))
			assert.NilError(t, err)
			assert.Equal(t, back, n)
		}
	}
	_, err := Days("2026-02-30")
	assert.Assert(t, err != nil)
	assert.Equal(t, string(AppendTimestamp(nil, math.MaxInt64, true)), "infinity")
	assert.Equal(t, string(AppendTimestamp(nil, math.MinInt64, false)), "-infinity")
	assert.Equal(t, string(AppendTime(nil, DayMicros)), "24:00:00.000000")
}

// Every boundary value goes there and back.
func TestBoundaries(t *testing.T) {
	t.Parallel()
	kinds := []fixture.Kind{
		fixture.Bool, fixture.Int16, fixture.Int32, fixture.Int64, fixture.Float32, fixture.Float64, fixture.Date, fixture.Time,
		fixture.Timestamp, fixture.TimestampTZ, fixture.UUID, fixture.Text, fixture.Bytes, fixture.JSON,
	}
	for _, k := range kinds {
		for _, text := range fixture.Boundaries(fixture.Column{Kind: k}) {
			plain := AppendPlain(nil, k, text)
			assert.Equal(t, string(FromPlain([]byte("x"), k, plain)), "x"+text, "%s %s", k, plain)
			var back []byte
			switch k {
			case fixture.Float32, fixture.Float64:
				v, err := strconv.ParseFloat(text, Bits(k))
				assert.NilError(t, err)
				back = AppendFloat(nil, v, Bits(k))
			case fixture.Date:
				n, err := Days(text)
				assert.NilError(t, err)
				back = AppendDate(nil, n)
			case fixture.Time:
				n, err := DayTime(text)
				assert.NilError(t, err)
				back = AppendTime(nil, n)
			case fixture.Timestamp, fixture.TimestampTZ:
				n, err := Micros(text, k == fixture.TimestampTZ)
				assert.NilError(t, err)
				back = AppendTimestamp(nil, n, k == fixture.TimestampTZ)
			case fixture.UUID:
				v, err := UUID(text)
				assert.NilError(t, err)
				back, err = AppendUUID(nil, v)
				assert.NilError(t, err)
			default:
				continue
			}
			assert.Equal(t, string(back), text)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     fixture.Kind
		in, want string
	}{
		{fixture.TimestampTZ, "2026-06-01 00:00:00+00", "2026-06-01T00:00:00.000000Z"},
		{fixture.TimestampTZ, "2026-06-01 00:00:00.5+00", "2026-06-01T00:00:00.500000Z"},
		{fixture.Timestamp, "2026-06-01 00:00:00.000001", "2026-06-01T00:00:00.000001"},
		{fixture.Time, "09:05:07.12", "09:05:07.120000"},
		{fixture.Float32, "1e+06", "1e+06"},
		{fixture.Float32, "0.10000000149011612", "0.1"},
		{fixture.Float64, "1000000", "1e+06"},
		{fixture.Float64, "-0", "-0"},
		{fixture.Bytes, `\x00ff`, "00ff"},
		// Not of the form, and so as they are.
		{fixture.TimestampTZ, "2026-06-01 00:00:00+01", "2026-06-01 00:00:00+01"},
		{fixture.TimestampTZ, "2026-06-01 00:00:00", "2026-06-01 00:00:00"},
		{fixture.Timestamp, "2026-06-01 00:00:00+00", "2026-06-01 00:00:00+00"},
		{fixture.Float64, "one", "one"},
		{fixture.Bytes, "00ff", "00ff::text"},
		{fixture.Decimal, "1.50", "1.50"},
		{fixture.UUID, "ABC", "ABC"},
	} {
		assert.Equal(t, string(FromPlain(nil, c.kind, []byte(c.in))), c.want)
	}
	assert.Equal(t, string(Other([]byte("5"), "bigint")), "5::bigint")
}

func TestUUID(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "0000000000000000000000000000000000000", "00000000-0000-0000-0000-00000000000x", "000000000-000-0000-0000-000000000000"} {
		_, err := UUID(bad)
		assert.Assert(t, err != nil, bad)
	}
	_, err := AppendUUID(nil, make([]byte, 15))
	assert.Assert(t, err != nil)
}

func FuzzNumeric(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 2, 0, 1})
	f.Fuzz(func(_ *testing.T, v []byte) { _, _ = AppendNumeric(nil, v) })
}
