package target

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Checker holds command lines that stand in files against the magefiles, which it reads once.
type Checker struct {
	magefiles *magefiles
	targets   []Target
}

// Call is one target of a command line with what it would get.
type Call struct {
	Target string            // its full name, also when the line has an alias
	Flags  map[string]string // as typed, by the name of the parameter; "true" for a bool that is only named
}

// NewChecker reads the magefiles in the root of sources; the errors are those of [Targets].
func NewChecker(sources fs.FS) (*Checker, error) {
	targets, err := Targets(sources)
	if err != nil {
		return nil, err
	}
	magefiles, err := readMagefiles(sources, false)
	if err != nil {
		return nil, err
	}
	return &Checker{magefiles, targets}, nil
}

// Targets are those of the magefiles, sorted by name.
func (c *Checker) Targets() []Target { return slices.Clone(c.targets) }

// Param is the flag of a target, both in any case of letters. ok is false when there is no such target or flag.
func (c *Checker) Param(target, flag string) (p Param, ok bool) {
	t, _ := c.magefiles.lookup(target)
	if t == nil {
		return Param{}, false
	}
	return t.flag(flag)
}

// Check refuses what [CheckCommandLine] would refuse after the word mage, with the nearest name where there is one.
// The environment is an empty one. A line without a target is refused, for it does nothing; one that lists or helps
// passes when the targets in it are known. The error is a [*UsageError].
func (c *Checker) Check(args ...string) ([]Call, error) {
	argv := append([]string{"mage"}, args...)
	environ := []string{"MAGEFILE_GOCMD=go"} // as mage starts its binary
	inv, err := parseInvocation(argv, environ)
	if err != nil {
		typed := argv[min(max(inv.skipped, 1), len(argv)-1)]
		return nil, refuse(Problem{
			Subject: typed, Why: "not one of -h, -l and -v, which are all that can stand before the first target", Fix: inv.command(inv.args...),
		})
	}
	if i := slices.Index(inv.args, ""); i >= 0 {
		return nil, refuse(inv.emptyArgument(i))
	}
	if inv.runsNothing {
		for i, name := range inv.args {
			if target, imported := c.magefiles.lookup(name); target == nil && !imported {
				return nil, refuse(*c.magefiles.explainName(inv, nil, i))
			}
		}
		return nil, nil
	}
	if len(inv.args) == 0 {
		return nil, refuse(Problem{Subject: strings.Join(argv, " "), Why: "no target is named", Fix: inv.command("<target>")})
	}
	problems := inv.checkEnvironment(c.magefiles)
	line, problem := c.magefiles.parse(inv)
	if problem != nil {
		problems = append(problems, *problem)
	}
	calls := make([]Call, len(line))
	for i, l := range line {
		calls[i] = Call{Target: l.target.Name, Flags: map[string]string{}}
		for _, v := range l.values {
			calls[i].Flags[v.param.Name] = v.text
		}
	}
	return calls, refuse(problems...)
}

// Example is a value that a parameter of this type takes, for a placeholder in a text.
func Example(typ string) string {
	if example := exampleOf(typ); !strings.HasPrefix(example, "<") {
		return example
	}
	return "text"
}

// Short is the first problem in one line, and Fix what mends it.
func (e *UsageError) Short() (why, fix string) {
	p := e.Problems[0]
	return fmt.Sprintf("%s: %s", p.Subject, p.Why), p.Fix
}
