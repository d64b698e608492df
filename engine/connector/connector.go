// Package connector is what the engine asks of a system: a source gives a
// consistent snapshot and reads rows from it, a sink takes rows in one
// transaction together with the state and the receipt of the run.
//
// A connector is one package with one [Connector] value. It declares what it can
// do, and the engine, the registry of cases and the documents read that
// declaration; nothing is typed twice. Adding a connector touches its own package
// and the list in the engine, and nothing else.
package connector

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// Connector is one family of systems.
type Connector struct {
	// Name is the family's name in manifests and case names.
	Name string
	// Doc is one sentence on the family.
	Doc string
	// Source and Sink say what the family can do on either side; nil when it cannot stand there.
	Source *SourceCapabilities
	Sink   *SinkCapabilities
	// OpenSource and OpenSink connect. The caller closes what they give.
	OpenSource func(context.Context, *manifest.Manifest, Env) (Source, error)
	OpenSink   func(context.Context, *manifest.Manifest, Env) (Sink, error)
}

// Needs says what must be there before a family can be used.
type Needs struct {
	// Service names the server that must run, empty when none.
	Service string
	// Credentials is true when the caller has to bring some.
	Credentials bool
}

// SourceCapabilities says what a family can do as a source.
type SourceCapabilities struct {
	Needs Needs
	// Modes are the strategies it can feed.
	Modes []manifest.Mode
	// Types says how its own types become logical ones.
	Types []ReadRule
}

// SinkCapabilities says what a family can do as a sink.
type SinkCapabilities struct {
	Needs Needs
	// Modes are the strategies it can apply.
	Modes []manifest.Mode
	// Gates are the quality gates it can evaluate before it commits.
	Gates []string
	// Commit is "transaction", where rows, state and receipt commit together, or
	// "publication", where an intent is written first and the receipt is published with the rows.
	Commit string
	// Bulk names the path of the rows, for example "COPY".
	Bulk string
	// Types says how logical types are kept.
	Types []WriteRule
}

// Rule says what happens to values on their way.
type Rule string

// The rules. Each of them gives the same value back; what cannot is refused.
const (
	Exact   Rule = "exact"   // the same type
	Widened Rule = "widened" // a type that holds more
	AsText  Rule = "as text" // the type's text form, which the type reads back as the same value
	Refused Rule = "refused" // not without loss
)

// ReadRule says how a native type is read.
type ReadRule struct {
	Native  string // in the system's own words
	Logical string // as logical.Type prints
	// Portable is the logical type in which it travels to another family, where that is
	// not Logical; "none" when it does not travel there.
	Portable string
	Rule     Rule
	Note     string
}

// WriteRule says how a logical type is kept.
type WriteRule struct {
	Logical string
	Native  string
	Rule    Rule
	Note    string
}

// Env is what a connector may know of its surroundings.
type Env struct {
	// Secret resolves a reference.
	Secret func(manifest.Secret) (string, error)
	// Dir is the folder against which relative paths stand.
	Dir string
	// Warn takes what the user should know and what does not stop the run.
	Warn func(string)
	// Progress takes the number of rows that have moved so far, now and then.
	Progress func(rows int64)
	// At is called when the run reaches a named point; an error ends the run there.
	At func(context.Context, Point) error
}

// Moved calls Progress when there is one.
func (e Env) Moved(rows int64) {
	if e.Progress != nil {
		e.Progress(rows)
	}
}

// Reach calls At when there is one.
func (e Env) Reach(ctx context.Context, p Point) error {
	if e.At == nil {
		return nil
	}
	return e.At(ctx, p)
}

// Point names a place in a run at which a crash is interesting.
type Point string

// The points, in the order in which a run passes them.
const (
	AfterExtract     Point = "after_extract"     // the source's snapshot is open and its first row was read
	MidCopy          Point = "mid_copy"          // some rows are on the sink's side, more are to come
	AfterStage       Point = "after_stage"       // all rows are on the sink's side, none is applied
	BeforeCommit     Point = "before_commit"     // applied, gates passed, state and receipt written
	AfterCommit      Point = "after_commit"      // committed, and nobody was told
	AfterAcknowledge Point = "after_acknowledge" // the run knows that it committed, the source's slot does not
)

