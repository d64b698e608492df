// Package evidence is the archive of a gate run: verdicts, checks and the
// record that holds them, in a form that others can read and check without
// this project.
//
// A [Record] has two parts. [Stable] holds facts: what was asked, of which
// source, with which tools, what was observed. [Volatile] holds circumstances:
// times, host, durations, measurements that differ from run to run. Two runs
// of one commit with the same tools agree on the stable part, byte for byte,
// and so on its digest.
//
// The stable digest is SHA-256 over the compact JSON of the member "stable",
// keys in the order of the file, without insignificant white space:
//
//	jq -cj .stable record.json | sha256sum
//
// The package knows nothing of gates or of the engine, and imports the
// standard library only.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Schema identifies the format of a record; a reader refuses any other.
const Schema = "https://github.com/dpone/dpone/evidence/record/v1"

// Record is the account of one run of one gate.
type Record struct {
	Schema string `json:"schema"`
	// Verdict repeats Stable.Verdict so that a reader finds it at once.
	Verdict Verdict `json:"verdict"`
	// StableDigest is "sha256:" and 64 lower-case hex digits; see the package comment.
	StableDigest string   `json:"stable_digest"`
	Stable       Stable   `json:"stable"`
	Volatile     Volatile `json:"volatile"`
}

// Stable is the part of a record on which two runs of one commit agree.
type Stable struct {
	Gate    Gate    `json:"gate"`
	Verdict Verdict `json:"verdict"`
	// Partial says that steps were left out by request, so that no aggregator
	// takes the record for the whole gate.
	Partial     bool        `json:"partial"`
	Invocation  Invocation  `json:"invocation"`
	Source      Source      `json:"source"`
	Environment Environment `json:"environment"`
	// Inputs are the files that decided how the gate ran (module files, tool
	// pins, configuration).
	Inputs []File `json:"inputs"`
	Steps  []Step `json:"steps"`
	// Outputs are artifacts whose bytes are the same on every run.
	Outputs  []File     `json:"outputs"`
	Warnings []string   `json:"warnings"`
	Skips    []Skipping `json:"skips"`
	Blockers []Blocker  `json:"blockers"`
}

// Gate names the gate and what it is for.
type Gate struct {
	ID      string `json:"id"`
	Doc     string `json:"doc"`
	Runbook string `json:"runbook"`
}

// Invocation is what to type to do the same again.
type Invocation struct {
	// Target is the mage target, for example "ci:test".
	Target string `json:"target"`
	// Command is the whole command line, for example "mage ci:test -run=TestX".
	Command string `json:"command"`
	// Options are the typed options of the gate, after defaults, as JSON.
	Options json.RawMessage `json:"options"`
}

// Source is the state of the source tree when the run began.
type Source struct {
	// Commit is the full object name of HEAD, or empty when there is none.
	Commit string `json:"commit"`
	// Dirty says that tracked or unignored files differ from Commit;
	// DirtyDigest is the SHA-256 over that difference.
	Dirty       bool   `json:"dirty"`
	DirtyDigest string `json:"dirty_digest,omitempty"`
}

// Origin is where the commit was found. It is a circumstance: the same commit
// may be met in another clone, under another name.
type Origin struct {
	// Repository is the URL of the remote "origin" without credentials, or empty.
	Repository string `json:"repository"`
	// Ref is the branch or tag, as refs/heads/... or refs/tags/..., or empty
	// when the head is detached.
	Ref string `json:"ref"`
	// Shallow says that the clone does not hold the whole history.
	Shallow bool `json:"shallow"`
}

// Environment is what the outcome may depend on besides the source.
type Environment struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// Go is the toolchain that ran the steps, for example "go1.26.8".
	Go    string `json:"go"`
	Tools []Tool `json:"tools"`
}

// Tool is a program that a step started.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// SHA256 is the digest of the binary, in lower-case hex.
	SHA256 string `json:"sha256"`
}

