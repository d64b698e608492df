package conformance_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/conformance"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/tool"
)

const root = "../.."

// available skips a test when a tool would have to be built from nothing, which
// takes minutes.
func available(t *testing.T, names ...string) {
	t.Helper()
	cache := tool.Cache{Dir: os.Getenv("DPONE_TOOL_CACHE"), Go: runtime.Version()}
	for _, name := range names {
		if !cache.Warm(conformance.Tool(root, name)) {
			t.Skipf("%s was never built here: run mage evidence:conformance once", name)
		}
	}
}

func run(t *testing.T, o conformance.Options, only ...string) gates.Outcome {
	t.Helper()
	return gatetest.Run(t, conformance.Gate(o), gates.Options{Root: root, Artifacts: t.TempDir(), Only: only, Jobs: 2})
}

// checks are those of all steps, by verdict.
func checks(outcome gates.Outcome) map[evidence.Verdict][]evidence.Check {
	found := map[evidence.Verdict][]evidence.Check{}
	for _, step := range outcome.Record.Stable.Steps {
		for _, check := range step.Checks {
			found[check.Verdict] = append(found[check.Verdict], check)
		}
	}
	return found
}

// The whole gate but for the tests of the nested module, which package
// gates/keyless runs.
func TestEverybodyAgrees(t *testing.T) {
	available(t, conformance.Names()...)
	outcome := run(t, conformance.Options{}, conformance.Key, conformance.Keyless, conformance.Import)
	found := checks(outcome)
	for _, verdict := range []evidence.Verdict{evidence.Fail, evidence.Unverified, evidence.Skip} {
		for _, c := range found[verdict] {
			t.Errorf("%s %s %s: %s %s", verdict, c.Code, c.Subject, c.Observed, c.Reason)
		}
	}
	for _, id := range []string{conformance.Key, conformance.Keyless, conformance.Import} {
		assert.Equal(t, gatetest.Step(t, outcome, id).Verdict, evidence.Pass, id)
	}
	perCode := map[string]int{}
	for _, c := range found[evidence.Pass] {
		perCode[c.Code]++
	}
	// 7 kinds, 2 keys or logs, 2 artifacts, 3 verifiers, with a key and without.
	assert.Equal(t, perCode["conformance.accepts"], 7*2*2*3*2)
	assert.Equal(t, perCode["conformance.imports"], 4*8)
	assert.Assert(t, perCode["conformance.refuses"] > 80)
}

// impostor is a program in the place of another, which ends with a code,
// whatever it is asked.
func impostor(name string, code int) tool.Tool {
	main := fmt.Sprintf("package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tfmt.Fprintln(os.Stderr, \"it says so\")\n\tos.Exit(%d)\n}\n", code)
	return tool.Tool{Name: name, Pin: fstest.MapFS{
		"go.mod":  {Data: []byte("module example.com/impostor\n\ngo 1.26\n\ntool example.com/impostor\n")},
		"go.sum":  {},
		"main.go": {Data: []byte(main)},
	}}
}

// in puts other tools in the place of some.
func in(others ...tool.Tool) conformance.Options {
	return conformance.Options{Find: func(root, name string) tool.Tool {
		for _, other := range others {
			if name == other.Name {
				return other
			}
		}
		return conformance.Tool(root, name)
	}}
}

// A verifier that always agrees, or never, or breaks, is seen.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step, place string
		code        int
		verdict     evidence.Verdict
		check       string
	}{
		"cosign takes everything":      {conformance.Key, "cosign", 0, evidence.Fail, "conformance.refuses"},
		"cosign takes nothing":         {conformance.Key, "cosign", 1, evidence.Fail, "conformance.accepts"},
		"cosign breaks":                {conformance.Key, "cosign", 7, evidence.Unverified, "conformance.accepts"},
		"sigstore-go takes everything": {conformance.Key, "sigstore-verify", 0, evidence.Fail, "conformance.refuses"},
		"sigstore-go takes nothing":    {conformance.Key, "sigstore-verify", 1, evidence.Fail, "conformance.accepts"},
		"a keyless cosign that agrees": {conformance.Keyless, "cosign", 0, evidence.Fail, "conformance.refuses"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The other one breaks, which is no finding.
			tools := []tool.Tool{impostor("cosign", 9), impostor("sigstore-verify", 9)}
			for i := range tools {
				if tools[i].Name == c.place {
					tools[i] = impostor(c.place, c.code)
				}
			}
			if c.step == conformance.Keyless {
				available(t, "dpone-keyless", "virtual-sigstore")
			}
			outcome := run(t, in(tools...), c.step)
			assert.Equal(t, gatetest.Step(t, outcome, c.step).Verdict, c.verdict)
			who := strings.Replace(c.place, "sigstore-verify", "sigstore-go", 1) + ": "
			mine := 0
			for _, check := range checks(outcome)[c.verdict] {
				if strings.HasPrefix(check.Subject, who) {
					mine++
					if c.verdict == evidence.Fail {
						assert.Equal(t, check.Code, c.check, "%s", check.Subject)
					}
				} else {
					assert.Assert(t, c.verdict == evidence.Unverified, "%s", check.Subject)
				}
			}
			assert.Assert(t, mine > 0)
		})
	}
}

