package statement

import (
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// GateType names our own predicate for a gate run, with the detail that
// [TestResult] has no words for.
const GateType = "https://github.com/dpone/dpone/evidence/gate/v1"

// Gate is the account of one run of a gate. Counts, sizes and durations are
// strings of decimal digits ([Count]).
type Gate struct {
	Gate    string           `json:"gate"`
	Verdict evidence.Verdict `json:"verdict"`
	// Partial says that work was left out by request.
	Partial bool `json:"partial"`
	// Record is the record that this was made from.
	Record      RecordDigest         `json:"record"`
	Invocation  GateInvocation       `json:"invocation"`
	Source      GateSource           `json:"source"`
	Environment evidence.Environment `json:"environment"`
	Run         GateRun              `json:"run"`
	Steps       []GateStep           `json:"steps" limit:"65536"`
	// Counts are what the run counted, for example the rows of each table.
	Counts []GateCount `json:"counts" limit:"65536"`
	// Measurements are the numbers behind checks against a threshold.
	Measurements []evidence.Measurement `json:"measurements" limit:"65536"`
	Inputs       []GateFile             `json:"inputs" limit:"65536"`
	Outputs      []GateFile             `json:"outputs" limit:"65536"`
	Warnings     []string               `json:"warnings" limit:"65536"`
	Skips        []evidence.Skipping    `json:"skips" limit:"65536"`
	Blockers     []evidence.Blocker     `json:"blockers" limit:"65536"`
	// Redaction is what was done to keep secrets out, or absent.
	Redaction *GateRedaction `json:"redaction,omitempty"`
}

// RecordDigest names a record by content.
type RecordDigest struct {
	// StableDigest is "sha256:" and hex over the stable part.
	StableDigest string `json:"stableDigest"`
	// SHA256 is the digest of the file record.json, in hex, or empty.
	SHA256 string `json:"sha256,omitempty"`
}

// GateInvocation is what to type to do the same again.
type GateInvocation struct {
	Target  string `json:"target"`
	Command string `json:"command"`
}

// GateSource is what the run was about, and where that was found.
type GateSource struct {
	Commit      string `json:"commit"`
	Dirty       bool   `json:"dirty"`
	DirtyDigest string `json:"dirtyDigest,omitempty"`
	Repository  string `json:"repository,omitempty"`
	Ref         string `json:"ref,omitempty"`
	Shallow     bool   `json:"shallow"`
}

// GateRun is when and by whom the gate was run.
type GateRun struct {
	ID         string    `json:"id"`
	Provider   string    `json:"provider"`
	Workflow   string    `json:"workflow,omitempty"`
	Event      string    `json:"event,omitempty"`
	RunID      string    `json:"runId,omitempty"`
	Attempt    string    `json:"attempt,omitempty"`
	URL        string    `json:"url,omitempty"`
	StartedOn  time.Time `json:"startedOn"`
	FinishedOn time.Time `json:"finishedOn"`
	DurationMS Count     `json:"durationMs"`
	// SecretNames are the environment variables with secrets that were set:
	// names, never values.
	SecretNames []string `json:"secretNames" limit:"4096"`
}

// GateStep is one step: how it ended and how many of its checks did.
type GateStep struct {
	ID         string           `json:"id"`
	Verdict    evidence.Verdict `json:"verdict"`
	Cause      evidence.Cause   `json:"cause,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	DurationMS Count            `json:"durationMs"`
	Passed     Count            `json:"passed"`
	Failed     Count            `json:"failed"`
	Skipped    Count            `json:"skipped"`
	Unverified Count            `json:"unverified"`
	Omitted    Count            `json:"omitted"`
	Log        *GateFile        `json:"log,omitempty"`
}

// GateCount is a number under a name.
type GateCount struct {
	Name  string `json:"name"`
	Value Count  `json:"value"`
}

// GateFile is a file by content.
type GateFile struct {
	Path   string `json:"path"`
	Size   Count  `json:"size"`
	SHA256 string `json:"sha256"`
}

// GateRedaction is what was done to keep secrets out of the evidence.
type GateRedaction struct {
	// Masked counts the values that were replaced while writing; Scanned and
	// Leaks count the finished files that were searched again, and what was
	// found there.
	Masked  Count `json:"masked"`
	Scanned Count `json:"scanned"`
	Leaks   Count `json:"leaks"`
}

// GateDetail is what a gate statement says besides the record.
type GateDetail struct {
	// Artifacts are subjects next to the source.
	Artifacts []ResourceDescriptor
	// RecordSHA256 is the digest of the file record.json, in hex, or empty.
	RecordSHA256 string
	// Logs are the logs by path, as in the index of the run.
	Logs      []evidence.File
	Counts    []GateCount
	Redaction *GateRedaction
}

// GateStatement states all that a record says. Unlike a test result it exists
// for skipped and partial runs too, and says so.
func GateStatement(rec *evidence.Record, detail GateDetail) (*Statement, error) {
	if err := rec.Validate(); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	s, v := &rec.Stable, &rec.Volatile
	g := &Gate{
		Gate: s.Gate.ID, Verdict: s.Verdict, Partial: s.Partial,
		Record:      RecordDigest{StableDigest: rec.StableDigest, SHA256: detail.RecordSHA256},
		Invocation:  GateInvocation{Target: s.Invocation.Target, Command: s.Invocation.Command},
		Environment: s.Environment,
		Source: GateSource{
			Commit: s.Source.Commit, Dirty: s.Source.Dirty, DirtyDigest: s.Source.DirtyDigest,
			Repository: v.Origin.Repository, Ref: v.Origin.Ref, Shallow: v.Origin.Shallow,
		},
		Run: GateRun{
			ID: v.Run, Provider: v.CI.Provider, Workflow: v.CI.Workflow, Event: v.CI.Event,
			RunID: v.CI.RunID, Attempt: v.CI.Attempt, URL: RunURL(v.CI),
			StartedOn: v.Started.UTC(), FinishedOn: v.Finished.UTC(), DurationMS: countOf(v.DurationMS),
			SecretNames: emptied(v.SecretNames),
		},
		Steps:        gateSteps(rec, detail.Logs),
		Counts:       append([]GateCount{}, detail.Counts...),
		Measurements: append([]evidence.Measurement{}, v.Measurements...),
		Inputs:       gateFiles(s.Inputs),
		Outputs:      gateFiles(s.Outputs),
		Warnings:     emptied(s.Warnings),
		Skips:        append([]evidence.Skipping{}, s.Skips...),
		Blockers:     append([]evidence.Blocker{}, s.Blockers...),
		Redaction:    detail.Redaction,
	}
	if g.Environment.Tools == nil {
		g.Environment.Tools = []evidence.Tool{}
	}
	list, err := subjects(rec, detail.Artifacts)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return New(list, g)
}

func gateSteps(rec *evidence.Record, logs []evidence.File) []GateStep {
	files := make(map[string]evidence.File, len(logs))
	for _, log := range logs {
		files[log.Path] = log
	}
	runs := make(map[string]evidence.StepRun, len(rec.Volatile.Steps))
	for _, run := range rec.Volatile.Steps {
		runs[run.ID] = run
	}
	steps := make([]GateStep, 0, len(rec.Stable.Steps))
	for _, s := range rec.Stable.Steps {
		step := GateStep{
			ID: s.ID, Verdict: s.Verdict, Cause: s.Cause, Reason: s.Reason,
			DurationMS: countOf(runs[s.ID].DurationMS), Omitted: countOf(s.Omitted),
		}
		for _, check := range s.Checks {
			switch check.Verdict {
			case evidence.Pass:
				step.Passed++
			case evidence.Fail:
				step.Failed++
			case evidence.Skip:
				step.Skipped++
			default:
				step.Unverified++
			}
		}
		if log, ok := files[runs[s.ID].Log]; ok {
			file := gateFiles([]evidence.File{log})[0]
			step.Log = &file
		}
		steps = append(steps, step)
	}
	return steps
}

func gateFiles(files []evidence.File) []GateFile {
	list := make([]GateFile, 0, len(files))
	for _, f := range files {
		list = append(list, GateFile{Path: f.Path, Size: countOf(f.Size), SHA256: f.SHA256})
	}
	return list
}

// PredicateType returns [GateType].
func (*Gate) PredicateType() string { return GateType }

// Validate refuses an account whose verdict does not follow from its steps,
// and one without the digest of its record.
func (g *Gate) Validate() error {
	for _, part := range []struct{ field, text string }{
		{"gate", g.Gate}, {"invocation.target", g.Invocation.Target}, {"run.provider", g.Run.Provider},
	} {
		if err := word(part.field, part.text, true); err != nil {
			return err
		}
	}
	digest, ok := strings.CutPrefix(g.Record.StableDigest, "sha256:")
	if err := (DigestSet{"sha256": digest}).validate("record.stableDigest"); err != nil || !ok {
		return strict.Refuse(strict.Schema, "record.stableDigest", "%s is not sha256: and hex", strict.Quote(g.Record.StableDigest))
	}
	if g.Record.SHA256 != "" {
		if err := (DigestSet{"sha256": g.Record.SHA256}).validate("record"); err != nil {
			return err
		}
	}
	if g.Source.Commit != "" {
		if err := (DigestSet{"gitCommit": g.Source.Commit}).validate("source"); err != nil {
			return err
		}
	}
	if g.Run.FinishedOn.Before(g.Run.StartedOn) {
		return strict.Refuse(strict.Schema, "run.finishedOn", "it is before startedOn")
	}
	var derived evidence.Stable
	seen := make(map[string]bool, len(g.Steps))
	for i, step := range g.Steps {
		place := fmt.Sprintf("steps[%d]", i)
		if err := word(place+".id", step.ID, true); err != nil {
			return err
		}
		if seen[step.ID] {
			return strict.Refuse(strict.Schema, place+".id", "%s names an earlier step", strict.Quote(step.ID))
		}
		seen[step.ID] = true
		if err := step.follows(place); err != nil {
			return err
		}
		derived.Steps = append(derived.Steps, evidence.Step{ID: step.ID, Verdict: step.Verdict})
	}
	if want := derived.Derive(); g.Verdict != want {
		return strict.Refuse(strict.Schema, "verdict", "%s does not follow from the steps, which say %s", g.Verdict, want)
	}
	for i, count := range g.Counts {
		if err := word(fmt.Sprintf("counts[%d].name", i), count.Name, true); err != nil {
			return err
		}
	}
	return g.validateFiles()
}

// follows checks a step's verdict against the number of its checks, by the
// rule of [evidence.Step.Derive].
func (s *GateStep) follows(place string) error {
	var checks []evidence.Check
	for _, count := range []struct {
		n       Count
		verdict evidence.Verdict
	}{{s.Passed, evidence.Pass}, {s.Failed, evidence.Fail}, {s.Skipped, evidence.Skip}, {s.Unverified, evidence.Unverified}} {
		if count.n > 0 {
			checks = append(checks, evidence.Check{Verdict: count.verdict})
		}
	}
	if want := (evidence.Step{Checks: checks, Cause: s.Cause}).Derive(); s.Verdict != want {
		return strict.Refuse(strict.Schema, place+".verdict", "%s does not follow from the checks, which say %s", s.Verdict, want)
	}
	return nil
}

func (g *Gate) validateFiles() error {
	for _, list := range []struct {
		field string
		files []GateFile
	}{{"inputs", g.Inputs}, {"outputs", g.Outputs}} {
		for i, file := range list.files {
			if err := file.validate(fmt.Sprintf("%s[%d]", list.field, i)); err != nil {
				return err
			}
		}
	}
	for i, step := range g.Steps {
		if step.Log != nil {
			if err := step.Log.validate(fmt.Sprintf("steps[%d].log", i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f GateFile) validate(field string) error {
	if err := word(field+".path", f.Path, true); err != nil {
		return err
	}
	return DigestSet{"sha256": f.SHA256}.validate(field)
}
