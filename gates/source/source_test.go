package source_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/source"
)

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	gatetest.Git(t, dir, args...)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	assert.NilError(t, os.WriteFile(path, []byte(content), 0o644))
}

func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "master")
	write(t, filepath.Join(dir, "a.txt"), "a\n")
	write(t, filepath.Join(dir, ".gitignore"), "/ignored\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "first")
	return dir
}

func TestStateOfACleanTree(t *testing.T) {
	dir := repository(t)
	git(t, dir, "remote", "add", "origin", "https://someone:hunter2@example.com/x.git")
	s, changes, err := source.Open(dir).State(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, s.Ref, "refs/heads/master")
	assert.Equal(t, len(s.Commit), 40)
	assert.Equal(t, s.Repository, "https://example.com/x.git")
	assert.Assert(t, !s.Dirty && !s.Shallow)
	assert.Equal(t, len(changes), 0)
}

func TestDirtySeesEveryKindOfChange(t *testing.T) {
	kinds := map[string]func(t *testing.T, dir string){
		"edit":          func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.txt"), "b\n") },
		"untracked":     func(t *testing.T, dir string) { write(t, filepath.Join(dir, "new file"), "b\n") },
		"delete":        func(t *testing.T, dir string) { assert.NilError(t, os.Remove(filepath.Join(dir, "a.txt"))) },
		"staged":        func(t *testing.T, dir string) { write(t, filepath.Join(dir, "s"), "s"); git(t, dir, "add", "s") },
		"executable":    func(t *testing.T, dir string) { assert.NilError(t, os.Chmod(filepath.Join(dir, "a.txt"), 0o755)) },
		"symbolic link": func(t *testing.T, dir string) { assert.NilError(t, os.Symlink("a.txt", filepath.Join(dir, "l"))) },
		"skip-worktree": func(t *testing.T, dir string) {
			git(t, dir, "update-index", "--skip-worktree", "a.txt")
			write(t, filepath.Join(dir, "a.txt"), "b\n")
		},
		"assume-unchanged": func(t *testing.T, dir string) {
			git(t, dir, "update-index", "--assume-unchanged", "a.txt")
			write(t, filepath.Join(dir, "a.txt"), "b\n")
		},
		"named like mage's file": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "pkg", source.MageMain), "package x\n") },
		"renamed":                func(t *testing.T, dir string) { git(t, dir, "mv", "a.txt", "ä b.txt") },
		"in a new folder":        func(t *testing.T, dir string) { write(t, filepath.Join(dir, "x/y/z"), "z") },
	}
	for name, change := range kinds {
		t.Run(name, func(t *testing.T) {
			dir := repository(t)
			tree := source.Open(dir)
			before, err := tree.Changes(t.Context())
			assert.NilError(t, err)
			change(t, dir)
			s, after, err := tree.State(t.Context())
			assert.NilError(t, err)
			assert.Assert(t, s.Dirty)
			assert.Assert(t, strings.HasPrefix(s.DirtyDigest, "sha256:"))
			assert.Assert(t, len(source.Differences(before, after)) > 0)
		})
	}
}

func TestAChangeToAChangedFileIsSeen(t *testing.T) {
	dir := repository(t)
	write(t, filepath.Join(dir, "a.txt"), "b\n")
	tree := source.Open(dir)
	before, err := tree.Changes(t.Context())
	assert.NilError(t, err)
	write(t, filepath.Join(dir, "a.txt"), "c\n") // git status prints the same as before
	after, err := tree.Changes(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, source.Differences(before, after), []string{"a.txt"})
	write(t, filepath.Join(dir, "a.txt"), "a\n")
	again, err := tree.Changes(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, source.Differences(before, again), []string{"a.txt"})
}

func TestWhatIsNoSourceIsNotSeen(t *testing.T) {
	dir := repository(t)
	write(t, filepath.Join(dir, "ignored"), "x")
	write(t, filepath.Join(dir, "artifacts/run/log"), "x")
	write(t, filepath.Join(dir, "magefiles", source.MageMain), "x")
	changes, err := source.Open(dir, "artifacts").Changes(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, len(changes), 0, "%v", changes)
}

