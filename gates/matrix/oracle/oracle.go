// Package oracle says what a target must hold after each load strategy, and before
// it. The answer is set algebra over the fixture's ids: which rows were there, which
// are there now, which the change tells of. Nothing is loaded to find it, and no code
// is shared with what loads.
package oracle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// The columns that an scd2 target has beside the fixture's, in this order.
const (
	ValidFrom = "__dpone__valid_from_at"
	ValidTo   = "__dpone__valid_to_at"
	IsCurrent = "__dpone__is_current"
	RowHash   = "__dpone__row_hash"
)

// HistoryColumns describes them. Their values are the load's own, so that only their
// relations can be told beforehand.
func HistoryColumns() []fixture.Column {
	return []fixture.Column{
		{Name: ValidFrom, Kind: fixture.TimestampTZ, NotNull: true},
		{Name: ValidTo, Kind: fixture.TimestampTZ},
		{Name: IsCurrent, Kind: fixture.Bool, NotNull: true},
		{Name: RowHash, Kind: fixture.Text, NotNull: true},
	}
}

// The windows of the strategies that load only some partitions of the business date.
const (
	replaceFrom  = fixture.Touched // replace: this day and all later ones
	backfillUpTo = "2026-06-05"    // backfill: the days from Touched to this one
)

// Want is one row that the target must hold.
type Want struct {
	Version fixture.Version
	// Current and Closed tell the versions of a history apart. Neither is set
	// where the target keeps none.
	Current, Closed bool
}

// Expected is what a target must hold. It is safe for use by several goroutines.
type Expected struct {
	f      *fixture.Fixture
	source int64
	keyed  bool
	of     func(sets) []Want
}

// sets says to which sets an id belongs.
type sets struct {
	before  bool // a row of it is there before the change
	after   bool // and after it
	touched bool // the change tells of it
	date    string
}

func setsOf(f *fixture.Fixture, id int64) sets {
	return sets{
		before:  f.Deleted(id) || f.Updated(id) || f.Stable(id),
		after:   f.Updated(id) || f.Stable(id) || f.Inserted(id),
		touched: f.Deleted(id) || f.Updated(id) || f.Inserted(id),
		date:    f.Date(id),
	}
}

// The answers, made once, because Of is asked for every id.
var (
	was       = []Want{{Version: fixture.Before}}
	is        = []Want{{Version: fixture.After}}
	wasAndIs  = []Want{{Version: fixture.Before}, {Version: fixture.After}}
	wasAndWas = []Want{{Version: fixture.Before}, {Version: fixture.Tombstone}}
	current   = []Want{{Version: fixture.Before, Current: true}}
	closed    = []Want{{Version: fixture.Before, Closed: true}}
	replaced  = []Want{{Version: fixture.Before, Closed: true}, {Version: fixture.After, Current: true}}
	opened    = []Want{{Version: fixture.After, Current: true}}
)

// now is the row that the source has after the change.
func (s sets) now() []Want {
	switch {
	case !s.after:
		return nil
	case s.touched:
		return is
	}
	return was
}

// window is the target of a strategy that empties the window and fills it from the source.
func window(in func(date string) bool) func(sets) []Want {
	return func(s sets) []Want {
		switch {
		case in(s.date):
			return s.now()
		case s.before:
			return was
		}
		return nil
	}
}

// strategy is how an id gets from one state to the other, and which rows of the source are read for it.
type strategy struct {
	name  string
	keyed bool
	of    func(sets) []Want
	reads func(sets) bool
}

var strategies = []strategy{
	// The source as it is, whatever was there.
	{"full_refresh", true, sets.now, isThere},
	// Nothing is taken away; every event is one more row.
	{"incremental_append", false, appended, isTouched},
	// Rows of the window by their key; keys that are gone from the source are found by looking at all of them.
	{"incremental_merge", true, merged, isChanged},
	{"replace", true, window(inReplace), within(inReplace)},
	{"partition_replace", true, window(inPartitions), within(inPartitions)},
	{"snapshot_diff", true, sets.now, isThere},
	{"scd2", false, historical, isThere},
	{"backfill", true, window(inBackfill), within(inBackfill)},
	{"xmin", true, merged, isChanged},
	{"cdc", true, followed, isTouched},
}

