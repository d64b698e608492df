package result

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/system"
)

// ReportSchema and CoverageSchema are the formats of the report and of its coverage; a
// reader refuses any other.
const (
	ReportSchema   = "https://github.com/dpone/dpone/gates/matrix/report/v1"
	CoverageSchema = "https://github.com/dpone/dpone/gates/matrix/coverage/v1"
)

// Names of the files of a report in a run folder.
const (
	ReportJSON   = "certification_report.json"
	ReportMD     = "certification_report.md"
	CoverageJSON = "coverage.json"
)

// MaxReport is the largest report that ReadReport reads, in bytes.
const MaxReport = 64 << 20

// maxSlowest is the number of cases that a report calls slow.
const maxSlowest = 10

// The codes of blockers: what keeps a report from PASS.
const (
	CaseFailed       = "matrix.case_failed"       // a check of the case failed
	CaseUnverified   = "matrix.case_unverified"   // the case could not be carried out
	CaseMissing      = "matrix.case_missing"      // a selected case has no result
	CaseOrphan       = "matrix.case_orphan"       // a result of a case that is not in the registry, or was not selected
	CaseDoubled      = "matrix.case_doubled"      // a case has more than one result
	CaseForeign      = "matrix.case_foreign"      // a result of another commit, mode, seed, volume or build
	CaseInvalid      = "matrix.case_invalid"      // a result that contradicts itself
	SelectionEmpty   = "matrix.selection_empty"   // nothing was selected
	SelectionUnknown = "matrix.selection_unknown" // a case was selected that is not in the registry
	NothingExecuted  = "matrix.nothing_executed"  // every case was skipped
)

// red are the codes that make a report FAIL; with the others it could not be told.
var red = map[string]bool{CaseFailed: true, CaseOrphan: true, CaseDoubled: true, CaseForeign: true, CaseInvalid: true, SelectionUnknown: true}

// found are the codes of what NewReport finds in the results; the other blockers follow from the rest of a report.
var found = []string{CaseOrphan, CaseDoubled, CaseForeign, CaseInvalid}

// Meta says what a report is about.
type Meta struct {
	Identity
	// Run is the name of the run folder.
	Run               string
	Started, Finished time.Time
	// Jobs is the number of cases that ran at once.
	Jobs int
}

// Report is what the matrix came to. Verdict, tallies and everything else that can follow
// from the results follow from them; [ReadReport] derives them again.
type Report struct {
	Schema string `json:"schema"`
	// Verdict is FAIL with any red case or any result that should not be there; UNVERIFIED when a
	// selected case is missing or could not be carried out, or when nothing was carried out;
	// otherwise PASS. EvidenceStatus and Passed repeat it under the names of the original.
	Verdict        evidence.Verdict `json:"verdict"`
	EvidenceStatus evidence.Verdict `json:"evidence_status"`
	Passed         bool             `json:"passed"`
	// Partial says that registry, selection and executed cases are not the same set.
	Partial bool `json:"partial"`
	// Profile is the mode, under the name of the original.
	Profile cases.Mode `json:"profile"`
	Build   Build      `json:"build"`
	Seed    uint64     `json:"seed"`
	Rows    int64      `json:"configured_row_count"`
	Changed float64    `json:"change_ratio"`
	Deleted float64    `json:"delete_ratio"`
	Totals
	Blockers   []Blocker   `json:"blockers"`
	Coverage   Coverage    `json:"coverage"`
	Pairs      []Tally     `json:"pairs"`
	Strategies []Tally     `json:"strategies"`
	Systems    []SystemUse `json:"systems"`
	// Results has one entry for each selected case, in the order of the registry.
	Results []Result `json:"results"`
	// Volatile is what differs between two runs of the same.
	Volatile Volatile `json:"volatile"`
}

// Totals are numbers of cases.
type Totals struct {
	Registered int `json:"registered_cases"`
	Selected   int `json:"total_cases"`
	// Cases repeats Selected under the other name that the original has.
	Cases      int `json:"case_count"`
	Executed   int `json:"executed_cases"`
	Passed     int `json:"passed_cases"`
	Failed     int `json:"failed_cases"`
	Skipped    int `json:"skipped_cases"`
	Unverified int `json:"unverified_cases"` // those that are missing are counted apart
	Missing    int `json:"missing_cases"`
}

