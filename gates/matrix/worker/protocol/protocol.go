// Package protocol is what the worker of the matrix is asked and what it
// answers: a file with one [Request], then one line of JSON a case on its
// standard output.
package protocol

import (
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/result"
)

// Request says which cases to carry out, and how.
type Request struct {
	Mode    cases.Mode `json:"mode"`
	Rows    int64      `json:"rows"`
	Changed float64    `json:"changed"`
	Deleted float64    `json:"deleted"`
	Seed    uint64     `json:"seed"`
	// Cases are case IDs.
	Cases []string `json:"cases"`
	// Jobs is how many cases are carried out at once.
	Jobs    int    `json:"jobs"`
	Scratch string `json:"scratch"`
}

// Answer is what came of one case.
type Answer struct {
	Case    string           `json:"case_id"`
	Verdict evidence.Verdict `json:"verdict"`
	// Failed are the codes of the checks that are FAIL, each once.
	Failed  []string `json:"failed"`
	Problem string   `json:"problem,omitempty"`
	// Seconds are those of the case, and Runs those of the engine's runs in it, by name.
	Seconds result.Durations   `json:"seconds"`
	Runs    map[string]float64 `json:"runs"`
}
