package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlsink"
)

// Sink is an open PostgreSQL sink.
type Sink struct {
	conn   *pgx.Conn
	cfg    *pgx.ConnConfig
	env    connector.Env
	m      *manifest.Manifest
	locked bool
}

// OpenSink connects and makes the tables for state and receipts when they are missing.
func OpenSink(ctx context.Context, m *manifest.Manifest, env connector.Env) (*Sink, error) {
	cfg, err := config(m.Sink.Connection, env.Secret)
	if err != nil {
		return nil, fmt.Errorf("sink.%w", err)
	}
	s := &Sink{cfg: cfg, env: env, m: m}
	if s.conn, err = Dial(ctx, cfg); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	return s, nil
}

func (s *Sink) stateSchema() string {
	if s.m.State.Schema != "" {
		return s.m.State.Schema
	}
	return "dpone"
}

func (s *Sink) stateTable(name string) string { return quote(s.stateSchema()) + "." + quote(name) }

// prepare makes the tables for state and receipts. They exist on all runs but the
// first, and then a role without the right to make them will do.
func (s *Sink) prepare(ctx context.Context) error {
	var there bool
	err := s.conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL",
		s.stateTable("dpone_state"), s.stateTable("dpone_receipt")).Scan(&there)
	if err != nil {
		return fmt.Errorf("look for the state tables: %w", err)
	}
	if there {
		return nil
	}
	statements := append([]string{
		"BEGIN", "SELECT pg_advisory_xact_lock(" + strconv.FormatInt(lockKey("dpone_state"), 10) + ")",
		"CREATE SCHEMA IF NOT EXISTS " + quote(s.stateSchema()),
	}, sqlsink.StateDDL(s.stateTable("dpone_state"), s.stateTable("dpone_receipt"))...)
	if err := simple(ctx, s.conn, strings.Join(append(statements, "COMMIT"), "; ")); err != nil {
		_ = simple(ctx, s.conn, "ROLLBACK")
		return connector.Fail("state.create", err, "make the tables for state and receipts in schema %q", s.stateSchema())
	}
	return nil
}

func lockKey(text string) int64 {
	return int64(binary.BigEndian.Uint64([]byte(sha("dpone:" + text)[:8]))) //nolint:gosec // any 64 bits will do
}

// wait is how long a lock is waited for.
func (s *Sink) wait() time.Duration {
	if n := s.m.Sink.Options.LockTimeout; n > 0 {
		return time.Duration(n) * time.Second
	}
	return time.Minute
}

// lockTimeout is the same as a value of the setting.
func (s *Sink) lockTimeout() string {
	return literal(strconv.FormatInt(s.wait().Milliseconds(), 10) + "ms")
}

// Describe tells what the target is now.
func (s *Sink) Describe(ctx context.Context) (*connector.Relation, error) {
	t, err := describeTable(ctx, s.conn, s.m.Sink.Table)
	if err != nil || t == nil {
		return nil, err
	}
	if t.kind != 'r' && t.kind != 'p' {
		return nil, &connector.Error{Code: "target.kind", Msg: fmt.Sprintf("sink.table: %s is not a table", t.Name)}
	}
	t.Facts = facts(s.conn)
	return &t.Relation, nil
}

// Identity tells the target from every other one.
func (s *Sink) Identity(ctx context.Context) (string, error) {
	server, err := serverIdentity(ctx, s.conn)
	if err != nil {
		return "", err
	}
	t := s.m.Sink.Table
	if t.Schema == "" {
		t.Schema = "public"
	}
	return server + "/" + t.Schema + "." + t.Name, nil
}

// Native gives the type in which a logical type is kept.
func (s *Sink) Native(t logical.Type) (connector.WriteRule, error) {
	native, err := declare(t)
	return connector.WriteRule{Logical: t.String(), Native: native, Rule: connector.Exact}, err
}

