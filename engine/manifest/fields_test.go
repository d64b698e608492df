package manifest

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

func TestFields(t *testing.T) {
	t.Parallel()
	byPath := map[string]FieldDoc{}
	for _, f := range Fields() {
		assert.Assert(t, byPath[f.Path].Path == "", "%s is there twice", f.Path)
		assert.Assert(t, f.Doc != "" && f.Type != "", f.Path)
		byPath[f.Path] = f
	}
	assert.Assert(t, byPath["name"].Required)
	assert.Equal(t, byPath["name"].Limits, "`^[a-z0-9_]{3,64}$`")
	assert.Equal(t, byPath["description"].Limits, "500 characters")
	assert.Equal(t, byPath["source.options.workers"].Limits, "1 to 64")
	assert.Equal(t, byPath["source.options.format"].Type, "word")
	assert.Equal(t, byPath["source.connection"].Type, "fields")
	assert.Equal(t, byPath["source.options.columns"].Type, "list of text")
	assert.Equal(t, byPath["sink.connection"].SameAs, "source.connection")
	assert.Equal(t, byPath["sink.connection.port"].Path, "", "the fields of a type are told once")
}

func TestGatesAndFamiliesAreListed(t *testing.T) {
	t.Parallel()
	for i, g := range Gates() {
		assert.Equal(t, g.Type, gateTypes()[i])
	}
	for i, f := range FamilyDocs() {
		assert.Equal(t, f.Type, Families()[i])
		assert.Equal(t, slices.Contains(f.Needs, "path"), families[i].path)
		assert.Equal(t, slices.Contains(f.Refuses, "path"), !families[i].path)
	}
}
