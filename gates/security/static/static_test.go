package static_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/security/static"
	"github.com/dpone/dpone/gates/security/toolcheck"
)

const (
	gosec       = static.ID + ":gosec"
	staticcheck = static.ID + ":staticcheck"
	codeql      = static.ID + ":codeql"
)

const module = `
-- go.mod --
module example.com/x

go 1.26
-- x.go --
// Package x doubles.
package x

// Double is twice n.
func Double(n int) int { return n * 2 }
`

func run(t *testing.T, dir, step string) (gates.Outcome, evidence.Step) {
	t.Helper()
	o := static.Options{Today: time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)}
	outcome := gatetest.Run(t, static.Gate(o), gates.Options{Root: dir, Artifacts: t.TempDir(), Only: []string{step}})
	return outcome, gatetest.Step(t, outcome, step)
}

func red(step evidence.Step) string {
	var all []string
	for _, c := range step.Checks {
		if c.Verdict == evidence.Fail {
			all = append(all, c.Code+" "+c.Subject+" "+c.Observed)
		}
	}
	return strings.Join(all, "\n")
}

func results(t *testing.T, outcome gates.Outcome, name string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, name))
	assert.NilError(t, err)
	var doc struct {
		Version string
		Runs    []struct{ Results []any }
	}
	assert.NilError(t, json.Unmarshal(raw, &doc))
	assert.Equal(t, doc.Version, "2.1.0")
	return len(doc.Runs[0].Results)
}

func TestGosec(t *testing.T) {
	toolcheck.Cached(t, "gosec")
	t.Parallel()
	const injection = `
-- cmd.go --
package x

import (
	"net/http"
	"os/exec"
)

// Handle runs what the visitor says.
func Handle(w http.ResponseWriter, r *http.Request) {
	_ = exec.Command("sh", "-c", r.FormValue("c")).Run()
}
`
	const hash = `
-- hash.go --
package x

import "crypto/md5"

// Sum is a weak digest.
func Sum(b []byte) [16]byte { return md5.Sum(b) }
`
	excused := func(comment string) string {
		return strings.ReplaceAll(strings.ReplaceAll(hash, `"crypto/md5"`, `"crypto/md5" `+comment), "md5.Sum(b) }", "md5.Sum(b) } "+comment)
	}
	const listed = `
-- .ci/static-allow.yaml --
allow:
  - {tool: gosec, rule: G401, paths: [hash.go], reason: a checksum of an old format}
  - {tool: gosec, rule: G501, paths: [...], reason: a checksum of an old format}
`
	for name, c := range map[string]struct {
		files string
		code  int
		want  []string
	}{
		"green":                     {"", 0, nil},
		"command injection":         {injection, 1, []string{`security\.static\.(high|medium) cmd\.go:10 gosec G\d+: `}},
		"weak hash":                 {hash, 1, []string{`security\.static\.medium hash\.go:6 gosec G401: `, `hash\.go:3 gosec G501`}},
		"silenced with reason":      {excused("// #nosec G401 G501 -- a checksum of an old format"), 0, nil},
		"silenced without reason":   {excused("// #nosec G401 G501"), 1, []string{"gosec G401", "gosec G501"}},
		"excused as for the linter": {excused("//nolint:gosec // a checksum of an old format"), 0, nil},
		"excused without a reason":  {excused("//nolint:gosec"), 1, []string{"gosec G401", "gosec G501"}},
		"silenced without rule":     {excused("// #nosec -- all is well"), 1, []string{"gosec G401", "gosec G501"}},
		"allowed with reason":       {hash + listed, 0, nil},
		"allowed without reason":    {hash + strings.ReplaceAll(listed, "a checksum of an old format", "x"), 1, []string{"gosec G401", "gosec G501", "entry 1, gosec G401 its reason", "entry 2, gosec G501 its reason"}},
		"expired":                   {hash + strings.Replace(listed, "old format}", "old format, expires: 2027-01-30}", 1), 1, []string{"gosec G401", "expired after"}},
		"allowed and not there":     {listed, 1, []string{`entry 1, gosec G401 nothing was found in hash\.go`, `nothing was found in \.\.\.`}},
		"unknown key":               {"-- .ci/static-allow.yaml --\nallow:\n  - {tool: gosec, why: x}\n", 1, []string{"field why not found"}},
		"entry without a tool":      {"-- .ci/static-allow.yaml --\nallow:\n  - {rule: G401, paths: [x]}\n", 1, []string{"entry 1 has no rule"}},
		"does not compile":          {"-- bad.go --\npackage x\n\nvar x int = \"\"\n", 3, nil},
		"in a module below":         {"-- sub/go.mod --\nmodule example.com/sub\n\ngo 1.26\n-- sub/s.go --\npackage sub\n\nimport \"crypto/md5\"\n\n// Sum is weak.\nfunc Sum(b []byte) [16]byte { return md5.Sum(b) }\n", 1, []string{`sub/s\.go:6 gosec G401`, `sub/s\.go:3 gosec G501`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome, step := run(t, gatetest.Repository(t, module+c.files), gosec)
			assert.Equal(t, outcome.ExitCode(), c.code, "%v", step)
			for _, want := range c.want {
				assert.Assert(t, regexp.MustCompile(want).MatchString(red(step)), "%s in\n%s", want, red(step))
			}
			if c.code == 0 {
				assert.Equal(t, results(t, outcome, "gosec.sarif"), 0)
			} else if c.code == 1 && strings.Contains(red(step), "gosec.static") {
				assert.Assert(t, results(t, outcome, "gosec.sarif") > 0)
			}
		})
	}
}

