package evidencebench

import (
	"context"
	"strconv"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/bench/evidencebench/worker/protocol"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/proc"
)

// maxAnswers bounds what a program may print, in bytes.
const maxAnswers = 1 << 20

// lab is what a part measures with.
type lab struct {
	*bench
	p        *gates.Pass
	part     *figures.Part
	progress func(round int, text string)
	// made are the folders with files, as $SCRATCH/name, of all parts. They stay
	// until the step ends: where many files were deleted a moment ago, some file
	// systems take longer to make new ones.
	made map[string]bool
}

// task is the worker at a task.
func task(name, dir string, numbers ...int) proc.Command {
	args := []string{name, dir}
	for _, n := range numbers {
		args = append(args, strconv.Itoa(n))
	}
	return proc.Command{Name: workerPath, Args: args}
}

// exec runs a program as a side: time and processor time are those of the whole
// process, the memory is what the worker says of itself.
func (l *lab) exec(ctx context.Context, side string, c proc.Command) error {
	done, err := l.p.Exec(ctx, c, proc.Options{Capture: maxAnswers})
	if err != nil {
		return err
	}
	s := figures.Sample{Seconds: done.Duration.Seconds(), CPU: done.CPU.Seconds()}
	if c.Name == workerPath {
		answers, err := proc.Answers[protocol.Answer](done.Stdout)
		if err != nil {
			return err
		}
		for _, a := range answers {
			s.Peak = max(s.Peak, a.Peak)
		}
	}
	l.part.Add(side, s)
	return nil
}

// ask runs the worker and takes what it answers, each work as a side.
func (l *lab) ask(ctx context.Context, c proc.Command) (map[string]protocol.Answer, error) {
	done, err := l.p.Exec(ctx, c, proc.Options{Capture: maxAnswers})
	if err != nil {
		return nil, err
	}
	list, err := proc.Answers[protocol.Answer](done.Stdout)
	answers := map[string]protocol.Answer{}
	for _, a := range list {
		answers[a.Work] = a
		l.part.Add(a.Work, figures.Sample{Seconds: a.Seconds, CPU: a.CPU, Peak: a.Peak})
	}
	return answers, err
}

// make runs the worker once, to make a folder.
func (l *lab) make(ctx context.Context, c proc.Command) error {
	dir := c.Args[1]
	if l.made[dir] {
		return nil
	}
	l.made[dir] = true
	_, err := l.p.Exec(ctx, c, proc.Options{})
	return err
}
