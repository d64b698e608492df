// SPDX-License-Identifier: MIT

// Command status tells what a run folder shows, after every byte of it was held against its index.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dpone/dpone/evidence/verify/reader"
)

func main() {
	if err := status(context.Background(), os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func status(ctx context.Context, out io.Writer, dir string) error {
	run, err := reader.Open(ctx, dir, reader.Options{})
	if err != nil {
		return errors.Join(err, run.Close())
	}
	defer run.Close()
	record := run.Record.Stable
	fmt.Fprintf(out, "%s is %s at commit %s\n", record.Gate.ID, record.Verdict, record.Source.Commit)
	for _, step := range record.Steps {
		fmt.Fprintf(out, "%-4s  %s, %d checks\n", step.Verdict, step.ID, len(step.Checks))
	}
	return nil
}
