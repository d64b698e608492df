//go:build mage

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/bench"
	"github.com/dpone/dpone/gates/bench/docsbench"
	"github.com/dpone/dpone/gates/bench/evidencebench"
	"github.com/dpone/dpone/gates/bench/matrixbench"
	"github.com/dpone/dpone/gates/bench/speed"
	"github.com/dpone/dpone/gates/ci"
	"github.com/dpone/dpone/gates/conformance"
	"github.com/dpone/dpone/gates/docs/browser"
	"github.com/dpone/dpone/gates/docs/build"
	"github.com/dpone/dpone/gates/docs/contract"
	"github.com/dpone/dpone/gates/docs/facts"
	"github.com/dpone/dpone/gates/docs/generate"
	"github.com/dpone/dpone/gates/docs/tables"
	"github.com/dpone/dpone/gates/doctor"
	"github.com/dpone/dpone/gates/matrix"
	"github.com/dpone/dpone/gates/matrix/cases"
	"github.com/dpone/dpone/gates/matrix/fault"
	"github.com/dpone/dpone/gates/matrix/result"
	"github.com/dpone/dpone/gates/matrix/shard"
	"github.com/dpone/dpone/gates/release"
	"github.com/dpone/dpone/gates/security/licences"
	"github.com/dpone/dpone/gates/security/posture"
	"github.com/dpone/dpone/gates/security/secrets"
	"github.com/dpone/dpone/gates/security/static"
	"github.com/dpone/dpone/gates/security/vulns"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/target"
	"github.com/dpone/dpone/gates/workflows"
)

const (
	runbooks  = "docs/runbooks.md"
	reference = "docs/reference.md"
)

// Contract holds that the docs name what there is, and that every command, table and code block in them holds.
func (Docs) Contract(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, contract.Gate(contractOptions()), plan, timeout, v)
}

// Generate writes the parts of the docs that are made from the source, all of them or none.
func (Docs) Generate(
	ctx context.Context,
	check *bool, // write nothing; exit code 1 when a page differs
) error {
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	o := contractOptions()
	return generate.Run(ctx, generate.Options{
		Root: source.Root(wd), Pages: o.Pages, Tables: o.Tables, Held: o.Held, Check: value(check), Stdout: os.Stdout,
	})
}

