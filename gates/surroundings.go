package gates

import (
	"os"
	"runtime"
	"strings"

	"github.com/dpone/dpone/evidence"
)

// surroundings reads from the environment who runs the gate.
func surroundings(environ []string) (evidence.CI, evidence.Host) {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	host := evidence.Host{CPUs: runtime.NumCPU()}
	if name, err := os.Hostname(); err == nil {
		host.Name = name
	}
	switch {
	case env["GITHUB_ACTIONS"] == "true":
		return evidence.CI{
			Provider: "github-actions",
			Workflow: env["GITHUB_WORKFLOW"],
			Event:    env["GITHUB_EVENT_NAME"],
			RunID:    env["GITHUB_RUN_ID"],
			Attempt:  env["GITHUB_RUN_ATTEMPT"],
			URL:      env["GITHUB_SERVER_URL"] + "/" + env["GITHUB_REPOSITORY"] + "/actions/runs/" + env["GITHUB_RUN_ID"],
		}, host
	case env["GITLAB_CI"] == "true":
		return evidence.CI{
			Provider: "gitlab-ci",
			Workflow: env["CI_JOB_NAME"],
			Event:    env["CI_PIPELINE_SOURCE"],
			RunID:    env["CI_JOB_ID"],
			URL:      env["CI_JOB_URL"],
		}, host
	case env["CI"] != "" && env["CI"] != "false" && env["CI"] != "0":
		return evidence.CI{Provider: "unknown"}, host
	}
	return evidence.CI{Provider: "local"}, host
}