func isThere(s sets) bool   { return s.after }
func isTouched(s sets) bool { return s.touched }
func isChanged(s sets) bool { return s.touched && s.after }

func within(in func(string) bool) func(sets) bool {
	return func(s sets) bool { return s.after && in(s.date) }
}

func inReplace(date string) bool    { return date >= replaceFrom }
func inPartitions(date string) bool { return date == fixture.Touched || date == fixture.Emptied }
func inBackfill(date string) bool   { return date >= fixture.Touched && date <= backfillUpTo }

func appended(s sets) []Want {
	switch {
	case s.before && s.touched && s.after:
		return wasAndIs
	case s.before && s.touched:
		return wasAndWas
	case s.before:
		return was
	case s.touched:
		return is
	}
	return nil
}

func merged(s sets) []Want {
	switch {
	case isChanged(s):
		return is
	case s.before && s.after:
		return was
	}
	return nil
}

// followed plays the events: a delete takes the row away, an insert or an update leaves what the event tells.
func followed(s sets) []Want {
	switch {
	case s.touched && !s.after:
		return nil
	case s.touched:
		return is
	case s.before:
		return was
	}
	return nil
}

func historical(s sets) []Want {
	switch {
	case s.before && s.touched && s.after:
		return replaced
	case s.before && s.touched:
		return closed
	case s.before:
		return current
	case s.after:
		return opened
	}
	return nil
}

// Strategies lists the strategies that the oracle knows.
func Strategies() []string {
	var names []string
	for _, s := range strategies {
		names = append(names, s.name)
	}
	return names
}

// For says what the target must hold after the strategy has loaded the change into
// a target that held the rows of Before.
func For(name string, f *fixture.Fixture) (*Expected, error) {
	i := slices.IndexFunc(strategies, func(s strategy) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("oracle: strategy %q is not one of %s", name, strings.Join(Strategies(), ", "))
	}
	s := strategies[i]
	e := &Expected{f: f, keyed: s.keyed, of: s.of}
	e.source = e.count(func(in sets) int64 {
		if s.reads(in) {
			return 1
		}
		return 0
	})
	return e, nil
}

// Before says what the target must hold before the change.
func Before(f *fixture.Fixture) *Expected {
	return &Expected{f: f, source: f.Counts().Rows, keyed: true, of: func(s sets) []Want {
		if s.before {
			return was
		}
		return nil
	}}
}

// Of lists what the target must hold for an id, at most one row of each version; the caller does not change it.
func (e *Expected) Of(id int64) []Want {
	if id < 1 || id > e.f.Last() {
		return nil
	}
	return e.of(setsOf(e.f, id))
}

// IDs are the least and the greatest id of the fixture; Of an id outside is nothing.
func (e *Expected) IDs() (first, last int64) { return 1, e.f.Last() }

// Keyed says whether the target has at most one row of each id.
func (e *Expected) Keyed() bool { return e.keyed }

// Rows is the number of rows that the target must hold.
func (e *Expected) Rows() int64 {
	return e.count(func(s sets) int64 { return int64(len(e.of(s))) })
}

// SourceRows is the number of rows, or of changes, that the strategy reads from the source.
func (e *Expected) SourceRows() int64 { return e.source }

// count adds up over all ids. The ids between two bounds belong to the same sets but
// for the two dates of the stable ones, which no window tells apart.
func (e *Expected) count(rows func(sets) int64) int64 {
	c := e.f.Counts()
	var n, first int64 = 0, 1
	for _, last := range []int64{c.Deleted / 2, c.Deleted, c.Deleted + c.Updated, c.Rows, e.f.Last()} {
		if last >= first {
			n += (last - first + 1) * rows(setsOf(e.f, first))
			first = last + 1
		}
	}
	return n
}
