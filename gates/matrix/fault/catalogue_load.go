package fault

// sources lose rows on the way out of the source, or read others than they should.
func sources() []Fault {
	return []Fault{
		{
			ID: "source-every-64th-row-skipped", Area: "source",
			Doc:  "A SQLite source leaves out every 64th row.",
			File: "engine/sqlite/cursor.go",
			Old: `			c.at++
`,
			New: `			c.at++
			if c.at%64 == 0 {
				continue
			}
`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_file__full_refresh"},
		},
		{
			ID: "source-last-file-not-read", Area: "source",
			Doc:   "A file source stops before the last file of its set.",
			File:  "engine/file/reader.go",
			Old:   `if r.next == len(r.s.set.files) {`,
			New:   `if r.next >= len(r.s.set.files)-1 {`,
			Cases: []string{"file_to_sqlite__full_refresh", "file_to_file__full_refresh"},
		},
		{
			ID: "source-partial-batch-dropped", Area: "source",
			Doc:  "The last batch of a file source is lost when it is not full.",
			File: "engine/file/reader.go",
			Old: `	if b.Rows() > 0 {
		r.stats.Rows += int64(b.Rows())`,
			New: `	if b.Rows() == rows {
		r.stats.Rows += int64(b.Rows())`,
			Cases: []string{"file_to_sqlite__full_refresh", "file_to_file__full_refresh"},
		},
		{
			ID: "source-first-row-taken-for-header", Area: "source",
			Doc:  "The first row of each stream of a PostgreSQL source is lost together with the header it comes with.",
			File: "engine/postgres/wire/wire.go",
			Old: `		o.begun = true
	}`,
			New: `		o.begun = true
		return nil, nil
	}`,
			Cases: []string{"postgres_to_sqlite__full_refresh", "postgres_to_file__full_refresh"},
		},
		{
			ID: "source-window-not-asked-for", Area: "source",
			Doc:   "A SQLite source forgets the condition of the window and reads the whole table.",
			File:  "engine/sqlite/source.go",
			Old:   `range []string{s.source.options.CustomPredicate, r.Where} {`,
			New:   `range []string{s.source.options.CustomPredicate} {`,
			Cases: []string{"sqlite_to_file__replace", "sqlite_to_sqlite__replace"},
		},
		{
			ID: "source-cursor-end-exclusive", Area: "source",
			Doc:   "The window of a cursor ends before its greatest value (< for <=).",
			File:  "engine/load.go",
			Old:   `bounds := &connector.Range{Column: column, To: greatest, ToInclusive: true}`,
			New:   `bounds := &connector.Range{Column: column, To: greatest}`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "file_to_sqlite__incremental_merge"},
		},
	}
}

// stages lose or change rows between the source and the target.
func stages() []Fault {
	return []Fault{
		{
			ID: "staging-null-keeps-value-before", Area: "staging",
			Doc:  "A NULL takes the value that the column had in the row before it.",
			File: "engine/sqlite/stage.go",
			Old: `			s.stmt.BindNull(i + 1)
			continue`,
			New:   `			continue`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "staging-batch-written-twice", Area: "staging",
			Doc:  "Every batch is written to the stage twice.",
			File: "engine/load.go",
			Old: `		if err := stage.Write(ctx, b); err != nil {
			return err
		}
`,
			New: `		for range 2 {
			if err := stage.Write(ctx, b); err != nil {
				return err
			}
		}
`,
			Cases: []string{"sqlite_to_file__full_refresh", "sqlite_to_sqlite__full_refresh"},
		},
		{
			ID: "staging-held-rows-lost", Area: "staging",
			Doc:  "The rows that a file of a partition still holds back are lost when it is closed.",
			File: "engine/file/stage.go",
			Old: `	if err := o.release(); err != nil {
		return errors.Join(err, o.f.Close())
	}
	err := o.end()`,
			New:   `	err := o.end()`,
			Cases: []string{"sqlite_to_file__partition_replace", "file_to_file__partition_replace"},
		},
		{
			ID: "staging-full-buffer-dropped", Area: "staging",
			Doc:  "A buffer of rows for PostgreSQL is thrown away when it is full, instead of sent.",
			File: "engine/postgres/stage.go",
			Old: `			if err := s.in.Put(buf); err != nil {
				return s.broken(err)
			}
			buf = s.in.Room()`,
			New:   `			buf = s.in.Room()`,
			Cases: []string{"sqlite_to_postgres__full_refresh", "file_to_postgres__full_refresh"},
		},
	}
}

