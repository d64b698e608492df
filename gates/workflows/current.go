package workflows

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

const codeCurrent = "workflows.current"

// CurrentOptions say what is current. The zero value means master of origin.
type CurrentOptions struct {
	Remote string `json:"remote"`
	Branch string `json:"branch"`
}

// CurrentGate holds that the commit which is checked out is the newest of a branch at its remote, so that a run which
// waited, or is repeated, does not publish what has been replaced since.
func CurrentGate(o CurrentOptions) gates.Gate {
	o.Remote, o.Branch = cmp.Or(o.Remote, "origin"), cmp.Or(o.Branch, "master")
	const doc = "The commit that is checked out is the newest of the default branch."
	const runbook = "docs/runbooks.md#workflows-current"
	ref := "refs/heads/" + o.Branch
	return gates.Gate{
		ID: Current, Doc: doc, Runbook: runbook, Area: Area, Options: o,
		Steps: []gates.Step{{
			ID: Current, Doc: doc, Runbook: runbook,
			Commands: func(string) ([]proc.Command, error) {
				return []proc.Command{
					{Name: "git", Args: []string{"rev-parse", "--verify", "HEAD^{commit}"}},
					// It must not wait for somebody to type a password.
					{Name: "git", Args: []string{"ls-remote", "--exit-code", o.Remote, ref}, Env: []string{"GIT_TERMINAL_PROMPT=0"}},
				}, nil
			},
			Run: func(ctx context.Context, p *gates.Pass) error {
				head, err := p.Exec(ctx, p.Commands[0], proc.Options{Capture: 4 << 10})
				if err != nil {
					return fmt.Errorf("the commit that is checked out: %w", err)
				}
				here := strings.TrimSpace(string(head.Stdout))
				remote, err := p.Exec(ctx, p.Commands[1], proc.Options{Capture: 4 << 10})
				const fix = "start the workflow again from the branch, by hand; do not repeat the old run"
				// 2 is what --exit-code makes of a branch that is not there.
				if code, ok := proc.ExitCode(err); ok && code == 2 {
					p.Check(evidence.Expect(codeCurrent, o.Remote+" "+o.Branch, false, "no such branch", here, fix))
					return nil
				}
				if err != nil {
					p.Check(evidence.CouldNotTell(codeCurrent, o.Remote+" "+o.Branch, here, err.Error(), "is the remote reachable without a password?"))
					return nil
				}
				there, _, _ := strings.Cut(string(remote.Stdout), "\t")
				p.Check(evidence.Expect(codeCurrent, o.Remote+" "+o.Branch, there == here, there, here, fix))
				p.Fact("%s of %s", short(there), o.Branch)
				return nil
			},
		}},
	}
}

func short(commit string) string { return commit[:min(7, len(commit))] }
