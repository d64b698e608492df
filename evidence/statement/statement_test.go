package statement_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

func hex(digit string, n int) string { return strings.Repeat(digit, n) }

var (
	artifact = statement.Artifact(evidence.File{Path: "dpone-gates", Size: 3, SHA256: hex("1", 64)})
	magefile = statement.ResourceDescriptor{
		URI: "git+https://github.com/dpone/dpone@refs/heads/main#magefiles", Digest: statement.DigestSet{"dirHash1": hex("2", 64)},
	}
	about = statement.About{Artifacts: []statement.ResourceDescriptor{artifact}, Configuration: magefile}
	began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
)

// record is a sealed record of the steps, changed by change before sealing.
func record(t testing.TB, change func(*evidence.Record), steps ...evidence.Step) *evidence.Record {
	t.Helper()
	r := &evidence.Record{
		Stable: evidence.Stable{
			Gate:        evidence.Gate{ID: "ci:lint", Doc: "d", Runbook: "r"},
			Invocation:  evidence.Invocation{Target: "ci:lint", Command: "mage ci:lint", Options: json.RawMessage(`{}`)},
			Source:      evidence.Source{Commit: hex("a", 40)},
			Environment: evidence.Environment{OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{}},
			Inputs:      []evidence.File{{Path: "go.mod", Size: 1, SHA256: hex("3", 64)}},
			Steps:       append([]evidence.Step{step("source", evidence.Expect("source.commit", "HEAD", true, "a", "b", ""))}, steps...),
		},
		Volatile: evidence.Volatile{
			Run: "r1", Started: began, Finished: began.Add(time.Minute), DurationMS: 60_000,
			Origin: evidence.Origin{Repository: "https://github.com/dpone/dpone", Ref: "refs/heads/main"},
			CI:     evidence.CI{Provider: "github-actions", Workflow: "ci", Event: "push", RunID: "7", Attempt: "2", URL: "https://github.com/dpone/dpone/actions/runs/7"},
			Steps:  []evidence.StepRun{{ID: "ci:lint", DurationMS: 59_000, Log: "logs/ci-lint.log"}},
		},
	}
	if change != nil {
		change(r)
	}
	assert.NilError(t, r.Seal())
	return r
}

func step(id string, checks ...evidence.Check) evidence.Step {
	return evidence.Step{ID: id, Checks: checks}
}

func passed(subject string) evidence.Check {
	return evidence.Expect("ci.lint", subject, true, "0", "0", "")
}

func failed(subject string) evidence.Check {
	return evidence.Expect("ci.lint", subject, false, "1", "0", "fix it")
}

func skipped(subject string) evidence.Check {
	return evidence.Skipped("ci.lint", subject, "0", "not here", "")
}

func lint(checks ...evidence.Check) evidence.Step { return step("ci:lint", checks...) }

// The example of the package comment is what the package writes.
func TestExample(t *testing.T) {
	t.Parallel()
	s, err := statement.GateResult(record(t, nil, lint(passed("./..."))), about)
	assert.NilError(t, err)
	raw, err := s.Encode()
	assert.NilError(t, err)
	assert.Equal(t, string(raw), example(t, "doc.go"))
}

// example is the first JSON document in the package comment, compact.
func example(t testing.TB, file string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	assert.NilError(t, err)
	var block strings.Builder
	for line := range strings.Lines(string(source)) {
		text, indented := strings.CutPrefix(line, "//\t")
		switch {
		case indented && (block.Len() > 0 || strings.HasPrefix(text, "{")):
			block.WriteString(text)
		case block.Len() > 0:
			var compact bytes.Buffer
			assert.NilError(t, json.Compact(&compact, []byte(block.String())))
			return compact.String()
		}
	}
	t.Fatal("no example")
	return ""
}

// every is a statement of each predicate type.
func every(t testing.TB) map[string]*statement.Statement {
	t.Helper()
	all := map[string]*statement.Statement{}
	add := func(s *statement.Statement, err error) {
		t.Helper()
		assert.NilError(t, err)
		all[s.PredicateType] = s
	}
	subjects := []statement.ResourceDescriptor{artifact}
	green := record(t, nil, lint(passed("./...")))
	add(statement.GateResult(green, about))
	add(statement.GateStatement(green, detail()))
	provenance, err := statement.NewProvenance(build())
	assert.NilError(t, err)
	add(statement.New(subjects, provenance))
	add(statement.New(subjects, decision()))
	summary, err := statement.NewVSA(decision(), "pkg:golang/github.com/dpone/dpone@v1.2.3")
	assert.NilError(t, err)
	add(statement.New(subjects, summary))
	add(statement.New(subjects, &statement.Release{PURL: "pkg:golang/github.com/dpone/dpone@v1.2.3"}))
	add(statement.New(subjects, &statement.ReleaseV01{PURL: "pkg:golang/github.com/dpone/dpone@v1.2.3", ReleaseID: "1"}))
	bom, err := statement.NewCycloneDX([]byte(`{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [{"name": "<x> & y"}]}`))
	assert.NilError(t, err)
	add(statement.New(subjects, bom))
	assert.Equal(t, len(all), len(statement.PredicateTypes()))
	return all
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for uri, s := range every(t) {
		t.Run(uri, func(t *testing.T) {
			t.Parallel()
			raw, err := s.Encode()
			assert.NilError(t, err)
			assert.Assert(t, !bytes.Contains(raw, []byte("\n")) && !bytes.Contains(raw, []byte(`\u003c`)), "%s", raw)
			again, err := statement.Decode(raw)
			assert.NilError(t, err)
			assert.DeepEqual(t, again, s)
			twice, err := again.Encode()
			assert.NilError(t, err)
			assert.Equal(t, string(twice), string(raw))
			assert.Assert(t, !bytes.Contains(raw, []byte(":null")), "%s", raw)
		})
	}
}

