package matrix

import (
	"fmt"
	"strings"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// The part of the fixture that replace, partition_replace and backfill load: two days, of which the change empties the second.
const (
	windowFrom = "2026-06-03"
	windowLast = "2026-06-04"
	windowTo   = "2026-06-05"
)

// settings are what a strategy needs in a manifest, besides the two sides.
type settings struct {
	strategy []string // lines below sink.strategy
	source   []string // lines below source.options
	state    []string // lines below state
	rest     []string // further top-level lines
	// ownFirst is true for strategies that load the rows before the change themselves, since they go on from what they remember.
	ownFirst bool
}

// settingsFor says how a strategy is used in a case. The names are unique in the run.
func settingsFor(mode manifest.Mode, name string) settings {
	key := "unique_key: " + fixture.ID
	reconcile := []string{"reconciliation: {enabled: true}"}
	s := settings{strategy: []string{"mode: " + string(mode)}}
	add := func(lines ...string) { s.strategy = append(s.strategy, lines...) }
	switch mode {
	case manifest.IncrementalAppend:
		s.state = []string{"window: delta"}
	case manifest.IncrementalMerge:
		add(key)
		s.source, s.rest, s.ownFirst = []string{"incremental_column: " + fixture.UpdatedAt}, reconcile, true
	case manifest.Replace:
		add(fmt.Sprintf("custom_predicate: \"%s >= '%s'\"", fixture.BusinessDate, windowFrom))
	case manifest.PartitionReplace:
		add(fmt.Sprintf("partition: {column: %s, values: [%q, %q]}", fixture.BusinessDate, windowFrom, windowLast))
	case manifest.SnapshotDiff:
		add(key)
	case manifest.SCD2:
		add(key)
		s.ownFirst = true
	case manifest.Backfill:
		add(fmt.Sprintf("backfill: {column: %s, from: %q, to: %q, chunk_size: 1d, run_key: %s}", fixture.BusinessDate, windowFrom, windowTo, name))
	case manifest.XMin:
		add(key)
		s.rest, s.ownFirst = reconcile, true
	case manifest.CDC:
		add(key)
		s.source, s.ownFirst = []string{fmt.Sprintf("cdc: {slot: dpone_%[1]s, publication: dpone_%[1]s}", name)}, true
	}
	return s
}

// text writes a manifest of the two sides.
func text(name string, source, sink system.Fragment, s settings) string {
	var b strings.Builder
	side := func(indent string, lines []string) {
		for _, line := range lines {
			b.WriteString(indent + line + "\n")
		}
	}
	options := func(lines ...string) {
		if len(lines) > 0 {
			b.WriteString("  options:\n")
			side("    ", lines)
		}
	}
	fmt.Fprintf(&b, "name: %s\nsource:\n", name)
	side("  ", source.Lines)
	options(append(append([]string{}, source.Options...), s.source...)...)
	b.WriteString("sink:\n")
	side("  ", sink.Lines)
	b.WriteString("  strategy:\n")
	side("    ", s.strategy)
	options(sink.Options...)
	state := s.state
	if sink.State != "" {
		state = append([]string{"schema: " + sink.State}, state...)
	}
	if len(state) > 0 {
		b.WriteString("state:\n")
		side("  ", state)
	}
	side("", s.rest)
	return b.String()
}
