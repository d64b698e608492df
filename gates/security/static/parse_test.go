package static

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/security/sarif"
)

func TestDecodeGosec(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("testdata", "gosec.json"))
	assert.NilError(t, err)
	r, err := decodeGosec(raw)
	assert.NilError(t, err)
	open := r.open()
	assert.Equal(t, len(open), 1)
	f, err := open[0].finding("/src", ".")
	assert.NilError(t, err)
	assert.Equal(t, f, finding{tool: "gosec", rule: "G401", message: "Use of weak cryptographic primitive", level: sarif.Warning, path: "a/hash.go", line: 6})
	assert.Equal(t, f.code(), "security.static.medium")
	assert.DeepEqual(t, r.problems(), []string{"a/pair_amd64.go:7:6: missing function body a/pair_amd64.go:10:6: missing function body"})
	for name, spoil := range map[string][2]string{
		"other count":      {`"found": 1`, `"found": 2`},
		"no version":       {`"GosecVersion": "dev"`, `"GosecVersion": ""`},
		"behind its end":   {"\n}\n", "\n}\n{}"},
		"not JSON":         {`{`, `[`},
		"null for a list":  {`"Issues": [`, `"Issues": null, "x": [`},
		"more than a body": {"missing function body", "undefined: x"},
	} {
		changed := strings.Replace(string(raw), spoil[0], spoil[1], 1)
		assert.Assert(t, changed != string(raw), name)
		r, err := decodeGosec([]byte(changed))
		if name == "more than a body" {
			assert.NilError(t, err)
			assert.Assert(t, !strings.Contains(r.problems()[0], assembly), "%v", r.problems())
			continue
		}
		assert.Assert(t, err != nil, name)
	}
	for _, bad := range []gosecIssue{
		{Severity: "GRAVE", Rule: "G1", Details: "x", File: "x.go", Line: "1"},
		{Severity: "LOW", Rule: "G1", Details: "x", File: "x.go", Line: "0"},
		{Severity: "LOW", Rule: "G1", Details: "x", File: "x.go", Line: "a"},
		{Severity: "LOW", Details: "x", File: "x.go", Line: "1"},
	} {
		_, err := bad.finding("/src", ".")
		assert.ErrorContains(t, err, "gosec's report")
	}
}

func TestDecodeStaticcheck(t *testing.T) {
	t.Parallel()
	const good = `{"code":"SA1000","severity":"error","location":{"file":"/src/sub/x.go","line":5,"column":1},"end":{},"message":"error parsing\nmore"}
{"code":"SA4006","severity":"ignored","location":{"file":"/src/x.go","line":5},"message":"m"}
{"code":"SA4006","severity":"warning","location":{"file":"x.go","line":5},"message":"m"}
`
	found, err := decodeStaticcheck([]byte(good), "/src", "sub")
	assert.NilError(t, err)
	assert.Equal(t, len(found), 2)
	assert.Equal(t, found[0], finding{tool: "staticcheck", rule: "SA1000", message: "error parsing", level: sarif.Error, path: "sub/x.go", line: 5})
	assert.Equal(t, found[1].path, "sub/x.go")
	for _, bad := range []string{"{", `{}`, `[]`, `{"code":"compile","severity":"error","message":"undefined: x"}`, `{"code":"SA1","severity":"grave","location":{"file":"x.go","line":1},"message":"m"}`} {
		_, err := decodeStaticcheck([]byte(bad), "/src", ".")
		assert.ErrorContains(t, err, "staticcheck", bad)
	}
}

func TestDecodeCodeQL(t *testing.T) {
	t.Parallel()
	const good = `{"version":"2.1.0","runs":[{"results":[{"ruleId":"go/x","message":{"text":"a\nb"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"x.go"},"region":{"startLine":3}}}]}]}]}`
	found, err := decodeCodeQL([]byte(good))
	assert.NilError(t, err)
	assert.DeepEqual(t, found[0].message+" "+string(found[0].level), "a b warning")
	for _, bad := range []string{"", "{}", good + "{}", strings.Replace(good, "go/x", "", 1), strings.Replace(good, `"x.go"`, `""`, 1), `{"version":"2.1.0","runs":[]}`, strings.Replace(good, `"ruleId"`, `"level":"grave","ruleId"`, 1)} {
		_, err := decodeCodeQL([]byte(bad))
		assert.ErrorContains(t, err, "codeql's report", bad)
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"a/x.go", "a/x.go", true}, {"a/x.go", "a/x.go2", false}, {"a/...", "a/b/x.go", true}, {"a/...", "ab/x.go", false}, {"...", "x.go", true},
	} {
		assert.Equal(t, covers(c.pattern, c.path), c.want, "%v", c)
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	assert.Equal(t, relative("/src", ".", "/src/a/x.go"), "a/x.go")
	assert.Equal(t, relative("/src", "sub", "x.go"), "sub/x.go")
	assert.Equal(t, relative("/src", ".", "/root/.cache/go-build/ab/_cgo.go"), "_cgo.go")
}

func FuzzDecode(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "gosec.json"))
	assert.NilError(f, err)
	f.Add(raw)
	f.Add([]byte(`{"code":"SA1000","severity":"error","location":{"file":"x.go","line":5},"message":"m"}`))
	f.Add([]byte(`{"version":"2.1.0","runs":[{"results":[]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var all []finding
		if r, err := decodeGosec(raw); err == nil {
			_ = r.problems()
			for _, i := range r.open() {
				if f, err := i.finding("/src", "."); err == nil {
					all = append(all, f)
				}
			}
		}
		if found, err := decodeStaticcheck(raw, "/src", "."); err == nil {
			all = append(all, found...)
		}
		if found, err := decodeCodeQL(raw); err == nil {
			all = append(all, found...)
		}
		for _, f := range all {
			if f.rule == "" || f.code() == "" {
				t.Errorf("%+v", f)
			}
		}
	})
}