// Receipt reads a receipt in a session of its own.
func (s *Sink) Receipt(ctx context.Context, pipeline, window string) (*connector.Receipt, error) {
	conn, err := Dial(ctx, s.cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	return sqlsink.ReadReceipt(ctx, &queries{conn: conn}, dialect(nil), s.stateTable("dpone_receipt"), pipeline, window)
}

// Close ends the session, and with it its lock.
func (s *Sink) Close(ctx context.Context) error { return s.conn.Close(ctx) }

// Lock takes the target for this session, so that two runs never load it at once.
func (s *Sink) Lock(ctx context.Context) error {
	if s.locked {
		return nil
	}
	id, err := s.Identity(ctx)
	if err != nil {
		return err
	}
	wait := s.wait()
	deadline := time.Now().Add(wait)
	for {
		var got bool
		if err := s.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", lockKey(id)).Scan(&got); err != nil {
			return connector.Fail("target.lock", err, "take the lock on the target")
		}
		if got {
			s.locked = true
			return nil
		}
		if time.Now().After(deadline) {
			return &connector.Error{
				Code: "target.busy", Msg: fmt.Sprintf("another run has been loading %s for %s", qualified(s.m.Sink.Table), wait),
				Fix: "wait for it, or raise sink.options.lock_timeout",
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// raiseWorkMem lets the joins of a load hold a million keys in memory, for its
// transaction. A server that is set to more keeps that.
const raiseWorkMem = "; SELECT set_config('work_mem', '64MB', true) WHERE pg_size_bytes(current_setting('work_mem')) < 67108864"

// Begin takes the target's lock and opens a transaction.
func (s *Sink) Begin(ctx context.Context, load connector.Load) (connector.Tx, error) {
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	if err := s.Lock(ctx); err != nil {
		return nil, err
	}
	if err := simple(ctx, s.conn, "BEGIN; SET LOCAL lock_timeout = "+s.lockTimeout()+raiseWorkMem); err != nil {
		return nil, connector.Fail("target.begin", err, "open a transaction on the target")
	}
	t := &tx{queries: queries{conn: s.conn}, sink: s, target: qualified(s.m.Sink.Table), load: load}
	if err := s.conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&t.lsn); err != nil {
		t.lsn = ""
	}
	t.dialect = dialect(t)
	if _, err := t.Describe(ctx); err != nil {
		_ = t.Rollback(ctx)
		return nil, err
	}
	return sqlsink.New(t, load), nil
}

// tx is the transaction behind sqlsink.
type tx struct {
	queries
	sink    *Sink
	dialect *sqlsink.Dialect
	target  string
	load    connector.Load
	table   *table // the target's columns, read again after each change
	lsn     string
	shadow  *shadow
}

func (t *tx) Dialect() *sqlsink.Dialect { return t.dialect }
func (t *tx) Target() string            { return t.target }
func (t *tx) StateTable() string        { return t.sink.stateTable("dpone_state") }
func (t *tx) ReceiptTable() string      { return t.sink.stateTable("dpone_receipt") }
func (t *tx) StageTable(n int) string   { return "pg_temp." + quote("dpone_stage_"+strconv.Itoa(n)) }

// DirectTable is where a direct load writes: the target, or the sibling that will take its place.
func (t *tx) DirectTable() string {
	if t.shadow != nil {
		return t.shadow.name
	}
	return t.target
}

// Describe reads the target's columns as the transaction sees them.
func (t *tx) Describe(ctx context.Context) (*connector.Relation, error) {
	table, err := describeTable(ctx, t.conn, t.sink.m.Sink.Table)
	if err != nil {
		return nil, err
	}
	t.table = table
	if table == nil {
		return nil, nil
	}
	return &table.Relation, nil
}

// UniqueIndex says whether a unique index serves ON CONFLICT on these columns. The
// rows of a partitioned table do not tell whether they were inserted or updated, so
// that it is merged in the other way.
func (t *tx) UniqueIndex(ctx context.Context, key []string) (bool, error) {
	if t.table == nil || t.table.kind != 'r' {
		return false, nil
	}
	var found bool
	err := t.conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate
		AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = cardinality($2::text[])
		AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
		     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts)
		  = (SELECT array_agg(x ORDER BY x) FROM unnest($2::text[]) x))`, t.target, key).Scan(&found)
	return found, err
}

// FullJoin runs the statement. Two tables that both lie in the order of their index are read along
// it, which takes half the time of a hash of all rows; the planner's prices say otherwise.
func (t *tx) FullJoin(ctx context.Context, stage string, key []string, sql string) error {
	inOrder := 0
	if len(key) == 1 {
		if err := t.conn.QueryRow(ctx, `SELECT count(*) FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
			WHERE c.oid IN ($1::regclass, $2::regclass) AND s.attname = $3 AND s.correlation > 0.95`, stage, t.target, key[0]).Scan(&inOrder); err != nil {
			return fmt.Errorf("look at the order of the rows: %w", err)
		}
	}
	if inOrder == 2 {
		sql = "SET LOCAL enable_hashjoin = off; " + sql + "; SET LOCAL enable_hashjoin TO DEFAULT"
	}
	return simple(ctx, t.conn, sql)
}

// Empty empties the target for a direct load. Its indexes, grants and object id stay.
func (t *tx) Empty(ctx context.Context) error {
	if t.load.Create {
		return nil
	}
	if t.load.Strategy.Mode == manifest.FullRefresh && t.load.Strategy.OverwriteType == "shadow_swap" {
		return t.openShadow(ctx)
	}
	err := simple(ctx, t.conn, "TRUNCATE "+t.target)
	if isCode(err, "0A000") {
		return &connector.Error{
			Code: "target.referenced", Msg: "empty " + t.target, Err: err,
			Fix: "use snapshot_diff, which leaves the rows that others point to in their place",
		}
	}
	if err != nil {
		return connector.Fail("target.truncate", err, "empty %s", t.target)
	}
	return nil
}

// Commit commits and finds out what became of it when the answer is lost.
func (t *tx) Commit(ctx context.Context) (connector.Committed, error) {
	var xid string
	if err := t.conn.QueryRow(ctx, "SELECT pg_current_xact_id()::text").Scan(&xid); err != nil {
		return connector.Committed{}, connector.Fail("commit.failed", err, "read the transaction's number")
	}
	facts := map[string]string{"xid": xid}
	if t.lsn != "" {
		var wal string
		if err := t.conn.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)::bigint::text", t.lsn).Scan(&wal); err == nil {
			facts["server_wal_bytes"] = wal
		}
	}
	results, err := t.conn.PgConn().Exec(ctx, "COMMIT").ReadAll()
	switch {
	case err != nil && t.conn.IsClosed():
		err = t.outcome(ctx, xid, err)
	case err == nil && (len(results) != 1 || results[0].CommandTag.String() != "COMMIT"):
		err = &connector.Error{Code: "commit.failed", Msg: "the server rolled back instead of committing"}
	case err != nil: // a constraint that is checked at the end
		err = connector.Fail("commit.failed", err, "the server refused the commit")
	}
	if err != nil {
		return connector.Committed{}, err
	}
	t.shadow = nil
	if !t.conn.IsClosed() {
		var lsn string
		if err := t.conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&lsn); err == nil {
			facts["commit_lsn"] = lsn
		}
	}
	return connector.Committed{Facts: facts}, nil
}

// outcome asks the server what became of a transaction whose answer was lost.
func (t *tx) outcome(ctx context.Context, xid string, lost error) error {
	unknown := func(err error) error {
		return &connector.Error{Code: connector.CodeCommitUnknown, Msg: "the connection broke during COMMIT and the outcome is not known", Err: err}
	}
	// The server may be starting again; it is asked for as long as a lock would be waited for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for {
		conn, err := Dial(ctx, t.sink.cfg)
		if err == nil {
			var status *string
			err = conn.QueryRow(ctx, "SELECT pg_xact_status($1::text::xid8)", xid).Scan(&status)
			_ = conn.Close(ctx)
			switch {
			case err == nil && status == nil:
				return unknown(lost)
			case err == nil && *status == "committed":
				return nil
			case err == nil && *status == "aborted":
				return connector.Fail("commit.failed", lost, "the connection broke and the server rolled back")
			}
		}
		select {
		case <-ctx.Done():
			return unknown(lost)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Rollback undoes everything. A broken connection has already done so.
func (t *tx) Rollback(ctx context.Context) error {
	var err error
	if !t.conn.IsClosed() {
		err = simple(ctx, t.conn, "ROLLBACK")
	}
	if t.shadow != nil {
		err = errors.Join(err, t.shadow.drop(ctx))
	}
	return err
}

// Digest digests a table in the server.
func (t *tx) Digest(ctx context.Context, table string, spec digest.Spec) (digest.Digest, error) {
	return digestTable(ctx, t.conn, table, "", spec)
}

// dialect is PostgreSQL's SQL; with a transaction it knows the target's types.
func dialect(t *tx) *sqlsink.Dialect {
	staged := func(alias string, c batch.Column) string {
		q := alias + "." + quote(c.Name)
		if t == nil || t.table == nil {
			return q
		}
		target := t.table.column(c.Name)
		if target == nil {
			return q
		}
		if native, err := declare(c.Type); err == nil && native == target.Native {
			return q
		}
		return "CAST(" + q + " AS " + target.Native + ")"
	}
	return &sqlsink.Dialect{
		Quote: quote,
		Param: func(n int) string { return "$" + strconv.Itoa(n) },
		Literal: func(c batch.Column, value []byte) (string, error) {
			native, err := declare(c.Type)
			if err != nil {
				return "", err
			}
			if value == nil {
				return "CAST(NULL AS " + native + ")", nil
			}
			if c.Type.Kind == logical.Native {
				return "", &connector.Error{Code: "type.refused", Msg: fmt.Sprintf("column %q: a %s cannot bound a load", c.Name, c.Type)}
			}
			text, err := logical.AppendText(nil, c.Type, value)
			if err != nil {
				return "", fmt.Errorf("column %q: %w", c.Name, err)
			}
			if c.Type.Kind == logical.Text {
				return literal(string(text)), nil // the column may be an enum, which is not compared with a text
			}
			return "CAST(" + literal(string(text)) + " AS " + native + ")", nil
		},
		Differs: func(a, b string, columns batch.Schema) string {
			if len(columns) == 0 {
				return "false"
			}
			left, right := make([]string, len(columns)), make([]string, len(columns))
			for i, c := range columns {
				left[i] = a + "." + quote(c.Name)
				right[i] = staged(b, c)
			}
			// The image of a row tells 1.0 from 1.00 and compares types that have no equality, such as json.
			return "record_image_ne(ROW(" + strings.Join(left, ", ") + "), ROW(" + strings.Join(right, ", ") + "))"
		},
		RowHash: func(alias string, columns batch.Schema) string {
			return "encode(sha256(" + record(alias+".", columns) + "), 'hex')"
		},
		Staged:     staged,
		RowID:      "ctid",
		True:       "true",
		False:      "false",
		Overriding: "OVERRIDING SYSTEM VALUE",
		Analyze: func(table string, columns []string) string {
			return "ANALYZE " + table + " (" + strings.Join(columns, ", ") + ")"
		},
		Upsert: true,
		Lock:   "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
		Text:   func(expr string, _ logical.Type) string { return expr + "::text" },
		Alter:  alter,
	}
}

// alter gives the statements of a change.
func alter(target string, change connector.Change) ([]string, error) {
	var statements []string
	switch change.Kind {
	case "create":
		parts := make([]string, 0, len(change.Columns)+1)
		for _, c := range change.Columns {
			native, err := declare(c.Type)
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", c.Name, err)
			}
			d := quote(c.Name) + " " + native
			if c.NotNull {
				d += " NOT NULL"
			}
			parts = append(parts, d)
		}
		if len(change.Key) > 0 {
			parts = append(parts, "PRIMARY KEY ("+quoteAll(change.Key)+")")
		}
		return []string{"CREATE TABLE " + target + " (" + strings.Join(parts, ", ") + ")"}, nil
	case "add", "widen":
		for _, c := range change.Columns {
			native, err := declare(c.Type)
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", c.Name, err)
			}
			verb := " ADD COLUMN " + quote(c.Name) + " " + native
			if change.Kind == "widen" {
				verb = " ALTER COLUMN " + quote(c.Name) + " TYPE " + native
			}
			statements = append(statements, "ALTER TABLE "+target+verb)
		}
		return statements, nil
	case "index":
		where := ""
		if change.Flag != "" {
			where = " WHERE " + quote(change.Flag)
		}
		return []string{"CREATE UNIQUE INDEX ON " + target + " (" + quoteAll(change.Key) + ")" + where}, nil
	}
	return nil, fmt.Errorf("change %q is not known", change.Kind)
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
