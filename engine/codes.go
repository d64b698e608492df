package engine

import (
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/manifest"
)

// CodeDoc is one kind of failure. Codes do not change from version to version; the
// text of a message may.
type CodeDoc struct {
	Code    string // <subject>.<problem>
	Meaning string // one sentence
	Fix     string // what to do, one sentence
}

// Codes describes every code that a run or a manifest can end with, in the order of
// the codes. [Code] gives the one of an error.
func Codes() []CodeDoc {
	all := runCodes()
	fixes := manifestFixes()
	for _, c := range manifest.Codes() {
		all = append(all, CodeDoc{c.Code, c.Doc, fixes[c.Code]})
	}
	slices.SortFunc(all, func(a, b CodeDoc) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// runCodes are the codes of runs. A test holds the list against the source.
func runCodes() []CodeDoc {
	return []CodeDoc{
		{"DPONE_QUALITY_GATES_FAILED", "A quality gate of severity error did not pass, and the load was rolled back.", "Look at gates in the report; mend the rows, or change the gate when it asks for the wrong thing."},

		{"apply.delete", "The sink could not delete or mark rows.", "Read the cause in the message: a foreign key, a trigger, a missing privilege or a lock."},
		{"apply.diff", "The staged snapshot could not be compared with the target.", "Look at the cause: types or a lack of disk space."},
		{"apply.insert", "The sink could not insert the staged rows.", "Read the cause in the message: a constraint of the target, a trigger, a missing privilege or a lock."},
		{"apply.merge", "The sink could not update or insert the staged rows.", "Read the cause in the message: a constraint of the target, a trigger, a missing privilege or a lock."},
		{"apply.move", "The sink could not complete rows whose key changed.", "Read the cause in the message and run again."},
		{"apply.scd2", "The sink could not close or open versions.", "Read the cause in the message; two current versions of one key break the unique index of the history."},
		{"apply.scope", "The condition of the load could not be evaluated on the staged rows.", "Correct the condition; it names columns of the target."},
		{"apply.truncate", "The sink could not mark all rows as deleted after a TRUNCATE of the source.", "Read the cause in the message and run again."},

		{"backfill.bound", "from or to is no value of the column's type.", "Write it in the text form of the column's type."},
		{"backfill.chunk_size", "The width of a chunk does not fit the column's type.", "Write a number for integers, whole days such as 7d for dates, a time such as 6h for timestamps."},
		{"backfill.infinite", "The column has an infinite value, which no chunk ends with.", "Give sink.strategy.backfill.from and to."},
		{"backfill.too_many", "The range has more chunks than a backfill may have.", "Raise sink.strategy.backfill.chunk_size."},
		{"backfill.type", "The column cannot be cut.", "Choose a column that is an integer, a date or a timestamp."},

		{"cdc.column", "The stream of changes does not tell a column that is wanted.", "Leave the column out in source.options.columns; generated columns are not in the log."},
		{"cdc.connect", "The replication connection could not be opened or used.", "Give the role the attribute REPLICATION, let pg_hba.conf admit it, and look at the cause."},
		{"cdc.identity_changed", "The source is not the one of which the position was stored: another server, timeline, database, table, slot or publication, or an older copy.", "Restore the source, or load the table again: drop the slot and delete the pipeline's row from the state table."},
		{"cdc.key_missing", "A change does not tell the value of a key column.", "Choose a unique_key that is never NULL, or set REPLICA IDENTITY FULL on the table."},
		{"cdc.key_not_unique", "Two rows of the source can have, or had, the same key.", "Choose a unique_key that a unique index covers which is neither partial nor deferrable."},
		{"cdc.key_null", "A key column may be NULL.", "Declare it NOT NULL, or choose another unique_key."},
		{"cdc.position", "The stored position is none of a stream of changes.", "Delete the pipeline's row from the state table to load the table again."},
		{"cdc.publication", "The publication could not be made, or leaves out the table, rows, columns or kinds of changes.", "Run the statement in the message as the owner of the table, or name another publication."},
		{"cdc.publication_lost", "The publication is gone, and what changed without it cannot be told.", "Load the table again: drop the slot and delete the pipeline's row from the state table."},
		{"cdc.replica_identity", "Updates and deletes of the source do not tell the whole key.", "Use the primary key as unique_key, or change the table's REPLICA IDENTITY as the message says."},
		{"cdc.row_missing", "A change needs the target's row, and the target does not have it.", "Somebody else changed the target; load the table again, or set REPLICA IDENTITY FULL on the source's table."},
		{"cdc.schema_changed", "The source's table or the target has other columns than the stream.", "Changes up to there are in the target; load the table again: drop the slot and delete the pipeline's row from the state table."},
		{"cdc.slot", "The replication slot could not be made or dropped.", "Raise max_replication_slots, or drop a slot that nobody needs; the next run drops one that it left."},
		{"cdc.slot_exists", "A slot of this name is there, and the target has no position of this process in it.", "Name another slot, or drop this one if nobody needs it."},
		{"cdc.slot_in_use", "Another session reads the slot.", "End the other reader, or give the process a slot of its own."},
		{"cdc.slot_lost", "The slot no longer has the changes after the stored position.", "Load the table again: drop the slot and delete the pipeline's row from the state table; raise max_slot_wal_keep_size."},
		{"cdc.slot_mismatch", "The slot is not one of pgoutput in this database.", "Name another slot in source.options.cdc.slot."},
		{"cdc.stream", "The stream of changes broke.", "Run again; nothing is lost, because the position is that of the last commit of the target."},
		{"cdc.table", "The source is not a table whose changes are logged, or only a part of one is wanted.", "Name an ordinary or partitioned table, and take query and custom_predicate out."},
		{"cdc.truncate", "The source's table was emptied by TRUNCATE, and the strategy stops there.", "Set sink.strategy.cdc.truncate to apply, or load the table again."},
		{"cdc.version", "The source is older than PostgreSQL 14.", "Use xmin or snapshot_diff."},
		{"cdc.wal_level", "The source's log does not hold what is needed to decode changes.", "Set wal_level = logical and restart the server."},
		{"column.case", "Two columns differ by case alone, which SQLite does not tell apart.", "Rename one in a query, or leave it out."},

		{"column.missing", "The manifest names a column that the source does not have.", "Take one of the columns that the message lists; upper and lower case are different."},
		{"column.reserved", "A column of the source has a name that the engine or the strategy uses itself.", "Leave the column out, rename it in a query, or give the strategy's column another name."},

		{"commit.failed", "The target did not commit, and nothing of the load is there.", "Read the cause and run again."},
		{"commit.unknown", "The connection broke during the commit, and nobody can tell whether it took place.", "Run again when the target answers: a window that was committed has a receipt and is not loaded twice."},

		{"connection.dsn", "What the reference holds is no connection string.", "Write postgres://user@host:5432/database?sslmode=verify-full into the variable or file."},
		{"connection.failed", "The server could not be reached, or did not admit the role.", "Look at the cause: address, firewall, certificate, password, pg_hba.conf."},
		{"connection.invalid", "The connection's fields make no connection.", "Look at the cause; a certificate's path is the usual one."},
		{"connector.unknown", "No connector has the name in type.", "Take one of the families that the message lists."},

		{"contract.broken", "The source has not the columns and types that schema_contract promises.", "Correct the source, or change sink.options.schema_contract."},

		{"cursor.changed", "The last run's cursor was another column or type.", "Give the process another name, or load with full_refresh first."},
		{"cursor.infinite", "The greatest value of the cursor is infinite, and no later row would be behind it.", "Leave such rows out with source.options.custom_predicate."},
		{"cursor.null", "Rows of the source have no value in the cursor, and no run would read them.", "Leave such rows out with source.options.custom_predicate, or choose another incremental_column."},
		{"cursor.state", "The state of the last run cannot be read.", "Another strategy left it; give the process another name."},

		{"dataset.damaged", "A published file is not as its manifest.json says.", "Restore the folder from a copy, or load it again into a new one."},
		{"dataset.manifest", "manifest.json of a published folder cannot be read.", "Restore the folder from a copy, or load it again into a new one."},
		{"digest.failed", "The rows could not be digested on the server.", "Read the cause; sink.options.digest: count needs less of the server."},

		{"file.changed", "A file is not the one that it was when the run began.", "Run again when nobody writes it."},
		{"file.corrupt", "A file is cut short or damaged.", "Get the file again."},
		{"file.drift", "A file has other columns than the first one.", "Give the files the same columns, or load them apart."},
		{"file.encoding", "A file is UTF-16 or UTF-32.", "Convert it to UTF-8 first."},
		{"file.header", "A file has no header, or one with an empty or repeated name.", "Mend the header, or set csv.header to false and name the columns in source.options.types."},
		{"file.limit", "A field or a row is longer than any may be.", "Look for a quote that is not closed."},
		{"file.trailing", "There are bytes after the end of the compressed content.", "Get the file again."},
		{"file.type", "A file has a type that cannot be read without loss.", "Write the file with another type, or leave the column out."},
		{"file.unclosed", "A quoted field has no end.", "Mend the file at the line that the message names."},

		{"gate.column", "A quality gate names a column that is not there.", "Take one of the columns that the message lists."},
		{"gate.config", "A quality gate cannot be evaluated as it is described.", "Correct the gate as the message says."},
		{"gate.side", "typed_hash_reconciliation of the whole target needs a strategy that reads the whole source.", "Leave side out, which compares the rows of the load."},
		{"gate.sql", "The statement of a custom_sql gate failed.", "Run the statement by hand; {target} and {load} stand for the tables."},
		{"gate.type", "The sink does not know the type of the gate.", "Take the gate out, or choose another sink."},
		{"gate.unsupported", "The sink does not evaluate this type of gate.", "Take the gate out, or choose another sink."},
		{"gate.value", "A value of accepted_values is none of the column's type.", "Write it in the text form of the column's type."},

		{"key.duplicate", "Keys come more than once in the load.", "Choose another unique_key, or set duplicate_policy to last_by:<column>."},
		{"key.duplicate_policy", "The rows of one key could not be ordered by the column of last_by.", "Choose a column whose type has an order."},
		{"key.null", "Rows of the load have NULL in the key.", "Leave these rows out in the source, or choose another unique_key."},

		{"load.rows", "The sink took another number of rows than were read.", "Look for triggers or rules on the target that drop rows."},

		{"manifest.compression", "The compression does not go with the format.", "Take one of those that the message lists."},
		{"manifest.csv", "The CSV dialect is not possible.", "Correct the delimiter or the text for NULL."},
		{"manifest.format", "The format of the files is not known.", "Take csv, jsonl or parquet."},
		{"manifest.invalid", "The manifest cannot be run.", "Correct every problem that the message lists; mage run:validate tells them without connecting."},
		{"manifest.path", "The path is empty.", "Name a file, a folder or a pattern."},
		{"manifest.quarantine", "Rows are to be put aside, and no file is named for them.", "Give source.options.quarantine.path."},
		{"manifest.query", "Files cannot be queried.", "Take source.options.query out."},
		{"manifest.same_table", "Source and sink are the same table.", "Name another target."},
		{"manifest.types", "source.options.types gives a column a type that there is not.", "Take one of the logical types in docs/types.md."},

		{"partition.row_outside_scope", "The load has rows of a partition that is not replaced.", "Name the partition in sink.strategy.partition.values, or leave these rows out in the source."},
		{"partition.too_many", "More partitions would be replaced than may be.", "Raise max_partitions_per_run, or name the partitions in values."},
		{"partition.value", "A value of sink.strategy.partition.values is none of the column's type.", "Write it in the text form of the column's type."},

		{"sqlstate.<SQLSTATE>", "A server refused something, and the engine has no code of its own for it.", "Look the five characters up in appendix A of the PostgreSQL manual."},

		{"predicate.syntax", "The condition is not one that files can evaluate.", "Write comparisons of columns with literals, joined by AND."},
		{"predicate.type", "A literal of the condition is no value of its column's type.", "Correct the literal, or give the column another type."},

		{"quarantine.limit", "More rows cannot be read than may be put aside.", "Mend the source, or raise source.options.quarantine.max_rows."},
		{"quarantine.write", "The file for rows that cannot be read cannot be written.", "Look at the folder's permissions and free space."},

		{"query.file", "The file that holds the query cannot be read.", "Correct source.options.query.sql_file; it is relative to the manifest."},
		{"query.invalid", "The source does not accept the query, or two of its columns have one name.", "Run the query by hand, and give each column its own name."},

		{"receipt.exists", "The window has been loaded by another run in the meantime.", "Nothing; run again if the window should be another one."},
		{"receipt.other_plan", "The window was loaded by another version of this manifest.", "Give the window another name, or undo the change of the manifest."},
		{"receipt.write", "The receipt could not be written.", "Give the role the right to write the receipt table; look at the cause."},

		{"reconciliation.empty_source", "The source has no row at all, and the target has some.", "If that is right, set reconciliation.empty_snapshot to allow."},
		{"reconciliation.max_delete_ratio", "A greater share of the target's rows would be deleted than may be.", "If that is right, raise reconciliation.guards.max_delete_ratio."},
		{"reconciliation.max_delete_rows", "More rows would be deleted than may be.", "If that is right, raise reconciliation.guards.max_delete_rows."},
		{"reconciliation.missing_keys", "Keys of the source that earlier runs had loaded are not in the target.", "Something else deleted them; empty the target, and the next run loads the whole table."},

		{"relation.kind", "The name belongs to something that is neither a table nor a view.", "Name a table or a view."},
		{"replace.row_outside_predicate", "The load has rows that do not meet sink.strategy.custom_predicate.", "Give the source the same condition, or correct the predicate."},

		{"row.duplicate", "A JSON object has a key twice.", "Mend the row, or put such rows aside with on_bad_row: quarantine."},
		{"row.fields", "A row has more or fewer fields than there are columns.", "Mend the row, or put such rows aside with on_bad_row: quarantine."},
		{"row.json", "A line is not a JSON object.", "Mend the row, or put such rows aside with on_bad_row: quarantine."},
		{"row.null", "A row has NULL in a column that has none.", "Mend the row, put such rows aside, or let the column have NULL."},
		{"row.quote", "A quote stands where none may.", "Mend the row, or put such rows aside with on_bad_row: quarantine."},
		{"row.target", "The target does not take a row.", "Look at the cause: a constraint of the table, or a value that it cannot hold."},
		{"row.utf8", "A row is not UTF-8.", "Mend the row, or put such rows aside with on_bad_row: quarantine."},
		{"row.value", "A value is none of its column's type.", "Mend the row, give the column another type, or put such rows aside with on_bad_row: quarantine."},

		{"run.failed", "Something went wrong that has no code of its own.", "Read the message; if it does not tell what to do, report it as a defect."},
		{"run.interrupted", "The run was ended from outside and rolled back.", "Run again."},
		{"run.timeout", "The time for the run was over, and it rolled back.", "Give it more time, or less to do."},

		{"scd2.clock", "Current versions begin at or after the time of this run.", "Correct the clock of this machine, or of the one that ran before, and run again."},
		{"schema.breaking", "The target cannot take the source's columns within the rules of schema_evolution.", "Change the target by hand, name the columns to load, or choose a wider mode."},

		{"secret.file", "The file of a secret is no regular file, or is too long.", "Name a file of at most 64 KiB that holds the secret and nothing else."},
		{"secret.missing", "The environment variable or the file of a secret is not there.", "Set it before the run."},
		{"secret.reference", "A secret is not given as a reference.", "Write env:NAME or file:/path."},

		{"sink.key", "The key of only_new_rows does not fit the load or the target.", "Name columns that both have in the same type."},
		{"sink.keys", "The temporary set of keys could not be made.", "Look at the permissions and free space of the folder for temporary files."},
		{"sink.mode", "The sink does not take the strategy, or a part of it.", "Choose another strategy or another sink; docs/strategies/README.md has the table."},
		{"sink.range", "A chunk of a backfill has no range.", "Report it as a defect."},
		{"sink.scope", "The load has rows of a partition that is not replaced.", "Name the partition in sink.strategy.partition.values, or leave these rows out in the source."},
		{"sink.stage", "The load was staged in the wrong order.", "Report it as a defect."},
		{"sink.tx", "The load had ended already.", "Report it as a defect."},
		{"sink.type", "Files do not keep the type.", "Read the column as text, or leave it out."},
		{"sink.write", "A file could not be written.", "Look at the cause: permissions, free space, or a value that the format cannot hold."},

		{"source.bounds", "The least and greatest value of a column could not be read.", "Choose a column whose type has an order."},
		{"source.busy", "The SQLite file is locked by a writer.", "Wait for it and run again."},
		{"source.changed", "The columns of the source changed while the run began.", "Run again."},
		{"source.column", "A file has not the column that is wanted.", "Take one of the columns that the message lists."},
		{"source.convert", "A value of a file could not be converted.", "Read the cause; declare another type in source.options.types."},
		{"source.empty", "The first file is empty, so that its columns are not known.", "Name the columns in source.options.types."},
		{"source.file", "A file cannot be read, is no regular file, or is a link that leads out of its folder.", "Correct the path or the permissions."},
		{"source.format", "The format of the files is not known, or they have several.", "Set source.options.format, or give a pattern that matches files of one format."},
		{"source.missing", "The table, file or folder is not there.", "Correct the name; upper and lower case are different."},
		{"source.no_columns", "The source has no column.", "Name another table."},
		{"source.pattern", "The pattern of file names is not valid.", "Write it as filepath.Glob knows it; ** is not known."},
		{"source.read", "Reading the source broke.", "Look at the cause and run again."},
		{"source.rows", "The source says that it sent another number of rows than came.", "Run again; if it comes again, report it as a defect."},
		{"source.snapshot", "A view of the source that does not change could not be opened.", "Look at the cause; a standby ends long snapshots unless hot_standby_feedback is on."},
		{"source.types", "source.options.types does not fit the files.", "Name columns that the files have; Parquet files and data sets have types of their own."},
		{"source.values", "A column has more distinct values than a run may touch.", "Raise max_partitions_per_run, or name the partitions in values."},

		{"sqlite.file", "The path is not a regular file.", "Name a SQLite database file."},
		{"sqlite.open", "The SQLite file could not be opened.", "Look at the cause: permissions, or a file that is no database."},
		{"sqlite.read", "The SQLite file's catalogue could not be read.", "Look at the cause; the file may be damaged."},
		{"sqlite.schema", "A SQLite file has no such schema.", "Leave table.schema out."},

		{"stage.create", "The staging table could not be made.", "Give the role the right to make temporary tables."},
		{"stage.write", "Writing to the sink broke.", "Look at the cause: a constraint, a value, the connection, free space."},

		{"state.create", "The tables for state and receipts could not be made.", "Give the role the right to create the schema, or make the two tables for it; docs/engine.md has the statements."},
		{"state.invalid", "The state of the last run is not what a run writes.", "Something else wrote it; put it right, or delete the pipeline's row from the state table to begin anew."},
		{"state.moved", "Another run of this process has committed in between.", "Run again."},
		{"state.write", "The state could not be written.", "Give the role the right to write the state table; look at the cause."},
		{"strategy.shadow_swap", "SQLite has no shadow_swap.", "Use in_place; readers see the old rows until the load commits."},

		{"strategy.sink", "The sink does not take the strategy.", "Choose another strategy or sink; docs/strategies/README.md has the table."},
		{"strategy.source", "The source does not feed the strategy.", "Choose another strategy or source; docs/strategies/README.md has the table."},

		{"target.alter", "The target's columns could not be made or changed.", "Let the role own the table, or make the change by hand."},
		{"target.begin", "A transaction on the target could not be opened.", "Look at the cause and run again."},
		{"target.busy", "Another run loads the target and did not end in time.", "Wait for it, or raise sink.options.lock_timeout."},
		{"target.change", "The sink does not know a change of columns.", "Report it as a defect."},
		{"target.changed", "Indexes, columns or privileges of the target were changed while its sibling was loaded.", "Run again."},
		{"target.column", "The columns of the load do not fit those of the published files.", "Load the columns that the files have, or publish into a new folder."},
		{"target.duplicate_key", "Keys of the load have several rows in the target.", "Remove the duplicates, and give the target a unique index on the key."},
		{"target.empty", "The SQLite table could not be emptied.", "Look at the cause; a foreign key of another table is the usual one."},
		{"target.exists", "The folder holds a data set that the load would have to make.", "Publish into a new folder."},
		{"target.folder", "The folder could not be made.", "Correct the path or the permissions."},
		{"target.foreign", "The folder holds other things and no data set.", "Give the sink a folder of its own."},
		{"target.intent", "What a crash left in the folder cannot be trusted.", "Look at intent.json and manifest.json before a further load; nothing was removed."},
		{"target.journal_mode", "Source and sink are one SQLite file, and its journal mode lets nobody commit while it is read.", "Run PRAGMA journal_mode = WAL on it once, or write to another file."},
		{"target.kind", "The target is not a table.", "Name a table."},
		{"target.lock", "A lock on the target could not be had in time.", "End the session that holds it, or raise sink.options.lock_timeout."},
		{"target.name", "SQLite keeps the name of the table for itself.", "Choose a name that does not begin with sqlite_."},
		{"target.referenced", "Other tables refer to the target, so that it cannot be emptied.", "Use snapshot_diff, which leaves the rows that stay in their place."},
		{"target.shadow", "The sibling of the target could not be made.", "Give the role the right to create tables in the target's schema."},
		{"target.swap", "The sibling could not take the target's place.", "Read the statement in the message; in_place keeps the table."},
		{"target.swap_blocked", "A swap would lose what hangs on the target.", "Set sink.strategy.overwrite_type to in_place, which keeps the table."},
		{"target.swap_preflight", "What hangs on the target could not be read.", "Look at the cause; the role must read the catalogue."},
		{"target.truncate", "The target could not be emptied.", "Give the role the privilege TRUNCATE; a foreign key that points to the target forbids it."},
		{"target.widen", "SQLite would keep the values of the wider type in another way.", "Make the table anew with the wider type."},

		{"type.refused", "A type cannot be kept without loss.", "Leave the column out, or turn it into text in a query; docs/types.md has the table."},
		{"type.unknown", "A column's declared type stands for no logical type.", "Give the column one in source.options.types."},
		{"xmin.duplicate_policy", "last_by has to see all rows of a key, and an xmin window holds only those that were written.", "Take the policy out, or choose snapshot_diff."},

		{"xmin.identity", "The identity of the source could not be read.", "Look at the cause; it needs a primary or standby of PostgreSQL 13 or later."},
		{"xmin.not_a_table", "The source is a query, a view or another thing without transaction numbers.", "Read the table itself, or choose another strategy."},
		{"xmin.rebaseline_required", "The window since the last run cannot be trusted, and rebaseline is never.", "Read the reason; set sink.strategy.xmin.rebaseline to allow for one run."},
		{"xmin.replay", "More transactions lie between the two ends of the snapshot than may be replayed.", "End the long transaction, or raise max_replay_amplification_xids."},
		{"xmin.state", "The state of the last run cannot be read or compared.", "Delete the pipeline's row from the state table, and allow a rebaseline for one run."},
	}
}

// manifestFixes says what to do about the problems of a manifest.
func manifestFixes() map[string]string {
	return map[string]string{
		"manifest.syntax":                       "Mend the YAML at the place that the message names.",
		"manifest.encoding":                     "Save the file as UTF-8.",
		"manifest.too_large":                    "Make a manifest for each process.",
		"manifest.empty":                        "Write name, source and sink.",
		"manifest.multiple_documents":           "Make a file for each document.",
		"manifest.alias":                        "Write the value where it is used.",
		"manifest.tag":                          "Take the tag out.",
		"manifest.key_type":                     "Write the key as a text.",
		"manifest.unknown_key":                  "Take the name that the message proposes, or leave the key out.",
		"manifest.duplicate_key":                "Keep one of the two.",
		"manifest.wrong_type":                   "Write a value of the type that docs/manifest.md names.",
		"manifest.required":                     "Add the field.",
		"manifest.unknown_value":                "Take one of the words that the message lists.",
		"manifest.out_of_range":                 "Keep to the limits in docs/manifest.md.",
		"manifest.empty_value":                  "Leave the key out, or give it a value.",
		"manifest.pattern":                      "Write it as the pattern in the message asks.",
		"manifest.identifier":                   "Choose a shorter name, without NUL.",
		"manifest.duplicate_value":              "Name it once.",
		"manifest.width":                        "Write a whole number, or one with s, m, h, d or w.",
		"manifest.logical_type":                 "Take one of the types in docs/types.md.",
		"manifest.too_many_problems":            "Correct those that are told, and validate again.",
		"family.unknown":                        "Take one of the families that the message lists.",
		"family.field_required":                 "Add the field.",
		"family.field_not_for_family":           "Take the field out.",
		"connection.secret_literal":             "Put the secret in a variable or a file and write env:NAME or file:/path.",
		"connection.dsn_with_fields":            "Keep the string or the fields.",
		"connection.incomplete":                 "Give dsn, or host, database and user.",
		"connection.tls":                        "Give sslcert and sslkey together, and no certificates with sslmode disable.",
		"source.table_and_query":                "Take one of the two out.",
		"source.query":                          "Give exactly one of sql and sql_file.",
		"source.quarantine":                     "Set on_bad_row: quarantine and quarantine.path together.",
		"file.format_required":                  "Give csv, jsonl or parquet.",
		"file.option_not_for_format":            "Take the field out.",
		"file.delimiter":                        "Write one character that is no quote and no line end.",
		"sink.same_as_source":                   "Name another target.",
		"strategy.unique_key_required":          "Name the columns that identify a row.",
		"strategy.option_required":              "Add the field.",
		"strategy.option_not_for_mode":          "Take the field out.",
		"strategy.append_needs_window":          "Give incremental_column with unique_key, only_new_rows with unique_key, or state.window.",
		"strategy.xmin_with_incremental_column": "Take incremental_column out.",
		"strategy.query_not_for_mode":           "Name the table in source.table.",
		"strategy.column_not_selected":          "Add the column to source.options.columns.",
		"strategy.duplicate_policy":             "Write fail, or last_by:<column>.",
		"strategy.duplicate_policy_without_key": "Give unique_key, or take the policy out.",
		"strategy.soft_delete_not_used":         "Set the delete_policy to soft_delete, or take the column out.",
		"strategy.scd2_columns":                 "Choose another name for the column of the history.",
		"strategy.backfill_range":               "Write from below to, and both in the units of chunk_size.",
		"reconciliation.not_for_mode":           "Take reconciliation out.",
		"reconciliation.not_enabled":            "Set reconciliation.enabled to true, or take reconciliation out.",
		"gate.field_required":                   "Add the field.",
		"gate.field_not_for_type":               "Take the field out.",
		"gate.duplicate_id":                     "Give each gate an id of its own.",
		"gate.threshold":                        "Write a whole number from 0 up.",
	}
}