// TestFiles: what is part of the source, from the root and from a folder of the repository.
func TestFiles(t *testing.T) {
	dir := repository(t)
	for _, name := range []string{"sub/known.md", "sub/gone.md"} {
		write(t, filepath.Join(dir, name), name)
	}
	git(t, dir, "add", "sub")
	git(t, dir, "commit", "-qm", "more")
	assert.NilError(t, os.Remove(filepath.Join(dir, "sub/gone.md")))
	for _, name := range []string{"ignored", "artifacts/run/log", "new.md", "sub/new.md", "sub/added.md"} {
		write(t, filepath.Join(dir, name), name)
	}
	git(t, dir, "add", "sub/added.md")
	below := []string{"added.md", "gone.md", "known.md", "new.md"}
	for root, want := range map[string][]string{
		dir:                       {".gitignore", "a.txt", "new.md", "sub/added.md", "sub/gone.md", "sub/known.md", "sub/new.md"},
		filepath.Join(dir, "sub"): below,
	} {
		s, _, err := source.Open(root, "artifacts").State(t.Context())
		assert.NilError(t, err)
		assert.DeepEqual(t, s.Files, want)
	}
	// Without a state, and before the first commit.
	files, err := source.Open(filepath.Join(dir, "sub")).Files(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, files, below)
	unborn := t.TempDir()
	git(t, unborn, "init", "-q")
	write(t, filepath.Join(unborn, "a.md"), "a")
	files, err = source.Open(unborn).Files(t.Context())
	assert.NilError(t, err)
	assert.DeepEqual(t, files, []string{"a.md"})
	_, err = source.Open(t.TempDir()).Files(t.Context())
	assert.ErrorContains(t, err, "not a git repository")
}

func TestStateThatCannotBeTold(t *testing.T) {
	t.Run("no repository", func(t *testing.T) {
		_, _, err := source.Open(t.TempDir()).State(t.Context())
		assert.ErrorContains(t, err, "not a git repository")
	})
	t.Run("unborn branch", func(t *testing.T) {
		dir := t.TempDir()
		git(t, dir, "init", "-q", "-b", "master")
		s, _, err := source.Open(dir).State(t.Context())
		assert.ErrorContains(t, err, "no commit yet")
		assert.Equal(t, s.Ref, "refs/heads/master")
	})
	t.Run("no git", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, _, err := source.Open(t.TempDir()).State(t.Context())
		assert.ErrorContains(t, err, "install git")
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := source.Open(repository(t)).State(ctx)
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestDetachedAndShallow(t *testing.T) {
	dir := repository(t)
	write(t, filepath.Join(dir, "b.txt"), "b\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "second")
	git(t, dir, "checkout", "-q", "--detach")
	s, _, err := source.Open(dir).State(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, s.Ref, "")
	git(t, dir, "tag", "v1.0.0")
	s, _, err = source.Open(dir).State(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, s.Ref, "refs/tags/v1.0.0")

	clone := t.TempDir()
	git(t, clone, "clone", "-q", "--depth=1", "file://"+dir, ".")
	s, _, err = source.Open(clone).State(t.Context())
	assert.NilError(t, err)
	assert.Assert(t, s.Shallow)
}

func TestReadingChangesNothing(t *testing.T) {
	dir := repository(t)
	index := filepath.Join(dir, ".git", "index")
	before, err := os.ReadFile(index)
	assert.NilError(t, err)
	// A touched file is what makes git refresh its index when it may.
	write(t, filepath.Join(dir, "a.txt"), "a\n")
	_, _, err = source.Open(dir).State(t.Context())
	assert.NilError(t, err)
	after, err := os.ReadFile(index)
	assert.NilError(t, err)
	assert.Equal(t, string(before), string(after))
}

func TestRoot(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module x\n")
	write(t, filepath.Join(dir, "a/b/c.go"), "package b\n")
	assert.Equal(t, source.Root(filepath.Join(dir, "a", "b")), dir)
	bare := t.TempDir()
	assert.Equal(t, source.Root(bare), bare)
}
