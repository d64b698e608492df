package shard

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The codes of [Check].
const (
	None             = "shard.none"              // there is no receipt at all
	Missing          = "shard.missing"           // a shard of the plan is not there
	Doubled          = "shard.doubled"           // a shard is there more than once
	BadIndex         = "shard.index"             // the index is outside of the plan
	ForeignTotal     = "shard.foreign_total"     // of a plan with another number of shards
	ForeignCommit    = "shard.foreign_commit"    // of another commit
	ForeignTree      = "shard.foreign_tree"      // of the same commit with other changes that are not committed
	ForeignMode      = "shard.foreign_mode"      // of another mode
	ForeignSeed      = "shard.foreign_seed"      // of other rows
	ForeignVolume    = "shard.foreign_volume"    // of another number of rows, or of changes
	ForeignSelection = "shard.foreign_selection" // of a plan of other cases
	ForeignPlan      = "shard.foreign_plan"      // all of that is the same, and the split is another
	CaseDoubled      = "shard.case_doubled"      // a case is in two shards
	CaseMissing      = "shard.case_missing"      // a selected case is in no shard
	CaseUnknown      = "shard.case_unknown"      // a case is in a shard and not selected
	BadPlan          = "shard.plan"              // together the shards are not the plan whose digest they carry
)

// Codes lists them.
func Codes() []string {
	return []string{
		None, Missing, Doubled, BadIndex, ForeignTotal, ForeignCommit, ForeignTree, ForeignMode, ForeignSeed,
		ForeignVolume, ForeignSelection, ForeignPlan, CaseDoubled, CaseMissing, CaseUnknown, BadPlan,
	}
}

// Problem is a reason why shards are not a whole.
type Problem struct {
	Code string
	// Subject is the shard, for example "shard 2 of 4", or "cases".
	Subject string
	// Message says what is wrong, and Fix what to do.
	Message, Fix string
	// CaseIDs are the cases that it is about, sorted; empty when it is about a whole shard.
	CaseIDs []string
}

// foreign are the facts on which the shards of a plan agree.
var foreign = []struct {
	code, what string
	of         func(Receipt) string
}{
	{ForeignTotal, "number of shards", func(r Receipt) string { return fmt.Sprint(r.Total) }},
	{ForeignCommit, "commit", func(r Receipt) string { return r.Commit }},
	{ForeignTree, "uncommitted changes", func(r Receipt) string { return cmp.Or(r.Dirty, "none") }},
	{ForeignMode, "mode", func(r Receipt) string { return string(r.Mode) }},
	{ForeignSeed, "seed", func(r Receipt) string { return fmt.Sprint(r.Seed) }},
	{ForeignVolume, "volume", func(r Receipt) string {
		return fmt.Sprintf("%d rows, %v changed, %v deleted", r.Rows, r.Changed, r.Deleted)
	}},
	{ForeignSelection, "selection", func(r Receipt) string { return strings.Join(r.Selected, ",") }},
	{ForeignPlan, "plan", func(r Receipt) string { return r.PlanDigest }},
}

// Check tells why the receipts are not those of one whole plan, each once. It gives
// none only when every shard of the plan is there once, all are of one commit, tree,
// mode, seed, volume and selection, every selected case is in one of them, and the
// digest that they carry is that of the plan which they make.
//
// What most receipts say counts as the plan's; of equals, what the lowest index says.
// A shard of another plan keeps its place from being called missing, but its cases do
// not count. The order of the receipts has no influence. They are as [Decode] gives them.
func Check(receipts []Receipt) []Problem {
	if len(receipts) == 0 {
		return []Problem{{Code: None, Subject: "shards", Message: "there are no shards", Fix: "give the folders of the shards"}}
	}
	c := checker{there: map[int]bool{}, own: map[int][]Receipt{}}
	c.foreign(slices.SortedStableFunc(slices.Values(receipts), compareReceipts))
	c.places()
	c.cases()
	if len(c.problems) == 0 {
		c.digest()
	}
	return c.problems
}

type checker struct {
	problems []Problem
	// total and selected are those of the plan.
	total    int
	selected []string
	there    map[int]bool      // indexes that somebody has
	own      map[int][]Receipt // those of the plan, by index
}

func (c *checker) add(p Problem) { c.problems = append(c.problems, p) }

// foreign tells the receipts of other plans and sorts out the others.
func (c *checker) foreign(receipts []Receipt) {
	facts := make([]string, len(foreign))
	for i, f := range foreign {
		plan := most(receipts, f.of)
		facts[i] = f.of(plan)
		switch f.code {
		case ForeignTotal:
			c.total = plan.Total
		case ForeignSelection:
			c.selected = plan.Selected
		}
	}
	for _, r := range receipts {
		strange := false
		for i, f := range foreign {
			got := f.of(r)
			// Another commit gives another plan, of course; only a difference that nothing else explains is told.
			if got == facts[i] || f.code == ForeignPlan && strange {
				continue
			}
			strange = true
			p := Problem{
				Code: f.code, Subject: r.name(), Message: fmt.Sprintf("%s: %s, the others have %s", f.what, got, facts[i]),
				Fix: "run the shard again as the others were run, or all of them",
			}
			switch f.code {
			case ForeignSelection:
				p.CaseIDs = differing(r.Selected, c.selected)
				p.Message = "selection: its plan has other cases than that of the others: " + list(p.CaseIDs)
			case ForeignPlan:
				p.Fix = "give every machine the same " + DurationsFile + ", and run the shard again"
			}
			c.add(p)
		}
		if r.Total == c.total {
			c.there[r.Index] = true
		}
		if !strange {
			c.own[r.Index] = append(c.own[r.Index], r)
		}
	}
}

