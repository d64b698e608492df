package tlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

var errStopped = errors.New("stopped here")

func batch(from, to int) [][]byte {
	var list [][]byte
	for i := from; i < to; i++ {
		list = append(list, fmt.Appendf(nil, "entry %d", i))
	}
	return list
}

// An append is stopped before each of its steps in turn, writes also in their
// middle. The log is then as it was or as it should have become; it opens, all
// of it is proven, and it goes on with other entries than those of the stopped
// append, so that no leftover is taken for one of its own.
func TestAppendStoppedAnywhere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		before, stopped, after int
		torn                   bool
	}{
		{0, 1, 1, false},
		{3, 4, 2, false},
		{3, 4, 2, true},
		{250, 3, 1, false},
		{250, 300, 7, false},
		{250, 300, 7, true},
		{256, 1, 1, false},
		{3, 900, 1, false},
	} {
		t.Run(fmt.Sprintf("%d and %d, torn %v", test.before, test.stopped, test.torn), func(t *testing.T) {
			t.Parallel()
			places := 0
			for stopAt(t, test.before, test.stopped, test.after, places+1, test.torn) {
				places++
			}
			assert.Assert(t, places > 2)
			t.Logf("%d places", places)
		})
	}
}

// stopAt says whether the append was stopped at all.
func stopAt(t *testing.T, before, stopped, after, stop int, torn bool) bool {
	t.Helper()
	dir := t.TempDir()
	seen := filepath.Join(t.TempDir(), "seen")
	opts := Options{Origin: "example.com/log", Create: true, Remember: seen}
	entries := batch(0, before)
	l, err := Open(dir, opts)
	assert.NilError(t, err)
	_, err = l.Append(t.Context(), entries)
	assert.NilError(t, err)
	assert.NilError(t, l.Close())

	steps, reached := 0, false
	failing := opts
	failing.before = func(op, _ string) error {
		switch {
		case reached:
			return errStopped
		case torn && op != "write":
			return nil
		}
		if steps++; steps < stop {
			return nil
		}
		reached = true
		if torn {
			return errTorn
		}
		return errStopped
	}
	l, err = Open(dir, failing)
	assert.NilError(t, err)
	lost := make([][]byte, stopped)
	for i := range lost {
		lost[i] = fmt.Appendf(nil, "stopped %d", i)
	}
	_, err = l.Append(t.Context(), lost)
	if err == nil {
		entries = append(entries, lost...)
	}
	assert.NilError(t, l.Close())

	l, err = Open(dir, opts)
	assert.NilError(t, err)
	switch size := l.Checkpoint().Size; {
	case err == nil && size == int64(before+stopped):
		if len(entries) == before { // the checkpoint was there, its flush was not
			entries = append(entries, lost...)
		}
	default:
		assert.Equal(t, size, int64(len(entries)))
	}
	checkAll(t, dir, opts, l, entries)
	more := make([][]byte, after)
	for i := range more {
		more[i] = fmt.Appendf(nil, "after %d", i)
	}
	for _, e := range [][][]byte{more[:1], more[1:]} {
		_, err = l.Append(t.Context(), e)
		assert.NilError(t, err)
		entries = append(entries, e...)
		checkAll(t, dir, opts, l, entries)
	}
	// Past everything that the stopped append left.
	rest := batch(len(entries), before+stopped+300)
	_, err = l.Append(t.Context(), rest)
	assert.NilError(t, err)
	report := checkAll(t, dir, opts, l, append(entries, rest...))
	assert.Equal(t, len(report.Leftovers), 0, "%v", report.Leftovers)
	assert.NilError(t, l.Close())
	return reached
}

func checkAll(t *testing.T, dir string, opts Options, l *Log, entries [][]byte) Report {
	t.Helper()
	assert.Equal(t, l.Checkpoint().Size, int64(len(entries)))
	report, err := Fsck(t.Context(), dir, opts)
	assert.NilError(t, err)
	for _, i := range []int{0, len(entries) / 2, len(entries) - 1} {
		if len(entries) == 0 {
			continue
		}
		p, err := l.Proof(int64(i))
		assert.NilError(t, err)
		assert.NilError(t, p.Verify(entries[i]))
	}
	n := 0
	for r, err := range l.Entries(0, int64(len(entries))) {
		assert.NilError(t, err)
		assert.Equal(t, string(r.Data), string(entries[r.Index]))
		n++
	}
	assert.Equal(t, n, len(entries))
	return report
}

