package compare

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
)

// maxDifferences is how many keys an outcome names.
const maxDifferences = 20

// maxKept is how many rows of one key are kept to say what is wrong with them.
const maxKept = 4

// Comparison takes the rows of a target one by one and holds them against what the
// oracle expects. It keeps some bytes for each id and no rows but those it will name
// as different. It is used by one goroutine.
type Comparison struct {
	f        *fixture.Fixture
	columns  []fixture.Column
	segments []segment
	expected tally
	current  counted // the expected rows that are current

	h       hasher
	actual  tally
	seen    []byte   // by id, from 1: bit i is the i-th wanted row
	surplus []uint32 // by id, from 1: rows that were not wanted; made when there is one
	outside int64    // such rows of ids that the fixture does not have
	matched int64    // rows that were wanted
	before  int64    // those of them that the target had before the change
	deleted int64    // rows of ids that the change deletes
	least   int64    // the least such id
	bad     int64    // rows that cannot be read as a row of the fixture
	badRows []Difference
	kept    []keptRows // by id, the least ids that have rows that were not wanted
	history *history
}

// counted is a number of rows with their digest.
type counted struct {
	rows int64
	sum  sum
}

// segment is a range of ids of which the same is wanted.
type segment struct {
	first, last int64
	wants       []oracle.Want
	parts       []*part // of each want
	pairs       *pairs  // when each key is to have a closed and a current version, and the target keeps a history
}

// part is what is known of a version of a range of ids.
type part struct {
	tally
	prints []uint64 // of each row, the first 8 bytes of its SHA-256
}

type keptRows struct {
	id   int64
	rows []keptRow
}

type keptRow struct {
	print string // of all values, for an order that does not depend on that of arrival
	row   fixture.Row
}

// New returns a comparison of a target with what is expected of it. With history the
// target's rows have the columns of [oracle.HistoryColumns] behind those of the fixture, and
// a row that is expected neither current nor closed is the current version of its key.
//
// What is derived of the fixture's rows is kept with the fixture and used again by every other comparison.
func New(f *fixture.Fixture, expected *oracle.Expected, withHistory bool) *Comparison {
	c := &Comparison{f: f, columns: f.Columns(), segments: segments(f, expected)}
	c.expected.columns = make([]columnSum, len(c.columns))
	c.actual.columns = make([]columnSum, len(c.columns))
	for i := range c.segments {
		s := &c.segments[i]
		for _, w := range s.wants {
			p := partOf(f, s.first, s.last, w.Version)
			s.parts = append(s.parts, p)
			c.expected.join(&p.tally)
			if !w.Closed {
				c.current.rows += p.rows
				c.current.sum.join(p.all)
			}
		}
	}
	_, last := expected.IDs()
	c.seen = make([]byte, last)
	if withHistory {
		c.history = newHistory(c.segments, last)
	}
	return c
}

// segments divides the ids wherever something else is wanted, and wherever another
// group of the fixture begins, so that all strategies ask for the same few ranges.
func segments(f *fixture.Fixture, expected *oracle.Expected) []segment {
	var all []segment
	group := func(id int64) [3]bool { return [3]bool{f.Deleted(id), f.Updated(id), f.Inserted(id)} }
	first, last := expected.IDs()
	for id := first; id <= last; id++ {
		wants := expected.Of(id)
		if n := len(all); n > 0 && group(id) == group(all[n-1].first) && slices.Equal(wants, all[n-1].wants) {
			all[n-1].last = id
			continue
		}
		all = append(all, segment{first: id, last: id, wants: wants})
	}
	return all
}

// partKey is the key under which the fixture keeps a part.
type partKey struct {
	first, last int64
	version     fixture.Version
}

func partOf(f *fixture.Fixture, first, last int64, v fixture.Version) *part {
	return f.Keep(partKey{first, last, v}, func() any {
		var h hasher
		var row fixture.Row
		p := &part{prints: make([]uint64, 0, last-first+1)}
		p.columns = make([]columnSum, len(f.Columns()))
		for id := first; id <= last; id++ {
			row = f.Row(id, v, row)
			digest := h.add(&p.tally, row)
			p.prints = append(p.prints, binary.BigEndian.Uint64(digest[:]))
		}
		return p
	}).(*part)
}

func (c *Comparison) segment(id int64) *segment {
	for i := range c.segments {
		if s := &c.segments[i]; id >= s.first && id <= s.last {
			return s
		}
	}
	return nil
}

// width is the number of values of a row.
func (c *Comparison) width() int {
	if c.history != nil {
		return len(c.columns) + historyColumns
	}
	return len(c.columns)
}

