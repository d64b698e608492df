package matrix_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/result"
)

// TestEveryCheckIsExplained holds that what a case can say has a section in the runbooks.
func TestEveryCheckIsExplained(t *testing.T) {
	t.Parallel()
	var known []string
	for _, c := range result.Codes() {
		known = append(known, strings.TrimPrefix(c.Code, "matrix."))
	}
	literal := regexp.MustCompile(`(?:w\.check|[cC]heck|note|add)\("([a-z][a-z0-9_]+)",`)
	files, err := filepath.Glob("*.go")
	assert.NilError(t, err)
	deeper, err := filepath.Glob("compare/*.go")
	assert.NilError(t, err)
	found := 0
	for _, file := range append(files, deeper...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		assert.NilError(t, err)
		for _, m := range literal.FindAllStringSubmatch(string(code), -1) {
			found++
			assert.Check(t, slices.Contains(known, m[1]), "%s of %s is not in result.Codes", m[1], file)
		}
	}
	assert.Assert(t, found > 10, "%d codes were found", found)
}

// TestSecretsPage holds that the table names each variable that a family reads.
func TestSecretsPage(t *testing.T) {
	t.Parallel()
	page := matrix.SecretsPage()
	assert.Assert(t, len(matrix.Secrets()) > 2)
	for name, family := range matrix.Secrets() {
		assert.Check(t, strings.Contains(page, "`"+name+"`"), name)
		assert.Check(t, strings.Contains(page, "| "+family+" |"), family)
	}
	assert.Assert(t, strings.Contains(page, "| sqlite | none |"), page)
}
