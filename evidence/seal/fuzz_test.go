package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dpone/dpone/evidence/seal"
)

// Whatever is read is written back byte for byte, and its paths are safe.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(text("", "")))
	f.Add([]byte(text(`"a"`, `"../a"`)))
	f.Add([]byte(text(`"size": 0,`, `"size": 0, "x": [[{}]],`)))
	f.Add([]byte(`{"files":[{},{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		x, err := seal.Decode(raw)
		if err != nil {
			return
		}
		again, err := x.Encode()
		if err != nil || !bytes.Equal(raw, again) {
			t.Fatalf("%q is not %q (%v)", again, raw, err)
		}
		for i, file := range x.Files {
			if i > 0 && x.Files[i-1].Path >= file.Path {
				t.Fatalf("%q is not after %q", file.Path, x.Files[i-1].Path)
			}
			if strings.HasPrefix(file.Path, "/") || strings.Contains("/"+file.Path+"/", "/../") || strings.ContainsAny(file.Path, "\\:\x00\n") {
				t.Fatalf("%q is not safe", file.Path)
			}
		}
	})
}
