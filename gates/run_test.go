//go:build unix

package gates_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
	"gotest.tools/v3/poll"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/proc"
)

// repository is a source tree with one commit.
func repository(t *testing.T) string {
	t.Helper()
	return gatetest.Repository(t, "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n")
}

// step is a step with the parts that Validate asks for.
func step(id string, run func(ctx context.Context, p *gates.Pass) error) gates.Step {
	return gates.Step{ID: id, Doc: "It is so.", Runbook: "docs/runbooks.md#x", Run: run}
}

func gate(steps ...gates.Step) gates.Gate {
	return gates.Gate{ID: "x", Doc: "All is so.", Runbook: "docs/runbooks.md#x", Area: "ci", Steps: steps}
}

func green(_ context.Context, p *gates.Pass) error {
	p.Check(evidence.Expect("x.ok", "it", true, "so", "so", ""))
	return nil
}

func red(_ context.Context, p *gates.Pass) error {
	p.Check(evidence.Expect("x.ok", "it", false, "not so", "so", "make it so"))
	return nil
}

// sh runs a shell line as a planned command.
func sh(id, line string) gates.Step {
	s := step(id, func(ctx context.Context, p *gates.Pass) error {
		if _, err := p.Exec(ctx, p.Commands[0], proc.Options{}); err != nil {
			return fmt.Errorf("wrapped: %w", err)
		}
		return green(ctx, p)
	})
	s.Commands = func(string) ([]proc.Command, error) {
		return []proc.Command{{Name: "sh", Args: []string{"-c", line}}}, nil
	}
	return s
}

func run(t *testing.T, ctx context.Context, g gates.Gate, o gates.Options) gates.Outcome {
	t.Helper()
	if o.Root == "" {
		o.Root = repository(t)
	}
	outcome, err := gates.Run(ctx, g, o)
	assert.NilError(t, err)
	assert.Assert(t, outcome.Record != nil)
	if outcome.Folder != "" {
		gatetest.OnDisk(t, outcome)
	}
	return outcome
}

func find(t *testing.T, outcome gates.Outcome, id string) evidence.Step {
	t.Helper()
	return gatetest.Step(t, outcome, id)
}

func TestVerdictsAndExitCodes(t *testing.T) {
	cases := map[string]struct {
		steps   []gates.Step
		verdict evidence.Verdict
		code    int
	}{
		"all pass":           {[]gates.Step{step("a", green), step("b", green)}, evidence.Pass, 0},
		"one fails":          {[]gates.Step{step("a", green), step("b", red)}, evidence.Fail, 1},
		"one broke":          {[]gates.Step{step("a", green), step("b", func(context.Context, *gates.Pass) error { return errors.New("no disk") })}, evidence.Unverified, 3},
		"fail beats broken":  {[]gates.Step{step("a", red), step("b", func(context.Context, *gates.Pass) error { return errors.New("no disk") })}, evidence.Fail, 1},
		"panic":              {[]gates.Step{step("a", func(context.Context, *gates.Pass) error { panic("boo") })}, evidence.Unverified, 3},
		"looked at nothing":  {[]gates.Step{step("a", func(context.Context, *gates.Pass) error { return nil })}, evidence.Unverified, 3},
		"nothing ran":        {[]gates.Step{step("a", func(context.Context, *gates.Pass) error { return fmt.Errorf("%w: no files", gates.ErrNothingRan) })}, evidence.Unverified, 3},
		"red and then broke": {[]gates.Step{step("a", func(ctx context.Context, p *gates.Pass) error { _ = red(ctx, p); return errors.New("broke") })}, evidence.Fail, 1},
		"a check that hides": {[]gates.Step{step("a", func(_ context.Context, p *gates.Pass) error {
			p.Check(evidence.Check{Verdict: evidence.Pass})
			return nil
		})}, evidence.Unverified, 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			outcome := run(t, t.Context(), gate(c.steps...), gates.Options{})
			assert.Equal(t, outcome.Record.Verdict, c.verdict)
			assert.Equal(t, outcome.ExitCode(), c.code)
		})
	}
}

