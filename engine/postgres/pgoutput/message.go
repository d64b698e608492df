// Package pgoutput reads the messages of PostgreSQL's built-in logical decoding
// plugin, protocol versions 1 and 2 (PostgreSQL manual, "Logical Replication
// Message Formats"), with values in text or binary form.
//
// A [Parser] remembers the relations and where in a transaction the stream is,
// so that each message is held to what came before it: a message that is cut
// short, has bytes left over, names a relation that was not announced, has another
// number of columns than its relation, or stands where the protocol has no place
// for it is an error. Nothing is skipped in silence. Row messages are read
// without allocation; what a [Message] points to belongs to the caller's buffer.
package pgoutput

import (
	"fmt"
	"time"
)

// LSN is a position in the write-ahead log, in bytes from its beginning.
type LSN uint64

// String gives the form that PostgreSQL prints, two hexadecimal halves: 16/B374D848.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// Kind is the first byte of a message.
type Kind byte

// The messages that are read.
const (
	Begin        Kind = 'B'
	Commit       Kind = 'C'
	Origin       Kind = 'O'
	RelationInfo Kind = 'R'
	TypeInfo     Kind = 'Y'
	Insert       Kind = 'I'
	Update       Kind = 'U'
	Delete       Kind = 'D'
	Truncate     Kind = 'T'
	Logical      Kind = 'M'
	StreamStart  Kind = 'S'
	StreamStop   Kind = 'E'
	StreamCommit Kind = 'c'
	StreamAbort  Kind = 'A'
)

// OldKind says what an update or a delete tells of the old row.
type OldKind byte

// The old rows.
const (
	NoOld   OldKind = 0   // nothing: an update that left the replica identity alone
	OldKey  OldKind = 'K' // the columns of the replica identity, the others are sent as NULL
	OldFull OldKind = 'O' // every column: REPLICA IDENTITY FULL
)

// ValueKind says how a value is sent.
type ValueKind byte

// The kinds of values.
const (
	Null      ValueKind = 'n'
	Unchanged ValueKind = 'u' // an out-of-line value that the update did not touch and that is not sent
	Text      ValueKind = 't' // the type's output function
	Binary    ValueKind = 'b' // the type's send function
)

// Value is one column's value. Data is empty for Null and Unchanged.
type Value struct {
	Kind ValueKind
	Data []byte
}

// Column is one column of a relation.
type Column struct {
	Name string
	// Key is true for a column of the replica identity.
	Key bool
	// Type is the oid of the type, Mod its modifier, -1 for none.
	Type uint32
	Mod  int32
}

// Relation is what the server told of a table. It is never changed; a second
// announcement makes a new one.
type Relation struct {
	ID uint32
	// Schema is empty for pg_catalog, as it is sent.
	Schema, Name string
	// Identity is the replica identity: d(efault), n(othing), f(ull) or i(ndex).
	Identity byte
	Columns  []Column
}

// Message is one message. Which fields hold something depends on Kind; the
// others keep what an earlier message left there. It is meant to be used again
// and again; what it points to is valid until the buffer it was read from changes.
type Message struct {
	Kind Kind

	// XID is the transaction: of Begin, StreamStart, StreamCommit and StreamAbort, and
	// of the messages between StreamStart and StreamStop. SubXID is the subtransaction of StreamAbort.
	XID, SubXID uint32
	// First is true when StreamStart opens the transaction's first part.
	First bool

	// LSN is the commit record of Begin, Commit and StreamCommit, the origin's commit of Origin, and the place of Logical.
	LSN LSN
	// End is the end of the commit record: where a reader goes on after the transaction.
	End LSN
	// Time is when the transaction committed: Begin, Commit and StreamCommit.
	Time time.Time

	// Relation is the table of RelationInfo, Insert, Update and Delete.
	Relation *Relation
	// Old and New are the rows, one value for each column of Relation. Raw holds the
	// bytes that New was read from, without the count of its columns; see [ReadTuple].
	OldKind        OldKind
	Old, New       []Value
	RawOld, RawNew []byte

	// Relations, Cascade and RestartIdentity belong to Truncate.
	Relations                []*Relation
	Cascade, RestartIdentity bool

	// Name is the origin, the type or the prefix of Logical; Content is Logical's.
	Name          string
	Content       []byte
	Transactional bool
}
