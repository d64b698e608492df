package speed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/gates"
)

// The two databases, and the ways to reach them.
const (
	sourceDB = "bench_source"
	targetDB = "bench_target"
	tcp      = "tcp"
	socket   = "unix"
)

// lab is the server with its two databases and one session in each.
type lab struct {
	server   *pgserver.Server
	scratch  string
	src, dst *pgx.Conn
	made     map[string]bool // tables of the source
	lower    string          // of the xmin peer's next window
	// run takes a turn that is not measured.
	run func(context.Context, side) error
}

func open(ctx context.Context, p *gates.Pass, server *pgserver.Server) (*lab, error) {
	l := &lab{server: server, scratch: p.Scratch, made: map[string]bool{}}
	var services strings.Builder
	for _, name := range []string{sourceDB, targetDB} {
		if err := server.CreateDatabase(ctx, name); err != nil {
			return nil, err
		}
		overTCP, err := url.Parse(server.TCPDSN())
		if err != nil {
			return nil, fmt.Errorf("address of the server: %w", err)
		}
		overTCP.Path = "/" + name
		for transport, dsn := range map[string]string{tcp: overTCP.String(), socket: server.DSNFor(name)} {
			if err := os.WriteFile(filepath.Join(p.Scratch, name+"_"+transport), []byte(dsn), 0o600); err != nil {
				return nil, err
			}
			c, err := pgx.ParseConfig(dsn)
			if err != nil {
				return nil, fmt.Errorf("address of the server: %w", err)
			}
			fmt.Fprintf(&services, "[%s_%s]\nhost=%s\nport=%d\ndbname=%s\nuser=%s\npassword=%s\nsslmode=disable\n\n", name, transport, c.Host, c.Port, c.Database, c.User, c.Password)
		}
	}
	if err := os.WriteFile(filepath.Join(p.Scratch, "services"), []byte(services.String()), 0o600); err != nil {
		return nil, err
	}
	for _, name := range []string{"psql", "pg_recvlogical"} {
		if err := l.link(name); err != nil {
			return nil, err
		}
	}
	var err error
	if l.src, err = connect(ctx, server.DSNFor(sourceDB)); err != nil {
		return nil, err
	}
	l.dst, err = connect(ctx, server.DSNFor(targetDB))
	return l, err
}

// link puts a client program at a fixed place: the one beside the server, because
// the one on the PATH may be a script that chooses a version.
func (l *lab) link(name string) error {
	path := filepath.Join(l.server.BinDir(), name)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: %s is neither beside the server nor on the PATH; fix: install the client programs of PostgreSQL", gates.ErrNothingRan, name)
		}
	}
	err := os.Symlink(path, filepath.Join(l.scratch, name))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	return conn, nil
}

func (l *lab) close(ctx context.Context) {
	for _, conn := range []*pgx.Conn{l.src, l.dst} {
		_ = conn.Close(context.WithoutCancel(ctx)) // the server is stopped next
	}
}

func execute(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, sql := range statements {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("%.200s: %w", sql, err)
		}
	}
	return nil
}

func (l *lab) source(ctx context.Context, statements ...string) error {
	return execute(ctx, l.src, statements...)
}

func (l *lab) target(ctx context.Context, statements ...string) error {
	return execute(ctx, l.dst, statements...)
}

// once makes a table of the source, if it is not there.
func (l *lab) once(ctx context.Context, t table) error {
	if l.made[t.name] {
		return nil
	}
	l.made[t.name] = true
	return l.source(ctx, t.create(""), t.fill("1", fmt.Sprint(t.rows)), "VACUUM (FREEZE, ANALYZE) "+t.name)
}

// drop gives the room of a table of the source back.
func (l *lab) drop(ctx context.Context, name string) error {
	delete(l.made, name)
	return l.source(ctx, "DROP TABLE IF EXISTS "+name)
}

// position is the end of the log, in bytes.
func (l *lab) position(ctx context.Context) (int64, error) {
	var n int64
	err := l.dst.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").Scan(&n)
	return n, err
}

func (l *lab) count(ctx context.Context, table string) (n int64, err error) {
	err = l.dst.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	return n, err
}

// content tells tables of the target apart by all of their values.
func (l *lab) content(ctx context.Context, table string) (text string, err error) {
	err = l.dst.QueryRow(ctx, "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0))::text, '') FROM "+table+" AS t").Scan(&text)
	return text, err
}

// Machine is what the figures hold for.
type Machine struct {
	Processors int               `json:"processors"`
	Model      string            `json:"model,omitempty"`
	System     string            `json:"system"`
	Go         string            `json:"go"`
	Memory     string            `json:"memory,omitempty"`
	Load       string            `json:"load_at_start,omitempty"` // averages of 1, 5 and 15 minutes
	Server     string            `json:"server"`
	Settings   map[string]string `json:"settings"`
}

func (l *lab) machine(ctx context.Context) (Machine, error) {
	m := Machine{Processors: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Settings: map[string]string{}}
	m.Model = field("/proc/cpuinfo", "model name")
	m.Memory = field("/proc/meminfo", "MemTotal")
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	if err := l.dst.QueryRow(ctx, "SELECT version()").Scan(&m.Server); err != nil {
		return m, err
	}
	rows, err := l.dst.Query(ctx, "SELECT name, current_setting(name) FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', "+
		"'shared_buffers', 'max_wal_size', 'min_wal_size', 'checkpoint_timeout', 'autovacuum', 'jit', 'max_parallel_workers_per_gather', 'work_mem', 'maintenance_work_mem')")
	if err != nil {
		return m, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return m, err
		}
		m.Settings[name] = value
	}
	return m, rows.Err()
}

// field reads the first value of a name out of a file of lines "name : value".
func field(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return "" // another system than Linux
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
