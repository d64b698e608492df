package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
)

func TestVerdictWords(t *testing.T) {
	for v, word := range map[evidence.Verdict]string{
		evidence.Pass: "PASS", evidence.Fail: "FAIL", evidence.Skip: "SKIP", evidence.Unverified: "UNVERIFIED", 99: "UNVERIFIED",
	} {
		raw, err := json.Marshal(v)
		assert.NilError(t, err)
		assert.Equal(t, string(raw), `"`+word+`"`)
	}
	for _, bad := range []string{`"pass"`, `"PASSED"`, `""`, `1`, `true`, `"GO"`} {
		var v evidence.Verdict
		assert.Assert(t, json.Unmarshal([]byte(bad), &v) != nil, bad)
		assert.Equal(t, v, evidence.Unverified, bad)
	}
	var zero evidence.Verdict
	assert.Equal(t, zero, evidence.Unverified)
}

func TestExitCodes(t *testing.T) {
	assert.Equal(t, evidence.Pass.ExitCode(), 0)
	assert.Equal(t, evidence.Fail.ExitCode(), 1)
	assert.Equal(t, evidence.Unverified.ExitCode(), 3)
	assert.Equal(t, evidence.Skip.ExitCode(), 3)
}

// TestJudge goes through every set of verdicts of up to three checks.
func TestJudge(t *testing.T) {
	all := []evidence.Verdict{evidence.Unverified, evidence.Pass, evidence.Fail, evidence.Skip}
	assert.Equal(t, evidence.Judge(nil), evidence.Unverified)
	for _, a := range all {
		for _, b := range all {
			for _, c := range all {
				got := evidence.Judge([]evidence.Check{{Verdict: a}, {Verdict: b}, {Verdict: c}})
				has := func(v evidence.Verdict) bool { return a == v || b == v || c == v }
				want := evidence.Skip
				switch {
				case has(evidence.Fail):
					want = evidence.Fail
				case has(evidence.Unverified):
					want = evidence.Unverified
				case has(evidence.Pass):
					want = evidence.Pass
				}
				assert.Equal(t, got, want, "%v %v %v", a, b, c)
			}
		}
	}
}

func TestStepDerive(t *testing.T) {
	pass, fail := evidence.Expect("c", "s", true, "", "", ""), evidence.Expect("c", "s", false, "", "", "")
	for name, c := range map[string]struct {
		step evidence.Step
		want evidence.Verdict
	}{
		"checks":                   {evidence.Step{Checks: []evidence.Check{pass}}, evidence.Pass},
		"no checks":                {evidence.Step{}, evidence.Unverified},
		"a cause takes PASS away":  {evidence.Step{Checks: []evidence.Check{pass}, Cause: evidence.CauseTimeout}, evidence.Unverified},
		"a cause does not hide":    {evidence.Step{Checks: []evidence.Check{pass, fail}, Cause: evidence.CauseTimeout}, evidence.Fail},
		"left out":                 {evidence.Step{Cause: evidence.CauseLeftOut}, evidence.Skip},
		"an unknown cause":         {evidence.Step{Checks: []evidence.Check{pass}, Cause: "whatever"}, evidence.Unverified},
		"everything skipped":       {evidence.Step{Checks: []evidence.Check{evidence.Skipped("c", "s", "", "r", "")}}, evidence.Skip},
		"something could not tell": {evidence.Step{Checks: []evidence.Check{pass, evidence.CouldNotTell("c", "s", "", "r", "")}}, evidence.Unverified},
	} {
		assert.Equal(t, c.step.Derive(), c.want, name)
	}
	allSkipped := evidence.Stable{Steps: []evidence.Step{{Verdict: evidence.Skip}}}
	assert.Equal(t, allSkipped.Derive(), evidence.Unverified, "a run of nothing proves nothing")
	allSkipped.Steps = append(allSkipped.Steps, evidence.Step{ID: evidence.SourceStep, Verdict: evidence.Pass})
	assert.Equal(t, allSkipped.Derive(), evidence.Unverified, "nor does it prove anything that the source is known")
	allSkipped.Steps[1].Verdict = evidence.Fail
	assert.Equal(t, allSkipped.Derive(), evidence.Fail)
}

