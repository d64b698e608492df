package terminal

import (
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/proc"
)

// The workflow commands are described at
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
// and read by ActionCommand.cs of https://github.com/actions/runner.

// The kinds of annotations: FAIL is an error, UNVERIFIED a warning, for a tool
// that broke is no mistake in the line it would have looked at.
const (
	kindError   = "error"
	kindWarning = "warning"
)

// maxAnnotations is how many annotations of a kind GitHub shows for a step of
// a workflow. One mage call is one such step, so the budget is the process's.
const maxAnnotations = 10

// inert is a line that the runner does not take for a command. It looks for
// "::" after leading white space, and for the old form "##[" anywhere.
func inert(line string) string {
	line = strings.ReplaceAll(line, "##[", `##\[`)
	rest := strings.TrimLeftFunc(line, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsMark(r) })
	if strings.HasPrefix(rest, "::") {
		line = line[:len(line)-len(rest)] + `\` + rest
	}
	return line
}

// group folds the output of programs. A group must not hold anything of ours:
// it is closed when the log is opened. Inside, commands are stopped, so that
// the output shows as it is and none of it is obeyed.
func (p *Printer) group(b *strings.Builder, title, text string) {
	token := p.opts.StopToken
	// The runner compares without regard to case.
	stop := token != "" && !strings.Contains(strings.ToLower(text), strings.ToLower(token))
	fmt.Fprintf(b, "::group::%s\n", data(title))
	if stop {
		fmt.Fprintf(b, "::stop-commands::%s\n", token)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if !stop {
			line = inert(line)
		}
		b.WriteString(strings.TrimRight("    "+line, " \t") + "\n")
	}
	if stop {
		fmt.Fprintf(b, "::%s::\n", token)
	}
	b.WriteString("::endgroup::\n")
}

// annotate adds annotations for the first findings. The steps take turns, so
// that a step with many findings does not hide those of another.
func (p *Printer) annotate(b *strings.Builder, steps []evidence.Step) {
	queues := make([][]annotation, len(steps))
	for i, step := range steps {
		queues[i] = p.annotations(step)
	}
	for turn, more := 0, true; more; turn++ {
		more = false
		for _, queue := range queues {
			if turn >= len(queue) {
				continue
			}
			more = true
			if a := queue[turn]; p.left[a.kind] > 0 {
				p.left[a.kind]--
				b.WriteString(a.command())
			}
		}
	}
}

// annotation is a mark that GitHub shows at a file, or for the run if there is none.
type annotation struct {
	kind, file  string
	line        int
	title, text string
}

func (p *Printer) annotations(step evidence.Step) []annotation {
	var list []annotation
	count := map[string]int{}
	add := func(a annotation) {
		if count[a.kind]++; count[a.kind] <= maxAnnotations {
			list = append(list, a)
		}
	}
	id := p.oneLine(step.ID)
	if bad(step.Verdict) && step.Cause != evidence.CauseNone && !follows(step.Cause) {
		add(annotation{kind: kindWarning, title: step.Verdict.String() + " " + id, text: p.cause(step)})
	}
	for _, c := range problems(step) {
		a := annotation{kind: kindError, title: id + " " + p.oneLine(c.Code), text: p.finding(c)}
		if c.Verdict != evidence.Fail {
			a.kind = kindWarning
		}
		if file := path.Clean(c.Path); c.Path != "" && proc.Printable(c.Path) == c.Path && !path.IsAbs(file) && file != ".." && !strings.HasPrefix(file, "../") {
			a.file, a.line = file, c.Line
		}
		if c.Fix != "" {
			a.text += "\n" + p.style.arrow + p.oneLine(c.Fix)
		}
		add(a)
	}
	return list
}

func (a annotation) command() string {
	var properties []string
	if a.file != "" {
		properties = append(properties, "file="+property(a.file))
		if a.line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", a.line))
		}
	}
	properties = append(properties, "title="+property(a.title))
	return fmt.Sprintf("::%s %s::%s\n", a.kind, strings.Join(properties, ","), data(a.text))
}

// data escapes the message of a command, property one of its properties.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}
