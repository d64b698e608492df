package result_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/result"
)

// written is the artifact of a result.
func written(t testing.TB, c result.Case) []byte {
	t.Helper()
	to := folder{}
	assert.NilError(t, result.Write(to, c, meta))
	return to[result.BehaviorFile(c.ID)]
}

func TestArtifactsGolden(t *testing.T) {
	t.Parallel()
	c := one("postgres", "file", manifest.SCD2)
	for name, r := range map[string]result.Case{"green": green(c), "red": red(c), "unverified": unverified(c), "skipped": skipped(c)} {
		to := folder{}
		assert.NilError(t, result.Write(to, r, meta))
		assert.Equal(t, len(to), 2)
		golden.AssertBytes(t, to[result.CaseFile(c.ID)], "case.json")
		golden.AssertBytes(t, to[result.BehaviorFile(c.ID)], "behavior_"+name+".json")
	}
}

// TestOriginalFields holds that the artifacts have every field that the original's have.
func TestOriginalFields(t *testing.T) {
	t.Parallel()
	to := folder{}
	c := red(one("sqlite", "file", manifest.IncrementalMerge))
	assert.NilError(t, result.Write(to, c, meta))
	for file, fields := range map[string]string{
		result.CaseFile(c.ID): "source sink strategy guide install_extras required_profiles live_profiles local_service_supported external_credentials_required pair_id case_id",
		result.BehaviorFile(c.ID): "case_id source sink strategy target_before source_rows expected_rows actual_rows target_before_count source_row_count " +
			"expected_row_count actual_row_count expected_checksum actual_checksum configured_row_count change_ratio delete_ratio changed_row_count " +
			"deleted_row_count quality_checks passed notes seed run_mode",
	} {
		var doc map[string]any
		assert.NilError(t, json.Unmarshal(to[file], &doc))
		for _, field := range strings.Fields(fields) {
			value, ok := doc[field]
			assert.Check(t, ok && value != nil, "%s of %s", field, file)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, of := range []func(cases.Case) result.Case{green, red, unverified, skipped} {
		want := of(one("sqlite", "file", manifest.FullRefresh))
		raw := written(t, want)
		got, err := result.Read(raw)
		assert.NilError(t, err)
		assert.Equal(t, got.Verdict(), want.Verdict())
		assert.DeepEqual(t, got.Build, build)
		again, err := got.Encode()
		assert.NilError(t, err)
		assert.Equal(t, string(again), string(raw))
	}
	want := green(one("sqlite", "file", manifest.FullRefresh))
	want.Build = build
	got, err := result.Read(written(t, want))
	assert.NilError(t, err)
	assert.DeepEqual(t, got, want)
}

// TestNothingIsLost fills every field that a result has, also those that others add to
// their types later, and holds that it comes back.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	want := result.Case{}
	fill(reflect.ValueOf(&want).Elem())
	want.Case = one("postgres", "sqlite", manifest.CDC)
	want.Mode, want.Fixture.Changed, want.Fixture.Deleted = cases.RealLocal, 0.5, 0.25
	want.StartedAt = began
	want.Differences[0].Kind = "changed"
	want.Checks[0].Code, want.Checks[0].Verdict = "receipts_once", evidence.Fail
	got, err := result.Read(written(t, want))
	assert.NilError(t, err)
	assert.DeepEqual(t, got, want)
}

// fill gives every field a value that is not its zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.SetMapIndex(key, value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("filled")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	default:
		if v.CanInt() {
			v.SetInt(3)
		} else {
			v.SetUint(1)
		}
	}
}

func TestHostileTextsAreCarriedAndBounded(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("ä", 10_000)
	c := red(one("sqlite", "file", manifest.FullRefresh))
	c.Problem = "nul \x00 bad \xff\xc3 \u2028 <b>&\\\" \U0001F600"
	c.Notes = []string{"\xff", huge, `\ufffd`}
	c.Checks[0].Observed, c.Checks[0].Why = huge, huge
	c.Differences[0].Key = huge
	c.Runs[0].Counters = map[string]int64{"\xff": 1}
	value := huge
	c.Samples.Actual = []result.Row{{"value": &value, "gone": nil}, nil}
	raw := written(t, c)
	assert.Assert(t, len(raw) < 100_000)
	got, err := result.Read(raw)
	assert.NilError(t, err)
	assert.Equal(t, got.Problem, strings.ToValidUTF8("nul \x00 bad \xff", "\ufffd")+"\ufffd \u2028 <b>&\\\" \U0001F600")
	assert.Equal(t, got.Notes[2], `\ufffd`)
	assert.Assert(t, strings.HasSuffix(got.Checks[0].Observed, " bytes cut]"))
	assert.Assert(t, len(got.Checks[0].Observed) <= 4096)
	assert.Assert(t, len(*got.Samples.Actual[0]["value"]) <= 512)
	assert.Assert(t, len(value) == 20_000, "the caller's own value was changed")
	assert.Equal(t, c.Checks[0].Observed, huge, "the caller's own result was changed")
	_, there := got.Samples.Actual[0]["gone"]
	assert.Assert(t, there && got.Samples.Actual[0]["gone"] == nil)
}

