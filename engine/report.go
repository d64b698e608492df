package engine

import (
	"encoding/json"

	"github.com/dpone/dpone/engine/connector"
)

// ReportVersion is the version of the run report's form.
const ReportVersion = "dpone.run_report.v1"

// Report is what a run tells. It is written on every way out. The names of the
// original's report are kept, and everything needed to check the run is added.
type Report struct {
	SchemaVersion string  `json:"schema_version" jsonschema:"Version of this form, dpone.run_report.v1."`
	EngineVersion string  `json:"engine_version" jsonschema:"Version of the engine that ran."`
	Manifest      string  `json:"manifest" jsonschema:"Path of the manifest as it was given."`
	Process       string  `json:"process" jsonschema:"Name of the process, from the manifest."`
	Selector      *string `json:"selector" jsonschema:"Part of a manifest that was selected; always null, a manifest is one process."`
	RunID         string  `json:"run_id" jsonschema:"Names this run."`
	PlanHash      string  `json:"plan_sha256" jsonschema:"SHA-256 of the manifest with its defaults."`
	Strategy      string  `json:"strategy" jsonschema:"Load strategy."`
	Passed        bool    `json:"passed" jsonschema:"Whether the target holds what it should."`
	Attempts      int     `json:"attempts" jsonschema:"Attempts of this run; always 1, the caller runs again."`
	MaxAttempts   int     `json:"max_attempts" jsonschema:"Attempts that were allowed; always 1."`
	RetryBackoff  float64 `json:"retry_backoff_seconds" jsonschema:"Seconds between attempts; always 0."`
	StartedAt     string  `json:"started_at" jsonschema:"RFC 3339, UTC."`
	Result        Result  `json:"result" jsonschema:"What became of the rows."`

	Source    Side               `json:"source" jsonschema:"What was read."`
	Target    Side               `json:"target" jsonschema:"What was written."`
	Window    Window             `json:"window" jsonschema:"The last window of the run."`
	Counters  connector.Counters `json:"counters" jsonschema:"Rows by what happened to them."`
	Chunks    []connector.Chunk  `json:"chunks" jsonschema:"Parts in which the rows were read, at most 10000 of them."`
	Gates     []GateResult       `json:"gates" jsonschema:"Quality gates."`
	State     StateChange        `json:"state" jsonschema:"What the next run starts from."`
	Digest    DigestResult       `json:"digest" jsonschema:"Digest of the rows that were moved."`
	Schema    []SchemaChange     `json:"schema_changes" jsonschema:"Changes of the target's columns that committed with the load."`
	Receipts  []string           `json:"receipts" jsonschema:"Receipts of the windows that this run committed, at most 10000 of them."`
	Skipped   int64              `json:"windows_skipped" jsonschema:"Windows that had a receipt already."`
	Resources Resources          `json:"resources" jsonschema:"What the run took."`
	Phases    []Phase            `json:"phases" jsonschema:"Where the time went."`
	Warnings  []string           `json:"warnings" jsonschema:"What the user should know."`
}

// Result is the original's part of the report.
type Result struct {
	Status          string        `json:"status" jsonschema:"success, or error."`
	InsertedRows    int64         `json:"inserted_rows"`
	UpdatedRows     int64         `json:"updated_rows"`
	FinalRows       *int64        `json:"final_rows" jsonschema:"Rows of the target after the run, null when they were not counted."`
	ExtractedRows   int64         `json:"extracted_rows"`
	DurationSeconds float64       `json:"duration_seconds"`
	Errors          []string      `json:"errors"`
	ErrorCode       string        `json:"error_code,omitempty" jsonschema:"<subject>.<problem>, the same from version to version."`
	QualityGates    *QualityGates `json:"quality_gates,omitempty" jsonschema:"Only when a gate was evaluated."`
	Details         Details       `json:"details"`
	ReceiptID       string        `json:"commit_receipt_id,omitempty"`
	CommitOutcome   string        `json:"commit_outcome" jsonschema:"committed, already_committed, not_committed or unknown."`
}

// QualityGates is the original's form of the gates.
type QualityGates struct {
	Kind    string       `json:"kind"`
	Passed  bool         `json:"passed"`
	Results []GateResult `json:"results"`
}

// GateResult is one gate.
type GateResult struct {
	ID       string            `json:"gate_id"`
	Type     string            `json:"type"`
	Status   string            `json:"status" jsonschema:"passed or failed."`
	Severity string            `json:"severity" jsonschema:"error or warning."`
	Boundary string            `json:"boundary" jsonschema:"pre_commit: evaluated inside the transaction."`
	Window   string            `json:"window,omitempty"`
	Metrics  map[string]string `json:"metrics"`
	Message  string            `json:"message,omitempty"`
}

// Details are the original's details.
type Details struct {
	Throughput Throughput `json:"run_throughput"`
}

// Throughput is the original's throughput.
type Throughput struct {
	SchemaVersion   string  `json:"schema_version"`
	Scope           string  `json:"scope"`
	DurationSeconds float64 `json:"duration_seconds"`
	RateType        string  `json:"rate_type"`
	RowCount        int64   `json:"row_count"`
	RowCountSource  string  `json:"row_count_source"`
	RowsPerSecond   float64 `json:"rows_per_second"`
	Confidence      string  `json:"confidence"`
}

// Side is one end of the run.
type Side struct {
	Type     string            `json:"type"`
	Relation string            `json:"relation"`
	Identity string            `json:"identity,omitempty"`
	Columns  []ReportColumn    `json:"columns"`
	Facts    map[string]string `json:"facts"`
}

// ReportColumn is one column and the type in which it travelled.
type ReportColumn struct {
	Name    string `json:"name"`
	Native  string `json:"native,omitempty"`
	Logical string `json:"logical"`
}

// Window is what was read.
type Window struct {
	Kind   string            `json:"kind"`
	ID     string            `json:"id"`
	Reason string            `json:"reason,omitempty"`
	Facts  map[string]string `json:"facts,omitempty"`
}

// StateChange is the state before and after.
type StateChange struct {
	Revision int64           `json:"revision"`
	Before   json.RawMessage `json:"before"`
	After    json.RawMessage `json:"after"`
}

// DigestResult is the digest of the stream.
type DigestResult struct {
	Level string `json:"level"`
	Rows  uint64 `json:"rows"`
	Value string `json:"value,omitempty"`
	Spec  string `json:"spec_sha256,omitempty"`
}

// SchemaChange is one change of the target's columns.
type SchemaChange struct {
	Kind   string `json:"kind"`
	Column string `json:"column,omitempty"`
	Type   string `json:"type,omitempty"`
}

// Resources is what the run took of the machine. Fields are null where the system does not tell.
type Resources struct {
	CPUSeconds *float64 `json:"cpu_s"`
	MaxRSS     *int64   `json:"max_rss"`
	WALBytes   *int64   `json:"wal_bytes" jsonschema:"Bytes of log that the sink's server wrote during the load, whoever caused them."`
}

// Phase is one part of the run.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// reportLimit bounds the lists of a report.
const reportLimit = 10000
