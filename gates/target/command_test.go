package target

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/proc"
)

// What is recorded is what was typed for the one target, so that it can be typed again.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for want, argv := range map[string][]string{
		"mage ci":                            {"x", "ci"},
		"mage ci:test -j=2 '-run=^A$ | ^B$'": {"x", "-v", "ci:vet", "CI:Test", "-j=2", "-run=^A$ | ^B$", "ci"},
		"mage ci:test '-run=two words' -v":   {"x", "ci:test", "-run=two words", "-v"},
		"mage -v test '-run=two words'":      {"x", "-v", "test", "-run=two words"},
	} {
		id := "ci:test"
		if want == "mage ci" {
			id = "ci"
		}
		got := commandLine(argv, id)
		assert.Equal(t, got, want)
		_, err := proc.Words(got)
		assert.NilError(t, err)
	}
}
