package result_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/result"
)

// scene is a report with what it was made of.
type scene struct {
	selected []string
	results  []result.Case
	verdict  evidence.Verdict
	partial  bool
	codes    []string
}

func scenes() map[string]scene {
	list := registry()
	everything := ids(list)
	greens := func() []result.Case { return all(list, green) }
	with := func(i int, of func(cases.Case) result.Case) []result.Case {
		results := greens()
		results[i] = of(list[i])
		return results
	}
	foreign := greens()
	foreign[2].Fixture.Seed = 8
	invalid := greens()
	invalid[2].Actual.Digest = "sha256:other"
	reused := greens()
	for i := range reused {
		reused[i].Build = build
		if i%2 == 0 {
			reused[i] = result.TakeOver(reused[i], "20261121T060000Z-ffffffff")
		}
	}
	mixed := with(1, red)
	mixed[2], mixed[3] = unverified(list[2]), skipped(list[3])
	return map[string]scene{
		"green":      {everything, greens(), evidence.Pass, false, nil},
		"reused":     {everything, reused, evidence.Pass, false, nil},
		"red":        {everything, with(1, red), evidence.Fail, false, []string{result.CaseFailed}},
		"unverified": {everything, with(1, unverified), evidence.Unverified, true, []string{result.CaseUnverified}},
		"skipped":    {everything, with(1, skipped), evidence.Pass, true, nil},
		"partial":    {everything[:4], greens()[:4], evidence.Pass, true, nil},
		"missing":    {everything, greens()[:10], evidence.Unverified, true, []string{result.CaseMissing, result.CaseMissing}},
		"orphan":     {everything[:11], greens(), evidence.Fail, true, []string{result.CaseOrphan}},
		"doubled":    {everything, append(greens(), red(list[5])), evidence.Fail, true, []string{result.CaseDoubled, result.CaseFailed}},
		"foreign":    {everything, foreign, evidence.Fail, true, []string{result.CaseForeign, result.CaseUnverified}},
		"invalid":    {everything, invalid, evidence.Fail, true, []string{result.CaseInvalid, result.CaseUnverified}},
		"empty":      {nil, nil, evidence.Unverified, true, []string{result.SelectionEmpty}},
		"all_skip":   {everything, all(list, skipped), evidence.Unverified, true, []string{result.NothingExecuted}},
		"unknown":    {append(slices.Clone(everything), "mysql_to_file__scd2"), greens(), evidence.Fail, true, []string{result.SelectionUnknown, result.CaseMissing}},
		"mixed": {
			everything[:11], append(mixed[:10:10], green(list[11])), evidence.Fail, true,
			[]string{result.CaseFailed, result.CaseOrphan, result.CaseUnverified, result.CaseMissing},
		},
	}
}

func (s scene) report() result.Report {
	return result.NewReport(meta, registry(), s.selected, s.results)
}

func TestReports(t *testing.T) {
	t.Parallel()
	for name, s := range scenes() {
		r := s.report()
		assert.Check(t, r.Verdict == s.verdict && r.EvidenceStatus == s.verdict && r.Passed == (s.verdict == evidence.Pass), "%s: %s", name, r.Verdict)
		assert.Check(t, r.Partial == s.partial, name)
		var codes []string
		for _, b := range r.Blockers {
			codes = append(codes, b.Code)
			assert.Check(t, !b.Red() || r.Verdict == evidence.Fail, "%s: %s", name, b.Code)
			assert.Check(t, b.Subject != "" && b.Message != "" && strings.HasPrefix(b.Runbook, "docs/runbooks.md#matrix-"), "%s: %+v", name, b)
		}
		assert.Check(t, slices.Equal(codes, s.codes), "%s: %v", name, codes)
		assert.Equal(t, r.Selected, r.Totals.Passed+r.Failed+r.Skipped+r.Unverified+r.Missing, name)

		raw, err := r.Encode()
		assert.NilError(t, err)
		back, err := result.ReadReport(raw)
		assert.NilError(t, err, name)
		assert.DeepEqual(t, back, r)
		assert.Equal(t, back.Markdown(), r.Markdown())
	}
}

