// Package pgserver gives tests, gates and users a throwaway PostgreSQL server.
//
// Start looks for a server in this order:
//
//  1. Options.DSN (FromEnvironment takes it from DPONE_IT_PG_DSN): a server that
//     somebody else runs. Start makes a uniquely named scratch database in it and
//     Stop drops it again.
//  2. The PostgreSQL programs of this machine. Start makes a cluster of its own
//     in a new folder and runs it. PostgreSQL refuses to run as root, so a root
//     caller runs it as the account "postgres", or "nobody" when there is none.
//  3. Options.Fallback, when Options.AllowDownload is set (package
//     pgserver/embedded has one that downloads the programs).
//  4. Otherwise the error is ErrNoServer with the reason and the fix.
//
// A server of our own leaves nothing behind. Stop removes its folders. If the
// calling process dies without Stop, also by SIGKILL, two things end the server:
// on Linux the kernel signals it (the parent death signal), and everywhere a
// small watching shell process sees its pipe close, stops the server and
// removes the folders.
//
// The only thing that stays is an initialised, empty cluster in the user's cache
// folder that makes later starts faster (see Options.NoCache).
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrNoServer says that no PostgreSQL can be had here. The text of the
	// wrapping error has the reason and the fix. Tests skip with it.
	ErrNoServer = errors.New("no PostgreSQL server can be had")
	// ErrExternal is the answer to what cannot be done with a server that
	// somebody else runs: restart it, kill it, read its data folder.
	ErrExternal = errors.New("not possible with an external PostgreSQL server")
)

const (
	superuser       = "postgres"
	defaultDatabase = "postgres"
	fix             = "install a server (apt-get install postgresql), or set DPONE_IT_PG_DSN to the address of one"
	startLimit      = 60 * time.Second // when the caller's context has no deadline
)

// Options says what kind of server is wanted. The zero value is a fast local
// server that listens on a unix socket only and loses data on a power cut.
type Options struct {
	// DSN is the address of an external server, as URL or as keywords. Its user
	// needs the right to create databases. Empty: run a server of our own.
	DSN string
	// BinDir is the folder of the programs postgres and initdb. Empty: look for it.
	BinDir string
	// Settings are postgresql.conf values. They win over the defaults of this package.
	Settings map[string]string
	// TCP makes the server listen on a free port of 127.0.0.1 too, with a random
	// password (SCRAM). The unix socket is always there.
	TCP bool
	// Durable keeps fsync and full_page_writes on. Without it a commit survives
	// Kill, but not a power cut.
	Durable bool
	// Log gets one line about each step. It may be called from any goroutine.
	Log func(string)
	// Dir is the folder in which the server makes its own. Empty: the folder for
	// temporary files. A root caller needs one that the unprivileged account can
	// reach.
	Dir string
	// KeepOnError leaves the folder of a server that did not start.
	KeepOnError bool
	// NoCache runs initdb each time and leaves the user's cache folder alone.
	NoCache bool
	// AllowDownload permits Fallback.
	AllowDownload bool
	// Fallback is asked when this machine has no PostgreSQL programs and
	// AllowDownload is set. See package pgserver/embedded.
	Fallback func(context.Context, Options) (*Server, error)
}

// FromEnvironment gives the options that the surroundings ask for:
//
//	DPONE_IT_PG_DSN         address of an external server
//	DPONE_IT_PG_BINDIR      folder of the server programs
//	DPONE_IT_PG_DOWNLOAD=1  permission to download them
func FromEnvironment() Options {
	return Options{
		DSN:           os.Getenv("DPONE_IT_PG_DSN"),
		BinDir:        os.Getenv("DPONE_IT_PG_BINDIR"),
		AllowDownload: os.Getenv("DPONE_IT_PG_DOWNLOAD") == "1",
	}
}

// Server is a PostgreSQL server, ours or an external one. Its methods may be
// called from several goroutines. The caller owes one Stop.
type Server struct {
	opts     Options
	external *external // nil: the server is ours

	binDir   string
	account  *account // nil: run the programs as the caller
	folder   string   // everything of this server is below it, but maybe the socket
	data     string
	sockets  string
	logFile  string
	port     int
	password string
	guard    *guard

	mu      sync.Mutex
	process *process // nil: not running
	closed  bool
}

