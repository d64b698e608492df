package matrix_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	enginesqlite "github.com/dpone/dpone/engine/sqlite"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/shard"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/sqlite"
)

// repository is a source tree with the pages that cases name.
func repository(t *testing.T) string {
	t.Helper()
	archive := "-- .gitignore --\ntest_artifacts/\n"
	for _, mode := range manifest.Modes() {
		archive += "-- docs/strategies/" + string(mode) + ".md --\n# " + string(mode) + "\n"
	}
	return gatetest.Repository(t, archive)
}

func nothing(string) string { return "" }

// small are the options of a run on a few rows.
func small(ids ...string) matrix.Options {
	return matrix.Options{
		Mode: cases.MockContract, Selection: cases.Selection{CaseIDs: ids},
		Volume: cases.Volume{Rows: 60, Changed: 0.3, Deleted: 0.1, Seed: 7}, Getenv: nothing,
	}
}

// checks are those of the one step, by code.
func checks(o gates.Outcome) map[string][]evidence.Check {
	all := map[string][]evidence.Check{}
	for _, s := range o.Record.Stable.Steps {
		for _, c := range s.Checks {
			all[c.Code] = append(all[c.Code], c)
		}
	}
	return all
}

// TestGreen runs cases of each family, one of them through a stand-in, and looks at what is left behind.
func TestGreen(t *testing.T) {
	t.Parallel()
	ids := []string{"sqlite_to_sqlite__scd2", "postgres_to_file__backfill", "file_to_sqlite__incremental_merge", "postgres_to_postgres__cdc"}
	o := small(ids...)
	assert.NilError(t, o.Validate())
	outcome := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass, "%+v", checks(outcome))
	assert.Assert(t, outcome.Record.Stable.Partial, "four cases are not the whole matrix")
	assert.Equal(t, len(checks(outcome)["matrix.case"]), len(ids))

	results, err := result.Load(outcome.Folder)
	assert.NilError(t, err)
	assert.Equal(t, len(results), len(ids))
	for _, r := range results {
		assert.Equal(t, r.Verdict(), evidence.Pass)
		assert.Assert(t, len(r.Checks) > 10, "%s has %d checks", r.ID, len(r.Checks))
		assert.Assert(t, r.Actual.Rows > 0 && r.Actual.Digest == r.Expected.Digest)
		standsIn := r.Systems.Source.StandIn == "postgres"
		assert.Equal(t, standsIn, r.Source == "postgres", "%+v", r.Systems)
	}
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, result.ReportJSON))
	assert.NilError(t, err)
	report, err := result.ReadReport(raw)
	assert.NilError(t, err)
	assert.Equal(t, report.Verdict, evidence.Pass)
	assert.Assert(t, report.Partial)
	for _, name := range []string{result.ReportMD, result.CoverageJSON, shard.DurationsFile} {
		_, err := os.Stat(filepath.Join(outcome.Folder, name))
		assert.NilError(t, err)
	}
}

// TestStep is a step of another gate, and keeps what it leaves behind in a folder of its own.
func TestStep(t *testing.T) {
	t.Parallel()
	g := gates.Gate{
		ID: "ci", Doc: "It holds the matrix.", Runbook: "docs/runbooks.md#ci", Area: "ci",
		Steps: []gates.Step{matrix.Step(small("sqlite_to_sqlite__replace"), "matrix")},
	}
	outcome := gatetest.Run(t, g, gates.Options{Root: repository(t)})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass, "%+v", checks(outcome))
	results, err := result.Load(filepath.Join(outcome.Folder, "matrix"))
	assert.NilError(t, err)
	assert.Equal(t, len(results), 1)
}

// spoilt is SQLite whose targets come back other than they are.
func spoilt(rows func(read int, row fixture.Row) bool, change func(dir string) error) system.Family {
	return ill(rows, change, nil)
}

// ill is SQLite that may not answer any more.
func ill(rows func(read int, row fixture.Row) bool, change func(dir string) error, alive error) system.Family {
	f := sqlite.Family()
	start := f.Start
	f.Start = func(ctx context.Context, o system.Options) (system.Server, error) {
		s, err := start(ctx, o)
		return spoiltServer{s, rows, change, alive}, err
	}
	return f
}

