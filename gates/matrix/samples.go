package matrix

import (
	"strings"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/oracle"
	"github.com/dpone/dpone/gates/matrix/result"
)

// edge is how many ids of either end are looked at for samples; each has a row at least.
const edge = 3

// ends are the first and the last ids that have something.
func ends(first, last int64, has func(id int64) bool) map[int64]bool {
	found := map[int64]bool{}
	for id, n := first, 0; id <= last && n < edge; id++ {
		if has(id) {
			found[id], n = true, n+1
		}
	}
	for id, n := last, 0; id >= first && n < edge; id-- {
		if has(id) {
			found[id], n = true, n+1
		}
	}
	return found
}

// sample picks rows for a reader: those that were expected, and those that the source had for it.
func (w *work) sample(expected *oracle.Expected) (wanted map[int64]bool) {
	columns, row := w.f.Columns(), fixture.Row(nil)
	pick := func(has func(id int64) []fixture.Version) []result.Row {
		s := result.NewSampler(columns)
		for id := range ends(1, w.f.Last(), func(id int64) bool { return len(has(id)) > 0 }) {
			for _, version := range has(id) {
				row = w.f.Row(id, version, nil)
				s.Add(row)
			}
		}
		return s.Rows()
	}
	versions := func(id int64) (list []fixture.Version) {
		for _, want := range expected.Of(id) {
			list = append(list, want.Version)
		}
		return list
	}
	w.r.Samples.Expected = pick(versions)
	w.r.Samples.SourceRows = pick(func(id int64) []fixture.Version {
		changed := w.f.Updated(id) || w.f.Inserted(id)
		switch {
		case changed:
			return []fixture.Version{fixture.After}
		case w.mode == manifest.IncrementalAppend && w.f.Deleted(id):
			return []fixture.Version{fixture.Tombstone}
		case w.mode == manifest.IncrementalAppend || w.f.Deleted(id):
			return nil
		}
		return []fixture.Version{fixture.Before}
	})
	w.r.Samples.TargetBefore = pick(func(id int64) []fixture.Version {
		if w.f.Inserted(id) {
			return nil
		}
		return []fixture.Version{fixture.Before}
	})
	return ends(1, w.f.Last(), func(id int64) bool { return len(versions(id)) > 0 })
}

// keep makes a row one's own.
func keep(row fixture.Row) fixture.Row {
	own := make(fixture.Row, len(row))
	for i := range row {
		own[i] = fixture.Value{Null: row[i].Null, Text: strings.Clone(row[i].Text)}
	}
	return own
}
