package static

import (
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/security/policy"
)

// allowList is the content of [AllowFile]: findings that a project lives with.
//
//	allow:
//	  - tool: gosec
//	    rule: G304
//	    paths: [cmd/..., internal/open.go]
//	    reason: the user of the program names the files that it opens
//
// A path is a file, a folder with everything below it (cmd/...), or "..." for
// the whole tree. Each entry has to be met by a finding.
type allowList struct {
	Allow []*allowance `yaml:"allow"`

	tool string
}

type allowance struct {
	Tool           string   `yaml:"tool"`
	Rule           string   `yaml:"rule"`
	Paths          []string `yaml:"paths"`
	policy.Because `yaml:",inline"`

	met map[string]bool
}

func readAllowList(root, tool string) (allowList, error) {
	list := allowList{tool: tool}
	if err := policy.Read(root, AllowFile, &list); err != nil {
		return allowList{}, err
	}
	for i, a := range list.Allow {
		if a == nil || a.Rule == "" || len(a.Paths) == 0 || a.Tool != "gosec" && a.Tool != "staticcheck" && a.Tool != "codeql" {
			return allowList{}, fmt.Errorf("%s: entry %d has no rule, no paths or no tool that is known", AllowFile, i+1)
		}
		a.met = map[string]bool{}
	}
	return list, nil
}

// covers says whether a pattern of an entry holds a path.
func covers(pattern, path string) bool {
	if dir, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(path, dir)
	}
	return pattern == path
}

// take says whether a finding is allowed, and remembers by what.
func (l allowList) take(f finding, today time.Time) bool {
	allowed := false
	for _, a := range l.Allow {
		if a.Tool != f.tool || a.Rule != f.rule {
			continue
		}
		for _, pattern := range a.Paths {
			if covers(pattern, f.path) {
				a.met[pattern] = true
				allowed = allowed || a.Problem(today) == ""
			}
		}
	}
	return allowed
}

// check holds that the entries of the tool have a reason and are about something.
func (l allowList) check(p *gates.Pass, today time.Time) {
	for i, a := range l.Allow {
		if a.Tool != l.tool {
			continue
		}
		red := func(problem, fix string) {
			check := evidence.Finding("security.static.allow", AllowFile, 0, problem, fix)
			check.Subject = fmt.Sprintf("%s: entry %d, %s %s", AllowFile, i+1, a.Tool, a.Rule)
			p.Check(check)
		}
		if problem := a.Problem(today); problem != "" {
			red(problem, "give a reason and a day that is to come, or take the entry out")
		}
		for _, pattern := range a.Paths {
			if !a.met[pattern] {
				red("nothing was found in "+pattern, "take it out of the entry")
			}
		}
	}
}
