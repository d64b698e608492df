package shard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/shard"
)

var a40, b40 = strings.Repeat("a", 40), strings.Repeat("b", 40)

func aRun() shard.Run {
	return shard.Run{Commit: a40, Mode: cases.MockLocal, Seed: 7, Rows: 10_000, Changed: 0.2, Deleted: 0.05}
}

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("case_%04d", i)
	}
	return list
}

func split(t *testing.T, ids []string, d shard.Durations, n int) shard.Plan {
	t.Helper()
	plan, err := shard.Split(ids, d, n)
	assert.NilError(t, err)
	return plan
}

func TestSplitDealsOutTheLongestFirst(t *testing.T) {
	t.Parallel()
	plan := split(t, []string{"e", "d", "c", "b", "a"}, shard.Durations{"a": 7, "b": 5, "c": 4, "d": 3, "e": 1}, 2)
	assert.DeepEqual(t, plan, shard.Plan{Shards: []shard.Shard{
		{Index: 0, Total: 2, Seconds: 10, CaseIDs: []string{"a", "d"}},
		{Index: 1, Total: 2, Seconds: 10, CaseIDs: []string{"b", "c", "e"}},
	}})
	assert.Equal(t, string(plan.Matrix()), `{"include":[{"index":0,"total":2,"cases":2,"seconds":10},{"index":1,"total":2,"cases":3,"seconds":10}]}`)
	assert.DeepEqual(t, plan.Selected(), []string{"a", "b", "c", "d", "e"})
}

func TestUnknownDurations(t *testing.T) {
	t.Parallel()
	// The median of 1, 2 and 30 is 2; the duration of a case that is not there does not count.
	plan := split(t, []string{"a", "b", "c", "new"}, shard.Durations{"a": 1, "b": 2, "c": 30, "gone": 1000}, 2)
	assert.DeepEqual(t, plan.Shards[0].CaseIDs, []string{"c"})
	assert.Equal(t, plan.Shards[1].Seconds, 5.0)
	assert.DeepEqual(t, plan.Notes, []string{"no duration is known for 1 of 4 cases; they count as the median, 2.0s"})
	// Of two it is the mean.
	assert.Equal(t, split(t, []string{"a", "b", "new"}, shard.Durations{"a": 1, "b": 2}, 1).Shards[0].Seconds, 4.5)

	plan = split(t, names(7), nil, 3)
	assert.DeepEqual(t, plan.Notes, []string{"no durations are known; every case counts the same"})
	for i, want := range []int{3, 2, 2} {
		assert.Equal(t, len(plan.Shards[i].CaseIDs), want)
		assert.Equal(t, plan.Shards[i].Seconds, 0.0, "seconds that nobody measured are not told")
	}
}

func TestNoShardIsEmpty(t *testing.T) {
	t.Parallel()
	plan := split(t, []string{"a", "b"}, shard.Durations{"a": 1, "b": 1}, 5)
	assert.Equal(t, len(plan.Shards), 2)
	assert.DeepEqual(t, plan.Notes, []string{"5 shards were asked for; 2 cases make 2"})
	assert.DeepEqual(t, plan.Shards, split(t, []string{"a", "b"}, shard.Durations{"a": 1, "b": 1}, 2).Shards)

	nothing := shard.Durations{}
	for _, id := range names(10) {
		nothing[id] = 0
	}
	nothing["case_0003"] = 100
	for _, s := range split(t, names(10), nothing, 10).Shards {
		assert.Equal(t, len(s.CaseIDs), 1)
	}
}