// A failed step blocks all that need it, through every parent: mage's own
// dependencies run one of them (magefile/mage#371).
func TestDiamondWithAFailedParent(t *testing.T) {
	for name, bad := range map[string]func(context.Context, *gates.Pass) error{
		"red": red,
		"broken": func(context.Context, *gates.Pass) error {
			return errors.New("broke")
		},
		"panic": func(context.Context, *gates.Pass) error { panic("boo") },
		"timeout": func(ctx context.Context, _ *gates.Pass) error {
			<-ctx.Done()
			return nil // whatever it says
		},
		"nothing": func(context.Context, *gates.Pass) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var ran atomic.Int32
			count := func(ctx context.Context, p *gates.Pass) error { ran.Add(1); return green(ctx, p) }
			lint := step("lint", bad)
			lint.Timeout = 50 * time.Millisecond
			verify, sign, publish, release := step("verify", count), step("sign", count), step("publish", count), step("release", count)
			verify.Needs = []string{"lint"}
			sign.Needs = []string{"verify"}
			publish.Needs = []string{"verify"}
			release.Needs = []string{"sign", "publish"}
			outcome := run(t, t.Context(), gate(release, sign, publish, verify, lint), gates.Options{Jobs: 4})
			assert.Equal(t, ran.Load(), int32(0))
			for _, id := range []string{"verify", "sign", "publish", "release"} {
				s := find(t, outcome, id)
				assert.Equal(t, s.Verdict, evidence.Unverified)
				assert.Equal(t, s.Cause, evidence.CauseBlocked)
				assert.Assert(t, s.Reason != "")
			}
			assert.Assert(t, outcome.ExitCode() != 0)
		})
	}
}

func TestAfterRunsWhateverCame(t *testing.T) {
	last := step("last", green)
	last.After = []string{"bad"}
	outcome := run(t, t.Context(), gate(last, step("bad", red)), gates.Options{})
	assert.Equal(t, find(t, outcome, "last").Verdict, evidence.Pass)
}

// TestOrderHoldsThroughAStepThatDoesNotRun: what comes after a step that was
// left out or blocked still waits for what came before it.
func TestOrderHoldsThroughAStepThatDoesNotRun(t *testing.T) {
	for name, c := range map[string]struct {
		skip   []string
		second func(*gates.Step)
	}{
		"left out":     {[]string{"second", "third"}, func(*gates.Step) {}},
		"blocked":      {[]string{"third"}, func(s *gates.Step) { s.Needs = []string{"bad"} }},
		"just a chain": {nil, func(*gates.Step) {}},
	} {
		t.Run(name, func(t *testing.T) {
			var done atomic.Bool
			var early atomic.Bool
			first := step("first", func(ctx context.Context, p *gates.Pass) error {
				time.Sleep(50 * time.Millisecond)
				done.Store(true)
				return green(ctx, p)
			})
			second, third := step("second", green), step("third", green)
			second.After, third.After = []string{"first"}, []string{"second"}
			c.second(&second)
			last := step("last", func(ctx context.Context, p *gates.Pass) error {
				early.Store(!done.Load())
				return green(ctx, p)
			})
			last.After = []string{"third"}
			outcome := run(t, t.Context(), gate(step("bad", red), first, second, third, last), gates.Options{Jobs: 4, Skip: c.skip})
			assert.Equal(t, find(t, outcome, "last").Verdict, evidence.Pass)
			assert.Assert(t, !early.Load(), "it ran beside the first")
		})
	}
}

type method struct{ ran *atomic.Int32 }

func (m method) run(ctx context.Context, p *gates.Pass) error { m.ran.Add(1); return green(ctx, p) }

func generic[T any](ran *atomic.Int32) func(context.Context, *gates.Pass) error {
	return func(ctx context.Context, p *gates.Pass) error { ran.Add(1); return green(ctx, p) }
}

