//go:build unix

package pgserver

import (
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
)

func TestTemplate(t *testing.T) {
	need(t)
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	templates := func() []string {
		found, err := filepath.Glob(filepath.Join(cache, "dpone", "pgserver", "*", "data"))
		assert.NilError(t, err)
		return found
	}
	identifier := func(opts Options) int64 {
		t.Helper()
		s, _ := begin(t, opts)
		defer s.Stop(t.Context())
		out, err := s.Do(t.Context(), "pg_controldata")
		assert.NilError(t, err)
		assert.Assert(t, len(out) > 0)
		return ask[int64](t, s.DSN(), "select system_identifier from pg_control_system()")
	}

	first := identifier(Options{NoCache: true})
	assert.Equal(t, len(templates()), 0)
	second := identifier(Options{})
	assert.Equal(t, len(templates()), 1)
	third := identifier(Options{})
	assert.Assert(t, first != second && second != third && first != third)

	template := templates()[0]
	assert.NilError(t, os.Remove(filepath.Join(template, "base", "1", "1259")))
	identifier(Options{})
	assert.Equal(t, len(templates()), 0, "half a template is thrown away")

	assert.NilError(t, os.RemoveAll(cache))
	assert.NilError(t, os.WriteFile(cache, nil, 0o600)) // no folder can be made here
	identifier(Options{})
}

func TestRenewIdentityRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, Options{})
	assert.NilError(t, s.StopKeep(t.Context()))
	copied := func() string {
		dir := filepath.Join(t.TempDir(), "data")
		_, err := copyTree(t.Context(), s.DataDir(), dir, nil)
		assert.NilError(t, err)
		return dir
	}
	assert.NilError(t, renewIdentity(copied()))

	dir := copied()
	assert.NilError(t, overwrite(filepath.Join(dir, "global", "pg_control"), 40, []byte("x")))
	assert.ErrorContains(t, renewIdentity(dir), "no checksum that matches")

	dir = copied()
	segments, err := filepath.Glob(filepath.Join(dir, "pg_wal", "0*"))
	assert.NilError(t, err)
	assert.NilError(t, overwrite(segments[0], 24, []byte("12345678")))
	assert.ErrorContains(t, renewIdentity(dir), "does not begin with the system identifier")

	dir = copied()
	assert.NilError(t, os.RemoveAll(filepath.Join(dir, "pg_wal")))
	assert.ErrorContains(t, renewIdentity(dir), "no log segment")

	dir = copied()
	assert.NilError(t, os.Symlink("/", filepath.Join(dir, "pg_tblspc", "1")))
	_, err = copyTree(t.Context(), dir, filepath.Join(t.TempDir(), "x"), nil)
	assert.ErrorContains(t, err, "tablespaces")
}
