// Package licences holds that every module in a build has a licence that the
// project allows: of the code that is linked into what is shipped, and of the
// developer tools and tests that run beside it.
//
// A licence is known when its text is, word for word, one of those that package
// sbom has. Any other is judged by a person, once, and bound to the digest of the
// text that was judged. What nobody knows is FAIL.
package licences

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sbom"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/modules"
)

const (
	// ID is the name of the gate, of its step and of the mage target.
	ID = "security:licenses"
	// Area is the folder below the artifacts that the runs go to.
	Area = "security"
	// PolicyFile says which licences are allowed, and what the unclear ones are.
	PolicyFile = ".ci/licences.yaml"
	// Report is the name of the artifact: every module with its licence.
	Report = "licences.json"

	runbook = "docs/runbooks.md#security-licenses"
)

// Options are what can be chosen; the zero value suits a module with magefiles.
type Options struct {
	// Tags are build tags; "mage" if empty, so that magefiles are looked at, too.
	Tags string `json:"tags"`
	// Today decides which judgements have expired; now if zero.
	Today time.Time `json:"-"`
}

// Gate is the gate security:licenses.
func Gate(o Options) gates.Gate {
	if o.Tags == "" {
		o.Tags = "mage"
	}
	if o.Today.IsZero() {
		o.Today = time.Now()
	}
	doc := "Every module in a build has a licence that the policy allows."
	return gates.Gate{
		ID: ID, Doc: doc, Runbook: runbook, Area: Area, Options: o, Inputs: []string{PolicyFile, "go.mod", "go.sum"},
		Steps: []gates.Step{{ID: ID, Doc: doc, Runbook: runbook, Commands: o.commands, Run: o.run}},
	}
}

// systems are those that modules are linked for. A module may be needed on one alone.
var systems = []string{"linux", "darwin", "windows"}

// linkedMark stands in the command that lists linked modules; what other
// commands list runs beside them.
const linkedMark = "CGO_ENABLED=0"

func (o Options) commands(root string) ([]proc.Command, error) {
	all, err := modules.Find(root)
	if err != nil {
		return nil, err
	}
	list := func(dir string, env []string, args ...string) proc.Command {
		return proc.Command{Name: "go", Dir: dir, Env: append([]string{"GOWORK=off"}, env...), Args: append([]string{"list", "-deps", "-json=Module", "-tags=" + o.Tags}, args...)}
	}
	var commands []proc.Command
	for _, m := range all {
		if m.Code {
			for _, system := range systems {
				commands = append(commands, list(m.Dir, []string{linkedMark, "GOOS=" + system, "GOARCH=amd64"}, "./..."))
			}
			commands = append(commands, list(m.Dir, nil, "-test", "./..."))
		}
		if m.Tools {
			commands = append(commands, list(m.Dir, nil, "tool"))
		}
	}
	return commands, nil
}

const maxList = 256 << 20

func (o Options) run(ctx context.Context, p *gates.Pass) error {
	if len(p.Commands) == 0 {
		return fmt.Errorf("%w: there is no Go module", gates.ErrNothingRan)
	}
	rules, err := readRules(p.Root)
	if err != nil {
		p.Check(evidence.Finding("security.licenses.policy", PolicyFile, 0, err.Error(), "mend the file; docs/security.md says what it holds"))
		return nil
	}
	found, whole := map[string]*module{}, true
	for i, c := range p.Commands {
		p.Progress(i, len(p.Commands), c.Dir)
		result, err := p.Exec(ctx, c, proc.Options{Stdout: io.Discard, Capture: maxList})
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			whole = false
			p.Check(evidence.CouldNotTell("security.licenses.list", c.String(), "a list of modules", err.Error(), "go mod download, in that directory"))
			continue
		}
		if err := collect(found, result.Stdout, p.Root, slices.Contains(c.Env, linkedMark)); err != nil {
			return err
		}
	}
	own, _, err := sbom.LicenceIn(p.Root)
	if err != nil {
		return err
	}
	allowed := rules.allows(own.ID, true, o.Today)
	p.Check(evidence.Expect("security.licenses.own", "the project itself", allowed, strings.TrimSpace(own.ID+" "+own.Why), "a licence that is known and allowed", "put the text of the licence into LICENSE, word for word, and its id into "+PolicyFile))
	report := []entry{}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		m := found[key]
		licence, digests, err := sbom.LicenceIn(m.Dir)
		if err != nil {
			whole = false
			p.Check(evidence.CouldNotTell("security.licenses.read", key, "its licence is read", err.Error(), "go clean -modcache, then go mod download"))
			continue
		}
		check, e := rules.judge(*m, licence, digests, o.Today)
		p.Check(check)
		report = append(report, e)
	}
	rules.check(p, whole, o.Today)
	raw, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		err = p.Folder().WriteFile(Report, append(raw, '\n'))
	}
	linked := 0
	for _, e := range report {
		if e.Linked {
			linked++
		}
	}
	p.Fact("%d modules, %d of them linked, under %d licences", len(report), linked, kinds(report))
	return err
}

// module is a module in a build.
type module struct {
	Path, Version, Dir string

	linked bool // into what is shipped
}

// entry is a module in the report.
type entry struct {
	Module   string   `json:"module"`
	Version  string   `json:"version"`
	Linked   bool     `json:"linked"`
	Licences []string `json:"licences"`
	// Judged says that a person said so, and not the text alone.
	Judged bool `json:"judged,omitempty"`
}

func kinds(report []entry) int {
	all := map[string]bool{}
	for _, e := range report {
		for _, id := range e.Licences {
			all[id] = true
		}
	}
	return len(all)
}

// collect reads "go list -deps -json=Module" and adds the modules that are not
// the project's own.
func collect(found map[string]*module, raw []byte, root string, linked bool) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	for n := 0; ; n++ {
		var pkg struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
				Replace            *struct{ Path, Version string }
			}
		}
		err := dec.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return fmt.Errorf("%w: go list named no packages", gates.ErrNothingRan)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("go list: package %d: %w", n+1, err)
		}
		m := pkg.Module
		if m == nil || m.Main {
			continue
		}
		if m.Path == "" || m.Dir == "" {
			return fmt.Errorf("go list: module %.80q has no directory", m.Path)
		}
		path, version := m.Path, m.Version
		if r := m.Replace; r != nil {
			if r.Version == "" {
				if rel, err := filepath.Rel(root, m.Dir); err == nil && filepath.IsLocal(rel) {
					continue // a module of this tree
				}
			}
			path, version = r.Path, r.Version
		}
		key := strings.TrimSuffix(path+" "+version, " ")
		if found[key] == nil {
			found[key] = &module{Path: path, Version: version, Dir: m.Dir}
		}
		found[key].linked = found[key].linked || linked
	}
}