// example is a sealed record with something in every part of it.
func example(t *testing.T) *evidence.Record {
	t.Helper()
	at := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	r := &evidence.Record{
		Stable: evidence.Stable{
			Gate:       evidence.Gate{ID: "ci", Doc: "All is well.", Runbook: "docs/runbooks.md#ci"},
			Invocation: evidence.Invocation{Target: "ci", Command: "mage ci -j=2", Options: json.RawMessage(`{"tags":"mage"}`)},
			Source:     evidence.Source{Commit: strings.Repeat("a", 40), Dirty: true, DirtyDigest: "sha256:" + strings.Repeat("b", 64)},
			Environment: evidence.Environment{OS: "linux", Arch: "amd64", Go: "go1.26.8", Tools: []evidence.Tool{
				{Name: "gofumpt", Version: "v0.12.0", SHA256: strings.Repeat("c", 64)},
			}},
			Inputs: []evidence.File{{Path: "go.mod", Size: 12, SHA256: strings.Repeat("d", 64)}},
			Steps: []evidence.Step{
				{
					ID: "ci:format", Doc: "Formatted.", Runbook: "docs/runbooks.md#ci-format", Needs: []string{}, Commands: []string{"gofumpt -l ."}, Reproduce: "mage ci:format",
					Checks: []evidence.Check{evidence.Finding("ci.format", "a/b.go", 3, "not <formatted> & \"so\"", "gofumpt -w a/b.go")},
				},
				{
					ID: "ci:test", Doc: "Tested.", Runbook: "docs/runbooks.md#ci-test", Needs: []string{"ci:format"}, Commands: []string{}, Reproduce: "mage ci:test",
					Checks: []evidence.Check{}, Cause: evidence.CauseBlocked, Reason: "ci:format is FAIL",
				},
			},
			Outputs: []evidence.File{}, Warnings: []string{"dirty"}, Skips: []evidence.Skipping{{Subject: "x", Reason: "y"}},
			Blockers: []evidence.Blocker{{ID: "ci.format", Reason: "not formatted", Runbook: "docs/runbooks.md#ci-format"}},
		},
		Volatile: evidence.Volatile{
			Run: "r", Origin: evidence.Origin{Repository: "https://example.com/x.git", Ref: "refs/heads/master"}, Started: at, Finished: at.Add(time.Second), DurationMS: 1000, Host: evidence.Host{Name: "h", CPUs: 2}, CI: evidence.CI{Provider: "local"},
			SecretNames: []string{"TOKEN"}, Circumstances: []evidence.NameValue{{Name: "SEED", Value: "1"}},
			Steps:        []evidence.StepRun{{ID: "ci:format", Started: at, DurationMS: 10, Fact: "1 file", Log: "logs/ci-format.log"}, {ID: "ci:test"}},
			Measurements: []evidence.Measurement{{Step: "ci:test", Code: "c", Subject: "s", Value: "87.3%"}}, Notes: []string{},
		},
	}
	assert.NilError(t, r.Seal())
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	r := example(t)
	assert.Equal(t, r.Verdict, evidence.Fail)
	raw, err := r.Encode()
	assert.NilError(t, err)
	again, err := evidence.Decode(raw)
	assert.NilError(t, err)
	second, err := again.Encode()
	assert.NilError(t, err)
	assert.Equal(t, string(second), string(raw))
}

// The digest is what the package comment says: SHA-256 over the compact bytes
// of the member "stable", as any JSON tool can cut them out.
func TestStableDigestFromTheFile(t *testing.T) {
	raw, err := example(t).Encode()
	assert.NilError(t, err)
	var parts struct {
		StableDigest string          `json:"stable_digest"`
		Stable       json.RawMessage `json:"stable"`
	}
	assert.NilError(t, json.Unmarshal(raw, &parts))
	var compact bytes.Buffer
	assert.NilError(t, json.Compact(&compact, parts.Stable))
	assert.Equal(t, parts.StableDigest, fmt.Sprintf("sha256:%x", sha256.Sum256(compact.Bytes())))
}

