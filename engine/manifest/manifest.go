// Package manifest is the file that says what a run moves: one source, one
// sink, one strategy, and what must be true before the load may commit.
//
// Reading is strict: an unknown key, a key given twice, a value of the wrong
// type and a combination that has no meaning are errors that name the file, the
// line, the field and, where there is one, the nearest valid name. Secrets never
// stand in a manifest: where one is needed the field holds a [Secret] reference.
package manifest

// Mode names a load strategy.
type Mode string

// The load strategies.
const (
	FullRefresh       Mode = "full_refresh"
	IncrementalAppend Mode = "incremental_append"
	IncrementalMerge  Mode = "incremental_merge"
	Replace           Mode = "replace"
	PartitionReplace  Mode = "partition_replace"
	SnapshotDiff      Mode = "snapshot_diff"
	SCD2              Mode = "scd2"
	Backfill          Mode = "backfill"
	XMin              Mode = "xmin"
	CDC               Mode = "cdc"
)

// Modes lists every strategy in the order in which the documents show them.
func Modes() []Mode {
	return []Mode{
		FullRefresh, IncrementalAppend, IncrementalMerge, Replace, PartitionReplace,
		SnapshotDiff, SCD2, Backfill, XMin, CDC,
	}
}

// Secret refers to a secret: "env:NAME" reads an environment variable,
// "file:/path" the content of a file without its last line end. A literal value is refused.
type Secret string

// Manifest is one process: what is moved, from where, to where and how.
type Manifest struct {
	Name           string         `yaml:"name" json:"name" jsonschema:"Name of the process, ^[a-z0-9_]{3,64}$; part of the key of its state."`
	Description    string         `yaml:"description" json:"description,omitempty" jsonschema:"What the process is for, at most 500 characters."`
	Source         Source         `yaml:"source" json:"source" jsonschema:"Where rows come from."`
	Sink           Sink           `yaml:"sink" json:"sink" jsonschema:"Where rows go, and how."`
	State          State          `yaml:"state" json:"state,omitzero" jsonschema:"Where checkpoints and receipts are kept."`
	Reconciliation Reconciliation `yaml:"reconciliation" json:"reconciliation,omitzero" jsonschema:"How deletes in the source are found when the window does not show them."`
	Quality        Quality        `yaml:"quality" json:"quality,omitzero" jsonschema:"What must be true before the load may commit."`

	// Path is the file the manifest was read from, for messages and relative paths.
	Path string `yaml:"-" json:"-"`

	// marks says where each field that was given stands in that file, by its path
	// ("source.options.columns"); empty for a manifest that was not parsed.
	marks map[string]mark
}

// Connection says how to reach a server. Either DSN or the separate fields.
type Connection struct {
	DSN            Secret `yaml:"dsn" json:"dsn,omitempty" jsonschema:"Reference to a whole connection string, env:NAME or file:/path; no other field may stand beside it."`
	Host           string `yaml:"host" json:"host,omitempty" jsonschema:"Host name, address or directory of a unix socket; needs database and user beside it."`
	Port           int    `yaml:"port" json:"port,omitempty" jsonschema:"Port, 1 to 65535; 5432 unless told."`
	Database       string `yaml:"database" json:"database,omitempty" jsonschema:"Name of the database."`
	User           string `yaml:"user" json:"user,omitempty" jsonschema:"Name of the role."`
	Password       Secret `yaml:"password" json:"password,omitempty" jsonschema:"Reference to the password, env:NAME or file:/path."`
	SSLMode        string `yaml:"sslmode" json:"sslmode,omitempty" jsonschema:"TLS policy as libpq knows it: disable, allow, prefer, require, verify-ca or verify-full; prefer unless told."`
	SSLRootCert    string `yaml:"sslrootcert" json:"sslrootcert,omitempty" jsonschema:"Path of the certificates that may sign the server's."`
	SSLCert        string `yaml:"sslcert" json:"sslcert,omitempty" jsonschema:"Path of the client's certificate."`
	SSLKey         string `yaml:"sslkey" json:"sslkey,omitempty" jsonschema:"Path of the client's private key."`
	ConnectTimeout int    `yaml:"connect_timeout" json:"connect_timeout,omitempty" jsonschema:"Seconds to wait for a connection, 1 to 3600; 30 unless told."`
}