// mage tells functions apart by name and so runs closures of a loop, method
// values and instances of a generic function only once (magefile/mage#309).
func TestClosuresMethodsAndGenericsAllRun(t *testing.T) {
	var ran atomic.Int32
	var steps []gates.Step
	for i := range 3 {
		steps = append(steps, step(fmt.Sprintf("closure%d", i), func(ctx context.Context, p *gates.Pass) error { ran.Add(1); return green(ctx, p) }))
	}
	steps = append(steps,
		step("methodA", method{&ran}.run), step("methodB", method{&ran}.run),
		step("genericA", generic[int](&ran)), step("genericB", generic[string](&ran)))
	outcome := run(t, t.Context(), gate(steps...), gates.Options{})
	assert.Equal(t, ran.Load(), int32(len(steps)))
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
}

func TestGatesThatCannotRunAreMisuse(t *testing.T) {
	a, b := step("a", green), step("b", green)
	a.Needs, b.After = []string{"b"}, []string{"a"}
	self := step("self", green)
	self.Needs = []string{"self"}
	unknown := step("a", green)
	unknown.Needs = []string{"nope"}
	noDoc := step("a", green)
	noDoc.Doc = ""
	noRunbook := step("a", green)
	noRunbook.Runbook = "somewhere"
	badArea := gate(step("a", green))
	badArea.Area = "../x"
	badOptions := gate(step("a", green))
	badOptions.Options = func() {}
	cases := map[string]struct {
		gate gates.Gate
		want string
	}{
		"cycle":            {gate(a, b), "a -> b -> a"},
		"cycle of one":     {gate(self), "self -> self"},
		"two with one ID":  {gate(step("a", green), step("a", green)), `two steps have the ID "a"`},
		"unknown need":     {gate(unknown), `needs "nope"`},
		"no steps":         {gate(), "no steps"},
		"no sentence":      {gate(noDoc), "one sentence"},
		"no runbook":       {gate(noRunbook), "not an anchor"},
		"ID with a space":  {gate(step("a b", green)), "not a target name"},
		"nothing to run":   {gate(step("a", nil)), "Run is nil"},
		"area leads out":   {badArea, "area"},
		"options not JSON": {badOptions, "options"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			_, err := gates.Run(t.Context(), c.gate, gates.Options{Root: root})
			assert.ErrorContains(t, err, c.want)
			var usage *gates.UsageError
			assert.Assert(t, errors.As(err, &usage))
			assert.Equal(t, usage.ExitStatus(), 2)
			entries, err := os.ReadDir(root)
			assert.NilError(t, err)
			assert.Equal(t, len(entries), 0, "something was left behind")
		})
	}
}

func TestOptionsThatAreMisuse(t *testing.T) {
	for name, o := range map[string]gates.Options{
		"unknown only": {Only: []string{"nope"}},
		"unknown skip": {Skip: []string{"nope"}},
		"jobs":         {Jobs: -1},
		"timeout":      {Timeout: -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gates.Run(t.Context(), gate(step("a", green)), o)
			var usage *gates.UsageError
			assert.Assert(t, errors.As(err, &usage), "%v", err)
		})
	}
}

// peak counts how many work at once.
type peak struct {
	now, max atomic.Int32
	want     int32 // a step stays until so many were seen at once, or for a while
}

func (k *peak) work(ctx context.Context, p *gates.Pass) error {
	n := k.now.Add(1)
	for old := k.max.Load(); n > old && !k.max.CompareAndSwap(old, n); old = k.max.Load() {
	}
	for deadline := time.Now().Add(5 * time.Second); k.max.Load() < k.want && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Millisecond) // long enough for one too many to show
	k.now.Add(-1)
	return green(ctx, p)
}

