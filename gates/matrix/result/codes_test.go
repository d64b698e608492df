package result_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/gates/matrix/result"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	texts := map[string]string{}
	for _, c := range result.Codes() {
		assert.Check(t, !seen[c.Code], "%s is there twice", c.Code)
		seen[c.Code] = true
		for _, text := range []string{c.Doc, c.Fix, c.Never} {
			assert.Check(t, strings.HasSuffix(text, "."), "%s: %q is not a sentence", c.Code, text)
			assert.Check(t, texts[text] == "", "%s and %s have the same text", c.Code, texts[text])
			texts[text] = c.Code
		}
	}
	for _, code := range strings.Fields(`wide_columns_preserved no_unexpected_null_density append_count_matches_delta existing_rows_preserved
		row_count_matches_full_source checksum_matches_full_source row_count_matches_source_snapshot checksum_matches_source_snapshot
		delete_keys_absent snapshot_diff_row_hash_matches scd2_current_rows_match_source scd2_history_closed row_hash_changes_create_new_versions
		seed_matches_before backfill_chunk_state_committed keyed_events_present second_run_changes_nothing receipts_once no_leftovers
		engine_run_passed manifest_valid guide_exists capabilities_match crash_recovered source_rows_read
		rows_match_expected strategy_has_checks`) {
		assert.Check(t, seen[code], "%s is not explained", code)
	}
	// What this package itself calls a blocker.
	for _, s := range scenes() {
		for _, b := range s.report().Blockers {
			assert.Check(t, seen[b.Code], "%s is not explained", b.Code)
		}
	}
}

func TestRunbook(t *testing.T) {
	t.Parallel()
	assert.Equal(t, result.Runbook("delete_keys_absent"), "docs/runbooks.md#matrix-delete-keys-absent")
	assert.Equal(t, result.Runbook("matrix.case_failed"), "docs/runbooks.md#matrix-case-failed")
	assert.Equal(t, result.Runbook("a](x) b"), "docs/runbooks.md#matrix-a--x--b")
}

// TestRunbookSections holds that each code leads to a section that has the four parts, and
// that the sections are those of a page on which links are followed.
func TestRunbookSections(t *testing.T) {
	t.Parallel()
	text := result.RunbookSections()
	golden.Assert(t, text, "runbooks.md")
	sections := map[string]string{}
	parts := regexp.MustCompile(`(?m)^#{2,3} `).Split(text, -1)
	for _, part := range parts[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		plain := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading), "")
		anchor := "docs/runbooks.md#" + strings.ReplaceAll(plain, " ", "-")
		assert.Check(t, sections[anchor] == "", "%s is there twice", anchor)
		sections[anchor] = body
	}
	assert.Equal(t, len(sections), len(result.Codes())+1)
	for _, c := range result.Codes() {
		body := sections[result.Runbook(c.Code)]
		assert.Check(t, strings.Contains(body, "`"+c.Code+"`"), "%s has no section", c.Code)
		for _, part := range []string{"**Symptom.** ", "**Reproduce.** ", "**Fix.** ", "**Never do.** "} {
			assert.Check(t, strings.Count(body, part) == 1, "%s: %s", c.Code, part)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		assert.Check(t, len(line) <= 120, line)
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		_, err := os.Stat(filepath.Join("../../../docs", link[1]))
		assert.Check(t, err, link[1])
	}
}
