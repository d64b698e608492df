package matrixbench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/bench/judge"
	plainprotocol "github.com/dpone/dpone/gates/bench/matrixbench/plain/protocol"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/shard"
)

// The limits.
const (
	limitWall     = 120.0 // seconds for all mock_contract cases
	limitMemory   = 1 << 30
	limitSpeed    = 1.5  // of the time of the fastest plain tool
	limitOverhead = 1.0  // fixture and check by engine
	limitLinear   = 1.25 // of the time a row, or a case
	floorShards   = 1.8  // times as fast
)

const (
	// shards are that many processes at once, on at least minProcessors processors. Each
	// uses one at a time, like single: then nothing but their number differs.
	shards        = 4
	minProcessors = 2
	// single is the run of one process on one processor, by which a speed-up on several is
	// reckoned; alone is that of one process that may use them all, for one case at a time.
	single, alone = "single", "alone"
	// shardRun begins the names of the runs of shards.
	shardRun = "shard-"
	// longer is how many times as many rows the longer tables of the part linear have.
	longer = 4
	// fewCases is k, where k cases are compared with 2k.
	fewCases = 4
	// originalCase is what the original takes for a case of mock_contract, in seconds. It executes none: it simulates.
	originalCase = 0.022
)

// part is one comparison.
type part struct {
	id, work string
	// requests and plain name the runs of the two programs.
	requests, plain []string
	measure         func(context.Context, *lab) error
}

func parts() []part {
	numbered := func(n int) (all []string) {
		for i := range n {
			all = append(all, shardName(i))
		}
		return all
	}
	return []part{
		{id: "contract", work: "all mock_contract cases in one process, two at once", requests: []string{"contract"}, measure: contract},
		{id: "local", work: "all mock_local cases, and each pair's full_refresh against plain tools", requests: []string{"local", "pairs"}, plain: []string{"plain-pairs"}, measure: local},
		{id: "linear", work: "the same cases with four times the rows, and twice as many cases", requests: []string{"rows", "longer", "few", "twice"}, measure: linear},
		{id: "shards", work: "all mock_contract cases in four processes at once, against one process on one processor", requests: append(numbered(shards), single, alone), measure: sharded},
	}
}

// shardName names the run of a shard.
func shardName(i int) string { return shardRun + strconv.Itoa(i) }

// contract is the share of the matrix that mage ci carries out.
func contract(ctx context.Context, l *lab) error {
	all := l.ids(every)
	for round := range l.opts.Rounds {
		l.progress(round, "all cases")
		answers, s, err := l.whole(ctx, "contract", cases.MockContract, l.opts.rows(), matrix.DefaultJobs(), all)
		if err != nil {
			return err
		}
		l.part.keep(answers, &s)
		l.part.Add("all cases", s)
	}
	side := l.part.Side("all cases")
	l.part.AtMost("bench.matrix.wall", "contract", side.Seconds, limitWall, "%.0f s")
	l.memory("contract", side)
	each := side.Seconds / float64(len(all))
	l.part.Note("%d cases, %.0f ms a case of the wall time with %d at once. The original takes %.0f ms a case, in which no row is moved: it simulates. No limit, since the work is not the same.",
		len(all), each*1e3, matrix.DefaultJobs(), originalCase*1e3)
	return nil
}

// memory is the most that any of the processes held.
func (l *lab) memory(subject string, s figures.Side) {
	if s.Peak == 0 {
		l.part.CannotTell("bench.matrix.memory", subject, "the memory of a process", "this system does not tell it")
		return
	}
	l.part.AtMost("bench.matrix.memory", subject, float64(s.Peak)/(1<<20), float64(limitMemory)/(1<<20), "%.0f MiB")
}

// local is the matrix on the systems of this machine.
func local(ctx context.Context, l *lab) error {
	var missing error
	all := l.ids(every)
	for round := range l.opts.Rounds {
		l.progress(round, "all cases")
		answers, s, err := l.carry(ctx, "local", cases.MockLocal, l.opts.rows(), matrix.DefaultJobs(), all)
		if err != nil {
			return err
		}
		if missing = uncarried(answers); missing != nil {
			break // a part of the cases says nothing of all
		}
		l.part.keep(answers, &s)
		l.part.Add("all cases", s)
	}
	if missing != nil {
		l.part.CannotTell("bench.matrix.overhead", "local", "all cases are carried out", missing.Error())
		l.part.CannotTell("bench.matrix.memory", "local", "all cases are carried out", missing.Error())
	} else {
		side := l.part.Side("all cases")
		var ratios []float64
		for _, s := range side.Samples {
			p := s.Phases
			ratios = append(ratios, (p[fixturePhase]+p[checkPhase])/p[enginePhase])
			l.part.Note("fixture %.1f s, engine %.1f s, check %.1f s, the rest of the cases' time %.1f s", p[fixturePhase], p[enginePhase], p[checkPhase], p[totalPhase]-p[fixturePhase]-p[enginePhase]-p[checkPhase])
		}
		l.part.AtMost("bench.matrix.overhead", "local", judge.Median(ratios), limitOverhead, "%.2fx the engine's time")
		l.memory("local", side)
	}
	return l.pairs(ctx)
}

