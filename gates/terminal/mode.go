package terminal

import (
	"fmt"
	"strings"

	"github.com/dpone/dpone/gates"
)

// Mode is a form of output.
type Mode string

// The forms of output.
const (
	TTY    Mode = "tty"    // a person at a terminal: glyphs and one live line
	Plain  Mode = "plain"  // a file or a pipe: ASCII, a counter now and then
	GitHub Mode = "github" // a GitHub Actions log: groups and annotations
	JSON   Mode = "json"   // a program: one event a line
)

// OutputVariable is the environment variable that chooses the form.
const OutputVariable = "DPONE_OUTPUT"

// Detect chooses the form. DPONE_OUTPUT decides when it is set and not empty;
// then comes GITHUB_ACTIONS, which GitHub sets to "true"; then whether the
// output is a terminal that can move its cursor. Under any other automation
// (CI is set) there is no live line, even if it offers a terminal. The error
// is a *[gates.UsageError].
func Detect(environ []string, isTerminal bool) (Mode, error) {
	env := variables(environ)
	if want := env[OutputVariable]; want != "" {
		switch mode := Mode(want); mode {
		case TTY, Plain, GitHub, JSON:
			return mode, nil
		}
		return "", &gates.UsageError{Problem: fmt.Sprintf("%s is %q; give one of %s, %s, %s, %s", OutputVariable, want, TTY, Plain, GitHub, JSON)}
	}
	ci := env["CI"] != "" && env["CI"] != "false" && env["CI"] != "0"
	switch {
	case env["GITHUB_ACTIONS"] == "true":
		return GitHub, nil
	case isTerminal && env["TERM"] != "dumb" && !ci:
		return TTY, nil
	}
	return Plain, nil
}

// Colour says whether to use colour: for a terminal and for GitHub, unless
// NO_COLOR is set and not empty (https://no-color.org) or the terminal is dumb.
func Colour(environ []string, mode Mode) bool {
	env := variables(environ)
	return (mode == TTY || mode == GitHub) && env["NO_COLOR"] == "" && env["TERM"] != "dumb"
}

func variables(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			env[name] = value
		}
	}
	return env
}