// yes is a program in the place of a tool, which agrees to everything.
func yes(t *testing.T, name string) tool.Tool {
	t.Helper()
	main, err := os.ReadFile("testdata/yes.go.txt")
	assert.NilError(t, err)
	other := impostor(name, 0)
	other.Pin.(fstest.MapFS)["main.go"].Data = main
	return other
}

// When all tools agree to everything, every defect that they let through is
// red; what ours looks at by itself is not.
func TestToolsThatAgreeToEverything(t *testing.T) {
	t.Parallel()
	o := in(yes(t, "cosign"), yes(t, "sigstore-verify"), yes(t, "dpone-keyless"), yes(t, "virtual-sigstore"))
	outcome := run(t, o, conformance.Keyless, conformance.Import)
	assert.Equal(t, outcome.ExitCode(), 1)
	count := map[string]int{}
	for _, id := range []string{conformance.Keyless, conformance.Import} {
		step := gatetest.Step(t, outcome, id)
		assert.Equal(t, step.Verdict, evidence.Fail, "%s: %s", id, step.Reason)
		for _, c := range step.Checks {
			who, _, _ := strings.Cut(c.Subject, " ")
			count[fmt.Sprint(c.Verdict, " ", c.Code, " ", strings.TrimSuffix(who, ":"))]++
		}
	}
	assert.DeepEqual(t, count, map[string]int{
		"PASS conformance.accepts cosign": 28, "PASS conformance.accepts sigstore-go": 28, "PASS conformance.accepts ours": 28,
		// All nine defects with each log; sigstore-go is not asked about types.
		"FAIL conformance.refuses cosign": 18, "FAIL conformance.refuses sigstore-go": 16,
		// Ours sees artifact, type, identity, issuer and two signatures without the tool.
		"PASS conformance.refuses ours": 10 + 6, "FAIL conformance.refuses ours": 8 + 2,
		// A bundle with a key and a certificate that is none, and a predicate for a statement.
		"FAIL conformance.imports ed25519": 8, "FAIL conformance.imports ecdsa-p256": 8,
		"PASS conformance.imports v1": 7, "PASS conformance.imports v2": 7, "FAIL conformance.imports v1": 1, "FAIL conformance.imports v2": 1,
	})
}

// What cosign no longer writes is not known, and no failure of ours.
func TestCosignThatWritesNothing(t *testing.T) {
	t.Parallel()
	available(t, "dpone-keyless", "virtual-sigstore")
	outcome := run(t, in(impostor("cosign", 0)), conformance.Import)
	step := gatetest.Step(t, outcome, conformance.Import)
	assert.Equal(t, step.Verdict, evidence.Unverified)
	assert.Assert(t, strings.Contains(step.Reason, "no such file"), step.Reason)
}

// A tool that cannot be had leaves the question open.
func TestToolThatCannotBeBuilt(t *testing.T) {
	t.Parallel()
	broken := impostor("cosign", 0)
	broken.Pin.(fstest.MapFS)["main.go"].Data = []byte("package main\n\nnonsense\n")
	outcome := run(t, in(broken), conformance.Key)
	step := gatetest.Step(t, outcome, conformance.Key)
	assert.Equal(t, step.Verdict, evidence.Unverified)
	assert.Equal(t, step.Cause, evidence.CauseBroken)
	assert.Equal(t, outcome.ExitCode(), 3)
}

// A project of others has no nested module: unverified, and it says why.
func TestProjectOfOthers(t *testing.T) {
	t.Parallel()
	dir := gatetest.Repository(t, "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n")
	outcome := gatetest.Run(t, conformance.Gate(in(impostor("cosign", 0))), gates.Options{Root: dir, Artifacts: t.TempDir()})
	for _, id := range []string{conformance.Key, conformance.Keyless, conformance.Import, conformance.Module} {
		step := gatetest.Step(t, outcome, id)
		assert.Equal(t, step.Verdict, evidence.Unverified, id)
		assert.Assert(t, strings.Contains(step.Reason, "evidence/keyless"), "%s: %s", id, step.Reason)
	}
}
