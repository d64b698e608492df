// Package matrix carries out every case of source, sink and strategy on the real
// engine, and looks at every row of the target with code that shares nothing with it:
// the rows come from package fixture, what is expected of them from package oracle,
// the target is read back by package system, and package compare holds one against the
// other.
package matrix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/shard"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/source"
)

// Area is the folder below the artifacts that the runs go to.
const Area = "integration_matrix"

// Options of a run of the matrix.
type Options struct {
	Mode      cases.Mode      `json:"run_mode"`
	Selection cases.Selection `json:"selection"`
	Volume    cases.Volume    `json:"volume"`
	// Jobs is how many cases are carried out at once; [DefaultJobs] if 0.
	Jobs int `json:"jobs"`
	// Resume takes over the cases that passed in the newest run of the same commit, mode and volume.
	Resume bool `json:"resume"`
	// Shard is the part of the cases that this run carries out, of Shards; all of them when Shards is 0.
	Shard  int `json:"shard"`
	Shards int `json:"shards"`
	// WithoutGuides asks for no page about each strategy in the tree: another module need not write again what dpone's own pages tell.
	WithoutGuides bool `json:"without_guides,omitempty"`
	// Connectors are the engine's families and Families the matrix's own knowledge of them; those that dpone brings if nil.
	Connectors []connector.Connector `json:"-"`
	Families   []system.Family       `json:"-"`
	// Getenv reads the environment; os.Getenv if nil.
	Getenv func(string) string `json:"-"`
}

// DefaultJobs is one case a processor and one more, which works while another waits for the disk.
func DefaultJobs() int { return runtime.GOMAXPROCS(0) + 1 }

func (o Options) defaults() Options {
	if o.Mode == "" {
		o.Mode = cases.MockContract
	}
	if o.Jobs <= 0 {
		o.Jobs = DefaultJobs()
	}
	if o.Connectors == nil {
		o.Connectors = connectors.All()
	}
	if o.Families == nil {
		o.Families = Families()
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return o
}

// targets are the targets of the modes.
var targets = map[cases.Mode]string{
	cases.MockContract: "matrix:mockContract", cases.MockLocal: "matrix:mockLocal",
	cases.RealLocal: "matrix:realLocal", cases.VendorLive: "matrix:vendorLive",
}

// docs are what a green run of a mode proves.
var docs = map[cases.Mode]string{
	cases.MockContract: "Every case's rows come out of the engine as they should, on embedded stores, and its manifest, page and capabilities agree.",
	cases.MockLocal:    "Every case is right, row by row, on the systems of this machine.",
	cases.RealLocal:    "Every case is right on durable servers after the engine was killed in the middle of it.",
	cases.VendorLive:   "Every case is right on the caller's own systems.",
}

// Validate refuses options that select nothing that exists, or no rows. The error is a *[gates.UsageError].
func (o Options) Validate() error {
	_, err := newRun(o.defaults())
	return err
}

// Gate is the matrix in one mode.
func Gate(o Options) gates.Gate {
	o = o.defaults()
	step := Step(o, "")
	r, _ := newRun(o) // what is wrong is told by the step
	return gates.Gate{
		ID: step.ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step},
		Partial: o.Selection.Partial() || o.Shards > 1 || r != nil && len(r.selected) != len(r.registry),
	}
}

// Step is the matrix as a step of another gate. Its artifacts go below folder in that gate's run.
func Step(o Options, folder string) gates.Step {
	o = o.defaults()
	id := targets[o.Mode]
	reproduce := "mage " + id
	if o.Shards > 0 {
		id = shardID
		reproduce = fmt.Sprintf("mage %s -index=%d -total=%d -mode=%s", id, o.Shard, o.Shards, o.Mode)
	}
	return gates.Step{
		ID: id, Doc: docs[o.Mode], Runbook: "docs/runbooks.md#matrix", Reproduce: reproduce,
		Commands: func(root string) ([]proc.Command, error) {
			r, err := newRun(o)
			if err == nil {
				err = r.cut(root)
			}
			if err != nil {
				return nil, err
			}
			return r.commands(), nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			r, err := newRun(o)
			if err == nil {
				err = r.cut(p.Root)
			}
			if err != nil {
				return err
			}
			r.folder = folder
			return r.run(ctx, p)
		},
	}
}

// run is one run of the matrix.
type run struct {
	Options
	registry []cases.Case
	selected []cases.Case
	plan     *shard.Plan // of the shards, nil when there are none
	folder   string
	results  []result.Case
	began    time.Time
	meta     result.Meta
}

func newRun(o Options) (*run, error) {
	r := &run{Options: o}
	usage := func(err error) error {
		return &gates.UsageError{Problem: err.Error()}
	}
	var err error
	if r.registry, err = cases.Registry(o.Connectors); err != nil {
		return nil, usage(err)
	}
	if r.selected, err = cases.Select(r.registry, o.Selection); err != nil {
		return nil, usage(err)
	}
	if err := (fixture.Spec{Seed: o.Volume.Seed, Rows: o.Volume.Rows, Changed: o.Volume.Changed, Deleted: o.Volume.Deleted, Family: "any"}).Validate(); err != nil {
		return nil, usage(err)
	}
	if o.Mode == cases.VendorLive {
		if err := refuseForks(o.Getenv); err != nil {
			return nil, usage(err)
		}
	}
	return r, nil
}