// Points lists them in order.
func Points() []Point {
	return []Point{AfterExtract, MidCopy, AfterStage, BeforeCommit, AfterCommit, AfterAcknowledge}
}

// Column is one column of a relation.
type Column struct {
	batch.Column
	// Native is the type in the system's own words, with its modifiers.
	Native string
	// Portable is the type in which the column travels to another family: Type
	// itself, or Text for a Native type whose text form is lossless. Invalid when it cannot travel.
	Portable logical.Type
	// Generated is true for a column whose values the system computes itself.
	Generated bool
	// Default is true when the system fills the column that an insert leaves out.
	Default bool
	// Rounds is true when the column keeps less than Type holds and cuts values
	// without an error, such as timestamp(0). Only Native tells how much.
	Rounds bool
}

// Relation is a table, view, file set or the result of a query.
type Relation struct {
	// Name is what messages call it.
	Name string
	// Identity tells it from every other one, also across servers; part of the state's key.
	Identity string
	Columns  []Column
	// Key is the primary key, empty when there is none.
	Key []string
	// Facts are what the report tells of it, such as server version and snapshot.
	Facts map[string]string
}

// Schema gives the columns in their own types.
func (r Relation) Schema() batch.Schema {
	s := make(batch.Schema, len(r.Columns))
	for i := range r.Columns {
		s[i] = r.Columns[i].Column
	}
	return s
}

