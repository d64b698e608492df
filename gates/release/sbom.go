package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sbom"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// bill is the bill of materials of one binary.
type bill struct {
	of        binary
	prefix    string // of the names of its files
	cyclonedx []byte
}

// toolchain is the Go that is installed here.
type toolchain struct {
	GOVERSION, GOROOT, GOMODCACHE, GOHOSTOS, GOHOSTARCH string
}

// The questions to Go, in the order of askGo.
const (
	goEnv = iota
	goGraph
)

// maxGraph bounds the output of go mod graph, in bytes.
const maxGraph = 32 << 20

func (a *attestation) askGo(string) ([]proc.Command, error) {
	return []proc.Command{
		goEnv:   {Name: "go", Args: []string{"env", "-json", "GOVERSION", "GOROOT", "GOMODCACHE", "GOHOSTOS", "GOHOSTARCH"}, Env: []string{"GOWORK=off"}},
		goGraph: {Name: "go", Args: []string{"mod", "graph"}, Env: []string{"GOWORK=off"}},
	}, nil
}

// writeSBOM writes the bills of the binaries.
func (a *attestation) writeSBOM(ctx context.Context, p *gates.Pass) error {
	const code, expected = "attest.sbom", "every module that is linked"
	result, err := p.Exec(ctx, p.Commands[goEnv], proc.Options{Stdout: io.Discard, Capture: 1 << 20})
	if err != nil {
		return fmt.Errorf("ask go: %w", err)
	}
	if err := json.Unmarshal(result.Stdout, &a.golang); err != nil {
		return fmt.Errorf("ask go: %w", err)
	}
	switch why := a.refused(stepSBOM); {
	case why != "":
		a.check(p, evidence.CouldNotTell(code, "sbom.cyclonedx.json", expected, "it is not written: "+why, "see the steps before"))
		return nil
	case len(a.binaries) == 0 && a.RequireSBOM:
		a.check(p, evidence.Expect(code, "all subjects", false, "no Go binary", "a Go binary, for -requireSBOM", "name the binary itself among the subjects; archives are not opened"))
		return nil
	case len(a.binaries) == 0:
		a.check(p, evidence.Skipped(code, "all subjects", expected, "no subject is a Go binary, and archives are not opened", "name the binary itself among the subjects, and give -requireSBOM"))
		return nil
	}
	result, err = p.Exec(ctx, p.Commands[goGraph], proc.Options{Stdout: io.Discard, Capture: maxGraph})
	if err != nil {
		return fmt.Errorf("the graph of modules: %w", err)
	}
	modules := 0
	for i, b := range a.binaries {
		p.Progress(i, len(a.binaries), b.name)
		prefix := "sbom"
		if len(a.binaries) > 1 {
			prefix += "." + b.name
		}
		read, err := sbom.Read(ctx, b.copy, sbom.Options{
			Version: a.Release, Commit: a.Commit, Repository: a.Repository, Created: a.commitTime,
			GoModGraph: func(context.Context) ([]byte, error) { return result.Stdout, nil },
			ModCache:   a.golang.GOMODCACHE, GoRoot: a.golang.GOROOT, MainDir: p.Root,
		})
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			a.check(p, notBilled(b.path, err))
			continue
		}
		if err := a.keepBill(b, prefix, read); err != nil {
			return err
		}
		same := read.Binary.SHA256 == b.sha256
		a.check(p, evidence.Expect(code, b.path, same, fmt.Sprintf("%s of sha256:%s", count(len(read.Modules), "module"), read.Binary.SHA256), fmt.Sprintf("%s, of sha256:%s", expected, b.sha256), "look for what writes to the temporary directory"))
		modules += len(read.Modules)
	}
	p.Fact("%s, %s", count(len(a.bills), "bill"), count(modules, "module"))
	return nil
}

// keepBill writes both forms of a bill.
func (a *attestation) keepBill(b binary, prefix string, read sbom.Bill) error {
	var cyclonedx, spdx bytes.Buffer
	if err := errors.Join(read.CycloneDX(&cyclonedx), read.SPDX(&spdx)); err != nil {
		return fmt.Errorf("bill of %s: %w", b.path, err)
	}
	a.keep(prefix+".cyclonedx.json", cyclonedx.Bytes(), "what "+b.name+" is made of, CycloneDX 1.6")
	a.keep(prefix+".spdx.json", spdx.Bytes(), "what "+b.name+" is made of, SPDX 2.3")
	a.bills = append(a.bills, bill{b, prefix, cyclonedx.Bytes()})
	return nil
}

// notBilled tells what contradicts from what could not be read.
func notBilled(path string, err error) evidence.Check {
	const code, expected = "attest.sbom", "every module that is linked"
	if errors.Is(err, sbom.ErrVersion) || errors.Is(err, sbom.ErrCommit) {
		return evidence.Expect(code, path, false, err.Error(), expected, "build it again from the commit of the release")
	}
	return evidence.CouldNotTell(code, path, expected, err.Error(), "the checkout and the module cache have to be those of the build: go mod verify")
}
