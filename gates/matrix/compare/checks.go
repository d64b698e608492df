package compare

import (
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence"
)

// check is PASS when what was observed is as expected.
func check(code string, ok bool, observed, expected, why string) Check {
	c := Check{Code: code, Verdict: evidence.Fail, Observed: observed, Expected: expected, Why: why}
	if ok {
		c.Verdict, c.Why = evidence.Pass, ""
	}
	return c
}

// Checks are the named checks of a strategy. A strategy that has none is a FAIL.
func (o *Outcome) Checks(strategy string) []Check {
	checks := []Check{o.rowsMatch("rows_match_expected"), o.wideColumns(), o.nulls()}
	switch strategy {
	case "incremental_append":
		return append(checks, o.appended(), o.existing())
	case "full_refresh":
		return append(checks, o.rowCount("row_count_matches_full_source"), o.checksum("checksum_matches_full_source"))
	case "scd2":
		if o.versions == nil {
			return append(checks, check("scd2_history_closed", false, "no column of a history was read", "a history", ""))
		}
		return append(checks, o.currentRows(), o.historyClosed(), o.newVersions())
	case "incremental_merge", "replace", "partition_replace", "backfill", "xmin", "cdc", "snapshot_diff":
		checks = append(checks,
			o.rowCount("row_count_matches_source_snapshot"), o.checksum("checksum_matches_source_snapshot"), o.deleteKeys())
		if strategy == "snapshot_diff" {
			checks = append(checks, o.rowHashes())
		}
		return checks
	}
	return append(checks, check("strategy_has_checks", false, fmt.Sprintf("no check for strategy %q", strategy), "a strategy of the matrix", ""))
}

// Seed is the check of a target before the load, against [oracle.Before].
func (o *Outcome) Seed() Check {
	c := o.rowsMatch("seed_matches_before")
	if o.versions != nil && o.versions.faulty > 0 {
		c = check(c.Code, false, c.Observed+"; "+o.versions.describe(), c.Expected, "the load of the rows before the change went wrong; what follows says nothing")
	}
	return c
}

// rowsMatch holds every row against the one that is expected, and both digests of all rows.
func (o *Outcome) rowsMatch(code string) Check {
	observed := contents(o.Actual)
	differ := o.Missing + o.Extra + o.Changed + o.Malformed
	if differ > 0 {
		observed += fmt.Sprintf("; %d missing, %d extra, %d changed, %d malformed", o.Missing, o.Extra, o.Changed, o.Malformed)
	}
	ok := differ == 0 && o.Actual.Rows == o.Expected.Rows && o.Actual.Digest == o.Expected.Digest
	return check(code, ok, observed, contents(o.Expected), "the differences name the rows")
}

func contents(c Contents) string { return fmt.Sprintf("%d rows, digest %.16s", c.Rows, c.Digest) }

// maxNamed is how many columns a check names.
const maxNamed = 3

