package statement_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

func detail() statement.GateDetail {
	return statement.GateDetail{
		Artifacts: []statement.ResourceDescriptor{artifact}, RecordSHA256: hex("4", 64),
		Logs:      []evidence.File{{Path: "logs/ci-lint.log", Size: 9, SHA256: hex("5", 64)}},
		Counts:    []statement.GateCount{{Name: "rows orders", Value: 9007199254740993}},
		Redaction: &statement.GateRedaction{Masked: 1, Scanned: 2},
	}
}

func build() statement.MageBuild {
	return statement.MageBuild{
		External: statement.External{
			Source: statement.ExternalSource{Repository: "https://github.com/dpone/dpone", Ref: "refs/tags/v1.2.3"},
			Mage:   statement.ExternalMage{Dir: "magefiles", Targets: []string{"release:build"}},
			Env:    []string{"GOFLAGS"},
		},
		Internal: statement.Internal{Provider: "local", GOOS: "linux", GOARCH: "amd64", GoVersion: "go1.26.8"},
		Dependencies: []statement.ResourceDescriptor{
			{URI: "git+https://github.com/dpone/dpone@refs/tags/v1.2.3", Digest: statement.DigestSet{"gitCommit": hex("a", 40)}},
			{Name: "magefiles", Digest: statement.DigestSet{"dirHash1": hex("2", 64)}},
		},
		BuilderID: statement.BuilderLocal, InvocationID: "local:r1", Started: began.Add(time.Millisecond), Finished: began.Add(time.Minute),
	}
}

func decision() *statement.Decision {
	return &statement.Decision{
		Verdict: statement.Go, Score: "97.5",
		Evaluator:   statement.Evaluator{ID: "https://github.com/dpone/dpone/verifier", Version: "v1.2.3"},
		EvaluatedAt: began,
		Policy:      statement.ResourceDescriptor{URI: "policy.yaml", Digest: statement.DigestSet{"sha256": hex("6", 64)}},
		Inputs:      []statement.ResourceDescriptor{{URI: "bundles/ci-lint.sigstore.json", Digest: statement.DigestSet{"sha256": hex("7", 64)}}},
	}
}

func waiver() statement.Waiver {
	return statement.Waiver{Blocker: "performance.missing", Release: "v1.2.3", Owner: "ann", ApprovedBy: "ben", Expires: began.Add(time.Hour), Reason: "host broke"}
}

func result(t *testing.T, s *statement.Statement, err error) *statement.TestResult {
	t.Helper()
	assert.NilError(t, err)
	r, err := statement.As[statement.TestResult](s)
	assert.NilError(t, err)
	return r
}

