//go:build mage

package main

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/magefile/mage/mg"
)

var Aliases = map[string]interface{}{
	"i":     Release.Attest,
	"Tests": Ci.Test,
}

// Ci has the checks of a change.
type Ci mg.Namespace

type (
	// Release makes and signs.
	Release mg.Namespace
	// Matrix has cases.
	Matrix mg.Namespace
)

// Lint checks the style.
func Lint() { ran("lint") }

// Say prints the `message`, often.
func Say(msg string, cap *bool, count *int) { ran("say", "msg", msg, "cap", cap, "count", count) }

// Two has more than one positional.
func Two(from, to string, force *bool) error {
	ran("two", "from", from, "to", to, "force", force)
	return nil
}

func Count(n int) { ran("count", "n", n) }

func Scale(by float64, factor *float64) { ran("scale", "by", by, "factor", factor) }

func Wait(d time.Duration, extra *time.Duration) { ran("wait", "d", d, "extra", extra) }

func Cough(loud bool) { ran("cough", "loud", loud) }

// Mixed has its flag between the positionals.
func Mixed(ctx context.Context, name string, greeting *string, count int) (err error) {
	ran("mixed", "name", name, "count", count, "greeting", greeting)
	return nil
}

// Test runs the tests.
func (Ci) Test(
	_ context.Context,
	timeout *time.Duration, // how long they may take
	run *string,
	race *bool, // with the race detector
) error {
	ran("ci:test", "timeout", timeout, "run", run, "race", race)
	return nil
}

// Attest signs a release.
func (Release) Attest(ctx context.Context, version string, dryRun *bool) error {
	ran("release:attest", "version", version, "dryRun", dryRun)
	return nil
}

func (Matrix) MockLocal(strategy *string) { ran("matrix:mockLocal", "strategy", strategy) }

// ran prints the name of a target and the values it got, without the flags that were not set.
func ran(name string, values ...any) {
	line := "ran " + name
	for i := 0; i < len(values); i += 2 {
		value := reflect.ValueOf(values[i+1])
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		line += fmt.Sprintf(" %s=%v", values[i], value)
	}
	fmt.Println(line)
}