// Start gives a server that answers queries. The context limits the start only:
// when it ends before the server answers, everything is undone. Afterwards the
// server runs until Stop or until the calling process ends.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startLimit)
		defer cancel()
	}
	if opts.DSN != "" {
		return startExternal(ctx, opts)
	}
	binDir, who, err := local(ctx, opts)
	if err == nil {
		return startLocal(ctx, opts, binDir, who)
	}
	if errors.Is(err, ErrNoServer) && opts.AllowDownload && opts.Fallback != nil {
		opts.say("%v; asking the fallback", err)
		return opts.Fallback(ctx, opts)
	}
	return nil, err
}

// local finds the programs of this machine and the account to run them as.
func local(ctx context.Context, opts Options) (string, *account, error) {
	binDir, err := findBinDir(ctx, opts.BinDir)
	if err != nil {
		return "", nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return "", nil, err
	}
	if err := who.reaches(binDir); err != nil {
		return "", nil, fmt.Errorf("%w: %w; fix: make the folder readable, or %s", ErrNoServer, err, fix)
	}
	return binDir, who, nil
}

func (o Options) say(format string, args ...any) {
	if o.Log != nil {
		o.Log("pgserver: " + fmt.Sprintf(format, args...))
	}
}

func startLocal(ctx context.Context, opts Options, binDir string, who *account) (_ *Server, err error) {
	begin := time.Now()
	s := &Server{opts: opts, binDir: binDir, account: who}
	if err := s.makeFolders(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	if s.guard, err = newGuard(s.folder, s.sockets); err != nil {
		return nil, err
	}
	if err := s.initialise(ctx); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	if err := s.launch(ctx); err != nil {
		return nil, err
	}
	if opts.TCP {
		if err := s.setPassword(ctx); err != nil {
			return nil, err
		}
	}
	opts.say("started %s as %s in %s (%s)", binDir, who, s.folder, time.Since(begin).Round(time.Millisecond))
	return s, nil
}

// abandon undoes a start that failed.
func (s *Server) abandon() {
	if s.opts.KeepOnError {
		s.opts.say("keeping %s", s.folder)
		if p := s.process; p != nil {
			if err := p.end(context.Background(), 0); err != nil {
				s.opts.say("after a failed start: %v", err)
			}
		}
		s.guard.dismiss()
		return
	}
	// The context of the start may have ended, which is why the start failed.
	if err := s.Stop(context.Background()); err != nil {
		s.opts.say("after a failed start: %v", err)
	}
}

// External says whether somebody else runs the server.
func (s *Server) External() bool { return s.external != nil }

// DataDir is the data folder, empty for an external server.
func (s *Server) DataDir() string { return s.data }

// BinDir is the folder of the server programs, empty for an external server.
func (s *Server) BinDir() string { return s.binDir }

// LogFile is the file that the server writes its log to, empty for an external server.
func (s *Server) LogFile() string { return s.logFile }

// DSN is the address of the default database as superuser, over the unix socket.
// For an external server it is the scratch database as the given user.
func (s *Server) DSN() string {
	if s.external != nil {
		return s.external.dsn(s.external.scratch)
	}
	return s.DSNFor(defaultDatabase)
}

// DSNFor is like DSN for another database. For an external server a name that
// was given to CreateDatabase means the database that was made for it.
func (s *Server) DSNFor(database string) string {
	if s.external != nil {
		return s.external.dsn(s.external.physical(database))
	}
	query := url.Values{}
	query.Set("host", s.sockets)
	query.Set("port", strconv.Itoa(s.port))
	query.Set("sslmode", "disable")
	address := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: query.Encode()}
	return address.String()
}