func TestGateResult(t *testing.T) {
	t.Parallel()
	warn := func(text string) func(*evidence.Record) {
		return func(r *evidence.Record) { r.Stable.Warnings = []string{text} }
	}
	unverified := evidence.Step{ID: "ci:test", Cause: evidence.CauseTimeout, Reason: "time ran out"}
	leftOut := evidence.Step{ID: "ci:test", Cause: evidence.CauseLeftOut, Reason: "by request"}
	for name, c := range map[string]struct {
		change                 func(*evidence.Record)
		steps                  []evidence.Step
		result                 statement.Result
		passed, warned, failed []string
	}{
		"pass":                   {nil, []evidence.Step{lint(passed("a"))}, statement.Passed, []string{"ci:lint"}, nil, nil},
		"warning of a step":      {warn("ci:lint: slow"), []evidence.Step{lint(passed("a")), step("ci:test", passed("b"))}, statement.Warned, []string{"ci:test"}, []string{"ci:lint"}, nil},
		"warning of the run":     {warn("go.sum is missing"), []evidence.Step{lint(passed("a"))}, statement.Warned, []string{"ci:lint"}, nil, nil},
		"fail":                   {nil, []evidence.Step{lint(passed("a")), step("ci:test", failed("b"))}, statement.Failed, []string{"ci:lint"}, nil, []string{"ci:test"}},
		"unverified":             {nil, []evidence.Step{lint(passed("a")), unverified}, statement.Failed, []string{"ci:lint"}, nil, []string{"ci:test"}},
		"skipped step":           {nil, []evidence.Step{lint(passed("a")), leftOut}, statement.Passed, []string{"ci:lint"}, nil, nil},
		"nothing ran":            {nil, nil, statement.Failed, nil, nil, nil},
		"red in part stays red":  {func(r *evidence.Record) { r.Stable.Partial = true }, []evidence.Step{lint(failed("a"))}, statement.Failed, nil, nil, []string{"ci:lint"}},
		"control characters":     {nil, []evidence.Step{step("a\x1b[2J", passed("x"))}, statement.Passed, []string{`a\u001b[2J`}, nil, nil},
		"name of unusual length": {nil, []evidence.Step{step(hex("n", 5000), passed("x"))}, statement.Passed, []string{hex("n", 1001) + "..."}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := statement.GateResult(record(t, c.change, c.steps...), about)
			r := result(t, s, err)
			assert.Equal(t, r.Result, c.result)
			assert.Equal(t, r.Configuration[0].Name, "ci:lint")
			assert.Equal(t, r.Configuration[0].URI, magefile.URI)
			assert.DeepEqual(t, [][]string{r.PassedTests, r.WarnedTests, r.FailedTests}, [][]string{c.passed, c.warned, c.failed})
			_, err = s.Encode()
			assert.NilError(t, err)
		})
	}
}

func TestNothingToState(t *testing.T) {
	t.Parallel()
	_, err := statement.GateResult(record(t, func(r *evidence.Record) { r.Stable.Partial = true }, lint(passed("a"))), about)
	assert.ErrorIs(t, err, statement.ErrNothingToState, "a gate that passed in part")
	_, err = statement.GateResult(record(t, nil, lint(skipped("a")), step("ci:test", skipped("b"))), about)
	assert.ErrorIs(t, err, statement.ErrNothingToState, "a gate of which everything was skipped")
	r := record(t, nil, lint(passed("a")), step("ci:test", skipped("b")))
	_, err = statement.StepResult(r, "ci:test", about)
	assert.ErrorIs(t, err, statement.ErrNothingToState, "a skipped step")
	_, err = statement.StepResult(r, "source", about)
	assert.ErrorContains(t, err, "proves nothing")
	_, err = statement.StepResult(r, "ci:none", about)
	assert.ErrorContains(t, err, "no step")
	_, err = statement.GateResult(r, statement.About{})
	assert.Equal(t, strict.ReasonOf(err), strict.Schema, "no configuration: %v", err)

	r.Stable.Steps[1].Checks[0].Verdict = evidence.Fail
	for _, lie := range []func() (*statement.Statement, error){
		func() (*statement.Statement, error) { return statement.GateResult(r, about) },
		func() (*statement.Statement, error) { return statement.StepResult(r, "ci:lint", about) },
		func() (*statement.Statement, error) { return statement.GateStatement(r, detail()) },
	} {
		_, err := lie()
		assert.ErrorContains(t, err, "does not follow")
		assert.Assert(t, !errors.Is(err, statement.ErrNothingToState))
	}
}

func TestStepResult(t *testing.T) {
	t.Parallel()
	r := record(t, func(r *evidence.Record) { r.Stable.Warnings = []string{"ci:lint: slow"} },
		lint(passed("a"), skipped("s")), step("ci:test", passed("x"), failed("x"), passed("y\n")))
	got := func(step string) *statement.TestResult {
		t.Helper()
		s, err := statement.StepResult(r, step, about)
		return result(t, s, err)
	}
	first := got("ci:lint")
	assert.Equal(t, first.Result, statement.Warned)
	assert.Equal(t, first.Configuration[0].Name, "ci:lint")
	assert.DeepEqual(t, first.PassedTests, []string{"ci.lint a"})
	second := got("ci:test")
	assert.Equal(t, second.Result, statement.Failed)
	assert.Equal(t, second.Configuration[0].Name, "ci:test")
	assert.DeepEqual(t, second.PassedTests, []string{`ci.lint y\u000a`})
	assert.DeepEqual(t, second.FailedTests, []string{"ci.lint x"})
	assert.Equal(t, second.URL, "https://github.com/dpone/dpone/actions/runs/7/attempts/2")
}