// Index gives the position of the named column, or -1.
func (r Relation) Index(name string) int {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// Source is an open source.
type Source interface {
	// Describe tells what the manifest selects.
	Describe(context.Context) (Relation, error)
	// Snapshot fixes one state of the source. All reads of one run come from one snapshot.
	Snapshot(context.Context) (Snapshot, error)
	Close(context.Context) error
}

// Snapshot is one state of a source.
type Snapshot interface {
	// Facts tells what the report says of it (snapshot text, log position, system identifier).
	Facts() map[string]string
	// Read starts to read. A snapshot has one reader at a time.
	Read(context.Context, Request) (Reader, error)
	// Bounds gives the least and the greatest value of a column that is not NULL, nil for none.
	Bounds(ctx context.Context, column batch.Column) (least, greatest []byte, err error)
	// Values gives the distinct values of a column, nil for NULL, in the type's own
	// order where it has one; more than limit is an error.
	Values(ctx context.Context, column batch.Column, limit int) ([][]byte, error)
	Close(context.Context) error
}

// Windower is a snapshot that can tell what changed since an earlier run (xmin).
type Windower interface {
	Window(ctx context.Context, previous json.RawMessage) (Window, error)
}

// Window is what a run reads.
type Window struct {
	// Kind is "initial", "delta" or "rebaseline".
	Kind string
	// Reason says why a window is a rebaseline, or wider than the last run's state asks for.
	Reason string
	// ID names the window; the same window is loaded once.
	ID string
	// Where is the source's own condition for the rows of the window, empty for all.
	Where string
	// Next is the state that the next run starts from.
	Next json.RawMessage
	// Facts go to the report.
	Facts map[string]string
}

// Request says what to read from a snapshot.
type Request struct {
	// Columns are the columns and the types in which they are wanted.
	Columns batch.Schema
	// Where is a further condition in the source's own language; trusted text.
	Where string
	// Range, when set, is a further condition.
	Range *Range
	// In, when set, is a further condition.
	In *In
}

// Range is a condition on one column: From <= value, and value < To or, with ToInclusive, value <= To. A nil end is open.
type Range struct {
	Column      batch.Column
	From, To    []byte
	ToInclusive bool
}

// In is a condition on one column: its value is one of Values, of which nil is NULL.
type In struct {
	Column batch.Column
	Values [][]byte
}

// Reader gives rows.
type Reader interface {
	// Next empties the batch and fills it with the next rows. It ends with io.EOF,
	// which never comes together with rows.
	Next(context.Context, *batch.Batch) error
	// Stats is complete after io.EOF.
	Stats() ReadStats
	Close() error
}

// ReadStats is what a reader has read.
type ReadStats struct {
	Rows, Bytes int64
	// Quarantined rows could not be read and were put aside.
	Quarantined int64
	// Chunks are the parts in which the rows came, where there are parts.
	Chunks []Chunk
}

// Chunk is one part of a read.
type Chunk struct {
	Range   string  `json:"range"`
	Rows    int64   `json:"rows"`
	Bytes   int64   `json:"bytes"`
	SHA256  string  `json:"sha256,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Sink is an open sink.
type Sink interface {
	// Describe tells what the target is now; nil when it does not exist.
	Describe(context.Context) (*Relation, error)
	// Identity tells the target from every other one, whether it exists or not.
	Identity(context.Context) (string, error)
	// Native gives the type in which the sink keeps a logical type, and the rule; an
	// error names the type that it cannot keep without loss.
	Native(logical.Type) (WriteRule, error)
	// Begin takes the target's lock and opens a transaction.
	Begin(context.Context, Load) (Tx, error)
	// Receipt reads a committed receipt in a new session; nil when there is none.
	Receipt(ctx context.Context, pipeline, window string) (*Receipt, error)
	// Close releases the lock and the connection.
	Close(context.Context) error
}

// Locker is a sink whose lock can be taken before the target is looked at, so that
// what was planned is still true when the load begins.
type Locker interface {
	Lock(context.Context) error
}

// ProbeSource is a snapshot that digests its rows itself, where they are.
type ProbeSource interface {
	Prober(Request) (digest.Prober, error)
}

// ProbeTx is a transaction that digests rows of the load (target false) or of the target itself. It
// gives nil when it cannot.
type ProbeTx interface {
	Prober(target bool) digest.Prober
}

// Load is one load: the columns that come, and how they change the target.
type Load struct {
	// Pipeline is the key of state and receipts: the manifest's name, source and target.
	Pipeline string
	Strategy manifest.Strategy
	// Columns are the rows' columns; their names are the target's.
	Columns batch.Schema
	// Create is true when the target does not exist.
	Create bool
	// Now is the one time of the load, for every column that takes a time.
	Now string // RFC 3339, UTC, microseconds
}

// Tx is one transaction on a target. Every way out ends in Commit or Rollback.
type Tx interface {
	// State reads the pipeline's state; revision 0 when there is none.
	State(context.Context) (State, error)
	// Receipt reads the receipt of a window; nil when there is none.
	Receipt(ctx context.Context, window string) (*Receipt, error)
	// Alter makes or changes the target's columns.
	Alter(context.Context, []Change) error
	// Values gives the distinct values of a column of the target, nil for NULL; more than limit is an error.
	Values(ctx context.Context, column batch.Column, limit int) ([][]byte, error)
	// Stage opens the way for rows.
	Stage(ctx context.Context, columns batch.Schema, kind StageKind) (Stage, error)
	// Apply changes the target by the staged rows, or by the staged keys when Apply.Reconcile is set.
	Apply(context.Context, Apply) (Counters, error)
	// Gate measures one quality gate.
	Gate(context.Context, manifest.Gate) (Measure, error)
	// Count counts the rows of the load (target false) or of the target.
	Count(ctx context.Context, target bool) (int64, error)
	// Digest digests the rows of the load (target false) or of the target, as of now.
	Digest(ctx context.Context, spec digest.Spec, target bool) (digest.Digest, error)
	// Commit writes state and receipt and commits. The state's revision must be the one
	// that was read; ErrStateMoved when it is not. ErrCommitUnknown when nobody can tell.
	Commit(context.Context, State, Receipt) (Committed, error)
	Rollback(context.Context) error
}

// StageKind says what is staged.
type StageKind string

// The kinds of a stage.
const (
	StageRows   StageKind = "rows"   // the rows of the load, kept aside until they are applied
	StageKeys   StageKind = "keys"   // all keys of the source, for a reconciliation
	StageDirect StageKind = "direct" // the rows of a load that may go into the emptied target itself
)

// Stage takes the rows of a load.
type Stage interface {
	Write(context.Context, *batch.Batch) error
	// Close ends the writing; all rows are on the sink's side after it.
	Close(context.Context) (WriteStats, error)
}

// Relayer is a stage that can take the bytes of a reader of its own family as
// they are. handled is false when it cannot, and then nothing was read.
type Relayer interface {
	Relay(ctx context.Context, from Reader, builder *digest.Builder) (handled bool, err error)
}

// WriteStats is what a stage has written.
type WriteStats struct {
	Rows, Bytes int64
	Chunks      []Chunk
}

// Change is one change of a target's columns.
type Change struct {
	// Kind is "create" (with all Columns), "add" or "widen" (with some), or "index" (a
	// unique one over Key, of the rows for which Flag is true).
	Kind    string
	Columns batch.Schema
	// Key becomes the primary key of a table that is created.
	Key []string
	// Flag names a boolean column, empty for all rows.
	Flag string
}

// Apply says how staged rows change the target.
type Apply struct {
	Mode manifest.Mode
	// Columns are the staged columns, Key those of them that identify a row.
	Columns batch.Schema
	Key     []string
	// Scope are the values of the partition column that are replaced, nil for NULL.
	Scope *In
	// Range is the chunk of a backfill.
	Range *Range
	// Reconcile is true when the staged rows are all keys of the source: rows of the
	// target with another key are deleted, within the guards.
	Reconcile *manifest.Reconciliation
}

// Counters count rows by what happened to them.
type Counters struct {
	Inserted    int64 `json:"inserted"`
	Updated     int64 `json:"updated"`
	Unchanged   int64 `json:"unchanged"`
	DeletedHard int64 `json:"deleted_hard"`
	DeletedSoft int64 `json:"deleted_soft"`
	Reactivated int64 `json:"reactivated"`
	Quarantined int64 `json:"quarantined"`
}

// Add adds other to c.
func (c *Counters) Add(other Counters) {
	c.Inserted += other.Inserted
	c.Updated += other.Updated
	c.Unchanged += other.Unchanged
	c.DeletedHard += other.DeletedHard
	c.DeletedSoft += other.DeletedSoft
	c.Reactivated += other.Reactivated
	c.Quarantined += other.Quarantined
}

// Measure is what a gate found.
type Measure struct {
	Passed bool
	// Metrics are the figures that the gate compared.
	Metrics map[string]string
	Message string
}

// State is what the next run starts from.
type State struct {
	// Revision counts the writes; 0 when nothing was written yet.
	Revision int64
	// Position is the source's, opaque to the sink.
	Position json.RawMessage
}

// Receipt says that a window was loaded.
type Receipt struct {
	ID       string   `json:"id"`
	Pipeline string   `json:"pipeline"`
	Window   string   `json:"window"`
	PlanHash string   `json:"plan_sha256"`
	Digest   string   `json:"digest"`
	Rows     int64    `json:"rows"`
	Counters Counters `json:"counters"`
	At       string   `json:"committed_at"`
}

// Committed is what the sink tells of a commit.
type Committed struct {
	// Facts go to the report (transaction, log position, bytes of log written).
	Facts map[string]string
}

// Error is a failure with a code that does not change from version to version.
type Error struct {
	Code string // <subject>.<problem>
	Msg  string
	Fix  string
	Err  error
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Err != nil {
		s = fmt.Sprintf("%s: %v", s, e.Err)
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return fmt.Sprintf("%s [%s]", s, e.Code)
}

func (e *Error) Unwrap() error { return e.Err }

// Fail makes an Error.
func Fail(code string, err error, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...), Err: err}
}

// The codes that the engine itself looks at.
const (
	CodeStateMoved    = "state.moved"
	CodeCommitUnknown = "commit.unknown"
)
