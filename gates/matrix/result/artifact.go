package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/compare"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// The formats of the artifacts of a case; a reader refuses any other.
const (
	CaseSchema     = "https://github.com/dpone/dpone/gates/matrix/case/v1"
	BehaviorSchema = "https://github.com/dpone/dpone/gates/matrix/behavior/v1"
)

// MaxCase is the largest artifact of a case, in bytes.
const MaxCase = 8 << 20

// BehaviorSuffix is the end of the names of the files that hold results.
const BehaviorSuffix = "__behavior.json"

// CaseFile and BehaviorFile are the names of the artifacts of a case in a run folder.
func CaseFile(id string) string { return id + ".json" }

// BehaviorFile is the name of the artifact that holds the result of a case.
func BehaviorFile(id string) string { return id + BehaviorSuffix }

// Writer is a run folder: a file is written whole or not at all.
type Writer interface {
	WriteFile(name string, content []byte) error
}

// artifact is what the registry says of a case, with the names of the original.
type artifact struct {
	Schema   string   `json:"schema"`
	CaseID   string   `json:"case_id"`
	PairID   string   `json:"pair_id"`
	Source   string   `json:"source"`
	Sink     string   `json:"sink"`
	Strategy string   `json:"strategy"`
	Guide    string   `json:"guide"`
	Extras   []string `json:"install_extras"` // always empty: one binary has all families
	Services []string `json:"services"`
	Profiles []string `json:"required_profiles"`
	Live     []string `json:"live_profiles"`
	// Local is the opposite of Credentials: what needs nothing of the caller's can be had on this machine.
	Local       bool `json:"local_service_supported"`
	Credentials bool `json:"external_credentials_required"`
}

// behavior is what happened to a case. The members that the original has keep their
// names; those that follow from others are derived when it is written, and have to
// agree when it is read.
type behavior struct {
	Schema  string           `json:"schema"`
	Verdict evidence.Verdict `json:"verdict"` // derived
	Passed  bool             `json:"passed"`  // derived
	cases.Case
	Mode       cases.Mode `json:"run_mode"`
	ReusedFrom string     `json:"reused_from,omitempty"`
	Problem    string     `json:"problem,omitempty"`
	SkipReason string     `json:"skip_reason,omitempty"`
	Build      Build      `json:"build"`
	Systems    struct {
		Source system.Facts `json:"source"`
		Sink   system.Facts `json:"sink"`
	} `json:"systems"`

	Seed        uint64         `json:"seed"`                 // derived
	Rows        int64          `json:"configured_row_count"` // derived
	ChangeRatio float64        `json:"change_ratio"`         // derived
	DeleteRatio float64        `json:"delete_ratio"`         // derived
	Fixture     fixture.Spec   `json:"fixture"`
	Counts      fixture.Counts `json:"counts"`
	Changed     int64          `json:"changed_row_count"` // derived
	Deleted     int64          `json:"deleted_row_count"` // derived
	Columns     int            `json:"columns"`

	TargetBeforeCount int64  `json:"target_before_count"`
	SourceRowCount    int64  `json:"source_row_count"`
	ExpectedRowCount  int64  `json:"expected_row_count"`
	ActualRowCount    int64  `json:"actual_row_count"`
	ExpectedChecksum  string `json:"expected_checksum"`
	ActualChecksum    string `json:"actual_checksum"`

	Checks      []compare.Check      `json:"quality_checks"`
	Notes       []string             `json:"notes"`
	Differences []compare.Difference `json:"differences"`
	Runs        []Run                `json:"runs"`
	Durations   Durations            `json:"durations"`
	StartedAt   time.Time            `json:"started_at"`
	Manifest    string               `json:"manifest"`

	ExpectedColumns []compare.ColumnContents `json:"expected_columns"`
	ActualColumns   []compare.ColumnContents `json:"actual_columns"`
	TargetBefore    []Row                    `json:"target_before"`
	SourceRows      []Row                    `json:"source_rows"`
	ExpectedRows    []Row                    `json:"expected_rows"`
	ActualRows      []Row                    `json:"actual_rows"`
}

