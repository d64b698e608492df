package fault

// partitions replace other partitions than those in scope.
func partitions() []Fault {
	return []Fault{
		{
			ID: "partitions-emptied-one-left-alone", Area: "partitions",
			Doc:   "The last partition in scope is left out, which the source has no rows for any more.",
			File:  "engine/sqlsink/apply.go",
			Old:   `for _, v := range in.Values {`,
			New:   `for _, v := range in.Values[:max(0, len(in.Values)-1)] {`,
			Cases: []string{"sqlite_to_sqlite__partition_replace", "sqlite_to_postgres__partition_replace"},
		},
		{
			ID: "partitions-only-the-first", Area: "partitions",
			Doc:   "Files lose the rows of the first partition in scope only.",
			File:  "engine/file/tx.go",
			Old:   `c.filter.In(c.add(a.Scope.Column), a.Scope.Column.Type.Kind, a.Scope.Values)`,
			New:   `c.filter.In(c.add(a.Scope.Column), a.Scope.Column.Type.Kind, a.Scope.Values[:1])`,
			Cases: []string{"sqlite_to_file__partition_replace", "file_to_file__partition_replace"},
		},
		{
			ID: "partitions-others-emptied", Area: "partitions",
			Doc:  "All partitions but those in scope are emptied.",
			File: "engine/sqlsink/apply.go",
			Old: `"strategy.partition.values"); err != nil {
		return connector.Counters{}, err
	}
	return t.replaceWhere(ctx, a, " WHERE "+condition)`,
			New: `"strategy.partition.values"); err != nil {
		return connector.Counters{}, err
	}
	return t.replaceWhere(ctx, a, " WHERE NOT "+condition)`,
			Cases: []string{"sqlite_to_sqlite__partition_replace", "sqlite_to_postgres__partition_replace"},
		},
	}
}

// histories have versions that overlap, stay open, or should not be there.
func histories() []Fault {
	return []Fault{
		{
			ID: "scd2-versions-leave-a-gap", Area: "scd2",
			Doc:   "A version ends where it began, and not where the next one begins.",
			File:  "engine/sqlsink/apply.go",
			Old:   `closing := "UPDATE " + target + " AS t SET " + q(o.ValidTo) + " = " + now + ", "`,
			New:   `closing := "UPDATE " + target + " AS t SET " + q(o.ValidTo) + " = " + q(o.ValidFrom) + ", "`,
			Cases: []string{"sqlite_to_sqlite__scd2", "sqlite_to_postgres__scd2"},
		},
		{
			ID: "scd2-versions-overlap", Area: "scd2",
			Doc:   "A version that a new one replaces has no end.",
			File:  "engine/sqlsink/apply.go",
			Old:   `closing := "UPDATE " + target + " AS t SET " + q(o.ValidTo) + " = " + now + ", "`,
			New:   `closing := "UPDATE " + target + " AS t SET " + q(o.ValidTo) + " = NULL, "`,
			Cases: []string{"sqlite_to_sqlite__scd2", "sqlite_to_postgres__scd2"},
		},
		{
			ID: "scd2-old-version-stays-current", Area: "scd2",
			Doc:   "The flag of a version that ends is not cleared, so that the new one is not opened.",
			File:  "engine/sqlsink/apply.go",
			Old:   `q(o.Current) + " = " + t.d.False`,
			New:   `q(o.Current) + " = " + t.d.True`,
			Cases: []string{"sqlite_to_sqlite__scd2", "sqlite_to_postgres__scd2"},
		},
		{
			ID: "scd2-deleted-keys-left-open", Area: "scd2",
			Doc:   "The versions of keys that are gone stay current.",
			File:  "engine/sqlsink/apply.go",
			Old:   `if o.DeletePolicy != "ignore" {`,
			New:   `if o.DeletePolicy == "ignore" {`,
			Cases: []string{"sqlite_to_sqlite__scd2", "sqlite_to_postgres__scd2"},
		},
		{
			ID: "scd2-equal-rows-versioned", Area: "scd2",
			Doc:  "Rows that did not change get a new version, too.",
			File: "engine/sqlsink/apply.go",
			Old: `AND "+match+
		" AND "+t.d.Differs("t", "s", a.Columns)); err != nil {`,
			New:   `AND "+match); err != nil {`,
			Cases: []string{"sqlite_to_sqlite__scd2", "sqlite_to_postgres__scd2"},
		},
		{
			ID: "scd2-row-hash-constant", Area: "scd2",
			Doc:   "All rows have one hash.",
			File:  "engine/sqlite/stage.go",
			Old:   `sum := sha256.Sum256(out)`,
			New:   `sum := sha256.Sum256(nil)`,
			Cases: []string{"sqlite_to_sqlite__scd2", "file_to_sqlite__scd2"},
		},
	}
}

