package target

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// usageStatus is the exit code of misuse; mage has the same one for a wrong command line.
const usageStatus = 2

// UsageError says why a command line must not run. Every one of its problems was found before anything ran.
type UsageError struct {
	Problems []Problem // in the order of environment, sources, arguments; never empty
}

// Problem is one reason to refuse a command line.
type Problem struct {
	Subject string // the argument as typed, quoted; or VARIABLE=value; or file.go:line
	Why     string // what is wrong with it, with the nearest valid name where there is one
	Fix     string // the command to type, or the edit to make
}

// Error has one line per problem and one per fix, each ready for a terminal or a workflow log.
func (e *UsageError) Error() string {
	var b strings.Builder
	b.WriteString("mage: refused, nothing was run")
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s: %s\n    fix: %s", p.Subject, p.Why, p.Fix)
	}
	return b.String()
}

// ExitStatus is 2, under the method name that mage looks for on an error.
func (*UsageError) ExitStatus() int { return usageStatus }

// Guard ends the process with status 2 and the reason on stderr when the command line, the environment or the
// magefiles are wrong; see [CheckCommandLine]. Call it from init of the magefiles package: that runs before the main
// function that mage generates has looked at an argument, and so before any target can have had an effect.
//
//	//go:embed *.go
//	var sources embed.FS
//
//	func init() { target.Guard(sources) }
//
// A magefile that is not in a directory named magefiles embeds the magefiles by name instead of *.go, because mage
// leaves out the other files there. Package-level variables are set before init runs: they must have no side effect.
// In a test binary Guard does nothing, since the arguments there are those of the test runner.
func Guard(sources fs.FS) {
	// The flags of a test binary are not defined yet in init; only this tells.
	if testing.Testing() {
		return
	}
	if err := CheckCommandLine(sources, os.Args, os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(usageStatus)
	}
}

// CheckCommandLine decides whether mage may run a command line. argv is shaped as [os.Args], environ as [os.Environ];
// sources holds the magefiles in its root, as described at [Guard]. The error is a [*UsageError], or a plain one when
// the sources cannot be read. It follows the main function that mage v1.17.2 generates (mage/template.go and
// parse.Function.ExecCode), for a binary that mage started as well as for one made with mage -compile, and refuses:
//
//   - an argument that is empty, which is what a variable nobody set leaves behind;
//   - an unknown target, a missing or mistyped positional, an unknown, mistyped or repeated flag, wherever on the line;
//   - a positional that begins with a dash, because mage takes a flag in that place for the value: only -5, -1.5 and
//     -30s pass, and only where the parameter is an int, a float64 or a time.Duration;
//   - --name and -name value, which mage reads in other ways than they look;
//   - before the first target, anything but -h, -l and -v, where a compiled binary would print the usage and exit 0;
//   - a time limit of mage (-t, MAGEFILE_TIMEOUT): mage leaves at once when it is over and no record gets written;
//   - MAGEFILE_HASHFAST, with which mage runs a stale binary when an imported package has changed;
//   - a MAGEFILE_ variable of the wrong type, which mage replaces by its default;
//   - no target at all when CI is true: such a step is green and did nothing;
//   - magefiles with functions that look like targets and are none, see [Targets].
//
// Lists and helps (-l, -h, MAGEFILE_LIST, MAGEFILE_HELP) run nothing and pass, but for the variables where mage started
// the program to run targets: there they would turn the run into a list. No target outside CI passes. A string flag
// may have an empty value. Targets of a package imported with mage:import are not in the sources: a name that can
// be one of theirs (any name for a plain mage:import, alias:name for mage:import alias) ends the check, and the rest
// of the line is left to mage.
func CheckCommandLine(sources fs.FS, argv, environ []string) error {
	inv, err := parseInvocation(argv, environ)
	if err != nil {
		return refuse(inv.explainFront(sources, argv, err))
	}
	for i, arg := range inv.args {
		if arg == "" {
			return refuse(inv.emptyArgument(i))
		}
	}
	if inv.runsNothing {
		return nil
	}
	if ci, _ := strconv.ParseBool(inv.getenv("CI")); ci && len(inv.args) == 0 {
		return refuse(Problem{
			Subject: "CI=" + inv.getenv("CI"),
			Why:     "no target is named, so the step would be green and do nothing",
			Fix:     inv.command("<target>") + " (the names: " + inv.command("-l") + ")",
		})
	}

	magefiles, err := readMagefiles(sources, false)
	if err != nil {
		return err
	}
	ignoreDefault, _ := strconv.ParseBool(inv.getenv("MAGEFILE_IGNOREDEFAULT"))
	if len(inv.args) == 0 && (!magefiles.hasDefault || ignoreDefault) {
		return nil
	}
	problems := append(inv.checkEnvironment(magefiles), magefiles.problems...)
	if _, p := magefiles.parse(inv); p != nil {
		problems = append(problems, *p)
	}
	return refuse(problems...)
}

