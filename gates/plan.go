package gates

// Plan is what a run would do.
type Plan struct {
	Gate, Doc, Command string
	Jobs               int
	Timeout            string
	Steps              []PlannedStep
}

// PlannedStep is one step of a plan.
type PlannedStep struct {
	ID, Doc string
	// Needs and After are what the step waits for.
	Needs, After []string
	// LeftOut says that the options leave the step out.
	LeftOut bool
	// Tools are "name version", Commands the command lines.
	Tools, Commands []string
	// Problem says why the step cannot be planned, or is empty.
	Problem string
}

// MakePlan is [Run] up to the point where something would happen: it checks
// the gate and the options and returns the graph with the commands. It reads
// files of the source tree and runs nothing.
func MakePlan(g Gate, o Options) (Plan, error) {
	r, err := prepare(g, o)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Gate: g.ID, Doc: g.Doc, Command: r.opts.Command, Jobs: r.opts.Jobs}
	if o.Timeout > 0 {
		plan.Timeout = o.Timeout.String()
	}
	for _, n := range r.nodes {
		step := PlannedStep{
			ID: n.step.ID, Doc: n.step.Doc, Needs: n.step.Needs, After: n.step.After,
			LeftOut: !r.selected[n.step.ID],
		}
		for _, t := range n.step.tools(r.opts.Root) {
			spec, err := t.Read()
			if err != nil {
				step.Problem = err.Error()
				continue
			}
			step.Tools = append(step.Tools, t.Name+" "+spec.Version)
		}
		for _, c := range n.commands {
			step.Commands = append(step.Commands, c.String())
		}
		if n.planErr != nil {
			step.Problem = n.planErr.Error()
		}
		plan.Steps = append(plan.Steps, step)
	}
	return redacted(r.redactor, plan)
}
