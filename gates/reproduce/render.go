package reproduce

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
)

const (
	// maxShown is how many differences of a group a page shows; JSON has them all.
	maxShown = 20
	// maxValue bounds a value that a page shows, in bytes.
	maxValue = 240
)

// aside is above the circumstances, lest anybody takes them for facts.
const aside = "circumstances, which differ from run to run and prove nothing"

// sides are what the two records are called.
func (r *Result) sides() (a, b string) {
	if r.Command == reproduceCommand {
		return "recorded", "now"
	}
	return "a", "b"
}

// text is the result for a reader. What comes from records is shown, never obeyed.
func (r *Result) text() string {
	var b strings.Builder
	line := func(format string, args ...any) {
		text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
		// A workflow runner takes such a line for a command.
		if begin := strings.TrimLeft(text, " "); strings.HasPrefix(begin, "::") || strings.HasPrefix(begin, "##[") {
			text = `\` + begin
		}
		b.WriteString(text + "\n")
	}
	if r.Report != nil {
		r.textReport(line)
	} else if r.Recorded != nil {
		line("recorded  %s %s, run %s, commit %s", printable(r.Recorded.Gate), r.Recorded.Verdict, printable(r.Recorded.Run), printable(short(r.Recorded.Commit)))
		line("line      %s", printable(r.Line))
	}
	for _, n := range r.Notes {
		line("note: %s", printable(n))
	}
	if len(r.Reasons) > 0 {
		line("")
		for _, reason := range r.Reasons {
			line("  %s  [%s]", printable(reason.Detail), reason.Code)
		}
		line("  runbook  docs/runbooks.md#%s", strings.ReplaceAll(r.Command, ":", "-"))
	}
	line("")
	if r.Kept != "" {
		line("kept in %s", printable(r.Kept))
	}
	line("%s  mage %s  %s", r.Verdict, r.Command, r.Outcome)
	return b.String()
}

func (r *Result) textReport(line func(string, ...any)) {
	report := r.Report
	nameA, nameB := r.sides()
	row := func(name, a, b string) { line("%-24s  %-24s  %s", printable(name), printable(a), printable(b)) }
	for _, c := range r.head() {
		row(c[0], c[1], c[2])
	}
	for _, s := range report.Steps {
		row("  "+s.ID, verdict(s.A), verdict(s.B))
	}
	list := func(title string, differences []difference.Difference) {
		line("")
		line("%s", title)
		for i, d := range differences {
			if i == maxShown {
				line("  and %d more; -format=json has all", len(differences)-i)
				break
			}
			line("  %s", printable(d.Path))
			line("    %-8s  %s", nameA, shown(d.A))
			line("    %-8s  %s", nameB, shown(d.B))
		}
	}
	for _, g := range report.Groups {
		list(g.Name, g.Differences)
	}
	if len(report.Circumstances) > 0 {
		list(aside, report.Circumstances)
	}
	line("")
}

// head are the rows above the steps: name, a, b.
func (r *Result) head() [][3]string {
	nameA, nameB := r.sides()
	a, b := r.Report.A, r.Report.B
	return [][3]string{
		{"", nameA, nameB},
		{"gate", a.Gate, b.Gate},
		{"run", a.Run, b.Run},
		{"commit", short(a.Commit), short(b.Commit)},
		{"stable digest", digest(a.StableDigest), digest(b.StableDigest)},
		{"verdict", a.Verdict.String(), b.Verdict.String()},
	}
}

func digest(d string) string { return short(strings.TrimPrefix(d, "sha256:")) }

func verdict(v *evidence.Verdict) string {
	if v == nil {
		return "-"
	}
	return v.String()
}

// shown is a value, short enough for a line.
func shown(raw json.RawMessage) string {
	if raw == nil {
		return "(nothing)"
	}
	text := printable(brief(raw))
	if len(text) > maxValue {
		text = strings.ToValidUTF8(text[:maxValue], "") + "..."
	}
	return text
}

// brief is a check or a step as one would tell it, and any other value as it is.
func brief(raw json.RawMessage) string {
	var v struct {
		Verdict, Observed, Expected, Reason *string
		Checks                              *[]json.RawMessage
	}
	if raw[0] != '{' || json.Unmarshal(raw, &v) != nil || v.Verdict == nil {
		return string(raw)
	}
	switch {
	case v.Reason != nil:
		return *v.Verdict + ": " + *v.Reason
	case v.Observed != nil && v.Expected != nil:
		return *v.Verdict + ": " + *v.Observed + ", expected " + *v.Expected
	case v.Checks != nil && len(*v.Checks) == 1:
		return *v.Verdict + ", 1 check"
	case v.Checks != nil:
		return fmt.Sprintf("%s, %d checks", *v.Verdict, len(*v.Checks))
	}
	return string(raw)
}

// printable keeps a line a line: what does not print is escaped.
func printable(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// markdown is the result as a part of a page, a comment for example.
func (r *Result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s\n", r.Verdict, r.Outcome)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "\n- %s (%s)\n", code(reason.Detail), reason.Code)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n- note: %s\n", code(n))
	}
	if r.Report == nil {
		return b.String()
	}
	b.WriteByte('\n')
	row := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	for i, c := range r.head() {
		if i == 0 {
			row(c[:]...)
			row("---", "---", "---")
			continue
		}
		row(c[0], code(c[1]), code(c[2]))
	}
	for _, s := range r.Report.Steps {
		row(code(s.ID), verdict(s.A), verdict(s.B))
	}
	nameA, nameB := r.sides()
	list := func(title string, differences []difference.Difference) {
		fmt.Fprintf(&b, "\n### %s\n\n", strings.ToUpper(title[:1])+title[1:])
		row("Where", nameA, nameB)
		row("---", "---", "---")
		for i, d := range differences {
			if i == maxShown {
				fmt.Fprintf(&b, "\nand %d more\n", len(differences)-i)
				break
			}
			row(code(d.Path), code(shown(d.A)), code(shown(d.B)))
		}
	}
	for _, g := range r.Report.Groups {
		list(g.Name, g.Differences)
	}
	if len(r.Report.Circumstances) > 0 {
		list(aside, r.Report.Circumstances)
	}
	return b.String()
}

// plainMarks are the marks that neither Markdown nor HTML takes for anything in a line.
const plainMarks = ` .,;/-=+"'(){}?%`

// code shows text as it is, in a cell of a table: all that Markdown, HTML or a
// code host could take for something else is written by its number.
func code(s string) string {
	var b strings.Builder
	for _, c := range printable(s) {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune(plainMarks, c) {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, "&#%d;", c)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "<code>" + b.String() + "</code>"
}
