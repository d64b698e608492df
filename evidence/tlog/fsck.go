package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	merkle "golang.org/x/mod/sumdb/tlog"
)

// Report is what [Fsck] found.
type Report struct {
	Checkpoint Checkpoint
	// Entries and Tiles count what was read and derived again.
	Entries int64
	Tiles   int64
	// Leftovers are files of an append that did not finish. The checkpoint does
	// not speak of them, and the next append takes them away or replaces them.
	Leftovers []string
}

// maxFaults bounds the problems that Fsck names before it gives up.
const maxFaults = 20

// Fsck derives the whole log again from its entries: each hash of each tile,
// the root, the signature, and that it continues what is remembered, which it
// leaves as it is. Any changed byte in a checkpoint, a tile or an entry, a
// missing file and a file that no log has are errors; the error joins them.
// Memory does not grow with the log.
func Fsck(ctx context.Context, dir string, opts Options) (Report, error) {
	if err := opts.check(dir); err != nil {
		return Report{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, fmt.Errorf("log: %w", err)
	}
	defer root.Close()
	l := &Log{dir: dir, opts: opts, root: root}
	remembered, err := l.remembered()
	if err != nil {
		return Report{}, err
	}
	c, err := l.readCheckpoint(remembered)
	if err != nil {
		return Report{}, err
	}
	k := &checker{log: l, ctx: ctx, report: Report{Checkpoint: c}}
	// The memory tells a rollback from a log that only lost its tiles.
	if remembered != nil && remembered.Size >= c.Size {
		if err := l.continues(&view{checkpoint: c}, remembered); err != nil {
			return k.report, err
		}
	}
	if err := k.derive(); err != nil {
		return k.report, err
	}
	if err := k.files(); err != nil {
		return k.report, err
	}
	if remembered != nil && len(k.faults) == 0 {
		if _, err := l.load(c, nil, remembered); err != nil {
			return k.report, err
		}
	}
	if len(k.faults) > 0 {
		return k.report, fmt.Errorf("log %s: %w", dir, errors.Join(k.faults...))
	}
	return k.report, nil
}

type checker struct {
	log    *Log
	ctx    context.Context
	report Report
	faults []error
	levels [][]Hash
	// last is the file that partial tiles were last compared with.
	last     string
	lastRaw  []byte
	lastEnds []int
}

// fault notes a problem; too many end the check.
func (k *checker) fault(err error) error {
	k.faults = append(k.faults, err)
	if len(k.faults) >= maxFaults {
		return fmt.Errorf("log %s: %w", k.log.dir, errors.Join(k.faults...))
	}
	return nil
}

// derive computes the tree from the entries and compares it with the tiles and
// the checkpoint.
func (k *checker) derive() error {
	size := k.report.Checkpoint.Size
	for n := int64(0); n*tileWidth < size; n++ {
		if err := k.ctx.Err(); err != nil {
			return err
		}
		width := int(min(size-n*tileWidth, tileWidth))
		entries, err := readBundle(k.log.root, n, width)
		if err != nil {
			// Without the entries nothing above them can be derived.
			return errors.Join(append(k.faults, fmt.Errorf("log %s: %w", k.log.dir, err))...)
		}
		k.report.Entries += int64(len(entries))
		for _, e := range entries {
			if err := k.add(0, merkle.RecordHash(e)); err != nil {
				return err
			}
		}
	}
	v := &view{checkpoint: Checkpoint{Size: size}}
	for level, leaves := range k.levels {
		if len(leaves) == 0 {
			v.edge = append(v.edge, nil)
			continue
		}
		if err := k.compare(level, fullAt(size, level), leaves); err != nil {
			return err
		}
		v.edge = append(v.edge, newTile(leaves))
	}
	root, err := merkle.TreeHash(size, reader{k.log, v})
	if err != nil {
		return err
	}
	if root != k.report.Checkpoint.Root {
		return k.fault(fmt.Errorf("%w: the entries give the root %s, the checkpoint says %s", ErrCorrupt, root, k.report.Checkpoint.Root))
	}
	return nil
}

func (k *checker) add(level int, hash Hash) error {
	if level == len(k.levels) {
		k.levels = append(k.levels, make([]Hash, 0, tileWidth))
	}
	k.levels[level] = append(k.levels[level], hash)
	if len(k.levels[level]) < tileWidth {
		return nil
	}
	// A tile is completed by the last entry of a bundle.
	n := fullAt(k.report.Entries, level) - 1
	if err := k.compare(level, n, k.levels[level]); err != nil {
		return err
	}
	root := newTile(k.levels[level]).root()
	k.levels[level] = k.levels[level][:0]
	return k.add(level+1, root)
}

func (k *checker) compare(level int, n int64, want []Hash) error {
	have, err := readTile(k.log.root, level, n, len(want))
	if err != nil {
		return k.fault(err)
	}
	k.report.Tiles++
	for i := range want {
		if have[i] != want[i] {
			return k.fault(fmt.Errorf("%w: %s: hash %d does not follow from what is below it", ErrCorrupt, tilePath(level, n, len(want)), i))
		}
	}
	return nil
}

// files looks at every name in the directory.
func (k *checker) files() error {
	size := k.report.Checkpoint.Size
	return fs.WalkDir(k.log.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a writer took a leftover away
			}
			return k.fault(err)
		}
		if err := k.ctx.Err(); err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && name != "tile" && !strings.HasPrefix(name, "tile/") {
				return k.fault(fmt.Errorf("%w: %s", ErrUnexpected, name))
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return k.fault(fmt.Errorf("%w: %s is not a regular file", ErrUnexpected, name))
		}
		switch name {
		case checkpointName, lockName:
			return nil
		case tmpName:
			k.report.Leftovers = append(k.report.Leftovers, name)
			return nil
		}
		level, n, width, ok := parseTilePath(name)
		if !ok {
			return k.fault(fmt.Errorf("%w: %s", ErrUnexpected, name))
		}
		committed := 0
		switch full := fullAt(size, level); {
		case n < full:
			committed = tileWidth
		case n == full:
			committed = widthAt(size, level)
		}
		switch {
		case width > committed:
			k.report.Leftovers = append(k.report.Leftovers, name)
			return nil
		case width == committed:
			return nil // derived already
		}
		return k.older(name, level, n, width, committed)
	})
}

// older checks a partial tile of an earlier checkpoint: it is the beginning of
// what the tile has become.
func (k *checker) older(name string, level int, n int64, width, committed int) error {
	limit := int64(tileWidth * merkle.HashSize)
	if level == entriesLevel {
		limit = maxBundle
	}
	now := tilePath(level, n, committed)
	if k.last != now {
		raw, err := read(k.log.root, now, limit)
		if err != nil {
			return k.fault(err)
		}
		k.last, k.lastRaw, k.lastEnds = now, raw, nil
		if level == entriesLevel {
			entries, _, err := splitBundle(raw, committed)
			if err != nil {
				return k.fault(fmt.Errorf("%s: %w", now, err))
			}
			end := 0
			for _, e := range entries {
				end += 2 + len(e)
				k.lastEnds = append(k.lastEnds, end)
			}
		}
	}
	end := width * merkle.HashSize
	if level == entriesLevel {
		end = k.lastEnds[width-1]
	}
	have, err := read(k.log.root, name, limit)
	if err != nil {
		return k.fault(err)
	}
	if len(k.lastRaw) < end || !slices.Equal(have, k.lastRaw[:end]) {
		return k.fault(fmt.Errorf("%w: %s is not the beginning of %s", ErrCorrupt, name, path.Base(now)))
	}
	return nil
}
