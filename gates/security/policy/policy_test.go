package policy_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/security/policy"
)

type file struct {
	Allow []struct {
		Name           string `yaml:"name"`
		policy.Because `yaml:",inline"`
	} `yaml:"allow"`
}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, fault string }{
		"good":          {"allow:\n  - {name: a, reason: because it is so, expires: 2027-01-31}\n", ""},
		"empty":         {"", ""},
		"comment alone": {"# nothing\n", ""},
		"unknown key":   {"alow: []\n", "field alow not found"},
		"unknown inner": {"allow:\n  - {name: a, why: b}\n", "field why not found"},
		"doubled key":   {"allow: []\nallow: []\n", "already defined"},
		"two documents": {"allow: []\n---\nallow: []\n", "more than one"},
		"no YAML":       {"allow: [", "p.yaml: yaml: line"},
		"wrong type":    {"allow: 3\n", "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			assert.NilError(t, os.WriteFile(filepath.Join(root, "p.yaml"), []byte(c.text), 0o644))
			var f file
			err := policy.Read(root, "p.yaml", &f)
			if c.fault == "" {
				assert.NilError(t, err)
				return
			}
			assert.ErrorContains(t, err, c.fault)
		})
	}
}

func TestReadWhatIsNoFile(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	var f file
	assert.NilError(t, policy.Read(root, "none.yaml", &f))
	assert.ErrorContains(t, policy.Read(filepath.Join(root, "none"), "p.yaml", &f), "none")
	assert.NilError(t, os.Mkdir(filepath.Join(root, "dir"), 0o755))
	assert.ErrorContains(t, policy.Read(root, "dir", &f), "not a regular file")
	assert.NilError(t, os.Symlink("/etc/hostname", filepath.Join(root, "link")))
	assert.ErrorContains(t, policy.Read(root, "link", &f), "not a regular file")
	assert.NilError(t, os.WriteFile(filepath.Join(root, "big"), make([]byte, 2<<20), 0o644))
	assert.ErrorContains(t, policy.Read(root, "big", &f), "too large")
}

func TestProblem(t *testing.T) {
	t.Parallel()
	today := time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		because policy.Because
		want    string
	}{
		"no end":       {policy.Because{Reason: "a made-up value of a test"}, ""},
		"the last day": {policy.Because{Reason: "a made-up value of a test", Expires: "2027-01-31"}, ""},
		"a day late":   {policy.Because{Reason: "a made-up value of a test", Expires: "2027-01-30"}, "it expired after 2027-01-30"},
		"no reason":    {policy.Because{}, `its reason "" says nothing`},
		"short reason": {policy.Because{Reason: "test"}, `its reason "test" says nothing`},
		"no date":      {policy.Because{Reason: "a made-up value of a test", Expires: "soon"}, `its last day "soon" is no date such as 2027-01-31`},
	} {
		assert.Equal(t, c.because.Problem(today), c.want, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("allow:\n  - {name: a, reason: b}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v file
		_ = policy.Decode(raw, &v)
	})
}