// Row takes one row of the target, in any order. The row is the caller's when it
// returns. A row that cannot be read as one of the fixture's is counted and named.
func (c *Comparison) Row(row fixture.Row) {
	if len(row) != c.width() {
		c.actual.rows++
		c.actual.all.add(c.h.row(row))
		key := "NULL"
		if len(row) > 0 {
			key = show(row[0])
		}
		c.malformed(Difference{
			Key: key, Kind: "extra",
			Expected: fmt.Sprintf("%d values", c.width()), Actual: fmt.Sprintf("%d values", len(row)),
		})
		return
	}
	content := row[:len(c.columns)]
	digest := c.h.add(&c.actual, content)
	id, err := strconv.ParseInt(content[0].Text, 10, 64)
	if err != nil || content[0].Null || strconv.FormatInt(id, 10) != content[0].Text {
		c.malformed(Difference{Key: show(content[0]), Kind: "extra", Column: fixture.ID, Expected: "a whole number", Actual: show(content[0])})
		return
	}
	if c.f.Deleted(id) {
		c.deleted++
		if c.least == 0 || id < c.least {
			c.least = id
		}
	}
	s := c.segment(id)
	var state span
	if c.history != nil {
		state = c.history.row(s, id, content[0], row[len(c.columns):])
		if state.current {
			c.history.current.rows++
			c.history.current.sum.add(digest)
		}
	}
	if s == nil || !c.match(s, id, binary.BigEndian.Uint64(digest[:]), state) {
		c.unwanted(id, row)
	}
}

// match marks the wanted row that a row is, if there is one that has not come before.
func (c *Comparison) match(s *segment, id int64, print uint64, state span) bool {
	for i, w := range s.wants {
		switch {
		case s.parts[i].prints[id-s.first] != print,
			c.history != nil && !state.as(w),
			c.seen[id-1]>>i&1 == 1:
			continue
		}
		c.seen[id-1] |= 1 << i
		c.matched++
		if w.Version == fixture.Before {
			c.before++
		}
		return true
	}
	return false
}

func (c *Comparison) malformed(d Difference) {
	c.bad++
	if len(c.badRows) == maxDifferences && compareBad(d, c.badRows[len(c.badRows)-1]) >= 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(c.badRows, d, compareBad)
	c.badRows = slices.Insert(c.badRows, i, d)
	c.badRows = c.badRows[:min(len(c.badRows), maxDifferences)]
}

func compareBad(a, b Difference) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Column, b.Column), strings.Compare(a.Actual, b.Actual))
}

// unwanted counts a row that is not wanted, or not once more, and keeps it when it
// has one of the least keys of all such rows.
func (c *Comparison) unwanted(id int64, row fixture.Row) {
	if c.segment(id) == nil {
		c.outside++
	} else {
		if c.surplus == nil {
			c.surplus = make([]uint32, len(c.seen))
		}
		c.surplus[id-1]++
	}
	i, found := slices.BinarySearchFunc(c.kept, id, func(k keptRows, id int64) int { return cmp.Compare(k.id, id) })
	if !found {
		if i == maxDifferences {
			return
		}
		c.kept = slices.Insert(c.kept, i, keptRows{id: id})
		c.kept = c.kept[:min(len(c.kept), maxDifferences)]
	}
	digest := c.h.row(row)
	r := keptRow{print: string(digest[:])}
	k := &c.kept[i]
	at, _ := slices.BinarySearchFunc(k.rows, r, func(a, b keptRow) int { return strings.Compare(a.print, b.print) })
	if at == maxKept {
		return
	}
	r.row = make(fixture.Row, len(row))
	for i, v := range row { // the texts may lie in a buffer that the reader uses again
		r.row[i] = fixture.Value{Null: v.Null, Text: strings.Clone(v.Text)}
	}
	k.rows = slices.Insert(k.rows, at, r)
	k.rows = k.rows[:min(len(k.rows), maxKept)]
}

// Outcome is what a comparison found.
type Outcome struct {
	Expected Contents `json:"expected"`
	Actual   Contents `json:"actual"`
	// Differences are up to 20 keys that are not as expected: rows that could not be read first, then the least keys.
	Differences []Difference `json:"differences"`
	// Missing rows were expected and are not there, Extra rows the other way round; Changed are rows of
	// an expected key with other values. Malformed rows could not be read as rows of the fixture, and are none of these.
	Missing   int64 `json:"missing"`
	Extra     int64 `json:"extra"`
	Changed   int64 `json:"changed"`
	Malformed int64 `json:"malformed"`
	// UnexpectedNulls are the columns whose number of NULL is not the expected one.
	UnexpectedNulls []ColumnNulls `json:"unexpected_nulls"`
	// History is the digest of the history's columns beside the id; empty when the target keeps no history.
	// It is the same exactly when no version was closed, opened or moved.
	History string `json:"history,omitempty"`

	counts   fixture.Counts
	matched  int64
	before   int64
	deleted  int64
	least    int64
	current  counted
	versions *versions
}

// ColumnNulls are the numbers of NULL in one column.
type ColumnNulls struct {
	Column   string `json:"column"`
	Expected int64  `json:"expected"`
	Actual   int64  `json:"actual"`
}

