package gates

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// keptGoFlags are the flags of GOFLAGS that say where modules come from. All
// others could change what a gate proves: -skip, -run and -short leave tests
// out, -json and -v change what is read, -tags and -exec what is run.
var keptGoFlags = []string{"-mod=", "-modcacherw", "-insecure="}

// goFlags is the variable GOFLAGS for planned commands. It is never empty: an
// empty one would let the user's "go env -w" through.
func goFlags(dropped func(flag string)) string {
	kept := []string{"-buildvcs=false"}
	for _, flag := range strings.Fields(os.Getenv("GOFLAGS")) {
		switch {
		case slices.ContainsFunc(keptGoFlags, func(prefix string) bool { return strings.HasPrefix(flag, prefix) }):
			kept = append(kept, flag)
		case flag != "-buildvcs=false" && dropped != nil:
			dropped(flag)
		}
	}
	return "GOFLAGS=" + strings.Join(kept, " ")
}

// goEnvironment is what planned commands get besides the surroundings: the
// flags and the platform are those that the record names, and what Go leaves
// behind when it is stopped is in the step's own directory.
func (p *Pass) goEnvironment() []string {
	flags := goFlags(func(flag string) {
		p.warnOnce(fmt.Sprintf("GOFLAGS has %s, which the steps do not get", flag))
	})
	return []string{flags, "GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH, "GOTMPDIR=" + p.Scratch}
}
