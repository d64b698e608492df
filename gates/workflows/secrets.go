package workflows

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

// usage is one place where a secret is used.
type usage struct {
	name string // "" for all of them at once
	job  string // "" outside of the jobs
	line int
}

// secretPattern finds the context of secrets in an expression, by either way to name one.
var secretPattern = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_.'-])secrets\b\s*(?:\.\s*([a-z_][a-z0-9_]*)|\[\s*'([a-z_][a-z0-9_]*)'\s*\])?`)

// secretsIn lists the secrets below a node. path are the keys that lead to it.
func secretsIn(n *yaml.Node, path []string) []usage {
	var found []usage
	job := ""
	if len(path) > 1 && path[0] == "jobs" {
		job = path[1]
	}
	switch n.Kind {
	case yaml.ScalarNode:
		for _, e := range expression.FindAllString(n.Value, -1) {
			for _, m := range secretPattern.FindAllStringSubmatch(strings.Trim(e, "${}"), -1) {
				found = append(found, usage{name: strings.ToUpper(m[1] + m[2]), job: job, line: n.Line})
			}
		}
		if len(path) == 3 && path[2] == "secrets" && n.Value == "inherit" {
			found = append(found, usage{job: job, line: n.Line})
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			found = append(found, secretsIn(n.Content[i+1], append(slices.Clone(path), key))...)
		}
	case yaml.SequenceNode, yaml.DocumentNode:
		for _, child := range n.Content {
			found = append(found, secretsIn(child, path)...)
		}
	}
	return found
}

// Events that a fork can cause. Those of the second list run with the rights of the repository.
var (
	ofPullRequests = []string{"pull_request", "pull_request_review", "pull_request_review_comment", "merge_group"}
	ofOutsiders    = []string{"pull_request_target", "workflow_run", "issue_comment", "issues", "discussion", "discussion_comment", "fork", "watch", "gollum", "commit_comment"}
)

// caused names the first of the events that starts the workflow, or "".
func (f *file) caused(by []string) string {
	for _, event := range f.ast.On {
		if name := event.EventName(); slices.Contains(by, name) {
			return name
		}
	}
	return ""
}

// secrets holds that secrets are used only where they may be.
func (l *looker) secrets(f *file) {
	if f.root == nil {
		return
	}
	pullRequest, outsider := f.caused(ofPullRequests), f.caused(ofOutsiders)
	for _, u := range secretsIn(f.root, nil) {
		shown := "secrets." + u.name
		if u.name == "" {
			shown = "all secrets at once"
		}
		switch {
		case pullRequest != "":
			l.add(codePullRequest, f, u.line, shown+" in a workflow that starts on "+pullRequest, "a workflow of its own that starts by hand or on a schedule; github.token needs no secret")
			continue
		case outsider != "":
			l.add(codeFork, f, u.line, shown+" in a workflow that starts on "+outsider, "start it by hand, on a schedule or on a push")
			continue
		}
		if f.entry == nil || f.entry.State != Present {
			continue
		}
		entry := f.entry.job(u.job)
		switch {
		case u.name == "":
			l.add(codeScope, f, u.line, shown, "name the one that the job needs")
		case u.job == "":
			l.add(codeScope, f, u.line, shown+" for all jobs", "move it to the env of the job that needs it")
		case entry != nil && !slices.ContainsFunc(entry.Secrets, func(s Secret) bool { return s.Name == u.name }):
			l.add(codeScope, f, u.line, fmt.Sprintf("%s is not in the inventory for job %s", shown, u.job), "move it to the job that needs it, or add it to the inventory in gates/workflows")
		}
	}
}

// live holds that a job on the caller's own systems lists its secrets, and that the mode which is offered has a job.
func (l *looker) live(f *file) {
	if f.root == nil {
		return
	}
	used := secretsIn(f.root, nil)
	jobs := 0
	for _, c := range f.calls {
		if !slices.Contains(l.inventory.Live, c.target) && c.mode != "vendor_live" {
			continue
		}
		jobs++
		entry := f.entry.job(c.job)
		if entry == nil {
			continue // compare tells
		}
		if len(entry.Secrets) == 0 {
			l.add(codeVendorLive, f, c.line, "the inventory lists no secret for job "+c.job, "list what it needs in the inventory in gates/workflows, and in the env of the job")
		}
		for _, s := range entry.Secrets {
			if !slices.ContainsFunc(used, func(u usage) bool { return u.name == s.Name && u.job == c.job }) {
				l.add(codeVendorLive, f, c.line, "job "+c.job+" does not get "+s.Name, fmt.Sprintf("env: {%s: ${{ secrets.%s }}}", s.Name, s.Name))
			}
		}
	}
	for _, event := range f.ast.On {
		dispatch, ok := event.(*actionlint.WorkflowDispatchEvent)
		if !ok || jobs > 0 {
			continue
		}
		for _, in := range dispatch.Inputs {
			for _, option := range in.Options {
				if option.Value == "vendor_live" {
					l.add(codeVendorLive, f, option.Pos.Line, "vendor_live is offered, and no job carries it out", "drop the choice, or add a job with its secrets")
				}
			}
		}
	}
}
