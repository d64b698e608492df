package shard_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/shard"
)

// whole are the receipts of all shards of a plan, as they come from their folders.
func whole(t *testing.T, n, total int, d shard.Durations, run shard.Run) []shard.Receipt {
	t.Helper()
	plan := split(t, names(n), d, total)
	var list []shard.Receipt
	for i := range plan.Shards {
		r, err := plan.Receipt(i, run)
		assert.NilError(t, err)
		r, err = shard.Decode(encoded(t, r))
		assert.NilError(t, err)
		list = append(list, r)
	}
	return list
}

func codes(problems []shard.Problem) []string {
	list := []string{}
	for _, p := range problems {
		list = append(list, p.Code)
	}
	return list
}

func TestWholePlansAreGreen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, total int }{{1, 1}, {9, 3}, {65, 4}, {2, 5}, {300, 256}} {
		list := whole(t, c.n, c.total, shard.Durations{"case_0000": 3}, aRun())
		rand.New(rand.NewPCG(1, uint64(c.n))).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		assert.DeepEqual(t, codes(shard.Check(list)), []string{})
	}
}

func TestCheckTellsEachDefect(t *testing.T) {
	t.Parallel()
	other := func(change func(*shard.Run)) func(*testing.T, []shard.Receipt) []shard.Receipt {
		return func(t *testing.T, list []shard.Receipt) []shard.Receipt {
			run := aRun()
			change(&run)
			list[2] = whole(t, 9, 4, nil, run)[2]
			return list
		}
	}
	both := func(code string) []string { return []string{code, shard.CaseMissing} }
	seen := map[string]bool{}
	for name, c := range map[string]struct {
		change  func(*testing.T, []shard.Receipt) []shard.Receipt
		want    []string
		subject string
		message string
	}{
		"nothing": {func(*testing.T, []shard.Receipt) []shard.Receipt { return nil }, []string{shard.None}, "shards", "there are no shards"},
		"missing": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt { return slices.Delete(list, 1, 2) },
			both(shard.Missing), "shard 1 of 4", "not there",
		},
		"doubled": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt { return append(list, list[3]) },
			[]string{shard.Doubled},
			"shard 3 of 4", "there 2 times",
		},
		"one in the place of another": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt { list[1] = list[0]; return list },
			[]string{shard.Doubled, shard.Missing, shard.CaseMissing},
			"shard 0 of 4", "there 2 times",
		},
		"index": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt {
				extra := list[0]
				extra.Index = 4
				return append(list, extra)
			},
			[]string{shard.BadIndex},
			"shard 4 of 4", "no such index; they are 0 to 3",
		},
		"commit": {other(func(r *shard.Run) { r.Commit = b40 }), both(shard.ForeignCommit), "shard 2 of 4", "commit: " + b40 + ", the others have " + a40},
		"tree": {
			other(func(r *shard.Run) { r.Dirty = "sha256:" + strings.Repeat("1", 64) }),
			both(shard.ForeignTree), "shard 2 of 4", "1111, the others have none",
		},
		"mode":    {other(func(r *shard.Run) { r.Mode = cases.VendorLive }), both(shard.ForeignMode), "shard 2 of 4", "mode: vendor_live, the others have mock_local"},
		"seed":    {other(func(r *shard.Run) { r.Seed = 8 }), both(shard.ForeignSeed), "shard 2 of 4", "seed: 8, the others have 7"},
		"rows":    {other(func(r *shard.Run) { r.Rows = 5 }), both(shard.ForeignVolume), "shard 2 of 4", "volume: 5 rows, 0.2 changed, 0.05 deleted, the others have 10000 rows"},
		"changed": {other(func(r *shard.Run) { r.Changed = 1 }), both(shard.ForeignVolume), "shard 2 of 4", "1 changed"},
		"deleted": {other(func(r *shard.Run) { r.Deleted = 0 }), both(shard.ForeignVolume), "shard 2 of 4", "0 deleted"},
		"two at once": {
			other(func(r *shard.Run) { r.Seed, r.Commit = 8, b40 }),
			[]string{shard.ForeignCommit, shard.ForeignSeed, shard.CaseMissing},
			"shard 2 of 4", "commit: ",
		},
		"total": {
			func(t *testing.T, list []shard.Receipt) []shard.Receipt {
				return append(list, whole(t, 9, 3, nil, aRun())[2])
			},
			[]string{shard.ForeignTotal},
			"shard 2 of 3", "number of shards: 3, the others have 4",
		},
		"total, in its place": {
			func(t *testing.T, list []shard.Receipt) []shard.Receipt {
				list[2] = whole(t, 9, 3, nil, aRun())[2]
				return list
			},
			[]string{shard.ForeignTotal, shard.Missing, shard.CaseMissing},
			"shard 2 of 3", "number of shards",
		},
		"selection": {
			func(t *testing.T, list []shard.Receipt) []shard.Receipt {
				list[2] = whole(t, 10, 4, nil, aRun())[2]
				return list
			},
			both(shard.ForeignSelection), "shard 2 of 4", "other cases than that of the others: case_0009",
		},
		"split by other durations": {
			func(t *testing.T, list []shard.Receipt) []shard.Receipt {
				list[2] = whole(t, 9, 4, shard.Durations{"case_0000": 100, "case_0001": 1}, aRun())[2]
				return list
			},
			both(shard.ForeignPlan), "shard 2 of 4", "plan: sha256:",
		},
		"case taken out": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt {
				list[0].CaseIDs = list[0].CaseIDs[1:]
				return list
			},
			[]string{shard.CaseMissing},
			"cases", "1 of 9 cases are in no shard: case_0000",
		},
		"case in two": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt {
				list[3].CaseIDs = []string{"case_0002", "case_0003", "case_0007"}
				return list
			},
			[]string{shard.CaseDoubled},
			"cases", "1 of 9 cases are in more than one shard: case_0002",
		},
		"case not selected": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt {
				list[0].CaseIDs = append(list[0].CaseIDs, "other")
				return list
			},
			[]string{shard.CaseUnknown},
			"cases", "in a shard and not in the selection: other",
		},
		"cases exchanged": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt {
				list[0].CaseIDs[0], list[1].CaseIDs[0] = list[1].CaseIDs[0], list[0].CaseIDs[0]
				return list
			},
			[]string{shard.BadPlan},
			"shards", "they carry the plan sha256:",
		},
		"all changed": {
			func(_ *testing.T, list []shard.Receipt) []shard.Receipt {
				for i := range list {
					list[i].Rows++
				}
				return list
			},
			[]string{shard.BadPlan},
			"shards", "they carry the plan",
		},
	} {
		list := c.change(t, whole(t, 9, 4, nil, aRun()))
		problems := shard.Check(list)
		assert.Check(t, is.DeepEqual(codes(problems), c.want), name)
		if len(problems) == 0 {
			continue
		}
		assert.Check(t, is.Equal(problems[0].Subject, c.subject), name)
		assert.Check(t, is.Contains(problems[0].Message, c.message), name)
		for _, p := range problems {
			assert.Check(t, p.Fix != "", name)
			assert.Check(t, slices.IsSorted(p.CaseIDs), name)
			seen[p.Code] = true
		}
		// In any order they say the same.
		slices.Reverse(list)
		assert.Check(t, is.DeepEqual(shard.Check(list), problems), name)
	}
	for _, code := range shard.Codes() {
		assert.Check(t, seen[code], "no test is red for %s", code)
	}
}

