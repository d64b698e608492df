package cases_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/gates/matrix/cases"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, "*": nil, " * ": nil, "  ": nil, "a": {"a"}, "a,b": {"a", "b"}, " a ,\tb ": {"a", "b"}, "b,a,b": {"b", "a"},
	} {
		got, err := cases.ParseList(text)
		assert.NilError(t, err)
		assert.DeepEqual(t, got, want)
	}
	for _, text := range []string{",", "a,", ",a", "a,,b", "a, ,b"} {
		_, err := cases.ParseList(text)
		assert.Check(t, is.ErrorContains(err, "empty item"), text)
	}
	_, err := cases.ParseList("a,*")
	assert.ErrorContains(t, err, "beside other names")
}

func TestSelect(t *testing.T) {
	t.Parallel()
	all := registry(t, invented())
	for name, c := range map[string]struct {
		s    cases.Selection
		want []string
	}{
		"source":            {cases.Selection{Sources: []string{"feed"}}, []string{"feed_to_server__incremental_append", "feed_to_warehouse__incremental_append"}},
		"in registry order": {cases.Selection{CaseIDs: []string{"store_to_store__scd2", "server_to_store__scd2"}}, []string{"server_to_store__scd2", "store_to_store__scd2"}},
		"all lists at once": {cases.Selection{Sources: []string{"store", "server"}, Sinks: []string{"store"}, Strategies: []string{"scd2"}, CaseIDs: []string{"store_to_store__scd2", "store_to_store__full_refresh"}}, []string{"store_to_store__scd2"}},
		"nothing":           {cases.Selection{Sources: []string{"feed"}, Strategies: []string{"scd2"}}, []string{}},
	} {
		got, err := cases.Select(all, c.s)
		assert.NilError(t, err, name)
		assert.DeepEqual(t, ids(got), c.want)
		assert.Assert(t, got != nil)
		assert.Assert(t, c.s.Partial(), name)
	}
	got, err := cases.Select(all, cases.Selection{})
	assert.NilError(t, err)
	assert.DeepEqual(t, got, all)
	assert.Assert(t, !cases.Selection{}.Partial())
	assert.DeepEqual(t, registry(t, invented()), all) // what was given is as it was
}

func TestSelectNamesWhatIsUnknown(t *testing.T) {
	t.Parallel()
	all := registry(t, invented())
	for want, s := range map[string]cases.Selection{
		`-source: "sevrer" is no source; did you mean "server"? known are server, store, feed`:                            {Sources: []string{"store", "sevrer"}},
		`-sink: "kafka" is no sink; known are server, store, warehouse`:                                                   {Sinks: []string{"kafka"}},
		`-strategy: "SCD2" is no strategy; did you mean "scd2"? known are full_refresh`:                                   {Strategies: []string{"SCD2"}},
		`-caseID: "server_to_store_scd2" is no case; did you mean "server_to_store__scd2"? mage matrix:list shows all 22`: {CaseIDs: []string{"server_to_store_scd2"}},
		`DPONE_MATRIX_SINK: "x" is no sink; known are`:                                                                    {Sinks: []string{"x"}, Origins: map[string]string{"-sink": "DPONE_MATRIX_SINK"}},
	} {
		got, err := cases.Select(all, s)
		assert.Check(t, is.ErrorContains(err, want))
		assert.Check(t, got == nil)
		var field *cases.FieldError
		assert.Assert(t, errors.As(err, &field))
		assert.Assert(t, strings.HasPrefix(want, field.Field+": "))
	}
	_, err := cases.Select(all, cases.Selection{Sources: []string{"a"}, CaseIDs: []string{"b"}})
	assert.ErrorContains(t, err, `"a" is no source`)
	assert.ErrorContains(t, err, `"b" is no case`)
	_, err = cases.Select(nil, cases.Selection{Sources: []string{"a"}})
	assert.ErrorContains(t, err, "there is none")
	_, err = cases.Select(all, cases.Selection{CaseIDs: []string{strings.Repeat("x", 1<<20)}})
	assert.Assert(t, len(err.Error()) < 500)
}

