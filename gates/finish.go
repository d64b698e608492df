package gates

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/junit"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/evidence/seal"
)

const runnerRunbook = "docs/runbooks.md"

// finish writes the evidence. It takes no notice of the run's context, which
// may have ended: a stopped run leaves a record, too.
func (r *runner) finish(ctx context.Context) Outcome {
	outcome := Outcome{}
	if err := context.Cause(ctx); err != nil && !errors.As(err, &outcome.Interrupted) && errors.Is(err, context.Canceled) {
		outcome.Interrupted = &SignalError{Name: "SIGINT"}
	}
	r.lookAgain(ctx)
	if r.folder != nil {
		// Before the record, which tells of it.
		if err := r.complete(r.folder); err != nil {
			r.trouble = append(r.trouble, err)
		}
	}
	record, err := r.record(time.Now())
	if err != nil {
		r.trouble = append(r.trouble, err)
	}
	outcome.Record = record
	var index string
	if r.folder != nil && record != nil {
		index = r.writeAll(record)
	}
	outcome.Folder = r.where
	if r.folder == nil {
		outcome.Folder = ""
	}
	kept := r.keep(ctx, outcome.Folder, index)
	outcome.Trouble = errors.Join(r.trouble...)
	end := &RunEnd{Record: record, Folder: shorter(outcome.Folder), IndexDigest: index, Kept: kept}
	if r.late != nil {
		end.Note = r.late.Error()
	}
	if outcome.Trouble != nil {
		end.Trouble = outcome.Trouble.Error()
	}
	r.emit(Event{Kind: EventRunFinished, End: end})
	return outcome
}

// keepTime is how long the keeping of a run may take: a signing service has to
// answer.
const keepTime = 2 * time.Minute

// keep hands the sealed folder to whoever keeps it, and returns what they say.
func (r *runner) keep(ctx context.Context, dir, index string) []string {
	if r.opts.Keep == nil || dir == "" || index == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	artifacts := r.opts.Artifacts
	if rel, err := filepath.Rel(artifacts, dir); err != nil || !filepath.IsLocal(rel) {
		artifacts = folder.Fallback()
	}
	said, err := r.opts.Keep(ctx, artifacts, dir)
	if err != nil {
		r.trouble = append(r.trouble, fmt.Errorf("keep the evidence: %w", err))
	}
	for i := range said {
		said[i] = strings.ReplaceAll(r.redactor.String(said[i]), dir, shorter(dir))
	}
	return said
}

// lookAgain holds that the commit is still the one the run began with:
// otherwise the steps may have seen another.
func (r *runner) lookAgain(ctx context.Context) {
	if r.srcErr != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	switch now, _, err := r.tree.State(ctx); {
	case err != nil:
		r.moved = err
	case now.Commit != r.src.Commit:
		r.moved = fmt.Errorf("HEAD moved to %s while the run went on", now.Commit)
	}
}

