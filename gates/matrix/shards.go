package matrix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/shard"
)

// DurationsFile holds the seconds that cases took, by which shards are cut. It is
// committed, so that every machine of a commit comes to the same cut.
const DurationsFile = ".ci/matrix-durations.json"

// shardID is the name of the gate that carries out one shard, and mergeID of the one that joins them.
const (
	shardID = "matrix:shard"
	mergeID = "matrix:merge"
)

// Sharded are the options of one shard. The error is a *[gates.UsageError].
func (o Options) Sharded(index, total int) (Options, error) {
	o.Shard, o.Shards = index, total
	if total < 1 || total > shard.MaxShards || index < 0 || index >= total {
		return o, &gates.UsageError{Problem: fmt.Sprintf("%s: -index=%d -total=%d: the total is 1 to %d and the index below it, from 0", shardID, index, total, shard.MaxShards)}
	}
	return o, o.Validate()
}

// split cuts the selected cases of a source tree.
func split(root string, selected []cases.Case, total int) (shard.Plan, error) {
	durations, err := shard.ReadDurations(filepath.Join(root, filepath.FromSlash(DurationsFile)))
	if err != nil {
		return shard.Plan{}, err
	}
	return shard.Split(ids(selected), durations, total)
}

func ids(list []cases.Case) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].ID
	}
	return names
}

// PrintPlan prints the job matrix of a cut. In GitHub Actions it sets the step's output "matrix" as well.
func PrintPlan(out io.Writer, root string, o Options, total int) error {
	o = o.defaults()
	r, err := newRun(o)
	if err != nil {
		return err
	}
	if total == 0 {
		total = 1
	}
	if total < 1 || total > shard.MaxShards {
		return &gates.UsageError{Problem: fmt.Sprintf("matrix:plan: -shards=%d is not 1 to %d", total, shard.MaxShards)}
	}
	if len(r.selected) == 0 {
		return &gates.UsageError{Problem: "matrix:plan: the selection has no case; mage matrix:list shows what there is"}
	}
	plan, err := split(root, r.selected, total)
	if err != nil {
		return err
	}
	line := string(plan.Matrix())
	if _, err := fmt.Fprintln(out, line); err != nil {
		return err
	}
	path := o.Getenv("GITHUB_OUTPUT")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("set the step's output: %w", err)
	}
	_, err = fmt.Fprintf(file, "matrix=%s\n", line)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("set the step's output: %w", err)
	}
	return nil
}

// cut leaves the run with the cases of its shard.
func (r *run) cut(root string) error {
	if r.Shards == 0 {
		return nil
	}
	plan, err := split(root, r.selected, r.Shards)
	if err != nil {
		return err
	}
	if r.Shard >= len(plan.Shards) {
		return fmt.Errorf("%w: %w: %d cases make %d shards", gates.ErrNothingRan, shard.ErrSurplus, len(r.selected), len(plan.Shards))
	}
	r.plan = &plan
	mine := plan.Shards[r.Shard].CaseIDs
	r.selected = slices.DeleteFunc(slices.Clone(r.selected), func(c cases.Case) bool { return !slices.Contains(mine, c.ID) })
	return nil
}

// receipt says which part of the plan the run's folder is.
func (r *run) receipt(dirty string) ([]byte, error) {
	receipt, err := r.plan.Receipt(r.Shard, shard.Run{
		Commit: r.meta.Commit, Dirty: dirty, Mode: r.Mode, Seed: r.Volume.Seed, Rows: r.Volume.Rows, Changed: r.Volume.Changed, Deleted: r.Volume.Deleted,
	})
	if err != nil {
		return nil, err
	}
	return receipt.Encode()
}

// MergeOptions of matrix:merge.
type MergeOptions struct {
	// From is the folder that holds the run folders of the shards, at any depth.
	From string `json:"from"`
	// Options say of which families the registry is; the rest is taken from the shards.
	Options Options `json:"-"`
}

// Validate refuses options that name no folder. The error is a *[gates.UsageError].
func (o MergeOptions) Validate() error {
	if o.From == "" {
		return &gates.UsageError{Problem: mergeID + ": -from is missing: give the folder into which the shards' artifacts were downloaded"}
	}
	if info, err := os.Stat(o.From); err != nil || !info.IsDir() {
		return &gates.UsageError{Problem: fmt.Sprintf("%s: -from=%s is no folder", mergeID, o.From)}
	}
	return nil
}

// MergeGate joins the shards of one plan.
func MergeGate(o MergeOptions) gates.Gate {
	step := gates.Step{
		ID: mergeID, Doc: "The shards are one whole plan of one commit, and every case of it is right.", Runbook: "docs/runbooks.md#matrix-merge",
		Reproduce: "mage matrix:merge -from=" + o.From,
		Run:       func(ctx context.Context, p *gates.Pass) error { return merge(ctx, p, o) },
	}
	return gates.Gate{ID: step.ID, Doc: step.Doc, Runbook: step.Runbook, Area: Area, Options: o, Steps: []gates.Step{step}}
}

// maxDepth bounds how deep the folders of shards may lie.
const maxDepth = 6

// folders are those that hold a receipt.
func folders(from string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.Count(strings.TrimPrefix(path, from), string(filepath.Separator)) > maxDepth:
			return filepath.SkipDir
		case d.Type().IsRegular() && d.Name() == shard.ReceiptFile:
			found = append(found, filepath.Dir(path))
		}
		return nil
	})
	return found, err
}

func merge(ctx context.Context, p *gates.Pass, o MergeOptions) error {
	dirs, err := folders(o.From)
	if err != nil {
		return fmt.Errorf("look for shards in %s: %w", o.From, err)
	}
	var receipts []shard.Receipt
	var results []result.Case
	for _, dir := range dirs {
		raw, err := folder.ReadIn(dir, shard.ReceiptFile, shard.MaxReceipt)
		if err != nil {
			return err
		}
		receipt, err := shard.Decode(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, shard.ReceiptFile), err)
		}
		of, err := result.Load(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		receipts, results = append(receipts, receipt), append(results, of...)
		p.Logf("%s: shard %d of %d, %d cases", dir, receipt.Index, receipt.Total, len(of))
	}
	problems := shard.Check(receipts)
	for _, problem := range problems {
		p.Check(evidence.Expect("matrix."+problem.Code, problem.Subject, false, problem.Message, "all shards of one plan", problem.Fix))
	}
	if len(receipts) == 0 {
		return nil // which Check has told
	}
	if len(problems) == 0 {
		p.Check(evidence.Expect("matrix.shards", fmt.Sprintf("%d shards", len(receipts)), true, "one whole plan", "one whole plan", ""))
	}
	of := receipts[0]
	options := o.Options
	options.Mode, options.Volume = of.Mode, cases.Volume{Rows: of.Rows, Changed: of.Changed, Deleted: of.Deleted, Seed: of.Seed}
	options.Selection = cases.Selection{CaseIDs: of.Selected}
	r, err := newRun(options.defaults())
	if err != nil {
		return err
	}
	state, _, err := p.Tree.State(ctx)
	if err != nil {
		return fmt.Errorf("which commit this is: %w", err)
	}
	p.Check(evidence.Expect("matrix.shard.foreign_commit", "this tree", state.Commit == of.Commit, "the shards are of "+of.Commit, state.Commit, "check out the commit of the shards"))
	r.describe(p, state)
	for i := range results {
		if err := r.take(p, results[i]); err != nil {
			return err
		}
	}
	return r.report(p)
}
