package ci_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/gatetest"
)

func integration(run string) gates.Gate {
	o := options
	o.Integration = []ci.Integration{{ID: "ci:service", Doc: "The service is there.", Packages: ".", Run: run, Fix: "start it"}}
	return ci.IntegrationGate(o, "ci:service")
}

// TestIntegration holds that a test that could not run is never green.
func TestIntegration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		verdict    evidence.Verdict
		code       string
	}{
		{"green", `t.Log("talked to it")`, evidence.Pass, "ci.integration"},
		{"red", `t.Error("it answered wrongly")`, evidence.Fail, "ci.test"},
		{"missing service", `t.Skip("no server")`, evidence.Unverified, "ci.integration.skipped"},
		{"one of two could not run", `t.Run("a", func(*testing.T) {}); t.Run("b", func(t *testing.T) { t.Skip("no server") })`, evidence.Unverified, "ci.integration.skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := gatetest.Repository(t, module+"\n-- service_test.go --\npackage x\n\nimport \"testing\"\n\nfunc TestService(t *testing.T) { "+c.body+" }\n")
			outcome := gatetest.Run(t, integration("^TestService"), gates.Options{Root: root})
			assert.Equal(t, outcome.Record.Verdict, c.verdict)
			step := gatetest.Step(t, outcome, "ci:service")
			found := false
			for _, check := range step.Checks {
				found = found || check.Code == c.code
			}
			assert.Assert(t, found, "%+v", step.Checks)
		})
	}
}

func TestIntegrationWithoutTests(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, module)
	outcome := gatetest.Run(t, integration("^TestNothing"), gates.Options{Root: root})
	assert.Equal(t, outcome.Record.Verdict, evidence.Unverified)
	assert.Assert(t, strings.Contains(gatetest.Step(t, outcome, "ci:service").Reason, "no test matched"))
}

func TestIntegrationOfAnotherName(t *testing.T) {
	t.Parallel()
	assert.Assert(t, ci.IntegrationGate(options, "ci:other").Validate() != nil)
}