// wholeSelection is the subject of blockers that are about no single case.
const wholeSelection = "selection"

// Tally is the cases of a pair or of a strategy.
type Tally struct {
	Name       string `json:"name"`
	Cases      int    `json:"cases"`
	Passed     int    `json:"passed"`
	Failed     int    `json:"failed"`
	Skipped    int    `json:"skipped"`
	Unverified int    `json:"unverified"`
	Missing    int    `json:"missing"`
}

// Blocker keeps a report from PASS.
type Blocker struct {
	Code string `json:"code"`
	// Subject is a case, or "selection".
	Subject string `json:"subject"`
	Message string `json:"message"`
	Runbook string `json:"runbook"`
}

// Red says whether the blocker makes a report FAIL. With the others it could not be told.
func (b Blocker) Red() bool { return red[b.Code] }

// Coverage holds the registry against what was selected and what was executed, which is
// what came to PASS or FAIL.
type Coverage struct {
	Registry    []string `json:"registry"`
	Selected    []string `json:"selected"`
	Executed    []string `json:"executed"`
	NotSelected []string `json:"not_selected"`
	NotExecuted []string `json:"not_executed"`
	// Orphans are results of cases that are not in the registry or were not selected; Doubled are cases with more than one result.
	Orphans []string `json:"orphans"`
	Doubled []string `json:"doubled"`
}

// Equal says whether the three sets are the same, and nothing was there besides.
func (c *Coverage) Equal() bool {
	return len(c.NotSelected)+len(c.NotExecuted)+len(c.Orphans)+len(c.Doubled) == 0 && slices.Equal(c.Registry, c.Selected)
}

// SystemUse is a system that cases really talked to, and how many of them.
type SystemUse struct {
	system.Facts
	AsSource int `json:"as_source"`
	AsSink   int `json:"as_sink"`
}

// Result is one case of a report.
type Result struct {
	CaseID   string           `json:"case_id"`
	PairID   string           `json:"pair_id"`
	Source   string           `json:"source"`
	Sink     string           `json:"sink"`
	Strategy string           `json:"strategy"`
	Verdict  evidence.Verdict `json:"verdict"`
	Passed   bool             `json:"passed"`
	// Missing says that there is no result. Reason says why a case is not PASS or FAIL.
	Missing bool   `json:"missing,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Path is the artifact with the whole result, in the run folder.
	Path             string `json:"artifact_path,omitempty"`
	ExpectedRowCount int64  `json:"expected_row_count"`
	ActualRowCount   int64  `json:"actual_row_count"`
	ExpectedChecksum string `json:"expected_checksum"`
	ActualChecksum   string `json:"actual_checksum"`
	// QualityChecks are the codes of the checks that were evaluated, Failing those that are not PASS.
	QualityChecks []string             `json:"quality_checks"`
	Failing       []compare.Check      `json:"failing_checks"`
	Differences   []compare.Difference `json:"differences"`
	// Reproduce is the command that carries out this case alone.
	Reproduce string `json:"reproduce"`
}

// Volatile are the circumstances of a run. Seconds are rounded to thousandths.
type Volatile struct {
	Run      string    `json:"run"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Jobs     int       `json:"jobs"`
	// Seconds are sums over the cases: laying out fixtures, the engine, reading back and comparing.
	Seconds Durations `json:"seconds"`
	// Cases are the durations of each case that has a result, Slowest those of the cases that took longest.
	Cases   []CaseTime `json:"cases"`
	Slowest []CaseTime `json:"slowest"`
	// Reused are the cases that were taken over from earlier runs.
	Reused []Reuse `json:"reused"`
}

// CaseTime are the durations of a case.
type CaseTime struct {
	CaseID string `json:"case_id"`
	Durations
}

// Reuse says from which run a result was taken over.
type Reuse struct {
	CaseID string `json:"case_id"`
	Run    string `json:"run"`
}

