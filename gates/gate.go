// Package gates is what a gate is and the runner that takes it from options
// to evidence.
//
// A [Gate] is a value: an ID, a sentence, a runbook anchor, options, and steps
// that form a graph. [Run] schedules the steps itself, with a limit on how
// many work at once, kills what runs too long, computes the verdict from the
// checks that the steps report, and leaves a record on every way out.
//
// A step says what it found through its [Pass] and only there. An error from
// a step never means FAIL: it means that the step could not tell.
package gates

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/tool"
)

// Gate is a question about a source tree with a verdict for an answer.
type Gate struct {
	// ID is the name of the mage target, for example "ci" or "ci:test".
	ID string
	// Doc is one sentence: what a green run proves.
	Doc string
	// Runbook is the anchor that tells what to do when it is red, for example
	// "docs/runbooks.md#ci".
	Runbook string
	// Area is the folder below the artifacts that the runs go to.
	Area string
	// Options are the typed options after defaults; they are recorded as JSON.
	Options any
	// Partial says that the options leave out some of the work, so that no
	// aggregator takes the record for the whole gate.
	Partial bool
	// Steps in the order in which they start when all else is equal.
	Steps []Step
	// Inputs are files, relative to the root, that decide how the gate runs.
	// Those that exist are recorded with their digest.
	Inputs []string
	// Circumstances are chosen anew for each run, such as a seed. Their names
	// may stand in commands as $NAME; the values are recorded as volatile.
	Circumstances []evidence.NameValue
	// Finally runs on every way out, before the record is written, to complete
	// what the run folder must hold. It may be nil.
	Finally func(f *folder.Folder) error
}

// Step is one node of the graph.
type Step struct {
	// ID is unique in the gate. Doc and Runbook are as in Gate.
	ID, Doc, Runbook string
	// Needs are steps that must PASS before this one starts; otherwise this
	// one is blocked and never runs.
	Needs []string
	// After are steps that must have ended before this one starts, whatever
	// came of them. The order holds through a step that is left out.
	After []string
	// Timeout ends the step; 0 means no limit of its own.
	Timeout time.Duration
	// Background says that the step's programs give way to those of other steps
	// when processors are short: the run is as long as its longest step, so the
	// others can wait for what that one leaves over.
	Background bool
	// Reproduce is the command that runs just this step; "mage <ID>" if empty.
	Reproduce string
	// Tools are built, or found in the cache, before Run; a command whose Name
	// is that of a tool is started by the path of its binary. It may be nil.
	Tools func(root string) []tool.Tool
	// Commands are the command lines the step will run. It may read files but
	// runs nothing, so that a plan can be printed. It may be nil.
	Commands func(root string) ([]proc.Command, error)
	// Run does the work. It reports through p.
	Run func(ctx context.Context, p *Pass) error
}

var (
	idPattern     = regexp.MustCompile(`^[a-z][A-Za-z0-9]*(:[a-z][A-Za-z0-9]*)*$`)
	areaPattern   = regexp.MustCompile(`^[a-z][a-z0-9_-]*(/[a-z][a-z0-9_-]*)*$`)
	anchorPattern = regexp.MustCompile(`^[A-Za-z0-9_./-]+\.md#[a-z0-9-]+$`)
)

// UsageError is a mistake in what was asked for: exit code 2, and nothing runs.
type UsageError struct{ Problem string }

func (e *UsageError) Error() string { return e.Problem }

// ExitStatus is 2; mage looks for the method on errors.
func (*UsageError) ExitStatus() int { return 2 }

func misuse(format string, args ...any) error {
	return &UsageError{Problem: fmt.Sprintf(format, args...)}
}

