package cases

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
)

// familyName is what names of families are made of: they become parts of case IDs, of
// file names, of tables and of replication slots.
var familyName = regexp.MustCompile(`^[a-z0-9_]+$`)

// Registry lists the cases: each source with each sink and each strategy that the
// source feeds and the sink takes, which is what the engine itself asks of a pair. It
// is ordered by source and sink as the connectors are, then by strategy as
// [manifest.Modes] is.
//
// The error tells every problem of the declarations: a name that is none, or is there
// twice; a family that no case would name; no source or no sink at all.
func Registry(connectors []connector.Connector) ([]Case, error) {
	var problems []error
	if err := declared(connectors); err != nil {
		problems = append(problems, err)
	}
	all := []Case{}
	used, ids := map[string]bool{}, map[string]bool{}
	for _, source := range connectors {
		for _, sink := range connectors {
			if source.Source == nil || sink.Sink == nil {
				continue
			}
			for _, mode := range manifest.Modes() {
				if !slices.Contains(source.Source.Modes, mode) || !slices.Contains(sink.Sink.Modes, mode) {
					continue
				}
				c := newCase(source, sink, mode)
				if ids[c.ID] {
					problems = append(problems, fmt.Errorf("registry: two cases would have the ID %s; rename a family", c.ID))
				}
				ids[c.ID], used["source "+source.Name], used["sink "+sink.Name] = true, true, true
				all = append(all, c)
			}
		}
	}
	for _, c := range connectors {
		// A family that drops out of the registry would be green without a single case.
		if c.Source != nil && !used["source "+c.Name] {
			problems = append(problems, fmt.Errorf("registry: connector %q: no sink takes any strategy that its source feeds (%v), so no case would name it", c.Name, c.Source.Modes))
		}
		if c.Sink != nil && !used["sink "+c.Name] {
			problems = append(problems, fmt.Errorf("registry: connector %q: no source feeds any strategy that its sink takes (%v), so no case would name it", c.Name, c.Sink.Modes))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return all, nil
}

// declared checks the declarations of the families, each on its own.
func declared(connectors []connector.Connector) error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("registry: "+format, args...))
	}
	seen := map[string]bool{}
	sources, sinks := 0, 0
	for i, c := range connectors {
		if !familyName.MatchString(c.Name) {
			problem("connector %d: name %q is not made of a-z, 0-9 and _ alone", i, c.Name)
		}
		if seen[c.Name] {
			problem("connector %d: the name %q is taken by another one", i, c.Name)
		}
		seen[c.Name] = true
		if c.Source == nil && c.Sink == nil {
			problem("connector %q is neither source nor sink", c.Name)
		}
		if c.Source != nil {
			sources++
			if m, ok := unknownMode(c.Source.Modes); ok {
				problem("connector %q: its source feeds %q, which is no strategy of manifests", c.Name, m)
			}
		}
		if c.Sink != nil {
			sinks++
			if m, ok := unknownMode(c.Sink.Modes); ok {
				problem("connector %q: its sink takes %q, which is no strategy of manifests", c.Name, m)
			}
		}
	}
	if sources == 0 {
		problem("none of %d connectors is a source", len(connectors))
	}
	if sinks == 0 {
		problem("none of %d connectors is a sink", len(connectors))
	}
	return errors.Join(problems...)
}

func unknownMode(modes []manifest.Mode) (manifest.Mode, bool) {
	i := slices.IndexFunc(modes, func(m manifest.Mode) bool { return !slices.Contains(manifest.Modes(), m) })
	if i < 0 {
		return "", false
	}
	return modes[i], true
}

func newCase(source, sink connector.Connector, mode manifest.Mode) Case {
	pair := source.Name + "_to_" + sink.Name
	c := Case{
		ID: pair + "__" + string(mode), Pair: pair, Source: source.Name, Sink: sink.Name, Strategy: mode,
		Guide: "docs/strategies/" + string(mode) + ".md", Services: []string{},
		Profiles: []string{source.Name + "_local"}, LiveProfiles: []string{source.Name + "_live"},
	}
	if sink.Name != source.Name {
		c.Profiles = append(c.Profiles, sink.Name+"_local")
		c.LiveProfiles = append(c.LiveProfiles, sink.Name+"_live")
	}
	for _, needs := range []connector.Needs{source.Source.Needs, sink.Sink.Needs} {
		if needs.Service != "" {
			c.Services = append(c.Services, needs.Service)
		}
		// Whoever starts a server of its own makes its credentials as well; what cannot be
		// started has to be brought.
		if needs.Credentials && needs.Service == "" {
			c.Credentials = true
		}
	}
	slices.Sort(c.Services)
	c.Services = slices.Compact(c.Services)
	return c
}
