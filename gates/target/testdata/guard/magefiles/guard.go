//go:build mage

package main

import (
	"embed"
	"os"

	"github.com/dpone/dpone/gates/target"
)

//go:embed *.go
var sources embed.FS

// The tests start this program without the guard to see what mage alone does.
func init() {
	if os.Getenv("FIXTURE_UNGUARDED") == "" {
		target.Guard(sources)
	}
}
