package ci

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/cobertura"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/junit"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gotest"
	"github.com/dpone/dpone/gates/proc"
)

const coverProfile = "cover.out"

// maxSkips bounds the skipped tests that a record names.
const maxSkips = 200

// partial says that only some of the tests were asked for.
func (o Options) partial() bool { return o.Run != "" || o.Packages != "./..." }

// raceProblem says why the race detector cannot run here, or "". It needs a C
// compiler everywhere but on macOS (go doc cmd/go, -race).
func raceProblem() string {
	if os.Getenv("CGO_ENABLED") == "0" {
		return "CGO_ENABLED is 0, and the race detector needs cgo"
	}
	if runtime.GOOS == "darwin" {
		return ""
	}
	compilers := []string{"gcc", "clang"}
	if cc := strings.Fields(os.Getenv("CC")); len(cc) > 0 {
		compilers = cc[:1]
	}
	for _, name := range compilers {
		if _, err := exec.LookPath(name); err == nil {
			return ""
		}
	}
	return "there is no C compiler (" + strings.Join(compilers, " or ") + "), and the race detector needs one"
}

// test holds that the tests pass in any order, without data races where that
// can be seen, and that they reach enough of every package. Vet is left to its
// own step, so that one defect is red in one place.
func (o Options) test() gates.Step {
	return gates.Step{
		ID: Test, Doc: "The tests pass, shuffled and under the race detector, and cover every package.", Runbook: o.anchor(Test),
		Reproduce: o.reproduceTest(),
		Commands: func(string) ([]proc.Command, error) {
			for part := range strings.SplitSeq(o.Run, "/") {
				if _, err := regexp.Compile(part); err != nil {
					return nil, &gates.UsageError{Problem: fmt.Sprintf("-run=%s: %v", o.Run, err)}
				}
			}
			// -v is left out: with -json it loses events (golang/go#81599).
			args := []string{"test", "-tags=" + o.Tags, "-json", "-vet=off", "-shuffle=$SEED", "-timeout=" + o.TestTimeout.String()}
			if raceProblem() == "" {
				args = append(args, "-race")
			}
			if o.Run != "" {
				args = append(args, "-run="+o.Run)
			}
			if !o.partial() {
				// Over all packages: a test that drives a program covers what it drives.
				args = append(args, "-covermode=atomic", "-coverpkg="+o.Packages, "-coverprofile=$SCRATCH/"+coverProfile)
			}
			return []proc.Command{o.listCommand(), {Name: "go", Args: append(args, o.Packages)}}, nil
		},
		Run: o.runTests,
	}
}

func (o Options) reproduceTest() string {
	if !o.partial() {
		return o.reproduce(Test)
	}
	c := proc.Command{Name: "mage", Args: []string{Test}}
	if o.Run != "" {
		c.Args = append(c.Args, "-run="+o.Run)
	}
	if o.Packages != "./..." {
		c.Args = append(c.Args, "-pkg="+o.Packages)
	}
	return c.String()
}