func refuse(problems ...Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return &UsageError{Problems: problems}
}

// invocation is a command line and its environment as the generated main sees them.
type invocation struct {
	program     string   // how to start it again
	args        []string // what follows the flags before the first target
	skipped     int      // how many arguments those flags are
	verbose     bool     // -v is one of them
	runsNothing bool     // lists or helps
	timeout     time.Duration
	getenv      func(string) string
}

// parseInvocation uses the flag package with the definitions of the generated main, so that both read the same line
// in the same way. The error is that of the flag package about the flags before the first target.
func parseInvocation(argv, environ []string) (invocation, error) {
	inv := invocation{program: "mage", getenv: variables(environ)}
	var args []string
	if len(argv) > 0 {
		args = argv[1:]
		// mage starts the binary under a name made of a hash and always tells it the go command.
		if inv.getenv("MAGEFILE_GOCMD") == "" {
			inv.program = argv[0]
		}
	}
	envBool := func(name string) bool {
		value, _ := strconv.ParseBool(inv.getenv(name))
		return value
	}
	envTimeout, _ := time.ParseDuration(inv.getenv("MAGEFILE_TIMEOUT"))

	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	verbose := flags.Bool("v", envBool("MAGEFILE_VERBOSE"), "")
	list := flags.Bool("l", envBool("MAGEFILE_LIST"), "")
	help := flags.Bool("h", envBool("MAGEFILE_HELP"), "")
	flags.DurationVar(&inv.timeout, "t", envTimeout, "")
	err := flags.Parse(args)
	asked := errors.Is(err, flag.ErrHelp) // by a flag, and not by a variable
	if asked {
		*help, err = true, nil // -help, which the flag package knows without being told
	}
	inv.args, inv.skipped = flags.Args(), len(args)-flags.NArg()
	flags.Visit(func(f *flag.Flag) { asked = asked || (f.Name == "l" && *list) || (f.Name == "h" && *help) })
	inv.runsNothing = *list || *help
	if inv.startedByMage() && len(args) > 0 && !asked {
		// mage lists and helps on its own; it starts the binary to run targets.
		inv.runsNothing = false
	}
	flags.Visit(func(f *flag.Flag) { inv.verbose = inv.verbose || f.Name == "v" && *verbose })
	return inv, err
}

// startedByMage says that mage started the program in order to run targets: for a list or a help it does not, unless
// it is told to use a binary that it has (mage/main.go, Invoke).
func (inv invocation) startedByMage() bool {
	fast, _ := strconv.ParseBool(inv.getenv("MAGEFILE_HASHFAST"))
	return inv.getenv("MAGEFILE_GOCMD") != "" && !fast
}

// variables reads as os.Getenv does: the first of equal names counts.
func variables(environ []string) func(string) string {
	return func(name string) string {
		for _, entry := range environ {
			if key, value, ok := strings.Cut(entry, "="); ok && key == name {
				return value
			}
		}
		return ""
	}
}

// command is the line that starts the same program with other arguments. Of the flags before the first target only -v
// stays: the others are what gets refused.
func (inv invocation) command(args ...string) string {
	words := []string{shellQuote(inv.program)}
	if inv.verbose {
		words = append(words, "-v")
	}
	for _, arg := range args {
		words = append(words, shellQuote(arg))
	}
	return strings.Join(words, " ")
}

// explainFront turns an error of the flag package into a problem that says where the flag belongs.
func (inv invocation) explainFront(sources fs.FS, argv []string, err error) Problem {
	last := inv.skipped
	if strings.HasPrefix(err.Error(), "bad flag syntax") { // ---v, which the flag package does not step over
		last, inv.args = last+1, inv.args[1:]
	}
	typed := argv[last]
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return Problem{
			Subject: strconv.Quote(typed),
			Why:     err.Error() + " (a compiled magefile would exit 0 and run nothing)",
			Fix:     inv.command(inv.args...),
		}
	}
	p := Problem{
		Subject: strconv.Quote(typed),
		Why:     "not one of -h, -l and -v, which are all that can stand before the first target",
		Fix:     inv.command(inv.args...),
	}
	// Unreadable sources cost only the better advice: the line is refused in any case.
	magefiles, err := readMagefiles(sources, false)
	if err != nil {
		return p
	}
	if owner, args := magefiles.relocate(inv.args, typed); owner != nil {
		p.Why = fmt.Sprintf("the flag -%s of %s stands before it; flags follow their target", name, owner.Name)
		p.Fix = inv.command(args...)
	}
	return p
}

