package result

import (
	"fmt"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
)

// Build says which code a case ran with.
type Build struct {
	// Commit is the full object name, empty when it cannot be told; Dirty says that the tree differs from it.
	Commit string `json:"commit"`
	Dirty  bool   `json:"dirty"`
	// Engine is the engine's version, Connectors are the families that it had, sorted, with the
	// versions of those that come from other modules, for example "file, mysql v1.2.0, sqlite".
	Engine     string `json:"engine_version"`
	Connectors string `json:"connectors"`
	Go         string `json:"go_version"`
}

// Identity is what two results must have in common to be of one run.
type Identity struct {
	Build
	Mode cases.Mode
	// Seed, Rows, Changed and Deleted are those of the fixtures.
	Seed             uint64
	Rows             int64
	Changed, Deleted float64
	// Systems are those that cases of this run talk to, by family. Only Reusable looks at them, and
	// only when there are any: a case that was carried out on another server is not taken over.
	Systems map[string]system.Facts
}

// Identity is that of a case.
func (c *Case) Identity() Identity {
	return Identity{Build: c.Build, Mode: c.Mode, Seed: c.Fixture.Seed, Rows: c.Fixture.Rows, Changed: c.Fixture.Changed, Deleted: c.Fixture.Deleted}
}

// foreign says in what a result differs from the run that it is to be part of, empty when in
// nothing. A case that never got as far as its fixture has no volume to compare.
func foreign(c *Case, want Identity) string {
	have := c.Identity()
	pairs := []struct {
		name       string
		have, want any
	}{
		{"commit", have.Commit, want.Commit},
		{"uncommitted changes", have.Dirty, want.Dirty},
		{"engine", have.Engine, want.Engine},
		{"connectors", have.Connectors, want.Connectors},
		{"Go", have.Go, want.Go},
		{"mode", have.Mode, want.Mode},
	}
	if v := c.Verdict(); c.Fixture != (fixture.Spec{}) || v == evidence.Pass || v == evidence.Fail {
		pairs = append(pairs, []struct {
			name       string
			have, want any
		}{
			{"seed", have.Seed, want.Seed},
			{"rows", have.Rows, want.Rows},
			{"changed", have.Changed, want.Changed},
			{"deleted", have.Deleted, want.Deleted},
		}...)
	}
	for _, p := range pairs {
		if p.have != p.want {
			return fmt.Sprintf("its %s is %s, this run's is %s", p.name, shown(p.have), shown(p.want))
		}
	}
	return ""
}

func shown(v any) string {
	if s := fmt.Sprint(v); s != "" {
		return s
	}
	return "not told"
}

// Reusable says whether the result of an earlier run may stand for the case in this one, and
// why not. Only what passed is taken over, and only when nothing that it was about can have
// changed: the same commit without other changes, mode, volume, engine, connectors and systems.
func Reusable(previous Case, want Identity) (ok bool, reason string) {
	if err := previous.Validate(); err != nil {
		return false, err.Error()
	}
	if v := previous.Verdict(); v != evidence.Pass {
		return false, fmt.Sprintf("it is %s, and only PASS is taken over", v)
	}
	switch {
	case want.Commit == "" || previous.Build.Commit == "":
		return false, "the commit cannot be told"
	case want.Dirty || previous.Build.Dirty:
		return false, "the tree has changes that are not committed"
	}
	if why := foreign(&previous, want); why != "" {
		return false, why
	}
	if want.Systems == nil {
		return true, ""
	}
	for _, side := range []struct {
		family string
		have   system.Facts
	}{{previous.Source, previous.Systems.Source}, {previous.Sink, previous.Systems.Sink}} {
		now, known := want.Systems[side.family]
		if !known {
			return false, fmt.Sprintf("%s cannot be had in this run", side.family)
		}
		if side.have != now {
			return false, fmt.Sprintf("it talked to %s, this run talks to %s", told(side.have), told(now))
		}
	}
	return true, ""
}

// TakeOver is a result of an earlier run as a result of this one. Run names the folder it
// comes from; what was taken over before keeps the name of the run that carried it out.
func TakeOver(previous Case, run string) Case {
	if previous.ReusedFrom != "" {
		return previous
	}
	previous.ReusedFrom = run
	previous.Notes = append(append([]string{}, previous.Notes...), "carried out in the run "+run+" and taken over from there")
	return previous
}

// told is a system in words.
func told(f system.Facts) string {
	s := strings.TrimSpace(f.System + " " + f.Version)
	if f.StandIn != "" {
		s += " in the place of " + f.StandIn
	}
	return s
}
