package fault

// files are written or read in another way than their format, or published in part.
func files() []Fault {
	return []Fault{
		{
			ID: "files-one-not-published", Area: "files",
			Doc:   "The last file of a load is not named in the manifest of the data set.",
			File:  "engine/file/tx.go",
			Old:   `for _, f := range t.next {`,
			New:   `for _, f := range t.next[:max(0, len(t.next)-1)] {`,
			Cases: []string{"sqlite_to_file__full_refresh", "sqlite_to_file__incremental_append"},
		},
		{
			ID: "files-old-ones-left", Area: "files",
			Doc:   "Files that a load replaced stay in the folder.",
			File:  "engine/file/publish.go",
			Old:   `for _, p := range remove {`,
			New:   `for _, p := range remove[:0] {`,
			Cases: []string{"sqlite_to_file__full_refresh", "file_to_file__full_refresh"},
		},
		{
			ID: "files-staging-left", Area: "files",
			Doc:   "The folder in which a load made its files stays.",
			File:  "engine/file/publish.go",
			Old:   `return t.root.RemoveAll(dataset.Staging)`,
			New:   `return nil`,
			Cases: []string{"sqlite_to_file__full_refresh", "file_to_file__full_refresh"},
		},
		{
			ID: "files-parquet-null-takes-a-value", Area: "files",
			Doc:  "A NULL in Parquet takes the place of a value, so that the values after it move down.",
			File: "engine/file/parquet/reader.go",
			Old: `			v.AppendNull()
			continue
		}
		add(row, i)`,
			New: `			v.AppendNull()
			i++
			continue
		}
		add(row, i)`,
			Cases: []string{"file_to_sqlite__full_refresh", "file_to_sqlite__partition_replace"},
		},
		{
			ID: "files-parquet-milliseconds", Area: "files",
			Doc:   "A time is written to Parquet without the digits after the milliseconds.",
			File:  "engine/file/parquet/writer.go",
			Old:   `return n + epochMicros, nil`,
			New:   `return n - n%1000 + epochMicros, nil`,
			Cases: []string{"sqlite_to_file__incremental_append", "sqlite_to_file__backfill"},
		},
		{
			ID: "files-csv-quotes-doubled", Area: "files",
			Doc:   "A quote in a CSV field stays doubled.",
			File:  "engine/file/csv/reader.go",
			Old:   `v = v[j+2:]`,
			New:   `v = v[j+1:]`,
			Cases: []string{"file_to_sqlite__incremental_append", "file_to_sqlite__scd2"},
		},
		{
			ID: "files-csv-empty-read-as-null", Area: "files",
			Doc:   "An empty CSV field with quotes is read as NULL.",
			File:  "engine/file/csv/decode.go",
			Old:   `if !inQuotes && string(v) == d.null {`,
			New:   `if (!inQuotes || len(v) == 0) && string(v) == d.null {`,
			Cases: []string{"file_to_sqlite__incremental_append", "file_to_sqlite__scd2"},
		},
		{
			ID: "files-csv-null-written-as-empty", Area: "files",
			Doc:   "NULL is written to CSV as an empty text.",
			File:  "engine/file/csv/writer.go",
			Old:   `w.buf = append(w.buf, w.null...)`,
			New:   `w.buf = append(w.buf, '"', '"')`,
			Cases: []string{"sqlite_to_file__full_refresh", "sqlite_to_file__partition_replace"},
		},
		{
			ID: "files-jsonl-numbers-through-float", Area: "files",
			Doc:  "A number in JSON Lines goes through a double.",
			File: "engine/file/jsonl/decode.go",
			Old: `		ok = v.Kind == Number || v.Kind == String
`,
			New: `		ok = v.Kind == Number || v.Kind == String
		if f, err := strconv.ParseFloat(string(v.Text), 64); err == nil && v.Kind == Number {
			text = strconv.AppendFloat(nil, f, 'f', -1, 64)
		}
`,
			Cases: []string{"file_to_sqlite__snapshot_diff", "file_to_sqlite__backfill"},
		},
		{
			ID: "files-jsonl-bool-inverted", Area: "files",
			Doc:   "A bool is written to JSON Lines as its opposite.",
			File:  "engine/file/jsonl/writer.go",
			Old:   `if v[0] != 0 {`,
			New:   `if v[0] == 0 {`,
			Cases: []string{"sqlite_to_file__replace", "file_to_file__replace"},
		},
	}
}