func TestSplitRefuses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		ids    []string
		d      shard.Durations
		shards int
	}{
		"0 is out of its limits: give 1 to 256":     {names(3), nil, 0},
		"-1 is out of its limits":                   {names(3), nil, -1},
		"257 is out of its limits":                  {names(300), nil, 257},
		"there are no cases":                        {nil, nil, 1},
		"case b is there twice":                     {[]string{"b", "a", "b"}, nil, 1},
		`"" is no case ID`:                          {[]string{"a", ""}, nil, 1},
		`"../x" is no case ID`:                      {[]string{"../x"}, nil, 1},
		"durations: a: NaN seconds is out of":       {names(3), shard.Durations{"a": math.NaN()}, 1},
		"durations: a: +Inf seconds is out of":      {names(3), shard.Durations{"a": math.Inf(1)}, 1},
		"durations: a: -1 seconds is out of":        {names(3), shard.Durations{"a": -1}, 1},
		"durations: a: 2e+09 seconds is out of its": {names(3), shard.Durations{"a": 2e9}, 1},
		`durations: "A" is no case ID`:              {names(3), shard.Durations{"A": 1}, 1},
	} {
		plan, err := shard.Split(c.ids, c.d, c.shards)
		assert.Check(t, is.ErrorContains(err, want))
		assert.Check(t, plan.Shards == nil)
	}
}

func TestIndexGivesTheShardOfThePlan(t *testing.T) {
	t.Parallel()
	ids, d := names(30), shard.Durations{"case_0007": 12, "case_0001": 3}
	plan := split(t, ids, d, 4)
	for i, want := range plan.Shards {
		got, err := shard.Index(ids, d, i, 4)
		assert.NilError(t, err)
		assert.DeepEqual(t, got, want)
	}
	for _, index := range []int{-1, 4} {
		_, err := shard.Index(ids, d, index, 4)
		assert.ErrorContains(t, err, "is out of its limits: give 0 to 3")
		assert.Assert(t, !errors.Is(err, shard.ErrSurplus))
	}
	_, err := shard.Index(names(3), nil, 3, 8)
	assert.ErrorIs(t, err, shard.ErrSurplus)
	assert.ErrorContains(t, err, "3 cases make 3 shards")
	got, err := shard.Index(names(3), nil, 2, 8)
	assert.NilError(t, err)
	assert.Equal(t, got.Total, 3)
	_, err = shard.Index(nil, nil, 0, 1)
	assert.ErrorContains(t, err, "no cases")
}

// TestSplitIsAPartitionInAnyOrder has random cases, durations and orders.
func TestSplitIsAPartitionInAnyOrder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		ids, d := names(1+r.IntN(80)), shard.Durations{}
		longest, total := 0.0, 0.0
		for _, id := range ids {
			d[id] = math.Floor(r.ExpFloat64()*1000) / 100 // many are equal, some are 0
			longest, total = max(longest, d[id]), total+d[id]
		}
		n := 1 + r.IntN(20)
		plan := split(t, ids, d, n)
		digest, err := plan.Digest(aRun())
		assert.NilError(t, err)

		assert.Equal(t, len(plan.Shards), min(n, len(ids)))
		assert.DeepEqual(t, plan.Selected(), ids)
		most := 0.0
		for i, s := range plan.Shards {
			assert.Assert(t, s.Index == i && s.Total == len(plan.Shards) && len(s.CaseIDs) > 0 && slices.IsSorted(s.CaseIDs))
			most = max(most, s.Seconds)
		}
		// What dealing out in any order keeps to.
		m := float64(len(plan.Shards))
		assert.Assert(t, most <= total/m+(1-1/m)*longest+1e-9)

		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		before := slices.Clone(ids)
		again := split(t, ids, d, n)
		assert.DeepEqual(t, again, plan)
		assert.DeepEqual(t, ids, before) // the caller's list is as it was
		second, err := again.Digest(aRun())
		assert.NilError(t, err)
		assert.Equal(t, second, digest)
	}
}

