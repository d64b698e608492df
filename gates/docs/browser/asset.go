package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// Asset is a file of an npm package, pinned by the digest of the package.
type Asset struct {
	Package string `json:"package"`
	Version string `json:"version"`
	// Integrity is what npm calls by that name: "sha512-" and the digest of the
	// package in base64.
	Integrity string `json:"integrity"`
	// File is the path in the package, below "package/".
	File string `json:"file"`
}

// The assets that the gates use.
var (
	Axe = Asset{
		Package: "axe-core", Version: "4.14.1", File: "axe.min.js",
		Integrity: "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
	}
	Mermaid = Asset{
		Package: "mermaid", Version: "12.3.0", File: "dist/mermaid.min.js",
		Integrity: "sha512-4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw==",
	}
)

// archive is how npm calls the package's file.
func (a Asset) archive() string { return a.Package + "-" + a.Version + ".tgz" }

// command downloads the package. Nothing of it is run.
func (a Asset) command() proc.Command {
	return proc.Command{Name: "npm", Args: []string{"pack", "--silent", "--ignore-scripts", "--pack-destination", "$SCRATCH", a.Package + "@" + a.Version}}
}

// errAsset is wrapped when an asset could not be had, or is not what was pinned.
var errAsset = errors.New("the asset could not be had")

// get puts the file of the asset into the scratch directory and returns its
// path. The package comes from the cache or, once, from npm; its digest is
// computed again each time.
func (a Asset) get(ctx context.Context, p *gates.Pass, cache string) (string, error) {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("tool cache: %w (set DPONE_TOOL_CACHE)", err)
		}
		cache = filepath.Join(user, "dpone", "tools")
	}
	kept := filepath.Join(cache, "npm", a.archive())
	raw, err := a.read(kept)
	if err != nil {
		p.Progress(0, 0, "downloading "+a.Package+" "+a.Version+", once")
		if _, err := p.Exec(ctx, a.command(), proc.Options{}); err != nil {
			return "", fmt.Errorf("%w: npm: %w", errAsset, err)
		}
		loaded := filepath.Join(p.Scratch, a.archive())
		if raw, err = a.read(loaded); err != nil {
			return "", fmt.Errorf("%w: %w", errAsset, err)
		}
		if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
			return "", fmt.Errorf("tool cache: %w", err)
		}
		tmp := kept + "." + filepath.Base(p.Scratch)
		if err := os.WriteFile(tmp, raw, 0o644); err != nil {
			return "", fmt.Errorf("tool cache: %w", err)
		}
		if err := os.Rename(tmp, kept); err != nil {
			return "", fmt.Errorf("tool cache: %w", err)
		}
	}
	content, err := a.extract(raw)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", errAsset, a.archive(), err)
	}
	to := filepath.Join(p.Scratch, filepath.Base(a.File))
	return to, os.WriteFile(to, content, 0o600)
}

// read reads a package and holds that it is the pinned one.
func (a Asset) read(name string) ([]byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(raw)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != a.Integrity {
		return nil, fmt.Errorf("%s is not what was pinned: %s, want %s", name, got, a.Integrity)
	}
	return raw, nil
}

// maxAsset bounds a file of a package, in bytes.
const maxAsset = 64 << 20

func (a Asset) extract(raw []byte) ([]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	files := tar.NewReader(zipped)
	for {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("package/%s: %w", a.File, err)
		}
		if header.Name != "package/"+a.File {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(files, maxAsset+1))
		if err == nil && len(content) > maxAsset {
			err = fmt.Errorf("package/%s: more than %d bytes", a.File, maxAsset)
		}
		return content, err
	}
}