func TestJobsBoundWhatWorksAtOnce(t *testing.T) {
	for _, jobs := range []int{1, 3} {
		k := peak{want: int32(jobs)}
		var steps []gates.Step
		for i := range 16 {
			steps = append(steps, step(fmt.Sprintf("s%d", i), k.work))
		}
		run(t, t.Context(), gate(steps...), gates.Options{Jobs: jobs})
		assert.Equal(t, k.max.Load(), int32(jobs))
	}
}

// A step that starts a run of its own lends it its place: the bound holds over
// both, and one place is enough for any depth.
func TestJobsBoundNestedRuns(t *testing.T) {
	for _, jobs := range []int{1, 2} {
		root := repository(t)
		var k peak
		var inner []gates.Step
		for i := range 4 {
			inner = append(inner, step(fmt.Sprintf("s%d", i), k.work))
		}
		nested := func(ctx context.Context, p *gates.Pass) error {
			outcome, err := gates.Run(ctx, gate(inner...), gates.Options{Root: root})
			if err != nil {
				return err
			}
			p.Check(evidence.Expect("x.nested", "inner", outcome.ExitCode() == 0, outcome.Record.Verdict.String(), "PASS", ""))
			return nil
		}
		outcome := run(t, t.Context(), gate(step("a", nested), step("b", nested), step("c", k.work)), gates.Options{Root: root, Jobs: jobs})
		assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
		assert.Assert(t, k.max.Load() <= int32(jobs), "%d at once with -j=%d", k.max.Load(), jobs)
	}
}

func TestFailFast(t *testing.T) {
	slow := func(stopped *atomic.Bool) gates.Step {
		return step("slow", func(ctx context.Context, p *gates.Pass) error {
			select {
			case <-ctx.Done():
				stopped.Store(true)
				return ctx.Err()
			case <-time.After(300 * time.Millisecond):
				return green(ctx, p)
			}
		})
	}
	var stopped atomic.Bool
	outcome := run(t, t.Context(), gate(slow(&stopped), step("bad", red)), gates.Options{Jobs: 2})
	assert.Assert(t, !stopped.Load(), "off by default")
	assert.Equal(t, find(t, outcome, "slow").Verdict, evidence.Pass)

	outcome = run(t, t.Context(), gate(slow(&stopped), step("bad", red)), gates.Options{Jobs: 2, FailFast: true})
	assert.Assert(t, stopped.Load())
	assert.Equal(t, find(t, outcome, "slow").Cause, evidence.CauseCancelled)
	assert.Equal(t, outcome.ExitCode(), 1)
}

// family is a process with a child and a grandchild that all ignore SIGTERM.
func family(marker string) string {
	return fmt.Sprintf(`trap '' TERM; (trap '' TERM; (trap '' TERM; sleep 3600; : %[1]s) & sleep 3600; : %[1]s) & echo started; wait; : %[1]s`, marker)
}

// alive are the processes with the marker in their command line.
func alive(marker string) int {
	found := 0
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0
	}
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(raw), marker) {
			found++
		}
	}
	return found
}

func needsProc(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("needs /proc to look for orphans")
	}
}

func TestEndsKillTheWholeProcessGroup(t *testing.T) {
	needsProc(t)
	for name, c := range map[string]struct {
		timeout, stepTimeout time.Duration
		signal               string
		cause                evidence.Cause
		code                 int
	}{
		"run timeout":  {timeout: 300 * time.Millisecond, cause: evidence.CauseTimeout, code: 3},
		"step timeout": {stepTimeout: 300 * time.Millisecond, cause: evidence.CauseTimeout, code: 3},
		"SIGINT":       {signal: "SIGINT", cause: evidence.CauseInterrupted, code: 130},
		"SIGTERM":      {signal: "SIGTERM", cause: evidence.CauseInterrupted, code: 143},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			marker := fmt.Sprintf("marker-%s-%d", strings.ReplaceAll(name, " ", "-"), os.Getpid())
			s := sh("long", family(marker))
			s.Timeout = c.stepTimeout
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.signal != "" {
				time.AfterFunc(300*time.Millisecond, func() { cancel(&gates.SignalError{Name: c.signal}) })
			}
			begin := time.Now()
			outcome := run(t, ctx, gate(s), gates.Options{Timeout: c.timeout})
			assert.Assert(t, time.Since(begin) < time.Minute)
			long := find(t, outcome, "long")
			assert.Equal(t, long.Verdict, evidence.Unverified)
			assert.Equal(t, long.Cause, c.cause, long.Reason)
			assert.Equal(t, outcome.ExitCode(), c.code)
			poll.WaitOn(t, func(poll.LogT) poll.Result {
				if n := alive(marker); n > 0 {
					return poll.Continue("%d processes are left", n)
				}
				return poll.Success()
			}, poll.WithTimeout(30*time.Second))
		})
	}
}

