// Package difference tells in what two records of one gate differ: the facts on
// which two runs of one commit agree, and apart from them the circumstances,
// on which they need not.
//
// A difference has a path, which is a JSON pointer (RFC 6901) into the record
// but for one thing: an element of a list is called by its name where it has
// one, and not by its place. So
//
//	/environment/tools/golangci-lint/version
//	/steps/ci:test/checks/ci.test ~1x/observed
//
// stay the same when a tool, a step or a check is added before. Checks are
// named by code and subject, skips by subject, blockers by ID; the second of two
// elements with one name is "<name>#2". Elements of lists of texts, such as
// warnings and command lines, are compared by their text.
package difference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/evidence"
)

// Difference is one place in which two records are not the same. A side that
// has nothing there is nil.
type Difference struct {
	Path string          `json:"path"`
	A    json.RawMessage `json:"a,omitempty"`
	B    json.RawMessage `json:"b,omitempty"`
}

// The names of the groups, in the order in which a report has them: what most
// often explains the rest comes first, what follows from the rest comes last.
const (
	Source       = "source"
	Environment  = "environment"
	Tools        = "tools"
	Inputs       = "inputs"
	Outputs      = "outputs"
	Invocation   = "invocation"
	Gate         = "gate"
	OnlyInOne    = "checks only in one"
	Checks       = "checks"
	Steps        = "steps"
	Remarks      = "remarks"      // warnings and skips
	Consequences = "consequences" // verdicts of steps and run, blockers: derived from the checks
)

func order() []string {
	return []string{Source, Environment, Tools, Inputs, Outputs, Invocation, Gate, OnlyInOne, Checks, Steps, Remarks, Consequences}
}

// Group is the differences of one kind.
type Group struct {
	Name        string       `json:"name"`
	Differences []Difference `json:"differences"`
}

// Side is what identifies a record.
type Side struct {
	Gate         string           `json:"gate"`
	Run          string           `json:"run"`
	Commit       string           `json:"commit"`
	Verdict      evidence.Verdict `json:"verdict"`
	StableDigest string           `json:"stable_digest"`
}

// SideOf is the side of a record.
func SideOf(r *evidence.Record) Side {
	return Side{r.Stable.Gate.ID, r.Volatile.Run, r.Stable.Source.Commit, r.Verdict, r.StableDigest}
}

// StepPair is the verdict of a step in both records; nil where it is not there.
type StepPair struct {
	ID string            `json:"id"`
	A  *evidence.Verdict `json:"a"`
	B  *evidence.Verdict `json:"b"`
}

// Report is in what two records differ.
type Report struct {
	// Same says that the stable digests are equal; then there are no groups.
	Same bool `json:"same"`
	A    Side `json:"a"`
	B    Side `json:"b"`
	// Steps are those of A in their order, then those that only B has.
	Steps  []StepPair `json:"steps"`
	Groups []Group    `json:"groups"`
	// Circumstances are differences of the volatile part, which prove nothing.
	// The names of the runs and the times of day are not among them.
	Circumstances []Difference `json:"circumstances"`
}

// Group finds the differences of a kind; nil when there are none.
func (r Report) Group(name string) []Difference {
	for _, g := range r.Groups {
		if g.Name == name {
			return g.Differences
		}
	}
	return nil
}

// Count is the number of differences in the stable part.
func (r Report) Count() int {
	n := 0
	for _, g := range r.Groups {
		n += len(g.Differences)
	}
	return n
}

// Between compares two records, which are as [evidence.Decode] or
// [evidence.Record.Seal] left them. When the digests differ, there is at least
// one difference.
func Between(a, b *evidence.Record) (Report, error) {
	r := Report{
		Same: a.StableDigest == b.StableDigest, A: SideOf(a), B: SideOf(b),
		Steps: pairs(a.Stable.Steps, b.Stable.Steps), Groups: []Group{}, Circumstances: []Difference{},
	}
	circumstances, err := compare("/volatile", a.Volatile, b.Volatile)
	if err != nil {
		return Report{}, err
	}
	for _, d := range circumstances {
		switch d.at[len(d.at)-1] {
		case "run", "started", "finished":
		default:
			r.Circumstances = append(r.Circumstances, d.Difference)
		}
	}
	if r.Same {
		return r, nil
	}
	found, err := compare("", a.Stable, b.Stable)
	if err != nil {
		return Report{}, err
	}
	if len(found) == 0 {
		// The digest is over the text of the options, too.
		found = []placed{{Difference: Difference{"/invocation/options", a.Stable.Invocation.Options, b.Stable.Invocation.Options}, at: []string{"invocation"}}}
	}
	groups := map[string][]Difference{}
	for _, d := range found {
		name := d.group()
		groups[name] = append(groups[name], d.Difference)
	}
	for _, name := range order() {
		if len(groups[name]) > 0 {
			r.Groups = append(r.Groups, Group{name, groups[name]})
		}
	}
	return r, nil
}

func pairs(a, b []evidence.Step) []StepPair {
	list := []StepPair{}
	at := map[string]int{}
	for _, s := range a {
		at[s.ID] = len(list)
		list = append(list, StepPair{ID: s.ID, A: &s.Verdict})
	}
	for _, s := range b {
		i, ok := at[s.ID]
		if !ok {
			i = len(list)
			list = append(list, StepPair{ID: s.ID})
		}
		list[i].B = &s.Verdict
	}
	return list
}

