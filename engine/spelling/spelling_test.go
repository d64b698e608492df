package spelling_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/spelling"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"columns", "column", "compression", "csv"}
	for word, want := range map[string]string{
		"colums": "columns", "COLUMN": "column", "cvs": "csv", "ocmpression": "compression", "": "", "entirely else": "",
		"columnsss": "columns", strings.Repeat("x", 1<<20): "",
	} {
		assert.Equal(t, spelling.Nearest(word, names, 3), want, "%.20s", word)
	}
	assert.Equal(t, spelling.Nearest("zzzz", names, 1000), "csv")
	assert.Equal(t, spelling.Nearest("x", nil, 1000), "")
	assert.Equal(t, spelling.Nearest("order_di", []string{"Amount", "Order_ID"}, 3), "Order_ID")
	assert.Equal(t, spelling.Nearest(strings.Repeat("c", 65), names, 1000), "")
}

func TestEditsBetweenWords(t *testing.T) {
	for _, c := range []struct {
		word, other string
		edits       int
	}{{"", "abc", 3}, {"abdc", "abcd", 1}, {"kitten", "sitting", 3}} {
		assert.Equal(t, spelling.Nearest(c.word, []string{c.other}, c.edits+1), c.other)
		assert.Equal(t, spelling.Nearest(c.word, []string{c.other}, c.edits), "", "%s and %s", c.word, c.other)
	}
}
