package archive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/evidence/verify"
)

// single says whether one run folder is meant, and nothing is to be held
// against it but itself and the log.
func (o Options) single() bool {
	t := o.Trust
	if t.Policy+t.PolicySHA256+t.Commit+t.Run+t.Version != "" || len(t.Require) > 0 {
		return false
	}
	info, err := os.Stat(o.Root)
	if err != nil || !info.IsDir() {
		return true // refused as such
	}
	for _, name := range []string{folder.IndexJSON, folder.RecordJSON} {
		if _, err := os.Lstat(filepath.Join(o.Root, name)); err == nil {
			return true
		}
	}
	return false
}

// verifyAll holds a directory of evidence against a policy.
func (o Options) verifyAll(ctx context.Context, command string, verifier note.Verifier) error {
	t := o.Trust
	if t.PolicySHA256 != "" && t.Policy == "" {
		return usage(command, "-policySha256 without -policy")
	}
	ask := policy.Ask{Commit: t.Commit, Run: t.Run, Version: t.Version}
	if err := ask.Check(); err != nil {
		return usage(command, "%v", err)
	}
	for _, gate := range t.Require {
		if !policy.IsGate(gate) {
			return usage(command, "-require: %q is not the name of a gate such as ci:test", gate)
		}
	}
	if info, err := os.Stat(o.Root); err == nil && info.Mode().IsRegular() {
		if err := verify.Archive(ctx, o.Root); err != nil && verify.IsUnsafe(err) {
			r := newResult(command, o.Root)
			r.problem(string(verify.CodeArchive), "", "%v", err)
			return r.finish(o)
		}
		return usage(command, "-root=%s is a file: give the folder that it was unpacked to", o.Root)
	}
	opts := verify.Options{
		Ask: ask, Require: t.Require, Now: t.Now, LogVerifier: verifier, Certificates: t.Certificates,
		Redactor: redact.New(t.Environ, sign.EnvMACKey, sign.EnvKey, sign.EnvPassword, EnvLogKey),
	}
	if opts.Now.IsZero() {
		opts.Now = time.Now()
	}
	if o.Getenv(sign.EnvMACKey) != "" {
		opts.MAC = []byte(o.Getenv(sign.EnvMACKey))
	}
	// A log below the root is found there. That of this checkout is of the
	// evidence of this checkout.
	ours := !o.anyLog || inside(o.Artifacts, filepath.Join(o.Root, "x"))
	if _, err := os.Lstat(o.Log); err == nil && ours && !inside(o.Root, filepath.Join(o.Log, "checkpoint")) {
		opts.Log = o.Log
	}
	r := newResult(command, o.Root)
	if t.Policy != "" {
		trust, err := policy.Load(t.Policy, t.PolicySHA256)
		if reason := strict.ReasonOf(err); reason != "" {
			r.problem(string(reason), t.Policy, "%v", err)
			r.check("policy", evidence.Fail, "it is refused, so nothing was held against it")
			return r.finish(o)
		} else if err != nil {
			return usage(command, "-policy=%s: %v", t.Policy, err)
		}
		opts.Policy = trust
		if len(opts.MAC) > 0 {
			if _, err := trust.Trust(opts.MAC); err != nil {
				return usage(command, "%s: %v", sign.EnvMACKey, err)
			}
		}
	}
	report := verify.Verify(ctx, o.Root, opts)
	r.adopt(report)
	return r.finish(o)
}

// adopt takes over a report.
func (r *Result) adopt(report verify.Report) {
	r.Verification = &report
	take := func(to *[]Problem, problems []verify.Problem) {
		for _, p := range problems {
			*to = append(*to, Problem{Code: string(p.Code), Path: p.Path, Gate: p.Gate, Detail: p.Detail})
		}
	}
	take(&r.Problems, report.Problems)
	take(&r.Unverified, report.Unverified)
	if p := report.Policy; p != nil {
		r.check("policy", evidence.Pass, "%s, for %s: sha256:%s", p.Name, p.Use, p.SHA256)
	} else {
		r.check("policy", evidence.Unverified, "none: nothing says whose word counts")
	}
	whole := 0
	for _, f := range report.Folders {
		if f.Whole {
			whole++
		}
	}
	verdict := evidence.Pass
	if whole < len(report.Folders) || len(report.Folders)+len(report.Artifacts) == 0 {
		verdict = evidence.Fail
	}
	r.check("files", verdict, "%s, %d bytes; %d of %s as it was sealed, %s beside", count(report.Files, "file"), report.Bytes, whole, count(len(report.Folders), "folder"), count(len(report.Artifacts), "file"))
	signed := 0
	for _, s := range report.Statements {
		if s.Signer != "" {
			signed++
		}
	}
	verdict = evidence.Pass
	if signed < len(report.Statements) || signed == 0 {
		verdict = evidence.Unverified
	}
	r.check("signed", verdict, "%d of %s, each by a signer of the policy", signed, count(len(report.Statements), "statement"))
	for _, l := range report.Logs {
		verdict = evidence.Unverified
		if l.Trust == "signed" {
			verdict = evidence.Pass
		}
		r.check("log", verdict, "%s in %s, %s", entries(l.Size), l.Origin, l.Trust)
	}
}

