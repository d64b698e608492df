package postgres

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestMajor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"15.18 (Debian 15.18-0+deb12u1)": 15, "14": 14, "17beta2": 17, "": 0, "devel": 0} {
		assert.Equal(t, major(text), want, text)
	}
}

// TestListed: the window lists its transactions, in 32 bits and without the numbers that are none.
func TestListed(t *testing.T) {
	t.Parallel()
	const epoch = uint64(1) << 32
	for _, c := range []struct {
		lower, upper, most uint64
		want               string
	}{
		{700, 700, 8, "xmin = ANY ('{}'::xid[])"},
		{700, 703, 8, "xmin = ANY ('{700,701,702}'::xid[])"},
		{700, 708, 8, "xmin = ANY ('{700,701,702,703,704,705,706,707}'::xid[])"},
		{700, 709, 8, "age(xmin) <= (SELECT age('700'::xid))"},
		{epoch - 2, epoch + 5, 8, "xmin = ANY ('{4294967294,4294967295,3,4}'::xid[])"},
		{5*epoch + 9, 5*epoch + 10, 8, "xmin = ANY ('{9}'::xid[])"},
		{708, 700, 8, "age(xmin) <= (SELECT age('708'::xid))"}, // a snapshot of an older copy, of which the caller tells
	} {
		assert.Equal(t, inWindow(c.lower, c.upper, c.most), c.want)
	}
	assert.Equal(t, strings.Count(inWindow(1000, 2000, maxListed(14)), ","), 999)
	assert.Equal(t, inWindow(1000, 2001, maxListed(14)), sinceXID(1000))
	assert.Equal(t, inWindow(1000, 1009, maxListed(13)), sinceXID(1000))
}
