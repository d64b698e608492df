package ci

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// The two directories differ in depth and in length, so that a path that
// finds its way into the binary shows.
const (
	firstCopy  = "a/source"
	secondCopy = "b/another/place/for-the-source"
)

// listSource lists what belongs to the source: tracked, and new but not ignored.
func listSource() proc.Command {
	return proc.Command{Name: "git", Args: []string{"ls-files", "-z", "--cached", "--others", "--exclude-standard"}, Env: []string{"GIT_OPTIONAL_LOCKS=0"}}
}

// compile makes the compiled gate binary from a copy of the source. mage
// writes its main file beside the magefiles, so never in the tree itself.
func (o Options) compile(dir, out, goos, goarch string) proc.Command {
	args := []string{"tool", "mage", "-compile", out}
	if goos != "" {
		args = append(args, "-goos="+goos, "-goarch="+goarch)
	}
	return proc.Command{
		Name: "go", Args: args, Dir: "$SCRATCH/" + dir,
		Env: []string{"GOFLAGS=-trimpath", "CGO_ENABLED=0", "GOWORK=off", "MAGEFILE_CACHE=$SCRATCH/mage"},
	}
}

func binaryName(name, goos string) string {
	if goos == "windows" {
		return name + ".exe"
	}
	return name
}

// build holds that all packages build and that the gate binary is the same
// bytes when it is built again elsewhere.
func (o Options) build() gates.Step {
	name := binaryName(o.Binary, runtime.GOOS)
	first, second := "$SCRATCH/out/1/"+name, "$SCRATCH/out/2/"+name
	return gates.Step{
		ID: Build, Doc: "All packages build, and the gate binary is the same bytes when built elsewhere.", Runbook: o.anchor(Build), Reproduce: o.reproduce(Build),
		Commands: func(string) ([]proc.Command, error) {
			return []proc.Command{
				listSource(),
				// In a copy of what git knows: an ignored file that the build needs is missed there.
				{Name: "go", Args: []string{"build", o.Packages}, Dir: "$SCRATCH/" + firstCopy},
				o.compile(firstCopy, first, "", ""),
				o.compile(secondCopy, second, "", ""),
			}, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			const fix = "mend the code; go build ./... shows the same"
			if err := copySource(ctx, p, p.Commands[0], firstCopy, secondCopy); err != nil {
				return err
			}
			p.Progress(0, 3, "all packages")
			findings, err := runGo(ctx, p, p.Commands[1], "ci.build", fix)
			if err != nil {
				return err
			}
			if findings > 0 {
				p.Fact("%s", count(findings, "finding"))
				return nil
			}
			p.Check(evidence.Expect("ci.build", o.Packages, true, "builds", "builds", ""))
			var digests []evidence.File
			for i, c := range p.Commands[2:] {
				p.Progress(i+1, 3, "gate binary")
				path := p.Expand(c.Args[3])
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if findings, err := runGo(ctx, p, c, "ci.build.binary", fix); err != nil || findings > 0 {
					return err
				}
				file, err := folder.Digest(path)
				if err != nil {
					return fmt.Errorf("gate binary: %w", err)
				}
				digests = append(digests, file)
			}
			same := digests[0].SHA256 == digests[1].SHA256
			observed := "identical bytes"
			if !same {
				observed = fmt.Sprintf("sha256 %.12s and %.12s", digests[0].SHA256, digests[1].SHA256)
			}
			p.Check(evidence.Expect("ci.build.reproducible", name, same, observed, "identical bytes",
				"look for paths, times or map order that get into the binary; go version -m and diffoscope show where they differ"))
			if same {
				if _, err := p.Output(name+" ("+runtime.GOOS+"/"+runtime.GOARCH+")", p.Expand(first)); err != nil {
					return err
				}
				p.Fact("%s reproducible, %.1f MB", name, float64(digests[0].Size)/1e6)
			}
			return nil
		},
	}
}

// platforms are those of a release.
var platforms = [][2]string{
	{"linux", "amd64"},
	{"linux", "arm64"},
	{"darwin", "amd64"},
	{"darwin", "arm64"},
	{"windows", "amd64"},
	{"windows", "arm64"},
}