// NewReport says what the results come to. The order in which selected and results are
// given makes no difference. A case with several results counts as the worst of them. A
// result without a build is of this run; one that was read back always has its own.
func NewReport(meta Meta, registry []cases.Case, selected []string, results []Case) Report {
	r := Report{
		Profile: meta.Mode, Build: meta.Build, Seed: meta.Seed, Rows: meta.Rows, Changed: meta.Changed, Deleted: meta.Deleted,
		Volatile: Volatile{
			Run: cut(meta.Run, maxText), Started: meta.Started.UTC().Round(0), Finished: meta.Finished.UTC().Round(0), Jobs: meta.Jobs,
			Cases: []CaseTime{}, Reused: []Reuse{},
		},
	}
	known := map[string]cases.Case{}
	for _, c := range registry {
		if _, twice := known[c.ID]; !twice {
			known[c.ID] = c
			r.Coverage.Registry = append(r.Coverage.Registry, c.ID)
		}
	}
	wanted := map[string]bool{}
	for _, id := range selected {
		wanted[id] = true
	}
	given := map[string][]Case{}
	for _, c := range results {
		given[c.ID] = append(given[c.ID], c)
	}
	for id, list := range given {
		if _, ok := known[id]; !ok || !wanted[id] {
			why := "it is not in the registry"
			if ok {
				why = "it was not selected"
			}
			c := worst(list)
			r.block(CaseOrphan, id, fmt.Sprintf("there is a result of this case, which says %s, and %s", c.Verdict(), why))
		}
		if len(list) > 1 {
			r.block(CaseDoubled, id, fmt.Sprintf("there are %d results of this case", len(list)))
		}
	}
	r.Coverage.Selected = ordered(wanted, r.Coverage.Registry)
	use := map[system.Facts]*SystemUse{}
	for _, id := range r.Coverage.Selected {
		entry := Result{
			CaseID: id, Reproduce: Reproduce(id, meta.Identity), QualityChecks: []string{}, Failing: []compare.Check{}, Differences: []compare.Difference{},
		}
		if c, ok := known[id]; ok {
			entry.PairID, entry.Source, entry.Sink, entry.Strategy = c.Pair, c.Source, c.Sink, string(c.Strategy)
		}
		if list := given[id]; len(list) == 0 {
			entry.Missing, entry.Reason = true, "there is no result"
		} else {
			c := bounded(worst(list))
			if c.Build == (Build{}) {
				c.Build = meta.Build
			}
			r.take(&entry, &c, meta.Identity)
			r.Volatile.take(&c)
			talked(use, &c)
		}
		r.Results = append(r.Results, entry)
	}
	for _, u := range use {
		r.Systems = append(r.Systems, *u)
	}
	slices.SortFunc(r.Systems, func(a, b SystemUse) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.System, b.System), cmp.Compare(a.Version, b.Version), cmp.Compare(a.StandIn, b.StandIn))
	})
	r.derive()
	return r
}

// take puts what a case came to into its entry. A result of another run, or one that
// contradicts itself, says nothing good of the case: of PASS and SKIP nothing remains.
func (r *Report) take(entry *Result, c *Case, want Identity) {
	entry.Verdict, entry.Reason = c.Verdict(), cmp.Or(c.Problem, c.SkipReason)
	var why, code string
	if err := c.Validate(); err != nil {
		code, why = CaseInvalid, cut(err.Error(), maxText)
	} else if why = foreign(c, want); why != "" {
		code, why = CaseForeign, cut(why, maxText)
	}
	if code != "" {
		r.block(code, c.ID, why)
		if entry.Verdict != evidence.Fail {
			entry.Verdict, entry.Reason = evidence.Unverified, why
		}
	}
	if entry.Verdict == evidence.Unverified && entry.Reason == "" {
		entry.Reason = "a check could not be evaluated"
		if len(c.Checks) == 0 {
			entry.Reason = "no check was evaluated"
		}
	}
	entry.Path = BehaviorFile(c.ID)
	entry.ExpectedRowCount, entry.ActualRowCount = c.Expected.Rows, c.Actual.Rows
	entry.ExpectedChecksum, entry.ActualChecksum = c.Expected.Digest, c.Actual.Digest
	for _, k := range c.Checks {
		entry.QualityChecks = append(entry.QualityChecks, k.Code)
		if k.Verdict != evidence.Pass {
			entry.Failing = append(entry.Failing, k)
		}
	}
	entry.Differences = c.Differences[:min(len(c.Differences), maxDifferences)]
}

// take takes over how long a case took, and in which run.
func (v *Volatile) take(c *Case) {
	d := c.Durations
	for _, n := range []*float64{&d.Fixture, &d.Engine, &d.Check, &d.Total} {
		*n = thousandths(*n)
	}
	v.Cases = append(v.Cases, CaseTime{CaseID: c.ID, Durations: d})
	if c.ReusedFrom != "" {
		v.Reused = append(v.Reused, Reuse{CaseID: c.ID, Run: c.ReusedFrom})
	}
}

