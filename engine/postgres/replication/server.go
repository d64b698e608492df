package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dpone/dpone/engine/connector"
)

// SQLSTATE codes of the server (PostgreSQL manual, appendix A).
const (
	undefinedObject       = "42704"
	duplicateObject       = "42710"
	insufficientPrivilege = "42501"
	invalidAuthorization  = "28000"
	objectInUse           = "55006"
	objectNotInState      = "55000"
	configurationLimit    = "53400"
)

func state(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// connect opens a replication connection to the database. Such a connection
// takes replication commands and, by the simple protocol, SQL.
func connect(ctx context.Context, config *pgconn.Config) (*pgconn.PgConn, error) {
	c := config.Copy()
	if c.RuntimeParams == nil {
		c.RuntimeParams = map[string]string{}
	}
	for name, value := range map[string]string{
		"replication": "database",
		// The connection rests while the first load reads its snapshot.
		"idle_in_transaction_session_timeout": "0",
		"statement_timeout":                   "0",
		"lock_timeout":                        "0",
		// The text forms that package logical reads.
		"client_encoding":    "UTF8",
		"datestyle":          "ISO",
		"intervalstyle":      "postgres",
		"timezone":           "UTC",
		"extra_float_digits": "3",
		"bytea_output":       "hex",
	} {
		c.RuntimeParams[name] = value
	}
	conn, err := pgconn.ConnectConfig(ctx, c)
	if err != nil {
		e := connector.Fail("cdc.connect", err, "open a replication connection")
		if s := state(err); s == invalidAuthorization || s == insufficientPrivilege {
			e.Fix = "give the role the attribute REPLICATION and let pg_hba.conf admit it to the database"
		}
		return nil, e
	}
	return conn, nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// query runs one statement by the simple protocol; NULL is the empty text.
func query(ctx context.Context, conn *pgconn.PgConn, sql string) ([][]string, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("%d results for one statement", len(results))
	}
	rows := make([][]string, len(results[0].Rows))
	for i, row := range results[0].Rows {
		for _, v := range row {
			rows[i] = append(rows[i], string(v))
		}
	}
	return rows, nil
}

func setting(ctx context.Context, conn *pgconn.PgConn, name string) (string, error) {
	rows, err := query(ctx, conn, "SELECT setting FROM pg_catalog.pg_settings WHERE name = "+literal(name))
	if err != nil {
		return "", fmt.Errorf("read the setting %s: %w", name, err)
	}
	if len(rows) == 0 {
		return "", nil
	}
	return rows[0][0], nil
}

// endOfLog gives where the last record of the log ends that somebody has
// written, flushed or not: a commit may have returned before its flush (synchronous_commit).
func endOfLog(ctx context.Context, conn *pgconn.PgConn) (pglogrepl.LSN, error) {
	rows, err := query(ctx, conn, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, "+
		"current_setting('wal_block_size'), (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size')")
	if err != nil {
		return 0, err
	}
	end, err := pglogrepl.ParseLSN(rows[0][0])
	if err != nil {
		return 0, err
	}
	page, err := strconv.ParseUint(rows[0][1], 10, 32)
	if err != nil {
		return 0, err
	}
	segment, err := strconv.ParseUint(rows[0][2], 10, 64)
	if err != nil || page == 0 || segment == 0 {
		return 0, fmt.Errorf("pages of %d and segments of %d bytes: %w", page, segment, err)
	}
	return beforeHeader(end, page, segment), nil
}

// beforeHeader takes back the header of a page that holds no record yet: the
// place of the next record stands after it, and the last one ended before it.
func beforeHeader(lsn pglogrepl.LSN, page, segment uint64) pglogrepl.LSN {
	const short, long = 24, 40 // of a page, and of the first page of a segment
	switch at := uint64(lsn); {
	case at%segment == long:
		return lsn - long
	case at%segment > page && at%page == short:
		return lsn - short
	}
	return lsn
}

// table is what the catalog tells of the source's table.
type table struct {
	oid         uint32
	name        string // qualified and quoted
	partitioned bool
	identity    byte
	columns     []shapeColumn
	hash        string
}

// look reads what the stream depends on and refuses what it cannot follow.
func (o *Options) look(ctx context.Context, conn *pgconn.PgConn) (*table, error) {
	level, err := setting(ctx, conn, "wal_level")
	if err != nil {
		return nil, err
	}
	if level != "logical" {
		return nil, &connector.Error{
			Code: "cdc.wal_level", Msg: fmt.Sprintf("the source's setting wal_level is %q, and changes are only decoded from logical", level),
			Fix: "set wal_level = logical in postgresql.conf and restart the server",
		}
	}
	name := quote(o.Schema) + "." + quote(o.Table)
	rows, err := query(ctx, conn, "SELECT c.oid, c.relkind, c.relpersistence, c.relreplident FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = "+
		literal(o.Schema)+" AND c.relname = "+literal(o.Table))
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", name, err)
	}
	if len(rows) != 1 {
		return nil, &connector.Error{Code: "cdc.table", Msg: fmt.Sprintf("the source has no table %s", name)}
	}
	oid, err := strconv.ParseUint(rows[0][0], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("oid of %s: %w", name, err)
	}
	t := &table{oid: uint32(oid), name: name, partitioned: rows[0][1] == "p", identity: rows[0][3][0]}
	if kind := rows[0][1]; (kind != "r" && kind != "p") || rows[0][2] != "p" {
		return nil, &connector.Error{
			Code: "cdc.table", Msg: name + " is not an ordinary or partitioned table whose changes are logged",
			Fix: "views, foreign, temporary and unlogged tables have no changes in the log; name the table itself",
		}
	}
	if err := o.readColumns(ctx, conn, t); err != nil {
		return nil, err
	}
	return t, o.checkIdentity(ctx, conn, t)
}

