package matrix

import (
	"errors"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/matrix/cases"
)

// Flags are what a command line may say; nil means not given, and then the environment is asked.
type Flags struct {
	Mode                           *string
	Source, Sink, Strategy, CaseID *string
	Rows, Seed                     *int
	Changed, Deleted               *float64
	Jobs                           int
	Resume                         bool
}

// FromEnvironment makes options of flags and of the DPONE_MATRIX_ variables. The mode is the given one, or when it
// is empty that of -mode, else of DPONE_MATRIX_RUN_MODE, else mock_local. The error is a *[gates.UsageError].
func FromEnvironment(getenv func(string) string, mode cases.Mode, f Flags) (Options, error) {
	o := Options{Mode: mode, Jobs: f.Jobs, Resume: f.Resume, Getenv: getenv}
	var err, problem error
	if o.Mode == "" {
		if o.Mode, problem = cases.ModeFrom(getenv, f.Mode, cases.MockLocal); problem != nil {
			err = errors.Join(err, problem)
		}
	}
	if o.Selection, problem = cases.SelectionFrom(getenv, cases.SelectionFlags{Source: f.Source, Sink: f.Sink, Strategy: f.Strategy, CaseID: f.CaseID}); problem != nil {
		err = errors.Join(err, problem)
	}
	if o.Volume, problem = cases.VolumeFrom(getenv, o.Mode, cases.VolumeFlags{Rows: f.Rows, Changed: f.Changed, Deleted: f.Deleted, Seed: f.Seed}); problem != nil {
		err = errors.Join(err, problem)
	}
	if err == nil {
		err = o.Validate()
	}
	var usage *gates.UsageError
	if err != nil && !errors.As(err, &usage) {
		err = &gates.UsageError{Problem: err.Error()}
	}
	return o, err
}