// applies change the target by the staged rows in another way than the strategy says.
func applies() []Fault {
	return []Fault{
		{
			ID: "apply-append-twice", Area: "apply",
			Doc:  "An append inserts the staged rows twice.",
			File: "engine/sqlsink/apply.go",
			Old: `	n, err := t.insertAll(ctx, a.Columns, where)
`,
			New: `	if _, err := t.insertAll(ctx, a.Columns, where); err != nil {
		return c, err
	}
	n, err := t.insertAll(ctx, a.Columns, where)
`,
			Cases: []string{"sqlite_to_sqlite__incremental_append", "sqlite_to_postgres__incremental_append"},
		},
		{
			ID: "apply-append-replaces", Area: "apply",
			Doc:  "An append to files drops the files that were there.",
			File: "engine/file/tx.go",
			Old: `	kept := t.old.Files
	var gone int64`,
			New: `	var kept []dataset.File
	var gone int64`,
			Cases: []string{"sqlite_to_file__incremental_append", "file_to_file__incremental_append"},
		},
		{
			ID: "apply-merge-updates-nothing", Area: "apply",
			Doc:  "A merge inserts new rows and leaves the known ones as they were.",
			File: "engine/sqlsink/apply.go",
			Old: `	if len(rest) > 0 || deletedAt != "" {
		n, err := t.b.Exec(ctx, "UPDATE "`,
			New: `	if deletedAt != "" {
		n, err := t.b.Exec(ctx, "UPDATE "`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "sqlite_to_sqlite__snapshot_diff"},
		},
		{
			ID: "apply-merge-skips-decimals", Area: "apply",
			Doc:  "An update leaves the decimals of a row as they were.",
			File: "engine/sqlsink/apply.go",
			Old: `	for i := range rest {
		parts = append(parts, t.d.Quote(rest[i].Name)+" = "+value(rest[i]))`,
			New: `	for i := range rest {
		if rest[i].Type.Kind == logical.Numeric {
			continue
		}
		parts = append(parts, t.d.Quote(rest[i].Name)+" = "+value(rest[i]))`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_sqlite__incremental_merge"},
		},
		{
			ID: "apply-replace-deletes-nothing", Area: "apply",
			Doc:   "A replace inserts its rows and leaves the old ones where they are.",
			File:  "engine/sqlsink/apply.go",
			Old:   `c.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()+where); err != nil {`,
			New:   `c.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()+where+" AND 1 = 0"); err != nil {`,
			Cases: []string{"sqlite_to_sqlite__replace", "sqlite_to_postgres__replace"},
		},
		{
			ID: "apply-replace-deletes-everything", Area: "apply",
			Doc:   "A replace empties the target before it inserts its rows.",
			File:  "engine/sqlsink/apply.go",
			Old:   `c.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()+where); err != nil {`,
			New:   `c.DeletedHard, err = t.b.Exec(ctx, "DELETE FROM "+t.b.Target()); err != nil {`,
			Cases: []string{"sqlite_to_sqlite__replace", "sqlite_to_sqlite__partition_replace", "sqlite_to_sqlite__backfill"},
		},
		{
			ID: "apply-file-keeps-what-it-replaces", Area: "apply",
			Doc:   "A file that is written anew keeps the rows that are replaced, and loses the others.",
			File:  "engine/file/tx.go",
			Old:   `rest.invert = true`,
			New:   `rest.invert = false`,
			Cases: []string{"sqlite_to_file__replace", "sqlite_to_file__partition_replace"},
		},
	}
}

// deletes leave rows that are gone, or delete others.
func deletes() []Fault {
	return []Fault{
		{
			ID: "delete-reconciliation-left-out", Area: "delete",
			Doc:   "A merge does not compare the keys of both sides, so that rows which are gone stay.",
			File:  "engine/load.go",
			Old:   `work.keys = r.m.Reconciliation.Enabled`,
			New:   `work.keys = false`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "sqlite_to_postgres__incremental_merge"},
		},
		{
			ID: "delete-outside-of-the-window", Area: "delete",
			Doc:   "A reconciliation takes the rows of the window for all rows of the source.",
			File:  "engine/sqlsink/apply.go",
			Old:   `missing := " WHERE NOT EXISTS (SELECT 1 FROM " + t.keys + " AS s WHERE "`,
			New:   `missing := " WHERE NOT EXISTS (SELECT 1 FROM " + t.rows + " AS s WHERE "`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "sqlite_to_postgres__incremental_merge"},
		},
		{
			ID: "delete-guard-reversed", Area: "delete",
			Doc:   "The guard against an empty source refuses every source that has rows.",
			File:  "engine/sqlsink/apply.go",
			Old:   `case keys == 0 && total > 0 && r.EmptySource != "allow":`,
			New:   `case keys != 0 && total > 0 && r.EmptySource != "allow":`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "sqlite_to_postgres__incremental_merge"},
		},
		{
			ID: "delete-ignored-by-diff", Area: "delete",
			Doc:   "A comparison of snapshots leaves the keys that are gone.",
			File:  "engine/sqlsink/apply.go",
			Old:   `case "ignore":`,
			New:   `case "ignore", "hard_delete":`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_postgres__snapshot_diff"},
		},
		{
			ID: "delete-soft-for-hard", Area: "delete",
			Doc:   "A comparison of snapshots marks the rows that are gone, where it should delete them.",
			File:  "engine/sqlsink/apply.go",
			Old:   `policy := t.load.Strategy.Diff.DeletePolicy`,
			New:   `policy := "soft_delete"`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_postgres__snapshot_diff"},
		},
	}
}