func TestStaticcheck(t *testing.T) {
	t.Parallel()
	const wrong = `
-- re.go --
package x

import "regexp"

var pattern = regexp.MustCompile("(")
`
	for name, c := range map[string]struct {
		files string
		code  int
		want  string
	}{
		"green":                {"", 0, ""},
		"no such expression":   {wrong, 1, `security\.static\.high re\.go:5 staticcheck SA1000: `},
		"silenced with reason": {strings.Replace(wrong, "var", "//lint:ignore SA1000 the test wants it\nvar", 1), 0, ""},
		"silenced without":     {strings.Replace(wrong, "var", "//lint:ignore SA1000\nvar", 1), 1, `re\.go:6 staticcheck directive: malformed`},
		"allowed":              {wrong + "-- .ci/static-allow.yaml --\nallow:\n  - {tool: staticcheck, rule: SA1000, paths: [re.go], reason: it is never called}\n", 0, ""},
		"does not compile":     {"-- bad.go --\npackage x\n\nvar x int = \"\"\n", 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcome, step := run(t, gatetest.Repository(t, module+c.files), staticcheck)
			assert.Equal(t, outcome.ExitCode(), c.code, "%v", step)
			assert.Assert(t, regexp.MustCompile(c.want).MatchString(red(step)), red(step))
			if c.code != 3 {
				assert.Equal(t, results(t, outcome, "staticcheck.sarif") > 0, c.code == 1)
			}
		})
	}
}

func TestNoModuleIsUnverified(t *testing.T) {
	t.Parallel()
	outcome, step := run(t, gatetest.Repository(t, "-- README.md --\n# x\n"), staticcheck)
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Equal(t, step.Cause, evidence.CauseNothingRan)
}

func TestCodeQLIsNotInstalled(t *testing.T) {
	dir := gatetest.Repository(t, module)
	t.Setenv("PATH", pathOf(t, "go", "git"))
	_, step := run(t, dir, codeql)
	assert.Equal(t, step.Verdict, evidence.Skip)
	assert.Assert(t, strings.Contains(step.Checks[0].Reason, "not installed"))
}

// A stand-in shows what the step makes of CodeQL's answers; the real one is no Go
// program and cannot be had here.
func TestCodeQL(t *testing.T) {
	dir := gatetest.Repository(t, module)
	for name, c := range map[string]struct {
		script string
		code   int
		want   string
	}{
		"green":   {`printf '{"version":"2.1.0","runs":[{"results":[]}]}' > "$out"`, 0, ""},
		"finding": {`printf '{"version":"2.1.0","runs":[{"results":[{"ruleId":"go/x","level":"error","message":{"text":"bad"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"x.go"},"region":{"startLine":5}}}]}]}]}' > "$out"`, 1, "security.static.high x.go:5 codeql go/x: bad"},
		"broken":  {"exit 2", 3, ""},
		"silent":  {"", 3, ""},
		"garbage": {`echo '{}' > "$out"`, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			script := "#!/bin/sh\nfor a in \"$@\"; do case $a in --output=*) out=${a#--output=};; esac; done\n[ \"$2\" = create ] && exit 0\n" + c.script + "\n"
			assert.NilError(t, os.WriteFile(filepath.Join(bin, "codeql"), []byte(script), 0o755))
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			outcome, step := run(t, dir, codeql)
			assert.Equal(t, outcome.ExitCode(), c.code, "%v", step)
			assert.Equal(t, red(step), c.want)
		})
	}
}

// pathOf is a PATH with these programs alone.
func pathOf(t *testing.T, programs ...string) string {
	t.Helper()
	bin := t.TempDir()
	for _, program := range programs {
		for dir := range strings.SplitSeq(os.Getenv("PATH"), string(os.PathListSeparator)) {
			if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
				assert.NilError(t, os.Symlink(filepath.Join(dir, program), filepath.Join(bin, program)))
				break
			}
		}
	}
	return bin
}
