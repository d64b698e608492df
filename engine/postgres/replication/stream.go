// Package replication follows the changes of one PostgreSQL table through a
// logical replication slot and the plugin pgoutput.
//
// The slot is made over the replication protocol, which exports the snapshot at
// which the stream begins: the first load reads that snapshot and the stream goes
// on exactly after it. The server is told that a position is safe only when
// [Stream.Confirm] is called, and meanwhile hears from the client often enough
// (wal_sender_timeout), however long the target takes. Changes are folded to one
// net effect a key in sets of bounded size, so that a transaction of any size
// passes through the memory of two sets; before it commits, a transaction stays
// on the server's side, which spools it there (logical_decoding_work_mem).
//
// Changes are never taken through SQL functions, which consume the slot whether
// or not the reader's transaction commits.
package replication

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/postgres/pgoutput"
)

// The bounds of a set unless told.
const (
	defaultRows  = 50_000
	defaultBytes = 4 << 20
)

// Options say which changes are followed, and how.
type Options struct {
	connector.ChangeRequest
	// Config is how to reach the source; the connection's own settings are added.
	Config *pgconn.Config
	// Schema and Table name the table, Slot and Publication what it is followed by.
	Schema, Table     string
	Slot, Publication string
	// Binary asks for values in their binary form, which must be the canonical
	// encoding of every column's type; otherwise the text forms are parsed.
	Binary bool
	// SlotWait is how long to wait for a slot that another session still holds; 10 s unless told.
	SlotWait time.Duration
	// Snapshot opens a snapshot that the server exported.
	Snapshot func(ctx context.Context, name string) (connector.Snapshot, error)
	// Warn takes what the user should know.
	Warn func(string)

	version int
}

func (o *Options) defaults() {
	if o.MaxRows == 0 {
		o.MaxRows = defaultRows
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultBytes
	}
	if o.SlotWait == 0 {
		o.SlotWait = 10 * time.Second
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
}

// session is an open connection and what it is connected to.
type session struct {
	conn  *pgconn.PgConn
	here  position // without a log position
	end   pglogrepl.LSN
	table *table
}

func open(ctx context.Context, o *Options) (_ *session, err error) {
	o.defaults()
	conn, err := connect(ctx, o.Config)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	version, err := setting(ctx, conn, "server_version_num")
	if err != nil {
		return nil, err
	}
	if o.version, err = strconv.Atoi(version); err != nil {
		return nil, fmt.Errorf("version of the source: %w", err)
	}
	if o.version < 140000 {
		return nil, &connector.Error{Code: "cdc.version", Msg: "changes are followed on PostgreSQL 14 and newer, the source is " + version}
	}
	s := &session{conn: conn}
	if s.table, err = o.look(ctx, conn); err != nil {
		return nil, err
	}
	system, err := pglogrepl.IdentifySystem(ctx, conn)
	if err != nil {
		return nil, connector.Fail("cdc.connect", err, "identify the source")
	}
	s.end = system.XLogPos
	s.here = position{
		SystemID: system.SystemID, Timeline: system.Timeline, Database: system.DBName, Slot: o.Slot,
		Publication: o.Publication, Relation: s.table.oid, SchemaHash: s.table.hash,
	}
	return s, nil
}

// claims says whether a stored position is the claim of this slot on this server.
func (s *session) claims(p position) bool {
	return p.Phase == phaseClaim && p.SystemID == s.here.SystemID && p.Database == s.here.Database && p.Slot == s.here.Slot
}

// Claim gives what must be stored before [Open] may make the slot; nil when
// nothing need be. A slot that is there and was never claimed is somebody else's.
func Claim(ctx context.Context, o Options) (json.RawMessage, error) {
	previous, err := parsePosition(o.Previous)
	if err != nil || previous.Phase == phaseStream {
		return nil, err
	}
	s, err := open(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.conn.Close(context.WithoutCancel(ctx)) }()
	if s.claims(previous) {
		return nil, nil
	}
	found, err := o.readSlot(ctx, s.conn)
	if err != nil {
		return nil, err
	}
	if found != nil {
		return nil, &connector.Error{
			Code: "cdc.slot_exists", Msg: fmt.Sprintf("replication slot %s is there, but the target has no position of this process in it", o.Slot),
			Fix: "name another slot in source.options.cdc.slot, or drop this one if nobody needs it",
		}
	}
	claim := s.here
	claim.Phase = phaseClaim
	return json.Marshal(claim)
}

// Stream is an open stream; it implements [connector.ChangeStream]. Next, Confirm
// and Close belong to one goroutine.
type Stream struct {
	o       Options
	conn    *pgconn.PgConn
	table   *table
	here    position
	initial connector.Snapshot
	from    pglogrepl.LSN // where the stream begins
	made    bool          // the slot was made just now and nobody confirmed its first position
	beat    time.Duration // how often the server hears from us
	started bool

	confirmed atomic.Uint64 // what the server is told to be safe
	writing   sync.Mutex    // around writes to the connection

	filler filler
	ready  chan *folded
	free   chan *folded
	stop   chan struct{}
	done   sync.WaitGroup
	ended  error // what Next gave at last

	reader
}

// reader is what belongs to the goroutine that reads the connection.
type reader struct {
	parser *pgoutput.Parser
	folder folder
	bound  pglogrepl.LSN      // where a bounded stream ends
	last   pglogrepl.LSN      // end of what was handed on
	skip   bool               // the open transaction is in the target already
	ours   *pgoutput.Relation // the table as it was announced last
	other  *pgoutput.Relation // another table that was announced
}

// Open opens the stream after the request's position.
func Open(ctx context.Context, o Options) (_ *Stream, err error) {
	previous, err := parsePosition(o.Previous)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, &o)
	if err != nil {
		return nil, err
	}
	stream := &Stream{
		o: o, conn: s.conn, table: s.table, here: s.here,
		ready: make(chan *folded, 1), free: make(chan *folded, 2), stop: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stream.Close(ctx))
		}
	}()
	if s.table.partitioned {
		o.Warn("TRUNCATE, ATTACH and DETACH of a single partition of " + s.table.name + " are not in the stream; reload the table after one of them")
	}
	timeout, err := setting(ctx, s.conn, "wal_sender_timeout")
	if err != nil {
		return nil, err
	}
	stream.beat = heartbeat(timeout)
	switch {
	case previous.Phase == phaseStream:
		err = stream.resume(ctx, previous, s.end)
	case s.claims(previous):
		err = stream.create(ctx)
	default:
		err = errors.New("the slot was not claimed")
	}
	if err != nil {
		return nil, err
	}
	return stream, stream.prepare()
}

