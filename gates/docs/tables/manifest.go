package tables

import (
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/docs/generate"
)

// Manifest are the tables of the page about manifests.
func Manifest(page string) []generate.Table {
	pages := []string{page}
	return []generate.Table{
		{Name: "manifest-fields", Pages: pages, Make: plain(manifestFields)},
		{Name: "manifest-strategies", Pages: pages, Make: plain(manifestStrategies)},
		{Name: "manifest-gates", Pages: pages, Make: plain(manifestGates)},
		{Name: "manifest-families", Pages: pages, Make: plain(manifestFamilies)},
		{Name: "manifest-codes", Pages: pages, Make: plain(manifestCodes)},
	}
}

func manifestFields() string {
	var rows [][]string
	for _, f := range manifest.Fields() {
		doc := f.Doc
		if f.SameAs != "" {
			doc += " The same fields as `" + f.SameAs + "`."
		}
		rows = append(rows, []string{"`" + f.Path + "`", f.Type, yes(f.Required), f.Limits, doc})
	}
	return table([]string{"Field", "Type", "Needed", "Limits", "Meaning"}, rows)
}

func manifestStrategies() string {
	var rows [][]string
	for _, s := range manifest.Strategies() {
		rows = append(rows, []string{
			"`" + string(s.Mode) + "`", s.Summary, mono(s.Required), mono(s.Optional), s.Deletes, s.Idempotence, s.Locks,
		})
	}
	return table([]string{"Mode", "What it does", "Needs", "Takes", "Deletes", "When it runs again", "Who waits"}, rows)
}

func manifestGates() string {
	var rows [][]string
	for _, g := range manifest.Gates() {
		rows = append(rows, []string{"`" + g.Type + "`", mono(g.Required), mono(g.Allowed)})
	}
	return table([]string{"Type", "Needs", "Takes"}, rows)
}

func manifestFamilies() string {
	var rows [][]string
	for _, f := range manifest.FamilyDocs() {
		rows = append(rows, []string{"`" + f.Type + "`", mono(f.Needs), mono(f.Refuses)})
	}
	return table([]string{"Type", "Needs", "Refuses"}, rows)
}

func manifestCodes() string {
	var rows [][]string
	for _, c := range manifest.Codes() {
		rows = append(rows, []string{"`" + c.Code + "`", c.Doc})
	}
	return table([]string{"Code", "Meaning"}, rows)
}