// backfills leave chunks out, or cut them at the wrong place.
func backfills() []Fault {
	return []Fault{
		{
			ID: "backfill-first-chunk-skipped", Area: "backfill",
			Doc:   "A backfill begins with the second chunk.",
			File:  "engine/backfill.go",
			Old:   `for from := g.first; ; {`,
			New:   `for from := g.first + g.width; ; {`,
			Cases: []string{"sqlite_to_sqlite__backfill", "sqlite_to_file__backfill"},
		},
		{
			ID: "backfill-last-chunk-lost", Area: "backfill",
			Doc:   "A backfill ends before its last chunk (>= for >).",
			File:  "engine/backfill.go",
			Old:   `if !ok || to > g.last {`,
			New:   `if !ok || to >= g.last {`,
			Cases: []string{"sqlite_to_sqlite__backfill", "sqlite_to_file__backfill"},
		},
		{
			ID: "backfill-chunk-begin-exclusive", Area: "backfill",
			Doc:   "A chunk leaves out its first value (> for >=).",
			File:  "engine/sqlsink/apply.go",
			Old:   `parts = append(parts, column+" >= "+l)`,
			New:   `parts = append(parts, column+" > "+l)`,
			Cases: []string{"sqlite_to_sqlite__backfill", "sqlite_to_postgres__backfill"},
		},
		{
			ID: "backfill-file-on-the-edge-kept", Area: "backfill",
			Doc:   "A file whose greatest value is the first one of a chunk counts as outside of it (<= for <).",
			File:  "engine/file/tx.go",
			Old:   `if r.From != nil && order.Compare(k, greatest, r.From) < 0 {`,
			New:   `if r.From != nil && order.Compare(k, greatest, r.From) <= 0 {`,
			Cases: []string{"sqlite_to_file__backfill", "file_to_file__backfill"},
		},
	}
}

// xmins read another window than the one since the last run.
func xmins() []Fault {
	seen := []string{"postgres_to_postgres__xmin"}
	return []Fault{
		{
			ID: "xmin-window-begins-now", Area: "xmin",
			Doc:   "The window begins at the snapshot of this run, and not at that of the last one.",
			File:  "engine/postgres/xmin.go",
			Old:   `w.Where = inWindow(before.Lower, now.Upper,`,
			New:   `w.Where = inWindow(now.Lower, now.Upper,`,
			Cases: seen,
		},
		{
			ID: "xmin-window-not-used", Area: "xmin",
			Doc:  "The whole table is read, whatever the window is.",
			File: "engine/xmin.go",
			Old: `	work.request.Where = w.Where
`,
			New:   ``,
			Cases: seen,
		},
		{
			ID: "xmin-deletes-not-looked-for", Area: "xmin",
			Doc:   "The keys of both sides are not compared, so that rows which are gone stay.",
			File:  "engine/xmin.go",
			Old:   `work.keys = r.m.Reconciliation.Enabled`,
			New:   `work.keys = false`,
			Cases: seen,
		},
	}
}

// streams lose changes, or apply others.
func streams() []Fault {
	seen := []string{"postgres_to_postgres__cdc"}
	return []Fault{
		{
			ID: "cdc-delete-ignored", Area: "cdc",
			Doc:   "A delete is handed on only for rows that came with the same changes.",
			File:  "engine/postgres/replication/fold.go",
			Old:   `if !e.born {`,
			New:   `if e.born {`,
			Cases: seen,
		},
		{
			ID: "cdc-insert-lost", Area: "cdc",
			Doc:   "New rows are not inserted.",
			File:  "engine/sqlsink/changes.go",
			Old:   `a.upsert, a.complete, a.insert} {`,
			New:   `a.upsert, a.complete} {`,
			Cases: seen,
		},
		{
			ID: "cdc-update-lost", Area: "cdc",
			Doc:  "An update of a row that the target has does nothing.",
			File: "engine/sqlsink/changes.go",
			Old: `	if len(rest) > 0 {
		action = "DO UPDATE SET "`,
			New: `	if len(rest) == 0 {
		action = "DO UPDATE SET "`,
			Cases: seen,
		},
	}
}
