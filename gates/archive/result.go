package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/evidence/verify"
)

// The codes of this package; those of files are in package seal. Other programs
// may rely on the names.
const (
	CodeRecord       = "bad_record"          // record.json is not what a run writes
	CodeEntry        = "bad_entry"           // an entry of the log is not one, or cannot be made
	CodeWrongEntry   = "wrong_entry"         // the entry of the log and the record say different things
	CodeMalformed    = "log_malformed"       // the checkpoint is not one
	CodeOrigin       = "log_origin"          // the log is another one
	CodeTruncated    = "log_truncated"       // parts of the log are gone
	CodeRollback     = "log_rollback"        // the log is shorter than it was
	CodeForked       = "log_forked"          // the log does not continue what was seen
	CodeCorrupt      = "log_corrupt"         // the log contradicts itself
	CodeUnexpected   = "log_unexpected_file" // a file in the log that no log has
	CodeLogUnread    = "log_unreadable"      // the system refused to read or write the log
	CodeBadSignature = "bad_signature"       // the signature is wrong, of another key, or was taken away
	CodeUnlogged     = "unlogged"            // the evidence is not in the log, or there is no log
	CodeUnsigned     = "unsigned"            // nobody signed the log
	CodePending      = "pending_signature"   // the statements are written down and not signed yet
	CodeNoVerifier   = "no_verifier"         // there is a signature and no key to check it with
)

// Problem is a reason why the answer is not PASS.
type Problem struct {
	Code string `json:"code"`
	// Path is a file, relative to the folder it is in; often there is none.
	Path string `json:"path,omitempty"`
	// Gate is the gate that it is about, where a policy asks for gates.
	Gate string `json:"gate,omitempty"`
	// Detail says more, for a reader; it is not stable.
	Detail string `json:"detail"`
}

// Check is one thing that was looked at. PASS was shown, FAIL was refuted,
// UNVERIFIED could not be told, SKIP was left out.
type Check struct {
	Name    string           `json:"name"`
	Verdict evidence.Verdict `json:"verdict"`
	Fact    string           `json:"fact"`
}

// Sealed is a folder and its index.
type Sealed struct {
	Schema string `json:"schema"`
	SHA256 string `json:"sha256"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
}

// Place is an entry and where in the log it is; numbers count from 0.
type Place struct {
	Number int64 `json:"number"`
	tlog.Entry
}

// Head is the checkpoint of a log.
type Head struct {
	Dir    string `json:"dir"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
	// Trust is "unsigned", "signature not checked" or "signed".
	Trust string `json:"trust"`
}

// Result is what a command came to, and its form in JSON.
type Result struct {
	Command string           `json:"command"`
	Verdict evidence.Verdict `json:"verdict"`
	// Root is the folder that was looked at, as given.
	Root    string   `json:"root,omitempty"`
	Checks  []Check  `json:"checks"`
	Sealed  *Sealed  `json:"index,omitempty"`
	Entry   *Place   `json:"entry,omitempty"`
	Log     *Head    `json:"log,omitempty"`
	Entries *[]Place `json:"entries,omitempty"`
	// Signed is who signed the folder, and what.
	Signed *Signed `json:"signed,omitempty"`
	// Verification is the whole report of [Verify] with a policy, or over many folders.
	Verification *verify.Report `json:"verification,omitempty"`
	// Written are the files that are new.
	Written []string `json:"written,omitempty"`
	// Verifier is a key that may be shown to everybody.
	Verifier string `json:"verifier,omitempty"`
	// Problems make the verdict FAIL, Unverified only takes PASS away.
	Problems   []Problem `json:"problems"`
	Unverified []Problem `json:"unverified"`

	index *seal.Index // of the folder, when its files are as it says
}

// NotGreenError is what a command returns when its answer is not PASS. mage
// ends with its exit status.
type NotGreenError struct {
	Command string
	Verdict evidence.Verdict
	// Codes are sorted, each once.
	Codes []string
}

func (e *NotGreenError) Error() string {
	return fmt.Sprintf("%s is %s: %s", e.Command, e.Verdict, strings.Join(e.Codes, ", "))
}

// ExitStatus is 1 for FAIL and 3 for UNVERIFIED, under the name that mage looks
// for on an error.
func (e *NotGreenError) ExitStatus() int { return e.Verdict.ExitCode() }

func newResult(command, root string) *Result {
	return &Result{Command: command, Root: root, Checks: []Check{}, Problems: []Problem{}, Unverified: []Problem{}}
}

func (r *Result) check(name string, verdict evidence.Verdict, format string, args ...any) {
	r.Checks = append(r.Checks, Check{name, verdict, fmt.Sprintf(format, args...)})
}

func (r *Result) problem(code, path, format string, args ...any) {
	p := Problem{Code: code, Path: path, Detail: fmt.Sprintf(format, args...)}
	if code == string(seal.CodeInterrupted) { // a check that was stopped refutes nothing
		r.Unverified = append(r.Unverified, p)
		return
	}
	r.Problems = append(r.Problems, p)
}

