package release

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
)

// The files of the report.
const (
	reportJSON = "supply_chain_attestation.json"
	reportMD   = "supply_chain_attestation.md"
)

// ReportSchema identifies the format of the report.
const ReportSchema = "https://github.com/dpone/dpone/evidence/supply-chain/v1"

// Report is the reading form of an attestation. It repeats what the record and
// the statements say and proves nothing itself.
type Report struct {
	Schema  string           `json:"schema"`
	Passed  bool             `json:"passed"`
	Verdict evidence.Verdict `json:"verdict"`
	// GeneratedAt is the only member that differs from run to run, besides what
	// it says of the provenance.
	GeneratedAt time.Time   `json:"generated_at"`
	Release     string      `json:"release"`
	Repository  string      `json:"repository"`
	CommitSHA   string      `json:"commit_sha"`
	Ref         string      `json:"ref"`
	BuilderID   string      `json:"builder_id"`
	SLSALevel   string      `json:"slsa_level"`
	Subjects    []Artifact  `json:"subjects"`
	Artifacts   []Artifact  `json:"artifacts"`
	Signatures  []Signature `json:"signatures"`
	Blockers    []Problem   `json:"blockers"`
}

// Artifact is a file: a subject by its path in the source tree, any other by
// its path in the run folder.
type Artifact struct {
	Name        string `json:"name"`
	Path        string `json:"path"`
	SHA256      string `json:"sha256"`
	SizeBytes   int64  `json:"size_bytes"`
	Description string `json:"description,omitempty"`
}

// Problem is what keeps an attestation from PASS.
type Problem struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Fix     string `json:"fix"`
}

// report writes the report on every way out, and removes the copies. Where the
// run folder is another one than that of the steps, it takes the documents there.
func (a *attestation) report(f *folder.Folder) error {
	defer a.clear()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := Report{
		Schema: ReportSchema, GeneratedAt: time.Now().UTC().Truncate(time.Second),
		Release: a.Release, Repository: a.Repository, CommitSHA: a.Commit, Ref: a.ref,
		BuilderID: found(a.BuilderID, a.surroundings(a.started).builder), SLSALevel: cmp.Or(a.level, levelNone),
		Subjects: []Artifact{}, Artifacts: []Artifact{}, Signatures: append([]Signature{}, a.signatures...), Blockers: []Problem{},
	}
	for _, s := range a.subjects {
		r.Subjects = append(r.Subjects, Artifact{Name: s.name, Path: s.path, SHA256: s.sha256, SizeBytes: s.size})
	}
	for _, d := range a.documents {
		written, err := f.ReadFile(d.name, int64(len(d.content)))
		if errors.Is(err, fs.ErrNotExist) && len(a.signatures) > 0 {
			written, err = d.content, f.WriteFile(d.name, d.content)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // the run ended before it was to be seen
		}
		if err != nil || !bytes.Equal(written, d.content) {
			return errors.Join(err, fmt.Errorf("%s is not what was written", d.name))
		}
		sum := sha256.Sum256(d.content)
		r.Artifacts = append(r.Artifacts, Artifact{Name: d.name, Path: d.name, SHA256: hex.EncodeToString(sum[:]), SizeBytes: int64(len(d.content)), Description: d.about})
	}
	slices.SortFunc(r.Artifacts, func(a, b Artifact) int { return strings.Compare(a.Name, b.Name) })
	r.Verdict = evidence.Judge(a.checks)
	for _, c := range a.checks {
		if c.Verdict == evidence.Fail || c.Verdict == evidence.Unverified {
			r.Blockers = append(r.Blockers, Problem{c.Code, c.Subject, found(c.Reason, c.Observed+", expected "+c.Expected), c.Fix})
		}
	}
	for _, id := range steps {
		if !slices.Contains(a.ended, id) {
			if r.Verdict != evidence.Fail {
				r.Verdict = evidence.Unverified
			}
			r.Blockers = append(r.Blockers, Problem{id + ".unfinished", id, "the step did not come to its end", a.reproduce()})
		}
	}
	r.Passed = r.Verdict == evidence.Pass
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return errors.Join(f.WriteFile(reportJSON, raw.Bytes()), f.WriteFile(reportMD, []byte(r.markdown())))
}

// markdown is the report for a reader.
func (r Report) markdown() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Supply-chain attestation of %s: %s\n", cell(r.Release), r.Verdict)
	line("| | |\n| --- | --- |")
	for _, row := range [][2]string{
		{"Repository", r.Repository},
		{"Commit", r.CommitSHA},
		{"Ref", r.Ref},
		{"Builder", r.BuilderID},
		{"Level", r.SLSALevel},
		{"Written", r.GeneratedAt.Format(time.RFC3339)},
	} {
		line("| %s | %s |", row[0], cell(row[1]))
	}
	if len(r.Blockers) > 0 {
		line("\n## What keeps it from PASS\n\n| Code | What | Why | Fix |\n| --- | --- | --- | --- |")
		for _, p := range r.Blockers {
			line("| %s | %s | %s | %s |", cell(p.ID), cell(p.Subject), cell(p.Reason), cell(p.Fix))
		}
	}
	line("\n## Subjects\n\n| File | Bytes | SHA-256 |\n| --- | ---: | --- |")
	for _, s := range r.Subjects {
		line("| %s | %d | `%s` |", cell(s.Name), s.SizeBytes, s.SHA256)
	}
	line("\n## Files\n\n| File | What it is | SHA-256 |\n| --- | --- | --- |")
	for _, f := range r.Artifacts {
		line("| %s | %s | `%s` |", cell(f.Name), cell(f.Description), f.SHA256)
	}
	line("\n## Signatures\n\n| Statement | State | Class | By |\n| --- | --- | --- | --- |")
	for _, s := range r.Signatures {
		line("| %s | %s | %s | %s |", cell(s.Statement), s.State, s.Class, cell(strings.TrimSpace(s.Kind+" "+s.KeyID)))
	}
	line("\nWhat each file proves, and how others verify it: docs/supply-chain.md. The verdict that counts is that of record.json.")
	return b.String()
}

// cell is text that cannot break out of a cell of a table, nor be a link or markup.
func cell(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "|", `\|`, "<", "&lt;", "[", `\[`, "`", "'").Replace(s)
}

// clear removes the copies of the subjects.
func (a *attestation) clear() {
	if a.dir != "" {
		os.RemoveAll(a.dir)
	}
}