type spoiltServer struct {
	system.Server
	rows   func(read int, row fixture.Row) bool
	change func(dir string) error
	alive  error
}

func (s spoiltServer) Alive(context.Context) error { return s.alive }

func (s spoiltServer) Source(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Source, error) {
	source, err := s.Server.Source(ctx, f, p)
	return spoiltSource{source, p.Dir, s.change}, err
}

func (s spoiltServer) Target(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Target, error) {
	target, err := s.Server.Target(ctx, f, p)
	return &spoiltTarget{Target: target, rows: s.rows}, err
}

type spoiltSource struct {
	system.Source
	dir    string
	change func(dir string) error
}

func (s spoiltSource) Change(ctx context.Context) error {
	if err := s.Source.Change(ctx); err != nil || s.change == nil {
		return err
	}
	return s.change(s.dir)
}

type spoiltTarget struct {
	system.Target
	rows func(read int, row fixture.Row) bool
	read int
}

func (s *spoiltTarget) Rows(ctx context.Context, columns []fixture.Column, each func(fixture.Row) error) error {
	s.read++
	return s.Target.Rows(ctx, columns, func(row fixture.Row) error {
		if s.rows != nil && !s.rows(s.read, row) {
			return nil
		}
		return each(row)
	})
}

// TestRed turns what a target holds into something else, before, after, and after the second run.
func TestRed(t *testing.T) {
	t.Parallel()
	const id = "sqlite_to_sqlite__snapshot_diff"
	for name, c := range map[string]struct {
		read int
		code string
	}{"before": {1, "matrix.seed_matches_before"}, "after": {2, "matrix.row_count_matches_source_snapshot"}, "again": {3, "matrix.second_run_changes_nothing"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small(id)
			o.Families = []system.Family{spoilt(func(read int, row fixture.Row) bool { return read != c.read || row[0].Text != "40" }, nil)}
			outcome := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
			assert.Equal(t, outcome.Record.Verdict, evidence.Fail)
			found := checks(outcome)[c.code]
			assert.Assert(t, len(found) == 1 && found[0].Verdict == evidence.Fail, "%+v", checks(outcome))
			assert.Equal(t, found[0].Subject, id)
			assert.Assert(t, strings.Contains(found[0].Fix, "mage matrix:mockContract -caseID="+id+" -rows=60"), found[0].Fix)
			results, err := result.Load(outcome.Folder)
			assert.NilError(t, err)
			if c.read < 3 {
				assert.Assert(t, len(results[0].Differences) == 1 && results[0].Differences[0].Key == "40", "%+v", results[0].Differences)
			}
		})
	}
}

// TestUnverified holds that what could not be carried out is never green.
func TestUnverified(t *testing.T) {
	t.Parallel()
	dies := errors.New("the server is gone")
	for name, c := range map[string]struct {
		options func(*matrix.Options)
		want    string
	}{
		"no selection": {func(o *matrix.Options) {
			o.Selection = cases.Selection{Sources: []string{"file"}, Sinks: []string{"file"}, Strategies: []string{"scd2"}}
		}, "matrix.selection_empty"},
		"dies":      {func(o *matrix.Options) { o.Families = []system.Family{spoilt(nil, func(string) error { return dies })} }, "matrix.case"},
		"no family": {func(o *matrix.Options) { o.Families = []system.Family{} }, "matrix.case"},
		"cannot be had": {func(o *matrix.Options) {
			o.Families = []system.Family{{Name: "sqlite", Start: func(context.Context, system.Options) (system.Server, error) { return nil, system.ErrUnavailable }}}
		}, "matrix.case"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small("sqlite_to_sqlite__full_refresh")
			c.options(&o)
			outcome := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
			assert.Equal(t, outcome.Record.Verdict, evidence.Unverified)
			found := checks(outcome)[c.want]
			assert.Assert(t, len(found) > 0 && found[0].Verdict == evidence.Unverified && found[0].Reason != "", "%+v", checks(outcome))
		})
	}
}

// destroy takes the databases of a case away, so that the engine fails.
func destroy(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(found) == 0 {
		return errors.New("no database was found")
	}
	for _, path := range found {
		err = errors.Join(err, os.Remove(path), os.MkdirAll(path, 0o700))
	}
	return err
}

