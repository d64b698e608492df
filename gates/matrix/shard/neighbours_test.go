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

// paired are the cases of that many sources, sinks and strategies.
func paired(sources, sinks, strategies int) (ids []string) {
	for from := range sources {
		for to := range sinks {
			for s := range strategies {
				ids = append(ids, fmt.Sprintf("source%d_to_sink%d__strategy%d", from, to, s))
			}
		}
	}
	return ids
}

// spread is in how many shards the rows of a source are read for a strategy, added up over both.
func spread(plan shard.Plan) (n int) {
	for _, s := range plan.Shards {
		seen := map[string]bool{}
		for _, id := range s.CaseIDs {
			source, rest, _ := strings.Cut(id, "_to_")
			_, strategy, _ := strings.Cut(rest, "__")
			seen[source+" "+strategy] = true
		}
		n += len(seen)
	}
	return n
}

// TestReadersStayTogether: each cut goes through the cases of one source and one strategy
// at most, and costs hardly any balance.
func TestReadersStayTogether(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 2))
	for range 100 {
		ids, d := paired(3, 3, 7), shard.Durations{}
		for _, id := range ids {
			d[id] = 1.5 + random.Float64()
		}
		for _, total := range []int{1, 2, 4, 6} {
			plan := split(t, ids, d, total)
			assert.DeepEqual(t, plan.Selected(), slices.Sorted(slices.Values(ids)))
			assert.Assert(t, spread(plan) <= 3*7+total-1, "%d shards, in which the rows are laid out %d times", total, spread(plan))
			most, sum := 0.0, 0.0
			for _, s := range plan.Shards {
				assert.Assert(t, len(s.CaseIDs) > 0)
				most, sum = max(most, s.Seconds), sum+s.Seconds
			}
			assert.Assert(t, most <= 1.1*sum/float64(total), "the longest of %d shards takes %.1f s of %.1f s", total, most, sum)
		}
	}
}

// TestBalanceComesFirst: a source is spread where the shards would be of unlike length otherwise.
func TestBalanceComesFirst(t *testing.T) {
	t.Parallel()
	ids, d := paired(2, 1, 4), shard.Durations{}
	for i, id := range ids {
		d[id] = 1
		if i < 4 {
			d[id] = 10 // as long as all of the other source, and more
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
