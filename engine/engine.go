// Package engine moves data: it reads the manifest's source, changes its sink by
// the manifest's strategy, and commits rows, columns, state and receipt together
// after the quality gates have passed. Running the same window twice changes nothing.
//
// The package knows no gate and no evidence; it gives a [Report]. Systems are
// connectors; package connectors has the list of all.
package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// Options are what a run needs beside the manifest. All but Connectors may be left out.
type Options struct {
	// Connectors are the families to choose from; package connectors has the list of all.
	Connectors []connector.Connector
	// Secret resolves references to secrets; environment and files when nil.
	Secret func(manifest.Secret) (string, error)
	// Window names the run's window in place of the manifest's state.window.
	Window string
	// RunID names the run; a random one when empty.
	RunID string
	// Progress is told of phases and rows, from one goroutine at a time.
	Progress func(Progress)
	// At is called at the named points of a run; for tests that end a run there.
	At func(context.Context, connector.Point) error
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Progress is where a run is.
type Progress struct {
	Phase string
	// Window is the window that is being loaded, where there are several.
	Window string
	Rows   int64
}

// run is one run.
type run struct {
	given   *manifest.Manifest
	m       manifest.Manifest // with defaults
	opts    Options
	env     connector.Env
	report  Report
	secrets *secrets
	began   time.Time

	source   connector.Source
	sink     connector.Sink
	remote   bool // both are servers
	relation connector.Relation
	target   *connector.Relation
	columns  batch.Schema // of the load
	key      []string
	changes  []connector.Change
	pipeline string
	phase    string
	phaseAt  time.Time
	moved    int64

	// telling guards what source and sink may say while both are at work: warnings and progress.
	telling sync.Mutex
}

// Run moves what the manifest says. The report is complete whether or not there is
// an error; the error, when there is one, tells the same as the report's.
func Run(ctx context.Context, m *manifest.Manifest, opts Options) (Report, error) {
	r := newRun(m, opts)
	err := r.run(ctx)
	if ended := ctx.Err(); err != nil && ended != nil && !isUnknown(err) {
		// What broke because the caller gave up is not what went wrong.
		err = connector.Fail(Code(ended), err, "the run was ended from outside")
	}
	return r.finish(err), r.secrets.clean(err)
}

func newRun(m *manifest.Manifest, opts Options) *run {
	if opts.Secret == nil {
		opts.Secret = Secret
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.RunID == "" {
		opts.RunID = newID()
	}
	if m == nil {
		m = &manifest.Manifest{}
	}
	r := &run{given: m, opts: opts, secrets: newSecrets(opts.Secret), began: opts.Now()}
	r.m = m.WithDefaults()
	dir := ""
	if m.Path != "" {
		dir = filepath.Dir(m.Path)
	}
	r.env = connector.Env{
		Secret: r.secrets.resolve,
		Dir:    dir,
		Warn: func(text string) {
			r.telling.Lock()
			defer r.telling.Unlock()
			if len(r.report.Warnings) < reportLimit {
				r.report.Warnings = append(r.report.Warnings, r.secrets.redact(text))
			}
		},
		Progress: func(rows int64) { r.progress(rows) },
		At:       opts.At,
	}
	r.report = Report{
		SchemaVersion: ReportVersion, EngineVersion: Version(), Manifest: m.Path, Process: m.Name, RunID: opts.RunID,
		PlanHash: m.PlanHash(), Strategy: string(m.Sink.Strategy.Mode), Attempts: 1, MaxAttempts: 1, StartedAt: stamp(r.began),
		Source: Side{Type: m.Source.Type, Relation: relationName(m.Source.Table, m.Source.Path), Columns: []ReportColumn{}, Facts: map[string]string{}},
		Target: Side{Type: m.Sink.Type, Relation: relationName(m.Sink.Table, m.Sink.Path), Columns: []ReportColumn{}, Facts: map[string]string{}},
		Chunks: []connector.Chunk{}, Gates: []GateResult{}, Schema: []SchemaChange{}, Receipts: []string{}, Phases: []Phase{}, Warnings: []string{},
		Result: Result{Status: "error", CommitOutcome: "not_committed", Errors: []string{}},
		Digest: DigestResult{Level: r.m.Sink.Options.Digest},
	}
	return r
}

func relationName(t manifest.Table, path string) string {
	name := t.Name
	if t.Schema != "" {
		name = t.Schema + "." + name
	}
	if path != "" && name != "" {
		return path + ":" + name
	}
	return path + name
}

// Version is the engine's version as the build knows it; "unknown" when it does not.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	const module = "github.com/dpone/dpone"
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return "unknown"
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

// stamp is a time as state, receipts and technical columns hold it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

func (r *run) enter(phase string) {
	now := time.Now()
	if r.phase != "" {
		took := now.Sub(r.phaseAt).Seconds()
		i := slices.IndexFunc(r.report.Phases, func(p Phase) bool { return p.Name == r.phase })
		if i < 0 {
			r.report.Phases = append(r.report.Phases, Phase{Name: r.phase, Seconds: took})
		} else {
			r.report.Phases[i].Seconds += took
		}
	}
	r.phase, r.phaseAt = phase, now
	r.progress(r.moved)
}

func (r *run) progress(rows int64) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.moved = rows
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{Phase: r.phase, Window: r.report.Window.ID, Rows: rows})
	}
}