func TestAs(t *testing.T) {
	t.Parallel()
	all := every(t)
	got, err := statement.As[statement.TestResult](all[statement.TestResultType])
	assert.NilError(t, err)
	assert.Equal(t, got.Configuration[0].Name, "ci:lint")
	_, err = statement.As[statement.VSA](all[statement.TestResultType])
	assert.Equal(t, strict.ReasonOf(err), strict.Schema)
	bom, err := statement.As[statement.CycloneDX](all[statement.CycloneDXType])
	assert.NilError(t, err)
	assert.Assert(t, bytes.HasPrefix(bom.Document(), []byte(`{"bomFormat":"CycloneDX"`)))
	d, err := statement.As[statement.Decision](all[statement.DecisionType])
	assert.NilError(t, err)
	assert.Assert(t, d.EvaluatedAt.Equal(began))
}

// TestDecodeRefuses changes one thing of a good statement.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := example(t, "doc.go")
	_, err := statement.Decode([]byte(good))
	assert.NilError(t, err)
	var many, digests strings.Builder
	for i := range 1025 {
		fmt.Fprintf(&many, `{"name":"s%d","digest":{"sha256":%q}},`, i, hex("1", 64))
	}
	for i := range 33 {
		fmt.Fprintf(&digests, `,"x%d":"00"`, i)
	}
	subject := `{"name":"dpone-gates","digest":{"sha256":"` + hex("1", 64) + `"}}`
	for name, c := range map[string]struct {
		old, new string
		reason   strict.Reason
	}{
		"duplicate predicateType":      {`"predicateType":`, `"predicateType":"x","predicateType":`, strict.DuplicateKey},
		"unknown member":               {`"_type":`, `"extra":1,"_type":`, strict.UnknownKey},
		"other case":                   {`"predicateType":`, `"PredicateType":`, strict.UnknownKey},
		"unknown member of subject":    {`{"name":"dpone-gates"`, `{"extra":1,"name":"dpone-gates"`, strict.UnknownKey},
		"unknown member of predicate":  {`"result":`, `"extra":1,"result":`, strict.UnknownKey},
		"duplicate in predicate":       {`"result":"PASSED"`, `"result":"FAILED","result":"PASSED"`, strict.DuplicateKey},
		"other type":                   {`Statement/v1`, `Statement/v2`, strict.Schema},
		"v0.1 without the option":      {`Statement/v1`, `Statement/v0.1`, strict.Schema},
		"unknown predicate type":       {`test-result/v0.1`, `test-result/v0.2`, strict.Schema},
		"predicate of another type":    {`https://in-toto.io/attestation/test-result/v0.1`, statement.VSAType, strict.UnknownKey},
		"no subject":                   {subject + `,{"name":"source","digest":{"gitCommit":"` + hex("a", 40) + `"}}`, ``, strict.Schema},
		"no digest":                    {`,"digest":{"gitCommit":"` + hex("a", 40) + `"}`, `,"uri":"x"`, strict.Schema},
		"empty digest":                 {hex("a", 40), ``, strict.Schema},
		"upper-case hex":               {hex("a", 40), hex("A", 40), strict.Schema},
		"short digest":                 {hex("1", 64), hex("1", 62), strict.Schema},
		"odd digest":                   {`"sha256":"` + hex("1", 64), `"own":"111`, strict.Schema},
		"no hex":                       {hex("1", 64), hex("g", 64), strict.Schema},
		"same name twice":              {`"name":"source"`, `"name":"dpone-gates"`, strict.Schema},
		"control character in a name":  {`"dpone-gates"`, `"dpone\u001b[2J"`, strict.Schema},
		"too many subjects":            {subject, many.String() + subject, strict.LimitExceeded},
		"too many digests":             {hex("1", 64) + `"`, hex("1", 64) + `"` + digests.String(), strict.LimitExceeded},
		"long name":                    {`"dpone-gates"`, `"` + hex("x", 5000) + `"`, strict.LimitExceeded},
		"content is not base64":        {`{"name":"dpone-gates",`, `{"name":"dpone-gates","content":"a",`, strict.Schema},
		"deep annotations":             {`{"name":"dpone-gates",`, `{"name":"dpone-gates","annotations":{"a":` + hex("[", 70) + hex("]", 70) + `},`, strict.LimitExceeded},
		"empty configuration":          {good[strings.Index(good, `"configuration":[`)+17 : strings.Index(good, `],"url"`)], ``, strict.Schema},
		"configuration without a name": {`"name":"ci:lint",`, ``, strict.Schema},
		"result outside the enum":      {`"PASSED"`, `"SKIPPED"`, strict.Schema},
		"contradicting lists":          {`"passedTests"`, `"failedTests"`, strict.Schema},
		"empty test name":              {`["ci:lint"]`, `[""]`, strict.Schema},
		"predicate is no object":       {good[strings.Index(good, `"predicate":`)+12:], `[]}`, strict.Schema},
		"number for text":              {`"PASSED"`, `1`, strict.Schema},
		"null":                         {`"PASSED"`, `null`, strict.Schema},
		"truncated":                    {good[len(good)/2:], ``, strict.Malformed},
		"trailing data":                {good, good + good, strict.Malformed},
		"nothing":                      {good, ``, strict.EmptyEvidence},
		"huge":                         {`"dpone-gates"`, `"` + hex("x", 8<<20) + `"`, strict.LimitExceeded},
		"nested":                       {good, hex("[", 1<<20), strict.Schema},
		"nested predicate":             {good[strings.Index(good, `"predicate":`)+12:], `{"a":` + hex("[", 1<<20), strict.LimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := strings.Replace(good, c.old, c.new, 1)
			assert.Assert(t, bad != good)
			_, err := statement.Decode([]byte(bad))
			assert.Equal(t, strict.ReasonOf(err), c.reason, "%v", err)
		})
	}
}

