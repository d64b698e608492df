package fault

import (
	"fmt"
	"strings"
)

// unseen are defects of an engine that no case of the matrix can see, and who sees them.
func unseen() [][2]string {
	return [][2]string{
		{"A quality gate or a digest that passes whatever it finds", "on a load that is right it passes, too; the tests of the engine hold each gate red on rows that it must refuse"},
		{"A quarantine that swallows rows", "every row of the fixture can be read; the tests of the file and the SQLite source have rows that cannot"},
		{"A crash between two steps: rows kept after a rollback, a commit whose answer was lost, files of a load that died", "a run of this gate is not killed; `mage matrix:realLocal` kills the engine in each case, and `TestKilledAtEveryPoint` at each point"},
		{"Rows that are not flushed to disk before the commit", "only a power cut tells"},
		{"A lock that is not taken, or a snapshot that others can change", "in a case nobody else writes; the tests of the engine run writers beside the load"},
		{"An update that is left out when only one column changed", "an update of the fixture changes several columns at once; the tests of the statements change one"},
		{"An unchanged row that is written again", "its values are the same; the counters of the report tell, and the tests of the strategies hold them"},
		{"A large value that an update left alone, and that the stream of changes does not hold, lost on its way", "400 rows have no such value in PostgreSQL; from some thousand rows on they do, and `mage matrix:mockLocal` with its 10,000 rows sees it"},
		{"A session that stays open after the run", "the memory that is given back closes it, sooner or later"},
		{"A position that is kept, and not confirmed to the source", "the next run begins at the kept one; the source keeps more log than it needs"},
	}
}

// Page is the catalogue for the documents, in Markdown.
func Page() string {
	var b strings.Builder
	all := Catalogue()
	fmt.Fprintf(&b, `## Faults that the matrix must see

`+"`mage %s`"+` plants each of these %d faults in the engine, one after the other, carries out the cases that are named
beside it, and looks whether one of them becomes red. At least %d %% have to be caught; the survivors are named in
`+"`faults.md`"+` of the run. Without a fault all of these cases have to be green, else nothing is said.

A fault is a change of one source file, made with `+"`go build -overlay`"+`: the file itself stays as it is, and the engine
has no hooks for it. `+"`mage %s -only=<fault>`"+` tries one.
`, ID, len(all), leastShare, ID)
	for _, area := range Areas() {
		fmt.Fprintf(&b, "\n### %s\n\n| Fault | What is broken | Where | Cases that must see it |\n| --- | --- | --- | --- |\n", area)
		for _, f := range all {
			if f.Area == area {
				fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", f.ID, cell(f.Doc), f.File, strings.Join(f.Cases, ", "))
			}
		}
	}
	b.WriteString("\n### What no case can see\n\nFaults of these kinds are not in the catalogue, because the target is right all the same.\n\n| Fault | Why, and who sees it |\n| --- | --- |\n")
	for _, u := range unseen() {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(u[0]), cell(u[1]))
	}
	return b.String()
}