// Validate refuses a gate that could not run as it reads: an ID that is no
// name or not unique, a missing sentence or runbook, an unknown or circular
// dependency. All errors are *[UsageError].
func (g Gate) Validate() error {
	if err := validate("gate", g.ID, g.Doc, g.Runbook); err != nil {
		return err
	}
	if !areaPattern.MatchString(g.Area) {
		return misuse("gate %s: area %q is not a relative path in lower case", g.ID, g.Area)
	}
	if len(g.Steps) == 0 {
		return misuse("gate %s: it has no steps, so it proves nothing", g.ID)
	}
	if _, err := json.Marshal(g.Options); err != nil {
		return misuse("gate %s: options: %v", g.ID, err)
	}
	index := make(map[string]*Step, len(g.Steps))
	for i := range g.Steps {
		step := &g.Steps[i]
		if err := validate("step", step.ID, step.Doc, step.Runbook); err != nil {
			return fmt.Errorf("gate %s: %w", g.ID, err)
		}
		if index[step.ID] != nil {
			return misuse("gate %s: two steps have the ID %q", g.ID, step.ID)
		}
		if step.Run == nil {
			return misuse("gate %s: step %s: Run is nil, so it would look at nothing", g.ID, step.ID)
		}
		index[step.ID] = step
	}
	for _, step := range g.Steps {
		for _, need := range step.waitsFor() {
			if index[need] == nil {
				return misuse("gate %s: step %s needs %q, which is not a step of the gate", g.ID, step.ID, need)
			}
		}
	}
	if chain := cycle(g.Steps); chain != nil {
		return misuse("gate %s: steps wait for each other: %s", g.ID, strings.Join(chain, " -> "))
	}
	return nil
}

func validate(what, id, doc, runbook string) error {
	switch {
	case !idPattern.MatchString(id):
		return misuse("%s %q: the ID is not a target name such as ci:test", what, id)
	case strings.TrimSpace(doc) == "" || strings.Contains(doc, "\n") || !strings.HasSuffix(doc, "."):
		return misuse("%s %s: doc is not one sentence that ends with a full stop", what, id)
	case !anchorPattern.MatchString(runbook):
		return misuse("%s %s: runbook %q is not an anchor such as docs/runbooks.md#ci", what, id, runbook)
	}
	return nil
}

// cycle returns the IDs of steps that wait for each other, the first one
// again at the end, or nil.
func cycle(steps []Step) []string {
	waits := make(map[string][]string, len(steps))
	for _, step := range steps {
		waits[step.ID] = step.waitsFor()
	}
	done := make(map[string]bool, len(steps))
	var path []string
	var visit func(id string) []string
	visit = func(id string) []string {
		if at := slices.Index(path, id); at >= 0 {
			return append(slices.Clone(path[at:]), id)
		}
		if done[id] {
			return nil
		}
		path = append(path, id)
		for _, next := range waits[id] {
			if chain := visit(next); chain != nil {
				return chain
			}
		}
		path = path[:len(path)-1]
		done[id] = true
		return nil
	}
	for _, step := range steps {
		if chain := visit(step.ID); chain != nil {
			return chain
		}
	}
	return nil
}

// Single is the gate that holds just one step of g, so that each step is a
// target of its own. What the step waits for is not part of it.
func (g Gate) Single(id string) Gate {
	for _, step := range g.Steps {
		if step.ID == id {
			step.Needs, step.After = nil, nil
			g.ID, g.Doc, g.Runbook, g.Steps = step.ID, step.Doc, step.Runbook, []Step{step}
			return g
		}
	}
	// Validate refuses it with the ID, which is the clearest thing to say.
	g.ID, g.Steps = id, nil
	return g
}

// waitsFor are the IDs of the steps that come before this one.
func (s Step) waitsFor() []string { return slices.Concat(s.Needs, s.After) }

// reproduce is the command that runs just this step.
func (s Step) reproduce() string {
	if s.Reproduce != "" {
		return s.Reproduce
	}
	return "mage " + s.ID
}

// tools are the pinned tools of the step.
func (s Step) tools(root string) []tool.Tool {
	if s.Tools == nil {
		return nil
	}
	return s.Tools(root)
}

// commands plans the step.
func (s Step) commands(root string) ([]proc.Command, error) {
	if s.Commands == nil {
		return nil, nil
	}
	commands, err := s.Commands(root)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return commands, nil
}

// digestInputs records the inputs that exist.
func digestInputs(root string, names []string) ([]evidence.File, error) {
	files := []evidence.File{}
	tree, err := os.OpenRoot(root)
	if err != nil {
		return files, err
	}
	defer tree.Close()
	for _, name := range slices.Sorted(slices.Values(names)) {
		// Through the root, so that a link in the tree cannot lead out of it.
		file, err := tree.Open(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return files, fmt.Errorf("input: %w", err)
		}
		digest, err := folder.DigestReader(name, file)
		file.Close()
		if err != nil {
			return files, fmt.Errorf("input: %w", err)
		}
		files = append(files, digest)
	}
	return files, nil
}