func TestDecodeOptions(t *testing.T) {
	t.Parallel()
	good := example(t, "doc.go")
	old, err := statement.Decode([]byte(strings.Replace(good, "Statement/v1", "Statement/v0.1", 1)), statement.AllowV01())
	assert.NilError(t, err)
	_, err = old.Encode()
	assert.Equal(t, strict.ReasonOf(err), strict.Schema, "v0.1 is never written")

	foreign := []byte(strings.Replace(good, "test-result/v0.1", "other/v1", 1))
	for name, opts := range map[string][]statement.Option{
		"named": {statement.AllowPredicateTypes("https://in-toto.io/attestation/other/v1")}, "any": {statement.AnyPredicateType()},
	} {
		s, err := statement.Decode(foreign, opts...)
		assert.NilError(t, err, name)
		again, err := s.Encode(opts...)
		assert.NilError(t, err, name)
		assert.Equal(t, string(again), string(foreign))
	}
	_, err = statement.Decode(foreign, statement.AllowPredicateTypes("https://in-toto.io/attestation/another/v1"))
	assert.Equal(t, strict.ReasonOf(err), strict.Schema)
	// A known predicate is read strictly whatever is allowed.
	_, err = statement.Decode([]byte(strings.Replace(good, `"PASSED"`, `"OK"`, 1)), statement.AnyPredicateType())
	assert.Equal(t, strict.ReasonOf(err), strict.Schema)
}

// Text that is not UTF-8 would be replaced silently, so it is not written.
func TestBrokenTextIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id string
		ok bool
	}{
		"broken": {"a\xff", false}, "replacement character": {"a\ufffd", true}, "looks like the escape": {`a\ufffd`, true}, "both": {"\\ufffd\xff", false},
	} {
		d := decision()
		d.Blockers = []statement.DecisionBlocker{{ID: "a.b", Reason: "missing", Detail: c.id}}
		d.Verdict = statement.NoGo
		_, err := statement.New([]statement.ResourceDescriptor{artifact}, d)
		assert.Equal(t, err == nil, c.ok, "%s: %v", name, err)
	}
	_, err := statement.New([]statement.ResourceDescriptor{{Name: "a\xff", Digest: artifact.Digest}}, &statement.Release{PURL: "pkg:a/b@1"})
	assert.Equal(t, strict.ReasonOf(err), strict.Schema)
}

// Whatever is accepted is valid, is written the same again, and says the same.
func FuzzDecode(f *testing.F) {
	for _, s := range every(f) {
		raw, err := s.Encode()
		assert.NilError(f, err)
		f.Add(raw)
	}
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"md5":""}}],"predicateType":"x","predicate":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := statement.Decode(raw, statement.AnyPredicateType())
		if err != nil {
			assert.Assert(t, strict.ReasonOf(err) != "", "%v", err)
			return
		}
		again, err := s.Encode(statement.AnyPredicateType())
		assert.NilError(t, err)
		same, err := statement.Decode(again, statement.AnyPredicateType())
		assert.NilError(t, err)
		twice, err := same.Encode(statement.AnyPredicateType())
		assert.NilError(t, err)
		assert.Equal(t, string(twice), string(again))
	})
}