// TestSplitKeepsToGrahamsBound compares with the best split there is, which is found by trying all.
func TestSplitKeepsToGrahamsBound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	worst := 0.0
	check := func(seconds []float64, m int) {
		ids, d := names(len(seconds)), shard.Durations{}
		for i, s := range seconds {
			d[ids[i]] = s
		}
		most := 0.0
		for _, s := range split(t, ids, d, m).Shards {
			most = max(most, s.Seconds)
		}
		best := optimum(seconds, make([]float64, m))
		assert.Assert(t, most <= (4.0/3-1/(3*float64(m)))*best+1e-9, "%v over %d: %g, best is %g", seconds, m, most, best)
		worst = max(worst, most/best)
	}
	for range 60 {
		seconds := make([]float64, 2+r.IntN(7))
		for i := range seconds {
			seconds[i] = float64(1 + r.IntN(30))
		}
		check(seconds, 2+r.IntN(2))
	}
	check([]float64{5, 5, 4, 4, 3, 3, 3}, 3) // where the bound is met
	assert.Assert(t, worst > 1.2, "the test would not notice a worse split: %g", worst)
}

func optimum(seconds, loads []float64) float64 {
	if len(seconds) == 0 {
		return slices.Max(loads)
	}
	best := math.Inf(1)
	for i := range loads {
		loads[i] += seconds[0]
		best = min(best, optimum(seconds[1:], loads))
		loads[i] -= seconds[0]
	}
	return best
}

func TestDigestCoversTheRunAndTheSplit(t *testing.T) {
	t.Parallel()
	digest := func(p shard.Plan, r shard.Run) string {
		d, err := p.Digest(r)
		assert.NilError(t, err)
		return d
	}
	plan := split(t, names(9), nil, 3)
	seen := map[string]string{digest(plan, aRun()): "the plan"}
	assert.Assert(t, is.Regexp(`^sha256:[0-9a-f]{64}$`, digest(plan, aRun())))
	add := func(what string, p shard.Plan, r shard.Run) {
		d := digest(p, r)
		assert.Equal(t, seen[d], "", what)
		seen[d] = what
	}
	for what, change := range map[string]func(*shard.Run){
		"commit":  func(r *shard.Run) { r.Commit = b40 },
		"tree":    func(r *shard.Run) { r.Dirty = "sha256:" + strings.Repeat("0", 64) },
		"mode":    func(r *shard.Run) { r.Mode = cases.RealLocal },
		"seed":    func(r *shard.Run) { r.Seed++ },
		"rows":    func(r *shard.Run) { r.Rows++ },
		"changed": func(r *shard.Run) { r.Changed = 0.3 },
		"deleted": func(r *shard.Run) { r.Deleted = 0 },
	} {
		r := aRun()
		change(&r)
		add(what, plan, r)
	}
	add("total", split(t, names(9), nil, 4), aRun())
	add("cases", split(t, names(10), nil, 3), aRun())
	add("split", split(t, names(9), shard.Durations{"case_0001": 9, "case_0002": 1}, 3), aRun())

	bad := aRun()
	bad.Changed = math.NaN()
	_, err := plan.Digest(bad)
	assert.ErrorContains(t, err, "changed NaN is out of its limits")
	_, err = plan.Receipt(0, bad)
	assert.ErrorContains(t, err, "changed NaN")
	_, err = plan.Receipt(3, aRun())
	assert.ErrorIs(t, err, shard.ErrSurplus)
}

// TestMatrixOfTheRegistry is what a workflow gets.
func TestMatrixOfTheRegistry(t *testing.T) {
	t.Parallel()
	all, err := cases.Registry(connectors.All())
	assert.NilError(t, err)
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	raw := split(t, ids, nil, 4).Matrix()
	assert.Assert(t, !strings.ContainsAny(string(raw), "\r\n"))
	var matrix struct {
		Include []struct{ Index, Total, Cases int }
	}
	assert.NilError(t, json.Unmarshal(raw, &matrix))
	sum := 0
	for i, job := range matrix.Include {
		assert.Equal(t, job.Index, i)
		assert.Equal(t, job.Total, 4)
		sum += job.Cases
	}
	assert.Equal(t, sum, len(ids))
}