// EncodeCase is the artifact <case_id>.json.
func EncodeCase(c cases.Case) ([]byte, error) {
	if err := checkCase(c); err != nil {
		return nil, err
	}
	c = whole(c)
	raw, err := encode(artifact{
		Schema: CaseSchema, CaseID: c.ID, PairID: c.Pair, Source: c.Source, Sink: c.Sink, Strategy: string(c.Strategy), Guide: c.Guide,
		Extras: []string{}, Services: c.Services, Profiles: c.Profiles, Live: c.LiveProfiles, Local: !c.Credentials, Credentials: c.Credentials,
	})
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.ID, err)
	}
	return raw, nil
}

// Encode is the artifact <case_id>__behavior.json. Texts from outside are bounded; a result
// that [Case.Validate] refuses, that names no build, or that is larger than [MaxCase], is an error.
func (c *Case) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Build == (Build{}) {
		return nil, fmt.Errorf("case %s: the result names no build", c.ID)
	}
	doc := newBehavior(bounded(*c))
	raw, err := encode(doc)
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.ID, err)
	}
	if bytes.Contains(raw, []byte(`\ufffd`)) {
		// This is how a byte that is not UTF-8 is written. A reader has the character then, which is written as itself.
		var again behavior
		if err := json.Unmarshal(raw, &again); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
		if raw, err = encode(again); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
	}
	if len(raw) > MaxCase {
		return nil, fmt.Errorf("case %s: its artifact has %d bytes, at most %d are read again", c.ID, len(raw), MaxCase)
	}
	return raw, nil
}

// WriteCase writes <case_id>.json.
func WriteCase(to Writer, c cases.Case) error {
	raw, err := EncodeCase(c)
	if err != nil {
		return err
	}
	return to.WriteFile(CaseFile(c.ID), raw)
}

// Write writes both artifacts of a case, the result last. A result without a build is of
// the run that writes it.
func Write(to Writer, c Case, meta Meta) error {
	if c.Build == (Build{}) {
		c.Build = meta.Build
	}
	raw, err := c.Encode()
	if err != nil {
		return err
	}
	if err := WriteCase(to, c.Case); err != nil {
		return err
	}
	return to.WriteFile(BehaviorFile(c.ID), raw)
}

// Read reads <case_id>__behavior.json as if its writer were hostile. The verdict is derived
// again from the checks; a document that says another one is refused, and so is every
// document that is not byte for byte what [Case.Encode] writes.
func Read(raw []byte) (Case, error) {
	var doc behavior
	if err := decode(raw, MaxCase, &doc); err != nil {
		return Case{}, fmt.Errorf("result of a case: %w", err)
	}
	if doc.Schema != BehaviorSchema {
		return Case{}, fmt.Errorf("result of a case: schema %q is not %q", doc.Schema, BehaviorSchema)
	}
	c := doc.result()
	if v := c.Verdict(); doc.Verdict != v || doc.Passed != (v == evidence.Pass) {
		return Case{}, fmt.Errorf("result of case %q: verdict %s, passed %t, does not follow from its checks, which say %s", c.ID, doc.Verdict, doc.Passed, v)
	}
	again, err := c.Encode()
	if err != nil {
		return Case{}, fmt.Errorf("result of a case: %w", err)
	}
	if err := sameBytes(raw, again); err != nil {
		return Case{}, fmt.Errorf("result of case %q: %w", c.ID, err)
	}
	return c, nil
}

func newBehavior(c Case) behavior {
	v := c.Verdict()
	return behavior{
		Schema: BehaviorSchema, Verdict: v, Passed: v == evidence.Pass,
		Case: c.Case, Mode: c.Mode, ReusedFrom: c.ReusedFrom, Problem: c.Problem, SkipReason: c.SkipReason, Build: c.Build, Systems: c.Systems,
		Seed: c.Fixture.Seed, Rows: c.Fixture.Rows, ChangeRatio: c.Fixture.Changed, DeleteRatio: c.Fixture.Deleted,
		Fixture: c.Fixture, Counts: c.Counts, Changed: c.Counts.Changed, Deleted: c.Counts.Deleted, Columns: c.Columns,
		TargetBeforeCount: c.TargetBefore, SourceRowCount: c.SourceRows, ExpectedRowCount: c.Expected.Rows, ActualRowCount: c.Actual.Rows,
		ExpectedChecksum: c.Expected.Digest, ActualChecksum: c.Actual.Digest,
		Checks: c.Checks, Notes: c.Notes, Differences: c.Differences, Runs: c.Runs, Durations: c.Durations, StartedAt: c.StartedAt, Manifest: c.Manifest,
		ExpectedColumns: c.Expected.Columns, ActualColumns: c.Actual.Columns,
		TargetBefore: c.Samples.TargetBefore, SourceRows: c.Samples.SourceRows, ExpectedRows: c.Samples.Expected, ActualRows: c.Samples.Actual,
	}
}

