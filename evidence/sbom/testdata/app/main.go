// Command app links a few modules for the tests of package sbom.
package main

import (
	"os"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/semver"
)

func main() {
	raw, err := yaml.Marshal(map[string]any{"sum": xxhash.Sum64String(semver.Canonical("v1"))})
	if err == nil {
		_, err = os.Stdout.Write(raw)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
	}
}
