package secrets

import (
	"fmt"
	"slices"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/security/policy"
)

// allowList is the content of [AllowFile]: findings that are no secrets.
//
//	allow:
//	  - rule: generic-api-key
//	    paths: [internal/client/client_test.go]
//	    values: [1f0c3a, 77b2d0]
//	    reason: tokens that the test makes up for its own server
//
// An entry is about one rule, in the paths and for the values that it lists by
// their digests, in whatever commit. A message has the path "". Each path and
// each value has to be met at least once.
type allowList struct {
	Allow []*allowance `yaml:"allow"`
}

type allowance struct {
	Rule           string   `yaml:"rule"`
	Paths          []string `yaml:"paths"`
	Values         []string `yaml:"values"`
	policy.Because `yaml:",inline"`

	met  map[string]bool // path or value, by what it is
	uses int
}

func readAllowList(root string) (allowList, error) {
	var list allowList
	if err := policy.Read(root, AllowFile, &list); err != nil {
		return allowList{}, err
	}
	for i, a := range list.Allow {
		if a == nil || a.Rule == "" || len(a.Paths) == 0 || len(a.Values) == 0 {
			return allowList{}, fmt.Errorf("%s: entry %d has no rule, no paths or no values", AllowFile, i+1)
		}
		a.met = map[string]bool{}
	}
	return list, nil
}

// take says whether a finding is allowed, and remembers by what.
func (l allowList) take(f finding, today time.Time) bool {
	for _, a := range l.Allow {
		if a.Rule == f.Rule && slices.Contains(a.Paths, f.path) && slices.Contains(a.Values, f.Digest) {
			a.met["value "+f.Digest], a.met["path "+f.path] = true, true
			a.uses++
			return a.Problem(today) == ""
		}
	}
	return false
}

func (l allowList) used() int {
	n := 0
	for _, a := range l.Allow {
		n += a.uses
	}
	return n
}

// check holds that each entry has a reason, has not expired and is about
// something. What an incomplete history does not have may be in the rest of it.
func (l allowList) check(p *gates.Pass, whole bool, today time.Time) {
	const code = "security.secrets.allow"
	for i, a := range l.Allow {
		entry := fmt.Sprintf("%s: entry %d, %s", AllowFile, i+1, a.Rule)
		if problem := a.Problem(today); problem != "" {
			check := evidence.Finding(code, AllowFile, 0, problem, "give a reason and a day that is to come, or take the entry out")
			check.Subject = entry
			p.Check(check)
		}
		var wanted []string
		for _, path := range a.Paths {
			wanted = append(wanted, "path "+path)
		}
		for _, value := range a.Values {
			wanted = append(wanted, "value "+value)
		}
		for _, want := range wanted {
			switch {
			case a.met[want]:
			case !whole:
				p.Check(evidence.CouldNotTell(code, entry+", "+want, "it is met", "the history is not all here", "git fetch --unshallow"))
			default:
				check := evidence.Finding(code, AllowFile, 0, "nothing was found with this "+want, "take it out of the entry")
				check.Subject = entry + ", " + want
				p.Check(check)
			}
		}
	}
}