func named(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		names = append(names[:maxNamed:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

func (o *Outcome) wideColumns() Check {
	var differ []string
	for i, e := range o.Expected.Columns {
		if o.Actual.Columns[i].Digest != e.Digest {
			differ = append(differ, e.Name)
		}
	}
	n := len(o.Expected.Columns)
	observed := fmt.Sprintf("%d of %d columns have the expected digest", n-len(differ), n)
	if len(differ) > 0 {
		observed += "; not: " + named(differ)
	}
	return check("wide_columns_preserved", len(differ) == 0, observed, fmt.Sprintf("%d of %d columns have the expected digest", n, n),
		"a value of the column differs; a row that is missing or too many changes all columns")
}

func (o *Outcome) nulls() Check {
	var expected, actual int64
	for i, e := range o.Expected.Columns {
		expected += e.Nulls
		actual += o.Actual.Columns[i].Nulls
	}
	var differ []string
	for _, c := range o.UnexpectedNulls {
		differ = append(differ, fmt.Sprintf("%s %d instead of %d", c.Column, c.Actual, c.Expected))
	}
	observed := fmt.Sprintf("%d NULL, %d columns with another number than expected", actual, len(differ))
	if len(differ) > 0 {
		observed += ": " + named(differ)
	}
	return check("no_unexpected_null_density", len(differ) == 0, observed, fmt.Sprintf("%d NULL, 0 columns with another number than expected", expected),
		"a value became NULL, NULL became a value, or rows are missing or too many")
}

func (o *Outcome) rowCount(code string) Check {
	return check(code, o.Actual.Rows == o.Expected.Rows, fmt.Sprintf("%d rows", o.Actual.Rows), fmt.Sprintf("%d rows", o.Expected.Rows), "")
}

func (o *Outcome) checksum(code string) Check {
	return check(code, o.Actual.Digest == o.Expected.Digest, o.Actual.Digest, o.Expected.Digest, "the target does not hold the same rows as the source")
}

func (o *Outcome) appended() Check {
	observed, expected := o.Actual.Rows-o.counts.Rows, o.Expected.Rows-o.counts.Rows
	return check("append_count_matches_delta", observed == expected,
		fmt.Sprintf("%d rows more than before", observed), fmt.Sprintf("%d rows more than before", expected), "")
}

func (o *Outcome) existing() Check {
	text := "%d of %d rows from before are as they were"
	return check("existing_rows_preserved", o.before == o.counts.Rows,
		fmt.Sprintf(text, o.before, o.counts.Rows), fmt.Sprintf(text, o.counts.Rows, o.counts.Rows), "the load changed or lost rows that it should not touch")
}

func (o *Outcome) deleteKeys() Check {
	text := "%d rows of the %d deleted keys"
	observed := fmt.Sprintf(text, o.deleted, o.counts.Deleted)
	if o.deleted > 0 {
		observed += fmt.Sprintf(", the least key is %d", o.least)
	}
	return check("delete_keys_absent", o.deleted == 0, observed, fmt.Sprintf(text, 0, o.counts.Deleted), "the load did not take the deleted rows away")
}

func (o *Outcome) rowHashes() Check {
	text := "%d of %d rows have the SHA-256 of the source's row"
	return check("snapshot_diff_row_hash_matches", o.matched == o.Expected.Rows && o.Actual.Rows == o.Expected.Rows,
		fmt.Sprintf(text, o.matched, o.Actual.Rows), fmt.Sprintf(text, o.Expected.Rows, o.Expected.Rows), "the comparison of source and target missed a row, or wrote a wrong one")
}

func (o *Outcome) currentRows() Check {
	a, e := o.versions.current, o.current
	text := "%d current rows, digest %.16s"
	return check("scd2_current_rows_match_source", a == e, fmt.Sprintf(text, a.rows, a.sum), fmt.Sprintf(text, e.rows, e.sum),
		"the current versions are not the source's rows")
}

func (o *Outcome) historyClosed() Check {
	v := o.versions
	return check("scd2_history_closed", v.closed == v.expectedClosed && v.faulty == 0,
		fmt.Sprintf("%d closed versions, %s", v.closed, v.describe()), fmt.Sprintf("%d closed versions, 0 faults", v.expectedClosed),
		"each closed version has to end exactly where the next one begins, each key of the source to have one current version, and each deleted key none")
}

func (v *versions) describe() string {
	text := fmt.Sprintf("%d faults", v.faulty)
	for i, f := range v.faults {
		text += [...]string{": ", "; ", "; "}[i]
		if f.id != allKeys {
			text += fmt.Sprintf("key %d: ", f.id)
		}
		text += f.why
	}
	return text
}

func (o *Outcome) newVersions() Check {
	v := o.versions
	text := "%d keys with a second version, %d of them with the same row hash, %d rows without one"
	return check("row_hash_changes_create_new_versions", v.renewed == v.expected && v.sameHash == 0 && v.noHash == 0,
		fmt.Sprintf(text, v.renewed, v.sameHash, v.noHash), fmt.Sprintf(text, v.expected, 0, 0),
		"a key gets a new version when its row hash changes, and only then")
}
