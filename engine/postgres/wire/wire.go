// Package wire moves COPY BINARY streams over the socket below a pgconn
// connection.
//
// pgconn hands on one message, which is one row, at a time. At the speed of COPY
// that costs more than the copying, so this package reads and writes the
// messages itself, in large pieces, while the connection is otherwise idle, and
// hands it back at the end. The messages are those of the PostgreSQL manual,
// "Frontend/Backend Protocol", Message Formats; the stream inside them is
// described under COPY, Binary Format.
package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	frame = 5 // type byte and length of a message
	// maxMessage is the longest message that PostgreSQL itself would make (1 GiB less one).
	maxMessage = 1<<30 - 1
)

// signature opens a COPY BINARY stream; flags and the length of a header extension follow it.
var signature = []byte("PGCOPY\n\xff\r\n\x00") //nolint:gochecknoglobals // a constant that Go cannot express as one

// Header is the head of a stream without flags and extension.
func Header() []byte {
	return append(append(make([]byte, 0, 19), signature...), 0, 0, 0, 0, 0, 0, 0, 0)
}

// messages reads backend messages from a socket in large pieces.
type messages struct {
	conn net.Conn
	buf  []byte
	r, w int
}

// peek gives n unread bytes, which stay valid until the next call.
func (m *messages) peek(n int) ([]byte, error) {
	for m.w-m.r < n {
		if err := m.fill(n); err != nil {
			return nil, err
		}
	}
	return m.buf[m.r : m.r+n], nil
}

