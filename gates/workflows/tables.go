package workflows

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Table is a part of a page that is made from the inventory. In the page it stands between
// <!-- generated: NAME --> and <!-- /generated -->.
type Table struct {
	Name string
	Page string // relative to the root
	Text string // Markdown, without an empty line before or after it
}

// The pages with tables.
const (
	indexPage     = "docs/cicd/README.md"
	referencePage = "docs/cicd/workflows.md"
	guidePage     = "docs/cicd/developer-guide.md"
)

// Tables are all parts of pages that are made from an inventory. Links in them are relative to docs/cicd.
func Tables(i Inventory) []Table {
	i = i.withDefaults()
	tables := []Table{
		{"workflow-inventory", indexPage, i.inventoryTable()},
		{"workflow-baseline", indexPage, i.baselineTable()},
		{"workflow-scheduled", indexPage, i.scheduledTable()},
		{"workflow-permissions", indexPage, i.permissionTable()},
		{"workflow-secrets", indexPage, i.secretTable()},
		{"workflow-artifacts", indexPage, i.artifactTable()},
		{"workflow-by-hand", referencePage, reasonTable("No workflow calls it, because", i.ByHand)},
		{"workflow-slow", guidePage, reasonTable("No pull request starts it, because", i.Slow)},
		{"workflow-rules", guidePage, ruleTable()},
	}
	for _, w := range i.Workflows {
		if w.State == Present {
			tables = append(tables, Table{"workflow-" + strings.TrimSuffix(w.File, ".yml"), referencePage, i.reference(w)})
		}
	}
	return tables
}

// table is a table of Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, row := range rows {
		line(row)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// mono sets each text as code.
func mono(texts ...string) string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = "`" + text + "`"
	}
	return strings.Join(out, ", ")
}

func commands(targets []string) string {
	out := make([]string, len(targets))
	for i, target := range targets {
		out[i] = "`mage " + target + "`"
	}
	return strings.Join(out, ", ")
}

func (w Workflow) path() string { return dir + "/" + w.File }

func (w Workflow) link() string {
	if w.State == Present {
		return fmt.Sprintf("[`%s`](../../%s)", w.path(), w.path())
	}
	return "`" + w.path() + "`"
}

// words are the trigger for a reader.
func (t Trigger) words(branch string) string {
	var words []string
	change := ""
	if len(t.Paths) > 0 {
		change = " that changes " + mono(t.Paths...)
	}
	switch {
	case t.Push && t.PullRequest:
		words = append(words, "push and pull request to `"+branch+"`"+change)
	case t.Push:
		words = append(words, "push to `"+branch+"`"+change)
	case t.PullRequest:
		words = append(words, "pull request to `"+branch+"`"+change)
	}
	if len(t.Tags) > 0 {
		words = append(words, "tag "+mono(t.Tags...))
	}
	for _, event := range t.Others {
		words = append(words, "`"+event+"`")
	}
	if t.Schedule != "" {
		words = append(words, schedule(t.Schedule))
	}
	if t.ByHand {
		words = append(words, "by hand")
	}
	return strings.Join(words, "; ")
}

var cron = regexp.MustCompile(`^(\d{1,2}) (\d{1,2}) \* \* ([0-6*])$`)

// schedule says a cron line in words, when it is daily or weekly.
func schedule(line string) string {
	m := cron.FindStringSubmatch(line)
	if m == nil {
		return "schedule `" + line + "`"
	}
	day := "every day"
	if m[3] != "*" {
		day = time.Weekday(m[3][0]-'0').String() + "s"
	}
	return fmt.Sprintf("%s %02s:%02s UTC (`%s`)", day, m[2], m[1], line)
}

func (i Inventory) inventoryTable() string {
	var rows [][]string
	for _, w := range i.Workflows {
		name := w.Name
		if w.State == Present {
			name = fmt.Sprintf("[%s](workflows.md#%s)", w.Name, anchor(w.Name))
		}
		rows = append(rows, []string{name, w.link(), w.On.words(i.Branch), w.Required, w.Purpose, string(w.State)})
	}
	return table([]string{"Workflow", "File", "Starts on", "Required", "What for", "State"}, rows)
}

