package pgoutput

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrMessage is the class of every error of this package.
var ErrMessage = errors.New("malformed pgoutput message")

// Parser reads one stream of messages. It is not safe for concurrent use.
type Parser struct {
	version   int
	relations map[uint32]*Relation
	inTx      bool            // between Begin and Commit
	commit    LSN             // what Begin said the commit would be
	inStream  bool            // between StreamStart and StreamStop
	open      map[uint32]bool // transactions that were streamed in part
}

// NewParser makes a parser for protocol version 1 or 2.
func NewParser(version int) (*Parser, error) {
	if version != 1 && version != 2 {
		return nil, fmt.Errorf("pgoutput protocol version %d is not read, only 1 and 2", version)
	}
	return &Parser{version: version, relations: map[uint32]*Relation{}, open: map[uint32]bool{}}, nil
}

// InTransaction is true between Begin and Commit, and between StreamStart and StreamStop.
func (p *Parser) InTransaction() bool { return p.inTx || p.inStream }

// Relation gives what was announced last for an oid, or nil.
func (p *Parser) Relation(id uint32) *Relation { return p.relations[id] }

// Parse reads one message. After an error the parser must not be used again.
func (p *Parser) Parse(buf []byte, m *Message) error {
	if len(buf) == 0 {
		return fmt.Errorf("%w: it is empty", ErrMessage)
	}
	m.Kind = Kind(buf[0])
	r := reader{buf: buf[1:]}
	err := p.parse(&r, m)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return fmt.Errorf("%w %q: %w", ErrMessage, string(rune(buf[0])), err)
	}
	return nil
}

func (p *Parser) parse(r *reader, m *Message) error {
	switch m.Kind {
	case Insert, Update, Delete:
		return p.row(r, m)
	case Begin:
		return p.begin(r, m)
	case Commit:
		return p.endTx(r, m)
	case RelationInfo:
		return p.relation(r, m)
	case TypeInfo:
		if err := p.inside(r, m); err != nil {
			return err
		}
		r.uint32()
		r.text()
		m.Name = r.text()
		return r.err
	case Origin:
		if !p.InTransaction() {
			return errOutside
		}
		m.LSN, m.Name = LSN(r.uint64()), r.text()
		return r.err
	case Truncate:
		return p.truncate(r, m)
	case Logical:
		return p.logical(r, m)
	case StreamStart, StreamStop, StreamCommit, StreamAbort:
		if p.version < 2 {
			return errors.New("a transaction is streamed before its commit, which was not asked for")
		}
		return p.streamed(r, m)
	}
	return errors.New("no message of protocol versions 1 and 2 begins so")
}

var errOutside = errors.New("it stands outside a transaction")

// inside reads the transaction of a message in a streamed part, and refuses one
// that belongs to no transaction.
func (p *Parser) inside(r *reader, m *Message) error {
	if p.inStream {
		m.XID = r.uint32()
		return r.err
	}
	if !p.inTx {
		return errOutside
	}
	return nil
}

func (p *Parser) begin(r *reader, m *Message) error {
	if p.InTransaction() {
		return errors.New("the transaction before it is still open")
	}
	m.LSN, m.Time, m.XID = LSN(r.uint64()), r.time(), r.uint32()
	p.inTx, p.commit = true, m.LSN
	return r.err
}

func (p *Parser) endTx(r *reader, m *Message) error {
	if !p.inTx {
		return errOutside
	}
	if err := commitBody(r, m); err != nil {
		return err
	}
	if m.LSN != p.commit {
		return fmt.Errorf("the commit is at %v, the transaction announced %v", m.LSN, p.commit)
	}
	p.inTx = false
	return nil
}

func commitBody(r *reader, m *Message) error {
	flags := r.byte()
	m.LSN, m.End, m.Time = LSN(r.uint64()), LSN(r.uint64()), r.time()
	switch {
	case r.err != nil:
		return r.err
	case flags != 0:
		return fmt.Errorf("unknown flags %#x", flags)
	case m.End <= m.LSN:
		return fmt.Errorf("the commit at %v ends at %v", m.LSN, m.End)
	}
	return nil
}

