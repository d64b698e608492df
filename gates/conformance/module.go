package conformance

import (
	"context"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/proc"
)

func modulePlan() []proc.Command {
	var list []proc.Command
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		list = append(list, proc.Command{Name: "go", Args: args, Dir: keyless.Module, Env: []string{"GOWORK=off"}})
	}
	return list
}

// runModule holds the nested module to what the default gate holds the root
// module to: its tests are not part of ./... there.
func runModule(ctx context.Context, p *gates.Pass) error {
	for _, c := range p.Commands {
		const code = "conformance.module"
		subject := "go " + c.Args[0]
		result, err := p.Exec(ctx, c, proc.Options{})
		exit, exited := proc.ExitCode(err)
		switch {
		case err == nil:
			p.Check(evidence.Expect(code, subject, true, "no failure", "no failure", ""))
		case exited && exit == 1 && strings.Contains(result.Tail, "FAIL") || exited && c.Args[0] == "vet" && !missing(result.Tail):
			p.Check(evidence.Expect(code, subject, false, "failures", "no failure", "go -C "+keyless.Module+" "+strings.Join(c.Args, " ")))
		case exited:
			p.Check(evidence.CouldNotTell(code, subject, "no failure", err.Error(), "see the step's log: can the modules be downloaded?"))
		default:
			return err
		}
	}
	p.Fact("%s", keyless.Module)
	return nil
}

// missing says whether go complains of modules and not of code.
func missing(output string) bool {
	for _, word := range []string{"dial tcp", "module lookup disabled", "missing go.sum entry", "updates to go.mod needed", "no required module"} {
		if strings.Contains(output, word) {
			return true
		}
	}
	return false
}
