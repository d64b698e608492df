package shard

import (
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/result"
)

// Recorded are the durations of the cases that were carried out to their end: how long
// one took that broke off says nothing of the next time.
func Recorded(results []result.Case) Durations {
	d := Durations{}
	for i := range results {
		c := &results[i]
		verdict, s := c.Verdict(), c.Durations.Total
		if (verdict == evidence.Pass || verdict == evidence.Fail) && s > 0 && s <= MaxSeconds && idPattern.MatchString(c.ID) {
			d[c.ID] = s
		}
	}
	return d
}
