package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// scratchPrefix begins the name of each database that is made on an external
// server: the prefix, 12 random characters, and for further databases "_" and
// the name that the caller gave.
const (
	scratchPrefix = "dpone_scratch_"
	scratchLength = len(scratchPrefix) + 12
	maxIdentifier = 63 // bytes (NAMEDATALEN - 1)
)

// external is the part of a server that somebody else runs that is ours.
//
// While it lives it holds a session with an advisory lock on the scratch name.
// When the process dies the server ends the session and with it the lock, so
// that the next Start sees that the databases of that name have no owner and
// drops them.
type external struct {
	address string
	scratch string
	keeper  *pgx.Conn

	mu    sync.Mutex // guards keeper and names
	names map[string]string
}

func startExternal(ctx context.Context, opts Options) (*Server, error) {
	if _, err := pgx.ParseConfig(opts.DSN); err != nil {
		return nil, fmt.Errorf("address of the external PostgreSQL server: %w", err)
	}
	conn, err := pgx.Connect(ctx, opts.DSN)
	if err != nil {
		return nil, fmt.Errorf("external PostgreSQL server (DPONE_IT_PG_DSN): %w", err)
	}
	e := &external{
		address: opts.DSN,
		scratch: scratchPrefix + strings.ToLower(rand.Text()[:12]),
		keeper:  conn,
		names:   map[string]string{},
	}
	if err := e.sweep(ctx, opts); err != nil {
		opts.say("%v", err) // what others left is no reason to fail
	}
	_, err = conn.Exec(ctx, "select pg_advisory_lock(hashtextextended($1, 0))", e.scratch)
	if err == nil {
		err = e.createAs(ctx, e.scratch)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("scratch database on the external server: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	opts.say("using an external server, database %s", e.scratch)
	return &Server{opts: opts, external: e}, nil
}

// sweep drops the databases of processes that died.
func (e *external) sweep(ctx context.Context, opts Options) error {
	rows, err := e.keeper.Query(ctx, "select datname from pg_database where starts_with(datname, $1) order by datname", scratchPrefix)
	if err != nil {
		return fmt.Errorf("look for abandoned databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look for abandoned databases: %w", err)
	}
	for _, name := range names {
		if len(name) < scratchLength {
			continue
		}
		var free bool
		key := name[:scratchLength]
		if err := e.keeper.QueryRow(ctx, "select pg_try_advisory_lock(hashtextextended($1, 0))", key).Scan(&free); err != nil {
			return fmt.Errorf("look for abandoned databases: %w", err)
		}
		if !free {
			continue
		}
		err := dropDatabase(ctx, e.keeper, name)
		if _, unlock := e.keeper.Exec(ctx, "select pg_advisory_unlock(hashtextextended($1, 0))", key); unlock != nil {
			err = errors.Join(err, unlock)
		}
		if err != nil {
			return fmt.Errorf("drop the abandoned database %s: %w", name, err)
		}
		opts.say("dropped the abandoned database %s", name)
	}
	return nil
}

func (e *external) createAs(ctx context.Context, name string) error {
	_, err := e.keeper.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()+" template template0")
	return err
}

func (e *external) create(ctx context.Context, name string) error {
	physical := e.scratch + "_" + name
	if len(physical) > maxIdentifier {
		return fmt.Errorf("create database %q: the name has %d bytes, and on an external server at most %d fit", name, len(name), maxIdentifier-scratchLength-1)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.createAs(ctx, physical); err != nil {
		return fmt.Errorf("create database %q: %w", name, err)
	}
	e.names[name] = physical
	return nil
}

func (e *external) drop(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	physical, ours := e.names[name]
	if !ours {
		return fmt.Errorf("drop database %q: it was not made here", name)
	}
	if err := dropDatabase(ctx, e.keeper, physical); err != nil {
		return fmt.Errorf("drop database %q: %w", name, err)
	}
	delete(e.names, name)
	return nil
}

func (e *external) physical(name string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if physical, ours := e.names[name]; ours {
		return physical
	}
	return name
}

// dsn is the given address with another database.
func (e *external) dsn(database string) string {
	if strings.HasPrefix(e.address, "postgres://") || strings.HasPrefix(e.address, "postgresql://") {
		if address, err := url.Parse(e.address); err == nil {
			query := address.Query()
			query.Del("dbname")
			query.Del("database")
			address.Path, address.RawPath, address.RawQuery = "/"+database, "", query.Encode()
			return address.String()
		}
	}
	// Of a keyword that stands twice the last one counts.
	return e.address + " dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

func (e *external) tcpDSN() string {
	config, err := pgx.ParseConfig(e.address)
	if err != nil || strings.HasPrefix(config.Host, "/") || strings.HasPrefix(config.Host, "@") {
		return ""
	}
	return e.dsn(e.scratch)
}

// stop drops the databases and says goodbye. It uses a session of its own when
// the keeper is lost.
func (e *external) stop(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A context that has ended must not leave databases behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	if e.keeper.IsClosed() {
		conn, err := pgx.Connect(ctx, e.address)
		if err != nil {
			return fmt.Errorf("drop the scratch database %s: %w", e.scratch, err)
		}
		e.keeper = conn
	}
	var failed error
	for _, name := range append(slices.Sorted(maps.Values(e.names)), e.scratch) {
		if err := dropDatabase(ctx, e.keeper, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("drop the scratch database %s: %w", name, err))
		}
	}
	return errors.Join(failed, e.keeper.Close(ctx))
}