// Table names a table, view or partitioned table.
type Table struct {
	Schema string `yaml:"schema" json:"schema,omitempty" jsonschema:"Schema; the family's own default when empty."`
	Name   string `yaml:"name" json:"name" jsonschema:"Name, exactly as the system spells it."`
}

// Source is where rows come from.
type Source struct {
	Type       string        `yaml:"type" json:"type" jsonschema:"Connector family: postgres, sqlite or file."`
	Connection Connection    `yaml:"connection" json:"connection,omitzero" jsonschema:"How to reach the server."`
	Table      Table         `yaml:"table" json:"table,omitzero" jsonschema:"The relation to read."`
	Path       string        `yaml:"path" json:"path,omitempty" jsonschema:"Database file (sqlite), or a file, folder or glob (file); relative to the manifest."`
	Options    SourceOptions `yaml:"options" json:"options,omitzero" jsonschema:"How to read."`
}

// SourceOptions says how a source is read.
type SourceOptions struct {
	Columns           []string   `yaml:"columns" json:"columns,omitempty" jsonschema:"Columns to read, in this order; all of them when empty."`
	Query             Query      `yaml:"query" json:"query,omitzero" jsonschema:"Read a query instead of a table."`
	CustomPredicate   string     `yaml:"custom_predicate" json:"custom_predicate,omitempty" jsonschema:"SQL condition on the source's rows; trusted text."`
	IncrementalColumn string     `yaml:"incremental_column" json:"incremental_column,omitempty" jsonschema:"Column whose value grows with each insert; the cursor of incremental_append and incremental_merge."`
	BatchRows         int        `yaml:"batch_rows" json:"batch_rows,omitempty" jsonschema:"Rows in a batch between unlike systems, 1 to 1000000; 8192 unless told."`
	Workers           int        `yaml:"workers" json:"workers,omitempty" jsonschema:"Readers that share one snapshot, 1 to 64; 1 unless told."`
	Format            string     `yaml:"format" json:"format,omitempty" jsonschema:"File format: csv, jsonl or parquet; from the file name when empty, and needed when that does not tell."`
	Compression       string     `yaml:"compression" json:"compression,omitempty" jsonschema:"none, gzip or zstd, not for Parquet; from each file's name when empty."`
	CSV               CSV        `yaml:"csv" json:"csv,omitzero" jsonschema:"The dialect of CSV files."`
	Types             []Typed    `yaml:"types" json:"types,omitempty" jsonschema:"Logical types of columns that the source does not type itself (CSV, JSON Lines, SQLite)."`
	OnBadRow          string     `yaml:"on_bad_row" json:"on_bad_row,omitempty" jsonschema:"fail (default) or quarantine: what happens to a row that cannot be read."`
	Quarantine        Quarantine `yaml:"quarantine" json:"quarantine,omitzero" jsonschema:"Where rows go that cannot be read."`
	CDC               CDCSource  `yaml:"cdc" json:"cdc,omitzero" jsonschema:"Where changes are read from."`
}

// Query is a statement that is read instead of a table. Text is trusted.
type Query struct {
	SQL     string `yaml:"sql" json:"sql,omitempty" jsonschema:"The statement."`
	SQLFile string `yaml:"sql_file" json:"sql_file,omitempty" jsonschema:"File that holds the statement, relative to the manifest."`
}

// CSV is the dialect of CSV files, RFC 4180 unless told.
type CSV struct {
	Delimiter string `yaml:"delimiter" json:"delimiter,omitempty" jsonschema:"One character; a comma unless told."`
	Header    *bool  `yaml:"header" json:"header,omitempty" jsonschema:"Whether the first line names the columns; true unless told."`
	Null      string `yaml:"null" json:"null,omitempty" jsonschema:"Unquoted text that stands for NULL; nothing between two delimiters unless told. A quoted field is never NULL."`
}

// Typed gives a column a logical type.
type Typed struct {
	Column string `yaml:"column" json:"column" jsonschema:"Name of the column."`
	Type   string `yaml:"type" json:"type" jsonschema:"Logical type, for example int64, numeric(18,2), timestamptz."`
}

// Quarantine says where rows go that cannot be read.
type Quarantine struct {
	Path    string `yaml:"path" json:"path,omitempty" jsonschema:"JSON Lines file, relative to the manifest; one object a row with file, line, byte offset and reason."`
	MaxRows int64  `yaml:"max_rows" json:"max_rows,omitempty" jsonschema:"More rows than this fail the run; 1000 unless told."`
}