// TCPDSN is the address of the default database over TCP. It is empty when the
// server was started without Options.TCP, and when an external server is
// reached over a unix socket.
func (s *Server) TCPDSN() string {
	if s.external != nil {
		return s.external.tcpDSN()
	}
	if !s.opts.TCP {
		return ""
	}
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     "127.0.0.1:" + strconv.Itoa(s.port),
		Path:     "/" + defaultDatabase,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// Version is the server's version number, such as 150018 for 15.18
// (the setting server_version_num).
func (s *Server) Version(ctx context.Context) (int, error) {
	var text string
	err := s.query(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "show server_version_num").Scan(&text)
	})
	if err != nil {
		return 0, fmt.Errorf("server version: %w", err)
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("server version %q: %w", text, err)
	}
	return number, nil
}

// CreateDatabase makes an empty database. Stop drops it, also on an external
// server, where it gets a name of its own so that processes that share the
// server do not meet; DSNFor(name) leads to it.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	if s.external != nil {
		return s.external.create(ctx, name)
	}
	err := s.query(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()+" template template0")
		return err
	})
	if err != nil {
		return fmt.Errorf("create database %q: %w", name, err)
	}
	return nil
}

// DropDatabase drops a database that CreateDatabase made, and ends the
// sessions and replication connections in it (PostgreSQL 13 or newer).
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	if s.external != nil {
		return s.external.drop(ctx, name)
	}
	err := s.query(ctx, func(conn *pgx.Conn) error {
		return dropDatabase(ctx, conn, name)
	})
	if err != nil {
		return fmt.Errorf("drop database %q: %w", name, err)
	}
	return nil
}

// dropDatabase ends what holds the database. FORCE does not end the readers of
// replication slots, which take a moment to let go.
func dropDatabase(ctx context.Context, conn *pgx.Conn, name string) error {
	const objectInUse = "55006"
	for try := 1; ; try++ {
		_, err := conn.Exec(ctx, "drop database if exists "+pgx.Identifier{name}.Sanitize()+" with (force)")
		var refused *pgconn.PgError
		if err == nil || try == 40 || !errors.As(err, &refused) || refused.Code != objectInUse {
			return err
		}
		if _, err := conn.Exec(ctx, "select pg_terminate_backend(active_pid) from pg_replication_slots where database = $1 and active", name); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "select pg_sleep(0.05)"); err != nil {
			return err
		}
	}
}

func (s *Server) query(ctx context.Context, do func(*pgx.Conn) error) error {
	return withConn(ctx, s.DSN(), do)
}

// withConn lends a connection.
func withConn(ctx context.Context, dsn string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() {
		// The work is done; a failed goodbye changes nothing.
		_ = conn.Close(context.WithoutCancel(ctx))
	}()
	return do(conn)
}

// maxSocketPath is the shorter of the limits of Linux (107 bytes) and macOS (103).
const maxSocketPath = 103

// makeFolders makes the folder of the server, owned by the account that it runs
// as and closed to everybody else, which is what guards the unix socket.
func (s *Server) makeFolders() error {
	parent := s.opts.Dir
	if parent == "" {
		parent = os.TempDir()
		if s.account.reaches(parent) != nil {
			parent = "/tmp" // TMPDIR may be a folder of root
		}
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return fmt.Errorf("folder for the server: %w", err)
	}
	if err := s.account.reaches(parent); err != nil {
		return fmt.Errorf("folder for the server: %w; fix: give Options.Dir a folder that this account can reach", err)
	}
	folder, err := os.MkdirTemp(parent, "dpone-pg-")
	if err != nil {
		return fmt.Errorf("folder for the server: %w", err)
	}
	s.folder = folder
	s.data = filepath.Join(folder, "data")
	s.logFile = filepath.Join(folder, "log")
	s.sockets = folder
	if len(filepath.Join(folder, ".s.PGSQL.65535.lock")) > maxSocketPath {
		if s.sockets, err = os.MkdirTemp("/tmp", "dpone-pg-"); err != nil {
			os.RemoveAll(folder)
			return fmt.Errorf("folder for the socket: %w", err)
		}
	}
	for _, dir := range []string{s.folder, s.sockets} {
		if err := s.account.own(dir); err != nil {
			return errors.Join(err, s.removeFolders())
		}
	}
	return nil
}

func (s *Server) removeFolders() error {
	return errors.Join(os.RemoveAll(s.folder), os.RemoveAll(s.sockets))
}