// File is a file by content.
type File struct {
	// Path is relative to the root of the source, or of the run folder for outputs.
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Cause says why a step could not come to a verdict of its own. A step whose
// checks say it all has no cause.
type Cause string

// The causes of UNVERIFIED (and of SKIP, for left out).
const (
	CauseNone        Cause = ""
	CauseBlocked     Cause = "blocked"     // a step it needs did not pass
	CauseTimeout     Cause = "timeout"     // its time, or the run's, ran out
	CauseInterrupted Cause = "interrupted" // the run was stopped by a signal
	CauseCancelled   Cause = "cancelled"   // another step failed and fail-fast was asked for
	CausePanic       Cause = "panic"       // the step's own code crashed
	CauseBroken      Cause = "broken"      // a tool or the surroundings broke
	CauseNothingRan  Cause = "nothing-ran" // there was no work: no files, no tests
	CauseLeftOut     Cause = "left-out"    // left out by request
	CauseUnfinished  Cause = "unfinished"  // the record was written before the step ended
)

// Step is one node of the gate's graph.
type Step struct {
	ID      string   `json:"id"`
	Doc     string   `json:"doc"`
	Runbook string   `json:"runbook"`
	Needs   []string `json:"needs"`
	Verdict Verdict  `json:"verdict"`
	Cause   Cause    `json:"cause,omitempty"`
	// Reason is mandatory when Cause is set.
	Reason string `json:"reason,omitempty"`
	// Commands are the planned command lines; $RUN, $SCRATCH and the names of
	// the volatile circumstances stand for what differs from run to run.
	Commands []string `json:"commands"`
	Checks   []Check  `json:"checks"`
	// Omitted counts findings beyond the limit that a record holds.
	Omitted int `json:"omitted,omitempty"`
	// Reproduce is the command that runs just this step again.
	Reproduce string `json:"reproduce"`
}

// Skipping is something left out, with the reason.
type Skipping struct {
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
}

// Blocker is something that keeps the run from PASS.
type Blocker struct {
	// ID is "<subject>.<problem>", for example "ci:lint.broken".
	ID      string `json:"id"`
	Reason  string `json:"reason"`
	Fix     string `json:"fix,omitempty"`
	Runbook string `json:"runbook"`
}

// Volatile is the part of a record that differs from run to run.
type Volatile struct {
	// Run is the name of the run folder.
	Run        string    `json:"run"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished"`
	DurationMS int64     `json:"duration_ms"`
	Origin     Origin    `json:"origin"`
	Host       Host      `json:"host"`
	CI         CI        `json:"ci"`
	// SecretNames are the environment variables that bear secrets and were
	// set: names, never values.
	SecretNames []string `json:"secret_names"`
	// Circumstances are chosen anew for each run, for example the seed that
	// shuffled the tests; a reproduce command can pin them.
	Circumstances []NameValue   `json:"circumstances"`
	Steps         []StepRun     `json:"steps"`
	Measurements  []Measurement `json:"measurements"`
	Notes         []string      `json:"notes"`
}

// Host is the machine.
type Host struct {
	Name string `json:"name"`
	CPUs int    `json:"cpus"`
}

// CI is the automation that ran the gate; Provider is "local" outside any.
type CI struct {
	Provider string `json:"provider"`
	Workflow string `json:"workflow,omitempty"`
	Event    string `json:"event,omitempty"`
	RunID    string `json:"run_id,omitempty"`
	Attempt  string `json:"attempt,omitempty"`
	URL      string `json:"url,omitempty"`
}

// NameValue is a named value.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// StepRun is how one step went this time.
type StepRun struct {
	ID         string    `json:"id"`
	Started    time.Time `json:"started,omitzero"`
	DurationMS int64     `json:"duration_ms"`
	// Fact is what the result line says, for example "1204 tests, coverage 87.3%".
	Fact string `json:"fact,omitempty"`
	// Log is the path of the step's log in the run folder.
	Log string `json:"log,omitempty"`
}

// Measurement is the exact number behind a check whose stable part only says
// on which side of the limit it fell.
type Measurement struct {
	Step    string `json:"step"`
	Code    string `json:"code"`
	Subject string `json:"subject"`
	Value   string `json:"value"`
}

// Derive computes the verdict of a step from its checks and its cause. A FAIL
// among the checks stands whatever came after; otherwise a cause means the
// step could not tell, except that a step left out by request is SKIP.
func (s Step) Derive() Verdict {
	v := Judge(s.Checks)
	switch {
	case v == Fail:
		return Fail
	case s.Cause == CauseLeftOut:
		return Skip
	case s.Cause != CauseNone:
		return Unverified
	}
	return v
}

// SourceStep is the step in which the runner itself looks at the source. It
// can take PASS away from a run, and proves nothing on its own.
const SourceStep = "source"

// Derive computes the verdict of the run from its steps. A run in which
// everything was skipped proved nothing and is UNVERIFIED.
func (s Stable) Derive() Verdict {
	var verdicts []Verdict
	for _, step := range s.Steps {
		if step.ID != SourceStep || step.Verdict != Pass {
			verdicts = append(verdicts, step.Verdict)
		}
	}
	if v := judge(verdicts); v != Skip {
		return v
	}
	return Unverified
}

// Seal derives every verdict from the checks, sets the digest of the stable
// part and refuses a record that hides something.
func (r *Record) Seal() error {
	r.Schema = Schema
	for i := range r.Stable.Steps {
		step := &r.Stable.Steps[i]
		step.Verdict = step.Derive()
	}
	r.Stable.Verdict = r.Stable.Derive()
	r.Verdict = r.Stable.Verdict
	digest, err := r.Stable.digest()
	if err != nil {
		return err
	}
	r.StableDigest = digest
	return r.Validate()
}

// Validate derives everything again and compares: a record whose fields do
// not follow from its checks is refused, so a field that says PASS counts for
// nothing on its own.
func (r *Record) Validate() error {
	if r.Schema != Schema {
		return fmt.Errorf("record: schema %q is not %q", r.Schema, Schema)
	}
	seen := make(map[string]bool, len(r.Stable.Steps))
	for _, step := range r.Stable.Steps {
		if seen[step.ID] {
			return fmt.Errorf("record: step %s is there twice", step.ID)
		}
		seen[step.ID] = true
		if step.Cause != CauseNone && step.Reason == "" {
			return fmt.Errorf("record: step %s: cause %q without a reason", step.ID, step.Cause)
		}
		for _, c := range step.Checks {
			if err := c.Validate(); err != nil {
				return fmt.Errorf("record: step %s: %w", step.ID, err)
			}
		}
		if want := step.Derive(); step.Verdict != want {
			return fmt.Errorf("record: step %s: verdict %s does not follow from its checks, which say %s", step.ID, step.Verdict, want)
		}
	}
	if want := r.Stable.Derive(); r.Stable.Verdict != want || r.Verdict != want {
		return fmt.Errorf("record: verdict %s/%s does not follow from the steps, which say %s", r.Verdict, r.Stable.Verdict, want)
	}
	digest, err := r.Stable.digest()
	if err != nil {
		return err
	}
	if r.StableDigest != digest {
		return fmt.Errorf("record: stable_digest %s does not match the stable part, which has %s", r.StableDigest, digest)
	}
	return nil
}

func (s Stable) digest() (string, error) {
	raw, err := marshal(s)
	if err != nil {
		return "", fmt.Errorf("record: stable part: %w", err)
	}
	var compact bytes.Buffer
	// RawMessage keeps the white space of its writer; compact JSON has none.
	if err := json.Compact(&compact, raw); err != nil {
		return "", fmt.Errorf("record: stable part: %w", err)
	}
	sum := sha256.Sum256(compact.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Encode returns the record as indented JSON with a final newline.
func (r *Record) Encode() ([]byte, error) {
	raw, err := marshal(r)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return out.Bytes(), nil
}

// marshal is json.Marshal without the HTML escapes, which no reader of a
// record needs and which other JSON tools would not reproduce.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// MaxRecord is the largest record that Decode reads, in bytes.
const MaxRecord = 16 << 20

// Decode reads a record as if its writer were hostile: bounded size, every
// derived field derived again, and the document must be byte for byte what
// [Record.Encode] writes. That one rule refuses unknown, doubled, reordered
// and wrongly-cased keys (which encoding/json would let through), trailing
// data and invalid UTF-8, so that all readers see the same record.
func Decode(raw []byte) (*Record, error) {
	if len(raw) > MaxRecord {
		return nil, fmt.Errorf("record: %d bytes, more than the limit of %d", len(raw), MaxRecord)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var r Record
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	again, err := r.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(raw, again) {
		return nil, fmt.Errorf("record: line %d is not what a record writer writes (unknown, doubled or wrongly-cased key, or trailing data)", firstDifference(raw, again))
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

// firstDifference is the line, counted from 1, of the first byte in which a and b differ.
func firstDifference(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(a[:n], []byte("\n"))
}
