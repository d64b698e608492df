package result

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// maxSamples is the number of rows in one list of samples: the first three and the
// last three by id, or all when there are no more than six.
const maxSamples = 6

// Samples are rows that stand for the others. Each list has at most 6.
type Samples struct {
	// TargetBefore is the target before the load, SourceRows what the load had to read.
	TargetBefore []Row `json:"target_before"`
	SourceRows   []Row `json:"source_rows"`
	// Expected are the oracle's rows after the load and Actual the target's.
	Expected []Row `json:"expected_rows"`
	Actual   []Row `json:"actual_rows"`
}

// Row is a row by column name. A value is the canonical text of its kind, and nil is NULL.
type Row map[string]*string

// NewRow names the values of a row. It keeps nothing of the row, so that the row may
// be used again. A text of more than 512 bytes loses its end and says so.
func NewRow(columns []fixture.Column, row fixture.Row) Row {
	named := make(Row, len(columns))
	for i, c := range columns {
		if i >= len(row) {
			break
		}
		named[c.Name] = nil
		if !row[i].Null {
			text := cut(row[i].Text, maxValue)
			named[c.Name] = &text
		}
	}
	return named
}

// Sampler picks the rows of a list of samples out of all rows, in whatever order they come.
type Sampler struct {
	columns     []fixture.Column
	id, variant int
	kept        []sample    // sorted, at most 6
	free        fixture.Row // of the row that was given up last, to be used again
}

type sample struct {
	id, variant int64
	row         fixture.Row
}

// NewSampler samples rows of these columns.
func NewSampler(columns []fixture.Column) *Sampler {
	at := func(name string) int {
		return slices.IndexFunc(columns, func(c fixture.Column) bool { return c.Name == name })
	}
	return &Sampler{columns: columns, id: at(fixture.ID), variant: at(fixture.Variant)}
}

// Add looks at a row. It keeps nothing of it but texts. Most rows cost a copy at the most:
// those that come in order replace each other at the end.
func (s *Sampler) Add(row fixture.Row) {
	next := sample{id: whole64(row, s.id), variant: whole64(row, s.variant)}
	at, _ := slices.BinarySearchFunc(s.kept, next, func(a, b sample) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.variant, b.variant))
	})
	if at == maxSamples/2 && len(s.kept) == maxSamples {
		return // three are before it and three behind
	}
	next.row = append(s.free[:0], row...)
	s.free = nil
	s.kept = slices.Insert(s.kept, at, next)
	if len(s.kept) > maxSamples {
		s.free = s.kept[maxSamples/2].row
		s.kept = slices.Delete(s.kept, maxSamples/2, maxSamples/2+1)
	}
}

// Rows are the rows that were picked, by id and version.
func (s *Sampler) Rows() []Row {
	rows := make([]Row, len(s.kept))
	for i := range s.kept {
		rows[i] = NewRow(s.columns, s.kept[i].row)
	}
	return rows
}

// whole64 is a value as a number; what is none sorts first.
func whole64(row fixture.Row, at int) int64 {
	if at < 0 || at >= len(row) {
		return 0
	}
	n, _ := strconv.ParseInt(row[at].Text, 10, 64) // the comparison tells of a value that is none
	return n
}
