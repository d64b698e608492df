package shard_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix/shard"
)

// paired are the cases of that many pairs, with that many strategies each.
func paired(pairs, strategies int) (ids []string) {
	for p := range pairs {
		for s := range strategies {
			ids = append(ids, fmt.Sprintf("source%d_to_sink__strategy%d", p, s))
		}
	}
	return ids
}

// spread is in how many shards a pair is, added up over the pairs.
func spread(plan shard.Plan) (n int) {
	for _, s := range plan.Shards {
		seen := map[string]bool{}
		for _, id := range s.CaseIDs {
			pair, _, _ := strings.Cut(id, "__")
			seen[pair] = true
		}
		n += len(seen)
	}
	return n
}

// TestPairsStayTogether: each cut goes through one pair at most, and costs hardly any balance.
func TestPairsStayTogether(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 2))
	for range 100 {
		ids, d := paired(9, 7), shard.Durations{}
		for _, id := range ids {
			d[id] = 1.5 + random.Float64()
		}
		for _, total := range []int{1, 2, 4, 6} {
			plan := split(t, ids, d, total)
			assert.DeepEqual(t, plan.Selected(), slices.Sorted(slices.Values(ids)))
			assert.Assert(t, spread(plan) <= 9+total-1, "%d shards, in which the pairs are %d times", total, spread(plan))
			most, sum := 0.0, 0.0
			for _, s := range plan.Shards {
				assert.Assert(t, len(s.CaseIDs) > 0)
				most, sum = max(most, s.Seconds), sum+s.Seconds
			}
			assert.Assert(t, most <= 1.1*sum/float64(total), "the longest of %d shards takes %.1f s of %.1f s", total, most, sum)
		}
	}
}

// TestBalanceComesFirst: a pair is spread where the shards would be of unlike length otherwise.
func TestBalanceComesFirst(t *testing.T) {
	t.Parallel()
	ids, d := paired(2, 4), shard.Durations{}
	for i, id := range ids {
		d[id] = 1
		if i < 4 {
			d[id] = 10 // as long as all of the other pair, and more
		}
	}
	plan := split(t, ids, d, 4)
	for _, s := range plan.Shards {
		assert.Equal(t, s.Seconds, 11.0)
	}
	// No durations are known, and there are as many shards as cases.
	plan = split(t, ids, nil, len(ids))
	for _, s := range plan.Shards {
		assert.Equal(t, len(s.CaseIDs), 1)
	}
}
