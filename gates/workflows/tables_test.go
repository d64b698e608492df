package workflows

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
	"gotest.tools/v3/assert"
)

// TestTablesHaveNames holds what docs:generate asks of them; docs:contract holds them against the pages.
func TestTablesHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, table := range Tables(Dpone()) {
		assert.Assert(t, !names[table.Name], "%s is there twice", table.Name)
		names[table.Name] = true
		assert.Assert(t, table.Page != "" && table.Text == strings.TrimSpace(table.Text) && table.Text != "", table.Name)
	}
}

func TestTablesOfAnotherProject(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, table := range Tables(project()) {
		all.WriteString(table.Text + "\n")
	}
	for _, want := range []string{
		"| Release | `.github/workflows/release.yml` |",
		"Mondays 03:17 UTC (`17 3 * * 1`)",
		"push and pull request to `master`; by hand",
		"| `gate-<run_id>` | `ci.yml` | `test_artifacts/ci/` | 90 days |",
		"| `LIVE_DSN` | `nightly.yml` | `live` |",
		"[CI](workflows.md#ci)",
	} {
		assert.Assert(t, strings.Contains(all.String(), want), "%s\n%s", want, all.String())
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	assert.Equal(t, schedule("5 14 * * *"), "every day 14:05 UTC (`5 14 * * *`)")
	assert.Equal(t, schedule("*/5 * * * *"), "schedule `*/5 * * * *`")
	trigger := Trigger{Tags: []string{"v*"}, Push: true, Others: []string{"branch_protection_rule"}}
	assert.Equal(t, trigger.words("master"), "push to `master`; tag `v*`; `branch_protection_rule`")
	trigger = Trigger{PullRequest: true, Paths: []string{"a", "b"}}
	assert.Equal(t, trigger.words("master"), "pull request to `master` that changes `a`, `b`")
}

// The inventory itself holds together, also where no file can show it yet.
func TestDpone(t *testing.T) {
	t.Parallel()
	i := Dpone()
	for _, f := range i.Families {
		assert.Assert(t, semver.IsValid(f.Min) && f.Why != "", f.Name)
	}
	seen := map[string]bool{}
	for _, w := range i.Workflows {
		assert.Assert(t, !seen[w.File], w.File)
		seen[w.File] = true
		assert.Assert(t, strings.HasSuffix(w.File, ".yml") && w.Name != "" && w.Required != "" && strings.HasSuffix(w.Purpose, "."), w.File)
		assert.Assert(t, w.On.words("master") != "", w.File)
		assert.Assert(t, len(w.Jobs) > 0 || w.State == Planned, w.File)
		assert.Equal(t, len(w.Local) > 0, w.State == Present, w.File)
	}
	for _, list := range [][]Reason{i.ByHand, i.Slow} {
		assert.Assert(t, slices.IsSortedFunc(list, func(a, b Reason) int { return strings.Compare(a.Target, b.Target) }))
		for _, r := range list {
			assert.Assert(t, r.Why != "", r.Target)
		}
	}
	// The workflows that the mission names.
	for _, file := range []string{
		"ci", "pages", "secret-scan", "codeql", "scorecard", "dependency-review", "integration-matrix", "release", "observability-maturity",
		"connector-certification", "production-maturity", "industrial-readiness", "certification-release-summary", "full-certification",
		"live-certification", "replay-integration",
	} {
		assert.Assert(t, seen[file+".yml"], file)
	}
}

// Each code has a section of the runbooks with the four parts that a reader needs.
func TestEachRuleHasARunbook(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/runbooks.md")
	assert.NilError(t, err)
	codes := []string{codeFolder, codeCurrent}
	for _, rule := range Rules() {
		codes = append(codes, rule.Code)
	}
	for _, code := range codes {
		heading := "\n### " + strings.ReplaceAll(code, ".", " ") + "\n"
		if code == codeCurrent {
			heading = strings.Replace(heading, "###", "##", 1)
		}
		_, section, ok := strings.Cut(string(raw), heading)
		assert.Check(t, ok, "docs/runbooks.md has no %q", strings.TrimSpace(heading))
		section, _, _ = strings.Cut(section, "\n#")
		for _, part := range []string{"**Symptom.**", "**Reproduce.**", "**Fix.**", "**Never do.**", "`" + code + "`"} {
			assert.Check(t, !ok || strings.Contains(section, part), "%s has no %s", code, part)
		}
	}
}