// CDCSource says where changes are read from.
type CDCSource struct {
	Slot        string `yaml:"slot" json:"slot,omitempty" jsonschema:"Replication slot, ^[a-z0-9_]{1,63}$; made on the first run."`
	Publication string `yaml:"publication" json:"publication,omitempty" jsonschema:"Publication that holds the table; made on the first run when missing."`
}

// Sink is where rows go.
type Sink struct {
	Type       string      `yaml:"type" json:"type" jsonschema:"Connector family: postgres, sqlite or file."`
	Connection Connection  `yaml:"connection" json:"connection,omitzero" jsonschema:"How to reach the server."`
	Table      Table       `yaml:"table" json:"table,omitzero" jsonschema:"The table to load; made when missing."`
	Path       string      `yaml:"path" json:"path,omitempty" jsonschema:"Database file (sqlite) or folder of the published files (file); relative to the manifest."`
	Strategy   Strategy    `yaml:"strategy" json:"strategy" jsonschema:"How rows change the target."`
	Options    SinkOptions `yaml:"options" json:"options,omitzero" jsonschema:"How to write."`
}

// SinkOptions says how a sink is written.
type SinkOptions struct {
	SchemaEvolution SchemaEvolution `yaml:"schema_evolution" json:"schema_evolution,omitzero" jsonschema:"What happens when the source has other columns than the target."`
	SchemaContract  SchemaContract  `yaml:"schema_contract" json:"schema_contract,omitzero" jsonschema:"Columns and types the source must have."`
	Format          string          `yaml:"format" json:"format,omitempty" jsonschema:"File format: csv, jsonl or parquet; needed by a file sink."`
	Compression     string          `yaml:"compression" json:"compression,omitempty" jsonschema:"none, gzip or zstd (CSV, JSON Lines; none unless told); none, snappy or zstd (Parquet; snappy unless told)."`
	CSV             CSV             `yaml:"csv" json:"csv,omitzero" jsonschema:"The dialect of CSV files."`
	FileRows        int64           `yaml:"file_rows" json:"file_rows,omitempty" jsonschema:"Rows in one published file, 1 to 1000000000; 1000000 unless told."`
	LockTimeout     int             `yaml:"lock_timeout" json:"lock_timeout,omitempty" jsonschema:"Seconds to wait for a lock on the target, 1 to 86400; 60 unless told."`
	Digest          string          `yaml:"digest" json:"digest,omitempty" jsonschema:"Digest of the moved rows: none, count, key or full (default)."`
}

// SchemaEvolution says which changes of the target's columns a load may make.
type SchemaEvolution struct {
	Mode string `yaml:"mode" json:"mode,omitempty" jsonschema:"strict: none; additive: new nullable columns; widening (default): also wider types."`
}

// SchemaContract holds the source to columns and types.
type SchemaContract struct {
	Columns []ContractColumn `yaml:"columns" json:"columns,omitempty" jsonschema:"The columns that must be there."`
	Extra   string           `yaml:"extra" json:"extra,omitempty" jsonschema:"allow (default) or fail: columns that the contract does not name."`
}

// ContractColumn is one column of a contract.
type ContractColumn struct {
	Name     string `yaml:"name" json:"name" jsonschema:"Name of the column."`
	Type     string `yaml:"type" json:"type" jsonschema:"Logical type the source must give it."`
	Nullable *bool  `yaml:"nullable" json:"nullable,omitempty" jsonschema:"false refuses NULL in any row of the load; true unless told."`
}