// heartbeat gives the time between two messages to a server whose
// wal_sender_timeout, in milliseconds, is the text; 0 is none.
func heartbeat(timeout string) time.Duration {
	const longest = time.Second
	n, err := strconv.Atoi(timeout)
	if err != nil || n <= 0 {
		return longest
	}
	return min(time.Duration(n)*time.Millisecond/4, longest)
}

// create makes publication and slot, and opens the slot's snapshot.
func (s *Stream) create(ctx context.Context) error {
	if err := s.o.publish(ctx, s.conn, s.table, true); err != nil {
		return err
	}
	// A claimed slot that is there is what a run left behind that did not get far.
	if err := s.o.dropSlot(ctx, s.conn); err != nil {
		return connector.Fail("cdc.slot", err, "drop the slot %s that an earlier run left behind", s.o.Slot)
	}
	// From here on no other statement until the stream begins: it would end the snapshot.
	action := "EXPORT_SNAPSHOT"
	if s.o.version >= 150000 {
		action = "(SNAPSHOT 'export')"
	}
	made, err := pglogrepl.CreateReplicationSlot(ctx, s.conn, quote(s.o.Slot), "pgoutput",
		pglogrepl.CreateReplicationSlotOptions{Mode: pglogrepl.LogicalReplication, SnapshotAction: action})
	if err != nil {
		e := connector.Fail("cdc.slot", err, "make replication slot %s", s.o.Slot)
		if state(err) == configurationLimit {
			e.Fix = "raise max_replication_slots, or drop a slot that nobody needs"
		}
		return e
	}
	s.made = true
	if s.from, err = pglogrepl.ParseLSN(made.ConsistentPoint); err != nil {
		return fmt.Errorf("position of the new slot %s: %w", s.o.Slot, err)
	}
	s.initial, err = s.o.Snapshot(ctx, made.SnapshotName)
	return err
}