func (o Options) runTests(ctx context.Context, p *gates.Pass) error {
	listed, err := listPackages(ctx, p, p.Commands[0])
	if err != nil {
		return err
	}
	dirs := listed.dirs
	total, done, tests := len(dirs), 0, 0
	saidNone := map[string]bool{} // packages that say they have no tests to run
	collector := gotest.NewCollector(gotest.Limits{}, func(e gotest.Event) {
		switch e.Action {
		case "output", "build-output":
			if strings.Contains(e.Output, "no tests to run") || strings.Contains(e.Output, "[no test files]") {
				saidNone[e.Package] = true
			}
			p.Logf("%s", strings.TrimSuffix(e.Output, "\n"))
		case "pass", "fail", "skip":
			if e.Test == "" {
				done++
			} else {
				tests++
			}
			p.Progress(done, total, count(tests, "test"))
		}
	})
	stderr := &proc.Buffer{Max: maxOutput}
	_, runErr := p.Exec(ctx, p.Commands[1], proc.Options{Stdout: collector, Output: stderr})
	result := collector.Result()
	addSuites(p, result, dirs)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if _, exited := proc.ExitCode(runErr); runErr != nil && !exited {
		return runErr
	}
	failures := o.checkTests(p, result, dirs)
	if runErr == nil {
		checkSilent(p, result, listed, saidNone)
	}
	counts := result.Counts()
	if runErr != nil && failures == 0 {
		return fmt.Errorf("the tests ended badly and no test says why: %w", runErr)
	}
	if counts.Total == 0 && failures == 0 {
		return fmt.Errorf("%w: no test matched", gates.ErrNothingRan)
	}
	fact := count(counts.Passed+counts.Failed+counts.Unfinished, "test")
	if failures > 0 {
		fact += fmt.Sprintf(", %d failed, seed %s", failures, p.Expand("$SEED"))
	} else {
		p.Check(evidence.Expect("ci.test", o.Packages, true, fmt.Sprintf("%d passed", counts.Passed), "all pass", ""))
	}
	if counts.Skipped > 0 {
		fact += fmt.Sprintf(", %d skipped", counts.Skipped)
	}
	if err := tellOtherModules(p); err != nil {
		return err
	}
	o.checkRace(p)
	if !o.partial() {
		covered, err := o.checkCoverage(p, dirs, failures > 0)
		if err != nil {
			return err
		}
		fact += covered
	}
	p.Fact("%s", fact)
	return nil
}

// checkSilent finds packages with test files in which no test ran and nothing
// says why, such as one whose TestMain exits with 0 before its tests.
func checkSilent(p *gates.Pass, result gotest.Result, listed packages, saidNone map[string]bool) {
	ran := map[string]bool{}
	for _, pkg := range result.Packages {
		ran[pkg.ImportPath] = len(pkg.Tests) > 0 || pkg.Verdict == gotest.Fail || pkg.Verdict == gotest.BuildFailed
	}
	for _, pkg := range slices.Sorted(maps.Keys(listed.dirs)) {
		if listed.tested[pkg] && !ran[pkg] && !saidNone[pkg] {
			p.Check(evidence.CouldNotTell("ci.test.package", pkg, "its tests run", "the package has test files, and no test of it ran", "look at its TestMain: it has to call m.Run"))
		}
	}
}

// tellOtherModules names the modules below the root that have code: Go leaves
// them out of ./..., and nobody should take silence for a test.
func tellOtherModules(p *gates.Pass) error {
	dirs, err := moduleDirs(p.Root)
	if err != nil {
		return err
	}
	code := map[string]bool{}
	if err := walkSource(p.Root, func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
			if slices.Contains(dirs, dir) {
				code[filepath.ToSlash(dir)] = true
				return
			}
		}
	}); err != nil {
		return err
	}
	for _, dir := range slices.Sorted(maps.Keys(code)) {
		p.Skip("module "+dir, "a module of its own is no part of ./...; run the gate in it")
	}
	return nil
}

func (o Options) checkRace(p *gates.Pass) {
	const code, expected = "ci.test.race", "the tests run under the race detector"
	if problem := raceProblem(); problem != "" {
		p.Check(evidence.Skipped(code, runtime.GOOS+"/"+runtime.GOARCH, expected, problem, "install gcc"))
		return
	}
	p.Check(evidence.Expect(code, runtime.GOOS+"/"+runtime.GOARCH, true, "-race", expected, ""))
}

