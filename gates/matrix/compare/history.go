package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
)

// The places of the history's columns behind those of the fixture, as oracle.HistoryColumns has them.
const (
	historyFrom = iota
	historyTo
	historyCurrent
	historyHash
	historyColumns
)

// layout is the canonical text of a timestamptz.
const layout = "2006-01-02T15:04:05.000000Z"

// instant reads microseconds since 1970.
func instant(v fixture.Value) (int64, bool) {
	at, err := time.Parse(layout, v.Text)
	if v.Null || err != nil || at.Format(layout) != v.Text {
		return 0, false
	}
	return at.UnixMicro(), true
}

// span is the time in which a version was valid.
type span struct {
	from, to       int64
	current, ended bool // ended says that there is an end
	closed         bool // is_current is false
}

// as says whether the version is current, or closed, as the oracle wants it.
func (s span) as(w oracle.Want) bool {
	if w.Closed {
		return s.closed && s.ended
	}
	return s.current && !s.ended
}

// history is what is known of the versions of each key.
type history struct {
	current counted // rows that say that they are current
	closed  int64   // rows that say that they are not
	digest  sum
	h       hasher
	row5    fixture.Row // the id and the history's columns
	numbers []byte      // by id, from 1: current rows in the low, closed rows in the high four bits, 15 for more
	faults  []fault     // the least keys
	faulty  int64
	noHash  int64

	seeded  bounds // begin of the versions from before the change
	opening bounds // begin of the versions of the change
	gone    bounds // end of keys that the change deletes
}

// pairs are the keys of a segment that are to have a closed and a current version.
type pairs struct {
	end, begin []int64  // of the closed, of the current version
	old, young []uint64 // prints of their row hashes
}

// bounds are the least and the greatest of some times.
type bounds struct{ least, greatest int64 }

var none = bounds{math.MaxInt64, math.MinInt64}

func (b *bounds) add(at int64) { b.least, b.greatest = min(b.least, at), max(b.greatest, at) }
func (b bounds) empty() bool   { return b.least > b.greatest }

// fault is one thing that is wrong with the versions of a key, or of all of them.
type fault struct {
	id  int64
	why string
}

const allKeys = math.MinInt64

// maxFaults is how many of them a check names.
const maxFaults = 3

func newHistory(segments []segment, last int64) *history {
	h := &history{
		numbers: make([]byte, last), seeded: none, opening: none, gone: none,
		row5: make(fixture.Row, 1+historyColumns),
	}
	for i := range segments {
		s := &segments[i]
		if open, closed := wanted(s.wants); open == 1 && closed == 1 {
			n := s.last - s.first + 1
			s.pairs = &pairs{end: make([]int64, n), begin: make([]int64, n), old: make([]uint64, n), young: make([]uint64, n)}
		}
	}
	return h
}

// wanted counts the current and the closed rows.
func wanted(wants []oracle.Want) (open, closed int) {
	for _, w := range wants {
		if w.Closed {
			closed++
		} else {
			open++
		}
	}
	return open, closed
}

func (h *history) fault(id int64, format string, args ...any) {
	h.faulty++
	f := fault{id, fmt.Sprintf(format, args...)}
	i, _ := slices.BinarySearchFunc(h.faults, f, func(a, b fault) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.why, b.why)) })
	if i < maxFaults {
		h.faults = slices.Insert(h.faults, i, f)
		h.faults = h.faults[:min(len(h.faults), maxFaults)]
	}
}

