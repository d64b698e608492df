package fault

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

// leastShare is the share of the faults that must be caught, in percent.
const leastShare = 95

// reportSchema is the version of faults.json.
const reportSchema = "dpone.matrix.faults.v1"

// outcome is what came of a trial.
type outcome string

// The outcomes. The control has to survive.
const (
	caught   outcome = "caught"   // a case is red
	survived outcome = "survived" // every case is green
	unclear  outcome = "unclear"  // the trial, or a case of it, could not be carried out
)

// observation is one trial and what came of it.
type observation struct {
	Name    string   `json:"id"`
	Area    string   `json:"area,omitempty"`
	Doc     string   `json:"doc,omitempty"`
	File    string   `json:"file,omitempty"`
	Cases   []string `json:"cases"`
	Outcome outcome  `json:"outcome"`
	Answers []answer `json:"answers"`
	// Problem says why the outcome is unclear.
	Problem      string  `json:"problem,omitempty"`
	BuildSeconds float64 `json:"build_seconds"`
	CarrySeconds float64 `json:"carry_seconds"`
}

// judge derives the outcome from the answers. A case that is red stands, whatever happened afterwards.
func (o *observation) judge(broke error) {
	o.Outcome = survived
	if broke != nil {
		o.Outcome, o.Problem = unclear, broke.Error()
	}
	for _, id := range o.Cases {
		i := slices.IndexFunc(o.Answers, func(a answer) bool { return a.Case == id })
		switch {
		case i >= 0 && o.Answers[i].Verdict == evidence.Fail:
			o.Outcome, o.Problem = caught, ""
			return
		case i >= 0 && o.Answers[i].Verdict == evidence.Pass, o.Problem != "":
		case i < 0:
			o.Outcome, o.Problem = unclear, "the worker says nothing of "+id
		default:
			o.Outcome, o.Problem = unclear, fmt.Sprintf("%s is %s: %s", id, o.Answers[i].Verdict, cmp.Or(o.Answers[i].Problem, "no reason given"))
		}
	}
}

// wrong counts the cases that are not green.
func (o *observation) wrong() int {
	n := len(o.Cases)
	for _, a := range o.Answers {
		if a.Verdict == evidence.Pass {
			n--
		}
	}
	return n
}

// seen tells which checks of which cases are red.
func (o *observation) seen() string {
	var parts []string
	for _, a := range o.Answers {
		if a.Verdict == evidence.Fail {
			parts = append(parts, fmt.Sprintf("%s (%s)", a.Case, strings.Join(a.Failed, ", ")))
		}
	}
	return strings.Join(parts, "; ")
}

// report is what is known of all trials.
type report struct {
	Schema  string  `json:"schema_version"`
	Options Options `json:"options"`
	// Least is the share that must be caught, in percent.
	Least    int           `json:"least_caught_percent"`
	Caught   int           `json:"caught"`
	Survived []string      `json:"survived"`
	Unclear  []string      `json:"unclear"`
	Control  *observation  `json:"control,omitempty"`
	Faults   []observation `json:"faults"`
}

func newReport(o Options) *report {
	return &report{Schema: reportSchema, Options: o, Least: leastShare, Survived: []string{}, Unclear: []string{}, Faults: []observation{}}
}

func (r *report) add(o observation) {
	if o.Answers == nil {
		o.Answers = []answer{}
	}
	if o.Name == control {
		r.Control = &o
		return
	}
	r.Faults = append(r.Faults, o)
	switch o.Outcome {
	case caught:
		r.Caught++
	case survived:
		r.Survived = append(r.Survived, o.Name)
	default:
		r.Unclear = append(r.Unclear, o.Name)
	}
}

// enough says whether n caught faults are the share that is asked for.
func (r *report) enough(n int) bool { return n*100 >= leastShare*len(r.Faults) }

func (r *report) fact() string {
	text := fmt.Sprintf("%d of %d faults caught", r.Caught, len(r.Faults))
	if n := len(r.Unclear); n > 0 {
		text += fmt.Sprintf(", %d unclear", n)
	}
	return text
}

func reproduce(name string) string { return "mage " + ID + " -only=" + name }

