package release

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/target"
)

// Names of the files.
const (
	sumsName       = "SHA256SUMS"
	provenanceName = "provenance"
	releaseName    = "release"
	statementEnd   = ".intoto.json"
	bundleEnd      = ".sigstore.json"
)

const magefiles = "magefiles"

// buildVariables can change what the Go command makes of a source. Those that
// are set are named in the provenance.
var buildVariables = []string{
	"CC", "CGO_CFLAGS", "CGO_ENABLED", "CGO_LDFLAGS", "CXX", "GO386", "GOAMD64", "GOARCH", "GOARM", "GOARM64", "GOEXPERIMENT", "GOFIPS140",
	"GOFLAGS", "GONOSUMDB", "GOOS", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "SOURCE_DATE_EPOCH",
}

func (a *attestation) askSource(string) ([]proc.Command, error) {
	return []proc.Command{{Name: "git", Args: []string{"ls-files", "-z", "--", magefiles}, Env: []string{"GIT_OPTIONAL_LOCKS=0", "LC_ALL=C"}}}, nil
}

// state makes the statements, in memory.
func (a *attestation) state(ctx context.Context, p *gates.Pass) error {
	const code, expected, subject = "attest.provenance", "complete and well-formed", provenanceName + statementEnd
	s := a.surroundings(a.started)
	builder, check := a.judgeBuilder(s)
	a.check(p, check)
	if err := a.checkTargets(p); err != nil {
		return err
	}
	version := a.checkToolchain(p)
	why := a.refused(stepProvenance)
	if why == "" && builder == "" {
		why = "it is not known who built"
	}
	if why != "" {
		a.check(p, evidence.CouldNotTell(code, subject, expected, "it is not written: "+why, "see the other findings"))
		return nil
	}
	dependencies, err := a.dependencies(ctx, p, version)
	if err != nil {
		return fmt.Errorf("what the subjects were made of: %w", err)
	}
	about, byproducts := a.about()
	s.internal.GOOS, s.internal.GOARCH, s.internal.GoVersion = a.golang.GOHOSTOS, a.golang.GOHOSTARCH, version
	provenance, err := statement.NewProvenance(statement.MageBuild{
		External: statement.External{
			Source:  statement.ExternalSource{Repository: a.Repository, Ref: a.ref},
			Mage:    statement.ExternalMage{Dir: ".", Targets: a.Targets, Args: a.Args},
			GoFlags: a.Getenv("GOFLAGS"), Env: slices.DeleteFunc(slices.Clone(buildVariables), func(name string) bool { return a.Getenv(name) == "" }),
		},
		Internal: s.internal, Dependencies: dependencies, BuilderID: builder, Builder: s.versions,
		InvocationID: s.invocation, Started: a.started, Finished: time.Now(), Byproducts: byproducts,
	})
	if err != nil {
		return err
	}
	if err := a.add(provenanceName, about, provenance, "how the subjects were made, SLSA provenance v1"); err != nil {
		return err
	}
	for _, b := range a.bills {
		document, err := statement.NewCycloneDX(b.cyclonedx)
		if err != nil {
			return err
		}
		if err := a.add(b.prefix, []statement.ResourceDescriptor{b.of.descriptor()}, document, "that the bill of materials is of "+b.of.name); err != nil {
			return err
		}
	}
	id := packageURL(a.module)
	if err := a.add(releaseName, about, &statement.Release{PURL: id + "@" + a.Release, PackageID: id}, "that these are all the files of "+a.Release); err != nil {
		return err
	}
	a.keep(sumsName, a.checksums(), "the subjects, for sha256sum -c")
	a.check(p, evidence.Expect(code, subject, true, expected, expected, ""))
	p.Fact("%s, %s", count(len(a.statements), "statement"), count(len(dependencies), "dependency"))
	return nil
}

func (s subject) descriptor() statement.ResourceDescriptor {
	return statement.ResourceDescriptor{Name: s.name, Digest: statement.DigestSet{"sha256": s.sha256}}
}

