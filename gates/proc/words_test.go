package proc_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/proc"
)

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = proc.Quote(word)
	}
	return strings.Join(out, " ")
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{
		{"mage"},
		{"mage", "ci:test", "-run=^TestX$|Y"},
		{"mage", "", "-a='b'", "two words", "line\nbreak", `back\slash`, "'", "''", " "},
	} {
		got, err := proc.Words(quoted(words))
		assert.NilError(t, err)
		assert.DeepEqual(t, got, words)
	}
	for _, bad := range []string{
		"", " ", "mage ", " mage", "mage  ci", "mage\tci", "mage\nci", `mage "ci"`, "mage ci; rm -rf /", "mage ci && true", "mage $(true)",
		"mage `true`", "mage 'ci'", "mage 'a", `mage \a`, `mage \`, "mage a>b", "mage *", "mage ~", "mage a'b c'", "mage #x",
	} {
		_, err := proc.Words(bad)
		assert.ErrorContains(t, err, "command line", bad)
	}
}

// FuzzWords holds that words are taken apart as they were put together, and
// that no two ways to write them are taken.
func FuzzWords(f *testing.F) {
	f.Add("mage ci:test '-run=a b'")
	f.Add(`mage 'it'\''s'`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := proc.Words(line)
		if err == nil {
			assert.Equal(t, quoted(words), line)
		}
		words = strings.Split(line, ",")
		got, err := proc.Words(quoted(words))
		assert.NilError(t, err)
		assert.DeepEqual(t, got, words)
	})
}
