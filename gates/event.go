package gates

import (
	"time"

	"github.com/dpone/dpone/evidence"
)

// EventKind names what happened.
type EventKind string

// The kinds of events, in the order in which a run emits them.
const (
	EventRunStarted   EventKind = "run_started"
	EventStepStarted  EventKind = "step_started"
	EventStepProgress EventKind = "step_progress"
	EventStepFinished EventKind = "step_finished"
	EventTick         EventKind = "tick"
	EventRunFinished  EventKind = "run_finished"
)

// Event is one thing that happened in a run. What a person sees is a function
// of the events alone, so that a recorded stream can be shown again in any form.
type Event struct {
	Kind EventKind `json:"event"`
	Time time.Time `json:"time"`
	// Step is the ID of the step, for the step events.
	Step string `json:"step,omitempty"`
	// Start is set on run_started.
	Start *RunStart `json:"start,omitempty"`
	// Progress is set on step_progress.
	Progress *Progress `json:"progress,omitempty"`
	// Finish is set on step_finished.
	Finish *StepFinish `json:"finish,omitempty"`
	// End is set on run_finished.
	End *RunEnd `json:"end,omitempty"`
}

// RunStart is what is known when a run starts.
type RunStart struct {
	Target  string          `json:"target"`
	Command string          `json:"command"`
	Steps   []string        `json:"steps"`
	Go      string          `json:"go"`
	Source  evidence.Source `json:"source"`
	Jobs    int             `json:"jobs"`
}

// Progress is how far a step is. Total is 0 when it is not known.
type Progress struct {
	Done  int    `json:"done"`
	Total int    `json:"total,omitempty"`
	Text  string `json:"text,omitempty"`
}

// StepFinish is how a step ended.
type StepFinish struct {
	Step evidence.Step    `json:"step"`
	Run  evidence.StepRun `json:"run"`
	// Measurements are the numbers behind the step's checks.
	Measurements []evidence.Measurement `json:"measurements,omitempty"`
	// Output is the end of what the step's programs printed, for a step that
	// did not pass, or always when asked for.
	Output string `json:"output,omitempty"`
}

// RunEnd is how a run ended.
type RunEnd struct {
	Record *evidence.Record `json:"record"`
	// Folder is the path of the run folder, relative to the working directory
	// where that is shorter; empty when no record could be written.
	Folder string `json:"folder"`
	// IndexDigest is the SHA-256 of index.json.
	IndexDigest string `json:"index_digest"`
	// Kept is what became of the sealed folder: its place in a log, who signed it.
	Kept []string `json:"kept,omitempty"`
	// Note is what the record could not say any more.
	Note string `json:"note,omitempty"`
	// Trouble says what went wrong with writing the evidence itself.
	Trouble string `json:"trouble,omitempty"`
}
