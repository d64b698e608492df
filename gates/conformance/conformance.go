// Package conformance asks tools that are not ours whether they agree with us
// about signed evidence: cosign, and sigstore-go used as its users use it.
//
// Each kind of statement that we write is signed with each kind of signer, and
// each verifier has to accept it, for each of its subjects; then each defect
// alone is put into it, and each verifier has to refuse that. What cosign
// writes, ours has to read. The services of Sigstore are virtual ones on this
// machine: no network is needed once the tools are built.
package conformance

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/tool"
)

// The IDs of the steps.
const (
	ID      = "evidence:conformance"
	Key     = "conformance:key"
	Keyless = "conformance:keyless"
	Import  = "conformance:import"
	Module  = "conformance:module"
)

// StepIDs are the IDs of the steps.
func StepIDs() []string { return []string{Key, Keyless, Import, Module} }

const runbook = "docs/runbooks.md#evidence-conformance"

// The tools, by the names that commands call them.
const (
	cosign         = "cosign"
	sigstoreVerify = "sigstore-verify"
	virtual        = "virtual-sigstore"
)

// Options are those of the gate.
type Options struct {
	// Find returns a tool by name; the pinned cosign and the commands of our
	// nested module if nil. It is for tests, which put another tool in its place.
	Find func(root, name string) tool.Tool `json:"-"`
}

// Tool returns a tool of the gate by name.
func Tool(root, name string) tool.Tool {
	find := map[string]func(string) (tool.Tool, error){
		keyless.Name: keyless.Tool, virtual: keyless.VirtualSigstore, sigstoreVerify: keyless.SigstoreVerify,
	}[name]
	if find == nil {
		return pins.Find(root, name)
	}
	t, err := find(root)
	if err != nil {
		// To build it says what is not there.
		return tool.Tool{Name: name, Tree: &tool.Tree{Module: path.Join(root, keyless.Module)}}
	}
	return t
}

// Names are the tools that the gate needs.
func Names() []string { return []string{cosign, keyless.Name, sigstoreVerify, virtual} }

// Gate is the gate.
func Gate(o Options) gates.Gate {
	find := o.Find
	if find == nil {
		find = Tool
	}
	tools := func(names ...string) func(string) []tool.Tool {
		return func(root string) []tool.Tool {
			list := make([]tool.Tool, len(names))
			for i, name := range names {
				list[i] = find(root, name)
			}
			return list
		}
	}
	step := func(id, doc string, commands func(string) ([]proc.Command, error), run func(context.Context, *gates.Pass) error, names ...string) gates.Step {
		return gates.Step{
			ID: id, Doc: doc, Runbook: runbook, Reproduce: "mage " + ID + " -only=" + id,
			Tools: tools(names...), Commands: commands, Run: run,
		}
	}
	return gates.Gate{
		ID: ID, Doc: "Tools that are not ours agree with us about what signed evidence is good and what is not.", Runbook: runbook,
		Area: "supply-chain/conformance", Options: o,
		Inputs: []string{"magefiles/tools/cosign/go.mod", "magefiles/tools/cosign/go.sum", keyless.Module + "/go.mod", keyless.Module + "/go.sum"},
		Steps: []gates.Step{
			step(Key, "Bundles that are signed with a key are good and bad to cosign and sigstore-go as to us.", plan(keyPlan), runKey, cosign, sigstoreVerify),
			step(Keyless, "Bundles with a certificate are good and bad to cosign and sigstore-go as to us.", plan(keylessPlan), runKeyless, cosign, keyless.Name, sigstoreVerify, virtual),
			step(Import, "What cosign signs is good to us, and what is changed in it is not.", plan(importPlan), runImport, cosign, keyless.Name, virtual),
			step(Module, "The tests of the nested module pass.", plan(modulePlan), runModule),
		},
	}
}

func plan(f func() []proc.Command) func(string) ([]proc.Command, error) {
	return func(string) ([]proc.Command, error) {
		var planned []proc.Command
		for _, c := range f() {
			// Some are asked more than once.
			if !slices.ContainsFunc(planned, func(p proc.Command) bool { return p.String() == c.String() }) {
				planned = append(planned, c)
			}
		}
		return planned, nil
	}
}

