//go:build unix

package pgserver

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"
)

func TestCrashAndRestart(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, Options{TCP: true})
	dsn := s.TCPDSN()
	run(t, dsn, "create table kept as select 42 as a")
	run(t, dsn, "alter system set work_mem = '7MB'")

	assert.NilError(t, s.Restart(t.Context()))
	assert.Equal(t, ask[string](t, dsn, "show work_mem"), "7MB")

	run(t, dsn, "insert into kept values (43)")
	assert.NilError(t, s.Kill())
	assert.ErrorContains(t, withConn(t.Context(), dsn, func(*pgx.Conn) error { return nil }), "refused")
	assert.NilError(t, s.StartAgain(t.Context()))
	assert.Equal(t, ask[int64](t, dsn, "select count(*) from kept"), int64(2))
	log, err := os.ReadFile(s.LogFile())
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(log), "automatic recovery in progress"))

	assert.ErrorContains(t, s.StartAgain(t.Context()), "it is running")
	assert.NilError(t, s.StopKeep(t.Context()))
	_, err = s.Do(t.Context(), "pg_resetwal", "--epoch=1", s.DataDir())
	assert.NilError(t, err)
	assert.NilError(t, s.StartAgain(t.Context()))
	assert.Assert(t, ask[int64](t, dsn, "select txid_current()") >= 1<<32)
}

func TestDo(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, Options{})
	out, err := s.Do(t.Context(), "psql", "-XAtc", "select current_user")
	assert.NilError(t, err)
	assert.Equal(t, string(out), "postgres\n")
	_, err = s.Do(t.Context(), "psql", "-Xc", "select no_such_column")
	assert.ErrorContains(t, err, "run psql: exit status 1: ERROR:")
	assert.ErrorContains(t, err, "no_such_column")
	_, err = s.Do(t.Context(), "no_such_program")
	assert.ErrorContains(t, err, "run no_such_program")
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, Options{})
	backups := t.TempDir() // a folder that the account of the server cannot reach
	run(t, s.DSN(), "create table kept as select 1 as a")
	identifier := ask[int64](t, s.DSN(), "select system_identifier from pg_control_system()")

	running, stopped := filepath.Join(backups, "running"), filepath.Join(backups, "stopped")
	assert.NilError(t, s.Backup(t.Context(), running))
	assert.ErrorContains(t, s.Backup(t.Context(), running), "exists already")
	run(t, s.DSN(), "insert into kept values (2)")
	assert.NilError(t, s.StopKeep(t.Context()))
	assert.NilError(t, s.Backup(t.Context(), stopped))
	assert.NilError(t, s.StartAgain(t.Context()))
	run(t, s.DSN(), "insert into kept values (3)")

	assert.ErrorContains(t, s.Restore(t.Context(), backups), "not a backup")
	for _, test := range []struct {
		from string
		rows int64
	}{{running, 1}, {stopped, 2}} {
		assert.NilError(t, s.Restore(t.Context(), test.from))
		assert.NilError(t, s.StartAgain(t.Context()))
		assert.Equal(t, ask[int64](t, s.DSN(), "select count(*) from kept"), test.rows)
		assert.Equal(t, ask[int64](t, s.DSN(), "select system_identifier from pg_control_system()"), identifier)
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	s, _ := begin(t, Options{TCP: true})
	assert.NilError(t, s.StopKeep(t.Context()))
	listener, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(s.port))
	assert.NilError(t, err)
	defer listener.Close()
	taken := s.port

	err = s.StartAgain(t.Context()) // the address must stay the same
	assert.ErrorContains(t, err, "Address already in use")

	assert.NilError(t, s.launch(t.Context())) // a first start takes another port
	assert.Assert(t, s.port != taken)
}

func TestLongFolderHasItsSocketElsewhere(t *testing.T) {
	t.Parallel()
	need(t)
	dir := filepath.Join(reachable(t), strings.Repeat("long", 25))
	assert.NilError(t, os.Mkdir(dir, 0o755))
	s, _ := begin(t, Options{Dir: dir})
	assert.Equal(t, ask[int](t, s.DSN(), "select 1"), 1)
	sockets := s.sockets
	assert.Assert(t, !strings.HasPrefix(sockets, dir))
	assert.NilError(t, s.Stop(t.Context()))
	_, err := os.Stat(sockets)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Assert(t, isEmpty(dir))
}
