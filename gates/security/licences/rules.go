package licences

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sbom"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/security/policy"
)

// rules is the content of [PolicyFile].
//
//	linked:                  # what may be linked into what is shipped
//	  - id: MIT
//	    reason: asks for its notice alone, which the bill of materials carries
//	beside:                  # besides: what developer tools and tests may have
//	  - id: GPL-3.0-only
//	    reason: programs of their own, which nobody gets from us
//	judged:                  # what the text alone does not say
//	  - modules: [example.com/x, example.com/x/sub]
//	    files: {LICENSE: 0c2b...}
//	    licences: [MIT, Apache-2.0]
//	    reason: two texts in one file, for two parts of the code
//
// Modules with the same files may share a judgement. Of a judged module all licences that it lists have to be allowed; of a choice,
// the one that was chosen is listed. files are all licence files in the root of
// the module by their SHA-256; a module without any has files: {}.
type rules struct {
	Linked []*allowance `yaml:"linked"`
	Beside []*allowance `yaml:"beside"`
	Judged []*judgement `yaml:"judged"`
}

type allowance struct {
	ID             string `yaml:"id"`
	policy.Because `yaml:",inline"`

	met bool
}

type judgement struct {
	Modules        []string          `yaml:"modules"`
	Files          map[string]string `yaml:"files"`
	Licences       []string          `yaml:"licences"`
	policy.Because `yaml:",inline"`

	met map[string]bool
}

func readRules(root string) (*rules, error) {
	r := &rules{}
	if err := policy.Read(root, PolicyFile, r); err != nil {
		return nil, err
	}
	if len(r.Linked) == 0 {
		return nil, fmt.Errorf("%s: no licence is allowed to be linked; list at least one under linked", PolicyFile)
	}
	seen := map[string]bool{}
	for i, a := range slices.Concat(r.Linked, r.Beside) {
		if a == nil || a.ID == "" || a.ID == sbom.NoAssertion || seen[a.ID] {
			return nil, fmt.Errorf("%s: allowed licence %d has no SPDX id, or is there twice", PolicyFile, i+1)
		}
		seen[a.ID] = true
	}
	for i, j := range r.Judged {
		if j == nil || len(j.Modules) == 0 || j.Files == nil || slices.Contains(slices.Collect(maps.Values(j.Files)), "") || len(j.Licences) == 0 {
			return nil, fmt.Errorf("%s: judgement %d has no modules, no files or no licences", PolicyFile, i+1)
		}
		j.met = map[string]bool{}
	}
	return r, nil
}

// allows says whether a module may have a licence.
func (r *rules) allows(id string, linked bool, today time.Time) bool {
	lists := [][]*allowance{r.Linked}
	if !linked {
		lists = append(lists, r.Beside)
	}
	for _, list := range lists {
		for _, a := range list {
			if a.ID == id {
				a.met = true
				return a.Problem(today) == ""
			}
		}
	}
	return false
}

// judge comes to a check of one module.
func (r *rules) judge(m module, found sbom.Licence, digests map[string]string, today time.Time) (evidence.Check, entry) {
	subject := strings.TrimSuffix(m.Path+" "+m.Version, " ")
	e := entry{Module: m.Path, Version: m.Version, Linked: m.linked, Licences: []string{found.ID}}
	why := found.Why
	if found.ID == sbom.NoAssertion {
		for _, j := range r.Judged {
			if !slices.Contains(j.Modules, m.Path) || !maps.Equal(j.Files, digests) {
				continue
			}
			j.met[m.Path] = true
			if problem := j.Problem(today); problem != "" {
				why = "it was judged, but " + problem
				continue
			}
			e.Licences, e.Judged = slices.Clone(j.Licences), true
			break
		}
	}
	where, list := "beside", PolicyFile+" does not allow it in tools and tests"
	if m.linked {
		where, list = "linked", PolicyFile+" does not allow it to be linked"
	}
	if e.Licences[0] == sbom.NoAssertion {
		return evidence.Expect("security.licenses.unknown", subject, false, "unknown: "+why+"; "+describe(digests), "a licence that is known",
			"read its licence files, then write what they are into "+PolicyFile+", with these digests"), e
	}
	for _, id := range e.Licences {
		if !r.allows(id, m.linked, today) {
			return evidence.Expect("security.licenses.allowed", subject, false, id+", "+where, "a licence that is allowed", list+"; do without the module, or decide and write down why"), e
		}
	}
	return evidence.Expect("security.licenses.allowed", subject, true, strings.Join(e.Licences, " and ")+", "+where, "a licence that is allowed", ""), e
}

// describe is a list of digests as the policy file has it.
func describe(digests map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		parts = append(parts, fmt.Sprintf("%s: %q", name, digests[name]))
	}
	return "files: {" + strings.Join(parts, ", ") + "}"
}

// check holds that each entry has a reason and is about something. When not all
// modules could be listed, it may be about one of the others.
func (r *rules) check(p *gates.Pass, whole bool, today time.Time) {
	entry := func(subject string, b policy.Because, met bool) {
		const code = "security.licenses.policy"
		problem := b.Problem(today)
		switch {
		case problem == "" && met:
			return
		case problem == "" && !whole:
			p.Check(evidence.CouldNotTell(code, PolicyFile+": "+subject, "a module is like this", "not all modules could be listed", "go mod download"))
			return
		case problem == "":
			problem = "no module is like this any more"
		}
		check := evidence.Finding(code, PolicyFile, 0, problem, "take the entry out, or give a reason")
		check.Subject = PolicyFile + ": " + subject
		p.Check(check)
	}
	for _, a := range slices.Concat(r.Linked, r.Beside) {
		entry(a.ID, a.Because, a.met)
	}
	for _, j := range r.Judged {
		for _, m := range j.Modules {
			entry(m, j.Because, j.met[m])
		}
	}
}