// verification is the report for a reader: a line for each gate, then what was
// looked at, then what is wrong and what to do about it.
func (r *Result) verification() string {
	report := r.Verification
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(clean(fmt.Sprintf(format, args...)), " ") + "\n")
	}
	width := len("gate")
	for _, g := range report.Gates {
		width = max(width, min(len(g.Gate), 32))
	}
	if len(report.Gates) > 0 {
		line("       %-*s  %-10s  %-20s  %-6s  %s", width, "gate", "result", "signer", "age", "evidence")
	}
	for _, g := range report.Gates {
		result, by, age, where := "-", "-", "-", "none"
		if g.Path != "" {
			result, where = g.Result.String(), g.Path
			age = ago(time.Duration(g.AgeSeconds) * time.Second)
		}
		if g.Signer != "" {
			by = g.Signer
			if g.Class != sign.ClassSigned {
				by += " " + g.Class
			}
		}
		if len(g.Codes) > 0 {
			var codes []string
			for _, c := range g.Codes {
				codes = append(codes, string(c))
			}
			where += "  [" + strings.Join(codes, ", ") + "]"
		}
		line("  %-4s %-*s  %-10s  %-20s  %-6s  %s", marks[g.Verdict], width, g.Gate, result, by, age, where)
	}
	if len(report.Gates) > 0 {
		b.WriteByte('\n')
	}
	for _, c := range r.Checks {
		line("  %-4s %-9s  %s", marks[c.Verdict], c.Name, c.Fact)
	}
	b.WriteByte('\n')
	fixed := map[string]bool{}
	for _, p := range slices.Concat(r.Problems, r.Unverified) {
		about := slices.DeleteFunc([]string{p.Gate, p.Path}, func(s string) bool { return s == "" })
		if len(about) > 0 {
			line("  %s: %s  [%s]", strings.Join(about, " "), p.Detail, p.Code)
		} else {
			line("  %s  [%s]", p.Detail, p.Code)
		}
		// Once for each code: many files can have one problem.
		if fix := verify.ReasonOf(verify.Code(p.Code)).Fix; fix != "" && !fixed[p.Code] {
			fixed[p.Code] = true
			line("      fix  %s", fix)
		}
	}
	for _, p := range report.Waived {
		line("  waived  %s: %s  [%s], granted by %s", p.Gate, p.Detail, p.Code, p.WaivedBy)
	}
	for _, n := range report.Notes {
		line("  note  %s", strings.TrimSpace(strings.Join([]string{n.Gate, n.Path}, " ")+": "+n.Detail))
	}
	if r.Verdict != evidence.Pass {
		line("  runbook  %s", PolicyRunbook)
	}
	if len(r.Problems)+len(r.Unverified)+len(report.Waived)+len(report.Notes) > 0 {
		b.WriteByte('\n')
	}
	line("%s  mage %s  %s", r.Verdict, r.Command, r.Root)
	return b.String()
}

// PolicyRunbook is where all codes of a verification with a policy are explained.
const PolicyRunbook = "docs/runbooks.md#evidence-policy"

// ago is an age in its largest unit.
func ago(age time.Duration) string {
	switch {
	case age < time.Minute:
		return fmt.Sprintf("%ds", int(age.Seconds()))
	case age < time.Hour:
		return fmt.Sprintf("%dm", int(age.Minutes()))
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", int(age.Hours()))
	}
	return fmt.Sprintf("%dd", int(age.Hours()/24))
}