// resume holds the stored position against the server.
func (s *Stream) resume(ctx context.Context, p position, end pglogrepl.LSN) error {
	changed := func(what string, stored, now any) error {
		return &connector.Error{
			Code: "cdc.identity_changed", Msg: fmt.Sprintf("%s was %v when the position was stored and is %v now", what, stored, now),
			Fix: "restore the source that the position is of, or, " + s.o.again(),
		}
	}
	switch {
	case p.SystemID != s.here.SystemID:
		return changed("the source's system identifier", p.SystemID, s.here.SystemID)
	case p.Timeline != s.here.Timeline:
		return changed("the source's timeline", p.Timeline, s.here.Timeline)
	case p.Database != s.here.Database:
		return changed("the source's database", p.Database, s.here.Database)
	case p.Slot != s.here.Slot:
		return changed("the replication slot", p.Slot, s.here.Slot)
	case p.Publication != s.here.Publication:
		return changed("the publication", p.Publication, s.here.Publication)
	case p.Relation != s.here.Relation:
		return changed("the oid of "+s.table.name, p.Relation, s.here.Relation)
	case end < p.lsn:
		return changed("the end of the source's log", "at least "+p.LSN, end)
	case p.SchemaHash != s.here.SchemaHash:
		return s.schemaChanged("other columns or types than when the position was stored")
	}
	if err := s.o.publish(ctx, s.conn, s.table, false); err != nil {
		return err
	}
	found, err := s.o.readSlot(ctx, s.conn)
	if err != nil {
		return err
	}
	lost := func(why string) error {
		return &connector.Error{
			Code: "cdc.slot_lost", Msg: fmt.Sprintf("replication slot %s no longer has the changes after %s: %s", s.o.Slot, p.LSN, why),
			Fix: s.o.again(),
		}
	}
	switch {
	case found == nil:
		return lost("the slot is gone")
	case found.lost != "":
		return lost(found.lost)
	case found.confirmed > p.lsn:
		return lost(fmt.Sprintf("another reader confirmed them up to %s", found.confirmed))
	}
	s.from = p.lsn
	return nil
}

func (s *Stream) schemaChanged(what string) error {
	return &connector.Error{
		Code: "cdc.schema_changed", Msg: fmt.Sprintf("%s has %s", s.table.name, what),
		Fix: "changes up to there are in the target; " + s.o.again(),
	}
}

// prepare works out where the columns of a message go.
func (s *Stream) prepare() error {
	s.confirmed.Store(uint64(s.from))
	index := func(name string) int {
		return slices.IndexFunc(s.table.columns, func(c shapeColumn) bool { return c.Name == name })
	}
	s.folder = folder{seed: maphash.MakeSeed(), wanted: make([]bool, len(s.table.columns)), cur: newFolded()}
	s.filler = filler{schema: s.o.Columns}
	for _, c := range s.o.Columns {
		i := index(c.Name)
		s.filler.from = append(s.filler.from, i)
		s.folder.wanted[i] = true
	}
	for _, k := range s.o.Key {
		at := s.o.Columns.Index(k)
		if at < 0 {
			return fmt.Errorf("the key column %q is not among the columns that are read", k)
		}
		s.filler.key = append(s.filler.key, at)
		s.folder.key = append(s.folder.key, index(k))
	}
	s.free <- newFolded()
	var err error
	s.parser, err = pgoutput.NewParser(1)
	return err
}

// Initial implements [connector.ChangeStream].
func (s *Stream) Initial() connector.Snapshot { return s.initial }

// Schema implements [connector.ChangeStream].
func (s *Stream) Schema() batch.Schema { return s.o.Columns }

// Position implements [connector.ChangeStream].
func (s *Stream) Position() json.RawMessage {
	raw, err := s.here.at(s.from)
	if err != nil {
		return nil // not reached: a position is plain text and numbers
	}
	return raw
}

// Facts implements [connector.ChangeStream].
func (s *Stream) Facts() map[string]string {
	return map[string]string{
		"slot": s.o.Slot, "publication": s.o.Publication, "system_identifier": s.here.SystemID,
		"timeline": strconv.Itoa(int(s.here.Timeline)), "lsn_from": s.from.String(),
		"lsn_confirmed": pglogrepl.LSN(s.confirmed.Load()).String(), "server_version": strconv.Itoa(s.o.version),
	}
}

