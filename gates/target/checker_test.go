package target

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
)

func checker(t *testing.T) *Checker {
	t.Helper()
	c, err := NewChecker(fstest.MapFS{"x.go": {Data: []byte(`//go:build mage

package main

import (
	"time"

	"github.com/magefile/mage/mg"
)

type Ci mg.Namespace

var Aliases = map[string]any{"t": Ci.Test}

// Test tests.
func (Ci) Test(seed *int, timeout *time.Duration, v *bool) error { return nil }

// Hello greets.
func Hello(name string) error { return nil }
`)}})
	assert.NilError(t, err)
	return c
}

func TestChecker(t *testing.T) {
	t.Parallel()
	c := checker(t)
	assert.Equal(t, len(c.Targets()), 2)
	for line, want := range map[string][]Call{
		"ci:test":                       {{"ci:test", map[string]string{}}},
		"t -seed=7 -v":                  {{"ci:test", map[string]string{"seed": "7", "v": "true"}}},
		"-v CI:TEST -TIMEOUT=3m":        {{"ci:test", map[string]string{"timeout": "3m"}}},
		"hello you ci:test -timeout=1s": {{"hello", map[string]string{"name": "you"}}, {"ci:test", map[string]string{"timeout": "1s"}}},
		"-l":                            nil,
		"-h ci:test":                    nil,
	} {
		calls, err := c.Check(strings.Fields(line)...)
		assert.NilError(t, err, line)
		assert.DeepEqual(t, calls, want)
	}
	for line, want := range map[string]string{
		"":                  "no target is named",
		"ci:tset":           "the nearest is ci:test",
		"-h ci:tset":        "the nearest is ci:test",
		"ci:test -sead=1":   "the nearest is -seed",
		"ci:test -seed=one": "of type int",
		"ci:test -seed":     "has no value",
		"hello":             "is missing",
		"-x ci:test":        "before the first target",
		"-t 5m ci:test":     "mage leaves at once",
	} {
		_, err := c.Check(strings.Fields(line)...)
		var usage *UsageError
		assert.Assert(t, errors.As(err, &usage), line)
		why, fix := usage.Short()
		assert.Assert(t, strings.Contains(why, want), "%s: %s", line, why)
		assert.Assert(t, fix != "" && !strings.Contains(why, "\n"), line)
	}
	_, err := c.Check("ci:test", "")
	assert.ErrorContains(t, err, "is empty")
}

func TestCheckerKnowsParameters(t *testing.T) {
	t.Parallel()
	c := checker(t)
	p, ok := c.Param("T", "Seed")
	assert.Assert(t, ok)
	assert.Equal(t, p.Type, "int")
	_, ok = c.Param("t", "nope")
	assert.Assert(t, !ok)
	_, ok = c.Param("nope", "seed")
	assert.Assert(t, !ok)
	for _, typ := range []string{"int", "float64", "bool", "time.Duration", "string"} {
		assert.NilError(t, checkValue(typ, Example(typ)))
		assert.Assert(t, !strings.ContainsAny(Example(typ), "<>"), typ)
	}
	_, err := NewChecker(fstest.MapFS{})
	assert.ErrorContains(t, err, "no file of package main")
}
