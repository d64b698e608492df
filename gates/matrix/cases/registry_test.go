package cases_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/matrix/cases"
)

// family declares an invented connector; a side without modes is not there.
func family(name string, needs connector.Needs, feeds, takes []manifest.Mode) connector.Connector {
	c := connector.Connector{Name: name}
	if feeds != nil {
		c.Source = &connector.SourceCapabilities{Needs: needs, Modes: feeds}
	}
	if takes != nil {
		c.Sink = &connector.SinkCapabilities{Needs: needs, Modes: takes}
	}
	return c
}

type modes = []manifest.Mode

// invented are families that no release of the engine changes: a server, an embedded
// store, a feed of events and a vendor's warehouse that is written to only.
func invented() []connector.Connector {
	return []connector.Connector{
		family("server", connector.Needs{Service: "serverd", Credentials: true}, manifest.Modes(), manifest.Modes()),
		family("store", connector.Needs{}, modes{manifest.SCD2, manifest.FullRefresh}, modes{manifest.FullRefresh, manifest.SCD2}),
		family("feed", connector.Needs{Service: "broker"}, modes{manifest.IncrementalAppend}, nil),
		family("warehouse", connector.Needs{Credentials: true}, nil, modes{manifest.IncrementalAppend, manifest.FullRefresh, manifest.XMin}),
	}
}

func registry(t *testing.T, list []connector.Connector) []cases.Case {
	t.Helper()
	all, err := cases.Registry(list)
	assert.NilError(t, err)
	return all
}

func ids(list []cases.Case) []string {
	out := []string{}
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}

func TestRegistryFollowsTheCapabilities(t *testing.T) {
	t.Parallel()
	all := registry(t, invented())
	assert.DeepEqual(t, ids(all)[10:], []string{
		"server_to_store__full_refresh", "server_to_store__scd2",
		"server_to_warehouse__full_refresh", "server_to_warehouse__incremental_append", "server_to_warehouse__xmin",
		"store_to_server__full_refresh", "store_to_server__scd2",
		"store_to_store__full_refresh", "store_to_store__scd2",
		"store_to_warehouse__full_refresh",
		"feed_to_server__incremental_append",
		"feed_to_warehouse__incremental_append",
	})
	for i, mode := range manifest.Modes() {
		assert.Equal(t, all[i].ID, "server_to_server__"+string(mode))
	}
	assert.DeepEqual(t, all[0], cases.Case{
		ID: "server_to_server__full_refresh", Pair: "server_to_server", Source: "server", Sink: "server", Strategy: manifest.FullRefresh,
		Guide: "docs/strategies/full_refresh.md", Services: []string{"serverd"}, Profiles: []string{"server_local"}, LiveProfiles: []string{"server_live"},
	})
	assert.DeepEqual(t, all[len(all)-1], cases.Case{
		ID: "feed_to_warehouse__incremental_append", Pair: "feed_to_warehouse", Source: "feed", Sink: "warehouse", Strategy: manifest.IncrementalAppend,
		Guide: "docs/strategies/incremental_append.md", Services: []string{"broker"},
		Profiles: []string{"feed_local", "warehouse_local"}, LiveProfiles: []string{"feed_live", "warehouse_live"},
		Credentials: true, // there is no server that could be started
	})
	assert.DeepEqual(t, all[len(all)-2].Services, []string{"broker", "serverd"})
	assert.Assert(t, all[17].Services != nil, "none is an empty list in JSON, not null")
}

