package shard_test

import (
	"bytes"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/gates/matrix/shard"
)

func aReceipt(t testing.TB) shard.Receipt {
	t.Helper()
	plan, err := shard.Split(names(5), nil, 2)
	assert.NilError(t, err)
	r, err := plan.Receipt(1, aRun())
	assert.NilError(t, err)
	return r
}

func encoded(t testing.TB, r shard.Receipt) []byte {
	t.Helper()
	raw, err := r.Encode()
	assert.NilError(t, err)
	return raw
}

func TestReceiptRoundTrip(t *testing.T) {
	t.Parallel()
	r := aReceipt(t)
	raw := encoded(t, r)
	golden.Assert(t, string(raw), "receipt.json")
	back, err := shard.Decode(raw)
	assert.NilError(t, err)
	assert.DeepEqual(t, back, r)

	r.Dirty, r.Seed, r.Commit = "sha256:"+strings.Repeat("c", 64), math.MaxUint64, strings.Repeat("0", 64)
	back, err = shard.Decode(encoded(t, r))
	assert.NilError(t, err)
	assert.DeepEqual(t, back, r)
}

func TestDecodeRefusesOtherText(t *testing.T) {
	t.Parallel()
	good := string(encoded(t, aReceipt(t)))
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":     {`"total": 2,`, `"total": 2, "extra": 1,`, "unknown field"},
		"doubled key":     {`"total": 2,`, `"total": 2,` + "\n" + `  "total": 2,`, "line 5"},
		"wrong case":      {`"total"`, `"Total"`, "line 4"},
		"other order":     {`"index": 1,` + "\n  " + `"total": 2,`, `"total": 2,` + "\n  " + `"index": 1,`, "line 3"},
		"missing key":     {`  "seed": 7,` + "\n", "", "line 8"},
		"white space":     {`"total": 2`, `"total":2`, "line 4"},
		"trailing data":   {"}\n", "}\n{}", "line 24"},
		"no final line":   {"}\n", "}", "line 23"},
		"other number":    {`"changed": 0.2`, `"changed": 2e-1`, "line 10"},
		"a text":          {`"rows": 10000`, `"rows": "10000"`, "cannot unmarshal"},
		"a fraction":      {`"rows": 10000`, `"rows": 1.5`, "cannot unmarshal"},
		"negative seed":   {`"seed": 7`, `"seed": -7`, "cannot unmarshal"},
		"huge":            {`"changed": 0.2`, `"changed": 1e999`, "cannot unmarshal"},
		"not a number":    {`"changed": 0.2`, `"changed": NaN`, "invalid character"},
		"no UTF-8":        {`case_0001`, "case_\xff", "line"},
		"null":            {good, "null\n", "line 1"},
		"a list":          {good, "[]\n", "cannot unmarshal"},
		"nothing":         {good, "", "EOF"},
		"byte order mark": {"{\n  \"schema", "\ufeff{\n  \"schema", "invalid character"},
	} {
		raw := strings.Replace(good, c.old, c.new, 1)
		assert.Assert(t, raw != good, name)
		_, err := shard.Decode([]byte(raw))
		assert.Check(t, is.ErrorContains(err, c.want), name)
	}
	_, err := shard.Decode(bytes.Repeat([]byte(" "), shard.MaxReceipt+1))
	assert.ErrorContains(t, err, "more than the limit")
}

func TestReceiptHoldsItsLimits(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*shard.Receipt){
		`schema "x" is not`:                    func(r *shard.Receipt) { r.Schema = "x" },
		"total 0 is out of its limits":         func(r *shard.Receipt) { r.Total = 0 },
		"total 257 is out of its limits":       func(r *shard.Receipt) { r.Total = 257 },
		"index -1 is out of its limits":        func(r *shard.Receipt) { r.Index = -1 },
		"index 256 is out of its limits":       func(r *shard.Receipt) { r.Index = 256 },
		`plan_digest "abc" is no digest`:       func(r *shard.Receipt) { r.PlanDigest = "abc" },
		"commit is empty":                      func(r *shard.Receipt) { r.Commit = "" },
		`commit "HEAD" is no full object name`: func(r *shard.Receipt) { r.Commit = "HEAD" },
		`dirty_digest "yes" is no digest`:      func(r *shard.Receipt) { r.Dirty = "yes" },
		`mode "mock" is none of`:               func(r *shard.Receipt) { r.Mode = "mock" },
		"rows 0 is out of its limits":          func(r *shard.Receipt) { r.Rows = 0 },
		"rows 9223372036854775807 is out":      func(r *shard.Receipt) { r.Rows = math.MaxInt64 },
		"changed 1.5 is out of its limits":     func(r *shard.Receipt) { r.Changed = 1.5 },
		"changed NaN is out of its limits":     func(r *shard.Receipt) { r.Changed = math.NaN() },
		"deleted -0 is out of its limits":      func(r *shard.Receipt) { r.Deleted = math.Copysign(0, -1) },
		"deleted 0.3 is out of its limits":     func(r *shard.Receipt) { r.Deleted = 0.3 },
		"selected is empty":                    func(r *shard.Receipt) { r.Selected = nil },
		"case_ids is empty":                    func(r *shard.Receipt) { r.CaseIDs = []string{} },
		"case_ids: case b is there twice":      func(r *shard.Receipt) { r.CaseIDs = []string{"b", "b"} },
		"case_ids: case a is not in its place": func(r *shard.Receipt) { r.CaseIDs = []string{"b", "a"} },
		`selected: "../../x" is no case ID`:    func(r *shard.Receipt) { r.Selected = []string{"../../x"} },
		`case_ids: "Ä" is no case ID`:          func(r *shard.Receipt) { r.CaseIDs = []string{"Ä"} },
	} {
		r := aReceipt(t)
		change(&r)
		_, err := r.Encode()
		assert.Check(t, is.ErrorContains(err, want))
	}
	// The reader asks the same, of a text that is well-formed.
	raw := strings.Replace(string(encoded(t, aReceipt(t))), `"mock_local"`, `"mock"`, 1)
	_, err := shard.Decode([]byte(raw))
	assert.ErrorContains(t, err, `mode "mock" is none of`)
}

