// Package system is what the matrix does to a system besides running the engine on
// it: it starts one, lays out a source, changes it, and reads a target back. All of
// that goes through the system's plain driver or program; what is read back was
// never in the hands of the engine's code.
package system

import (
	"context"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// Family is one family of systems.
type Family struct {
	// Name is the connector's name.
	Name string
	// Start brings up what the cases of a run share. ErrUnavailable says that it cannot be had here.
	Start func(context.Context, Options) (Server, error)
	// Secrets are the sets of variables of which vendor_live needs one, by name.
	Secrets [][]string
	// Declared are the two sides of a manifest as a user would write them, with no system behind them.
	Declared struct{ Source, Sink Fragment }
}

// Options of a start.
type Options struct {
	// Scratch is a folder for everything that is made; the caller removes it.
	Scratch string
	// Durable leaves everything on that makes a commit safe.
	Durable bool
	// Live connects to the caller's endpoints and starts nothing. Getenv reads their addresses.
	Live   bool
	Getenv func(string) string
	// Log takes a line on what happens.
	Log func(string)
}

// Facts name the system that cases really talked to.
type Facts struct {
	Family  string `json:"family"`
	System  string `json:"system"`  // for example PostgreSQL, SQLite, files
	Version string `json:"version"` // as the system itself says
	// StandIn names the family that the system stands in for, empty when it is the one that was asked for.
	StandIn string `json:"stand_in,omitempty"`
}

// Server is a family that is up. Its methods are safe for use by several goroutines.
type Server interface {
	Facts() Facts
	// Alive is an error when the system does not answer any more: what failed on it then says nothing of the engine.
	Alive(context.Context) error
	// Source lays out a source that holds the rows of feed.
	Source(ctx context.Context, f *fixture.Fixture, p Place) (Source, error)
	// Target makes room for a target, which is not there yet.
	Target(ctx context.Context, f *fixture.Fixture, p Place) (Target, error)
	Close(context.Context) error
}

// Place is where a case has its things.
type Place struct {
	// Case is unique in a run, and a name for folders, schemas and slots: lower-case letters, digits, underscores.
	Case string
	// Strategy is the load strategy; file families choose their format by it.
	Strategy string
	// Dir is the case's own folder, which exists.
	Dir string
	// Events is true when the source is a feed of events: Before until Change, then the rows of Delta and no others.
	Events bool
}

// Fragment is one side of a manifest: lines of YAML that stand below "source:" or
// "sink:", without indentation, and the lines that belong below its "options:".
type Fragment struct {
	Lines, Options []string
	// State is the schema of the state and receipt tables, where the family has schemas.
	State string
}

// Source is a source of one case. It holds the rows of Before.
type Source interface {
	Manifest() Fragment
	// Change turns Before into After with the system's own deletes, updates and inserts.
	Change(context.Context) error
	Close(context.Context) error
}

// Target is a target of one case.
type Target interface {
	Manifest() Fragment
	// Seed fills the target with the rows of Before, in types a user would choose. False when only a load can fill it.
	Seed(context.Context) (bool, error)
	// Rows reads the named columns of every row, in any order. The row is the callback's until it returns.
	Rows(ctx context.Context, columns []fixture.Column, each func(fixture.Row) error) error
	// Windows are the names of the load windows that have a receipt in the target, sorted, one for each receipt.
	Windows(ctx context.Context) ([]string, error)
	// Leftovers are staging tables, shadow tables or files that no run should leave behind.
	Leftovers(ctx context.Context) ([]string, error)
	Close(context.Context) error
}