// about is what the statements are about, the subjects or, when there are more
// than readers take, the file that lists them; and what came out besides.
func (a *attestation) about() (subjects, byproducts []statement.ResourceDescriptor) {
	describe := func(name string, content []byte) statement.ResourceDescriptor {
		sum := sha256.Sum256(content)
		return statement.ResourceDescriptor{Name: name, Digest: statement.DigestSet{"sha256": hex.EncodeToString(sum[:])}}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.documents {
		byproducts = append(byproducts, describe(d.name, d.content))
	}
	sums := describe(sumsName, a.checksums())
	if len(a.subjects) > statement.MaxSubjects {
		return []statement.ResourceDescriptor{sums}, byproducts
	}
	for _, s := range a.subjects {
		subjects = append(subjects, s.descriptor())
	}
	return subjects, append(byproducts, sums)
}

// add makes a statement, to be signed later.
func (a *attestation) add(name string, about []statement.ResourceDescriptor, predicate statement.Predicate, what string) error {
	s, err := statement.New(about, predicate)
	if err != nil {
		return err
	}
	raw, err := s.Encode()
	if err != nil {
		return err
	}
	a.statements = append(a.statements, document{name, raw, what})
	a.keep(name+statementEnd, raw, what)
	return nil
}

// checkTargets holds that the targets that are said to have made the subjects
// are targets of the source.
func (a *attestation) checkTargets(p *gates.Pass) error {
	const code, expected = "attest.target", "a target of the magefiles"
	tree, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer tree.Close()
	dir, err := tree.OpenRoot(magefiles)
	if errors.Is(err, fs.ErrNotExist) {
		a.check(p, evidence.CouldNotTell(code, strings.Join(a.Targets, ","), expected, "the source has no folder magefiles", "put the magefiles there"))
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	known, err := target.Targets(dir.FS())
	if err != nil {
		a.check(p, evidence.CouldNotTell(code, strings.Join(a.Targets, ","), expected, err.Error(), "mend the magefiles"))
		return nil
	}
	for _, name := range a.Targets {
		ok := slices.ContainsFunc(known, func(t target.Target) bool { return strings.EqualFold(t.Name, name) })
		observed := expected
		if !ok {
			observed = "no such target"
		}
		a.check(p, evidence.Expect(code, name, ok, observed, expected, "give the target that made the subjects; mage -l lists them"))
	}
	return nil
}

// checkToolchain holds that the Go that is here, whose digests are stated, is
// the one that the binaries name. It returns the version to state.
func (a *attestation) checkToolchain(p *gates.Pass) string {
	const code = "attest.toolchain"
	version := a.golang.GOVERSION
	if version == "" {
		a.check(p, evidence.CouldNotTell(code, "go", "the Go of the binaries", "attest:sbom has not asked for it", ""))
		return ""
	}
	ok := true
	for _, b := range a.binaries {
		if b.info.GoVersion != version {
			ok = false
			a.check(p, evidence.CouldNotTell(code, b.path, version, "it was built by "+b.info.GoVersion, "attest with the Go that built it: GOTOOLCHAIN="+b.info.GoVersion))
		}
	}
	if ok {
		a.check(p, evidence.Expect(code, version, true, version, "the Go of the binaries", ""))
	}
	return version
}

// dependencies are what the subjects were made of, as far as it decides what
// comes out: the commit, the magefiles, the module files, mage, and Go.
func (a *attestation) dependencies(ctx context.Context, p *gates.Pass, version string) ([]statement.ResourceDescriptor, error) {
	list := []statement.ResourceDescriptor{{
		Name: statement.SourceName, URI: "git+" + a.Repository + "@" + a.ref,
		Digest: statement.DigestSet{"gitCommit": a.Commit},
	}}
	sum, err := a.hashMagefiles(ctx, p)
	if err != nil {
		return nil, err
	}
	list = append(list, statement.ResourceDescriptor{Name: magefiles, Digest: statement.DigestSet{"dirHash1": sum}})
	for _, name := range []string{"go.mod", "go.sum"} {
		digest, err := fileDigest(ctx, p.Root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a module without dependencies has no go.sum
		}
		if err != nil {
			return nil, err
		}
		list = append(list, statement.ResourceDescriptor{Name: name, Digest: digest})
	}
	mage, err := mageModule(p.Root)
	if err != nil {
		return nil, err
	}
	if mage != nil {
		list = append(list, *mage)
	}
	platform := a.golang.GOHOSTOS + "-" + a.golang.GOHOSTARCH
	list = append(list, statement.ResourceDescriptor{Name: "go", URI: packageURL("golang.org/toolchain") + "@v0.0.1-" + version + "." + platform})
	tools := "pkg/tool/" + strings.ReplaceAll(platform, "-", "_") + "/"
	end := ""
	if a.golang.GOHOSTOS == "windows" {
		end = ".exe"
	}
	for _, name := range []string{"bin/go", tools + "compile", tools + "link", tools + "asm"} {
		digest, err := fileDigest(ctx, a.golang.GOROOT, name+end)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("toolchain: %w", err)
		}
		list = append(list, statement.ResourceDescriptor{Name: "go/" + name + end, Digest: digest})
	}
	return list, nil
}

// hashMagefiles is the dirHash1 of what git knows below magefiles, in hex:
//
//	git ls-files magefiles | LC_ALL=C sort | xargs sha256sum | sha256sum
func (a *attestation) hashMagefiles(ctx context.Context, p *gates.Pass) (string, error) {
	result, err := p.Exec(ctx, p.Commands[0], proc.Options{Stdout: io.Discard, Capture: 16 << 20})
	if err != nil {
		return "", err
	}
	names := strings.FieldsFunc(string(result.Stdout), func(r rune) bool { return r == 0 })
	tree, err := os.OpenRoot(p.Root)
	if err != nil {
		return "", err
	}
	defer tree.Close()
	h1, err := dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return tree.Open(name) })
	if err != nil {
		return "", fmt.Errorf("magefiles: %w", err)
	}
	return hexOf(h1)
}