// thousandths rounds seconds; what is no number of seconds counts as none, and is told of elsewhere.
func thousandths(s float64) float64 {
	if math.IsNaN(s) || math.IsInf(s, 0) || s < 0 {
		return 0
	}
	return math.Round(s*1000) / 1000
}

func talked(use map[system.Facts]*SystemUse, c *Case) {
	for _, side := range []struct {
		facts  system.Facts
		source bool
	}{{c.Systems.Source, true}, {c.Systems.Sink, false}} {
		if side.facts == (system.Facts{}) {
			continue
		}
		u := use[side.facts]
		if u == nil {
			u = &SystemUse{Facts: side.facts}
			use[side.facts] = u
		}
		if side.source {
			u.AsSource++
		} else {
			u.AsSink++
		}
	}
}

// worst is the result that decides when there are several of a case. Those that are equally
// bad are told apart by their bytes, so that their order makes no difference.
func worst(list []Case) Case {
	rank := map[evidence.Verdict]int{evidence.Fail: 0, evidence.Unverified: 1, evidence.Skip: 2, evidence.Pass: 3}
	return slices.MinFunc(list, func(a, b Case) int {
		if by := cmp.Compare(rank[a.Verdict()], rank[b.Verdict()]); by != 0 {
			return by
		}
		left, _ := encode(newBehavior(bounded(a))) // one that cannot be written comes first
		right, _ := encode(newBehavior(bounded(b)))
		return strings.Compare(string(left), string(right))
	})
}