// result takes the members that are not derived.
func (b *behavior) result() Case {
	return Case{
		Case: b.Case, Mode: b.Mode, Fixture: b.Fixture, Counts: b.Counts, Columns: b.Columns, Systems: b.Systems, Manifest: b.Manifest,
		Runs: b.Runs, Checks: b.Checks, Notes: b.Notes, TargetBefore: b.TargetBeforeCount, SourceRows: b.SourceRowCount,
		Expected:    compare.Contents{Rows: b.ExpectedRowCount, Digest: b.ExpectedChecksum, Columns: b.ExpectedColumns},
		Actual:      compare.Contents{Rows: b.ActualRowCount, Digest: b.ActualChecksum, Columns: b.ActualColumns},
		Differences: b.Differences, Problem: b.Problem, SkipReason: b.SkipReason, Durations: b.Durations, StartedAt: b.StartedAt,
		Build: b.Build, ReusedFrom: b.ReusedFrom,
		Samples: Samples{TargetBefore: b.TargetBefore, SourceRows: b.SourceRows, Expected: b.ExpectedRows, Actual: b.ActualRows},
	}
}

// bounded is a result with lists in the place of nil, times in UTC and no text without end.
// It shares no list that it changes with c.
func bounded(c Case) Case {
	c.Case = whole(c.Case)
	c.StartedAt = c.StartedAt.UTC().Round(0)
	c.Problem, c.SkipReason = cut(c.Problem, maxText), cut(c.SkipReason, maxText)
	c.Notes = each(c.Notes, func(s *string) { *s = cut(*s, maxText) })
	c.Checks = each(c.Checks, func(k *compare.Check) {
		k.Observed, k.Expected, k.Why = cut(k.Observed, maxText), cut(k.Expected, maxText), cut(k.Why, maxText)
	})
	c.Differences = each(c.Differences, func(d *compare.Difference) {
		d.Key, d.Expected, d.Actual = cut(d.Key, maxText), cut(d.Expected, maxText), cut(d.Actual, maxText)
	})
	c.Runs = each(c.Runs, func(r *Run) {
		r.Error = cut(r.Error, maxText)
		r.Receipts = each(r.Receipts, func(*string) {})
		if r.Counters == nil {
			r.Counters = map[string]int64{}
		}
	})
	c.Expected.Columns = each(c.Expected.Columns, func(*compare.ColumnContents) {})
	c.Actual.Columns = each(c.Actual.Columns, func(*compare.ColumnContents) {})
	for _, rows := range []*[]Row{&c.Samples.TargetBefore, &c.Samples.SourceRows, &c.Samples.Expected, &c.Samples.Actual} {
		*rows = each(*rows, func(r *Row) {
			if *r = maps.Clone(*r); *r == nil {
				*r = Row{}
			}
			for name, value := range *r {
				if value != nil && len(*value) > maxValue {
					short := cut(*value, maxValue)
					(*r)[name] = &short
				}
			}
		})
	}
	return c
}

func whole(c cases.Case) cases.Case {
	for _, list := range []*[]string{&c.Services, &c.Profiles, &c.LiveProfiles} {
		*list = each(*list, func(*string) {})
	}
	return c
}

// each is a copy of a list with every element changed, never nil.
func each[T any](list []T, change func(*T)) []T {
	list = append(make([]T, 0, len(list)), list...)
	for i := range list {
		change(&list[i])
	}
	return slices.Clip(list)
}