// checkTests reports what failed and returns how much that was.
func (o Options) checkTests(p *gates.Pass, result gotest.Result, dirs map[string]string) int {
	failures, skips := 0, 0
	race := ""
	if raceProblem() == "" {
		race = " -race"
	}
	for _, pkg := range result.Packages {
		dir := cmp.Or(dirs[pkg.ImportPath], pkg.ImportPath)
		blamed := 0
		for _, test := range pkg.Tests {
			subject := pkg.ImportPath + "." + test.Name
			switch test.Outcome {
			case gotest.Skip:
				if skips++; skips <= maxSkips {
					p.Skip("test "+subject, cmp.Or(test.SkipReason, "the test gives no reason"))
				}
			case gotest.Fail, gotest.Unfinished:
				if test.Outcome == gotest.Unfinished && pkg.Verdict != gotest.Fail {
					continue // the package tells
				}
				if test.HasSubtests && failedBelow(pkg.Tests, test.Name) {
					blamed++
					continue // its subtests tell
				}
				blamed++
				failures++
				observed := cmp.Or(clip(test.Message), "failed")
				if test.Race {
					observed = "data race: " + observed
				}
				name, _, _ := strings.Cut(test.Name, "/")
				check := evidence.Expect("ci.test", subject, false, observed, "the test passes",
					fmt.Sprintf("go test -tags=%s%s -run='^%s$' ./%s", o.Tags, race, name, dir))
				if test.File != "" {
					check.Path, check.Line = path.Join(dir, test.File), test.Line
				}
				p.Check(check)
				p.Show(fmt.Sprintf("--- %s\n%s\n", subject, test.Output.Text))
			}
		}
		switch {
		case pkg.Verdict == gotest.BuildFailed:
			failures++
			o.checkTestBuild(p, result, pkg)
		case pkg.Verdict == gotest.Fail && blamed == 0:
			failures++
			p.Check(evidence.Expect("ci.test.package", pkg.ImportPath, false, cmp.Or(clip(lastWords(pkg.Output.Text)), "the test binary failed"), "the package passes",
				fmt.Sprintf("go test -tags=%s%s ./%s", o.Tags, race, dir)))
			p.Show(fmt.Sprintf("--- %s\n%s\n", pkg.ImportPath, pkg.Output.Text))
		case pkg.Verdict == gotest.Unfinished:
			p.Check(evidence.CouldNotTell("ci.test.package", pkg.ImportPath, "the package passes", "its tests did not come to an end", "run the package alone"))
		}
	}
	if skips > maxSkips {
		p.Skip("tests", fmt.Sprintf("%d more tests were skipped", skips-maxSkips))
	}
	return failures
}

// checkTestBuild reports why the tests of a package do not compile.
func (o Options) checkTestBuild(p *gates.Pass, result gotest.Result, pkg gotest.Package) {
	output := pkg.Output.Text
	if build, ok := result.Build(pkg.FailedBuild); ok {
		output = build.Output.Text
	}
	p.Show(output + "\n")
	const code, fix = "ci.test.build", "mend the code so that the tests compile"
	found := positions(p.Root, output)
	for _, at := range found {
		p.Check(evidence.Finding(code, at.path, at.line, at.message, fix))
	}
	if len(found) == 0 {
		p.Check(evidence.Expect(code, pkg.ImportPath, false, cmp.Or(clip(lastLine(output)), "does not build"), "the tests compile", fix))
	}
}

// failedBelow says whether a subtest of the named test failed.
func failedBelow(tests []gotest.Test, name string) bool {
	return slices.ContainsFunc(tests, func(t gotest.Test) bool {
		return strings.HasPrefix(t.Name, name+"/") && (t.Outcome == gotest.Fail || t.Outcome == gotest.Unfinished)
	})
}

// checkCoverage reads the profile, writes coverage.xml and holds the minimum
// for every package and for all together. It returns what the fact line says.
func (o Options) checkCoverage(p *gates.Pass, dirs map[string]string, failed bool) (string, error) {
	raw, err := os.ReadFile(filepath.Join(p.Scratch, coverProfile))
	if err != nil {
		if failed {
			return "", writeNoCoverage(p.Folder(), "the tests failed before a profile was written")
		}
		return "", fmt.Errorf("coverage profile: %w", err)
	}
	profile, err := cobertura.Parse(bytes.NewReader(raw))
	if err != nil {
		return "", fmt.Errorf("coverage profile: %w", err)
	}
	var xml bytes.Buffer
	opts := cobertura.Options{ModulePath: modulePath(dirs), Sources: []string{"."}, Timestamp: time.Now()}
	if err := cobertura.Write(&xml, profile, opts); err != nil {
		return "", err
	}
	if err := p.Folder().WriteFile(folder.CoverageXML, xml.Bytes()); err != nil {
		return "", err
	}
	const fix = "test what is not covered: go tool cover -html on a profile shows it"
	measured := map[string]cobertura.Statements{}
	for _, pkg := range profile.Packages() {
		measured[pkg.ImportPath] = pkg.Statements
	}
	for _, pkg := range slices.Sorted(maps.Keys(dirs)) {
		s := measured[pkg]
		if s.Total == 0 {
			continue // nothing to cover: no statements
		}
		p.Measure(atLeast("ci.test.coverage.package", pkg, s.Percent(), o.MinPackageCoverage, fix), percent(s.Percent()))
	}
	if profile.Total().Total == 0 {
		p.Check(evidence.Skipped("ci.test.coverage", "all packages", "at least "+percent(o.MinCoverage), "there is no statement to cover", "none needed"))
		return "", nil
	}
	total := profile.Total().Percent()
	p.Measure(atLeast("ci.test.coverage", "all packages", total, o.MinCoverage, fix), percent(total))
	return fmt.Sprintf(", coverage %s (min %s)", percent(total), percent(o.MinCoverage)), nil
}