func (o *Options) readColumns(ctx context.Context, conn *pgconn.PgConn, t *table) error {
	rows, err := query(ctx, conn, fmt.Sprintf("SELECT attname, atttypid, atttypmod FROM pg_catalog.pg_attribute WHERE attrelid = %d AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum", t.oid))
	if err != nil {
		return fmt.Errorf("columns of %s: %w", t.name, err)
	}
	for _, r := range rows {
		typ, err := strconv.ParseUint(r[1], 10, 32)
		if err != nil {
			return fmt.Errorf("type of %s.%s: %w", t.name, r[0], err)
		}
		mod, err := strconv.ParseInt(r[2], 10, 32)
		if err != nil {
			return fmt.Errorf("type of %s.%s: %w", t.name, r[0], err)
		}
		t.columns = append(t.columns, shapeColumn{Name: r[0], Type: uint32(typ), Mod: int32(mod)})
	}
	for _, c := range o.Columns {
		if !slices.ContainsFunc(t.columns, func(s shapeColumn) bool { return s.Name == c.Name }) {
			return &connector.Error{
				Code: "cdc.column", Msg: fmt.Sprintf("the changes of %s do not tell column %q", t.name, c.Name),
				Fix: "leave it out in source.options.columns; a generated column is not in the log",
			}
		}
	}
	t.hash, err = shapeHash(t.columns)
	return err
}

// checkIdentity holds the key against the replica identity: a change must tell
// the whole key of its row, and no two rows may share one.
func (o *Options) checkIdentity(ctx context.Context, conn *pgconn.PgConn, t *table) error {
	indexes, err := query(ctx, conn, fmt.Sprintf(
		"SELECT i.indisprimary, i.indisreplident, (SELECT string_agg(a.attname, E'\\x01' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])) "+
			"FROM pg_catalog.pg_index i WHERE i.indrelid = %d AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL", t.oid))
	if err != nil {
		return fmt.Errorf("indexes of %s: %w", t.name, err)
	}
	nullable, err := query(ctx, conn, fmt.Sprintf("SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %d AND attnum > 0 AND NOT attisdropped AND NOT attnotnull", t.oid))
	if err != nil {
		return fmt.Errorf("columns of %s: %w", t.name, err)
	}
	for _, n := range nullable {
		if slices.Contains(o.Key, n[0]) {
			return &connector.Error{
				Code: "cdc.key_null", Msg: fmt.Sprintf("the key column %q of %s may be NULL", n[0], t.name),
				Fix: "declare it NOT NULL, or choose another strategy.unique_key",
			}
		}
	}
	unique, told := false, t.identity == 'f'
	for _, i := range indexes {
		columns := strings.Split(i[2], "\x01")
		unique = unique || contains(o.Key, columns)
		identity := t.identity == 'd' && i[0] == "t" || t.identity == 'i' && i[1] == "t"
		told = told || identity && contains(columns, o.Key)
	}
	if !told {
		return &connector.Error{
			Code: "cdc.replica_identity",
			Msg:  fmt.Sprintf("the replica identity of %s does not hold the key (%s), so that updates and deletes do not tell their row", t.name, strings.Join(o.Key, ", ")),
			Fix:  "ALTER TABLE " + t.name + " REPLICA IDENTITY FULL, or USING INDEX a unique index of these columns, or choose the primary key as strategy.unique_key",
		}
	}
	if !unique {
		return &connector.Error{
			Code: "cdc.key_not_unique",
			Msg:  fmt.Sprintf("no unique index of %s keeps the key (%s) unique at every moment", t.name, strings.Join(o.Key, ", ")),
			Fix:  "make one that is neither partial nor deferrable, or choose another strategy.unique_key",
		}
	}
	return nil
}