func TestNewRow(t *testing.T) {
	t.Parallel()
	columns := []fixture.Column{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "beyond"}}
	row := fixture.Row{{Text: ""}, {Null: true, Text: "left over"}, {Text: strings.Repeat("x", 600)}}
	got := result.NewRow(columns, row)
	row[0].Text = "used again"
	assert.Equal(t, len(got), 3)
	assert.Equal(t, *got["a"], "")
	assert.Assert(t, got["b"] == nil)
	assert.Assert(t, strings.HasPrefix(*got["c"], "xxx") && strings.HasSuffix(*got["c"], " bytes cut]") && len(*got["c"]) <= 512)
}

// TestSampler holds that the first three and the last three rows are kept, in whatever order they come.
func TestSampler(t *testing.T) {
	t.Parallel()
	columns := []fixture.Column{{Name: fixture.Amount}, {Name: fixture.ID}, {Name: fixture.Variant}}
	for n, want := range map[int]string{0: "", 1: "1", 6: "1 2 3 4 5 6", 7: "1 2 3 5 6 7", 100: "1 2 3 98 99 100"} {
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for range 20 {
			s, row := result.NewSampler(columns), make(fixture.Row, 3)
			for _, i := range random.Perm(n) {
				row[0].Text, row[1].Text, row[2].Text = "v", strconv.Itoa(i+1), "0" // the row is used again
				s.Add(row)
			}
			var got []string
			for _, r := range s.Rows() {
				got = append(got, *r[fixture.ID])
			}
			assert.Equal(t, strings.Join(got, " "), want)
		}
	}
	versions := result.NewSampler(columns)
	for _, version := range []string{"1", "0"} {
		versions.Add(fixture.Row{{Null: true}, {Text: "5"}, {Text: version}})
	}
	assert.Equal(t, *versions.Rows()[0][fixture.Variant], "0")
	strange := result.NewSampler([]fixture.Column{{Name: "other"}})
	strange.Add(fixture.Row{{Text: "x"}})
	assert.Equal(t, *strange.Rows()[0]["other"], "x")
}

