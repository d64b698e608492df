package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://github.com/Example/App.git":          "github.com/example/app",
		"https://user:sesame@github.com/example/app/": "github.com/example/app",
		"git@github.com:example/app.git":              "github.com/example/app",
		"github.com:example/app":                      "github.com/example/app",
		"ssh://git@github.com:22/example/app":         "github.com/example/app",
		"https://github.com/example/app-evil":         "github.com/example/app-evil",
		"https://github.com.evil.example/example/app": "github.com.evil.example/example/app",
		"/home/someone/app":                           "a path of this machine",
		"../app":                                      "a path of this machine",
		"":                                            "a path of this machine",
	} {
		assert.Equal(t, address(remote), want, remote)
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"https://u:sesame@h/p", "git@h:p", "ssh://sesame@h:22/p", "\x00", "://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, remote string) {
		// Another spelling of the same address is the same.
		if a := address(remote); strings.HasPrefix(a, "github.com/") && !strings.ContainsAny(a, "%?#@: ") {
			assert.Equal(t, address("https://"+a), strings.TrimSuffix(strings.TrimRight(a, "/"), ".git"))
		}
	})
}

func TestIsText(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]bool{
		"plain": true, "käse": true, "k\xc3": true, "": false, "a\x00b": false, "\xff\xfe": false, "\x7fELF\x00": false,
		strings.Repeat("ä", 5000): true, strings.Repeat("x", 8191) + "ä": true,
	} {
		assert.Equal(t, isText([]byte(content)), want, "%.20q", content)
	}
}

func TestIsProgram(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]bool{"\x7fELF": true, "MZ": true, "M": false, "#!/bin/sh": false, "": false, "\xcf\xfa\xed\xfe": true} {
		path := filepath.Join(t.TempDir(), "x")
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o644))
		got, err := isProgram(path)
		assert.Equal(t, err != nil, content == "") // no subject is empty
		assert.Equal(t, got, want, "%q", content)
	}
}

func TestOwnName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"SHA256SUMS": true, "sha256sums": true, "index.json": true, "sbom.cyclonedx.json": true, "sbom.app.spdx.json": true,
		"release.sigstore.json": true, "Provenance.intoto.json": true, reportMD: true,
		"app": false, "release.txt": false, "release-notes.json": false, "sbom": false,
	} {
		assert.Equal(t, ownName(name), want, name)
	}
}

func TestHexOf(t *testing.T) {
	t.Parallel()
	h1, err := dirhash.Hash1(nil, nil)
	assert.NilError(t, err)
	sum, err := hexOf(h1)
	assert.NilError(t, err)
	assert.Equal(t, sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	for _, bad := range []string{"", "h1:", "h1:AAAA", "h2:" + h1[3:], h1[3:]} {
		_, err := hexOf(bad)
		assert.Assert(t, err != nil, bad)
	}
}

func TestMageModule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	write("go.mod", "module x\n")
	m, err := mageModule(dir)
	assert.NilError(t, err)
	assert.Assert(t, m == nil)
	write("go.mod", "module x\nrequire github.com/magefile/mage v1.17.2\n")
	_, err = mageModule(dir)
	assert.Assert(t, errors.Is(err, os.ErrNotExist))
	write("go.sum", "github.com/magefile/mage v1.17.2/go.mod h1:x\ngithub.com/magefile/mage v1.17.2 h1:nonsense\n")
	_, err = mageModule(dir)
	assert.ErrorContains(t, err, "not an h1 sum")
	write("go.mod", "module (")
	_, err = mageModule(dir)
	assert.Assert(t, err != nil)
}

// TestMarkdownIsSafe holds that no text breaks out of its cell.
func TestMarkdownIsSafe(t *testing.T) {
	t.Parallel()
	r := Report{Verdict: evidence.Fail, Release: "v1", Blockers: []Problem{{"attest.subject", "a|b\n# x", "<script>[x](y)`", ""}}}
	text := r.markdown()
	assert.Assert(t, strings.Contains(text, `| attest.subject | a\|b # x | &lt;script>\[x](y)' |`), text)
	raw, err := json.Marshal(r)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Contains(raw, []byte(`"verdict":"FAIL"`)))
}

const commit = "79f88eafdb7fc0cd51833003f6af72c00221ade6"

var github = map[string]string{
	"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "github-hosted", "GITHUB_SERVER_URL": "https://github.com",
	"GITHUB_REPOSITORY": "example/app", "GITHUB_SHA": commit, "GITHUB_REF": "refs/tags/v1.2.3", "GITHUB_RUN_ID": "7",
	"GITHUB_RUN_ATTEMPT": "2", "GITHUB_EVENT_NAME": "push", "GITHUB_WORKFLOW_REF": "example/app/.github/workflows/release.yml@refs/tags/v1.2.3",
}

