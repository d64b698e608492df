package workflows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Inventory is what a project says of its automation. The files are held against it, and tables of the documents are
// made from it, so that the three cannot differ.
type Inventory struct {
	// Branch is the default branch, the only one that starts a workflow; "master" if empty.
	Branch    string     `json:"branch"`
	Workflows []Workflow `json:"workflows"`
	// ByHand are the targets that no workflow calls, each with the reason.
	ByHand []Reason `json:"by_hand"`
	// Slow are the targets that a pull request does not start, each with the reason.
	Slow []Reason `json:"slow"`
	// Live are the targets that need the caller's own systems, and so secrets.
	Live []string `json:"live"`
	// Families are the actions that a step may use, with the oldest version that may be pinned.
	Families []Family `json:"families"`
}

// State says whether a workflow is there.
type State string

// The states of a workflow.
const (
	Present State = "present"
	Planned State = "planned" // it comes with its gates; there is no file yet
)

// Workflow is one file in .github/workflows.
type Workflow struct {
	File  string  `json:"file"` // name of the file, such as ci.yml
	Name  string  `json:"name"` // as GitHub shows it
	State State   `json:"state"`
	On    Trigger `json:"on"`
	// Required says whether a change must pass it.
	Required string `json:"required"`
	Purpose  string `json:"purpose"`
	Jobs     []Job  `json:"jobs"`
	// Local are the commands that do the same without GitHub.
	Local []string `json:"local"`
	// Notes are what a reader should know beside that, each a sentence.
	Notes []string `json:"notes,omitempty"`
}

// Trigger is what starts a workflow. A push and a pull request are those to the default branch.
type Trigger struct {
	Push        bool     `json:"push,omitempty"`
	PullRequest bool     `json:"pull_request,omitempty"`
	Paths       []string `json:"paths,omitempty"` // only changes of these, for both
	Tags        []string `json:"tags,omitempty"`
	Schedule    string   `json:"schedule,omitempty"` // as cron has it, in UTC
	ByHand      bool     `json:"by_hand,omitempty"`
	Inputs      []Input  `json:"inputs,omitempty"` // of a start by hand
	Others      []string `json:"others,omitempty"` // further events
}

// Input is a value that somebody gives who starts a workflow by hand.
type Input struct {
	Name    string   `json:"name"`
	Default string   `json:"default"`
	Options []string `json:"options,omitempty"`
	About   string   `json:"about"`
}

// Job is one job of a workflow.
type Job struct {
	ID   string `json:"id"`
	Does string `json:"does"`
	// Gates are the targets that it calls and that leave a record, Helpers those that leave none.
	Gates   []string `json:"gates,omitempty"`
	Helpers []string `json:"helpers,omitempty"`
	// Parts are the targets that run as steps of those gates.
	Parts []string `json:"parts,omitempty"`
	// Actions are the families that it uses beside checkout, setup-go and upload-artifact.
	Actions   []string   `json:"actions,omitempty"`
	Grants    []Grant    `json:"grants,omitempty"`
	Artifacts []Artifact `json:"artifacts,omitempty"`
	Secrets   []Secret   `json:"secrets,omitempty"`
}

// Grant is a permission beyond reading the source.
type Grant struct {
	Scope  string `json:"scope"` // such as "pages: write"
	Reason string `json:"reason"`
}

// Artifact is what a job keeps.
type Artifact struct {
	// Name is as in the file, with <run_id> for ${{ github.run_id }}.
	Name    string `json:"name"`
	Path    string `json:"path"` // the first line of it
	Days    int    `json:"days"` // how long it is kept
	Purpose string `json:"purpose"`
}

// Secret is what a job gets from the settings of the repository.
type Secret struct {
	Name     string `json:"name"`
	For      string `json:"for"`
	Rotation string `json:"rotation"` // how to replace it
}

// Reason is a target and why it is treated so.
type Reason struct {
	Target string `json:"target"`
	Why    string `json:"why"`
}

// Family is an action, or the actions of one repository.
type Family struct {
	Name string `json:"name"`
	Min  string `json:"min"` // such as v6 or v6.2
	Why  string `json:"why"`
}

// withDefaults fills in what is left open.
func (i Inventory) withDefaults() Inventory {
	i.Branch = cmp.Or(i.Branch, "master")
	return i
}

// find is the workflow of a file, or nil.
func (i Inventory) find(file string) *Workflow {
	at := slices.IndexFunc(i.Workflows, func(w Workflow) bool { return w.File == file })
	if at < 0 {
		return nil
	}
	return &i.Workflows[at]
}

func (i Inventory) family(name string) *Family {
	at := slices.IndexFunc(i.Families, func(f Family) bool { return f.Name == name })
	if at < 0 {
		return nil
	}
	return &i.Families[at]
}

// job is nil when there is none of that name.
func (w *Workflow) job(id string) *Job {
	if w == nil {
		return nil
	}
	at := slices.IndexFunc(w.Jobs, func(j Job) bool { return j.ID == id })
	if at < 0 {
		return nil
	}
	return &w.Jobs[at]
}

// targets are those that the workflow calls, and their parts.
func (w Workflow) targets() []string {
	var names []string
	for _, job := range w.Jobs {
		names = append(names, slices.Concat(job.Gates, job.Helpers, job.Parts)...)
	}
	return names
}

// facts are the single statements of a trigger, to be compared.
func (t Trigger) facts() []string {
	var facts []string
	paths := ""
	if len(t.Paths) > 0 {
		paths = " that changes " + strings.Join(t.Paths, ", ")
	}
	if t.Push {
		facts = append(facts, "push"+paths)
	}
	if t.PullRequest {
		facts = append(facts, "pull_request"+paths)
	}
	if len(t.Tags) > 0 {
		facts = append(facts, "tag "+strings.Join(t.Tags, ", "))
	}
	if t.Schedule != "" {
		facts = append(facts, "schedule "+t.Schedule)
	}
	if t.ByHand {
		facts = append(facts, "workflow_dispatch")
	}
	for _, in := range t.Inputs {
		fact := fmt.Sprintf("input %s with the default %q", in.Name, in.Default)
		if len(in.Options) > 0 {
			fact += " of " + strings.Join(in.Options, ", ")
		}
		facts = append(facts, fact)
	}
	return append(facts, t.Others...)
}