// What was found in a dirty tree is never stated of the commit.
func TestSubjects(t *testing.T) {
	t.Parallel()
	clean, err := statement.GateResult(record(t, nil, lint(passed("a"))), about)
	assert.NilError(t, err)
	assert.DeepEqual(t, clean.Subject, []statement.ResourceDescriptor{artifact, {Name: "source", Digest: statement.DigestSet{"gitCommit": hex("a", 40)}}})
	dirty, err := statement.GateResult(record(t, func(r *evidence.Record) {
		r.Stable.Source.Dirty, r.Stable.Source.DirtyDigest = true, "sha256:"+hex("d", 64)
	}, lint(passed("a"))), about)
	assert.NilError(t, err)
	assert.DeepEqual(t, dirty.Subject, []statement.ResourceDescriptor{artifact, {Name: "source-difference", Digest: statement.DigestSet{"sha256": hex("d", 64)}}})
	_, err = statement.Source(evidence.Source{Commit: hex("a", 40), Dirty: true})
	assert.Equal(t, strict.ReasonOf(err), strict.Schema)

	unknown := record(t, func(r *evidence.Record) { r.Stable.Source.Commit = "" }, lint(passed("a")))
	s, err := statement.GateResult(unknown, about)
	assert.NilError(t, err)
	assert.Equal(t, len(s.Subject), 1)
	_, err = statement.GateResult(unknown, statement.About{Configuration: magefile})
	assert.Equal(t, strict.ReasonOf(err), strict.Schema, "about nothing")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	origin := evidence.Origin{Repository: "https://h/r", Ref: "refs/heads/main"}
	assert.Equal(t, statement.ConfigurationURI(origin, "magefiles"), "git+https://h/r@refs/heads/main#magefiles")
	assert.Equal(t, statement.ConfigurationURI(evidence.Origin{Repository: "https://h/r"}, ""), "git+https://h/r")
	assert.Equal(t, statement.ConfigurationURI(evidence.Origin{Ref: "refs/heads/main"}, "magefiles"), "")
	assert.Equal(t, statement.RunURL(evidence.CI{}), "")
	assert.Equal(t, statement.RunURL(evidence.CI{URL: "https://h/1", Attempt: "3"}), "https://h/1/attempts/3")
	assert.Equal(t, statement.RunURL(evidence.CI{URL: "https://h/1/attempts/3", Attempt: "3"}), "https://h/1/attempts/3")
	assert.Equal(t, statement.RunURL(evidence.CI{URL: "https://h/1"}), "https://h/1")
}