func TestVolatileDoesNotTouchTheDigest(t *testing.T) {
	a, b := example(t), example(t)
	b.Volatile.Run, b.Volatile.DurationMS = "other", 5
	b.Volatile.Host.Name = "elsewhere"
	assert.NilError(t, b.Seal())
	assert.Equal(t, a.StableDigest, b.StableDigest)
	b.Stable.Environment.Go = "go1.26.9"
	assert.NilError(t, b.Seal())
	assert.Assert(t, a.StableDigest != b.StableDigest)
}

// A record that says more than its checks do is refused, and so is one that
// two readers could read differently.
func TestDecodeRefuses(t *testing.T) {
	raw, err := example(t).Encode()
	assert.NilError(t, err)
	text := string(raw)
	for name, bad := range map[string]string{
		"a verdict set by hand":      strings.Replace(text, `"verdict": "FAIL"`, `"verdict": "PASS"`, 1),
		"all verdicts set by hand":   strings.ReplaceAll(text, `"FAIL"`, `"PASS"`),
		"an edited stable fact":      strings.Replace(text, strings.Repeat("a", 40), strings.Repeat("b", 40), 1),
		"another digest":             strings.Replace(text, `"stable_digest": "sha256:`, `"stable_digest": "sha256:0`, 1),
		"an unknown key":             strings.Replace(text, `{`, `{"x": 1,`, 1),
		"a wrongly-cased key":        strings.Replace(text, `"schema"`, `"Schema"`, 1),
		"a key twice":                strings.Replace(text, `"schema"`, `"verdict": "PASS", "schema"`, 1),
		"trailing data":              text + "{}",
		"other white space":          strings.Replace(text, "  ", "\t", 1),
		"another schema":             strings.Replace(text, "record/v1", "record/v2", 1),
		"an unknown verdict":         strings.Replace(text, `"verdict": "UNVERIFIED"`, `"verdict": "GREEN"`, 1),
		"a cause without a reason":   strings.Replace(text, "ci:format is FAIL", "", 1),
		"truncated":                  text[:len(text)/2],
		"empty":                      "",
		"null":                       "null\n",
		"too large":                  strings.Repeat(" ", evidence.MaxRecord+1),
		"deep":                       strings.Repeat("[", 100000),
		"a step twice":               strings.Replace(text, `"id": "ci:test"`, `"id": "ci:format"`, 1),
		"a removed failing step":     strings.Replace(text, `"checks": [`, `"checks": null, "x": [`, 1),
		"an invalid UTF-8 character": strings.Replace(text, "refs/heads/master", "refs/heads/\xff", 1),
	} {
		_, err := evidence.Decode([]byte(bad))
		assert.Assert(t, err != nil, name)
		assert.Assert(t, strings.HasPrefix(err.Error(), "record: "), "%s: %v", name, err)
	}
}

func TestSealRefusesChecksThatHide(t *testing.T) {
	for name, c := range map[string]evidence.Check{
		"no code":           {Subject: "s", Verdict: evidence.Pass},
		"no subject":        {Code: "c", Verdict: evidence.Pass},
		"skip, no reason":   {Code: "c", Subject: "s", Verdict: evidence.Skip},
		"unverified, empty": {Code: "c", Subject: "s"},
		"negative line":     {Code: "c", Subject: "s", Verdict: evidence.Pass, Line: -1},
	} {
		r := example(t)
		r.Stable.Steps[0].Checks = []evidence.Check{c}
		assert.Assert(t, r.Seal() != nil, name)
	}
}

func FuzzDecode(f *testing.F) {
	t := &testing.T{}
	raw, err := example(t).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"schema":"x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := evidence.Decode(raw)
		if err != nil {
			return
		}
		// What is accepted is canonical and says no more than its checks.
		again, err := r.Encode()
		assert.NilError(t, err)
		assert.Equal(t, string(again), string(raw))
		assert.Equal(t, r.Verdict, r.Stable.Derive())
	})
}