// start begins to stream. It ends the exported snapshot.
func (s *Stream) start(ctx context.Context) error {
	var err error
	if s.bound, err = endOfLog(ctx, s.conn); err != nil {
		return connector.Fail("cdc.connect", err, "read the end of the source's log")
	}
	args := []string{"proto_version '1'", "publication_names " + literal(quote(s.o.Publication))}
	if s.o.Binary {
		args = append(args, "binary 'true'")
	}
	err = s.o.retryInUse(ctx, func() error {
		return pglogrepl.StartReplication(ctx, s.conn, quote(s.o.Slot), s.from,
			pglogrepl.StartReplicationOptions{Mode: pglogrepl.LogicalReplication, PluginArgs: args})
	})
	switch code := state(err); {
	case err == nil:
	case errors.As(err, new(*connector.Error)):
		return err
	case code == objectNotInState || code == undefinedObject:
		return &connector.Error{Code: "cdc.slot_lost", Msg: "the server cannot stream from replication slot " + s.o.Slot, Err: err, Fix: s.o.again()}
	default:
		return connector.Fail("cdc.stream", err, "start to stream from slot %s", s.o.Slot)
	}
	s.started = true
	if err := s.report(true); err != nil {
		return connector.Fail("cdc.stream", err, "tell the source where the stream begins")
	}
	s.done.Add(2)
	go func() {
		defer s.done.Done()
		s.read()
	}()
	go func() {
		defer s.done.Done()
		s.stayAlive()
	}()
	return nil
}

// report tells the server what is safe, and nothing beyond it: written, flushed
// and applied are one position. With reply it answers where it is.
func (s *Stream) report(reply bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	at := pglogrepl.LSN(s.confirmed.Load())
	return pglogrepl.SendStandbyStatusUpdate(context.Background(), s.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: at, WALFlushPosition: at, WALApplyPosition: at, ReplyRequested: reply,
	})
}

// stayAlive lets the server hear from us while the target is at work.
func (s *Stream) stayAlive() {
	ticker := time.NewTicker(s.beat)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			if s.report(!s.o.Follow) != nil {
				return // the reader meets the broken connection too, and tells of it
			}
		}
	}
}

// Confirm implements [connector.ChangeStream].
func (s *Stream) Confirm(_ context.Context, raw json.RawMessage) error {
	p, err := parsePosition(raw)
	if err != nil {
		return err
	}
	if p.Phase != phaseStream || p.SystemID != s.here.SystemID || p.Slot != s.here.Slot {
		return fmt.Errorf("a position of slot %s on %s is confirmed to slot %s on %s", p.Slot, p.SystemID, s.here.Slot, s.here.SystemID)
	}
	s.made = false
	if uint64(p.lsn) > s.confirmed.Load() {
		s.confirmed.Store(uint64(p.lsn))
	}
	if !s.started {
		return nil
	}
	if err := s.report(false); err != nil {
		return connector.Fail("cdc.stream", err, "confirm %s to the source", p.LSN)
	}
	return nil
}

// Next implements [connector.ChangeStream].
func (s *Stream) Next(ctx context.Context, set *connector.ChangeSet) error {
	if s.ended != nil {
		return s.ended
	}
	if !s.started {
		if err := s.start(ctx); err != nil {
			s.ended = err
			return err
		}
	}
	var f *folded
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case f = <-s.ready:
	}
	s.ended = f.last
	if f.last != nil && !f.commit {
		return f.last
	}
	err := s.filler.fill(f, set)
	if err == nil && f.commit {
		end := pglogrepl.LSN(f.end)
		set.Window = s.here.window(end)
		set.Position, err = s.here.at(end)
	}
	if err != nil {
		s.ended = fmt.Errorf("changes of %s: %w", s.table.name, err)
		return s.ended
	}
	f.reset()
	select {
	case s.free <- f:
	default: // the reader has ended
	}
	return nil
}

// read reads the connection until the stream ends, and hands on what it folded.
func (s *Stream) read() {
	s.last = s.from
	m := &pgoutput.Message{}
	for {
		message, err := s.conn.Frontend().Receive()
		if err == nil {
			err = s.take(message, m)
		}
		if err != nil {
			s.finish(err)
			return
		}
	}
}

var errStopped = errors.New("the stream was closed")