// cross builds all packages and the gate binary for every platform.
func (o Options) cross() gates.Step {
	return gates.Step{
		ID: Cross, Doc: "All packages and the gate binary build for every platform of a release.", Runbook: o.anchor(Cross), Reproduce: o.reproduce(Cross),
		Commands: func(string) ([]proc.Command, error) {
			commands := []proc.Command{listSource()}
			for _, platform := range platforms {
				goos, goarch := platform[0], platform[1]
				commands = append(commands,
					proc.Command{Name: "go", Args: []string{"build", o.Packages}, Env: []string{"GOOS=" + goos, "GOARCH=" + goarch, "CGO_ENABLED=0"}},
					o.compile(firstCopy, "$SCRATCH/out/"+goos+"-"+goarch+"/"+binaryName(o.Binary, goos), goos, goarch))
			}
			return commands, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error {
			if err := copySource(ctx, p, p.Commands[0], firstCopy); err != nil {
				return err
			}
			built := 0
			for i, platform := range platforms {
				subject := platform[0] + "/" + platform[1]
				p.Progress(i, len(platforms), subject)
				packages, binary := p.Commands[1+2*i], p.Commands[2+2*i]
				path := p.Expand(binary.Args[3])
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				findings := 0
				for _, c := range []proc.Command{packages, binary} {
					n, err := runGo(ctx, p, c, "ci.cross", "mend the code for "+subject+": "+packages.String())
					if err != nil {
						return fmt.Errorf("%s: %w", subject, err)
					}
					findings += n
				}
				if findings > 0 {
					continue
				}
				if _, err := p.Output(binaryName(o.Binary, platform[0])+" ("+subject+")", path); err != nil {
					return err
				}
				built++
				p.Check(evidence.Expect("ci.cross", subject, true, "builds", "builds", ""))
			}
			p.Fact("%d of %s", built, count(len(platforms), "platform"))
			return nil
		},
	}
}

// copySource copies the source to directories below the scratch directory.
func copySource(ctx context.Context, p *gates.Pass, list proc.Command, dirs ...string) error {
	files := &proc.Buffer{Max: maxOutput}
	if _, err := p.Exec(ctx, list, proc.Options{Stdout: files}); err != nil {
		return fmt.Errorf("list the source: %w", err)
	}
	if files.Over {
		return fmt.Errorf("list the source: more than %d bytes: %w", maxOutput, proc.ErrOutput)
	}
	names := strings.Split(strings.TrimSuffix(files.String(), "\x00"), "\x00")
	for _, dir := range dirs {
		to := filepath.Join(p.Scratch, filepath.FromSlash(dir))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if !filepath.IsLocal(filepath.FromSlash(name)) {
				return fmt.Errorf("source file %q lies outside the tree", name)
			}
			if err := copyFile(filepath.Join(p.Root, name), filepath.Join(to, name)); err != nil {
				return fmt.Errorf("copy the source: %w", err)
			}
		}
		if err := anchorReplaces(p.Root, filepath.Join(to, "go.mod")); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if os.IsNotExist(err) {
		return nil // deleted, not yet committed
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		link, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(link, to)
	case !info.Mode().IsRegular():
		return nil // a nested repository
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// anchorReplaces makes the relative replace directives of a copied module file
// lead to where the original's do.
func anchorReplaces(root, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("copy the source: %w", err)
	}
	file, err := modfile.Parse("go.mod", raw, nil)
	if err != nil {
		return err
	}
	for _, r := range file.Replace {
		if !modfile.IsDirectoryPath(r.New.Path) || filepath.IsAbs(r.New.Path) {
			continue
		}
		target := filepath.Join(root, filepath.FromSlash(r.New.Path))
		if rel, err := filepath.Rel(root, target); err == nil && filepath.IsLocal(rel) {
			continue // inside the tree, and so copied
		}
		if err := file.AddReplace(r.Old.Path, r.Old.Version, target, ""); err != nil {
			return fmt.Errorf("copy the source: %w", err)
		}
	}
	file.Cleanup()
	changed, err := file.Format()
	if err != nil || bytes.Equal(changed, raw) {
		return err
	}
	return os.WriteFile(path, changed, 0o644)
}
