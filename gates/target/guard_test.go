package target

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// fixture is the magefile that the tests of the command line share; guard_mage_test.go compiles it.
func fixture() fs.FS { return os.DirFS("testdata/guard/magefiles") }

// ran is what the fixture prints for the targets of a line, as this package understands the line.
func ran(t *testing.T, args []string) (lines []string, refused error) {
	t.Helper()
	argv := append([]string{"mage"}, args...)
	if err := CheckCommandLine(fixture(), argv, nil); err != nil {
		return nil, err
	}
	inv, err := parseInvocation(argv, nil)
	assert.NilError(t, err)
	if inv.runsNothing {
		return nil, nil
	}
	m, err := readMagefiles(fixture(), false)
	assert.NilError(t, err)
	calls, _ := m.parse(inv)
	for _, c := range calls {
		line := "ran " + c.target.Name
		for _, params := range [][]Param{c.target.Positionals, c.target.Flags} {
			for _, param := range params {
				for _, v := range c.values {
					if v.param == param {
						line += " " + param.Name + "=" + canonical(param.Type, v.text)
					}
				}
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// canonical prints a value as fmt does after the conversion.
func canonical(typ, text string) string {
	switch typ {
	case "int":
		n, _ := strconv.Atoi(text)
		return fmt.Sprint(n)
	case "float64":
		f, _ := strconv.ParseFloat(text, 64)
		return fmt.Sprint(f)
	case "bool":
		b, _ := strconv.ParseBool(text)
		return fmt.Sprint(b)
	case "time.Duration":
		d, _ := time.ParseDuration(text)
		return d.String()
	}
	return text
}

// accepted are lines with what they run.
var accepted = []struct {
	args string
	runs []string
}{
	{"", nil},
	{"lint", []string{"ran lint"}},
	{"LINT ci:TEST", []string{"ran lint", "ran ci:test"}},
	{"Matrix:MockLocal -STRATEGY=xmin lint", []string{"ran matrix:mockLocal strategy=xmin", "ran lint"}},
	{"matrix:mocklocal -strategy=", []string{"ran matrix:mockLocal strategy="}},
	{"matrix:mocklocal -strategy=-a=b", []string{"ran matrix:mockLocal strategy=-a=b"}},
	{"i v1.2.3 -dryrun", []string{"ran release:attest version=v1.2.3 dryRun=true"}},
	{"I v1.2.3 -dryRun=0 tests -race", []string{"ran release:attest version=v1.2.3 dryRun=false", "ran ci:test race=true"}},
	{"ci:test -timeout=90s -run=Name -race=true", []string{"ran ci:test timeout=1m30s run=Name race=true"}},
	{"say hi -cap -count=3 say bye", []string{"ran say msg=hi cap=true count=3", "ran say msg=bye"}},
	{"say lint lint", []string{"ran say msg=lint", "ran lint"}},
	{"two a b -force lint lint", []string{"ran two from=a to=b force=true", "ran lint", "ran lint"}},
	{"count -5 count +7", []string{"ran count n=-5", "ran count n=7"}},
	{"scale -.5 -factor=-1e3 wait -30s -extra=1h", []string{"ran scale by=-0.5 factor=-1000", "ran wait d=-30s extra=1h0m0s"}},
	{"cough F mixed bob 2 -greeting=hey", []string{"ran cough loud=false", "ran mixed name=bob count=2 greeting=hey"}},
	{"-v lint", []string{"ran lint"}},
	{"--v=false -- lint", []string{"ran lint"}},
	{"-t 0 lint", []string{"ran lint"}},
	{"-l", nil},
	{"-h", nil},
	{"--help", nil},
	{"-l lint", nil},
	{"-v -h say", nil},
	{"-l -t 5m lint", nil},
}

// refused are lines with the argument to blame, a part of the reason, and the fix. A fix without a placeholder must be
// accepted in its turn.
var refused = []struct{ args, subject, why, fix string }{
	// targets
	{"lnit", `"lnit"`, "no such target; the nearest is lint", "lint"},
	{"lint nope-at-all", `"nope-at-all"`, "no such target, and lint takes no more arguments", "-l (lists the targets)"},
	{"say hi bob", `"bob"`, "no such target, and say takes no more arguments", "-l (lists the targets)"},
	{"test", `"test"`, "the nearest is ci:test", "ci:test"},
	{"ci-test", `"ci-test"`, "the nearest is ci:test", "ci:test"},
	{"ci test -race", `"ci"`, "there is ci:test", "ci:test -race"},
	{"-", `"-"`, "no such target", "-l (lists the targets)"},
	{"-- -x", `"-x"`, "no such target", "-l (lists the targets)"},
	// positionals
	{"lint i", "release:attest", "<version> of type string is missing", "lint i <version>"},
	{"two a", "two", "<to> of type string is missing", "two a <to>"},
	{"count five", `"five"`, "<n> of count is of type int: invalid syntax", "count 10"},
	{"count 99999999999999999999", `"99999999999999999999"`, "type int: value out of range", "count 10"},
	{"scale x lint", `"x"`, "type float64: invalid syntax", "scale 1.5 lint"},
	{"cough loudly", `"loudly"`, "type bool: invalid syntax", "cough true"},
	{"wait 5", `"5"`, `type time.Duration: time: missing unit in duration "5"`, "wait 1m30s"},
	{"count -5x", `"-5x"`, "type int: invalid syntax", "count 10"},
	{"release:attest -dryRun v1.2.3", `"-dryRun"`, "flags follow the arguments", "release:attest v1.2.3 -dryRun"},
	{"i -dryRun", `"-dryRun"`, "in the place of the argument <version>", "i <version> -dryRun"},
	{"two -force a b lint", `"-force"`, "in the place of the argument <from>", "two a b -force lint"},
	{"two a -force b lint", `"-force"`, "in the place of the argument <to>", "two a b -force lint"},
	{"say -hello", `"-hello"`, "mage would take it as its value", "say <msg>"},
	{"say -5", `"-5"`, "mage would take it as its value", "say <msg>"},
	{"cough -1", `"-1"`, "mage would take it as its value", "cough <loud>"},
	{"count -", `"-"`, "mage would take it as its value", "count <n>"},
	// flags of a target
	{"ci:test -rase", `"-rase"`, "ci:test has no such flag; the nearest is -race", "ci:test -race"},
	{"ci:test -tiemout=5s lint", `"-tiemout=5s"`, "the nearest is -timeout", "ci:test -timeout=5s lint"},
	{"ci:test -bogus", `"-bogus"`, "ci:test has no such flag; it has -timeout, -run, -race", "ci:test"},
	{"lint -bogus=1", `"-bogus=1"`, "lint has no flags", "lint"},
	{"ci:test --race", `"--race"`, "one dash", "ci:test -race"},
	{"ci:test --run=A", `"--run=A"`, "one dash", "ci:test -run=A"},
	{"ci:test -- -race", `"--"`, "passes nothing on", "ci:test -race"},
	{"ci:test -run Name", `"-run"`, `-run=<string>, and mage would take "Name" for a target`, "ci:test -run=Name"},
	{"ci:test -run lint", `"-run"`, "is written -run=<string>", "ci:test -run=<string> lint"},
	{"ci:test -timeout 5s lint", `"-timeout"`, `would take "5s" for a target`, "ci:test -timeout=5s lint"},
	{"ci:test -timeout lint", `"-timeout"`, "is written -timeout=<time.Duration>", "ci:test -timeout=1m30s lint"},
	{"i v1 -dryRun false", `"false"`, "release:attest takes no more arguments", "i v1 -dryRun=false"},
	{"ci:test -race=maybe", `"-race=maybe"`, "-race of ci:test is of type bool: invalid syntax", "ci:test -race=true"},
	{"say hi -count=", `"-count="`, "type int: invalid syntax", "say hi -count=10"},
	{"ci:test -race -run=A -Race=false", `"-Race=false"`, "this flag already", "ci:test -race -run=A"},
	{"ci:test lint -race", `"-race"`, "a flag of ci:test, but it follows lint", "ci:test -race lint"},
	{"lint -dryRun i v1", `"-dryRun"`, "a flag of release:attest, but it follows lint", "lint i v1 -dryRun"},
	{"ci:test -cap say hi", `"-cap"`, "a flag of say, but it follows ci:test", "ci:test say hi -cap"},
	{"lint -v", `"-v"`, "a flag of mage itself stands before the first target", "-v lint"},
	// flags before the first target
	{"-bogus lint", `"-bogus"`, "not one of -h, -l and -v", "lint"},
	{"-bogus", `"-bogus"`, "not one of -h, -l and -v", ""},
	{"-l -bogus lint", `"-bogus"`, "not one of -h, -l and -v", "lint"},
	{"-v -dryRun release:attest v1", `"-dryRun"`, "the flag -dryRun of release:attest stands before it", "-v release:attest v1 -dryRun"},
	{"--run=A ci:test", `"--run=A"`, "the flag -run of ci:test stands before it", "ci:test -run=A"},
	{"-race ci:test -run=A -race", `"-race"`, "the flag -race of ci:test stands before it", "ci:test -run=A -race"},
	{"-run ci:test", `"-run"`, "the flag -run of ci:test stands before it", "ci:test -run=<string>"},
	{"-t 1x lint", `"1x"`, `invalid value "1x" for flag -t`, "lint"},
	{"-t", `"-t"`, "flag needs an argument: -t", ""},
	{"-v=maybe lint", `"-v=maybe"`, `invalid boolean value "maybe" for -v`, "lint"},
	{"-v ---v lint", `"---v"`, "bad flag syntax: ---v", "-v lint"},
	{"-t 5m ci:test", "-t 5m0s (MAGEFILE_TIMEOUT)", "before a target can write its record", "leave out -t and MAGEFILE_TIMEOUT: mage ci:test -timeout=5m0s"},
	{"-t 5m ci:test -timeout=3m", "-t 5m0s (MAGEFILE_TIMEOUT)", "record", "leave out -t and MAGEFILE_TIMEOUT: mage ci:test -timeout=3m"},
	{"-t=-1s lint", "-t -1s (MAGEFILE_TIMEOUT)", "before a target can write its record", "leave out -t and MAGEFILE_TIMEOUT, and give the target a parameter timeout *time.Duration"},
}

func TestCheckCommandLine_accepts(t *testing.T) {
	for _, tc := range accepted {
		t.Run(tc.args, func(t *testing.T) {
			lines, err := ran(t, strings.Fields(tc.args))
			assert.NilError(t, err)
			assert.DeepEqual(t, lines, tc.runs)
		})
	}
}

func TestCheckCommandLine_refuses(t *testing.T) {
	for _, tc := range refused {
		t.Run(tc.args, func(t *testing.T) {
			_, err := ran(t, strings.Fields(tc.args))
			p := onlyProblem(t, err)
			assert.Equal(t, p.Subject, tc.subject)
			assert.Assert(t, is.Contains(p.Why, tc.why))
			if strings.HasPrefix(tc.fix, "leave out") {
				assert.Equal(t, p.Fix, tc.fix)
				return
			}
			command := strings.TrimSpace("mage " + tc.fix)
			assert.Equal(t, strings.ReplaceAll(p.Fix, "'", ""), command)
			if !strings.Contains(tc.fix, "<") {
				command, _, _ = strings.Cut(command, " (")
				_, err := ran(t, strings.Fields(command)[1:])
				assert.NilError(t, err, "the fix is refused too")
			}
		})
	}
}

// Whoever follows the fixes one after the other comes to a line that is accepted or to a placeholder to fill in.
func TestProblem_fixesEnd(t *testing.T) {
	for _, args := range randomLines(500) {
		line := strings.Join(args, " ")
		for step := 0; !strings.Contains(line, "<"); step++ {
			assert.Assert(t, step < 10, "no end from %q: %s", args, line)
			_, err := ran(t, strings.Fields(line))
			if err == nil {
				break
			}
			line = onlyProblem(t, err).Fix
			line, _, _ = strings.Cut(line, " (")
			line = strings.TrimSpace(line[strings.Index(line, "mage")+len("mage"):])
		}
	}
}

// randomLines are made of words that the fixture knows, mostly; they are the same in every run.
func randomLines(n int) [][]string {
	words := strings.Fields("lint ci:test count say i two wait tests -race -run=A -run -timeout=5s -cap -count=2 -force -dryRun " +
		"-dryRun=false -v -l -h -t=0 -- - 5 -5 5s true v1 a --cap -Race=x ci test")
	random := rand.New(rand.NewPCG(3, 4))
	lines := make([][]string, n)
	for i := range lines {
		for range 1 + random.IntN(5) {
			lines[i] = append(lines[i], words[random.IntN(len(words))])
		}
	}
	return lines
}

// onlyProblem is the single problem of a UsageError.
func onlyProblem(t *testing.T, err error) Problem {
	t.Helper()
	var usage *UsageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
	assert.Assert(t, is.Len(usage.Problems, 1), "%v", err)
	assert.Equal(t, usage.ExitStatus(), 2)
	return usage.Problems[0]
}

func TestCheckCommandLine_environment(t *testing.T) {
	withDefault := fstest.MapFS{"m.go": {Data: []byte("package main\nvar Default = Lint\nfunc Lint() {}\n")}}
	for _, tc := range []struct {
		name    string
		sources fs.FS
		argv    []string
		environ []string
		subject string // "" for lines that pass
		why     string
		fix     string
	}{
		{name: "no target outside CI", argv: []string{"./ci"}},
		{name: "CI is false", argv: []string{"./ci"}, environ: []string{"CI=false"}},
		{name: "CI is no bool", argv: []string{"./ci"}, environ: []string{"CI=yes"}},
		{name: "target in CI", argv: []string{"./ci", "lint"}, environ: []string{"CI=true"}},
		{name: "list in CI", argv: []string{"./ci", "-l"}, environ: []string{"CI=true"}},
		{name: "list by a flag, started from a target", argv: []string{"./ci", "-l"}, environ: []string{"MAGEFILE_GOCMD=go"}},
		{name: "list in CI by variable", argv: []string{"./ci"}, environ: []string{"CI=1", "MAGEFILE_LIST=1"}},
		{name: "help by variable", argv: []string{"./ci", "nope"}, environ: []string{"MAGEFILE_HELP=1"}},
		{
			name: "no target in CI", argv: []string{"./ci"}, environ: []string{"CI=true"},
			subject: "CI=true", why: "no target is named", fix: "./ci <target> (the names: ./ci -l)",
		},
		{
			name: "no target in CI, under mage", argv: []string{"/cache/0abc"}, environ: []string{"CI=1", "MAGEFILE_GOCMD=go"},
			subject: "CI=1", why: "no target is named", fix: "mage <target> (the names: mage -l)",
		},
		{
			name: "a default target is no target", sources: withDefault, argv: []string{"./ci"}, environ: []string{"CI=1"},
			subject: "CI=1", why: "no target is named", fix: "./ci <target> (the names: ./ci -l)",
		},
		{
			name: "list switched off again", argv: []string{"./ci", "-l=false"}, environ: []string{"CI=1", "MAGEFILE_LIST=1"},
			subject: "CI=1", why: "no target is named", fix: "./ci <target> (the names: ./ci -l)",
		},
		{
			name: "only an empty target", argv: []string{"./ci", ""}, environ: []string{"CI=true"},
			subject: "argument 1", why: "is empty", fix: "set the variable, or leave it out: ./ci <target>",
		},
		{
			name: "an empty target outside CI", argv: []string{"./ci", "-v", "lint", "", "lint"},
			subject: "argument 3", why: "is empty", fix: "set the variable, or leave it out: ./ci -v lint lint",
		},
		{
			name: "an empty positional", argv: []string{"./ci", "i", ""},
			subject: "argument 2", why: "is empty", fix: "set the variable, or leave it out: ./ci i",
		},
		{
			name: "an empty argument with a list", argv: []string{"./ci", "-l", ""},
			subject: "argument 2", why: "is empty", fix: "set the variable, or leave it out: ./ci <target>",
		},
		{
			name: "hashfast", argv: []string{"x", "say", "a b'c"}, environ: []string{"MAGEFILE_GOCMD=go", "MAGEFILE_HASHFAST=1"},
			subject: "MAGEFILE_HASHFAST=1", why: "stale", fix: `env -u MAGEFILE_HASHFAST mage say 'a b'\''c'`,
		},
		{name: "hashfast with a list", argv: []string{"./ci", "-l", "lint"}, environ: []string{"MAGEFILE_HASHFAST=1"}},
		{name: "hashfast without a target", argv: []string{"./ci"}, environ: []string{"MAGEFILE_HASHFAST=1"}},
		{name: "hashfast is false", argv: []string{"./ci", "lint"}, environ: []string{"MAGEFILE_HASHFAST=0"}},
		{
			name: "hashfast with a default", sources: withDefault, argv: []string{"./ci"}, environ: []string{"MAGEFILE_HASHFAST=1"},
			subject: "MAGEFILE_HASHFAST=1", why: "stale", fix: "env -u MAGEFILE_HASHFAST ./ci",
		},
		{
			name: "hashfast with an ignored default", sources: withDefault, argv: []string{"./ci"},
			environ: []string{"MAGEFILE_HASHFAST=1", "MAGEFILE_IGNOREDEFAULT=1"},
		},
		{
			name: "timeout under mage", argv: []string{"x", "lint", "ci:test"}, environ: []string{"MAGEFILE_GOCMD=go", "MAGEFILE_TIMEOUT=5m"},
			subject: "-t 5m0s (MAGEFILE_TIMEOUT)", why: "record",
			fix: "leave out -t and MAGEFILE_TIMEOUT: mage lint ci:test -timeout=5m0s",
		},
		{name: "timeout of the line wins", argv: []string{"./ci", "-t=0", "lint"}, environ: []string{"MAGEFILE_TIMEOUT=5m"}},
		{name: "timeout with a list", argv: []string{"./ci", "-l"}, environ: []string{"MAGEFILE_TIMEOUT=5m"}},
		{
			name: "timeout that mage cannot read", argv: []string{"./ci", "lint"}, environ: []string{"MAGEFILE_TIMEOUT=5"},
			subject: "MAGEFILE_TIMEOUT=5", why: "not a time.Duration", fix: "env -u MAGEFILE_TIMEOUT ./ci lint",
		},
		{
			name: "list where mage wants targets run", argv: []string{"x", "lint"}, environ: []string{"MAGEFILE_GOCMD=go", "MAGEFILE_LIST=1"},
			subject: "MAGEFILE_LIST=1", why: "nothing would run", fix: "env -u MAGEFILE_LIST mage lint",
		},
		{
			name: "help where mage wants targets run", argv: []string{"x", "lint"}, environ: []string{"MAGEFILE_GOCMD=go", "MAGEFILE_HELP=true"},
			subject: "MAGEFILE_HELP=true", why: "nothing would run", fix: "env -u MAGEFILE_HELP mage lint",
		},
		{
			name: "list that mage cannot read", argv: []string{"./ci", "lint"}, environ: []string{"MAGEFILE_LIST=yes please"},
			subject: "MAGEFILE_LIST='yes please'", why: "not a bool", fix: "env -u MAGEFILE_LIST ./ci lint",
		},
		{name: "the first of two variables counts", argv: []string{"./ci"}, environ: []string{"CI=false", "CI=true", "odd"}},
		{name: "no arguments at all"},
		{
			name: "control characters", argv: []string{"./ci", "lint", "-x=\x1b[2J\n::error::'\xff"},
			subject: `"-x=\x1b[2J\n::error::'\xff"`, why: "lint has no flags", fix: "./ci lint",
		},
		{
			name: "control characters in the fix", argv: []string{"./ci", "say", "\"\x1b'\n", "-captain"},
			subject: `"-captain"`, why: "say has no such flag", fix: `./ci say $'"\x1b\'\n'`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.sources == nil {
				tc.sources = fixture()
			}
			err := CheckCommandLine(tc.sources, tc.argv, tc.environ)
			if tc.subject == "" {
				assert.NilError(t, err)
				return
			}
			p := onlyProblem(t, err)
			assert.Equal(t, p.Subject, tc.subject)
			assert.Assert(t, is.Contains(p.Why, tc.why))
			assert.Equal(t, p.Fix, tc.fix)
		})
	}
}

func TestUsageError_namesEveryProblem(t *testing.T) {
	sources := fstest.MapFS{"m.go": {Data: []byte("package main\nfunc Lint() {}\nfunc Add(names ...string) {}\n")}}
	err := CheckCommandLine(sources, []string{"./ci", "lnit"}, []string{"MAGEFILE_HASHFAST=true"})
	assert.Error(t, err, `mage: refused, nothing was run
  MAGEFILE_HASHFAST=true: mage would run a stale binary when an imported package has changed
    fix: env -u MAGEFILE_HASHFAST ./ci lnit
  m.go:3: Add is exported but no target: mage does not know the parameter type ...string; it goes by the text string, int, float64, bool, time.Duration, pointers to these for flags, and context.Context once in front
    fix: rename it to add if it is not a target, or change the signature
  "lnit": no such target; the nearest is lint
    fix: ./ci lint`)
}

func TestCheckCommandLine_withoutSources(t *testing.T) {
	for name, sources := range map[string]fs.FS{
		"read magefiles: no file of package main built with the tag mage among 0": fstest.MapFS{},
		"read magefiles: no file of package main built with the tag mage among 1": fstest.MapFS{"a.go": {Data: []byte("package lib")}},
		"read magefile a.go": fstest.MapFS{"a.go": {Data: []byte("package main\nfunc {")}},
	} {
		err := CheckCommandLine(sources, []string{"./ci", "lint"}, nil)
		assert.ErrorContains(t, err, name)
		assert.Assert(t, !errors.As(err, new(*UsageError)))
		// A line that runs nothing asks for no sources, one that is wrong without them is refused.
		assert.NilError(t, CheckCommandLine(sources, []string{"./ci", "-l"}, nil))
		onlyProblem(t, CheckCommandLine(sources, []string{"./ci", "-bogus"}, nil))
	}
}

// In a test binary the arguments are those of the test runner, which the guard would refuse.
func TestGuard_isOffInTests(*testing.T) { Guard(fstest.MapFS{}) }