// ordered are the members of a set: those of the registry in its order, then the others by name.
func ordered(set map[string]bool, registry []string) []string {
	var in, out []string
	for _, id := range registry {
		if set[id] {
			in = append(in, id)
		}
	}
	for id := range set {
		if !slices.Contains(in, id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return append(in, out...)
}

func (r *Report) block(code, subject, message string) {
	r.Blockers = append(r.Blockers, Blocker{Code: code, Subject: subject, Message: message, Runbook: Runbook(code)})
}

// derive computes all that follows from the registry, the selection, the entries of the
// cases and what was found among the results.
func (r *Report) derive() {
	r.Schema = ReportSchema
	r.Blockers = slices.DeleteFunc(slices.Clone(r.Blockers), func(b Blocker) bool { return !slices.Contains(found, b.Code) })
	r.Totals = Totals{Registered: len(r.Coverage.Registry), Selected: len(r.Coverage.Selected), Cases: len(r.Coverage.Selected)}
	r.deriveCoverage()
	pairs, strategies := tallies{}, tallies{}
	for i := range r.Results {
		entry := &r.Results[i]
		entry.Passed = entry.Verdict == evidence.Pass
		switch {
		case entry.Missing:
			r.Missing++
			r.block(CaseMissing, entry.CaseID, entry.Reason)
		case entry.Verdict == evidence.Fail:
			r.Failed++
			r.block(CaseFailed, entry.CaseID, entry.failed())
			r.Blockers[len(r.Blockers)-1].Runbook = Runbook(entry.first())
		case entry.Verdict == evidence.Unverified:
			r.Unverified++
			r.block(CaseUnverified, entry.CaseID, entry.Reason)
		case entry.Verdict == evidence.Skip:
			r.Skipped++
		default:
			r.Totals.Passed++
		}
		pairs.add(entry.PairID, entry)
		strategies.add(entry.Strategy, entry)
	}
	r.Executed = r.Totals.Passed + r.Failed
	r.Pairs, r.Strategies = pairs.list, strategies.list
	switch {
	case r.Selected == 0:
		r.block(SelectionEmpty, wholeSelection, "no case was selected")
	case r.Skipped == r.Selected:
		r.block(NothingExecuted, wholeSelection, fmt.Sprintf("all of the %d selected cases were skipped", r.Selected))
	}
	r.sortBlockers()
	r.Verdict = evidence.Pass
	for _, b := range r.Blockers {
		if b.Red() {
			r.Verdict = evidence.Fail
			break
		}
		r.Verdict = evidence.Unverified
	}
	r.EvidenceStatus, r.Passed = r.Verdict, r.Verdict == evidence.Pass
	r.Partial = !r.Coverage.Equal()
	r.Volatile.derive()
	r.fill()
}

func (r *Report) deriveCoverage() {
	c := &r.Coverage
	c.Executed, c.NotSelected, c.NotExecuted, c.Orphans, c.Doubled = nil, nil, nil, nil, nil
	for _, id := range c.Registry {
		if !slices.Contains(c.Selected, id) {
			c.NotSelected = append(c.NotSelected, id)
		}
	}
	for _, id := range c.Selected {
		if !slices.Contains(c.Registry, id) {
			r.block(SelectionUnknown, id, "it was selected and is not in the registry")
		}
	}
	for i := range r.Results {
		switch e := &r.Results[i]; e.Verdict {
		case evidence.Pass, evidence.Fail:
			c.Executed = append(c.Executed, e.CaseID)
		default:
			c.NotExecuted = append(c.NotExecuted, e.CaseID)
		}
	}
	for _, b := range r.Blockers {
		switch b.Code {
		case CaseOrphan:
			c.Orphans = append(c.Orphans, b.Subject)
		case CaseDoubled:
			c.Doubled = append(c.Doubled, b.Subject)
		}
	}
	slices.Sort(c.Orphans)
	slices.Sort(c.Doubled)
}

// sortBlockers puts red ones first, and each kind in the order of the registry.
func (r *Report) sortBlockers() {
	place := map[string]int{}
	for i, id := range r.Coverage.Registry {
		place[id] = i + 1
	}
	at := func(id string) int {
		if n, ok := place[id]; ok {
			return n
		}
		return len(place) + 1
	}
	heavy := func(code string) int {
		if red[code] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(r.Blockers, func(a, b Blocker) int {
		return cmp.Or(cmp.Compare(heavy(a.Code), heavy(b.Code)), cmp.Compare(at(a.Subject), at(b.Subject)), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Code, b.Code))
	})
}

// derive adds up durations, in one order, for sums of floating-point numbers depend on it.
func (v *Volatile) derive() {
	v.Seconds, v.Slowest = Durations{}, []CaseTime{}
	for _, c := range v.Cases {
		v.Seconds.Fixture += c.Fixture
		v.Seconds.Engine += c.Engine
		v.Seconds.Check += c.Check
		v.Seconds.Total += c.Total
		if c.Total > 0 {
			v.Slowest = append(v.Slowest, c)
		}
	}
	for _, n := range []*float64{&v.Seconds.Fixture, &v.Seconds.Engine, &v.Seconds.Check, &v.Seconds.Total} {
		*n = thousandths(*n)
	}
	slices.SortStableFunc(v.Slowest, func(a, b CaseTime) int { return cmp.Compare(b.Total, a.Total) })
	v.Slowest = v.Slowest[:min(len(v.Slowest), maxSlowest)]
}

// fill puts empty lists in the place of nil, so that a reader finds lists only.
func (r *Report) fill() {
	for _, list := range []*[]string{
		&r.Coverage.Registry, &r.Coverage.Selected, &r.Coverage.Executed, &r.Coverage.NotSelected, &r.Coverage.NotExecuted,
		&r.Coverage.Orphans, &r.Coverage.Doubled,
	} {
		if *list == nil {
			*list = []string{}
		}
	}
	r.Blockers, r.Pairs, r.Strategies = orEmpty(r.Blockers), orEmpty(r.Pairs), orEmpty(r.Strategies)
	r.Systems, r.Results = orEmpty(r.Systems), orEmpty(r.Results)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// first is the code of the first check that failed.
func (e *Result) first() string {
	for _, k := range e.Failing {
		if k.Verdict == evidence.Fail {
			return k.Code
		}
	}
	return CaseFailed
}

// failed names the checks that failed, each once.
func (e *Result) failed() string {
	var names []string
	for _, k := range e.Failing {
		if k.Verdict == evidence.Fail && !slices.Contains(names, k.Code) {
			names = append(names, k.Code)
		}
	}
	return "failed: " + strings.Join(names, ", ")
}

// tallies counts by name, in the order in which the names come.
type tallies struct{ list []Tally }

func (t *tallies) add(name string, e *Result) {
	if name == "" {
		return // selected and not in the registry
	}
	i := slices.IndexFunc(t.list, func(x Tally) bool { return x.Name == name })
	if i < 0 {
		i = len(t.list)
		t.list = append(t.list, Tally{Name: name})
	}
	t.list[i].count(e)
}

func (t *Tally) count(e *Result) {
	t.Cases++
	switch {
	case e.Missing:
		t.Missing++
	case e.Verdict == evidence.Pass:
		t.Passed++
	case e.Verdict == evidence.Fail:
		t.Failed++
	case e.Verdict == evidence.Skip:
		t.Skipped++
	default:
		t.Unverified++
	}
}

// Encode is certification_report.json.
func (r *Report) Encode() ([]byte, error) {
	raw, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("report of the matrix: %w", err)
	}
	return raw, nil
}

// EncodeCoverage is coverage.json.
func (r *Report) EncodeCoverage() ([]byte, error) {
	raw, err := encode(struct {
		Schema  string `json:"schema"`
		Equal   bool   `json:"equal"`
		Partial bool   `json:"partial"`
		Coverage
	}{CoverageSchema, r.Coverage.Equal(), r.Partial, r.Coverage})
	if err != nil {
		return nil, fmt.Errorf("coverage of the matrix: %w", err)
	}
	return raw, nil
}

// Write writes the report in both forms, and its coverage.
func (r *Report) Write(to Writer) error {
	report, err := r.Encode()
	if err != nil {
		return err
	}
	coverage, err := r.EncodeCoverage()
	if err != nil {
		return err
	}
	return errors.Join(
		to.WriteFile(CoverageJSON, coverage),
		to.WriteFile(ReportMD, []byte(r.Markdown())),
		to.WriteFile(ReportJSON, report),
	)
}

// ReadReport reads certification_report.json as if its writer were hostile: the verdict and
// all that follows from the entries of the cases is derived again and has to agree.
func ReadReport(raw []byte) (Report, error) {
	var r Report
	if err := decode(raw, MaxReport, &r); err != nil {
		return Report{}, fmt.Errorf("report of the matrix: %w", err)
	}
	if r.Schema != ReportSchema {
		return Report{}, fmt.Errorf("report of the matrix: schema %q is not %q", r.Schema, ReportSchema)
	}
	said := r.Verdict
	if !slices.Contains(cases.Modes(), r.Profile) {
		return Report{}, fmt.Errorf("report of the matrix: profile %q is not one of %v", r.Profile, cases.Modes())
	}
	ids := make([]string, 0, len(r.Results))
	for i := range r.Results {
		e := &r.Results[i]
		ids = append(ids, e.CaseID)
		if why := e.contradiction(); why != "" {
			return Report{}, fmt.Errorf("report of the matrix: case %q: %s", e.CaseID, why)
		}
	}
	if !slices.Equal(ids, r.Coverage.Selected) {
		return Report{}, errors.New("report of the matrix: the results are not those of the selected cases")
	}
	r.derive()
	if r.Verdict != said {
		return Report{}, fmt.Errorf("report of the matrix: verdict %s does not follow from its cases, which say %s", said, r.Verdict)
	}
	again, err := r.Encode()
	if err != nil {
		return Report{}, err
	}
	if err := sameBytes(raw, again); err != nil {
		return Report{}, fmt.Errorf("report of the matrix: %w", err)
	}
	return r, nil
}

// contradiction says what an entry cannot be, empty when nothing.
func (e *Result) contradiction() string {
	fails := slices.ContainsFunc(e.Failing, func(k compare.Check) bool { return k.Verdict == evidence.Fail })
	switch {
	case e.Missing && e.Verdict != evidence.Unverified:
		return "it is missing and has a verdict"
	case fails != (e.Verdict == evidence.Fail):
		return fmt.Sprintf("its verdict is %s, which is not what its failing checks say", e.Verdict)
	case e.Verdict == evidence.Pass && (len(e.Failing) > 0 || len(e.QualityChecks) == 0):
		return "it is PASS without every check being PASS"
	case e.Verdict == evidence.Pass && (e.ExpectedChecksum != e.ActualChecksum || e.ExpectedChecksum == "" || e.ExpectedRowCount != e.ActualRowCount):
		return "it is PASS and its rows are not the expected ones"
	case e.Verdict == evidence.Pass && len(e.Differences) > 0:
		return "it is PASS and has keys that are not as expected"
	}
	return ""
}
