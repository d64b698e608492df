package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// environ is the surroundings of a server program: ours without what would
// lead it elsewhere, and with the address of this server.
func (s *Server) environ() []string {
	var env []string
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "PG") || strings.HasPrefix(pair, "LC_") || strings.HasPrefix(pair, "LANG") || strings.HasPrefix(pair, "HOME=") || strings.HasPrefix(pair, "TZ=") {
			continue
		}
		env = append(env, pair)
	}
	env = append(env, "LC_ALL=C", "TZ=UTC", "HOME="+s.folder, "PGDATA="+s.data)
	if s.port == 0 {
		return env // not started yet
	}
	return append(env, "PGHOST="+s.sockets, "PGPORT="+strconv.Itoa(s.port), "PGUSER="+superuser, "PGDATABASE="+defaultDatabase)
}

// Do runs a program of the server's folder, such as psql, pg_basebackup or
// pg_resetwal, as the account of the server and with the address of the server
// in its surroundings (PGHOST, PGPORT, PGUSER, PGDATABASE, PGDATA). It gives what
// the program wrote to standard output; the error has the end of standard error.
func (s *Server) Do(ctx context.Context, name string, args ...string) ([]byte, error) {
	if s.external != nil {
		return nil, fmt.Errorf("run %s: %w", name, ErrExternal)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(s.binDir, name), args...)
	cmd.Dir, cmd.Env = s.folder, s.environ()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	s.account.attributes(cmd, syscall.SIGKILL)
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second
	p, err := startProcess(cmd, func() {})
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	<-p.done
	if p.err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("run %s: %w", name, context.Cause(ctx))
		}
		return stdout.Bytes(), fmt.Errorf("run %s: %w: %s", name, p.err, tail(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// initdbArgs make the same cluster on every machine.
func initdbArgs() []string {
	return []string{"--no-sync", "--auth=trust", "--username=" + superuser, "--encoding=UTF8", "--locale=C"}
}

func (s *Server) initdb(ctx context.Context, dir string) error {
	_, err := s.Do(ctx, "initdb", append(initdbArgs(), "--pgdata="+dir)...)
	return err
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// configure writes the settings of the cluster. What belongs to one run of the
// server, such as the port, is given on its command line. The settings are in a
// file so that ALTER SYSTEM and a reload work as usual.
func (s *Server) configure() error {
	settings := map[string]string{
		"autovacuum":                "on",
		"lc_messages":               "C",
		"log_timezone":              "UTC",
		"max_connections":           "100",
		"max_prepared_transactions": "10",
		"max_replication_slots":     "20",
		"max_wal_senders":           "10",
		"password_encryption":       "scram-sha-256",
		"shared_buffers":            "128MB",
		"timezone":                  "UTC",
		"wal_level":                 "logical",
	}
	if !s.opts.Durable {
		// What was written survives the end of the server, but not a power cut.
		// synchronous_commit stays on: without it Kill would lose commits.
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off"})
	}
	for name, value := range s.opts.Settings {
		if !settingName.MatchString(name) {
			return fmt.Errorf("setting %q: not a name of a PostgreSQL setting", name)
		}
		if strings.ContainsAny(value, "\x00\r\n") {
			return fmt.Errorf("setting %s: its value has a line end or a zero byte", name)
		}
		settings[strings.ToLower(name)] = value
	}
	var text strings.Builder
	text.WriteString("\n# Settings of this throwaway server.\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(settings[name])
		fmt.Fprintf(&text, "%s = '%s'\n", name, value)
	}
	if err := appendFile(filepath.Join(s.data, "postgresql.conf"), text.String()); err != nil {
		return err
	}
	// The folder of the socket is closed to other accounts, and so the socket
	// needs no password. A TCP port is open to everybody on this machine.
	rules := "local all all trust\nlocal replication all trust\n" +
		"host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n"
	path := filepath.Join(s.data, "pg_hba.conf")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		return fmt.Errorf("access rules of the server: %w", err)
	}
	return s.account.own(path)
}

func appendFile(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("settings of the server: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("settings of the server: %w", err)
	}
	return nil
}

// defaultPort names the socket file when the server has no TCP port. The socket
// has a folder of its own, so that two servers do not meet.
const defaultPort = 5432

// launch starts the server and waits until it takes connections. A port is free
// when it is chosen, but another process may take it before the server does, so
// that there are several tries.
func (s *Server) launch(ctx context.Context) error {
	for try := 1; ; try++ {
		err := s.launchOnce(ctx)
		if err == nil || !s.opts.TCP || try == 5 || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
		s.opts.say("port %d was taken, trying another", s.port)
		s.port = 0
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	listen := ""
	switch {
	case s.opts.TCP && s.port == 0:
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		s.port = port
	case !s.opts.TCP:
		s.port = defaultPort
	}
	if s.opts.TCP {
		listen = "127.0.0.1"
	}
	log, err := os.OpenFile(s.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("log of the server: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("log of the server: %w", err)
	}
	cmd := exec.Command(
		filepath.Join(s.binDir, "postgres"), "-D", s.data,
		"-c", "listen_addresses="+listen, "-c", "port="+strconv.Itoa(s.port),
		"-c", "unix_socket_directories="+s.sockets, "-c", "logging_collector=off", "-c", "log_destination=stderr",
	)
	cmd.Dir, cmd.Env = s.folder, s.environ()
	cmd.Stdout, cmd.Stderr = log, log
	s.account.attributes(cmd, syscall.SIGQUIT)
	p, err := startProcess(cmd, s.guard.gone)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	if err = s.guard.running(p.pid); err == nil {
		err = s.ready(ctx, p)
	}
	if err != nil {
		err = errors.Join(err, p.end(context.Background(), 1))
		return fmt.Errorf("start postgres: %w; the end of its log:\n%s", err, tailFile(s.logFile, from))
	}
	s.process = p
	return nil
}

// ready waits until the server takes connections. The server says so in line 8
// of its lock file (pg_ctl reads the same), whose line 1 is its process number.
func (s *Server) ready(ctx context.Context, p *process) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.done:
			return fmt.Errorf("it ended: %w", p.err)
		case <-tick.C:
		}
		text, err := os.ReadFile(filepath.Join(s.data, "postmaster.pid"))
		if err != nil {
			continue // not there yet
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) >= 8 && lines[0] == strconv.Itoa(p.pid) && strings.TrimSpace(lines[7]) == "ready" {
			return nil
		}
	}
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }() // the port is known; the server takes it
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find a free port: %v is not a TCP address", listener.Addr())
	}
	return address.Port, nil
}

