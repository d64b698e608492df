package manifest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

// Width is how wide a chunk or how old a value may be: a count of integers, or of
// units of time. A day is 24 hours, a week 7 days.
type Width struct {
	// Count is at least 1.
	Count int64
	// Unit is a second, minute, hour, day or week; 0 for integers.
	Unit time.Duration
}

// Duration is the time that the width takes; 0 for integers.
func (w Width) Duration() time.Duration { return time.Duration(w.Count) * w.Unit }

const day = 24 * time.Hour

var widthForm = regexp.MustCompile(`^([0-9]{1,19})([smhdw]?)$`)

// ParseWidth reads a whole number from 1 up ("10000") or one with a unit: s, m, h, d or w
// ("90s", "30m", "6h", "1d", "1w").
func ParseWidth(s string) (Width, error) {
	parts := widthForm.FindStringSubmatch(s)
	if parts == nil {
		return Width{}, fmt.Errorf("width %q is not a whole number, or one with a unit s, m, h, d or w", s)
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || n == 0 {
		return Width{}, fmt.Errorf("width %q is not between 1 and %d", s, int64(math.MaxInt64))
	}
	w := Width{Count: n, Unit: map[string]time.Duration{
		"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day,
	}[parts[2]]}
	if w.Unit > 0 && n > math.MaxInt64/int64(w.Unit) {
		return Width{}, fmt.Errorf("width %q is more than 292 years", s)
	}
	return w, nil
}
