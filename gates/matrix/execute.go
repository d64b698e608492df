package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/system"
)

// Run carries out one case. What went wrong is in the result; the folder of the case is removed.
func (e *Executor) Run(ctx context.Context, c cases.Case) result.Case {
	// The window of xmin begins at the oldest transaction that was open anywhere on the server, so that no other case may run beside it.
	if c.Strategy == manifest.XMin {
		e.turn.Lock()
		defer e.turn.Unlock()
	} else {
		e.turn.RLock()
		defer e.turn.RUnlock()
	}
	began := time.Now()
	w := &work{Executor: e, c: c, f: e.fixtures[c.Source], r: result.Case{
		Case: c, Mode: e.mode, Runs: []result.Run{}, Checks: []compare.Check{}, Notes: []string{}, Differences: []compare.Difference{}, StartedAt: began.UTC(),
	}}
	if err := w.run(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		w.r.Problem = err.Error()
	}
	w.r.Durations.Total = time.Since(began).Seconds()
	return w.r
}

// work is one case on its way.
type work struct {
	*Executor
	c      cases.Case
	f      *fixture.Fixture
	r      result.Case
	mode   manifest.Mode // the strategy that is carried out
	dir    string
	name   string
	source system.Source
	target system.Target
	// crashed is the point at which the engine was killed before the load, empty when it was not.
	crashed connector.Point
}

// errRed says that a check of the case is red, so that the rest has no use. The case is carried out.
var errRed = errors.New("a check failed")

func (w *work) run(ctx context.Context) (err error) {
	for _, family := range []string{w.c.Source, w.c.Sink} {
		if why := w.missing[family]; why != nil {
			return why
		}
	}
	w.r.Fixture, w.r.Counts, w.r.Columns = w.f.Spec(), w.f.Counts(), len(w.f.Columns())
	from, to := w.servers[w.c.Source], w.servers[w.c.Sink]
	w.r.Systems.Source, w.r.Systems.Sink = from.Facts(), to.Facts()
	w.mode = w.strategy()
	w.name = strings.ReplaceAll(w.c.ID, "__", "_")
	w.dir = filepath.Join(w.scratch, w.c.ID)
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	w.contract()
	err = w.move(ctx, from, to)
	if errors.Is(err, errRed) {
		return nil
	}
	return err
}

// strategy is the case's own, or the nearest one that a stand-in can carry out.
func (w *work) strategy() manifest.Mode {
	if w.r.Systems.Source.StandIn == "" {
		return w.c.Strategy
	}
	switch w.c.Strategy {
	case manifest.XMin, manifest.CDC:
		w.note("%s stands in for %s, which alone has %s: the rows go through %s", w.r.Systems.Source.System, w.c.Source, w.c.Strategy, manifest.IncrementalMerge)
		return manifest.IncrementalMerge
	}
	return w.c.Strategy
}

func (w *work) note(format string, args ...any) {
	w.r.Notes = append(w.r.Notes, fmt.Sprintf(format, args...))
}

// check reports a check of the case and says whether it is green.
func (w *work) check(code string, ok bool, observed, expected string) bool {
	c := compare.Check{Code: code, Observed: observed, Expected: expected, Verdict: evidence.Fail}
	if ok {
		c.Verdict = evidence.Pass
	}
	w.r.Checks = append(w.r.Checks, c)
	return ok
}

// timed adds the time since began to a duration.
func timed(into *float64, began time.Time) { *into += time.Since(began).Seconds() }

func (w *work) move(ctx context.Context, from, to system.Server) (err error) {
	place := system.Place{Case: w.name, Strategy: string(w.mode), Dir: w.dir, Events: w.mode == manifest.IncrementalAppend}
	began := time.Now()
	if w.source, err = from.Source(ctx, w.f, place); err != nil {
		return fmt.Errorf("lay out the source: %w", err)
	}
	defer func() { err = errors.Join(err, w.source.Close(context.WithoutCancel(ctx))) }()
	if w.target, err = to.Target(ctx, w.f, place); err != nil {
		return fmt.Errorf("make room for the target: %w", err)
	}
	defer func() { err = errors.Join(err, w.target.Close(context.WithoutCancel(ctx))) }()
	timed(&w.r.Durations.Fixture, began)

	set := settingsFor(w.mode, w.name)
	w.r.Manifest = text(w.name, w.source.Manifest(), w.target.Manifest(), set)
	if err := w.before(ctx, set); err != nil {
		return err
	}
	began = time.Now()
	if err := w.source.Change(ctx); err != nil {
		return fmt.Errorf("change the source: %w", err)
	}
	timed(&w.r.Durations.Fixture, began)
	if err := w.interrupt(ctx); err != nil {
		return err
	}
	report, err := w.engine(ctx, "load", w.r.Manifest)
	if err != nil {
		return err
	}
	first, err := w.after(ctx, report)
	if err != nil {
		return err
	}
	if err := w.again(ctx, first); err != nil {
		return err
	}
	return w.leavings(ctx, report)
}

