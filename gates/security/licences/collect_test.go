package licences

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestCollect(t *testing.T) {
	t.Parallel()
	found := map[string]*module{}
	const list = `{}
{"Module":{"Path":"example.com/x","Main":true,"Dir":"/src"}}
{"Module":{"Path":"example.com/dep","Version":"v1.0.0","Dir":"/cache/dep@v1.0.0"}}
{"Module":{"Path":"example.com/own","Version":"v0.0.0","Dir":"/src/own","Replace":{"Path":"./own"}}}
{"Module":{"Path":"example.com/old","Version":"v1.0.0","Dir":"/cache/new@v1.2.0","Replace":{"Path":"example.com/new","Version":"v1.2.0"}}}
`
	assert.NilError(t, collect(found, []byte(list), "/src", false))
	assert.NilError(t, collect(found, []byte(`{"Module":{"Path":"example.com/dep","Version":"v1.0.0","Dir":"/cache/dep@v1.0.0"}}`), "/src", true))
	assert.NilError(t, collect(found, []byte(`{"Module":{"Path":"example.com/far","Version":"v1.0.0","Dir":"/elsewhere","Replace":{"Path":"../elsewhere"}}}`), "/src", false))
	assert.Equal(t, len(found), 3)
	assert.Assert(t, found["example.com/dep v1.0.0"].linked)
	assert.Assert(t, !found["example.com/new v1.2.0"].linked)
	assert.Equal(t, found["../elsewhere"].Dir, "/elsewhere")
	for _, bad := range []string{"", "x", `{"Module":{"Path":"a"}}`, `{"Module":3}`} {
		assert.Assert(t, collect(map[string]*module{}, []byte(bad), "/src", false) != nil, bad)
	}
}

func FuzzCollect(f *testing.F) {
	f.Add([]byte(`{"Module":{"Path":"a","Version":"v1.0.0","Dir":"/cache"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		found := map[string]*module{}
		if collect(found, raw, "/src", true) == nil {
			for key, m := range found {
				if m.Dir == "" || !m.linked {
					t.Errorf("%q: %+v", key, m)
				}
			}
		}
	})
}
