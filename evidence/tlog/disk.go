package tlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
)

const (
	checkpointName = "checkpoint"
	lockName       = ".lock"
	tmpName        = ".tmp"
)

// disk writes the files of a log, each whole or not at all.
type disk struct {
	root *os.Root
	// dirty are the directories whose entries are not yet flushed.
	dirty map[string]bool
	// before is called before each step; a test lets it fail to stop there.
	before func(op, path string) error
}

// errTorn, from before, lets a write end in the middle.
var errTorn = errors.New("torn write")

func (d *disk) step(op, path string) error {
	if d.before == nil {
		return nil
	}
	return d.before(op, path)
}

// put writes a file under another name, flushes it, and gives it its name.
// Only the holder of the lock may.
func (d *disk) put(name string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if err := d.mkdirAll(path.Dir(name)); err != nil {
		return err
	}
	if err := d.step("create", name); err != nil {
		return err
	}
	const exclusively = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := d.root.OpenFile(tmpName, exclusively, 0o644)
	if errors.Is(err, fs.ErrExist) {
		// A leftover of a crash; or a link that somebody laid.
		if err := d.root.Remove(tmpName); err != nil {
			return err
		}
		file, err = d.root.OpenFile(tmpName, exclusively, 0o644)
	}
	if err != nil {
		return err
	}
	defer file.Close() // for the ways out below; a second closing does nothing
	if err := d.step("write", name); err != nil {
		if errors.Is(err, errTorn) {
			_, _ = file.Write(content[:len(content)/2])
		}
		return err
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := d.step("sync", name); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := d.step("rename", name); err != nil {
		return err
	}
	if err := d.root.Rename(tmpName, name); err != nil {
		return err
	}
	d.dirty[path.Dir(name)] = true
	return nil
}

func (d *disk) mkdirAll(dir string) error {
	if dir == "." || d.dirty[dir] { // written to just now, so it is there
		return nil
	}
	if _, err := d.root.Lstat(dir); err == nil {
		return nil
	}
	if err := d.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	if err := d.step("mkdir", dir); err != nil {
		return err
	}
	if err := d.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d.dirty[path.Dir(dir)] = true
	return nil
}

// remove takes a file away; one that is not there is no error.
func (d *disk) remove(name string) error {
	if err := d.step("remove", name); err != nil {
		return err
	}
	err := d.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d.dirty[path.Dir(name)] = true
	return err
}

// flush makes the names of all files written and removed so far durable.
func (d *disk) flush() error {
	for _, dir := range slices.Sorted(maps.Keys(d.dirty)) {
		if err := d.step("flush", dir); err != nil {
			return err
		}
		file, err := d.root.Open(dir)
		if err != nil {
			return fmt.Errorf("flush %s: %w", dir, err)
		}
		err = file.Sync()
		file.Close()
		if err != nil {
			return fmt.Errorf("flush %s: %w", dir, err)
		}
		delete(d.dirty, dir)
	}
	return nil
}

// names lists a directory; one that is not there has none.
func (d *disk) names(dir string) ([]string, error) {
	file, err := d.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Readdirnames(-1)
}

// read reads a regular file of at most limit bytes. What it reads is one file,
// also when another takes its name meanwhile.
func read(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrUnexpected, name)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", ErrCorrupt, name, info.Size(), limit)
	}
	raw := make([]byte, info.Size())
	if _, err := io.ReadFull(file, raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return raw, nil
}

// readTile reads a tile that the checkpoint speaks of: width hashes, or the
// beginning of the full tile that took its place.
func readTile(root *os.Root, level int, n int64, width int) ([]Hash, error) {
	want := width * 32
	raw, whole, err := readEither(root, level, n, width, tileWidth*32)
	if err != nil {
		return nil, err
	}
	if len(raw) < want || !whole && len(raw) != want || whole && len(raw) != tileWidth*32 {
		return nil, fmt.Errorf("%w: %s has %d bytes, %d are asked for", ErrCorrupt, tilePath(level, n, width), len(raw), want)
	}
	return decodeTile(raw[:want]), nil
}

// readBundle reads the entries that belong to a tile of the lowest level.
func readBundle(root *os.Root, n int64, width int) ([][]byte, error) {
	raw, whole, err := readEither(root, entriesLevel, n, width, maxBundle)
	if err != nil {
		return nil, err
	}
	entries, rest, err := splitBundle(raw, width)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tilePath(entriesLevel, n, width), err)
	}
	if len(rest) > 0 && (!whole || width == tileWidth) {
		return nil, fmt.Errorf("%w: %s has %d bytes more than its entries", ErrCorrupt, tilePath(entriesLevel, n, width), len(rest))
	}
	return entries, nil
}

// readEither reads a tile or the full tile in its place, and says if it did.
func readEither(root *os.Root, level int, n int64, width int, limit int64) (raw []byte, whole bool, err error) {
	name := tilePath(level, n, width)
	raw, err = read(root, name, limit)
	if width < tileWidth && errors.Is(err, fs.ErrNotExist) {
		full, fullErr := read(root, tilePath(level, n, tileWidth), limit)
		if fullErr == nil {
			return full, true, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("%w: %s is missing", ErrTruncated, name)
	}
	return raw, width == tileWidth, err
}