func TestReportsGolden(t *testing.T) {
	t.Parallel()
	all := scenes()
	for _, name := range []string{"green", "red", "unverified", "partial", "mixed", "empty", "reused"} {
		to := folder{}
		r := all[name].report()
		assert.NilError(t, r.Write(to))
		assert.Equal(t, len(to), 3)
		golden.AssertBytes(t, to[result.ReportMD], "report_"+name+".md")
		golden.AssertBytes(t, to[result.ReportJSON], "report_"+name+".json")
		golden.AssertBytes(t, to[result.CoverageJSON], "coverage_"+name+".json")
		golden.Assert(t, r.Fact()+"\n"+r.Summary(), "summary_"+name+".txt")
	}
}

// TestOriginalFieldsOfTheReport holds that both of the original's reports could be read from ours.
func TestOriginalFieldsOfTheReport(t *testing.T) {
	t.Parallel()
	r := scenes()["red"].report()
	raw, err := r.Encode()
	assert.NilError(t, err)
	var doc struct {
		All     map[string]any   `json:"-"`
		Results []map[string]any `json:"results"`
	}
	assert.NilError(t, json.Unmarshal(raw, &doc))
	assert.NilError(t, json.Unmarshal(raw, &doc.All))
	for _, field := range strings.Fields("profile case_count passed evidence_status results total_cases passed_cases failed_cases blockers") {
		assert.Check(t, doc.All[field] != nil, field)
	}
	for _, field := range strings.Fields("case_id source sink strategy passed artifact_path expected_row_count actual_row_count expected_checksum actual_checksum quality_checks") {
		assert.Check(t, doc.Results[0][field] != nil, field)
	}
	assert.Equal(t, doc.All["passed"], false)
	assert.Equal(t, doc.All["evidence_status"], "FAIL")
}

// TestOrderMakesNoDifference holds that a report is a function of sets.
func TestOrderMakesNoDifference(t *testing.T) {
	t.Parallel()
	for name, s := range scenes() {
		want := s.report()
		random := rand.New(rand.NewPCG(1, uint64(len(name))))
		for range 5 {
			random.Shuffle(len(s.results), func(i, j int) { s.results[i], s.results[j] = s.results[j], s.results[i] })
			s.selected = slices.Clone(s.selected)
			random.Shuffle(len(s.selected), func(i, j int) { s.selected[i], s.selected[j] = s.selected[j], s.selected[i] })
			got := s.report()
			assert.DeepEqual(t, got, want)
		}
	}
}

// TestVerdictProperties draws runs at random: one red case makes a report red, and without
// the result of a selected case it is never PASS. PASS needs that nothing is against it.
func TestVerdictProperties(t *testing.T) {
	t.Parallel()
	list := registry()
	random := rand.New(rand.NewPCG(7, 11))
	seen := map[evidence.Verdict]int{}
	for range 400 {
		var selected []string
		var results []result.Case
		reds, missing, passed, clean := 0, 0, 0, true
		orphan := func(c cases.Case) bool { return !slices.Contains(selected, c.ID) }
		odds := random.IntN(30) + 1
		for _, c := range list {
			if random.IntN(4) > 0 {
				selected = append(selected, c.ID)
			} else if random.IntN(odds) != 0 {
				continue // neither selected nor carried out
			}
			switch random.IntN(odds + 6) {
			case 0:
				results = append(results, red(c))
				reds++
			case 1:
				results = append(results, unverified(c))
				clean = false
			case 2:
				if !orphan(c) {
					missing++
				}
				continue
			case 3:
				results = append(results, skipped(c))
			case 4:
				other := green(c)
				other.Build = build
				other.Build.Commit = "another"
				results = append(results, other)
				clean = false
			case 5:
				results = append(results, green(c), green(c))
				clean = false
			default:
				results = append(results, green(c))
				passed++
			}
			clean = clean && !orphan(c)
		}
		r := result.NewReport(meta, list, selected, results)
		seen[r.Verdict]++
		if reds > 0 {
			assert.Equal(t, r.Verdict, evidence.Fail)
		}
		if missing > 0 || !clean || passed == 0 || len(selected) == 0 {
			assert.Assert(t, r.Verdict != evidence.Pass)
			assert.Assert(t, len(r.Blockers) > 0)
		} else if reds == 0 {
			assert.Equal(t, r.Verdict, evidence.Pass)
			assert.Equal(t, len(r.Blockers), 0)
		}
		if r.Executed != len(list) {
			assert.Assert(t, r.Partial)
		}
		raw, err := r.Encode()
		assert.NilError(t, err)
		_, err = result.ReadReport(raw)
		assert.NilError(t, err)
	}
	for _, v := range []evidence.Verdict{evidence.Pass, evidence.Fail, evidence.Unverified} {
		assert.Assert(t, seen[v] > 10, "%s was drawn %d times", v, seen[v])
	}
}