// contains says whether every one of some is in all.
func contains(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

// publish makes the publication when it is missing, and holds it against what is needed.
func (o *Options) publish(ctx context.Context, conn *pgconn.PgConn, t *table, create bool) error {
	found, err := query(ctx, conn, "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot FROM pg_catalog.pg_publication WHERE pubname = "+literal(o.Publication))
	if err != nil {
		return fmt.Errorf("look for publication %s: %w", o.Publication, err)
	}
	if len(found) == 0 {
		if !create {
			return &connector.Error{
				Code: "cdc.publication_lost", Msg: fmt.Sprintf("publication %s is gone, and what changed without it cannot be told", o.Publication),
				Fix: o.again(),
			}
		}
		sql := "CREATE PUBLICATION " + quote(o.Publication) + " FOR TABLE " + t.name
		if t.partitioned {
			sql += " WITH (publish_via_partition_root = true)"
		}
		if _, err := query(ctx, conn, sql); err != nil && state(err) != duplicateObject {
			e := connector.Fail("cdc.publication", err, "make publication %s", o.Publication)
			if state(err) == insufficientPrivilege {
				e.Fix = "let the table's owner run: " + sql
			}
			return e
		}
		return o.publish(ctx, conn, t, false)
	}
	wrong := func(what, fix string) error {
		return &connector.Error{Code: "cdc.publication", Msg: fmt.Sprintf("publication %s %s", o.Publication, what), Fix: fix}
	}
	if found[0][0] != "t" {
		return wrong("leaves out some kinds of changes", "ALTER PUBLICATION "+quote(o.Publication)+" SET (publish = 'insert, update, delete, truncate')")
	}
	if t.partitioned && found[0][1] != "t" {
		return wrong("names the partitions and not the table", "ALTER PUBLICATION "+quote(o.Publication)+" SET (publish_via_partition_root = true)")
	}
	// Since PostgreSQL 15 a publication may leave out rows and columns.
	lists := "NULL, NULL"
	if o.version >= 150000 {
		lists = "rowfilter, array_to_string(attnames, E'\\x01')"
	}
	rows, err := query(ctx, conn, "SELECT "+lists+" FROM pg_catalog.pg_publication_tables WHERE pubname = "+literal(o.Publication)+
		" AND schemaname = "+literal(o.Schema)+" AND tablename = "+literal(o.Table))
	if err != nil {
		return fmt.Errorf("tables of publication %s: %w", o.Publication, err)
	}
	switch {
	case len(rows) == 0:
		return wrong("does not hold "+t.name, "ALTER PUBLICATION "+quote(o.Publication)+" ADD TABLE "+t.name+" before the first run; what changed meanwhile cannot be told")
	case rows[0][0] != "":
		return wrong("leaves out rows of "+t.name, "take its row filter away, or name another publication")
	case rows[0][1] != "":
		listed := strings.Split(rows[0][1], "\x01")
		for _, c := range t.columns {
			if !slices.Contains(listed, c.Name) {
				return wrong(fmt.Sprintf("leaves out column %q of %s", c.Name, t.name), "take its column list away, or name another publication")
			}
		}
	}
	return nil
}

func (o *Options) again() string {
	return fmt.Sprintf("to load the table again, drop replication slot %s and delete the pipeline's row from the state table", o.Slot)
}

// slot is what the server tells of a replication slot.
type slot struct {
	active    bool
	confirmed pglogrepl.LSN
	lost      string // why it no longer serves, empty when it does
}

// readSlot looks for the slot; nil when there is none.
func (o *Options) readSlot(ctx context.Context, conn *pgconn.PgConn) (*slot, error) {
	rows, err := query(ctx, conn, "SELECT plugin, slot_type, database = current_database(), active, coalesce(wal_status, 'lost'), confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = "+literal(o.Slot))
	if err != nil {
		return nil, fmt.Errorf("look for replication slot %s: %w", o.Slot, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	r := rows[0]
	if r[0] != "pgoutput" || r[1] != "logical" || r[2] != "t" {
		return nil, &connector.Error{
			Code: "cdc.slot_mismatch", Msg: fmt.Sprintf("replication slot %s is not one of pgoutput in this database", o.Slot),
			Fix: "name another slot in source.options.cdc.slot",
		}
	}
	s := &slot{active: r[3] == "t"}
	if r[4] == "lost" {
		s.lost = "the server has removed log that the slot still needed (max_slot_wal_keep_size)"
		return s, nil
	}
	if s.confirmed, err = pglogrepl.ParseLSN(r[5]); err != nil {
		return nil, fmt.Errorf("position of replication slot %s: %w", o.Slot, err)
	}
	return s, nil
}

// slotPoll is how often a slot is looked at that another session still holds.
const slotPoll = 50 * time.Millisecond

// retryInUse runs do until the slot is free, for a limited time: the server
// takes a moment to notice that the session of a killed process is gone.
func (o *Options) retryInUse(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(o.SlotWait)
	for {
		err := do()
		if state(err) != objectInUse {
			return err
		}
		if time.Now().After(deadline) {
			return &connector.Error{
				Code: "cdc.slot_in_use", Msg: fmt.Sprintf("replication slot %s is read by another session", o.Slot), Err: err,
				Fix: "end the other reader, or give this process a slot of its own",
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(slotPoll):
		}
	}
}

func (o *Options) dropSlot(ctx context.Context, conn *pgconn.PgConn) error {
	err := o.retryInUse(ctx, func() error {
		return pglogrepl.DropReplicationSlot(ctx, conn, quote(o.Slot), pglogrepl.DropReplicationSlotOptions{})
	})
	if state(err) == undefinedObject {
		return nil
	}
	return err
}
