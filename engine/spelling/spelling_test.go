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
}