// worker is the program that is killed in real_local.
const worker = "$SCRATCH/worker"

func buildWorker() proc.Command {
	return proc.Command{Name: "go", Args: []string{"build", "-trimpath", "-o", worker, "./gates/matrix/worker"}, Env: []string{"CGO_ENABLED=0"}}
}

// crashCommand kills the engine in the load of a case, at a point that depends on the case alone.
func crashCommand(id string) proc.Command {
	points := connector.Points()
	at := 0
	for _, b := range []byte(id) {
		at = (at*31 + int(b)) % len(points)
	}
	return proc.Command{Name: worker, Args: []string{"crash", "$SCRATCH/" + id + "/load.yaml", string(points[at])}}
}

func (r *run) commands() []proc.Command {
	if r.Mode != cases.RealLocal {
		return nil
	}
	all := []proc.Command{buildWorker()}
	for _, c := range r.selected {
		all = append(all, crashCommand(c.ID))
	}
	return all
}

func (r *run) run(ctx context.Context, p *gates.Pass) (err error) {
	if err := os.MkdirAll(p.Folder().Path(r.folder), 0o755); err != nil {
		return err
	}
	if len(r.selected) == 0 {
		p.Check(evidence.CouldNotTell("matrix.selection_empty", r.name(), "at least one case", "the selection has no case", "widen -source, -sink, -strategy or -caseID; mage matrix:list shows what there is"))
		p.Fact("no case is selected")
		return nil
	}
	r.began = time.Now()
	if r.Mode == cases.VendorLive && !r.ready(p) {
		p.Fact("a secret is missing, readiness.json names it")
		return nil
	}
	state, _, err := p.Tree.State(ctx)
	if err != nil {
		return fmt.Errorf("which commit this is: %w", err)
	}
	r.describe(p, state)
	if r.plan != nil {
		receipt, err := r.receipt(state.DirtyDigest)
		if err != nil {
			return err
		}
		if err := r.into(p).WriteFile(shard.ReceiptFile, receipt); err != nil {
			return err
		}
	}
	setup := Setup{
		Mode: r.Mode, Connectors: r.Connectors, Families: r.Families, Volume: r.Volume, Scratch: p.Scratch, Root: p.Root,
		Getenv: r.Getenv, Log: func(line string) { p.Logf("%s", line) },
	}
	if r.WithoutGuides {
		setup.Root = ""
	}
	if r.Mode == cases.RealLocal {
		p.Progress(0, 0, "building the worker")
		if _, err := p.Exec(ctx, buildWorker(), proc.Options{}); err != nil {
			return err
		}
		setup.Crash = func(ctx context.Context, id string) (connector.Point, error) {
			done, err := p.Exec(ctx, crashCommand(id), proc.Options{Capture: 1 << 10})
			if ctx.Err() != nil {
				return "", context.Cause(ctx)
			}
			var ended *exec.ExitError
			if errors.As(err, &ended) && !ended.Exited() {
				return connector.Point(strings.TrimSpace(string(done.Stdout))), nil
			}
			return "", err
		}
	}
	p.Progress(0, len(r.selected), "starting systems")
	e, err := Start(ctx, setup, r.selected)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(ctx)) }()
	todo := r.selected
	if r.Resume {
		if todo, err = r.takeOver(p, e.Facts()); err != nil {
			return err
		}
	}
	r.progress(p)
	e.Each(ctx, todo, r.Jobs, func(c result.Case) {
		if ctx.Err() != nil && c.Problem != "" {
			return // it was stopped, and says nothing of the engine
		}
		err = errors.Join(err, r.take(p, c))
		r.progress(p)
	})
	if err := errors.Join(err, r.report(p)); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// take keeps what one case gave, at once, so that an interrupted run can be resumed.
func (r *run) take(p *gates.Pass, c result.Case) error {
	r.results = append(r.results, c)
	if err := result.Write(r.into(p), c, r.meta); err != nil {
		return err
	}
	subject, reproduce := c.ID, result.Reproduce(c.ID, r.meta.Identity)
	switch c.Verdict() {
	case evidence.Pass:
		p.Check(evidence.Expect("matrix.case", subject, true, "every check is green", "every check is green", ""))
	case evidence.Skip:
		p.Skip(subject, c.SkipReason)
	case evidence.Fail:
		p.Logf("%s: FAIL", c.ID)
		for _, check := range c.Checks {
			if check.Verdict == evidence.Fail {
				p.Check(evidence.Expect("matrix."+check.Code, subject, false, check.Observed, check.Expected, reproduce))
			}
		}
		for _, d := range c.Differences {
			p.Logf("%s: key %s is %s: %s is %q, expected %q", c.ID, d.Key, d.Kind, d.Column, d.Actual, d.Expected)
		}
	default:
		p.Check(evidence.CouldNotTell("matrix.case", subject, "the case is carried out", cmp.Or(c.Problem, "a check could not tell"), reproduce))
	}
	return nil
}