// A stop while the log is being made leaves no log, or an empty one.
func TestCreateStoppedAnywhere(t *testing.T) {
	t.Parallel()
	for stop := 1; ; stop++ {
		dir := t.TempDir()
		steps := 0
		opts := Options{Origin: "example.com/log", Create: true}
		failing := opts
		failing.before = func(string, string) error {
			if steps++; steps >= stop {
				return errStopped
			}
			return nil
		}
		l, err := Open(dir, failing)
		if err == nil {
			assert.NilError(t, l.Close())
			assert.Assert(t, stop > 4)
			return
		}
		assert.ErrorIs(t, err, errStopped)
		l, err = Open(dir, opts)
		assert.NilError(t, err)
		assert.Equal(t, l.Checkpoint().Size, int64(0))
		_, err = l.Append(t.Context(), batch(0, 2))
		assert.NilError(t, err)
		checkAll(t, dir, opts, l, batch(0, 2))
		assert.NilError(t, l.Close())
	}
}

// What a power failure could lose is on disk before something speaks of it:
// each file is flushed before it gets its name, and all names before the
// checkpoint gets its own.
func TestOrderOfFlushes(t *testing.T) {
	t.Parallel()
	var steps []string
	dir := t.TempDir()
	l, err := Open(dir, Options{Origin: "example.com/log", Create: true, before: func(op, path string) error {
		steps = append(steps, op+" "+path)
		return nil
	}})
	assert.NilError(t, err)
	defer l.Close()
	_, err = l.Append(t.Context(), batch(0, 250))
	assert.NilError(t, err)
	steps = nil
	_, err = l.Append(t.Context(), batch(250, 600))
	assert.NilError(t, err)

	synced, pending := map[string]bool{}, map[string]bool{}
	head := false
	for _, s := range steps {
		op, path, _ := strings.Cut(s, " ")
		switch op {
		case "sync":
			synced[path] = true
		case "rename":
			assert.Assert(t, synced[path], "%s is renamed before it is flushed", path)
			if path == checkpointName {
				assert.Equal(t, len(pending), 0, "%v", pending)
				head = true
			} else {
				assert.Assert(t, !head, "%s is written after the checkpoint", path)
			}
			pending[filepath.ToSlash(filepath.Dir(path))] = true
		case "mkdir":
			pending[filepath.ToSlash(filepath.Dir(path))] = true
		case "flush":
			delete(pending, path)
		case "remove":
			assert.Assert(t, head || !strings.HasPrefix(path, "tile/0/000.p/250"), "a tile that is needed goes too early")
		}
	}
	assert.Assert(t, head)
	assert.Equal(t, len(pending), 0, "%v", pending)
	_, err = os.Stat(filepath.Join(dir, "tile", "0", "000.p"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// When only the memory fails, the entry is in the log and the caller knows.
func TestAppendWithoutMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	memory := filepath.Join(t.TempDir(), "m")
	l, err := Open(dir, Options{Origin: "example.com/log", Create: true, Remember: filepath.Join(memory, "seen")})
	assert.NilError(t, err)
	defer l.Close()
	l.opts.before = func(op, path string) error {
		if op == "rename" && path == checkpointName {
			assert.NilError(t, os.RemoveAll(memory))
			assert.NilError(t, os.WriteFile(memory, nil, 0o644))
		}
		return nil
	}
	first, err := l.Append(t.Context(), batch(0, 1))
	assert.ErrorContains(t, err, "remember")
	assert.Equal(t, first, int64(0))
	assert.Equal(t, l.Checkpoint().Size, int64(1))
}

func TestTilePaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]tileID{
		"tile/0/000": {0, 0}, "tile/0/000.p/1": {0, 0}, "tile/1/x001/x234/067": {1, 1_234_067}, "tile/entries/x001/000.p/255": {entriesLevel, 1000},
	} {
		level, n, width, ok := parseTilePath(path)
		assert.Assert(t, ok, path)
		assert.Equal(t, tileID{level, n}, want)
		assert.Equal(t, tilePath(level, n, width), path)
	}
	for _, bad := range []string{
		"", "tile", "tile/0", "tile/8/0/000", "tile/data/000", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/6/000", "tile/-1/000", "tile/0/000.p/0",
		"tile/0/000.p/256", "tile/0/000.p/01", "tile/0/x000/000", "tile/0/001/000", "tile/0/000/", "tile/0/../000", "tile/entries/x", "tile/0/x999/x999/x999/x999/999",
	} {
		_, _, _, ok := parseTilePath(bad)
		assert.Check(t, !ok, bad)
	}
}
