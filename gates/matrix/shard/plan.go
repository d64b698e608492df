// Package shard splits the cases of the matrix over machines and holds the parts
// together again. Any runner that gives an index and a total will do: the split is a
// function of the cases, of the durations that are known, and of the total alone, so
// that each machine computes it for itself. Each part carries a [Receipt], and [Check]
// tells from the receipts whether the parts are a whole.
package shard

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/dpone/dpone/gates/matrix/cases"
)

// MaxShards is the greatest number of shards; a matrix of GitHub Actions has no more jobs.
const MaxShards = 256

// ErrSurplus is wrapped when there are fewer shards than the index asks for, because
// no shard is empty. A runner with a fixed number of machines has nothing to do there.
var ErrSurplus = errors.New("there is no such shard")

// Plan is a split of cases.
type Plan struct {
	// Shards are in the order of their indexes; none is empty.
	Shards []Shard
	// Notes say what the reader should know of the split.
	Notes []string
}

// Shard is one part of a plan.
type Shard struct {
	Index, Total int // from 0
	// Seconds is how long it should take one after the other; 0 when no duration is known.
	Seconds float64
	// CaseIDs are sorted.
	CaseIDs []string
}

// Run is what all shards of a plan have in common.
type Run struct {
	// Commit is the full object name; Dirty the digest of what differs from it, as in
	// evidence.Source.DirtyDigest, empty when nothing does.
	Commit string     `json:"commit"`
	Dirty  string     `json:"dirty_digest,omitempty"`
	Mode   cases.Mode `json:"mode"`
	Seed   uint64     `json:"seed"`
	// The volume; see cases.Volume.
	Rows    int64   `json:"rows"`
	Changed float64 `json:"changed"`
	Deleted float64 `json:"deleted"`
}

var idPattern = regexp.MustCompile(`^[a-z0-9_]{1,200}$`)

// Split deals the cases out by the seconds they took before: the longest first, each to
// the shard that has least to do (R. L. Graham, Bounds on Multiprocessing Timing
// Anomalies, 1969: at most 4/3 - 1/(3 shards) of the best there is). Where the longest
// shard becomes hardly longer by it (see together), cases of one source and one strategy
// stay together instead, since the rows that they read have to be laid out in each shard
// that has one of them. A case of unknown duration counts as the median of the known
// ones. The order of the ids has no influence, and durations of other cases have none.
// More shards than cases are as many shards as cases, with a note.
func Split(ids []string, durations Durations, shards int) (Plan, error) {
	switch {
	case shards < 1 || shards > MaxShards:
		return Plan{}, fmt.Errorf("shards: %d is out of its limits: give 1 to %d", shards, MaxShards)
	case len(ids) == 0:
		return Plan{}, errors.New("shards: there are no cases to split")
	}
	if err := durations.validate(); err != nil {
		return Plan{}, err
	}
	sorted := slices.Sorted(slices.Values(ids))
	if err := validIDs(sorted); err != nil {
		return Plan{}, fmt.Errorf("shards: %w", err)
	}
	var plan Plan
	if shards > len(sorted) {
		plan.Notes = append(plan.Notes, fmt.Sprintf("%d shards were asked for; %d cases make %d", shards, len(sorted), len(sorted)))
		shards = len(sorted)
	}
	otherwise, known := durations.median(sorted)
	if known < len(sorted) {
		note := fmt.Sprintf("no duration is known for %d of %d cases; they count as the median, %.1fs", len(sorted)-known, len(sorted), otherwise)
		if known == 0 {
			note = "no durations are known; every case counts the same"
		}
		plan.Notes = append(plan.Notes, note)
	}
	seconds := func(id string) float64 {
		if s, ok := durations[id]; ok {
			return s
		}
		return otherwise
	}
	plan.Shards = balanced(sorted, seconds, shards)
	if slices.ContainsFunc(sorted, paired) {
		if cut := neighbours(byReading(sorted), seconds, shards); longest(cut) <= together*longest(plan.Shards) {
			plan.Shards = cut
		}
	}
	for i := range plan.Shards {
		slices.Sort(plan.Shards[i].CaseIDs)
		if known == 0 {
			plan.Shards[i].Seconds = 0
		}
	}
	return plan, nil
}

// together is by how much the longest shard may become longer so that cases that read the
// same rows stay together: rows that are not laid out again are worth that much.
const together = 1.05

// byReading sorts cases by what they read, which is a matter of the source and of the
// strategy; what they write comes last.
func byReading(ids []string) []string {
	key := func(id string) string {
		pair, strategy, _ := strings.Cut(id, "__")
		source, sink, _ := strings.Cut(pair, "_to_")
		return source + "/" + strategy + "/" + sink
	}
	sorted := slices.Clone(ids)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(key(a), key(b)) })
	return sorted
}

// paired says whether an ID tells its pair: <source>_to_<sink>__<strategy>.
func paired(id string) bool { return strings.Contains(id, "__") }

func longest(shards []Shard) float64 {
	most := 0.0
	for _, s := range shards {
		most = max(most, s.Seconds)
	}
	return most
}

