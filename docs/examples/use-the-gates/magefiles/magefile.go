// SPDX-License-Identifier: MIT

//go:build mage

package main

import (
	"context"
	"embed"

	"example.com/slug/licence"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/target"
)

//go:embed *.go
var sources embed.FS

var mit = licence.Options{Line: "// SPDX-License-Identifier: MIT"}

func init() { target.Guard(sources) }

// CI runs the default gate, with our own step in it.
func CI(
	ctx context.Context,
	only *string, // run only these steps, for example ci:format,licence
) error {
	gate := ci.Gate(ci.Options{MinCoverage: 60, Further: []gates.Step{licence.Step(mit)}})
	return target.Run(ctx, gate, target.Flags{Only: only})
}

// Licence holds that every Go file begins with its licence.
func Licence(ctx context.Context) error {
	return target.Run(ctx, licence.Gate(mit), target.Flags{})
}