// TestEngineFails is red when the systems are well: then the engine is to blame.
func TestEngineFails(t *testing.T) {
	t.Parallel()
	o := small("sqlite_to_sqlite__full_refresh")
	o.Families = []system.Family{spoilt(nil, destroy)}
	outcome := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
	assert.Equal(t, outcome.Record.Verdict, evidence.Fail)
	assert.Equal(t, len(checks(outcome)["matrix.engine_run_passed"]), 1, "%+v", checks(outcome))
}

// TestCrash ends a run of the engine in the middle of the load, and holds that the load which follows gives the same rows.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"sqlite_to_sqlite__backfill", "sqlite_to_file__incremental_append"} {
		for _, point := range []connector.Point{connector.BeforeCommit, connector.AfterCommit, ""} {
			t.Run(id+" "+string(point), func(t *testing.T) {
				t.Parallel()
				registry, err := cases.Registry(connectors.All())
				assert.NilError(t, err)
				selected, err := cases.Select(registry, cases.Selection{CaseIDs: []string{id}})
				assert.NilError(t, err)
				scratch := t.TempDir()
				e, err := matrix.Start(t.Context(), matrix.Setup{
					Mode: cases.RealLocal, Connectors: connectors.All(), Families: matrix.Families(), Volume: small().Volume,
					Scratch: scratch, Root: repository(t), Getenv: nothing, Log: func(string) {},
					Crash: func(ctx context.Context, id string) (connector.Point, error) {
						m, err := manifest.Read(filepath.Join(scratch, id, "load.yaml"))
						if err != nil {
							return "", err
						}
						_, err = engine.Run(ctx, m, engine.Options{Connectors: connectors.All(), At: func(_ context.Context, p connector.Point) error {
							if p == point {
								return errors.New("this is where it ends")
							}
							return nil
						}})
						assert.Equal(t, err != nil, point != "", "%v", err)
						return point, nil
					},
				}, selected)
				assert.NilError(t, err)
				defer func() { assert.NilError(t, e.Close(context.Background())) }()
				r := e.Run(t.Context(), selected[0])
				if point == "" {
					assert.Equal(t, r.Verdict(), evidence.Unverified)
					assert.Assert(t, strings.Contains(r.Problem, "no point"), r.Problem)
					return
				}
				assert.Equal(t, r.Verdict(), evidence.Pass, "%s: %+v", r.Problem, r.Checks)
				assert.Assert(t, slices.ContainsFunc(r.Checks, func(c compare.Check) bool {
					return c.Code == "crash_recovered" && strings.Contains(c.Observed, string(point))
				}), "%+v", r.Checks)
			})
		}
	}
}

// TestStandInIsClosedOnce: a system that also stands in for a server ends once, whichever of the two came first.
func TestStandInIsClosedOnce(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"sqlite_to_postgres__full_refresh", "postgres_to_sqlite__full_refresh"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			registry, err := cases.Registry(connectors.All())
			assert.NilError(t, err)
			selected, err := cases.Select(registry, cases.Selection{CaseIDs: []string{id}})
			assert.NilError(t, err)
			e, err := matrix.Start(t.Context(), matrix.Setup{
				Mode: cases.MockContract, Connectors: connectors.All(), Families: matrix.Families(), Volume: small().Volume,
				Scratch: t.TempDir(), Root: repository(t), Getenv: nothing, Log: func(string) {},
			}, selected)
			assert.NilError(t, err)
			r := e.Run(t.Context(), selected[0])
			assert.Equal(t, r.Verdict(), evidence.Pass, "%s: %+v", r.Problem, r.Checks)
			assert.NilError(t, e.Close(context.Background()))
		})
	}
}