// What a program leaves behind in its group is gone when it ends, too.
func TestOrphansOfAGreenProgramAreKilled(t *testing.T) {
	needsProc(t)
	marker := fmt.Sprintf("marker-orphan-%d", os.Getpid())
	outcome := run(t, t.Context(), gate(sh("a", fmt.Sprintf("(sleep 3600; : %s) >/dev/null 2>&1 & exit 0", marker))), gates.Options{})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		if alive(marker) > 0 {
			return poll.Continue("it is still there")
		}
		return poll.Success()
	}, poll.WithTimeout(30*time.Second))
}

// A step that takes no notice of its context is given up on.
func TestADeafStepIsGivenUpOn(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	deaf := step("deaf", func(_ context.Context, p *gates.Pass) error {
		<-release
		p.Check(evidence.Expect("x.late", "it", true, "so", "so", ""))
		return nil
	})
	begin := time.Now()
	outcome := run(t, t.Context(), gate(deaf), gates.Options{Timeout: 100 * time.Millisecond})
	assert.Assert(t, time.Since(begin) < time.Minute)
	s := find(t, outcome, "deaf")
	assert.Equal(t, s.Cause, evidence.CauseTimeout)
	assert.Equal(t, len(s.Checks), 0)
	assert.Equal(t, outcome.ExitCode(), 3)
}

func TestWrappedErrorsKeepTheirClass(t *testing.T) {
	outcome := run(t, t.Context(), gate(
		sh("seven", "echo oops >&2; exit 7"),
		sh("killed", "kill -9 $$"),
		step("absent", func(ctx context.Context, p *gates.Pass) error {
			_, err := proc.Run(ctx, p.Root, proc.Command{Name: "no-such-program"}, proc.Options{})
			return fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", err))
		}),
		step("nothing", func(context.Context, *gates.Pass) error {
			return fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", gates.ErrNothingRan))
		}),
		step("unplanned", func(ctx context.Context, p *gates.Pass) error {
			_, err := p.Exec(ctx, proc.Command{Name: "true"}, proc.Options{})
			return err
		}),
	), gates.Options{})
	for id, want := range map[string]struct {
		cause  evidence.Cause
		reason string
	}{
		"seven":     {evidence.CauseBroken, "exit code 7"},
		"killed":    {evidence.CauseBroken, "killed"},
		"absent":    {evidence.CauseBroken, "not installed"},
		"nothing":   {evidence.CauseNothingRan, "nothing ran"},
		"unplanned": {evidence.CauseBroken, "not in the step's plan"},
	} {
		s := find(t, outcome, id)
		assert.Equal(t, s.Cause, want.cause, id)
		assert.Check(t, is.Contains(s.Reason, want.reason))
	}
	var exit *proc.ExitError
	_, err := proc.Run(t.Context(), ".", proc.Command{Name: "sh", Args: []string{"-c", "exit 7"}}, proc.Options{})
	assert.Assert(t, errors.As(fmt.Errorf("a: %w", err), &exit))
	assert.Equal(t, exit.Code, 7)
}

