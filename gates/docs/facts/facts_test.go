package facts_test

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/docs/facts"
)

func TestRead(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"evidence/check.go": {Data: []byte("package evidence\nfunc Expect(code, subject string) int { return 0 }\nfunc Other(subject, word string) {}\n")},
		"gates/a/a.go": {Data: []byte(`package a

import "example.com/m/evidence"

const codeOne = "a.one"
type Code string
const (
	Two Code = "two_bare"
	barcode = "no.bar"
	kin     = "a.kin"
	name    = "a.json"
)
var x = E{Code: "a.three", Why: "no.why"}

func look() {
	evidence.Expect("a.four", "no.subject")
	evidence.Other("no.other", "no.word")
	code := "a.five"
	codeword := "no.codeword"
	finding := func(at int, code string) {}
	finding(1, "a.six")
	report(b, "a.seven"+suffix)
	report(b, "Not a code")
	atMost("a.wall", 3, "%.2fx the time")
	atMost("a.wall", 4, "%.0f MiB, 100%%")
	p.atLeast("a.share", 3, fix)
	os.Getenv("DPONE_LOG_KEY")
	step("docs/runbooks.md#ci-lint", "docs/runbooks.md#matrix-", "see docs/runbooks.md#no")
}
func report(b int, code string) {}
func atMost(code string, value float64, format string) {}
func (p *P) atLeast(code string, value float64, fix string) {}
`)},
		"gates/a/a_test.go":             {Data: []byte(`package a; const codeTest = "no.test"`)},
		"gates/a/testdata/x.go":         {Data: []byte(`package x; const codeData = "no.data"`)},
		"gates/gatetest/x.go":           {Data: []byte(`package x; const codeGatetest = "no.gatetest"`)},
		"gates/gotest/x.go":             {Data: []byte(`package x; const codeX = "gotest.x"`)},
		"magefiles/tools/x/x.go":        {Data: []byte(`not Go`)},
		"magefiles/magefile.go":         {Data: []byte("//go:build mage\n\npackage main\n")},
		"elsewhere/is/not/looked/at.go": {Data: []byte(`not Go`)},
	}
	f, err := facts.Read(tree, "evidence", "gates", "magefiles", "nowhere")
	assert.NilError(t, err)
	var codes []string
	for _, c := range f.Codes {
		codes = append(codes, c.Name)
	}
	assert.DeepEqual(t, codes, []string{"a.five", "a.four", "a.kin", "a.one", "a.seven", "a.share", "a.six", "a.three", "a.wall", "gotest.x", "two_bare"})
	assert.DeepEqual(t, f.Codes[3], facts.Named{"a.one", "gates/a/a.go", 5})
	assert.Equal(t, f.Files, 4)
	assert.DeepEqual(t, f.Anchors, []facts.Anchor{{"gates/a/a.go", 28, "docs/runbooks.md#ci-lint"}})
	assert.DeepEqual(t, f.Variables, []facts.Named{{"DPONE_LOG_KEY", "gates/a/a.go", 27}})
	assert.Equal(t, len(f.Measures), 2)
	assert.Assert(t, f.Measures[0].Floor)
	assert.Equal(t, f.Measures[1].Name, "a.wall")
	assert.DeepEqual(t, f.Measures[1].Shown, []string{"N MiB, 100%", "Nx the time"})

	tree["gates/bad.go"] = &fstest.MapFile{Data: []byte("not Go")}
	_, err = facts.Read(tree, "gates")
	assert.ErrorContains(t, err, "gates/bad.go")
}

// The source of this project has codes of every kind.
func TestThisProject(t *testing.T) {
	t.Parallel()
	f, err := facts.Read(os.DirFS("../../.."), "evidence", "gates", "magefiles")
	assert.NilError(t, err)
	has := func(list []facts.Named, name string) bool {
		return slices.ContainsFunc(list, func(n facts.Named) bool { return n.Name == name })
	}
	for _, code := range []string{"ci.format", "ci.test.coverage", "matrix.case_failed", "bench.ci.warm", "digest_mismatch", "unsigned", "source.commit"} {
		assert.Check(t, has(f.Codes, code), "%s is not found", code)
	}
	assert.Assert(t, has(f.Variables, "DPONE_LOG_KEY"))
	assert.Assert(t, len(f.Measures) > 5 && len(f.Anchors) > 5 && f.Files > 100)
	for _, c := range f.Codes {
		t.Log(c.Name, c.Path, c.Line)
	}
}
