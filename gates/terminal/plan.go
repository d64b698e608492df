package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/dpone/dpone/gates"
)

// WritePlan shows what a run would do: each step with what it waits for and
// its command lines. In the JSON form it is one object.
func WritePlan(w io.Writer, plan gates.Plan, mode Mode) error {
	if mode == JSON {
		if err := json.NewEncoder(w).Encode(plan); err != nil {
			return fmt.Errorf("show the plan: %w", err)
		}
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s would run %d steps, %d at once", plan.Command, len(plan.Steps), plan.Jobs)
	if plan.Timeout != "" {
		fmt.Fprintf(&b, ", for at most %s", plan.Timeout)
	}
	fmt.Fprintf(&b, "; nothing was run\n%s\n", plan.Doc)
	for _, step := range plan.Steps {
		fmt.Fprintf(&b, "\n%s", step.ID)
		switch {
		case step.LeftOut:
			b.WriteString("  left out")
		case len(step.Needs) > 0:
			fmt.Fprintf(&b, "  needs %s", strings.Join(step.Needs, ", "))
		}
		if len(step.After) > 0 {
			fmt.Fprintf(&b, "  after %s", strings.Join(step.After, ", "))
		}
		fmt.Fprintf(&b, "\n    %s\n", step.Doc)
		for _, t := range step.Tools {
			fmt.Fprintf(&b, "    uses %s, built once\n", t)
		}
		for _, c := range step.Commands {
			fmt.Fprintf(&b, "    $ %s\n", c)
		}
		if step.Problem != "" {
			fmt.Fprintf(&b, "    cannot be planned: %s\n", step.Problem)
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("show the plan: %w", err)
	}
	return nil
}
