package tlog

import (
	"bytes"
	"testing"
)

func FuzzSplitBundle(f *testing.F) {
	f.Add(appendEntry(appendEntry(nil, []byte("a")), []byte("bc")), 2)
	f.Add([]byte{0xff, 0xff, 0}, 1)
	f.Add([]byte{0, 0}, 1)
	f.Fuzz(func(t *testing.T, raw []byte, count int) {
		if count < 0 || count > tileWidth {
			return
		}
		entries, rest, err := splitBundle(raw, count)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = appendEntry(again, e)
		}
		if len(entries) != count || !bytes.Equal(append(again, rest...), raw) {
			t.Fatalf("%d entries of %q", len(entries), raw)
		}
	})
}
