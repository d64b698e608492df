package wire

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// sockets gives the two ends of a unix connection.
func sockets(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	assert.NilError(t, err)
	defer listener.Close()
	ours, err = net.Dial("unix", listener.Addr().String())
	assert.NilError(t, err)
	theirs, err = listener.Accept()
	assert.NilError(t, err)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func free() error { return nil }

// pair gives a reader and a writer whose other ends the test holds.
func pair(t *testing.T) (out *Out, source net.Conn, in *In, sink net.Conn) {
	t.Helper()
	from, source := sockets(t)
	to, sink := sockets(t)
	out = &Out{m: messages{conn: from, buf: make([]byte, 64)}, release: free, tag: -1}
	in = &In{conn: to, m: &messages{conn: to, buf: make([]byte, 16)}, buf: append(make([]byte, frame), Header()...), release: free, answer: make(chan struct{}), tag: -1}
	return out, source, in, sink
}

// relays are both ways of the relay.
func relays() map[string]func(context.Context, *Out, *In, func([]byte) error) error {
	return map[string]func(context.Context, *Out, *In, func([]byte) error) error{
		"direct or portable": func(ctx context.Context, out *Out, in *In, each func([]byte) error) error {
			return Relay(ctx, out, in, 4096, each)
		},
		"portable": func(ctx context.Context, out *Out, in *In, each func([]byte) error) error {
			return portable(ctx, out, in, 4096, each)
		},
	}
}

// tuples joins the rows of the messages that a sink got.
func tuples(t *testing.T, sent []byte) (rows string, ended bool) {
	t.Helper()
	m := &messages{conn: stream{r: strings.NewReader(string(sent))}, buf: make([]byte, 64)}
	for {
		kind, body, err := m.next()
		if err != nil {
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			return rows, ended
		}
		switch kind {
		case 'd':
			rows += string(body)
		case 'c':
			ended = true
		}
	}
}

// Messages that are cut anywhere, and some that are longer than any buffer, arrive whole and in order.
func TestRelayOfPieces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same pieces on each run
	var sent, want strings.Builder
	sent.WriteString(message('d', string(Header())))
	want.Write(Header())
	for i := range 3000 {
		n := random.IntN(400)
		if i%1000 == 500 {
			n = 700000
		}
		row := "\x00\x01" + strings.Repeat(string(rune('a'+i%26)), n)
		sent.WriteString(message('d', row))
		want.WriteString(row)
		if i%700 == 0 {
			sent.WriteString(message('N', "a notice"))
		}
	}
	sent.WriteString(message('d', "\xff\xff") + message('c', "") + message('C', "COPY 3000\x00") + message('Z', "I"))
	for name, relay := range relays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, source, in, sink := pair(t)
			random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same pieces on each run
			go func() {
				for rest := sent.String(); rest != ""; {
					n := min(len(rest), 1+random.IntN(9000))
					if _, err := io.WriteString(source, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			got := make(chan []byte)
			go func() {
				var all []byte
				buf := make([]byte, 4096)
				for {
					n, err := sink.Read(buf)
					all = append(all, buf[:n]...)
					if err != nil || strings.HasSuffix(string(all), "c\x00\x00\x00\x04") {
						break
					}
				}
				_, _ = io.WriteString(sink, message('C', "COPY 3000\x00")+message('Z', "T"))
				got <- all
			}()
			seen := 0
			assert.NilError(t, relay(t.Context(), out, in, func([]byte) error { seen++; return nil }))
			rows, err := in.Close()
			assert.NilError(t, err)
			assert.Equal(t, rows, int64(3000))
			assert.Equal(t, out.Rows(), int64(3000))
			assert.Equal(t, seen, 3000)
			all, ended := tuples(t, <-got)
			assert.Assert(t, ended)
			assert.Assert(t, all == want.String()+"\xff\xff", "%d bytes, and not %d", len(all), want.Len()+2)
		})
	}
}

// What breaks on either side ends the relay with its reason.
func TestRelayBreaks(t *testing.T) {
	t.Parallel()
	row := message('d', string(Header())) + message('d', "\x00\x01\x00\x00\x00\x01x")
	refused := message('E', "SERROR\x00C23514\x00Mnot allowed\x00\x00")
	no := errors.New("no")
	for name, c := range map[string]struct {
		source, sink string
		hangUp       bool
		each         func([]byte) error
		want         string
	}{
		"source hangs up":          {row, "", true, nil, "EOF"},
		"source fails":             {row + refused + message('Z', "E"), "", false, nil, "not allowed"},
		"source goes on":           {row + message('d', "\xff\xff") + row, "", false, nil, "after its trailer"},
		"source without a trailer": {row + message('C', "COPY 1\x00") + message('Z', "I"), "", false, nil, "before its trailer"},
		"source talks nonsense":    {row + "d\x00\x00\x00\x01", "", false, nil, "says it has -3 bytes"},
		"unknown message":          {row + message('?', ""), "", false, nil, "unexpected message"},
		"sink fails":               {strings.Repeat(row, 1) + strings.Repeat(message('d', "\x00\x01\x00\x00\x00\x01"+strings.Repeat("x", 9000)), 400), message('N', "") + refused + message('Z', "E"), false, nil, "not allowed"},
		"row is refused":           {row, "", false, func([]byte) error { return no }, "no"},
	} {
		for way, relay := range relays() {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				out, source, in, sink := pair(t)
				out.pg, in.pg = open(t, pgtest.Database(t)), open(t, pgtest.Database(t)) // a break closes them
				_, err := io.WriteString(sink, c.sink)
				assert.NilError(t, err)
				go func() {
					_, _ = io.Copy(io.Discard, sink)
				}()
				go func() {
					_, _ = io.WriteString(source, c.source)
					if c.hangUp {
						source.Close()
					}
				}()
				assert.ErrorContains(t, relay(t.Context(), out, in, c.each), c.want)
			})
		}
	}
}

// The end of the context ends a relay that waits, on either side.
func TestRelayIsCancelled(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]int{"for rows": 0, "for the sink": 1 << 14} {
		for way, relay := range relays() {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				out, source, in, _ := pair(t) // nobody reads what is sent
				out.pg, in.pg = open(t, pgtest.Database(t)), open(t, pgtest.Database(t))
				ctx, cancel := context.WithCancel(t.Context())
				out.release, in.release = guard(ctx, out.m.conn), guard(ctx, in.conn)
				go func() {
					_, _ = io.WriteString(source, message('d', string(Header()))+strings.Repeat(message('d', "\x00\x01"+strings.Repeat("x", 1000)), rows))
				}()
				if rows == 0 {
					go cancel()
				}
				seen := 0
				err := relay(ctx, out, in, func([]byte) error {
					if seen++; seen == 100 { // the buffers between the two fill up soon after
						go cancel()
					}
					return nil
				})
				assert.Assert(t, err != nil)
				assert.Assert(t, seen < max(rows, 1))
			})
		}
	}
}
