package release

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

// binary is a subject that is a Go program.
type binary struct {
	subject
	info *debug.BuildInfo
}

// devel is the version of what was built without asking git.
const devel = "(devel)"

const stampFix = "build the package with -buildvcs=true in a clean checkout of the tag; how to do so with magefiles is in docs/supply-chain.md"

// checkBinaries holds what each Go binary says of itself against what is stated.
func (a *attestation) checkBinaries(_ context.Context, p *gates.Pass) error {
	for _, s := range a.subjects {
		program, err := isProgram(s.copy)
		if err != nil {
			return fmt.Errorf("subject %s: %w", s.path, err)
		}
		if !program {
			continue
		}
		info, err := buildinfo.ReadFile(s.copy)
		if err != nil {
			a.check(p, evidence.CouldNotTell("attest.binary", s.path, "a Go binary with build information", "it is a program without readable build information",
				"ship Go binaries that keep it; what is in any other program cannot be told"))
			continue
		}
		b := binary{s, info}
		a.binaries = append(a.binaries, b)
		a.check(p, evidence.Expect("attest.binary", s.path, true, fmt.Sprintf("%s, %s/%s, %s", info.GoVersion, b.setting("GOOS"), b.setting("GOARCH"), count(len(info.Deps), "module")), "a Go binary with build information", ""))
		a.checkModule(p, b)
		a.checkCommit(p, b)
		a.checkVersion(p, b)
	}
	if len(a.binaries) == 0 && a.verdict(stepBinaries) != evidence.Unverified {
		a.check(p, evidence.Skipped("attest.binary", "all subjects", "Go binaries", "no subject is a program", ""))
	}
	p.Fact("%s", count(len(a.binaries), "Go binary"))
	return nil
}

func (b binary) setting(key string) string {
	for _, s := range b.info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// main is the module that was built from a work tree. A program built from a
// list of files, as mage -compile does, has it among its dependencies.
func (b binary) main() *debug.Module {
	if b.info.Main.Path != "" {
		return &b.info.Main
	}
	at := slices.IndexFunc(b.info.Deps, func(m *debug.Module) bool { return m.Version == devel && m.Replace == nil })
	if at < 0 {
		return &debug.Module{}
	}
	return b.info.Deps[at]
}

func (a *attestation) checkModule(p *gates.Pass, b binary) {
	const code = "attest.binary.module"
	switch have := b.main().Path; {
	case a.module == "":
		a.check(p, evidence.CouldNotTell(code, b.path, "the module of this repository", "attest:source could not tell which it is", ""))
	case have == "":
		a.check(p, evidence.CouldNotTell(code, b.path, a.module, "it names no main module", stampFix))
	default:
		ok := have == a.module || strings.HasPrefix(have, a.module+"/")
		a.check(p, evidence.Expect(code, b.path, ok, have, a.module, "this gate states that everything was built from this repository: leave out what was not"))
	}
}

func (a *attestation) checkCommit(p *gates.Pass, b binary) {
	const code = "attest.binary.commit"
	revision, modified := b.setting("vcs.revision"), b.setting("vcs.modified")
	switch {
	case revision == "":
		a.check(p, evidence.CouldNotTell(code, b.path, a.Commit, "it does not say of which commit it is", stampFix))
	case revision == a.Commit && modified != "false":
		a.check(p, evidence.Expect(code, b.path, false, a.Commit+" with changes", a.Commit, "build it again from a clean checkout"))
	default:
		a.check(p, evidence.Expect(code, b.path, revision == a.Commit, revision, a.Commit, "build it again from the commit of the release"))
	}
}

func (a *attestation) checkVersion(p *gates.Pass, b binary) {
	const code = "attest.binary.version"
	switch have := b.main().Version; have {
	case "", devel:
		a.check(p, evidence.CouldNotTell(code, b.path, a.Release, "it does not say which version it is", stampFix))
	default:
		a.check(p, evidence.Expect(code, b.path, have == a.Release, have, a.Release, "tag the commit first, then build in a clean checkout: Go takes the version from the tag"))
	}
}

// magics begin the programs of the systems that Go builds for: ELF, PE, Mach-O
// of both widths, byte orders and for several processors, WebAssembly.
var magics = [][]byte{
	[]byte("\x7fELF"), []byte("MZ"), []byte("\x00asm"),
	{0xca, 0xfe, 0xba, 0xbe},
	{0xfe, 0xed, 0xfa, 0xce},
	{0xfe, 0xed, 0xfa, 0xcf},
	{0xce, 0xfa, 0xed, 0xfe},
	{0xcf, 0xfa, 0xed, 0xfe},
}

func isProgram(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return slices.ContainsFunc(magics, func(magic []byte) bool { return bytes.HasPrefix(head[:n], magic) }), nil
}