// TestMisuse names the flag, the value and what would be right.
func TestMisuse(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for want, f := range map[string]matrix.Flags{
		`did you mean "sqlite"`:               {Source: text("sqlit")},
		`-sink: "oracl"`:                      {Sink: text("oracl")},
		`did you mean "snapshot_diff"`:        {Strategy: text("snapshot_dif")},
		`did you mean "file_to_sqlite__scd2"`: {CaseID: text("file_to_sqlite_scd2")},
		`-rows: "0"`:                          {Rows: new(0)},
		`-changed: "1.5"`:                     {Changed: new(1.5)},
		`-mode: "mock_locl"`:                  {Mode: text("mock_locl")},
	} {
		_, err := matrix.FromEnvironment(nothing, "", f)
		var usage *gates.UsageError
		assert.Assert(t, errors.As(err, &usage), "%v", err)
		assert.ErrorContains(t, err, want)
	}
	_, err := matrix.FromEnvironment(func(name string) string { return map[string]string{"DPONE_MATRIX_ROW_COUNT": "200000"}[name] }, "", matrix.Flags{})
	assert.ErrorContains(t, err, "DPONE_MATRIX_ROW_COUNT")
	for _, c := range [][2]int{{0, 0}, {2, 2}, {-1, 3}, {0, 1000}} {
		_, err := small().Sharded(c[0], c[1])
		assert.ErrorContains(t, err, "-total")
	}
}

// TestForks keeps secrets away from code that anybody can propose.
func TestForks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	event := func(name, text string) string {
		path := filepath.Join(dir, name)
		assert.NilError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	own := event("own", `{"pull_request":{"head":{"repo":{"full_name":"a/b"}},"base":{"repo":{"full_name":"a/b"}}}}`)
	for name, c := range map[string]struct {
		event, path string
		refused     bool
	}{
		"push":     {"push", "", false},
		"laptop":   {"", "", false},
		"own":      {"pull_request", own, false},
		"fork":     {"pull_request", event("fork", `{"pull_request":{"head":{"repo":{"full_name":"evil/b"}},"base":{"repo":{"full_name":"a/b"}}}}`), true},
		"target":   {"pull_request_target", event("target", `{"pull_request":{"head":{"repo":{"full_name":"evil/b"}},"base":{"repo":{"full_name":"a/b"}}}}`), true},
		"deleted":  {"pull_request", event("deleted", `{"pull_request":{"head":{"repo":null},"base":{"repo":{"full_name":"a/b"}}}}`), true},
		"no event": {"pull_request", filepath.Join(dir, "none"), true},
		"no JSON":  {"pull_request", event("bad", `{"pull_request":`), true},
	} {
		o := small()
		o.Mode = cases.VendorLive
		o.Getenv = func(variable string) string {
			return map[string]string{"GITHUB_EVENT_NAME": c.event, "GITHUB_EVENT_PATH": c.path}[variable]
		}
		err := o.Validate()
		assert.Equal(t, err != nil, c.refused, "%s: %v", name, err)
	}
}

// TestReadiness tells by name what is missing, before anything is connected to.
func TestReadiness(t *testing.T) {
	t.Parallel()
	o := small("postgres_to_postgres__full_refresh")
	o.Mode = cases.VendorLive
	outcome := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
	assert.Equal(t, outcome.Record.Verdict, evidence.Unverified)
	found := checks(outcome)["matrix.secret_ready"]
	assert.Assert(t, len(found) > 0 && found[0].Verdict == evidence.Unverified, "%+v", checks(outcome))
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "readiness.json"))
	assert.NilError(t, err)
	var report struct {
		Ready   bool
		Secrets []struct{ Name string }
	}
	assert.NilError(t, json.Unmarshal(raw, &report))
	assert.Assert(t, !report.Ready && len(report.Secrets) > 0 && strings.HasPrefix(report.Secrets[0].Name, "DPONE_MATRIX_POSTGRES"), "%s", raw)
}

