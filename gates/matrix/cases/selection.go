package cases

import (
	"errors"
	"slices"
	"strings"
)

// The flags that select cases, and the variables with the same meaning.
const (
	FlagSource   = "-source"
	FlagSink     = "-sink"
	FlagStrategy = "-strategy"
	FlagCaseID   = "-caseID"

	EnvSource   = "DPONE_MATRIX_SOURCE"
	EnvSink     = "DPONE_MATRIX_SINK"
	EnvStrategy = "DPONE_MATRIX_STRATEGY"
	EnvCaseID   = "DPONE_MATRIX_CASE_ID"
)

// Selection says which cases are wanted. A list that is empty selects everything; a
// case must be in all of them.
type Selection struct {
	Sources    []string `json:"sources,omitempty"`
	Sinks      []string `json:"sinks,omitempty"`
	Strategies []string `json:"strategies,omitempty"`
	CaseIDs    []string `json:"case_ids,omitempty"`
	// Origins tell for a flag where its list was really given, when it was not the flag; for messages.
	Origins map[string]string `json:"-"`
}

// SelectionFlags are the lists of the command line; nil means not given, which is not
// the same as given and empty.
type SelectionFlags struct{ Source, Sink, Strategy, CaseID *string }

// SelectionFrom reads the lists of the command line and, for those that are not given
// there, of the environment. The error holds a [*FieldError] for each list that is none.
func SelectionFrom(getenv func(string) string, flags SelectionFlags) (Selection, error) {
	s := Selection{Origins: map[string]string{}}
	var problems []error
	for _, list := range []struct {
		flag, env string
		given     *string
		into      *[]string
	}{
		{FlagSource, EnvSource, flags.Source, &s.Sources},
		{FlagSink, EnvSink, flags.Sink, &s.Sinks},
		{FlagStrategy, EnvStrategy, flags.Strategy, &s.Strategies},
		{FlagCaseID, EnvCaseID, flags.CaseID, &s.CaseIDs},
	} {
		field, text := list.flag, ""
		if list.given != nil {
			text = *list.given
		} else if text = getenv(list.env); text != "" {
			field = list.env
			s.Origins[list.flag] = list.env
		}
		items, err := ParseList(text)
		if err != nil {
			problems = append(problems, &FieldError{Field: field, Value: text, Problem: err.Error(), Fix: "separate names by single commas, or write * for all"})
			continue
		}
		*list.into = items
	}
	if err := errors.Join(problems...); err != nil {
		return Selection{}, err
	}
	return s, nil
}

var (
	errEmptyItem = errors.New("has an empty item")
	errStar      = errors.New("has a * beside other names")
)

// ParseList reads names that are separated by commas. Nothing and "*" mean all, for
// which it gives nil. White space around names does not count, a name that comes
// again is one name, and an empty name is an error.
func ParseList(text string) ([]string, error) {
	if t := strings.TrimSpace(text); t == "" || t == "*" {
		return nil, nil
	}
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		switch item = strings.TrimSpace(item); {
		case item == "":
			return nil, errEmptyItem
		case item == "*":
			return nil, errStar
		case !slices.Contains(items, item):
			items = append(items, item)
		}
	}
	return items, nil
}

// Partial is true when any list is given: what such a selection says counts for its cases alone.
func (s Selection) Partial() bool {
	return len(s.Sources)+len(s.Sinks)+len(s.Strategies)+len(s.CaseIDs) > 0
}

// Select gives the cases that are in every list of the selection, in the order of all.
// It may give none, which the caller must not take for success. The error holds a
// [*FieldError] for each name that no case has.
func Select(all []Case, s Selection) ([]Case, error) {
	axes := []struct {
		flag, kind string
		wanted     []string
		of         func(Case) string
	}{
		{FlagSource, "source", s.Sources, func(c Case) string { return c.Source }},
		{FlagSink, "sink", s.Sinks, func(c Case) string { return c.Sink }},
		{FlagStrategy, "strategy", s.Strategies, func(c Case) string { return string(c.Strategy) }},
		{FlagCaseID, "case", s.CaseIDs, func(c Case) string { return c.ID }},
	}
	var problems []error
	selected := slices.Clone(all)
	for _, axis := range axes {
		if len(axis.wanted) == 0 {
			continue
		}
		field := axis.flag
		if origin := s.Origins[axis.flag]; origin != "" {
			field = origin
		}
		names := distinct(all, axis.of)
		for _, name := range axis.wanted {
			if !slices.Contains(names, name) {
				problems = append(problems, unknown(field, name, axis.kind, "mage matrix:list", names))
			}
		}
		selected = slices.DeleteFunc(selected, func(c Case) bool { return !slices.Contains(axis.wanted, axis.of(c)) })
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if selected == nil {
		selected = []Case{}
	}
	return selected, nil
}

// distinct gives the values of the cases in the order in which they first come.
func distinct(all []Case, of func(Case) string) []string {
	var values []string
	seen := map[string]bool{}
	for _, c := range all {
		if v := of(c); !seen[v] {
			seen[v] = true
			values = append(values, v)
		}
	}
	return values
}