// fill reads more, with room for n unread bytes.
func (m *messages) fill(n int) error {
	if m.r == m.w {
		m.r, m.w = 0, 0
	}
	if len(m.buf)-m.r < n || m.w == len(m.buf) {
		if len(m.buf) < n || (m.r == 0 && m.w == len(m.buf)) {
			grown := make([]byte, max(n, 2*len(m.buf)))
			copy(grown, m.buf[m.r:m.w])
			m.buf = grown
		} else {
			copy(m.buf, m.buf[m.r:m.w])
		}
		m.w -= m.r
		m.r = 0
	}
	k, err := m.conn.Read(m.buf[m.w:])
	m.w += k
	if k > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next reads one message; its body stays valid until the next call.
func (m *messages) next() (kind byte, body []byte, err error) {
	head, err := m.peek(frame)
	if err != nil {
		return 0, nil, err
	}
	kind = head[0]
	n := int(binary.BigEndian.Uint32(head[1:])) - 4
	if n < 0 || n > maxMessage {
		return 0, nil, fmt.Errorf("message %q of the server says it has %d bytes", kind, n)
	}
	all, err := m.peek(frame + n)
	if err != nil {
		return 0, nil, err
	}
	m.r += frame + n
	return kind, all[frame:], nil
}

// asynchronous says whether a message may come at any time and means nothing here.
func asynchronous(kind byte) bool { return kind == 'N' || kind == 'S' || kind == 'A' }

func serverError(body []byte) error {
	var msg pgproto3.ErrorResponse
	if err := msg.Decode(body); err != nil {
		return fmt.Errorf("error message of the server: %w", err)
	}
	return pgconn.ErrorResponseToPgError(&msg)
}

// rowsOf reads the number of rows out of a command tag such as "COPY 12".
func rowsOf(body []byte) int64 {
	tag := strings.TrimRight(string(body), "\x00")
	n, err := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// guard ends reads and writes on the socket when the context ends.
func guard(ctx context.Context, conn net.Conn) (release func() error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() error {
		if !stop() {
			return context.Cause(ctx)
		}
		return nil
	}
}

// start sends a statement over the bare socket and waits for the answer that opens the COPY.
func start(ctx context.Context, pg *pgconn.PgConn, m *messages, sql string, opens byte) error {
	if err := pg.SyncConn(ctx); err != nil {
		return fmt.Errorf("make the connection idle: %w", err)
	}
	m.conn = pg.Conn()
	query, err := (&pgproto3.Query{String: sql}).Encode(nil)
	if err != nil {
		return err
	}
	if _, err := m.conn.Write(query); err != nil {
		return err
	}
	var failed error
	for {
		kind, body, err := m.next()
		switch {
		case err != nil:
			return err
		case kind == opens:
			if len(body) < 1 || body[0] != 1 {
				return errors.New("the server opened a COPY that is not binary")
			}
			return nil
		case kind == 'E':
			failed = serverError(body)
		case kind == 'Z':
			if failed == nil {
				failed = errors.New("the server did not open a COPY")
			}
			return failed
		}
	}
}

// Out is a COPY ... TO STDOUT (FORMAT binary) in progress. It has the connection to itself until it is closed.
type Out struct {
	m       messages
	pg      *pgconn.PgConn
	release func() error
	begun   bool // the header was read
	ended   bool // the trailer was read
	closed  bool
	held    bool // the socket is in use, so that it can be closed only afterwards
	tag     int64
	err     error
	Bytes   int64 // of all tuples so far
}

// NewOut starts the statement. size is the bytes of the buffer, which grows to the longest row.
func NewOut(ctx context.Context, pg *pgconn.PgConn, sql string, size int) (*Out, error) {
	o := &Out{pg: pg, m: messages{buf: make([]byte, max(size, 4096))}, tag: -1}
	conn := pg.Conn()
	o.release = guard(ctx, conn)
	if err := start(ctx, pg, &o.m, sql, 'H'); err != nil {
		return nil, o.fail(err)
	}
	return o, nil
}

// fail ends the use of the connection. An error of the server leaves it in working order, any other one does not.
func (o *Out) fail(err error) error {
	o.closed, o.err = true, err
	if !o.held {
		o.err = settle(o.pg, o.release, err)
	}
	return o.err
}

func settle(pg *pgconn.PgConn, release func() error, err error) error {
	cause := release()
	var fromServer *pgconn.PgError
	if err != nil && !errors.As(err, &fromServer) || cause != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // the farewell message would only block
		_ = pg.Close(ctx)
	}
	if cause != nil && err != nil && fromServer == nil {
		return cause
	}
	return err
}

// Next gives one tuple: int16 number of fields, then of each field int32 length
// (-1 for NULL) and bytes. It stays valid until the next call. io.EOF comes after the last one.
func (o *Out) Next() ([]byte, error) {
	for {
		if o.closed {
			if o.err != nil {
				return nil, o.err
			}
			return nil, io.EOF
		}
		kind, body, err := o.m.next()
		if err != nil {
			return nil, o.fail(err)
		}
		tuple, err := o.take(kind, body)
		if err != nil {
			return nil, err
		}
		if tuple != nil {
			return tuple, nil
		}
	}
}

// take handles one message; it gives a tuple if it holds one.
func (o *Out) take(kind byte, body []byte) ([]byte, error) {
	switch {
	case kind == 'd':
		tuple, err := o.tuple(body)
		if err != nil {
			return nil, o.fail(err)
		}
		o.Bytes += int64(len(tuple))
		return tuple, nil
	case kind == 'E':
		o.err = serverError(body)
	case kind == 'C':
		o.tag = rowsOf(body)
	case kind == 'Z':
		err := o.err
		if err == nil && !o.ended {
			err = errors.New("the stream ended before its trailer")
		}
		return nil, o.fail(err)
	case kind == 'c' || asynchronous(kind):
	default:
		return nil, o.fail(fmt.Errorf("unexpected message %q of the server within COPY", kind))
	}
	return nil, nil
}

// tuple strips what is not a row from the content of one CopyData message.
func (o *Out) tuple(body []byte) ([]byte, error) {
	if !o.begun {
		if len(body) < 19 || !bytes.Equal(body[:11], signature) {
			return nil, errors.New("the stream does not begin with PGCOPY")
		}
		if flags := binary.BigEndian.Uint32(body[11:]); flags != 0 {
			return nil, fmt.Errorf("the stream has flags %#x that nobody knows", flags)
		}
		extension := int(binary.BigEndian.Uint32(body[15:]))
		if extension > len(body)-19 {
			return nil, errors.New("the stream's header is cut")
		}
		body = body[19+extension:]
		o.begun = true
	}
	if len(body) == 0 {
		return nil, nil
	}
	if o.ended {
		return nil, errors.New("the stream goes on after its trailer")
	}
	if len(body) < 2 {
		return nil, errors.New("a tuple is cut")
	}
	if body[0] == 0xff && body[1] == 0xff {
		o.ended = true
		return nil, nil
	}
	return body, nil
}

// Rows is the number of rows that the server says it sent, -1 before the end.
func (o *Out) Rows() int64 { return o.tag }

// Close gives the connection back. When the stream was not read to its end, the connection is closed.
func (o *Out) Close() error {
	if o.closed {
		return nil
	}
	_ = o.fail(errors.New("copy was given up"))
	return nil
}

// Err is what the reading ended with, nil when it goes on or came to its end.
func (o *Out) Err() error { return o.err }

// In is a COPY ... FROM STDIN (FORMAT binary) in progress. It has the connection to itself until it is closed.
type In struct {
	pg      *pgconn.PgConn
	conn    net.Conn
	release func() error
	buf     []byte // frame, then what was not sent yet
	m       *messages
	waiting bool // the reading goroutine was started
	answer  chan struct{}
	failed  atomic.Pointer[error] // set by the reading goroutine before answer is closed
	tag     int64
	closed  bool
	Bytes   int64
}

// NewIn starts the statement. size is the bytes that are sent at once.
func NewIn(ctx context.Context, pg *pgconn.PgConn, sql string, size int) (*In, error) {
	in := &In{
		pg: pg, conn: pg.Conn(), buf: make([]byte, frame, frame+max(size, 4096)), m: &messages{buf: make([]byte, 4096)},
		answer: make(chan struct{}), tag: -1,
	}
	in.release = guard(ctx, in.conn)
	if err := start(ctx, pg, in.m, sql, 'G'); err != nil {
		in.closed = true
		return nil, settle(pg, in.release, err)
	}
	in.buf = append(in.buf, Header()...)
	return in, nil
}

// wait lets a goroutine read the server's answer, which may come early when it is an error.
func (in *In) wait() {
	if in.waiting {
		return
	}
	in.waiting = true
	go func() {
		defer close(in.answer)
		for {
			kind, body, err := in.m.next()
			if err != nil {
				in.set(err)
				return
			}
			if in.heard(kind, body) {
				return
			}
		}
	}()
}

// heard handles one message of the answer and says whether it is the last one.
func (in *In) heard(kind byte, body []byte) bool {
	switch kind {
	case 'E':
		in.set(serverError(body))
	case 'C':
		in.tag = rowsOf(body)
	}
	return kind == 'Z'
}

// set keeps the first error.
func (in *In) set(err error) {
	if in.failed.Load() == nil {
		in.failed.Store(&err)
	}
}

func (in *In) problem() error {
	if err := in.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Tuple adds one tuple, as [Out.Next] gives it.
func (in *In) Tuple(tuple []byte) error {
	if len(in.buf)+len(tuple) > cap(in.buf) {
		if err := in.flush(); err != nil {
			return err
		}
	}
	in.buf = append(in.buf, tuple...)
	return nil
}

// Room gives the buffer for a caller that appends tuples itself and hands it back to Put.
func (in *In) Room() []byte { return in.buf }

// Put takes the buffer back and sends it when it is full.
func (in *In) Put(buf []byte) error {
	in.buf = buf
	if len(buf) >= cap(buf)*3/4 {
		return in.flush()
	}
	return nil
}

func (in *In) flush() error {
	if len(in.buf) == frame {
		return nil
	}
	err := in.send(in.buf)
	in.buf = in.buf[:frame]
	return err
}

// send sends one message whose first bytes are left free for the frame.
func (in *In) send(msg []byte) error {
	in.wait()
	if err := in.problem(); err != nil {
		return err
	}
	in.head(msg)
	_, err := in.conn.Write(msg)
	if err != nil {
		if p := in.problem(); p != nil {
			return p
		}
	}
	return err
}

// head fills the frame of a message.
func (in *In) head(msg []byte) {
	msg[0] = 'd'
	binary.BigEndian.PutUint32(msg[1:], uint32(len(msg)-1)) //nolint:gosec // a buffer is far below 4 GiB
	in.Bytes += int64(len(msg) - frame)
}

// Close ends the stream and gives the number of rows that the server took.
func (in *In) Close() (int64, error) {
	if in.closed {
		return in.tag, nil
	}
	in.buf = append(in.buf, 0xff, 0xff)
	err := in.flush()
	if err == nil {
		_, err = in.conn.Write([]byte{'c', 0, 0, 0, 4})
	}
	return in.end(err)
}

func (in *In) end(err error) (int64, error) {
	in.closed = true
	in.wait()
	var fromServer *pgconn.PgError
	if err == nil || errors.As(err, &fromServer) {
		<-in.answer
		if p := in.problem(); p != nil {
			err = p
		}
	}
	err = settle(in.pg, in.release, err)
	<-in.answer
	return in.tag, err
}

// Abort ends the stream so that the server forgets it. The transaction has failed after it.
func (in *In) Abort(reason string) error {
	if in.closed {
		return nil
	}
	msg, err := (&pgproto3.CopyFail{Message: reason}).Encode(nil)
	if err == nil {
		_, err = in.conn.Write(msg)
	}
	_, err = in.end(err)
	var fromServer *pgconn.PgError
	if errors.As(err, &fromServer) {
		return nil // the answer to a CopyFail is an error
	}
	return err
}

// Relay sends every tuple of out to in, and shows each of them to each, when it
// is not nil.
func Relay(ctx context.Context, out *Out, in *In, size int, each func(tuple []byte) error) error {
	if handled, err := direct(ctx, out, in, each); handled {
		return err
	}
	return portable(ctx, out, in, size, each)
}

// portable relays over any connection. Reading and writing overlap: while one
// buffer is sent the next one fills.
func portable(ctx context.Context, out *Out, in *In, size int, each func(tuple []byte) error) error {
	const buffers = 4
	if err := in.flush(); err != nil { // the header
		return err
	}
	free := make(chan []byte, buffers)
	full := make(chan []byte, buffers)
	for range buffers {
		free <- make([]byte, frame, size)
	}
	wrote := make(chan error, 1)
	go func() {
		var err error
		for buf := range full {
			if err == nil {
				err = in.send(buf)
			}
			free <- buf[:frame]
		}
		wrote <- err
	}()
	err := func() error {
		buf := <-free
		for {
			tuple, err := out.Next()
			if errors.Is(err, io.EOF) {
				if len(buf) > frame {
					full <- buf
				}
				return nil
			}
			if err != nil {
				return err
			}
			if each != nil {
				if err := each(tuple); err != nil {
					return err
				}
			}
			if len(buf)+len(tuple) > cap(buf) && len(buf) > frame {
				full <- buf
				buf = <-free
				if err := in.problem(); err != nil {
					return err
				}
			}
			buf = append(buf, tuple...)
		}
	}()
	close(full)
	werr := <-wrote
	if werr != nil {
		return werr
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}
