package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/dpone/dpone/engine/connector"
)

// xminState is what an xmin run leaves for the next one.
type xminState struct {
	SystemIdentifier string `json:"system_identifier"`
	Timeline         int64  `json:"timeline"`
	Database         uint32 `json:"database_oid"`
	Relation         uint32 `json:"relation_oid"`
	FileNode         string `json:"relfilenode"` // of the table or of all its partitions
	Snapshot         string `json:"snapshot"`
	Lower            uint64 `json:"lower_xid"` // the snapshot's xmin, 64 bits
	LSN              string `json:"lsn"`
	SchemaHash       string `json:"schema_sha256"`
	PredicateHash    string `json:"predicate_sha256"`
}

// wraparound is the distance of transaction numbers from which on 32 bits no longer tell before from after.
const wraparound = 1 << 31

// now reads the state of the source in the snapshot.
func (s *snapshot) now(ctx context.Context) (st xminState, upper uint64, err error) {
	st.Snapshot = s.text
	lower, rest, _ := strings.Cut(s.text, ":")
	top, _, _ := strings.Cut(rest, ":")
	if st.Lower, err = strconv.ParseUint(lower, 10, 64); err != nil {
		return st, 0, fmt.Errorf("snapshot %q: %w", s.text, err)
	}
	if upper, err = strconv.ParseUint(top, 10, 64); err != nil {
		return st, 0, fmt.Errorf("snapshot %q: %w", s.text, err)
	}
	st.Relation = s.table.oid
	st.LSN = s.facts["lsn"]
	var b strings.Builder
	for _, c := range s.table.columns {
		fmt.Fprintf(&b, "%q %s\n", c.Name, c.Native)
	}
	st.SchemaHash = sha(b.String())
	st.PredicateHash = sha(s.source.options.CustomPredicate)
	err = s.conn.QueryRow(ctx, `SELECT (SELECT system_identifier::text FROM pg_control_system()), (SELECT timeline_id::bigint FROM pg_control_checkpoint()),
		(SELECT oid FROM pg_database WHERE datname = current_database()),
		coalesce((SELECT string_agg(coalesce(pg_relation_filenode(relid), 0)::text, ',' ORDER BY relid) FROM pg_partition_tree($1::oid::regclass)),
			pg_relation_filenode($1::oid::regclass)::text)`, s.table.oid).
		Scan(&st.SystemIdentifier, &st.Timeline, &st.Database, &st.FileNode)
	if err != nil {
		return st, 0, connector.Fail("xmin.identity", err, "read the identity of the source")
	}
	return st, upper, nil
}

// Window tells what changed since the previous run: every row whose transaction
// is not older than the oldest one that was running then, and that this snapshot
// sees. The list of running transactions is not used to narrow it, because it does
// not hold their subtransactions.
func (s *snapshot) Window(ctx context.Context, previous json.RawMessage) (connector.Window, error) {
	switch {
	case s.source.query != "":
		return connector.Window{}, &connector.Error{Code: "xmin.not_a_table", Msg: "xmin reads a table, not a query"}
	case s.table.kind != 'r' && s.table.kind != 'p':
		return connector.Window{}, &connector.Error{Code: "xmin.not_a_table", Msg: s.table.Name + " is not a table, and only tables have transaction numbers"}
	}
	if s.table.kind == 'r' {
		// A table without leaves is its own only leaf for pg_partition_tree from version 12 on.
		s.facts["relation_oid"] = strconv.FormatUint(uint64(s.table.oid), 10)
	}
	now, upper, err := s.now(ctx)
	if err != nil {
		return connector.Window{}, err
	}
	next, err := json.Marshal(now)
	if err != nil {
		return connector.Window{}, fmt.Errorf("write the state: %w", err)
	}
	w := connector.Window{
		Kind: "initial", Next: next, ID: "xmin:initial:" + now.Snapshot,
		Facts: map[string]string{
			"snapshot": now.Snapshot, "replay_xids": strconv.FormatUint(upper-now.Lower, 10),
			"system_identifier": now.SystemIdentifier, "timeline": strconv.FormatInt(now.Timeline, 10),
		},
	}
	if len(previous) == 0 {
		return w, nil
	}
	var before xminState
	if err := json.Unmarshal(previous, &before); err != nil {
		return w, connector.Fail("xmin.state", err, "the state of the last run cannot be read")
	}
	reason, err := s.distrust(ctx, before, now, upper)
	if err != nil {
		return w, err
	}
	if reason != "" {
		w.Kind, w.Reason, w.ID = "rebaseline", reason, "xmin:rebaseline:"+now.Snapshot
		return w, nil
	}
	w.Kind = "delta"
	w.ID = fmt.Sprintf("xmin:%d:%s", before.Lower, now.Snapshot)
	w.Where = sinceXID(before.Lower)
	w.Facts["lower_xid"] = strconv.FormatUint(before.Lower, 10)
	return w, nil
}

// sinceXID is true for rows of the transaction with this number and of later ones.
// age() compares in the ring of 32-bit numbers. The special numbers 1 and 2, whose
// age is the greatest integer, mark rows that are older than everything.
func sinceXID(lower uint64) string {
	return fmt.Sprintf("age(xmin) <= age('%d'::xid)", lower%(1<<32))
}

// distrust says why a window after the previous state would lose or double rows, empty when it would not.
func (s *snapshot) distrust(ctx context.Context, before, now xminState, upper uint64) (string, error) {
	switch {
	case before.SystemIdentifier != now.SystemIdentifier:
		return "system_identifier_changed: this is another server", nil
	case before.Database != now.Database:
		return "database_changed: this is another database", nil
	case before.Relation != now.Relation:
		return "relation_changed: the table was dropped and made again", nil
	case before.SchemaHash != now.SchemaHash:
		return "schema_changed: the table has other columns, whose values the window would not show", nil
	case before.PredicateHash != now.PredicateHash:
		return "predicate_changed: source.options.custom_predicate selects other rows", nil
	case before.Timeline != now.Timeline:
		return fmt.Sprintf("timeline_changed: the server was restored or failed over, from timeline %d to %d", before.Timeline, now.Timeline), nil
	case before.Lower > upper:
		return fmt.Sprintf("state_ahead_of_source: the last run saw transaction %d, the source is at %d, an older copy", before.Lower, upper), nil
	case now.Lower-min(now.Lower, before.Lower) >= wraparound || upper-before.Lower >= wraparound:
		return fmt.Sprintf("wraparound_distance: %d transactions since the last run, which 32 bits cannot tell apart", upper-before.Lower), nil
	}
	var behind bool
	if err := s.conn.QueryRow(ctx, "SELECT $1::text::pg_lsn > $2::text::pg_lsn", before.LSN, now.LSN).Scan(&behind); err != nil {
		return "", connector.Fail("xmin.state", err, "compare log positions")
	}
	if behind {
		return "log_position_behind: the source is an older copy than the last run saw", nil
	}
	if before.FileNode == now.FileNode {
		return "", nil
	}
	// VACUUM FULL and CLUSTER write a new file and keep the numbers, ALTER TABLE
	// does not. Only counting tells which one it was.
	var recent, all int64
	err := s.conn.QueryRow(ctx, "SELECT count(*) FILTER (WHERE "+sinceXID(before.Lower)+"), count(*) FROM "+s.from()).Scan(&recent, &all)
	if err != nil {
		return "", connector.Fail("xmin.state", err, "look whether the table was written anew")
	}
	if all > 0 && recent*2 > all {
		return fmt.Sprintf("table_rewritten: the table has a new file and %d of %d rows are new", recent, all), nil
	}
	return "", nil
}