func (r *run) run(ctx context.Context) error {
	r.enter("plan")
	if err := r.open(ctx); err != nil {
		return err
	}
	defer r.close(ctx)
	if err := r.plan(ctx); err != nil {
		return err
	}
	switch r.m.Sink.Strategy.Mode {
	case manifest.Backfill:
		return r.backfill(ctx)
	case manifest.CDC:
		return r.cdc(ctx)
	default:
		return r.one(ctx)
	}
}

func (r *run) family(name, side string) (connector.Connector, error) {
	var names []string
	for _, c := range r.opts.Connectors {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return connector.Connector{}, &connector.Error{
		Code: "connector.unknown", Msg: fmt.Sprintf("%s.type: there is no connector %q", side, name), Fix: "the families are " + strings.Join(names, ", "),
	}
}

func (r *run) open(ctx context.Context) error {
	var families []string
	for _, c := range r.opts.Connectors {
		families = append(families, c.Name)
	}
	if err := manifest.Validate(r.given, families); err != nil {
		return connector.Fail("manifest.invalid", err, "the manifest cannot be run")
	}
	src, err := r.family(r.m.Source.Type, "source")
	if err != nil {
		return err
	}
	dst, err := r.family(r.m.Sink.Type, "sink")
	if err != nil {
		return err
	}
	mode := r.m.Sink.Strategy.Mode
	switch {
	case src.Source == nil || !slices.Contains(src.Source.Modes, mode):
		return &connector.Error{Code: "strategy.source", Msg: fmt.Sprintf("a %s source does not feed %s", src.Name, mode)}
	case dst.Sink == nil || !slices.Contains(dst.Sink.Modes, mode):
		return &connector.Error{Code: "strategy.sink", Msg: fmt.Sprintf("a %s sink does not take %s", dst.Name, mode)}
	}
	for _, g := range r.m.Quality.Gates {
		if !slices.Contains(dst.Sink.Gates, g.Type) {
			return &connector.Error{Code: "gate.unsupported", Msg: fmt.Sprintf("quality gate %s: a %s sink does not evaluate %s", g.ID, dst.Name, g.Type)}
		}
	}
	r.remote = src.Source.Needs.Service != "" && dst.Sink.Needs.Service != ""
	err = r.both(ctx, func(ctx context.Context) error {
		// What comes with an error is nothing, even when it is not nil.
		source, err := src.OpenSource(ctx, &r.m, r.env)
		if err == nil {
			r.source = source
		}
		return err
	}, func(ctx context.Context) error {
		sink, err := dst.OpenSink(ctx, &r.m, r.env)
		if err == nil {
			r.sink = sink
		}
		return err
	})
	if err != nil {
		r.close(ctx)
	}
	return err
}

// both does something on each side: at the same time when both are servers, on which a
// new session is slow at first. The first error ends the other side, and is the one that counts.
func (r *run) both(ctx context.Context, source, sink func(context.Context) error) error {
	if !r.remote {
		if err := source(ctx); err != nil {
			return err
		}
		return sink(ctx)
	}
	sides, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	work := func(do func(context.Context) error) error {
		err := do(sides)
		if err != nil {
			cancel(err)
		}
		return err
	}
	go func() { ended <- work(sink) }()
	err := work(source)
	if other := <-ended; err == nil {
		err = other
	}
	if err != nil && ctx.Err() == nil {
		return context.Cause(sides)
	}
	return err
}

// close ends both sides, also when the run was interrupted.
func (r *run) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if r.source != nil {
		if err := r.source.Close(ctx); err != nil {
			r.env.Warn("close the source: " + err.Error())
		}
	}
	if r.sink != nil {
		if err := r.sink.Close(ctx); err != nil {
			r.env.Warn("close the sink: " + err.Error())
		}
	}
}

