package terminal

import (
	"errors"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates"
)

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		environ    []string
		isTerminal bool
		want       Mode
	}{
		{nil, true, TTY},
		{nil, false, Plain},
		{[]string{"TERM=xterm"}, true, TTY},
		{[]string{"TERM=dumb"}, true, Plain},
		{[]string{"CI=true"}, true, Plain},
		{[]string{"CI=false"}, true, TTY},
		{[]string{"CI="}, true, TTY},
		{[]string{"GITHUB_ACTIONS=true", "CI=true"}, true, GitHub},
		{[]string{"GITHUB_ACTIONS=false"}, false, Plain},
		{[]string{"CI=true", "DPONE_OUTPUT=tty"}, false, TTY},
		{[]string{"GITHUB_ACTIONS=true", "DPONE_OUTPUT=plain"}, true, Plain},
		{[]string{"DPONE_OUTPUT=github"}, true, GitHub},
		{[]string{"DPONE_OUTPUT=json"}, true, JSON},
		{[]string{"DPONE_OUTPUT="}, true, TTY},
	} {
		mode, err := Detect(test.environ, test.isTerminal)
		assert.NilError(t, err)
		assert.Equal(t, mode, test.want, "%v %v", test.environ, test.isTerminal)
	}
	_, err := Detect([]string{"DPONE_OUTPUT=TTY"}, true)
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage))
	assert.Error(t, err, `DPONE_OUTPUT is "TTY"; give one of tty, plain, github, json`)
}

func TestColour(t *testing.T) {
	for _, test := range []struct {
		environ []string
		mode    Mode
		want    bool
	}{
		{nil, TTY, true},
		{nil, GitHub, true},
		{nil, Plain, false},
		{nil, JSON, false},
		{[]string{"NO_COLOR=1"}, TTY, false},
		{[]string{"NO_COLOR=0"}, GitHub, false},
		{[]string{"NO_COLOR="}, TTY, true},
		{[]string{"TERM=dumb"}, TTY, false},
		{[]string{"TERM=dumb"}, GitHub, false},
	} {
		assert.Equal(t, Colour(test.environ, test.mode), test.want, "%v %s", test.environ, test.mode)
	}
}
