package reproduce

import (
	"errors"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/target"
)

// redacted begins what stands in the place of a secret, see package redact.
const redacted = "[redacted:"

// invocation takes the recorded command line apart and finds its target here.
// Nothing that it refuses is run.
func (a *attempt) invocation() {
	line := a.record.Stable.Invocation.Command
	refuse := func(format string, args ...any) { a.result.reason(CodeBadCommand, format, args...) }
	if strings.Contains(line, redacted) {
		a.result.reason(CodeRedacted, "the line held a secret that the record does not repeat: %s", line)
		return
	}
	words, err := proc.Words(line)
	if err != nil {
		refuse("%v", err)
		return
	}
	if words[0] != "mage" {
		refuse("the line begins with %q, and only mage is ever run", words[0])
		return
	}
	words = words[1:]
	if len(words) > 0 && words[0] == "-v" { // which stays when the target was called by an alias
		words = words[1:]
	}
	checker, err := target.NewChecker(a.opts.Sources)
	if err != nil {
		refuse("the magefiles of this checkout cannot be read: %s", oneLine(err))
		return
	}
	calls, err := checker.Check(words...)
	if err != nil {
		refuse("%s", complaint(err))
		return
	}
	// A name that a mage:import may have ends the check: what follows it is not known.
	if len(calls) != 1 || 1+len(calls[0].Flags) != len(words) {
		refuse("the line names %d targets of this checkout and %d words; exactly one target with its flags is run again", len(calls), len(words))
		return
	}
	call := calls[0]
	i := slices.IndexFunc(checker.Targets(), func(t target.Target) bool { return t.Name == call.Target })
	a.target = checker.Targets()[i]
	if plan, ok := checker.Param(call.Target, planFlag); !ok || plan.Type != "bool" {
		refuse("%s has no flag -%s, so it is no gate and leaves no record", call.Target, planFlag)
	}
	if _, ok := call.Flags[planFlag]; ok {
		refuse("with -%s nothing is run and no record is left", planFlag)
	}
	for name, value := range call.Flags {
		if param, ok := checker.Param(call.Target, name); (!ok || param.Type == "string") && hidesFlag(value) {
			refuse("the value of -%s has a word that begins with a dash, which a program could take for a flag: %q", name, value)
		}
	}
	for _, name := range []string{call.Target, a.record.Stable.Gate.ID, a.record.Stable.Invocation.Target} {
		if why, ok := a.opts.Outside[name]; ok {
			a.result.reason(CodeOutside, "%s: %s", name, why)
			break
		}
	}
	a.args = words
}

// planFlag is the flag that all gates have: with it nothing is run.
const planFlag = "plan"

// hidesFlag says whether a value, or a part of it where it is a list, would look
// like a flag to a program that gets it as an argument.
func hidesFlag(value string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c <= ' ' }), func(word string) bool {
		return strings.HasPrefix(word, "-")
	})
}

// complaint is the first problem of a command line, in one line.
func complaint(err error) string {
	var wrong *target.UsageError
	if errors.As(err, &wrong) {
		why, _ := wrong.Short()
		return why
	}
	return oneLine(err)
}

// stepIDs are the steps of the recorded gate.
func stepIDs(steps []evidence.Step) []string {
	var ids []string
	for _, s := range steps {
		if s.ID != evidence.SourceStep {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