func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	both := func(name string) connector.Connector {
		return family(name, connector.Needs{}, modes{manifest.SCD2}, modes{manifest.SCD2})
	}
	odd := both("odd")
	odd.Source.Modes = append(odd.Source.Modes, "upsert")
	oddSink := both("odd")
	oddSink.Sink.Modes = append(oddSink.Sink.Modes, "upsert")
	for name, c := range map[string]struct {
		list []connector.Connector
		want []string
	}{
		"no connector":        {nil, []string{"none of 0 connectors is a source", "none of 0 connectors is a sink"}},
		"no sink":             {[]connector.Connector{family("a", connector.Needs{}, modes{manifest.CDC}, nil)}, []string{"none of 1 connectors is a sink", `"a": no sink takes`}},
		"no source":           {[]connector.Connector{family("a", connector.Needs{}, nil, modes{manifest.CDC})}, []string{"none of 1 connectors is a source", `"a": no source feeds`}},
		"two of a name":       {[]connector.Connector{both("a"), both("b"), both("a")}, []string{`connector 2: the name "a" is taken`}},
		"no name":             {[]connector.Connector{both("")}, []string{`name "" is not made of`}},
		"capital":             {[]connector.Connector{both("MySQL"), both("my-sql"), both("a,b"), both("é"), both("a\n")}, []string{`"MySQL"`, `"my-sql"`, `"a,b"`, `"é"`, `"a\n"`}},
		"neither side":        {[]connector.Connector{both("a"), {Name: "b"}}, []string{`"b" is neither source nor sink`}},
		"unknown strategy":    {[]connector.Connector{odd}, []string{`"odd": its source feeds "upsert"`}},
		"unknown in a sink":   {[]connector.Connector{oddSink}, []string{`"odd": its sink takes "upsert"`}},
		"a sink nobody feeds": {[]connector.Connector{both("a"), family("b", connector.Needs{}, nil, modes{manifest.CDC})}, []string{`"b": no source feeds any strategy`}},
		"a sink that takes nothing": {
			[]connector.Connector{both("a"), family("b", connector.Needs{}, nil, modes{})}, []string{`"b": no source feeds any strategy`},
		},
		"names that run together": {
			[]connector.Connector{both("a"), both("b_to_c"), both("a_to_b"), both("c")}, []string{"two cases would have the ID a_to_b_to_c__scd2"},
		},
	} {
		all, err := cases.Registry(c.list)
		assert.Check(t, all == nil, name)
		for _, want := range c.want {
			assert.Check(t, is.ErrorContains(err, want), name)
		}
	}
}

// TestForeignFamilyNeedsNoChangeHere registers a family of another module.
func TestForeignFamilyNeedsNoChangeHere(t *testing.T) {
	t.Parallel()
	own := connectors.All()
	before := registry(t, own)
	foreign := family("quux9", connector.Needs{Service: "quuxd"}, modes{manifest.FullRefresh, manifest.XMin}, modes{manifest.FullRefresh, manifest.CDC})
	after := registry(t, append(own, foreign))
	var added []cases.Case
	for _, c := range after {
		if !slices.Contains(ids(before), c.ID) {
			added = append(added, c)
			assert.Assert(t, c.Source == "quux9" || c.Sink == "quux9", c.ID)
			assert.Assert(t, slices.Contains(c.Services, "quuxd"))
			assert.Assert(t, slices.Contains(c.Profiles, "quux9_local") && slices.Contains(c.LiveProfiles, "quux9_live"))
		}
	}
	assert.Equal(t, len(added), len(after)-len(before), "no case of the others is gone")
	for _, want := range []string{"postgres_to_quux9__full_refresh", "postgres_to_quux9__cdc", "quux9_to_postgres__xmin", "quux9_to_file__full_refresh", "quux9_to_quux9__full_refresh"} {
		assert.Check(t, is.Contains(ids(added), want))
	}
	for _, shown := range []string{cases.Table(after), cases.Page(after)} {
		for _, c := range added {
			assert.Check(t, is.Contains(shown, c.ID))
		}
	}
}

func TestGuidesAreThere(t *testing.T) {
	t.Parallel()
	for _, c := range registry(t, connectors.All()) {
		_, err := os.Stat(filepath.Join("..", "..", "..", filepath.FromSlash(c.Guide)))
		assert.Check(t, err)
	}
}

var errReached = errors.New("the pair was accepted, and the source would be opened now")

