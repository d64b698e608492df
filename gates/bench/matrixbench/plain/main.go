// Command plain moves the rows of the matrix's full_refresh cases with plain tools: what
// one would do by hand for a pair of systems, without the engine. It prints one JSON line
// for each tool.
//
//	plain <request.json>
//
// The source is laid out and changed, and the target filled, by the same code that does it
// for the matrix. What is timed is the move alone: from the first statement or process to
// the commit, or until the file is on disk and closed, with the connections that it needs.
// A tool empties the target in the transaction that fills it, as the engine does. After the
// time is taken, the ids in the target are counted and added up: a tool that moved other
// rows has no time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"

	"github.com/dpone/dpone/gates/bench/matrixbench/plain/protocol"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) != 1 {
		return errors.New("usage: plain <request.json>")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var q protocol.Request
	if err := json.Unmarshal(raw, &q); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	s := &systems{scratch: q.Scratch, up: map[string]system.Server{}, missing: map[string]error{}}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	encoder := json.NewEncoder(out)
	for _, p := range q.Pairs {
		answers, err := s.measure(ctx, q, p)
		if err != nil {
			answers = append(answers, protocol.Answer{Problem: err.Error()})
		}
		for _, a := range answers {
			a.Pair = p.Source + "_to_" + p.Sink
			if err := encoder.Encode(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// systems are those that are up.
type systems struct {
	scratch string
	up      map[string]system.Server
	missing map[string]error
}

func (s *systems) close(ctx context.Context) error {
	var err error
	for _, server := range s.up {
		err = errors.Join(err, server.Close(context.WithoutCancel(ctx)))
	}
	return err
}

func (s *systems) get(ctx context.Context, name string) (system.Server, error) {
	if s.up[name] != nil || s.missing[name] != nil {
		return s.up[name], s.missing[name]
	}
	s.missing[name] = fmt.Errorf("the matrix has no family %s", name)
	for _, f := range matrix.Families() {
		if f.Name != name {
			continue
		}
		dir := filepath.Join(s.scratch, "system_"+name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		s.up[name], s.missing[name] = f.Start(ctx, system.Options{Scratch: dir, Getenv: os.Getenv, Log: func(line string) { log.Print(line) }})
		if s.missing[name] != nil {
			delete(s.up, name)
		}
	}
	return s.up[name], s.missing[name]
}

// side is where the rows of one side are, as its manifest tells.
type side struct {
	Path       string
	Connection struct{ DSN string }
	Table      struct{ Schema, Name string }
}

func locate(f system.Fragment) (s side, err error) {
	if err := yaml.Unmarshal([]byte(strings.Join(f.Lines, "\n")), &s); err != nil {
		return s, err
	}
	if file, ok := strings.CutPrefix(s.Connection.DSN, "file:"); ok {
		dsn, err := os.ReadFile(file)
		s.Connection.DSN = strings.TrimSpace(string(dsn))
		return s, err
	}
	return s, nil
}

// job is what a tool has to do.
type job struct {
	columns  []fixture.Column
	from, to side
	dir      string // for files of the tool's own
}

// stage is a pair with its rows laid out.
type stage struct {
	job
	f      *fixture.Fixture
	source system.Source
	target system.Target
}

func (s *stage) close(ctx context.Context) (err error) {
	if s.source != nil {
		err = s.source.Close(context.WithoutCancel(ctx))
	}
	if s.target != nil {
		err = errors.Join(err, s.target.Close(context.WithoutCancel(ctx)))
	}
	return err
}

// open lays out what a full_refresh case finds: a source after its change, and a target with the rows before it.
func (s *systems) open(ctx context.Context, q protocol.Request, p protocol.Pair) (st *stage, err error) {
	st = &stage{}
	from, err := s.get(ctx, p.Source)
	if err != nil {
		return st, err
	}
	to, err := s.get(ctx, p.Sink)
	if err != nil {
		return st, err
	}
	if st.f, err = fixture.New(fixture.Spec{Seed: q.Seed, Rows: q.Rows, Changed: q.Changed, Deleted: q.Deleted, Family: p.Source}); err != nil {
		return st, err
	}
	name := "plain_" + p.Source + "_" + p.Sink
	place := system.Place{Case: name, Strategy: "full_refresh", Dir: filepath.Join(s.scratch, name)}
	if err := os.MkdirAll(place.Dir, 0o700); err != nil {
		return st, err
	}
	st.columns, st.dir = st.f.Columns(), place.Dir
	if st.source, err = from.Source(ctx, st.f, place); err != nil {
		return st, fmt.Errorf("lay out the source: %w", err)
	}
	if st.target, err = to.Target(ctx, st.f, place); err != nil {
		return st, fmt.Errorf("make room for the target: %w", err)
	}
	if _, err := st.target.Seed(ctx); err != nil { // files have no seed, and nothing to empty
		return st, fmt.Errorf("fill the target: %w", err)
	}
	if err := st.source.Change(ctx); err != nil {
		return st, fmt.Errorf("change the source: %w", err)
	}
	if st.from, err = locate(st.source.Manifest()); err != nil {
		return st, err
	}
	st.to, err = locate(st.target.Manifest())
	return st, err
}

// measure times the tools of a pair.
func (s *systems) measure(ctx context.Context, q protocol.Request, p protocol.Pair) (answers []protocol.Answer, err error) {
	st, err := s.open(ctx, q, p)
	defer func() { err = errors.Join(err, st.close(ctx)) }()
	if err != nil {
		return nil, err
	}
	all, err := tools(ctx, p, st.job)
	if err != nil {
		return nil, err
	}
	want := count{}
	for row := range st.f.After() {
		if err := want.add(row[0].Text); err != nil {
			return nil, err
		}
	}
	for _, t := range all {
		a := protocol.Answer{Tool: t.name}
		for range q.Moves {
			took, err := st.timed(ctx, t, want)
			if err != nil {
				a.Seconds, a.Problem = nil, err.Error()
				break
			}
			a.Seconds = append(a.Seconds, took)
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// timed moves the rows once and looks at what came over.
func (s *stage) timed(ctx context.Context, t tool, want count) (seconds float64, err error) {
	began := time.Now()
	err = t.move(ctx)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	got, err := t.counted(ctx, s.job, s.target)
	if err == nil && got != want {
		err = fmt.Errorf("it left %d rows with the sum of ids %d, and not %d with %d", got.rows, got.sum, want.rows, want.sum)
	}
	return took.Seconds(), err
}

// count tells whether the rows came over.
type count struct{ rows, sum int64 }

func (c *count) add(id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	c.rows, c.sum = c.rows+1, c.sum+n
	return err
}
