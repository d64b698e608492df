// Command worker carries out cases of the matrix in a process of its own: with an
// engine that was built with a fault in it, or one that is killed in the middle of a
// load.
//
//	worker cases <request.json>             one JSON line a case on standard output
//	worker crash <manifest> <point>         prints the first point from this one on that the run passes, and ends by SIGKILL there
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/worker/protocol"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "cases":
		return execute(ctx, args[1], out)
	case len(args) == 3 && args[0] == "crash":
		return crash(ctx, args[1], connector.Point(args[2]), out, kill)
	}
	return errors.New("usage: worker cases <request.json>, or worker crash <manifest> <point>")
}

func execute(ctx context.Context, path string, out io.Writer) (err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var q protocol.Request
	if err := json.Unmarshal(raw, &q); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	all, err := cases.Registry(connectors.All())
	if err != nil {
		return err
	}
	selected, err := cases.Select(all, cases.Selection{CaseIDs: q.Cases})
	if err != nil {
		return err
	}
	e, err := matrix.Start(ctx, matrix.Setup{
		Mode: q.Mode, Connectors: connectors.All(), Families: matrix.Families(), Getenv: os.Getenv,
		Volume:  cases.Volume{Rows: q.Rows, Changed: q.Changed, Deleted: q.Deleted, Seed: q.Seed},
		Scratch: q.Scratch, Root: ".", Log: func(line string) { log.Print(line) },
	}, selected)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(ctx)) }()
	encoder := json.NewEncoder(out)
	e.Each(ctx, selected, q.Jobs, func(r result.Case) {
		a := protocol.Answer{Case: r.ID, Verdict: r.Verdict(), Failed: []string{}, Problem: r.Problem, Seconds: r.Durations, Runs: map[string]float64{}}
		for i := range r.Runs {
			a.Runs[r.Runs[i].Name] = r.Runs[i].Seconds
		}
		for _, c := range r.Checks {
			if c.Verdict == evidence.Fail && !slices.Contains(a.Failed, c.Code) {
				a.Failed = append(a.Failed, c.Code)
			}
		}
		err = errors.Join(err, encoder.Encode(a))
	})
	return err
}

// crash runs the engine and kills the process at the first point that the run passes from the given one on: not
// every load is long enough to have a middle. That a run fails is not this program's affair.
func crash(ctx context.Context, path string, point connector.Point, out io.Writer, kill func()) error {
	points := connector.Points()
	from := slices.Index(points, point)
	if from < 0 {
		return fmt.Errorf("there is no point %q; there are %v", point, points)
	}
	m, err := manifest.Read(path)
	if err != nil {
		return err
	}
	_, err = engine.Run(ctx, m, engine.Options{Connectors: connectors.All(), At: func(_ context.Context, p connector.Point) error {
		if slices.Index(points, p) < from {
			return nil
		}
		if _, err := fmt.Fprintln(out, p); err != nil {
			return err
		}
		kill()
		return nil
	}})
	if err != nil {
		log.Print(err)
	}
	return nil
}

func kill() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	log.Fatalf("killed: %v", err)
}