// TestCheckTellsAllInOnePass has a defect of many kinds at once.
func TestCheckTellsAllInOnePass(t *testing.T) {
	t.Parallel()
	list := whole(t, 20, 8, nil, aRun())
	for i, change := range []func(*shard.Receipt){
		func(r *shard.Receipt) { r.Commit = b40 },
		func(r *shard.Receipt) { r.Seed++ },
		func(r *shard.Receipt) { r.Mode = cases.RealLocal },
	} {
		change(&list[i])
	}
	last := list[7]
	list = append(slices.Delete(list, 3, 4), last)
	list[3].CaseIDs = append(list[3].CaseIDs, list[4].CaseIDs[0])
	slices.Sort(list[3].CaseIDs)
	problems := shard.Check(list)
	assert.DeepEqual(t, codes(problems), []string{
		shard.ForeignCommit, shard.ForeignSeed, shard.ForeignMode, shard.Missing, shard.Doubled, shard.CaseDoubled, shard.CaseMissing,
	})
	missing := problems[6]
	assert.Equal(t, len(missing.CaseIDs), 12)
	assert.Check(t, is.Contains(missing.Message, "12 of 20 cases are in no shard: case_0000, case_0001, case_0002, case_0003, case_0008 and 7 more"))
}

// TestNoTwoAgree has receipts of which each is of another plan.
func TestNoTwoAgree(t *testing.T) {
	t.Parallel()
	one, two := aRun(), aRun()
	one.Commit, two.Seed = b40, 99
	list := []shard.Receipt{whole(t, 9, 3, nil, aRun())[0], whole(t, 9, 3, nil, one)[1], whole(t, 9, 3, nil, two)[2]}
	assert.DeepEqual(t, codes(shard.Check(list)), []string{shard.ForeignCommit, shard.ForeignSeed, shard.CaseMissing})
	// Of two that differ the first is the measure.
	problems := shard.Check(list[:2])
	assert.DeepEqual(t, codes(problems), []string{shard.ForeignCommit, shard.Missing, shard.CaseMissing})
	assert.Equal(t, problems[0].Subject, "shard 1 of 3")
	// First is by number, not by letters.
	problems = shard.Check([]shard.Receipt{whole(t, 12, 12, nil, one)[10], whole(t, 12, 12, nil, aRun())[2]})
	assert.Equal(t, problems[0].Subject, "shard 10 of 12")
}