//go:embed predicates/*.json
var predicates embed.FS

// kinds are the predicates that we write, by the names of their files.
func kinds() []string {
	files, err := fs.Glob(predicates, "predicates/*.json")
	if err != nil {
		return nil // the pattern is a constant
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".json")
	}
	return files
}

// types are the URIs of the predicates.
var types = map[string]string{
	"cyclonedx": statement.CycloneDXType, "decision": statement.DecisionType, "gate": statement.GateType, "provenance": statement.ProvenanceType,
	"release": statement.ReleaseType, "test-result": statement.TestResultType, "vsa": statement.VSAType,
}

// The artifacts that statements are about, and one that none is about.
const stranger = "c.txt"

func artifacts() []string { return []string{"a.txt", "b.txt"} }

// content of an artifact.
func content(artifact string) []byte { return []byte("the artifact " + artifact + "\n") }

// claim is a statement of a kind, about all artifacts.
func claim(kind string) ([]byte, error) {
	raw, err := predicates.ReadFile("predicates/" + kind + ".json")
	if err != nil {
		return nil, err
	}
	subjects := make([]statement.ResourceDescriptor, 0, len(artifacts()))
	for _, name := range artifacts() {
		subjects = append(subjects, statement.ResourceDescriptor{Name: name, Digest: statement.DigestSet{"sha256": digest(name)}})
	}
	s := statement.Statement{Type: statement.Type, Subject: subjects, PredicateType: types[kind], Predicate: json.RawMessage(raw)}
	return s.Encode()
}

// A question is what a verifier is asked about a bundle.
type question struct {
	verifier string
	about    string // which bundle, and for which artifact
	defect   string // empty for none
}

// judge reports what a verifier said. err is nil for a good bundle, a
// *refusal for a bad one, and anything else when there was no answer.
func (q question) judge(p *gates.Pass, err error) {
	code, subject, want := "conformance.accepts", q.verifier+": "+q.about, "accepted"
	if q.defect != "" {
		code, subject, want = "conformance.refuses", subject+", "+q.defect, "refused"
	}
	const fix = "read the step's log; either the bundle is not what the format says, or the verifier is wrong: see the runbook"
	var refused *refusal
	switch {
	case err == nil:
		p.Check(evidence.Expect(code, subject, q.defect == "", "accepted", want, fix))
	case errors.As(err, &refused):
		// Why has digests in it, which differ from run to run: where it is as
		// expected, it is in the log.
		observed := "refused"
		if q.defect == "" {
			observed += ": " + refused.why
		}
		p.Logf("%s, %s: %s", subject, want, refused.why)
		p.Check(evidence.Expect(code, subject, q.defect != "", observed, want, fix))
	default:
		p.Check(evidence.CouldNotTell(code, subject, want, err.Error(), "see the step's log"))
	}
}

// refusal is a verifier's no.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// ask runs a program that says yes with exit code 0 and no with 1. A program
// that says no writes why to its standard error.
func ask(ctx context.Context, p *gates.Pass, c proc.Command, stdin []byte) error {
	o := proc.Options{}
	if stdin != nil {
		o.Stdin = strings.NewReader(string(stdin))
	}
	result, err := p.Exec(ctx, c, o)
	if code, exited := proc.ExitCode(err); exited && code == 1 {
		return &refusal{why: lastWords(result.Tail)}
	}
	return err
}

// lastWords is the last line that says something: some end with bytes.
func lastWords(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, ": ") {
			return strings.TrimSpace(line)
		}
	}
	return lines[len(lines)-1]
}

// offline keeps a program from every network but this machine, and from what
// its user has lying about.
func offline(more ...string) []string {
	const nowhere = "http://127.0.0.1:9"
	return append([]string{
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere, "http_proxy=" + nowhere, "https_proxy=" + nowhere, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"HOME=$SCRATCH", "TUF_ROOT=$SCRATCH/tuf", "SIGSTORE_ID_TOKEN=",
	}, more...)
}

// count is "1 thing" or "2 things".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