// plan looks at both sides and decides what travels and how the target must change.
func (r *run) plan(ctx context.Context) error {
	err := r.both(ctx, func(ctx context.Context) (err error) {
		r.relation, err = r.source.Describe(ctx)
		return err
	}, func(ctx context.Context) (err error) {
		if l, ok := r.sink.(connector.Locker); ok {
			if err := l.Lock(ctx); err != nil {
				return err
			}
		}
		r.target, err = r.sink.Describe(ctx)
		return err
	})
	if err != nil {
		return err
	}
	r.report.Source.Relation, r.report.Source.Identity = r.relation.Name, r.relation.Identity
	maps.Copy(r.report.Source.Facts, r.relation.Facts)
	identity, err := r.sink.Identity(ctx)
	if err != nil {
		return err
	}
	r.report.Target.Identity = identity
	if r.target != nil {
		r.report.Target.Relation = r.target.Name
		maps.Copy(r.report.Target.Facts, r.target.Facts)
	}
	if r.relation.Identity == identity {
		return &connector.Error{Code: "manifest.same_table", Msg: "source and sink are the same table: " + r.relation.Name}
	}
	sum := sha256.Sum256([]byte(r.m.Name + "\x00" + r.relation.Identity + "\x00" + identity))
	r.pipeline = r.m.Name + ":" + hex.EncodeToString(sum[:16])
	if err := r.chooseColumns(); err != nil {
		return err
	}
	r.changes, err = r.planChanges()
	return err
}

// chooseColumns decides which columns travel, in which types.
func (r *run) chooseColumns() error {
	same := r.m.Source.Type == r.m.Sink.Type
	for _, c := range r.relation.Columns {
		if strings.HasPrefix(c.Name, reserved) {
			return &connector.Error{
				Code: "column.reserved", Msg: fmt.Sprintf("source column %q has a name that the engine keeps for itself", c.Name),
				Fix: "leave it out with source.options.columns, or rename it in a query",
			}
		}
		if r.target != nil {
			if i := r.target.Index(c.Name); i >= 0 && r.target.Columns[i].Generated {
				continue // the target computes it
			}
		}
		travels := c.Column
		if !same {
			if c.Portable.Kind == logical.Invalid {
				return &connector.Error{
					Code: "type.refused", Msg: fmt.Sprintf("source column %q is %s, which does not travel to another family without loss", c.Name, c.Native),
					Fix: "leave it out with source.options.columns, or turn it into text in a query",
				}
			}
			travels.Type = c.Portable
		}
		rule, err := r.sink.Native(travels.Type)
		if err != nil {
			return fmt.Errorf("column %q: %w", c.Name, err)
		}
		r.columns = append(r.columns, travels)
		r.report.Source.Columns = append(r.report.Source.Columns, ReportColumn{Name: c.Name, Native: c.Native, Logical: travels.Type.String()})
		r.report.Target.Columns = append(r.report.Target.Columns, ReportColumn{Name: c.Name, Native: rule.Native, Logical: travels.Type.String()})
	}
	r.key = r.m.Sink.Strategy.UniqueKey
	for _, k := range r.key {
		if r.columns.Index(k) < 0 {
			return r.noColumn("sink.strategy.unique_key", k)
		}
	}
	for field, name := range map[string]string{
		"sink.strategy.partition.column":    r.m.Sink.Strategy.Partition.Column,
		"sink.strategy.backfill.column":     r.m.Sink.Strategy.Backfill.Column,
		"source.options.incremental_column": r.m.Source.Options.IncrementalColumn,
	} {
		if name != "" && r.columns.Index(name) < 0 {
			return r.noColumn(field, name)
		}
	}
	if name, ok := r.m.Sink.Strategy.DuplicateColumn(); ok && r.columns.Index(name) < 0 {
		return r.noColumn("sink.strategy.duplicate_policy", name)
	}
	return r.contract()
}

