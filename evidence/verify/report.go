package verify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/policy"
)

// ReportSchema identifies the format of a report in JSON.
const ReportSchema = "https://github.com/dpone/dpone/evidence/verification/v1"

// Report is what a verification came to. It holds nothing that depends on
// where the evidence lies, and every list is sorted.
type Report struct {
	Schema  string           `json:"schema"`
	Verdict evidence.Verdict `json:"verdict"`
	// EvaluatedAt is the time that ages and expiries were compared with.
	EvaluatedAt time.Time `json:"evaluated_at"`
	// Policy is nil when there was none that could be read.
	Policy *PolicyUsed `json:"policy,omitempty"`
	// Target is what the evidence had to be about.
	Target policy.Target `json:"target"`
	// Gates are those with evidence, and those that are required.
	Gates []Gate `json:"gates"`
	// Folders are the sealed folders.
	Folders []Folder `json:"folders"`
	// Statements are those in bundles and files; those of the gates are there, too.
	Statements []Statement `json:"statements"`
	// Artifacts are the files outside of sealed folders.
	Artifacts []Artifact `json:"artifacts"`
	Logs      []Log      `json:"logs"`
	// Files and Bytes count what was hashed.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Problems make the verdict FAIL, Unverified only takes PASS away, Waived
	// are gaps that somebody answers for.
	Problems   []Problem `json:"problems"`
	Unverified []Problem `json:"unverified"`
	Waived     []Problem `json:"waived"`
	// Notes are what a reader should know and what counts for nothing.
	Notes []Note `json:"notes"`
}

// PolicyUsed is the policy, by content.
type PolicyUsed struct {
	Name   string     `json:"name"`
	Use    policy.Use `json:"use"`
	SHA256 string     `json:"sha256"`
}

// Gate is what was shown of a gate, by the evidence that counts for it.
type Gate struct {
	Gate     string `json:"gate"`
	Required bool   `json:"required"`
	// Verdict is PASS when the gate was shown to be green, or its gap is waived.
	Verdict evidence.Verdict `json:"verdict"`
	// Result is what the record says; UNVERIFIED when there is none.
	Result evidence.Verdict `json:"result"`
	// Path is the run folder, relative to the root.
	Path string `json:"path,omitempty"`
	// Run is the name of the run folder when it was made.
	Run string `json:"run,omitempty"`
	// CI is the run of CI with its attempt.
	CI       string    `json:"ci,omitempty"`
	Commit   string    `json:"commit,omitempty"`
	Finished time.Time `json:"finished,omitzero"`
	// AgeSeconds is how old the evidence was at EvaluatedAt.
	AgeSeconds int64 `json:"age_seconds,omitempty"`
	// Signer is who vouches, Class what that proves: SIGNED, LOCAL_MAC, or
	// LOGGED when the log alone does.
	Signer string `json:"signer,omitempty"`
	Class  string `json:"class,omitempty"`
	Logged bool   `json:"logged"`
	// Codes are those of the gate's problems.
	Codes []Code `json:"codes"`
}

// Folder is a sealed folder.
type Folder struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
	// Whole says that every byte is as it was sealed.
	Whole bool   `json:"whole"`
	Gate  string `json:"gate,omitempty"`
}

// Statement is a statement and who stands for it.
type Statement struct {
	Path string `json:"path"`
	// SHA256 is the digest of the statement itself.
	SHA256        string `json:"sha256"`
	PredicateType string `json:"predicate_type"`
	Subjects      int    `json:"subjects"`
	// Signer is empty when nobody was shown to stand for it.
	Signer string `json:"signer,omitempty"`
	Class  string `json:"class,omitempty"`
}

// Artifact is a file outside of sealed folders.
type Artifact struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Claimed says that a statement or a list of checksums speaks of it.
	Claimed bool `json:"claimed"`
}

// Log is a log that was found.
type Log struct {
	Path   string `json:"path"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
	// Trust is "unsigned", "signature not checked" or "signed".
	Trust string `json:"trust"`
}

// Problem is one reason why the verdict is not PASS.
type Problem struct {
	Code Code `json:"code"`
	// Path is relative to the root, with forward slashes; empty for the whole.
	Path string `json:"path,omitempty"`
	Gate string `json:"gate,omitempty"`
	// Detail says more, for a reader; it is not stable.
	Detail string `json:"detail"`
	// WaivedBy is who granted the waiver.
	WaivedBy string `json:"waived_by,omitempty"`
}

// Note is something that a reader should know.
type Note struct {
	Path   string `json:"path,omitempty"`
	Gate   string `json:"gate,omitempty"`
	Detail string `json:"detail"`
}

// Has says whether a code is among the problems or takes PASS away.
func (r Report) Has(code Code) bool { return slices.Contains(r.Codes(), code) }

// Codes are those of the problems and of what takes PASS away, sorted, each once.
func (r Report) Codes() []Code {
	var codes []Code
	for _, p := range slices.Concat(r.Problems, r.Unverified) {
		codes = append(codes, p.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Encode is the report as indented JSON with a final newline. The same report
// is the same bytes.
func (r Report) Encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(r)
	return out.Bytes(), err
}

func compareProblems(a, b Problem) int {
	return cmp.Or(
		strings.Compare(a.Gate, b.Gate), strings.Compare(a.Path, b.Path),
		strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Detail, b.Detail),
	)
}

// finish sorts everything and derives the verdict.
func (r *Report) finish() {
	for _, list := range []*[]Problem{&r.Problems, &r.Unverified, &r.Waived} {
		slices.SortFunc(*list, compareProblems)
		*list = slices.Compact(append([]Problem{}, *list...))
	}
	slices.SortFunc(r.Notes, func(a, b Note) int {
		return cmp.Or(strings.Compare(a.Gate, b.Gate), strings.Compare(a.Path, b.Path), strings.Compare(a.Detail, b.Detail))
	})
	r.Notes = slices.Compact(append([]Note{}, r.Notes...))
	slices.SortFunc(r.Gates, func(a, b Gate) int { return strings.Compare(a.Gate, b.Gate) })
	slices.SortFunc(r.Folders, func(a, b Folder) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(r.Statements, func(a, b Statement) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.SHA256, b.SHA256))
	})
	slices.SortFunc(r.Artifacts, func(a, b Artifact) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(r.Logs, func(a, b Log) int { return strings.Compare(a.Path, b.Path) })
	switch {
	case len(r.Problems) > 0:
		r.Verdict = evidence.Fail
	case len(r.Unverified) > 0:
		r.Verdict = evidence.Unverified
	default:
		r.Verdict = evidence.Pass
	}
	for i := range r.Gates {
		r.Gates[i].derive(r)
	}
}

// derive computes what was shown of a gate from the problems that name it.
func (g *Gate) derive(r *Report) {
	g.Codes = []Code{}
	g.Verdict = evidence.Pass
	for _, p := range r.Unverified {
		if p.Gate == g.Gate {
			g.Codes, g.Verdict = append(g.Codes, p.Code), evidence.Unverified
		}
	}
	for _, p := range r.Problems {
		if p.Gate == g.Gate {
			g.Codes, g.Verdict = append(g.Codes, p.Code), evidence.Fail
		}
	}
	slices.Sort(g.Codes)
	g.Codes = slices.Compact(g.Codes)
	// Without a policy nobody said whose word counts.
	if g.Verdict == evidence.Pass && r.Policy == nil {
		g.Verdict = evidence.Unverified
	}
}
