package licences_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/security/licences"
)

// project needs the module example.com/dep from a proxy of the test's own: a
// folder, as GOPROXY takes one.
const project = `
-- go.mod --
module example.com/x

go 1.26

require example.com/dep v1.0.0
-- x.go --
package x

import _ "example.com/dep"
`

const tools = `
-- magefiles/tools/lint/go.mod --
module example.com/x/tools/lint

go 1.26

tool example.com/dep

require example.com/dep v1.0.0
`

const alone = "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n-- x.go --\npackage x\n"

const rules = "-- .ci/licences.yaml --\nlinked:\n  - {id: MIT, reason: asks for its notice alone}\n"

func mit(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "evidence", "sbom", "licences", "MIT.txt"))
	assert.NilError(t, err)
	return strings.NewReplacer("<<holder>>", "the authors", "<<[>>", "", "<<]>>", "").Replace(string(raw))
}

// gpl is the beginning of the text: the gate knows no GPL by its words.
const gpl = "                    GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007\n"

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func judged(text, licence, reason string) string {
	return fmt.Sprintf("judged:\n  - {modules: [example.com/dep], files: {LICENSE: %q}, licences: [%s], reason: %s}\n", digest(text), licence, reason)
}

func TestGate(t *testing.T) {
	own := "-- LICENSE --\n" + mit(t)
	const asked = "somebody read the whole of it"
	for name, c := range map[string]struct {
		files, licence string
		code           int
		want           string
	}{
		"green":                    {project + own + rules, mit(t), 0, "security.licenses.allowed example.com/dep v1.0.0 MIT, linked"},
		"unknown":                  {project + own + rules, "All rights reserved.\n", 1, "security.licenses.unknown example.com/dep v1.0.0 unknown: LICENSE is not word for word"},
		"none":                     {project + own + rules, "", 1, "security.licenses.unknown example.com/dep v1.0.0 unknown: it has no licence file; files: {}"},
		"known but not allowed":    {project + own + strings.Replace(rules, "MIT", "ISC", 1), mit(t), 1, "security.licenses.allowed example.com/dep v1.0.0 MIT, linked"},
		"GPL":                      {project + own + rules + judged(gpl, "GPL-3.0-only", asked), gpl, 1, "security.licenses.allowed example.com/dep v1.0.0 GPL-3.0-only, linked"},
		"GPL beside is not linked": {project + own + rules + "beside:\n  - {id: GPL-3.0-only, reason: programs of their own}\n" + judged(gpl, "GPL-3.0-only", asked), gpl, 1, "GPL-3.0-only, linked"},
		"GPL in a tool":            {alone + tools + own + "-- .ci/licences.yaml --\nlinked:\n  - {id: MIT, reason: asks for its notice alone}\nbeside:\n  - {id: GPL-3.0-only, reason: programs of their own}\n" + judged(gpl, "GPL-3.0-only", asked), gpl, 0, "security.licenses.allowed example.com/dep v1.0.0 GPL-3.0-only, beside"},
		"two but one allowed":      {project + own + rules + judged(gpl, "MIT, GPL-3.0-only", asked), gpl, 1, "GPL-3.0-only, linked"},
		"judged":                   {project + own + rules + judged("Do as you like.\n", "MIT", asked), "Do as you like.\n", 0, "MIT, linked"},
		"judged another text":      {project + own + rules + judged("Do as you like.\n", "MIT", asked), "Do as we like.\n", 1, "security.licenses.unknown"},
		"judged but no reason":     {project + own + rules + judged("Do as you like.\n", "MIT", "ok"), "Do as you like.\n", 1, "it was judged, but its reason"},
		"judged but not there":     {project + own + rules + judged("Do as you like.\n", "MIT", asked), mit(t), 1, "security.licenses.policy .ci/licences.yaml: example.com/dep no module is like this"},
		"expired":                  {project + own + strings.Replace(rules, "alone}", "alone, expires: 2026-01-01}", 1), mit(t), 1, "security.licenses.policy .ci/licences.yaml: MIT it expired"},
		"no policy":                {project + own, mit(t), 1, "security.licenses.policy .ci/licences.yaml .ci/licences.yaml: no licence is allowed"},
		"doubled":                  {project + own + rules + "beside:\n  - {id: MIT, reason: asks for its notice alone}\n", mit(t), 1, "is there twice"},
		"half a judgement":         {project + own + rules + "judged:\n  - {modules: [example.com/dep], licences: [MIT]}\n", mit(t), 1, "judgement 1 has no modules, no files"},
		"own licence unknown":      {project + rules, mit(t), 1, "security.licenses.own the project itself NOASSERTION"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := build(t, c.files, c.licence)
			outcome := gatetest.Run(t, licences.Gate(licences.Options{Today: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}), gates.Options{Root: dir, Artifacts: t.TempDir()})
			step := gatetest.Step(t, outcome, licences.ID)
			var all []string
			for _, check := range step.Checks {
				if c.code == 0 || check.Verdict == evidence.Fail {
					all = append(all, check.Code+" "+check.Subject+" "+check.Observed)
				}
			}
			assert.Equal(t, outcome.ExitCode(), c.code, "%s\n%s", strings.Join(all, "\n"), step.Reason)
			assert.Assert(t, strings.Contains(strings.Join(all, "\n"), c.want), strings.Join(all, "\n"))
		})
	}
}

// build makes the project and, in folders of its own, what it is built from.
func build(t *testing.T, files, licence string) string {
	t.Helper()
	dir := gatetest.Repository(t, files)
	proxy := moduleProxy(t, licence)
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(proxy))
	t.Setenv("GONOSUMDB", "example.com")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "-modcacherw")
	for _, sub := range []string{".", "magefiles/tools/lint"} {
		if _, err := os.Stat(filepath.Join(dir, sub, "go.mod")); err == nil {
			command(t, filepath.Join(dir, sub), "go", "mod", "tidy")
		}
	}
	return dir
}

func TestNoNetworkIsUnverified(t *testing.T) {
	dir := build(t, project+"-- LICENSE --\n"+mit(t)+rules, mit(t))
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOPROXY", "off")
	outcome := gatetest.Run(t, licences.Gate(licences.Options{}), gates.Options{Root: dir, Artifacts: t.TempDir()})
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Equal(t, gatetest.Step(t, outcome, licences.ID).Checks[0].Code, "security.licenses.list")
}

func TestReport(t *testing.T) {
	dir := build(t, project+"-- LICENSE --\n"+mit(t)+rules, mit(t))
	outcome := gatetest.Run(t, licences.Gate(licences.Options{}), gates.Options{Root: dir, Artifacts: t.TempDir()})
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, licences.Report))
	assert.NilError(t, err)
	assert.Equal(t, string(raw), `[
  {
    "module": "example.com/dep",
    "version": "v1.0.0",
    "linked": true,
    "licences": [
      "MIT"
    ]
  }
]
`)
}
