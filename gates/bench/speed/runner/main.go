// Command runner runs one manifest and prints the report, so that what the
// engine takes of the machine can be told from what the benchmark takes. It ends with
// 0 also when the run failed: the report says so.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: runner <manifest>")
	}
	m, err := manifest.Read(args[0])
	if err != nil {
		return err
	}
	report, err := engine.Run(context.Background(), m, engine.Options{Connectors: connectors.All()})
	if err != nil {
		log.Print(err)
	}
	return json.NewEncoder(out).Encode(report)
}
