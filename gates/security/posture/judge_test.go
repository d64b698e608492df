package posture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/security/policy"
	"github.com/dpone/dpone/gates/security/sarif"
)

func recorded(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "scorecard.json"))
	assert.NilError(t, err)
	return raw
}

func TestDecode(t *testing.T) {
	t.Parallel()
	good := string(recorded(t))
	results, err := decode([]byte(good))
	assert.NilError(t, err)
	assert.Equal(t, len(results), len(offline))
	for name, bad := range map[string]string{
		"no JSON":       "",
		"behind":        good + "{}",
		"one missing":   strings.Replace(good, `"SAST"`, `"Fuzzing"`, 1),
		"one twice":     strings.Replace(good, `"SAST"`, `"License"`, 1),
		"no reason":     strings.Replace(good, `"no binaries found in the repo"`, `""`, 1),
		"a great score": strings.Replace(good, `"score": 9`, `"score": 11`, 1),
		"a low score":   strings.Replace(good, `"score": 9`, `"score": -2`, 1),
	} {
		assert.Assert(t, bad != good, name)
		_, err := decode([]byte(bad))
		assert.ErrorContains(t, err, "scorecard's report", name)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	results, err := decode(recorded(t))
	assert.NilError(t, err)
	because := policy.Because{Reason: "it is so for this test"}
	today := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	checks, findings := judge(results, acceptList{Accept: []acceptance{
		{"License", 9, because}, {"Security-Policy", 3, because}, {"Token-Permissions", 8, policy.Because{}},
	}}, today)
	verdicts := map[string]evidence.Verdict{}
	for _, c := range checks {
		assert.NilError(t, c.Validate())
		verdicts[c.Code+" "+c.Subject] = c.Verdict
	}
	for subject, want := range map[string]evidence.Verdict{
		"check License":                                evidence.Pass,
		"check Binary-Artifacts":                       evidence.Pass,
		"check Security-Policy":                        evidence.Pass,
		"accept " + AcceptFile + ": Security-Policy":   evidence.Fail, // better by now
		"accept " + AcceptFile + ": Token-Permissions": evidence.Fail, // no reason
		"check .github/workflows/ci.yml:12":            evidence.Fail,
		"check Dependency-Update-Tool":                 evidence.Fail,
		"check SAST":                                   evidence.Unverified,
		"check Dangerous-Workflow":                     evidence.Fail,
		"check Branch-Protection":                      evidence.Skip,
	} {
		got, ok := verdicts["security.scorecard."+subject]
		assert.Check(t, ok && got == want, "%s is %v", subject, got)
	}
	raw, err := render(findings, "v5.3.0")
	assert.NilError(t, err)
	assert.Equal(t, strings.Count(string(raw), `"ruleId"`), len(findings))
	_ = Gate(Options{}).Steps[0].Tools(t.TempDir())
}

func TestLocate(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]struct {
		message, path string
		line          int
		warns         bool
	}{
		"Info: all is well":             {},
		"Warn: no linked content found": {"no linked content found", "", 0, true},
		"Warn: GitHub-owned GitHubAction not pinned by hash: .github/workflows/ci.yml:12": {"GitHub-owned GitHubAction not pinned by hash", ".github/workflows/ci.yml", 12, true},
		"Warn: binary detected: ../tool.exe:1":                                            {"binary detected: ../tool.exe:1", "", 0, true},
	} {
		message, path, line, warns := locate(detail)
		assert.Equal(t, [2]string{message, path}, [2]string{want.message, want.path}, detail)
		assert.Assert(t, line == want.line && warns == want.warns, detail)
	}
}

func TestReadAccepted(t *testing.T) {
	t.Parallel()
	for text, fault := range map[string]string{
		"accept:\n  - {check: SAST, score: 0, reason: it is so}\n":            "",
		"accept:\n  - {check: Fuzzing, score: 0}\n":                           "entry 1",
		"accept:\n  - {check: SAST, score: 10}\n":                             "entry 1",
		"accept:\n  - {check: SAST, score: -1}\n":                             "entry 1",
		"accept:\n  - {check: SAST, score: 1}\n  - {check: SAST, score: 1}\n": "entry 2",
		"accept:\n  - {check: SAST, min: 1}\n":                                "field min not found",
	} {
		root := t.TempDir()
		assert.NilError(t, os.Mkdir(filepath.Join(root, ".ci"), 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(root, AcceptFile), []byte(text), 0o644))
		_, err := readAccepted(root)
		if fault == "" {
			assert.NilError(t, err)
			continue
		}
		assert.ErrorContains(t, err, fault)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	root, into := t.TempDir(), filepath.Join(t.TempDir(), "tree")
	assert.NilError(t, os.MkdirAll(filepath.Join(root, "a"), 0o755))
	assert.NilError(t, os.WriteFile(filepath.Join(root, "a", "x.txt"), []byte("x"), 0o644))
	assert.NilError(t, os.Symlink("/etc/hostname", filepath.Join(root, "link")))
	files, err := snapshot(root, into, "a/x.txt\x00link\x00gone\x00")
	assert.NilError(t, err)
	assert.Equal(t, files, 1)
	raw, err := os.ReadFile(filepath.Join(into, "a", "x.txt"))
	assert.NilError(t, err)
	assert.Equal(t, string(raw), "x")
	_, err = snapshot(root, filepath.Join(t.TempDir(), "tree"), "../out\x00")
	assert.ErrorContains(t, err, "copy the source")
	_, err = snapshot(root, into, "")
	assert.ErrorContains(t, err, "exists")
}

func FuzzDecode(f *testing.F) {
	f.Add(recorded(f))
	f.Add([]byte(`Warn: x: a/b:12`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if results, err := decode(raw); err == nil {
			for _, c := range first(judge(results, acceptList{}, time.Now())) {
				if err := c.Validate(); err != nil {
					t.Error(err)
				}
			}
		}
		if _, path, line, warns := locate(string(raw)); path != "" && (!warns || line < 0 || !filepath.IsLocal(path)) {
			t.Errorf("%q: %q %d", raw, path, line)
		}
	})
}

func first(checks []evidence.Check, _ []sarif.Finding) []evidence.Check { return checks }