func TestRunsAtOnceInOneCheckout(t *testing.T) {
	root := repository(t)
	var wait sync.WaitGroup
	folders := make([]string, 12)
	for i := range folders {
		wait.Go(func() {
			outcome := run(t, t.Context(), gate(sh("a", "echo a"), sh("b", "echo b"), sh("c", "echo c"), sh("d", "echo d")), gates.Options{Root: root})
			assert.Check(t, is.Equal(outcome.Record.Verdict, evidence.Pass))
			folders[i] = outcome.Folder
		})
	}
	wait.Wait()
	seen := map[string]bool{}
	for _, f := range folders {
		assert.Assert(t, !seen[f])
		seen[f] = true
	}
	latest, err := filepath.EvalSymlinks(filepath.Join(root, "test_artifacts", "ci", folder.Latest))
	assert.NilError(t, err)
	resolved, err := filepath.EvalSymlinks(filepath.Dir(folders[0]))
	assert.NilError(t, err)
	assert.Equal(t, filepath.Dir(latest), resolved)
}

func TestAGateChangesNothing(t *testing.T) {
	root := repository(t)
	run(t, t.Context(), gate(sh("a", "cat go.mod")), gates.Options{Root: root})
	out, err := exec.Command("git", "-C", root, "status", "--porcelain", "--", ".", ":(exclude)test_artifacts").CombinedOutput()
	assert.NilError(t, err)
	assert.Equal(t, string(out), "")
}

// The same run twice agrees on the stable part; other facts do not.
func TestTwoRunsOfOneCommitAgree(t *testing.T) {
	root := repository(t)
	g := gate(sh("a", "date +%N"), step("b", func(ctx context.Context, p *gates.Pass) error {
		p.Measure(evidence.Expect("x.size", "it", true, "at least 1", "at least 1", ""), time.Now().String())
		p.Fact("%d", time.Now().UnixNano())
		return nil
	}), sh("c", "exit 3"))
	g.Circumstances = []evidence.NameValue{{Name: "SEED", Value: "1"}}
	first := run(t, t.Context(), g, gates.Options{Root: root, Jobs: 1})
	g.Circumstances[0].Value = "2"
	second := run(t, t.Context(), g, gates.Options{Root: root, Jobs: 3})
	assert.Equal(t, first.Record.StableDigest, second.Record.StableDigest)
	assert.Assert(t, first.Record.Volatile.Run != second.Record.Volatile.Run)

	assert.NilError(t, os.WriteFile(filepath.Join(root, "new"), nil, 0o644))
	third := run(t, t.Context(), g, gates.Options{Root: root})
	assert.Assert(t, third.Record.StableDigest != first.Record.StableDigest)
	assert.Assert(t, third.Record.Stable.Source.Dirty)
}

func TestOnlyAndSkipSayPartial(t *testing.T) {
	b := step("b", green)
	b.Needs = []string{"a"}
	g := gate(step("a", green), b, step("c", red))
	outcome := run(t, t.Context(), g, gates.Options{Only: []string{"b"}})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass)
	assert.Assert(t, outcome.Record.Stable.Partial)
	assert.Equal(t, find(t, outcome, "a").Verdict, evidence.Pass, "b needs it")
	c := find(t, outcome, "c")
	assert.Equal(t, c.Verdict, evidence.Skip)
	assert.Equal(t, c.Cause, evidence.CauseLeftOut)

	outcome = run(t, t.Context(), g, gates.Options{Skip: []string{"a", "c"}})
	assert.Equal(t, find(t, outcome, "b").Cause, evidence.CauseBlocked)
	assert.Equal(t, outcome.ExitCode(), 3)

	whole := run(t, t.Context(), gate(step("a", green)), gates.Options{})
	assert.Assert(t, !whole.Record.Stable.Partial)
}

func TestNothingLeftToRunIsMisuse(t *testing.T) {
	_, err := gates.Run(t.Context(), gate(step("a", green)), gates.Options{Root: repository(t), Only: []string{"a"}, Skip: []string{"a"}})
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
}