// anchor is that of a heading: letters, digits and dashes.
func anchor(heading string) string {
	return strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func (i Inventory) baselineTable() string {
	var rows [][]string
	for _, f := range i.Families {
		rows = append(rows, []string{"`" + f.Name + "`", "`" + f.Min + "`", f.Why})
	}
	return table([]string{"Action", "Oldest version", "Why"}, rows)
}

func (i Inventory) scheduledTable() string {
	var rows [][]string
	for _, w := range i.Workflows {
		if w.State != Present || w.On.Schedule == "" {
			continue
		}
		var called []string
		for _, job := range w.Jobs {
			called = append(called, job.Gates...)
		}
		rows = append(rows, []string{w.Name, schedule(w.On.Schedule), commands(called)})
	}
	return table([]string{"Workflow", "When", "Gates"}, rows)
}

func (i Inventory) permissionTable() string {
	var rows [][]string
	for _, w := range i.Workflows {
		for _, job := range w.Jobs {
			for _, g := range job.Grants {
				rows = append(rows, []string{mono(w.File), mono(job.ID), mono(g.Scope), g.Reason})
			}
		}
	}
	return table([]string{"Workflow", "Job", "Permission", "Why"}, rows)
}

func (i Inventory) secretTable() string {
	var rows [][]string
	for _, w := range i.Workflows {
		for _, job := range w.Jobs {
			for _, s := range job.Secrets {
				rows = append(rows, []string{mono(s.Name), mono(w.File), mono(job.ID), s.For, s.Rotation})
			}
		}
	}
	return table([]string{"Secret", "Workflow", "Job", "What it is", "How to replace it"}, rows)
}

func (i Inventory) artifactTable() string {
	var rows [][]string
	for _, w := range i.Workflows {
		for _, job := range w.Jobs {
			for _, a := range job.Artifacts {
				rows = append(rows, []string{mono(a.Name), mono(w.File), mono(a.Path), fmt.Sprintf("%d days", a.Days), a.Purpose})
			}
		}
	}
	return table([]string{"Artifact", "Workflow", "Made of", "Kept", "What is in it"}, rows)
}

func reasonTable(why string, reasons []Reason) string {
	var rows [][]string
	for _, r := range reasons {
		rows = append(rows, []string{"`mage " + r.Target + "`", r.Why})
	}
	return table([]string{"Target", why}, rows)
}

func ruleTable() string {
	var rows [][]string
	for _, r := range Rules() {
		rows = append(rows, []string{fmt.Sprintf("[`%s`](../runbooks.md#%s)", r.Code, strings.ReplaceAll(r.Code, ".", "-")), r.Holds})
	}
	return table([]string{"Code", "What holds"}, rows)
}

// reference is the section of one workflow.
func (i Inventory) reference(w Workflow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", w.Purpose)
	rows := [][]string{
		{"File", w.link()},
		{"Starts on", w.On.words(i.Branch)},
		{"Required", w.Required},
		{"Without GitHub", mono(w.Local...)},
	}
	b.WriteString(table([]string{"Fact", "Value"}, rows))
	if len(w.On.Inputs) > 0 {
		rows = nil
		for _, in := range w.On.Inputs {
			about := in.About
			if len(in.Options) > 0 {
				about += ": " + mono(in.Options...)
			}
			rows = append(rows, []string{mono(in.Name), about, mono(in.Default)})
		}
		b.WriteString("\n\n" + table([]string{"Input", "What it chooses", "Default"}, rows))
	}
	rows = nil
	for _, job := range w.Jobs {
		var kept, rights []string
		for _, a := range job.Artifacts {
			kept = append(kept, fmt.Sprintf("`%s`, %d days", a.Name, a.Days))
		}
		for _, g := range job.Grants {
			rights = append(rights, g.Scope)
		}
		for _, s := range job.Secrets {
			rights = append(rights, s.Name)
		}
		rows = append(rows, []string{
			mono(job.ID), job.Does, dash(commands(slices.Concat(job.Gates, job.Helpers))), dash(mono(job.Actions...)), dash(mono(rights...)), dash(strings.Join(kept, "; ")),
		})
	}
	b.WriteString("\n\n" + table([]string{"Job", "What it does", "Targets", "Further actions", "Further rights and secrets", "Artifacts"}, rows))
	for _, note := range w.Notes {
		b.WriteString("\n\n" + note)
	}
	return b.String()
}

func dash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
