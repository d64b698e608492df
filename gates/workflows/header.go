package workflows

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// header looks at what stands before the jobs.
func (l *looker) header(f *file) {
	w := f.ast
	l.permissions(f)
	if w.Concurrency == nil || w.Concurrency.Group == nil || w.Concurrency.Group.Value == "" {
		l.add(codeConcurrency, f, 1, "no concurrency group", "add concurrency: with a group, so that two runs do not get in each other's way")
	}
	for _, event := range w.On {
		hook, ok := event.(*actionlint.WebhookEvent)
		if !ok {
			continue
		}
		switch hook.EventName() {
		case "pull_request_target":
			l.add(codePRTarget, f, hook.Pos.Line, "pull_request_target", "use pull_request: code of a fork must not meet our token")
		case "push":
			if hook.Tags.IsEmpty() || !hook.Branches.IsEmpty() || !hook.BranchesIgnore.IsEmpty() {
				l.branches(f, hook)
			}
		case "pull_request":
			l.branches(f, hook)
		}
	}
	if f.entry == nil || f.entry.State != Present {
		return // compare tells
	}
	want, got := f.entry.On.facts(), triggerOf(w).facts()
	for _, fact := range want {
		if !slices.Contains(got, fact) {
			l.add(codeTrigger, f, 1, "not there: "+fact, "add it, or change the inventory in gates/workflows")
		}
	}
	for _, fact := range got {
		if !slices.Contains(want, fact) {
			l.add(codeTrigger, f, 1, "not in the inventory: "+fact, "drop it, or change the inventory in gates/workflows")
		}
	}
}

// branches holds that an event is for the default branch and no other.
func (l *looker) branches(f *file, hook *actionlint.WebhookEvent) {
	var names []string
	if hook.Branches != nil {
		for _, name := range hook.Branches.Values {
			names = append(names, name.Value)
		}
	}
	if !slices.Equal(names, []string{l.inventory.Branch}) {
		l.add(codeBranch, f, hook.Pos.Line, fmt.Sprintf("%s is for branches [%s]", hook.EventName(), strings.Join(names, ", ")), "branches: ["+l.inventory.Branch+"]")
	}
}

// triggerOf is the trigger that a file has.
func triggerOf(w *actionlint.Workflow) Trigger {
	var t Trigger
	paths := func(hook *actionlint.WebhookEvent) {
		if hook.Paths == nil {
			return
		}
		t.Paths = nil
		for _, p := range hook.Paths.Values {
			t.Paths = append(t.Paths, p.Value)
		}
	}
	for _, event := range w.On {
		switch e := event.(type) {
		case *actionlint.ScheduledEvent:
			var crons []string
			for _, s := range e.Schedules {
				if s != nil && s.Cron != nil {
					crons = append(crons, s.Cron.Value)
				}
			}
			t.Schedule = strings.Join(crons, ", ")
		case *actionlint.WorkflowDispatchEvent:
			t.ByHand = true
			for _, key := range slices.Sorted(maps.Keys(e.Inputs)) {
				t.Inputs = append(t.Inputs, inputOf(e.Inputs[key]))
			}
		case *actionlint.WebhookEvent:
			if e.PathsIgnore != nil || len(e.Types) > 0 {
				t.Others = append(t.Others, e.EventName()+" with types or paths-ignore")
				continue
			}
			switch e.EventName() {
			case "push":
				if e.Tags != nil {
					for _, tag := range e.Tags.Values {
						t.Tags = append(t.Tags, tag.Value)
					}
				}
				t.Push = len(t.Tags) == 0 || e.Branches != nil
				paths(e)
			case "pull_request":
				t.PullRequest = true
				before := t.Paths
				if paths(e); t.Push && !slices.Equal(before, t.Paths) {
					t.Others = append(t.Others, "other paths for push than for pull_request")
				}
			default:
				t.Others = append(t.Others, e.EventName())
			}
		default:
			t.Others = append(t.Others, event.EventName())
		}
	}
	return t
}

func inputOf(in *actionlint.DispatchInput) Input {
	out := Input{Name: in.Name.Value}
	if in.Default != nil {
		out.Default = in.Default.Value
	}
	for _, option := range in.Options {
		out.Options = append(out.Options, option.Value)
	}
	return out
}

// permissions looks at those of the workflow as a whole.
func (l *looker) permissions(f *file) {
	const fix = "permissions: {contents: read} at the top, or {}; what a job needs beyond that belongs to the job"
	p := f.ast.Permissions
	switch {
	case p == nil:
		l.add(codePermissions, f, 1, "no permissions, so the default of the repository holds", fix)
	case p.All != nil && p.All.Value != "":
		l.add(codePermissions, f, p.Pos.Line, p.All.Value, fix)
	default:
		for _, name := range slices.Sorted(maps.Keys(p.Scopes)) {
			if scope := p.Scopes[name]; name != "contents" || scope.Value == nil || scope.Value.Value != "read" {
				l.add(codePermissions, f, scope.Name.Pos.Line, scopeText(scope), fix)
			}
		}
	}
}

func scopeText(s *actionlint.PermissionScope) string {
	if s.Value == nil {
		return s.Name.Value
	}
	return s.Name.Value + ": " + s.Value.Value
}

// grants looks at the permissions of a job.
func (l *looker) grants(f *file, job *actionlint.Job) {
	entry := f.entry.job(job.ID.Value)
	given := map[string]bool{}
	if p := job.Permissions; p != nil && p.All != nil && p.All.Value != "" {
		l.add(codeGrant, f, p.Pos.Line, p.All.Value+" for job "+job.ID.Value, "name each scope that the job needs, with the reason in a comment")
	} else if p != nil {
		for _, name := range slices.Sorted(maps.Keys(p.Scopes)) {
			scope := p.Scopes[name]
			text, line := scopeText(scope), scope.Name.Pos.Line
			given[text] = true
			if text == "contents: read" {
				continue
			}
			if f.reason(line) == "" {
				l.add(codeGrant, f, line, text+" without a reason", text+" # what the job needs it for")
			}
			if entry != nil && !slices.ContainsFunc(entry.Grants, func(g Grant) bool { return g.Scope == text }) {
				l.add(codeGrant, f, line, text+" is not in the inventory for job "+job.ID.Value, "drop it, or add it with its reason to the inventory in gates/workflows")
			}
		}
	}
	if entry == nil {
		return
	}
	for _, grant := range entry.Grants {
		if !given[grant.Scope] {
			l.add(codeGrant, f, job.Pos.Line, fmt.Sprintf("job %s has no %s, which the inventory says", job.ID.Value, grant.Scope), "add it to the job, or drop it from the inventory in gates/workflows")
		}
	}
}