// TestCounts holds what the tables count.
func TestCounts(t *testing.T) {
	t.Parallel()
	r := scenes()["mixed"].report()
	assert.DeepEqual(t, r.Totals, result.Totals{Registered: 12, Selected: 11, Cases: 11, Executed: 8, Passed: 7, Failed: 1, Skipped: 1, Unverified: 1, Missing: 1})
	assert.DeepEqual(t, r.Pairs[0], result.Tally{Name: "postgres_to_sqlite", Cases: 3, Passed: 1, Failed: 1, Unverified: 1})
	assert.DeepEqual(t, r.Strategies[0], result.Tally{Name: "full_refresh", Cases: 4, Passed: 3, Skipped: 1})
	assert.DeepEqual(t, r.Coverage.Orphans, []string{"sqlite_to_file__scd2"})
	assert.DeepEqual(t, r.Coverage.NotSelected, []string{"sqlite_to_file__scd2"})
	assert.DeepEqual(t, r.Coverage.NotExecuted, []string{
		"postgres_to_sqlite__scd2", "postgres_to_file__full_refresh", "sqlite_to_file__incremental_merge",
	})
	assert.Equal(t, r.Volatile.Slowest[0].CaseID, "postgres_to_sqlite__incremental_merge")
	assert.Equal(t, len(r.Volatile.Cases), 10)
	for _, u := range r.Systems {
		assert.Assert(t, u.AsSource+u.AsSink > 0)
		assert.Assert(t, u.System != "", "a case that talked to nothing was counted")
	}
}

// TestOnlyDurationsDiffer holds that two runs of the same differ in their own sections only.
func TestOnlyDurationsDiffer(t *testing.T) {
	t.Parallel()
	list := registry()
	again := all(list, green)
	for i := range again {
		again[i].Durations.Total *= float64(i + 2)
		again[i].StartedAt = again[i].StartedAt.Add(1)
	}
	m := meta
	m.Run, m.Finished, m.Jobs = "another", m.Finished.Add(1000000000), 8
	stable := func(m result.Meta, results []result.Case) (string, string) {
		r := result.NewReport(m, list, ids(list), results)
		raw, err := r.Encode()
		assert.NilError(t, err)
		json, _, found := strings.Cut(string(raw), `"volatile"`)
		assert.Assert(t, found)
		page, _, found := strings.Cut(r.Markdown(), "## This run")
		assert.Assert(t, found)
		return json, page
	}
	json, page := stable(meta, all(list, green))
	otherJSON, otherPage := stable(m, again)
	assert.Equal(t, json, otherJSON)
	assert.Equal(t, page, otherPage)
	again[0].Systems.Source.Version = "3.54"
	otherJSON, otherPage = stable(m, again)
	assert.Assert(t, json != otherJSON && page != otherPage)
}

// TestDoubledTakesTheWorst holds that a second result cannot make a red case green.
func TestDoubledTakesTheWorst(t *testing.T) {
	t.Parallel()
	list := registry()
	for _, results := range [][]result.Case{{red(list[0]), green(list[0])}, {green(list[0]), red(list[0])}} {
		r := result.NewReport(meta, list, ids(list)[:1], results)
		assert.Equal(t, r.Results[0].Verdict, evidence.Fail)
	}
}

// TestHugeAndBrokenResults holds that a report can be written whatever the results hold.
func TestHugeAndBrokenResults(t *testing.T) {
	t.Parallel()
	list := registry()
	bad := red(list[0])
	bad.Durations.Total, bad.Checks[0].Observed = math.NaN(), strings.Repeat("x", 1<<20)
	bad.Differences = make([]compare.Difference, 1000)
	r := result.NewReport(meta, list, ids(list), append(all(list[1:], green), bad, bad))
	assert.Equal(t, r.Verdict, evidence.Fail)
	to := folder{}
	assert.NilError(t, r.Write(to))
	assert.Assert(t, len(to[result.ReportJSON]) < 100_000)
	_, err := result.ReadReport(to[result.ReportJSON])
	assert.NilError(t, err)
	full := errors.New("no space left")
	assert.ErrorIs(t, r.Write(fullDisk{full}), full)
}

