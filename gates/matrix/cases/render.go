package cases

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Schema identifies the list that [JSON] writes.
const Schema = "https://github.com/dpone/dpone/gates/matrix/cases/v1"

// JSON writes the cases for other programs, indented and with a final newline.
func JSON(cases []Case) ([]byte, error) {
	if cases == nil {
		cases = []Case{}
	}
	raw, err := json.MarshalIndent(struct {
		Schema string `json:"schema"`
		Total  int    `json:"total"`
		Cases  []Case `json:"cases"`
	}{Schema, len(cases), cases}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("list of cases: %w", err)
	}
	return append(raw, '\n'), nil
}

// Table writes the cases for a terminal: one line each, and a last one that counts them.
func Table(cases []Case) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CASE\tSTRATEGY\tSERVICES\tCREDENTIALS\tGUIDE")
	for _, c := range cases {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.ID, c.Strategy, services(c), credentials(c), c.Guide)
	}
	_ = t.Flush() // writes into memory
	fmt.Fprintf(&b, "%s, %s\n", count(len(cases), "case"), count(len(distinct(cases, pairOf)), "pair"))
	return b.String()
}

// Arithmetic writes in Markdown how many cases there are and why: a table of sources
// and sinks with sums, and the formula that gives the total.
func Arithmetic(cases []Case) string {
	sources, sinks := distinct(cases, sourceOf), distinct(cases, sinkOf)
	cells := map[[2]string]int{}
	for _, c := range cases {
		cells[[2]string{c.Source, c.Sink}]++
		cells[[2]string{c.Source, ""}]++
		cells[[2]string{"", c.Sink}]++
	}
	var b strings.Builder
	head := append([]string{"From \\ into"}, code(sinks)...)
	writeRow(&b, append(head, "sum"))
	b.WriteString("| --- |" + strings.Repeat(" ---: |", len(sinks)+1) + "\n")
	for _, source := range sources {
		row := code([]string{source})
		for _, sink := range sinks {
			row = append(row, strconv.Itoa(cells[[2]string{source, sink}]))
		}
		writeRow(&b, append(row, strconv.Itoa(cells[[2]string{source, ""}])))
	}
	row := []string{"**sum**"}
	for _, sink := range sinks {
		row = append(row, strconv.Itoa(cells[[2]string{"", sink}]))
	}
	writeRow(&b, append(row, "**"+strconv.Itoa(len(cases))+"**"))
	b.WriteString("\n" + formula(cases))
	return b.String()
}

// term is a part of the formula: strategies that the same pairs have.
type term struct {
	pairs, sources, sinks []string
	strategies            []string
}

// terms groups the strategies by the pairs that have them, those of all pairs first.
func terms(cases []Case) []term {
	var list []term
	for _, strategy := range distinct(cases, strategyOf) {
		var with []Case
		for _, c := range cases {
			if strategyOf(c) == strategy {
				with = append(with, c)
			}
		}
		pairs := distinct(with, pairOf)
		i := slices.IndexFunc(list, func(t term) bool { return slices.Equal(t.pairs, pairs) })
		if i < 0 {
			i = len(list)
			list = append(list, term{pairs: pairs, sources: distinct(with, sourceOf), sinks: distinct(with, sinkOf)})
		}
		list[i].strategies = append(list[i].strategies, strategy)
	}
	slices.SortStableFunc(list, func(a, b term) int { return len(b.pairs) - len(a.pairs) })
	return list
}

func formula(cases []Case) string {
	pairs := len(distinct(cases, pairOf))
	var sum, lines []string
	for _, t := range terms(cases) {
		sum = append(sum, fmt.Sprintf("%d x %d", len(t.pairs), len(t.strategies)))
		var where string
		switch {
		case len(t.pairs) == pairs:
			where = "all " + count(pairs, "pair")
		case len(t.pairs) == len(t.sources)*len(t.sinks):
			where = fmt.Sprintf("%s from %s into %s", count(len(t.pairs), "pair"), strings.Join(code(t.sources), ", "), strings.Join(code(t.sinks), ", "))
		default: // a list that somebody picked
			where = fmt.Sprintf("%s (%s)", count(len(t.pairs), "pair"), strings.Join(code(t.pairs), ", "))
		}
		lines = append(lines, fmt.Sprintf("- %s x %d: %s\n", where, len(t.strategies), strings.Join(code(t.strategies), ", ")))
	}
	if len(sum) == 0 {
		return "No cases.\n"
	}
	return fmt.Sprintf("Pairs x strategies: %s = **%s**\n\n%s", strings.Join(sum, " + "), count(len(cases), "case"), strings.Join(lines, ""))
}

// Page writes the part of a page in docs/ that tells of the cases: the arithmetic and
// a table of all of them, in Markdown.
func Page(cases []Case) string {
	var b strings.Builder
	b.WriteString(Arithmetic(cases) + "\n")
	writeRow(&b, []string{"Case", "Guide", "Services", "Own credentials"})
	b.WriteString("| --- | --- | --- | --- |\n")
	for _, c := range cases {
		writeRow(&b, []string{
			"`" + c.ID + "`",
			fmt.Sprintf("[%s](%s)", c.Strategy, strings.TrimPrefix(c.Guide, "docs/")),
			services(c), credentials(c),
		})
	}
	return b.String()
}

func writeRow(b *strings.Builder, cells []string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func code(names []string) []string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "`" + n + "`"
	}
	return quoted
}

func services(c Case) string {
	if len(c.Services) == 0 {
		return "none"
	}
	return strings.Join(c.Services, ", ")
}

func credentials(c Case) string {
	if c.Credentials {
		return "yes"
	}
	return "no"
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

func sourceOf(c Case) string   { return c.Source }
func sinkOf(c Case) string     { return c.Sink }
func pairOf(c Case) string     { return c.Pair }
func strategyOf(c Case) string { return string(c.Strategy) }