// TestBuilder holds each claim against each kind of surroundings.
func TestBuilder(t *testing.T) {
	t.Parallel()
	const own = "https://example.com/machines/1"
	for name, c := range map[string]struct {
		set   map[string]string // on top of GitHub's; "-" takes away
		claim string
		want  evidence.Verdict
		says  string
	}{
		"hosted, not claimed":       {nil, "", evidence.Pass, statement.BuilderGitHubHosted},
		"hosted, own name":          {nil, own, evidence.Pass, own},
		"hosted, local":             {nil, statement.BuilderLocal, evidence.Fail, "no laptop"},
		"self-hosted":               {map[string]string{"RUNNER_ENVIRONMENT": "self-hosted"}, "", evidence.Unverified, "no name of its own"},
		"self-hosted, own name":     {map[string]string{"RUNNER_ENVIRONMENT": "self-hosted"}, own, evidence.Pass, own},
		"self-hosted, hosted":       {map[string]string{"RUNNER_ENVIRONMENT": "self-hosted"}, statement.BuilderGitHubHosted, evidence.Fail, `RUNNER_ENVIRONMENT is "self-hosted"`},
		"nobody knows":              {map[string]string{"RUNNER_ENVIRONMENT": "-"}, statement.BuilderGitHubHosted, evidence.Fail, `RUNNER_ENVIRONMENT is ""`},
		"no run":                    {map[string]string{"GITHUB_RUN_ID": "-"}, statement.BuilderGitHubHosted, evidence.Fail, "GITHUB_RUN_ID"},
		"no number":                 {map[string]string{"GITHUB_RUN_ATTEMPT": "1/../2"}, statement.BuilderGitHubHosted, evidence.Fail, "GITHUB_RUN_ATTEMPT"},
		"no event":                  {map[string]string{"GITHUB_EVENT_NAME": "-"}, statement.BuilderGitHubHosted, evidence.Fail, "GITHUB_EVENT_NAME is not set"},
		"no workflow":               {map[string]string{"GITHUB_WORKFLOW_REF": "-"}, statement.BuilderGitHubHosted, evidence.Fail, "GITHUB_WORKFLOW_REF is not set"},
		"a fork":                    {map[string]string{"GITHUB_REPOSITORY": "fork/app"}, "", evidence.Fail, "github.com/fork/app"},
		"another commit":            {map[string]string{"GITHUB_SHA": strings.Repeat("a", 40)}, "", evidence.Fail, "GITHUB_SHA"},
		"another tag":               {map[string]string{"GITHUB_REF": "refs/tags/v9.9.9"}, "", evidence.Fail, "refs/tags/v9.9.9"},
		"by hand, from a branch":    {map[string]string{"GITHUB_REF": "refs/heads/master"}, "", evidence.Pass, ""},
		"another CI, hosted":        {map[string]string{"GITHUB_ACTIONS": "-"}, statement.BuilderGitHubHosted, evidence.Fail, "not GitHub Actions"},
		"another CI, own name":      {map[string]string{"GITHUB_ACTIONS": "-"}, own, evidence.Pass, own},
		"GitLab":                    {gitlab(nil), "", evidence.Unverified, "no name of its own"},
		"GitLab, own name":          {gitlab(nil), own, evidence.Pass, own},
		"GitLab, a tag of another":  {gitlab(map[string]string{"CI_COMMIT_TAG": "v9.9.9"}), own, evidence.Fail, "refs/tags/v9.9.9"},
		"GitLab, of another commit": {gitlab(map[string]string{"CI_COMMIT_SHA": "x"}), own, evidence.Fail, "CI_COMMIT_SHA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(github)
			for k, v := range c.set {
				if env[k] = v; v == "-" {
					delete(env, k)
				}
			}
			a := newAttestation(Options{
				Release: "v1.2.3", Repository: "https://github.com/example/app", Commit: commit, BuilderID: c.claim,
				Getenv: func(name string) string { return env[name] },
			})
			id, check := a.judgeBuilder(a.surroundings(a.started))
			assert.Equal(t, check.Verdict, c.want, "%+v", check)
			assert.Assert(t, strings.Contains(check.Observed+check.Reason, c.says), "%+v", check)
			assert.Equal(t, id == "", c.want == evidence.Unverified)
		})
	}
}

func gitlab(more map[string]string) map[string]string {
	set := map[string]string{
		"GITHUB_ACTIONS": "-", "GITLAB_CI": "true", "CI_PROJECT_URL": "https://github.com/example/app", "CI_COMMIT_SHA": commit,
		"CI_COMMIT_TAG": "v1.2.3", "CI_PIPELINE_SOURCE": "push", "CI_JOB_ID": "9", "CI_JOB_URL": "https://gitlab.example.com/jobs/9",
	}
	for k, v := range more {
		set[k] = v
	}
	return set
}

// TestAbout holds the boundary from which on the list of the subjects is the subject.
func TestAbout(t *testing.T) {
	t.Parallel()
	a := newAttestation(Options{})
	for i := range statement.MaxSubjects {
		a.subjects = append(a.subjects, subject{name: fmt.Sprint(i), sha256: strings.Repeat("1", 64)})
	}
	subjects, byproducts := a.about()
	assert.Equal(t, len(subjects), statement.MaxSubjects)
	assert.Equal(t, byproducts[0].Name, "SHA256SUMS")
	a.subjects = append(a.subjects, subject{name: "one more"})
	subjects, byproducts = a.about()
	assert.Equal(t, len(subjects), 1)
	assert.Equal(t, subjects[0].Name, "SHA256SUMS")
	assert.Equal(t, len(byproducts), 0)
}
