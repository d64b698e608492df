package engine_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
)

// A program that runs a manifest of its own accord. The report is complete also when
// the run failed; its code tells what to do (docs/errors.md).
func ExampleRun() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	m, err := manifest.Read("orders.yaml")
	if err != nil {
		log.Fatal(err) // every problem of the manifest, with its line
	}
	report, err := engine.Run(ctx, m, engine.Options{
		Connectors: connectors.All(),
		Progress:   func(p engine.Progress) { log.Println(p.Phase, p.Rows) },
	})
	if err != nil {
		log.Fatal(engine.Code(err), ": ", err)
	}
	fmt.Println(report.Result.CommitOutcome, report.Counters.Inserted, report.Digest.Value)
}
