// Package postgres lays out, changes and reads back tables of PostgreSQL through
// pgx, on a throwaway server of the run or on servers of the caller.
package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/dpone/dpone/engine/postgres/pgserver"
	"github.com/dpone/dpone/engine/postgres/pgserver/embedded"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

const family = "postgres"

// The variables of the caller's servers. One address serves both sides unless a side has its own.
const (
	bothDSN   = "DPONE_MATRIX_POSTGRES_DSN"
	sourceDSN = "DPONE_MATRIX_POSTGRES_SOURCE_DSN"
	sinkDSN   = "DPONE_MATRIX_POSTGRES_SINK_DSN"
)

// Family is PostgreSQL.
func Family() system.Family {
	f := system.Family{Name: family, Start: start, Secrets: [][]string{{bothDSN}, {sourceDSN, sinkDSN}}}
	f.Declared.Source = fragment("env:SOURCE_DSN", "shop")
	f.Declared.Sink = fragment("env:SINK_DSN", "warehouse")
	f.Declared.Sink.State = "dpone"
	return f
}

func fragment(secret, schema string) system.Fragment {
	return system.Fragment{Lines: []string{
		"type: " + family,
		fmt.Sprintf("connection: {dsn: %q}", secret),
		fmt.Sprintf("table: {schema: %q, name: %q}", schema, table),
	}}
}

type server struct {
	local        *pgserver.Server // nil when the servers are the caller's
	source, sink *endpoint
	facts        system.Facts
}

// Alive asks both sides.
func (s *server) Alive(ctx context.Context) error {
	_, err := s.ask(ctx)
	return err
}

func start(ctx context.Context, o system.Options) (_ system.Server, err error) {
	s := &server{}
	if o.Live {
		err = s.live(o)
	} else {
		err = s.throwaway(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	if s.facts, err = s.ask(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// throwaway starts a server of the run's own.
func (s *server) throwaway(ctx context.Context, o system.Options) error {
	options := pgserver.FromEnvironment()
	options.Fallback = embedded.Start
	options.Durable = o.Durable
	options.Log = o.Log
	options.Settings = map[string]string{
		"wal_level": "logical", "max_replication_slots": "100", "max_wal_senders": "100", "max_connections": "200",
	}
	var err error
	s.local, err = pgserver.Start(ctx, options)
	if errors.Is(err, pgserver.ErrNoServer) {
		return fmt.Errorf("%w: %w", system.ErrUnavailable, err)
	}
	if err != nil {
		return err
	}
	s.source = newEndpoint(s.local.DSN(), o.Durable)
	s.sink = s.source
	return nil
}

// live takes the caller's servers.
func (s *server) live(o system.Options) error {
	get := func(name string) string {
		if v := o.Getenv(name); v != "" {
			return v
		}
		return o.Getenv(bothDSN)
	}
	from, to := get(sourceDSN), get(sinkDSN)
	if from == "" || to == "" {
		return fmt.Errorf("%w: set %s, or %s and %s, to the addresses of the servers", system.ErrUnavailable, bothDSN, sourceDSN, sinkDSN)
	}
	s.source = newEndpoint(from, true)
	s.sink = s.source
	if to != from {
		s.sink = newEndpoint(to, true)
	}
	return nil
}

// ask lets the servers say what they are.
func (s *server) ask(ctx context.Context) (system.Facts, error) {
	facts := system.Facts{Family: family}
	for _, e := range []*endpoint{s.source, s.sink} {
		version, err := e.value(ctx, "SELECT current_setting('server_version')")
		if err != nil {
			return facts, fmt.Errorf("%s: %w", family, err)
		}
		full, err := e.value(ctx, "SELECT version()")
		if err != nil {
			return facts, fmt.Errorf("%s: %w", family, err)
		}
		// Other systems speak the same protocol, and version() is where they tell their name.
		name, _, _ := strings.Cut(full, " ")
		if facts.System == "" {
			facts.System, facts.Version = name, version
		} else if facts.System != name || facts.Version != version {
			facts.System, facts.Version = facts.System+" and "+name, "source "+facts.Version+", sink "+version
		}
		if s.source == s.sink {
			break
		}
	}
	return facts, nil
}

func (s *server) Facts() system.Facts { return s.facts }

// Close drops the templates on servers of the caller, and ends the run's own.
func (s *server) Close(ctx context.Context) error {
	if s.local != nil {
		return s.local.Stop(ctx)
	}
	err := s.source.close(ctx)
	if s.sink != s.source {
		err = errors.Join(err, s.sink.close(ctx))
	}
	return err
}

func (s *server) Source(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Source, error) {
	return newSource(ctx, s.source, f, p)
}

func (s *server) Target(ctx context.Context, f *fixture.Fixture, p system.Place) (system.Target, error) {
	return newTarget(ctx, s.sink, f, p)
}

// token tells the things of one run from those of another on a shared server.
func token() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
