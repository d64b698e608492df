package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	// chunk is the bytes that are sent at once: they are still in the cache when the
	// server copies them.
	chunk = 64 << 10
	// pause is the time in which the server writes some of its pieces of 8 KiB.
	// Woken for each of them, both sides would be busy with little else.
	pause = 150 * time.Microsecond
	// ahead is the bytes that a server on this machine may be behind with reading. The
	// system's default holds two or three pieces of what is sent.
	ahead = 1 << 20
	// blink is how long the runtime is not told of a wait: it would hand the
	// processor on, which costs more than it gains.
	blink = 5 * time.Millisecond
	// patience is how long the end of the context may go unnoticed.
	patience = 100 * time.Millisecond
)

// direct relays between two sockets without TLS, in one goroutine and without the
// runtime's poller, which wakes a thread for every piece that comes. It says
// whether it did.
func direct(ctx context.Context, out *Out, in *In, each func([]byte) error) (bool, error) {
	from, to := descriptor(out.m.conn), descriptor(in.conn)
	if from == nil || to == nil || in.waiting || out.closed {
		return false, nil
	}
	widen(in.conn)
	var stop atomic.Bool
	release := context.AfterFunc(ctx, func() { stop.Store(true) })
	defer release()
	var inner, err error
	// While Control runs the descriptor stays open, whoever closes the connection: who
	// would do it from inside would wait for himself.
	out.held = true
	outer := from.Control(func(src uintptr) {
		inner = to.Control(func(dst uintptr) {
			p := pump{ctx: ctx, stop: &stop, src: int(src), dst: int(dst), out: out, in: in}
			err = p.run(each)
		})
	})
	out.held = false
	if out.closed {
		if failed := settle(out.pg, out.release, out.err); failed != nil {
			out.err, err = failed, failed
		}
	}
	return true, errors.Join(outer, inner, err)
}

