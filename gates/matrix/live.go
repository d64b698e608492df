package matrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/matrix/system"
)

// maxEvent bounds what is read of the event that started a workflow, in bytes.
const maxEvent = 4 << 20

// refuseForks keeps the secrets of vendor_live away from code that anybody can propose:
// in GitHub Actions a pull request has to come from the repository itself. What cannot
// be read is refused.
func refuseForks(getenv func(string) string) error {
	event := getenv("GITHUB_EVENT_NAME")
	if event != "pull_request" && event != "pull_request_target" {
		return nil
	}
	type repository struct {
		FullName string `json:"full_name"`
	}
	var payload struct {
		PullRequest struct {
			Head, Base struct {
				Repo *repository `json:"repo"`
			}
		} `json:"pull_request"`
	}
	file, err := os.Open(getenv("GITHUB_EVENT_PATH"))
	if err == nil {
		defer file.Close()
		err = json.NewDecoder(io.LimitReader(file, maxEvent)).Decode(&payload)
	}
	head, base := payload.PullRequest.Head.Repo, payload.PullRequest.Base.Repo
	switch {
	case err != nil:
		return fmt.Errorf("live systems are not for pull requests from forks, and GITHUB_EVENT_PATH does not tell whether this is one: %w", err)
	case head == nil || base == nil || head.FullName == "" || head.FullName != base.FullName:
		return errors.New("live systems are not for pull requests from forks; run it on a branch of the repository")
	}
	return nil
}

// readiness tells by name which of the caller's secrets are there. It never holds a value.
type readiness struct {
	Schema  string          `json:"schema_version"`
	Ready   bool            `json:"ready"`
	Secrets []secretPresent `json:"secrets"`
}

type secretPresent struct {
	Family  string `json:"family"`
	Name    string `json:"name"`
	Present bool   `json:"present"`
}

// ready reports, before anything is connected to, whether every family of the selection has its secrets.
func (r *run) ready(p *gates.Pass) bool {
	report := readiness{Schema: "dpone.matrix.readiness.v1", Ready: true, Secrets: []secretPresent{}}
	seen := map[string]bool{}
	for _, c := range r.selected {
		for _, name := range []string{c.Source, c.Sink} {
			if seen[name] {
				continue
			}
			seen[name] = true
			for _, family := range r.Families {
				if family.Name == name {
					report.add(p, family, r.Getenv)
				}
			}
		}
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		err = r.into(p).WriteFile("readiness.json", append(text, '\n'))
	}
	if err != nil {
		p.Warn("the readiness report could not be written: %v", err)
	}
	return report.Ready
}

// add reports the sets of variables of a family, of which one has to be whole.
func (report *readiness) add(p *gates.Pass, family system.Family, getenv func(string) string) {
	ready := len(family.Secrets) == 0
	for _, set := range family.Secrets {
		missing := 0
		for _, name := range set {
			present := getenv(name) != ""
			report.Secrets = append(report.Secrets, secretPresent{Family: family.Name, Name: name, Present: present})
			if !present {
				missing++
			}
		}
		ready = ready || missing == 0
	}
	var sets []string
	for _, set := range family.Secrets {
		sets = append(sets, strings.Join(set, " and "))
	}
	names := strings.Join(sets, ", or ")
	switch {
	case len(sets) == 0: // it needs none
	case ready:
		p.Check(evidence.Expect("matrix.secret_ready", family.Name, true, "set", "set", ""))
	default:
		report.Ready = false
		p.Check(evidence.CouldNotTell("matrix.secret_ready", family.Name, "set: "+names, "a variable is empty", "set "+names+" to the address of a "+family.Name+" that the matrix may write to"))
	}
}
