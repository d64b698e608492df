// Package gotest reads the event stream of "go test -json" and reports what
// happened: packages, tests, their outcomes and the output that explains them.
// It states facts and decides nothing; whether a skipped test, a race or an
// empty run is acceptable is the caller's question.
//
// The format is that of "go doc test2json" and "go help buildjson" (Go 1.26).
// Give the go command -json without -v: the two together make it lose terminal
// events of tests that print an unfinished line (golang/go#81599), and such
// tests read as [Unfinished].
//
// # What the stream cannot say
//
// The stream alone does not prove that a run was whole. A go command that is
// killed between two packages leaves nothing behind for the packages it had
// not started, so a caller looks at the exit status as well, and at
// [Result.Packages] against the packages it asked for.
//
// # Accounting
//
// Every run of a test is one [Test]: a parent, each of its subtests, each
// repetition under -count, each seed of a fuzz test. [Result.Counts] counts
// them all, which is the number gotestsum prints. [Result.Leaves] leaves out
// the parents of subtests, except a parent that failed or never ended while
// none of its subtests did: that is its own doing. So Leaves has a test that
// failed or did not end exactly when Counts has one.
//
// Benchmarks that end well have no terminal event (golang/go#61767). They count
// as passed once the test binary printed its closing PASS or FAIL line, which
// it does after the last benchmark only.
package gotest

import (
	"fmt"
	"time"
)

// Outcome is how a test or a package ended. The zero value is Unfinished on
// purpose: whatever has no terminal event did not end.
type Outcome uint8

const (
	// Unfinished means started and never ended: the process was killed, timed
	// out, crashed or called os.Exit, or the stream was cut off.
	Unfinished Outcome = iota
	// Pass and Fail are what the terminal event said.
	Pass
	Fail
	// Skip means t.Skip for a test, and no test files for a package.
	Skip
	// BuildFailed is for packages only: the test binary could not be built or
	// its packages could not be loaded, so no test of it ran.
	BuildFailed
)

// String returns the name in lower case, "unfinished" for an unknown value.
func (o Outcome) String() string {
	switch o {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Skip:
		return "skip"
	case BuildFailed:
		return "build-failed"
	default:
		return "unfinished"
	}
}

// MarshalText writes the name of the outcome.
func (o Outcome) MarshalText() ([]byte, error) {
	return []byte(o.String()), nil
}

// UnmarshalText reads one of the names String returns; any other is an error.
func (o *Outcome) UnmarshalText(text []byte) error {
	for v := Unfinished; v <= BuildFailed; v++ {
		if v.String() == string(text) {
			*o = v
			return nil
		}
	}
	return fmt.Errorf("outcome %q is not one of unfinished, pass, fail, skip, build-failed", text)
}

// Result is everything a stream said.
type Result struct {
	// Packages in the order in which they first appeared. A package that the
	// stream starts twice is here twice, so that no pass hides a failure.
	Packages []Package
	// Builds are the packages the toolchain printed something about, in the
	// order of appearance; warnings of builds that succeeded included.
	Builds []Build
	// Stray is the end of what was in the stream and was not an event: messages
	// of the go command, a crash, foreign output.
	Stray      Output
	StrayLines int // lines, of which Stray shows the last
	// Oversized counts the stray lines longer than Limits.LineBytes.
	Oversized int
	// Events counts the events understood; 0 means this was no such stream.
	Events int
	// UnknownEvents counts events with an action this package does not know.
	UnknownEvents int
	// Untracked counts the tests beyond Limits.Tests. They have no Test.
	Untracked Counts
	// Truncated says that the last line had no newline: the writer was cut off.
	Truncated bool
}

// Package is the account of one test binary.
type Package struct {
	ImportPath string
	// Verdict is Pass, Fail, Skip (no test files), Unfinished or BuildFailed.
	// Fail does not imply a failed test: TestMain, an init function or os.Exit
	// can fail a package, and then Output says how. Pass does not imply that a
	// test ran: see len(Tests).
	Verdict Outcome
	Elapsed time.Duration // 0 when unfinished
	// Cached says that the go command replayed an earlier run.
	Cached bool
	// FailedBuild names the Build that kept this package from running; it may
	// be a dependency, and it is empty when the go command did not say.
	FailedBuild string
	// SetupFailed says that loading failed, not compiling. Verdict is BuildFailed.
	SetupFailed bool
	Race        bool // a data race was reported by the package or a test of it
	Panicked    bool // a panic or fatal error ended it; false for Pass
	TimedOut    bool // it ran into -timeout; false for Pass
	Tests       []Test
	// Output is what the package printed outside of tests; empty for Pass and Skip.
	Output Output
}