// balanced deals the longest cases out first.
func balanced(sorted []string, seconds func(string) float64, shards int) []Shard {
	byLength := slices.Clone(sorted)
	slices.SortStableFunc(byLength, func(a, b string) int { return cmp.Compare(seconds(b), seconds(a)) })
	all := make([]Shard, shards)
	for i := range all {
		all[i] = Shard{Index: i, Total: shards}
	}
	for _, id := range byLength {
		// Of equally busy ones the one with fewer cases: so each gets one, even of cases that take no time.
		least := slices.MinFunc(all, func(a, b Shard) int {
			return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), cmp.Compare(len(a.CaseIDs), len(b.CaseIDs)), cmp.Compare(a.Index, b.Index))
		})
		all[least.Index].add(id, seconds(id))
	}
	return all
}

func (s *Shard) add(id string, seconds float64) {
	s.Seconds += seconds
	s.CaseIDs = append(s.CaseIDs, id)
}

// neighbours cuts cases in their order into shards that are not empty, so that the longest
// is as short as it can be.
func neighbours(ordered []string, seconds func(string) float64, shards int) []Shard {
	n := len(ordered)
	upTo := make([]float64, n+1) // what the first i cases take
	for i, id := range ordered {
		upTo[i+1] = upTo[i] + seconds(id)
	}
	// least[i] is the longest of k shards of the first i cases; cuts[k][i] is where the last of them begins.
	least := slices.Clone(upTo)
	cuts := make([][]int, shards+1)
	for k := 2; k <= shards; k++ {
		next := slices.Repeat([]float64{math.Inf(1)}, n+1)
		cuts[k] = make([]int, n+1)
		for i := k; i <= n; i++ {
			for at := k - 1; at < i; at++ {
				if most := max(least[at], upTo[i]-upTo[at]); most < next[i] {
					next[i], cuts[k][i] = most, at
				}
			}
		}
		least = next
	}
	all := make([]Shard, shards)
	for k, end := shards, n; k >= 1; k-- {
		begin := 0
		if k > 1 {
			begin = cuts[k][end]
		}
		all[k-1] = Shard{Index: k - 1, Total: shards}
		for _, id := range ordered[begin:end] {
			all[k-1].add(id, seconds(id))
		}
		end = begin
	}
	return all
}

// Index gives the shard with an index, from 0, of the plan that [Split] makes of the same input.
func Index(ids []string, durations Durations, index, total int) (Shard, error) {
	plan, err := Split(ids, durations, total)
	if err != nil {
		return Shard{}, err
	}
	switch {
	case index < 0 || index >= total:
		return Shard{}, fmt.Errorf("shards: index %d is out of its limits: give 0 to %d", index, total-1)
	case index >= len(plan.Shards):
		return Shard{}, fmt.Errorf("shards: index %d of %d: %w: %d cases make %d shards; ask for as many", index, total, ErrSurplus, len(ids), len(plan.Shards))
	}
	return plan.Shards[index], nil
}

// Matrix is the plan as the JSON of a strategy.matrix of GitHub Actions, on one line without an end.
func (p Plan) Matrix() []byte {
	type job struct {
		Index   int     `json:"index"`
		Total   int     `json:"total"`
		Cases   int     `json:"cases"`
		Seconds float64 `json:"seconds"`
	}
	include := make([]job, len(p.Shards))
	for i, s := range p.Shards {
		include[i] = job{s.Index, s.Total, len(s.CaseIDs), math.Round(s.Seconds*10) / 10}
	}
	raw, _ := json.Marshal(map[string][]job{"include": include}) // numbers that are finite, see Durations
	return raw
}

// Selected are all cases of the plan, sorted.
func (p Plan) Selected() []string {
	var all []string
	for _, s := range p.Shards {
		all = append(all, s.CaseIDs...)
	}
	slices.Sort(all)
	return all
}

// Digest tells plans apart: "sha256:" and 64 lower-case hexadecimal digits, over the
// compact JSON of the run, the total, the selected cases and the cases of each shard.
// The durations are no part of it, only what they led to.
func (p Plan) Digest(run Run) (string, error) {
	if err := run.validate(); err != nil {
		return "", fmt.Errorf("digest of the plan: %w", err)
	}
	doc := struct {
		Run
		Total    int        `json:"total"`
		Selected []string   `json:"selected"`
		Shards   [][]string `json:"shards"`
	}{Run: run, Total: len(p.Shards), Selected: p.Selected()}
	for _, s := range p.Shards {
		doc.Shards = append(doc.Shards, s.CaseIDs)
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("digest of the plan: %w", err)
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Receipt is the receipt of one shard of the plan.
func (p Plan) Receipt(index int, run Run) (Receipt, error) {
	if index < 0 || index >= len(p.Shards) {
		return Receipt{}, fmt.Errorf("receipt: index %d: %w: the plan has %d", index, ErrSurplus, len(p.Shards))
	}
	digest, err := p.Digest(run)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{
		Schema: Schema, Index: index, Total: len(p.Shards), PlanDigest: digest, Run: run,
		Selected: p.Selected(), CaseIDs: slices.Clone(p.Shards[index].CaseIDs),
	}, nil
}

// validIDs checks a sorted list of cases.
func validIDs(sorted []string) error {
	for i, id := range sorted {
		if !idPattern.MatchString(id) {
			return fmt.Errorf("%.80q is no case ID: it is made of 1 to 200 of a-z, 0-9 and _", id)
		}
		if i > 0 && sorted[i-1] >= id {
			if sorted[i-1] == id {
				return fmt.Errorf("case %s is there twice", id)
			}
			return fmt.Errorf("case %s is not in its place: cases are sorted", id)
		}
	}
	return nil
}
