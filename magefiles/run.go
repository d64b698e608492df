//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/engine/command"
)

// RUN holds what can be done with a manifest besides running it.
type RUN mg.Namespace

// Run moves the data that a manifest names, and reports what it did.
func Run(
	ctx context.Context,
	manifest *string, // path of the manifest
	format *string, // text, or json: one object on standard output, progress on standard error
	window *string, // name of the window; the same window is loaded once
	report *string, // file that takes the report, too
) error {
	return command.Run(ctx, command.Options{
		Manifest: value(manifest), Format: value(format), Window: value(window), Report: value(report),
	})
}

// Validate reads a manifest and tells every problem that it has, without connecting.
func (RUN) Validate(
	_ context.Context,
	manifest *string, // path of the manifest
	format *string, // text or json
) error {
	return command.Validate(command.Options{Manifest: value(manifest), Format: value(format)})
}