// shorter is a path relative to the working directory where it lies below it.
func shorter(path string) string {
	if wd, err := os.Getwd(); err == nil && path != "" {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return path
}

// writeAll completes the run folder and returns the digest of its index. When
// the disk takes no more, the whole record goes to the fallback folder.
func (r *runner) writeAll(record *evidence.Record) string {
	digest, err := r.writeInto(r.folder, record)
	if err == nil {
		return digest
	}
	r.trouble = append(r.trouble, err)
	fallback, err := folder.Create(folder.Fallback(), r.gate.Area, r.started)
	if err == nil {
		if err = r.complete(fallback); err == nil {
			digest, err = r.writeInto(fallback, record)
		}
		if err == nil {
			r.where = fallback.Dir()
			return digest
		}
	}
	r.trouble = append(r.trouble, fmt.Errorf("nor elsewhere: %w", err))
	r.where = ""
	return ""
}

// complete leaves in a run folder what the record will speak of, and nothing else.
func (r *runner) complete(f *folder.Folder) error {
	if err := f.Release(); err != nil {
		return err
	}
	if r.gate.Finally != nil {
		if err := r.gate.Finally(f); err != nil {
			return fmt.Errorf("complete the run folder: %w", err)
		}
	}
	return r.cleanFiles(f)
}

func (r *runner) writeInto(f *folder.Folder, record *evidence.Record) (string, error) {
	raw, err := record.Encode()
	if err != nil {
		return "", err
	}
	var suites bytes.Buffer
	if err := junit.Write(&suites, r.suites(record)); err != nil {
		return "", err
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{folder.RecordJSON, raw},
		{folder.RecordMD, []byte(render.Markdown(record))},
		{folder.JUnitXML, suites.Bytes()},
	} {
		if err := f.WriteFile(file.name, file.content); err != nil {
			return "", err
		}
	}
	index, err := seal.Seal(context.Background(), f.Dir(), seal.Options{})
	if err != nil {
		return "", err
	}
	if err := f.MarkLatest(); err != nil {
		r.late = err // the evidence is whole; only its short name is missing
	}
	return "sha256:" + index.SHA256, nil
}

// maxClean bounds the files that cleanFiles reads, in bytes; a larger one is
// not left in the evidence unread.
const maxClean = 256 << 20

// cleanFiles redacts what children wrote into the run folder themselves. The
// logs went through the redactor on their way.
func (r *runner) cleanFiles(f *folder.Folder) error {
	return filepath.WalkDir(f.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || r.isLog(f, path) {
			return nil
		}
		if name := entry.Name(); r.redactor.String(name) != name {
			r.notes = append(r.notes, "a file was removed: its name held a secret")
			return os.Remove(path)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Size() > maxClean {
			r.notes = append(r.notes, fmt.Sprintf("%s was removed: not a regular file, or larger than %d bytes", entry.Name(), maxClean))
			return os.Remove(path)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		clean := r.redactor.Bytes(content)
		if bytes.Equal(clean, content) {
			return nil
		}
		rel, err := filepath.Rel(f.Dir(), path)
		if err != nil {
			return err
		}
		return f.WriteFile(filepath.ToSlash(rel), clean)
	})
}

// isLog says whether a file is a log that went through the redactor.
func (r *runner) isLog(f *folder.Folder, path string) bool {
	return slices.ContainsFunc(r.nodes, func(n *node) bool { return n.run.Log != "" && path == f.Path(n.run.Log) })
}

// writeRecord writes the record as it would be if the run ended now.
func (r *runner) writeRecord() error {
	record, err := r.record(r.started)
	if err != nil {
		return err
	}
	raw, err := record.Encode()
	if err != nil {
		return err
	}
	return r.folder.WriteFile(folder.RecordJSON, raw)
}

// record builds the record, redacts every string in it, and seals it.
func (r *runner) record(now time.Time) (*evidence.Record, error) {
	g := r.gate
	options := []byte("{}")
	var err error
	if g.Options != nil {
		if options, err = json.Marshal(g.Options); err != nil {
			return nil, fmt.Errorf("options: %w", err)
		}
	}
	ci, host := surroundings(r.opts.Environ)
	record := evidence.Record{
		Stable: evidence.Stable{
			Gate:        evidence.Gate{ID: g.ID, Doc: g.Doc, Runbook: g.Runbook},
			Partial:     g.Partial || len(r.selected) != len(r.nodes),
			Invocation:  evidence.Invocation{Target: g.ID, Command: r.opts.Command, Options: options},
			Source:      r.src.Source,
			Environment: evidence.Environment{OS: runtime.GOOS, Arch: runtime.GOARCH, Go: r.goVer, Tools: []evidence.Tool{}},
			Steps:       []evidence.Step{r.sourceRecord()},
			Outputs:     []evidence.File{},
			Warnings:    []string{},
			Skips:       []evidence.Skipping{},
			Blockers:    []evidence.Blocker{},
		},
		Volatile: evidence.Volatile{
			Started: r.started.UTC(), Finished: now.UTC(), DurationMS: now.Sub(r.started).Milliseconds(),
			Origin: r.src.Origin, Host: host, CI: ci, SecretNames: r.redactor.Names(),
			Circumstances: append([]evidence.NameValue{}, g.Circumstances...),
			Steps:         []evidence.StepRun{}, Measurements: []evidence.Measurement{},
			Notes: append([]string{}, r.notes...),
		},
	}
	if r.folder != nil {
		record.Volatile.Run = r.folder.Run()
	}
	s := &record.Stable
	if s.Inputs, err = digestInputs(r.opts.Root, g.Inputs); err != nil {
		s.Warnings = append(s.Warnings, err.Error())
	}
	if r.src.Shallow {
		record.Volatile.Notes = append(record.Volatile.Notes, "the clone is shallow: its history is not whole")
	}
	if s.Source.Dirty {
		s.Warnings = append(s.Warnings, "the working tree differs from the commit; the evidence is about both")
	}
	seen := map[evidence.Tool]bool{}
	for _, n := range r.nodes {
		step := n.record()
		s.Steps = append(s.Steps, step)
		s.Outputs = append(s.Outputs, n.result.outputs...)
		for _, t := range n.result.tools {
			if !seen[t] {
				seen[t] = true
				s.Environment.Tools = append(s.Environment.Tools, t)
			}
		}
		for _, warning := range n.result.warnings {
			s.Warnings = append(s.Warnings, step.ID+": "+warning)
		}
		s.Skips = append(s.Skips, n.result.skips...)
		if step.Cause == evidence.CauseLeftOut {
			s.Skips = append(s.Skips, evidence.Skipping{Subject: step.ID, Reason: step.Reason})
		}
		record.Volatile.Steps = append(record.Volatile.Steps, n.run)
		record.Volatile.Measurements = append(record.Volatile.Measurements, n.measurements()...)
	}
	// The order in which steps ended is a circumstance; it must not show here.
	slices.SortFunc(s.Environment.Tools, func(a, b evidence.Tool) int { return strings.Compare(a.Name, b.Name) })
	for _, step := range s.Steps {
		s.Blockers = append(s.Blockers, blockers(step)...)
	}
	clean, err := redacted(r.redactor, record)
	if err != nil {
		return nil, fmt.Errorf("redact the record: %w", err)
	}
	if err := clean.Seal(); err != nil {
		return nil, err
	}
	return &clean, nil
}

// sourceRecord judges whether it can be told what the evidence is about.
func (r *runner) sourceRecord() evidence.Step {
	step := evidence.Step{
		ID: evidence.SourceStep, Doc: "It can be told which commit the evidence is about.", Runbook: runnerRunbook + "#source",
		Needs: []string{}, Commands: []string{}, Reproduce: "git status",
	}
	const code, expected = "source.commit", "a commit"
	if r.srcErr != nil {
		step.Checks = []evidence.Check{evidence.CouldNotTell(code, "HEAD", expected, r.srcErr.Error(), "run the gate in a git repository with a commit")}
	} else {
		step.Checks = []evidence.Check{evidence.Expect(code, "HEAD", true, r.src.Commit, expected, "")}
	}
	if r.moved != nil {
		step.Checks = append(step.Checks, evidence.CouldNotTell("source.moved", "HEAD", r.src.Commit, r.moved.Error(), "leave the checkout alone while a gate runs in it"))
	}
	step.Verdict = step.Derive()
	return step
}

// blockers lists what keeps a step from PASS: its cause, or the problems that
// its checks name.
func blockers(step evidence.Step) []evidence.Blocker {
	var list []evidence.Blocker
	if step.Cause != evidence.CauseNone && step.Cause != evidence.CauseLeftOut {
		list = append(list, evidence.Blocker{ID: step.ID + "." + string(step.Cause), Reason: step.Reason, Fix: step.Reproduce, Runbook: step.Runbook})
	}
	counts := map[string]int{}
	first := map[string]evidence.Check{}
	var codes []string
	for _, c := range step.Checks {
		if c.Verdict != evidence.Fail && c.Verdict != evidence.Unverified {
			continue
		}
		if counts[c.Code]++; counts[c.Code] == 1 {
			codes, first[c.Code] = append(codes, c.Code), c
		}
	}
	for _, code := range codes {
		c := first[code]
		reason := fmt.Sprintf("%s: %s, expected %s", c.Subject, c.Observed, c.Expected)
		if c.Reason != "" {
			reason = c.Subject + ": " + c.Reason
		}
		if more := counts[code] - 1; more > 0 {
			reason += fmt.Sprintf(" (and %d more)", more)
		}
		list = append(list, evidence.Blocker{ID: code, Reason: reason, Fix: c.Fix, Runbook: step.Runbook})
	}
	return list
}

// suites is the run as JUnit: a case for each step, then what the steps added.
func (r *runner) suites(record *evidence.Record) junit.Suites {
	steps := junit.Suite{Name: record.Stable.Gate.ID, Timestamp: record.Volatile.Started}
	durations := map[string]time.Duration{}
	for _, run := range record.Volatile.Steps {
		durations[run.ID] = time.Duration(run.DurationMS) * time.Millisecond
	}
	for _, step := range record.Stable.Steps {
		c := junit.Case{Name: step.ID, Classname: record.Stable.Gate.ID, Time: durations[step.ID]}
		body := render.Findings(step)
		switch step.Verdict {
		case evidence.Pass:
		case evidence.Fail:
			c.Failure = &junit.Detail{Message: firstLine(body), Type: "FAIL", Body: body}
		case evidence.Skip:
			c.Skipped = &junit.Detail{Message: step.Reason, Type: "SKIP"}
		default:
			c.Error = &junit.Detail{Message: firstLine(body), Type: "UNVERIFIED", Body: body}
		}
		steps.Time += c.Time
		steps.Cases = append(steps.Cases, c)
	}
	suites := junit.Suites{Name: "mage " + record.Stable.Gate.ID, Suites: []junit.Suite{steps}}
	for _, n := range r.nodes {
		for _, suite := range n.result.suites {
			suites.Suites = append(suites.Suites, r.cleanSuite(suite))
		}
	}
	return suites
}

// cleanSuite redacts the texts of a suite before they are escaped for XML,
// where a secret would no longer look like itself.
func (r *runner) cleanSuite(s junit.Suite) junit.Suite {
	clean := r.redactor.String
	detail := func(d *junit.Detail) *junit.Detail {
		if d == nil {
			return nil
		}
		return &junit.Detail{Message: clean(d.Message), Type: d.Type, Body: clean(d.Body)}
	}
	s.Cases = slices.Clone(s.Cases)
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Name, c.SystemOut = clean(c.Name), clean(c.SystemOut)
		c.Failure, c.Error, c.Skipped = detail(c.Failure), detail(c.Error), detail(c.Skipped)
	}
	return s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
