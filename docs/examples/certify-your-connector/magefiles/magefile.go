//go:build mage

package main

import (
	"context"
	"embed"
	"os"

	"github.com/magefile/mage/mg"

	"example.com/cards"
	"example.com/cards/certify"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/sqlite"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/system"
	systemsqlite "github.com/dpone/dpone/gates/matrix/system/sqlite"
	"github.com/dpone/dpone/gates/target"
)

//go:embed *.go
var sources embed.FS

func init() { target.Guard(sources) }

// Matrix certifies the connector.
type Matrix mg.Namespace

// options are the cases of cards, and those of SQLite into SQLite for comparison.
func options(source, sink, strategy, caseID *string, rows *int) (matrix.Options, error) {
	o := matrix.Options{
		Mode:          cases.MockLocal,
		Connectors:    []connector.Connector{cards.Connector(), sqlite.Connector()},
		Families:      []system.Family{certify.Family(), systemsqlite.Family()},
		WithoutGuides: true,
	}
	var err error
	if o.Selection, err = cases.SelectionFrom(os.Getenv, cases.SelectionFlags{Source: source, Sink: sink, Strategy: strategy, CaseID: caseID}); err != nil {
		return o, err
	}
	if o.Volume, err = cases.VolumeFrom(os.Getenv, o.Mode, cases.VolumeFlags{Rows: rows}); err != nil {
		return o, err
	}
	return o, o.Validate()
}

// List shows the cases.
func (Matrix) List(
	source *string, // only these sources, comma-separated
) error {
	o, err := options(source, nil, nil, nil, nil)
	if err != nil {
		return err
	}
	return matrix.List(os.Stdout, o, "text")
}

// MockLocal carries out the cases.
func (Matrix) MockLocal(
	ctx context.Context,
	source *string, // only these sources, comma-separated
	sink *string, // only these sinks
	strategy *string, // only these load strategies
	caseID *string, // only these cases
	rows *int, // rows before the change; 10000 if not given
) error {
	o, err := options(source, sink, strategy, caseID, rows)
	if err != nil {
		return err
	}
	return target.Run(ctx, matrix.Gate(o), target.Flags{})
}
