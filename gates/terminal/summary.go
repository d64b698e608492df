package terminal

import (
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// maxSummary bounds the step summary, in bytes. GitHub takes 1 MiB for a step
// of a workflow and drops the whole of a longer one.
const maxSummary = 1_000_000

// writeSummary writes the page of the record to the step summary.
func (p *Printer) writeSummary(e gates.Event) {
	end := e.End
	if end == nil {
		end = &gates.RunEnd{Trouble: "how the run ended could not be shown"}
	}
	where := folder.RecordMD
	if end.Folder != "" {
		where = p.oneLine(end.Folder) + "/" + folder.RecordMD
	}
	text, trouble := "", end.Trouble
	if end.Record == nil && trouble == "" {
		trouble = "there is no record"
	}
	if trouble != "" {
		// First, for the page below may say PASS, and its end may be cut.
		text = fmt.Sprintf("# %s: trouble with the evidence\n\n", verdict(end))
		for line := range strings.SplitSeq(trouble, "\n") {
			// Four spaces: a code block, in which nothing is Markdown.
			text += "    " + p.oneLine(line) + "\n"
		}
		text += "\n"
	}
	if end.Record != nil {
		text += proc.Printable(render.Markdown(end.Record))
	}
	text = fit(text, maxSummary-p.summaryUsed, fmt.Sprintf("\n\nThe page was cut here: GitHub takes no more. All of it is in `%s`.\n", strings.ReplaceAll(where, "`", "'")))
	p.summaryUsed += int64(len(text))
	p.write(p.opts.Summary, text)
}

// fit cuts text after a line so that it has no more than limit bytes, and says so.
func fit(text string, limit int64, note string) string {
	if int64(len(text)) <= limit {
		return text
	}
	room := limit - int64(len(note))
	if room < 0 {
		return ""
	}
	return text[:strings.LastIndexByte(text[:room], '\n')+1] + note
}
