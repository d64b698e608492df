package posture_test

import (
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
	"github.com/dpone/dpone/gates/security/posture"
	"github.com/dpone/dpone/gates/security/toolcheck"
)

const accepted = `
-- .ci/scorecard-accept.yaml --
accept:
  - {check: Dependency-Update-Tool, score: 0, reason: nothing here to be updated}
  - {check: License, score: 0, reason: the project of a test has none}
  - {check: SAST, score: 0, reason: the project of a test has none}
  - {check: Security-Policy, score: 0, reason: the project of a test has none}
`

const workflow = `
-- .github/workflows/ci.yml --
name: ci
on: [push]
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2
`

func TestGate(t *testing.T) {
	toolcheck.Cached(t, "scorecard")
	t.Parallel()
	for name, c := range map[string]struct {
		files string
		code  int
		want  string
	}{
		"green":                {workflow + accepted, 0, ""},
		"not accepted":         {workflow, 1, `Security-Policy a score of 0: security policy file not detected|Security-Policy: no security policy file detected`},
		"unpinned action":      {strings.Replace(workflow, "de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6", 1) + accepted, 1, `security\.scorecard\.check \.github/workflows/ci\.yml:9 Pinned-Dependencies`},
		"dangerous workflow":   {strings.Replace(workflow, "- uses", "- run: echo ${{ github.event.issue.title }}\n      - uses", 1) + accepted, 1, `security\.scorecard\.check \.github/workflows/ci\.yml:9 Dangerous-Workflow`},
		"token that may write": {strings.Replace(workflow, "contents: read", "contents: write", 1) + accepted, 1, `\.github/workflows/ci\.yml:4 Token-Permissions`},
		"binary":               {workflow + accepted + "-- tool.exe --\nMZ\x90\x00\n", 1, `tool\.exe:\d+ Binary-Artifacts|tool\.exe Binary-Artifacts`},
		"better than accepted": {workflow + accepted + "-- SECURITY.md --\n# Security\n\nReport a vulnerability to security@example.com or https://example.com/report within 30 days of disclosure.\n", 1, `AcceptFile|scorecard-accept\.yaml: Security-Policy the score is \d+ by now, and not 0`},
		"expired":              {workflow + strings.Replace(accepted, "updated}", "updated, expires: 2026-01-01}", 1), 1, `Dependency-Update-Tool it expired after 2026-01-01`},
		"a check of GitHub's":  {workflow + accepted + "  - {check: Maintained, score: 0, reason: the project of a test has none}\n", 1, "entry 5 is about no check that is made here"},
		"unknown key":          {workflow + accepted + "deny: []\n", 1, "field deny not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := posture.Options{Today: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
			outcome := gatetest.Run(t, posture.Gate(o), gates.Options{Root: gatetest.Repository(t, c.files), Artifacts: t.TempDir()})
			step := gatetest.Step(t, outcome, posture.ID)
			var red []string
			for _, check := range step.Checks {
				if check.Verdict == evidence.Fail {
					red = append(red, check.Code+" "+check.Subject+" "+check.Observed)
				}
			}
			assert.Equal(t, outcome.ExitCode(), c.code, "%s\n%s %s", strings.Join(red, "\n"), step.Cause, step.Reason)
			assert.Assert(t, regexp.MustCompile(c.want).MatchString(strings.Join(red, "\n")), strings.Join(red, "\n"))
			raw, err := os.ReadFile(filepath.Join(outcome.Folder, posture.Report))
			assert.NilError(t, err)
			if c.code == 0 {
				assert.Assert(t, strings.Contains(string(raw), `"results": []`))
			}
		})
	}
}
