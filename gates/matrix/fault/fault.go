// Package fault holds that the matrix can fail: it plants faults in the engine, one
// after the other, and looks which cases become red.
//
// A fault is a small change of one source file. The file itself is not touched: the
// worker that carries out the cases is built with "go build -overlay", which reads the
// changed file in its place. The engine has no hooks for it and does not know of it.
package fault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Fault is one change of the engine.
type Fault struct {
	// ID is unique: lower-case words with hyphens, the first of which tells the area.
	ID string
	// Area is the part of the engine, one of [Areas].
	Area string
	// Doc says in one sentence what the changed engine does wrong.
	Doc string
	// File is the changed file, relative to the root of the repository, with slashes.
	File string
	// Old occurs exactly once in the file and is replaced by New.
	Old, New string
	// Cases are one to four cases in which it is expected to be seen, the cheapest first.
	Cases []string
}

// Areas lists the parts of the engine in the order of the page.
func Areas() []string {
	return []string{
		"source", "staging", "apply", "delete", "state", "receipt", "retry", "types",
		"partitions", "scd2", "backfill", "xmin", "cdc", "files", "sqlite", "postgres",
	}
}

// Catalogue lists all faults, by area.
func Catalogue() []Fault {
	return slices.Concat(
		sources(), stages(), applies(), deletes(), states(), receipts(), retries(), types(),
		partitions(), histories(), backfills(), xmins(), streams(), files(), sqlites(), servers(),
	)
}

// mutate gives the source with the fault in it.
func (f Fault) mutate(source []byte) ([]byte, error) {
	if n := bytes.Count(source, []byte(f.Old)); n != 1 {
		return nil, fmt.Errorf("fault %s: its text occurs %d times in %s, and not once; the file has changed, so adapt the catalogue", f.ID, n, f.File)
	}
	return bytes.Replace(source, []byte(f.Old), []byte(f.New), 1), nil
}

// Overlay writes the changed file and the overlay.json that "go build -overlay" reads
// into a folder of the fault's own below scratch, and gives the path of the latter. The
// paths in it are absolute when root and scratch are.
func Overlay(root, scratch string, f Fault) (path string, err error) {
	original := filepath.Join(root, filepath.FromSlash(f.File))
	source, err := os.ReadFile(original)
	if err != nil {
		return "", fmt.Errorf("fault %s: %w", f.ID, err)
	}
	changed, err := f.mutate(source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(scratch, f.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("fault %s: %w", f.ID, err)
	}
	replacement := filepath.Join(dir, filepath.Base(original))
	raw, err := json.Marshal(map[string]map[string]string{"Replace": {original: replacement}})
	if err != nil {
		return "", fmt.Errorf("fault %s: %w", f.ID, err)
	}
	path = filepath.Join(dir, overlayJSON)
	for name, content := range map[string][]byte{replacement: changed, path: raw} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return "", fmt.Errorf("fault %s: %w", f.ID, err)
		}
	}
	return path, nil
}

const overlayJSON = "overlay.json"
