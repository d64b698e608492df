package reproduce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/terminal"
)

// maxPlan bounds what a plan may print, in bytes.
const maxPlan = 16 << 20

// command is mage with the recorded words.
func (a *attempt) command(further ...string) proc.Command {
	words := slices.Concat(a.opts.mage[1:], a.args, further)
	return proc.Command{Name: a.opts.mage[0], Args: words}
}

// plan holds the gate that the line is here against the recorded one. It runs
// nothing but mage, which compiles the magefiles.
func (a *attempt) plan(ctx context.Context) {
	r := a.result
	result, err := proc.Run(ctx, a.opts.Root, a.command("-"+planFlag+"=true"), proc.Options{Output: a.opts.Stderr, Stdout: &proc.Buffer{}, Capture: maxPlan, Environ: a.environ("json", "")})
	if err != nil {
		r.reason(CodeNoPlan, "%s", oneLine(err))
		return
	}
	var plan gates.Plan
	if err := json.NewDecoder(bytes.NewReader(result.Stdout)).Decode(&plan); err != nil {
		r.reason(CodeNoPlan, "what the target prints with -%s is no plan: %v", planFlag, err)
		return
	}
	if plan.Gate != a.record.Stable.Gate.ID {
		r.reason(CodeWrongGate, "the line is the gate %s here, and the record is of %s", plan.Gate, a.record.Stable.Gate.ID)
		return
	}
	if why, ok := a.opts.Outside[plan.Gate]; ok {
		r.reason(CodeOutside, "%s: %s", plan.Gate, why)
	}
	var ids []string
	for _, step := range plan.Steps {
		ids = append(ids, step.ID)
	}
	if recorded := stepIDs(a.record.Stable.Steps); !slices.Equal(ids, recorded) {
		r.reason(CodeWrongGate, "the gate has the steps %s here, and had %s", strings.Join(ids, ", "), strings.Join(recorded, ", "))
	}
}

// again runs the line and compares.
func (a *attempt) again(ctx context.Context) {
	r := a.result
	dir, err := a.scratch()
	if err != nil {
		r.reason(CodeUnreadable, "%v", err)
		return
	}
	defer os.RemoveAll(dir) // what stays behind is in the system's place for that, or says so by its name
	artifacts := filepath.Join(dir, "artifacts")
	a.say("running   %s", printable(r.Line))
	_, runErr := proc.Run(ctx, a.opts.Root, a.command(), proc.Options{Output: a.opts.Stderr, Environ: a.environ(a.output(), artifacts)})
	if a.stopped(ctx) {
		return
	}
	record, err := a.find(ctx, artifacts)
	switch {
	case err != nil && runErr != nil:
		r.reason(CodeNoRecord, "%s; %s", oneLine(runErr), oneLine(err))
		return
	case err != nil:
		r.reason(CodeNoRecord, "%s", oneLine(err))
		return
	}
	if err := a.judge(record); err != nil {
		r.reason(CodeBadRecord, "%v", err)
		return
	}
	if a.opts.Keep == "" {
		return
	}
	if err := os.Rename(artifacts, a.opts.Keep); err != nil {
		r.reason(CodeNotKept, "%v", err)
		r.Verdict, r.Outcome = evidence.Unverified, NotReproducible
		return
	}
	r.Kept = a.opts.Keep
}

// output is the form in which the run shows itself. In a workflow, what programs
// print must not be taken for commands.
func (a *attempt) output() string {
	if value, _ := a.lookup("GITHUB_ACTIONS"); value == "true" {
		return string(terminal.GitHub)
	}
	return string(terminal.Plain)
}

// scratch makes the folder that all is written to. It is beside Keep, so that
// this gets its name in one step.
func (a *attempt) scratch() (string, error) {
	parent := ""
	if a.opts.Keep != "" {
		parent = filepath.Dir(a.opts.Keep)
	}
	dir, err := os.MkdirTemp(parent, ".dpone-reproduce-")
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// find reads the record of the run. A gate may run others on the way; only that
// of the recorded gate and line counts.
func (a *attempt) find(ctx context.Context, artifacts string) (*evidence.Record, error) {
	var found []*evidence.Record
	err := filepath.WalkDir(artifacts, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != folder.RecordJSON {
			return err
		}
		record, sealed, err := readRecord(ctx, path)
		if err != nil {
			return err
		}
		if was := a.record.Stable; sealed && record.Stable.Gate.ID == was.Gate.ID && record.Stable.Invocation.Command == was.Invocation.Command {
			found = append(found, record)
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("the run left no evidence")
	case err != nil:
		return nil, err
	case len(found) != 1:
		return nil, errors.New("the run left no record of the same gate and line, or several")
	}
	return found[0], nil
}
