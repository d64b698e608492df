package release

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// attestation is what the steps of one run hand on to each other. They work one
// after the other; the mutex is for the report, which is written even while a
// step that was given up on still goes on.
type attestation struct {
	Options
	started time.Time

	dir        string    // the copies of the subjects
	root       string    // the source tree
	subjects   []subject // sorted by name
	binaries   []binary
	bills      []bill
	module     string    // path of the main module
	commitTime time.Time // zero until git knows the commit
	ref        string    // refs/tags/..., refs/heads/..., or the commit
	golang     toolchain
	statements []document // what is to be signed

	mu         sync.Mutex
	run        string // name of the run folder
	checks     []evidence.Check
	ended      []string // steps
	documents  []document
	signatures []Signature
	level      string
}

// document is a file of the attestation.
type document struct {
	name    string
	content []byte
	about   string // what it is, for the report
}

func newAttestation(o Options) *attestation {
	return &attestation{Options: o, started: time.Now()}
}

// steps are the IDs in their order.
var steps = []string{stepSubjects, stepSource, stepBinaries, stepSBOM, stepProvenance, stepSign}

// plan refuses options before anything runs; the first step has no commands.
func (a *attestation) plan(string) ([]proc.Command, error) { return nil, a.Validate() }

var errTwice = errors.New("a gate that release.Attest made runs once; make another one")

// tracked notes which steps came to an end.
func (a *attestation) tracked(id string, work func(context.Context, *gates.Pass) error) func(context.Context, *gates.Pass) error {
	return func(ctx context.Context, p *gates.Pass) error {
		a.mu.Lock()
		again := a.run != "" && a.run != p.Folder().Run()
		a.run, a.root = p.Folder().Run(), p.Root
		a.mu.Unlock()
		if again {
			return errTwice
		}
		if err := work(ctx, p); err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.ended = append(a.ended, id)
		return nil
	}
}

// check reports a check and remembers it for those that come after.
func (a *attestation) check(p *gates.Pass, c evidence.Check) {
	p.Check(c)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checks = append(a.checks, c)
}

// keep takes a document; seal writes it.
func (a *attestation) keep(name string, content []byte, about string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.documents = append(a.documents, document{name, content, about})
}

// verdict is what the steps before the given one came to, and that one so far.
// A step that has not come to its end could not tell.
func (a *attestation) verdict(before string) evidence.Verdict {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := evidence.Judge(a.checks)
	for _, id := range steps {
		if id == before {
			break
		}
		if !slices.Contains(a.ended, id) && v != evidence.Fail {
			v = evidence.Unverified
		}
	}
	return v
}

// refused says why nothing can be stated: something is wrong, or what every
// statement needs is not known. Empty means that nothing speaks against it.
func (a *attestation) refused(before string) string {
	switch {
	case a.verdict(before) == evidence.Fail:
		return "something is wrong with what would be stated"
	case len(a.subjects) == 0:
		return "there are no subjects"
	case a.commitTime.IsZero():
		return "git does not know the commit"
	}
	return ""
}
