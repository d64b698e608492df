package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/connector"
)

// xminState is what an xmin run leaves for the next one. The process, the source
// and the target are in the key under which it is kept, and its revision beside it.
type xminState struct {
	SystemIdentifier string `json:"system_identifier"`
	Timeline         int64  `json:"timeline"` // 0 when the server does not tell
	// Incarnation changes when the server starts, also after a crash of one of its processes.
	Incarnation string `json:"incarnation"`
	Database    uint32 `json:"database_oid"`
	Relation    uint32 `json:"relation_oid"`
	// Files are the relfilenodes of the table and of all tables under it, by object number.
	Files         map[uint32]uint32 `json:"relfilenodes"`
	Snapshot      string            `json:"snapshot"`
	Lower         uint64            `json:"lower_xid"` // the snapshot's xmin, 64 bits
	Upper         uint64            `json:"upper_xid"` // the snapshot's xmax, 64 bits
	LSN           string            `json:"lsn"`
	SchemaHash    string            `json:"schema_sha256"`
	PredicateHash string            `json:"predicate_sha256"`
}

// wraparound is the distance of transaction numbers from which on 32 bits may no
// longer tell before from after: 2^31, less what may begin while the run starts.
const wraparound = 1<<31 - 1<<20

// now reads the state of the source in the snapshot.
func (s *snapshot) now(ctx context.Context) (st xminState, err error) {
	st.Snapshot = s.text
	lower, rest, _ := strings.Cut(s.text, ":")
	upper, _, _ := strings.Cut(rest, ":")
	if st.Lower, err = strconv.ParseUint(lower, 10, 64); err != nil {
		return st, fmt.Errorf("snapshot %q: %w", s.text, err)
	}
	if st.Upper, err = strconv.ParseUint(upper, 10, 64); err != nil {
		return st, fmt.Errorf("snapshot %q: %w", s.text, err)
	}
	st.Relation = s.table.oid
	st.LSN = s.facts["lsn"]
	st.PredicateHash = sha(s.source.options.CustomPredicate)
	system, _, _ := strings.Cut(strings.TrimPrefix(s.facts["server"], "postgres:"), "/")
	st.SystemIdentifier = system
	err = s.conn.QueryRow(ctx, `SELECT pg_postmaster_start_time()::text || coalesce('/' || (SELECT stats_reset::text FROM pg_stat_bgwriter), ''),
		(SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&st.Incarnation, &st.Database)
	if err == nil {
		st.Timeline, err = s.timeline(ctx)
	}
	if err == nil {
		st.SchemaHash, err = s.schemaHash(ctx)
	}
	if err != nil {
		return st, connector.Fail("xmin.identity", err, "read the identity of the source")
	}
	st.Files, err = s.files(ctx)
	return st, err
}

// timeline gives the timeline that the server is on. The control file of a server
// that was just promoted still holds the old one, so that a primary is asked for
// the name of the log file that it writes.
func (s *snapshot) timeline(ctx context.Context) (timeline int64, err error) {
	var standby, permitted bool
	err = s.conn.QueryRow(ctx, `SELECT pg_is_in_recovery(),
		has_function_privilege('pg_control_checkpoint()', 'EXECUTE') AND has_function_privilege('pg_control_recovery()', 'EXECUTE')`).Scan(&standby, &permitted)
	if err != nil {
		return 0, err
	}
	query := "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"
	if standby {
		if !permitted {
			return 0, nil
		}
		query = `SELECT greatest((SELECT timeline_id FROM pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
			(SELECT max(received_tli) FROM pg_stat_wal_receiver))::bigint`
	}
	err = s.conn.QueryRow(ctx, query).Scan(&timeline)
	return timeline, err
}

// schemaHash changes when a value can have changed in a row that was not written:
// a column of another type, or one that was dropped and made again with another default.
func (s *snapshot) schemaHash(ctx context.Context) (string, error) {
	var text string
	err := s.conn.QueryRow(ctx, `SELECT coalesce(string_agg(format('%s %I %s %s', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
			CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END), E'\n' ORDER BY a.attnum), '')
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY($2::text[])`, s.table.oid, s.table.Schema().Names()).Scan(&text)
	return sha(text), err
}

// files reads the table and all tables under it: partitions, and those that inherit from it.
func (s *snapshot) files(ctx context.Context) (map[uint32]uint32, error) {
	rows, err := s.conn.Query(ctx, `WITH RECURSIVE tree AS (SELECT $1::oid AS oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
		SELECT c.oid, c.relfilenode, c.relkind IN ('r', 'p'), c.oid::regclass::text FROM tree JOIN pg_class c ON c.oid = tree.oid`, s.table.oid)
	if err != nil {
		return nil, fmt.Errorf("read what %s consists of: %w", s.table.Name, err)
	}
	files := map[uint32]uint32{}
	var oid, file uint32
	var plain bool
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &file, &plain, &name}, func() error {
		if !plain {
			return notATable(name)
		}
		files[oid] = file
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what %s consists of: %w", s.table.Name, err)
	}
	return files, nil
}

func notATable(name string) error {
	return &connector.Error{
		Code: "xmin.not_a_table", Msg: name + " is not a table, and only tables have transaction numbers",
		Fix: "read the table itself, or choose another strategy",
	}
}

// Window tells what changed since the previous run: every row whose transaction
// is not older than the oldest one that was running then, and that this snapshot
// sees. The list of running transactions is not used to narrow it, because it does
// not hold their subtransactions. The window may hold rows that did not change, and
// never leaves one out that did.
func (s *snapshot) Window(ctx context.Context, previous json.RawMessage) (connector.Window, error) {
	if s.source.query != "" {
		return connector.Window{}, &connector.Error{Code: "xmin.not_a_table", Msg: "xmin reads a table, not a query"}
	}
	if s.table.kind != 'r' && s.table.kind != 'p' {
		return connector.Window{}, notATable(s.table.Name)
	}
	if !slices.Equal(s.table.Columns, s.source.table.Columns) {
		// The state would say that the new columns were loaded.
		return connector.Window{}, &connector.Error{Code: "source.changed", Msg: "the columns of " + s.table.Name + " changed while the run began", Fix: "run again"}
	}
	now, err := s.now(ctx)
	if err != nil {
		return connector.Window{}, err
	}
	next, err := json.Marshal(now)
	if err != nil {
		return connector.Window{}, fmt.Errorf("write the state: %w", err)
	}
	w := connector.Window{
		Kind: "initial", Next: next, ID: fmt.Sprintf("xmin:initial:%d:%d", now.Lower, now.Upper),
		Facts: map[string]string{
			"snapshot": now.Snapshot, "replay_xids": strconv.FormatUint(now.Upper-now.Lower, 10),
			"system_identifier": now.SystemIdentifier, "timeline": strconv.FormatInt(now.Timeline, 10),
			"relation_oid": strconv.FormatUint(uint64(now.Relation), 10),
		},
	}
	if len(previous) == 0 {
		return w, nil
	}
	var before xminState
	if err := json.Unmarshal(previous, &before); err != nil {
		return w, connector.Fail("xmin.state", err, "the state of the last run cannot be read")
	}
	reason, err := s.distrust(ctx, before, now)
	if err != nil {
		return w, err
	}
	if reason != "" {
		w.Kind, w.Reason, w.ID = "rebaseline", reason, fmt.Sprintf("xmin:rebaseline:%d:%d", now.Lower, now.Upper)
		return w, nil
	}
	w.Kind = "delta"
	w.ID = fmt.Sprintf("xmin:%d:%d:%d", before.Lower, now.Lower, now.Upper)
	w.Facts["lower_xid"] = strconv.FormatUint(before.Lower, 10)
	if before.Incarnation != now.Incarnation {
		// A server that is started on an older copy of its files gives the same
		// numbers away a second time. Nothing that it keeps tells whether it was, as
		// soon as it is past the point that the last run saw.
		w.Reason = "server_restarted: transaction numbers may have been given away again, so that the whole table is compared"
		return w, nil
	}
	w.Where = inWindow(before.Lower, now.Upper, maxListed(major(s.conn.PgConn().ParameterStatus("server_version"))))
	for _, oid := range slices.Sorted(maps.Keys(now.Files)) {
		// Rows of a partition that was attached are older than their place in this table.
		if _, known := before.Files[oid]; !known {
			w.Where += fmt.Sprintf(" OR tableoid = %d", oid)
		}
	}
	return w, nil
}

// maxListed is how many transactions are listed one by one. From PostgreSQL 14 on they are
// looked up in a table of hashes, so that their number costs a row nothing; before, nine
// comparisons are about what age() costs.
func maxListed(major int) uint64 {
	if major < 14 {
		return 8
	}
	return 1000
}

// major is the first number of a server's version, such as 15 of "15.18 (Debian)", 0 for none.
func major(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	n, _ := strconv.Atoi(version[:end]) // 0 is the careful answer
	return n
}

// inWindow is true for the rows of the transactions from lower on that the snapshot sees,
// none of which is upper or later. A few are listed: unlike age(), a comparison of
// numbers may be left to several workers of the server.
func inWindow(lower, upper, most uint64) string {
	if upper < lower || upper-lower > most {
		return sinceXID(lower)
	}
	list := make([]string, 0, upper-lower)
	for xid := lower; xid < upper; xid++ {
		if short := xid % (1 << 32); short > 2 { // the others are no numbers of transactions
			list = append(list, strconv.FormatUint(short, 10))
		}
	}
	return "xmin = ANY ('{" + strings.Join(list, ",") + "}'::xid[])"
}

// sinceXID is true for rows of the transaction with this number and of later ones.
// age() compares in the ring of 32-bit numbers, and the transaction's first use of it
// fixes what it counts from. The special numbers 1 and 2, whose age is the greatest
// integer, mark rows that are older than everything. Frozen rows keep their number,
// so that very old ones may be found again.
func sinceXID(lower uint64) string {
	return fmt.Sprintf("age(xmin) <= (SELECT age('%d'::xid))", lower%(1<<32))
}

// distrust says why a window after the previous state would lose rows or would have
// to be the whole table, empty when it would not.
func (s *snapshot) distrust(ctx context.Context, before, now xminState) (string, error) {
	switch {
	case before.Snapshot == "" || before.LSN == "":
		return "state_foreign: the state was left by another strategy", nil
	case before.SystemIdentifier != now.SystemIdentifier:
		return "system_identifier_changed: this is another server", nil
	case before.Database != now.Database:
		return "database_changed: this is another database", nil
	case before.Timeline != now.Timeline:
		return fmt.Sprintf("timeline_changed: the server was restored or failed over, from timeline %d to %d", before.Timeline, now.Timeline), nil
	case before.Upper > now.Upper:
		return fmt.Sprintf("state_ahead_of_source: the last run saw transaction %d, the source is at %d, an older copy", before.Upper, now.Upper), nil
	}
	var behind bool
	if err := s.conn.QueryRow(ctx, "SELECT $1::text::pg_lsn > $2::text::pg_lsn", before.LSN, now.LSN).Scan(&behind); err != nil {
		return "", connector.Fail("xmin.state", err, "compare log positions")
	}
	switch {
	case behind:
		return fmt.Sprintf("log_position_behind: the last run saw log position %s, the source is at %s, an older copy", before.LSN, now.LSN), nil
	case now.Upper-before.Lower >= wraparound:
		return fmt.Sprintf("wraparound_distance: %d transactions since the last run, which 32 bits cannot tell apart", now.Upper-before.Lower), nil
	case before.Relation != now.Relation:
		return "relation_changed: the table was dropped and made again", nil
	case before.SchemaHash != now.SchemaHash:
		return "schema_changed: the table has other columns, whose values the window would not show", nil
	case before.PredicateHash != now.PredicateHash:
		return "predicate_changed: source.options.custom_predicate selects other rows", nil
	}
	return s.rewritten(ctx, before, now)
}

// rewritten looks at the rows when a table has a new file. VACUUM FULL and CLUSTER
// write one and keep the numbers of the rows; TRUNCATE and ALTER TABLE do not.
func (s *snapshot) rewritten(ctx context.Context, before, now xminState) (string, error) {
	same := true
	for oid, file := range before.Files {
		other, there := now.Files[oid]
		same = same && (!there || other == file)
	}
	if same {
		return "", nil
	}
	// Rows from before the last run's snapshot are what ALTER TABLE leaves none of. The
	// window's own bound would not do: it may lie far back, and then all rows are in it.
	var rewritten bool
	old := "SELECT 1 FROM " + s.from() + " WHERE NOT (" + sinceXID(before.Upper) + ")"
	err := s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+s.from()+") AND NOT EXISTS ("+old+")").Scan(&rewritten)
	if err != nil {
		return "", connector.Fail("xmin.state", err, "look whether the table was written anew")
	}
	if rewritten {
		return "table_rewritten: the table has a new file and every row of it is new, after TRUNCATE or an ALTER TABLE", nil
	}
	return "", nil
}