// before fills the target with the rows before the change, and looks at them.
func (w *work) before(ctx context.Context, set settings) error {
	seeded := false
	var err error
	if !set.ownFirst {
		began := time.Now()
		if seeded, err = w.target.Seed(ctx); err != nil {
			return fmt.Errorf("fill the target: %w", err)
		}
		timed(&w.r.Durations.Fixture, began)
	}
	switch {
	case set.ownFirst:
		_, err = w.engine(ctx, "seed", w.r.Manifest)
	case !seeded:
		_, err = w.engine(ctx, "seed", text(w.name+"_seed", w.source.Manifest(), w.target.Manifest(), settingsFor(manifest.FullRefresh, w.name)))
	}
	if err != nil {
		return err
	}
	expected := oracle.Before(w.f)
	w.r.TargetBefore = expected.Rows()
	out, err := w.compare(ctx, expected, false, nil)
	if err != nil {
		return err
	}
	seed := out.Seed()
	w.r.Checks = append(w.r.Checks, seed)
	if seed.Verdict != evidence.Pass {
		w.r.Differences = out.Differences
		return errRed
	}
	return nil
}

// compare reads the whole target back and holds it against what is expected. It shows every row to each.
func (w *work) compare(ctx context.Context, expected *oracle.Expected, history bool, each func(fixture.Row)) (compare.Outcome, error) {
	defer timed(&w.r.Durations.Check, time.Now())
	columns := w.f.Columns()
	if history {
		columns = append(slices.Clone(columns), oracle.HistoryColumns()...)
	}
	c := compare.New(w.f, expected, history)
	err := w.target.Rows(ctx, columns, func(row fixture.Row) error {
		c.Row(row)
		if each != nil {
			each(row)
		}
		return nil
	})
	if err != nil {
		return compare.Outcome{}, fmt.Errorf("read the target back: %w", err)
	}
	return c.End(), nil
}

// after looks at every row of the target after the load.
func (w *work) after(ctx context.Context, report engine.Report) (compare.Outcome, error) {
	expected, err := oracle.For(string(w.mode), w.f)
	if err != nil {
		return compare.Outcome{}, err
	}
	wanted, actual := w.sample(expected), result.NewSampler(w.f.Columns())
	out, err := w.compare(ctx, expected, w.mode == manifest.SCD2, func(row fixture.Row) {
		if id, err := strconv.ParseInt(row[0].Text, 10, 64); err == nil && wanted[id] {
			actual.Add(keep(row))
		}
	})
	if err != nil {
		return out, err
	}
	w.r.Samples.Actual = actual.Rows()
	w.r.Expected, w.r.Actual, w.r.Differences = out.Expected, out.Actual, out.Differences
	w.r.SourceRows = expected.SourceRows()
	w.r.Checks = append(w.r.Checks, out.Checks(string(w.mode))...)
	if w.crashed != "" {
		w.check("crash_recovered", out.Actual.Digest == out.Expected.Digest && out.Actual.Rows == out.Expected.Rows, fmt.Sprintf("killed at %s, then %d rows, %s", w.crashed, out.Actual.Rows, out.Actual.Digest), fmt.Sprintf("%d rows, %s", out.Expected.Rows, out.Expected.Digest))
	}
	least, most := expected.SourceRows(), expected.SourceRows()
	if w.committed() {
		least = 0
	}
	switch {
	case w.mode == manifest.IncrementalMerge:
		most++ // the cursor's own value is read again
	case w.mode == manifest.XMin && w.Executor.mode == cases.VendorLive:
		most = w.f.Last() // what else is open on the caller's server makes the window wider
	}
	read := report.Result.ExtractedRows
	want := strconv.FormatInt(least, 10)
	if most > least {
		want += " to " + strconv.FormatInt(most, 10)
	}
	w.check("source_rows_read", least <= read && read <= most, strconv.FormatInt(read, 10), want)
	return out, nil
}

// again runs the same manifest a second time.
func (w *work) again(ctx context.Context, first compare.Outcome) error {
	if _, err := w.engine(ctx, "again", w.r.Manifest); err != nil {
		return err
	}
	expected, err := oracle.For(string(w.mode), w.f)
	if err != nil {
		return err
	}
	second, err := w.compare(ctx, expected, w.mode == manifest.SCD2, nil)
	if err != nil {
		return err
	}
	said := func(o compare.Outcome) string {
		return strings.TrimSpace(fmt.Sprintf("%d rows, %s %s", o.Actual.Rows, o.Actual.Digest, o.History))
	}
	w.check("second_run_changes_nothing", said(second) == said(first), said(second), said(first))
	return nil
}

// leavings looks at receipts and at what no run should leave behind.
func (w *work) leavings(ctx context.Context, load engine.Report) error {
	windows, err := w.target.Windows(ctx)
	if err != nil {
		return fmt.Errorf("read the receipts: %w", err)
	}
	slices.Sort(windows)
	once := slices.Compact(slices.Clone(windows))
	w.check("receipts_once", len(windows) > 0 && len(once) == len(windows), fmt.Sprintf("%d receipts of %d windows", len(windows), len(once)), "a receipt for each window, and one only")
	if w.mode == manifest.Backfill {
		chunks := 0
		for _, name := range windows {
			if strings.Contains(name, w.name) {
				chunks++
			}
		}
		w.check("backfill_chunk_state_committed", chunks == 2 && (len(load.Receipts) == 2 || w.committed()), fmt.Sprintf("%d chunks with a receipt in the target, %d in the report", chunks, len(load.Receipts)), "2 chunks, each with its receipt")
	}
	left, err := w.target.Leftovers(ctx)
	if err != nil {
		return fmt.Errorf("look for leftovers: %w", err)
	}
	w.check("no_leftovers", len(left) == 0, strings.Join(left, ", "), "nothing")
	return nil
}

