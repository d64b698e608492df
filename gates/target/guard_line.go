package target

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dpone/dpone/engine/spelling"
)

// lineCall is one target of a command line with the values it would get.
type lineCall struct {
	target *Target
	values []lineValue // as typed, in the order of the line
	end    int         // index of the argument after the last one that belongs to the target
}

type lineValue struct {
	param Param
	text  string
}

// parse follows the loop over targets in the generated main, except that it refuses where that loop would take a flag
// for a value or a value for a target. Calls before the problem are complete. It stops without a problem at a name
// that may come from a mage:import, since how many of the following arguments are its own is not known here.
func (m *magefiles) parse(inv invocation) ([]lineCall, *Problem) {
	var calls []lineCall
	args := inv.args
	for x := 0; x < len(args); {
		target, imported := m.lookup(args[x])
		if imported {
			return calls, nil
		}
		if target == nil {
			return calls, m.explainName(inv, calls, x)
		}
		c := lineCall{target: target, end: x + 1}
		if p := c.takePositionals(inv); p != nil {
			return calls, p
		}
		if p := c.takeFlags(m, inv); p != nil {
			return calls, p
		}
		calls = append(calls, c)
		x = c.end
	}
	return calls, nil
}

func (c *lineCall) takePositionals(inv invocation) *Problem {
	for _, param := range c.target.Positionals {
		if c.end == len(inv.args) {
			return &Problem{
				Subject: c.target.Name,
				Why:     fmt.Sprintf("its argument <%s> of type %s is missing", param.Name, param.Type),
				Fix:     inv.command(append(inv.args[:c.end:c.end], c.missing()...)...),
			}
		}
		arg := inv.args[c.end]
		if strings.HasPrefix(arg, "-") && !isNegative(param.Type, arg) {
			return c.explainDash(inv, param)
		}
		if err := checkValue(param.Type, arg); err != nil {
			return &Problem{
				Subject: strconv.Quote(arg),
				Why:     fmt.Sprintf("the argument <%s> of %s is of type %s: %v", param.Name, c.target.Name, param.Type, err),
				Fix:     inv.command(splice(inv.args, c.end, c.end+1, exampleOf(param.Type))...),
			}
		}
		c.values = append(c.values, lineValue{param, arg})
		c.end++
	}
	return nil
}

// missing holds a placeholder for each positional that has no value yet.
func (c *lineCall) missing() []string {
	var names []string
	for _, param := range c.target.Positionals[len(c.values):] {
		names = append(names, "<"+param.Name+">")
	}
	return names
}

// explainDash is about an argument with a dash in the place of a positional, where mage would take it for the value.
func (c *lineCall) explainDash(inv invocation, param Param) *Problem {
	arg := inv.args[c.end]
	p := &Problem{
		Subject: strconv.Quote(arg),
		Why:     fmt.Sprintf("stands in the place of the argument <%s> of %s, and mage would take it as its value", param.Name, c.target.Name),
		Fix:     inv.command(splice(inv.args, c.end, c.end+1, c.missing()...)...),
	}
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if _, ok := c.target.flag(name); ok {
		p.Why += "; flags follow the arguments"
		rest := inv.args[c.end+1:]
		own := 0
		for own < min(len(c.missing()), len(rest)) && !strings.HasPrefix(rest[own], "-") {
			own++
		}
		moved := append(append([]string{}, rest[:own]...), c.missing()[own:]...)
		moved = append(append(moved, arg), rest[own:]...)
		p.Fix = inv.command(splice(inv.args, c.end, len(inv.args), moved...)...)
	}
	return p
}

// isNegative tells the value -5 from the flag -five.
func isNegative(typ, arg string) bool {
	numeric := typ == "int" || typ == "float64" || typ == "time.Duration"
	return numeric && len(arg) > 1 && strings.IndexByte(".0123456789", arg[1]) >= 0
}

func (c *lineCall) takeFlags(m *magefiles, inv invocation) *Problem {
	seen := map[string]bool{}
	for ; c.end < len(inv.args) && strings.HasPrefix(inv.args[c.end], "-"); c.end++ {
		arg := inv.args[c.end]
		name, text, hasValue := strings.Cut(arg[1:], "=")
		param, known := c.target.flag(name)
		switch {
		case !known:
			return c.explainFlag(m, inv)
		case seen[strings.ToLower(name)]:
			return &Problem{
				Subject: strconv.Quote(arg),
				Why:     fmt.Sprintf("%s has this flag already, and mage would drop the earlier value", c.target.Name),
				Fix:     inv.command(splice(inv.args, c.end, c.end+1)...),
			}
		case !hasValue && param.Type == "bool":
			text = "true"
		case !hasValue:
			return c.explainBare(m, inv, param)
		}
		if err := checkValue(param.Type, text); err != nil {
			return &Problem{
				Subject: strconv.Quote(arg),
				Why:     fmt.Sprintf("the flag -%s of %s is of type %s: %v", param.Name, c.target.Name, param.Type, err),
				Fix:     inv.command(splice(inv.args, c.end, c.end+1, "-"+param.Name+"="+exampleOf(param.Type))...),
			}
		}
		seen[strings.ToLower(name)] = true
		c.values = append(c.values, lineValue{param, text})
	}
	return nil
}

// explainBare is about a flag without the "=" that mage needs for every type but bool.
func (c *lineCall) explainBare(m *magefiles, inv invocation, param Param) *Problem {
	flag, end := "-"+param.Name+"=", c.end+1
	p := &Problem{
		Subject: strconv.Quote(inv.args[c.end]),
		Why:     fmt.Sprintf("the flag -%s of %s has no value; it is written %s<%s>", param.Name, c.target.Name, flag, param.Type),
	}
	text := exampleOf(param.Type)
	if end < len(inv.args) && checkValue(param.Type, inv.args[end]) == nil {
		if next, imported := m.lookup(inv.args[end]); next == nil && !imported {
			text = inv.args[end]
			p.Why += fmt.Sprintf(", and mage would take %q for a target", text)
			end++
		}
	}
	p.Fix = inv.command(splice(inv.args, c.end, end, flag+text)...)
	return p
}