func TestDurationsRoundTrip(t *testing.T) {
	t.Parallel()
	d := shard.Durations{"b": 0.25, "a": 0, "c": 1e9}
	raw, err := d.Encode()
	assert.NilError(t, err)
	assert.Equal(t, string(raw), `{
  "schema": "https://github.com/dpone/dpone/gates/matrix/durations/v1",
  "seconds": {
    "a": 0,
    "b": 0.25,
    "c": 1000000000
  }
}
`)
	back, err := shard.DecodeDurations(raw)
	assert.NilError(t, err)
	assert.DeepEqual(t, back, d)

	raw, err = shard.Durations(nil).Encode()
	assert.NilError(t, err)
	back, err = shard.DecodeDurations(raw)
	assert.NilError(t, err)
	assert.Equal(t, len(back), 0)
	_, err = shard.Durations{"a": math.NaN()}.Encode()
	assert.ErrorContains(t, err, "a: NaN seconds is out of its limits")
}

func TestDecodeDurationsRefuses(t *testing.T) {
	t.Parallel()
	const good = `{
  "schema": "https://github.com/dpone/dpone/gates/matrix/durations/v1",
  "seconds": {
    "a": 1.5,
    "b": 2
  }
}
`
	_, err := shard.DecodeDurations([]byte(good))
	assert.NilError(t, err)
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":   {`"seconds"`, `"minutes"`, "unknown field"},
		"doubled case":  {`"b": 2`, `"a": 2`, "line 4"},
		"other schema":  {"/v1", "/v2", "schema"},
		"negative":      {"1.5", "-1.5", "a: -1.5 seconds is out of its limits: 0 to 1e+09"},
		"minus nothing": {"1.5", "-0", "a: -0 seconds"},
		"too long":      {"1.5", "1000000001", "out of its limits"},
		"infinite":      {"1.5", "1e999", "cannot unmarshal"},
		"a text":        {"1.5", `"1.5"`, "cannot unmarshal"},
		"null":          {"1.5", "null", "line 4"},
		"bad case":      {`"b"`, `"b/../c"`, "is no case ID"},
		"trailing data": {"}\n}\n", "}\n}\n ", "line"},
		"no durations":  {good, strings.ReplaceAll(good[:strings.Index(good, `"seconds"`)], "\n  ", "\n  ") + "\"seconds\": null\n}\n", "seconds is missing"},
	} {
		raw := strings.Replace(good, c.old, c.new, 1)
		assert.Assert(t, raw != good, name)
		_, err := shard.DecodeDurations([]byte(raw))
		assert.Check(t, is.ErrorContains(err, c.want), name)
	}
}

func TestReadDurations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, err := shard.ReadDurations(filepath.Join(dir, shard.DurationsFile))
	assert.NilError(t, err)
	assert.Equal(t, len(d), 0)

	path := filepath.Join(dir, "there.json")
	raw, err := shard.Durations{"a": 2}.Encode()
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, raw, 0o600))
	d, err = shard.ReadDurations(path)
	assert.NilError(t, err)
	assert.DeepEqual(t, d, shard.Durations{"a": 2})

	_, err = shard.ReadDurations(dir)
	assert.ErrorContains(t, err, "durations: read "+dir)
	assert.NilError(t, os.WriteFile(path, bytes.Repeat([]byte(" "), shard.MaxDurations+1), 0o600))
	_, err = shard.ReadDurations(path)
	assert.ErrorContains(t, err, path+": durations: more than the limit of 1048576 bytes")
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, aReceipt(f)))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := shard.Decode(raw)
		if err != nil {
			return
		}
		again, err := r.Encode()
		assert.NilError(t, err)
		assert.Assert(t, bytes.Equal(again, raw))
		assert.Assert(t, slices.IsSorted(r.CaseIDs) && slices.IsSorted(r.Selected))
		shard.Check([]shard.Receipt{r, r})
	})
}

func FuzzDecodeDurations(f *testing.F) {
	raw, err := shard.Durations{"a": 1.5, "b": 0}.Encode()
	assert.NilError(f, err)
	f.Add(raw)
	f.Add([]byte(`{"schema": "", "seconds": {"a": 1, "a": 2}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := shard.DecodeDurations(raw)
		if err != nil {
			return
		}
		again, err := d.Encode()
		assert.NilError(t, err)
		assert.Assert(t, bytes.Equal(again, raw))
		if len(d) > 0 {
			plan, err := shard.Split(slices.Collect(maps.Keys(d)), d, 3)
			assert.NilError(t, err)
			assert.Equal(t, len(plan.Selected()), len(d))
			assert.Assert(t, len(plan.Matrix()) > 0)
		}
	})
}
