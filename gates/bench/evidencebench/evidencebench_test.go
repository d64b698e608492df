//go:build unix

package evidencebench

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	assert.NilError(t, Options{}.Validate())
	assert.NilError(t, Options{Only: []string{"file", "log"}, Rounds: 1, Scale: 0.1}.Validate())
	for _, bad := range []Options{{Only: []string{"wide"}}, {Rounds: -1}, {Scale: -1}, {Scale: math.NaN()}, {Scale: 101}} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(bad.Validate(), &usage), "%+v", bad)
	}
	// A gate that was made of such options all the same says so when it is planned.
	_, err := Gate(Options{Only: []string{"wide"}}).Steps[0].Commands("")
	assert.ErrorContains(t, err, "no part")
	assert.NilError(t, Gate(Options{}).Validate())
	assert.Assert(t, !Gate(Options{Cosign: "/x"}).Partial)
	for _, some := range []Options{{Only: []string{"log"}}, {Rounds: 2}, {Scale: 0.5}, {Limits: map[string]float64{"x": 1}}} {
		assert.Assert(t, Gate(some).Partial, "%+v", some)
	}
	// The record is the same wherever cosign lies.
	raw, err := json.Marshal(Gate(Options{Cosign: "/somewhere/cosign"}).Options)
	assert.NilError(t, err)
	assert.Assert(t, !strings.Contains(string(raw), "cosign"), "%s", raw)
	commands, err := Gate(Options{Cosign: "/somewhere/cosign"}).Steps[0].Commands("")
	assert.NilError(t, err)
	for _, c := range commands {
		assert.Assert(t, !strings.Contains(c.String(), "somewhere"), c.String())
	}
}

func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	assert.NilError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	return path
}

// run gives the checks of a run by code and subject; change is made before it.
func run(t *testing.T, o Options, change func(*bench)) (map[string]evidence.Check, Figures) {
	t.Helper()
	o.Rounds = 1
	b, err := newBench(o.defaults())
	assert.NilError(t, err)
	b.openssl, b.processors = program(t, `exec sha256sum "$3"`), 2
	if change != nil {
		change(b)
	}
	root, err := filepath.Abs("../../..")
	assert.NilError(t, err)
	outcome := gatetest.Run(t, b.gate(), gates.Options{Root: root, Artifacts: t.TempDir()})
	step := gatetest.Step(t, outcome, ID)
	assert.Equal(t, step.Cause, evidence.CauseNone, step.Reason)
	checks := map[string]evidence.Check{}
	for _, c := range step.Checks {
		checks[strings.TrimPrefix(c.Code, "bench.evidence.")+" "+c.Subject] = c
	}
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.json"))
	assert.NilError(t, err)
	var f Figures
	assert.NilError(t, json.Unmarshal(raw, &f))
	table, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.md"))
	assert.NilError(t, err)
	for _, c := range step.Checks {
		assert.Assert(t, strings.Contains(string(table), c.Subject), "%s", table)
	}
	return checks, f
}

// all are the checks with a limit that everything keeps, and one that nothing keeps.
func all() map[string][2]float64 {
	floor, ceiling := [2]float64{1e-9, 1e9}, [2]float64{1e12, -1e12}
	return map[string][2]float64{
		"throughput seal": floor, "throughput verify": floor, "cores seal": floor, "cores verify": floor,
		"small seal and verify": ceiling, "log append and proof": ceiling, "bundles verify": floor,
		"memory seal by size": ceiling, "memory verify by size": ceiling, "memory seal by count": ceiling, "memory verify by count": ceiling,
	}
}

// Each limit is green when it is kept and red when it is not, with the real worker.
func TestLimits(t *testing.T) {
	t.Parallel()
	for which, verdict := range []evidence.Verdict{evidence.Pass, evidence.Fail} {
		limits := map[string]float64{}
		for name, both := range all() {
			limits["bench.evidence."+name] = both[which]
		}
		checks, f := run(t, Options{Scale: 0.005, Limits: limits, Cosign: program(t, "exit 0")}, nil)
		for name := range all() {
			c, ok := checks[name]
			assert.Assert(t, ok, name)
			assert.Equal(t, c.Verdict, verdict, "%s: %+v", name, c)
		}
		assert.Equal(t, len(checks), len(all()))
		assert.Equal(t, len(f.Parts), 6)
		for _, p := range f.Parts {
			assert.Assert(t, len(p.Sides) > 0, p.ID)
		}
	}
}

// What cannot be measured is never PASS.
func TestNotMeasured(t *testing.T) {
	t.Parallel()
	// No cosign, and one processor: left out, with the reason.
	checks, _ := run(t, Options{Scale: 0.001, Only: []string{"bundles", "cores"}}, func(b *bench) { b.processors = 1 })
	for _, name := range []string{"bundles verify", "cores seal", "cores verify"} {
		assert.Equal(t, checks[name].Verdict, evidence.Skip, name)
	}
	// A cosign that says no, and an openssl that is not there: could not tell; the rest is measured.
	checks, f := run(t, Options{
		Scale: 0.001, Only: []string{"file", "bundles", "log"}, Cosign: program(t, "exit 1"), Limits: map[string]float64{"bench.evidence.log append and proof": 1e9},
	}, func(b *bench) { b.openssl = "no-such-openssl" })
	assert.Equal(t, checks["part file"].Verdict, evidence.Unverified)
	assert.Equal(t, checks["part bundles"].Verdict, evidence.Unverified)
	assert.Equal(t, checks["log append and proof"].Verdict, evidence.Pass)
	assert.Equal(t, len(checks), 3)
	assert.Equal(t, len(f.Parts[0].Judged), 0)
}

// No time is no value.
func TestPositive(t *testing.T) {
	t.Parallel()
	assert.Assert(t, math.IsNaN(positive(0)))
	assert.Equal(t, positive(2), 2.0)
}

func TestFindCosign(t *testing.T) {
	cache, bin := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin)
	assert.Equal(t, FindCosign("", cache), "")
	assert.Equal(t, FindCosign("/named", cache), "/named")
	write := func(path, content string) {
		t.Helper()
		assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o700))
	}
	path := filepath.Join(bin, "cosign")
	write(path, "x")
	assert.Equal(t, FindCosign("", cache), path)
	own := filepath.Join(cache, "cosign-own-0", "cosign")
	write(own, "x")
	write(own+".sha256", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
	assert.Equal(t, FindCosign("", cache), path, "it was built from code of ours, and is not cosign")
	cached := filepath.Join(cache, "cosign-v3-0", "cosign")
	write(cached, "x")
	assert.Equal(t, FindCosign("", cache), path, "nobody says that it is what was built")
	write(cached+".sha256", "0")
	assert.Equal(t, FindCosign("", cache), path, "it is not what was built")
	write(cached+".sha256", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
	assert.Equal(t, FindCosign("", cache), cached)
}
