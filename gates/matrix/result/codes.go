package result

import (
	"fmt"
	"slices"
	"strings"
)

// CodeDoc explains a code.
type CodeDoc struct {
	Code string
	// Doc says what has gone wrong when the code is red, Fix where to look, and Never what
	// makes it green and proves nothing. Each is Markdown.
	Doc, Fix, Never string
}

const runbooks = "docs/runbooks.md#matrix-"

// Runbook is the section about a code, with or without its "matrix.".
func Runbook(code string) string {
	return runbooks + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.TrimPrefix(code, "matrix."))
}

// Codes lists the checks of cases and the blockers of reports, each in the order of its name.
func Codes() []CodeDoc {
	all := slices.Concat(slices.Clone(checks), slices.Clone(blockers))
	slices.SortStableFunc(all, func(a, b CodeDoc) int {
		if left, right := strings.HasPrefix(a.Code, "matrix."), strings.HasPrefix(b.Code, "matrix."); left != right {
			if right {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Code, b.Code)
	})
	return all
}

var checks = []CodeDoc{
	{
		"wide_columns_preserved", "A column of the target differs from the rows that were loaded: its digest over all rows is not the expected one. The check names the columns.",
		"The end of the column's name is its type, and the differing keys have both values. Look at the conversion of that type, in the reader of the source and in the writer of the sink.",
		"Do not take a column out of the fixture, or round both sides, to make them equal.",
	},
	{
		"no_unexpected_null_density", "A column has more or fewer NULL than were loaded.",
		"One side takes NULL for a value or a value for NULL: the empty text, a word such as `NULL` or `\\N`, NaN, a zero date. Compare the differing keys.",
		"Do not make the column NOT NULL in the fixture: the other columns of its type have the same defect.",
	},
	{
		"append_count_matches_delta", "The target did not grow by as many rows as the delta has.",
		"Fewer: the window left rows out, look at its bounds and at the cursor. More: rows were appended twice, look at the receipt of the window.",
		"Do not count distinct keys in the place of rows: that hides an append that was made twice.",
	},
	{
		"existing_rows_preserved", "An append changed or removed rows that the target had before it.",
		"Look at the apply of `incremental_append`: it may insert only.",
		"Do not fill the target again before it is compared.",
	},
	{
		"row_count_matches_full_source", "After a full refresh the target has not as many rows as the source.",
		"Fewer: a batch or its last row was lost, or the reader stopped early. More: the old rows are still there, look at the swap of the table.",
		"Do not run it twice and compare then: the first load has to be right.",
	},
	{
		"checksum_matches_full_source", "After a full refresh the rows of the target are not those of the source.",
		"The columns whose digests differ, and the differing keys, say whether a value was converted wrongly or a row has the values of another.",
		"Do not leave a column out of the digest.",
	},
	{
		"row_count_matches_source_snapshot", "After the load the target has not as many rows as the source.",
		"Missing keys: inserts were not applied, or rows were lost. Extra keys: deletes were not applied, or rows were inserted that should have been updated.",
		"Do not allow a difference: the numbers follow from the seed exactly.",
	},
	{
		"checksum_matches_source_snapshot", "After the load the rows of the target are not those of the source.",
		"Look at the differing keys first: old values mean that an update was not applied, other values that a conversion is wrong.",
		"Do not compare the keys only.",
	},
	{
		"delete_keys_absent", "Keys that were deleted in the source are still in the target.",
		"See how the strategy learns of deletes: reconciliation of keys, the change feed, or the window that it replaces. Then the apply of the delete.",
		"Do not set the share of deletes to 0.",
	},
	{
		"snapshot_diff_row_hash_matches", "The rows that `snapshot_diff` took for changed are not those that changed.",
		"The hash of a row is of other columns, or of other text, in source and target. Look at the encoding of the column whose digest differs.",
		"Do not write all rows to make the contents equal: what did not change must not be written.",
	},
	{
		"scd2_current_rows_match_source", "The current rows of the history are not the rows of the source.",
		"A key with two current rows, or with none: look at the end of the old version and at the insert of the new one, which have to commit together.",
		"Do not look at the newest version of a key in the place of the one that is marked as current.",
	},
	{
		"scd2_history_closed", "A version that is no longer current has no end, or its end is not the start of the next one.",
		"Look at the statement that closes versions: the time it writes, and the keys it is for, deleted ones included.",
		"Do not close open versions after the load.",
	},
	{
		"row_hash_changes_create_new_versions", "The numbers of versions are wrong: a changed row got no new version, or an unchanged one did.",
		"Look at the hash of rows: the columns it has, and whether both sides write a value as the same text.",
		"Do not touch `updated_at` to force new versions.",
	},
	{
		"seed_matches_before", "The target was wrong before the strategy ran, so that the case says nothing of the strategy yet.",
		"Where the run has the name `seed` in the artifact, the engine filled the target: look at that load. Otherwise the matrix did, and the defect is in its own code for the system.",
		"Do not compare after the load alone: what was wrong before may be hidden by it.",
	},
	{
		"rows_match_expected", "The target does not hold exactly the rows that it should: a key is missing, is too much, or has another value.",
		"The other red checks of the case say of what kind it is, and the differing keys have both values. When this check is red alone, it is about the columns that every fixture begins with.",
		"Do not compare counts alone: one row too many and one too few are as many as there should be.",
	},
	{
		"strategy_has_checks", "The strategy of the case has no checks, so that nothing could be red.",
		"A strategy that is new to the engine needs its expected rows in `gates/matrix/oracle` and its checks in `gates/matrix/compare`.",
		"Do not borrow the checks of another strategy because they happen to be green.",
	},
	{
		"backfill_chunk_state_committed", "A chunk of the backfill has no receipt, or one too many.",
		"Compare the receipts in the target with those of the run in the artifact: a chunk and its receipt commit together or not at all.",
		"Do not write receipts by hand.",
	},
	{
		"keyed_events_present", "A key of the delta has no event in the target, or one with another key.",
		"Look at what becomes the key of an event, and at events that were put together because their keys look the same.",
		"Do not count events without their keys.",
	},
	{
		"second_run_changes_nothing", "The same manifest, run again on the same source, changed the target.",
		"Look for rows that are applied again: a cursor that includes its last value, a window without a receipt, a time of load that gets into the rows.",
		"Do not leave the second run out.",
	},
	{
		"receipts_once", "A load window has no receipt in the target, or more than one.",
		"The receipt is written in the transaction of the data. None means that data went without it; two mean that a window was applied twice.",
		"Do not delete the second receipt: the rows are there twice as well.",
	},
	{
		"no_leftovers", "A run left staging tables, shadow tables or temporary files behind.",
		"The names tell the step that made them. What is made is removed on every way out, also after an error and when the context ends.",
		"Do not put the names on a list of exceptions.",
	},
	{
		"engine_run_passed", "A run of the engine ended with an error, or without passing its own checks.",
		"The error's code is in `observed`, and [errors.md](errors.md) explains it. The whole run is in `runs` of the artifact.",
		"Do not try again inside of the case until it passes.",
	},
	{
		"manifest_valid", "The manifest of the case has a problem, or is for another strategy.",
		"The message names the line and the field; the text is in `manifest` of the artifact. Either the connector declares what it does not take, or the matrix writes the wrong options for it.",
		"Do not loosen the reading of manifests.",
	},
	{
		"guide_exists", "The page about the strategy is not there.",
		"Write the page, or correct the path in the registry.",
		"Do not add an empty page.",
	},
	{
		"capabilities_match", "The source or the sink does not declare the strategy of the case.",
		"Registry and connector disagree: the registry is made from the declarations, so look for two builds, or for a list that was typed by hand.",
		"Do not declare a strategy that the connector cannot carry out.",
	},
	{
		"crash_recovered", "After the engine was killed in the middle of a load, the next run did not get to the right rows.",
		"The check names the point at which it was killed. What was committed there has to be told from what was not, by the receipt and by the state.",
		"Do not clean the target between the kill and the next run.",
	},
	{
		"source_rows_read", "The engine read another number of rows than the strategy has to.",
		"More: the window is too wide, and the load costs more than it should. Fewer: something is missed that the target happens to have already.",
		"Do not report the rows of the target in the place of those that were read.",
	},
}

var blockers = []CodeDoc{
	{
		CaseFailed, "A check of a case failed.",
		"The section of the check; the report names it below the case.",
		"Do not leave the case out of the selection.",
	},
	{
		CaseUnverified, "A case could not be carried out: a system was not there or went away, the disk was full, or a check had no answer.",
		"The reason stands below the case. `mage doctor` tells what is installed; then run again with `-resume`.",
		"Do not read it as passed, and do not turn it into a skip.",
	},
	{
		CaseMissing, "A selected case has no result: the run was stopped, or a shard is missing.",
		"Run the same target with `-resume`, or bring the missing shard and merge again.",
		"Do not copy the result of another run into the folder.",
	},
	{
		CaseOrphan, "There is a result of a case that is not in the registry, or was not selected.",
		"Two builds, or two selections, wrote into one folder. Use a new folder, and merge only shards of one plan.",
		"Do not delete the file to get green before it is known where it came from.",
	},
	{
		CaseDoubled, "A case has more than one result, so that one of them could be chosen.",
		"A shard was given twice, or two shards had the same index. Give each once.",
		"Do not keep the better one.",
	},
	{
		CaseForeign, "A result is of another commit, mode, seed, number of rows, or build than the report.",
		"The blocker names the difference. Run the case again on this commit, with the flags of the report.",
		"Do not edit the artifact.",
	},
	{
		CaseInvalid, "A result contradicts itself, for example checks that passed beside digests that differ.",
		"The blocker says in what. It is a defect of the matrix, or the artifact was changed: report it with the artifact.",
		"Do not take the verdict of such a result.",
	},
	{
		SelectionEmpty, "No case was selected, so that nothing was proved.",
		"Widen `-source`, `-sink`, `-strategy` or `-caseID`, and look at the `DPONE_MATRIX_*` variables; `mage matrix:list` shows what there is.",
		"Do not treat the run as green.",
	},
	{
		SelectionUnknown, "A case was selected that is not in the registry of this build.",
		"Make the plan again on this commit: a connector or a strategy has gone or has another name.",
		"Do not type cases into a plan.",
	},
	{
		NothingExecuted, "Every selected case was skipped, so that nothing was proved.",
		"The reasons stand under Skipped in the report; bring what is missing, or select other cases.",
		"Do not accept skips as proof.",
	},
}

// RunbookSections are the sections of docs/runbooks.md about the matrix: one of the second
// level about the whole, and one of the third for each code.
func RunbookSections() string {
	var b strings.Builder
	b.WriteString(`## matrix

`)
	part(&b, "Symptom", "A target of the matrix (`matrix:mockContract`, `matrix:mockLocal`, `matrix:realLocal`, `matrix:vendorLive`, `matrix:merge`) is not green. `certification_report.md` in the run folder has the red cases; `<case>__behavior.json` has all about one.")
	part(&b, "Reproduce", "The command below the case in the report carries out that case alone, with the same rows: `mage matrix:mockLocal -caseID=<case> -rows=<rows> -seed=<seed>`. The sections below mean this command. Fewer rows are quicker, and most defects show with 100.")
	part(&b, "Fix", "Look up the code of the first failing check below. When many cases are red, the tables tell whether they share a source, a sink or a strategy. Then the differing keys: missing, extra, or changed with both values.")
	part(&b, "Never do", "Do not change what is expected until it agrees. Do not choose a seed with which it is green. Do not run again and hope: the rows are the same in every run, so a case that changes its mind is a finding.")
	for _, c := range Codes() {
		fmt.Fprintf(&b, "\n### matrix %s\n\n", strings.NewReplacer("_", " ", "-", " ").Replace(strings.TrimPrefix(c.Code, "matrix.")))
		part(&b, "Symptom", "`"+c.Code+"`: "+c.Doc)
		reproduce := "The command below the case in the report."
		if strings.HasPrefix(c.Code, "matrix.") && c.Code != CaseFailed && c.Code != CaseUnverified {
			reproduce = "The command of the run, in `record.json` (`jq -r .stable.invocation.command`); for a merge, the same folders again."
		}
		part(&b, "Reproduce", reproduce)
		part(&b, "Fix", c.Fix)
		part(&b, "Never do", c.Never)
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\n\n\n", "\n\n")
}

// part writes a paragraph of a section, in lines of at most 120 bytes where the words allow it.
func part(b *strings.Builder, name, text string) {
	const width = 120
	line := "**" + name + ".**"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = word
			continue
		}
		line += " " + word
	}
	b.WriteString(line + "\n\n")
}
