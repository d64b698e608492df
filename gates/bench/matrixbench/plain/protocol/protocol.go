// Package protocol is what the program of the plain tools is asked and what it
// answers: a file with one [Request], then one line of JSON a tool on its
// standard output.
package protocol

// Request says what is moved.
type Request struct {
	Rows    int64   `json:"rows"`
	Changed float64 `json:"changed"`
	Deleted float64 `json:"deleted"`
	Seed    uint64  `json:"seed"`
	Pairs   []Pair  `json:"pairs"`
	// Moves is how often each tool moves the rows, one time after the other.
	Moves   int    `json:"moves"`
	Scratch string `json:"scratch"`
}

// Pair is two families of systems.
type Pair struct {
	Source string `json:"source"`
	Sink   string `json:"sink"`
}

// Answer is what came of one tool.
type Answer struct {
	Pair string `json:"pair"`
	// Tool is empty when no tool could be tried, and Problem says why it gave no time.
	Tool    string    `json:"tool,omitempty"`
	Seconds []float64 `json:"seconds,omitempty"`
	Problem string    `json:"problem,omitempty"`
}