func (s *Server) setPassword(ctx context.Context) error {
	s.password = rand.Text()
	err := s.query(ctx, func(conn *pgx.Conn) error {
		// The text has letters and digits only.
		_, err := conn.Exec(ctx, "alter role "+superuser+" password '"+s.password+"'")
		return err
	})
	if err != nil {
		return fmt.Errorf("set the password: %w", err)
	}
	return nil
}

// Stop ends the server and removes everything that it made: first a fast
// shutdown, then an immediate one, then SIGKILL. A context that ends shortens
// the fast shutdown, but nothing is left running. A second Stop does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.external != nil {
		return s.external.stop(ctx)
	}
	err := s.halt(ctx, 0)
	err = errors.Join(err, s.removeFolders())
	s.guard.dismiss()
	if err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

// halt ends the process, beginning with the phase of that number.
func (s *Server) halt(ctx context.Context, first int) error {
	if s.process == nil {
		return nil
	}
	err := s.process.end(ctx, first)
	if err == nil {
		s.process = nil
	}
	return err
}

// locked runs a step that only a server of our own that is not stopped for good can do.
func (s *Server) locked(what string, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.external != nil:
		return fmt.Errorf("%s: %w", what, ErrExternal)
	case s.closed:
		return fmt.Errorf("%s: the server was stopped for good", what)
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// StopKeep ends the server in good order and keeps its data for StartAgain.
func (s *Server) StopKeep(ctx context.Context) error {
	return s.locked("stop the server for a while", func() error { return s.halt(ctx, 0) })
}

// Kill ends the server at once, as a crash does: no checkpoint is written, and
// StartAgain recovers from the log of changes. (It is PostgreSQL's immediate
// shutdown and not SIGKILL, which would leave shared memory behind.)
func (s *Server) Kill() error {
	return s.locked("kill the server", func() error { return s.halt(context.Background(), 1) })
}

// StartAgain starts a server that StopKeep or Kill ended, with the same address.
func (s *Server) StartAgain(ctx context.Context) error {
	return s.locked("start the server again", func() error {
		if s.process != nil {
			select {
			case <-s.process.done: // it ended by itself
				s.process = nil
			default:
				return errors.New("it is running")
			}
		}
		return s.launchOnce(ctx)
	})
}

// Restart ends the server in good order and starts it again, with the same address.
func (s *Server) Restart(ctx context.Context) error {
	return s.locked("restart the server", func() error {
		if err := s.halt(ctx, 0); err != nil {
			return err
		}
		return s.launchOnce(ctx)
	})
}

const tailSize = 4096

// tail gives the end of a text.
func tail(text []byte) string {
	if len(text) > tailSize {
		text = text[len(text)-tailSize:]
		if _, rest, ok := bytes.Cut(text, []byte("\n")); ok {
			text = rest
		}
	}
	return strings.TrimSpace(string(text))
}

// tailFile gives the end of what was written to a file since the position.
func tailFile(path string, from int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		from = max(from, info.Size()-2*tailSize)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, from, 2*tailSize))
	if err != nil {
		return err.Error()
	}
	return tail(text)
}