func TestReadReportRefuses(t *testing.T) {
	t.Parallel()
	read := func(name string) []byte {
		r := scenes()[name].report()
		raw, err := r.Encode()
		assert.NilError(t, err)
		return raw
	}
	pass, fail, missing := read("green"), read("red"), read("missing")
	for name, tc := range map[string]struct {
		raw      []byte
		old, new string
		want     string
	}{
		"not json":           {[]byte("PASS"), "", "", "invalid character"},
		"too large":          {bytes.Repeat([]byte(" "), result.MaxReport+1), "", "", "more than the limit"},
		"schema":             {pass, "report/v1", "report/v9", "schema"},
		"verdict":            {fail, `"verdict": "FAIL",` + "\n", `"verdict": "PASS",` + "\n", "verdict PASS does not follow from its cases, which say FAIL"},
		"verdict of missing": {missing, `"verdict": "UNVERIFIED",` + "\n", `"verdict": "PASS",` + "\n", "does not follow"},
		"passed":             {fail, `"passed": false`, `"passed": true`, "is not what its writer writes"},
		"status":             {fail, `"evidence_status": "FAIL"`, `"evidence_status": "PASS"`, "is not what its writer writes"},
		"partial":            {missing, `"partial": true`, `"partial": false`, "is not what its writer writes"},
		"profile":            {pass, `"profile": "mock_contract"`, `"profile": "real"`, "profile"},
		"totals":             {fail, `"failed_cases": 1`, `"failed_cases": 0`, "is not what its writer writes"},
		"blocker removed":    {fail, `"blockers": [` + "\n" + `    {"code": "matrix.case_failed"`, `"blockers": [` + "\n" + `    {"code": "matrix.case_fine"`, "is not what its writer writes"},
		"case made green":    {fail, `"strategy": "incremental_merge", "verdict": "FAIL", "passed": false`, `"strategy": "incremental_merge", "verdict": "PASS", "passed": true`, "which is not what its failing checks say"},
		"case made red":      {pass, `"strategy": "scd2", "verdict": "PASS"`, `"strategy": "scd2", "verdict": "FAIL"`, "which is not what its failing checks say"},
		"check made green":   {fail, `"verdict": "FAIL", "observed": "99"`, `"verdict": "PASS", "observed": "99"`, "is not what its writer writes"},
		"missing made green": {missing, `"verdict": "UNVERIFIED", "passed": false, "missing": true`, `"verdict": "PASS", "passed": true, "missing": true`, "it is missing and has a verdict"},
		"digest":             {pass, `"actual_checksum": "sha256:0f`, `"actual_checksum": "sha256:0e`, "its rows are not the expected ones"},
		"selection":          {pass, `"selected": ["postgres_to_sqlite__full_refresh", `, `"selected": [`, "not those of the selected cases"},
		"unknown key":        {pass, `"partial": false`, `"partial": false, "note": ""`, "unknown field"},
		"data behind":        {append(bytes.Clone(pass), '{'), "", "", "data behind"},
	} {
		raw := tc.raw
		if tc.old != "" {
			assert.Assert(t, bytes.Contains(raw, []byte(tc.old)), "%s: %q is not in the report", name, tc.old)
			raw = bytes.Replace(raw, []byte(tc.old), []byte(tc.new), 1)
		}
		if name == "check made green" { // it is the second one that keeps the case red
			tc.want = "is not"
		}
		_, err := result.ReadReport(raw)
		assert.Check(t, err != nil && strings.Contains(err.Error(), tc.want), "%s: %v", name, err)
	}
}

