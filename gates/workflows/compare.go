package workflows

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// inventoryFix is where the inventory of this project is.
const inventoryFix = "gates/workflows/dpone.go"

// compare holds files, inventory and targets against each other.
func (l *looker) compare() {
	for _, f := range l.files {
		switch {
		case f.entry == nil:
			l.add(codeInventory, f, 0, "not in the inventory", "describe it in "+inventoryFix)
		case f.entry.State == Planned:
			l.add(codeInventory, f, 0, "planned in the inventory, but it is there", "say what it does in "+inventoryFix)
		case f.ast != nil:
			l.compareFile(f)
		}
	}
	for _, w := range l.inventory.Workflows {
		there := slices.ContainsFunc(l.files, func(f *file) bool { return f.name == w.File })
		if w.State == Present && !there {
			l.add(codeInventory, &file{path: path.Join(dir, w.File)}, 0, "in the inventory, but not there", "add the file, or call it planned in "+inventoryFix)
		}
	}
	l.compareTargets()
}

func (l *looker) compareFile(f *file) {
	name := ""
	if f.ast.Name != nil {
		name = f.ast.Name.Value
	}
	if name != f.entry.Name {
		l.add(codeInventory, f, 1, fmt.Sprintf("the name is %q, and the inventory says %q", name, f.entry.Name), "change the one that is wrong")
	}
	ids := map[string]int{}
	for _, job := range f.jobs {
		ids[job.ID.Value] = job.Pos.Line
		if f.entry.job(job.ID.Value) == nil {
			l.add(codeInventory, f, job.Pos.Line, "job "+job.ID.Value+" is not in the inventory", "describe it in "+inventoryFix)
		}
	}
	pullRequest := f.caused(ofPullRequests)
	for _, job := range f.entry.Jobs {
		line, there := ids[job.ID]
		if !there {
			l.add(codeInventory, f, 0, "there is no job "+job.ID+", which the inventory says", "add it, or drop it from "+inventoryFix)
			continue
		}
		want := slices.Concat(job.Gates, job.Helpers)
		var got []string
		for _, c := range f.calls {
			if c.job != job.ID {
				continue
			}
			got = append(got, c.target)
			if !slices.Contains(want, c.target) {
				l.add(codeGate, f, c.line, fmt.Sprintf("%s is not in the inventory for job %s", c.target, job.ID), "add it to "+inventoryFix+", or drop the step")
			}
		}
		for _, name := range want {
			if !slices.Contains(got, name) && !slices.Contains(f.unclear, job.ID) {
				l.add(codeGate, f, line, fmt.Sprintf("job %s does not call %s, which the inventory says", job.ID, name), "add the step, or drop it from "+inventoryFix)
			}
		}
	}
	if pullRequest == "" {
		return
	}
	for _, c := range f.calls {
		if at := slices.IndexFunc(l.inventory.Slow, func(r Reason) bool { return r.Target == c.target }); at >= 0 {
			l.add(codeSlow, f, c.line, fmt.Sprintf("%s starts on %s: %s", c.target, pullRequest, l.inventory.Slow[at].Why), "a workflow of its own that starts by hand or on a schedule")
		}
	}
}

// compareTargets holds that each target of the magefiles has a place, and that each place by hand has a target.
func (l *looker) compareTargets() {
	var placed []string
	for _, w := range l.inventory.Workflows {
		placed = append(placed, w.targets()...)
	}
	byHand := map[string]bool{}
	for _, r := range l.inventory.ByHand {
		byHand[r.Target] = true
	}
	known := map[string]bool{}
	for _, t := range l.commands.Targets() {
		known[t.Name] = true
		source, at, _ := strings.Cut(t.Source, ":")
		line, _ := strconv.Atoi(at)
		f := &file{path: path.Join("magefiles", source)}
		switch called := slices.Contains(placed, t.Name); {
		case !called && !byHand[t.Name]:
			l.add(codeGate, f, line, t.Name+" is called by no workflow", "call it in one, or add it with the reason to those by hand in "+inventoryFix)
		case byHand[t.Name] && l.calledByFile(t.Name):
			l.add(codeGate, f, line, t.Name+" is called by a workflow, but is in the list of those by hand", "drop it from that list in "+inventoryFix)
		}
	}
	for _, list := range []struct {
		name    string
		reasons []Reason
	}{{"by hand", l.inventory.ByHand}, {"that take long", l.inventory.Slow}} {
		for i, r := range list.reasons {
			if slices.ContainsFunc(list.reasons[:i], func(before Reason) bool { return before.Target == r.Target }) {
				l.add(codeGate, &file{path: "magefiles"}, 0, r.Target+" is twice in the list of those "+list.name, "drop one from "+inventoryFix)
			}
		}
	}
	for _, r := range l.inventory.ByHand {
		if !known[r.Target] {
			l.add(codeGate, &file{path: "magefiles"}, 0, r.Target+" is in the list of those by hand, and there is no such target", "drop it from "+inventoryFix)
		}
	}
}

func (l *looker) calledByFile(name string) bool {
	return slices.ContainsFunc(l.files, func(f *file) bool {
		return slices.ContainsFunc(f.calls, func(c call) bool { return c.target == name })
	})
}