// Strategy says how rows change the target.
type Strategy struct {
	Mode            Mode            `yaml:"mode" json:"mode" jsonschema:"The load strategy."`
	UniqueKey       []string        `yaml:"unique_key" json:"unique_key,omitempty" jsonschema:"Columns that identify a row; one name or a list."`
	DuplicatePolicy string          `yaml:"duplicate_policy" json:"duplicate_policy,omitempty" jsonschema:"fail (default), or last_by:<column> keeps the row with the greatest value."`
	OnlyNewRows     bool            `yaml:"only_new_rows" json:"only_new_rows,omitempty" jsonschema:"incremental_append: leave out rows whose key the target has."`
	OverwriteType   string          `yaml:"overwrite_type" json:"overwrite_type,omitempty" jsonschema:"full_refresh: in_place (default) keeps the table, shadow_swap loads a sibling and swaps."`
	CustomPredicate string          `yaml:"custom_predicate" json:"custom_predicate,omitempty" jsonschema:"replace: SQL condition on the target's rows that the load replaces; trusted text, applied to the source as well."`
	Partition       Partition       `yaml:"partition" json:"partition,omitzero" jsonschema:"partition_replace: what is replaced."`
	Diff            Diff            `yaml:"diff" json:"diff,omitzero" jsonschema:"snapshot_diff: what happens to keys that are gone."`
	SCD2            SCD2Options     `yaml:"scd2" json:"scd2,omitzero" jsonschema:"scd2: names of the history's columns."`
	Backfill        BackfillOptions `yaml:"backfill" json:"backfill,omitzero" jsonschema:"backfill: how the range is cut."`
	XMin            XMinOptions     `yaml:"xmin" json:"xmin,omitzero" jsonschema:"xmin: when a new baseline is allowed."`
	CDC             CDCOptions      `yaml:"cdc" json:"cdc,omitzero" jsonschema:"cdc: how changes are applied."`
	SoftDelete      string          `yaml:"soft_delete_column" json:"soft_delete_column,omitempty" jsonschema:"Column that takes the time of a soft delete; __dpone__deleted_at unless told."`
}

// Partition is the scope of partition_replace.
type Partition struct {
	Column string   `yaml:"column" json:"column,omitempty" jsonschema:"Column whose value names the partition."`
	Values []string `yaml:"values" json:"values,omitempty" jsonschema:"Partitions to replace, in the column's text form; also those the source has no rows for. Every value of source and target when empty."`
	Max    int      `yaml:"max_partitions_per_run" json:"max_partitions_per_run,omitempty" jsonschema:"More partitions than this fail the run; 1000 unless told."`
}

// Diff says what snapshot_diff does to keys that are gone from the source.
type Diff struct {
	DeletePolicy string `yaml:"delete_policy" json:"delete_policy,omitempty" jsonschema:"hard_delete (default), soft_delete or ignore."`
}

// SCD2Options names the columns of a type 2 history.
type SCD2Options struct {
	ValidFrom    string `yaml:"valid_from_column" json:"valid_from_column,omitempty" jsonschema:"Start of a version, inclusive; __dpone__valid_from_at unless told."`
	ValidTo      string `yaml:"valid_to_column" json:"valid_to_column,omitempty" jsonschema:"End of a version, exclusive, NULL while current; __dpone__valid_to_at unless told."`
	Current      string `yaml:"current_flag_column" json:"current_flag_column,omitempty" jsonschema:"Whether the version is current; __dpone__is_current unless told."`
	RowHash      string `yaml:"row_hash_column" json:"row_hash_column,omitempty" jsonschema:"SHA-256 of the version's values; __dpone__row_hash unless told."`
	DeletePolicy string `yaml:"delete_policy" json:"delete_policy,omitempty" jsonschema:"expire (default) closes the version of a key that is gone, ignore leaves it current."`
}

// BackfillOptions says how a backfill is cut into chunks.
type BackfillOptions struct {
	Column    string `yaml:"column" json:"column,omitempty" jsonschema:"Column that is cut; integer, date or timestamp."`
	From      string `yaml:"from" json:"from,omitempty" jsonschema:"First value, inclusive; the source's least when empty."`
	To        string `yaml:"to" json:"to,omitempty" jsonschema:"Last value, exclusive; just above the source's greatest when empty."`
	ChunkSize string `yaml:"chunk_size" json:"chunk_size,omitempty" jsonschema:"Width of a chunk: a number for integers; 30m, 6h, 1d or 1w for dates and times."`
	InnerMode Mode   `yaml:"inner_mode" json:"inner_mode,omitempty" jsonschema:"replace (default) or incremental_merge: how one chunk changes the target."`
	RunKey    string `yaml:"run_key" json:"run_key,omitempty" jsonschema:"Names the campaign; chunks that have a receipt under it are skipped. The plan's own hash when empty."`
}