func TestGateStatement(t *testing.T) {
	t.Parallel()
	r := record(t, nil, lint(passed("a"), skipped("b")), evidence.Step{ID: "ci:test", Cause: evidence.CauseLeftOut, Reason: "by request"})
	s, err := statement.GateStatement(r, detail())
	assert.NilError(t, err)
	raw, err := s.Encode()
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(raw), `"counts":[{"name":"rows orders","value":"9007199254740993"}]`), "%s", raw)
	g, err := statement.As[statement.Gate](s)
	assert.NilError(t, err)
	assert.Equal(t, g.Counts[0].Value, statement.Count(9007199254740993))
	assert.Equal(t, g.Record.StableDigest, r.StableDigest)
	assert.DeepEqual(t, *g.Steps[1].Log, statement.GateFile{Path: "logs/ci-lint.log", Size: 9, SHA256: hex("5", 64)})
	assert.Equal(t, g.Steps[1].Skipped, statement.Count(1))
	assert.Equal(t, g.Steps[2].Verdict, evidence.Skip)

	good := string(raw)
	for name, c := range map[string]struct{ old, new string }{
		"count as a number":    {`"value":"9007199254740993"`, `"value":90`},
		"count with a zero":    {`"value":"9007199254740993"`, `"value":"09"`},
		"count with a sign":    {`"value":"9007199254740993"`, `"value":"+9"`},
		"negative count":       {`"value":"9007199254740993"`, `"value":"-9"`},
		"count beyond 64 bits": {`"value":"9007199254740993"`, `"value":"99999999999999999999"`},
		"unnamed count":        {`"rows orders"`, `""`},
		"verdict":              {`"gate":"ci:lint","verdict":"PASS"`, `"gate":"ci:lint","verdict":"FAIL"`},
		"step verdict":         {`"id":"ci:lint","verdict":"PASS"`, `"id":"ci:lint","verdict":"SKIP"`},
		"unknown verdict":      {`"gate":"ci:lint","verdict":"PASS"`, `"gate":"ci:lint","verdict":"pass"`},
		"step twice":           {`"id":"ci:test"`, `"id":"ci:lint"`},
		"unnamed step":         {`"id":"ci:test"`, `"id":""`},
		"no record":            {`"stableDigest":"sha256:`, `"stableDigest":"`},
		"record digest":        {hex("4", 64), hex("4", 10)},
		"commit":               {`"commit":"` + hex("a", 40), `"commit":"HEAD`},
		"log digest":           {hex("5", 64), hex("5", 10)},
		"input path":           {`"path":"go.mod"`, `"path":""`},
		"ends before it began": {`"finishedOn":"2026`, `"finishedOn":"2025`},
		"no gate":              {`"gate":"ci:lint"`, `"gate":""`},
		"no such time":         {`"startedOn":"2026-11-22`, `"startedOn":"2026-11-32`},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		assert.Assert(t, bad != good, name)
		_, err := statement.Decode([]byte(bad))
		assert.Equal(t, strict.ReasonOf(err), strict.Schema, "%s: %v", name, err)
	}
}

func TestProvenance(t *testing.T) {
	t.Parallel()
	p, err := statement.NewProvenance(build())
	assert.NilError(t, err)
	external, internal, err := p.Mage()
	assert.NilError(t, err)
	assert.Equal(t, external.Source.Ref, "refs/tags/v1.2.3")
	assert.Equal(t, internal.GoVersion, "go1.26.8")
	assert.Equal(t, p.RunDetails.Metadata.StartedOn, began, "whole seconds")
	assert.Equal(t, string(p.BuildDefinition.ExternalParameters),
		`{"source":{"repository":"https://github.com/dpone/dpone","ref":"refs/tags/v1.2.3"},"mage":{"dir":"magefiles","targets":["release:build"],"args":[]},"goflags":"","env":["GOFLAGS"]}`)

	for name, change := range map[string]func(*statement.MageBuild){
		"no target":            func(b *statement.MageBuild) { b.External.Mage.Targets = nil },
		"empty target":         func(b *statement.MageBuild) { b.External.Mage.Targets = []string{""} },
		"no repository":        func(b *statement.MageBuild) { b.External.Source.Repository = "" },
		"no ref":               func(b *statement.MageBuild) { b.External.Source.Ref = "" },
		"value in env":         func(b *statement.MageBuild) { b.External.Env = []string{"TOKEN=secret"} },
		"no builder":           func(b *statement.MageBuild) { b.BuilderID = "" },
		"no invocation":        func(b *statement.MageBuild) { b.InvocationID = "" },
		"no commit":            func(b *statement.MageBuild) { b.Dependencies = b.Dependencies[1:] },
		"bad dependency":       func(b *statement.MageBuild) { b.Dependencies[0].Digest["gitCommit"] = "HEAD" },
		"bad byproduct":        func(b *statement.MageBuild) { b.Byproducts = []statement.ResourceDescriptor{{Name: "x"}} },
		"no start":             func(b *statement.MageBuild) { b.Started = time.Time{} },
		"ends before it began": func(b *statement.MageBuild) { b.Finished = began.Add(-time.Hour) },
		"no Go version":        func(b *statement.MageBuild) { b.Internal.GoVersion = "" },
	} {
		b := build()
		change(&b)
		_, err := statement.NewProvenance(b)
		assert.Equal(t, strict.ReasonOf(err), strict.Schema, "%s: %v", name, err)
	}

	unknown := *p
	unknown.BuildDefinition.ExternalParameters = json.RawMessage(strings.Replace(string(p.BuildDefinition.ExternalParameters), `"goflags"`, `"more":1,"goflags"`, 1))
	assert.Equal(t, strict.ReasonOf(unknown.Validate()), strict.UnknownKey, "external parameters are complete")
	foreign := unknown
	foreign.BuildDefinition.BuildType = "https://actions.github.io/buildtypes/workflow/v1"
	assert.NilError(t, foreign.Validate())
	_, _, err = foreign.Mage()
	assert.Equal(t, strict.ReasonOf(err), strict.Schema)
	foreign.BuildDefinition.ExternalParameters = nil
	assert.Equal(t, strict.ReasonOf(foreign.Validate()), strict.Schema)
}

