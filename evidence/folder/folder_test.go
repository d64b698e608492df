package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence/folder"
)

var now = time.Date(2026, 11, 22, 6, 30, 0, 0, time.UTC)

func create(t *testing.T) *folder.Folder {
	t.Helper()
	f, err := folder.Create(t.TempDir(), "ci", now)
	assert.NilError(t, err)
	assert.NilError(t, f.Release())
	return f
}

func TestRunsThatStartTogetherHaveFoldersOfTheirOwn(t *testing.T) {
	artifacts := t.TempDir()
	var wait sync.WaitGroup
	names := make([]string, 50)
	for i := range names {
		wait.Go(func() {
			f, err := folder.Create(artifacts, "ci", now)
			assert.Check(t, err)
			names[i] = f.Run()
			assert.Check(t, f.MarkLatest())
		})
	}
	wait.Wait()
	seen := map[string]bool{}
	for _, name := range names {
		assert.Assert(t, !seen[name])
		seen[name] = true
	}
	latest, err := os.Readlink(filepath.Join(artifacts, "ci", folder.Latest))
	assert.NilError(t, err)
	assert.Assert(t, seen[latest], "latest is one of the runs")
	left, err := filepath.Glob(filepath.Join(artifacts, "ci", ".tmp-*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
}

func TestCreateSaysWhatIsInTheWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	assert.NilError(t, os.WriteFile(file, nil, 0o600))
	_, err := folder.Create(file, "ci", now)
	assert.ErrorContains(t, err, file)
}

func TestWriteFileIsWholeOrNothing(t *testing.T) {
	f := create(t)
	assert.NilError(t, f.WriteFile("a.txt", []byte("one")))
	assert.NilError(t, f.WriteFile("a.txt", []byte("two")))
	raw, err := f.ReadFile("a.txt", 10)
	assert.NilError(t, err)
	assert.Equal(t, string(raw), "two")
	// In the place of the file is a directory: the rename fails, nothing stays.
	assert.NilError(t, os.Mkdir(f.Path("taken"), 0o755))
	assert.ErrorContains(t, f.WriteFile("taken", []byte("x")), "taken")
	assert.ErrorContains(t, f.WriteFile("no/such/dir", []byte("x")), "no/such")
	entries, err := os.ReadDir(f.Dir())
	assert.NilError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.DeepEqual(t, names, []string{"a.txt", "logs", "taken"})
}

func TestReadFileTakesOnlyWhatIsThere(t *testing.T) {
	f := create(t)
	assert.NilError(t, f.WriteFile("big", make([]byte, 100)))
	assert.NilError(t, os.Symlink("big", f.Path("link")))
	for _, name := range []string{"link", "../../outside", "absent", "logs"} {
		_, err := f.ReadFile(name, 1000)
		assert.Assert(t, err != nil, name)
	}
	_, err := f.ReadFile("big", 99)
	assert.ErrorContains(t, err, "at most 99")
}

func TestIndex(t *testing.T) {
	f := create(t)
	assert.NilError(t, f.WriteFile("b.txt", []byte("b")))
	assert.NilError(t, f.WriteFile("logs/a.log", []byte("a")))
	index, err := f.WriteIndex()
	assert.NilError(t, err)
	assert.Equal(t, len(index.Files), 2)
	assert.Equal(t, index.Files[0].Path, "b.txt")
	assert.Equal(t, index.Files[0].SHA256, "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d")

	read, err := folder.ReadIndex(f.Dir())
	assert.NilError(t, err)
	assert.NilError(t, read.Verify(f.Dir()))
	assert.DeepEqual(t, read, index)

	for name, change := range map[string]struct {
		do   func() error
		undo func() error
		want string
	}{
		"changed":  {func() error { return f.WriteFile("b.txt", []byte("c")) }, func() error { return f.WriteFile("b.txt", []byte("b")) }, "b.txt is not what"},
		"missing":  {func() error { return os.Remove(f.Path("b.txt")) }, func() error { return f.WriteFile("b.txt", []byte("b")) }, "b.txt is in the index and not"},
		"unlisted": {func() error { return f.WriteFile("c.txt", nil) }, func() error { return os.Remove(f.Path("c.txt")) }, "c.txt is not in the index"},
		"a link":   {func() error { return os.Symlink("b.txt", f.Path("l")) }, func() error { return os.Remove(f.Path("l")) }, "not a regular file"},
	} {
		assert.NilError(t, change.do())
		assert.Check(t, is.ErrorContains(read.Verify(f.Dir()), change.want), name)
		assert.NilError(t, change.undo())
	}
	assert.NilError(t, read.Verify(f.Dir()))

	for name, bad := range map[string]string{"unknown key": `{"x": 1}`, "no schema": `{"files": []}`, "no JSON": `x`} {
		assert.NilError(t, f.WriteFile(folder.IndexJSON, []byte(bad)))
		_, err := folder.ReadIndex(f.Dir())
		assert.Assert(t, err != nil, name)
	}
	_, err = folder.ReadIndex(filepath.Join(f.Dir(), "no-such"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestIndexRefusesLinks(t *testing.T) {
	f := create(t)
	assert.NilError(t, os.Symlink("/etc/passwd", f.Path("l")))
	_, err := f.WriteIndex()
	assert.ErrorContains(t, err, "l is not a regular file")
}

func TestLogName(t *testing.T) {
	assert.Equal(t, folder.LogName("ci:test"), "logs/ci-test.log")
	assert.Equal(t, folder.LogName("../x y"), "logs/..-x-y.log")
}

func TestReserveIsRealAndGivenBack(t *testing.T) {
	f, err := folder.Create(t.TempDir(), "ci", now)
	assert.NilError(t, err)
	info, err := os.Stat(f.Path(".reserve"))
	assert.NilError(t, err)
	assert.Assert(t, info.Size() >= 512<<10)
	assert.NilError(t, f.Release())
	assert.NilError(t, f.Release())
	_, err = os.Stat(f.Path(".reserve"))
	assert.Assert(t, errors.Is(err, fs.ErrNotExist))
}