// descriptor gives access to the socket of a plain connection, nil for any other.
func descriptor(conn net.Conn) syscall.RawConn {
	var c syscall.Conn
	switch plain := conn.(type) {
	case *net.TCPConn:
		c = plain
	case *net.UnixConn:
		c = plain
	default:
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// widen gives the way to a server on this machine more room. Towards any other one
// the system finds the right size itself, and a fixed one would be in its way.
func widen(conn net.Conn) {
	local := false
	switch c := conn.(type) {
	case *net.UnixConn:
		local = true
	case *net.TCPConn:
		address, ok := c.RemoteAddr().(*net.TCPAddr)
		local = ok && address.IP.IsLoopback()
	}
	if room, ok := conn.(interface{ SetWriteBuffer(int) error }); ok && local {
		_ = room.SetWriteBuffer(ahead) // less room is slower, and nothing else
	}
}

// pump moves rows between two descriptors, which do not block. It moves them
// within the buffer that they were read into: what is to be sent stands in front,
// with room for one frame, and what was not looked at yet behind it.
type pump struct {
	ctx      context.Context
	stop     *atomic.Bool
	src, dst int
	out      *Out
	in       *In
	end      int  // of what is to be sent
	dry      bool // the last read took all there was
	little   bool // and that was not much
}

func (p *pump) run(each func([]byte) error) error {
	m := &p.out.m
	if err := p.send(p.in.buf); err != nil { // the header of the stream
		return err
	}
	p.in.buf = p.in.buf[:frame]
	p.shift(frame)
	for {
		need, err := p.rows(each)
		if err != nil {
			return err
		}
		full := p.end >= chunk || len(m.buf)-m.r < need || len(m.buf)-m.w < chunk/2
		if full || p.out.closed {
			if err := p.send(m.buf[:p.end]); err != nil {
				return err
			}
			if p.out.closed {
				return nil
			}
			p.shift(need)
		}
		if p.stop.Load() {
			return p.out.fail(context.Cause(p.ctx))
		}
		if err := p.fill(); err != nil {
			return p.out.fail(err)
		}
	}
}

// rows takes the whole messages that were read and gives the bytes that the next one has, as far as that is known.
func (p *pump) rows(each func([]byte) error) (need int, err error) {
	out, m := p.out, &p.out.m
	for !out.closed {
		unread := m.buf[m.r:m.w]
		if len(unread) < frame {
			return frame, nil
		}
		// The length counts itself, and not the byte before it.
		n := 1 + int(binary.BigEndian.Uint32(unread[1:]))
		if n < frame || n > maxMessage {
			return 0, out.fail(fmt.Errorf("message %q of the server says it has %d bytes", unread[0], n-frame))
		}
		if len(unread) < n {
			return n, nil
		}
		m.r += n
		tuple := unread[frame:n]
		if plain := unread[0] == 'd' && out.begun && !out.ended && len(tuple) >= 2 && tuple[0] != 0xff; plain {
			out.Bytes += int64(len(tuple))
		} else if tuple, err = out.take(unread[0], tuple); err != nil {
			return 0, err
		} else if tuple == nil {
			continue
		}
		if each != nil {
			if err := each(tuple); err != nil {
				return 0, err
			}
		}
		p.end += copy(m.buf[p.end:], tuple)
	}
	return 0, out.err
}

// shift moves the unread bytes to the front, behind the room for a frame, into a
// buffer that has room for a message of that many bytes, and more.
func (p *pump) shift(need int) {
	m := &p.out.m
	to := m.buf
	if least := frame + max(need, m.w-m.r) + chunk; len(to) < least {
		to = make([]byte, max(least, 4*chunk))
	}
	m.w = frame + copy(to[frame:], m.buf[m.r:m.w])
	m.r, m.buf, p.end = frame, to, frame
}

// fill reads what there is, and waits when there is nothing.
func (p *pump) fill() error {
	m := &p.out.m
	room := m.buf[m.w:]
	for {
		if p.dry {
			if err := p.wait(p.src, pollIn); err != nil {
				return err
			}
			if p.little {
				t := syscall.NsecToTimespec(int64(pause))
				_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
			}
		}
		n, err := call(syscall.SYS_READ, p.src, room)
		switch {
		case n > 0:
			m.w += n
			p.dry, p.little = n < len(room), n < chunk
			return nil
		case err == nil:
			return io.ErrUnexpectedEOF
		case errors.Is(err, syscall.EAGAIN):
			p.dry = true
		case !errors.Is(err, syscall.EINTR):
			return os.NewSyscallError("read", err)
		}
	}
}

// send sends one message whose first bytes are left free for the frame.
func (p *pump) send(msg []byte) error {
	if len(msg) <= frame {
		return nil
	}
	p.in.head(msg)
	for len(msg) > 0 {
		n, err := call(syscall.SYS_WRITE, p.dst, msg)
		switch {
		case n > 0:
			msg = msg[n:]
		case errors.Is(err, syscall.EAGAIN):
			if err := p.wait(p.dst, pollOut); err != nil {
				return err
			}
		case err != nil && !errors.Is(err, syscall.EINTR):
			if heard := p.hear(); heard != nil {
				return heard
			}
			return os.NewSyscallError("write", err)
		}
	}
	return p.hear()
}

// hear looks whether the sink has said something, which is an error when it comes before the end.
func (p *pump) hear() error {
	in, m := p.in, p.in.m
	for !in.waiting {
		if m.r == m.w {
			m.r, m.w = 0, 0
		}
		if m.w == len(m.buf) {
			m.buf = append(m.buf, make([]byte, len(m.buf))...)
		}
		n, err := call(syscall.SYS_READ, p.dst, m.buf[m.w:])
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return in.problem()
		case errors.Is(err, syscall.EINTR):
			continue
		case n <= 0:
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			in.set(err)
			return in.problem()
		}
		m.w += n
		for m.w-m.r >= frame {
			n := 1 + int(binary.BigEndian.Uint32(m.buf[m.r+1:]))
			if n < frame || n > maxMessage {
				in.set(fmt.Errorf("message %q of the server says it has %d bytes", m.buf[m.r], n-frame))
				return in.problem()
			}
			if m.w-m.r < n {
				break
			}
			last := in.heard(m.buf[m.r], m.buf[m.r+frame:m.r+n])
			m.r += n
			if last { // nobody has to wait for it any more
				in.waiting = true
				close(in.answer)
				break
			}
		}
	}
	return in.problem()
}

// The events of poll(2).
const (
	pollIn  = 1
	pollOut = 4
)

// wait waits until the descriptor can be read or written, or has failed.
func (p *pump) wait(fd int, events int16) error {
	set := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: events} //nolint:gosec // a descriptor
	limit := syscall.NsecToTimespec(int64(blink)) // the call leaves there what remains
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&set)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	for {
		if p.stop.Load() {
			return context.Cause(p.ctx)
		}
		if errno != 0 && errno != syscall.EINTR {
			return os.NewSyscallError("ppoll", errno)
		}
		if errno == 0 && n > 0 {
			return nil
		}
		limit = syscall.NsecToTimespec(int64(patience))
		n, _, errno = syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&set)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	}
}

// call reads or writes what can be had without waiting. The runtime is not told
// of it: a call that may block makes it look for other work.
func call(number uintptr, fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