// states lose what the next run starts from, or write something else.
func states() []Fault {
	return []Fault{
		{
			ID: "state-not-kept", Area: "state",
			Doc:   "A load commits its rows and not the position after them.",
			File:  "engine/sqlsink/sqlsink.go",
			Old:   `	if state.Position != nil {`,
			New:   `	if state.Position != nil && state.Revision < 0 {`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "postgres_to_postgres__xmin"},
		},
		{
			ID: "state-revision-not-counted", Area: "state",
			Doc:   "The revision of the state stays where it is, so that two runs cannot be told apart.",
			File:  "engine/sqlsink/sqlsink.go",
			Old:   `" SET revision = revision + 1, position = "`,
			New:   `" SET revision = revision, position = "`,
			Cases: []string{"postgres_to_postgres__cdc"},
		},
		{
			ID: "state-cursor-too-far", Area: "state",
			Doc:  "The window of a cursor begins where it should end.",
			File: "engine/load.go",
			Old: `	work.request.Range = bounds
`,
			New: `	if bounds.From != nil {
		bounds.From = greatest
	}
	work.request.Range = bounds
`,
			Cases: []string{"sqlite_to_sqlite__incremental_merge", "file_to_sqlite__incremental_merge"},
		},
	}
}

// receipts are not written, not read, or written under another name.
func receipts() []Fault {
	return []Fault{
		{
			ID: "receipt-not-written", Area: "receipt",
			Doc:   "A load into a database commits without its receipt.",
			File:  "engine/sqlsink/sqlsink.go",
			Old:   `if receipt.ID == "" { // a state that moved on without rows`,
			New:   `if receipt.ID != "-" {`,
			Cases: []string{"sqlite_to_sqlite__incremental_append", "sqlite_to_sqlite__backfill"},
		},
		{
			ID: "receipt-not-published", Area: "receipt",
			Doc:   "A load into files is published without its receipt.",
			File:  "engine/file/tx.go",
			Old:   `Receipts: append(append([]dataset.Receipt(nil), t.old.Receipts...), dataset.Receipt{Load: t.id, Receipt: receipt}),`,
			New:   `Receipts: append([]dataset.Receipt(nil), t.old.Receipts...),`,
			Cases: []string{"sqlite_to_file__incremental_append", "sqlite_to_file__backfill"},
		},
		{
			ID: "receipt-ignored", Area: "receipt",
			Doc:  "A window that has a receipt is loaded again.",
			File: "engine/load.go",
			Old: `	if err != nil || receipt == nil {
		return false, err
	}
`,
			New: `	if err != nil || receipt == nil || receipt.Window == window {
		return false, err
	}
`,
			Cases: []string{"sqlite_to_sqlite__incremental_append", "sqlite_to_file__incremental_append"},
		},
		{
			ID: "receipt-of-the-run", Area: "receipt",
			Doc:   "A receipt has the name of the run instead of that of the window.",
			File:  "engine/load.go",
			Old:   `Window: work.window.ID, PlanHash: r.report.PlanHash, Digest: d.String(),`,
			New:   `Window: r.opts.RunID, PlanHash: r.report.PlanHash, Digest: d.String(),`,
			Cases: []string{"sqlite_to_sqlite__backfill", "sqlite_to_sqlite__incremental_append"},
		},
	}
}

// retries do the work of an earlier run again.
func retries() []Fault {
	return []Fault{
		{
			ID: "retry-window-named-by-run", Area: "retry",
			Doc:   "Each run gives the window another name, so that a run that is repeated adds its rows again.",
			File:  "engine/load.go",
			Old:   `return "named:" + r.m.State.Window`,
			New:   `return "named:" + r.m.State.Window + ":" + r.opts.RunID`,
			Cases: []string{"sqlite_to_sqlite__incremental_append", "sqlite_to_file__incremental_append"},
		},
		{
			ID: "retry-chunk-named-by-run", Area: "retry",
			Doc:   "Each run gives the chunks of a backfill other names, so that a run that goes on begins anew.",
			File:  "engine/backfill.go",
			Old:   `name := "backfill:" + r.m.RunKey() + ":" + from`,
			New:   `name := "backfill:" + r.opts.RunID + ":" + from`,
			Cases: []string{"sqlite_to_sqlite__backfill", "sqlite_to_file__backfill"},
		},
		{
			ID: "retry-position-not-kept", Area: "retry",
			Doc:   "Changes are applied without the position after them, so that the next run would apply them again.",
			File:  "engine/cdc.go",
			Old:   `state:  connector.State{Revision: c.state.Revision, Position: set.Position},`,
			New:   `state:  connector.State{Revision: c.state.Revision},`,
			Cases: []string{"postgres_to_postgres__cdc"},
		},
	}
}