// A run in which every step is SKIP proved nothing, although the source is known.
func TestAllSkippedIsNotGreen(t *testing.T) {
	outcome := run(t, t.Context(), gate(step("a", func(_ context.Context, p *gates.Pass) error {
		p.Check(evidence.Skipped("x.skip", "it", "so", "no reason to", "none"))
		return nil
	})), gates.Options{})
	assert.Equal(t, find(t, outcome, "a").Verdict, evidence.Skip)
	assert.Equal(t, outcome.ExitCode(), 3)
}

// What was tested may be another commit than the record names.
func TestHeadThatMovesIsNotGreen(t *testing.T) {
	root := repository(t)
	outcome := run(t, t.Context(), gate(step("a", func(ctx context.Context, p *gates.Pass) error {
		gatetest.Git(t, root, "commit", "-q", "--allow-empty", "-m", "moved")
		return green(ctx, p)
	})), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 3)
	source := find(t, outcome, "source")
	assert.Equal(t, source.Checks[1].Code, "source.moved")
}

// A hook of another repository does not decide what the evidence is about.
func TestVariablesOfAHookAreNotPassedOn(t *testing.T) {
	root, other := repository(t), repository(t)
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other, ".git", "index"))
	outcome := run(t, t.Context(), gate(sh("a", `test -z "$GIT_DIR$GIT_INDEX_FILE" && git rev-parse --show-toplevel`)), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 0)
	log, err := os.ReadFile(filepath.Join(outcome.Folder, "logs", "a.log"))
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(log), root))
}

func TestRelativeDirectoriesAreBelowTheRoot(t *testing.T) {
	root := repository(t)
	outcome := run(t, t.Context(), gate(step("a", green)), gates.Options{Root: root, Artifacts: "out"})
	assert.Assert(t, strings.HasPrefix(outcome.Folder, filepath.Join(root, "out")))
	assert.Assert(t, !outcome.Record.Stable.Source.Dirty)
}

func TestRootBelowALink(t *testing.T) {
	root := repository(t)
	link := filepath.Join(t.TempDir(), "link")
	assert.NilError(t, os.Symlink(root, link))
	var seen string
	run(t, t.Context(), gate(step("a", func(ctx context.Context, p *gates.Pass) error { seen = p.Root; return green(ctx, p) })), gates.Options{Root: link})
	assert.Equal(t, seen, root)
}

// The short name "latest" is no evidence: that it is taken costs no verdict.
func TestLatestThatIsTaken(t *testing.T) {
	root := repository(t)
	assert.NilError(t, os.MkdirAll(filepath.Join(root, "test_artifacts", "ci", folder.Latest, "x"), 0o755))
	note := ""
	outcome := run(t, t.Context(), gate(step("a", green)), gates.Options{Root: root, Sink: func(e gates.Event) {
		if e.End != nil {
			note = e.End.Note
		}
	}})
	assert.Equal(t, outcome.ExitCode(), 0)
	assert.Check(t, is.Contains(note, folder.Latest))
}

func TestSourceThatCannotBeTold(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) string{
		"no repository": func(t *testing.T) string { return t.TempDir() },
		"unborn branch": func(t *testing.T) string {
			dir := t.TempDir()
			assert.NilError(t, exec.Command("git", "-C", dir, "init", "-q").Run())
			return dir
		},
		"no git": func(t *testing.T) string {
			dir := repository(t)
			t.Setenv("PATH", t.TempDir())
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := run(t, t.Context(), gate(step("a", green)), gates.Options{Root: prepare(t)})
			assert.Equal(t, outcome.Record.Verdict, evidence.Unverified)
			assert.Equal(t, outcome.ExitCode(), 3)
			s := find(t, outcome, "source")
			assert.Equal(t, s.Verdict, evidence.Unverified)
			assert.Assert(t, s.Checks[0].Fix != "")
		})
	}
}