func (r *Result) unverified(code, format string, args ...any) {
	r.Unverified = append(r.Unverified, Problem{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// sealProblems takes over what package seal found, and says whether that was anything.
func (r *Result) sealProblems(problems []seal.Problem) bool {
	for _, p := range problems {
		r.problem(string(p.Code), p.Path, "%s", p.Detail)
	}
	return len(problems) > 0
}

// sealError is sealProblems for an error of package seal.
func (r *Result) sealError(err error) {
	var refused *seal.Error
	if errors.As(err, &refused) {
		r.sealProblems(refused.Problems)
		if err = refused.Cause; err == nil {
			return
		}
	}
	code := seal.CodeUnreadable
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		code = seal.CodeInterrupted
	}
	r.problem(string(code), "", "%v", err)
}

// logError takes over an error of package tlog: a problem for each reason in it.
func (r *Result) logError(err error) {
	detail := strings.ReplaceAll(err.Error(), "\n", "; ")
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		r.problem(string(seal.CodeInterrupted), "", "%s", detail)
		return
	}
	known := false
	for _, reason := range []struct {
		is   error
		code string
	}{
		{tlog.ErrMalformed, CodeMalformed},
		{tlog.ErrOrigin, CodeOrigin},
		{tlog.ErrUnsigned, CodeUnsigned},
		{tlog.ErrBadSignature, CodeBadSignature},
		{tlog.ErrTruncated, CodeTruncated},
		{tlog.ErrRollback, CodeRollback},
		{tlog.ErrForked, CodeForked},
		{tlog.ErrCorrupt, CodeCorrupt},
		{tlog.ErrUnexpected, CodeUnexpected},
	} {
		if errors.Is(err, reason.is) {
			known = true
			r.problem(reason.code, "", "%s", detail)
		}
	}
	if !known {
		r.problem(CodeLogUnread, "", "%s", detail)
	}
}

// finish derives the verdict, shows the result and returns what mage is to know.
func (r *Result) finish(o Options) error {
	var bad error
	switch {
	case len(r.Problems) > 0:
		r.Verdict = evidence.Fail
	case len(r.Unverified) > 0:
		r.Verdict = evidence.Unverified
	default:
		r.Verdict = evidence.Pass
	}
	if r.Verdict != evidence.Pass {
		e := &NotGreenError{Command: r.Command, Verdict: r.Verdict}
		for _, p := range slices.Concat(r.Problems, r.Unverified) {
			e.Codes = append(e.Codes, p.Code)
		}
		slices.Sort(e.Codes)
		e.Codes = slices.Compact(e.Codes)
		bad = e
	}
	var err error
	if o.Format == "json" {
		enc := json.NewEncoder(o.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		_, err = io.WriteString(o.Stdout, r.text())
	}
	if bad != nil || err == nil {
		return bad // as it is: mage looks for the exit status on this very error
	}
	return fmt.Errorf("%s: %w", r.Command, err)
}

var marks = map[evidence.Verdict]string{evidence.Pass: "ok", evidence.Fail: "FAIL", evidence.Unverified: "ERR", evidence.Skip: "skip"}

// text is the result for a reader. What comes from files is shown, never obeyed.
func (r *Result) text() string {
	if r.Verification != nil {
		return r.verification()
	}
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(clean(fmt.Sprintf(format, args...)), " ") + "\n")
	}
	if r.Entries != nil {
		line("%6s  %-20s  %-10s  %-12s  %-12s  %s", "entry", "time", "verdict", "commit", "index", "run")
		for _, e := range *r.Entries {
			line("%6d  %-20s  %-10s  %-12s  %-12s  %s", e.Number, e.Time.UTC().Format("2006-01-02T15:04:05Z"), e.Verdict, short(e.Commit), short(e.IndexSHA256), e.Run)
		}
	}
	for _, c := range r.Checks {
		line("  %-4s %-9s  %s", marks[c.Verdict], c.Name, c.Fact)
	}
	if r.Verifier != "" {
		line("  key  verifier   %s", r.Verifier)
	}
	b.WriteByte('\n')
	for _, p := range slices.Concat(r.Problems, r.Unverified) {
		if p.Path != "" {
			line("  %s: %s  [%s]", p.Path, p.Detail, p.Code)
		} else {
			line("  %s  [%s]", p.Detail, p.Code)
		}
	}
	if r.Verdict != evidence.Pass {
		line("  runbook  docs/runbooks.md#evidence")
		b.WriteByte('\n')
	}
	if r.Root != "" {
		line("%s  mage %s  %s", r.Verdict, r.Command, r.Root)
	} else {
		line("%s  mage %s", r.Verdict, r.Command)
	}
	return b.String()
}

// clean keeps a line a line: what does not print is escaped.
func clean(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

func short(digest string) string {
	if digest == "" {
		return "-"
	}
	return digest[:min(12, len(digest))]
}