// progress says how far the run is and how long the rest will take.
func (r *run) progress(p *gates.Pass) {
	done, failed := len(r.results), 0
	for i := range r.results {
		if r.results[i].Verdict() == evidence.Fail {
			failed++
		}
	}
	line := fmt.Sprintf("%d failed", failed)
	if done > 0 && done < len(r.selected) {
		left := time.Since(r.began) / time.Duration(done) * time.Duration(len(r.selected)-done)
		line += ", eta " + left.Round(time.Second).String()
	}
	if done > 0 {
		line += ", " + r.results[done-1].ID
	}
	p.Progress(done, len(r.selected), line)
}

func (r *run) name() string { return targets[r.Mode] }

// describe says what the run is about.
func (r *run) describe(p *gates.Pass, state source.State) {
	r.meta = result.Meta{
		Run: p.Folder().Run(), Started: r.began.UTC(), Jobs: r.Jobs,
		Identity: result.Identity{
			Build: result.Build{Commit: state.Commit, Dirty: state.Dirty, Engine: engine.Version(), Connectors: strings.Join(slices.Sorted(slices.Values(names(r.Connectors))), ", "), Go: runtime.Version()},
			Mode:  r.Mode, Seed: r.Volume.Seed, Rows: r.Volume.Rows, Changed: r.Volume.Changed, Deleted: r.Volume.Deleted,
		},
	}
}

func names(all []connector.Connector) []string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = all[i].Name
	}
	return list
}

// maxEarlier is how many earlier runs are looked at for results to take over.
const maxEarlier = 50

// takeOver keeps what passed in the newest earlier run of the same, and gives the cases that are left.
func (r *run) takeOver(p *gates.Pass, systems map[string]system.Facts) ([]cases.Case, error) {
	area, own := filepath.Split(filepath.Clean(p.Folder().Dir()))
	entries, err := os.ReadDir(area)
	if err != nil {
		return nil, fmt.Errorf("look for an earlier run: %w", err)
	}
	slices.Reverse(entries) // the names sort by time
	want := r.meta.Identity
	want.Systems = systems
	for i, e := range entries {
		if !e.IsDir() || e.Name() == own || i > maxEarlier {
			continue
		}
		earlier, err := result.Load(filepath.Join(area, e.Name(), r.folder))
		if err != nil {
			p.Logf("resume: %v", err)
			continue
		}
		left := slices.Clone(r.selected)
		for _, c := range earlier {
			at := slices.IndexFunc(left, func(have cases.Case) bool { return have.ID == c.ID })
			ok, reason := result.Reusable(c, want)
			if at < 0 || !ok {
				p.Logf("resume: %s of %s is not taken over: %s", c.ID, e.Name(), reason)
				continue
			}
			left = slices.Delete(left, at, at+1)
			if err := r.take(p, result.TakeOver(c, e.Name())); err != nil {
				return nil, err
			}
		}
		if len(left) < len(r.selected) {
			p.Warn("%d of %d cases are taken over from %s", len(r.selected)-len(left), len(r.selected), e.Name())
			return left, nil
		}
	}
	p.Warn("no earlier run of this commit, mode and volume has a case that could be taken over")
	return r.selected, nil
}

// report writes what is said of all cases together, and the checks of the whole.
func (r *run) report(p *gates.Pass) error {
	r.meta.Finished = time.Now().UTC()
	selected := ids(r.selected)
	report := result.NewReport(r.meta, r.registry, selected, r.results)
	if err := report.Write(r.into(p)); err != nil {
		return err
	}
	durations, err := shard.Recorded(r.results).Encode()
	if err != nil {
		return err
	}
	if err := r.into(p).WriteFile(shard.DurationsFile, durations); err != nil {
		return err
	}
	for _, b := range report.Blockers {
		switch b.Code {
		case result.CaseFailed, result.CaseUnverified: // each has checks of its own
		case result.CaseMissing, result.SelectionEmpty, result.NothingExecuted:
			p.Check(evidence.CouldNotTell(b.Code, b.Subject, "registry, selection and results agree", b.Message, "run the target again, with -resume for what is left"))
		default:
			p.Check(evidence.Expect(b.Code, b.Subject, false, b.Message, "registry, selection and results agree", "look at coverage.json"))
		}
	}
	p.Suite(result.Suite(r.results))
	p.Show(report.Summary())
	p.Fact("%s", report.Fact())
	return nil
}

// inFolder writes below a folder of the run.
type inFolder struct {
	p      *gates.Pass
	prefix string
}

// WriteFile writes a file whole or not at all.
func (f inFolder) WriteFile(name string, content []byte) error {
	return f.p.Folder().WriteFile(path.Join(f.prefix, name), content)
}

func (r *run) into(p *gates.Pass) inFolder { return inFolder{p, r.folder} }