// placed is a difference with the names that its path is made of.
type placed struct {
	Difference
	at []string
}

func (d placed) group() string {
	switch d.at[0] {
	case "source":
		return Source
	case "environment":
		if len(d.at) > 1 && d.at[1] == "tools" {
			return Tools
		}
		return Environment
	case "inputs":
		return Inputs
	case "outputs":
		return Outputs
	case "invocation", "partial":
		return Invocation
	case "gate":
		return Gate
	case "warnings", "skips":
		return Remarks
	case "steps":
		return d.groupOfStep()
	}
	return Consequences
}

func (d placed) groupOfStep() string {
	switch {
	case len(d.at) < 3 || d.at[2] != "checks" && d.at[2] != "verdict":
		return Steps
	case d.at[2] == "verdict":
		return Consequences
	case len(d.at) == 4 && (d.A == nil || d.B == nil):
		return OnlyInOne
	}
	return Checks
}

// compare goes through two values by their JSON.
func compare(prefix string, a, b any) ([]placed, error) {
	left, err := generic(a)
	if err != nil {
		return nil, err
	}
	right, err := generic(b)
	if err != nil {
		return nil, err
	}
	w := &walker{prefix: prefix}
	w.walk(nil, left, right)
	return w.found, w.err
}

// generic is a value as JSON has it, with numbers as they are written.
func generic(v any) (any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("compare records: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("compare records: %w", err)
	}
	return out, nil
}

// absent is the value at a path that a side does not have.
type absent struct{}

type walker struct {
	prefix string
	found  []placed
	err    error
}

func (w *walker) add(at []string, a, b any) {
	var path strings.Builder
	path.WriteString(w.prefix)
	for _, name := range at {
		path.WriteByte('/')
		path.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	w.found = append(w.found, placed{Difference{path.String(), w.text(a), w.text(b)}, slices.Clone(at)})
}

func (w *walker) text(v any) json.RawMessage {
	if _, ok := v.(absent); ok {
		return nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil && w.err == nil {
		w.err = fmt.Errorf("compare records: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func (w *walker) walk(at []string, a, b any) {
	in := func(name string) []string { return append(slices.Clone(at), name) }
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			break
		}
		names := slices.Sorted(maps.Keys(a))
		for _, name := range slices.Sorted(maps.Keys(b)) {
			if _, ok := a[name]; !ok {
				names = append(names, name)
			}
		}
		for _, name := range names {
			w.walk(in(name), member(a, name), member(b, name))
		}
		return
	case []any:
		b, ok := b.([]any)
		if !ok {
			break
		}
		w.lists(at, a, b)
		return
	}
	if !equal(a, b) {
		w.add(at, a, b)
	}
}

func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return absent{}
}

// equal compares values of which at most one is an object or a list.
func equal(a, b any) bool {
	switch a.(type) {
	case map[string]any, []any:
		return false
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// lists compares two lists by the names of their elements.
func (w *walker) lists(at []string, a, b []any) {
	left, right := named(at, a), named(at, b)
	values := make(map[string]any, len(right))
	for _, e := range right {
		values[e.name] = e.value
	}
	only := len(left) != len(right)
	seen := make(map[string]bool, len(left))
	for _, e := range left {
		seen[e.name] = true
		value := member(values, e.name)
		if _, gone := value.(absent); gone {
			only = true
		}
		w.walk(append(slices.Clone(at), e.place), e.value, value)
	}
	for _, e := range right {
		if !seen[e.name] {
			only = true
			w.walk(append(slices.Clone(at), e.place), absent{}, e.value)
		}
	}
	if only {
		return
	}
	// The same elements; their order is a fact, too.
	for i := range left {
		if left[i].name != right[i].name {
			w.add(at, namesOf(left), namesOf(right))
			return
		}
	}
}

// element is an element of a list: name finds it in the other list, place
// stands in the path.
type element struct {
	name, place string
	value       any
}

func namesOf(list []element) []string {
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.name
	}
	return names
}

func named(at []string, list []any) []element {
	used := make(map[string]bool, len(list))
	last := map[string]int{} // the last number that was given to a name
	out := make([]element, len(list))
	for i, value := range list {
		number := strconv.Itoa(i)
		e := element{name: number, place: number, value: value}
		switch v := value.(type) {
		case string:
			e.name = v
		case map[string]any:
			if name, ok := nameOf(at, v); ok {
				e.name, e.place = name, name
			}
		}
		name, again := e.name, ""
		for used[name+again] {
			last[name] = max(last[name]+1, 2)
			again = "#" + strconv.Itoa(last[name])
		}
		e.name += again
		if e.place != number {
			e.place += again
		}
		used[e.name] = true
		out[i] = e
	}
	return out
}

// nameOf is what an element of the list at a path is called.
func nameOf(at []string, v map[string]any) (string, bool) {
	var members []string
	switch list := at[len(at)-1]; {
	case list == "tools", list == "circumstances":
		members = []string{"name"}
	case list == "inputs", list == "outputs":
		members = []string{"path"}
	case list == "steps", list == "blockers":
		members = []string{"id"}
	case list == "skips":
		members = []string{"subject"}
	case list == "checks" && len(at) == 3:
		members = []string{"code", "subject"}
	case list == "measurements":
		members = []string{"step", "code", "subject"}
	}
	var words []string
	for _, m := range members {
		word, ok := v[m].(string)
		if !ok {
			return "", false
		}
		words = append(words, word)
	}
	return strings.Join(words, " "), len(words) > 0
}
