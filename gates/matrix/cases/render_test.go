package cases_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/gates/matrix/cases"
)

func TestRendering(t *testing.T) {
	t.Parallel()
	all := registry(t, invented())
	golden.Assert(t, cases.Table(all), "table.txt")
	golden.Assert(t, cases.Arithmetic(all), "arithmetic.md")
	golden.Assert(t, cases.Page(all), "page.md")
	raw, err := cases.JSON(all)
	assert.NilError(t, err)
	golden.Assert(t, string(raw), "cases.json")
	var back struct{ Cases []cases.Case }
	assert.NilError(t, json.Unmarshal(raw, &back))
	assert.DeepEqual(t, back.Cases, all)
	for _, text := range []string{cases.Table(all), cases.Page(all)} {
		for line := range strings.Lines(text) {
			assert.Equal(t, line, strings.TrimRight(line, " \n")+"\n")
		}
	}
}

// TestFormulaOfAPickedList has pairs that are no product of sources and sinks.
func TestFormulaOfAPickedList(t *testing.T) {
	t.Parallel()
	picked, err := cases.Select(registry(t, invented()), cases.Selection{CaseIDs: []string{
		"server_to_store__full_refresh", "store_to_server__full_refresh", "server_to_store__scd2", "feed_to_server__incremental_append",
	}})
	assert.NilError(t, err)
	golden.Assert(t, cases.Arithmetic(picked), "picked.md")
	common, err := cases.Select(registry(t, invented()), cases.Selection{Sources: []string{"server", "store"}, Sinks: []string{"store"}})
	assert.NilError(t, err)
	assert.Check(t, is.Contains(cases.Arithmetic(common), "\n- all 2 pairs x 2: `full_refresh`, `scd2`\n"))
}

func TestRenderingOfNothing(t *testing.T) {
	t.Parallel()
	assert.Check(t, is.Contains(cases.Table(nil), "0 cases, 0 pairs\n"))
	assert.Check(t, is.Contains(cases.Arithmetic(nil), "No cases.\n"))
	raw, err := cases.JSON(nil)
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(raw), `"cases": []`))
}

// TestSumsAgree adds up the table of the real registry again.
func TestSumsAgree(t *testing.T) {
	t.Parallel()
	all := registry(t, connectors.All())
	bySource, bySink := map[string]int{}, map[string]int{}
	for _, c := range all {
		bySource[c.Source]++
		bySink[c.Sink]++
	}
	text := cases.Arithmetic(all)
	t.Log("\n" + text)
	for source, n := range bySource {
		assert.Check(t, is.Regexp(`\| `+"`"+source+"`"+` \|( \d+ \|)+ `+itoa(n)+` \|\n`, text))
	}
	for _, n := range bySink {
		assert.Check(t, is.Regexp(`\| \*\*sum\*\* \|.* `+itoa(n)+` \|`, text))
	}
}

// TestFormulaGivesTheTotal works the formula out, for whole registries and for lists that leave cases out.
func TestFormulaGivesTheTotal(t *testing.T) {
	t.Parallel()
	for _, all := range [][]cases.Case{registry(t, connectors.All()), registry(t, invented())} {
		for step := 1; step < 9; step++ {
			var list []cases.Case
			for i := 0; i < len(all); i += step {
				list = append(list, all[i])
			}
			_, after, _ := strings.Cut(cases.Arithmetic(list), "Pairs x strategies: ")
			sum, total, _ := strings.Cut(after, " = ")
			n := 0
			for term := range strings.SplitSeq(sum, " + ") {
				var pairs, strategies int
				_, err := fmt.Sscanf(term, "%d x %d", &pairs, &strategies)
				assert.NilError(t, err)
				n += pairs * strategies
			}
			assert.Equal(t, n, len(list))
			assert.Assert(t, strings.HasPrefix(total, "**"+itoa(n)+" case"), total)
		}
	}
}

func itoa(n int) string { raw, _ := json.Marshal(n); return string(raw) }