func TestInterruptedRunStillRecordsWhatItKnew(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	first := step("first", green)
	second := step("second", func(ctx context.Context, _ *gates.Pass) error {
		cancel(&gates.SignalError{Name: "SIGINT"})
		<-ctx.Done()
		return ctx.Err()
	})
	second.Needs = []string{"first"}
	third := step("third", green)
	third.Needs = []string{"second"}
	outcome := run(t, ctx, gate(first, second, third), gates.Options{})
	assert.Equal(t, find(t, outcome, "first").Verdict, evidence.Pass)
	assert.Equal(t, find(t, outcome, "second").Cause, evidence.CauseInterrupted)
	assert.Equal(t, find(t, outcome, "third").Cause, evidence.CauseInterrupted)
	assert.Equal(t, outcome.ExitCode(), 130)
}

// A process that is killed outright leaves the record of its beginning.
func TestKilledRunLeavesARecordThatSaysSo(t *testing.T) {
	if os.Getenv("GATES_TEST_KILL") == "1" {
		_, _ = gates.Run(t.Context(), gate(step("a", func(context.Context, *gates.Pass) error {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		})), gates.Options{Root: os.Getenv("GATES_TEST_ROOT")})
		return
	}
	root := repository(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRunLeavesARecordThatSaysSo$")
	cmd.Env = append(os.Environ(), "GATES_TEST_KILL=1", "GATES_TEST_ROOT="+root)
	assert.ErrorContains(t, cmd.Run(), "killed")
	records, err := filepath.Glob(filepath.Join(root, "test_artifacts", "ci", "*", folder.RecordJSON))
	assert.NilError(t, err)
	assert.Equal(t, len(records), 1)
	raw, err := os.ReadFile(records[0])
	assert.NilError(t, err)
	record, err := evidence.Decode(raw)
	assert.NilError(t, err)
	assert.Equal(t, record.Verdict, evidence.Unverified)
	assert.Equal(t, record.Stable.Steps[1].Cause, evidence.CauseUnfinished)
}

func TestAFloodOfChecksKeepsTheVerdict(t *testing.T) {
	outcome := run(t, t.Context(), gate(step("a", func(_ context.Context, p *gates.Pass) error {
		for i := range 5000 {
			p.Check(evidence.Expect("x.ok", fmt.Sprint(i), true, "so", "so", ""))
		}
		for i := range 1500 {
			p.Check(evidence.Expect("x.no", fmt.Sprint(i), false, "not so", "so", ""))
		}
		return nil
	})), gates.Options{})
	s := find(t, outcome, "a")
	assert.Equal(t, s.Verdict, evidence.Fail)
	assert.Equal(t, len(s.Checks), 2000)
	assert.Equal(t, s.Omitted, 500)
}

func TestUsageErrorInAPlanRunsNothing(t *testing.T) {
	s := step("a", green)
	s.Commands = func(string) ([]proc.Command, error) { return nil, &gates.UsageError{Problem: "no such package"} }
	root := repository(t)
	_, err := gates.Run(t.Context(), gate(s), gates.Options{Root: root})
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage))
	_, err = os.Stat(filepath.Join(root, "test_artifacts"))
	assert.Assert(t, os.IsNotExist(err))
}

func TestPlanRunsNothing(t *testing.T) {
	root := repository(t)
	b := sh("b", "touch touched")
	b.Needs = []string{"a"}
	plan, err := gates.MakePlan(gate(sh("a", "touch touched"), b), gates.Options{Root: root, Skip: []string{"b"}})
	assert.NilError(t, err)
	assert.DeepEqual(t, plan.Steps[0].Commands, []string{"sh -c 'touch touched'"})
	assert.Assert(t, plan.Steps[1].LeftOut)
	for _, name := range []string{"touched", "test_artifacts"} {
		_, err := os.Stat(filepath.Join(root, name))
		assert.Assert(t, os.IsNotExist(err), name)
	}
}