// explainFlag is about an argument with a dash that is no flag of the target it follows.
func (c *lineCall) explainFlag(m *magefiles, inv invocation) *Problem {
	arg := inv.args[c.end]
	without := splice(inv.args, c.end, c.end+1)
	name, text, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	p := &Problem{
		Subject: strconv.Quote(arg),
		Why:     fmt.Sprintf("%s has no such flag", c.target.Name),
		Fix:     inv.command(without...),
	}
	spell := func(name string) string {
		if hasValue {
			return "-" + name + "=" + text
		}
		return "-" + name
	}
	if param, ok := c.target.flag(name); ok { // only the dashes are wrong
		p.Why = "mage knows flags with one dash only"
		p.Fix = inv.command(splice(inv.args, c.end, c.end+1, spell(param.Name))...)
		return p
	}
	if name == "" {
		p.Why = "mage passes nothing on: every argument is a target, its argument or its flag"
		return p
	}
	if owner, args := m.relocate(without, arg); owner != nil {
		p.Why = fmt.Sprintf("a flag of %s, but it follows %s", owner.Name, c.target.Name)
		p.Fix = inv.command(args...)
		return p
	}
	if name == "h" || name == "l" || name == "v" {
		p.Why += "; a flag of mage itself stands before the first target"
		p.Fix = inv.command(append([]string{"-" + name}, without...)...)
		return p
	}
	var names []string
	for _, param := range c.target.Flags {
		names = append(names, param.Name)
	}
	if near := nearest(name, names); near != "" {
		p.Why += "; the nearest is -" + near
		p.Fix = inv.command(splice(inv.args, c.end, c.end+1, spell(near))...)
		return p
	}
	if len(names) == 0 {
		p.Why = fmt.Sprintf("%s has no flags", c.target.Name)
	} else {
		p.Why += "; it has -" + strings.Join(names, ", -")
	}
	return p
}

// explainName is about an argument in the place of a target.
func (m *magefiles) explainName(inv invocation, calls []lineCall, x int) *Problem {
	arg := inv.args[x]
	p := &Problem{
		Subject: strconv.Quote(arg),
		Why:     "no such target",
		Fix:     inv.command("-l") + " (lists the targets)",
	}
	if len(calls) > 0 {
		last := calls[len(calls)-1]
		p.Why += fmt.Sprintf(", and %s takes no more arguments", last.target.Name)
		// -dryRun false: mage reads the flag alone as true and goes on with a target named false.
		before := inv.args[x-1]
		if bare := strings.HasPrefix(before, "-") && !strings.Contains(before, "="); bare && checkValue("bool", arg) == nil {
			p.Fix = inv.command(splice(inv.args, x-1, x+1, before+"="+arg)...)
			return p
		}
	}
	if x+1 < len(inv.args) {
		if member, _ := m.lookup(arg + ":" + inv.args[x+1]); member != nil {
			p.Why += "; there is " + member.Name
			p.Fix = inv.command(splice(inv.args, x, x+2, member.Name)...)
			return p
		}
	}
	if near := nearest(arg, m.names()); near != "" {
		p.Why += "; the nearest is " + near
		p.Fix = inv.command(splice(inv.args, x, x+1, near)...)
	}
	return p
}

// relocate puts a flag behind the first target of the line that has it and could take this value, unless it is there
// already. Without such a target the result is nil. It only counts arguments, as it works on lines that are wrong.
func (m *magefiles) relocate(args []string, flag string) (*Target, []string) {
	name, text, hasValue := strings.Cut(strings.TrimLeft(flag, "-"), "=")
	for x := 0; x < len(args); {
		target, _ := m.lookup(args[x])
		x++
		if target == nil {
			continue
		}
		x = min(x+len(target.Positionals), len(args))
		param, ok := target.flag(name)
		if !ok || hasValue && checkValue(param.Type, text) != nil {
			continue
		}
		switch {
		case hasValue:
			flag = "-" + param.Name + "=" + text
		case param.Type == "bool":
			flag = "-" + param.Name
		default:
			flag = "-" + param.Name + "=<" + param.Type + ">"
		}
		for _, own := range args[x:] {
			if !strings.HasPrefix(own, "-") {
				break
			}
			if name, _, _ := strings.Cut(own[1:], "="); strings.EqualFold(name, param.Name) {
				return target, args
			}
		}
		return target, splice(args, x, x, flag)
	}
	return nil, nil
}

// splice is args with args[from:to] exchanged for others, in a slice of its own.
func splice(args []string, from, to int, others ...string) []string {
	out := append(append([]string{}, args[:from]...), others...)
	return append(out, args[to:]...)
}

func exampleOf(typ string) string {
	switch typ {
	case "int":
		return "10"
	case "float64":
		return "1.5"
	case "bool":
		return "true"
	case "time.Duration":
		return "1m30s"
	}
	return "<" + typ + ">"
}

// nearest is the name that was probably meant: the same one without its namespace, or one within a third of its length in
// edits. The first of equally near names wins; "" when none is near.
func nearest(name string, names []string) string {
	name = strings.ToLower(name)
	for _, candidate := range names {
		lower := strings.ToLower(candidate)
		if lower[strings.LastIndexByte(lower, ':')+1:] == name {
			return candidate
		}
	}
	return spelling.Nearest(name, names, min(max(1, len(name)/3)+1, len(name)))
}
