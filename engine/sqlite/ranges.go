package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"
)

// shares is into how many ranges a table's rows are divided: enough for readers to end
// at about the same time, few enough for their beginnings not to count.
const shares = 64

// ranges are parts of the numbers of a table's rows. Each is read by one reader.
type ranges struct {
	least int64
	span  uint64 // the greatest number minus the least
	some  bool   // there is a row
	taken atomic.Uint64
}

// rangesOf divides a table, whose rows have a number under the name rowID.
func rangesOf(ctx context.Context, s *session, table, rowID string) (*ranges, error) {
	var least, greatest *int64
	from := "(" + rowID + ") FROM " + table
	err := s.Query(ctx, "SELECT (SELECT min"+from+"), (SELECT max"+from+")", nil, func(scan func(...any) error) error { return scan(&least, &greatest) })
	if err != nil {
		return nil, fmt.Errorf("look for the first and the last row of %s: %w", table, err)
	}
	if least == nil || greatest == nil {
		return &ranges{}, nil
	}
	return &ranges{least: *least, span: uint64(*greatest) - uint64(*least), some: true}, nil //nolint:gosec // it is right modulo 2^64
}

// take gives the bounds of the next range, both included; false when there is none left.
func (r *ranges) take() (least, greatest int64, ok bool) {
	width, n := r.span/shares+1, r.taken.Add(1)-1
	if !r.some || n > r.span/width {
		return 0, 0, false
	}
	from := n * width
	to := from + min(width-1, r.span-from)
	return r.least + int64(from), r.least + int64(to), true //nolint:gosec // it is right modulo 2^64
}

// stop leaves nothing to take.
func (r *ranges) stop() { r.taken.Store(1 << 32) }