// docsPages are the pages about what is; the changelog is about what was.
func docsPages() []string { return []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**"} }

func contractOptions() contract.Options {
	read := facts.Once(tables.Folders()...)
	o := contract.Options{
		Pages: docsPages(), Magefiles: "magefiles", Workflows: ".github/workflows",
		Branch: "master", Repository: "dpone/dpone",
		Runbooks: []string{runbooks, "docs/cicd/runbooks.md"},
		Guide:    "docs/cicd/developer-guide.md", GuideReaders: []string{"CONTRIBUTING.md", "docs/README.md", "docs/testing.md", "docs/contributing-docs.md"},
		Template: ".github/PULL_REQUEST_TEMPLATE.md",
		Fields: []string{
			"Workflow(s)", "Trigger(s)", "Permissions", "Secrets required", "Artifacts produced", "Local reproduction", "Failure runbook updated", "Docs updated",
		},
		Commands: commandsWithoutRecord(), Codes: codesOfData(),
		Held:  []generate.Held{{Page: "docs/attacks.md", Command: "go test ./evidence/verify -run AttackPage -update"}},
		Gates: allGates, Values: flagValues, Tables: docsTables(read), Source: read, Explained: tables.ForRunbooks,
	}
	for _, w := range workflows.Dpone().Workflows {
		if w.State == workflows.Planned {
			o.Planned = append(o.Planned, w.File)
		}
	}
	return o
}

// allGates are the gates of every target that leaves a record.
func allGates() []gates.Gate {
	o := ciOptions()
	all := []gates.Gate{
		defaultGate(), ci.ModulesGate(o), ci.FormatGate(o), ci.LintGate(o), ci.VetGate(o), ci.TestGate(o), ci.BuildGate(o), ci.TreeGate(o), ci.CrossGate(o),
		ci.IntegrationGate(o, "ci:postgresXmin"), doctor.Gate(),
		bench.CI(defaultGate(), bench.Options{}), speed.Gate(speed.Options{}), matrixbench.Gate(matrixbench.Options{}), evidencebench.Gate(evidencebench.Options{}),
		matrix.MergeGate(matrix.MergeOptions{}), fault.Gate(fault.Options{}),
		workflows.Gate(workflowOptions()), workflows.CurrentGate(workflows.CurrentOptions{}),
		contract.Gate(contractOptions()),
		release.Attest(release.Options{}), conformance.Gate(conformance.Options{}),
		build.Gate(build.Options{Site: siteOptions()}), browser.Gate(browserOptions()), browser.DiagramsGate(browserOptions()),
		docsbench.Gate(docsbench.Options{Site: siteOptions()}),
		secrets.Gate(secrets.Options{}), static.Gate(static.Options{}), vulns.Gate(vulns.Options{}), posture.Gate(posture.Options{}), licences.Gate(licences.Options{}),
	}
	for _, mode := range cases.Modes() {
		all = append(all, matrix.Gate(matrix.Options{Mode: mode, Volume: cases.DefaultVolume()}))
	}
	// A shard has the runbook of its mode; only the name of the target differs.
	part := matrix.Gate(matrix.Options{Mode: cases.MockLocal, Volume: cases.DefaultVolume()})
	part.ID = "matrix:shard"
	return append(all, part)
}

// commandsWithoutRecord are the targets that are no gates.
func commandsWithoutRecord() []string {
	return []string{
		"run", "run:validate", "matrix:list", "matrix:plan", "docs:generate", "docs:serve",
		"evidence:index", "evidence:chain", "evidence:log", "evidence:sign", "evidence:prove", "evidence:verify", "evidence:keygen", "evidence:reproduce", "evidence:diff",
	}
}

// codesOfData are check codes that the source keeps in tables.
func codesOfData() []string {
	var codes []string
	for _, name := range shard.Codes() {
		codes = append(codes, "matrix."+name)
	}
	for _, c := range result.Codes() {
		codes = append(codes, c.Code)
	}
	return codes
}

// flagValues are the words that flags take.
func flagValues() []contract.Value {
	var families, strategies, modes, ids, steps, faults []string
	for _, c := range connectors.All() {
		families = append(families, c.Name)
	}
	for _, mode := range manifest.Modes() {
		strategies = append(strategies, string(mode))
	}
	for _, mode := range cases.Modes() {
		modes = append(modes, string(mode))
	}
	// An error means that connectors contradict themselves, which the matrix tells better; then no case is known here.
	registry, _ := cases.Registry(connectors.All())
	for _, c := range registry {
		ids = append(ids, c.ID)
	}
	for _, step := range defaultGate().Steps {
		steps = append(steps, step.ID)
	}
	for _, f := range fault.Catalogue() {
		faults = append(faults, f.ID)
	}
	return []contract.Value{
		{Target: "matrix:*", Flag: "source", Words: families},
		{Target: "matrix:*", Flag: "sink", Words: families},
		{Target: "matrix:*", Flag: "strategy", Words: strategies},
		{Target: "matrix:*", Flag: "caseID", Words: ids},
		{Target: "bench:matrix", Flag: "caseID", Words: ids},
		{Target: "matrix:*", Flag: "mode", Words: modes},
		{Target: "matrix:faults", Flag: "only", Words: faults},
		{Target: "ci", Flag: "only", Words: steps},
		{Target: "ci", Flag: "skip", Words: steps},
		{Target: "evidence:conformance", Flag: "only", Words: conformance.StepIDs()},
		{Target: "evidence:conformance", Flag: "skip", Words: conformance.StepIDs()},
		{Target: "security:static", Flag: "only", Words: static.StepIDs()},
		{Target: "security:static", Flag: "skip", Words: static.StepIDs()},
		{Target: "*", Flag: "format", Words: []string{"text", "json", "md"}},
	}
}

// docsTables are all generated parts of the docs. A table that belongs to a family of gates is made there.
func docsTables(read tables.Source) []generate.Table {
	list := func() ([]target.Target, error) { return target.Targets(sources) }
	all := []generate.Table{
		tables.Targets(list, "README.md"),
		tables.Artifacts(allGates, reference),
		tables.Secrets(read, secretVariables(), reference),
		tables.Metrics(read, reference),
		tables.CheckCodes(read, runbooks, codesOfData(), reference),
		{Name: "cases", Pages: []string{"docs/matrix.md"}, Make: func(fs.FS, []string) (string, error) {
			registry, err := cases.Registry(connectors.All())
			return cases.Page(registry), err
		}},
		made("matrix-secrets", "docs/matrix.md", matrix.SecretsPage),
		made("faults", "docs/matrix-faults.md", fault.Page),
		made("matrix-runbooks", runbooks, result.RunbookSections),
	}
	for _, t := range workflows.Tables(workflows.Dpone()) {
		all = append(all, made(t.Name, t.Page, func() string { return t.Text }))
	}
	all = append(all, tables.Engine()...)
	all = append(all, tables.Evidence(runbooks, "docs/trust-policy.md")...)
	return append(all, tables.Manifest("docs/manifest.md")...)
}

func made(name, page string, text func() string) generate.Table {
	return generate.Table{Name: name, Pages: []string{page}, Make: func(fs.FS, []string) (string, error) { return text(), nil }}
}

// secretVariables are the environment variables that bear a secret.
func secretVariables() []tables.Secret {
	signers := []string{"ci", "evidence:sign", "release:attest"} // and every other gate, as mage ci
	all := []tables.Secret{
		{Name: archive.EnvLogKey, For: "signer key of the evidence log", Targets: []string{"ci", "evidence:chain"}},
		{Name: "DPONE_IT_PG_DSN", For: "address of a PostgreSQL that tests may use", Targets: []string{"ci:test", "ci:postgresXmin"}},
		{Name: target.EnvSecretNames, For: "names of further variables that bear secrets; it bears none, but its own name says so", Targets: []string{"ci"}},
		{Name: "DPONE_SIGNING_KEY", For: "private key that signs evidence", Targets: signers},
		{Name: "DPONE_SIGNING_KEY_FD", For: "number of the file descriptor from which it is read instead", Targets: signers},
		{Name: "DPONE_SIGNING_KEY_PASSWORD", For: "password of that key", Targets: append([]string{"evidence:keygen"}, signers...)},
		{Name: "DPONE_SIGNING_KEY_PASSWORD_FD", For: "number of the file descriptor from which it is read instead", Targets: signers},
		{Name: "DPONE_LOCAL_ATTESTATION_KEY", For: "key of a message code for evidence that never leaves the machine", Targets: signers},
	}
	for name, family := range matrix.Secrets() {
		all = append(all, tables.Secret{Name: name, For: fmt.Sprintf("address of a %s for vendor_live", family), Targets: []string{"matrix:vendorLive"}})
	}
	return all
}
