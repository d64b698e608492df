package reproduce

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
)

// The codes of reasons. Other programs may rely on the names.
const (
	CodeBadRecord     = "bad_record"         // it is not what a run writes, or not what the index of its folder says
	CodeBadCommand    = "bad_command"        // the recorded line is not one gate of this checkout with its flags
	CodeRedacted      = "redacted_command"   // the recorded line held a secret, which is gone
	CodeOutside       = "acts_outside"       // the target acts on systems that nobody can put back
	CodeNoCommit      = "no_commit"          // the record is about no commit
	CodeUnknownSource = "unknown_source"     // it cannot be told what this checkout is
	CodeWrongCommit   = "wrong_commit"       // this checkout is at another commit
	CodeDirty         = "dirty"              // this checkout has changes that the record does not have
	CodeNoDifference  = "difference_missing" // the record is about changes that this checkout does not have
	CodeShallow       = "shallow"            // this clone has less history than the recorded one
	CodeWrongPlatform = "wrong_platform"     // another operating system or architecture
	CodeWrongGo       = "wrong_go"           // another Go
	CodeWrongTool     = "wrong_tool"         // another version of a tool is pinned
	CodeWrongInput    = "wrong_input"        // a file that decided how the gate ran is missing, or another one
	CodeSecretMissing = "secret_missing"     // a secret was set then and is not now
	CodeNoPlan        = "no_plan"            // the gate cannot be planned here with these options
	CodeWrongGate     = "wrong_gate"         // the line is another gate by now; or the records are of two gates
	CodeNoRecord      = "no_record"          // the run left no record that could be compared
	CodeCouldNotRun   = "could_not_run"      // steps of the run could not tell
	CodeInterrupted   = "interrupted"        // stopped by a signal
	CodeTimeout       = "timeout"            // its time was over
	CodeNotKept       = "not_kept"           // the evidence of the run could not be put where it was to go
	CodeUnreadable    = "unreadable"         // the system refused to read or write
	CodeDiverged      = "diverged"           // the run came to other facts
	CodeDiffers       = "differs"            // the records do not say the same
)

// The outcomes.
const (
	Reproduced      = "reproduced"
	Diverged        = "diverged"
	NotReproducible = "not reproducible"
	Same            = "same"
	Differs         = "differs"
	CouldNotTell    = "could not tell"
)

// Reason is why the outcome is not the good one.
type Reason struct {
	Code string `json:"code"`
	// Detail says more, with what to do; it is not stable.
	Detail string `json:"detail"`
}

// Result is what a command came to, and its form in JSON.
type Result struct {
	Command string `json:"command"`
	// Verdict is PASS for reproduced and same, FAIL for diverged and differs,
	// and otherwise UNVERIFIED.
	Verdict evidence.Verdict `json:"verdict"`
	Outcome string           `json:"outcome"`
	// Recorded is the record that was given, Line the command line in it.
	Recorded *difference.Side `json:"recorded,omitempty"`
	Line     string           `json:"line,omitempty"`
	Reasons  []Reason         `json:"reasons"`
	// Notes are what a reader should know; no verdict comes from them.
	Notes []string `json:"notes"`
	// Report is the comparison; "a" is the recorded side, "b" the new one.
	Report *difference.Report `json:"report,omitempty"`
	// Kept is where the evidence of the new run is.
	Kept string `json:"kept,omitempty"`
	// interrupted is the exit code after a signal, or 0.
	interrupted int
}

// NotGreenError is what a command returns when its answer is not PASS. mage ends
// with its exit status.
type NotGreenError struct {
	Command, Outcome string
	// Status is 1 for FAIL, 3 for UNVERIFIED, 130 and 143 after a signal.
	Status int
	// Codes are sorted, each once.
	Codes []string
}

func (e *NotGreenError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Command, e.Outcome, strings.Join(e.Codes, ", "))
}

// ExitStatus is the method that mage looks for on an error.
func (e *NotGreenError) ExitStatus() int { return e.Status }

func newResult(command string) *Result {
	return &Result{Command: command, Reasons: []Reason{}, Notes: []string{}}
}

func (r *Result) reason(code, format string, args ...any) {
	r.Reasons = append(r.Reasons, Reason{code, fmt.Sprintf(format, args...)})
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// finish shows the result and returns what mage is to know.
func (r *Result) finish(format string, out io.Writer) error {
	var bad error
	if r.Verdict != evidence.Pass {
		e := &NotGreenError{Command: r.Command, Outcome: r.Outcome, Status: r.Verdict.ExitCode()}
		if r.interrupted != 0 {
			e.Status = r.interrupted
		}
		for _, reason := range r.Reasons {
			e.Codes = append(e.Codes, reason.Code)
		}
		slices.Sort(e.Codes)
		e.Codes = slices.Compact(e.Codes)
		bad = e
	}
	var err error
	switch format {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	case "md":
		_, err = io.WriteString(out, r.markdown())
	default:
		_, err = io.WriteString(out, r.text())
	}
	if bad != nil || err == nil {
		return bad // as it is: mage looks for the exit status on this very error
	}
	return fmt.Errorf("%s: %w", r.Command, err)
}
