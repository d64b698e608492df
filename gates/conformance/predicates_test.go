package conformance

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement"
)

// Each kind of statement that package statement writes is asked about.
func TestEveryKindIsThere(t *testing.T) {
	var have []string
	for _, kind := range kinds() {
		raw, err := claim(kind)
		assert.NilError(t, err, kind)
		s, err := statement.Decode(raw)
		assert.NilError(t, err, kind)
		assert.Equal(t, len(s.Subject), 2)
		have = append(have, s.PredicateType)
	}
	want := slices.DeleteFunc(statement.PredicateTypes(), func(uri string) bool {
		return uri == statement.ReleaseV01Type // it is read, not written
	})
	slices.Sort(have)
	assert.DeepEqual(t, have, want)
	assert.Equal(t, len(types), len(have))
}

// The defects are what they are called: each is another bundle, and one that
// cannot be made is an error and not a bundle that is good.
func TestDefects(t *testing.T) {
	for _, f := range []func(map[string]any) error{editPayload, signTwice, stripEntry, spliceEntry([]byte(`{}`)), spliceEntry([]byte(`x`))} {
		_, err := change([]byte(`{"verificationMaterial":{}}`), f)
		assert.Assert(t, err != nil)
		_, err = change([]byte(`nonsense`), f)
		assert.Assert(t, err != nil)
	}
	_, err := change([]byte(`{"dsseEnvelope":{"payload":"e30="}}`), editPayload)
	assert.ErrorContains(t, err, "nothing was edited")
}

func TestWhatGoComplainsOf(t *testing.T) {
	assert.Assert(t, missing("go: updates to go.mod needed"))
	assert.Assert(t, !missing("x.go:3:5: undefined: y"))
}