// controlChecks report a control that is not green: then no fault can be told from what was wrong before.
func (r *report) controlChecks(p *gates.Pass) {
	const fix = "make the case green first; mage matrix:mockLocal -rows=400 -caseID="
	if len(r.Control.Answers) == 0 {
		p.Check(evidence.CouldNotTell("matrix.fault_control", control, "the worker carries out the cases", r.Control.Problem, "the step's log has what the programs said"))
	}
	for _, a := range r.Control.Answers {
		if a.Verdict != evidence.Pass {
			why := cmp.Or(a.Problem, strings.Join(a.Failed, ", "), "no reason given")
			p.Check(evidence.CouldNotTell("matrix.fault_control", a.Case, "PASS without a fault", fmt.Sprintf("it is %s without a fault: %s", a.Verdict, why), fix+a.Case))
		}
	}
	if len(r.Control.Answers) > 0 && len(r.Control.Answers) < len(r.Control.Cases) {
		p.Check(evidence.CouldNotTell("matrix.fault_control", control, fmt.Sprintf("an answer for each of %d cases", len(r.Control.Cases)), r.Control.Problem, "the step's log has what the worker said"))
	}
}

// checks report each fault, and the share. A fault that survives is a finding of its own
// when too many of them do; within what is allowed, the share and a warning name it.
func (r *report) checks(p *gates.Pass) {
	p.Check(evidence.Expect("matrix.fault_control", control, true,
		fmt.Sprintf("PASS in %d cases", len(r.Control.Cases)), fmt.Sprintf("PASS in %d cases", len(r.Control.Cases)), ""))
	for i := range r.Faults {
		o := &r.Faults[i]
		expected := "a red case among " + strings.Join(o.Cases, ", ")
		switch o.Outcome {
		case caught:
			p.Check(evidence.Expect("matrix.fault_caught", o.Name, true, o.seen(), expected, ""))
		case survived:
			if r.enough(r.Caught) {
				p.Warn("the fault %s survived: %s", o.Name, o.Doc)
				continue
			}
			p.Check(evidence.Expect("matrix.fault_caught", o.Name, false, "every case is green although: "+o.Doc, expected, "add the check that sees it; "+reproduce(o.Name)))
		default:
			p.Check(evidence.CouldNotTell("matrix.fault_caught", o.Name, expected, o.Problem, reproduce(o.Name)))
		}
	}
	expected := fmt.Sprintf("at least %d %%", leastShare)
	observed := fmt.Sprintf("%s, %.1f %%", r.fact(), 100*float64(r.Caught)/float64(len(r.Faults)))
	if len(r.Survived) > 0 {
		observed += "; survived: " + strings.Join(r.Survived, ", ")
	}
	const fix = "faults.md in the run's folder has the survivors"
	if !r.enough(r.Caught) && r.enough(r.Caught+len(r.Unclear)) {
		p.Check(evidence.CouldNotTell("matrix.faults_caught_share", ID, expected, observed, "mend the trials that could not be carried out"))
	} else {
		p.Check(evidence.Expect("matrix.faults_caught_share", ID, r.enough(r.Caught), observed, expected, fix))
	}
	p.Fact("%s", r.fact())
	text := r.text()
	p.Logf("%s", text)
	if len(r.Survived)+len(r.Unclear) > 0 {
		p.Show(text)
	}
}

func (r *report) write(p *gates.Pass) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("the report of the faults: %w", err)
	}
	if err := p.Folder().WriteFile("faults.json", append(raw, '\n')); err != nil {
		return err
	}
	return p.Folder().WriteFile("faults.md", []byte(r.text()))
}

// text is the report for people: survivors first.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Faults planted in the engine\n\n%s, at least %d %% have to be. %d rows, seed %d.\n", r.fact(), leastShare, r.Options.Rows, r.Options.Seed)
	if c := r.Control; c != nil {
		fmt.Fprintf(&b, "\nWithout a fault %d of %d cases are green.\n", len(c.Cases)-c.wrong(), len(c.Cases))
	}
	for _, part := range []struct {
		title string
		which outcome
		last  string
		tell  func(*observation) string
	}{
		{"Survived", survived, "Cases that are green all the same", func(o *observation) string { return strings.Join(o.Cases, ", ") }},
		{"Unclear", unclear, "Why", func(o *observation) string { return o.Problem }},
		{"Caught", caught, "By case (checks)", (*observation).seen},
	} {
		head := false
		for i := range r.Faults {
			o := &r.Faults[i]
			if o.Outcome != part.which {
				continue
			}
			if !head {
				fmt.Fprintf(&b, "\n## %s\n\n| Fault | What is broken | %s |\n| --- | --- | --- |\n", part.title, part.last)
				head = true
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", o.Name, cell(o.Doc), cell(part.tell(o)))
		}
	}
	return b.String()
}

// cell is text that can stand in a table.
func cell(s string) string {
	return strings.NewReplacer("\n", " ", "|", `\|`).Replace(s)
}