// tested is a pair with what was measured of it.
type tested struct {
	c cases.Case
	// tools are those that gave a time, in the order in which they came.
	tools   []string
	problem string
}

// pairs holds the engine against the plain tools, one case at a time and one side after the other.
func (l *lab) pairs(ctx context.Context) error {
	var all []*tested
	var request []plainprotocol.Pair
	for _, c := range l.cases {
		if c.Strategy == manifest.FullRefresh {
			all = append(all, &tested{c: c})
			request = append(request, plainprotocol.Pair{Source: c.Source, Sink: c.Sink})
		}
	}
	if len(all) == 0 {
		return errors.New("the selection has no full_refresh case to hold against a plain tool")
	}
	turns := []func(context.Context, []*tested) error{
		l.engineTurn,
		func(ctx context.Context, all []*tested) error { return l.plainTurn(ctx, all, request) },
	}
	for round := range l.opts.Rounds {
		l.progress(round, "pairs")
		for i := range turns {
			if err := turns[(i+round)%len(turns)](ctx, all); err != nil {
				return err
			}
		}
	}
	for _, t := range all {
		l.judgePair(t)
	}
	return nil
}

func find(all []*tested, pair string) *tested {
	for _, t := range all {
		if t.c.Pair == pair {
			return t
		}
	}
	return nil
}

// engineSide names the side of the engine in a pair.
func engineSide(pair string) string { return pair + ": engine" }

// loads are the runs of a case that move all rows into a target that holds rows already.
func loads() []string { return []string{"load", "again"} }

func (l *lab) engineTurn(ctx context.Context, all []*tested) error {
	var selected []string
	for _, t := range all {
		selected = append(selected, t.c.ID)
	}
	answers, _, err := l.carry(ctx, "pairs", cases.MockLocal, l.opts.rows(), 1, selected)
	if err != nil {
		return err
	}
	for _, a := range answers {
		t := all[slices.IndexFunc(all, func(t *tested) bool { return t.c.ID == a.Case })]
		if a.Verdict != evidence.Pass {
			t.problem = a.Problem
			continue
		}
		for _, run := range loads() {
			seconds, ok := a.Runs[run]
			if !ok {
				return fmt.Errorf("the worker does not tell the time of the run %s of %s", run, a.Case)
			}
			l.part.Add(engineSide(t.c.Pair), figures.Sample{Seconds: seconds})
		}
	}
	return nil
}

func (l *lab) plainTurn(ctx context.Context, all []*tested, pairs []plainprotocol.Pair) error {
	answers, _, err := ask[plainprotocol.Answer](ctx, l, "plain-pairs", l.plainCommand("plain-pairs"), func(scratch string) any {
		return plainprotocol.Request{
			Rows: l.opts.rows(), Changed: cases.DefaultChanged, Deleted: cases.DefaultDeleted, Seed: cases.DefaultSeed,
			Pairs: pairs, Moves: len(loads()), Scratch: scratch,
		}
	})
	if err != nil {
		return err
	}
	for _, a := range answers {
		t := find(all, a.Pair)
		switch {
		case t == nil:
			return fmt.Errorf("the plain tools answer for %q, which was not asked for", a.Pair)
		case a.Problem != "":
			// Also one tool of several: the fastest is not known without it.
			t.problem = a.Problem
			if a.Tool != "" {
				t.problem = a.Tool + ": " + a.Problem
			}
			continue
		}
		name := a.Pair + ": " + a.Tool
		if !slices.Contains(t.tools, name) {
			t.tools = append(t.tools, name)
		}
		for _, seconds := range a.Seconds {
			l.part.Add(name, figures.Sample{Seconds: seconds})
		}
	}
	return nil
}

func (l *lab) judgePair(t *tested) {
	const code = "bench.matrix.speed"
	if t.problem == "" && len(t.tools) == 0 {
		t.problem = "no plain tool gave a time"
	}
	if t.problem != "" {
		l.part.CannotTell(code, t.c.Pair, "both sides move the rows", t.problem)
		return
	}
	fastest := math.Inf(1)
	for _, name := range t.tools {
		fastest = min(fastest, l.part.Side(name).Seconds)
	}
	l.part.AtMost(code, t.c.Pair, l.part.Side(engineSide(t.c.Pair)).Seconds/fastest, limitSpeed, "%.2fx the time of the fastest plain tool")
}

// linear holds that the time grows with rows and with cases, and no faster.
func linear(ctx context.Context, l *lab) error {
	return errors.Join(l.byRows(ctx), l.byCases(ctx))
}

// alternate measures sides by turns; the second turn of a round is the first of the next.
func (l *lab) alternate(sides []string, measure func(side int) (figures.Sample, error)) error {
	for round := range l.opts.Rounds {
		for i := range sides {
			side := (i + round) % len(sides)
			l.progress(round, sides[side])
			s, err := measure(side)
			if err != nil {
				return err
			}
			l.part.Add(sides[side], s)
		}
	}
	return nil
}

