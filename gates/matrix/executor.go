package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/system"
)

// Executor carries out cases on the systems of one run. Its methods are safe for use by several goroutines.
type Executor struct {
	mode       cases.Mode
	connectors []connector.Connector
	servers    map[string]system.Server
	started    []system.Server  // each once, also one that stands in for others
	missing    map[string]error // families that could not be started
	fixtures   map[string]*fixture.Fixture
	declared   map[string]struct{ Source, Sink system.Fragment }
	scratch    string
	root       string
	turn       sync.RWMutex
	crash      func(ctx context.Context, id string) (connector.Point, error)
}

// Setup is what an executor works with.
type Setup struct {
	Mode cases.Mode
	// Connectors are the engine's families and Families the matrix's own knowledge of them.
	Connectors []connector.Connector
	Families   []system.Family
	// Volume are the rows of every case.
	Volume cases.Volume
	// Scratch is a folder for everything that is made; Root the source tree, in which the guides are, empty when none are asked for.
	Scratch, Root string
	Getenv        func(string) string
	Log           func(string)
	// Crash runs the engine on load.yaml in the folder of a case below Scratch, in a process of its own, kills it, and says
	// at which point; empty when the run was over before. For real_local.
	Crash func(ctx context.Context, id string) (connector.Point, error)
}

// standIn is the embedded family that stands in for servers in mock_contract.
const standIn = "sqlite"

// Start brings up what the cases need. A family that cannot be had is remembered with its
// reason, and its cases are UNVERIFIED.
func Start(ctx context.Context, s Setup, selected []cases.Case) (e *Executor, err error) {
	e = &Executor{
		mode: s.Mode, connectors: s.Connectors, servers: map[string]system.Server{}, missing: map[string]error{},
		fixtures: map[string]*fixture.Fixture{}, declared: map[string]struct{ Source, Sink system.Fragment }{}, scratch: s.Scratch, root: s.Root, crash: s.Crash,
	}
	for _, f := range s.Families {
		e.declared[f.Name] = f.Declared
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close(ctx))
		}
	}()
	for _, c := range selected {
		for _, name := range []string{c.Source, c.Sink} {
			if err := e.start(ctx, s, name); err != nil {
				return e, err
			}
		}
		if e.fixtures[c.Source] == nil {
			f, err := fixture.New(fixture.Spec{Seed: s.Volume.Seed, Rows: s.Volume.Rows, Changed: s.Volume.Changed, Deleted: s.Volume.Deleted, Family: c.Source})
			if err != nil {
				return e, err
			}
			e.fixtures[c.Source] = f
		}
	}
	return e, nil
}

func (e *Executor) start(ctx context.Context, s Setup, name string) error {
	if _, tried := e.missing[name]; tried || e.servers[name] != nil {
		return nil
	}
	family := name
	if e.mode == cases.MockContract && e.needsService(name) {
		family = standIn
	}
	i := slices.IndexFunc(s.Families, func(f system.Family) bool { return f.Name == family })
	if i < 0 {
		e.missing[name] = fmt.Errorf("%w: the matrix cannot lay out and read back %s: give its system.Family", system.ErrUnavailable, family)
		return nil
	}
	if family != name && e.servers[family] != nil {
		e.servers[name] = stoodIn{e.servers[family], name}
		return nil
	}
	dir := filepath.Join(s.Scratch, "system_"+name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	server, err := s.Families[i].Start(ctx, system.Options{
		Scratch: dir, Durable: e.mode == cases.RealLocal, Live: e.mode == cases.VendorLive, Getenv: s.Getenv, Log: s.Log,
	})
	if errors.Is(err, system.ErrUnavailable) {
		e.missing[name] = err
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	e.started = append(e.started, server)
	if family != name {
		server = stoodIn{server, name}
	}
	e.servers[name] = server
	return nil
}

// needsService says whether a family has a server that must run.
func (e *Executor) needsService(name string) bool {
	i := slices.IndexFunc(e.connectors, func(c connector.Connector) bool { return c.Name == name })
	if i < 0 {
		return false
	}
	c := e.connectors[i]
	return c.Source != nil && c.Source.Needs.Service != "" || c.Sink != nil && c.Sink.Needs.Service != ""
}

// stoodIn is an embedded system in the place of a server family.
type stoodIn struct {
	system.Server
	family string
}

// Facts name both.
func (s stoodIn) Facts() system.Facts {
	f := s.Server.Facts()
	f.StandIn = s.family
	return f
}

// Facts are those of the systems that are up, by family.
func (e *Executor) Facts() map[string]system.Facts {
	facts := map[string]system.Facts{}
	for name, s := range e.servers {
		facts[name] = s.Facts()
	}
	return facts
}

// Close ends all systems.
func (e *Executor) Close(ctx context.Context) error {
	var err error
	for _, s := range e.started {
		err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return err
}

// Each carries out cases, several at once, and hands every result over as it comes.
func (e *Executor) Each(ctx context.Context, selected []cases.Case, jobs int, each func(result.Case)) {
	queue := make(chan cases.Case)
	var all sync.WaitGroup
	var one sync.Mutex
	for range max(jobs, 1) {
		all.Go(func() {
			for c := range queue {
				r := e.Run(ctx, c)
				one.Lock()
				each(r)
				one.Unlock()
			}
		})
	}
	for _, c := range selected {
		queue <- c
	}
	close(queue)
	all.Wait()
}