func (inv invocation) emptyArgument(i int) Problem {
	rest := make([]string, 0, len(inv.args))
	for _, arg := range inv.args {
		if arg != "" {
			rest = append(rest, arg)
		}
	}
	if len(rest) == 0 {
		rest = []string{"<target>"}
	}
	return Problem{
		Subject: fmt.Sprintf("argument %d", inv.skipped+i+1),
		Why:     "is empty, as from a variable that was never set",
		Fix:     "set the variable, or leave it out: " + inv.command(rest...),
	}
}

// checkEnvironment looks at what makes the run of a target worthless as evidence.
func (inv invocation) checkEnvironment(magefiles *magefiles) []Problem {
	var problems []Problem
	for _, v := range []struct{ name, typ string }{
		{"MAGEFILE_VERBOSE", "bool"},
		{"MAGEFILE_LIST", "bool"},
		{"MAGEFILE_HELP", "bool"},
		{"MAGEFILE_TIMEOUT", "time.Duration"},
	} {
		value := inv.getenv(v.name)
		if value == "" || checkValue(v.typ, value) == nil {
			continue
		}
		problems = append(problems, Problem{
			Subject: v.name + "=" + shellQuote(value),
			Why:     "not a " + v.typ + ", so mage would go on as if it were not set",
			Fix:     inv.withoutVariable(v.name),
		})
	}
	for _, name := range []string{"MAGEFILE_LIST", "MAGEFILE_HELP"} {
		if on, _ := strconv.ParseBool(inv.getenv(name)); on && inv.startedByMage() {
			problems = append(problems, Problem{
				Subject: name + "=" + inv.getenv(name),
				Why:     "the targets would only be listed or explained, with exit code 0, and nothing would run",
				Fix:     inv.withoutVariable(name),
			})
		}
	}
	if fast, _ := strconv.ParseBool(inv.getenv("MAGEFILE_HASHFAST")); fast {
		problems = append(problems, Problem{
			Subject: "MAGEFILE_HASHFAST=" + inv.getenv("MAGEFILE_HASHFAST"),
			Why:     "mage would run a stale binary when an imported package has changed",
			Fix:     inv.withoutVariable("MAGEFILE_HASHFAST"),
		})
	}
	if inv.timeout != 0 {
		p := Problem{
			Subject: "-t " + inv.timeout.String() + " (MAGEFILE_TIMEOUT)",
			Why:     "mage leaves at once when the time is over, before a target can write its record",
			Fix:     "leave out -t and MAGEFILE_TIMEOUT, and give the target a parameter timeout *time.Duration",
		}
		if owner, args := magefiles.relocate(inv.args, "-timeout="+inv.timeout.String()); owner != nil {
			p.Fix = "leave out -t and MAGEFILE_TIMEOUT: " + inv.command(args...)
		}
		problems = append(problems, p)
	}
	return problems
}

func (inv invocation) withoutVariable(name string) string {
	return "env -u " + name + " " + inv.command(inv.args...)
}

// checkValue converts text as the generated main would; typ is one of the types mage has for parameters.
func checkValue(typ, text string) error {
	var err error
	switch typ {
	case "int":
		_, err = strconv.Atoi(text)
	case "float64":
		_, err = strconv.ParseFloat(text, 64)
	case "bool":
		_, err = strconv.ParseBool(text)
	case "time.Duration":
		_, err = time.ParseDuration(text)
	}
	if numError := (*strconv.NumError)(nil); errors.As(err, &numError) {
		return numError.Err // without the name of the function in strconv
	}
	return err
}

// shellQuote prints an argument so that it can be pasted, and so that an argument with control characters cannot
// write to the terminal or speak to the workflow runner. Our own <placeholders> stay as they are.
func shellQuote(arg string) string {
	inner := arg
	if strings.HasPrefix(arg, "<") && strings.HasSuffix(arg, ">") && len(arg) > 2 {
		inner = arg[1 : len(arg)-1]
	}
	plain, printable := arg != "", true
	for _, r := range inner {
		plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r))
		printable = printable && strconv.IsPrint(r) && r != '\uFFFD'
	}
	switch {
	case plain:
		return arg
	case printable:
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	quoted := strconv.Quote(arg)
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return "$'" + strings.ReplaceAll(quoted, "'", `\'`) + "'"
}