// TestResume takes over what passed before the run was stopped.
func TestResume(t *testing.T) {
	t.Parallel()
	root := repository(t)
	ids := []string{"sqlite_to_sqlite__full_refresh", "sqlite_to_sqlite__replace", "sqlite_to_sqlite__scd2"}
	ctx, stop := context.WithCancel(t.Context())
	var changes atomic.Int32
	o := small(ids...)
	o.Jobs = 1
	o.Families = []system.Family{spoilt(nil, func(string) error {
		if changes.Add(1) == 2 {
			stop()
			return context.Canceled
		}
		return nil
	})}
	first, err := gates.Run(ctx, matrix.Gate(o), gates.Options{Root: root})
	assert.NilError(t, err)
	assert.Equal(t, first.Record.Verdict, evidence.Unverified)
	done, err := result.Load(first.Folder)
	assert.NilError(t, err)
	assert.Equal(t, len(done), 1)

	o = small(ids...)
	o.Resume = true
	second := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: root})
	assert.Equal(t, second.Record.Verdict, evidence.Pass, "%+v", checks(second))
	results, err := result.Load(second.Folder)
	assert.NilError(t, err)
	assert.Equal(t, len(results), len(ids))
	for _, r := range results {
		assert.Equal(t, r.ReusedFrom != "", r.ID == done[0].ID, "%s is from %q", r.ID, r.ReusedFrom)
	}

	o.Volume.Seed++ // other rows: nothing can be taken over
	third := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: root})
	assert.Equal(t, third.Record.Verdict, evidence.Pass)
	results, err = result.Load(third.Folder)
	assert.NilError(t, err)
	assert.Assert(t, !slices.ContainsFunc(results, func(r result.Case) bool { return r.ReusedFrom != "" }))
}

// lake is a family of another module: it takes what SQLite takes, under its own name.
func lake() connector.Connector {
	c := enginesqlite.Connector()
	c.Name, c.Doc = "lake", "A family that the matrix has never heard of."
	return c
}

// lakeFamily is what its module tells the matrix.
func lakeFamily() system.Family {
	f := sqlite.Family()
	start := f.Start
	f.Name = "lake"
	f.Start = func(ctx context.Context, o system.Options) (system.Server, error) {
		s, err := start(ctx, o)
		return lakeServer{s}, err
	}
	f.Declared.Source, f.Declared.Sink = renamed(f.Declared.Source), renamed(f.Declared.Sink)
	return f
}

type lakeServer struct{ system.Server }

func (s lakeServer) Facts() system.Facts {
	f := s.Server.Facts()
	f.Family, f.System = "lake", "Lake"
	return f
}

func (s lakeServer) Source(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Source, error) {
	source, err := s.Server.Source(ctx, f, p)
	return lakeSource{source}, err
}

func (s lakeServer) Target(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Target, error) {
	target, err := s.Server.Target(ctx, f, p)
	return lakeTarget{target}, err
}

type (
	lakeSource struct{ system.Source }
	lakeTarget struct{ system.Target }
)

func (s lakeSource) Manifest() system.Fragment { return renamed(s.Source.Manifest()) }
func (s lakeTarget) Manifest() system.Fragment { return renamed(s.Target.Manifest()) }

func renamed(f system.Fragment) system.Fragment {
	f.Lines = slices.Clone(f.Lines)
	for i := range f.Lines {
		f.Lines[i] = strings.Replace(f.Lines[i], "type: sqlite", "type: lake", 1)
	}
	return f
}

// TestForeignFamily registers a family of another module: its cases appear, and are carried out with what its module brings.
func TestForeignFamily(t *testing.T) {
	t.Parallel()
	o := small("lake_to_file__partition_replace", "sqlite_to_lake__snapshot_diff", "lake_to_lake__scd2")
	o.Connectors = append(connectors.All(), lake())
	without := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
	assert.Equal(t, without.Record.Verdict, evidence.Unverified, "the matrix cannot look into a lake")

	o.Families = append(matrix.Families(), lakeFamily())
	with := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: repository(t)})
	assert.Equal(t, with.Record.Verdict, evidence.Pass, "%+v", checks(with))
}

// TestWithoutGuides runs in the tree of another module, which has no pages about the strategies.
func TestWithoutGuides(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, "-- .gitignore --\ntest_artifacts/\n")
	o := small("sqlite_to_sqlite__replace")
	asked := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: root})
	assert.Equal(t, asked.Record.Verdict, evidence.Fail)
	assert.Equal(t, len(checks(asked)["matrix.guide_exists"]), 1, "%+v", checks(asked))

	o.WithoutGuides = true
	not := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: root})
	assert.Equal(t, not.Record.Verdict, evidence.Pass, "%+v", checks(not))
}