// End says what was found. No row may come after it.
func (c *Comparison) End() Outcome {
	o := Outcome{
		Expected: c.expected.contents(c.columns), Actual: c.actual.contents(c.columns),
		Differences: slices.Clone(c.badRows), Extra: c.outside, Malformed: c.bad,
		counts: c.f.Counts(), matched: c.matched, before: c.before, deleted: c.deleted, least: c.least, current: c.current,
	}
	for i, column := range c.columns {
		if e, a := c.expected.columns[i].nulls, c.actual.columns[i].nulls; e != a {
			o.UnexpectedNulls = append(o.UnexpectedNulls, ColumnNulls{Column: column.Name, Expected: e, Actual: a})
		}
	}
	c.outsiders(&o, func(id int64) bool { return id < 1 })
	for i := range c.segments {
		s := &c.segments[i]
		for id := s.first; id <= s.last; id++ {
			var surplus int
			if c.surplus != nil {
				surplus = int(c.surplus[id-1])
			}
			missing := 0
			for k := range s.wants {
				if c.seen[id-1]>>k&1 == 0 {
					missing++
				}
			}
			if missing == 0 && surplus == 0 {
				continue
			}
			changed := min(missing, surplus)
			o.Changed += int64(changed)
			o.Missing += int64(missing - changed)
			o.Extra += int64(surplus - changed)
			if len(o.Differences) < maxDifferences {
				c.explain(&o, s, id)
			}
		}
	}
	c.outsiders(&o, func(id int64) bool { return id >= 1 })
	o.Differences = o.Differences[:min(len(o.Differences), maxDifferences)]
	if c.history != nil {
		o.History = c.history.digest.String()
		o.versions = c.history.end(c.segments)
	}
	return o
}

// outsiders names the rows of keys that the fixture does not have.
func (c *Comparison) outsiders(o *Outcome, which func(int64) bool) {
	for _, k := range c.kept {
		if c.segment(k.id) == nil && which(k.id) {
			for _, r := range k.rows {
				o.Differences = append(o.Differences, c.extra(k.id, r.row))
			}
		}
	}
}

func (c *Comparison) extra(id int64, row fixture.Row) Difference {
	return Difference{Key: strconv.FormatInt(id, 10), Kind: "extra", Actual: fixture.Variant + "=" + show(row[variantColumn])}
}

// variantColumn is the place of the version in a row.
const variantColumn = 5

// explain names the differences of one key: each row that is not wanted is held
// against the missing row that it is most like.
func (c *Comparison) explain(o *Outcome, s *segment, id int64) {
	var rows []fixture.Row
	if i, found := slices.BinarySearchFunc(c.kept, id, func(k keptRows, id int64) int { return cmp.Compare(k.id, id) }); found {
		for _, r := range c.kept[i].rows {
			rows = append(rows, r.row)
		}
	}
	key := strconv.FormatInt(id, 10)
	var missing []int
	for k := range s.wants {
		if c.seen[id-1]>>k&1 == 0 {
			missing = append(missing, k)
		}
	}
	for len(missing) > 0 && len(rows) > 0 {
		least, most, best := -1, -1, Difference{}
		distance := 0
		for i, k := range missing {
			want := c.f.Row(id, s.wants[k].Version, nil)
			for j, row := range rows {
				if d, n := c.diff(want, s.wants[k], row); least < 0 || n < distance {
					least, most, best, distance = i, j, d, n
				}
			}
		}
		best.Key, best.Kind = key, "changed"
		o.Differences = append(o.Differences, best)
		missing, rows = slices.Delete(missing, least, least+1), slices.Delete(rows, most, most+1)
	}
	for _, k := range missing {
		o.Differences = append(o.Differences, Difference{
			Key: key, Kind: "missing", Expected: fmt.Sprintf("%s=%d", fixture.Variant, s.wants[k].Version),
		})
	}
	for _, row := range rows {
		o.Differences = append(o.Differences, c.extra(id, row))
	}
}

// diff returns the first value that differs and how many do.
func (c *Comparison) diff(want fixture.Row, w oracle.Want, row fixture.Row) (Difference, int) {
	var first Difference
	n := 0
	add := func(column, expected, actual string) {
		if n == 0 {
			first = Difference{Column: column, Expected: expected, Actual: actual}
		}
		n++
	}
	for i := range want {
		if want[i] != row[i] && (!want[i].Null || !row[i].Null) {
			expected, actual := showBoth(want[i], row[i])
			add(c.columns[i].Name, expected, actual)
		}
	}
	if c.history == nil {
		return first, n
	}
	flag, end := row[len(want)+historyCurrent], row[len(want)+historyTo]
	if is := strconv.FormatBool(!w.Closed); flag.Null || flag.Text != is {
		add(oracle.IsCurrent, is, show(flag))
	}
	switch {
	case w.Closed && end.Null:
		add(oracle.ValidTo, "a time", "NULL")
	case !w.Closed && !end.Null:
		add(oracle.ValidTo, "NULL", show(end))
	case !end.Null:
		if _, ok := instant(end); !ok {
			add(oracle.ValidTo, "a time", show(end))
		}
	}
	return first, n
}
