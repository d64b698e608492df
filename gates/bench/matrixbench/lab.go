package matrixbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/matrix/cases"
	workerprotocol "github.com/dpone/dpone/gates/matrix/worker/protocol"
	"github.com/dpone/dpone/gates/proc"
)

// maxAnswers bounds what a program may print, in bytes.
const maxAnswers = 16 << 20

// lab is what a part measures with.
type lab struct {
	*bench
	p        *gates.Pass
	part     *Part
	progress func(round int, text string)
}

// carry carries out cases in a process of its own, that many at once. A case that fails or
// is missing is an error, for a time says nothing of work that was not done; one that could
// not be carried out is left to the caller.
func (l *lab) carry(ctx context.Context, name string, mode cases.Mode, rows int64, jobs int, selected []string) ([]workerprotocol.Answer, figures.Sample, error) {
	if len(selected) == 0 {
		return nil, figures.Sample{}, errors.New("the selection has no case for it")
	}
	answers, sample, err := ask[workerprotocol.Answer](ctx, l, name, l.carryCommand(name), func(scratch string) any {
		return workerprotocol.Request{
			Mode: mode, Rows: rows, Changed: cases.DefaultChanged, Deleted: cases.DefaultDeleted, Seed: cases.DefaultSeed,
			Cases: selected, Jobs: jobs, Scratch: scratch,
		}
	})
	if err != nil {
		return answers, sample, err
	}
	got := make([]string, len(answers))
	for i, a := range answers {
		got[i] = a.Case
		if a.Verdict == evidence.Fail {
			return answers, sample, fmt.Errorf("%s is FAIL (%s), so its time says nothing: run the matrix first", a.Case, strings.Join(a.Failed, ", "))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(selected))) {
		return answers, sample, fmt.Errorf("the worker answers for %d cases, and not for the %d that were asked for", len(got), len(selected))
	}
	return answers, sample, nil
}

// whole is carry for parts that say nothing unless every case is carried out.
func (l *lab) whole(ctx context.Context, name string, mode cases.Mode, rows int64, jobs int, selected []string) ([]workerprotocol.Answer, figures.Sample, error) {
	answers, sample, err := l.carry(ctx, name, mode, rows, jobs, selected)
	if err == nil {
		err = uncarried(answers)
	}
	return answers, sample, err
}

// uncarried says which cases could not be carried out, and why the first of them could not.
func uncarried(answers []workerprotocol.Answer) error {
	var first workerprotocol.Answer
	n := 0
	for _, a := range answers {
		if a.Verdict != evidence.Pass {
			if n++; n == 1 {
				first = a
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d cases could not be carried out; %s is %s: %s", n, len(answers), first.Case, first.Verdict, first.Problem)
}

// ask runs a program on a request and reads the lines that it answers. Its files are removed again.
func ask[T any](ctx context.Context, l *lab, name string, command proc.Command, request func(scratch string) any) (answers []T, s figures.Sample, err error) {
	scratch := l.p.Expand("$SCRATCH/" + name)
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	raw, err := json.Marshal(request(scratch))
	if err != nil {
		return nil, s, err
	}
	if err := os.WriteFile(scratch+".json", raw, 0o600); err != nil {
		return nil, s, err
	}
	done, err := l.p.Exec(ctx, command, proc.Options{Capture: maxAnswers})
	if err != nil {
		return nil, s, err
	}
	s = figures.Sample{Seconds: done.Duration.Seconds(), CPU: done.CPU.Seconds(), Peak: done.MaxRSS}
	answers, err = proc.Answers[T](done.Stdout)
	if err != nil {
		return nil, s, fmt.Errorf("%s: %w", name, err)
	}
	return answers, s, nil
}

// ids names the cases that a condition holds for.
func (l *lab) ids(holds func(cases.Case) bool) []string {
	var list []string
	for _, c := range l.cases {
		if holds(c) {
			list = append(list, c.ID)
		}
	}
	return list
}

func every(cases.Case) bool { return true }