// XMinOptions says when an xmin run may take a new baseline.
type XMinOptions struct {
	Rebaseline    string `yaml:"rebaseline" json:"rebaseline,omitempty" jsonschema:"never (default): a window that cannot be trusted fails the run; allow: it loads the whole table again and says why."`
	MaxReplayXIDs int64  `yaml:"max_replay_amplification_xids" json:"max_replay_amplification_xids,omitempty" jsonschema:"More transactions than this between the two ends of the snapshot fail the run; no limit unless told."`
}

// CDCOptions says how changes are applied.
type CDCOptions struct {
	Truncate     string `yaml:"truncate" json:"truncate,omitempty" jsonschema:"stop (default) or apply: what a TRUNCATE in the source does."`
	DeletePolicy string `yaml:"delete_policy" json:"delete_policy,omitempty" jsonschema:"hard_delete (default), soft_delete or ignore."`
}

// State says where checkpoints and receipts are kept: in the sink's own
// database, because they commit with the rows.
type State struct {
	Schema string `yaml:"schema" json:"schema,omitempty" jsonschema:"Schema of the tables dpone_state and dpone_receipt (postgres); dpone unless told."`
	Window string `yaml:"window" json:"window,omitempty" jsonschema:"Names this run's window; the same window is loaded once. The strategy's own window when empty."`
}

// Reconciliation finds deletes that a window does not show.
type Reconciliation struct {
	Enabled      bool   `yaml:"enabled" json:"enabled,omitempty" jsonschema:"Compare the keys of source and target in the run's own snapshot."`
	DeletePolicy string `yaml:"delete_policy" json:"delete_policy,omitempty" jsonschema:"hard_delete (default) or soft_delete."`
	EmptySource  string `yaml:"empty_snapshot" json:"empty_snapshot,omitempty" jsonschema:"fail (default) or allow: what happens when the source has no key at all."`
	Guards       Guards `yaml:"guards" json:"guards,omitzero" jsonschema:"Limits; a run that would delete more fails."`
}

// Guards limit deletes.
type Guards struct {
	MaxDeleteRatio *float64 `yaml:"max_delete_ratio" json:"max_delete_ratio,omitempty" jsonschema:"Deleted rows by rows in the target, 0 to 1."`
	MaxDeleteRows  *int64   `yaml:"max_delete_rows" json:"max_delete_rows,omitempty" jsonschema:"Deleted rows."`
}

// Quality holds the gates of a load.
type Quality struct {
	Gates []Gate `yaml:"gates" json:"gates,omitempty" jsonschema:"Evaluated inside the target's transaction, before it commits."`
}

// Gate is one condition on the load.
type Gate struct {
	ID        string    `yaml:"id" json:"id,omitempty" jsonschema:"Name in the report, one of its kind; type:column when empty."`
	Type      string    `yaml:"type" json:"type" jsonschema:"row_count_reconciliation, min_rows, typed_hash_reconciliation, not_null, unique, accepted_values, freshness or custom_sql."`
	Severity  string    `yaml:"severity" json:"severity,omitempty" jsonschema:"error (default) rolls the load back, warning only reports."`
	Side      string    `yaml:"side" json:"side,omitempty" jsonschema:"load (default): the rows of this load; target: the whole target after it."`
	Columns   []string  `yaml:"columns" json:"columns,omitempty" jsonschema:"Columns of not_null, unique, accepted_values and freshness; one name or a list."`
	Values    []string  `yaml:"values" json:"values,omitempty" jsonschema:"accepted_values: the values, in the column's text form."`
	Threshold *float64  `yaml:"threshold" json:"threshold,omitempty" jsonschema:"min_rows: least number of rows. custom_sql: the value the statement must give, 0 unless told."`
	Tolerance Tolerance `yaml:"tolerance" json:"tolerance,omitzero" jsonschema:"row_count_reconciliation: how far the counts may be apart."`
	MaxAge    string    `yaml:"max_age" json:"max_age,omitempty" jsonschema:"freshness: how old the newest value may be, for example 24h."`
	SQL       string    `yaml:"sql" json:"sql,omitempty" jsonschema:"custom_sql: a statement that gives one number; {target} and {load} stand for the tables. Trusted text."`
}

// Tolerance is an allowed difference.
type Tolerance struct {
	Mode  string  `yaml:"mode" json:"mode,omitempty" jsonschema:"absolute (default) or pct."`
	Value float64 `yaml:"value" json:"value,omitempty" jsonschema:"Rows, or percent of the expected rows."`
}
