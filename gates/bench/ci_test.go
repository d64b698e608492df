//go:build unix

package bench_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/proc"
)

// module has a mage of its own, which runs the "gate" by sleeping as long as
// its longest chain, or what the test says.
const module = `
-- go.mod --
module example.com/x

go 1.26

tool example.com/x/cmd/mage
-- cmd/mage/main.go --
// Command mage sleeps as a gate would, and "compiles" a script.
package main

import (
	"os"
	"time"
)

func main() {
	if os.Args[1] == "-compile" {
		if os.WriteFile(os.Args[2], []byte("#!/bin/sh\n"), 0o700) != nil {
			os.Exit(1)
		}
		return
	}
	d, err := time.ParseDuration(os.Getenv("GATE_TAKES"))
	if err != nil {
		os.Exit(1)
	}
	time.Sleep(d)
}
`

// gate has two chains: 0.1 s, and 0.6 s in two commands.
func gate() gates.Gate {
	sleep := func(id string, times ...string) gates.Step {
		return gates.Step{
			ID: id, Doc: "It sleeps.", Runbook: "docs/runbooks.md#x", Run: func(context.Context, *gates.Pass) error { return nil },
			Commands: func(string) ([]proc.Command, error) {
				var commands []proc.Command
				for _, t := range times {
					commands = append(commands, proc.Command{Name: "sleep", Args: []string{t}})
				}
				return commands, nil
			},
		}
	}
	return gates.Gate{
		ID: "ci", Doc: "It sleeps.", Runbook: "docs/runbooks.md#x", Area: "ci",
		Steps: []gates.Step{sleep("short", "0.1"), sleep("long", "0.3", "0.3")},
	}
}

func TestComparison(t *testing.T) {
	root := gatetest.Repository(t, module)
	for name, c := range map[string]struct {
		takes string
		cold  bool
		want  evidence.Verdict // of bench.ci.warm
	}{
		"as fast as the slowest chain": {"10ms", false, evidence.Pass},
		"slower than the slowest":      {"1500ms", true, evidence.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GATE_TAKES", c.takes)
			outcome := gatetest.Run(t, bench.CI(gate(), bench.Options{Rounds: 1, Cold: c.cold, Binary: "x"}), gates.Options{Root: root})
			step := gatetest.Step(t, outcome, "bench:ci")
			found := map[string]evidence.Verdict{}
			for _, check := range step.Checks {
				found[check.Code] = check.Verdict
			}
			assert.Equal(t, found["bench.ci.warm"], c.want, "%+v", step)
			_, cold := found["bench.ci.cold"]
			assert.Equal(t, cold, c.cold, "%v", found)
			raw, err := os.ReadFile(outcome.Folder + "/bench.json")
			assert.NilError(t, err)
			var f bench.Figures
			assert.NilError(t, json.Unmarshal(raw, &f))
			assert.Equal(t, f.Chain, "long")
			assert.Assert(t, f.Hand["long"] >= 0.6 && f.Hand["short"] >= 0.1, "%+v", f)
			assert.Equal(t, f.HandCold["long"] >= 0.6, c.cold)
		})
	}
}

// A command that fails says nothing about speed.
func TestRedTreeIsNotCompared(t *testing.T) {
	t.Setenv("GATE_TAKES", "forever") // the stand-in exits with 1
	outcome := gatetest.Run(t, bench.CI(gate(), bench.Options{Rounds: 1, Binary: "x"}), gates.Options{Root: gatetest.Repository(t, module)})
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Assert(t, gatetest.Step(t, outcome, "bench:ci").Cause == evidence.CauseBroken)
}