// row takes the history's columns of a row; s is nil for a key that the fixture does not have.
func (h *history) row(s *segment, id int64, key fixture.Value, row fixture.Row) span {
	h.row5[0] = key
	copy(h.row5[1:], row)
	h.digest.add(h.h.row(h.row5))

	v := span{ended: !row[historyTo].Null}
	var begins, ends bool
	v.from, begins = instant(row[historyFrom])
	v.to, ends = instant(row[historyTo])
	switch flag := row[historyCurrent]; {
	case !flag.Null && flag.Text == "true":
		v.current = true
	case !flag.Null && flag.Text == "false":
		v.closed = true
		h.closed++
	default:
		h.fault(id, "%s is %s", oracle.IsCurrent, show(flag))
	}
	if !begins {
		h.fault(id, "%s is %s", oracle.ValidFrom, show(row[historyFrom]))
	}
	switch {
	case v.ended && !ends:
		h.fault(id, "%s is %s", oracle.ValidTo, show(row[historyTo]))
	case v.current && v.ended:
		h.fault(id, "a current version ends at %s", row[historyTo].Text)
	case v.closed && !v.ended:
		h.fault(id, "a closed version has no end")
	case v.ended && begins && v.from >= v.to:
		h.fault(id, "a version from %s ends at %s", row[historyFrom].Text, row[historyTo].Text)
	}
	print := uint64(0)
	if hash := row[historyHash]; hash.Null || hash.Text == "" {
		h.noHash++
	} else {
		print = printOf(hash.Text)
	}
	if s != nil {
		h.note(s, id, v, print, begins, ends)
	}
	return v
}

func printOf(s string) uint64 { return hash([]byte(s)) }

// note remembers what has to fit together in the end.
func (h *history) note(s *segment, id int64, v span, print uint64, begins, ends bool) {
	open, closed := wanted(s.wants)
	changed := open == 1 && s.wants[len(s.wants)-1].Version == fixture.After
	n := &h.numbers[id-1]
	p := s.pairs
	i := id - s.first
	switch {
	case v.current:
		if *n&15 < 15 {
			*n++
		}
		if p != nil {
			p.begin[i], p.young[i] = v.from, print
		}
		if begins && changed {
			h.opening.add(v.from)
		} else if begins {
			h.seeded.add(v.from)
		}
	case v.closed:
		if *n>>4 < 15 {
			*n += 16
		}
		if p != nil {
			p.end[i], p.old[i] = v.to, print
		} else if ends && closed == 1 {
			h.gone.add(v.to)
		}
		if begins {
			h.seeded.add(v.from)
		}
	}
}

// versions is what was found of a history.
type versions struct {
	current                counted
	closed, expectedClosed int64
	faulty                 int64
	faults                 []fault
	renewed, expected      int64 // keys that have a second version, and that are to have one
	sameHash, noHash       int64
}

func (h *history) end(segments []segment) *versions {
	v := &versions{current: h.current, closed: h.closed, noHash: h.noHash}
	for i := range segments {
		s := &segments[i]
		open, closed := wanted(s.wants)
		ids := s.last - s.first + 1
		v.expectedClosed += ids * int64(closed)
		p := s.pairs
		if p != nil {
			v.expected += ids
		}
		for id := s.first; id <= s.last; id++ {
			isOpen, isClosed := int(h.numbers[id-1]&15), int(h.numbers[id-1]>>4)
			if isOpen+isClosed > 1 {
				v.renewed++
			}
			if isOpen != open || isClosed != closed {
				h.fault(id, "%d current and %d closed versions instead of %d and %d", isOpen, isClosed, open, closed)
				continue
			}
			if p == nil {
				continue
			}
			k := id - s.first
			if end, begin := p.end[k], p.begin[k]; end != begin {
				h.fault(id, "a version ends at %s and the next begins at %s", micro(end), micro(begin))
			}
			if p.old[k] == p.young[k] {
				v.sameHash++
			}
		}
	}
	if first := min(h.opening.least, h.gone.least); !h.seeded.empty() && first != math.MaxInt64 && h.seeded.greatest >= first {
		h.fault(allKeys, "a version from before the change begins at %s, and the change is at %s", micro(h.seeded.greatest), micro(first))
	}
	if !h.gone.empty() && !h.opening.empty() && (h.gone.least < h.opening.least || h.gone.greatest > h.opening.greatest) {
		h.fault(allKeys, "deleted keys end from %s to %s, and the change is from %s to %s",
			micro(h.gone.least), micro(h.gone.greatest), micro(h.opening.least), micro(h.opening.greatest))
	}
	v.faulty, v.faults = h.faulty, h.faults
	return v
}

func micro(us int64) string { return time.UnixMicro(us).UTC().Format(layout) }
