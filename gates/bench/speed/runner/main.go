// Command runner runs one manifest as "mage run" does and prints the report, so that
// what the engine takes of the machine can be told from what the benchmark takes. It ends
// with 0 also when the run failed: the report says so.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"

	"github.com/dpone/dpone/engine/command"
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
	err := command.Run(context.Background(), command.Options{Manifest: args[0], Format: "json", Out: out})
	var failed *command.Error
	if errors.As(err, &failed) && failed.Status == 1 {
		log.Print(err)
		return nil
	}
	return err
}