// finish hands on what committed before the stream ended, with the reason.
func (s *Stream) finish(err error) {
	f := s.folder.cur
	f.last = err
	if errors.Is(err, io.EOF) || f.rollback() {
		f.commit = pglogrepl.LSN(f.end) > s.last
	}
	if !errors.Is(err, io.EOF) && !errors.As(err, new(*connector.Error)) {
		f.last = connector.Fail("cdc.stream", err, "the stream of slot %s broke", s.o.Slot)
	}
	select {
	case s.ready <- f:
	case <-s.stop:
	}
}

func (s *Stream) take(message pgproto3.BackendMessage, m *pgoutput.Message) error {
	switch message := message.(type) {
	case *pgproto3.CopyData:
		return s.copyData(message.Data, m)
	case *pgproto3.ErrorResponse:
		err := pgconn.ErrorResponseToPgError(message)
		if state(err) == undefinedObject {
			return &connector.Error{Code: "cdc.publication_lost", Msg: "the server no longer finds what the stream needs", Err: err, Fix: s.o.again()}
		}
		return err
	case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		return nil
	case *pgproto3.CopyDone:
		return errors.New("the server ended it")
	}
	return fmt.Errorf("unexpected message %T of the server", message)
}

func (s *Stream) copyData(data []byte, m *pgoutput.Message) error {
	if len(data) == 0 {
		return errors.New("the server sent an empty message")
	}
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return err
		}
		return s.keepalive(k)
	case pglogrepl.XLogDataByteID:
		// Start, end and time of the log, 8 bytes each, stand before the message.
		const header = 1 + 3*8
		if len(data) < header {
			return fmt.Errorf("the server sent %d bytes as log", len(data))
		}
		if err := s.parser.Parse(data[header:], m); err != nil {
			return err
		}
		return s.fold(m)
	}
	return fmt.Errorf("the server sent an unknown message %q", data[0])
}

// quiet is how much log of others a stream that goes on forever lets pass before it
// moves on without a change, so that the server need not keep it.
const quiet = 16 << 20

// keepalive takes where the server is: between two transactions everything
// before that place was sent.
func (s *Stream) keepalive(k pglogrepl.PrimaryKeepaliveMessage) error {
	if k.ReplyRequested {
		if err := s.report(false); err != nil {
			return err
		}
	}
	if s.parser.InTransaction() {
		return nil
	}
	c := s.folder.cur
	if uint64(k.ServerWALEnd) > uint64(c.end) && k.ServerWALEnd > s.from {
		c.end = pgoutput.LSN(k.ServerWALEnd)
	}
	switch {
	case s.o.Follow && (!c.empty() || pglogrepl.LSN(c.end) > s.last+quiet):
		return s.hand(true)
	case !s.o.Follow && k.ServerWALEnd >= s.bound:
		return io.EOF
	}
	return nil
}

func (s *Stream) fold(m *pgoutput.Message) error {
	c := s.folder.cur
	switch m.Kind {
	case pgoutput.Begin:
		s.skip = pglogrepl.LSN(m.LSN) < s.from
		return nil
	case pgoutput.Commit:
		return s.commit(m)
	case pgoutput.Truncate:
		return s.truncated(m)
	case pgoutput.Insert, pgoutput.Update, pgoutput.Delete:
	default:
		return nil
	}
	if s.skip {
		return nil
	}
	if m.Relation != s.ours && m.Relation != s.other {
		if err := s.announced(m.Relation); err != nil {
			return err
		}
	}
	if m.Relation != s.ours {
		return nil // a publication may hold other tables
	}
	var err error
	switch m.Kind {
	case pgoutput.Insert:
		err = s.folder.insert(m)
	case pgoutput.Update:
		err = s.folder.update(m)
	default:
		err = s.folder.delete(m)
	}
	if err == nil && s.full(c, 1) {
		return s.hand(false)
	}
	return err
}

// full says whether a set has reached a share of its bounds.
func (s *Stream) full(c *folded, share float64) bool {
	return float64(len(c.entries)) >= share*float64(s.o.MaxRows) || float64(len(c.arena)) >= share*float64(s.o.MaxBytes)
}

