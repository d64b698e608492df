package attest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/sign"
)

// What is derived and signed from real runs is tested in gates/archive, which
// runs gates. Here it is about what is read back.

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, attest.Dir, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	assert.NilError(t, os.WriteFile(file, []byte(content), 0o644))
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	c, err := attest.Read(dir)
	assert.NilError(t, err)
	assert.DeepEqual(t, c, attest.Contents{})

	one, two := attest.Digest([]byte("1")), attest.Digest([]byte("2"))
	put(t, dir, one+sign.BundleSuffix, "a")
	put(t, dir, two+sign.StatementSuffix, "b")
	put(t, dir, attest.ProofName, "c")
	put(t, dir, attest.EntryName, "d")
	foreign := []string{"README", "x" + sign.BundleSuffix, strings.ToUpper(one) + sign.BundleSuffix, one + ".txt", ".tmp-1"}
	for _, name := range foreign {
		put(t, dir, name, "")
	}
	c, err = attest.Read(dir)
	assert.NilError(t, err)
	assert.DeepEqual(t, c.Bundles, []attest.Kept{{Name: one + sign.BundleSuffix, Digest: one, Raw: []byte("a")}})
	assert.DeepEqual(t, c.Pending, []attest.Kept{{Name: two + sign.StatementSuffix, Digest: two, Raw: []byte("b")}})
	assert.Equal(t, string(c.Proof.Raw)+string(c.Entry.Raw), "cd")
	assert.Equal(t, len(c.Foreign), len(foreign), "%q", c.Foreign)
}

func TestReadRefuses(t *testing.T) {
	name := attest.Digest(nil) + sign.BundleSuffix
	for what, c := range map[string]struct {
		plant func(t *testing.T, dir string)
		want  string
	}{
		"a link": {func(t *testing.T, dir string) {
			put(t, dir, "x", "")
			assert.NilError(t, os.Symlink("x", filepath.Join(dir, attest.Dir, name)))
		}, "not a regular file"},
		"a folder": {func(t *testing.T, dir string) { put(t, dir, name+"/x", "") }, "not a regular file"},
		"a link for the folder": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Symlink(t.TempDir(), filepath.Join(dir, attest.Dir)))
		}, "not a folder"},
		"a file for the folder": {func(t *testing.T, dir string) {
			assert.NilError(t, os.WriteFile(filepath.Join(dir, attest.Dir), nil, 0o644))
		}, "not a folder"},
		"too large": {func(t *testing.T, dir string) { put(t, dir, attest.ProofName, strings.Repeat("x", 1<<20+1)) }, folder.ErrTooLarge.Error()},
	} {
		dir := t.TempDir()
		c.plant(t, dir)
		_, err := attest.Read(dir)
		assert.ErrorContains(t, err, c.want, what)
	}
	_, err := attest.Read(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}