// hexOf is an h1 sum in hex, as statements have it.
func hexOf(h1 string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h1, "h1:"))
	if err != nil || len(raw) != sha256.Size || !strings.HasPrefix(h1, "h1:") {
		return "", fmt.Errorf("%.80q is not an h1 sum", h1)
	}
	return hex.EncodeToString(raw), nil
}

func fileDigest(ctx context.Context, dir, name string) (statement.DigestSet, error) {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_, sum, err := digest(ctx, file)
	return statement.DigestSet{"sha256": sum}, err
}

// mageModule is the module of mage with its sum; nil when go.mod has none.
func mageModule(root string) (*statement.ResourceDescriptor, error) {
	const mage = "github.com/magefile/mage"
	raw, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	file, err := modfile.ParseLax("go.mod", raw, nil)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(file.Require, func(r *modfile.Require) bool { return r.Mod.Path == mage })
	if at < 0 {
		return nil, nil
	}
	version := file.Require[at].Mod.Version
	module := &statement.ResourceDescriptor{Name: "mage", URI: packageURL(mage) + "@" + version}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return nil, err
	}
	for l := range strings.Lines(string(sums)) {
		if h1, ok := strings.CutPrefix(strings.TrimSpace(l), mage+" "+version+" "); ok {
			sum, err := hexOf(h1)
			if err != nil {
				return nil, fmt.Errorf("go.sum: %s: %w", mage, err)
			}
			module.Digest = statement.DigestSet{"dirHash1": sum}
		}
	}
	return module, nil
}

// packageURL names a Go module without its version. Module paths have only
// characters that a package URL takes as they are, but for "~" and "+".
func packageURL(module string) string {
	return "pkg:golang/" + strings.ReplaceAll(strings.ToLower(module), "+", "%2B")
}