// sqlites are faults of the SQLite sink alone.
func sqlites() []Fault {
	return []Fault{
		{
			ID: "sqlite-old-rows-kept", Area: "sqlite",
			Doc:   "A full refresh does not empty the target.",
			File:  "engine/sqlite/sink.go",
			Old:   `if _, err := t.Exec(ctx, "DELETE FROM "+t.target); err != nil {`,
			New:   `if _, err := t.Exec(ctx, "DELETE FROM "+t.target+" WHERE 1 = 0"); err != nil {`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "sqlite-relay-of-a-part", Area: "sqlite",
			Doc:   "A relay between two files leaves out the first row.",
			File:  "engine/sqlite/relay.go",
			Old:   `quote(rd.snapshot.table.name))`,
			New:   `quote(rd.snapshot.table.name)+" LIMIT -1 OFFSET 1")`,
			Cases: []string{"sqlite_to_sqlite__full_refresh"},
		},
		{
			ID: "sqlite-row-differs-in-all-columns", Area: "sqlite",
			Doc:   "A row counts as changed only when every column of it changed (AND for OR).",
			File:  "engine/sqlite/dialect.go",
			Old:   `return "(" + strings.Join(parts, " OR ") + ")"`,
			New:   `return "((" + strings.Join(parts, ") AND (") + "))"`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_sqlite__incremental_merge"},
		},
	}
}

// servers are faults of the PostgreSQL connector alone.
func servers() []Fault {
	return []Fault{
		{
			ID: "postgres-old-rows-kept", Area: "postgres",
			Doc:   "A full refresh does not empty the target.",
			File:  "engine/postgres/sink.go",
			Old:   `err := simple(ctx, t.conn, "TRUNCATE "+t.target)`,
			New:   `err := simple(ctx, t.conn, "LOCK TABLE "+t.target)`,
			Cases: []string{"sqlite_to_postgres__full_refresh", "postgres_to_postgres__full_refresh"},
		},
		{
			ID: "postgres-equal-rows-updated", Area: "postgres",
			Doc:   "Rows that are equal count as different, and those that differ as equal.",
			File:  "engine/postgres/sink.go",
			Old:   `return "record_image_ne(ROW("`,
			New:   `return "record_image_eq(ROW("`,
			Cases: []string{"sqlite_to_postgres__snapshot_diff", "sqlite_to_postgres__incremental_merge"},
		},
		{
			ID: "postgres-conflict-does-nothing", Area: "postgres",
			Doc:  "An upsert inserts new rows and leaves the known ones as they were.",
			File: "engine/sqlsink/apply.go",
			Old: `	if len(rest) > 0 || deletedAt != "" {
		action = "DO UPDATE SET "`,
			New: `	if deletedAt != "" {
		action = "DO UPDATE SET "`,
			Cases: []string{"sqlite_to_postgres__snapshot_diff", "sqlite_to_postgres__incremental_merge"},
		},
		{
			ID: "postgres-relay-drops-rows", Area: "postgres",
			Doc:  "Rows that are handed from server to server are dropped while the buffer is full.",
			File: "engine/postgres/wire/direct_linux.go",
			Old:  `		p.end += copy(m.buf[p.end:], tuple)`,
			New: `		if p.end < chunk {
			p.end += copy(m.buf[p.end:], tuple)
		}`,
			Cases: []string{"postgres_to_postgres__full_refresh"},
		},
	}
}
