package order_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/logical"
)

// Each list is in order; texts that are joined by = are equal and have one key.
func TestCompare(t *testing.T) {
	t.Parallel()
	for name, groups := range map[string][][]string{
		"int16":     {{"-32768"}, {"-1"}, {"0"}, {"1"}, {"32767"}},
		"int64":     {{"-9223372036854775808"}, {"-1"}, {"0"}, {"9223372036854775807"}},
		"float64":   {{"-Infinity"}, {"-1.5"}, {"-0", "0"}, {"1e-300"}, {"2"}, {"Infinity"}, {"NaN"}},
		"float32":   {{"-Infinity"}, {"-1.5"}, {"-0", "0"}, {"2"}, {"Infinity"}, {"NaN"}},
		"numeric":   {{"-Infinity"}, {"-10000"}, {"-9999.5"}, {"-9999", "-9999.0"}, {"-0.001"}, {"0", "0.00"}, {"0.0001"}, {"0.9999"}, {"1", "1.0", "1.00"}, {"1.5"}, {"9999"}, {"10000"}, {"10000.0001"}, {"123456789012345678901234567890"}, {"Infinity"}, {"NaN"}},
		"text":      {{""}, {"A"}, {"a"}, {"aa"}, {"b"}, {"ä"}},
		"bytes":     {{`\x`}, {`\x00`}, {`\xff`}},
		"date":      {{"-infinity"}, {"1999-12-31"}, {"2000-01-01"}, {"2024-02-29"}, {"infinity"}},
		"timestamp": {{"-infinity"}, {"1999-12-31 23:59:59.999999"}, {"2000-01-01 00:00:00"}, {"infinity"}},
		"time":      {{"00:00:00"}, {"12:00:00.000001"}, {"24:00:00"}},
		"bool":      {{"false"}, {"true"}},
		"uuid":      {{"00000000-0000-0000-0000-000000000000"}, {"ffffffff-0000-0000-0000-000000000000"}},
		"interval":  {{"-1 days"}, {"-00:00:01"}, {"00:00:00"}, {"00:00:01"}, {"1 day", "24:00:00"}, {"29 days"}, {"1 mon", "30 days", "720:00:00"}, {"31 days"}},
	} {
		lt, err := logical.Parse(name)
		assert.NilError(t, err)
		var values [][]byte
		var place []int
		for i, group := range groups {
			for _, text := range group {
				v, err := logical.ParseText([]byte{}, lt, []byte(text))
				assert.NilError(t, err, "%s %s", name, text)
				values, place = append(values, v), append(place, i)
			}
		}
		for i := range values {
			for j := range values {
				want := 0
				if place[i] < place[j] {
					want = -1
				} else if place[i] > place[j] {
					want = 1
				}
				assert.Equal(t, order.Compare(lt.Kind, values[i], values[j]), want, "%s: %d and %d", name, i, j)
				same := string(order.AppendKey(nil, lt.Kind, values[i])) == string(order.AppendKey(nil, lt.Kind, values[j]))
				assert.Equal(t, same, want == 0, "%s: keys of %d and %d", name, i, j)
			}
		}
	}
}

// Values that are not canonical have some order, and no panic.
func TestCompareDamaged(t *testing.T) {
	t.Parallel()
	for k := logical.Bool; k <= logical.Native; k++ {
		for _, v := range [][]byte{{}, {1}, make([]byte, 7), make([]byte, 9)} {
			order.Compare(k, v, []byte{0, 1})
			order.AppendKey(nil, k, v)
		}
	}
}
