package sarif_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/gates/security/sarif"
)

func example() sarif.Run {
	return sarif.Run{
		Tool: "gosec", Version: "v2.29.0", URL: "https://securego.io", Category: "security:static/gosec",
		Rules: []sarif.Rule{{ID: "G204", Doc: "A command line is made of input.", URL: "https://cwe.mitre.org/data/definitions/78.html"}, {ID: "G401", Doc: "A weak hash."}},
		Findings: []sarif.Finding{
			{Rule: "G401", Level: sarif.Warning, Message: "MD5 <is> weak", Path: "a b/x:y#.go", Line: 3, Fingerprint: "0123456789abcdef", Commit: "9887933"},
			{Rule: "G204", Level: sarif.Error, Message: "no place"},
			{Rule: "G204", Level: sarif.Note, Message: "the whole file", Path: "x.go"},
		},
	}
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	raw, err := sarif.Marshal(example(), sarif.Run{Tool: "staticcheck"})
	assert.NilError(t, err)
	golden.Assert(t, string(raw), "example.sarif")
	var any map[string]any
	assert.NilError(t, json.Unmarshal(raw, &any))
}

func TestMarshalRefuses(t *testing.T) {
	t.Parallel()
	_, err := sarif.Marshal()
	assert.ErrorContains(t, err, "no runs")
	for fault, spoil := range map[string]func(*sarif.Run){
		"the tool has no name":             func(r *sarif.Run) { r.Tool = "" },
		`rule "G204" is empty or there tw`: func(r *sarif.Run) { r.Rules = append(r.Rules, r.Rules[0]) },
		`rule "G1" says nothing`:           func(r *sarif.Run) { r.Rules = append(r.Rules, sarif.Rule{ID: "G1"}) },
		`of the rule "G9", which is not`:   func(r *sarif.Run) { r.Findings[0].Rule = "G9" },
		`has the level "none"`:             func(r *sarif.Run) { r.Findings[0].Level = "none" },
		"finding 0 says nothing":           func(r *sarif.Run) { r.Findings[0].Message = " " },
		"is at line -1":                    func(r *sarif.Run) { r.Findings[0].Line = -1 },
		`is at line 3 of ""`:               func(r *sarif.Run) { r.Findings[0].Path = "" },
		`"/etc/passwd", which is no path`:  func(r *sarif.Run) { r.Findings[0].Path = "/etc/passwd" },
		`"../x.go", which is no path`:      func(r *sarif.Run) { r.Findings[0].Path = "../x.go" },
		`"a//x.go", which is no path`:      func(r *sarif.Run) { r.Findings[0].Path = "a//x.go" },
	} {
		r := example()
		spoil(&r)
		_, err := sarif.Marshal(r)
		assert.Assert(t, err != nil && strings.Contains(err.Error(), fault), "%s: %v", fault, err)
	}
}
