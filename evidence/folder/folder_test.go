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
