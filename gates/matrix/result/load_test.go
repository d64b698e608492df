package result_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/result"
)

// disk is a run folder on disk.
type disk string

func (d disk) WriteFile(name string, content []byte) error {
	return os.WriteFile(filepath.Join(string(d), name), content, 0o600)
}

func filled(t *testing.T) disk {
	t.Helper()
	d := disk(t.TempDir())
	list := registry()
	for i, c := range list {
		r := green(c)
		if i == 0 {
			r = red(c)
		}
		assert.NilError(t, result.Write(d, r, meta))
	}
	report := result.NewReport(meta, list, ids(list), all(list, green))
	assert.NilError(t, report.Write(d))
	assert.NilError(t, os.Mkdir(filepath.Join(string(d), "logs"), 0o700))
	return d
}

func TestLoad(t *testing.T) {
	t.Parallel()
	got, err := result.Load(string(filled(t)))
	assert.NilError(t, err)
	assert.Equal(t, len(got), 12)
	fails := 0
	for i := range got {
		assert.Assert(t, i == 0 || got[i-1].ID < got[i].ID)
		if got[i].Verdict() == evidence.Fail {
			fails++
		}
	}
	assert.Equal(t, fails, 1)
	none, err := result.Load(t.TempDir())
	assert.NilError(t, err)
	assert.Equal(t, len(none), 0)
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	id := one("sqlite", "file", manifest.SCD2).ID
	name := result.BehaviorFile(id)
	for what, tc := range map[string]struct {
		spoil func(t *testing.T, d string)
		want  []string
	}{
		"another name": {func(t *testing.T, d string) {
			assert.NilError(t, os.Rename(filepath.Join(d, name), filepath.Join(d, "x"+name)))
		}, []string{"x" + name, "whose file is " + name}},
		"a copy": {func(t *testing.T, d string) {
			raw, err := os.ReadFile(filepath.Join(d, name))
			assert.NilError(t, err)
			assert.NilError(t, os.WriteFile(filepath.Join(d, "copy"+name), raw, 0o600))
		}, []string{"copy" + name}},
		"capitals": {func(t *testing.T, d string) {
			raw, err := os.ReadFile(filepath.Join(d, name))
			assert.NilError(t, err)
			assert.NilError(t, os.Remove(filepath.Join(d, name))) // some systems take both names for one
			assert.NilError(t, os.WriteFile(filepath.Join(d, strings.ToUpper(name)), raw, 0o600))
		}, []string{strings.ToUpper(name), "whose file is"}},
		"a link outside": {func(t *testing.T, d string) {
			outside := filepath.Join(t.TempDir(), "x")
			assert.NilError(t, os.Rename(filepath.Join(d, name), outside))
			assert.NilError(t, os.Symlink(outside, filepath.Join(d, name)))
		}, []string{name, "is not a regular file"}},
		"a link inside": {func(t *testing.T, d string) {
			assert.NilError(t, os.Rename(filepath.Join(d, name), filepath.Join(d, "kept")))
			assert.NilError(t, os.Symlink("kept", filepath.Join(d, name)))
		}, []string{name, "is not a regular file"}},
		"a folder": {func(t *testing.T, d string) {
			assert.NilError(t, os.Remove(filepath.Join(d, name)))
			assert.NilError(t, os.Mkdir(filepath.Join(d, name), 0o700))
		}, []string{name, "is not a regular file"}},
		"too large": {func(t *testing.T, d string) {
			assert.NilError(t, os.Truncate(filepath.Join(d, name), result.MaxCase+1))
		}, []string{name, "more than 8388608 bytes"}},
		"cut off": {func(t *testing.T, d string) {
			assert.NilError(t, os.Truncate(filepath.Join(d, name), 1000))
		}, []string{name, "unexpected EOF"}},
		"no other artifact": {func(t *testing.T, d string) {
			assert.NilError(t, os.Remove(filepath.Join(d, result.CaseFile(id))))
		}, []string{name, "the other artifact of the case"}},
		"another other artifact": {func(t *testing.T, d string) {
			assert.NilError(t, os.WriteFile(filepath.Join(d, result.CaseFile(id)), []byte("{}\n"), 0o600))
		}, []string{name, "says something else of the case"}},
		"two problems": {func(t *testing.T, d string) {
			assert.NilError(t, os.Truncate(filepath.Join(d, name), 1000))
			assert.NilError(t, os.WriteFile(filepath.Join(d, "a__behavior.json"), nil, 0o600))
		}, []string{name, "a__behavior.json"}},
	} {
		d := filled(t)
		tc.spoil(t, string(d))
		got, err := result.Load(string(d))
		assert.Check(t, err != nil && got == nil, what)
		for _, want := range tc.want {
			assert.Check(t, err != nil && strings.Contains(err.Error(), want), "%s: %v", what, err)
		}
	}
	_, err := result.Load(filepath.Join(t.TempDir(), "gone"))
	assert.ErrorContains(t, err, "gone")
}

func TestLoadBoundsItsError(t *testing.T) {
	t.Parallel()
	d := disk(t.TempDir())
	for i := range 30 {
		assert.NilError(t, d.WriteFile(strings.Repeat("a", i+1)+result.BehaviorSuffix, nil))
	}
	_, err := result.Load(string(d))
	assert.ErrorContains(t, err, "and 10 more")
}