func TestSelectionFrom(t *testing.T) {
	t.Parallel()
	getenv := env(cases.EnvSource, "feed, store", cases.EnvSink, "server", cases.EnvStrategy, "*")
	s, err := cases.SelectionFrom(getenv, cases.SelectionFlags{Sink: new("store"), CaseID: new("a,b")})
	assert.NilError(t, err)
	assert.DeepEqual(t, s, cases.Selection{
		Sources: []string{"feed", "store"}, Sinks: []string{"store"}, CaseIDs: []string{"a", "b"},
		Origins: map[string]string{"-source": "DPONE_MATRIX_SOURCE", "-strategy": "DPONE_MATRIX_STRATEGY"},
	})
	// A flag that is given and empty takes the environment back.
	s, err = cases.SelectionFrom(getenv, cases.SelectionFlags{Source: new(""), Sink: new("*")})
	assert.NilError(t, err)
	assert.Assert(t, !s.Partial())

	_, err = cases.SelectionFrom(env(cases.EnvCaseID, "a,,b"), cases.SelectionFlags{Strategy: new(",")})
	assert.ErrorContains(t, err, `DPONE_MATRIX_CASE_ID: "a,,b" has an empty item; separate names`)
	assert.ErrorContains(t, err, `-strategy: "," has an empty item`)

	_, err = cases.Select(registry(t, invented()), cases.Selection{Sources: []string{"feedd"}, Origins: map[string]string{"-source": "DPONE_MATRIX_SOURCE"}})
	assert.ErrorContains(t, err, `DPONE_MATRIX_SOURCE: "feedd" is no source; did you mean "feed"?`)
}

func TestVolumeFrom(t *testing.T) {
	t.Parallel()
	set := env(cases.EnvMockRows, "7", cases.EnvRows, "100000", cases.EnvChanged, "0.5", cases.EnvDeleted, " 1e-1 ", cases.EnvSeed, "9223372036854775807")
	for name, c := range map[string]struct {
		getenv func(string) string
		mode   cases.Mode
		flags  cases.VolumeFlags
		want   cases.Volume
	}{
		"defaults":            {env(), cases.MockContract, cases.VolumeFlags{}, cases.Volume{Rows: 10_000, Changed: 0.2, Deleted: 0.05, Seed: 1}},
		"durable":             {env(), cases.RealLocal, cases.VolumeFlags{}, cases.Volume{Rows: 25_000, Changed: 0.2, Deleted: 0.05, Seed: 1}},
		"mock":                {set, cases.MockLocal, cases.VolumeFlags{}, cases.Volume{Rows: 7, Changed: 0.5, Deleted: 0.1, Seed: math.MaxInt64}},
		"not mock":            {set, cases.RealLocal, cases.VolumeFlags{}, cases.Volume{Rows: 100_000, Changed: 0.5, Deleted: 0.1, Seed: math.MaxInt64}},
		"mock, plain":         {env(cases.EnvRows, "1"), cases.MockContract, cases.VolumeFlags{}, cases.Volume{Rows: 1, Changed: 0.2, Deleted: 0.05, Seed: 1}},
		"flags win":           {set, cases.MockContract, cases.VolumeFlags{Rows: new(50_000_000), Changed: new(1.0), Deleted: new(1.0), Seed: new(0)}, cases.Volume{Rows: 50_000_000, Changed: 1, Deleted: 1}},
		"nothing changes":     {env(), cases.VendorLive, cases.VolumeFlags{Changed: new(0.0), Deleted: new(math.Copysign(0, -1))}, cases.Volume{Rows: 10_000, Seed: 1}},
		"few change":          {env(), cases.MockLocal, cases.VolumeFlags{Changed: new(0.01)}, cases.Volume{Rows: 10_000, Changed: 0.01, Deleted: 0.01, Seed: 1}},
		"bad and not used":    {env(cases.EnvRows, "x", cases.EnvChanged, "x"), cases.VendorLive, cases.VolumeFlags{Rows: new(2), Changed: new(0.3)}, cases.Volume{Rows: 2, Changed: 0.3, Deleted: 0.05, Seed: 1}},
		"deleted, not before": {env(cases.EnvMockRows, "x"), cases.RealLocal, cases.VolumeFlags{}, cases.Volume{Rows: 25_000, Changed: 0.2, Deleted: 0.05, Seed: 1}},
	} {
		got, err := cases.VolumeFrom(c.getenv, c.mode, c.flags)
		assert.NilError(t, err, name)
		assert.Equal(t, got, c.want, name)
		assert.Assert(t, !math.Signbit(got.Deleted), name)
	}
}