func (p *Parser) relation(r *reader, m *Message) error {
	if err := p.inside(r, m); err != nil {
		return err
	}
	rel := &Relation{ID: r.uint32(), Schema: r.text(), Name: r.text(), Identity: r.byte()}
	n := r.count()
	if r.err != nil {
		return r.err
	}
	if !bytes.ContainsRune([]byte("dnfi"), rune(rel.Identity)) {
		return fmt.Errorf("relation %s: unknown replica identity %q", rel.Name, rel.Identity)
	}
	// The shortest column takes 10 bytes, so that a wrong count cannot ask for more than was sent.
	if n*10 > len(r.buf) {
		return errShort
	}
	rel.Columns = make([]Column, n)
	for i := range rel.Columns {
		flags := r.byte()
		rel.Columns[i] = Column{Name: r.text(), Key: flags == 1, Type: r.uint32(), Mod: int32(r.uint32())}
		if r.err != nil {
			return r.err
		}
		if flags > 1 {
			return fmt.Errorf("column %s: unknown flags %#x", rel.Columns[i].Name, flags)
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	p.relations[rel.ID] = rel
	m.Relation = rel
	return nil
}

func (p *Parser) known(id uint32) (*Relation, error) {
	rel := p.relations[id]
	if rel == nil {
		return nil, fmt.Errorf("relation %d was not announced", id)
	}
	return rel, nil
}

func (p *Parser) row(r *reader, m *Message) error {
	err := p.inside(r, m)
	if err != nil {
		return err
	}
	id := r.uint32()
	if r.err != nil {
		return r.err
	}
	if m.Relation, err = p.known(id); err != nil {
		return err
	}
	m.OldKind, m.Old, m.New, m.RawOld, m.RawNew = NoOld, m.Old[:0], m.New[:0], nil, nil
	tag := r.byte()
	if tag == 'K' || tag == 'O' {
		if m.Kind == Insert {
			return errors.New("an insert has no old row")
		}
		m.OldKind = OldKind(tag)
		if m.Old, m.RawOld, err = r.tuple(m.Old, m.Relation); err != nil {
			return fmt.Errorf("relation %s, old row: %w", m.Relation.Name, err)
		}
		if m.Kind == Delete {
			return nil
		}
		tag = r.byte()
	}
	if r.err != nil {
		return r.err
	}
	if tag != 'N' || m.Kind == Delete {
		return fmt.Errorf("relation %s: %q is no row that belongs there", m.Relation.Name, tag)
	}
	if m.New, m.RawNew, err = r.tuple(m.New, m.Relation); err != nil {
		return fmt.Errorf("relation %s, new row: %w", m.Relation.Name, err)
	}
	if m.Kind == Insert {
		for i := range m.New {
			if m.New[i].Kind == Unchanged {
				return fmt.Errorf("relation %s, column %s: an inserted value cannot be unchanged", m.Relation.Name, m.Relation.Columns[i].Name)
			}
		}
	}
	return nil
}

func (p *Parser) truncate(r *reader, m *Message) error {
	if err := p.inside(r, m); err != nil {
		return err
	}
	n, options := int(int32(r.uint32())), r.byte()
	switch {
	case r.err != nil:
		return r.err
	case n <= 0 || len(r.buf) != 4*n:
		return fmt.Errorf("%d relations in %d bytes", n, len(r.buf))
	case options > 3:
		return fmt.Errorf("unknown options %#x", options)
	}
	m.Cascade, m.RestartIdentity = options&1 != 0, options&2 != 0
	m.Relations = m.Relations[:0]
	for range n {
		rel, err := p.known(r.uint32())
		if err != nil {
			return err
		}
		m.Relations = append(m.Relations, rel)
	}
	return nil
}

func (p *Parser) logical(r *reader, m *Message) error {
	if p.inStream {
		m.XID = r.uint32()
	}
	flags := r.byte()
	m.LSN, m.Name = LSN(r.uint64()), r.text()
	n := int(int32(r.uint32()))
	switch {
	case r.err != nil:
		return r.err
	case flags > 1:
		return fmt.Errorf("unknown flags %#x", flags)
	case n < 0 || n > len(r.buf):
		return errShort
	}
	m.Transactional = flags == 1
	if m.Transactional && !p.InTransaction() {
		return errOutside
	}
	m.Content = r.take(n)
	return nil
}

func (p *Parser) streamed(r *reader, m *Message) error {
	if m.Kind == StreamStop {
		if !p.inStream {
			return errors.New("no part of a transaction is open")
		}
		p.inStream = false
		return nil
	}
	if p.InTransaction() {
		return errors.New("the transaction before it is still open")
	}
	m.XID = r.uint32()
	switch m.Kind {
	case StreamStart:
		first := r.byte()
		if r.err != nil {
			return r.err
		}
		if first > 1 {
			return fmt.Errorf("unknown flags %#x", first)
		}
		if m.First = first == 1; m.First == p.open[m.XID] {
			return fmt.Errorf("transaction %d: first part %v does not fit what came before", m.XID, m.First)
		}
		p.inStream = true
		p.open[m.XID] = true
	case StreamCommit:
		if err := commitBody(r, m); err != nil {
			return err
		}
		if !p.open[m.XID] {
			return fmt.Errorf("transaction %d was not streamed", m.XID)
		}
		delete(p.open, m.XID)
	case StreamAbort:
		m.SubXID = r.uint32()
		if r.err != nil {
			return r.err
		}
		// The server leaves out the abort of what it never began to stream, so an
		// abort of an unknown transaction has no place.
		if !p.open[m.XID] {
			return fmt.Errorf("transaction %d was not streamed", m.XID)
		}
		if m.SubXID == m.XID {
			delete(p.open, m.XID)
		}
	}
	return r.err
}

// ReadTuple reads the values of a row from bytes that a [Message] gave as RawOld
// or RawNew, and appends them to values. The bytes were checked when the message was read.
func ReadTuple(values []Value, raw []byte) ([]Value, error) {
	r := reader{buf: raw}
	for len(r.buf) > 0 {
		v := r.value()
		if r.err != nil {
			return values, fmt.Errorf("%w: %w", ErrMessage, r.err)
		}
		values = append(values, v)
	}
	return values, nil
}

// AppendValue adds a value to the bytes of a row in the form that [ReadTuple] reads.
func AppendValue(raw []byte, v Value) []byte {
	raw = append(raw, byte(v.Kind))
	if v.Kind == Text || v.Kind == Binary {
		raw = binary.BigEndian.AppendUint32(raw, uint32(len(v.Data)))
		raw = append(raw, v.Data...)
	}
	return raw
}

var errShort = errors.New("it is cut short")

// reader takes fields off a message; after the first error it gives zeros.
type reader struct {
	buf []byte
	err error
}

func (r *reader) end() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = fmt.Errorf("%d bytes are left over", len(r.buf))
	}
	return r.err
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.buf) {
		if r.err == nil {
			r.err = errShort
		}
		r.buf = nil
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads a number of columns, which is never negative.
func (r *reader) count() int {
	b := r.take(2)
	if b == nil {
		return 0
	}
	n := int16(binary.BigEndian.Uint16(b))
	if n < 0 {
		r.err = fmt.Errorf("%d columns", n)
		return 0
	}
	return int(n)
}

// epoch is PostgreSQL's: 2000-01-01 00:00:00 UTC, in microseconds of Unix time.
const epoch = 946_684_800_000_000

func (r *reader) time() time.Time {
	return time.UnixMicro(int64(r.uint64()) + epoch).UTC()
}

func (r *reader) text() string {
	if r.err != nil {
		return ""
	}
	i := bytes.IndexByte(r.buf, 0)
	if i < 0 {
		r.err, r.buf = errShort, nil
		return ""
	}
	s := string(r.buf[:i])
	r.buf = r.buf[i+1:]
	return s
}

func (r *reader) value() (v Value) {
	v.Kind = ValueKind(r.byte())
	switch v.Kind {
	case Null, Unchanged:
	case Text, Binary:
		n := int(int32(r.uint32()))
		if r.err == nil && n < 0 {
			r.err = fmt.Errorf("a value of %d bytes", n)
		}
		v.Data = r.take(n)
	default:
		if r.err == nil {
			r.err = fmt.Errorf("%q is no kind of value", byte(v.Kind))
		}
	}
	return v
}

func (r *reader) tuple(values []Value, rel *Relation) ([]Value, []byte, error) {
	n := r.count()
	if r.err != nil {
		return values, nil, r.err
	}
	if n != len(rel.Columns) {
		return values, nil, fmt.Errorf("%d values for %d columns", n, len(rel.Columns))
	}
	raw := r.buf
	for i := range n {
		v := r.value()
		if r.err != nil {
			return values, nil, fmt.Errorf("column %s: %w", rel.Columns[i].Name, r.err)
		}
		values = append(values, v)
	}
	return values, raw[:len(raw)-len(r.buf)], nil
}
