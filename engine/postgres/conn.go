package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
)

// session pins what text forms depend on, so that the same value has the same text on every server,
// and what a load would stumble over.
const session = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;" +
	" SET bytea_output = 'hex'; SET client_encoding = 'UTF8'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;" +
	" SET standard_conforming_strings = on; SET client_min_messages = warning;" +
	// Compiling a statement that runs once takes longer than it saves.
	" SET jit = off"

// config makes pgx's configuration of a manifest's connection.
func config(c manifest.Connection, secret func(manifest.Secret) (string, error)) (*pgx.ConnConfig, error) {
	var cfg *pgx.ConnConfig
	var err error
	if c.DSN != "" {
		dsn, serr := secret(c.DSN)
		if serr != nil {
			return nil, fmt.Errorf("connection.dsn: %w", serr)
		}
		cfg, err = pgx.ParseConfig(dsn)
		if err != nil {
			// The text of the error repeats parts of the string, which may hold a password.
			return nil, &connector.Error{
				Code: "connection.dsn", Msg: fmt.Sprintf("connection.dsn: what %s holds is no connection string", c.DSN),
				Fix: "it has the form postgres://user@host:5432/database?sslmode=verify-full",
			}
		}
	} else {
		var password string
		if c.Password != "" {
			if password, err = secret(c.Password); err != nil {
				return nil, fmt.Errorf("connection.password: %w", err)
			}
		}
		cfg, err = pgx.ParseConfig(keywords(c))
		if err != nil {
			return nil, connector.Fail("connection.invalid", err, "connection")
		}
		if password != "" {
			cfg.Password = password
		}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 30 * time.Second
	}
	if c.ConnectTimeout > 0 {
		cfg.ConnectTimeout = time.Duration(c.ConnectTimeout) * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "dpone"
	}
	// Temporary tables come and go under the same name, which prepared statements do not survive.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	return cfg, nil
}

// keywords writes libpq's keyword=value form; every value is quoted.
func keywords(c manifest.Connection) string {
	var b strings.Builder
	set := func(k, v string) {
		if v != "" {
			fmt.Fprintf(&b, "%s='%s' ", k, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v))
		}
	}
	set("host", c.Host)
	if c.Port > 0 {
		set("port", strconv.Itoa(c.Port))
	}
	set("dbname", c.Database)
	set("user", c.User)
	set("sslmode", c.SSLMode)
	set("sslrootcert", c.SSLRootCert)
	set("sslcert", c.SSLCert)
	set("sslkey", c.SSLKey)
	return b.String()
}

// Dial connects and pins the session.
func Dial(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, connector.Fail("connection.failed", err, "connect to PostgreSQL")
	}
	if _, err := conn.PgConn().Exec(ctx, session).ReadAll(); err != nil {
		_ = conn.Close(ctx)
		return nil, connector.Fail("connection.failed", err, "set up the session")
	}
	return conn, nil
}

// facts are what the report tells of a server. It says its version when it is connected to.
func facts(conn *pgx.Conn) map[string]string {
	return map[string]string{"family": "postgres", "server_version": conn.PgConn().ParameterStatus("server_version")}
}

// simple runs statements that have no parameters and no result.
func simple(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func qualified(t manifest.Table) string {
	if t.Schema == "" {
		return quote("public") + "." + quote(t.Name)
	}
	return quote(t.Schema) + "." + quote(t.Name)
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// statement gives the text of a query, of the manifest or of the file it names.
func statement(q manifest.Query, dir string) (string, error) {
	text := q.SQL
	if q.SQLFile != "" {
		path := q.SQLFile
		if !strings.HasPrefix(path, "/") {
			path = dir + "/" + path
		}
		b, err := os.ReadFile(path) //nolint:gosec // the manifest names the file
		if err != nil {
			return "", connector.Fail("query.file", err, "source.options.query.sql_file")
		}
		text = string(b)
	}
	return strings.TrimRight(strings.TrimSpace(text), ";"), nil
}

// isCode says whether an error of the server has the SQLSTATE.
func isCode(err error, code string) bool {
	var p *pgconn.PgError
	return errors.As(err, &p) && p.Code == code
}