func TestDecisionAndSummary(t *testing.T) {
	t.Parallel()
	blocker := statement.DecisionBlocker{ID: "performance.missing", Reason: "missing"}
	for name, c := range map[string]struct {
		change func(*statement.Decision)
		result statement.Result
		level  string
	}{
		"go": {func(*statement.Decision) {}, statement.Passed, statement.LevelGo},
		"waived": {func(d *statement.Decision) {
			d.Verdict, d.Waivers = statement.GoWithWaivers, []statement.Waiver{waiver()}
		}, statement.Passed, statement.LevelGoWithWaivers},
		"no-go": {func(d *statement.Decision) {
			d.Verdict, d.Blockers = statement.NoGo, []statement.DecisionBlocker{blocker}
		}, statement.Failed, "FAILED"},
		"unverified": {func(d *statement.Decision) {
			d.Verdict, d.Blockers = statement.DecisionUnverified, []statement.DecisionBlocker{blocker}
		}, statement.Failed, "FAILED"},
	} {
		d := decision()
		c.change(d)
		v, err := statement.NewVSA(d, "pkg:golang/github.com/dpone/dpone@v1.2.3")
		assert.NilError(t, err, name)
		assert.Equal(t, v.VerificationResult, c.result, name)
		assert.DeepEqual(t, v.VerifiedLevels, []string{c.level})
		assert.Assert(t, !slices.ContainsFunc(v.VerifiedLevels, func(l string) bool { return strings.HasPrefix(l, "SLSA_") }))
		assert.Equal(t, len(v.InputAttestations), len(d.Inputs))
	}
	for name, change := range map[string]func(*statement.Decision){
		"go with a blocker":      func(d *statement.Decision) { d.Blockers = []statement.DecisionBlocker{blocker} },
		"go with a waiver":       func(d *statement.Decision) { d.Waivers = []statement.Waiver{waiver()} },
		"go over nothing":        func(d *statement.Decision) { d.Inputs = nil },
		"waivers without one":    func(d *statement.Decision) { d.Verdict = statement.GoWithWaivers },
		"no-go without a reason": func(d *statement.Decision) { d.Verdict = statement.NoGo },
		"unknown verdict":        func(d *statement.Decision) { d.Verdict = "MAYBE" },
		"no verdict":             func(d *statement.Decision) { d.Verdict = "" },
		"input without digest":   func(d *statement.Decision) { d.Inputs[0].Digest = nil },
		"policy without digest":  func(d *statement.Decision) { d.Policy.Digest = nil },
		"no time":                func(d *statement.Decision) { d.EvaluatedAt = time.Time{} },
		"no evaluator":           func(d *statement.Decision) { d.Evaluator.ID = "" },
		"score":                  func(d *statement.Decision) { d.Score = "1e3" },
		"blocker without a reason": func(d *statement.Decision) {
			d.Verdict, d.Blockers = statement.NoGo, []statement.DecisionBlocker{{ID: "a.b"}}
		},
		"waiver that had expired":   waived(func(w *statement.Waiver) { w.Expires = began }),
		"waiver by its own owner":   waived(func(w *statement.Waiver) { w.ApprovedBy = w.Owner }),
		"waiver without a release":  waived(func(w *statement.Waiver) { w.Release = "" }),
		"waiver without an approve": waived(func(w *statement.Waiver) { w.ApprovedBy = "" }),
	} {
		d := decision()
		change(d)
		assert.Equal(t, strict.ReasonOf(d.Validate()), strict.Schema, name)
		_, err := statement.NewVSA(d, "pkg:a/b@1")
		assert.Equal(t, strict.ReasonOf(err), strict.Schema, name)
	}
	for name, change := range map[string]func(*statement.VSA){
		"no verifier":          func(v *statement.VSA) { v.Verifier.ID = "" },
		"no resource":          func(v *statement.VSA) { v.ResourceURI = "" },
		"no policy":            func(v *statement.VSA) { v.Policy.URI = "" },
		"no levels":            func(v *statement.VSA) { v.VerifiedLevels = nil },
		"passed and failed":    func(v *statement.VSA) { v.VerifiedLevels = append(v.VerifiedLevels, "FAILED") },
		"failed with a level":  func(v *statement.VSA) { v.VerificationResult = statement.Failed },
		"result WARNED":        func(v *statement.VSA) { v.VerificationResult = statement.Warned },
		"input without digest": func(v *statement.VSA) { v.InputAttestations[0].Digest = nil },
	} {
		v, err := statement.NewVSA(decision(), "pkg:a/b@1")
		assert.NilError(t, err)
		change(v)
		assert.Equal(t, strict.ReasonOf(v.Validate()), strict.Schema, name)
	}
}

