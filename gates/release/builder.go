package release

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement"
)

// surroundings is what the environment says about where this runs. Whoever
// controls the environment can say what they like: only a signature with the
// identity of the platform shows it to others.
type surroundings struct {
	provider   string // as in a record
	hosted     bool   // a machine of GitHub's own
	repository string
	internal   statement.Internal
	invocation string
	builder    string // the ID that may be claimed without further ado; empty for a machine of one's own in CI
	versions   map[string]string
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// surroundings reads the environment. The invocation of a local run is named by its time.
func (a *attestation) surroundings(now time.Time) surroundings {
	env := a.Getenv
	s := surroundings{provider: "local", builder: statement.BuilderLocal, invocation: "local:" + now.UTC().Format(time.RFC3339)}
	switch ci := env("CI"); {
	case env("GITHUB_ACTIONS") == "true":
		s.provider, s.builder = "github-actions", ""
		s.repository = env("GITHUB_SERVER_URL") + "/" + env("GITHUB_REPOSITORY")
		s.hosted = env("RUNNER_ENVIRONMENT") == "github-hosted"
		if s.hosted {
			s.builder = statement.BuilderGitHubHosted
		}
		s.internal.Event, s.internal.RunID, s.internal.Attempt = env("GITHUB_EVENT_NAME"), env("GITHUB_RUN_ID"), env("GITHUB_RUN_ATTEMPT")
		s.internal.RunnerEnvironment = env("RUNNER_ENVIRONMENT")
		s.invocation = s.repository + "/actions/runs/" + s.internal.RunID + "/attempts/" + s.internal.Attempt
		for _, name := range []string{"ImageOS", "ImageVersion"} {
			if v := env(name); v != "" {
				if s.versions == nil {
					s.versions = map[string]string{}
				}
				s.versions[name] = v
			}
		}
	case env("GITLAB_CI") == "true":
		s.provider, s.builder = "gitlab-ci", ""
		s.repository = env("CI_PROJECT_URL")
		s.internal.Event, s.internal.RunID = env("CI_PIPELINE_SOURCE"), env("CI_JOB_ID")
		s.invocation = found(env("CI_JOB_URL"), s.invocation)
	case ci != "" && ci != "false" && ci != "0":
		s.provider, s.builder = "unknown", ""
	}
	s.internal.Provider = s.provider
	return s
}

// judgeBuilder holds the claim of who built against the surroundings. It returns
// the ID to state, and the check.
func (a *attestation) judgeBuilder(s surroundings) (string, evidence.Check) {
	const code, expected = "attest.builder", "a builder that the surroundings bear out"
	id := found(a.BuilderID, s.builder)
	var problems []string
	switch {
	case id == "":
		return "", evidence.CouldNotTell(code, s.provider, expected, "a machine that is not GitHub's own has no name of its own", "give -builderId=URI, an address of whoever runs the machine")
	case id == statement.BuilderGitHubHosted:
		problems = a.notHosted(s)
	case id == statement.BuilderLocal && s.provider != "local":
		problems = []string{"this is no laptop but " + s.provider}
	}
	if s.provider == "github-actions" || s.provider == "gitlab-ci" {
		problems = append(problems, a.notThisRun(s)...)
	}
	observed := id + " in " + s.provider
	if len(problems) > 0 {
		observed = strings.Join(problems, "; ")
	}
	return id, evidence.Expect(code, id, len(problems) == 0, observed, expected, "leave -builderId out, and let the environment say who builds")
}

// notHosted says what is missing for a machine of GitHub's own.
func (a *attestation) notHosted(s surroundings) []string {
	if s.provider != "github-actions" {
		return []string{"this is not GitHub Actions: GITHUB_ACTIONS is not true"}
	}
	var problems []string
	if !s.hosted {
		problems = append(problems, fmt.Sprintf("RUNNER_ENVIRONMENT is %q", s.internal.RunnerEnvironment))
	}
	for _, v := range []struct{ name, value string }{{"GITHUB_RUN_ID", s.internal.RunID}, {"GITHUB_RUN_ATTEMPT", s.internal.Attempt}} {
		if !digits.MatchString(v.value) {
			problems = append(problems, fmt.Sprintf("%s is %q", v.name, v.value))
		}
	}
	for _, name := range []string{"GITHUB_EVENT_NAME", "GITHUB_WORKFLOW_REF"} {
		if a.Getenv(name) == "" {
			problems = append(problems, name+" is not set")
		}
	}
	return problems
}

// notThisRun says in what a workflow is about something else.
func (a *attestation) notThisRun(s surroundings) []string {
	var problems []string
	if address(s.repository) != address(a.Repository) {
		problems = append(problems, "the workflow is one of "+address(s.repository))
	}
	commit, ref := "GITHUB_SHA", a.Getenv("GITHUB_REF")
	if s.provider == "gitlab-ci" {
		commit, ref = "CI_COMMIT_SHA", ""
		if tag := a.Getenv("CI_COMMIT_TAG"); tag != "" {
			ref = "refs/tags/" + tag
		}
	}
	if sha := a.Getenv(commit); sha != a.Commit {
		problems = append(problems, fmt.Sprintf("%s is %q", commit, sha))
	}
	if strings.HasPrefix(ref, "refs/tags/") && ref != "refs/tags/"+a.Release {
		problems = append(problems, "the workflow runs for "+ref)
	}
	return problems
}

// The levels of SLSA that a report names. Level 3 asks for a builder that the
// build itself cannot reach, which no job of a workflow is to itself.
const (
	levelNone = "none"
	level1    = "SLSA Build L1"
	level2    = "SLSA Build L2"
)
