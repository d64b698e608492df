package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// table is the name of the table on both sides.
const table = "orders"

type source struct {
	e      *endpoint
	f      *fixture.Fixture
	p      system.Place
	schema string
	secret string
}

func newSource(ctx context.Context, e *endpoint, f *fixture.Fixture, p system.Place) (system.Source, error) {
	s := &source{e: e, f: f, p: p, schema: name("matrix_src_", p.Case)}
	if p.Strategy == "cdc" {
		if err := e.wantsLogical(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if s.secret, err = e.secretFile(p.Dir, "source.dsn", application(p)); err != nil {
		return nil, err
	}
	from, err := e.template(ctx, f, before)
	if err != nil {
		return nil, err
	}
	// What has no log cannot be followed by it.
	head := "CREATE UNLOGGED TABLE "
	if e.permanent || p.Strategy == "cdc" {
		head = "CREATE TABLE "
	}
	if err := e.clear(ctx, s.schema); err != nil {
		return nil, err
	}
	if err := e.exec(ctx, layOut(head, s.schema, from, true)...); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// application names the sessions of the engine in a case.
func application(p system.Place) string { return name("dpone_matrix_", p.Case) }

// clear makes an empty schema.
func (e *endpoint) clear(ctx context.Context, schema string) error {
	return e.exec(ctx, "DROP SCHEMA IF EXISTS "+quote(schema)+" CASCADE", "CREATE SCHEMA "+quote(schema))
}

// layOut makes the case's table from a template.
func layOut(head, schema, from string, key bool) []string {
	t := quote(schema, table)
	statements := []string{head + t + " (LIKE " + from + ")", "INSERT INTO " + t + " SELECT * FROM " + from}
	if key {
		statements = append(statements, "ALTER TABLE "+t+" ADD PRIMARY KEY ("+quote(fixture.ID)+")")
	}
	return append(statements, "ANALYZE "+t+" ("+quote(fixture.ID)+")")
}

func (s *source) Manifest() system.Fragment { return fragment("file:"+s.secret, s.schema) }

func (s *source) Change(ctx context.Context) error {
	from, err := s.e.template(ctx, s.f, delta)
	if err != nil {
		return err
	}
	t := quote(s.schema, table)
	if s.p.Events {
		return s.e.exec(ctx, "TRUNCATE "+t, "INSERT INTO "+t+" SELECT * FROM "+from)
	}
	return s.e.exec(ctx, change(t, from, s.f.Columns())...)
}

// change gives the statements that bring a table from Before to After; delta has the tombstones beside the rows of After.
func change(t, delta string, columns []fixture.Column) []string {
	id, variant := quote(fixture.ID), quote(fixture.Variant)
	set := make([]string, 0, len(columns))
	for _, c := range columns {
		n := quote(c.Name)
		switch {
		case c.Name == fixture.ID:
		case slices.Contains([]fixture.Kind{fixture.Text, fixture.Bytes, fixture.JSON}, c.Kind) && c.Length == 0:
			// A long value that stays is not written again, as with an UPDATE that does not name it.
			set = append(set, fmt.Sprintf("%s = CASE WHEN o.%s::text IS NOT DISTINCT FROM d.%s::text THEN o.%s ELSE d.%s END", n, n, n, n, n))
		default:
			set = append(set, n+" = d."+n)
		}
	}
	is := func(v fixture.Version) string { return "d." + variant + " = " + strconv.Itoa(int(v)) }
	return []string{
		"BEGIN",
		"DELETE FROM " + t + " o USING " + delta + " d WHERE o." + id + " = d." + id + " AND " + is(fixture.Tombstone),
		"UPDATE " + t + " o SET " + strings.Join(set, ", ") + " FROM " + delta + " d WHERE o." + id + " = d." + id + " AND " + is(fixture.After),
		"INSERT INTO " + t + " SELECT d.* FROM " + delta + " d WHERE " + is(fixture.After) + " AND NOT EXISTS (SELECT 1 FROM " + t + " o WHERE o." + id + " = d." + id + ")",
		"COMMIT",
	}
}

// Close drops the case's schema, and the slot and the publication of cdc, which would hold back the server's log.
func (s *source) Close(ctx context.Context) error {
	return errors.Join(
		s.e.dropSlot(ctx, "dpone_"+s.p.Case),
		s.e.exec(ctx, "DROP PUBLICATION IF EXISTS "+quote("dpone_"+s.p.Case), "DROP SCHEMA IF EXISTS "+quote(s.schema)+" CASCADE"),
	)
}

// dropSlot waits a little for a reader that is just letting go, and then ends it.
func (e *endpoint) dropSlot(ctx context.Context, slot string) error {
	const there = " FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()"
	var failed error
	for try := 0; ; try++ {
		left, err := e.value(ctx, "SELECT slot_name"+there, slot)
		if err != nil || left == "" {
			return err
		}
		if try == 100 {
			return errors.Join(fmt.Errorf("the replication slot %s cannot be dropped", slot), failed)
		}
		if try > 10 {
			if _, err := e.texts(ctx, "SELECT pg_terminate_backend(active_pid)"+there+" AND active", slot); err != nil {
				return err
			}
		}
		if try > 0 {
			if _, err := e.texts(ctx, "SELECT pg_sleep(0.05)"); err != nil {
				return err
			}
		}
		_, failed = e.texts(ctx, "SELECT pg_drop_replication_slot(slot_name)"+there+" AND NOT active", slot)
	}
}
