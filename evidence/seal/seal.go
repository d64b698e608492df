package seal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// Seal writes index.json over every file below root and returns it. What an
// index cannot say is refused with an [*Error] that names all of it: anything
// that is not a regular file, an unsafe name, too much, a file that changes
// while it is read. Whether the evidence is good is for [Verify] to say: Seal
// also takes an empty report, so that the evidence of a broken run is kept.
//
// The index appears whole or not at all. Sealing again replaces it; the same
// files give the same bytes.
func Seal(ctx context.Context, root string, opts Options) (Index, error) {
	opts = opts.withDefaults()
	fail := func(cause error, problems []Problem) (Index, error) {
		return Index{}, &Error{Op: "seal", Root: root, Problems: ordered(problems), Cause: cause}
	}
	top, err := os.OpenRoot(root)
	if err != nil {
		return fail(err, nil)
	}
	defer top.Close()
	// An index that a crash left half written is nobody's evidence.
	if err := removeLeftovers(top); err != nil {
		return fail(err, nil)
	}
	opened, err := openTop(root, opts)
	if err != nil {
		return fail(err, nil)
	}
	d := newDir(opened)
	defer d.drop()
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lists := make([][]File, opts.Workers)
	var total atomic.Int64
	workers := newPool(ctx, opts.Workers, func(worker int) func(found) []Problem {
		digester := newDigester()
		return func(f found) []Problem {
			content, problem := f.open(opts)
			if problem != nil {
				return []Problem{*problem}
			}
			defer content.Close()
			if total.Add(content.size()) > opts.MaxBytes {
				cancel(errLimit)
				return []Problem{{CodeLimit, "", fmt.Sprintf("more than %d bytes", opts.MaxBytes)}}
			}
			file, problem := digester.describe(ctx, f.path, content)
			if problem != nil {
				return []Problem{*problem}
			}
			lists[worker] = append(lists[worker], file)
			return nil
		}
	})
	w := &walker{ctx: ctx, opts: opts, file: workers.give}
	err = w.walk(d, "", 0)
	problems := append(workers.end(), w.problems...)
	if err == nil {
		err = parent.Err() // a worker may have stopped where the walk did not
	}
	if errors.Is(err, errLimit) {
		err = nil // among the problems
	}
	if err != nil || len(problems) > 0 {
		return fail(err, problems)
	}
	index := Index{Schema: Schema, Files: slices.Concat(lists...)}
	slices.SortFunc(index.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	raw := index.encode()
	if len(raw) > MaxIndex {
		return fail(nil, []Problem{{CodeLimit, IndexJSON, fmt.Sprintf("the index would have %d bytes, at most %d", len(raw), MaxIndex)}})
	}
	index.SHA256 = hexDigest(raw)
	if err := writeWhole(top, IndexJSON, raw); err != nil {
		return fail(err, nil)
	}
	return index, nil
}

// describe makes the entry of a file. A file that is written to meanwhile may
// get a digest that its bytes never had all at once; Verify finds that.
func (d *digester) describe(ctx context.Context, path string, from content) (File, *Problem) {
	sum, problem := d.digest(ctx, path, from.size(), from, nil)
	if problem != nil {
		return File{}, problem
	}
	return File{Path: path, Size: from.size(), SHA256: sum, MediaType: MediaType(path), Role: RoleOf(path)}, nil
}

func removeLeftovers(root *os.Root) error {
	list, err := root.Open(".")
	if err != nil {
		return err
	}
	defer list.Close()
	for {
		batch, err := list.ReadDir(listBatch)
		for _, entry := range batch {
			if strings.HasPrefix(entry.Name(), tmpPrefix) {
				if err := root.Remove(entry.Name()); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// writeWhole writes a file at the top of root so that it is there whole or
// not at all, also after a crash.
func writeWhole(root *os.Root, name string, content []byte) (err error) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	tmp := tmpPrefix + hex.EncodeToString(salt[:])
	file, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The first error is the one to tell; the next sealing takes the leftover away.
			file.Close()
			_ = root.Remove(tmp)
		}
	}()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	return top.Sync()
}
