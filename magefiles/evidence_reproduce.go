//go:build mage

package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/dpone/dpone/gates/reproduce"
)

// Reproduce runs again what a record says was run, and says reproduced, diverged (in what) or not reproducible (why).
func (Evidence) Reproduce(
	ctx context.Context,
	record *string, // record.json, or the folder of its run
	keep *string, // folder, not there yet, that takes the evidence of the new run; it is removed if not given
	without *string, // secrets that were set then and may be missing now, comma-separated
	timeout *time.Duration, // end it after this time
	format *string, // text, or json
) error {
	o := reproduce.Options{
		Record: value(record), Keep: value(keep), Timeout: value(timeout), Format: value(format),
		Sources: sources, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr,
		Outside: map[string]string{"matrix:vendorLive": "it works on systems of others, which are not as they were and must not be changed because a record says so"},
		Pass: []string{
			"DPONE_IT_PG_BINDIR", "DPONE_IT_PG_CACHE", "DPONE_IT_PG_DOWNLOAD", "DPONE_IT_PG_REPOSITORY", "DPONE_IT_PG_REQUIRED",
			"DPONE_MATRIX_CASE_ID", "DPONE_MATRIX_CHANGE_RATIO", "DPONE_MATRIX_DELETE_RATIO", "DPONE_MATRIX_MOCK_ROW_COUNT",
			"DPONE_MATRIX_ROW_COUNT", "DPONE_MATRIX_RUN_MODE", "DPONE_MATRIX_SEED", "DPONE_MATRIX_SINK", "DPONE_MATRIX_SOURCE", "DPONE_MATRIX_STRATEGY",
		},
	}
	if names := value(without); names != "" {
		o.Without = strings.Split(names, ",")
	}
	return reproduce.Reproduce(ctx, o)
}

// Diff explains in what two records of a gate differ, for example that of a laptop and that of a workflow.
func (Evidence) Diff(
	ctx context.Context,
	a *string, // a record: record.json, or the folder of its run
	b *string, // the other one
	force *bool, // compare records of different gates, too
	format *string, // text, json or md
) error {
	return reproduce.Diff(ctx, reproduce.DiffOptions{A: value(a), B: value(b), Force: value(force), Format: value(format), Stdout: os.Stdout})
}
