package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlsink"
)

// Sink is an open SQLite sink. The file is made by the first transaction.
type Sink struct {
	*session // nil until the file is there
	path     string
	env      connector.Env
	m        *manifest.Manifest
}

// OpenSink opens the file when it is there.
func OpenSink(ctx context.Context, m *manifest.Manifest, env connector.Env) (*Sink, error) {
	s := &Sink{env: env, m: m}
	if err := checkSchema("sink", m.Sink.Table); err != nil {
		return nil, err
	}
	if m.Sink.Strategy.OverwriteType == "shadow_swap" {
		return nil, &connector.Error{
			Code: "strategy.shadow_swap", Msg: "sink.strategy.overwrite_type: SQLite has no shadow_swap", Fix: "use in_place; readers see the old rows until the load commits",
		}
	}
	if strings.HasPrefix(strings.ToLower(m.Sink.Table.Name), "sqlite_") {
		return nil, &connector.Error{Code: "target.name", Msg: fmt.Sprintf("sink.table.name: %q begins with sqlite_, which SQLite keeps for itself", m.Sink.Table.Name)}
	}
	var err error
	if s.path, err = resolve(env.Dir, m.Sink.Path); err != nil {
		return nil, fmt.Errorf("sink.path: %w", err)
	}
	there, err := exists(s.path)
	if err != nil {
		return nil, fmt.Errorf("sink.path: %w", err)
	}
	if there {
		if err := s.connect(ctx, readWrite); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Sink) connect(ctx context.Context, mode string) error {
	if s.session != nil {
		return nil
	}
	// A commit is durable when it returns: with synchronous FULL the file is flushed first.
	opened, err := open(ctx, s.path, mode, s.wait(), "foreign_keys = on", "synchronous = full", smallCache)
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	s.session = opened
	return nil
}

func (s *Sink) wait() time.Duration {
	if n := s.m.Sink.Options.LockTimeout; n > 0 {
		return time.Duration(n) * time.Second
	}
	return time.Minute
}

// Describe tells what the target is now.
func (s *Sink) Describe(ctx context.Context) (*connector.Relation, error) {
	if s.session == nil {
		return nil, nil
	}
	var t *table
	err := patiently(ctx, s.wait(), func() error {
		var err error
		t, err = describeTable(ctx, s.session, s.m.Sink.Table.Name)
		if err == nil && t != nil {
			t.Facts, err = facts(ctx, s.session)
		}
		return err
	})
	if primary(err) == sqlite.ResultBusy {
		return nil, s.busy(err, "another writer has held the file")
	}
	if err != nil || t == nil {
		return nil, err
	}
	if t.kind != "table" {
		return nil, &connector.Error{Code: "target.kind", Msg: fmt.Sprintf("sink.table: %s is a %s, not a table", t.Name, t.kind)}
	}
	return &t.Relation, nil
}

// Identity tells the target from every other one.
func (s *Sink) Identity(context.Context) (string, error) {
	return identityOf(s.path, s.m.Sink.Table.Name), nil
}

// Native gives the declared type in which a logical type is kept.
func (s *Sink) Native(t logical.Type) (connector.WriteRule, error) {
	native, err := declare(t)
	rule, note := ruleOf(t.Kind)
	return connector.WriteRule{Logical: t.String(), Native: native, Rule: rule, Note: note}, err
}

// Receipt reads a receipt over a connection of its own.
func (s *Sink) Receipt(ctx context.Context, pipeline, window string) (receipt *connector.Receipt, err error) {
	if there, err := exists(s.path); err != nil || !there {
		return nil, err
	}
	// Not read-only: what a crash left behind may have to be rolled back first.
	own, err := open(ctx, s.path, readWrite, s.wait(), fmt.Sprintf("busy_timeout = %d", s.wait().Milliseconds()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	there := 0
	if err := own.one(ctx, &there, "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = 'dpone_receipt'"); err != nil || there == 0 {
		return nil, err
	}
	return sqlsink.ReadReceipt(ctx, own, dialect(nil), "main.dpone_receipt", pipeline, window)
}

// Close ends the connection, and with it a transaction that is still open.
func (s *Sink) Close(context.Context) error {
	if s.session == nil {
		return nil
	}
	return s.close()
}

// sameFile refuses a load within one file whose readers keep a writer from committing.
func (s *Sink) sameFile(ctx context.Context) error {
	if s.m.Source.Type != "sqlite" {
		return nil
	}
	from, err := resolve(s.env.Dir, s.m.Source.Path)
	if err != nil {
		return err
	}
	if from != s.path {
		a, aerr := os.Stat(from)
		b, berr := os.Stat(s.path)
		if err := errors.Join(aerr, berr); err != nil {
			return connector.Fail("sqlite.file", err, "look at the files of source and sink")
		}
		if !os.SameFile(a, b) {
			return nil
		}
	}
	var mode string
	err = patiently(ctx, s.wait(), func() error { return s.one(ctx, &mode, "PRAGMA main.journal_mode") })
	if err != nil {
		return connector.Fail("sqlite.read", err, "read the journal mode of %s", s.path)
	}
	if mode != "wal" {
		return &connector.Error{
			Code: "target.journal_mode", Msg: fmt.Sprintf("source and sink are the file %s, and with the journal mode %s nobody can commit while it is read", s.path, mode),
			Fix: "run PRAGMA journal_mode = WAL on it once, or write to another file",
		}
	}
	return nil
}

// Begin takes the file's one writer lock and opens a transaction.
func (s *Sink) Begin(ctx context.Context, load connector.Load) (connector.Tx, error) {
	if err := s.connect(ctx, orCreate); err != nil {
		return nil, err
	}
	if err := s.sameFile(ctx); err != nil {
		return nil, err
	}
	if err := s.patiently(ctx, "BEGIN IMMEDIATE", s.wait()); err != nil {
		if primary(err) == sqlite.ResultBusy {
			return nil, s.busy(err, "another writer has held the file")
		}
		return nil, connector.Fail("target.begin", err, "open a transaction on %s", s.path)
	}
	t := &tx{session: s.session, sink: s, ctx: ctx, load: load, name: s.m.Sink.Table.Name}
	t.dialect = dialect(t)
	if err := t.begin(ctx); err != nil {
		return nil, errors.Join(err, t.Rollback(context.WithoutCancel(ctx)))
	}
	return sqlsink.New(t, load), nil
}

func (s *Sink) busy(err error, what string) error {
	return &connector.Error{
		Code: "target.busy", Msg: fmt.Sprintf("%s: %s for %s", s.path, what, s.wait()), Fix: "wait for it, or raise sink.options.lock_timeout", Err: err,
	}
}

// tx is the transaction behind sqlsink.
type tx struct {
	*session
	sink    *Sink
	ctx     context.Context //nolint:containedctx // of the load, for the dialect, whose functions take none
	dialect *sqlsink.Dialect
	load    connector.Load
	name    string // the target's, as the schema spells it
	target  string
	table   *targetTable // nil when it does not exist
	stages  []string
	// expected are the declared types that a change was to give, until that was verified.
	expected []string
	mid      bool // the point in the middle of the copy was reached
	attached bool // the source is, to relay its rows
}

// targetTable is the target as the transaction sees it.
type targetTable struct {
	*table
	sql string // its CREATE TABLE statement
}

func (t *tx) begin(ctx context.Context) error {
	// Rows of the target may go and come back within the transaction.
	if _, err := t.Exec(ctx, "PRAGMA defer_foreign_keys = on"); err != nil {
		return err
	}
	for _, statement := range sqlsink.StateDDL(t.StateTable(), t.ReceiptTable()) {
		if _, err := t.Exec(ctx, statement); err != nil {
			return connector.Fail("state.create", err, "make the tables for state and receipts in %s", t.path)
		}
	}
	_, err := t.Describe(ctx)
	return err
}

func (t *tx) Dialect() *sqlsink.Dialect { return t.dialect }
func (t *tx) Target() string            { return "main." + quote(t.name) }
func (t *tx) StateTable() string        { return "main.dpone_state" }
func (t *tx) ReceiptTable() string      { return "main.dpone_receipt" }
func (t *tx) DirectTable() string       { return t.Target() }

// StageTable names the temporary table of a stage.
func (t *tx) StageTable(n int) string { return "temp." + quote("dpone_stage_"+strconv.Itoa(n)) }

// IndexTarget is the name that CREATE INDEX takes: it has no schema.
func (t *tx) IndexTarget(table string) string { return strings.TrimPrefix(table, "temp.") }

// Direct says that rows can go into the target as they are: its declared types decide how values are kept.
func (t *tx) Direct(batch.Schema) bool { return true }

// Publish has nothing to do: the target is what was loaded.
func (t *tx) Publish(context.Context) error { return nil }

// Describe reads the target's columns as the transaction sees them.
func (t *tx) Describe(ctx context.Context) (*connector.Relation, error) {
	found, err := describeTable(ctx, t.session, t.sink.m.Sink.Table.Name)
	if err != nil {
		return nil, err
	}
	t.table, t.target = nil, t.Target()
	if found == nil {
		return nil, nil
	}
	t.table, t.name = &targetTable{table: found}, found.name
	t.target = t.Target()
	var text *string
	if err := t.one(ctx, &text, "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?", found.name); err != nil {
		return nil, connector.Fail("sqlite.read", err, "read the definition of %s", found.Name)
	}
	if text != nil {
		t.table.sql = *text
	}
	return &found.Relation, t.verify()
}

// UniqueIndex says whether a unique index of the target has exactly these columns.
func (t *tx) UniqueIndex(ctx context.Context, key []string) (bool, error) {
	if t.table == nil {
		return false, nil
	}
	if t.table.alias != "" && len(key) == 1 && strings.EqualFold(t.table.alias, key[0]) {
		return true, nil
	}
	wanted := map[string]bool{}
	for _, k := range key {
		wanted[strings.ToLower(k)] = true
	}
	found := map[string]map[string]bool{}
	err := t.Query(ctx, `SELECT l.name, lower(coalesce(i.name, '')) FROM pragma_index_list(?, 'main') AS l, pragma_index_info(l.name, 'main') AS i
		WHERE l."unique" = 1 AND l.partial = 0`, []any{t.name}, func(scan func(...any) error) error {
		var index, column string
		if err := scan(&index, &column); err != nil {
			return err
		}
		if found[index] == nil {
			found[index] = map[string]bool{}
		}
		found[index][column] = true
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, columns := range found {
		same := len(columns) == len(wanted)
		for c := range columns {
			same = same && wanted[c]
		}
		if same {
			return true, nil
		}
	}
	return false, nil
}

// Empty deletes all rows.
func (t *tx) Empty(ctx context.Context) error {
	if t.load.Create {
		return nil
	}
	if err := t.mayEmpty(ctx); err != nil {
		return err
	}
	return t.empty(ctx)
}

// mayEmpty refuses to empty a table with whose rows those of others would go.
func (t *tx) mayEmpty(ctx context.Context) error {
	var child, action string
	err := t.Query(ctx, `SELECT l.name, f.on_delete FROM pragma_table_list AS l, pragma_foreign_key_list(l.name, 'main') AS f
		WHERE l.schema = 'main' AND l.type = 'table' AND f."table" = ? COLLATE NOCASE AND f.on_delete <> 'NO ACTION'`, []any{t.name},
		func(scan func(...any) error) error { return scan(&child, &action) })
	if err != nil {
		return connector.Fail("sqlite.read", err, "look for tables that refer to %s", t.target)
	}
	if child != "" {
		return &connector.Error{
			Code: "target.referenced", Msg: fmt.Sprintf("table %q refers to %s with ON DELETE %s, so that emptying it would change that table", child, t.target, action),
			Fix: "use snapshot_diff, which leaves the rows that stay",
		}
	}
	return nil
}

// empty deletes all rows, which SQLite does page by page.
func (t *tx) empty(ctx context.Context) error {
	if _, err := t.Exec(ctx, "DELETE FROM "+t.target); err != nil {
		return connector.Fail("target.empty", err, "empty %s", t.target)
	}
	return nil
}

// Commit commits; readers of a file without a write-ahead log are waited for.
func (t *tx) Commit(ctx context.Context) (connector.Committed, error) {
	if _, err := t.Describe(ctx); err != nil {
		return connector.Committed{}, err
	}
	facts := map[string]string{}
	err := t.patiently(ctx, "COMMIT", t.sink.wait())
	if err != nil {
		return connector.Committed{}, t.uncommitted(ctx, err)
	}
	t.drop(ctx)
	for name, statement := range map[string]string{"data_version": "PRAGMA main.data_version", "page_count": "PRAGMA main.page_count"} {
		var value string
		if t.one(ctx, &value, statement) == nil {
			facts[name] = value
		}
	}
	return connector.Committed{Facts: facts}, nil
}

// uncommitted says what became of a transaction whose COMMIT failed. One that can
// still be rolled back was not committed; otherwise the file tells, by its receipt.
func (t *tx) uncommitted(ctx context.Context, err error) error {
	if primary(err) == sqlite.ResultBusy {
		return t.sink.busy(err, "readers have kept the load from committing")
	}
	if _, rerr := t.Exec(context.WithoutCancel(ctx), "ROLLBACK"); rerr == nil {
		return connector.Fail("commit.failed", err, "commit to %s", t.path)
	}
	return connector.Fail(connector.CodeCommitUnknown, err, "COMMIT failed and it is not known whether the rows are in %s", t.path)
}

// drop takes the staging tables away, which outlive their transaction.
func (t *tx) drop(ctx context.Context) {
	for _, name := range t.stages {
		if _, err := t.Exec(ctx, "DROP TABLE IF EXISTS "+name); err != nil && t.sink.env.Warn != nil {
			t.sink.env.Warn("drop " + name + ": " + err.Error())
		}
	}
	t.stages = nil
	if t.attached {
		if _, err := t.Exec(ctx, "DETACH "+attached); err != nil && t.sink.env.Warn != nil {
			t.sink.env.Warn("detach the source: " + err.Error())
		}
		t.attached = false
	}
}

// ended says that SQLite has rolled the transaction back by itself.
func (t *tx) ended() bool { return t.conn.AutocommitEnabled() }

// Rollback undoes everything. SQLite may have done so by itself.
func (t *tx) Rollback(ctx context.Context) error {
	var err error
	if !t.ended() {
		_, err = t.Exec(ctx, "ROLLBACK")
	}
	_, werr := t.Exec(ctx, "PRAGMA writable_schema = OFF")
	return errors.Join(err, werr)
}

// Digest digests a table in this process.
func (t *tx) Digest(ctx context.Context, from string, spec digest.Spec) (d digest.Digest, err error) {
	builder, err := digest.NewBuilder(spec)
	if err != nil || spec.Level == digest.LevelNone {
		return digest.Digest{}, err
	}
	if spec.Level == digest.LevelCount {
		var n int64
		if err := t.one(ctx, &n, "SELECT count(*) FROM "+from); err != nil {
			return d, connector.Fail("digest.failed", err, "count the rows of %s", from)
		}
		d = builder.Digest()
		d.Rows = uint64(n) //nolint:gosec // a count
		return d, nil
	}
	cur := cursor{session: t.session, columns: spec.Columns, sql: "SELECT " + quoteAll(spec.Columns.Names()) + " FROM " + from}
	defer func() { err = errors.Join(err, cur.close()) }()
	for b := batch.New(spec.Columns); ; {
		b.Reset()
		err := cur.fill(ctx, b, batchRows, batchBytes)
		if errors.Is(err, io.EOF) {
			return builder.Digest(), nil
		}
		if err == nil {
			err = builder.AddBatch(b)
		}
		if err != nil {
			return digest.Digest{}, connector.Fail("digest.failed", err, "digest %s", from)
		}
	}
}