// byRows carries out the full_refresh cases of embedded families on tables of two lengths.
func (l *lab) byRows(ctx context.Context) error {
	selected := l.ids(func(c cases.Case) bool { return c.Strategy == manifest.FullRefresh && len(c.Services) == 0 })
	rows := [2]int64{l.opts.rows(), longer * l.opts.rows()}
	sides := [2]string{fmt.Sprintf("%d cases of %d rows", len(selected), rows[0]), fmt.Sprintf("%d cases of %d rows", len(selected), rows[1])}
	err := l.alternate(sides[:], func(side int) (figures.Sample, error) {
		answers, s, err := l.whole(ctx, [2]string{"rows", "longer"}[side], cases.MockContract, rows[side], 1, selected)
		s.Seconds = 0 // of the cases, and not of starting the program
		for _, a := range answers {
			s.Seconds += a.Seconds.Total
		}
		return s, err
	})
	if err != nil {
		return fmt.Errorf("by rows: %w", err)
	}
	l.part.AtMost("bench.matrix.linear", "rows", l.part.Side(sides[1]).Seconds/l.part.Side(sides[0]).Seconds/longer, limitLinear, "%.2fx the time a row")
	return nil
}

// byCases carries out k and 2k cases that do the same work: in mock_contract PostgreSQL is
// stood in for by SQLite, so that a strategy of the one pair is as costly as that of the other.
func (l *lab) byCases(ctx context.Context) error {
	const one, other = "sqlite_to_sqlite__", "postgres_to_postgres__"
	var few, twice []string
	for _, mode := range manifest.Modes() {
		pair := []string{one + string(mode), other + string(mode)}
		if len(few) < fewCases && len(l.ids(func(c cases.Case) bool { return slices.Contains(pair, c.ID) })) == 2 {
			few, twice = append(few, pair[0]), append(twice, pair...)
		}
	}
	selected := [2][]string{few, twice}
	sides := [2]string{fmt.Sprintf("%d cases", len(few)), fmt.Sprintf("%d cases", len(twice))}
	err := l.alternate(sides[:], func(side int) (figures.Sample, error) {
		_, s, err := l.whole(ctx, [2]string{"few", "twice"}[side], cases.MockContract, l.opts.rows(), 1, selected[side])
		return s, err
	})
	if err != nil {
		return fmt.Errorf("by cases: %w", err)
	}
	l.part.AtMost("bench.matrix.linear", "cases", l.part.Side(sides[1]).Seconds/l.part.Side(sides[0]).Seconds/2, limitLinear, "%.2fx the time a case")
	return nil
}

// sharded holds that parts of the matrix in processes of their own are faster than all of it in one.
func sharded(ctx context.Context, l *lab) error {
	if l.processors < minProcessors {
		l.part.CannotTell("bench.matrix.shards", "contract", fmt.Sprintf("%d processors", minProcessors), fmt.Sprintf("this machine has %d, on which processes at once are no faster", l.processors))
		return nil
	}
	all := l.ids(every)
	durations := shard.Durations{}
	sides := [3]string{"one process on one processor", "one process, one case at once", fmt.Sprintf("%d processes at once", shards)}
	err := l.alternate(sides[:], func(side int) (figures.Sample, error) {
		if side == 2 {
			return l.atOnce(ctx, all, durations)
		}
		answers, s, err := l.whole(ctx, [2]string{single, alone}[side], cases.MockContract, l.opts.rows(), 1, all)
		for _, a := range answers { // by which the shards are cut
			durations[a.Case] = a.Seconds.Total
		}
		return s, err
	})
	if err != nil {
		return err
	}
	one, free, more := l.part.Side(sides[0]), l.part.Side(sides[1]), l.part.Side(sides[2])
	l.part.AtLeast("bench.matrix.shards", "contract", one.Seconds/more.Seconds, floorShards, "%.2fx the speed of one process on one processor")
	l.part.Note("on %d processors, of which the shards kept %.2f busy; %.2fx the speed of one process that may use them all for one case at a time, and kept %.2f busy",
		l.processors, more.CPU/more.Seconds, free.Seconds/more.Seconds, free.CPU/free.Seconds)
	return nil
}

// atOnce carries out the shards of a cut, all at once.
func (l *lab) atOnce(ctx context.Context, all []string, durations shard.Durations) (figures.Sample, error) {
	plan, err := shard.Split(all, durations, shards)
	if err != nil {
		return figures.Sample{}, err
	}
	samples, problems := make([]figures.Sample, len(plan.Shards)), make([]error, len(plan.Shards))
	var running sync.WaitGroup
	began := time.Now()
	for i, s := range plan.Shards {
		running.Go(func() {
			_, samples[i], problems[i] = l.whole(ctx, shardName(i), cases.MockContract, l.opts.rows(), 1, s.CaseIDs)
		})
	}
	running.Wait()
	sum := figures.Sample{Seconds: time.Since(began).Seconds()}
	for _, s := range samples {
		sum.CPU, sum.Peak = sum.CPU+s.CPU, max(sum.Peak, s.Peak)
	}
	return sum, errors.Join(problems...)
}
