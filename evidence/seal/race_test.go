package seal

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"gotest.tools/v3/assert"
)

// tops opens a directory in each way there is.
func tops(t *testing.T, root string) map[string]directory {
	t.Helper()
	ways := map[string]directory{}
	for name, opts := range map[string]Options{"native": {}, "portable": {portable: true}} {
		d, err := openTop(root, opts)
		assert.NilError(t, err)
		t.Cleanup(func() { assert.Check(t, d.Close()) })
		ways[name] = d
	}
	if runtime.GOOS == "linux" {
		_, isNative := ways["native"].(*rootDir)
		assert.Assert(t, !isNative)
	}
	return ways
}

// A link is refused by the opening itself, whatever the list said before.
func TestOpenFollowsNoLink(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	assert.NilError(t, os.WriteFile(filepath.Join(root, "f"), []byte("ok\n"), 0o644))
	assert.NilError(t, os.Mkdir(filepath.Join(root, "d"), 0o755))
	assert.NilError(t, os.Symlink("f", filepath.Join(root, "to-f")))
	assert.NilError(t, os.Symlink("d", filepath.Join(root, "to-d")))
	for name, d := range tops(t, root) {
		t.Run(name, func(t *testing.T) {
			for _, wrong := range []string{"to-f", "to-d", "d", "absent", "../" + filepath.Base(root) + "/absent"} {
				_, err := d.open(wrong)
				assert.Check(t, err != nil, wrong)
			}
			for _, wrong := range []string{"to-f", "to-d", "f", "absent"} {
				_, err := d.enter(wrong)
				assert.Check(t, err != nil, wrong)
			}
			file, err := d.open("f")
			assert.NilError(t, err)
			assert.Equal(t, file.size(), int64(3))
			assert.Equal(t, file.links(), uint64(1))
			raw, err := io.ReadAll(file)
			assert.NilError(t, err)
			assert.Equal(t, string(raw), "ok\n")
			assert.NilError(t, file.Close())
			sub, err := d.enter("d")
			assert.NilError(t, err)
			_, err = sub.list(1)
			assert.ErrorIs(t, err, io.EOF)
			assert.NilError(t, sub.Close())
		})
	}
}

// reading calls back before each read, and gives a byte at a time.
type reading struct {
	from   io.Reader
	before func()
}

func (r *reading) Read(p []byte) (int, error) {
	if r.before != nil {
		r.before()
	}
	return r.from.Read(p[:1])
}

// A file that is changed in the middle of the copying is not copied, and what
// was read of it is what was hashed and written.
func TestChangedWhileCopied(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, path string)
		want   Code
	}{
		"shorter": {func(t *testing.T, path string) { assert.NilError(t, os.Truncate(path, 1)) }, CodeChanged},
		"other bytes": {func(t *testing.T, path string) {
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			assert.NilError(t, err)
			_, err = file.WriteAt([]byte("456"), 3)
			assert.NilError(t, err)
			assert.NilError(t, file.Close())
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, to := t.TempDir(), t.TempDir()
			assert.NilError(t, os.WriteFile(filepath.Join(root, "f"), []byte("012abc"), 0o644))
			file, err := tops(t, root)["native"].open("f")
			assert.NilError(t, err)
			defer file.Close()
			into, err := os.OpenRoot(to)
			assert.NilError(t, err)
			defer into.Close()
			reads := 0
			sum, problem := (&stage{root: into}).copy(t.Context(), newDigester(), "f", file.size(), &reading{from: file, before: func() {
				if reads++; reads == 3 {
					test.change(t, filepath.Join(root, "f"))
				}
			}})
			if test.want != "" {
				assert.Equal(t, problem.Code, test.want)
				return
			}
			assert.Assert(t, problem == nil)
			copied, err := os.ReadFile(filepath.Join(to, "f"))
			assert.NilError(t, err)
			assert.Equal(t, sum, hexDigest(copied))
			assert.Assert(t, sum != hexDigest([]byte("012abc")), "the index would say otherwise")
		})
	}
}

// A failure to read is never taken for the end of the file.
func TestReadFails(t *testing.T) {
	t.Parallel()
	_, problem := newDigester().digest(t.Context(), "f", 10, iotest.TimeoutReader(&reading{from: strings.NewReader("0123456789")}), nil)
	assert.Equal(t, problem.Code, CodeUnreadable)
	_, problem = newDigester().digest(t.Context(), "f", 11, strings.NewReader("0123456789"), nil)
	assert.Equal(t, problem.Code, CodeChanged)
}