// TestReadRefuses shows a red side for each rule of the reader.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	pass, fail := written(t, green(one("sqlite", "file", manifest.FullRefresh))), written(t, red(one("sqlite", "file", manifest.FullRefresh)))
	_, err := result.Read(pass)
	assert.NilError(t, err)
	for name, tc := range map[string]struct {
		raw      []byte
		old, new string
		want     string
	}{
		"empty":                   {nil, "", "", "EOF"},
		"not json":                {[]byte("passed"), "", "", "invalid character"},
		"too large":               {bytes.Repeat([]byte(" "), result.MaxCase+1), "", "", "more than the limit of 8388608"},
		"other schema":            {pass, "behavior/v1", "behavior/v2", "schema"},
		"no schema":               {[]byte("{}"), "", "", `schema ""`},
		"passed is believed":      {fail, `"passed": false`, `"passed": true`, "does not follow from its checks, which say FAIL"},
		"verdict is believed":     {fail, `"verdict": "FAIL",`, `"verdict": "PASS",`, "does not follow"},
		"both are believed":       {fail, "\"verdict\": \"FAIL\",\n  \"passed\": false", "\"verdict\": \"PASS\",\n  \"passed\": true", "does not follow"},
		"passed is not true":      {pass, `"passed": true`, `"passed": false`, "does not follow"},
		"unknown key":             {pass, `"columns": 126`, `"columns": 126, "extra": 1`, `unknown field "extra"`},
		"unknown key deep":        {pass, `"engine_version"`, `"engine": "x", "engine_version"`, `unknown field "engine"`},
		"doubled key":             {pass, `"columns": 126`, `"columns": 126,` + "\n" + `  "columns": 126`, "line 52"},
		"doubled verdict":         {fail, `"passed": false`, `"passed": true, "passed": false`, "line 4"},
		"key of other case":       {pass, `"columns": 126`, `"Columns": 126`, "is not what its writer writes"},
		"data behind":             {append(bytes.Clone(pass), "{}"...), "", "", "data behind"},
		"blank behind":            {append(bytes.Clone(pass), '\n'), "", "", "data behind"},
		"unknown verdict":         {pass, `"verdict": "PASS", "observed"`, `"verdict": "GREEN", "observed"`, "not one of PASS"},
		"number as verdict":       {pass, `"verdict": "PASS", "observed"`, `"verdict": 1, "observed"`, "cannot unmarshal"},
		"unknown mode":            {pass, `"run_mode": "mock_contract"`, `"run_mode": "mock"`, `run_mode "mock" is not one of`},
		"unknown strategy":        {pass, `"strategy": "full_refresh"`, `"strategy": "refresh"`, `strategy "refresh" is not one of`},
		"unknown kind of key":     {fail, `"kind": "extra"`, `"kind": "odd"`, `kind "odd"`},
		"id of another case":      {pass, `"case_id": "sqlite_to_file__full_refresh"`, `"case_id": "sqlite_to_sqlite__full_refresh"`, "is not that of its source, sink and strategy"},
		"id is a path":            {pass, `"case_id": "sqlite_to_file__full_refresh"`, `"case_id": "../../x"`, "is not that of"},
		"source is a path":        {pass, `"source": "sqlite"`, `"source": "../x"`, "is not a name of a family"},
		"pair of another case":    {pass, `"pair_id": "sqlite_to_file"`, `"pair_id": "file_to_sqlite"`, "pair_id"},
		"negative count":          {pass, `"target_before_count": 100`, `"target_before_count": -1`, "target_before_count is -1"},
		"negative counter":        {pass, `"inserted": 5, "updated": 10}, "rows_read"`, `"inserted": -5, "updated": 10}, "rows_read"`, "inserted of run load is -5"},
		"negative seconds":        {pass, `"engine": 0.75`, `"engine": -0.75`, "durations.engine is -0.75"},
		"not finite":              {pass, `"engine": 0.75`, `"engine": 1e999`, "cannot unmarshal number"},
		"not a number":            {pass, `"engine": 0.75`, `"engine": NaN`, "invalid character"},
		"minus zero":              {pass, `"rows_read": 100`, `"rows_read": -0`, "is not what its writer writes"},
		"ratio above 1":           {pass, `"changed": 0.2,`, `"changed": 1.2,`, "at most 1"},
		"other derived rows":      {pass, `"configured_row_count": 100`, `"configured_row_count": 10000`, "is not what its writer writes"},
		"other derived seed":      {pass, `"seed": 7,` + "\n", `"seed": 8,` + "\n", "is not what its writer writes"},
		"null list":               {pass, `"notes": []`, `"notes": null`, "is not what its writer writes"},
		"missing list":            {pass, `"notes": [],` + "\n", ``, "is not what its writer writes"},
		"digest of others":        {pass, `"actual_checksum": "sha256:0f`, `"actual_checksum": "sha256:0e`, "its checks passed although"},
		"rows of others":          {pass, `"actual_row_count": 100`, `"actual_row_count": 99`, "its checks passed although 99 rows"},
		"green without a load":    {pass, `"name": "load"`, `"name": "seed"`, `without a run "load"`},
		"green with a failed run": {pass, `"run_id": "r2", "passed": true`, `"run_id": "r2", "passed": false`, `a run "again" of the engine that passed`},
		"code with blanks":        {pass, `"code": "row_count`, `"code": "row count`, "the code is not of the form"},
		"no build":                {pass, "\"commit\": \"" + build.Commit, "\"commit\": \"", "is not what its writer writes"},
	} {
		raw := tc.raw
		if tc.old != "" {
			assert.Assert(t, bytes.Contains(raw, []byte(tc.old)), "%s: %q is not in the artifact", name, tc.old)
			raw = bytes.Replace(raw, []byte(tc.old), []byte(tc.new), 1)
		}
		if name == "no build" { // every field of it
			raw = bytes.ReplaceAll(raw, []byte(`"engine_version": "v1.4.0"`), []byte(`"engine_version": ""`))
			raw = bytes.ReplaceAll(raw, []byte(`"connectors": "file, postgres, sqlite"`), []byte(`"connectors": ""`))
			raw = bytes.ReplaceAll(raw, []byte(`"go_version": "go1.26.8"`), []byte(`"go_version": ""`))
			tc.want = "names no build"
		}
		_, err := result.Read(raw)
		assert.Check(t, err != nil && strings.Contains(err.Error(), tc.want), "%s: %v", name, err)
	}
}