func waived(change func(*statement.Waiver)) func(*statement.Decision) {
	return func(d *statement.Decision) {
		w := waiver()
		change(&w)
		d.Verdict, d.Waivers = statement.GoWithWaivers, []statement.Waiver{w}
	}
}

func TestReleaseAndSBOM(t *testing.T) {
	t.Parallel()
	for purl, ok := range map[string]bool{
		"pkg:golang/github.com/dpone/dpone@v1.2.3": true, "pkg:npm/@angular/http@7.2.16": true, "pkg:oci/my-image@sha256%3Afedc?tag=v1#x": true,
		"": false, "pkg:golang/dpone": false, "pkg:golang/dpone@": false, "pkg:npm/@angular/http": false, "golang/dpone@v1": false,
		"pkg:/dpone@v1": false, "pkg:golang/dpone?x=@v1": false, "pkg:dpone@v1": false, "pkg:a/@1": false,
	} {
		err := (&statement.Release{PURL: purl}).Validate()
		assert.Equal(t, err == nil, ok, "%s: %v", purl, err)
		err = (&statement.ReleaseV01{PURL: purl}).Validate()
		assert.Equal(t, err == nil, ok, "%s: %v", purl, err)
	}
	for name, c := range map[string]struct {
		document string
		reason   strict.Reason
	}{
		"nothing":       {``, strict.EmptyEvidence},
		"a list":        {`[]`, strict.Schema},
		"other format":  {`{"bomFormat":"SPDX","specVersion":"2.3"}`, strict.Schema},
		"no format":     {`{"specVersion":"1.6"}`, strict.Schema},
		"no version":    {`{"bomFormat":"CycloneDX"}`, strict.Schema},
		"duplicate key": {`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"a":1,"a":2}}`, strict.DuplicateKey},
	} {
		_, err := statement.NewCycloneDX([]byte(c.document))
		assert.Equal(t, strict.ReasonOf(err), c.reason, "%s: %v", name, err)
	}
}
