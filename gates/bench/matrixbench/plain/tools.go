package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/klauspost/compress/zstd"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"

	"github.com/dpone/dpone/gates/bench/matrixbench/plain/protocol"
)

// tool moves the rows of a job once.
type tool struct {
	name string
	move func(context.Context) error
	// file is what it writes, empty when the target itself is filled.
	file string
}

// The names of families.
const (
	postgres = "postgres"
	sqlite   = "sqlite"
	files    = "file"
)

// tools are the ways to move the rows of a pair. Those of which the program is not there are left out.
func tools(ctx context.Context, p protocol.Pair, j job) ([]tool, error) {
	published := filepath.Join(j.dir, "plain.csv.zst")
	switch p {
	case protocol.Pair{Source: postgres, Sink: postgres}:
		psql, err := findPsql(ctx, j.from.Connection.DSN)
		return []tool{{name: "psql, COPY in binary format through a pipe", move: func(ctx context.Context) error { return binaryPipe(ctx, psql, j) }}}, err
	case protocol.Pair{Source: postgres, Sink: files}:
		psql, err := findPsql(ctx, j.from.Connection.DSN)
		return []tool{{name: "psql, COPY to CSV, zstd", move: func(ctx context.Context) error { return copyToFile(ctx, psql, j, published) }, file: published}}, err
	case protocol.Pair{Source: sqlite, Sink: sqlite}:
		all := []tool{{name: "INSERT SELECT from the attached database, modernc.org/sqlite", move: j.insertSelect}}
		if program, err := exec.LookPath("sqlite3"); err == nil {
			all = append(all, tool{name: "INSERT SELECT from the attached database, sqlite3", move: func(ctx context.Context) error { return j.insertSelectBy(ctx, program) }})
		}
		return all, nil
	}
	read := map[string]reader{postgres: j.readPostgres, sqlite: j.readSQLite, files: j.readParquet}[p.Source]
	reads := map[string]string{postgres: "SELECT through pgconn", sqlite: "SELECT through modernc.org/sqlite", files: "Parquet through arrow-go"}[p.Source]
	t := tool{}
	switch p.Sink {
	case postgres:
		t = tool{name: reads + ", COPY in text format through pgconn", move: func(ctx context.Context) error { return j.writePostgres(ctx, read) }}
	case sqlite:
		t = tool{name: reads + ", INSERT in one transaction through modernc.org/sqlite", move: func(ctx context.Context) error { return j.writeSQLite(ctx, read) }}
	case files:
		t = tool{name: reads + ", CSV, zstd", move: func(ctx context.Context) error { return j.writeCSV(ctx, read, published) }, file: published}
	}
	if read == nil || t.name == "" {
		return nil, fmt.Errorf("no plain tool is known that moves rows from %s to %s", p.Source, p.Sink)
	}
	return []tool{t}, nil
}

// counted looks at what the tool left.
func (t tool) counted(ctx context.Context, j job, target system.Target) (c count, err error) {
	if t.file == "" {
		err = target.Rows(ctx, []fixture.Column{j.columns[0]}, func(row fixture.Row) error { return c.add(row[0].Text) })
		return c, err
	}
	f, err := os.Open(t.file)
	if err != nil {
		return c, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return c, err
	}
	defer z.Close()
	r := csv.NewReader(z)
	r.ReuseRecord = true
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return c, os.Remove(t.file)
		}
		if err != nil {
			return c, err
		}
		if first {
			continue // the header
		}
		if err := c.add(record[0]); err != nil {
			return c, err
		}
	}
}

// table is the name of a table in a statement of PostgreSQL.
func (s side) table() string { return pgx.Identifier{s.Table.Schema, s.Table.Name}.Sanitize() }

// findPsql gives the psql beside the server: the one on the PATH may be a script that chooses a version.
func findPsql(ctx context.Context, dsn string) (string, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing was written
	var dir string
	if err := conn.QueryRow(ctx, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").Scan(&dir); err == nil {
		if path := filepath.Join(dir, "psql"); isProgram(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath("psql")
	if err != nil {
		return "", fmt.Errorf("psql is neither beside the server nor on the PATH; install the client programs of PostgreSQL: %w", err)
	}
	return path, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// psqlCommand runs psql at an address, which it gets by its surroundings.
func psqlCommand(ctx context.Context, program, dsn string, args ...string) (*exec.Cmd, error) {
	c, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-X", "-q", "-v", "ON_ERROR_STOP=1"}, args...)...)
	cmd.Env = append(os.Environ(), "PGHOST="+c.Host, fmt.Sprintf("PGPORT=%d", c.Port), "PGUSER="+c.User, "PGPASSWORD="+c.Password, "PGDATABASE="+c.Database)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// binaryPipe lets one psql write into another, which empties and fills the table in one transaction.
func binaryPipe(ctx context.Context, program string, j job) error {
	from, err := psqlCommand(ctx, program, j.from.Connection.DSN, "-c", "COPY "+j.from.table()+" TO STDOUT (FORMAT binary)")
	if err != nil {
		return err
	}
	to, err := psqlCommand(ctx, program, j.to.Connection.DSN, "-1", "-c", "TRUNCATE "+j.to.table(), "-c", "COPY "+j.to.table()+" FROM STDIN (FORMAT binary)")
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	from.Stdout, to.Stdin = w, r
	err = from.Start()
	if err == nil {
		if err = to.Start(); err != nil {
			err = errors.Join(err, from.Process.Kill(), from.Wait())
		}
	}
	r.Close()
	w.Close()
	if err != nil {
		return err
	}
	return errors.Join(from.Wait(), to.Wait())
}

// copyToFile lets psql write CSV, which is compressed on the way into the file.
func copyToFile(ctx context.Context, program string, j job, path string) error {
	cmd, err := psqlCommand(ctx, program, j.from.Connection.DSN, "-c", "COPY "+j.from.table()+" TO STDOUT (FORMAT csv, HEADER)")
	if err != nil {
		return err
	}
	return compressed(path, func(w io.Writer) error {
		cmd.Stdout = w
		return cmd.Run()
	})
}

// compressed makes a file of what is written, at the level that zstd begins with, as the
// engine has it, and with as many processors as the library takes, which the engine does
// not. The file is on disk when it ends, as it is for SQLite after a commit.
func compressed(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 128<<10)
	z, err := zstd.NewWriter(out)
	if err == nil {
		err = errors.Join(write(z), z.Close(), out.Flush(), f.Sync())
	}
	return errors.Join(err, f.Close())
}

// insertSelect lets SQLite copy the table out of an attached database.
func (j job) insertSelect(ctx context.Context) error {
	return withSQLite(ctx, j.to.Path, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, "ATTACH ? AS source", j.from.Path); err != nil {
			return err
		}
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, statement := range []string{"DELETE FROM main." + j.to.Table.Name, "INSERT INTO main." + j.to.Table.Name + " SELECT * FROM source." + j.from.Table.Name} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		return tx.Commit()
	})
}

// insertSelectBy lets the sqlite3 shell do the same.
func (j job) insertSelectBy(ctx context.Context, program string) error {
	cmd := exec.CommandContext(ctx, program, "-bail", j.to.Path)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("ATTACH '%s' AS source;\nBEGIN;\nDELETE FROM main.%s;\nINSERT INTO main.%s SELECT * FROM source.%s;\nCOMMIT;\n",
		strings.ReplaceAll(j.from.Path, "'", "''"), j.to.Table.Name, j.to.Table.Name, j.from.Table.Name))
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