// engine runs the engine on a manifest. A run that fails is a red check.
func (w *work) engine(ctx context.Context, name, text string) (engine.Report, error) {
	path := filepath.Join(w.dir, name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return engine.Report{}, err
	}
	m, err := manifest.Read(path, names(w.connectors)...)
	if err != nil {
		w.check("manifest_valid", false, err.Error(), "a manifest without a problem")
		return engine.Report{}, errRed
	}
	began := time.Now()
	report, err := engine.Run(ctx, m, engine.Options{Connectors: w.connectors})
	took := time.Since(began).Seconds()
	w.r.Durations.Engine += took
	if ctx.Err() != nil {
		return report, context.Cause(ctx)
	}
	w.r.Runs = append(w.r.Runs, result.Run{
		Name: name, RunID: report.RunID, Passed: report.Passed, Code: report.Result.ErrorCode, Error: strings.Join(report.Result.Errors, "; "),
		Counters: counters(report.Counters), Rows: report.Result.ExtractedRows, Receipts: report.Receipts, Seconds: took,
	})
	if err != nil || !report.Passed {
		if gone := w.gone(ctx, err); gone != nil {
			return report, fmt.Errorf("the engine's run %s: %w", name, gone)
		}
		w.check("engine_run_passed", false, fmt.Sprintf("%s: %s: %v", name, report.Result.ErrorCode, err), "a run that passes")
		return report, errRed
	}
	w.check("engine_run_passed", true, name, "a run that passes")
	return report, nil
}

// gone says why a run that failed tells nothing of the engine: a system does not answer any more, or the disk is full.
func (w *work) gone(ctx context.Context, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return err
	}
	for _, family := range []string{w.c.Source, w.c.Sink} {
		if dead := w.servers[family].Alive(ctx); dead != nil {
			return fmt.Errorf("%s does not answer any more: %w", family, dead)
		}
	}
	return nil
}

func counters(c connector.Counters) map[string]int64 {
	return map[string]int64{
		"inserted": c.Inserted, "updated": c.Updated, "unchanged": c.Unchanged, "deleted_hard": c.DeletedHard,
		"deleted_soft": c.DeletedSoft, "reactivated": c.Reactivated, "quarantined": c.Quarantined,
	}
}

// interrupt kills the engine once in the middle of the load, so that the load that follows has to converge; in real_local only.
func (w *work) interrupt(ctx context.Context) error {
	if w.crash == nil {
		return nil
	}
	if err := os.WriteFile(filepath.Join(w.dir, "load.yaml"), []byte(w.r.Manifest), 0o600); err != nil {
		return err
	}
	began := time.Now()
	point, err := w.crash(ctx, w.c.ID)
	timed(&w.r.Durations.Fixture, began)
	if err != nil {
		return fmt.Errorf("kill the engine: %w", err)
	}
	if point == "" {
		return errors.New("the engine passed no point at which it could be killed")
	}
	w.crashed = point
	return nil
}

// committed says that the run that was killed may have committed before, so that the load has less to do.
func (w *work) committed() bool {
	return w.crashed == connector.AfterCommit || w.crashed == connector.AfterAcknowledge
}

// contract holds what can be told without moving a row.
func (w *work) contract() {
	if w.root != "" {
		_, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(w.c.Guide)))
		w.check("guide_exists", err == nil, observed(err, w.c.Guide), "a page about the strategy")
	}
	able := func(list []manifest.Mode) bool { return slices.Contains(list, w.c.Strategy) }
	var ok bool
	for _, c := range w.connectors {
		if c.Name == w.c.Source && c.Source != nil && able(c.Source.Modes) {
			for _, s := range w.connectors {
				ok = ok || s.Name == w.c.Sink && s.Sink != nil && able(s.Sink.Modes)
			}
		}
	}
	w.check("capabilities_match", ok, strconv.FormatBool(ok), "both families declare the strategy")
	own := text(w.name, w.declared[w.c.Source].Source, w.declared[w.c.Sink].Sink, settingsFor(w.c.Strategy, w.name))
	m, err := manifest.Parse("manifest.yaml", []byte(own), names(w.connectors)...)
	if err == nil && m.Sink.Strategy.Mode != w.c.Strategy {
		err = fmt.Errorf("it has the strategy %s", m.Sink.Strategy.Mode)
	}
	w.check("manifest_valid", err == nil, observed(err, "no problem"), "a manifest for "+w.c.ID+" without a problem")
}

func observed(err error, good string) string {
	if err != nil {
		return err.Error()
	}
	return good
}