// TestEveryByteCounts holds that no byte of an artifact can be removed unseen.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	raw := written(t, unverified(one("sqlite", "file", manifest.FullRefresh)))
	seen := 0
	for i := range raw {
		short := append(bytes.Clone(raw[:i]), raw[i+1:]...)
		c, err := result.Read(short)
		if err != nil {
			seen++
			continue
		}
		assert.Assert(t, string(written(t, c)) == string(short), "byte %d was removed and nobody saw it", i)
		assert.Equal(t, c.Verdict(), evidence.Unverified)
	}
	assert.Assert(t, seen > len(raw)/2)
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*result.Case)
		want   string
	}{
		"infinite":          {func(c *result.Case) { c.Durations.Total = math.Inf(1) }, "durations.total is +Inf"},
		"no number":         {func(c *result.Case) { c.Runs[0].Seconds = math.NaN() }, "seconds of run load is NaN"},
		"ratio no number":   {func(c *result.Case) { c.Fixture.Changed = math.NaN() }, "change_ratio is NaN"},
		"nulls":             {func(c *result.Case) { c.Expected.Columns[1].Nulls = -1 }, "NULLs of value is -1"},
		"verdict":           {func(c *result.Case) { c.Checks[0].Verdict = 9 }, "verdict 9"},
		"too many keys":     {func(c *result.Case) { c.Differences = make([]compare.Difference, 21) }, "kind"},
		"too many samples":  {func(c *result.Case) { c.Samples.Actual = make([]result.Row, 7) }, "7 sample rows"},
		"no digest":         {func(c *result.Case) { c.Expected.Digest, c.Actual.Digest = "", "" }, "a digest is missing"},
		"differences":       {func(c *result.Case) { c.Differences = []compare.Difference{{Key: "1", Kind: "extra"}} }, `although key "1" is extra`},
		"no second run":     {func(c *result.Case) { c.Runs = c.Runs[:1] }, `a run "again"`},
		"failed seed":       {func(c *result.Case) { c.Runs = append(c.Runs, result.Run{Name: "seed"}) }, `run "seed" of the engine failed`},
		"rows of the spec":  {func(c *result.Case) { c.Counts.Rows = 0 }, "0 rows of the 100"},
		"upper case source": {func(c *result.Case) { c.Source = "SQLite" }, "is not a name of a family"},
		"path in the sink":  {func(c *result.Case) { c.Sink = "a/b" }, "is not a name of a family"},
	} {
		c := green(one("sqlite", "file", manifest.FullRefresh))
		assert.NilError(t, c.Validate())
		tc.change(&c)
		err := c.Validate()
		assert.Check(t, err != nil && strings.Contains(err.Error(), tc.want), "%s: %v", name, err)
		to := folder{}
		assert.Check(t, result.Write(to, c, meta) != nil, name)
		assert.Equal(t, len(to), 0, name)
	}
	crashed := green(one("sqlite", "file", manifest.FullRefresh))
	crashed.Runs = append(crashed.Runs, result.Run{Name: "crash"})
	assert.NilError(t, crashed.Validate())
}

type fullDisk struct{ err error }

func (f fullDisk) WriteFile(string, []byte) error { return f.err }

func TestWriteTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	assert.ErrorIs(t, result.Write(fullDisk{full}, green(one("sqlite", "file", manifest.FullRefresh)), meta), full)
	assert.ErrorContains(t, result.Write(folder{}, green(one("sqlite", "file", manifest.FullRefresh)), result.Meta{}), "names no build")
	large := green(one("sqlite", "file", manifest.FullRefresh))
	large.Manifest = strings.Repeat("x", result.MaxCase)
	assert.ErrorContains(t, result.Write(folder{}, large, meta), "at most 8388608 are read again")
}

func FuzzRead(f *testing.F) {
	c := one("sqlite", "file", manifest.SCD2)
	for _, r := range []result.Case{green(c), red(c), unverified(c), skipped(c)} {
		f.Add(written(f, r))
	}
	f.Add([]byte(`{"schema":"https://github.com/dpone/dpone/gates/matrix/behavior/v1"}`))
	f.Add([]byte(`{"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := result.Read(raw)
		if err != nil {
			return
		}
		assert.NilError(t, c.Validate())
		again, err := c.Encode()
		assert.NilError(t, err)
		assert.Equal(t, string(again), string(raw))
		assert.Assert(t, !strings.ContainsAny(result.BehaviorFile(c.ID), `/\`))
		assert.Equal(t, bytes.Contains(raw, []byte("\n  \"passed\": true,\n")), c.Verdict() == evidence.Pass)
	})
}