// places tells which shards of the plan are there how often.
func (c *checker) places() {
	for index := range c.total {
		name := fmt.Sprintf("shard %d of %d", index, c.total)
		switch {
		case len(c.own[index]) > 1:
			c.add(Problem{Code: Doubled, Subject: name, Message: fmt.Sprintf("it is there %d times", len(c.own[index])), Fix: "give one folder for each shard"})
		case !c.there[index]:
			c.add(Problem{Code: Missing, Subject: name, Message: "it is not there", Fix: fmt.Sprintf("mage matrix:shard -index=%d -total=%d", index, c.total)})
		}
	}
	for _, index := range slices.Sorted(maps.Keys(c.own)) {
		if index < 0 || index >= c.total {
			c.add(Problem{
				Code: BadIndex, Subject: fmt.Sprintf("shard %d of %d", index, c.total),
				Message: fmt.Sprintf("there is no such index; they are 0 to %d", c.total-1), Fix: "run it again with an index from 0",
			})
			delete(c.own, index)
		}
	}
}

// cases tells the cases that are not in exactly one shard.
func (c *checker) cases() {
	in := map[string][]int{}
	for _, index := range slices.Sorted(maps.Keys(c.own)) {
		for _, r := range c.own[index] {
			for _, id := range r.CaseIDs {
				if !slices.Contains(in[id], index) { // a doubled shard was told of
					in[id] = append(in[id], index)
				}
			}
		}
	}
	var doubled, missing, unknown []string
	for id, indexes := range in {
		if len(indexes) > 1 {
			doubled = append(doubled, id)
		}
		if _, ok := slices.BinarySearch(c.selected, id); !ok {
			unknown = append(unknown, id)
		}
	}
	for _, id := range c.selected {
		if len(in[id]) == 0 {
			missing = append(missing, id)
		}
	}
	for _, p := range []struct {
		code, message, fix string
		ids                []string
	}{
		{CaseDoubled, "in more than one shard", "run all shards again from one plan", doubled},
		{CaseMissing, "in no shard", "run the shards that are missing or foreign, or else all of them from one plan", missing},
		{CaseUnknown, "in a shard and not in the selection", "run all shards again from one plan", unknown},
	} {
		if len(p.ids) > 0 {
			slices.Sort(p.ids)
			c.add(Problem{
				Code: p.code, Subject: "cases", Message: fmt.Sprintf("%d of %d cases are %s: %s", len(p.ids), len(c.selected), p.message, list(p.ids)),
				Fix: p.fix, CaseIDs: p.ids,
			})
		}
	}
}

// digest holds the shards, when nothing else is wrong with them, against the digest that they carry.
func (c *checker) digest() {
	var plan Plan
	for index := range c.total {
		plan.Shards = append(plan.Shards, Shard{Index: index, Total: c.total, CaseIDs: c.own[index][0].CaseIDs})
	}
	r := c.own[0][0]
	digest, err := plan.Digest(r.Run)
	if err != nil {
		digest = err.Error()
	}
	if digest != r.PlanDigest {
		c.add(Problem{
			Code: BadPlan, Subject: "shards", Message: fmt.Sprintf("they carry the plan %s, and make %s", r.PlanDigest, digest),
			Fix: "receipts were changed after they were written; run all shards again from one plan",
		})
	}
}

func (r Receipt) name() string { return fmt.Sprintf("shard %d of %d", r.Index, r.Total) }

// compareReceipts orders by index, and those of one index in any order that is the same each time.
func compareReceipts(a, b Receipt) int {
	if d := cmp.Compare(a.Index, b.Index); d != 0 {
		return d
	}
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	return slices.Compare(left, right)
}

// most is the first receipt of those that say what most say.
func most(receipts []Receipt, of func(Receipt) string) Receipt {
	times := map[string]int{}
	for _, r := range receipts {
		times[of(r)]++
	}
	return slices.MaxFunc(receipts, func(a, b Receipt) int { return cmp.Compare(times[of(a)], times[of(b)]) })
}

// differing are the items of one sorted list and not of the other, sorted.
func differing(a, b []string) []string {
	var out []string
	for _, pair := range [][2][]string{{a, b}, {b, a}} {
		for _, id := range pair[0] {
			if _, ok := slices.BinarySearch(pair[1], id); !ok {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

// list shows the first few of many.
func list(ids []string) string {
	const few = 5
	if len(ids) <= few {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:few], ", "), len(ids)-few)
}