// TestMarkdownCarriesNoMarkup holds that no text of a result becomes markup of the page.
func TestMarkdownCarriesNoMarkup(t *testing.T) {
	t.Parallel()
	evil := "x`y``z\n# heading\n| a | b |\n<img src=x onerror=alert(1)> [l](javascript:x) ![i](//h/i.png) @someone https://h.example www.h.example **b** \x1b[31m \u202e \xff"
	list := registry()
	bad := red(list[0])
	bad.Problem = evil
	bad.Checks[0].Observed, bad.Checks[0].Expected, bad.Checks[0].Why = evil, "`"+evil+"`", evil
	bad.Differences[1] = compare.Difference{Key: evil, Kind: "changed", Column: evil, Expected: evil, Actual: evil}
	bad.Systems.Source.System, bad.Systems.Source.Version, bad.Systems.Sink.StandIn = evil, evil, evil
	skip := skipped(list[1])
	skip.SkipReason = evil
	orphan := green(list[2])
	orphan.ID = evil
	m := meta
	m.Run, m.Engine, m.Connectors = evil, evil, evil
	r := result.NewReport(m, list, append(ids(list)[:2], evil), []result.Case{bad, skip, orphan})
	page := r.Markdown()
	golden.Assert(t, page, "hostile.md")
	for _, c := range page {
		assert.Assert(t, c == '\n' || c >= ' ' && c != 0x202e && c != 0xfffd, "%q", c)
	}
	outside := 0
	for line := range strings.SplitSeq(page, "\n") {
		assert.Check(t, !strings.HasPrefix(line, "# heading") && !strings.HasPrefix(line, "| a"), line)
		rest := withoutCode(line)
		outside += len(rest)
		for _, markup := range []string{"<img", "[l]", "![i]", "@someone", "https://", "www.h", "**b**", "| a |"} {
			assert.Check(t, !strings.Contains(rest, markup), "%s in %s", markup, line)
		}
	}
	assert.Assert(t, outside > 1000)
	for line := range strings.SplitSeq(r.Summary(), "\n") {
		assert.Check(t, !strings.ContainsAny(line, "\x1b\u202e"), line)
	}
}

// withoutCode takes the code spans out of a line, as CommonMark finds them: a run of
// backticks up to the next run of the same length, and none after a backslash.
func withoutCode(line string) string {
	var rest strings.Builder
	for i := 0; i < len(line); {
		if line[i] == '\\' && i+1 < len(line) {
			rest.WriteString(line[i : i+2])
			i += 2
			continue
		}
		if line[i] != '`' {
			rest.WriteByte(line[i])
			i++
			continue
		}
		n := 0
		for i+n < len(line) && line[i+n] == '`' {
			n++
		}
		end := -1
		for j := i + n; j < len(line); {
			k := 0
			for j+k < len(line) && line[j+k] == '`' {
				k++
			}
			if k == n {
				end = j + k
				break
			}
			j += max(k, 1)
		}
		if end < 0 {
			rest.WriteString(line[i : i+n])
			i += n
			continue
		}
		i = end
	}
	return rest.String()
}

func TestReproduce(t *testing.T) {
	t.Parallel()
	id := meta.Identity
	assert.Equal(t, result.Reproduce("a_to_b__scd2", id), "mage matrix:mockContract -caseID=a_to_b__scd2 -rows=100 -seed=7")
	id.Mode, id.Changed, id.Deleted = cases.RealLocal, 0.3, 0
	assert.Equal(t, result.Reproduce("a_to_b__scd2", id), "mage matrix:realLocal -caseID=a_to_b__scd2 -rows=100 -seed=7 -changed=0.3 -deleted=0")
	id.Rows = 0
	assert.Equal(t, result.Reproduce("a_to_b__scd2", id), "mage matrix:realLocal -caseID=a_to_b__scd2")
}

func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	var list []cases.Case
	for i := range 300 {
		list = append(list, one("s"+strings.Repeat("x", i%40)+string(rune('a'+i/40)), "file", "scd2"))
	}
	r := result.NewReport(meta, list, ids(list), all(list, red))
	page := r.Markdown()
	assert.Equal(t, strings.Count(page, "\nReproduce: "), 50)
	assert.Assert(t, strings.Contains(page, "And 250 more in certification_report.json."))
	assert.Assert(t, len(page) < 1<<20)
	assert.Assert(t, strings.Contains(r.Summary(), "and 290 more in certification_report.md"))
}

func FuzzReadReport(f *testing.F) {
	for _, name := range []string{"green", "mixed", "empty"} {
		r := scenes()[name].report()
		raw, err := r.Encode()
		assert.NilError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := result.ReadReport(raw)
		if err != nil {
			return
		}
		again, err := r.Encode()
		assert.NilError(t, err)
		assert.Equal(t, string(again), string(raw))
		for i := range r.Results {
			if r.Results[i].Verdict != evidence.Pass && r.Results[i].Verdict != evidence.Skip {
				assert.Assert(t, r.Verdict != evidence.Pass)
			}
		}
		assert.Assert(t, r.Markdown() != "" && r.Fact() != "")
		_ = r.Summary()
	})
}