// atLeast compares with a limit. What is observed says only on which side the
// number fell: the number itself may differ from run to run.
func atLeast(code, subject string, value, limit float64, fix string) evidence.Check {
	side := "at least "
	if value < limit {
		side = "below "
	}
	return evidence.Expect(code, subject, value >= limit, side+percent(limit), "at least "+percent(limit), fix)
}

func percent(v float64) string { return fmt.Sprintf("%.1f%%", v) }

func writeNoCoverage(f *folder.Folder, reason string) error {
	var xml bytes.Buffer
	if err := cobertura.WriteEmpty(&xml, reason, cobertura.Options{Sources: []string{"."}, Timestamp: time.Now()}); err != nil {
		return err
	}
	return f.WriteFile(folder.CoverageXML, xml.Bytes())
}

// modulePath is the import path of the root directory.
func modulePath(dirs map[string]string) string {
	for pkg, dir := range dirs {
		if dir == "." {
			return pkg
		}
		if module, ok := strings.CutSuffix(pkg, "/"+dir); ok {
			return module
		}
	}
	return ""
}

// addSuites adds a JUnit suite for each package.
func addSuites(p *gates.Pass, result gotest.Result, dirs map[string]string) {
	for _, pkg := range result.Packages {
		suite := junit.Suite{Name: pkg.ImportPath, Package: pkg.ImportPath, Time: pkg.Elapsed}
		bad := 0
		for _, test := range pkg.Tests {
			c := junit.Case{Name: test.Name, Classname: pkg.ImportPath, Time: test.Elapsed}
			if test.File != "" {
				c.File, c.Line = path.Join(dirs[pkg.ImportPath], test.File), test.Line
			}
			detail := &junit.Detail{Message: test.Message, Type: test.Outcome.String(), Body: test.Output.Text}
			switch test.Outcome {
			case gotest.Pass:
			case gotest.Skip:
				c.Skipped = &junit.Detail{Message: test.SkipReason}
			case gotest.Unfinished:
				bad++
				c.Error = detail
			default:
				bad++
				c.Failure = detail
			}
			suite.Cases = append(suite.Cases, c)
		}
		if pkg.Verdict != gotest.Pass && pkg.Verdict != gotest.Skip && bad == 0 {
			suite.Cases = append(suite.Cases, junit.Case{
				Name: "(package)", Classname: pkg.ImportPath, Time: pkg.Elapsed,
				Error: &junit.Detail{Message: pkg.Verdict.String(), Type: pkg.Verdict.String(), Body: pkg.Output.Text},
			})
		}
		p.Suite(suite)
	}
}

func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > 200 {
		return string(runes[:200]) + "..."
	}
	return s
}

// lastWords is the last line that says why a test binary failed. What go test
// adds after it holds times and seeds.
func lastWords(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		noise := line == "" || line == "PASS" || slices.ContainsFunc([]string{"FAIL", "exit status ", "coverage:", "-test.shuffle", "ok "}, func(prefix string) bool {
			return strings.HasPrefix(line, prefix)
		})
		if !noise {
			return line
		}
	}
	return ""
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
