package toolcheck_test

import (
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/security/toolcheck"
)

func TestCached(t *testing.T) {
	t.Setenv("DPONE_TOOL_CACHE", t.TempDir())
	t.Setenv(toolcheck.Env, "")
	var skipped bool
	t.Run("none", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		toolcheck.Cached(t, "gofumpt") // an empty cache has none; and it is not built
		t.Error("the test goes on without the tool")
	})
	assert.Assert(t, skipped)
	t.Setenv(toolcheck.Env, "1")
	t.Run("asked for", func(t *testing.T) {
		toolcheck.Cached(t, "gofumpt")
		skipped = false
	})
	assert.Assert(t, !skipped)
}
