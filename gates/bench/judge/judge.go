// Package judge holds measured values against limits. Targets are ratios within one run;
// what keeps a limit and what does not is computed here, for every benchmark alike.
package judge

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

// Judgement is a value and its limit.
type Judgement struct {
	Code    string  `json:"code"`
	Subject string  `json:"subject"`
	Value   float64 `json:"value"`
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least"` // the limit is a floor
	// Format shows the value, with its unit.
	Format string `json:"format"`
	// Paired is the median of the ratios within the rounds, which drift of the machine moves less; 0 when there is none.
	Paired float64 `json:"paired,omitempty"`
}

// AtLeast holds a value against a floor.
func AtLeast(code, subject string, value, limit float64, format string) Judgement {
	return Judgement{Code: code, Subject: subject, Value: value, Limit: limit, AtLeast: true, Format: format}
}

// AtMost holds a value against a ceiling.
func AtMost(code, subject string, value, limit float64, format string) Judgement {
	return Judgement{Code: code, Subject: subject, Value: value, Limit: limit, Format: format}
}

// Holds says whether the value keeps its limit. A value that is no number does not.
func (j Judgement) Holds() bool {
	switch {
	case math.IsNaN(j.Value) || math.IsInf(j.Value, 0):
		return false
	case j.AtLeast:
		return j.Value >= j.Limit
	}
	return j.Value <= j.Limit
}

// Check is the judgement as a check of a record, which says on which side of the limit the value is.
func (j Judgement) Check() evidence.Check {
	words := [2]string{"at most ", "more than "}
	if j.AtLeast {
		words = [2]string{"at least ", "less than "}
	}
	limit := fmt.Sprintf(j.Format, j.Limit)
	want, observed := words[0]+limit, words[0]+limit
	if !j.Holds() {
		observed = words[1] + limit
	}
	return evidence.Expect(j.Code, j.Subject, j.Holds(), observed, want, "see bench.md; run again on a quiet machine before looking for the cause")
}

// Median is the middle of the values, or the mean of the two in the middle; NaN when there are none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Write keeps the figures of a benchmark, bench.json, and the page that shows them, bench.md.
func Write(p *gates.Pass, figures any, page string) error {
	raw, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("the figures: %w", err)
	}
	if err := p.Folder().WriteFile("bench.json", append(raw, '\n')); err != nil {
		return err
	}
	return p.Folder().WriteFile("bench.md", []byte(page))
}