func TestVolumeFromRefuses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		getenv func(string) string
		flags  cases.VolumeFlags
	}{
		`-rows: "0" is out of its limits; give 1 to 9007199254740992`:                                                            {env(), cases.VolumeFlags{Rows: new(0)}},
		`-rows: "-5" is out of its limits`:                                                                                       {env(cases.EnvRows, "5"), cases.VolumeFlags{Rows: new(-5)}},
		`-rows: "9223372036854775807" is out of its limits`:                                                                      {env(), cases.VolumeFlags{Rows: new(math.MaxInt64)}},
		`DPONE_MATRIX_ROW_COUNT: "100001" is out of its limits; give 1 to 100000, or any larger number with -rows`:               {env(cases.EnvRows, "100001"), cases.VolumeFlags{}},
		`DPONE_MATRIX_ROW_COUNT: "99999999999999999999" is out of its limits`:                                                    {env(cases.EnvRows, "99999999999999999999"), cases.VolumeFlags{}},
		`DPONE_MATRIX_MOCK_ROW_COUNT: "0" is out of its limits; give 1 to 100000`:                                                {env(cases.EnvMockRows, "0", cases.EnvRows, "5"), cases.VolumeFlags{}},
		`DPONE_MATRIX_ROW_COUNT: "1e3" is no whole number`:                                                                       {env(cases.EnvRows, "1e3"), cases.VolumeFlags{}},
		`-changed: "NaN" is out of its limits; give a share from 0 to 1`:                                                         {env(), cases.VolumeFlags{Changed: new(math.NaN())}},
		`-changed: "1.1" is out of its limits`:                                                                                   {env(), cases.VolumeFlags{Changed: new(1.1)}},
		`DPONE_MATRIX_CHANGE_RATIO: "nan" is out of its limits`:                                                                  {env(cases.EnvChanged, "nan"), cases.VolumeFlags{}},
		`DPONE_MATRIX_CHANGE_RATIO: "1e999" is out of its limits`:                                                                {env(cases.EnvChanged, "1e999"), cases.VolumeFlags{}},
		`DPONE_MATRIX_DELETE_RATIO: "-0.1" is out of its limits`:                                                                 {env(cases.EnvDeleted, "-0.1"), cases.VolumeFlags{}},
		`DPONE_MATRIX_DELETE_RATIO: "5%" is no number`:                                                                           {env(cases.EnvDeleted, "5%"), cases.VolumeFlags{}},
		`DPONE_MATRIX_DELETE_RATIO: "0.3" is more than the share of changes, 0.2 (by default)`:                                   {env(cases.EnvDeleted, "0.3"), cases.VolumeFlags{}},
		`-deleted: "0.3" is more than the share of changes, 0.25 (DPONE_MATRIX_CHANGE_RATIO); deletes are a part of the changes`: {env(cases.EnvChanged, "0.25"), cases.VolumeFlags{Deleted: new(0.3)}},
		`DPONE_MATRIX_SEED: "-1" is out of its limits`:                                                                           {env(cases.EnvSeed, "-1"), cases.VolumeFlags{}},
		`-seed: "-1" is out of its limits; give 0 to 9223372036854775807`:                                                        {env(), cases.VolumeFlags{Seed: new(-1)}},
	} {
		_, err := cases.VolumeFrom(c.getenv, cases.MockContract, c.flags)
		assert.Check(t, is.ErrorContains(err, want))
		var field *cases.FieldError
		assert.Assert(t, errors.As(err, &field))
		assert.Assert(t, strings.HasPrefix(want, field.Field+": "))
	}
	_, err := cases.VolumeFrom(env(), cases.MockContract, cases.VolumeFlags{Rows: new(0), Changed: new(2.0), Deleted: new(-1.0)})
	for _, want := range []string{"-rows", "-changed", "-deleted"} {
		assert.Check(t, is.ErrorContains(err, want+": "))
	}
}

func TestModeFrom(t *testing.T) {
	t.Parallel()
	for want, c := range map[cases.Mode]struct {
		getenv func(string) string
		flag   *string
	}{
		cases.MockLocal: {env(), nil}, cases.VendorLive: {env(cases.EnvRunMode, " vendor_live "), nil}, cases.RealLocal: {env(cases.EnvRunMode, "x"), new("real_local")},
	} {
		got, err := cases.ModeFrom(c.getenv, c.flag, cases.MockLocal)
		assert.NilError(t, err)
		assert.Equal(t, got, want)
	}
	_, err := cases.ModeFrom(env(cases.EnvRunMode, "mock_locl"), nil, cases.MockLocal)
	assert.Error(t, err, `DPONE_MATRIX_RUN_MODE: "mock_locl" is no mode; did you mean "mock_local"? known are mock_contract, mock_local, real_local, vendor_live`)
	_, err = cases.ModeFrom(env(), new(""), cases.MockLocal)
	assert.ErrorContains(t, err, `-mode: "" is no mode`)
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"", "*", "a,b", "a,,b", " , ", "a,*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		items, err := cases.ParseList(text)
		if err != nil {
			assert.Assert(t, items == nil)
			return
		}
		again, err := cases.ParseList(strings.Join(items, ","))
		assert.NilError(t, err)
		assert.DeepEqual(t, again, items)
	})
}