func (r *run) noColumn(field, name string) error {
	return &connector.Error{
		Code: "column.missing", Msg: fmt.Sprintf("%s names %q, which %s does not have", field, name, r.relation.Name),
		Fix: "the columns are " + strings.Join(r.columns.Names(), ", "),
	}
}

// finish completes the report.
func (r *run) finish(err error) Report {
	r.enter("")
	rep := &r.report
	rep.Result.DurationSeconds = r.opts.Now().Sub(r.began).Seconds()
	rep.Result.InsertedRows = rep.Counters.Inserted
	rep.Result.UpdatedRows = rep.Counters.Updated
	rate := 0.0
	if rep.Result.DurationSeconds > 0 {
		rate = float64(rep.Result.ExtractedRows) / rep.Result.DurationSeconds
	}
	rep.Result.Details.Throughput = Throughput{
		SchemaVersion: "dpone.runtime.throughput.v1", Scope: "run", DurationSeconds: rep.Result.DurationSeconds,
		RateType: "end_to_end", RowCount: rep.Result.ExtractedRows, RowCountSource: "extracted_rows", RowsPerSecond: rate, Confidence: "measured",
	}
	rep.Resources.CPUSeconds, rep.Resources.MaxRSS = usage()
	if wal, perr := strconv.ParseInt(rep.Target.Facts["server_wal_bytes"], 10, 64); perr == nil {
		rep.Resources.WALBytes = &wal
	}
	if len(rep.Gates) > 0 {
		passed := !slices.ContainsFunc(rep.Gates, func(g GateResult) bool { return g.Status != "passed" && g.Severity == "error" })
		rep.Result.QualityGates = &QualityGates{Kind: "dpone.data_quality.gates.v1", Passed: passed, Results: rep.Gates}
	}
	if err == nil {
		rep.Passed, rep.Result.Status = true, "success"
	} else {
		rep.Result.Errors = append(rep.Result.Errors, r.secrets.redact(err.Error()))
		rep.Result.ErrorCode = Code(err)
	}
	return *rep
}

// Code gives the stable code of an error of a run.
func Code(err error) string {
	var coded *connector.Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	var server interface{ SQLState() string }
	switch {
	case errors.As(err, &server):
		return "sqlstate." + server.SQLState()
	case errors.Is(err, context.DeadlineExceeded):
		return "run.timeout"
	case errors.Is(err, context.Canceled):
		return "run.interrupted"
	}
	return "run.failed"
}

// digestSpec says how the rows of the load are digested.
func (r *run) digestSpec() digest.Spec {
	level := digest.Level(r.m.Sink.Options.Digest)
	if slices.ContainsFunc(r.m.Quality.Gates, func(g manifest.Gate) bool { return g.Type == "typed_hash_reconciliation" }) {
		level = digest.LevelFull
	}
	if level == digest.LevelKey && len(r.key) == 0 {
		level = digest.LevelFull
	}
	spec := digest.Spec{Level: level, Columns: r.columns}
	if level == digest.LevelKey {
		spec.Key = r.key
	}
	return spec
}
