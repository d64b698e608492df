// Package tables makes the tables of this project's pages out of its source:
// what the engine declares, the targets, the gates, and the text of the code.
// Each function returns Markdown. What a table is made of that belongs to another family of
// gates is handed in.
package tables

import (
	"slices"
	"strings"
)

// table is a table in Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + cell(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// cell escapes what Markdown would take for something else: a bar ends the cell, and
// text in angle brackets outside of code is taken for HTML and not shown.
func cell(text string) string {
	parts := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " "), "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(parts[i], "<", `\<`)
	}
	return strings.Join(parts, "`")
}

func mono[T ~string](words []T) string {
	marked := make([]string, len(words))
	for i, w := range words {
		marked[i] = "`" + string(w) + "`"
	}
	return strings.Join(marked, ", ")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