func (s *Stream) commit(m *pgoutput.Message) error {
	c := s.folder.cur
	if s.skip {
		s.skip = false
		return nil
	}
	c.counts.Transactions++
	c.end = m.End
	c.boundary()
	switch {
	case !s.o.Follow && pglogrepl.LSN(m.End) >= s.bound:
		return io.EOF
	// A set that ends with a transaction is better than a fuller one that does not.
	case s.full(c, 0.75):
		return s.hand(true)
	}
	return nil
}

// hand hands the set on and takes an empty one.
func (s *Stream) hand(commit bool) error {
	c := s.folder.cur
	c.commit = commit
	if commit {
		s.last = pglogrepl.LSN(c.end)
	}
	select {
	case s.ready <- c:
	case <-s.stop:
		return errStopped
	}
	select {
	case s.folder.cur = <-s.free:
	case <-s.stop:
		return errStopped
	}
	return nil
}

// announced holds the table as the stream has it against the table as it was found.
func (s *Stream) announced(rel *pgoutput.Relation) error {
	if rel.ID != s.table.oid {
		s.other = rel
		if rel.Schema == s.o.Schema && rel.Name == s.o.Table {
			return &connector.Error{
				Code: "cdc.identity_changed", Msg: fmt.Sprintf("%s is another table now: its oid was %d and is %d", s.table.name, s.table.oid, rel.ID),
				Fix: s.o.again(),
			}
		}
		return nil
	}
	if rel.Schema != s.o.Schema || rel.Name != s.o.Table {
		return s.schemaChanged("another name, " + rel.Schema + "." + rel.Name)
	}
	same := len(rel.Columns) == len(s.table.columns)
	for i := 0; same && i < len(rel.Columns); i++ {
		c := rel.Columns[i]
		same = shapeColumn{c.Name, c.Type, c.Mod} == s.table.columns[i]
	}
	if !same {
		return s.schemaChanged("other columns or types in the stream than when the position was stored")
	}
	for _, i := range s.folder.key {
		if !rel.Columns[i].Key {
			return s.schemaChanged(fmt.Sprintf("another replica identity, which does not hold the key column %q", rel.Columns[i].Name))
		}
	}
	s.ours = rel
	return nil
}

func (s *Stream) truncated(m *pgoutput.Message) error {
	if s.skip || !slices.ContainsFunc(m.Relations, func(r *pgoutput.Relation) bool { return r.ID == s.table.oid }) {
		return nil
	}
	if s.o.Truncate != "apply" {
		return &connector.Error{
			Code: "cdc.truncate", Msg: "the source's table " + s.table.name + " was emptied by TRUNCATE",
			Fix: "set strategy.cdc.truncate to apply to empty the target too, or, " + s.o.again(),
		}
	}
	s.folder.truncate()
	return nil
}

// farewell bounds what a close may take.
const farewell = 10 * time.Second

// Close implements [connector.ChangeStream].
func (s *Stream) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	clean := !s.started || errors.Is(s.ended, io.EOF)
	select {
	case <-s.stop:
		return nil
	default:
		close(s.stop)
	}
	_ = s.conn.Conn().SetDeadline(time.Now().Add(farewell))
	if !clean {
		_ = s.conn.Conn().SetDeadline(time.Unix(1, 0)) // ends the reader's wait
	}
	s.done.Wait()
	if s.started && clean {
		// The server has taken in the last confirmation when it answers.
		_, _ = pglogrepl.SendStandbyCopyDone(ctx, s.conn) // nothing is lost when it does not: the target has the position
	}
	var err error
	if s.made {
		err = s.undo(ctx)
	}
	_ = s.conn.Close(ctx)
	return err
}

// undo drops the slot that was made and not used.
func (s *Stream) undo(ctx context.Context) error {
	err := error(nil)
	if !s.started {
		if err = s.o.dropSlot(ctx, s.conn); err == nil {
			return nil
		}
	}
	_ = s.conn.Close(ctx)
	conn, err := connect(ctx, s.o.Config)
	if err == nil {
		defer func() { _ = conn.Close(ctx) }()
		err = s.o.dropSlot(ctx, conn)
	}
	if err != nil {
		return &connector.Error{
			Code: "cdc.slot", Msg: fmt.Sprintf("replication slot %s was made and could not be dropped; it keeps the source's log", s.o.Slot), Err: err,
			Fix: "the next run of this process drops it; or drop it yourself",
		}
	}
	return nil
}