// TestShards carries out a plan on two machines, and joins what they leave.
func TestShards(t *testing.T) {
	t.Parallel()
	root := repository(t)
	ids := []string{"sqlite_to_sqlite__full_refresh", "sqlite_to_sqlite__replace", "sqlite_to_sqlite__scd2"}
	run := func(o matrix.Options, index, total int) string {
		o, err := o.Sharded(index, total)
		assert.NilError(t, err)
		outcome := gatetest.Run(t, matrix.Gate(o), gates.Options{Root: root, Artifacts: t.TempDir()})
		assert.Equal(t, outcome.Record.Verdict, evidence.Pass, "%+v", checks(outcome))
		assert.Assert(t, outcome.Record.Stable.Partial)
		return outcome.Folder
	}
	zero, one := run(small(ids...), 0, 2), run(small(ids...), 1, 2)
	other := small(ids...)
	other.Volume.Seed = 8
	foreign := run(other, 1, 2)
	for name, c := range map[string]struct {
		folders []string
		want    evidence.Verdict
		code    string
	}{
		"whole":   {[]string{zero, one}, evidence.Pass, "matrix.shards"},
		"missing": {[]string{zero}, evidence.Fail, "matrix.shard.missing"},
		"doubled": {[]string{zero, one, one}, evidence.Fail, "matrix.shard.doubled"},
		"foreign": {[]string{zero, foreign}, evidence.Fail, "matrix.shard.foreign_seed"},
		"none":    {nil, evidence.Fail, "matrix.shard.none"},
	} {
		from := t.TempDir()
		for i, folder := range c.folders {
			assert.NilError(t, os.CopyFS(filepath.Join(from, "artifact", string(rune('a'+i))), os.DirFS(folder)))
		}
		options := matrix.MergeOptions{From: from, Options: matrix.Options{Getenv: nothing}}
		assert.NilError(t, options.Validate())
		outcome := gatetest.Run(t, matrix.MergeGate(options), gates.Options{Root: root})
		assert.Equal(t, outcome.Record.Verdict, c.want, "%s: %+v", name, checks(outcome))
		assert.Assert(t, len(checks(outcome)[c.code]) > 0, "%s: %+v", name, checks(outcome))
	}
	assert.ErrorContains(t, matrix.MergeOptions{}.Validate(), "-from is missing")
	assert.ErrorContains(t, matrix.MergeOptions{From: filepath.Join(root, "none")}.Validate(), "is no folder")
}

// TestPlan prints the matrix of a workflow, and sets the step's output.
func TestPlan(t *testing.T) {
	t.Parallel()
	output := filepath.Join(t.TempDir(), "output")
	o := small("sqlite_to_sqlite__full_refresh", "sqlite_to_sqlite__replace", "sqlite_to_sqlite__scd2")
	o.Getenv = func(name string) string { return map[string]string{"GITHUB_OUTPUT": output}[name] }
	var out strings.Builder
	assert.NilError(t, matrix.PrintPlan(&out, t.TempDir(), o, 2))
	var plan struct {
		Include []struct{ Index, Total, Cases int }
	}
	assert.NilError(t, json.Unmarshal([]byte(out.String()), &plan))
	assert.Equal(t, len(plan.Include), 2)
	assert.Equal(t, plan.Include[0].Cases+plan.Include[1].Cases, 3)
	set, err := os.ReadFile(output)
	assert.NilError(t, err)
	assert.Equal(t, string(set), "matrix="+out.String())
	assert.ErrorContains(t, matrix.PrintPlan(&out, t.TempDir(), o, -1), "-shards=-1")
}

// TestList prints the registry.
func TestList(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	assert.NilError(t, matrix.List(&out, matrix.Options{Volume: cases.Volume{Rows: 1}, Getenv: nothing}, "json"))
	var list struct {
		Total int
		Cases []struct {
			ID string `json:"case_id"`
		}
	}
	assert.NilError(t, json.Unmarshal([]byte(out.String()), &list))
	assert.Assert(t, list.Total == len(list.Cases) && list.Total > 60, "%d", list.Total)
	out.Reset()
	assert.NilError(t, matrix.List(&out, small("file_to_file__replace"), ""))
	assert.Assert(t, strings.Contains(out.String(), "file_to_file__replace") && !strings.Contains(out.String(), "scd2"), out.String())
	assert.ErrorContains(t, matrix.List(&out, small(), "xml"), "-format=xml")
}