// Test is one run of a test, subtest, example, benchmark or fuzz seed.
// A test that passed has its name, Elapsed, HasSubtests and Race, no more.
type Test struct {
	Package     string
	Name        string // "TestParent/sub" for subtests
	Outcome     Outcome
	Elapsed     time.Duration // 0 when unfinished
	HasSubtests bool
	// Race, Panicked and TimedOut say that the report was printed while this
	// test was the one printing. With parallel tests the cause may be another.
	Race     bool
	Panicked bool
	TimedOut bool
	// FuzzInput is the input a failing fuzz test failed on: "seed#1" for f.Add,
	// otherwise the corpus file, "testdata/fuzz/FuzzX/name".
	FuzzInput string
	// SkipReason is the last message of a skipped test, "" for t.SkipNow.
	SkipReason string
	// Message is the first message of a test that failed or did not end, or
	// the first line of the panic. The stream does not tell t.Log from t.Error,
	// so it may be a log line. At most 4 KiB. A race without any message has
	// "race detected during execution of test" here, and no File.
	Message string
	// File and Line are where that message, or the skip, was written: a base
	// name, unless -fullpath was given. "" and 0 when the output has none.
	File string
	Line int
	// Output is what the test printed, without "=== RUN" and the like.
	Output Output

	parent int // index in Package.Tests, -1 for none
}

// Build is what the toolchain said of one package.
type Build struct {
	ImportPath string // package ID, such as "m/p [m/p.test]"
	Failed     bool
	Output     Output
}

// Output is the end of a text. It is valid UTF-8 and may hold any character.
type Output struct {
	Text    string
	Dropped int64 // bytes before Text that were not kept
}

// Counts are numbers of test runs; Total is the sum of the others.
type Counts struct {
	Total, Passed, Failed, Skipped, Unfinished int
}

// Counts counts every run of a test, parents and Untracked included.
// A Total of 0 means that no test was even started.
func (r Result) Counts() Counts {
	sum := r.Untracked
	for _, p := range r.Packages {
		sum = sum.plus(p.Counts())
	}
	return sum
}

// Leaves counts the tests without subtests and the parents that failed by
// themselves. Untracked tests are not in it.
func (r Result) Leaves() Counts {
	var sum Counts
	for _, p := range r.Packages {
		sum = sum.plus(p.Leaves())
	}
	return sum
}

// Build returns what the toolchain said of the package with this ID, which is
// what Package.FailedBuild holds.
func (r Result) Build(importPath string) (Build, bool) {
	for _, b := range r.Builds {
		if b.ImportPath == importPath {
			return b, true
		}
	}
	return Build{}, false
}

// Counts counts every run of a test in the package, parents included.
func (p Package) Counts() Counts {
	var sum Counts
	for _, t := range p.Tests {
		sum.add(t.Outcome)
	}
	return sum
}

// Leaves is Result.Leaves for one package.
func (p Package) Leaves() Counts {
	explained := make([]bool, len(p.Tests))
	for _, t := range p.Tests {
		if t.bad() && t.parent >= 0 {
			explained[t.parent] = true
		}
	}
	var sum Counts
	for i, t := range p.Tests {
		if !t.HasSubtests || t.bad() && !explained[i] {
			sum.add(t.Outcome)
		}
	}
	return sum
}

func (t Test) bad() bool {
	return t.Outcome == Fail || t.Outcome == Unfinished
}

func (c *Counts) add(o Outcome) {
	c.Total++
	switch o {
	case Pass:
		c.Passed++
	case Fail:
		c.Failed++
	case Skip:
		c.Skipped++
	default:
		c.Unfinished++
	}
}

func (c Counts) plus(d Counts) Counts {
	return Counts{
		Total:      c.Total + d.Total,
		Passed:     c.Passed + d.Passed,
		Failed:     c.Failed + d.Failed,
		Skipped:    c.Skipped + d.Skipped,
		Unfinished: c.Unfinished + d.Unfinished,
	}
}
