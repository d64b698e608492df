package result_test

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/system"
)

func TestReusable(t *testing.T) {
	t.Parallel()
	base := func() (result.Case, result.Identity) {
		c := green(one("postgres", "file", manifest.FullRefresh))
		c.Build = build
		want := meta.Identity
		want.Systems = map[string]system.Facts{"postgres": c.Systems.Source, "file": c.Systems.Sink}
		return c, want
	}
	c, want := base()
	ok, reason := result.Reusable(c, want)
	assert.Assert(t, ok, reason)
	assert.Equal(t, reason, "")
	want.Systems = nil
	ok, reason = result.Reusable(c, want)
	assert.Assert(t, ok, reason)

	for name, tc := range map[string]struct {
		change func(*result.Case, *result.Identity)
		want   string
	}{
		"commit":       {func(c *result.Case, _ *result.Identity) { c.Build.Commit = strings.Repeat("b", 40) }, "its commit is bbb"},
		"no commit":    {func(c *result.Case, w *result.Identity) { c.Build.Commit, w.Commit = "", "" }, "cannot be told"},
		"dirty then":   {func(c *result.Case, _ *result.Identity) { c.Build.Dirty = true }, "not committed"},
		"dirty now":    {func(_ *result.Case, w *result.Identity) { w.Dirty = true }, "not committed"},
		"both dirty":   {func(c *result.Case, w *result.Identity) { c.Build.Dirty, w.Dirty = true, true }, "not committed"},
		"mode":         {func(_ *result.Case, w *result.Identity) { w.Mode = cases.RealLocal }, "its mode is mock_contract, this run's is real_local"},
		"seed":         {func(_ *result.Case, w *result.Identity) { w.Seed = 8 }, "its seed is 7"},
		"rows":         {func(_ *result.Case, w *result.Identity) { w.Rows = 101 }, "its rows is 100"},
		"changed":      {func(_ *result.Case, w *result.Identity) { w.Changed = 0.3 }, "its changed is 0.2"},
		"deleted":      {func(_ *result.Case, w *result.Identity) { w.Deleted = 0 }, "its deleted is 0.05"},
		"engine":       {func(_ *result.Case, w *result.Identity) { w.Engine = "v2" }, "its engine is v1.4.0"},
		"connectors":   {func(_ *result.Case, w *result.Identity) { w.Connectors = "" }, "this run's is not told"},
		"go":           {func(_ *result.Case, w *result.Identity) { w.Go = "go1.27" }, "its Go is"},
		"other server": {func(c *result.Case, _ *result.Identity) { c.Systems.Source.Version = "3.52" }, "it talked to SQLite 3.52 in the place of postgres"},
		"other sink":   {func(_ *result.Case, w *result.Identity) { w.Systems["file"] = system.Facts{System: "S3"} }, "this run talks to S3"},
		"no server":    {func(_ *result.Case, w *result.Identity) { delete(w.Systems, "postgres") }, "postgres cannot be had"},
		"red":          {func(c *result.Case, _ *result.Identity) { *c = red(c.Case); c.Build = build }, "it is FAIL"},
		"unverified":   {func(c *result.Case, _ *result.Identity) { *c = unverified(c.Case); c.Build = build }, "it is UNVERIFIED"},
		"skipped":      {func(c *result.Case, _ *result.Identity) { *c = skipped(c.Case); c.Build = build }, "it is SKIP"},
		"contradicted": {func(c *result.Case, _ *result.Identity) { c.Actual.Rows = 1 }, "its checks passed although"},
	} {
		c, want := base()
		tc.change(&c, &want)
		ok, reason := result.Reusable(c, want)
		assert.Check(t, !ok && strings.Contains(reason, tc.want), "%s: %t %q", name, ok, reason)
	}
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	c := green(one("sqlite", "file", manifest.FullRefresh))
	c.Notes = append(make([]string, 0, 10), "first")
	second := result.TakeOver(c, "run-1")
	assert.Equal(t, second.ReusedFrom, "run-1")
	assert.DeepEqual(t, second.Notes, []string{"first", "carried out in the run run-1 and taken over from there"})
	assert.Equal(t, len(c.Notes), 1)
	assert.Equal(t, c.Notes[:2][1], "", "the caller's list was written to")
	third := result.TakeOver(second, "run-2")
	assert.Equal(t, third.ReusedFrom, "run-1", "the run that carried it out is the one to name")
	assert.Equal(t, len(third.Notes), 2)
}