// TestTheEngineAgrees asks the engine itself about every source, sink and strategy:
// what is in the registry gets as far as to the opening of its source, and everything
// else is refused before that.
func TestTheEngineAgrees(t *testing.T) {
	t.Parallel()
	list := append(connectors.All(), family("foreign", connector.Needs{}, modes{manifest.FullRefresh, manifest.XMin}, modes{manifest.CDC, manifest.FullRefresh}))
	for i := range list {
		list[i].OpenSource = func(context.Context, *manifest.Manifest, connector.Env) (connector.Source, error) {
			return nil, errReached
		}
		list[i].OpenSink = func(context.Context, *manifest.Manifest, connector.Env) (connector.Sink, error) {
			return nil, errReached
		}
	}
	all := ids(registry(t, list))
	accepted := 0
	for _, source := range list {
		for _, sink := range list {
			for _, mode := range manifest.Modes() {
				m := process(t, source.Name, sink.Name, mode)
				_, err := engine.Run(t.Context(), m, engine.Options{Connectors: list})
				id := fmt.Sprintf("%s_to_%s__%s", source.Name, sink.Name, mode)
				if slices.Contains(all, id) {
					accepted++
					assert.Check(t, errors.Is(err, errReached), "%s: %v", id, err)
					continue
				}
				code := engine.Code(err)
				want := "strategy.source"
				if slices.Contains(source.Source.Modes, mode) {
					want = "strategy.sink"
				}
				assert.Check(t, code == want || code == "manifest.invalid", "%s: %s %v", id, code, err)
			}
		}
	}
	assert.Equal(t, accepted, len(all))
}

// process is a manifest that is right in everything but, perhaps, its pair.
func process(t *testing.T, source, sink string, mode manifest.Mode) *manifest.Manifest {
	t.Helper()
	side := map[string]string{
		"postgres": "type: postgres\n  connection: {dsn: env:NOWHERE}\n  table: {name: %s}",
		"sqlite":   "type: sqlite\n  path: %s.db\n  table: {name: rows}",
		"file":     "type: file\n  path: %s",
		"foreign":  "type: sqlite\n  path: %s.db\n  table: {name: rows}",
	}
	strategy := map[manifest.Mode]string{
		manifest.IncrementalAppend: "unique_key: id", manifest.IncrementalMerge: "unique_key: id", manifest.SnapshotDiff: "unique_key: id",
		manifest.SCD2: "unique_key: id", manifest.XMin: "unique_key: id", manifest.CDC: "unique_key: id",
		manifest.Replace: "custom_predicate: id > 1", manifest.PartitionReplace: "partition: {column: day}",
		manifest.Backfill: "backfill: {column: day, chunk_size: 1d}\n    unique_key: id",
	}
	var options string
	switch mode {
	case manifest.IncrementalAppend:
		options += "    incremental_column: at\n"
	case manifest.CDC:
		options += "    cdc: {slot: s, publication: p}\n"
	}
	if source == "file" {
		options += "    format: csv\n"
	}
	text := "name: agree\nsource:\n  " + fmt.Sprintf(side[source], "a") + "\n"
	if options != "" {
		text += "  options:\n" + options
	}
	text += "sink:\n  " + fmt.Sprintf(side[sink], "b") + "\n"
	if sink == "file" {
		text += "  options: {format: csv}\n"
	}
	text += "  strategy:\n    mode: " + string(mode) + "\n"
	if s := strategy[mode]; s != "" {
		text += "    " + s + "\n"
	}
	m, err := manifest.Parse("agree.yaml", []byte(text))
	var problems *manifest.Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	if m == nil { // the engine refuses it for the same reason; it must be about the pair
		assert.Assert(t, strings.Contains(err.Error(), "does not use it"), "%v\n%s", err, text)
		m = &manifest.Manifest{Name: "agree", Source: manifest.Source{Type: source}, Sink: manifest.Sink{Type: sink, Strategy: manifest.Strategy{Mode: mode}}}
	}
	if source == "foreign" {
		m.Source.Type = source
	}
	if sink == "foreign" {
		m.Sink.Type = sink
	}
	return m
}
